/* Data through sockets: soreceive(), sosend(), and the calls around them. */
#include <stdlib.h>

#include "kernel.h"

#define SEND_SPACE	(512 * 1024)	/* utun_register_control() */
#define BATCH_MAX	100		/* somaxrecvmsgx, somaxsendmsgx */

/*
 * Where data comes from or goes to: n structs iovec of the caller's, whose
 * pointers are his; or one pointer that we have already.
 */
struct area {
	const uint8_t *iov;
	unsigned n;
	uint8_t *direct;
	size_t len;
};

/* A struct msghdr or msghdr_x: they begin the same. */
struct message {
	struct area data;
	uint8_t *control;
	uint32_t controllen;
	bool named;
	int flags;
};

/* --- scattered memory --- */

static uint8_t *part(const struct area *area, unsigned i, size_t *len)
{
	const uint8_t *each = area->iov + (size_t)XNU_IOVEC_SIZE * i;

	if (area->direct) {
		*len = area->len;
		return area->direct;
	}
	*len = get64(each + 8);
	return user(get64(each), *len);
}

static size_t total(const struct area *area)
{
	size_t sum = 0, len;

	for (unsigned i = 0; i < area->n; i++) {
		part(area, i, &len);
		sum += len;
	}
	return sum;
}

static struct packet *gather(const struct area *area)
{
	struct packet *packet = packet_new(total(area));
	size_t at = 0, len;

	for (unsigned i = 0; i < area->n; i++) {
		const uint8_t *from = part(area, i, &len);

		if (len)
			memcpy(packet->bytes + at, from, len);
		at += len;
	}
	return packet;
}

static size_t scatter(const struct area *area, const uint8_t *bytes,
		      size_t size)
{
	size_t at = 0, len;

	for (unsigned i = 0; i < area->n && at < size; i++) {
		uint8_t *to = part(area, i, &len);

		if (len > size - at)
			len = size - at;
		if (len)
			memcpy(to, bytes + at, len);
		at += len;
	}
	return at;
}

/* --- one message --- */

/* uipc_socket.c, sosendcheck(): connected, and in one piece. */
static int may_send(const struct file *file, size_t len)
{
	if (file->kind == KIND_INET || file->kind >= KIND_FILE)
		die("data through a socket of family %d, a file or a pipe: not "
		    "known here", file->domain);
	if (file->kind != KIND_CONTROL)
		return 0;
	if (!file->connected)
		return XNU_ENOTCONN;
	return len > SEND_SPACE ? XNU_EMSGSIZE : 0;
}

/* Takes the packet, whatever happens. */
static int send_packet(struct file *file, struct packet *packet, int flags)
{
	int error = may_send(file, packet->len);

	if (!error && file->kind == KIND_CONTROL) {
		utun_input(file, packet);
		return 0;
	}
	if (!error && file->kind == KIND_LOCAL)
		return local_send(file, packet, flags);
	if (!error)
		error = route_output(file, packet->bytes, packet->len);
	packet_free(packet);
	return error;
}

/* soreceive(): is there something, and may one wait? */
static int may_receive(const struct file *file, int flags)
{
	if (file->kind == KIND_INET || file->kind >= KIND_FILE)
		die("data through a socket of family %d, a file or a pipe: not "
		    "known here", file->domain);
	if (file->in.first || file->peer_gone || file->receives_no_more)
		return 0;
	if (file->kind == KIND_CONTROL && !file->connected)
		return XNU_ENOTCONN;
	if (file->nonblock || file->times_out || flags & XNU_MSG_DONTWAIT)
		return XNU_EAGAIN;
	die("a read would wait for ever: nothing is there, and nobody else");
}

/*
 * One message, of which a longer one's rest is lost (MSG_TRUNC); of a stream as
 * much as is there, up to what came with fds.
 */
static size_t receive(struct file *file, const struct area *area,
		      struct packet **rights, int *flags)
{
	const size_t size = total(area);
	struct packet *first = file->in.first;
	size_t got;

