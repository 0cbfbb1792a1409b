/* Addresses of interfaces, and IPv4's requests: bsd/netinet/in.c. */
#include "kernel.h"

struct address *address_new(struct interface *interface, int family)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (a->used)
			continue;
		*a = (struct address){ .used = true, .family = family };
		a->id = ++kern.last_id;
		a->index = interface->index;
		return a;
	}
	die("more than %d addresses", XNU_ADDRESSES);
}

struct address *address_with_id(uint32_t id)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (kern.addresses[i].used && kern.addresses[i].id == id)
			return &kern.addresses[i];
	}
	return NULL;
}

/* The interface's own of this family, with this ip unless that is NULL. */
struct address *address_on(unsigned index, int family, const uint8_t *ip)
{
	struct address *first = NULL;

	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (!a->used || a->index != index || a->family != family ||
		    (ip && memcmp(a->ip, ip, sizeof(a->ip)) != 0))
			continue;
		if (!first || a->id < first->id)
			first = a;
	}
	return first;
}

struct address *first_address(unsigned index, int family)
{
	return address_on(index, family, NULL);
}

/*
 * bsd/net/route.c, rtinit_locked(), RTM_ADD with RTF_HOST: a route to the other
 * end.  It belongs to this address, whatever interface the lookup found.
 * in_ifinit(): where there is one already, the address stays without, and all
 * is well.
 */
void host_route_add(struct address *address)
{
	const struct name dst = { .family = address->family, .len = 1 };
	struct name to = dst, by = dst;
	const struct netmask none = { .given = false };
	struct route *route;

	memcpy(to.ip, address->dst, sizeof(to.ip));
	memcpy(by.ip, address->ip, sizeof(by.ip));
	if (route_add(&to, &by, &none, XNU_RTF_UP | XNU_RTF_HOST, 0, &route))
		return;
	route->ifa = address->id;
	route->index = address->index;
	address->has_route = true;
	tell_address(XNU_RTM_ADD, address, route);
}

/*
 * in_ifscrub() and rtinit_locked(), RTM_DELETE: what the lookup finds stays if
 * it is another address's, or if somebody made it static.
 */
void host_route_scrub(struct address *address)
{
	struct name to = { .family = address->family };
	const struct netmask none = { .given = false };
	const struct route *found;
	struct route gone;

	if (!address->has_route)
		return;
	address->has_route = false;
	found = route_plain(address->family, address->dst);
	if (found && (found->ifa != address->id ||
		      found->flags & XNU_RTF_STATIC))
		return;
	memcpy(to.ip, address->dst, sizeof(to.ip));
	if (!route_delete(&to, &none, XNU_RTF_HOST, 0, &gone))
		tell_address(XNU_RTM_DELETE, address, &gone);
}

/*
 * inctl_ifaddr(), SIOCDIFADDR: its host route goes.  Routes that others made by
 * it stay, until the interface goes.
 */
void address_remove(struct address *address)
{
	host_route_scrub(address);
	*address = (struct address){ 0 };
}

static uint32_t class_mask(const uint8_t *ip)
{
	if (ip[0] < 128)
		return 8;
	return ip[0] < 192 ? 16 : 24;
}

/* in_control(): may an interface of its kind have this? */
static int check_new(const struct interface *n, const struct name *ip,
		     const uint8_t *dst)
{
	static const uint8_t everyone[4] = { 255, 255, 255, 255 };

	if (ip->family != XNU_AF_INET)
		return XNU_EINVAL;
	if (n->flags & XNU_IFF_POINTOPOINT && get32(dst + XNU_SIN_ADDR) == 0)
		return XNU_EDESTADDRREQ;
	if (is_zero(ip->ip) || !memcmp(ip->ip, everyone, sizeof(everyone)) ||
	    (ip->ip[0] & 0xf0) == 0xe0)
		return XNU_EINVAL;
	return 0;
}

/*
 * inctl_ifaddr(), SIOCAIFADDR: no mask is the class's; the other end counts if
 * its family says so, and without one there is no route.  in_ifinit() makes the
 * host route only: no route to the subnet on such an interface.
 */
