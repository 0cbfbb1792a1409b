/*
 * The main job: a program without rights gets a device with everything it
 * asked for, answers pings on it, and nothing is left however it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "harness.h"

static struct rig rig;
static char said[1024];

static void start_echo(struct client *c, const char *name)
{
	const char *const argv[] = {
		rig_built("examples/tun-echo"), "--socket", rig.socket,
		"--name", name, "--mtu", "1400",
		"--address", "10.9.0.1/24", "--address", "fd09::1/64",
		"--route", "10.20.0.0/16", "--route", "fd20::/32", NULL
	};

	client_exec(c, argv);
	client_line(c, "ready");
}

static void contains(char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in\n%s", part,
		      text);
}

static void pings(void)
{
	/* Own prefix and route, both families. */
	ck_assert_int_eq(sh_status("ping -n -q -c 3 -i 0.1 -W 2 10.9.0.77 >/dev/null"), 0);
	ck_assert_int_eq(sh_status("ping -n -q -c 3 -i 0.1 -W 2 10.20.3.4 >/dev/null"), 0);
	ck_assert_int_eq(sh_status("ping -n -q -c 3 -i 0.1 -W 2 fd09::77 >/dev/null"), 0);
	ck_assert_int_eq(sh_status("ping -n -q -c 3 -i 0.1 -W 2 fd20::3:4 >/dev/null"), 0);
}

static void echo_with_node(mode_t mode)
{
	struct rig_options o = { .node_mode = mode };
	struct client c;
	char *before, *text;

	rig_start(&rig, &o);
	before = host_state();
	const char *const argv[] = {
		rig_built("examples/tun-echo"), "--socket", rig.socket,
		"--name", "ttecho", "--mtu", "1400",
		"--address", "10.9.0.1/24", "--address", "fd09::1/64",
		"--route", "10.20.0.0/16", "--route", "fd20::/32", NULL
	};
	client_exec(&c, argv);
	ck_assert_str_eq(client_line(&c, "uid"), "uid 65534 CapEff "
			 "0000000000000000 NoNewPrivs 1");
	client_line(&c, "ready");

	text = sh("ip -d addr show dev ttecho");
	contains(text, "mtu 1400");
	contains(text, "inet 10.9.0.1/24");
	contains(text, "inet6 fd09::1/64");
	contains(text, "alias tuntapd:1:");
	contains(text, "LOWER_UP");
	contains(text, "tun type tun pi off vnet_hdr on");
	free(text);
	text = sh("ip route show dev ttecho; ip -6 route show dev ttecho");
	contains(text, "10.9.0.0/24 proto 116 scope link src 10.9.0.1 metric 1000");
	contains(text, "10.20.0.0/16 proto 116 scope link metric 1000");
	contains(text, "fd09::/64 proto 116 metric 1000");
	contains(text, "fd20::/32 proto 116 metric 1000");
	free(text);
	pings();

	kill(c.pid, SIGTERM);
	ck_assert_int_eq(client_wait(&c), 0);
	host_unchanged(before);
	rig_end(&rig);
}

START_TEST(echo_node_0600)
{
	echo_with_node(NODE_CLOSED);
}
END_TEST

START_TEST(echo_node_0666)
{
	echo_with_node(NODE_OPEN);
}
END_TEST

