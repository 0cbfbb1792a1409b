/* What is done with a connection alone. */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELD		400	/* connections of a process, below its limit */
#define NEVER_READ	64	/* likewise, with a device each */
#define LOOK_MS		20	/* between two looks whether they are there */
#define RANDOM_MAX	64

static bool has_closed(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1;
}

/* Keeps n connections, each prepared by fn; makes those anew that are closed. */
static void keep(struct attacker *me, unsigned n,
		 void (*fn)(struct attacker *me, int sock))
{
	int socks[HELD];

	memset(socks, -1, sizeof(socks));
	while (goes_on()) {
		for (unsigned i = 0; i < n && goes_on(); i++) {
			if (socks[i] >= 0 && has_closed(socks[i])) {
				managed(me, "cut off");
				close(socks[i]);
				socks[i] = -1;
			}
			if (socks[i] >= 0)
				continue;
			socks[i] = connected(me);
			if (socks[i] < 0)
				continue;
			managed(me, "connections");
			fn(me, socks[i]);
		}
		sleep_ms(LOOK_MS);
	}
}

static void say_nothing(struct attacker *me, int sock)
{
	(void)me;
	(void)sock;
}

static void hold_connections(struct attacker *me)
{
	keep(me, HELD, say_nothing);
}

/* As many as there is room for, and none of the answers is read. */
static void ask_much(struct attacker *me, int sock)
{
	struct wire_message m = { .type = WIRE_POLICY };
	static struct sent policy, list;
	unsigned long n = 0;

	if (policy.len == 0) {
		encode(&policy, &m);
		m.type = WIRE_LIST;
		encode(&list, &m);
	}
	while (send(sock, policy.frame, policy.len, MSG_DONTWAIT) > 0 &&
	       send(sock, list.frame, list.len, MSG_DONTWAIT) > 0)
		n += 2;
	managed_many(me, "requests", n);
}

static void never_read(struct attacker *me)
{
	keep(me, HELD, ask_much);
}

/* The answer is a device, whose fd stays in the socket. */
static void ask_for_a_device(struct attacker *me, int sock)
{
	struct wire_message m = raw_open_request();
	static struct sent open;

	if (open.len == 0)
		encode(&open, &m);
	if (send(sock, open.frame, open.len, MSG_DONTWAIT) > 0)
		managed(me, "opens");
	ask_much(me, sock);
}

static void never_take_the_device(struct attacker *me)
{
	keep(me, NEVER_READ, ask_for_a_device);
}

/* From the first byte of a header to all but the last one of a body. */
static void say_a_part(struct attacker *me, int sock)
{
	struct wire_message m = raw_open_request();
	static struct sent open;
	static unsigned turn;
	size_t part;

	if (open.len == 0)
		encode(&open, &m);
	part = 1 + turn++ % (unsigned)(open.len - 1);
	if (send(sock, open.frame, part, MSG_DONTWAIT) > 0)
		managed(me, "halves");
}

static void half_frames(struct attacker *me)
{
	keep(me, HELD, say_a_part);
}

/* A byte at a time, so that each wakes the daemon. */
static void byte_by_byte(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_STATUS };
	struct sent status;
	int sock = -1;

	encode(&status, &m);
	while (goes_on()) {
		char trash[1024];

		if (sock < 0)
			sock = connected(me);
		for (size_t i = 0; sock >= 0 && i < status.len; i++)
			if (send(sock, status.frame + i, 1, MSG_NOSIGNAL) < 0) {
				close(sock);
				sock = -1;
			}
		if (sock >= 0) {
			managed(me, "requests");
			(void)!recv(sock, trash, sizeof(trash), 0);
		}
	}
}

/* Connects and closes, as fast as it can: with many, the backlog is full. */
static void connect_and_close(struct attacker *me)
{
	while (goes_on()) {
		int sock = connected(me);

		if (sock < 0)
			continue;
		managed(me, "connections");
		close(sock);
	}
}

/* A header that is right, most of the time, and then anything. */
static void malformed(struct attacker *me)
{
	unsigned seed = 1 + me->n;

	while (goes_on()) {
		uint8_t bytes[RANDOM_MAX] = { 0 };
		int sock = connected(me);
		char trash[1024];

		if (sock < 0)
			continue;
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)rand_r(&seed);
		if (rand_r(&seed) % 4) {
			bytes[0] = sizeof(bytes);
			bytes[1] = bytes[2] = bytes[3] = 0;
			bytes[4] = WIRE_VERSION;
			bytes[5] = (uint8_t)(1 + rand_r(&seed) % WIRE_MONITOR);
		}
		if (send(sock, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0) {
			managed(me, "frames");
			/* An OPEN may be right by chance; nobody waits for more. */
			(void)!recv(sock, trash, sizeof(trash), 0);
		}
		close(sock);
	}
}

const struct attack byte_attacks[] = {
	{ "hold_connections", 4, 2, hold_connections, false },
	{ "connect_and_close", 8, 4, connect_and_close, false },
	{ "half_frames", 4, 2, half_frames, false },
	{ "byte_by_byte", 4, 2, byte_by_byte, false },
	{ "malformed", 4, 2, malformed, false },
	{ "never_read", 4, 2, never_read, false },
	{ "never_take_the_device", 2, 2, never_take_the_device, false },
	{ .name = NULL },
};
