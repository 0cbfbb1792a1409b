/*
 * Later requests on a live lease, against a real daemon and kernel: what each
 * of them does, that a failed one leaves everything as it was, and what the
 * holder is told when others touch his device.  The client is this process,
 * uid 0 as far as the policy is concerned; test_main_job.c has those without
 * rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.h"

static const char policy[] =
	"[rule root]\n"
	"action = allow\n"
	"user = 0\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.8.0.0/16, 10.9.0.0/16, fd09::/16\n"
	"route = 0.0.0.0/0, ::/0\n"
	"default-route = yes\n"
	"mtu = 1280-9000\n"
	"max-devices = 1\n"
	"max-addresses = 8\n"
	"max-routes = 8\n";

/* The same, but for what a holder does to his own device. */
static const char lenient[] =
	"[rule root]\n"
	"action = allow\n"
	"user = 0\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.8.0.0/16, 10.9.0.0/16, fd09::/16\n"
	"route = 0.0.0.0/0, ::/0\n"
	"default-route = yes\n"
	"mtu = 1280-9000\n"
	"max-devices = 1\n"
	"max-addresses = 8\n"
	"max-routes = 8\n"
	"mac = chosen\n"
	"on-tamper = log\n";

#define ADDRS_MAX 8
#define QUIET_MS 200

static struct rig rig;
static struct ttd_device *dev;

static struct ttd_addr addr(const char *text)
{
	return (struct ttd_addr){ .local = prefix(text),
				  .flags = strchr(text, ':') ? TTD_ADDR_NODAD :
					   0 };
}

static struct ttd_route route(const char *dst, const char *gateway,
			      uint32_t metric)
{
	struct ttd_route r = { .dst = prefix(dst), .metric = metric };

	if (gateway)
		r.gateway = prefix(gateway);
	return r;
}

/* A TAP's own link-local address is tentative for a second or two. */
static bool is_settled(void *unused)
{
	(void)unused;
	return sh_status("! ip -6 addr show dev tt0 | grep -q tentative") == 0;
}

/* A device with two IPv4 addresses of one prefix, and more. */
static void open_device(enum ttd_layer layer, uint32_t flags)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr addrs[] = {
		addr("10.9.0.1/24"), addr("10.9.0.2/24"), addr("10.9.1.1/24"),
		addr("fd09::1/64"), addr("fd09::2/64"),
	};
	struct ttd_route routes[] = {
		route("10.20.0.0/16", NULL, 0),
		route("10.21.0.0/16", "10.9.0.9", 0),
		route("10.22.0.0/16", "10.9.1.9", 2000),
		route("fd20::/32", NULL, 0),
		route("fd21::/32", "fd09::9", 0),
	};
	struct ttd_error e = { .code = 0 };

	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = flags;
	o.mtu = 1400;
	o.addrs = addrs;
	o.n_addrs = sizeof(addrs) / sizeof(*addrs);
	o.routes = routes;
	o.n_routes = sizeof(routes) / sizeof(*routes);
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s: %s", e.step, e.text);
	if (!(flags & TTD_DOWN))
		ck_assert(eventually(is_settled, NULL));
}

static void begin_with(const char *text, bool fault_build)
{
	struct rig_options o = { .policy = text, .fault_build = fault_build };

	rig_start(&rig, &o);
}

static void begin(bool fault_build)
{
	begin_with(policy, fault_build);
}

static void end(void)
{
	ttd_free(dev);
	link_goes("tt0");
	rig_end(&rig);
}

/* The shell finds it. */
#define ck_host(...) ck_assert_msg(sh_status(__VA_ARGS__) == 0, __VA_ARGS__)

#define ROUTE(dst, more) "ip route show " dst " dev tt0 | grep -q '" more "'"
#define ROUTE6(dst, more) \
	"ip -6 route show " dst " dev tt0 | grep -q '" more "'"
#define ADDR(text) "ip -o addr show dev tt0 | grep -qw '" text "'"
#define NO(command) "! " command

static void all_routes_are_there(void)
{
	ck_host(ROUTE("10.9.0.0/24", "proto 116 scope link .* metric 1000"));
	ck_host(ROUTE("10.9.1.0/24", "metric 1000"));
	ck_host(ROUTE("10.20.0.0/16", "proto 116 scope link metric 1000"));
	ck_host(ROUTE("10.21.0.0/16", "via 10.9.0.9 proto 116 metric 1000"));
	ck_host(ROUTE("10.22.0.0/16", "via 10.9.1.9 proto 116 metric 2000"));
	ck_host(ROUTE6("fd09::/64", "proto 116 metric 1000"));
	ck_host(ROUTE6("fd20::/32", "proto 116 metric 1000"));
	ck_host(ROUTE6("fd21::/32", "via fd09::9 proto 116 metric 1000"));
}

static int count_addrs(uint8_t family)
{
	struct ttd_addr a[ADDRS_MAX];
	int n = ttd_get_addrs(dev, a, ADDRS_MAX), found = 0;

	ck_assert_int_ge(n, 0);
	ck_assert_int_le(n, ADDRS_MAX);
	for (int i = 0; i < n; i++)
		found += a[i].local.family == family;
	return found;
}

static void expect(uint32_t type, uint32_t value, const char *text)
{
	struct ttd_event ev = TTD_EVENT_INIT;
	int r = ttd_next_event(dev, &ev, DEADLINE_MS);

	ck_assert_msg(r == 0, "event %u: %s", type, strerror(-r));
	ck_assert_uint_eq(ev.type, type);
	ck_assert_uint_eq(ev.value, value);
	if (text)
		ck_assert_msg(strstr(ev.text, text) != NULL, "%s", ev.text);
}

static void no_event(void)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	ck_assert_int_eq(ttd_next_event(dev, &ev, QUIET_MS), -ETIMEDOUT);
}

/* --- what each request does --------------------------------------------- */

static const enum ttd_layer kinds[] = { TTD_TUN, TTD_TAP };
#define N_KINDS 2

