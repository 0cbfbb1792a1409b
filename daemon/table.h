/* uthash and utlist as the daemon uses them. */
#ifndef TUNTAPD_TABLE_H
#define TUNTAPD_TABLE_H

#include <stdlib.h>

#include "log.h"

/*
 * A table that cannot grow: the kernel gave out memory that it has not.  There
 * is no going on with half an account of who has what; devices stay with their
 * holders, and whoever watches over us starts us again.
 */
#define uthash_fatal(msg) \
	(log_line(LOG_ERR, "out of memory for a table; ending"), \
	 exit(EXIT_FAILURE))
#include <uthash.h>
#include <utlist.h>

#endif
