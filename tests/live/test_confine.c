/*
 * What the daemon has given up when it serves: looked at from outside, and
 * tried from inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "harness.h"

static struct rig rig;

static bool sanitized(const char *test)
{
	if (!getenv("TUNTAPD_SANITIZED"))
		return false;
	live_skip(test, "a sanitizer wants more than a confined daemon has");
	return true;
}

/* --- whom it runs as ---------------------------------------------------- */

static void is_in_status(const char *line)
{
	char *found = sh("grep -Lx '%s' /proc/%d/task/*/status", line,
			 (int)rig.daemon);

	ck_assert_msg(!*found, "not \"%s\" in %s", line, found);
	free(found);
}

START_TEST(all_its_threads_have_one_capability)
{
	char *threads;

	rig_start(&rig, NULL);
	threads = sh("ls /proc/%d/task | wc -l", (int)rig.daemon);
	ck_assert_str_eq(threads, "2\n");
	free(threads);
	is_in_status("Uid:\t65533\t65533\t65533\t65533");
	is_in_status("Gid:\t65533\t65533\t65533\t65533");
	is_in_status("Groups:\t ");
	is_in_status("CapInh:\t0000000000000000");
	is_in_status("CapPrm:\t0000000000001000");
	is_in_status("CapEff:\t0000000000001000");
	is_in_status("CapBnd:\t0000000000001000");
	is_in_status("CapAmb:\t0000000000000000");
	is_in_status("NoNewPrivs:\t1");
	if (!getenv("TUNTAPD_SANITIZED"))
		is_in_status("Seccomp:\t2");
	/* Before its clients, where many of them are busy. */
	ck_assert_int_eq(sh_status("ps -L -o ni= -p %d | grep -qvx ' *-5'",
				   (int)rig.daemon), 1);
	rig_end(&rig);
}
END_TEST

static void is_closed_to(const char *user)
{
	/* What it has in /proc is root's then. */
	ck_assert_int_eq(sh_status("test $(stat -c %%u /proc/%d/environ) = 0",
				   (int)rig.daemon), 0);
	ck_assert_int_ne(sh_status("setpriv --reuid %s --regid %s "
				   "--clear-groups cat /proc/%d/environ "
				   ">/dev/null 2>&1", user, user,
				   (int)rig.daemon), 0);
}

START_TEST(its_user_cannot_look_into_it)
{
	if (sanitized("its_user_cannot_look_into_it"))
		return;
	rig_start(&rig, NULL);
	is_closed_to(RIG_USER);
	rig_end(&rig);
}
END_TEST

static bool serves_on(void *path)
{
	return sh_status("timeout 5 %s status --socket %s >/dev/null 2>&1",
			 rig_built("tuntapctl"), (const char *)path) == 0;
}

/* As a service manager does: nothing that only a change of uid would do. */
static pid_t start_with_one_capability(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		if (open(rig.log, O_WRONLY | O_APPEND) == STDERR_FILENO)
			execlp("setpriv", "setpriv", "--pdeathsig", "KILL",
			       "--reuid", "1", "--regid", "1",
			       "--clear-groups", "--inh-caps", "+net_admin",
			       "--ambient-caps", "+net_admin",
			       rig_built("tuntapd-strict"), "--policy",
			       rig.policy, "--socket", rig.socket,
			       "--admin-socket", rig.admin, NULL);
		_exit(127);
	}
	return pid;
}

START_TEST(who_starts_it_with_one_capability_gets_the_same)
{
	if (sanitized("who_starts_it_with_one_capability_gets_the_same"))
		return;
	rig_start(&rig, NULL);
	rig_stop(&rig);
	ck_assert_int_eq(chown(rig.dir, 1, 1), 0);
	rig.daemon = start_with_one_capability();
	ck_assert_msg(eventually(serves_on, rig.admin), "%s", rig_log(&rig));
	is_in_status("Uid:\t1\t1\t1\t1");
	is_in_status("CapInh:\t0000000000000000");
	is_in_status("CapPrm:\t0000000000001000");
	is_in_status("CapEff:\t0000000000001000");
	is_in_status("CapAmb:\t0000000000000000");
	is_in_status("NoNewPrivs:\t1");
	is_in_status("Seccomp:\t2");
	is_closed_to("1");
	rig_end(&rig);
}
END_TEST

