/*
 * What code for macOS calls in libSystem, by the names that machine.py binds:
 * XNU's part is played (xnu/), the rest is this system's own.  Requests are
 * noted byte for byte on their way.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xnu/xnu.h"

#define DARWIN_AF_INET6	30
#define NOTED_MAX	(1 << 20)
#define FDS_MOST	1000
#define PARENT		77
#define LIST_MAX	65536	/* interfaces and addresses of the host */
/* bsd/net/route.h: which name of a message it is. */
#define RTAX_NETMASK	2
#define RTAX_IFP	4
#define RTAX_IFA	5
#define RTAX_BRD	7
#define IOC_LEN(n)	((n) >> 16 & 0x1fff)

int *shim_error(void);
int shim_ioctl(int fd, unsigned long number, void *arg);
long shim_write(int fd, const void *bytes, size_t len);
int shim_connect(int fd, const void *name, uint32_t len);
int shim_setsockopt(int fd, int level, int option, const void *value,
		    uint32_t len);
int shim_getsockopt(int fd, int level, int option, void *value, uint32_t *len);
int shim_fcntl(int fd, int command, long arg);
char *shim_strerror(int error);
int shim_inet_pton(int family, const char *text, void *ret);
const char *shim_inet_ntop(int family, const void *ip, char *ret, uint32_t len);
int shim_usleep(uint32_t us);
int shim_getdtablesize(void);
int shim_getifaddrs(void **ret);
void shim_freeifaddrs(void *all);
int shim_open(const char *path, int flags, long mode);
void *shim_signal(int number, void *handler);
int shim_getppid(void);
void shim_pass(uint32_t ms);
int shim_clock_gettime(int clock, int64_t ret[2]);
void shim_nothing(void);
const char *shim_noted(void);
void shim_forget(void);

static char noted[NOTED_MAX];
static size_t noted_len;

static void note(const char *what, unsigned long number, const void *bytes,
		 size_t len)
{
	const uint8_t *at = bytes;

	if (noted_len + 2 * len + 64 > sizeof(noted))
		return;
	noted_len += (size_t)sprintf(noted + noted_len, "%s %#lx ", what,
				     number);
	for (size_t i = 0; i < len; i++)
		noted_len += (size_t)sprintf(noted + noted_len, "%02x", at[i]);
	noted[noted_len++] = '\n';
	noted[noted_len] = '\0';
}

const char *shim_noted(void)
{
	return noted;
}

void shim_forget(void)
{
	noted_len = 0;
	noted[0] = '\0';
}

int *shim_error(void)
{
	return &xnu_errno;
}

int shim_ioctl(int fd, unsigned long number, void *arg)
{
	note("ioctl", number, arg, IOC_LEN(number));
	return xnu_ioctl(fd, number, arg);
}

long shim_write(int fd, const void *bytes, size_t len)
{
	note("write", len, bytes, len);
	return xnu_write(fd, bytes, len);
}

int shim_connect(int fd, const void *name, uint32_t len)
{
	note("connect", len, name, len);
	return xnu_connect(fd, name, len);
}

int shim_setsockopt(int fd, int level, int option, const void *value,
		    uint32_t len)
{
	note("setsockopt", (unsigned long)level << 16 | (unsigned)option,
	     value, len);
	return xnu_setsockopt(fd, level, option, value, len);
}

/* What is asked for, as nothing else is told to the kernel. */
int shim_getsockopt(int fd, int level, int option, void *value, uint32_t *len)
{
	note("getsockopt", (unsigned long)level << 16 | (unsigned)option, "",
	     1);
	return xnu_getsockopt(fd, level, option, value, len);
}

int shim_fcntl(int fd, int command, long arg)
{
	return xnu_fcntl(fd, command, arg);
}

int shim_open(const char *path, int flags, long mode)
{
	return xnu_open(path, flags, (int)mode);
}

void *shim_signal(int number, void *handler)
{
	note(handler == (void *)1 ? "ignore" : "signal", (unsigned)number, "",
	     1);
	return NULL;
}

int shim_getppid(void)
{
	return PARENT;
}

char *shim_strerror(int error)
{
	return (char *)(uintptr_t)xnu_error_name(error);
}

static int family_here(int family)
{
	return family == DARWIN_AF_INET6 ? AF_INET6 : family;
}

int shim_inet_pton(int family, const char *text, void *ret)
{
	return inet_pton(family_here(family), text, ret);
}

const char *shim_inet_ntop(int family, const void *ip, char *ret, uint32_t len)
{
	return inet_ntop(family_here(family), ip, ret, len);
}

/* A detach goes on by calls alone, see xnu_detach_takes(). */
int shim_usleep(uint32_t us)
{
	(void)us;
	return 0;
}