static int add(struct interface *n, const uint8_t *arg)
{
	const struct name ip = read_name(arg + XNU_IFRA_ADDR,
					 XNU_SIN_SIZE);
	const struct name mask = read_name(arg + XNU_IFRA_MASK,
					   XNU_SIN_SIZE);
	const uint8_t *dst = arg + XNU_IFRA_DST;
	const int error = check_new(n, &ip, dst);
	struct address *a;

	if (error)
		return error;
	if (!(n->flags & XNU_IFF_POINTOPOINT))
		die("SIOCAIFADDR for %s: no utun", n->name);
	a = address_on(n->index, XNU_AF_INET, ip.ip);
	if (ip.len == 0)
		die("SIOCAIFADDR with a sin_len of 0: not known");
	if (!a) {
		a = address_new(n, XNU_AF_INET);
		memcpy(a->ip, ip.ip, sizeof(a->ip));
		mask_of(a->mask, class_mask(ip.ip));
	}
	if (mask.len) {
		host_route_scrub(a);
		memset(a->mask, 0, sizeof(a->mask));
		memcpy(a->mask, arg + XNU_IFRA_MASK + XNU_SIN_ADDR, 4);
		if (is_zero(a->mask))
			mask_of(a->mask, class_mask(ip.ip));
		mask_len(XNU_AF_INET, a->mask);
	}
	if (dst[1] == XNU_AF_INET) {
		host_route_scrub(a);
		a->dst_family = XNU_AF_INET;
		memcpy(a->dst, dst + XNU_SIN_ADDR, 4);
	}
	if (a->dst_family == XNU_AF_INET && !a->has_route)
		host_route_add(a);
	return 0;
}

/*
 * in_control(), SIOCDIFADDR: one that is not there is EADDRNOTAVAIL, but with
 * another family in the request it is the interface's first, whichever that is.
 */
static int del(const struct interface *n, const uint8_t *arg)
{
	const struct name ip = read_name(arg + XNU_IFR_VALUE,
					 XNU_SIN_SIZE);
	struct address *a;

	if (ip.family != XNU_AF_INET)
		die("SIOCDIFADDR without AF_INET takes the first address: "
		    "surely not meant");
	a = address_on(n->index, XNU_AF_INET, ip.ip);
	if (!a)
		return XNU_EADDRNOTAVAIL;
	address_remove(a);
	return 0;
}

/* inctl_ifaddr() and friends: the address asked for, or else the first. */
static int get(uint32_t request, const struct interface *n, uint8_t *arg)
{
	const struct name ip = read_name(arg + XNU_IFR_VALUE,
					 XNU_SIN_SIZE);
	struct address *a = address_on(n->index, XNU_AF_INET, ip.ip);
	uint8_t *value = arg + XNU_IFR_VALUE;
	const uint8_t *from;

	if (!a)
		a = first_address(n->index, XNU_AF_INET);
	if (request == XNU_SIOCGIFDSTADDR && !(n->flags & XNU_IFF_POINTOPOINT))
		return XNU_EINVAL;
	if (!a)
		return XNU_EADDRNOTAVAIL;
	from = request == XNU_SIOCGIFADDR     ? a->ip
	       : request == XNU_SIOCGIFDSTADDR ? a->dst
					       : a->mask;
	memset(value, 0, XNU_SIN_SIZE);
	value[0] = XNU_SIN_SIZE;
	value[1] = XNU_AF_INET;
	memcpy(value + XNU_SIN_ADDR, from, 4);
	return 0;
}

/* bsd/netinet/in.c, in_control(): the right first, for what alters. */
int address_ioctl(uint32_t request, struct interface *interface, uint8_t *arg)
{
	const bool alters = request == XNU_SIOCAIFADDR ||
			    request == XNU_SIOCDIFADDR;

	if (alters && kern.euid != 0)
		return XNU_EPERM;
	if (request == XNU_SIOCAIFADDR)
		return add(interface, arg);
	if (request == XNU_SIOCDIFADDR)
		return del(interface, arg);
	return get(request, interface, arg);
}
