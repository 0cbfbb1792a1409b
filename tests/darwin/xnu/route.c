/* The routing table: bsd/net/route.c. */
#include "kernel.h"

static struct route *route_new(void)
{
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		if (!kern.routes[i].used)
			return &kern.routes[i];
	}
	die("more than %d routes", XNU_ROUTES);
}

static bool has_key(const struct route *r, const struct name *dst,
		    uint32_t scope)
{
	return r->used && r->family == dst->family && r->scope == scope &&
	       !memcmp(r->key, dst->ip, sizeof(r->key));
}

/* As in the tree: the key bit by bit, and the very mask, or none. */
struct route *route_exact(const struct name *dst, const struct netmask *mask,
			  uint32_t scope)
{
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		struct route *r = &kern.routes[i];

		if (has_key(r, dst, scope) && r->has_mask == mask->given &&
		    (!mask->given ||
		     !memcmp(r->mask, mask->bits, sizeof(r->mask))))
			return r;
	}
	return NULL;
}

static unsigned route_len(const struct route *r)
{
	/* One without a mask comes before the longest mask. */
	return r->has_mask ? mask_len(r->family, r->mask)
			   : 8 * family_len(r->family) + 1;
}

static bool covers(const struct route *r, const uint8_t *ip)
{
	uint8_t masked[16];

	memcpy(masked, ip, sizeof(masked));
	if (r->has_mask)
		mask_apply(masked, r->mask);
	return !memcmp(masked, r->key, sizeof(masked));
}

/* node_lookup(): the most specific of this scope; 0 is of those without. */
static struct route *best(int family, const uint8_t *ip, uint32_t scope)
{
	struct route *found = NULL;

	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		struct route *r = &kern.routes[i];

		if (!r->used || r->family != family || r->scope != scope ||
		    !covers(r, ip))
			continue;
		if (!found || route_len(r) > route_len(found))
			found = r;
	}
	return found;
}

static bool is_default(const struct route *r)
{
	return is_zero(r->key);
}

static struct route *plain_default(int family)
{
	const struct name zero = { .family = family };
	const struct netmask mask = { .given = true };

	return route_exact(&zero, &mask, 0);
}

static bool is_loop(const struct route *r)
{
	const struct interface *n = interface_at(r->index);

	return n && n->flags & XNU_IFF_LOOPBACK &&
	       !(r->flags & XNU_RTF_GATEWAY);
}

/* rt_lookup_coarse(): by the key alone, of those without a scope. */
struct route *route_plain(int family, const uint8_t *ip)
{
	return best(family, ip, 0);
}

/*
 * rt_lookup_common(): a plain lookup first, then one of the interface that was
 * asked for, or else of the plain route's.
 */
struct route *route_find(int family, const uint8_t *ip, uint32_t scope)
{
	struct route *fallback = plain_default(family);
	struct route *plain = best(family, ip, 0), *r;
	const bool any = scope == 0;

	if (plain && is_loop(plain))
		return plain;
	if (any)	/* get_primary_ifscope() */
		scope = fallback ? fallback->index : 0;
	if (plain && plain->index != scope) {
		if (any)
			scope = plain->index;
		else
			plain = NULL;
	}
	r = scope ? best(family, ip, scope) : NULL;
	if (!r || (plain && ((is_default(r) && !is_default(plain)) ||
			     (!(r->flags & XNU_RTF_HOST) &&
			      plain->flags & XNU_RTF_HOST))))
		r = plain;
	if (!r && fallback && fallback->index == scope)
		r = fallback;
	return r;
}

/* --- which address a route is by --- */

/* ifa_ifwithdstaddr(): of any interface that has another end, or of one. */
static struct address *with_dst(const struct name *name, uint32_t scope)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (a->used && a->family == name->family && a->dst_family &&
		    (!scope || a->index == scope) &&
		    !memcmp(a->dst, name->ip, sizeof(a->dst)))
			return a;
	}
	return NULL;
}

