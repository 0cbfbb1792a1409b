/* What goes through interfaces: rates, their text, their order. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/command.h"
#include "../../ctl/figures.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define TERMINAL	80	/* columns */
#define MOST		18446744073709551615.0	/* UINT64_MAX, nearly */
#define ALICE		4123456789u	/* a uid that nobody has */

/* --- rates -------------------------------------------------------------- */

static const struct traffic before = {
	.rx = { 10, 1000, 1, 0 }, .tx = { 20, 2000, 2, 0 }
};

START_TEST(a_rate_is_of_a_second)
{
	const struct traffic now = {
		.rx = { 110, 1500, 1, 0 }, .tx = { 21, 2001, 52, 7 }
	};
	struct rates r;

	ck_assert(rates_between(&before, &now, NS_A_SECOND / 2, &r));
	ck_assert_uint_eq(r.rx.packets, 200);
	ck_assert_uint_eq(r.rx.bits, 8000);
	ck_assert_uint_eq(r.rx.drops, 0);
	ck_assert_uint_eq(r.tx.packets, 2);
	ck_assert_uint_eq(r.tx.bits, 16);
	ck_assert_uint_eq(r.tx.drops, 100);
	/* Rounded: one in two seconds is half of one, and that is one. */
	ck_assert(rates_between(&before, &now, 2 * (int64_t)NS_A_SECOND, &r));
	ck_assert_uint_eq(r.tx.packets, 1);
	ck_assert(rates_between(&before, &now, 3 * (int64_t)NS_A_SECOND, &r));
	ck_assert_uint_eq(r.tx.packets, 0);
}
END_TEST

START_TEST(a_rate_has_room)
{
	const struct traffic none = { .rx.packets = 0 };
	struct traffic now = { .rx = { UINT64_MAX, UINT64_MAX / 8, 0, 0 } };
	struct rates r;

	ck_assert(rates_between(&none, &now, 4 * (int64_t)NS_A_SECOND, &r));
	/* To a dozen digits. */
	ck_assert_double_eq_tol((double)r.rx.packets / MOST, 0.25, 1e-12);
	ck_assert_double_eq_tol((double)r.rx.bits / MOST, 0.25, 1e-12);
}
END_TEST

START_TEST(there_is_none_where_no_time_went_by)
{
	struct rates r = { .rx.packets = 77 };

	ck_assert(!rates_between(&before, &before, 0, &r));
	ck_assert(!rates_between(&before, &before, -1, &r));
	ck_assert_uint_eq(r.rx.packets, 77);
}
END_TEST

static const size_t counters[] = {
	offsetof(struct traffic, rx.packets),
	offsetof(struct traffic, rx.bytes),
	offsetof(struct traffic, rx.drops),
	offsetof(struct traffic, tx.packets),
	offsetof(struct traffic, tx.bytes),
	offsetof(struct traffic, tx.drops),
};

START_TEST(there_is_none_where_a_counter_went_back)
{
	struct traffic now = before;
	struct rates r = { .rx.packets = 77 };

	--*(uint64_t *)(void *)((char *)&now + counters[_i]);
	ck_assert(!rates_between(&before, &now, NS_A_SECOND, &r));
	ck_assert_uint_eq(r.rx.packets, 77);
}
END_TEST

/* --- text --------------------------------------------------------------- */

static const struct {
	uint64_t n;
	const char *text;
} figures[] = {
	{ 0, "0" }, { 7, "7" }, { 999, "999" }, { 1000, "1.00k" },
	{ 1234, "1.23k" }, { 9994, "9.99k" }, { 9995, "10.0k" },
	{ 99949, "99.9k" }, { 99951, "100k" }, { 999499, "999k" },
	{ 999500, "1.00M" }, { 1500000, "1.50M" }, { 45600000000, "45.6G" },
	{ UINT64_MAX, "18.4E" },
};

START_TEST(a_figure_has_three_digits)
{
	char buf[FIGURE_MAX];

	ck_assert_str_eq(figure_text(figures[_i].n, buf), figures[_i].text);
}
END_TEST

/* A lease of so many bits a second in, and out. */
static struct lease_now lease(const char *name, uint64_t rx, uint64_t tx)
{
	struct lease_now l = { .uid = ALICE, .ifindex = 3, .layer = WIRE_TUN,
			       .rated = true, .rates.rx.bits = rx,
			       .rates.tx.bits = tx };

	snprintf(l.lease, sizeof(l.lease), "of %s", name);
	snprintf(l.name, sizeof(l.name), "%s", name);
	return l;
}

