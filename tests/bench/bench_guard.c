/*
 * What the source guard costs a small packet: written to a TUN, received by the
 * host's own UDP socket.  A device with a guard beside one without, in turn.
 *
 *	bench_guard [--rounds N] [--packets N] [--json]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../live/harness.h"

#define PORT		7171
#define PACKET		64
#define ROUNDS		31
#define PACKETS		20000
#define ROUNDS_MAX	1001
#define PREFIXES_MAX	256

/* The guard's device, and the other: the same but for its rule. */
static const char policy[] =
	"[rule guarded]\naction = allow\nuser = 0\nkind = tun\nname = tt0\n"
	"address = 10.9.0.0/16, fd09::/32\nroute = 10.0.0.0/8, fd00::/8\n"
	"max-routes = 256\nmax-devices = 9\n"
	"[rule bare]\naction = allow\nuser = 0\nkind = tun\nname = tt1\n"
	"address = 10.9.0.0/16, fd09::/32\nroute = 10.0.0.0/8, fd00::/8\n"
	"max-devices = 9\nsource-guard = off\n";

static struct rig rig;
static int rounds = ROUNDS, packets = PACKETS;
static bool json;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

/* --- packets ------------------------------------------------------------ */

static uint16_t checksum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void put_u16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* PACKET bytes of UDP from .9 to .1 of the device's network. */
static void make_packet(uint8_t *p, bool six, unsigned device)
{
	size_t header = six ? 40 : 20;
	char text[64];
	uint16_t sum;

	memset(p, 0, PACKET);
	p[0] = six ? 0x60 : 0x45;
	if (six) {
		put_u16(p + 4, PACKET - 40);
		p[6] = IPPROTO_UDP;
		p[7] = 64;
		snprintf(text, sizeof(text), "fd09:0:%u::9", device);
		inet_pton(AF_INET6, text, p + 8);
		snprintf(text, sizeof(text), "fd09:0:%u::1", device);
		inet_pton(AF_INET6, text, p + 24);
	} else {
		put_u16(p + 2, PACKET);
		p[8] = 64;
		p[9] = IPPROTO_UDP;
		snprintf(text, sizeof(text), "10.9.%u.9", device);
		inet_pton(AF_INET, text, p + 12);
		snprintf(text, sizeof(text), "10.9.%u.1", device);
		inet_pton(AF_INET, text, p + 16);
		sum = checksum(p, 20, 0);
		memcpy(p + 10, &sum, 2);
	}
	put_u16(p + header, PORT);
	put_u16(p + header + 2, PORT);
	put_u16(p + header + 4, (unsigned)(PACKET - header));
	if (six) {
		sum = checksum(p + 8, PACKET - 8, IPPROTO_UDP + PACKET - 40);
		memcpy(p + header + 6, &sum, 2);
	}
}

/* --- devices ------------------------------------------------------------ */

/* What leads to it are n prefixes. */
static struct ttd_device *open_device(unsigned n, unsigned prefixes,
				      int *ret_fd)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	static struct ttd_route r[PREFIXES_MAX];
	struct ttd_addr a[2] = { { .flags = 0 } };
	struct ttd_device *dev;
	struct ttd_error e;
	char name[TTD_NAME_MAX], four[32], six[64];

	snprintf(name, sizeof(name), "tt%u", n);
	snprintf(four, sizeof(four), "10.9.%u.1/24", n);
	snprintf(six, sizeof(six), "fd09:0:%u::1/64", n);
	a[0].local = prefix(four);
	a[1].local = prefix(six);
	a[1].flags = TTD_ADDR_NODAD;
	o.socket_path = rig.socket;
	o.name = name;
	o.addrs = a;
	o.n_addrs = 2;
	for (unsigned i = 0; i < prefixes - 2; i++) {
		snprintf(six, sizeof(six), i % 2 ? "fd77:%x::/32" :
			 "10.77.%u.0/25", i);
		r[i] = (struct ttd_route){ .dst = prefix(six) };
	}
	o.routes = r;
	o.n_routes = prefixes - 2;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	*ret_fd = ttd_take_fd(dev, 0);
	return dev;
}

