/*
 * The operating system, as the daemon sees it.  Each system has files of its own
 * that implement this: *_linux.c, *_darwin.c.
 */
#ifndef TUNTAPD_OS_H
#define TUNTAPD_OS_H

#include <stdbool.h>

#include "../policy/policy.h"
#include "../proto/wire.h"
#include "guard.h"
#include "mark.h"

/* A device that was made.  Begin with OS_DEVICE_INIT. */
struct os_device {
	char name[WIRE_NAME_MAX + 1];
	unsigned ifindex;
	uint8_t mac[6];			/* TAP; else 0 */
	uint32_t mtu;
	int fds[WIRE_QUEUES_MAX];	/* n_fds of them, owned */
	unsigned n_fds;
	unsigned unmade;	/* as often it was taken away to be made anew */
	int own;			/* a copy, or -1: see os_is_shared() */
};
#define OS_DEVICE_INIT ((struct os_device){ .own = -1 })

/*
 * Says that this is the daemon of this network namespace, for as long as it
 * lives.  0, or -errno with *why filled: there is another, or that cannot be
 * known.
 */
int os_claim(struct wire_refused *why);
void os_unclaim(void);

/*
 * Is whom devices belong to there?  Once the right to become him is given up:
 * by what the kernel says to who tries.  0, or -errno with *why filled.
 */
int os_has_owner(struct wire_refused *why);

/* Opens what the daemon's one thread needs.  0 or -errno. */
int os_start(struct wire_refused *why);
void os_stop(void);

/* Closes this fd and all above it. */
void os_close_from(int fd);

/* An fd that is good for nothing but to be closed, or -errno. */
int os_spare_fd(void);

/*
 * Notes what the kernel has (support.h), for which it makes a device and closes
 * it again: about 20 ms.
 */
void os_probe(void);
/* Its release, as uname(2) tells it. */
void os_kernel(char *ret, size_t cap);

/* Can packets have a virtio_net_hdr?  As far as the system has devices. */
bool os_has_offload(void);

/*
 * Makes the device that `open` describes (a policy_decide() result: names and
 * metrics are settled), marks it (NULL: it gets no mark), puts the guard (NULL:
 * none) before it, configures it, and makes the connected routes of its
 * addresses with the given metric.  What is known of a device only once it is
 * made is put into the mark.  0 or -errno with *why filled.
 *
 * On failure *dev may hold fds: the half-made device hangs on them, and
 * closing the last one takes the kernel about 20 ms.  The caller has them
 * closed by the worker.
 */
int os_device_open(const struct wire_open *open, struct mark *mark,
		   uint32_t connected_metric, const struct guard_program *guard,
		   struct os_device *dev, struct wire_refused *why);

/*
 * What a device is described by, for later: its guard may be NULL.  doubtful:
 * the kernel may have dropped some of it.
 */
struct os_state {
	const struct wire_open *open;
	const struct guard_program *guard;
	bool doubtful;
};
/*
 * Brings a device from one state to another: addresses, routes, MTU, up or
 * down, and its guard.  All, or it is as before: 0, or -errno with *why filled.
 * One that has another link type than it was made with, or more queues, is not
 * set up.
 */
int os_device_change(unsigned ifindex, uint32_t connected_metric,
		     const struct os_state *from, const struct os_state *to,
		     struct wire_refused *why);
/*
 * May the kernel drop routes on that way, which are to stay?  Then they are to
 * be among those of both; or os_device_add_routes() makes them again.
 */
bool os_device_drops_routes(const struct os_state *from,
			    const struct os_state *to);
/* In one batch; ensure: that one is there already is fine. */
int os_device_add_routes(unsigned ifindex, const struct wire_route *routes,
			 unsigned n, bool ensure, struct wire_refused *why);
/*
 * Puts a guard before a device that is there, or another one in its place.  0
 * or -errno (-ENODEV: the device is gone) with *why filled.
 */
int os_device_guard(unsigned ifindex, const struct guard_program *guard,
		    struct wire_refused *why);
/*
 * Makes anew what the kernel dropped of a device that is up, but for one that
 * os_device_change() would not set up.
 */
