/*
 * libtuntapd: TUN and TAP devices for programs without rights.
 *
 * tuntapd, a small privileged daemon, makes the device as far as its policy
 * allows and hands over the open fd; this library reads and writes packets on
 * it by itself.  A device is held by a lease, which lives as long as the
 * library's connection to the daemon: ttd_close(), or the end of the process,
 * ends both.
 *
 * When the daemon ends, packets flow on.  When it is started again, the library
 * takes the lease back by itself (TTD_EVENT_DAEMON_LOST, TTD_EVENT_DAEMON_BACK)
 * if it comes from the same uid and the socket path still leads to the daemon:
 * not after setuid(2), nor after chroot(2) or, for a relative path, chdir(2).
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
 *    child that keeps the fds open keeps the lease of a parent that ends without
 *    ttd_close().
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
	TTD_OFFLOAD_SPLIT = 0,	/* the library splits what the kernel hands over
				   and joins what is sent in a batch; the
				   program sees ordinary packets.  Becomes NONE
				   where the policy, or the system (macOS), has
				   no offload */
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
	TTD_LEASE_LOST,		/* a daemon that was started again does not give
				   the lease back */
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

#define TTD_ROUTES_AT_ONCE 256	/* as a whole or not, see ttd_add_routes() */
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
#define TTD_IO_URING	16u	/* batches by io_uring(7), see ttd_open() */

#define TTD_TIMEOUT_DEFAULT_MS 5000

