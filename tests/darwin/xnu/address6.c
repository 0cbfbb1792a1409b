/* IPv6's addresses and their prefixes: bsd/netinet6/in6.c, nd6_rtr.c. */
#include "kernel.h"

#define WHOLE	128

/* Bits of the mask as far as its sin6_len goes: in6_mask2len(). */
static unsigned given_mask(const uint8_t *mask, uint8_t *bits)
{
	const size_t len = mask[0];

	memset(bits, 0, 16);
	if (len > XNU_SIN6_ADDR)
		memcpy(bits, mask + XNU_SIN6_ADDR,
		       len - XNU_SIN6_ADDR < 16 ? len - XNU_SIN6_ADDR : 16);
	return mask_len(XNU_AF_INET6, bits);
}

/* in6_control(), SIOCAIFADDR_IN6: never these. */
static bool is_no_address(const uint8_t *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t compatible[12];
	static const uint8_t loopback[16] = { [15] = 1 };

	if (is_zero(ip) || ip[0] == 0xff ||
	    !memcmp(ip, mapped, sizeof(mapped)))
		return true;
	return !memcmp(ip, compatible, sizeof(compatible)) &&
	       memcmp(ip, loopback, sizeof(loopback)) != 0;
}

/*
 * in6_control() and in6_update_ifa(): the family and the length of the address;
 * a mask of 1 to 28 bytes that is not empty; lifetimes in order; and a
 * destination only with /128.
 */
static int check_new(const struct interface *n, const uint8_t *arg,
		     const struct name *ip)
{
	const uint8_t *mask = arg + XNU_IFRA6_MASK;
	const int dst_family = arg[XNU_IFRA6_DST + 1];
	uint8_t bits[16];
	unsigned len;

	if (ip->family != XNU_AF_INET6 || ip->len != XNU_SIN6_SIZE)
		return XNU_EAFNOSUPPORT;
	if (is_no_address(ip->ip) || !mask[0] || mask[0] > XNU_SIN6_SIZE)
		return XNU_EINVAL;
	if (ip->ip[0] == 0xfe && (ip->ip[1] & 0xc0) == 0x80)
		die("a link-local address on %s: not known here", n->name);
	len = given_mask(mask, bits);
	if (!len || get32(arg + XNU_IFRA6_PLTIME) >
			    get32(arg + XNU_IFRA6_VLTIME))
		return XNU_EINVAL;
	if (!(n->flags & (XNU_IFF_POINTOPOINT | XNU_IFF_LOOPBACK)))
		return dst_family == XNU_AF_UNSPEC ? 0 : XNU_EINVAL;
	if (dst_family == XNU_AF_INET6)
		return len == WHOLE ? 0 : XNU_EINVAL;
	return dst_family == XNU_AF_UNSPEC ? 0 : XNU_EAFNOSUPPORT;
}

static bool same_prefix(const struct prefix6 *p, const struct prefix6 *other)
{
	return p->len == other->len &&
	       !memcmp(p->ip, other->ip, sizeof(p->ip));
}

/*
 * nd6_prefix_onlink_common(): the route is a plain one, or one for this
 * interface alone (scoped) while the same prefix is a plain one elsewhere.  It
 * is not told if there was such a route already.
 */
static void prefix_onlink(struct prefix6 *p)
{
	struct name dst = { .family = XNU_AF_INET6, .len = XNU_SIN6_SIZE };
	struct name gateway = dst;
	struct netmask mask = { .given = true };

	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		const struct prefix6 *other = &kern.prefixes[i];

		if (other->used && other != p && !other->scoped &&
		    same_prefix(p, other))
			p->scoped = true;
	}
	memcpy(dst.ip, p->ip, sizeof(dst.ip));
	mask_of(mask.bits, p->len);
	memcpy(gateway.ip, first_address(p->index, XNU_AF_INET6)->ip, 16);
	route_add(&dst, &gateway, &mask, XNU_RTF_UP, p->scoped ? p->index : 0,
		  NULL);
}

