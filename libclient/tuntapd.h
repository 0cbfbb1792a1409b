/*
 * libtuntapd: TUN and TAP devices for programs without rights.
 *
 * tuntapd, a small privileged daemon, makes the device as far as its policy
 * allows and hands over the open fd; this library reads and writes packets on
 * it by itself.  A device is held by a lease, which lives as long as the
 * library's connection to the daemon: ttd_close(), or the end of the process,
 * ends both.
 *
 * Contract, unless a function says otherwise:
 *  - It returns 0, a length or a count, or -errno (Linux and macOS numbers
 *    differ; compare with the names of <errno.h>).  Outputs are untouched on
 *    failure.  The global errno is not used.  Nothing logs, nothing exits.
 *  - It may be called from any thread at any time.  [1] marks what only one
 *    thread at a time may do per (device, queue).  No function may be called
 *    from a signal handler, and none can be cancelled safely.
 *  - Threads of the library block all signals; SIGPIPE is never raised; every
 *    fd of the library is close-on-exec.
 *  - After fork(2) the child may call ttd_free() alone, which leaves the lease
 *    to the parent; not after it has closed the library's fds by itself.  A
 *    child that keeps the fds open keeps the device.
 *  - NULL for a struct ttd_device is -EINVAL, but where it is said to be fine.
 *
 * ABI: symbols are versioned and stay.  Structs marked FROZEN never change;
 * sized structs (first field `size`) grow at their end only, and bytes that
 * this version does not know must be 0 (-EINVAL).  Enums gain values.
 * Reserved fields and unknown flags must be 0 (-EINVAL).
 */
#ifndef TUNTAPD_H
#define TUNTAPD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ttd_device;		/* opaque */

enum ttd_layer {
	TTD_TAP = 2,		/* Ethernet frames (L2) */
	TTD_TUN = 3		/* IP packets (L3) */
};

/* Whether the kernel may hand over more than a wire packet at a time. */
enum ttd_offload {
	TTD_OFFLOAD_SPLIT = 0,	/* the library cuts and joins; the program sees
				   ordinary packets.  Becomes NONE where the
				   kernel or the policy has no offload, and in
				   this version always */
	TTD_OFFLOAD_NONE = 1,	/* bare packets */
	TTD_OFFLOAD_PASS = 2	/* the program sees super-packets and unfinished
				   checksums as struct ttd_packet tells them */
};

/* Why a device is no longer open; the first cause stays. */
enum ttd_status {
	TTD_OPEN = 0,
	TTD_CLOSED,		/* by ttd_close() */
	TTD_DELETED,		/* the device was deleted */
	TTD_REVOKED,		/* the daemon took it back */
	TTD_LEASE_LOST,		/* the daemon came back without the lease */
	TTD_IO_FAILED		/* read or write failed in an unknown way */
};

#define TTD_NAME_MAX	16	/* interface name with its NUL */
#define TTD_PREFIX_TEXT_MAX 50	/* prefix as text with its NUL */
#define TTD_FOREVER	(-1)	/* timeout_ms: as long as it takes */

/* An address and a prefix length. */
struct ttd_prefix {		/* FROZEN, 20 bytes */
	uint8_t ip[16];		/* network order, IPv4 in the first 4 bytes */
	uint8_t family;		/* 4, 6, or 0 for none; never AF_* */
	uint8_t len;		/* bits */
	uint8_t reserved[2];
};

/*
 * "10.0.0.1/24" or "fd00::1"; without "/n" the full length.  -EINVAL for
 * anything else (inet_pton(3) reads the address).
 */
int ttd_prefix_parse(const char *text, struct ttd_prefix *ret);
/* Length written without NUL; -ENOSPC if cap is too small, -EINVAL. */
int ttd_prefix_format(const struct ttd_prefix *prefix, char *buf, size_t cap);

#define TTD_ADDR_NODAD	1u	/* IPv6: use it at once, detect no duplicate */

struct ttd_addr {		/* FROZEN, 56 bytes */
	struct ttd_prefix local;	/* own address; its prefix is on-link */
	struct ttd_prefix peer;		/* point-to-point: the far end; local is
					   then a full-length prefix */
	uint32_t flags;			/* TTD_ADDR_* */
	uint32_t reserved[3];
};

