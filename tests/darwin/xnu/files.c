/*
 * Files and pipes, as far as there are fds of them: names in one folder, which
 * is root's, and locks of whole files.
 */
#include <stdio.h>

#include "kernel.h"

#define ACCESS	3	/* O_ACCMODE */

static struct node *node_named(const char *path)
{
	for (unsigned i = 0; i < XNU_NODES; i++) {
		if (kern.nodes[i].used && !strcmp(kern.nodes[i].path, path))
			return &kern.nodes[i];
	}
	return NULL;
}

static struct node *node_new(const char *path)
{
	for (unsigned i = 0; i < XNU_NODES; i++) {
		struct node *node = &kern.nodes[i];

		if (node->used)
			continue;
		node->used = true;
		if (snprintf(node->path, sizeof(node->path), "%s", path) >=
		    (int)sizeof(node->path))
			die("no file has as long a name as %s", path);
		return node;
	}
	die("more than %d files", XNU_NODES);
}

void xnu_symlink(const char *path)
{
	node_new(path)->link = true;
}

/*
 * bsd/vfs/vfs_vnops.c, vn_open_auth(): by O_NOFOLLOW a symbolic link is itself,
 * and is not opened; the folder's owner alone makes a file in it.
 */
static int find_node(const char *path, int flags, struct node **node)
{
	*node = node_named(path);
	if (*node && (*node)->link && flags & XNU_O_NOFOLLOW)
		return XNU_ELOOP;
	if (*node && (*node)->link)
		die("open() of a symbolic link: not known here");
	if (kern.euid != 0)
		return XNU_EACCES;
	if (!*node && !(flags & XNU_O_CREAT))
		return XNU_ENOENT;
	if (!*node)
		*node = node_new(path);
	return 0;
}

/* bsd/vfs/vfs_syscalls.c, open1(): O_CLOEXEC is the fd's. */
int xnu_open(const char *path, int flags, int mode)
{
	const int known = ACCESS | XNU_O_CREAT | XNU_O_NOFOLLOW | XNU_O_CLOEXEC;
	struct node *node;
	struct file *file;
	int error, fd;

	if (!begin("open", NULL, "\"%s\", %#x, %#o", path, (unsigned)flags,
		   (unsigned)mode))
		return (int)end(xnu_errno, 0);
	if (flags & ~known)
		die("open() with %#x is not known here", (unsigned)flags);
	error = find_node(path, flags, &node);
	if (error)
		return (int)end(error, 0);
	file = file_new(KIND_FILE, 0, 0, 0);
	file->node = node;
	fd = fd_new(file, 0, flags & XNU_O_CLOEXEC);
	if (fd < 0)
		die("no fd is free for a file");
	return (int)end(0, fd);
}

/*
 * kern_descrip.c, flock(); kern_lockf.c, lf_setlock(): a lock is of what open()
 * made, so that a second one of the same process is another's.
 */
int xnu_flock(int fd, int how)
{
	struct file *file = file_of(fd);

	if (!begin("flock", NULL, "%d, %d", fd, how))
		return (int)end(xnu_errno, 0);
	if (!file)
		return (int)end(XNU_EBADF, 0);
	if (file->kind != KIND_FILE || how != (XNU_LOCK_EX | XNU_LOCK_NB))
		die("flock(%d) of this is not known here", how);
	if (file->node->lock && file->node->lock != file)
		return (int)end(XNU_EAGAIN, 0);
	file->node->lock = file;
	return (int)end(0, 0);
}

/* vfs_vnops.c, vn_closefile(): the last close of it unlocks. */
void file_gone(struct file *file)
{
	if (file->node && file->node->lock == file)
		file->node->lock = NULL;
}

/* bsd/kern/sys_pipe.c, pipe(): neither closes at exec.  No data is played. */
int xnu_pipe(int fds[2])
{
	if (!begin("pipe", NULL, "%s", ""))
		return (int)end(xnu_errno, 0);
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = fd_new(file_new(KIND_PIPE, 0, 0, 0), 0, false);
		if (fds[i] < 0)
			die("no fd is free for a pipe");
	}
	return (int)end(0, 0);
}
