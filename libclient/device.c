/* The life of a device, and what is known of it. */
#include "device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "packet.h"

#define PAGE	4096	/* bytes, or a part of one */

#ifndef TUNTAPD_VERSION
#define TUNTAPD_VERSION "0.1.0"
#endif

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_fds(struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		close_fd(dev->queues[i].fd);
	close_fd(dev->done[0]);
	close_fd(dev->done[1]);
	close_fd(dev->dead);
	close_fd(dev->sock);
	close_fd(dev->control.event_pipe[0]);
	close_fd(dev->control.event_pipe[1]);
}

static void free_memory(struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		free(dev->queues[i].in);
		free(dev->queues[i].batch);
		ring_free(dev->queues[i].reads);
		ring_free(dev->queues[i].writes);
	}
	sys_wipe(dev->control.token, sizeof(dev->control.token));
	free(dev);
}

/*
 * Before there is anything to be read: no packet is allocated for, and nothing
 * ends for want of memory.  Pages that no packet reaches are never touched.
 *
 * Packets begin where a page does: the kernel copies a third slower to a place
 * that in its page is a little behind the one that it copies from, and its own
 * buffers have room before the packet.
 */
static bool make_buffers(struct ttd_device *dev)
{
	const size_t room = (PACKET_HEADER + PACKET_MAX + PAGE - 1) / PAGE *
			    PAGE;
	void *both;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		if (posix_memalign(&both, PAGE, 2 * room))
			return false;
		dev->queues[i].in = both;
		dev->queues[i].super = dev->queues[i].in + room;
	}
	return true;
}

struct ttd_device *device_new(unsigned n_queues, int *ret_error)
{
	struct ttd_device *dev = calloc(1, sizeof(*dev) +
					n_queues * sizeof(dev->queues[0]));
	int dead[2];

	*ret_error = -ENOMEM;
	if (!dev)
		return NULL;
	dev->pid = getpid();
	dev->refs = 1;
	dev->sock = dev->dead = dev->done[0] = dev->done[1] = -1;
	dev->control.event_pipe[0] = dev->control.event_pipe[1] = -1;
	dev->control.in = FRAME_IN_INIT;
	dev->n_queues = n_queues;
	for (unsigned i = 0; i < n_queues; i++) {
		dev->queues[i].dev = dev;
		dev->queues[i].fd = -1;
	}
	if (!make_buffers(dev)) {
		free_memory(dev);
		return NULL;
	}
	pthread_mutex_init(&dev->meet.mutex, NULL);
	os_cond_init(&dev->meet.cond);
	*ret_error = sys_pipe(dead);
	if (*ret_error == 0) {
		close(dead[1]);
		dev->dead = dead[0];
		*ret_error = sys_pipe(dev->done);
	}
	if (*ret_error == 0)
		return dev;
	device_release(dev);
	return NULL;
}

int device_make_rings(struct ttd_device *dev)
{
	int r = 0;

	for (unsigned i = 0; i < dev->n_queues && r == 0; i++) {
		struct queue *q = &dev->queues[i];

		q->reads = ring_new(&r);
		q->writes = q->reads ? ring_new(&r) : NULL;
		if (q->writes)
			r = batch_ready(q) ? 0 : -ENOMEM;
	}
	return r;
}

void device_release(struct ttd_device *dev)
{
	close_fds(dev);
	pthread_cond_destroy(&dev->meet.cond);
	pthread_mutex_destroy(&dev->meet.mutex);
	frame_in_reset(&dev->control.in);
	free_memory(dev);
}

/* Status first: whoever sees `done` fire sees that the device has ended. */
static void end_locked(struct ttd_device *dev, enum ttd_status status,
		       const struct ttd_error *cause)
{
	int fd;

	dev->cause = *cause;
	atomic_store(&dev->status, status);
	for (unsigned i = 0; i < dev->n_queues; i++) {
		gate_shut(&dev->queues[i].io);
		gate_shut(&dev->queues[i].idle);
	}
	/*
	 * The byte makes it readable even if a forked child has the write end
	 * too, the closing even if someone reads the byte.
	 */
	fd = dev->done[1];
	(void)!write(fd, "", 1);
	dev->done[1] = -1;	/* first: a child of fork(2) closes what it sees */
	close(fd);
	event_signal(dev);
	pthread_cond_broadcast(&dev->meet.cond);
}

int device_end_locked(struct ttd_device *dev, enum ttd_status status, int code,
		      const char *text)
{
	struct ttd_error cause = { .code = code, .step = "device" };

	snprintf(cause.text, sizeof(cause.text), "%s", text);
	return device_end_because(dev, status, &cause);
}

int device_end_because(struct ttd_device *dev, enum ttd_status status,
		       const struct ttd_error *cause)
{
	if (atomic_load(&dev->status) == TTD_OPEN)
		end_locked(dev, status, cause);
	return -ESHUTDOWN;
}

int device_end(struct ttd_device *dev, enum ttd_status status, int code,
	       const char *format, ...)
{
	struct ttd_error cause = { .code = code };
	va_list args;

	snprintf(cause.step, sizeof(cause.step), "%s",
		 status == TTD_CLOSED ? "close" : "device");
	va_start(args, format);
	vsnprintf(cause.text, sizeof(cause.text), format, args);
	va_end(args);
	pthread_mutex_lock(&dev->meet.mutex);
	device_end_because(dev, status, &cause);
	pthread_mutex_unlock(&dev->meet.mutex);
	return -ESHUTDOWN;
}

