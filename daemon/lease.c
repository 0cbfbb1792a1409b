#include "lease.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../proto/sys.h"
#include "copies.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"
#include "refuse.h"
#include "token.h"
#include "untaken.h"

struct held *held_of(struct lease *lease)
{
	return (struct held *)lease;	/* its first member */
}

static void count_waiting(struct held *held, unsigned n)
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
		copies_keep(held->job.own, held->lease.name, held->lease.uid);
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
	count_waiting(held, 0);
	config_free(&held->config);
	routes_free(&held->routes);
	for (unsigned i = 0; i < held->job.n_fds; i++)
		close(held->fds[i]);
	registry_remove(&held->server->registry, &held->lease);
	free(held);
}

void lease_forget_all(struct server *server)
{
	while (server->registry.leases)
		held_free(held_of(server->registry.leases));
	copies_stop();	/* which have accounts, too */
	registry_forget(&server->registry);
}

/* --- the end ------------------------------------------------------------ */

/* Of what ends it the first thing counts. */
static void tell_end(struct held *held, enum wire_notice_kind how,
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
	count_waiting(held, 0);
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
		tell_end(held, WIRE_NOTICE_DELETED, "nobody came for it");
		held->lease.state = WIRE_LEASE_ENDING;
	}
	if (held->conn && held->lease.counted) {
		lease_do_away(held);	/* it is revoked, and that failed before */
		return;
	}
	if (held->conn) {
		log_line(LOG_WARNING, "lease %s: %s of uid %u %s",
			 held->lease.id, held->lease.name, held->lease.uid,
			 held->why);
		tell_end(held, WIRE_NOTICE_DELETED, held->why);
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

void lease_revoke(struct held *held, const char *fmt, ...)
{
	va_list args;

	/* It is on its way out already. */
	if (held->revoked || held->working || !held->lease.counted)
		return;
	va_start(args, fmt);
	vsnprintf(held->why, sizeof(held->why), fmt, args);
	va_end(args);
	/* Whatever its holder has in the log besides. */
	log_line(LOG_NOTICE, "lease %s: %s of uid %u is taken back: %s",
		 held->lease.id, held->lease.name, held->lease.uid, held->why);
	tell_end(held, WIRE_NOTICE_REVOKED, held->why);
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
		tell_end(held, WIRE_NOTICE_CLOSED, "by its holder");
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
	count_waiting(held, 0);
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
		/* A client that dies may lose its socket a little later. */
		lease->state = WIRE_LEASE_DELETED;
		lease_wait(held, LIMIT_LINGER_MS);
	} else {
		if (lease->state == WIRE_LEASE_ORPHAN)
			tell_end(held, WIRE_NOTICE_DELETED,
				 goings[link->going]);
		held_free(held);
	}
}

/* --- how it is ---------------------------------------------------------- */

const struct prefix *lease_far_end(const struct wire_address *a)
{
	return a->peer.family ? &a->peer : &a->local;
}

void lease_config(const struct held *held, struct wire_open *ret)
{
	static struct wire_message m;	/* large; used up before we return */

	wire_decode(held->config.frame, held->config.len, &m, NULL);
	*ret = m.open;
	ret->mtu = held->mtu;
	ret->flags &= ~WIRE_OPEN_DOWN;
	if (!held->up)
		ret->flags |= WIRE_OPEN_DOWN;
}

bool lease_add_routes(const struct held *held, struct wire_open *to)
{
	const struct routes *routes = &held->routes;

	if (routes->n + to->n_routes > WIRE_ROUTES_MAX)
		return false;
	for (int gateways = 0; gateways <= 1; gateways++)
		for (uint32_t i = 0; i < routes->n; i++) {
			struct wire_route r = routes_get(routes, i);

			if ((r.gateway.family != 0) == gateways)
				to->routes[to->n_routes++] = r;
		}
	return true;
}

/*
 * Of many routes none has a claim: everything claims such a lease.  That it is
 * looked at in vain costs time, and none of its packets.
 */
