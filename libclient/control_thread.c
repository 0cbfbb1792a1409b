/*
 * The thread that looks after all devices of the process but those with
 * TTD_NO_THREAD, from the first one's open to the last one's close.
 *
 * Locks: the thread's, then a device's.  The thread holds its own while it
 * attends, which never waits and runs none of the program's code; so who has
 * taken a device out of the list knows that the thread is done with it.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "device.h"
#include "packet.h"

#define NO_MEMORY_MS	100	/* until it tries again */

/* What the thread polls: the pipe, and then the list. */
struct polled {
	struct pollfd *fds;
	unsigned n, cap;
	int ms;			/* until it has something to do anyway */
	unsigned long version;	/* of the list it was made from */
};

static struct {
	pthread_once_t once;
	pthread_mutex_t mutex;
	pthread_cond_t stopped;
	struct ttd_device *devices;
	unsigned n;
	unsigned long version;	/* of the list */
	int wake[2];
	pthread_t thread;
	bool running, stop;
	struct polled polled;	/* the thread's own */
	void *inherited;	/* the parent's, see begin_anew() */
} control = {
	.once = PTHREAD_ONCE_INIT,
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.stopped = PTHREAD_COND_INITIALIZER,
};

static void wake(void)
{
	(void)!write(control.wake[1], "", 1);	/* full is as good */
}

/* With the mutex.  False without memory. */
static bool gather(struct polled *p)
{
	struct pollfd *more = p->fds;

	p->ms = NO_MEMORY_MS;
	if (!more || p->cap < control.n + 1) {
		more = realloc(more, (control.n + 1) * sizeof(*more));
		if (!more)
			return false;
		p->fds = more;
		p->cap = control.n + 1;
	}
	p->n = 0;
	p->ms = -1;
	p->fds[p->n++] = (struct pollfd){ control.wake[0], POLLIN, 0 };
	for (struct ttd_device *dev = control.devices; dev;
	     dev = dev->control.next) {
		p->fds[p->n++] = (struct pollfd){
			control_socket(dev), POLLIN, 0
		};
		p->ms = sooner(p->ms, reclaim_wait_ms(dev));
	}
	p->version = control.version;
	return true;
}

static void serve(const struct polled *p)
{
	unsigned i = 1;

	for (struct ttd_device *dev = control.devices; dev;
	     dev = dev->control.next, i++) {
		if (!p->fds[i].revents && reclaim_wait_ms(dev) != 0)
			continue;
		pthread_mutex_lock(&dev->meet.mutex);
		control_attend(dev);
		pthread_mutex_unlock(&dev->meet.mutex);
	}
}

static void *run(void *unused)
{
	struct polled *p = &control.polled;
	char drained[64];

	(void)unused;
	os_name_thread("ttd-control");
	pthread_mutex_lock(&control.mutex);
	while (!control.stop) {
		bool ready = gather(p);

		pthread_mutex_unlock(&control.mutex);
		control_poll(p->fds, ready ? p->n : 0, p->ms);
		pthread_mutex_lock(&control.mutex);
		/* Of another list: what poll said is about the past. */
		if (ready && p->version == control.version)
			serve(p);
		while (read(control.wake[0], drained, sizeof(drained)) > 0)
			;
	}
	free(p->fds);
	*p = (struct polled){ .fds = NULL };
	pthread_mutex_unlock(&control.mutex);
	return NULL;
}

/*
 * A child of fork(2) has no thread, and locks in any state: it begins anew.
 * What it closes must be the pipe, whenever the parent forked.  What its parent
 * polled may have been in the middle of a realloc(3): it is kept and not freed.
 */
static void begin_anew(void)
{
	pthread_mutex_init(&control.mutex, NULL);
	pthread_cond_init(&control.stopped, NULL);
	if (control.running) {
		close(control.wake[0]);
		close(control.wake[1]);
	}
	control.devices = NULL;
	control.n = 0;
	control.running = control.stop = false;
	control.inherited = control.polled.fds;
	control.polled = (struct polled){ .fds = NULL };
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, begin_anew);
}

/* With the mutex. */
static int start(void)
{
	sigset_t all, old;
	int r = sys_pipe(control.wake);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++)
		os_set_blocking(control.wake[i], false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&control.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		close(control.wake[0]);
		close(control.wake[1]);
	}
	control.running = r == 0;
	return r;
}

int control_add(struct ttd_device *dev)
{
	int r = 0;

	if (!dev->control.threaded)
		return 0;
	pthread_once(&control.once, watch_forks);
	pthread_mutex_lock(&control.mutex);
	while (control.stop)
		pthread_cond_wait(&control.stopped, &control.mutex);
	if (!control.running)
		r = start();
	if (r == 0) {
		dev->control.prev = NULL;
		dev->control.next = control.devices;
		if (control.devices)
			control.devices->control.prev = dev;
		control.devices = dev;
		dev->control.listed = true;
		control.n++;
		control.version++;
		wake();
	}
	pthread_mutex_unlock(&control.mutex);
	return r;
}

void control_remove(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (!c->threaded)
		return;
	pthread_mutex_lock(&control.mutex);
	if (!c->listed)
		goto out;
	if (c->prev)
		c->prev->control.next = c->next;
	else
		control.devices = c->next;
	if (c->next)
		c->next->control.prev = c->prev;
	c->listed = false;
	control.n--;
	control.version++;
	control.stop = control.n == 0;
	wake();
	if (!control.stop)
		goto out;
	pthread_mutex_unlock(&control.mutex);
	pthread_join(control.thread, NULL);
	pthread_mutex_lock(&control.mutex);
	control.running = false;	/* first: see begin_anew() */
	close(control.wake[0]);
	close(control.wake[1]);
	control.stop = false;
	pthread_cond_broadcast(&control.stopped);
out:
	pthread_mutex_unlock(&control.mutex);
}
