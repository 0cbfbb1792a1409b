/* The policy told to people, and what all users share. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../policy/bounds.h"
#include "../../policy/policy.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

static struct wire_open ask, out;
static struct peer peer;
static struct policy_usage usage;
static struct policy_decision decision;

static void begin(void)
{
	memset(&ask, 0, sizeof(ask));
	ask.layer = WIRE_TUN;
	ask.queues = 1;
	peer = (struct peer){ .uid = 1000, .gid = 100 };
	usage = (struct policy_usage){ .devices = 0 };
}

static struct policy *parse(const char *text)
{
	struct policy *policy = NULL;
	struct policy_fault fault = { "" };
	int r = policy_parse("t.conf", text, strlen(text), NULL, NULL, &policy,
			     &fault);

	ck_assert_msg(r == 0, "%s", fault.text);
	return policy;
}

static int decide(const char *text)
{
	struct policy *p = parse(text);
	int r = policy_decide(p, &peer, &ask, &usage, &out, &decision);

	policy_free(p);
	return r;
}

#define TT	"[rule tt]\naction=allow\nuser=any\nkind=tun,tap\nname=tt*\n"

/* ---- what all users share ---- */

START_TEST(all_devices_below_at_and_above_their_number)
{
	static const char *const texts[] = {
		TT "max-devices=9\n[global]\nmax-devices=7\n",
		"[global]\nmax-devices=7\n" TT "max-devices=9\n",
	};

	usage.all_devices = 6;
	ck_assert_int_eq(decide(texts[_i]), 0);
	for (usage.all_devices = 7; usage.all_devices < 9;
	     usage.all_devices++) {
		ck_assert_int_eq(decide(texts[_i]), -EDQUOT);
		ck_assert_int_eq((int)decision.code, WIRE_E_QUOTA);
		ck_assert_str_eq(decision.rule, _i ? "t.conf:2" : "t.conf:8");
		ck_assert_ptr_nonnull(strstr(decision.text,
					     "all users together"));
	}
}
END_TEST

START_TEST(all_devices_have_a_number_unasked)
{
	usage.all_devices = POLICY_DEFAULT_GLOBAL_DEVICES - 1;
	ck_assert_int_eq(decide(TT), 0);
	usage.all_devices++;
	ck_assert_int_eq(decide(TT), -EDQUOT);
	ck_assert_str_eq(decision.rule, "");
}
END_TEST

START_TEST(what_he_has_closed_is_told_as_such)
{
	usage.devices = 2;
	ck_assert_int_eq(decide(TT "max-devices=2\n"), -EDQUOT);
	ck_assert_ptr_null(strstr(decision.text, "descriptor"));
	usage.kept = 1;
	ck_assert_int_eq(decide(TT "max-devices=2\n"), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(decision.text, "uid 1000 has 2 devices, "
				     "1 of them of leases that have ended"));
	ck_assert_ptr_nonnull(strstr(decision.text, "close one first"));
}
END_TEST

START_TEST(what_others_have_closed_is_told_as_such)
{
	usage.all_devices = 7;
	ck_assert_int_eq(decide("[global]\nmax-devices=7\n" TT), -EDQUOT);
	ck_assert_ptr_null(strstr(decision.text, "descriptor"));
	usage.all_kept = 3;
	ck_assert_int_eq(decide("[global]\nmax-devices=7\n" TT), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(decision.text, "`max-devices = 7` of "
				     "[global] allows, 3 of them of leases "
				     "that have ended"));
	ck_assert_ptr_nonnull(strstr(decision.text, "wait until one"));
}
END_TEST

START_TEST(mac_must_be_allowed)
{
	static const struct {
		const char *text;
		int r;
		const char *rule;
	} rows[] = {
		{ TT, -EACCES, "t.conf:1" },
		{ TT "mac = random\n", -EACCES, "t.conf:6" },
		{ TT "mac = chosen\n", 0, "t.conf:1" },
	};

	ask.layer = WIRE_TAP;
	ask.flags = WIRE_OPEN_MAC_SET;
	ask.mac[0] = 2;
	ck_assert_int_eq(decide(rows[_i].text), rows[_i].r);
	ck_assert_str_eq(decision.rule, rows[_i].rule);
	ask.flags = 0;
	ck_assert_int_eq(decide(rows[_i].text), 0);
}
END_TEST

