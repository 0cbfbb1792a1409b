/* What the daemon says, and what it is asked. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "device.h"
#include "packet.h"

#define RETRY_MS	100	/* until a poll(2) that failed is over */
#define DRAIN_MAX	64	/* frames until others get the mutexes again */

/* --- what the daemon says ----------------------------------------------- */

static void lose(struct ttd_device *dev)
{
	atomic_store(&dev->control.lost, true);
	frame_in_reset(&dev->control.in);
	event_put(dev, TTD_EVENT_DAEMON_LOST, 0, "the connection to tuntapd "
		  "has ended; packets flow on");
	pthread_cond_broadcast(&dev->meet.cond);
}

static void take_event(struct ttd_device *dev, const struct wire_event *e)
{
	_Static_assert((int)WIRE_EVENT_RENAMED == (int)TTD_EVENT_RENAMED &&
		       (int)WIRE_EVENT_MTU == (int)TTD_EVENT_MTU &&
		       (int)WIRE_EVENT_HWADDR == (int)TTD_EVENT_HWADDR &&
		       (int)WIRE_EVENT_LINK == (int)TTD_EVENT_LINK &&
		       (int)WIRE_EVENT_TAMPERED == (int)TTD_EVENT_TAMPERED &&
		       (int)WIRE_EVENT_ENDED == (int)TTD_EVENT_ENDED &&
		       (int)WIRE_ENDED_DELETED == (int)TTD_DELETED &&
		       (int)WIRE_ENDED_REVOKED == (int)TTD_REVOKED,
		       "wire and API differ");
	if (e->kind == WIRE_EVENT_ENDED && e->value == WIRE_ENDED_REVOKED)
		device_end_locked(dev, TTD_REVOKED, -EPERM, e->text);
	else if (e->kind == WIRE_EVENT_ENDED)
		device_end_locked(dev, TTD_DELETED, -ENODEV, e->text);
	else if (e->kind >= WIRE_EVENT_RENAMED)
		/* Of a newer daemon there may be kinds that have no type. */
		event_put(dev, e->kind, e->value, e->text);
}

static void take_message(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (c->m.type == WIRE_EVENT) {
		take_event(dev, &c->m.event);
	} else if (c->reply && c->m.id == c->last_id && !c->answered) {
		*c->reply = c->m;
		c->answered = true;
		pthread_cond_broadcast(&dev->meet.cond);
	}
	/* Else it answers what nobody waits for any more. */
}

bool control_is_over(const struct ttd_device *dev)
{
	return atomic_load(&dev->status) != TTD_OPEN ||
	       atomic_load(&dev->control.lost);
}

void control_drain(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	int r;

	for (int i = 0; i < DRAIN_MAX; i++) {
		if (c->polling || control_is_over(dev))
			return;
		r = frame_receive(&c->in, dev->sock, WIRE_FROM_DAEMON, 0);
		if (r == -EAGAIN)
			return;
		if (r == 1)
			r = wire_decode(c->in.frame, c->in.header.length, &c->m,
					NULL) < 0 ? -EPROTO : 1;
		if (r != 1) {
			lose(dev);
			return;
		}
		frame_in_reset(&c->in);
		take_message(dev);
	}
}

void control_poll(struct pollfd *fds, unsigned n, int ms)
{
	if (poll(fds, n, ms) >= 0)
		return;
	if (errno != EINTR)
		poll(NULL, 0, RETRY_MS);
	for (unsigned i = 0; i < n; i++)
		fds[i].revents = fds[i].events;
}

int control_wait(struct ttd_device *dev, int64_t deadline)
{
	struct pollfd fds[] = {
		{ dev->sock, POLLIN, 0 },
		{ dev->done[0], POLLIN, 0 },
	};
	struct control *c = &dev->control;

	if (c->threaded || c->polling || control_is_over(dev))
		return os_cond_wait(&dev->meet.cond, &dev->meet.mutex,
				    deadline_left(deadline));
	c->polling = true;
	pthread_mutex_unlock(&dev->meet.mutex);
	control_poll(fds, 2, deadline_left(deadline));
	pthread_mutex_lock(&dev->meet.mutex);
	c->polling = false;
	control_drain(dev);
	/* The next one who waits polls. */
	pthread_cond_broadcast(&dev->meet.cond);
	return deadline_left(deadline) == 0 ? -ETIMEDOUT : 0;
}

/* --- asking it ---------------------------------------------------------- */

/* 0, or why nothing can be asked. */
static int check(struct ttd_device *dev, struct ttd_error *error)
{
	if (atomic_load(&dev->status) != TTD_OPEN)
		return error_set(error, -ESHUTDOWN, "device", "the device %s "
				 "is not open any more: %s", dev->name,
				 dev->cause.text);
	if (atomic_load(&dev->control.lost))
		return error_set(error, -EPIPE, "answer", "tuntapd is gone, "
				 "and with it who could change %s; packets "
				 "flow on", dev->name);
	return 0;
}

