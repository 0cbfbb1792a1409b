/* The daemon as a process: options, sockets, start, end, what it needs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../daemon/notify.h"
#include "harness.h"

/* Linux 6.16; older headers do not have it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define STARTS 10

static struct rig rig;

/* In a network namespace of its own, as there is one daemon in each. */
static void expect(const char *command, int status, const char *says)
{
	char *text = sh("{ timeout 10 unshare --net %s --user "
			RIG_USER " %s; echo \"exit $?\"; "
			"} 2>&1", rig_built("tuntapd"), command);
	char end[32];

	snprintf(end, sizeof(end), "exit %d\n", status);
	ck_assert_msg(strstr(text, end) != NULL, "%s: %s", command, text);
	ck_assert_msg(strstr(text, says) != NULL, "%s: %s", command, text);
	free(text);
}

static void write_policy(const char *file, const char *text)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig.policy, file);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

START_TEST(options_and_their_errors)
{
	char command[512];

	rig_start(&rig, NULL);
	expect("--version", 0, "tuntapd 0.");
	expect("--help", 0, "usage: tuntapd");
	expect("--colour blue", 2, "usage: tuntapd");
	expect("--limit hops=3", 2, "no limit of that name");
	expect("--limit hops=3", 2, "idle-seconds=30");
	expect("--limit idle-seconds", 2, "NAME=NUMBER");
	expect("--limit idle-seconds=", 2, "1 to 3600");
	expect("--limit idle-seconds=0", 2, "1 to 3600");
	expect("--limit idle-seconds=-1", 2, "1 to 3600");
	expect("--limit idle-seconds=5s", 2, "1 to 3600");
	expect("--limit idle-seconds=99999999999999999999", 2, "1 to 3600");
	expect("argument", 2, "takes no arguments");
	expect("--socket", 2, "requires an argument");
	snprintf(command, sizeof(command), "--check --policy %s", rig.policy);
	expect(command, 0, "1 rule, no faults");
	write_policy("20-bad.conf", "[rule b]\naction = allow\nuser = nobody!\n");
	expect(command, 1, "20-bad.conf:3");
	/* A wrong policy keeps it from starting, too. */
	snprintf(command, sizeof(command), "--policy %s --socket %s/s "
		 "--admin-socket %s/a", rig.policy, rig.dir, rig.dir);
	expect(command, 1, "20-bad.conf:3");
	rig_end(&rig);
}
END_TEST

/* The first `most` connections are served, the next one is not. */
static int has_connections(void *arg)
{
	int most = *(int *)arg, sock = -1;
	struct wire_message m;

	for (int i = 0; i < most; i++) {
		sock = raw_connect(rig.socket);
		m = (struct wire_message){ .type = WIRE_STATUS, .id = 1 };
		raw_send(sock, &m);
		raw_receive(sock, &m);
		if (m.type != WIRE_STATE)
			return 1;
	}
	raw_receive(raw_connect(rig.socket), &m);
	puts(m.refused.text);
	if (m.type != WIRE_REFUSED || m.refused.code != WIRE_E_FULL)
		return 1;
	/* And without a word for so long they end. */
	raw_receive(sock, &m);
	return m.type != WIRE_REFUSED || m.refused.code != WIRE_E_TIMED_OUT;
}

START_TEST(a_limit_is_what_was_set)
{
	struct rig_options o = {
		.limits = { "connections-of-user=5", "idle-seconds=1" },
	};
	int most = 5;

	rig_start(&rig, &o);
	as_nobody(has_connections, &most);
	rig_stop(&rig);
	o.limits[0] = "connections=3";
	rig_daemon(&rig, &o);
	most = 3;
	as_nobody(has_connections, &most);
	rig_end(&rig);
}
END_TEST

