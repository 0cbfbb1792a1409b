/* UNIX sockets, fds in them and who is behind: bsd/kern/uipc_usrreq.c. */
#include <stdlib.h>

#include "kernel.h"

#define PEER_PID	4321

/*
 * unp_internalize(): one message for fds, as long as all of the control data;
 * each an fd of the sender.  They hold what they refer to.
 */
int rights_take(const uint8_t *control, uint32_t len, struct packet *packet)
{
	unsigned n;

	if (len < XNU_CMSG_DATA)
		return XNU_EINVAL;
	if (get32(control + XNU_CMSG_TYPE) != XNU_SCM_RIGHTS ||
	    get32(control + XNU_CMSG_LEVEL) != XNU_SOL_SOCKET ||
	    get32(control + XNU_CMSG_LEN) != len)
		return XNU_EINVAL;
	n = (len - XNU_CMSG_DATA) / 4;
	if (n > XNU_RIGHTS)
		die("more than %d fds at once", XNU_RIGHTS);
	for (unsigned i = 0; i < n; i++) {
		if (!file_of((int)get32(control + XNU_CMSG_DATA + 4 * i)))
			return XNU_EBADF;
	}
	for (unsigned i = 0; i < n; i++) {
		struct file *file =
			file_of((int)get32(control + XNU_CMSG_DATA + 4 * i));

		file_hold(file);
		packet->rights[packet->n_rights++] = file;
	}
	return 0;
}

/* uipc_syscalls.c, copyout_control(): to whom there is room for it. */
static void tell_rights(uint8_t *whole, uint32_t n, uint8_t *control,
			uint32_t *len, int *flags)
{
	const uint32_t size = XNU_CMSG_DATA + 4 * n;

	put32(whole + XNU_CMSG_LEN, size);
	put32(whole + XNU_CMSG_LEVEL, XNU_SOL_SOCKET);
	put32(whole + XNU_CMSG_TYPE, XNU_SCM_RIGHTS);
	if (*len < size)
		*flags |= XNU_MSG_CTRUNC;
	else
		*len = size;
	memcpy(control, whole, *len);
}

/*
 * unp_externalize(): the fds are new ones and stay open at exec.  All are there
 * even if there was too little room to tell them (MSG_CTRUNC), or none and not
 * even that is told (uipc_socket.c, soreceive_ctl()): nobody can close those.
 */
void rights_give(struct packet *packet, uint8_t *control, uint32_t *len,
		 int *flags)
{
	uint8_t whole[XNU_CMSG_DATA + 4 * XNU_RIGHTS] = { 0 };

	for (unsigned i = 0; i < packet->n_rights; i++) {
		const int fd = fd_new(packet->rights[i], 0, false);

		if (fd < 0)
			die("no fd is free for one that is received");
		put32(whole + XNU_CMSG_DATA + 4 * i, (uint32_t)fd);
	}
	if (control)
		tell_rights(whole, packet->n_rights, control, len, flags);
}

/* uipc_socket.c, sopeek_scm_rights(): who peeks is told 0 for each. */
void rights_peek(const struct packet *packet, uint8_t *control, uint32_t *len,
		 int *flags)
{
	uint8_t whole[XNU_CMSG_DATA + 4 * XNU_RIGHTS] = { 0 };

	if (control)
		tell_rights(whole, packet->n_rights, control, len, flags);
}

/* uipc_send(): nobody there is EPIPE, and SIGPIPE unless one has said no. */
int local_send(struct file *file, struct packet *packet, int flags)
{
	if (!file->peer && !file->peer_gone) {
		packet_free(packet);
		return XNU_ENOTCONN;
	}
	if (!file->peer) {
		packet_free(packet);
		if (!file->nosigpipe && !(flags & XNU_MSG_NOSIGNAL))
			die("SIGPIPE: the peer has gone, and neither "
			    "SO_NOSIGPIPE nor MSG_NOSIGNAL was said");
		return XNU_EPIPE;
	}
	if (packet->len || packet->n_rights)
		queue_add(&file->peer->in, packet);
	else
		packet_free(packet);
	return 0;
}

