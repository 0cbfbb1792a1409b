#include "request.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../proto/frame.h"
#include "../proto/sys.h"
#include "advice.h"
#include "command.h"
#include "output.h"

#define RETRY_MS	5
#define FOR_EVER	INT64_MAX	/* a deadline */
#define WHY_MAX		160	/* a clause of a sentence */

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
	{ WIRE_MONITOR, WIRE_NOTICE, WIRE_DONE },
};
#define N_EXCHANGES	(sizeof(exchanges) / sizeof(*exchanges))

struct request {
	const char *path;
	int sock;
	int wait_ms;
	int64_t deadline;	/* ms of the monotonic clock */
	bool alive;		/* it has answered as a tuntapd does */
	bool last_word;		/* we have said that we say no more */
	bool unread;		/* nobody reads our standard output */
	uint16_t id;		/* of the request under way */
	char version[WIRE_VERSION_TEXT_MAX + 1];	/* once it was told */
	struct ttd_error *error;
	struct wire_message m;	/* a request, then each answer */
};

__attribute__((format(printf, 5, 6)))
static int fail(const struct request *q, int status, int code,
		const char *step, const char *format, ...)
{
	va_list args;

	*q->error = (struct ttd_error){ .code = code };
	snprintf(q->error->step, sizeof(q->error->step), "%s", step);
	va_start(args, format);
	vsnprintf(q->error->text, sizeof(q->error->text), format, args);
	va_end(args);
	return status;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_from_now(struct request *q, int ms)
{
	q->wait_ms = ms;
	q->deadline = now_ms() + ms;
}

static int left_ms(const struct request *q)
{
	int64_t left = q->deadline - now_ms();

	if (q->deadline == FOR_EVER)
		return -1;	/* as poll(2) has it */
	return left > 0 ? (int)left : 0;
}

/* --- what is wrong, and what to do --------------------------------------- */

#define SAME_RELEASE \
	"install tuntapd and tuntapctl of the same release, then start " \
	"tuntapd again (%s)"	/* advice.restart */

static int is_older(const struct request *q, const char *why)
{
	return fail(q, EXIT_OLDER, -EPROTONOSUPPORT, "answer", "tuntapd%s%s "
		    "at %s is older than this tuntapctl (%s): %s; "
		    SAME_RELEASE, q->version[0] ? " " : "", q->version,
		    q->path, ttd_version(), why, advice.restart);
}

static int is_newer(const struct request *q, const char *why)
{
	return fail(q, EXIT_NEWER, -EPROTONOSUPPORT, "answer", "tuntapd%s%s "
		    "at %s is newer than this tuntapctl (%s): %s; "
		    SAME_RELEASE, q->version[0] ? " " : "", q->version,
		    q->path, ttd_version(), why, advice.restart);
}

static int is_foreign(const struct request *q, int code, const char *step,
		      const char *why)
{
	return fail(q, EXIT_FOREIGN, code, step, "what listens at %s is not "
		    "tuntapd: %s; name the socket of tuntapd by --socket or "
		    "TUNTAPD_SOCKET, or end what has taken its place and start "
		    "tuntapd", q->path, why);
}

static int connect_fault(const struct request *q, int error)
{
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return fail(q, EXIT_NO_DAEMON, -error, "connect", "%s %s: "
			    "tuntapd seems not to run. Start it as root "
			    "(%s), or name the socket of one that runs by "
			    "--socket or TUNTAPD_SOCKET",
			    error == ENOENT ? "there is no socket" :
			    sys_refused(), q->path, advice.start);
	case EACCES:
		return fail(q, EXIT_NO_DAEMON, -error, "connect", "no "
			    "permission to connect to %s: the admin socket is "
			    "root's alone; for the public one look at the "
			    "modes of the socket and the directories above it",
			    q->path);
	case EAGAIN:
		return fail(q, EXIT_SILENT, -ETIMEDOUT, "connect", "tuntapd "
			    "at %s accepted no connection within %d ms: its "
			    "backlog is full. Ask again; if that stays so it "
			    "hangs: start it again (%s)", q->path,
			    q->wait_ms, advice.restart);
	case EPROTOTYPE:
		return is_foreign(q, -error, "connect", "it is a socket of "
				  "another type");
	default:
		return fail(q, EXIT_NO_DAEMON, -error, "connect", "cannot "
			    "connect to %s: %s", q->path, strerror(error));
	}
}

static int answer_late(const struct request *q, bool inside)
{
	if (q->alive)
		return fail(q, EXIT_SILENT, -ETIMEDOUT, "answer", "tuntapd %s "
			    "at %s is there, but %s within %d ms; look at its "
			    "log, and whether it was done all the same",
			    q->version, q->path,
			    inside ? "has not ended its answer" :
			    "has not answered", q->wait_ms);
	return fail(q, EXIT_SILENT, -ETIMEDOUT, "answer", "tuntapd at %s %s "
		    "within %d ms: it is just being started, has very "
		    "much to do, or hangs. Ask again; if that stays so start "
		    "it again (%s)", q->path,
		    inside ? "did not end its answer" : "did not answer",
		    q->wait_ms, advice.restart);
}

