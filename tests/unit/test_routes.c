/*
 * The routes of a lease (daemon/routes.h), against a plain list that does the
 * same one by one.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/routes.h"

#define SEEDS		20
#define STEPS		4000
#define PLAIN_MAX	600
#define MANY		131072
#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static struct routes set;

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct wire_route route(const char *dst, const char *via,
			       uint32_t metric)
{
	struct wire_route r = { .dst = prefix(dst), .metric = metric };

	if (via)
		r.gateway = prefix(via);
	return r;
}

static void add(struct wire_route r)
{
	ck_assert_int_eq(routes_reserve(&set, 1), 0);
	routes_add(&set, &r);
}

static bool same(const struct wire_route *a, const struct wire_route *b)
{
	return memcmp(&a->dst, &b->dst, sizeof(a->dst)) == 0 &&
	       memcmp(&a->gateway, &b->gateway, sizeof(a->gateway)) == 0 &&
	       a->metric == b->metric;
}

START_TEST(of_several_the_lowest_metric)
{
	struct wire_route r, found;

	ck_assert(!routes_find(&set, &(struct wire_route)
			       { .dst = prefix("10.0.0.0/8") }, &found));
	ck_assert_uint_eq(routes_alike(&set, &(struct prefix){ .family = 4 }),
			  0);
	add(route("10.0.0.0/8", "10.9.0.1", 30));
	add(route("10.0.0.0/8", NULL, 20));
	add(route("10.0.0.0/8", "10.9.0.2", 10));
	add(route("10.0.0.0/9", NULL, 5));
	add(route("::/8", NULL, 1));
	r = route("10.0.0.0/8", NULL, 0);
	ck_assert_uint_eq(routes_alike(&set, &r.dst), 3);
	ck_assert(routes_find(&set, &r, &found));
	ck_assert_uint_eq(found.metric, 10);
	r = route("10.0.0.0/8", "10.9.0.1", 0);
	ck_assert(routes_find(&set, &r, &found));
	ck_assert_uint_eq(found.metric, 30);
	ck_assert(same(&found, &(struct wire_route){
		.dst = r.dst, .gateway = r.gateway, .metric = 30 }));
	r = route("10.0.0.0/8", "10.9.0.1", 20);
	ck_assert(!routes_find(&set, &r, &found));
	r = route("10.0.0.0/8", NULL, 20);
	ck_assert(routes_remove(&set, &r));
	ck_assert(!routes_remove(&set, &r));
	ck_assert_uint_eq(set.n, 4);
	routes_free(&set);
}
END_TEST

/* --- against a plain list ------------------------------------------------- */

static struct wire_route plain[PLAIN_MAX];
static size_t n_plain;
static uint64_t state;