/* As tuntapd.conf(5) has them; each line is mended in turn. */
START_TEST(limits_are_told_in_their_order)
{
	static const char *const keys[] = {
		"mac", "offload", "mtu", "max-queues", "max-addresses",
		"max-routes", "address", "route", "metric"
	};
	static const char *const wrong[] = {
		"random", "no", "1280", "1", "0", "0", "10.1.0.0/16",
		"10.2.0.0/16", "5-9"
	};
	static const char *const right[] = {
		"chosen", "yes", "1280-", "2", "1", "2", "10.0.0.0/8",
		"0.0.0.0/0", "5-"
	};
	const size_t n = COUNT(keys);

	ask.layer = WIRE_TAP;
	ask.flags = WIRE_OPEN_MAC_SET;
	ask.mac[0] = 2;
	ask.vnet_hdr = 1;
	ask.mtu = 2000;
	ask.queues = 2;
	ask.n_addresses = 1;
	ck_assert_int_eq(prefix_parse("10.9.0.1/24", &ask.addresses[0].local,
				      NULL), 0);
	ask.n_routes = 2;
	ck_assert_int_eq(prefix_parse("10.3.0.0/16", &ask.routes[0].dst, NULL),
			 0);
	ask.routes[0].metric = 10;
	ck_assert_int_eq(prefix_parse("12.0.0.0/7", &ask.routes[1].dst, NULL),
			 0);
	usage.devices = usage.all_devices = 1;
	/* Then default-route, max-devices, that of [global], and the name. */
	for (size_t mended = 0; mended <= n + 3; mended++) {
		char text[1024] = TT, rule[32];

		for (size_t i = 0; i < n; i++)
			snprintf(text + strlen(text),
				 sizeof(text) - strlen(text), "%s = %s\n",
				 keys[i], i < mended ? right[i] : wrong[i]);
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "default-route = %s\nmax-devices = %d\n"
			 "[global]\nmax-devices = %d\n",
			 mended > n ? "yes" : "no", mended > n + 1 ? 2 : 1,
			 mended > n + 2 ? 2 : 1);
		snprintf(rule, sizeof(rule), "t.conf:%zu",
			 mended < n + 2 ? mended + 6 : mended + 7);
		if (mended == n + 3) {
			ck_assert_int_eq(decide(text), 0);
			break;
		}
		ck_assert_int_lt(decide(text), 0);
		ck_assert_msg(strcmp(decision.rule, rule) == 0, "%s, not %s: "
			      "%s", decision.rule, rule, decision.text);
	}
}
END_TEST

START_TEST(all_of_this_network_is_refused)
{
	ask.n_addresses = 1;
	ck_assert_int_eq(prefix_parse("0.200.0.1/24", &ask.addresses[0].local,
				      NULL), 0);
	ck_assert_int_eq(decide(TT "address = 0.0.0.0/0\n"), -EINVAL);
}
END_TEST

/* ---- how a decision came about ---- */

static char story[1024];

static void tell(void *arg, const struct policy *policy, size_t rule,
		 enum policy_match how)
{
	struct policy_description d = policy_describe(policy, rule);
	size_t n = strlen(story);

	ck_assert_ptr_eq(arg, &story);
	snprintf(story + n, sizeof(story) - n, "%s@%s:%u=%d ", d.name, d.file,
		 d.line, (int)how);
}

