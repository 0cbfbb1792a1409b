/* The limits of the rule that matched.  All of them must hold. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rules.h"

#define DENY(q, key, ...) \
	rule_refuse((q), WIRE_E_POLICY, "policy", (key), __VA_ARGS__)

int rule_refuse(const struct question *q, enum wire_error code,
		const char *step, enum rule_key key, const char *fmt, ...)
{
	unsigned line = q->rule->key_line[key];
	char text[WIRE_TEXT_MAX + 1];
	va_list args;
	int r;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r = policy_refuse(q->ret, code, step, "%s", text);
	snprintf(q->ret->rule, sizeof(q->ret->rule), "%s:%u", q->rule->file,
		 line ? line : q->rule->line);
	return r;
}

/* "10.0.0.0/8, fd00::/8 and 3 more". */
static const char *prefixes_text(const struct prefixes *list,
				 char buf[LIST_TEXT_MAX])
{
	char text[PREFIX_TEXT_MAX];
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < list->n; i++) {
		if (n + PREFIX_TEXT_MAX + 32 > LIST_TEXT_MAX) {
			snprintf(buf + n, LIST_TEXT_MAX - n, " and %zu more",
				 list->n - i);
			break;
		}
		n += (size_t)snprintf(buf + n, LIST_TEXT_MAX - n, "%s%s",
				      i ? ", " : "",
				      prefix_format(&list->prefix[i], text));
	}
	return buf;
}

/* The prefix is inside one of the rule's. */
static int check_inside(const struct question *q, const char *what,
			const struct prefix *p, const struct prefixes *list,
			enum rule_key key)
{
	struct prefix net = prefix_network(p);
	char text[PREFIX_TEXT_MAX], all[LIST_TEXT_MAX];

	for (size_t i = 0; i < list->n; i++)
		if (prefix_contains(&list->prefix[i], &net))
			return 0;
	prefix_format(p, text);
	if (list->n == 0)
		return DENY(q, key, "%s %s: rule %s has no `%s =` and so "
			    "allows none; ask for none", what, text,
			    q->rule->name, rule_key_name(key));
	return DENY(q, key, "%s %s is not inside `%s = %s` of rule %s; ask for "
		    "%s inside it", what, text, rule_key_name(key),
		    prefixes_text(list, all), q->rule->name,
		    key == KEY_ROUTE ? "a route" : "an address and length");
}

static int check_addresses(const struct question *q)
{
	int r = 0;

	for (size_t i = 0; i < q->ask->n_addresses && r == 0; i++) {
		const struct wire_address *a = &q->ask->addresses[i];

		r = check_inside(q, "address", &a->local, &q->rule->addresses,
				 KEY_ADDRESS);
		if (r == 0 && a->peer.family)
			r = check_inside(q, "peer", &a->peer,
					 &q->rule->addresses, KEY_ADDRESS);
	}
	return r;
}

static int check_routes(const struct question *q)
{
	const struct range *metric = &q->rule->metric;
	char text[PREFIX_TEXT_MAX], range[RANGE_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < q->ask->n_routes && r == 0; i++) {
		const struct wire_route *route = &q->ask->routes[i];

		r = check_inside(q, "route", &route->dst, &q->rule->routes,
				 KEY_ROUTE);
		if (r)
			break;
		if (route->metric && (route->metric < metric->min ||
				      route->metric > metric->max))
			r = DENY(q, KEY_METRIC, "metric %u of route %s is "
				 "outside `metric = %s` of rule %s; ask for "
				 "one inside, or for 0, the lowest allowed",
				 (unsigned)route->metric,
				 prefix_format(&route->dst, text),
				 range_text(metric, range), q->rule->name);
	}
	return r;
}

/* One by one, and all together. */
static int check_default_route(const struct question *q)
{
	static const char way_out[] = "ask for longer ones, or have the rule "
				      "say `default-route = yes`";
	char text[PREFIX_TEXT_MAX];
	struct prefix covered;
	int r;

	if (q->rule->default_route)
		return 0;
	for (size_t i = 0; i < q->ask->n_routes; i++) {
		const struct prefix *dst = &q->ask->routes[i].dst;

		if (request_is_default(dst))
			return DENY(q, KEY_DEFAULT_ROUTE, "route %s is a "
				    "default route, or the most of one, which "
				    "rule %s does not allow; %s",
				    prefix_format(dst, text), q->rule->name,
				    way_out);
	}
	r = cover_default(q->ask, q->usage, &covered);
	if (r < 0)
		return policy_refuse(q->ret, WIRE_E_NO_MEMORY, "policy",
				     "out of memory");
	if (r > 0)
		return DENY(q, KEY_DEFAULT_ROUTE, "the routes and networks "
			    "together cover %s, which as one route would be "
			    "the most of a default route, and rule %s does not "
			    "allow those; %s", prefix_format(&covered, text),
			    q->rule->name, way_out);
	return 0;
}

