/*
 * What the kernel had none of, as the device was down or its MTU too small, and
 * has again by a request.  Others may have been given it meanwhile, as to them
 * it was not there: so it is asked for as if it were new.
 */
#include "change.h"

#include "../policy/bounds.h"
#include "host.h"

static bool kernel_has(const struct wire_open *o, uint8_t family)
{
	return !(o->flags & WIRE_OPEN_DOWN) &&
	       (family == 4 || o->mtu >= POLICY_MTU_IPV6);
}

static bool comes_back(const struct wire_open *from, const struct wire_open *to,
		       uint8_t family)
{
	return !kernel_has(from, family) && kernel_has(to, family);
}

int change_check_back(const struct held *held, const struct wire_open *from,
		      const struct wire_open *to,
		      const struct policy_terms *terms, struct wire_open *what,
		      struct wire_refused *why)
{
	static const struct routes none;
	const struct lease *lease = &held->lease;
	const struct host_asker by = { .registry = &held->server->registry,
				       .uid = lease->uid,
				       .ifindex = lease->ifindex };
	uint8_t n_addresses = 0;
	uint16_t n_routes = 0;

	for (unsigned i = 0; i < what->n_addresses; i++)
		if (comes_back(from, to, what->addresses[i].local.family))
			what->addresses[n_addresses++] = what->addresses[i];
	for (unsigned i = 0; i < what->n_routes; i++)
		if (comes_back(from, to, what->routes[i].dst.family))
			what->routes[n_routes++] = what->routes[i];
	what->n_addresses = n_addresses;
	what->n_routes = n_routes;
	return host_check(what, NULL, &none, &by, held->connected_metric,
			  terms, why);
}
