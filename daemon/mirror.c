/* Kept from the events: links, and what hangs on them. */
#include "mirror.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../policy/bounds.h"
#include "clock.h"
#include "limits.h"
#include "table.h"

struct address {
	struct prefix local, peer;
	struct net own, onlink;
	struct address *prev, *next;	/* of the same link */
};

struct link {
	struct os_link os;
	bool known;			/* from the kernel, not from us alone */
	struct address *addresses;
	struct net *routes;
	unsigned epoch;			/* of the last dump that told it */
	time_t second;			/* in which so many events came */
	unsigned events;
	UT_hash_handle by_index, by_name;
};

static struct {
	struct link *by_index, *by_name;
	struct net *loose;	/* routes of no link, or of several */
	struct nets nets;	/* all of it, by prefix */
	struct mirror_listener listener;
	unsigned epoch;		/* which dump it is */
	uint32_t serial;
	bool started;		/* the first dump is over */
	bool dumping;
	bool stale;		/* something is missing: ask for all anew */
	bool lost;		/* events were */
	int64_t dumped;		/* when that was tried last, in ms */
} mirror;

/* Something is missing: a dump tells, with the next decision or soon. */
static void be_stale(void)
{
	mirror.stale = true;
	if (mirror.listener.stale)
		mirror.listener.stale();
}

/* --- by prefix ---------------------------------------------------------- */

static void touch(const struct net *net)
{
	if (mirror.listener.touched)
		mirror.listener.touched(net);
}

/* False if it is there already, which this dump tells then. */
static bool add_net(struct net *net)
{
	struct net *there = nets_add(&mirror.nets, net);

	net->epoch = mirror.epoch;
	if (there)
		there->epoch = mirror.epoch;
	else
		touch(net);
	return !there;
}

static void drop_net(struct net *net)
{
	if (!net->prefix.family)
		return;
	nets_remove(&mirror.nets, net);
	touch(net);
}

/* --- forgetting --------------------------------------------------------- */

static void forget_address(struct link *link, struct address *a)
{
	drop_net(&a->own);
	drop_net(&a->onlink);
	DL_DELETE(link->addresses, a);
	free(a);
}

static void forget_route(struct net **list, struct net *r)
{
	drop_net(r);
	DL_DELETE2(*list, r, prev, next);
	free(r);
}

static void forget_routes(struct net **list)
{
	while (*list)
		forget_route(list, *list);
}

static void forget_leading(struct net **list)
{
	struct net *r, *next;

	DL_FOREACH_SAFE2(*list, r, next, next)
		if (r->kind != NET_LOCAL)
			forget_route(list, r);
}

static void forget_ipv6(struct net **list)
{
	struct net *r, *next;

	DL_FOREACH_SAFE2(*list, r, next, next)
		if (r->prefix.family == 6)
			forget_route(list, r);
}

static void forget_addresses(struct link *link)
{
	while (link->addresses)
		forget_address(link, link->addresses);
}

static void forget_link(struct link *link)
{
	forget_addresses(link);
	forget_routes(&link->routes);
	HASH_DELETE(by_index, mirror.by_index, link);
	HASH_DELETE(by_name, mirror.by_name, link);
	free(link);
}

/* --- what the kernel tells ---------------------------------------------- */

static struct link *find_link(unsigned ifindex)
{
	struct link *link;

	HASH_FIND(by_index, mirror.by_index, &ifindex, sizeof(ifindex), link);
	return link;
}

/* The link of that index, made if need be; NULL without memory. */
static struct link *have_link(unsigned ifindex, const char *name)
{
	struct link *link = find_link(ifindex);

	if (link && strcmp(link->os.name, name) == 0)
		return link;
	if (!link) {
		link = calloc(1, sizeof(*link));
		if (!link) {
			be_stale();
			return NULL;
		}
		link->os.ifindex = ifindex;
		HASH_ADD(by_index, mirror.by_index, os.ifindex,
			 sizeof(link->os.ifindex), link);
	} else {
		HASH_DELETE(by_name, mirror.by_name, link);
	}
	snprintf(link->os.name, sizeof(link->os.name), "%s", name);
	HASH_ADD_KEYPTR(by_name, mirror.by_name, link->os.name,
			strlen(link->os.name), link);
	return link;
}

static bool same_link(const struct os_link *a, const struct os_link *b)
{
	return strcmp(a->name, b->name) == 0 && a->up == b->up &&
	       a->mtu == b->mtu && a->type == b->type &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       a->persist == b->persist && a->has_owner == b->has_owner &&
	       a->owner == b->owner && a->has_group == b->has_group &&
	       a->queues == b->queues &&
	       strcmp(a->alias, b->alias) == 0;
}

