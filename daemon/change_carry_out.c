/*
 * Brings a device to what a request has made of its description, or leaves it
 * as it was; or takes back what was done.
 */
#include "change.h"

#include <stdlib.h>
#include <string.h>

#include "lease.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"
#include "refuse.h"

/* The first n of these are the lease's, again. */
static void put_routes(struct held *held, const struct wire_open *from,
		       unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct wire_route r = from->routes[i];

		if (r.flags & CHANGE_HALVES) {
			r.dst.len = 1;
			routes_add(&held->routes, &r);
			r.dst.ip[0] = 0x80;
		}
		routes_add(&held->routes, &r);
	}
}

void change_put_back(struct change *ch)
{
	put_routes(ch->held, &ch->from, ch->gone);
	if (ch->gone)
		remake_again(ch->held);
	ch->gone = 0;
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

static bool changes_addresses(const struct change *ch)
{
	return ch->from.n_addresses != ch->to.n_addresses ||
	       memcmp(ch->from.addresses, ch->to.addresses,
		      sizeof(ch->to.addresses)) != 0;
}

/* Of the rest nothing ever changes. */
static bool changes_but_routes(const struct change *ch)
{
	return ch->from.mtu != ch->to.mtu || ch->from.flags != ch->to.flags ||
	       changes_addresses(ch);
}

static bool changes(const struct change *ch)
{
	return ch->come + ch->gone > 0 || changes_but_routes(ch);
}

bool change_is_about_routes(const struct change *ch)
{
	return ch->come + ch->gone > 0 && !ch->repairs &&
	       !changes_but_routes(ch);
}

/* The guards before and after; NULL where nothing of it changes. */
static int make_guards(struct change *ch, struct os_state *from,
		       struct os_state *to)
{
	struct held *held = ch->held;
	const struct source *source = ch->judged ? &ch->source : &held->source;
	unsigned ifindex = held->lease.ifindex;
	int error;

	/* Of routes alone nothing follows for what the rule names. */
	if (!ch->judged && change_is_about_routes(ch) && !source->automatic)
		return 0;
	error = source_program(source, &ch->to, &held->routes, ifindex, 0,
			       &to->guard, &ch->why);
	/*
	 * What is there fitted once; if the host has more now, no undoing.  Of
	 * routes alone it is made anew, where that is needed: guard_anew().
	 */
	if (!error && !change_is_about_routes(ch) &&
	    source_program(&held->source, &ch->from, &held->routes, ifindex, 1,
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
	struct held *held = ch->held;

	take_in(ch, true);
	if (to->guard && held->lease.counted)
		guard_anew(held);
	/* Fewer were in the batch that undid it. */
	if (held->routes.n > WIRE_ROUTES_MAX && !change_is_about_routes(ch))
		remake_begin(held);
}

/* The rest is told by the kernel, whoever does it. */
static void tell_changed(const struct held *held, const struct wire_open *is)
{
	monitor_lease(WIRE_NOTICE_CHANGED, &held->lease, "by its holder: "
		      "addresses %u, routes %u", is->n_addresses,
		      routes_count(&held->routes));
}

/* The lease is as the request made it. */
static void commit(struct change *ch, const struct config *config,
		   const struct guard_program *guard)
{
	struct held *held = ch->held;

	for (unsigned i = 0; i < ch->come; i++)
		routes_add(&held->routes, &ch->to.routes[i]);
	if (ch->gone)
		remake_again(held);
	lease_configure(held, config);
	if (ch->judged) {
		source_take(held, &ch->source);
		held->judged = held->server->generation;
	}
	if (guard)
		source_in_force(&held->source, guard);
	know(ch);
	take_in(ch, false);
	/* But one that changes nothing could hide a storm. */
	if (changes(ch))
		mirror_forgive(held->lease.ifindex);
	mirror_readdress(held->lease.ifindex, ch->from.addresses,
			 ch->from.n_addresses, ch->to.addresses,
			 ch->to.n_addresses);
	if (ch->come + ch->gone > 0 || changes_addresses(ch))
		tell_changed(held, &ch->to);
}

/* Those that stay are more than go into the request's batch: afterwards. */
static int make_later(struct change *ch, struct lease_step **ret)
{
	struct lease_step *step = malloc(sizeof(*step));

	*ret = step;
	if (!step)
		return refuse(&ch->why, WIRE_E_NO_MEMORY, "change",
			      "out of memory");
	step->from = ch->from;
	step->to = ch->to;
	step->terms = ch->terms;
	/* They are the policy's, which may be another one by then. */
	step->terms.sources = NULL;
	step->terms.n_sources = 0;
	return 0;
}

/* What the kernel may have dropped of what stays is asked for anew. */
static int ask_for_kept(struct change *ch, const struct os_state *from,
			const struct os_state *to, struct lease_step **later)
{
	/* On the way there, and on the way back where that fails. */
	bool there = !is_down(&ch->to) && os_device_drops_routes(from, to);
	bool back = !is_down(&ch->from) && os_device_drops_routes(to, from);

	if (ch->held->routes.n == 0 || (!there && !back))
		return 0;
	if (lease_add_routes(ch->held, &ch->from) &&
	    lease_add_routes(ch->held, &ch->to))
		return 0;
	ch->from.n_routes = (uint16_t)ch->gone;
	ch->to.n_routes = (uint16_t)ch->come;
	return there ? make_later(ch, later) : 0;
}

int change_carry_out(struct change *ch)
{
	struct held *held = ch->held;
	struct os_state from = { .open = &ch->from,
				 .doubtful = ch->repairs };
	struct os_state to = { .open = &ch->to };
	struct lease_step *later = NULL;
	struct config config;
	int error = make_guards(ch, &from, &to);

	if (error)
		return error;
	if (routes_reserve(&held->routes, (uint32_t)ch->come + ch->gone) ||
	    config_pack(&ch->to, &held->routes, ch->to.routes, ch->come,
			&config))
		return refuse(&ch->why, WIRE_E_NO_MEMORY, "change",
			      "out of memory");
	error = ask_for_kept(ch, &from, &to, &later);
	if (!error)
		error = os_device_change(held->lease.ifindex,
					 held->connected_metric, &from, &to,
					 &ch->why);
	if (error) {
		free(later);
		config_free(&config);
		change_put_back(ch);
		after_failure(ch, &to);
		return error;
	}
	commit(ch, &config, to.guard);
	if (later)
		remake_for_holder(held, later);
	return 0;
}

void change_undo(struct held *held, const struct lease_step *step,
		 struct wire_refused *why)
{
	const struct os_state after = { .open = &step->to };
	const struct os_state before = { .open = &step->from };
	const struct wire_open *from = &step->from;
	struct wire_refused second;
	struct config config;

	for (unsigned i = 0; i < step->to.n_routes; i++)
		routes_remove(&held->routes, &step->to.routes[i]);
	if (routes_reserve(&held->routes, 2u * from->n_routes) ||
	    config_pack(from, &held->routes, from->routes, from->n_routes,
			&config)) {
		lease_revoke(held, "out of memory while a request was undone");
		return;
	}
	put_routes(held, from, from->n_routes);
	if (os_device_change(held->lease.ifindex, held->connected_metric,
			     &after, &before, &second))
		refuse(why, why->code, why->step, "%.*s; and what had been "
		       "done could not be undone (%.*s): close the device",
		       (int)(WIRE_TEXT_MAX / 3), why->text,
		       (int)(WIRE_TEXT_MAX / 3), second.text);
	lease_configure(held, &config);
	if (step->from.mtu != step->to.mtu)
		held->mtu = held->news.mtu = from->mtu;
	if (from->flags != step->to.flags)
		held->up = held->news.up = !is_down(from);
	guard_anew(held);
	tell_changed(held, from);
	if (held->up)
		remake_begin(held);
}
