#include "host.h"

#include <string.h>

#include "mirror.h"
#include "refuse.h"

/* Is it a network to him who asks? */
static bool counts(const void *arg, const struct net *net)
{
	const struct host_asker *by = arg;
	const struct lease *lease;

	if (!net->ifindex)
		return true;
	if (net->ifindex == by->ifindex)
		return false;
	lease = registry_find(by->registry, net->ifindex);
	if (lease && by->serial && (lease->serial > by->serial ||
				    lease->state == WIRE_LEASE_ENDING))
		return false;
	return net->kind != NET_LEASE || (lease && lease->uid != by->uid);
}

/* An address alone as such: of 10.0.0.1/24 nobody typed a 10.0.0.1/32. */
static const char *text_of(const struct prefix *p, char *text)
{
	prefix_format(p, text);
	if (prefix_is_full(p))
		*strchr(text, '/') = '\0';
	return text;
}

/*
 * What is or lies in a network of another device would take packets from there,
 * whatever its metric; an address does so by its broadcast route too, which the
 * kernel makes.
 */
static int check_shadow(const struct prefix *p, const char *what,
			const struct host_asker *by,
			const struct policy_terms *terms,
			struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	struct prefix net;
	const char *owner;
	int error;

	if (terms->shadow)
		return 0;
	owner = mirror_network_owner(p, counts, by, &net);
	if (!owner)
		return 0;
	error = refuse(why, WIRE_E_EXISTS, what, "%s lies in %s, which is the "
		       "network of %s; ask for one that does not, or have the "
		       "rule say `shadow = yes`", text_of(p, text),
		       prefix_format(&net, theirs), owner);
	if (why)
		memcpy(why->rule, terms->shadow_rule, sizeof(why->rule));
	return error;
}

static int check_shadows(const struct wire_address *a,
			 const struct host_asker *by,
			 const struct policy_terms *terms,
			 struct wire_refused *why)
{
	/* However wide what it opens is, the host would be that one itself. */
	const struct prefix own = prefix_host(&a->local);
	int error = check_shadow(&own, "address", by, terms, why);

	if (!error && a->peer.family)
		error = check_shadow(&a->peer, "address", by, terms, why);
	return error;
}

/* Its own with another length or peer, or while it is down, is no other's. */
static int check_owner(const struct wire_address *a,
		       const struct host_asker *by, struct wire_refused *why)
{
	const char *owner = mirror_address_owner(&a->local, by->ifindex);
	char text[PREFIX_TEXT_MAX];

	if (!owner)
		return 0;
	return refuse(why, WIRE_E_ADDRESS_TAKEN, "address",
		      "%s: the host has this address on %s; ask for another "
		      "one", prefix_format(&a->local, text), owner);
}

static bool had_address(const struct wire_open *has,
			const struct wire_address *a)
{
	for (unsigned i = 0; has && i < has->n_addresses; i++) {
		const struct wire_address *b = &has->addresses[i];

		if (prefix_same_address(&a->local, &b->local) &&
		    a->local.len == b->local.len &&
		    a->peer.family == b->peer.family &&
		    (!a->peer.family || prefix_equal(&a->peer, &b->peer)))
			return true;
	}
	return false;
}

/* With no larger metric, so that what it outranks was outranked before. */
static bool had_route(const struct routes *besides, const struct wire_route *r)
{
	struct wire_route had = { .dst = r->dst };

	return routes_find(besides, &had, &had) && had.metric <= r->metric;
}

/* --- routes of the same prefix ------------------------------------------ */

/* A default route is made as its two halves. */
static unsigned parts_of(const struct prefix *dst, struct prefix part[2])
{
	part[0] = *dst;
	if (dst->len > 0)
		return 1;
	part[0].len = 1;
	part[1] = part[0];
	part[1].ip[0] = 0x80;
	return 2;
}

/* The network that an address opens.  False: none. */
static bool network_of(const struct wire_address *a, struct prefix *ret)
{
	if (!a->peer.family && prefix_is_full(&a->local))
		return false;
	*ret = prefix_network(a->peer.family ? &a->peer : &a->local);
	return true;
}