/*
 * A link has gone down: on-link routes with several next hops may have gone
 * with it, and the kernel tells nothing of it.
 */
static void doubt_loose(void)
{
	struct net *n;

	DL_FOREACH(mirror.loose, n)
		if (n->kind == NET_DIRECT)
			be_stale();
}

/* One more event of a link; are they too many? */
static void count_event(struct link *link)
{
	time_t second = (time_t)(now_ms() / 1000);

	if (mirror.dumping)
		return;
	if (link->second != second)
		link->events = 0;
	link->second = second;
	if (++link->events == LIMIT_LINK_EVENTS && mirror.listener.storm)
		mirror.listener.storm(link->os.ifindex);
}

static void link_gone(struct link *link, enum os_going how)
{
	struct os_link os = link->os;

	os.going = how;
	if (!mirror.dumping)
		doubt_loose();
	forget_link(link);
	if (mirror.listener.gone)
		mirror.listener.gone(&os);
}

static void on_link(void *arg, const struct os_link *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct os_link before;
	bool known;

	(void)arg;
	if (gone) {
		if (link)
			link_gone(link, os->going);
		return;
	}
	known = link && link->known;
	if (known)
		before = link->os;
	link = have_link(os->ifindex, os->name);
	if (!link)
		return;
	link->os = *os;
	link->known = true;
	link->epoch = mirror.epoch;
	/*
	 * Its routes go with that, and the kernel tells nothing of it; but
	 * those to the host itself stay.
	 */
	if (!os->up)
		forget_leading(&link->routes);
	/* And of ours it does not tell what goes with IPv6. */
	if (os->mtu < POLICY_MTU_IPV6)
		forget_ipv6(&link->routes);
	if (!os->up && known && before.up && !mirror.dumping)
		doubt_loose();
	if (known && !same_link(&before, os) && mirror.listener.changed)
		mirror.listener.changed(&before, &link->os);
	if (!known && mirror.started && mirror.listener.came)
		mirror.listener.came(&link->os);
	count_event(link);
}

static uint32_t new_serial(void)
{
	if (++mirror.serial == 0)
		mirror.serial = 1;
	return mirror.serial;
}

static struct address *new_address(const struct os_address *os)
{
	struct address *a = calloc(1, sizeof(*a));
	const struct prefix *far = os->peer.family ? &os->peer : &os->local;

	if (!a)
		return NULL;
	a->local = os->local;
	a->peer = os->peer;
	a->own.prefix = prefix_host(&os->local);
	a->own.kind = NET_OWN;
	a->own.ifindex = a->onlink.ifindex = os->ifindex;
	a->own.serial = a->onlink.serial = new_serial();
	a->onlink.kind = NET_ADDRESS;
	/* Of full length a far end is one too, but no address by itself. */
	if ((os->peer.family || !prefix_is_full(far)) &&
	    !net_is_link_local(far))
		a->onlink.prefix = prefix_network(far);
	return a;
}

static struct address *address_of(struct net *own)
{
	return (struct address *)((char *)own - offsetof(struct address, own));
}

static struct address *find_address(const struct os_address *os)
{
	struct prefix host = prefix_host(&os->local);

	for (struct net *n = nets_of(&mirror.nets, &host, NET_OWN);
	     n && n->kind == NET_OWN; n = nets_next(n)) {
		struct address *a = address_of(n);

		if (n->ifindex == os->ifindex && a->local.len == os->local.len &&
		    a->peer.family == os->peer.family &&
		    (!a->peer.family ||
		     (a->peer.len == os->peer.len &&
		      prefix_same_address(&a->peer, &os->peer))))
			return a;
	}
	return NULL;
}

static bool has_ipv4(const struct link *link)
{
	struct address *a;

	DL_FOREACH(link->addresses, a)
		if (a->local.family == 4)
			return true;
	return false;
}

/*
 * What goes with an address, and the kernel tells nothing of it: with the last
 * IPv4 one all IPv4 routes of the link (fib_disable_ip), and any that prefers
 * it (fib_sync_down_addr); then it takes a dump to tell which.
 */
static void routes_go_with(struct link *link, const struct prefix *local)
{
	bool all = local->family == 4 && !has_ipv4(link);
	uint32_t hash = os_source_hash(local);
	struct net *r, *next;

	if (all)
		doubt_loose();
	DL_FOREACH_SAFE2(link->routes, r, next, next) {
		if (all && r->prefix.family == 4)
			forget_route(&link->routes, r);
		else if (r->source == hash)
			be_stale();
	}
}

