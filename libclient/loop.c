/*
 * Push: packets to a handler, from threads of the library or on the caller's.
 *
 * A loop takes the handler with its generation under the mutex, marks the
 * queue as running that generation, delivers a burst and takes the mark off
 * again; it waits for packets unmarked.  Whoever sets another handler waits for
 * marks of older generations to go.  The generation is looked at before each
 * read, never after one: a packet that was read is delivered.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "packet.h"

#define BURST		64	/* reads until the mutex is looked at again */

/*
 * A queue has one loop at a time, so the thread of that loop is all there is to
 * know; handlers may nest across devices as they like.
 */
bool in_handler(const struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		const struct queue *q = &dev->queues[i];

		if ((q->running || atomic_load(&q->in_run)) &&
		    pthread_equal(q->runner, pthread_self()))
			return true;
	}
	return false;
}

static int hand_over(struct queue *q, const struct sink *sink)
{
	uint8_t *buf;
	ssize_t n = queue_next(q, &buf);

	if (n < 0)
		return (int)n;
	sink->handler(sink->arg, buf, (size_t)n);
	return 0;
}

/*
 * Delivers packets until there is none (-EAGAIN), the handler's generation is
 * over or the burst is (0), or the queue has ended (-ESHUTDOWN).  Generation
 * 0 never is over.
 */
static int deliver(struct queue *q, const struct sink *sink,
		   uint64_t generation)
{
	const struct ttd_device *dev = q->dev;
	int r = 0;

	for (int i = 0; i < BURST && r >= 0; i++) {
		if (generation && generation != atomic_load(&dev->generation))
			return 0;
		r = sink->wire ? queue_carry(q, &sink->wire->queues[0]) :
		    hand_over(q, sink);
	}
	return r < 0 ? r : 0;
}

/* The same as the queue's reader; where another still is one it waits a bit. */
static int burst(struct queue *q, const struct sink *sink, uint64_t generation)
{
	int n;

	if (!gate_take_reader(&q->io)) {
		if (gate_is_shut(&q->io))
			return -ESHUTDOWN;
		poll(NULL, 0, 1);
		return 0;
	}
	n = deliver(q, sink, generation);
	gate_drop_reader(&q->io);
	if (n < 0 && n != -EAGAIN && n != -ESHUTDOWN)
		n = device_end(q->dev, TTD_IO_FAILED, n, "reading from the "
			       "device %s failed", q->dev->name);
	return n;
}

/* With the mutex, which it gives away meanwhile. */
static void push_burst(struct queue *q)
{
	struct ttd_device *dev = q->dev;
	const struct sink sink = dev->sink;
	uint64_t generation = atomic_load(&dev->generation);
	int r;

	q->running = generation;
	q->runner = pthread_self();
	pthread_mutex_unlock(&dev->meet.mutex);
	r = burst(q, &sink, generation);
	pthread_mutex_lock(&dev->meet.mutex);
	q->running = 0;
	pthread_cond_broadcast(&dev->meet.cond);
	if (r == -EAGAIN) {
		pthread_mutex_unlock(&dev->meet.mutex);
		queue_idle(q);
		pthread_mutex_lock(&dev->meet.mutex);
	}
}

static void *push_thread(void *queue)
{
	struct queue *q = queue;
	struct ttd_device *dev = q->dev;
	char name[16];		/* pthread_setname_np(3): 16 with the NUL */

	snprintf(name, sizeof(name), "ttd-%.11s", dev->name);
	os_name_thread(name);
	pthread_mutex_lock(&dev->meet.mutex);
	while (!gate_is_shut(&q->io) && !dev->undo)
		if (sink_is_set(&dev->sink))
			push_burst(q);
		else
			pthread_cond_wait(&dev->meet.cond, &dev->meet.mutex);
	pthread_mutex_unlock(&dev->meet.mutex);
	device_drop(dev);
	return NULL;
}

void loop_join(struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct queue *q = &dev->queues[i];

		if (!q->has_thread)
			continue;
		if (pthread_equal(q->thread, pthread_self()))
			pthread_detach(q->thread);
		else
			pthread_join(q->thread, NULL);
		q->has_thread = false;
	}
}

/* With the mutex.  0 or -errno. */
static int start_one(struct queue *q)
{
	int error;

	if (q->has_thread || gate_is_shut(&q->io))
		return 0;
	error = pthread_create(&q->thread, NULL, push_thread, q);
	if (error)
		return -error;
	q->has_thread = true;
	q->dev->refs++;
	return 0;
}