/* Starts one as this user, with the sockets in a folder that is not there. */
static char *said_as(const char *user)
{
	return sh("timeout 1 unshare --net %s --user %s --policy %s --socket "
		  "/run/new/s --admin-socket /run/new/a 2>&1",
		  rig_built("tuntapd"), user, rig.policy);
}

static void refuses(const char *user, const char *says)
{
	char *said = said_as(user);

	ck_assert_msg(strstr(said, says) != NULL, "--user %s: %s", user, said);
	ck_assert_msg(!strstr(said, "ready"), "--user %s: %s", user, said);
	free(said);
}

START_TEST(it_is_told_whom_to_run_as)
{
	char *said;

	rig_start(&rig, NULL);
	refuses("no-such-user", "useradd --system --user-group");
	/* Who looks names up is such a one. */
	refuses("65534", "nobody else runs as");
	refuses("nobody", "no group of that name");
	refuses("''", "there is no user");
	refuses("99999999999", "nobody else runs as");
	refuses("-1", "there is no user");
	ck_assert_int_ne(access("/run/new", F_OK), 0);
	said = said_as("bin");
	ck_assert_msg(strstr(said, "ready") != NULL, "%s", said);
	free(said);
	ck_assert_int_eq(sh_status("test $(stat -c %%U:%%a /run/new) = bin:755 "
				   "&& test -z \"$(ls /run/new)\""), 0);
	/* That is bin's now. */
	refuses("daemon", "must be able to write to its folder");
	/* Who is not root stays who he is. */
	ck_assert_int_eq(sh_status("setpriv --reuid 1 --clear-groups %s --user "
				   "bin --policy %s 2>&1 | "
				   "grep -q 'only root can become'",
				   rig_built("tuntapd"), rig.policy), 0);
	rig_end(&rig);
}
END_TEST

/* With one user, who has all rights in it. */
static const struct {
	const char *options, *user, *says;
} namespaces[] = {
	{ "--map-current-user --keep-caps", "", "start tuntapd as root of one" },
	{ "--map-root-user", "--user 1", "has no such user, --user 0 does" },
};

START_TEST(a_user_namespace_with_one_user_is_told)
{
	char *said;

	rig_start(&rig, NULL);
	said = sh("setpriv --reuid " RIG_USER " --regid " RIG_USER
		  " --clear-groups unshare --user --net %s timeout 1 %s %s "
		  "--policy %s --socket %s/s --admin-socket %s/a 2>&1",
		  namespaces[_i].options, rig_built("tuntapd"),
		  namespaces[_i].user, rig.policy, rig.dir, rig.dir);
	ck_assert_msg(strstr(said, namespaces[_i].says) != NULL, "%s", said);
	ck_assert_msg(!strstr(said, "ready"), "%s", said);
	free(said);
	rig_end(&rig);
}
END_TEST

/* --- the device node ---------------------------------------------------- */

static bool has_the_hosts_mounts(void)
{
	return sh_status("test $(readlink /proc/self/ns/mnt) = "
			 "$(readlink /proc/%d/ns/mnt)", (int)rig.daemon) == 0;
}

static int opens(void *unused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	(void)unused;
	o.socket_path = rig.socket;
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	ttd_free(dev);
	return 0;
}

static const mode_t modes[] = { 0600, 0660, 0666 };

