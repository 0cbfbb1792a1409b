/*
 * What a message of the kernel's says, in the daemon's words.  Pure, as
 * rtnl_batch.c.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "rtnl.h"

static void copy_text(char *dst, size_t cap, const struct nlattr *attr)
{
	size_t n = strnlen(mnl_attr_get_str(attr),
			   mnl_attr_get_payload_len(attr));

	if (n >= cap)
		n = cap - 1;
	memcpy(dst, mnl_attr_get_str(attr), n);
	dst[n] = '\0';
}

static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) < 0 ? 0 :
	       mnl_attr_get_u32(attr);
}

static uint8_t get_u8(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U8) < 0 ? 0 :
	       mnl_attr_get_u8(attr);
}

/* IFLA_LINKINFO of a TUN/TAP device (tun_fill_info in drivers/net/tun.c). */
static void parse_tun(const struct nlattr *info, struct os_link *ret)
{
	const struct nlattr *data, *attr;

	mnl_attr_for_each_nested(data, info) {
		if (mnl_attr_get_type(data) != IFLA_INFO_DATA)
			continue;
		mnl_attr_for_each_nested(attr, data) {
			switch (mnl_attr_get_type(attr)) {
			case IFLA_TUN_TYPE:
				ret->layer = get_u8(attr) == IFF_TUN ?
					     WIRE_TUN : WIRE_TAP;
				break;
			case IFLA_TUN_PERSIST:
				ret->persist = get_u8(attr);
				break;
			case IFLA_TUN_VNET_HDR:
				ret->vnet_hdr = get_u8(attr);
				break;
			case IFLA_TUN_OWNER:
				ret->has_owner = true;
				ret->owner = get_u32(attr);
				break;
			case IFLA_TUN_GROUP:
				ret->has_group = true;
				break;
			case IFLA_TUN_NUM_QUEUES:
			case IFLA_TUN_NUM_DISABLED_QUEUES:
				ret->queues += get_u32(attr);
				break;
			}
		}
	}
}

void rtnl_parse_link(const struct nlmsghdr *nlh, struct os_link *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *info = NULL;
	bool is_tun = false;
	struct nlattr *attr;

	*ret = (struct os_link){
		.ifindex = (unsigned)ifi->ifi_index,
		.up = ifi->ifi_flags & IFF_UP,
		.type = ifi->ifi_type,
	};
	if (nlh->nlmsg_type == RTM_DELLINK)
		ret->going = OS_GOING_DELETED;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(ret->name, sizeof(ret->name), attr);
			break;
		case IFLA_IFALIAS:
			copy_text(ret->alias, sizeof(ret->alias), attr);
			break;
		case IFLA_MTU:
			ret->mtu = get_u32(attr);
			break;
		case IFLA_TXQLEN:
			ret->txqueuelen = get_u32(attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(ret->mac))
				memcpy(ret->mac, mnl_attr_get_payload(attr),
				       sizeof(ret->mac));
			break;
		case IFLA_GROUP:
			ret->link_group = get_u32(attr);
			break;
		case IFLA_NEW_NETNSID:
			if (nlh->nlmsg_type == RTM_DELLINK)
				ret->going = OS_GOING_MOVED;
			break;
		case IFLA_LINKINFO:
			info = attr;
			break;
		}
	}
	if (!info)
		return;
	mnl_attr_for_each_nested(attr, info)
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			is_tun = strcmp(mnl_attr_get_str(attr), "tun") == 0;
	if (is_tun)
		parse_tun(info, ret);
}

static bool copy_ip(struct prefix *ret, const struct nlattr *attr)
{
	if (mnl_attr_get_payload_len(attr) != prefix_bytes(ret->family))
		return false;
	memcpy(ret->ip, mnl_attr_get_payload(attr), prefix_bytes(ret->family));
	return true;
}