START_TEST(set_ip_replaces_its_family)
{
	struct ttd_prefix p = prefix("10.8.0.1/16"), six = prefix("fd09:1::1/48");
	struct ttd_route behind[] = { route("10.21.0.0/16", NULL, 0),
				      route("10.22.0.0/16", NULL, 0),
				      route("fd21::/32", NULL, 0) };
	struct ttd_error e;
	char *before;

	begin(false);
	open_device(kinds[_i], TTD_DOWN);
	ck_host("ip link show dev tt0 | grep -q 'state DOWN'");
	/* Routes whose gateway it would cut off must go first. */
	before = host_state();
	ck_assert_int_eq(ttd_set_ip(dev, &p, &e), -ENETUNREACH);
	host_unchanged(before);
	ck_assert_int_eq(ttd_del_routes(dev, behind, 3, NULL), 0);
	ck_assert_msg(ttd_set_ip(dev, &p, &e) == 0, "%s: %s", e.step, e.text);
	ck_host("ip link show dev tt0 | grep -qw UP");
	ck_host(ADDR("10.8.0.1/16"));
	ck_host(NO(ADDR("inet 10.9")));
	ck_host(ROUTE("10.8.0.0/16", "src 10.8.0.1 metric 1000"));
	ck_assert_int_eq(count_addrs(4), 1);
	ck_assert_int_eq(count_addrs(6), 2);
	ck_assert_msg(ttd_set_ip(dev, &six, &e) == 0, "%s: %s", e.step, e.text);
	ck_assert_int_eq(count_addrs(6), 1);
	ck_host(ADDR("fd09:1::1/48"));
	ck_host(ADDR("10.8.0.1/16"));
	/* The same again is no change. */
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), 0);
	/* And the same address with another length is. */
	p = prefix("10.8.0.1/24");
	ck_assert_msg(ttd_set_ip(dev, &p, &e) == 0, "%s: %s", e.step, e.text);
	ck_host(ADDR("10.8.0.1/24"));
	ck_host(NO(ADDR("10.8.0.1/16")));
	end();
}
END_TEST

START_TEST(addresses_come_and_go)
{
	struct ttd_addr more[] = { addr("10.8.0.1/24"), addr("fd09:2::1/64") };
	struct ttd_addr first = addr("10.9.0.1/24");
	struct ttd_addr all[] = { addr("10.9.0.2"), addr("10.9.1.1") };
	struct ttd_route behind[] = { route("10.21.0.0/16", NULL, 0),
				      route("10.22.0.0/16", NULL, 0) };
	struct ttd_error e;

	begin(false);
	open_device(kinds[_i], 0);
	ck_assert_msg(ttd_add_addrs(dev, more, 2, &e) == 0, "%s", e.text);
	ck_host(ADDR("10.8.0.1/24"));
	ck_host(ADDR("fd09:2::1/64"));
	ck_host(ROUTE("10.8.0.0/24", "metric 1000"));
	ck_assert_int_eq(ttd_add_addrs(dev, more, 1, &e), -EEXIST);
	ck_assert_int_eq(ttd_del_addrs(dev, more, 2, NULL), 0);
	ck_host(NO(ADDR("10.8.0.1/24")));
	ck_host(NO(ROUTE("10.8.0.0/24", ".")));
	ck_host(NO(ROUTE6("fd09:2::/64", ".")));
	ck_assert_int_eq(ttd_del_addrs(dev, more, 2, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "10.8.0.1/24"));
	/* The kernel takes the second of the prefix with the first. */
	ck_assert_msg(ttd_del_addrs(dev, &first, 1, &e) == 0, "%s", e.text);
	ck_host(NO(ADDR("10.9.0.1/24")));
	ck_host(ADDR("10.9.0.2/24"));
	ck_host(ROUTE("10.9.0.0/24", "src 10.9.0.2"));
	all_routes_are_there();
	/* And all IPv4 routes with the last one. */
	ck_assert_int_eq(ttd_del_addrs(dev, all, 2, &e), -ENETUNREACH);
	ck_assert_int_eq(ttd_del_routes(dev, behind, 2, NULL), 0);
	ck_assert_msg(ttd_del_addrs(dev, all, 2, &e) == 0, "%s", e.text);
	ck_assert_int_eq(count_addrs(4), 0);
	ck_host(ROUTE("10.20.0.0/16", "scope link metric 1000"));
	end();
}
END_TEST

START_TEST(routes_come_and_go)
{
	struct ttd_route more[] = {
		route("10.30.0.0/16", NULL, 0),
		route("10.30.0.0/16", NULL, 3000),
		route("fd30::/32", "fd09::9", 1500),
	};
	struct ttd_route any = route("10.30.0.0/16", NULL, 0);
	struct ttd_error e;

	begin(false);
	open_device(kinds[_i], 0);
	ck_assert_msg(ttd_add_routes(dev, more, 3, &e) == 0, "%s", e.text);
	ck_host(ROUTE("10.30.0.0/16", "metric 1000"));
	ck_host(ROUTE("10.30.0.0/16", "metric 3000"));
	ck_host(ROUTE6("fd30::/32", "via fd09::9 proto 116 metric 1500"));
	ck_assert_int_eq(ttd_add_routes(dev, more + 1, 1, &e), -EEXIST);
	ck_assert_int_eq(ttd_del_routes(dev, &any, 1, NULL), 0);
	ck_host(NO(ROUTE("10.30.0.0/16", "metric 1000")));
	ck_host(ROUTE("10.30.0.0/16", "metric 3000"));
	ck_assert_int_eq(ttd_del_routes(dev, &any, 1, NULL), 0);
	ck_assert_int_eq(ttd_del_routes(dev, &any, 1, &e), -ENOENT);
	ck_assert_int_eq(ttd_del_routes(dev, more + 2, 1, NULL), 0);
	ck_host(NO(ROUTE6("fd30::/32", ".")));
	all_routes_are_there();
	end();
}
END_TEST

