#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int packet_begin(int fd)
{
	int on = 1;

	/* Else who writes to a device that is gone is ended by SIGPIPE. */
	if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) < 0)
		return -errno;
	return os_set_blocking(fd, false);
}

/* Relative times are of a clock that nobody sets. */
void os_cond_init(pthread_cond_t *cond)
{
	pthread_cond_init(cond, NULL);
}

int os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int ms)
{
	const struct timespec t = { .tv_sec = ms / 1000,
				    .tv_nsec = ms % 1000 * 1000000L };

	if (ms < 0)
		return -pthread_cond_wait(cond, mutex);
	return -pthread_cond_timedwait_relative_np(cond, mutex, &t);
}

/* There is no dup3(2): a fork(2) in between has one fd more over its exec. */
int os_replace(int by, int fd)
{
	while (dup2(by, fd) < 0)
		if (errno != EINTR)
			return -errno;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

const char *os_getenv(const char *name)
{
	return issetugid() ? NULL : getenv(name);
}

void os_name_thread(const char *name)
{
	pthread_setname_np(name);
}
