#include "links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "dump_linux.h"

/* A kernel may have more counters than these headers, or fewer. */
static struct traffic parse_traffic(const struct nlattr *attr)
{
	struct rtnl_link_stats64 s = { 0 };
	size_t n = mnl_attr_get_payload_len(attr);

	memcpy(&s, mnl_attr_get_payload(attr), n < sizeof(s) ? n : sizeof(s));
	return (struct traffic){
		.rx = { s.rx_packets, s.rx_bytes, s.rx_dropped, s.rx_errors },
		.tx = { s.tx_packets, s.tx_bytes, s.tx_dropped, s.tx_errors },
	};
}

static void parse_attr(const struct nlattr *attr, struct link_now *ret)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFALIAS:
		snprintf(ret->mark, sizeof(ret->mark), "%.*s",
			 (int)mnl_attr_get_payload_len(attr),
			 mnl_attr_get_str(attr));
		break;
	case IFLA_MTU:
		ret->mtu = dump_u32(attr);
		break;
	case IFLA_TXQLEN:
		ret->txqueuelen = dump_u32(attr);
		break;
	case IFLA_ADDRESS:
		ret->has_mac = mnl_attr_get_payload_len(attr) ==
			       sizeof(ret->mac);
		if (ret->has_mac)
			memcpy(ret->mac, mnl_attr_get_payload(attr),
			       sizeof(ret->mac));
		break;
	case IFLA_STATS64:
		ret->traffic = parse_traffic(attr);
		break;
	}
}

static int take_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct links *links = arg;
	struct link_now now, *all;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi))
		return 0;
	now = (struct link_now){ .ifindex = (unsigned)ifi->ifi_index,
				 .up = ifi->ifi_flags & IFF_UP };
	mnl_attr_for_each(attr, nlh, sizeof(*ifi)) {
		parse_attr(attr, &now);
	}
	if (strncmp(now.mark, LINK_MARK, strlen(LINK_MARK)) != 0)
		return 0;
	all = dump_grow(links->all, links->n, &links->room, sizeof(*all));
	if (!all)
		return -ENOMEM;
	links->all = all;
	all[links->n++] = now;
	return 0;
}

static int by_index(const void *a, const void *b)
{
	unsigned x = ((const struct link_now *)a)->ifindex;
	unsigned y = ((const struct link_now *)b)->ifindex;

	return (x > y) - (x < y);
}

int links_read(struct links *ret)
{
	struct dump d = { .take = take_link, .arg = ret, .n = &ret->n };
	int r;

	dump_ask(&d, RTM_GETLINK, sizeof(struct ifinfomsg));
	r = dump_read(&d);
	if (r == 0 && ret->n)
		qsort(ret->all, ret->n, sizeof(*ret->all), by_index);
	return r;
}

const struct link_now *links_find(const struct links *links, unsigned ifindex,
				  const char *lease, uint32_t uid)
{
	const struct link_now key = { .ifindex = ifindex }, *found;
	char mark[LINK_MARK_MAX];
	size_t len;

	if (!links->n)
		return NULL;
	snprintf(mark, sizeof(mark), LINK_MARK "%s:%u", lease, (unsigned)uid);
	len = strlen(mark);
	found = bsearch(&key, links->all, links->n, sizeof(key), by_index);
	if (!found || strncmp(found->mark, mark, len) != 0)
		return NULL;
	/* What it was made with may follow. */
	return !found->mark[len] || found->mark[len] == ':' ? found : NULL;
}

void links_free(struct links *links)
{
	free(links->all);
	*links = (struct links){ .all = NULL };
}
