/* The keys that a section may have: a row each. */
#include "keys.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define AT(m)	offsetof(struct rule, m)
static const struct key_row rule_keys[N_RULE_KEYS] = {
	[KEY_ACTION] = { "action", &value_word, AT(allow),
			 .yes = "allow", .no = "deny" },
	[KEY_USER] = { "user", &value_user, AT(users), .absent = "none" },
	[KEY_GROUP] = { "group", &value_group, AT(groups), .absent = "none" },
	[KEY_KIND] = { "kind", &value_kind, AT(kinds), .absent = "all" },
	[KEY_NAME] = { "name", &value_pattern, AT(names), .absent = "all" },
	[KEY_ADDRESS] = { "address", &value_prefix, AT(addresses),
			  .absent = "none" },
	[KEY_SOURCE] = { "source", &value_source, AT(sources),
			 .absent = NULL },
	[KEY_ROUTE] = { "route", &value_prefix, AT(routes), .absent = "none" },
	[KEY_DEFAULT_ROUTE] = { "default-route", &value_word,
				AT(default_route), .yes = "yes", .no = "no" },
	[KEY_SHADOW] = { "shadow", &value_word, AT(shadow),
			 .yes = "yes", .no = "no" },
	/* Metric 0 is how a client asks for the lowest. */
	[KEY_METRIC] = { "metric", &value_range, AT(metric),
			 .min = 1, .max = UINT32_MAX },
	[KEY_MTU] = { "mtu", &value_range, AT(mtu),
		      .min = POLICY_MTU_MIN, .max = POLICY_MTU_MAX },
	[KEY_MAX_DEVICES] = { "max-devices", &value_number, AT(max_devices),
			      .min = 1, .max = POLICY_DEVICES_MAX },
	[KEY_MAX_QUEUES] = { "max-queues", &value_number, AT(max_queues),
			     .min = 1, .max = WIRE_QUEUES_MAX },
	[KEY_MAX_ADDRESSES] = { "max-addresses", &value_number,
				AT(max_addresses),
				.min = 0, .max = WIRE_ADDRESSES_MAX },
	[KEY_MAX_ROUTES] = { "max-routes", &value_number, AT(max_routes),
			     .min = 0, .max = POLICY_ROUTES_MAX },
	[KEY_MAC] = { "mac", &value_word, AT(mac_chosen),
		      .yes = "chosen", .no = "random" },
	[KEY_DHCP] = { "dhcp", &value_word, AT(dhcp),
		       .yes = "yes", .no = "no" },
	[KEY_OFFLOAD] = { "offload", &value_word, AT(offload),
			  .yes = "yes", .no = "no" },
	[KEY_SOURCE_GUARD] = { "source-guard", &value_word, AT(guard),
			       .yes = "required", .no = "off" },
	[KEY_ON_TAMPER] = { "on-tamper", &value_word, AT(tamper_revokes),
			    .yes = "revoke", .no = "log" },
};
#undef AT

#define AT(m)	offsetof(struct global, m)
static const struct key_row global_keys[N_GLOBAL_KEYS] = {
	[GLOBAL_MAX_DEVICES] = { "max-devices", &value_number, AT(max_devices),
				 .min = 1, .max = POLICY_DEVICES_MAX },
};
#undef AT

#define FAULT(rd, ...) \
	conf_fault((rd)->fault, (rd)->item->file, (rd)->item->line, \
		   (rd)->item->key, __VA_ARGS__)

const char *rule_key_name(enum rule_key key)
{
	return rule_keys[key].name;
}

static int unknown_key(struct reading *rd, const struct key_row *rows,
		       size_t n)
{
	char known[WIRE_TEXT_MAX + 1] = "";

	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(known);

		snprintf(known + at, sizeof(known) - at, "%s%s",
			 i > 0 ? ", " : "", rows[i].name);
	}
	return FAULT(rd, "unknown key; known are %s", known);
}

static int read_list(struct reading *rd, const struct key_row *row)
{
	char *next = rd->item->value, *comma, *at;
	int r;

	rd->entry = 0;
	do {
		comma = strchr(next, ',');
		if (comma)
			*comma = '\0';
		at = conf_trim(next);
		if (!*at)
			return FAULT(rd, "an entry of the list is empty; "
				     "remove a comma");
		if (rd->entry == POLICY_LIST_MAX)
			return FAULT(rd, "the list has over %d entries; split "
				     "it into two rules", POLICY_LIST_MAX);
		r = row->value->read(rd, row, at);
		rd->entry++;
		if (comma)
			next = comma + 1;
	} while (r == 0 && comma);
	return r;
}

