#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../proto/frame.h"
#include "command.h"

#define REQUEST_ID	1	/* the connection's only one */
#define RETRY_MS	5

/* What each request is answered with. */
static const struct exchange {
	enum wire_type request;
	enum wire_type each;	/* any number of these; 0: none */
	enum wire_type last;
} exchanges[] = {
	{ WIRE_LIST, WIRE_LEASE, WIRE_DONE },
	{ WIRE_STATUS, 0, WIRE_STATE },
	{ WIRE_RELOAD, 0, WIRE_RELOADED },
	{ WIRE_CLOSE, 0, WIRE_CLOSED },
	{ WIRE_CHECK, 0, WIRE_VERDICT },
	{ WIRE_POLICY, WIRE_RULE, WIRE_DONE },
};
#define N_EXCHANGES	(sizeof(exchanges) / sizeof(*exchanges))

struct request {
	const char *path;
	int sock;
	int timeout_ms;
	int64_t deadline;	/* ms of the monotonic clock */
	const struct exchange *row;
	struct ttd_error *error;
	struct wire_message m;	/* the request, then each answer */
};

__attribute__((format(printf, 4, 5)))
static int fail(const struct request *q, int code, const char *step,
		const char *format, ...)
{
	va_list args;

	*q->error = (struct ttd_error){ .code = code };
	snprintf(q->error->step, sizeof(q->error->step), "%s", step);
	va_start(args, format);
	vsnprintf(q->error->text, sizeof(q->error->text), format, args);
	va_end(args);
	return EXIT_NO_DAEMON;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int left_ms(const struct request *q)
{
	int64_t left = q->deadline - now_ms();

	return left > 0 ? (int)left : 0;
}

static int connect_fault(const struct request *q, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return fail(q, -error, "connect", "%s %s: tuntapd seems not "
			    "to run. Start it as root, or name the socket of "
			    "one that runs by --socket or TUNTAPD_SOCKET",
			    error == ENOENT ? "there is no socket" :
			    "nobody listens at", q->path);
	case EACCES:
		return fail(q, -error, "connect", "no permission to connect "
			    "to %s: the admin socket is root's alone; for the "
			    "public one look at the modes of the socket and "
			    "the directories above it", q->path);
	case EAGAIN:
		return fail(q, -ETIMEDOUT, "connect", "tuntapd at %s accepted "
			    "no connection within %d ms: its backlog is full",
			    q->path, q->timeout_ms);
	default:
		return fail(q, -error, "connect", "cannot connect to %s: %s",
			    q->path, strerror(error));
	}
}

