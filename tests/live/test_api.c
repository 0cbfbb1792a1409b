/*
 * What a TUN/TAP library must offer, row by row, on both kinds of device, for
 * a client without rights: the effective ids of this process are nobody's.
 * Then what happens when several threads, many devices and children do it.
 *
 * Elsewhere: close again and again, from any thread and inside the handler is
 * in test_library.c (close_wakes_all, many_close_at_once, close_in_the_handler,
 * end_in_the_handler_of_run, free_in_the_handler); requests that fail and
 * events one by one in test_change.c.
 */
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "far.h"

#define MAX_DEVICES	64	/* of the policy */
#define REST_MS		50

static const char policy[] =
	"[rule client]\n"
	"action = allow\n"
	"user = 65534\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"mac = chosen\n"	/* an administrator changes it */
	"address = 10.9.0.0/16, fd09::/32\n"
	"route = 10.0.0.0/8, fd00::/8\n"
	"mtu = 1280-9000\n"
	"max-devices = 64\n"
	"max-queues = 4\n"
	"max-addresses = 4\n"
	"max-routes = 8\n";

static const enum ttd_layer kinds[] = { TTD_TUN, TTD_TAP };
#define N_KINDS 2

static struct rig rig;
static int fds_before;

static void setup(void)
{
	client_begin(&rig, policy, false);
	fds_before = (int)count_fds();
}

static void teardown(void)
{
	client_end(&rig);
}

static struct ttd_device *open_device(enum ttd_layer layer, const char *name,
				      uint32_t flags)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_device *dev = NULL;
	struct ttd_error e = { .code = 0 };

	o.socket_path = rig.socket;
	o.name = name;
	o.flags = flags;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s: %s", e.step, e.text);
	return dev;
}

static void set_ip(struct ttd_device *dev, const char *address)
{
	struct ttd_prefix p = prefix(address);
	struct ttd_error e = { .code = 0 };

	ck_assert_msg(ttd_set_ip(dev, &p, &e) == 0, "%s: %s", e.step, e.text);
}

static void add_route(struct ttd_device *dev, const char *dst,
		      const char *gateway)
{
	struct ttd_route r = route(dst, gateway, 0);
	struct ttd_error e = { .code = 0 };

	ck_assert_msg(ttd_add_routes(dev, &r, 1, &e) == 0, "%s: %s", e.step,
		      e.text);
}

/* Gives the device a far end. */
static void attach(struct far *far, struct ttd_device *dev,
		   enum ttd_layer layer)
{
	*far = (struct far){ .layer = layer, .send = far_send_to_device,
			     .to = dev };
	ck_assert_int_eq(ttd_set_handler(dev, far_end, far), 0);
}

/* On Ethernet an IPv6 address is tentative for a second or two... */
static void settle(const char *name)
{
	ck_soon(sh_status("! ip -6 addr show dev %s | grep -q tentative",
			  name) == 0);
}

/* ...and the far end answers no neighbour discovery. */
static void know_neighbour(enum ttd_layer layer, const char *address)
{
	if (layer == TTD_TAP)
		ck_admin("ip neigh replace %s lladdr 02:00:00:00:00:99 dev tt0",
			 address);
}

static void end(struct ttd_device *dev)
{
	ttd_free(dev);
	/* The kernel may take a moment to forget a thread's fd. */
	ck_soon((int)count_fds() == fds_before);
}

/* --- the rows ----------------------------------------------------------- */