START_TEST(a_closed_node_gets_another_that_nobody_sees)
{
	const struct rig_options o = { .node_mode = modes[_i] };
	bool closed = modes[_i] != 0666;
	char *before, *after;

	rig_namespaces(modes[_i]);
	before = sh("stat -c '%%a %%u %%i %%d' /dev/net /dev/net/tun; "
		    "cat /proc/self/mountinfo | wc -l");
	rig_start(&rig, &o);
	as_nobody(opens, NULL);
	ck_assert_int_eq(has_the_hosts_mounts(), !closed);
	if (closed)
		ck_assert_int_eq(sh_status("test \"$(stat -c '%%a %%u %%t:%%T' "
			"/proc/%d/root/dev/net/tun)\" = '600 " RIG_USER
			" a:c8'", (int)rig.daemon), 0);
	after = sh("stat -c '%%a %%u %%i %%d' /dev/net /dev/net/tun; "
		   "cat /proc/self/mountinfo | wc -l");
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_end(&rig);
}
END_TEST

/* Root of a container may not make one: not mount it, or not make the node. */
static const char *const lacking[] = { "sys_admin", "mknod" };

START_TEST(a_closed_node_that_stays_so_is_told)
{
	char *said;

	rig_start(&rig, NULL);
	said = sh("unshare --net setpriv --bounding-set=-%s timeout 1 "
		  "%s --user 2 --policy %s --socket /run/new/s "
		  "--admin-socket /run/new/a 2>&1", lacking[_i],
		  rig_built("tuntapd"), rig.policy);
	ck_assert_msg(strstr(said, "`chgrp 2 /dev/net/tun; chmod 0660 "
			     "/dev/net/tun`") != NULL, "%s", said);
	/* It has the host's still, for when that is done. */
	ck_assert_msg(strstr(said, "lacks devices: /dev/net/tun is closed")
		      != NULL, "%s", said);
	free(said);
	rig_end(&rig);
}
END_TEST

static int is_told_to_start_it_again(void *unused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e = { .text = "it opened one" };

	(void)unused;
	o.socket_path = rig.socket;
	if (ttd_open(&o, &dev, &e) &&
	    strstr(e.text, "/dev/net is newer than the daemon, start"))
		return 0;
	puts(e.text);
	return 1;
}

/* Landlock knows the folder that was there at the start. */
START_TEST(a_node_that_comes_later_is_told)
{
	const struct rig_options o = { .node_mode = NODE_OPEN };

	if (sanitized("a_node_that_comes_later_is_told"))
		return;
	rig_start(&rig, &o);
	ck_assert_int_eq(sh_status("nsenter --mount=/proc/%d/ns/mnt sh -c '"
				   "mount -t tmpfs -o mode=0755 none /dev/net "
				   "&& mknod /dev/net/tun c 10 200 && "
				   "chmod 666 /dev/net/tun'",
				   (int)rig.daemon), 0);
	as_nobody(is_told_to_start_it_again, NULL);
	rig_end(&rig);
}
END_TEST

START_TEST(a_policy_that_is_closed_to_it_is_told)
{
	rig_start(&rig, NULL);
	ck_assert_int_eq(sh_status("chmod 0600 %s/10-test.conf && { %s reload "
				   "--socket %s 2>&1 | grep -q '10-test.conf: "
				   "it is closed to uid " RIG_USER
				   "; chmod a+r '; }", rig.policy,
				   rig_built("tuntapctl"), rig.admin), 0);
	/* At the start as well: root's rights do not open it. */
	refuses(RIG_USER, "10-test.conf: it is closed to uid " RIG_USER);
	ck_assert_int_eq(chmod(rig.policy, 0700), 0);
	refuses(RIG_USER, "policy.d: it is closed to uid " RIG_USER);
	rig_end(&rig);
}
END_TEST

/* --- what it can still do ----------------------------------------------- */

#define TRY_FILE "/run/try"

/* Starts a daemon that tries what it is told, with the product's filter. */
static void start_to_try(void)
{
	static const struct rig_options o = { .fault_build = true };

	rig_namespaces(NODE_CLOSED);
	ck_assert_int_eq(sh_status(": >" TRY_FILE), 0);
	setenv("TUNTAPD_TRY", TRY_FILE, 1);
	setenv("TUNTAPD_LENIENT", "1", 1);
	rig_start(&rig, &o);
}

