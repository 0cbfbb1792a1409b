#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sys.h"

/* A control buffer for the most fds that any message carries. */
union control {
	struct cmsghdr align;
	uint8_t buf[CMSG_SPACE(WIRE_QUEUES_MAX * sizeof(int))];
};

static void drop_fds(struct frame_in *in)
{
	for (unsigned i = 0; i < in->n_fds; i++)
		close(in->fds[i]);
	free(in->fds);
	in->fds = NULL;
	in->n_fds = 0;
}

/* Takes over the fds of one control message, or closes them. */
static int keep_fds(struct frame_in *in, const struct msghdr *msg,
		    struct cmsghdr *c)
{
	const uint8_t *data = CMSG_DATA(c);
	const uint8_t *end = (uint8_t *)msg->msg_control + msg->msg_controllen;
	size_t len = c->cmsg_len - CMSG_LEN(0);
	unsigned n;
	int *all, fd;

	/* macOS leaves the length as sent when it cuts the data short. */
	if (len > (size_t)(end - data))
		len = (size_t)(end - data);
	n = (unsigned)(len / sizeof(int));
	if (n == 0)
		return 0;
	all = realloc(in->fds, (in->n_fds + n) * sizeof(int));
	for (unsigned i = 0; i < n; i++) {
		memcpy(&fd, data + i * sizeof(int), sizeof(fd));
		if (!all)
			close(fd);
		else
			all[in->n_fds + i] = fd;
	}
	if (!all)
		return -ENOMEM;
	in->fds = all;
	in->n_fds += n;
	return 0;
}

/* Takes what rode on the bytes just received, or closes all there is. */
static int take_control(struct frame_in *in, struct msghdr *msg, unsigned room)
{
	int error = 0, r;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			r = keep_fds(in, msg, c);
		else
			r = -EBADMSG;
		error = error ? error : r;
	}
	/* Cut short with room left: the kernel found no number for an fd. */
	if (!error && msg->msg_flags & MSG_CTRUNC)
		error = in->n_fds < room ? -EMFILE : -EBADMSG;
	if (error)
		drop_fds(in);
	return error;
}

static ssize_t receive_once(int sock, struct msghdr *msg, int flags)
{
	ssize_t got;

	do
		got = sys_recvmsg(sock, msg, flags);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Receives up to n bytes.  Their number, 0 at the end, or -errno. */
static ssize_t receive(struct frame_in *in, int sock, void *buf, size_t n,
		       unsigned max_fds)
{
	unsigned room = in->have == 0 ? max_fds : 0;
	union control control;
	struct iovec iov = { buf, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;
	int error;

	if (max_fds == 0) {
		/*
		 * Look first, then read no more than was seen: to receive an
		 * fd without room for it is to close it, and its maker may
		 * have seen to it that this takes for ever.
		 */
		got = receive_once(sock, &msg, MSG_PEEK);
		if (got <= 0)
			return got;
		if (msg.msg_flags & MSG_CTRUNC)
			return -EBADMSG;
		iov.iov_len = (size_t)got;
	}
	if (room > WIRE_QUEUES_MAX)
		room = WIRE_QUEUES_MAX;
	if (room > 0) {
		/*
		 * CMSG_LEN, not CMSG_SPACE: the padding that SPACE adds is
		 * room for one fd more.
		 */
		msg.msg_control = control.buf;
		msg.msg_controllen = (socklen_t)CMSG_LEN(room * sizeof(int));
	}
	got = receive_once(sock, &msg, 0);
	if (got < 0)
		return got;
	error = take_control(in, &msg, room);
	return error ? error : got;
}

/* After the header: may the body be read?  Makes room for it. */
static int accept_header(struct frame_in *in, enum wire_sender sender)
{
	const struct wire_row *row;
	int error = wire_header(in->head, &in->header);

	if (error)
		return error;
	row = wire_row(in->header.type);
	if (row->sender != sender)
		return -EPERM;
	if (in->n_fds > row->max_fds) {
		drop_fds(in);
		return -EBADMSG;
	}
	in->frame = malloc(in->header.length);
	if (!in->frame)
		return -ENOMEM;
	memcpy(in->frame, in->head, WIRE_HEADER_LEN);
	return 0;
}

static int receive_frame(struct frame_in *in, int sock,
			 enum wire_sender sender, unsigned max_fds)
{
	while (!in->frame || in->have < in->header.length) {
		bool head = in->have < WIRE_HEADER_LEN;
		uint8_t *base = head ? in->head : in->frame;
		size_t want = head ? WIRE_HEADER_LEN : in->header.length;
		ssize_t got = receive(in, sock, base + in->have,
				      want - in->have, max_fds);
		int error;

		if (got < 0)
			return (int)got;
		if (got == 0)
			return in->have ? -EPIPE : 0;
		in->have += (size_t)got;
		if (head && in->have == WIRE_HEADER_LEN) {
			error = accept_header(in, sender);
			if (error)
				return error;
		}
	}
	return 1;
}

int frame_receive(struct frame_in *in, int sock, enum wire_sender sender,
		  unsigned max_fds)
{
	int r;

	if (in->error)
		return in->error;
	r = receive_frame(in, sock, sender, max_fds);
	if (r < 0 && r != -EAGAIN)
		in->error = r;
	return r;
}

unsigned frame_take_fds(struct frame_in *in, int **ret_fds)
{
	unsigned n = in->n_fds;

	*ret_fds = in->fds;
	in->fds = NULL;
	in->n_fds = 0;
	return n;
}

void frame_in_reset(struct frame_in *in)
{
	drop_fds(in);
	free(in->frame);
	*in = FRAME_IN_INIT;
}

int frame_send(int sock, const uint8_t *buf, size_t len, size_t *off,
	       const int *fds, unsigned n_fds)
{
	union control control = { .buf = { 0 } };

	if (n_fds > WIRE_QUEUES_MAX)
		return -EINVAL;
	while (*off < len) {
		struct iovec iov = { (void *)(uintptr_t)(buf + *off),
				     len - *off };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t sent;

		if (*off == 0 && n_fds > 0) {
			struct cmsghdr *c = &control.align;

			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = (socklen_t)CMSG_LEN(n_fds * sizeof(int));
			memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
			msg.msg_control = control.buf;
			msg.msg_controllen = c->cmsg_len;
		}
		sent = sys_sendmsg(sock, &msg, 0);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		*off += (size_t)sent;
	}
	return 0;
}