START_TEST(gone_after_client_is_killed)
{
	struct client c;
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	start_echo(&c, "ttecho");
	ck_assert(link_exists("ttecho"));
	client_kill(&c, SIGKILL);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

START_TEST(data_flows_while_daemon_is_dead)
{
	struct client c;
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	start_echo(&c, "ttecho");
	rig_kill(&rig, SIGKILL);
	pings();
	/* No daemon is left to clean up: the kernel does it. */
	client_kill(&c, SIGKILL);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

START_TEST(devices_stay_when_daemon_ends)
{
	struct client c;
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	start_echo(&c, "ttecho");
	rig_stop(&rig);
	pings();
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(client_wait(&c), 0);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* The daemon must not die with a client that is gone before the answer. */
START_TEST(client_gone_before_the_answer)
{
	struct rig_options o = {
		.policy = "[rule root]\naction = allow\nuser = 0\n"
			  "kind = tun\nname = tt*\nmax-devices = 100\n",
	};
	char *before, *log;

	rig_start(&rig, &o);
	before = host_state();
	for (int i = 0; i < 50; i++) {
		struct wire_message m = raw_open_request();
		int sock = raw_connect(rig.socket);

		ck_assert_int_ge(sock, 0);
		raw_send(sock, &m);
		close(sock);
	}
	host_unchanged(before);
	log = rig_log(&rig);
	contains(log, "tt0 of uid 0 ends");	/* it was made */
	free(log);
	rig_end(&rig);
}
END_TEST

/* Holds on to the device beyond the connection. */
static int linger(struct rig *r, bool wait)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;
	sigset_t told;
	int fd, sig;

	o.offload = TTD_OFFLOAD_NONE;
	sigemptyset(&told);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL);
	o.socket_path = r->socket;
	o.name = "ttstay";
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	puts("open");
	fflush(stdout);
	if (wait)
		sigwait(&told, &sig);
	fd = ttd_take_fd(dev, 0);
	if (fd < 0)
		return 1;
	ttd_free(dev);		/* the lease ends, the fd does not */
	puts("kept");
	fflush(stdout);
	pause();
	return 0;
}

static int lingering(void *arg)
{
	return linger(arg, false);
}

static int lingering_until_told(void *arg)
{
	return linger(arg, true);
}

START_TEST(kept_fd_does_not_keep_the_device)
{
	struct client c;
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	client_start(&c, lingering, &rig);
	client_line(&c, "kept");
	host_unchanged(before);
	client_kill(&c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* Whose mark somebody has changed is no longer ours to delete. */
START_TEST(device_without_our_mark_is_left_alone)
{
	struct client c;

	rig_start(&rig, NULL);
	client_start(&c, lingering_until_told, &rig);
	client_line(&c, "open");
	ck_assert_int_eq(sh_status("ip link set ttstay alias mine"), 0);
	kill(c.pid, SIGUSR1);
	client_line(&c, "kept");
	sleep_ms(500);
	ck_assert(link_exists("ttstay"));
	client_kill(&c, SIGKILL);
	link_goes("ttstay");
	rig_end(&rig);
}
END_TEST

static int open_tap(void *arg)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0xaa, 0xbb, 0xcc };
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TAP);
	struct ttd_addr addr = { .local = prefix("10.9.1.1/24") };
	struct ttd_device *dev;
	struct ttd_error e;
	uint8_t got[6] = { 0 };
	char name[TTD_NAME_MAX], *text;

	o.socket_path = ((struct rig *)arg)->socket;
	o.flags = TTD_MAC_SET;
	memcpy(o.mac, mac, 6);
	o.addrs = &addr;
	o.n_addrs = 1;
	o.queues = 4;
	o.txqueuelen = 777;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	ck_assert_int_eq(ttd_name(dev, name), 0);
	/* No name asked for: the first free one of the first pattern. */
	ck_assert_str_eq(name, "tt0");
	ck_assert_uint_eq(ttd_queues(dev), 4);
	ck_assert_int_eq(ttd_hwaddr(dev, got), 0);
	ck_assert_mem_eq(got, mac, 6);
	text = sh("ip -d link show dev tt0");
	contains(text, "02:00:00:aa:bb:cc");
	contains(text, "qlen 777");
	contains(text, "tap pi off vnet_hdr on multi_queue numqueues 4");
	contains(text, "user root");
	free(text);
	ttd_free(dev);
	return 0;
}

static int open_around_altname(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;
	char name[TTD_NAME_MAX];

	o.socket_path = ((struct rig *)arg)->socket;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_str_eq(name, "tt1");
	ttd_free(dev);
	o.name = "tt0";
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -EEXIST);
	contains(e.text, "tt0");
	return 0;
}

/* A name that another interface has as its second one is nobody's to have. */
START_TEST(altnames_are_taken)
{
	rig_start(&rig, NULL);
	free(sh("ip link add far type veth peer near"));
	free(sh("ip link property add dev far altname tt0"));
	as_nobody(open_around_altname, &rig);
	rig_end(&rig);
}
END_TEST

