/* Names to ids by a child, and a first reading of a policy that has some. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../../daemon/reload.h"
#include "../../daemon/resolver.h"

#define QUERIES	2000	/* more than a socket holds */
#define SECONDS	3

static pid_t child_of(pid_t parent)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent,
		 (int)parent);
	for (int i = 0; i < 500 && !*text; i++) {
		usleep(10 * 1000);
		f = fopen(path, "re");
		ck_assert_ptr_nonnull(f);
		if (!fgets(text, sizeof(text), f))
			*text = '\0';
		fclose(f);
	}
	ck_assert_int_gt(strtol(text, NULL, 10), 0);
	return (pid_t)strtol(text, NULL, 10);
}

/* What a name may do to the worker that asks for it, by libraries of NSS. */
#define LEAVES		"leaves"
#define SHUTS_DOWN	"shuts-down"
#define SAYS_NOTHING	"says-nothing"
#define FDS_MAX		64

static void to_its_sockets(const char *name)
{
	signal(SIGALRM, SIG_IGN);
	for (int fd = STDERR_FILENO + 1; fd < FDS_MAX; fd++) {
		if (strcmp(name, SHUTS_DOWN) == 0)
			shutdown(fd, SHUT_RDWR);
		else
			send(fd, "", 0, MSG_NOSIGNAL);
	}
	pause();
}

#define LOOKUP_US	500

/* Instead of the C library's, and about as slow. */
struct passwd *getpwnam(const char *name)
{
	static struct passwd root;

	if (strcmp(name, LEAVES) == 0)
		_exit(0);
	if (strcmp(name, SHUTS_DOWN) == 0 || strcmp(name, SAYS_NOTHING) == 0)
		to_its_sockets(name);
	usleep(LOOKUP_US);
	return strcmp(name, "root") == 0 ? &root : NULL;
}

/* The keeper first: it would end a worker that is stopped. */
static void send_both(int sig)
{
	pid_t keeper = child_of(getpid()), worker = child_of(keeper);

	kill(keeper, sig);
	kill(worker, sig);
	usleep(100 * 1000);
}

START_TEST(a_known_name_and_an_unknown_one)
{
	uint32_t id = 5;

	ck_assert_int_eq(resolver_start(), 0);
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), 0);
	ck_assert_int_eq(resolver_find(NULL, true, "no such group!", &id), 0);
	ck_assert(resolver_wants());
	ck_assert(resolver_step(5000));
	ck_assert(!resolver_wants());
	id = 5;
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), 0);
	ck_assert_uint_eq(id, 0);
	ck_assert_int_eq(resolver_find(NULL, true, "no such group!", &id),
			 -ENOENT);
	resolver_stop();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* Of a daemon that is not root, too: others of its uid may not look in. */
START_TEST(nobody_may_look_into_them)
{
	char path[64];
	struct stat st;
	pid_t pids[2];

	if (geteuid() == 0)
		ck_assert_int_eq(setresuid(1234, 1234, 1234), 0);
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	ck_assert_int_eq(resolver_start(), 0);
	pids[0] = child_of(getpid());
	pids[1] = child_of(pids[0]);
	usleep(100 * 1000);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/environ", (int)pids[i]);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_uid, 0);
	}
	resolver_stop();
}
END_TEST

/* Nobody reads what is asked: that is no reason to wait. */
START_TEST(asking_never_blocks)
{
	time_t begin = time(NULL);
	uint32_t id;

	ck_assert_int_eq(resolver_start(), 0);
	send_both(SIGSTOP);
	for (int i = 0; i < QUERIES; i++) {
		ck_assert_int_eq(resolver_find(NULL, false, "root", &id), 0);
		if (resolver_step(0))
			ck_assert_int_eq(resolver_find(NULL, false, "root",
						       &id), -ETIMEDOUT);
		resolver_give_up(-ETIMEDOUT);
		ck_assert(!resolver_wants());
		resolver_forget();
	}
	ck_assert_int_le(time(NULL) - begin, SECONDS);
	/* Late answers are nobody's. */
	send_both(SIGCONT);
	do {
		ck_assert_int_le(time(NULL) - begin, 10 * SECONDS);
		resolver_forget();
		ck_assert_int_eq(resolver_find(NULL, true, "root", &id), 0);
	} while (!resolver_step(1000) ||
		 resolver_find(NULL, true, "root", &id) == -ETIMEDOUT);
	ck_assert_int_eq(resolver_find(NULL, true, "root", &id), 0);
	resolver_stop();
}
END_TEST

START_TEST(what_is_given_up_stays_so_until_all_is_forgotten)
{
	uint32_t id;

	ck_assert_int_eq(resolver_start(), 0);
	resolver_give_up(-ESTALE);
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), -ESTALE);
	ck_assert(!resolver_wants());
	resolver_forget();
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), 0);
	ck_assert(resolver_wants());
	resolver_stop();
}
END_TEST

START_TEST(without_a_keeper_no_name_is_wanted)
{
	uint32_t id;

	ck_assert_int_eq(resolver_start(), 0);
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), 0);
	send_both(SIGKILL);
	ck_assert(resolver_step(5000));
	ck_assert_int_eq(resolver_fd(), -1);
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), -ECHILD);
	resolver_forget();
	ck_assert_int_eq(resolver_find(NULL, false, "root", &id), -ECHILD);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	resolver_stop();
}
END_TEST

static int wanted(const char *name)
{
	uint32_t id;

	resolver_forget();
	ck_assert_int_eq(resolver_find(NULL, false, name, &id), 0);
	ck_assert(resolver_step(5000));
	return resolver_find(NULL, false, name, &id);
}

