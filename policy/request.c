/*
 * What no device may have, whatever a policy says.  So a policy with too wide
 * a list gives nothing away that is the host's own, and a client learns of a
 * value without sense before anybody looks at his rights.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "rules.h"

#define INVALID(ret, ...) \
	policy_refuse((ret), WIRE_E_INVALID, "request", __VA_ARGS__)

static const struct {
	struct prefix prefix;
	const char *what;
} forbidden[] = {
	{ { { 127 }, 4, 8 }, "loopback" },
	{ { { 0 }, 4, 8 }, "this network" },
	{ { { 224 }, 4, 4 }, "multicast" },
	{ { { 255, 255, 255, 255 }, 4, 32 }, "broadcast" },
	{ { { 0 }, 6, 128 }, "unspecified" },
	{ { { [15] = 1 }, 6, 128 }, "loopback" },
	{ { { 0xff }, 6, 8 }, "multicast" },
	{ { { [10] = 0xff, [11] = 0xff }, 6, 96 }, "IPv4-mapped" },
};
#define N_FORBIDDEN	(sizeof(forbidden) / sizeof(*forbidden))

int policy_refuse(struct policy_decision *ret, enum wire_error code,
		  const char *step, const char *fmt, ...)
{
	va_list args;

	*ret = (struct policy_decision){ .code = code };
	snprintf(ret->step, sizeof(ret->step), "%s", step);
	va_start(args, fmt);
	vsnprintf(ret->text, sizeof(ret->text), fmt, args);
	va_end(args);
	return -wire_error_errno((uint16_t)code);
}

static int check_name(const char name[WIRE_NAME_MAX + 1],
		      struct policy_decision *ret)
{
	const char *why = *name ? name_fault(name) : NULL;
	char shown[WIRE_NAME_MAX + 1] = "";

	if (!why)
		return 0;
	for (size_t i = 0; i < WIRE_NAME_MAX && name[i]; i++)
		shown[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	return INVALID(ret, "`%s` cannot be a device's name: %s; ask for 1 to "
		       "15 letters, digits, -, _ and ., or for none", shown,
		       why);
}

static int check_mac(const struct wire_open *ask, struct policy_decision *ret)
{
	static const uint8_t zero[6];

	if (!(ask->flags & WIRE_OPEN_MAC_SET))
		return 0;
	if (ask->layer != WIRE_TAP)
		return INVALID(ret, "a TUN has no MAC address; ask for a TAP, "
			       "or for no MAC");
	if (memcmp(ask->mac, zero, sizeof(zero)) == 0)
		return INVALID(ret, "MAC 00:00:00:00:00:00 is no address; ask "
			       "for another, or for none");
	if (ask->mac[0] & 1)
		return INVALID(ret, "MAC %02x:... is a group's; the lowest bit "
			       "of the first byte must be 0 (%02x:...)",
			       ask->mac[0], ask->mac[0] & 0xfe);
	return 0;
}

static bool has_ipv6(const struct wire_open *ask)
{
	for (size_t i = 0; i < ask->n_addresses; i++)
		if (ask->addresses[i].local.family == 6)
			return true;
	for (size_t i = 0; i < ask->n_routes; i++)
		if (ask->routes[i].dst.family == 6)
			return true;
	return false;
}

uint32_t request_mtu_min(const struct wire_open *ask,
			 const struct policy_usage *usage)
{
	return usage->ipv6 || has_ipv6(ask) ? POLICY_MTU_IPV6 : POLICY_MTU_MIN;
}

static int check_device(const struct wire_open *ask,
			const struct policy_usage *usage,
			struct policy_decision *ret)
{
	if (ask->layer != WIRE_TUN && ask->layer != WIRE_TAP)
		return INVALID(ret, "layer %u is neither 2 (TAP) nor 3 (TUN)",
			       ask->layer);
	if (ask->flags & ~(WIRE_OPEN_DOWN | WIRE_OPEN_MAC_SET))
		return INVALID(ret, "open flags 0x%x are not known",
			       (unsigned)ask->flags);
	if (ask->vnet_hdr > WIRE_VNET_IF_ALLOWED)
		return INVALID(ret, "vnet_hdr %u is neither 0, 1 nor 2",
			       ask->vnet_hdr);
	if (ask->queues < 1 || ask->queues > WIRE_QUEUES_MAX)
		return INVALID(ret, "%u queues; ask for 1 to %d", ask->queues,
			       WIRE_QUEUES_MAX);
	if (ask->mtu && (ask->mtu < POLICY_MTU_MIN ||
			 ask->mtu > POLICY_MTU_MAX))
		return INVALID(ret, "MTU %u is outside %d-%d", ask->mtu,
			       POLICY_MTU_MIN, POLICY_MTU_MAX);
	if (ask->mtu && ask->mtu < request_mtu_min(ask, usage))
		return INVALID(ret, "MTU %u is below the %d that IPv6 needs; "
			       "ask for more, or for no IPv6", ask->mtu,
			       POLICY_MTU_IPV6);
	if (ask->txqueuelen > POLICY_TXQUEUELEN_MAX)
		return INVALID(ret, "a queue length of %u is over %d",
			       ask->txqueuelen, POLICY_TXQUEUELEN_MAX);
	return 0;
}

static bool is_prefix(const struct prefix *p)
{
	return prefix_bits(p->family) && p->len <= prefix_bits(p->family);
}

bool request_is_default(const struct prefix *p)
{
	return p->len < (p->family == 4 ? POLICY_SHORTEST_IPV4
					: POLICY_SHORTEST_IPV6);
}

/* It lies in what is forbidden. */
static int check_inside(const char *what, const struct prefix *p,
			const struct prefix *core, struct policy_decision *ret)
{
	char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < N_FORBIDDEN; i++)
		if (forbidden[i].prefix.family == core->family &&
		    prefix_contains(&forbidden[i].prefix, core))
			return INVALID(ret, "%s %s is in %s (%s), which no "
				"device may have; choose another", what,
				prefix_format(p, text),
				prefix_format(&forbidden[i].prefix, other),
				forbidden[i].what);
	return 0;
}

