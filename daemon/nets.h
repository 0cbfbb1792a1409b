/*
 * The host's addresses, networks and routes in the order of their prefixes, so
 * that what lies in a network, and what a network lies in, is found at once.
 * Pure; the nodes are parts of what the mirror keeps.
 */
#ifndef TUNTAPD_NETS_H
#define TUNTAPD_NETS_H

#include <stdbool.h>
#include <stdint.h>

#include <bsd/sys/tree.h>

#include "../proto/prefix.h"

enum net_kind {
	NET_OWN,		/* an address of the host, full length */
	NET_ADDRESS,		/* on-link: what an address opens */
	NET_DIRECT,		/* on-link: a route of the host's without gateway */
	NET_ROUTE		/* another route */
};

struct net {
	/* Its place in the order; made from zeros. */
	struct prefix prefix;	/* no bits behind its length; family 0: unused */
	enum net_kind kind;
	unsigned ifindex;	/* 0: none, or several */
	uint32_t table, metric, which;
	uint32_t serial;	/* not 0: never the same as another */
	RB_ENTRY(net) node;
	struct net *prev, *next;	/* the owner's */
};

/* False if one of that place is there already. */
bool nets_add(struct net *net);
void nets_remove(struct net *net);
/* The one of that place, or NULL. */
struct net *nets_find(const struct net *key);
/* The first one of that prefix, of this kind or a later one, or NULL. */
struct net *nets_of(const struct prefix *prefix, enum net_kind from);
/* The one behind it of the same prefix, or NULL. */
struct net *nets_next(struct net *net);
/* The first one in this network, itself included, and those behind it. */
struct net *nets_within(const struct prefix *network);
struct net *nets_next_within(struct net *net, const struct prefix *network);
/*
 * The length of the longest prefix that is there of this one's family and not
 * longer than len, or -1.
 */
int nets_length(uint8_t family, int len);

#endif
