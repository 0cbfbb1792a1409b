/*
 * Clients that mean harm, and what an innocent one and root notice of it.
 *
 *	hostile.c	a test for each attack: the rig, and what is left
 *	attacker.c	an attacker's process, and what many attacks do alike
 *	attack_*.c	the attacks
 *	measure.c	the innocent client, root's status, and what they are
 *			held against
 *	report.c	the table
 *
 * The test, its attackers and those who measure are processes that share one
 * piece of memory.
 */
#ifndef TUNTAPD_HOSTILE_H
#define TUNTAPD_HOSTILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../live/harness.h"

#define INNOCENT_UID	2001
#define ATTACKER_UID	3001	/* the first of them */
#define ATTACKER_UIDS	8
#define ATTACKERS_MAX	128	/* processes */
#define ATTACKS_MAX	40
#define SAMPLES_MAX	8192
#define TALLIES_MAX	24
#define WHAT_MAX	20
#define WHY_MAX		512

/* Milliseconds, one for each time. */
struct samples {
	unsigned n;
	double ms[SAMPLES_MAX];
};

/* What was measured while something went on. */
struct measured {
	struct samples open;	/* the innocent's */
	struct samples status;	/* root's, the program */
	struct samples bare;	/* root makes such a device by himself */
	struct samples late;	/* a sleeper wakes too late by */
	unsigned failed_opens, failed_statuses;
	char why[WHY_MAX];	/* the first that failed */
};

/* What attackers managed. */
struct tally {
	char what[WHAT_MAX];
	atomic_ulong n;
};

struct attacker {
	unsigned n;		/* of those that do the same, from 0 on */
	uid_t uid;
	atomic_bool ready;	/* see struct attack */
	atomic_bool cannot;	/* this system has not what it needs */
	struct tally tallies[TALLIES_MAX];
};

struct attack {
	const char *name;
	unsigned processes;	/* so many at a time, */
	unsigned uids;		/* of so many users */
	/*
	 * What each does, as its uid and without rights, while goes_on().  It
	 * may end early, and may be killed wherever it is.
	 */
	void (*act)(struct attacker *me);
	/* Begins before the daemon, on sockets that a service manager made. */
	bool early;
};

extern const struct attack byte_attacks[], flood_attacks[], fd_attacks[],
	device_attacks[];	/* a NULL name ends each */

/* A line of the table. */
struct row {
	char name[64];
	bool ran, passed, skipped;
	struct measured measured;
	struct tally tallies[TALLIES_MAX];
	long rss_before, rss_after;	/* of the daemon, KiB */
};

struct shared {
	atomic_bool stop;
	pid_t test;		/* of the attack that is on */
	struct attacker attackers[ATTACKERS_MAX];
	struct row rows[ATTACKS_MAX];
	unsigned n_rows;
	struct measured before;		/* in the rig of now, no attack yet */
	struct measured between;	/* all of those */
};
extern struct shared *shared;
extern struct rig rig;

double clock_ms(void);
/* In a child: as this user, without rights; 0 stays root. */
void become(uid_t uid);

/* --- attacker.c --------------------------------------------------------- */

/* Starts the processes of an attack; how many there are by then. */
unsigned attack_start(const struct attack *a, unsigned running, int niceness);
/* They go on no longer, but may still have what they have. */
void attack_stop(void);
/* And their children. */
void attack_kill(unsigned running);

bool goes_on(void);
/* Once more, or n times. */
void managed(struct attacker *me, const char *what);
void managed_many(struct attacker *me, const char *what, unsigned long n);
void add_tallies(struct tally *sum, const struct tally *more);

/* A connection, or -1; then it has paused a little. */
int connected(struct attacker *me);
/* The library's, without a thread; NULL: it has been counted, and paused. */
struct ttd_options attacker_options(void);
struct ttd_device *opened(struct attacker *me, const struct ttd_options *o);
/* The n-th /24 of the networks that attackers may have, at this host part. */
struct ttd_prefix attacker_network(const struct attacker *me, unsigned n,
				   unsigned host, unsigned len);
int send_fds(int sock, const int *fds, unsigned n);

/* A frame as it goes out. */
struct sent {
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len;
};
void encode(struct sent *ret, struct wire_message *m);
/*
 * Sends the frames one after the other, again and again, on several connections
 * at a time that connect_it() makes, and reads what is answered.
 */
void flood(struct attacker *me, const struct sent *frames, unsigned n,
	   int (*connect_it)(struct attacker *me));
/* A connection that holds a device, or -1. */
int connected_holder(struct attacker *me);

/* --- measure.c ---------------------------------------------------------- */

/* Measures for so long. */
void measure(struct measured *ret, double seconds);
void measured_add(struct measured *sum, const struct measured *more);

/* --- report.c ----------------------------------------------------------- */

void report_head(void);
void report_row(const struct row *row);
void report_between(const struct measured *between);
/* 0 or -errno. */
int report_json(const char *path);

#endif