START_TEST(a_default_route_is_two_halves)
{
	struct ttd_route def[] = { route("0.0.0.0/0", NULL, 0),
				   route("::/0", NULL, 0) };
	struct ttd_route half = route("128.0.0.0/1", NULL, 0);
	struct ttd_error e;
	char *before, *after;

	begin(false);
	ck_host("ip link add eth9 type veth peer name eth8 && "
		"ip addr add 172.20.0.1/24 dev eth9 && ip link set eth9 up && "
		"ip link set eth8 up && "
		"ip route add default via 172.20.0.254 dev eth9");
	open_device(kinds[_i], 0);
	before = sh("ip route show default");
	ck_assert_msg(ttd_add_routes(dev, def, 2, &e) == 0, "%s", e.text);
	ck_host(ROUTE("0.0.0.0/1", "metric 1000"));
	ck_host(ROUTE("128.0.0.0/1", "metric 1000"));
	ck_host(ROUTE6("::/1", "metric 1000"));
	ck_host(ROUTE6("8000::/1", "metric 1000"));
	ck_host("ip route get 203.0.113.5 | grep -q 'dev tt0'");
	after = sh("ip route show default");
	ck_assert_str_eq(before, after);
	free(after);
	ck_assert_int_eq(ttd_add_routes(dev, &half, 1, &e), -EEXIST);
	ck_assert_ptr_nonnull(strstr(e.text, "0.0.0.0/0"));
	half.metric = 1001;
	ck_assert_msg(ttd_add_routes(dev, &half, 1, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ttd_del_routes(dev, &half, 1, NULL), 0);
	ck_assert_int_eq(ttd_del_routes(dev, def, 2, NULL), 0);
	ck_host(NO(ROUTE("0.0.0.0/1", ".")));
	ck_host(NO(ROUTE6("8000::/1", ".")));
	ck_host("ip route get 203.0.113.5 | grep -q 'dev eth9'");
	free(before);
	end();
}
END_TEST

static void not_twice(struct ttd_route *r, const char *text)
{
	struct ttd_error e;

	ck_assert_int_eq(ttd_add_routes(dev, r, 1, &e), -EEXIST);
	ck_assert_msg(strstr(e.text, text) != NULL, "%s", e.text);
}

/* The routes that addresses bring along, and a default route's halves. */
START_TEST(no_route_is_made_twice)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr own = addr("10.9.0.1/24");
	struct ttd_addr later = addr("10.8.1.1/24");
	struct ttd_route same = route("10.9.0.0/24", NULL, 0);
	struct ttd_route same6 = route("fd09::/64", NULL, 1000);
	struct ttd_route first = route("10.8.1.0/24", NULL, 0);
	struct ttd_route def = route("0.0.0.0/0", NULL, 0);
	struct ttd_route half = route("0.0.0.0/1", NULL, 0);
	struct ttd_error e;

	begin(false);
	open_device(TTD_TUN, _i ? TTD_DOWN : 0);
	not_twice(&same, "10.9.0.1/24");
	not_twice(&same6, "fd09::1/64");
	same.metric = 1001;
	ck_assert_msg(ttd_add_routes(dev, &same, 1, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_add_routes(dev, &first, 1, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ttd_add_addrs(dev, &later, 1, &e), -EEXIST);
	ck_assert_msg(strstr(e.text, "10.8.1.1/24") != NULL, "%s", e.text);
	ck_assert_msg(ttd_add_routes(dev, &half, 1, &e) == 0, "%s", e.text);
	not_twice(&def, "0.0.0.0/1");
	ck_assert_int_eq(ttd_del_routes(dev, &half, 1, NULL), 0);
	ck_assert_msg(ttd_add_routes(dev, &def, 1, &e) == 0, "%s", e.text);
	not_twice(&half, "0.0.0.0/0");
	/* Nothing of that hinders it later. */
	ck_assert_msg(ttd_set_up(dev, 0, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	ttd_free(dev);
	dev = NULL;
	link_goes("tt0");

	o.socket_path = rig.socket;
	o.flags = _i ? TTD_DOWN : 0;
	o.addrs = &own;
	o.n_addrs = 1;
	same.metric = 0;
	o.routes = &same;
	o.n_routes = 1;
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -EEXIST);
	ck_assert_msg(strstr(e.text, "10.9.0.1/24") != NULL, "%s", e.text);
	rig_end(&rig);
}
END_TEST

START_TEST(mtu_up_and_down)
{
	struct ttd_error e;
	uint32_t mtu = 0;

	begin(false);
	open_device(kinds[_i], 0);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1400);
	ck_assert_int_eq(ttd_set_mtu(dev, 9000, NULL), 0);
	ck_host("ip link show dev tt0 | grep -q 'mtu 9000'");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 9000);
	ck_assert_int_eq(ttd_set_mtu(dev, 9001, &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.rule, "10-test.conf:"));
	ck_assert_int_eq(ttd_set_mtu(dev, 0, &e), -EINVAL);
	ck_assert_int_eq(ttd_set_mtu(dev, 1000, &e), -EINVAL);

	ck_assert_int_eq(ttd_set_up(dev, 0, NULL), 0);
	ck_host("ip link show dev tt0 | grep -q 'state DOWN'");
	ck_host(NO(ROUTE("10.20.0.0/16", ".")));
	ck_assert_int_eq(count_addrs(6), 2);
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	all_routes_are_there();
	ck_host(ADDR("fd09::2/64"));
	end();
}
END_TEST

START_TEST(routes_of_a_device_that_is_down_wait)
{
	struct ttd_route more = route("10.30.0.0/16", NULL, 0);

	begin(false);
	open_device(kinds[_i], TTD_DOWN);
	ck_host(NO(ROUTE("10.20.0.0/16", ".")));
	ck_assert_int_eq(ttd_add_routes(dev, &more, 1, NULL), 0);
	ck_assert_int_eq(ttd_set_up(dev, 1, NULL), 0);
	all_routes_are_there();
	ck_host(ROUTE("10.30.0.0/16", "metric 1000"));
	end();
}
END_TEST

static size_t log_length(void)
{
	char *log = rig_log(&rig);
	size_t len = strlen(log);

	free(log);
	return len;
}

static bool routes_are_back(void *unused)
{
	(void)unused;
	return sh_status(ROUTE6("fd21::/32", ".") " && "
			 ROUTE("10.21.0.0/16", ".")) == 0;
}

/* An administrator's down and up: the kernel forgets, the daemon does not. */
START_TEST(what_an_admin_flap_loses_comes_back)
{
	char *before;

	begin(false);
	open_device(kinds[_i], 0);
	before = host_state();
	ck_host("ip link set tt0 down && ip link set tt0 up");
	ck_assert(eventually(routes_are_back, NULL));
	host_unchanged(before);
	end();
}
END_TEST

/* Events are lost while the daemon sleeps, the flap's among them. */
START_TEST(what_a_flap_loses_comes_back_where_nobody_heard)
{
	char *before, *log;

	begin(false);
	open_device(kinds[_i], 0);
	ck_host("ip link add eth9 type veth peer name eth8");
	before = host_state();
	kill(rig.daemon, SIGSTOP);
	ck_host("ip link set tt0 down && ip link set tt0 up");
	ck_host("for i in $(seq 8000); do echo addr add 10.66.0.1/32 dev eth9;"
		" echo addr del 10.66.0.1/32 dev eth9; done | ip -batch -");
	kill(rig.daemon, SIGCONT);
	ck_assert(eventually(routes_are_back, NULL));
	all_routes_are_there();
	host_unchanged(before);
	log = rig_log(&rig);
	ck_assert_ptr_null(strstr(log, "not all that it had"));
	free(log);
	end();
}
END_TEST

/* Up is what it is; asked for again, it is made whole. */
START_TEST(up_brings_back_what_others_took)
{
	struct ttd_error e;
	char *before;

	begin(false);
	open_device(kinds[_i], 0);
	before = host_state();
	ck_host("ip route del 10.20.0.0/16 dev tt0 && "
		"ip -6 route del fd21::/32 dev tt0 && "
		"ip addr del 10.9.1.1/24 dev tt0 && "
		"ip addr del fd09::2/64 dev tt0");
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	all_routes_are_there();
	ck_host(ADDR("10.9.1.1/24"));
	ck_host(ADDR("fd09::2/64"));
	host_unchanged(before);
	end();
}
END_TEST

static bool ipv6_is_back(void *unused)
{
	(void)unused;
	return sh_status(ADDR("fd09::2/64") " && " ROUTE6("fd09::/64", ".")
			 " && " ROUTE6("fd20::/32", ".")) == 0;
}

/* What it came up with by a request is not made a second time. */
START_TEST(own_requests_restore_nothing)
{
	unsigned looks = 0;
	char *log, *at;
	size_t len;

	begin(true);
	open_device(kinds[_i], 0);
	ck_assert_int_eq(ttd_set_up(dev, 0, NULL), 0);
	len = log_length();
	ck_assert_int_eq(ttd_set_up(dev, 1, NULL), 0);
	sleep_ms(QUIET_MS);
	log = rig_log(&rig);
	/* One look before, and one at the end. */
	for (at = log + len; (at = strstr(at, " read back")) != NULL; at++)
		looks++;
	ck_assert_msg(looks == 2, "%s", log + len);
	free(log);
	/* The next that others do is noticed as ever. */
	ck_host("ip link set tt0 down && ip link set tt0 up");
	ck_assert(eventually(routes_are_back, NULL));
	end();
}
END_TEST

static unsigned looks_since(size_t log_before)
{
	char *log = rig_log(&rig), *at;
	unsigned looks = 0;

	for (at = log + log_before; (at = strstr(at, " read back\n")); at++)
		looks++;
	free(log);
	return looks;
}

/* Nor does undoing them: that brings back all that the kernel forgot. */
START_TEST(undoing_restores_nothing)
{
	unsigned k;
	size_t len;

	begin(true);
	open_device(kinds[_i], 0);
	for (k = 1; k < 100; k++) {
		len = log_length();
		rig_fail_step(&rig, k);
		if (ttd_set_up(dev, 0, NULL) == 0)
			break;
		sleep_ms(QUIET_MS);
		/* One look at what was done, one at what was undone. */
		ck_assert_msg(looks_since(len) == 2, "step %u: %s", k,
			      rig_log(&rig) + len);
	}
	ck_assert_uint_gt(k, 2);
	rig_fail_step(&rig, 0);
	end();
}
END_TEST

/* An administrator's MTU is too small for IPv6, and then is not any more. */
START_TEST(a_small_mtu_takes_ipv6_away_and_gives_it_back)
{
	struct ttd_addr six = addr("fd09:2::1/64"), gone = addr("fd09::1/64");
	struct ttd_addr four = addr("10.8.0.1/24");
	struct ttd_route route6 = route("fd30::/32", NULL, 0);
	struct ttd_route behind = route("fd21::/32", NULL, 0);
	struct ttd_error e;

	begin(false);
	open_device(kinds[_i], 0);
	ck_host("ip link set tt0 mtu 1000");
	ck_host(NO(ADDR("fd09::2/64")));
	ck_assert_int_eq(ttd_add_addrs(dev, &six, 1, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "1000") && strstr(e.text, "1280"), "%s",
		      e.text);
	ck_assert_int_eq(ttd_add_routes(dev, &route6, 1, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "1280"), "%s", e.text);
	ck_assert_int_eq(ttd_set_ip(dev, &six.local, &e), -EINVAL);
	/* All else goes on, less of it too. */
	ck_assert_msg(ttd_add_addrs(dev, &four, 1, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_up(dev, 0, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_del_routes(dev, &behind, 1, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_del_addrs(dev, &gone, 1, &e) == 0, "%s", e.text);
	ck_host("ip link set tt0 mtu 1300");
	ck_assert(eventually(ipv6_is_back, NULL));
	ck_host(NO(ADDR("fd09::1/64")));
	/* And if it is the holder who asks for more. */
	ck_host("ip link set tt0 mtu 1000");
	ck_host(NO(ADDR("fd09::2/64")));
	ck_assert_msg(ttd_set_mtu(dev, 1400, &e) == 0, "%s", e.text);
	ck_assert(ipv6_is_back(NULL));
	ck_assert_msg(ttd_add_addrs(dev, &six, 1, &e) == 0, "%s", e.text);
	end();
}
END_TEST

START_TEST(later_requests_are_judged)
{
	struct ttd_addr out = addr("10.10.0.1/24");
	struct ttd_addr many[] = { addr("10.8.0.1/24"), addr("10.8.1.1/24"),
				   addr("10.8.2.1/24"), addr("10.8.3.1/24") };
	struct ttd_route bits = route("10.30.0.0/16", NULL, 0);
	struct ttd_route low = route("10.30.0.0/16", NULL, 999);
	struct ttd_error e;
	char *before;

	begin(false);
	open_device(TTD_TUN, 0);
	before = host_state();
	ck_assert_int_eq(ttd_add_addrs(dev, &out, 1, &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.rule, "10-test.conf:"));
	/* Four and the five that it has are over 8. */
	ck_assert_int_eq(ttd_add_addrs(dev, many, 4, &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.text, "max-addresses"));
	ck_assert_int_eq(ttd_add_routes(dev, &low, 1, &e), -EACCES);
	bits.dst.ip[3] = 1;
	ck_assert_int_eq(ttd_add_routes(dev, &bits, 1, &e), -EINVAL);
	host_unchanged(before);
	ck_assert_int_eq(ttd_add_addrs(dev, many, 3, &e), 0);
	end();
}
END_TEST

/* What was told of links, up to a word that only this has. */
static bool monitor_has(void *word)
{
	return sh_status("grep -q '%s' /run/monitor", (const char *)word) == 0;
}

/* A TUN that is down, of which its holder makes an Ethernet device. */
static int open_and_change_type(void)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_route r = route("10.20.0.0/16", NULL, 0);
	struct ttd_error e;
	int fd;

	o.offload = TTD_OFFLOAD_NONE;
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = TTD_DOWN;
	o.routes = &r;
	o.n_routes = 1;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	fd = ttd_take_fd(dev, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETLINK, ARPHRD_ETHER), 0);
	return fd;
}

/* Not for a moment either; what an administrator does is his to do. */
START_TEST(a_changed_link_type_never_comes_up)
{
	struct ttd_error e;
	int fd;

	begin_with(lenient, false);
	fd = open_and_change_type();
	ck_host("{ ip -o monitor link > /run/monitor & } ; sleep 0.3");
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "link type"));
	ck_host("ip link show dev tt0 | grep -q 'state DOWN'");
	ck_host("ip link set lo mtu 60000");
	ck_assert(eventually(monitor_has, "60000"));
	ck_host(NO("grep -q 'tt0.*[<,]UP' /run/monitor"));
	/* Up by others, it gets nothing. */
	ck_host("ip link set tt0 up");
	expect(TTD_EVENT_TAMPERED, 0, "link type");
	expect(TTD_EVENT_LINK, 1, NULL);
	sleep_ms(QUIET_MS);
	ck_host(NO(ROUTE("10.20.0.0/16", ".")));
	close(fd);
	end();
}
END_TEST

