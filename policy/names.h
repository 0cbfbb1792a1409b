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

/* Both take patterns without fault only. */
bool pattern_matches(const char *pattern, uid_t uid, const char *name);

/*
 * The first name of the pattern that may be and that `fits`: the first * is
 * a counter, ? a digit, a set one of its letters, further * nothing.
 *  0		ret is filled
 *  -EEXIST	none of those that there are, or that are tried, fits
 *  -ENOENT	the pattern makes no name that may be (15 bytes, reserved)
 */
int pattern_choose(const char *pattern, uid_t uid,
		   bool (*fits)(void *arg, const char *name), void *arg,
		   char ret[WIRE_NAME_MAX + 1]);

#endif
