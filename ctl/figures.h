/* Lines of a table of figures, a lease each; no wider than a terminal. */
#ifndef TUNTAPCTL_FIGURES_H
#define TUNTAPCTL_FIGURES_H

#include <jansson.h>

#include "snapshot.h"

#define FIGURES_LINE	128	/* bytes that a line has room in */

/* What there was since the interface is there. */
void figures_totals_head(char line[FIGURES_LINE]);
void figures_lease_totals(const struct lease_now *l, char line[FIGURES_LINE]);
/* How fast it goes; "-" where that is not known, or r is NULL. */
void figures_rates_head(char line[FIGURES_LINE]);
void figures_rates(const char *name, const char *user, const struct rates *r,
		   char line[FIGURES_LINE]);
void figures_lease_rates(const struct lease_now *l, char line[FIGURES_LINE]);

/* {"packets": ...}, as of a way of an interface; NULL: no memory. */
json_t *figures_flow_json(const struct flow *f);
/* The object of `stats --json`; tuntapctl(8) has its keys. */
json_t *figures_json(const struct lease_now *l, uint64_t time);

#endif