struct ttd_options {		/* sized; begin with TTD_OPTIONS_INIT */
	size_t size;
	uint32_t layer;		/* enum ttd_layer; no default */
	uint32_t flags;		/* TTD_NO_THREAD ... */
	const char *socket_path; /* NULL: $TUNTAPD_SOCKET (secure_getenv(3)),
				   else the built-in path; connected to again
				   when the daemon was lost */
	const char *name;	/* NULL or "": the daemon takes the first free
				   one that the policy allows */
	const struct ttd_addr *addrs;
	size_t n_addrs;
	const struct ttd_route *routes;	/* any number, see ttd_add_routes() */
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
 * With TTD_IO_URING a system call is for many packets, by io_uring(7), rather
 * than for one: of batches, but those of offload SPLIT, and across a wire that
 * ttd_connect() makes between devices of the library's which both have an
 * offload, or both none.  There is more through a wire then, if packets are small
 * or many at a time; one alone takes a little longer.  A queue has two rings, each
 * with an fd, and address space for a batch of the longest packets, 4 MiB.  What
 * the kernel refuses of a batch that is sent is lost, and the rest goes.
 *
 *	-ENOENT -ECONNREFUSED	no daemon at the socket
 *	-EACCES			policy; error->rule is the rule's file:line
 *	-EDQUOT			one device more than the policy allows
 *	-EINVAL			a value makes no sense; error->text says which
 *	-E2BIG			more addresses than one request holds, or more
 *				than a source guard does
 *	-EEXIST			the name or a route is taken, or a prefix lies in
 *				the network of another interface
 *	-EADDRINUSE		the host has an address already
 *	-ENETUNREACH		a gateway cannot be reached through the device
 *	-ENODEV			the daemon cannot use /dev/net/tun
 *	-EOPNOTSUPP		not on this kernel or system; TTD_IO_URING wants
 *				Linux 6.4
 *	-ETIMEDOUT		the daemon did not answer in time
 *	-EPROTONOSUPPORT -EPROTO  not a daemon of this version
 *	-EPIPE			the daemon hung up without an answer
 *	-ENAMETOOLONG		the socket path is longer than sockets have
 *	-EUSERS -EMFILE -ENFILE -ENOMEM -ENOBUFS -EAGAIN -EBUSY -EPERM -EIO
 *	-ENOSYS -EBADMSG -ESHUTDOWN  as error->text says; -ENOSYS and -EPERM also
 *				where there is no io_uring(7), or it is
 *				switched off (sysctl kernel.io_uring_disabled)
 *	and what else connect(2) has: -ENOTDIR -ELOOP -EPROTOTYPE ...
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
 * valid until it returns; nothing is allocated for a packet.  What it
 * returns is ignored, so that a send function serves as a handler.
 */
typedef int ttd_handler(void *arg, void *buf, size_t len);

/*
 * Sets, swaps or (NULL) removes the handler, which a library thread per queue
 * calls: with several queues at the same time on several threads.  Packets
 * wait in the kernel until the first handler is set.
 *
 * When it returns, the old handler neither runs nor will run, and what it works
 * with may go: also when it fails, but for -EINVAL and -EOPNOTSUPP, which
 * change nothing; and also when the device has ended.  Not so when it is called
 * from a handler of the same device, where it cannot wait.  Handlers of two
 * devices must not set each other's, nor free each other: they would wait for
 * one another.
 *
 * -ESHUTDOWN (never for NULL) where the device is not open or all its fds were
 * taken; -EBUSY while ttd_run() runs; -EAGAIN if no thread could be
 * made; -EOPNOTSUPP with offload PASS, whose packets are more than a handler is
 * told; -EINVAL.
 */
int ttd_set_handler(struct ttd_device *dev, ttd_handler *handler, void *arg);

/*
 * [1] Reads and calls the handler on this thread until the device is not open.
 * 0 after ttd_close(); else the cause, as ttd_status() tells it: -ENODEV
 * (deleted), -EPERM (revoked), what reading or writing failed with; the same,
 * at once, where it is not open any more.  -EBUSY where a handler is set or
 * another ttd_run() is on this queue; -ESHUTDOWN for a queue whose fd was
 * taken; -EOPNOTSUPP with offload PASS; -EINVAL for a queue that the
 * device does not have, or without a handler.
 */
int ttd_run(struct ttd_device *dev, unsigned queue, ttd_handler *handler,
	    void *arg);

/*
 * Pull.  The longest packet has 65535 bytes; on a TAP 65557, as an Ethernet
 * header and two VLAN tags come before.  No longer one is received or sent.
 */

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
 * cap, and it is dropped; -ESHUTDOWN; -EBUSY while a handler is set, ttd_run() is
 * on queue 0 or another thread reads from it; -EINVAL.  A signal does not end the
 * wait.
 */
ssize_t ttd_recv(struct ttd_device *dev, void *buf, size_t cap, int timeout_ms);

/*
 * Sends one packet, whole or not at all, on queue 0; never waits.  Serves as a
 * ttd_handler with the device as its arg.  -EAGAIN (the queue is full: drop it
 * or try again), -EINVAL (not an IP packet, or shorter than an Ethernet header
 * on a TAP), -EMSGSIZE (over 65535 bytes, on a TAP 65557), -ENETDOWN (the
 * device is down), -ENOMEM -ENOBUFS, -ESHUTDOWN.
 * With offload PASS it is a finished packet: one with all its checksums, no
 * longer than the MTU.
 */
int ttd_send(struct ttd_device *dev, const void *buf, size_t len);

#define TTD_BATCH_MAX	64	/* packets of one ttd_recv_batch() */

/*
 * [1] Up to n packets (TTD_BATCH_MAX are enough) from a queue: the first one
 * is waited for, and then what there is.  How many, at least one; -EAGAIN
 * (timeout_ms 0) or -ETIMEDOUT; -ESHUTDOWN; -EBUSY as ttd_recv(); -ENOMEM;
 * -EINVAL.
 * Their memory is the queue's, writable, with TTD_HEADROOM bytes before each
 * (TTD_PKT_HEADROOM), and lent until the next call of this function on this
 * queue, ttd_connect() or ttd_free(); behind each there may be the next.  With
 * offload PASS the fields of struct ttd_packet tell what the kernel's
 * virtio_net_hdr said; else they are 0.
 */
int ttd_recv_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n, int timeout_ms);

