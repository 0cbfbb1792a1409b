/* Many packets a call, with what the kernel says of each. */
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "packet.h"

/*
 * One packet lies behind the other, each with its headroom: what is read needs
 * little room in the processor's caches, however long it could have been.  So
 * many of the longest have room.
 */
#define ALIGN		64
#define ALIGNED(n)	(((size_t)(n) + ALIGN - 1) / ALIGN * ALIGN)
#define ROOM_ONE	ALIGNED(TTD_HEADROOM + PACKET_MAX)
#define ROOM_PASS	(TTD_BATCH_MAX * ROOM_ONE)
/* Of ordinary packets, and one that may be longer. */
#define ROOM_ORDINARY	(TTD_BATCH_MAX * ALIGNED(TTD_HEADROOM + 2048) + ROOM_ONE)

static bool reads_several(const struct queue *q)
{
	return q->reads || packet_several();
}

static size_t room_of(const struct queue *q)
{
	return q->dev->offload == TTD_OFFLOAD_PASS || reads_several(q) ?
	       ROOM_PASS : ROOM_ORDINARY;
}

_Static_assert(TTD_HEADROOM >= PACKET_HEADER, "the header has no room");

/*
 * What comes next is mostly like what came before: is there no room for as many
 * packets?  Then they come together next time, and can be joined as they were.
 */
static bool would_be_cut(const struct queue *q, unsigned room)
{
	return q->was_super && !split_len(&q->split) && room < q->split.n;
}

/* Reads until there is none, or n are there.  How many, or -errno. */
static int read_some(struct queue *q, struct ttd_packet *packets, unsigned n)
{
	const size_t room = room_of(q);
	size_t at = 0;
	unsigned i;

	for (i = 0; i < n && at + ROOM_ONE <= room; i++) {
		struct ttd_packet p;
		ssize_t r = i > 0 && would_be_cut(q, n - i) ? -EAGAIN :
			    queue_read_inside(q, q->batch + at + TTD_HEADROOM,
					      &p);

		if (r < 0)
			return i > 0 ? (int)i : (int)r;
		packets[i] = p;
		packets[i].flags |= TTD_PKT_HEADROOM;
		at += ALIGNED(TTD_HEADROOM + packets[i].len);
	}
	return (int)i;
}

/* Pages that no packet reaches are never touched. */
bool batch_ready(struct queue *q)
{
	if (!q->batch)
		q->batch = malloc(room_of(q));
	return q->batch;
}

/*
 * In one call, where nobody knows before how long each is; with the header that
 * the fd gives before each.
 */
static int read_together(struct queue *q, struct ttd_packet *packets,
			 unsigned n)
{
	const unsigned header = queue_header(q);

	for (unsigned i = 0; i < n; i++)
		packets[i] = (struct ttd_packet){
			.data = q->batch + i * ROOM_ONE + TTD_HEADROOM - header,
			.len = (uint32_t)packet_max(q->dev->layer) + header,
			.flags = TTD_PKT_HEADROOM,
		};
	return queue_read_some_inside(q, packets, n);
}

/* The same without the headers, but with what they say. */
static int read_packets(struct queue *q, struct ttd_packet *packets, unsigned n)
{
	const unsigned header = queue_header(q);
	struct ttd_packet whole[TTD_BATCH_MAX];
	int r = read_together(q, whole, n);

	for (int i = 0; i < r; i++) {
		uint8_t *at = whole[i].data;

		packets[i] = whole[i];
		packets[i].data = at + header;
		packets[i].len -= header;
		if (header)
			packet_header_read(at, &packets[i]);
	}
	return r;
}

static int recv_inside(struct queue *q, struct ttd_packet *packets, unsigned n)
{
	if (queue_is_pushed(q))
		return -EBUSY;
	if (!batch_ready(q))
		return -ENOMEM;
	return reads_several(q) && q->dev->offload != TTD_OFFLOAD_SPLIT ?
	       read_packets(q, packets, n) : read_some(q, packets, n);
}

