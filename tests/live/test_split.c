/*
 * Offload SPLIT, which programs have that never heard of offload: between two
 * hosts, each with a device of a program that carries packets from one to the
 * other and looks at each, they exchange TCP and UDP; and the kernels are seen
 * to have been given super-packets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../rings.h"
#include "harness.h"
#include "stream.h"

#define PORT		7000
#define MTU		1500
#define ETHER		14
#define SEGMENT		1000
#define SEGMENTS	20
#define PACKET_LONGEST	65557
#define PATIENCE_S	5
#define SOON_MS		1000

static const char policy[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun, tap\nname = tt*\n"
	"address = 10.9.0.0/16, fd09::/32\noffload = yes\nmax-devices = 4\n"
	"max-addresses = 2\n";

enum way { BY_RECV, BY_BATCH, BY_HANDLER, BY_WIRE, N_WAYS };

static const struct {
	enum ttd_layer layer;
	bool v6;
} kinds[] = {
	{ TTD_TUN, false }, { TTD_TUN, true },
	{ TTD_TAP, false }, { TTD_TAP, true },
};
#define N_KINDS	4

static struct rig rigs[2];
static struct ttd_device *devs[2];
static int homes[2];
static enum ttd_layer layer;
static uint32_t flags;		/* of the options; 0 or TTD_IO_URING */
static bool v6;
static enum way way;
static pthread_t carriers[2];
static atomic_bool stop;
static atomic_ulong seen[2], long_ones, wrong_ones;

/* --- two hosts ---------------------------------------------------------- */

static struct ttd_device *open_device(const struct rig *by, int host)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr a[2];
	struct ttd_device *opened = NULL;
	char text[32];
	struct ttd_error e;

	memset(a, 0, sizeof(a));
	snprintf(text, sizeof(text), "10.9.0.%d/24", host + 1);
	a[0].local = prefix(text);
	snprintf(text, sizeof(text), "fd09::%d/64", host + 1);
	a[1].local = prefix(text);
	a[1].flags = TTD_ADDR_NODAD;
	o.socket_path = by->socket;
	o.name = "tt0";
	o.flags = flags;
	o.addrs = a;
	o.n_addrs = 2;
	ck_assert_msg(ttd_open(&o, &opened, &e) == 0, "%s", e.text);
	return opened;
}

static bool is_ready(void *unused)
{
	(void)unused;
	return sh_status("ip -6 route show table local dev tt0 | "
			 "grep -q '^local fd09::'") == 0;
}

static void go_to(int host)
{
	ck_assert_int_eq(setns(homes[host], CLONE_NEWNET), 0);
}

static void begin(int kind, const char *with_policy)
{
	struct rig_options ro = { .policy = with_policy };

	layer = kinds[kind].layer;
	v6 = kinds[kind].v6;
	rig_namespaces(NODE_CLOSED);
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
		homes[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		rig_start(&rigs[i], &ro);
		devs[i] = open_device(&rigs[i], i);
		/* IPv6 is ready a little later, from a workqueue. */
		ck_assert(eventually(is_ready, NULL));
	}
}

static void end(void)
{
	for (int i = 0; i < 2; i++) {
		go_to(i);
		ttd_free(devs[i]);
		rig_end(&rigs[i]);
		close(homes[i]);
	}
}

/* What the host's device has counted. */
static unsigned long counted(int host, const char *what)
{
	char *text;
	unsigned long n;

	go_to(host);
	text = sh("ip -j -s link show dev tt0 | grep -o '\"%s\":{[^}]*}' | "
		  "grep -o '\"packets\":[0-9]*' | cut -d: -f2", what);
	n = strtoul(text, NULL, 10);
	free(text);
	return n;
}