/* One more queue of tt0, by the right to configure the host. */
static int attach_queue(void)
{
	struct ifreq ifr = { .ifr_name = "tt0", .ifr_flags =
			     IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void disable_queue(int fd)
{
	struct ifreq ifr = { .ifr_flags = IFF_DETACH_QUEUE };

	ck_assert_int_eq(ioctl(fd, TUNSETQUEUE, &ifr), 0);
}

/* _i: it is disabled, and can be enabled as soon as nobody looks. */
START_TEST(a_queue_too_many_never_comes_up)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_error e;
	int own, other;

	begin_with(lenient, false);
	o.offload = TTD_OFFLOAD_NONE;
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = TTD_DOWN;
	o.queues = 2;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	own = ttd_take_fd(dev, 1);
	other = attach_queue();
	if (_i)
		disable_queue(other);
	ck_host("{ ip -o monitor link > /run/monitor & } ; sleep 0.3");
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "3 queues"));
	ck_host("ip link show dev tt0 | grep -q 'state DOWN'");
	ck_host("ip link set lo mtu 60000");
	ck_assert(eventually(monitor_has, "60000"));
	ck_host(NO("grep -q 'tt0.*[<,]UP' /run/monitor"));
	/* The kernel tells something of it, if not that. */
	ck_host("ip link set tt0 txqueuelen 600");
	expect(TTD_EVENT_TAMPERED, 0, "queues");
	/* Which ones they are is his affair. */
	close(own);
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), 0);
	close(other);
	end();
}
END_TEST

