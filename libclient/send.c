/* Sending on a queue: one packet, or several together. */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "join.h"
#include "packet.h"

#define SHORT	2048		/* bytes of a packet */

static int judge_write(struct queue *q, int r)
{
	return r < 0 && r != -EAGAIN ? queue_judge(q, r, true) : r;
}

static int write_one(struct queue *q, const void *buf, size_t len)
{
	return judge_write(q, packet_write(q->fd, buf, len));
}

unsigned queue_write_some_inside(struct queue *q,
				 const struct ttd_packet *packets, unsigned n,
				 int *ret_error)
{
	unsigned done = 0;
	int r;

	if (n > TTD_BATCH_MAX)
		n = TTD_BATCH_MAX;
	/* Of one alone it would be no gain. */
	if (q->writes && n > 1)
		done = ring_write(q->writes, q->fd, packets, n, ret_error);
	if (done == 0) {
		r = packet_write_some(q->fd, packets, n);
		*ret_error = r < 0 ? r : 0;
		done = r < 1 ? 1 : (unsigned)r;
	}
	*ret_error = judge_write(q, *ret_error);
	return done;
}

/*
 * The header before the packet, in one piece: of what is short a copy costs
 * less than a second piece does.
 */
static int send_copied(struct queue *q, const struct ttd_packet *p)
{
	uint8_t packet[PACKET_HEADER + SHORT];

	packet_header_write(packet, p);
	memcpy(packet + PACKET_HEADER, p->data, p->len);
	return write_one(q, packet, PACKET_HEADER + p->len);
}

static int send_apart(struct queue *q, const struct ttd_packet *p)
{
	uint8_t header[PACKET_HEADER];
	const struct iovec pieces[] = {
		{ header, sizeof(header) }, { p->data, p->len },
	};

	packet_header_write(header, p);
	return judge_write(q, packet_write_pieces(q->fd, pieces, 2, p->len +
						  PACKET_HEADER));
}

int queue_send_inside(struct queue *q, const struct ttd_packet *p)
{
	uint8_t *at = p->data;

	if (!q->dev->vnet)
		return write_one(q, p->data, p->len);
	if (!(p->flags & TTD_PKT_HEADROOM))
		return p->len <= SHORT ? send_copied(q, p) : send_apart(q, p);
	packet_header_write(at - PACKET_HEADER, p);
	return write_one(q, at - PACKET_HEADER, p->len + PACKET_HEADER);
}

/* The header of all of them, and each one's payload from where it is. */
static int send_joined(struct queue *q, const struct join *j,
		       const struct ttd_packet *packets, unsigned n)
{
	struct iovec pieces[2 + TTD_BATCH_MAX];
	uint8_t header[PACKET_HEADER];

	packet_header_write(header, &j->super);
	pieces[0] = (struct iovec){ header, PACKET_HEADER };
	pieces[1] = (struct iovec){ (void *)(uintptr_t)j->header,
				    j->header_len };
	for (unsigned i = 0; i < n; i++)
		pieces[2 + i] = (struct iovec){
			(uint8_t *)packets[i].data + j->header_len,
			packets[i].len - j->header_len,
		};
	return judge_write(q, packet_write_pieces(q->fd, pieces, (int)n + 2,
						  j->super.len +
						  PACKET_HEADER));
}

/* Those whose headers have room before them, at least the first. */
static unsigned send_together(struct queue *q, const struct ttd_packet *packets,
			      unsigned n, int *ret_error)
{
	struct ttd_packet whole[TTD_BATCH_MAX];
	unsigned k;

	for (k = 0; k < n && k < TTD_BATCH_MAX; k++) {
		uint8_t *at = (uint8_t *)packets[k].data - PACKET_HEADER;

		if (!(packets[k].flags & TTD_PKT_HEADROOM))
			break;
		packet_header_write(at, &packets[k]);
		whole[k].data = at;
		whole[k].len = packets[k].len + PACKET_HEADER;
	}
	return queue_write_some_inside(q, whole, k, ret_error);
}

/* As many as can be one, or one. */
static unsigned send_super(struct queue *q, const struct ttd_packet *packets,
			   unsigned n, int *ret_error)
{
	const struct ttd_device *dev = q->dev;
	struct join j;
	unsigned k = join_run(packets, n < TTD_BATCH_MAX ? n : TTD_BATCH_MAX,
			      dev->layer == TTD_TAP, dev->udp, &j);

	*ret_error = k > 1 ? send_joined(q, &j, packets, k) :
		     queue_send_inside(q, packets);
	return k;
}

unsigned queue_send_some_inside(struct queue *q,
				const struct ttd_packet *packets, unsigned n,
				int *ret_error)
{
	if (q->dev->offload == TTD_OFFLOAD_SPLIT)
		return send_super(q, packets, n, ret_error);
	if (!q->dev->vnet)
		return queue_write_some_inside(q, packets, n, ret_error);
	if (q->writes && packets[0].flags & TTD_PKT_HEADROOM)
		return send_together(q, packets, n, ret_error);
	*ret_error = queue_send_inside(q, packets);
	return 1;
}

int ttd_send(struct ttd_device *dev, const void *buf, size_t len)
{
	struct ttd_packet p = { .data = (void *)(uintptr_t)buf,
				.len = (uint32_t)len };
	struct queue *q;
	int r;

	if (!dev || !buf || len == 0)
		return -EINVAL;
	if (len > packet_max(dev->layer))
		return -EMSGSIZE;
	q = &dev->queues[0];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	r = queue_send_inside(q, &p);
	gate_leave(&q->io, &dev->meet);
	return r;
}
