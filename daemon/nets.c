#include "nets.h"

#include <string.h>

#include "../policy/bounds.h"

bool net_is_short(const struct prefix *p)
{
	return p->len < (p->family == 4 ? POLICY_SHORTEST_IPV4 :
			 POLICY_SHORTEST_IPV6);
}

bool net_is_link_local(const struct prefix *p)
{
	static const struct prefix link_local = { { 0xfe, 0x80 }, 6, 10 };

	return prefix_contains(&link_local, p);
}

static int compare_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* Compilers make one load of it. */
static uint64_t half_of(const uint8_t *ip)
{
	return (uint64_t)ip[0] << 56 | (uint64_t)ip[1] << 48 |
	       (uint64_t)ip[2] << 40 | (uint64_t)ip[3] << 32 |
	       (uint64_t)ip[4] << 24 | (uint64_t)ip[5] << 16 |
	       (uint64_t)ip[6] << 8 | ip[7];
}

static int compare_half(const uint8_t *a, const uint8_t *b)
{
	const uint64_t m = half_of(a), n = half_of(b);

	return m < n ? -1 : m > n;
}

/* A network comes before all that lies in it. */
static int compare(const struct net *a, const struct net *b)
{
	int r = compare_u32(a->prefix.family, b->prefix.family);

	if (!r)
		r = compare_half(a->prefix.ip, b->prefix.ip);
	if (!r)
		r = compare_half(a->prefix.ip + 8, b->prefix.ip + 8);
	if (!r)
		r = compare_u32(a->prefix.len, b->prefix.len);
	if (!r)
		r = compare_u32(a->kind, b->kind);
	if (!r)
		r = compare_u32(a->metric, b->metric);
	if (!r)
		r = compare_u32(a->ifindex, b->ifindex);
	if (!r)
		r = compare_u32(a->table, b->table);
	if (!r)
		r = compare_u32(a->which, b->which);
	return r ? r : compare_u32(a->serial, b->serial);
}

/* The header means __unused, which glibc has not. */
#define MADE static __attribute__((unused))
RB_GENERATE_INTERNAL(nets_tree, net, node, compare, MADE)

static void count(struct nets *nets, const struct net *net, int more)
{
	const bool v6 = net->prefix.family == 6;
	const unsigned len = net->prefix.len;
	unsigned *n = &nets->count[net->kind][v6][len];
	uint64_t *word = &nets->lengths[net->kind][v6][len / 64];
	const uint64_t bit = UINT64_C(1) << len % 64;

	*n += (unsigned)more;
	*word = *n ? *word | bit : *word & ~bit;
}

struct net *nets_add(struct nets *nets, struct net *net)
{
	struct net *there = RB_INSERT(nets_tree, &nets->tree, net);

	if (!there)
		count(nets, net, 1);
	return there;
}

void nets_remove(struct nets *nets, struct net *net)
{
	RB_REMOVE(nets_tree, &nets->tree, net);
	count(nets, net, -1);
}

struct net *nets_find(struct nets *nets, const struct net *key)
{
	/* The macro's argument is not const; it writes nothing. */
	return RB_FIND(nets_tree, &nets->tree, (struct net *)(uintptr_t)key);
}

struct net *nets_of(struct nets *nets, const struct prefix *prefix,
		    enum net_kind from)
{
	struct net key = { .prefix = *prefix, .kind = from };
	struct net *net = RB_NFIND(nets_tree, &nets->tree, &key);

	return net && memcmp(&net->prefix, prefix, sizeof(*prefix)) == 0 ?
	       net : NULL;
}

struct net *nets_next(struct net *net)
{
	struct net *next = RB_NEXT(nets_tree, NULL, net);

	return next && memcmp(&next->prefix, &net->prefix,
			      sizeof(net->prefix)) == 0 ? next : NULL;
}

static struct net *if_within(struct net *net, const struct prefix *network)
{
	return net && prefix_contains(network, &net->prefix) ? net : NULL;
}

struct net *nets_within(struct nets *nets, const struct prefix *network)
{
	struct net key = { .prefix = *network };

	return if_within(RB_NFIND(nets_tree, &nets->tree, &key), network);
}

struct net *nets_next_within(struct net *net, const struct prefix *network)
{
	return if_within(RB_NEXT(nets_tree, NULL, net), network);
}

/* The longest length up to len that some of these kinds have, or -1. */
static int longest(const struct nets *nets, enum net_kind from,
		   enum net_kind to, bool v6, int len)
{
	uint64_t mask;

	if (len < 0)
		return -1;
	mask = UINT64_MAX >> (63 - len % 64);
	for (int i = len / 64; i >= 0; i--, mask = UINT64_MAX) {
		uint64_t word = 0;

		for (unsigned kind = from; kind <= to; kind++)
			word |= nets->lengths[kind][v6][i];
		if (word & mask)
			return i * 64 + 63 - __builtin_clzll(word & mask);
	}
	return -1;
}

bool nets_above(const struct nets *nets, enum net_kind from, enum net_kind to,
		const struct prefix *prefix, int len, struct prefix *ret)
{
	struct prefix above = *prefix;

	len = longest(nets, from, to, prefix->family == 6, len);
	if (len < 0)
		return false;
	above.len = (uint8_t)len;
	*ret = prefix_network(&above);
	return true;
}
