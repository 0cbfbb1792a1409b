/*
 * tap-hub: two TAP devices of two daemons on one Ethernet, with a meter in
 * between.  As tun-wire joins two network namespaces by packets, this does by
 * frames, so that ARP and IPv6 neighbour discovery go through:
 *
 *	tap-hub SOCKET PREFIX,PREFIX SOCKET PREFIX,PREFIX
 *
 * Shows the table of functions that makes anything a device: a meter wraps one
 * and counts what passes, and ttd_connect() cannot tell the difference.
 */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tuntapd.h"

#define MANY		8	/* addresses of a side */
#define ETHER_HEADER	14
#define ETHERTYPE_ARP	0x0806
#define ETHERTYPE_IPV6	0x86dd
#define IPV6_NEXT	(ETHER_HEADER + 6)	/* where the next header is */
#define IPV6_PAYLOAD	(ETHER_HEADER + 40)
#define ICMPV6		58
#define ND_FIRST	133	/* router solicitation ... */
#define ND_LAST		137	/* ... redirect, RFC 4861 */

/* --- a device that counts ----------------------------------------------- */

struct meter {
	struct ttd_netdev inner;
	ttd_handler *handler;		/* of who looks at the meter */
	void *arg;
	atomic_ulong arp, nd, other;
};

static void count(struct meter *m, const uint8_t *frame, size_t len)
{
	unsigned type;

	if (len < ETHER_HEADER)
		return;
	type = (unsigned)frame[12] << 8 | frame[13];
	if (type == ETHERTYPE_ARP)
		m->arp++;
	else if (type == ETHERTYPE_IPV6 && len > IPV6_PAYLOAD &&
		 frame[IPV6_NEXT] == ICMPV6 && frame[IPV6_PAYLOAD] >= ND_FIRST &&
		 frame[IPV6_PAYLOAD] <= ND_LAST)
		m->nd++;
	else
		m->other++;
}

static int meter_frame(void *self, void *buf, size_t len)
{
	struct meter *m = self;

	count(m, buf, len);
	return m->handler(m->arg, buf, len);
}

static int meter_set_handler(void *self, ttd_handler *handler, void *arg)
{
	struct meter *m = self;
	/* Nobody runs the old one any more when this returns ... */
	int r = ttd_netdev_set_handler(m->inner, NULL, NULL);

	if (r < 0 || !handler)
		return r;
	/* ... so that it can be exchanged. */
	m->handler = handler;
	m->arg = arg;
	return ttd_netdev_set_handler(m->inner, meter_frame, m);
}

static int meter_send(void *self, const void *buf, size_t len)
{
	struct meter *m = self;

	return ttd_netdev_send(m->inner, buf, len);
}

static int meter_hwaddr(void *self, uint8_t ret[6])
{
	struct meter *m = self;

	return ttd_netdev_hwaddr(m->inner, ret);
}

/* What is left out answers -EOPNOTSUPP. */
static const struct ttd_netdev_ops meter_ops = {
	.size = sizeof(meter_ops),
	.layer = TTD_TAP,
	.set_handler = meter_set_handler,
	.send = meter_send,
	.hwaddr = meter_hwaddr,
};

/* --- two of them -------------------------------------------------------- */

/* "10.9.0.1/24,fd09::1/64"; how many.  The text is cut up. */
static size_t parse_addresses(char *text, struct ttd_addr ret[MANY])
{
	size_t n = 0;

	for (char *at = strtok(text, ","); at; at = strtok(NULL, ",")) {
		if (n == MANY || ttd_prefix_parse(at, &ret[n].local) < 0) {
			fprintf(stderr, "tap-hub: %s: it looks like "
				"10.9.0.1/24, and there are %d at most\n", at,
				MANY);
			exit(2);
		}
		n++;
	}
	return n;
}

static struct ttd_device *open_side(const char *socket_path, char *addresses)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TAP);
	struct ttd_addr addrs[MANY] = { 0 };
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = socket_path;
	o.addrs = addrs;
	o.n_addrs = parse_addresses(addresses, addrs);
	if (ttd_open(&o, &dev, &e) < 0) {
		fprintf(stderr, "tap-hub: %s: %s: %s\n", socket_path, e.step,
			e.text);
		exit(1);
	}
	return dev;
}

static int stop[2];		/* a pipe: what a signal handler may write to */

static void on_signal(int sig)
{
	(void)sig;
	(void)!write(stop[1], "", 1);
}

static void wait_for_end(struct ttd_device *a, struct ttd_device *b)
{
	struct pollfd p[] = {
		{ stop[0], POLLIN, 0 },
		{ ttd_done_fd(a), POLLIN, 0 },
		{ ttd_done_fd(b), POLLIN, 0 },
	};

	while (poll(p, 3, -1) < 0)
		;			/* EINTR: the pipe says it again */
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct meter left = { .handler = NULL }, right = { .handler = NULL };
	struct ttd_device *a, *b;
	int r;

	if (argc != 5) {
		fprintf(stderr, "usage: tap-hub SOCKET PREFIX,... SOCKET "
			"PREFIX,...\n");
		return 2;
	}
	if (pipe(stop) < 0) {
		perror("tap-hub: pipe");
		return 1;
	}
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);

	a = open_side(argv[1], argv[2]);
	b = open_side(argv[3], argv[4]);
	left.inner = ttd_netdev(a);
	right.inner = ttd_netdev(b);
	r = ttd_connect((struct ttd_netdev){ &meter_ops, &left },
			(struct ttd_netdev){ &meter_ops, &right });
	if (r < 0) {
		fprintf(stderr, "tap-hub: connect: %s\n", strerror(-r));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	wait_for_end(a, b);
	/* Each sends on the other: unwire both before either goes. */
	ttd_netdev_set_handler(left.inner, NULL, NULL);
	ttd_netdev_set_handler(right.inner, NULL, NULL);
	ttd_free(a);
	ttd_free(b);
	printf("left: %lu ARP, %lu ND, %lu other\n", left.arp, left.nd,
	       left.other);
	printf("right: %lu ARP, %lu ND, %lu other\n", right.arp, right.nd,
	       right.other);
	return 0;
}