START_TEST(lines_are_no_wider_than_a_terminal)
{
	struct lease_now l = lease("fifteen-letters", UINT64_MAX, UINT64_MAX);
	char head[FIGURES_LINE], line[FIGURES_LINE];

	memset(&l.link.traffic, 0xff, sizeof(l.link.traffic));
	memset(&l.rates, 0xff, sizeof(l.rates));
	figures_totals_head(head);
	figures_lease_totals(&l, line);
	ck_assert_uint_le(strlen(head), TERMINAL);
	ck_assert_uint_eq(strlen(line), strlen(head));
	ck_assert_str_eq(line, "fifteen-letters   18.4E   18.4E   18.4E   18.4E"
			       "   18.4E   18.4E   18.4E   18.4E");
	figures_rates_head(head);
	figures_lease_rates(&l, line);
	ck_assert_uint_le(strlen(head), TERMINAL);
	ck_assert_uint_eq(strlen(line), strlen(head));
	ck_assert_str_eq(line, "fifteen-letters 41234567    18.4E    18.4E    "
			       "18.4E    18.4E    18.4E    18.4E");
}
END_TEST

START_TEST(what_is_not_known_is_a_dash)
{
	struct lease_now l = lease("tt0", 1, 1);
	char line[FIGURES_LINE];

	l.rated = false;
	figures_lease_rates(&l, line);
	ck_assert_str_eq(line, "tt0             41234567        -        -    "
			       "    -        -        -        -");
	l.why = "it is gone";
	figures_lease_totals(&l, line);
	ck_assert_str_eq(line, "tt0                   -       -       -       -"
			       "       -       -       -       -");
}
END_TEST

static void json_is(json_t *value, const char *text)
{
	char *is = json_dumps(value, 0);

	ck_assert_str_eq(is, text);
	free(is);
	json_decref(value);
}

START_TEST(a_lease_at_a_time_as_json)
{
	struct lease_now l = lease("tt0", 8, 16);

	l.link.traffic = before;
	l.link.up = true;
	json_is(figures_json(&l, 1700000000),
		"{\"time\": 1700000000, \"lease\": \"of tt0\","
		" \"name\": \"tt0\", \"ifindex\": 3, \"kind\": \"tun\","
		" \"uid\": 4123456789, \"user\": null, \"up\": true,"
		" \"rx\": {\"packets\": 10, \"bytes\": 1000, \"drops\": 1,"
		" \"errors\": 0}, \"tx\": {\"packets\": 20, \"bytes\": 2000,"
		" \"drops\": 2, \"errors\": 0},"
		" \"rx_rate\": {\"packets\": 0, \"bits\": 8, \"drops\": 0},"
		" \"tx_rate\": {\"packets\": 0, \"bits\": 16, \"drops\": 0},"
		" \"why\": null}");
	l.rated = false;
	l.why = "it is gone";
	json_is(figures_json(&l, 1700000000),
		"{\"time\": 1700000000, \"lease\": \"of tt0\","
		" \"name\": \"tt0\", \"ifindex\": 3, \"kind\": \"tun\","
		" \"uid\": 4123456789, \"user\": null, \"up\": null,"
		" \"rx\": null, \"tx\": null, \"rx_rate\": null,"
		" \"tx_rate\": null, \"why\": \"it is gone\"}");
}
END_TEST

/* --- order -------------------------------------------------------------- */

static const struct {
	enum lease_order order;
	bool reverse;
	const char *names;
} orders[] = {
	{ BY_TRAFFIC, false, "c d a b e" }, { BY_TRAFFIC, true, "b e a d c" },
	{ BY_RX, false, "d a b c e" }, { BY_TX, false, "c a b d e" },
	{ BY_DROPS, false, "e a b c d" }, { BY_NAME, false, "a b c d e" },
	{ BY_NAME, true, "e d c b a" },
};

START_TEST(leases_are_sorted)
{
	struct lease_now l[] = { lease("e", 0, 0), lease("a", 2, 2),
				 lease("d", 5, 0), lease("b", 0, 0),
				 lease("c", 0, 9) };
	const struct lease_now *rows[COUNT(l)];
	char names[2 * COUNT(l)];

	l[0].rates.tx.drops = 1;
	for (size_t i = 0; i < COUNT(l); i++)
		rows[i] = &l[i];
	leases_sort(rows, COUNT(l), orders[_i].order, orders[_i].reverse);
	for (size_t i = 0; i < COUNT(l); i++)
		memcpy(names + 2 * i, (char[]){ rows[i]->name[0], ' ' }, 2);
	names[2 * COUNT(l) - 1] = '\0';
	ck_assert_str_eq(names, orders[_i].names);
	leases_sort(rows, 0, BY_TRAFFIC, false);
}
END_TEST

