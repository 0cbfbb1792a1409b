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
#define UNDER_WAY_MAX	16	/* requests of a stream without an answer */

/* --- what the daemon says ----------------------------------------------- */

static void lose(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (atomic_load(&c->link) == LINK_ASKED) {
		reclaim_later(dev);
		return;
	}
	reclaim_begin(dev);
	c->broken = true;
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
	else if (e->kind >= WIRE_EVENT_RENAMED) {
		/* Of a newer daemon there may be kinds that have no type. */
		event_put(dev, e->kind, e->value, e->text);
		told_event(dev, e);
	}
}

static uint16_t behind(uint16_t id)
{
	return id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
}

/* They come in the order in which was asked. */
static void take_one_of_many(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	struct stream *s = c->stream;

	if (c->m.id != c->next_id || s->answered == s->sent)
		return;
	c->next_id = behind(c->next_id);
	if (c->m.type == WIRE_DONE) {
		s->done[s->answered] = true;
	} else if (!s->refused) {
		s->refused = true;
		*c->reply = c->m;
	}
	s->answered++;
	pthread_cond_broadcast(&dev->meet.cond);
}

static void take_answer(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (c->stream) {
		take_one_of_many(dev);
		return;
	}
	/* Else it answers what nobody waits for any more. */
	if (c->m.id != c->last_id)
		return;
	if (c->m.type == WIRE_DONE)
		told_done(dev);
	if (c->reply && !c->answered) {
		*c->reply = c->m;
		c->answered = true;
		pthread_cond_broadcast(&dev->meet.cond);
	}
}

/* False where the connection is of no use. */
static bool take_message(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (c->m.type == WIRE_EVENT)
		take_event(dev, &c->m.event);
	else if (atomic_load(&c->link) == LINK_ASKED)
		return reclaim_answer(dev, &c->m);
	else
		take_answer(dev);
	return true;
}

int control_socket(const struct ttd_device *dev)
{
	return atomic_load(&dev->status) == TTD_OPEN &&
	       atomic_load(&dev->control.link) != LINK_AWAY ? dev->sock : -1;
}

void control_drain(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	int r;

	for (int i = 0; i < DRAIN_MAX; i++) {
		if (control_socket(dev) < 0)
			return;
		r = frame_receive(&c->in, dev->sock, WIRE_FROM_DAEMON, 0);
		if (r == -EAGAIN)
			return;
		if (r == 1)
			r = wire_decode(c->in.frame, c->in.header.length, &c->m,
					NULL) < 0 ? -EPROTO : 1;
		if (r == 1) {
			frame_in_reset(&c->in);
			r = take_message(dev);
		}
		if (r != 1) {
			lose(dev);
			return;
		}
	}
}

void control_attend(struct ttd_device *dev)
{
	if (dev->control.polling)
		return;
	reclaim_try(dev);
	control_drain(dev);
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
		{ control_socket(dev), POLLIN, 0 },
		{ dev->done[0], POLLIN, 0 },
	};
	struct control *c = &dev->control;

	if (c->threaded || c->polling || atomic_load(&dev->status) != TTD_OPEN)
		return os_cond_wait(&dev->meet.cond, &dev->meet.mutex,
				    deadline_left(deadline));
	c->polling = true;
	pthread_mutex_unlock(&dev->meet.mutex);
	control_poll(fds, 2, sooner(deadline_left(deadline),
				    reclaim_wait_ms(dev)));
	pthread_mutex_lock(&dev->meet.mutex);
	c->polling = false;
	control_attend(dev);
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
	return 0;
}

static int away(const struct ttd_device *dev, struct ttd_error *error)
{
	return error_set(error, -EPIPE, "connect", "tuntapd is away and did "
			 "not come back within %d ms, so this was never asked; "
			 "the packets of %s flow on", dev->control.timeout_ms,
			 dev->name);
}

static int broken(const struct ttd_device *dev, struct ttd_error *error)
{
	return error_set(error, -EPIPE, "answer", "tuntapd went away before it "
			 "answered: what was asked of %s may have been carried "
			 "out, or not; its packets flow on", dev->name);
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
			return atomic_load(&c->link) == LINK_HELD ?
			       too_many(dev, error) : away(dev, error);
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
	c->last_id = behind(c->last_id);
	return 0;
}

