#include "links.h"

#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "dump_linux.h"

/* Two filters: one lets in what it accepts, the next one drops the rest. */
#define QDISC		"clsact"
#define FILTER		"bpf"
#define PRIO_ACCEPT	1
#define PRIO_DROP	2

struct seen {
	unsigned ifindex;
	bool accepts, drops_rest;
	uint32_t drops;
};

static bool is_text(const struct nlattr *attr, const char *text)
{
	return mnl_attr_get_payload_len(attr) == strlen(text) + 1 &&
	       memcmp(mnl_attr_get_payload(attr), text, strlen(text)) == 0;
}

/* It is about the interface, of the type, and of this kind. */
static bool is_about(const struct nlmsghdr *nlh, const struct seen *seen,
		     uint16_t type, const char *kind)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct nlattr *attr;

	if (nlh->nlmsg_type != type ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm) ||
	    (unsigned)tcm->tcm_ifindex != seen->ifindex)
		return false;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
		if (mnl_attr_get_type(attr) == TCA_KIND)
			return is_text(attr, kind);
	return false;
}

static int take_filter(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct seen *seen = arg;

	if (!is_about(nlh, seen, RTM_NEWTFILTER, FILTER))
		return 0;
	if (TC_H_MAJ(tcm->tcm_info) >> 16 == PRIO_ACCEPT)
		seen->accepts = true;
	if (TC_H_MAJ(tcm->tcm_info) >> 16 == PRIO_DROP)
		seen->drops_rest = true;
	return 0;
}

static uint32_t drops_of(const struct nlattr *stats)
{
	struct gnet_stats_queue queue = { 0 };
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, stats)
		if (mnl_attr_get_type(attr) == TCA_STATS_QUEUE &&
		    mnl_attr_get_payload_len(attr) >= sizeof(queue))
			memcpy(&queue, mnl_attr_get_payload(attr),
			       sizeof(queue));
	return queue.drops;
}

static int take_qdisc(const struct nlmsghdr *nlh, void *arg)
{
	struct seen *seen = arg;
	struct nlattr *attr;

	if (!is_about(nlh, seen, RTM_NEWQDISC, QDISC))
		return 0;
	mnl_attr_for_each(attr, nlh, sizeof(struct tcmsg))
		if (mnl_attr_get_type(attr) == TCA_STATS2)
			seen->drops = drops_of(attr);
	return 0;
}

int link_guard(unsigned ifindex, struct link_guard *ret)
{
	struct seen seen = { .ifindex = ifindex };
	struct dump d = { .take = take_filter, .arg = &seen };
	struct tcmsg *tcm = dump_ask(&d, RTM_GETTFILTER, sizeof(*tcm));
	int r;

	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	r = dump_read(&d);
	if (r)
		return r;
	d.take = take_qdisc;
	dump_ask(&d, RTM_GETQDISC, sizeof(*tcm));
	r = dump_read(&d);
	if (r)
		return r;
	*ret = (struct link_guard){ .there = seen.accepts && seen.drops_rest,
				    .drops = seen.drops };
	return 0;
}
