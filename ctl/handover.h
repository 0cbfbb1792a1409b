/*
 * What CMD gets: fds at fixed numbers, and arguments that tell of them.
 */
#ifndef TUNTAPCTL_HANDOVER_H
#define TUNTAPCTL_HANDOVER_H

#include <signal.h>
#include <sys/types.h>

#define HANDOVER_FIRST_FD	3	/* the first queue's in CMD */

/*
 * argv with every {fd} and {name} in its arguments replaced (not in argv[0],
 * the command).  One block for free(3), or NULL: no memory.
 */
char **handover_argv(char *const *argv, int fd, const char *name);

/*
 * Starts argv[0], looked up in PATH, with fds[0] as its fd 3, fds[1] as 4 and
 * so on, blocking or not as they are, and with this signal mask.  Afterwards
 * fds has other numbers where an old one was in the way; all are the caller's
 * still, and close-on-exec.  0, or -errno: CMD's if exec failed.
 */
int handover_spawn(char **argv, int *fds, unsigned n, const sigset_t *mask,
		   pid_t *ret);

#endif