/*
 * [1] Sends n packets on a queue, in order, and never waits.  With offload SPLIT
 * packets of one flow that follow each other go as one super-packet, where that
 * can be made into the same packets again.  How many were sent; if not even the
 * first one could be, its error as of ttd_send(), so that calling again with the
 * rest tells why it stopped.  With TTD_IO_URING (but not offload SPLIT) it stops at
 * none that the kernel refuses: how many were tried, or the first one's error if
 * the kernel took none of them.  What was lent by ttd_recv_batch(), of any device,
 * may be sent as it is, and goes without a copy of the header.  Where
 * TTD_PKT_HEADROOM is set those bytes are written to, so each packet has its own.
 * One with gso_type or TTD_PKT_NEEDS_CSUM wants a device with offload PASS
 * (-EOPNOTSUPP); reserved fields and unknown flags must be 0 (-EINVAL).
 */
int ttd_send_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n);

/*
 * The fd of a queue, for poll(2) alone; it belongs to the device.  Call
 * ttd_recv() until -EAGAIN each time it is readable.  Watch ttd_done_fd() too:
 * epoll(7) forgets this one when the device is closed.  -EINVAL for a queue
 * that the device does not have; -ESHUTDOWN where it is closed or taken, and
 * RLIMIT_NOFILE was lowered so far that the number could not be kept.
 */
int ttd_fd(const struct ttd_device *dev, unsigned queue);

/*
 * Hands the queue's own fd over, made blocking: bare packets without a header
 * (offload NONE; on macOS each behind its address family, 4 bytes in network
 * order) or with a struct virtio_net_hdr (PASS); -EOPNOTSUPP with SPLIT,
 * as what this fd gives is not what the program was to see.  It is the
 * caller's from now on, close-on-exec.  Library I/O on that queue is
 * -ESHUTDOWN; the lease stays with the device.  -EBUSY while a handler is set
 * or another call uses the queue, -ESHUTDOWN, -EINVAL, -EMFILE, -ENOMEM.
 */
int ttd_take_fd(struct ttd_device *dev, unsigned queue);

/*
 * Configuration: round trips to the daemon, which asks its policy again.  Each
 * is atomic: all of it, or the device is as before.  They block for the
 * options' timeout_ms at most; several threads' are carried out one after the
 * other.  Not with what the kernel or an administrator changed, but with what
 * was asked for, they begin.
 *
 * While the daemon is away they wait for it to come back.  What was asked and
 * not answered when it went away is not asked again: error->step tells that
 * apart.
 *
 *	-EACCES -EDQUOT		policy; error->rule is the rule's file:line
 *	-EINVAL			a value makes no sense; error->text says which
 *	-E2BIG			more than one request or one device holds
 *	-EEXIST			it has the address or route already, another
 *				interface has a route of that prefix with this
 *				or a larger metric, or a prefix lies in its
 *				network
 *	-EADDRINUSE		the host has an address already
 *	-ENETUNREACH		a gateway cannot be reached through the device
 *	-ENOENT			(del) the device has no such address or route
 *	-EPIPE			the daemon is away; packets still flow.  Step
 *				"connect": it did not come back in time, and was
 *				not asked.  Step "answer": it went away before
 *				it answered, the change may be made or not
 *	-ETIMEDOUT		no answer in time: it may still be carried out
 *	-ESHUTDOWN		the device is not open
 *	-EOPNOTSUPP		not on this kernel or system
 *	-EMFILE			the daemon is out of fds
 *	-EBUSY			it cannot come up: see error->text
 *	-EPROTO -EPROTONOSUPPORT -ENOSYS -EBADMSG  not a daemon of this version
 *	-ENODEV -EUSERS -EPERM -ENOMEM -ENOBUFS -EIO  as error->text says
 */

/*
 * Makes this the only address of its family, and brings the device up.  The
 * bits behind the length are the host's part: 10.0.0.1/24.
 */
int ttd_set_ip(struct ttd_device *dev, const struct ttd_prefix *address,
	       struct ttd_error *error);
int ttd_add_addrs(struct ttd_device *dev, const struct ttd_addr *addrs,
		  size_t n, struct ttd_error *error);
