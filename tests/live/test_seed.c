/*
 * The faults of the library whose semantics these are ("the seed", a Go
 * package), one by one: each test would fail on what the seed does, which its
 * comment says first.  The client has no rights, on both kinds of device; that
 * the seed's whole process needs them is its twelfth fault.  The eleventh is
 * about macOS.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "far.h"

/* --- allocations, counted where no sanitizer does ----------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1

static atomic_bool counting;
static atomic_long allocations;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations += counting;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations += counting;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations += counting;
	return __libc_realloc(p, n);
}
#endif

/* --- the house ---------------------------------------------------------- */

static const char policy[] =
	"[rule client]\n"
	"action = allow\n"
	"user = 65534\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.9.0.0/16, fd09::/16\n"
	"route = 0.0.0.0/0, ::/0\n"
	"default-route = yes\n"
	"mtu = 1280-9000\n"
	"max-devices = 1\n"
	"max-queues = 2\n"
	"max-addresses = 8\n"
	"max-routes = 8\n";

static const enum ttd_layer kinds[] = { TTD_TUN, TTD_TAP };
#define N_KINDS 2

static struct rig rig;
static struct ttd_device *dev;	/* tt0, unless a test says otherwise */
static struct ttd_error e;

static void setup(void)
{
	client_begin(&rig, policy, false);
	/* Nobody is there to have the same address; looking takes a second. */
	ck_admin("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad");
	/* The host's own network, with its default route. */
	ck_admin("ip link add eth9 type veth peer name eth8 && "
		 "ip link set eth8 up && ip link set eth9 up && "
		 "ip addr add 172.20.0.1/24 dev eth9 && "
		 "ip addr add fd99::1/64 dev eth9 nodad && "
		 "ip route add default via 172.20.0.254 dev eth9 && "
		 "ip -6 route add default via fd99::fe dev eth9");
}

static void teardown(void)
{
	ttd_free(dev);
	client_end(&rig);
}

static void open_tt0(enum ttd_layer layer, int32_t timeout_ms)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr addrs[] = { addr("10.9.0.1/24"), addr("fd09::1/64") };

	o.socket_path = rig.socket;
	o.name = "tt0";
	o.addrs = addrs;
	o.n_addrs = 2;
	o.timeout_ms = timeout_ms;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s: %s", e.step, e.text);
}

#define ck_done(call) \
	ck_assert_msg((call) == 0, "%s: %s: %s", #call, e.step, e.text)

static void end_tt0(void)
{
	ttd_free(dev);
	dev = NULL;
	link_goes("tt0");
}

static bool is_settled(void *unused)
{
	(void)unused;
	return sh_status("! ip -6 addr | grep -q tentative") == 0;
}

/* host_state() once no address of it changes by itself any more. */
static char *settled_state(void)
{
	ck_assert(eventually(is_settled, NULL));
	return host_state();
}

/* The command still says the same; frees that. */
static void still_says(char *before, const char *command)
{
	char *now = sh("%s", command);

	ck_assert_str_eq(before, now);
	free(now);
	free(before);
}

/* --- 1 ------------------------------------------------------------------ */

/*
 * The seed panics for SetIPv6(), AddRoute() of IPv4 without a gateway, and
 * AddRoute() with any IPv6 gateway.
 */
START_TEST(seed_fault_1_no_family_is_a_crash)
{
	struct ttd_prefix six = prefix("fd09::2/64");
	struct ttd_route all[] = {
		route("10.20.0.0/16", NULL, 0),
		route("fd20::/32", NULL, 0),
		route("10.21.0.0/16", "10.9.0.9", 0),
		route("fd21::/32", "fd09::9", 0),
	};
	struct ttd_route mixed[] = {
		route("10.22.0.0/16", "fd09::9", 0),
		route("fd22::/32", "10.9.0.9", 0),
	};

	open_tt0(kinds[_i], 0);
	ck_done(ttd_set_ip(dev, &six, &e));
	ck_sh("ip -6 addr show dev tt0 | grep -q 'fd09::2/64'");
	ck_sh("! ip -6 addr show dev tt0 | grep -q 'fd09::1/64'");
	for (unsigned i = 0; i < 4; i++)
		ck_done(ttd_add_routes(dev, &all[i], 1, &e));
	ck_sh("ip route show 10.20.0.0/16 | grep -q '^10.20.0.0/16 dev tt0 '");
	ck_sh("ip route show 10.21.0.0/16 | grep -q 'via 10.9.0.9 dev tt0 '");
	ck_sh("ip -6 route show fd20::/32 | grep -q '^fd20::/32 dev tt0 '");
	ck_sh("ip -6 route show fd21::/32 | grep -q 'via fd09::9 dev tt0 '");
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(ttd_add_routes(dev, &mixed[i], 1, &e),
				 -EINVAL);
		ck_assert_ptr_nonnull(strstr(e.text, "gateway"));
	}
	end_tt0();
}
END_TEST

