#include "rtnl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "fault.h"
#include "refuse.h"

/* OPEN at its largest: each address makes two messages, and seven besides. */
#define MESSAGES_MAX	(2 * WIRE_ADDRESSES_MAX + WIRE_ROUTES_MAX + 8)
#define MESSAGE_BYTES	192		/* longest message that we build */
#define BATCH_BYTES	(MESSAGES_MAX * MESSAGE_BYTES)
#define ANSWER_BYTES	65536
#define RECEIVE_BUFFER	(1024 * 1024)	/* an error for every message fits */
#define ANSWER_SECONDS	2		/* the kernel answers in the send */
#define DUMP_TRIES	5
#define WHAT_MAX	80
/* A message type that no kernel has: a step that the fault hook breaks. */
#define NO_SUCH_TYPE	(RTM_MAX + 64)

struct rtnl_row {
	uint32_t seq;
	const char *step;
	char what[WHAT_MAX];
};

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
	*ret = (struct rtnl){ .nl = nl };
	return 0;
}

int rtnl_open(struct rtnl *ret)
{
	return open_socket(ret, 0, 0);
}

int rtnl_open_events(struct rtnl *ret)
{
	return open_socket(ret, SOCK_NONBLOCK, RTMGRP_LINK |
			   RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
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

/* --- building ---------------------------------------------------------- */

int rtnl_batch_init(struct rtnl_batch *b)
{
	*b = (struct rtnl_batch){ 0 };
	b->buf = malloc(BATCH_BYTES);
	b->rows = calloc(MESSAGES_MAX, sizeof(*b->rows));
	if (b->buf && b->rows)
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

/* Begins a message with its family header; NULL when the batch is full. */
static struct nlmsghdr *begin(struct rtnl_batch *b, const char *step,
			      uint16_t type, uint16_t flags, size_t extra)
{
	struct nlmsghdr *nlh;

	if (b->n == MESSAGES_MAX || b->len + MESSAGE_BYTES > BATCH_BYTES)
		b->error = -E2BIG;
	if (b->error)
		return NULL;
	nlh = mnl_nlmsg_put_header(b->buf + b->len);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	mnl_nlmsg_put_extra_header(nlh, extra);
	b->rows[b->n].step = step;
	b->rows[b->n].what[0] = '\0';
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

void rtnl_set_mac(struct rtnl_batch *b, unsigned ifindex, const uint8_t mac[6])
{
	struct nlmsghdr *nlh = begin_link(b, "mac", RTM_SETLINK, ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, WHAT_MAX,
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
	snprintf(b->rows[b->n].what, WHAT_MAX, "MTU %u", mtu);
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	end(b, nlh);
}

void rtnl_set_txqueuelen(struct rtnl_batch *b, unsigned ifindex, uint32_t len)
{
	struct nlmsghdr *nlh = begin_link(b, "txqueuelen", RTM_SETLINK,
					  ifindex);

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, WHAT_MAX, "txqueuelen %u", len);
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, len);
	end(b, nlh);
}

void rtnl_set_up(struct rtnl_batch *b, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin_link(b, "up", RTM_SETLINK, ifindex);
	struct ifinfomsg *ifi;

	if (!nlh)
		return;
	ifi = mnl_nlmsg_get_payload(nlh);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
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

void rtnl_add_address(struct rtnl_batch *b, unsigned ifindex,
		      const struct wire_address *a)
{
	struct nlmsghdr *nlh = begin(b, "address", RTM_NEWADDR,
				     NLM_F_CREATE | NLM_F_EXCL,
				     sizeof(struct ifaddrmsg));
	const struct prefix *far = a->peer.family ? &a->peer : &a->local;
	uint32_t flags = IFA_F_NOPREFIXROUTE;
	struct ifaddrmsg *ifa;
	char text[PREFIX_TEXT_MAX];

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, WHAT_MAX, "address %s",
		 prefix_format(&a->local, text));
	ifa = mnl_nlmsg_get_payload(nlh);
	ifa->ifa_family = af(&a->local);
	ifa->ifa_prefixlen = far->len;
	ifa->ifa_index = ifindex;
	put_ip(nlh, IFA_LOCAL, &a->local);
	put_ip(nlh, IFA_ADDRESS, far);
	if (a->flags & WIRE_ADDRESS_NODAD)
		flags |= IFA_F_NODAD;
	mnl_attr_put_u32(nlh, IFA_FLAGS, flags);
	end(b, nlh);
}

void rtnl_add_route(struct rtnl_batch *b, unsigned ifindex,
		    const struct wire_route *r, const struct prefix *source)
{
	struct nlmsghdr *nlh = begin(b, "route", RTM_NEWROUTE,
				     NLM_F_CREATE | NLM_F_EXCL,
				     sizeof(struct rtmsg));
	char dst[PREFIX_TEXT_MAX], via[PREFIX_TEXT_MAX];
	struct rtmsg *rtm;

	if (!nlh)
		return;
	snprintf(b->rows[b->n].what, WHAT_MAX, "%s via %s metric %u",
		 prefix_format(&r->dst, dst), r->gateway.family ?
		 prefix_format(&r->gateway, via) : "the device", r->metric);
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
	if (source)
		put_ip(nlh, RTA_PREFSRC, source);
	end(b, nlh);
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

static void parse_link(const struct nlmsghdr *nlh, struct rtnl_link *ret)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr;

	*ret = (struct rtnl_link){ .link.ifindex = (unsigned)ifi->ifi_index };
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(ret->link.name, sizeof(ret->link.name), attr);
			break;
		case IFLA_IFALIAS:
			copy_text(ret->link.alias, sizeof(ret->link.alias),
				  attr);
			break;
		case IFLA_MTU:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
				ret->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(ret->mac))
				memcpy(ret->mac, mnl_attr_get_payload(attr),
				       sizeof(ret->mac));
			break;
		}
	}
}

