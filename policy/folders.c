/*
 * The folders that policy files lie in.  Whoever can write there gives
 * network devices away, so owner and mode are looked at on the open file,
 * where nobody can change what was looked at.
 */
#include "conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct found {
	char *name;
	size_t folder;
};

struct listing {
	const char *const *folders;
	DIR *dirs[CONF_FOLDERS_MAX];	/* NULL: does not exist */
	struct found files[CONF_FILES_MAX];
	size_t n_files;
	unsigned needed;		/* as conf_found.there */
	bool not_roots;
	struct policy_fault *fault;
};

/* A fault of a whole file, and the errno that goes with it. */
#define FILE_FAULT(fault, err, path, ...) \
	(conf_fault((fault), (path), 0, NULL, __VA_ARGS__), -(err))

static int check_owner(struct listing *l, const struct stat *st,
		       const char *path)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return FILE_FAULT(l->fault, EPERM, path,
			"it belongs to uid %u; chown root %s",
			(unsigned)st->st_uid, path);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return FILE_FAULT(l->fault, EPERM, path,
			"it is writable by others; chmod go-w %s", path);
	l->not_roots = l->not_roots || st->st_uid != 0;
	return 0;
}

static int open_folder(struct listing *l, size_t i)
{
	const char *path = l->folders[i];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT && !(l->needed & 1u << i))
		return 0;
	if (fd < 0 && errno == ENOENT)
		return FILE_FAULT(l->fault, ENOENT, path,
			"there is no such folder%s", l->needed ==
			POLICY_ALL_THERE ? "" : " any more; make it again, "
			"empty if nobody shall have anything by it");
	if (fd < 0 && errno == EACCES)
		return FILE_FAULT(l->fault, EACCES, path,
			"it is closed to uid %u; chmod a+rx %s, or, where the "
			"folder that it is in was made anew, start tuntapd "
			"again", (unsigned)geteuid(), path);
	if (fd < 0)
		return FILE_FAULT(l->fault, errno, path,
			"cannot be opened as a folder (a symbolic link is not "
			"followed): %s", strerror(errno));
	if (fstat(fd, &st) < 0)
		r = FILE_FAULT(l->fault, errno, path, "%s", strerror(errno));
	else
		r = check_owner(l, &st, path);
	if (r == 0) {
		l->dirs[i] = fdopendir(fd);
		if (l->dirs[i])
			return 0;
		r = FILE_FAULT(l->fault, ENOMEM, path, "out of memory");
	}
	close(fd);
	return r;
}

/* Hidden files are what editors leave behind. */
static bool is_conf(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".conf") == 0;
}

static int add_file(struct listing *l, const char *name, size_t folder)
{
	char *copy;

	for (size_t i = 0; i < l->n_files; i++)
		if (strcmp(l->files[i].name, name) == 0) {
			l->files[i].folder = folder;
			return 0;
		}
	if (l->n_files == CONF_FILES_MAX)
		return FILE_FAULT(l->fault, E2BIG, l->folders[folder],
			"more than %d policy files; join some",
			CONF_FILES_MAX);
	copy = strdup(name);
	if (!copy)
		return FILE_FAULT(l->fault, ENOMEM, name, "out of memory");
	l->files[l->n_files++] = (struct found){ copy, folder };
	return 0;
}

static int list_folder(struct listing *l, size_t i)
{
	struct dirent *entry;
	int r = open_folder(l, i);

	if (r || !l->dirs[i])
		return r;
	while (errno = 0, entry = readdir(l->dirs[i])) {
		if (!is_conf(entry->d_name))
			continue;
		r = add_file(l, entry->d_name, i);
		if (r)
			return r;
	}
	if (errno)
		return FILE_FAULT(l->fault, errno, l->folders[i],
			"cannot be listed: %s", strerror(errno));
	return 0;
}

/* Reads what fits; one byte more than a file may have tells a longer one. */
static ssize_t read_whole(int fd, char *buf, size_t cap)
{
	size_t have = 0;

	while (have < cap) {
		ssize_t n = read(fd, buf + have, cap - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* O_NONBLOCK: a FIFO must not hold us up before fstat tells that it is one. */
static int open_file(struct listing *l, const struct found *f,
		     const char *path)
{
	int fd = openat(dirfd(l->dirs[f->folder]), f->name,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 && errno == ELOOP)
		return FILE_FAULT(l->fault, ELOOP, path,
			"it is a symbolic link; put the file itself there");
	if (fd < 0 && errno == EACCES)
		return FILE_FAULT(l->fault, EACCES, path,
			"it is closed to uid %u; chmod a+r %s",
			(unsigned)geteuid(), path);
	if (fd < 0)
		return FILE_FAULT(l->fault, errno, path,
			"cannot be opened: %s", strerror(errno));
	if (fstat(fd, &st) < 0)
		r = FILE_FAULT(l->fault, errno, path, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = FILE_FAULT(l->fault, EINVAL, path,
			"it is not a regular file; put one there");
	else
		r = check_owner(l, &st, path);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int hand_over(struct listing *l, const struct found *f, char *buf,
		     conf_file *each, void *arg)
{
	const char *folder = l->folders[f->folder];
	size_t room = strlen(folder) + strlen(f->name) + 2;
	char *path = malloc(room);
	ssize_t len;
	int fd = -1, r;

	if (!path)
		return FILE_FAULT(l->fault, ENOMEM, f->name, "out of memory");
	snprintf(path, room, "%s/%s", folder, f->name);
	fd = r = open_file(l, f, path);
	if (fd < 0)
		goto out;
	len = read_whole(fd, buf, CONF_FILE_MAX + 1);
	if (len < 0)
		r = FILE_FAULT(l->fault, (int)-len, path, "cannot be read: %s",
			       strerror((int)-len));
	else
		r = each(arg, path, buf, (size_t)len, l->fault);
	close(fd);
out:
	free(path);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name,
		      ((const struct found *)b)->name);
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < CONF_FOLDERS_MAX; i++)
		if (l->dirs[i])
			closedir(l->dirs[i]);
	for (size_t i = 0; i < l->n_files; i++)
		free(l->files[i].name);
	free(l);
}

static struct conf_found found_in(const struct listing *l)
{
	struct conf_found f = { .n_files = l->n_files,
				.not_roots = l->not_roots };

	for (unsigned i = 0; i < CONF_FOLDERS_MAX; i++)
		f.there |= l->dirs[i] ? 1u << i : 0;
	return f;
}

int conf_folders(const char *const *folders, size_t n, conf_file *each,
		 void *arg, struct conf_found *ret, struct policy_fault *fault)
{
	struct listing *l = calloc(1, sizeof(*l));
	char *buf = malloc(CONF_FILE_MAX + 1);
	int r = 0;

	if (!l || !buf) {
		r = FILE_FAULT(fault, ENOMEM, "policy", "out of memory");
		goto out;
	}
	l->folders = folders;
	l->needed = ret->there;
	l->fault = fault;
	if (n > CONF_FOLDERS_MAX) {
		r = FILE_FAULT(fault, E2BIG, folders[CONF_FOLDERS_MAX],
			"more than %d policy folders", CONF_FOLDERS_MAX);
		goto out;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = list_folder(l, i);
	qsort(l->files, l->n_files, sizeof(*l->files), by_name);
	for (size_t i = 0; i < l->n_files && r == 0; i++)
		r = hand_over(l, &l->files[i], buf, each, arg);
	if (r == 0)
		*ret = found_in(l);
out:
	free(buf);
	if (l)
		listing_free(l);
	return r;
}
