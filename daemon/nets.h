/*
 * Networks in the order of their prefixes, so that what lies in one, and what
 * one lies in, is found at once.  Pure; the nodes are their owner's.
 */
#ifndef TUNTAPD_NETS_H
#define TUNTAPD_NETS_H

#include <stdbool.h>
#include <stdint.h>

#include <bsd/sys/tree.h>

#include "../proto/prefix.h"

#define NETS_LENGTHS		129	/* 0 to 128 */
#define NETS_LENGTH_WORDS	3	/* of 64 bits */

enum net_kind {
	NET_OWN,		/* an address of the host, full length */
	NET_LOCAL,		/* a route whose addresses are all the host's */
	NET_ADDRESS,		/* on-link: what an address opens */
	NET_DIRECT,		/* on-link: a route of the host's without gateway */
	NET_LEASE,		/* a route of ours, with a gateway or without */
	NET_ROUTE,		/* another route */
	NET_NOWHERE		/* one that drops: blackhole and the like */
};
#define NET_KINDS	(NET_NOWHERE + 1)

struct net {
	/* Its place in the order; made from zeros. */
	struct prefix prefix;	/* no bits behind its length; family 0: unused */
	enum net_kind kind;
	uint32_t metric;
	unsigned ifindex;	/* 0: none, or several */
	uint32_t table, which;
	uint32_t serial;	/* not 0: never the same as another */
	RB_ENTRY(net) node;
	/* The owner's: */
	unsigned epoch;
	uint32_t source;
	struct net *prev, *next;
};

/* A default route, or the most of one: nobody's network. */
bool net_is_short(const struct prefix *p);
/* In fe80::/10: of its link alone. */
bool net_is_link_local(const struct prefix *p);

/* Made from zeros. */
struct nets {
	RB_HEAD(nets_tree, net) tree;
	/* How many of each kind have a length, and a bit where some have. */
	unsigned count[NET_KINDS][2][NETS_LENGTHS];
	uint64_t lengths[NET_KINDS][2][NETS_LENGTH_WORDS];
};

/* NULL, or the one of that place that is there already, and stays alone. */
struct net *nets_add(struct nets *nets, struct net *net);
void nets_remove(struct nets *nets, struct net *net);
/* The one of that place, or NULL. */
struct net *nets_find(struct nets *nets, const struct net *key);
/* The first one of that prefix, of this kind or a later one, or NULL. */
struct net *nets_of(struct nets *nets, const struct prefix *prefix,
		    enum net_kind from);
/* The one behind it of the same prefix, or NULL. */
struct net *nets_next(struct net *net);
/* The first one in this network, itself included, and those behind it. */
struct net *nets_within(struct nets *nets, const struct prefix *network);
struct net *nets_next_within(struct net *net, const struct prefix *network);
/*
 * The network that holds this prefix, of the longest length that some of these
 * kinds have and that is not over len; there may be none of it.  False if no
 * length is left.  *ret may be *prefix.
 */
bool nets_above(const struct nets *nets, enum net_kind from, enum net_kind to,
		const struct prefix *prefix, int len, struct prefix *ret);

#endif
