#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "output.h"
#include "request.h"

#define FIRST_ROOM	64

/* --- what there is ------------------------------------------------------ */

static int take_lease(void *arg, const struct wire_message *m)
{
	const struct wire_lease *w = &m->lease;
	struct snapshot *s = arg;
	struct lease_now *l;

	if (m->type != WIRE_LEASE)
		return 0;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : FIRST_ROOM;
		struct lease_now *all = realloc(s->all, room * sizeof(*all));

		if (!all)
			return -ENOMEM;
		s->all = all;
		s->room = room;
	}
	l = &s->all[s->n++];
	*l = (struct lease_now){ .ifindex = w->ifindex, .uid = w->uid,
				 .layer = w->layer, .state = w->state };
	memcpy(l->lease, w->lease, sizeof(l->lease));
	memcpy(l->name, w->name, sizeof(l->name));
	plain_text(l->lease);
	plain_text(l->name);
	return 0;
}

const char *lease_why(uint8_t state)
{
	if (state == WIRE_LEASE_DELETED)
		return "its interface was deleted";
	if (state == WIRE_LEASE_ENDING)
		return "its interface is being deleted";
	return "its interface is not in this network namespace; ask in the "
	       "one that tuntapd runs in";
}

static void find_links(struct snapshot *s, const struct links *links)
{
	for (size_t i = 0; i < s->n; i++) {
		struct lease_now *l = &s->all[i];
		const struct link_now *link = links_find(links, l->ifindex,
							 l->lease, l->uid);

		if (link)
			l->link = *link;
		else
			l->why = lease_why(l->state);
	}
}

static int by_ifindex(const void *a, const void *b)
{
	const struct lease_now *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return strcmp(x->lease, y->lease);
}

int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_A_SECOND + t.tv_nsec;
}

/* That we could not ask, for whatever reason: the exit status. */
static int fail(struct ttd_error *error, const char *step, int r)
{
	*error = (struct ttd_error){ .code = r };
	snprintf(error->step, sizeof(error->step), "%s", step);
	snprintf(error->text, sizeof(error->text), "%s", strerror(-r));
	return EXIT_REFUSED;
}

int snapshot_take(struct snapshot *ret, const char *path,
		  struct ttd_error *error)
{
	const struct wire_message list = { .type = WIRE_LIST };
	struct links links = { .all = NULL };
	int r = ctl_request(path, &list, take_lease, ret, error);

	if (r < 0)
		r = fail(error, "list", r);
	if (r)
		goto out;
	r = links_read(&links);
	if (r) {
		r = fail(error, "counters", r);
		goto out;
	}
	ret->ns = clock_ns();
	ret->time = (uint64_t)time(NULL);
	find_links(ret, &links);
	if (ret->n)
		qsort(ret->all, ret->n, sizeof(*ret->all), by_ifindex);
out:
	links_free(&links);
	if (r)
		snapshot_free(ret);
	return r;
}

void snapshot_free(struct snapshot *s)
{
	free(s->all);
	*s = (struct snapshot){ .all = NULL };
}

/* --- how fast ----------------------------------------------------------- */

/* Both are in order, so that one pass finds all. */
void snapshot_rate(struct snapshot *now, const struct snapshot *before)
{
	size_t i = 0, j = 0;

	while (i < now->n && j < before->n) {
		struct lease_now *l = &now->all[i];
		const struct lease_now *was = &before->all[j];
		int order = by_ifindex(l, was);

		if (order == 0)
			l->rated = !l->why && !was->why &&
				   rates_between(&was->link.traffic,
						 &l->link.traffic,
						 now->ns - before->ns,
						 &l->rates);
		i += order <= 0;
		j += order >= 0;
	}
}

struct rates snapshot_total(const struct snapshot *s)
{
	struct rates sum = { .rx.packets = 0 };

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i].rated)
			rates_add(&sum, &s->all[i].rates);
	return sum;
}

/* --- in which order ----------------------------------------------------- */

static int most_first(uint64_t x, uint64_t y)
{
	return (x < y) - (x > y);
}

static int by_name(const struct lease_now *x, const struct lease_now *y)
{
	return strcmp(x->name, y->name);
}

static int by_rx(const struct lease_now *x, const struct lease_now *y)
{
	return most_first(x->rates.rx.bits, y->rates.rx.bits);
}

static int by_tx(const struct lease_now *x, const struct lease_now *y)
{
	return most_first(x->rates.tx.bits, y->rates.tx.bits);
}

static int by_traffic(const struct lease_now *x, const struct lease_now *y)
{
	return most_first(x->rates.rx.bits + x->rates.tx.bits,
			  y->rates.rx.bits + y->rates.tx.bits);
}

static int by_drops(const struct lease_now *x, const struct lease_now *y)
{
	return most_first(x->rates.rx.drops + x->rates.tx.drops,
			  y->rates.rx.drops + y->rates.tx.drops);
}

static const struct {
	const char *name;
	int (*compare)(const struct lease_now *x, const struct lease_now *y);
} orders[] = {
	[BY_TRAFFIC] = { "traffic", by_traffic },
	[BY_RX] = { "rx", by_rx },
	[BY_TX] = { "tx", by_tx },
	[BY_DROPS] = { "drops", by_drops },
	[BY_NAME] = { "name", by_name },
};
_Static_assert(sizeof(orders) / sizeof(*orders) == N_LEASE_ORDERS,
	       "a row for each order");

const char *lease_order_name(enum lease_order order)
{
	return orders[order].name;
}

/* qsort(3) hands nothing on. */
static enum lease_order sorted_by;
static bool reversed;

/* What is alike stays in an order of its own, or lines would dance. */
static int compare(const void *a, const void *b)
{
	const struct lease_now *x = *(const struct lease_now *const *)a;
	const struct lease_now *y = *(const struct lease_now *const *)b;
	int order = orders[sorted_by].compare(x, y);

	if (order)
		return reversed ? -order : order;
	order = by_name(x, y);
	return order ? order : by_ifindex(x, y);
}

void leases_sort(const struct lease_now **leases, size_t n,
		 enum lease_order order, bool reverse)
{
	sorted_by = order;
	reversed = reverse;
	if (n)
		qsort(leases, n, sizeof(*leases), compare);
}
