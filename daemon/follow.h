/*
 * Guards follow what the host has: which leases something that came or went is
 * inside of, and their guards made anew, a few at a time.
 */
#ifndef TUNTAPD_FOLLOW_H
#define TUNTAPD_FOLLOW_H

#include "nets.h"
#include "server.h"

struct held;

/* A prefix that a lease's packets may come from, and so may somebody's. */
struct claim {
	struct net net;		/* first */
	struct held *held;
	bool named;
};

/* Those of one lease: what it was given, or (named) what its rule says. */
struct claims {
	struct claim *all;	/* n of them, with room for more; owned */
	size_t n, room;
	bool named, followed;
};

int claims_init(struct claims *claims, size_t room);	/* 0 or -ENOMEM */
void claims_add(struct claims *claims, const struct prefix *prefix);
/* Followed or not; made from zeros is fine. */
void claims_free(struct claims *claims);
/* From now on.  What comes or goes in them touches the lease. */
void follow_claims(struct held *held, struct claims *claims);

int follow_start(struct server *server);	/* 0 or -ENOMEM */
void follow_stop(void);

/*
 * The guard of a held device is looked at again soon, at most each
 * LIMIT_GUARD_MS.  Where none fits any more the device is taken back.
 */
void follow_touch(struct held *held);
/* A mirror_listener's. */
void follow_touched(const struct net *what);
/*
 * Do the guards of others have room for n more routes of this lease?  Who has
 * many is refused, rather than that another one's device is taken back; not who
 * has few, as else others could fill a guard to keep him out.  0 or -errno with
 * *why filled.
 */
int follow_room(const struct held *held, const struct wire_route *routes,
		unsigned n, struct wire_refused *why);
/* Before a lease is freed. */
void follow_forget(struct held *held);

#endif