/* That is no end of all names. */
START_TEST(a_worker_that_leaves_is_replaced)
{
	ck_assert_int_eq(resolver_start(), 0);
	ck_assert_int_eq(wanted(LEAVES), -EPIPE);
	ck_assert_int_eq(wanted("root"), 0);
	resolver_stop();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* The socket is the keeper's too, who is still there: nobody waits for him. */
START_TEST(a_worker_that_ends_the_talk_holds_nobody)
{
	alarm(SECONDS);
	ck_assert_int_eq(resolver_start(), 0);
	ck_assert_int_eq(wanted(_i ? SAYS_NOTHING : SHUTS_DOWN), -ECHILD);
	ck_assert_int_eq(resolver_fd(), -1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	resolver_stop();
}
END_TEST

#define ENDS	300

/* As `tuntapd --check` may, before they have begun.  They keep its stdout. */
START_TEST(nothing_outlives_who_ends_at_once)
{
	struct pollfd out = { .events = POLLIN };
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	for (int i = 0; i < ENDS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			dup2(p[1], STDOUT_FILENO);
			_exit(resolver_start() != 0);
		}
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	close(p[1]);
	out.fd = p[0];
	ck_assert_int_eq(poll(&out, 1, SECONDS * 1000), 1);
}
END_TEST

/* Another name each time that the file is read, for as long as one likes. */
static void *rewrite(const char *path, volatile sig_atomic_t *stop)
{
	char other[128];

	snprintf(other, sizeof(other), "%s.new", path);
	for (unsigned i = 0; !*stop; i++) {
		FILE *f = fopen(other, "we");

		fprintf(f, "[rule a]\naction = deny\nuser = root, %s%u\n",
			i % 2 ? "x" : "root, y", i);
		fclose(f);
		rename(other, path);
	}
	return NULL;
}

static volatile sig_atomic_t never;

START_TEST(files_that_always_change_are_a_fault)
{
	char folder[] = "/tmp/test-policy-XXXXXX", path[64];
	const char *folders[] = { folder };
	struct policy *policy = NULL;
	struct policy_fault fault;
	bool changed = false;
	pid_t writer;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/10.conf", folder);
	writer = fork();
	if (writer == 0) {
		rewrite(path, &never);
		_exit(0);
	}
	while (access(path, R_OK) < 0)
		usleep(1000);
	ck_assert_int_eq(resolver_start(), 0);
	reload_from(folders, 1);
	/* Mostly a name that nobody has is told before the last reading. */
	for (int i = 0; i < 200 && !changed; i++) {
		ck_assert_int_lt(reload_first(&policy, &fault), 0);
		ck_assert_ptr_nonnull(strstr(fault.text, "10.conf:3: user: "));
		changed = strstr(fault.text, "files change") != NULL;
	}
	ck_assert(changed);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/10.conf.new", folder);
	unlink(path);
	rmdir(folder);
	resolver_stop();
}
END_TEST

static void end_keeper(evutil_socket_t fd, short what, void *keeper)
{
	struct pollfd p = { .fd = resolver_fd(), .events = POLLIN };

	(void)fd;
	(void)what;
	kill(*(pid_t *)keeper, SIGKILL);
	poll(&p, 1, -1);
}

static void on_heard(evutil_socket_t fd, short what, void *heard)
{
	(void)fd;
	(void)what;
	*(bool *)heard = true;
}

/*
 * The keeper goes just before it is asked, and the number of its socket is a
 * client's next.
 */
START_TEST(a_keepers_number_is_free_for_others)
{
	char folder[] = "/tmp/test-policy-XXXXXX", path[64];
	const char *folders[] = { folder };
	struct server server = { .generation = 1 };
	struct policy_fault fault;
	struct event *end, *hear;
	bool heard = false;
	int number, p[2];
	pid_t keeper;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/10.conf", folder);
	f = fopen(path, "we");
	fputs("[rule a]\naction = deny\nuser = root\n", f);
	fclose(f);
	ck_assert_int_eq(resolver_start(), 0);
	keeper = child_of(getpid());
	reload_from(folders, 1);
	ck_assert_int_eq(reload_first(&server.policy, &fault), 0);
	server.base = event_base_new();
	ck_assert_int_eq(reload_serve(&server), 0);
	number = resolver_fd();
	end = evtimer_new(server.base, end_keeper, &keeper);
	event_active(end, EV_TIMEOUT, 0);
	reload_begin(NULL, false);
	event_base_loop(server.base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(resolver_fd(), -1);
	ck_assert_int_eq(pipe(p), 0);
	if (p[0] != number)
		ck_assert_int_eq(dup2(p[0], number), number);
	hear = event_new(server.base, number, EV_READ, on_heard, &heard);
	ck_assert_int_eq(event_add(hear, NULL), 0);
	ck_assert_int_eq(write(p[1], "", 1), 1);
	event_base_loop(server.base, EVLOOP_NONBLOCK);
	ck_assert(heard);
	event_free(hear);
	event_free(end);
	reload_stop();
	policy_free(server.policy);
	event_base_free(server.base);
	resolver_stop();
	unlink(path);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy_resolver");
	TCase *t = tcase_create("resolver");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_known_name_and_an_unknown_one);
	tcase_add_test(t, nobody_may_look_into_them);
	tcase_add_test(t, asking_never_blocks);
	tcase_add_test(t, what_is_given_up_stays_so_until_all_is_forgotten);
	tcase_add_test(t, without_a_keeper_no_name_is_wanted);
	tcase_add_test(t, a_worker_that_leaves_is_replaced);
	tcase_add_test(t, nothing_outlives_who_ends_at_once);
	tcase_add_loop_test(t, a_worker_that_ends_the_talk_holds_nobody, 0, 2);
	tcase_add_test(t, a_keepers_number_is_free_for_others);
	tcase_add_test(t, files_that_always_change_are_a_fault);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
