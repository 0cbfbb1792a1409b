/* What a policy is made of.  For the files of this room only. */
#ifndef TUNTAPD_POLICY_RULES_H
#define TUNTAPD_POLICY_RULES_H

#include "bounds.h"
#include "conf.h"
#include "policy.h"

/* The keys that a section may have; keys.c says what each is. */
enum rule_key {
	KEY_ACTION, KEY_USER, KEY_GROUP, KEY_KIND, KEY_NAME, KEY_ADDRESS,
	KEY_SOURCE, KEY_ROUTE, KEY_DEFAULT_ROUTE, KEY_SHADOW, KEY_METRIC,
	KEY_MTU, KEY_MAX_DEVICES, KEY_MAX_QUEUES, KEY_MAX_ADDRESSES,
	KEY_MAX_ROUTES, KEY_MAC, KEY_DHCP, KEY_OFFLOAD, KEY_SOURCE_GUARD,
	KEY_ON_TAMPER, N_RULE_KEYS
};
enum global_key { GLOBAL_MAX_DEVICES, N_GLOBAL_KEYS };

struct ids {
	uint32_t *id;
	size_t n;
	bool any;			/* everybody; then there are none */
};

struct kinds {
	bool tun, tap;
};

struct prefixes {
	struct prefix *prefix;
	size_t n;
	bool automatic;			/* of source: found out by itself */
};

struct patterns {
	char **text;
	size_t n;
};

struct range {
	uint32_t min, max;
};

/* One section.  Lists are owned. */
struct rule {
	const char *file;		/* the policy's */
	unsigned line;			/* of the header */
	unsigned key_line[N_RULE_KEYS];	/* 0: the key is absent */
	char name[POLICY_RULE_NAME_MAX + 1];
	bool allow;
	bool offload, default_route, shadow, mac_chosen;
	bool dhcp, guard, tamper_revokes;
	struct kinds kinds;
	struct ids users, groups;
	struct patterns names;
	struct prefixes addresses, routes, sources;
	struct range metric, mtu;
	uint32_t max_devices, max_queues, max_addresses, max_routes;
};

/* What all users share: the section [global]. */
struct global {
	const char *file;		/* the policy's */
	unsigned line;			/* of the header; 0: there is none */
	unsigned key_line[N_GLOBAL_KEYS];
	uint32_t max_devices;
};

struct policy {
	struct rule *rules;
	size_t n_rules;
	struct global global;
	char **files;			/* labels that sections point to */
	size_t n_files;
	char *nothing;			/* no file was found: where; or NULL */
	bool not_roots;			/* a file or folder is not root's */
};

/* Where a policy under way is, for the readers of values. */
struct reading {
	struct policy *policy;
	struct rule *rule;		/* the open section; NULL: [global] */
	void *into;			/* what its values go to */
	size_t entry;			/* of a list: how many before it */
	const struct conf_item *item;
	policy_resolve *resolve;
	void *arg;
	struct policy_fault *fault;
};

/* Everything that a decision looks at. */
struct question {
	const struct policy *policy;
	const struct peer *peer;
	const struct wire_open *ask;
	const struct policy_usage *usage;
	const struct rule *rule;	/* that matched */
	struct policy_decision *ret;
};

/* keys.c: reads the item's value into the open section; 0 or -errno. */
int section_read_key(struct reading *rd);
/* Set what absent keys mean. */
void rule_defaults(struct rule *rule);
void global_defaults(struct global *global);
void rule_free_lists(struct rule *rule);
const char *rule_key_name(enum rule_key key);
/* As they would stand in a file, and what absent keys mean; see policy.h. */
void rule_write(const struct rule *rule, const struct peer *peer, FILE *out);
void global_write(const struct global *global, FILE *out);

/* values.c: "1000-", "68-1500" */
#define RANGE_TEXT_MAX	32
const char *range_text(const struct range *range, char buf[RANGE_TEXT_MAX]);

/* decide.c: his uid, or one of his gids? */
bool peer_has(const struct peer *peer, bool group, uint32_t id);
/* Is it about this user at all? */
bool rule_about(const struct rule *rule, const struct peer *peer);

/* request.c: what is refused whatever the policy says. */
int request_check(const struct wire_open *ask, const struct policy_usage *usage,
		  struct policy_decision *ret);
/* The part that is asked again once every metric is settled. */
int request_check_routes(const struct wire_open *ask,
			 struct policy_decision *ret);
/* The least MTU that the addresses and routes allow, those it has too. */
uint32_t request_mtu_min(const struct wire_open *ask,
			 const struct policy_usage *usage);

/* Fills a refusal that no rule is named in; returns its -errno. */
int policy_refuse(struct policy_decision *ret, enum wire_error code,
		  const char *step, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* So short that it leads most of the world in. */
bool request_is_default(const struct prefix *p);

/*
 * cover.c: do the routes and the on-link prefixes of addresses together make
 * what one of them alone may not be?  1: yes, and *ret is a prefix that they
 * cover; 0: no; -ENOMEM.
 */
int cover_default(const struct wire_open *ask,
		  const struct policy_usage *usage, struct prefix *ret);

/* limits.c: all limits of the question's rule. */
int rule_limits(const struct question *q);
/* A refusal by the rule, because of the key (its line, if it is there). */
int rule_refuse(const struct question *q, enum wire_error code,
		const char *step, enum rule_key key, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Lists in refusals: what does not fit is counted. */
#define LIST_TEXT_MAX	160

#endif