/* Of the same prefix the smallest metric counts, whoever came first. */
static int check_rank(const struct prefix *dst, uint32_t metric,
		      const char *what, const struct host_asker *by,
		      const struct policy_terms *terms,
		      struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX];
	struct prefix part[2];
	unsigned n = terms->shadow ? 0 : parts_of(dst, part);

	for (unsigned i = 0; i < n; i++) {
		uint32_t theirs;
		const char *owner = mirror_outranked(&part[i], by->ifindex,
						     metric, &theirs);
		int error;

		if (!owner)
			continue;
		error = refuse(why, WIRE_E_EXISTS, what, "%s has a "
				      "route to %s with metric %u, and this "
				      "one would have %u; ask for another "
				      "prefix or a larger metric, or have the "
				      "rule say `shadow = yes`", owner,
				      prefix_format(&part[i], text), theirs,
				      metric);
		if (why)
			memcpy(why->rule, terms->shadow_rule,
			       sizeof(why->rule));
		return error;
	}
	return 0;
}

static int is_network(const struct wire_route *r, const struct wire_address *a,
		      struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX], local[PREFIX_TEXT_MAX];

	return refuse(why, WIRE_E_EXISTS, "route", "the device has a route to "
		      "%s already, with metric %u, by its address %s; leave it "
		      "out, or ask for another metric",
		      prefix_format(&r->dst, text), r->metric,
		      prefix_format(&a->local, local));
}

/* The route that an address brings along is one as well. */
static int check_own(const struct wire_open *open, uint32_t metric,
		     const struct wire_route *r, struct wire_refused *why)
{
	struct prefix part[2], net;
	unsigned n = parts_of(&r->dst, part);

	if (r->metric != metric)
		return 0;
	for (unsigned i = 0; i < open->n_addresses * n; i++) {
		const struct wire_address *a = &open->addresses[i / n];
		const struct wire_route half = { .dst = part[i % n],
						 .metric = metric };

		if (network_of(a, &net) && prefix_equal(&net, &half.dst))
			return is_network(&half, a, why);
	}
	return 0;
}

/* No network of an address is as wide as a default route, or its half. */
static int check_besides(const struct wire_address *a,
			 const struct routes *besides, uint32_t metric,
			 struct wire_refused *why)
{
	struct wire_route r = { .metric = metric };

	if (!metric || !network_of(a, &r.dst) || !routes_find(besides, &r, &r))
		return 0;
	return is_network(&r, a, why);
}

static int check_address(const struct wire_address *a,
			 const struct host_asker *by, uint32_t metric,
			 const struct policy_terms *terms,
			 struct wire_refused *why)
{
	struct prefix net;
	int error = check_owner(a, by, why);

	if (!error)
		error = check_shadows(a, by, terms, why);
	if (!error && network_of(a, &net))
		error = check_rank(&net, metric, "address", by, terms, why);
	return error;
}

int host_check(const struct wire_open *open, const struct wire_open *has,
	       const struct routes *besides, const struct host_asker *by,
	       uint32_t metric, const struct policy_terms *terms,
	       struct wire_refused *why)
{
	int error = 0;

	for (unsigned i = 0; i < open->n_addresses && !error; i++) {
		const struct wire_address *a = &open->addresses[i];

		if (had_address(has, a))
			continue;
		error = check_address(a, by, metric, terms, why);
		if (!error)
			error = check_besides(a, besides, metric, why);
	}
	for (unsigned i = 0; i < open->n_routes && !error; i++) {
		const struct wire_route *r = &open->routes[i];

		error = check_own(open, metric, r, why);
		if (error || had_route(besides, r))
			continue;
		error = check_shadow(&r->dst, "route", by, terms, why);
		if (!error)
			error = check_rank(&r->dst, r->metric, "route", by, terms,
					   why);
	}
	return error;
}

int host_check_again(const struct wire_open *has,
		     const struct routes *besides, const struct host_asker *by,
		     const struct policy_terms *terms,
		     struct wire_refused *why)
{
	int error = 0;

	for (unsigned i = 0; i < has->n_addresses && !error; i++)
		error = check_shadows(&has->addresses[i], by, terms, why);
	for (uint32_t i = 0; i < besides->n && !error; i++) {
		struct wire_route r = routes_get(besides, i);

		error = check_shadow(&r.dst, "route", by, terms, why);
	}
	return error;
}
