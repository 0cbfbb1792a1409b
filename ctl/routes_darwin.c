#include "links.h"

#include <errno.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#include "../proto/sys.h"
#include "../proto/sysctl_darwin.h"

/* rt_msg1() of XNU: where the next address is, behind one of this length. */
#define ROUND		sizeof(uint32_t)
#define ROUNDED(n)	((n) ? (((size_t)(n) + ROUND - 1) & ~(ROUND - 1)) : ROUND)

struct gathered {
	unsigned ifindex;
	struct link_routes routes;
};

/* Where the address is in a struct sockaddr of the family; how long it is. */
static size_t address_at(int family)
{
	return family == AF_INET ? offsetof(struct sockaddr_in, sin_addr) :
				   offsetof(struct sockaddr_in6, sin6_addr);
}

static size_t address_len(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) :
				   sizeof(struct in6_addr);
}

/* Of a full length.  False unless it is of one of the two families. */
static bool take_address(const uint8_t *sa, struct prefix *ret)
{
	const int family = sa[0] > 1 ? sa[1] : AF_UNSPEC;

	*ret = (struct prefix){ 0 };
	if ((family != AF_INET && family != AF_INET6) ||
	    sa[0] < address_at(family) + address_len(family))
		return false;
	ret->family = family == AF_INET ? 4 : 6;
	ret->len = (uint8_t)(address_len(family) * 8);
	memcpy(ret->ip, sa + address_at(family), address_len(family));
	return true;
}

/* A netmask may be shorter than an address, where the rest of it is 0. */
static uint8_t mask_len(const uint8_t *sa, int family)
{
	uint8_t bits = 0;

	for (size_t i = address_at(family); i < sa[0]; i++)
		bits = (uint8_t)(bits + __builtin_popcount(sa[i]));
	return bits;
}

/* The addresses that the message has, each where it is, or NULL. */
static void find_addresses(const struct rt_msghdr *rtm, size_t len,
			   const uint8_t *ret[RTAX_MAX])
{
	const uint8_t *at = (const uint8_t *)(rtm + 1);
	const uint8_t *end = (const uint8_t *)rtm + len;

	for (int i = 0; i < RTAX_MAX; i++) {
		ret[i] = NULL;
		if (!(rtm->rtm_addrs & 1 << i) || at >= end ||
		    ROUNDED(at[0]) > (size_t)(end - at))
			continue;
		ret[i] = at;
		at += ROUNDED(at[0]);
	}
}

static bool is_link_local(const struct prefix *p)
{
	return p->family == 6 && p->ip[0] == 0xfe && (p->ip[1] & 0xc0) == 0x80;
}

static int keep(struct link_routes *routes, const struct link_route *r)
{
	struct link_route *all = sys_reallocarray(routes->all, routes->n + 1,
						  sizeof(*all));

	if (!all)
		return -ENOMEM;
	routes->all = all;
	all[routes->n++] = *r;
	return 0;
}

static int take_route(const void *message, size_t len, void *arg)
{
	const int unfit = RTF_LLINFO | RTF_LOCAL | RTF_MULTICAST |
			  RTF_WASCLONED;
	const struct rt_msghdr *rtm = message;
	const uint8_t *at[RTAX_MAX];
	struct gathered *g = arg;
	struct link_route r = { .metric = 0 };

	if (len < sizeof(*rtm) || rtm->rtm_index != g->ifindex ||
	    rtm->rtm_flags & unfit)
		return 0;
	find_addresses(rtm, len, at);
	if (!at[RTAX_DST] || !take_address(at[RTAX_DST], &r.dst) ||
	    is_link_local(&r.dst))
		return 0;
	if (!(rtm->rtm_flags & RTF_HOST))
		r.dst.len = at[RTAX_NETMASK] ?
			    mask_len(at[RTAX_NETMASK], at[RTAX_DST][1]) : 0;
	if (rtm->rtm_flags & RTF_GATEWAY && at[RTAX_GATEWAY])
		(void)take_address(at[RTAX_GATEWAY], &r.via);
	return keep(&g->routes, &r);
}

int link_routes(unsigned ifindex, struct link_routes *ret)
{
	struct gathered g = { .ifindex = ifindex };
	int r = sysctl_dump(AF_INET, NET_RT_DUMP, take_route, &g);

	if (r == 0)
		r = sysctl_dump(AF_INET6, NET_RT_DUMP, take_route, &g);
	if (r)
		link_routes_free(&g.routes);
	*ret = g.routes;
	return r;
}

void link_routes_free(struct link_routes *routes)
{
	free(routes->all);
	*routes = (struct link_routes){ .all = NULL };
}
