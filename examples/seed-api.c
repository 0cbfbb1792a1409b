/*
 * seed-api: the API of the Go package tuntap, row by row, in C and without
 * root.  The Go call stands beside each; a line is printed for each row, and
 * the exit status is 1 if one of them did not do what it should.
 *
 *	seed-api [SOCKET]
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tuntapd.h"

#define WAIT_MS		3000
#define PING_LEN	28	/* an IPv4 and an ICMP header */

static int failed;

static void row(const char *name, int good)
{
	printf("%-24s %s\n", name, good ? "ok" : "FAILED");
	failed = failed || !good;
}

static struct ttd_prefix prefix(const char *text)
{
	struct ttd_prefix p = { .family = 0 };

	ttd_prefix_parse(text, &p);
	return p;
}

/* Counts packets, and wakes whoever waits. */
struct box {
	int pipe[2];
};

static int put(void *arg, void *buf, size_t len)
{
	struct box *box = arg;
	(void)buf;
	(void)len;
	return write(box->pipe[1], "", 1) == 1 ? 0 : -1;
}

static int got(struct box *box)
{
	struct pollfd p = { box->pipe[0], POLLIN, 0 };
	char byte;

	return poll(&p, 1, WAIT_MS) == 1 && read(box->pipe[0], &byte, 1) == 1;
}

/* Makes the host send something to an address. */
static void provoke(const char *address)
{
	struct ttd_prefix p = prefix(address);
	struct sockaddr_storage to = { .ss_family = AF_UNSPEC };
	int family = p.family == 4 ? AF_INET : AF_INET6;
	int sock = socket(family, SOCK_DGRAM, 0);

	/* sockaddr_in: port, address; sockaddr_in6: port, flow, address */
	to.ss_family = (sa_family_t)family;
	memcpy((char *)&to + 2, "\0\7", 2);
	memcpy((char *)&to + (p.family == 4 ? 4 : 8), p.ip,
	       p.family == 4 ? 4 : 16);
	(void)!sendto(sock, "x", 1, 0, (struct sockaddr *)&to,
		      p.family == 4 ? 16 : 28);
	close(sock);
}

static struct ttd_device *open_one(const char *path, enum ttd_layer layer,
				   const char *name)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_device *dev = NULL;
	struct ttd_error e;

	o.socket_path = path;
	o.name = name;
	if (ttd_open(&o, &dev, &e) < 0)
		fprintf(stderr, "seed-api: %s: %s\n", e.step, e.text);
	return dev;
}

/* A frame or packet that the host takes and drops. */
static int send_something(struct ttd_netdev d, enum ttd_layer layer)
{
	uint8_t p[14 + PING_LEN] = { 0 };
	uint8_t *ip = p + (layer == TTD_TAP ? 14 : 0);

	if (layer == TTD_TAP) {
		memset(p, 0xff, 6);	/* to all, */
		p[12] = 8;		/* EtherType 0x0800 */
	}
	ip[0] = 0x45;
	ip[3] = PING_LEN;
	return ttd_netdev_send(d, p, (size_t)(ip - p) + PING_LEN);
}

