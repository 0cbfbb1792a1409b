/*
 * Names of users and groups to ids, by a child: what answers them (NSS) loads
 * libraries, opens files and sockets and may take its time, which a daemon that
 * is locked down and serves others does not.  The child has no rights; it is
 * there before the lock-down and ends with us.
 */
#ifndef TUNTAPD_RESOLVER_H
#define TUNTAPD_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

/* Before any thread.  0 or -errno. */
int resolver_start(void);
void resolver_stop(void);

/*
 * A policy_resolve.  A name that has not been asked for yet is noted, and
 * found, as nobody in particular: a policy that was read with such a name is
 * good for nothing but to say which names there are.
 */
int resolver_find(void *unused, bool group, const char *name, uint32_t *ret);
/* Was any noted that has no answer yet? */
bool resolver_wants(void);
/*
 * Asks, takes what has been answered, and waits for more for at most so long.
 * False while answers are missing; call it again when the fd is readable.
 */
bool resolver_step(int timeout_ms);
/* Time is up: what has no answer counts as ETIMEDOUT from now on. */
void resolver_give_up(void);
/* Forgets all names. */
void resolver_forget(void);
int resolver_fd(void);

#endif
