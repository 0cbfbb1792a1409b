/*
 * Devices that were a lease's, went to another network namespace, and came
 * back.  The lease ended with the going, and so did the guard; so the device
 * goes too.
 */
#ifndef TUNTAPD_STRAY_H
#define TUNTAPD_STRAY_H

#include "os.h"
#include "server.h"

/* A mirror_listener's, for all devices: has it our mark, and no lease? */
void stray_came(const struct os_link *link, struct server *server);
/* Forgets them without touching them; the worker has stopped. */
void stray_stop(void);

#endif