static void rows_of(struct ttd_device *dev, enum ttd_layer layer)
{
	struct ttd_prefix v4 = prefix("10.9.0.1/24"), v6 = prefix("fd09::1/64");
	struct ttd_prefix stored = prefix("10.9.7.7/24"), seen;
	struct ttd_route routes[4] = {
		{ .dst = prefix("10.20.0.0/16") },
		{ .dst = prefix("10.21.0.0/16"), .gateway = prefix("10.9.0.9") },
		{ .dst = prefix("fd20::/32") },
		{ .dst = prefix("fd21::/32"), .gateway = prefix("fd09::9") },
	};
	struct ttd_netdev d = ttd_netdev(dev);
	struct ttd_addr all[4];
	char name[TTD_NAME_MAX];
	uint32_t mtu = 0;
	uint8_t mac[6];
	struct box box;

	if (pipe(box.pipe) < 0)
		exit(1);
	/* dev.Name() */
	row("Name", ttd_name(dev, name) == 0 && name[0] != '\0');
	/* dev.HWAddr(), on L2 */
	row("HWAddr", ttd_hwaddr(dev, mac) ==
	    (layer == TTD_TAP ? 0 : -EOPNOTSUPP));
	/* dev.SetIPv4(prefix): sets the address, brings the device up */
	row("SetIPv4", ttd_set_ip(dev, &v4, NULL) == 0);
	/* dev.SetIPv6(prefix) */
	row("SetIPv6", ttd_set_ip(dev, &v6, NULL) == 0 &&
	    ttd_get_addrs(dev, all, 4) == 2);
	/* dev.Addr(): the IPv4 prefix, after SetIPv6 too */
	row("Addr", ttd_netdev_addr(d, &seen) == 0 &&
	    memcmp(&seen, &v4, sizeof(v4)) == 0);
	/* dev.SetAddr(prefix): is remembered, and nothing else */
	row("SetAddr", ttd_netdev_set_addr(d, &stored) == 0 &&
	    ttd_netdev_addr(d, &seen) == 0 &&
	    memcmp(&seen, &stored, sizeof(stored)) == 0 &&
	    ttd_get_addrs(dev, all, 4) == 2);
	/* dev.AddRoute(dst, netip.Addr{}) */
	row("AddRoute IPv4", ttd_add_routes(dev, &routes[0], 1, NULL) == 0);
	/* dev.AddRoute(dst, gateway) */
	row("AddRoute IPv4 gateway",
	    ttd_add_routes(dev, &routes[1], 1, NULL) == 0);
	row("AddRoute IPv6", ttd_add_routes(dev, &routes[2], 1, NULL) == 0);
	row("AddRoute IPv6 gateway",
	    ttd_add_routes(dev, &routes[3], 1, NULL) == 0);
	/* dev.SetMTU(1400) */
	row("SetMTU", ttd_set_mtu(dev, 1400, NULL) == 0 &&
	    ttd_get_mtu(dev, &mtu) == 0 && mtu == 1400);
	/* dev.SetHandler(func(p pktkit.Packet) error { ... }) */
	ttd_set_handler(dev, put, &box);
	provoke("10.9.0.2");
	row("SetHandler", got(&box));
	/* dev.Send(p) */
	row("Send", send_something(d, layer) == 0);
	/* dev.Close(), twice; <-dev.Done() */
	row("Close", ttd_close(dev) == 0 && ttd_close(dev) == 0);
	row("Done", poll(&(struct pollfd){ ttd_done_fd(dev), POLLIN, 0 }, 1, 0)
	    == 1 && ttd_status(dev, NULL) == TTD_CLOSED);
	ttd_free(dev);
	close(box.pipe[0]);
	close(box.pipe[1]);
}

/* pktkit.ConnectL2(a, b), ConnectL3(a, b), with pipes: no daemon is needed. */
static void wire(enum ttd_layer layer, const char *name)
{
	struct ttd_pipe *a, *b;
	uint8_t packet[64] = { 0x45 };
	struct box box;
	int good;

	if (pipe(box.pipe) < 0 ||
	    ttd_pipe_new(layer, NULL, NULL, NULL, &a) < 0 ||
	    ttd_pipe_new(layer, NULL, put, &box, &b) < 0)
		exit(1);
	good = ttd_connect(ttd_pipe_netdev(a), ttd_pipe_netdev(b)) == 0;
	/* pipe.Inject(p): as if the host had sent it */
	good = good && ttd_pipe_inject(a, packet, sizeof(packet)) == 0 &&
	       got(&box);
	row(name, good);
	ttd_netdev_set_handler(ttd_pipe_netdev(a), NULL, NULL);
	ttd_netdev_set_handler(ttd_pipe_netdev(b), NULL, NULL);
	ttd_pipe_free(a);
	ttd_pipe_free(b);
	close(box.pipe[0]);
	close(box.pipe[1]);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : NULL;
	struct ttd_device *dev;

	/* tuntap.TUN(tuntap.Config{Name: "ttseed3"}) */
	dev = open_one(path, TTD_TUN, "ttseed3");
	row("TUN", dev != NULL);
	if (dev)
		rows_of(dev, TTD_TUN);
	/* tuntap.TAP(tuntap.Config{}): the name is chosen */
	dev = open_one(path, TTD_TAP, NULL);
	row("TAP", dev != NULL);
	if (dev)
		rows_of(dev, TTD_TAP);
	wire(TTD_TAP, "ConnectL2, Inject");
	wire(TTD_TUN, "ConnectL3, Inject");
	return failed;
}
