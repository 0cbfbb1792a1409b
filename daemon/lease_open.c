/* The device of an OPEN: reserved, made and handed over, or refused. */
#include <string.h>
#include <time.h>

#include "../proto/sys.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"
#include "refuse.h"
#include "token.h"
#include "untaken.h"

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
	lease_tell_end(held, WIRE_NOTICE_REVOKED, text);
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
	struct mark mark = { .uid = held->lease.uid, .queues = open->queues };
	int error = source_program(&held->source, open, &none, 0, 0, &guard,
				   why);

	memcpy(mark.id, held->lease.id, sizeof(mark.id));
	if (!error)
		error = os_device_open(open, &mark, held->connected_metric,
				       guard, dev, why);
	if (error)
		return error;
	mark_write(&mark, held->alias);
	source_in_force(&held->source, guard);
	return 0;
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
	registry_owe(&c->server->registry, c->peer.uid,
		     dev.unmade * LIMIT_BIRTH_REQUESTS);
	memcpy(held->fds, dev.fds, dev.n_fds * sizeof(int));
	held->job.n_fds = dev.n_fds;
	held->job.own = dev.own;
	lease_count_waiting(held, dev.n_fds);
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
