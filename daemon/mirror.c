#include "mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* Compared as bytes: made from zeros. */
struct address_key {
	struct prefix local, peer;
	unsigned ifindex;
};

struct address {
	struct address_key key;
	struct prefix host;		/* without its length: who has it? */
	struct prefix net;		/* its on-link prefix; family 0: none */
	struct address *prev, *next;	/* of the same link */
	UT_hash_handle by_key, by_host, by_net;
};

struct link {
	struct os_link os;
	struct address *addresses;
	unsigned epoch;			/* of the last dump that told it */
	UT_hash_handle by_index, by_name;
};

static struct {
	struct link *by_index, *by_name;
	struct address *by_key, *by_host, *by_net;
	mirror_gone *gone;
	unsigned epoch;
	bool stale;		/* something is missing: ask for all anew */
} mirror;

static const struct prefix link_local = { { 0xfe, 0x80 }, 6, 10 };

static void forget_address(struct link *link, struct address *a)
{
	/* What is in a table has a table: the analyzer thinks it may not. */
	HASH_DELETE(by_key, mirror.by_key, a); /* NOLINT(clang-analyzer-*) */
	HASH_DELETE(by_host, mirror.by_host, a); /* NOLINT(clang-analyzer-*) */
	if (a->net.family)
		HASH_DELETE(by_net, mirror.by_net, a); /* NOLINT(clang-analyzer-*) */
	DL_DELETE(link->addresses, a);
	free(a);
}

static void forget_addresses(struct link *link)
{
	while (link->addresses)
		forget_address(link, link->addresses);
}

static void forget_link(struct link *link)
{
	forget_addresses(link);
	HASH_DELETE(by_index, mirror.by_index, link);
	HASH_DELETE(by_name, mirror.by_name, link);
	free(link);
}

static struct link *find_link(unsigned ifindex)
{
	struct link *link;

	HASH_FIND(by_index, mirror.by_index, &ifindex, sizeof(ifindex), link);
	return link;
}

static void on_link(void *arg, const struct os_link *os, bool gone)
{
	struct link *link = find_link(os->ifindex);

	(void)arg;
	if (gone) {
		if (link)
			forget_link(link);
		mirror.gone(os->ifindex);
		return;
	}
	if (!link) {
		link = calloc(1, sizeof(*link));
		if (!link) {
			mirror.stale = true;
			return;
		}
		link->os.ifindex = os->ifindex;
		HASH_ADD(by_index, mirror.by_index, os.ifindex,
			 sizeof(link->os.ifindex), link);
	} else {
		HASH_DELETE(by_name, mirror.by_name, link);
	}
	link->os = *os;
	link->epoch = mirror.epoch;
	HASH_ADD_KEYPTR(by_name, mirror.by_name, link->os.name,
			strlen(link->os.name), link);
}

static struct address *new_address(const struct address_key *key)
{
	struct address *a = calloc(1, sizeof(*a));
	const struct prefix *far;

	if (!a)
		return NULL;
	memcpy(&a->key, key, sizeof(*key));
	a->host = prefix_host(&key->local);
	far = key->peer.family ? &key->peer : &key->local;
	if (!prefix_is_full(far) && !prefix_contains(&link_local, far))
		a->net = prefix_network(far);
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
	if (a->net.family)
		HASH_ADD(by_net, mirror.by_net, net, sizeof(a->net), a);
	DL_APPEND(link->addresses, a);
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
		} else if (link->epoch != mirror.epoch) {
			ifindex = link->os.ifindex;
			forget_link(link);
			mirror.gone(ifindex);
		}
	}
}

int mirror_start(mirror_gone *gone, struct wire_refused *why)
{
	const struct os_watcher watcher = { on_link, on_address, on_dump,
					    NULL };

	mirror.gone = gone;
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

const char *mirror_onlink_owner(const struct prefix *p, struct prefix *ret)
{
	struct prefix net = *p;
	struct address *a;
	struct link *link;

	/* From itself to ever wider ones: 33 or 129 at most. */
	for (unsigned len = p->len;; len--) {
		net.len = (uint8_t)len;
		net = prefix_network(&net);
		HASH_FIND(by_net, mirror.by_net, &net, sizeof(net), a);
		link = a ? find_link(a->key.ifindex) : NULL;
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

void mirror_add(unsigned ifindex, const char *name,
		const struct wire_address *addresses, unsigned n)
{
	struct os_link link = { .ifindex = ifindex };

	memcpy(link.name, name, strnlen(name, WIRE_NAME_MAX));
	on_link(NULL, &link, false);
	for (unsigned i = 0; i < n; i++) {
		struct os_address a = { ifindex, addresses[i].local,
					addresses[i].peer };

		on_address(NULL, &a, false);
	}
}
