/* What the files of the Linux side share. */
#ifndef TUNTAPD_OS_LINUX_H
#define TUNTAPD_OS_LINUX_H

#include <stdint.h>

/* Linux 6.16; older headers do not have it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define TUN_FOLDER	"/dev/net"
#define TUN_NODE	TUN_FOLDER "/tun"

/*
 * Of the calling thread's capabilities leaves those of this mask that there
 * are, of the first 32, as permitted and effective; and nothing gives it more
 * later.  Nobody without more looks into the process.  0 or -errno.
 */
int os_limit_rights(uint32_t mask);

/* os_delete_linux.c: the worker's socket.  0 or -errno. */
int os_deletions_start(void);
void os_deletions_stop(void);

#endif
