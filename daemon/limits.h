/*
 * Every limit that a client can push against, in one place.  What one message
 * may carry is proto/wire.h's; what one user may have is the policy's.
 */
#ifndef TUNTAPD_LIMITS_H
#define TUNTAPD_LIMITS_H

#define LIMIT_CONNECTIONS	4096	/* of all, on the public socket */
#define LIMIT_CONNECTIONS_UID	512	/* of one uid, on the public socket */
#define LIMIT_GROUPS		4096	/* of a peer; who has more is refused */
#define LIMIT_BACKLOG		128	/* listen(2); the kernel caps it too */
#define LIMIT_ACCEPTS_A_TURN	16	/* before others are served again */

/* fds of devices that wait to be handed over, of all clients together. */
#define LIMIT_FDS_WAITING	256
/* fds that the daemon keeps for itself. */
#define LIMIT_OWN_FDS		64

#define LIMIT_FIRST_SECONDS	5	/* from accept to the first request */
#define LIMIT_FRAME_SECONDS	2	/* from a frame's first byte to its last */
#define LIMIT_IDLE_SECONDS	30	/* between requests, without a lease */
#define LIMIT_WRITE_SECONDS	5	/* for the client to read an answer */

/* For all names of users and groups of a policy to be looked up. */
#define LIMIT_NAMES_SECONDS	10

/* Leases that one turn of a LIST writes before others are served. */
#define LIMIT_LEASES_A_TURN	4
/* Likewise rules of the policy. */
#define LIMIT_RULES_A_TURN	4

/* What is still there so long after a lease's end is deleted by us. */
#define LIMIT_LINGER_MS		100
/* A device that could not be deleted is tried again. */
#define LIMIT_RETRY_MS		1000

#endif
