/*
 * From one description of a device to another, in steps that can each be
 * undone.
 *
 * What the kernel does on its own (bsd/net/if_utun.c, bsd/netinet/in.c,
 * bsd/netinet6/in6.c, bsd/net/if.c):
 *  - An utun comes up by itself, and without an address.
 *  - An IPv4 address brings a host route to its far end, and none to its
 *    network: that one is a step of ours.  An IPv6 address brings it along.
 *  - A route wants an address of its family on the device.
 *  - When the device goes down all its IPv4 routes go.
 *  - The prefix of the last IPv6 address in it goes some time after that. One
 *    that comes back before has a route for sockets alone that are bound to the
 *    interface (RTF_IFSCOPE).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os_darwin.h"
#include "refuse.h"

#define FIRST_ROOM	32

/* --- the plan ----------------------------------------------------------- */

static struct step *add_step(struct steps *s, enum step_kind kind, bool ensure)
{
	unsigned cap = s->cap ? 2 * s->cap : FIRST_ROOM;
	struct step *more;

	if (s->n == s->cap) {
		more = realloc(s->all, cap * sizeof(*more));
		if (!more) {
			s->failed = true;
			return NULL;
		}
		s->all = more;
		s->cap = cap;
	}
	s->all[s->n] = (struct step){ .kind = kind, .ensure = ensure };
	return &s->all[s->n++];
}

static void add_address_step(struct steps *s, enum step_kind kind,
			     const struct wire_address *a, bool ensure)
{
	struct step *step = add_step(s, kind, ensure);

	if (step)
		step->address = *a;
}

static void add_route_step(struct steps *s, enum step_kind kind,
			   const struct wire_route *r, bool ensure)
{
	struct step *step = add_step(s, kind, ensure);

	if (step)
		step->route = *r;
}

static const struct prefix *far_end(const struct wire_address *a)
{
	return a->peer.family ? &a->peer : &a->local;
}

