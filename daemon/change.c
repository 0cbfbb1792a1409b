/* What is asked for: read into a description, and whether it may be so. */
#include "change.h"

#include <string.h>

#include "../policy/bounds.h"
#include "host.h"
#include "judge.h"
#include "lease.h"
#include "limits.h"
#include "mirror.h"
#include "refuse.h"

/* Large, and one at a time: a request is answered before the next is read. */
static struct change now;

static int begin(struct conn *c)
{
	struct change *ch = &now;
	int error = mirror_update();

	ch->c = c;
	ch->held = c->held;
	ch->gone = ch->come = 0;
	ch->sets_mtu = ch->repairs = ch->judged = false;
	if (error)
		return refuse(&ch->why, WIRE_E_FAILED, "change",
			      "cannot see what the host has: %s",
			      strerror(-error));
	if (ch->held->lease.state != WIRE_LEASE_HELD)
		return refuse(&ch->why, WIRE_E_ENDED, "device",
			      "the device %s is gone", ch->held->lease.name);
	lease_config(ch->held, &ch->from);
	ch->to = ch->from;
	return 0;
}

/* Is the policy another one than what it has was held against? */
static bool is_new_to(const struct change *ch)
{
	return ch->held->judged != ch->c->server->generation;
}

/*
 * As policy_decide() is asked for a new device, but that its name is its own
 * and it counts already; nor do those of leases that have ended, as none is
 * made.  An MTU that is not asked for now is not the holder's doing.
 */
static int judge(struct change *ch, struct policy_terms *ret)
{
	static struct wire_open ask;	/* large; used up before we return */
	struct policy_decision decision = { .code = 0 };
	struct server *server = ch->c->server;
	struct policy_usage usage = { .devices = 0 };
	uint32_t looked;
	int error;

	ask = ch->to;
	if (!ch->sets_mtu)
		ask.mtu = 0;
	usage.devices = registry_devices(&server->registry, ch->c->peer.uid);
	usage.all_devices = server->registry.n_devices;
	if (ch->held->lease.counted) {
		usage.devices--;
		usage.all_devices--;
	}
	error = judge_device(ch->held, &ask, &usage, is_new_to(ch), &looked,
			     &decision);
	registry_owe(&server->registry, ch->c->peer.uid,
		     looked / LIMIT_REQUEST_ROUTES);
	if (error) {
		refuse(&ch->why, decision.code, decision.step, "%s",
		       decision.text);
		memcpy(ch->why.rule, decision.rule, sizeof(ch->why.rule));
		return error;
	}
	memcpy(ch->to.routes, ask.routes, sizeof(ask.routes));
	*ret = decision.terms;
	return 0;
}

/* Unless that comes from remake.c. */
static void answer(struct change *ch, int error)
{
	struct wire_message done = { .type = WIRE_DONE };

	if (error)
		change_put_back(ch);
	if (error)
		conn_refuse(ch->c, &ch->why);
	else if (!ch->c->busy)
		conn_answer(ch->c, &done);
}

/* --- addresses and routes ----------------------------------------------- */

static int find_address(const struct wire_open *o, const struct wire_address *a)
{
	for (int i = 0; i < o->n_addresses; i++) {
		const struct wire_address *b = &o->addresses[i];

		if (prefix_same_address(&a->local, &b->local) &&
		    (!a->peer.family ||
		     prefix_same_address(&a->peer, &b->peer)))
			return i;
	}
	return -1;
}

static int no_ipv6(struct change *ch, const char *step, const struct prefix *p)
{
	char text[PREFIX_TEXT_MAX];

	return refuse(&ch->why, WIRE_E_INVALID, step, "%s: the device's MTU is "
		      "%u, and IPv6 needs %d; set it first",
		      prefix_format(p, text), ch->to.mtu, POLICY_MTU_IPV6);
}

/*
 * The policy is not asked about an MTU that others chose; but below 1280 the
 * kernel takes no IPv6.  What it has of that comes back with the MTU.
 */
static int check_mtu(struct change *ch)
{
	const struct wire_open *to = &ch->to;

	if (to->mtu >= POLICY_MTU_IPV6)
		return 0;
	for (unsigned i = 0; i < to->n_addresses; i++)
		if (to->addresses[i].local.family == 6 &&
		    find_address(&ch->from, &to->addresses[i]) < 0)
			return no_ipv6(ch, "address", &to->addresses[i].local);
	for (unsigned i = 0; i < to->n_routes; i++)
		if (to->routes[i].dst.family == 6)
			return no_ipv6(ch, "route", &to->routes[i].dst);
	return 0;
}

/* Routes that are more than a batch are looked at where they are made. */
static int check_back(struct change *ch)
{
	static struct wire_open all;	/* large; used up before we return */

	all = ch->to;
	lease_add_routes(ch->held, &all);
	return change_check_back(ch->held, &ch->from, &ch->to, &ch->terms,
				 &all, &ch->why);
}

