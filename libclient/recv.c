/* Reading from a queue, and waiting for what is to be read. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "device.h"
#include "packet.h"

/* --- a packet, or several ------------------------------------------------ */

/* A packet or a super-packet, with what its header says; that is before it. */
static ssize_t read_one(struct queue *q, uint8_t *data, struct ttd_packet *ret)
{
	const int header = (int)queue_header(q);
	int n = packet_read(q->fd, data - header,
			    packet_max(q->dev->layer) + (size_t)header);

	/* A tun never gives a packet of no bytes. */
	if (n <= header)
		return n == -EAGAIN ? n :
		       queue_judge(q, n < 0 ? n : -EIO, false);
	*ret = (struct ttd_packet){ .data = data, .len = (uint32_t)(n - header) };
	if (header)
		packet_header_read(data - header, ret);
	return ret->len;
}

/* The next packet of the super-packet that was read last. */
static ssize_t read_split(struct queue *q, uint8_t *to, size_t cap,
			  struct ttd_packet *ret)
{
	if (split_len(&q->split) > cap) {
		split_skip(&q->split);
		return -EMSGSIZE;
	}
	*ret = (struct ttd_packet){ .data = to,
				    .len = split_next(&q->split, to) };
	return ret->len;
}

static void move(struct ttd_packet *p, uint8_t *to)
{
	if (p->data != to)
		memcpy(to, p->data, p->len);
	p->data = to;
}

/*
 * A super-packet belongs into `super`, an ordinary one by `in` to `to`.  What
 * comes is mostly like what came before; if not it is copied.
 */
static ssize_t read_packet(struct queue *q, uint8_t *in, uint8_t *to,
			   size_t cap, struct ttd_packet *ret)
{
	uint8_t *super = q->super + PACKET_HEADER;
	ssize_t n;

	while (!split_len(&q->split)) {
		n = read_one(q, q->was_super ? super : in, ret);
		if (n <= 0)
			return n;
		q->was_super = ret->gso_type;
		/* What cannot be understood is dropped. */
		if (q->was_super) {
			move(ret, super);
			split_begin(&q->split, ret, q->dev->layer == TTD_TAP);
		} else if ((size_t)n > cap) {
			return -EMSGSIZE;
		} else if (split_finish(ret, to) == 0) {
			return n;
		}
	}
	return read_split(q, to, cap, ret);
}

/* Read at `in`, where the longest has room, it comes to `to`, as it may. */
static ssize_t read_by(struct queue *q, uint8_t *in, uint8_t *to, size_t cap,
		       struct ttd_packet *ret)
{
	const struct ttd_device *dev = q->dev;
	ssize_t n;

	if (dev->vnet && !dev->header)
		return read_packet(q, in, to, cap, ret);
	n = read_one(q, in, ret);
	if (n <= 0)
		return n;
	if ((size_t)n > cap)
		return -EMSGSIZE;
	move(ret, to);
	return n;
}

ssize_t queue_read_inside(struct queue *q, uint8_t *data,
			  struct ttd_packet *ret)
{
	return read_by(q, data, data, packet_max(q->dev->layer), ret);
}

int queue_read_some_inside(struct queue *q, struct ttd_packet *packets,
			   unsigned n)
{
	const uint32_t header = queue_header(q);
	int r;

	if (!q->reads || !ring_read(q->reads, q->fd, packets, n, &r))
		r = packet_read_some(q->fd, packets, n);
	/* A tun never gives a packet of no bytes. */
	for (int i = 0; i < r; i++)
		if (packets[i].len <= header)
			r = i > 0 ? i : -EIO;
	return r < 0 && r != -EAGAIN ? queue_judge(q, r, false) : r;
}

/* What is left of a super-packet has a header that says nothing. */
ssize_t queue_read_whole_inside(struct queue *q)
{
	struct ttd_packet p;
	ssize_t n;

	if (split_len(&q->split)) {
		memset(q->in, 0, PACKET_HEADER);
		n = read_split(q, q->in + PACKET_HEADER, SIZE_MAX, &p);
	} else {
		n = read_one(q, q->in + PACKET_HEADER, &p);
	}
	return n < 0 || !q->dev->vnet ? n : n + PACKET_HEADER;
}

