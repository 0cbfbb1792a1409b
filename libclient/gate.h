/*
 * A gate counts who is inside, and can be shut for good.
 *
 * Both live in one atomic word, so that nobody enters after the shutting, and
 * whoever leaves learns from the same operation whether somebody may be
 * waiting for it.  No second variable, so no order of two to reason about.
 * An open gate is passed with one compare-and-swap each way and no lock;
 * leaving a shut one takes the device's mutex, under which the waiter counts:
 * when he sees 0, the last one out is done with the gate and the mutex, and
 * both may be freed.
 *
 * One at a time is the reader, which the same word tells: who is inside to read
 * a packet, or a loop from packet to packet, the handler included.  The loop is
 * not inside meanwhile, so that a handler may shut the gate and wait.
 */
#ifndef TUNTAPD_GATE_H
#define TUNTAPD_GATE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct gate {
	_Atomic unsigned word;	/* GATE_SHUT and the count */
};
#define GATE_SHUT	0x80000000u
#define GATE_READER	0x40000000u

/* What sleepers of a device, at gates and elsewhere, meet at. */
struct meet {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
};

static inline bool gate_is_shut(const struct gate *g)
{
	return atomic_load(&g->word) & GATE_SHUT;
}

/* False if it is shut, and then nothing is to be left. */
static inline bool gate_enter(struct gate *g)
{
	unsigned old = atomic_load_explicit(&g->word, memory_order_relaxed);

	do
		if (old & GATE_SHUT)
			return false;
	while (!atomic_compare_exchange_weak(&g->word, &old, old + 1));
	return true;
}

/* Not with the mutex of `m` held. */
static inline void gate_leave(struct gate *g, struct meet *m)
{
	unsigned old = atomic_load_explicit(&g->word, memory_order_relaxed);

	while (!(old & GATE_SHUT))
		if (atomic_compare_exchange_weak(&g->word, &old, old - 1))
			return;
	pthread_mutex_lock(&m->mutex);
	atomic_fetch_sub(&g->word, 1);
	pthread_cond_broadcast(&m->cond);
	pthread_mutex_unlock(&m->mutex);
}

/* The one who reads, from now on.  Not while another is, or it is shut. */
static inline bool gate_take_reader(struct gate *g)
{
	unsigned old = atomic_load_explicit(&g->word, memory_order_relaxed);

	do
		if (old & (GATE_SHUT | GATE_READER))
			return false;
	while (!atomic_compare_exchange_weak(&g->word, &old,
					     old | GATE_READER));
	return true;
}

static inline void gate_drop_reader(struct gate *g)
{
	atomic_fetch_and(&g->word, ~GATE_READER);
}

/* Both at once.  0, -ESHUTDOWN, or -EBUSY: another reads. */
static inline int gate_enter_reader(struct gate *g)
{
	unsigned old = atomic_load_explicit(&g->word, memory_order_relaxed);

	do
		if (old & GATE_SHUT)
			return -ESHUTDOWN;
		else if (old & GATE_READER)
			return -EBUSY;
	while (!atomic_compare_exchange_weak(&g->word, &old,
					     (old + 1) | GATE_READER));
	return 0;
}

static inline void gate_leave_reader(struct gate *g, struct meet *m)
{
	unsigned old = atomic_load_explicit(&g->word, memory_order_relaxed);

	while (!(old & GATE_SHUT))
		if (atomic_compare_exchange_weak(&g->word, &old,
						 (old - 1) & ~GATE_READER))
			return;
	gate_drop_reader(g);
	gate_leave(g, m);
}

static inline void gate_shut(struct gate *g)
{
	atomic_fetch_or(&g->word, GATE_SHUT);
}

/* Shuts it if nobody is inside. */
static inline bool gate_shut_if_empty(struct gate *g)
{
	unsigned empty = 0;

	return atomic_compare_exchange_strong(&g->word, &empty, GATE_SHUT);
}

/* Waits until everyone has left a shut gate; with the mutex of `m` held. */
static inline void gate_drain(struct gate *g, struct meet *m)
{
	while ((atomic_load(&g->word) & ~GATE_READER) != GATE_SHUT)
		pthread_cond_wait(&m->cond, &m->mutex);
}

#endif