START_TEST(row_name_asked_for)
{
	static const char fits[] = "tt3456789012345", long_[] =
			  "tt34567890123456";
	struct ttd_options o = TTD_OPTIONS_INIT(kinds[_i]);
	struct ttd_device *dev = open_device(kinds[_i], fits, 0);
	struct ttd_device *none = NULL;
	struct ttd_error e;
	char name[TTD_NAME_MAX];

	ck_assert_uint_eq(strlen(fits), TTD_NAME_MAX - 1);
	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_str_eq(name, fits);
	ck_assert_uint_ne(if_nametoindex(fits), 0);
	ck_assert_uint_eq(if_nametoindex(fits), ttd_ifindex(dev));
	o.socket_path = rig.socket;
	o.name = long_;
	ck_assert_int_eq(ttd_open(&o, &none, &e), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_str_ne(e.text, "");
	end(dev);
}
END_TEST

START_TEST(row_name_chosen)
{
	struct ttd_device *a = open_device(kinds[_i], NULL, 0);
	struct ttd_device *b = open_device(kinds[_i], "", 0);
	char name[TTD_NAME_MAX];

	ck_assert_int_eq(ttd_name(a, name), 0);
	ck_assert_str_eq(name, "tt0");
	ck_assert_int_eq(ttd_name(b, name), 0);
	ck_assert_str_eq(name, "tt1");
	ck_assert_uint_eq(if_nametoindex("tt1"), ttd_ifindex(b));
	ttd_free(a);
	end(b);
}
END_TEST

/* Numbers in datagrams; and each buffer is written to, all of it. */
#define NUMBERS		200
#define NUMBERS_AT_ONCE	50	/* what a device's queue holds for sure */

struct numbers {
	enum ttd_layer layer;
	struct far far;		/* for ARP */
	atomic_uint seen[NUMBERS], all;
};

static int take_number(void *arg, void *buf, size_t len)
{
	struct numbers *n = arg;
	uint8_t *ip = ip_packet(n->layer, buf, len);
	uint8_t *udp = udp_in(ip, ip ? len - (size_t)(ip - (uint8_t *)buf) : 0);

	if (!udp)
		return far_end(&n->far, buf, len);
	ck_assert_uint_lt(udp[UDP_HEADER], NUMBERS);
	n->seen[udp[UDP_HEADER]]++;
	memset(buf, 0xee, len);
	n->all++;
	return -EIO;		/* is ignored */
}

START_TEST(row_handler_gets_each_packet)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	static struct numbers n;
	int s;

	set_ip(dev, "10.9.0.1/24");
	n.layer = kinds[_i];
	n.far = (struct far){ .layer = kinds[_i], .send = far_send_to_device,
			      .to = dev };
	ck_assert_int_eq(ttd_set_handler(dev, take_number, &n), 0);
	s = udp_to("10.9.0.77");
	for (unsigned i = 0; i < NUMBERS; i++) {
		uint8_t number = (uint8_t)i;

		/* The first one may have to wait for ARP. */
		if (i % NUMBERS_AT_ONCE == 0 || i == 1)
			ck_soon(n.all == i);
		ck_assert_int_eq(send(s, &number, 1, 0), 1);
	}
	ck_soon(n.all == NUMBERS);
	for (unsigned i = 0; i < NUMBERS; i++)
		ck_assert_msg(n.seen[i] == 1, "datagram %u came %u times", i,
			      n.seen[i]);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	close(s);
	end(dev);
}
END_TEST

/* Packets that nobody has sent before: from 10.9.0.77 to a socket here. */
#define SENDERS		4
#define EACH_SENDS	32	/* all fit into a socket's buffer */
#define FROM_PORT	4242

