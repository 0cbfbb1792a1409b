#include "run_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX	256	/* longest value that is cut at its commas */
#define MTU_MIN		68
#define MTU_MAX		65535

static int because(char why[ARGS_WHY_MAX], const char *text)
{
	snprintf(why, ARGS_WHY_MAX, "%s", text);
	return -EINVAL;
}

/* Decimal digits alone, from min to max. */
static int parse_number(const char *text, uint32_t min, uint32_t max,
			uint32_t *ret, char why[ARGS_WHY_MAX])
{
	bool digits = text[0] && strspn(text, "0123456789") == strlen(text);
	unsigned long long n = digits ? strtoull(text, NULL, 10) : 0;

	if (!digits || n < min || n > max) {
		snprintf(why, ARGS_WHY_MAX, "it is a number from %u to %u",
			 (unsigned)min, (unsigned)max);
		return -EINVAL;
	}
	*ret = (uint32_t)n;
	return 0;
}

/* what: the part of a value that it is, "" for its first. */
static int parse_prefix(const char *text, const char *what,
			struct ttd_prefix *ret, char why[ARGS_WHY_MAX])
{
	const char *fault;
	struct prefix p;

	if (prefix_parse(text, &p, &fault) < 0) {
		snprintf(why, ARGS_WHY_MAX, "%s%s%s", what, *what ? ": " : "",
			 fault);
		return -EINVAL;
	}
	*ret = (struct ttd_prefix){ .family = p.family, .len = p.len };
	memcpy(ret->ip, p.ip, sizeof(ret->ip));
	return 0;
}

/* Behind "key=" in part, or NULL. */
static const char *value_of(const char *part, const char *key)
{
	size_t n = strlen(key);

	return strncmp(part, key, n) == 0 && part[n] == '=' ? part + n + 1
							     : NULL;
}

static int unknown_part(const char *part, const char *known,
			char why[ARGS_WHY_MAX])
{
	snprintf(why, ARGS_WHY_MAX, "\"%.80s\" is not one of %s", part, known);
	return -EINVAL;
}

/* --- addresses: P[,peer=P][,nodad] -------------------------------------- */

static int address_part(struct ttd_addr *a, const char *part,
			char why[ARGS_WHY_MAX])
{
	const char *peer = value_of(part, "peer");

	if (peer)
		return parse_prefix(peer, "peer", &a->peer, why);
	if (strcmp(part, "nodad") != 0)
		return unknown_part(part, "peer=PREFIX, nodad", why);
	a->flags |= TTD_ADDR_NODAD;
	return 0;
}

static int check_address(const struct ttd_addr *a, char why[ARGS_WHY_MAX])
{
	bool full = a->local.len == (a->local.family == 4 ? 32 : 128);

	if (a->flags & TTD_ADDR_NODAD && a->local.family == 4)
		return because(why, "nodad is for IPv6; IPv4 detects no "
			       "duplicates");
	if (!a->peer.family)
		return 0;
	if (a->peer.family != a->local.family)
		return because(why, "the address and its peer are not of one "
			       "family");
	if (!full)
		return because(why, "with peer= the address stands alone and "
			       "the peer has the prefix: "
			       "10.0.0.1,peer=10.0.0.2/30");
	return 0;
}

/* Cuts a copy of value at its commas; the first part, the rest in *ret_rest. */
static int split(const char *value, char copy[VALUE_MAX], char **ret_rest,
		 char why[ARGS_WHY_MAX])
{
	if (snprintf(copy, VALUE_MAX, "%s", value) >= VALUE_MAX)
		return because(why, "it is longer than any value can be");
	*ret_rest = copy;
	strsep(ret_rest, ",");
	return 0;
}

static int set_address(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct run_args *args = into;
	struct ttd_addr a = { .flags = 0 };
	char copy[VALUE_MAX], *rest, *part;
	int r = split(value, copy, &rest, why);

	if (r == 0)
		r = parse_prefix(copy, "", &a.local, why);
	while (r == 0 && (part = strsep(&rest, ",")))
		r = address_part(&a, part, why);
	if (r == 0)
		r = check_address(&a, why);
	if (r < 0)
		return r;
	if (args->n_addrs == WIRE_ADDRESSES_MAX)
		return because(why, "one request holds no more addresses");
	args->addrs[args->n_addrs++] = a;
	return 0;
}

/* --- routes: P[,via=GW][,metric=N] -------------------------------------- */