static bool has_said(void *text)
{
	char *log = rig_log(&rig);
	bool said = strstr(log, text) != NULL;

	free(log);
	return said;
}

static void ask_to_try(const char *what)
{
	FILE *f = fopen(TRY_FILE, "we");

	ck_assert_ptr_nonnull(f);
	fputs(what, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert(eventually(has_said, "; ready\n"));
	ck_assert_int_eq(kill(rig.daemon, SIGUSR1), 0);
}

/* What comes of it: 0 or the errno. */
__attribute__((format(printf, 2, 3)))
static void comes_to(int error, const char *fmt, ...)
{
	char what[128], says[192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(says, sizeof(says), "tried %s: %d\n", what, error);
	ask_to_try(what);
	ck_assert_msg(eventually(has_said, says), "not \"%s\" but %s", says,
		      rig_log(&rig));
}

START_TEST(it_opens_its_own_files_alone)
{
	if (sanitized("it_opens_its_own_files_alone"))
		return;
	start_to_try();
	/* Everybody may read these. */
	comes_to(EACCES, "open %d /etc/passwd", O_RDONLY);
	comes_to(EACCES, "open %d /etc", O_RDONLY | O_DIRECTORY);
	comes_to(EACCES, "open %d /proc/self/status", O_RDONLY);
	/* These CAP_NET_ADMIN may write to. */
	comes_to(EACCES, "open %d /proc/sys/net/ipv4/ip_forward", O_WRONLY);
	comes_to(EACCES, "open %d /proc/sys/net/ipv4/conf/lo/rp_filter",
		 O_RDWR);
	/* And this is its own. */
	comes_to(0, "open %d /dev/net/tun", O_RDWR);
	comes_to(0, "open %d %s/10-test.conf", O_RDONLY, rig.policy);
	comes_to(EACCES, "open %d %s/new", O_WRONLY | O_CREAT, rig.dir);
	/* To read alone, be it its user's. */
	ck_assert_int_eq(sh_status("chown " RIG_USER " %s/10-test.conf",
				   rig.policy), 0);
	comes_to(EACCES, "open %d %s/10-test.conf", O_WRONLY, rig.policy);
	rig_end(&rig);
}
END_TEST

/* Folders whose parent is the root of the file system. */
static const char *const below_root[] = { "//run", "/run/../run", "run" };

START_TEST(no_path_opens_all_files)
{
	if (sanitized("no_path_opens_all_files"))
		return;
	start_to_try();
	rig_stop(&rig);
	ck_assert_int_eq(sh_status("cp %s/10-test.conf /run", rig.policy), 0);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(rig.policy, sizeof(rig.policy), "%s", below_root[_i]);
	rig_daemon(&rig, &(struct rig_options){ .fault_build = true });
	comes_to(EACCES, "open %d /etc/passwd", O_RDONLY);
	comes_to(0, "open %d /run/10-test.conf", O_RDONLY);
	ck_assert_int_eq(sh_status("%s reload --socket %s >/dev/null",
				   rig_built("tuntapctl"), rig.admin), 0);
	rig_end(&rig);
}
END_TEST

/* Open in whoever starts it. */
START_TEST(it_has_nothing_of_who_starts_it)
{
	int fd = open("/etc/passwd", O_RDONLY); /* not O_CLOEXEC */

	ck_assert_int_ge(fd, 0);
	rig_start(&rig, NULL);
	ck_assert_int_ne(sh_status("ls -l /proc/%d/fd | grep /etc/passwd",
				   (int)rig.daemon), 0);
	close(fd);
	rig_end(&rig);
}
END_TEST

/* A folder that is made anew is another one to the kernel. */
START_TEST(a_policy_made_anew_is_read)
{
	rig_start(&rig, NULL);
	ck_assert_int_eq(sh_status("mv %s %s.old && mkdir -m 755 %s && "
				   "cp %s.old/10-test.conf %s/20-new.conf",
				   rig.policy, rig.policy, rig.policy,
				   rig.policy, rig.policy), 0);
	ck_assert_int_eq(sh_status("%s reload --socket %s >/dev/null",
				   rig_built("tuntapctl"), rig.admin), 0);
	as_nobody(opens, NULL);
	rig_end(&rig);
}
END_TEST

/* Nothing that serving takes, and nothing bad in itself. */
START_TEST(other_calls_are_refused)
{
	if (sanitized("other_calls_are_refused"))
		return;
	start_to_try();
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_INET, SOCK_STREAM);
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_INET6, SOCK_DGRAM);
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_PACKET, SOCK_RAW);
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_NETLINK, SOCK_RAW);
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_UNIX, SOCK_STREAM);
	/* By such a one it could send to each that is bound. */
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_UNIX, SOCK_DGRAM);
	comes_to(EPERM, "call %d %d %d 0", SYS_socket, AF_UNIX,
		 SOCK_DGRAM | SOCK_CLOEXEC);
	ck_assert_int_eq(sh_status("ss -xap | grep -q 'pid=%d,'",
				   (int)rig.daemon), 0);
	ck_assert_int_ne(sh_status("ss -xap | grep 'pid=%d,' | grep u_dgr",
				   (int)rig.daemon), 0);
	comes_to(EPERM, "call %d 3 0 0", SYS_connect);
	comes_to(EPERM, "call %d 3 0 0", SYS_bind);
	comes_to(EPERM, "call %d %d", SYS_clone, SIGCHLD);
	/* Of ioctls those that it makes devices with; not TIOCSTI. */
	comes_to(EPERM, "call %d 2 %d 0", SYS_ioctl, TIOCSTI);
	comes_to(EPERM, "call %d 2 %d 0", SYS_ioctl, (int)TUNSETPERSIST);
	comes_to(EPERM, "call %d 0 4096 %d %d -1 0", SYS_mmap,
		 PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
	comes_to(EPERM, "call %d 0 4096 %d", SYS_mprotect,
		 PROT_READ | PROT_EXEC);
	comes_to(EPERM, "call %d 0", SYS_setuid);
	comes_to(0, "call %d", SYS_getpid);
	rig_end(&rig);
}
END_TEST