static void expect_revoked(const char *why)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	do {
		int r = ttd_next_event(dev, &ev, DEADLINE_MS);

		ck_assert_msg(r == 0, "%s: %s", why, strerror(-r));
	} while (ev.type != TTD_EVENT_ENDED);
	ck_assert_uint_eq(ev.value, TTD_REVOKED);
	ck_assert_msg(strstr(ev.text, why) != NULL, "%s", ev.text);
	link_goes("tt0");
}

START_TEST(a_changed_link_type_ends_the_lease)
{
	int fd;

	begin(false);
	fd = open_and_change_type();
	expect_revoked("link type");
	close(fd);
	end();
}
END_TEST

/* Its holder can have done it as well, and who did is not told. */
START_TEST(a_changed_mac_ends_the_lease)
{
	begin(false);
	open_device(TTD_TAP, 0);
	ck_host("ip link set tt0 address 02:00:00:00:00:77");
	expect_revoked("MAC");
	end();
}
END_TEST

/* --- all or nothing ----------------------------------------------------- */

static int do_add_addrs(struct ttd_error *e)
{
	struct ttd_addr more[] = { addr("10.8.0.1/24"), addr("10.9.0.3/24"),
				   addr("fd09:2::1/64") };

	return ttd_add_addrs(dev, more, 3, e);
}

static int do_del_addrs(struct ttd_error *e)
{
	struct ttd_addr less[] = { addr("10.9.0.1"), addr("fd09::1") };

	return ttd_del_addrs(dev, less, 2, e);
}

/* But for those whose gateways would be cut off. */
static int do_del_most_ipv4(struct ttd_error *e)
{
	struct ttd_addr less[] = { addr("10.9.0.1") };

	return ttd_del_addrs(dev, less, 1, e);
}

static int do_add_routes(struct ttd_error *e)
{
	struct ttd_route more[] = {
		route("0.0.0.0/0", NULL, 0), route("10.30.0.0/16", "10.9.0.7", 0),
		route("fd30::/32", NULL, 0),
	};

	return ttd_add_routes(dev, more, 3, e);
}

static int do_del_routes(struct ttd_error *e)
{
	struct ttd_route less[] = {
		route("10.21.0.0/16", NULL, 0), route("fd21::/32", NULL, 0),
		route("10.20.0.0/16", NULL, 0),
	};

	return ttd_del_routes(dev, less, 3, e);
}

static int do_set_ipv4(struct ttd_error *e)
{
	/* Gateways of its routes are in both. */
	struct ttd_prefix p = prefix("10.9.0.3/23");

	return ttd_set_ip(dev, &p, e);
}

static int do_set_ipv6(struct ttd_error *e)
{
	struct ttd_prefix p = prefix("fd09::3/64");

	return ttd_set_ip(dev, &p, e);
}

static int do_set_mtu(struct ttd_error *e)
{
	return ttd_set_mtu(dev, 1500, e);
}

static int do_set_down(struct ttd_error *e)
{
	return ttd_set_up(dev, 0, e);
}

static int do_set_up(struct ttd_error *e)
{
	return ttd_set_up(dev, 1, e);
}

/* A request, and how many steps it takes at least: its own messages. */
static const struct {
	const char *name;
	int (*act)(struct ttd_error *e);
	uint32_t flags;		/* of the open before it */
	unsigned least;
} requests[] = {
	{ "add addresses", do_add_addrs, 0, 3 + 2 },
	{ "remove addresses", do_del_addrs, 0, 2 + 1 },
	{ "remove a first IPv4 address", do_del_most_ipv4, 0, 1 + 1 + 2 + 2 },
	{ "add routes", do_add_routes, 0, 4 },
	{ "remove routes", do_del_routes, 0, 3 },
	{ "set an IPv4 address", do_set_ipv4, 0, 3 + 2 + 1 + 1 },
	{ "set an IPv6 address", do_set_ipv6, 0, 2 + 1 },
	{ "set the MTU", do_set_mtu, 0, 1 },
	{ "set down", do_set_down, 0, 1 },
	{ "set up", do_set_up, TTD_DOWN, 1 + 3 + 5 },
	{ "set an address of one that is down", do_set_ipv4, TTD_DOWN, 4 },
};
#define N_REQUESTS (sizeof(requests) / sizeof(*requests))
#define STEPS_MAX 100

/*
 * Addresses that go are in the guard until the kernel has told of it; that it
 * then follows is a step of its own, behind the last look at the device.
 */
static bool came_later(unsigned k, size_t log_before)
{
	char *log = rig_log(&rig), *at = log + log_before;
	char *end = strstr(at, " is taken back");
	unsigned n = 0, last = 0;

	/* Steps behind that are not the request's, if they are there yet. */
	if (end)
		*end = '\0';
	while ((at = strstr(at, "fault: step ")) != NULL) {
		at += strlen("fault: step ");
		at += strspn(at, "0123456789");
		n++;
		if (strncmp(at, " read back", strlen(" read back")) == 0)
			last = n;
	}
	free(log);
	return k > last;
}