START_TEST(each_rule_that_is_tried_is_told)
{
	static const char text[] =
		"[rule other]\naction=deny\nuser=7\n"
		"[rule taps]\naction=deny\nuser=any\nkind=tap\n"
		"[rule names]\naction=allow\nuser=any\nkind=tun\nname=vpn*\n"
		TT
		"[rule never]\naction=deny\nuser=any\n";
	struct policy_trace trace = { tell, &story };
	struct policy *p = parse(text);

	story[0] = '\0';
	strcpy(ask.name, "tt0");
	ck_assert_int_eq(policy_explain(p, &peer, &ask, &usage, &trace, &out,
					&decision), 0);
	ck_assert_str_eq(story, "other@t.conf:1=1 taps@t.conf:4=2 "
			 "names@t.conf:8=3 tt@t.conf:13=0 ");
	/* The same answer without being asked how. */
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &out,
				       &decision), 0);
	ck_assert_str_eq(decision.rule, "t.conf:13");
	policy_free(p);
}
END_TEST

START_TEST(what_makes_no_sense_is_held_against_no_rule)
{
	struct policy_trace trace = { tell, &story };
	struct policy *p = parse(TT);

	story[0] = '\0';
	ask.queues = 0;
	ck_assert_int_eq(policy_explain(p, &peer, &ask, &usage, &trace, &out,
					&decision), -EINVAL);
	ck_assert_str_eq(story, "");
	policy_free(p);
}
END_TEST

START_TEST(a_rule_is_about_whom_it_names)
{
	struct policy *p = parse("[rule a]\naction=deny\nuser=1000\n"
				 "[rule b]\naction=deny\nuser=1001\n"
				 "[rule c]\naction=deny\ngroup=5\n"
				 "[rule d]\naction=deny\nuser=any\n");
	gid_t groups[] = { 4, 5 };

	ck_assert(policy_is_about(p, 0, &peer));
	ck_assert(!policy_is_about(p, 1, &peer));
	ck_assert(!policy_is_about(p, 2, &peer));
	ck_assert(policy_is_about(p, 3, &peer));
	peer.groups = groups;
	peer.n_groups = 2;
	ck_assert(policy_is_about(p, 2, &peer));
	peer.n_groups = 0;
	peer.gid = 5;
	ck_assert(policy_is_about(p, 2, &peer));
	policy_free(p);
}
END_TEST

/* ---- a policy written back ---- */

/* The caller frees it. */
static char *written(const struct policy *p)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; i < policy_n_rules(p); i++)
		policy_write_rule(p, i, NULL, f);
	policy_write_global(p, f);
	fclose(f);
	return text;
}

START_TEST(a_rule_is_written_with_what_absent_keys_mean)
{
	struct policy *p = parse("\n" TT "source = auto\n"
				 "mtu = 1280-\nroute=fd00:0::/8, 10.0.0.0/8\n");
	char *text = written(p);

	ck_assert_str_eq(text,
		"[rule tt]\t; t.conf:2\n"
		"action = allow\n"
		"user = any\n"
		"; group: none\n"
		"kind = tun, tap\n"
		"name = tt*\n"
		"; address: none\n"
		"source = auto\n"
		"route = fd00::/8, 10.0.0.0/8\n"
		"default-route = no\t; default\n"
		"shadow = no\t; default\n"
		"metric = 1000-\t; default\n"
		"mtu = 1280-65535\n"
		"max-devices = 2\t; default\n"
		"max-queues = 4\t; default\n"
		"max-addresses = 4\t; default\n"
		"max-routes = 32\t; default\n"
		"mac = random\t; default\n"
		"dhcp = yes\t; default\n"
		"offload = no\t; default\n"
		"source-guard = required\t; default\n"
		"on-tamper = revoke\t; default\n"
		"[global]\n"
		"max-devices = 4096\t; default\n");
	free(text);
	policy_free(p);
}
END_TEST

