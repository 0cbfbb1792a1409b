/* Requests without a pause. */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTED		32	/* devices, for a list of some length */
#define MONITORS	8	/* of a process: more than it may have */

static void flood_with(struct attacker *me, struct wire_message *m,
		       int (*connect_it)(struct attacker *me))
{
	static struct sent frame;

	encode(&frame, m);
	flood(me, &frame, 1, connect_it);
}

static void ask_status(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_STATUS };

	flood_with(me, &m, connected);
}

static void ask_list(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_LIST };
	struct ttd_options o = attacker_options();

	for (unsigned i = 0; i < LISTED / 2 && goes_on(); i++)
		opened(me, &o);
	flood_with(me, &m, connected);
}

static void ask_policy(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_POLICY };

	flood_with(me, &m, connected);
}

/* The longest there is, all of which must be looked at. */
static void ask_check(struct attacker *me)
{
	static struct wire_message m = { .type = WIRE_CHECK };
	struct wire_check *c = &m.check;
	struct ttd_prefix p;

	c->uid = WIRE_UID_CALLER;
	c->layer = WIRE_TUN;
	c->queues = 1;
	c->n_addresses = WIRE_ADDRESSES_MAX;
	for (unsigned i = 0; i < WIRE_ADDRESSES_MAX; i++) {
		p = attacker_network(me, 0, 1 + i, 32);
		c->addresses[i].local.family = p.family;
		c->addresses[i].local.len = p.len;
		memcpy(c->addresses[i].local.ip, p.ip, sizeof(p.ip));
	}
	c->n_routes = WIRE_ROUTES_MAX;
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++) {
		p = attacker_network(me, 1, i, 32);
		c->routes[i].dst.family = p.family;
		c->routes[i].dst.len = p.len;
		memcpy(c->routes[i].dst.ip, p.ip, sizeof(p.ip));
	}
	flood_with(me, &m, connected);
}

static void ask_query(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_QUERY };

	flood_with(me, &m, connected_holder);
}

/* Root's to do: each ends its connection. */
static void ask_reload(struct attacker *me)
{
	struct wire_message m = { .type = WIRE_RELOAD };

	flood_with(me, &m, connected);
}

/* The policy says no. */
static void refused_opens(struct attacker *me)
{
	struct wire_message m = raw_open_request();

	snprintf(m.open.name, sizeof(m.open.name), "eth7");
	flood_with(me, &m, connected);
}

/* The kernel says no, when most of the device is there. */
static void failed_opens(struct attacker *me)
{
	struct wire_message m = raw_open_request();

	m.open.n_routes = 1;
	m.open.routes[0] = (struct wire_route){
		.dst = { .family = 4, .len = 16, .ip = { 10, 200 } },
		.gateway = { .family = 4, .len = 32, .ip = { 10, 201, 0, 1 } },
	};
	flood_with(me, &m, connected);
}

static void open_and_close(struct attacker *me)
{
	struct ttd_options o = attacker_options();

	while (goes_on())
		ttd_free(opened(me, &o));
}

/* And does not wait until the device has gone. */
static void open_and_hang_up(struct attacker *me)
{
	while (goes_on()) {
		struct wire_message m = raw_open_request();
		struct sent open;
		int sock = connected(me);

		if (sock < 0)
			continue;
		encode(&open, &m);
		if (send(sock, open.frame, open.len, MSG_NOSIGNAL) > 0)
			managed(me, "opens");
		close(sock);
	}
}

/* Is told of all that it does, on many connections, and reads none of it. */
static void monitor_and_never_read(struct attacker *me)
{
	struct ttd_options o = attacker_options();
	struct wire_message m = { .type = WIRE_MONITOR };
	struct sent monitor;

	encode(&monitor, &m);
	for (unsigned i = 0; i < MONITORS; i++) {
		int sock = connected(me);

		if (sock >= 0 && send(sock, monitor.frame, monitor.len,
				      MSG_NOSIGNAL) > 0)
			managed(me, "monitors");
	}
	while (goes_on()) {
		o.name = NULL;
		ttd_free(opened(me, &o));
		o.name = "eth7";
		opened(me, &o);
	}
}

const struct attack flood_attacks[] = {
	{ "ask_status", 2, 2, ask_status, false },
	{ "ask_list", 2, 2, ask_list, false },
	{ "ask_policy", 2, 2, ask_policy, false },
	{ "ask_check", 2, 2, ask_check, false },
	{ "ask_query", 2, 2, ask_query, false },
	{ "ask_reload", 2, 2, ask_reload, false },
	{ "refused_opens", 2, 2, refused_opens, false },
	{ "failed_opens", 2, 2, failed_opens, false },
	{ "open_and_close", 8, 4, open_and_close, false },
	{ "open_and_hang_up", 4, 2, open_and_hang_up, false },
	{ "monitor_and_never_read", 4, 2, monitor_and_never_read, false },
	{ .name = NULL },
};
