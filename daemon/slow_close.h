/*
 * Closing a socket that may hold descriptors of a client's choice.  They end
 * with it, and the end of some takes as long as their maker likes: a lingering
 * TCP connection, a file of his own FUSE file system.  Linux 6.16 refuses them;
 * before, the last close of such a socket is left to a process that has nothing
 * else to do, the undertaker's child, together with others of its uid.
 */
#ifndef TUNTAPD_SLOW_CLOSE_H
#define TUNTAPD_SLOW_CLOSE_H

#include <stdbool.h>
#include <sys/types.h>

#include "server.h"

/*
 * Makes the undertaker: before any thread, and before anything is open that it
 * must not have.  0 or -errno.
 */
int slow_close_start(void);
/* Listens to it.  0 or -errno. */
int slow_close_serve(struct server *server);
/*
 * Ends the connection, whatever it holds, without waiting for that; until it
 * has ended it counts as one of the uid's.  What never held descriptors is
 * simply closed.
 */
void slow_close(int fd, bool bytes_only, uid_t uid);
/* Likewise a listening socket, with those that nobody has accepted. */
void slow_close_listener(int fd);
/* Connections that count, and are open in the undertaker's children alone. */
unsigned slow_close_away(void);
/* The undertaker gets what there is, and goes. */
void slow_close_stop(void);

#endif