static int late(const struct ttd_device *dev, struct ttd_error *error)
{
	return error_set(error, -ETIMEDOUT, "answer", "tuntapd did not answer "
			 "within %d ms; it may still carry the request out",
			 dev->control.timeout_ms);
}

static int too_many(const struct ttd_device *dev, struct ttd_error *error)
{
	return error_set(error, -ETIMEDOUT, "request", "tuntapd still had not "
			 "answered other threads' requests about %s after %d "
			 "ms, so this one was never made", dev->name,
			 dev->control.timeout_ms);
}

/* With the mutex.  Waits for the turn to ask. */
static int take_turn(struct ttd_device *dev, int64_t deadline,
		     struct ttd_error *error)
{
	struct control *c = &dev->control;
	int r = check(dev, error);

	while (r == 0 && c->asking) {
		if (os_cond_wait(&dev->meet.cond, &dev->meet.mutex,
				 deadline_left(deadline)) < 0 && c->asking)
			return too_many(dev, error);
		r = check(dev, error);
	}
	if (r < 0)
		return r;
	c->asking = true;
	c->answered = false;
	/*
	 * tuntapd answers in order, so that all 65535 ids would have to be
	 * outstanding before an old answer could be taken for a new one.
	 */
	if (++c->last_id == 0)
		c->last_id = 1;
	return 0;
}

/* Without the mutex, but with the turn. */
static int send_frame(struct ttd_device *dev, const uint8_t *frame, size_t len,
		      int64_t deadline)
{
	struct pollfd fds[] = {
		{ dev->sock, POLLOUT, 0 },
		{ dev->done[0], POLLIN, 0 },
	};
	size_t off = 0;
	int r;

	while ((r = frame_send(dev->sock, frame, len, &off, NULL, 0)) ==
	       -EAGAIN) {
		control_poll(fds, 2, deadline_left(deadline));
		if (atomic_load(&dev->status) != TTD_OPEN)
			return -ESHUTDOWN;
		if (deadline_left(deadline) == 0) {
			r = -ETIMEDOUT;
			break;
		}
	}
	/* Half a frame: nothing can follow it. */
	if (r < 0 && off > 0)
		shutdown(dev->sock, SHUT_RDWR);
	return r;
}

/* With the mutex and the turn, after the request is out with result r. */
static int await(struct ttd_device *dev, int r, int64_t deadline,
		 struct ttd_error *error)
{
	struct control *c = &dev->control;
	char words[ERROR_WORDS_MAX];

	while (r == 0 && !c->answered) {
		r = check(dev, error);
		if (r < 0)
			return r;
		if (control_wait(dev, deadline) < 0 && !c->answered)
			return late(dev, error);
	}
	if (r == 0)
		return 0;
	if (check(dev, error) < 0)
		return check(dev, NULL);
	if (r == -ETIMEDOUT)
		return late(dev, error);
	return error_set(error, r == -ECONNRESET ? -EPIPE : r, "answer",
			 "cannot send to tuntapd: %s", error_words(r, words));
}

static int judge(struct ttd_device *dev, const struct wire_message *m,
		 uint8_t wanted, struct ttd_error *error)
{
	if (m->type == wanted)
		return 0;
	if (m->type == WIRE_REFUSED)
		return error_refused(error, &m->refused);
	return error_set(error, -EPROTO, "answer", "tuntapd answered a request "
			 "about %s with the message %s", dev->name,
			 wire_row(m->type)->name);
}

int control_ask(struct ttd_device *dev, struct wire_message *m, uint8_t wanted,
		struct ttd_error *error)
{
	struct control *c = &dev->control;
	int64_t deadline = deadline_in(c->timeout_ms);
	uint8_t *frame = malloc(WIRE_FRAME_MAX);
	int len, r;

	if (!frame)
		return error_set(error, -ENOMEM, "request", "out of memory");
	pthread_mutex_lock(&dev->meet.mutex);
	r = take_turn(dev, deadline, error);
	if (r < 0)
		goto out;
	m->id = c->last_id;
	len = wire_encode(m, frame, WIRE_FRAME_MAX);
	c->reply = m;
	pthread_mutex_unlock(&dev->meet.mutex);
	r = len < 0 ? len : send_frame(dev, frame, (size_t)len, deadline);
	pthread_mutex_lock(&dev->meet.mutex);
	r = await(dev, r, deadline, error);
	c->reply = NULL;
	c->asking = false;
	pthread_cond_broadcast(&dev->meet.cond);
	if (r == 0)
		r = judge(dev, m, wanted, error);
out:
	pthread_mutex_unlock(&dev->meet.mutex);
	free(frame);
	return r;
}
