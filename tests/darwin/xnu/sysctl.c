/* Tables by sysctl(): bsd/net/rtsock.c, sysctl_rtsock(). */
#include "kernel.h"

#define NAME_LEN	6
#define RECORD		512	/* no record is longer */

enum { FAMILY = 3, WHAT, ARGUMENT };

/* A list that is written as far as there is room, and counted beyond. */
struct list {
	uint8_t *bytes;
	size_t room, len;
	bool full;
};

/* SYSCTL_OUT: one that does not fit whole is ENOMEM. */
static void list_add(struct list *list, uint8_t *record, size_t len)
{
	put16(record, (uint16_t)len);
	record[2] = XNU_RTM_VERSION;
	if (list->bytes && list->len + len > list->room)
		list->full = true;
	if (list->bytes && !list->full)
		memcpy(list->bytes + list->len, record, len);
	list->len += len;
}

/* --- routes --- */

/* sysctl_dumpentry(): NET_RT_DUMP2's header is as long, and has no pid. */
static void add_route(struct list *list, const struct route *r, uint8_t type)
{
	const struct address *a = address_with_id(r->ifa);
	uint32_t names = XNU_RTA_DST | XNU_RTA_GATEWAY;
	uint8_t m[RECORD] = { 0 };
	size_t len = XNU_RTM_SIZE;

	put_name(m, &len, r->family, r->key, 0);
	put_name(m, &len, r->gateway_family, r->gateway, r->gateway_index);
	if (r->has_mask) {
		names |= XNU_RTA_NETMASK;
		put_mask(m, &len, r->family, r->mask, false);
	}
	if (a) {
		names |= XNU_RTA_IFA;
		put_name(m, &len, a->family, a->ip, 0);
	}
	m[XNU_RTM_TYPE] = type;
	put16(m + XNU_RTM_INDEX, (uint16_t)r->index);
	put32(m + XNU_RTM_FLAGS, r->flags);
	put32(m + XNU_RTM_ADDRS, names);
	list_add(list, m, len);
}

static void list_routes(struct list *list, int family, int what,
			uint32_t flags)
{
	static const int families[] = { XNU_AF_INET, XNU_AF_INET6 };
	const uint8_t type = what == XNU_NET_RT_DUMP2 ? XNU_RTM_GET2
						       : XNU_RTM_GET;

	for (unsigned f = 0; f < 2; f++) {
		for (unsigned i = 0; i < XNU_ROUTES; i++) {
			const struct route *r = &kern.routes[i];

			if (r->used && r->family == families[f] &&
			    (!family || family == r->family) &&
			    (what != XNU_NET_RT_FLAGS || r->flags & flags))
				add_route(list, r, type);
		}
	}
}

/* --- interfaces --- */

static uint8_t link_type(const struct interface *n)
{
	if (n->flags & XNU_IFF_LOOPBACK)
		return XNU_IFT_LOOP;
	return n->flags & XNU_IFF_POINTOPOINT ? XNU_IFT_OTHER : XNU_IFT_ETHER;
}

/* The link's name; a MAC is scrubbed for who may not read it: none here. */
static void put_link(uint8_t *m, size_t *len, const struct interface *n)
{
	uint8_t *name = m + *len;

	put_name(m, len, XNU_AF_LINK, NULL, n->index);
	name[XNU_SDL_TYPE] = link_type(n);
	name[XNU_SDL_NLEN] = (uint8_t)strlen(n->name);
	memcpy(name + XNU_SDL_DATA, n->name,
	       strlen(n->name) < XNU_SDL_SIZE - XNU_SDL_DATA
		       ? strlen(n->name)
		       : XNU_SDL_SIZE - XNU_SDL_DATA);
}

static void add_interface(struct list *list, const struct interface *n,
			  bool second)
{
	uint8_t m[RECORD] = { 0 };
	size_t len = second ? XNU_IFM2_SIZE : XNU_IFM_SIZE;
	uint8_t *data = m + (second ? XNU_IFM2_DATA : XNU_IFM_DATA);

	put_link(m, &len, n);
	m[XNU_RTM_TYPE] = second ? XNU_RTM_IFINFO2 : XNU_RTM_IFINFO;
	put32(m + XNU_IFM_ADDRS, XNU_RTA_IFP);
	put32(m + XNU_IFM_FLAGS, n->flags);
	put16(m + XNU_IFM_INDEX, (uint16_t)n->index);
	data[XNU_IFI_TYPE] = link_type(n);
	put32(data + XNU_IFI_MTU, (uint32_t)n->mtu);
	list_add(list, m, len);
}

