/*
 * Batches, and super-packets as offload PASS hands them over: on real devices,
 * with the host's own sockets at the other end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../libclient/packet.h"
#include "harness.h"

#define HERE		"10.9.0.1"	/* the host, on the device */
#define THERE		"10.9.0.9"	/* the program */
#define PORT		7000
#define ETHER		14
#define IP_HEADER	20
#define UDP_HEADER	8
#define HEADERS		(IP_HEADER + UDP_HEADER)
#define SEGMENT		1000
#define SEGMENTS	5
#define SOON_MS		2000

static const char policy[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun, tap\nname = tt*\n"
	"address = 10.9.0.0/16\noffload = yes\n";

static struct rig rig;
static struct ttd_device *dev;
static size_t link_header;	/* of a TAP's frames */

static void begin(enum ttd_layer layer, enum ttd_offload offload)
{
	struct rig_options ro = { .policy = policy };
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr a = { .local = prefix(HERE "/24") };
	struct ttd_error e;

	/* No router solicitations or the like among the packets. */
	rig_namespaces(NODE_CLOSED);
	sh_status("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 "
		  ">$f; done");
	rig_start(&rig, &ro);
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.addrs = &a;
	o.n_addrs = 1;
	o.offload = offload;
	o.queues = 2;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ttd_offload(dev), offload);
	link_header = layer == TTD_TAP ? ETHER : 0;
	if (layer == TTD_TAP)
		ck_assert_int_eq(sh_status("ip neigh add " THERE " lladdr "
					   "02:00:00:00:00:09 dev tt0 nud "
					   "permanent"), 0);
}

static void end(void)
{
	ttd_free(dev);
	rig_end(&rig);
}

/* A socket of the host's on the device. */
static int host_socket(void)
{
	struct sockaddr_in me = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	struct timeval patience = { .tv_sec = SOON_MS / 1000 };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, HERE, &me.sin_addr);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&me, sizeof(me)), 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return sock;
}

static void host_sends(int sock, const void *buf, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };

	inet_pton(AF_INET, THERE, &to.sin_addr);
	ck_assert_int_eq(sendto(sock, buf, len, 0, (struct sockaddr *)&to,
				sizeof(to)), (int)len);
}

/* Which of the two queues a flow is on is the kernel's choice. */
static int recv_any(struct ttd_packet *p, unsigned n, unsigned *ret_queue)
{
	for (unsigned ms = 0; ms < SOON_MS; ms++)
		for (unsigned q = 0; q < 2; q++) {
			int r = ttd_recv_batch(dev, q, p, n, 0);

			if (r != -EAGAIN) {
				*ret_queue = q;
				return r;
			}
			poll(NULL, 0, (int)q);
		}
	return -ETIMEDOUT;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t kept[6];

	memcpy(kept, a, n);
	memcpy(a, b, n);
	memcpy(b, kept, n);
}

/* Back to where it came from; no sum changes by that. */
static void turn_round(struct ttd_packet *p)
{
	uint8_t *frame = p->data, *ip = frame + link_header;

	if (link_header)
		swap(frame, frame + 6, 6);
	swap(ip + 12, ip + 16, 4);
	swap(ip + IP_HEADER, ip + IP_HEADER + 2, 2);
}

static const struct {
	enum ttd_layer layer;
	enum ttd_offload offload;
} kinds[] = {
	{ TTD_TUN, TTD_OFFLOAD_NONE }, { TTD_TAP, TTD_OFFLOAD_NONE },
	{ TTD_TUN, TTD_OFFLOAD_PASS }, { TTD_TAP, TTD_OFFLOAD_PASS },
};
#define N_KINDS 4