static void claim_routes(struct claims *claims, const struct routes *kept,
			 const struct wire_route *added, size_t n_added)
{
	static const struct prefix everything[] = {
		{ .family = 4 }, { .family = 6 }
	};

	if (kept->n + n_added > WIRE_ROUTES_MAX) {
		claims_add(claims, &everything[0]);
		claims_add(claims, &everything[1]);
		return;
	}
	for (uint32_t i = 0; i < kept->n; i++) {
		struct wire_route r = routes_get(kept, i);

		claims_add(claims, &r.dst);
	}
	for (size_t i = 0; i < n_added; i++)
		claims_add(claims, &added[i].dst);
}

int config_pack(const struct wire_open *open, const struct routes *kept,
		const struct wire_route *added, size_t n_added,
		struct config *ret)
{
	static struct wire_message m = { .type = WIRE_OPEN };
	static uint8_t frame[WIRE_FRAME_MAX];
	size_t n = kept->n + n_added;
	int len;

	if (n > WIRE_ROUTES_MAX)
		n = 2;		/* see claim_routes() */
	if (claims_init(&ret->claims, open->n_addresses + n))
		return -ENOMEM;
	for (unsigned i = 0; i < open->n_addresses; i++)
		claims_add(&ret->claims, lease_far_end(&open->addresses[i]));
	claim_routes(&ret->claims, kept, added, n_added);
	m.open = *open;
	m.open.n_routes = 0;
	len = wire_encode(&m, frame, sizeof(frame));
	ret->frame = len < 0 ? NULL : malloc((size_t)len);
	if (!ret->frame) {
		claims_free(&ret->claims);
		return -ENOMEM;
	}
	memcpy(ret->frame, frame, (size_t)len);
	ret->len = (size_t)len;
	return 0;
}

void config_free(struct config *config)
{
	claims_free(&config->claims);
	free(config->frame);
}