START_TEST(a_second_daemon_keeps_off_a_served_socket)
{
	char command[512];

	rig_start(&rig, NULL);
	snprintf(command, sizeof(command), "--policy %s --socket %s "
		 "--admin-socket %s/other", rig.policy, rig.socket, rig.dir);
	expect(command, 1, "another tuntapd");
	/* Nor does it take the place of what is no socket. */
	ck_assert_int_eq(sh_status("echo precious > %s/file", rig.dir), 0);
	snprintf(command, sizeof(command), "--policy %s --socket %s/file "
		 "--admin-socket %s/other", rig.policy, rig.dir, rig.dir);
	expect(command, 1, "remove the file");
	ck_assert_int_eq(sh_status("grep -q precious %s/file", rig.dir), 0);
	rig_end(&rig);
}
END_TEST

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	return st.st_mode & 07777;
}

START_TEST(sockets_have_their_modes_and_go_at_the_end)
{
	rig_start(&rig, NULL);
	ck_assert_uint_eq(mode_of(rig.socket), 0666);
	ck_assert_uint_eq(mode_of(rig.admin), 0600);
	rig_stop(&rig);
	ck_assert_int_ne(access(rig.socket, F_OK), 0);
	ck_assert_int_ne(access(rig.admin, F_OK), 0);
	/* What a killed one leaves is replaced by the next. */
	rig_daemon(&rig, NULL);
	rig_kill(&rig, SIGKILL);
	ck_assert_int_eq(access(rig.socket, F_OK), 0);
	rig_daemon(&rig, NULL);
	ck_assert_uint_eq(mode_of(rig.socket), 0666);
	rig_end(&rig);
}
END_TEST

/* What a daemon with its socket there says, if it ends. */
static bool keeps_off(void)
{
	return sh_status("timeout 10 unshare --net %s --user " RIG_USER " "
			 "--policy %s --socket %s --admin-socket %s 2>&1 | "
			 "grep -q 'does another tuntapd run'",
			 rig_built("tuntapd"), rig.policy, rig.socket,
			 rig.admin) == 0;
}

/* That another has, whatever comes of connecting to it. */
START_TEST(a_socket_of_somebody_else_stays_his)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock, waiting;
	struct stat before, now;

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig.socket);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(sock, (void *)&addr, sizeof(addr)), 0);
	/* Or the daemon is not the one to ask. */
	ck_assert_int_eq(chmod(rig.socket, 0666), 0);
	ck_assert_int_eq(stat(rig.socket, &before), 0);
	/* It does not listen yet, */
	ck_assert(keeps_off());
	/* has no room for one more, */
	ck_assert_int_eq(listen(sock, 0), 0);
	waiting = raw_connect(rig.socket);
	ck_assert(keeps_off());
	/* and has no connection of the daemon's that it would take for one. */
	close(accept(sock, NULL, NULL));
	ck_assert(keeps_off());
	ck_assert_int_eq(fcntl(sock, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_lt(accept(sock, NULL, NULL), 0);
	ck_assert_int_eq(stat(rig.socket, &now), 0);
	ck_assert_uint_eq(now.st_ino, before.st_ino);
	close(waiting);
	close(sock);
	rig_daemon(&rig, NULL);
	rig_end(&rig);
}
END_TEST

/* Whoever is told to end as soon as it can be seen takes its sockets along. */
START_TEST(ended_while_it_starts)
{
	rig_start(&rig, NULL);
	rig_stop(&rig);
	for (int i = 0; i < STARTS; i++) {
		rig.daemon = fork();
		if (rig.daemon == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			execl(rig_built("tuntapd"), "tuntapd",
			      "--socket", rig.socket,
			      "--admin-socket", rig.admin, "--user", RIG_USER,
			      "--policy", rig.policy, (char *)NULL);
			_exit(127);
		}
		while (access(rig.socket, F_OK) != 0)
			ck_assert_int_eq(waitpid(rig.daemon, NULL, WNOHANG), 0);
		rig_stop(&rig);
		ck_assert_int_ne(access(rig.socket, F_OK), 0);
		ck_assert_int_ne(access(rig.admin, F_OK), 0);
	}
	rig_end(&rig);
}
END_TEST

/* timeout(1) sends two: its own, and one to all of the group. */
START_TEST(a_second_signal_changes_nothing)
{
	int status;

	rig_start(&rig, NULL);
	for (int i = 0; i < STARTS; i++) {
		do
			kill(rig.daemon, i % 2 ? SIGTERM : SIGINT);
		while (waitpid(rig.daemon, &status, WNOHANG) == 0);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
			      "%d: %x", i, (unsigned)status);
		ck_assert_int_ne(access(rig.socket, F_OK), 0);
		ck_assert_int_ne(access(rig.admin, F_OK), 0);
		rig_daemon(&rig, NULL);
	}
	rig_end(&rig);
}
END_TEST

