/*
 * libtuntapd: a program without rights.
 *
 *	send recv echo wire	in mode none, split, pass
 *	wire connect		of devices with offload SPLIT: ttd_connect()
 *
 * With uring=1 its devices have TTD_IO_URING.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../../libclient/tuntapd.h"
#include "contestant.h"

#define MTU		1500
#define TXQUEUELEN	5000
#define PACKET_MAX	65536
#define IP_ADDRESSES	12	/* where an IPv4 header has them */

static enum ttd_offload offload_of(const struct contestant *c)
{
	if (contestant_mode(c, "pass"))
		return TTD_OFFLOAD_PASS;
	if (contestant_mode(c, "split") || contestant_mode(c, "connect"))
		return TTD_OFFLOAD_SPLIT;
	return TTD_OFFLOAD_NONE;
}

static struct ttd_device *open_one(const struct contestant *c,
				   const char *socket, const char *name,
				   const char *addresses)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[2] = { { .flags = TTD_ADDR_NODAD },
				     { .flags = TTD_ADDR_NODAD } };
	char text[128], *at;
	struct ttd_device *dev;
	struct ttd_error e;

	snprintf(text, sizeof(text), "%s", addresses);
	for (at = strtok(text, ","); at && o.n_addrs < 2;
	     at = strtok(NULL, ","))
		if (ttd_prefix_parse(at, &addrs[o.n_addrs++].local) < 0)
			contestant_fail("%s is no prefix", at);
	addrs[0].flags = 0;	/* IPv4 knows no DAD */
	o.socket_path = socket;
	o.name = name;
	o.mtu = MTU;
	o.txqueuelen = TXQUEUELEN;
	o.addrs = addrs;
	o.offload = offload_of(c);
	o.flags = (c->alone ? TTD_NO_THREAD : 0) |
		  (c->uring ? TTD_IO_URING : 0);
	if (ttd_open(&o, &dev, &e) < 0)
		contestant_fail("%s: %s", e.step, e.text);
	if (ttd_offload(dev) != o.offload)
		contestant_fail("there is no offload");
	return dev;
}

/* --- one packet at a time ----------------------------------------------- */

static void send_some(struct ttd_device *dev, const uint8_t *packet,
		      size_t len, unsigned long n)
{
	double began = contestant_ns();

	for (unsigned long i = 0; i < n; i++) {
		int r = ttd_send(dev, packet, len);

		if (r < 0)
			contestant_fail("ttd_send: %s", strerror(-r));
	}
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

static void recv_some(struct ttd_device *dev, unsigned long n)
{
	static uint8_t packet[PACKET_MAX];
	double began = contestant_ns();

	for (unsigned long i = 0; i < n; i++) {
		ssize_t r = ttd_recv(dev, packet, sizeof(packet), 0);

		if (r < 0)
			contestant_fail("ttd_recv: %s after %lu packets",
					strerror((int)-r), i);
	}
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

/* With offload PASS packets come and go in batches. */
static void send_batches(struct ttd_device *dev, uint8_t *packet, size_t len,
			 unsigned long n)
{
	struct ttd_packet p = { .data = packet, .len = (uint32_t)len,
				.flags = TTD_PKT_HEADROOM };
	double began = contestant_ns();

	for (unsigned long i = 0; i < n; i++) {
		int r = ttd_send_batch(dev, 0, &p, 1);

		if (r < 0)
			contestant_fail("ttd_send_batch: %s", strerror(-r));
	}
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

static void recv_batches(struct ttd_device *dev, unsigned long n)
{
	struct ttd_packet packets[TTD_BATCH_MAX];
	double began = contestant_ns();

	for (unsigned long i = 0; i < n;) {
		int r = ttd_recv_batch(dev, 0, packets, TTD_BATCH_MAX, 0);

		if (r < 0)
			contestant_fail("ttd_recv_batch: %s after %lu packets",
					strerror(-r), i);
		i += (unsigned long)r;
	}
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

static void do_rounds(const struct contestant *c, struct ttd_device *dev)
{
	static uint8_t buffer[TTD_HEADROOM + PACKET_MAX];
	uint8_t *packet = buffer + TTD_HEADROOM;
	bool batches = contestant_mode(c, "pass");
	char *words[WORDS_MAX];

	contestant_packet(packet, c->size, c->address);
	contestant_ready();
	while (contestant_round(words) == 1) {
		unsigned long n = contestant_number(words[0]);

		if (contestant_is(c, "recv"))
			batches ? recv_batches(dev, n) : recv_some(dev, n);
		else if (batches)
			send_batches(dev, packet, c->size, n);
		else
			send_some(dev, packet, c->size, n);
	}
}

/* --- back, or to the other side ----------------------------------------- */

static void echo(struct ttd_device *dev)
{
	static uint8_t packet[PACKET_MAX];
	uint8_t far[4];

	contestant_end_with_stdin();
	contestant_ready();
	for (;;) {
		ssize_t n = ttd_recv(dev, packet, sizeof(packet), TTD_FOREVER);

		if (n < 0)
			contestant_fail("ttd_recv: %s", strerror((int)-n));
		if (packet[0] >> 4 != 4)
			continue;
		memcpy(far, packet + IP_ADDRESSES, 4);
		memcpy(packet + IP_ADDRESSES, packet + IP_ADDRESSES + 4, 4);
		memcpy(packet + IP_ADDRESSES + 4, far, 4);
		ttd_send(dev, packet, (size_t)n);
	}
}

/* What there is, over there.  What finds no room there is lost, as on a wire. */
static void carry(struct ttd_device *from, struct ttd_device *to)
{
	struct ttd_packet packets[TTD_BATCH_MAX];
	int n;

	while ((n = ttd_recv_batch(from, 0, packets, TTD_BATCH_MAX, 0)) > 0)
		ttd_send_batch(to, 0, packets, (unsigned)n);
}

static void wire_by_hand(struct ttd_device *a, struct ttd_device *b)
{
	struct pollfd p[] = { { ttd_fd(a, 0), POLLIN, 0 },
			      { ttd_fd(b, 0), POLLIN, 0 } };

	while (poll(p, 2, -1) >= 0) {
		if (p[0].revents)
			carry(a, b);
		if (p[1].revents)
			carry(b, a);
	}
}

static void wire(const struct contestant *c, struct ttd_device *a)
{
	struct ttd_device *b = open_one(c, c->socket_b, c->name_b,
					c->address_b);
	int r;

	contestant_end_with_stdin();
	if (contestant_mode(c, "split")) {
		contestant_ready();
		wire_by_hand(a, b);
		return;
	}
	r = ttd_connect(ttd_netdev(a), ttd_netdev(b));
	if (r < 0)
		contestant_fail("ttd_connect: %s", strerror(-r));
	contestant_ready();
	poll(NULL, 0, -1);
}

int main(int argc, char **argv)
{
	struct contestant c;
	struct ttd_device *dev;

	contestant_begin(&c, argc, argv);
	dev = open_one(&c, c.socket, c.name, c.address);
	if (contestant_is(&c, "echo"))
		echo(dev);
	else if (contestant_is(&c, "wire"))
		wire(&c, dev);
	else
		do_rounds(&c, dev);
	return 0;
}