ssize_t queue_next(struct queue *q, uint8_t **ret)
{
	struct ttd_packet p = { .data = q->in + PACKET_HEADER };
	ssize_t n;

	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	n = queue_read_inside(q, p.data, &p);
	*ret = p.data;
	gate_leave(&q->io, &q->dev->meet);
	return n;
}

/* --- waiting for it ------------------------------------------------------ */

#define ODD_MS		10	/* until it is looked at again */

/*
 * poll(2) says error, but not that there is something to read: the device is
 * gone (tun_chr_poll), or about to be.  Neither may make a caller spin.
 */
static int wait_odd(struct queue *q)
{
	struct ttd_device *dev = q->dev;
	struct pollfd done = { dev->done[0], POLLIN, 0 };

	/* Who is idle may find it taken; what was seen is so all the same. */
	if (packet_gone(q->fd) && !gate_is_shut(&q->io))
		return queue_gone(q);
	poll(&done, 1, ODD_MS);
	return 0;
}

static int wait_inside(struct queue *q, int64_t deadline)
{
	struct pollfd fds[] = {
		{ q->fd, POLLIN, 0 },
		{ q->dev->done[0], POLLIN, 0 },
	};
	int n;

	do
		n = poll(fds, 2, deadline_left(deadline));
	while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (gate_is_shut(&q->io) || (n > 0 && fds[1].revents))
		return -ESHUTDOWN;
	if (n < 0 && errno != ENOMEM)
		/* poll(2), EINVAL: RLIMIT_NOFILE was lowered below two */
		return device_end(q->dev, TTD_IO_FAILED, -errno, "cannot wait "
				  "for packets of %s: is the limit of open "
				  "files below 2?", q->dev->name);
	if (n == 0)
		return -ETIMEDOUT;
	if (n > 0 && fds[0].revents & POLLIN)
		return 0;
	n = wait_odd(q);
	return n < 0 || deadline_left(deadline) ? n : -ETIMEDOUT;
}

void queue_idle(struct queue *q)
{
	if (!gate_enter(&q->idle))
		return;
	wait_inside(q, deadline_in(TTD_FOREVER));
	gate_leave(&q->idle, &q->dev->meet);
}

bool queue_is_pushed(const struct queue *q)
{
	return atomic_load(&q->dev->pushing) || atomic_load(&q->in_run);
}

int queue_wait_inside(struct queue *q, int64_t deadline)
{
	int r;

	gate_drop_reader(&q->io);
	r = wait_inside(q, deadline);
	if (r == 0 && !gate_take_reader(&q->io))
		r = gate_is_shut(&q->io) ? -ESHUTDOWN : -EBUSY;
	if (r < 0)
		gate_leave(&q->io, &q->dev->meet);
	return r;
}

/* Who is told that a handler is set does not even keep its loop away. */
int queue_enter_to_read(struct queue *q)
{
	if (queue_is_pushed(q) && !gate_is_shut(&q->io))
		return -EBUSY;
	return gate_enter_reader(&q->io);
}

/* --- one for the program ------------------------------------------------- */

/* To where the program wants it: as it comes, if that surely has room. */
static ssize_t read_to(struct queue *q, void *buf, size_t cap)
{
	struct ttd_packet p = { .data = q->in };

	if (!q->dev->vnet && cap >= packet_max(q->dev->layer))
		return read_one(q, buf, &p);
	return read_by(q, q->in + PACKET_HEADER, buf, cap, &p);
}

static ssize_t recv_inside(struct queue *q, void *buf, size_t cap)
{
	return queue_is_pushed(q) ? -EBUSY : read_to(q, buf, cap);
}

ssize_t ttd_recv(struct ttd_device *dev, void *buf, size_t cap, int timeout_ms)
{
	struct queue *q;
	int64_t deadline;
	ssize_t n;

	if (!dev || (!buf && cap) || timeout_ms < TTD_FOREVER)
		return -EINVAL;
	if (dev->offload == TTD_OFFLOAD_PASS)
		return -EOPNOTSUPP;
	q = &dev->queues[0];
	deadline = timeout_ms ? deadline_in(timeout_ms) : 0;
	n = queue_enter_to_read(q);
	if (n < 0)
		return n;
	while ((n = recv_inside(q, buf, cap)) == -EAGAIN && timeout_ms) {
		n = queue_wait_inside(q, deadline);
		if (n < 0)
			return n;
	}
	gate_leave_reader(&q->io, &dev->meet);
	return n;
}
