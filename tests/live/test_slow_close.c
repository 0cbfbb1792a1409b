/*
 * Descriptors that a client left in the socket and that end slowly, where the
 * kernel takes them: a TCP connection that lingers with what nobody reads, and
 * a file whose file system does not answer.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuse.h"
#include "harness.h"

#define LINGERS		60	/* seconds: longer than a test */
#define SOON_MS		(500 * patience())
#define TOGETHER	253	/* connections that one process closes */
#define SMALL		4	/* processes of a user's that close fewer */
#define PROCESSES	16	/* of a user's */
#define A_TIME		100	/* connections, while nobody accepts them */
#define ROUNDS		3
#define BUFFER		4096	/* bytes */
#define OTHER		(NOBODY - 1)
#define CHILDREN	64
#define LOOK_MS		100
#define WAITS_MS	(10 * LOOK_MS * patience())
#define TRIED		4

static struct rig rig;

/* --- a descriptor that ends slowly -------------------------------------- */

static int connect_tcp(const struct sockaddr_in *to)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(sock, (const void *)to, sizeof(*to)), 0);
	return sock;
}

/* What waits for its bytes to be read; *reader ends that when it is closed. */
static int lingering(int *reader)
{
	const struct linger linger = { 1, LINGERS };
	const int small = BUFFER;
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	static char bytes[65536];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), sock;

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ck_assert_int_eq(bind(listener, (void *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	getsockname(listener, (void *)&addr, &len);
	sock = connect_tcp(&addr);
	*reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	while (send(sock, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)), 0);
	return sock;
}

/* Sends a byte with a copy of it.  0, or -1 with errno. */
static int send_fd(int sock, int fd, int flags)
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { (char[]){ 0 }, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL | flags) == 1 ? 0 : -1;
}

/* With the only copy of it. */
static void send_lingering(int sock, int *reader, int flags)
{
	int slow = lingering(reader);

	ck_assert_msg(send_fd(sock, slow, flags) == 0, "%s", strerror(errno));
	close(slow);
}

/* --- the daemon --------------------------------------------------------- */

/* One on a kernel that lets clients send descriptors. */
static void start_with(const struct rig_options *o)
{
	setenv("TUNTAPD_TAKES_FDS", "yes", 1);
	rig_start(&rig, o);
}

static void start(void)
{
	start_with(&(struct rig_options){ .fault_build = true });
}

/*
 * Before a descriptor is sent, until it is: were the daemon faster than we, our
 * own close would be the last.
 */
static void stop_daemon(void)
{
	kill(rig.daemon, SIGSTOP);
	ck_assert_int_eq(waitpid(rig.daemon, NULL, WUNTRACED), rig.daemon);
}

static void continue_daemon(void)
{
	kill(rig.daemon, SIGCONT);
}

static unsigned ms_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)((now.tv_sec - from->tv_sec) * 1000 +
			  (now.tv_nsec - from->tv_nsec) / 1000000);
}

/* STATUS, which must be answered as if nothing were; closes the socket. */
static struct wire_message ask_status(int sock)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };
	struct timespec from;

	clock_gettime(CLOCK_MONOTONIC, &from);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_STATE);
	ck_assert_uint_lt(ms_since(&from), SOON_MS);
	close(sock);
	return m;
}

/* Root's own, this one, is among them. */
static unsigned connections(void)
{
	return ask_status(raw_connect(rig.admin)).state.connections - 1;
}

static bool has_connections(void *n)
{
	return connections() == *(unsigned *)n;
}

static void wait_for_connections(unsigned n)
{
	ck_assert_msg(eventually(has_connections, &n), "%u connections, not "
		      "%u", connections(), n);
}

static void expect_refusal(int sock)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_FD_SENT);
	ck_assert(raw_closed(sock));
	close(sock);
}

/* A connection of that uid, which is refused for what it sends. */
static void refuse_lingering(uid_t uid, int *reader)
{
	int sock;

	stop_daemon();
	sock = rig_connect_as(&rig, uid);
	send_lingering(sock, reader, 0);
	continue_daemon();
	expect_refusal(sock);
}

/* The daemon's children and theirs, as there are now; n is the room for them. */
static unsigned descendants(pid_t of, pid_t *ret, unsigned n)
{
	char *text = sh("ps -e -o pid=,ppid= | awk '"
			"{ parent[$1] = $2 } END { for (p in parent) { "
			"for (q = p; q > 1; q = parent[q]) if (parent[q] == %d)"
			" { print p; break } } }'", (int)of);
	unsigned found = 0;

	for (char *at = strtok(text, "\n"); at && found < n;
	     at = strtok(NULL, "\n"))
		ret[found++] = atoi(at);
	free(text);
	return found;
}

