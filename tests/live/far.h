/*
 * For tests of the library: the test process as a client without rights, and
 * the far end of its device, which answers ARP and sends each UDP datagram
 * back.  Include it in one file of a test program.
 */
#ifndef TUNTAPD_FAR_H
#define TUNTAPD_FAR_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

/* Fails the test unless it soon is so. */
#define ck_soon(what) do { \
	int64_t end_ = now_ms() + EVENTUALLY_MS; \
	while (!(what)) { \
		ck_assert_msg(now_ms() < end_, "never: %s", #what); \
		sleep_ms(STEP_MS); \
	} \
} while (0)

/* The shell finds it. */
#define ck_sh(...) ck_assert_msg(sh_status(__VA_ARGS__) == 0, __VA_ARGS__)
/* An administrator does it, whose rights the client has not. */
#define ck_admin(...) do { \
	rights(true); \
	ck_sh(__VA_ARGS__); \
	rights(false); \
} while (0)

/* --- the client --------------------------------------------------------- */

/*
 * Of the effective ids, which are what the daemon and the kernel look at; the
 * real ones stay root's, so that the test can be an administrator again.
 */
static inline void rights(bool wanted)
{
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(setegid(wanted ? 0 : NOBODY), 0);
	ck_assert_int_eq(seteuid(wanted ? 0 : NOBODY), 0);
	/* Leak checkers look into their own process. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

/* A rig with this policy, and a client without rights. */
static inline void client_begin(struct rig *rig, const char *policy,
				bool fault_build)
{
	const struct rig_options o = { .policy = policy,
				       .fault_build = fault_build };

	rig_start(rig, &o);
	rights(false);
	ck_assert_int_eq(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), -1);
	ck_assert_int_eq(errno, EPERM);
}

static inline void client_end(struct rig *rig)
{
	rights(true);
	rig_end(rig);
}

/* --- addresses ---------------------------------------------------------- */

static inline struct ttd_addr addr(const char *text)
{
	return (struct ttd_addr){
		.local = prefix(text),
		.flags = strchr(text, ':') ? TTD_ADDR_NODAD : 0,
	};
}

static inline struct ttd_route route(const char *dst, const char *gateway,
				     uint32_t metric)
{
	struct ttd_route r = { .dst = prefix(dst), .metric = metric };

	if (gateway)
		r.gateway = prefix(gateway);
	return r;
}

/* --- packets ------------------------------------------------------------ */

#define ETHER_HEADER	14
#define ETHER_TYPE_AT	12
#define MAC_BYTES	6
#define IPV4_HEADER	20
#define IPV6_HEADER	40
#define UDP_HEADER	8
#define ARP_BYTES	28
#define ECHO_PORT	7777
#define PACKET_MAX	65535

static const uint8_t far_mac[MAC_BYTES] = { 2, 0, 0, 0, 0, 0x99 };

static inline void swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

/* The IP packet in what a device of that layer gave; NULL if it has none. */
static inline uint8_t *ip_packet(enum ttd_layer layer, void *buf, size_t len)
{
	uint8_t *p = buf;
	unsigned type;

	if (layer == TTD_TUN)
		return p;
	if (len < ETHER_HEADER)
		return NULL;
	type = (unsigned)p[ETHER_TYPE_AT] << 8 | p[ETHER_TYPE_AT + 1];
	return type == 0x0800 || type == 0x86dd ? p + ETHER_HEADER : NULL;
}

/* The UDP header in an IP packet, if it goes to ECHO_PORT; else NULL. */
static inline uint8_t *udp_in(uint8_t *ip, size_t len)
{
	uint8_t *udp;

	if (!ip || len < IPV4_HEADER + UDP_HEADER)
		return NULL;
	if (ip[0] == 0x45 && ip[9] == IPPROTO_UDP)
		udp = ip + IPV4_HEADER;
	else if (ip[0] >> 4 == 6 && ip[6] == IPPROTO_UDP &&
		 len >= IPV6_HEADER + UDP_HEADER)
		udp = ip + IPV6_HEADER;
	else
		return NULL;
	return (udp[2] << 8 | udp[3]) == ECHO_PORT ? udp : NULL;
}