int ttd_recv_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n, int timeout_ms)
{
	struct queue *q;
	int64_t deadline;
	int r;

	if (!dev || queue >= dev->n_queues || !packets || n == 0 ||
	    timeout_ms < TTD_FOREVER)
		return -EINVAL;
	q = &dev->queues[queue];
	deadline = timeout_ms ? deadline_in(timeout_ms) : 0;
	if (n > TTD_BATCH_MAX)
		n = TTD_BATCH_MAX;
	r = queue_enter_to_read(q);
	if (r < 0)
		return r;
	while ((r = recv_inside(q, packets, n)) == -EAGAIN && timeout_ms) {
		r = queue_wait_inside(q, deadline);
		if (r < 0)
			return r;
	}
	gate_leave_reader(&q->io, &dev->meet);
	return r;
}

/* As it came; what is left of a super-packet first. */
static int read_whole(struct queue *q, struct ttd_packet *packets)
{
	ssize_t n;

	if (reads_several(q) && !split_len(&q->split) && batch_ready(q))
		return read_together(q, packets, TTD_BATCH_MAX);
	n = queue_read_whole_inside(q);
	if (n < 0)
		return (int)n;
	packets[0] = (struct ttd_packet){
		.data = q->in + PACKET_HEADER - queue_header(q),
		.len = (uint32_t)n,
	};
	return 1;
}

/* As on any wire: what cannot be sent is lost. */
static void write_whole(struct queue *q, const struct ttd_packet *packets,
			unsigned n)
{
	int error;

	for (unsigned i = 0; i < n;)
		i += queue_write_some_inside(q, packets + i, n - i, &error);
}

int queue_carry(struct queue *from, struct queue *to)
{
	struct ttd_packet packets[TTD_BATCH_MAX];
	int n;

	if (!gate_enter(&from->io))
		return -ESHUTDOWN;
	n = read_whole(from, packets);
	gate_leave(&from->io, &from->dev->meet);
	if (n > 0 && gate_enter(&to->io)) {
		write_whole(to, packets, (unsigned)n);
		gate_leave(&to->io, &to->dev->meet);
	}
	return n;
}

/* Can it be said to this device at all?  The rest is for the kernel. */
static int check(const struct ttd_device *dev, const struct ttd_packet *p)
{
	const uint32_t known = TTD_PKT_HEADROOM | TTD_PKT_NEEDS_CSUM;

	if (!p->data || p->len == 0 || p->flags & ~known ||
	    p->gso_type > UINT8_MAX ||
	    p->reserved[0] || p->reserved[1] || p->reserved[2])
		return -EINVAL;
	if (p->len > packet_max(dev->layer))
		return -EMSGSIZE;
	if (!dev->header && (p->gso_type || p->flags & TTD_PKT_NEEDS_CSUM))
		return -EOPNOTSUPP;
	return 0;
}

/* How many there are before the first that cannot. */
static unsigned check_all(const struct ttd_device *dev,
			  const struct ttd_packet *packets, unsigned n)
{
	unsigned i = 0;

	while (i < n && check(dev, &packets[i]) == 0)
		i++;
	return i;
}

/* How many, or -errno of the first: n packets that can be said. */
static int send_inside(struct queue *q, const struct ttd_packet *packets,
		       unsigned n)
{
	/* A ring knows of an error when it is past it, so none ends it. */
	const bool goes_on = q->writes &&
			     q->dev->offload != TTD_OFFLOAD_SPLIT;
	int error = 0, first = 0;
	unsigned i, k;
	bool any = false;

	for (i = 0; i < n; i += k) {
		k = queue_send_some_inside(q, packets + i, n - i, &error);
		any = any || error == 0;
		first = first ? first : error;
		if (error == -ESHUTDOWN || (error && !goes_on))
			break;
	}
	return any ? (int)i : first;
}

int ttd_send_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n)
{
	struct queue *q;
	int r;

	if (!dev || queue >= dev->n_queues || (!packets && n))
		return -EINVAL;
	q = &dev->queues[queue];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	r = send_inside(q, packets, check_all(dev, packets, n));
	if (r == 0 && n > 0)
		r = check(dev, &packets[0]);
	gate_leave(&q->io, &dev->meet);
	return r;
}
