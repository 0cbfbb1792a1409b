#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * A tun read cuts what does not fit without a word and returns the buffer's
 * size (tun_chr_read_iter in drivers/net/tun.c).  One byte more than the caller
 * has room for tells a cut packet from one that just fits.
 */
ssize_t packet_read(int fd, void *buf, size_t cap)
{
	char spare;
	struct iovec iov[] = { { buf, cap }, { &spare, 1 } };
	ssize_t n;

	do
		n = cap < PACKET_MAX ? readv(fd, iov, 2) : read(fd, buf, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)n > cap ? -EMSGSIZE : n;
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

int os_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int os_pipe(int ret[2])
{
	return pipe2(ret, O_CLOEXEC) < 0 ? -errno : 0;
}

int os_dup(int fd)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return new < 0 ? -errno : new;
}

int os_replace(int by, int fd)
{
	/* EBUSY: dup(2), a race with open(2) of the same number */
	while (dup3(by, fd, O_CLOEXEC) < 0)
		if (errno != EINTR && errno != EBUSY)
			return -errno;
	return 0;
}

int os_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

const char *os_getenv(const char *name)
{
	return secure_getenv(name);
}

void os_name_thread(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