/* A header that no message of ours has; whose is it? */
static int header_fault(const struct request *q, const struct wire_header *h)
{
	const struct wire_row *row = wire_row(h->type);
	char why[WHY_MAX];

	if (h->length < WIRE_HEADER_LEN || h->length > WIRE_FRAME_MAX ||
	    (row && row->sender != WIRE_FROM_DAEMON))
		return is_foreign(q, -EPROTO, "answer", "it answers as no "
				  "tuntapd does");
	if (h->version != WIRE_VERSION) {
		snprintf(why, sizeof(why), "it speaks version %u of the "
			 "protocol, not version %d", h->version, WIRE_VERSION);
		return h->version < WIRE_VERSION ? is_older(q, why) :
		       is_newer(q, why);
	}
	snprintf(why, sizeof(why), "a message (type %u, %u bytes) that this "
		 "tuntapctl does not know", h->type, (unsigned)h->length);
	return is_newer(q, why);
}

/* frame_receive() ended with r, and this is what it means. */
static int receive_fault(const struct request *q, const struct frame_in *in,
			 int r)
{
	switch (r) {
	case 0:
	case -EPIPE:
	case -ECONNRESET:
		if (!q->alive)
			return is_foreign(q, -EPIPE, "answer", in->have ?
					  "it ended the connection inside its "
					  "answer" : "it ended the connection "
					  "without an answer");
		return fail(q, EXIT_NO_DAEMON, -EPIPE, "answer", "tuntapd %s "
			    "at %s ended the connection before its answer was "
			    "whole: it was just stopped, or failed, which its "
			    "log says; ask again", q->version, q->path);
	case -EPROTONOSUPPORT:
	case -EPROTO:
	case -ENOSYS:
	case -EPERM:
		return header_fault(q, &in->header);
	case -EBADMSG:
		return is_foreign(q, -EPROTO, "answer", "it sends file "
				  "descriptors that nobody asked for");
	default:
		return fail(q, EXIT_NO_DAEMON, r, "answer", "cannot receive "
			    "from tuntapd at %s: %s", q->path, strerror(-r));
	}
}

static int decode_fault(const struct request *q, const struct wire_fault *f)
{
	char why[WHY_MAX];

	snprintf(why, sizeof(why), "its answer is another at %s: %s",
		 f->field, f->why);
	switch (f->kind) {
	case WIRE_FAULT_SHORT:
		return is_older(q, why);
	case WIRE_FAULT_LONG:
		return is_newer(q, why);
	default:
		return is_foreign(q, -EPROTO, "answer", why);
	}
}

static int refused(const struct request *q, enum wire_type request)
{
	const struct wire_refused *m = &q->m.refused;
	char why[WHY_MAX];

	if (m->code == WIRE_E_UNKNOWN) {
		snprintf(why, sizeof(why), "it does not know the request %s",
			 wire_row((uint8_t)request)->name);
		return is_older(q, why);
	}
	if (m->code == WIRE_E_NOT_PERMITTED &&
	    wire_row((uint8_t)request)->may == WIRE_MAY_ADMIN)
		return fail(q, EXIT_REFUSED, -wire_error_errno(m->code),
			    wire_row((uint8_t)request)->name, "this is for "
			    "root on the admin socket, and %s is not that; do "
			    "it as root (sudo), without --socket and "
			    "TUNTAPD_SOCKET or with the admin socket's path",
			    q->path);
	fail(q, EXIT_REFUSED, -wire_error_errno(m->code), m->step, "%s",
	     m->text[0] ? m->text : wire_error_text(m->code));
	snprintf(q->error->rule, sizeof(q->error->rule), "%s", m->rule);
	return EXIT_REFUSED;
}

/* --- the talk ------------------------------------------------------------ */

static int connect_to(struct request *q)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(q->path);

	if (len == 0 || len >= sizeof(addr.sun_path))
		return fail(q, EXIT_NO_DAEMON, -EINVAL, "connect", "the path "
			    "of a socket has 1 to %zu bytes, and not %zu "
			    "bytes; name a shorter one, such as a symbolic "
			    "link or one from where you are: %.150s",
			    sizeof(addr.sun_path) - 1, len, q->path);
	memcpy(addr.sun_path, q->path, len);
	q->sock = sys_socket(SOCK_STREAM, false);
	if (q->sock < 0)
		return fail(q, EXIT_NO_DAEMON, q->sock, "connect", "cannot make "
			    "a socket: %s", strerror(-q->sock));
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

/*
 * False when the time is over; or, as who waits for ever sees it while nothing
 * comes that he could write, when his own reader has gone.
 */
static bool wait_for(struct request *q, short events)
{
	struct pollfd p[] = {
		{ q->sock, events, 0 },
		{ q->deadline == FOR_EVER ? STDOUT_FILENO : -1, 0, 0 }
	};
	int n;

	do
		n = poll(p, 2, left_ms(q));
	while (n < 0);		/* EINTR does not last */
	q->unread = p[1].revents;
	return n > 0 && !q->unread;
}

