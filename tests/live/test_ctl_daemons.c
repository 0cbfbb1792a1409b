/*
 * Each subcommand of tuntapctl, where the daemon is dead, hangs, is of another
 * release, or is none: it says which, exits with a number of its own, and that
 * soon.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../ctl/command.h"
#include "harness.h"

#define SOON_MS		2000	/* what is promised */
#define BACKLOG		4
#define AT_ONCE		3	/* so that it takes no minutes */
#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))

static char path[96];
static struct rig rig;

/* --- daemons ------------------------------------------------------------- */

static int listener(int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, sizeof(path), "/run/s");
	memcpy(addr.sun_path, path, strlen(path));
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(sock, backlog), 0);
	return sock;
}

static void no_socket(void)
{
	snprintf(path, sizeof(path), "/run/s");
}

static void nobody_listens(void)
{
	close(listener(1));
}

static void accepts_nothing(void)
{
	listener(BACKLOG * AT_ONCE);
}

static void backlog_is_full(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock;

	listener(0);
	memcpy(addr.sun_path, path, strlen(path));
	do
		sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	ck_assert_int_eq(errno, EAGAIN);
}

static void is_stopped(void)
{
	rig_start(&rig, NULL);
	snprintf(path, sizeof(path), "%s", rig.admin);
	kill(rig.daemon, SIGSTOP);
}

/* Serves each connection in a process of its own. */
static void serve(void (*talk)(int fd))
{
	int sock = listener(BACKLOG * AT_ONCE);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0) {
		close(sock);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(sock, NULL, NULL);

		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			talk(fd);
			_exit(0);
		}
		close(fd);
	}
}

static void wait_for_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* It keeps silent when told that nothing follows, as one that hangs does. */
static void silent(int fd)
{
	wait_for_end(fd);
	pause();
}

/* A STATE of a release before all, as bytes. */
static size_t state(uint8_t frame[WIRE_FRAME_MAX])
{
	struct wire_message m = { .type = WIRE_STATE, .id = 1,
				  .state.version = "0.0.1" };

	return (size_t)wire_encode(&m, frame, WIRE_FRAME_MAX);
}

static bool read_request(int fd, struct wire_header *h)
{
	uint8_t head[WIRE_HEADER_LEN], rest[WIRE_FRAME_MAX];
	size_t n;

	if (recv(fd, head, sizeof(head), MSG_WAITALL) != sizeof(head) ||
	    wire_header(head, h) < 0)
		return false;
	n = h->length - sizeof(head);
	/* of no bytes it would wait for some */
	return n == 0 || recv(fd, rest, n, MSG_WAITALL) == (ssize_t)n;
}

static void half_a_frame(int fd)
{
	uint8_t frame[WIRE_FRAME_MAX];
	struct wire_header h;

	read_request(fd, &h);
	(void)!write(fd, frame, state(frame) / 2);
	silent(fd);
}

/* A STATE with this byte another one, and so many more behind it. */
static void changed_state(int fd, size_t at, uint8_t byte, size_t more)
{
	uint8_t frame[WIRE_FRAME_MAX] = { 0 };
	size_t n = state(frame);
	struct wire_header h;

	read_request(fd, &h);
	n += more;
	frame[0] = (uint8_t)n;
	if (at)
		frame[at] = byte;
	(void)!write(fd, frame, n);
	wait_for_end(fd);
}

static void lower_version(int fd)
{
	changed_state(fd, 4, WIRE_VERSION - 1, 0);
}

static void higher_version(int fd)
{
	changed_state(fd, 4, WIRE_VERSION + 1, 0);
}

static void unknown_answer(int fd)
{
	changed_state(fd, 5, 250, 0);
}

static void longer_answer(int fd)
{
	changed_state(fd, 0, 0, 8);
}

