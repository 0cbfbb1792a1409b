/* The keys of a rule: a row each, and a reader for each kind of value. */
#include "rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

struct key_row {
	const char *name;
	int (*read)(struct reading *rd, const struct key_row *row, char *value);
	size_t at;		/* of the member in struct rule */
	uint32_t min, max;	/* of numbers and ranges */
	bool list;		/* read is called for each entry */
};

/* The member that the row is about; every reader knows its type. */
static void *member(const struct reading *rd, const struct key_row *row)
{
	return (char *)rd->rule + row->at;
}

#define FAULT(rd, ...) \
	conf_fault((rd)->fault, (rd)->item->file, (rd)->item->line, \
		   (rd)->item->key, __VA_ARGS__)

static int no_memory(struct reading *rd)
{
	FAULT(rd, "out of memory");
	return -ENOMEM;
}

/* 0, -EINVAL if it is no number, -ERANGE if it is over 32 bits. */
static int parse_u32(const char *text, uint32_t *ret)
{
	uint64_t v = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	if (strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (; *text; text++) {
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > UINT32_MAX)
			return -ERANGE;
	}
	*ret = (uint32_t)v;
	return 0;
}

static int read_bounded(struct reading *rd, const struct key_row *row,
			const char *text, uint32_t *ret)
{
	uint32_t v = 0;
	int r = parse_u32(text, &v);

	if (r == -EINVAL)
		return FAULT(rd, "`%.40s` is not a number; write digits alone, "
			     "without leading zeros", text);
	if (r == -ERANGE || v < row->min || v > row->max)
		return FAULT(rd, "%.40s is out of bounds; write a number "
			     "from %u to %u", text, row->min, row->max);
	*ret = v;
	return 0;
}

static int read_number(struct reading *rd, const struct key_row *row,
		       char *value)
{
	return read_bounded(rd, row, value, member(rd, row));
}

/* "a-b", "a-" or "a". */
static int read_range(struct reading *rd, const struct key_row *row,
		      char *value)
{
	char *dash = strchr(value, '-');
	struct range v = { 0, 0 }, *ret = member(rd, row);
	int r;

	if (dash)
		*dash = '\0';
	r = read_bounded(rd, row, conf_trim(value), &v.min);
	if (r)
		return r;
	v.max = dash ? row->max : v.min;
	if (dash && *conf_trim(dash + 1)) {
		r = read_bounded(rd, row, conf_trim(dash + 1), &v.max);
		if (r)
			return r;
	}
	if (v.min > v.max)
		return FAULT(rd, "the range ends before it begins; write %u-%u",
			     v.max, v.min);
	*ret = v;
	return 0;
}

static int read_yes_no(struct reading *rd, const struct key_row *row,
		       char *value)
{
	bool *ret = member(rd, row);

	*ret = strcmp(value, "yes") == 0;
	if (!*ret && strcmp(value, "no") != 0)
		return FAULT(rd, "`%.40s` is not known; write yes or no",
			     value);
	return 0;
}

static int read_action(struct reading *rd, const struct key_row *row,
		       char *value)
{
	bool *ret = member(rd, row);

	*ret = strcmp(value, "allow") == 0;
	if (!*ret && strcmp(value, "deny") != 0)
		return FAULT(rd, "`%.40s` is not known; write allow or deny",
			     value);
	return 0;
}

static int read_kind(struct reading *rd, const struct key_row *row,
		     char *value)
{
	(void)row;
	if (strcmp(value, "tun") == 0)
		rd->rule->tun = true;
	else if (strcmp(value, "tap") == 0)
		rd->rule->tap = true;
	else
		return FAULT(rd, "`%.40s` is not known; write tun, tap or both",
			     value);
	return 0;
}

