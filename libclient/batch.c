/* Many packets a call, with what the kernel says of each. */
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "packet.h"

/* A buffer with its headroom, so that the next one is aligned as well. */
#define SLOT_ALIGN	64
#define SLOT \
	((TTD_HEADROOM + PACKET_MAX + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN)

_Static_assert(TTD_HEADROOM >= PACKET_HEADER, "the header has no room");

/* Reads until there is none, or n are there.  How many, or -errno. */
static int read_some(struct queue *q, struct ttd_packet *packets, unsigned n)
{
	const unsigned header = q->dev->header;
	unsigned i;

	for (i = 0; i < n; i++) {
		uint8_t *data = q->batch + (size_t)i * SLOT + TTD_HEADROOM;
		ssize_t r = queue_read_inside(q, data - header,
					      PACKET_MAX + header);

		if (r <= (ssize_t)header)
			return i > 0 ? (int)i : r < 0 ? (int)r : -EAGAIN;
		packets[i] = (struct ttd_packet){
			.data = data, .len = (uint32_t)r - header,
			.flags = TTD_PKT_HEADROOM,
		};
		if (header)
			packet_header_read(data - header, &packets[i]);
	}
	return (int)i;
}

static bool is_pushed(const struct queue *q)
{
	return atomic_load(&q->dev->pushing) || atomic_load(&q->in_run);
}

/* Inside the gate. */
static int recv_inside(struct queue *q, struct ttd_packet *packets, unsigned n,
		       int timeout_ms)
{
	int64_t deadline = timeout_ms ? deadline_in(timeout_ms) : 0;
	int r;

	/* Pages that no packet reaches are never touched. */
	if (!q->batch)
		q->batch = malloc((size_t)TTD_BATCH_MAX * SLOT);
	if (!q->batch)
		return -ENOMEM;
	for (;;) {
		if (is_pushed(q))
			return -EBUSY;
		r = read_some(q, packets, n);
		if (r != -EAGAIN || timeout_ms == 0)
			return r;
		r = queue_wait_inside(q, deadline);
		if (r < 0)
			return r;
	}
}

int ttd_recv_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n, int timeout_ms)
{
	struct queue *q;
	int r;

	if (!dev || queue >= dev->n_queues || !packets || n == 0 ||
	    timeout_ms < TTD_FOREVER)
		return -EINVAL;
	q = &dev->queues[queue];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	r = recv_inside(q, packets, n < TTD_BATCH_MAX ? n : TTD_BATCH_MAX,
			timeout_ms);
	gate_leave(&q->io, &dev->meet);
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

int ttd_send_batch(struct ttd_device *dev, unsigned queue,
		   struct ttd_packet *packets, unsigned n)
{
	struct queue *q;
	unsigned i;
	int r = 0;

	if (!dev || queue >= dev->n_queues || (!packets && n))
		return -EINVAL;
	q = &dev->queues[queue];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	for (i = 0; i < n; i++) {
		r = check(dev, &packets[i]);
		if (r == 0)
			r = queue_send_inside(q, &packets[i]);
		if (r < 0)
			break;
	}
	gate_leave(&q->io, &dev->meet);
	return i > 0 ? (int)i : r;
}