/* ifa_ifwithaddr_scoped(). */
static struct address *with_ip(const struct name *name, uint32_t scope)
{
	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];

		if (a->used && a->family == name->family &&
		    (!scope || a->index == scope) &&
		    !memcmp(a->ip, name->ip, sizeof(a->ip)))
			return a;
	}
	return NULL;
}

/* ifa_ifwithnet_common(): the longest mask under which it is the same. */
static struct address *with_net(const struct name *name, uint32_t scope)
{
	struct address *found = NULL;
	unsigned longest = 0;

	for (unsigned i = 0; i < XNU_ADDRESSES; i++) {
		struct address *a = &kern.addresses[i];
		uint8_t mine[16], theirs[16];

		if (!a->used || a->family != name->family ||
		    (scope && a->index != scope))
			continue;
		memcpy(mine, a->ip, sizeof(mine));
		memcpy(theirs, name->ip, sizeof(theirs));
		mask_apply(mine, a->mask);
		mask_apply(theirs, a->mask);
		if (memcmp(mine, theirs, sizeof(mine)) != 0)
			continue;
		if (!found || mask_len(a->family, a->mask) > longest) {
			found = a;
			longest = mask_len(a->family, a->mask);
		}
	}
	return found;
}

/* ifaof_ifpforaddr(): the interface's, best the one with this other end. */
static struct address *of_interface(const struct name *dst, unsigned index)
{
	struct address *a = with_dst(dst, index);

	return a ? a : first_address(index, dst->family);
}

static struct address *by_route(const struct name *to, uint32_t scope)
{
	const struct route *r;

	if (to->family != XNU_AF_INET && to->family != XNU_AF_INET6)
		return NULL;
	r = route_find(to->family, to->ip, scope);
	return r ? address_with_id(r->ifa) : NULL;
}

/*
 * ifa_ifwithroute_common_locked().  A gateway of AF_LINK is an interface by its
 * index; it must have an address of the destination's family.  One that has
 * gone leaves the choice to the route that was there: often the default's.
 */
static struct address *address_for(uint32_t flags, const struct name *dst,
				   const struct name *gateway, uint32_t scope)
{
	const bool link = gateway->family == XNU_AF_LINK;
	struct address *a = NULL, *by;

	if (flags & XNU_RTF_GATEWAY) {
		a = scope ? with_dst(gateway, scope) : NULL;
		a = a ? a : with_dst(gateway, 0);
	} else {
		a = flags & XNU_RTF_HOST ? with_dst(dst, 0) : NULL;
		a = a || link ? a : with_ip(gateway, scope);
	}
	if (!a && link && (!gateway->index || gateway->index > kern.last_index))
		die("a gateway of AF_LINK without a good index: not known");
	if (!a && link && interface_at(gateway->index)) {
		a = of_interface(dst, gateway->index);
		if (!a)		/* its link address alone, of another family */
			return NULL;
	}
	if (!a && !link)
		a = with_net(gateway, scope);
	if (!a)
		a = by_route(dst, scope);
	if (a && a->family != dst->family)
		a = of_interface(dst, a->index);
	if (!a || memcmp(a->ip, gateway->ip, sizeof(a->ip)) != 0) {
		by = by_route(gateway, scope);
		a = by ? by : a;
	}
	if (a && scope && a->index != scope)
		return NULL;
	return a && a->family == dst->family ? a : NULL;
}

/* --- what alters the table --- */

/* rt_setgate(): never through itself, and a scoped one by its interface. */
static int check_gateway(const struct route *r, const struct name *dst,
			 const struct name *gateway)
{
	const struct route *by;

	if (!(r->flags & XNU_RTF_GATEWAY))
		return 0;
	if (gateway->family != dst->family)
		die("RTF_GATEWAY with a gateway of family %d for %d: not known",
		    gateway->family, dst->family);
	if (!memcmp(dst->ip, gateway->ip, sizeof(dst->ip)))
		return XNU_EADDRNOTAVAIL;
	by = route_find(gateway->family, gateway->ip, r->scope);
	if (r->scope && by && by->index != r->scope)
		return r->flags & XNU_RTF_HOST ? XNU_EHOSTUNREACH
					       : XNU_ENETUNREACH;
	return 0;
}

