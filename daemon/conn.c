#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../proto/sys.h"
#include "clock.h"
#include "copies.h"
#include "handle.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "monitor.h"
#include "os.h"
#include "refuse.h"
#include "slow_close.h"
#include "untaken.h"

static void conn_free(struct conn *c)
{
	struct server *server = c->server;

	event_del(&c->readable);
	event_del(&c->writable);
	event_del(&c->deadline);
	registry_cursor_stop(&server->registry, &c->cursor);
	registry_request_cancel(&server->registry, c->peer.uid, &c->whole);
	monitor_end(c);
	/* The lease first: its uid keeps its account by it. */
	if (c->held)
		lease_end(c->held);
	if (!untaken_keep(c->fd, c->bytes_only, c->peer.uid, c->handed))
		slow_close(c->fd, c->bytes_only, c->peer.uid);
	registry_disconnect(&server->registry, c->peer.uid);
	DL_DELETE(server->conns, c);
	frame_in_reset(&c->in);
	free(c->out);
	free(c->peer.groups);
	free(c);
}

void conn_drop(struct conn *c)
{
	conn_free(c);
}

/* Appends to the output. */
static void put(struct conn *c, struct wire_message *m)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	uint8_t *more;
	int len;

	len = wire_encode(m, frame, sizeof(frame));
	more = len < 0 ? NULL : realloc(c->out, c->out_len + (size_t)len);
	if (!more) {
		log_line_of(c->peer.uid, LOG_ERR, "cannot answer uid %u: %s",
			    c->peer.uid, strerror(len < 0 ? -len : ENOMEM));
		c->finishing = true;
		return;
	}
	memcpy(more + c->out_len, frame, (size_t)len);
	/* It may have been a token: that is the client's alone to keep. */
	sys_wipe(frame, (size_t)len);
	c->out = more;
	c->out_len += (size_t)len;
}

void conn_answer(struct conn *c, struct wire_message *m)
{
	m->id = c->request;
	c->owing = true;
	put(c, m);
}

/*
 * Only with an empty output: not between the header of OPENED and its body; nor
 * in the middle of a list.
 */
static void put_news(struct conn *c)
{
	struct wire_message event = { .type = WIRE_EVENT }, notice;

	if (c->busy || c->closing || c->finishing || c->out || c->more)
		return;
	while (c->held && watch_news(c->held, &event.event))
		put(c, &event);
	while (c->monitor && monitor_next(c, &notice))
		put(c, &notice);
}

void conn_refuse(struct conn *c, const struct wire_refused *why)
{
	struct wire_message m = { .type = WIRE_REFUSED, .refused = *why };

	conn_answer(c, &m);
	log_line_of(c->peer.uid, LOG_NOTICE,
		    "refused uid %u pid %d at %s: %s%s%s%s", c->peer.uid,
		    (int)c->peer.pid, why->step, why->text,
		    why->rule[0] ? " (" : "", why->rule,
		    why->rule[0] ? ")" : "");
	monitor_refused(c, why);
}

/* The peer broke the protocol, or time ran out: say so, and no more. */
static void give_up(struct conn *c, enum wire_error code, const char *text)
{
	struct wire_refused why;

	refuse(&why, code, "protocol", "%s", text);
	conn_refuse(c, &why);
	c->finishing = true;
}

/* It is out, or not to go out any more. */
static void forget_output(struct conn *c)
{
	if (c->out)
		sys_wipe(c->out, c->out_len);
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_off = 0;
	c->owing = false;
}

/*
 * The fds ride on the header alone: the frame is whole only when our copies are
 * closed, so that a client that ends the device at once finds it gone.
 */
static int send_fds(struct conn *c)
{
	int error = frame_send(c->fd, c->out, WIRE_HEADER_LEN, &c->out_off,
			       c->held->fds, c->held->job.n_fds);

	if (c->out_off > 0) {
		c->handed = c->held->job.n_fds;
		lease_handed_over(c->held);
	} else if (error == -ETOOMANYREFS) {
		/* Bytes can be sent: another answer, and it is held back. */
		forget_output(c);
		c->sending = false;
		lease_not_handed_over(c->held);
		return 0;
	}
	return error;
}

/* Sends what there is.  0, -EAGAIN, or -errno when the peer is lost. */
static int flush(struct conn *c)
{
	int error = 0;

	if (!c->busy && c->held && c->held->job.n_fds > 0 && c->out)
		error = send_fds(c);
	if (error || c->busy)
		return error;
	error = frame_send(c->fd, c->out, c->out_len, &c->out_off, NULL, 0);
	if (!error && c->out)
		forget_output(c);
	return error;
}