static void end_turn(struct ttd_device *dev)
{
	dev->control.reply = NULL;
	dev->control.stream = NULL;
	dev->control.asking = false;
	pthread_cond_broadcast(&dev->meet.cond);
}

/* With the mutex and the turn.  Waits for a daemon to ask. */
static int await_daemon(struct ttd_device *dev, int64_t deadline,
			struct ttd_error *error)
{
	struct control *c = &dev->control;
	int r = check(dev, error);

	while (r == 0 && atomic_load(&c->link) != LINK_HELD) {
		if (control_wait(dev, deadline) < 0 &&
		    atomic_load(&c->link) != LINK_HELD)
			return check(dev, error) < 0 ? -ESHUTDOWN :
			       away(dev, error);
		r = check(dev, error);
	}
	c->broken = false;
	return r;
}

/*
 * With the mutex and the turn.  0, or -errno with error filled, or 1: the
 * connection broke before the whole of it was out, so it was not carried out.
 */
static int send_frame(struct ttd_device *dev, const uint8_t *frame, size_t len,
		      int64_t deadline, struct ttd_error *error)
{
	struct pollfd fds[] = {
		{ dev->sock, POLLOUT, 0 },
		{ dev->done[0], POLLIN, 0 },
	};
	struct control *c = &dev->control;
	char words[ERROR_WORDS_MAX];
	size_t off = 0;
	int r = check(dev, error);

	while (r == 0 && !c->broken) {
		r = frame_send(dev->sock, frame, len, &off, NULL, 0);
		if (r == 0)
			return 0;
		if (r == -EPIPE || r == -ECONNRESET) {
			/* It may have said why: whoever listens says so. */
			r = 0;
			if (control_wait(dev, deadline) < 0 && !c->broken)
				r = -ETIMEDOUT;
		} else if (r == -EAGAIN) {
			pthread_mutex_unlock(&dev->meet.mutex);
			control_poll(fds, 2, deadline_left(deadline));
			pthread_mutex_lock(&dev->meet.mutex);
			r = deadline_left(deadline) == 0 ? -ETIMEDOUT : 0;
		}
		if (check(dev, error) < 0)
			return -ESHUTDOWN;
	}
	if (c->broken)
		return 1;
	/* Half a frame: nothing can follow it. */
	if (off > 0)
		shutdown(dev->sock, SHUT_RDWR);
	if (r == -ETIMEDOUT)
		return late(dev, error);
	return r == -ESHUTDOWN ? r :
	       error_set(error, r, "answer", "cannot send to tuntapd: %s",
			 error_words(r, words));
}

/* With the mutex and the turn.  Once, though it may take two connections. */
static int send_request(struct ttd_device *dev, const struct wire_message *m,
			uint8_t frame[WIRE_FRAME_MAX], int64_t deadline,
			struct ttd_error *error)
{
	int len = wire_encode(m, frame, WIRE_FRAME_MAX), r;

	if (len < 0)
		return error_set(error, len, "request", "the request cannot be "
				 "put into a message");
	do {
		r = await_daemon(dev, deadline, error);
		if (r == 0)
			r = send_frame(dev, frame, (size_t)len, deadline,
				       error);
	} while (r > 0);
	return r;
}

/* With the mutex and the turn, after the request is out. */
static int await_answer(struct ttd_device *dev, int64_t deadline,
			struct ttd_error *error)
{
	struct control *c = &dev->control;
	int r;

	while (!c->answered) {
		r = check(dev, error);
		if (r < 0)
			return r;
		if (c->broken)
			return broken(dev, error);
		if (control_wait(dev, deadline) < 0 && !c->answered &&
		    !c->broken)
			return late(dev, error);
	}
	return 0;
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

/* What is asked for will be no news. */
static struct wire_set wish_of(const struct wire_message *m)
{
	if (m->type == WIRE_SET)
		return m->set;
	return (struct wire_set){
		.what = m->type == WIRE_REPLACE ? WIRE_SET_UP : 0, .up = 1
	};
}

int control_ask(struct ttd_device *dev, struct wire_message *m, uint8_t wanted,
		struct ttd_error *error)
{
	struct control *c = &dev->control;
	int64_t deadline = deadline_in(c->timeout_ms);
	uint8_t *frame = malloc(WIRE_FRAME_MAX);
	int r;

