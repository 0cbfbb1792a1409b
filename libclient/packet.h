/*
 * The seam to the operating system: a packet in, a packet out, what an error
 * of either means, and the few fd calls that differ between systems.  One
 * file per system, packet_linux.c here.
 */
#ifndef TUNTAPD_PACKET_H
#define TUNTAPD_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest there is: MTU 65535, an Ethernet header, a VLAN tag. */
#define PACKET_MAX	(65535 + 14 + 4)
/* The longest that is sent; an IP packet has no room for more. */
#define PACKET_SEND_MAX	65535

/* A struct virtio_net_hdr (linux/virtio_net.h) without its merged buffers. */
#define PACKET_HEADER	10

/*
 * One packet.  Its length, -EAGAIN if there is none, -EMSGSIZE if it was longer
 * than cap and is lost, or -errno; never waits.
 */
ssize_t packet_read(int fd, void *buf, size_t cap);
/* 0 or -errno; never waits. */
int packet_write(int fd, const void *buf, size_t len);

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

/* These all give close-on-exec fds, and 0, an fd or -errno. */
int os_socket(void);			/* AF_UNIX stream, non-blocking */
int os_pipe(int ret[2]);
int os_dup(int fd);
/* Makes number `fd` mean what `by` means; the number is never free. */
int os_replace(int by, int fd);
int os_set_blocking(int fd, bool blocking);

/* An environment variable, NULL where the program runs with foreign rights. */
const char *os_getenv(const char *name);
void os_name_thread(const char *name);

#endif