/* By local address; a peer that is not 0 must be its peer. */
int ttd_del_addrs(struct ttd_device *dev, const struct ttd_addr *addrs,
		  size_t n, struct ttd_error *error);
/*
 * Any number of routes.  More than TTD_ROUTES_AT_ONCE go to the daemon in parts
 * of so many, each of which is made as a whole or not at all, while others are
 * served in between.  If one is refused, error->text names the route where there
 * is one to name, and what was made of the parts before is taken away again: to
 * the caller it is all of them or none, but for the moments in between.  The
 * same if the daemon goes away and is back in time, or an answer is late; but
 * of up to 16 parts nobody knows then, and these are left as they are.  Where
 * that is so, or taking away fails, error->text says that some may be there.
 * timeout_ms is what the answer to each part may take.
 *
 * Nothing is ever replaced, neither the host's routes nor the device's own.
 * On a device that is down they are kept, and made when it comes up.
 * 0.0.0.0/0 and ::/0 are made as their two halves, so that the host's own
 * default route stays.
 */
int ttd_add_routes(struct ttd_device *dev, const struct ttd_route *routes,
		   size_t n, struct ttd_error *error);
/*
 * By destination, and by gateway and metric where they are not 0; of several
 * the one with the lowest metric.  Of more than TTD_ROUTES_AT_ONCE each part is
 * taken away as a whole or not at all: where one is refused, as the device has
 * not all of its routes, those of the parts before are gone, and of the next up
 * to 16 parts some may be.
 */
int ttd_del_routes(struct ttd_device *dev, const struct ttd_route *routes,
		   size_t n, struct ttd_error *error);
int ttd_set_mtu(struct ttd_device *dev, uint32_t mtu, struct ttd_error *error);
/*
 * up: 1 or 0.  Its addresses and routes come back with 1, also where it is up
 * and others took some away.  -EEXIST, -EADDRINUSE: what was down stays so, as
 * others have been given what would come back.
 */
int ttd_set_up(struct ttd_device *dev, int up, struct ttd_error *error);

/*
 * The addresses it has now, as the kernel tells (flags are 0), its own
 * link-local ones left out.  How many there are; up to cap of them are filled
 * in.  -errno as above.
 */
int ttd_get_addrs(struct ttd_device *dev, struct ttd_addr *ret, size_t cap);
/* The MTU it has now. */
int ttd_get_mtu(struct ttd_device *dev, uint32_t *ret);

/* Facts. */
/*
 * Its name as the kernel has it now; where all its fds were taken, the last one
 * that the daemon told; at open, if it is not open any more.  0, or -EINVAL.
 */
int ttd_name(struct ttd_device *dev, char ret[TTD_NAME_MAX]);
/* The kernel's index; 0 for NULL.  It never changes. */
unsigned ttd_ifindex(const struct ttd_device *dev);
/* 0 for NULL. */
unsigned ttd_queues(const struct ttd_device *dev);
/* What was really got; NONE for NULL. */
enum ttd_offload ttd_offload(const struct ttd_device *dev);
/*
 * The MAC address as it is now (an fd's holder may change it).  -EOPNOTSUPP on
 * a TUN, -ESHUTDOWN, -EINVAL.
 */
int ttd_hwaddr(struct ttd_device *dev, uint8_t ret[6]);

/*
 * Keeps a socket of the program's out of the tunnel: binds it to the interface
 * of the host's own default route (SO_BINDTODEVICE, socket(7); needs no rights
 * for a socket that is not bound yet; on macOS IP_BOUND_IF and IPV6_BOUND_IF),
 * whatever routes lead into the device.
 * family: 4 or 6, of what the socket will talk to.  Before it is connected.
 * When the host's default route moves, a new socket is needed.
 *	-ENETUNREACH	the host has no default route of this family besides
 *			the device
 *	-EPERM		the socket is bound to another interface already
 *	-EAGAIN		the host's routes changed all the time it looked
 *	-ENODEV		that interface went meanwhile
 *	-ETIMEDOUT -EPROTO  the kernel did not list its routes
 *	-EINVAL -EBADF -ENOTSOCK -ENOMEM, or what netlink(7) or sysctl(3) failed
 *			with
 */
