/*
 * poll-loop: prints a line for each packet that the host sends into a TUN.
 *
 *	poll-loop --address 10.9.0.1/24 --count 3
 *	ping 10.9.0.77
 *
 * Shows the pull style in an event loop of one's own: poll(2) on two fds of the
 * library's, no thread in sight.  epoll, kqueue or a loop library do as well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tuntapd.h"

#define MANY		16	/* addresses, and routes, that one may give */

static const char *protocol_name(unsigned protocol)
{
	static char number[32];

	switch (protocol) {
	case 0:
		return "hop-by-hop";
	case 1:
		return "ICMP";
	case 6:
		return "TCP";
	case 17:
		return "UDP";
	case 58:
		return "ICMPv6";
	default:
		snprintf(number, sizeof(number), "protocol %u", protocol);
		return number;
	}
}

/* "10.9.0.1 > 10.9.0.77 ICMP 84 bytes" */
static void print_packet(const uint8_t *p, size_t len)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	unsigned protocol;

	if (len >= 20 && p[0] >> 4 == 4) {
		inet_ntop(AF_INET, p + 12, from, sizeof(from));
		inet_ntop(AF_INET, p + 16, to, sizeof(to));
		protocol = p[9];
	} else if (len >= 40 && p[0] >> 4 == 6) {
		inet_ntop(AF_INET6, p + 8, from, sizeof(from));
		inet_ntop(AF_INET6, p + 24, to, sizeof(to));
		protocol = p[6];
	} else {
		printf("%zu bytes that are not IP\n", len);
		return;
	}
	printf("%s > %s %s %zu bytes\n", from, to, protocol_name(protocol),
	       len);
}

/*
 * All that is there now, not just one packet: the library may have some ready
 * that the fd knows nothing of.  -EAGAIN when there is no more, 0 when *left
 * have been printed, or why the device can no longer be read.
 */
static int drain(struct ttd_device *dev, unsigned long *left)
{
	uint8_t packet[65536];

	while (*left > 0) {
		ssize_t n = ttd_recv(dev, packet, sizeof(packet), 0);

		if (n < 0)
			return (int)n;
		print_packet(packet, (size_t)n);
		--*left;
	}
	return 0;
}

static int loop(struct ttd_device *dev, unsigned long left)
{
	struct pollfd p[] = {
		{ ttd_fd(dev, 0), POLLIN, 0 },
		{ ttd_done_fd(dev), POLLIN, 0 },
		/* a program's own sockets and timers come here */
	};
	struct ttd_error why;

	for (;;) {
		int r;

		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			perror("poll-loop: poll");
			return 1;
		}
		r = drain(dev, &left);
		if (r == 0)
			return 0;
		if (r == -EAGAIN && ttd_status(dev, NULL) == TTD_OPEN)
			continue;
		ttd_status(dev, &why);
		printf("ended: %s\n", why.code ? why.text : strerror(-r));
		return 1;
	}
}

static int watch(const struct ttd_options *options, unsigned long count)
{
	char name[TTD_NAME_MAX] = "?";
	struct ttd_device *dev;
	struct ttd_error error;
	int status;

	if (ttd_open(options, &dev, &error) < 0) {
		fprintf(stderr, "poll-loop: %s: %s%s%s%s\n", error.step,
			error.text, error.rule[0] ? " (rule " : "", error.rule,
			error.rule[0] ? ")" : "");
		return 1;
	}
	ttd_name(dev, name);
	printf("device %s\n", name);
	/* A signal may end us here: the lease ends with the process. */
	status = loop(dev, count);
	ttd_free(dev);
	return status;
}

static struct ttd_prefix prefix(const char *text)
{
	struct ttd_prefix p;

	if (ttd_prefix_parse(text, &p) < 0) {
		fprintf(stderr, "poll-loop: %s is no prefix; it looks like "
			"10.9.0.1/24 or fd09::1/64\n", text);
		exit(2);
	}
	return p;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "address", required_argument, NULL, 'a' },
		{ "route", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[MANY] = { 0 };
	struct ttd_route routes[MANY] = { 0 };
	unsigned long count = (unsigned long)-1;
	int c;

	o.addrs = addrs;
	o.routes = routes;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'n')
			o.name = optarg;
		else if (c == 'a' && o.n_addrs < MANY)
			addrs[o.n_addrs++].local = prefix(optarg);
		else if (c == 'r' && o.n_routes < MANY)
			routes[o.n_routes++].dst = prefix(optarg);
		else if (c == 'c')
			count = strtoul(optarg, NULL, 10);
		else if (c == 's')
			o.socket_path = optarg;
		else
			optind = argc + 1;
	}
	if (optind != argc) {
		fprintf(stderr, "usage: poll-loop [--name NAME] "
			"[--address PREFIX]... [--route PREFIX]...\n"
			"                 [--count N] [--socket PATH]\n");
		return 2;
	}
	/* One line at a time, also for someone who reads us through a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	return watch(&o, count);
}
