#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "limits.h"
#include "log.h"
#include "os.h"

struct queue {
	struct worker_job *first, **last;
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct queue fresh;	/* of this turn of the loop, its own */
	struct queue urgent, todo, done;
	bool stop, started;
	int wake[2];		/* the thread writes: something is done */
	struct event *woken, *handover;
} worker = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wanted = PTHREAD_COND_INITIALIZER,
	.wake = { -1, -1 },
};

static struct worker_job *pop(struct queue *q)
{
	struct worker_job *job = q->first;

	if (!job)
		return NULL;
	q->first = job->next;
	if (!q->first)
		q->last = &q->first;
	return job;
}

static void push(struct queue *q, struct worker_job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static unsigned move(struct queue *from, struct queue *to, unsigned most)
{
	unsigned n = 0;

	for (; from->first && n < most; n++)
		push(to, pop(from));
	return n;
}

/* What is urgent leaves room in each round for what is not. */
_Static_assert(LIMIT_FDS_WAITING <= LIMIT_DELETIONS_AT_ONCE / 2,
	       "a job with fds has one at least");

/*
 * With the lock.  Both queues together: the kernel's grace period is one for
 * all of a round, so that neither of them costs the other much.  What somebody
 * waits for is first.
 */
static void next_round(struct queue *ret)
{
	unsigned n = move(&worker.urgent, ret, LIMIT_DELETIONS_AT_ONCE);

	move(&worker.todo, ret, LIMIT_DELETIONS_AT_ONCE - n);
}

static void close_fds(struct worker_job *job)
{
	for (unsigned i = 0; i < job->n_fds; i++)
		close(job->fds[i]);
	/* Of a device whose holder is there the loop looks at it: 0 stays. */
	if (job->n_fds > 0)
		job->n_fds = 0;
}

static void delete_devices(struct worker_job *jobs)
{
	struct os_deletion d[LIMIT_DELETIONS_AT_ONCE];
	struct worker_job *of[LIMIT_DELETIONS_AT_ONCE];
	unsigned n = 0;

	for (struct worker_job *job = jobs; job; job = job->next) {
		job->result = 0;
		if (!job->ifindex)
			continue;
		of[n] = job;
		d[n] = (struct os_deletion){ job->ifindex, job->own,
					     job->alias, n, 0 };
		n++;
	}
	os_devices_delete(d, n);
	for (unsigned i = 0; i < n; i++)
		of[d[i].tag]->result = d[i].result;
}

/*
 * The fds last: when one is the last of its device, its end takes a grace
 * period of its own, and none when the device has gone.
 */
static void carry_out(struct worker_job *jobs)
{
	delete_devices(jobs);
	for (struct worker_job *job = jobs; job; job = job->next)
		close_fds(job);
}

static void *run(void *arg)
{
	struct queue jobs = { NULL, &jobs.first };

	(void)arg;
	pthread_mutex_lock(&worker.lock);
	for (;;) {
		next_round(&jobs);
		if (!jobs.first && worker.stop)
			break;
		if (!jobs.first) {
			pthread_cond_wait(&worker.wanted, &worker.lock);
			continue;
		}
		pthread_mutex_unlock(&worker.lock);
		carry_out(jobs.first);
		pthread_mutex_lock(&worker.lock);
		move(&jobs, &worker.done, LIMIT_DELETIONS_AT_ONCE);
		/* A full pipe is fine: then the loop is woken already. */
		if (write(worker.wake[1], "", 1) < 0 && errno != EAGAIN)
			break;
	}
	pthread_mutex_unlock(&worker.lock);
	return NULL;
}

static void collect(evutil_socket_t fd, short what, void *arg)
{
	struct worker_job *job;
	char drain[64];

	(void)what;
	(void)arg;
	while (read(fd, drain, sizeof(drain)) > 0)
		;
	for (;;) {
		pthread_mutex_lock(&worker.lock);
		job = pop(&worker.done);
		pthread_mutex_unlock(&worker.lock);
		if (!job)
			return;
		job->done(job);
	}
}

static void mark_doomed(const struct queue *jobs)
{
	unsigned ifindexes[LIMIT_DELETIONS_AT_ONCE], n = 0;
	int error;

	for (struct worker_job *job = jobs->first; job; job = job->next)
		if (job->doomed)
			ifindexes[n++] = job->ifindex;
	error = os_devices_doom(ifindexes, n);
	if (error)
		log_line(LOG_WARNING, "devices that are taken back could not "
			 "be marked so: %s; if the daemon is killed before "
			 "they are gone, their clients can have them again",
			 strerror(-error));
}

/*
 * At the end of a turn, all that came in it: so they are marked together, which
 * waits for the kernel once, and deleted together.
 */
static void hand_over(evutil_socket_t fd, short what, void *arg)
{
	struct queue some = { NULL, &some.first };
	struct worker_job *job;

	(void)fd;
	(void)what;
	(void)arg;
	while (move(&worker.fresh, &some, LIMIT_DELETIONS_AT_ONCE)) {
		mark_doomed(&some);
		pthread_mutex_lock(&worker.lock);
		while ((job = pop(&some)))
			push(job->n_fds > 0 ? &worker.urgent : &worker.todo,
			     job);
		pthread_cond_signal(&worker.wanted);
		pthread_mutex_unlock(&worker.lock);
	}
}

int worker_start(struct event_base *base)
{
	sigset_t all, old;
	int error;

	worker.fresh.last = &worker.fresh.first;
	worker.urgent.last = &worker.urgent.first;
	worker.todo.last = &worker.todo.first;
	worker.done.last = &worker.done.first;
	if (pipe(worker.wake) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fcntl(worker.wake[i], F_SETFD, FD_CLOEXEC);
		fcntl(worker.wake[i], F_SETFL, O_NONBLOCK);
	}
	worker.woken = event_new(base, worker.wake[0], EV_READ | EV_PERSIST,
				 collect, NULL);
	worker.handover = event_new(base, -1, 0, hand_over, NULL);
	if (!worker.handover || !worker.woken ||
	    event_add(worker.woken, NULL))
		return -ENOMEM;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&worker.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	worker.started = error == 0;
	return -error;
}

void worker_do(struct worker_job *job)
{
	push(&worker.fresh, job);
	event_active(worker.handover, EV_TIMEOUT, 0);
}

void worker_stop(void)
{
	if (worker.started) {
		hand_over(-1, 0, NULL);
		pthread_mutex_lock(&worker.lock);
		worker.stop = true;
		pthread_cond_signal(&worker.wanted);
		pthread_mutex_unlock(&worker.lock);
		pthread_join(worker.thread, NULL);
		worker.started = false;
	}
	if (worker.woken)
		event_free(worker.woken);
	if (worker.handover)
		event_free(worker.handover);
	worker.woken = worker.handover = NULL;
	for (int i = 0; i < 2; i++) {
		if (worker.wake[i] >= 0)
			close(worker.wake[i]);
		worker.wake[i] = -1;
	}
}