/* lines: of the section's keys, in the order of the rows. */
static int read_key(struct reading *rd, const struct key_row *rows, size_t n,
		    unsigned *lines)
{
	size_t i = 0;

	while (i < n && strcmp(rows[i].name, rd->item->key) != 0)
		i++;
	if (i == n)
		return unknown_key(rd, rows, n);
	if (lines[i])
		return FAULT(rd, "it stands in line %u already; join the two",
			     lines[i]);
	lines[i] = rd->item->line;
	return rows[i].value->list ? read_list(rd, &rows[i]) :
	       rows[i].value->read(rd, &rows[i], rd->item->value);
}

int section_read_key(struct reading *rd)
{
	if (rd->rule) {
		rd->into = rd->rule;
		return read_key(rd, rule_keys, N_RULE_KEYS, rd->rule->key_line);
	}
	rd->into = &rd->policy->global;
	return read_key(rd, global_keys, N_GLOBAL_KEYS,
			rd->policy->global.key_line);
}

/* line 0: the key is not there; then with what that means. */
static void write_key(const struct key_row *row, const void *section,
		      unsigned line, FILE *out)
{
	if (!line && row->absent) {
		fprintf(out, "; %s: %s\n", row->name, row->absent);
		return;
	}
	fprintf(out, "%s = ", row->name);
	row->value->write((const char *)section + row->at, row, out);
	fprintf(out, "%s\n", line ? "" : "\t; default");
}

/* Of ids that there are: only the peer's; no word where none is his. */
static void write_own(const struct rule *rule, enum rule_key key,
		      const struct peer *peer, FILE *out)
{
	const struct ids *all = key == KEY_USER ? &rule->users : &rule->groups;
	const char *before = rule_keys[key].name;

	for (size_t i = 0; i < all->n; i++) {
		if (!peer_has(peer, key == KEY_GROUP, all->id[i]))
			continue;
		fprintf(out, "%s%s%u", before, *before == ',' ? "" : " = ",
			(unsigned)all->id[i]);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', out);
}

/* A rule that denies has no limits. */
void rule_write(const struct rule *rule, const struct peer *peer, FILE *out)
{
	fprintf(out, "[rule %s]\t; %s:%u\n", rule->name, rule->file,
		rule->line);
	for (enum rule_key i = 0; i < N_RULE_KEYS; i++) {
		if (peer && (i == KEY_USER || i == KEY_GROUP) &&
		    rule->key_line[i] && !(i == KEY_USER && rule->users.any))
			write_own(rule, i, peer, out);
		else if (rule->key_line[i] || rule->allow)
			write_key(&rule_keys[i], rule, rule->key_line[i], out);
	}
}

void global_write(const struct global *global, FILE *out)
{
	fputs("[global]", out);
	if (global->line)
		fprintf(out, "\t; %s:%u", global->file, global->line);
	fputc('\n', out);
	for (size_t i = 0; i < N_GLOBAL_KEYS; i++)
		write_key(&global_keys[i], global, global->key_line[i], out);
}

void global_defaults(struct global *global)
{
	global->max_devices = POLICY_DEFAULT_GLOBAL_DEVICES;
}

void rule_defaults(struct rule *rule)
{
	rule->sources.automatic = true;
	rule->metric = (struct range){ POLICY_DEFAULT_METRIC, UINT32_MAX };
	rule->mtu = (struct range){ POLICY_MTU_MIN, POLICY_MTU_MAX };
	rule->max_devices = POLICY_DEFAULT_DEVICES;
	rule->max_queues = POLICY_DEFAULT_QUEUES;
	rule->max_addresses = POLICY_DEFAULT_ADDRESSES;
	rule->max_routes = POLICY_DEFAULT_ROUTES;
	rule->dhcp = rule->guard = rule->tamper_revokes = true;
}

void rule_free_lists(struct rule *rule)
{
	for (size_t i = 0; i < N_RULE_KEYS; i++)
		if (rule_keys[i].value->free)
			rule_keys[i].value->free((char *)rule +
						 rule_keys[i].at);
}