int ttd_protect(struct ttd_device *dev, int sockfd, int family);

/*
 * What the daemon tells of a device, and what becomes of the daemon.  A library
 * thread listens, one for all devices of the process; with TTD_NO_THREAD the
 * program does, by ttd_control().  Packets flow without either.
 *
 * After DAEMON_LOST the library tries to take the lease back, at random times,
 * at most about a second apart, as long as the device is open.  DAEMON_BACK: it
 * has.  Behind it come RENAMED, MTU, HWADDR and LINK where the device is not as
 * the program knows it.  If the daemon says no, the device ends with
 * TTD_LEASE_LOST, and ttd_status() tells its words.
 */
enum ttd_event_type {
	TTD_EVENT_DAEMON_LOST = 1, /* packets flow on; requests wait */
	TTD_EVENT_DAEMON_BACK,	/* the lease was taken back */
	TTD_EVENT_RENAMED,	/* text: the new name */
	TTD_EVENT_MTU,		/* value: bytes */
	TTD_EVENT_HWADDR,	/* text: the new MAC address */
	TTD_EVENT_LINK,		/* value: 1 up, 0 down */
	TTD_EVENT_TAMPERED,	/* text: with what */
	TTD_EVENT_ENDED		/* value: enum ttd_status; always the last */
};
struct ttd_event {		/* sized: set size before the call */
	size_t size;
	uint32_t type;		/* enum ttd_event_type */
	uint32_t value;
	char text[112];
};
#define TTD_EVENT_INIT { sizeof(struct ttd_event), 0, 0, { 0 } }

/*
 * The next event, oldest first.  0; -EAGAIN (timeout_ms 0) or -ETIMEDOUT;
 * -ESHUTDOWN once ENDED was told; -EINVAL for a size that no version has.  Of
 * events that nobody takes the last of each type are kept.
 */
int ttd_next_event(struct ttd_device *dev, struct ttd_event *ret,
		   int timeout_ms);
/*
 * An fd that polls readable as long as there is an event.  Poll it only; it
 * belongs to the device until ttd_free().  -EMFILE -ENFILE
 */
int ttd_event_fd(struct ttd_device *dev);

/*
 * TTD_NO_THREAD: when this fd is readable, call ttd_control().  It may be
 * another one after each call; -EAGAIN where there is none just now: the daemon
 * is away.  A new connection has the old one's number, which epoll(7) forgets
 * with the old one: add it again after -EAGAIN and after DAEMON_BACK.
 * -EOPNOTSUPP for devices that a library thread looks after.
 */
int ttd_control_fd(struct ttd_device *dev);
/*
 * [1] Takes in what the daemon has sent, and does the next step of taking the
 * lease back if it is time.  Never blocks.  *ret_wait_ms, unless NULL, is when
 * to call again at the latest; -1: only when the fd is readable.  Calls that
 * wait, for an event or an answer, do the same while they wait.
 * 0, -ESHUTDOWN, -EOPNOTSUPP as above.
 */
int ttd_control(struct ttd_device *dev, int *ret_wait_ms);

/*
 * Any L2 or L3 device behind one table of functions, ours or the program's.
 * A NULL entry answers -EOPNOTSUPP.
 */
struct ttd_netdev_ops {		/* sized */
	size_t size;
	uint32_t layer;		/* enum ttd_layer */
	uint32_t reserved;
	/* as ttd_set_handler(): it waits for the old one, also when it fails */
	int (*set_handler)(void *self, ttd_handler *handler, void *arg);
	int (*send)(void *self, const void *buf, size_t len);
	int (*close)(void *self);
	int (*hwaddr)(void *self, uint8_t ret[6]);		/* L2 */
	int (*addr)(void *self, struct ttd_prefix *ret);	/* L3 */
	int (*set_addr)(void *self, const struct ttd_prefix *prefix); /* stores
				   it, configures nothing */
};
struct ttd_netdev {		/* FROZEN, passed by value */
	const struct ttd_netdev_ops *ops;
	void *self;
};

