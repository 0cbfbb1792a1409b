/* Leases: where they begin, and how they end, from whichever side. */
#include "lease.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "copies.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"

struct held *held_of(struct lease *lease)
{
	return (struct held *)lease;	/* its first member */
}

void lease_count_waiting(struct held *held, unsigned n)
{
	registry_fds(&held->server->registry, held->lease.uid, n,
		     held->waiting);
	held->waiting = n;
}

/* The device is no more. */
static void gone(struct held *held)
{
	if (!held->lease.counted)
		return;
	registry_gone(&held->server->registry, &held->lease);
	if (held->job.own >= 0)
		copies_keep(held->job.own, &held->lease);
	held->job.own = -1;
	adopt_closed(held);
}

static void held_free(struct held *held)
{
	gone(held);
	event_del(&held->linger);
	event_del(&held->changed);
	event_del(&held->went_down);
	remake_stop(held);
	source_free(held);
	lease_count_waiting(held, 0);
	config_free(&held->config);
	routes_free(&held->routes);
	for (unsigned i = 0; i < held->job.n_fds; i++)
		close(held->fds[i]);
	registry_remove(&held->server->registry, &held->lease);
	free(held);
}

/* Nobody is counted any more: what is left stays with who has it. */
static void forget(struct held *held)
{
	if (held->job.own >= 0)
		close(held->job.own);
	held->job.own = -1;
	held_free(held);
}

void lease_forget_all(struct server *server)
{
	while (server->registry.leases)
		forget(held_of(server->registry.leases));
	copies_stop();	/* which have accounts, too */
	registry_forget(&server->registry);
}

/* --- the end ------------------------------------------------------------ */

void lease_tell_end(struct held *held, enum wire_notice_kind how,
		    const char *text)
{
	if (!held->over)
		monitor_lease(how, &held->lease, "%s", text);
	held->over = true;
}

void lease_wait(struct held *held, int ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(&held->linger, &tv);
}

static struct held *held_of_job(struct worker_job *job)
{
	return (struct held *)((char *)job - offsetof(struct held, job));
}

static void log_failure(const struct held *held, int error)
{
	if (error == -EPERM)
		log_line(LOG_WARNING, "lease %s: what has index %u now does "
			 "not bear its mark; left alone", held->lease.id,
			 held->lease.ifindex);
	else if (error)
		log_line(LOG_WARNING, "lease %s: %s (index %u) could not be "
			 "deleted: %s; it is tried again", held->lease.id,
			 held->lease.name, held->lease.ifindex,
			 strerror(-error));
}

/*
 * What its holder did he can do again and again: that is a line of his.  What
 * root or the policy did is there whatever he has in the log besides.
 */
static void log_end(const struct held *held, bool his_doing, int level,
		    const char *how)
{
#define LINE "lease %s: %s of uid %u %s%s"
	const struct lease *l = &held->lease;

	if (his_doing)
		log_line_of(l->uid, level, LINE, l->id, l->name, l->uid, how,
			    held->why);
	else
		log_line(level, LINE, l->id, l->name, l->uid, how, held->why);
#undef LINE
}

/* The device is no more, its holder is still there. */
static void revoked(struct held *held)
{
	gone(held);
	held->lease.state = WIRE_LEASE_DELETED;
	conn_wake(held->conn);
}

/* fds that nobody was given are closed, and the device is no more. */
static void on_done(struct worker_job *job)
{
	struct held *held = held_of_job(job);
	struct conn *c = held->conn;
	int error = job->result;
	/* Where its fds were the last ones it has gone all the same. */
	bool again = error && error != -EPERM && held->lease.counted;

	held->working = false;
	lease_count_waiting(held, 0);
	log_failure(held, error);
	if (held->revoked && c && !again) {
		revoked(held);
		return;
	}
	if (again)
		lease_wait(held, LIMIT_RETRY_MS);
	if (held->revoked && c)
		return;
	held->conn = NULL;
	if (!again)
		held_free(held);
	if (c) {
		c->held = NULL;
		conn_resume(c);
	}
}

