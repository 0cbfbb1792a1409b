#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "conn.h"
#include "host.h"
#include "judge.h"
#include "lease.h"
#include "clock.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "notify.h"
#include "refuse.h"
#include "resolver.h"
#include "table.h"

/* A file may change between two readings; if it always does, that is it. */
#define READINGS_MAX	4
#define NAMES_WANTED	1	/* no -errno: a fault may be any of those */

/* Who asked for a reload, and is answered when it is done. */
struct waiting {
	struct conn *conn;
	struct waiting *next;
};

static struct {
	const char *const *folders;
	size_t n_folders;
	unsigned needed, there;	/* folders: bit 0 is the first */
	struct server *server;
	struct event answered, begin, late;
	bool running;
	bool enforce;
	unsigned readings;
	struct waiting *waiting;
	/* Asked for while one ran: may be about what that did not see. */
	bool again, again_enforce;
	struct waiting *again_waiting;
} reload;

void reload_from(const char *const *folders, size_t n)
{
	reload.folders = folders;
	reload.n_folders = n;
	/* Those that are built in need not be there; the one that is named. */
	reload.needed = folders == policy_folders ? 0 : POLICY_ALL_THERE;
}

/* The policy is in force: what was there shall be so at the next reading. */
static void keep_folders(void)
{
	if (reload.needed != POLICY_ALL_THERE)
		reload.needed = reload.there;
}

/*
 * 0 with *ret; NAMES_WANTED if names are to be asked for first; or -errno with
 * the fault.  At the last reading a name without an answer is a fault.
 */
static int read_files(struct policy **ret, struct policy_fault *fault)
{
	int error;

	if (++reload.readings >= READINGS_MAX)
		resolver_give_up(-ESTALE);
	reload.there = reload.needed;
	error = policy_load(reload.folders, reload.n_folders, &reload.there,
			    resolver_find, NULL, ret, fault);
	/* Also for a fault: that of a name may stand above it. */
	if (!resolver_wants())
		return error;
	if (!error)
		policy_free(*ret);
	return NAMES_WANTED;
}

static void start_over(void)
{
	resolver_forget();
	reload.readings = 0;
}

int reload_first(struct policy **ret, struct policy_fault *fault)
{
	const int64_t end = now_ms() + LIMIT_NAMES_SECONDS * 1000;
	int64_t left;
	int error;

	start_over();
	while ((error = read_files(ret, fault)) == NAMES_WANTED) {
		left = end - now_ms();
		while (left > 0 && !resolver_step((int)left))
			left = end - now_ms();
		if (left <= 0)
			resolver_give_up(-ETIMEDOUT);
	}
	resolver_forget();
	if (!error)
		keep_folders();
	return error;
}

/* --- beside the loop ---------------------------------------------------- */

static void warn(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_WARNING, "%s", text);
}

static bool would_end(const struct held *held, const char *text,
		      const char *rule)
{
	log_line(LOG_NOTICE, "lease %s: %s of uid %u ends: %s (%s)",
		 held->lease.id, held->lease.name, held->lease.uid, text,
		 rule);
	return false;
}

/* Its connected routes have the metric that another rule gave them. */
static bool is_outranked(const struct held *held, const struct wire_open *is,
			 const struct policy_terms *terms)
{
	return is->n_addresses > 0 && held->connected_metric &&
	       (held->connected_metric < terms->metric ||
		held->connected_metric > terms->metric_max);
}

/* Would the policy give this device, if these were there already? */
static bool would_give(const struct held *held, unsigned devices,
		       unsigned all_devices)
{
	static struct wire_open ask;	/* large; used up before we return */
	struct policy_usage usage = { .devices = devices,
				      .all_devices = all_devices };
	struct policy_decision decision = { .code = 0 };
	const struct lease *lease = &held->lease;
	/* As if it was opened anew: what younger ones have is not there yet. */
	const struct host_asker by = { .registry = &held->server->registry,
				       .uid = lease->uid,
				       .ifindex = lease->ifindex,
				       .serial = lease->serial };
	struct wire_refused why;
	uint32_t looked;		/* not his doing */

	lease_config(held, &ask);
	if (judge_device(held, &ask, &usage, true, &looked, &decision))
		return would_end(held, decision.text, decision.rule);
	if (is_outranked(held, &ask, &decision.terms))
		return would_end(held, "the routes to the networks of its "
				 "addresses have a metric that its rule does "
				 "not allow", decision.rule);
	if (host_check_again(&ask, &held->routes, &by, &decision.terms, &why))
		return would_end(held, why.text, why.rule);
	return true;
}

/* How many devices a uid may keep so far. */
struct kept {
	uid_t uid;
	unsigned devices;
	UT_hash_handle hh;
};

static struct kept *kept_of(struct kept **all, uid_t uid)
{
	struct kept *k;

	HASH_FIND(hh, *all, &uid, sizeof(uid), k);
	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		uthash_fatal("");
	k->uid = uid;
	HASH_ADD(hh, *all, uid, sizeof(uid), k);
	return k;
}

static void forget_kept(struct kept **all)
{
	struct kept *k = *all, *next;

	HASH_CLEAR(hh, *all);
	for (; k; k = next) {
		next = k->hh.next;
		free(k);
	}
}

/*
 * From the oldest lease on, as if they were opened anew: of those that are too
 * many the last ones go.  How many were ended.
 */
