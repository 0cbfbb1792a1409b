/*
 * What the host has, kept from the kernel's events, so that a question costs
 * the same with ten thousand interfaces: links, their addresses, and routes.
 */
#ifndef TUNTAPD_MIRROR_H
#define TUNTAPD_MIRROR_H

#include "nets.h"
#include "os.h"

/* Who wants to know what the mirror learns; each may be NULL. */
struct mirror_listener {
	/* A link has gone, and the mirror has forgotten it. */
	void (*gone)(const struct os_link *link);
	/* Something of a known link is another than before. */
	void (*changed)(const struct os_link *before,
			const struct os_link *now);
	/* More is told of a link than anybody needs: LIMIT_LINK_EVENTS. */
	void (*storm)(unsigned ifindex);
	/* Something came or went: an address, a network, a route. */
	void (*touched)(const struct net *net);
	/* Events were lost; what there is now is known again. */
	void (*missed)(void);
	/*
	 * Something is missing: mirror_follow() is to be called in about
	 * LIMIT_DUMP_MS.
	 */
	void (*stale)(void);
	/* A link is told of that was not there at mirror_start(). */
	void (*came)(const struct os_link *link);
};

/* mirror.c */

/* Subscribes and fills it.  0 or -errno. */
int mirror_start(const struct mirror_listener *listener,
		 struct wire_refused *why);
void mirror_stop(void);
/*
 * Takes in what has happened by now: before each decision on it.  0, or -errno
 * as long as it cannot be told whether what it has is the whole: it may have
 * more, and of what came last less.
 */
int mirror_update(void);
/*
 * The same when no decision waits for it: where events were lost or do not tell
 * enough, it asks for all anew at most each LIMIT_DUMP_MS.  -EAGAIN: call again
 * after that.
 */
int mirror_follow(void);

/* The link, or NULL; valid until the next update. */
const struct os_link *mirror_link(unsigned ifindex);
/* A policy_usage.name_taken: the mirror has it, or the kernel as an altname. */
bool mirror_name_taken(void *unused, const char *name);
/* All of it, by prefix: for mirror_ask.c. */
struct nets *mirror_nets(void);
/* As mirror_within(), the addresses of this link. */
bool mirror_own(unsigned ifindex,
		bool (*what)(void *arg, const struct net *net), void *arg);
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
/*
 * A request has changed something of the link: what the kernel tells of that is
 * no storm of its holder's.
 */
void mirror_forgive(unsigned ifindex);
/* The link's addresses have just been changed, from these to the new ones. */
void mirror_readdress(unsigned ifindex,
		      const struct wire_address *gone, unsigned n_gone,
		      const struct wire_address *new, unsigned n_new);

/* mirror_ask.c */

/*
 * The name of a link, other than `except`, that has this address (of any
 * length), or NULL.
 */
const char *mirror_address_owner(const struct prefix *address, unsigned except);
/*
 * The name of a link that has a network which is or contains this prefix, and
 * that network in *ret; or NULL.  One is what an address opens, what a route
 * without a gateway leads to, and what any route leads to that a daemon of ours
 * made; not what is so short that it is a default route.  Link-local ones are
 * each link's own.  Those count of which `counts` says so.  Of several links at
 * once: "another interface".
 */
const char *mirror_network_owner(const struct prefix *p,
				 bool (*counts)(const void *arg,
						const struct net *net),
				 const void *arg, struct prefix *ret);
/*
 * The name of a link, other than `except`, that the main table has a route to
 * just this prefix for, of this metric or a larger one (then in *ret_metric);
 * or NULL.
 */
const char *mirror_outranked(const struct prefix *p, unsigned except,
			     uint32_t metric, uint32_t *ret_metric);
/*
 * Hands over what the host has in this network, of whichever link.  False from
 * `what` ends it, and is returned.
 */
bool mirror_within(const struct prefix *network,
		   bool (*what)(void *arg, const struct net *net), void *arg);
/*
 * Does a route in the table that is asked first make all of it the host's own?
 * One that is so short that it is a default route does not count.
 */
bool mirror_is_host(const struct prefix *network);

#endif
