/* A policy from its files: sections become rules, in the order they stand. */
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

/* Of the distribution, of who built it here, until the next boot, of root. */
const char *const policy_folders[POLICY_FOLDERS] = {
	"/usr/lib/tuntapd/policy.d",
	"/usr/local/lib/tuntapd/policy.d",
	"/run/tuntapd/policy.d",
	"/etc/tuntapd/policy.d",
};

static int no_memory(struct policy_fault *fault, const char *file)
{
	conf_fault(fault, file, 0, NULL, "out of memory");
	return -ENOMEM;
}

/* A fault of the open rule's header. */
#define RULE_FAULT(rd, ...) \
	conf_fault((rd)->fault, (rd)->rule->file, (rd)->rule->line, NULL, \
		   __VA_ARGS__)

/* An absent key of an allow rule that would otherwise never match. */
static int missing(struct reading *rd, const char *what, const char *example)
{
	return RULE_FAULT(rd, "rule %s has no %s and would never match; add "
			  "a line like `%s`", rd->rule->name, what, example);
}

/* Is everything there that lets the open rule match at all? */
static int check_rule(struct reading *rd)
{
	const struct rule *rule = rd->rule;

	if (!rule->key_line[KEY_ACTION])
		return missing(rd, "action", "action = allow");
	if (!rule->key_line[KEY_USER] && !rule->key_line[KEY_GROUP])
		return missing(rd, "user or group", "user = any");
	if (!rule->allow)
		return 0;
	if (!rule->key_line[KEY_KIND])
		return missing(rd, "kind", "kind = tun");
	if (!rule->key_line[KEY_NAME])
		return missing(rd, "name", "name = tt%u-*");
	return 0;
}

/* The section that is open, if any, is whole now. */
static int close_rule(struct reading *rd)
{
	int r = rd->rule ? check_rule(rd) : 0;

	rd->rule = NULL;
	return r;
}

static const struct rule *find_rule(const struct policy *policy,
				    const char *name)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rules[i].name, name) == 0)
			return &policy->rules[i];
	return NULL;
}

/* "rule NAME" -> NAME, or NULL with the fault filled. */
static const char *section_name(struct reading *rd)
{
	const struct conf_item *item = rd->item;
	const char *name = item->section;
	size_t n;

	if (strncmp(name, "rule", 4) != 0 ||
	    (name[4] && name[4] != ' ' && name[4] != '\t')) {
		conf_fault(rd->fault, item->file, item->line, NULL,
			   "section [%.40s] is not known; write [rule NAME] "
			   "or [global]", name);
		return NULL;
	}
	name += 4 + strspn(name + 4, " \t");
	n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-_.");
	if (n == 0 || name[n] || n > POLICY_RULE_NAME_MAX) {
		conf_fault(rd->fault, item->file, item->line, NULL,
			   "a rule's name is 1 to %d letters, digits, -, _ "
			   "and .; write [rule NAME]", POLICY_RULE_NAME_MAX);
		return NULL;
	}
	return name;
}

static const char *newest_file(const struct policy *policy)
{
	return policy->files[policy->n_files - 1];
}

static int open_global(struct reading *rd)
{
	const struct conf_item *item = rd->item;
	struct global *global = &rd->policy->global;

	if (global->line)
		return conf_fault(rd->fault, item->file, item->line, NULL,
			"there is a [global] already, in %s:%u; join the two",
			global->file, global->line);
	global->file = newest_file(rd->policy);
	global->line = item->line;
	return 0;
}

