/*
 * Locks: the thread's, then a device's.  The thread holds its own while it
 * drains, which never waits and runs none of the program's code; so who has
 * taken a device out of the list knows that the thread is done with it.
 */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "packet.h"

#define NO_MEMORY_MS	100	/* until the thread tries again */

static struct {
	pthread_once_t once;
	pthread_mutex_t mutex;
	pthread_cond_t stopped;
	struct ttd_device *devices;
	unsigned n;
	unsigned long version;	/* of the list */
	int wake[2];
	pthread_t thread;
	bool running, stop;
} control = {
	.once = PTHREAD_ONCE_INIT,
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.stopped = PTHREAD_COND_INITIALIZER,
};

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

static bool is_over(const struct ttd_device *dev)
{
	return atomic_load(&dev->status) != TTD_OPEN ||
	       atomic_load(&dev->control.lost);
}

void control_drain(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	int r;

	while (!is_over(dev)) {
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

int control_wait(struct ttd_device *dev, int64_t deadline)
{
	struct pollfd fds[] = {
		{ dev->sock, POLLIN, 0 },
		{ dev->done[0], POLLIN, 0 },
	};
	int n;

	if (dev->control.threaded || is_over(dev))
		return os_cond_wait(&dev->meet.cond, &dev->meet.mutex,
				    deadline_left(deadline));
	pthread_mutex_unlock(&dev->meet.mutex);
	n = poll(fds, 2, deadline_left(deadline));
	pthread_mutex_lock(&dev->meet.mutex);
	control_drain(dev);
	return n == 0 ? -ETIMEDOUT : 0;
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

/* With the mutex.  Waits for the turn to ask. */
static int take_turn(struct ttd_device *dev, int64_t deadline,
		     struct ttd_error *error)
{
	struct control *c = &dev->control;
	int r = check(dev, error);

	while (r == 0 && c->asking) {
		if (os_cond_wait(&dev->meet.cond, &dev->meet.mutex,
				 deadline_left(deadline)) < 0 && c->asking)
			return late(dev, error);
		r = check(dev, error);
	}
	if (r < 0)
		return r;
	c->asking = true;
	c->answered = false;
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
		if (poll(fds, 2, deadline_left(deadline)) == 0) {
			r = -ETIMEDOUT;
			break;
		}
		if (atomic_load(&dev->status) != TTD_OPEN)
			return -ESHUTDOWN;
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

/* --- the thread --------------------------------------------------------- */

static void wake(void)
{
	(void)!write(control.wake[1], "", 1);	/* full is as good */
}

/* What the thread polls: the pipe, and then the list. */
struct polled {
	struct pollfd *fds;
	unsigned n, cap;
	unsigned long version;	/* of the list it was made from */
};

/* With the mutex.  False without memory. */
static bool gather(struct polled *p)
{
	struct pollfd *more = p->fds;

	if (p->cap < control.n + 1) {
		more = realloc(more, (control.n + 1) * sizeof(*more));
		if (!more)
			return false;
		p->fds = more;
		p->cap = control.n + 1;
	}
	p->n = 0;
	p->fds[p->n++] = (struct pollfd){ control.wake[0], POLLIN, 0 };
	for (struct ttd_device *dev = control.devices; dev;
	     dev = dev->control.next)
		p->fds[p->n++] = (struct pollfd){
			is_over(dev) ? -1 : dev->sock, POLLIN, 0
		};
	p->version = control.version;
	return true;
}

static void serve(const struct polled *p)
{
	unsigned i = 1;

	for (struct ttd_device *dev = control.devices; dev;
	     dev = dev->control.next, i++) {
		if (!p->fds[i].revents)
			continue;
		pthread_mutex_lock(&dev->meet.mutex);
		control_drain(dev);
		pthread_mutex_unlock(&dev->meet.mutex);
	}
}

static void *run(void *unused)
{
	struct polled p = { .fds = NULL };
	char drained[64];

	(void)unused;
	os_name_thread("ttd-control");
	pthread_mutex_lock(&control.mutex);
	while (!control.stop) {
		bool ready = gather(&p);

		pthread_mutex_unlock(&control.mutex);
		poll(p.fds, ready ? p.n : 0, ready ? -1 : NO_MEMORY_MS);
		pthread_mutex_lock(&control.mutex);
		/* Of another list: what poll said is about the past. */
		if (ready && p.version == control.version)
			serve(&p);
		while (read(control.wake[0], drained, sizeof(drained)) > 0)
			;
	}
	pthread_mutex_unlock(&control.mutex);
	free(p.fds);
	return NULL;
}

/* A child of fork(2) has no thread, and locks in any state: it begins anew. */
static void begin_anew(void)
{
	pthread_mutex_init(&control.mutex, NULL);
	pthread_cond_init(&control.stopped, NULL);
	if (control.running) {
		close(control.wake[0]);
		close(control.wake[1]);
	}
	control.devices = NULL;
	control.n = 0;
	control.running = control.stop = false;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, begin_anew);
}

/* With the mutex. */
static int start(void)
{
	sigset_t all, old;
	int r = os_pipe(control.wake);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++)
		os_set_blocking(control.wake[i], false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&control.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		close(control.wake[0]);
		close(control.wake[1]);
	}
	control.running = r == 0;
	return r;
}

int control_add(struct ttd_device *dev)
{
	int r = 0;

	if (!dev->control.threaded)
		return 0;
	pthread_once(&control.once, watch_forks);
	pthread_mutex_lock(&control.mutex);
	while (control.stop)
		pthread_cond_wait(&control.stopped, &control.mutex);
	if (!control.running)
		r = start();
	if (r == 0) {
		dev->control.prev = NULL;
		dev->control.next = control.devices;
		if (control.devices)
			control.devices->control.prev = dev;
		control.devices = dev;
		dev->control.listed = true;
		control.n++;
		control.version++;
		wake();
	}
	pthread_mutex_unlock(&control.mutex);
	return r;
}

void control_remove(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (!c->threaded)
		return;
	pthread_mutex_lock(&control.mutex);
	if (!c->listed)
		goto out;
	if (c->prev)
		c->prev->control.next = c->next;
	else
		control.devices = c->next;
	if (c->next)
		c->next->control.prev = c->prev;
	c->listed = false;
	control.n--;
	control.version++;
	control.stop = control.n == 0;
	wake();
	if (!control.stop)
		goto out;
	pthread_mutex_unlock(&control.mutex);
	pthread_join(control.thread, NULL);
	pthread_mutex_lock(&control.mutex);
	close(control.wake[0]);
	close(control.wake[1]);
	control.running = control.stop = false;
	pthread_cond_broadcast(&control.stopped);
out:
	pthread_mutex_unlock(&control.mutex);
}