void local_gone(struct file *file)
{
	if (!file->peer)
		return;
	file->peer->peer_gone = true;
	file->peer->peer = NULL;
}

/*
 * uipc_ctloutput(): who connected, as it was then; kept when the peer is gone.
 * Any level leads here.  The others ask the process that has the other end now.
 */
int local_getopt(struct file *file, int option, void *value, uint32_t *len)
{
	switch (option) {
	case XNU_LOCAL_PEERCRED:
		if (!file->has_cred)
			return file->type == XNU_SOCK_STREAM ? XNU_ENOTCONN
							     : XNU_EINVAL;
		if (*len > XNU_XUCRED_SIZE)
			*len = XNU_XUCRED_SIZE;
		memcpy(value, file->cred, *len);
		return 0;
	case XNU_LOCAL_PEERPID:
		if (!file->peer)
			return XNU_ENOTCONN;
		if (*len > 4)
			*len = 4;
		memcpy(value, &(uint32_t){ PEER_PID }, *len);
		return 0;
	default:
		die("LOCAL option %d is not known here", option);
	}
}

static void set_cred(struct file *file, uint32_t uid, const uint32_t *groups,
		     unsigned n)
{
	file->has_cred = true;
	memset(file->cred, 0, sizeof(file->cred));
	put32(file->cred, XNU_XUCRED_VERSION);
	put32(file->cred + XNU_XUCRED_UID, uid);
	if (n > XNU_XUCRED_GROUPS_MAX)
		n = XNU_XUCRED_GROUPS_MAX;
	put16(file->cred + XNU_XUCRED_NGROUPS, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		put32(file->cred + XNU_XUCRED_GROUPS + 4 * i, groups[i]);
}

static int make_pair(int fds[2], int type)
{
	struct file *ends[2];

	for (unsigned i = 0; i < 2; i++) {
		ends[i] = file_new(KIND_LOCAL, XNU_AF_UNIX, type, 0);
		fds[i] = fd_new(ends[i], 0, false);
		if (fds[i] < 0)
			die("no fd is free for a pair");
	}
	ends[0]->peer = ends[1];
	ends[1]->peer = ends[0];
	return 0;
}

int xnu_socketpair(int domain, int type, int protocol, int fds[2])
{
	static const uint32_t wheel;

	if (!begin("socketpair", NULL, "%d, %d, %d", domain, type, protocol))
		return (int)end(xnu_errno, 0);
	if (domain != XNU_AF_UNIX || type != XNU_SOCK_STREAM || protocol)
		die("socketpair(%d, %d, %d) is not known here", domain, type,
		    protocol);
	make_pair(fds, type);
	/* unp_connect2(): both are the caller's. */
	set_cred(file_of(fds[0]), kern.euid, &wheel, 1);
	set_cred(file_of(fds[1]), kern.euid, &wheel, 1);
	return (int)end(0, 0);
}

int xnu_accepted(uint32_t uid, const uint32_t *groups, unsigned n, int *client)
{
	int fds[2];

	make_pair(fds, XNU_SOCK_STREAM);
	set_cred(file_of(fds[0]), uid, groups, n);
	*client = fds[1];
	return fds[0];
}

/* Libc's getpeereid(): from LOCAL_PEERCRED, the first group is the gid. */
int xnu_getpeereid(int fd, uint32_t *uid, uint32_t *gid)
{
	const struct file *file = file_of(fd);
	int error = 0;

	if (!begin("getpeereid", NULL, "%d", fd))
		return (int)end(xnu_errno, 0);
	if (!file)
		error = XNU_EBADF;
	else if (file->kind != KIND_LOCAL || !file->has_cred)
		error = XNU_ENOTCONN;
	if (!error) {
		*uid = get32(file->cred + XNU_XUCRED_UID);
		*gid = get32(file->cred + XNU_XUCRED_GROUPS);
	}
	return (int)end(error, 0);
}
