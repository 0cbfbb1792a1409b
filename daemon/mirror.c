#include "mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* A prefix that is on-link somewhere, and the reasons why. */
struct onlink {
	struct prefix net;		/* family 0: this is no reason */
	unsigned ifindex;
	struct onlink *prev, *next;	/* of the same prefix */
};
struct network {
	struct prefix net;
	struct onlink *reasons;
	UT_hash_handle hh;
};

/* Keys are compared as bytes: made from zeros. */
struct address_key {
	struct prefix local, peer;
	unsigned ifindex;
};
struct address {
	struct address_key key;
	struct prefix host;		/* without its length: who has it? */
	struct onlink onlink;
	struct address *prev, *next;	/* of the same link */
	UT_hash_handle by_key, by_host;
};

struct route_key {
	struct prefix dst;
	unsigned ifindex;
	uint32_t table, metric;
};
struct route {
	struct route_key key;
	struct onlink onlink;
	struct route *prev, *next;	/* of the same link */
	UT_hash_handle hh;
};

struct link {
	struct os_link os;
	bool known;			/* from the kernel, not from us alone */
	struct address *addresses;
	struct route *routes;
	unsigned epoch;			/* of the last dump that told it */
	UT_hash_handle by_index, by_name;
};

static struct {
	struct link *by_index, *by_name;
	struct address *by_key, *by_host;
	struct route *routes;
	struct network *networks;
	mirror_gone *gone;
	mirror_changed *changed;
	unsigned epoch;
	bool stale;		/* something is missing: ask for all anew */
} mirror;

static const struct prefix link_local = { { 0xfe, 0x80 }, 6, 10 };

/* A default route, or the most of one, is nobody's network. */
#define SHORTEST_IPV4	8
#define SHORTEST_IPV6	16

/* --- what is on-link ---------------------------------------------------- */

static struct network *find_network(const struct prefix *net)
{
	struct network *n;

	HASH_FIND(hh, mirror.networks, net, sizeof(*net), n);
	return n;
}

/* `net` has no host bits. */
static void add_reason(struct onlink *o, const struct prefix *net,
		       unsigned ifindex)
{
	struct network *n = find_network(net);

	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n) {
			mirror.stale = true;
			return;
		}
		n->net = *net;
		HASH_ADD(hh, mirror.networks, net, sizeof(n->net), n);
	}
	o->net = *net;
	o->ifindex = ifindex;
	DL_APPEND(n->reasons, o);
}

static void drop_reason(struct onlink *o)
{
	struct network *n = o->net.family ? find_network(&o->net) : NULL;

	if (!n)
		return;
	DL_DELETE(n->reasons, o);
	if (n->reasons)
		return;
	HASH_DEL(mirror.networks, n);
	free(n);
}

/* --- forgetting --------------------------------------------------------- */

static void forget_address(struct link *link, struct address *a)
{
	/* What is in a table has a table: the analyzer thinks it may not. */
	HASH_DELETE(by_key, mirror.by_key, a); /* NOLINT(clang-analyzer-*) */
	HASH_DELETE(by_host, mirror.by_host, a); /* NOLINT(clang-analyzer-*) */
	drop_reason(&a->onlink);
	DL_DELETE(link->addresses, a);
	free(a);
}

static void forget_route(struct link *link, struct route *r)
{
	HASH_DEL(mirror.routes, r); /* NOLINT(clang-analyzer-*) */
	drop_reason(&r->onlink);
	DL_DELETE(link->routes, r);
	free(r);
}

static void forget_routes(struct link *link)
{
	while (link->routes)
		forget_route(link, link->routes);
}

static void forget_addresses(struct link *link)
{
	while (link->addresses)
		forget_address(link, link->addresses);
}

