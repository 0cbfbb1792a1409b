/*
 * Devices of leases that have ended, of which somebody keeps an fd: where the
 * kernel lets him (macOS) they stay, taken down.  Until he closes it each counts
 * as a device where another is opened; for the fd that the daemon keeps to see
 * that there are at most as many as there may be connections.
 */
#ifndef TUNTAPD_COPIES_H
#define TUNTAPD_COPIES_H

#include "server.h"

/* 0 or -errno. */
int copies_serve(struct server *server);
/* Takes over os_device's own, of a lease that is still registered. */
void copies_keep(int own, const struct lease *lease);
/* Closed they are all the same, and nobody counts them any more. */
void copies_stop(void);

#endif