/* The host's own address of an RTM_NEWADDR or RTM_DELADDR; false: none. */
static bool parse_address(const struct nlmsghdr *nlh, struct os_address *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *local = NULL, *address = NULL, *own;
	struct nlattr *attr;
	uint32_t flags = 0;

	*ret = (struct os_address){ .ifindex = ifa->ifa_index };
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = attr;
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			address = attr;
		else if (mnl_attr_get_type(attr) == IFA_FLAGS)
			flags = get_u32(attr);
	}
	ret->noprefixroute = flags & IFA_F_NOPREFIXROUTE;
	ret->flags = flags & IFA_F_NODAD ? WIRE_ADDRESS_NODAD : 0;
	own = local ? local : address;
	ret->local.family = ifa->ifa_family == AF_INET ? 4 : 6;
	ret->local.len = ifa->ifa_prefixlen;
	if (!own || !copy_ip(&ret->local, own))
		return false;
	/* A point-to-point link has both; the length is the far end's. */
	ret->peer = ret->local;
	if (!local || !address || !copy_ip(&ret->peer, address) ||
	    prefix_same_address(&ret->peer, &ret->local))
		ret->peer = (struct prefix){ .family = 0 };
	else
		ret->local = prefix_host(&ret->local);
	return true;
}

/* FNV-1a, to tell routes apart by what is not looked at. */
#define HASH_BASIS	2166136261u
#define HASH_PRIME	16777619u

static uint32_t hash(uint32_t h, const void *data, size_t len)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ byte[i]) * HASH_PRIME;
	return h;
}

static uint32_t source_hash(const void *ip, size_t len)
{
	uint32_t h = hash(HASH_BASIS, ip, len);

	return h ? h : 1;
}

uint32_t os_source_hash(const struct prefix *address)
{
	return source_hash(address->ip, prefix_bytes(address->family));
}

_Static_assert(OS_TABLE_MAIN == RT_TABLE_MAIN &&
	       OS_TABLE_LOCAL == RT_TABLE_LOCAL, "the same tables");

/* Has one of several next hops no gateway? */
static bool has_direct_hop(const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = (int)mnl_attr_get_payload_len(multipath);

	for (; RTNH_OK(hop, left); left -= (int)RTNH_ALIGN(hop->rtnh_len),
				   hop = RTNH_NEXT(hop)) {
		const struct nlattr *attr;
		bool gateway = false;

		mnl_attr_for_each_payload((const void *)RTNH_DATA(hop),
					  hop->rtnh_len - RTNH_LENGTH(0))
			if (mnl_attr_get_type(attr) == RTA_GATEWAY ||
			    mnl_attr_get_type(attr) == RTA_VIA)
				gateway = true;
		if (!gateway)
			return true;
	}
	return false;
}

static void parse_route_attr(const struct nlattr *attr, struct os_route *ret)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_GATEWAY:
		ret->gateway.family = ret->dst.family;
		if (copy_ip(&ret->gateway, attr))
			ret->gateway = prefix_host(&ret->gateway);
		else
			ret->gateway.family = 0;
		/* fall through */
	case RTA_VIA:
		ret->direct = false;
		break;
	case RTA_MULTIPATH:
		ret->direct = has_direct_hop(attr);
		ret->ifindex = 0;
		return;		/* what it holds changes */
	case RTA_OIF:
		ret->ifindex = get_u32(attr);
		return;
	case RTA_TABLE:
		ret->table = get_u32(attr);
		return;
	case RTA_PRIORITY:
		ret->metric = get_u32(attr);
		return;
	case RTA_METRICS:
		break;
	case RTA_PREFSRC:
		ret->source = source_hash(mnl_attr_get_payload(attr),
					  mnl_attr_get_payload_len(attr));
		break;
	default:
		return;
	}
	ret->which = hash(ret->which, mnl_attr_get_payload(attr),
			  mnl_attr_get_payload_len(attr));
}

/* What a route of this type does with packets; false: it is none of ours. */
static bool leads_to(const struct rtmsg *rtm, enum os_route_to *ret)
{
	switch (rtm->rtm_type) {
	case RTN_UNICAST:
		*ret = OS_ROUTE_TO_LINK;
		return true;
	case RTN_LOCAL:
		*ret = OS_ROUTE_TO_HOST;
		return true;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		*ret = OS_ROUTE_TO_NOWHERE;
		return true;
	}
	return false;
}