static bool has_ended(void *status)
{
	return waitpid(rig.daemon, status, WNOHANG) == rig.daemon;
}

static void ends_by(const char *what)
{
	int status;

	ask_to_try(what);
	ck_assert_msg(eventually(has_ended, &status), "it lives: %s",
		      rig_log(&rig));
	rig.daemon = -1;
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		      "%s: %#x", what, status);
}

/* All that daemon/confine_calls_linux.c has of them. */
static const struct {
	long call, argument;
} deadly[] = {
	{ SYS_execve, 0 }, { SYS_execveat, 0 }, { SYS_ptrace, 0 },
	{ SYS_process_vm_readv, 0 }, { SYS_process_vm_writev, 0 },
	{ SYS_bpf, 0 }, { SYS_io_uring_setup, 1 }, { SYS_mount, 0 },
	{ SYS_umount2, 0 }, { SYS_pivot_root, 0 }, { SYS_chroot, 0 },
	{ SYS_fsopen, 0 }, { SYS_fsmount, 0 }, { SYS_fspick, 0 },
	{ SYS_open_tree, 0 }, { SYS_move_mount, 0 }, { SYS_mount_setattr, 0 },
	{ SYS_setns, 0 }, { SYS_unshare, CLONE_NEWUSER },
	{ SYS_init_module, 0 }, { SYS_finit_module, 0 },
	{ SYS_delete_module, 0 }, { SYS_kexec_load, 0 },
	{ SYS_kexec_file_load, 0 }, { SYS_add_key, 0 }, { SYS_keyctl, 0 },
	{ SYS_request_key, 0 },
	{ SYS_clone, CLONE_NEWCGROUP }, { SYS_clone, CLONE_NEWIPC },
	{ SYS_clone, CLONE_NEWNET }, { SYS_clone, CLONE_NEWNS },
	{ SYS_clone, CLONE_NEWPID }, { SYS_clone, CLONE_NEWUSER | SIGCHLD },
	{ SYS_clone, CLONE_NEWUTS },
};

