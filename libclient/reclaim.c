/*
 * Taking the lease back from a daemon that was started again.
 *
 * When the connection ends, the device goes on without one: its fds are ours,
 * and a daemon that comes back leaves it alone for a while.  It is given the
 * token of the open, and the lease is the new connection's.
 *
 * Tries are spread at random, or a thousand clients would come at once.  They
 * go on as long as the device is open: what ends it is a daemon that says no.
 *
 * There is no time-out for the answer.  A daemon may be busy with what it finds
 * at its start, and read RECLAIM later; a connection that we had given up would
 * then take the lease, and end it with itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "device.h"
#include "packet.h"

#define FIRST_MS	50	/* the first try comes within this */
#define MOST_MS		1000	/* between two of them */
#define RECLAIM_ID	1	/* the connection's first request */
#define RECLAIM_FRAME	(WIRE_HEADER_LEN + WIRE_TOKEN_LEN)

/* --- when ----------------------------------------------------------------- */

/*
 * Below n.  Not a secret, it only has to be another one for each client: the
 * index is, for all of one daemon's (splitmix64).
 */
static int random_below(struct ttd_device *dev, int n)
{
	uint64_t x;

	if (dev->control.random == 0)
		dev->control.random = (uint64_t)dev->ifindex << 32 ^
				      (uint64_t)dev->pid;
	x = dev->control.random += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	x ^= x >> 31;
	return (int)(x % (uint64_t)n);
}

/*
 * From now on nobody may hear or say anything there.  The dead fd makes
 * epoll(7) forget the number, and shutdown(2) wakes who polls it.
 */
static void hang_up(struct ttd_device *dev, int wait_ms)
{
	struct control *c = &dev->control;

	frame_in_reset(&c->in);
	/* In a child of fork(2) it is the parent's. */
	if (getpid() == dev->pid)
		shutdown(dev->sock, SHUT_RDWR);
	(void)os_replace(dev->dead, dev->sock);
	atomic_store(&c->retry_at, deadline_in(wait_ms));
	atomic_store(&c->link, LINK_AWAY);
}

void reclaim_begin(struct ttd_device *dev)
{
	dev->control.tries = 0;
	hang_up(dev, random_below(dev, FIRST_MS));
}

void reclaim_later(struct ttd_device *dev)
{
	int most = FIRST_MS;

	for (unsigned i = 0; i <= dev->control.tries && most < MOST_MS; i++)
		most *= 2;
	if (most >= MOST_MS)
		most = MOST_MS;
	else
		dev->control.tries++;
	hang_up(dev, most / 2 + random_below(dev, most / 2));
}

int reclaim_wait_ms(const struct ttd_device *dev)
{
	const struct control *c = &dev->control;

	if (atomic_load(&dev->status) != TTD_OPEN)
		return -1;
	switch ((enum link)atomic_load(&c->link)) {
	case LINK_HELD:
		return -1;
	case LINK_ASKED:
		/* For who watches a number that epoll(7) has forgotten. */
		return MOST_MS;
	case LINK_AWAY:
		break;
	}
	/* A child of fork(2) takes nothing back. */
	return getpid() == dev->pid ?
	       deadline_left(atomic_load(&c->retry_at)) : -1;
}

/* --- asking --------------------------------------------------------------- */

static void send_token(struct ttd_device *dev)
{
	struct control *c = &dev->control;
	uint8_t frame[RECLAIM_FRAME];
	size_t off = 0;
	int len;

	c->m.type = WIRE_RECLAIM;
	c->m.id = RECLAIM_ID;
	memcpy(c->m.reclaim.token, c->token, sizeof(c->token));
	len = wire_encode(&c->m, frame, sizeof(frame));
	/*
	 * A new socket has room for it.  If that fails it is closed already,
	 * and what it said before is why.
	 */
	if (len > 0)
		(void)frame_send(dev->sock, frame, (size_t)len, &off, NULL, 0);
	sys_wipe(frame, sizeof(frame));
	sys_wipe(&c->m, RECLAIM_FRAME + sizeof(c->m.reclaim));
}

/*
 * A connection under the old number, or -errno.  The number before the
 * connection: a daemon that has been asked must not lose it again.
 */
