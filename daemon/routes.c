#include "routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../policy/bounds.h"
#include "../proto/sys.h"

/* One more than an index into all[], so that 0 is none. */
#define NONE	0u

#define ROOM_FIRST	16

/* As small as can be, as there may be many. */
struct routes_entry {
	uint8_t dst[16], gateway[16];
	uint32_t metric;
	uint32_t next;			/* of the same hash, or NONE */
	uint8_t family, len;
	bool has_gateway;
};

/* --- hashing ------------------------------------------------------------- */

/* Whose they are knows none of it, and so cannot ask for what falls together. */
static uint64_t secret[3];

/* Both halves of a product: each bit of it depends on all that went in. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash(const uint8_t dst[16], uint8_t family, uint8_t len)
{
	uint64_t word[2];

	memcpy(word, dst, sizeof(word));
	return (uint32_t)mix(mix(word[0] ^ secret[0], word[1] ^ secret[1]) ^
			     ((uint64_t)family << 8 | len), secret[2]);
}

static uint32_t *head_of(const struct routes *routes, const uint8_t dst[16],
			 uint8_t family, uint8_t len)
{
	return &routes->heads[hash(dst, family, len) & (routes->n_heads - 1)];
}

static uint32_t *head(const struct routes *routes, const struct routes_entry *e)
{
	return head_of(routes, e->dst, e->family, e->len);
}

/* --- room ---------------------------------------------------------------- */

void routes_free(struct routes *routes)
{
	free(routes->all);
	free(routes->heads);
	*routes = (struct routes){ .n = 0 };
}

static void link_all(struct routes *routes)
{
	memset(routes->heads, 0, routes->n_heads * sizeof(*routes->heads));
	for (uint32_t i = 0; i < routes->n; i++) {
		uint32_t *to = head(routes, &routes->all[i]);

		routes->all[i].next = *to;
		*to = i + 1;
	}
}

