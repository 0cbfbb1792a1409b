/* The host before anybody has done anything, and what has become of it. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

#define LO_MTU		16384
#define EN_MTU		1500
#define ALIAS6		128

static struct kernel host;
static struct text shown;

static struct name name4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct name){ .family = XNU_AF_INET, .len = XNU_SIN_SIZE,
			      .ip = { a, b, c, d } };
}

/* An address with a network, as in_ifinit() has it where there is broadcast. */
static void add4(struct interface *n, const struct name *ip, unsigned len)
{
	struct address *a = address_new(n, XNU_AF_INET);
	const struct name link = { .family = XNU_AF_LINK, .index = n->index };
	struct netmask mask = { .given = true };

	memcpy(a->ip, ip->ip, sizeof(a->ip));
	mask_of(a->mask, len);
	mask_of(mask.bits, len);
	if (route_add(ip, &link, &mask, XNU_RTF_UP, 0, NULL))
		die("the host's own route of IPv4");
}

static void add6(struct interface *n, const uint8_t *ip, unsigned len)
{
	uint8_t alias[ALIAS6] = { 0 };

	alias[XNU_IFRA6_ADDR] = alias[XNU_IFRA6_MASK] = XNU_SIN6_SIZE;
	alias[XNU_IFRA6_ADDR + 1] = XNU_AF_INET6;
	memcpy(alias + XNU_IFRA6_ADDR + XNU_SIN6_ADDR, ip, 16);
	mask_of(alias + XNU_IFRA6_MASK + XNU_SIN6_ADDR, len);
	put32(alias + XNU_IFRA6_VLTIME, XNU_ND6_INFINITE);
	put32(alias + XNU_IFRA6_PLTIME, XNU_ND6_INFINITE);
	if (address6_add(n, alias))
		die("the host's own address of IPv6");
}

static void add_default(const struct name *gateway)
{
	const struct name all = { .family = gateway->family,
				  .len = gateway->len };
	const struct netmask mask = { .given = true };

	if (route_add(&all, gateway, &mask,
		      XNU_RTF_UP | XNU_RTF_GATEWAY | XNU_RTF_STATIC, 0, NULL))
		die("the host's own default route");
}

void world_reset(void)
{
	static const uint8_t loop6[16] = { [15] = 1 };
	static const uint8_t en6[16] = { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 16 };
	const struct name loop = name4(127, 0, 0, 1);
	const struct name en = name4(192, 168, 1, 10);
	const struct name router = name4(192, 168, 1, 1);
	struct name router6 = { .family = XNU_AF_INET6, .len = XNU_SIN6_SIZE };
	struct interface *n;

	n = interface_new("lo0", XNU_IFF_UP | XNU_IFF_LOOPBACK |
			  XNU_IFF_RUNNING | XNU_IFF_MULTICAST, LO_MTU);
	add4(n, &loop, 8);
	add6(n, loop6, 128);
	n = interface_new("en0", XNU_IFF_UP | XNU_IFF_BROADCAST |
			  XNU_IFF_SIMPLEX | XNU_IFF_RUNNING |
			  XNU_IFF_MULTICAST, EN_MTU);
	add4(n, &en, 24);
	add6(n, en6, 64);
	add_default(&router);
	memcpy(router6.ip, en6, sizeof(router6.ip));
	router6.ip[15] = 1;
	add_default(&router6);
}

void xnu_reset(void)
{
	fds_reset();
	xnu_settle();
	for (unsigned i = 0; i < XNU_INTERFACES; i++)
		queue_clear(&kern.interfaces[i].taken);
	memset(&kern, 0, sizeof(kern));
	kern.n_groups = 1;
	calls_reset();
	text_clear(&shown);
	world_reset();
	host = kern;
}

unsigned xnu_add_interface(const char *name, uint32_t flags, int mtu)
{
	struct interface *n = interface_new(name, flags, mtu);

	if (!strncmp(name, "utun", strlen("utun")))
		n->unit = 1 + (uint32_t)strtoul(name + strlen("utun"), NULL,
						10);
	host = kern;
	return n->index;
}

unsigned xnu_getifaddrs(struct xnu_ifaddr *addresses, unsigned max)
{
	unsigned count = 0;

	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		const struct address *a = &kern.addresses[i];
		const struct interface *n = interface_at(a->index);
		struct xnu_ifaddr *to;

		if (!a->used || !n || count++ >= max)
			continue;
		to = &addresses[count - 1];
		*to = (struct xnu_ifaddr){ .family = a->family,
					   .flags = n->flags };
		memcpy(to->name, n->name, sizeof(to->name));
		memcpy(to->ip, a->ip, sizeof(to->ip));
		memcpy(to->mask, a->mask, sizeof(to->mask));
		memcpy(to->dst, a->dst, sizeof(to->dst));
	}
	return count;
}

