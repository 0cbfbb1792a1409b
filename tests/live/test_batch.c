/*
 * Batches, and super-packets as offload PASS hands them over: on real devices,
 * with the host's own sockets at the other end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../libclient/packet.h"
#include "../rings.h"
#include "harness.h"
#include "stream.h"

#define HERE		"10.9.0.1"	/* the host, on the device */
#define THERE		"10.9.0.9"	/* the program */
#define PORT		7000
#define ETHER		14
#define IP_HEADER	20
#define UDP_HEADER	8
#define HEADERS		(IP_HEADER + UDP_HEADER)
#define MANY		100	/* more than a batch */
#define SEGMENT		1000
#define SEGMENTS	5
#define SOON_MS		2000

static const char policy[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun, tap\nname = tt*\n"
	"address = 10.9.0.0/16\noffload = yes\nmax-devices = 4\n"
	"max-queues = 8\n";

static struct rig rig;
static struct ttd_device *dev;
static size_t link_header;	/* of a TAP's frames */
static uint32_t flags;		/* of the options; 0 or TTD_IO_URING */

/* A daemon in the namespace where the test is now. */
static void begin_rig(struct rig *ret)
{
	struct rig_options ro = { .policy = policy };

	/* No router solicitations or the like among the packets. */
	rig_namespaces(NODE_CLOSED);
	sh_status("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 "
		  ">$f; done");
	rig_start(ret, &ro);
}

static struct ttd_device *open_device(const struct rig *by,
				      enum ttd_layer layer,
				      enum ttd_offload offload,
				      const char *name, const char *address)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr a = { .local = prefix(address) };
	struct ttd_device *opened = NULL;
	struct ttd_error e;

	o.socket_path = by->socket;
	o.name = name;
	o.addrs = &a;
	o.n_addrs = 1;
	o.offload = offload;
	o.queues = 2;
	o.flags = flags;
	ck_assert_msg(ttd_open(&o, &opened, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ttd_offload(opened), offload);
	return opened;
}

static void begin(enum ttd_layer layer, enum ttd_offload offload)
{
	begin_rig(&rig);
	dev = open_device(&rig, layer, offload, "tt0", HERE "/24");
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

/* A socket of the host's on its device, which has that address. */
static int socket_at(const char *address)
{
	struct sockaddr_in me = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	struct timeval patience = { .tv_sec = SOON_MS / 1000 };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &me.sin_addr);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&me, sizeof(me)), 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return sock;
}

static int host_socket(void)
{
	return socket_at(HERE);
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

START_TEST_AND_WITH_RINGS(a_batch_comes_and_goes_back)
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

/* More than one call gives; what is lent stays as it is until the next. */
START_TEST_AND_WITH_RINGS(what_is_lent_stays_until_the_next_call)
{
	struct ttd_packet p[TTD_BATCH_MAX + 8];
	unsigned queue;
	int sock;

	begin(kinds[_i].layer, kinds[_i].offload);
	sock = host_socket();
	for (uint8_t i = 0; i < MANY; i++)
		host_sends(sock, &i, 1);
	ck_assert_int_eq(recv_any(p, TTD_BATCH_MAX + 8, &queue), TTD_BATCH_MAX);
	for (unsigned i = 0; i < TTD_BATCH_MAX; i++) {
		uint8_t *data = p[i].data;

		memset(data - TTD_HEADROOM, 0xee, TTD_HEADROOM);
	}
	for (unsigned i = 0; i < TTD_BATCH_MAX; i++) {
		const uint8_t *ip = p[i].data;

		ck_assert_uint_eq(ip[link_header], 0x45);
		ck_assert_uint_eq(ip[link_header + HEADERS], i);
	}
	ck_assert_int_eq(ttd_recv_batch(dev, queue, p, TTD_BATCH_MAX, 0),
			 MANY - TTD_BATCH_MAX);
	for (unsigned i = 0; i < MANY - TTD_BATCH_MAX; i++) {
		const uint8_t *ip = p[i].data;

		ck_assert_uint_eq(ip[link_header + HEADERS], TTD_BATCH_MAX + i);
	}
	ck_assert_int_eq(ttd_recv_batch(dev, queue, p, 1, 0), -EAGAIN);
	close(sock);
	end();
}
END_TEST

/* The header is the kernel's default one, and there where it was asked for. */
START_TEST_AND_WITH_RINGS(fds_are_as_the_library_thinks)
{
	bool pass = kinds[_i].offload == TTD_OFFLOAD_PASS;

	begin(kinds[_i].layer, kinds[_i].offload);
	for (unsigned i = 0; i < ttd_queues(dev); i++) {
		struct ifreq ifr = { .ifr_flags = 0 };
		int fd = ttd_fd(dev, i), size = 0;

		ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
		ck_assert_int_eq(ioctl(fd, TUNGETIFF, &ifr), 0);
		ck_assert_int_eq(!!(ifr.ifr_flags & IFF_VNET_HDR), pass);
		ck_assert(ifr.ifr_flags & IFF_NO_PI);
		ck_assert_int_eq(ioctl(fd, TUNGETVNETHDRSZ, &size), 0);
		ck_assert_int_eq(size, PACKET_HEADER);
	}
	end();
}
END_TEST

START_TEST_AND_WITH_RINGS(a_super_packet_comes_and_goes_back)
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
	close(sock);
	end();
}
END_TEST

