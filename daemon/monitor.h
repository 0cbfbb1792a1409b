/*
 * Connections that are told what happens: to their uid's leases and requests,
 * on the admin socket to all.  Each has room for so many notices, from its
 * beginning on; what does not fit is counted, and told as lost.  So who does not
 * read makes nobody wait, and costs the daemon no more than that.
 */
#ifndef TUNTAPD_MONITOR_H
#define TUNTAPD_MONITOR_H

#include "conn.h"

/* Answers a MONITOR, and begins. */
void monitor_begin(struct conn *c);
/* The connection ends. */
void monitor_end(struct conn *c);
/* The next NOTICE for a connection that monitors; false if there is none. */
bool monitor_next(struct conn *c, struct wire_message *ret);

/* Is anybody told?  If not, the following do nothing. */
bool monitor_is_on(void);
void monitor_lease(enum wire_notice_kind kind, const struct lease *lease,
		   const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void monitor_refused(const struct conn *c, const struct wire_refused *why);
/* Of nobody's request: SIGHUP. */
void monitor_not_reloaded(const struct wire_refused *why);
void monitor_reloaded(const struct server *server);

#endif