	if (!first)
		return 0;		/* the stream's end */
	got = scatter(area, first->bytes + first->at, first->len - first->at);
	if (file->kind == KIND_LOCAL && got < first->len - first->at) {
		first->at += got;
		if (!first->n_rights)
			return got;
		*rights = packet_new(0);
		memcpy((*rights)->rights, first->rights,
		       sizeof(first->rights));
		(*rights)->n_rights = first->n_rights;
		first->n_rights = 0;
		return got;
	}
	if (size < first->len - first->at)
		*flags |= XNU_MSG_TRUNC;
	*rights = queue_take(&file->in);
	return got;
}

/* MSG_PEEK: the same, and all of it stays. */
static size_t peek(const struct file *file, const struct area *area,
		   int *flags)
{
	const struct packet *first = file->in.first;

	if (!first)
		return 0;
	if (file->kind != KIND_LOCAL && total(area) < first->len - first->at)
		*flags |= XNU_MSG_TRUNC;
	return scatter(area, first->bytes + first->at, first->len - first->at);
}

static void show_sent(struct text *text, const struct file *file,
		      const struct packet *packet)
{
	if (file && file->kind == KIND_ROUTE)
		route_show(text, packet->bytes, packet->len);
	else
		text_add(text, "%zu bytes", packet->len);
}

static const char *sent_name(const struct file *file,
			     const struct packet *packet)
{
	return file && file->kind == KIND_ROUTE
		       ? route_type(packet->bytes, packet->len)
		       : NULL;
}

/* --- write() and read() --- */

static long do_write(const char *call, int fd, struct packet *packet,
		     int flags)
{
	struct file *file = file_of(fd);
	const long len = (long)packet->len;
	struct text said = { 0 };
	bool works;
	int error;

	show_sent(&said, file, packet);
	works = begin(call, sent_name(file, packet), "%d, %s", fd, said.bytes);
	text_clear(&said);
	if (!works || !file) {
		packet_free(packet);
		return end(works ? XNU_EBADF : xnu_errno, 0);
	}
	error = send_packet(file, packet, flags);
	return end(error, len);
}

static struct packet *packet_of(const void *buffer, size_t len)
{
	struct packet *packet = packet_new(len);

	if (len)
		memcpy(packet->bytes, buffer, len);
	return packet;
}

long xnu_write(int fd, const void *buffer, size_t len)
{
	return do_write("write", fd, packet_of(buffer, len), 0);
}

long xnu_send(int fd, const void *buffer, size_t len, int flags)
{
	if (flags & ~(XNU_MSG_DONTWAIT | XNU_MSG_NOSIGNAL))
		die("send() with flags %#x is not known here", (unsigned)flags);
	return do_write("send", fd, packet_of(buffer, len), flags);
}

long xnu_writev(int fd, const void *iov, int n)
{
	const struct area area = { .iov = iov, .n = (unsigned)n };

	if (n <= 0 || n > XNU_IOV_MAX) {
		begin("writev", NULL, "%d, n %d", fd, n);
		return end(XNU_EINVAL, 0);
	}
	return do_write("writev", fd, gather(&area), 0);
}

static long do_read(const char *call, int fd, const struct area *area,
		    int flags)
{
	const bool fits = area->n > 0 && area->n <= XNU_IOV_MAX;
	struct file *file = file_of(fd);
	struct packet *packet = NULL;
	size_t got = 0;
	int told = 0, error;

	if (!begin(call, NULL, "%d, %zu bytes", fd, fits ? total(area) : 0))
		return end(xnu_errno, 0);
	if (!fits)
		return end(XNU_EINVAL, 0);
	error = file ? may_receive(file, flags) : XNU_EBADF;
	if (!error)
		got = receive(file, area, &packet, &told);
	if (packet)
		rights_give(packet, NULL, NULL, NULL);
	packet_free(packet);
	return end(error, (long)got);
}

static long read_into(const char *call, int fd, void *buffer, size_t len,
		      int flags)
{
	const struct area area = { .n = 1, .direct = buffer, .len = len };

	return do_read(call, fd, &area, flags);
}