struct ttd_route {		/* FROZEN, 56 bytes */
	struct ttd_prefix dst;		/* host bits are -EINVAL */
	struct ttd_prefix gateway;	/* full length; family 0: none */
	uint32_t metric;		/* 0: the lowest that is allowed */
	uint32_t flags;			/* 0 */
	uint32_t reserved[2];
};

/* What went wrong, for people.  Caller-owned; NULL is fine everywhere. */
struct ttd_error {		/* FROZEN, 512 bytes */
	int code;		/* -errno, as returned */
	char step[16];		/* "connect" "policy" "create" "address" ... */
	char text[360];		/* what, where, and what to do instead */
	char rule[132];		/* file:line of a policy refusal, else "" */
};

#define TTD_NO_THREAD	1u	/* no library thread looks after the lease */
#define TTD_NAME_EXACT	2u	/* a name that cannot be had is an error (it
				   always is on Linux; macOS names utunN) */
#define TTD_MAC_SET	4u	/* mac is asked for (TAP) */
#define TTD_DOWN	8u	/* leave it down; the default is up */

#define TTD_TIMEOUT_DEFAULT_MS 5000

struct ttd_options {		/* sized; begin with TTD_OPTIONS_INIT */
	size_t size;
	uint32_t layer;		/* enum ttd_layer; no default */
	uint32_t flags;		/* TTD_NO_THREAD ... */
	const char *socket_path; /* NULL: $TUNTAPD_SOCKET (secure_getenv(3)),
				   else the built-in path */
	const char *name;	/* NULL or "": the daemon takes the first free
				   one that the policy allows */
	const struct ttd_addr *addrs;
	size_t n_addrs;
	const struct ttd_route *routes;
	size_t n_routes;
	uint32_t mtu;		/* bytes; 0: the kernel's default */
	uint32_t queues;	/* 0: 1 */
	uint32_t txqueuelen;	/* packets; 0: the default */
	uint32_t offload;	/* enum ttd_offload */
	uint8_t mac[6];		/* with TTD_MAC_SET */
	uint8_t reserved[2];
	int32_t timeout_ms;	/* of this and of each later control call; 0:
				   TTD_TIMEOUT_DEFAULT_MS; TTD_FOREVER */
	uint32_t reserved2;
};
#define TTD_OPTIONS_INIT(layer_) \
	{ sizeof(struct ttd_options), (layer_), 0, NULL, NULL, NULL, 0, \
	  NULL, 0, 0, 0, 0, 0, { 0 }, { 0 }, 0, 0 }

/*
 * Opens a device: all that the options ask for, or nothing.  Everything is
 * copied.  *ret is the caller's, who ends it with ttd_free().
 * Blocks for timeout_ms at most.
 *
 *	-ENOENT -ECONNREFUSED	no daemon at the socket
 *	-EACCES			policy; error->rule is the rule's file:line
 *	-EDQUOT			one device more than the policy allows
 *	-EINVAL			a value makes no sense; error->text says which
 *	-E2BIG			more addresses or routes than one request holds
 *	-EEXIST			the name or a route is taken, or a prefix lies in
 *				the network of another interface
 *	-EADDRINUSE		the host has an address already
 *	-ENETUNREACH		a gateway cannot be reached through the device
 *	-ENODEV			the daemon cannot use /dev/net/tun
 *	-EOPNOTSUPP		not on this kernel or system
 *	-ETIMEDOUT		the daemon did not answer in time
 *	-EPROTONOSUPPORT -EPROTO  not a daemon of this version
 *	-EPIPE			the daemon hung up without an answer
 *	-ENAMETOOLONG		the socket path is longer than sockets have
 *	-EUSERS -EMFILE -ENFILE -ENOMEM -EBUSY -EPERM -EIO  as error->text says
 */
int ttd_open(const struct ttd_options *options, struct ttd_device **ret,
	     struct ttd_error *error);

