/*
 * A decision: the first rule that is about this user, kind and name, and then
 * all of its limits.  Nothing is merged from a second rule, so that one line
 * of one file answers for each refusal.
 */
#include "policy.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "rules.h"

bool peer_has(const struct peer *peer, bool group, uint32_t id)
{
	if (!group || id == peer->gid)
		return id == (group ? peer->gid : peer->uid);
	for (size_t i = 0; i < peer->n_groups; i++)
		if (id == peer->groups[i])
			return true;
	return false;
}

static bool has_any(const struct peer *peer, bool group, const struct ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		if (peer_has(peer, group, ids->id[i]))
			return true;
	return false;
}

bool rule_about(const struct rule *rule, const struct peer *peer)
{
	return rule->users.any || has_any(peer, false, &rule->users) ||
	       has_any(peer, true, &rule->groups);
}

/* Only deny rules lack the key. */
static bool covers_kind(const struct rule *rule, uint8_t layer)
{
	return !rule->key_line[KEY_KIND] ||
	       (layer == WIRE_TUN ? rule->kinds.tun : rule->kinds.tap);
}

/*
 * No name asked for: every rule that allows names has one to give.  A deny
 * rule with names is about those alone, and is heard again when the name is
 * chosen.
 */
static bool covers_name(const struct rule *rule, uid_t uid, const char *name)
{
	if (!rule->key_line[KEY_NAME])
		return true;
	if (!*name)
		return rule->allow;
	for (size_t i = 0; i < rule->names.n; i++)
		if (pattern_matches(rule->names.text[i], uid, name))
			return true;
	return false;
}

/* Why the rule is not the one that decides; POLICY_DECIDES if it is. */
static enum policy_match match(const struct question *q,
			       const struct rule *rule, const char *name)
{
	if (!rule_about(rule, q->peer))
		return POLICY_OTHER_USER;
	if (!covers_kind(rule, q->ask->layer))
		return POLICY_OTHER_KIND;
	if (!covers_name(rule, q->peer->uid, name))
		return POLICY_OTHER_NAME;
	return POLICY_DECIDES;
}

static const struct rule *find(const struct question *q, const char *name,
			       const struct policy_trace *trace)
{
	for (size_t i = 0; i < q->policy->n_rules; i++) {
		const struct rule *rule = &q->policy->rules[i];
		enum policy_match how = match(q, rule, name);

		if (trace)
			trace->tried(trace->arg, q->policy, i, how);
		if (how == POLICY_DECIDES)
			return rule;
	}
	return NULL;
}

static const char *kind(const struct question *q)
{
	return q->ask->layer == WIRE_TUN ? "tun" : "tap";
}

static int no_rule(const struct question *q)
{
	bool named = *q->ask->name;

	return policy_refuse(q->ret, WIRE_E_POLICY, "policy",
		"no rule lets uid %u have a %s%s%s; an "
		"administrator can allow it with a rule of `action = allow`, "
		"`user = %u`, `kind = %s` and `name = %s`",
		(unsigned)q->peer->uid, kind(q),
		named ? " named " : "", q->ask->name, (unsigned)q->peer->uid,
		kind(q), named ? q->ask->name : "tt%u-*");
}

static int denied(const struct question *q)
{
	bool named = *q->ask->name;

	return rule_refuse(q, WIRE_E_POLICY, "policy", KEY_ACTION,
			   "rule %s denies uid %u a %s%s%s", q->rule->name,
			   (unsigned)q->peer->uid, kind(q),
			   named ? " named " : "", q->ask->name);
}

static const char *patterns_text(const struct patterns *list,
				 char buf[LIST_TEXT_MAX])
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < list->n; i++) {
		if (n + POLICY_PATTERN_MAX + 32 > LIST_TEXT_MAX) {
			snprintf(buf + n, LIST_TEXT_MAX - n, " and %zu more",
				 list->n - i);
			break;
		}
		n += (size_t)snprintf(buf + n, LIST_TEXT_MAX - n, "%s%s",
				      i ? ", " : "", list->text[i]);
	}
	return buf;
}

static bool is_taken(const struct question *q, const char *name)
{
	return q->usage->name_taken &&
	       q->usage->name_taken(q->usage->arg, name);
}

static bool is_taken_now(void *arg, const char *name)
{
	return is_taken(arg, name);
}

/*
 * The first free name of the rule's first pattern.  Had it been asked for, the
 * same rule would have decided: what names of rules before are, is theirs.
 */
static int choose_name(const struct question *q, char ret[WIRE_NAME_MAX + 1])
{
	const char *pattern = q->rule->names.text[0];
	struct others others = OTHERS_NONE;
	int r = 0;

	for (const struct rule *rule = q->policy->rules; rule < q->rule;
	     rule++) {
		if (!rule_about(rule, q->peer) ||
		    !covers_kind(rule, q->ask->layer))
			continue;
		for (size_t i = 0; i < rule->names.n && r == 0; i++)
			r = others_add(&others, rule->names.text[i],
				       q->peer->uid, pattern);
	}
	if (r == 0)
		r = pattern_choose(pattern, q->peer->uid, &others,
				   is_taken_now, (void *)(uintptr_t)q, ret);
	others_free(&others);
	return r;
}

