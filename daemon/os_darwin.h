/* What the files of the macOS side share. */
#ifndef TUNTAPD_OS_DARWIN_H
#define TUNTAPD_OS_DARWIN_H

#include <net/if.h>

#include "os.h"

/*
 * The sockets that requests go by: SIOC* want root, and one of their family; a
 * routing socket wants root when it is made.  -1 before os_start().
 */
struct darwin_sockets {
	int inet, inet6, route;
};
extern struct darwin_sockets darwin;

/* Close-on-exec, which no call here does by itself.  0 or -errno. */
int darwin_cloexec(int fd);
/* A socket likewise, or -errno. */
int darwin_socket(int domain, int type, int protocol);

/* --- utun_darwin.c ------------------------------------------------------ */

/* Is that "utun" and a number, in its shortest form?  Its unit, from 1; or 0. */
uint32_t utun_unit(const char *name);
/*
 * Makes the utun of that unit: its fd, or -errno with *why filled; *ret_ifindex
 * is its index.
 */
int utun_make(const char *name, unsigned *ret_ifindex, struct wire_refused *why);
/* The name of the utun that this is an fd of.  0 or -errno. */
int utun_name(int fd, char ret[IFNAMSIZ]);

/* --- ifconf_darwin.c ---------------------------------------------------- */

/* Each: 0 or -errno, as the kernel says it. */
int ifconf_add_address(const char *ifname, const struct wire_address *a);
int ifconf_remove_address(const char *ifname, const struct wire_address *a);
int ifconf_set_mtu(const char *ifname, uint32_t mtu);
int ifconf_get_mtu(const char *ifname, uint32_t *ret);
/* -EALREADY: so it is. */
int ifconf_set_up(const char *ifname, bool up);

/* --- route_darwin.c ----------------------------------------------------- */

/* The longest message: a header, and IPv6 destination, gateway, mask. */
#define ROUTE_MESSAGE_MAX	(92 + 3 * 28)

/* RTM_ADD or RTM_DELETE of a route into the device.  Bytes.  Pure. */
size_t route_message(uint8_t *ret, uint8_t type, unsigned ifindex,
		     const struct wire_route *route);
/* 0 or -errno: -EEXIST, -ESRCH (there is none) ... */
int route_add(unsigned ifindex, const struct wire_route *route);
/* That interface's alone: another's to the same network is none, -ESRCH. */
int route_remove(unsigned ifindex, const struct wire_route *route);

/*
 * All static ones by that interface, whoever made them.  0 or -errno: -EBUSY if
 * more came meanwhile.
 */
int route_remove_all(unsigned ifindex);

/* --- watch_darwin.c ----------------------------------------------------- */

struct ifaddrs;
/* The address, with its prefix length; false where it is none of IP. */
bool watch_address(const struct ifaddrs *a, struct prefix *ret);
/*
 * Is there a route to exactly that by this interface?  1, 0, or -errno.  One to
 * a single host (RTF_HOST) is another for the kernel, and none of ours.
 */
int watch_has_route(unsigned ifindex, const struct prefix *dst);
/*
 * Each static one by this interface, as the kernel tells it: how many there
 * were, or -errno, also call's.
 */
int watch_static_routes(unsigned ifindex,
			int (*call)(const void *message, size_t len));
void watch_stop(void);

/* --- move_darwin.c ------------------------------------------------------ */

enum step_kind {
	STEP_ADD_ADDRESS, STEP_REMOVE_ADDRESS, STEP_ADD_ROUTE,
	STEP_REMOVE_ROUTE, STEP_MTU, STEP_UP
};
struct step {
	enum step_kind kind;
	bool ensure;		/* it was there before, or is gone: fine */
	bool done;		/* and is to be undone */
	struct wire_address address;
	struct wire_route route;
	uint32_t mtu, old_mtu;
	bool up;
};
struct steps {
	struct step *all;	/* owned; n of them, room for cap */
	unsigned n, cap;
	bool failed;		/* out of memory */
};

/*
 * What brings a device from one description to the other, in order.  repair:
 * of what shall be, some may not be there.
 */
void move_plan(struct steps *ret, const struct wire_open *from,
	       const struct wire_open *to, bool repair);
/* A list of routes to be added. */
void move_add_routes(struct steps *ret, const struct wire_route *routes,
		     unsigned n, bool ensure);
/* All of it, or what was done is undone, the last first: 0 or -errno. */
int move_do(struct steps *s, unsigned ifindex, const char *ifname,
	    struct wire_refused *why);
void move_free(struct steps *s);

#endif
