#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../proto/frame.h"

#define EXIT_SKIPPED	77
#define REST_MS		100
#define OPTIONS		11	/* words of the daemon's, without limits */

const char rig_policy_nobody[] =
	"[rule nobody]\n"
	"action = allow\n"
	"user = 65534\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.9.0.0/16, fd09::/32\n"
	"route = 10.0.0.0/8, fd00::/8\n"
	"max-devices = 300\n"
	"max-queues = 4\n"
	"max-addresses = 64\n"
	"max-routes = 256\n"
	"mac = chosen\n"
	"offload = yes\n";

/* --- small things ------------------------------------------------------- */

void sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

unsigned patience(void)
{
	const char *text = getenv("TEST_PATIENCE");
	int n = text ? atoi(text) : 0;

	return n > 1 ? (unsigned)n : 1;
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool eventually(bool (*condition)(void *arg), void *arg)
{
	for (int64_t end = now_ms() + EVENTUALLY_MS; now_ms() < end;) {
		if (condition(arg))
			return true;
		sleep_ms(STEP_MS);
	}
	return condition(arg);
}

static unsigned count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	ck_assert_msg(dir != NULL, "%s: %s", path, strerror(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;		/* . and .. */
}

unsigned count_fds(void)
{
	return count_entries("/proc/self/fd") - 1;	/* the folder's own */
}

const char *rig_built(const char *name)
{
	static char path[4][512];
	static unsigned turn;
	const char *build = getenv("TUNTAPD_BUILD");

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s",
		 build ? build : "build", name);
	return path[turn];
}

static char *read_all(FILE *f)
{
	char *text = NULL;
	size_t len = 0, cap = 0;
	size_t got;

	do {
		if (cap - len < 4096)
			text = realloc(text, cap += 65536);
		got = fread(text + len, 1, cap - len - 1, f);
		len += got;
	} while (got > 0);
	text[len] = '\0';
	return text;
}

char *sh(const char *fmt, ...)
{
	char command[1024], *text;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "re");
	ck_assert_msg(f != NULL, "%s: %s", command, strerror(errno));
	text = read_all(f);
	pclose(f);
	return text;
}

int sh_status(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct ttd_prefix prefix(const char *text)
{
	struct ttd_prefix p;

	ck_assert_int_eq(ttd_prefix_parse(text, &p), 0);
	return p;
}

/* --- the host ----------------------------------------------------------- */

void rig_namespaces(mode_t node_mode)
{
	static bool done;

	if (done)
		return;
	done = true;
	ck_assert_msg(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "unshare: %s",
		      strerror(errno));
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL),
			 0);
	/* A node of our own: the host's mode must not matter, nor change. */
	/* Others make it at the same time. */
	ck_assert_msg(mkdir("/dev/net", 0755) == 0 || errno == EEXIST,
		      "/dev/net: %s", strerror(errno));
	ck_assert_msg(mount("none", "/dev/net", "tmpfs", 0, "mode=0755") == 0,
		      "tmpfs on /dev/net: %s", strerror(errno));
	ck_assert_msg(mknod("/dev/net/tun", S_IFCHR | 0600, makedev(10, 200))
		      == 0, "mknod: %s", strerror(errno));
	ck_assert_int_eq(chmod("/dev/net/tun", node_mode), 0);
	/* Files go with the namespace, whatever becomes of the test. */
	ck_assert_msg(mount("none", "/run", "tmpfs", 0, "mode=0755") == 0,
		      "tmpfs on /run: %s", strerror(errno));
	ck_assert_int_eq(sh_status("ip link set lo up"), 0);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

char *host_state(void)
{
	/* IPv4 addresses have an order that matters, IPv6 ones have none. */
	return sh("ip -o link | sed -e 's/^[0-9]*: //' "
		  /* Once up, a link has a queue; while it is down that is all
		     the same. */
		  "-e '/state DOWN/s/ qdisc [a-z_]*//'; ip -o -4 addr; "
		  "ip -o -6 addr | sort; "
		  "ip route show table all; ip -6 route show table all; "
		  "ip rule; ip -6 rule");
}

