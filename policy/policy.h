/*
 * The policy: who may have which device.  Pure decisions on plain values; the
 * daemon enforces with it and tuntapctl explains with it.
 */
#ifndef TUNTAPD_POLICY_H
#define TUNTAPD_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../proto/wire.h"

/* Who is on the other end of a connection, pinned when it was accepted. */
struct peer {
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* n_groups supplementary ones, owned */
	size_t n_groups;
	pid_t pid;		/* 0 if unknown */
	bool admin;		/* came by the admin socket */
};

/*
 * What the host and the peer's uid have already.  For a later change of a
 * device, which is judged as if it were opened so, the device itself is not
 * among them: it does not count, and its name is not taken.
 */
struct policy_usage {
	unsigned devices;	/* of the peer's uid, over all rules */
	unsigned kept;		/* of them: of what he has closed, but its fd */
	unsigned all_devices;	/* of all users */
	unsigned all_kept;	/* likewise */
	/* Is this interface name in use?  NULL: none is. */
	bool (*name_taken)(void *arg, const char *name);
	void *arg;
	/*
	 * Routes that the device has besides those that are asked about: how
	 * many count, and all their destinations, which are within the rule's.
	 * NULL: few and long ones, that together with those asked about, and
	 * with the networks of addresses, cannot make up a default route.
	 */
	uint32_t routes, n_destinations;
	void (*destinations)(void *routes_arg, struct prefix *ret);
	void *routes_arg;
	bool ipv6;	/* some of them are of IPv6 */
};

/* What holds for a device as long as it is there. */
struct policy_terms {
	uint32_t metric;	/* the rule's lowest: for connected routes */
	uint32_t metric_max;	/* and its highest */
	bool shadow;		/* it may lie in other devices' networks */
	char shadow_rule[WIRE_RULE_MAX + 1];	/* "file:line" that says so */
	bool mac_chosen;
	bool guard;		/* packets that come from it are looked at; */
	bool dhcp;		/* who is behind it may ask for an address, */
	bool automatic;		/* and its sources follow from what it has, */
	const struct prefix *sources;	/* or are these; the policy's */
	size_t n_sources;
	bool tamper_revokes;
};

/* The answer.  On a refusal code, step, text and rule are a REFUSED's. */
struct policy_decision {
	enum wire_error code;		/* 0: allowed */
	char step[WIRE_STEP_MAX + 1];
	char text[WIRE_TEXT_MAX + 1];
	char rule[WIRE_RULE_MAX + 1];	/* "file:line" of the rule, or "" */
	struct policy_terms terms;	/* if allowed */
};

/* Where a policy file is wrong. */
struct policy_fault {
	char text[WIRE_TEXT_MAX + 1];	/* "file:line: key: what, instead" */
};

/*
 * name -> id, -ENOENT if there is none, or -errno: -ETIMEDOUT, -ESTALE (there
 * are ever more names), -ECHILD (nobody is there to look up), -EPIPE (who did
 * died of it) are told in words.  group: a group's name, else a user's.  Called
 * while loading.
 */
typedef int policy_resolve(void *arg, bool group, const char *name,
			   uint32_t *ret);

struct policy;			/* one generation, immutable */

/* Where the daemon reads its policy, see tuntapd.conf(5). */
#define POLICY_FOLDERS	4
extern const char *const policy_folders[POLICY_FOLDERS];

/*
 * Reads *.conf of the folders, in the order of their file names over all
 * folders; a file of a later folder replaces the one of the same name in an
 * earlier one.  A folder that does not exist is empty, unless its bit in *there
 * (bit 0: the first) is set; that is a fault.  Refused are folders and files
 * that belong to neither root nor the caller's own euid, or that group or
 * others may write, symbolic links, and what is no regular file.
 * 0 with *there saying which folders exist, or -errno (a file that is wrong:
 * -EINVAL) with ret_fault, unless NULL, filled.  *ret ends with policy_free().
 */
int policy_load(const char *const *folders, size_t n, unsigned *there,
		policy_resolve *resolve, void *arg, struct policy **ret,
		struct policy_fault *ret_fault);
/* All folders must be there. */
#define POLICY_ALL_THERE	(~0u)
/* The same from one text, as if it stood in `file`.  For tests and fuzzing. */
int policy_parse(const char *file, const char *text, size_t len,
		 policy_resolve *resolve, void *arg, struct policy **ret,
		 struct policy_fault *ret_fault);
void policy_free(struct policy *policy);
size_t policy_n_rules(const struct policy *policy);

/*
 * May this peer have this device?  The first rule that is about who, kind and
 * name decides, and then all of its limits must hold.  If so, returns 0 and
 * fills *ret_open with what to make: the name chosen, no metric 0, an MTU if
 * the kernel's own would break the rule; ret->rule tells the rule.  If not,
 * returns -errno of ret->code and leaves *ret_open alone.  ret_open may be the
 * same as ask.
 *
 * Steps of refusals: "request" (no sense, whatever the policy says), "policy",
 * and "name" (taken, or none to be had).
 */
int policy_decide(const struct policy *policy, const struct peer *peer,
		  const struct wire_open *ask, const struct policy_usage *usage,
		  struct wire_open *ret_open, struct policy_decision *ret);

/*
 * The terms for a device that is there, of this kind and name: of the rule that
 * allows such ones to this peer, or, if none does any more, of one that says
 * nothing of them.  Limits are not looked at.
 */
void policy_terms(const struct policy *policy, const struct peer *peer,
		  uint8_t layer, const char *name, struct policy_terms *ret);

/* What a rule has to do with a request. */
enum policy_match {
	POLICY_DECIDES, POLICY_OTHER_USER, POLICY_OTHER_KIND, POLICY_OTHER_NAME
};

/*
 * Is told of each rule that is tried, in turn, up to the one that decides.
 * rule: for policy_describe() and the like.
 */
struct policy_trace {
	void (*tried)(void *arg, const struct policy *policy, size_t rule,
		      enum policy_match how);
	void *arg;
};

/*
 * Adds a rule that was tried to those of a verdict.  Where they are too many,
 * the one that decides takes the place of the one before it.
 */
void policy_tell_tried(struct wire_verdict *v, const struct policy *policy,
		       size_t rule, enum policy_match how);

/* policy_decide(), with a trace; NULL: none. */
int policy_explain(const struct policy *policy, const struct peer *peer,
		   const struct wire_open *ask,
		   const struct policy_usage *usage,
		   const struct policy_trace *trace,
		   struct wire_open *ret_open, struct policy_decision *ret);

/* Of rule 0 to policy_n_rules() - 1. */
struct policy_description {
	const char *name, *file;	/* the policy's */
	unsigned line;
};
struct policy_description policy_describe(const struct policy *policy,
					  size_t rule);
/* Is the rule about this user, whatever he asks for? */
bool policy_is_about(const struct policy *policy, size_t rule,
		     const struct peer *peer);
/* How many are; NULL: all rules. */
size_t policy_n_rules_about(const struct policy *policy,
			    const struct peer *peer);
/*
 * Writes sections as they would stand in a file, users and groups as numbers,
 * and with what absent keys mean.  peer: of users and groups only what is about
 * him; NULL: all.
 */
void policy_write_rule(const struct policy *policy, size_t rule,
		       const struct peer *peer, FILE *out);
void policy_write_global(const struct policy *policy, FILE *out);

/* Hands over a sentence, "file:line: key: ...", for each thing hardly meant. */
void policy_warn(const struct policy *policy,
		 void (*warn)(void *arg, const char *text), void *arg);

#endif