	if (!frame)
		return error_set(error, -ENOMEM, "request", "out of memory");
	pthread_mutex_lock(&dev->meet.mutex);
	r = take_turn(dev, deadline, error);
	if (r < 0)
		goto out;
	m->id = c->last_id;
	c->wish = wish_of(m);
	c->reply = m;
	r = send_request(dev, m, frame, deadline, error);
	if (r == 0)
		r = await_answer(dev, deadline, error);
	end_turn(dev);
	if (r == 0)
		r = judge(dev, m, wanted, error);
out:
	pthread_mutex_unlock(&dev->meet.mutex);
	free(frame);
	return r;
}

/* --- many at once --------------------------------------------------------- */

/* With the mutex and the turn: the next one.  As send_frame(). */
static int send_next(struct ttd_device *dev, struct wire_message *m,
		     uint8_t frame[WIRE_FRAME_MAX], int64_t deadline,
		     struct ttd_error *error)
{
	struct control *c = &dev->control;
	struct stream *s = c->stream;
	int len, r;

	s->make(s->arg, s->sent, m);
	m->id = s->sent == 0 ? c->last_id : behind(c->last_id);
	len = wire_encode(m, frame, WIRE_FRAME_MAX);
	if (len < 0)
		return error_set(error, len, "request", "the request cannot be "
				 "put into a message");
	/* The answer may be there before we are told that all is out. */
	c->last_id = m->id;
	s->sent++;
	r = send_frame(dev, frame, (size_t)len, deadline, error);
	if (r != 0)
		s->sent--;
	return r;
}

/* With the mutex and the turn: waits for one answer more. */
static int await_one(struct ttd_device *dev, int64_t deadline,
		     struct ttd_error *error)
{
	struct control *c = &dev->control;
	size_t before = c->stream->answered;
	int r;

	while (c->stream->answered == before) {
		r = check(dev, error);
		if (r < 0)
			return r;
		if (c->broken)
			return broken(dev, error);
		if (control_wait(dev, deadline) < 0 &&
		    c->stream->answered == before && !c->broken)
			return late(dev, error);
	}
	return 0;
}

/* Is the next one to be sent before an answer is waited for? */
static bool may_send(const struct stream *s)
{
	return s->sent < s->n && s->sent - s->answered < UNDER_WAY_MAX &&
	       (!s->refused || s->go_on);
}

/* With the mutex and the turn, on the connection that there is. */
static int run_stream(struct ttd_device *dev, struct wire_message *m,
		      uint8_t frame[WIRE_FRAME_MAX], struct ttd_error *error)
{
	struct control *c = &dev->control;
	struct stream *s = c->stream;
	int r = 0;

	while (r == 0 && (may_send(s) || s->answered < s->sent)) {
		int64_t deadline = deadline_in(c->timeout_ms);

		r = may_send(s) ? send_next(dev, m, frame, deadline, error) :
		    await_one(dev, deadline, error);
	}
	/* 1: it broke.  With none of them out all can be asked anew. */
	return r > 0 && s->sent > 0 ? broken(dev, error) : r;
}

int control_ask_all(struct ttd_device *dev, struct stream *s,
		    struct ttd_error *error)
{
	struct control *c = &dev->control;
	int64_t deadline = deadline_in(c->timeout_ms);
	struct wire_message *m = calloc(2, sizeof(*m));
	uint8_t *frame = malloc(WIRE_FRAME_MAX);
	int r = -ENOMEM;

	if (!m || !frame) {
		error_set(error, r, "request", "out of memory");
		goto out;
	}
	pthread_mutex_lock(&dev->meet.mutex);
	r = take_turn(dev, deadline, error);
	if (r == 0) {
		c->wish = (struct wire_set){ .what = 0 };
		c->next_id = c->last_id;
		c->reply = &m[1];
		do {
			r = await_daemon(dev, deadline, error);
			c->stream = s;
			if (r == 0)
				r = run_stream(dev, m, frame, error);
		} while (r > 0);
		end_turn(dev);
	}
	pthread_mutex_unlock(&dev->meet.mutex);
	if (r == 0 && s->refused)
		r = judge(dev, &m[1], WIRE_DONE, error);
out:
	free(m);
	free(frame);
	return r;
}