long xnu_read(int fd, void *buffer, size_t len)
{
	return read_into("read", fd, buffer, len, 0);
}

long xnu_recv(int fd, void *buffer, size_t len, int flags)
{
	if (flags & ~XNU_MSG_DONTWAIT)
		die("recv() with flags %#x is not known here", (unsigned)flags);
	return read_into("recv", fd, buffer, len, flags);
}

long xnu_readv(int fd, const void *iov, int n)
{
	const struct area area = { .iov = iov, .n = n > 0 ? (unsigned)n : 0 };

	return do_read("readv", fd, &area, 0);
}

/* --- messages --- */

static int take_message(const uint8_t *bytes, struct message *m)
{
	const int n = (int)get32(bytes + XNU_MSG_IOVLEN);

	m->controllen = get32(bytes + XNU_MSG_CONTROLLEN);
	m->control = user(get64(bytes + XNU_MSG_CONTROL), m->controllen);
	m->named = get64(bytes + XNU_MSG_NAME) ||
		   get32(bytes + XNU_MSG_NAMELEN);
	m->flags = (int)get32(bytes + XNU_MSG_FLAGS);
	if (n <= 0 || n > XNU_IOV_MAX)
		return XNU_EMSGSIZE;
	m->data.n = (unsigned)n;
	m->data.iov = user(get64(bytes + XNU_MSG_IOV),
			   (uint64_t)XNU_IOVEC_SIZE * m->data.n);
	return 0;
}

/* uipc_syscalls.c, recvmsg(), recvit(). */
static int receive_message(struct file *file, uint8_t *bytes, int flags,
			   size_t *got)
{
	struct message m = { 0 };
	struct packet *packet = NULL;
	const struct packet *seen;
	int error = take_message(bytes, &m), told = 0;

	if (!error)
		error = may_receive(file, flags);
	if (error)
		return error;
	if (m.named)
		die("the sender's name is asked for: not known here");
	seen = file->in.first;
	if (flags & XNU_MSG_PEEK)
		*got = peek(file, &m.data, &told);
	else
		*got = receive(file, &m.data, &packet, &told);
	if (flags & XNU_MSG_PEEK && seen && seen->n_rights)
		rights_peek(seen, m.control, &m.controllen, &told);
	else if (packet && packet->n_rights)
		rights_give(packet, m.control, &m.controllen, &told);
	else
		m.controllen = 0;
	packet_free(packet);
	put32(bytes + XNU_MSG_CONTROLLEN, m.controllen);
	put32(bytes + XNU_MSG_FLAGS, (uint32_t)(flags | told));
	return error;
}

long xnu_recvmsg(int fd, void *msg, int flags)
{
	struct file *file = file_of(fd);
	size_t got = 0;
	int error;

	if (!begin("recvmsg", NULL, "%d, %#x", fd, (unsigned)flags))
		return end(xnu_errno, 0);
	if (flags & ~(XNU_MSG_DONTWAIT | XNU_MSG_PEEK))
		die("recvmsg() with flags %#x is not known here",
		    (unsigned)flags);
	error = file ? receive_message(file, msg, flags, &got) : XNU_EBADF;
	return end(error, (long)got);
}

static int send_message(struct file *file, const uint8_t *bytes, int flags,
			size_t *sent)
{
	struct message m = { 0 };
	struct packet *packet;
	int error = take_message(bytes, &m);

	if (error)
		return error;
	if (m.named)
		die("sendmsg() to a name is not known here");
	packet = gather(&m.data);
	*sent = packet->len;
	if (m.control) {
		if (file->kind != KIND_LOCAL)
			die("control data to a socket of family %d",
			    file->domain);
		error = rights_take(m.control, m.controllen, packet);
	}
	if (error) {
		packet_free(packet);
		return error;
	}
	return send_packet(file, packet, flags);
}