/* Others' uids and gids are theirs. */
START_TEST(a_user_is_shown_himself_alone)
{
	struct policy *p = parse(
		"[rule a]\naction=deny\nuser=3,1000,4\ngroup=7,5\n"
		"[rule b]\naction=deny\nuser=3\ngroup=100,7,6\n"
		"[rule c]\naction=deny\nuser=any\ngroup=7\n"
		"[rule d]\naction=deny\nuser=1000\n"
		"[rule e]\naction=deny\nuser=100,7\ngroup=1000\n");
	gid_t groups[] = { 4, 6 };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	peer.groups = groups;
	peer.n_groups = 2;
	for (size_t i = 0; i < policy_n_rules(p); i++)
		policy_write_rule(p, i, &peer, f);
	fclose(f);
	ck_assert_str_eq(text,
		"[rule a]\t; t.conf:1\naction = deny\nuser = 1000\n"
		"[rule b]\t; t.conf:5\naction = deny\ngroup = 100, 6\n"
		"[rule c]\t; t.conf:9\naction = deny\nuser = any\n"
		"[rule d]\t; t.conf:13\naction = deny\nuser = 1000\n"
		"[rule e]\t; t.conf:16\naction = deny\n");
	ck_assert_uint_eq(policy_n_rules_about(p, &peer), 4);
	ck_assert_uint_eq(policy_n_rules_about(p, NULL), 5);
	free(text);
	policy_free(p);
}
END_TEST

/* The longest lists that there may be. */
START_TEST(the_longest_lines_can_be_read_again)
{
	char *text = NULL, *first, *second, *third;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct policy *p;

	fputs("[rule a]\naction=allow\nkind=tun\nuser=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s%u", i ? "," : "", 4000000000u + (unsigned)i);
	fputs("\ngroup=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s%u", i ? "," : "", 4000000000u + (unsigned)i);
	fputs("\nname=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s%063d", i ? "," : "", i);
	fputs("\nsource=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s2001:db8:1111:2222:3333:4444:5555:%x/128",
			i ? "," : "", 0x1000 + i);
	fputs("\nroute=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s2001:db8:1111:2222:3333:4444:5555:%x/128",
			i ? "," : "", 0x1000 + i);
	fputs("\naddress=", f);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fprintf(f, "%s2001:db8:1111:2222:3333:4444:5555:%x/128",
			i ? "," : "", 0x1000 + i);
	fputs("\n", f);
	fclose(f);
	p = parse(text);
	first = written(p);
	policy_free(p);
	p = parse(first);
	second = written(p);
	policy_free(p);
	p = parse(second);
	third = written(p);
	policy_free(p);
	ck_assert(strcmp(second, third) == 0);
	ck_assert_ptr_nonnull(strstr(third, "4000000255\n"));
	ck_assert_ptr_nonnull(strstr(third, ":10ff/128\n"));
	free(text);
	free(first);
	free(second);
	free(third);
}
END_TEST

START_TEST(a_rule_that_denies_has_no_limits)
{
	struct policy *p = parse("[rule d]\naction=deny\nuser=3,4\n"
				 "[global]\nmax-devices=5\n");
	char *text = written(p);

	ck_assert_str_eq(text, "[rule d]\t; t.conf:1\naction = deny\n"
			 "user = 3, 4\n[global]\t; t.conf:4\n"
			 "max-devices = 5\n");
	free(text);
	policy_free(p);
}
END_TEST

START_TEST(what_is_written_can_be_read)
{
	static const char *const texts[] = {
		TT,
		TT "source=10.0.0.0/8,fd00::/8\ndhcp=no\nsource-guard=off\n"
		"on-tamper=log\nmac=chosen\noffload=yes\nshadow=yes\n"
		"default-route=yes\nmetric=7\nmtu=1280-1500\ngroup=3,4\n"
		"max-devices=5\nmax-queues=6\nmax-addresses=7\n"
		"max-routes=8\naddress=10.0.0.0/8\nroute=fd00::/8\n",
		"[rule d]\naction=deny\ngroup=3\nkind=tap\nname=a*,b[0-9]\n",
	};
	struct policy *p = parse(texts[_i]);
	char *text = written(p), *again, *third;

	policy_free(p);
	p = parse(text);
	again = written(p);
	policy_free(p);
	p = parse(again);
	third = written(p);
	policy_free(p);
	/* Twice, as the first says what was not said before. */
	ck_assert_str_eq(again, third);
	free(text);
	free(again);
	free(third);
}
END_TEST

/* ---- warnings ---- */

