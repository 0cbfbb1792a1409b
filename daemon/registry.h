/*
 * Accounts: which leases there are, and what each uid has.  Pure; the memory
 * of a lease is its holder's.
 */
#ifndef TUNTAPD_REGISTRY_H
#define TUNTAPD_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "../proto/wire.h"
#include "table.h"

/* One device, one owner, one connection. */
struct lease {
	char id[WIRE_LEASE_ID_LEN + 1];
	uid_t uid;
	pid_t pid;			/* of the connection; 0 unknown */
	char name[WIRE_NAME_MAX + 1];
	unsigned ifindex;		/* 0: not made yet */
	uint8_t layer;
	uint16_t queues;
	uint8_t state;			/* enum wire_lease_state */
	time_t opened;
	uint64_t serial;		/* the younger, the larger */
	bool counted;			/* its device is, or may be, there */
	struct lease *prev, *next;	/* oldest first */
	UT_hash_handle by_index;
};

struct account;
struct registry_cursor;
struct registry_request;

struct registry {
	struct lease *leases, *by_index;
	struct account *accounts;
	struct registry_cursor *cursors;
	struct account *lines;		/* with requests that wait */
	struct account *resting;	/* whose rate alone is still known */
	uint64_t turn;			/* of the loop; raise it for each */
	unsigned n_leases, n_devices, n_copies, n_connections, n_fds;
	uint64_t last_serial;
};

/* A place in the list of leases that survives their coming and going. */
struct registry_cursor {
	struct lease *at;		/* the next one to tell, or NULL */
	struct registry_cursor *prev, *next;
	bool active;
};

/* One more connection of this uid, and back. 0 or -ENOMEM. */
int registry_connect(struct registry *r, uid_t uid);
void registry_disconnect(struct registry *r, uid_t uid);
unsigned registry_connections(const struct registry *r, uid_t uid);

/* Leases of this uid, whether or not their device is there; n_leases: of all. */
unsigned registry_leases(const struct registry *r, uid_t uid);
/* Devices of them that are, or may be, there; n_devices: of all. */
unsigned registry_devices(const struct registry *r, uid_t uid);

/*
 * Those of leases that have ended, see copies.h: one more, of a uid that has a
 * lease; one less; how many of this uid; n_copies: of all.
 */
void registry_copy(struct registry *r, uid_t uid);
void registry_copy_gone(struct registry *r, uid_t uid);
unsigned registry_copies(const struct registry *r, uid_t uid);

/*
 * fds of devices whose client has not taken them, or of what could not be made:
 * more and less of them, of a uid that has a lease; and is there room for n?
 */
void registry_fds(struct registry *r, uid_t uid, unsigned more, unsigned less);
bool registry_takes_fds(const struct registry *r, uid_t uid, unsigned n);

/* A request that waits until its uid has its turn; 0 to begin with. */
struct registry_request {
	struct registry_request *prev, *next;
	bool waits;
	bool free;			/* waits for its turn alone */
	unsigned more;			/* than one that it counts as */
};

/*
 * May a request of this uid, which has a connection, be answered at once?  Of a
 * uid one is answered in a turn, and in all as many as limits.request_rate and
 * request_burst let through, where one may count as several, and what is free
 * as none.  If not, it waits behind the others of its uid, what is free behind
 * what is free.  now is in milliseconds.
 */
bool registry_request(struct registry *r, uid_t uid,
		      struct registry_request *request, int64_t now);
/* The one that is being answered counts as so many more, as turns out. */
void registry_owe(struct registry *r, uid_t uid, unsigned more);
/* One is answered for each uid whose turn it is. */
void registry_requests_go(struct registry *r, int64_t now,
			  void (*answer)(struct registry_request *request));
/* How many ms until it is the next one's turn; -1: none waits. */
int64_t registry_requests_wait(struct registry *r, int64_t now);
/* It will not be answered. */
void registry_request_cancel(struct registry *r, uid_t uid,
			     struct registry_request *request);

/* Forgets uids that have nothing, whatever they owe: nobody asks any more. */
void registry_forget(struct registry *r);

/*
 * Reserve first, then make the device, then commit: the device counts from
 * the reservation on.  lease->uid is set; the rest is up to the caller.  Its
 * uid has a connection, so that it has an account: cannot fail.  (A table that
 * cannot grow at the commit ends the daemon, see table.h.)
 */
void registry_reserve(struct registry *r, struct lease *lease);
void registry_commit(struct registry *r, struct lease *lease, unsigned ifindex);
/*
 * A lease whose device is there, of a uid that may have no connection.  0 or
 * -ENOMEM.
 */
int registry_adopt(struct registry *r, struct lease *lease, unsigned ifindex);
/* Its device is gone: no longer counted, no longer found by index. */
void registry_gone(struct registry *r, struct lease *lease);
void registry_remove(struct registry *r, struct lease *lease);

/* The lease whose device has this index, or NULL. */
struct lease *registry_find(const struct registry *r, unsigned ifindex);

/* From the oldest lease on; registry_next() is NULL at the end. */
void registry_cursor_start(struct registry *r, struct registry_cursor *cursor);
struct lease *registry_next(struct registry_cursor *cursor);
void registry_cursor_stop(struct registry *r, struct registry_cursor *cursor);

#endif
