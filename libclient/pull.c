/* One packet at a time, and the other calls on a queue's own fd. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
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
	return device_end(dev, TTD_DELETED, -ENODEV, "the device %s (index %u) "
			  "was deleted", dev->name, dev->ifindex);
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
	return device_end(dev, TTD_IO_FAILED, error, "%s the device %s "
			  "failed: %s", writing ? "writing to" :
			  "reading from", dev->name, error_words(error, words));
}

/* A tun never gives a packet of no bytes. */
ssize_t queue_read_inside(struct queue *q, void *buf, size_t cap)
{
	ssize_t n = packet_read(q->fd, buf, cap);

	if (n > 0 || n == -EAGAIN || n == -EMSGSIZE)
		return n;
	return judge(q, n < 0 ? (int)n : -EIO, false);
}

ssize_t queue_read(struct queue *q, void *buf, size_t cap)
{
	ssize_t n;

	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	n = queue_read_inside(q, buf, cap);
	gate_leave(&q->io, &q->dev->meet);
	return n;
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

int queue_wait_inside(struct queue *q, int64_t deadline)
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
	queue_wait_inside(q, deadline_in(TTD_FOREVER));
	gate_leave(&q->idle, &q->dev->meet);
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
	/* Of "as much as you like" read(2) says that it is no buffer. */
	if (cap > PACKET_MAX)
		cap = PACKET_MAX;
	q = &dev->queues[0];
	if (!gate_enter(&q->io))
		return -ESHUTDOWN;
	deadline = timeout_ms ? deadline_in(timeout_ms) : 0;
	for (;;) {
		if (atomic_load(&dev->pushing) || atomic_load(&q->in_run)) {
			n = -EBUSY;
			break;
		}
		n = queue_read_inside(q, buf, cap);
		if (n != -EAGAIN || timeout_ms == 0)
			break;
		n = queue_wait_inside(q, deadline);
		if (n < 0)
			break;
	}
	gate_leave(&q->io, &dev->meet);
	return n;
}

int queue_write_inside(struct queue *q, const void *buf, size_t len)
{
	int r = packet_write(q->fd, buf, len);

	return r < 0 && r != -EAGAIN ? judge(q, r, true) : r;
}

int queue_send_inside(struct queue *q, const struct ttd_packet *p)
{
	uint8_t header[PACKET_HEADER];
	uint8_t *at = header;
	int r;

	if (!q->dev->header)
		return queue_write_inside(q, p->data, p->len);
	if (p->flags & TTD_PKT_HEADROOM)
		at = (uint8_t *)p->data - PACKET_HEADER;
	packet_header_write(at, p);
	if (at != header)
		return queue_write_inside(q, at, p->len + PACKET_HEADER);
	r = packet_write_apart(q->fd, header, p->data, p->len);
	return r < 0 && r != -EAGAIN ? judge(q, r, true) : r;
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
	if (dev->handler || dev->starting || q->running ||
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
