/*
 * Any bytes as a frame, or as what comes out of a socket.
 *
 * The first byte chooses.  Even: the rest is decoded; what decodes must be the
 * one encoding of its value.  Odd: the rest is a stream that a peer writes in
 * pieces, some of them with fds, and that is received frame by frame:
 *
 *	bits 1-2	how many fds the receiver is ready to take
 *	bit 3		the receiver is the daemon, else a client
 *	bits 4-7	how many pieces, less one
 *	then a byte a piece: bits 0-5 its length in bytes (0: all there is),
 *	bits 6-7 how many fds ride on it
 *	then the stream
 *
 * What is received must be what was sent, in order, and no fd may stay open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../proto/frame.h"

#define STREAM_MAX	32768	/* what a socket holds, and a frame and more */
#define FDS_SEEN	64	/* no test opens one beyond */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int null = -1;		/* what is sent as fd */

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void decode(const uint8_t *data, size_t size)
{
	static struct wire_message m;
	static uint8_t again[WIRE_FRAME_MAX];
	struct wire_fault fault;
	int error = wire_decode(data, size, &m, &fault);

	must(fault.field && fault.why);
	if (error) {
		must(error == -EPROTO || error == -ENOSYS ||
		     error == -EPROTONOSUPPORT);
		return;
	}
	must(!fault.field[0] && !fault.why[0]);
	must(wire_encode(&m, again, sizeof(again)) == (int)size);
	must(memcmp(data, again, size) == 0);
	must(wire_encode(&m, again, size - 1) == -EMSGSIZE);
	must(wire_decode(data, size, &m, NULL) == 0);
}

/* A bit for each fd that is open. */
static uint64_t open_fds(void)
{
	uint64_t set = 0;

	for (int fd = 0; fd < FDS_SEEN; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			set |= (uint64_t)1 << fd;
	return set;
}

/* Receives all that has come.  False when the stream cannot go on. */
static bool receive(struct frame_in *in, int sock, enum wire_sender sender,
		    unsigned max_fds, const uint8_t **at)
{
	int r;

	while ((r = frame_receive(in, sock, sender, max_fds)) == 1) {
		const struct wire_row *row = wire_row(in->header.type);

		must(in->have == in->header.length);
		must(memcmp(in->frame, *at, in->have) == 0);
		must(row && row->sender == sender);
		must(in->n_fds <= max_fds && in->n_fds <= row->max_fds);
		decode(in->frame, in->have);
		*at += in->have;
		frame_in_reset(in);
	}
	if (r == -EAGAIN)
		return true;
	must(r < 0 && in->n_fds <= max_fds);
	must(frame_receive(in, sock, sender, max_fds) == r);
	return false;
}

static void send_piece(int sock, const uint8_t *bytes, size_t len, unsigned n)
{
	const int fds[3] = { null, null, null };
	size_t off = 0;

	if (len > 0)
		must(frame_send(sock, bytes, len, &off, fds, n) == 0);
}

static void stream(uint8_t how, const uint8_t *data, size_t size)
{
	enum wire_sender sender = how & 8 ? WIRE_FROM_CLIENT : WIRE_FROM_DAEMON;
	struct frame_in in = FRAME_IN_INIT;
	size_t pieces = (how >> 4) + 1u;
	const uint8_t *at = data + pieces, *end = data + size, *got = at;
	int pair[2];

	if (size < pieces || size - pieces > STREAM_MAX)
		return;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	must(fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0);
	for (size_t i = 0; i < pieces; i++) {
		size_t len = data[i] & 63;

		if (len == 0 || len > (size_t)(end - at))
			len = (size_t)(end - at);
		send_piece(pair[0], at, len, data[i] >> 6);
		at += len;
		if (!receive(&in, pair[1], sender, how >> 1 & 3, &got))
			break;
	}
	frame_in_reset(&in);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t before;

	if (size == 0)
		return 0;
	if (data[0] % 2 == 0) {
		decode(data + 1, size - 1);
		return 0;
	}
	if (null < 0)
		null = open("/dev/null", O_RDONLY);
	before = open_fds();
	stream(data[0], data + 1, size - 1);
	must(open_fds() == before);
	return 0;
}