/* --- 2 ------------------------------------------------------------------ */

/*
 * The seed replaces the host's own default route, and when its device goes
 * there is none at all.
 */
START_TEST(seed_fault_2_the_hosts_routes_stay)
{
	static const char routes_of_eth9[] =
		"ip route show dev eth9; ip -6 route show dev eth9";
	struct ttd_route mine[] = {
		route("0.0.0.0/0", NULL, 0),
		route("::/0", NULL, 0),
		route("10.77.0.0/16", NULL, 0),
	};
	char *before, *theirs;

	ck_admin("ip route add 10.77.0.0/16 via 172.20.0.254 dev eth9");
	before = settled_state();
	theirs = sh("%s", routes_of_eth9);
	open_tt0(kinds[_i % N_KINDS], 0);
	ck_done(ttd_add_routes(dev, mine, 3, &e));
	ck_sh("ip route get 203.0.113.5 | grep -q 'dev tt0'");
	ck_sh("ip -6 route get 2001:db8::5 | grep -q 'dev tt0'");
	/* Of two equal ones the host's own goes first. */
	ck_sh("ip route get 10.77.0.5 | grep -q 'dev eth9'");
	still_says(theirs, routes_of_eth9);
	if (_i < N_KINDS) {
		end_tt0();
	} else {
		/* Nor does it matter how the device goes. */
		ck_admin("ip link del tt0");
	}
	ck_sh("ip route get 203.0.113.5 | grep -q 'via 172.20.0.254 dev eth9'");
	ck_sh("ip -6 route get 2001:db8::5 | grep -q 'via fd99::fe dev eth9'");
	host_unchanged(before);
}
END_TEST

/* --- 3 ------------------------------------------------------------------ */

/*
 * The seed's routes have scope universe, so that a later gateway through one
 * fails; it hands host bits to the kernel, knows no metric and no removal.
 */
START_TEST(seed_fault_3_scope_host_bits_metric_removal)
{
	struct ttd_route link = route("10.30.0.0/24", NULL, 0);
	struct ttd_route through = route("10.31.0.0/16", "10.30.0.5", 0);
	struct ttd_route bits = route("10.32.0.0/16", NULL, 0);
	struct ttd_route bits6 = route("fd32::/32", NULL, 0);
	struct ttd_route metric = route("10.33.0.0/16", NULL, 2500);

	open_tt0(kinds[_i], 0);
	ck_done(ttd_add_routes(dev, &link, 1, &e));
	ck_sh("ip route show 10.30.0.0/24 | grep -q 'scope link'");
	ck_done(ttd_add_routes(dev, &through, 1, &e));
	ck_sh("ip route get 10.31.0.1 | grep -q 'via 10.30.0.5 dev tt0'");
	bits.dst.ip[3] = 1;
	ck_assert_int_eq(ttd_add_routes(dev, &bits, 1, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "10.32.0.1/16") &&
		      strstr(e.text, "10.32.0.0/16"), "%s", e.text);
	bits6.dst.ip[15] = 1;
	ck_assert_int_eq(ttd_add_routes(dev, &bits6, 1, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "fd32::/32") != NULL, "%s", e.text);
	ck_sh("! ip route | grep -q 10.32");
	ck_done(ttd_add_routes(dev, &metric, 1, &e));
	ck_sh("ip route show 10.33.0.0/16 | grep -qw 'metric 2500'");
	ck_done(ttd_del_routes(dev, &metric, 1, &e));
	ck_done(ttd_del_routes(dev, &through, 1, &e));
	ck_sh("! ip route show dev tt0 | grep -qE '10[.]3[13]'");
	ck_sh("ip route show 10.30.0.0/24 | grep -q 'scope link'");
	end_tt0();
}
END_TEST

