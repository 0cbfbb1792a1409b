/* What the files of the Linux side share. */
#ifndef TUNTAPD_OS_LINUX_H
#define TUNTAPD_OS_LINUX_H

#include <stdint.h>

#include "os.h"

struct rtnl_batch;

/* Linux 6.16; older headers do not have it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define TUN_FOLDER	"/dev/net"
#define TUN_NODE	TUN_FOLDER "/tun"

/*
 * Root's, and not our user's: who runs as that without CAP_NET_ADMIN, as who
 * looks names up may do, could attach a queue to a device that takes several.
 */
#define DEVICE_OWNER 0u

/* os_linux.c */

/*
 * An fd for SIOCGIFINDEX, which each socket takes.  None is kept for that: by
 * one of datagrams who takes us over could talk to whomever he likes.
 */
int os_ioctls(void);
/* Sends the batch, and ends it; what it did is told with the next events. */
int os_commit(struct rtnl_batch *batch, struct os_link *ret_link,
	      struct wire_refused *why);

/* os_birth_linux.c */

/*
 * A device that has its owner and all its queues, is down, has no mark and no
 * name yet, and is as the kernel makes it, whoever was there before the owner.  0
 * or -errno with *why filled; dev may have fds then, and a device.
 */
int os_birth(const struct wire_open *open, struct os_device *dev,
	     struct wire_refused *why);

/* os_process_linux.c */

/*
 * Of the calling thread's capabilities leaves those of this mask that there
 * are, of the first 32, as permitted and effective; and nothing gives it more
 * later.  Nobody without more looks into the process.  0 or -errno.
 */
int os_limit_rights(uint32_t mask);

/* os_delete_linux.c */

/* The worker's socket.  0 or -errno. */
int os_deletions_start(void);
void os_deletions_stop(void);

#endif
