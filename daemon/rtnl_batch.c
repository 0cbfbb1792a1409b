/* The messages of a batch, one function a kind.  Pure: bytes, no sockets. */
#include "rtnl.h"

#include <errno.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "fault.h"

/*
 * A move (rtnl_move.c) at its largest: each address comes three times and goes
 * twice, its connected route goes and comes, each route too, a default route of
 * either family as two; and 14 messages besides.
 */
#define MESSAGES_MAX	(7 * WIRE_ADDRESSES_MAX + 2 * (WIRE_ROUTES_MAX + 2) + 14)
#define MESSAGE_BYTES	192	/* longest message that we build, but one: */
#define GUARD_BYTES	(GUARD_INSNS_MAX * sizeof(struct guard_insn))
#define FIRST_ROWS	32		/* what most take */
/* A message type that no kernel has: a step that the fault hook breaks. */
#define NO_SUCH_TYPE	(RTM_MAX + 64)

/* Room for so many messages, the next one as long as can be.  0 or -ENOMEM. */
static int grow(struct rtnl_batch *b, unsigned rows)
{
	size_t room = rows * MESSAGE_BYTES + GUARD_BYTES;
	struct rtnl_row *more_rows = reallocarray(b->rows, rows,
						  sizeof(*more_rows));
	uint8_t *more;

	if (!more_rows)
		return -ENOMEM;
	b->rows = more_rows;
	more = realloc(b->buf, room);
	if (!more)
		return -ENOMEM;
	b->buf = more;
	b->room = room;
	b->room_rows = rows;
	return 0;
}

int rtnl_batch_init(struct rtnl_batch *b)
{
	*b = (struct rtnl_batch){ 0 };
	if (!grow(b, FIRST_ROWS))
		return 0;
	rtnl_batch_free(b);
	return -ENOMEM;
}

void rtnl_batch_free(struct rtnl_batch *b)
{
	free(b->buf);
	free(b->rows);
	*b = (struct rtnl_batch){ 0 };
}

void rtnl_row_what(const struct rtnl_row *row, char ret[RTNL_WHAT_MAX])
{
	const struct wire_route *r = &row->route;
	char dst[PREFIX_TEXT_MAX], via[PREFIX_TEXT_MAX];

	if (!row->is_route)
		snprintf(ret, RTNL_WHAT_MAX, "%s", row->what);
	else
		snprintf(ret, RTNL_WHAT_MAX, "%s%s via %s metric %u",
			 row->removes ? "removing " : "",
			 prefix_format(&r->dst, dst), r->gateway.family ?
			 prefix_format(&r->gateway, via) : "the device",
			 r->metric);
}

/* Begins a message with its family header; NULL when the batch is full. */
static struct nlmsghdr *begin(struct rtnl_batch *b, const char *step,
			      uint16_t type, uint16_t flags, size_t extra)
{
	struct nlmsghdr *nlh;

	if (b->n == MESSAGES_MAX)
		b->error = -E2BIG;
	else if (b->n == b->room_rows)
		b->error = grow(b, 2 * b->n < MESSAGES_MAX ? 2 * b->n :
				   MESSAGES_MAX);
	if (b->error)
		return NULL;
	nlh = mnl_nlmsg_put_header(b->buf + b->len);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	mnl_nlmsg_put_extra_header(nlh, extra);
	b->rows[b->n] = (struct rtnl_row){ .step = step };
	return nlh;
}

static void end(struct rtnl_batch *b, struct nlmsghdr *nlh)
{
	struct rtnl_row *row = &b->rows[b->n];

	if (fault_here(row->step))
		nlh->nlmsg_type = NO_SUCH_TYPE;
	b->len += NLMSG_ALIGN(nlh->nlmsg_len);
	b->n++;
}

static struct nlmsghdr *begin_link(struct rtnl_batch *b, const char *step,
				   uint16_t type, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin(b, step, type, 0,
				     sizeof(struct ifinfomsg));
	struct ifinfomsg *ifi;

	if (nlh) {
		ifi = mnl_nlmsg_get_payload(nlh);
		ifi->ifi_index = (int)ifindex;
	}
	return nlh;
}