/* --- 4 ------------------------------------------------------------------ */

#define READERS		3
#define LATE_FILES	32

struct reader {
	unsigned number;
	ssize_t result;
	int64_t at;
	pthread_t thread;
};

static void *read_until_the_end(void *arg)
{
	struct ttd_packet packets[TTD_BATCH_MAX];
	struct reader *r = arg;
	char buf[2048];

	do {
		if (r->number == 0)
			r->result = ttd_recv(dev, buf, sizeof(buf),
					     TTD_FOREVER);
		else
			r->result = ttd_recv_batch(dev, 1, packets,
						   TTD_BATCH_MAX, TTD_FOREVER);
	} while (r->result > 0);
	r->at = now_ms();
	return NULL;
}

/* Once done is readable, nothing of the device is there to be used. */
static void *watch_done(void *arg)
{
	struct reader *r = arg;
	char buf[64] = { 0x45 };

	ck_assert(readable(ttd_done_fd(dev), -1));
	r->at = now_ms();
	ck_assert_int_ne(ttd_status(dev, NULL), TTD_OPEN);
	ck_assert_int_eq(ttd_send(dev, buf, sizeof(buf)), -ESHUTDOWN);
	r->result = ttd_recv_batch(dev, 1, &(struct ttd_packet){ 0 }, 1, 0);
	return NULL;
}

/*
 * The seed's Close() does not wake the reader; Done() has fired although it
 * still reads; and its read or write can hit a number that is a file by then.
 * (numbers_are_not_used_again in test_library.c does it under load.)
 */
START_TEST(seed_fault_4_close_wakes_and_numbers_are_kept)
{
	struct ttd_options o = TTD_OPTIONS_INIT(kinds[_i]);
	struct reader r[READERS];
	int numbers[2], files[LATE_FILES];
	char byte[64] = { 0x45 };
	int64_t since;

	o.socket_path = rig.socket;
	o.name = "tt0";
	o.queues = 2;
	ck_done(ttd_open(&o, &dev, &e));
	numbers[0] = ttd_fd(dev, 0);
	numbers[1] = ttd_fd(dev, 1);
	for (unsigned i = 0; i < READERS; i++) {
		r[i] = (struct reader){ .number = i };
		pthread_create(&r[i].thread, NULL, i == READERS - 1 ?
			       watch_done : read_until_the_end, &r[i]);
	}
	sleep_ms(100);
	since = now_ms();
	ck_assert_int_eq(ttd_close(dev), 0);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(r[i].thread, NULL);
		ck_assert_int_eq(r[i].result, -ESHUTDOWN);
		ck_assert_int_lt(r[i].at - since, DEADLINE_MS);
	}
	for (unsigned i = 0; i < LATE_FILES; i++) {
		files[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		ck_assert_int_ge(files[i], 0);
		ck_assert_int_ne(files[i], numbers[0]);
		ck_assert_int_ne(files[i], numbers[1]);
	}
	ck_assert_int_eq(ttd_recv(dev, byte, 1, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_send(dev, byte, sizeof(byte)), -ESHUTDOWN);
	for (unsigned i = 0; i < LATE_FILES; i++)
		close(files[i]);
	end_tt0();
}
END_TEST

/* --- 5 ------------------------------------------------------------------ */

#define SIGNALS		200

static void on_signal(int sig)
{
	(void)sig;
}

static void *receive_batches(void *arg)
{
	struct ttd_packet packets[TTD_BATCH_MAX];
	struct far *far = arg;
	int n;

	while ((n = ttd_recv_batch(dev, 0, packets, TTD_BATCH_MAX,
				   TTD_FOREVER)) > 0)
		for (int i = 0; i < n; i++)
			far_end(far, packets[i].data, packets[i].len);
	return (void *)(intptr_t)n;
}

/*
 * For the seed any error of a read is the end, EINTR too, and Done() does not
 * tell which it was.  A read of no bytes makes it spin.
 */
START_TEST(seed_fault_5_signals_and_causes)
{
	struct sigaction act = { .sa_handler = on_signal };	/* EINTR */
	struct far far = { .layer = kinds[_i], .send = far_send_to_device };
	struct ttd_error why;
	pthread_t reader;
	void *last;

	sigaction(SIGUSR1, &act, NULL);
	open_tt0(kinds[_i], 0);
	far.to = dev;
	pthread_create(&reader, NULL, receive_batches, &far);
	for (unsigned i = 0; i < SIGNALS; i++) {
		pthread_kill(reader, SIGUSR1);
		sleep_ms(i % 2);
	}
	echo_from("10.9.0.77");
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ck_admin("ip link del tt0");
	pthread_join(reader, &last);
	ck_assert_int_eq((int)(intptr_t)last, -ESHUTDOWN);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(ttd_status(dev, &why), TTD_DELETED);
		ck_assert_int_eq(why.code, -ENODEV);
		ck_assert_msg(strstr(why.text, "tt0") != NULL, "%s", why.text);
		/* The first cause stays. */
		ttd_close(dev);
	}
}
END_TEST

