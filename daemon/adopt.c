/*
 * Leases that a daemon before this one gave: their devices are there, each with
 * its mark, and wait for their clients.  And leases that are ended from here.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "../policy/bounds.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"
#include "refuse.h"
#include "token.h"

/* --- the beginning ------------------------------------------------------ */

/*
 * Requests never lead there: others gave it some that look as ours do.  What a
 * description has no room for no guard, no request and no flap would know of.
 */
static bool is_too_much(const struct os_found *f, const struct held *held)
{
	return f->n_addresses > WIRE_ADDRESSES_MAX ||
	       routes_count(&held->routes) > POLICY_ROUTES_MAX;
}

/*
 * Until its client comes, what it may send stays as the last daemon left it,
 * unless the host gets or loses something inside of what leads to it: then it
 * is what that leaves (`source = auto`).
 */
static bool adopt(void *arg, struct os_found *f)
{
	/* Whether he may choose the MAC address his rule says. */
	static const struct policy_terms nobodys = {
		.automatic = true, .tamper_revokes = true, .mac_chosen = true,
	};
	struct server *server = arg;
	struct held *held;
	struct mark mark;

	if (!mark_read(f->link.alias, &mark)) {
		log_line(LOG_WARNING, "%s bears the mark `%s`, which is none "
			 "of ours; left alone", f->link.name, f->link.alias);
		return true;
	}
	if (mark.queues)
		f->is.queues = mark.queues;
	held = lease_new(server, &f->is, f->routes, f->n_routes, mark.id,
			 mark.uid);
	if (!held || source_set(held, &nobodys) ||
	    registry_adopt(&server->registry, &held->lease,
			   f->link.ifindex)) {
		log_line(LOG_ERR, "out of memory; %s is left alone",
			 f->link.name);
		if (held)
			lease_free_new(held);
		return true;
	}
	held->lease.state = WIRE_LEASE_ORPHAN;
	held->lease.opened = time(NULL);
	held->connected_metric = f->connected_metric;
	/* That stays, whatever the rule says now; its client makes it follow. */
	held->source.guarded = f->guarded;
	memcpy(held->alias, f->link.alias, sizeof(held->alias));
	memcpy(held->mac, mark.has_mac ? mark.mac : f->link.mac,
	       sizeof(held->mac));
	held->mtu = f->link.mtu;
	held->up = f->link.up;
	if (is_too_much(f, held)) {
		lease_revoke(held, "others gave it addresses or routes like "
			     "ours: %u and %u now, a lease has at most %d and "
			     "%d", f->n_addresses, routes_count(&held->routes),
			     WIRE_ADDRESSES_MAX, POLICY_ROUTES_MAX);
		return true;
	}
	log_line(LOG_INFO, "lease %s: %s (index %u) of uid %u waits for its "
		 "client", held->lease.id, held->lease.name,
		 held->lease.ifindex, held->lease.uid);
	if (os_link_doomed(&f->link)) {
		lease_revoke(held, "it was about to be deleted when the "
			     "daemon before ended");
		return true;
	}
	lease_wait(held, server->grace_ms);
	event_active(&held->changed, EV_TIMEOUT, 0);
	return true;
}

int adopt_all(struct server *server, struct wire_refused *why)
{
	int error = os_devices_find(adopt, server);

	if (error)
		return refuse(why, WIRE_E_FAILED, "start", "cannot list the "
			      "devices of a daemon before: %s",
			      strerror(-error));
	return 0;
}

/* --- a client comes for its own ----------------------------------------- */

static struct held *find(struct server *server, const char *id)
{
	struct lease *lease;

	DL_FOREACH(server->registry.leases, lease)
		if (strcmp(lease->id, id) == 0)
			return held_of(lease);
	return NULL;
}

/* 0 if it is this client's to take. */
static int check(const struct conn *c, const struct held *held,
		 struct wire_refused *why)
{
	if (!held || held->lease.uid != c->peer.uid || !held->lease.counted ||
	    held->revoked || held->working || (!held->conn && held->lease.state !=
			      WIRE_LEASE_ORPHAN))
		return refuse(why, WIRE_E_NOT_FOUND, "reclaim", "no such lease "
			      "of this user waits for its client; it has "
			      "ended, or was never given here: open a new one");
	if (held->conn)
		return refuse(why, WIRE_E_BUSY, "reclaim", "another connection "
			      "has this lease");
	return 0;
}

/* The rule of now says what it is held to. */
static int settle_terms(struct held *held, const struct peer *peer,
			struct wire_refused *why)
{
	struct policy_terms terms;

	policy_terms(held->server->policy, peer, held->lease.layer,
		     held->lease.name, &terms);
	if (source_set(held, &terms))
		return refuse(why, WIRE_E_NO_MEMORY, "reclaim",
			      "out of memory");
	if (!held->connected_metric)
		held->connected_metric = terms.metric;
	return source_renew(held, why);
}

