#include "untaken.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "limits.h"
#include "os.h"
#include "slow_close.h"
#include "table.h"

struct kept {
	int fd;
	bool bytes_only;
	uid_t uid;
	unsigned n;
	struct kept *prev, *next;
};

static struct {
	struct registry *registry;
	struct kept *all;
	struct event *look;
} untaken;

/* Whoever comes in the meantime does not put off the look at the others. */
static void look_soon(void)
{
	static const struct timeval soon = { 0, LIMIT_LOOK_MS * 1000 };

	if (!evtimer_pending(untaken.look, NULL))
		event_add(untaken.look, &soon);
}

static void let_go(struct kept *k)
{
	DL_DELETE(untaken.all, k);
	slow_close(k->fd, k->bytes_only, k->uid);
	registry_disconnect(untaken.registry, k->uid);
	free(k);
}

static void look(void)
{
	struct kept *k, *next;

	DL_FOREACH_SAFE(untaken.all, k, next)
		if (os_all_received(k->fd))
			let_go(k);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	look();
	if (untaken.all)
		look_soon();
}

int untaken_serve(struct server *server)
{
	untaken.registry = &server->registry;
	untaken.look = evtimer_new(server->base, on_look, NULL);
	return untaken.look ? 0 : -ENOMEM;
}

bool untaken_keep(int fd, bool bytes_only, uid_t uid, unsigned n)
{
	struct kept *k;

	if (n == 0 || os_all_received(fd))
		return false;
	k = malloc(sizeof(*k));
	if (!k || registry_connect(untaken.registry, uid)) {
		free(k);
		return false;
	}
	/* What is on its way stays there; the client hears of the end. */
	shutdown(fd, SHUT_RDWR);
	*k = (struct kept){ .fd = fd, .bytes_only = bytes_only, .uid = uid,
			    .n = n };
	DL_APPEND(untaken.all, k);
	look_soon();
	return true;
}

static bool is_within_limit(uid_t uid, unsigned n)
{
	const struct kept *k;

	DL_FOREACH(untaken.all, k)
		n += k->uid == uid ? k->n : 0;
	return n <= LIMIT_FDS_UNTAKEN_UID;
}

bool untaken_has_room(uid_t uid, unsigned n)
{
	if (is_within_limit(uid, n))
		return true;
	look();		/* nobody is refused for what he has received since */
	return is_within_limit(uid, n);
}

void untaken_stop(void)
{
	while (untaken.all)
		let_go(untaken.all);
	event_free(untaken.look);
}