/* Above all that there are. */
int shim_getdtablesize(void)
{
	return XNU_FIRST_FD + FDS_MOST;
}

/* --- getifaddrs(3) ------------------------------------------------------ */

/*
 * As Libc's, gen/FreeBSD/getifaddrs.c: from one NET_RT_IFLIST, each link before
 * its addresses.
 */
#define NAMES		3	/* address, netmask, other end */
#define NAME_ROOM	32
#define IF_DATA_SIZE	96

struct darwin_ifaddrs {
	struct darwin_ifaddrs *next;
	char *name;
	uint32_t flags;
	uint8_t *addr, *netmask, *dstaddr;
	void *data;
	char name_room[XNU_IFNAMSIZ];
	uint8_t names[NAMES][NAME_ROOM];
	uint8_t data_room[IF_DATA_SIZE];
};

static uint32_t number(const uint8_t *at, size_t len)
{
	uint32_t n = 0;

	memcpy(&n, at, len);
	return n;
}

/* The name of that index in a record whose first one is at `names`, or NULL. */
static const uint8_t *find_name(const uint8_t *record, size_t names, unsigned i)
{
	const uint32_t there = number(record + XNU_IFM_ADDRS, 4);
	const uint8_t *at = record + names;

	if (!(there & 1u << i))
		return NULL;
	for (unsigned j = 0; j < i; j++)
		if (there & 1u << j)
			at += at[0] ? (at[0] + 3u) & ~3u : 4;
	return at;
}

static uint8_t *keep_name(uint8_t *room, const uint8_t *name)
{
	if (!name)
		return NULL;
	if (name[0] > NAME_ROOM)
		abort();
	memcpy(room, name, name[0] ? name[0] : 4);
	return room;
}

static struct darwin_ifaddrs *new_ifaddrs(const char *name, uint32_t flags)
{
	struct darwin_ifaddrs *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->name = strcpy(a->name_room, name);
	a->flags = flags;
	return a;
}

static struct darwin_ifaddrs *link_of(const uint8_t *record)
{
	const uint8_t *dl = find_name(record, XNU_IFM_SIZE, RTAX_IFP);
	char name[XNU_IFNAMSIZ] = "";
	struct darwin_ifaddrs *a;

	memcpy(name, dl + XNU_SDL_DATA, dl[XNU_SDL_NLEN]);
	a = new_ifaddrs(name, number(record + XNU_IFM_FLAGS, 4));
	a->addr = keep_name(a->names[0], dl);
	a->data = memcpy(a->data_room, record + XNU_IFM_DATA, IF_DATA_SIZE);
	return a;
}

static struct darwin_ifaddrs *address_of(const uint8_t *record,
					 const struct darwin_ifaddrs *link)
{
	struct darwin_ifaddrs *a = new_ifaddrs(link->name, link->flags);

	a->addr = keep_name(a->names[0],
			    find_name(record, XNU_IFAM_SIZE, RTAX_IFA));
	a->netmask = keep_name(a->names[1],
			       find_name(record, XNU_IFAM_SIZE, RTAX_NETMASK));
	a->dstaddr = keep_name(a->names[2],
			       find_name(record, XNU_IFAM_SIZE, RTAX_BRD));
	return a;
}

int shim_getifaddrs(void **ret)
{
	static uint8_t list[LIST_MAX];
	const int name[] = { XNU_CTL_NET, XNU_AF_ROUTE, 0, 0,
			     XNU_NET_RT_IFLIST, 0 };
	const unsigned n = sizeof(name) / sizeof(*name);
	struct darwin_ifaddrs *first = NULL, **at = &first, *link = NULL;
	size_t len = sizeof(list);

	if (xnu_sysctl(name, n, list, &len, NULL, 0) < 0)
		return -1;
	for (size_t i = 0; i < len; i += number(list + i + XNU_RTM_MSGLEN, 2)) {
		if (list[i + XNU_RTM_TYPE] == XNU_RTM_IFINFO)
			*at = link = link_of(list + i);
		else
			*at = address_of(list + i, link);
		at = &(*at)->next;
	}
	*ret = first;
	return 0;
}

void shim_freeifaddrs(void *all)
{
	for (struct darwin_ifaddrs *a = all, *next; a; a = next) {
		next = a->next;
		free(a);
	}
}

/* --- clock_gettime(2) --------------------------------------------------- */

static int64_t clock_ms = 1000000;

/* Time passes by this alone. */
void shim_pass(uint32_t ms)
{
	clock_ms += ms;
}

int shim_clock_gettime(int clock, int64_t ret[2])
{
	(void)clock;
	ret[0] = clock_ms / 1000;
	ret[1] = clock_ms % 1000 * 1000000;
	return 0;
}

/* For what only says a word. */
void shim_nothing(void)
{
}
