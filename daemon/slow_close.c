/*
 * Sockets that may end slowly go to the undertaker, many of a uid in a packet,
 * and are closed here: that is not the last close, as they are on their way.
 * Then a bell is rung.  At that the undertaker makes a child, which receives
 * them, says so, closes them, says so again and ends.  The undertaker receives
 * none itself, so that it never waits for the end of one.
 *
 * What lingers has ended when a signal comes, and all that is closed with it.
 * Other things, as a file of a FUSE file system, end when their maker likes,
 * and the others of the packet stay open until then, in that child.
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
#include <sys/time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../proto/sys.h"
#include "clock.h"
#include "limits.h"
#include "log.h"
#include "os.h"
#include "table.h"

#define BELL		STDIN_FILENO	/* the undertaker's */
#define OFFICE		STDIN_FILENO	/* its children's, to the daemon */
#define RETRY_MS	100	/* where there is no room, or no child */
#define LAST_RETRY_MS	10	/* when nothing else is waited for */

struct grave {
	int fd;
	struct grave *prev, *next;
};

/* Those of a uid. */
struct family {
	uid_t uid;
	struct grave *waiting;	/* here, open and unread; so many */
	unsigned n_waiting;
	unsigned n_away;	/* packets of theirs */
	struct family *prev, *next;
};

/* A packet that has gone, and whose sockets have not ended. */
struct burial {
	uint32_t number;	/* by which its child tells of it */
	struct family *family;
	unsigned n;
	struct burial *prev, *next;
};

static struct {
	int sock;		/* -1: the undertaker is gone, or never was */
	int bell;
	uint32_t last_number;
	struct registry *registry;
	struct family *families;
	struct burial *away;
	unsigned n_away;
	unsigned n_sockets;	/* in all of them */
	/*
	 * Sent, and not received: one at a time, since what is on its way the
	 * kernel counts as ours, and where that is too much we can send no
	 * descriptors to anybody.
	 */
	struct burial *sent;
	struct event *told, *again;
} dying = { .sock = -1 };

/* A number, and on it the sockets. */
struct packet {
	struct iovec iov;
	struct msghdr msg;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(LIMIT_DYING_TOGETHER * sizeof(int))];
	} control;
};

static void prepare(struct packet *p, uint32_t *number, unsigned n)
{
	memset(p, 0, sizeof(*p));
	p->iov = (struct iovec){ number, sizeof(*number) };
	p->msg.msg_iov = &p->iov;
	p->msg.msg_iovlen = 1;
	p->msg.msg_control = p->control.buf;
	p->msg.msg_controllen = CMSG_LEN(n * sizeof(int));
}

/* --- the undertaker ----------------------------------------------------- */

static void wake(int sig)
{
	(void)sig;
}

/*
 * A signal again and again: at one the close of what lingers is over, and the
 * kernel goes on to send it all the same.
 */
static void be_woken(void)
{
	static const struct timeval often = { 0, LIMIT_DYING_MS * 1000 };
	const struct itimerval timer = { often, often };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGALRM, wake);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void tell(const uint32_t *number)
{
	(void)sys_send(OFFICE, number, sizeof(*number), 0);
}