int os_device_restore(unsigned ifindex, uint32_t connected_metric,
		      const struct wire_open *is, struct wire_refused *why);

/*
 * Deletes devices, each if it has this index and this alias; NULL: whatever it
 * bears, for one that was made just now.  result: 0 if it is gone, by us or by
 * itself; -EPERM if it is not that device; else -errno.  For the worker's
 * thread alone: takes about 20 ms, of many at once hardly more.
 *
 * Where one cannot be deleted while somebody has an fd of it, it is made of no
 * use to him; and known by own, as no mark says which it is.
 */
struct os_deletion {
	unsigned ifindex;
	int own;		/* os_device's */
	const char *alias;
	unsigned tag;		/* the caller's: they are put in order */
	int result;
};
void os_devices_delete(struct os_deletion *d, unsigned n);
/*
 * Where devices bear no mark (macOS) the daemon keeps a copy of each one's fd,
 * os_device's own: while that is open the device is there, and no other has its
 * name or index.  Has anybody another copy?  1, 0, or -errno.
 */
int os_is_shared(int own);
/*
 * How many the daemon keeps so at most, for each connection that there may be:
 * of its device, and of one whose lease has ended.  2 or 0.
 */
unsigned os_own_fds(void);
/*
 * Marks devices for deletion, by whoever comes to it.  For the loop's thread.
 * 0 or -errno; that one is gone is fine.
 */
int os_devices_doom(const unsigned *ifindexes, unsigned n);

/* How a link went. */
enum os_going {
	OS_GOING_UNSEEN,	/* it is no longer there, is all that is known */
	OS_GOING_DELETED,
	OS_GOING_MOVED,		/* to another network namespace */
};

/* What the host has: told by a first dump and then as it changes. */
struct os_link {
	unsigned ifindex;
	char name[WIRE_NAME_MAX + 1];
	char alias[MARK_MAX];
	bool up;
	uint32_t mtu;
	uint8_t mac[6];
	uint16_t type;		/* ARPHRD_* */
	/* Of one that is gone; of another, how it went if no dump tells it. */
	enum os_going going;
	/* Of a TUN/TAP device, else all 0. */
	uint8_t layer;		/* enum wire_layer */
	bool persist, vnet_hdr, has_owner, has_group;
	uint32_t owner;		/* uid */
	/* Of a device that takes several, disabled ones too; else 0. */
	uint32_t queues;
	uint32_t txqueuelen;
	uint32_t link_group;	/* IFLA_GROUP; has_group is about gids */
};
/* Has an interface this name, as its first or a second one (altname)? */
bool os_name_taken(const char *name);
/* Was it marked for deletion? */
bool os_link_doomed(const struct os_link *link);
struct os_address {
	unsigned ifindex;
	struct prefix local;	/* the own address, with its prefix length */
	struct prefix peer;	/* the far end likewise, or family 0 */
	uint32_t flags;		/* WIRE_ADDRESS_* */
	bool noprefixroute;	/* as ours are */
};
/* The table that ours are in. */
#define OS_TABLE_MAIN	254u
/* And the one that is asked first. */
#define OS_TABLE_LOCAL	255u
enum os_route_to {
	OS_ROUTE_TO_LINK,	/* unicast */
	OS_ROUTE_TO_HOST,	/* all of dst is the host's own (local) */
	OS_ROUTE_TO_NOWHERE	/* blackhole, unreachable, prohibit */
};
/* A route, but for those that the kernel makes itself in its local table. */
struct os_route {
	enum os_route_to to;
	unsigned ifindex;	/* 0: it has several next hops */
	struct prefix dst;
	struct prefix gateway;	/* family 0: none of this family */
	uint32_t table, metric;
	uint32_t which;		/* tells apart what differs in the rest */
	bool direct;		/* it, or a hop of it, has no gateway at all */
	uint32_t source;	/* os_source_hash() of what it prefers, or 0 */
	bool ours;		/* a daemon of ours made it */
	bool replaces;		/* what else this table has to dst with metric */
};
/* Of an address that a route prefers as its packets' source: never 0. */
uint32_t os_source_hash(const struct prefix *address);
struct os_watcher {
	void (*link)(void *arg, const struct os_link *link, bool gone);
	void (*address)(void *arg, const struct os_address *a, bool gone);
	void (*route)(void *arg, const struct os_route *r, bool gone);
	/* Where a guard is; NULL: that is not asked. */
	void (*guard)(void *arg, unsigned ifindex);
	/*
	 * A dump of all begins, at the start or because events were lost; or
	 * it has ended, and what it did not tell is no longer there.  One that
	 * fails has no end: what it told holds, and of the rest nothing is
	 * known.
	 */
	void (*dump)(void *arg, bool begins);
	void *arg;
};
/* Subscribes, and tells what there is.  0 or -errno. */
int os_watch_start(const struct os_watcher *watcher, struct wire_refused *why);
int os_watch_fd(void);
/*
 * Tells what has changed, of so many messages of the kernel's at the most;
 * never blocks.  0, -EAGAIN if there may be more, -ESTALE where they do not tell
 * what has (os_watch_again() does), -ENOBUFS when some was lost, or -errno.
 */