/* With offload PASS it has no unfinished sum; on IPv4, 0 is none at all. */
START_TEST_AND_WITH_RINGS(a_finished_packet_is_sent_with_pass)
{
	struct ttd_packet p;
	uint8_t *sum, got = 0;
	unsigned queue;
	int sock;

	begin(kinds[_i].layer, TTD_OFFLOAD_PASS);
	sock = host_socket();
	host_sends(sock, "x", 1);
	ck_assert_int_eq(recv_any(&p, 1, &queue), 1);
	turn_round(&p);
	sum = (uint8_t *)p.data + link_header + IP_HEADER + 6;
	sum[0] = sum[1] = 0;
	ck_assert_int_eq(ttd_send(dev, p.data, p.len), 0);
	ck_assert_int_eq(recv(sock, &got, 1, 0), 1);
	ck_assert_uint_eq(got, 'x');
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

START_TEST_AND_WITH_RINGS(each_error_by_its_name)
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

/* With a ring what the kernel does not take is lost, and the rest goes. */
START_TEST(a_ring_goes_on_behind_a_bad_one)
{
	uint8_t bytes[4][TTD_HEADROOM + HEADERS + 1];
	struct ttd_packet p[4], came;
	unsigned queue;
	int sock;

	if (!have_rings("a_ring_goes_on_behind_a_bad_one", true))
		return;
	flags = TTD_IO_URING;
	begin(TTD_TUN, kinds[2 * _i].offload);
	sock = host_socket();
	memset(bytes, 0xee, sizeof(bytes));
	for (uint8_t i = 0; i < 4; i++) {
		p[i] = (struct ttd_packet){ .data = bytes[i] + TTD_HEADROOM,
					    .len = HEADERS + 1,
					    .flags = TTD_PKT_HEADROOM };
		if (i % 2 == 0)
			continue;	/* of no version of IP */
		host_sends(sock, &i, 1);
		ck_assert_int_eq(recv_any(&came, 1, &queue), 1);
		turn_round(&came);
		memcpy(p[i].data, came.data, came.len);
		/* Sums are finished: on IPv4, 0 is none. */
		memset((uint8_t *)p[i].data + IP_HEADER + 6, 0, 2);
	}
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 4), 4);
	for (uint8_t i = 1; i < 4; i += 2) {
		uint8_t got = 77;

		ck_assert_int_eq(recv(sock, &got, 1, 0), 1);
		ck_assert_uint_eq(got, i);
	}
	p[1] = p[2];
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 2), -EINVAL);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	close(sock);
	end();
}
END_TEST

