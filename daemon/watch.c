/* What happens to a device while somebody holds it. */
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "../policy/bounds.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "monitor.h"
#include "os.h"

/* --- what only its holder can have done --------------------------------- */

static const struct {
	unsigned bit;
	const char *how;
} tampers[] = {
	{ OS_TAMPER_PERSIST, "it was made persistent (TUNSETPERSIST)" },
	{ OS_TAMPER_OWNER, "its owner was changed (TUNSETOWNER)" },
	{ OS_TAMPER_GROUP, "it was given a group (TUNSETGROUP)" },
	{ OS_TAMPER_TYPE, "its link type was changed (TUNSETLINK)" },
	{ OS_TAMPER_MAC, "its MAC address was changed" },
	{ OS_TAMPER_QUEUES, "queues were attached to it (TUNSETIFF)" },
};

/* A device that is not as it was made, in a way that its rule does not allow. */
static void look_for_tampering(struct held *held, const struct os_link *now)
{
	unsigned bits = os_link_tampered(now, held->lease.layer,
					 held->lease.queues, held->mac);

	if (held->source.mac_chosen)
		bits &= ~OS_TAMPER_MAC;
	for (size_t i = 0; i < sizeof(tampers) / sizeof(*tampers); i++) {
		if (!(bits & ~held->tampered & tampers[i].bit))
			continue;
		held->tampered |= tampers[i].bit;
		held->news.tampered = tampers[i].how;
		log_line_of(held->lease.uid, LOG_WARNING, "lease %s: %s of "
			    "uid %u was tampered with: %s", held->lease.id,
			    held->lease.name, held->lease.uid, tampers[i].how);
		monitor_lease(WIRE_NOTICE_TAMPERED, &held->lease, "%s",
			      tampers[i].how);
		if (held->source.tamper_revokes)
			lease_forfeit(held, "%s", tampers[i].how);
	}
}

void watch_storm(unsigned ifindex, struct server *server)
{
	struct lease *lease = registry_find(&server->registry, ifindex);

	if (lease)
		lease_forfeit(held_of(lease), "it changed more than %d times in "
			      "a second", LIMIT_LINK_EVENTS);
}

/* --- what the kernel forgot --------------------------------------------- */

unsigned watch_forgot(bool was_up, uint32_t old_mtu, bool up, uint32_t mtu)
{
	unsigned forgot = 0;

	/* Down, it had no routes; and too small for it, no IPv6. */
	if (!was_up && up)
		forgot++;
	if (old_mtu < POLICY_MTU_IPV6 && mtu >= POLICY_MTU_IPV6)
		forgot++;
	return forgot;
}

static void restore(struct held *held)
{
	static struct wire_open is;	/* large; used up before we return */
	struct wire_refused why;

	lease_config(held, &is);
	if (!lease_add_routes(held, &is))
		remake_begin(held);
	if (os_device_restore(held->lease.ifindex, held->connected_metric, &is,
			      &why))
		log_line_of(held->lease.uid, LOG_WARNING, "lease %s: %s was "
			    "set up again, but not all that it had came back: "
			    "%s", held->lease.id, held->lease.name, why.text);
}

/*
 * An event of its own, and not while the mirror speaks: it may be at a dump, on
 * the same socket.
 */
void watch_changed(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;
	const struct os_link *now = mirror_link(held->lease.ifindex);

	(void)fd;
	(void)what;
	if (now && held->lease.counted)
		look_for_tampering(held, now);
	if (held->restore && held->up && lease_held(&held->lease))
		restore(held);
	held->restore = 0;
	if (held->conn)
		conn_wake(held->conn);
}

/*
 * Of each that may have lost something, one after the other.  Who waits already
 * keeps his turn.
 */
void watch_missed(struct server *server)
{
	struct lease *lease;
	unsigned n = 0;

	DL_FOREACH(server->registry.leases, lease) {
		struct held *held = held_of(lease);
		unsigned ms = n++ / LIMIT_RESTORES_A_MS;
		struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

		held->restore++;
		if (!event_pending(&held->changed, EV_TIMEOUT, NULL))
			event_add(&held->changed, &tv);
	}
}

/* --- what monitors are told --------------------------------------------- */

void watch_went_down(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;

	(void)fd;
	(void)what;
	if (!held->over && lease_is_there(held) && !held->up)
		monitor_lease(WIRE_NOTICE_CHANGED, &held->lease, "down");
}

/*
 * A device that ends goes down first: that is none of its changes, nor is what
 * follows when the lease is over.
 */