/* --- the program in between --------------------------------------------- */

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (n % 2)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Is it a packet as one meets them on a wire, with all its checksums right? */
static bool is_right(const uint8_t *p, size_t len)
{
	size_t at = layer == TTD_TAP ? ETHER : 0, header, total;
	uint8_t protocol, pseudo[4] = { 0 };
	uint32_t sum;

	if (layer == TTD_TAP && p[12] == 0x08 && p[13] == 0x06)
		return true;		/* ARP */
	p += at;
	len -= at;
	if (p[0] >> 4 == 4) {
		header = (p[0] & 15u) * 4;
		total = (size_t)(p[2] << 8 | p[3]);
		protocol = p[9];
		if (sum16(p, header, 0) != 0xffff)
			return false;
		sum = sum16(p + 12, 8, 0);
	} else {
		header = 40;
		total = header + (size_t)(p[4] << 8 | p[5]);
		protocol = p[6];
		sum = sum16(p + 8, 32, 0);
	}
	/* A TAP's frame may be padded. */
	if (total > len || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return total <= len;
	pseudo[1] = protocol;
	pseudo[2] = (uint8_t)((total - header) >> 8);
	pseudo[3] = (uint8_t)(total - header);
	sum = sum16(pseudo, 4, sum);
	return sum16(p + header, total - header, sum) == 0xffff;
}

static void look_at(int host, const uint8_t *p, size_t len)
{
	seen[host]++;
	if (len > MTU + (layer == TTD_TAP ? ETHER : 0))
		long_ones++;
	if (!is_right(p, len))
		wrong_ones++;
}

static void carry_one(int host)
{
	static __thread uint8_t buf[PACKET_LONGEST];
	ssize_t n = ttd_recv(devs[host], buf, sizeof(buf), 1);

	if (n <= 0)
		return;
	look_at(host, buf, (size_t)n);
	ttd_send(devs[!host], buf, (size_t)n);
}

static void carry_batch(int host)
{
	struct ttd_packet p[TTD_BATCH_MAX];
	int n = ttd_recv_batch(devs[host], 0, p, TTD_BATCH_MAX, 1);

	for (int i = 0; i < n; i++) {
		ck_assert_uint_eq(p[i].gso_type, TTD_GSO_NONE);
		ck_assert_uint_eq(p[i].flags, TTD_PKT_HEADROOM);
		look_at(host, p[i].data, p[i].len);
	}
	for (int done = 0; done < n; ) {
		int r = ttd_send_batch(devs[!host], 0, p + done,
				       (unsigned)(n - done));

		if (r < 0)
			break;
		done += r;
	}
}

static void *carry(void *arg)
{
	int host = (int)(intptr_t)arg;

	while (!stop) {
		if (way == BY_RECV)
			carry_one(host);
		else
			carry_batch(host);
	}
	return NULL;
}

static int handle(void *arg, void *buf, size_t len)
{
	int host = (int)(intptr_t)arg;

	look_at(host, buf, len);
	return ttd_send(devs[!host], buf, len);
}

static void start(enum way chosen)
{
	way = chosen;
	for (intptr_t i = 0; i < 2; i++) {
		if (way == BY_RECV || way == BY_BATCH)
			pthread_create(&carriers[i], NULL, carry, (void *)i);
		if (way == BY_HANDLER)
			ck_assert_int_eq(ttd_set_handler(devs[i], handle,
							 (void *)i), 0);
	}
	if (way == BY_WIRE)
		ck_assert_int_eq(ttd_connect(ttd_netdev(devs[0]),
					     ttd_netdev(devs[1])), 0);
}

static void finish(void)
{
	stop = true;
	for (int i = 0; i < 2; i++) {
		if (way == BY_RECV || way == BY_BATCH)
			pthread_join(carriers[i], NULL);
		else
			ttd_netdev_set_handler(ttd_netdev(devs[i]), NULL, NULL);
	}
}

/* --- what the hosts say to each other ----------------------------------- */

static socklen_t address_of(int host, struct sockaddr_storage *ret)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)ret;
	char text[32];

	memset(ret, 0, sizeof(*ret));
	if (v6) {
		snprintf(text, sizeof(text), "fd09::%d", host + 1);
		a6->sin6_family = AF_INET6;
		a6->sin6_port = htons(PORT);
		inet_pton(AF_INET6, text, &a6->sin6_addr);
		return sizeof(*a6);
	}
	snprintf(text, sizeof(text), "10.9.0.%d", host + 1);
	a4->sin_family = AF_INET;
	a4->sin_port = htons(PORT);
	inet_pton(AF_INET, text, &a4->sin_addr);
	return sizeof(*a4);
}

