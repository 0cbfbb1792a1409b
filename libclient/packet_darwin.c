/*
 * A utun is a socket of datagrams, each a packet behind its address family in
 * network order (utun_output() and utun_ctl_send(), bsd/net/if_utun.c of XNU).
 * Here that comes and goes in a piece of its own, without a copy.
 */
#include "packet.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Of XNU, by their numbers: of some there is no header but Apple's, and the
 * tests run this elsewhere, where a family has another number.
 */
#define CONTROL		2	/* SYSPROTO_CONTROL */
#define CONTROL_NAME	2	/* UTUN_OPT_IFNAME */
#define FAMILY_IPV4	2	/* AF_INET */
#define FAMILY_IPV6	30	/* AF_INET6 */
#define FAMILY_LEN	4

#define PIECES_MAX	(2 + TTD_BATCH_MAX)	/* see send_joined() */

bool packet_any_name(void)
{
	return false;
}

int packet_read(int fd, void *buf, size_t cap)
{
	uint8_t family[FAMILY_LEN];
	const struct iovec pieces[] = {
		{ family, sizeof(family) }, { buf, cap },
	};
	ssize_t n;

	do
		n = readv(fd, pieces, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	/* 0: ctl_disconnect() in bsd/kern/kern_control.c, the device is gone */
	return n < FAMILY_LEN ? -EIO : (int)n - FAMILY_LEN;
}

/* By the version of the packet.  False if there is none. */
static bool put_family(uint8_t family[FAMILY_LEN], const uint8_t *packet)
{
	memset(family, 0, FAMILY_LEN);
	switch (packet[0] >> 4) {
	case 4:
		family[FAMILY_LEN - 1] = FAMILY_IPV4;
		return true;
	case 6:
		family[FAMILY_LEN - 1] = FAMILY_IPV6;
		return true;
	}
	return false;
}

int packet_write_pieces(int fd, const struct iovec *pieces, int n, size_t len)
{
	struct iovec all[1 + PIECES_MAX];
	uint8_t family[FAMILY_LEN];
	ssize_t written;

	if (n < 1 || n > PIECES_MAX || pieces[0].iov_len == 0 ||
	    !put_family(family, pieces[0].iov_base))
		return -EINVAL;
	all[0] = (struct iovec){ family, sizeof(family) };
	memcpy(all + 1, pieces, (size_t)n * sizeof(*pieces));
	do
		written = writev(fd, all, n + 1);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)written == FAMILY_LEN + len ? 0 : -EIO;
}

int packet_write(int fd, const void *buf, size_t len)
{
	const struct iovec piece = { (void *)(uintptr_t)buf, len };

	return packet_write_pieces(fd, &piece, 1, len);
}

/* There are no super-packets. */
bool packet_offload(int fd)
{
	(void)fd;
	return false;
}

int packet_name(int fd, char *buf)
{
	char name[IFNAMSIZ] = "";
	socklen_t len = sizeof(name);

	if (getsockopt(fd, CONTROL, CONTROL_NAME, name, &len) < 0)
		return -errno;
	name[IFNAMSIZ - 1] = '\0';
	memcpy(buf, name, IFNAMSIZ);
	return 0;
}

/* ctl_ctloutput() and utun_ctl_getopt(): EINVAL once it is disconnected. */
bool packet_gone(int fd)
{
	char name[IFNAMSIZ];

	return packet_name(fd, name) == -EINVAL;
}

enum packet_verdict packet_judge(int fd, int error, bool writing)
{
	switch (-error) {
	case EAGAIN:
	case EMSGSIZE:
	case EFAULT:		/* the caller's buffer */
		return PACKET_LOST;
	case EINVAL:		/* put_family(); or it is gone, see below */
	case ENOMEM:
	case ENOBUFS:
		if (writing && !packet_gone(fd))
			return PACKET_LOST;
		break;
	case ENETDOWN:
		if (writing)
			return PACKET_DOWN;
		break;
	}
	return packet_gone(fd) ? PACKET_GONE : PACKET_FAILED;
}

/* A TAP has one, and there is none. */
int packet_hwaddr(int fd, uint8_t ret[6])
{
	(void)fd;
	(void)ret;
	return -EOPNOTSUPP;
}
