#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "../policy/plain.h"
#include "limits.h"

#define LINE_MAX_BYTES 1024

__attribute__((format(printf, 2, 0)))
static void write_line(int level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	int n = 0, m;

	/* journald reads the level from a "<n>" in front, others need a name. */
	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, sizeof(line), "<%d>", level);
	else
		n = snprintf(line, sizeof(line), "tuntapd: %s",
			     level <= LOG_ERR ? "error: " :
			     level == LOG_WARNING ? "warning: " : "");
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	n += m < 0 ? 0 : m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\0';
	/* Words of others may be in it; and it is one line. */
	make_plain(line);
	line[n++] = '\n';
	/* One write a line, so that lines of two processes do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void log_line(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

/* --- what a client can cause -------------------------------------------- */

/* In this second; the last one is of all that have none of their own. */
static struct {
	uid_t uid;
	unsigned lines;
} users[LIMIT_LOG_UIDS + 1];
static unsigned n_users;
static struct event *second;

static unsigned place_of(uid_t uid)
{
	unsigned i = 0;

	if (uid == LOG_UID_UNKNOWN)
		return LIMIT_LOG_UIDS;
	while (i < n_users && users[i].uid != uid)
		i++;
	if (i == n_users && i < LIMIT_LOG_UIDS)
		users[n_users++].uid = uid;
	return i;
}

static bool has_room(uid_t uid)
{
	static const struct timeval length = { .tv_sec = 1 };

	/* It begins with its first line: who is idle has no seconds. */
	if (second && !event_pending(second, EV_TIMEOUT, NULL))
		event_add(second, &length);
	return ++users[place_of(uid)].lines <= limits.log_lines;
}

void log_line_of(uid_t uid, int level, const char *fmt, ...)
{
	va_list ap;

	if (!has_room(uid))
		return;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (unsigned i = 0; i <= LIMIT_LOG_UIDS; i++) {
		unsigned lines = users[i].lines;

		users[i].lines = 0;
		if (lines <= limits.log_lines)
			continue;
		if (i < LIMIT_LOG_UIDS)
			log_line(LOG_NOTICE, "... and %u more of uid %u",
				 lines - limits.log_lines, users[i].uid);
		else
			log_line(LOG_NOTICE, "... and %u more of other users",
				 lines - limits.log_lines);
	}
	n_users = 0;
}

int log_start(struct event_base *base)
{
	second = evtimer_new(base, on_second, NULL);
	return second ? 0 : -ENOMEM;
}

void log_stop(void)
{
	on_second(-1, 0, NULL);
	event_free(second);
	second = NULL;
}
