/*
 * A daemon that a thread of the test plays, for all the devices of a test, and
 * what such a test looks at.  The devices' "fds" are ends of socket pairs.
 * Include it in one file of a test program.
 */
#ifndef TUNTAPD_PLAYED_H
#define TUNTAPD_PLAYED_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../libclient/device.h"

#define DEVICES		64
#define CONNECTIONS	512
#define TIMEOUT_MS	10000	/* of requests that shall not run into it */
#define SHORT_MS	60	/* of those that shall */
#define LONG_MS		20000	/* of a test that hangs */
#define REST_MS		100	/* for threads to have come to rest */
#define MODES		2

static const uint32_t modes[MODES] = { 0, TTD_NO_THREAD };

/* --- the daemon that is played ------------------------------------------ */

typedef void play_fn(int conn, const struct wire_message *m);

static char dir[] = "/tmp/ttd-unit-XXXXXX";	/* made and removed by main */
static char path[64];

static struct {
	pthread_t thread;
	int listener, stop[2];
	pthread_mutex_t mutex;	/* of all below, and of what is sent */
	pthread_cond_t cond;
	play_fn *play;		/* what it does with a request */
	play_fn *reclaim;	/* with RECLAIM, which is no request here */
	unsigned asked;		/* requests so far */
	unsigned reclaims;
	struct wire_message last;
	unsigned n;
	int conn[CONNECTIONS];	/* in the order of connecting; -1: closed */
	int far[CONNECTIONS];	/* of the device opened by it, or -1 */
	unsigned taken[CONNECTIONS];	/* how often it was given back */
	struct frame_in in[CONNECTIONS];
} d = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

/* With the mutex.  Nobody may be there any more. */
static inline void put(int conn, const struct wire_message *m, const int *fd)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	int len = wire_encode(m, buf, sizeof(buf));
	size_t off = 0;
	int r;

	ck_assert_int_gt(len, 0);
	r = frame_send(conn, buf, (size_t)len, &off, fd, fd ? 1 : 0);
	ck_assert(r == 0 || r == -EPIPE || r == -ECONNRESET);
}

static inline void put_event(int conn, uint8_t kind, uint32_t value,
			     const char *text)
{
	struct wire_message m = { .type = WIRE_EVENT };

	m.event.kind = kind;
	m.event.value = value;
	strcpy(m.event.text, text);
	put(conn, &m, NULL);
}

/* The same from a test: on the connection of the device opened as i-th. */
static inline void tell(unsigned i, uint8_t kind, uint32_t value,
			const char *text)
{
	pthread_mutex_lock(&d.mutex);
	put_event(d.conn[i], kind, value, text);
	pthread_mutex_unlock(&d.mutex);
}

static inline void done(int conn, uint16_t id)
{
	struct wire_message m = { .type = WIRE_DONE, .id = id };

	put(conn, &m, NULL);
}

static inline void refuse(int conn, uint16_t id, uint16_t code,
			  const char *text)
{
	struct wire_message m = { .type = WIRE_REFUSED, .id = id };

	m.refused.code = code;
	strcpy(m.refused.step, "policy");
	strcpy(m.refused.text, text);
	strcpy(m.refused.rule, "/etc/tuntapd/policy.d/10-a.conf:7");
	put(conn, &m, NULL);
}

static inline void describe(int conn, uint16_t id)
{
	struct wire_message m = { .type = WIRE_DEVICE, .id = id };

	strcpy(m.device.name, "tun77");
	m.device.mtu = 1377;
	m.device.n_addresses = 2;
	prefix_parse("10.0.0.1/32", &m.device.addresses[0].local, NULL);
	prefix_parse("10.0.0.2/30", &m.device.addresses[0].peer, NULL);
	prefix_parse("fd00::1/64", &m.device.addresses[1].local, NULL);
	put(conn, &m, NULL);
}

static inline void play_good(int conn, const struct wire_message *m)
{
	if (m->type == WIRE_QUERY)
		describe(conn, m->id);
	else
		done(conn, m->id);
}

