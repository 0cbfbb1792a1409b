/* What the policy says of a device that is there. */
#ifndef TUNTAPD_JUDGE_H
#define TUNTAPD_JUDGE_H

#include "lease.h"

/*
 * May it be so, with the routes that are asked for beside those of the lease?
 * As policy_decide(), which settles *ask; the number and destinations of the
 * lease's routes are filled in.  whole: each of these is held against the policy
 * as well.  *ret_looked: at so many of them one had to look.
 */
int judge_device(const struct held *held, struct wire_open *ask,
		 struct policy_usage *usage, bool whole, uint32_t *ret_looked,
		 struct policy_decision *ret);

#endif
