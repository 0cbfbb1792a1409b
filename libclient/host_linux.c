/* What this host can do, and which way its own packets go. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "device.h"

#define TUN_NODE	"/dev/net/tun"
#define ANSWER_BYTES	32768	/* what a dump fills a message with at most */
#define ANSWER_SECONDS	2	/* the kernel answers at once */
#define DUMP_TRIES	5	/* changes may tear each one */

/* --- caps --------------------------------------------------------------- */

static bool kernel_is_at_least(unsigned long major, unsigned long minor)
{
	struct utsname u;
	unsigned long a;
	char *end;

	if (uname(&u) < 0)
		return false;
	a = strtoul(u.release, &end, 10);
	return a > major || (a == major && *end == '.' &&
			     strtoul(end + 1, NULL, 10) >= minor);
}

uint64_t ttd_caps(void)
{
	/* What tun has had since Linux 3.8. */
	unsigned features = IFF_TUN | IFF_TAP | IFF_MULTI_QUEUE | IFF_VNET_HDR;
	uint64_t caps = TTD_CAP_PROTECT;
	int fd = open(TUN_NODE, O_RDWR | O_CLOEXEC);

	/* Who may open it can ask; others are told what is likely. */
	if (fd >= 0) {
		(void)ioctl(fd, TUNGETFEATURES, &features);
		close(fd);
	}
	if (features & IFF_TUN)
		caps |= TTD_CAP_TUN;
	if (features & IFF_TAP)
		caps |= TTD_CAP_TAP;
	if (features & IFF_MULTI_QUEUE)
		caps |= TTD_CAP_QUEUES;
	if (features & IFF_VNET_HDR)
		caps |= TTD_CAP_PASS | TTD_CAP_TSO;
	if (features & IFF_VNET_HDR && kernel_is_at_least(6, 2))
		caps |= TTD_CAP_USO;
	return caps;
}

/* --- protect ------------------------------------------------------------ */

/* The best default route that was seen. */
struct best {
	int family;		/* AF_*, of what was asked */
	unsigned own;		/* the device's index: not that one */
	unsigned ifindex;	/* 0: none yet */
	uint32_t metric;
};

static uint32_t u32_of(const struct rtattr *attr)
{
	uint32_t v = 0;

	if (RTA_PAYLOAD(attr) >= sizeof(v))
		memcpy(&v, RTA_DATA(attr), sizeof(v));
	return v;
}

static void look_at(const struct nlmsghdr *nlh, struct best *best)
{
	const struct rtmsg *rtm = NLMSG_DATA(nlh);
	uint32_t table, metric = 0;
	unsigned ifindex = 0;
	const struct rtattr *attr;
	int len = (int)RTM_PAYLOAD(nlh);

	/* A kernel without this family answers with what it has of others. */
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*rtm)) ||
	    rtm->rtm_family != best->family || rtm->rtm_dst_len ||
	    rtm->rtm_type != RTN_UNICAST)
		return;
	table = rtm->rtm_table;
	for (attr = RTM_RTA(rtm); RTA_OK(attr, len);
	     attr = RTA_NEXT(attr, len)) {
		const struct rtnexthop *hop = RTA_DATA(attr);

		switch (attr->rta_type) {
		case RTA_TABLE:
			table = u32_of(attr);
			break;
		case RTA_PRIORITY:
			metric = u32_of(attr);
			break;
		case RTA_OIF:
			ifindex = u32_of(attr);
			break;
		case RTA_MULTIPATH:	/* the first hop will do */
			if (RTA_PAYLOAD(attr) >= sizeof(*hop))
				ifindex = (unsigned)hop->rtnh_ifindex;
			break;
		}
	}
	if (table != RT_TABLE_MAIN || ifindex == 0 || ifindex == best->own)
		return;
	if (best->ifindex == 0 || metric < best->metric) {
		best->ifindex = ifindex;
		best->metric = metric;
	}
}

static int ask_routes(int nl, int family, uint32_t seq)
{
	struct {
		struct nlmsghdr nlh;
		struct rtmsg rtm;
	} ask = {
		.nlh = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETROUTE,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = seq },
		.rtm = { .rtm_family = (unsigned char)family },
	};
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return sendto(nl, &ask, sizeof(ask), 0, (struct sockaddr *)&kernel,
		      sizeof(kernel)) < 0 ? -errno : 0;
}

/* One message of the answer.  1: more come, 0: that was all, or -errno. */
static int take_answer(int nl, uint32_t seq, struct best *best, bool *torn,
		       void *buf)
{
	struct sockaddr_nl from;
	struct iovec iov = { buf, ANSWER_BYTES };
	struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from),
			    .msg_iov = &iov, .msg_iovlen = 1 };
	const struct nlmsghdr *nlh = buf;
	ssize_t n;
	int left;

	do
		n = recvmsg(nl, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (from.nl_pid != 0)	/* not the kernel: any process may write here */
		return 1;
	left = (int)n;
	for (; left > 0 && NLMSG_OK(nlh, (unsigned)left);
	     nlh = NLMSG_NEXT(nlh, left)) {
		const struct nlmsgerr *err = NLMSG_DATA(nlh);

		if (nlh->nlmsg_seq != seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			*torn = true;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(*err)) &&
			       err->error ? err->error : -EPROTO;
		if (nlh->nlmsg_type == RTM_NEWROUTE)
			look_at(nlh, best);
	}
	return 1;
}

/* The interface of the host's default route beside `own`.  0 or -errno. */
static int default_interface(int family, unsigned own, unsigned *ret)
{
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	void *buf = malloc(ANSWER_BYTES);
	struct best best = { .family = family, .own = own };
	bool torn = true;
	int r = nl < 0 ? -errno : buf ? 0 : -ENOMEM;

	if (r == 0 && setsockopt(nl, SOL_SOCKET, SO_RCVTIMEO, &patience,
				 sizeof(patience)) < 0)
		r = -errno;
	for (uint32_t seq = 1; r == 0 && torn && seq <= DUMP_TRIES; seq++) {
		best = (struct best){ .family = family, .own = own };
		torn = false;
		r = ask_routes(nl, family, seq);
		if (r == 0)
			do
				r = take_answer(nl, seq, &best, &torn, buf);
			while (r > 0);
	}
	free(buf);
	if (nl >= 0)
		close(nl);
	if (r < 0)
		return r;
	/* Torn each time: what was seen is what there was, but not all of it. */
	if (best.ifindex == 0)
		return torn ? -EAGAIN : -ENETUNREACH;
	*ret = best.ifindex;
	return 0;
}

int ttd_protect(struct ttd_device *dev, int sockfd, int family)
{
	char name[IF_NAMESIZE];
	unsigned ifindex;
	int r;

	if (!dev || sockfd < 0 || (family != 4 && family != 6))
		return -EINVAL;
	r = default_interface(family == 4 ? AF_INET : AF_INET6, dev->ifindex,
			      &ifindex);
	if (r < 0)
		return r;
	if (!if_indextoname(ifindex, name))	/* ENXIO: it went meanwhile */
		return errno == ENXIO ? -ENODEV : -errno;
	return setsockopt(sockfd, SOL_SOCKET, SO_BINDTODEVICE, name,
			  (socklen_t)strlen(name)) < 0 ? -errno : 0;
}
