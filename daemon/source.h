/*
 * Where packets of a device may come from: what follows from its addresses and
 * routes and from what else the host has, or what the policy says; and the
 * guard that holds it to that.
 */
#ifndef TUNTAPD_SOURCE_H
#define TUNTAPD_SOURCE_H

#include "guard.h"
#include "server.h"

struct event_base;
struct held;

/* What a lease knows of it. */
struct source {
	bool guarded;
	bool dhcp, shadow, mac_chosen, tamper_revokes;
	bool automatic;
	struct prefix *prefixes;	/* if not automatic; n of them, owned */
	size_t n;
	uint64_t digest;		/* of the program in force */
	bool dirty;			/* is in the list of those to be made */
};

/*
 * Takes terms over.  A guard that is there stays, whatever the terms say now.
 * 0 or -ENOMEM, and then nothing has changed.
 */
int source_set(struct source *s, const struct policy_terms *terms);
void source_free(struct source *s);

/*
 * The guard of a device that is, or will be, so: *ret is the program, or NULL
 * if the source is not guarded.  ifindex 0: it is not there yet.  which: 0 or 1,
 * the program is valid until the next call with the same.  0 or -errno with
 * *why filled: a refusal at the step `guard`.
 */
int source_program(const struct source *s, const struct wire_open *is,
		   unsigned ifindex, int which,
		   const struct guard_program **ret, struct wire_refused *why);
/* The program is in force. */
void source_in_force(struct source *s, const struct guard_program *program);

/*
 * The guard of a held device is looked at again soon, at most each
 * LIMIT_GUARD_MS.  Where none fits any more the device is taken back.
 */
void source_touch(struct held *held);
/* mirror_listener's.  0: of all. */
void source_touched(unsigned ifindex, struct server *server);
/* Of all whose sources the policy names. */
void source_addressed(struct server *server);
/* Before a lease is freed. */
void source_forget(struct held *held);
int source_start(struct event_base *base);	/* 0 or -ENOMEM */
void source_stop(void);

#endif
