/*
 * Many prefixes that are one: 10.0.0.0/8 and 11.0.0.0/8 lead as much of the
 * world in as 10.0.0.0/7 does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

/* By first address, and what contains others before them. */
static int compare(const void *left, const void *right)
{
	const struct prefix *a = left, *b = right;
	int r;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	r = memcmp(a->ip, b->ip, prefix_bytes(a->family));
	return r ? r : (int)a->len - (int)b->len;
}

/* Lists often are. */
static bool is_in_order(const struct prefix *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (compare(&p[i - 1], &p[i]) > 0)
			return false;
	return true;
}

/* All that leads to the device, in order; NULL without memory. */
static struct prefix *collect(const struct wire_open *ask,
			      const struct policy_usage *usage, size_t *ret_n)
{
	uint32_t others = usage->destinations ? usage->n_destinations : 0;
	struct prefix *p = calloc((size_t)ask->n_routes + ask->n_addresses +
				  others + 1, sizeof(*p));
	size_t n = 0;

	if (!p)
		return NULL;
	for (size_t i = 0; i < ask->n_routes; i++)
		p[n++] = prefix_network(&ask->routes[i].dst);
	for (size_t i = 0; i < ask->n_addresses; i++) {
		const struct wire_address *a = &ask->addresses[i];

		p[n++] = prefix_network(a->peer.family ? &a->peer : &a->local);
	}
	if (others > 0)
		usage->destinations(usage->routes_arg, p + n);
	n += others;
	if (!is_in_order(p, n))
		qsort(p, n, sizeof(*p), compare);
	*ret_n = n;
	return p;
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
int cover_default(const struct wire_open *ask,
		  const struct policy_usage *usage, struct prefix *ret)
{
	size_t n_all, n = 0;
	struct prefix *made = collect(ask, usage, &n_all);
	const struct prefix *all = made;
	int r = 0;

	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < n_all && !r; i++) {
		if (n > 0 && prefix_contains(&made[n - 1], &all[i]))
			continue;
		made[n++] = all[i];
		while (n > 1 && join(&made[n - 2], &made[n - 1]))
			n--;
		if (request_is_default(&made[n - 1])) {
			*ret = made[n - 1];
			r = 1;
		}
	}
	free(made);
	return r;
}
