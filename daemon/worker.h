/*
 * A thread for what takes the kernel long: the end of a device waits for an
 * RCU grace period, about 20 ms, in which the loop would serve nobody.
 */
#ifndef TUNTAPD_WORKER_H
#define TUNTAPD_WORKER_H

struct event_base;

/*
 * Part of whoever wants it done, who stays until `done` was called, on the
 * loop's thread.
 */
struct worker_job {
	struct worker_job *next;
	int *fds;		/* n_fds of them to close, */
	unsigned n_fds;
	unsigned ifindex;	/* then, if not 0, the device to delete, */
	const char *alias;	/* if it bears this; NULL: in any case */
	int result;		/* of os_device_delete() */
	void (*done)(struct worker_job *job);
};

int worker_start(struct event_base *base);	/* 0 or -errno */
/*
 * Jobs with fds to close, for which somebody waits, come first in each round of
 * LIMIT_DELETIONS_AT_ONCE.
 */
void worker_do(struct worker_job *job);
/*
 * Lets the thread finish the job that it is at.  No `done` is called any more:
 * what has not been done is left in the jobs.
 */
void worker_stop(void);

#endif
