/* Options of sockets: bsd/kern/uipc_socket.c, and each protocol's. */
#include "kernel.h"

static const char *option_name(const struct file *file, int level, int option)
{
	if (level == XNU_SYSPROTO_CONTROL && file &&
	    file->kind == KIND_CONTROL) {
		if (option == XNU_UTUN_OPT_IFNAME)
			return "UTUN_OPT_IFNAME";
		if (option == XNU_UTUN_OPT_MAX_PENDING_PACKETS)
			return "UTUN_OPT_MAX_PENDING_PACKETS";
	}
	if (level == XNU_SOL_SOCKET && option == XNU_SO_NOSIGPIPE)
		return "SO_NOSIGPIPE";
	if (level == XNU_SOL_SOCKET && option == XNU_SO_USELOOPBACK)
		return "SO_USELOOPBACK";
	if (level == XNU_SOL_LOCAL && option == XNU_LOCAL_PEERCRED && file &&
	    file->kind == KIND_LOCAL)
		return "LOCAL_PEERCRED";
	if (level == XNU_IPPROTO_IP && option == XNU_IP_BOUND_IF)
		return "IP_BOUND_IF";
	if (level == XNU_IPPROTO_IPV6 && option == XNU_IPV6_BOUND_IF)
		return "IPV6_BOUND_IF";
	return NULL;
}

/* uipc_socket.c, sogetoptlock(): an int, or as much of it as there is room. */
static int get_int(int number, void *value, uint32_t *len)
{
	if (*len > sizeof(number))
		*len = sizeof(number);
	memcpy(value, &number, *len);
	return 0;
}

static int socket_getopt(struct file *file, int option, void *value,
			 uint32_t *len)
{
	switch (option) {
	case XNU_SO_NOSIGPIPE:
		return get_int(file->nosigpipe, value, len);
	case XNU_SO_USELOOPBACK:
		return get_int(file->loopback ? XNU_SO_USELOOPBACK : 0, value,
			       len);
	case XNU_SO_TYPE:
		return get_int(file->type, value, len);
	case XNU_SO_ERROR:
		return get_int(0, value, len);
	default:
		die("getsockopt(SOL_SOCKET, %#x) is not known here",
		    (unsigned)option);
	}
}

static int level_getopt(struct file *file, int level, int option, void *value,
			uint32_t *len)
{
	if (level == XNU_SOL_SOCKET)
		return socket_getopt(file, option, value, len);
	switch (file->kind) {
	case KIND_CONTROL:	/* kern_control.c, ctl_ctloutput() */
		return level == XNU_SYSPROTO_CONTROL
			       ? utun_getopt(file, option, value, len)
			       : XNU_EINVAL;
	case KIND_LOCAL:
		return local_getopt(file, option, value, len);
	case KIND_ROUTE:	/* no pr_ctloutput */
		return XNU_ENOPROTOOPT;
	default:
		die("getsockopt(%d, %d) is not known here", level, option);
	}
}

int xnu_getsockopt(int fd, int level, int option, void *value, uint32_t *len)
{
	struct file *file = file_of(fd);
	const char *name = option_name(file, level, option);
	int error;

	if (!begin("getsockopt", name, "%d, %d, %s%d, len %u", fd, level,
		   name ? name : "", option, *len))
		return (int)end(xnu_errno, 0);
	error = file ? level_getopt(file, level, option, value, len)
		     : XNU_EBADF;
	return (int)end(error, 0);
}

/* sooptcopyin() of an int: less is EINVAL, more is not looked at. */
static int socket_setopt(struct file *file, int option, const void *value,
			 uint32_t len)
{
	switch (option) {
	case XNU_SO_NOSIGPIPE:
	case XNU_SO_USELOOPBACK:
	case XNU_SO_RCVBUF:
	case XNU_SO_SNDBUF:
		if (len < sizeof(uint32_t))
			return XNU_EINVAL;
		break;
	case XNU_SO_RCVTIMEO:
	case XNU_SO_SNDTIMEO:
		if (len < XNU_TIMEVAL_SIZE)
			return XNU_EINVAL;
		break;
	default:
		die("setsockopt(SOL_SOCKET, %#x) is not known here",
		    (unsigned)option);
	}
	if (option == XNU_SO_RCVTIMEO)	/* seconds, and microseconds */
		file->times_out = get64(value) ||
				  get32((const uint8_t *)value + 8);
	else if (option == XNU_SO_SNDTIMEO)
		return 0;	/* nothing sent ever waits here */
	else if (option == XNU_SO_NOSIGPIPE)
		file->nosigpipe = get32(value) != 0;
	else if (option == XNU_SO_USELOOPBACK)
		file->loopback = get32(value) != 0;
	else if (get32(value) == 0)
		return XNU_EINVAL;	/* a buffer of nothing */
	return 0;
}

/* bsd/netinet/in_pcb.c, inp_bindif(): ENXIO for an index of none; 0 unbinds. */
static int bind_interface(struct file *file, int level, int option,
			  const void *value, uint32_t len)
{
	const bool fits = (file->domain == XNU_AF_INET &&
			   level == XNU_IPPROTO_IP &&
			   option == XNU_IP_BOUND_IF) ||
			  (file->domain == XNU_AF_INET6 &&
			   level == XNU_IPPROTO_IPV6 &&
			   option == XNU_IPV6_BOUND_IF);

	if (!fits)
		die("setsockopt(%d, %d) for family %d is not known here", level,
		    option, file->domain);
	if (len < sizeof(uint32_t))
		return XNU_EINVAL;
	if (get32(value) && !interface_at(get32(value)))
		return XNU_ENXIO;
	file->bound_if = get32(value);
	return 0;
}

static int level_setopt(struct file *file, int level, int option,
			const void *value, uint32_t len)
{
	if (level == XNU_SOL_SOCKET)
		return socket_setopt(file, option, value, len);
	switch (file->kind) {
	case KIND_CONTROL:
		return level == XNU_SYSPROTO_CONTROL
			       ? utun_setopt(file, option, value, len)
			       : XNU_EINVAL;
	case KIND_LOCAL:	/* uipc_ctloutput() */
		return XNU_EOPNOTSUPP;
	case KIND_ROUTE:
		return XNU_ENOPROTOOPT;
	default:
		return bind_interface(file, level, option, value, len);
	}
}

int xnu_setsockopt(int fd, int level, int option, const void *value,
		   uint32_t len)
{
	struct file *file = file_of(fd);
	const char *name = option_name(file, level, option);
	int error;

	if (!begin("setsockopt", name, "%d, %d, %s%d, %d, len %u", fd, level,
		   name ? name : "", option,
		   value && len >= sizeof(uint32_t) ? (int)get32(value) : 0,
		   len))
		return (int)end(xnu_errno, 0);
	if (!value && len)
		error = XNU_EFAULT;
	else
		error = file ? level_setopt(file, level, option, value, len)
			     : XNU_EBADF;
	return (int)end(error, 0);
}