/* --- what is there --- */

static const char *name_at(unsigned index)
{
	const struct interface *n = interface_at(index);

	return n ? n->name : "nowhere";
}

static void show_interface(const char *before, const struct interface *n)
{
	text_add(&shown, "%sinterface %s flags %#x mtu %d\n", before, n->name,
		 n->flags, n->mtu);
}

static void show_address(const char *before, const struct address *a)
{
	text_add(&shown, "%saddress %s", before,
		 show_prefix(a->family, a->ip, mask_len(a->family, a->mask)));
	if (a->dst_family)
		text_add(&shown, " -> %s", show_ip(a->family, a->dst));
	text_add(&shown, " dev %s\n", name_at(a->index));
}

static void show_route(const char *before, const struct route *r)
{
	if (r->has_mask)
		text_add(&shown, "%sroute %s", before,
			 show_prefix(r->family, r->key,
				     mask_len(r->family, r->mask)));
	else
		text_add(&shown, "%sroute %s", before,
			 show_ip(r->family, r->key));
	if (r->flags & XNU_RTF_GATEWAY)
		text_add(&shown, " via %s",
			 show_ip(r->gateway_family, r->gateway));
	text_add(&shown, " dev %s", name_at(r->index));
	if (r->scope)
		text_add(&shown, " scope %s", name_at(r->scope));
	text_add(&shown, "%s\n", r->flags & XNU_RTF_STATIC ? " static" : "");
}

const char *xnu_state(void)
{
	text_clear(&shown);
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		if (kern.interfaces[i].used && !kern.interfaces[i].detaching)
			show_interface("", &kern.interfaces[i]);
	}
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (kern.addresses[i].used)
			show_address("", &kern.addresses[i]);
	}
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		if (kern.routes[i].used)
			show_route("", &kern.routes[i]);
	}
	return shown.bytes ? shown.bytes : "";
}

/* --- what should not be --- */

static bool same_route(const struct route *a, const struct route *b)
{
	return a->used && b->used && a->family == b->family &&
	       a->scope == b->scope && a->index == b->index &&
	       a->has_mask == b->has_mask && a->flags == b->flags &&
	       !memcmp(a->key, b->key, sizeof(a->key)) &&
	       !memcmp(a->mask, b->mask, sizeof(a->mask)) &&
	       !memcmp(a->gateway, b->gateway, sizeof(a->gateway));
}

static bool has_route(const struct kernel *k, const struct route *r)
{
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		if (same_route(&k->routes[i], r))
			return true;
	}
	return false;
}

static bool has_address(const struct kernel *k, const struct address *a)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		if (k->addresses[i].used && k->addresses[i].id == a->id)
			return true;
	}
	return false;
}

static bool has_interface(const struct kernel *k, const struct interface *n)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		const struct interface *each = &k->interfaces[i];

		if (each->used && !each->detaching && each->index == n->index)
			return each->mtu == n->mtu && each->flags == n->flags;
	}
	return false;
}

/* The route of a prefix that goes by itself. */
static bool expires(const struct route *r)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		const struct prefix6 *p = &kern.prefixes[i];

		if (p->used && p->expires && r->family == XNU_AF_INET6 &&
		    r->has_mask && mask_len(r->family, r->mask) == p->len &&
		    !memcmp(r->key, p->ip, sizeof(p->ip)) &&
		    r->scope == (p->scoped ? p->index : 0))
			return true;
	}
	return false;
}

/* What the one has and the other has not. */
static void show_more(const char *before, const struct kernel *one,
		      const struct kernel *other)
{
	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		const struct interface *n = &one->interfaces[i];

		if (n->used && !n->detaching && !has_interface(other, n))
			show_interface(before, n);
	}
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		const struct address *a = &one->addresses[i];

		if (a->used && !has_address(other, a))
			show_address(before, a);
	}
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		const struct route *r = &one->routes[i];

		if (r->used && !has_route(other, r) &&
		    (one == &host || !expires(r)))
			show_route(before, r);
	}
}

const char *xnu_leaks(void)
{
	text_clear(&shown);
	for (int i = 0; i < XNU_FDS; i++) {
		const struct file *file = kern.fds[i].file;

		if (file && file->node)
			text_add(&shown, "fd %d, of %s\n", XNU_FIRST_FD + i,
				 file->node->path);
		else if (file)
			text_add(&shown, "fd %d, a socket of family %d\n",
				 XNU_FIRST_FD + i, file->domain);
	}
	show_more("", &kern, &host);
	show_more("lost: ", &host, &kern);
	return shown.bytes ? shown.bytes : "";
}