/*
 * Ends I/O and the lease; again and again if you like, from any thread, from
 * inside a handler too.  Every blocked call on the device returns -ESHUTDOWN
 * and later ones do.  On return the name is free, unless someone outside the
 * library holds the device (ttd_take_fd(), a child).  Does not wait for
 * handlers.  0, or -EINVAL.
 */
int ttd_close(struct ttd_device *dev);

/*
 * Closes, waits for the library's threads and for calls of other threads on
 * this device, and releases the memory: the last use.  From inside a handler
 * of this device the release happens when that handler has returned.  NULL is
 * fine.
 */
void ttd_free(struct ttd_device *dev);

/*
 * TTD_OPEN, or why it is not; then why, unless NULL, says more (code 0 after
 * ttd_close(); all zero while it is open).  NULL is TTD_CLOSED.
 */
enum ttd_status ttd_status(const struct ttd_device *dev, struct ttd_error *why);

/*
 * An fd that polls readable for ever once the status is not TTD_OPEN.  Poll it
 * only; it belongs to the device until ttd_free().
 */
int ttd_done_fd(const struct ttd_device *dev);

/*
 * Push.  The handler gets each packet the host sends: buf is writable and
 * valid until it returns, no packet is copied or allocated for.  What it
 * returns is counted if not 0, and ignored, so that a send function serves as
 * a handler.
 */
typedef int ttd_handler(void *arg, void *buf, size_t len);

/*
 * Sets, swaps or (NULL) removes the handler, which a library thread per queue
 * calls: with several queues at the same time on several threads.  Packets
 * wait in the kernel until the first handler is set.  When it returns, the old
 * handler neither runs nor will run, unless it is called from a handler of the
 * same device; so handlers of two devices must not set each other's, nor free
 * each other: they would wait for one another.  -ESHUTDOWN; -EBUSY while
 * ttd_run() runs; -EAGAIN -ENOMEM if no thread could be made; -EOPNOTSUPP with
 * offload PASS, whose packets are more than a handler is told.
 */
int ttd_set_handler(struct ttd_device *dev, ttd_handler *handler, void *arg);

/*
 * [1] Reads and calls the handler on this thread until the device is not open.
 * 0 after ttd_close(); else the cause: -ENODEV (deleted), -EIO ...; the same,
 * at once, where it is not open any more.  -EBUSY where a handler is set or
 * another ttd_run() is on this queue; -ESHUTDOWN for a queue whose fd was
 * taken; -EOPNOTSUPP with offload PASS.
 */
int ttd_run(struct ttd_device *dev, unsigned queue, ttd_handler *handler,
	    void *arg);

/* Pull. */

#define TTD_PKT_HEADROOM	1u /* TTD_HEADROOM writable bytes before data */
#define TTD_PKT_NEEDS_CSUM	2u /* checksum unfinished: csum_start, _offset */
#define TTD_HEADROOM		32

/* gso_type, as struct virtio_net_hdr has it (linux/virtio_net.h). */
#define TTD_GSO_NONE	0
#define TTD_GSO_TCPV4	1
#define TTD_GSO_TCPV6	4
#define TTD_GSO_UDP_L4	5
#define TTD_GSO_ECN	0x80	/* or-ed in */

struct ttd_packet {		/* FROZEN, 32 bytes on 64-bit systems */
	void *data;
	uint32_t len;		/* bytes at data */
	uint32_t flags;		/* TTD_PKT_* */
	uint16_t gso_type;	/* TTD_GSO_*; the rest is for offload PASS */
	uint16_t gso_size;	/* payload bytes of each segment */
	uint16_t hdr_len;	/* bytes of headers before the payload */
	uint16_t csum_start;	/* where the checksum begins, from data */
	uint16_t csum_offset;	/* where it is stored, from csum_start */
	uint16_t reserved[3];
};

/*
 * [1] One packet from queue 0, not with offload PASS (-EOPNOTSUPP).  Its
 * length; -EAGAIN (timeout_ms 0) or -ETIMEDOUT; -EMSGSIZE if it is longer than
 * cap, and it is dropped; -ESHUTDOWN; -EBUSY while a handler is set or
 * ttd_run() is on queue 0.  A signal does not end the wait.
 */
