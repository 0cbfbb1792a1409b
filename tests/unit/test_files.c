/*
 * Files that may be open and the connections that there may be, with a kernel
 * that gives less than it was asked for.
 */
#include <check.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../daemon/files.h"
#include "../../daemon/limits.h"
#include "../../daemon/os.h"

/*
 * Added up by hand, as a sum like that of files.c would have its mistakes: 16 for
 * root, 256 that wait to be handed over, 64 of the daemon's own (limits.h).
 */
#define OTHER_FDS	336
#define LIMIT		1024
#define LITTLE		512		/* less than twice OTHER_FDS */
#define CONNECTIONS	4096
#define USERS		8		/* can have all of them */
#define ENOUGH		(CONNECTIONS + OTHER_FDS)
#define OWN_FDS		2		/* of a connection, on macOS */
#define WITH_OWN	(1 + OWN_FDS)

static struct {
	struct rlimit limit;
	rlim_t most;			/* that setrlimit(2) takes for each */
	rlim_t counts;			/* more are none, whatever it took */
	unsigned own_fds;
} kernel;

/* Not of this process, which a sanitizer asks about, too. */
static bool is_played(int resource)
{
	return resource == RLIMIT_NOFILE && kernel.counts;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *ret)
{
	if (!is_played((int)resource))
		return (int)syscall(SYS_prlimit64, 0, resource, NULL, ret);
	*ret = kernel.limit;
	return 0;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	if (!is_played((int)resource))
		return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
	if (limit->rlim_max > kernel.most || limit->rlim_cur > limit->rlim_max) {
		errno = EPERM;
		return -1;
	}
	kernel.limit = *limit;
	return 0;
}

int getdtablesize(void)
{
	return (int)(kernel.limit.rlim_cur < kernel.counts ?
		     kernel.limit.rlim_cur : kernel.counts);
}

unsigned os_own_fds(void)
{
	return kernel.own_fds;
}

static const struct row {
	const char *of;
	rlim_t soft, hard, most, counts;
	unsigned own_fds;
	unsigned connections;
	rlim_t soft_then;
} rows[] = {
	{ "all is raised", LIMIT, LIMIT, RLIM_INFINITY, RLIM_INFINITY, 0,
	  CONNECTIONS, ENOUGH },
	{ "more is left as it is", 2 * ENOUGH, 3 * ENOUGH, RLIM_INFINITY,
	  RLIM_INFINITY, 0, CONNECTIONS, 2 * ENOUGH },
	{ "the hard limit is all", LIMIT, 2 * LIMIT, 2 * LIMIT, RLIM_INFINITY,
	  0, 2 * LIMIT - OTHER_FDS, 2 * LIMIT },
	{ "little is halved", LITTLE, LITTLE, LITTLE, RLIM_INFINITY, 0,
	  LITTLE / 2, LITTLE },
	/* Linux, fs.nr_open is below the hard limit. */
	{ "none is set", LIMIT, 4 * LIMIT, 2 * LIMIT, RLIM_INFINITY, 0,
	  LIMIT - OTHER_FDS, LIMIT },
	/* macOS, kern.maxfilesperproc. */
	{ "less counts than is set", LIMIT, RLIM_INFINITY, RLIM_INFINITY,
	  2 * LIMIT, OWN_FDS, (2 * LIMIT - OTHER_FDS) / WITH_OWN,
	  WITH_OWN * CONNECTIONS + OTHER_FDS },
	{ "less counts than there was", RLIM_INFINITY, RLIM_INFINITY,
	  RLIM_INFINITY, 2 * LIMIT, OWN_FDS,
	  (2 * LIMIT - OTHER_FDS) / WITH_OWN, RLIM_INFINITY },
};

START_TEST(connections_are_as_many_as_files_allow)
{
	const struct row *row = &rows[_i];

	kernel.limit = (struct rlimit){ row->soft, row->hard };
	kernel.most = row->most;
	kernel.own_fds = row->own_fds;
	limits.connections = CONNECTIONS;
	limits.connections_uid = CONNECTIONS / USERS;
	kernel.counts = row->counts;
	files_make_room();
	kernel.counts = 0;
	ck_assert_msg(limits.connections == row->connections, "%s: %u",
		      row->of, limits.connections);
	ck_assert_msg(limits.connections_uid == row->connections / USERS, "%s: %u",
		      row->of, limits.connections_uid);
	ck_assert_msg(kernel.limit.rlim_cur == row->soft_then, "%s: %lu",
		      row->of, (unsigned long)kernel.limit.rlim_cur);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("files");
	TCase *t = tcase_create("files");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, connections_are_as_many_as_files_allow, 0,
			    sizeof(rows) / sizeof(*rows));
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
