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
	enum worker_kind { WORKER_CLOSE, WORKER_DELETE } kind;
	int *fds;		/* CLOSE: n_fds of them */
	unsigned n_fds;
	unsigned ifindex;	/* DELETE: this device, if it bears alias */
	const char *alias;
	int result;		/* of os_device_delete() */
	void (*done)(struct worker_job *job);
};

int worker_start(struct event_base *base);	/* 0 or -errno */
void worker_do(struct worker_job *job);
/* Lets the thread finish what it was given; `done` is no longer called. */
void worker_stop(void);

#endif
