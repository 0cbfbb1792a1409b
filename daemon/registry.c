#include "registry.h"

#include <errno.h>
#include <stdlib.h>

#include "limits.h"

/*
 * Exists as long as the uid has a connection, a lease or a copy, and beyond that
 * as long as it owes: else who connects anew for each request would owe nothing.
 */
struct account {
	uid_t uid;
	unsigned connections, leases, devices, copies, fds;
	/*
	 * The bucket, upside down: what has been answered beyond the rate, in
	 * thousandths of a request, as it was at that time.
	 */
	int64_t owed, at;
	uint64_t turn;			/* of the last one answered */
	struct registry_request *line;	/* those that wait, in order */
	struct account *prev, *next;	/* in lines, or in resting */
	UT_hash_handle hh;
};

static struct account *find(const struct registry *r, uid_t uid)
{
	struct account *a;

	HASH_FIND(hh, r->accounts, &uid, sizeof(uid), a);
	return a;
}

static bool is_resting(const struct account *a)
{
	return !a->connections && !a->leases && !a->copies;
}

static void drop(struct registry *r, struct account *a)
{
	HASH_DEL(r->accounts, a);
	free(a);
}

static void drop_if_empty(struct registry *r, struct account *a)
{
	if (!is_resting(a))
		return;
	if (a->owed > 0)
		DL_APPEND(r->resting, a);
	else
		drop(r, a);
}

/* The account of the uid, made if need be; NULL without memory. */
static struct account *have(struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	if (a && is_resting(a))
		DL_DELETE(r->resting, a);
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

unsigned registry_leases(const struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	return a ? a->leases : 0;
}

unsigned registry_devices(const struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	return a ? a->devices : 0;
}

void registry_copy(struct registry *r, uid_t uid)
{
	find(r, uid)->copies++;
	r->n_copies++;
}

void registry_copy_gone(struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	a->copies--;
	r->n_copies--;
	drop_if_empty(r, a);
}

unsigned registry_copies(const struct registry *r, uid_t uid)
{
	struct account *a = find(r, uid);

	return a ? a->copies : 0;
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

/* --- requests, and when they are answered -------------------------------- */

#define ONE_REQUEST	1000	/* thousandths */

/* Each ms pays as many thousandths as there are requests in a second. */
static void pay(struct account *a, int64_t now)
{
	int64_t paid = (now - a->at) * limits.request_rate;

	a->owed = a->owed > paid ? a->owed - paid : 0;
	a->at = now;
}

/* ms until one more may be answered, as far as the rate goes. */
static int64_t has_to_wait(struct account *a, int64_t now)
{
	int64_t over;

	pay(a, now);
	over = a->owed - ((int64_t)limits.request_burst - 1) * ONE_REQUEST;
	if (over <= 0)
		return 0;
	return (over + limits.request_rate - 1) / limits.request_rate;
}

static bool has_turn(const struct registry *r, struct account *a,
		     const struct registry_request *request, int64_t now)
{
	return a->turn != r->turn &&
	       (request->free || has_to_wait(a, now) == 0);
}

static void take_turn(const struct registry *r, struct account *a,
		      const struct registry_request *request)
{
	a->turn = r->turn;
	if (!request->free)
		a->owed += ONE_REQUEST * (1 + (int64_t)request->more);
}

void registry_owe(struct registry *r, uid_t uid, unsigned more)
{
	struct account *a = find(r, uid);

	if (a)
		a->owed += ONE_REQUEST * (int64_t)more;
}

/* Those that came to rest first: as many of them as owe nothing more. */
static void forget_paid(struct registry *r, int64_t now)
{
	struct account *a;

	while ((a = r->resting)) {
		pay(a, now);
		if (a->owed > 0)
			return;
		DL_DELETE(r->resting, a);
		drop(r, a);
	}
}

void registry_forget(struct registry *r)
{
	struct account *a, *next;

	DL_FOREACH_SAFE(r->resting, a, next)
		drop(r, a);
	r->resting = NULL;
}

/* The first in the line that it is not behind, or NULL. */
static struct registry_request *next_in_line(const struct account *a,
				const struct registry_request *request)
{
	struct registry_request *next = NULL;

	if (request->free)
		DL_SEARCH_SCALAR(a->line, next, free, false);
	return next;
}

bool registry_request(struct registry *r, uid_t uid,
		      struct registry_request *request, int64_t now)
{
	struct account *a = find(r, uid);
	struct registry_request *next = next_in_line(a, request);

	forget_paid(r, now);
	if (next == a->line && has_turn(r, a, request, now)) {
		take_turn(r, a, request);
		return true;
	}
	if (!a->line)
		DL_APPEND(r->lines, a);
	DL_PREPEND_ELEM(a->line, next, request);
	request->waits = true;
	return false;
}

static void leave(struct registry *r, struct account *a,
		  struct registry_request *request)
{
	DL_DELETE(a->line, request);
	request->waits = false;
	if (!a->line)
		DL_DELETE(r->lines, a); /* NOLINT(clang-analyzer-*) */
}

void registry_request_cancel(struct registry *r, uid_t uid,
			     struct registry_request *request)
{
	if (request->waits)
		leave(r, find(r, uid), request);
}

void registry_requests_go(struct registry *r, int64_t now,
			  void (*answer)(struct registry_request *request))
{
	struct registry_request *request;
	struct account *a;
	unsigned n;

	/* An answer may end others' connections: any of them may be gone. */
	DL_COUNT(r->lines, a, n);
	for (; n > 0 && (a = r->lines); n--) {
		DL_DELETE(r->lines, a);
		DL_APPEND(r->lines, a);
		request = a->line;
		if (!has_turn(r, a, request, now))
			continue;
		take_turn(r, a, request);
		leave(r, a, request);
		answer(request);
	}
}

int64_t registry_requests_wait(struct registry *r, int64_t now)
{
	int64_t least = -1, wait;
	struct account *a;

	DL_FOREACH(r->lines, a) {
		wait = a->line->free ? 0 : has_to_wait(a, now);
		if (least < 0 || wait < least)
			least = wait;
	}
	return least;
}

/* --- leases -------------------------------------------------------------- */

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
