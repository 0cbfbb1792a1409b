/*
 * The routes that a lease has been given, many of them: by destination, so that
 * one is found, added and taken away at once.  Pure.
 */
#ifndef TUNTAPD_ROUTES_H
#define TUNTAPD_ROUTES_H

#include "../proto/wire.h"

/* What they lead to, as a part of all addresses: see routes_share(). */
struct routes_share {
	uint64_t ipv4, ipv6;
};

/* Made from zeros. */
struct routes {
	struct routes_entry *all;	/* n of them, in no order, and room */
	uint32_t n, room;
	uint32_t *heads;		/* by hash of the destination */
	uint32_t n_heads;
	struct routes_share share;
	uint32_t pairs;			/* see routes_count() */
};

void routes_free(struct routes *routes);
/* So many more can be added, which cannot fail then.  0 or -ENOMEM. */
int routes_reserve(struct routes *routes, uint32_t more);
/* One that is not there: no two have the same destination and metric. */
void routes_add(struct routes *routes, const struct wire_route *r);
/* By destination and metric.  False: there is no such one. */
bool routes_remove(struct routes *routes, const struct wire_route *r);
/* Gives back the room of what was taken away. */
void routes_trim(struct routes *routes);

/* The i-th, below n; adding leaves the order as it is, removing does not. */
struct wire_route routes_get(const struct routes *routes, uint32_t i);
/*
 * The one that is meant: of this destination, and gateway and metric where they
 * are not 0; of several the one with the lowest metric.  False: none.
 */
bool routes_find(const struct routes *routes, const struct wire_route *r,
		 struct wire_route *ret);
/*
 * How many they are to the policy: the halves of a default route are one, as
 * after a restart nothing tells whether that is what was asked for.
 */
uint32_t routes_count(const struct routes *routes);
/* How many have this destination. */
unsigned routes_alike(const struct routes *routes, const struct prefix *dst);

/* What a prefix is of all addresses. */
void routes_share(struct routes_share *to, const struct prefix *p);
/*
 * Where these overlap they count twice, but for one destination with several
 * metrics: may they be a default route?
 */
bool routes_share_is_large(const struct routes_share *share);

#endif
