/* What the policy allows may still be the host's own, or another device's. */
#ifndef TUNTAPD_HOST_H
#define TUNTAPD_HOST_H

#include <stdbool.h>

#include "../policy/policy.h"
#include "routes.h"
#include "../proto/wire.h"

/*
 * May a device (its index, 0 if it is not made yet) have these addresses and
 * routes beside what the host has, as the mirror knows it?  Addresses that `has`
 * (NULL: none) has too are not looked at; besides are routes that it has.
 * metric: of the routes to networks of its addresses.  terms: whether it may
 * take packets from other devices' networks and routes, and which rule says so.
 * 0, or -errno with *why filled.
 */
int host_check(const struct wire_open *open, const struct wire_open *has,
	       const struct routes *besides, unsigned ifindex, uint32_t metric,
	       const struct policy_terms *terms, struct wire_refused *why);
/* Of a device that is there and has all this: does it lie in others' networks? */
int host_check_again(const struct wire_open *has,
		     const struct routes *besides, unsigned ifindex,
		     const struct policy_terms *terms,
		     struct wire_refused *why);

#endif