/* As systemd's, which takes the place of one that was started by hand. */
START_TEST(a_socket_in_its_place_stays)
{
	rig_start(&rig, NULL);
	ck_assert_int_eq(unlink(rig.socket), 0);
	ck_assert_int_eq(sh_status("touch %s", rig.socket), 0);
	rig_stop(&rig);
	ck_assert_int_eq(access(rig.socket, F_OK), 0);
	ck_assert_int_ne(access(rig.admin, F_OK), 0);
	ck_assert_int_eq(unlink(rig.socket), 0);
	rig_daemon(&rig, NULL);
	rig_end(&rig);
}
END_TEST

/* A listening socket at number `fd`, inheritable. */
static void listener_at(const char *path, int fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (bind(sock, (void *)&addr, sizeof(addr)) || listen(sock, 8) ||
	    chmod(path, 0666))
		_exit(120);
	if (sock != fd && dup2(sock, fd) != fd)
		_exit(121);
	fcntl(fd, F_SETFD, 0);
}

/* How many leases it tells us of, who are root. */
static void tells_leases(const char *path, unsigned n)
{
	struct wire_message m = { .type = WIRE_LIST, .id = 4 };
	int sock = -1;

	for (int i = 0; i < 200 && sock < 0; i++) {
		sock = raw_connect(path);
		if (sock < 0)
			sleep_ms(10);
	}
	ck_assert_int_ge(sock, 0);
	raw_send(sock, &m);
	do
		raw_receive(sock, &m);
	while (m.type == WIRE_LEASE);
	ck_assert_int_eq(m.type, WIRE_DONE);
	ck_assert_uint_eq(m.id, 4);
	ck_assert_uint_eq(m.done.count, n);
	close(sock);
}

START_TEST(sockets_passed_in_by_name)
{
	char admin[128], public[128];
	struct client c;

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(admin, sizeof(admin), "%s/passed-admin", rig.dir);
	snprintf(public, sizeof(public), "%s/passed-public", rig.dir);
	rig.daemon = fork();
	if (rig.daemon == 0) {
		char pid[16];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		listener_at(admin, 3);		/* the other way round */
		listener_at(public, 4);
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "2", 1);
		setenv("LISTEN_FDNAMES", "admin:public", 1);
		execl(rig_built("tuntapd"), "tuntapd", "--policy", rig.policy,
		      "--user", RIG_USER, (char *)NULL);
		_exit(127);
	}
	tells_leases(public, 0);
	const char *const argv[] = { rig_built("examples/tun-echo"), "--socket",
				     public, NULL };
	client_exec(&c, argv);
	client_line(&c, "ready");
	/* Another uid's lease: the admin socket's alone to tell. */
	tells_leases(admin, 1);
	tells_leases(public, 0);
	client_kill(&c, SIGKILL);
	rig_stop(&rig);
	/* They are not ours to remove. */
	ck_assert_int_eq(access(admin, F_OK), 0);
	ck_assert_int_eq(access(public, F_OK), 0);
	rig_end(&rig);
}
END_TEST

START_TEST(a_passed_fd_that_is_no_listener_is_an_error)
{
	rig_start(&rig, NULL);
	ck_assert_int_eq(sh_status("LISTEN_FDS=1 unshare --net sh -c "
				   "'LISTEN_PID=$$ exec %s --user " RIG_USER " --policy %s 3</dev/null' 2>&1 | grep -q "
				   "'passed socket 3'", rig_built("tuntapd"),
				   rig.policy), 0);
	rig_end(&rig);
}
END_TEST

/* --- the service manager ------------------------------------------------ */

static int manager;

/* Of `path`, which the daemon is told of. */
static void manager_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 10 };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

