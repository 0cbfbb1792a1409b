#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* macOS has neither; there the fds and the socket are marked by fcntl. */
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* A control buffer for the most fds that any message carries. */
union control {
	struct cmsghdr align;
	uint8_t buf[CMSG_SPACE(WIRE_QUEUES_MAX * sizeof(int))];
};

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* Takes what rode on the bytes just received.  0, -EBADMSG or -ENOMEM. */
static int take_control(struct frame_in *in, struct msghdr *msg,
			unsigned max_fds)
{
	int error = msg->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		int fds[WIRE_QUEUES_MAX + 1], *all;
		unsigned n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			error = -EBADMSG;
			continue;
		}
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		if (error || in->n_fds + n > max_fds) {
			close_all(fds, n);
			error = error ? error : -EBADMSG;
			continue;
		}
		all = realloc(in->fds, (in->n_fds + n) * sizeof(int));
		if (!all) {
			close_all(fds, n);
			error = -ENOMEM;
			continue;
		}
		memcpy(all + in->n_fds, fds, n * sizeof(int));
		in->fds = all;
		in->n_fds += n;
	}
	return error;
}

/* Receives up to n bytes.  Their number, 0 at the end, or -errno. */
static ssize_t receive(struct frame_in *in, int sock, void *buf, size_t n,
		       unsigned max_fds)
{
	union control control;
	struct iovec iov = { buf, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;
	int error;

	if (max_fds > WIRE_QUEUES_MAX)
		max_fds = WIRE_QUEUES_MAX;
	if (max_fds > 0) {
		/*
		 * CMSG_LEN, not CMSG_SPACE: the padding that SPACE adds is
		 * room for one fd more.
		 */
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_LEN(max_fds * sizeof(int));
	}
	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	error = take_control(in, &msg, max_fds);
	return error ? error : got;
}

/* After the header: may the body be read?  Makes room for it. */
static int accept_header(struct frame_in *in, enum wire_sender sender)
{
	int error = wire_header(in->head, &in->header);

	if (error)
		return error;
	if (wire_row(in->header.type)->sender != sender)
		return -EPERM;
	in->frame = malloc(in->header.length);
	if (!in->frame)
		return -ENOMEM;
	memcpy(in->frame, in->head, WIRE_HEADER_LEN);
	return 0;
}

int frame_receive(struct frame_in *in, int sock, enum wire_sender sender,
		  unsigned max_fds)
{
	while (!in->frame || in->have < in->header.length) {
		bool head = in->have < WIRE_HEADER_LEN;
		uint8_t *base = head ? in->head : in->frame;
		size_t want = head ? WIRE_HEADER_LEN : in->header.length;
		ssize_t got = receive(in, sock, base + in->have,
				      want - in->have, max_fds - in->n_fds);
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
	close_all(in->fds, in->n_fds);
	free(in->fds);
	free(in->frame);
	*in = FRAME_IN_INIT;
}

int frame_send(int sock, const uint8_t *buf, size_t len, size_t *off,
	       const int *fds, unsigned n_fds)
{
	union control control = { .buf = { 0 } };

	while (*off < len) {
		struct iovec iov = { (void *)(uintptr_t)(buf + *off), len - *off };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t sent;

		if (*off == 0 && n_fds > 0) {
			struct cmsghdr *c = &control.align;

			if (n_fds > WIRE_QUEUES_MAX)
				return -EINVAL;
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
			memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
			msg.msg_control = control.buf;
			msg.msg_controllen = CMSG_LEN(n_fds * sizeof(int));
		}
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		*off += (size_t)sent;
	}
	return 0;
}
