/* Users and groups by name, from this host's databases. */
#ifndef TUNTAPCTL_USER_H
#define TUNTAPCTL_USER_H

#include <stdbool.h>

#include "../policy/policy.h"

/*
 * Who that is: a name, or a uid, of which nobody needs to have heard; NULL: who
 * runs this.  0 with *ret, whose groups are free(3)'s, -ENOENT, or -errno of
 * what would have to know.
 */
int user_find(const char *text, struct peer *ret);

/* A policy_resolve. */
int user_resolve(void *unused, bool group, const char *name, uint32_t *ret);

/*
 * user_*.c, a file a system: getgrouplist(3).  How many there are in *n, or
 * -1, and then there how many to try with.
 */
int user_groups(const char *name, gid_t gid, gid_t *groups, int *n);

#endif