/* With the mutex.  A thread for each queue, or none. */
static int start(struct ttd_device *dev)
{
	sigset_t all, old;
	bool fresh = true;
	int error = 0;

	for (unsigned i = 0; i < dev->n_queues; i++)
		fresh = fresh && !dev->queues[i].has_thread;
	if (!fresh)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < dev->n_queues && !error; i++)
		error = start_one(&dev->queues[i]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!error)
		return 0;
	/* no handler is set yet, so they all are on their way to sleep */
	dev->starting = dev->undo = true;
	pthread_cond_broadcast(&dev->meet.cond);
	pthread_mutex_unlock(&dev->meet.mutex);
	loop_join(dev);
	pthread_mutex_lock(&dev->meet.mutex);
	dev->starting = dev->undo = false;
	pthread_cond_broadcast(&dev->meet.cond);
	return error;
}

/* With the mutex: a queue still runs a handler older than this. */
static bool older_runs(const struct ttd_device *dev, uint64_t generation)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (dev->queues[i].running &&
		    dev->queues[i].running < generation)
			return true;
	return false;
}

static bool any_queue(const struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (!gate_is_shut(&dev->queues[i].io))
			return true;
	return false;
}

/*
 * With the mutex: 0, or why a handler cannot be set.  But on a device that has
 * ended none is set then anyway.
 */
static int may_set(struct ttd_device *dev, bool set)
{
	while (dev->starting)
		pthread_cond_wait(&dev->meet.cond, &dev->meet.mutex);
	if (!any_queue(dev))
		return set ? -ESHUTDOWN : 0;
	if (dev->runs)
		return -EBUSY;
	return set ? start(dev) : 0;
}

/*
 * Whatever comes of it, the old handler is gone on return: who is told that
 * the device has ended frees what it works with, too.
 */
static int set_locked(struct ttd_device *dev, const struct sink *sink)
{
	int r = may_set(dev, sink_is_set(sink));
	uint64_t generation;

	dev->sink = r == 0 ? *sink : (struct sink){ 0 };
	atomic_store(&dev->pushing, sink_is_set(&dev->sink));
	generation = atomic_fetch_add(&dev->generation, 1) + 1;
	pthread_cond_broadcast(&dev->meet.cond);
	while (!in_handler(dev) && older_runs(dev, generation))
		pthread_cond_wait(&dev->meet.cond, &dev->meet.mutex);
	return r;
}

int ttd_set_handler(struct ttd_device *dev, ttd_handler *handler, void *arg)
{
	if (!dev)
		return -EINVAL;
	if (handler && dev->header)
		return -EOPNOTSUPP;
	return device_set_sink(dev, &(struct sink){ handler, arg, NULL });
}

int device_set_sink(struct ttd_device *dev, const struct sink *sink)
{
	int r;

	if (!gate_enter(&dev->calls))	/* no thread is left that could run it */
		return sink_is_set(sink) ? -ESHUTDOWN : 0;
	pthread_mutex_lock(&dev->meet.mutex);
	r = set_locked(dev, sink);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	return r;
}

/* With the mutex.  1: go, else what ttd_run returns. */
static int run_begin(struct ttd_device *dev, struct queue *q)
{
	if (atomic_load(&dev->status) != TTD_OPEN)
		return dev->cause.code;
	if (gate_is_shut(&q->io))
		return -ESHUTDOWN;
	if (sink_is_set(&dev->sink) || dev->starting || q->running ||
	    atomic_load(&q->in_run))
		return -EBUSY;
	q->runner = pthread_self();
	atomic_store(&q->in_run, true);
	dev->runs++;
	dev->refs++;
	return 1;
}

int ttd_run(struct ttd_device *dev, unsigned queue, ttd_handler *handler,
	    void *arg)
{
	const struct sink sink = { handler, arg, NULL };
	struct queue *q;
	int r;

	if (!dev || !handler || queue >= dev->n_queues)
		return -EINVAL;
	if (dev->offload == TTD_OFFLOAD_PASS)
		return -EOPNOTSUPP;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	q = &dev->queues[queue];
	pthread_mutex_lock(&dev->meet.mutex);
	r = run_begin(dev, q);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	if (r <= 0)
		return r;
	while (!gate_is_shut(&q->io))
		if (burst(q, &sink, 0) == -EAGAIN)
			queue_idle(q);
	pthread_mutex_lock(&dev->meet.mutex);
	atomic_store(&q->in_run, false);
	dev->runs--;
	r = dev->cause.code;
	pthread_mutex_unlock(&dev->meet.mutex);
	device_drop(dev);
	return r;
}
