/* From options to a device: connect, ask, and take what is handed over. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../proto/frame.h"
#include "../proto/sys.h"
#include "device.h"
#include "packet.h"

#ifndef TUNTAPD_SOCKET_PATH
#define TUNTAPD_SOCKET_PATH "/run/tuntapd/tuntapd.sock"
#endif

#define CONNECT_RETRY_MS 5
#define OPEN_ID 1		/* the connection's first request */

/* One ttd_open(). */
struct opening {
	struct ttd_options options;
	struct ttd_error *error;
	const char *path;
	int64_t deadline;
	struct wire_message m;		/* request, then answer */
	uint8_t frame[WIRE_FRAME_MAX];
};

#define CONNECT_FAIL(o, code, ...) \
	error_set((o)->error, code, "connect", __VA_ARGS__)
#define ANSWER_FAIL(o, code, ...) \
	error_set((o)->error, code, "answer", __VA_ARGS__)

static int connect_fault(const struct opening *o, int error)
{
	char words[ERROR_WORDS_MAX];

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		return CONNECT_FAIL(o, -error, "%s %s: tuntapd seems not to "
				    "run. Start it as root, or set "
				    "TUNTAPD_SOCKET to the socket of one that "
				    "runs",
				    error == ENOENT ? "there is no socket" :
				    sys_refused(), o->path);
	case EACCES:
		return CONNECT_FAIL(o, -error, "no permission to connect to "
				    "%s: look at the modes of the socket and "
				    "the directories above it", o->path);
	case EAGAIN:
		return CONNECT_FAIL(o, -ETIMEDOUT, "tuntapd at %s accepted no "
				    "connection within %d ms: its backlog is "
				    "full", o->path, o->options.timeout_ms);
	default:
		return CONNECT_FAIL(o, -error, "cannot connect to %s: %s",
				    o->path, error_words(error, words));
	}
}

/*
 * A non-blocking connect(2) to a Unix socket is done or refused at once; EAGAIN
 * is a full backlog, and poll(2) cannot wait for that to change.
 */
static int connect_within(const struct opening *o, int sock,
			  const struct sockaddr_un *addr)
{
	const struct sockaddr *to = (const struct sockaddr *)addr;

	while (connect(sock, to, sizeof(*addr)) < 0) {
		int left = deadline_left(o->deadline);

		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || left == 0)
			return connect_fault(o, errno);
		poll(NULL, 0, left > 0 && left < CONNECT_RETRY_MS ? left :
		     CONNECT_RETRY_MS);
	}
	return 0;
}

/* The socket, or -errno; addr is all zero. */
static int connect_daemon(const struct opening *o, struct sockaddr_un *addr)
{
	char words[ERROR_WORDS_MAX];
	size_t len = strlen(o->path);
	int sock, r;

	if (len == 0)
		return CONNECT_FAIL(o, -EINVAL, "the socket path is empty");
	if (len >= sizeof(addr->sun_path))
		return CONNECT_FAIL(o, -ENAMETOOLONG, "the socket path has %zu "
				    "bytes; the system's limit is %zu: %.200s",
				    len, sizeof(addr->sun_path) - 1, o->path);
	addr->sun_family = AF_UNIX;
	memcpy(addr->sun_path, o->path, len);
	sock = sys_socket(SOCK_STREAM, false);
	if (sock < 0)
		return CONNECT_FAIL(o, sock, "cannot make a socket: %s",
				    error_words(sock, words));
	r = connect_within(o, sock, addr);
	if (r == 0)
		return sock;
	close(sock);
	return r;
}

/* 0: try again, or -ETIMEDOUT. */
static int wait_for(const struct opening *o, int sock, short events)
{
	struct pollfd p = { sock, events, 0 };
	int n;

	do
		n = poll(&p, 1, deadline_left(o->deadline));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n > 0 ? 0 : -ETIMEDOUT;
	/* No memory, or RLIMIT_NOFILE is 0 by now: both may last. */
	poll(NULL, 0, CONNECT_RETRY_MS);
	return deadline_left(o->deadline) ? 0 : -ETIMEDOUT;
}

