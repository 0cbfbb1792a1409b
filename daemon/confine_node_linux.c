/*
 * Where devices come from must admit whom we run as.  CAP_NET_ADMIN does not
 * open a node of root's with mode 0600, as many hosts have it; and what the
 * host has is not ours to change.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "confine.h"
#include "log.h"
#include "os_linux.h"

#define TUN_MAJOR	10	/* Documentation/admin-guide/devices.txt */
#define TUN_MINOR	200
#define NODE_MODE	0600
/* One node, and no room for anything else. */
#define TMPFS_OPTIONS	"mode=0755,size=4k,nr_inodes=3"

/* 0, or -errno of him who opens it. */
static int admits(const struct run_as *as)
{
	/* With these go the capabilities that open everything. */
	int gid = setfsgid(as->gid), uid = setfsuid(as->uid);
	int fd = open(TUN_NODE, O_RDWR | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;

	setfsuid((uid_t)uid);
	setfsgid((gid_t)gid);
	if (fd >= 0)
		close(fd);
	return error;
}

static int make_node(const struct run_as *as)
{
	if (mknod(TUN_NODE, S_IFCHR | NODE_MODE,
		  makedev(TUN_MAJOR, TUN_MINOR)) < 0 ||
	    chown(TUN_NODE, as->uid, as->gid) < 0 ||
	    mount(NULL, TUN_FOLDER, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID |
		  MS_NOEXEC, NULL) < 0)
		return -errno;
	return admits(as);
}

/*
 * Over the folder of the host's, for nobody but us to see.  What the host
 * mounts or unmounts elsewhere goes on to be so here.
 */
static int make_private(const struct run_as *as)
{
	int error;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("tuntapd", TUN_FOLDER, "tmpfs", MS_NOSUID | MS_NOEXEC,
		  TMPFS_OPTIONS) < 0)
		return -errno;
	error = make_node(as);
	/* The host's is the one to let him in to, then. */
	if (error)
		(void)umount2(TUN_FOLDER, MNT_DETACH);
	return error;
}

void confine_node(const struct run_as *as)
{
	int error;

	/* Root's groups might open it, and are not his. */
	if (as->uid != geteuid())
		(void)setgroups(0, NULL);
	error = admits(as);
	/* What is not there at all may come: an open says so, and how. */
	if (error != -EACCES && error != -EPERM)
		return;
	error = make_private(as);
	if (error)
		log_line(LOG_WARNING, TUN_NODE " is closed to uid %u, whom the "
			 "daemon runs as, and it cannot make a node of its "
			 "own: %s; let it in: `chgrp %u " TUN_NODE "; chmod "
			 "0660 " TUN_NODE "`", (unsigned)as->uid,
			 strerror(-error), (unsigned)as->gid);
}
