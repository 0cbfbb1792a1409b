/*
 * The policy in force, and how another one takes its place: whole, or not at
 * all.  Files are read by the loop, which takes no time to speak of; names are
 * looked up meanwhile by a child, which may, and does not hold anybody up.
 */
#ifndef TUNTAPD_RELOAD_H
#define TUNTAPD_RELOAD_H

#include <stddef.h>

#include "server.h"

struct conn;

/* The folders' names stay the caller's.  Where resolver_start() has been. */
void reload_from(const char *const *folders, size_t n);

/*
 * Reads the policy and waits for it, which takes as long as the names take, to
 * a bound.  0, or -errno with the fault.  *ret is policy_free()'s to end.
 */
int reload_first(struct policy **ret, struct policy_fault *fault);

/* Takes part in the loop of the server from now on, or no longer. */
int reload_serve(struct server *server);
void reload_stop(void);

/*
 * Begins to read the policy anew.  If it is good it takes the place of the one
 * in force, and with `enforce` the leases end that it would not give.  c, if
 * not NULL, is answered when that is done, and held until then.  While one is
 * under way, what is asked for is done next, all in one.
 */
void reload_begin(struct conn *c, bool enforce);

#endif