void device_store_addr(struct ttd_device *dev, const struct ttd_prefix *addr)
{
	if (addr->family == 4 || dev->addr.family != 4)
		dev->addr = *addr;
}

/*
 * Devices before the socket: the daemon need not clean up after us.  A number
 * above RLIMIT_NOFILE, lowered since, cannot be replaced (dup2(2): EBADF), and
 * is closed instead, when nobody uses it any more.
 */
static void close_for_good(struct ttd_device *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		dev->queues[i].stuck =
			os_replace(dev->dead, dev->queues[i].fd) < 0;
	pthread_mutex_lock(&dev->meet.mutex);
	for (unsigned i = 0; i < dev->n_queues; i++) {
		gate_drain(&dev->queues[i].io, &dev->meet);
		gate_drain(&dev->queues[i].idle, &dev->meet);
	}
	pthread_mutex_unlock(&dev->meet.mutex);
	for (unsigned i = 0; i < dev->n_queues; i++) {
		if (!dev->queues[i].stuck)
			continue;
		/* -1 first, as above: for a child of fork(2) */
		close_fd(atomic_exchange(&dev->queues[i].fd, -1));
	}
	control_remove(dev);
	/*
	 * Also for who polls it still, and for a forked child's copy.  Where
	 * its number cannot be replaced it stays what it is: it is at its end
	 * and may be in use, so ttd_free() closes it.
	 */
	shutdown(dev->sock, SHUT_RDWR);
	(void)os_replace(dev->dead, dev->sock);
}

int ttd_close(struct ttd_device *dev)
{
	pthread_mutex_t *mutex;
	bool mine;

	if (!dev)
		return -EINVAL;
	if (!gate_enter(&dev->calls))
		return 0;
	device_end(dev, TTD_CLOSED, 0, "closed by the program");
	mutex = &dev->meet.mutex;
	pthread_mutex_lock(mutex);
	mine = dev->closing == CLOSE_NOT;
	if (mine)
		dev->closing = CLOSE_BEGUN;
	while (!mine && dev->closing != CLOSE_DONE)
		pthread_cond_wait(&dev->meet.cond, mutex);
	pthread_mutex_unlock(mutex);
	if (mine) {
		close_for_good(dev);
		pthread_mutex_lock(mutex);
		dev->closing = CLOSE_DONE;
		pthread_cond_broadcast(&dev->meet.cond);
		pthread_mutex_unlock(mutex);
	}
	gate_leave(&dev->calls, &dev->meet);
	return 0;
}

/* By the last one with a reference; calls may still be on their way out. */
static void destroy(struct ttd_device *dev)
{
	gate_shut(&dev->calls);
	pthread_mutex_lock(&dev->meet.mutex);
	gate_drain(&dev->calls, &dev->meet);
	pthread_mutex_unlock(&dev->meet.mutex);
	loop_join(dev);
	device_release(dev);
}

void device_drop(struct ttd_device *dev)
{
	bool last;

	pthread_mutex_lock(&dev->meet.mutex);
	last = --dev->refs == 0;
	pthread_cond_broadcast(&dev->meet.cond);
	pthread_mutex_unlock(&dev->meet.mutex);
	if (last)
		destroy(dev);
}

void ttd_free(struct ttd_device *dev)
{
	if (!dev)
		return;
	if (getpid() != dev->pid) {
		/*
		 * A forked child.  Its locks are in any state, its threads are
		 * not there, and the lease is the parent's: no shutdown(2).
		 * A frame that was being received is left alone: the thread
		 * that did may have been inside free(3).
		 */
		close_fds(dev);
		free_memory(dev);
		return;
	}
	ttd_close(dev);
	pthread_mutex_lock(&dev->meet.mutex);
	while (dev->refs > 1 && !in_handler(dev))
		pthread_cond_wait(&dev->meet.cond, &dev->meet.mutex);
	pthread_mutex_unlock(&dev->meet.mutex);
	device_drop(dev);
}

enum ttd_status ttd_status(const struct ttd_device *dev, struct ttd_error *why)
{
	/* made by calloc; const is a promise of meaning, not of locks */
	struct ttd_device *d = (struct ttd_device *)(uintptr_t)dev;
	enum ttd_status status;

	if (!d)
		return TTD_CLOSED;
	status = (enum ttd_status)atomic_load(&d->status);
	if (!why)
		return status;
	if (!gate_enter(&d->calls)) {	/* it is being freed */
		*why = (struct ttd_error){ .code = 0 };
		return TTD_CLOSED;
	}
	pthread_mutex_lock(&d->meet.mutex);
	status = (enum ttd_status)atomic_load(&d->status);
	*why = d->cause;
	pthread_mutex_unlock(&d->meet.mutex);
	gate_leave(&d->calls, &d->meet);
	return status;
}

int ttd_done_fd(const struct ttd_device *dev)
{
	return dev ? dev->done[0] : -EINVAL;
}

unsigned ttd_ifindex(const struct ttd_device *dev)
{
	return dev ? dev->ifindex : 0;
}

unsigned ttd_queues(const struct ttd_device *dev)
{
	return dev ? dev->n_queues : 0;
}

enum ttd_offload ttd_offload(const struct ttd_device *dev)
{
	return dev ? dev->offload : TTD_OFFLOAD_NONE;
}

const char *ttd_version(void)
{
	return TUNTAPD_VERSION;
}