/* It knows STATUS alone. */
static void knows_little(int fd)
{
	struct wire_message no = { .type = WIRE_REFUSED, .id = 2, .refused = {
		.code = WIRE_E_UNKNOWN, .step = "request" } };
	uint8_t frame[WIRE_FRAME_MAX];
	struct wire_header h;
	int n;

	while (read_request(fd, &h)) {
		no.id = h.id;
		n = h.type == WIRE_STATUS ? (int)state(frame) :
		    wire_encode(&no, frame, sizeof(frame));
		(void)!write(fd, frame, (size_t)n);
	}
}

/* Until there is a line, or no more of it. */
static void http(int fd)
{
	static const char no[] = "HTTP/1.1 400 Bad Request\r\n"
				 "Connection: close\r\n\r\n";
	char byte;

	while (read(fd, &byte, 1) == 1 && byte != '\n')
		;
	(void)!write(fd, no, sizeof(no) - 1);
}

static void echoes(int fd)
{
	char byte;

	while (read(fd, &byte, 1) == 1)
		(void)!write(fd, &byte, 1);
}

static void garbage(int fd)
{
	uint8_t noise[64];

	memset(noise, 0xa5, sizeof(noise));
	(void)!write(fd, noise, sizeof(noise));
	wait_for_end(fd);
}

static void hangs_up(int fd)
{
	(void)fd;
}

static const struct {
	const char *name;
	void (*start)(void);		/* or NULL, and this serves: */
	void (*talk)(int fd);
	int status;
	const char *says;
} daemons[] = {
	{ "no socket", no_socket, NULL, EXIT_NO_DAEMON, "there is no socket" },
	{ "nobody listens", nobody_listens, NULL, EXIT_NO_DAEMON,
	  "nobody listens at" },
	{ "backlog full", backlog_is_full, NULL, EXIT_SILENT,
	  "its backlog is full" },
	{ "accepts nothing", accepts_nothing, NULL, EXIT_SILENT,
	  "did not answer" },
	{ "stopped", is_stopped, NULL, EXIT_SILENT, "did not answer" },
	{ "silent", NULL, silent, EXIT_SILENT, "did not answer" },
	{ "half a frame", NULL, half_a_frame, EXIT_SILENT,
	  "did not end its answer" },
	{ "lower version", NULL, lower_version, EXIT_OLDER, "is older" },
	{ "knows little", NULL, knows_little, EXIT_OLDER,
	  "does not know the request" },
	{ "higher version", NULL, higher_version, EXIT_NEWER, "is newer" },
	{ "unknown answer", NULL, unknown_answer, EXIT_NEWER, "is newer" },
	{ "longer answer", NULL, longer_answer, EXIT_NEWER, "is newer" },
	{ "http", NULL, http, EXIT_FOREIGN, "is not tuntapd" },
	{ "echo", NULL, echoes, EXIT_FOREIGN, "is not tuntapd" },
	{ "garbage", NULL, garbage, EXIT_FOREIGN, "is not tuntapd" },
	{ "hangs up", NULL, hangs_up, EXIT_FOREIGN, "is not tuntapd" },
};

/* --- commands ------------------------------------------------------------ */

static const struct {
	const char *command;
	int status;		/* of all that is wrong; 0: the daemon's */
	bool asks_more;		/* than STATUS */
} commands[] = {
	{ "status", 0, false },
	{ "version", 0, false },
	{ "doctor", EXIT_FAULTS, false },
	{ "list --json", 0, true },
	{ "show tt0", 0, true },
	{ "stats --watch", 0, true },
	{ "monitor --json", 0, true },
	{ "reload", 0, true },
	{ "close --all", 0, true },
	{ "policy check --tun", 0, true },
	{ "policy show", 0, true },
	{ "run --tun -- true", EXIT_NO_DEVICE, false },
};

struct attempt {
	pid_t pid;
	int64_t began, took;
	int status;
};

