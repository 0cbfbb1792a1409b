/*
 * What becomes of a source, over all the addresses of a family: a list of the
 * addresses at which the answer changes.
 */
#ifndef TUNTAPD_GUARD_SET_H
#define TUNTAPD_GUARD_SET_H

#include "guard.h"

#define GUARD_WORDS	4

/* Where a source leads to. */
enum guard_end {
	GUARD_END_DROP,			/* first: of equal prefixes it wins */
	GUARD_END_ACCEPT,
	GUARD_END_ZERO,			/* 0.0.0.0: if it is ARP's or DHCP's */
	GUARD_END_LINK,			/* fe80::/10: if a neighbour's */
	GUARD_ENDS
};

struct guard_change {
	uint32_t first[GUARD_WORDS];	/* from this address on; an IPv4 one is
					   the first word, the others are 0 */
	enum guard_end end;
};

/* In order; the first change is at address 0, each is one. */
struct guard_set {
	struct guard_change *at;
	size_t n;
};

/* 0 or -ENOMEM.  family: 4 or 6. */
int guard_set_make(const struct guard_spec *spec, uint8_t family,
		   struct guard_set *ret);
void guard_set_free(struct guard_set *set);	/* a zeroed one is fine */

#endif
