/*
 * The examples, run as a client without rights.  Two hosts are two network
 * namespaces, each with a daemon of its own: this process is in the near one.
 *
 * TUNTAPD_WIRE_SECONDS: how long each run of iperf3 takes (1).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../rings.h"
#include "harness.h"

#define FAR		"far"		/* the other namespace */
#define STREAM_PORT	7077
#define STREAM_CHUNK	32768
/* Bytes a second: a stream that fills the device's queue would have the kernel
   drop the one datagram with which iperf3 begins over UDP, which it does not
   send again. */
#define STREAM_PACE	(32u << 20)
#define SERVER_TRIES	100
#define READY		"ready"

static const char policy[] =
	"[rule any]\n"
	"action = allow\n"
	"user = any\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.9.0.0/16, fd09::/32\n"
	"route = 0.0.0.0/0, ::/0\n"
	"default-route = yes\n"
	"offload = yes\n";

static struct rig near_rig, far_rig;

/* Goes to the far namespace; returns the way back. */
static int go_far(void)
{
	int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open("/run/netns/" FAR, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(back, 0);
	ck_assert_int_ge(there, 0);
	ck_assert_int_eq(setns(there, CLONE_NEWNET), 0);
	close(there);
	return back;
}

static void come_back(int back)
{
	ck_assert_int_eq(setns(back, CLONE_NEWNET), 0);
	close(back);
}

static void begin(void)
{
	struct rig_options o = { .policy = policy };
	int back;

	rig_start(&near_rig, &o);
	ck_assert_int_eq(sh_status("ip netns add " FAR " && ip -n " FAR
				   " link set lo up"), 0);
	far_rig = near_rig;
	snprintf(far_rig.socket, sizeof(far_rig.socket), "%s/far.sock",
		 near_rig.dir);
	snprintf(far_rig.admin, sizeof(far_rig.admin), "%s/far-admin.sock",
		 near_rig.dir);
	back = go_far();
	rig_daemon(&far_rig, &o);
	come_back(back);
}

static void end(void)
{
	rig_stop(&far_rig);
	ck_assert_int_eq(sh_status("ip netns del " FAR), 0);
	rig_end(&near_rig);
}

static const char *example(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "examples/%s", name);
	return rig_built(path);
}