static void note(void *arg, const char *text)
{
	size_t n = strlen(story);

	ck_assert_ptr_eq(arg, &story);
	snprintf(story + n, sizeof(story) - n, "%s\n", text);
}

#define USER(u, names)	"[rule r]\naction=allow\nuser=" u "\nkind=tun\n" \
			"name=" names "\n"

static const struct {
	const char *text, *where, *what;	/* NULL: no warning */
} warnings[] = {
	{ USER("any", "tt%u-*"), NULL, NULL },
	{ USER("any", "tun[0-9], vpn?"), NULL, NULL },
	{ USER("any", "%u-*"), NULL, NULL },
	{ USER("any", "%u*"), "t.conf:5: name: ", "digits may follow the uid" },
	{ USER("any", "a%u?"), "t.conf:5: name: ", "in `a%u?` digits may" },
	{ USER("any", "a-*, a%u[a-z]"), "t.conf:5: name: ", "`a%u[a-z]`" },
	{ USER("any", "a%u0"), "t.conf:5: name: ", "digits may follow" },
	{ USER("1", "a-%u%u"), "t.conf:5: name: ", "digits may follow" },
	{ USER("any", "a%ux*, b%u"), NULL, NULL },
	{ USER("any", "*"), "t.conf:5: name: ", "no letters to begin" },
	{ USER("any", "tt*, ?x"), "t.conf:5: name: ", "`?x` has no letters" },
	{ USER("any", "[a-z]*"), "t.conf:5: name: ", "no letters to begin" },
	{ "[rule r]\naction=deny\nuser=any\nname=*\n", NULL, NULL },
	{ USER("any", "vp-%u-*"), NULL, NULL },
	{ USER("any", "vpn-%u-*"), "t.conf:5: name: ", "uid 4294967294" },
	{ USER("any", "*, ?, tt*"), "t.conf:5: name: ", "`*` has no letters" },
	{ USER("any", "vpn-x%u"), NULL, NULL },
	{ USER("any", "vpn-xy%u"), "t.conf:5: name: ", "uid 4294967294" },
	{ USER("1000", "vpn-xyzabc%u"), NULL, NULL },
	{ USER("1000", "vpn-xyzabc%u-*"), "t.conf:5: name: ", "uid 1000" },
	{ USER("1\ngroup=2", "vpn-xyzabc%u"), "t.conf:6: name: ",
	  "uid 4294967294" },
	{ TT "source=auto\ndhcp=no\non-tamper=log\n", NULL, NULL },
	{ TT "source-guard=required\n", NULL, NULL },
	{ TT "source-guard=off\n", "t.conf:6: source-guard: ",
	  "any source address" },
	{ "[rule r]\naction=deny\nuser=any\nsource-guard=off\n",
	  "t.conf:4: source-guard: ", "has no limits" },
	{ "[rule r]\naction=deny\nuser=any\nkind=tun\nname=a\nmtu=99\n"
	  "max-devices=2\n", "t.conf:6: mtu: ", "has no limits" },
	{ TT "default-route=yes\nroute=10.0.0.0/8, fd00::/16\n",
	  "t.conf:6: default-route: ", "no prefix of `route`" },
	{ TT "default-route=yes\n", "t.conf:6: default-route: ",
	  "no prefix of `route`" },
	{ TT "default-route=yes\nroute=0.0.0.0/7\n", NULL, NULL },
	{ TT "default-route=yes\nroute=fd00::/8\n", NULL, NULL },
	{ TT "default-route=no\n", NULL, NULL },
#define DENY(rest) "[rule d]\naction=deny\n" rest "\n"
	{ DENY("user=any") TT, "t.conf:4: ", "rule tt decides about nothing: "
	  "rule d (t.conf:1)" },
	{ DENY("user=any\nkind=tun, tap") TT, "t.conf:5: ", "nothing" },
	{ DENY("user=any\nkind=tap\nname=x, *") TT, NULL, NULL },
	{ DENY("user=any\nname=x, *") TT, "t.conf:5: ", "nothing" },
	{ DENY("user=any\nname=tt*") TT, NULL, NULL },
	{ DENY("user=1,2\ngroup=3") USER("2", "t*"), "t.conf:5: ", "nothing" },
	{ DENY("user=1,2\ngroup=3") USER("2\ngroup=3", "t*"), "t.conf:5: ",
	  "nothing" },
	{ DENY("user=1,2\ngroup=3") USER("2\ngroup=4", "t*"), NULL, NULL },
	{ DENY("user=1,2\ngroup=3") USER("2,5", "t*"), NULL, NULL },
	{ DENY("user=1,2\ngroup=3") USER("any", "t*"), NULL, NULL },
	{ DENY("user=any\nkind=tun") USER("7", "t*"), "t.conf:5: ",
	  "nothing" },
};

