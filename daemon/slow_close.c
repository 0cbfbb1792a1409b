/*
 * Each socket is sent to the undertaker, and closed here: that is not the last
 * close, as it is on its way.  Then a bell is rung.  At that the undertaker
 * makes a child, which receives the socket, closes it, says so and ends.  The
 * undertaker receives none itself, so that it never waits for the end of one.
 */
#include "slow_close.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "clock.h"
#include "limits.h"
#include "log.h"
#include "os.h"
#include "table.h"

#define BELL		STDIN_FILENO	/* the undertaker's */
#define RETRY_MS	100	/* where there is no room for a child */

struct grave {
	int fd;			/* -1: the undertaker has it */
	uid_t uid;
	uint32_t number;	/* by which the undertaker tells of its end */
	struct grave *prev, *next;
};

static struct {
	int sock;		/* -1: the undertaker is gone, or never was */
	int bell;
	uint32_t last_number;
	struct registry *registry;
	struct grave *waiting;	/* here, open and unread */
	struct grave *away;	/* with the undertaker; n_away of them */
	unsigned n_away;
	struct event *told, *room;
} dying = { .sock = -1 };

/* A packet with a number, and on it a socket that dies. */
struct packet {
	struct iovec iov;
	struct msghdr msg;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
};

static void prepare(struct packet *p, uint32_t *number)
{
	memset(p, 0, sizeof(*p));
	p->iov = (struct iovec){ number, sizeof(*number) };
	p->msg.msg_iov = &p->iov;
	p->msg.msg_iovlen = 1;
	p->msg.msg_control = p->control.buf;
	p->msg.msg_controllen = CMSG_LEN(sizeof(int));
}

/* --- the undertaker ----------------------------------------------------- */

/* In a process of its own: it may be in the close for ever. */
static void bury_one(int sock)
{
	const struct cmsghdr *c;
	uint32_t number;
	struct packet p;
	int fd;

	close(BELL);
	prepare(&p, &number);
	if (recvmsg(sock, &p.msg, MSG_DONTWAIT) != (ssize_t)sizeof(number))
		return;
	c = CMSG_FIRSTHDR(&p.msg);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		close(fd);
	}
	send(sock, &number, sizeof(number), MSG_NOSIGNAL);
}

static pid_t fork_surely(void)
{
	pid_t pid;

	while ((pid = fork()) < 0)
		poll(NULL, 0, RETRY_MS);
	return pid;
}

/* Until the daemon ends it. */
static void bury_all(int sock)
{
	const pid_t self = getpid();
	char byte;

	signal(SIGCHLD, SIG_IGN);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	while (read(BELL, &byte, 1) == 1) {
		if (fork_surely() > 0)
			continue;
		if (os_end_with(self) == 0)
			bury_one(sock);
		_exit(0);
	}
}

/* --- the daemon --------------------------------------------------------- */