/* From now on the kernel takes nothing by a ring. */
static void forbid_rings(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
			 0);
}

/* Packets come and go by read(2) and write(2) then, all of them, in order. */
START_TEST(a_ring_is_forbidden_later)
{
	static uint8_t bytes[10][TTD_HEADROOM + HEADERS + 1];
	struct ttd_packet p[10], came;
	unsigned queue;
	int sock;

	if (!have_rings("a_ring_is_forbidden_later", true))
		return;
	flags = TTD_IO_URING;
	begin(TTD_TUN, kinds[2 * _i].offload);
	sock = host_socket();
	for (uint8_t i = 0; i < 10; i++) {
		host_sends(sock, &i, 1);
		if (i == 4)
			forbid_rings();
	}
	for (uint8_t i = 0; i < 10; i++) {
		ck_assert_int_eq(recv_any(&came, 1, &queue), 1);
		turn_round(&came);
		p[i] = came;
		p[i].data = memcpy(bytes[i] + TTD_HEADROOM, came.data,
				   came.len);
	}
	ck_assert_int_eq(ttd_send_batch(dev, queue, p, 10), 10);
	for (uint8_t i = 0; i < 10; i++) {
		uint8_t got = 77;

		ck_assert_int_eq(recv(sock, &got, 1, 0), 1);
		ck_assert_uint_eq(got, i);
	}
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	close(sock);
	end();
}
END_TEST

/* Of more than a batch, and of those whose headers have no room before them. */
START_TEST(what_a_ring_was_given_is_all_tried)
{
	static uint8_t bytes[3 * TTD_BATCH_MAX][TTD_HEADROOM + 64];
	struct ttd_packet p[3 * TTD_BATCH_MAX];
	const unsigned room = _i % 2 ? TTD_PKT_HEADROOM : 0;

	if (!have_rings("what_a_ring_was_given_is_all_tried", true))
		return;
	flags = TTD_IO_URING;
	begin(TTD_TUN, kinds[_i / 2 * 2].offload);
	for (unsigned i = 0; i < 3 * TTD_BATCH_MAX; i++) {
		p[i] = (struct ttd_packet){ .data = bytes[i] + TTD_HEADROOM,
					    .len = 64, .flags = room };
		bytes[i][TTD_HEADROOM] = 0x15;
	}
	/* The last of a batch that only has bad ones before it. */
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, TTD_BATCH_MAX + 2), -EINVAL);
	bytes[TTD_BATCH_MAX + 1][TTD_HEADROOM] = 0x45;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, TTD_BATCH_MAX + 2),
			 TTD_BATCH_MAX + 2);
	/* Two before one that cannot even be said. */
	p[2].reserved[0] = 1;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 4), -EINVAL);
	bytes[1][TTD_HEADROOM] = 0x45;
	ck_assert_int_eq(ttd_send_batch(dev, 0, p, 4), 2);
	ck_assert_int_eq(ttd_send_batch(dev, 0, p + 2, 2), -EINVAL);
	end();
}
END_TEST

/* One by one, in batches, with offload PASS or not: the same limit. */
START_TEST_AND_WITH_RINGS(the_longest_packet_is_sent)
{
	size_t max = kinds[_i].layer == TTD_TAP ? 65535 + 14 + 8 : 65535;
	uint8_t *bytes = calloc(1, max + 1);
	struct ttd_packet p = { .data = bytes };

	begin(kinds[_i].layer, kinds[_i].offload);
	bytes[link_header] = 0x45;
	p.len = (uint32_t)max;
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), 1);
	ck_assert_int_eq(ttd_send(dev, bytes, max), 0);
	p.len++;
	ck_assert_int_eq(ttd_send_batch(dev, 0, &p, 1), -EMSGSIZE);
	ck_assert_int_eq(ttd_send(dev, bytes, max + 1), -EMSGSIZE);
	ck_assert_int_eq(ttd_send(dev, bytes, ((size_t)1 << 32) + 28),
			 -EMSGSIZE);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	end();
	free(bytes);
}
END_TEST