static size_t make_packet(struct ttd_device *dev, enum ttd_layer layer,
			  uint8_t *buf, uint8_t payload)
{
	uint8_t *ip = buf + (layer == TTD_TAP ? ETHER_HEADER : 0);
	const uint8_t header[IPV4_HEADER + UDP_HEADER + 1] = {
		0x45, 0, 0, IPV4_HEADER + UDP_HEADER + 1, 0, 0, 0, 0, 64,
		IPPROTO_UDP, 0, 0, 10, 9, 0, 77, 10, 9, 0, 1,
		FROM_PORT >> 8, FROM_PORT & 0xff, ECHO_PORT >> 8,
		ECHO_PORT & 0xff, 0, UDP_HEADER + 1, 0, 0, payload,
	};
	uint32_t sum = 0;

	memcpy(ip, header, sizeof(header));
	for (unsigned i = 0; i < IPV4_HEADER; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	if (layer == TTD_TUN)
		return sizeof(header);
	ck_assert_int_eq(ttd_hwaddr(dev, buf), 0);
	memcpy(buf + MAC_BYTES, far_mac, MAC_BYTES);
	buf[ETHER_TYPE_AT] = 0x08;
	buf[ETHER_TYPE_AT + 1] = 0x00;
	return ETHER_HEADER + sizeof(header);
}

struct sender {
	struct ttd_device *dev;
	enum ttd_layer layer;
	unsigned number;
	pthread_t thread;
};

static void *send_each(void *arg)
{
	struct sender *s = arg;
	uint8_t buf[64];

	for (unsigned i = 0; i < EACH_SENDS; i++) {
		size_t len = make_packet(s->dev, s->layer, buf, (uint8_t)
					 (s->number * EACH_SENDS + i));

		ck_assert_int_eq(ttd_send(s->dev, buf, len), 0);
	}
	return NULL;
}

static int udp_here(const char *address)
{
	struct ttd_prefix p = prefix(address);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(ECHO_PORT) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&a.sin_addr, p.ip, sizeof(a.sin_addr));
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

START_TEST(row_send_from_many_threads)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct sender senders[SENDERS];
	bool seen[SENDERS * EACH_SENDS] = { false };
	int s;

	set_ip(dev, "10.9.0.1/24");
	s = udp_here("10.9.0.1");
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ dev, kinds[_i], i, 0 };
		pthread_create(&senders[i].thread, NULL, send_each,
			       &senders[i]);
	}
	for (unsigned i = 0; i < SENDERS * EACH_SENDS; i++) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		uint8_t number[2];

		ck_assert_msg(readable(s, DEADLINE_MS), "only %u came", i);
		ck_assert_int_eq(recvfrom(s, number, 2, 0,
					  (struct sockaddr *)&from, &size), 1);
		ck_assert_int_eq(from.sin_port, htons(FROM_PORT));
		ck_assert_uint_lt(number[0], SENDERS * EACH_SENDS);
		ck_assert(!seen[number[0]]);
		seen[number[0]] = true;
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	ck_assert(!readable(s, 0));
	close(s);
	end(dev);
}
END_TEST

START_TEST(row_hwaddr)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct ttd_netdev d = ttd_netdev(dev);
	uint8_t mac[MAC_BYTES] = { 0 };

	if (kinds[_i] == TTD_TUN) {
		ck_assert_int_eq(ttd_hwaddr(dev, mac), -EOPNOTSUPP);
		ck_assert_int_eq(ttd_netdev_hwaddr(d, mac), -EOPNOTSUPP);
	} else {
		ck_assert_int_eq(ttd_hwaddr(dev, mac), 0);
		ck_assert_msg((mac[0] & 1) == 0, "a MAC of many");
		ck_admin("ip link set tt0 address 02:01:02:03:04:05");
		ck_assert_int_eq(ttd_hwaddr(dev, mac), 0);
		ck_assert_mem_eq(mac, "\2\1\2\3\4\5", MAC_BYTES);
		ck_assert_int_eq(ttd_netdev_hwaddr(d, mac), 0);
		ck_assert_mem_eq(mac, "\2\1\2\3\4\5", MAC_BYTES);
	}
	end(dev);
}
END_TEST

/* It configures, brings up, and packets flow. */
START_TEST(row_set_ip)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, TTD_DOWN);
	struct far far;

	attach(&far, dev, kinds[_i]);
	ck_sh("ip link show dev tt0 | grep -q 'state DOWN'");
	set_ip(dev, "10.9.0.1/24");
	ck_sh("ip link show dev tt0 | grep -qw LOWER_UP");
	echo_from("10.9.0.77");
	set_ip(dev, "fd09::1/64");
	ck_sh("ip addr show dev tt0 | grep -q 'inet 10.9.0.1/24'");
	ck_sh("ip addr show dev tt0 | grep -q 'inet6 fd09::1/64'");
	settle("tt0");
	know_neighbour(kinds[_i], "fd09::77");
	echo_from("fd09::77");
	echo_from("10.9.0.77");
	ck_assert_uint_eq(far.datagrams, 3);
	ck_assert_uint_eq(far.failed, 0);
	end(dev);
}
END_TEST

/* A device that is down is brought up by an IPv6 address alone, too. */
START_TEST(row_set_ip_with_ipv6_alone)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, TTD_DOWN);
	struct far far;

	attach(&far, dev, kinds[_i]);
	set_ip(dev, "fd09::1/64");
	ck_sh("ip link show dev tt0 | grep -qw LOWER_UP");
	settle("tt0");
	know_neighbour(kinds[_i], "fd09::77");
	echo_from("fd09::77");
	end(dev);
}
END_TEST