static void set_deadline(struct conn *c, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	if (seconds)
		event_add(&c->deadline, &tv);
	else
		event_del(&c->deadline);
}

static void set_idle(struct conn *c)
{
	set_deadline(c, c->held || c->monitor ? 0 : (int)limits.idle_seconds);
}

/*
 * After anything happened: send, and wait for what comes next.  Frees c when
 * it is at its end.
 */
static void settle(struct conn *c)
{
	bool answering = c->owing;
	int error;

	error = flush(c);
	put_news(c);
	if (!error)
		error = flush(c);
	/* Who has ended is owed the answer, and no event. */
	if ((error && error != -EAGAIN) ||
	    (c->finishing && !c->busy && (!error || !c->owing))) {
		conn_free(c);
		return;
	}
	if (c->busy || c->whole.waits) {
		event_del(&c->readable);
		set_deadline(c, 0);
	} else if (c->owing || c->more) {
		/* Full, or a list goes on when others have had their turn. */
		event_del(&c->readable);
		event_add(&c->writable, NULL);
		if (!c->sending || !error)
			set_deadline(c, LIMIT_WRITE_SECONDS);
		c->sending = true;
	} else {
		if (answering || c->sending)
			set_idle(c);
		c->sending = false;
		event_add(&c->readable, NULL);
		/* Events that nobody reads may wait for ever. */
		if (error)
			event_add(&c->writable, NULL);
	}
}

void conn_wake(struct conn *c)
{
	event_add(&c->writable, NULL);
}

void conn_tell(struct conn *c)
{
	put_news(c);
	(void)flush(c);		/* what it failed with it fails with again */
	conn_wake(c);
}

void conn_resume(struct conn *c)
{
	c->busy = false;
	settle(c);
}

static void protocol_error(struct conn *c, int error)
{
	c->request = c->in.have >= WIRE_HEADER_LEN ? c->in.header.id : 0;
	switch (-error) {
	case EPROTONOSUPPORT:
		give_up(c, WIRE_E_VERSION, "this daemon speaks another version "
			"of the protocol, the one of this answer's header; "
			"use the library that belongs to it");
		break;
	case ENOSYS:
		give_up(c, WIRE_E_UNKNOWN, "this daemon does not know such a "
			"request");
		break;
	case EPERM:
		give_up(c, WIRE_E_NOT_PERMITTED, "only a daemon sends such a "
			"message");
		break;
	case EBADMSG:
		give_up(c, WIRE_E_FD_SENT, "no request carries file "
			"descriptors");
		break;
	case EPROTO:
		give_up(c, WIRE_E_MALFORMED, "no frame of this type has such a "
			"length");
		break;
	default:
		/* The peer is gone (EPIPE, ECONNRESET), or we have no memory. */
		c->finishing = true;
	}
}

static bool permitted(struct conn *c, const struct wire_row *row)
{
	if (c->monitor) {
		give_up(c, WIRE_E_NOT_PERMITTED, "this connection monitors; "
			"open another one for other requests");
		return false;
	}
	if (row->may == WIRE_MAY_FREE && c->held) {
		give_up(c, WIRE_E_NOT_PERMITTED, "this connection holds a "
			"device already; open another connection for another "
			"one");
		return false;
	}
	if (row->may == WIRE_MAY_HELD && !c->held) {
		give_up(c, WIRE_E_NOT_PERMITTED, "this connection holds no "
			"device; open one first");
		return false;
	}
	if (row->may == WIRE_MAY_ADMIN && !c->peer.admin) {
		give_up(c, WIRE_E_NOT_PERMITTED, "this request belongs to the "
			"admin socket");
		return false;
	}
	return true;
}

/* A whole frame is there, and its turn has come. */
static void dispatch(struct conn *c)
{
	static struct wire_message m;	/* large, and used up before we return */
	struct wire_fault fault;
	struct wire_refused why;
	int error = wire_decode(c->in.frame, c->in.header.length, &m, &fault);

	c->request = c->in.header.id;
	frame_in_reset(&c->in);
	if (error) {
		refuse(&why, WIRE_E_MALFORMED, "request",
		       fault.max ? "%s: %s (%u)" : "%s: %s", fault.field,
		       fault.why, fault.max);
		conn_refuse(c, &why);
		c->finishing = true;
	} else if (permitted(c, wire_row(m.type))) {
		handle(c, &m);
	}
}

/* --- whose turn it is ---------------------------------------------------- */

static struct event *turns;

