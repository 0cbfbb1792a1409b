/*
 * Sockets to listen on: made here, or passed in by whoever started us
 * (passed.h).
 */
#ifndef TUNTAPD_LISTEN_H
#define TUNTAPD_LISTEN_H

#include <stdbool.h>

#include "../proto/wire.h"
#include "server.h"

#define LISTENERS_MAX 8

struct listener;
struct listeners {
	struct listener *all[LISTENERS_MAX];
	unsigned n;
};

/*
 * Closes what else we were started with, but for the standard descriptors: it
 * could be anything, and none of what is given up later takes it away.
 */
void listen_close_others(void);
/* Takes the passed sockets.  How many, or -errno; with any none are made. */
int listen_passed(struct listeners *l, struct wire_refused *why);

/*
 * Binds and listens.  A socket file that nobody serves is replaced, one that
 * somebody serves is not.  The public socket is 0666, the admin socket 0600.
 * 0 or -errno.
 */
int listen_at(struct listeners *l, const char *path, bool admin,
	      struct wire_refused *why);

/* Hands connections to conn_new() from now on.  0 or -errno. */
int listen_start(struct listeners *l, struct server *server);
/* Closes them, and removes the socket files that were made here. */
void listen_stop(struct listeners *l);

#endif