/* Of the daemon's children the one that is its user's. */
static pid_t undertaker(void)
{
	char *text = sh("ps -e -o pid=,ppid=,uid= | awk '$2 == %d && $3 == "
			RIG_USER " { print $1 }'", (int)rig.daemon);
	pid_t pid = atoi(text);

	ck_assert_int_gt(pid, 0);
	free(text);
	return pid;
}

struct family {
	pid_t pid[CHILDREN];
	unsigned n;
};

static bool are_gone(void *arg)
{
	struct family *f = arg;

	for (unsigned i = 0; i < f->n; i++)
		if (kill(f->pid[i], 0) == 0)
			return false;
	return true;
}

/* --- a file system that does not answer --------------------------------- */

/* A process that ends with a socket with such a file in it, or -1. */
static pid_t end_with_file(void)
{
	int sock[2], fd = fuse_file();
	pid_t pid;

	if (fd < 0 || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sock) ||
	    send_fd(sock[0], fd, 0) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(fd);
		sleep_ms(LOOK_MS);	/* until nobody else has it */
		_exit(0);
	}
	close(sock[0]);
	close(sock[1]);
	fuse_end(fd);
	return pid;
}

/*
 * Does each that ends with such a file wait?  A kernel that does not otherwise
 * does so now and then, where it writes the file out at that very time.
 */
static bool is_waited_for(void)
{
	pid_t pid[TRIED];
	bool all = true;

	for (int i = 0; i < TRIED; i++)
		pid[i] = end_with_file();
	sleep_ms(WAITS_MS);
	for (int i = 0; i < TRIED; i++)
		all = pid[i] > 0 && waitpid(pid[i], NULL, WNOHANG) == 0 && all;
	return all;
}

static const char *start_files(void)
{
	int error = fuse_start(getppid());

	if (error)
		return strerror(-error);
	return is_waited_for() ? NULL : "this kernel writes what is dirty of "
	       "a FUSE file without waiting (Linux before 6.16)";
}

/* As NOBODY: leaves as many files in sockets as the bytes that come say. */
static int withhold(void *arg)
{
	const char *cannot = start_files();
	uint8_t n;

	puts(cannot ? cannot : "ready");
	while (!cannot && read(*(int *)arg, &n, 1) == 1) {
		for (unsigned i = 0; i < n; i++) {
			int sock = raw_connect(rig.socket), fd = fuse_file();

			if (sock < 0 || fd < 0 || send_fd(sock, fd, 0) < 0)
				puts(strerror(errno));
			fuse_end(fd);
			close(sock);
		}
		if (n == 0)
			fuse_stop();
		puts("done");
	}
	return 0;
}

struct withholder {
	struct client c;
	int orders;
};

/* False where there can be none. */
static bool start_withholder(struct withholder *w, const char *test)
{
	const char *said;
	int orders[2];

	ck_assert_int_eq(pipe(orders), 0);
	fuse_prepare();
	client_start(&w->c, withhold, &orders[0]);
	close(orders[0]);
	w->orders = orders[1];
	said = client_line(&w->c, "");
	if (strcmp(said, "ready") == 0)
		return true;
	live_skip(test, said);
	return false;
}

static void order(struct withholder *w, uint8_t n)
{
	ck_assert_int_eq(write(w->orders, &n, 1), 1);
	ck_assert_str_eq(client_line(&w->c, ""), "done");
}

/* n more, which makes so many in all. */
static void leave_withheld(struct withholder *w, unsigned n, unsigned all)
{
	stop_daemon();
	order(w, (uint8_t)n);
	continue_daemon();
	wait_for_connections(all);
}

/* A look takes far longer than what eventually() waits in between. */
static void wait_for_processes(unsigned n)
{
	pid_t pid[CHILDREN];
	unsigned now = 0;

	for (int ms = 0; ms < DEADLINE_MS; ms += LOOK_MS) {
		now = descendants(rig.daemon, pid, CHILDREN);
		if (now == n)
			return;
		sleep_ms(LOOK_MS);
	}
	ck_abort_msg("%u processes, not %u", now, n);
}

#define MORE	20	/* than there are processes for just now */

