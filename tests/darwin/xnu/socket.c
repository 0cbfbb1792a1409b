/* Sockets by their fds: bsd/kern/uipc_syscalls.c, kern_descrip.c. */
#include <stdlib.h>

#include "kernel.h"

struct kernel kern;

struct file *file_new(enum kind kind, int domain, int type, int protocol)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		die("no memory");
	file->kind = kind;
	file->domain = domain;
	file->type = type;
	file->protocol = protocol;
	/* uipc_socket.c, socreate_internal(): SS_PRIV is of that moment. */
	file->privileged = kern.euid == 0;
	file->loopback = kind == KIND_ROUTE;	/* rts_attach() */
	return file;
}

struct file *file_of(int fd)
{
	if (fd < XNU_FIRST_FD || fd >= XNU_FIRST_FD + XNU_FDS)
		return NULL;
	return kern.fds[fd - XNU_FIRST_FD].file;
}

/* fdalloc(): the lowest that is free, and stays open at exec unless said. */
int fd_new(struct file *file, int from, bool cloexec)
{
	for (int i = from; i < XNU_FDS; i++) {
		struct slot *slot = &kern.fds[i];

		if (slot->file)
			continue;
		*slot = (struct slot){ .file = file, .cloexec = cloexec };
		file->refs++;
		return XNU_FIRST_FD + i;
	}
	return -1;
}

void file_hold(struct file *file)
{
	file->refs++;
}

/* soo_close(): the last reference ends it, also one in flight. */
void file_drop(struct file *file)
{
	if (--file->refs)
		return;
	if (file->kind == KIND_CONTROL)
		utun_gone(file);
	else if (file->kind == KIND_LOCAL)
		local_gone(file);
	else if (file->kind == KIND_FILE)
		file_gone(file);
	queue_clear(&file->in);
	free(file);
}

void fds_reset(void)
{
	for (unsigned i = 0; i < XNU_FDS; i++) {
		struct file *file = kern.fds[i].file;

		kern.fds[i] = (struct slot){ 0 };
		if (file)
			file_drop(file);
	}
}

/* --- socket() --- */

/*
 * uipc_socket.c, socreate_internal(): an unknown domain, then a protocol that
 * is known for another type, then the rest.  The type has no flags.
 */
static int which_kind(int domain, int type, int protocol, enum kind *kind)
{
	switch (domain) {
	case XNU_AF_SYSTEM:
		*kind = KIND_CONTROL;
		if (protocol == XNU_SYSPROTO_EVENT)
			die("kernel events are not known here");
		if (type != XNU_SOCK_DGRAM && type != XNU_SOCK_STREAM)
			return protocol ? XNU_EPROTOTYPE : XNU_EPROTONOSUPPORT;
		return protocol == 0 || protocol == XNU_SYSPROTO_CONTROL
			       ? 0
			       : XNU_EPROTONOSUPPORT;
	case XNU_AF_ROUTE:
		*kind = KIND_ROUTE;
		return type == XNU_SOCK_RAW ? 0 : XNU_EPROTONOSUPPORT;
	case XNU_AF_INET:
	case XNU_AF_INET6:
		*kind = KIND_INET;
		if (type != XNU_SOCK_DGRAM && type != XNU_SOCK_STREAM)
			die("a socket of family %d, type %#x: not known here",
			    domain, (unsigned)type);
		return 0;
	case XNU_AF_UNIX:
		*kind = KIND_LOCAL;
		if (type != XNU_SOCK_DGRAM && type != XNU_SOCK_STREAM)
			return XNU_EPROTONOSUPPORT;
		return protocol ? XNU_EPROTONOSUPPORT : 0;
	default:
		return XNU_EAFNOSUPPORT;
	}
}

int xnu_socket(int domain, int type, int protocol)
{
	enum kind kind;
	int error, fd = -1;

	if (!begin("socket", NULL, "%d, %#x, %d", domain, (unsigned)type,
		   protocol))
		return (int)end(xnu_errno, 0);
	error = which_kind(domain, type, protocol, &kind);
	if (!error) {
		struct file *file = file_new(kind, domain, type, protocol);

		fd = fd_new(file, 0, false);
		if (fd < 0) {
			error = XNU_EMFILE;
			free(file);
		}
	}
	return (int)end(error, fd);
}

