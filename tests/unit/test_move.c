/*
 * What a device is told to get from one description to another: the messages
 * of rtnl_move(), written as lines.  That the kernel does with them what is
 * meant, tests/live/test_change.c shows.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "../../daemon/rtnl.h"

#define IFINDEX	7
#define METRIC	1000
#define TEXT_MAX 4096

static struct wire_open from, to;
static char text[TEXT_MAX];

static void say(const char *line)
{
	size_t n = strlen(text);

	snprintf(text + n, sizeof(text) - n, "%s\n", line);
}

static int take_source(const struct nlattr *attr, void *source)
{
	if (mnl_attr_get_type(attr) == RTA_PREFSRC)
		inet_ntop(mnl_attr_get_payload_len(attr) == 4 ? AF_INET :
			  AF_INET6, mnl_attr_get_payload(attr), source,
			  INET6_ADDRSTRLEN);
	return MNL_CB_OK;
}

/* "+" comes, "=" is ensured, "-" goes; what it is stands in the row. */
static void tell_row(const struct nlmsghdr *nlh, const struct rtnl_row *row)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	char line[RTNL_WHAT_MAX + 64], source[INET6_ADDRSTRLEN] = "";
	char what[RTNL_WHAT_MAX];
	char sign = row->tolerate ? '=' : '+';

	rtnl_row_what(row, what);
	switch (nlh->nlmsg_type) {
	case RTM_SETLINK:
		ck_assert_int_eq(ifi->ifi_index, IFINDEX);
		if (ifi->ifi_change & IFF_UP)
			snprintf(line, sizeof(line), "%s",
				 ifi->ifi_flags & IFF_UP ? "up" : "down");
		else
			snprintf(line, sizeof(line), "%s", what);
		break;
	case RTM_NEWROUTE:
		ck_assert_uint_eq(rtm->rtm_protocol, RTNL_PROTOCOL);
		ck_assert_uint_eq(nlh->nlmsg_flags & (NLM_F_CREATE |
				  NLM_F_EXCL | NLM_F_REPLACE),
				  NLM_F_CREATE | NLM_F_EXCL);
		mnl_attr_parse(nlh, sizeof(*rtm), take_source, source);
		snprintf(line, sizeof(line), "%c %s%s%s", sign, what,
			 source[0] ? " src " : "", source);
		break;
	case RTM_NEWADDR:
		snprintf(line, sizeof(line), "%c %s", sign, what);
		break;
	default:
		ck_assert(nlh->nlmsg_type == RTM_DELADDR ||
			  nlh->nlmsg_type == RTM_DELROUTE);
		ck_assert_ptr_nonnull(row->tolerate);
		snprintf(line, sizeof(line), "- %s",
			 what + strlen("removing "));
	}
	say(line);
}

/* The lines of going from `from` to `to`. */
static const char *lines(bool repair)
{
	const struct rtnl_move m = { IFINDEX, METRIC, &from, &to, repair };
	struct rtnl_batch b;
	const struct nlmsghdr *nlh;
	int len;

	ck_assert_int_eq(rtnl_batch_init(&b), 0);
	rtnl_move(&b, &m);
	ck_assert_int_eq(b.error, 0);
	text[0] = '\0';
	nlh = (const void *)b.buf;
	len = (int)b.len;
	for (unsigned i = 0; i < b.n; i++) {
		ck_assert(mnl_nlmsg_ok(nlh, len));
		tell_row(nlh, &b.rows[i]);
		nlh = mnl_nlmsg_next(nlh, &len);
	}
	ck_assert_int_eq(len, 0);
	rtnl_batch_free(&b);
	return text;
}

static struct prefix prefix(const char *t)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(t, &p, NULL), 0);
	return p;
}

static void add_addr(struct wire_open *o, const char *t)
{
	o->addresses[o->n_addresses++].local = prefix(t);
}

static void add_route(struct wire_open *o, const char *t, const char *via)
{
	struct wire_route *r = &o->routes[o->n_routes++];

	r->dst = prefix(t);
	r->metric = METRIC;
	if (via)
		r->gateway = prefix(via);
}

static void drop_addr(struct wire_open *o, unsigned i)
{
	memmove(&o->addresses[i], &o->addresses[i + 1],
		(--o->n_addresses - i) * sizeof(o->addresses[0]));
}

/* Two of one prefix, one of another family; a route each. */
static void setup(void)
{
	memset(&from, 0, sizeof(from));
	from.mtu = 1500;
	add_addr(&from, "10.0.0.1/24");
	add_addr(&from, "10.0.0.2/24");
	add_addr(&from, "fd00::1/64");
	add_route(&from, "10.1.0.0/16", NULL);
	add_route(&from, "fd01::/32", "fd00::9");
	to = from;
}

