/*
 * tun-echo: a TUN device on which every ping is answered, whatever address it
 * goes to.  Needs no rights of its own, only a policy that admits it:
 *
 *	tun-echo --address 10.9.0.1/24 --address fd09::1/64 --route 10.20.0.0/16
 *	ping 10.9.0.77; ping fd09::77; ping 10.20.3.4
 *
 * Shows the push style: the library reads on a thread of its own and calls a
 * handler with each packet, which is rewritten in place and sent back.
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tuntapd.h"

#define MANY		16	/* addresses, and routes, that one may give */

/* What the handler is given: one queue, so only one thread ever runs it. */
struct echo {
	struct ttd_device *dev;
	unsigned long answered4, answered6, ignored, unsent;
};

/* --- packets ------------------------------------------------------------ */

/*
 * A 16-bit word that the checksum at `sum` covers grows by `diff` (in ones'
 * complement: 0xffff - n shrinks it by n).  RFC 1624: no need to look at the
 * rest, and a packet that was broken before is not made to look sound.
 */
static void adjust_checksum(uint8_t *sum, uint16_t diff)
{
	uint32_t s = (uint16_t)~(sum[0] << 8 | sum[1]) + (uint32_t)diff;

	s = ~((s & 0xffff) + (s >> 16));
	sum[0] = (uint8_t)(s >> 8);
	sum[1] = (uint8_t)s;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t kept[16];

	memcpy(kept, a, n);
	memcpy(a, b, n);
	memcpy(b, kept, n);
}

/* Turns an ICMP echo request into its reply; 0 if it is something else. */
static int reply4(uint8_t *p, size_t len)
{
	size_t head = (p[0] & 15) * 4u;
	uint8_t *icmp = p + head;

	if (head < 20 || len < head + 8 || p[9] != 1 || icmp[0] != 8)
		return 0;
	if (((p[6] << 8 | p[7]) & 0x3fff) != 0)	/* a fragment */
		return 0;
	if (p[16] >= 224)			/* a group, or everybody */
		return 0;
	/* The sum of the header is the same with its addresses exchanged. */
	swap(p + 12, p + 16, 4);
	icmp[0] = 0;
	adjust_checksum(icmp + 2, 0xffff - (8 << 8));
	return 1;
}

/* The same for ICMPv6, whose checksum covers the addresses too. */
static int reply6(uint8_t *p, size_t len)
{
	uint8_t *icmp = p + 40;

	if (len < 40 + 8 || p[6] != 58 || icmp[0] != 128 || p[24] == 0xff)
		return 0;
	swap(p + 8, p + 24, 16);
	icmp[0] = 129;
	adjust_checksum(icmp + 2, 1 << 8);
	return 1;
}

/* The library calls it with each packet that the host sends into the device. */
static int echo(void *arg, void *buf, size_t len)
{
	struct echo *e = arg;
	uint8_t *p = buf;
	int version = len >= 20 ? p[0] >> 4 : 0;
	int is_reply = version == 4 ? reply4(p, len) :
		       version == 6 ? reply6(p, len) : 0;

	if (!is_reply)
		e->ignored++;
	else if (ttd_send(e->dev, buf, len) < 0)
		e->unsent++;
	else if (version == 4)
		e->answered4++;
	else
		e->answered6++;
	return 0;
}

/* --- what we are -------------------------------------------------------- */

/* "uid 65534 CapEff 0000000000000000 NoNewPrivs 1"; macOS has but the uid. */
static void print_rights(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256], key[32], value[32];

	printf("uid %u", (unsigned)getuid());
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31[^:]: %31s", key, value) == 2 &&
		    (strcmp(key, "CapEff") == 0 ||
		     strcmp(key, "NoNewPrivs") == 0))
			printf(" %s %s", key, value);
	if (f)
		fclose(f);
	putchar('\n');
}

static void print_device(struct ttd_device *dev)
{
	char name[TTD_NAME_MAX] = "?";
	uint32_t mtu = 0;

	ttd_name(dev, name);
	ttd_get_mtu(dev, &mtu);
	printf("device %s index %u mtu %u\n", name, ttd_ifindex(dev), mtu);
	print_rights();
}

/* --- until the end ------------------------------------------------------ */

static int stop[2];		/* a pipe: what a signal handler may write to */

static void on_signal(int sig)
{
	(void)sig;
	(void)!write(stop[1], "", 1);
}

/* Waits for SIGTERM, SIGINT or the device's end; the exit status. */
static int wait_for_end(struct ttd_device *dev)
{
	struct pollfd p[] = {
		{ stop[0], POLLIN, 0 },
		{ ttd_done_fd(dev), POLLIN, 0 },
	};
	struct ttd_error why;

	while (poll(p, 2, -1) < 0)
		;			/* EINTR: the pipe says it again */
	if (ttd_status(dev, &why) == TTD_OPEN)
		return 0;
	printf("ended: %s\n", why.text);
	return 1;
}

static int serve(const struct ttd_options *options)
{
	struct sigaction act = { 0 };
	struct echo e = { 0 };
	struct ttd_error error;
	int status;

	if (pipe(stop) < 0) {
		perror("tun-echo: pipe");
		return 1;
	}
	act.sa_handler = on_signal;
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);

	if (ttd_open(options, &e.dev, &error) < 0) {
		fprintf(stderr, "tun-echo: %s: %s%s%s%s\n", error.step,
			error.text, error.rule[0] ? " (rule " : "", error.rule,
			error.rule[0] ? ")" : "");
		return 1;
	}
	print_device(e.dev);
	status = ttd_set_handler(e.dev, echo, &e);
	if (status < 0) {
		fprintf(stderr, "tun-echo: %s\n", strerror(-status));
		ttd_free(e.dev);
		return 1;
	}
	puts("ready");
	status = wait_for_end(e.dev);
	ttd_free(e.dev);		/* no handler runs after this */
	printf("answered %lu IPv4 %lu IPv6 ignored %lu unsent %lu\n",
	       e.answered4, e.answered6, e.ignored, e.unsent);
	return status;
}

/* --- options ------------------------------------------------------------ */

static struct ttd_prefix prefix(const char *text)
{
	struct ttd_prefix p;

	if (ttd_prefix_parse(text, &p) < 0) {
		fprintf(stderr, "tun-echo: %s is no prefix; it looks like "
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
		{ "mtu", required_argument, NULL, 'm' },
		{ "socket", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 }
	};
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[MANY] = { 0 };
	struct ttd_route routes[MANY] = { 0 };
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
		else if (c == 'm')
			o.mtu = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c == 's')
			o.socket_path = optarg;
		else
			optind = argc + 1;
	}
	if (optind != argc) {
		fprintf(stderr, "usage: tun-echo [--name NAME] "
			"[--address PREFIX]... [--route PREFIX]...\n"
			"                [--mtu N] [--socket PATH]\n");
		return 2;
	}
	/* One line at a time, also for someone who reads us through a pipe. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	return serve(&o);
}