/* A link-local key carries its interface inside: not played. */
static void check_scope(const struct name *name)
{
	if (name->family != XNU_AF_INET6)
		return;
	if ((name->ip[0] == 0xfe && (name->ip[1] & 0xc0) == 0x80) ||
	    name->ip[0] == 0xff || name->scope)
		die("a route to or by %s: scopes of addresses are not known",
		    show_ip(name->family, name->ip));
}

/*
 * rtrequest_common_locked(), RTM_ADD: the key is masked; the same key with the
 * same mask and scope is EEXIST.
 */
int route_add(const struct name *dst, const struct name *gateway,
	      const struct netmask *mask, uint32_t flags, uint32_t scope,
	      struct route **ret)
{
	struct route r = { .used = true, .family = dst->family };
	struct netmask m = *mask;
	struct name key = *dst;
	const struct address *a;
	struct route *made;
	int error;

	if (dst->family != XNU_AF_INET && dst->family != XNU_AF_INET6)
		return XNU_ESRCH;
	check_scope(dst);
	check_scope(gateway);
	if (flags & XNU_RTF_HOST)
		m.given = false;
	r.scope = scope;
	r.flags = (flags & ~(uint32_t)(XNU_RTF_GLOBAL | XNU_RTF_IFSCOPE)) |
		  XNU_RTF_UP | (scope ? (uint32_t)XNU_RTF_IFSCOPE : 0);
	a = address_for(r.flags, dst, gateway, scope);
	if (!a)
		return XNU_ENETUNREACH;
	error = check_gateway(&r, dst, gateway);
	if (error)
		return error;
	if (m.given)
		mask_apply(key.ip, m.bits);
	if (route_exact(&key, &m, scope))
		return XNU_EEXIST;
	memcpy(r.key, key.ip, sizeof(r.key));
	r.has_mask = m.given;
	if (m.given)
		memcpy(r.mask, m.bits, sizeof(r.mask));
	r.gateway_family = gateway->family;
	memcpy(r.gateway, gateway->ip, sizeof(r.gateway));
	r.gateway_index = gateway->index;
	r.ifa = a->id;
	r.index = a->index;
	made = route_new();
	*made = r;
	if (ret)
		*ret = made;
	return 0;
}

/*
 * rtrequest_common_locked(), RTM_DELETE; rn_delete(): the key is compared as it
 * was sent, not masked; without a mask (RTF_HOST drops it) the most specific
 * with this key goes.
 */
int route_delete(const struct name *dst, const struct netmask *mask,
		 uint32_t flags, uint32_t scope, struct route *ret)
{
	struct route *found = NULL;

	if (dst->family != XNU_AF_INET && dst->family != XNU_AF_INET6)
		return XNU_ESRCH;
	check_scope(dst);
	if (mask->given && !(flags & XNU_RTF_HOST)) {
		found = route_exact(dst, mask, scope);
	} else {
		for (unsigned i = 0; i < XNU_ROUTES; i++) {
			struct route *r = &kern.routes[i];

			if (has_key(r, dst, scope) &&
			    (!found || route_len(r) > route_len(found)))
				found = r;
		}
	}
	if (!found)
		return XNU_ESRCH;
	if (ret)
		*ret = *found;
	*found = (struct route){ 0 };
	return 0;
}

/* in_ifadown() with 1: all by this address. */
void routes_of_address(uint32_t ifa)
{
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		if (kern.routes[i].used && kern.routes[i].ifa == ifa)
			kern.routes[i] = (struct route){ 0 };
	}
}

/* bsd/net/if.c, if_rtproto_del(), if_rtdel(): when a protocol is detached. */
void routes_of_interface(unsigned index)
{
	for (unsigned i = 0; i < XNU_ROUTES; i++) {
		if (kern.routes[i].used && kern.routes[i].index == index)
			kern.routes[i] = (struct route){ 0 };
	}
}