static inline void play_silence(int conn, const struct wire_message *m)
{
	(void)conn;
	(void)m;
}

/* How a connection ends. */

static inline void play_hang_up(int conn, const struct wire_message *m)
{
	(void)m;
	shutdown(conn, SHUT_RDWR);
}

static inline void play_half(int conn, const struct wire_message *m)
{
	uint8_t half[] = { 12, 0, 0, 0, WIRE_VERSION, WIRE_DONE, 0, 0, 1 };

	(void)m;
	ck_assert_int_eq(write(conn, half, sizeof(half)), sizeof(half));
	shutdown(conn, SHUT_RDWR);
}

static inline void play_garbage(int conn, const struct wire_message *m)
{
	const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	(void)m;
	ck_assert_int_gt(write(conn, text, sizeof(text)), 0);
}

/* A text that is longer than its message. */
static inline void play_broken(int conn, const struct wire_message *m)
{
	uint8_t broken[] = { 15, 0, 0, 0, WIRE_VERSION, WIRE_EVENT, 0, 0,
			     3, 0, 0, 0, 0, 9, 0 };

	(void)m;
	ck_assert_int_eq(write(conn, broken, sizeof(broken)), sizeof(broken));
}

static inline void play_request(int conn, const struct wire_message *m)
{
	struct wire_message status = { .type = WIRE_STATUS, .id = m->id };

	put(conn, &status, NULL);
}

static inline void play_fd(int conn, const struct wire_message *m)
{
	struct wire_message answer = { .type = WIRE_DONE, .id = m->id };

	put(conn, &answer, &d.listener);
}

static play_fn *const losses[] = {
	play_hang_up, play_half, play_garbage, play_broken, play_request,
	play_fd,
};
#define LOSSES ((int)(sizeof(losses) / sizeof(*losses)))

/* Of the device opened on the i-th connection. */
static inline void token_of(unsigned i, uint8_t ret[WIRE_TOKEN_LEN])
{
	memset(ret, 0xa5, WIRE_TOKEN_LEN);
	ret[3] = (uint8_t)i;
	ret[4] = (uint8_t)(i >> 8);
}

static inline struct wire_message reclaimed(uint16_t id)
{
	struct wire_message m = { .type = WIRE_RECLAIMED, .id = id };

	strcpy(m.reclaimed.name, "tun77");
	m.reclaimed.ifindex = 77;
	m.reclaimed.mtu = 1500;
	m.reclaimed.up = 1;
	return m;
}

static inline void play_give_back(int conn, const struct wire_message *m)
{
	struct wire_message a = reclaimed(m->id);
	uint8_t token[WIRE_TOKEN_LEN];

	for (unsigned i = 0; i < d.n; i++) {
		token_of(i, token);
		d.taken[i] += !memcmp(token, m->reclaim.token, sizeof(token));
	}
	put(conn, &a, NULL);
}

static inline void play_open(unsigned i, const struct wire_message *m)
{
	struct wire_message a = { .type = WIRE_OPENED, .id = m->id };
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	strcpy(a.opened.name, "tun77");
	a.opened.ifindex = 77;
	a.opened.queues = 1;
	a.opened.mtu = 1500;
	token_of(i, a.opened.token);
	put(d.conn[i], &a, &pair[0]);
	close(pair[0]);
	d.far[i] = pair[1];
}

/* With the mutex. */
static inline void hear(unsigned i)
{
	struct frame_in *in = &d.in[i];
	int r = frame_receive(in, d.conn[i], WIRE_FROM_CLIENT, 0);

	if (r == -EAGAIN)
		return;
	if (r != 1) {		/* kept, so that numbers stay what they are */
		shutdown(d.conn[i], SHUT_RDWR);
		d.in[i].error = -EPIPE;
		return;
	}
	ck_assert_int_eq(wire_decode(in->frame, in->header.length, &d.last,
				     NULL), 0);
	frame_in_reset(in);
	if (d.last.type == WIRE_OPEN) {
		play_open(i, &d.last);
		return;
	}
	if (d.last.type == WIRE_RECLAIM)
		d.reclaims++;
	else
		d.asked++;
	pthread_cond_broadcast(&d.cond);
	if (d.last.type == WIRE_RECLAIM)
		d.reclaim(d.conn[i], &d.last);
	else
		d.play(d.conn[i], &d.last);
}

