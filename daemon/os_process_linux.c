/* What a process of the daemon may, what it holds, and with whom it ends. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "os.h"
#include "os_linux.h"

#define NOBODY 65534		/* nobody and nogroup, on every Linux */

void os_close_from(int fd)
{
	close_range((unsigned)fd, ~0u, 0);
}

int os_limit_rights(uint32_t mask)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	mask &= data[0].permitted;
	memset(data, 0, sizeof(data));
	data[0].effective = data[0].permitted = mask;
	if (syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int drop_rights(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 ||
			       setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	/* A service manager may have given us some without root's uid. */
	return os_limit_rights(0);
}

static void become_child(int keep)
{
	/* Meant for the daemon, and sent to its group or cgroup. */
	static const int not_ours[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		signal(not_ours[i], SIG_IGN);
	if (keep > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0);
	os_close_from(keep + 1);
}

int os_child(int keep)
{
	become_child(keep);
	/* prctl(2): a change of uid takes the last one back. */
	return drop_rights() ? -EPERM :
	       prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int os_end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	/* It may have ended before it was asked to be told. */
	return getppid() == parent ? 0 : -ESRCH;
}

/* Keeps its user, and those of its capabilities. */
static int become_keeper(int keep, pid_t parent, uint32_t rights)
{
	become_child(keep);
	return os_limit_rights(rights) ? -EPERM : os_end_with(parent);
}

int os_keeper(int keep, pid_t parent)
{
	const uint32_t of_root = CAP_TO_MASK(CAP_SETUID) |
				 CAP_TO_MASK(CAP_SETGID) |
				 CAP_TO_MASK(CAP_KILL);

	return become_keeper(keep, parent, geteuid() == 0 ? of_root : 0);
}

int os_undertaker(int keep, pid_t parent)
{
	return become_keeper(keep, parent, 0);
}
