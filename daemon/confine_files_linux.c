/*
 * Landlock: a list of folders and of what may be done below them, and nothing
 * else in the file system, whatever our user may do there; nor may
 * CAP_NET_ADMIN, by which /proc/sys/net can be written to.  A rule is about an
 * inode: for what is removed and made again it is the rule of the folder that
 * counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "confine.h"
#include "os_linux.h"
#include "refuse.h"
#include "support.h"

/* The headers of Debian 12 do not have them. */
#define FS_TRUNCATE	(1ull << 14)
#define FS_IOCTL_DEV	(1ull << 15)
#define UP_TO(right)	(((right) << 1) - 1)

/* The rights that a kernel of this ABI knows; later ones know those, too. */
static const uint64_t known[] = {
	[1] = UP_TO(LANDLOCK_ACCESS_FS_MAKE_SYM),
	[2] = UP_TO(LANDLOCK_ACCESS_FS_REFER),
	[3] = UP_TO(FS_TRUNCATE),
	[4] = UP_TO(FS_TRUNCATE),
	[5] = UP_TO(FS_IOCTL_DEV),
};
#define ABI_MAX	((long)(sizeof(known) / sizeof(*known)) - 1)

#define TO_READ	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define TO_LISTEN (LANDLOCK_ACCESS_FS_MAKE_SOCK | \
		   LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define TO_USE	(LANDLOCK_ACCESS_FS_READ_FILE | \
		 LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV)

#define ABSENT		1	/* no -errno */
#define EVERYTHING	2

/* All of the file system, by whatever name. */
static bool is_everything(int fd)
{
	struct stat all, st;

	return stat("/", &all) < 0 || fstat(fd, &st) < 0 ||
	       (st.st_dev == all.st_dev && st.st_ino == all.st_ino);
}

/*
 * 0, ABSENT, EVERYTHING (for which there is no rule), or -errno.  What our user
 * cannot open he needs no rule for.
 */
static int allow(int ruleset, const char *folder, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	int error = 0;

	rule.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? ABSENT : 0;
	if (is_everything(rule.parent_fd))
		error = EVERYTHING;
	else if (syscall(SYS_landlock_add_rule, ruleset,
			 LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		error = -errno;
	close(rule.parent_fd);
	return error;
}

/*
 * In the folder that holds `path`; where that is not there, in the one that it
 * would be made in, and so on; but never in all of the file system: what lies
 * right below its root has a rule for itself alone.
 */
static int allow_around(int ruleset, const char *path, uint64_t rights)
{
	char folder[PATH_MAX], *slash;
	size_t len = strlen(path);
	int error;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(folder))
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
	do {
		slash = strrchr(folder, '/');
		if (slash)
			*slash = '\0';
		error = allow(ruleset, !slash ? "." : *folder ? folder : "/",
			      rights);
	} while (error == ABSENT && slash);
	if (error == EVERYTHING)
		error = allow(ruleset, path, rights);
	return error < 0 ? error : 0;
}

static int allow_all(int ruleset, uint64_t all, const struct confine_paths *p)
{
	int error = allow(ruleset, TUN_FOLDER, TO_USE & all);

	if (error == ABSENT)
		error = 0;
	for (size_t i = 0; !error && i < p->n_policy; i++)
		error = allow_around(ruleset, p->policy[i], TO_READ);
	for (size_t i = 0; !error && i < p->n_sockets; i++)
		error = allow_around(ruleset, p->sockets[i], TO_LISTEN);
	return error;
}

static int restrict_to(uint64_t all, const struct confine_paths *paths)
{
	const struct landlock_ruleset_attr asked = { .handled_access_fs = all };
	int fd = (int)syscall(SYS_landlock_create_ruleset, &asked,
			      sizeof(asked), 0);
	int error;

	if (fd < 0)
		return -errno;
	error = allow_all(fd, all, paths);
	if (!error && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		error = -errno;
	close(fd);
	return error;
}

int confine_files(const struct confine_paths *paths, struct wire_refused *why)
{
	long abi;
	int error;

	if (CONFINE_SANITIZED)
		return 0;
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		      LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		support_note(SUPPORT_LANDLOCK, false, "the daemon can open "
			     "what its user can, and write to /proc/sys/net "
			     "(Linux 5.13 with `landlock` in lsm=: %s)",
			     strerror(errno));
		return 0;
	}
	error = restrict_to(known[abi < ABI_MAX ? abi : ABI_MAX], paths);
	if (error)
		return refuse(why, WIRE_E_FAILED, "start", "cannot confine the "
			      "daemon to its policy, its sockets and "
			      TUN_FOLDER " (Landlock): %s", strerror(-error));
	support_note(SUPPORT_LANDLOCK, true, "ABI %ld", abi);
	return 0;
}