static int look_up(struct reading *rd, bool group, const char *name,
		   uint32_t *ret)
{
	const char *what = group ? "group" : "user";
	int r;

	if (!rd->resolve)
		return FAULT(rd, "%s `%.40s` cannot be looked up here; write "
			     "the number", what, name);
	r = rd->resolve(rd->arg, group, name, ret);
	if (r == -ENOENT)
		return FAULT(rd, "there is no %s `%.40s`; correct the name, or "
			     "write a number", what, name);
	if (r < 0) {
		FAULT(rd, "%s `%.40s` cannot be looked up (%s); write the "
		      "number", what, name, strerror(-r));
		return r;
	}
	return 0;
}

static int read_id(struct reading *rd, const struct key_row *row, char *value)
{
	struct ids *ids = member(rd, row);
	bool group = row->at == offsetof(struct rule, groups);
	uint32_t id = 0, *more;
	int r = parse_u32(value, &id);

	if (strcmp(value, "any") == 0) {
		if (group)
			return FAULT(rd, "any is not known here; write "
				     "`user = any`");
		rd->rule->any_user = true;
		return 0;
	}
	/* All digits, but no number: not a name either, that would confuse. */
	if (r && strspn(value, "0123456789") == strlen(value))
		return FAULT(rd, "%.40s is no id; write 0 to 4294967294, "
			     "without leading zeros", value);
	if (r)
		r = look_up(rd, group, value, &id);
	if (r)
		return r;
	if (id == UINT32_MAX)
		return FAULT(rd, "4294967295 stands for nobody; write 0 to "
			     "4294967294");
	more = realloc(ids->id, (ids->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	ids->id = more;
	ids->id[ids->n++] = id;
	return 0;
}

static int read_pattern(struct reading *rd, const struct key_row *row,
			char *value)
{
	struct patterns *names = member(rd, row);
	const char *why = pattern_fault(value);
	char **more, *copy;

	if (why)
		return FAULT(rd, "`%.70s` is not a name pattern: %s; write "
			     "one like tun[0-9] or vpn%%u-*", value, why);
	more = realloc(names->text, (names->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	names->text = more;
	copy = strdup(value);
	if (!copy)
		return no_memory(rd);
	names->text[names->n++] = copy;
	return 0;
}

static int read_prefix(struct reading *rd, const struct key_row *row,
		       char *value)
{
	struct prefixes *list = member(rd, row);
	struct prefix p, net, *more;
	const char *why;
	char text[PREFIX_TEXT_MAX];

	if (prefix_parse(value, &p, &why) < 0)
		return FAULT(rd, "`%.50s` is not a prefix: %s; write one like "
			     "10.0.0.0/8 or fd00::/8", value, why);
	net = prefix_network(&p);
	if (prefix_has_host_bits(&p))
		return FAULT(rd, "%.50s has bits behind its length; write %s",
			     value, prefix_format(&net, text));
	more = realloc(list->prefix, (list->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	list->prefix = more;
	list->prefix[list->n++] = p;
	return 0;
}

#define AT(member)	offsetof(struct rule, member)

static const struct key_row rule_keys[N_RULE_KEYS] = {
	[KEY_ACTION] = { "action", read_action, AT(allow), 0, 0, false },
	[KEY_USER] = { "user", read_id, AT(users), 0, 0, true },
	[KEY_GROUP] = { "group", read_id, AT(groups), 0, 0, true },
	[KEY_KIND] = { "kind", read_kind, 0, 0, 0, true },
	[KEY_NAME] = { "name", read_pattern, AT(names), 0, 0, true },
	[KEY_ADDRESS] = { "address", read_prefix, AT(addresses), 0, 0, true },
	[KEY_ROUTE] = { "route", read_prefix, AT(routes), 0, 0, true },
	/* Metric 0 is how a client asks for the lowest. */
	[KEY_METRIC] = { "metric", read_range, AT(metric), 1, UINT32_MAX,
			 false },
	[KEY_MTU] = { "mtu", read_range, AT(mtu), POLICY_MTU_MIN,
		      POLICY_MTU_MAX, false },
	[KEY_MAX_DEVICES] = { "max-devices", read_number, AT(max_devices), 1,
			      POLICY_DEVICES_MAX, false },
	[KEY_MAX_QUEUES] = { "max-queues", read_number, AT(max_queues), 1,
			     WIRE_QUEUES_MAX, false },
	[KEY_MAX_ADDRESSES] = { "max-addresses", read_number,
				AT(max_addresses), 0, WIRE_ADDRESSES_MAX,
				false },
	[KEY_MAX_ROUTES] = { "max-routes", read_number, AT(max_routes), 0,
			     WIRE_ROUTES_MAX, false },
	[KEY_OFFLOAD] = { "offload", read_yes_no, AT(offload), 0, 0, false },
	[KEY_DEFAULT_ROUTE] = { "default-route", read_yes_no,
				AT(default_route), 0, 0, false },
	[KEY_SHADOW] = { "shadow", read_yes_no, AT(shadow), 0, 0, false },
};
_Static_assert(sizeof(rule_keys) / sizeof(*rule_keys) == N_RULE_KEYS,
	       "a row for each key");

/* Keys that the format has a meaning for, but that nothing obeys yet. */
static const char *const later_keys[] = {
	"source", "mac", "dhcp", "source-guard", "on-tamper"
};

const char *rule_key_name(enum rule_key key)
{
	return rule_keys[key].name;
}

static int unknown_key(struct reading *rd)
{
	for (size_t i = 0; i < sizeof(later_keys) / sizeof(*later_keys); i++)
		if (strcmp(later_keys[i], rd->item->key) == 0)
			return FAULT(rd, "not known to this version of "
				     "tuntapd, which cannot obey it; remove "
				     "the line");
	return FAULT(rd, "unknown key; known are action, user, group, kind, "
		     "name, address, route, metric, mtu, max-devices, "
		     "max-queues, max-addresses, max-routes, offload, "
		     "default-route, shadow");
}

static int read_list(struct reading *rd, const struct key_row *row)
{
	char *next = rd->item->value, *comma, *at;
	size_t n = 0;
	int r;

	do {
		comma = strchr(next, ',');
		if (comma)
			*comma = '\0';
		at = conf_trim(next);
		if (!*at)
			return FAULT(rd, "an entry of the list is empty; "
				     "remove a comma");
		if (++n > POLICY_LIST_MAX)
			return FAULT(rd, "the list has over %d entries; split "
				     "it into two rules", POLICY_LIST_MAX);
		r = row->read(rd, row, at);
		if (comma)
			next = comma + 1;
	} while (r == 0 && comma);
	if (r == 0 && rd->rule->any_user && row == &rule_keys[KEY_USER] &&
	    n > 1)
		return FAULT(rd, "any is everybody; write it alone");
	return r;
}

int rule_read_key(struct reading *rd)
{
	const struct key_row *row = NULL;
	unsigned *line = NULL;

	for (size_t i = 0; i < N_RULE_KEYS; i++)
		if (strcmp(rule_keys[i].name, rd->item->key) == 0) {
			row = &rule_keys[i];
			line = &rd->rule->key_line[i];
		}
	if (!row)
		return unknown_key(rd);
	if (*line)
		return FAULT(rd, "it stands in line %u already; join the two",
			     *line);
	*line = rd->item->line;
	return row->list ? read_list(rd, row)
			 : row->read(rd, row, rd->item->value);
}

void rule_defaults(struct rule *rule)
{
	rule->metric = (struct range){ POLICY_DEFAULT_METRIC, UINT32_MAX };
	rule->mtu = (struct range){ POLICY_MTU_MIN, POLICY_MTU_MAX };
	rule->max_devices = POLICY_DEFAULT_DEVICES;
	rule->max_queues = POLICY_DEFAULT_QUEUES;
	rule->max_addresses = POLICY_DEFAULT_ADDRESSES;
	rule->max_routes = POLICY_DEFAULT_ROUTES;
}

void rule_free_lists(struct rule *rule)
{
	for (size_t i = 0; i < rule->names.n; i++)
		free(rule->names.text[i]);
	free(rule->names.text);
	free(rule->users.id);
	free(rule->groups.id);
	free(rule->addresses.prefix);
	free(rule->routes.prefix);
}
