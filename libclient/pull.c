/* One packet at a time, and the other calls on a queue's own fd. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "join.h"
#include "packet.h"

/*
 * There is no device behind the fd any more.  A daemon that took it back has
 * said so before it deleted it.
 */
static int end_deleted(struct ttd_device *dev)
{
	pthread_mutex_lock(&dev->meet.mutex);
	control_drain(dev);
	pthread_mutex_unlock(&dev->meet.mutex);
	device_end(dev, TTD_DELETED, -ENODEV, "the device %s (index %u) was "
		   "deleted", dev->name, dev->ifindex);
	return -ESHUTDOWN;
}

/*
 * Inside the gate of I/O.  What the caller of a failed read or write is told.
 */
static int judge(struct queue *q, int error, bool writing)
{
	struct ttd_device *dev = q->dev;
	char words[ERROR_WORDS_MAX];

	if (gate_is_shut(&q->io))	/* it was the dead fd, perhaps */
		return -ESHUTDOWN;
	switch (packet_judge(q->fd, error, writing)) {
	case PACKET_LOST:
		return error;
	case PACKET_DOWN:
		return -ENETDOWN;
	case PACKET_GONE:
		return end_deleted(dev);
	case PACKET_FAILED:
		break;
	}
	device_end(dev, TTD_IO_FAILED, error, "%s the device %s failed: %s",
		   writing ? "writing to" : "reading from", dev->name,
		   error_words(error, words));
	return -ESHUTDOWN;
}

unsigned queue_header(const struct queue *q)
{
	return q->dev->vnet ? PACKET_HEADER : 0;
}

/* --- reading ------------------------------------------------------------ */

/* A packet or a super-packet, with what its header says; that is before it. */
static ssize_t read_one(struct queue *q, uint8_t *data, struct ttd_packet *ret)
{
	const int header = (int)queue_header(q);
	int n = packet_read(q->fd, data - header,
			    packet_max(q->dev->layer) + (size_t)header);

	/* A tun never gives a packet of no bytes. */
	if (n <= header)
		return n == -EAGAIN ? n : judge(q, n < 0 ? n : -EIO, false);
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
	return r < 0 && r != -EAGAIN ? judge(q, r, false) : r;
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
	struct ttd_packet p;
	ssize_t n;

	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	*ret = q->in + PACKET_HEADER;
	n = queue_read_inside(q, *ret, &p);
	gate_leave(&q->io, &q->dev->meet);
	return n;
}

/* To where the program wants it: as it comes, if that surely has room. */
static ssize_t read_to(struct queue *q, void *buf, size_t cap)
{
	struct ttd_packet p = { .data = q->in };

	if (!q->dev->vnet && cap >= packet_max(q->dev->layer))
		return read_one(q, buf, &p);
	return read_by(q, q->in + PACKET_HEADER, buf, cap, &p);
}

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
		return end_deleted(dev);
	poll(&done, 1, 10);
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

/* --- writing ------------------------------------------------------------ */

#define SHORT	2048		/* bytes of a packet */

static int judge_write(struct queue *q, int r)
{
	return r < 0 && r != -EAGAIN ? judge(q, r, true) : r;
}

int queue_write_inside(struct queue *q, const void *buf, size_t len)
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
	return queue_write_inside(q, packet, PACKET_HEADER + p->len);
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
		return queue_write_inside(q, p->data, p->len);
	if (!(p->flags & TTD_PKT_HEADROOM))
		return p->len <= SHORT ? send_copied(q, p) : send_apart(q, p);
	packet_header_write(at - PACKET_HEADER, p);
	return queue_write_inside(q, at - PACKET_HEADER,
				  p->len + PACKET_HEADER);
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

int ttd_fd(const struct ttd_device *dev, unsigned queue)
{
	int fd;

	if (!dev || queue >= dev->n_queues)
		return -EINVAL;
	fd = dev->queues[queue].fd;
	return fd < 0 ? -ESHUTDOWN : fd;
}

/* With the mutex: neither the end nor a handler comes in between. */
static int take_locked(struct ttd_device *dev, struct queue *q)
{
	int fd;

	if (gate_is_shut(&q->io))
		return -ESHUTDOWN;
	if (sink_is_set(&dev->sink) || dev->starting || q->running ||
	    atomic_load(&q->in_run))
		return -EBUSY;
	fd = os_dup(q->fd);
	if (fd < 0)
		return fd;
	if (!gate_shut_if_empty(&q->io)) {
		close(fd);
		return -EBUSY;
	}
	/*
	 * A push thread without a handler may still be in poll(2); it never
	 * reads again, and goes when the next packet or the end wakes it.
	 */
	gate_shut(&q->idle);
	if (os_replace(dev->dead, q->fd) < 0)	/* see close_for_good() */
		close(atomic_exchange(&q->fd, -1));
	os_set_blocking(fd, true);
	pthread_cond_broadcast(&dev->meet.cond);
	return fd;
}

int ttd_take_fd(struct ttd_device *dev, unsigned queue)
{
	int fd;

	if (!dev || queue >= dev->n_queues)
		return -EINVAL;
	if (dev->offload == TTD_OFFLOAD_SPLIT)
		return -EOPNOTSUPP;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	pthread_mutex_lock(&dev->meet.mutex);
	fd = take_locked(dev, &dev->queues[queue]);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	return fd;
}

/* Asks the kernel on any queue that has not been taken. */
static int ask(struct ttd_device *dev, int (*question)(int fd, void *ret),
	       void *ret)
{
	int r = -ESHUTDOWN;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct queue *q = &dev->queues[i];

		if (!gate_enter(&q->io))
			continue;
		r = question(q->fd, ret);
		if (r < 0 && packet_gone(q->fd))
			r = end_deleted(dev);
		gate_leave(&q->io, &dev->meet);
		break;
	}
	return r;
}

static int ask_name(int fd, void *ret)
{
	return packet_name(fd, ret);
}

static int ask_hwaddr(int fd, void *ret)
{
	return packet_hwaddr(fd, ret);
}

int ttd_name(struct ttd_device *dev, char ret[TTD_NAME_MAX])
{
	if (!dev || !ret)
		return -EINVAL;
	if (!gate_enter(&dev->calls))
		return -EINVAL;
	if (ask(dev, ask_name, ret) < 0) {
		pthread_mutex_lock(&dev->meet.mutex);
		memcpy(ret, atomic_load(&dev->status) == TTD_OPEN ?
		       dev->control.told.name : dev->name, TTD_NAME_MAX);
		pthread_mutex_unlock(&dev->meet.mutex);
	}
	gate_leave(&dev->calls, &dev->meet);
	return 0;
}

int ttd_hwaddr(struct ttd_device *dev, uint8_t ret[6])
{
	int r;

	if (!dev || !ret)
		return -EINVAL;
	if (dev->layer != TTD_TAP)
		return -EOPNOTSUPP;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	r = ask(dev, ask_hwaddr, ret);
	gate_leave(&dev->calls, &dev->meet);
	return r;
}