static int connect_to(struct request *q)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(q->path);

	if (len == 0 || len >= sizeof(addr.sun_path))
		return fail(q, -EINVAL, "connect", "the socket path has %zu "
			    "bytes; it has 1 to %zu: %.200s", len,
			    sizeof(addr.sun_path) - 1, q->path);
	memcpy(addr.sun_path, q->path, len);
	q->sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (q->sock < 0 || fcntl(q->sock, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(q->sock, F_SETFL, O_NONBLOCK) < 0)
		return fail(q, -errno, "connect", "cannot make a socket: %s",
			    strerror(errno));
	/* EAGAIN is a full backlog, and nothing to poll(2) for */
	while (connect(q->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || left_ms(q) == 0)
			return connect_fault(q, errno);
		poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

static int answer_late(const struct request *q)
{
	return fail(q, -ETIMEDOUT, "answer", "tuntapd at %s did not answer "
		    "within %d ms; look at its log, and restart it if it hangs",
		    q->path, q->timeout_ms);
}

static int wait_for(const struct request *q, short events)
{
	struct pollfd p = { q->sock, events, 0 };
	int n;

	do
		n = poll(&p, 1, left_ms(q));
	while (n < 0);		/* EINTR does not last */
	return n > 0 ? 0 : answer_late(q);
}

static int send_frame(struct request *q)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	size_t off = 0;
	int len, r;

	q->m.id = REQUEST_ID;
	len = wire_encode(&q->m, frame, sizeof(frame));
	if (len < 0)
		return fail(q, len, "request", "the request cannot be put "
			    "into a message");
	while ((r = frame_send(q->sock, frame, (size_t)len, &off, NULL, 0)) ==
	       -EAGAIN)
		if ((r = wait_for(q, POLLOUT)) != 0)
			return r;
	/* closed already? it may have said why: too many connections */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return 0;
	return fail(q, r, "request", "cannot send to tuntapd at %s: %s",
		    q->path, strerror(-r));
}

/* frame_receive() ended with r, and this is what it means. */
static int receive_fault(const struct request *q, const struct frame_in *in,
			 int r)
{
	switch (r) {
	case 0:
	case -EPIPE:
	case -ECONNRESET:
		return fail(q, -EPIPE, "answer", "tuntapd at %s ended the "
			    "connection %s; its log may say why", q->path,
			    in->have ? "inside its answer" :
			    "before its answer was whole");
	case -EPROTONOSUPPORT:
		return fail(q, r, "answer", "what listens at %s speaks version "
			    "%u of the protocol, this tuntapctl (%s) speaks "
			    "version %d: install tuntapd and tuntapctl of the "
			    "same release", q->path, in->header.version,
			    ttd_version(), WIRE_VERSION);
	case -EPROTO:
	case -ENOSYS:
	case -EPERM:
	case -EBADMSG:
		return fail(q, -EPROTO, "answer", "what listens at %s is not "
			    "tuntapd: it answers as no tuntapd of this version "
			    "does", q->path);
	default:
		return fail(q, r, "answer", "cannot receive from tuntapd at "
			    "%s: %s", q->path, strerror(-r));
	}
}

static int receive_frame(struct request *q)
{
	struct frame_in in = FRAME_IN_INIT;
	struct wire_fault fault;
	int r;

	while ((r = frame_receive(&in, q->sock, WIRE_FROM_DAEMON, 0)) ==
	       -EAGAIN)
		if ((r = wait_for(q, POLLIN)) != 0)
			goto out;
	if (r != 1)
		r = receive_fault(q, &in, r);
	else if (wire_decode(in.frame, in.header.length, &q->m, &fault) < 0)
		r = fail(q, -EPROTO, "answer", "the answer of tuntapd at %s is "
			 "broken at %s: %s", q->path, fault.field, fault.why);
	else
		r = 0;
out:
	frame_in_reset(&in);
	return r;
}

static int refused(const struct request *q)
{
	const struct wire_refused *m = &q->m.refused;

	fail(q, -wire_error_errno(m->code), m->step, "%s",
	     m->text[0] ? m->text : wire_error_text(m->code));
	snprintf(q->error->rule, sizeof(q->error->rule), "%s", m->rule);
	return EXIT_REFUSED;
}

/* It ends with q->row->last, or as the answer says. */
static int exchange(struct request *q, request_answer *answer, void *arg)
{
	int r = connect_to(q);

	if (r == 0)
		r = send_frame(q);
	while (r == 0) {
		r = left_ms(q) > 0 ? receive_frame(q) : answer_late(q);
		if (r)
			break;
		if (q->m.type == WIRE_REFUSED)
			return refused(q);
		if (q->m.id != REQUEST_ID || (q->m.type != q->row->last &&
					      q->m.type != q->row->each))
			return fail(q, -EPROTO, "answer", "tuntapd at %s "
				    "answered with the message %s, which was "
				    "not asked for", q->path,
				    wire_row(q->m.type)->name);
		r = answer(arg, &q->m);
		if (q->m.type == q->row->last)
			break;
	}
	return r;
}

int ctl_request(const char *path, const struct wire_message *request,
		request_answer *answer, void *arg, struct ttd_error *error)
{
	static struct request q;	/* large */
	int r;

	q = (struct request){
		.path = path, .sock = -1, .error = error, .m = *request,
		.timeout_ms = request->type == WIRE_RELOAD ?
			      RELOAD_TIMEOUT_MS : REQUEST_TIMEOUT_MS
	};
	q.deadline = now_ms() + q.timeout_ms;
	for (size_t i = 0; i < N_EXCHANGES; i++)
		if (exchanges[i].request == request->type)
			q.row = &exchanges[i];
	r = exchange(&q, answer, arg);
	if (q.sock >= 0)
		close(q.sock);
	return r;
}
