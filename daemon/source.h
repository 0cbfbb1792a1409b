/*
 * Where packets of a device may come from: what follows from its addresses and
 * routes and from what else the host has, or what the policy says; and the
 * guard that holds it to that.
 */
#ifndef TUNTAPD_SOURCE_H
#define TUNTAPD_SOURCE_H

#include "follow.h"
#include "guard.h"
#include "routes.h"

struct held;

/* What a lease knows of it. */
struct source {
	bool guarded;
	bool dhcp, shadow, mac_chosen, tamper_revokes;
	bool automatic;
	struct claims named;		/* if not automatic: what the rule says */
	uint64_t digest;		/* of the program in force */
	unsigned room;			/* that this has left, see follow_room() */
	unsigned asked, asked_by;	/* of it by one request, and by which */
	bool dirty;			/* is in the list of those to be made */
};

/*
 * Takes terms over.  A guard that is there stays, whatever the terms say now.
 * 0 or -ENOMEM, and then nothing has changed.
 */
int source_set(struct held *held, const struct policy_terms *terms);
/*
 * The same in two: *ret is what it would be, and later it is taken over, which
 * cannot fail, or source_drop() frees it.
 */
int source_with(const struct source *s, const struct policy_terms *terms,
		struct source *ret);
void source_take(struct held *held, const struct source *with);
void source_drop(struct source *with);
/* Before a lease is freed. */
void source_free(struct held *held);

/*
 * The guard of a device that is, or will be, so, and has these routes besides:
 * *ret is the program, or NULL if the source is not guarded.  ifindex 0: it is
 * not there yet.  which: 0 or 1, the program is valid until the next call with
 * the same.  0 or -errno with *why filled: a refusal at the step `guard`.
 */
int source_program(const struct source *s, const struct wire_open *is,
		   const struct routes *besides, unsigned ifindex, int which,
		   const struct guard_program **ret, struct wire_refused *why);
/* The program is in force. */
void source_in_force(struct source *s, const struct guard_program *program);
/*
 * Puts before the device what it is to have by now, unless that is in force.  0
 * or -errno (-ENODEV: it has gone) with *why filled.
 */
int source_renew(struct held *held, struct wire_refused *why);
void source_stop(void);

#endif
