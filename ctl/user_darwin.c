#include "user.h"

#include <unistd.h>

/* It does not say how many there are, and has them as int. */
int user_groups(const char *name, gid_t gid, gid_t *groups, int *n)
{
	const int room = *n;
	int r = getgrouplist(name, (int)gid, (int *)groups, n);

	if (r < 0)
		*n = 2 * room;
	return r;
}