/* Its exit status, when it was told to end. */
static int finish(struct client *c)
{
	int status;

	kill(c->pid, SIGTERM);
	status = client_wait(c);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool answers(void *address)
{
	return sh_status("ping -c1 -W1 %s >/dev/null", (char *)address) == 0;
}

#define NEAR_ADDRS "10.9.0.1/24,fd09::1/64"
#define FAR_ADDRS "10.9.0.2/24,fd09::2/64"

static void join(struct client *c, const char *name, const char *option)
{
	const char *argv[7] = { example(name) };
	int n = 1;

	if (option)
		argv[n++] = option;
	argv[n++] = near_rig.socket;
	argv[n++] = NEAR_ADDRS;
	argv[n++] = far_rig.socket;
	argv[n++] = FAR_ADDRS;
	client_exec(c, argv);
	client_line(c, READY);
	ck_assert(eventually(answers, (void *)(uintptr_t)"10.9.0.2"));
	/* Addresses of a TAP are tentative for a second or two. */
	ck_assert(eventually(answers, (void *)(uintptr_t)"fd09::2"));
}

START_TEST(tap_hub_passes_arp_and_nd)
{
	unsigned long arp = 0, nd = 0;
	struct client c;

	begin();
	join(&c, "tap-hub", NULL);
	ck_assert_int_eq(sh_status("ip neigh show dev tt0 to 10.9.0.2 | "
				   "grep -q lladdr"), 0);
	ck_assert_int_eq(sh_status("ip -6 neigh show dev tt0 to fd09::2 | "
				   "grep -q lladdr"), 0);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(sscanf(client_line(&c, "left: "),
				"left: %lu ARP, %lu ND", &arp, &nd), 2);
	ck_assert_uint_gt(arp, 0);
	ck_assert_uint_gt(nd, 0);
	ck_assert_int_eq(client_wait(&c), 0);
	end();
}
END_TEST

/* --- the wire ----------------------------------------------------------- */

/* xorshift64: bytes that neither end has to remember. */
struct stream {
	uint64_t state;
	uint8_t bytes[STREAM_CHUNK];
};

static void stream_next(struct stream *s)
{
	for (size_t i = 0; i < sizeof(s->bytes); i += sizeof(s->state)) {
		s->state ^= s->state << 13;
		s->state ^= s->state >> 7;
		s->state ^= s->state << 17;
		memcpy(s->bytes + i, &s->state, sizeof(s->state));
	}
}

#define STREAM_INIT { .state = 0x9e3779b97f4a7c15u }

static int stream_socket(int family, struct sockaddr_storage *ret,
			 socklen_t *ret_len)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	ret->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(STREAM_PORT);
		inet_pton(AF_INET, "10.9.0.2", &v4->sin_addr);
		*ret_len = sizeof(*v4);
	} else {
		v6->sin6_port = htons(STREAM_PORT);
		inet_pton(AF_INET6, "fd09::2", &v6->sin6_addr);
		*ret_len = sizeof(*v6);
	}
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* In a child at the far end: 0 if every byte was what it must be. */
static int stream_check(int listener)
{
	struct stream s = STREAM_INIT;
	uint8_t got[STREAM_CHUNK];
	int sock = accept(listener, NULL, NULL);
	uint64_t chunks = 0;
	size_t have = 0;
	ssize_t n;

	while ((n = recv(sock, got + have, sizeof(got) - have, 0)) > 0) {
		have += (size_t)n;
		if (have < sizeof(got))
			continue;
		stream_next(&s);
		if (memcmp(got, s.bytes, sizeof(got)) != 0)
			return 2;
		chunks++;
		have = 0;
	}
	/* Its end was an orderly one, at the end of a chunk. */
	return n == 0 && have == 0 && chunks > 0 ? 0 : 3;
}

static pid_t stream_server(int family)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int back = go_far(), sock = stream_socket(family, &addr, &len), one = 1;
	pid_t pid;

	ck_assert_int_ge(sock, 0);
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ck_assert_msg(bind(sock, (struct sockaddr *)&addr, len) == 0, "%s",
		      strerror(errno));
	ck_assert_int_eq(listen(sock, 1), 0);
	come_back(back);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(stream_check(sock));
	}
	close(sock);
	return pid;
}

static volatile sig_atomic_t stream_stop;

static void on_term(int sig)
{
	(void)sig;
	stream_stop = 1;
}

/* Sends until SIGTERM. */
static pid_t stream_client(int family)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int sock = stream_socket(family, &addr, &len);
	struct stream s = STREAM_INIT;
	unsigned pace = STREAM_PACE;
	pid_t pid;

	ck_assert_int_eq(setsockopt(sock, SOL_SOCKET, SO_MAX_PACING_RATE, &pace,
				    sizeof(pace)), 0);
	ck_assert_msg(connect(sock, (struct sockaddr *)&addr, len) == 0, "%s",
		      strerror(errno));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct sigaction act = { .sa_handler = on_term };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigaction(SIGTERM, &act, NULL);
		while (!stream_stop) {
			size_t sent = 0;

			stream_next(&s);
			while (sent < sizeof(s.bytes)) {
				ssize_t n = send(sock, s.bytes + sent,
						 sizeof(s.bytes) - sent, 0);

				if (n < 0 && errno != EINTR)
					_exit(4);
				sent += n > 0 ? (size_t)n : 0;
			}
		}
		_exit(shutdown(sock, SHUT_WR));
	}
	close(sock);
	return pid;
}

static void exits_well(pid_t pid, const char *what)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "%s: status 0x%x", what, (unsigned)status);
}

