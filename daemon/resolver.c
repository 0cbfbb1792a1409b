#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"
#include "table.h"

#define NAME_MAX_BYTES	255	/* longer than any that there may be */
#define UNANSWERED	1	/* no -errno */

/* One at a time each way, and smaller than what a socket cuts. */
struct query {
	uint32_t number;	/* the answer bears it too */
	bool group;
	char name[NAME_MAX_BYTES + 1];
};
struct reply {
	uint32_t number;
	int32_t error;		/* 0 or -errno */
	uint32_t id;
};

struct name {
	char key[NAME_MAX_BYTES + 2];	/* 'g' or 'u', and the name */
	int error;			/* 0, -errno or UNANSWERED */
	uint32_t id;
	UT_hash_handle hh;
};

static struct {
	int fd;
	pid_t pid;
	uint32_t number;	/* of the query under way */
	struct name *asked;	/* whose that is, or NULL */
	struct name *names;
} resolver = { .fd = -1 };

/* --- the child ---------------------------------------------------------- */

static int look_up(bool group, const char *name, uint32_t *ret)
{
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;

	errno = 0;
	if (group)
		gr = getgrnam(name);
	else
		pw = getpwnam(name);
	if (gr || pw) {
		*ret = gr ? gr->gr_gid : pw->pw_uid;
		return 0;
	}
	/* getpwnam(3): each of these may stand for "not found". */
	if (errno == 0 || errno == ESRCH || errno == EBADF || errno == EPERM)
		return -ENOENT;
	return -errno;
}

static void answer_all(int fd)
{
	struct query q;

	while (recv(fd, &q, sizeof(q), MSG_WAITALL) == (ssize_t)sizeof(q)) {
		struct reply reply = { .number = q.number };

		q.name[NAME_MAX_BYTES] = '\0';
		reply.error = look_up(q.group, q.name, &reply.id);
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			return;
	}
}

/* --- the parent --------------------------------------------------------- */

int resolver_start(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -errno;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	resolver.pid = fork();
	if (resolver.pid == 0) {
		if (os_child(fds[1]) == 0)
			answer_all(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	if (resolver.pid < 0) {
		close(fds[0]);
		return -errno;
	}
	resolver.fd = fds[0];
	return 0;
}

void resolver_stop(void)
{
	resolver_forget();
	if (resolver.fd < 0)
		return;
	close(resolver.fd);
	resolver.fd = -1;
	/* It may be in the middle of a name that takes its time. */
	kill(resolver.pid, SIGKILL);
	while (waitpid(resolver.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int resolver_fd(void)
{
	return resolver.fd;
}

int resolver_find(void *unused, bool group, const char *name, uint32_t *ret)
{
	char key[NAME_MAX_BYTES + 2];
	struct name *known;

	(void)unused;
	if (snprintf(key, sizeof(key), "%c%s", group ? 'g' : 'u', name) >=
	    (int)sizeof(key))
		return -ENOENT;
	HASH_FIND_STR(resolver.names, key, known);
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return -ENOMEM;
		memcpy(known->key, key, sizeof(key));
		known->error = UNANSWERED;
		HASH_ADD_STR(resolver.names, key, known);
	}
	*ret = known->id;
	return known->error == UNANSWERED ? 0 : known->error;
}

static struct name *unanswered(void)
{
	struct name *name, *next;

	HASH_ITER(hh, resolver.names, name, next)
		if (name->error == UNANSWERED)
			return name;
	return NULL;
}

bool resolver_wants(void)
{
	return unanswered() != NULL;
}

/* The child is gone, for whatever reason. */
static void all_fail(int error)
{
	struct name *name, *next;

	HASH_ITER(hh, resolver.names, name, next)
		if (name->error == UNANSWERED)
			name->error = error;
	resolver.asked = NULL;
}

static void ask(struct name *name)
{
	struct query q = { .number = ++resolver.number,
			   .group = name->key[0] == 'g' };

	memcpy(q.name, name->key + 1, sizeof(q.name));
	if (send(resolver.fd, &q, sizeof(q), MSG_NOSIGNAL) < 0)
		all_fail(-ECONNRESET);
	else
		resolver.asked = name;
}

/* True if there was something to take. */
static bool take(void)
{
	struct reply reply;
	ssize_t n = recv(resolver.fd, &reply, sizeof(reply), MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR;
	if (n != (ssize_t)sizeof(reply)) {
		all_fail(-ECONNRESET);
		return false;
	}
	/* One that came too late belongs to nothing. */
	if (resolver.asked && reply.number == resolver.number) {
		resolver.asked->error = reply.error;
		resolver.asked->id = reply.id;
		resolver.asked = NULL;
	}
	return true;
}

bool resolver_step(int timeout_ms)
{
	struct pollfd p = { resolver.fd, POLLIN, 0 };

	for (;;) {
		struct name *next = resolver.asked ? NULL : unanswered();

		if (next)
			ask(next);
		else if (!resolver.asked)
			return true;
		else if (!take() && resolver.asked &&
			 poll(&p, 1, timeout_ms) == 0)
			return false;
	}
}

void resolver_give_up(void)
{
	all_fail(-ETIMEDOUT);
}

void resolver_forget(void)
{
	struct name *name = resolver.names, *next;

	HASH_CLEAR(hh, resolver.names);
	for (; name; name = next) {
		next = name->hh.next;
		free(name);
	}
	resolver.asked = NULL;
}