/* A socket of the host's, with its address, or on the way to the other's. */
static int make_socket(int host, int type, bool bound)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_storage a;
	socklen_t len;
	int sock;

	go_to(host);
	sock = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	len = address_of(bound ? host : !host, &a);
	if (bound)
		ck_assert_int_eq(bind(sock, (struct sockaddr *)&a, len), 0);
	else
		ck_assert_msg(connect(sock, (struct sockaddr *)&a, len) == 0,
			      "connect: %s", strerror(errno));
	return sock;
}

/* What is sent to it at once, to the other host, is cut into SEGMENTs. */
static int cutting_socket(void)
{
	const int size = SEGMENT;
	int sock = make_socket(0, SOCK_DGRAM, false);

	ck_assert_int_eq(setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &size,
				    sizeof(size)), 0);
	return sock;
}

/* A super-packet by that; the last byte of each of its packets is its number. */
static void send_numbered(int sock)
{
	static uint8_t sent[SEGMENTS * SEGMENT];

	for (int i = 1; i <= SEGMENTS; i++)
		sent[i * SEGMENT - 1] = (uint8_t)i;
	ck_assert_int_eq(send(sock, sent, sizeof(sent), 0), (int)sizeof(sent));
}

static void one_stream(void)
{
	int there = make_socket(1, SOCK_STREAM, true), here;
	pthread_t writer;

	ck_assert_int_eq(listen(there, 1), 0);
	here = make_socket(0, SOCK_STREAM, false);
	pthread_create(&writer, NULL, write_stream, &here);
	read_stream(accept(there, NULL, NULL));
	pthread_join(writer, NULL);
	close(here);
	close(there);
}

START_TEST_AND_WITH_RINGS(tcp_is_split_and_joined)
{
	unsigned long given, taken;

	begin(_i / N_WAYS, policy);
	start((enum way)(_i % N_WAYS));
	one_stream();
	finish();
	ck_assert_uint_eq(long_ones, 0);
	ck_assert_uint_eq(wrong_ones, 0);
	given = counted(0, "tx");
	taken = counted(1, "rx");
	if (way == BY_WIRE) {
		ck_assert_uint_lt(given, STREAM / MTU);
		ck_assert_uint_lt(taken, STREAM / MTU);
		end();
		return;
	}
	/* All of the stream in packets, of which the kernel gave fewer. */
	ck_assert_uint_ge(seen[0], STREAM / MTU);
	ck_assert_uint_lt(given, seen[0]);
	/* And got fewer, where the program sent several at a time. */
	if (way == BY_BATCH)
		ck_assert_uint_lt(taken, seen[0] - seen[0] / 4);
	else
		ck_assert_uint_ge(taken, STREAM / MTU);
	end();
}
END_TEST