static unsigned dice(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static const char *const halves[] = { "0.0.0.0", "128.0.0.0", "::", "8000::" };

static struct wire_route any(void)
{
	char dst[64], via[64];

	if (dice(10) == 0)
		snprintf(dst, sizeof(dst), "%s/1", halves[dice(4)]);
	else if (dice(2))
		snprintf(dst, sizeof(dst), "10.%u.0.0/16", dice(20));
	else
		snprintf(dst, sizeof(dst), "fd00:%x::/%u", dice(20),
			 32 + dice(2));
	snprintf(via, sizeof(via), strchr(dst, ':') ? "fd99::%u" : "10.99.0.%u",
		 1 + dice(3));
	return route(dst, dice(2) ? via : NULL, 1 + dice(8));
}

static int plain_at(const struct wire_route *r)
{
	for (size_t i = 0; i < n_plain; i++)
		if (prefix_equal(&plain[i].dst, &r->dst) &&
		    plain[i].metric == r->metric)
			return (int)i;
	return -1;
}

static const struct wire_route *plain_find(const struct wire_route *r)
{
	const struct wire_route *best = NULL;

	for (size_t i = 0; i < n_plain; i++) {
		const struct wire_route *p = &plain[i];

		if (!prefix_equal(&p->dst, &r->dst) ||
		    (r->metric && r->metric != p->metric) ||
		    (r->gateway.family &&
		     !prefix_same_address(&r->gateway, &p->gateway)))
			continue;
		if (!best || p->metric < best->metric)
			best = p;
	}
	return best;
}

static void compare_find(struct wire_route r)
{
	const struct wire_route *want;
	struct wire_route got;

	if (dice(2))
		r.metric = 0;
	if (dice(2))
		r.gateway = (struct prefix){ .family = 0 };
	want = plain_find(&r);
	ck_assert_int_eq(routes_find(&set, &r, &got), want != NULL);
	ck_assert(!want || same(want, &got));
}

/* Does the list have the other half, of which this is not the first? */
static bool plain_pair(const struct wire_route *r)
{
	struct wire_route other = *r;
	int at;

	if (r->dst.len != 1 || r->dst.ip[0] == 0)
		return false;
	other.dst.ip[0] = 0;
	at = plain_at(&other);
	return at >= 0 && prefix_equal(&plain[at].gateway, &r->gateway);
}

static bool plain_is_first(int at)
{
	for (int i = 0; i < at; i++)
		if (prefix_equal(&plain[i].dst, &plain[at].dst))
			return false;
	return true;
}

/* Each of the list's is there, once. */
static void compare_all(void)
{
	struct routes_share share = { 0 };
	uint32_t pairs = 0;

	ck_assert_uint_eq(set.n, n_plain);
	for (uint32_t i = 0; i < set.n; i++) {
		struct wire_route r = routes_get(&set, i);
		int at = plain_at(&r);

		ck_assert_int_ge(at, 0);
		ck_assert(same(&plain[at], &r));
		pairs += plain_pair(&r);
		if (plain_is_first(at))
			routes_share(&share, &r.dst);
	}
	ck_assert_uint_eq(routes_count(&set), n_plain - pairs);
	ck_assert(share.ipv4 == set.share.ipv4 && share.ipv6 == set.share.ipv6);
}

START_TEST(as_a_plain_list)
{
	n_plain = 0;
	state = (uint64_t)_i;
	for (int step = 0; step < STEPS; step++) {
		struct wire_route r = any();
		int at = plain_at(&r);

		/* Grows for a while, and shrinks. */
		if (dice(1000) < (step % 1000 < 600 ? 700u : 300u)) {
			if (at < 0 && n_plain < PLAIN_MAX) {
				add(r);
				plain[n_plain++] = r;
			}
		} else {
			ck_assert_int_eq(routes_remove(&set, &r), at >= 0);
			if (at >= 0)
				plain[at] = plain[--n_plain];
			if (dice(20) == 0)
				routes_trim(&set);
		}
		compare_find(any());
		if (step % 100 == 0)
			compare_all();
	}
	compare_all();
	routes_free(&set);
}
END_TEST

/* --- many ----------------------------------------------------------------- */

static struct wire_route nth(unsigned i)
{
	struct wire_route r = { .dst = { .family = 4, .len = 24 },
				.metric = 1000 };

	r.dst.ip[0] = (uint8_t)(10 + (i >> 16));
	r.dst.ip[1] = (uint8_t)(i >> 8);
	r.dst.ip[2] = (uint8_t)i;
	return r;
}

/* A linear search would not end in the time that a test has. */
START_TEST(many_are_found_at_once)
{
	struct wire_route r, found;

	for (unsigned i = 0; i < MANY; i++)
		add(nth(i));
	for (unsigned i = 0; i < MANY; i++) {
		r = nth(i);
		ck_assert(routes_find(&set, &r, &found));
	}
	for (unsigned i = 0; i < MANY; i++) {
		r = nth((i * 7919) % MANY);
		ck_assert(routes_remove(&set, &r));
	}
	ck_assert_uint_eq(set.n, 0);
	routes_trim(&set);
	ck_assert_ptr_null(set.all);
	ck_assert_ptr_null(set.heads);
}
END_TEST

/* Nor does it matter what is beside them. */
START_TEST(many_go_at_once_beside_default_routes)
{
	struct wire_route r = route("fd00::/128", NULL, 1000);

	add(route("::/0", NULL, 1));
	add(route("::/0", NULL, 2));
	add(route("4000::/2", NULL, 2));
	for (unsigned i = 0; i < MANY; i++) {
		memcpy(r.dst.ip + 8, &i, sizeof(i));
		add(r);
	}
	for (unsigned i = 0; i < MANY; i++) {
		memcpy(r.dst.ip + 8, &i, sizeof(i));
		ck_assert(routes_remove(&set, &r));
	}
	ck_assert_uint_eq(set.n, 3);
	routes_free(&set);
}
END_TEST

/* --- what they lead to ---------------------------------------------------- */

static bool is_large(const char *const *list)
{
	struct routes_share share = { 0 };

	for (; *list; list++) {
		struct prefix p = prefix(*list);

		routes_share(&share, &p);
	}
	return routes_share_is_large(&share);
}

START_TEST(what_may_be_a_default_route_is_large)
{
	static const char *const large[][4] = {
		{ "0.0.0.0/0" }, { "128.0.0.0/1" }, { "10.0.0.0/7" },
		{ "10.0.0.0/8", "11.0.0.0/8" }, { "::/0" }, { "fc00::/15" },
		{ "10.0.0.0/8", "11.0.0.0/9", "11.128.0.0/9" },
		{ "fd00::/16", "fd01::/16" }, { "::/0", "::/0", "::/0" },
	};
	static const char *const small[][4] = {
		{ "10.0.0.0/8" }, { "10.0.0.0/8", "11.0.0.0/9" },
		{ "fd00::/16", "10.0.0.0/8" }, { "fd00::1/128" },
		{ "fd00::/16", "fd01::/17" },
	};

	for (size_t i = 0; i < COUNT(large); i++)
		ck_assert_msg(is_large(large[i]), "%s", large[i][0]);
	for (size_t i = 0; i < COUNT(small); i++)
		ck_assert_msg(!is_large(small[i]), "%s", small[i][0]);
}
END_TEST

/* However many metrics it has. */
START_TEST(one_destination_is_no_more_than_itself)
{
	struct wire_route r = route("44.0.0.0/8", NULL, 1);

	add(r);
	add(route("44.0.0.0/8", NULL, 2));
	add(route("44.0.0.0/8", NULL, 3));
	ck_assert(!routes_share_is_large(&set.share));
	for (r.metric = 1; r.metric <= 3; r.metric++) {
		ck_assert_uint_ne(set.share.ipv4, 0);
		ck_assert(routes_remove(&set, &r));
	}
	ck_assert_uint_eq(set.share.ipv4, 0);
	routes_free(&set);
}
END_TEST

START_TEST(what_is_taken_away_leads_nowhere)
{
	struct wire_route all = route("::/0", NULL, 1), half;

	add(all);
	add(route("::/0", NULL, 2));
	add(route("::/0", NULL, 3));
	half = route("fd00::/16", NULL, 1);
	add(half);
	ck_assert(routes_share_is_large(&set.share));
	for (all.metric = 1; all.metric <= 3; all.metric++)
		ck_assert(routes_remove(&set, &all));
	ck_assert(!routes_share_is_large(&set.share));
	ck_assert(routes_remove(&set, &half));
	ck_assert_uint_eq(set.share.ipv6, 0);
	routes_free(&set);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("routes");
	TCase *t = tcase_create("unit");
	SRunner *runner;
	int failed;

	tcase_add_test(t, of_several_the_lowest_metric);
	tcase_add_loop_test(t, as_a_plain_list, 0, SEEDS);
	tcase_add_test(t, many_are_found_at_once);
	tcase_add_test(t, many_go_at_once_beside_default_routes);
	tcase_add_test(t, one_destination_is_no_more_than_itself);
	tcase_add_test(t, what_may_be_a_default_route_is_large);
	tcase_add_test(t, what_is_taken_away_leads_nowhere);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
