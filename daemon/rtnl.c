/* The sockets: batches and their answers, dumps, and events. */
#include "rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/filter.h>
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
	const unsigned find_attr = (unsigned)SKF_AD_OFF + SKF_AD_NLATTR;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at_type),
		BPF_JUMP(BPF_JMP | BPF_JEQ, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ, htons(RTM_DELROUTE), 0, 6),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at_protocol),
		BPF_JUMP(BPF_JMP | BPF_JEQ, RTNL_PROTOCOL, 0, 4),
		BPF_STMT(BPF_LDX | BPF_IMM, RTA_PREFSRC),
		BPF_STMT(BPF_LD | BPF_IMM, at_attrs),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, find_attr),
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

/* --- a batch and its answers --------------------------------------------- */

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

	rtnl_extended_text(nlh, words, sizeof(words));
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
				rtnl_parse_link(nlh, ret_link);
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
			rtnl_tell_message(nlh, watcher);
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
			rtnl_tell_message(nlh, watcher);
	}
	return lost ? -ENOBUFS : -EAGAIN;
}