static unsigned wire_seconds(void)
{
	const char *text = getenv("TUNTAPD_WIRE_SECONDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 1;
}

/* One connection; ends with it, or with us. */
static pid_t iperf3_server(void)
{
	int back = go_far();
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execlp("iperf3", "iperf3", "--server", "--one-off",
		       (char *)NULL);
		_exit(127);
	}
	come_back(back);
	for (int i = 0; i < SERVER_TRIES; i++) {
		if (sh_status("ip netns exec " FAR " ss -Hltn 'sport = 5201' |"
			      " grep -q .") == 0)
			return pid;
		sleep_ms(20);
	}
	ck_abort_msg("iperf3 does not listen");
	return pid;
}

static const struct wire {
	const char *name, *option, *address, *protocol;
	int family;
} wires[] = {
	{ "none TCP IPv4", NULL, "10.9.0.2", "", AF_INET },
	{ "none TCP IPv6", NULL, "fd09::2", "", AF_INET6 },
	{ "none UDP IPv4", NULL, "10.9.0.2", "--udp -b 100M", AF_INET },
	{ "none UDP IPv6", NULL, "fd09::2", "--udp -b 100M", AF_INET6 },
	{ "pass TCP IPv4", "--pass", "10.9.0.2", "", AF_INET },
	{ "pass TCP IPv6", "--pass", "fd09::2", "", AF_INET6 },
	{ "pass UDP IPv4", "--pass", "10.9.0.2", "--udp -b 100M", AF_INET },
	{ "pass UDP IPv6", "--pass", "fd09::2", "--udp -b 100M", AF_INET6 },
}, wires_with_rings[] = {
	{ "io_uring TCP IPv4", "--io-uring", "10.9.0.2", "", AF_INET },
	{ "io_uring UDP IPv6", "--io-uring", "fd09::2", "--udp -b 100M",
	  AF_INET6 },
};
#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static bool have_iperf3(const char *test)
{
	if (sh_status("command -v iperf3 >/dev/null") == 0)
		return true;
	live_skip(test, "there is no iperf3");
	return false;
}

static void carry_iperf3(const struct wire *wire)
{
	pid_t server, client, iperf3;
	struct client c;
	char *received;

	begin();
	join(&c, "tun-wire", wire->option);
	server = stream_server(wire->family);
	client = stream_client(wire->family);
	iperf3 = iperf3_server();
	/* The receiver's sum: bytes have arrived at the other end. */
	received = sh("timeout %u iperf3 --client %s %s --time %u --json | "
		      "tr -d ' \\n\\t' | sed -n 's/.*\"sum_received\":{[^}]*"
		      "\"bytes\":\\([0-9]*\\).*/\\1/p; t; "
		      "s/.*\"sum\":{[^}]*\"bytes\":\\([0-9]*\\).*/\\1/p'",
		      wire_seconds() + 15, wire->address,
		      wire->protocol, wire_seconds());
	ck_assert_msg(strtoull(received, NULL, 10) > 0, "%s: received `%s`",
		      wire->name, received);
	free(received);
	exits_well(iperf3, "iperf3");
	kill(client, SIGTERM);
	exits_well(client, "sender of the stream");
	exits_well(server, "receiver of the stream");
	ck_assert_int_eq(finish(&c), 0);
	end();
}

START_TEST(tun_wire_carries_iperf3)
{
	if (have_iperf3("tun_wire_carries_iperf3"))
		carry_iperf3(&wires[_i]);
}
END_TEST

START_TEST(tun_wire_carries_iperf3_with_rings)
{
	const char *name = "tun_wire_carries_iperf3_with_rings";

	if (have_iperf3(name) && have_rings(name, true))
		carry_iperf3(&wires_with_rings[_i]);
}
END_TEST

/* --- the tunnel --------------------------------------------------------- */

/* Not on the LAN itself, so that the default route is the way there. */
#define GATEWAY "198.51.100.1"

/* A LAN between the two, and something behind the far one. */
static void lan(void)
{
	ck_assert_int_eq(sh_status(
		"ip link add lan0 type veth peer name lan1 netns " FAR " && "
		"ip addr add 10.77.0.1/24 dev lan0 && ip link set lan0 up && "
		"ip -n " FAR " addr add 10.77.0.254/24 dev lan1 && "
		"ip -n " FAR " link set lan1 up && "
		"ip -n " FAR " addr add 203.0.113.9/32 dev lo && "
		"ip -n " FAR " addr add " GATEWAY "/32 dev lo && "
		"ip route add default via 10.77.0.254"), 0);
}

