/*
 * The service manager is told how we are, where one asks for it: sd_notify(3)
 * and its watchdog.  The protocol is a datagram of "NAME=value" lines, which is
 * less to write than libsystemd is to load.
 */
#ifndef TUNTAPD_NOTIFY_H
#define TUNTAPD_NOTIFY_H

struct event_base;

/*
 * Between two words to the watchdog at least, however often it wants one: the
 * least that the loop tells from nothing.
 */
#define NOTIFY_WATCHDOG_MS	1

/*
 * Takes NOTIFY_SOCKET and WATCHDOG_USEC from the environment.  From then on the
 * loop tells the watchdog that it turns, twice in that time, but never sooner
 * than NOTIFY_WATCHDOG_MS after the last time.  0, also where nobody asks, or
 * -errno: then whoever asks would wait in vain.
 */
int notify_start(struct event_base *base);
void notify_stop(void);

/* Started, or done with a reload. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
