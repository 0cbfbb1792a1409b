/*
 * From one description of a device to another.  Pure, as rtnl_batch.c.
 *
 * What makes this more than a list of differences is what the kernel does on
 * its own:
 *  - With an IPv4 address go the later ones of the same prefix, where it was
 *    not told to keep them (__inet_del_ifa, net/ipv4/devinet.c; see
 *    rtnl_keep_addresses()), and routes that prefer it as their source
 *    (fib_sync_down_addr); with the last one, every IPv4 route of the device
 *    (fib_disable_ip).
 *  - A device that goes down loses its routes and its IPv6 addresses
 *    (addrconf_ifdown, net/ipv6/addrconf.c).
 *  - With an MTU below 1280 it has no IPv6 at all, and takes none
 *    (addrconf_notify, ipv6_add_dev).
 * So what shall stay is asked for anew, where that may have hit it; that it is
 * there already is fine then.
 *
 * While a device is down its routes are not made, but all of its addresses are
 * there.
 */
#include <string.h>

#include "../policy/bounds.h"
#include "rtnl.h"

struct move {
	struct rtnl_batch *b;
	const struct rtnl_move *m;
	const struct wire_open *from, *to;
	bool was_up, up;
	bool had_ipv6, ipv6;	/* as the MTU has it */
	bool lost_ipv4;		/* an IPv4 address goes: more may go with it */
};

static const struct prefix *far_end(const struct wire_address *a)
{
	return a->peer.family ? &a->peer : &a->local;
}

static bool same_address(const struct wire_address *a,
			 const struct wire_address *b)
{
	return prefix_equal(&a->local, &b->local) &&
	       prefix_same_address(&a->local, &b->local) &&
	       far_end(a)->len == far_end(b)->len &&
	       prefix_same_address(far_end(a), far_end(b));
}

static bool has_address(const struct wire_open *o, const struct wire_address *a)
{
	for (unsigned i = 0; i < o->n_addresses; i++)
		if (same_address(&o->addresses[i], a))
			return true;
	return false;
}

static bool same_route(const struct wire_route *a, const struct wire_route *b)
{
	return prefix_equal(&a->dst, &b->dst) && a->metric == b->metric &&
	       a->gateway.family == b->gateway.family &&
	       (!a->gateway.family ||
		prefix_same_address(&a->gateway, &b->gateway));
}

static bool has_route(const struct wire_open *o, const struct wire_route *r)
{
	for (unsigned i = 0; i < o->n_routes; i++)
		if (same_route(&o->routes[i], r))
			return true;
	return false;
}

static bool takes(const struct move *v, uint8_t family)
{
	return family == 4 || v->ipv6;
}

static bool took(const struct move *v, uint8_t family)
{
	return family == 4 || v->had_ipv6;
}

/* --- addresses ---------------------------------------------------------- */

static bool has_local(const struct wire_open *o, const struct wire_address *a)
{
	for (unsigned i = 0; i < o->n_addresses; i++)
		if (prefix_same_address(&o->addresses[i].local, &a->local))
			return true;
	return false;
}

/*
 * IPv4 addresses that are new come before old ones go: with the last one every
 * IPv4 route would go, others' as well.  Not beside the same address with
 * another length or peer, which the kernel may take for the same.
 */
static void add_ipv4_first(struct move *v)
{
	for (unsigned i = 0; i < v->to->n_addresses; i++) {
		const struct wire_address *a = &v->to->addresses[i];

		if (a->local.family != 4)
			continue;
		if (v->m->repair)
			rtnl_add_address(v->b, v->m->ifindex, a, true);
		else if (!has_local(v->from, a))
			rtnl_add_address(v->b, v->m->ifindex, a, false);
	}
}

static void remove_addresses(struct move *v)
{
	for (unsigned i = 0; i < v->from->n_addresses; i++) {
		const struct wire_address *a = &v->from->addresses[i];

		if (has_address(v->to, a))
			continue;
		rtnl_remove_address(v->b, v->m->ifindex, a);
		v->lost_ipv4 = v->lost_ipv4 || a->local.family == 4;
	}
}

/*
 * IPv4 addresses have an order, by which the kernel chooses among them.  When
 * one comes back in a repair, each is put anew behind the others in its turn.
 */
static void reorder_ipv4(struct move *v)
{
	unsigned n = 0;
	bool comes_back = false;

	for (unsigned i = 0; i < v->to->n_addresses; i++) {
		if (v->to->addresses[i].local.family != 4)
			continue;
		n++;
		if (!has_address(v->from, &v->to->addresses[i]))
			comes_back = true;
	}
	for (unsigned i = 0; i < v->to->n_addresses; i++) {
		const struct wire_address *a = &v->to->addresses[i];

		if (!comes_back || n < 2 || a->local.family != 4)
			continue;
		rtnl_remove_address(v->b, v->m->ifindex, a);
		rtnl_add_address(v->b, v->m->ifindex, a, true);
		v->lost_ipv4 = true;
	}
}

/* May the kernel have dropped it, although it shall stay? */
static bool in_doubt(const struct move *v, uint8_t family)
{
	return v->m->repair || (family == 4 && v->lost_ipv4) ||
	       (takes(v, family) && !took(v, family));
}