static void tell_up(struct held *held, bool up)
{
	const struct timeval linger = { .tv_usec = LIMIT_LINGER_MS * 1000 };

	if (!up)
		event_add(&held->went_down, &linger);
	else if (event_pending(&held->went_down, EV_TIMEOUT, NULL))
		event_del(&held->went_down);
	else
		monitor_lease(WIRE_NOTICE_CHANGED, &held->lease, "up");
}

static void tell_changed(struct held *held, const struct os_link *before,
			 const struct os_link *now)
{
	const struct lease *lease = &held->lease;

	if (!monitor_is_on() || held->over)
		return;
	if (strcmp(before->name, now->name) != 0)
		monitor_lease(WIRE_NOTICE_CHANGED, lease, "renamed, from %s",
			      before->name);
	if (before->mtu != now->mtu)
		monitor_lease(WIRE_NOTICE_CHANGED, lease, "MTU %u", now->mtu);
	if (memcmp(before->mac, now->mac, sizeof(now->mac)) != 0)
		monitor_lease(WIRE_NOTICE_CHANGED, lease, "MAC address "
			      "%02x:%02x:%02x:%02x:%02x:%02x", now->mac[0],
			      now->mac[1], now->mac[2], now->mac[3],
			      now->mac[4], now->mac[5]);
	if (before->up != now->up)
		tell_up(held, now->up);
}

void watch_link_changed(const struct os_link *before,
			const struct os_link *now, struct server *server)
{
	struct lease *lease = registry_find(&server->registry, now->ifindex);
	struct held *held;

	if (!lease)
		return;
	held = held_of(lease);
	memcpy(lease->name, now->name, sizeof(lease->name));
	held->restore += watch_forgot(before->up, before->mtu, now->up,
				      now->mtu);
	if (!before->up && now->up)
		follow_touch(held);
	held->up = now->up;
	held->mtu = now->mtu;
	tell_changed(held, before, now);
	event_active(&held->changed, EV_TIMEOUT, 0);
}

/* --- what its holder is told -------------------------------------------- */

static bool news_of_link(struct held *held, const struct os_link *now,
			 struct wire_event *ret)
{
	struct lease_news *told = &held->news;

	if (strcmp(told->name, now->name) != 0) {
		memcpy(told->name, now->name, sizeof(told->name));
		ret->kind = WIRE_EVENT_RENAMED;
		snprintf(ret->text, sizeof(ret->text), "%s", now->name);
	} else if (memcmp(told->mac, now->mac, sizeof(told->mac)) != 0) {
		memcpy(told->mac, now->mac, sizeof(told->mac));
		ret->kind = WIRE_EVENT_HWADDR;
		snprintf(ret->text, sizeof(ret->text),
			 "%02x:%02x:%02x:%02x:%02x:%02x", now->mac[0],
			 now->mac[1], now->mac[2], now->mac[3], now->mac[4],
			 now->mac[5]);
	} else if (told->mtu != now->mtu) {
		ret->kind = WIRE_EVENT_MTU;
		ret->value = told->mtu = now->mtu;
	} else if (told->up != now->up) {
		told->up = now->up;
		ret->kind = WIRE_EVENT_LINK;
		ret->value = now->up;
	} else {
		return false;
	}
	return true;
}

void watch_told(struct held *held, const struct os_link *now)
{
	memcpy(held->news.name, now->name, sizeof(held->news.name));
	memcpy(held->news.mac, now->mac, sizeof(held->news.mac));
	held->news.mtu = now->mtu;
	held->news.up = now->up;
}

bool watch_news(struct held *held, struct wire_event *ret)
{
	const struct os_link *now = mirror_link(held->lease.ifindex);
	bool revoked = held->news.ended == WIRE_ENDED_REVOKED;

	*ret = (struct wire_event){ .kind = 0 };
	if (held->news.tampered) {
		ret->kind = WIRE_EVENT_TAMPERED;
		snprintf(ret->text, sizeof(ret->text), "%s",
			 held->news.tampered);
		held->news.tampered = NULL;
		return true;
	}
	if (held->news.ended) {
		ret->kind = WIRE_EVENT_ENDED;
		ret->value = held->news.ended;
		snprintf(ret->text, sizeof(ret->text), "the device %s %s%.68s",
			 held->lease.name, revoked ? "was taken back: " : "",
			 held->why);
		held->news.ended = 0;
		return true;
	}
	return now && held->lease.counted && news_of_link(held, now, ret);
}