/* What is asked for is more than the device has. */
static int grow(struct change *ch)
{
	const struct lease *lease = &ch->held->lease;
	const struct host_asker by = { .registry = &ch->c->server->registry,
				       .uid = lease->uid,
				       .ifindex = lease->ifindex };
	int error = judge(ch, &ch->terms);

	if (!error)
		error = check_mtu(ch);
	if (!error)
		error = host_check(&ch->to, &ch->from, &ch->held->routes,
				   &by, ch->held->connected_metric, &ch->terms,
				   &ch->why);
	if (!error)
		error = check_back(ch);
	if (!error)
		error = follow_room(ch->held, ch->to.routes, ch->come,
				    &ch->why);
	if (error)
		return error;
	/* The same policy gives it the same terms. */
	if (!is_new_to(ch) && change_is_about_routes(ch))
		return change_carry_out(ch);
	if (source_with(&ch->held->source, &ch->terms, &ch->source))
		return refuse(&ch->why, WIRE_E_NO_MEMORY, "change",
			      "out of memory");
	ch->judged = true;
	error = change_carry_out(ch);
	if (error)
		source_drop(&ch->source);
	return error;
}

static int too_many(struct change *ch, const char *what, unsigned max)
{
	return refuse(&ch->why, WIRE_E_TOO_LARGE, "request", "a device has at "
		      "most %u %s; remove some first", max, what);
}

/*
 * The route that this one would be twice; a default route is its two halves.
 * Which metric it will have is not known where that is left open.
 */
static bool find_clash(const struct routes *routes, const struct wire_route *r,
		       struct wire_route *ret)
{
	struct wire_route other = { .dst = r->dst, .metric = r->metric };

	if (routes_find(routes, &other, ret))
		return true;
	if (r->dst.len > 1)
		return false;
	memset(other.dst.ip, 0, sizeof(other.dst.ip));
	other.dst.len = 0;
	if (routes_find(routes, &other, ret))
		return true;
	for (int half = 0; r->dst.len == 0 && half < 2; half++) {
		other.dst.len = 1;
		other.dst.ip[0] = half ? 0x80 : 0;
		if (routes_find(routes, &other, ret))
			return true;
	}
	return false;
}

static int append_addresses(struct change *ch, const struct wire_add *add)
{
	struct wire_open *to = &ch->to;
	char text[PREFIX_TEXT_MAX];

	if (to->n_addresses + add->n_addresses > WIRE_ADDRESSES_MAX)
		return too_many(ch, "addresses", WIRE_ADDRESSES_MAX);
	for (unsigned i = 0; i < add->n_addresses; i++) {
		const struct wire_address *a = &add->addresses[i];

		if (find_address(&ch->from, &(struct wire_address)
				 { .local = a->local }) >= 0)
			return refuse(&ch->why, WIRE_E_EXISTS, "address",
				      "%s: the device has this address already",
				      prefix_format(&a->local, text));
		to->addresses[to->n_addresses++] = *a;
	}
	return 0;
}

static int clash(struct change *ch, const struct wire_route *with)
{
	char text[PREFIX_TEXT_MAX];

	return refuse(&ch->why, WIRE_E_EXISTS, "route", "the device has a "
		      "route to %s already, with metric %u; remove it first, "
		      "or ask for another metric",
		      prefix_format(&with->dst, text), with->metric);
}

static int too_many_alike(struct change *ch, const struct wire_route *r)
{
	char text[PREFIX_TEXT_MAX];

	return refuse(&ch->why, WIRE_E_TOO_LARGE, "route", "%s: a device has "
		      "at most %d routes to one destination; remove some first",
		      prefix_format(&r->dst, text), LIMIT_ROUTES_ALIKE);
}

/* Those of the lease and, where it has such, those that come along. */
static unsigned count_alike(const struct change *ch, const struct prefix *dst)
{
	unsigned n = routes_alike(&ch->held->routes, dst);

	for (unsigned i = 0; n > 0 && i < ch->to.n_routes; i++)
		n += prefix_equal(&ch->to.routes[i].dst, dst);
	return n;
}

/* With the metric that it will have, where the client leaves that open. */
static int append_routes(struct change *ch, const struct wire_add *add)
{
	const struct routes *routes = &ch->held->routes;
	struct wire_open *to = &ch->to;
	struct wire_route with;

	for (unsigned i = 0; i < add->n_routes; i++) {
		const struct wire_route *r = &add->routes[i];

		if (find_clash(routes, r, &with))
			return clash(ch, &with);
		if (count_alike(ch, &r->dst) >= LIMIT_ROUTES_ALIKE)
			return too_many_alike(ch, r);
		to->routes[to->n_routes++] = *r;
	}
	ch->come = to->n_routes;
	return 0;
}

void change_add(struct conn *c, const struct wire_add *add)
{
	int error = begin(c);

	if (!error)
		error = append_addresses(&now, add);
	if (!error)
		error = append_routes(&now, add);
	if (!error)
		error = grow(&now);
	answer(&now, error);
}

