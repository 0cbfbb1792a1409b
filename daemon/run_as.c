#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "limits.h"
#include "refuse.h"
#include "resolver.h"

#define NOBODY	65534	/* anybody's, and that of who looks names up */
#define ID_NONE	((uint32_t)-1)	/* setresuid(2): leave it as it is */

/* False if it is no number at all. */
static bool parse_id(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return false;
	n = strtoull(text, &end, 10);
	*ret = n < ID_NONE ? (uint32_t)n : ID_NONE;
	return !*end;
}

/* The user, and the group of that name.  0 or -errno. */
static int look_up(const char *name, uint32_t *uid, uint32_t *gid)
{
	int error, second;

	/* The first time they are noted, the second time answered. */
	(void)resolver_find(NULL, false, name, uid);
	(void)resolver_find(NULL, true, name, gid);
	if (!resolver_step(LIMIT_NAMES_SECONDS * 1000))
		resolver_give_up(-ETIMEDOUT);
	error = resolver_find(NULL, false, name, uid);
	second = resolver_find(NULL, true, name, gid);
	resolver_forget();
	return error ? error : second;
}

static int explain(const char *name, int error, struct wire_refused *why)
{
	if (error == -ENOENT)
		return confine_no_user(name, why);
	return refuse(why, WIRE_E_FAILED, "start", "cannot look up the user %s "
		      "to run as: %s; --user takes a number too", name,
		      strerror(-error));
}

int run_as_find(const char *user, struct run_as *ret, struct wire_refused *why)
{
	const char *name = user ? user : TUNTAPD_USER;
	uint32_t uid, gid;
	int error;

	*ret = (struct run_as){ geteuid(), getegid() };
	if (ret->uid != 0) {
		if (!user)
			return 0;
		return refuse(why, WIRE_E_INVALID, "start", "--user %s: only "
			      "root can become another user, and this is uid "
			      "%u; start it as that user, with CAP_NET_ADMIN",
			      user, (unsigned)ret->uid);
	}
	if (parse_id(name, &uid)) {
		gid = uid;
	} else {
		error = look_up(name, &uid, &gid);
		if (error)
			return explain(name, error, why);
	}
	if (uid == ID_NONE || uid == NOBODY || gid == ID_NONE)
		return refuse(why, WIRE_E_INVALID, "start", "--user %s: write "
			      "a user's name or number, and one that nobody "
			      "else runs as", name);
	*ret = (struct run_as){ uid, gid };
	return 0;
}