/* Sends an IP packet back to where it came from.  Checksums stay right. */
static inline void turn_ip(uint8_t *ip, uint8_t *udp)
{
	if (ip[0] >> 4 == 4)
		swap(ip + 12, ip + 16, 4);
	else
		swap(ip + 8, ip + 24, 16);
	swap(udp, udp + 2, 2);
}

/* Is it a question for another than the one who asks?  Then that answers. */
static inline bool turn_arp(uint8_t *frame, size_t len)
{
	uint8_t *arp = frame + ETHER_HEADER;

	if (len < ETHER_HEADER + ARP_BYTES || frame[ETHER_TYPE_AT] != 0x08 ||
	    frame[ETHER_TYPE_AT + 1] != 0x06 || arp[7] != 1 ||
	    memcmp(arp + 14, arp + 24, 4) == 0)
		return false;
	arp[7] = 2;
	swap(arp + 8, arp + 18, MAC_BYTES + 4);
	memcpy(arp + 8, far_mac, MAC_BYTES);
	memcpy(frame, frame + MAC_BYTES, MAC_BYTES);
	memcpy(frame + MAC_BYTES, far_mac, MAC_BYTES);
	return true;
}

/* The far end: what it answers goes to send(to, ...). */
struct far {
	enum ttd_layer layer;
	ttd_handler *send;
	void *to;
	atomic_uint datagrams, failed;
	atomic_size_t longest;	/* IP packet */
};

static inline int far_send_to_device(void *dev, void *buf, size_t len)
{
	return ttd_send(dev, buf, len);
}

static inline int far_end(void *arg, void *buf, size_t len)
{
	struct far *far = arg;
	uint8_t *ip = ip_packet(far->layer, buf, len), *udp;
	size_t ip_len = ip ? len - (size_t)(ip - (uint8_t *)buf) : 0;

	udp = udp_in(ip, ip_len);
	if (ip && udp) {
		turn_ip(ip, udp);
		if (far->layer == TTD_TAP)
			swap(buf, (uint8_t *)buf + MAC_BYTES, MAC_BYTES);
		if (ip_len > far->longest)
			far->longest = ip_len;
		far->datagrams++;
	} else if (far->layer != TTD_TAP || !turn_arp(buf, len)) {
		return 0;
	}
	if (far->send(far->to, buf, len))
		far->failed++;
	return 0;
}

/* --- the host's programs ------------------------------------------------ */

/* A UDP socket that talks with ECHO_PORT of that address. */
static inline int udp_to(const char *text)
{
	struct ttd_prefix p = prefix(text);
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(ECHO_PORT) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(ECHO_PORT) };
	bool four = p.family == 4;
	int s = socket(four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&a4.sin_addr, p.ip, sizeof(a4.sin_addr));
	memcpy(&a6.sin6_addr, p.ip, sizeof(a6.sin6_addr));
	ck_assert_int_ge(s, 0);
	ck_assert_msg(connect(s, four ? (struct sockaddr *)&a4 :
			      (struct sockaddr *)&a6,
			      four ? sizeof(a4) : sizeof(a6)) == 0,
		      "%s: %s", text, strerror(errno));
	return s;
}

static inline bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* A datagram of n bytes goes out, and comes back as it was. */
static inline void echoes(int sock, size_t n)
{
	uint8_t *out = malloc(n), *in = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(i * 31 + n);
	ck_assert_int_eq(send(sock, out, n, 0), (ssize_t)n);
	ck_assert_msg(readable(sock, DEADLINE_MS), "no echo");
	ck_assert_int_eq(recv(sock, in, n + 1, 0), (ssize_t)n);
	ck_assert_mem_eq(in, out, n);
	free(out);
	free(in);
}

static inline void echo_from(const char *address)
{
	int s = udp_to(address);

	echoes(s, 100);
	close(s);
}

#endif