static inline void *daemon_main(void *unused)
{
	struct pollfd fds[CONNECTIONS + 2];
	unsigned n;

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&d.mutex);
		n = d.n;
		fds[0] = (struct pollfd){ d.stop[0], POLLIN, 0 };
		fds[1] = (struct pollfd){ d.listener, POLLIN, 0 };
		for (unsigned i = 0; i < n; i++)
			fds[i + 2] = (struct pollfd){
				d.in[i].error ? -1 : d.conn[i], POLLIN, 0
			};
		pthread_mutex_unlock(&d.mutex);
		poll(fds, n + 2, -1);
		if (fds[0].revents)
			return NULL;
		pthread_mutex_lock(&d.mutex);
		for (unsigned i = 0; i < n; i++)
			if (fds[i + 2].revents)
				hear(i);
		if (fds[1].revents) {
			ck_assert_uint_lt(d.n, CONNECTIONS);
			d.in[d.n] = FRAME_IN_INIT;
			d.far[d.n] = -1;
			d.taken[d.n] = 0;
			d.conn[d.n++] = accept4(d.listener, NULL, NULL,
						SOCK_NONBLOCK | SOCK_CLOEXEC);
		}
		pthread_mutex_unlock(&d.mutex);
	}
}

/* It is there, again perhaps. */
static inline void daemon_back(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	unlink(path);		/* of one before, or a test that failed */
	strcpy(a.sun_path, path);
	d.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(d.listener, (struct sockaddr *)&a, sizeof(a)),
			 0);
	ck_assert_int_eq(listen(d.listener, DEVICES), 0);
	ck_assert_int_eq(pipe(d.stop), 0);
	ck_assert_int_eq(pthread_create(&d.thread, NULL, daemon_main, NULL),
			 0);
}

/* It was killed: its devices live on. */
static inline void daemon_away(void)
{
	ck_assert_int_eq(write(d.stop[1], "", 1), 1);
	pthread_join(d.thread, NULL);
	close(d.listener);
	close(d.stop[0]);
	close(d.stop[1]);
	for (unsigned i = 0; i < d.n; i++) {
		if (d.conn[i] >= 0)
			close(d.conn[i]);
		d.conn[i] = -1;
		frame_in_reset(&d.in[i]);
		d.in[i].error = -EPIPE;
	}
}

static inline void daemon_start(void)
{
	d.play = play_good;
	d.reclaim = play_give_back;
	daemon_back();
}

static inline void devices_go(void)
{
	for (unsigned i = 0; i < d.n; i++)
		if (d.far[i] >= 0)
			close(d.far[i]);
	d.n = 0;
}

static inline void daemon_stop(void)
{
	daemon_away();
	devices_go();
}

/* The daemon's end of the i-th device's connection, or the device's far end. */
static inline int end_of(const int *ends, unsigned i)
{
	int fd;

	pthread_mutex_lock(&d.mutex);
	fd = ends[i];
	pthread_mutex_unlock(&d.mutex);
	return fd;
}

static inline void set_play(play_fn *play)
{
	pthread_mutex_lock(&d.mutex);
	d.play = play;
	pthread_mutex_unlock(&d.mutex);
}

static inline void set_reclaim(play_fn *play)
{
	pthread_mutex_lock(&d.mutex);
	d.reclaim = play;
	pthread_mutex_unlock(&d.mutex);
}

/* Waits until so many requests have come, and returns the last one. */
static inline struct wire_message asked(unsigned n)
{
	struct wire_message m;

	pthread_mutex_lock(&d.mutex);
	while (d.asked < n)
		pthread_cond_wait(&d.cond, &d.mutex);
	ck_assert_uint_eq(d.asked, n);
	m = d.last;
	pthread_mutex_unlock(&d.mutex);
	return m;
}