/* For each kind and request, for each step. */
START_TEST(a_failed_request_leaves_all_as_it_was)
{
	unsigned r = (unsigned)_i / N_KINDS, k;
	char *before, *now;
	struct ttd_error e;
	size_t log;
	int result;

	begin(true);
	open_device(kinds[_i % N_KINDS], requests[r].flags);
	before = host_state();
	for (k = 1; k < STEPS_MAX; k++) {
		log = log_length();
		rig_fail_step(&rig, k);
		result = requests[r].act(&e);
		if (!rig_step_failed(&rig) ||
		    (result == 0 && came_later(k, log)))
			break;
		ck_assert_msg(result < 0, "%s: step %u failed, and nobody "
			      "said so: %s", requests[r].name, k,
			      rig_log(&rig) + log);
		ck_assert_str_ne(e.text, "");
		ck_assert_ptr_null(strstr(e.text, "could not be undone"));
		host_unchanged(strdup(before));
	}
	/* The k-th step was the first that there is not. */
	ck_assert_msg(result == 0, "%s: %s", requests[r].name, e.text);
	ck_assert_uint_gt(k, requests[r].least);
	now = host_state();
	ck_assert_str_ne(before, now);
	free(now);
	free(before);
	rig_fail_step(&rig, 0);
	end();
}
END_TEST

