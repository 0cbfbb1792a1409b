/*
 * The talk with the daemon after the open: requests, and what it tells.
 *
 * Whoever waits for something drains the socket, as far as it goes without
 * waiting, under the device's mutex: the control thread, which looks after all
 * devices of the process, or with TTD_NO_THREAD the calls themselves.
 */
#ifndef TUNTAPD_CONTROL_H
#define TUNTAPD_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "../proto/frame.h"
#include "tuntapd.h"

struct pollfd;

#define EVENT_TYPES (TTD_EVENT_ENDED + 1)

struct control {
	bool threaded;		/* set at open: the thread looks after it */
	int timeout_ms;		/* likewise: of each call */
	atomic_bool lost;	/* the daemon is; stays so */
	/* under meet.mutex: */
	struct frame_in in;
	struct wire_message m;	/* the one that was drained last */
	bool polling;		/* TTD_NO_THREAD: someone polls the socket, and
				   he alone drains it */
	bool asking;		/* someone has the turn to ask */
	uint16_t last_id;
	struct wire_message *reply;	/* where the answer to it goes; or NULL */
	bool answered;
	/* Of each type the last one; order 0: told, or there was none. */
	struct ttd_event events[EVENT_TYPES];
	uint64_t order[EVENT_TYPES], n_events;
	bool end_told;
	int event_pipe[2];	/* made when first asked for */
	bool event_byte;	/* is in it */
	/* under the mutex of the thread: */
	bool listed;
	struct ttd_device *prev, *next;
};

/* control.c */

/*
 * With meet.mutex: takes in what has come, or leaves it to the one who polls:
 * what is drained behind his back does not wake him.
 */
void control_drain(struct ttd_device *dev);
/*
 * With meet.mutex, which it gives away: waits until something may have changed,
 * and drains.  0 or -ETIMEDOUT.
 */
int control_wait(struct ttd_device *dev, int64_t deadline);
/*
 * One round trip: *m is the request and becomes the answer, which is of type
 * `wanted`.  0 or -errno with error filled.
 */
int control_ask(struct ttd_device *dev, struct wire_message *m, uint8_t wanted,
		struct ttd_error *error);

/* There is nothing to hear any more: it has ended, or the daemon is lost. */
bool control_is_over(const struct ttd_device *dev);
/*
 * poll(2) that does not fail: where it lacks memory, or RLIMIT_NOFILE was
 * lowered below n, all may be ready, after a while.
 */
void control_poll(struct pollfd *fds, unsigned n, int ms);

/* control_thread.c */

/* Has the thread look after it.  0 or -errno. */
int control_add(struct ttd_device *dev);
/*
 * Waits until the thread does not look at it any more; without any lock held.
 * It may never have been added.
 */
void control_remove(struct ttd_device *dev);

/* events.c, all with meet.mutex */

void event_put(struct ttd_device *dev, uint32_t type, uint32_t value,
	       const char *text);
/* Makes the event fd readable exactly if there is an event. */
void event_signal(struct ttd_device *dev);

#endif
