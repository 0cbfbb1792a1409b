/*
 * rtnetlink: requests gathered into a batch, sent at once, every answer read;
 * and the stream of what changes.  libmnl does the bytes.
 */
#ifndef TUNTAPD_RTNL_H
#define TUNTAPD_RTNL_H

#include <stddef.h>
#include <stdint.h>

#include "../proto/wire.h"
#include "guard.h"
#include "os.h"

struct nlmsghdr;
struct mnl_socket;

/* rtm_protocol of our routes; systemd/ ships its name for rt_protos.d. */
#define RTNL_PROTOCOL	116

/* The kind of qdisc that guards hang on. */
#define RTNL_GUARD_QDISC "clsact"

/*
 * A batch.  Adding to a full one is remembered, and rtnl_commit() says so.
 */
#define RTNL_WHAT_MAX	128
#define RTNL_TEXT_MAX	80
struct rtnl_row {			/* a message of a batch */
	const char *step;		/* what a refusal names */
	const int *tolerate;		/* these are no failure; 0 ends them */
	uint32_t seq;
	int error;			/* what the kernel said, or 0 */
	bool is_route, removes, sourced;
	union {
		char what[RTNL_TEXT_MAX];	/* "address 10.0.0.1/24", or "" */
		struct wire_route route;	/* which takes time to write */
	};
};
struct rtnl_batch {
	uint8_t *buf;
	size_t len, room;
	unsigned n, room_rows;
	struct rtnl_row *rows;		/* n of them */
	int error;
};

/* rtnl.c */

/* A socket for requests; one thread at a time. */
struct rtnl {
	struct mnl_socket *nl;
	uint32_t seq;
};

int rtnl_open(struct rtnl *ret);	/* 0 or -errno */
int rtnl_fd(const struct rtnl *rtnl);
void rtnl_close(struct rtnl *rtnl);	/* a zeroed one is fine */

/*
 * Sends the batch and reads the answer to every message: the kernel goes on
 * after a failed one.  0, or the kernel's own -errno for the first that failed,
 * with its step, what was asked, and the kernel's words in *why.
 */
int rtnl_commit(struct rtnl *rtnl, struct rtnl_batch *batch,
		struct os_link *ret_link, struct wire_refused *why);

/* Tells all links, once or several times.  0 or -errno. */
int rtnl_dump_links(struct rtnl *rtnl,
		    void (*link)(void *arg, const struct os_link *link,
				 bool gone), void *arg);
/* Tells where guards are, to a watcher that asks for that. */
int rtnl_dump_guards(struct rtnl *rtnl, const struct os_watcher *watcher);
/* Tells all links, addresses and routes to the watcher.  0 or -errno. */
int rtnl_dump(struct rtnl *rtnl, const struct os_watcher *watcher);
/*
 * Opens a socket that hears of changes, non-blocking.  Not of routes of ours: we
 * made them, and there may be very many.
 */
int rtnl_open_events(struct rtnl *ret);
/*
 * Tells what has come, of so many datagrams at the most.  0, -EAGAIN if there
 * may be more, -ENOBUFS when some was lost, or -errno.
 */
int rtnl_read_events(struct rtnl *rtnl, const struct os_watcher *watcher,
		     unsigned most);

/* rtnl_batch.c */

int rtnl_batch_init(struct rtnl_batch *batch);	/* 0 or -ENOMEM */
void rtnl_batch_free(struct rtnl_batch *batch);
/* What was asked for, in words. */
void rtnl_row_what(const struct rtnl_row *row, char ret[RTNL_WHAT_MAX]);

void rtnl_set_alias(struct rtnl_batch *b, unsigned ifindex, const char *alias);
void rtnl_set_name(struct rtnl_batch *b, unsigned ifindex, const char *name);
void rtnl_set_mac(struct rtnl_batch *b, unsigned ifindex, const uint8_t mac[6]);
void rtnl_set_mtu(struct rtnl_batch *b, unsigned ifindex, uint32_t mtu);
void rtnl_set_txqueuelen(struct rtnl_batch *b, unsigned ifindex, uint32_t len);
void rtnl_set_up(struct rtnl_batch *b, unsigned ifindex, bool up);
/*
 * With an IPv4 address the kernel drops the later ones of the same prefix, also
 * those that others gave the device; not any more (promote_secondaries).
 */