/* What an administrator gave the device himself, requests leave to him. */
START_TEST(others_addresses_and_routes_stay)
{
	struct ttd_prefix p = prefix("10.8.0.1/24"), q = prefix("10.9.0.3/24");
	struct ttd_addr gone[] = { addr("10.9.0.1"), addr("10.9.0.2") };
	struct ttd_route behind = route("10.22.0.0/16", NULL, 0);
	struct ttd_error e;

	begin(false);
	open_device(kinds[_i], 0);
	ck_host("ip addr add 10.9.0.77/24 dev tt0 && "
		"ip route add 10.70.0.0/16 dev tt0 metric 7");
	/* Fails: a gateway would be cut off. */
	ck_assert_int_eq(ttd_set_ip(dev, &p, &e), -ENETUNREACH);
	ck_host(ADDR("10.9.0.77/24"));
	ck_host(ROUTE("10.70.0.0/16", "metric 7"));
	all_routes_are_there();
	/* Less, and another; his is the first of its network then. */
	ck_assert_msg(ttd_del_addrs(dev, gone, 2, &e) == 0, "%s", e.text);
	ck_host(ADDR("10.9.0.77/24"));
	ck_host(ROUTE("10.70.0.0/16", "metric 7"));
	ck_assert_int_eq(ttd_del_routes(dev, &behind, 1, NULL), 0);
	ck_assert_msg(ttd_set_ip(dev, &q, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_ip(dev, &p, &e) == 0, "%s", e.text);
	ck_host(ADDR("10.9.0.77/24"));
	ck_host(NO(ADDR("10.9.0.3/24")));
	ck_host(ROUTE("10.70.0.0/16", "metric 7"));
	end();
}
END_TEST

/* A route alone: the device is never without an IPv4 address. */
START_TEST(others_routes_stay)
{
	struct ttd_prefix p = prefix("10.8.0.1/24");
	struct ttd_error e;

	begin(false);
	open_device(kinds[_i], 0);
	ck_host("ip route add 10.70.0.0/16 dev tt0 metric 7");
	ck_assert_int_eq(ttd_set_ip(dev, &p, &e), -ENETUNREACH);
	ck_host(ROUTE("10.70.0.0/16", "metric 7"));
	end();
}
END_TEST

/* Not by the hook: the kernel itself says no to the last of several. */
START_TEST(what_the_kernel_refuses_is_undone)
{
	struct ttd_route more[] = {
		route("10.40.0.0/16", NULL, 0),
		route("fd40::/32", NULL, 0),
		route("10.41.0.0/16", "10.50.0.1", 0),
	};
	struct ttd_error e;
	char *before;

	begin(false);
	open_device(kinds[_i], 0);
	before = host_state();
	ck_assert_int_eq(ttd_add_routes(dev, more, 3, &e), -ENETUNREACH);
	ck_assert_str_eq(e.step, "route");
	ck_assert_ptr_nonnull(strstr(e.text, "10.41.0.0/16"));
	host_unchanged(before);
	end();
}
END_TEST

/* --- the guard ---------------------------------------------------------- */

/* 10.8.0.0, of do_add_addrs(), in a guard. */
#define ASKED_FOR "168296448"

static char *guard(void)
{
	return sh("tc filter show dev tt0 ingress");
}

/* Two steps of a request fail, the second maybe of its undoing.  0: no such. */
static int fail_twice(unsigned first, unsigned second, struct ttd_error *e)
{
	char steps[32];
	int result;

	snprintf(steps, sizeof(steps), "%u %u", first, second);
	rig_fail_steps(&rig, steps);
	result = do_add_addrs(e);
	if (!rig_step_failed(&rig))
		result = 0;
	rig_fail_step(&rig, 0);
	return result;
}

/*
 * Whatever of the request and of its undoing fails, the guard is the one that
 * it was; or where that cannot be had, the device goes.
 */
START_TEST(no_guard_is_left_that_nobody_knows)
{
	/* All that is said of uid 0 is looked at. */
	struct rig_options o = { .policy = policy, .fault_build = true,
				 .limits = { "log-lines=1000000" } };
	unsigned second, taken_back = 0, not_undone = 0;
	char *before, *now;
	struct ttd_error e;
	size_t log;

	rig_start(&rig, &o);
	for (second = 1; second < STEPS_MAX; second++) {
		open_device(TTD_TUN, 0);
		before = guard();
		log = log_length();
		if (!fail_twice(1, second, &e)) {
			free(before);
			break;
		}
		now = rig_log(&rig);
		if (strstr(now + log, "source guard could not be put back")) {
			expect_revoked("source guard");
			taken_back++;
		} else {
			free(now);
			now = guard();
			/* An address that stayed is the host's own. */
			ck_assert_msg(!strstr(now, ASKED_FOR) &&
				      (strstr(e.text, "not be undone") ||
				       strcmp(before, now) == 0),
				      "step %u: %s\nwas\n%sis\n%s", second,
				      e.text, before, now);
		}
		not_undone += strstr(e.text, "not be undone") != NULL;
		free(before);
		free(now);
		ttd_free(dev);
		link_goes("tt0");
	}
	/* One for each of the messages that a guard is made of. */
	ck_assert_uint_eq(taken_back, 3);
	ck_assert_uint_gt(not_undone, 5);
	end();
}
END_TEST

/* With rules that want none it has none, and with others gets one. */
START_TEST(a_guard_comes_with_a_later_request)
{
	struct ttd_addr more = addr("10.8.0.1/24");
	char *text;

	begin_with("[rule root]\naction = allow\nuser = 0\nkind = tun\n"
		   "name = tt*\naddress = 10.0.0.0/8, fd09::/16\n"
		   "route = 10.0.0.0/8, fd00::/8\nmax-addresses = 8\n"
		   "source-guard = off\n",
		   false);
	open_device(TTD_TUN, 0);
	text = guard();
	ck_assert_str_eq(text, "");
	free(text);
	ck_host("sed -i /source-guard/d %s/10-test.conf", rig.policy);
	ck_host("%s reload --socket %s >/dev/null", rig_built("tuntapctl"),
		rig.admin);
	ck_assert_int_eq(ttd_add_addrs(dev, &more, 1, NULL), 0);
	ck_host("test $(tc filter show dev tt0 ingress | grep -c handle) = 2");
	end();
}
END_TEST

/* A request that fails leaves also what its lease is held to. */
START_TEST(terms_of_a_failed_request_are_not_taken_over)
{
	struct ttd_error e;
	char *before, *now;

	begin(true);
	open_device(TTD_TUN, 0);
	before = guard();
	/* A rule that would let other packets in. */
	ck_host("echo 'source = 10.77.0.0/16' >>%s/10-test.conf", rig.policy);
	ck_host("%s reload --socket %s >/dev/null", rig_built("tuntapctl"),
		rig.admin);
	rig_fail_step(&rig, 1);
	ck_assert_int_lt(do_add_addrs(&e), 0);
	now = guard();
	ck_assert_str_eq(before, now);
	free(now);
	/* Also when it is made anew, as the host changes. */
	ck_host("ip addr add 10.20.3.1/24 dev lo && "
		"ip addr add 10.77.3.1/24 dev lo");
	sleep_ms(2 * QUIET_MS);
	ck_host("ip addr del 10.20.3.1/24 dev lo && "
		"ip addr del 10.77.3.1/24 dev lo");
	sleep_ms(2 * QUIET_MS);
	now = guard();
	ck_assert_str_eq(before, now);
	free(now);
	/* One that succeeds brings them. */
	ck_assert_int_eq(do_add_addrs(&e), 0);
	now = guard();
	ck_assert_str_ne(before, now);
	ck_assert_ptr_null(strstr(now, ASKED_FOR));
	free(now);
	free(before);
	end();
}
END_TEST

/* --- what the holder is told -------------------------------------------- */

START_TEST(others_doings_are_told)
{
	struct ttd_addr more = addr("10.8.0.1/24");
	char name[TTD_NAME_MAX];

	begin_with(lenient, false);
	open_device(kinds[_i], 0);
	/* Its own doings are not. */
	ck_assert_int_eq(ttd_set_mtu(dev, 1500, NULL), 0);
	ck_assert_int_eq(ttd_set_up(dev, 0, NULL), 0);
	ck_assert_int_eq(ttd_set_up(dev, 1, NULL), 0);
	no_event();
	ck_host("ip link set tt0 mtu 1300");
	expect(TTD_EVENT_MTU, 1300, NULL);
	ck_host("ip link set tt0 down");
	expect(TTD_EVENT_LINK, 0, NULL);
	/* Before Linux 6.2 it must be down for that. */
	ck_host("ip link set tt0 name tt9");
	expect(TTD_EVENT_RENAMED, 0, "tt9");
	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_str_eq(name, "tt9");
	ck_host("ip link set tt9 name tt0");
	expect(TTD_EVENT_RENAMED, 0, "tt0");
	ck_host("ip link set tt0 up");
	expect(TTD_EVENT_LINK, 1, NULL);
	if (kinds[_i] == TTD_TAP) {
		ck_host("ip link set tt0 address 02:00:00:00:00:77");
		expect(TTD_EVENT_HWADDR, 0, "02:00:00:00:00:77");
	}
	/* An MTU that an administrator chose does not hinder the holder. */
	ck_host("ip link set tt0 mtu 65000");
	expect(TTD_EVENT_MTU, 65000, NULL);
	ck_assert_int_eq(ttd_add_addrs(dev, &more, 1, NULL), 0);
	end();
}
END_TEST

static bool daemon_has_stopped(void *unused)
{
	(void)unused;
	return sh_status("grep -q '^State:.*stopped' /proc/%d/status",
			 rig.daemon) == 0;
}

static void *add_a_route(void *unused)
{
	struct ttd_route more = route("10.30.0.0/16", NULL, 0);

	(void)unused;
	return ttd_add_routes(dev, &more, 1, NULL) ? NULL : dev;
}

/* What an administrator did just now, and a request that was on its way. */
START_TEST(others_doings_are_told_after_a_request)
{
	pthread_t thread;
	void *done;

	begin(false);
	open_device(TTD_TUN, 0);
	/* Both are there when the daemon looks. */
	kill(rig.daemon, SIGSTOP);
	ck_assert(eventually(daemon_has_stopped, NULL));
	ck_assert_int_eq(pthread_create(&thread, NULL, add_a_route, NULL), 0);
	sleep_ms(QUIET_MS);
	ck_host("ip link set tt0 mtu 1333 && ip link set tt0 down");
	kill(rig.daemon, SIGCONT);
	pthread_join(thread, &done);
	ck_assert_ptr_nonnull(done);
	expect(TTD_EVENT_MTU, 1333, NULL);
	expect(TTD_EVENT_LINK, 0, NULL);
	end();
}
END_TEST

#define FLAPS	40

static volatile bool flapping;
static unsigned given_up;

static void *add_and_remove(void *unused)
{
	struct ttd_route more = route("10.30.0.0/16", NULL, 0);
	struct ttd_error e;

	(void)unused;
	while (flapping) {
		if (ttd_add_routes(dev, &more, 1, &e) &&
		    strstr(e.text, "could not be undone"))
			given_up++;
		ttd_del_routes(dev, &more, 1, NULL);
	}
	return NULL;
}

/* Down between a request's first look and its last: the request fails. */
START_TEST(down_in_the_middle_of_a_request)
{
	pthread_t thread;

	begin(false);
	open_device(TTD_TUN, 0);
	flapping = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, add_and_remove, NULL),
			 0);
	for (int i = 0; i < FLAPS; i++)
		ck_host("ip link set tt0 down && ip link set tt0 up");
	flapping = false;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(given_up, 0);
	ck_assert(eventually(routes_are_back, NULL));
	all_routes_are_there();
	end();
}
END_TEST

