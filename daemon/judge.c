#include "judge.h"

static void destinations(void *routes, struct prefix *ret)
{
	const struct routes *all = routes;

	for (uint32_t i = 0; i < all->n; i++)
		ret[i] = routes_get(all, i).dst;
}

/* May all of it together be as much as a default route? */
static bool is_large(const struct routes *routes, const struct wire_open *ask)
{
	struct routes_share share = routes->share;

	for (unsigned i = 0; i < ask->n_routes; i++)
		routes_share(&share, &ask->routes[i].dst);
	for (unsigned i = 0; i < ask->n_addresses; i++)
		routes_share(&share, lease_far_end(&ask->addresses[i]));
	return routes_share_is_large(&share);
}

/* The lease's own routes, as many at a time as one request has. */
static int judge_kept(const struct held *held, const struct wire_open *ask,
		      struct policy_usage usage, struct policy_decision *ret)
{
	static struct wire_open part;	/* large; used up before we return */
	const struct routes *routes = &held->routes;
	uint32_t all = routes->n + ask->n_routes, i = 0;
	int error = 0;

	usage.destinations = NULL;	/* all together they were looked at */
	while (i < routes->n && !error) {
		part = *ask;
		part.n_routes = 0;
		while (i < routes->n && part.n_routes < WIRE_ROUTES_MAX)
			part.routes[part.n_routes++] = routes_get(routes, i++);
		usage.routes = all - part.n_routes;
		error = policy_decide(held->server->policy, &held->conn->peer,
				      &part, &usage, &part, ret);
	}
	return error;
}

int judge_device(const struct held *held, struct wire_open *ask,
		 struct policy_usage *usage, bool whole,
		 struct policy_decision *ret)
{
	struct policy_decision kept;
	int error;

	usage->routes = held->routes.n;
	usage->routes_arg = (void *)(uintptr_t)&held->routes;
	usage->ipv6 = held->routes.share.ipv6 > 0;
	usage->destinations = is_large(&held->routes, ask) ? destinations :
			      NULL;
	error = policy_decide(held->server->policy, &held->conn->peer, ask,
			      usage, ask, ret);
	if (!error && whole)
		error = judge_kept(held, ask, *usage, &kept);
	if (error && ret->code == 0)
		*ret = kept;
	return error;
}
