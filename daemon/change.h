/*
 * What a holder asks of his device later.  Each request makes one description
 * of a device from another; the policy judges the new one as a whole, as if it
 * were opened so, and the device is brought there in one batch or stays.
 */
#ifndef TUNTAPD_CHANGE_H
#define TUNTAPD_CHANGE_H

#include "lease.h"

/* On a connection that holds a lease.  They answer DONE or REFUSED. */
void change_add(struct conn *c, const struct wire_add *add);
void change_remove(struct conn *c, const struct wire_remove *remove);
void change_replace(struct conn *c, const struct wire_replace *replace);
void change_set(struct conn *c, const struct wire_set *set);
/*
 * Takes back what a request did, for this reason, which gets longer where that
 * cannot be undone either.
 */
void change_undo(struct held *held, const struct lease_step *step,
		 struct wire_refused *why);

#endif
