#include "nets.h"

#include <string.h>

#define LENGTHS 129		/* 0 to 128 */

RB_HEAD(tree, net);

static struct {
	struct tree tree;
	/* How many there are of each length: few lengths are ever in use. */
	unsigned count[2][LENGTHS];
} nets = { .tree = RB_INITIALIZER(&nets.tree) };

static int compare_u32(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* A network comes before all that lies in it. */
static int compare(const struct net *a, const struct net *b)
{
	int r = compare_u32(a->prefix.family, b->prefix.family);

	if (!r)
		r = memcmp(a->prefix.ip, b->prefix.ip, sizeof(a->prefix.ip));
	if (!r)
		r = compare_u32(a->prefix.len, b->prefix.len);
	if (!r)
		r = compare_u32(a->kind, b->kind);
	if (!r)
		r = compare_u32(a->ifindex, b->ifindex);
	if (!r)
		r = compare_u32(a->table, b->table);
	if (!r)
		r = compare_u32(a->metric, b->metric);
	if (!r)
		r = compare_u32(a->which, b->which);
	return r ? r : compare_u32(a->serial, b->serial);
}

/* The header means __unused, which glibc has not. */
#define MADE static __attribute__((unused))
RB_GENERATE_INTERNAL(tree, net, node, compare, MADE)

static unsigned *count(const struct prefix *p)
{
	return &nets.count[p->family == 6][p->len];
}

bool nets_add(struct net *net)
{
	if (RB_INSERT(tree, &nets.tree, net))
		return false;
	++*count(&net->prefix);
	return true;
}

void nets_remove(struct net *net)
{
	RB_REMOVE(tree, &nets.tree, net);
	--*count(&net->prefix);
}

struct net *nets_find(const struct net *key)
{
	/* The macro's argument is not const; it writes nothing. */
	return RB_FIND(tree, &nets.tree, (struct net *)(uintptr_t)key);
}

struct net *nets_of(const struct prefix *prefix, enum net_kind from)
{
	struct net key = { .prefix = *prefix, .kind = from };
	struct net *net = RB_NFIND(tree, &nets.tree, &key);

	return net && memcmp(&net->prefix, prefix, sizeof(*prefix)) == 0 ?
	       net : NULL;
}

struct net *nets_next(struct net *net)
{
	struct net *next = RB_NEXT(tree, &nets.tree, net);

	return next && memcmp(&next->prefix, &net->prefix,
			      sizeof(net->prefix)) == 0 ? next : NULL;
}

static struct net *if_within(struct net *net, const struct prefix *network)
{
	return net && prefix_contains(network, &net->prefix) ? net : NULL;
}

struct net *nets_within(const struct prefix *network)
{
	struct net key = { .prefix = *network };

	return if_within(RB_NFIND(tree, &nets.tree, &key), network);
}

struct net *nets_next_within(struct net *net, const struct prefix *network)
{
	return if_within(RB_NEXT(tree, &nets.tree, net), network);
}

int nets_length(uint8_t family, int len)
{
	while (len >= 0 && !nets.count[family == 6][len])
		len--;
	return len;
}
