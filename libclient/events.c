/*
 * What has happened, for the program.  Of each type the last one is kept: how
 * it is now matters, and so nothing grows while nobody asks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "device.h"
#include "packet.h"

/* The first version's size; no version will be as large as the other. */
#define EVENT_SIZE_FIRST	sizeof(struct ttd_event)
#define EVENT_SIZE_SANE		4096

/* The type whose event came first, 0: there is none. */
static unsigned oldest(const struct control *c)
{
	unsigned best = 0;

	for (unsigned i = 1; i < EVENT_TYPES; i++)
		if (c->order[i] && (!best || c->order[i] < c->order[best]))
			best = i;
	return best;
}

static bool any(const struct ttd_device *dev)
{
	return oldest(&dev->control) ||
	       (atomic_load(&dev->status) != TTD_OPEN &&
		!dev->control.end_told);
}

void event_signal(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	char byte;

	if (c->event_pipe[0] < 0 || any(dev) == c->event_byte)
		return;
	if (c->event_byte)
		(void)!read(c->event_pipe[0], &byte, 1);
	else
		(void)!write(c->event_pipe[1], "", 1);
	c->event_byte = !c->event_byte;
}

void event_put(struct ttd_device *dev, uint32_t type, uint32_t value,
	       const char *text)
{
	struct control *c = &dev->control;
	struct ttd_event *e;

	if (type >= EVENT_TYPES)
		return;
	e = &c->events[type];
	*e = (struct ttd_event){ sizeof(*e), type, value, { 0 } };
	snprintf(e->text, sizeof(e->text), "%s", text);
	c->order[type] = ++c->n_events;
	event_signal(dev);
	pthread_cond_broadcast(&dev->meet.cond);
}

/* With the mutex.  False if there is none. */
static bool take(struct ttd_device *dev, struct ttd_event *ret)
{
	struct control *c = &dev->control;
	unsigned type = oldest(c);

	if (type) {
		*ret = c->events[type];
		c->order[type] = 0;
	} else if (any(dev)) {
		*ret = (struct ttd_event){
			sizeof(*ret), TTD_EVENT_ENDED,
			(uint32_t)atomic_load(&dev->status), { 0 }
		};
		snprintf(ret->text, sizeof(ret->text), "%.*s",
			 (int)sizeof(ret->text) - 1, dev->cause.text);
		c->end_told = true;
	} else {
		return false;
	}
	event_signal(dev);
	return true;
}

static int next_locked(struct ttd_device *dev, struct ttd_event *ret,
		       int timeout_ms)
{
	int64_t deadline = deadline_in(timeout_ms);

	if (!dev->control.threaded)
		control_attend(dev);
	while (!take(dev, ret)) {
		if (dev->control.end_told)
			return -ESHUTDOWN;
		if (timeout_ms == 0)
			return -EAGAIN;
		if (control_wait(dev, deadline) < 0 && !any(dev))
			return -ETIMEDOUT;
	}
	return 0;
}

int ttd_next_event(struct ttd_device *dev, struct ttd_event *ret,
		   int timeout_ms)
{
	struct ttd_event e;
	size_t size;
	int r;

	if (!dev || !ret || timeout_ms < TTD_FOREVER)
		return -EINVAL;
	size = ret->size;
	if (size < EVENT_SIZE_FIRST || size > EVENT_SIZE_SANE)
		return -EINVAL;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	pthread_mutex_lock(&dev->meet.mutex);
	r = next_locked(dev, &e, timeout_ms);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	if (r < 0)
		return r;
	/* What a newer program knows and we do not is nothing. */
	memset(ret, 0, size);
	memcpy(ret, &e, sizeof(e));
	ret->size = size;
	return 0;
}

/* Not blocking: a program that reads from it shall not stop us. */
static int make_pipe(int ret[2])
{
	int r = sys_pipe(ret);

	if (r == 0)
		os_set_blocking(ret[0], false);
	return r;
}

int ttd_event_fd(struct ttd_device *dev)
{
	struct control *c;
	int r = 0;

	if (!dev)
		return -EINVAL;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	c = &dev->control;
	pthread_mutex_lock(&dev->meet.mutex);
	if (c->event_pipe[0] < 0)
		r = make_pipe(c->event_pipe);
	if (r == 0)
		r = c->event_pipe[0];
	event_signal(dev);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	return r;
}

int ttd_control_fd(struct ttd_device *dev)
{
	int r;

	if (!dev)
		return -EINVAL;
	if (dev->control.threaded)
		return -EOPNOTSUPP;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	r = control_socket(dev);
	gate_leave(&dev->calls, &dev->meet);
	return r < 0 ? -EAGAIN : r;
}

int ttd_control(struct ttd_device *dev, int *ret_wait_ms)
{
	int wait_ms, r;

	if (!dev)
		return -EINVAL;
	if (dev->control.threaded)
		return -EOPNOTSUPP;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	pthread_mutex_lock(&dev->meet.mutex);
	control_attend(dev);
	r = atomic_load(&dev->status) == TTD_OPEN ? 0 : -ESHUTDOWN;
	wait_ms = reclaim_wait_ms(dev);
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	if (r == 0 && ret_wait_ms)
		*ret_wait_ms = wait_ms;
	return r;
}
