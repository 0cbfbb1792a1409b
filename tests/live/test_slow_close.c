/*
 * Descriptors that a client left in the socket and that end slowly, where the
 * kernel takes them: a TCP connection that lingers with what nobody reads.
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

#include "harness.h"

#define LINGERS		60	/* seconds: longer than a test */
#define SOON_MS		500
#define MANY		40	/* more than one user may have processes */
#define PROCESSES	16
#define OTHER		(NOBODY - 1)
#define CHILDREN	64

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
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	static char bytes[65536];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), sock;

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

/* Sends a byte with the only copy of it. */
static void send_lingering(int sock, int *reader, int flags)
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { (char[]){ 0 }, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };
	int slow = lingering(reader);

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &slow, sizeof(slow));
	ck_assert_msg(sendmsg(sock, &msg, MSG_NOSIGNAL | flags) == 1, "%s",
		      strerror(errno));
	close(slow);
}

/* --- the daemon --------------------------------------------------------- */

/* One on a kernel that lets clients send descriptors. */
static void start(void)
{
	const struct rig_options o = { .fault_build = true };

	setenv("TUNTAPD_TAKES_FDS", "yes", 1);
	rig_start(&rig, &o);
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

static int connect_as(uid_t uid)
{
	int sock;

	ck_assert_int_eq(seteuid(uid), 0);
	sock = raw_connect(rig.socket);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_ge(sock, 0);
	return sock;
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
	sock = connect_as(uid);
	send_lingering(sock, reader, 0);
	continue_daemon();
	expect_refusal(sock);
}

/* --- tests -------------------------------------------------------------- */

/* It counts until it has ended, and nobody waits for it. */
START_TEST(a_slow_descriptor_holds_nobody_up)
{
	unsigned fds;
	int reader;

	start();
	fds = rig_fds_at_rest(&rig);
	refuse_lingering(NOBODY, &reader);
	for (int i = 0; i < 5; i++) {
		ask_status(connect_as(OTHER));
		sleep_ms(50);
	}
	wait_for_connections(1);
	/* It is open in no process that serves anybody. */
	rig_fds_return_to(&rig, fds);
	close(reader);
	wait_for_connections(0);
	rig_end(&rig);
}
END_TEST

/* Likewise on an out-of-band byte, which an ordinary look does not show. */
START_TEST(a_slow_descriptor_out_of_band)
{
	int sock, reader;

	start();
	stop_daemon();
	sock = connect_as(NOBODY);
	send_lingering(sock, &reader, MSG_OOB);
	ck_assert_int_eq(send(sock, "hello", 5, MSG_NOSIGNAL), 5);
	continue_daemon();
	expect_refusal(sock);
	ask_status(connect_as(OTHER));
	close(reader);
	wait_for_connections(0);
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
		sock[i] = connect_as(NOBODY);
	ask_status(connect_as(OTHER));	/* they are accepted */
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
	ask_status(connect_as(OTHER));
	wait_for_connections(3);
	ask_status(connect_as(OTHER));
	for (int i = 0; i < 3; i++)
		close(reader[i]);
	wait_for_connections(0);
	rig_end(&rig);
}
END_TEST

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

/*
 * A user has so many processes that wait; the others of his wait in the daemon,
 * and nobody for them: not the next one of another user, nor the daemon's end.
 */
START_TEST(many_slow_descriptors_and_the_end)
{
	int reader[MANY], other;
	struct family family = { .n = 0 };
	struct timespec from;
	unsigned before;

	start();
	before = descendants(rig.daemon, family.pid, CHILDREN);
	for (int i = 0; i < MANY; i++) {
		refuse_lingering(NOBODY, &reader[i]);
	}
	wait_for_connections(MANY);
	refuse_lingering(OTHER, &other);
	wait_for_connections(MANY + 1);
	family.n = descendants(rig.daemon, family.pid, CHILDREN);
	ck_assert_uint_eq(family.n, before + PROCESSES + 1);
	close(other);
	wait_for_connections(MANY);
	/* Those that waited have their turn when others have ended. */
	for (int i = 0; i < MANY / 2; i++)
		close(reader[i]);
	wait_for_connections(MANY - MANY / 2);
	ask_status(connect_as(OTHER));
	clock_gettime(CLOCK_MONOTONIC, &from);
	rig_stop(&rig);
	ck_assert_uint_lt(ms_since(&from), 2 * SOON_MS);
	ck_assert(eventually(are_gone, &family));
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
		sock = connect_as(NOBODY);
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
	ask_status(connect_as(OTHER));
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
	sock = connect_as(NOBODY);
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
	tcase_add_test(t, many_slow_descriptors_and_the_end);
	tcase_add_test(t, a_slow_descriptor_in_the_backlog);
	tcase_add_test(t, a_slow_descriptor_without_an_undertaker);
	tcase_add_test(t, out_of_band_bytes_are_bytes);
	suite_add_tcase(s, t);
	return live_main("slow_close", s);
}
