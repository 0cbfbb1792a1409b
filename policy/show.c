/* A policy told to people: its sections, and what in them is hardly meant. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "rules.h"

/* What people see at a glance: so much is compared for a warning. */
#define OBVIOUS_MAX	256

struct policy_description policy_describe(const struct policy *policy,
					  size_t rule)
{
	const struct rule *r = &policy->rules[rule];

	return (struct policy_description){ r->name, r->file, r->line };
}

void policy_tell_tried(struct wire_verdict *v, const struct policy *policy,
		       size_t rule, enum policy_match how)
{
	const struct rule *r = &policy->rules[rule];
	struct wire_tried *w;

	if (v->n_tried == WIRE_TRIED_MAX) {
		v->more++;
		if (how != POLICY_DECIDES)
			return;
		v->n_tried--;
	}
	w = &v->tried[v->n_tried++];
	memset(w, 0, sizeof(*w));
	snprintf(w->rule, sizeof(w->rule), "%s:%u", r->file, r->line);
	snprintf(w->name, sizeof(w->name), "%s", r->name);
	w->match = (uint8_t)how;
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

/* Of each kind the first; a list has 256. */
static void warn_patterns(const struct warning *w)
{
	const struct patterns *names = &w->rule->names;
	uid_t uid = longest_uid(w->rule);
	const char *bare = NULL, *nameless = NULL, *runs_on = NULL;

	for (size_t i = 0; i < names->n; i++) {
		const char *text = names->text[i], *at = strstr(text, "%u");

		if (!bare && strchr("*?[", *text))
			bare = text;
		if (!nameless && !gives_name(text, uid))
			nameless = text;
		for (; at && !runs_on; at = strstr(at + 2, "%u"))
			if (at[2] && strchr("*?[0123456789%", at[2]))
				runs_on = text;
	}
	if (bare)
		warn(w, KEY_NAME, "`%s` has no letters to begin with, so that "
		     "devices may be called as others that firewall rules "
		     "know by name (docker0, wg0); write one like tt%s", bare,
		     bare);
	if (nameless)
		warn(w, KEY_NAME, "`%s` makes no name of at most 15 bytes for "
		     "uid %u, and so none for users like that; shorten it",
		     nameless, (unsigned)uid);
	if (runs_on)
		warn(w, KEY_NAME, "in `%s` digits may follow the uid, so that "
		     "names of uid 1 may be those of uid 10; write something "
		     "between, like %%u-*", runs_on);
}

/* Of keys that a rule that denies does not look at, the first. */
static void warn_idle_limits(const struct warning *w)
{
	for (enum rule_key key = KEY_ADDRESS; key < N_RULE_KEYS; key++)
		if (w->rule->key_line[key]) {
			warn(w, key, "a rule that denies has no limits, and "
			     "this says nothing; remove it, or write `action ="
			     " allow`");
			return;
		}
}

/* `default-route = yes` allows only what `route` does. */
static void warn_default_route(const struct warning *w)
{
	const struct prefixes *routes = &w->rule->routes;

	if (!w->rule->default_route)
		return;
	for (size_t i = 0; i < routes->n; i++)
		if (request_is_default(&routes->prefix[i]))
			return;
	warn(w, KEY_DEFAULT_ROUTE, "no prefix of `route` is so short that it "
	     "would matter; add 0.0.0.0/0 and ::/0 to it, or remove this");
}

/* Is what one list names in the other? */
static bool has_all(const struct ids *wide, const struct ids *narrow)
{
	/* Long ones are not compared: this is about what one sees. */
	if (wide->n * narrow->n > OBVIOUS_MAX)
		return false;
	for (size_t i = 0; i < narrow->n; i++) {
		size_t j = 0;

		while (j < wide->n && wide->id[j] != narrow->id[i])
			j++;
		if (j == wide->n)
			return false;
	}
	return true;
}

static bool is_about_all_names(const struct rule *rule)
{
	for (size_t i = 0; i < rule->names.n; i++)
		if (strcmp(rule->names.text[i], "*") == 0)
			return true;
	return !rule->key_line[KEY_NAME];
}

/* Whatever `late` is about, `early` decides. */
static bool hides(const struct rule *early, const struct rule *late)
{
	bool all_kinds = !early->key_line[KEY_KIND] ||
			 (early->kinds.tun && early->kinds.tap);

	if (!all_kinds && (!late->key_line[KEY_KIND] ||
			   (late->kinds.tun && !early->kinds.tun) ||
			   (late->kinds.tap && !early->kinds.tap)))
		return false;
	if (early->users.any)
		return true;
	return !late->users.any && has_all(&early->users, &late->users) &&
	       has_all(&early->groups, &late->groups);
}

static void warn_hidden(const struct warning *w, const struct policy *policy)
{
	struct policy_fault text;
	unsigned looked = 0;

	for (const struct rule *early = policy->rules;
	     early < w->rule && looked < OBVIOUS_MAX; early++) {
		if (!is_about_all_names(early))
			continue;
		looked++;
		if (!hides(early, w->rule))
			continue;
		conf_fault(&text, w->rule->file, w->rule->line, NULL,
			   "rule %s decides about nothing: rule %s (%s:%u) is "
			   "about the same users and more, and all names; put "
			   "that one behind it, or remove this one",
			   w->rule->name, early->name, early->file,
			   early->line);
		w->warn(w->arg, text.text);
		return;
	}
}

static void warn_rule(const struct warning *w, const struct policy *policy)
{
	warn_hidden(w, policy);
	if (!w->rule->allow) {
		warn_idle_limits(w);
		return;
	}
	warn_patterns(w);
	warn_default_route(w);
	if (!w->rule->guard)
		warn(w, KEY_SOURCE_GUARD, "whoever has such a device can send "
		     "into this host with any source address; write `required`"
		     ", and prefixes as `source` if it keeps out too much");
}

/* Of the files themselves. */
static void warn_files(const struct warning *w, const struct policy *policy)
{
	char text[WIRE_TEXT_MAX + 1];

	if (policy->nothing) {
		snprintf(text, sizeof(text), "no policy file, and so no device "
			 "for anybody: there is no *.conf in %s",
			 policy->nothing);
		w->warn(w->arg, text);
	}
	if (policy->not_roots) {
		snprintf(text, sizeof(text), "a policy file or folder belongs "
			 "to uid %u, who runs this, and not to root; a daemon "
			 "of another user's refuses it", (unsigned)geteuid());
		w->warn(w->arg, text);
	}
}

void policy_warn(const struct policy *policy,
		 void (*warn_with)(void *arg, const char *text), void *arg)
{
	struct warning w = { warn_with, arg, NULL };

	warn_files(&w, policy);
	for (size_t i = 0; i < policy->n_rules; i++) {
		w.rule = &policy->rules[i];
		warn_rule(&w, policy);
	}
}