static void on_address(void *arg, const struct os_address *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct address *a = link ? find_address(os) : NULL;

	(void)arg;
	if (gone && a) {
		forget_address(link, a);
		routes_go_with(link, &os->local);
	}
	/* An address is told again whenever its flags change. */
	if (a && !gone)
		a->own.epoch = mirror.epoch;
	if (gone || a || !link)
		return;
	a = new_address(os);
	if (!a) {
		be_stale();
		return;
	}
	add_net(&a->own);
	if (a->onlink.prefix.family)
		add_net(&a->onlink);
	DL_APPEND(link->addresses, a);
}

static struct net **routes_of(unsigned ifindex)
{
	struct link *link = find_link(ifindex);

	return link ? &link->routes : &mirror.loose;
}

/* Takes the place of what is there with the same destination and metric. */
static void replace_route(const struct net *by)
{
	struct net *n = nets_of(&mirror.nets, &by->prefix, NET_LOCAL);
	struct net *next, *old = NULL;

	for (; n; n = next) {
		next = nets_next(n);
		if (n->table != by->table || n->metric != by->metric)
			continue;
		/* Which of several it was, only a dump tells. */
		if (old)
			be_stale();
		old = n;
	}
	if (old)
		forget_route(routes_of(old->ifindex), old);
}

static enum net_kind kind_of(const struct os_route *os)
{
	if (os->to == OS_ROUTE_TO_HOST)
		return NET_LOCAL;
	if (os->to == OS_ROUTE_TO_NOWHERE)
		return NET_NOWHERE;
	if (net_is_short(&os->dst) || net_is_link_local(&os->dst))
		return NET_ROUTE;
	if (os->ours)
		return NET_LEASE;
	return os->direct ? NET_DIRECT : NET_ROUTE;
}

static void on_route(void *arg, const struct os_route *os, bool gone)
{
	/* Those that lead nowhere are no link's, whatever the kernel says. */
	unsigned ifindex = os->to == OS_ROUTE_TO_NOWHERE ? 0 : os->ifindex;
	struct net **list = routes_of(ifindex), *r;
	const struct net key = {
		.prefix = prefix_network(&os->dst), .ifindex = ifindex,
		.table = os->table, .metric = os->metric, .which = os->which,
		.source = os->source, .kind = kind_of(os),
	};

	(void)arg;
	/* Its link is told first, at a dump and by events. */
	if (ifindex && !find_link(ifindex))
		return;
	/* Several next hops are told one at a time, or together: not both. */
	if (os->to == OS_ROUTE_TO_LINK && !ifindex && !mirror.dumping)
		be_stale();
	if (os->replaces)
		replace_route(&key);
	if (gone) {
		r = nets_find(&mirror.nets, &key);
		if (r)
			forget_route(list, r);
		return;
	}
	r = malloc(sizeof(*r));
	if (!r) {
		be_stale();
		return;
	}
	*r = key;
	if (add_net(r))
		DL_APPEND2(*list, r, prev, next);
	else
		free(r);
}

static void sweep_routes(struct net **list)
{
	struct net *r, *next;

	DL_FOREACH_SAFE2(*list, r, next, next)
		if (r->epoch != mirror.epoch)
			forget_route(list, r);
}

static void sweep_addresses(struct link *link)
{
	struct address *a, *next;

	DL_FOREACH_SAFE(link->addresses, a, next)
		if (a->own.epoch != mirror.epoch)
			forget_address(link, a);
}

/* What the dump did not tell is no longer there. */
static void sweep(void)
{
	struct link *link, *next;

	sweep_routes(&mirror.loose);
	HASH_ITER(by_index, mirror.by_index, link, next) {
		sweep_addresses(link);
		sweep_routes(&link->routes);
		if (link->epoch != mirror.epoch)
			link_gone(link, link->os.going);
	}
}

/* One that fails does not end: nothing is forgotten for it. */
static void on_dump(void *arg, bool begins)
{
	(void)arg;
	mirror.dumping = true;
	if (begins) {
		mirror.epoch++;
		return;
	}
	sweep();
	mirror.dumping = false;
	if (mirror.lost && mirror.listener.missed)
		mirror.listener.missed();
	mirror.lost = false;
}

/* --- the first dump, and later ones ------------------------------------- */

int mirror_start(const struct mirror_listener *listener,
		 struct wire_refused *why)
{
	const struct os_watcher watcher = { on_link, on_address, on_route,
					    NULL, on_dump, NULL };
	int error;

