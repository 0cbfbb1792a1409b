/*
 * The life of a lease: from the reservation to the moment when nothing of its
 * device is left.
 */
#ifndef TUNTAPD_LEASE_H
#define TUNTAPD_LEASE_H

#include "conn.h"
#include "os.h"
#include "worker.h"

/* What a holder knows of his device, and what he has not been told. */
struct lease_news {
	char name[WIRE_NAME_MAX + 1];
	uint8_t mac[6];
	uint32_t mtu;
	bool up;
	uint32_t ended;		/* enum wire_ended, to be told; or 0 */
	uint16_t tampered;	/* the link type it has, to be told; or 0 */
};

/*
 * The OPEN that would make a device as it is, as a frame: its smallest form.
 * What it says of MTU and DOWN may be out of date.
 */
struct config {
	uint8_t *frame;
	size_t len;
};

/* A lease as the daemon keeps it. */
struct held {
	struct lease lease;	/* first: the registry knows this alone */
	struct server *server;
	struct conn *conn;	/* NULL once the connection has ended */
	struct event linger;
	struct worker_job job;
	bool working;		/* job is with the worker */
	unsigned waiting;	/* fds counted in server->fds_waiting */
	struct config config;
	uint32_t connected_metric;
	uint32_t mtu;		/* of now, and the next likewise */
	bool up;
	bool restore;		/* it came up by others: its routes are lost */
	bool revoked;		/* taken back, see lease_revoke() */
	struct event changed;	/* something of the device is another */
	struct lease_news news;
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
/* The lease as the daemon keeps it, or NULL if nobody holds its device. */
struct held *lease_held(struct lease *lease);
/*
 * Takes the device back: it is deleted, and the holder told.  May end the
 * connection, if that has not taken the fds yet.
 */
void lease_revoke(struct held *held);
/* How its device is, as far as was asked for. */
void lease_config(const struct held *held, struct wire_open *ret);
/* 0 or -ENOMEM; ret->frame is the caller's to free. */
int config_pack(const struct wire_open *open, struct config *ret);
/*
 * The next thing that the holder is to be told.  False if there is none; then
 * he knows the device as it is.
 */
bool lease_news(struct held *held, struct wire_event *ret);
/* A mirror_changed, for all devices. */
void lease_link_changed(const struct os_link *before,
			const struct os_link *now, struct server *server);
/* Some device of the host has gone. */
void lease_device_gone(unsigned ifindex, struct server *server);
/* Frees all of them without touching their devices. */
void lease_forget_all(struct server *server);

#endif
