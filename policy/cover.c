/*
 * Many prefixes that are one: 10.0.0.0/8 and 11.0.0.0/8 lead as much of the
 * world in as 10.0.0.0/7 does.
 */
#include <string.h>

#include "rules.h"

struct list {
	struct prefix p[WIRE_ADDRESSES_MAX + WIRE_ROUTES_MAX];
	size_t n;
};

/* By first address, and what contains others before them. */
static bool is_before(const struct prefix *a, const struct prefix *b)
{
	int r;

	if (a->family != b->family)
		return a->family < b->family;
	r = memcmp(a->ip, b->ip, prefix_bytes(a->family));
	return r ? r < 0 : a->len < b->len;
}

static void insert(struct list *list, struct prefix p)
{
	size_t i = list->n++;

	for (; i > 0 && is_before(&p, &list->p[i - 1]); i--)
		list->p[i] = list->p[i - 1];
	list->p[i] = p;
}

static void collect(struct list *list, const struct wire_open *ask)
{
	list->n = 0;
	for (size_t i = 0; i < ask->n_routes; i++)
		insert(list, prefix_network(&ask->routes[i].dst));
	for (size_t i = 0; i < ask->n_addresses; i++) {
		const struct wire_address *a = &ask->addresses[i];

		insert(list, prefix_network(a->peer.family ? &a->peer :
					    &a->local));
	}
}

/*
 * Two that do not overlap and are the halves of one: *low, which has no bits
 * behind its length, becomes that one.
 */
static bool join(struct prefix *low, const struct prefix *high)
{
	struct prefix both = *low;

	if (low->len != high->len || low->len == 0)
		return false;
	both.len--;
	if (!prefix_contains(&both, high))
		return false;
	*low = both;
	return true;
}

/*
 * From the lowest address on, made[] is what was met so far in as few prefixes
 * as can be.  They are in order and apart, so that only the last of them can
 * contain the next one, or be the other half of it.
 */
bool cover_default(const struct wire_open *ask, struct prefix *ret)
{
	struct list list;
	struct prefix *made = list.p;
	size_t n = 0;

	collect(&list, ask);
	for (size_t i = 0; i < list.n; i++) {
		if (n > 0 && prefix_contains(&made[n - 1], &list.p[i]))
			continue;
		made[n++] = list.p[i];
		while (n > 1 && join(&made[n - 2], &made[n - 1]))
			n--;
		if (request_is_default(&made[n - 1])) {
			*ret = made[n - 1];
			return true;
		}
	}
	return false;
}