void lease_do_away(struct held *held)
{
	/* A job is in one queue: the mirror may have told of a storm, too. */
	if (held->working)
		return;
	held->working = true;
	held->job.ifindex = held->lease.counted ? held->lease.ifindex : 0;
	held->job.done = on_done;
	worker_do(&held->job);
}

/*
 * Some time after one of the two, the device and the connection, has ended
 * without the other.  Normally the kernel removes the device with the last fd;
 * what is still there the client made persistent, or gave to somebody.
 */
static void on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;
	struct registry *registry = &held->server->registry;
	unsigned ifindex = held->lease.ifindex;

	(void)fd;
	(void)what;
	/* Its client may be among those that are not heard yet. */
	if (held->lease.state == WIRE_LEASE_ORPHAN &&
	    held->server->more_to_accept && held->late_ms < LIMIT_LATE_MS) {
		held->late_ms += LIMIT_LINGER_MS;
		lease_wait(held, LIMIT_LINGER_MS);
		return;
	}
	if (held->lease.state == WIRE_LEASE_ORPHAN) {
		log_line(LOG_NOTICE, "lease %s: nobody came for %s of uid %u; "
			 "it is deleted", held->lease.id, held->lease.name,
			 held->lease.uid);
		lease_tell_end(held, WIRE_NOTICE_DELETED, "nobody came for it");
		held->lease.state = WIRE_LEASE_ENDING;
	}
	if (held->conn && held->lease.counted) {
		lease_do_away(held);	/* it is revoked, and that failed before */
		return;
	}
	if (held->conn) {
		/* Who closes all of its fds has it deleted, too. */
		log_end(held, !held->moved, LOG_WARNING, "");
		lease_tell_end(held, WIRE_NOTICE_DELETED, held->why);
		held->news.ended = WIRE_ENDED_DELETED;
		conn_wake(held->conn);
		return;
	}
	mirror_update();
	/* Unless the update told of its end, and freed it. */
	if (registry_find(registry, ifindex) == &held->lease)
		lease_do_away(held);
}

bool lease_is_there(const struct held *held)
{
	return held->lease.ifindex && held->lease.counted && !held->working &&
	       !held->revoked;
}

struct held *lease_held(struct lease *lease)
{
	struct held *held = held_of(lease);

	return held->conn && lease_is_there(held) ? held : NULL;
}

/* What bears another mark is left alone, whoever gave it that. */
static bool bears_mark(const struct held *held)
{
	const struct os_link *now = mirror_link(held->lease.ifindex);

	/* The kernel told it when the device got its name, up or not. */
	return now && strcmp(now->alias, held->alias) == 0;
}

__attribute__((format(printf, 3, 0)))
static void take_back(struct held *held, bool his_doing, const char *fmt,
		      va_list args)
{
	/* It is on its way out already. */
	if (held->revoked || held->working || !held->lease.counted)
		return;
	vsnprintf(held->why, sizeof(held->why), fmt, args);
	log_end(held, his_doing, LOG_NOTICE, "is taken back: ");
	lease_tell_end(held, WIRE_NOTICE_REVOKED, held->why);
	/* The answer that says so is not out, and cannot be taken back. */
	if (held->conn && held->job.n_fds > 0) {
		conn_drop(held->conn);
		return;
	}
	held->revoked = true;
	held->job.doomed = bears_mark(held);
	held->lease.state = WIRE_LEASE_ENDING;
	held->news.ended = WIRE_ENDED_REVOKED;
	/* Before the device says by itself that it is gone, but not why. */
	if (held->conn)
		conn_tell(held->conn);
	event_del(&held->linger);
	lease_do_away(held);
}

void lease_revoke(struct held *held, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	take_back(held, false, fmt, args);
	va_end(args);
}

void lease_forfeit(struct held *held, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	take_back(held, true, fmt, args);
	va_end(args);
}

/* Nobody has it but the daemon: it goes when that closes its copy. */
static bool is_left(const struct held *held)
{
	return held->job.own >= 0 && os_is_shared(held->job.own) == 0;
}

