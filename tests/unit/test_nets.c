/*
 * Networks in order (daemon/nets.h), against a plain list that looks at each.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/nets.h"

#define SEEDS		20
#define STEPS		2000
#define NETS		300

static struct nets nets;
static struct net made[NETS];
static bool in[NETS];

/* Few bits are ever set: that many lie in others, or are the same. */
static struct prefix any_prefix(void)
{
	static const uint8_t some_bits[] = { 0, 0, 1, 0x80, 0xff };
	struct prefix p = { .family = random() % 2 ? 4 : 6 };
	const unsigned bits = p.family == 4 ? 32 : 128;

	p.len = (uint8_t)((unsigned)random() % (bits + 1));
	for (unsigned i = 0; i < bits / 8; i++)
		p.ip[i] = some_bits[(size_t)random() % sizeof(some_bits)];
	return prefix_network(&p);
}

static int order(const struct net *a, const struct net *b)
{
	int r = (int)a->prefix.family - (int)b->prefix.family;

	r = r ? r : memcmp(a->prefix.ip, b->prefix.ip, sizeof(a->prefix.ip));
	r = r ? r : (int)a->prefix.len - (int)b->prefix.len;
	return r ? r : (int)a->kind - (int)b->kind;
}

/* The longest length of those that are in, looked for one by one. */
static int plain_longest(enum net_kind from, enum net_kind to, uint8_t family,
			 int len)
{
	int longest = -1;

	for (unsigned i = 0; i < NETS; i++) {
		const struct net *n = &made[i];

		if (in[i] && n->prefix.family == family && n->kind >= from &&
		    n->kind <= to && n->prefix.len <= len &&
		    n->prefix.len > longest)
			longest = n->prefix.len;
	}
	return longest;
}

static void above_is_right(void)
{
	const struct prefix p = any_prefix();
	enum net_kind a = (enum net_kind)(random() % NET_KINDS);
	enum net_kind b = (enum net_kind)(random() % NET_KINDS);
	const enum net_kind from = a < b ? a : b, to = a < b ? b : a;
	struct prefix ret, wanted = p;
	int len = (int)(random() % (p.len + 2)) - 1, longest;

	longest = plain_longest(from, to, p.family, len);
	ck_assert_int_eq(nets_above(&nets, from, to, &p, len, &ret),
			 longest >= 0);
	if (longest < 0)
		return;
	wanted.len = (uint8_t)longest;
	wanted = prefix_network(&wanted);
	ck_assert_mem_eq(&ret, &wanted, sizeof(ret));
}

/* All that lie in it come out, once each and in their order. */
static void within_is_right(void)
{
	const struct prefix p = any_prefix();
	unsigned n = 0, wanted = 0;
	struct net *before = NULL;

	for (struct net *net = nets_within(&nets, &p); net;
	     net = nets_next_within(net, &p)) {
		ck_assert(prefix_contains(&p, &net->prefix));
		ck_assert(!before || order(before, net) <= 0);
		before = net;
		n++;
	}
	for (unsigned i = 0; i < NETS; i++)
		wanted += in[i] && prefix_contains(&p, &made[i].prefix);
	ck_assert_uint_eq(n, wanted);
}

static void of_is_right(const struct prefix *p)
{
	const enum net_kind from = (enum net_kind)(random() % NET_KINDS);
	unsigned n = 0, wanted = 0;

	for (struct net *net = nets_of(&nets, p, from); net;
	     net = nets_next(net)) {
		ck_assert_mem_eq(&net->prefix, p, sizeof(*p));
		ck_assert(net->kind >= from);
		n++;
	}
	for (unsigned i = 0; i < NETS; i++)
		wanted += in[i] && made[i].kind >= from &&
			  memcmp(&made[i].prefix, p, sizeof(*p)) == 0;
	ck_assert_uint_eq(n, wanted);
}

START_TEST(as_a_plain_list)
{
	nets = (struct nets){ 0 };
	memset(in, 0, sizeof(in));
	srandom((unsigned)_i);
	for (unsigned step = 0; step < STEPS; step++) {
		const unsigned i = (unsigned)random() % NETS;
		struct net *net = &made[i];

		if (in[i]) {
			ck_assert_ptr_eq(nets_find(&nets, net), net);
			nets_remove(&nets, net);
		} else {
			*net = (struct net){
				.prefix = any_prefix(),
				.kind = (enum net_kind)(random() % NET_KINDS),
				.serial = i,
			};
			ck_assert_ptr_null(nets_add(&nets, net));
			ck_assert_ptr_eq(nets_add(&nets, net), net);
		}
		in[i] = !in[i];
		above_is_right();
		within_is_right();
		of_is_right(&made[i].prefix);
	}
}
END_TEST

/* Each length, and each that is asked for, over the words' edges too. */
START_TEST(every_length)
{
	static struct net one;

	for (int has = 0; has < NETS_LENGTHS; has++) {
		struct prefix all = { .family = 6, .len = 128 }, ret;

		memset(all.ip, 0xff, sizeof(all.ip));
		nets = (struct nets){ 0 };
		one = (struct net){ .prefix = all, .kind = NET_ROUTE };
		one.prefix.len = (uint8_t)has;
		one.prefix = prefix_network(&one.prefix);
		nets_add(&nets, &one);
		for (int len = -1; len < NETS_LENGTHS; len++) {
			bool is = nets_above(&nets, NET_ROUTE, NET_ROUTE, &all,
					     len, &ret);

			ck_assert_int_eq(is, len >= has);
			ck_assert(!is || ret.len == has);
		}
		ck_assert(!nets_above(&nets, NET_OWN, NET_DIRECT, &all, 128,
				      &ret));
		nets_remove(&nets, &one);
		ck_assert(!nets_above(&nets, NET_OWN, NET_NOWHERE, &all, 128,
				      &ret));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nets");
	TCase *t = tcase_create("unit");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, as_a_plain_list, 0, SEEDS);
	tcase_add_test(t, every_length);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