/* What is forbidden lies in it. */
static int check_around(const char *what, const struct prefix *p,
			struct policy_decision *ret)
{
	struct prefix net = prefix_network(p);
	char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < N_FORBIDDEN; i++)
		if (forbidden[i].prefix.family == net.family &&
		    prefix_overlaps(&forbidden[i].prefix, &net))
			return INVALID(ret, "%s %s covers %s (%s), which no "
				"device may have; choose longer prefixes "
				"beside it", what, prefix_format(p, text),
				prefix_format(&forbidden[i].prefix, other),
				forbidden[i].what);
	return 0;
}

/*
 * `p` is what would lead into the device, `core` what must not be forbidden
 * even in a prefix that is too short.
 */
static int check_network(const char *what, const struct prefix *p,
			 const struct prefix *core, struct policy_decision *ret)
{
	char text[PREFIX_TEXT_MAX];
	int r = check_inside(what, p, core, ret);

	if (r)
		return r;
	if (request_is_default(p))
		return policy_refuse(ret, WIRE_E_POLICY, "policy",
			"%s %s opens a network as large as a default route; "
			"ask for /%d or longer, and for routes beside it", what,
			prefix_format(p, text),
			p->family == 4 ? POLICY_SHORTEST_IPV4
				       : POLICY_SHORTEST_IPV6);
	return check_around(what, p, ret);
}

static int check_peer(const struct wire_address *a,
		      struct policy_decision *ret)
{
	struct prefix core = prefix_host(&a->peer);
	char local[PREFIX_TEXT_MAX], peer[PREFIX_TEXT_MAX];

	if (!is_prefix(&a->peer) || a->peer.family != a->local.family)
		return INVALID(ret, "the peer of address %s is not of its "
			       "family", prefix_format(&a->local, local));
	if (!prefix_is_full(&a->local))
		return INVALID(ret, "address %s has a peer, %s, and so must "
			       "have the full length, /%u",
			       prefix_format(&a->local, local),
			       prefix_format(&a->peer, peer),
			       prefix_bits(a->local.family));
	return check_network("peer", &a->peer, &core, ret);
}

static int check_address(const struct wire_open *ask, size_t i,
			 struct policy_decision *ret)
{
	const struct wire_address *a = &ask->addresses[i];
	struct prefix core = prefix_host(&a->local);
	char text[PREFIX_TEXT_MAX];
	int r;

	if (!is_prefix(&a->local))
		return INVALID(ret, "address %zu is none; give one like "
			       "10.50.0.1/24", i + 1);
	if (a->flags & ~WIRE_ADDRESS_NODAD)
		return INVALID(ret, "flags 0x%x of address %s are not known",
			       (unsigned)a->flags,
			       prefix_format(&a->local, text));
	for (size_t j = 0; j < i; j++)
		if (prefix_same_address(&a->local, &ask->addresses[j].local))
			return INVALID(ret, "address %s is asked for twice",
				       prefix_format(&a->local, text));
	r = check_network("address", &a->local, &core, ret);
	if (r || a->peer.family == 0)
		return r;
	return check_peer(a, ret);
}

static int check_gateway(const struct wire_route *route,
			 struct policy_decision *ret)
{
	const struct prefix *gw = &route->gateway;
	char dst[PREFIX_TEXT_MAX], text[PREFIX_TEXT_MAX];

	if (gw->family == 0)
		return 0;
	if (!is_prefix(gw) || gw->family != route->dst.family)
		return INVALID(ret, "the gateway of route %s is not of its "
			       "family", prefix_format(&route->dst, dst));
	if (!prefix_is_full(gw))
		return INVALID(ret, "gateway %s of route %s is not a single "
			       "address; give it as /%u",
			       prefix_format(gw, text),
			       prefix_format(&route->dst, dst),
			       prefix_bits(gw->family));
	return check_inside("gateway", gw, gw, ret);
}