static void begin(struct attempt *a, int number)
{
	char line[256];

	snprintf(line, sizeof(line), "exec %s --socket %s %s >/run/out.%d 2>&1",
		 rig_built("tuntapctl"), path, commands[number].command,
		 number);
	*a = (struct attempt){ .began = now_ms() };
	a->pid = fork();
	ck_assert_int_ge(a->pid, 0);
	if (a->pid == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(99);
	}
}

static void await(struct attempt *a, int n)
{
	for (int left = n; left > 0; sleep_ms(STEP_MS))
		for (int i = 0; i < n; i++) {
			int status;

			if (a[i].pid == 0 ||
			    waitpid(a[i].pid, &status, WNOHANG) == 0)
				continue;
			a[i].took = now_ms() - a[i].began;
			a[i].status = WIFEXITED(status) ? WEXITSTATUS(status) :
				      -1;
			a[i].pid = 0;
			left--;
		}
}

static void judge(const struct attempt *a, int daemon, int number)
{
	char *said = sh("cat /run/out.%d", number);
	int wanted = commands[number].status ? commands[number].status :
		     daemons[daemon].status;

	ck_assert_msg(a->status == wanted, "%s, %s: exit status %d, not %d: %s",
		      daemons[daemon].name, commands[number].command,
		      a->status, wanted, said);
	ck_assert_msg(strstr(said, daemons[daemon].says) != NULL,
		      "%s, %s: %s", daemons[daemon].name,
		      commands[number].command, said);
	/* A sanitizer may take as long as the rest to come up. */
	ck_assert_msg(a->took <= SOON_MS * (int64_t)patience() *
		      (getenv("TUNTAPD_SANITIZED") ? 2 : 1),
		      "%s, %s: it took %lld ms", daemons[daemon].name,
		      commands[number].command, (long long)a->took);
	free(said);
}

START_TEST(each_command_tells_what_the_daemon_is)
{
	struct attempt all[COUNT(commands)];
	int first, n;

	rig_namespaces(NODE_OPEN);
	if (daemons[_i].start)
		daemons[_i].start();
	else
		serve(daemons[_i].talk);
	for (first = 0; first < COUNT(commands); first += n) {
		for (n = 0; n < AT_ONCE && first + n < COUNT(commands); n++)
			begin(&all[first + n], first + n);
		await(&all[first], n);
	}
	for (int i = 0; i < COUNT(commands); i++)
		if (daemons[_i].talk != knows_little || commands[i].asks_more)
			judge(&all[i], _i, i);
	if (daemons[_i].start == is_stopped)
		rig_kill(&rig, SIGKILL);
}
END_TEST

/* It is there at once, and reloads in more than the time that is for that. */
static void takes_its_time(int fd)
{
	struct wire_message done = { .type = WIRE_RELOADED, .id = 2 };
	uint8_t frame[WIRE_FRAME_MAX];
	struct wire_header h;
	int n;

	read_request(fd, &h);
	(void)!write(fd, frame, state(frame));
	if (!read_request(fd, &h) || h.type != WIRE_RELOAD)
		return;
	sleep_ms(SOON_MS + SOON_MS / 4);
	n = wire_encode(&done, frame, sizeof(frame));
	(void)!write(fd, frame, (size_t)n);
	wait_for_end(fd);
}

START_TEST(a_daemon_that_is_at_it_is_waited_for)
{
	rig_namespaces(NODE_OPEN);
	serve(takes_its_time);
	ck_assert_int_eq(sh_status("%s --socket %s reload >/run/out 2>&1",
				   rig_built("tuntapctl"), path), 0);
	ck_assert_int_eq(sh_status("grep -q 'policy generation' /run/out"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl_daemons");
	TCase *t = tcase_create("daemons");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, each_command_tells_what_the_daemon_is, 0,
			    COUNT(daemons));
	tcase_add_test(t, a_daemon_that_is_at_it_is_waited_for);
	suite_add_tcase(suite, t);
	return live_main("ctl_daemons", suite);
}
