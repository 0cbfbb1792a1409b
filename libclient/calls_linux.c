#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int packet_begin(int fd)
{
	return os_set_blocking(fd, false);
}

void os_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int ms)
{
	struct timespec t;

	if (ms < 0)
		return -pthread_cond_wait(cond, mutex);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return -pthread_cond_timedwait(cond, mutex, &t);
}

int os_replace(int by, int fd)
{
	/* EBUSY: dup(2), a race with open(2) of the same number */
	while (dup3(by, fd, O_CLOEXEC) < 0)
		if (errno != EINTR && errno != EBUSY)
			return -errno;
	return 0;
}

const char *os_getenv(const char *name)
{
	return secure_getenv(name);
}

void os_name_thread(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