static bool is_state(void *before)
{
	char *now = host_state();
	bool same = strcmp(before, now) == 0;

	free(now);
	return same;
}

void host_unchanged(char *before)
{
	if (!eventually(is_state, before)) {
		char *now = host_state();

		write_file("/run/host.before", before);
		write_file("/run/host.now", now);
		ck_abort_msg("the host is not as it was:\n%s",
			     sh("diff /run/host.before /run/host.now"));
	}
	free(before);
}

bool link_exists(const char *name)
{
	return sh_status("ip link show dev %s >/dev/null 2>&1", name) == 0;
}

static bool is_no_link(void *name)
{
	return !link_exists(name);
}

void link_goes(const char *name)
{
	ck_assert_msg(eventually(is_no_link, (void *)(uintptr_t)name),
		      "%s is still there", name);
}

unsigned tt0_routes(void)
{
	char *text = sh("ip route show dev tt0 proto 116 | grep -vc /");
	unsigned n = (unsigned)atoi(text);

	free(text);
	return n;
}

static bool has_routes(void *n)
{
	return tt0_routes() == *(unsigned *)n;
}

void ck_soon_routes(unsigned n)
{
	ck_assert_msg(eventually(has_routes, &n), "%u routes, not %u",
		      tt0_routes(), n);
}

/* --- the daemon --------------------------------------------------------- */

static bool serves(void *arg)
{
	struct rig *rig = arg;
	int sock = raw_connect(rig->admin);
	struct pollfd p = { .fd = sock, .events = POLLIN };
	bool served;
	char byte;

	if (sock < 0) {
		ck_assert_msg(waitpid(rig->daemon, NULL, WNOHANG) == 0,
			      "the daemon did not start: %s", rig_log(rig));
		return false;
	}
	/* It may be at its start still, and answer when it serves. */
	raw_send(sock, &(struct wire_message){ .type = WIRE_STATUS, .id = 1 });
	served = poll(&p, 1, DEADLINE_MS) == 1 && recv(sock, &byte, 1, 0) == 1;
	close(sock);
	return served;
}

/* Becomes the daemon. */
static void exec_daemon(struct rig *rig, const struct rig_options *o)
{
	const char *path = rig_built(o && o->fault_build ? "tuntapd-fault" :
							   "tuntapd-strict");
	const char *argv[OPTIONS + 2 * RIG_LIMITS + 1] = {
		"tuntapd", "--socket", rig->socket, "--admin-socket",
		rig->admin, "--policy", rig->policy, "--grace",
		o && o->grace ? o->grace : GRACE, "--user", RIG_USER,
	};
	unsigned n = OPTIONS;

	for (unsigned i = 0; o && i < RIG_LIMITS && o->limits[i]; i++) {
		argv[n++] = "--limit";
		argv[n++] = o->limits[i];
	}
	execv(path, (char **)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

void rig_daemon(struct rig *rig, const struct rig_options *o)
{
	int log = open(rig->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		       0600);

	ck_assert_int_ge(log, 0);
	rig->daemon = fork();
	ck_assert_int_ge(rig->daemon, 0);
	if (rig->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, STDERR_FILENO);
		setenv("TUNTAPD_FAULT", rig->fault, 1);
		if (o && o->lacks)
			setenv("TUNTAPD_FAULT_LACKS", o->lacks, 1);
		if (o && o->copies)
			setenv("TUNTAPD_SHARED", rig->shared, 1);
		exec_daemon(rig, o);
	}
	close(log);
	ck_assert_msg(eventually(serves, rig), "no daemon: %s", rig_log(rig));
}

void rig_start(struct rig *rig, const struct rig_options *o)
{
	char path[128];

	rig_namespaces(o && o->node_mode ? o->node_mode : NODE_CLOSED);
	*rig = (struct rig){ .daemon = -1 };
	snprintf(rig->dir, sizeof(rig->dir), "/run/tuntapd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->dir));
	ck_assert_int_eq(chmod(rig->dir, 0755), 0);
	/* Where the daemon makes its sockets, and removes them. */
	ck_assert_int_eq(chown(rig->dir, RIG_UID, RIG_UID), 0);
	snprintf(rig->socket, sizeof(rig->socket), "%s/tuntapd.sock", rig->dir);
	snprintf(rig->admin, sizeof(rig->admin), "%s/admin.sock", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	snprintf(rig->fault, sizeof(rig->fault), "%s/fault", rig->dir);
	snprintf(rig->shared, sizeof(rig->shared), "%s/shared", rig->dir);
	snprintf(rig->policy, sizeof(rig->policy), "%s/policy.d", rig->dir);
	ck_assert_int_eq(mkdir(rig->policy, 0755), 0);
	snprintf(path, sizeof(path), "%s/10-test.conf", rig->policy);
	write_file(path, o && o->policy ? o->policy : rig_policy_nobody);
	/* It opens this once. */
	write_file(rig->fault, "");
	rig_share(rig, false);
	rig_daemon(rig, o);
}

void rig_fail_step(const struct rig *rig, unsigned k)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", k);
	write_file(rig->fault, k ? text : "");
}

void rig_wait_at(const struct rig *rig, const char *step)
{
	static unsigned times;
	char text[64] = { 0 };
	int fd = open(rig->fault, O_WRONLY | O_CLOEXEC);

	/* In one piece: the daemon may be reading. */
	if (step)
		snprintf(text, sizeof(text), "wait %s %u", step, ++times);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, text, sizeof(text), 0),
			 (ssize_t)sizeof(text));
	close(fd);
}