static unsigned long received_by_tun(void)
{
	char *text = sh("ip -s -o link show dev tt0 | "
			"sed 's/.*RX:[^\\\\]*\\\\ *[0-9]* *\\([0-9]*\\).*/\\1/'");
	unsigned long n = strtoul(text, NULL, 10);

	free(text);
	return n;
}

static void default_route_is(const char *routes)
{
	char *now = sh("ip route show default");

	ck_assert_str_eq(routes, now);
	free(now);
}

static void tunnel(struct client *near_end, struct client *far_end,
		   const char *option)
{
	const char *serve[] = { example("full-tunnel"), "--serve", "4747",
				"10.9.0.1/24,fd09::1/64", NULL };
	const char *dial[7] = { serve[0] };
	int n = 1, back;

	if (option)
		dial[n++] = option;
	dial[n++] = GATEWAY;
	dial[n++] = "4747";
	dial[n++] = "10.9.0.2/24,fd09::2/64";
	/* The far end's daemon, and its transport in the far namespace. */
	setenv("TUNTAPD_SOCKET", far_rig.socket, 1);
	back = go_far();
	client_exec(far_end, serve);
	come_back(back);
	client_line(far_end, READY);
	setenv("TUNTAPD_SOCKET", near_rig.socket, 1);
	client_exec(near_end, dial);
	client_line(near_end, READY);
}

START_TEST(full_tunnel_keeps_its_transport_out)
{
	struct client near_end, far_end;
	unsigned long before;
	char *routes;

	begin();
	lan();
	routes = sh("ip route show default");
	tunnel(&near_end, &far_end, NULL);
	ck_assert_int_eq(sh_status("ip route get 203.0.113.9 | "
				   "grep -q 'dev tt0'"), 0);
	before = received_by_tun();
	ck_assert(answers((void *)(uintptr_t)"203.0.113.9"));
	ck_assert(answers((void *)(uintptr_t)"fd09::1"));
	ck_assert_uint_ge(received_by_tun(), before + 2);
	/* The host's own default route is as it was, now and afterwards. */
	default_route_is(routes);
	ck_assert_int_eq(finish(&near_end), 0);
	link_goes("tt0");
	ck_assert_int_eq(sh_status("ip route get 203.0.113.9 | "
				   "grep -q 'dev lan0'"), 0);
	default_route_is(routes);
	ck_assert_int_eq(finish(&far_end), 0);
	free(routes);
	end();
}
END_TEST

START_TEST(full_tunnel_swallows_itself_without)
{
	struct client near_end, far_end;

	begin();
	lan();
	tunnel(&near_end, &far_end, "--no-protect");
	ck_assert(!answers((void *)(uintptr_t)"203.0.113.9"));
	ck_assert(!answers((void *)(uintptr_t)"fd09::1"));
	finish(&near_end);
	finish(&far_end);
	end();
}
END_TEST

START_TEST(seed_api_rows)
{
	const char *argv[] = { example("seed-api"), near_rig.socket, NULL };
	struct client c;

	begin();
	client_exec(&c, argv);
	client_line(&c, "ConnectL3, Inject        ok");
	ck_assert_int_eq(client_wait(&c), 0);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("examples");
	TCase *live = tcase_create("live"), *wire = tcase_create("wire");

	tcase_set_timeout(live, 60);
	tcase_add_test(live, tap_hub_passes_arp_and_nd);
	tcase_add_test(live, full_tunnel_keeps_its_transport_out);
	tcase_add_test(live, full_tunnel_swallows_itself_without);
	tcase_add_test(live, seed_api_rows);
	suite_add_tcase(s, live);
	tcase_set_timeout(wire, 60);
	tcase_add_loop_test(wire, tun_wire_carries_iperf3, 0, COUNT(wires));
	tcase_add_loop_test(wire, tun_wire_carries_iperf3_with_rings, 0,
			    COUNT(wires_with_rings));
	suite_add_tcase(s, wire);
	return live_main("examples", s);
}