void rtnl_set_alias(struct rtnl_batch *b, unsigned ifindex, const char *alias)
{
	struct nlmsghdr *nlh = begin_link(b, "alias", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	mnl_attr_put(nlh, IFLA_IFALIAS, strlen(alias), alias);
	end(b, nlh);
}

void rtnl_set_name(struct rtnl_batch *b, unsigned ifindex, const char *name)
{
	struct nlmsghdr *nlh = begin_link(b, "name", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, RTNL_TEXT_MAX, "name %s", name);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	end(b, nlh);
}

void rtnl_set_mac(struct rtnl_batch *b, unsigned ifindex, const uint8_t mac[6])
{
	struct nlmsghdr *nlh = begin_link(b, "mac", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, RTNL_TEXT_MAX,
		 "MAC %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	end(b, nlh);
}

void rtnl_set_mtu(struct rtnl_batch *b, unsigned ifindex, uint32_t mtu)
{
	struct nlmsghdr *nlh = begin_link(b, "mtu", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, RTNL_TEXT_MAX, "MTU %u", mtu);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	end(b, nlh);
}

void rtnl_set_txqueuelen(struct rtnl_batch *b, unsigned ifindex, uint32_t len)
{
	struct nlmsghdr *nlh = begin_link(b, "txqueuelen", RTM_SETLINK,
					  ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, RTNL_TEXT_MAX, "txqueuelen %u", len);
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, len);
	end(b, nlh);
}

void rtnl_set_up(struct rtnl_batch *b, unsigned ifindex, bool up)
{
	struct nlmsghdr *nlh = begin_link(b, up ? "up" : "down", RTM_SETLINK,
					  ifindex);
	struct ifinfomsg *ifi;

	if (!nlh)
		return;
	ifi = mnl_nlmsg_get_payload(nlh);
	ifi->ifi_change = IFF_UP;
	ifi->ifi_flags = up ? IFF_UP : 0;
	end(b, nlh);
}

void rtnl_keep_addresses(struct rtnl_batch *b, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin_link(b, "address", RTM_SETLINK, ifindex);
	struct nlattr *spec, *inet, *conf;

	if (!nlh)
		return;
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	inet = mnl_attr_nest_start(nlh, AF_INET);
	conf = mnl_attr_nest_start(nlh, IFLA_INET_CONF);
	mnl_attr_put_u32(nlh, IPV4_DEVCONF_PROMOTE_SECONDARIES, 1);
	mnl_attr_nest_end(nlh, conf);
	mnl_attr_nest_end(nlh, inet);
	mnl_attr_nest_end(nlh, spec);
	end(b, nlh);
}

static unsigned char af(const struct prefix *p)
{
	return p->family == 4 ? AF_INET : AF_INET6;
}

static void put_ip(struct nlmsghdr *nlh, uint16_t type, const struct prefix *p)
{
	mnl_attr_put(nlh, type, prefix_bytes(p->family), p->ip);
}

/*
 * What is to be there is, and what is to go has gone.  ENXIO, ENODEV: while the
 * MTU is below what IPv6 needs, the device has none of it at all.
 */
static const int there[] = { EEXIST, 0 };
static const int no_address[] = { EADDRNOTAVAIL, ENXIO, ENODEV, 0 };
static const int no_route[] = { ESRCH, ENODEV, 0 };

/* Begins a message about an address and says which one it is. */
static struct nlmsghdr *begin_address(struct rtnl_batch *b, uint16_t type,
				      uint16_t flags, unsigned ifindex,
				      const struct wire_address *a,
				      const int *tolerate)
{
	struct nlmsghdr *nlh = begin(b, "address", type, flags,
				     sizeof(struct ifaddrmsg));
	const struct prefix *far = a->peer.family ? &a->peer : &a->local;
	struct ifaddrmsg *ifa;
	char text[PREFIX_TEXT_MAX];

	if (!nlh)
		return NULL;
	b->rows[b->n].tolerate = tolerate;
	snprintf(b->rows[b->n].what, RTNL_TEXT_MAX, "%saddress %s",
		 type == RTM_DELADDR ? "removing " : "",
		 prefix_format(&a->local, text));
	ifa = mnl_nlmsg_get_payload(nlh);
	ifa->ifa_family = af(&a->local);
	ifa->ifa_prefixlen = far->len;
	ifa->ifa_index = ifindex;
	put_ip(nlh, IFA_LOCAL, &a->local);
	put_ip(nlh, IFA_ADDRESS, far);
	return nlh;
}

void rtnl_add_address(struct rtnl_batch *b, unsigned ifindex,
		      const struct wire_address *a, bool ensure)
{
	struct nlmsghdr *nlh = begin_address(b, RTM_NEWADDR,
					     NLM_F_CREATE | NLM_F_EXCL, ifindex,
					     a, ensure ? there : NULL);
	uint32_t flags = IFA_F_NOPREFIXROUTE;

	if (!nlh)
		return;
	if (a->flags & WIRE_ADDRESS_NODAD)
		flags |= IFA_F_NODAD;
	mnl_attr_put_u32(nlh, IFA_FLAGS, flags);
	end(b, nlh);
}

void rtnl_remove_address(struct rtnl_batch *b, unsigned ifindex,
			 const struct wire_address *a)
{
	struct nlmsghdr *nlh = begin_address(b, RTM_DELADDR, 0, ifindex, a,
					     no_address);

	if (nlh)
		end(b, nlh);
}

/* Likewise a route. */
static struct nlmsghdr *begin_route(struct rtnl_batch *b, uint16_t type,
				    uint16_t flags, unsigned ifindex,
				    const struct wire_route *r,
				    const int *tolerate)
{
	struct nlmsghdr *nlh = begin(b, "route", type, flags,
				     sizeof(struct rtmsg));
	struct rtmsg *rtm;

	if (!nlh)
		return NULL;
	b->rows[b->n].tolerate = tolerate;
	b->rows[b->n].is_route = true;
	b->rows[b->n].route = *r;
	b->rows[b->n].removes = type == RTM_DELROUTE;
	rtm = mnl_nlmsg_get_payload(nlh);
	rtm->rtm_family = af(&r->dst);
	rtm->rtm_dst_len = r->dst.len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTNL_PROTOCOL;
	/* Scope universe would make every gateway behind it invalid. */
	rtm->rtm_scope = r->gateway.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	put_ip(nlh, RTA_DST, &r->dst);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, r->metric);
	if (r->gateway.family)
		put_ip(nlh, RTA_GATEWAY, &r->gateway);
	return nlh;
}

