/*
 * The life of a lease: from the reservation to the moment when nothing of its
 * device is left.
 *
 *	lease.c		beginning and end
 *	lease_open.c	the device that an OPEN asks for
 *	lease_config.c	how it is, as a description
 *	watch.c		what happens to its device meanwhile
 *	source.c	where its packets may come from
 *	follow.c	that, as the host changes
 *	adopt.c		what a daemon before this one left
 *	remake.c	routes made again, a part at a time
 */
#ifndef TUNTAPD_LEASE_H
#define TUNTAPD_LEASE_H

#include "conn.h"
#include "os.h"
#include "routes.h"
#include "source.h"
#include "worker.h"

/* What a holder knows of his device, and what he has not been told. */
struct lease_news {
	char name[WIRE_NAME_MAX + 1];
	uint8_t mac[6];
	uint32_t mtu;
	bool up;
	const char *tampered;	/* how, to be told; or NULL */
	uint32_t ended;		/* enum wire_ended, to be told; or 0 */
};

/*
 * The OPEN that would make a device as it is, but without its routes, as a
 * frame: its smallest form.  What it says of MTU and DOWN may be out of date.
 */
struct config {
	uint8_t *frame;
	size_t len;
	struct claims claims;	/* what leads to the device */
};

/* A request, by what it made of a device: to be undone. */
struct lease_step {
	struct wire_open from, to;	/* routes: those that went, that came */
	struct policy_terms terms;	/* without sources */
};

/* Routes that the kernel dropped, and that are made again. */
struct remake {
	struct event go_on;
	uint32_t next;		/* of the lease's routes */
	bool running;
	bool gateways;		/* those through one: behind the others */
	bool none_there;	/* the device was down: the kernel had none */
	bool lacking;		/* some could not be made, which was said */
	struct lease_step *step;	/* its holder waits for that; or NULL */
};

/* A lease as the daemon keeps it. */
struct held {
	struct lease lease;	/* first: the registry knows this alone */
	struct server *server;
	struct conn *conn;	/* NULL: ended, or nobody has come for it yet */
	struct event linger;
	int late_ms;		/* it has waited beyond its grace time */
	struct worker_job job;
	bool working;		/* job is with the worker */
	unsigned waiting;	/* fds counted by registry_fds() */
	struct config config;
	struct routes routes;	/* that it was given */
	uint32_t judged;	/* generation of the policy that allows them */
	struct remake remake;
	struct source source;
	uint32_t connected_metric;
	uint8_t mac[6];		/* of a TAP, as it was made */
	uint32_t mtu;		/* of now, and the next likewise */
	bool up;
	unsigned restore;	/* how often the kernel forgot some of it */
	bool revoked;		/* taken back, see lease_revoke() */
	bool moved;		/* its device, which root alone can do */
	bool over;		/* that it ends is told */
	unsigned tampered;	/* OS_TAMPER_* that were noticed */
	struct event changed;	/* something of the device is another */
	struct event went_down;	/* and that is to be told, if it stays so */
	struct lease_news news;
	char why[WIRE_EVENT_TEXT_MAX + 1];	/* it ended, for its holder */
	struct held *prev, *next;	/* whose guards are to be made anew */
	char alias[MARK_MAX];	/* of the device, once it is made */
	int fds[];		/* job.n_fds of them, not handed over yet */
};

/* lease.c */

struct held *held_of(struct lease *lease);
/* Closes our copies of the fds: they are on their way to the client. */
void lease_handed_over(struct held *held);
/* The connection has ended, however it did. */
void lease_end(struct held *held);
/* Its device is there, held or not, and not about to go. */
bool lease_is_there(const struct held *held);
/* The lease as the daemon keeps it, or NULL if nobody holds its device. */
struct held *lease_held(struct lease *lease);
/*
 * Takes the device back: it is deleted, and the holder, if there is one, told
 * why.  May end his connection, if that has not taken the fds yet.
 */