static bool has_hung_up(const struct conn *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

static void answer_in_turn(struct registry_request *request)
{
	struct conn *c = (struct conn *)((char *)request -
					 offsetof(struct conn, whole));

	/* It may have waited for long: nobody is there to hear. */
	if (has_hung_up(c))
		c->finishing = true;
	else
		dispatch(c);
	settle(c);
}

static void set_turn(int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(turns, &tv);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	int64_t wait;

	(void)fd;
	(void)what;
	registry_requests_go(registry, now_ms(), answer_in_turn);
	wait = registry_requests_wait(registry, now_ms());
	if (wait >= 0)
		set_turn(wait);
}

int conn_start(struct server *server)
{
	turns = evtimer_new(server->base, on_turn, &server->registry);
	if (!turns || untaken_serve(server) || copies_serve(server))
		return -ENOMEM;
	return slow_close_serve(server);
}

void conn_stop(struct server *server)
{
	while (server->conns) {
		/* We go, the device stays: no end of its lease. */
		server->conns->held = NULL;
		conn_free(server->conns);
	}
	untaken_stop();
	slow_close_stop();
	event_free(turns);
	turns = NULL;
}

/* Root is not made to wait. */
static bool may_answer(struct conn *c)
{
	return c->peer.admin || c->peer.uid == 0 ||
	       registry_request(&c->server->registry, c->peer.uid, &c->whole,
				now_ms());
}

static void take_request(struct conn *c)
{
	c->whole.more = c->in.header.length / LIMIT_REQUEST_BYTES;
	/* After a restart everybody wants his lease back, and once. */
	c->whole.free = c->in.header.type == WIRE_RECLAIM;
	if (may_answer(c))
		dispatch(c);
	else
		set_turn(0);	/* the next one says when it is ours */
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	bool fresh = c->in.have == 0;
	int r;

	(void)what;
	r = frame_receive(&c->in, fd, WIRE_FROM_CLIENT, 0);
	if (r == 1)
		take_request(c);
	else if (r == 0)
		c->finishing = true;
	else if (r != -EAGAIN)
		protocol_error(c, r);
	else if (fresh && c->in.have > 0)
		set_deadline(c, LIMIT_FRAME_SECONDS);
	settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->out_len == 0 && c->more)
		c->more(c);
	settle(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->sending) {
		log_line_of(c->peer.uid, LOG_NOTICE, "uid %u pid %d does not "
			    "read its answers; connection closed", c->peer.uid,
			    (int)c->peer.pid);
		conn_free(c);
		return;
	}
	c->request = 0;
	give_up(c, WIRE_E_TIMED_OUT, c->in.have ? "the rest of the frame did "
		"not come in time" : "no request came in time");
	settle(c);
}

/*
 * Is there room for one more?  On the admin socket there always is; and root
 * gets in on the public one where others have taken all that they may.
 */
static bool admit(struct conn *c, bool fds_left)
{
	const struct registry *r = &c->server->registry;
	unsigned most = limits.connections;

	if (c->peer.uid == 0)
		most += LIMIT_CONNECTIONS_ROOT;
	if (c->peer.admin)
		return true;
	if (!fds_left)
		give_up(c, WIRE_E_OUT_OF_FDS, "the daemon has no file "
			"descriptors left for another connection; try again "
			"later");
	else if (r->n_connections - slow_close_away() > most)
		give_up(c, WIRE_E_FULL, "the daemon has all the connections "
			"that it takes; try again later");
	else if (registry_connections(r, c->peer.uid) > limits.connections_uid)
		give_up(c, WIRE_E_FULL, "this user has all the connections "
			"that one user may have; close some");
	return !c->finishing;
}

void conn_new(struct server *server, int fd, bool admin, bool fds_left)
{
	/* Looked at first: it may have connected before fds were refused. */
	bool bytes_only = os_bytes_only(fd);
	struct conn *c = calloc(1, sizeof(*c));
	int error = c ? os_peer(fd, &c->peer) : -ENOMEM;

	if (!error)
		error = registry_connect(&server->registry, c->peer.uid);
	if (error) {
		log_line_of(LOG_UID_UNKNOWN, LOG_WARNING, "a connection could "
			    "not be taken: %s", strerror(-error));
		if (c)
			free(c->peer.groups);
		free(c);
		slow_close(fd, bytes_only, LOG_UID_UNKNOWN);
		return;
	}
	c->server = server;
	c->fd = fd;
	c->bytes_only = bytes_only;
	c->peer.admin = admin;
	c->in = FRAME_IN_INIT;
	DL_APPEND(server->conns, c);
	event_assign(&c->readable, server->base, fd, EV_READ | EV_PERSIST,
		     on_readable, c);
	event_assign(&c->writable, server->base, fd, EV_WRITE, on_writable, c);
	evtimer_assign(&c->deadline, server->base, on_deadline, c);
	if (admit(c, fds_left))
		set_deadline(c, (int)limits.first_seconds);
	settle(c);
}
