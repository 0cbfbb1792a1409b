#include "change.h"

#include <stdlib.h>
#include <string.h>

#include "../policy/bounds.h"
#include "host.h"
#include "lease.h"
#include "log.h"
#include "mirror.h"
#include "os.h"
#include "refuse.h"

/* A request under way. */
struct change {
	struct conn *c;
	struct held *held;
	struct wire_open from, to;
	bool sets_mtu;
	bool repairs;		/* and brings back what others took away */
	bool judged;		/* anew: it has other terms from now on */
	struct source source;	/* of these */
	struct wire_refused why;
};

/* Large, and one at a time: a request is answered before the next is read. */
static struct change now;

static int begin(struct conn *c)
{
	struct change *ch = &now;
	int error = mirror_update();

	ch->c = c;
	ch->held = c->held;
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

/*
 * As policy_decide() is asked for a new device, but that its name is its own
 * and it counts already.  An MTU that is not asked for now is not the holder's
 * doing.
 */
static int judge(struct change *ch, struct policy_terms *ret)
{
	static struct wire_open ask;	/* large; used up before we return */
	struct server *server = ch->c->server;
	struct policy_usage usage = { .devices = 0 };
	struct policy_decision decision = { .code = 0 };
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
	error = policy_decide(server->policy, &ch->c->peer, &ask, &usage, &ask,
			      &decision);
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

static bool is_down(const struct wire_open *o)
{
	return o->flags & WIRE_OPEN_DOWN;
}

static bool comes_up(const struct change *ch)
{
	return is_down(&ch->from) && !is_down(&ch->to);
}

static bool goes_down(const struct change *ch)
{
	return !is_down(&ch->from) && is_down(&ch->to);
}

/* The guards before and after; NULL where nothing of it changes. */
static int make_guards(struct change *ch, struct os_state *from,
		       struct os_state *to)
{
	struct held *held = ch->held;
	unsigned ifindex = held->lease.ifindex;
	int error = source_program(ch->judged ? &ch->source : &held->source,
				   &ch->to, ifindex, 0, &to->guard, &ch->why);

	/* What is there fitted once; if the host has more now, no undoing. */
	if (!error && source_program(&held->source, &ch->from, ifindex, 1,
				     &from->guard, NULL))
		from->guard = NULL;
	return error;
}

/*
 * The holder knows what he asked for.  What else is another than he knows is
 * somebody else's doing, of which he is still to be told.
 */
static void know(struct change *ch)
{
	struct held *held = ch->held;

	if (ch->sets_mtu)
		held->mtu = held->news.mtu = ch->to.mtu;
	if (comes_up(ch) || goes_down(ch))
		held->up = held->news.up = comes_up(ch);
}

static unsigned forgot(const struct wire_open *from, const struct wire_open *to)
{
	return watch_forgot(!is_down(from), from->mtu, !is_down(to), to->mtu);
}

/*
 * Takes in what the kernel tells of the request: that it came up by this, or by
 * undoing it, with all that it has, is no reason to look for what it lost.
 */
static void take_in(struct change *ch, bool undone)
{
	struct held *held = ch->held;
	unsigned before = held->restore, own, told;

	mirror_update();
	own = forgot(&ch->from, &ch->to) +
	      (undone ? forgot(&ch->to, &ch->from) : 0);
	told = held->restore - before;
	held->restore = before + (told > own ? told - own : 0);
}

/*
 * When undoing fails as well the device may have the guard of what was asked
 * for.  It gets its own anew, or it is taken back; none that nobody knows.
 */
static void guard_anew(struct held *held)
{
	struct wire_refused why;
	int error;

	/* Also one that it had not, but is to have by now. */
	held->source.guarded = true;
	held->source.digest = 0;
	error = source_renew(held, &why);
	/* ENODEV: it has gone, of which we shall hear. */
	if (error && error != -ENODEV)
		lease_revoke(held, "its source guard could not be put back: "
			     "%.40s", why.text);
}

static void after_failure(struct change *ch, const struct os_state *to)
{
	take_in(ch, true);
	if (to->guard && ch->held->lease.counted)
		guard_anew(ch->held);
}

/* Brings the device there. */
static int carry_out(struct change *ch)
{
	struct held *held = ch->held;
	struct os_state from = { .open = &ch->from,
				 .doubtful = ch->repairs };
	struct os_state to = { .open = &ch->to };
	struct config config;
	int error = make_guards(ch, &from, &to);
	bool changes;

	if (error)
		return error;
	if (config_pack(&ch->to, &config))
		return refuse(&ch->why, WIRE_E_NO_MEMORY, "change",
			      "out of memory");
	error = os_device_change(held->lease.ifindex, held->connected_metric,
				 &from, &to, &ch->why);
	if (error) {
		config_free(&config);
		after_failure(ch, &to);
		return error;
	}
	changes = !config_equal(&config, &held->config);
	lease_configure(held, &config);
	if (ch->judged)
		source_take(held, &ch->source);
	source_in_force(&held->source, to.guard);
	know(ch);
	take_in(ch, false);
	/* But one that changes nothing could hide a storm. */
	if (changes)
		mirror_forgive(held->lease.ifindex);
	mirror_readdress(held->lease.ifindex, ch->from.addresses,
			 ch->from.n_addresses, ch->to.addresses,
			 ch->to.n_addresses);
	return 0;
}

static void answer(struct change *ch, int error)
{
	struct wire_message done = { .type = WIRE_DONE };

	if (error)
		conn_refuse(ch->c, &ch->why);
	else
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

/* Of several routes that are meant, the one with the lowest metric; or -1. */
static int find_route(const struct wire_open *o, const struct wire_route *r)
{
	int best = -1;

	for (int i = 0; i < o->n_routes; i++) {
		const struct wire_route *b = &o->routes[i];

		if (!prefix_equal(&r->dst, &b->dst) ||
		    (r->metric && r->metric != b->metric) ||
		    (r->gateway.family &&
		     !prefix_same_address(&r->gateway, &b->gateway)))
			continue;
		if (best < 0 || b->metric < o->routes[best].metric)
			best = i;
	}
	return best;
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
		if (to->routes[i].dst.family == 6 &&
		    find_route(&ch->from, &to->routes[i]) < 0)
			return no_ipv6(ch, "route", &to->routes[i].dst);
	return 0;
}

/* What is asked for is more than the device has. */
static int grow(struct change *ch)
{
	struct policy_terms terms;
	int error = judge(ch, &terms);

	if (!error)
		error = check_mtu(ch);
	if (!error)
		error = host_check(&ch->to, &ch->from, ch->held->lease.ifindex,
				   ch->held->connected_metric, &terms,
				   &ch->why);
	if (!error && source_with(&ch->held->source, &terms, &ch->source))
		error = refuse(&ch->why, WIRE_E_NO_MEMORY, "change",
			       "out of memory");
	if (error)
		return error;
	ch->judged = true;
	error = carry_out(ch);
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
static int find_clash(const struct wire_open *o, const struct wire_route *r)
{
	struct wire_route other = { .dst = r->dst, .metric = r->metric };
	int at = find_route(o, &other);

	if (at >= 0 || r->dst.len > 1)
		return at;
	memset(other.dst.ip, 0, sizeof(other.dst.ip));
	other.dst.len = 0;
	at = find_route(o, &other);
	for (int half = 0; at < 0 && r->dst.len == 0 && half < 2; half++) {
		other.dst.len = 1;
		other.dst.ip[0] = half ? 0x80 : 0;
		at = find_route(o, &other);
	}
	return at;
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

/* With the metric that it will have, where the client leaves that open. */
static int append_routes(struct change *ch, const struct wire_add *add)
{
	struct wire_open *to = &ch->to;
	char text[PREFIX_TEXT_MAX];

	if (to->n_routes + add->n_routes > WIRE_ROUTES_MAX)
		return too_many(ch, "routes", WIRE_ROUTES_MAX);
	for (unsigned i = 0; i < add->n_routes; i++) {
		const struct wire_route *r = &add->routes[i];
		int at = find_clash(&ch->from, r);

		if (at >= 0)
			return refuse(&ch->why, WIRE_E_EXISTS, "route",
				      "the device has a route to %s already, "
				      "with metric %u; remove it first, or ask "
				      "for another metric",
				      prefix_format(&ch->from.routes[at].dst,
						    text),
				      ch->from.routes[at].metric);
		to->routes[to->n_routes++] = *r;
	}
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

static bool strike_route(struct wire_open *to, const struct wire_route *r)
{
	int at = find_route(to, r);

	if (at < 0)
		return false;
	to->n_routes--;
	memmove(&to->routes[at], &to->routes[at + 1],
		(size_t)(to->n_routes - at) * sizeof(to->routes[0]));
	return true;
}

/*
 * A default route is made as its halves, and after a restart nothing tells
 * whether it was asked for as one: then it is what both are.
 */
static bool strike_halves(struct wire_open *to, const struct wire_route *r)
{
	struct wire_route low = *r, high;

	if (r->dst.len > 0)
		return false;
	low.dst.len = 1;
	high = low;
	high.dst.ip[0] = 0x80;
	return find_route(to, &low) >= 0 && find_route(to, &high) >= 0 &&
	       strike_route(to, &low) && strike_route(to, &high);
}

static int strike_routes(struct change *ch, const struct wire_remove *remove)
{
	char text[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < remove->n_routes; i++) {
		const struct wire_route *r = &remove->routes[i];

		if (!strike_route(&ch->to, r) && !strike_halves(&ch->to, r))
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
		error = carry_out(&now);
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
		ch->repairs = set->up && !is_down(&ch->from);
	}
	return set->what == WIRE_SET_UP && !set->up ? carry_out(ch) : grow(ch);
}

void change_set(struct conn *c, const struct wire_set *s)
{
	int error = begin(c);

	if (!error)
		error = set(&now, s);
	answer(&now, error);
}
