/* What the policy allows may still be the host's own, or another device's. */
#ifndef TUNTAPD_HOST_H
#define TUNTAPD_HOST_H

#include <stdbool.h>

#include "../policy/policy.h"
#include "registry.h"
#include "routes.h"
#include "../proto/wire.h"

/*
 * For whom it is asked.  Routes of his own leases are no networks to him, so
 * that his devices may share them out as he likes.
 */
struct host_asker {
	const struct registry *registry;
	uid_t uid;
	unsigned ifindex;	/* of the device; 0: it is not made yet */
	uint64_t serial;	/* younger leases, and those that end, do not
				   count; 0: all do */
};

/*
 * May a device have these addresses and routes beside what the host has, as the
 * mirror knows it?  Addresses that `has` (NULL: none) has too are not looked at;
 * besides are routes that it has.  metric: of the routes to networks of its
 * addresses.  terms: whether it may take packets from other devices' networks
 * and routes, and which rule says so.  0, or -errno with *why filled.
 */
int host_check(const struct wire_open *open, const struct wire_open *has,
	       const struct routes *besides, const struct host_asker *by,
	       uint32_t metric, const struct policy_terms *terms,
	       struct wire_refused *why);
/* Of a device that is there and has all this: does it lie in others' networks? */
int host_check_again(const struct wire_open *has,
		     const struct routes *besides, const struct host_asker *by,
		     const struct policy_terms *terms,
		     struct wire_refused *why);

#endif
