/*
 * Three processes.  The worker asks NSS, has no rights and belongs to nobody
 * (uid 65534), as whatever NSS loads is not ours.  Whoever else runs as nobody
 * can stop or kill it, and what it loads can hang or crash; so the keeper, who
 * is there before the lock-down, makes another one then, and tells us.  The
 * keeper runs no code but what stands here and reads nothing; its user is the
 * daemon's, so that nobody without that one's rights can send it a signal.
 */
#include "resolver.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "limits.h"
#include "log.h"
#include "os.h"
#include "table.h"

#define NAME_MAX_BYTES	255	/* longer than any that there may be */
#define UNANSWERED	1	/* no -errno */
#define NO_NUMBER	0	/* the keeper says: it is another worker */
#define DEATHS_MAX	3	/* of workers that one name may cost */
#define RESPAWN_MS	100
#define STRAYS_MAX	64	/* answers to nothing, in one turn */

/* One at a time each way, each a packet. */
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
	unsigned deaths;
	uint32_t id;
	UT_hash_handle hh;
};

static struct {
	int fd;			/* -1: the keeper is gone, or never was */
	pid_t pid;		/* the keeper */
	uint32_t number;	/* of the query under way */
	int given_up;		/* -errno of all that has no answer, or 0 */
	struct name *asked;	/* whose that is, or NULL */
	struct name *names;
} resolver = { .fd = -1 };

/* --- the worker --------------------------------------------------------- */

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

/* A name that takes longer nobody waits for any more. */
static void answer_all(int fd)
{
	struct query q;

	signal(SIGALRM, SIG_DFL);
	while (recv(fd, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
		struct reply reply = { .number = q.number };

		q.name[NAME_MAX_BYTES] = '\0';
		alarm(LIMIT_NAMES_SECONDS);
		reply.error = look_up(q.group, q.name, &reply.id);
		alarm(0);
		if (sys_send(fd, &reply, sizeof(reply), 0) < 0)
			return;
	}
}

/* --- the keeper --------------------------------------------------------- */

/* Until it has ended.  How, it may have chosen itself: that tells nothing. */
static void await(pid_t worker)
{
	int status;

	for (;;) {
		if (waitpid(worker, &status, WUNTRACED) < 0) {
			if (errno != EINTR)
				return;
		} else if (WIFSTOPPED(status)) {
			kill(worker, SIGKILL);
		} else {
			return;
		}
	}
}

/*
 * Until the daemon ends it, or hears it no more: who has given root up cannot
 * end it.
 */
static void keep_a_worker(int fd)
{
	const struct reply another = { .number = NO_NUMBER };
	pid_t worker;

	for (;;) {
		worker = fork();
		if (worker == 0) {
			if (os_child(fd) == 0)
				answer_all(fd);
			_exit(0);
		}
		if (worker > 0)
			await(worker);
		/* Not as fast as somebody can kill them. */
		poll(NULL, 0, RESPAWN_MS);
		if (worker > 0 && sys_send(fd, &another, sizeof(another),
					   MSG_DONTWAIT) < 0 && errno != EAGAIN)
			return;
	}
}

/* --- the daemon --------------------------------------------------------- */

int resolver_start(void)
{
	const pid_t self = getpid();
	int fds[2], error = sys_pair(fds);

	if (error)
		return error;
	resolver.pid = fork();
	if (resolver.pid == 0) {
		if (os_keeper(fds[1], self) == 0)
			keep_a_worker(fds[1]);
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

static void reap(void)
{
	while (waitpid(resolver.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void resolver_stop(void)
{
	resolver_forget();
	if (resolver.fd < 0)
		return;
	close(resolver.fd);
	resolver.fd = -1;
	/* The worker may be at a name; it ends with the keeper. */
	if (kill(resolver.pid, SIGKILL) == 0)
		reap();
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
	if (known->error == UNANSWERED && resolver.given_up)
		known->error = resolver.given_up;
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

/* What has no answer gets none, nor does what is asked for from now on. */
void resolver_give_up(int error)
{
	struct name *name, *next;

	resolver.given_up = error;
	HASH_ITER(hh, resolver.names, name, next)
		if (name->error == UNANSWERED)
			name->error = error;
	resolver.asked = NULL;
}

/*
 * The keeper has ended: somebody with the daemon's rights ended it.  Or it is
 * there, and what took the worker over has shut their socket down: then it
 * goes too, and is not waited for as it is.
 */
static void lost(void)
{
	log_line(LOG_ERR, "the process that looks names up is gone; until "
		 "tuntapd is started again users and groups must be numbers "
		 "in the policy");
	close(resolver.fd);
	resolver.fd = -1;
	if (kill(resolver.pid, SIGKILL) == 0)
		reap();
	resolver_give_up(-ECHILD);
}

/* Never waits: where there is no room nobody has read for long. */
static void ask(struct name *name)
{
	struct query q;

	/* All of it is sent: no byte of it is what was here before. */
	memset(&q, 0, sizeof(q));
	q.group = name->key[0] == 'g';
	if (++resolver.number == NO_NUMBER)
		resolver.number++;
	q.number = resolver.number;
	snprintf(q.name, sizeof(q.name), "%s", name->key + 1);
	if (sys_send(resolver.fd, &q, sizeof(q), MSG_DONTWAIT) ==
	    (ssize_t)sizeof(q))
		resolver.asked = name;
	else if (errno == EPIPE || errno == ECONNRESET)
		lost();
	else
		resolver_give_up(-ETIMEDOUT);
}

/* Another worker is there: the name is asked for again, unless it kills. */
static void begin_again(void)
{
	struct name *name = resolver.asked;

	if (name && ++name->deaths == DEATHS_MAX)
		name->error = -EPIPE;
	resolver.asked = NULL;
}

/* What it may say: an id, or why there is none. */
static void take_answer(const struct reply *reply)
{
	struct name *name = resolver.asked;

	name->error = reply->error > 0 ? -EPROTO : reply->error;
	name->id = reply->id;
	resolver.asked = NULL;
}

/* True if there was something. */
static bool take(void)
{
	struct reply reply;
	ssize_t n;

	if (resolver.fd < 0)
		return false;
	n = recv(resolver.fd, &reply, sizeof(reply), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		lost();
	else if (n == (ssize_t)sizeof(reply) && reply.number == NO_NUMBER)
		begin_again();
	else if (n == (ssize_t)sizeof(reply) && resolver.asked &&
		 reply.number == resolver.number)
		take_answer(&reply);
	/* Others came too late, and belong to nothing. */
	return n > 0;
}

bool resolver_step(int timeout_ms)
{
	struct pollfd p = { .events = POLLIN };
	unsigned strays = 0;

	while (strays < STRAYS_MAX) {
		struct name *next = resolver.asked ? NULL : unanswered();

		if (resolver.fd < 0)
			resolver_give_up(-ECHILD);
		else if (next)
			ask(next);
		if (!next && !resolver.asked)
			break;
		if (!resolver.asked)
			continue;
		if (take()) {
			strays += resolver.asked != NULL;
			continue;
		}
		p.fd = resolver.fd;
		if (resolver.asked && poll(&p, 1, timeout_ms) <= 0)
			return false;
	}
	return !resolver_wants();
}

void resolver_idle(void)
{
	for (unsigned n = 0; n < STRAYS_MAX && take(); n++)
		;
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
	resolver.given_up = resolver.fd < 0 ? -ECHILD : 0;
}
