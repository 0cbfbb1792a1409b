/* Lines to stderr, one a decision.  The level is journald's: sd-daemon(3). */
#ifndef TUNTAPD_LOG_H
#define TUNTAPD_LOG_H

#include <syslog.h>

/* level: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO. */
void log_line(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
