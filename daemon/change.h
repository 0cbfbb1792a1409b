/*
 * What a holder asks of his device later.  Each request makes one description
 * of a device from another; the policy judges the new one as a whole, as if it
 * were opened so, and the device is brought there in one batch or stays.
 */
#ifndef TUNTAPD_CHANGE_H
#define TUNTAPD_CHANGE_H

#include "lease.h"

/*
 * A request under way.  Of routes, `from` has those that go and `to` those that
 * come: what is to stay is in the lease's, and joins both where the kernel may
 * have dropped it.
 */
struct change {
	struct conn *c;
	struct held *held;
	struct wire_open from, to;
	unsigned gone, come;	/* of these routes, the first so many */
	bool sets_mtu;
	bool repairs;		/* and brings back what others took away */
	bool judged;		/* anew: it has other terms from now on */
	struct policy_terms terms;
	struct source source;	/* of these */
	struct wire_refused why;
};
/* The flag of a default route that the lease has as its halves. */
#define CHANGE_HALVES 1u

/* change.c */

/* On a connection that holds a lease.  They answer DONE or REFUSED. */
void change_add(struct conn *c, const struct wire_add *add);
void change_remove(struct conn *c, const struct wire_remove *remove);
void change_replace(struct conn *c, const struct wire_replace *replace);
void change_set(struct conn *c, const struct wire_set *set);

/* change_back.c */

/*
 * May what comes back on the way be there, of this part of the device, beside
 * what others have by now?  Leaves in *what only that.  0, or -errno with *why.
 */
int change_check_back(const struct held *held, const struct wire_open *from,
		      const struct wire_open *to,
		      const struct policy_terms *terms, struct wire_open *what,
		      struct wire_refused *why);

/* change_carry_out.c */

/* Brings the device there.  0, or -errno with ch->why: it is as it was. */
int change_carry_out(struct change *ch);
/* Nothing of it: what was struck is there as before. */
void change_put_back(struct change *ch);
/* Is there nothing else to it, and nothing of them to be brought back? */
bool change_is_about_routes(const struct change *ch);
/*
 * Takes back what a request did, for this reason, which gets longer where that
 * cannot be undone either.
 */
void change_undo(struct held *held, const struct lease_step *step,
		 struct wire_refused *why);

#endif
