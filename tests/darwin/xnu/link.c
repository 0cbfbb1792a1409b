/* Interfaces: their names, flags and MTU. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

#define UNIT_LIMIT	1000000

/* The one that had this name, or one that had none. */
static struct interface *find_place(const char *name)
{
	struct interface *found = NULL;

	for (unsigned i = XNU_INTERFACES; i-- > 0;) {
		struct interface *n = &kern.interfaces[i];

		if (!n->used && !strcmp(n->name, name))
			return n;
		if (!n->used && !n->name[0])
			found = n;
	}
	if (!found)
		die("more than %d interfaces", XNU_INTERFACES);
	return found;
}

/*
 * bsd/net/dlil.c, dlil_if_acquire(): what has the same uniqueid ("utunid7",
 * bsd/net/if_utun.c, utun_ctl_connect()) is the ifnet that was there before;
 * ifnet_attach(): which keeps its index (if_next_index() is for new ones).
 */
struct interface *interface_new(const char *name, uint32_t flags, int mtu)
{
	struct interface *n = find_place(name);

	*n = (struct interface){ .used = true, .flags = flags,
				 .index = n->index };
	snprintf(n->name, sizeof(n->name), "%s", name);
	if (!n->index)
		n->index = ++kern.last_index;
	n->mtu = mtu;
	return n;
}

/* One that is being detached has no index any more: ifnet_detach(). */
struct interface *interface_at(unsigned index)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		struct interface *n = &kern.interfaces[i];

		if (n->used && !n->detaching && n->index == index)
			return n;
	}
	return NULL;
}

/*
 * bsd/net/if.c, ifunit_extract() and ifunit_common(): letters, then a number
 * that is compared as one ("utun07" is utun7); not for one that is detached.
 */
struct interface *interface_named(const uint8_t *name)
{
	char text[XNU_IFNAMSIZ + 1] = { 0 }, wanted[XNU_IFNAMSIZ + 16];
	size_t len, at;
	long unit;

	memcpy(text, name, XNU_IFNAMSIZ);
	len = at = strlen(text);
	while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9')
		at--;
	unit = strtol(text + at, NULL, 10);
	if (len < 2 || at == len || at == 0 || unit > UNIT_LIMIT)
		return NULL;
	snprintf(wanted, sizeof(wanted), "%.*s%ld", (int)at, text, unit);
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		struct interface *n = &kern.interfaces[i];

		if (n->used && !n->detaching && !strcmp(n->name, wanted))
			return n;
	}
	return NULL;
}

/*
 * bsd/netinet/raw_ip.c, rip_ctlinput(): PRC_IFDOWN takes an IPv4 address's host
 * route and all other routes by it, static ones too (in_ifadown() with 1);
 * PRC_IFUP brings the host route back, and nothing else.  An address without a
 * host route of its own (IFA_ROUTE) keeps its routes.  IPv6 has no such thing.
 */
static void routes_up_or_down(struct interface *n, bool up)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (!a->used || a->index != n->index ||
		    a->family != XNU_AF_INET || up == a->has_route)
			continue;
		if (up) {
			host_route_add(a);
		} else {
			host_route_scrub(a);
			routes_of_address(a->id);
		}
	}
	tell_interface(n);
}

/*
 * bsd/net/if.c, ifioctl_ifreq(), SIOCSIFFLAGS; kpi_interface.c,
 * ifnet_set_flags(); if_updown(): nothing happens if it is so already.
 */
static void set_flags(struct interface *n, uint32_t flags)
{
	const bool was = n->flags & XNU_IFF_UP, up = flags & XNU_IFF_UP;

	n->flags = (flags & ~(uint32_t)XNU_IFF_CANTCHANGE & 0xffff) |
		   (n->flags & XNU_IFF_CANTCHANGE);
	if (was != up)
		routes_up_or_down(n, up);
}

/* bsd/net/if.c, ifioctl_ifreq(): the name first, then the right, the value. */
int link_ioctl(uint32_t request, uint8_t *argument)
{
	struct interface *n = interface_named(argument);
	uint8_t *value = argument + XNU_IFR_VALUE;
	int mtu;

	if (!n)
		return XNU_ENXIO;
	switch (request) {
	case XNU_SIOCGIFFLAGS:
		put16(value, (uint16_t)n->flags);
		return 0;
	case XNU_SIOCGIFMTU:
		put32(value, (uint32_t)n->mtu);
		return 0;
	case XNU_SIOCSIFFLAGS:
		if (kern.euid != 0)	/* proc_suser() */
			return XNU_EPERM;
		set_flags(n, get16(value));
		return 0;
	default:
		break;
	}
	if (kern.euid != 0)
		return XNU_EPERM;
	if (!n->unit)
		die("MTU of %s: it is another driver's", n->name);
	mtu = (int)get32(value);
	if (mtu < XNU_MINMTU || mtu > XNU_MAXMTU)
		return XNU_EINVAL;
	n->mtu = mtu;			/* if_utun.c, utun_ioctl() */
	tell_interface(n);
	return 0;
}

unsigned xnu_if_nametoindex(const char *name)
{
	const struct interface *n = NULL;
	uint8_t padded[XNU_IFNAMSIZ] = { 0 };

	if (!begin("if_nametoindex", NULL, "\"%s\"", name)) {
		end(xnu_errno, 0);
		return 0;
	}
	if (strlen(name) < sizeof(padded)) {
		snprintf((char *)padded, sizeof(padded), "%s", name);
		n = interface_named(padded);
	}
	if (!n) {
		end(XNU_ENXIO, 0);
		return 0;
	}
	end(0, n->index);
	return n->index;
}

char *xnu_if_indextoname(unsigned index, char *name)
{
	const struct interface *n = interface_at(index);

	if (!begin("if_indextoname", NULL, "%u", index)) {
		end(xnu_errno, 0);
		return NULL;
	}
	if (!n) {
		end(XNU_ENXIO, 0);
		return NULL;
	}
	end(0, 0);
	memcpy(name, n->name, XNU_IFNAMSIZ);
	return name;
}
