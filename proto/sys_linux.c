#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sys_socket(int type, bool waits)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC |
			(waits ? 0 : SOCK_NONBLOCK), 0);

	return fd < 0 ? -errno : fd;
}

const char *sys_refused(void)
{
	return "nobody listens at";
}

int sys_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ?
	       -errno : 0;
}

int sys_pipe(int ret[2])
{
	return pipe2(ret, O_CLOEXEC) < 0 ? -errno : 0;
}

ssize_t sys_send(int sock, const void *buf, size_t len, int flags)
{
	return send(sock, buf, len, flags | MSG_NOSIGNAL);
}

ssize_t sys_sendmsg(int sock, const struct msghdr *msg, int flags)
{
	return sendmsg(sock, msg, flags | MSG_NOSIGNAL);
}

ssize_t sys_recvmsg(int sock, struct msghdr *msg, int flags)
{
	return recvmsg(sock, msg, flags | MSG_CMSG_CLOEXEC);
}

void *sys_reallocarray(void *old, size_t n, size_t size)
{
	return reallocarray(old, n, size);
}

void sys_wipe(void *secret, size_t n)
{
	explicit_bzero(secret, n);
}