/* Datagrams that the host sends and gets many at a time stay what they were. */
START_TEST_AND_WITH_RINGS(udp_is_split_and_joined)
{
	static uint8_t sent[SEGMENTS * SEGMENT], got[SEGMENT + 1];
	int there, here;

	begin(_i / N_WAYS, policy);
	start((enum way)(_i % N_WAYS));
	there = make_socket(1, SOCK_DGRAM, true);
	here = cutting_socket();
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = stream_byte(i);
	/* The last is shorter. */
	ck_assert_int_eq(send(here, sent, sizeof(sent) - 1, 0),
			 (int)sizeof(sent) - 1);
	for (size_t i = 0; i < SEGMENTS; i++) {
		ck_assert_int_eq(recv(there, got, sizeof(got), 0),
				 i < SEGMENTS - 1 ? SEGMENT : SEGMENT - 1);
		ck_assert_int_eq(memcmp(got, sent + i * SEGMENT, SEGMENT - 1),
				 0);
	}
	finish();
	ck_assert_uint_eq(long_ones, 0);
	ck_assert_uint_eq(wrong_ones, 0);
	if (way != BY_WIRE)
		ck_assert_uint_ge(seen[0], SEGMENTS);
	close(here);
	close(there);
	end();
}
END_TEST

#define NUMBERED	(SEGMENT + 28)	/* bytes, with IP's and UDP's headers */

/* Of a super-packet that the host sends the program reads the first, alone. */
static int begin_a_super_packet(void)
{
	int sock = cutting_socket();
	uint8_t buf[2048];
	ssize_t n;

	send_numbered(sock);
	/* The host has something of its own to say before, perhaps. */
	do
		n = ttd_recv(devs[0], buf, sizeof(buf), SOON_MS);
	while (n > 0 && n != NUMBERED);
	ck_assert_int_eq(n, NUMBERED);
	ck_assert_uint_eq(buf[n - 1], 1);
	return sock;
}

static uint8_t numbers[SEGMENTS + 1];
static atomic_uint n_numbers;

static int note(void *arg, void *buf, size_t len)
{
	(void)arg;
	/* The host's own chatter is shorter, or longer. */
	if (len == NUMBERED && n_numbers <= SEGMENTS)
		numbers[n_numbers++] = ((uint8_t *)buf)[len - 1];
	return 0;
}

/*
 * A super-packet is read one packet now and the others otherwise: they come in
 * order, and one for which there was no room is the only one that is lost.
 */