/* Fills all but some of his processes, and leaves MORE in the daemon. */
static unsigned leave_many(struct withholder *w)
{
	pid_t pid[CHILDREN];
	unsigned processes = descendants(rig.daemon, pid, CHILDREN), all = 0;

	while (all < SMALL) {
		leave_withheld(w, 1, all + 1);
		wait_for_processes(processes + ++all);
	}
	for (unsigned n; all < SMALL + TOGETHER + MORE; all += n) {
		n = SMALL + TOGETHER + MORE - all;
		n = n < A_TIME ? n : A_TIME;
		leave_withheld(w, n, all + n);
	}
	wait_for_processes(processes + SMALL + 1);
	return all;
}

/* --- tests -------------------------------------------------------------- */

/* Nobody waits for it, and its end is not as far as its maker likes. */
START_TEST(a_slow_descriptor_holds_nobody_up)
{
	unsigned fds;
	int reader;

	start();
	fds = rig_fds_at_rest(&rig);
	refuse_lingering(NOBODY, &reader);
	for (int i = 0; i < 5; i++) {
		ask_status(rig_connect_as(&rig, OTHER));
		sleep_ms(50);
	}
	wait_for_connections(0);
	rig_fds_return_to(&rig, fds);
	close(reader);
	rig_end(&rig);
}
END_TEST

/* Likewise on an out-of-band byte, which an ordinary look does not show. */
START_TEST(a_slow_descriptor_out_of_band)
{
	int sock, reader;

	start();
	stop_daemon();
	sock = rig_connect_as(&rig, NOBODY);
	send_lingering(sock, &reader, MSG_OOB);
	ck_assert_int_eq(send(sock, "hello", 5, MSG_NOSIGNAL), 5);
	continue_daemon();
	expect_refusal(sock);
	ask_status(rig_connect_as(&rig, OTHER));
	wait_for_connections(0);
	close(reader);
	rig_end(&rig);
}
END_TEST

/* Who hangs up, or is silent, or broke the protocol: all end the same way. */
START_TEST(a_slow_descriptor_ends_a_connection_in_each_way)
{
	int sock[3], reader[3];
	struct wire_message m;

	start();
	for (int i = 0; i < 3; i++)
		sock[i] = rig_connect_as(&rig, NOBODY);
	ask_status(rig_connect_as(&rig, OTHER));	/* they are accepted */
	stop_daemon();
	send_lingering(sock[0], &reader[0], 0);
	close(sock[0]);
	m = (struct wire_message){ .type = WIRE_QUERY, .id = 1 };
	raw_send(sock[1], &m);
	send_lingering(sock[1], &reader[1], 0);
	/* Half a frame, and then this. */
	ck_assert_int_eq(send(sock[2], "\x08", 1, MSG_NOSIGNAL), 1);
	send_lingering(sock[2], &reader[2], 0);
	continue_daemon();
	ask_status(rig_connect_as(&rig, OTHER));
	wait_for_connections(0);
	for (int i = 0; i < 3; i++)
		close(reader[i]);
	rig_end(&rig);
}
END_TEST

/* So many connections of his that the daemon has to close. */
static void leave_lingering(unsigned n)
{
	int sock, reader;

	stop_daemon();
	while (n-- > 0) {
		sock = rig_connect_as(&rig, NOBODY);
		send_lingering(sock, &reader, 0);
		close(sock);
	}
	continue_daemon();
	/* He is accepted behind them. */
	ask_status(rig_connect_as(&rig, OTHER));
}

/* Nobody reads what lingers, and still nothing of it stays in the daemon. */
START_TEST(what_lingers_has_an_end)
{
	unsigned fds;

	start();
	fds = rig_fds_at_rest(&rig);
	for (int i = 0; i < ROUNDS; i++)
		leave_lingering(A_TIME);
	wait_for_connections(0);
	rig_fds_return_to(&rig, fds);
	rig_end(&rig);
}
END_TEST

/*
 * All of them wait in the daemon, as who takes them is stopped; the daemon's
 * end waits for none.
 */
START_TEST(many_slow_descriptors_and_the_end)
{
	struct family family = { .n = 0 };
	struct timespec from;

	start();
	family.n = descendants(rig.daemon, family.pid, CHILDREN);
	kill(undertaker(), SIGSTOP);
	for (int i = 0; i < ROUNDS; i++)
		leave_lingering(A_TIME);
	wait_for_connections(ROUNDS * A_TIME);
	clock_gettime(CLOCK_MONOTONIC, &from);
	rig_stop(&rig);
	ck_assert_uint_lt(ms_since(&from), 2 * SOON_MS);
	ck_assert(eventually(are_gone, &family));
}
END_TEST

static const struct rig_options few = {
	.fault_build = true, .limits = { "connections=30" },
};

