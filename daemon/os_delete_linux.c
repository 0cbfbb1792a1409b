/*
 * Devices that go.  The kernel waits for an RCU grace period for each, about 20
 * ms, but for all of a group's together once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "os.h"
#include "os_linux.h"
#include "rtnl.h"

/* From so many on they go as a group. */
#define BULK_MIN	4
/* Nobody's but ours: a group's deletion takes all that is in it. */
#define DYING_GROUP	0x74756e74	/* "tunt" */
/* Another: what is in that one and not in hand is foreign. */
#define DOOMED_GROUP	0x74756e64	/* "tund" */
/* As many as one batch holds. */
#define CHUNK		512

static struct rtnl deletions;
/* The loop's: the one above is the worker's. */
static struct rtnl dooms;

int os_deletions_start(void)
{
	int error = rtnl_open(&deletions);

	return error ? error : rtnl_open(&dooms);
}

void os_deletions_stop(void)
{
	rtnl_close(&deletions);
	rtnl_close(&dooms);
}

/* --- to be deleted ------------------------------------------------------ */

int os_devices_doom(const unsigned *ifindexes, unsigned n)
{
	struct rtnl_batch batch;
	int error = 0;

	for (unsigned i = 0; i < n && (!error || error == -ENODEV);
	     i += CHUNK) {
		error = rtnl_batch_init(&batch);
		if (error)
			return error;
		for (unsigned j = i; j < n && j < i + CHUNK; j++)
			rtnl_set_group(&batch, ifindexes[j], DOOMED_GROUP);
		error = rtnl_commit(&dooms, &batch, NULL, NULL);
		rtnl_batch_free(&batch);
	}
	return error == -ENODEV ? 0 : error;
}

/* Also what a daemon had in hand when it was killed. */
bool os_link_doomed(const struct os_link *link)
{
	return link->link_group == DOOMED_GROUP ||
	       link->link_group == DYING_GROUP;
}

/* --- one ---------------------------------------------------------------- */

static int check_alias(unsigned ifindex, const char *alias)
{
	struct os_link link = { 0 };
	struct rtnl_batch batch;
	int error = rtnl_batch_init(&batch);

	if (error)
		return error;
	rtnl_get_link(&batch, ifindex);
	error = rtnl_commit(&deletions, &batch, &link, NULL);
	rtnl_batch_free(&batch);
	if (!error && strcmp(link.alias, alias) != 0)
		error = -EPERM;
	return error;
}

static void delete_one(struct os_deletion *d)
{
	struct rtnl_batch batch;
	int error = d->alias ? check_alias(d->ifindex, d->alias) : 0;

	if (!error)
		error = rtnl_batch_init(&batch);
	if (!error) {
		rtnl_delete_link(&batch, d->ifindex);
		error = rtnl_commit(&deletions, &batch, NULL, NULL);
		rtnl_batch_free(&batch);
	}
	/* ENODEV: it went by itself. */
	d->result = error == -ENODEV ? 0 : error;
}

/* --- many --------------------------------------------------------------- */

struct many {
	struct os_deletion *d;		/* by index */
	unsigned n;
	bool foreign;			/* the group has one that is not ours */
};

static int by_index(const void *a, const void *b)
{
	const struct os_deletion *x = a, *y = b;

	return x->ifindex < y->ifindex ? -1 : x->ifindex > y->ifindex;
}

static struct os_deletion *find(const struct many *m, unsigned ifindex)
{
	const struct os_deletion key = { .ifindex = ifindex };

	return bsearch(&key, m->d, m->n, sizeof(*m->d), by_index);
}

/* Who is there, and is it still what it was? */
static void on_link(void *arg, const struct os_link *link, bool gone)
{
	struct many *m = arg;
	struct os_deletion *d = find(m, link->ifindex);

	(void)gone;
	if (d)
		d->result = d->alias && strcmp(d->alias, link->alias) != 0 ?
			    -EPERM : -EBUSY;
	if (link->link_group == DYING_GROUP && (!d || d->result == -EPERM))
		m->foreign = true;
}

/* result: 0 of those that are gone, -EPERM of others', -EBUSY of ours. */
static int look(struct many *m)
{
	m->foreign = false;
	for (unsigned i = 0; i < m->n; i++)
		m->d[i].result = 0;
	return rtnl_dump_links(&deletions, on_link, m);
}

static int put_into_group(const struct many *m)
{
	struct rtnl_batch batch;
	int error = 0;

	for (unsigned i = 0; i < m->n && !error; i += CHUNK) {
		error = rtnl_batch_init(&batch);
		if (error)
			break;
		for (unsigned j = i; j < m->n && j < i + CHUNK; j++)
			if (m->d[j].result == -EBUSY)
				rtnl_set_group(&batch, m->d[j].ifindex,
					       DYING_GROUP);
		error = rtnl_commit(&deletions, &batch, NULL, NULL);
		rtnl_batch_free(&batch);
		/* One that went meanwhile; the others are in. */
		if (error == -ENODEV)
			error = 0;
	}
	return error;
}

static int delete_group(void)
{
	struct rtnl_batch batch;
	int error = rtnl_batch_init(&batch);

	if (error)
		return error;
	rtnl_delete_group(&batch, DYING_GROUP);
	error = rtnl_commit(&deletions, &batch, NULL, NULL);
	rtnl_batch_free(&batch);
	return error == -ENODEV ? 0 : error;
}

/* 0 if all that were ours are gone, or something is to be done one by one. */
static int delete_many(struct many *m)
{
	int error;

	qsort(m->d, m->n, sizeof(*m->d), by_index);
	error = look(m);
	if (!error)
		error = put_into_group(m);
	/* Whatever came into the group in between is not ours to delete. */
	if (!error)
		error = look(m);
	if (!error && m->foreign)
		error = -EBUSY;
	if (!error)
		error = delete_group();
	return error ? error : look(m);
}

void os_devices_delete(struct os_deletion *d, unsigned n)
{
	struct many m = { d, n, false };

	if (n >= BULK_MIN && delete_many(&m) == 0) {
		for (unsigned i = 0; i < n; i++)
			if (d[i].result == -EBUSY)
				delete_one(&d[i]);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		delete_one(&d[i]);
}

/* Devices bear a mark: none has a copy of the daemon's, but in tests. */
int os_is_shared(int own)
{
	int is = fault_is_shared();

	(void)own;
	return is < 0 ? -ENOTSUP : is;
}

unsigned os_own_fds(void)
{
	return 0;
}