static void close_both(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void become_undertaker(int sock, int bell, pid_t daemon)
{
	if (dup2(bell, BELL) == BELL && os_undertaker(sock, daemon) == 0)
		bury_all(sock);
	_exit(0);
}

int slow_close_start(void)
{
	const pid_t self = getpid();
	int fds[2], bell[2], error;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	if (pipe2(bell, O_CLOEXEC) < 0) {
		error = -errno;
		close_both(fds);
		return error;
	}
	pid = fork();
	error = pid < 0 ? -errno : 0;
	if (pid == 0)
		become_undertaker(fds[1], bell[0], self);
	if (error) {
		close_both(fds);
		close_both(bell);
		return error;
	}
	close(fds[1]);
	close(bell[0]);
	dying.sock = fds[0];
	dying.bell = bell[1];
	fcntl(dying.bell, F_SETFL, O_NONBLOCK);
	return 0;
}

static void hang_up(void)
{
	if (dying.sock < 0)
		return;
	close(dying.sock);
	close(dying.bell);
	dying.sock = -1;
}

static void buried(struct grave *g)
{
	DL_DELETE(dying.away, g);
	dying.n_away--;
	registry_disconnect(dying.registry, g->uid);
	free(g);
}

/* Somebody with the daemon's rights ended it: what dies now stays with us. */
static void lost(void)
{
	log_line(LOG_ERR, "the process that closes connections with file "
		 "descriptors on them is gone; until tuntapd is started again "
		 "they are left open");
	event_del(dying.told);
	event_del(dying.room);
	hang_up();
	while (dying.away)
		buried(dying.away);
}

static unsigned away_of(uid_t uid)
{
	struct grave *g;
	unsigned n = 0;

	DL_FOREACH(dying.away, g)
		n += g->uid == uid;
	return n;
}

/* 0 or -errno. */
static int hand_over(struct grave *g)
{
	struct cmsghdr *c;
	struct packet p;

	prepare(&p, &g->number);
	c = CMSG_FIRSTHDR(&p.msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &g->fd, sizeof(int));
	if (sendmsg(dying.sock, &p.msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	/* Before the bell, or a child could be faster, and this the last one. */
	close(g->fd);
	g->fd = -1;
	DL_DELETE(dying.waiting, g);
	DL_APPEND(dying.away, g);
	dying.n_away++;
	if (write(dying.bell, "", 1) != 1)
		lost();
	return 0;
}

static bool may_go(const struct grave *g)
{
	return dying.sock >= 0 && dying.n_away < LIMIT_DYING &&
	       away_of(g->uid) < LIMIT_DYING_UID;
}

/* As many as may go; later again where there is no room for now. */
static void hand_over_some(void)
{
	struct grave *g, *next;

	DL_FOREACH_SAFE(dying.waiting, g, next) {
		if (!may_go(g) || hand_over(g) != -EAGAIN)
			continue;
		event_add(dying.room, NULL);
		return;
	}
}

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct grave *g;
	uint32_t number;
	ssize_t n = recv(fd, &number, sizeof(number), MSG_DONTWAIT);

	(void)what;
	(void)arg;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		lost();
		return;
	}
	if (n != (ssize_t)sizeof(number))
		return;
	DL_SEARCH_SCALAR(dying.away, g, number, number);
	if (g)
		buried(g);
	hand_over_some();
}

static void on_room(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	hand_over_some();
}

int slow_close_serve(struct server *server)
{
	dying.registry = &server->registry;
	dying.told = event_new(server->base, dying.sock, EV_READ | EV_PERSIST,
			       on_told, NULL);
	dying.room = event_new(server->base, dying.sock, EV_WRITE, on_room,
			       NULL);
	return !dying.told || !dying.room || event_add(dying.told, NULL) ?
		-ENOMEM : 0;
}

static void give_to_undertaker(int fd, uid_t uid)
{
	struct grave *g = malloc(sizeof(*g));

	if (!g || registry_connect(dying.registry, uid)) {
		/* It cannot be remembered: left open, it hangs nobody. */
		free(g);
		return;
	}
	*g = (struct grave){ .fd = fd, .uid = uid,
			     .number = ++dying.last_number };
	DL_APPEND(dying.waiting, g);
	hand_over_some();
}

void slow_close(int fd, bool bytes_only, uid_t uid)
{
	int unread = 0;

	if (bytes_only) {
		close(fd);
		return;
	}
	/* Nothing is added from now on, and who was here hears of the end. */
	shutdown(fd, SHUT_RDWR);
	/* No descriptor comes without a byte. */
	if (ioctl(fd, FIONREAD, &unread) == 0 && unread == 0)
		close(fd);
	else
		give_to_undertaker(fd, uid);
}

void slow_close_listener(int fd)
{
	/* Others may have it too, and listen on. */
	give_to_undertaker(fd, geteuid());
}

/* Those that wait, whosever they are.  Not for ever: then they end with us. */
static void hand_over_all(void)
{
	struct pollfd p = { .fd = dying.sock, .events = POLLOUT };
	int64_t end = now_ms() + LIMIT_LAST_CLOSES_MS;
	struct grave *g, *next;

	DL_FOREACH_SAFE(dying.waiting, g, next)
		while (hand_over(g) == -EAGAIN && now_ms() < end)
			poll(&p, 1, RETRY_MS);
}

static void free_all(struct grave *graves)
{
	struct grave *g, *next;

	DL_FOREACH_SAFE(graves, g, next)
		free(g);
}

void slow_close_stop(void)
{
	if (dying.sock >= 0)
		hand_over_all();
	/* It ends when we do: what it waits for is not waited for. */
	hang_up();
	free_all(dying.waiting);
	free_all(dying.away);
	dying.waiting = dying.away = NULL;
	event_free(dying.told);
	event_free(dying.room);
}