START_TEST(no_difference_no_message)
{
	setup();
	ck_assert_str_eq(lines(false), "");
}
END_TEST

START_TEST(from_nothing)
{
	setup();
	memset(&from, 0, sizeof(from));
	from.flags = WIRE_OPEN_DOWN;
	to.mtu = 1400;
	ck_assert_str_eq(lines(false),
		"+ address 10.0.0.1/24\n"
		"+ address 10.0.0.2/24\n"
		"MTU 1400\n"
		"+ address fd00::1/64\n"
		"up\n"
		"+ 10.0.0.0/24 via the device metric 1000 src 10.0.0.1\n"
		"+ fd00::/64 via the device metric 1000\n"
		"+ 10.1.0.0/16 via the device metric 1000\n"
		"+ fd01::/32 via fd00::9/128 metric 1000\n");
}
END_TEST

START_TEST(what_is_new_is_strict)
{
	setup();
	add_addr(&to, "10.0.0.3/24");
	add_addr(&to, "10.2.0.1/32");
	add_route(&to, "0.0.0.0/0", NULL);
	add_route(&to, "::/0", NULL);
	ck_assert_str_eq(lines(false),
		"+ address 10.0.0.3/24\n"
		"+ address 10.2.0.1/32\n"
		"+ 0.0.0.0/1 via the device metric 1000\n"
		"+ 128.0.0.0/1 via the device metric 1000\n"
		"+ ::/1 via the device metric 1000\n"
		"+ 8000::/1 via the device metric 1000\n");
}
END_TEST

/* The kernel takes the second address, the connected route and more along. */
START_TEST(what_goes_with_an_ipv4_address_is_asked_for_anew)
{
	setup();
	drop_addr(&to, 0);
	ck_assert_str_eq(lines(false),
		"- 10.0.0.0/24 via the device metric 1000\n"
		"- address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"+ 10.0.0.0/24 via the device metric 1000 src 10.0.0.2\n"
		"= 10.1.0.0/16 via the device metric 1000\n");
}
END_TEST

START_TEST(an_ipv6_address_takes_nothing_along)
{
	setup();
	drop_addr(&to, 2);
	to.n_routes = 1;
	ck_assert_str_eq(lines(false),
		"- fd01::/32 via fd00::9/128 metric 1000\n"
		"- fd00::/64 via the device metric 1000\n"
		"- address fd00::1/64\n");
}
END_TEST

/* Never without an IPv4 address, for the sake of routes that others made. */
START_TEST(a_new_ipv4_address_comes_before_the_old_goes)
{
	setup();
	drop_addr(&to, 0);
	drop_addr(&to, 0);
	add_addr(&to, "10.0.0.3/24");
	ck_assert_str_eq(lines(false),
		"- 10.0.0.0/24 via the device metric 1000\n"
		"+ address 10.0.0.3/24\n"
		"- address 10.0.0.1/24\n"
		"- address 10.0.0.2/24\n"
		"= address 10.0.0.3/24\n"
		"+ 10.0.0.0/24 via the device metric 1000 src 10.0.0.3\n"
		"= 10.1.0.0/16 via the device metric 1000\n");
	/* But for the same one, which the kernel may not tell apart. */
	setup();
	from.n_addresses = 1;
	to.n_addresses = 0;
	add_addr(&to, "10.0.0.1/16");
	ck_assert_str_eq(lines(false),
		"- 10.0.0.0/24 via the device metric 1000\n"
		"- address 10.0.0.1/24\n"
		"+ address 10.0.0.1/16\n"
		"+ 10.0.0.0/16 via the device metric 1000 src 10.0.0.1\n"
		"= 10.1.0.0/16 via the device metric 1000\n");
}
END_TEST

/* The way back: the first address is to be the first again. */
START_TEST(a_repair_restores_the_order)
{
	struct wire_open now;

	setup();
	drop_addr(&to, 0);
	now = to;
	to = from;
	from = now;
	ck_assert_str_eq(lines(true),
		"- 10.0.0.0/24 via the device metric 1000\n"
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"- address 10.0.0.1/24\n"
		"= address 10.0.0.1/24\n"
		"- address 10.0.0.2/24\n"
		"= address 10.0.0.2/24\n"
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"= address fd00::1/64\n"
		"= 10.0.0.0/24 via the device metric 1000 src 10.0.0.1\n"
		"= fd00::/64 via the device metric 1000\n"
		"= 10.1.0.0/16 via the device metric 1000\n"
		"= fd01::/32 via fd00::9/128 metric 1000\n");
}
END_TEST