/*
 * The route of an RTM_NEWROUTE or RTM_DELROUTE; false: one of the kernel's
 * cache, or of another family, or in its local table what it made itself.
 */
static bool parse_route(const struct nlmsghdr *nlh, struct os_route *ret)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *dst = NULL;
	struct nlattr *attr;

	if (rtm->rtm_flags & RTM_F_CLONED ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return false;
	*ret = (struct os_route){ .table = rtm->rtm_table, .direct = true };
	ret->dst.family = rtm->rtm_family == AF_INET ? 4 : 6;
	ret->dst.len = rtm->rtm_dst_len;
	ret->which = hash(HASH_BASIS, &rtm->rtm_tos, sizeof(rtm->rtm_tos));
	ret->which = hash(ret->which, &rtm->rtm_type, sizeof(rtm->rtm_type));
	/* Of IPv6 the kernel tells none, whatever was asked for. */
	if (rtm->rtm_family == AF_INET)
		ret->which = hash(ret->which, &rtm->rtm_scope,
				  sizeof(rtm->rtm_scope));
	ret->which = hash(ret->which, &rtm->rtm_protocol,
			  sizeof(rtm->rtm_protocol));
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		if (mnl_attr_get_type(attr) == RTA_DST)
			dst = attr;
		else
			parse_route_attr(attr, ret);
	}
	ret->ours = rtm->rtm_protocol == RTNL_PROTOCOL;
	ret->replaces = nlh->nlmsg_type == RTM_NEWROUTE &&
			nlh->nlmsg_flags & NLM_F_REPLACE;
	if (ret->dst.len > prefix_bits(ret->dst.family) ||
	    (dst && !copy_ip(&ret->dst, dst)))
		return false;
	return ret->table != RT_TABLE_LOCAL ||
	       rtm->rtm_protocol != RTPROT_KERNEL;
}

static void tell_route(const struct nlmsghdr *nlh, const struct os_watcher *w)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct os_route route;
	enum os_route_to to;
	bool known = leads_to(rtm, &to);

	/* One of a kind that nobody asks for may take the place of another. */
	if (!parse_route(nlh, &route) || (!known && !route.replaces))
		return;
	route.to = known ? to : OS_ROUTE_TO_NOWHERE;
	w->route(w->arg, &route, !known || nlh->nlmsg_type == RTM_DELROUTE);
}

static void tell_guard(const struct nlmsghdr *nlh, const struct os_watcher *w)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
		if (mnl_attr_get_type(attr) == TCA_KIND &&
		    strcmp(mnl_attr_get_str(attr), RTNL_GUARD_QDISC) == 0)
			w->guard(w->arg, (unsigned)tcm->tcm_ifindex);
}

void rtnl_tell_message(const struct nlmsghdr *nlh, const struct os_watcher *w)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct os_address address;
	struct os_link link;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		/*
		 * A bridge tells of its ports with the same types: DELLINK
		 * with AF_BRIDGE is a port that left, no link that went.
		 */
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
		    ifi->ifi_family != AF_UNSPEC)
			return;
		rtnl_parse_link(nlh, &link);
		w->link(w->arg, &link, nlh->nlmsg_type == RTM_DELLINK);
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifaddrmsg))
			return;
		if (parse_address(nlh, &address))
			w->address(w->arg, &address,
				   nlh->nlmsg_type == RTM_DELADDR);
		return;
	case RTM_NEWQDISC:
		if (w->guard &&
		    mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct tcmsg))
			tell_guard(nlh, w);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct rtmsg))
			tell_route(nlh, w);
		return;
	}
}

void rtnl_extended_text(const struct nlmsghdr *nlh, char *ret, size_t cap)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*err);
	struct nlattr *attr;

	ret[0] = '\0';
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - sizeof(struct nlmsghdr);
	if (skip > mnl_nlmsg_get_payload_len(nlh))
		return;
	mnl_attr_for_each(attr, nlh, (unsigned)skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			copy_text(ret, cap, attr);
}