static int connect_again(struct ttd_device *dev)
{
	const struct sockaddr *to = (struct sockaddr *)&dev->control.daemon;
	int sock = sys_socket(SOCK_STREAM, false), r;

	if (sock < 0)
		return sock;
	r = os_replace(sock, dev->sock);
	close(sock);
	if (r < 0)
		return r;
	/* It does not wait, see connect_within(). */
	while (connect(dev->sock, to, sizeof(dev->control.daemon)) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/*
 * Whatever hinders it now may have gone by the next try: EACCES, too, where the
 * daemon has made its socket and not yet opened it to all.
 */
void reclaim_try(struct ttd_device *dev)
{
	struct control *c = &dev->control;

	if (atomic_load(&c->link) != LINK_AWAY || reclaim_wait_ms(dev) != 0)
		return;
	if (connect_again(dev) < 0) {
		reclaim_later(dev);
		return;
	}
	send_token(dev);
	atomic_store(&c->link, LINK_ASKED);
}

/* --- being answered ------------------------------------------------------- */

/* A no that may be a yes later. */
static bool is_temporary(uint16_t code)
{
	switch (code) {
	case WIRE_E_BUSY:
	case WIRE_E_FULL:
	case WIRE_E_TIMED_OUT:
	case WIRE_E_NO_MEMORY:
	case WIRE_E_OUT_OF_FDS:
		return true;
	default:
		return false;
	}
}

static void give_up(struct ttd_device *dev, const struct wire_refused *why)
{
	struct ttd_error cause, theirs;

	error_refused(&theirs, why);
	error_set(&cause, theirs.code, "reclaim", "tuntapd does not give the "
		  "lease of %s back: %s", dev->name, theirs.text);
	memcpy(cause.rule, theirs.rule, sizeof(cause.rule));
	device_end_because(dev, TTD_LEASE_LOST, &cause);
}

static void mac_text(const uint8_t mac[6], char ret[MAC_TEXT])
{
	snprintf(ret, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* What it missed while nobody could tell it. */
static void catch_up(struct ttd_device *dev, const struct wire_reclaimed *now)
{
	struct told *t = &dev->control.told;
	char mac[MAC_TEXT];

	if (strcmp(t->name, now->name) != 0) {
		memcpy(t->name, now->name, sizeof(t->name));
		event_put(dev, TTD_EVENT_RENAMED, 0, t->name);
	}
	if (t->mtu != now->mtu) {
		t->mtu = now->mtu;
		event_put(dev, TTD_EVENT_MTU, t->mtu, "");
	}
	mac_text(now->mac, mac);
	if (dev->layer == TTD_TAP && strcmp(t->mac, mac) != 0) {
		memcpy(t->mac, mac, sizeof(mac));
		event_put(dev, TTD_EVENT_HWADDR, 0, mac);
	}
	if (t->up != (now->up != 0)) {
		t->up = now->up != 0;
		event_put(dev, TTD_EVENT_LINK, t->up, "");
	}
}

bool reclaim_answer(struct ttd_device *dev, const struct wire_message *m)
{
	if (m->type == WIRE_REFUSED) {
		if (is_temporary(m->refused.code))
			return false;
		give_up(dev, &m->refused);
		return true;
	}
	if (m->type != WIRE_RECLAIMED || m->id != RECLAIM_ID)
		return false;
	if (m->reclaimed.ifindex != dev->ifindex) {
		device_end_locked(dev, TTD_LEASE_LOST, -EPROTO, "tuntapd gave "
				  "the lease of another device back");
		return true;
	}
	atomic_store(&dev->control.link, LINK_HELD);
	event_put(dev, TTD_EVENT_DAEMON_BACK, 0, "tuntapd is back and has the "
		  "lease");
	catch_up(dev, &m->reclaimed);
	return true;
}

/* --- what the program knows ----------------------------------------------- */

void told_opened(struct ttd_device *dev, const struct wire_opened *o, bool up)
{
	struct told *t = &dev->control.told;

	memcpy(t->name, o->name, sizeof(t->name));
	mac_text(o->mac, t->mac);
	t->mtu = o->mtu;
	t->up = up;
}

void told_event(struct ttd_device *dev, const struct wire_event *e)
{
	struct told *t = &dev->control.told;

	if (e->kind == WIRE_EVENT_RENAMED)
		snprintf(t->name, sizeof(t->name), "%.*s",
			 (int)sizeof(t->name) - 1, e->text);
	else if (e->kind == WIRE_EVENT_MTU)
		t->mtu = e->value;
	else if (e->kind == WIRE_EVENT_HWADDR)
		snprintf(t->mac, sizeof(t->mac), "%.*s",
			 (int)sizeof(t->mac) - 1, e->text);
	else if (e->kind == WIRE_EVENT_LINK)
		t->up = e->value != 0;
}

/* The last request was carried out. */
void told_done(struct ttd_device *dev)
{
	const struct wire_set *wish = &dev->control.wish;

	if (wish->what & WIRE_SET_MTU)
		dev->control.told.mtu = wish->mtu;
	if (wish->what & WIRE_SET_UP)
		dev->control.told.up = wish->up;
}