static void take(struct conn *c, struct held *held, const struct os_link *now)
{
	struct wire_message m = { .type = WIRE_RECLAIMED };

	event_del(&held->linger);
	held->conn = c;
	c->held = held;
	held->lease.pid = c->peer.pid;
	held->lease.state = WIRE_LEASE_HELD;
	held->judged = 0;	/* for this one it is still to be */
	watch_told(held, now);
	/* By the rule of now, which is known now. */
	event_active(&held->changed, EV_TIMEOUT, 0);
	memcpy(m.reclaimed.name, now->name, sizeof(m.reclaimed.name));
	m.reclaimed.ifindex = now->ifindex;
	if (held->lease.layer == WIRE_TAP)
		memcpy(m.reclaimed.mac, now->mac, sizeof(m.reclaimed.mac));
	m.reclaimed.mtu = now->mtu;
	m.reclaimed.up = now->up;
	conn_answer(c, &m);
	log_line(LOG_INFO, "lease %s: %s (index %u) is taken back by uid %u "
		 "pid %d", held->lease.id, held->lease.name,
		 held->lease.ifindex, held->lease.uid, (int)held->lease.pid);
	monitor_lease(WIRE_NOTICE_RECLAIMED, &held->lease, "by its client");
}

void adopt_reclaim(struct conn *c, const struct wire_reclaim *reclaim)
{
	char id[WIRE_LEASE_ID_LEN + 1];
	const struct os_link *now;
	struct wire_refused why;
	struct held *held;
	/* Its end may be among what the kernel has told by now. */
	int error = mirror_update();

	if (error)
		refuse(&why, WIRE_E_BUSY, "reclaim", "cannot see what the host "
		       "has: %s; try again", strerror(-error));
	token_lease_id(reclaim->token, id);
	held = find(c->server, id);
	if (!error)
		error = check(c, held, &why);
	if (!error)
		error = settle_terms(held, &c->peer, &why);
	now = error ? NULL : mirror_link(held->lease.ifindex);
	if (!error && !now)
		error = refuse(&why, WIRE_E_NOT_FOUND, "reclaim",
			       "the device is gone");
	if (error || !now)
		conn_refuse(c, &why);
	else
		take(c, held, now);
}

/* --- ended from here ---------------------------------------------------- */

/* By the CLOSE of this connection. */
static bool is_meant(const struct conn *c, const struct lease *lease)
{
	const struct wire_close *close = &c->close;

	if (!lease->ifindex || lease->serial > c->youngest)
		return false;
	if (!c->peer.admin && lease->uid != c->peer.uid)
		return false;
	if (close->uid != WIRE_UID_ANY && lease->uid != close->uid)
		return false;
	return !close->lease[0] || strcmp(close->lease, lease->id) == 0 ||
	       strcmp(close->lease, lease->name) == 0;
}

static void end_all(struct conn *c)
{
	struct lease *lease, *next;

	DL_FOREACH_SAFE(c->server->registry.leases, lease, next) {
		if (!lease->counted || !is_meant(c, lease))
			continue;
		c->closing++;
		/* Its name may change before it is gone. */
		if (c->close.lease[0])
			memcpy(c->close.lease, lease->id, sizeof(lease->id));
		if (c->peer.admin)
			lease_revoke(held_of(lease), "it was closed by an "
				     "administrator (uid %u)", c->peer.uid);
		else
			lease_forfeit(held_of(lease), "it was closed by its "
				      "user (uid %u)", c->peer.uid);
	}
	c->told = c->closing;
}

static void answer_closed(struct conn *c)
{
	struct wire_message m = { .type = WIRE_CLOSED };

	m.closed.leases = c->told;
	conn_answer(c, &m);
}

/* What names no lease may be any bytes, and root's monitor prints them. */
static const char *printable(char *text)
{
	for (char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return text;
}

void adopt_close(struct conn *c, const struct wire_close *close)
{
	struct wire_refused why;

	mirror_update();
	c->close = *close;
	c->youngest = c->server->registry.last_serial;
	end_all(c);
	if (close->lease[0] && !c->told) {
		refuse(&why, WIRE_E_NOT_FOUND, "close", "there is no lease `%s`"
		       "%s; `tuntapctl list` tells which there are",
		       printable(c->close.lease),
		       c->peer.admin ? "" : " of this user");
		conn_refuse(c, &why);
	} else if (c->closing) {
		c->busy = true;
	} else {
		answer_closed(c);
	}
}

void adopt_closed(const struct held *held)
{
	struct conn *c;

	DL_FOREACH(held->server->conns, c) {
		if (!c->closing || !is_meant(c, &held->lease) ||
		    --c->closing > 0)
			continue;
		answer_closed(c);
		/* Now it could be freed, under whoever called. */
		c->busy = false;
		conn_wake(c);
	}
}
