/* What the simulator's files know of each other. */
#ifndef XNU_KERNEL_H
#define XNU_KERNEL_H

#include <stdarg.h>
#include <string.h>

#include "xnu.h"

/* More than a test needs; beyond it ends with a sentence. */
#define XNU_FDS		256
#define XNU_INTERFACES	64
#define XNU_ADDRESSES	256
#define XNU_ROUTES	1024
#define XNU_RIGHTS	16
#define XNU_NODES	8
#define XNU_LINE	512
#define XNU_RECORD	512	/* of what the kernel tells */

#define XNU_LO_INDEX	1
#define XNU_UNIT_MAX	65536u	/* ctl_maxunit */

enum kind {
	KIND_CONTROL, KIND_INET, KIND_ROUTE, KIND_LOCAL, KIND_FILE, KIND_PIPE
};

struct file;

struct packet {
	struct packet *next;
	struct file *rights[XNU_RIGHTS];
	unsigned n_rights;
	size_t len, at;
	uint8_t bytes[];
};

struct queue {
	struct packet *first, *last;
	size_t bytes;
	unsigned count;
};

/* What an fd refers to, a socket mostly.  Others' fds may do so too. */
struct file {
	enum kind kind;
	int domain, type, protocol;
	unsigned refs;
	bool privileged;	/* SS_PRIV: root made it */
	bool nonblock, nosigpipe, loopback;
	bool times_out, receives_no_more;
	bool refused;		/* its connect() was EBUSY */
	uint32_t bound_if;
	struct queue in;

	bool connected;		/* control: it has an interface */
	uint32_t unit;
	unsigned index;
	uint32_t max_pending;

	struct node *node;	/* file */

	struct file *peer;	/* local */
	bool has_cred, peer_gone;
	uint8_t cred[XNU_XUCRED_SIZE];
};

struct interface {
	char name[XNU_IFNAMSIZ];
	unsigned index;
	uint32_t flags;
	int mtu;
	uint32_t unit;		/* 0: no utun */
	bool used, detaching;
	unsigned detach_left;
	struct queue taken;
	unsigned not_taken;
};

struct address {
	bool used;
	uint32_t id;
	unsigned index;
	int family;
	uint8_t ip[16], dst[16], mask[16];
	int dst_family;
	uint32_t vltime, pltime, flags;
	bool has_route;		/* IFA_ROUTE */
	uint32_t prefix;	/* id, 0: none */
};

struct route {
	bool used;
	int family;
	uint8_t key[16], mask[16];
	bool has_mask;
	uint32_t flags, scope;
	int gateway_family;
	uint8_t gateway[16];
	unsigned gateway_index;
	unsigned index;		/* rt_ifp */
	uint32_t ifa;
};

/* struct nd_prefix: the on-link prefix of IPv6 addresses. */
struct prefix6 {
	bool used;
	uint32_t id;
	unsigned index, len;
	uint8_t ip[16];
	bool scoped, expires;
	unsigned addresses;
};

/* A vnode, by its only name. */
struct node {
	bool used, link;
	char path[64];
	struct file *lock;	/* who has it */
};

struct slot {
	struct file *file;
	bool cloexec;
};

struct kernel {
	uint32_t euid, ruid, svuid, rgid, svgid;
	uint32_t groups[XNU_XUCRED_GROUPS_MAX];	/* the first: effective */
	unsigned n_groups;
	struct node nodes[XNU_NODES];
	uint32_t last_id;
	unsigned last_index;
	unsigned detach_takes;
	struct slot fds[XNU_FDS];
	struct interface interfaces[XNU_INTERFACES];
	struct address addresses[XNU_ADDRESSES];
	struct route routes[XNU_ROUTES];
	struct prefix6 prefixes[XNU_ADDRESSES];
};

extern struct kernel kern;

/* A socket address as the kernel takes it apart. */
struct name {
	int family;
	unsigned len;
	uint8_t ip[16];
	uint32_t scope;
	unsigned index;
};

struct netmask {
	bool given;
	uint8_t bits[16];
};

