/* A policy told to people: its sections, and what in them is hardly meant. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "rules.h"

struct policy_description policy_describe(const struct policy *policy,
					  size_t rule)
{
	const struct rule *r = &policy->rules[rule];

	return (struct policy_description){ r->name, r->file, r->line };
}

bool policy_is_about(const struct policy *policy, size_t rule,
		     const struct peer *peer)
{
	return rule_about(&policy->rules[rule], peer);
}

size_t policy_n_rules_about(const struct policy *policy,
			    const struct peer *peer)
{
	size_t n = 0;

	for (size_t i = 0; i < policy->n_rules; i++)
		n += !peer || policy_is_about(policy, i, peer);
	return n;
}

void policy_write_rule(const struct policy *policy, size_t rule,
		       const struct peer *peer, FILE *out)
{
	rule_write(&policy->rules[rule], peer, out);
}

void policy_write_global(const struct policy *policy, FILE *out)
{
	global_write(&policy->global, out);
}

/* --- warnings ----------------------------------------------------------- */

struct warning {
	void (*warn)(void *arg, const char *text);
	void *arg;
	const struct rule *rule;
};

__attribute__((format(printf, 3, 4)))
static void warn(const struct warning *w, enum rule_key key,
		 const char *fmt, ...)
{
	struct policy_fault text;
	char why[WIRE_TEXT_MAX + 1];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	conf_fault(&text, w->rule->file, w->rule->key_line[key],
		   rule_key_name(key), "%s", why);
	w->warn(w->arg, text.text);
}

static bool never_taken(void *unused, const char *name)
{
	(void)unused;
	(void)name;
	return false;
}

static bool gives_name(const char *pattern, uid_t uid)
{
	const struct others none = OTHERS_NONE;
	char name[WIRE_NAME_MAX + 1];

	return pattern_choose(pattern, uid, &none, never_taken, NULL,
			      name) == 0;
}

/* The uid with the most digits that the rule may be about. */
static uid_t longest_uid(const struct rule *rule)
{
	uid_t longest = 0;

	if (rule->users.any || rule->groups.n > 0)
		return UINT32_MAX - 1;
	for (size_t i = 0; i < rule->users.n; i++)
		if (rule->users.id[i] > longest)
			longest = rule->users.id[i];
	return longest;
}

static void warn_pattern(const struct warning *w, const char *pattern)
{
	uid_t uid = longest_uid(w->rule);

	if (strchr("*?[", *pattern))
		warn(w, KEY_NAME, "`%s` has no letters to begin with, so that "
		     "devices may be called as others that firewall rules "
		     "know by name (docker0, wg0); write one like tt%s",
		     pattern, pattern);
	if (!gives_name(pattern, uid))
		warn(w, KEY_NAME, "`%s` makes no name of at most 15 bytes for "
		     "uid %u, and so none for users like that; shorten it",
		     pattern, (unsigned)uid);
}

static void warn_rule(const struct warning *w)
{
	if (w->rule->allow && !w->rule->guard)
		warn(w, KEY_SOURCE_GUARD, "whoever has such a device can send "
		     "into this host with any source address; write `required`"
		     ", and prefixes as `source` if it keeps out too much");
	for (size_t i = 0; w->rule->allow && i < w->rule->names.n; i++)
		warn_pattern(w, w->rule->names.text[i]);
}

void policy_warn(const struct policy *policy,
		 void (*warn_with)(void *arg, const char *text), void *arg)
{
	struct warning w = { warn_with, arg, NULL };

	for (size_t i = 0; i < policy->n_rules; i++) {
		w.rule = &policy->rules[i];
		warn_rule(&w);
	}
}