static int answer_late(const struct opening *o)
{
	return ANSWER_FAIL(o, -ETIMEDOUT, "tuntapd at %s did not answer within "
			   "%d ms", o->path, o->options.timeout_ms);
}

static int send_request(struct opening *o, int sock)
{
	char words[ERROR_WORDS_MAX];
	size_t off = 0;
	int len, r;

	o->m.type = WIRE_OPEN;
	o->m.id = OPEN_ID;
	len = wire_encode(&o->m, o->frame, sizeof(o->frame));
	if (len < 0)
		return error_set(o->error, len, "request", "the request cannot "
				 "be put into a message");
	while ((r = frame_send(sock, o->frame, (size_t)len, &off, NULL, 0)) ==
	       -EAGAIN)
		if (wait_for(o, sock, POLLOUT) < 0)
			return answer_late(o);
	/* closed already? it may have said why: too many connections */
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return 0;
	return ANSWER_FAIL(o, r, "cannot send to tuntapd at %s: %s", o->path,
			   error_words(r, words));
}

/* frame_receive() ended with r, and this is what it means. */
static int receive_fault(const struct opening *o, const struct frame_in *in,
			 int r)
{
	char words[ERROR_WORDS_MAX];

	/* A length that no version has: the number behind it is none either. */
	if (r == -EPROTONOSUPPORT && (in->header.length < WIRE_HEADER_LEN ||
				      in->header.length > WIRE_FRAME_MAX))
		r = -EPROTO;
	switch (r) {
	case 0:
	case -EPIPE:
	case -ECONNRESET:
		return ANSWER_FAIL(o, -EPIPE, "tuntapd at %s ended the "
				   "connection %s; its log may say why",
				   o->path, in->have ? "inside its answer" :
				   "without an answer");
	case -EPROTONOSUPPORT:
		return ANSWER_FAIL(o, r, "tuntapd at %s is %s than this "
				   "library (%s): it speaks version %u of the "
				   "protocol, not version %d; install tuntapd "
				   "and libtuntapd of the same release", o->path,
				   in->header.version < WIRE_VERSION ?
				   "older" : "newer", ttd_version(),
				   in->header.version, WIRE_VERSION);
	case -EMFILE:
		return ANSWER_FAIL(o, r, "no room for %u more fds: this "
				   "process is at its limit of open files "
				   "(ulimit -n)",
				   o->options.queues);
	case -EBADMSG:
		return ANSWER_FAIL(o, -EPROTO, "tuntapd at %s sent more fds "
				   "than the %u asked for, or fds with a "
				   "message that has none", o->path,
				   o->options.queues);
	case -EPROTO:
	case -ENOSYS:
	case -EPERM:
		return ANSWER_FAIL(o, -EPROTO, "what listens at %s is not "
				   "tuntapd: its answer begins as no message "
				   "does (type %u, %u bytes)", o->path,
				   in->header.type, in->header.length);
	default:
		return ANSWER_FAIL(o, r, "cannot receive from tuntapd at %s: "
				   "%s", o->path, error_words(r, words));
	}
}

static int receive_answer(struct opening *o, int sock, struct frame_in *in)
{
	struct wire_fault fault;
	int r;

	while ((r = frame_receive(in, sock, WIRE_FROM_DAEMON,
				  o->options.queues)) == -EAGAIN)
		if (wait_for(o, sock, POLLIN) < 0)
			return answer_late(o);
	if (r != 1)
		return receive_fault(o, in, r);
	if (wire_decode(in->frame, in->header.length, &o->m, &fault) < 0)
		return ANSWER_FAIL(o, -EPROTO, "the answer of tuntapd at %s is "
				   "broken at %s: %s", o->path, fault.field,
				   fault.why);
	return 0;
}

