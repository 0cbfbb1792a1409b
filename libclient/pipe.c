/*
 * A device in memory.  Calls of handlers and sinks are on a list while they
 * last; no lock is held meanwhile, so they may call whatever they like.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "packet.h"

/* A call on some thread's stack. */
struct visit {
	pthread_t thread;
	uint64_t generation;	/* of the handler; of a sink, the newest */
	struct visit *prev, *next;
};

struct ttd_pipe {
	struct ttd_netdev_ops ops;
	uint8_t mac[6];
	bool has_mac;
	ttd_handler *sink;
	void *sink_arg;
	struct meet meet;	/* all below is under its mutex: */
	ttd_handler *handler;
	void *arg;
	uint64_t generation;	/* of handler */
	struct visit *visits;
	struct ttd_prefix addr;
	bool closed;
	bool freed;		/* the last visit frees it */
};

#define SINK_GENERATION UINT64_MAX

static void release(struct ttd_pipe *pipe)
{
	pthread_cond_destroy(&pipe->meet.cond);
	pthread_mutex_destroy(&pipe->meet.mutex);
	free(pipe);
}

/* With the mutex. */
static bool is_visiting(const struct ttd_pipe *pipe)
{
	for (const struct visit *v = pipe->visits; v; v = v->next)
		if (pthread_equal(v->thread, pthread_self()))
			return true;
	return false;
}

/* This thread is in its handler; who is in its sink alone can wait for one. */
static bool in_own_handler(const struct ttd_pipe *pipe)
{
	for (const struct visit *v = pipe->visits; v; v = v->next)
		if (v->generation != SINK_GENERATION &&
		    pthread_equal(v->thread, pthread_self()))
			return true;
	return false;
}

static bool older_runs(const struct ttd_pipe *pipe, uint64_t generation)
{
	for (const struct visit *v = pipe->visits; v; v = v->next)
		if (v->generation < generation)
			return true;
	return false;
}

/* With the mutex, which it gives away: the call, on the list. */
static int visit(struct ttd_pipe *pipe, uint64_t generation,
		 ttd_handler *handler, void *arg, void *buf, size_t len)
{
	struct visit v = { .thread = pthread_self(), .generation = generation };
	bool last;
	int r;

	v.next = pipe->visits;
	if (v.next)
		v.next->prev = &v;
	/* cppcheck-suppress autoVariables ; it leaves the list below */
	pipe->visits = &v;
	pthread_mutex_unlock(&pipe->meet.mutex);
	r = handler(arg, buf, len);
	pthread_mutex_lock(&pipe->meet.mutex);
	if (v.prev)
		v.prev->next = v.next;
	else
		pipe->visits = v.next;
	if (v.next)
		v.next->prev = v.prev;
	last = pipe->freed && !pipe->visits;
	pthread_cond_broadcast(&pipe->meet.cond);
	pthread_mutex_unlock(&pipe->meet.mutex);
	if (last)
		release(pipe);
	return r;
}

/* Whatever comes of it, the old handler is gone on return, as a device's. */
static int pipe_set_handler(void *self, ttd_handler *handler, void *arg)
{
	struct ttd_pipe *pipe = self;
	uint64_t generation;
	int r;

	pthread_mutex_lock(&pipe->meet.mutex);
	r = pipe->closed && handler ? -ESHUTDOWN : 0;
	pipe->handler = r == 0 ? handler : NULL;
	pipe->arg = arg;
	generation = ++pipe->generation;
	while (!in_own_handler(pipe) && older_runs(pipe, generation))
		pthread_cond_wait(&pipe->meet.cond, &pipe->meet.mutex);
	pthread_mutex_unlock(&pipe->meet.mutex);
	return r;
}

static int check(const struct ttd_pipe *pipe, const void *buf, size_t len)
{
	if (!buf || len == 0)
		return -EINVAL;
	return len > packet_max(pipe->ops.layer) ? -EMSGSIZE : 0;
}

