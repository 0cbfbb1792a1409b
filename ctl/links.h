/*
 * What the kernel knows of the leases' interfaces; nobody needs rights to ask.
 * A file for each system.
 */
#ifndef TUNTAPCTL_LINKS_H
#define TUNTAPCTL_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../proto/prefix.h"
#include "rates.h"

/* What tuntapd marks its interfaces with begins "tuntapd:1:<lease id>:<uid>". */
#define LINK_MARK	"tuntapd:1:"
#define LINK_MARK_MAX	80	/* a whole one with its NUL fits */

struct link_now {
	unsigned ifindex;
	char mark[LINK_MARK_MAX];
	uint8_t mac[6];
	bool has_mac, up;
	uint32_t mtu, txqueuelen;
	struct traffic traffic;
};

/* All that have a mark, in the order of their indices; from zeros. */
struct links {
	struct link_now *all;
	size_t n, room;
};
int links_read(struct links *ret);	/* 0 or -errno */
/*
 * The lease's own: of this index and with its mark, since a name or an index
 * may be another's here.  NULL: there is none in this network namespace.
 */
const struct link_now *links_find(const struct links *links, unsigned ifindex,
				  const char *lease, uint32_t uid);
void links_free(struct links *links);

/* Its routes in the main table, without those to link-local addresses. */
struct link_route {
	struct prefix dst, via;		/* via.family 0: straight into it */
	uint32_t metric;
};
struct link_routes {
	struct link_route *all;
	size_t n, room;
};
/* 0 or -errno. */
int link_routes(unsigned ifindex, struct link_routes *ret);
void link_routes_free(struct link_routes *routes);

/* The source guard before it. */
struct link_guard {
	bool there;
	uint32_t drops;		/* packets that it kept out */
};
/* 0 or -errno. */
int link_guard(unsigned ifindex, struct link_guard *ret);

#endif