ssize_t ttd_recv(struct ttd_device *dev, void *buf, size_t cap, int timeout_ms);

/*
 * Sends one packet, whole or not at all, on queue 0; never waits.  Serves as a
 * ttd_handler with the device as its arg.  -EAGAIN (the queue is full: drop it
 * or try again), -EINVAL (not an IP packet, or shorter than an Ethernet header
 * on a TAP), -EMSGSIZE (over 65535 bytes), -ENETDOWN (the device is down),
 * -ENOMEM, -ESHUTDOWN.  Not with offload PASS (-EOPNOTSUPP).
 */
int ttd_send(struct ttd_device *dev, const void *buf, size_t len);

/*
 * The fd of a queue, for poll(2) alone; it belongs to the device.  Call
 * ttd_recv() until -EAGAIN each time it is readable.  Watch ttd_done_fd() too:
 * epoll(7) forgets this one when the device is closed.  -EINVAL for a queue
 * that the device does not have.
 */
int ttd_fd(const struct ttd_device *dev, unsigned queue);

/*
 * Hands the queue's own fd over, made blocking: bare packets without a header
 * (offload NONE, SPLIT) or with a struct virtio_net_hdr (PASS).  It is the
 * caller's from now on, close-on-exec.  Library I/O on that queue is
 * -ESHUTDOWN; the lease stays with the device.  -EBUSY while a handler is set
 * or another call uses the queue, -ESHUTDOWN, -EINVAL, -EMFILE.
 */
int ttd_take_fd(struct ttd_device *dev, unsigned queue);

/* Facts. */
/* Its name as the kernel has it now, or at open if it has none any more. */
int ttd_name(struct ttd_device *dev, char ret[TTD_NAME_MAX]);
/* The kernel's index; 0 for NULL.  It never changes. */
unsigned ttd_ifindex(const struct ttd_device *dev);
/* 0 for NULL. */
unsigned ttd_queues(const struct ttd_device *dev);
/* What was really got; NONE for NULL. */
enum ttd_offload ttd_offload(const struct ttd_device *dev);
/*
 * The MAC address as it is now (an fd's holder may change it).  -EOPNOTSUPP on
 * a TUN, -ESHUTDOWN.
 */
int ttd_hwaddr(struct ttd_device *dev, uint8_t ret[6]);

/*
 * What the daemon tells of a device.  Types for a later version; the
 * numbers are settled.
 */
enum ttd_event_type {
	TTD_EVENT_DAEMON_LOST = 1,
	TTD_EVENT_DAEMON_BACK,
	TTD_EVENT_RENAMED,
	TTD_EVENT_MTU,		/* value: bytes */
	TTD_EVENT_HWADDR,
	TTD_EVENT_LINK,		/* value: 1 up, 0 down */
	TTD_EVENT_TAMPERED,
	TTD_EVENT_ENDED		/* value: enum ttd_status */
};
struct ttd_event {		/* sized */
	size_t size;
	uint32_t type;		/* enum ttd_event_type */
	uint32_t value;
	char text[112];
};

/*
 * Any L2 or L3 device behind one table of functions, ours or the program's.
 * A NULL entry answers -EOPNOTSUPP.
 */
struct ttd_netdev_ops {		/* sized */
	size_t size;
	uint32_t layer;		/* enum ttd_layer */
	uint32_t reserved;
	int (*set_handler)(void *self, ttd_handler *handler, void *arg);
	int (*send)(void *self, const void *buf, size_t len);
	int (*close)(void *self);
	int (*hwaddr)(void *self, uint8_t ret[6]);		/* L2 */
	int (*addr)(void *self, struct ttd_prefix *ret);	/* L3 */
	int (*set_addr)(void *self, const struct ttd_prefix *prefix);
};
struct ttd_netdev {		/* FROZEN, passed by value */
	const struct ttd_netdev_ops *ops;
	void *self;
};

/* "0.1.0"; a constant. */
const char *ttd_version(void);

#ifdef __cplusplus
}
#endif
#endif