/* nd6_prefix_offlink(): whosever the route with this key is by now, it goes. */
static void prefix_remove(struct prefix6 *p)
{
	struct name dst = { .family = XNU_AF_INET6 };
	struct netmask mask = { .given = true };

	memcpy(dst.ip, p->ip, sizeof(dst.ip));
	mask_of(mask.bits, p->len);
	route_delete(&dst, &mask, 0, p->scoped ? p->index : 0, NULL);
	*p = (struct prefix6){ 0 };
}

void prefixes_purge(unsigned index)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct prefix6 *p = &kern.prefixes[i];

		if (p->used && p->index == index)
			prefix_remove(p);
	}
}

static struct prefix6 *prefix_with_id(uint32_t id)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (kern.prefixes[i].used && kern.prefixes[i].id == id)
			return &kern.prefixes[i];
	}
	return NULL;
}

static struct prefix6 *prefix_new(void)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (!kern.prefixes[i].used)
			return &kern.prefixes[i];
	}
	die("more than %d prefixes", XNU_ADDRESSES);
}

/*
 * in6ctl_aifaddr(), nd6_prefix_lookup(): one prefix for all addresses in it; it
 * stays if it was about to expire.
 */
static void prefix_join(struct address *a, unsigned len)
{
	struct prefix6 wanted = { .used = true, .index = a->index, .len = len };
	struct prefix6 *p = NULL;

	memcpy(wanted.ip, a->ip, sizeof(wanted.ip));
	mask_apply(wanted.ip, a->mask);
	for (unsigned i = 0; i < XNU_ADDRESSES && !p; i++) {
		struct prefix6 *each = &kern.prefixes[i];

		if (each->used && each->index == a->index &&
		    same_prefix(each, &wanted))
			p = each;
	}
	if (p)
		p->expires = false;
	if (!p) {
		p = prefix_new();
		*p = wanted;
		p->id = ++kern.last_id;
		prefix_onlink(p);
	}
	if (!a->prefix) {
		a->prefix = p->id;
		p->addresses++;
	}
}

/* in6_ifaddloop(): the host's own address is reached by lo0. */
static void loop_route_add(const struct address *a)
{
	const struct name loop = { .family = XNU_AF_INET6,
				   .len = XNU_SIN6_SIZE,
				   .ip = { [15] = 1 } };
	const struct netmask none = { .given = false };
	struct name ip = loop;
	struct route *route;

	memcpy(ip.ip, a->ip, sizeof(ip.ip));
	if (route_add(&ip, &loop, &none, XNU_RTF_UP | XNU_RTF_HOST, 0, &route))
		return;
	route->ifa = a->id;
	route->index = XNU_LO_INDEX;
	tell_address(XNU_RTM_ADD, a, route);
}

/* in6_ifremloop(): not while another interface has the same address. */
static void loop_route_remove(const struct address *a)
{
	struct name ip = { .family = XNU_AF_INET6 };
	const struct netmask none = { .given = false };
	const struct route *found;
	struct route gone;

	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		const struct address *each = &kern.addresses[i];

		if (each->used && each != a && each->family == a->family &&
		    !memcmp(each->ip, a->ip, sizeof(a->ip)))
			return;
	}
	memcpy(ip.ip, a->ip, sizeof(ip.ip));
	found = route_exact(&ip, &none, 0);
	if (found && found->index == XNU_LO_INDEX &&
	    !route_delete(&ip, &none, XNU_RTF_HOST, 0, &gone))
		tell_address(XNU_RTM_DELETE, a, &gone);
}