	mirror.listener = *listener;
	error = os_watch_start(&watcher, why);
	mirror.started = !error;
	return error;
}

void mirror_stop(void)
{
	struct link *link, *next;

	mirror.listener = (struct mirror_listener){ .gone = NULL };
	mirror.started = false;
	HASH_ITER(by_index, mirror.by_index, link, next)
		forget_link(link);
	forget_routes(&mirror.loose);
}

/*
 * Events were lost or do not tell enough, or a dump failed and has left less
 * than there is.
 */
static int look_again(void)
{
	int error;

	mirror.stale = false;
	error = os_watch_again();
	mirror.dumping = false;
	mirror.dumped = now_ms();
	if (error)
		mirror.stale = true;
	return mirror.stale && !error ? -ENOMEM : error;
}

/* Not those that are still to be read, nor those that only say to look. */
static bool events_lost(int error)
{
	return error && error != -EAGAIN && error != -ESTALE;
}

int mirror_update(void)
{
	int error = os_watch_read(LIMIT_EVENTS_A_DECISION);

	if (error)
		mirror.stale = true;
	if (events_lost(error))
		mirror.lost = true;
	return mirror.stale ? look_again() : 0;
}

int mirror_follow(void)
{
	int error = os_watch_read(LIMIT_EVENTS_A_TURN);

	if (error && error != -EAGAIN)
		mirror.stale = true;
	if (events_lost(error))
		mirror.lost = true;
	if (!mirror.stale)
		return 0;
	return now_ms() - mirror.dumped < LIMIT_DUMP_MS ? -EAGAIN :
	       look_again();
}

struct nets *mirror_nets(void)
{
	return &mirror.nets;
}

/* --- asking ------------------------------------------------------------- */

const struct os_link *mirror_link(unsigned ifindex)
{
	struct link *link = find_link(ifindex);

	return link ? &link->os : NULL;
}

bool mirror_name_taken(void *unused, const char *name)
{
	struct link *link;

	(void)unused;
	HASH_FIND(by_name, mirror.by_name, name, strlen(name), link);
	return link || os_name_taken(name);
}

bool mirror_own(unsigned ifindex,
		bool (*what)(void *arg, const struct net *net), void *arg)
{
	struct link *link = find_link(ifindex);
	struct address *a;

	if (!link)
		return true;
	DL_FOREACH(link->addresses, a)
		if (!what(arg, &a->own))
			return false;
	return true;
}

unsigned mirror_addresses(unsigned ifindex, struct wire_address *ret,
			  unsigned max)
{
	struct link *link = find_link(ifindex);
	struct address *a;
	unsigned n = 0;

	if (!link)
		return 0;
	DL_FOREACH(link->addresses, a) {
		if (n == max || net_is_link_local(&a->local))
			continue;
		ret[n++] = (struct wire_address){ .local = a->local,
						  .peer = a->peer };
	}
	return n;
}

/* --- what we do ourselves ----------------------------------------------- */

static void tell_addresses(unsigned ifindex, const struct wire_address *a,
			   unsigned n, bool gone)
{
	for (unsigned i = 0; i < n; i++) {
		struct os_address os = { .ifindex = ifindex,
					 .local = a[i].local,
					 .peer = a[i].peer };

		on_address(NULL, &os, gone);
	}
}

void mirror_add(unsigned ifindex, const char *name,
		const struct wire_address *addresses, unsigned n)
{
	/* Events that were read tell more of it; those to come will. */
	if (!find_link(ifindex))
		have_link(ifindex, name);
	tell_addresses(ifindex, addresses, n, false);
}

static bool is_among(const struct wire_address *a,
		     const struct wire_address *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (prefix_same_address(&a->local, &list[i].local) &&
		    a->local.len == list[i].local.len &&
		    memcmp(&a->peer, &list[i].peer, sizeof(a->peer)) == 0)
			return true;
	return false;
}

void mirror_forgive(unsigned ifindex)
{
	struct link *link = find_link(ifindex);

	if (link)
		link->events -= link->events < LIMIT_EVENTS_A_CHANGE ?
				link->events : LIMIT_EVENTS_A_CHANGE;
}

void mirror_readdress(unsigned ifindex,
		      const struct wire_address *gone, unsigned n_gone,
		      const struct wire_address *new, unsigned n_new)
{
	for (unsigned i = 0; i < n_gone; i++)
		if (!is_among(&gone[i], new, n_new))
			tell_addresses(ifindex, &gone[i], 1, true);
	tell_addresses(ifindex, new, n_new, false);
}