static int check_route(const struct wire_open *ask, size_t i,
		       struct policy_decision *ret)
{
	const struct wire_route *route = &ask->routes[i];
	struct prefix net = prefix_network(&route->dst);
	char text[PREFIX_TEXT_MAX], masked[PREFIX_TEXT_MAX];
	int r;

	if (!is_prefix(&route->dst))
		return INVALID(ret, "route %zu is none; give one like "
			       "10.60.0.0/16", i + 1);
	if (prefix_has_host_bits(&route->dst))
		return INVALID(ret, "route %s has bits behind its length; ask "
			       "for %s", prefix_format(&route->dst, text),
			       prefix_format(&net, masked));
	if (route->flags)
		return INVALID(ret, "flags 0x%x of route %s are not known",
			       (unsigned)route->flags,
			       prefix_format(&route->dst, text));
	r = check_inside("route", &route->dst, &route->dst, ret);
	/*
	 * A default route covers everything; what is the host's own it finds
	 * in its local table first.
	 */
	if (r == 0 && !request_is_default(&route->dst))
		r = check_around("route", &route->dst, ret);
	return r ? r : check_gateway(route, ret);
}

/* The daemon makes a default route as its two halves. */
static bool same_destination(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family &&
	       (prefix_equal(a, b) || (a->len == 0 && b->len == 1) ||
		(a->len == 1 && b->len == 0));
}

/*
 * An order in which those of the same destination and metric stand together, in
 * the order in which they were asked for; a default route beside its halves.
 */
static int compare_routes(const void *left, const void *right)
{
	const struct wire_route *const *a = left, *const *b = right;
	const struct prefix *p = &(*a)->dst, *q = &(*b)->dst;
	bool whole = p->len <= 1 && q->len <= 1;
	int r = (int)p->family - (int)q->family;

	if (r == 0 && (p->len <= 1) != (q->len <= 1))
		return p->len <= 1 ? -1 : 1;
	if (r == 0 && !whole)
		r = memcmp(p->ip, q->ip, prefix_bytes(p->family));
	if (r == 0 && !whole)
		r = (int)p->len - (int)q->len;
	if (r == 0 && (*a)->metric != (*b)->metric)
		r = (*a)->metric < (*b)->metric ? -1 : 1;
	return r ? r : (*a > *b) - (*a < *b);
}

static bool same_route(const struct wire_route *a, const struct wire_route *b)
{
	return a->metric == b->metric && same_destination(&a->dst, &b->dst);
}

/* Default routes and their halves, of one metric: three are all there are. */
static bool is_again(const struct wire_route *const *sorted, size_t i)
{
	for (size_t back = 1; back <= i && back <= 2; back++)
		if (same_route(sorted[i - back], sorted[i]))
			return true;
	return false;
}

/* The first that was there before; a list in order needs no sorting. */
int request_check_routes(const struct wire_open *ask,
			 struct policy_decision *ret)
{
	const struct wire_route *sorted[WIRE_ROUTES_MAX], *again = NULL;
	char text[PREFIX_TEXT_MAX];
	bool in_order = true;

	for (size_t i = 0; i < ask->n_routes; i++) {
		sorted[i] = &ask->routes[i];
		if (i > 0 && compare_routes(&sorted[i - 1], &sorted[i]) > 0)
			in_order = false;
	}
	if (!in_order)
		qsort(sorted, ask->n_routes, sizeof(*sorted), compare_routes);
	for (size_t i = 1; i < ask->n_routes; i++)
		if (is_again(sorted, i) && (!again || sorted[i] < again))
			again = sorted[i];
	if (!again)
		return 0;
	return INVALID(ret, "route %s is asked for twice with metric %u",
		       prefix_format(&again->dst, text),
		       (unsigned)again->metric);
}

int request_check(const struct wire_open *ask, const struct policy_usage *usage,
		  struct policy_decision *ret)
{
	int r;

	if (ask->n_addresses > WIRE_ADDRESSES_MAX ||
	    ask->n_routes > WIRE_ROUTES_MAX)
		return INVALID(ret, "%u addresses and %u routes; ask for at "
			       "most %d and %d", ask->n_addresses,
			       ask->n_routes, WIRE_ADDRESSES_MAX,
			       WIRE_ROUTES_MAX);
	r = check_device(ask, usage, ret);
	if (r == 0)
		r = check_name(ask->name, ret);
	if (r == 0)
		r = check_mac(ask, ret);
	for (size_t i = 0; i < ask->n_addresses && r == 0; i++)
		r = check_address(ask, i, ret);
	for (size_t i = 0; i < ask->n_routes && r == 0; i++)
		r = check_route(ask, i, ret);
	return r ? r : request_check_routes(ask, ret);
}
