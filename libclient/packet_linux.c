#include "packet.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Linux 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

bool packet_any_name(void)
{
	return true;
}

/* tun_chr_read_iter in drivers/net/tun.c: what does not fit is cut silently. */
int packet_read(int fd, void *buf, size_t cap)
{
	ssize_t n;

	do
		n = read(fd, buf, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (int)n;
}

int packet_write(int fd, const void *buf, size_t len)
{
	ssize_t n;

	do
		n = write(fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	/* tun takes the whole or nothing (tun_get_user) */
	return (size_t)n == len ? 0 : -EIO;
}

int packet_write_pieces(int fd, const struct iovec *pieces, int n, size_t len)
{
	ssize_t written;

	do
		written = writev(fd, pieces, n);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)written == len ? 0 : -EIO;
}

/* There is none for a tun: read(2) and write(2) are all that it has. */
bool packet_several(void)
{
	return false;
}

int packet_read_some(int fd, struct ttd_packet *packets, unsigned n)
{
	int r = packet_read(fd, packets[0].data, packets[0].len);

	(void)n;
	if (r < 0)
		return r;
	packets[0].len = (uint32_t)r;
	return 1;
}

int packet_write_some(int fd, const struct ttd_packet *packets, unsigned n)
{
	int r = packet_write(fd, packets[0].data, packets[0].len);

	(void)n;
	return r < 0 ? r : 1;
}

bool packet_offload(int fd)
{
	static const unsigned wishes[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN |
			TUN_F_USO4 | TUN_F_USO6,	/* Linux 6.2 */
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM,
	};

	for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++)
		if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)wishes[i]) == 0)
			return wishes[i] & TUN_F_USO4;
	return false;
}

/* tun_get of drivers/net/tun.c finds nothing once the device was deleted. */
bool packet_gone(int fd)
{
	struct ifreq ifr = { 0 };

	return ioctl(fd, TUNGETIFF, &ifr) < 0 && errno == EBADFD;
}

/*
 * EBADFD, EFAULT and EIO are what the device gives when it is gone (tun_get,
 * tun_ring_recv), but each has a second meaning; the device itself is asked.
 */
enum packet_verdict packet_judge(int fd, int error, bool writing)
{
	switch (-error) {
	case EAGAIN:
	case EMSGSIZE:
		return PACKET_LOST;
	case EINVAL:		/* tun_get_user: not IP, or too short */
	case ENOMEM:
	case ENOBUFS:
		if (writing)
			return PACKET_LOST;
		break;
	}
	if (packet_gone(fd))
		return PACKET_GONE;
	if (error == -EFAULT)	/* the caller's buffer, then */
		return PACKET_LOST;
	if (writing && error == -EIO)	/* tun_get_user: not IFF_UP */
		return PACKET_DOWN;
	return PACKET_FAILED;
}

int packet_name(int fd, char *buf)
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	memcpy(buf, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

/* __tun_chr_ioctl answers it for the fd's own device, whatever its name. */
int packet_hwaddr(int fd, uint8_t ret[6])
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(ret, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}