#define PACKETS		1000
#define ROUND_TRIPS_FIRST 10

#ifdef COUNTS_ALLOCATIONS
/* Not by echoes(), which allocates. */
static void exchange(int sock, int n)
{
	for (int i = 0; i < n; i++) {
		char byte = (char)i;

		if (send(sock, &byte, 1, 0) != 1 ||
		    !readable(sock, DEADLINE_MS) ||
		    recv(sock, &byte, 1, 0) != 1 || byte != (char)i)
			ck_abort_msg("packet %d did not come back", i);
	}
}
#endif

/*
 * The seed allocates and copies each packet.  Here: both by a handler and in
 * batches.  (nothing_is_allocated_per_packet in test_library.c has ttd_recv()
 * and ttd_run() as well.)
 */
START_TEST(seed_fault_5_nothing_is_allocated_for_a_packet)
{
#ifndef COUNTS_ALLOCATIONS
	live_skip("seed_fault_5_nothing_is_allocated_for_a_packet",
		  "a sanitizer or another libc has its own malloc");
#else
	struct far far = { .layer = kinds[_i % N_KINDS],
			   .send = far_send_to_device };
	bool batch = _i / N_KINDS;
	uint32_t mtu;
	pthread_t reader;
	int sock;

	open_tt0(far.layer, 0);
	far.to = dev;
	if (batch)
		pthread_create(&reader, NULL, receive_batches, &far);
	else
		ck_assert_int_eq(ttd_set_handler(dev, far_end, &far), 0);
	sock = udp_to("10.9.0.77");
	exchange(sock, ROUND_TRIPS_FIRST);
	/* What takes in the answer is the thread that listens: it has begun. */
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	counting = true;
	exchange(sock, PACKETS);
	counting = false;
	ck_assert_int_eq(allocations, 0);
	counting = true;
	free(*(void *volatile *)&(void *){ malloc(1) });
	counting = false;
	ck_assert_int_eq(allocations, 1);	/* so it does count */
	ck_assert_uint_eq(far.datagrams, ROUND_TRIPS_FIRST + PACKETS);
	close(sock);
	ttd_close(dev);
	if (batch)
		pthread_join(reader, NULL);
	end_tt0();
#endif
}
END_TEST

/* --- 6 ------------------------------------------------------------------ */

static int open_named(enum ttd_layer layer, const char *name)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);

	o.socket_path = rig.socket;
	o.name = name;
	return ttd_open(&o, &dev, &e);
}

/*
 * The seed cuts long names, has the kernel expand "%d", and takes a persistent
 * device that is there already as its own.
 */
