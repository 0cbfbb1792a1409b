/* Requests that ask what the policy is and what it would say. */
#ifndef TUNTAPD_EXPLAIN_H
#define TUNTAPD_EXPLAIN_H

#include "conn.h"

/*
 * What an OPEN of this peer is answered, as far as can be told without making
 * the device: the policy's word, and whether it gets in the host's way.  0 with
 * *ret_open and *ret_decision; else -errno with *why.  trace may be NULL.
 */
int explain_open(struct server *server, const struct peer *peer,
		 const struct wire_open *ask, const struct policy_trace *trace,
		 struct wire_open *ret_open,
		 struct policy_decision *ret_decision,
		 struct wire_refused *why);

void explain_check(struct conn *c, const struct wire_check *check);
void explain_policy(struct conn *c);

#endif