/* The one that decides is told, however many come before it. */
START_TEST(rules_that_are_tried_are_told_to_a_number)
{
	static struct wire_verdict v;
	struct policy *p = parse(TT);

	for (unsigned i = 0; i < WIRE_TRIED_MAX + 3; i++)
		policy_tell_tried(&v, p, 0, POLICY_OTHER_NAME);
	ck_assert_uint_eq(v.n_tried, WIRE_TRIED_MAX);
	ck_assert_uint_eq(v.more, 3);
	policy_tell_tried(&v, p, 0, POLICY_DECIDES);
	ck_assert_uint_eq(v.n_tried, WIRE_TRIED_MAX);
	ck_assert_uint_eq(v.more, 4);
	ck_assert_uint_eq(v.tried[WIRE_TRIED_MAX - 1].match, POLICY_DECIDES);
	ck_assert_uint_eq(v.tried[WIRE_TRIED_MAX - 2].match,
			  POLICY_OTHER_NAME);
	ck_assert_str_eq(v.tried[0].rule, "t.conf:1");
	ck_assert_str_eq(v.tried[0].name, "tt");
	policy_free(p);
}
END_TEST

START_TEST(what_is_hardly_meant_is_warned_of)
{
	struct policy *p = parse(warnings[_i].text);

	story[0] = '\0';
	policy_warn(p, note, &story);
	policy_free(p);
	if (!warnings[_i].where) {
		ck_assert_str_eq(story, "");
		return;
	}
	ck_assert_msg(strncmp(story, warnings[_i].where,
			      strlen(warnings[_i].where)) == 0, "%s", story);
	ck_assert_msg(strstr(story, warnings[_i].what) != NULL, "%s", story);
	/* One, and not more. */
	ck_assert_ptr_eq(strchr(story, '\n'), story + strlen(story) - 1);
}
END_TEST

/* ---- what holds as long as a device is there ---- */

#define TERMS_POLICY \
	TT "source=10.0.0.0/8, fd00::/8\ndhcp=no\non-tamper=log\n" \
	"source-guard=off\nmac=chosen\nshadow=yes\nmetric=7-9\n" \
	"[rule d]\naction=deny\nuser=any\nkind=tun\nname=vpn*\n" \
	"source-guard=off\n"

static void check_terms_of_nobody(const struct policy_terms *t)
{
	ck_assert(t->guard && t->dhcp && t->automatic && t->tamper_revokes);
	ck_assert(!t->shadow && !t->mac_chosen);
	ck_assert_uint_eq(t->n_sources, 0);
	ck_assert_uint_eq(t->metric, 1000);
	ck_assert_str_eq(t->shadow_rule, "");
}

