/* A queue's own fd: what its errors mean, what it tells, who may have it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "packet.h"

/* A daemon that took it back has said so before it deleted it. */
int queue_gone(struct queue *q)
{
	struct ttd_device *dev = q->dev;

	pthread_mutex_lock(&dev->meet.mutex);
	control_drain(dev);
	pthread_mutex_unlock(&dev->meet.mutex);
	device_end(dev, TTD_DELETED, -ENODEV, "the device %s (index %u) was "
		   "deleted", dev->name, dev->ifindex);
	return -ESHUTDOWN;
}

int queue_judge(struct queue *q, int error, bool writing)
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
		return queue_gone(q);
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
			r = queue_gone(q);
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
