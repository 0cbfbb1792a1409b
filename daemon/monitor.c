#include "monitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lease.h"
#include "limits.h"
#include "refuse.h"

struct monitor {
	struct conn *conn;
	uint16_t id;			/* of its MONITOR */
	struct wire_notice ring[LIMIT_NOTICES];
	unsigned first, n;		/* those that wait there */
	uint32_t lost;			/* and how many found no room */
	struct monitor *prev, *next;
};

static struct monitor *all;

bool monitor_is_on(void)
{
	return all;
}

/* --- what is told ------------------------------------------------------- */

static bool is_told(const struct monitor *m, uid_t uid)
{
	return m->conn->peer.admin || m->conn->peer.uid == uid;
}

/* To bring these about costs nothing. */
static bool is_cheap(const struct wire_notice *notice)
{
	return notice->kind == WIRE_NOTICE_REFUSED ||
	       notice->kind == WIRE_NOTICE_CHANGED;
}

/*
 * Root is told of all: there a uid has a share, so that who fills it hides little
 * of what others do.  What is cheap has half of the room and half of the share,
 * so that nobody, and not many together, hides devices behind it.
 */
static bool has_room(const struct monitor *m, const struct wire_notice *notice)
{
	const unsigned share = m->conn->peer.admin ? LIMIT_NOTICES_UID :
						     LIMIT_NOTICES;
	unsigned of_uid = 0, cheap = 0;

	for (unsigned i = 0; i < m->n; i++) {
		const struct wire_notice *there =
			&m->ring[(m->first + i) % LIMIT_NOTICES];

		of_uid += there->uid == notice->uid;
		cheap += is_cheap(there);
	}
	if (is_cheap(notice))
		return cheap < LIMIT_NOTICES / 2 && of_uid < share / 2;
	return m->n < LIMIT_NOTICES && of_uid < share;
}

static void add(struct monitor *m, const struct wire_notice *notice)
{
	/* Much at once; but in vain where it has not taken the last ones. */
	if (!has_room(m, notice) && !m->conn->out)
		conn_tell(m->conn);
	if (!has_room(m, notice)) {
		m->lost += m->lost < UINT32_MAX;
		return;
	}
	m->ring[(m->first + m->n) % LIMIT_NOTICES] = *notice;
	m->n++;
	conn_wake(m->conn);
}

static void tell(struct wire_notice *notice)
{
	struct monitor *m;

	notice->when = (uint64_t)time(NULL);
	DL_FOREACH(all, m)
		if (is_told(m, notice->uid))
			add(m, notice);
}

static void put_lease(struct wire_notice *notice, const struct lease *lease)
{
	memcpy(notice->lease, lease->id, sizeof(notice->lease));
	memcpy(notice->name, lease->name, sizeof(notice->name));
	notice->uid = lease->uid;
	notice->pid = (uint32_t)lease->pid;
}

__attribute__((format(printf, 3, 0)))
static void tell_lease(enum wire_notice_kind kind, const struct lease *lease,
		       const char *fmt, va_list ap)
{
	struct wire_notice notice = { .kind = (uint8_t)kind };

	put_lease(&notice, lease);
	vsnprintf(notice.text, sizeof(notice.text), fmt, ap);
	tell(&notice);
}

void monitor_lease(enum wire_notice_kind kind, const struct lease *lease,
		   const char *fmt, ...)
{
	va_list ap;

	if (!all)
		return;
	va_start(ap, fmt);
	tell_lease(kind, lease, fmt, ap);
	va_end(ap);
}

static void put_refused(struct wire_notice *notice,
			const struct wire_refused *why)
{
	notice->kind = WIRE_NOTICE_REFUSED;
	notice->code = why->code;
	memcpy(notice->step, why->step, sizeof(notice->step));
	memcpy(notice->text, why->text, sizeof(notice->text));
	memcpy(notice->rule, why->rule, sizeof(notice->rule));
}

static void tell_refused(const struct conn *c, const struct wire_refused *why)
{
	struct wire_notice notice = { .kind = 0 };

	if (c && c->held)
		put_lease(&notice, &c->held->lease);
	notice.uid = c ? c->peer.uid : WIRE_UID_NONE;
	notice.pid = c ? (uint32_t)c->peer.pid : 0;
	put_refused(&notice, why);
	tell(&notice);
}

