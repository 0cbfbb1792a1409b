#include "follow.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "clock.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "refuse.h"

#define TURN_MS	1		/* until the next few, when there are many */

static struct {
	struct server *server;
	struct nets claims;	/* of all leases, by prefix */
	uint32_t serial;
	struct held *dirty;	/* in the order in which they became so */
	struct event *timer;
} follow;

/* --- claims ------------------------------------------------------------- */

int claims_init(struct claims *claims, size_t room)
{
	*claims = (struct claims){ .room = room };
	if (!room)
		return 0;
	claims->all = calloc(room, sizeof(*claims->all));
	return claims->all ? 0 : -ENOMEM;
}

void claims_add(struct claims *claims, const struct prefix *prefix)
{
	claims->all[claims->n++].net.prefix = prefix_network(prefix);
}

void claims_free(struct claims *claims)
{
	for (size_t i = 0; claims->followed && i < claims->n; i++)
		nets_remove(&follow.claims, &claims->all[i].net);
	free(claims->all);
	*claims = (struct claims){ .n = 0 };
}

void follow_claims(struct held *held, struct claims *claims)
{
	for (size_t i = 0; i < claims->n; i++) {
		struct claim *c = &claims->all[i];

		c->held = held;
		c->named = claims->named;
		/* Several leases may claim the same, and one by its metrics. */
		do
			c->net.serial = ++follow.serial;
		while (nets_add(&follow.claims, &c->net));
	}
	claims->followed = true;
}

/* --- who is touched ----------------------------------------------------- */

void follow_touch(struct held *held)
{
	const struct timeval soon = { 0, LIMIT_GUARD_MS * 1000 };

	if (!held->source.guarded || held->source.dirty || !follow.timer)
		return;
	held->source.dirty = true;
	DL_APPEND(follow.dirty, held);
	if (!event_pending(follow.timer, EV_TIMEOUT, NULL))
		event_add(follow.timer, &soon);
}

/* Is that of any meaning to the guard? (on_theirs(), source.c) */
static bool matters(const struct claim *c, const struct net *what)
{
	bool of_host = what->kind == NET_OWN || what->kind == NET_LOCAL;

	if (c->named == c->held->source.automatic)
		return false;
	if (c->named)
		return of_host;
	return of_host || !what->ifindex ||
	       what->ifindex != c->held->lease.ifindex;
}

/* An IPv6 address is compared in parts. */
static unsigned room_for(const struct prefix *p)
{
	return p->family == 4 ? 1 : 3;
}

static void touch_by(const struct net *claim, const struct net *what)
{
	const struct claim *c = (const struct claim *)claim;
	unsigned *room = &c->held->source.room;
	unsigned takes = room_for(&what->prefix);

	if (!matters(c, what))
		return;
	*room = *room > takes ? *room - takes : 0;
	follow_touch(c->held);
}

static bool claims_above(const struct prefix *p, int len, struct prefix *ret)
{
	return nets_above(&follow.claims, 0, 0, p, len, ret);
}

void follow_touched(const struct net *what)
{
	const struct prefix *p = &what->prefix;
	struct prefix net;
	struct lease *lease = NULL;
	struct net *n;

	/* On its own link alone is such a one anybody's. */
	if (what->kind == NET_OWN && net_is_link_local(p))
		lease = registry_find(&follow.server->registry, what->ifindex);
	if (lease)
		follow_touch(held_of(lease));
	for (bool more = claims_above(p, p->len, &net); more;
	     more = claims_above(&net, net.len - 1, &net))
		for (n = nets_of(&follow.claims, &net, 0); n; n = nets_next(n))
			touch_by(n, what);
	/* All in it becomes the host's own, or does no longer. */
	if (what->kind == NET_LOCAL)
		for (n = nets_within(&follow.claims, p); n;
		     n = nets_next_within(n, p))
			touch_by(n, what);
}

/* --- who comes later, and would be too much ------------------------------- */

static struct {
	unsigned serial;	/* of the request */
	const struct held *held;
	unsigned renewed;
} asking;

