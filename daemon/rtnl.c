#include "rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "refuse.h"

#define ANSWER_BYTES	65536
#define RECEIVE_BUFFER	(1024 * 1024)	/* an error for every message fits, */
				/* and so does the largest batch */
#define ANSWER_SECONDS	2		/* the kernel answers in the send */
#define DUMP_TRIES	5
#define QUEUE_MOST	16384	/* more datagrams than RECEIVE_BUFFER holds */

/* --- sockets ----------------------------------------------------------- */

static int open_socket(struct rtnl *ret, int flags, unsigned groups)
{
	int one = 1, size = RECEIVE_BUFFER, fd, error;
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE,
						 SOCK_CLOEXEC | flags);

	if (!nl)
		return -errno;
	fd = mnl_socket_get_fd(nl);
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &one, sizeof(one)) ||
	    mnl_socket_setsockopt(nl, NETLINK_CAP_ACK, &one, sizeof(one)) ||
	    mnl_socket_setsockopt(nl, NETLINK_GET_STRICT_CHK, &one,
				  sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience))) {
		error = -errno;
		mnl_socket_close(nl);
		return error;
	}
	/* Without CAP_NET_ADMIN the default stays; it serves small batches. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	*ret = (struct rtnl){ .nl = nl };
	return 0;
}

int rtnl_open(struct rtnl *ret)
{
	return open_socket(ret, 0, 0);
}

/*
 * Lets all in but what tells of a route of ours.  One with a preferred source is
 * let in all the same: who removes it does not say that, and so not which it is.
 */
static int pass_over_ours(int fd)
{
	const unsigned at_type = offsetof(struct nlmsghdr, nlmsg_type);
	const unsigned at_route = NLMSG_LENGTH(0);
	const unsigned at_protocol = at_route +
				     offsetof(struct rtmsg, rtm_protocol);
	const unsigned at_attrs = NLMSG_SPACE(sizeof(struct rtmsg));
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at_type),
		BPF_JUMP(BPF_JMP | BPF_JEQ, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ, htons(RTM_DELROUTE), 0, 6),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at_protocol),
		BPF_JUMP(BPF_JMP | BPF_JEQ, RTNL_PROTOCOL, 0, 4),
		BPF_STMT(BPF_LDX | BPF_IMM, RTA_PREFSRC),
		BPF_STMT(BPF_LD | BPF_IMM, at_attrs),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_AD_OFF + SKF_AD_NLATTR),
		BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(*code), .filter = code
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			  sizeof(program)) < 0 ? -errno : 0;
}

int rtnl_open_events(struct rtnl *ret)
{
	int error = open_socket(ret, SOCK_NONBLOCK, RTMGRP_LINK |
				RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);

	if (!error)
		error = pass_over_ours(rtnl_fd(ret));
	return error;
}

int rtnl_fd(const struct rtnl *rtnl)
{
	return mnl_socket_get_fd(rtnl->nl);
}

void rtnl_close(struct rtnl *rtnl)
{
	if (rtnl->nl)
		mnl_socket_close(rtnl->nl);
	rtnl->nl = NULL;
}

/* --- reading ----------------------------------------------------------- */

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

static void parse_link(const struct nlmsghdr *nlh, struct os_link *ret)
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

/* Tells the watcher one message, if it is one of what it wants to know. */
static void tell(const struct nlmsghdr *nlh, const struct os_watcher *w)
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
		parse_link(nlh, &link);
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

/* The kernel's own words in an error message, or "". */
static void extended_text(const struct nlmsghdr *nlh, char *ret, size_t cap)
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

/* What to do about it, where we know better than the kernel's words. */
static const char *advice(const struct rtnl_row *row, int err)
{
	bool route = strcmp(row->step, "route") == 0;

	if (strcmp(row->step, "name") == 0 && err == EEXIST)
		return "; an interface has it, maybe as a second name (altname): ask for another";
	if (route && err == EEXIST)
		return "; a route to this prefix with this metric is there already: ask for another prefix or metric";
	if (route && (err == ENETUNREACH || err == EHOSTUNREACH ||
		      err == EINVAL))
		return "; a gateway must lie in an on-link prefix of the device: give it an address whose prefix holds it";
	if (strcmp(row->step, "guard") == 0 && err == ENOENT)
		return "; this kernel has no source guard (modules sch_ingress and cls_bpf): have the rule say `source-guard = off`";
	if (err == EPERM)
		return "; the daemon lacks CAP_NET_ADMIN in this network namespace";
	return "";
}

