#include "copies.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "limits.h"
#include "log.h"
#include "os.h"
#include "table.h"

struct copy {
	int own;
	uid_t uid;
	struct copy *prev, *next;
};

static struct {
	struct registry *registry;
	struct copy *all;
	struct event *look;
} copies;

static void look_soon(void)
{
	static const struct timeval soon = { 0, LIMIT_LOOK_MS * 1000 };

	if (!evtimer_pending(copies.look, NULL))
		event_add(copies.look, &soon);
}

static void let_go(struct copy *c)
{
	DL_DELETE(copies.all, c);
	close(c->own);
	registry_copy_gone(copies.registry, c->uid);
	free(c);
}

/* Of one that cannot be asked about nothing is known: nobody is made to pay. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct copy *c, *next;

	(void)fd;
	(void)what;
	(void)arg;
	DL_FOREACH_SAFE(copies.all, c, next)
		if (os_is_shared(c->own) != 1)
			let_go(c);
	if (copies.all)
		look_soon();
}

int copies_serve(struct server *server)
{
	copies.registry = &server->registry;
	copies.look = evtimer_new(server->base, on_look, NULL);
	return copies.look ? 0 : -ENOMEM;
}

static bool has_room(uid_t uid)
{
	return copies.registry->n_copies < limits.connections &&
	       registry_copies(copies.registry, uid) < limits.connections_uid;
}

void copies_keep(int own, const struct lease *lease)
{
	struct copy *c = NULL;

	if (os_is_shared(own) == 1 && has_room(lease->uid))
		c = malloc(sizeof(*c));
	if (!c) {
		close(own);
		return;
	}
	*c = (struct copy){ .own = own, .uid = lease->uid };
	registry_copy(copies.registry, c->uid);
	DL_APPEND(copies.all, c);
	look_soon();
	log_line_of(c->uid, LOG_NOTICE, "lease %s: %s of uid %u is down, and "
		    "counts until nobody has its descriptor any more (it was "
		    "given to pid %d)", lease->id, lease->name, c->uid,
		    (int)lease->pid);
}

void copies_stop(void)
{
	while (copies.all)
		let_go(copies.all);
	event_free(copies.look);
}