static void add_addresses(struct move *v)
{
	for (unsigned i = 0; i < v->to->n_addresses; i++) {
		const struct wire_address *a = &v->to->addresses[i];
		uint8_t family = a->local.family;
		bool had = has_address(v->from, a);

		if (!takes(v, family))
			continue;
		/* It is there by add_ipv4_first(), or still to come. */
		if (!had && (family == 6 || has_local(v->from, a)))
			rtnl_add_address(v->b, v->m->ifindex, a, v->m->repair);
		else if ((family == 4 ? v->lost_ipv4 : in_doubt(v, family)) ||
			 (had && v->was_up != v->up))
			rtnl_add_address(v->b, v->m->ifindex, a, true);
	}
}

/* --- routes ------------------------------------------------------------- */

/*
 * The route to an address's on-link prefix, which the kernel was told not to
 * make (IFA_F_NOPREFIXROUTE): its own would have metric 0 and outrank the
 * host's.  False if there is none, or an earlier address's is the same.
 */
static bool connected(const struct move *v, const struct wire_open *o,
		      unsigned i, struct wire_route *ret)
{
	const struct wire_address *a = &o->addresses[i];

	if (!a->peer.family && prefix_is_full(&a->local))
		return false;
	for (unsigned j = 0; j < i; j++)
		if (prefix_equal(far_end(&o->addresses[j]), far_end(a)))
			return false;
	*ret = (struct wire_route){ .dst = prefix_network(far_end(a)),
				    .metric = v->m->connected_metric };
	return true;
}

/*
 * The address that a connected route prefers as its source.  None for IPv6: it
 * may still be tentative, and source selection (RFC 6724) finds it anyway.
 */
static const struct prefix *source_of(const struct wire_address *a)
{
	return a->local.family == 4 ? &a->local : NULL;
}

/* `o` has this connected route, with the same source. */
static bool has_connected(const struct move *v, const struct wire_open *o,
			  const struct wire_route *route,
			  const struct prefix *source)
{
	struct wire_route other;

	for (unsigned i = 0; i < o->n_addresses; i++)
		if (connected(v, o, i, &other) && same_route(route, &other))
			return !source ||
			       prefix_same_address(source,
						   &o->addresses[i].local);
	return false;
}

static void remove_routes(struct move *v)
{
	struct wire_route r;

	for (unsigned i = 0; i < v->from->n_routes; i++)
		if (!has_route(v->to, &v->from->routes[i]))
			rtnl_remove_route(v->b, v->m->ifindex,
					  &v->from->routes[i]);
	for (unsigned i = 0; i < v->from->n_addresses; i++)
		if (connected(v, v->from, i, &r) &&
		    !has_connected(v, v->to, &r,
				   source_of(&v->from->addresses[i])))
			rtnl_remove_route(v->b, v->m->ifindex, &r);
}

static void add_route(struct move *v, const struct wire_route *r,
		      const struct prefix *source, bool had)
{
	if (!takes(v, r->dst.family))
		return;
	if (!had)
		rtnl_add_route(v->b, v->m->ifindex, r, source, v->m->repair);
	else if (in_doubt(v, r->dst.family))
		rtnl_add_route(v->b, v->m->ifindex, r, source, true);
}

static void add_routes(struct move *v)
{
	struct wire_route r;

	for (unsigned i = 0; i < v->to->n_addresses; i++) {
		const struct prefix *source = source_of(&v->to->addresses[i]);

		if (connected(v, v->to, i, &r))
			add_route(v, &r, source, v->was_up &&
				  has_connected(v, v->from, &r, source));
	}
	for (unsigned i = 0; i < v->to->n_routes; i++)
		add_route(v, &v->to->routes[i], NULL, v->was_up &&
			  has_route(v->from, &v->to->routes[i]));
}

/* --- all of it ---------------------------------------------------------- */

/* For IPv6; 0: as the kernel has it. */
static bool is_enough(uint32_t mtu)
{
	return !mtu || mtu >= POLICY_MTU_IPV6;
}

void rtnl_move(struct rtnl_batch *b, const struct rtnl_move *m)
{
	struct move v = {
		.b = b, .m = m, .from = m->from, .to = m->to,
		.was_up = !(m->from->flags & WIRE_OPEN_DOWN),
		.up = !(m->to->flags & WIRE_OPEN_DOWN),
		.had_ipv6 = is_enough(m->from->mtu),
		.ipv6 = is_enough(m->to->mtu),
	};

	if (v.was_up && v.up)
		remove_routes(&v);
	add_ipv4_first(&v);
	remove_addresses(&v);
	if (m->repair)
		reorder_ipv4(&v);
	if (m->to->mtu && m->to->mtu != m->from->mtu)
		rtnl_set_mtu(b, m->ifindex, m->to->mtu);
	/* Down first: it takes IPv6 addresses along. */
	if (v.was_up && !v.up)
		rtnl_set_up(b, m->ifindex, false);
	add_addresses(&v);
	/* Routes want the device up: ENETDOWN otherwise. */
	if (v.up && !v.was_up)
		rtnl_set_up(b, m->ifindex, true);
	if (v.up)
		add_routes(&v);
}

bool rtnl_move_drops_routes(const struct rtnl_move *m)
{
	if (m->repair || m->from->flags & WIRE_OPEN_DOWN ||
	    (!is_enough(m->from->mtu) && is_enough(m->to->mtu)))
		return true;
	for (unsigned i = 0; i < m->from->n_addresses; i++) {
		const struct wire_address *a = &m->from->addresses[i];

		if (a->local.family == 4 && !has_address(m->to, a))
			return true;
	}
	return false;
}