/* The next word of it but WATCHDOG=1, or that too. */
static void manager_hears(const char *begins)
{
	char text[128];
	ssize_t n;

	do {
		n = recv(manager, text, sizeof(text) - 1, 0);
		ck_assert_msg(n > 0, "not told: %s", begins);
		text[n] = '\0';
	} while (strcmp(text, "WATCHDOG=1") == 0 && strcmp(begins, text) != 0);
	ck_assert_msg(strncmp(text, begins, strlen(begins)) == 0, "%s: %s",
		      begins, text);
}

/* How many words may wait until it takes one. */
static int manager_queue(void)
{
	char *most = sh("cat /proc/sys/net/unix/max_dgram_qlen");
	int n = atoi(most);

	free(most);
	return n + 1;
}

START_TEST(the_service_manager_is_told)
{
	char path[128];

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(path, sizeof(path), "%s/notify", rig.dir);
	manager_at(path);
	setenv("WATCHDOG_USEC", "200000", 1);
	rig_daemon(&rig, NULL);
	manager_hears("READY=1");
	manager_hears("WATCHDOG=1");
	manager_hears("WATCHDOG=1");
	kill(rig.daemon, SIGHUP);
	manager_hears("RELOADING=1\nMONOTONIC_USEC=");
	manager_hears("READY=1");
	/* Also where the policy stays as it was. */
	write_policy("20-bad.conf", "nonsense\n");
	kill(rig.daemon, SIGHUP);
	manager_hears("RELOADING=1\nMONOTONIC_USEC=");
	manager_hears("READY=1");
	rig_stop(&rig);
	manager_hears("STOPPING=1");
	close(manager);
	rig_end(&rig);
}
END_TEST

#define WATCHED_MS	500

/* Each word is taken at once: a queue that is full would hide how many come. */
START_TEST(no_watchdog_makes_the_daemon_spin)
{
	char path[128];
	int64_t begun;
	int n = 0;

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(path, sizeof(path), "%s/notify", rig.dir);
	manager_at(path);
	setenv("WATCHDOG_USEC", "1", 1);
	rig_daemon(&rig, NULL);
	manager_hears("READY=1");
	begun = now_ms();
	for (; now_ms() - begun < WATCHED_MS; n++)
		manager_hears("WATCHDOG=1");
	/* Those of the queue, as long as it is, have come before. */
	ck_assert_int_le(n, (now_ms() - begun) / NOTIFY_WATCHDOG_MS +
			 manager_queue());
	rig_end(&rig);
	close(manager);
}
END_TEST

