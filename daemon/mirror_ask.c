/*
 * What the host has at a prefix, around it and in it: questions to the networks
 * that mirror.c keeps.
 */
#include "mirror.h"

#include <stddef.h>

const char *mirror_address_owner(const struct prefix *address, unsigned except)
{
	struct prefix host = prefix_host(address);
	const struct os_link *link;

	for (struct net *own = nets_of(mirror_nets(), &host, NET_OWN);
	     own && own->kind == NET_OWN; own = nets_next(own)) {
		link = own->ifindex == except ? NULL :
						mirror_link(own->ifindex);
		if (link)
			return link->name;
	}
	return NULL;
}

static const char *name_of(const struct net *net)
{
	const struct os_link *link;

	if (!net->ifindex)
		return "another interface";
	link = mirror_link(net->ifindex);
	return link ? link->name : NULL;
}

static bool network_above(const struct prefix *p, int len, struct prefix *ret)
{
	return nets_above(mirror_nets(), NET_ADDRESS, NET_LEASE, p, len, ret);
}

const char *mirror_network_owner(const struct prefix *p,
				 bool (*counts)(const void *arg,
						const struct net *net),
				 const void *arg, struct prefix *ret)
{
	struct prefix net;
	const char *name;

	/* From itself to ever wider ones, as far as there are any. */
	for (bool more = network_above(p, p->len, &net); more;
	     more = network_above(&net, net.len - 1, &net))
		for (struct net *n = nets_of(mirror_nets(), &net, NET_ADDRESS);
		     n && n->kind <= NET_LEASE; n = nets_next(n)) {
			name = counts(arg, n) ? name_of(n) : NULL;
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
		if (n->metric < metric || n->table != OS_TABLE_MAIN ||
		    (n->ifindex && n->ifindex == except))
			continue;
		name = name_of(n);
		if (!name)
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