/* In a process of its own: it may be in the close for ever. */
static void bury(int sock)
{
	uint32_t number;
	struct packet p;

	if (dup2(sock, OFFICE) < 0)
		return;
	os_close_from(OFFICE + 1);
	prepare(&p, &number, LIMIT_DYING_TOGETHER);
	if (recvmsg(OFFICE, &p.msg, MSG_DONTWAIT) != (ssize_t)sizeof(number))
		return;
	tell(&number);
	be_woken();
	/* In one call, so that one signal is for all of them. */
	os_close_from(OFFICE + 1);
	tell(&number);
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
			bury(sock);
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
	int fds[2], bell[2], error = sys_pair(fds);
	pid_t pid;

	if (error)
		return error;
	error = sys_pipe(bell);
	if (error) {
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

static struct family *family_of(uid_t uid)
{
	struct family *f;

	DL_SEARCH_SCALAR(dying.families, f, uid, uid);
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->uid = uid;
	DL_APPEND(dying.families, f);
	return f;
}

static void forget_if_empty(struct family *f)
{
	if (f->n_waiting || f->n_away)
		return;
	DL_DELETE(dying.families, f);
	free(f);
}

static void buried(struct burial *b)
{
	DL_DELETE(dying.away, b);
	dying.n_away--;
	dying.n_sockets -= b->n;
	for (unsigned i = 0; i < b->n; i++)
		registry_disconnect(dying.registry, b->family->uid);
	b->family->n_away--;
	forget_if_empty(b->family);
	free(b);
}

/* Somebody with the daemon's rights ended it: what dies now stays with us. */
static void lost(void)
{
	log_line(LOG_ERR, "the process that closes connections with file "
		 "descriptors on them is gone; until tuntapd is started again "
		 "they are left open");
	event_del(dying.told);
	event_del(dying.again);
	hang_up();
	dying.sent = NULL;
	while (dying.away)
		buried(dying.away);
}

static int take_first(struct family *f)
{
	struct grave *g = f->waiting;
	int fd = g->fd;

	DL_DELETE(f->waiting, g);
	f->n_waiting--;
	free(g);
	return fd;
}

static unsigned next_packet(const struct family *f)
{
	return f->n_waiting < LIMIT_DYING_TOGETHER ? f->n_waiting :
						     LIMIT_DYING_TOGETHER;
}

/* The first of them, as one packet.  0 or -errno. */
static int send_some(struct family *f, uint32_t number)
{
	unsigned n = next_packet(f), i = 0;
	struct cmsghdr *c;
	struct grave *g;
	struct packet p;

	prepare(&p, &number, n);
	c = CMSG_FIRSTHDR(&p.msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	DL_FOREACH(f->waiting, g) {
		if (i == n)
			break;
		memcpy(CMSG_DATA(c) + i++ * sizeof(int), &g->fd, sizeof(int));
	}
	if (sys_sendmsg(dying.sock, &p.msg, MSG_DONTWAIT) < 0)
		return -errno;
	/* Before the bell, or a child could be faster, and these the last. */
	for (; n > 0 && f->waiting; n--)
		close(take_first(f));
	return 0;
}

static bool ring(void)
{
	return write(dying.bell, "", 1) == 1;
}

/* 0 or -errno. */
static int hand_over(struct family *f)
{
	struct burial *b = malloc(sizeof(*b));
	int error;

	if (!b)
		return -ENOMEM;
	*b = (struct burial){ .number = ++dying.last_number, .family = f,
			      .n = next_packet(f) };
	error = send_some(f, b->number);
	if (error) {
		free(b);
		return error;
	}
	DL_APPEND(dying.away, b);
	dying.n_away++;
	dying.n_sockets += b->n;
	f->n_away++;
	dying.sent = b;
	if (!ring())
		lost();
	return 0;
}

/*
 * Most of what a uid may have away is for full packets: else who has one slow
 * end in each would leave no way for the others.
 */
static bool may_go(const struct family *f)
{
	bool small = f->n_away < LIMIT_DYING_SMALL_UID;

	return f->n_away < LIMIT_DYING_UID &&
	       f->n_waiting >= (small ? 1 : LIMIT_DYING_TOGETHER);
}

/* One packet: the next one goes when it has been received. */
static void hand_over_some(void)
{
	const struct timeval soon = { 0, RETRY_MS * 1000 };
	struct family *f;

	if (dying.sock < 0 || dying.sent || dying.n_away == LIMIT_DYING)
		return;
	DL_FOREACH(dying.families, f)
		if (may_go(f))
			break;
	if (!f)
		return;
	/* The others before it comes again. */
	DL_DELETE(dying.families, f);
	DL_APPEND(dying.families, f);
	if (hand_over(f))
		event_add(dying.again, &soon);
}

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct burial *b;
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
	DL_SEARCH_SCALAR(dying.away, b, number, number);
	if (b && b == dying.sent)
		dying.sent = NULL;
	else if (b)
		buried(b);
	hand_over_some();
}

static void on_again(evutil_socket_t fd, short what, void *arg)
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
	dying.again = evtimer_new(server->base, on_again, NULL);
	return !dying.told || !dying.again || event_add(dying.told, NULL) ?
		-ENOMEM : 0;
}

unsigned slow_close_away(void)
{
	return dying.n_sockets;
}

static void give_to_undertaker(int fd, uid_t uid)
{
	struct family *f = family_of(uid);
	struct grave *g = f ? malloc(sizeof(*g)) : NULL;

	if (!g || registry_connect(dying.registry, uid)) {
		/* It cannot be remembered: left open, it hangs nobody. */
		free(g);
		if (f)
			forget_if_empty(f);
		return;
	}
	g->fd = fd;
	DL_APPEND(f->waiting, g);
	f->n_waiting++;
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

/* Those that wait, whosever they are. */
static void join_families(struct family *all)
{
	struct family *f, *next;

	DL_FOREACH_SAFE(dying.families, f, next) {
		DL_CONCAT(all->waiting, f->waiting);
		all->n_waiting += f->n_waiting;
		free(f);
	}
	dying.families = NULL;
}

/* Not for ever: what waits then ends with us. */
static void hand_over_all(struct family *all)
{
	int64_t end = now_ms() + LIMIT_LAST_CLOSES_MS;

	while (all->waiting && now_ms() < end) {
		if (send_some(all, 0))
			poll(NULL, 0, LAST_RETRY_MS);
		else if (!ring())
			return;
	}
}

static void forget_all(void)
{
	struct family all = { 0 };
	struct burial *b, *next;

	DL_FOREACH_SAFE(dying.away, b, next)
		free(b);
	dying.away = NULL;
	join_families(&all);
	if (dying.sock >= 0)
		hand_over_all(&all);
	while (all.waiting)
		(void)take_first(&all);
}

void slow_close_stop(void)
{
	forget_all();
	/* It ends when we do: what it waits for is not waited for. */
	hang_up();
	event_free(dying.told);
	event_free(dying.again);
}
