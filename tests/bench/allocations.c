/*
 * How often libtuntapd allocates while packets go; linked so that its malloc()
 * and the like come by here (ld --wrap).
 *
 *	recv send batch handler connect		in mode none, split, pass
 *
 * A round `run N`: N packets at least, which the host's own UDP socket sends
 * through the device, several at a time (UDP_SEGMENT), so that with offload
 * there are super-packets; "allocations=0 packets=N".
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../libclient/tuntapd.h"
#include "contestant.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif

#define PORT		9	/* discard */
#define PAYLOAD		1000	/* of a packet */
#define TOGETHER	10	/* packets that the host sends at a time */
#define PACKET_MAX	65536
#define WAIT_MS		10000
#define WARM_UP		200	/* packets, before any is counted */

static _Atomic unsigned long allocations, packets;

/* --- what ld(1) puts before the library's calls ------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	allocations++;
	return __real_realloc(old, size);
}

/* --- devices ------------------------------------------------------------ */

static struct ttd_device *open_one(const struct contestant *c,
				   const char *name, const char *prefix)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr a = { .flags = 0 };
	struct ttd_device *dev;
	struct ttd_error e;

	if (ttd_prefix_parse(prefix, &a.local) < 0)
		contestant_fail("%s is no prefix", prefix);
	o.socket_path = c->socket;
	o.name = name;
	o.addrs = &a;
	o.n_addrs = 1;
	o.offload = contestant_mode(c, "pass") ? TTD_OFFLOAD_PASS :
		    contestant_mode(c, "split") ? TTD_OFFLOAD_SPLIT :
		    TTD_OFFLOAD_NONE;
	if (ttd_open(&o, &dev, &e) < 0)
		contestant_fail("%s: %s", e.step, e.text);
	if (ttd_offload(dev) != o.offload)
		contestant_fail("there is no offload");
	return dev;
}

/* A socket that sends to this address's neighbour, through the device. */
static int open_sender(const char *prefix)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	struct ttd_prefix p;
	int payload = PAYLOAD, sock = socket(AF_INET, SOCK_DGRAM, 0);

	if (ttd_prefix_parse(prefix, &p) < 0)
		contestant_fail("%s is no prefix", prefix);
	memcpy(&to.sin_addr, p.ip, sizeof(to.sin_addr));
	to.sin_addr.s_addr = htonl(ntohl(to.sin_addr.s_addr) + 1);
	if (sock < 0 ||
	    setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &payload,
		       sizeof(payload)) < 0 ||
	    connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		contestant_fail("no UDP socket that segments");
	return sock;
}

static void send_some(int sock)
{
	static const uint8_t payload[TOGETHER * PAYLOAD];

	if (send(sock, payload, sizeof(payload), 0) < 0)
		contestant_fail("the host sends nothing");
}

/* --- the ways that packets go ------------------------------------------- */

static struct ttd_device *device;
static int sender;
static const char *address, *far_name;	/* far_name: of a wire's other end */

static void by_recv(void)
{
	static uint8_t packet[PACKET_MAX];

	send_some(sender);
	while (ttd_recv(device, packet, sizeof(packet), 0) > 0)
		packets++;
}

/* From a neighbour to the host, where nobody listens. */
static void by_send(void)
{
	static uint8_t buffer[TTD_HEADROOM + PAYLOAD];
	uint8_t *packet = buffer + TTD_HEADROOM;

	if (!packet[0])
		contestant_packet(packet, PAYLOAD, address);
	for (unsigned i = 0; i < TOGETHER; i++)
		if (ttd_send(device, packet, PAYLOAD) == 0)
			packets++;
}

/* And back again: the host drops it, as it is not for it. */
static void by_batch(void)
{
	struct ttd_packet p[TTD_BATCH_MAX];
	int n;

	send_some(sender);
	while ((n = ttd_recv_batch(device, 0, p, TTD_BATCH_MAX, 0)) > 0) {
		for (int i = 0; i < n; i++)
			packets += p[i].gso_size ? p[i].len / p[i].gso_size : 1;
		if (ttd_send_batch(device, 0, p, (unsigned)n) != n)
			contestant_fail("ttd_send_batch() does not send all");
	}
}

static int on_packet(void *arg, void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	packets++;
	return 0;
}

/* What a wire's other end has received, as the kernel counts. */
static unsigned long came_out(void)
{
	struct ifaddrs *all;
	unsigned long n = 0;

	if (getifaddrs(&all) < 0)
		contestant_fail("getifaddrs() fails");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (i->ifa_data && strcmp(i->ifa_name, far_name) == 0)
			n = ((const struct rtnl_link_stats *)i->ifa_data)
				->rx_packets;
	freeifaddrs(all);
	return n;
}

static unsigned long handled(void)
{
	return packets;
}

/* By a thread of the library's: what is to come is waited for. */
static void by_thread(unsigned long (*count)(void))
{
	const unsigned long before = count();

	send_some(sender);
	for (int ms = 0; count() == before; ms++) {
		if (ms == WAIT_MS)
			contestant_fail("no packet has come in %d ms", WAIT_MS);
		poll(NULL, 0, 1);
	}
}

static void by_handler(void)
{
	by_thread(handled);
}

static void by_wire(void)
{
	by_thread(came_out);
	packets += TOGETHER;
}

static void begin_handler(const struct contestant *c)
{
	(void)c;
	if (ttd_set_handler(device, on_packet, NULL) < 0)
		contestant_fail("ttd_set_handler() fails");
}

static void begin_wire(const struct contestant *c)
{
	struct ttd_device *other = open_one(c, c->name_b, c->address_b);

	far_name = c->name_b;
	if (ttd_connect(ttd_netdev(device), ttd_netdev(other)) < 0)
		contestant_fail("ttd_connect() fails");
}

static const struct way {
	const char *name;
	void (*begin)(const struct contestant *c);
	void (*some)(void);
} ways[] = {
	{ "recv", NULL, by_recv },
	{ "send", NULL, by_send },
	{ "batch", NULL, by_batch },
	{ "handler", begin_handler, by_handler },
	{ "connect", begin_wire, by_wire },
};

static const struct way *find_way(const struct contestant *c)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (contestant_is(c, ways[i].name))
			return &ways[i];
	contestant_fail("%s is not known", c->workload);
}

/* A turn may find none: another processor may have them in hand. */
static void go(const struct way *way, unsigned long n)
{
	packets = 0;
	for (int ms = 0; packets < n;) {
		const unsigned long before = packets;

		way->some();
		if (packets != before)
			ms = 0;
		else if (ms++ == WAIT_MS)
			contestant_fail("no packet goes");
		else
			poll(NULL, 0, 1);
	}
}

int main(int argc, char **argv)
{
	char *words[WORDS_MAX];
	const struct way *way;
	struct contestant c;
	unsigned long n;

	contestant_begin(&c, argc, argv);
	way = find_way(&c);
	address = c.address;
	device = open_one(&c, c.name, address);
	sender = open_sender(address);
	if (way->begin)
		way->begin(&c);
	go(way, WARM_UP);
	contestant_ready();
	while (contestant_round(words) == 1) {
		n = contestant_number(words[0]);
		allocations = 0;
		go(way, n);
		contestant_answer("allocations=%lu packets=%lu", allocations,
				  packets);
	}
	contestant_fail("\"run N\" is understood");
}