int xnu_connect(int fd, const void *name, uint32_t len)
{
	struct file *file = file_of(fd);
	const uint8_t *bytes = name;
	int error;

	if (!begin("connect", NULL, "%d, id %u, unit %u, len %u", fd,
		   len >= XNU_SOCKADDR_CTL_SIZE ? get32(bytes + XNU_SC_ID) : 0,
		   len >= XNU_SOCKADDR_CTL_SIZE ? get32(bytes + XNU_SC_UNIT)
						: 0,
		   len))
		return (int)end(xnu_errno, 0);
	if (file && file->kind != KIND_CONTROL)
		die("connect() of a socket of family %d: not known here",
		    file->domain);
	error = file ? utun_connect(file, bytes, len) : XNU_EBADF;
	return (int)end(error, 0);
}

/* --- fds --- */

static int set_flags(struct file *file, long flags)
{
	const long known = XNU_O_NONBLOCK | XNU_O_RDWR;

	if (flags & ~known)
		die("F_SETFL with %#lx is not known here", flags);
	file->nonblock = flags & XNU_O_NONBLOCK;
	return 0;
}

static const char *fcntl_name(int command)
{
	switch (command) {
	case XNU_F_DUPFD:
		return "F_DUPFD";
	case XNU_F_DUPFD_CLOEXEC:
		return "F_DUPFD_CLOEXEC";
	case XNU_F_GETFD:
		return "F_GETFD";
	case XNU_F_SETFD:
		return "F_SETFD";
	case XNU_F_GETFL:
		return "F_GETFL";
	case XNU_F_SETFL:
		return "F_SETFL";
	case XNU_F_SETNOSIGPIPE:
		return "F_SETNOSIGPIPE";
	case XNU_F_GETNOSIGPIPE:
		return "F_GETNOSIGPIPE";
	default:
		die("fcntl() %d is not known here", command);
	}
}

static int duplicate(struct file *file, long from, bool cloexec, int *fd)
{
	long first = from - XNU_FIRST_FD;

	if (from < 0)
		return XNU_EINVAL;
	first = first < 0 ? 0 : first;
	*fd = first < XNU_FDS ? fd_new(file, (int)first, cloexec) : -1;
	return *fd < 0 ? XNU_EMFILE : 0;
}

int xnu_fcntl(int fd, int command, long argument)
{
	struct file *file = file_of(fd);
	struct slot *slot = file ? &kern.fds[fd - XNU_FIRST_FD] : NULL;
	int error = 0, result = 0;

	if (!begin("fcntl", fcntl_name(command), "%d, %s, %ld", fd,
		   fcntl_name(command), argument))
		return (int)end(xnu_errno, 0);
	if (!file)
		return (int)end(XNU_EBADF, 0);
	switch (command) {
	case XNU_F_GETFD:
		result = slot->cloexec ? XNU_FD_CLOEXEC : 0;
		break;
	case XNU_F_SETFD:
		slot->cloexec = argument & XNU_FD_CLOEXEC;
		break;
	case XNU_F_GETFL:
		result = XNU_O_RDWR | (file->nonblock ? XNU_O_NONBLOCK : 0);
		break;
	case XNU_F_SETFL:
		error = set_flags(file, argument);
		break;
	case XNU_F_SETNOSIGPIPE:
		file->nosigpipe = argument != 0;
		break;
	case XNU_F_GETNOSIGPIPE:
		result = file->nosigpipe;
		break;
	default:
		error = duplicate(file, argument,
				  command == XNU_F_DUPFD_CLOEXEC, &result);
		break;
	}
	return (int)end(error, result);
}

int xnu_dup(int fd)
{
	struct file *file = file_of(fd);
	int error, result = -1;

	if (!begin("dup", NULL, "%d", fd))
		return (int)end(xnu_errno, 0);
	error = file ? duplicate(file, 0, false, &result) : XNU_EBADF;
	return (int)end(error, result);
}

/* kern_descrip.c, dup2(): what was there is closed; the same number is left. */
int xnu_dup2(int fd, int wanted)
{
	struct file *file = file_of(fd), *old = file_of(wanted);

	if (!begin("dup2", NULL, "%d, %d", fd, wanted))
		return (int)end(xnu_errno, 0);
	if (!file || wanted < XNU_FIRST_FD || wanted >= XNU_FIRST_FD + XNU_FDS)
		return (int)end(XNU_EBADF, 0);
	if (fd == wanted)
		return (int)end(0, wanted);
	file_hold(file);
	kern.fds[wanted - XNU_FIRST_FD] = (struct slot){ .file = file };
	if (old)
		file_drop(old);
	return (int)end(0, wanted);
}

