/*
 * macOS has no flags for these: between two calls here a fork(2) may come, and
 * what it executes has the fd.  A lock in pthread_atfork(3) would be no end to
 * that: posix_spawn(2), by which system(3) and most programs do it, asks for
 * none, and where recvmsg(2) waits none can be held.
 */
#define __STDC_WANT_LIB_EXT1__ 1	/* memset_s(3) */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int prepare(int fd, bool waits)
{
	const int on = 1;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    (!waits && fcntl(fd, F_SETFL, O_NONBLOCK) < 0) ||
	    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int close_both(int fds[2], int error)
{
	close(fds[0]);
	close(fds[1]);
	return error;
}

int sys_socket(int type, bool waits)
{
	int fd = socket(AF_UNIX, type, 0), error;

	if (fd < 0)
		return -errno;
	error = prepare(fd, waits);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* The same error: unp_connect(), bsd/kern/uipc_usrreq.c. */
const char *sys_refused(void)
{
	return "nobody listens, or more wait already than it has room for, at";
}

/*
 * There is no SOCK_SEQPACKET, and of datagrams nobody hears that the other end
 * is gone.  In a stream records of one length stay records.
 */
int sys_pair(int ret[2])
{
	int fds[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -errno;
	error = prepare(fds[0], true);
	if (!error)
		error = prepare(fds[1], true);
	if (error)
		return close_both(fds, error);
	memcpy(ret, fds, sizeof(fds));
	return 0;
}

int sys_pipe(int ret[2])
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	if (fcntl(fds[0], F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fds[1], F_SETFD, FD_CLOEXEC) < 0)
		return close_both(fds, -errno);
	memcpy(ret, fds, sizeof(fds));
	return 0;
}

ssize_t sys_send(int sock, const void *buf, size_t len, int flags)
{
	return send(sock, buf, len, flags);
}

ssize_t sys_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	return sendmsg(sock, msg, flags);
}

static void close_on_exec(const struct msghdr *msg, struct cmsghdr *c)
{
	const uint8_t *data = CMSG_DATA(c);
	const uint8_t *end = (uint8_t *)msg->msg_control + msg->msg_controllen;
	size_t len = c->cmsg_len - CMSG_LEN(0);
	int fd;

	/* The length is as sent where the kernel cuts the data short. */
	if (len > (size_t)(end - data))
		len = (size_t)(end - data);
	for (size_t at = 0; at + sizeof(fd) <= len; at += sizeof(fd)) {
		memcpy(&fd, data + at, sizeof(fd));
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

/*
 * Who has no place for control data is not told of it here, and fds come all
 * the same: open, and of numbers that nobody knows (recvit(), bsd/kern/
 * uipc_syscalls.c; soreceive_ctl(), bsd/kern/uipc_socket.c).  So a look has one
 * that is too small for an fd: MSG_CTRUNC.
 */
static ssize_t look(int sock, struct msghdr *msg, int flags)
{
	struct cmsghdr some;
	ssize_t n;

	msg->msg_control = &some;
	msg->msg_controllen = sizeof(some);
	n = recvmsg(sock, msg, flags);
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	return n;
}

ssize_t sys_recvmsg(int sock, struct msghdr *msg, int flags)
{
	ssize_t n;
	int error;

	if (flags & MSG_PEEK && !msg->msg_control)
		return look(sock, msg, flags);
	n = recvmsg(sock, msg, flags);
	error = errno;
	if (n < 0 || flags & MSG_PEEK)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			close_on_exec(msg, c);
	errno = error;
	return n;
}

void *sys_reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}

void sys_wipe(void *secret, size_t n)
{
	memset_s(secret, n, 0, n);
}
