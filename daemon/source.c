#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "../policy/bounds.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "refuse.h"

#define TURN_MS	1		/* until the next few, when there are many */

static struct {
	struct held *dirty;	/* in the order in which they became so */
	struct event *timer;
} source;

int source_set(struct source *s, const struct policy_terms *terms)
{
	struct prefix *copy = NULL;

	if (terms->n_sources) {
		copy = calloc(terms->n_sources, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, terms->sources, terms->n_sources * sizeof(*copy));
	}
	free(s->prefixes);
	s->prefixes = copy;
	s->n = terms->n_sources;
	s->automatic = terms->automatic;
	s->guarded = s->guarded || terms->guard;
	s->dhcp = terms->dhcp;
	s->shadow = terms->shadow;
	s->mac_chosen = terms->mac_chosen;
	s->tamper_revokes = terms->tamper_revokes;
	return 0;
}

void source_free(struct source *s)
{
	free(s->prefixes);
	s->prefixes = NULL;
}

/* --- what goes into a guard --------------------------------------------- */

/* Grown as needed and kept: guards are made one at a time. */
static struct {
	struct guard_net *nets;
	struct prefix *own;
	size_t n_nets, n_own, room_nets, room_own;
	bool too_many, no_memory;
	/* Of the walk through the mirror: */
	const struct source *s;
	unsigned ifindex;
	size_t n_ours;		/* the first of nets are the device's */
} gather;

static bool grow(void **array, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *bigger;

	if (n < *room)
		return true;
	if (n >= LIMIT_GUARD_NETS) {
		gather.too_many = true;
		return false;
	}
	bigger = reallocarray(*array, more, size);
	if (!bigger) {
		gather.no_memory = true;
		return false;
	}
	*array = bigger;
	*room = more;
	return true;
}

static bool add_net(const struct prefix *p, bool allow)
{
	if (!grow((void **)&gather.nets, &gather.room_nets, gather.n_nets,
		  sizeof(*gather.nets)))
		return false;
	gather.nets[gather.n_nets++] = (struct guard_net){
		prefix_network(p), allow ? GUARD_ALLOW : GUARD_DENY
	};
	return true;
}

static bool add_own(const struct prefix *p)
{
	if (!grow((void **)&gather.own, &gather.room_own, gather.n_own,
		  sizeof(*gather.own)))
		return false;
	gather.own[gather.n_own++] = prefix_host(p);
	return true;
}

static bool is_ours(const struct prefix *p)
{
	for (size_t i = 0; i < gather.n_ours; i++)
		if (prefix_equal(&gather.nets[i].net, p))
			return true;
	return false;
}

/*
 * What others have inside of what leads to the device: theirs are the sources
 * from there, as the longest prefix is whose packets go there.  Where both have
 * the same, ours counts only if the policy lets it take packets away.
 */
static bool on_theirs(void *arg, const struct prefix *p, unsigned ifindex,
		      bool own)
{
	(void)arg;
	if (own)
		return add_own(p);
	if (!gather.s->automatic || (ifindex && ifindex == gather.ifindex) ||
	    p->len < (p->family == 4 ? POLICY_SHORTEST_IPV4 :
		      POLICY_SHORTEST_IPV6))
		return true;
	if (gather.s->shadow && is_ours(p))
		return true;
	return add_net(p, false);
}

static void add_ours(const struct source *s, const struct wire_open *is)
{
	for (size_t i = 0; !s->automatic && i < s->n; i++)
		add_net(&s->prefixes[i], true);
	for (unsigned i = 0; s->automatic && i < is->n_addresses; i++) {
		const struct wire_address *a = &is->addresses[i];

		add_net(a->peer.family ? &a->peer : &a->local, true);
	}
	for (unsigned i = 0; s->automatic && i < is->n_routes; i++)
		add_net(&is->routes[i].dst, true);
	gather.n_ours = gather.n_nets;
	/* The kernel may not have told of them yet. */
	for (unsigned i = 0; i < is->n_addresses; i++)
		add_own(&is->addresses[i].local);
}

static int build(const struct wire_open *is, struct guard_program *ret)
{
	const struct guard_spec spec = {
		.ethernet = is->layer == WIRE_TAP, .dhcp = gather.s->dhcp,
		.nets = gather.nets, .n_nets = gather.n_nets,
		.own = gather.own, .n_own = gather.n_own,
	};
	int n;

	if (gather.no_memory || gather.too_many)
		return gather.no_memory ? -ENOMEM : -E2BIG;
	n = guard_build(&spec, ret->insns, GUARD_INSNS_MAX);
	if (n >= 0)
		ret->n = (unsigned)n;
	return n < 0 ? n : 0;
}