void rtnl_keep_addresses(struct rtnl_batch *b, unsigned ifindex);
/*
 * With IFA_F_NOPREFIXROUTE: the connected route is ours to make.  ensure: that
 * it is there already is fine.
 */
void rtnl_add_address(struct rtnl_batch *b, unsigned ifindex,
		      const struct wire_address *a, bool ensure);
/* That it is not there is fine. */
void rtnl_remove_address(struct rtnl_batch *b, unsigned ifindex,
			 const struct wire_address *a);
/*
 * source: preferred source address, or NULL.  CREATE|EXCL, never REPLACE.  A
 * default route is made as its two halves.
 */
void rtnl_add_route(struct rtnl_batch *b, unsigned ifindex,
		    const struct wire_route *r, const struct prefix *source,
		    bool ensure);
void rtnl_remove_route(struct rtnl_batch *b, unsigned ifindex,
		       const struct wire_route *r);

/* The guard: all of it; or another program in its place, at once. */
void rtnl_add_guard(struct rtnl_batch *b, unsigned ifindex,
		    const struct guard_program *program);
void rtnl_set_guard(struct rtnl_batch *b, unsigned ifindex,
		    const struct guard_program *program);
/* Puts the link into a group; deletes all links of one. */
void rtnl_set_group(struct rtnl_batch *b, unsigned ifindex, uint32_t group);
void rtnl_delete_group(struct rtnl_batch *b, uint32_t group);
void rtnl_delete_link(struct rtnl_batch *b, unsigned ifindex);
/* Asks for the link; its answer goes to rtnl_commit()'s ret_link. */
void rtnl_get_link(struct rtnl_batch *b, unsigned ifindex);

/* rtnl_move.c */

/*
 * Adds what brings a device from one description to another, of which
 * addresses, routes, the MTU (0: as it is) and WIRE_OPEN_DOWN count.  The
 * connected routes of its addresses get this metric.  repair: it may be anywhere
 * between the two.
 */
struct rtnl_move {
	unsigned ifindex;
	uint32_t connected_metric;
	const struct wire_open *from, *to;
	bool repair;
};
void rtnl_move(struct rtnl_batch *b, const struct rtnl_move *m);
/* May the kernel drop routes on the way that neither of the two names? */
bool rtnl_move_drops_routes(const struct rtnl_move *m);

/* rtnl_parse.c */

/* Tells the watcher one message, if it is one of what it wants to know. */
void rtnl_tell_message(const struct nlmsghdr *nlh, const struct os_watcher *w);
/* The link of an RTM_NEWLINK or RTM_DELLINK. */
void rtnl_parse_link(const struct nlmsghdr *nlh, struct os_link *ret);
/* The kernel's own words in an error message, or "". */
void rtnl_extended_text(const struct nlmsghdr *nlh, char *ret, size_t cap);

/* rtnl_done.c */

/*
 * The routes that batches have made and removed, of which the kernel tells
 * nothing: see rtnl_open_events().  Made from zeros.
 */
struct rtnl_done {
	uint8_t *buf;		/* messages, len bytes of them */
	size_t len, room;
	bool lost;		/* there was no memory for some */
};
/* Notes those of one that was committed, whatever came of it. */
void rtnl_note(struct rtnl_done *done, const struct rtnl_batch *batch);
/* Tells and forgets them.  0, or -ENOBUFS if some are not known any more. */
int rtnl_tell(struct rtnl_done *done, const struct os_watcher *watcher);
/* A dump is about to tell them. */
void rtnl_forget(struct rtnl_done *done);
void rtnl_done_free(struct rtnl_done *done);

#endif