long xnu_sendmsg(int fd, const void *msg, int flags)
{
	struct file *file = file_of(fd);
	size_t sent = 0;
	int error;

	if (!begin("sendmsg", NULL, "%d, %#x", fd, (unsigned)flags))
		return end(xnu_errno, 0);
	if (flags & ~(XNU_MSG_DONTWAIT | XNU_MSG_NOSIGNAL))
		die("sendmsg() with flags %#x is not known here",
		    (unsigned)flags);
	error = file ? send_message(file, msg, flags, &sent) : XNU_EBADF;
	return end(error, (long)sent);
}

/* --- batches --- */

static int check_batch(const struct file *file, unsigned *n, int flags)
{
	if (!file)
		return XNU_EBADF;
	if (file->kind != KIND_CONTROL)
		die("a batch through a socket of family %d: not known here",
		    file->domain);
	if (*n == 0 || *n > XNU_IOV_MAX)
		return XNU_EINVAL;
	if (flags & ~XNU_MSG_DONTWAIT)
		return XNU_EINVAL;
	if (*n > BATCH_MAX)
		*n = BATCH_MAX;
	return 0;
}

/*
 * The older sendmsg_x() and recvmsg_x() refuse flags in a message, the newer
 * ones overwrite them: the stricter is played.
 */
static int check_each(const uint8_t *bytes, struct message *m)
{
	const int error = take_message(bytes, m);

	if (error)
		return error;
	if (m->named || m->control)
		die("a batch with names or control data: not known here");
	return m->flags ? XNU_EINVAL : 0;
}

/*
 * uipc_syscalls.c, recvmsg_x(): as many as are there, the first may be waited
 * for.  What was too long is cut, and no flag in its message says so.
 */
static int receive_batch(struct file *file, uint8_t *msgs, unsigned *n,
			 int flags)
{
	struct message m[BATCH_MAX] = { 0 };
	int error = 0, told = 0;
	unsigned i;

	for (i = 0; i < *n && !error; i++)
		error = check_each(msgs + (size_t)XNU_MSGHDR_X_SIZE * i, &m[i]);
	if (!error)
		error = may_receive(file, flags);
	if (error)
		return error;
	for (i = 0; i < *n && file->in.first; i++) {
		uint8_t *each = msgs + (size_t)XNU_MSGHDR_X_SIZE * i;
		struct packet *packet = NULL;

		put64(each + XNU_MSG_DATALEN,
		      receive(file, &m[i].data, &packet, &told));
		packet_free(packet);
	}
	*n = i;
	return 0;
}

long xnu_recvmsg_x(int fd, void *msgs, unsigned n, int flags)
{
	struct file *file = file_of(fd);
	int error;

	if (!begin("recvmsg_x", NULL, "%d, n %u, %#x", fd, n, (unsigned)flags))
		return end(xnu_errno, 0);
	error = check_batch(file, &n, flags);
	if (!error)
		error = receive_batch(file, msgs, &n, flags);
	return end(error, (long)n);
}

/*
 * sendmsg_x(), sendit_x(): those before a fault are sent, and their number is
 * the result if the fault is the length of one.
 */
static int send_batch(struct file *file, const uint8_t *msgs, unsigned *n)
{
	struct message m[BATCH_MAX] = { 0 };
	int error = 0;
	unsigned i;

	for (i = 0; i < *n && !error; i++)
		error = check_each(msgs + (size_t)XNU_MSGHDR_X_SIZE * i, &m[i]);
	if (error)
		return error;
	for (i = 0; i < *n; i++) {
		error = send_packet(file, gather(&m[i].data), 0);
		if (error)
			break;
	}
	*n = i;
	return i && error == XNU_EMSGSIZE ? 0 : error;
}

long xnu_sendmsg_x(int fd, const void *msgs, unsigned n, int flags)
{
	struct file *file = file_of(fd);
	int error;

	if (!begin("sendmsg_x", NULL, "%d, n %u, %#x", fd, n, (unsigned)flags))
		return end(xnu_errno, 0);
	error = check_batch(file, &n, flags);
	if (!error)
		error = send_batch(file, msgs, &n);
	return end(error, (long)n);
}