START_TEST(down_keeps_the_addresses)
{
	setup();
	to.flags = WIRE_OPEN_DOWN;
	ck_assert_str_eq(lines(false),
		"down\n"
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"= address fd00::1/64\n");
}
END_TEST

START_TEST(up_brings_the_routes)
{
	setup();
	from.flags = WIRE_OPEN_DOWN;
	ck_assert_str_eq(lines(false),
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"= address fd00::1/64\n"
		"up\n"
		"+ 10.0.0.0/24 via the device metric 1000 src 10.0.0.1\n"
		"+ fd00::/64 via the device metric 1000\n"
		"+ 10.1.0.0/16 via the device metric 1000\n"
		"+ fd01::/32 via fd00::9/128 metric 1000\n");
}
END_TEST

START_TEST(a_device_that_is_down_gets_no_routes)
{
	setup();
	from.flags = to.flags = WIRE_OPEN_DOWN;
	add_route(&to, "10.2.0.0/16", NULL);
	add_addr(&to, "10.3.0.1/24");
	ck_assert_str_eq(lines(false), "+ address 10.3.0.1/24\n");
}
END_TEST

/* Below 1280 the kernel has no IPv6, and takes none. */
START_TEST(a_small_mtu_has_no_ipv6)
{
	setup();
	from.mtu = to.mtu = 1000;
	to.flags = WIRE_OPEN_DOWN;
	ck_assert_str_eq(lines(false),
		"down\n"
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n");
	to.flags = 0;
	ck_assert_str_eq(lines(true),
		"= address 10.0.0.1/24\n"
		"= address 10.0.0.2/24\n"
		"= 10.0.0.0/24 via the device metric 1000 src 10.0.0.1\n"
		"= 10.1.0.0/16 via the device metric 1000\n");
}
END_TEST

START_TEST(a_larger_mtu_brings_ipv6_back)
{
	setup();
	from.mtu = 1000;
	ck_assert_str_eq(lines(false),
		"MTU 1500\n"
		"= address fd00::1/64\n"
		"= fd00::/64 via the device metric 1000\n"
		"= fd01::/32 via fd00::9/128 metric 1000\n");
}
END_TEST

/* The largest there is fits: all of it goes and other of it comes. */
START_TEST(the_largest_fits)
{
	char t[32];

	setup();
	from.n_addresses = to.n_addresses = 0;
	from.n_routes = to.n_routes = 0;
	for (unsigned i = 0; i < WIRE_ADDRESSES_MAX; i++) {
		snprintf(t, sizeof(t), "10.%u.0.1/24", i);
		add_addr(&from, t);
		snprintf(t, sizeof(t), "10.%u.0.2/24", i);
		add_addr(&to, t);
	}
	for (unsigned i = 0; i < WIRE_ROUTES_MAX - 2; i++) {
		snprintf(t, sizeof(t), "11.%u.0.0/16", i);
		add_route(&from, t, NULL);
		snprintf(t, sizeof(t), "12.%u.0.0/16", i);
		add_route(&to, t, NULL);
	}
	add_route(&from, "0.0.0.0/0", NULL);
	add_route(&from, "::/0", NULL);
	add_route(&to, "0.0.0.0/0", NULL);
	add_route(&to, "::/0", NULL);
	to.routes[254].metric = to.routes[255].metric = 2000;
	ck_assert_ptr_nonnull(lines(false));
	ck_assert_ptr_nonnull(lines(true));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("move");
	TCase *t = tcase_create("unit");
	SRunner *runner;
	int failed;

	tcase_add_test(t, no_difference_no_message);
	tcase_add_test(t, from_nothing);
	tcase_add_test(t, what_is_new_is_strict);
	tcase_add_test(t, what_goes_with_an_ipv4_address_is_asked_for_anew);
	tcase_add_test(t, an_ipv6_address_takes_nothing_along);
	tcase_add_test(t, a_new_ipv4_address_comes_before_the_old_goes);
	tcase_add_test(t, a_repair_restores_the_order);
	tcase_add_test(t, down_keeps_the_addresses);
	tcase_add_test(t, up_brings_the_routes);
	tcase_add_test(t, a_device_that_is_down_gets_no_routes);
	tcase_add_test(t, a_small_mtu_has_no_ipv6);
	tcase_add_test(t, a_larger_mtu_brings_ipv6_back);
	tcase_add_test(t, the_largest_fits);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