START_TEST(terms_are_those_of_the_rule)
{
	struct policy *p = parse(TERMS_POLICY);
	struct policy_terms t;

	policy_terms(p, &peer, WIRE_TUN, "tt0", &t);
	ck_assert(!t.guard && !t.dhcp && !t.automatic && !t.tamper_revokes);
	ck_assert(t.shadow && t.mac_chosen);
	ck_assert_uint_eq(t.n_sources, 2);
	ck_assert_uint_eq(t.sources[0].len, 8);
	ck_assert_uint_eq(t.metric, 7);
	ck_assert_uint_eq(t.metric_max, 9);
	ck_assert_str_eq(t.shadow_rule, "t.conf:11");
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &out,
				       &decision), 0);
	ck_assert(decision.terms.shadow && decision.terms.mac_chosen);
	ck_assert_uint_eq(decision.terms.metric, 7);
	ck_assert_ptr_eq(decision.terms.sources, t.sources);
	/* A rule that denies, and none at all. */
	policy_terms(p, &peer, WIRE_TUN, "vpn0", &t);
	check_terms_of_nobody(&t);
	policy_terms(p, &peer, WIRE_TAP, "zz0", &t);
	check_terms_of_nobody(&t);
	policy_free(p);
}
END_TEST

/* ---- what comes with tuntapd ---- */

static int resolve_tuntap(void *arg, bool group, const char *name,
			  uint32_t *ret)
{
	(void)arg;
	*ret = 2000;
	return group && strcmp(name, "tuntap") == 0 ? 0 : -ENOENT;
}

static const struct {
	const char *address;
	gid_t gid;
	int r;
} shipped[] = {
	{ "198.19.0.1/17", 2000, 0 },
	{ "198.19.127.254/24", 2000, 0 },
	{ "198.19.128.1/24", 2000, -EACCES },
	{ "198.18.0.1/24", 2000, -EACCES },
	{ "192.168.1.1/24", 2000, -EACCES },
	{ "fd0e:e9c7:abee:1::1/64", 2000, 0 },
	{ "fd0e:e9c7:abef::1/64", 2000, -EACCES },
	{ "198.19.0.1/24", 100, -EACCES },
};

START_TEST(the_shipped_policy_is_for_members)
{
	char text[4096];
	struct policy *p = NULL;
	FILE *f = fopen("policy/50-tuntap.conf", "re");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	ck_assert_int_eq(policy_parse("50-tuntap.conf", text, n, resolve_tuntap,
				      NULL, &p, NULL), 0);
	story[0] = '\0';
	policy_warn(p, note, &story);
	ck_assert_str_eq(story, "");
	peer.gid = shipped[_i].gid;
	ask.n_addresses = 1;
	ck_assert_int_eq(prefix_parse(shipped[_i].address,
				      &ask.addresses[0].local, NULL), 0);
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &out,
				       &decision), shipped[_i].r);
	if (shipped[_i].r == 0)
		ck_assert_str_eq(out.name, "tt1000-0");
	policy_free(p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy_show");
	TCase *t = tcase_create("show");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, begin, NULL);
	tcase_add_loop_test(t, all_devices_below_at_and_above_their_number,
			    0, 2);
	tcase_add_test(t, all_devices_have_a_number_unasked);
	tcase_add_test(t, what_he_has_closed_is_told_as_such);
	tcase_add_test(t, what_others_have_closed_is_told_as_such);
	tcase_add_loop_test(t, mac_must_be_allowed, 0, 3);
	tcase_add_test(t, limits_are_told_in_their_order);
	tcase_add_test(t, all_of_this_network_is_refused);
	tcase_add_test(t, each_rule_that_is_tried_is_told);
	tcase_add_test(t, what_makes_no_sense_is_held_against_no_rule);
	tcase_add_test(t, a_rule_is_about_whom_it_names);
	tcase_add_test(t, a_rule_is_written_with_what_absent_keys_mean);
	tcase_add_test(t, a_rule_that_denies_has_no_limits);
	tcase_add_test(t, a_user_is_shown_himself_alone);
	tcase_add_test(t, the_longest_lines_can_be_read_again);
	tcase_add_loop_test(t, what_is_written_can_be_read, 0, 3);
	tcase_add_test(t, rules_that_are_tried_are_told_to_a_number);
	tcase_add_loop_test(t, what_is_hardly_meant_is_warned_of, 0,
			    COUNT(warnings));
	tcase_add_test(t, terms_are_those_of_the_rule);
	tcase_add_loop_test(t, the_shipped_policy_is_for_members, 0,
			    COUNT(shipped));
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
