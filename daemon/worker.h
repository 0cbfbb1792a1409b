/*
 * A thread for what takes the kernel long: the end of a device waits for an
 * RCU grace period, about 20 ms, in which the loop would serve nobody.
 */
#ifndef TUNTAPD_WORKER_H
#define TUNTAPD_WORKER_H

#include <stdbool.h>

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
	int own;		/* its fd that says which it is, or -1 */
	bool doomed;		/* whatever becomes of this daemon */
	int result;		/* of os_devices_delete() */
	void (*done)(struct worker_job *job);
};

int worker_start(struct event_base *base);	/* 0 or -errno */
/*
 * Jobs with fds to close, for which somebody waits, come first in each round of
 * LIMIT_DELETIONS_AT_ONCE.  What is doomed is marked so before the loop hears
 * of anything else: if we come to it no more, the daemon after us deletes it.
 */
void worker_do(struct worker_job *job);
/* All that was asked for is done.  No `done` is called any more. */
void worker_stop(void);

#endif