static int check_count(const struct question *q, const char *what,
		       enum rule_key key, uint32_t n, uint32_t max)
{
	if (n <= max)
		return 0;
	return DENY(q, key, "%u %s are over `%s = %u` of rule %s; ask for %u "
		    "or fewer", (unsigned)n, what, rule_key_name(key),
		    (unsigned)max, q->rule->name, (unsigned)max);
}

static int check_counts(const struct question *q)
{
	const struct wire_open *ask = q->ask;
	const struct rule *rule = q->rule;
	int r = check_count(q, "queues", KEY_MAX_QUEUES, ask->queues,
			    rule->max_queues);

	if (r == 0)
		r = check_count(q, "addresses", KEY_MAX_ADDRESSES,
				ask->n_addresses, rule->max_addresses);
	if (r == 0)
		r = check_count(q, "routes", KEY_MAX_ROUTES,
				ask->n_routes + q->usage->routes,
				rule->max_routes);
	return r;
}

static int check_mtu(const struct question *q)
{
	const struct range *mtu = &q->rule->mtu;
	uint32_t ask = q->ask->mtu;
	char range[RANGE_TEXT_MAX];

	range_text(mtu, range);
	if (ask && (ask < mtu->min || ask > mtu->max))
		return DENY(q, KEY_MTU, "MTU %u is outside `mtu = %s` of rule "
			    "%s; ask for one inside, or for none",
			    (unsigned)ask, range, q->rule->name);
	if (request_mtu_min(q->ask, q->usage) > mtu->max)
		return DENY(q, KEY_MTU, "IPv6 needs an MTU of %d, which "
			    "`mtu = %s` of rule %s forbids; ask for no IPv6",
			    POLICY_MTU_IPV6, range, q->rule->name);
	return 0;
}

static int check_mac(const struct question *q)
{
	if (!(q->ask->flags & WIRE_OPEN_MAC_SET) || q->rule->mac_chosen)
		return 0;
	return DENY(q, KEY_MAC, "a MAC address is asked for, and rule %s lacks "
		    "`mac = chosen`; ask for none, and get a random one",
		    q->rule->name);
}

static int check_offload(const struct question *q)
{
	if (q->ask->vnet_hdr != WIRE_VNET_YES || q->rule->offload)
		return 0;
	return DENY(q, KEY_OFFLOAD, "offload (vnet_hdr) is asked for, and rule "
		    "%s lacks `offload = yes`; ask for bare packets",
		    q->rule->name);
}

/* Of some only a descriptor is left, and where that is he may not know. */
static const char *tell_kept(unsigned n, char ret[WIRE_TEXT_MAX])
{
	*ret = '\0';
	if (n)
		snprintf(ret, WIRE_TEXT_MAX, ", %u of them of leases that "
			 "have ended: some process still has their descriptor, "
			 "and has to close it", n);
	return ret;
}

static int refuse_devices(const struct question *q)
{
	char kept[WIRE_TEXT_MAX];

	return rule_refuse(q, WIRE_E_QUOTA, "policy", KEY_MAX_DEVICES,
			   "uid %u has %u devices%s, and rule %s has "
			   "`max-devices = %u`; close one first",
			   (unsigned)q->peer->uid, q->usage->devices,
			   tell_kept(q->usage->kept, kept), q->rule->name,
			   (unsigned)q->rule->max_devices);
}

static int refuse_all_devices(const struct question *q)
{
	const struct global *global = &q->policy->global;
	unsigned line = global->key_line[GLOBAL_MAX_DEVICES];
	char kept[WIRE_TEXT_MAX];
	int r = policy_refuse(q->ret, WIRE_E_QUOTA, "policy", "all users "
			      "together have the devices that `max-devices = "
			      "%u` of [global] allows%s; wait until one is "
			      "closed, or have an administrator raise it",
			      (unsigned)global->max_devices,
			      tell_kept(q->usage->all_kept, kept));

	if (line)
		snprintf(q->ret->rule, sizeof(q->ret->rule), "%s:%u",
			 global->file, line);
	return r;
}

/* Last, so that who may not have it at all does not hear of his quota. */
static int check_quota(const struct question *q)
{
	if (q->usage->devices >= q->rule->max_devices)
		return refuse_devices(q);
	if (q->usage->all_devices >= q->policy->global.max_devices)
		return refuse_all_devices(q);
	return 0;
}

int rule_limits(const struct question *q)
{
	static int (*const checks[])(const struct question *q) = {
		/* In the order that tuntapd.conf(5) tells. */
		check_mac, check_offload, check_mtu, check_counts,
		check_addresses, check_routes, check_default_route, check_quota
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks) && r == 0; i++)
		r = checks[i](q);
	return r;
}