/*
 * The device as one; it stays the caller's.  Its addr() is the first address of
 * ttd_open(), then what ttd_set_ip() or set_addr() has set since, but that an
 * IPv6 address of ttd_open() or ttd_set_ip() hides no IPv4 one;
 * -EADDRNOTAVAIL if there was none.
 */
struct ttd_netdev ttd_netdev(struct ttd_device *dev);

/* ops->... of a device, with NULL entries and NULL ops taken care of. */
int ttd_netdev_set_handler(struct ttd_netdev d, ttd_handler *handler,
			   void *arg);
int ttd_netdev_send(struct ttd_netdev d, const void *buf, size_t len);
int ttd_netdev_close(struct ttd_netdev d);
int ttd_netdev_hwaddr(struct ttd_netdev d, uint8_t ret[6]);
int ttd_netdev_addr(struct ttd_netdev d, struct ttd_prefix *ret);
int ttd_netdev_set_addr(struct ttd_netdev d, const struct ttd_prefix *prefix);

/*
 * Wires two devices: what the host sends to one is sent on the other, both
 * ways, until either is closed or its handler is set anew.  Both must live as
 * long: before one is freed, ttd_netdev_set_handler(other, NULL, NULL), also
 * when either has ended.  Two devices of ours with offload SPLIT or PASS
 * exchange super-packets untouched.
 * -EINVAL where the layers differ, both are the same, or one is NULL or has a
 * table with a layer, a size or a field that there is not; -EOPNOTSUPP where
 * one lacks set_handler() or send(), or one has offload PASS and the other is
 * none of ours or has offload NONE; or what setting a handler failed with, and
 * then nothing is wired.
 */
int ttd_connect(struct ttd_netdev a, struct ttd_netdev b);

/*
 * A device in memory, for tests and for programs that have one side
 * themselves.  Needs no daemon.  What is injected goes to the handler that was
 * set on it, on the injecting thread; what is sent to it goes to the sink.
 */
struct ttd_pipe;
/*
 * layer: enum ttd_layer.  sink NULL: what is sent is dropped.  mac: of a TAP's
 * hwaddr(), or NULL.  -EINVAL -ENOMEM
 */
int ttd_pipe_new(uint32_t layer, const uint8_t *mac, ttd_handler *sink,
		 void *sink_arg, struct ttd_pipe **ret);
/* Valid until ttd_pipe_free(). */
struct ttd_netdev ttd_pipe_netdev(struct ttd_pipe *pipe);
/*
 * What the handler returns; -EAGAIN where none is set; -ESHUTDOWN after close;
 * -EINVAL; -EMSGSIZE (over 65535 bytes, on a TAP 65557).  buf may be written
 * to.
 */
int ttd_pipe_inject(struct ttd_pipe *pipe, void *buf, size_t len);
/*
 * Closes, waits for handlers and sinks that run, and frees.  From inside of one
 * of them it waits for none, and the last one that returns frees.  NULL is
 * fine.
 */
void ttd_pipe_free(struct ttd_pipe *pipe);

/* What this host can do, as far as that is seen without rights. */
#define TTD_CAP_TUN	1u
#define TTD_CAP_TAP	2u
#define TTD_CAP_QUEUES	4u	/* more than one */
#define TTD_CAP_PASS	8u	/* TTD_OFFLOAD_PASS */
#define TTD_CAP_TSO	16u	/* super-packets of TCP */
#define TTD_CAP_USO	32u	/* and of UDP (Linux 6.2) */
#define TTD_CAP_PROTECT	64u	/* ttd_protect() */
uint64_t ttd_caps(void);

/* "0.1.0"; a constant. */
const char *ttd_version(void);

#ifdef __cplusplus
}
#endif
#endif
