/*
 * A client's connection: frames in, answers out, deadlines.  At any time it
 * either waits for a request, or answers one, or that waits until the turn is
 * its user's: nothing more is read before the answer is out, so that what a
 * client can make us keep is one request and one answer.  Events go out in
 * between, and are made only when the last one is out: a client that does not
 * read them costs nothing and misses nothing but what is out of date.  So do
 * notices, of which one that monitors misses what it has no room for.
 */
#ifndef TUNTAPD_CONN_H
#define TUNTAPD_CONN_H

#include <event2/event_struct.h>

#include "../proto/frame.h"
#include "server.h"

struct held;
struct monitor;

struct conn {
	struct server *server;
	int fd;
	bool bytes_only;		/* it never held fds, nor will it */
	struct peer peer;		/* pinned when it was accepted */
	bool owing;			/* an answer is not out yet */
	bool sending;			/* and its deadline runs */
	bool busy;			/* the worker is at it: hold the answer */
	bool finishing;			/* close once the answer is out */
	uint16_t request;		/* id of the one being answered */
	struct registry_request whole;	/* one that is in, and may wait */
	struct frame_in in;
	uint8_t *out;			/* out_len bytes, out_off of them sent */
	size_t out_len, out_off;
	struct held *held;		/* its lease, or NULL */
	unsigned handed;		/* fds of it that were sent */
	struct monitor *monitor;	/* what it is to be told, or NULL */
	/* Goes on with an answer of many messages; NULL: there is none. */
	void (*more)(struct conn *c);
	struct registry_cursor cursor;	/* of a LIST under way */
	uint32_t rule, generation;	/* of a POLICY under way */
	uint32_t told;			/* messages of either */
	/*
	 * Of a CLOSE under way: which leases, the youngest of them all when it
	 * came, and how many of those that it meant are not gone yet.
	 */
	struct wire_close close;
	uint64_t youngest;
	unsigned closing;
	struct event readable, writable, deadline;
	struct conn *prev, *next;
};

/* 0 or -errno.  And ends them all; their devices stay with their holders. */
int conn_start(struct server *server);
void conn_stop(struct server *server);

/*
 * Takes over an accepted socket.  Where no fds are left it refuses who is not
 * on the admin socket, and is back without it.
 */
void conn_new(struct server *server, int fd, bool admin, bool fds_left);

/*
 * Adds an answer to the output, under the id of the request; m->id is set by
 * this.  Running out of memory ends the connection.
 */
void conn_answer(struct conn *c, struct wire_message *m);
void conn_refuse(struct conn *c, const struct wire_refused *why);
/* There is something to tell that was not asked for. */
void conn_wake(struct conn *c);
/* The same, and if possible it is told at once.  Frees nothing. */
void conn_tell(struct conn *c);
/* The worker is done: go on with what was held back. */
void conn_resume(struct conn *c);
/* Ends it, and its lease with it. */
void conn_drop(struct conn *c);

#endif
