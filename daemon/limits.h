/*
 * Every limit that a client can push against, in one place.  What one message
 * may carry is proto/wire.h's; what one user may have is the policy's.
 */
#ifndef TUNTAPD_LIMITS_H
#define TUNTAPD_LIMITS_H

#include <stdio.h>

#include "../proto/wire.h"

/*
 * Those that an administrator may set, by --limit NAME=NUMBER: its name here
 * and there, what it is by default, at least and at most, and what it is of.
 * Read as limits.connections and so on.
 */
#define LIMITS(LIMIT) \
	LIMIT(connections, "connections", 4096, 1, 65536, \
	      "connections on the public socket") \
	LIMIT(connections_uid, "connections-of-user", 512, 1, 65536, \
	      "of them, of one user") \
	LIMIT(first_seconds, "first-request-seconds", 5, 1, 3600, \
	      "from connecting to the first request") \
	LIMIT(idle_seconds, "idle-seconds", 30, 1, 3600, \
	      "between requests, without a device") \
	LIMIT(request_rate, "request-rate", 200, 1, 1000000, \
	      "requests of a user answered a second") \
	LIMIT(request_burst, "request-burst", 2000, 1, 1000000, \
	      "at once, after a rest") \
	LIMIT(monitors, "monitors", 128, 1, 65536, \
	      "connections on the public socket that monitor") \
	LIMIT(monitors_uid, "monitors-of-user", 4, 1, 65536, \
	      "of them, of one user") \
	LIMIT(log_lines, "log-lines", 20, 1, 1000000, \
	      "a second, of what a user does or is refused")

struct limits {
#define LIMITS_MEMBER(member, name, value, least, most, of) unsigned member;
	LIMITS(LIMITS_MEMBER)
#undef LIMITS_MEMBER
};
extern struct limits limits;

/* Sets what "NAME=NUMBER" says.  0, or -EINVAL with *why filled. */
int limits_set(const char *text, struct wire_refused *why);
/* A line for each: its name and default, and what it is of. */
void limits_print(FILE *to);

/* A request counts as one, and one more for each so many bytes. */
#define LIMIT_REQUEST_BYTES	4096
/* Likewise for each so many routes of the device that it makes us look at. */
#define LIMIT_REQUEST_ROUTES	4096
/* Connections of root on the public socket, beyond those of all. */
#define LIMIT_CONNECTIONS_ROOT	16
#define LIMIT_GROUPS		4096	/* of a peer; who has more is refused */
/*
 * As often a device is made, if each time somebody attached himself to it before
 * it had an owner; to take one away again takes some 20 ms, and counts as so many
 * requests of him who asked.
 */
#define LIMIT_BIRTHS		3
#define LIMIT_BIRTH_REQUESTS	8
#define LIMIT_BACKLOG		128	/* listen(2); the kernel caps it too */
#define LIMIT_ACCEPTS_A_TURN	16	/* before others are served again */

/*
 * Connections that end slowly, see slow_close.h: packets of them, a process for
 * each, of all and of one uid.  What is more stays open until one has ended.
 */
#define LIMIT_DYING		256
#define LIMIT_DYING_UID		16
/* This many of a uid's go with what there is, the others when they are full, */
#define LIMIT_DYING_SMALL_UID	4
/* with as many connections as one message takes: the kernel's SCM_MAX_FD. */
#define LIMIT_DYING_TOGETHER	253
/* How long one lingers at most. */
#define LIMIT_DYING_MS		100
/* How long a daemon that ends waits until they are handed over. */
#define LIMIT_LAST_CLOSES_MS	1000

/*
 * fds of devices that wait to be handed over, or for their end where they could
 * not be made or nobody took them: of all clients together, and of one uid, one
 * device with all its queues.  So many jobs of such the worker has at most.
 */
#define LIMIT_FDS_WAITING	256
#define LIMIT_FDS_WAITING_UID	64
/* fds that were sent to a uid on connections that have ended, see untaken.h. */
#define LIMIT_FDS_UNTAKEN_UID	128
/* How soon it is seen that they were received, or that a copy was closed. */
#define LIMIT_LOOK_MS		100
/* fds that the daemon keeps for itself, */
#define LIMIT_OWN_FDS		64
/* and those of them that root's connections have where there are no others. */
#define LIMIT_SPARE_FDS		4

#define LIMIT_FRAME_SECONDS	2	/* from a frame's first byte to its last */
#define LIMIT_WRITE_SECONDS	5	/* for the client to read an answer */

/* For all names of users and groups of a policy to be looked up. */
#define LIMIT_NAMES_SECONDS	10

/* Leases that one turn of a LIST writes before others are served. */
#define LIMIT_LEASES_A_TURN	4
/* Likewise rules of the policy. */
#define LIMIT_RULES_A_TURN	4

/*
 * Notices that a monitor has room for, and of one uid on the admin socket, where
 * all are told; of refusals and changes there may be half as many.
 */
#define LIMIT_NOTICES		128
#define LIMIT_NOTICES_UID	32

/* uids with lines of their own in the log in a second; the others share. */
#define LIMIT_LOG_UIDS		64
/* Between two lines that say that no connection can be accepted. */
#define LIMIT_SAY_FULL_MS	60000

/* Events of one link in a second: whose holder makes more loses it. */
#define LIMIT_LINK_EVENTS	1000
/* As many a request of its own makes, and they do not count. */
#define LIMIT_EVENTS_A_CHANGE	4
/*
 * Between two dumps of all that the host has, where events were lost or do not
 * tell what has changed; a decision does not wait for it.
 */
#define LIMIT_DUMP_MS		100
/* Datagrams of events that are read before others are served. */
#define LIMIT_EVENTS_A_TURN	256
/* And before a decision: if there are more, a dump tells what they would. */
#define LIMIT_EVENTS_A_DECISION	16384
/* Of either where they do not tell what has changed: all the same is dumped. */
#define LIMIT_EVENTS_AT_ONCE	16

/* Devices that are made whole again in a ms, where events were lost. */
#define LIMIT_RESTORES_A_MS	4

/* How often a guard is made anew, as the host changes. */
#define LIMIT_GUARD_MS		100
/* How long one turn makes guards anew: one at least. */
#define LIMIT_GUARDS_TURN_MS	5
/* Prefixes that a guard is made from. */
#define LIMIT_GUARD_NETS	65536
/* And routes of the device among them: others wait while it is made. */
#define LIMIT_GUARD_ROUTES	16384
/* Guards of others that a request may have made anew, to see if it fits. */
#define LIMIT_GUARDS_A_REQUEST	16
/*
 * Routes of a device to one destination: the kernel goes through all of them
 * for each one more.
 */
#define LIMIT_ROUTES_ALIKE	256
/* Routes that are made again before others are served. */
#define LIMIT_ROUTES_A_TURN	WIRE_ROUTES_MAX

/* After a restart: how long devices wait to be taken back (--grace). */
#define LIMIT_GRACE_SECONDS	10
#define LIMIT_GRACE_SECONDS_MAX	3600
/* And how long at most beyond that, while more clients connect. */
#define LIMIT_LATE_MS		5000

/* What is still there so long after a lease's end is deleted by us. */
#define LIMIT_LINGER_MS		100
/*
 * Devices that are deleted together: who waits for the end of one waits for so
 * many others at most (512: about 150 ms).
 */
#define LIMIT_DELETIONS_AT_ONCE	512
/* A device that could not be deleted is tried again. */
#define LIMIT_RETRY_MS		1000

#endif
