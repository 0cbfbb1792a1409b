/*
 * CMD is in our process group, so the terminal's signals (^C, ^\, a new window
 * size) reach it without us, and passing them on would let it see two, unless
 * it has made a group of its own.  What a process sends to us is passed on.  ^Z
 * stops both; the shell's fg or bg wakes both.  A terminal that hangs up tells
 * the leader of its session alone (tty_signal_session_leader in drivers/tty),
 * which we are where nothing but us was started on it.
 */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {
	SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT
};
#define N_PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

static int wake[2] = { -1, -1 };	/* a pipe: CMD may have ended */
static volatile pid_t cmd_pid;
static sigset_t held, before;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (sig == SIGCHLD)
		(void)!write(wake[1], "", 1);	/* full is as good */
	else if (sent_by_process(info) || getpgid(cmd_pid) != getpgrp() ||
		 (sig == SIGHUP && getsid(0) == getpid()))
		kill(cmd_pid, sig);
	errno = saved;
}

/*
 * The handlers run once CMD is there; until then the signals are held.  One
 * that we were told to ignore, as nohup(1) does with SIGHUP, stays ignored by
 * both of us.  CMD does not inherit SIGCHLD as ignored if we did: there is no
 * waiting with it.
 */
int supervise_begin(sigset_t *ret_mask)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_NOCLDSTOP |
				 SA_RESTART };
	struct sigaction old;

	if (pipe(wake) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(wake[i], F_SETFD, FD_CLOEXEC);
		fcntl(wake[i], F_SETFL, O_NONBLOCK);
	}
	act.sa_sigaction = on_signal;
	sigfillset(&act.sa_mask);
	sigemptyset(&held);
	sigaddset(&held, SIGCHLD);
	for (size_t i = 0; i < N_PASSED_ON; i++)
		sigaddset(&held, passed_on[i]);
	sigprocmask(SIG_BLOCK, &held, &before);
	sigaction(SIGCHLD, &act, NULL);
	for (size_t i = 0; i < N_PASSED_ON; i++) {
		sigaction(passed_on[i], &act, &old);
		if (old.sa_handler == SIG_IGN)
			sigaction(passed_on[i], &old, NULL);
	}
	*ret_mask = before;
	return 0;
}

/* With the signals held, so that none is sent to a pid that is free again. */
static bool has_ended(pid_t cmd, int *ret_status)
{
	sigprocmask(SIG_BLOCK, &held, NULL);
	if (waitpid(cmd, ret_status, WNOHANG) == cmd)
		return true;
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	return false;
}

int supervise_wait(pid_t cmd, int done, void (*gone)(void *arg), void *arg)
{
	struct pollfd p[] = { { wake[0], POLLIN, 0 }, { done, POLLIN, 0 } };
	char drained[64];
	int status;

	cmd_pid = cmd;
	while (!has_ended(cmd, &status)) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents) {
			p[1].fd = -1;
			gone(arg);
		}
		while (read(wake[0], drained, sizeof(drained)) > 0)
			;
	}
	return status;
}

_Noreturn void supervise_exit(int status)
{
	int sig = WTERMSIG(status);
	sigset_t mask;

	if (!WIFSIGNALED(status))
		exit(WEXITSTATUS(status));
	dump_no_core();
	signal(sig, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, sig);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	raise(sig);
	exit(128 + sig);	/* a signal that ends CMD and not us? */
}