static void ck_addr(struct ttd_device *dev, const char *expected)
{
	struct ttd_prefix p;
	char text[TTD_PREFIX_TEXT_MAX];

	ck_assert_int_eq(ttd_netdev_addr(ttd_netdev(dev), &p), 0);
	ck_assert_int_gt(ttd_prefix_format(&p, text, sizeof(text)), 0);
	ck_assert_str_eq(text, expected);
}

START_TEST(row_addr_and_set_addr)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct ttd_prefix p = prefix("10.9.5.1/16");
	char *before;

	ck_assert_int_eq(ttd_netdev_addr(ttd_netdev(dev), &p),
			 -EADDRNOTAVAIL);
	set_ip(dev, "fd09::1/64");
	ck_addr(dev, "fd09::1/64");
	set_ip(dev, "10.9.0.1/24");
	ck_addr(dev, "10.9.0.1/24");
	set_ip(dev, "fd09::2/64");
	ck_addr(dev, "10.9.0.1/24");
	settle("tt0");
	/* It is stored, and that is all. */
	before = host_state();
	ck_assert_int_eq(ttd_netdev_set_addr(ttd_netdev(dev), &p), 0);
	ck_addr(dev, "10.9.5.1/16");
	host_unchanged(before);
	end(dev);
}
END_TEST

START_TEST(row_add_route)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct far far;

	attach(&far, dev, kinds[_i]);
	set_ip(dev, "10.9.0.1/24");
	set_ip(dev, "fd09::1/64");
	add_route(dev, "10.20.0.0/16", NULL);
	add_route(dev, "10.21.0.0/16", "10.9.0.9");
	add_route(dev, "fd20::/32", NULL);
	add_route(dev, "fd21::/32", "fd09::9");
	ck_sh("ip route get 10.20.3.4 | grep -q '^10.20.3.4 dev tt0 '");
	ck_sh("ip route get 10.21.3.4 | grep -q 'via 10.9.0.9 dev tt0 '");
	settle("tt0");
	ck_sh("ip -6 route get fd20::3 | grep -q '^fd20::3 from :: dev tt0 '");
	ck_sh("ip -6 route get fd21::3 | grep -q 'via fd09::9 dev tt0 '");
	know_neighbour(kinds[_i], "fd20::3");
	know_neighbour(kinds[_i], "fd09::9");
	echo_from("10.20.3.4");
	echo_from("10.21.3.4");
	echo_from("fd20::3");
	echo_from("fd21::3");
	ck_assert_uint_eq(far.datagrams, 4);
	end(dev);
}
END_TEST

#define LARGE_MTU	9000
#define MTU_REFUSED	9001

START_TEST(row_set_mtu)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct ttd_error e;
	struct far far;
	uint32_t mtu = 0;
	int s;

	attach(&far, dev, kinds[_i]);
	set_ip(dev, "10.9.0.1/24");
	ck_assert_int_eq(ttd_set_mtu(dev, LARGE_MTU, NULL), 0);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, LARGE_MTU);
	ck_sh("ip link show dev tt0 | grep -qw 'mtu 9000'");
	s = udp_to("10.9.0.77");
	echoes(s, LARGE_MTU - IPV4_HEADER - UDP_HEADER);
	ck_assert_uint_eq(far.longest, LARGE_MTU);
	ck_assert_int_eq(ttd_set_mtu(dev, MTU_REFUSED, &e), -EACCES);
	ck_assert_ptr_nonnull(strstr(e.rule, ":"));
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, LARGE_MTU);
	/* What someone else has set is read back as well. */
	ck_admin("ip link set tt0 mtu 1300");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1300);
	close(s);
	end(dev);
}
END_TEST