static int strike_addresses(struct change *ch, const struct wire_remove *remove)
{
	struct wire_open *to = &ch->to;
	char text[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < remove->n_addresses; i++) {
		const struct wire_address *a = &remove->addresses[i];
		int at = find_address(to, a);

		if (at < 0)
			return refuse(&ch->why, WIRE_E_NOT_FOUND, "address",
				      "%s: nobody asked for this address on "
				      "the device, or it is removed already",
				      prefix_format(&a->local, text));
		to->n_addresses--;
		memmove(&to->addresses[at], &to->addresses[at + 1],
			(size_t)(to->n_addresses - at) *
			sizeof(to->addresses[0]));
	}
	return 0;
}

static void note_gone(struct change *ch, const struct wire_route *r)
{
	ch->from.routes[ch->gone++] = *r;
	ch->from.n_routes = (uint16_t)ch->gone;
}

/* Takes it out of the lease's, for now: see change_put_back(). */
static bool strike_route(struct change *ch, const struct wire_route *r)
{
	struct wire_route found;

	if (!routes_find(&ch->held->routes, r, &found))
		return false;
	routes_remove(&ch->held->routes, &found);
	note_gone(ch, &found);
	return true;
}

/*
 * A default route is made as its halves, and after a restart nothing tells
 * whether it was asked for as one: then it is what both are.
 */
static bool strike_halves(struct change *ch, const struct wire_route *r)
{
	struct routes *routes = &ch->held->routes;
	struct wire_route low = *r, high;

	if (r->dst.len > 0)
		return false;
	low.dst.len = 1;
	if (!routes_find(routes, &low, &low))
		return false;
	high = low;
	high.dst.ip[0] = 0x80;
	if (!routes_find(routes, &high, &high))
		return false;
	routes_remove(routes, &low);
	routes_remove(routes, &high);
	low.dst.len = 0;
	low.flags = CHANGE_HALVES;
	note_gone(ch, &low);
	return true;
}

static int strike_routes(struct change *ch, const struct wire_remove *remove)
{
	char text[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < remove->n_routes; i++) {
		const struct wire_route *r = &remove->routes[i];

		if (!strike_route(ch, r) && !strike_halves(ch, r))
			return refuse(&ch->why, WIRE_E_NOT_FOUND, "route",
				      "%s: nobody asked for this route (with "
				      "this gateway and metric) on the device, "
				      "or it is removed already",
				      prefix_format(&r->dst, text));
	}
	return 0;
}

/* Less than it has is never refused, whatever the policy has become. */
void change_remove(struct conn *c, const struct wire_remove *remove)
{
	int error = begin(c);

	if (!error)
		error = strike_addresses(&now, remove);
	if (!error)
		error = strike_routes(&now, remove);
	if (!error)
		error = change_carry_out(&now);
	if (!error)
		routes_trim(&now.held->routes);
	answer(&now, error);
}

void change_replace(struct conn *c, const struct wire_replace *replace)
{
	struct wire_open *to = &now.to;
	int error = begin(c);

	if (!error) {
		to->n_addresses = 0;
		for (unsigned i = 0; i < now.from.n_addresses; i++)
			if (now.from.addresses[i].local.family !=
			    replace->local.family)
				to->addresses[to->n_addresses++] =
					now.from.addresses[i];
		if (to->n_addresses == WIRE_ADDRESSES_MAX)
			error = too_many(&now, "addresses", WIRE_ADDRESSES_MAX);
	}
	if (!error) {
		to->addresses[to->n_addresses++] =
			(struct wire_address){ .local = replace->local };
		to->flags &= ~WIRE_OPEN_DOWN;
		error = grow(&now);
	}
	answer(&now, error);
}

/* --- what it has one of ------------------------------------------------- */

static int set(struct change *ch, const struct wire_set *set)
{
	if (!set->what || set->what & ~(WIRE_SET_MTU | WIRE_SET_UP))
		return refuse(&ch->why, WIRE_E_INVALID, "request",
			      "what is 0x%x; it is 1, 2 or 3", set->what);
	if (set->what & WIRE_SET_UP && set->up > 1)
		return refuse(&ch->why, WIRE_E_INVALID, "request",
			      "up is %u; it is 0 or 1", set->up);
	if (set->what & WIRE_SET_MTU) {
		if (!set->mtu)
			return refuse(&ch->why, WIRE_E_INVALID, "mtu",
				      "MTU 0 is none; ask for 68 to 65535");
		ch->to.mtu = set->mtu;
		ch->sets_mtu = true;
	}
	if (set->what & WIRE_SET_UP) {
		ch->to.flags &= ~WIRE_OPEN_DOWN;
		ch->to.flags |= set->up ? 0 : WIRE_OPEN_DOWN;
		ch->repairs = set->up && !(ch->from.flags & WIRE_OPEN_DOWN);
	}
	return set->what == WIRE_SET_UP && !set->up ? change_carry_out(ch) :
	       grow(ch);
}

void change_set(struct conn *c, const struct wire_set *s)
{
	int error = begin(c);

	if (!error)
		error = set(&now, s);
	answer(&now, error);
}