int source_program(const struct source *s, const struct wire_open *is,
		   unsigned ifindex, int which,
		   const struct guard_program **ret, struct wire_refused *why)
{
	static struct guard_program programs[2];
	int error;

	*ret = NULL;
	if (!s->guarded)
		return 0;
	gather.n_nets = gather.n_own = 0;
	gather.too_many = gather.no_memory = false;
	gather.s = s;
	gather.ifindex = ifindex;
	add_ours(s, is);
	for (size_t i = 0; i < gather.n_ours; i++)
		if (!mirror_within(&gather.nets[i].net, on_theirs, NULL))
			break;
	error = build(is, &programs[which]);
	if (error == -E2BIG)
		return refuse(why, WIRE_E_TOO_LARGE, "guard", "inside of what "
			      "leads to the device the host has more networks "
			      "and routes of others than a source guard holds; "
			      "ask for less, or have the rule name the "
			      "prefixes that packets may come from (`source "
			      "=`)");
	if (error)
		return refuse(why, WIRE_E_NO_MEMORY, "guard", "out of memory");
	*ret = &programs[which];
	return 0;
}

/* FNV-1a of 64 bits. */
static uint64_t digest(const struct guard_program *program)
{
	const uint8_t *byte = (const uint8_t *)program->insns;
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < program->n * sizeof(*program->insns); i++)
		h = (h ^ byte[i]) * 1099511628211u;
	return h;
}

void source_in_force(struct source *s, const struct guard_program *program)
{
	s->digest = program ? digest(program) : 0;
}

/* --- as the host changes ------------------------------------------------ */

static void make_anew(struct held *held)
{
	static struct wire_open is;	/* large; used up before we return */
	const struct guard_program *program;
	struct wire_refused why;
	int error;

	lease_config(held, &is);
	error = source_program(&held->source, &is, held->lease.ifindex, 0,
			       &program, &why);
	if (!error && program && digest(program) != held->source.digest) {
		error = os_device_guard(held->lease.ifindex, program, &why);
		if (!error)
			source_in_force(&held->source, program);
	}
	/* ENODEV: it has gone, of which we shall hear. */
	if (!error || error == -ENODEV)
		return;
	log_line(LOG_WARNING, "lease %s: the source guard of %s does not "
		 "follow: %s; the device is taken back", held->lease.id,
		 held->lease.name, why.text);
	lease_revoke(held, "no source guard for what the host has now: %.40s",
		     why.text);
}

static void again_in(int ms)
{
	const struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (!event_pending(source.timer, EV_TIMEOUT, NULL))
		event_add(source.timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (int i = 0; source.dirty && i < LIMIT_GUARDS_A_TURN; i++) {
		struct held *held = source.dirty;

		source_forget(held);
		if (lease_held(&held->lease))
			make_anew(held);
	}
	if (source.dirty)
		again_in(TURN_MS);
}

void source_touch(struct held *held)
{
	if (!held->source.guarded || held->source.dirty || !source.timer)
		return;
	held->source.dirty = true;
	DL_APPEND(source.dirty, held);
	again_in(LIMIT_GUARD_MS);
}

void source_forget(struct held *held)
{
	if (held->source.dirty)
		DL_DELETE(source.dirty, held);
	held->source.dirty = false;
}

void source_touched(unsigned ifindex, struct server *server)
{
	struct lease *lease;

	if (ifindex) {
		lease = registry_find(&server->registry, ifindex);
		if (lease)
			source_touch(held_of(lease));
		return;
	}
	DL_FOREACH(server->registry.leases, lease)
		source_touch(held_of(lease));
}

void source_addressed(struct server *server)
{
	struct lease *lease;

	DL_FOREACH(server->registry.leases, lease)
		if (!held_of(lease)->source.automatic)
			source_touch(held_of(lease));
}

int source_start(struct event_base *base)
{
	source.timer = evtimer_new(base, on_timer, NULL);
	return source.timer ? 0 : -ENOMEM;
}

void source_stop(void)
{
	if (source.timer)
		event_free(source.timer);
	source.timer = NULL;
	free(gather.nets);
	free(gather.own);
	memset(&gather, 0, sizeof(gather));
}