/* --- the client ---------------------------------------------------------- */

static inline int try_open(uint32_t flags, int timeout_ms,
			   struct ttd_device **ret)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

	o.socket_path = path;
	o.flags = flags;
	o.timeout_ms = timeout_ms;
	return ttd_open(&o, ret, NULL);
}

static inline struct ttd_device *open_one(uint32_t flags, int timeout_ms)
{
	struct ttd_device *dev = NULL;

	ck_assert_int_eq(try_open(flags, timeout_ms, &dev), 0);
	return dev;
}

static inline struct ttd_prefix prefix(const char *text)
{
	struct ttd_prefix p;

	ck_assert_int_eq(ttd_prefix_parse(text, &p), 0);
	return p;
}

static inline void is_prefix(const struct prefix *p, const char *text)
{
	char buf[PREFIX_TEXT_MAX];

	ck_assert_str_eq(prefix_format(p, buf), text);
}

static inline bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	ck_assert_int_ge(fd, 0);
	return poll(&p, 1, timeout_ms) == 1;
}

static inline int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void wants_event(struct ttd_device *dev, uint32_t type,
			       uint32_t value, const char *text)
{
	struct ttd_event e = TTD_EVENT_INIT;

	ck_assert_int_eq(ttd_next_event(dev, &e, TIMEOUT_MS), 0);
	ck_assert_uint_eq(e.type, type);
	ck_assert_uint_eq(e.value, value);
	ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" not in \"%s\"",
		      text, e.text);
	ck_assert_uint_eq(e.size, sizeof(e));
}

static inline void wants_no_event(struct ttd_device *dev)
{
	struct ttd_event e = TTD_EVENT_INIT;

	ck_assert_int_eq(ttd_next_event(dev, &e, 0), -EAGAIN);
}

/* What was told before this is taken in when it returns. */
static inline void sync_with(struct ttd_device *dev)
{
	uint32_t mtu;

	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
}

/* Entries of a folder of proc(5). */
static inline int entries(const char *folder)
{
	DIR *f = opendir(folder);
	int n = 0;

	ck_assert_ptr_nonnull(f);
	while (readdir(f))
		n++;
	closedir(f);
	return n;
}

/* The daemon, on its own thread, may still have one that it sends. */
static inline void wants_fds(int n)
{
	for (int i = 0; i < 1000 && entries("/proc/self/fd") != n; i++)
		poll(NULL, 0, 5);
	ck_assert_int_eq(entries("/proc/self/fd"), n);
}

/*
 * Our control threads; *ret_blocked, unless NULL, is which signals the last
 * one of them blocks.
 */
static inline int control_threads(unsigned long long *ret_blocked)
{
	DIR *f = opendir("/proc/self/task");
	struct dirent *e;
	char file[300], line[256];
	int n = 0;

	ck_assert_ptr_nonnull(f);
	while ((e = readdir(f))) {
		bool ours = false;
		FILE *s;

		snprintf(file, sizeof(file), "/proc/self/task/%s/status",
			 e->d_name);
		s = fopen(file, "r");
		while (s && fgets(line, sizeof(line), s)) {
			ours = ours || !strcmp(line, "Name:\tttd-control\n");
			if (ours && ret_blocked)
				sscanf(line, "SigBlk: %llx", ret_blocked);
		}
		if (s)
			fclose(s);
		n += ours;
	}
	closedir(f);
	return n;
}

/* A thread that has been started may not have its name yet. */
static inline void wants_control_threads(int n)
{
	for (int i = 0; i < 1000 && control_threads(NULL) != n; i++)
		poll(NULL, 0, 5);
	ck_assert_int_eq(control_threads(NULL), n);
}

/* What the child of a test found: its exit status. */
static inline int wait_for(pid_t child)
{
	int status = -1;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs a suite of such tests; main()'s result. */
static inline int run_played(Suite *s)
{
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/s", dir);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	unlink(path);
	rmdir(dir);
	return failed ? 1 : 0;
}

#endif
