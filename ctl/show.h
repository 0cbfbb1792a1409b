/* A lease and the daemon's state, as people and as programs read them. */
#ifndef TUNTAPCTL_SHOW_H
#define TUNTAPCTL_SHOW_H

#include "../proto/wire.h"
#include "output.h"

/* "tun", "tap" or "?". */
const char *show_kind(uint8_t layer);
/* "held" and so on. */
const char *show_lease_state(uint8_t state);
/* Who has this uid; NULL: nobody.  Good until the next call. */
const char *show_user(uint32_t uid);

/*
 * The object that `list --json` prints for a lease; tuntapctl(8) has its keys.
 * NULL: no memory.
 */
json_t *show_lease_json(const struct wire_lease *lease);
/* The headings of a table of leases, and a lease's row.  0 or -ENOMEM. */
int show_lease_head(struct table *t);
int show_lease_row(struct table *t, const struct wire_lease *lease);

json_t *show_state_json(const struct wire_state *state);
void show_state(const struct wire_state *state, FILE *out);

#endif