void lease_revoke(struct held *held, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what its holder did himself: its line in the log is his. */
void lease_forfeit(struct held *held, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Some device of the host has gone. */
void lease_device_gone(const struct os_link *link, struct server *server);
/* Frees all of them without touching their devices. */
void lease_forget_all(struct server *server);

/*
 * A lease with the given id and routes (those of open do not count), not
 * reserved yet, for as many fds as it has queues; NULL without memory.
 */
struct held *lease_new(struct server *server, const struct wire_open *open,
		       const struct wire_route *routes, size_t n_routes,
		       const char *id, uid_t uid);
/* Of one that was not reserved. */
void lease_free_new(struct held *held);
/* Has the worker close what there is, and delete the device. */
void lease_do_away(struct held *held);
/* Ends in so many ms, unless somebody comes for it. */
void lease_wait(struct held *held, int ms);
/* So many fds are with us, on their way to its holder or to be closed. */
void lease_count_waiting(struct held *held, unsigned n);
/* Tells who monitors.  Of what ends it the first thing counts. */
void lease_tell_end(struct held *held, enum wire_notice_kind how,
		    const char *text);

/* lease_open.c */

/*
 * Makes the device for c, as policy_decide() narrowed it, and queues OPENED,
 * or REFUSED; that one is held until nothing of the device is left.
 */
void lease_open(struct conn *c, const struct wire_open *open,
		const struct policy_terms *terms);
/*
 * The kernel does not take them, as too many are on their way: REFUSED instead
 * of OPENED, of which nothing is out, and held until the device is gone.
 */
void lease_not_handed_over(struct held *held);

/* lease_config.c */

/* How its device is, as far as was asked for, without its routes. */
void lease_config(const struct held *held, struct wire_open *ret);
/* Adds its routes, those without a gateway first.  False: one OPEN has no room. */
bool lease_add_routes(const struct held *held, struct wire_open *to);
/* 0 or -ENOMEM; for lease_configure() or config_free(). */
int config_pack(const struct wire_open *open, const struct routes *kept,
		const struct wire_route *added, size_t n_added,
		struct config *ret);
void config_free(struct config *config);
/* It is so from now on; takes the config over. */
void lease_configure(struct held *held, const struct config *config);
/* What an address says is behind the device: its far end, or its network. */
const struct prefix *lease_far_end(const struct wire_address *a);

/* watch.c */

/*
 * The next thing that the holder is to be told.  False if there is none; then
 * he knows the device as it is.
 */
bool watch_news(struct held *held, struct wire_event *ret);
/* What he knows from now on is how it is now. */
void watch_told(struct held *held, const struct os_link *now);
/* A mirror_listener's, for all devices. */
void watch_link_changed(const struct os_link *before,
			const struct os_link *now, struct server *server);
void watch_storm(unsigned ifindex, struct server *server);
void watch_missed(struct server *server);
/* How often what a device had is lost when it goes from the one to the other. */
unsigned watch_forgot(bool was_up, uint32_t old_mtu, bool up, uint32_t mtu);
/* An event's: looks after what has changed of the device. */
void watch_changed(evutil_socket_t fd, short what, void *held);
/* Likewise: it is down, and does not end. */
void watch_went_down(evutil_socket_t fd, short what, void *held);

/* remake.c */

void remake_init(struct held *held);

/*
 * Makes its routes again, a part in a turn.  What comes in between begins it
 * anew.
 */
void remake_begin(struct held *held);
/*
 * The same for a request, which is carried out but for this: it is answered at
 * the end, or undone.  The step is from malloc(3), and taken over.
 */
void remake_for_holder(struct held *held, struct lease_step *step);
/* Routes have gone: of those that are left some may have been passed over. */
void remake_again(struct held *held);
void remake_stop(struct held *held);

/* adopt.c: leases that were here before, and those that others end */

/* Takes over the devices that are there.  0 or -errno with *why filled. */
int adopt_all(struct server *server, struct wire_refused *why);
/* A connection has come for a lease that waits; answers it. */
void adopt_reclaim(struct conn *c, const struct wire_reclaim *reclaim);
/* Ends leases, and answers when their devices are gone. */
void adopt_close(struct conn *c, const struct wire_close *close);
/*
 * The device of the lease is gone: those that wait for no other any more are
 * answered, in a turn of their own.  Once for each lease that was counted.
 */
void adopt_closed(const struct held *held);

#endif
