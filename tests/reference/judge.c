/*
 * The policy's evaluator behind a pipe, for tests/reference/reference.py: JSON
 * lines in, a policy or a request each, and a line with the answer out.
 *
 *	{"policy": TEXT}	{"policy": "ok", "rules": N} or
 *				{"policy": "fault", "line": L, "text": ...}
 *	{"uid": ..., "ask": ...}
 *				{"allowed": true, "rule", "name", "mtu",
 *				"metrics", "vnet_hdr", "shadow"} or
 *				{"allowed": false, "code", "rule", "text"}
 *
 * A request stands for the last policy.  User u7 is uid 7, group g7 gid 7.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../policy/policy.h"

#define FILE_NAME	"p.conf"
#define GROUPS_MAX	64

static void broken(const char *what)
{
	fprintf(stderr, "judge: %s\n", what);
	exit(2);
}

static int resolve(void *arg, bool group, const char *name, uint32_t *ret)
{
	char *end;

	(void)arg;
	if (name[0] != (group ? 'g' : 'u') || name[1] < '0' || name[1] > '9')
		return -ENOENT;
	*ret = (uint32_t)strtoul(name + 1, &end, 10);
	return *end ? -ENOENT : 0;
}

static uint32_t number(const json_t *of, const char *key)
{
	const json_t *value = json_object_get(of, key);

	if (!json_is_integer(value))
		broken(key);
	return (uint32_t)json_integer_value(value);
}

static struct prefix prefix(const json_t *of, const char *key)
{
	const json_t *value = json_object_get(of, key);
	struct prefix p = { .family = 0 };
	const char *why;

	if (json_is_string(value) &&
	    prefix_parse(json_string_value(value), &p, &why) < 0)
		broken(why);
	return p;
}

static void read_mac(const json_t *ask, struct wire_open *open)
{
	const char *text = json_string_value(json_object_get(ask, "mac"));

	if (!text)
		return;
	open->flags |= WIRE_OPEN_MAC_SET;
	for (int i = 0; i < 6; i++)
		open->mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
}

static void read_ask(const json_t *ask, struct wire_open *open)
{
	const json_t *value;
	size_t i;

	memset(open, 0, sizeof(*open));
	open->layer = strcmp(json_string_value(json_object_get(ask, "kind")),
			     "tun") == 0 ? WIRE_TUN : WIRE_TAP;
	snprintf(open->name, sizeof(open->name), "%s",
		 json_string_value(json_object_get(ask, "name")));
	open->mtu = number(ask, "mtu");
	open->txqueuelen = number(ask, "txqueuelen");
	open->queues = (uint16_t)number(ask, "queues");
	open->vnet_hdr = (uint8_t)number(ask, "vnet_hdr");
	read_mac(ask, open);
	/* More than there is room for is for the evaluator to refuse. */
	json_array_foreach(json_object_get(ask, "addresses"), i, value) {
		struct wire_address *a = &open->addresses[i];

		if (open->n_addresses++ >= WIRE_ADDRESSES_MAX)
			continue;
		a->local = prefix(value, "local");
		a->peer = prefix(value, "peer");
	}
	json_array_foreach(json_object_get(ask, "routes"), i, value) {
		struct wire_route *r = &open->routes[i];

		if (open->n_routes++ >= WIRE_ROUTES_MAX)
			continue;
		r->dst = prefix(value, "dst");
		r->gateway = prefix(value, "gateway");
		r->metric = number(value, "metric");
	}
}

static bool name_taken(void *arg, const char *name)
{
	const json_t *value;
	size_t i;

	json_array_foreach((json_t *)arg, i, value)
		if (strcmp(json_string_value(value), name) == 0)
			return true;
	return false;
}

static const char *code_text(enum wire_error code)
{
	switch (code) {
	case WIRE_E_INVALID:
		return "invalid";
	case WIRE_E_POLICY:
		return "policy";
	case WIRE_E_QUOTA:
		return "quota";
	case WIRE_E_EXISTS:
		return "exists";
	default:
		return "?";
	}
}

static json_t *judge(const struct policy *policy, const json_t *in)
{
	static struct wire_open ask, out;
	static gid_t groups[GROUPS_MAX];
	struct peer peer = { .uid = number(in, "uid"), .gid = number(in, "gid"),
			     .groups = groups };
	struct policy_usage usage = {
		.devices = number(in, "devices"),
		.all_devices = number(in, "all"), .name_taken = name_taken,
		.arg = json_object_get(in, "taken")
	};
	struct policy_decision decision = { .code = 0 };
	const json_t *value;
	json_t *metrics;
	size_t i;

	json_array_foreach(json_object_get(in, "groups"), i, value) {
		if (i == GROUPS_MAX)
			broken("groups");
		groups[peer.n_groups++] = (gid_t)json_integer_value(value);
	}
	read_ask(json_object_get(in, "ask"), &ask);
	/* No message carries such a name. */
	value = json_object_get(json_object_get(in, "ask"), "name");
	if (json_string_length(value) > WIRE_NAME_MAX)
		return json_pack("{s:b, s:s, s:s}", "allowed", 0, "code",
				 "invalid", "rule", "");
	if (policy_decide(policy, &peer, &ask, &usage, &out, &decision))
		return json_pack("{s:b, s:s, s:s, s:s}", "allowed", 0,
				 "code", code_text(decision.code),
				 "rule", decision.rule,
				 "text", decision.text);
	metrics = json_array();
	for (i = 0; i < out.n_routes; i++)
		json_array_append_new(metrics,
				      json_integer(out.routes[i].metric));
	return json_pack("{s:b, s:s, s:s, s:I, s:o, s:b, s:b}", "allowed", 1,
			 "rule", decision.rule, "name", out.name,
			 "mtu", (json_int_t)out.mtu, "metrics", metrics,
			 "vnet_hdr", out.vnet_hdr == WIRE_VNET_YES,
			 "shadow", (int)decision.terms.shadow);
}

/* "p.conf:7: ..." */
static json_t *fault(const char *text)
{
	return json_pack("{s:s, s:I, s:s}", "policy", "fault",
			 "line", (json_int_t)strtoul(text + strlen(FILE_NAME) +
						     1, NULL, 10),
			 "text", text);
}

static json_t *load(struct policy **policy, const json_t *value)
{
	const char *text = json_string_value(value);
	struct policy_fault why;

	policy_free(*policy);
	*policy = NULL;
	if (policy_parse(FILE_NAME, text, json_string_length(value), resolve,
			 NULL, policy, &why))
		return fault(why.text);
	return json_pack("{s:s, s:I}", "policy", "ok",
			 "rules", (json_int_t)policy_n_rules(*policy));
}

static json_t *answer(struct policy **policy, const json_t *in)
{
	const json_t *text = json_object_get(in, "policy");

	if (!text && !*policy)
		broken("a request without a policy");
	return text ? load(policy, text) : judge(*policy, in);
}

int main(void)
{
	struct policy *policy = NULL;
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		json_error_t error;
		json_t *in = json_loads(line, JSON_ALLOW_NUL, &error), *out;

		if (!in)
			broken(error.text);
		out = answer(&policy, in);
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(out);
		json_decref(in);
	}
	policy_free(policy);
	free(line);
	return 0;
}
