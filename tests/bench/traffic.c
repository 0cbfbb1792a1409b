/*
 * The host's own programs at the ends of a device.
 *
 *	fill		run N ADDRESS SIZE: N UDP packets go towards ADDRESS; with
 *			the SIZE in bytes that their IP packets have
 *	ping		run N ADDRESS: N packets there and back, one at a time;
 *			p50=, p99= ns
 *	blast		run MS ADDRESS SIZE SEGMENTS: as many as can be, with
 *			UDP_SEGMENT where SEGMENTS is more than 1; packets=
 *	reflect		sends each datagram back, from "ready" on
 *	sink		run: packets= and bytes= since the last time
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "contestant.h"

#define PORT		7171
#define HEADERS		28		/* of IPv4 and UDP */
#define PINGS_MAX	100000
#define PING_PAUSE_NS	200000		/* they come one by one, not in a row */
#define PING_WAIT_MS	1000
#define LONGEST		65507
#define BUFFER_BYTES	(8 << 20)

static const uint8_t zeroes[LONGEST];

static int udp_socket(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = BUFFER_BYTES;

	if (sock < 0)
		contestant_fail("socket: %s", strerror(errno));
	setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return sock;
}

static void lead_to(int sock, const char *address)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
	};

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		contestant_fail("%s is no address", address);
	if (connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		contestant_fail("connect %s: %s", address, strerror(errno));
}

/* From the port that it goes to: who swaps addresses alone answers it. */
static void come_from_port(int sock)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
	};

	if (bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0)
		contestant_fail("bind: %s", strerror(errno));
}

static size_t payload_of(const char *size)
{
	unsigned long bytes = contestant_number(size);

	if (bytes < HEADERS || bytes - HEADERS > LONGEST)
		contestant_fail("%s bytes are no UDP packet", size);
	return bytes - HEADERS;
}

static void fill(void)
{
	char *words[WORDS_MAX];

	while (contestant_round(words) == 3) {
		unsigned long n = contestant_number(words[0]);
		size_t payload = payload_of(words[2]);
		int sock = udp_socket();

		lead_to(sock, words[1]);
		for (unsigned long i = 0; i < n; i++)
			if (send(sock, zeroes, payload, 0) < 0)
				contestant_fail("send: %s", strerror(errno));
		close(sock);
		contestant_answer("packets=%lu", n);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* ns, or less than 0 where none came back. */
static double ping_once(int sock, uint64_t number)
{
	struct pollfd p = { sock, POLLIN, 0 };
	double began = contestant_ns();
	uint64_t back;

	if (send(sock, &number, sizeof(number), 0) < 0)
		contestant_fail("send: %s", strerror(errno));
	for (;;) {
		/* It does not wait in poll(2): that would be measured too. */
		ssize_t n = recv(sock, &back, sizeof(back), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(back) && back == number)
			return contestant_ns() - began;
		if (n < 0 && poll(&p, 1, PING_WAIT_MS) == 0)
			return -1;
	}
}

static void ping(void)
{
	static double ns[PINGS_MAX];
	const struct timespec pause = { .tv_nsec = PING_PAUSE_NS };
	uint64_t number = 0;
	char *words[WORDS_MAX];

	while (contestant_round(words) == 2) {
		unsigned long n = contestant_number(words[0]);
		int sock = udp_socket();

		if (n == 0 || n > PINGS_MAX)
			contestant_fail("%lu pings", n);
		come_from_port(sock);
		lead_to(sock, words[1]);
		for (unsigned long i = 0; i < n; i++) {
			nanosleep(&pause, NULL);
			ns[i] = ping_once(sock, ++number);
			if (ns[i] < 0)
				contestant_fail("%s does not answer", words[1]);
		}
		close(sock);
		qsort(ns, n, sizeof(*ns), by_value);
		contestant_answer("p50=%.0f p99=%.0f", ns[n / 2],
				  ns[n - 1 - n / 100]);
	}
}

static void blast(void)
{
	char *words[WORDS_MAX];

	while (contestant_round(words) == 4) {
		double end = contestant_ns() +
			     (double)contestant_number(words[0]) * 1e6;
		size_t payload = payload_of(words[2]);
		int segments = (int)contestant_number(words[3]);
		int sock = udp_socket(), each = (int)payload;
		unsigned long sent = 0;

		lead_to(sock, words[1]);
		if (segments > 1 && setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT,
					       &each, sizeof(each)) < 0)
			contestant_fail("UDP_SEGMENT: %s", strerror(errno));
		if (segments < 1 || payload * (size_t)segments > LONGEST)
			contestant_fail("%d segments of %zu bytes", segments,
					payload);
		while (contestant_ns() < end)
			/* ENOBUFS: the queue is full, as it is meant to be */
			if (send(sock, zeroes, payload * (size_t)segments,
				 0) > 0)
				sent += (unsigned long)segments;
			else if (errno != ENOBUFS && errno != EAGAIN)
				contestant_fail("send: %s", strerror(errno));
		close(sock);
		contestant_answer("packets=%lu", sent);
	}
}

static void reflect(void)
{
	static uint8_t datagram[LONGEST + 1];
	int sock = udp_socket();

	come_from_port(sock);
	contestant_end_with_stdin();
	contestant_ready();
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(sock, datagram, sizeof(datagram), 0,
				     (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(sock, datagram, (size_t)n, 0,
			       (struct sockaddr *)&from, len);
	}
}

static struct {
	atomic_ulong datagrams, bytes;
} sunk;

static void *swallow(void *arg)
{
	static uint8_t datagram[LONGEST + 1];
	int sock = *(int *)arg;

	for (;;) {
		ssize_t n = recv(sock, datagram, sizeof(datagram), 0);

		if (n < 0)
			return NULL;
		atomic_fetch_add(&sunk.datagrams, 1);
		atomic_fetch_add(&sunk.bytes, (unsigned long)n);
	}
}

static void sink(const struct contestant *c)
{
	static int sock;
	int one = 1;
	pthread_t thread;
	char *words[WORDS_MAX];

	sock = udp_socket();
	if (contestant_mode(c, "gro") &&
	    setsockopt(sock, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)) < 0)
		contestant_fail("UDP_GRO: %s", strerror(errno));
	come_from_port(sock);
	if (pthread_create(&thread, NULL, swallow, &sock))
		contestant_fail("no thread could be made");
	contestant_ready();
	while (contestant_round(words) == 0)
		contestant_answer("packets=%lu bytes=%lu",
				  atomic_exchange(&sunk.datagrams, 0),
				  atomic_exchange(&sunk.bytes, 0));
}

int main(int argc, char **argv)
{
	struct contestant c;

	contestant_begin(&c, argc, argv);
	if (contestant_is(&c, "reflect"))
		reflect();
	if (contestant_is(&c, "sink")) {
		sink(&c);
		return 0;
	}
	contestant_ready();
	if (contestant_is(&c, "fill"))
		fill();
	else if (contestant_is(&c, "ping"))
		ping();
	else if (contestant_is(&c, "blast"))
		blast();
	contestant_fail("traffic knows no %s, or was told too few words",
			c.workload);
}
