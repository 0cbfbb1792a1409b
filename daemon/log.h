/* Lines to stderr, one a decision.  The level is journald's: sd-daemon(3). */
#ifndef TUNTAPD_LOG_H
#define TUNTAPD_LOG_H

#include <sys/types.h>
#include <syslog.h>

struct event_base;

/* level: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO. */
void log_line(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Of what this uid does or is refused, which it can do again and again: where
 * it has had its lines of this second, it is counted, and when that is over one
 * line says how many there were.
 */
#define LOG_UID_UNKNOWN ((uid_t)-1)
void log_line_of(uid_t uid, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* With a loop seconds end; 0 or -errno.  And the last one ends. */
int log_start(struct event_base *base);
void log_stop(void);

#endif