/* --- two looks ---------------------------------------------------------- */

static struct lease_now seen(const char *name, uint32_t ifindex,
			     uint64_t packets)
{
	struct lease_now l = lease(name, 0, 0);

	l.rated = false;
	l.ifindex = ifindex;
	l.link.traffic.rx.packets = packets;
	return l;
}

START_TEST(what_comes_and_goes_has_no_rate)
{
	struct lease_now was[] = { seen("goes", 1, 9), seen("stays", 2, 10),
				   seen("is gone", 4, 1), seen("old", 5, 1) };
	struct lease_now is[] = { seen("stays", 2, 30), seen("comes", 3, 1),
				  seen("is gone", 4, 1), seen("new", 5, 2),
				  seen("last", 6, 5) };
	struct snapshot before_it = { .all = was, .n = COUNT(was) };
	struct snapshot now = { .all = is, .n = COUNT(is),
				.ns = NS_A_SECOND };
	struct rates sum;

	is[2].why = "it is gone";
	snapshot_rate(&now, &before_it);
	ck_assert(is[0].rated);
	ck_assert_uint_eq(is[0].rates.rx.packets, 20);
	for (size_t i = 1; i < COUNT(is); i++)
		ck_assert(!is[i].rated);
	sum = snapshot_total(&now);
	ck_assert_uint_eq(sum.rx.packets, 20);
	snapshot_rate(&before_it, &(struct snapshot){ .all = NULL });
	ck_assert(!was[0].rated);
}
END_TEST

/* --- options ------------------------------------------------------------ */

static char *help_of(const struct arg_row *rows)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	args_help(rows, f);
	fclose(f);
	return text;
}

START_TEST(words_stand_anywhere)
{
	char words[][16] = { "show", "a", "--json", "b", "--socket", "/s",
			     "c" };
	char *argv[COUNT(words) + 1] = { NULL };
	struct common_args args = { .socket = NULL };
	int status = 0;

	for (size_t i = 0; i < COUNT(words); i++)
		argv[i] = words[i];
	ck_assert_int_eq(command_words(&command_show, COUNT(words), argv, &args,
				       &status), 3);
	ck_assert_str_eq(argv[1], "a");
	ck_assert_str_eq(argv[2], "b");
	ck_assert_str_eq(argv[3], "c");
	ck_assert(args.json);
	ck_assert_str_eq(args.socket, "/s");
}
END_TEST

static const char *told;

static int set_text(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)into;
	(void)why;
	told = value ? value : "nothing";
	return 0;
}

START_TEST(a_value_may_be_left_out)
{
	static const struct arg_row rows[] = {
		{ "--watch", "[=SECONDS]", "again", set_text, NULL }, ARG_END
	};
	char name[] = "stats", option[] = "--watch=", word[] = "5",
	     why[ARGS_WHY_MAX];
	char *argv[] = { name, option, word, NULL }, *help;

	ck_assert_int_eq(args_parse(rows, 3, argv, NULL, why), 2);
	ck_assert_str_eq(told, "");
	option[strlen("--watch")] = '\0';
	ck_assert_int_eq(args_parse(rows, 3, argv, NULL, why), 2);
	ck_assert_str_eq(told, "nothing");
	help = help_of(rows);
	ck_assert_ptr_nonnull(strstr(help, "  --watch[=SECONDS]  "));
	free(help);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_figures");
	TCase *tc = tcase_create("figures");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, a_rate_is_of_a_second);
	tcase_add_test(tc, a_rate_has_room);
	tcase_add_test(tc, there_is_none_where_no_time_went_by);
	tcase_add_loop_test(tc, there_is_none_where_a_counter_went_back, 0,
			    COUNT(counters));
	tcase_add_loop_test(tc, a_figure_has_three_digits, 0, COUNT(figures));
	tcase_add_test(tc, lines_are_no_wider_than_a_terminal);
	tcase_add_test(tc, what_is_not_known_is_a_dash);
	tcase_add_test(tc, a_lease_at_a_time_as_json);
	tcase_add_loop_test(tc, leases_are_sorted, 0, COUNT(orders));
	tcase_add_test(tc, what_comes_and_goes_has_no_rate);
	tcase_add_test(tc, words_stand_anywhere);
	tcase_add_test(tc, a_value_may_be_left_out);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