/* Turns the kernel's no to one message of the batch into a refusal. */
static int explain(const struct rtnl_row *row, const struct nlmsghdr *nlh,
		   int err, struct wire_refused *why)
{
	char words[128], what[RTNL_WHAT_MAX];

	extended_text(nlh, words, sizeof(words));
	rtnl_row_what(row, what);
	refuse(why, refuse_kernel_code(err), row->step,
		      "%s%sthe kernel says: %s%s%s%s", what,
		      what[0] ? ": " : "", strerror(err),
		      words[0] ? ", " : "", words, advice(row, err));
	return -err;
}

static bool is_tolerated(const struct rtnl_row *row, int err)
{
	for (const int *t = row->tolerate; t && *t; t++)
		if (*t == err)
			return true;
	return false;
}

static struct rtnl_row *find_row(const struct rtnl_batch *b, uint32_t seq)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->rows[i].seq == seq)
			return &b->rows[i];
	return NULL;
}

/*
 * Reads answers until the last message's ack.  Kernel errors come for every
 * message that failed, acks for the last alone.  The first failure counts.
 */
static int read_answers(struct rtnl *rtnl, const struct rtnl_batch *b,
			struct os_link *ret_link, struct wire_refused *why)
{
	uint32_t last = b->rows[b->n - 1].seq;
	char buf[ANSWER_BYTES] __attribute__((aligned(8)));
	int result = 0;

	for (;;) {
		ssize_t got = mnl_socket_recvfrom(rtnl->nl, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (const void *)buf;
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return refuse(why, WIRE_E_FAILED, "netlink",
				      "no answer from the kernel: %s",
				      strerror(errno));
		for (; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			struct rtnl_row *row = find_row(b, nlh->nlmsg_seq);
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (!row)
				continue;	/* an older batch's */
			if (nlh->nlmsg_type == RTM_NEWLINK && ret_link)
				parse_link(nlh, ret_link);
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			row->error = err->error;
			if (err->error && !is_tolerated(row, -err->error) &&
			    !result)
				result = explain(row, nlh, -err->error, why);
			if (nlh->nlmsg_seq == last)
				return result;
		}
	}
}

int rtnl_commit(struct rtnl *rtnl, struct rtnl_batch *b,
		struct os_link *ret_link, struct wire_refused *why)
{
	struct nlmsghdr *nlh = (void *)b->buf;
	int len = (int)b->len;

	if (b->error == -ENOMEM)
		return refuse(why, WIRE_E_NO_MEMORY, "netlink",
			      "out of memory");
	if (b->error)
		return refuse(why, WIRE_E_TOO_LARGE, "netlink",
			      "more addresses and routes than one batch holds");
	if (b->n == 0)
		return 0;
	for (unsigned i = 0; i < b->n; i++) {
		nlh->nlmsg_seq = b->rows[i].seq = ++rtnl->seq;
		if (i == b->n - 1)
			nlh->nlmsg_flags |= NLM_F_ACK;
		nlh = mnl_nlmsg_next(nlh, &len);
	}
	if (mnl_socket_sendto(rtnl->nl, b->buf, b->len) < 0)
		return refuse(why, WIRE_E_FAILED, "netlink",
			      "cannot ask the kernel: %s", strerror(errno));
	return read_answers(rtnl, b, ret_link, why);
}

/* --- routes of ours ----------------------------------------------------- */

static bool is_done(const struct nlmsghdr *nlh, const struct rtnl_row *row)
{
	if (nlh->nlmsg_type == RTM_NEWROUTE)
		return !row->error && !row->sourced;
	/* That it was not there is as good. */
	return nlh->nlmsg_type == RTM_DELROUTE;
}

static bool make_room(struct rtnl_done *done, size_t more)
{
	size_t room = done->room ? done->room : ANSWER_BYTES;
	uint8_t *buf;

	if (done->len + more <= done->room)
		return true;
	while (room < done->len + more)
		room *= 2;
	buf = realloc(done->buf, room);
	if (!buf)
		return false;
	done->buf = buf;
	done->room = room;
	return true;
}

void rtnl_note(struct rtnl_done *done, const struct rtnl_batch *b)
{
	const struct nlmsghdr *nlh = (const void *)b->buf;
	int len = (int)b->len;

	for (unsigned i = 0; i < b->n; i++) {
		size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

		if (is_done(nlh, &b->rows[i]) && !make_room(done, size)) {
			done->lost = true;
		} else if (is_done(nlh, &b->rows[i])) {
			memcpy(done->buf + done->len, nlh, size);
			done->len += size;
		}
		nlh = mnl_nlmsg_next(nlh, &len);
	}
}

int rtnl_tell(struct rtnl_done *done, const struct os_watcher *watcher)
{
	const struct nlmsghdr *nlh = (const void *)done->buf;
	int len = (int)done->len;
	bool lost = done->lost;

	for (; len > 0 && mnl_nlmsg_ok(nlh, len);
	     nlh = mnl_nlmsg_next(nlh, &len))
		tell(nlh, watcher);
	rtnl_forget(done);
	return lost ? -ENOBUFS : 0;
}

void rtnl_forget(struct rtnl_done *done)
{
	done->len = 0;
	done->lost = false;
}

void rtnl_done_free(struct rtnl_done *done)
{
	free(done->buf);
	*done = (struct rtnl_done){ .buf = NULL };
}

/* --- what there is, and what changes ----------------------------------- */

/* One dump.  0, -EAGAIN if it was interrupted by a change, or -errno. */
static int dump(struct rtnl *rtnl, uint16_t type, size_t extra,
		const struct os_watcher *watcher)
{
	char buf[ANSWER_BYTES] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	uint32_t seq = ++rtnl->seq;
	bool torn = false;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	mnl_nlmsg_put_extra_header(nlh, extra);
	if (mnl_socket_sendto(rtnl->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(rtnl->nl, buf, sizeof(buf));
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_seq != seq)
				continue;
			if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
				torn = true;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return err->error ? err->error : -EPROTO;
			if (nlh->nlmsg_type == NLMSG_DONE)
				return torn ? -EAGAIN : 0;
			tell(nlh, watcher);
		}
	}
}