/* --- the measurement ---------------------------------------------------- */

static int sink(bool six)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(PORT) };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	int s = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC |
		       SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(s, six ? (void *)&a6 : (void *)&a4,
			      six ? sizeof(a6) : sizeof(a4)), 0);
	return s;
}

/* Nanoseconds a packet; all of them must have come. */
static double once(int fd, int sock, const uint8_t *p)
{
	uint8_t buf[PACKET];
	const int burst = 64;
	double began, spent = 0;
	int came = 0;

	for (int i = 0; i < packets; i += burst) {
		began = now();
		for (int j = 0; j < burst; j++)
			if (write(fd, p, PACKET) != PACKET)
				abort();
		spent += now() - began;
		while (recv(sock, buf, sizeof(buf), 0) >= 0)
			came++;
	}
	ck_assert_int_ge(came, packets);
	return spent / ((packets + burst - 1) / burst * burst);
}

/* The kernel makes an address ready a little later, from a workqueue. */
static void until_ready(int fd, int sock, const uint8_t *p)
{
	uint8_t buf[PACKET];

	for (int ms = 0; ms < DEADLINE_MS; ms++) {
		if (write(fd, p, PACKET) == PACKET &&
		    recv(sock, buf, sizeof(buf), 0) >= 0)
			return;
		sleep_ms(1);
	}
}

static void compare(unsigned n, bool six, int guarded, int bare)
{
	static double with[ROUNDS_MAX], without[ROUNDS_MAX], ratio[ROUNDS_MAX];
	uint8_t a[PACKET], b[PACKET];
	int s = sink(six);

	make_packet(a, six, 0);
	make_packet(b, six, 1);
	until_ready(guarded, s, a);
	until_ready(bare, s, b);
	once(guarded, s, a);
	once(bare, s, b);
	for (int i = 0; i < rounds; i++) {
		with[i] = once(guarded, s, a);
		without[i] = once(bare, s, b);
		ratio[i] = with[i] / without[i];
	}
	close(s);
	double mw = median(with, rounds), mo = median(without, rounds);

	median(ratio, rounds);
	printf(json ? "{\"prefixes\": %u, \"family\": %d, \"guard_ns\": %.0f, "
	       "\"none_ns\": %.0f, \"ratio\": %.3f, \"low\": %.3f, "
	       "\"high\": %.3f}\n" :
	       "%4u prefixes, IPv%d: guard %5.0f ns, none %5.0f ns, ratio of "
	       "medians %.3f (a tenth below %.3f, a tenth above %.3f)\n", n,
	       six ? 6 : 4, mw, mo, mw / mo, ratio[rounds / 10],
	       ratio[rounds - 1 - rounds / 10]);
	fflush(stdout);
}

static int in_the_rig(void *n)
{
	struct rig_options o = { .policy = policy };
	int guarded, bare;

	rig_start(&rig, &o);
	struct ttd_device *a = open_device(0, *(const unsigned *)n, &guarded);
	struct ttd_device *b = open_device(1, 2, &bare);

	compare(*(const unsigned *)n, false, guarded, bare);
	compare(*(const unsigned *)n, true, guarded, bare);
	ttd_free(a);
	ttd_free(b);
	rig_end(&rig);
	return 0;
}

static const unsigned counts[] = { 2, 4, 64, 250 };

START_TEST(bench)
{
	in_the_rig((void *)(uintptr_t)&counts[_i]);
}
END_TEST

static int usage(void)
{
	fputs("usage: bench_guard [--rounds N] [--packets N] [--json]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "packets", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	Suite *s = suite_create("bench_guard");
	TCase *t = tcase_create("bench");
	int opt;

	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 'p')
			packets = atoi(optarg);
		else if (opt == 'j')
			json = true;
		else
			return usage();
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || packets < 1 || optind < argc)
		return usage();
	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, bench, 0, sizeof(counts) / sizeof(*counts));
	suite_add_tcase(s, t);
	return live_main("bench_guard", s);
}
