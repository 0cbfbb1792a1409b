/*
 * The leases at a time: which there are the daemon says, what goes through
 * their interfaces the kernel.
 */
#ifndef TUNTAPCTL_SNAPSHOT_H
#define TUNTAPCTL_SNAPSHOT_H

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"
#include "links.h"

struct lease_now {
	char lease[WIRE_LEASE_ID_LEN + 1];
	char name[WIRE_NAME_MAX + 1];	/* without control bytes */
	uint32_t ifindex, uid;
	uint8_t layer, state;
	const char *why;	/* there is no link, as a sentence; or NULL */
	struct link_now link;
	bool rated;
	struct rates rates;	/* since the snapshot before */
};

struct snapshot {		/* from zeros */
	struct lease_now *all;	/* as they were opened, or nearly so */
	size_t n, room;
	uint64_t time;		/* seconds since 1970 */
	int64_t ns;		/* of clock_ns() */
};

#define NS_A_SECOND	1000000000
int64_t clock_ns(void);	/* monotonic */

/* Why the kernel has nothing to tell of a lease that has no link. */
const char *lease_why(uint8_t state);

/*
 * Asks the daemon at path, and the kernel.  0; or an exit status with the
 * sentence in error, and ret freed.
 */
int snapshot_take(struct snapshot *ret, const char *path,
		  struct ttd_error *error);
void snapshot_free(struct snapshot *s);

/* Rates for each lease that is in both and has a link in both. */
void snapshot_rate(struct snapshot *now, const struct snapshot *before);
struct rates snapshot_total(const struct snapshot *s);

/* Orders to show leases in: the most first, but names from a to z. */
enum lease_order {
	BY_TRAFFIC, BY_RX, BY_TX, BY_DROPS, BY_NAME, N_LEASE_ORDERS
};
const char *lease_order_name(enum lease_order order);
void leases_sort(const struct lease_now **leases, size_t n,
		 enum lease_order order, bool reverse);

#endif