/* One that an interface can have, and the one asked for if any was. */
static bool is_name(const char *name, const char *asked)
{
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '/')
			return false;
	return *name && (!asked || !*asked || strcmp(name, asked) == 0);
}

/* Is this the answer, with all that belongs to it and nothing else? */
static int check_answer(const struct opening *o, unsigned n_fds)
{
	const struct wire_opened *opened = &o->m.opened;
	bool may = o->options.offload != TTD_OFFLOAD_NONE;

	if (o->m.type == WIRE_REFUSED && n_fds == 0)
		return error_refused(o->error, &o->m.refused);
	if (o->m.type != WIRE_OPENED)
		return ANSWER_FAIL(o, -EPROTO, "tuntapd at %s answered with "
				   "the message %s and %u fds", o->path,
				   wire_row(o->m.type)->name, n_fds);
	if (o->m.id != OPEN_ID)
		return ANSWER_FAIL(o, -EPROTO, "tuntapd at %s answered request "
				   "%u, which was not made", o->path, o->m.id);
	if (n_fds != opened->queues || n_fds != o->options.queues)
		return ANSWER_FAIL(o, -EPROTO, "tuntapd at %s sent %u fds for "
				   "%u queues, where %u were asked for",
				   o->path, n_fds, opened->queues,
				   o->options.queues);
	if (!is_name(opened->name, o->options.name) || opened->ifindex == 0 ||
	    opened->vnet_hdr > may)
		return ANSWER_FAIL(o, -EPROTO, "tuntapd at %s opened a device "
				   "without the name asked for, an index, or "
				   "with an offload nobody asked for", o->path);
	return 0;
}

static const char *why_no_rings(int error)
{
	switch (-error) {
	case EMFILE:
	case ENFILE:
		return "each queue has two rings, which are a file each; raise "
		       "`ulimit -n`";
	case ENOSYS:
	case EPERM:
		return "this kernel has no io_uring, or it is switched off, by "
		       "the sysctl kernel.io_uring_disabled or a filter of "
		       "system calls; open the device without TTD_IO_URING";
	case EOPNOTSUPP:
		return "Linux 6.4 is the first one that has it for devices; "
		       "open this one without TTD_IO_URING";
	default:
		return "open the device without TTD_IO_URING";
	}
}

/* Returns r, having said what it means. */
static int no_rings(const struct opening *o, int r)
{
	char words[ERROR_WORDS_MAX];

	return r == 0 ? 0 : error_set(o->error, r, "io_uring", "cannot have "
				      "io_uring: %s: %s", error_words(r, words),
				      why_no_rings(r));
}

/* The device takes the fds and all that was told of it. */
static int adopt(struct ttd_device *dev, const struct opening *o,
		 struct frame_in *in)
{
	const struct wire_opened *opened = &o->m.opened;
	char words[ERROR_WORDS_MAX];
	unsigned n;
	int *fds, r = 0;

