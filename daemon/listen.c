#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "../proto/sys.h"
#include "clock.h"
#include "conn.h"
#include "limits.h"
#include "log.h"
#include "os.h"
#include "passed.h"
#include "refuse.h"
#include "slow_close.h"

#define PUBLIC_MODE	0666
#define ADMIN_MODE	0600
#define PAUSE_MS	100		/* when there is no fd to accept with */

struct listener {
	struct server *server;
	int fd;
	bool admin, bytes_only;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];	/* ours, or "" */
	struct stat file;	/* what is there then */
	struct event *readable, *pause;
};

static int add(struct listeners *l, int fd, bool admin, const char *path)
{
	struct listener *li;

	if (l->n == LISTENERS_MAX)
		return -E2BIG;
	li = calloc(1, sizeof(*li));
	if (!li)
		return -ENOMEM;
	li->fd = fd;
	li->admin = admin;
	li->bytes_only = os_bytes_only(fd);
	snprintf(li->path, sizeof(li->path), "%s", path);
	l->all[l->n++] = li;
	return 0;
}

/* --- passed in ---------------------------------------------------------- */

static int check_passed(int fd)
{
	int type = 0, listening = 0;
	socklen_t len = sizeof(type);
	struct sockaddr_storage addr = { 0 };
	socklen_t addr_len = sizeof(addr);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &addr_len) < 0)
		return -errno;
	len = sizeof(listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return -errno;
	return type == SOCK_STREAM && listening && addr.ss_family == AF_UNIX ?
		0 : -EPROTOTYPE;
}

void listen_close_others(void)
{
	/* More than there can be is refused later. */
	passed_close_others(LISTENERS_MAX);
}

static int add_passed(struct listeners *l, const struct passed *p)
{
	int error = check_passed(p->fd);

	/* As long as ours: who waits behind thousands waits long. */
	if (!error && (fcntl(p->fd, F_SETFD, FD_CLOEXEC) < 0 ||
		       fcntl(p->fd, F_SETFL, O_NONBLOCK) < 0 ||
		       listen(p->fd, LIMIT_BACKLOG) < 0))
		error = -errno;
	return error ? error : add(l, p->fd, p->admin, "");
}

int listen_passed(struct listeners *l, struct wire_refused *why)
{
	struct passed passed[LISTENERS_MAX + 1];
	int n = passed_take(passed, LISTENERS_MAX + 1), error;

	if (n < 0)
		return refuse(why, WIRE_E_FAILED, "listen", "the sockets that "
			      "were to be passed are not there: %s",
			      strerror(-n));
	for (int i = 0; i < n; i++) {
		error = add_passed(l, &passed[i]);
		if (error)
			return refuse(why, WIRE_E_FAILED, "listen", "passed "
				      "socket %d is not one to listen on (a "
				      "listening Unix stream socket): %s",
				      passed[i].fd, strerror(-error));
	}
	return n;
}

/* --- made here ---------------------------------------------------------- */

/*
 * Somebody has it, or it is no socket at all: keep off.  Asked by a socket of
 * another type, as only that is told of what is there (EPROTOTYPE) and makes no
 * connection: one that has no room for more, or does not listen yet, may look as
 * if it were dead (macOS: unp_connect(), bsd/kern/uipc_usrreq.c).
 */
static bool is_served(const struct sockaddr_un *addr)
{
	int fd = sys_socket(SOCK_DGRAM, false);
	bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)addr,
				       sizeof(*addr)) < 0 &&
		    errno == ECONNREFUSED;
	struct stat st;

	if (fd >= 0)
		close(fd);
	return !dead || lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode);
}

