#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../proto/sys.h"
#include "lease.h"
#include "limits.h"
#include "mirror.h"
#include "refuse.h"

int source_with(const struct source *s, const struct policy_terms *terms,
		struct source *ret)
{
	struct claims named;

	if (claims_init(&named, terms->n_sources))
		return -ENOMEM;
	named.named = true;
	for (size_t i = 0; i < terms->n_sources; i++)
		claims_add(&named, &terms->sources[i]);
	*ret = (struct source){
		.guarded = s->guarded || terms->guard,
		.dhcp = terms->dhcp,
		.shadow = terms->shadow,
		.mac_chosen = terms->mac_chosen,
		.tamper_revokes = terms->tamper_revokes,
		.automatic = terms->automatic,
		.named = named,
	};
	return 0;
}

void source_take(struct held *held, const struct source *with)
{
	struct source *s = &held->source;
	uint64_t digest = s->digest;
	unsigned room = s->room;
	bool dirty = s->dirty;

	claims_free(&s->named);
	*s = *with;
	s->digest = digest;
	s->room = room;
	s->dirty = dirty;
	follow_claims(held, &s->named);
}

void source_drop(struct source *with)
{
	claims_free(&with->named);
}

int source_set(struct held *held, const struct policy_terms *terms)
{
	struct source with;

	if (source_with(&held->source, terms, &with))
		return -ENOMEM;
	source_take(held, &with);
	return 0;
}

void source_free(struct held *held)
{
	follow_forget(held);
	claims_free(&held->source.named);
}

/* --- what goes into a guard --------------------------------------------- */

#define GUARD_INSNS_A_NET	4	/* of IPv4, at most, see room_of() */
#define NETS_KEPT	4096	/* between one guard and the next */

