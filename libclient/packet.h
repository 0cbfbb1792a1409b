/*
 * The seam to the operating system: a packet in, a packet out, what an error
 * of either means, and the few calls that differ between systems and that
 * nobody but the library makes (proto/sys.h has the others).  Of packet_, calls_
 * and host_ there is a file for each system.
 */
#ifndef TUNTAPD_PACKET_H
#define TUNTAPD_PACKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tuntapd.h"

/*
 * The longest there is, and so the longest that is sent: an IP packet has no
 * room for more, be it of many segments (offload PASS); on a TAP there are an
 * Ethernet header and up to two VLAN tags before it.
 */
#define PACKET_IP_MAX	65535
#define PACKET_MAX	(PACKET_IP_MAX + 14 + 2 * 4)

static inline size_t packet_max(uint32_t layer)
{
	return layer == TTD_TAP ? PACKET_MAX : PACKET_IP_MAX;
}

/* A struct virtio_net_hdr (linux/virtio_net.h) without its merged buffers. */
#define PACKET_HEADER	10

/* Has a device the name that was wished for?  Else it is numbered. */
bool packet_any_name(void);

/* Readies an fd that was received for what is below.  0 or -errno. */
int packet_begin(int fd);

/*
 * One packet.  Its length, or cap where it was longer and the rest is lost;
 * -EAGAIN if there is none, or -errno; never waits.
 */
int packet_read(int fd, void *buf, size_t cap);
/* 0 or -errno; never waits. */
int packet_write(int fd, const void *buf, size_t len);
/* The same of one in n pieces, len bytes together. */
int packet_write_pieces(int fd, const struct iovec *pieces, int n, size_t len);

/*
 * Several, where the system has a call for that, else the first alone.  How
 * many, or -errno of the first.  What is read goes to where data points; len
 * is the room there, and then as packet_read() tells it.  n is at most
 * TTD_BATCH_MAX.
 */
bool packet_several(void);
int packet_read_some(int fd, struct ttd_packet *packets, unsigned n);
int packet_write_some(int fd, const struct ttd_packet *packets, unsigned n);

/*
 * header.c: between the header and what struct ttd_packet says of it.  What the
 * kernel may say beyond that (VIRTIO_NET_HDR_F_DATA_VALID: it has seen the
 * checksum to be right) is dropped: whoever gets the packet next checks for
 * himself.
 */
void packet_header_read(const uint8_t header[PACKET_HEADER],
			struct ttd_packet *ret);
void packet_header_write(uint8_t header[PACKET_HEADER],
			 const struct ttd_packet *packet);
/*
 * Lets the kernel hand over as much at a time as it can: super-packets of TCP
 * and UDP (true), else of TCP, else unfinished checksums, else neither.
 */
bool packet_offload(int fd);

enum packet_verdict {
	PACKET_LOST,		/* a matter of this packet or buffer alone */
	PACKET_DOWN,		/* the interface is down; it may come up */
	PACKET_GONE,		/* there is no device behind the fd any more */
	PACKET_FAILED		/* none of these */
};
/* What it means that reading or writing gave -errno. */
enum packet_verdict packet_judge(int fd, int error, bool writing);
/* There is no device behind the fd any more. */
bool packet_gone(int fd);

/* Interface name of now; buf holds IFNAMSIZ.  0 or -errno. */
int packet_name(int fd, char *buf);
int packet_hwaddr(int fd, uint8_t ret[6]);

/* A condition that is waited for by the monotonic clock. */
void os_cond_init(pthread_cond_t *cond);
/* ms as of poll(2).  0 or -ETIMEDOUT. */
int os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int ms);

/* Close-on-exec; 0, an fd or -errno. */
int os_dup(int fd);
/* Makes number `fd` mean what `by` means; the number is never free. */
int os_replace(int by, int fd);
int os_set_blocking(int fd, bool blocking);

/* An environment variable, NULL where the program runs with foreign rights. */
const char *os_getenv(const char *name);
void os_name_thread(const char *name);

#endif
