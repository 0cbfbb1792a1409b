/*
 * The talk with the daemon after the open: requests, and what it tells.
 *
 * Whoever waits for something attends to the device, as far as it goes without
 * waiting, under its mutex: the control thread, which looks after all devices
 * of the process, or with TTD_NO_THREAD the calls themselves.  He drains the
 * socket, and takes the lease back when the daemon was lost (reclaim.c).
 */
#ifndef TUNTAPD_CONTROL_H
#define TUNTAPD_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/un.h>

#include "../proto/frame.h"
#include "tuntapd.h"

struct pollfd;

#define EVENT_TYPES (TTD_EVENT_ENDED + 1)

enum link {
	LINK_HELD,		/* by the connection we hold the lease */
	LINK_AWAY,		/* there is none; retry_at is the next try */
	LINK_ASKED		/* there is, and RECLAIM is not answered yet */
};

#define MAC_TEXT sizeof("02:00:5e:10:00:01")

/* What the program knows of its device, from the open, events and requests. */
struct told {
	char name[TTD_NAME_MAX];
	char mac[MAC_TEXT];	/* TAP */
	uint32_t mtu;
	bool up;
};

/*
 * Requests of one call, many of them: several are under way at a time.  Begin
 * with .make, .arg, .n, and .done of n zeros.
 */
struct stream {
	/* The i-th of them, into a message that was used before. */
	void (*make)(void *arg, size_t i, struct wire_message *m);
	void *arg;
	size_t n;
	bool go_on;		/* also after one that was refused */
	bool *done;		/* each: it was carried out */
	size_t sent, answered;
	bool refused;		/* one of them, of which there is the answer */
};

struct control {
	/* set at open: */
	bool threaded;		/* the thread looks after it */
	int timeout_ms;		/* of each call */
	struct sockaddr_un daemon;	/* where it listens */
	uint8_t token[WIRE_TOKEN_LEN];	/* proves the lease to the next one */
	/* written under meet.mutex: */
	_Atomic int link;	/* enum link */
	_Atomic int64_t retry_at;	/* a moment of clock.c */
	/* under meet.mutex: */
	unsigned tries;		/* that failed since the daemon was lost */
	uint64_t random;	/* the state of what spreads them */
	struct told told;
	struct frame_in in;
	struct wire_message m;	/* the one that was drained last */
	bool polling;		/* TTD_NO_THREAD: someone polls the socket, and
				   he alone drains it */
	bool asking;		/* someone has the turn to ask */
	bool answered;
	bool broken;		/* the stream's connection ended */
	uint16_t last_id;
	uint16_t next_id;	/* of the stream's next answer */
	struct wire_set wish;	/* what that request makes of `told` */
	struct wire_message *reply;	/* where the answer to it goes; or NULL */
	struct stream *stream;	/* it is of one, whose answers are counted */
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
 * With meet.mutex: takes in what has come and does what is due, or leaves it to
 * the one who polls: what is drained behind his back does not wake him.
 */
void control_attend(struct ttd_device *dev);
/*
 * With meet.mutex: takes in what has come, also behind the back of the one who
 * polls: for who ends the device right after that, which wakes all.
 */
void control_drain(struct ttd_device *dev);
/*
 * With meet.mutex, which it gives away: waits until something may have changed,
 * and attends.  0 or -ETIMEDOUT.
 */
int control_wait(struct ttd_device *dev, int64_t deadline);
/*
 * One round trip: *m is the request and becomes the answer, which is of type
 * `wanted`.  0 or -errno with error filled.
 */
int control_ask(struct ttd_device *dev, struct wire_message *m, uint8_t wanted,
		struct ttd_error *error);

/*
 * Asks for all of a stream, which are to be answered by DONE.  0 or -errno with
 * error filled.  It may take the time-out for each answer.
 */
int control_ask_all(struct ttd_device *dev, struct stream *stream,
		    struct ttd_error *error);

/* The socket to listen to, or -1: it has ended, or the daemon is away. */
int control_socket(const struct ttd_device *dev);
/*
 * poll(2) that does not fail: where it lacks memory, or RLIMIT_NOFILE was
 * lowered below n, all may be ready, after a while.
 */
void control_poll(struct pollfd *fds, unsigned n, int ms);

/* reclaim.c; all but reclaim_wait_ms() with meet.mutex */

/* The connection is gone, and the daemon with it: begins to try. */
void reclaim_begin(struct ttd_device *dev);
/* The connection that was tried is of no use: puts off the next try. */
void reclaim_later(struct ttd_device *dev);
/* Connects and asks, if it is time to; never waits. */
void reclaim_try(struct ttd_device *dev);
/* The answer to that.  False where reclaim_later() is what follows. */
bool reclaim_answer(struct ttd_device *dev, const struct wire_message *m);
/* When it is time to, in ms as of poll(2). */
int reclaim_wait_ms(const struct ttd_device *dev);

/* Of what comes later than this the program need not be told again. */
void told_opened(struct ttd_device *dev, const struct wire_opened *o, bool up);
void told_event(struct ttd_device *dev, const struct wire_event *e);
void told_done(struct ttd_device *dev);

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