START_TEST(seed_fault_6_names_are_what_was_asked_for)
{
	char *before = settled_state();

	ck_assert_int_eq(open_named(kinds[_i], "tt34567890123456"), -EINVAL);
	ck_assert_msg(strstr(e.text, "15") != NULL, "%s", e.text);
	ck_assert_int_eq(open_named(kinds[_i], "tt%d"), -EINVAL);
	ck_assert_msg(strchr(e.text, '%') != NULL, "%s", e.text);
	ck_assert_int_eq(open_named(kinds[_i], "tt\xff"), -EINVAL);
	host_unchanged(before);

	/* That the client could attach to by himself. */
	ck_admin("ip tuntap add dev tt5 mode %s user 65534",
		 kinds[_i] == TTD_TUN ? "tun" : "tap");
	before = settled_state();
	ck_assert_int_eq(open_named(kinds[_i], "tt5"), -EEXIST);
	ck_assert_msg(strstr(e.text, "tt5") != NULL, "%s", e.text);
	ck_assert_ptr_null(dev);
	host_unchanged(before);
}
END_TEST

/* --- 7 ------------------------------------------------------------------ */

/*
 * The seed looks its device up by name at each call, and so configures another
 * that has got the name since.
 */
START_TEST(seed_fault_7_another_of_the_old_name)
{
	static const char all_of_tt0[] = "ip addr show dev tt0; "
		"ip route show dev tt0; ip -6 route show dev tt0";
	struct ttd_addr more = addr("10.9.1.1/24");
	struct ttd_prefix six = prefix("fd09::2/64");
	struct ttd_route r = route("10.20.0.0/16", NULL, 0);
	uint8_t mac[MAC_BYTES], theirs[MAC_BYTES] = { 2, 0, 0, 0, 0, 0x55 };
	char name[TTD_NAME_MAX], *other;
	unsigned index;
	uint32_t mtu = 0;

	open_tt0(kinds[_i], 0);
	index = ttd_ifindex(dev);
	/* Before Linux 6.2 it must be down for that. */
	ck_admin("ip link set tt0 down && ip link set tt0 name gone0 && "
		 "ip link set gone0 up && ip link add tt0 address 02:00:00:00:00:55 type veth "
		 "peer name tt0peer && ip link set tt0 up");
	/* Its peer is down, of which the kernel tells up to a second later. */
	ck_soon(sh_status("ip link show dev tt0 | grep -q LOWERLAYERDOWN") == 0);
	ck_assert(eventually(is_settled, NULL));
	other = sh("%s", all_of_tt0);

	ck_done(ttd_set_mtu(dev, 1400, &e));
	ck_done(ttd_add_addrs(dev, &more, 1, &e));
	ck_done(ttd_add_routes(dev, &r, 1, &e));
	ck_done(ttd_set_ip(dev, &six, &e));
	ck_done(ttd_set_up(dev, 0, &e));
	ck_sh("ip link show dev gone0 | grep -q 'state DOWN'");
	ck_done(ttd_set_up(dev, 1, &e));
	ck_sh("ip link show dev gone0 | grep -qw 'mtu 1400'");
	ck_sh("ip addr show dev gone0 | grep -qw '10.9.1.1/24'");
	ck_sh("ip addr show dev gone0 | grep -qw 'fd09::2/64'");
	ck_sh("ip route show 10.20.0.0/16 | grep -qw 'dev gone0'");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1400);
	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_str_eq(name, "gone0");
	ck_assert_uint_eq(ttd_ifindex(dev), index);
	if (kinds[_i] == TTD_TAP) {
		ck_assert_int_eq(ttd_hwaddr(dev, mac), 0);
		ck_assert_int_ne(memcmp(mac, theirs, MAC_BYTES), 0);
	}
	still_says(other, all_of_tt0);

	ttd_free(dev);
	dev = NULL;
	link_goes("gone0");
	ck_assert(link_exists("tt0"));
}
END_TEST

/* --- 8 ------------------------------------------------------------------ */

#define SHORT_MS	300

/*
 * The seed reads one answer of the kernel, of whichever request it is, and
 * knows its errno alone.
 */