/* Done() and its cause; the wake of blocked calls is in test_library.c. */
START_TEST(row_done)
{
	struct ttd_device *mine = open_device(kinds[_i], "tt1", 0);
	struct ttd_device *theirs = open_device(kinds[_i], "tt2", 0);
	struct ttd_error why;

	ck_assert_int_eq(ttd_status(mine, &why), TTD_OPEN);
	ck_assert_int_eq(why.code, 0);
	ck_assert_str_eq(why.text, "");
	ck_assert(!readable(ttd_done_fd(mine), 0));
	ck_assert_int_eq(ttd_close(mine), 0);
	ck_assert(readable(ttd_done_fd(mine), 0));
	ck_assert_int_eq(ttd_status(mine, &why), TTD_CLOSED);
	ck_assert_int_eq(why.code, 0);
	ck_assert_uint_eq(if_nametoindex("tt1"), 0);

	ck_assert(!readable(ttd_done_fd(theirs), 0));
	ck_admin("ip link del tt2");
	ck_assert(readable(ttd_done_fd(theirs), DEADLINE_MS));
	ck_assert_int_eq(ttd_status(theirs, &why), TTD_DELETED);
	ck_assert_int_eq(why.code, -ENODEV);
	ck_assert_str_ne(why.text, "");
	ck_assert_int_eq(ttd_close(theirs), 0);
	ck_assert(readable(ttd_done_fd(theirs), 0));
	ck_assert_int_eq(ttd_status(theirs, NULL), TTD_DELETED);
	ttd_free(mine);
	end(theirs);
}
END_TEST

static int far_inject(void *pipe, void *buf, size_t len)
{
	return ttd_pipe_inject(pipe, buf, len);
}

/* The far end of the device is that of a pipe, to which it is wired. */
START_TEST(row_connect_pipe_inject)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct far far = { .layer = kinds[_i], .send = far_inject };
	uint8_t buf[64];
	struct ttd_pipe *pipe, *other;
	int s;

	ck_assert_int_eq(ttd_pipe_new(kinds[_i], NULL, far_end, &far, &pipe),
			 0);
	ck_assert_int_eq(ttd_pipe_new(kinds[!_i], NULL, NULL, NULL, &other),
			 0);
	far.to = pipe;
	ck_assert_int_eq(ttd_connect(ttd_netdev(dev), ttd_pipe_netdev(other)),
			 -EINVAL);
	ck_assert_int_eq(ttd_connect(ttd_netdev(dev), ttd_pipe_netdev(pipe)),
			 0);
	set_ip(dev, "10.9.0.1/24");
	echo_from("10.9.0.77");
	ck_assert_uint_eq(far.datagrams, 1);
	ck_assert_uint_eq(far.failed, 0);
	/* What nobody has asked for goes the same way. */
	s = udp_here("10.9.0.1");
	ck_assert_int_eq(ttd_pipe_inject(pipe, buf, make_packet(dev, kinds[_i],
								buf, 'x')), 0);
	ck_assert(readable(s, DEADLINE_MS));
	ck_assert_int_eq(recv(s, buf, sizeof(buf), 0), 1);
	ck_assert_uint_eq(buf[0], 'x');
	close(s);

	ttd_close(dev);
	ck_assert_int_eq(ttd_pipe_inject(pipe, buf, 40), -ESHUTDOWN);
	ttd_netdev_set_handler(ttd_pipe_netdev(pipe), NULL, NULL);
	ttd_free(dev);
	ttd_pipe_free(other);
	ttd_pipe_free(pipe);
	ck_soon((int)count_fds() == fds_before);
}
END_TEST

/* --- several threads ---------------------------------------------------- */

#define ROUNDS		20
#define SENDS_BEFORE	100

struct racer {
	struct ttd_device *dev;
	enum ttd_layer layer;
	bool batch;
	atomic_bool *closed;	/* ttd_close() is back */
	atomic_uint sent;
	int last;
	bool late;		/* it was sent after that */
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	uint8_t buf[64];
	size_t len = make_packet(r->dev, r->layer, buf, 1);
	struct ttd_packet packets[2] = {
		{ .data = buf, .len = (uint32_t)len },
		{ .data = buf, .len = (uint32_t)len },
	};

	do {
		bool closed = atomic_load(r->closed);

		r->last = r->batch ? ttd_send_batch(r->dev, 0, packets, 2) :
			  ttd_send(r->dev, buf, len);
		if (closed && r->last >= 0)
			r->late = true;
		r->sent += r->last >= 0;
	} while ((r->last >= 0 || r->last == -EAGAIN) && !r->late);
	return NULL;
}