int rtnl_dump_links(struct rtnl *rtnl,
		    void (*link)(void *arg, const struct os_link *link,
				 bool gone), void *arg)
{
	const struct os_watcher watcher = { .link = link, .arg = arg };
	int error = -EAGAIN;

	for (int i = 0; error == -EAGAIN && i < DUMP_TRIES; i++)
		error = dump(rtnl, RTM_GETLINK, sizeof(struct ifinfomsg),
			     &watcher);
	return error;
}

int rtnl_dump_guards(struct rtnl *rtnl, const struct os_watcher *watcher)
{
	int error = -EAGAIN;

	for (int i = 0; error == -EAGAIN && i < DUMP_TRIES; i++)
		error = dump(rtnl, RTM_GETQDISC, sizeof(struct tcmsg),
			     watcher);
	return error;
}

int rtnl_dump(struct rtnl *rtnl, const struct os_watcher *watcher)
{
	int error = -EAGAIN;

	for (int i = 0; error == -EAGAIN && i < DUMP_TRIES; i++) {
		watcher->dump(watcher->arg, true);
		error = dump(rtnl, RTM_GETLINK, sizeof(struct ifinfomsg),
			     watcher);
		if (!error)
			error = dump(rtnl, RTM_GETADDR,
				     sizeof(struct ifaddrmsg), watcher);
		if (!error)
			error = dump(rtnl, RTM_GETROUTE, sizeof(struct rtmsg),
				     watcher);
	}
	if (!error)
		watcher->dump(watcher->arg, false);
	/* Not the loop's word for "later": what there is is not known. */
	return error == -EAGAIN ? -EBUSY : error;
}

/*
 * When some were lost, those that are left tell of a time before the dump that
 * follows: they are read and not told.
 */
int rtnl_read_events(struct rtnl *rtnl, const struct os_watcher *watcher,
		     unsigned most)
{
	char buf[ANSWER_BYTES] __attribute__((aligned(8)));
	bool lost = false;

	for (unsigned i = 0; i < most; i++) {
		ssize_t got = mnl_socket_recvfrom(rtnl->nl, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (const void *)buf;
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return lost ? -ENOBUFS : 0;
		/* ENOSPC: libmnl's word for a message that was cut. */
		if (got < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			lost = true;
			/* To the end, or the rest would be told after it. */
			most = i + QUEUE_MOST;
			continue;
		}
		if (got < 0)
			return -errno;
		for (; !lost && mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len))
			tell(nlh, watcher);
	}
	return lost ? -ENOBUFS : -EAGAIN;
}