START_TEST(tap_with_mac_queues_txqueuelen)
{
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	as_nobody(open_tap, &rig);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

static int open_peer(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[2] = {
		{ .local = prefix("10.9.2.1/32"), .peer = prefix("10.9.2.2/32") },
		{ .local = prefix("fd09:0:2::1/64"), .flags = TTD_ADDR_NODAD },
	};
	struct ttd_route routes[2] = {
		{ .dst = prefix("10.30.0.0/16"), .gateway = prefix("10.9.2.2"),
		  .metric = 1234 },
		{ .dst = prefix("fd30::/32"), .gateway = prefix("fd09:0:2::2") },
	};
	struct ttd_device *dev;
	struct ttd_error e;
	char *text;

	o.socket_path = ((struct rig *)arg)->socket;
	o.name = "ttpeer";
	o.addrs = addrs;
	o.n_addrs = 2;
	o.routes = routes;
	o.n_routes = 2;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	text = sh("ip addr show dev ttpeer; ip route show dev ttpeer; "
		  "ip -6 route show dev ttpeer");
	contains(text, "inet 10.9.2.1 peer 10.9.2.2/32");
	contains(text, "inet6 fd09:0:2::1/64 scope global nodad");
	contains(text, "10.9.2.2 proto 116 scope link src 10.9.2.1 metric 1000");
	contains(text, "10.30.0.0/16 via 10.9.2.2 proto 116 metric 1234");
	contains(text, "fd30::/32 via fd09:0:2::2 proto 116 metric 1000");
	free(text);
	ttd_free(dev);
	return 0;
}

START_TEST(peer_address_nodad_gateways)
{
	char *before;

	rig_start(&rig, NULL);
	before = host_state();
	as_nobody(open_peer, &rig);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

static int open_down(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addr = { .local = prefix("10.9.3.1/24") };
	struct ttd_device *dev;
	struct ttd_error e;
	char *text;

	o.socket_path = ((struct rig *)arg)->socket;
	o.name = "ttdown";
	o.flags = TTD_DOWN;
	o.addrs = &addr;
	o.n_addrs = 1;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	text = sh("ip addr show dev ttdown");
	contains(text, "state DOWN");
	contains(text, "inet 10.9.3.1/24");
	free(text);
	ttd_free(dev);
	return 0;
}

START_TEST(left_down_when_asked)
{
	rig_start(&rig, NULL);
	as_nobody(open_down, &rig);
	rig_end(&rig);
}
END_TEST

/* Closing is over when it returns: the name can be had again at once. */
static int open_again(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = ((struct rig *)arg)->socket;
	o.name = "ttagain";
	for (int i = 0; i < 100; i++) {
		if (ttd_open(&o, &dev, &e)) {
			printf("%d: %s\n", i, e.text);
			return 1;
		}
		ttd_close(dev);
		if (link_exists("ttagain")) {
			puts("there after close");
			return 1;
		}
		ttd_free(dev);
	}
	return 0;
}

START_TEST(name_is_free_when_close_returns)
{
	struct rig_options o = {
		.policy = "[rule one]\naction = allow\nuser = 65534\n"
			  "kind = tun\nname = tt*\nmax-devices = 1\n",
	};

	rig_start(&rig, &o);
	as_nobody(open_again, &rig);
	rig_end(&rig);
}
END_TEST

static void make_lan(void)
{
	ck_assert_int_eq(sh_status("ip link add lan0 type veth peer name lan1 &&"
				   " ip addr add 10.9.0.200/24 dev lan0 &&"
				   " ip addr add fd09::200/64 dev lan0 nodad &&"
				   " ip link set lan0 up && ip link set lan1 up &&"
				   " ip route add default via 10.9.0.254"), 0);
	/* Link-local addresses of the pair come, and leave "tentative". */
	ck_assert_int_eq(sh_status("for i in $(seq 50); do test $(ip -6 -o addr "
				   "show scope link -tentative | wc -l) -eq 2 "
				   "&& exit 0; sleep 0.1; done; exit 1"), 0);
}

static const char *const shadows[][2] = {
	{ "--address", "10.9.0.1/24" },	/* the same network */
	{ "--address", "10.9.0.1/30" },	/* its broadcast address is a host's */
	{ "--address", "10.9.0.1/32" },
	{ "--address", "10.9.0.1/16" },	/* a wider one: the host would be it */
	{ "--address", "fd09::1/64" },
	{ "--address", "fd09::1/48" },
	{ "--route", "10.9.0.0/25" },
	{ "--route", "10.9.0.33/32" },
	{ "--route", "fd09::/80" },
};

START_TEST(nothing_inside_the_hosts_networks)
{
	const char *const argv[] = {
		rig_built("tuntapctl"), "--socket", rig.socket, "run", "--tun",
		shadows[_i][0], shadows[_i][1], "--", "true", NULL
	};
	struct client c;
	char *before;

	rig_start(&rig, NULL);
	make_lan();
	before = host_state();
	client_exec(&c, argv);
	ck_assert_int_eq(WEXITSTATUS(client_wait(&c)), 125);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* Routes of the host's that a device's would outrank, or lie in. */
static void make_routes(void)
{
	ck_assert_int_eq(sh_status("ip route add 10.9.128.0/17 via 10.9.0.7 "
				   "metric 2000 && "
				   "ip route add 10.20.0.0/16 via 10.9.0.7 "
				   "metric 2000 && "
				   "ip route add 10.21.0.0/16 via 10.9.0.7 "
				   "metric 1000 && "
				   "ip -6 route add fd20::/32 via fd09::7 && "
				   "ip route add 10.30.0.0/16 nexthop dev lan0 "
				   "nexthop via 10.9.0.7"), 0);
}

static const char *const outranked[][3] = {
	{ "--address", "10.9.128.1/17", "lan0 has a route to 10.9.128.0/17 "
	  "with metric 2000" },
	{ "--route", "10.20.0.0/16", "metric 2000" },
	{ "--route", "10.21.0.0/16", "metric 1000" },
	/* What IPv6 gives to a route that has none is more than ours. */
	{ "--route", "fd20::/32", "metric 1024" },
	{ "--route", "10.30.0.0/16", "the network of another interface" },
	{ "--route", "10.30.1.0/24", "the network of another interface" },
};
#define N_OUTRANKED (sizeof(outranked) / sizeof(*outranked))

/* Without rights; what tuntapctl says, and how it ends. */
static int run_tuntapctl(const char *option, const char *value)
{
	const char *const argv[] = {
		"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1",
		rig_built("tuntapctl"), "--socket", rig.socket, "run", "--tun",
		option, value, "--", "true", NULL
	};
	struct client c;
	ssize_t n;

	client_exec(&c, argv);
	n = read(c.out, said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	return WEXITSTATUS(client_wait(&c));
}

START_TEST(a_smaller_metric_takes_no_route_away)
{
	char *before;

	rig_start(&rig, NULL);
	make_lan();
	make_routes();
	before = host_state();
	ck_assert_int_eq(run_tuntapctl(outranked[_i][0], outranked[_i][1]),
			 125);
	contains(said, outranked[_i][2]);
	contains(said, "shadow = yes");
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

static const char shadowing[] =
	"[rule nobody]\naction = allow\nuser = 65534\nkind = tun\n"
	"name = tt*\naddress = 10.9.0.0/16\nroute = 10.0.0.0/8, fd00::/8\n"
	"shadow = yes\n";

START_TEST(unless_the_rule_says_so)
{
	struct rig_options o = { .policy = shadowing };

	rig_start(&rig, &o);
	make_lan();
	make_routes();
	/* The very same is the kernel's to refuse. */
	ck_assert_int_eq(run_tuntapctl(outranked[_i][0], outranked[_i][1]),
			 _i == 2 ? 125 : 0);
	rig_end(&rig);
}
END_TEST

/* What the host's own addresses and routes are, they stay. */
START_TEST(host_routes_are_not_outranked)
{
	const char *const argv[] = {
		rig_built("examples/tun-echo"), "--socket", rig.socket,
		"--address", "10.9.128.1/17", "--route", "10.20.0.0/16", NULL
	};
	struct client c;
	char *before, *text;

	rig_start(&rig, NULL);
	make_lan();
	/* A route of the host's to what becomes the device's network. */
	ck_assert_int_eq(sh_status("ip route add 10.9.128.0/17 via 10.9.0.7 &&"
				   " ip route add 10.20.0.0/16 via 10.9.0.7"), 0);
	before = host_state();
	client_exec(&c, argv);
	client_line(&c, "ready");
	text = sh("ip route get 10.9.0.33; ip route get 10.9.128.9; "
		  "ip route get 10.20.1.1; ip route show default");
	contains(text, "10.9.0.33 dev lan0 src 10.9.0.200");
	contains(text, "10.9.128.9 via 10.9.0.7 dev lan0");
	contains(text, "10.20.1.1 via 10.9.0.7 dev lan0");
	contains(text, "default via 10.9.0.254 dev lan0");
	free(text);
	client_kill(&c, SIGKILL);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* The kernel tells of IPv6 addresses a little late. */
static int open_the_same_twice(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addr = { .local = prefix("fd09::7/128"),
				 .flags = TTD_ADDR_NODAD };
	struct ttd_device *dev, *second;
	struct ttd_error e;

	o.socket_path = ((struct rig *)arg)->socket;
	o.addrs = &addr;
	o.n_addrs = 1;
	for (int i = 0; i < 100; i++) {
		if (ttd_open(&o, &dev, &e)) {
			puts(e.text);
			return 1;
		}
		if (ttd_open(&o, &second, &e) != -EADDRINUSE) {
			printf("the second open gave %d\n", e.code);
			return 1;
		}
		ttd_free(dev);
	}
	return 0;
}

START_TEST(an_address_is_given_once)
{
	rig_start(&rig, NULL);
	as_nobody(open_the_same_twice, &rig);
	rig_end(&rig);
}
END_TEST

/* Events are lost while the daemon sleeps, and old ones lie in its socket. */
START_TEST(lost_events_do_not_mislead)
{
	const char *argv[] = {
		rig_built("tuntapctl"), "--socket", rig.socket, "run", "--tun",
		"--address", NULL, "--", "true", NULL
	};
	struct client c;

	rig_start(&rig, NULL);
	ck_assert_int_eq(sh_status("ip addr add 10.9.77.1/32 dev lo"), 0);
	sleep_ms(100);
	kill(rig.daemon, SIGSTOP);
	ck_assert_int_eq(sh_status("{ echo addr del 10.9.77.1/32 dev lo;"
				   " echo addr add 10.9.78.1/32 dev lo;"
				   " for i in $(seq 8000); do"
				   " echo addr add 10.66.0.1/32 dev lo;"
				   " echo addr del 10.66.0.1/32 dev lo; done;"
				   " echo addr add 10.9.77.1/32 dev lo;"
				   " echo addr del 10.9.78.1/32 dev lo; } |"
				   " ip -batch -"), 0);
	kill(rig.daemon, SIGCONT);
	sleep_ms(100);
	argv[6] = "10.9.77.1/32";	/* the host has it */
	client_exec(&c, argv);
	ck_assert_int_eq(WEXITSTATUS(client_wait(&c)), 125);
	argv[6] = "10.9.78.1/32";	/* it has it no more */
	client_exec(&c, argv);
	ck_assert_int_eq(WEXITSTATUS(client_wait(&c)), 0);
	rig_end(&rig);
}
END_TEST

#define THIEVES	4

/* Tries to get a queue of its own on another uid's device; any will do. */
static int steal(void *arg)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI |
			     IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)arg;
	memcpy(ifr.ifr_name, "ttmany", sizeof("ttmany"));
	while (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0)
		;
	puts(fd < 0 ? "no node" : "stolen");
	fflush(stdout);
	pause();
	return 0;
}

static int open_many_queues(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = ((struct rig *)arg)->socket;
	o.name = "ttmany";
	o.queues = 4;
	for (int i = 0; i < 40; i++) {
		if (ttd_open(&o, &dev, &e)) {
			puts(e.text);
			return 1;
		}
		ttd_free(dev);
	}
	return 0;
}

START_TEST(nobody_adds_a_queue_of_his_own)
{
	struct rig_options o = { .node_mode = NODE_OPEN };
	struct client thieves[THIEVES];

	rig_start(&rig, &o);
	for (int i = 0; i < THIEVES; i++)
		client_start(&thieves[i], steal, NULL);
	as_nobody(open_many_queues, &rig);
	for (int i = 0; i < THIEVES; i++) {
		struct pollfd p = { .fd = thieves[i].out, .events = POLLIN };

		ck_assert_msg(poll(&p, 1, 0) == 0, "a thief had luck");
		client_kill(&thieves[i], SIGKILL);
	}
	link_goes("ttmany");
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("main job");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, echo_node_0600);
	tcase_add_test(t, echo_node_0666);
	tcase_add_test(t, gone_after_client_is_killed);
	tcase_add_test(t, data_flows_while_daemon_is_dead);
	tcase_add_test(t, devices_stay_when_daemon_ends);
	tcase_add_test(t, client_gone_before_the_answer);
	tcase_add_test(t, kept_fd_does_not_keep_the_device);
	tcase_add_test(t, device_without_our_mark_is_left_alone);
	tcase_add_test(t, altnames_are_taken);
	tcase_add_test(t, tap_with_mac_queues_txqueuelen);
	tcase_add_test(t, peer_address_nodad_gateways);
	tcase_add_test(t, left_down_when_asked);
	tcase_add_test(t, name_is_free_when_close_returns);
	tcase_add_test(t, host_routes_are_not_outranked);
	tcase_add_loop_test(t, nothing_inside_the_hosts_networks, 0,
			    sizeof(shadows) / sizeof(*shadows));
	tcase_add_loop_test(t, a_smaller_metric_takes_no_route_away, 0,
			    N_OUTRANKED);
	tcase_add_loop_test(t, unless_the_rule_says_so, 0, N_OUTRANKED);
	tcase_add_test(t, an_address_is_given_once);
	tcase_add_test(t, lost_events_do_not_mislead);
	tcase_add_test(t, nobody_adds_a_queue_of_his_own);
	suite_add_tcase(s, t);
	return live_main("main_job", s);
}
