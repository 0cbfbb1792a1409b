/*
 * The life of a lease: from the reservation to the moment when nothing of its
 * device is left.
 */
#ifndef TUNTAPD_LEASE_H
#define TUNTAPD_LEASE_H

#include "conn.h"
#include "os.h"
#include "worker.h"

/* A lease as the daemon keeps it. */
struct held {
	struct lease lease;	/* first: the registry knows this alone */
	struct server *server;
	struct conn *conn;	/* NULL once the connection has ended */
	struct event linger;
	struct worker_job job;
	bool working;		/* job is with the worker */
	unsigned waiting;	/* fds counted in server->fds_waiting */
	char alias[OS_ALIAS_MAX];
	int fds[];		/* job.n_fds of them, not handed over yet */
};

/*
 * Makes the device for c, as policy_decide() narrowed it, and queues OPENED,
 * or REFUSED; that one is held until nothing of the device is left.
 */
void lease_open(struct conn *c, const struct wire_open *open, uint32_t metric);
/* Closes our copies of the fds: they are on their way to the client. */
void lease_handed_over(struct held *held);
/* The connection has ended, however it did. */
void lease_end(struct held *held);
/* Some device of the host has gone. */
void lease_device_gone(unsigned ifindex, struct server *server);
/* Frees all of them without touching their devices. */
void lease_forget_all(struct server *server);

#endif
