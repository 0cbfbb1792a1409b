/*
 * The operating system, as the daemon sees it.  One file a system implements
 * this; nothing else in the daemon includes a kernel header.
 */
#ifndef TUNTAPD_OS_H
#define TUNTAPD_OS_H

#include <stdbool.h>

#include "../policy/policy.h"
#include "../proto/wire.h"

/* "tuntapd:1:<lease id>:<uid>", the mark of ours on a device. */
#define OS_ALIAS_MAX	64

/* A device that was made.  Begin with OS_DEVICE_INIT. */
struct os_device {
	char name[WIRE_NAME_MAX + 1];
	unsigned ifindex;
	uint8_t mac[6];			/* TAP; else 0 */
	uint32_t mtu;
	int fds[WIRE_QUEUES_MAX];	/* n_fds of them, owned */
	unsigned n_fds;
};
#define OS_DEVICE_INIT ((struct os_device){ .n_fds = 0 })

/* Opens what the daemon's one thread needs.  0 or -errno. */
int os_start(struct wire_refused *why);
void os_stop(void);

/*
 * Makes the device that `open` describes (a policy_decide() result: names and
 * metrics are settled), marks it with the alias, configures it, and makes the
 * connected routes of its addresses with the given metric.  0 or -errno with
 * *why filled.
 *
 * On failure *dev may hold fds: the half-made device hangs on them, and
 * closing the last one takes the kernel about 20 ms.  The caller has them
 * closed by the worker.
 */
int os_device_open(const struct wire_open *open, const char *alias,
		   uint32_t connected_metric, struct os_device *dev,
		   struct wire_refused *why);

/*
 * Brings a device from one description to another: addresses, routes, MTU, up
 * or down.  All, or it is as before: 0, or -errno with *why filled.
 */
int os_device_change(unsigned ifindex, uint32_t connected_metric,
		     const struct wire_open *from, const struct wire_open *to,
		     struct wire_refused *why);
/* Makes anew what the kernel dropped while the device was down; it is up. */
int os_device_restore(unsigned ifindex, uint32_t connected_metric,
		      const struct wire_open *is, struct wire_refused *why);

/*
 * Deletes the device with this index if it bears this alias; NULL: whatever it
 * bears, for one that was made just now.  0 if it is gone, by us or by itself;
 * -EPERM if it is not that device; else -errno.  For the worker's thread
 * alone: takes about 20 ms.
 */
int os_device_delete(unsigned ifindex, const char *alias);

/* What the host has: told by a first dump and then as it changes. */
struct os_link {
	unsigned ifindex;
	char name[WIRE_NAME_MAX + 1];
	char alias[OS_ALIAS_MAX];
	bool up;
	uint32_t mtu;
	uint8_t mac[6];
	uint16_t type;		/* ARPHRD_* */
};
struct os_address {
	unsigned ifindex;
	struct prefix local;	/* the own address, with its prefix length */
	struct prefix peer;	/* the far end likewise, or family 0 */
};
/* A unicast route that is not in the kernel's local table. */
struct os_route {
	unsigned ifindex;
	struct prefix dst;
	uint32_t table, metric;
	bool gateway;		/* it has one */
	bool ours;		/* a daemon of ours made it */
};
struct os_watcher {
	void (*link)(void *arg, const struct os_link *link, bool gone);
	void (*address)(void *arg, const struct os_address *a, bool gone);
	void (*route)(void *arg, const struct os_route *r, bool gone);
	/*
	 * A dump of all begins, at the start or because events were lost; or
	 * it has ended, and what it did not tell is no longer there.
	 */
	void (*dump)(void *arg, bool begins);
	void *arg;
};
/* Subscribes, and tells what there is.  0 or -errno. */
int os_watch_start(const struct os_watcher *watcher, struct wire_refused *why);
int os_watch_fd(void);
/* Tells what has changed by now; never blocks.  0 or -errno. */
int os_watch_read(void);
/* Forgets and tells all again. */
int os_watch_again(void);

/*
 * In a child of fork(2) that shall have no rights: gives up user, groups and
 * capabilities, all fds but `keep` and the standard ones, and what would end
 * it by mistake.  It ends when its parent does.  0 or -errno.
 */
int os_child(int keep);

/* Reads who is on the other end of a connected socket; groups are owned. */
int os_peer(int sock, struct peer *ret);

/*
 * Nothing but bytes shall come by this socket, nor by what is accepted from
 * it.  Makes the kernel refuse fds that a client would send: closing one can
 * block for ever (a lingering TCP socket, a FUSE file).  Older kernels cannot,
 * and nothing is lost then: frame_receive() looks before it reads.
 */
void os_bytes_only(int sock);

/* accept4(2) with non-blocking and close-on-exec.  The fd or -errno. */
int os_accept(int sock);

#endif