START_TEST(what_is_left_of_a_super_packet_is_not_lost)
{
	uint8_t buf[SEGMENT];
	struct ttd_packet p[5];
	int here;

	begin(0, policy);
	here = begin_a_super_packet();
	ck_assert_int_eq(ttd_recv(devs[0], buf, sizeof(buf), 0), -EMSGSIZE);
	ck_assert_int_eq(ttd_recv_batch(devs[0], 0, p, 5, 0), 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(((uint8_t *)p[i].data)[p[i].len - 1], i + 3);
	ck_assert_int_eq(ttd_set_handler(devs[0], note, NULL), 0);
	for (int i = 0; i < 1000 && n_numbers < SEGMENTS - 7; i++)
		sleep_ms(2);
	ck_assert_int_eq(ttd_set_handler(devs[0], NULL, NULL), 0);
	ck_assert_uint_eq(n_numbers, SEGMENTS - 7);
	for (unsigned i = 0; i < SEGMENTS - 7; i++)
		ck_assert_uint_eq(numbers[i], i + 8);
	close(here);
	end();
}
END_TEST

START_TEST_AND_WITH_RINGS(what_is_left_goes_over_the_wire)
{
	uint8_t buf[SEGMENT + 1];
	int there, here;

	begin(0, policy);
	there = make_socket(1, SOCK_DGRAM, true);
	here = begin_a_super_packet();
	ck_assert_int_eq(ttd_connect(ttd_netdev(devs[0]), ttd_netdev(devs[1])),
			 0);
	for (int i = 2; i <= SEGMENTS; i++) {
		ck_assert_int_eq(recv(there, buf, sizeof(buf), 0), SEGMENT);
		ck_assert_int_eq(buf[SEGMENT - 1], i);
	}
	ck_assert_int_eq(ttd_netdev_set_handler(ttd_netdev(devs[0]), NULL,
						NULL), 0);
	ck_assert_int_eq(ttd_netdev_set_handler(ttd_netdev(devs[1]), NULL,
						NULL), 0);
	close(here);
	close(there);
	end();
}
END_TEST

/* --- one who pulls and a handler, at the same time ---------------------- */

#define MEETINGS	200	/* super-packets, and handlers that come and go */

static atomic_uint came[SEGMENTS + 1];	/* of each number */
static atomic_uint pulled;

static int count_one(void *arg, void *buf, size_t len)
{
	uint8_t number = len > 0 ? ((uint8_t *)buf)[len - 1] : 0;

	(void)arg;
	/* What else the host says is no longer than a header. */
	if (len == NUMBERED && number <= SEGMENTS)
		came[number]++;
	return 0;
}

static void *pull(void *device)
{
	uint8_t buf[2048];

	while (!stop) {
		ssize_t n = ttd_recv(device, buf, sizeof(buf), 1);

		if (n > 0) {
			count_one(NULL, buf, (size_t)n);
			pulled++;
		} else if (n != -EAGAIN && n != -EBUSY && n != -ETIMEDOUT) {
			return "an error";
		}
	}
	return NULL;
}

static bool all_came(void *unused)
{
	(void)unused;
	for (unsigned i = 1; i <= SEGMENTS; i++)
		if (came[i] < MEETINGS)
			return false;
	return true;
}

/* Each packet comes to one of them, once, and as it was. */
START_TEST(a_handler_and_who_pulls_are_kept_apart)
{
	pthread_t puller;
	void *wrong;
	int here;

	begin(0, policy);
	here = cutting_socket();
	pthread_create(&puller, NULL, pull, devs[0]);
	for (int i = 0; i < MEETINGS; i++) {
		/* Some while there is a handler, some while there is none. */
		ck_assert_int_eq(ttd_set_handler(devs[0], i % 2 ? count_one :
						 NULL, NULL), 0);
		send_numbered(here);
		if (i % 4 > 1)
			sleep_ms(1);
	}
	ck_assert_int_eq(ttd_set_handler(devs[0], NULL, NULL), 0);
	ck_assert(eventually(all_came, NULL));
	stop = true;
	pthread_join(puller, &wrong);
	ck_assert_ptr_null(wrong);
	for (unsigned i = 1; i <= SEGMENTS; i++)
		ck_assert_uint_eq(came[i], MEETINGS);
	ck_assert_uint_gt(pulled, 0);
	close(here);
	end();
}
END_TEST

static const char without[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	"address = 10.9.0.0/16, fd09::/32\nmax-devices = 4\n"
	"max-addresses = 2\n";

START_TEST(without_the_policys_word_packets_are_bare)
{
	begin(0, without);
	ck_assert_int_eq(ttd_offload(devs[0]), TTD_OFFLOAD_NONE);
	go_to(0);
	ck_assert_int_eq(sh_status("ip -d link show dev tt0 | "
				   "grep -q 'vnet_hdr off'"), 0);
	start(BY_BATCH);
	one_stream();
	finish();
	ck_assert_uint_eq(long_ones, 0);
	ck_assert_uint_eq(wrong_ones, 0);
	ck_assert_uint_ge(counted(1, "rx"), STREAM / MTU);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("split");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tcp_is_split_and_joined, 0, N_KINDS * N_WAYS);
	tcase_add_loop_test(t, tcp_is_split_and_joined_with_rings, 0, N_WAYS);
	tcase_add_loop_test(t, udp_is_split_and_joined, 0, N_KINDS * N_WAYS);
	tcase_add_loop_test(t, udp_is_split_and_joined_with_rings, 0, N_WAYS);
	tcase_add_test(t, what_is_left_of_a_super_packet_is_not_lost);
	add_test_and_with_rings(t, what_is_left_goes_over_the_wire, 1);
	tcase_add_test(t, a_handler_and_who_pulls_are_kept_apart);
	tcase_add_test(t, without_the_policys_word_packets_are_bare);
	suite_add_tcase(s, t);
	return live_main("split", s);
}
