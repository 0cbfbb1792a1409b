/*
 * The inside of a device.
 *
 * A device has fds of others' making that many threads read, write and poll,
 * and may be closed by any of them at any time.  What keeps that sound:
 *
 *  - A number that was given out means this device, or something dead, until
 *    ttd_free(): closing puts a dead fd over it (dup2(2)), so no late reader
 *    ever hits a file of somebody else.
 *  - Every system call on a queue's fd is made inside one of its gates, no
 *    handler is.  Ending shuts the gates; closing waits until all are empty.
 *    The kernel frees a device with its last reference, and a thread inside a
 *    system call holds one (fdget in fs/file.c): after the wait it is gone.
 *  - Nobody blocks in a read.  All waiting is poll(2) on the queue's fd and on
 *    `done`, which ends every wait there will ever be.
 *  - Handlers have generations.  Who sets a new one waits for the queues that
 *    still run an older one.
 *  - Memory: the owner's handle, each push thread and each ttd_run() hold a
 *    reference; the last one out frees.  Calls in between hold `calls`.
 *
 * No lock is held while a handler runs or a system call may wait.
 */
#ifndef TUNTAPD_DEVICE_H
#define TUNTAPD_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../proto/wire.h"
#include "control.h"
#include "gate.h"
#include "ring.h"
#include "split.h"
#include "tuntapd.h"

struct queue {
	struct ttd_device *dev;
	_Atomic int fd;		/* its number never changes; but -1 once it was
				   closed because it could not be replaced */
	struct gate io;		/* who reads, writes, asks, or waits to recv */
	struct gate idle;	/* loops that wait for a packet: they do not
				   hinder ttd_take_fd(), others do */
	atomic_bool in_run;	/* ttd_run() is on it */
	uint8_t *in;		/* what was read lies there, header and all */
	uint8_t *super;		/* offload SPLIT: or there, if it has several
				   packets, until all have been read; */
	struct split split;	/* how far that is; len 0: there is none */
	bool was_super;		/* the last one that came had several */
	uint8_t *batch;		/* of ttd_recv_batch(), made by the first */
	struct ring *reads;	/* TTD_IO_URING: for many packets a call, or */
	struct ring *writes;	/* NULL */
	/* under meet.mutex: */
	uint64_t running;	/* generation of the handler it runs; 0: none */
	pthread_t runner;	/* who runs it, or is in_run */
	bool stuck;		/* closing: its number cannot be replaced */
	bool has_thread;
	pthread_t thread;
};

/* Where what is read goes: to a handler, or to a device as it came. */
struct sink {
	ttd_handler *handler;
	void *arg;
	struct ttd_device *wire; /* with a header before each packet, or none,
				    as the one that it is read from */
};

static inline bool sink_is_set(const struct sink *s)
{
	return s->handler || s->wire;
}

struct ttd_device {
	/* set before anyone else knows of it: */
	pid_t pid;		/* who opened it; others are forked children */
	char name[TTD_NAME_MAX];
	unsigned ifindex;
	enum ttd_layer layer;
	enum ttd_offload offload;
	bool vnet;		/* its fds have a virtio_net_hdr before each
				   packet (PASS, SPLIT) */
	bool udp;		/* and take super-packets of UDP */
	unsigned header;	/* bytes of that which readers see (PASS), or 0 */
	int sock;		/* the lease lives while this is connected; a
				   new connection gets the old one's number */
	int done[2];		/* pipe: [0] readable for ever at the end */
	int dead;		/* reads 0, polls HUP, cannot be written */

	_Atomic int status;	/* enum ttd_status; changes once */
	atomic_bool pushing;	/* there is a sink */
	_Atomic uint64_t generation;	/* of sink; begins with 1 */
	struct gate calls;	/* calls that look at it outside queue gates */

	struct meet meet;	/* all below is under its mutex: */
	struct ttd_error cause;	/* of the end */
	enum { CLOSE_NOT, CLOSE_BEGUN, CLOSE_DONE } closing;
	unsigned refs;
	unsigned runs;		/* ttd_run()s */
	struct sink sink;
	bool starting;		/* someone makes the threads */
	bool undo;		/* they shall go again */
	struct ttd_prefix addr;	/* what a netdev's addr() tells; family 0: none */
	struct control control;

	unsigned n_queues;
	struct queue queues[];
};

/* device.c */

/* A device without fds but its own three; NULL or -errno in *ret_error. */
struct ttd_device *device_new(unsigned n_queues, int *ret_error);
/* Rings for each queue, and room for what they read.  0 or -errno. */
int device_make_rings(struct ttd_device *dev);
/* Of one that nobody else knows of, or that nobody uses any more. */
void device_release(struct ttd_device *dev);
/*
 * Ends it with this cause, if it has not ended yet.  Does not wait: it may be
 * called inside a gate.  Always -ESHUTDOWN.
 */
