/* Devices of ours that a daemon before us left, read back from the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "os.h"
#include "rtnl.h"
#include "table.h"

struct device {
	unsigned ifindex;
	struct os_found found;
	bool direct[WIRE_ROUTES_MAX];	/* route i has no gateway, */
	bool source[WIRE_ROUTES_MAX];	/* and prefers an address */
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
	if (!link->layer || strncmp(link->alias, OS_ALIAS, strlen(OS_ALIAS)) != 0)
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		f->error = -ENOMEM;
		return;
	}
	d->ifindex = link->ifindex;
	d->found.link = *link;
	d->found.is.layer = link->layer;
	d->found.is.vnet_hdr = link->vnet_hdr;
	d->found.is.queues = (uint16_t)(link->queues ? link->queues : 1);
	d->found.is.mtu = link->mtu;
	d->found.is.flags = link->up ? 0 : WIRE_OPEN_DOWN;
	memcpy(d->found.is.name, link->name, sizeof(d->found.is.name));
	HASH_ADD(hh, f->devices, ifindex, sizeof(d->ifindex), d);
}

static struct device *find(const struct finding *f, unsigned ifindex)
{
	struct device *d;

	HASH_FIND(hh, f->devices, &ifindex, sizeof(ifindex), d);
	return d;
}

/* Ours are without the kernel's own route to their prefix. */
static void on_address(void *arg, const struct os_address *a, bool gone)
{
	struct device *d = find(arg, a->ifindex);
	struct wire_open *is = d ? &d->found.is : NULL;

	(void)gone;
	if (!d || !a->noprefixroute || is->n_addresses == WIRE_ADDRESSES_MAX)
		return;
	is->addresses[is->n_addresses++] = (struct wire_address){
		.local = a->local, .peer = a->peer, .flags = a->flags
	};
}

static void on_route(void *arg, const struct os_route *r, bool gone)
{
	struct device *d = find(arg, r->ifindex);
	struct wire_open *is = d ? &d->found.is : NULL;

	(void)gone;
	if (!d || !r->ours || is->n_routes == WIRE_ROUTES_MAX)
		return;
	d->direct[is->n_routes] = r->direct;
	d->source[is->n_routes] = r->source;
	is->routes[is->n_routes++] = (struct wire_route){
		.dst = r->dst, .gateway = r->gateway, .metric = r->metric
	};
}

static void on_guard(void *arg, unsigned ifindex)
{
	struct device *d = find(arg, ifindex);

	if (d)
		d->found.guarded = true;
}

static void on_dump(void *arg, bool begins)
{
	struct finding *f = arg;
	struct device *d, *next;

	if (!begins)
		return;
	HASH_ITER(hh, f->devices, d, next) {
		HASH_DEL(f->devices, d); /* NOLINT(clang-analyzer-*) */
		free(d);
	}
}

static bool is_network(const struct wire_open *is, const struct prefix *dst)
{
	for (unsigned i = 0; i < is->n_addresses; i++) {
		const struct wire_address *a = &is->addresses[i];
		struct prefix net = prefix_network(a->peer.family ? &a->peer :
						   &a->local);

		if (prefix_equal(&net, dst))
			return true;
	}
	return false;
}

/* May route i be the one to an address's network? (source_of(), rtnl_move.c) */
static bool may_be_connected(const struct device *d, unsigned i)
{
	const struct wire_route *r = &d->found.is.routes[i];

	return d->direct[i] && (d->source[i] || r->dst.family == 6) &&
	       is_network(&d->found.is, &r->dst);
}

/* Routes to the networks of addresses follow from these, and are no others. */
static void set_apart_connected(struct device *d)
{
	struct wire_open *is = &d->found.is;
	uint32_t metric = 0;
	unsigned n = 0;

	/* The lowest that the rule allowed, so that none is below it. */
	for (unsigned i = 0; i < is->n_routes; i++)
		if (may_be_connected(d, i) &&
		    (!metric || is->routes[i].metric < metric))
			metric = is->routes[i].metric;
	for (unsigned i = 0; i < is->n_routes; i++)
		if (!may_be_connected(d, i) || is->routes[i].metric != metric)
			is->routes[n++] = is->routes[i];
	is->n_routes = (uint16_t)n;
	d->found.connected_metric = metric;
}

int os_devices_find(bool (*found)(void *arg, const struct os_found *f),
		    void *arg)
{
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
	HASH_ITER(hh, f.devices, d, next) {
		set_apart_connected(d);
		if (error || !found(arg, &d->found))
			break;
	}
	on_dump(&f, true);
	return error;
}
