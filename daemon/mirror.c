#include "mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../policy/bounds.h"
#include "limits.h"
#include "nets.h"
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
	struct net *loose;	/* routes of no link, or of an unknown one */
	struct mirror_listener listener;
	unsigned epoch;
	uint32_t serial;
	bool dumping;
	bool stale;		/* something is missing: ask for all anew */
	bool lost;		/* events were */
	int64_t dumped;		/* when that was done last, in ms */
} mirror;

static const struct prefix link_local = { { 0xfe, 0x80 }, 6, 10 };


static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A default route, or the most of one, is nobody's network. */
static bool is_short(const struct prefix *p)
{
	return p->len < (p->family == 4 ? POLICY_SHORTEST_IPV4 : POLICY_SHORTEST_IPV6);
}

/* --- who is touched by what comes and goes ------------------------------ */

/*
 * What leads to a network that this lies in has one more, or one less, in it.
 * Of a dump it is said once, at its end.
 */
static void touch(const struct net *net)
{
	const struct mirror_listener *l = &mirror.listener;
	struct prefix p = net->prefix;

	if (mirror.dumping)
		return;
	if (net->kind == NET_OWN && l->addressed)
		l->addressed();
	if (!l->touched)
		return;
	for (int len = nets_length(p.family, p.len); len >= 0;
	     len = nets_length(p.family, len - 1)) {
		p.len = (uint8_t)len;
		p = prefix_network(&p);
		for (struct net *n = nets_of(&p, NET_ADDRESS); n;
		     n = nets_next(n))
			if (n->ifindex)
				l->touched(n->ifindex);
	}
}

static void add_net(struct net *net)
{
	if (nets_add(net))
		touch(net);
}