static int settle_name(struct question *q, struct wire_open *out)
{
	const char *pattern = q->rule->names.text[0];
	char all[LIST_TEXT_MAX];
	int r;

	if (*out->name && is_taken(q, out->name))
		return rule_refuse(q, WIRE_E_EXISTS, "name", KEY_NAME,
			"a device named %s exists; ask for another name that "
			"matches `name = %s` of rule %s, or for none",
			out->name, patterns_text(&q->rule->names, all),
			q->rule->name);
	if (*out->name)
		return 0;
	r = choose_name(q, out->name);
	if (r == -ENOMEM)
		return policy_refuse(q->ret, WIRE_E_NO_MEMORY, "name",
				     "out of memory");
	if (r == -E2BIG)
		return rule_refuse(q, WIRE_E_POLICY, "name", KEY_NAME,
			"rules before rule %s have over %d patterns for names "
			"like `%s`; ask for a name", q->rule->name,
			POLICY_NAME_OTHERS, pattern);
	if (r == -ENOENT)
		return rule_refuse(q, WIRE_E_POLICY, "name", KEY_NAME,
			"`%s` of rule %s gives uid %u no name of at most 15 "
			"bytes; ask for a name, or have a shorter pattern put "
			"first", pattern, q->rule->name,
			(unsigned)q->peer->uid);
	if (r == -EPERM)
		return rule_refuse(q, WIRE_E_POLICY, "name", KEY_NAME,
			"all names that `%s` of rule %s gives uid %u are those "
			"of rules before it, which decide about them; ask for "
			"a name, or have another pattern put first", pattern,
			q->rule->name, (unsigned)q->peer->uid);
	if (r)
		return rule_refuse(q, WIRE_E_EXISTS, "name", KEY_NAME,
			"no name that `%s` of rule %s gives uid %u is free; "
			"close a device, or ask for a name", pattern,
			q->rule->name, (unsigned)q->peer->uid);
	return 0;
}

/* What the client left to us: where the kernel's default would break a rule. */
static void settle_mtu(const struct question *q, struct wire_open *out)
{
	const struct range *mtu = &q->rule->mtu;

	if (out->mtu)
		return;
	if (POLICY_MTU_KERNEL < mtu->min)
		out->mtu = mtu->min;
	else if (POLICY_MTU_KERNEL > mtu->max)
		out->mtu = mtu->max;
}

static int settle(struct question *q, struct wire_open *out)
{
	int r;

	for (size_t i = 0; i < out->n_routes; i++)
		if (out->routes[i].metric == 0)
			out->routes[i].metric = q->rule->metric.min;
	r = request_check_routes(out, q->ret);
	if (r)
		return r;
	settle_mtu(q, out);
	if (out->vnet_hdr == WIRE_VNET_IF_ALLOWED)
		out->vnet_hdr =
			q->rule->offload ? WIRE_VNET_YES : WIRE_VNET_NO;
	return settle_name(q, out);
}

static struct policy_terms terms_of(const struct rule *rule)
{
	unsigned line = rule->key_line[KEY_SHADOW];
	struct policy_terms terms = {
		.metric = rule->metric.min,
		.metric_max = rule->metric.max,
		.shadow = rule->shadow,
		.mac_chosen = rule->mac_chosen,
		.guard = rule->guard,
		.dhcp = rule->dhcp,
		.automatic = rule->sources.automatic,
		.sources = rule->sources.prefix,
		.n_sources = rule->sources.n,
		.tamper_revokes = rule->tamper_revokes,
	};

	if (rule->file)
		snprintf(terms.shadow_rule, sizeof(terms.shadow_rule), "%s:%u",
			 rule->file, line ? line : rule->line);
	return terms;
}

void policy_terms(const struct policy *policy, const struct peer *peer,
		  uint8_t layer, const char *name, struct policy_terms *ret)
{
	struct wire_open ask = { .layer = layer };
	struct question q = { .policy = policy, .peer = peer, .ask = &ask };
	const struct rule *rule = find(&q, name, NULL);
	struct rule none = { .allow = true };

	rule_defaults(&none);
	*ret = terms_of(rule && rule->allow ? rule : &none);
}

int policy_explain(const struct policy *policy, const struct peer *peer,
		   const struct wire_open *ask,
		   const struct policy_usage *usage,
		   const struct policy_trace *trace,
		   struct wire_open *ret_open, struct policy_decision *ret)
{
	struct question q = { policy, peer, ask, usage, NULL, ret };
	struct wire_open out;
	int r = request_check(ask, usage, ret);

	if (r)
		return r;
	q.rule = find(&q, ask->name, trace);
	if (!q.rule)
		return no_rule(&q);
	if (!q.rule->allow)
		return denied(&q);
	r = rule_limits(&q);
	if (r)
		return r;
	out = *ask;
	r = settle(&q, &out);
	if (r)
		return r;
	*ret = (struct policy_decision){ .terms = terms_of(q.rule) };
	snprintf(ret->rule, sizeof(ret->rule), "%s:%u", q.rule->file,
		 q.rule->line);
	*ret_open = out;
	return 0;
}

int policy_decide(const struct policy *policy, const struct peer *peer,
		  const struct wire_open *ask, const struct policy_usage *usage,
		  struct wire_open *ret_open, struct policy_decision *ret)
{
	return policy_explain(policy, peer, ask, usage, NULL, ret_open, ret);
}