void rig_share(const struct rig *rig, bool shared)
{
	write_file(rig->shared, shared ? "1" : "0");
}

void rig_fail_steps(const struct rig *rig, const char *steps)
{
	write_file(rig->fault, steps);
}

bool rig_step_failed(const struct rig *rig)
{
	struct stat st;

	return stat(rig->fault, &st) == 0 && st.st_size == 0;
}

void rig_kill(struct rig *rig, int sig)
{
	ck_assert_int_gt(rig->daemon, 0);
	kill(rig->daemon, sig);
	ck_assert_int_eq(waitpid(rig->daemon, NULL, 0), rig->daemon);
	rig->daemon = -1;
}

void rig_stop(struct rig *rig)
{
	int status;

	ck_assert_int_gt(rig->daemon, 0);
	kill(rig->daemon, SIGTERM);
	ck_assert_int_eq(waitpid(rig->daemon, &status, 0), rig->daemon);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "the daemon ended with status %#x: %s", status,
		      rig_log(rig));
	rig->daemon = -1;
}

void rig_end(struct rig *rig)
{
	if (rig->daemon > 0)
		rig_stop(rig);
}

char *rig_log(const struct rig *rig)
{
	FILE *f = fopen(rig->log, "re");
	char *text;

	if (!f)
		return strdup("(no log)");
	text = read_all(f);
	fclose(f);
	return text;
}

static unsigned daemon_fds(const struct rig *rig)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)rig->daemon);
	return count_entries(path);
}

/*
 * A connection that has just been closed here may not be there yet: the least
 * of a while is what it has at rest, since connections only add to it.
 */
unsigned rig_fds_at_rest(const struct rig *rig)
{
	unsigned least = daemon_fds(rig);

	for (int i = 0; i < REST_MS / STEP_MS; i++) {
		unsigned now = daemon_fds(rig);

		if (now < least)
			least = now;
		sleep_ms(STEP_MS);
	}
	return least;
}

void rig_may_open(const struct rig *rig, unsigned files)
{
	/* As its user: root of a container may not. */
	ck_assert_int_eq(sh_status("setpriv --reuid " RIG_USER " --regid "
				   RIG_USER " --clear-groups prlimit --pid %d "
				   "--nofile=%u:", (int)rig->daemon, files), 0);
}

struct fds {
	const struct rig *rig;
	unsigned wanted;
};

static bool has_fds(void *arg)
{
	const struct fds *fds = arg;

	return daemon_fds(fds->rig) == fds->wanted;
}