static int route_part(struct ttd_route *route, const char *part,
		      char why[ARGS_WHY_MAX])
{
	const char *via = value_of(part, "via");
	const char *metric = value_of(part, "metric");
	char clause[ARGS_WHY_MAX];

	if (via)
		return parse_prefix(via, "via", &route->gateway, why);
	if (!metric)
		return unknown_part(part, "via=ADDRESS, metric=NUMBER", why);
	if (parse_number(metric, 1, UINT32_MAX, &route->metric, clause) == 0)
		return 0;
	snprintf(why, ARGS_WHY_MAX, "metric: %.400s", clause);
	return -EINVAL;
}

static int check_route(const struct ttd_route *route, char why[ARGS_WHY_MAX])
{
	const struct ttd_prefix *gateway = &route->gateway;
	struct prefix dst = { .family = route->dst.family,
			      .len = route->dst.len };
	char text[PREFIX_TEXT_MAX];

	memcpy(dst.ip, route->dst.ip, sizeof(dst.ip));
	if (prefix_has_host_bits(&dst)) {
		dst = prefix_network(&dst);
		snprintf(why, ARGS_WHY_MAX, "there are bits set behind /%u; "
			 "the network is %s", dst.len,
			 prefix_format(&dst, text));
		return -EINVAL;
	}
	if (!gateway->family)
		return 0;
	if (gateway->family != dst.family)
		return because(why, "the route and its gateway are not of one "
			       "family");
	if (gateway->len != (gateway->family == 4 ? 32 : 128))
		return because(why, "via: a gateway is one address, without "
			       "a length");
	return 0;
}

static int set_route(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct run_args *args = into;
	struct ttd_route route = { .metric = 0 };
	char copy[VALUE_MAX], *rest, *part;
	int r = split(value, copy, &rest, why);

	if (r == 0 && strcmp(copy, "default") == 0)
		return because(why, "write 0.0.0.0/0 or ::/0, so that it is "
			       "clear which family is meant");
	if (r == 0)
		r = parse_prefix(copy, "", &route.dst, why);
	while (r == 0 && (part = strsep(&rest, ",")))
		r = route_part(&route, part, why);
	if (r == 0)
		r = check_route(&route, why);
	if (r < 0)
		return r;
	if (args->n_routes == WIRE_ROUTES_MAX)
		return because(why, "one request holds no more routes");
	args->routes[args->n_routes++] = route;
	return 0;
}

/* --- the rest ----------------------------------------------------------- */

static int set_layer(void *into, uint32_t layer, char why[ARGS_WHY_MAX])
{
	struct run_args *args = into;

	if (args->layer && args->layer != layer)
		return because(why, "a device is either a TUN or a TAP");
	args->layer = layer;
	return 0;
}

static int set_tun(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	return set_layer(into, TTD_TUN, why);
}

static int set_tap(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	return set_layer(into, TTD_TAP, why);
}

static int set_name(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	size_t n = strlen(value);

	if (n == 0 || n > WIRE_NAME_MAX) {
		snprintf(why, ARGS_WHY_MAX, "an interface name has 1 to %d "
			 "bytes, this one has %zu", WIRE_NAME_MAX, n);
		return -EINVAL;
	}
	((struct run_args *)into)->name = value;
	return 0;
}

static int set_mtu(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	return parse_number(value, MTU_MIN, MTU_MAX,
			    &((struct run_args *)into)->mtu, why);
}

static int set_txqueuelen(void *into, const char *value,
			  char why[ARGS_WHY_MAX])
{
	return parse_number(value, 1, INT32_MAX,
			    &((struct run_args *)into)->txqueuelen, why);
}

static int set_queues(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	return parse_number(value, 1, WIRE_QUEUES_MAX,
			    &((struct run_args *)into)->queues, why);
}

/* Two hex digits; -1 if they are not. */
static int hex_byte(const char *text)
{
	char digits[3] = { text[0], text[0] ? text[1] : '\0', '\0' };

	if (strspn(digits, "0123456789abcdefABCDEF") != 2)
		return -1;
	return (int)strtoul(digits, NULL, 16);
}

static int set_mac(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	static const uint8_t none[6];
	struct run_args *args = into;
	uint8_t mac[6];

	for (int i = 0; i < 6; i++, value += 3) {
		int byte = hex_byte(value);

		if (byte < 0 || value[2] != (i < 5 ? ':' : '\0'))
			return because(why, "it is six bytes in hex, as in "
				       "02:00:5e:10:00:01");
		mac[i] = (uint8_t)byte;
	}
	if (mac[0] & 1 || memcmp(mac, none, sizeof(mac)) == 0)
		return because(why, "that is a group's address or none; a "
			       "device's own has an even first byte, best "
			       "02");
	memcpy(args->mac, mac, sizeof(mac));
	args->mac_set = true;
	return 0;
}

