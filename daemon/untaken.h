/*
 * Connections that have ended before their client received the descriptors of
 * its device.  These are on their way as long as it likes, and the kernel counts
 * them as the daemon's: where they are more than it may have files open it can
 * send no others, to nobody.  So such a connection stays open, and counts as one
 * of its uid's, until the client has received them or closed its end; and while
 * a uid has many of them it gets no further device.
 */
#ifndef TUNTAPD_UNTAKEN_H
#define TUNTAPD_UNTAKEN_H

#include "server.h"

/* 0 or -errno. */
int untaken_serve(struct server *server);
/*
 * Takes over the socket, on which n fds were sent; false if there is no need,
 * or no memory.
 */
bool untaken_keep(int fd, bool bytes_only, uid_t uid, unsigned n);
/* May n more be sent to that uid? */
bool untaken_has_room(uid_t uid, unsigned n);
void untaken_stop(void);

#endif