static void drop_net(struct net *net)
{
	if (!net->prefix.family)
		return;
	touch(net);
	nets_remove(net);
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
			mirror.stale = true;
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
			mirror.stale = true;
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

static void link_gone(struct link *link, bool moved)
{
	struct os_link os = link->os;

	os.moved = moved;
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
			link_gone(link, os->moved);
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
	/* Its routes go with that, and the kernel tells nothing of it. */
	if (!os->up)
		forget_routes(&link->routes);
	if (!os->up && known && before.up && !mirror.dumping)
		doubt_loose();
	if (known && !same_link(&before, os) && mirror.listener.changed)
		mirror.listener.changed(&before, &link->os);
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
	if (!prefix_is_full(far) && !prefix_contains(&link_local, far))
		a->onlink.prefix = prefix_network(far);
	return a;
}

static struct address *find_address(struct link *link,
				    const struct os_address *os)
{
	struct address *a;

	DL_FOREACH(link->addresses, a)
		if (a->local.len == os->local.len &&
		    prefix_same_address(&a->local, &os->local) &&
		    a->peer.family == os->peer.family &&
		    (!a->peer.family ||
		     (a->peer.len == os->peer.len &&
		      prefix_same_address(&a->peer, &os->peer))))
			break;
	return a;
}

static void on_address(void *arg, const struct os_address *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct address *a = link ? find_address(link, os) : NULL;

	(void)arg;
	if (gone && a)
		forget_address(link, a);
	/* Routes may go with an address, and the kernel tells nothing of it. */
	if (gone && link && link->routes)
		mirror.stale = true;
	/* An address is told again whenever its flags change. */
	if (gone || a || !link)
		return;
	a = new_address(os);
	if (!a) {
		mirror.stale = true;
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
	struct net *n = nets_of(&by->prefix, NET_DIRECT), *next, *old = NULL;

	for (; n; n = next) {
		next = nets_next(n);
		if (n->table != by->table || n->metric != by->metric)
			continue;
		/* Which of several it was, only a dump tells. */
		if (old)
			mirror.stale = true;
		old = n;
	}
	if (old)
		forget_route(routes_of(old->ifindex), old);
}

static void on_route(void *arg, const struct os_route *os, bool gone)
{
	struct net **list = routes_of(os->ifindex), *r;
	struct net key = {
		.prefix = prefix_network(&os->dst), .ifindex = os->ifindex,
		.table = os->table, .metric = os->metric, .which = os->which,
	};

	(void)arg;
	key.kind = os->direct && !os->ours && !is_short(&os->dst) &&
		   (list != &mirror.loose || !os->ifindex) &&
		   !prefix_contains(&link_local, &os->dst) ?
		   NET_DIRECT : NET_ROUTE;
	/* Several next hops are told one at a time, or together: not both. */
	if (!os->ifindex && !mirror.dumping)
		mirror.stale = true;
	if (os->replaces)
		replace_route(&key);
	r = nets_find(&key);
	if (gone && r)
		forget_route(list, r);
	if (gone || r)
		return;
	r = malloc(sizeof(*r));
	if (!r) {
		mirror.stale = true;
		return;
	}
	*r = key;
	add_net(r);
	DL_APPEND2(*list, r, prev, next);
}

static void on_dump(void *arg, bool begins)
{
	struct link *link, *next;

	(void)arg;
	if (begins)
		mirror.epoch++;
	mirror.dumping = true;
	if (begins)
		forget_routes(&mirror.loose);
	HASH_ITER(by_index, mirror.by_index, link, next) {
		if (begins) {
			forget_addresses(link);
			forget_routes(&link->routes);
		} else if (link->epoch != mirror.epoch) {
			link_gone(link, false);
		}
	}
	if (begins)
		return;
	mirror.dumping = false;
	mirror.dumped = now_ms();
	if (mirror.listener.addressed)
		mirror.listener.addressed();
	if (mirror.listener.touched)
		mirror.listener.touched(0);
	if (mirror.lost && mirror.listener.missed)
		mirror.listener.missed();
	mirror.lost = false;
}

/* --- asking ------------------------------------------------------------- */

int mirror_start(const struct mirror_listener *listener,
		 struct wire_refused *why)
{
	const struct os_watcher watcher = { on_link, on_address, on_route,
					    NULL, on_dump, NULL };

	mirror.listener = *listener;
	return os_watch_start(&watcher, why);
}

void mirror_stop(void)
{
	struct link *link, *next;

	mirror.listener = (struct mirror_listener){ .gone = NULL };
	HASH_ITER(by_index, mirror.by_index, link, next)
		forget_link(link);
	forget_routes(&mirror.loose);
}

/* Events were lost, or a dump failed and has left less than there is. */
static int look_again(void)
{
	int error;

	mirror.stale = false;
	error = os_watch_again();
	if (error)
		mirror.stale = true;
	return mirror.stale && !error ? -ENOMEM : error;
}

int mirror_update(void)
{
	int error = os_watch_read(LIMIT_EVENTS_A_DECISION);

	if (error)
		mirror.stale = true;
	/* -EAGAIN: they are still to be read. */
	if (error && error != -EAGAIN)
		mirror.lost = true;
	return mirror.stale ? look_again() : 0;
}

int mirror_follow(void)
{
	int error = os_watch_read(LIMIT_EVENTS_A_TURN);

	if (error && error != -EAGAIN)
		mirror.stale = mirror.lost = true;
	if (!mirror.stale)
		return 0;
	return now_ms() - mirror.dumped < LIMIT_DUMP_MS ? -EAGAIN :
	       look_again();
}

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
	return link != NULL;
}

const char *mirror_address_owner(const struct prefix *address)
{
	struct prefix host = prefix_host(address);
	struct net *own = nets_of(&host, NET_OWN);
	struct link *link;

	if (!own || own->kind != NET_OWN)
		return NULL;
	link = find_link(own->ifindex);
	return link ? link->os.name : NULL;
}

/* Whose it is, unless it is this link's. */
static const char *other_name(const struct net *net, unsigned except)
{
	struct link *link;

	if (!net->ifindex)
		return "another interface";
	link = net->ifindex == except ? NULL : find_link(net->ifindex);
	return link ? link->os.name : NULL;
}

const char *mirror_onlink_owner(const struct prefix *p, unsigned except,
				struct prefix *ret)
{
	struct prefix net = *p;
	const char *name;

	/* From itself to ever wider ones, as far as there are any. */
	for (int len = nets_length(p->family, p->len); len >= 0;
	     len = nets_length(p->family, len - 1)) {
		net.len = (uint8_t)len;
		net = prefix_network(&net);
		for (struct net *n = nets_of(&net, NET_ADDRESS);
		     n && n->kind <= NET_DIRECT; n = nets_next(n)) {
			name = other_name(n, except);
			if (!name)
				continue;
			*ret = net;
			return name;
		}
	}
	return NULL;
}

const char *mirror_outranked(const struct prefix *p, unsigned except,
			     uint32_t metric, uint32_t *ret_metric)
{
	struct prefix net = prefix_network(p);
	const char *name;

	for (struct net *n = nets_of(&net, NET_DIRECT); n; n = nets_next(n)) {
		name = other_name(n, except);
		if (!name || n->table != OS_TABLE_MAIN || n->metric < metric)
			continue;
		*ret_metric = n->metric;
		return name;
	}
	return NULL;
}

bool mirror_within(const struct prefix *net,
		   bool (*what)(void *arg, const struct prefix *p,
				unsigned ifindex, bool own), void *arg)
{
	struct prefix in = prefix_network(net);

	for (struct net *n = nets_within(&in); n; n = nets_next_within(n, &in))
		if (!what(arg, &n->prefix, n->ifindex, n->kind == NET_OWN))
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
		if (n == max || prefix_contains(&link_local, &a->local))
			continue;
		ret[n++] = (struct wire_address){ .local = a->local,
						  .peer = a->peer };
	}
	return n;
}

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

void mirror_readdress(unsigned ifindex,
		      const struct wire_address *gone, unsigned n_gone,
		      const struct wire_address *new, unsigned n_new)
{
	struct link *link = find_link(ifindex);

	/* What the kernel tells of that is no storm of its holder's. */
	if (link)
		link->events -= link->events < LIMIT_EVENTS_A_CHANGE ?
				link->events : LIMIT_EVENTS_A_CHANGE;
	for (unsigned i = 0; i < n_gone; i++)
		if (!is_among(&gone[i], new, n_new))
			tell_addresses(ifindex, &gone[i], 1, true);
	tell_addresses(ifindex, new, n_new, false);
}