START_TEST(two_threads_send_while_a_third_closes)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct ttd_device *dev = open_device(kinds[_i], "tt0", 0);
		atomic_bool closed = false;
		struct racer r[2];

		set_ip(dev, "10.9.0.1/24");
		for (unsigned i = 0; i < 2; i++) {
			r[i] = (struct racer){ dev, kinds[_i], i == 1, &closed,
					       0, 0, false, 0 };
			pthread_create(&r[i].thread, NULL, race, &r[i]);
		}
		ck_soon(r[0].sent > SENDS_BEFORE && r[1].sent > SENDS_BEFORE);
		ck_assert_int_eq(ttd_close(dev), 0);
		ck_assert_uint_eq(if_nametoindex("tt0"), 0);
		closed = true;
		for (unsigned i = 0; i < 2; i++) {
			pthread_join(r[i].thread, NULL);
			ck_assert_int_eq(r[i].last, -ESHUTDOWN);
			ck_assert(!r[i].late);
		}
		end(dev);
	}
}
END_TEST

/*
 * The host floods a device.  Its handlers come and go, directly and by being
 * wired to a pipe and back, while another thread asks the daemon for things.
 */
#define SWAPS		200
#define FLOOD_AT_ONCE	8

static atomic_bool flooding;

static void *flood(void *unused)
{
	int s = udp_to("10.9.0.77");

	(void)unused;
	while (flooding) {
		for (int i = 0; i < FLOOD_AT_ONCE; i++)
			(void)!send(s, "flood", 5, MSG_DONTWAIT);
		sched_yield();
	}
	close(s);
	return NULL;
}

static void *ask_for_things(void *dev)
{
	for (uint32_t mtu = 1280; flooding; mtu = mtu == 1280 ? 1400 : 1280) {
		uint32_t now = 0;

		ck_assert_int_eq(ttd_set_mtu(dev, mtu, NULL), 0);
		ck_assert_int_eq(ttd_get_mtu(dev, &now), 0);
		ck_assert_uint_eq(now, mtu);
	}
	return NULL;
}

struct life {
	struct far far;
	atomic_bool live;
	atomic_uint calls, late;
};

static int living(void *arg, void *buf, size_t len)
{
	struct life *l = arg;

	l->late += !l->live;
	l->calls++;
	far_end(&l->far, buf, len);
	l->late += !l->live;
	return 0;
}

START_TEST(handlers_are_swapped_under_load)
{
	struct ttd_device *dev = open_device(kinds[_i], NULL, 0);
	struct life l[2] = { { .live = false } };
	struct ttd_pipe *pipe;
	pthread_t flooder, asker;

	for (unsigned i = 0; i < 2; i++)
		l[i].far = (struct far){ .layer = kinds[_i], .to = dev,
					 .send = far_send_to_device };
	ck_assert_int_eq(ttd_pipe_new(kinds[_i], NULL, living, &l[1], &pipe),
			 0);
	set_ip(dev, "10.9.0.1/24");
	flooding = true;
	pthread_create(&flooder, NULL, flood, NULL);
	pthread_create(&asker, NULL, ask_for_things, dev);
	for (unsigned i = 0; i < SWAPS; i++) {
		unsigned calls = l[i % 2].calls;

		l[i % 2].live = true;
		if (i % 2)
			ck_assert_int_eq(ttd_connect(ttd_netdev(dev),
						     ttd_pipe_netdev(pipe)), 0);
		else
			ck_assert_int_eq(ttd_set_handler(dev, living, &l[0]),
					 0);
		l[!(i % 2)].live = false;
		ck_soon(l[i % 2].calls > calls);
	}
	flooding = false;
	pthread_join(flooder, NULL);
	pthread_join(asker, NULL);
	ck_assert_uint_eq(l[0].late + l[1].late, 0);
	ttd_netdev_set_handler(ttd_pipe_netdev(pipe), NULL, NULL);
	ttd_free(dev);
	ttd_pipe_free(pipe);
	ck_soon((int)count_fds() == fds_before);
}
END_TEST

/* --- many devices ------------------------------------------------------- */

static void *no_work(void *unused)
{
	return unused;
}

/* The process's threads. */
static int n_threads(void)
{
	char *text = sh("ls /proc/%d/task | wc -l", (int)getpid());
	int n = (int)strtol(text, NULL, 10);

	free(text);
	return n;
}

static void ck_next_event(struct ttd_device *dev, uint32_t type,
			  uint32_t value)
{
	struct ttd_event e = TTD_EVENT_INIT;

	ck_assert_int_eq(ttd_next_event(dev, &e, DEADLINE_MS), 0);
	ck_assert_uint_eq(e.type, type);
	ck_assert_uint_eq(e.value, value);
}