/* The host's own address of an RTM_NEWADDR or RTM_DELADDR; false: none. */
static bool parse_address(const struct nlmsghdr *nlh, struct os_address *ret)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *local = NULL, *address = NULL, *own;
	struct nlattr *attr;

	*ret = (struct os_address){ .ifindex = ifa->ifa_index };
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = attr;
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			address = attr;
	}
	own = local ? local : address;
	ret->prefix.family = ifa->ifa_family == AF_INET ? 4 : 6;
	ret->prefix.len = ifa->ifa_prefixlen;
	if (!own || mnl_attr_get_payload_len(own) !=
		    prefix_bytes(ret->prefix.family))
		return false;
	memcpy(ret->prefix.ip, mnl_attr_get_payload(own),
	       prefix_bytes(ret->prefix.family));
	return true;
}

/* Tells the watcher one message, if it is about a link or an address. */
static void tell(const struct nlmsghdr *nlh, const struct os_watcher *w)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct os_address address;
	struct rtnl_link link;

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
		w->link(w->arg, &link.link, nlh->nlmsg_type == RTM_DELLINK);
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct ifaddrmsg))
			return;
		if (parse_address(nlh, &address))
			w->address(w->arg, &address,
				   nlh->nlmsg_type == RTM_DELADDR);
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

	if (route && err == EEXIST)
		return "; a route to this prefix with this metric is there already: ask for another prefix or metric";
	if (route && (err == ENETUNREACH || err == EHOSTUNREACH ||
		      err == EINVAL))
		return "; a gateway must lie in an on-link prefix of the device: give it an address whose prefix holds it";
	if (err == EPERM)
		return "; the daemon lacks CAP_NET_ADMIN in this network namespace";
	return "";
}

/* Turns the kernel's no to one message of the batch into a refusal. */
static int explain(const struct rtnl_row *row, const struct nlmsghdr *nlh,
		   int err, struct wire_refused *why)
{
	char words[128];

	extended_text(nlh, words, sizeof(words));
	refuse(why, refuse_kernel_code(err), row->step,
		      "%s%sthe kernel says: %s%s%s%s", row->what,
		      row->what[0] ? ": " : "", strerror(err),
		      words[0] ? ", " : "", words, advice(row, err));
	return -err;
}

static const struct rtnl_row *find_row(const struct rtnl_batch *b, uint32_t seq)
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
			struct rtnl_link *ret_link, struct wire_refused *why)
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
			const struct rtnl_row *row = find_row(b,
							      nlh->nlmsg_seq);
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (!row)
				continue;	/* an older batch's */
			if (nlh->nlmsg_type == RTM_NEWLINK && ret_link)
				parse_link(nlh, ret_link);
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			if (err->error && !result)
				result = explain(row, nlh, -err->error, why);
			if (nlh->nlmsg_seq == last)
				return result;
		}
	}
}

int rtnl_commit(struct rtnl *rtnl, struct rtnl_batch *b,
		struct rtnl_link *ret_link, struct wire_refused *why)
{
	struct nlmsghdr *nlh = (void *)b->buf;
	int len = (int)b->len;

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
	}
	if (!error)
		watcher->dump(watcher->arg, false);
	return error;
}

int rtnl_read_events(struct rtnl *rtnl, const struct os_watcher *watcher)
{
	char buf[ANSWER_BYTES] __attribute__((aligned(8)));

	for (;;) {
		ssize_t got = mnl_socket_recvfrom(rtnl->nl, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (const void *)buf;
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return 0;
		/* ENOSPC: libmnl's word for a message that was cut. */
		if (got < 0)
			return errno == ENOSPC ? -ENOBUFS : -errno;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			tell(nlh, watcher);
	}
}
