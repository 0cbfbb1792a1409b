#include "registry.h"

#include <errno.h>
#include <stdlib.h>

#include "limits.h"

/* Exists as long as the uid has a connection or a lease. */
struct account {
	uid_t uid;
	unsigned connections, leases, devices, fds;
	UT_hash_handle hh;
};

static struct account *find(const struct registry *r, uid_t uid)
{
	struct account *a;

	HASH_FIND(hh, r->accounts, &uid, sizeof(uid), a);
	return a;
}

static void drop_if_empty(struct registry *r, struct account *a)
{
	if (a->connections || a->leases)
		return;
	HASH_DEL(r->accounts, a);
	free(a);
}

/* The account of the uid, made if need be; NULL without memory. */
static struct account *have(struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->uid = uid;
	HASH_ADD(hh, r->accounts, uid, sizeof(a->uid), a);
	return a;
}

int registry_connect(struct registry *r, uid_t uid)
{
	struct account *a = have(r, uid);

	if (!a)
		return -ENOMEM;
	a->connections++;
	r->n_connections++;
	return 0;
}

void registry_disconnect(struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	a->connections--;
	r->n_connections--;
	drop_if_empty(r, a);
}

unsigned registry_connections(const struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	return a ? a->connections : 0;
}

unsigned registry_devices(const struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	return a ? a->devices : 0;
}

void registry_fds(struct registry *r, uid_t uid, unsigned more, unsigned less)
{
	struct account *a = find(r, uid);

	a->fds += more - less;
	r->n_fds += more - less;
}

_Static_assert(LIMIT_FDS_WAITING_UID >= WIRE_QUEUES_MAX,
	       "one device can be made");

bool registry_takes_fds(const struct registry *r, uid_t uid, unsigned n)
{
	struct account *a = find(r, uid);

	return (a ? a->fds : 0) + n <= LIMIT_FDS_WAITING_UID &&
	       r->n_fds + n <= LIMIT_FDS_WAITING;
}

void registry_reserve(struct registry *r, struct lease *lease)
{
	struct account *a = find(r, lease->uid);

	a->leases++;
	a->devices++;
	r->n_devices++;
	lease->counted = true;
	lease->serial = ++r->last_serial;
	r->n_leases++;
	DL_APPEND(r->leases, lease);
}

void registry_commit(struct registry *r, struct lease *lease, unsigned ifindex)
{
	lease->ifindex = ifindex;
	HASH_ADD(by_index, r->by_index, ifindex, sizeof(lease->ifindex), lease);
}

int registry_adopt(struct registry *r, struct lease *lease, unsigned ifindex)
{
	if (!have(r, lease->uid))
		return -ENOMEM;
	registry_reserve(r, lease);
	registry_commit(r, lease, ifindex);
	return 0;
}

void registry_gone(struct registry *r, struct lease *lease)
{
	if (!lease->counted)
		return;
	find(r, lease->uid)->devices--;
	r->n_devices--;
	lease->counted = false;
	if (lease->ifindex)
		HASH_DELETE(by_index, r->by_index, lease);
}

void registry_remove(struct registry *r, struct lease *lease)
{
	struct account *a = find(r, lease->uid);
	struct registry_cursor *cursor;

	registry_gone(r, lease);
	DL_FOREACH(r->cursors, cursor)
		if (cursor->at == lease)
			cursor->at = lease->next;
	DL_DELETE(r->leases, lease);
	r->n_leases--;
	a->leases--;
	drop_if_empty(r, a);
}

struct lease *registry_find(const struct registry *r, unsigned ifindex)
{
	struct lease *lease;

	HASH_FIND(by_index, r->by_index, &ifindex, sizeof(ifindex), lease);
	return lease;
}

void registry_cursor_start(struct registry *r, struct registry_cursor *cursor)
{
	cursor->at = r->leases;
	cursor->active = true;
	DL_APPEND(r->cursors, cursor);
}

struct lease *registry_next(struct registry_cursor *cursor)
{
	struct lease *lease = cursor->at;

	if (lease)
		cursor->at = lease->next;
	return lease;
}

void registry_cursor_stop(struct registry *r, struct registry_cursor *cursor)
{
	if (!cursor->active)
		return;
	DL_DELETE(r->cursors, cursor);
	cursor->active = false;
}