/* The kernel looks whether a header fits its packet. */
START_TEST_AND_WITH_RINGS(a_header_that_lies_is_refused)
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

START_TEST_AND_WITH_RINGS(close_wakes_who_waits_for_a_batch)
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

/* The kernel says so to whoever reads or writes. */
START_TEST_AND_WITH_RINGS(a_batch_of_one_that_was_deleted)
{
	uint8_t bytes[2][TTD_HEADROOM + 64] = { { 0 } };
	struct ttd_packet p[2], got[TTD_BATCH_MAX];
	struct ttd_error why;
	bool sends = _i % 2;
	int r;

	for (int i = 0; i < 2; i++)
		p[i] = (struct ttd_packet){ .data = bytes[i] + TTD_HEADROOM,
					    .len = 64,
					    .flags = TTD_PKT_HEADROOM };
	begin(TTD_TUN, kinds[_i].offload);
	ck_assert_int_eq(sh_status("ip link del tt0"), 0);
	r = sends ? ttd_send_batch(dev, 0, p, 2) :
	    ttd_recv_batch(dev, 0, got, TTD_BATCH_MAX, SOON_MS);
	ck_assert_int_eq(r, -ESHUTDOWN);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_DELETED);
	end();
}
END_TEST

/* Where a tun cannot be read so, whoever wants that is told. */
START_TEST(no_ring_is_an_error)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *opened = NULL;
	int why = why_no_rings(true);
	struct ttd_error e = { 0 };

	begin_rig(&rig);
	o.socket_path = rig.socket;
	o.flags = TTD_IO_URING;
	ck_assert_int_eq(ttd_open(&o, &opened, &e), why);
	ck_assert_str_eq(e.step, why ? "io_uring" : "");
	ck_assert_msg(!why || strstr(e.text, "TTD_IO_URING"), "%s", e.text);
	ttd_free(opened);
	ck_assert_int_ne(sh_status("ip link show tt0 2>/dev/null"), 0);
	rig_end(&rig);
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

/* --- super-packets across ------------------------------------------------ */

