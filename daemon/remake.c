/*
 * Routes that the kernel dropped of a device and that are more than one batch
 * holds: made again, a part in a turn, so that others are served in between.
 * That one is there already is fine, unless none can be: then it is another
 * device's.  What cannot be made holds up the others only where a request waits
 * for all of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "change.h"
#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "os.h"
#include "refuse.h"

/* In a turn of its own: it is not the loop's next event that is ours. */
static void soon(struct held *held)
{
	const struct timeval now = { 0, 0 };

	event_add(&held->remake.go_on, &now);
}

/* The next ones of the kind whose turn it is; 0: there are no more. */
static unsigned next_part(struct held *held,
			  struct wire_route part[LIMIT_ROUTES_A_TURN])
{
	struct remake *remake = &held->remake;
	unsigned n = 0;

	for (; remake->next < held->routes.n && n < LIMIT_ROUTES_A_TURN;
	     remake->next++) {
		struct wire_route r = routes_get(&held->routes, remake->next);

		if ((r.gateway.family != 0) == remake->gateways)
			part[n++] = r;
	}
	if (n > 0 || remake->gateways)
		return n;
	remake->gateways = true;
	remake->next = 0;
	return next_part(held, part);
}

/* The holder's request is answered.  why NULL: it is carried out. */
static void answer(struct held *held, const struct wire_refused *why)
{
	struct wire_message done = { .type = WIRE_DONE };
	struct conn *c = held->conn;

	free(held->remake.step);
	held->remake.step = NULL;
	if (!c)
		return;
	if (why)
		conn_refuse(c, why);
	else
		conn_answer(c, &done);
	conn_resume(c);		/* may end the lease, and free it */
}

/* The end; why NULL: all are there that can be. */
static void finish(struct held *held, struct wire_refused *why)
{
	held->remake.running = false;
	if (!held->remake.step)
		return;
	if (why && lease_is_there(held))
		change_undo(held, held->remake.step, why);
	answer(held, why);
}

/*
 * To others that are served in between, those of a device that was down are not
 * there before they are made.
 */
static int check_back(const struct held *held, const struct wire_route *part,
		      unsigned n, struct wire_refused *why)
{
	static struct wire_open what;	/* large; used up before we return */
	const struct lease_step *step = held->remake.step;

	if (!step)
		return 0;
	what.n_addresses = 0;
	what.n_routes = (uint16_t)n;
	memcpy(what.routes, part, n * sizeof(*part));
	return change_check_back(held, &step->from, &step->to, &step->terms,
				 &what, why);
}

/* What others have by now may leave them no room. */
static int make(const struct held *held, const struct wire_route *part,
		unsigned n, struct wire_refused *why)
{
	int error;

	/* What the part before took.  Without a holder it might be freed. */
	if (held->conn)
		mirror_update();
	error = check_back(held, part, n, why);
	if (!error)
		error = follow_room(held, part, n, why);
	return error ? error :
	       os_device_add_routes(held->lease.ifindex, part, n,
				    !held->remake.none_there, why);
}

/* The kernel has made what it could of a part. */
static void say_lacking(struct held *held, const struct wire_refused *why)
{
	if (held->remake.lacking)
		return;
	held->remake.lacking = true;
	log_line_of(held->lease.uid, LOG_WARNING, "lease %s: not all routes of "
		    "%s come back: %s", held->lease.id, held->lease.name,
		    why->text);
}

/* False: there are no more, or a request fails by one; with *why then. */
static bool make_part(struct held *held, bool *failed, struct wire_refused *why)
{
	static struct wire_route part[LIMIT_ROUTES_A_TURN];
	unsigned n = next_part(held, part);

	if (n == 0)
		return false;
	*failed = make(held, part, n, why);
	if (!*failed)
		return true;
	if (held->remake.step)
		return false;
	/* What is down gets its routes when it comes up. */
	if (held->up)
		say_lacking(held, why);
	*failed = false;
	return held->up;
}

static void on_go(evutil_socket_t fd, short what, void *arg)
{
	struct held *held = arg;
	struct wire_refused why;
	bool failed = false;

	(void)fd;
	(void)what;
	if (!lease_is_there(held)) {
		refuse(&why, WIRE_E_ENDED, "device", "the device %s is gone",
		       held->lease.name);
		finish(held, &why);
	} else if (make_part(held, &failed, &why)) {
		soon(held);
	} else {
		finish(held, failed ? &why : NULL);
	}
}

void remake_init(struct held *held)
{
	evtimer_assign(&held->remake.go_on, held->server->base, on_go, held);
}

void remake_begin(struct held *held)
{
	held->remake.running = true;
	held->remake.next = 0;
	held->remake.gateways = held->remake.lacking = false;
	held->remake.none_there = false;
	soon(held);
}

void remake_for_holder(struct held *held, struct lease_step *step)
{
	held->remake.step = step;
	held->conn->busy = true;
	remake_begin(held);
	held->remake.none_there = step->from.flags & WIRE_OPEN_DOWN;
}

void remake_again(struct held *held)
{
	if (held->remake.running)
		remake_begin(held);
}

void remake_stop(struct held *held)
{
	event_del(&held->remake.go_on);
	held->remake.running = false;
	free(held->remake.step);
	held->remake.step = NULL;
}
