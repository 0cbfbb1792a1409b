/* A process that attacks, and what many attacks do alike. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../proto/frame.h"
#include "../live/fuse.h"

#define PAUSE_MS	10	/* after a failure */
#define NETWORKS	16	/* of each attacker */
#define FLOOD_CONNECTIONS 8
#define FLOOD_POLL_MS	100
#define TRASH		65536
#define READY_MS	3000	/* for who begins before the daemon */
#define LAST_MS		500	/* to end by itself */

static pid_t pids[ATTACKERS_MAX];

double clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void become(uid_t uid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (uid == 0)
		return;
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL)) {
		perror("become");
		_exit(126);
	}
}

bool goes_on(void)
{
	return !atomic_load(&shared->stop);
}

/* --- what they managed -------------------------------------------------- */

void managed_many(struct attacker *me, const char *what, unsigned long n)
{
	for (unsigned i = 0; i < TALLIES_MAX; i++) {
		struct tally *t = &me->tallies[i];

		if (!t->what[0])
			snprintf(t->what, sizeof(t->what), "%s", what);
		if (strcmp(t->what, what) == 0) {
			atomic_fetch_add(&t->n, n);
			return;
		}
	}
}

void managed(struct attacker *me, const char *what)
{
	managed_many(me, what, 1);
}

void add_tallies(struct tally *sum, const struct tally *more)
{
	for (unsigned i = 0; i < TALLIES_MAX && more[i].what[0]; i++)
		for (unsigned j = 0; j < TALLIES_MAX; j++) {
			if (!sum[j].what[0])
				memcpy(sum[j].what, more[i].what, WHAT_MAX);
			if (strcmp(sum[j].what, more[i].what) == 0) {
				sum[j].n += more[i].n;
				break;
			}
		}
}

/* --- starting and stopping ---------------------------------------------- */

static void attack(const struct attack *a, struct attacker *me, int niceness)
{
	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	setpriority(PRIO_PROCESS, 0, niceness);
	fuse_prepare();
	become(me->uid);
	a->act(me);
	_exit(0);
}

static bool all_are_ready(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (!shared->attackers[i].ready)
			return false;
	return true;
}

unsigned attack_start(const struct attack *a, unsigned running, int niceness)
{
	unsigned first = running;

	for (unsigned i = 0; i < a->processes; i++, running++) {
		struct attacker *me = &shared->attackers[running];

		ck_assert_uint_lt(running, ATTACKERS_MAX);
		me->n = i;
		me->uid = ATTACKER_UID + i % a->uids;
		fflush(stdout);
		pids[running] = fork();
		ck_assert_int_ge(pids[running], 0);
		if (pids[running] == 0)
			attack(a, me, niceness);
	}
	for (unsigned ms = 0; a->early && ms < READY_MS &&
	     !all_are_ready(first, running); ms += PAUSE_MS)
		sleep_ms(PAUSE_MS);
	return running;
}

void attack_stop(void)
{
	atomic_store(&shared->stop, true);
	sleep_ms(LAST_MS);
}

void attack_kill(unsigned running)
{
	for (unsigned i = 0; i < running; i++)
		kill(-pids[i], SIGKILL);
	for (unsigned i = 0; i < running; i++)
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
}

/* --- clients ------------------------------------------------------------ */

int connected(struct attacker *me)
{
	int sock = raw_connect(rig.socket);

	if (sock >= 0)
		return sock;
	managed(me, "not connected");
	sleep_ms(PAUSE_MS);
	return -1;
}

struct ttd_options attacker_options(void)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

	o.flags = TTD_NO_THREAD;
	o.offload = TTD_OFFLOAD_NONE;	/* its descriptors can be taken */
	o.socket_path = rig.socket;
	return o;
}

struct ttd_device *opened(struct attacker *me, const struct ttd_options *o)
{
	struct ttd_device *dev;

	if (ttd_open(o, &dev, NULL) == 0) {
		managed(me, "opened");
		return dev;
	}
	managed(me, "refused");
	sleep_ms(PAUSE_MS);
	return NULL;
}

struct ttd_prefix attacker_network(const struct attacker *me, unsigned n,
				   unsigned host, unsigned len)
{
	/* What no two of them share, as far as they are few. */
	unsigned at = (unsigned)(me - shared->attackers) * NETWORKS +
		      n % NETWORKS;

	return (struct ttd_prefix){
		.family = 4, .len = (uint8_t)len,
		.ip = { 10, (uint8_t)(128 + at / 256), (uint8_t)at,
			(uint8_t)host },
	};
}

int send_fds(int sock, const int *fds, unsigned n)
{
	union {
		char buf[CMSG_SPACE(WIRE_QUEUES_MAX * sizeof(int))];
		struct cmsghdr h;
	} control;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

	memset(&control, 0, sizeof(control));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.h), fds, n * sizeof(int));
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno :
		0;
}