START_TEST(a_batch_comes_and_goes_back)
{
	struct ttd_packet p[TTD_BATCH_MAX + 8];
	unsigned n = 0, queue = 0;
	int sock;

	begin(kinds[_i].layer, kinds[_i].offload);
	sock = host_socket();
	for (uint8_t i = 0; i < 10; i++)
		host_sends(sock, &i, 1);
	for (int r; n < 10; n += (unsigned)r) {
		r = recv_any(p + n, TTD_BATCH_MAX + 8 - n, &queue);
		ck_assert_int_gt(r, 0);
		for (unsigned i = n; i < n + (unsigned)r; i++) {
			const uint8_t *ip = p[i].data;

			ip += link_header;
			ck_assert_uint_eq(p[i].len, link_header + HEADERS + 1);
			ck_assert(p[i].flags & TTD_PKT_HEADROOM);
			ck_assert_uint_eq(p[i].gso_type, TTD_GSO_NONE);
			ck_assert_uint_eq(ip[0], 0x45);
			ck_assert_uint_eq(ip[HEADERS], i);
			turn_round(&p[i]);
		}
		/* Lent until the next call: so they go back at once. */
		ck_assert_int_eq(ttd_send_batch(dev, queue, p + n, (unsigned)r),
				 r);
	}
	for (uint8_t i = 0; i < 10; i++) {
		uint8_t got = 77;

		ck_assert_int_eq(recv(sock, &got, 1, 0), 1);
		ck_assert_uint_eq(got, i);
	}
	close(sock);
	end();
}
END_TEST

START_TEST(a_super_packet_comes_and_goes_back)
{
	uint8_t sent[SEGMENT * SEGMENTS], got[SEGMENT + 1];
	struct ttd_packet p[4];
	int sock, segment = SEGMENT;
	unsigned queue;

	if (!(ttd_caps() & TTD_CAP_USO)) {
		live_skip("a_super_packet_comes_and_goes_back",
			  "this kernel has no USO (Linux 6.2)");
		return;
	}
	begin(kinds[_i].layer, TTD_OFFLOAD_PASS);
	sock = host_socket();
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	ck_assert_int_eq(setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &segment,
				    sizeof(segment)), 0);
	host_sends(sock, sent, sizeof(sent));
	ck_assert_int_eq(recv_any(p, 4, &queue), 1);
	ck_assert_uint_eq(p[0].gso_type, TTD_GSO_UDP_L4);
	ck_assert_uint_eq(p[0].gso_size, SEGMENT);
	ck_assert(p[0].flags & TTD_PKT_NEEDS_CSUM);
	ck_assert_uint_eq(p[0].csum_start, link_header + IP_HEADER);
	ck_assert_uint_eq(p[0].csum_offset, 6);
	ck_assert_uint_eq(p[0].len, link_header + HEADERS + sizeof(sent));
	turn_round(&p[0]);
	/* With its headroom, and from memory that has none. */
	for (int copy = 0; copy < 2; copy++) {
		if (copy) {
			p[0].data = memcpy(malloc(p[0].len), p[0].data,
					   p[0].len);
			p[0].flags &= ~TTD_PKT_HEADROOM;
		}
		ck_assert_int_eq(ttd_send_batch(dev, queue, p, 1), 1);
		for (int i = 0; i < SEGMENTS; i++) {
			ck_assert_int_eq(recv(sock, got, sizeof(got), 0),
					 SEGMENT);
			ck_assert_int_eq(memcmp(got, sent + i * SEGMENT,
						SEGMENT), 0);
		}
	}
	free(p[0].data);
	/* A finished packet may be sent one by one, too. */
	ck_assert_int_eq(ttd_recv(dev, got, sizeof(got), 0), -EOPNOTSUPP);
	close(sock);
	end();
}
END_TEST

static int ignore(void *arg, void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	return 0;
}

