/*
 * What the host has, kept from the kernel's events, so that a question costs
 * the same with ten thousand interfaces: links, their addresses, and the routes
 * of the host's own that make a network on-link.
 */
#ifndef TUNTAPD_MIRROR_H
#define TUNTAPD_MIRROR_H

#include "os.h"

/* Told when a link has gone, after the mirror has forgotten it. */
typedef void mirror_gone(unsigned ifindex);

/* Told when something of a known link is another than before. */
typedef void mirror_changed(const struct os_link *before,
			    const struct os_link *now);

/* Subscribes and fills it.  0 or -errno. */
int mirror_start(mirror_gone *gone, mirror_changed *changed,
		 struct wire_refused *why);
void mirror_stop(void);
/*
 * Takes in what has happened by now: before each decision on it.  0, or -errno
 * as long as what it has is not the whole.
 */
int mirror_update(void);

/* The link, or NULL; valid until the next update. */
const struct os_link *mirror_link(unsigned ifindex);
/* A policy_usage.name_taken. */
bool mirror_name_taken(void *unused, const char *name);
/* The name of the link that has this address (of any length), or NULL. */
const char *mirror_address_owner(const struct prefix *address);
/*
 * The name of a link, other than `except`, that has an on-link prefix which is
 * or contains this one, and that prefix in *ret; or NULL.  On-link is what an
 * address opens, and what a route without a gateway leads to, unless a daemon
 * of ours made it or it is so short that it is a default route.  Link-local
 * ones are each link's own.
 */
const char *mirror_onlink_owner(const struct prefix *p, unsigned except,
				struct prefix *ret);
/*
 * Copies up to max of the link's addresses, IPv6 link-local ones left out.
 * How many.
 */
unsigned mirror_addresses(unsigned ifindex, struct wire_address *ret,
			  unsigned max);
/*
 * A device was just made, with these addresses.  The kernel tells of an IPv6
 * address later, from a workqueue; the next open is not to get it as well.
 */
void mirror_add(unsigned ifindex, const char *name,
		const struct wire_address *addresses, unsigned n);
/* The link's addresses have just been changed: these are gone, these are new. */
void mirror_readdress(unsigned ifindex,
		      const struct wire_address *gone, unsigned n_gone,
		      const struct wire_address *new, unsigned n_new);

#endif
