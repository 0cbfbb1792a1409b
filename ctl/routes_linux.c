#include "links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "dump_linux.h"

/* What is gathered: one interface's routes of one family. */
struct gathered {
	struct link_routes routes;
	unsigned ifindex;
	uint8_t family;		/* AF_* */
};

static bool copy_ip(struct prefix *ret, const void *ip, size_t len)
{
	if (len != prefix_bytes(ret->family))
		return false;
	memcpy(ret->ip, ip, len);
	return true;
}

static bool is_link_local(const struct prefix *p)
{
	static const struct prefix all = {
		.family = 6, .len = 10, .ip = { 0xfe, 0x80 }
	};

	return prefix_contains(&all, p);
}

static int keep(struct link_routes *routes, const struct link_route *r)
{
	struct link_route *all;

	if (is_link_local(&r->dst))
		return 0;
	all = dump_grow(routes->all, routes->n, &routes->room, sizeof(*all));
	if (!all)
		return -ENOMEM;
	routes->all = all;
	all[routes->n++] = *r;
	return 0;
}

/* The gateway of a route, or of one of its next hops. */
static void parse_via(const struct nlattr *attr, uint8_t family,
		      struct prefix *ret)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	const void *ip = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	struct prefix p = { .family = family };

	if (mnl_attr_get_type(attr) == RTA_VIA && len >= sizeof(*via)) {
		p.family = via->rtvia_family == AF_INET ? 4 : 6;
		ip = via->rtvia_addr;
		len -= sizeof(*via);
	} else if (mnl_attr_get_type(attr) != RTA_GATEWAY) {
		return;
	}
	if (copy_ip(&p, ip, len))
		*ret = prefix_host(&p);
}

/* Of several next hops, those that lead into the interface. */
static int keep_hops(struct gathered *g, struct link_route r,
		     const struct nlattr *hops)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(hops);
	int left = (int)mnl_attr_get_payload_len(hops), error = 0;

	for (; !error && RTNH_OK(hop, left);
	     left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct nlattr *attr = NULL;

		if ((unsigned)hop->rtnh_ifindex != g->ifindex)
			continue;
		r.via.family = 0;
		mnl_attr_for_each_payload((const void *)RTNH_DATA(hop),
					  hop->rtnh_len - RTNH_LENGTH(0)) {
			parse_via(attr, r.dst.family, &r.via);
		}
		error = keep(&g->routes, &r);
	}
	return error;
}

static int take_attrs(const struct nlmsghdr *nlh, struct gathered *g)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct link_route r = {
		.dst.family = rtm->rtm_family == AF_INET ? 4 : 6,
		.dst.len = rtm->rtm_dst_len
	};
	unsigned ifindex = 0, table = rtm->rtm_table;
	const struct nlattr *hops = NULL;
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		parse_via(attr, r.dst.family, &r.via);
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			copy_ip(&r.dst, mnl_attr_get_payload(attr),
				mnl_attr_get_payload_len(attr));
			break;
		case RTA_PRIORITY:
			r.metric = dump_u32(attr);
			break;
		case RTA_TABLE:
			table = dump_u32(attr);
			break;
		case RTA_OIF:
			ifindex = dump_u32(attr);
			break;
		case RTA_MULTIPATH:
			hops = attr;
			break;
		}
	}
	if (table != RT_TABLE_MAIN)
		return 0;
	if (hops)
		return keep_hops(g, r, hops);
	return ifindex == g->ifindex ? keep(&g->routes, &r) : 0;
}

/* A kernel without this family answers with what it has of others. */
static int take_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct gathered *g = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    rtm->rtm_family != g->family || rtm->rtm_type != RTN_UNICAST ||
	    rtm->rtm_flags & RTM_F_CLONED)
		return 0;
	return take_attrs(nlh, g);
}

/* Adds those of one family. */
static int read_family(unsigned ifindex, uint8_t family,
		       struct link_routes *ret)
{
	struct gathered g = { .ifindex = ifindex, .family = family };
	struct dump d = { .take = take_route, .arg = &g, .n = &g.routes.n };
	struct rtmsg *rtm = dump_ask(&d, RTM_GETROUTE, sizeof(*rtm));
	int r;

	rtm->rtm_family = family;
	rtm->rtm_table = RT_TABLE_MAIN;
	mnl_attr_put_u32((void *)d.ask, RTA_OIF, ifindex);
	r = dump_read(&d);
	/* No such interface, or no such table: no routes. */
	if (r == -ENODEV || r == -ENOENT)
		r = 0;
	for (size_t i = 0; r == 0 && i < g.routes.n; i++)
		r = keep(ret, &g.routes.all[i]);
	link_routes_free(&g.routes);
	return r;
}

int link_routes(unsigned ifindex, struct link_routes *ret)
{
	int r;

	*ret = (struct link_routes){ .all = NULL };
	r = read_family(ifindex, AF_INET, ret);
	if (r == 0)
		r = read_family(ifindex, AF_INET6, ret);
	if (r)
		link_routes_free(ret);
	return r;
}

void link_routes_free(struct link_routes *routes)
{
	free(routes->all);
	*routes = (struct link_routes){ .all = NULL };
}