/*
 * Some processes wait with what there was, one of the others with as many as it
 * takes: few stay in the daemon, and those alone count against others.
 */
START_TEST(what_does_not_end_takes_few_descriptors)
{
	struct withholder w;
	unsigned fds, all, processes;
	pid_t pid[CHILDREN];

	/* An emulated one with an old kernel waits for some and not for others. */
	if (live_too_slow("what_does_not_end_takes_few_descriptors"))
		return;
	start_with(&few);
	if (!start_withholder(&w, "what_does_not_end_takes_few_descriptors"))
		return;
	fds = rig_fds_at_rest(&rig);
	processes = descendants(rig.daemon, pid, CHILDREN);
	all = leave_many(&w);
	rig_fds_return_to(&rig, fds + MORE);
	ask_status(rig_connect_as(&rig, OTHER));
	/* Until they have ended they are his. */
	ck_assert_uint_eq(connections(), all);
	order(&w, 0);
	wait_for_connections(0);
	wait_for_processes(processes);
	rig_fds_return_to(&rig, fds);
	rig_end(&rig);
}
END_TEST

/* Nobody waits for those who wait for ever. */
START_TEST(what_does_not_end_holds_up_no_end)
{
	struct withholder w;
	struct timespec from;

	/* An emulated one with an old kernel waits for some and not for others. */
	if (live_too_slow("what_does_not_end_holds_up_no_end"))
		return;
	start_with(&few);
	if (!start_withholder(&w, "what_does_not_end_holds_up_no_end"))
		return;
	leave_many(&w);
	clock_gettime(CLOCK_MONOTONIC, &from);
	rig_stop(&rig);
	ck_assert_uint_lt(ms_since(&from), 2 * SOON_MS);
}
END_TEST

/* Nor is one that has not been accepted when the daemon ends. */
START_TEST(a_slow_descriptor_in_the_backlog)
{
	int sock, reader, status;
	struct timespec from;

	start();
	stop_daemon();
	kill(rig.daemon, SIGTERM);
	for (int i = 0; i < PROCESSES + 1; i++) {
		sock = rig_connect_as(&rig, NOBODY);
		send_lingering(sock, &reader, 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	continue_daemon();
	ck_assert_int_eq(waitpid(rig.daemon, &status, 0), rig.daemon);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_lt(ms_since(&from), 2 * SOON_MS);
}
END_TEST

static bool log_has(void *part)
{
	char *log = rig_log(&rig);
	bool has = strstr(log, part) != NULL;

	free(log);
	return has;
}

/* Without an undertaker they stay, and the others are served. */
START_TEST(a_slow_descriptor_without_an_undertaker)
{
	struct family family = { .n = 0 };
	int reader;

	start();
	family.n = descendants(rig.daemon, family.pid, CHILDREN);
	for (unsigned i = 0; i < family.n; i++)
		kill(family.pid[i], SIGKILL);
	ck_assert(eventually(log_has, "left open"));
	refuse_lingering(NOBODY, &reader);
	ask_status(rig_connect_as(&rig, OTHER));
	wait_for_connections(1);
	close(reader);
	rig_end(&rig);
}
END_TEST

/* An out-of-band byte is one like others, on each kernel. */
START_TEST(out_of_band_bytes_are_bytes)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };
	uint8_t frame[WIRE_FRAME_MAX];
	int sock, len = wire_encode(&m, frame, sizeof(frame));

	rig_start(&rig, NULL);
	sock = rig_connect_as(&rig, NOBODY);
	for (int i = 0; i < len; i++)
		ck_assert_int_eq(send(sock, frame + i, 1, MSG_NOSIGNAL |
				      (i % 2 ? MSG_OOB : 0)), 1);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_STATE);
	close(sock);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slow close");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_slow_descriptor_holds_nobody_up);
	tcase_add_test(t, a_slow_descriptor_out_of_band);
	tcase_add_test(t, a_slow_descriptor_ends_a_connection_in_each_way);
	tcase_add_test(t, what_lingers_has_an_end);
	tcase_add_test(t, many_slow_descriptors_and_the_end);
	tcase_add_test(t, what_does_not_end_takes_few_descriptors);
	tcase_add_test(t, what_does_not_end_holds_up_no_end);
	tcase_add_test(t, a_slow_descriptor_in_the_backlog);
	tcase_add_test(t, a_slow_descriptor_without_an_undertaker);
	tcase_add_test(t, out_of_band_bytes_are_bytes);
	suite_add_tcase(s, t);
	return live_main("slow_close", s);
}
