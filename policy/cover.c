/*
 * Many prefixes that are one: 10.0.0.0/8 and 11.0.0.0/8 lead as much of the
 * world in as 10.0.0.0/7 does.
 */
#include "rules.h"

struct list {
	struct prefix p[WIRE_ADDRESSES_MAX + WIRE_ROUTES_MAX];
	size_t n;
};

/*
 * Is each address of the block in one of the prefixes?  It looks at a half only
 * if the block is not in one prefix and something lies inside it, and at the
 * second half only if the first is covered: so it makes at most a few steps for
 * each prefix.
 */
static bool is_covered(const struct list *list, const struct prefix *block)
{
	struct prefix half = *block;
	bool inside = false;

	for (size_t i = 0; i < list->n; i++) {
		if (prefix_contains(&list->p[i], block))
			return true;
		inside = inside || prefix_contains(block, &list->p[i]);
	}
	if (!inside)
		return false;
	half.len++;
	if (!is_covered(list, &half))
		return false;
	half.ip[block->len / 8] |= (uint8_t)(0x80 >> block->len % 8);
	return is_covered(list, &half);
}

/* The longest prefix around p that counts as a default route. */
static struct prefix block_of(const struct prefix *p)
{
	struct prefix block = *p;

	block.len = p->family == 4 ? POLICY_SHORTEST_IPV4 - 1
				   : POLICY_SHORTEST_IPV6 - 1;
	return prefix_network(&block);
}

static bool seen_before(const struct list *list, size_t n,
			const struct prefix *block)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_contains(block, &list->p[i]))
			return true;
	return false;
}

bool cover_default(const struct wire_open *ask, struct prefix *ret)
{
	struct list list = { .n = 0 };

	for (size_t i = 0; i < ask->n_routes; i++)
		list.p[list.n++] = ask->routes[i].dst;
	for (size_t i = 0; i < ask->n_addresses; i++) {
		const struct wire_address *a = &ask->addresses[i];

		list.p[list.n++] = prefix_network(a->peer.family ? &a->peer :
						  &a->local);
	}
	for (size_t i = 0; i < list.n; i++) {
		struct prefix block = block_of(&list.p[i]);

		if (!seen_before(&list, i, &block) &&
		    is_covered(&list, &block)) {
			*ret = block;
			return true;
		}
	}
	return false;
}
