#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Linux 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

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

/* The header is in the host's byte order (tun16_to_cpu, drivers/net/tun.c). */
void packet_header_read(const uint8_t header[PACKET_HEADER],
			struct ttd_packet *ret)
{
	struct virtio_net_hdr h;

	_Static_assert(sizeof(h) == PACKET_HEADER, "another header");
	memcpy(&h, header, sizeof(h));
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		ret->flags |= TTD_PKT_NEEDS_CSUM;
	ret->gso_type = h.gso_type;
	ret->gso_size = h.gso_size;
	ret->hdr_len = h.hdr_len;
	ret->csum_start = h.csum_start;
	ret->csum_offset = h.csum_offset;
}

void packet_header_write(uint8_t header[PACKET_HEADER],
			 const struct ttd_packet *packet)
{
	struct virtio_net_hdr h = {
		.flags = packet->flags & TTD_PKT_NEEDS_CSUM ?
			 VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
		.gso_type = (uint8_t)packet->gso_type,
		.gso_size = packet->gso_size,
		.hdr_len = packet->hdr_len,
		.csum_start = packet->csum_start,
		.csum_offset = packet->csum_offset,
	};

	memcpy(header, &h, sizeof(h));
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

void os_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int os_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int ms)
{
	struct timespec t;

	if (ms < 0)
		return -pthread_cond_wait(cond, mutex);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return -pthread_cond_timedwait(cond, mutex, &t);
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

	if (new >= 0)
		return new;
	/* EINVAL: even 0 is above the limit */
	return errno == EINVAL ? -EMFILE : -errno;
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

void os_wipe(void *secret, size_t n)
{
	explicit_bzero(secret, n);
}

const char *os_getenv(const char *name)
{
	return secure_getenv(name);
}

void os_name_thread(const char *name)
{
	pthread_setname_np(pthread_self(), name);
}