static void forget_link(struct link *link)
{
	forget_addresses(link);
	forget_routes(link);
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
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static void on_link(void *arg, const struct os_link *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct os_link before;
	bool known;

	(void)arg;
	if (gone) {
		if (link)
			forget_link(link);
		mirror.gone(os->ifindex);
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
		forget_routes(link);
	if (known && !same_link(&before, os))
		mirror.changed(&before, &link->os);
}

static struct address *new_address(const struct address_key *key)
{
	struct address *a = calloc(1, sizeof(*a));
	const struct prefix *far;
	struct prefix net;

	if (!a)
		return NULL;
	memcpy(&a->key, key, sizeof(*key));
	a->host = prefix_host(&key->local);
	far = key->peer.family ? &key->peer : &key->local;
	net = prefix_network(far);
	if (!prefix_is_full(far) && !prefix_contains(&link_local, far))
		add_reason(&a->onlink, &net, key->ifindex);
	return a;
}

static void on_address(void *arg, const struct os_address *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct address_key key;
	struct address *a;

	(void)arg;
	memset(&key, 0, sizeof(key));
	key.local = os->local;
	key.peer = os->peer;
	key.ifindex = os->ifindex;
	HASH_FIND(by_key, mirror.by_key, &key, sizeof(key), a);
	if (gone && a && link)
		forget_address(link, a);
	/* Routes may go with an address, and the kernel tells nothing of it. */
	if (gone && link && link->routes)
		mirror.stale = true;
	/* An address is told again whenever its flags change. */
	if (gone || a || !link)
		return;
	a = new_address(&key);
	if (!a) {
		mirror.stale = true;
		return;
	}
	HASH_ADD(by_key, mirror.by_key, key, sizeof(a->key), a);
	HASH_ADD(by_host, mirror.by_host, host, sizeof(a->host), a);
	DL_APPEND(link->addresses, a);
}

/* Does it make a network on-link that is the host's? */
static bool counts(const struct os_route *r)
{
	return !r->gateway && !r->ours &&
	       r->dst.len >= (r->dst.family == 4 ? SHORTEST_IPV4 :
			      SHORTEST_IPV6) &&
	       !prefix_contains(&link_local, &r->dst);
}

static void on_route(void *arg, const struct os_route *os, bool gone)
{
	struct link *link = find_link(os->ifindex);
	struct prefix net = prefix_network(&os->dst);
	struct route_key key;
	struct route *r;

	(void)arg;
	/* Replaced, of whichever link: only a dump says what is left. */
	if (gone && !os->ifindex && find_network(&net))
		mirror.stale = true;
	if (!link || !counts(os))
		return;
	memset(&key, 0, sizeof(key));
	key.dst = net;
	key.ifindex = os->ifindex;
	key.table = os->table;
	key.metric = os->metric;
	HASH_FIND(hh, mirror.routes, &key, sizeof(key), r);
	/* One that differs in what is not in the key alone may be left. */
	if (gone && r) {
		forget_route(link, r);
		mirror.stale = true;
	}
	if (gone || r)
		return;
	r = calloc(1, sizeof(*r));
	if (!r) {
		mirror.stale = true;
		return;
	}
	memcpy(&r->key, &key, sizeof(key));
	add_reason(&r->onlink, &net, os->ifindex);
	HASH_ADD(hh, mirror.routes, key, sizeof(r->key), r);
	DL_APPEND(link->routes, r);
}

static void on_dump(void *arg, bool begins)
{
	struct link *link, *next;
	unsigned ifindex;

	(void)arg;
	if (begins)
		mirror.epoch++;
	HASH_ITER(by_index, mirror.by_index, link, next) {
		if (begins) {
			forget_addresses(link);
			forget_routes(link);
		} else if (link->epoch != mirror.epoch) {
			ifindex = link->os.ifindex;
			forget_link(link);
			mirror.gone(ifindex);
		}
	}
}

/* --- asking ------------------------------------------------------------- */

int mirror_start(mirror_gone *gone, mirror_changed *changed,
		 struct wire_refused *why)
{
	const struct os_watcher watcher = { on_link, on_address, on_route,
					    on_dump, NULL };

	mirror.gone = gone;
	mirror.changed = changed;
	return os_watch_start(&watcher, why);
}

void mirror_stop(void)
{
	struct link *link, *next;

	HASH_ITER(by_index, mirror.by_index, link, next)
		forget_link(link);
}

int mirror_update(void)
{
	int error = os_watch_read();

	/* A dump that failed has left less than there is. */
	if (error)
		mirror.stale = true;
	if (!mirror.stale)
		return 0;
	mirror.stale = false;
	error = os_watch_again();
	if (error)
		mirror.stale = true;
	return mirror.stale && !error ? -ENOMEM : error;
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
	struct address *a;
	struct link *link;

	HASH_FIND(by_host, mirror.by_host, &host, sizeof(host), a);
	if (!a)
		return NULL;
	link = find_link(a->key.ifindex);
	return link ? link->os.name : NULL;
}

/* Who else than `except` has this very prefix on-link? */
static struct link *other_owner(const struct prefix *net, unsigned except)
{
	struct network *n = find_network(net);
	struct link *link = NULL;
	struct onlink *o;

	if (!n)
		return NULL;
	/* Those of one link are few: its addresses and routes there. */
	DL_FOREACH(n->reasons, o) {
		link = o->ifindex == except ? NULL : find_link(o->ifindex);
		if (link)
			break;
	}
	return link;
}

const char *mirror_onlink_owner(const struct prefix *p, unsigned except,
				struct prefix *ret)
{
	struct prefix net = *p;
	struct link *link;

	/* From itself to ever wider ones: 33 or 129 at most. */
	for (unsigned len = p->len;; len--) {
		net.len = (uint8_t)len;
		net = prefix_network(&net);
		link = other_owner(&net, except);
		if (link) {
			*ret = net;
			return link->os.name;
		}
		if (len == 0)
			return NULL;
	}
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
		if (n == max || prefix_contains(&link_local, &a->key.local))
			continue;
		ret[n++] = (struct wire_address){ .local = a->key.local,
						  .peer = a->key.peer };
	}
	return n;
}

static void tell_addresses(unsigned ifindex, const struct wire_address *a,
			   unsigned n, bool gone)
{
	for (unsigned i = 0; i < n; i++) {
		struct os_address os = { ifindex, a[i].local, a[i].peer };

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

void mirror_readdress(unsigned ifindex,
		      const struct wire_address *gone, unsigned n_gone,
		      const struct wire_address *new, unsigned n_new)
{
	tell_addresses(ifindex, gone, n_gone, true);
	tell_addresses(ifindex, new, n_new, false);
}