START_TEST(each_error_by_its_name)
{
	uint8_t bytes[64] = { 0x45 };
	struct ttd_packet p[3] = {
		{ .data = bytes, .len = sizeof(bytes) },
		{ .data = bytes, .len = sizeof(bytes) },
		{ .data = bytes, .len = sizeof(bytes) },
	};

	begin(TTD_TUN, TTD_OFFLOAD_NONE);
	ck_assert_int_eq(ttd_recv_batch(NULL, 0, p, 1, 0), -EINVAL);
	ck_assert_int_eq(ttd_recv_batch(dev, 2, p, 1, 0), -EINVAL);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, p, 0, 0), -EINVAL);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, p, 1, -2), -EINVAL);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, p, 1, 0), -EAGAIN);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, p, 1, 30), -ETIMEDOUT);
	ck_assert_ptr_eq(p[0].data, bytes);
	ck_assert_int_eq(ttd_set_handler(dev, ignore, NULL), 0);
	ck_assert_int_eq(ttd_recv_batch(dev, 1, p, 1, 0), -EBUSY);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	ck_assert_int_eq(ttd_recv_batch(dev, 1, p, 1, 0), -EAGAIN);

	ck_assert_int_eq(ttd_send_batch(dev, 2, p, 1), -EINVAL);
	ck_assert_int_eq(ttd_send_batch(dev, 0, NULL, 1), -EINVAL);
	ck_assert_int_eq(ttd_send_batch(dev, 0, NULL, 0), 0);
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 3), 3);
	/* The count first, the reason when asked again. */
	p[1].len = 0;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 3), 1);
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 2), -EINVAL);
	p[1].len = 65536;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 1), -EMSGSIZE);
	p[1].len = sizeof(bytes);
	p[1].flags = 4;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 1), -EINVAL);
	p[1].flags = TTD_PKT_NEEDS_CSUM;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 1), -EOPNOTSUPP);
	p[1].flags = 0;
	p[1].gso_type = TTD_GSO_TCPV4;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 1), -EOPNOTSUPP);
	p[1].gso_type = 0;
	p[1].reserved[2] = 1;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 1, 1), -EINVAL);
	ttd_close(dev);
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 1), -ESHUTDOWN);
	ck_assert_int_eq(ttd_recv_batch(dev, 0, p, 1, 0), -ESHUTDOWN);
	end();
}
END_TEST

/* The kernel looks whether a header fits its packet. */
START_TEST(a_header_that_lies_is_refused)
{
	uint8_t bytes[64] = { 0x45 };
	struct ttd_packet p = { .data = bytes, .len = sizeof(bytes),
				.flags = TTD_PKT_NEEDS_CSUM, .csum_start = 60,
				.csum_offset = 16 };

	begin(TTD_TUN, TTD_OFFLOAD_PASS);
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), -EINVAL);
	p.csum_start = 20;
	p.gso_type = 99;
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), -EINVAL);
	p.gso_type = 256;
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), -EINVAL);
	p = (struct ttd_packet){ .data = bytes, .len = sizeof(bytes) };
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), 1);
	ck_assert_int_eq(ttd_send(dev, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	end();
}
END_TEST

static atomic_int result;

static void *wait_for_batch(void *unused)
{
	struct ttd_packet p[4];

	(void)unused;
	result = ttd_recv_batch(dev, 0, p, 4, TTD_FOREVER);
	return NULL;
}

START_TEST(close_wakes_who_waits_for_a_batch)
{
	pthread_t t;

	begin(TTD_TAP, TTD_OFFLOAD_NONE);
	ck_assert_int_eq(pthread_create(&t, NULL, wait_for_batch, NULL), 0);
	poll(NULL, 0, 50);
	ttd_close(dev);
	pthread_join(t, NULL);
	ck_assert_int_eq(result, -ESHUTDOWN);
	end();
}
END_TEST

START_TEST(a_header_is_what_it_was)
{
	struct ttd_packet p = { .flags = TTD_PKT_NEEDS_CSUM,
				.gso_type = TTD_GSO_TCPV6 | TTD_GSO_ECN,
				.gso_size = 1440, .hdr_len = 74,
				.csum_start = 40, .csum_offset = 16 };
	struct ttd_packet q = { .len = 0 };
	uint8_t header[PACKET_HEADER];

	packet_header_write(header, &p);
	packet_header_read(header, &q);
	ck_assert_int_eq(memcmp(&p, &q, sizeof(p)), 0);
	/* "I have seen that the sum is right" is no promise of ours. */
	header[0] = 2;
	q = (struct ttd_packet){ .len = 0 };
	packet_header_read(header, &q);
	ck_assert_uint_eq(q.flags, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("batch");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, a_batch_comes_and_goes_back, 0, N_KINDS);
	tcase_add_loop_test(t, a_super_packet_comes_and_goes_back, 0, 2);
	tcase_add_test(t, each_error_by_its_name);
	tcase_add_test(t, a_header_that_lies_is_refused);
	tcase_add_test(t, close_wakes_who_waits_for_a_batch);
	tcase_add_test(t, a_header_is_what_it_was);
	suite_add_tcase(s, t);
	return live_main("batch", s);
}