void lease_end(struct held *held)
{
	held->conn = NULL;
	/* One that could not be made was never told. */
	if (held->lease.state != WIRE_LEASE_ENDING)
		lease_tell_end(held, WIRE_NOTICE_CLOSED, "by its holder");
	held->lease.state = WIRE_LEASE_ENDING;
	event_del(&held->linger);
	remake_stop(held);
	if (held->working)
		return;		/* goes on when the worker is done */
	log_line_of(held->lease.uid, LOG_INFO, "lease %s: %s of uid %u ends",
		    held->lease.id, held->lease.name, held->lease.uid);
	if (held->job.n_fds > 0)
		lease_do_away(held);
	else if (held->lease.counted && !is_left(held))
		lease_wait(held, LIMIT_LINGER_MS);
	else
		held_free(held);
}

void lease_handed_over(struct held *held)
{
	/*
	 * Fast: the client has the fds, so that these are not the last.  If it
	 * died meanwhile one close ends the device in this thread: 20 ms.
	 */
	for (unsigned i = 0; i < held->job.n_fds; i++)
		close(held->fds[i]);
	held->job.n_fds = 0;
	lease_count_waiting(held, 0);
}

static const char *const goings[] = {
	[OS_GOING_UNSEEN] = "is no longer here: deleted, or moved to another "
			    "network namespace",
	[OS_GOING_DELETED] = "was deleted",
	[OS_GOING_MOVED] = "was moved to another network namespace, where no "
			   "lease is",
};

void lease_device_gone(const struct os_link *link, struct server *server)
{
	struct lease *lease = registry_find(&server->registry, link->ifindex);
	struct held *held;

	if (!lease)
		return;
	held = held_of(lease);
	gone(held);
	if (held->working)
		return;		/* goes on when the worker is done */
	if (held->conn) {
		snprintf(held->why, sizeof(held->why), "%s",
			 goings[link->going]);
		held->moved = link->going == OS_GOING_MOVED;
		/* A client that dies may lose its socket a little later. */
		lease->state = WIRE_LEASE_DELETED;
		lease_wait(held, LIMIT_LINGER_MS);
	} else {
		if (lease->state == WIRE_LEASE_ORPHAN)
			lease_tell_end(held, WIRE_NOTICE_DELETED,
				       goings[link->going]);
		held_free(held);
	}
}

/* --- the beginning ------------------------------------------------------ */

static int take_routes(struct held *held, const struct wire_route *routes,
		       size_t n)
{
	if (routes_reserve(&held->routes, (uint32_t)n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		routes_add(&held->routes, &routes[i]);
	return 0;
}

struct held *lease_new(struct server *server, const struct wire_open *open,
		       const struct wire_route *routes, size_t n_routes,
		       const char *id, uid_t uid)
{
	struct held *held = calloc(1, sizeof(*held) +
				   open->queues * sizeof(int));
	struct config config;

	if (!held || take_routes(held, routes, n_routes) ||
	    config_pack(open, &held->routes, NULL, 0, &config)) {
		if (held)
			routes_free(&held->routes);
		free(held);
		return NULL;
	}
	lease_configure(held, &config);
	held->server = server;
	held->job.fds = held->fds;
	held->job.alias = held->alias;
	held->job.own = -1;
	held->lease.uid = uid;
	held->lease.layer = open->layer;
	held->lease.queues = open->queues;
	memcpy(held->lease.id, id, sizeof(held->lease.id));
	memcpy(held->lease.name, open->name, sizeof(held->lease.name));
	evtimer_assign(&held->linger, server->base, on_linger, held);
	evtimer_assign(&held->changed, server->base, watch_changed, held);
	evtimer_assign(&held->went_down, server->base, watch_went_down, held);
	remake_init(held);
	return held;
}

void lease_free_new(struct held *held)
{
	source_free(held);
	config_free(&held->config);
	routes_free(&held->routes);
	free(held);
}
