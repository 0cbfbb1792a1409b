#include "packet.h"

#include <errno.h>
#include <fcntl.h>

int os_dup(int fd)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (new >= 0)
		return new;
	/* EINVAL: even 0 is above the limit */
	return errno == EINVAL ? -EMFILE : -errno;
}

int os_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}
