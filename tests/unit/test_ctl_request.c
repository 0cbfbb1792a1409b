/* tuntapctl's requests, to daemons of all sorts. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../ctl/command.h"
#include "../../ctl/request.h"

static char dir[64], path[96];
static pid_t daemon_pid;
static struct ttd_error error;
static unsigned n_leases, n_others;
static const struct wire_message list = { .type = WIRE_LIST };

/* What the daemon says. */
static size_t said;
static uint8_t says[8 * WIRE_FRAME_MAX];

static void fresh(void)
{
	strcpy(dir, "/tmp/ctl-request-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	n_leases = n_others = 0;
	said = 0;
	daemon_pid = 0;
	memset(&error, 0, sizeof(error));
}

static void clean(void)
{
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGKILL);
		waitpid(daemon_pid, NULL, 0);
	}
	unlink(path);
	rmdir(dir);
}

/* --- a daemon that says what it was told to ----------------------------- */

static void say(struct wire_message *m)
{
	int len = wire_encode(m, says + said, sizeof(says) - said);

	ck_assert_int_gt(len, 0);
	said += (size_t)len;
}

/* That it is there, which is what it is asked first. */
static void say_state(void)
{
	struct wire_message m = { .type = WIRE_STATE, .id = 1,
				  .state.version = "0.0.9" };

	say(&m);
}

/* It answers one request with says, and closes unless `stays`. */
static void start_daemon(bool stays)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint8_t request[WIRE_HEADER_LEN];

	strcpy(addr.sun_path, path);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(sock, 1), 0);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		int fd = accept(sock, NULL, NULL);
		bool ok = read(fd, request, sizeof(request)) ==
			  sizeof(request) &&
			  write(fd, says, said) == (ssize_t)said;

		if (stays)
			pause();
		_exit(!ok);
	}
	ck_assert_int_gt(daemon_pid, 0);
	close(sock);
}

static int take(void *arg, const struct wire_message *m)
{
	const int *result = arg;

	if (m->type == WIRE_LEASE)
		n_leases++;
	else
		n_others++;
	return result ? *result : 0;
}

static int ask(enum wire_type type)
{
	const struct wire_message m = { .type = (uint8_t)type };

	return ctl_request(path, &m, take, NULL, &error);
}

static void failed_with(const char *step, const char *text)
{
	ck_assert_str_eq(error.step, step);
	ck_assert_int_lt(error.code, 0);
	ck_assert_msg(strstr(error.text, text) != NULL,
		      "\"%s\" does not say \"%s\"", error.text, text);
}

/* --- tests -------------------------------------------------------------- */

START_TEST(leases_and_done)
{
	struct wire_message lease = { .type = WIRE_LEASE, .id = 2 };
	struct wire_message done = { .type = WIRE_DONE, .id = 2 };

	say_state();
	for (int i = 0; i < 3; i++)
		say(&lease);
	say(&done);
	start_daemon(true);	/* nothing is awaited after DONE */
	ck_assert_int_eq(ask(WIRE_LIST), 0);
	ck_assert_uint_eq(n_leases, 3);
	ck_assert_uint_eq(n_others, 1);
}
END_TEST

START_TEST(state)
{
	struct wire_message m = { .type = WIRE_STATE, .id = 1 };

	say(&m);
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), 0);
	ck_assert_uint_eq(n_others, 1);
}
END_TEST

START_TEST(who_takes_answers_may_stop)
{
	struct wire_message lease = { .type = WIRE_LEASE, .id = 2 };
	int result = -ENOMEM;

	say_state();
	say(&lease);
	say(&lease);
	start_daemon(true);
	ck_assert_int_eq(ctl_request(path, &list, take, &result, &error),
			 -ENOMEM);
	ck_assert_uint_eq(n_leases, 1);
}
END_TEST

START_TEST(refused_after_a_lease)
{
	struct wire_message lease = { .type = WIRE_LEASE, .id = 2 };
	struct wire_message no = { .type = WIRE_REFUSED, .refused = {
		.code = WIRE_E_POLICY, .step = "policy", .text = "not you",
		.rule = "a.conf:3" } };

	say_state();
	say(&lease);
	say(&no);
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_LIST), EXIT_REFUSED);
	failed_with("policy", "not you");
	ck_assert_int_eq(error.code, -EACCES);
	ck_assert_str_eq(error.rule, "a.conf:3");
}
END_TEST

START_TEST(refused_without_words)
{
	struct wire_message no = { .type = WIRE_REFUSED, .refused = {
		.code = WIRE_E_FULL, .step = "accept" } };

	say(&no);
	start_daemon(false);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_REFUSED);
	failed_with("accept", "too many connections");
}
END_TEST

START_TEST(nobody_there)
{
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	ck_assert_int_eq(ask(WIRE_LIST), EXIT_NO_DAEMON);
	failed_with("connect", "there is no socket");
	strcpy(addr.sun_path, path);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(sock);
	ck_assert_int_eq(ask(WIRE_LIST), EXIT_NO_DAEMON);
	failed_with("connect", "nobody listens");
	ck_assert_int_eq(error.code, -ECONNREFUSED);
}
END_TEST

START_TEST(paths_that_cannot_be)
{
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(ctl_request(longer, &list, take, NULL, &error),
			 EXIT_NO_DAEMON);
	failed_with("connect", "199 bytes");
	ck_assert_int_eq(ctl_request("", &list, take, NULL, &error),
			 EXIT_NO_DAEMON);
	failed_with("connect", "0 bytes");
}
END_TEST