static int open_rule(struct reading *rd)
{
	struct policy *policy = rd->policy;
	const struct conf_item *item = rd->item;
	const char *name = section_name(rd);
	const struct rule *other;
	struct rule *more, *rule;

	if (!name)
		return -EINVAL;
	other = find_rule(policy, name);
	if (other)
		return conf_fault(rd->fault, item->file, item->line, NULL,
			"there is a rule %s already, in %s:%u; give this one "
			"another name", name, other->file, other->line);
	if (policy->n_rules == POLICY_RULES_MAX)
		return conf_fault(rd->fault, item->file, item->line, NULL,
			"more than %d rules; join some", POLICY_RULES_MAX);
	more = realloc(policy->rules, (policy->n_rules + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd->fault, item->file);
	policy->rules = more;
	rule = rd->rule = &policy->rules[policy->n_rules++];
	*rule = (struct rule){ .line = item->line };
	rule->file = newest_file(policy);
	memcpy(rule->name, name, strlen(name) + 1);
	rule_defaults(rule);
	return 0;
}

static int read_item(void *arg, const struct conf_item *item,
		     struct policy_fault *fault)
{
	struct reading *rd = arg;
	int r;

	rd->item = item;
	rd->fault = fault;
	if (item->key)
		return section_read_key(rd);
	r = close_rule(rd);
	if (r)
		return r;
	return strcmp(item->section, "global") == 0 ? open_global(rd)
						     : open_rule(rd);
}

static int add_label(struct policy *policy, const char *file)
{
	char label[POLICY_LABEL_MAX + 1], **more;

	conf_label(label, file);
	more = realloc(policy->files, (policy->n_files + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	policy->files = more;
	more[policy->n_files] = strdup(label);
	if (!more[policy->n_files])
		return -ENOMEM;
	policy->n_files++;
	return 0;
}

static int read_text(void *arg, const char *file, const char *text, size_t len,
		     struct policy_fault *fault)
{
	struct reading *rd = arg;
	int r;

	rd->rule = NULL;
	rd->fault = fault;
	if (add_label(rd->policy, file) < 0)
		return no_memory(fault, file);
	r = conf_parse(file, text, len, read_item, rd, fault);
	return r ? r : close_rule(rd);
}

/* What goes on from an empty policy; -ENOMEM if there is none. */
static int begin(struct reading *rd, policy_resolve *resolve, void *arg,
		 struct policy_fault *fault)
{
	*rd = (struct reading){ .resolve = resolve, .arg = arg };
	rd->policy = calloc(1, sizeof(*rd->policy));
	if (!rd->policy)
		return no_memory(fault, "policy");
	global_defaults(&rd->policy->global);
	return 0;
}

/* The new policy goes to *ret if r is 0; else it is freed. */
static int finish(int r, struct policy *policy, struct policy **ret)
{
	if (r)
		policy_free(policy);
	else
		*ret = policy;
	return r;
}

/* Remembers what is no fault and hardly meant. */
static int note(struct policy *policy, const char *const *folders, size_t n,
		const struct conf_found *found)
{
	size_t len = 0;
	FILE *out;

	policy->not_roots = found->not_roots;
	if (found->n_files > 0)
		return 0;
	out = open_memstream(&policy->nothing, &len);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s%s", i ? ", " : "", folders[i],
			found->there & 1u << i ? "" : " (does not exist)");
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

int policy_load(const char *const *folders, size_t n, unsigned *there,
		policy_resolve *resolve, void *arg, struct policy **ret,
		struct policy_fault *ret_fault)
{
	struct conf_found found = { .there = *there };
	struct reading rd;
	struct policy_fault fault;
	struct policy_fault *f = ret_fault ? ret_fault : &fault;
	int r = begin(&rd, resolve, arg, f);

	if (r == 0)
		r = conf_folders(folders, n, read_text, &rd, &found, f);
	if (r == 0 && note(rd.policy, folders, n, &found) < 0)
		r = no_memory(f, "policy");
	if (r == 0)
		*there = found.there;
	return finish(r, rd.policy, ret);
}

int policy_parse(const char *file, const char *text, size_t len,
		 policy_resolve *resolve, void *arg, struct policy **ret,
		 struct policy_fault *ret_fault)
{
	struct reading rd;
	struct policy_fault fault;
	struct policy_fault *f = ret_fault ? ret_fault : &fault;
	int r = begin(&rd, resolve, arg, f);

	if (r == 0)
		r = read_text(&rd, file, text, len, f);
	return finish(r, rd.policy, ret);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n_rules; i++)
		rule_free_lists(&policy->rules[i]);
	for (size_t i = 0; i < policy->n_files; i++)
		free(policy->files[i]);
	free(policy->rules);
	free(policy->files);
	free(policy->nothing);
	free(policy);
}

size_t policy_n_rules(const struct policy *policy)
{
	return policy->n_rules;
}
