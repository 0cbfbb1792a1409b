/*
 * tun-wire: two TUN devices of two daemons, wired: what one host sends into
 * its device comes out of the other's.  A daemon makes devices in the network
 * namespace that it runs in, so with one in each of two namespaces this joins
 * the two:
 *
 *	tun-wire [--pass] [--io-uring] SOCKET PREFIX,... SOCKET PREFIX,...
 *
 * --pass takes super-packets as the kernel hands them over, and gives them to
 * the other kernel untouched: many times faster for TCP.  --io-uring asks for
 * many packets in one system call, which is faster where they are small.
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tuntapd.h"

#define MANY		8	/* addresses of a side */
#define MTU		1500

/* "10.9.0.1/24,fd09::1/64"; how many.  The text is cut up. */
static size_t parse_addresses(char *text, struct ttd_addr ret[MANY])
{
	size_t n = 0;

	for (char *at = strtok(text, ","); at; at = strtok(NULL, ",")) {
		if (n == MANY || ttd_prefix_parse(at, &ret[n].local) < 0) {
			fprintf(stderr, "tun-wire: %s: it looks like "
				"10.9.0.1/24, and there are %d at most\n", at,
				MANY);
			exit(2);
		}
		n++;
	}
	return n;
}

static struct ttd_device *open_side(const char *socket_path, char *addresses,
				    enum ttd_offload offload, uint32_t flags)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[MANY] = { 0 };
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = socket_path;
	o.addrs = addrs;
	o.n_addrs = parse_addresses(addresses, addrs);
	o.mtu = MTU;
	o.offload = offload;
	o.flags = flags;
	if (ttd_open(&o, &dev, &e) < 0) {
		fprintf(stderr, "tun-wire: %s: %s: %s\n", socket_path, e.step,
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

static int usage(void)
{
	fprintf(stderr, "usage: tun-wire [--pass] [--io-uring] "
		"SOCKET PREFIX,... SOCKET PREFIX,...\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pass", no_argument, NULL, 'p' },
		{ "io-uring", no_argument, NULL, 'u' },
		{ 0 },
	};
	enum ttd_offload offload = TTD_OFFLOAD_NONE;
	uint32_t flags = 0;
	struct sigaction act = { .sa_handler = on_signal };
	struct ttd_device *a, *b;
	struct pollfd p[3];
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'p')
			offload = TTD_OFFLOAD_PASS;
		else if (c == 'u')
			flags = TTD_IO_URING;
		else
			return usage();
	argv += optind;
	if (argc - optind != 4)
		return usage();
	if (pipe(stop) < 0) {
		perror("tun-wire: pipe");
		return 1;
	}
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);

	a = open_side(argv[0], argv[1], offload, flags);
	b = open_side(argv[2], argv[3], offload, flags);
	r = ttd_connect(ttd_netdev(a), ttd_netdev(b));
	if (r < 0) {
		fprintf(stderr, "tun-wire: connect: %s\n", strerror(-r));
		return 1;
	}
	puts("ready");
	fflush(stdout);

	p[0] = (struct pollfd){ stop[0], POLLIN, 0 };
	p[1] = (struct pollfd){ ttd_done_fd(a), POLLIN, 0 };
	p[2] = (struct pollfd){ ttd_done_fd(b), POLLIN, 0 };
	while (poll(p, 3, -1) < 0)
		;			/* EINTR: the pipe says it again */
	/* Each sends on the other: unwire both before either goes. */
	ttd_netdev_set_handler(ttd_netdev(a), NULL, NULL);
	ttd_netdev_set_handler(ttd_netdev(b), NULL, NULL);
	ttd_free(a);
	ttd_free(b);
	return 0;
}