START_TEST(seed_fault_8_the_kernels_words_and_the_right_row)
{
	struct ttd_route all[] = {
		route("10.40.0.0/16", NULL, 0),
		route("10.41.0.0/16", "10.9.0.9", 0),
		route("10.42.0.0/16", "192.0.2.1", 0),
		route("10.43.0.0/16", NULL, 0),
	};
	char *before;

	ck_admin("ip route del default");	/* which leads to 192.0.2.1 */
	open_tt0(kinds[_i], 0);
	before = settled_state();
	ck_assert_int_eq(ttd_add_routes(dev, all, 4, &e), -ENETUNREACH);
	ck_assert_str_eq(e.step, "route");
	ck_assert_msg(strstr(e.text, "10.42.0.0/16") != NULL, "%s", e.text);
	ck_assert_msg(strstr(e.text, "exthop") != NULL, "%s", e.text);
	ck_assert_msg(!strstr(e.text, "10.41") && !strstr(e.text, "10.43"),
		      "%s", e.text);
	host_unchanged(before);
	end_tt0();
}
END_TEST

/* The seed waits for ever, and takes a late answer for that to the next. */
START_TEST(seed_fault_8_no_answer_in_time)
{
	struct ttd_prefix p = prefix("10.9.5.1/24");
	uint32_t mtu = 0;
	int64_t since;
	struct far far = { .layer = kinds[_i], .send = far_send_to_device };

	open_tt0(kinds[_i], SHORT_MS);
	far.to = dev;
	ck_assert_int_eq(ttd_set_handler(dev, far_end, &far), 0);
	rights(true);
	kill(rig.daemon, SIGSTOP);
	rights(false);
	since = now_ms();
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -ETIMEDOUT);
	ck_assert_str_ne(e.text, "");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), -ETIMEDOUT);
	ck_assert_uint_eq(mtu, 0);
	ck_assert_int_ge(now_ms() - since, 2 * SHORT_MS);
	ck_assert_int_lt(now_ms() - since, 2 * SHORT_MS + DEADLINE_MS);
	echo_from("10.9.0.77");
	/* First come the answers to the first two, which are none to this. */
	ck_admin("(sleep 0.1; kill -CONT %d) &", (int)rig.daemon);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1400);
	ck_done(ttd_set_mtu(dev, 1300, &e));
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1300);
	ck_done(ttd_set_ip(dev, &p, &e));
	echo_from("10.9.5.77");
	end_tt0();
}
END_TEST

/* --- 9 ------------------------------------------------------------------ */

#define ADDRS_MAX 8

/* Is it among what the device has? */
static bool has(const struct ttd_addr *all, int n, const char *local,
		const char *peer)
{
	struct ttd_prefix l = prefix(local), p = { .family = 0 };

	if (peer)
		p = prefix(peer);
	for (int i = 0; i < n; i++)
		if (memcmp(&all[i].local, &l, sizeof(l)) == 0 &&
		    memcmp(&all[i].peer, &p, sizeof(p)) == 0)
			return true;
	return false;
}

/*
 * The seed's SetIPv4() adds, and the old one stays; Addr() shows the last one
 * alone.  It can remove none, has no peers or flags, and L2 has no Addr().
 */
START_TEST(seed_fault_9_addresses_are_all_there)
{
	struct ttd_prefix four = prefix("10.9.1.1/24");
	struct ttd_addr more[] = {
		addr("10.9.2.1/24"), addr("fd09:2::1/64"),
		{ .local = prefix("10.9.3.1/32"),
		  .peer = prefix("10.9.4.1/32") },
	};
	struct ttd_addr all[ADDRS_MAX], wrong = more[2];
	struct ttd_prefix p;

	open_tt0(kinds[_i], 0);
	ck_done(ttd_set_ip(dev, &four, &e));
	ck_sh("! ip addr show dev tt0 | grep -q 10.9.0.1");
	ck_assert_int_eq(ttd_get_addrs(dev, all, ADDRS_MAX), 2);
	ck_assert(has(all, 2, "10.9.1.1/24", NULL));
	ck_assert(has(all, 2, "fd09::1/64", NULL));
	ck_done(ttd_add_addrs(dev, more, 3, &e));
	ck_sh("ip addr show dev tt0 | grep -q '10.9.3.1 peer 10.9.4.1/32'");
	/* TTD_ADDR_NODAD */
	ck_sh("ip -6 addr show dev tt0 | grep 'fd09:2::1/64' | grep -q nodad");
	ck_assert_int_eq(ttd_get_addrs(dev, all, ADDRS_MAX), 5);
	ck_assert(has(all, 5, "10.9.2.1/24", NULL));
	ck_assert(has(all, 5, "fd09:2::1/64", NULL));
	ck_assert(has(all, 5, "10.9.3.1/32", "10.9.4.1/32"));
	/* Fewer are filled in, all are counted. */
	memset(all, 0xee, sizeof(all));
	ck_assert_int_eq(ttd_get_addrs(dev, all, 1), 5);
	ck_assert_uint_eq(all[1].local.family, 0xee);

	wrong.peer = prefix("10.9.4.2/32");
	ck_assert_int_eq(ttd_del_addrs(dev, &wrong, 1, &e), -ENOENT);
	ck_done(ttd_del_addrs(dev, more, 3, &e));
	ck_assert_int_eq(ttd_get_addrs(dev, all, ADDRS_MAX), 2);
	ck_sh("! ip addr show dev tt0 | grep -qE '10[.]9[.][23]|fd09:2'");
	ck_assert_int_eq(ttd_netdev_addr(ttd_netdev(dev), &p), 0);
	ck_assert_mem_eq(&p, &four, sizeof(p));
	end_tt0();
}
END_TEST