/*
 * Others than tuntapd wait for more, an HTTP server for the end of a line: told
 * that nothing follows they speak, or go.  A tuntapd that hangs does neither.
 */
static bool wait_for_answer(struct request *q)
{
	if (wait_for(q, POLLIN))
		return true;
	if (q->alive || q->last_word)
		return false;
	q->last_word = true;
	shutdown(q->sock, SHUT_WR);
	q->deadline = now_ms() + LAST_WORD_MS;
	return wait_for(q, POLLIN);
}

static int send_frame(struct request *q, const struct wire_message *request)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	size_t off = 0;
	int len, r;

	q->m = *request;
	q->m.id = ++q->id;
	len = wire_encode(&q->m, frame, sizeof(frame));
	if (len < 0)
		return fail(q, EXIT_USAGE, len, "request", "the request cannot "
			    "be put into a message");
	while ((r = frame_send(q->sock, frame, (size_t)len, &off, NULL, 0)) ==
	       -EAGAIN)
		if (!wait_for(q, POLLOUT))
			return answer_late(q, false);
	/* closed already? it may have said why: too many connections */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return 0;
	return fail(q, EXIT_NO_DAEMON, r, "request", "cannot send to tuntapd "
		    "at %s: %s", q->path, strerror(-r));
}

static int receive_frame(struct request *q)
{
	struct frame_in in = FRAME_IN_INIT;
	struct wire_fault fault;
	int r;

	while ((r = frame_receive(&in, q->sock, WIRE_FROM_DAEMON, 0)) ==
	       -EAGAIN)
		if (!wait_for_answer(q)) {
			r = q->unread ? -EPIPE : answer_late(q, in.have > 0);
			goto out;
		}
	if (r != 1)
		r = receive_fault(q, &in, r);
	else if (wire_decode(in.frame, in.header.length, &q->m, &fault) < 0)
		r = decode_fault(q, &fault);
	else
		r = 0;
out:
	frame_in_reset(&in);
	return r;
}

static const struct exchange *find_exchange(enum wire_type request)
{
	size_t i = 0;

	while (i < N_EXCHANGES && exchanges[i].request != request)
		i++;
	assert(i < N_EXCHANGES);
	return &exchanges[i];
}

/*
 * It ends with the last answer there is, or as `answer` says; a MONITOR only
 * begins with that one.
 */
static int exchange(struct request *q, const struct wire_message *request,
		    request_answer *answer, void *arg)
{
	const struct exchange *row = find_exchange(request->type);
	char why[WHY_MAX];
	int r = send_frame(q, request);

	while (r == 0) {
		r = receive_frame(q);
		if (r)
			break;
		if (q->m.type == WIRE_REFUSED)
			return refused(q, row->request);
		if (q->m.id != q->id || (q->m.type != row->last &&
					 q->m.type != row->each)) {
			snprintf(why, sizeof(why), "it answered with the "
				 "message %s, which was not asked for",
				 wire_row(q->m.type)->name);
			return is_foreign(q, -EPROTO, "answer", why);
		}
		wait_from_now(q, ANSWER_WAIT_MS);
		if (row->request == WIRE_MONITOR)
			q->deadline = FOR_EVER;
		r = answer(arg, &q->m);
		if (q->m.type == row->last && row->request != WIRE_MONITOR)
			break;
	}
	return r;
}

static int take_state(void *arg, const struct wire_message *m)
{
	struct request *q = arg;

	q->alive = true;
	memcpy(q->version, m->state.version, sizeof(q->version));
	plain_text(q->version);
	return 0;
}

/* What answers this is a tuntapd, and may take its time then. */
static int see_alive(struct request *q)
{
	static const struct wire_message status = { .type = WIRE_STATUS };
	int r = exchange(q, &status, take_state, q);

	/* In the last moment: of that connection we have taken our leave. */
	if (r == 0 && q->last_word) {
		close(q->sock);
		r = connect_to(q);
	}
	return r;
}

int ctl_request(const char *path, const struct wire_message *request,
		request_answer *answer, void *arg, struct ttd_error *error)
{
	static struct request q;	/* large */
	int r;

	q = (struct request){ .path = path, .sock = -1, .error = error };
	*error = (struct ttd_error){ .code = 0 };
	wait_from_now(&q, ALIVE_WAIT_MS);
	r = connect_to(&q);
	if (r == 0 && request->type != WIRE_STATUS)
		r = see_alive(&q);
	if (r == 0)
		r = exchange(&q, request, answer, arg);
	if (q.sock >= 0)
		close(q.sock);
	return r;
}

static int take_nothing(void *arg, const struct wire_message *m)
{
	(void)arg;
	(void)m;
	return 0;
}

int ctl_alive(const char *path, struct ttd_error *error)
{
	const struct wire_message m = { .type = WIRE_STATUS };

	return ctl_request(path, &m, take_nothing, NULL, error);
}

int ctl_monitor(const char *path, request_answer *answer, void *arg,
		struct ttd_error *error)
{
	const struct wire_message m = { .type = WIRE_MONITOR };

	return ctl_request(path, &m, answer, arg, error);
}
