/*
 * What the daemon gives up before it serves anybody, in stages that main()
 * names.  A step that is refused ends the daemon with a sentence.
 */
#ifndef TUNTAPD_CONFINE_H
#define TUNTAPD_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../proto/wire.h"

/*
 * A sanitizer looks into its own process, and reads of it in /proc: a build
 * with one, which is no product, gives up less, and says so.
 */
#ifdef TUNTAPD_SANITIZED
#define CONFINE_SANITIZED true
#else
#define CONFINE_SANITIZED false
#endif

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
/* There is no user of that name, or no group: refuses, and says what to do. */
int confine_no_user(const char *name, struct wire_refused *why);

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

/*
 * Lost: all files, but those below the folders that these paths are in.  There
 * policies can be read, sockets made and removed; and the device node used.
 * For this thread and those that it makes.  0 or -errno likewise; where the
 * kernel cannot do it the log says so.
 */
struct confine_paths {
	const char *const *policy, *const *sockets;
	size_t n_policy, n_sockets;
};
int confine_files(const struct confine_paths *paths, struct wire_refused *why);

/*
 * Lost: all system calls, of every thread, but those that serving takes.  Last:
 * a thread, a child, a socket can be made no more.  0 or -errno likewise; and
 * likewise where the kernel cannot do it.
 */
int confine_calls(struct wire_refused *why);

#endif
