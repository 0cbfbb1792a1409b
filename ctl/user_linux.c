#include "user.h"

#include <grp.h>

int user_groups(const char *name, gid_t gid, gid_t *groups, int *n)
{
	return getgrouplist(name, gid, groups, n);
}