START_TEST(deletion_is_told)
{
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_error why;

	begin(false);
	open_device(kinds[_i], 0);
	ck_host("ip link del tt0");
	/* It goes down first, of which the daemon may hear alone. */
	do {
		ck_assert_int_eq(ttd_next_event(dev, &ev, DEADLINE_MS), 0);
		ck_assert(ev.type == TTD_EVENT_LINK ||
			  ev.type == TTD_EVENT_ENDED);
	} while (ev.type != TTD_EVENT_ENDED);
	ck_assert_uint_eq(ev.value, TTD_DELETED);
	ck_assert_int_eq(ttd_next_event(dev, &ev, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_DELETED);
	ck_assert_int_eq(ttd_set_mtu(dev, 1500, NULL), -ESHUTDOWN);
	end();
}
END_TEST

START_TEST(a_dead_daemon_is_told_and_packets_flow)
{
	uint8_t buf[2048];
	struct ttd_error e;

	begin(false);
	open_device(TTD_TUN, 0);
	rig_kill(&rig, SIGKILL);
	expect(TTD_EVENT_DAEMON_LOST, 0, NULL);
	ck_assert_int_eq(ttd_set_mtu(dev, 1500, &e), -EPIPE);
	ck_assert_str_ne(e.text, "");
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	sh_status("ping -c1 -W1 10.20.0.1 >/dev/null");
	ck_assert_int_gt(ttd_recv(dev, buf, sizeof(buf), DEADLINE_MS), 0);
	ttd_free(dev);
	link_goes("tt0");
}
END_TEST

/* Others' events, of which there may be many, and an own one among them. */
START_TEST(a_storm_of_events_ends_nothing)
{
	uint32_t mtu = 0;

	begin(false);
	open_device(TTD_TUN, TTD_NO_THREAD);
	ck_host("ip link add eth9 type veth peer name eth8");
	ck_host("{ i=0; while [ $i -lt 3000 ]; do echo link set eth9 mtu "
		"$((1300 + i %% 2)); i=$((i + 1)); done; "
		"echo link set tt0 mtu 1310; } | ip -batch -");
	/* The answer comes behind the events that fit. */
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1310);
	expect(TTD_EVENT_MTU, 1310, NULL);
	no_event();
	end();
}
END_TEST

/* Who never reads his events loses neither the device nor the last of each. */
START_TEST(events_that_nobody_reads_are_few)
{
	uint32_t mtu = 0;

	begin(false);
	open_device(TTD_TUN, TTD_NO_THREAD);
	/* Two events each; from 1000 in a second on it would be a storm. */
	ck_host("i=0; while [ $i -lt 300 ]; do echo link set tt0 mtu $((1300 +"
		" i %% 2)); i=$((i + 1)); done | ip -batch -");
	ck_host("ip link set tt0 mtu 1310");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1310);
	for (mtu = 0; mtu != 1310;) {
		struct ttd_event ev = TTD_EVENT_INIT;

		ck_assert_int_eq(ttd_next_event(dev, &ev, DEADLINE_MS), 0);
		ck_assert_uint_eq(ev.type, TTD_EVENT_MTU);
		mtu = ev.value;
	}
	no_event();
	end();
}
END_TEST

START_TEST(without_a_lease_there_is_nothing_to_change)
{
	struct wire_message m = { .type = WIRE_QUERY, .id = 3 }, answer;
	int sock;

	begin(false);
	sock = raw_connect(rig.socket);
	raw_send(sock, &m);
	raw_receive(sock, &answer);
	ck_assert_int_eq(answer.type, WIRE_REFUSED);
	ck_assert_uint_eq(answer.id, 3);
	ck_assert_uint_eq(answer.refused.code, WIRE_E_NOT_PERMITTED);
	close(sock);
	rig_end(&rig);
}
END_TEST

static void of_requests(TCase *t)
{
	tcase_add_loop_test(t, set_ip_replaces_its_family, 0, N_KINDS);
	tcase_add_loop_test(t, addresses_come_and_go, 0, N_KINDS);
	tcase_add_loop_test(t, routes_come_and_go, 0, N_KINDS);
	tcase_add_loop_test(t, a_default_route_is_two_halves, 0, N_KINDS);
	tcase_add_loop_test(t, no_route_is_made_twice, 0, 2);
	tcase_add_loop_test(t, mtu_up_and_down, 0, N_KINDS);
	tcase_add_loop_test(t, routes_of_a_device_that_is_down_wait, 0,
			    N_KINDS);
	tcase_add_test(t, later_requests_are_judged);
	tcase_add_test(t, without_a_lease_there_is_nothing_to_change);
}

static void of_failures(TCase *t)
{
	tcase_add_loop_test(t, a_failed_request_leaves_all_as_it_was, 0,
			    N_REQUESTS * N_KINDS);
	tcase_add_loop_test(t, others_addresses_and_routes_stay, 0, N_KINDS);
	tcase_add_loop_test(t, others_routes_stay, 0, N_KINDS);
	tcase_add_loop_test(t, what_the_kernel_refuses_is_undone, 0, N_KINDS);
}

static void of_guards(TCase *t)
{
	tcase_add_test(t, no_guard_is_left_that_nobody_knows);
	tcase_add_test(t, a_guard_comes_with_a_later_request);
	tcase_add_test(t, terms_of_a_failed_request_are_not_taken_over);
}

static void of_others(TCase *t)
{
	tcase_add_loop_test(t, what_an_admin_flap_loses_comes_back, 0, N_KINDS);
	tcase_add_loop_test(t, what_a_flap_loses_comes_back_where_nobody_heard,
			    0, N_KINDS);
	tcase_add_loop_test(t, own_requests_restore_nothing, 0, N_KINDS);
	tcase_add_loop_test(t, undoing_restores_nothing, 0, N_KINDS);
	tcase_add_loop_test(t, up_brings_back_what_others_took, 0, N_KINDS);
	tcase_add_loop_test(t, a_small_mtu_takes_ipv6_away_and_gives_it_back, 0,
			    N_KINDS);
	tcase_add_test(t, a_changed_link_type_never_comes_up);
	tcase_add_test(t, a_changed_link_type_ends_the_lease);
	tcase_add_loop_test(t, a_queue_too_many_never_comes_up, 0, 2);
	tcase_add_test(t, a_changed_mac_ends_the_lease);
	tcase_add_loop_test(t, others_doings_are_told, 0, N_KINDS);
	tcase_add_test(t, others_doings_are_told_after_a_request);
	tcase_add_test(t, down_in_the_middle_of_a_request);
	tcase_add_loop_test(t, deletion_is_told, 0, N_KINDS);
	tcase_add_test(t, a_dead_daemon_is_told_and_packets_flow);
	tcase_add_test(t, a_storm_of_events_ends_nothing);
	tcase_add_test(t, events_that_nobody_reads_are_few);
}

static void add_case(Suite *s, const char *name, void (*fill)(TCase *t))
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	fill(t);
	suite_add_tcase(s, t);
}

int main(void)
{
	Suite *s = suite_create("change");

	add_case(s, "requests", of_requests);
	add_case(s, "failures", of_failures);
	add_case(s, "guards", of_guards);
	add_case(s, "others", of_others);
	return live_main("change", s);
}
