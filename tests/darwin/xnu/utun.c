/* The kernel control com.apple.net.utun_control, and its interfaces' life. */
#include <stdio.h>

#include "kernel.h"

#define CONTROL_NAME	"com.apple.net.utun_control"
#define CONTROL_ID	5	/* whatever came first at boot */
#define DEFAULT_MTU	1500
#define NAME_MAX_LEN	255	/* SOCK_MAXADDRLEN */
#define HEADER		4
#define IP4_HEADER	20
#define IP6_HEADER	40

/* Options of if_utun.h that a backend has no use for. */
static bool other_option(int option)
{
	return option == 1 || (option >= 3 && option <= 15) ||
	       (option > XNU_UTUN_OPT_MAX_PENDING_PACKETS && option <= 28);
}

/*
 * bsd/kern/kern_control.c, ctl_ioctl(): a name fills its field only with a zero
 * behind it, and must be known.  Anyone may ask.
 */
int utun_info(uint8_t *info)
{
	const char *name = (const char *)info + XNU_CTL_INFO_NAME;
	const size_t len = strnlen(name, XNU_CTL_NAME_MAX);

	if (len == 0 || len == XNU_CTL_NAME_MAX)
		return XNU_EINVAL;
	if (strcmp(name, CONTROL_NAME) != 0) {
		if (!strncmp(name, "com.apple.", strlen("com.apple.")))
			die("the kernel control %s is not known here", name);
		return XNU_ENOENT;
	}
	put32(info, CONTROL_ID);
	return 0;
}

/* A unit is taken until utun_detached(), longer than its interface is seen. */
static bool unit_taken(uint32_t unit)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		if (kern.interfaces[i].used && kern.interfaces[i].unit == unit)
			return true;
	}
	return false;
}

/* bsd/net/if_utun.c, utun_ctl_setup(). */
static int find_unit(uint32_t *unit)
{
	if (*unit > XNU_UNIT_MAX)
		die("utun unit %u: beyond ctl_maxunit", *unit);
	if (*unit)
		return unit_taken(*unit) ? XNU_EBUSY : 0;
	for (*unit = 1; *unit != XNU_UNIT_MAX; ++*unit) {
		if (!unit_taken(*unit))
			return 0;
	}
	return XNU_EBUSY;
}

/*
 * uipc_syscalls.c, getsockaddr(): sa_len becomes the length that was passed;
 * uipc_socket.c, soconnectlock(): not twice; kern_control.c, ctl_setup_kctl():
 * in this order length, id, type, right, unit.  Nobody looks at sc_family.
 */
static int may_connect(const struct file *file, const uint8_t *name,
		       uint32_t len, uint32_t *unit)
{
	if (len > NAME_MAX_LEN)
		return XNU_ENAMETOOLONG;
	if (len < 2)
		return XNU_EINVAL;
	if (file->connected)
		return XNU_EISCONN;
	if (len != XNU_SOCKADDR_CTL_SIZE)
		return XNU_EINVAL;
	if (get32(name + XNU_SC_ID) != CONTROL_ID)
		return XNU_ENOENT;
	if (file->type != XNU_SOCK_DGRAM)
		return XNU_EPROTOTYPE;
	if (kern.euid != 0)
		return XNU_EPERM;
	*unit = get32(name + XNU_SC_UNIT);
	return find_unit(unit);
}

/* bsd/net/if_utun.c, utun_ctl_connect(). */
int utun_connect(struct file *file, const uint8_t *name, uint32_t len)
{
	char text[XNU_IFNAMSIZ];
	struct interface *n;
	uint32_t unit = 0;
	int error;

	if (file->refused)
		die("connect() of a socket whose connect() was EBUSY: releases "
		    "without utun_ctl_setup() have disconnected it for good");
	error = may_connect(file, name, len, &unit);
	file->refused = error == XNU_EBUSY;
	if (error)
		return error;
	snprintf(text, sizeof(text), "utun%u", unit - 1);
	n = interface_new(text, XNU_IFF_UP | XNU_IFF_MULTICAST |
				XNU_IFF_POINTOPOINT | XNU_IFF_RUNNING,
			  DEFAULT_MTU);
	n->unit = unit;
	file->connected = true;
	file->unit = unit;
	file->index = n->index;
	file->max_pending = 1;		/* utun_ctl_bind() */
	return 0;
}

/* kern_control.c, ctl_ctloutput(): EINVAL while there is no control. */
int utun_getopt(struct file *file, int option, void *value, uint32_t *len)
{
	const struct interface *n;

	if (!file->connected)
		return XNU_EINVAL;
	switch (option) {
	case XNU_UTUN_OPT_IFNAME:	/* utun_ctl_getopt() */
		n = interface_at(file->index);
		if (*len < strlen(n->name) + 1)
			return XNU_EMSGSIZE;
		*len = (uint32_t)strlen(n->name) + 1;
		memcpy(value, n->name, *len);
		return 0;
	case XNU_UTUN_OPT_MAX_PENDING_PACKETS:
		if (*len != sizeof(file->max_pending))
			return XNU_EMSGSIZE;
		put32(value, file->max_pending);
		return 0;
	default:
		if (other_option(option))
			die("utun's option %d is not known here", option);
		return XNU_ENOPROTOOPT;
	}
}