int device_end(struct ttd_device *dev, enum ttd_status status, int code,
	       const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same with the mutex of meet held. */
int device_end_locked(struct ttd_device *dev, enum ttd_status status, int code,
		      const char *text);
int device_end_because(struct ttd_device *dev, enum ttd_status status,
		       const struct ttd_error *cause);
/*
 * A netdev's addr(): an IPv4 address replaces any, an IPv6 one only another.
 * With the mutex, or of a device that nobody else knows of.
 */
void device_store_addr(struct ttd_device *dev, const struct ttd_prefix *addr);
/* Gives up a reference; the device may be gone then. */
void device_drop(struct ttd_device *dev);

/* queue.c: inside of the gate of I/O */

/* There is no device behind the fd any more: ends it.  Always -ESHUTDOWN. */
int queue_gone(struct queue *q);
/* What the caller of a read or write that failed with this is told. */
int queue_judge(struct queue *q, int error, bool writing);
/* Bytes of the header that is before each packet at the fd. */
unsigned queue_header(const struct queue *q);

/* recv.c: also what loops are made of */

/* A handler is set, or ttd_run() is on it. */
bool queue_is_pushed(const struct queue *q);
/* Into the gate, as its reader.  0, -ESHUTDOWN, or -EBUSY: another reads. */
int queue_enter_to_read(struct queue *q);
/*
 * Its reader waits, and another may read meanwhile; inside of the gate all the
 * time, so that ttd_free() waits for the call.  0: try to read; -ETIMEDOUT,
 * -ESHUTDOWN or -EBUSY: it has left the gate.
 */
int queue_wait_inside(struct queue *q, int64_t deadline);
/* Waits as long as it takes, where it hinders no ttd_take_fd(). */
void queue_idle(struct queue *q);
/*
 * For its reader, see gate.h: the next packet, where it lies until the next
 * call.  Its length or -errno; an error that ends the device has ended it.
 */
ssize_t queue_next(struct queue *q, uint8_t **ret);
/*
 * The same inside of the gate, at `data`, where the longest has room, and
 * PACKET_HEADER bytes are free before it;
 */
ssize_t queue_read_inside(struct queue *q, uint8_t *data,
			  struct ttd_packet *ret);
/* what the fd gives, its header included, whatever the offload: at q->in, */
ssize_t queue_read_whole_inside(struct queue *q);
/* or several, as packet_read_some(), in one call where there is one. */
int queue_read_some_inside(struct queue *q, struct ttd_packet *packets,
			   unsigned n);

/* send.c: inside of the gate of I/O */

/* A packet, with the header that the device wants. */
int queue_send_inside(struct queue *q, const struct ttd_packet *p);
/*
 * Several of the n, joined where the device takes that.  How many were tried,
 * at least one, and why none of these went, or 0.
 */
unsigned queue_send_some_inside(struct queue *q,
				const struct ttd_packet *packets, unsigned n,
				int *ret_error);
/* The same of what has its header already. */
unsigned queue_write_some_inside(struct queue *q,
				 const struct ttd_packet *packets, unsigned n,
				 int *ret_error);

/* batch.c */

/* There is room for a batch; where there is not yet, it is made. */
bool batch_ready(struct queue *q);
/* For its reader: what there is goes to another queue as it came.  How many. */
int queue_carry(struct queue *from, struct queue *to);

/* loop.c */

/* ttd_set_handler(), whatever the offload. */
int device_set_sink(struct ttd_device *dev, const struct sink *sink);

/* This thread is in a handler of that device, however deep.  With the mutex. */
bool in_handler(const struct ttd_device *dev);
/* Joins push threads, which are about to return; detaches the caller. */
void loop_join(struct ttd_device *dev);

/* clock.c: moments of CLOCK_MONOTONIC in ms; -1 is never. */

int64_t deadline_in(int timeout_ms);
/* What is left for poll(2). */
int deadline_left(int64_t deadline);
/* The shorter of two times as of poll(2). */
int sooner(int a_ms, int b_ms);

/* options.c */

/* Checks and translates.  0 or -errno with the sentence in error. */
int options_read(const struct ttd_options *from, struct ttd_options *ret,
		 struct ttd_error *error);
int options_encode(const struct ttd_options *o, struct wire_open *ret,
		   struct ttd_error *error);
/* Of the routes, how many go with the open itself: the others follow. */
size_t first_routes(const struct ttd_options *o);
/* ret holds as many as one message does; -E2BIG for more. */
int addrs_encode(const struct ttd_addr *addrs, size_t n,
		 struct wire_address *ret, struct ttd_error *error);
/* From the first one on, so many as one message holds at most. */
int routes_encode(const struct ttd_route *routes, size_t first, size_t n,
		  struct wire_route *ret, struct ttd_error *error);
/* Can all of them be encoded? */
int routes_check(const struct ttd_route *routes, size_t n,
		 struct ttd_error *error);

/* config.c: ADD or REMOVE of any number of routes that were checked. */
int device_change_routes(struct ttd_device *dev, uint8_t type,
			 const struct ttd_route *routes, size_t n,
			 struct ttd_error *error);

/* prefix.c */

/* False unless it is a valid prefix of family 4 or 6. */
bool prefix_from_public(const struct ttd_prefix *from, struct prefix *ret);
struct ttd_prefix prefix_to_public(const struct prefix *from);

/* error.c */

/* Fills e unless that is NULL; returns code. */
int error_set(struct ttd_error *e, int code, const char *step,
	      const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* What a daemon's no means; returns its -errno. */
int error_refused(struct ttd_error *e, const struct wire_refused *r);
#define ERROR_WORDS_MAX 128
/* strerror(3) of an errno of either sign, for threads. */
const char *error_words(int error, char buf[ERROR_WORDS_MAX]);

#endif