void rig_fds_return_to(const struct rig *rig, unsigned wanted)
{
	struct fds fds = { rig, wanted };

	ck_assert_msg(eventually(has_fds, &fds), "the daemon has %u fds, at "
		      "rest it had %u", daemon_fds(rig), wanted);
}

/* --- clients ------------------------------------------------------------ */

void drop_rights(void)
{
	const gid_t group = NOBODY;

	/* Setting all ids from root clears every capability set. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || setgroups(1, &group) ||
	    setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL)) {
		perror("drop_rights");
		_exit(126);
	}
}

void client_start(struct client *c, int (*fn)(void *arg), void *arg)
{
	int out[2];

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	fflush(stdout);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (c->pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		drop_rights();
		int r = fn(arg);
		fflush(stdout);
		_exit(r);
	}
	close(out[1]);
	c->out = out[0];
}

static int exec_it(void *arg)
{
	char *const *argv = arg;

	execv(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	return 127;
}

void client_exec(struct client *c, const char *const argv[])
{
	client_start(c, exec_it, (void *)(uintptr_t)argv);
}

const char *client_line(struct client *c, const char *begins)
{
	static char line[1024];
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = c->out, .events = POLLIN };

		ck_assert_msg(poll(&p, 1, DEADLINE_MS) == 1 &&
			      read(c->out, line + n, 1) == 1,
			      "the client never said \"%s...\"; last: %.*s",
			      begins, (int)n, line);
		if (line[n] != '\n') {
			n += n < sizeof(line) - 1;
			continue;
		}
		line[n] = '\0';
		n = 0;
		if (strncmp(line, begins, strlen(begins)) == 0)
			return line;
	}
}

int client_wait(struct client *c)
{
	int status;

	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	c->pid = -1;
	return status;
}

void client_kill(struct client *c, int sig)
{
	kill(c->pid, sig);
	client_wait(c);
}

void as_nobody(int (*fn)(void *arg), void *arg)
{
	struct client c;
	char text[4096];
	ssize_t n;

	client_start(&c, fn, arg);
	n = read(c.out, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	ck_assert_msg(client_wait(&c) == 0, "the client failed: %s", text);
}

/* --- raw frames --------------------------------------------------------- */

int raw_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

int rig_connect_as(const struct rig *rig, uid_t uid)
{
	int sock;

	ck_assert_int_eq(seteuid(uid), 0);
	sock = raw_connect(rig->socket);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_ge(sock, 0);
	return sock;
}

int raw_send(int sock, struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	int len = wire_encode(m, frame, sizeof(frame));

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(send(sock, frame, (size_t)len, MSG_NOSIGNAL), len);
	return len;
}

void raw_receive(int sock, struct wire_message *ret)
{
	struct frame_in in = FRAME_IN_INIT;
	struct pollfd p = { .fd = sock, .events = POLLIN };

	ck_assert_msg(poll(&p, 1, 2 * DEADLINE_MS) == 1, "no answer");
	ck_assert_int_eq(frame_receive(&in, sock, WIRE_FROM_DAEMON,
				       WIRE_QUEUES_MAX), 1);
	ck_assert_int_eq(wire_decode(in.frame, in.header.length, ret, NULL), 0);
	frame_in_reset(&in);
}

bool raw_closed(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	char byte;

	return poll(&p, 1, 2 * DEADLINE_MS) == 1 &&
	       recv(sock, &byte, 1, 0) <= 0;
}

struct wire_message raw_open_request(void)
{
	return (struct wire_message){
		.type = WIRE_OPEN, .id = 7,
		.open = { .layer = WIRE_TUN, .queues = 1 },
	};
}

/* --- running ------------------------------------------------------------ */

void live_skip(const char *test, const char *reason)
{
	printf("SKIP %s: %s\n", test, reason);
	fflush(stdout);
}

bool live_too_slow(const char *test)
{
	if (patience() == 1)
		return false;
	live_skip(test, "this processor is too slow to do it fast enough");
	return true;
}

int live_main(const char *name, Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		live_skip(name, "needs root: it makes network namespaces");
		srunner_free(runner);
		return EXIT_SKIPPED;
	}
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