/*
 * What is put into the kernel for a route: a default route is its two halves,
 * so that the host's own stays, and is there when these go.
 */
static unsigned split_default(const struct wire_route *r,
			      struct wire_route half[2])
{
	half[0] = *r;
	if (r->dst.len > 0)
		return 1;
	half[0].dst.len = 1;
	half[1] = half[0];
	half[1].dst.ip[0] = 0x80;
	return 2;
}

void rtnl_add_route(struct rtnl_batch *b, unsigned ifindex,
		    const struct wire_route *r, const struct prefix *source,
		    bool ensure)
{
	struct wire_route half[2];
	unsigned n = split_default(r, half);

	for (unsigned i = 0; i < n; i++) {
		struct nlmsghdr *nlh = begin_route(b, RTM_NEWROUTE,
						   NLM_F_CREATE | NLM_F_EXCL,
						   ifindex, &half[i],
						   ensure ? there : NULL);

		if (!nlh)
			return;
		if (source)
			put_ip(nlh, RTA_PREFSRC, source);
		b->rows[b->n].sourced = source;
		end(b, nlh);
	}
}

void rtnl_remove_route(struct rtnl_batch *b, unsigned ifindex,
		       const struct wire_route *r)
{
	struct wire_route half[2];
	unsigned n = split_default(r, half);

	for (unsigned i = 0; i < n; i++) {
		struct nlmsghdr *nlh = begin_route(b, RTM_DELROUTE, 0, ifindex,
						   &half[i], no_route);

		if (nlh)
			end(b, nlh);
	}
}