static int set_vnet_hdr(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct run_args *)into)->vnet_hdr = true;
	return 0;
}

static int set_down(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct run_args *)into)->down = true;
	return 0;
}

const struct arg_row device_rows[] = {
	{ "--tun", NULL, "a TUN: IP packets", set_tun, NULL },
	{ "--tap", NULL, "a TAP: Ethernet frames", set_tap, NULL },
	{ "--name", "NAME", "default: the first free one the policy allows",
	  set_name, NULL },
	{ "--address", "P[,peer=P][,nodad]", "an address with its prefix; may "
	  "be repeated", set_address, NULL },
	{ "--route", "P[,via=GW][,metric=N]", "a route into the device; may "
	  "be repeated", set_route, NULL },
	{ "--mtu", "N", "longest packet, in bytes", set_mtu, NULL },
	{ "--txqueuelen", "N", "packets that may wait to be read",
	  set_txqueuelen, NULL },
	{ "--queues", "N", "fds that packets are spread over; default 1",
	  set_queues, NULL },
	{ "--mac", "MAC", "MAC address of a TAP; default: a random one",
	  set_mac, NULL },
	{ "--vnet-hdr", NULL, "packets carry a struct virtio_net_hdr",
	  set_vnet_hdr, NULL },
	{ "--down", NULL, "leave the device down; default: up", set_down, NULL },
	ARG_END
};

const struct arg_row run_rows[] = {
	{ .rows = device_rows },
	ARG_SOCKET,
	ARG_JSON("tell of the device on standard error"),
	ARG_END
};

int run_args_check(const struct run_args *a, char why[ARGS_WHY_MAX])
{
	if (!a->layer)
		return because(why, "say --tun (IP packets) or --tap "
			       "(Ethernet frames)");
	if (a->mac_set && a->layer != TTD_TAP)
		return because(why, "--mac: only a TAP has a MAC address; say "
			       "--tap, or leave --mac out");
	return 0;
}

struct ttd_options run_args_options(const struct run_args *a)
{
	struct ttd_options o = TTD_OPTIONS_INIT(a->layer);

	o.socket_path = a->common.socket;
	o.name = a->name;
	o.addrs = a->addrs;
	o.n_addrs = a->n_addrs;
	o.routes = a->routes;
	o.n_routes = a->n_routes;
	o.mtu = a->mtu;
	o.txqueuelen = a->txqueuelen;
	o.queues = a->queues;
	o.offload = a->vnet_hdr ? TTD_OFFLOAD_PASS : TTD_OFFLOAD_NONE;
	if (a->mac_set)
		o.flags |= TTD_MAC_SET;
	if (a->down)
		o.flags |= TTD_DOWN;
	memcpy(o.mac, a->mac, sizeof(o.mac));
	return o;
}

static struct prefix wire_prefix(const struct ttd_prefix *p)
{
	struct prefix ret = { .family = p->family, .len = p->len };

	memcpy(ret.ip, p->ip, sizeof(ret.ip));
	return ret;
}

void run_args_wire(const struct run_args *a, struct wire_open *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->layer = (uint8_t)a->layer;
	ret->vnet_hdr = a->vnet_hdr;
	ret->flags = (a->mac_set ? WIRE_OPEN_MAC_SET : 0) |
		     (a->down ? WIRE_OPEN_DOWN : 0);
	snprintf(ret->name, sizeof(ret->name), "%s", a->name ? a->name : "");
	memcpy(ret->mac, a->mac, sizeof(ret->mac));
	ret->mtu = a->mtu;
	ret->txqueuelen = a->txqueuelen;
	ret->queues = (uint16_t)(a->queues ? a->queues : 1);
	for (size_t i = 0; i < a->n_addrs; i++) {
		struct wire_address *w = &ret->addresses[ret->n_addresses++];

		w->local = wire_prefix(&a->addrs[i].local);
		w->peer = wire_prefix(&a->addrs[i].peer);
		w->flags = a->addrs[i].flags & TTD_ADDR_NODAD ?
			   WIRE_ADDRESS_NODAD : 0;
	}
	for (size_t i = 0; i < a->n_routes; i++) {
		struct wire_route *w = &ret->routes[ret->n_routes++];

		w->dst = wire_prefix(&a->routes[i].dst);
		w->gateway = wire_prefix(&a->routes[i].gateway);
		w->metric = a->routes[i].metric;
	}
}