/* bsd/net/if_utun.c, utun_ctl_setopt(): no right is asked for this one. */
int utun_setopt(struct file *file, int option, const void *value, uint32_t len)
{
	if (!file->connected)
		return XNU_EINVAL;
	if (option != XNU_UTUN_OPT_MAX_PENDING_PACKETS) {
		if (other_option(option))
			die("utun's option %d is not known here", option);
		return XNU_ENOPROTOOPT;
	}
	if (len != sizeof(file->max_pending))
		return XNU_EMSGSIZE;
	if (get32(value) == 0)
		return XNU_EINVAL;
	file->max_pending = get32(value);
	return 0;
}

/* A protocol is there from its first address on: in_domifattach() and 6's. */
static bool plumbed(const struct interface *n, int family)
{
	return first_address(n->index, family) != NULL;
}

/*
 * bsd/net/if_utun.c, utun_ctl_send(), utun_demux(): four bytes of family in
 * network order, then IP.  What is wrong is dropped, and the write succeeds.
 */
static bool is_taken(const struct interface *n, const struct packet *packet)
{
	static const uint8_t inet[HEADER] = { 0, 0, 0, XNU_AF_INET };
	static const uint8_t inet6[HEADER] = { 0, 0, 0, XNU_AF_INET6 };
	const uint8_t *ip = packet->bytes + HEADER;

	if (packet->len >= HEADER + IP4_HEADER &&
	    !memcmp(packet->bytes, inet, HEADER))
		return ip[0] >> 4 == 4 && plumbed(n, XNU_AF_INET);
	if (packet->len >= HEADER + IP6_HEADER &&
	    !memcmp(packet->bytes, inet6, HEADER))
		return ip[0] >> 4 == 6 && plumbed(n, XNU_AF_INET6);
	return false;
}

void utun_input(struct file *file, struct packet *packet)
{
	struct interface *n = interface_at(file->index);

	if (!(n->flags & XNU_IFF_UP))
		die("a packet into %s, which is down: not known", n->name);
	if (is_taken(n, packet)) {
		queue_add(&n->taken, packet);
		return;
	}
	n->not_taken++;
	packet_free(packet);
}

static struct file *file_behind(const struct interface *n)
{
	for (unsigned i = 0; i < XNU_FDS; i++) {
		struct file *file = kern.fds[i].file;

		if (file && file->connected && file->index == n->index)
			return file;
	}
	return NULL;
}

static struct interface *must_have(const char *name)
{
	uint8_t padded[XNU_IFNAMSIZ] = { 0 };
	struct interface *n;

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	n = interface_named(padded);
	if (!n)
		die("the test asks for %s, which does not exist", name);
	return n;
}

/*
 * bsd/net/if_utun.c, utun_start(): no more than max_pending wait at the socket,
 * but one always may.  What comes then is dropped here; XNU's own queue, which
 * would keep it for a while, is not played.
 */
bool xnu_send_into(const char *name, const void *packet, size_t len)
{
	const struct interface *n = must_have(name);
	struct file *file = file_behind(n);
	const uint8_t *ip = packet;
	struct packet *copy;

	if (!file || !(n->flags & XNU_IFF_UP))
		return false;
	if (file->in.count >= file->max_pending && file->in.count)
		return false;
	copy = packet_new(HEADER + len);
	copy->bytes[HEADER - 1] = ip[0] >> 4 == 4 ? XNU_AF_INET : XNU_AF_INET6;
	memcpy(copy->bytes + HEADER, packet, len);
	queue_add(&file->in, copy);
	return true;
}

size_t xnu_taken(const char *name, void *packet, size_t size)
{
	struct packet *first = queue_take(&must_have(name)->taken);
	size_t len;

	if (!first)
		return 0;
	len = first->len - HEADER;
	if (len > size)
		die("the test has %zu bytes for a packet of %zu", size, len);
	memcpy(packet, first->bytes + HEADER, len);
	packet_free(first);
	return len;
}

unsigned xnu_not_taken(const char *name)
{
	return must_have(name)->not_taken;
}

/* utun_detached(): only now the unit is free.  See interface_new(). */
static void detached(struct interface *n)
{
	const struct interface was = *n;

	queue_clear(&n->taken);
	*n = (struct interface){ .index = was.index };
	memcpy(n->name, was.name, sizeof(n->name));
}

/*
 * bsd/net/if_utun.c, utun_ctl_disconnect(): at the last close, addresses and
 * routes go at once, and the interface is not found any more; utun_detached()
 * comes later, from another thread.
 */
void utun_gone(struct file *file)
{
	struct interface *n;

	if (!file->connected)
		return;
	n = interface_at(file->index);
	interface_purge(n);
	n->detaching = true;
	n->detach_left = kern.detach_takes;
}

/* A call has begun: time passes. */
void detach_step(void)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		struct interface *n = &kern.interfaces[i];

		if (n->detaching && n->detach_left && --n->detach_left == 0)
			detached(n);
	}
}

void xnu_detach_takes(unsigned calls)
{
	kern.detach_takes = calls;
}

void xnu_settle(void)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		if (kern.interfaces[i].detaching)
			detached(&kern.interfaces[i]);
	}
	expire_step();
}
