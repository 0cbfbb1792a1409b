#include "explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "limits.h"
#include "mirror.h"
#include "refuse.h"

int explain_open(struct server *server, const struct peer *peer,
		 const struct wire_open *ask, const struct policy_trace *trace,
		 struct wire_open *ret_open,
		 struct policy_decision *ret_decision,
		 struct wire_refused *why)
{
	static const struct routes none;
	struct policy_usage usage = { .name_taken = mirror_name_taken };
	const struct host_asker by = { .registry = &server->registry,
				       .uid = peer->uid };
	const bool if_can = ask->vnet_hdr == WIRE_VNET_IF_ALLOWED;
	int error = mirror_update();

	if (error)
		return refuse(why, WIRE_E_FAILED, "create", "cannot see what "
			      "the host has: %s", strerror(-error));
	usage.kept = registry_copies(&server->registry, peer->uid);
	usage.devices = registry_devices(&server->registry, peer->uid) +
			usage.kept;
	usage.all_kept = server->registry.n_copies;
	usage.all_devices = server->registry.n_devices + usage.all_kept;
	error = policy_explain(server->policy, peer, ask, &usage, trace,
			       ret_open, ret_decision);
	if (error) {
		refuse(why, ret_decision->code, ret_decision->step, "%s",
		       ret_decision->text);
		memcpy(why->rule, ret_decision->rule, sizeof(why->rule));
		return error;
	}
	if (if_can && !os_has_offload())
		ret_open->vnet_hdr = WIRE_VNET_NO;
	return host_check(ret_open, NULL, &none, &by,
			  ret_decision->terms.metric, &ret_decision->terms,
			  why);
}

/* --- one request -------------------------------------------------------- */

/* Which of the rules that were tried the one who asks may know of. */
struct tracing {
	const struct peer *peer;	/* whom it is about */
	bool all;
	struct wire_verdict *v;
};

static void tried(void *arg, const struct policy *policy, size_t rule,
		  enum policy_match how)
{
	const struct tracing *t = arg;

	if (t->all || how != POLICY_OTHER_USER)
		policy_tell_tried(t->v, policy, rule, how);
}

static void device_of(const struct wire_check *check, struct wire_open *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->layer = check->layer;
	ret->vnet_hdr = check->vnet_hdr;
	ret->flags = check->flags;
	memcpy(ret->name, check->name, sizeof(ret->name));
	memcpy(ret->mac, check->mac, sizeof(ret->mac));
	ret->mtu = check->mtu;
	ret->txqueuelen = check->txqueuelen;
	ret->queues = check->queues;
	ret->n_addresses = check->n_addresses;
	memcpy(ret->addresses, check->addresses, sizeof(ret->addresses));
	ret->n_routes = check->n_routes;
	memcpy(ret->routes, check->routes, sizeof(ret->routes));
}

/* Whom the question is about: the caller himself, or whom root names. */
static int subject(const struct conn *c, const struct wire_check *check,
		   gid_t groups[WIRE_GROUPS_MAX], struct peer *ret,
		   struct wire_refused *why)
{
	*ret = c->peer;
	if (check->uid == WIRE_UID_CALLER ||
	    (check->uid == c->peer.uid && !c->peer.admin))
		return 0;
	if (!c->peer.admin)
		return refuse(why, WIRE_E_NOT_PERMITTED, "request", "on the "
			      "public socket one may ask about oneself only; "
			      "root may ask about others on the admin socket");
	for (size_t i = 0; i < check->n_groups; i++)
		groups[i] = check->groups[i].gid;
	*ret = (struct peer){ .uid = check->uid, .gid = check->gid,
			      .groups = groups, .n_groups = check->n_groups };
	return 0;
}

void explain_check(struct conn *c, const struct wire_check *check)
{
	static struct wire_message answer;	/* large */
	static struct wire_open open;
	static gid_t groups[WIRE_GROUPS_MAX];
	struct wire_verdict *v = &answer.verdict;
	struct peer peer;
	struct tracing tracing = { &peer, c->peer.admin, v };
	struct policy_trace trace = { tried, &tracing };
	struct policy_decision decision = { .code = 0 };
	struct wire_refused why;

	if (subject(c, check, groups, &peer, &why)) {
		conn_refuse(c, &why);
		return;
	}
	memset(&answer, 0, sizeof(answer));
	answer.type = WIRE_VERDICT;
	device_of(check, &open);
	if (explain_open(c->server, &peer, &open, &trace, &open, &decision,
			 &why)) {
		v->code = why.code;
		memcpy(v->step, why.step, sizeof(v->step));
		memcpy(v->text, why.text, sizeof(v->text));
		memcpy(v->rule, why.rule, sizeof(v->rule));
	} else {
		memcpy(v->rule, decision.rule, sizeof(v->rule));
		memcpy(v->name, open.name, sizeof(v->name));
		v->mtu = open.mtu;
		v->metric = decision.terms.metric;
	}
	conn_answer(c, &answer);
}

/* --- the whole policy --------------------------------------------------- */

/* Hands out a text in as many messages as it takes. */
static void tell_text(struct conn *c, const char *text, size_t len)
{
	static struct wire_message m;	/* large */
	size_t n;

	do {
		n = len < WIRE_RULE_TEXT_MAX ? len : WIRE_RULE_TEXT_MAX;
		m.type = WIRE_RULE;
		m.rule.more = n < len;
		memcpy(m.rule.text, text, n);
		m.rule.text[n] = '\0';
		conn_answer(c, &m);
		c->told++;
		text += n;
		len -= n;
	} while (len > 0);
}

/* rule NULL: what is for all users.  False without memory. */
static bool tell_section(struct conn *c, const size_t *rule)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return false;
	if (rule)
		policy_write_rule(c->server->policy, *rule,
				  c->peer.admin ? NULL : &c->peer, out);
	else
		policy_write_global(c->server->policy, out);
	if (fclose(out) == 0)
		tell_text(c, text, len);
	else
		len = 0;
	free(text);
	return len > 0;
}

static void policy_ends(struct conn *c, const struct wire_refused *why)
{
	struct wire_message done = { .type = WIRE_DONE };

	c->more = NULL;
	done.done.count = c->told;
	if (why)
		conn_refuse(c, why);
	else
		conn_answer(c, &done);
}

static void no_memory(struct conn *c)
{
	struct wire_refused why;

	refuse(&why, WIRE_E_NO_MEMORY, "policy", "out of memory");
	policy_ends(c, &why);
}

/* A few rules at a time, as a LIST does it. */
static void tell_rules(struct conn *c)
{
	const struct policy *policy = c->server->policy;
	struct wire_refused why;

	if (c->generation != c->server->generation) {
		refuse(&why, WIRE_E_BUSY, "policy", "the policy became another "
		       "one meanwhile; ask again");
		policy_ends(c, &why);
		return;
	}
	for (int i = 0; i < LIMIT_RULES_A_TURN; c->rule++) {
		size_t rule = c->rule;

		if (rule == policy_n_rules(policy)) {
			policy_ends(c, NULL);
			return;
		}
		if (!c->peer.admin && !policy_is_about(policy, rule, &c->peer))
			continue;
		if (!tell_section(c, &rule)) {
			no_memory(c);
			return;
		}
		i++;
	}
}

void explain_policy(struct conn *c)
{
	c->told = c->rule = 0;
	c->generation = c->server->generation;
	c->more = tell_rules;
	if (tell_section(c, NULL))
		tell_rules(c);
	else
		no_memory(c);
}
