/*
 * One daemon in a network namespace: another would take the devices of this
 * one for what a daemon before it left, and delete them.
 *
 * The claim is an abstract Unix socket: such names belong to a network
 * namespace, and end with whoever has them, however he ends.  Any user can take
 * one; so who has it counts only if he is root, or who we are.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "os.h"
#include "refuse.h"

#define NAME		"tuntapd: one in each network namespace"
/* Who was told to end may be at it still. */
#define TRIES		10
#define TRY_MS		100

static int claim = -1;

static socklen_t address(struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path + 1, NAME, strlen(NAME));	/* behind a NUL */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(NAME));
}

/* 0, -EADDRINUSE, or -errno. */
static int take(void)
{
	struct sockaddr_un a;
	socklen_t len = address(&a);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = s < 0 ? -errno : 0;

	if (!error && (bind(s, (struct sockaddr *)&a, len) < 0 ||
		       listen(s, SOMAXCONN) < 0))
		error = -errno;
	if (!error)
		claim = s;
	else if (s >= 0)
		close(s);
	return error;
}

/* The pid of the daemon that has it; -1: it is no daemon, or cannot be known. */
static pid_t holder(void)
{
	struct ucred cred = { .pid = 0 };
	socklen_t size = sizeof(cred);
	struct sockaddr_un a;
	socklen_t len = address(&a);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pid_t pid = -1;

	if (s < 0)
		return -1;
	if (connect(s, (struct sockaddr *)&a, len) == 0 &&
	    getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 &&
	    (cred.uid == 0 || cred.uid == geteuid()))
		pid = cred.pid;
	close(s);
	return pid;
}

int os_claim(struct wire_refused *why)
{
	const struct timespec a_while = { .tv_nsec = TRY_MS * 1000000L };
	int error = take();
	pid_t pid;

	for (int i = 0; error == -EADDRINUSE && i < TRIES; i++) {
		nanosleep(&a_while, NULL);
		error = take();
	}
	if (!error)
		return 0;
	/* Once: nobody takes what connects, and so only so many can. */
	pid = error == -EADDRINUSE ? holder() : 0;
	if (pid > 0)
		return refuse(why, WIRE_E_FAILED, "start", "another tuntapd "
			      "runs in this network namespace (pid %d); there "
			      "can be one, as it cares for all devices that "
			      "are marked as tuntapd's", (int)pid);
	log_line(LOG_WARNING, "cannot say that this is the daemon of this "
		 "network namespace: %s; see that no second one is started",
		 error == -EADDRINUSE ? "some user's process has the name" :
		 strerror(-error));
	return 0;
}

void os_unclaim(void)
{
	if (claim >= 0)
		close(claim);
	claim = -1;
}