START_TEST(the_watchdog_of_another_process_is_not_fed)
{
	char path[128], text[128];

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(path, sizeof(path), "%s/notify", rig.dir);
	manager_at(path);
	setenv("WATCHDOG_USEC", "20000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	rig_daemon(&rig, NULL);
	manager_hears("READY=1");
	sleep_ms(200);
	ck_assert_int_lt(recv(manager, text, sizeof(text), MSG_DONTWAIT), 0);
	rig_stop(&rig);
	manager_hears("STOPPING=1");
	close(manager);
	/* Nobody there to be told is a fault: he would wait in vain. */
	ck_assert_int_eq(sh_status("NOTIFY_SOCKET=%s/nobody unshare --net %s "
				   "--user " RIG_USER " --policy %s 2>&1 | "
				   "grep -q NOTIFY_SOCKET", rig.dir,
				   rig_built("tuntapd"), rig.policy), 0);
	rig_end(&rig);
}
END_TEST

/* --- the device node ---------------------------------------------------- */

static int open_says(void *arg)
{
	const char *const *says = arg;
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = rig.socket;
	if (ttd_open(&o, &dev, &e) != -ENODEV) {
		printf("not ENODEV: %s\n", e.text);
		return 1;
	}
	puts(e.text);
	return !strstr(e.text, says[0]) || !strstr(e.text, says[1]);
}

START_TEST(a_missing_device_node_is_told)
{
	const char *says[] = { "/dev/net/tun", "mknod" };
	struct rig_options o = { .node_mode = NODE_OPEN };

	rig_start(&rig, &o);
	ck_assert_int_eq(unlink("/dev/net/tun"), 0);
	as_nobody(open_says, says);
	rig_end(&rig);
}
END_TEST

START_TEST(a_closed_device_node_is_told)
{
	const char *says[] = { "/dev/net/tun", "chmod" };

	rig_start(&rig, NULL);
	rig_stop(&rig);
	/* A daemon of another user: CAP_NET_ADMIN opens no 0600 node. */
	ck_assert_int_eq(chown(rig.dir, 1234, 1234), 0);
	rig.daemon = fork();
	if (rig.daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("setpriv", "setpriv", "--reuid", "1234", "--regid",
		       "1234", "--clear-groups", "--inh-caps", "+net_admin",
		       "--ambient-caps", "+net_admin", rig_built("tuntapd"),
		       "--socket", rig.socket, "--admin-socket", rig.admin,
		       "--policy", rig.policy, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && access(rig.admin, F_OK); i++)
		sleep_ms(10);
	as_nobody(open_says, says);
	/* And where the node lets it in, CAP_NET_ADMIN is all it needs. */
	ck_assert_int_eq(chmod("/dev/net/tun", NODE_OPEN), 0);
	struct client c;
	const char *const argv[] = {
		rig_built("examples/tun-echo"), "--socket", rig.socket,
		"--address", "10.9.0.1/24", NULL
	};
	client_exec(&c, argv);
	client_line(&c, "ready");
	ck_assert_int_eq(sh_status("ping -n -q -c 1 -W 2 10.9.0.7 >/dev/null"),
			 0);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* As this kernel has it, by the same question asked here. */
START_TEST(status_tells_what_the_kernel_has)
{
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;
	bool refuses = setsockopt(s, SOL_SOCKET, SO_PASSRIGHTS, &off,
				  sizeof(off)) == 0;
	char *text;

	close(s);
	rig_start(&rig, NULL);
	text = sh("%s --socket %s status --json", rig_built("tuntapctl"),
		  rig.admin);
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"devices\", "
					   "\"has\": true"));
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"guard\", "
					   "\"has\": true"));
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"offload\""));
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"unix-diag\""));
	ck_assert_ptr_nonnull(strstr(text, refuses ?
		"\"name\": \"fd-refusal\", \"has\": true" :
		"\"name\": \"fd-refusal\", \"has\": false"));
	free(text);
	text = sh("%s --socket %s status", rig_built("tuntapctl"), rig.admin);
	ck_assert_int_eq(sh_status("%s --socket %s status | grep -q \"^kernel "
				   "*$(uname -r), has \"",
				   rig_built("tuntapctl"), rig.admin), 0);
	ck_assert_int_eq(!strstr(text, "fd-refusal: "), refuses);
	free(text);
	rig_end(&rig);
}
END_TEST

static int open_by_environment(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	(void)arg;
	setenv("TUNTAPD_SOCKET", rig.socket, 1);
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	ttd_free(dev);
	return 0;
}

START_TEST(library_finds_the_socket_by_the_environment)
{
	rig_start(&rig, NULL);
	as_nobody(open_by_environment, NULL);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, options_and_their_errors);
	tcase_add_test(t, a_limit_is_what_was_set);
	tcase_add_test(t, a_second_daemon_keeps_off_a_served_socket);
	tcase_add_test(t, sockets_have_their_modes_and_go_at_the_end);
	tcase_add_test(t, a_socket_of_somebody_else_stays_his);
	tcase_add_test(t, ended_while_it_starts);
	tcase_add_test(t, a_second_signal_changes_nothing);
	tcase_add_test(t, a_socket_in_its_place_stays);
	tcase_add_test(t, sockets_passed_in_by_name);
	tcase_add_test(t, a_passed_fd_that_is_no_listener_is_an_error);
	tcase_add_test(t, the_service_manager_is_told);
	tcase_add_test(t, no_watchdog_makes_the_daemon_spin);
	tcase_add_test(t, the_watchdog_of_another_process_is_not_fed);
	tcase_add_test(t, a_missing_device_node_is_told);
	tcase_add_test(t, a_closed_device_node_is_told);
	tcase_add_test(t, status_tells_what_the_kernel_has);
	tcase_add_test(t, library_finds_the_socket_by_the_environment);
	suite_add_tcase(s, t);
	return live_main("daemon", s);
}