static struct many {
	struct ttd_device *dev;
	struct far far;
	char address[32], peer[32];
} many[MAX_DEVICES];

START_TEST(sixty_four_devices_in_one_process)
{
	const int first_mtu = 1300;
	pthread_t first;
	int threads;

	/* The thread sanitizer makes its own with the first one of ours. */
	ck_assert_int_eq(pthread_create(&first, NULL, no_work, NULL), 0);
	pthread_join(first, NULL);
	/* One that was joined may be seen a little longer. */
	sleep_ms(REST_MS);
	threads = n_threads();
	for (int i = 0; i < MAX_DEVICES; i++) {
		struct many *m = &many[i];

		snprintf(m->address, sizeof(m->address), "10.9.%d.1/24", i);
		snprintf(m->peer, sizeof(m->peer), "10.9.%d.77", i);
		m->dev = open_device(kinds[i % N_KINDS], NULL, 0);
		set_ip(m->dev, m->address);
		attach(&m->far, m->dev, kinds[i % N_KINDS]);
	}
	/* One each for the packets, and one that listens for all. */
	ck_soon(n_threads() == threads + MAX_DEVICES + 1);
	for (int i = 0; i < MAX_DEVICES; i++) {
		echo_from(many[i].peer);
		ck_assert_uint_eq(many[i].far.datagrams, 1);
	}
	ck_admin("for i in $(seq 0 %d); do "
		 "ip link set tt$i mtu $((%d + i)) || exit 1; done",
		 MAX_DEVICES - 1, first_mtu);
	for (int i = 0; i < MAX_DEVICES; i++)
		ck_next_event(many[i].dev, TTD_EVENT_MTU,
			      (uint32_t)(first_mtu + i));
	/* In another order than they were made. */
	for (int i = 0; i < MAX_DEVICES; i += 2)
		ttd_free(many[i].dev);
	for (int i = 1; i < MAX_DEVICES; i += 2)
		echo_from(many[i].peer);
	for (int i = MAX_DEVICES - 1; i > 0; i -= 2)
		ttd_free(many[i].dev);
	ck_soon((int)count_fds() == fds_before);
	ck_soon(n_threads() == threads);
	ck_sh("! ip -o link | grep -q ': tt[0-9]'");
}
END_TEST

START_TEST(one_device_more_than_allowed)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *none = NULL;

	for (int i = 0; i < MAX_DEVICES; i++)
		many[i].dev = open_device(TTD_TUN, NULL, 0);
	o.socket_path = rig.socket;
	ck_assert_int_eq(ttd_open(&o, &none, NULL), -EDQUOT);
	ttd_free(many[0].dev);
	/* The daemon may learn of it a moment later. */
	ck_soon(ttd_open(&o, &none, NULL) == 0);
	ttd_free(none);
	for (int i = 1; i < MAX_DEVICES; i++)
		ttd_free(many[i].dev);
}
END_TEST

/* --- children ----------------------------------------------------------- */

enum child { CHILD_FREES, CHILD_EXITS, CHILD_KEEPS_THE_FDS, N_CHILDREN };

static pid_t fork_child(enum child what, struct ttd_device *dev)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (what == CHILD_FREES)
		ttd_free(dev);
	if (what == CHILD_KEEPS_THE_FDS)
		pause();
	_exit(0);
}

/* Whatever the child does, its parent has all of the device. */
START_TEST(a_parent_goes_on_after_fork)
{
	struct ttd_device *dev = open_device(kinds[_i % N_KINDS], NULL, 0);
	enum child what = (enum child)(_i / N_KINDS);
	uint32_t mtu = 0;
	struct far far;
	int status;
	pid_t pid;

	set_ip(dev, "10.9.0.1/24");
	attach(&far, dev, kinds[_i % N_KINDS]);
	echo_from("10.9.0.77");
	pid = fork_child(what, dev);
	if (what != CHILD_KEEPS_THE_FDS) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	echo_from("10.9.0.77");
	set_ip(dev, "10.9.1.1/24");
	echo_from("10.9.1.77");
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1400);
	ck_admin("ip link set tt0 mtu 1300");
	ck_next_event(dev, TTD_EVENT_MTU, 1300);
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert(readable(ttd_done_fd(dev), 0));
	if (what == CHILD_KEEPS_THE_FDS) {
		ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		link_goes("tt0");
	}
	ck_assert_uint_eq(if_nametoindex("tt0"), 0);
	end(dev);
}
END_TEST

