#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <linux/capability.h>

#include "confine.h"
#include "log.h"
#include "os_linux.h"
#include "refuse.h"

int confine_no_user(const char *name, struct wire_refused *why)
{
	return refuse(why, WIRE_E_FAILED, "start", "there is no user %s, or no "
		      "group of that name, to run as: make them with "
		      "`systemd-sysusers`, where tuntapd is installed, or with "
		      "`useradd --system --user-group --shell "
		      "/usr/sbin/nologin %s`; or choose others with --user",
		      name, name);
}

/*
 * Nothing that we execute could have others.  Dropping takes CAP_SETPCAP; who
 * is started without it cannot, and need not: see no_new_privs.
 */
static int empty_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
		if (cap != CAP_NET_ADMIN && prctl(PR_CAPBSET_DROP, cap) < 0 &&
		    errno != EPERM)
			return -errno;
	}
	return 0;
}

static int become(const struct run_as *as)
{
	if (as->uid == geteuid() && as->gid == getegid())
		return 0;
	/* A change of uid would take CAP_NET_ADMIN along. */
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 ||
	    setgroups(0, NULL) < 0 ||
	    setresgid(as->gid, as->gid, as->gid) < 0 ||
	    setresuid(as->uid, as->uid, as->uid) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 0) < 0)
		return -errno;
	return 0;
}

/* LeakSanitizer attaches to its own process at the end. */
static int stay_dumpable(void)
{
	log_line(LOG_NOTICE, "built with a sanitizer: it may be looked into, "
		 "and open what its user can");
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int confine_user(const struct run_as *as, struct wire_refused *why)
{
	int error = empty_bounding_set();

	if (!error)
		error = become(as);
	if (!error)
		error = os_limit_rights(CAP_TO_MASK(CAP_NET_ADMIN));
	if (!error && CONFINE_SANITIZED)
		error = stay_dumpable();
	if (error)
		return refuse(why, WIRE_E_FAILED, "start", "cannot give up "
			      "root's rights and run as uid %u: %s; in a user "
			      "namespace that has no such user, --user 0 does",
			      (unsigned)as->uid, strerror(-error));
	return 0;
}
