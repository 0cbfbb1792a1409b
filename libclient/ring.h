/*
 * Many packets in one system call, where the system has none for devices but
 * one for any calls: io_uring(7) of Linux.  A ring does nothing of its own
 * accord: who calls has his packets, or knows that there are none, on return.
 * It has no fd but its own, and keeps no device.
 */
#ifndef TUNTAPD_RING_H
#define TUNTAPD_RING_H

#include "tuntapd.h"

struct ring;

/*
 * NULL and -errno: -ENOSYS, -EPERM (it is switched off), -EOPNOTSUPP ... With a
 * ring *ret_error is 0.
 */
struct ring *ring_new(int *ret_error);
/* Is it of use for this fd?  0 or -errno, and nothing is read. */
int ring_try(struct ring *ring, int fd);
void ring_free(struct ring *ring);

/*
 * As packet_read_some(), and with -EIO of an fd that is at its end: what comes
 * while others are being read comes behind them, in order.
 */
int ring_read(struct ring *ring, int fd, struct ttd_packet *packets,
	      unsigned n);
/*
 * Writes all n.  Unlike packet_write_some() it goes on behind one that cannot
 * be written: n, or -errno of the first if none can.
 */
int ring_write(struct ring *ring, int fd, const struct ttd_packet *packets,
	       unsigned n);

#endif
