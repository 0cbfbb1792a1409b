/*
 * A utun is a socket of datagrams, each a packet behind its address family in
 * network order (utun_output() and utun_ctl_send(), bsd/net/if_utun.c of XNU).
 * Here that comes and goes in a piece of its own, without a copy.
 */
#include "packet.h"

#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
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

/* --- several ------------------------------------------------------------ */

/* A struct msghdr_x (bsd/sys/socket_private.h). */
struct message {
	void *name;
	socklen_t name_len;
	struct iovec *pieces;
	int n_pieces;
	void *control;
	socklen_t control_len;
	int flags;
	size_t len;
};

typedef ssize_t several(int sock, struct message *messages, unsigned n,
			int flags);

/* Not in any header, and of no promise: there, or not. */
static several *read_several, *write_several;
static pthread_once_t sought = PTHREAD_ONCE_INIT;

static void seek(void)
{
	*(void **)&read_several = dlsym(RTLD_DEFAULT, "recvmsg_x");
	*(void **)&write_several = dlsym(RTLD_DEFAULT, "sendmsg_x");
}

/* n packets as messages, each behind its family. */
struct batch {
	uint8_t families[TTD_BATCH_MAX][FAMILY_LEN];
	struct iovec pieces[TTD_BATCH_MAX][2];
	struct message messages[TTD_BATCH_MAX];
};

static void batch_put(struct batch *b, unsigned i, void *data, size_t len)
{
	b->pieces[i][0] = (struct iovec){ b->families[i], FAMILY_LEN };
	b->pieces[i][1] = (struct iovec){ data, len };
	b->messages[i] = (struct message){ .pieces = b->pieces[i],
					   .n_pieces = 2 };
}

bool packet_several(void)
{
	pthread_once(&sought, seek);
	return read_several != NULL;
}

static int read_first(int fd, struct ttd_packet *packet)
{
	int r = packet_read(fd, packet->data, packet->len);

	if (r < 0)
		return r;
	packet->len = (uint32_t)r;
	return 1;
}

/* Where that call is not there, or fails, one packet says what there is. */
int packet_read_some(int fd, struct ttd_packet *packets, unsigned n)
{
	struct batch b;
	ssize_t got;
	int i;

	if (!packet_several() || n < 2)
		return read_first(fd, packets);
	for (unsigned k = 0; k < n; k++)
		batch_put(&b, k, packets[k].data, packets[k].len);
	got = read_several(fd, b.messages, n, MSG_DONTWAIT);
	if (got <= 0)
		return read_first(fd, packets);
	for (i = 0; i < got && b.messages[i].len > FAMILY_LEN; i++)
		packets[i].len = (uint32_t)(b.messages[i].len - FAMILY_LEN);
	return i > 0 ? i : -EIO;
}

int packet_write_some(int fd, const struct ttd_packet *packets, unsigned n)
{
	unsigned k = 0;
	struct batch b;
	ssize_t sent;
	int r;

	pthread_once(&sought, seek);
	for (; write_several && k < n && put_family(b.families[k],
						    packets[k].data); k++)
		batch_put(&b, k, packets[k].data, packets[k].len);
	sent = k > 1 ? write_several(fd, b.messages, k, MSG_DONTWAIT) : 0;
	if (sent > 0)
		return (int)sent;
	r = packet_write(fd, packets[0].data, packets[0].len);
	return r < 0 ? r : 1;
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