void rtnl_delete_link(struct rtnl_batch *b, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin_link(b, "delete", RTM_DELLINK, ifindex);

	if (nlh)
		end(b, nlh);
}

void rtnl_get_link(struct rtnl_batch *b, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin_link(b, "read back", RTM_GETLINK, ifindex);

	if (nlh)
		end(b, nlh);
}

/* --- the guard ---------------------------------------------------------- */

/*
 * Two filters on what comes out of the device, before the host has it.  The
 * first accepts what its program does (TC_ACT_OK, as it has no action); what it
 * leaves goes to the second, which drops all.  So what a program cannot tell,
 * as a load of it fails, is dropped (net/sched/cls_bpf.c).
 */
#define GUARD_PRIO_ACCEPT	1
#define GUARD_PRIO_DROP		2
#define GUARD_HANDLE		1
#define CLASSIC_RET		0x06	/* BPF_RET | BPF_K */

static struct nlmsghdr *begin_tc(struct rtnl_batch *b, uint16_t type,
				 uint16_t flags, unsigned ifindex,
				 uint32_t parent, uint32_t handle,
				 uint32_t info)
{
	struct nlmsghdr *nlh = begin(b, "guard", type, flags,
				     sizeof(struct tcmsg));
	struct tcmsg *tcm;

	if (!nlh)
		return NULL;
	tcm = mnl_nlmsg_get_payload(nlh);
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	tcm->tcm_handle = handle;
	tcm->tcm_info = info;
	return nlh;
}

static void put_filter(struct rtnl_batch *b, unsigned ifindex, uint32_t prio,
		       const struct guard_insn *insns, unsigned n)
{
	struct nlmsghdr *nlh = begin_tc(b, RTM_NEWTFILTER,
		NLM_F_CREATE | NLM_F_REPLACE, ifindex,
		TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), GUARD_HANDLE,
		TC_H_MAKE(prio << 16, htons(ETH_P_ALL)));
	struct nlattr *options;

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, TCA_KIND, fault_kind("bpf"));
	options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u16(nlh, TCA_BPF_OPS_LEN, (uint16_t)n);
	mnl_attr_put(nlh, TCA_BPF_OPS, n * sizeof(*insns), insns);
	if (prio == GUARD_PRIO_DROP)
		mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	else
		mnl_attr_put_u32(nlh, TCA_BPF_CLASSID, GUARD_HANDLE);
	mnl_attr_nest_end(nlh, options);
	end(b, nlh);
}

void rtnl_add_guard(struct rtnl_batch *b, unsigned ifindex,
		    const struct guard_program *program)
{
	static const struct guard_insn drop = { CLASSIC_RET, 0, 0,
						TC_ACT_SHOT };
	struct nlmsghdr *nlh = begin_tc(b, RTM_NEWQDISC, NLM_F_CREATE, ifindex,
					TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0),
					0);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, TCA_KIND, fault_kind(RTNL_GUARD_QDISC));
	end(b, nlh);
	put_filter(b, ifindex, GUARD_PRIO_DROP, &drop, 1);
	rtnl_set_guard(b, ifindex, program);
}

void rtnl_set_guard(struct rtnl_batch *b, unsigned ifindex,
		    const struct guard_program *program)
{
	put_filter(b, ifindex, GUARD_PRIO_ACCEPT, program->insns, program->n);
}

void rtnl_set_group(struct rtnl_batch *b, unsigned ifindex, uint32_t group)
{
	struct nlmsghdr *nlh = begin_link(b, "group", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	mnl_attr_put_u32(nlh, IFLA_GROUP, group);
	end(b, nlh);
}

void rtnl_delete_group(struct rtnl_batch *b, uint32_t group)
{
	struct nlmsghdr *nlh = begin_link(b, "delete", RTM_DELLINK, 0);

	if (!nlh)
		return;
	mnl_attr_put_u32(nlh, IFLA_GROUP, group);
	end(b, nlh);
}