/* --- the end inside a handler, and the thread that listens --------------- */

struct ending {
	struct far far;
	atomic_bool go, gone;
};

static int free_it(void *arg, void *buf, size_t len)
{
	struct ending *e = arg;

	if (!e->go)
		return far_end(&e->far, buf, len);
	if (!e->gone) {
		ttd_free(e->far.to);
		e->gone = true;
	}
	return 0;
}

/* Any other packet may have been the device's end before. */
static void *push_a_datagram(void *sock)
{
	(void)!send(*(int *)sock, "x", 1, 0);
	return NULL;
}

static bool last_mtu_told(struct ttd_device *dev, uint32_t mtu)
{
	struct ttd_event e = TTD_EVENT_INIT;

	return ttd_next_event(dev, &e, 0) == 0 && e.type == TTD_EVENT_MTU &&
	       e.value == mtu;
}

/* Events of both devices come while one of them frees itself. */
START_TEST(a_handler_frees_while_events_come)
{
	struct ttd_device *stays = open_device(kinds[_i], "ttstays", 0);
	int fds = (int)count_fds();

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct ttd_device *dev = open_device(kinds[_i], "tt0", 0);
		struct ending e = {
			.far = { .layer = kinds[_i], .to = dev,
				 .send = far_send_to_device },
		};
		pthread_t pusher;
		int sock;

		set_ip(dev, "10.9.0.1/24");
		ck_assert_int_eq(ttd_set_handler(dev, free_it, &e), 0);
		sock = udp_to("10.9.0.77");
		echoes(sock, 1);
		e.go = true;
		pthread_create(&pusher, NULL, push_a_datagram, &sock);
		/* tt0 may be gone before all of it is done. */
		rights(true);
		sh_status("for i in 1 2 3 4; do "
			  "ip link set tt0 mtu 130$i 2>/dev/null; "
			  "ip link set ttstays mtu 130$i; done");
		rights(false);
		pthread_join(pusher, NULL);
		close(sock);
		ck_soon(e.gone);
		ck_soon((int)count_fds() == fds);
		ck_assert_int_eq(ttd_status(stays, NULL), TTD_OPEN);
		ck_soon(last_mtu_told(stays, 1304));
		ck_assert_int_eq(ttd_set_mtu(stays, 1400, NULL), 0);
	}
	end(stays);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("API");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, row_name_asked_for, 0, N_KINDS);
	tcase_add_loop_test(t, row_name_chosen, 0, N_KINDS);
	tcase_add_loop_test(t, row_handler_gets_each_packet, 0, N_KINDS);
	tcase_add_loop_test(t, row_send_from_many_threads, 0, N_KINDS);
	tcase_add_loop_test(t, row_hwaddr, 0, N_KINDS);
	tcase_add_loop_test(t, row_set_ip, 0, N_KINDS);
	tcase_add_loop_test(t, row_set_ip_with_ipv6_alone, 0, N_KINDS);
	tcase_add_loop_test(t, row_addr_and_set_addr, 0, N_KINDS);
	tcase_add_loop_test(t, row_add_route, 0, N_KINDS);
	tcase_add_loop_test(t, row_set_mtu, 0, N_KINDS);
	tcase_add_loop_test(t, row_done, 0, N_KINDS);
	tcase_add_loop_test(t, row_connect_pipe_inject, 0, N_KINDS);
	tcase_add_loop_test(t, two_threads_send_while_a_third_closes, 0,
			    N_KINDS);
	tcase_add_loop_test(t, handlers_are_swapped_under_load, 0, N_KINDS);
	tcase_add_test(t, sixty_four_devices_in_one_process);
	tcase_add_test(t, one_device_more_than_allowed);
	tcase_add_loop_test(t, a_parent_goes_on_after_fork, 0,
			    N_CHILDREN * N_KINDS);
	tcase_add_loop_test(t, a_handler_frees_while_events_come, 0, N_KINDS);
	suite_add_tcase(s, t);
	return live_main("api", s);
}