/* --- many requests ------------------------------------------------------ */

void encode(struct sent *ret, struct wire_message *m)
{
	int len;

	m->id = 1;
	len = wire_encode(m, ret->frame, sizeof(ret->frame));
	if (len < 0)
		abort();
	ret->len = (size_t)len;
}

struct flooded {
	int sock;
	unsigned frame;		/* which one is being sent, */
	size_t off;		/* and how far */
	uint8_t header[WIRE_HEADER_LEN];
	size_t have, rest;	/* of the answer that is being read */
};

static void send_some(struct flooded *f, const struct sent *frames, unsigned n)
{
	for (;;) {
		const struct sent *s = &frames[f->frame];
		ssize_t r = send(f->sock, s->frame + f->off, s->len - f->off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0)
			return;
		f->off += (size_t)r;
		if (f->off < s->len)
			return;
		f->off = 0;
		f->frame = (f->frame + 1) % n;
	}
}

/* How many answers end in these bytes. */
static unsigned count_answers(struct flooded *f, const uint8_t *p, size_t len)
{
	unsigned n = 0;

	while (len > 0) {
		size_t take;

		if (f->have < WIRE_HEADER_LEN) {
			take = WIRE_HEADER_LEN - f->have;
			take = take < len ? take : len;
			memcpy(f->header + f->have, p, take);
			f->have += take;
			if (f->have == WIRE_HEADER_LEN)
				f->rest = f->header[0] +
					  (size_t)f->header[1] * 256 -
					  WIRE_HEADER_LEN;
		} else {
			take = f->rest < len ? f->rest : len;
			f->rest -= take;
		}
		if (f->have == WIRE_HEADER_LEN && f->rest == 0) {
			f->have = 0;
			n++;
		}
		p += take;
		len -= take;
	}
	return n;
}

/* False: the daemon has closed. */
static bool read_some(struct attacker *me, struct flooded *f)
{
	static uint8_t trash[TRASH];
	ssize_t r = recv(f->sock, trash, sizeof(trash), MSG_DONTWAIT);

	if (r > 0)
		managed_many(me, "answers",
			     count_answers(f, trash, (size_t)r));
	return r > 0 || (r < 0 && errno == EAGAIN);
}

static void reconnect(struct attacker *me, struct flooded *f,
		      int (*connect_it)(struct attacker *me))
{
	if (f->sock >= 0)
		close(f->sock);
	*f = (struct flooded){ .sock = connect_it(me) };
	if (f->sock >= 0)
		managed(me, "connections");
}

void flood(struct attacker *me, const struct sent *frames, unsigned n,
	   int (*connect_it)(struct attacker *me))
{
	struct flooded f[FLOOD_CONNECTIONS];
	struct pollfd p[FLOOD_CONNECTIONS];

	for (unsigned i = 0; i < FLOOD_CONNECTIONS; i++)
		f[i].sock = -1;
	while (goes_on()) {
		for (unsigned i = 0; i < FLOOD_CONNECTIONS; i++) {
			if (f[i].sock < 0)
				reconnect(me, &f[i], connect_it);
			p[i] = (struct pollfd){ f[i].sock, POLLIN | POLLOUT,
						0 };
		}
		poll(p, FLOOD_CONNECTIONS, FLOOD_POLL_MS);
		for (unsigned i = 0; i < FLOOD_CONNECTIONS; i++) {
			if (p[i].revents & POLLOUT)
				send_some(&f[i], frames, n);
			if ((p[i].revents & ~POLLOUT) && !read_some(me, &f[i]))
				reconnect(me, &f[i], connect_it);
		}
	}
}

int connected_holder(struct attacker *me)
{
	struct wire_message m = raw_open_request();
	struct frame_in in = FRAME_IN_INIT;
	struct pollfd p = { .events = POLLIN };
	struct sent open;
	int r = 0, *fds;

	p.fd = connected(me);
	if (p.fd < 0)
		return -1;
	encode(&open, &m);
	if (send(p.fd, open.frame, open.len, MSG_NOSIGNAL) > 0 &&
	    poll(&p, 1, DEADLINE_MS) == 1)
		r = frame_receive(&in, p.fd, WIRE_FROM_DAEMON, 1);
	if (r == 1 && in.header.type == WIRE_OPENED) {
		/* They keep the device, and go with this process. */
		(void)frame_take_fds(&in, &fds);
		frame_in_reset(&in);
		return p.fd;
	}
	frame_in_reset(&in);
	close(p.fd);
	managed(me, "no device");
	sleep_ms(PAUSE_MS);
	return -1;
}
