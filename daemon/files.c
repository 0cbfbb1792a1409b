#include "files.h"

#include <sys/resource.h>
#include <unistd.h>

#include "limits.h"
#include "log.h"
#include "os.h"

/* Beside those of connections. */
#define OTHER_FDS (LIMIT_CONNECTIONS_ROOT + LIMIT_FDS_WAITING + LIMIT_OWN_FDS)

/* A connection has one device at most; of one before that a copy may be left. */
static rlim_t fds_a_connection(void)
{
	return 1 + os_own_fds();
}

/* Devices must have theirs, too; and a user no larger part than before. */
static void fit_connections(rlim_t files)
{
	rlim_t room = (files > 2 * OTHER_FDS ? files - OTHER_FDS : files / 2) /
		      fds_a_connection();
	rlim_t part = limits.connections_uid * room / limits.connections;

	if (room >= limits.connections)
		return;
	if (part == 0)
		part = 1;
	log_line(LOG_WARNING, "%lu files may be open: it takes %lu connections, "
		 "not %u, and %lu of one user, not %u (LimitNOFILE=, "
		 "ulimit -n)", (unsigned long)files, (unsigned long)room,
		 limits.connections, (unsigned long)part,
		 limits.connections_uid);
	limits.connections = (unsigned)room;
	limits.connections_uid = (unsigned)part;
}

/* Raising the hard limit takes rights; up to it does not. */
static void raise_limit(struct rlimit r, rlim_t want)
{
	const struct rlimit both = {
		want, r.rlim_max < want ? want : r.rlim_max
	};

	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &both) < 0)
		(void)setrlimit(RLIMIT_NOFILE, &r);
}

/*
 * What there is in the end is asked for, and as the kernel counts: Linux sets no
 * limit, not even the one that there is, if the hard one is above fs.nr_open;
 * macOS sets any, and goes by kern.maxfilesperproc where that is less
 * (proc_limitgetcur_nofile(), bsd/kern/kern_resource.c).
 */
void files_make_room(void)
{
	const rlim_t want = limits.connections * fds_a_connection() + OTHER_FDS;
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < want)
		raise_limit(r, want);
	fit_connections((rlim_t)getdtablesize());
}
