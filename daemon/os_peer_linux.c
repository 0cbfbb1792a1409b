/* Sockets of clients: who is there, what may come by them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "fault.h"
#include "limits.h"
#include "os.h"
#include "os_linux.h"

int os_peer(int sock, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t *groups = NULL, *more;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* SO_PEERGROUPS says ERANGE and the length it wants. */
	len = 0;
	while (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
		if (errno != ERANGE || len > LIMIT_GROUPS * sizeof(gid_t)) {
			free(groups);
			return -errno;
		}
		more = realloc(groups, len);
		if (!more) {
			free(groups);
			return -ENOMEM;
		}
		groups = more;
	}
	*ret = (struct peer){ .uid = cred.uid, .gid = cred.gid,
			      .pid = cred.pid, .groups = groups,
			      .n_groups = len / sizeof(*groups) };
	return 0;
}

bool os_bytes_only(int sock)
{
	int passes = 1, off = 0, on = 1;
	socklen_t len = sizeof(passes);

	if (!fault_old_kernel()) {
		/* As it was until now: what is queued came then. */
		(void)getsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &passes,
				 &len);
		(void)setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &off,
				 sizeof(off));
	}
	/* Who passes us a socket may have set it: each read would tell ids. */
	(void)setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	/*
	 * Else a read drops an out-of-band byte, and the fds on it, that a look
	 * before it does not see; and where there is nothing else the socket is
	 * readable for ever.
	 */
	(void)setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	return !passes;
}

int os_accept(int sock)
{
	int fd = accept4(sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool os_all_received(int sock)
{
	int unread = 0;

	return ioctl(sock, SIOCOUTQ, &unread) < 0 || unread == 0;
}