/*
 * The other end, or the network's broadcast address, comes last; on utun an
 * IPv6 address without one has a name of no length there.  This mask has its
 * family, other than those of routes.
 */
static void add_address(struct list *list, const struct address *a,
			const struct interface *n)
{
	const bool ends = n->flags & (XNU_IFF_POINTOPOINT | XNU_IFF_LOOPBACK);
	uint32_t names = XNU_RTA_NETMASK | XNU_RTA_IFA;
	uint8_t m[RECORD] = { 0 }, broadcast[16];
	size_t len = XNU_IFAM_SIZE;

	put_mask(m, &len, a->family, a->mask, true);
	memset(m + XNU_IFAM_SIZE + 1, 0,
	       a->family == XNU_AF_INET ? XNU_SIN_ADDR - 1 : XNU_SIN6_ADDR - 1);
	m[XNU_IFAM_SIZE + 1] = (uint8_t)a->family;
	put_name(m, &len, a->family, a->ip, 0);
	for (unsigned i = 0; i < sizeof(broadcast); i++)
		broadcast[i] = (uint8_t)(a->ip[i] | ~a->mask[i]);
	if (ends || a->family == XNU_AF_INET)
		names |= XNU_RTA_BRD;
	if (n->flags & XNU_IFF_LOOPBACK && a->family == XNU_AF_INET)
		put_name(m, &len, a->family, a->ip, 0);	/* in_ifinit() */
	else if (ends)
		put_name(m, &len, a->dst_family, a->dst, 0);
	else if (a->family == XNU_AF_INET)
		put_name(m, &len, a->family, broadcast, 0);
	m[XNU_RTM_TYPE] = XNU_RTM_NEWADDR;
	put32(m + XNU_IFM_ADDRS, names);
	put16(m + XNU_IFM_INDEX, (uint16_t)n->index);
	list_add(list, m, len);
}

/* sysctl_iflist(), sysctl_iflist2(): each interface, then its addresses. */
static void list_interfaces(struct list *list, int family, bool second,
			    unsigned index)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		const struct interface *n = &kern.interfaces[i];

		if (!n->used || n->detaching || (index && index != n->index))
			continue;
		add_interface(list, n, second);
		for (unsigned j = 0; j < XNU_ADDRESSES; j++) {
			const struct address *a = &kern.addresses[j];

			if (a->used && a->index == n->index &&
			    (!family || family == a->family))
				add_address(list, a, n);
		}
	}
}

/* --- sysctl() --- */

static int fill(const int *name, unsigned n, struct list *list)
{
	if (n < 2 || name[0] != XNU_CTL_NET || name[1] != XNU_AF_ROUTE)
		die("sysctl() of another part than CTL_NET, PF_ROUTE");
	if (n != NAME_LEN)
		return XNU_EINVAL;
	if (name[FAMILY] && name[FAMILY] != XNU_AF_INET &&
	    name[FAMILY] != XNU_AF_INET6)
		die("sysctl() for family %d is not known here", name[FAMILY]);
	switch (name[WHAT]) {
	case XNU_NET_RT_DUMP:
	case XNU_NET_RT_DUMP2:
	case XNU_NET_RT_FLAGS:
		list_routes(list, name[FAMILY], name[WHAT],
			    (uint32_t)name[ARGUMENT]);
		return 0;
	case XNU_NET_RT_IFLIST:
	case XNU_NET_RT_IFLIST2:
		list_interfaces(list, name[FAMILY],
				name[WHAT] == XNU_NET_RT_IFLIST2,
				(unsigned)name[ARGUMENT]);
		return 0;
	default:
		die("sysctl(NET_RT %d) is not known here", name[WHAT]);
	}
}

/* Without a place for it the length is told, to come again with. */
int xnu_sysctl(const int *name, unsigned n, void *old, size_t *oldlen,
	       const void *new, size_t newlen)
{
	struct list list = { .bytes = old, .room = old ? *oldlen : 0 };
	int error;

	if (!begin("sysctl", NULL, "net.route, %d, %d",
		   n > WHAT ? name[FAMILY] : 0, n > WHAT ? name[WHAT] : 0))
		return (int)end(xnu_errno, 0);
	if (new || newlen)
		return (int)end(XNU_EPERM, 0);
	error = fill(name, n, &list);
	if (!error && list.full)
		error = XNU_ENOMEM;
	if (!error)
		*oldlen = list.len;
	return (int)end(error, 0);
}
