/*
 * Waiting for CMD: it gets the signals that are meant for it, and its end
 * becomes ours.
 */
#ifndef TUNTAPCTL_SUPERVISE_H
#define TUNTAPCTL_SUPERVISE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Blocks the signals that are passed on; *ret_mask is the mask of before, for
 * CMD.  0 or -errno.
 */
int supervise_begin(sigset_t *ret_mask);

/*
 * Waits until CMD has ended, passing signals on, and returns its wait status
 * with those signals blocked again.  Once `done` is readable, calls gone(arg).
 */
int supervise_wait(pid_t cmd, int done, void (*gone)(void *arg), void *arg);

/* Exits as CMD did: with its status, or by its signal. */
_Noreturn void supervise_exit(int status);

/* supervise_*.c, a file a system: not by the kernel, as of a terminal; */
bool sent_by_process(const siginfo_t *info);
/* and one dump of core is enough, and it is CMD's. */
void dump_no_core(void);

#endif
