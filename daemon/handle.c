#include "handle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "explain.h"
#include "lease.h"
#include "limits.h"
#include "mirror.h"
#include "monitor.h"
#include "refuse.h"
#include "reload.h"
#include "support.h"

static void handle_open(struct conn *c, const struct wire_message *m)
{
	static struct wire_open open;	/* large; used up before we return */
	struct policy_decision decision = { .code = 0 };
	struct wire_refused why;

	if (explain_open(c->server, &c->peer, &m->open, NULL, &open, &decision,
			 &why))
		conn_refuse(c, &why);
	else
		lease_open(c, &open, &decision.terms);
}

static void handle_check(struct conn *c, const struct wire_message *m)
{
	explain_check(c, &m->check);
}

static void handle_policy(struct conn *c, const struct wire_message *m)
{
	(void)m;
	explain_policy(c);
}

static void handle_reload(struct conn *c, const struct wire_message *m)
{
	struct wire_refused why;

	if (m->reload.enforce > 1) {
		refuse(&why, WIRE_E_INVALID, "request", "enforce is %u; it is "
		       "0 or 1", m->reload.enforce);
		conn_refuse(c, &why);
		return;
	}
	reload_begin(c, m->reload.enforce);
}

static void handle_add(struct conn *c, const struct wire_message *m)
{
	change_add(c, &m->add);
}

static void handle_remove(struct conn *c, const struct wire_message *m)
{
	change_remove(c, &m->remove);
}

static void handle_replace(struct conn *c, const struct wire_message *m)
{
	change_replace(c, &m->replace);
}

static void handle_set(struct conn *c, const struct wire_message *m)
{
	change_set(c, &m->set);
}

static void handle_query(struct conn *c, const struct wire_message *m)
{
	static struct wire_message answer;	/* large */
	struct wire_device *d = &answer.device;
	const struct os_link *link;
	struct wire_refused why;

	(void)m;
	mirror_update();
	link = mirror_link(c->held->lease.ifindex);
	if (!link) {
		refuse(&why, WIRE_E_ENDED, "device", "the device %s is gone",
		       c->held->lease.name);
		conn_refuse(c, &why);
		return;
	}
	answer.type = WIRE_DEVICE;
	memcpy(d->name, link->name, sizeof(d->name));
	d->mtu = link->mtu;
	d->up = link->up;
	d->n_addresses = (uint16_t)mirror_addresses(link->ifindex, d->addresses,
						    WIRE_ADDRESSES_MAX);
	conn_answer(c, &answer);
}

static void tell_lease(struct conn *c, const struct lease *lease)
{
	static struct wire_message m;	/* large; every field is set */
	struct wire_lease *w = &m.lease;

	m.type = WIRE_LEASE;
	memcpy(w->lease, lease->id, sizeof(w->lease));
	memcpy(w->name, lease->name, sizeof(w->name));
	w->ifindex = lease->ifindex;
	w->layer = lease->layer;
	w->state = lease->state;
	w->queues = lease->queues;
	w->uid = lease->uid;
	w->pid = (uint32_t)lease->pid;
	w->opened = (uint64_t)lease->opened;
	w->n_addresses = (uint16_t)mirror_addresses(lease->ifindex,
						    w->addresses,
						    WIRE_ADDRESSES_MAX);
	conn_answer(c, &m);
	c->told++;
}

/*
 * A few leases at a time: what a client can make us keep stays small, and the
 * others are served in between.
 */
static void tell_leases(struct conn *c)
{
	struct wire_message done = { .type = WIRE_DONE };

	for (int i = 0; i < LIMIT_LEASES_A_TURN;) {
		const struct lease *lease = registry_next(&c->cursor);

		if (!lease) {
			registry_cursor_stop(&c->server->registry, &c->cursor);
			c->more = NULL;
			done.done.count = c->told;
			conn_answer(c, &done);
			return;
		}
		/* Not made yet, or not the caller's: not told. */
		if (!lease->ifindex ||
		    (!c->peer.admin && lease->uid != c->peer.uid))
			continue;
		tell_lease(c, lease);
		i++;
	}
}

static void handle_list(struct conn *c, const struct wire_message *m)
{
	(void)m;
	mirror_update();
	c->told = 0;
	registry_cursor_start(&c->server->registry, &c->cursor);
	c->more = tell_leases;
	tell_leases(c);
}

static void handle_status(struct conn *c, const struct wire_message *m)
{
	const struct server *server = c->server;
	struct wire_message answer = { .type = WIRE_STATE };
	struct wire_state *s = &answer.state;

	(void)m;
	snprintf(s->version, sizeof(s->version), "%s", TUNTAPD_VERSION);
	s->pid = (uint32_t)getpid();
	s->started = (uint64_t)server->started;
	/* Others' doings, and words of root's files, are root's to know. */
	if (c->peer.admin) {
		s->leases = server->registry.n_leases;
		s->connections = server->registry.n_connections;
		snprintf(s->policy_fault, sizeof(s->policy_fault), "%s",
			 server->policy_fault);
	} else if (server->policy_fault[0]) {
		snprintf(s->policy_fault, sizeof(s->policy_fault), "the last "
			 "reload failed; its log says why");
	}
	s->own_leases = registry_leases(&server->registry, c->peer.uid);
	s->policy_generation = server->generation;
	s->policy_rules = (uint32_t)policy_n_rules_about(server->policy,
			c->peer.admin ? NULL : &c->peer);
	support_tell(s);
	conn_answer(c, &answer);
}

static void handle_reclaim(struct conn *c, const struct wire_message *m)
{
	adopt_reclaim(c, &m->reclaim);
}

static void handle_close(struct conn *c, const struct wire_message *m)
{
	adopt_close(c, &m->close);
}

static void handle_monitor(struct conn *c, const struct wire_message *m)
{
	(void)m;
	monitor_begin(c);
}

/* A request of messages.def without a function here does not compile. */
void handle(struct conn *c, const struct wire_message *m)
{
#define ROW_CLIENT(N, name)	case WIRE_##N: handle_##name(c, m); break;
#define ROW_DAEMON(N, name)
#define MESSAGE(N, name, num, from, may, fds, doc) ROW_##from(N, name)
	switch (m->type) {
#include "../proto/messages.def"
	}
}