static unsigned enforce(struct server *server)
{
	struct lease *lease, *next;
	struct kept *kept = NULL;
	unsigned all = 0, ended = 0;
	int error = mirror_update();

	if (error)
		log_line(LOG_WARNING, "cannot see what the host has: %s; what "
			 "it had is what leases are held against",
			 strerror(-error));
	DL_FOREACH_SAFE(server->registry.leases, lease, next) {
		struct held *held = lease_held(lease);
		struct kept *own;

		if (!held)
			continue;
		own = kept_of(&kept, lease->uid);
		if (would_give(held, own->devices, all)) {
			own->devices++;
			all++;
		} else {
			ended++;
			lease_revoke(held, "the policy no longer allows it");
		}
	}
	forget_kept(&kept);
	return ended;
}

static void answer(const struct wire_refused *why, unsigned ended)
{
	struct wire_message m = { .type = WIRE_RELOADED };
	struct waiting *w = reload.waiting, *next;

	reload.waiting = NULL;
	m.reloaded.generation = reload.server->generation;
	m.reloaded.rules = (uint32_t)policy_n_rules(reload.server->policy);
	m.reloaded.ended = ended;
	for (; w; w = next) {
		next = w->next;
		if (why)
			conn_refuse(w->conn, why);
		else
			conn_answer(w->conn, &m);
		conn_resume(w->conn);
		free(w);
	}
}

static void fail(const char *text)
{
	struct server *server = reload.server;
	struct wire_refused why;

	snprintf(server->policy_fault, sizeof(server->policy_fault), "%s",
		 text);
	log_line(LOG_ERR, "%s; policy generation %u stays in force", text,
		 server->generation);
	refuse(&why, WIRE_E_INVALID, "reload", "%s; the policy in force stays",
	       text);
	/* Who asked hears it, and with him who monitors. */
	if (!reload.waiting)
		monitor_not_reloaded(&why);
	answer(&why, 0);
}

static void take_effect(struct policy *policy)
{
	struct server *server = reload.server;
	unsigned ended = 0;

	keep_folders();
	policy_free(server->policy);
	server->policy = policy;
	server->policy_fault[0] = '\0';
	server->generation++;
	log_line(LOG_NOTICE, "policy generation %u: %zu rules",
		 server->generation, policy_n_rules(policy));
	monitor_reloaded(server);
	policy_warn(policy, warn, NULL);
	if (reload.enforce)
		ended = enforce(server);
	answer(NULL, ended);
}

static void start(void)
{
	reload.running = true;
	reload.enforce = reload.again_enforce;
	reload.waiting = reload.again_waiting;
	reload.again = reload.again_enforce = false;
	reload.again_waiting = NULL;
	start_over();
	notify_reloading();
	/* Not from here: a client may be in the middle of its request. */
	event_active(&reload.begin, EV_TIMEOUT, 0);
}

static void go_on(void)
{
	struct policy *policy = NULL;
	struct policy_fault fault;
	int error;

	while ((error = read_files(&policy, &fault)) == NAMES_WANTED)
		if (!resolver_step(0))
			return;
	event_del(&reload.late);
	resolver_forget();
	reload.running = false;
	if (error)
		fail(fault.text);
	else
		take_effect(policy);
	notify_ready();
	if (reload.again)
		start();
}

/* Its number is somebody else's next, of whom we would take the events. */
static void look_away(void)
{
	if (resolver_fd() < 0)
		event_del(&reload.answered);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval patience = { .tv_sec = LIMIT_NAMES_SECONDS };

	(void)fd;
	(void)what;
	(void)arg;
	event_add(&reload.late, &patience);
	go_on();
	look_away();
}

/* Whatever the child says, also when nobody asks: that it is gone. */
static void on_answered(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!reload.running)
		resolver_idle();
	else if (resolver_step(0))
		go_on();
	look_away();
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	resolver_give_up(-ETIMEDOUT);
	go_on();
}

int reload_serve(struct server *server)
{
	reload.server = server;
	if (evtimer_assign(&reload.begin, server->base, on_begin, NULL) < 0 ||
	    evtimer_assign(&reload.late, server->base, on_late, NULL) < 0 ||
	    event_assign(&reload.answered, server->base, resolver_fd(),
			 EV_READ | EV_PERSIST, on_answered, NULL) < 0)
		return -ENOMEM;
	if (resolver_fd() >= 0 && event_add(&reload.answered, NULL) < 0)
		return -ENOMEM;
	policy_warn(server->policy, warn, NULL);
	return 0;
}

static void forget_waiting(struct waiting *w)
{
	struct waiting *next;

	for (; w; w = next) {
		next = w->next;
		free(w);
	}
}

void reload_stop(void)
{
	if (!reload.server)
		return;
	event_del(&reload.answered);
	event_del(&reload.begin);
	event_del(&reload.late);
	forget_waiting(reload.waiting);
	forget_waiting(reload.again_waiting);
	reload.waiting = reload.again_waiting = NULL;
	reload.server = NULL;
}

void reload_begin(struct conn *c, bool with_enforce)
{
	struct waiting *w = c ? calloc(1, sizeof(*w)) : NULL;
	struct wire_refused why;

	if (c && !w) {
		refuse(&why, WIRE_E_NO_MEMORY, "reload", "out of memory");
		conn_refuse(c, &why);
		return;
	}
	if (w) {
		c->busy = true;
		w->conn = c;
		w->next = reload.again_waiting;
		reload.again_waiting = w;
	}
	reload.again = true;
	reload.again_enforce = reload.again_enforce || with_enforce;
	if (!reload.running)
		start();
}