/* Has the lease room for one more?  Anew, if need be: much of it may merge. */
static bool has_room(struct held *held, const struct prefix *p)
{
	struct source *s = &held->source;
	struct wire_refused why;

	if (s->asked_by != asking.serial)
		s->asked = 0;
	s->asked_by = asking.serial;
	s->asked += room_for(p);
	if (s->asked <= s->room)
		return true;
	if (asking.renewed++ >= LIMIT_GUARDS_A_REQUEST ||
	    source_renew(held, &why))
		return false;
	return s->asked <= s->room;
}

/* Where everything claims a lease with many: does it really lie in one? */
static bool leads_to(const struct held *held, const struct prefix *p)
{
	struct prefix net = *p;

	if (held->routes.n <= WIRE_ROUTES_MAX)
		return true;
	for (int len = p->len; len >= 0; len--) {
		net.len = (uint8_t)len;
		net = prefix_network(&net);
		if (routes_alike(&held->routes, &net) > 0)
			return true;
	}
	return false;
}

static bool is_asked(const struct claim *c, const struct prefix *p)
{
	const struct held *held = c->held;

	return held != asking.held && !c->named && held->source.automatic &&
	       held->source.guarded && held->conn && lease_is_there(held) &&
	       (c->net.prefix.len > 0 || leads_to(held, p));
}

/* The first of those that it lies in which has no room; NULL: all have. */
static const struct held *is_full(const struct prefix *p)
{
	struct prefix net;

	for (bool more = claims_above(p, p->len, &net); more;
	     more = claims_above(&net, net.len - 1, &net))
		for (struct net *n = nets_of(&follow.claims, &net, 0); n;
		     n = nets_next(n)) {
			const struct claim *c = (const struct claim *)n;

			if (is_asked(c, p) && !has_room(c->held, p))
				return c->held;
		}
	return NULL;
}

int follow_room(const struct held *held, const struct wire_route *routes,
		unsigned n, struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX];

	if (held->routes.n + n <= WIRE_ROUTES_MAX)
		return 0;
	asking.serial++;
	asking.held = held;
	asking.renewed = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct prefix *dst = &routes[i].dst;
		const struct held *full = is_full(dst);

		if (full)
			return refuse(why, WIRE_E_TOO_LARGE, "route", "%s lies "
				      "in what leads to %s, the source guard "
				      "of which has no room for more networks "
				      "of others; ask for fewer or for others, "
				      "or have the rule of that device name "
				      "prefixes (`source =`)",
				      prefix_format(dst, text),
				      full->lease.name);
	}
	return 0;
}

void follow_forget(struct held *held)
{
	if (held->source.dirty)
		DL_DELETE(follow.dirty, held);
	held->source.dirty = false;
}

/* --- their guards made anew --------------------------------------------- */

static void make_anew(struct held *held)
{
	struct wire_refused why;
	int error = source_renew(held, &why);

	/* ENODEV: it has gone, of which we shall hear. */
	if (!error || error == -ENODEV)
		return;
	/* Its rule may name prefixes: that is known when its client is back. */
	if (held->lease.state == WIRE_LEASE_ORPHAN &&
	    why.code == WIRE_E_TOO_LARGE)
		return;
	log_line(LOG_WARNING, "lease %s: the source guard of %s does not "
		 "follow: %s; the device is taken back", held->lease.id,
		 held->lease.name, why.text);
	lease_revoke(held, "no source guard for what the host has now: %.40s",
		     why.text);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval others = { 0, TURN_MS * 1000 };
	int64_t until = now_ms() + LIMIT_GUARDS_TURN_MS;

	(void)fd;
	(void)what;
	(void)arg;
	do {
		struct held *held = follow.dirty;

		if (!held)
			return;
		follow_forget(held);
		if (lease_is_there(held))
			make_anew(held);
	} while (now_ms() < until);
	event_add(follow.timer, &others);
}

int follow_start(struct server *server)
{
	follow.server = server;
	follow.timer = evtimer_new(server->base, on_timer, NULL);
	return follow.timer ? 0 : -ENOMEM;
}

void follow_stop(void)
{
	if (follow.timer)
		event_free(follow.timer);
	follow.timer = NULL;
}
