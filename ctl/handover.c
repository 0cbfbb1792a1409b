#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Where text has one of the words, the word's value; else NULL. */
static const char *value_at(const char *text, const char *fd, const char *name,
			    size_t *ret_len)
{
	static const char word_fd[] = "{fd}", word_name[] = "{name}";

	if (strncmp(text, word_fd, sizeof(word_fd) - 1) == 0) {
		*ret_len = sizeof(word_fd) - 1;
		return fd;
	}
	if (strncmp(text, word_name, sizeof(word_name) - 1) == 0) {
		*ret_len = sizeof(word_name) - 1;
		return name;
	}
	return NULL;
}

/*
 * Writes the argument with its words replaced, and its NUL, to out unless that
 * is NULL; the bytes written or needed.  A value is not looked into again: a
 * device may be named {fd}.
 */
static size_t expand(char *out, const char *arg, const char *fd,
		     const char *name)
{
	size_t n = 0;

	while (*arg) {
		size_t from = 1, len = 1;
		const char *value = value_at(arg, fd, name, &from);

		if (value)
			len = strlen(value);
		if (out)
			memcpy(out + n, value ? value : arg, len);
		n += len;
		arg += from;
	}
	if (out)
		out[n] = '\0';
	return n + 1;
}

char **handover_argv(char *const *argv, int fd, const char *name)
{
	char number[16], **ret, *text;
	size_t argc = 1, bytes = strlen(argv[0]) + 1;

	snprintf(number, sizeof(number), "%d", fd);
	for (; argv[argc]; argc++)
		bytes += expand(NULL, argv[argc], number, name);
	ret = malloc((argc + 1) * sizeof(*ret) + bytes);
	if (!ret)
		return NULL;
	text = (char *)(ret + argc + 1);
	for (size_t i = 0; i < argc; i++) {
		ret[i] = text;
		if (i == 0)
			text = stpcpy(text, argv[0]) + 1;
		else
			text += expand(text, argv[i], number, name);
	}
	ret[argc] = NULL;
	return ret;
}

/* Moves fds that are below floor there or above: no target hits a source. */
static int lift(int *fds, unsigned n, int floor)
{
	for (unsigned i = 0; i < n; i++) {
		int fd;

		if (fds[i] >= floor)
			continue;
		fd = fcntl(fds[i], F_DUPFD_CLOEXEC, floor);
		if (fd < 0)
			return -errno;
		close(fds[i]);
		fds[i] = fd;
	}
	return 0;
}

static int place(posix_spawn_file_actions_t *actions, const int *fds,
		 unsigned n)
{
	int error = 0;

	for (unsigned i = 0; i < n && !error; i++)
		error = posix_spawn_file_actions_adddup2(actions, fds[i],
						HANDOVER_FIRST_FD + (int)i);
	return error;
}

/*
 * posix_spawn(3), not fork(2): the library may have threads, and exec's error
 * comes back as a number instead of from the middle of a half-made process.
 */
int handover_spawn(char **argv, int *fds, unsigned n, const sigset_t *mask,
		   pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int error = -lift(fds, n, HANDOVER_FIRST_FD + (int)n);

	if (error)
		return -error;
	error = posix_spawn_file_actions_init(&actions);
	if (error)
		return -error;
	error = posix_spawnattr_init(&attr);
	if (error)
		goto out;
	error = place(&actions, fds, n);
	if (!error)
		error = posix_spawnattr_setsigmask(&attr, mask);
	if (!error)
		error = posix_spawnattr_setflags(&attr,
						 POSIX_SPAWN_SETSIGMASK);
	if (!error)
		error = posix_spawnp(ret, argv[0], &actions, &attr, argv,
				     environ);
	posix_spawnattr_destroy(&attr);
out:
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}