static bool same_address(const struct wire_address *a,
			 const struct wire_address *b)
{
	return prefix_same_address(&a->local, &b->local) &&
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

/* The metric is not told to the kernel, so it makes no other route. */
static bool same_route(const struct wire_route *a, const struct wire_route *b)
{
	return prefix_equal(&a->dst, &b->dst) &&
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

/*
 * The route to an IPv4 address's network.  False where there is none, or an
 * earlier address has brought it.
 */
static bool connected(const struct wire_open *o, unsigned i,
		      struct wire_route *ret)
{
	const struct wire_address *a = &o->addresses[i];

	if (a->local.family != 4 || prefix_is_full(far_end(a)))
		return false;
	for (unsigned j = 0; j < i; j++)
		if (prefix_equal(far_end(&o->addresses[j]), far_end(a)))
			return false;
	*ret = (struct wire_route){ .dst = prefix_network(far_end(a)) };
	return true;
}

static bool has_connected(const struct wire_open *o, const struct wire_route *r)
{
	struct wire_route other;

	for (unsigned i = 0; i < o->n_addresses; i++)
		if (connected(o, i, &other) && same_route(&other, r))
			return true;
	return false;
}

static bool is_up(const struct wire_open *o)
{
	return !(o->flags & WIRE_OPEN_DOWN);
}

/* Those that are not to be, or not while it is down; the last one first. */
static void remove_routes(struct steps *s, const struct wire_open *from,
			  const struct wire_open *to)
{
	struct wire_route r;

	for (unsigned i = from->n_routes; i-- > 0;)
		if (!is_up(to) || !has_route(to, &from->routes[i]))
			add_route_step(s, STEP_REMOVE_ROUTE, &from->routes[i],
				       true);
	for (unsigned i = from->n_addresses; i-- > 0;)
		if (connected(from, i, &r) &&
		    (!is_up(to) || !has_connected(to, &r)))
			add_route_step(s, STEP_REMOVE_ROUTE, &r, true);
}

static bool has_local(const struct wire_open *o, const struct wire_address *a)
{
	for (unsigned i = 0; i < o->n_addresses; i++)
		if (prefix_same_address(&o->addresses[i].local, &a->local))
			return true;
	return false;
}

/*
 * Those that are not to be.  again: those alone that are to be with another
 * length or far end, which is the same one for the kernel; else the others.
 */
static void remove_addresses(struct steps *s, uint8_t family, bool again,
			     const struct wire_open *from,
			     const struct wire_open *to)
{
	for (unsigned i = from->n_addresses; i-- > 0;) {
		const struct wire_address *a = &from->addresses[i];

		if (a->local.family == family && !has_address(to, a) &&
		    has_local(to, a) == again)
			add_address_step(s, STEP_REMOVE_ADDRESS, a, true);
	}
}

/* What was there before is ensured, where that is in doubt. */
static void add_addresses(struct steps *s, const struct wire_open *from,
			  const struct wire_open *to, bool doubtful)
{
	for (unsigned i = 0; i < to->n_addresses; i++) {
		const struct wire_address *a = &to->addresses[i];
		bool had = has_address(from, a);

		if (!had || doubtful)
			add_address_step(s, STEP_ADD_ADDRESS, a, had);
	}
}

static void add_route_if(struct steps *s, const struct wire_route *r, bool had,
			 bool doubtful)
{
	if (!had || doubtful)
		add_route_step(s, STEP_ADD_ROUTE, r, had);
}

static void add_routes(struct steps *s, const struct wire_open *from,
		       const struct wire_open *to, bool doubtful)
{
	struct wire_route r;

	for (unsigned i = 0; i < to->n_addresses; i++)
		if (connected(to, i, &r))
			add_route_if(s, &r, is_up(from) &&
				     has_connected(from, &r), doubtful);
	for (unsigned i = 0; i < to->n_routes; i++)
		add_route_if(s, &to->routes[i], is_up(from) &&
			     has_route(from, &to->routes[i]), doubtful);
}

static void set_mtu(struct steps *s, const struct wire_open *from,
		    const struct wire_open *to)
{
	struct step *step;

	if (!to->mtu || to->mtu == from->mtu)
		return;
	step = add_step(s, STEP_MTU, false);
	if (step)
		step->mtu = to->mtu;
}

static void set_up(struct steps *s, bool up)
{
	struct step *step = add_step(s, STEP_UP, true);

	if (step)
		step->up = up;
}

void move_plan(struct steps *ret, const struct wire_open *from,
	       const struct wire_open *to, bool repair)
{
	*ret = (struct steps){ 0 };
	if (is_up(from))
		remove_routes(ret, from, to);
	remove_addresses(ret, 4, true, from, to);
	remove_addresses(ret, 6, true, from, to);
	set_mtu(ret, from, to);
	if (is_up(from) && !is_up(to))
		set_up(ret, false);
	add_addresses(ret, from, to, repair);
	if (is_up(to) && (!is_up(from) || repair))
		set_up(ret, true);
	if (is_up(to))
		add_routes(ret, from, to, repair);
	/* Last, as this is not undone well: of IPv6 even less. */
	remove_addresses(ret, 4, false, from, to);
	remove_addresses(ret, 6, false, from, to);
}

void move_add_routes(struct steps *ret, const struct wire_route *routes,
		     unsigned n, bool ensure)
{
	*ret = (struct steps){ 0 };
	for (unsigned i = 0; i < n; i++)
		add_route_step(ret, STEP_ADD_ROUTE, &routes[i], ensure);
}

void move_free(struct steps *s)
{
	free(s->all);
	*s = (struct steps){ 0 };
}

/* --- carrying it out ---------------------------------------------------- */

static int set_mtu_noted(struct step *step, const char *ifname)
{
	int error = ifconf_get_mtu(ifname, &step->old_mtu);

	return error ? error : ifconf_set_mtu(ifname, step->mtu);
}

static int do_one(struct step *step, unsigned ifindex, const char *ifname)
{
	switch (step->kind) {
	case STEP_ADD_ADDRESS:
		return ifconf_add_address(ifname, &step->address);
	case STEP_REMOVE_ADDRESS:
		return ifconf_remove_address(ifname, &step->address);
	case STEP_ADD_ROUTE:
		return route_add(ifindex, &step->route);
	case STEP_REMOVE_ROUTE:
		return route_remove(ifindex, &step->route);
	case STEP_MTU:
		return set_mtu_noted(step, ifname);
	case STEP_UP:
		break;
	}
	return ifconf_set_up(ifname, step->up);
}

static int undo_one(const struct step *step, unsigned ifindex,
		    const char *ifname)
{
	switch (step->kind) {
	case STEP_ADD_ADDRESS:
		return ifconf_remove_address(ifname, &step->address);
	case STEP_REMOVE_ADDRESS:
		return ifconf_add_address(ifname, &step->address);
	case STEP_ADD_ROUTE:
		return route_remove(ifindex, &step->route);
	case STEP_REMOVE_ROUTE:
		return route_add(ifindex, &step->route);
	case STEP_MTU:
		return ifconf_set_mtu(ifname, step->old_mtu);
	case STEP_UP:
		break;
	}
	return ifconf_set_up(ifname, !step->up);
}

/* There already, or gone already. */
static bool is_so(const struct step *step, int error)
{
	switch (step->kind) {
	case STEP_ADD_ADDRESS:
	case STEP_ADD_ROUTE:
		return error == -EEXIST;
	case STEP_REMOVE_ADDRESS:
		return error == -EADDRNOTAVAIL;
	case STEP_REMOVE_ROUTE:
		return error == -ESRCH;
	case STEP_UP:
		return error == -EALREADY;
	case STEP_MTU:
		break;
	}
	return false;
}

/* What was there before the step stays when the step is undone. */
static bool is_to_be_undone(const struct step *step)
{
	return !step->ensure || (step->kind != STEP_ADD_ADDRESS &&
				 step->kind != STEP_ADD_ROUTE);
}

static int explain(const struct step *step, int error, struct wire_refused *why)
{
	enum wire_error code = refuse_kernel_code(-error);
	char text[PREFIX_TEXT_MAX];

	switch (step->kind) {
	case STEP_ADD_ADDRESS:
	case STEP_REMOVE_ADDRESS:
		return refuse(why, code, "address", "%s: %s",
			      prefix_format(&step->address.local, text),
			      strerror(-error));
	case STEP_ADD_ROUTE:
		if (error == -EEXIST)
			return refuse(why, WIRE_E_EXISTS, "route", "the host "
				      "has a route to %s, and macOS takes no "
				      "second one beside it",
				      prefix_format(&step->route.dst, text));
		/* fall through */
	case STEP_REMOVE_ROUTE:
		return refuse(why, code, "route", "%s: %s",
			      prefix_format(&step->route.dst, text),
			      strerror(-error));
	case STEP_MTU:
		return refuse(why, code, "mtu", "MTU %u: %s", step->mtu,
			      strerror(-error));
	case STEP_UP:
		break;
	}
	return refuse(why, code, step->up ? "up" : "down", "%s",
		      strerror(-error));
}

/* The first error; the rest is undone all the same. */
static int undo(struct steps *s, unsigned n, unsigned ifindex,
		const char *ifname)
{
	int first = 0;

	while (n-- > 0) {
		int error = s->all[n].done ?
			undo_one(&s->all[n], ifindex, ifname) : 0;

		first = first ? first : error;
	}
	return first;
}

/* 0, or -errno with *why filled. */
static int do_step(struct step *step, unsigned ifindex, const char *ifname,
		   struct wire_refused *why)
{
	int error = do_one(step, ifindex, ifname);

	step->done = !error && is_to_be_undone(step);
	if (!error || (step->ensure && is_so(step, error)))
		return 0;
	return explain(step, error, why);
}

int move_do(struct steps *s, unsigned ifindex, const char *ifname,
	    struct wire_refused *why)
{
	int error = 0, second;
	unsigned i;

	if (s->failed)
		return refuse(why, WIRE_E_NO_MEMORY, "change", "out of memory");
	for (i = 0; i < s->n && !error; i++)
		error = do_step(&s->all[i], ifindex, ifname, why);
	second = error ? undo(s, i, ifindex, ifname) : 0;
	if (!second)
		return error;
	return refuse(why, why->code, why->step, "%.*s; and what had been done "
		      "could not be undone (%s): close the device",
		      (int)(WIRE_TEXT_MAX / 2), why->text, strerror(-second));
}
