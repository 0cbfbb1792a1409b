/*
 * macOS: each request that configures an interface asks whether its caller is
 * root (bsd/net/if.c, bsd/netinet/in.c), so the daemon stays root; what it has
 * given up on Linux by then, it has here.  The log says so.
 */
#include "confine.h"

#include <unistd.h>

#include "log.h"
#include "refuse.h"
#include "support.h"

int confine_no_user(const char *name, struct wire_refused *why)
{
	return refuse(why, WIRE_E_FAILED, "start", "there is no user %s, or no "
		      "group of that name, to run as; on macOS the daemon "
		      "stays root and needs none: start it with --user 0",
		      name);
}

void confine_node(const struct run_as *as)
{
	(void)as;	/* there is no node */
}

int confine_user(const struct run_as *as, struct wire_refused *why)
{
	(void)as;
	if (geteuid() != 0)
		return refuse(why, WIRE_E_FAILED, "start", "only root makes "
			      "and configures utun devices: start tuntapd by "
			      "launchd, or with sudo");
	log_line(LOG_NOTICE, "macOS: stays root, as the requests that "
		 "configure interfaces want it");
	return 0;
}

int confine_files(const struct confine_paths *paths, struct wire_refused *why)
{
	(void)paths;
	(void)why;
	support_note(SUPPORT_LANDLOCK, false, "macOS has no Landlock: files "
		     "are root's as ever");
	return 0;
}

int confine_calls(struct wire_refused *why)
{
	(void)why;
	support_note(SUPPORT_SECCOMP, false, "macOS has no seccomp");
	return 0;
}
