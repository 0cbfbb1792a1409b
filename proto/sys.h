/*
 * The calls that every room makes and that differ between systems: a file a
 * system.  What is made here is close-on-exec, and writing to a socket of those
 * raises no SIGPIPE.
 */
#ifndef TUNTAPD_SYS_H
#define TUNTAPD_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* An AF_UNIX socket of this type, that waits or never does.  -errno. */
int sys_socket(int type, bool waits);
/* What connect(2) of such means by ECONNREFUSED: "%s PATH". */
const char *sys_refused(void);
/*
 * Two that are connected, which tell of each other's end, for records that have
 * one length in each direction.  0 or -errno.
 */
int sys_pair(int ret[2]);
int sys_pipe(int ret[2]);

/*
 * As send(2), sendmsg(2) and recvmsg(2): no SIGPIPE, where the socket is one of
 * the above or was accepted (os_accept()); what is received is close-on-exec;
 * and MSG_PEEK without room for control data says by MSG_CTRUNC that there is
 * some.  Who does not want it has to look so first.
 */
ssize_t sys_send(int sock, const void *buf, size_t len, int flags);
ssize_t sys_sendmsg(int sock, const struct msghdr *msg, int flags);
ssize_t sys_recvmsg(int sock, struct msghdr *msg, int flags);

/* realloc(3) of n times size, that may be too many bytes to count: ENOMEM. */
void *sys_reallocarray(void *old, size_t n, size_t size);

/* Overwrites a secret, whatever the compiler thinks of that. */
void sys_wipe(void *secret, size_t n);

#endif
