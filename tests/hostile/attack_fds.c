/*
 * Descriptors whose end takes long, sent to the daemon: where the kernel lets
 * them through, they end with the daemon's end of the connection.
 */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../live/fuse.h"

#define LINGER_SECONDS	60
#define EARLY		32	/* connections of a process before the daemon */
#define FDS_EACH	4
#define FILL		65536

/* --- a TCP connection that lingers -------------------------------------- */

static struct sockaddr_in listening;

static int tcp_listener(void)
{
	socklen_t len = sizeof(listening);
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	listening.sin_family = AF_INET;
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(sock, (void *)&listening, len) < 0 ||
	    listen(sock, SOMAXCONN) < 0 ||
	    getsockname(sock, (void *)&listening, &len) < 0)
		return -errno;
	return 0;
}

/* Its peer reads nothing of what is in it. */
static int tcp_that_lingers(void)
{
	static char fill[FILL];
	struct linger linger = { 1, LINGER_SECONDS };
	const int small = FILL;
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (connect(sock, (void *)&listening, sizeof(listening)) < 0) {
		close(sock);
		return -1;
	}
	setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	while (send(sock, fill, sizeof(fill), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	return sock;
}

static void tcp_end(int fd)
{
	close(fd);
}

/* --- a file that does not end ------------------------------------------- */

static int start_fuse(void)
{
	return fuse_start(shared->test);
}

/* --- sending them ------------------------------------------------------- */

struct slow {
	int (*start)(void);
	int (*make)(void);
	/* Closes what another has as well, so that its end is his. */
	void (*end)(int fd);
};

static const struct slow lingering = {
	tcp_listener, tcp_that_lingers, tcp_end,
};
static const struct slow withheld = { start_fuse, fuse_file, fuse_end };

static void send_one(struct attacker *me, const struct slow *slow, int sock)
{
	static int fd = -1;

	if (fd < 0)
		fd = slow->make();
	if (fd < 0) {
		managed(me, "not made");
		return;
	}
	/* It is as good for the next try. */
	if (send_fds(sock, &fd, 1)) {
		managed(me, "not sent");
		return;
	}
	managed(me, "sent");
	slow->end(fd);
	fd = -1;
}

static void send_slow(struct attacker *me, const struct slow *slow,
		      unsigned early)
{
	int error = slow->start();

	if (error) {
		me->cannot = true;
		fprintf(stderr, "attacker: %s\n", strerror(-error));
	}
	for (unsigned i = 0; !error && i < early; i++) {
		int sock = connected(me);

		for (int j = 0; sock >= 0 && j < FDS_EACH; j++)
			send_one(me, slow, sock);
	}
	me->ready = true;
	while (!error && goes_on()) {
		int sock = connected(me);

		if (sock < 0)
			continue;
		send_one(me, slow, sock);
		close(sock);
	}
}

static void lingering_tcp(struct attacker *me)
{
	send_slow(me, &lingering, 0);
}

static void lingering_tcp_early(struct attacker *me)
{
	send_slow(me, &lingering, EARLY);
}

static void fuse_file_sent(struct attacker *me)
{
	send_slow(me, &withheld, 0);
}

static void fuse_file_early(struct attacker *me)
{
	send_slow(me, &withheld, EARLY);
}

const struct attack fd_attacks[] = {
	{ "lingering_tcp", 2, 2, lingering_tcp, false },
	{ "lingering_tcp_early", 2, 2, lingering_tcp_early, true },
	{ "fuse_file", 2, 2, fuse_file_sent, false },
	{ "fuse_file_early", 2, 2, fuse_file_early, true },
	{ .name = NULL },
};
