#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../proto/sys.h"

#define SECOND_USEC	1000000ULL
#define PATIENCE_S	1	/* for a manager that does not read */
#define RELOADING	"RELOADING=1\nMONOTONIC_USEC="

static struct {
	int fd;			/* connected to the manager, or -1 */
	struct event *watchdog;	/* or NULL */
} notify = { .fd = -1 };

static void tell(const char *text, int flags)
{
	if (notify.fd < 0)
		return;
	/* Lost where the manager reads nothing: devices are worth more. */
	if (sys_send(notify.fd, text, strlen(text), flags) < 0)
		return;
}

static int connect_to(const char *path)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, error = 0;

	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(a.sun_path))
		return -EINVAL;
	memcpy(a.sun_path, path, len);
	/* An abstract name begins with a NUL, and ends where it ends. */
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	else
		len++;
	fd = sys_socket(SOCK_DGRAM, true);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&a,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				len)) < 0)
		error = -errno;
	if (error)
		close(fd);
	else
		notify.fd = fd;
	return error;
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	/* The next one comes soon. */
	tell("WATCHDOG=1", MSG_DONTWAIT);
}

/* How often the manager wants to hear of this process, or 0. */
static unsigned long long watchdog_usec(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10);
}

static int start_watchdog(struct event_base *base, unsigned long long usec)
{
	/* Twice as often: one may be late. */
	unsigned long long least = NOTIFY_WATCHDOG_MS * 1000ULL;
	unsigned long long every = usec / 2 < least ? least : usec / 2;
	const struct timeval tv = {
		.tv_sec = (time_t)(every / SECOND_USEC),
		.tv_usec = (suseconds_t)(every % SECOND_USEC),
	};

	notify.watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	return notify.watchdog && event_add(notify.watchdog, &tv) == 0 ?
		0 : -ENOMEM;
}

int notify_start(struct event_base *base)
{
	const char *value = getenv("NOTIFY_SOCKET");
	const char *path = value && *value ? value : NULL;
	unsigned long long usec = watchdog_usec();
	int error = path ? connect_to(path) : 0;

	if (!error && notify.fd >= 0 && usec)
		error = start_watchdog(base, usec);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return error;
}

void notify_stop(void)
{
	if (notify.watchdog)
		event_free(notify.watchdog);
	if (notify.fd >= 0)
		close(notify.fd);
	notify.watchdog = NULL;
	notify.fd = -1;
}

void notify_ready(void)
{
	tell("READY=1", 0);
}

void notify_reloading(void)
{
	char text[sizeof(RELOADING) + 20];	/* and a number of 64 bits */
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), RELOADING "%llu",
		 (unsigned long long)t.tv_sec * SECOND_USEC +
		 (unsigned long long)t.tv_nsec / 1000);
	tell(text, 0);
}

void notify_stopping(void)
{
	tell("STOPPING=1", 0);
}
