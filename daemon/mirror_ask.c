/*
 * What the host has at a prefix, around it and in it: questions to the networks
 * that mirror.c keeps.
 */
#include "mirror.h"

#include <stddef.h>

const char *mirror_address_owner(const struct prefix *address)
{
	struct prefix host = prefix_host(address);
	struct net *own = nets_of(mirror_nets(), &host, NET_OWN);
	const struct os_link *link;

	if (!own || own->kind != NET_OWN)
		return NULL;
	link = mirror_link(own->ifindex);
	return link ? link->name : NULL;
}

/* Whose it is, unless it is this link's. */
static const char *other_name(const struct net *net, unsigned except)
{
	const struct os_link *link;

	if (!net->ifindex)
		return "another interface";
	link = net->ifindex == except ? NULL : mirror_link(net->ifindex);
	return link ? link->name : NULL;
}

static bool onlink_above(const struct prefix *p, int len, struct prefix *ret)
{
	return nets_above(mirror_nets(), NET_ADDRESS, NET_DIRECT, p, len, ret);
}

const char *mirror_onlink_owner(const struct prefix *p, unsigned except,
				struct prefix *ret)
{
	struct prefix net;
	const char *name;

	/* From itself to ever wider ones, as far as there are any. */
	for (bool more = onlink_above(p, p->len, &net); more;
	     more = onlink_above(&net, net.len - 1, &net))
		for (struct net *n = nets_of(mirror_nets(), &net, NET_ADDRESS);
		     n && n->kind <= NET_DIRECT; n = nets_next(n)) {
			name = other_name(n, except);
			if (!name)
				continue;
			*ret = net;
			return name;
		}
	return NULL;
}

const char *mirror_outranked(const struct prefix *p, unsigned except,
			     uint32_t metric, uint32_t *ret_metric)
{
	struct prefix net = prefix_network(p);
	const char *name;

	for (struct net *n = nets_of(mirror_nets(), &net, NET_DIRECT);
	     n && n->kind <= NET_ROUTE; n = nets_next(n)) {
		name = n->metric < metric ? NULL : other_name(n, except);
		if (!name || n->table != OS_TABLE_MAIN)
			continue;
		*ret_metric = n->metric;
		return name;
	}
	return NULL;
}

bool mirror_within(const struct prefix *network,
		   bool (*what)(void *arg, const struct net *net), void *arg)
{
	struct prefix in = prefix_network(network);

	for (struct net *n = nets_within(mirror_nets(), &in); n;
	     n = nets_next_within(n, &in))
		if (!what(arg, n))
			return false;
	return true;
}

static bool local_above(const struct prefix *p, int len, struct prefix *ret)
{
	return nets_above(mirror_nets(), NET_LOCAL, NET_LOCAL, p, len, ret);
}

bool mirror_is_host(const struct prefix *network)
{
	struct prefix net;

	for (bool more = local_above(network, network->len, &net); more;
	     more = local_above(&net, net.len - 1, &net))
		for (struct net *n = nets_of(mirror_nets(), &net, NET_LOCAL);
		     n && n->kind == NET_LOCAL; n = nets_next(n))
			if (n->table == OS_TABLE_LOCAL && !net_is_short(&net))
				return true;
	return false;
}