int os_watch_read(unsigned most);
/* Tells all again.  0 or -errno: -EBUSY if it never stood still meanwhile. */
int os_watch_again(void);

/*
 * What of a device's holder's doing is not as it was made: one bit each; type,
 * that it is no TUN or TAP of this layer any more.
 */
#define OS_TAMPER_PERSIST	1u
#define OS_TAMPER_OWNER		2u
#define OS_TAMPER_GROUP		4u
#define OS_TAMPER_TYPE		8u
#define OS_TAMPER_MAC		16u
#define OS_TAMPER_QUEUES	32u	/* more; each may be closed */
unsigned os_link_tampered(const struct os_link *link, uint8_t layer,
			  unsigned queues, const uint8_t mac[6]);

/* A device that bears a mark of ours, as a daemon before us left it. */
struct os_found {
	struct os_link link;
	struct wire_open is;		/* without routes; the first of its */
	unsigned n_addresses;		/* addresses, if it has more than fit */
	struct wire_route *routes;	/* n_routes of them */
	size_t n_routes;
	uint32_t connected_metric;	/* 0: it has no connected route */
	bool guarded;
};
/*
 * Hands over each of them, the oldest first, which is the caller's no longer than
 * that; false ends it.  0 or -errno.  Not described are flags and routes that the
 * kernel forgets of a device that is down.
 */
int os_devices_find(bool (*found)(void *arg, struct os_found *f),
		    void *arg);

/*
 * In a child of fork(2) that shall have no rights: gives up user, groups and
 * capabilities, all fds but `keep` and the standard ones, and what would end
 * it by mistake.  It ends when its parent does.  0 or -errno.
 */
int os_child(int keep);

/*
 * In a child likewise that shall make such children, and end them: it keeps its
 * user, and of root's capabilities what that takes.  It ends when its parent
 * does, or by -ESRCH if that has ended already.  0 or -errno.
 */
int os_keeper(int keep, pid_t parent);

/*
 * In a child likewise that shall make such children, which close what they are
 * given: it keeps its user, so that no other can end it, and no capability.
 */
int os_undertaker(int keep, pid_t parent);
/* Ends this process when its parent does.  0, or -errno: it has already. */
int os_end_with(pid_t parent);

/* Reads who is on the other end of a connected socket; groups are owned. */
int os_peer(int sock, struct peer *ret);

/*
 * Nothing but bytes shall come by this socket, nor by what is accepted from it;
 * out-of-band ones in their place.  Makes the kernel refuse fds that a client
 * would send: closing one can block for ever (a lingering TCP socket, a FUSE
 * file).  False if it may hold some all the same, as older kernels cannot, and
 * whoever connected before could send them: they are never received, as
 * frame_receive() looks before it reads, but see slow_close().
 */
bool os_bytes_only(int sock);

/* accept4(2) with non-blocking and close-on-exec.  The fd or -errno. */
int os_accept(int sock);
/* The other end has received, or thrown away, all that was sent. */
bool os_all_received(int sock);

#endif