/* Grown as needed and kept: guards are made one at a time. */
static struct {
	struct guard_net *nets;
	struct prefix *own;
	size_t n_nets, n_own, room_nets, room_own;
	bool too_many, too_many_ours, no_memory;
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
	bigger = sys_reallocarray(*array, more, size);
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

/* By first address, and a network before all that lies in it. */
static int compare_nets(const void *left, const void *right)
{
	const struct prefix *a = &((const struct guard_net *)left)->net;
	const struct prefix *b = &((const struct guard_net *)right)->net;
	int r = (int)a->family - (int)b->family;

	if (r == 0)
		r = memcmp(a->ip, b->ip, sizeof(a->ip));
	return r ? r : (int)a->len - (int)b->len;
}

/* Lists of routes often are. */
static bool ours_are_in_order(void)
{
	for (size_t i = 1; i < gather.n_ours; i++)
		if (compare_nets(&gather.nets[i - 1], &gather.nets[i]) > 0)
			return false;
	return true;
}

static bool is_ours(const struct prefix *p)
{
	const struct guard_net key = { .net = prefix_network(p) };

	return gather.n_ours > 0 &&
	       bsearch(&key, gather.nets, gather.n_ours, sizeof(key),
		       compare_nets);
}

/*
 * What others have inside of what leads to the device: theirs are the sources
 * from there, as the longest prefix is whose packets go there.  Where both have
 * the same, ours counts only if the policy lets it take packets away, or if the
 * other one drops them: that is what is left when ours goes.  What is the
 * host's own is never a source.
 */
static bool on_theirs(void *arg, const struct net *net)
{
	const struct prefix *p = &net->prefix;

	(void)arg;
	if (net->kind == NET_OWN)
		return add_own(p);
	if (net_is_short(p))
		return true;
	if (net->kind == NET_LOCAL)
		return add_net(p, false);
	if (!gather.s->automatic ||
	    (net->ifindex && net->ifindex == gather.ifindex))
		return true;
	if ((gather.s->shadow || net->kind == NET_NOWHERE) && is_ours(p))
		return true;
	return add_net(p, false);
}

/* What the host has for neighbours of this link alone. */
static bool on_own(void *arg, const struct net *net)
{
	(void)arg;
	return !net_is_link_local(&net->prefix) || add_own(&net->prefix);
}

/* What leads to it. */
static void add_own_nets(const struct wire_open *is,
			 const struct routes *besides)
{
	for (unsigned i = 0; i < is->n_addresses; i++)
		add_net(lease_far_end(&is->addresses[i]), true);
	for (unsigned i = 0; i < is->n_routes; i++)
		add_net(&is->routes[i].dst, true);
	gather.too_many_ours = besides->n + is->n_routes > LIMIT_GUARD_ROUTES;
	for (uint32_t i = 0; !gather.too_many_ours && i < besides->n; i++) {
		struct wire_route r = routes_get(besides, i);

		if (!add_net(&r.dst, true))
			return;
	}
}

static void add_ours(const struct source *s, const struct wire_open *is,
		     const struct routes *besides)
{
	for (size_t i = 0; !s->automatic && i < s->named.n; i++)
		add_net(&s->named.all[i].net.prefix, true);
	if (s->automatic)
		add_own_nets(is, besides);
	gather.n_ours = gather.n_nets;
	if (!ours_are_in_order())
		qsort(gather.nets, gather.n_ours, sizeof(*gather.nets),
		      compare_nets);
	/* The kernel may not have told of them yet. */
	for (unsigned i = 0; i < is->n_addresses; i++)
		add_own(&is->addresses[i].local);
}

/*
 * What others have in ours, and what of ours is the host's own altogether.  What
 * lies in one of ours is behind it: it is looked into with that.
 */
static bool add_theirs(void)
{
	struct prefix widest = { .family = 0 };

	for (size_t i = 0; i < gather.n_ours; i++) {
		struct prefix p = gather.nets[i].net;	/* they may move */

		if (mirror_is_host(&p) && !add_net(&p, false))
			return false;
		if (prefix_contains(&widest, &p))
			continue;
		widest = p;
		if (!mirror_within(&p, on_theirs, NULL))
			return false;
	}
	return true;
}

/* Of as many more, none of which merges with what there is. */
static unsigned room_of(const struct guard_program *program)
{
	unsigned insns = GUARD_INSNS_MAX - program->n;
	size_t nets = LIMIT_GUARD_NETS - gather.n_nets;

	insns /= GUARD_INSNS_A_NET;
	return insns < nets ? insns : (unsigned)nets;
}

static int build(const struct wire_open *is, struct guard_program *ret)
{
	const struct guard_spec spec = {
		.ethernet = is->layer == WIRE_TAP, .dhcp = gather.s->dhcp,
		.nets = gather.nets, .n_nets = gather.n_nets,
		.own = gather.own, .n_own = gather.n_own,
	};
	int n;

	if (gather.no_memory)
		return -ENOMEM;
	if (gather.too_many || gather.too_many_ours)
		return -E2BIG;
	n = guard_build(&spec, ret->insns, GUARD_INSNS_MAX);
	if (n < 0)
		return n;
	ret->n = (unsigned)n;
	ret->room = room_of(ret);
	return 0;
}

/* What a device with very many routes took is not kept for all others. */
static void forget_many(void)
{
	if (gather.room_nets <= NETS_KEPT)
		return;
	free(gather.nets);
	gather.nets = NULL;
	gather.room_nets = 0;
}

int source_program(const struct source *s, const struct wire_open *is,
		   const struct routes *besides, unsigned ifindex, int which,
		   const struct guard_program **ret, struct wire_refused *why)
{
	static struct guard_program programs[2];
	int error;

	*ret = NULL;
	if (!s->guarded)
		return 0;
	gather.n_nets = gather.n_own = 0;
	gather.too_many = gather.too_many_ours = gather.no_memory = false;
	gather.s = s;
	gather.ifindex = ifindex;
	add_ours(s, is, besides);
	if (!gather.too_many_ours)
		(void)add_theirs();	/* what it lacks is noted */
	if (is->layer == WIRE_TAP)
		mirror_own(ifindex, on_own, NULL);
	error = build(is, &programs[which]);
	forget_many();
	if (gather.too_many_ours)
		return refuse(why, WIRE_E_TOO_LARGE, "guard", "a source guard "
			      "is made from %d routes at most; ask for fewer, "
			      "or have the rule name the prefixes that packets "
			      "may come from (`source =`)",
			      LIMIT_GUARD_ROUTES);
	if (error == -EOPNOTSUPP)
		return refuse(why, WIRE_E_UNSUPPORTED, "guard", "this system "
			      "has no source guard: have the rule say "
			      "`source-guard = off`");
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
	s->room = program ? program->room : 0;
}

int source_renew(struct held *held, struct wire_refused *why)
{
	static struct wire_open is;	/* large; used up before we return */
	struct source *s = &held->source;
	const struct guard_program *program;
	int error;

	lease_config(held, &is);
	error = source_program(s, &is, &held->routes, held->lease.ifindex, 0,
			       &program, why);
	if (error || !program)
		return error;
	if (digest(program) != s->digest)
		error = os_device_guard(held->lease.ifindex, program, why);
	if (!error)
		source_in_force(s, program);
	return error;
}

void source_stop(void)
{
	free(gather.nets);
	free(gather.own);
	memset(&gather, 0, sizeof(gather));
}
