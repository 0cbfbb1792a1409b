/*
 * What the daemon has given up when it serves: looked at from outside, and
 * tried from inside.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
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
	rig_end(&rig);
}
END_TEST

START_TEST(its_user_cannot_look_into_it)
{
	if (sanitized("its_user_cannot_look_into_it"))
		return;
	rig_start(&rig, NULL);
	ck_assert_int_ne(sh_status("setpriv --reuid " RIG_USER " --regid "
				   RIG_USER " --clear-groups cat "
				   "/proc/%d/environ >/dev/null 2>&1",
				   (int)rig.daemon), 0);
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
	tcase_add_test(t, it_is_told_whom_to_run_as);
	tcase_add_loop_test(t, a_closed_node_gets_another_that_nobody_sees, 0,
			    sizeof(modes) / sizeof(*modes));
	tcase_add_test(t, its_user_attaches_no_queue);
	suite_add_tcase(s, t);
	return live_main("confine", s);
}
