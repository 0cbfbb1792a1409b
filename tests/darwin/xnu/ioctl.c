/* ioctl(): whose the request is. */
#include "kernel.h"

static const char *request_name(uint32_t request)
{
#define NAMED(name) \
	case XNU_##name: \
		return #name
	switch (request) {
	NAMED(FIOCLEX);
	NAMED(FIONCLEX);
	NAMED(FIONBIO);
	NAMED(FIONREAD);
	NAMED(CTLIOCGINFO);
	NAMED(SIOCSIFFLAGS);
	NAMED(SIOCGIFFLAGS);
	NAMED(SIOCDIFADDR);
	NAMED(SIOCAIFADDR);
	NAMED(SIOCGIFADDR);
	NAMED(SIOCGIFDSTADDR);
	NAMED(SIOCGIFNETMASK);
	NAMED(SIOCGIFMTU);
	NAMED(SIOCSIFMTU);
	NAMED(SIOCDIFADDR_IN6);
	NAMED(SIOCAIFADDR_IN6);
	default:
		die("ioctl() %#x is not known here", request);
	}
#undef NAMED
}

/*
 * bsd/net/if.c, ifioctl(): the interface first.  A family's requests go to the
 * socket's family; one that has no such requests says ENOTSUP or EOPNOTSUPP,
 * and so does utun_ioctl() then.
 */
static int address_request(struct file *file, uint32_t request, uint8_t *arg)
{
	struct interface *n = interface_named(arg);
	const bool six = request == XNU_SIOCAIFADDR_IN6 ||
			 request == XNU_SIOCDIFADDR_IN6;
	const bool add_or_del = request == XNU_SIOCAIFADDR ||
				request == XNU_SIOCDIFADDR;

	if (!n)
		return XNU_ENXIO;
	if (file->domain == XNU_AF_INET)
		return six ? XNU_EOPNOTSUPP : address_ioctl(request, n, arg);
	if (file->domain == XNU_AF_INET6)	/* in6_control() */
		return six ? address6_ioctl(request, n, arg) : XNU_EINVAL;
	if (file->kind == KIND_CONTROL && add_or_del)
		return XNU_ENOTSUP;		/* ctl_ioctl() */
	return XNU_EOPNOTSUPP;
}

static int device_request(struct file *file, struct slot *slot,
			  uint32_t request, uint8_t *argument)
{
	switch (request) {
	case XNU_FIOCLEX:
	case XNU_FIONCLEX:
		slot->cloexec = request == XNU_FIOCLEX;
		return 0;
	case XNU_FIONBIO:
		file->nonblock = get32(argument) != 0;
		return 0;
	case XNU_FIONREAD:
		put32(argument, (uint32_t)file->in.bytes);
		return 0;
	case XNU_CTLIOCGINFO:
		if (file->kind == KIND_CONTROL)
			return utun_info(argument);
		/* in_control() without an interface; the others have none. */
		return file->kind == KIND_INET ? XNU_ENXIO : XNU_EOPNOTSUPP;
	case XNU_SIOCSIFFLAGS:
	case XNU_SIOCGIFFLAGS:
	case XNU_SIOCGIFMTU:
	case XNU_SIOCSIFMTU:
		return link_ioctl(request, argument);
	default:
		return address_request(file, request, argument);
	}
}

/* What the request says, for the trace. */
static void decode(uint32_t request, const uint8_t *arg, struct text *text)
{
	const uint8_t *value = arg + XNU_IFR_VALUE;
	uint8_t mask[16] = { 0 };

	if (request == XNU_CTLIOCGINFO) {
		text_add(text, ", %.95s",
			 (const char *)arg + XNU_CTL_INFO_NAME);
		return;
	}
	if ((request >> 8 & 0xff) != 'i')
		return;
	text_add(text, ", %.15s", (const char *)arg);
	switch (request) {
	case XNU_SIOCAIFADDR:
		text_add(text, ", %s -> %s, mask %s",
			 show_ip(XNU_AF_INET, value + XNU_SIN_ADDR),
			 show_ip(XNU_AF_INET,
				 arg + XNU_IFRA_DST + XNU_SIN_ADDR),
			 show_ip(XNU_AF_INET,
				 arg + XNU_IFRA_MASK + XNU_SIN_ADDR));
		break;
	case XNU_SIOCAIFADDR_IN6:
		memcpy(mask, arg + XNU_IFRA6_MASK + XNU_SIN6_ADDR, 16);
		text_add(text, ", %s, mask %s, valid %#x, preferred %#x",
			 show_ip(XNU_AF_INET6, value + XNU_SIN6_ADDR),
			 show_ip(XNU_AF_INET6, mask),
			 get32(arg + XNU_IFRA6_VLTIME),
			 get32(arg + XNU_IFRA6_PLTIME));
		break;
	case XNU_SIOCDIFADDR:
		text_add(text, ", %s",
			 show_ip(XNU_AF_INET, value + XNU_SIN_ADDR));
		break;
	case XNU_SIOCDIFADDR_IN6:
		text_add(text, ", %s",
			 show_ip(XNU_AF_INET6, value + XNU_SIN6_ADDR));
		break;
	case XNU_SIOCSIFMTU:
		text_add(text, ", %d", (int)get32(value));
		break;
	case XNU_SIOCSIFFLAGS:
		text_add(text, ", %#x", get16(value));
		break;
	default:
		break;
	}
}

/*
 * The request's own size is what is copied in, and out again when it succeeds:
 * kern/sys_generic.c, ioctl().
 */
int xnu_ioctl(int fd, unsigned long request, void *argument)
{
	struct file *file = file_of(fd);
	const uint32_t number = (uint32_t)request;
	const size_t size = XNU_IOC_SIZE(number);
	const char *name = request_name(number);
	struct text said = { 0 };
	uint8_t copy[512] = { 0 };
	bool works;
	int error;

	if (size > sizeof(copy))
		die("%s with %zu bytes", name, size);
	if (number & XNU_IOC_IN)
		memcpy(copy, argument, size);
	decode(number, copy, &said);
	works = begin("ioctl", name, "%d, %s%s", fd, name,
		      said.bytes ? said.bytes : "");
	text_clear(&said);
	if (!works)
		return (int)end(xnu_errno, 0);
	error = file ? device_request(file, &kern.fds[fd - XNU_FIRST_FD],
				      number, copy)
		     : XNU_EBADF;
	if (!error && number & XNU_IOC_OUT)
		memcpy(argument, copy, size);
	return (int)end(error, 0);
}
