/*
 * Names of users and groups to ids, by a child: what answers them (NSS) loads
 * libraries, opens files and sockets and may take its time, which a daemon that
 * is locked down and serves others does not.  The child has no rights; who
 * makes another one where it dies is there before the lock-down, and both end
 * with us.
 */
#ifndef TUNTAPD_RESOLVER_H
#define TUNTAPD_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

/* Before any thread.  0 or -errno. */
int resolver_start(void);
void resolver_stop(void);

/*
 * A policy_resolve, which says -ECHILD where the child is gone for good, and
 * -EPIPE of a name that it ended at.  A name that has not been asked for yet is
 * noted, and found, as nobody in particular: a policy that was read with such a
 * name is good for nothing but to say which names there are.
 */
int resolver_find(void *unused, bool group, const char *name, uint32_t *ret);
/* Was any noted that has no answer yet? */
bool resolver_wants(void);
/*
 * Asks, takes what has been answered, and waits for more for at most so long.
 * False while answers are missing; call it again when the fd is readable.
 */
bool resolver_step(int timeout_ms);
/* What has no answer now, or is asked for later, gets this -errno. */
void resolver_give_up(int error);
/* Takes what nobody waits for, when the fd is readable. */
void resolver_idle(void);
/* Forgets all names, and that any was given up. */
void resolver_forget(void);
/* -1 once the child is gone for good. */
int resolver_fd(void);

#endif