/* As many heads as there is room for routes, in powers of 2. */
static int grow(struct routes *routes, uint32_t room)
{
	struct routes_entry *all = sys_reallocarray(routes->all, room,
						    sizeof(*all));
	uint32_t *heads;

	if (!all)
		return -ENOMEM;
	routes->all = all;
	heads = sys_reallocarray(routes->heads, room, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	routes->heads = heads;
	routes->room = routes->n_heads = room;
	link_all(routes);
	return 0;
}

int routes_reserve(struct routes *routes, uint32_t more)
{
	uint32_t room = routes->room ? routes->room : ROOM_FIRST;

	if (more == 0 || routes->n + more <= routes->room)
		return 0;
	if (secret[2] == 0 && getentropy(secret, sizeof(secret)) < 0)
		return -ENOMEM;
	secret[2] |= 1;
	while (room < routes->n + more)
		room *= 2;
	return grow(routes, room);
}

void routes_trim(struct routes *routes)
{
	uint32_t room = routes->room;

	if (routes->n == 0) {
		routes_free(routes);
		return;
	}
	while (room > ROOM_FIRST && routes->n <= room / 4)
		room /= 2;
	if (room < routes->room)
		(void)grow(routes, room);	/* or it stays as it is */
}

/* --- what they lead to ---------------------------------------------------- */

/* Of IPv6 what is longer than this counts as that. */
#define IPV6_BITS	48
#define IPV4_BITS	32

/*
 * What makes them large by itself counts as no more than that: so no sum of as
 * many routes as there may be overflows.
 */
static uint64_t share_of(const struct prefix *p)
{
	unsigned bits = p->family == 4 ? IPV4_BITS : IPV6_BITS;
	unsigned least = (p->family == 4 ? POLICY_SHORTEST_IPV4 :
			  POLICY_SHORTEST_IPV6) - 1;
	unsigned len = p->len > least ? p->len : least;

	return UINT64_C(1) << (len < bits ? bits - len : 0);
}

static uint64_t *sum_of(struct routes_share *share, const struct prefix *p)
{
	return p->family == 4 ? &share->ipv4 : &share->ipv6;
}

void routes_share(struct routes_share *to, const struct prefix *p)
{
	*sum_of(to, p) += share_of(p);
}

bool routes_share_is_large(const struct routes_share *share)
{
	return share->ipv4 >> (IPV4_BITS - POLICY_SHORTEST_IPV4 + 1) ||
	       share->ipv6 >> (IPV6_BITS - POLICY_SHORTEST_IPV6 + 1);
}

/* --- one of them ---------------------------------------------------------- */

/* Is it half of a default route, and the other one there? (rtnl_add_route()) */
static bool has_other_half(const struct routes *routes,
			   const struct wire_route *r)
{
	struct wire_route other = *r;

	if (r->dst.len != 1)
		return false;
	other.dst.ip[0] ^= 0x80;
	return routes_find(routes, &other, &other) &&
	       other.metric == r->metric &&
	       prefix_equal(&other.gateway, &r->gateway);
}

void routes_add(struct routes *routes, const struct wire_route *r)
{
	struct routes_entry *e = &routes->all[routes->n++];
	uint32_t *to;

	*e = (struct routes_entry){
		.metric = r->metric, .family = r->dst.family,
		.len = r->dst.len, .has_gateway = r->gateway.family != 0,
	};
	memcpy(e->dst, r->dst.ip, sizeof(e->dst));
	memcpy(e->gateway, r->gateway.ip, sizeof(e->gateway));
	to = head(routes, e);
	e->next = *to;
	*to = routes->n;
	if (routes_alike(routes, &r->dst) == 1)
		routes_share(&routes->share, &r->dst);
	routes->pairs += has_other_half(routes, r);
}

static bool leads_to(const struct routes_entry *e, const struct prefix *dst)
{
	return e->family == dst->family && e->len == dst->len &&
	       memcmp(e->dst, dst->ip, sizeof(e->dst)) == 0;
}

/* Where the number of the i-th one is kept: in a head, or in another one. */
static uint32_t *place_of(struct routes *routes, uint32_t i)
{
	uint32_t *at = head(routes, &routes->all[i]);

	while (*at != i + 1)
		at = &routes->all[*at - 1].next;
	return at;
}

/* The last one takes the place of the i-th. */
static void take_out(struct routes *routes, uint32_t i)
{
	uint32_t last = routes->n - 1;

	*place_of(routes, i) = routes->all[i].next;
	if (i != last) {
		*place_of(routes, last) = i + 1;
		routes->all[i] = routes->all[last];
	}
	routes->n--;
}

bool routes_remove(struct routes *routes, const struct wire_route *r)
{
	struct wire_route gone;
	uint32_t at;

	if (routes->n == 0)
		return false;
	at = *head_of(routes, r->dst.ip, r->dst.family, r->dst.len);
	for (; at != NONE; at = routes->all[at - 1].next) {
		struct routes_entry *e = &routes->all[at - 1];

		if (e->metric != r->metric || !leads_to(e, &r->dst))
			continue;
		gone = routes_get(routes, at - 1);
		take_out(routes, at - 1);
		if (routes_alike(routes, &r->dst) == 0)
			*sum_of(&routes->share, &r->dst) -= share_of(&r->dst);
		routes->pairs -= has_other_half(routes, &gone);
		return true;
	}
	return false;
}

struct wire_route routes_get(const struct routes *routes, uint32_t i)
{
	const struct routes_entry *e = &routes->all[i];
	struct wire_route r = {
		.dst = { .family = e->family, .len = e->len },
		.metric = e->metric,
	};

	memcpy(r.dst.ip, e->dst, sizeof(e->dst));
	if (!e->has_gateway)
		return r;
	memcpy(r.gateway.ip, e->gateway, sizeof(e->gateway));
	r.gateway.family = e->family;
	r.gateway.len = (uint8_t)prefix_bits(e->family);
	return r;
}

/* May it be the one that r means? */
static bool is_meant(const struct routes_entry *e, const struct wire_route *r)
{
	if (!leads_to(e, &r->dst) || (r->metric && r->metric != e->metric))
		return false;
	return !r->gateway.family ||
	       (e->has_gateway && r->gateway.family == e->family &&
		memcmp(e->gateway, r->gateway.ip,
		       prefix_bytes(e->family)) == 0);
}

bool routes_find(const struct routes *routes, const struct wire_route *r,
		 struct wire_route *ret)
{
	const struct routes_entry *best = NULL;
	uint32_t at;

	if (routes->n == 0)
		return false;
	at = *head_of(routes, r->dst.ip, r->dst.family, r->dst.len);
	for (; at != NONE; at = routes->all[at - 1].next) {
		const struct routes_entry *e = &routes->all[at - 1];

		if (is_meant(e, r) && (!best || e->metric < best->metric))
			best = e;
	}
	if (best)
		*ret = routes_get(routes, (uint32_t)(best - routes->all));
	return best;
}

uint32_t routes_count(const struct routes *routes)
{
	return routes->n - routes->pairs;
}

unsigned routes_alike(const struct routes *routes, const struct prefix *dst)
{
	unsigned n = 0;
	uint32_t at;

	if (routes->n == 0)
		return 0;
	at = *head_of(routes, dst->ip, dst->family, dst->len);
	for (; at != NONE; at = routes->all[at - 1].next)
		n += leads_to(&routes->all[at - 1], dst);
	return n;
}