/* in6_update_ifa() for an address that was not there. */
static struct address *new_address(struct interface *n, const uint8_t *arg,
				   const struct name *ip)
{
	struct address *a = address_new(n, XNU_AF_INET6);

	memcpy(a->ip, ip->ip, sizeof(a->ip));
	given_mask(arg + XNU_IFRA6_MASK, a->mask);
	if (arg[XNU_IFRA6_DST + 1] == XNU_AF_INET6) {
		a->dst_family = XNU_AF_INET6;
		memcpy(a->dst, arg + XNU_IFRA6_DST + XNU_SIN6_ADDR, 16);
		host_route_add(a);
		if (!a->has_route)
			die("no route to an IPv6 destination, as there is one: "
			    "what is left of the address is not known");
	}
	loop_route_add(a);
	return a;
}

/*
 * in6_control(), in6ctl_aifaddr(), in6_update_ifa(): one that is there gets new
 * lifetimes.  Valid for no time is taken, and expires.
 */
int address6_add(struct interface *n, const uint8_t *arg)
{
	const struct name ip = read_name(arg + XNU_IFRA6_ADDR, XNU_SIN6_SIZE);
	const int error = check_new(n, arg, &ip);
	uint8_t mask[16];
	struct address *a;
	unsigned len;

	if (error)
		return error;
	len = given_mask(arg + XNU_IFRA6_MASK, mask);
	a = address_on(n->index, XNU_AF_INET6, ip.ip);
	if (!a)
		a = new_address(n, arg, &ip);
	else if (memcmp(a->mask, mask, sizeof(mask)) != 0)
		die("an IPv6 address again, with another mask: not known");
	a->vltime = get32(arg + XNU_IFRA6_VLTIME);
	a->pltime = get32(arg + XNU_IFRA6_PLTIME);
	a->flags = get32(arg + XNU_IFRA6_FLAGS);
	if (a->flags)
		die("an IPv6 address with flags %#x: not known", a->flags);
	if (len != WHOLE)
		prefix_join(a, len);
	return 0;
}

/*
 * in6ctl_difaddr(), in6_purgeaddr(): the prefix of a last address, and its
 * route, go a little later, by a timer.
 */
void address6_remove(struct address *a)
{
	struct prefix6 *p = prefix_with_id(a->prefix);

	if (p) {
		p->expires = p->addresses == 1;
		p->addresses--;
	}
	host_route_scrub(a);
	loop_route_remove(a);
	*a = (struct address){ 0 };
}

/* nd6_timer(): addresses that are valid no more, and prefixes. */
void expire_step(void)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (a->used && a->family == XNU_AF_INET6 && a->vltime == 0)
			address6_remove(a);
	}
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (kern.prefixes[i].used && kern.prefixes[i].expires)
			prefix_remove(&kern.prefixes[i]);
	}
}

/* in6_control(), SIOCDIFADDR_IN6: not there comes before wrong. */
static int del(const struct interface *n, const uint8_t *arg)
{
	const struct name ip = read_name(arg + XNU_IFR_VALUE, XNU_SIN6_SIZE);
	struct address *a = NULL;

	if (ip.family == XNU_AF_INET6)
		a = address_on(n->index, XNU_AF_INET6, ip.ip);
	if (!a)
		return XNU_EADDRNOTAVAIL;
	if (ip.len != XNU_SIN6_SIZE)
		return XNU_EAFNOSUPPORT;
	address6_remove(a);
	return 0;
}

int address6_ioctl(uint32_t request, struct interface *interface, uint8_t *arg)
{
	if (kern.euid != 0)
		return XNU_EPERM;
	return request == XNU_SIOCAIFADDR_IN6 ? address6_add(interface, arg)
					       : del(interface, arg);
}

/* bsd/net/if_utun.c, utun_cleanup_family(): at its end, all that it had. */
void interface_purge(struct interface *interface)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (!a->used || a->index != interface->index)
			continue;
		if (a->family == XNU_AF_INET6)
			address6_remove(a);
		else
			address_remove(a);
	}
	prefixes_purge(interface->index);
	routes_of_interface(interface->index);
}