START_TEST(ends_without_an_answer)
{
	start_daemon(false);
	ck_assert_int_eq(ask(WIRE_LIST), EXIT_FOREIGN);
	failed_with("answer", "without an answer");
}
END_TEST

START_TEST(ends_when_it_was_alive)
{
	say_state();
	start_daemon(false);
	ck_assert_int_eq(ask(WIRE_LIST), EXIT_NO_DAEMON);
	failed_with("answer", "tuntapd 0.0.9 at");
	failed_with("answer", "before its answer");
}
END_TEST

START_TEST(ends_inside_its_answer)
{
	struct wire_message m = { .type = WIRE_STATE, .id = 1 };

	say(&m);
	said -= 3;
	start_daemon(false);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	failed_with("answer", "inside its answer");
}
END_TEST

/* A STATE, with this byte of its frame another one. */
static int another_byte(size_t at, uint8_t byte)
{
	say_state();
	says[at] = byte;
	start_daemon(true);
	return ask(WIRE_STATUS);
}

#define VERSION_AT	4	/* in a header */
#define TYPE_AT		5

START_TEST(a_higher_version)
{
	ck_assert_int_eq(another_byte(VERSION_AT, WIRE_VERSION + 1),
			 EXIT_NEWER);
	failed_with("answer", "version 2 of the protocol");
}
END_TEST

START_TEST(a_lower_version)
{
	ck_assert_int_eq(another_byte(VERSION_AT, WIRE_VERSION - 1),
			 EXIT_OLDER);
	failed_with("answer", "version 0 of the protocol");
}
END_TEST

START_TEST(an_answer_that_we_do_not_know)
{
	ck_assert_int_eq(another_byte(TYPE_AT, 250), EXIT_NEWER);
	failed_with("answer", "type 250");
}
END_TEST

/* A STATE whose frame is longer or shorter than its fields. */
static int another_length(int by)
{
	say_state();
	said = (size_t)((int)said + by);
	says[0] = (uint8_t)said;
	start_daemon(true);
	return ask(WIRE_STATUS);
}

START_TEST(a_longer_answer)
{
	ck_assert_int_eq(another_length(4), EXIT_NEWER);
	failed_with("answer", "is newer than this tuntapctl");
}
END_TEST

START_TEST(a_shorter_answer)
{
	ck_assert_int_eq(another_length(-2), EXIT_OLDER);
	failed_with("answer", "is older than this tuntapctl");
}
END_TEST

START_TEST(a_request_that_it_does_not_know)
{
	struct wire_message no = { .type = WIRE_REFUSED, .refused = {
		.code = WIRE_E_UNKNOWN, .step = "request" } };

	say_state();
	say(&no);
	start_daemon(false);
	ck_assert_int_eq(ask(WIRE_POLICY), EXIT_OLDER);
	failed_with("answer", "does not know the request policy");
	failed_with("answer", "tuntapd 0.0.9 at");
}
END_TEST

START_TEST(not_tuntapd)
{
	static const char hello[] = "220 mail.example.org ESMTP\r\n";

	memcpy(says, hello, sizeof(hello) - 1);
	said = sizeof(hello) - 1;
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	ck_assert_str_eq(error.step, "answer");
}
END_TEST

START_TEST(a_request_as_an_answer)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };

	say(&m);
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	failed_with("answer", "not tuntapd");
}
END_TEST

START_TEST(an_answer_to_something_else)
{
	struct wire_message m = { .type = WIRE_DONE, .id = 1 };

	say(&m);
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	failed_with("answer", "the message done");
}
END_TEST

START_TEST(an_answer_to_someone_else)
{
	struct wire_message m = { .type = WIRE_STATE, .id = 2 };

	say(&m);
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	failed_with("answer", "not asked for");
}
END_TEST

START_TEST(broken_inside)
{
	struct wire_message m = { .type = WIRE_STATE, .id = 1 };

	say(&m);
	says[WIRE_HEADER_LEN] = 0xff;	/* version: longer than the frame */
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_FOREIGN);
	failed_with("answer", "state.version");
}
END_TEST

START_TEST(silence)
{
	start_daemon(true);
	ck_assert_int_eq(ask(WIRE_STATUS), EXIT_SILENT);
	failed_with("answer", "did not answer within 1400 ms");
	ck_assert_int_eq(error.code, -ETIMEDOUT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_request");
	TCase *tc = tcase_create("request");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, fresh, clean);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, leases_and_done);
	tcase_add_test(tc, state);
	tcase_add_test(tc, who_takes_answers_may_stop);
	tcase_add_test(tc, refused_after_a_lease);
	tcase_add_test(tc, refused_without_words);
	tcase_add_test(tc, nobody_there);
	tcase_add_test(tc, paths_that_cannot_be);
	tcase_add_test(tc, ends_without_an_answer);
	tcase_add_test(tc, ends_inside_its_answer);
	tcase_add_test(tc, ends_when_it_was_alive);
	tcase_add_test(tc, a_higher_version);
	tcase_add_test(tc, a_lower_version);
	tcase_add_test(tc, an_answer_that_we_do_not_know);
	tcase_add_test(tc, a_longer_answer);
	tcase_add_test(tc, a_shorter_answer);
	tcase_add_test(tc, a_request_that_it_does_not_know);
	tcase_add_test(tc, not_tuntapd);
	tcase_add_test(tc, a_request_as_an_answer);
	tcase_add_test(tc, an_answer_to_something_else);
	tcase_add_test(tc, an_answer_to_someone_else);
	tcase_add_test(tc, broken_inside);
	tcase_add_test(tc, silence);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
