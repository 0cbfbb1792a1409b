/*
 * What the daemon gives up before it serves anybody, in stages that main()
 * names.  A step that is refused ends the daemon with a sentence.
 */
#ifndef TUNTAPD_CONFINE_H
#define TUNTAPD_CONFINE_H

#include <sys/types.h>

#include "../proto/wire.h"

/* Whom the daemon runs as. */
struct run_as {
	uid_t uid;
	gid_t gid;
};

/*
 * By name or number, whom it shall become; NULL: TUNTAPD_USER.  Only root
 * becomes somebody: who is started as another stays who he is.  Asks the
 * resolver.  0, or -errno with *why filled.
 */
#define TUNTAPD_USER "tuntapd"
int run_as_find(const char *user, struct run_as *ret, struct wire_refused *why);

/*
 * Where the node that devices come from is closed to whom we run as, he gets
 * one of his own, in a mount namespace of the daemon's; the host's stays as it
 * is.  Only root can; where it may not the log says what else to do.
 */
void confine_node(const struct run_as *as);

/*
 * Lost: root, all groups, every capability but CAP_NET_ADMIN, for us and for
 * whatever we would execute; and that processes of our user look into this one.
 * Before any thread: each has capabilities of its own.  0 or -errno likewise.
 */
int confine_user(const struct run_as *as, struct wire_refused *why);

#endif
