/*
 * Many packets in one system call, where the system has none for devices but
 * one for any calls: io_uring(7) of Linux.  A ring does nothing of its own
 * accord: who calls has his packets, or knows that there are none, on return.
 * It has no fd but its own, and keeps no device.  n is at most TTD_BATCH_MAX.
 */
#ifndef TUNTAPD_RING_H
#define TUNTAPD_RING_H

#include <stdbool.h>

#include "tuntapd.h"

struct ring;

/*
 * NULL and -errno: -ENOSYS, -EPERM (it is switched off), -EOPNOTSUPP ... With a
 * ring *ret_error is 0.
 */
struct ring *ring_new(int *ret_error);
/*
 * 0; -EOPNOTSUPP: not for this fd; or -errno of a ring that is of no use just
 * now.  Nothing is read.
 */
int ring_try(struct ring *ring, int fd);
void ring_free(struct ring *ring);

/*
 * False: the ring is of no use just now, so do without; nothing was read.  Else
 * *ret is as of packet_read_some(), and -EIO of an fd that is at its end.  For
 * one at a time; what comes meanwhile comes behind, in order.
 */
bool ring_read(struct ring *ring, int fd, struct ttd_packet *packets,
	       unsigned n, int *ret);
/*
 * How many of them, from the first on, were tried; 0: do without.  The kernel
 * goes on behind one that it refuses.  *ret_error: -errno of the first if it
 * took none of those, else 0.
 */
unsigned ring_write(struct ring *ring, int fd, const struct ttd_packet *packets,
		    unsigned n, int *ret_error);

#endif
