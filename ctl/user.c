#include "user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_FIRST	32	/* tried first */

static int find_groups(const char *name, struct peer *ret)
{
	int n = GROUPS_FIRST, r;

	do {
		gid_t *more = realloc(ret->groups, (size_t)n * sizeof(*more));

		if (!more) {
			free(ret->groups);
			return -ENOMEM;
		}
		ret->groups = more;
		r = user_groups(name, ret->gid, ret->groups, &n);
	} while (r < 0);
	ret->n_groups = (size_t)n;
	return 0;
}

static int find_own(struct peer *ret)
{
	int n = getgroups(0, NULL);

	*ret = (struct peer){ .uid = geteuid(), .gid = getegid() };
	if (n <= 0)
		return 0;
	ret->groups = calloc((size_t)n, sizeof(*ret->groups));
	if (!ret->groups)
		return -ENOMEM;
	n = getgroups(n, ret->groups);
	ret->n_groups = n > 0 ? (size_t)n : 0;
	return 0;
}

static bool is_uid(const char *text, uid_t *ret)
{
	unsigned long long n = strtoull(text, NULL, 10);

	*ret = (uid_t)n;
	return *text && strspn(text, "0123456789") == strlen(text) &&
	       n < UINT32_MAX;
}

/* getpwnam(3): each of these may stand for "not found". */
static int not_found(void)
{
	return errno == 0 || errno == ESRCH || errno == EBADF ||
	       errno == EPERM ? -ENOENT : -errno;
}

int user_find(const char *text, struct peer *ret)
{
	const struct passwd *pw;
	uid_t uid;
	int error;

	if (!text)
		return find_own(ret);
	errno = 0;
	pw = is_uid(text, &uid) ? getpwuid(uid) : getpwnam(text);
	error = pw ? 0 : not_found();
	if (pw) {
		*ret = (struct peer){ .uid = pw->pw_uid, .gid = pw->pw_gid };
		return find_groups(pw->pw_name, ret);
	}
	if (!is_uid(text, &uid) || error != -ENOENT)
		return error;
	*ret = (struct peer){ .uid = uid, .gid = uid };
	return 0;
}

int user_resolve(void *unused, bool group, const char *name, uint32_t *ret)
{
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;

	(void)unused;
	errno = 0;
	if (group)
		gr = getgrnam(name);
	else
		pw = getpwnam(name);
	if (!gr && !pw)
		return not_found();
	*ret = gr ? gr->gr_gid : pw->pw_uid;
	return 0;
}
