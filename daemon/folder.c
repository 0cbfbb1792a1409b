#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "refuse.h"

#define FOLDER_MODE	0755
#define OPEN_FOLDER	(O_RDONLY | O_DIRECTORY | O_CLOEXEC)

struct folder {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *above, *name;	/* the folder that it is in, its name */
};

/* Cuts path before its last name, and returns that; NULL: it has no other. */
static char *cut(char *path)
{
	char *slash = strrchr(path, '/'), *name;

	if (!slash)
		return NULL;
	name = slash + 1;
	while (slash > path && slash[-1] == '/')
		slash--;
	*slash = '\0';
	return name;
}

/* False if a socket of that path is in a folder that need not be made. */
static bool find(const char *socket, struct folder *ret)
{
	snprintf(ret->path, sizeof(ret->path), "%s", socket);
	if (!cut(ret->path) || !ret->path[0])
		return false;
	ret->name = cut(ret->path);
	ret->above = ret->path[0] ? ret->path : "/";
	if (!ret->name) {
		ret->name = ret->path;
		ret->above = ".";
	}
	return true;
}

/* Not by chmod(2) afterwards, as that might be another's by then. */
static int make(int above, const char *name)
{
	mode_t old = umask(ACCESSPERMS & ~FOLDER_MODE);
	int error = mkdirat(above, name, FOLDER_MODE) < 0 ? -errno : 0;

	umask(old);
	return error;
}

/*
 * By descriptors: who may write to a folder above can put a link in the place
 * of each name, and what that leads to is not ours to give.
 */
static int give(int above, const char *name, uid_t owner)
{
	int fd = openat(above, name, OPEN_FOLDER | O_NOFOLLOW), error = 0;

	if (fd < 0)
		return -errno;
	if (fchown(fd, owner, (gid_t)-1) < 0)
		error = -errno;
	close(fd);
	return error;
}

int folder_make(const char *socket, uid_t owner, struct wire_refused *why)
{
	struct folder f = { .name = NULL };
	int above, error;

	if (!find(socket, &f))
		return 0;
	above = open(f.above, OPEN_FOLDER);
	if (above < 0)
		return 0;
	error = make(above, f.name);
	if (error) {
		close(above);
		return 0;
	}
	error = give(above, f.name, owner);
	close(above);
	if (!error)
		return 0;
	if (error == -ELOOP || error == -ENOTDIR || error == -ENOENT)
		return refuse(why, WIRE_E_FAILED, "listen", "%s: its folder "
			      "was exchanged for something else while it was "
			      "made: %s; who may write to the folder above can "
			      "do that: choose one in which root alone may "
			      "with --socket and --admin-socket", socket,
			      strerror(-error));
	return refuse(why, WIRE_E_FAILED, "listen", "%s: its folder was made, "
		      "but cannot be given to uid %u, whom the daemon runs as: "
		      "%s; choose another with --socket and --admin-socket",
		      socket, (unsigned)owner, strerror(-error));
}