int xnu_close(int fd)
{
	struct file *file = file_of(fd);
	const bool works = begin("close", NULL, "%d", fd);
	const int error = works ? 0 : xnu_errno;

	if (!file)
		return (int)end(XNU_EBADF, 0);
	kern.fds[fd - XNU_FIRST_FD] = (struct slot){ 0 };
	file_drop(file);
	return (int)end(error, 0);
}

/*
 * uipc_socket.c, soshutdownlock_final(), sorflush(): of a routing socket, which
 * counts as connected.  What has come is gone, and nothing comes any more.
 */
int xnu_shutdown(int fd, int how)
{
	struct file *file = file_of(fd);

	if (!begin("shutdown", NULL, "%d, %d", fd, how))
		return (int)end(xnu_errno, 0);
	if (!file)
		return (int)end(XNU_EBADF, 0);
	if (how < XNU_SHUT_RD || how > XNU_SHUT_RDWR)
		return (int)end(XNU_EINVAL, 0);
	if (file->kind != KIND_ROUTE || how != XNU_SHUT_RD)
		die("shutdown(%d) of a socket of family %d: not known here",
		    how, file->domain);
	if (file->receives_no_more)
		return (int)end(XNU_ENOTCONN, 0);
	file->receives_no_more = true;
	queue_clear(&file->in);
	return (int)end(0, 0);
}

/* --- proc_pidfdinfo() --- */

/*
 * bsd/kern/proc_info.c, proc_pidfdinfo(), pid_socketinfo(), fill_fileinfo():
 * as many bytes as there is to tell, where there is room for them.  SHARED is
 * fg_count of the file, of all that refers to it: fds of whomever, and those
 * that are on their way.  libproc's function is 0 where the call fails.
 */
int xnu_proc_pidfdinfo(int pid, int fd, int flavor, void *info, int size)
{
	const struct file *file = file_of(fd);
	int error = 0;

	(void)pid;	/* its own */
	if (!begin("proc_pidfdinfo", NULL, "%d, %d", fd, flavor)) {
		end(xnu_errno, 0);
		return 0;
	}
	if (flavor != XNU_PROC_PIDFDSOCKETINFO)
		die("proc_pidfdinfo(%d) is not known here", flavor);
	if (size < XNU_SOCKET_FDINFO_SIZE)
		error = XNU_ENOMEM;
	else if (!file)
		error = XNU_EBADF;
	if (error) {
		end(error, 0);
		return 0;
	}
	memset(info, 0, XNU_SOCKET_FDINFO_SIZE);
	put32((uint8_t *)info + XNU_FI_STATUS,
	      (file->refs > 1 ? XNU_PROC_FP_SHARED : 0u) |
	      (kern.fds[fd - XNU_FIRST_FD].cloexec ? XNU_PROC_FP_CLEXEC : 0u));
	return (int)end(0, XNU_SOCKET_FDINFO_SIZE);
}

/* --- poll() --- */

#define POLLFD_SIZE	8

static uint16_t ready(const struct file *file, uint16_t wanted)
{
	uint16_t events = XNU_POLLOUT;

	if (!file)
		return XNU_POLLNVAL;
	if (file->in.first || file->receives_no_more)
		events |= XNU_POLLIN;
	if (file->peer_gone)
		return (uint16_t)(((events | XNU_POLLIN) & wanted) |
				  XNU_POLLHUP);
	return events & wanted;
}

/* Nothing else happens meanwhile: to wait for ever is the test's end. */
int xnu_poll(void *pollfds, unsigned n, int timeout)
{
	int found = 0;

	if (!begin("poll", NULL, "%u, %d ms", n, timeout))
		return (int)end(xnu_errno, 0);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *each = (uint8_t *)pollfds + (size_t)POLLFD_SIZE * i;
		const int fd = (int)get32(each);
		const uint16_t events =
			fd < 0 ? 0 : ready(file_of(fd), get16(each + 4));

		put16(each + 6, events);
		found += events != 0;
	}
	if (!found && timeout < 0)
		die("poll() would wait for ever");
	return (int)end(0, found);
}

uint32_t xnu_bound_if(int fd)
{
	if (!file_of(fd))
		die("the test asks for fd %d, which is closed", fd);
	return file_of(fd)->bound_if;
}

bool xnu_closes_on_exec(int fd)
{
	if (!file_of(fd))
		die("the test asks for fd %d, which is closed", fd);
	return kern.fds[fd - XNU_FIRST_FD].cloexec;
}