static int bind_at(int fd, const struct sockaddr_un *addr, bool admin)
{
	/* bind(2) makes the file with all rights less the umask. */
	mode_t old = umask(ACCESSPERMS & ~(admin ? ADMIN_MODE : PUBLIC_MODE));
	int error = 0;

	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		error = -errno;
	if (error == -EADDRINUSE && !is_served(addr)) {
		error = 0;
		if (unlink(addr->sun_path) < 0 ||
		    bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
			error = -errno;
	}
	umask(old);
	return error;
}

int listen_at(struct listeners *l, const char *path, bool admin,
	      struct wire_refused *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(addr.sun_path))
		return refuse(why, WIRE_E_INVALID, "listen", "%s: a socket's "
			      "path has at most %zu bytes", path,
			      sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	fd = sys_socket(SOCK_STREAM, false);
	error = fd < 0 ? fd : bind_at(fd, &addr, admin);
	if (!error)
		os_bytes_only(fd);	/* before anybody connects */
	if (!error && listen(fd, LIMIT_BACKLOG) < 0)
		error = -errno;
	if (!error)
		error = add(l, fd, admin, path);
	if (!error)
		error = lstat(path, &l->all[l->n - 1]->file) < 0 ? -errno : 0;
	if (!error)
		return 0;
	if (fd >= 0)
		close(fd);
	if (error == -EACCES)
		return refuse(why, WIRE_E_FAILED, "listen", "%s: %s; uid %u, "
			      "whom the daemon runs as, must be able to write "
			      "to its folder: give it one of its own, "
			      "or choose another with --socket and "
			      "--admin-socket", path, strerror(-error),
			      (unsigned)geteuid());
	return refuse(why, refuse_kernel_code(-error), "listen",
		      error == -EADDRINUSE ? "%s: %s; does another tuntapd "
		      "run? (or remove the file)" : "%s: %s", path,
		      strerror(-error));
}

/* --- spare descriptors -------------------------------------------------- */

/*
 * Files of their own, good for nothing but to be closed: where no fd is left to
 * accept with, because of this process or of all, one of these makes room.
 */
static int spares[LIMIT_SPARE_FDS];
static unsigned n_spares;

/* True if all are there. */
static bool take_spares(void)
{
	while (n_spares < LIMIT_SPARE_FDS) {
		int fd = os_spare_fd();

		if (fd < 0)
			return false;
		spares[n_spares++] = fd;
	}
	return true;
}

static void close_spare(void)
{
	if (n_spares > 0)
		close(spares[--n_spares]);
}

/* --- accepting ---------------------------------------------------------- */

static bool is_out_of_fds(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

/*
 * Root's connections may use the spares up, others one, when all are there, and
 * only to be refused: so nobody's wait is without an end, and what does not
 * come back from them (see slow_close.h) leaves root the others.
 */
static int take_one(struct listener *li)
{
	bool fds_left = take_spares();
	int fd = fds_left || li->admin ? os_accept(li->fd) : -EMFILE;

	if (is_out_of_fds(fd) && (li->admin || fds_left)) {
		fds_left = false;
		close_spare();
		fd = os_accept(li->fd);
	}
	if (!li->admin)
		li->server->more_to_accept = fd != -EAGAIN;
	if (fd >= 0)
		conn_new(li->server, fd, li->admin, fds_left);
	take_spares();
	return fd < 0 ? fd : 0;
}

/* Not each time: it is tried again and again, and anybody can bring it about. */
static void say_full(int error)
{
	static int64_t next;
	int64_t now = now_ms();

	if (now < next)
		return;
	next = now + LIMIT_SAY_FULL_MS;
	log_line(LOG_WARNING, "cannot accept: %s; who connects waits until "
		 "others have closed (LimitNOFILE=, ulimit -n)",
		 strerror(-error));
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct timeval tv = { .tv_usec = PAUSE_MS * 1000 };
	struct listener *li = arg;
	int error = 0;

	(void)sock;
	(void)what;
	for (int i = 0; i < LIMIT_ACCEPTS_A_TURN && error != -EAGAIN; i++) {
		error = take_one(li);
		if (!is_out_of_fds(error) && error != -ENOMEM)
			continue;
		/* It stays readable: do not spin. */
		say_full(error);
		event_del(li->readable);
		event_add(li->pause, &tv);
		return;
	}
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct listener *li = arg;

	(void)fd;
	(void)what;
	event_add(li->readable, NULL);
}

int listen_start(struct listeners *l, struct server *server)
{
	if (!take_spares())
		log_line(LOG_WARNING, "too few files may be open to keep some "
			 "for root (LimitNOFILE=, ulimit -n)");
	for (unsigned i = 0; i < l->n; i++) {
		struct listener *li = l->all[i];

		li->server = server;
		li->readable = event_new(server->base, li->fd,
					 EV_READ | EV_PERSIST, on_readable, li);
		li->pause = evtimer_new(server->base, on_pause_over, li);
		if (!li->readable || !li->pause ||
		    event_add(li->readable, NULL))
			return -ENOMEM;
	}
	return 0;
}

/* Another may have been put in its place by now: that stays. */
static void remove_file(const struct listener *li)
{
	struct stat now;

	if (li->path[0] && lstat(li->path, &now) == 0 &&
	    now.st_dev == li->file.st_dev && now.st_ino == li->file.st_ino)
		unlink(li->path);
}

void listen_stop(struct listeners *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct listener *li = l->all[i];

		if (li->readable)
			event_free(li->readable);
		if (li->pause)
			event_free(li->pause);
		remove_file(li);
		/* With it ends who has not been accepted, and his fds. */
		if (li->bytes_only || !li->server)
			close(li->fd);
		else
			slow_close_listener(li->fd);
		free(li);
	}
	l->n = 0;
	while (n_spares > 0)
		close_spare();
}
