/* Records of routes, addresses, interfaces: rtsock.c, rt_msg1(), rt_msg2(). */
#include "kernel.h"

static size_t close_record(uint8_t *record, size_t len, uint8_t type,
			   uint32_t names_at, uint32_t names)
{
	put16(record + XNU_RTM_MSGLEN, (uint16_t)len);
	record[XNU_RTM_VERSION_AT] = XNU_RTM_VERSION;
	record[XNU_RTM_TYPE] = type;
	put32(record + names_at, names);
	return len;
}

static uint8_t link_type(const struct interface *n)
{
	if (n->flags & XNU_IFF_LOOPBACK)
		return XNU_IFT_LOOP;
	return n->flags & XNU_IFF_POINTOPOINT ? XNU_IFT_OTHER : XNU_IFT_ETHER;
}

/* The link's name; a MAC is scrubbed for who may not read it: none here. */
static void put_link(uint8_t *m, size_t *len, const struct interface *n)
{
	const size_t room = XNU_SDL_SIZE - XNU_SDL_DATA;
	const size_t letters = strlen(n->name);
	uint8_t *name = m + *len;

	put_name(m, len, XNU_AF_LINK, NULL, n->index);
	name[XNU_SDL_TYPE] = link_type(n);
	name[XNU_SDL_NLEN] = (uint8_t)letters;
	memcpy(name + XNU_SDL_DATA, n->name, letters < room ? letters : room);
}

/*
 * A route, with the link and the address that it is by if they are wanted.  The
 * header of NET_RT_DUMP2 is as long, and has nothing of what is set here in
 * another place.
 */
size_t make_route(uint8_t *record, uint8_t type, const struct route *r,
		  bool link, bool ifa)
{
	const bool listed = type == XNU_RTM_GET || type == XNU_RTM_GET2;
	const struct address *a = address_with_id(r->ifa);
	uint32_t names = XNU_RTA_DST | XNU_RTA_GATEWAY;
	size_t len = XNU_RTM_SIZE;

	memset(record, 0, XNU_RECORD);
	put_name(record, &len, r->family, r->key, 0);
	put_name(record, &len, r->gateway_family, r->gateway, r->gateway_index);
	if (r->has_mask) {
		names |= XNU_RTA_NETMASK;
		put_mask(record, &len, r->family, r->mask, !listed);
	}
	if (link && interface_at(r->index)) {
		names |= XNU_RTA_IFP;
		put_link(record, &len, interface_at(r->index));
	}
	if (ifa && a) {
		names |= XNU_RTA_IFA;
		put_name(record, &len, a->family, a->ip, 0);
	}
	put16(record + XNU_RTM_INDEX, (uint16_t)r->index);
	put32(record + XNU_RTM_FLAGS, r->flags);
	return close_record(record, len, type, XNU_RTM_ADDRS, names);
}

/* struct if_msghdr, or the second kind, if_msghdr2. */
size_t make_interface(uint8_t *record, const struct interface *n, bool second)
{
	size_t len = second ? XNU_IFM2_SIZE : XNU_IFM_SIZE;
	uint8_t *data = record + (second ? XNU_IFM2_DATA : XNU_IFM_DATA);

	memset(record, 0, XNU_RECORD);
	put_link(record, &len, n);
	put32(record + XNU_IFM_FLAGS, n->flags);
	put16(record + XNU_IFM_INDEX, (uint16_t)n->index);
	data[XNU_IFI_TYPE] = link_type(n);
	put32(data + XNU_IFI_MTU, (uint32_t)n->mtu);
	return close_record(record, len,
			    second ? XNU_RTM_IFINFO2 : XNU_RTM_IFINFO,
			    XNU_IFM_ADDRS, XNU_RTA_IFP);
}

/* This mask has its family, other than those of routes. */
static void put_own_mask(uint8_t *record, size_t *len, const struct address *a)
{
	uint8_t *name = record + *len;

	put_mask(record, len, a->family, a->mask, true);
	memset(name + 1, 0, a->family == XNU_AF_INET ? XNU_SIN_ADDR - 1
						      : XNU_SIN6_ADDR - 1);
	name[1] = (uint8_t)a->family;
}

/*
 * The other end, or the network's broadcast address; lo0's is itself
 * (in_ifinit()), and an IPv6 address without one has a name of no length there.
 */
static bool put_end(uint8_t *record, size_t *len, const struct address *a,
		    const struct interface *n)
{
	uint8_t broadcast[16];

	for (unsigned i = 0; i < sizeof(broadcast); i++)
		broadcast[i] = (uint8_t)(a->ip[i] | ~a->mask[i]);
	if (n->flags & XNU_IFF_LOOPBACK && a->family == XNU_AF_INET)
		put_name(record, len, a->family, a->ip, 0);
	else if (n->flags & (XNU_IFF_POINTOPOINT | XNU_IFF_LOOPBACK))
		put_name(record, len, a->dst_family, a->dst, 0);
	else if (a->family == XNU_AF_INET)
		put_name(record, len, a->family, broadcast, 0);
	else
		return false;
	return true;
}

size_t make_address(uint8_t *record, uint8_t type, const struct address *a,
		    bool link)
{
	const struct interface *n = interface_at(a->index);
	uint32_t names = XNU_RTA_NETMASK | XNU_RTA_IFA;
	size_t len = XNU_IFAM_SIZE;

	memset(record, 0, XNU_RECORD);
	put_own_mask(record, &len, a);
	if (link) {
		names |= XNU_RTA_IFP;
		put_link(record, &len, n);
	}
	put_name(record, &len, a->family, a->ip, 0);
	if (put_end(record, &len, a, n))
		names |= XNU_RTA_BRD;
	put16(record + XNU_IFM_INDEX, (uint16_t)n->index);
	return close_record(record, len, type, XNU_IFM_ADDRS, names);
}