	_Static_assert(TTD_NAME_MAX == WIRE_NAME_MAX + 1, "names differ");
	memcpy(dev->name, opened->name, sizeof(dev->name));
	dev->ifindex = opened->ifindex;
	dev->layer = (enum ttd_layer)o->options.layer;
	dev->vnet = opened->vnet_hdr;
	dev->offload = dev->vnet ? (enum ttd_offload)o->options.offload :
		       TTD_OFFLOAD_NONE;
	dev->header = dev->offload == TTD_OFFLOAD_PASS ? PACKET_HEADER : 0;
	/* The first IPv4 address stays. */
	for (size_t i = o->options.n_addrs; i > 0; i--)
		device_store_addr(dev, &o->options.addrs[i - 1].local);
	n = frame_take_fds(in, &fds);
	for (unsigned i = 0; i < n; i++)
		dev->queues[i].fd = fds[i];
	free(fds);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = packet_begin(dev->queues[i].fd);
	if (r < 0)
		return error_set(o->error, r, "answer", "an fd from tuntapd "
				 "cannot be used: %s", error_words(r, words));
	for (unsigned i = 0; i < n && r == 0; i++)
		if (dev->queues[i].reads)
			r = no_rings(o, ring_try(dev->queues[i].reads,
						 dev->queues[i].fd));
	if (r < 0)
		return r;
	if (dev->vnet)
		dev->udp = packet_offload(dev->queues[0].fd);
	/* The answer of the open was the first; none has its id again. */
	dev->control.last_id = OPEN_ID;
	memcpy(dev->control.token, opened->token, sizeof(dev->control.token));
	told_opened(dev, opened, !(o->options.flags & TTD_DOWN));
	dev->control.timeout_ms = o->options.timeout_ms;
	dev->control.threaded = !(o->options.flags & TTD_NO_THREAD);
	r = control_add(dev);
	if (r < 0)
		error_set(o->error, r, "answer", "cannot start the thread that "
			  "looks after devices: %s", error_words(r, words));
	return r;
}

static int open_with(struct opening *o, struct ttd_device *dev)
{
	struct frame_in in = FRAME_IN_INIT;
	int r = connect_daemon(o, &dev->control.daemon);

	if (r < 0)
		return r;
	dev->sock = r;
	r = send_request(o, dev->sock);
	if (r == 0)
		r = receive_answer(o, dev->sock, &in);
	if (r == 0)
		r = check_answer(o, in.n_fds);
	if (r == 0)
		r = adopt(dev, o, &in);
	/* The token is the device's alone. */
	if (in.frame)
		sys_wipe(in.frame, in.header.length);
	sys_wipe(&o->m, sizeof(o->m));
	frame_in_reset(&in);
	return r;
}

/* Routes that the request had no room for. */
static int add_rest(const struct opening *o, struct ttd_device *dev)
{
	size_t first = first_routes(&o->options);

	if (first == o->options.n_routes)
		return 0;
	return device_change_routes(dev, WIRE_ADD, o->options.routes + first,
				    o->options.n_routes - first, o->error);
}

static const char *socket_path(const struct ttd_options *options)
{
	const char *path = options->socket_path;

	if (path)
		return path;
	path = os_getenv("TUNTAPD_SOCKET");
	return path && path[0] ? path : TUNTAPD_SOCKET_PATH;
}

int ttd_open(const struct ttd_options *options, struct ttd_device **ret,
	     struct ttd_error *error)
{
	struct ttd_device *dev = NULL;
	char words[ERROR_WORDS_MAX];
	struct opening *o;
	int r;

	if (!options || !ret)
		return error_set(error, -EINVAL, "request", "ttd_open() was "
				 "given NULL for %s", options ? "ret" :
				 "options");
	o = calloc(1, sizeof(*o));
	if (!o)
		return error_set(error, -ENOMEM, "request", "out of memory");
	o->error = error;
	r = options_read(options, &o->options, error);
	if (r == 0)
		r = options_encode(&o->options, &o->m.open, error);
	if (r < 0)
		goto out;
	dev = device_new(o->options.queues, &r);
	if (!dev) {
		error_set(error, r, "request", "cannot make a device: %s",
			  error_words(r, words));
		goto out;
	}
	o->path = socket_path(&o->options);
	o->deadline = deadline_in(o->options.timeout_ms);
	r = 0;
	if (o->options.flags & TTD_IO_URING)
		r = no_rings(o, device_make_rings(dev));
	if (r == 0)
		r = open_with(o, dev);
	if (r < 0) {
		device_release(dev);
		goto out;
	}
	r = add_rest(o, dev);
	if (r < 0) {
		ttd_free(dev);
		goto out;
	}
	*ret = dev;
out:
	free(o);
	return r;
}
