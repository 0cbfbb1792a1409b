/* Names of devices: which may be, which match a rule, which is free.  Pure. */
#ifndef TUNTAPD_NAMES_H
#define TUNTAPD_NAMES_H

#include <stdbool.h>
#include <sys/types.h>

#include "bounds.h"

/* NULL if an interface may have the name, else why not ("it is reserved"). */
const char *name_fault(const char *name);

/*
 * A pattern is what fnmatch(3) takes, without escapes and classes, and with
 * %u for the uid.  NULL if it is one, else why not.
 */
const char *pattern_fault(const char *pattern);

/* All below take patterns without fault only. */
bool pattern_matches(const char *pattern, uid_t uid, const char *name);

/*
 * Patterns of rules before the one that a name is chosen by: who asks for one
 * of their names asks those rules.  Made once for many names; those that have
 * none of the pattern's are left out.
 */
struct others {
	struct glob *globs;
	size_t n, room;
};
#define OTHERS_NONE ((struct others){ .n = 0 })
/* 0, -E2BIG: over POLICY_NAME_OTHERS, or -ENOMEM. */
int others_add(struct others *others, const char *pattern, uid_t uid,
	       const char *chosen);
void others_free(struct others *others);

/*
 * The first name of the pattern that may be, that no other one has, and that
 * is not `taken`: the first * is a counter, ? a digit, a set one of its
 * letters, further * nothing.
 *  0		ret is filled
 *  -EEXIST	none of those that there are, or that are tried, is free
 *  -EPERM	the same, and others have all of them
 *  -ENOENT	the pattern makes no name that may be (15 bytes, reserved)
 */
int pattern_choose(const char *pattern, uid_t uid, const struct others *others,
		   bool (*taken)(void *arg, const char *name), void *arg,
		   char ret[WIRE_NAME_MAX + 1]);

#endif