void monitor_refused(const struct conn *c, const struct wire_refused *why)
{
	if (all)
		tell_refused(c, why);
}

void monitor_not_reloaded(const struct wire_refused *why)
{
	if (all)
		tell_refused(NULL, why);
}

static void tell_reloaded(const struct server *server)
{
	struct wire_notice notice = {
		.kind = WIRE_NOTICE_RELOADED, .uid = WIRE_UID_NONE,
		.value = server->generation,
	};

	snprintf(notice.text, sizeof(notice.text), "policy generation %u: %zu "
		 "rules", server->generation, policy_n_rules(server->policy));
	tell(&notice);
}

void monitor_reloaded(const struct server *server)
{
	if (all)
		tell_reloaded(server);
}

/* --- a connection that is told ------------------------------------------ */

bool monitor_next(struct conn *c, struct wire_message *ret)
{
	struct monitor *m = c->monitor;

	ret->type = WIRE_NOTICE;
	ret->id = m->id;
	if (m->n > 0) {
		ret->notice = m->ring[m->first];
		m->first = (m->first + 1) % LIMIT_NOTICES;
		m->n--;
		return true;
	}
	if (!m->lost)
		return false;
	ret->notice = (struct wire_notice){
		.kind = WIRE_NOTICE_LOST, .when = (uint64_t)time(NULL),
		.uid = WIRE_UID_NONE, .value = m->lost,
	};
	m->lost = 0;
	return true;
}

/* Of a daemon before this one; a few at a time, as a LIST does it. */
static void tell_waiting(struct conn *c)
{
	struct wire_message m = { .type = WIRE_NOTICE };
	const struct lease *lease;

	for (int i = 0; i < LIMIT_LEASES_A_TURN;) {
		lease = registry_next(&c->cursor);
		if (!lease) {
			registry_cursor_stop(&c->server->registry, &c->cursor);
			c->more = NULL;
			return;
		}
		if (lease->state != WIRE_LEASE_ORPHAN ||
		    !is_told(c->monitor, lease->uid))
			continue;
		m.notice = (struct wire_notice){
			.kind = WIRE_NOTICE_WAITS,
			.when = (uint64_t)lease->opened,
		};
		put_lease(&m.notice, lease);
		conn_answer(c, &m);
		i++;
	}
}

/* On the admin socket there always is. */
static int find_room(const struct conn *c, struct wire_refused *why)
{
	unsigned n = 0, of_uid = 0;
	const struct monitor *m;

	if (c->peer.admin)
		return 0;
	DL_FOREACH(all, m) {
		n += !m->conn->peer.admin;
		of_uid += !m->conn->peer.admin &&
			  m->conn->peer.uid == c->peer.uid;
	}
	if (of_uid >= limits.monitors_uid)
		return refuse(why, WIRE_E_FULL, "monitor", "this user has all "
			      "the monitors that one user may have (%u); end "
			      "one", limits.monitors_uid);
	if (n >= limits.monitors)
		return refuse(why, WIRE_E_FULL, "monitor", "the daemon has all "
			      "the monitors that it takes (%u); try again "
			      "later", limits.monitors);
	return 0;
}

void monitor_begin(struct conn *c)
{
	struct wire_message done = { .type = WIRE_DONE };
	struct wire_refused why;
	struct monitor *m = NULL;
	int error = find_room(c, &why);

	if (!error) {
		m = calloc(1, sizeof(*m));
		if (!m)
			refuse(&why, WIRE_E_NO_MEMORY, "monitor",
			       "out of memory");
	}
	if (!m) {
		conn_refuse(c, &why);
		return;
	}
	m->conn = c;
	m->id = c->request;
	c->monitor = m;
	DL_APPEND(all, m);
	conn_answer(c, &done);
	registry_cursor_start(&c->server->registry, &c->cursor);
	c->more = tell_waiting;
}

void monitor_end(struct conn *c)
{
	if (!c->monitor)
		return;
	DL_DELETE(all, c->monitor);
	free(c->monitor);
	c->monitor = NULL;
}