static int pipe_send(void *self, const void *buf, size_t len)
{
	struct ttd_pipe *pipe = self;
	int r = check(pipe, buf, len);

	if (r < 0)
		return r;
	pthread_mutex_lock(&pipe->meet.mutex);
	if (!pipe->closed && pipe->sink)
		/* Whose buffer it is has said that it is not to be written. */
		return visit(pipe, SINK_GENERATION, pipe->sink, pipe->sink_arg,
			     (void *)(uintptr_t)buf, len);
	r = pipe->closed ? -ESHUTDOWN : 0;
	pthread_mutex_unlock(&pipe->meet.mutex);
	return r;
}

int ttd_pipe_inject(struct ttd_pipe *pipe, void *buf, size_t len)
{
	int r = pipe ? check(pipe, buf, len) : -EINVAL;

	if (r < 0)
		return r;
	pthread_mutex_lock(&pipe->meet.mutex);
	if (!pipe->closed && pipe->handler)
		return visit(pipe, pipe->generation, pipe->handler, pipe->arg,
			     buf, len);
	r = pipe->closed ? -ESHUTDOWN : -EAGAIN;
	pthread_mutex_unlock(&pipe->meet.mutex);
	return r;
}

static int pipe_close(void *self)
{
	struct ttd_pipe *pipe = self;

	pthread_mutex_lock(&pipe->meet.mutex);
	pipe->closed = true;
	pthread_mutex_unlock(&pipe->meet.mutex);
	return 0;
}

static int pipe_hwaddr(void *self, uint8_t ret[6])
{
	const struct ttd_pipe *pipe = self;

	if (!pipe->has_mac)
		return -EOPNOTSUPP;
	memcpy(ret, pipe->mac, sizeof(pipe->mac));
	return 0;
}

static int pipe_addr(void *self, struct ttd_prefix *ret)
{
	struct ttd_pipe *pipe = self;
	int r = -EADDRNOTAVAIL;

	pthread_mutex_lock(&pipe->meet.mutex);
	if (pipe->addr.family) {
		*ret = pipe->addr;
		r = 0;
	}
	pthread_mutex_unlock(&pipe->meet.mutex);
	return r;
}

static int pipe_set_addr(void *self, const struct ttd_prefix *prefix)
{
	struct ttd_pipe *pipe = self;
	struct prefix checked;

	if (!prefix_from_public(prefix, &checked))
		return -EINVAL;
	pthread_mutex_lock(&pipe->meet.mutex);
	pipe->addr = *prefix;
	pthread_mutex_unlock(&pipe->meet.mutex);
	return 0;
}

int ttd_pipe_new(uint32_t layer, const uint8_t *mac, ttd_handler *sink,
		 void *sink_arg, struct ttd_pipe **ret)
{
	struct ttd_pipe *pipe;

	if (!ret || (layer != TTD_TUN && layer != TTD_TAP) ||
	    (mac && layer != TTD_TAP))
		return -EINVAL;
	pipe = calloc(1, sizeof(*pipe));
	if (!pipe)
		return -ENOMEM;
	pipe->ops = (struct ttd_netdev_ops){
		.size = sizeof(pipe->ops), .layer = layer,
		.set_handler = pipe_set_handler, .send = pipe_send,
		.close = pipe_close, .hwaddr = pipe_hwaddr,
		.addr = pipe_addr, .set_addr = pipe_set_addr,
	};
	pipe->has_mac = mac != NULL;
	if (mac)
		memcpy(pipe->mac, mac, sizeof(pipe->mac));
	pipe->sink = sink;
	pipe->sink_arg = sink_arg;
	pthread_mutex_init(&pipe->meet.mutex, NULL);
	os_cond_init(&pipe->meet.cond);
	*ret = pipe;
	return 0;
}

struct ttd_netdev ttd_pipe_netdev(struct ttd_pipe *pipe)
{
	return (struct ttd_netdev){ pipe ? &pipe->ops : NULL, pipe };
}

void ttd_pipe_free(struct ttd_pipe *pipe)
{
	bool now;

	if (!pipe)
		return;
	pthread_mutex_lock(&pipe->meet.mutex);
	pipe->closed = true;
	while (pipe->visits && !is_visiting(pipe))
		pthread_cond_wait(&pipe->meet.cond, &pipe->meet.mutex);
	now = !pipe->visits;
	pipe->freed = true;
	pthread_mutex_unlock(&pipe->meet.mutex);
	if (now)
		release(pipe);
}