START_TEST(what_must_never_happen_ends_it)
{
	char what[64];

	if (sanitized("what_must_never_happen_ends_it"))
		return;
	start_to_try();
	snprintf(what, sizeof(what), "call %ld %ld", deadly[_i].call,
		 deadly[_i].argument);
	ends_by(what);
	rig_end(&rig);
}
END_TEST

/* By that, each test of a daemon is one of the list of calls. */
START_TEST(daemons_of_tests_end_at_what_is_not_listed)
{
	if (sanitized("daemons_of_tests_end_at_what_is_not_listed"))
		return;
	rig_namespaces(NODE_CLOSED);
	setenv("TUNTAPD_TRY", TRY_FILE, 1);
	ck_assert_int_eq(sh_status(": >" TRY_FILE), 0);
	rig_start(&rig, &(struct rig_options){ .fault_build = true });
	ends_by("call 9999999");
	rig_end(&rig);
}
END_TEST

/* --- its devices -------------------------------------------------------- */

static int attaches_a_queue(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI |
					  IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? errno : 0;
}

/* Such as who looks names up, where the daemon was not started as root. */
START_TEST(its_user_attaches_no_queue)
{
	const struct rig_options options = { .node_mode = NODE_OPEN };
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;
	int status;
	pid_t pid;

	rig_start(&rig, &options);
	o.socket_path = rig.socket;
	o.queues = 2;
	o.name = "tt0";
	ck_assert_int_eq(setegid(NOBODY), 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	o.flags |= TTD_NO_THREAD;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	ck_assert_int_eq(seteuid(0), 0);
	pid = fork();
	if (pid == 0) {
		if (setresgid(RIG_UID, RIG_UID, RIG_UID) ||
		    setresuid(RIG_UID, RIG_UID, RIG_UID))
			_exit(1);
		_exit(attaches_a_queue(o.name) == EPERM ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("confine");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, all_its_threads_have_one_capability);
	tcase_add_test(t, its_user_cannot_look_into_it);
	tcase_add_test(t, who_starts_it_with_one_capability_gets_the_same);
	tcase_add_test(t, it_is_told_whom_to_run_as);
	tcase_add_loop_test(t, a_user_namespace_with_one_user_is_told, 0,
			    sizeof(namespaces) / sizeof(*namespaces));
	tcase_add_loop_test(t, a_closed_node_gets_another_that_nobody_sees, 0,
			    sizeof(modes) / sizeof(*modes));
	tcase_add_loop_test(t, a_closed_node_that_stays_so_is_told, 0,
			    sizeof(lacking) / sizeof(*lacking));
	tcase_add_test(t, a_node_that_comes_later_is_told);
	tcase_add_test(t, a_policy_that_is_closed_to_it_is_told);
	tcase_add_test(t, it_opens_its_own_files_alone);
	tcase_add_loop_test(t, no_path_opens_all_files, 0,
			    sizeof(below_root) / sizeof(*below_root));
	tcase_add_test(t, it_has_nothing_of_who_starts_it);
	tcase_add_test(t, a_policy_made_anew_is_read);
	tcase_add_test(t, other_calls_are_refused);
	tcase_add_loop_test(t, what_must_never_happen_ends_it, 0,
			    sizeof(deadly) / sizeof(*deadly));
	tcase_add_test(t, daemons_of_tests_end_at_what_is_not_listed);
	tcase_add_test(t, its_user_attaches_no_queue);
	suite_add_tcase(s, t);
	return live_main("confine", s);
}