void lease_configure(struct held *held, const struct config *config)
{
	config_free(&held->config);
	held->config = *config;
	follow_claims(held, &held->config.claims);
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
	snprintf(held->alias, sizeof(held->alias), OS_ALIAS "%s:%u", id, uid);
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

static struct held *reserve(struct conn *c, const struct wire_open *open,
			    const struct policy_terms *terms,
			    uint8_t token[WIRE_TOKEN_LEN])
{
	char id[WIRE_LEASE_ID_LEN + 1];
	struct held *held;

	if (token_new(token))
		return NULL;
	token_lease_id(token, id);
	held = lease_new(c->server, open, open->routes, open->n_routes, id,
			 c->peer.uid);
	if (held && source_set(held, terms)) {
		lease_free_new(held);
		held = NULL;
	}
	if (!held)
		return NULL;
	held->conn = c;
	held->judged = c->server->generation;
	held->connected_metric = terms->metric;
	held->lease.pid = c->peer.pid;
	held->lease.state = WIRE_LEASE_HELD;
	held->lease.opened = time(NULL);
	registry_reserve(&c->server->registry, &held->lease);
	return held;
}

static void answer_opened(struct conn *c, const struct os_device *dev,
			  const struct wire_open *open, const uint8_t *token)
{
	struct wire_message m = { .type = WIRE_OPENED };

	memcpy(m.opened.name, dev->name, sizeof(m.opened.name));
	m.opened.ifindex = dev->ifindex;
	memcpy(m.opened.mac, dev->mac, sizeof(m.opened.mac));
	m.opened.mtu = dev->mtu;
	m.opened.vnet_hdr = open->vnet_hdr;
	m.opened.queues = (uint16_t)dev->n_fds;
	memcpy(m.opened.token, token, WIRE_TOKEN_LEN);
	conn_answer(c, &m);
	sys_wipe(m.opened.token, WIRE_TOKEN_LEN);
}

/* The device is there: this is how, and the holder is about to know. */
static void settle(struct held *held, const struct wire_open *open,
		   const struct os_device *dev)
{
	memcpy(held->lease.name, dev->name, sizeof(held->lease.name));
	held->mtu = held->news.mtu = dev->mtu;
	held->up = held->news.up = !(open->flags & WIRE_OPEN_DOWN);
	memcpy(held->mac, dev->mac, sizeof(held->mac));
	memcpy(held->news.name, dev->name, sizeof(held->news.name));
	memcpy(held->news.mac, dev->mac, sizeof(held->news.mac));
}

/*
 * REFUSED, held back until nothing of the device is left.  Nobody ever had the
 * lease: the refusal is about none.
 */
static void not_given(struct held *held, const struct wire_refused *why)
{
	struct conn *c = held->conn;

	c->held = NULL;
	conn_refuse(c, why);
	c->held = held;
	c->busy = true;
	held->lease.state = WIRE_LEASE_ENDING;
	lease_do_away(held);
}

void lease_not_handed_over(struct held *held)
{
	static const char text[] = "its descriptors could not be sent";
	struct wire_refused why;

	log_line_of(held->lease.uid, LOG_WARNING, "lease %s: %s of uid %u is "
		    "taken back: %s", held->lease.id, held->lease.name,
		    held->lease.uid, text);
	tell_end(held, WIRE_NOTICE_REVOKED, text);
	refuse(&why, WIRE_E_BUSY, "create", "more file descriptors than the "
	       "daemon may have open are on their way to clients that have not "
	       "received them; try again later");
	not_given(held, &why);
}

/* Makes the device.  0, or -errno; it may hold fds then. */
static int make(struct held *held, const struct wire_open *open,
		struct os_device *dev, struct wire_refused *why)
{
	const struct guard_program *guard;
	static const struct routes none;
	int error = source_program(&held->source, open, &none, 0, 0, &guard,
				   why);

	if (!error)
		error = os_device_open(open, held->alias,
				       held->connected_metric, guard, dev, why);
	if (!error)
		source_in_force(&held->source, guard);
	return error;
}

void lease_open(struct conn *c, const struct wire_open *open,
		const struct policy_terms *terms)
{
	struct os_device dev = OS_DEVICE_INIT;
	uint8_t token[WIRE_TOKEN_LEN];
	struct wire_refused why;
	struct held *held;
	int error;

	if (!registry_takes_fds(&c->server->registry, c->peer.uid,
				open->queues) ||
	    !untaken_has_room(c->peer.uid, open->queues)) {
		refuse(&why, WIRE_E_BUSY, "create", "devices that could not "
		       "be made, or that nobody took, are still being removed; "
		       "try again");
		conn_refuse(c, &why);
		return;
	}
	held = reserve(c, open, terms, token);
	if (!held) {
		refuse(&why, WIRE_E_NO_MEMORY, "create", "out of memory");
		conn_refuse(c, &why);
		return;
	}
	c->held = held;
	error = make(held, open, &dev, &why);
	memcpy(held->fds, dev.fds, dev.n_fds * sizeof(int));
	held->job.n_fds = dev.n_fds;
	held->job.own = dev.own;
	count_waiting(held, dev.n_fds);
	/*
	 * What the kernel told of the making is taken in before the device is
	 * a lease's: none of it is a change.
	 */
	if (!error && !mirror_update() && !mirror_link(dev.ifindex)) {
		error = refuse(&why, WIRE_E_BUSY, "create", "another process "
			       "deleted the device while it was being made, or "
			       "moved it away");
		dev.ifindex = 0;
	}
	if (dev.ifindex)
		registry_commit(&c->server->registry, &held->lease,
				dev.ifindex);
	if (error) {
		/* Whatever its mark: we made it just now, it may have none. */
		held->job.alias = NULL;
		not_given(held, &why);
		return;
	}
	/* What was told of it before it was a lease's touched nobody. */
	follow_touch(held);
	settle(held, open, &dev);
	mirror_add(dev.ifindex, dev.name, open->addresses, open->n_addresses);
	answer_opened(c, &dev, open, token);
	sys_wipe(token, sizeof(token));
	log_line_of(held->lease.uid, LOG_INFO,
		    "lease %s: %s (index %u) for uid %u pid %d", held->lease.id,
		    dev.name, dev.ifindex, held->lease.uid,
		    (int)held->lease.pid);
	monitor_lease(WIRE_NOTICE_OPENED, &held->lease, "%s, %u queue%s",
		      open->layer == WIRE_TUN ? "TUN" : "TAP", open->queues,
		      open->queues == 1 ? "" : "s");
}
