/* Devices of ours that a daemon before us left, read back from the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "os.h"
#include "rtnl.h"
#include "table.h"

struct address {
	struct wire_address wire;
	struct address *prev, *next;
};

struct route {
	struct wire_route wire;
	bool direct;			/* it has no gateway, */
	bool source;			/* and prefers an address */
	struct route *prev, *next;
};

struct device {
	struct os_link link;
	bool guarded;
	struct address *addresses;
	struct route *routes;
	UT_hash_handle hh;
};

struct finding {
	struct device *devices;
	int error;
};

static void on_link(void *arg, const struct os_link *link, bool gone)
{
	struct finding *f = arg;
	struct device *d;

	(void)gone;
	if (!link->layer ||
	    strncmp(link->alias, MARK_BEGINS, strlen(MARK_BEGINS)) != 0)
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		f->error = -ENOMEM;
		return;
	}
	d->link = *link;
	HASH_ADD(hh, f->devices, link.ifindex, sizeof(d->link.ifindex), d);
}

static struct device *find(const struct finding *f, unsigned ifindex)
{
	struct device *d;

	HASH_FIND(hh, f->devices, &ifindex, sizeof(ifindex), d);
	return d;
}

/* Ours are without the kernel's own route to their prefix. */
static void on_address(void *arg, const struct os_address *os, bool gone)
{
	struct finding *f = arg;
	struct device *d = find(f, os->ifindex);
	struct address *a;

	(void)gone;
	if (!d || !os->noprefixroute)
		return;
	a = calloc(1, sizeof(*a));
	if (!a) {
		f->error = -ENOMEM;
		return;
	}
	a->wire = (struct wire_address){
		.local = os->local, .peer = os->peer, .flags = os->flags
	};
	DL_APPEND(d->addresses, a);
}

static void on_route(void *arg, const struct os_route *os, bool gone)
{
	struct finding *f = arg;
	struct device *d = find(f, os->ifindex);
	struct route *r;

	(void)gone;
	if (!d || !os->ours)
		return;
	r = calloc(1, sizeof(*r));
	if (!r) {
		f->error = -ENOMEM;
		return;
	}
	r->wire = (struct wire_route){
		.dst = os->dst, .gateway = os->gateway, .metric = os->metric
	};
	r->direct = os->direct;
	r->source = os->source;
	DL_APPEND(d->routes, r);
}

static void on_guard(void *arg, unsigned ifindex)
{
	struct device *d = find(arg, ifindex);

	if (d)
		d->guarded = true;
}

static void forget(struct device *d)
{
	struct address *a, *next_address;
	struct route *r, *next_route;

	DL_FOREACH_SAFE(d->addresses, a, next_address)
		free(a);
	DL_FOREACH_SAFE(d->routes, r, next_route)
		free(r);
	free(d);
}

static void on_dump(void *arg, bool begins)
{
	struct finding *f = arg;
	struct device *d, *next;

	if (!begins)
		return;
	HASH_ITER(hh, f->devices, d, next) {
		HASH_DEL(f->devices, d); /* NOLINT(clang-analyzer-*) */
		forget(d);
	}
}

/* --- what its holder asked for ------------------------------------------ */

static bool is_network(const struct device *d, const struct prefix *dst)
{
	const struct address *a;

	DL_FOREACH(d->addresses, a) {
		struct prefix net = prefix_network(a->wire.peer.family ?
						   &a->wire.peer :
						   &a->wire.local);

		if (prefix_equal(&net, dst))
			return true;
	}
	return false;
}

/* May it be the one to an address's network?  (source_of(), rtnl_move.c) */
static bool may_be_connected(const struct device *d, const struct route *r)
{
	return r->direct && (r->source || r->wire.dst.family == 6) &&
	       is_network(d, &r->wire.dst);
}

/* The lowest that the rule allowed, so that none is below it; 0: none. */
static uint32_t connected_metric(const struct device *d)
{
	const struct route *r;
	uint32_t metric = 0;

	DL_FOREACH(d->routes, r)
		if (may_be_connected(d, r) &&
		    (!metric || r->wire.metric < metric))
			metric = r->wire.metric;
	return metric;
}

/* Takes what there is room for, and counts all. */
static void describe_addresses(const struct device *d, struct os_found *ret)
{
	const struct address *a;

	DL_FOREACH(d->addresses, a)
		if (ret->n_addresses++ < WIRE_ADDRESSES_MAX)
			ret->is.addresses[ret->is.n_addresses++] = a->wire;
}

/* Routes to the networks of addresses follow from these, and are no others. */
static int describe_routes(const struct device *d, struct os_found *ret)
{
	const struct route *r;
	size_t n;

	ret->connected_metric = connected_metric(d);
	DL_COUNT(d->routes, r, n);
	ret->routes = calloc(n + 1, sizeof(*ret->routes));
	if (!ret->routes)
		return -ENOMEM;
	DL_FOREACH(d->routes, r)
		if (r->wire.metric != ret->connected_metric ||
		    !may_be_connected(d, r))
			ret->routes[ret->n_routes++] = r->wire;
	return 0;
}

/* The younger, the larger: the kernel counts up for each new one. */
static int by_ifindex(const struct device *a, const struct device *b)
{
	return a->link.ifindex < b->link.ifindex ? -1 :
	       a->link.ifindex > b->link.ifindex;
}

/* 0 or -ENOMEM; its routes are to be freed. */
static int describe(const struct device *d, struct os_found *ret)
{
	const struct os_link *link = &d->link;

	*ret = (struct os_found){
		.link = *link, .guarded = d->guarded,
		.is = {
			.layer = link->layer, .vnet_hdr = link->vnet_hdr,
			.queues = (uint16_t)(link->queues ? link->queues : 1),
			.mtu = link->mtu,
			.flags = link->up ? 0 : WIRE_OPEN_DOWN,
		},
	};
	memcpy(ret->is.name, link->name, sizeof(ret->is.name));
	describe_addresses(d, ret);
	return describe_routes(d, ret);
}

int os_devices_find(bool (*found)(void *arg, struct os_found *f),
		    void *arg)
{
	static struct os_found one;	/* large; used up before we return */
	struct finding f = { NULL, 0 };
	const struct os_watcher watcher = { on_link, on_address, on_route,
					    on_guard, on_dump, &f };
	struct device *d, *next;
	struct rtnl rtnl;
	int error = rtnl_open(&rtnl);

	if (error)
		return error;
	error = rtnl_dump(&rtnl, &watcher);
	if (!error)
		error = rtnl_dump_guards(&rtnl, &watcher);
	rtnl_close(&rtnl);
	if (!error)
		error = f.error;
	/* Linux before 6.9 dumps links by their indexes modulo 256. */
	HASH_SORT(f.devices, by_ifindex);
	HASH_ITER(hh, f.devices, d, next) {
		bool more;

		if (!error)
			error = describe(d, &one);
		if (error)
			break;
		more = found(arg, &one);
		free(one.routes);
		if (!more)
			break;
	}
	on_dump(&f, true);
	return error;
}
