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

static size_t room_of(const struct ttd_device *dev)
{
	return dev->offload == TTD_OFFLOAD_PASS || packet_several() ?
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
	const size_t room = room_of(q->dev);
	size_t at = 0;
	unsigned i;

	for (i = 0; i < n && at + ROOM_ONE <= room; i++) {
		ssize_t r = i > 0 && would_be_cut(q, n - i) ? -EAGAIN :
			    queue_read_inside(q, q->batch + at + TTD_HEADROOM,
					      &packets[i]);

		if (r < 0)
			return i > 0 ? (int)i : (int)r;
		packets[i].flags |= TTD_PKT_HEADROOM;
		at += ALIGNED(TTD_HEADROOM + packets[i].len);
	}
	return (int)i;
}

/* Pages that no packet reaches are never touched. */
static bool batch_ready(struct queue *q)
{
	if (!q->batch)
		q->batch = malloc(room_of(q->dev));
	return q->batch;
}

/* In one call, where nobody knows before how long each is. */
static int read_together(struct queue *q, struct ttd_packet *packets,
			 unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		packets[i] = (struct ttd_packet){
			.data = q->batch + i * ROOM_ONE + TTD_HEADROOM,
			.len = (uint32_t)packet_max(q->dev->layer),
			.flags = TTD_PKT_HEADROOM,
		};
	return queue_read_some_inside(q, packets, n);
}

static int recv_inside(struct queue *q, struct ttd_packet *packets, unsigned n)
{
	if (queue_is_pushed(q))
		return -EBUSY;
	if (!batch_ready(q))
		return -ENOMEM;
	return packet_several() && !q->dev->vnet ?
	       read_together(q, packets, n) : read_some(q, packets, n);
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

int ttd_send_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n)
{
	struct queue *q;
	unsigned i, good;
	int r = 0;

	if (!dev || queue >= dev->n_queues || (!packets && n))
		return -EINVAL;
	q = &dev->queues[queue];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	good = check_all(dev, packets, n);
	for (i = 0; i < good; i += (unsigned)r) {
		r = queue_send_some_inside(q, packets + i, good - i);
		if (r < 0)
			break;
	}
	if (r >= 0 && i < n)
		r = check(dev, &packets[i]);
	gate_leave(&q->io, &dev->meet);
	return i > 0 ? (int)i : r;
}