/* calls.c */
_Noreturn void die(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
bool begin(const char *call, const char *also, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
long end(int error, long result);
void calls_reset(void);
struct text {
	char *bytes;
	size_t len, room;
};
void text_add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void text_clear(struct text *text);

/* bytes.c */
uint16_t get16(const void *at);
uint32_t get32(const void *at);
uint64_t get64(const void *at);
void put16(void *at, uint16_t value);
void put32(void *at, uint32_t value);
void put64(void *at, uint64_t value);
void *user(uint64_t address, uint64_t len);
unsigned family_len(int family);
unsigned mask_len(int family, const uint8_t *mask);
void mask_of(uint8_t *mask, unsigned len);
void mask_apply(uint8_t *ip, const uint8_t *mask);
bool is_zero(const uint8_t *ip);
struct name read_name(const uint8_t *bytes, size_t room);
const char *show_ip(int family, const uint8_t *ip);
const char *show_index(unsigned index);
const char *show_prefix(int family, const uint8_t *ip, unsigned len);

/* socket.c */
struct file *file_new(enum kind kind, int domain, int type, int protocol);
int fd_new(struct file *file, int from, bool cloexec);
struct file *file_of(int fd);
void file_hold(struct file *file);
void file_drop(struct file *file);
void fds_reset(void);

/* files.c */
void file_gone(struct file *file);

/* queue.c */
struct packet *packet_new(size_t len);
void packet_free(struct packet *packet);
void queue_add(struct queue *queue, struct packet *packet);
struct packet *queue_take(struct queue *queue);
void queue_clear(struct queue *queue);

/* utun.c */
int utun_connect(struct file *file, const uint8_t *name, uint32_t len);
int utun_getopt(struct file *file, int option, void *value, uint32_t *len);
int utun_setopt(struct file *file, int option, const void *value, uint32_t len);
int utun_info(uint8_t *info);
void utun_gone(struct file *file);
void utun_input(struct file *file, struct packet *packet);
void detach_step(void);

/* link.c */
struct interface *interface_new(const char *name, uint32_t flags, int mtu);
struct interface *interface_named(const uint8_t *name);
struct interface *interface_at(unsigned index);
int link_ioctl(uint32_t request, uint8_t *argument);
void interface_purge(struct interface *interface);

/* address.c, address6.c */
struct address *address_new(struct interface *interface, int family);
struct address *address_with_id(uint32_t id);
struct address *address_on(unsigned index, int family, const uint8_t *ip);
struct address *first_address(unsigned index, int family);
int address_ioctl(uint32_t request, struct interface *interface, uint8_t *arg);
int address6_ioctl(uint32_t request, struct interface *interface, uint8_t *arg);
void host_route_add(struct address *address);
void host_route_scrub(struct address *address);
void address_remove(struct address *address);
int address6_add(struct interface *interface, const uint8_t *argument);
void address6_remove(struct address *address);
void expire_step(void);
void prefixes_purge(unsigned index);

/* route.c */
int route_add(const struct name *dst, const struct name *gateway,
	      const struct netmask *mask, uint32_t flags, uint32_t scope,
	      struct route **ret);
int route_delete(const struct name *dst, const struct netmask *mask,
		 uint32_t flags, uint32_t scope, struct route *ret);
struct route *route_find(int family, const uint8_t *ip, uint32_t scope);
struct route *route_plain(int family, const uint8_t *ip);
struct route *route_exact(const struct name *dst, const struct netmask *mask,
			  uint32_t scope);
void routes_of_address(uint32_t ifa);
void routes_of_interface(unsigned index);

/* rtsock.c */
int route_output(struct file *file, const uint8_t *message, size_t len);
const char *route_type(const uint8_t *message, size_t len);
void route_show(struct text *text, const uint8_t *message, size_t len);

void tell_all(const struct file *asker, struct packet *packet, int family);
void put_name(uint8_t *message, size_t *len, int family, const uint8_t *ip,
	      unsigned index);
void put_mask(uint8_t *message, size_t *len, int family, const uint8_t *mask,
	      bool whole6);

/* records.c */
size_t make_interface(uint8_t *record, const struct interface *interface,
		      bool second);
size_t make_address(uint8_t *record, uint8_t type, const struct address *a,
		    bool link);
size_t make_route(uint8_t *record, uint8_t type, const struct route *r,
		  bool link, bool ifa);

/* events.c */
void tell_interface(const struct interface *interface);
void tell_address(uint8_t type, const struct address *a,
		  const struct route *r);

/* local.c */
int local_send(struct file *file, struct packet *packet, int flags);
int local_getopt(struct file *file, int option, void *value, uint32_t *len);
void local_gone(struct file *file);
int rights_take(const uint8_t *control, uint32_t len, struct packet *packet);
/* control NULL: there is no room at all. */
void rights_give(struct packet *packet, uint8_t *control, uint32_t *len,
		 int *flags);
void rights_peek(const struct packet *packet, uint8_t *control, uint32_t *len,
		 int *flags);

/* world.c */
void world_reset(void);

#endif
