#include "copies.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "os.h"
#include "table.h"

#define LOOK_MS	100

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
	static const struct timeval soon = { 0, LOOK_MS * 1000 };

	if (!evtimer_pending(copies.look, NULL))
		event_add(copies.look, &soon);
}

static void let_go(struct copy *c)
{
	DL_DELETE(copies.all, c);
	close(c->own);
	registry_copies(copies.registry, c->uid, 0, 1);
	registry_disconnect(copies.registry, c->uid);
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

static struct copy *new_copy(int own, uid_t uid)
{
	struct copy *c = malloc(sizeof(*c));

	if (!c || registry_connect(copies.registry, uid)) {
		free(c);
		return NULL;
	}
	*c = (struct copy){ .own = own, .uid = uid };
	return c;
}

void copies_keep(int own, const char *name, uid_t uid)
{
	struct copy *c = os_is_shared(own) == 1 ? new_copy(own, uid) : NULL;

	if (!c) {
		close(own);
		return;
	}
	registry_copies(copies.registry, uid, 1, 0);
	DL_APPEND(copies.all, c);
	look_soon();
	log_line_of(uid, LOG_NOTICE, "%s of uid %u is down, and is counted "
		    "until nobody has its descriptor any more", name, uid);
}

void copies_stop(void)
{
	while (copies.all)
		let_go(copies.all);
	event_free(copies.look);
}
