#include "stray.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "lease.h"
#include "limits.h"
#include "log.h"
#include "mirror.h"
#include "table.h"
#include "worker.h"

struct stray {
	struct server *server;
	struct event due;		/* to be looked at */
	struct worker_job job;
	char alias[MARK_MAX], name[WIRE_NAME_MAX + 1];
	struct stray *prev, *next;
};

static struct stray *strays;

static void forget(struct stray *s)
{
	event_del(&s->due);
	DL_DELETE(strays, s);
	free(s);
}

static void on_done(struct worker_job *job)
{
	const struct timeval later = { LIMIT_RETRY_MS / 1000,
				       LIMIT_RETRY_MS % 1000 * 1000 };
	struct stray *s = (struct stray *)((char *)job -
					   offsetof(struct stray, job));

	/* -EPERM: its index is another's by now. */
	if (!job->result || job->result == -EPERM) {
		forget(s);
		return;
	}
	log_line(LOG_WARNING, "%s (index %u) could not be deleted: %s; it is "
		 "tried again", s->name, job->ifindex, strerror(-job->result));
	event_add(&s->due, &later);
}

/* Is it still there, still marked, and nobody's? */
static bool is_stray(const struct stray *s)
{
	const struct os_link *now = mirror_link(s->job.ifindex);

	return now && strcmp(now->alias, s->alias) == 0 &&
	       !registry_find(&s->server->registry, s->job.ifindex);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct stray *s = arg;

	(void)fd;
	(void)what;
	mirror_update();
	if (!is_stray(s)) {
		forget(s);
		return;
	}
	if (!s->job.result)
		log_line(LOG_NOTICE, "%s (index %u) came from another network "
			 "namespace with the mark `%s` of a lease that there "
			 "is not; it is deleted", s->name, s->job.ifindex,
			 s->alias);
	worker_do(&s->job);
}

/*
 * Decided later, in an event of its own: a device that we make is marked before
 * it is in the registry, and the mirror may be at a dump.
 */
void stray_came(const struct os_link *link, struct server *server)
{
	struct mark mark;
	struct stray *s;

	if (!link->layer || !mark_read(link->alias, &mark))
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		log_line(LOG_ERR, "out of memory; %s, which came with the mark "
			 "`%s`, is left alone", link->name, link->alias);
		return;
	}
	s->server = server;
	memcpy(s->alias, link->alias, sizeof(s->alias));
	memcpy(s->name, link->name, sizeof(s->name));
	s->job.ifindex = link->ifindex;
	s->job.alias = s->alias;
	s->job.own = -1;
	s->job.doomed = true;
	s->job.done = on_done;
	evtimer_assign(&s->due, server->base, on_due, s);
	DL_APPEND(strays, s);
	event_active(&s->due, EV_TIMEOUT, 0);
}

void stray_stop(void)
{
	while (strays)
		forget(strays);
}