START_TEST_AND_WITH_RINGS(pass_goes_with_pass_alone)
{
	struct ttd_device *bare;
	struct ttd_packet p;
	struct ttd_pipe *pipe;
	struct ttd_netdev d;
	uint8_t byte;

	begin(kinds[_i].layer, TTD_OFFLOAD_PASS);
	d = ttd_netdev(dev);
	bare = open_device(&rig, kinds[_i].layer, TTD_OFFLOAD_NONE, "tt1",
			   "10.9.1.1/24");
	ck_assert_int_eq(ttd_pipe_new(kinds[_i].layer, NULL, NULL, NULL,
				      &pipe), 0);
	ck_assert_int_eq(ttd_connect(d, ttd_netdev(bare)), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_connect(ttd_netdev(bare), d), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_connect(d, ttd_pipe_netdev(pipe)), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_connect(d, d), -EINVAL);
	ck_assert_int_eq(ttd_set_handler(dev, ignore, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_set_handler(d, ignore, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_run(dev, 0, ignore, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_recv(dev, &byte, 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	/* Nothing of this has left a handler. */
	ck_assert_int_eq(ttd_recv_batch(dev, 0, &p, 1, 0), -EAGAIN);
	ck_assert_int_eq(ttd_recv_batch(bare, 0, &p, 1, 0), -EAGAIN);
	ttd_pipe_free(pipe);
	ttd_free(bare);
	end();
}
END_TEST

#define FAR		"10.9.0.2"	/* a host in a namespace of its own */

static struct ttd_device *far_dev;
static atomic_bool stop;
static atomic_uint super_packets, wrong;

/* What the kernel says of a TCP packet on IPv4 must be so. */
static void look_at(const struct ttd_packet *p)
{
	const uint8_t *ip = (const uint8_t *)p->data + link_header;
	size_t headers;

	if (p->gso_type == TTD_GSO_NONE)
		return;
	headers = link_header + IP_HEADER + (ip[IP_HEADER + 12] >> 4) * 4u;
	super_packets++;
	wrong += p->gso_type != TTD_GSO_TCPV4 || p->reserved[0] ||
		 !(p->flags & TTD_PKT_NEEDS_CSUM) ||
		 p->csum_start != link_header + IP_HEADER ||
		 p->csum_offset != 16 || p->hdr_len != headers ||
		 p->gso_size >= 1500 || p->len <= headers + p->gso_size ||
		 p->len - link_header != ((unsigned)ip[2] << 8 | ip[3]);
}

/* From one host to the other by batches; the far one's if far. */
static void *carry(void *far)
{
	struct ttd_device *from = far ? far_dev : dev;
	struct ttd_device *to = far ? dev : far_dev;
	struct ttd_packet p[TTD_BATCH_MAX];

	while (!stop)
		for (unsigned q = 0; q < ttd_queues(from); q++) {
			int n = ttd_recv_batch(from, q, p, TTD_BATCH_MAX, 1);

			for (int i = 0; i < n; i++)
				look_at(&p[i]);
			if (n > 0)
				ttd_send_batch(to, q, p, (unsigned)n);
		}
	return NULL;
}

/* Listens at FAR, or talks with it. */
static int tcp_socket(bool listens)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(PORT) };
	struct timeval patience = { .tv_sec = 5 };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	inet_pton(AF_INET, FAR, &a.sin_addr);
	if (listens)
		ck_assert(bind(sock, (struct sockaddr *)&a, sizeof(a)) == 0 &&
			  listen(sock, 1) == 0);
	else
		ck_assert_int_eq(connect(sock, (struct sockaddr *)&a,
					 sizeof(a)), 0);
	return sock;
}

/* A stream of TCP between two hosts; by batches and by a wire. */
START_TEST_AND_WITH_RINGS(tcp_is_carried_in_super_packets)
{
	bool wired = _i / 2;
	enum ttd_layer layer = kinds[_i % 2].layer;
	struct rig far_rig;
	pthread_t carriers[2], writer;
	int here, there, home;

	begin_rig(&rig);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	link_header = layer == TTD_TAP ? ETHER : 0;
	dev = open_device(&rig, layer, TTD_OFFLOAD_PASS, "tt0", HERE "/24");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	begin_rig(&far_rig);
	far_dev = open_device(&far_rig, layer, TTD_OFFLOAD_PASS, "tt0",
			      FAR "/24");
	there = tcp_socket(true);
	ck_assert_int_eq(setns(home, CLONE_NEWNET), 0);

	if (wired)
		ck_assert_int_eq(ttd_connect(ttd_netdev(dev),
					     ttd_netdev(far_dev)), 0);
	for (uintptr_t i = 0; i < 2 && !wired; i++)
		pthread_create(&carriers[i], NULL, carry, (void *)i);
	here = tcp_socket(false);
	pthread_create(&writer, NULL, write_stream, &here);
	read_stream(accept(there, NULL, NULL));
	pthread_join(writer, NULL);
	stop = true;
	for (int i = 0; i < 2 && !wired; i++)
		pthread_join(carriers[i], NULL);
	if (!wired) {
		ck_assert_uint_gt(super_packets, 0);
		ck_assert_uint_eq(wrong, 0);
	} else {
		struct ttd_packet p;

		ck_assert_int_eq(ttd_recv_batch(dev, 0, &p, 1, 0), -EBUSY);
		ck_assert_int_eq(ttd_netdev_set_handler(ttd_netdev(dev), NULL,
							NULL), 0);
		ck_assert_int_ne(ttd_recv_batch(dev, 0, &p, 1, 0), -EBUSY);
		ck_assert_int_eq(ttd_set_handler(far_dev, NULL, NULL), 0);
	}
	ttd_free(far_dev);
	rig_end(&far_rig);
	end();
}
END_TEST

/* How many the far host's device was given while it was down. */
static unsigned tried_in_vain(void)
{
	char *text = sh("ip -j -s link show dev tt0 | "
			"grep -o '\"rx\":{[^}]*}' | "
			"grep -o '\"dropped\":[0-9]*' | cut -d: -f2");
	unsigned n = (unsigned)strtoul(text, NULL, 10);

	free(text);
	return n;
}

static bool all_tried(void *unused)
{
	(void)unused;
	return tried_in_vain() >= MANY;
}

/*
 * What comes for a device that is down is lost, after one try; the wire stays,
 * and carries what comes when it is up.
 */
START_TEST_AND_WITH_RINGS(a_wire_outlives_a_far_end_that_is_down)
{
	enum ttd_offload offload = kinds[2 * _i].offload;
	struct rig far_rig;
	int here, there;
	uint8_t got = 0;

	begin(TTD_TUN, offload);
	here = host_socket();
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	begin_rig(&far_rig);
	far_dev = open_device(&far_rig, TTD_TUN, offload, "tt0", THERE "/24");
	there = socket_at(THERE);
	ck_assert_int_eq(ttd_set_up(far_dev, 0, NULL), 0);
	/* They wait, so that they go as batches. */
	for (uint8_t i = 0; i < MANY; i++)
		host_sends(here, &i, 1);
	ck_assert_int_eq(ttd_connect(ttd_netdev(dev), ttd_netdev(far_dev)), 0);
	ck_assert(eventually(all_tried, NULL));
	ck_assert_int_eq(ttd_set_up(far_dev, 1, NULL), 0);
	host_sends(here, "x", 1);
	ck_assert_int_eq(recv(there, &got, 1, 0), 1);
	ck_assert_uint_eq(got, 'x');
	ck_assert_uint_eq(tried_in_vain(), MANY);
	ck_assert_int_eq(ttd_netdev_set_handler(ttd_netdev(dev), NULL, NULL),
			 0);
	close(there);
	close(here);
	ttd_free(far_dev);
	rig_end(&far_rig);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("batch");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 30);
	add_test_and_with_rings(t, a_batch_comes_and_goes_back, N_KINDS);
	add_test_and_with_rings(t, what_is_lent_stays_until_the_next_call,
				N_KINDS);
	add_test_and_with_rings(t, fds_are_as_the_library_thinks, N_KINDS);
	add_test_and_with_rings(t, a_super_packet_comes_and_goes_back, 2);
	add_test_and_with_rings(t, a_finished_packet_is_sent_with_pass, 2);
	add_test_and_with_rings(t, each_error_by_its_name, 1);
	tcase_add_loop_test(t, a_ring_goes_on_behind_a_bad_one, 0, 2);
	tcase_add_loop_test(t, a_ring_is_forbidden_later, 0, 2);
	tcase_add_loop_test(t, what_a_ring_was_given_is_all_tried, 0, 4);
	add_test_and_with_rings(t, the_longest_packet_is_sent, N_KINDS);
	add_test_and_with_rings(t, a_header_that_lies_is_refused, 1);
	add_test_and_with_rings(t, close_wakes_who_waits_for_a_batch, 1);
	add_test_and_with_rings(t, a_batch_of_one_that_was_deleted, 4);
	tcase_add_test(t, no_ring_is_an_error);
	tcase_add_test(t, a_header_is_what_it_was);
	add_test_and_with_rings(t, pass_goes_with_pass_alone, 2);
	add_test_and_with_rings(t, tcp_is_carried_in_super_packets, 4);
	add_test_and_with_rings(t, a_wire_outlives_a_far_end_that_is_down, 2);
	suite_add_tcase(s, t);
	return live_main("batch", s);
}