/* --- 10 ----------------------------------------------------------------- */

/*
 * The seed leaves a device that is configured by half.  Here the kernel itself
 * refuses the last of all that was asked for, at the open and later.  (For
 * each step: a_failed_step_leaves_the_host_as_it_was in test_faults.c and
 * a_failed_request_leaves_all_as_it_was in test_change.c.)
 */
START_TEST(seed_fault_10_all_or_nothing)
{
	struct ttd_options o = TTD_OPTIONS_INIT(kinds[_i]);
	struct ttd_addr addrs[] = { addr("10.9.0.1/24"), addr("fd09::1/64") };
	struct ttd_route routes[] = {
		route("10.40.0.0/16", NULL, 0),
		route("fd40::/32", NULL, 0),
		route("10.41.0.0/16", "192.0.2.1", 0),
	};
	char *before;

	ck_admin("ip route del default");	/* which leads to 192.0.2.1 */
	before = settled_state();
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.addrs = addrs;
	o.n_addrs = 2;
	o.routes = routes;
	o.n_routes = 3;
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -ENETUNREACH);
	ck_assert_ptr_null(dev);
	host_unchanged(before);

	o.n_routes = 2;
	ck_done(ttd_open(&o, &dev, &e));
	before = settled_state();
	routes[0] = route("10.42.0.0/16", NULL, 0);
	routes[1] = route("fd42::/32", NULL, 0);
	ck_assert_int_eq(ttd_add_routes(dev, routes, 3, &e), -ENETUNREACH);
	host_unchanged(before);
	end_tt0();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("seed");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, seed_fault_1_no_family_is_a_crash, 0, N_KINDS);
	tcase_add_loop_test(t, seed_fault_2_the_hosts_routes_stay, 0,
			    2 * N_KINDS);
	tcase_add_loop_test(t, seed_fault_3_scope_host_bits_metric_removal, 0,
			    N_KINDS);
	tcase_add_loop_test(t, seed_fault_4_close_wakes_and_numbers_are_kept,
			    0, N_KINDS);
	tcase_add_loop_test(t, seed_fault_5_signals_and_causes, 0, N_KINDS);
	tcase_add_loop_test(t, seed_fault_5_nothing_is_allocated_for_a_packet,
			    0, 2 * N_KINDS);
	tcase_add_loop_test(t, seed_fault_6_names_are_what_was_asked_for, 0,
			    N_KINDS);
	tcase_add_loop_test(t, seed_fault_7_another_of_the_old_name, 0,
			    N_KINDS);
	tcase_add_loop_test(t, seed_fault_8_the_kernels_words_and_the_right_row,
			    0, N_KINDS);
	tcase_add_loop_test(t, seed_fault_8_no_answer_in_time, 0, N_KINDS);
	tcase_add_loop_test(t, seed_fault_9_addresses_are_all_there, 0,
			    N_KINDS);
	tcase_add_loop_test(t, seed_fault_10_all_or_nothing, 0, N_KINDS);
	suite_add_tcase(s, t);
	return live_main("seed", s);
}
