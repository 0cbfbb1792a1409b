#include "judge.h"

struct look {
	const struct routes *routes;
	uint32_t *n;			/* so many of them so far */
};

static void destinations(void *arg, struct prefix *ret)
{
	const struct look *look = arg;
	const struct routes *all = look->routes;

	*look->n += all->n;
	for (uint32_t i = 0; i < all->n; i++)
		ret[i] = routes_get(all, i).dst;
}

/* May all of it together be as much as a default route? */
static bool is_large(const struct routes *routes, const struct wire_open *ask)
{
	struct routes_share share = routes->share;

	for (unsigned i = 0; i < ask->n_routes; i++)
		if (!routes_alike(routes, &ask->routes[i].dst))
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
	uint32_t all = routes_count(routes) + ask->n_routes, i = 0;
	int error = 0;

	usage.destinations = NULL;	/* all together they were looked at */
	while (i < routes->n && !error) {
		part = *ask;
		part.n_routes = 0;
		while (i < routes->n && part.n_routes < WIRE_ROUTES_MAX)
			part.routes[part.n_routes++] = routes_get(routes, i++);
		/* With these they are all, though halves count for less. */
		usage.routes = all - part.n_routes;
		error = policy_decide(held->server->policy, &held->conn->peer,
				      &part, &usage, &part, ret);
	}
	return error;
}

int judge_device(const struct held *held, struct wire_open *ask,
		 struct policy_usage *usage, bool whole, uint32_t *ret_looked,
		 struct policy_decision *ret)
{
	struct look look = { &held->routes, ret_looked };
	struct policy_decision kept;
	int error;

	usage->routes = routes_count(&held->routes);
	usage->routes_arg = &look;
	*ret_looked = 0;
	usage->ipv6 = held->routes.share.ipv6 > 0;
	usage->n_destinations = held->routes.n;
	usage->destinations = is_large(&held->routes, ask) ? destinations :
			      NULL;
	error = policy_decide(held->server->policy, &held->conn->peer, ask,
			      usage, ask, ret);
	if (!error && whole) {
		*ret_looked += held->routes.n;
		error = judge_kept(held, ask, *usage, &kept);
	}
	usage->routes_arg = NULL;
	if (error && ret->code == 0)
		*ret = kept;
	return error;
}
