#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "request.h"
#include "show.h"

#define RETRY_MS	250	/* until there is a daemon again */
#define NUMBER_MAX	24	/* a 64-bit number with its NUL */

struct monitor {
	struct common_args common;	/* first */
	const char *path;
	bool began;
};

/* What the daemon tells, and below that what is our own to tell. */
static const struct kind {
	const char *name;
	enum colour colour;
} kinds[] = {
	[WIRE_NOTICE_OPENED] = { "opened", COLOUR_GOOD },
	[WIRE_NOTICE_CHANGED] = { "changed", COLOUR_NONE },
	[WIRE_NOTICE_TAMPERED] = { "tampered", COLOUR_BAD },
	[WIRE_NOTICE_REVOKED] = { "revoked", COLOUR_BAD },
	[WIRE_NOTICE_CLOSED] = { "closed", COLOUR_FAINT },
	[WIRE_NOTICE_DELETED] = { "deleted", COLOUR_WARNING },
	[WIRE_NOTICE_WAITS] = { "waiting", COLOUR_WARNING },
	[WIRE_NOTICE_RECLAIMED] = { "reclaimed", COLOUR_GOOD },
	[WIRE_NOTICE_REFUSED] = { "refused", COLOUR_WARNING },
	[WIRE_NOTICE_RELOADED] = { "reloaded", COLOUR_NONE },
	[WIRE_NOTICE_LOST] = { "lost", COLOUR_BAD },
};
static const struct kind other = { "other", COLOUR_NONE };
static const struct kind began = { "began", COLOUR_FAINT };
static const struct kind away = { "away", COLOUR_BAD };

static const struct kind *kind_of(const struct wire_notice *n)
{
	return n->kind < sizeof(kinds) / sizeof(*kinds) && kinds[n->kind].name ?
	       &kinds[n->kind] : &other;
}

/* --- a line ------------------------------------------------------------- */

static json_t *number(bool known, uint32_t value)
{
	return known ? json_integer(value) : json_null();
}

static int print_object(const struct kind *kind, const struct wire_notice *n)
{
	bool nobody = n->uid == WIRE_UID_NONE;

	return print_json(json_pack(
		"{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"time", (json_int_t)n->when,
		"event", kind->name,
		"lease", json_text_or_null(n->lease),
		"name", json_text_or_null(n->name),
		"uid", number(!nobody, n->uid),
		"user", json_text_or_null(nobody ? "" : show_user(n->uid)),
		"pid", number(n->pid, n->pid),
		"code", number(n->code, n->code),
		"step", json_text_or_null(n->step),
		"text", json_text_or_null(n->text),
		"rule", json_text_or_null(n->rule),
		"generation", number(n->kind == WIRE_NOTICE_RELOADED, n->value),
		"lost", number(n->kind == WIRE_NOTICE_LOST, n->value)),
		stdout) < 0 ? EXIT_REFUSED : 0;
}

/* Time, what, interface, user, and what there is to say of it. */
static void print_line(const struct kind *kind, const struct wire_notice *n)
{
	char when[TIME_TEXT_MAX], uid[NUMBER_MAX] = "-";
	const char *user = NULL;
	struct wire_notice copy = *n;

	if (n->uid != WIRE_UID_NONE) {
		user = show_user(n->uid);
		snprintf(uid, sizeof(uid), "%u", (unsigned)n->uid);
	}
	printf("%s  %s%-9s%s  %-8s  %-8s  ", time_text(n->when, when),
	       colour(kind->colour, stdout), kind->name,
	       colour(COLOUR_NONE, stdout),
	       n->name[0] ? plain_text(copy.name) : "-", user ? user : uid);
	if (n->step[0])
		printf("%s: ", plain_text(copy.step));
	if (n->kind == WIRE_NOTICE_LOST)
		printf("%u events, which were not taken in time",
		       (unsigned)n->value);
	printf("%s", plain_text(copy.text));
	if (n->rule[0])
		printf(" (rule %s)", plain_text(copy.rule));
	putchar('\n');
}

/* 0; -EPIPE where nobody reads it; EXIT_REFUSED where it cannot be written. */
static int print_event(const struct monitor *m, const struct kind *kind,
		       const struct wire_notice *n)
{
	int r = 0;

	if (m->common.json)
		r = print_object(kind, n);
	else
		print_line(kind, n);
	if (r || fflush(stdout) == 0)
		return r;
	if (errno == EPIPE)
		return -EPIPE;
	perror("tuntapctl: standard output");
	return EXIT_REFUSED;
}

/* What no daemon tells: of the daemon itself. */
static int print_own(const struct monitor *m, const struct kind *kind,
		     const char *text)
{
	struct wire_notice n = { .when = (uint64_t)time(NULL),
				 .uid = WIRE_UID_NONE };

	snprintf(n.text, sizeof(n.text), "tuntapd at %.200s%s", m->path, text);
	return print_event(m, kind, &n);
}

/* --- one daemon after the other ----------------------------------------- */

static int take(void *arg, const struct wire_message *message)
{
	struct monitor *m = arg;

	if (message->type == WIRE_NOTICE)
		return print_event(m, kind_of(&message->notice),
				   &message->notice);
	m->began = true;
	return print_own(m, &began, "");
}

/* It has ended, or is about to be started. */
static bool is_away(const struct ttd_error *error)
{
	return error->code == -EPIPE || error->code == -ECONNREFUSED ||
	       error->code == -ENOENT || error->code == -ETIMEDOUT;
}

/* -EPIPE where nobody reads what is printed any more. */
static int pause_a_little(void)
{
	struct pollfd p = { STDOUT_FILENO, 0, 0 };

	return poll(&p, 1, RETRY_MS) == 1 ? -EPIPE : 0;
}

static int monitor(struct monitor *m)
{
	struct ttd_error error;
	bool ever = false;
	int r;

	do {
		m->began = false;
		r = ctl_monitor(m->path, take, m, &error);
		ever = ever || m->began;
		if (!ever || r == EXIT_REFUSED || !is_away(&error)) {
			if (error.code)
				print_error(&error);
			return r;
		}
		r = m->began ? print_own(m, &away, " ended; until the next one "
					 "begins, events are not seen") : 0;
		if (!r)
			r = pause_a_little();
	} while (!r);
	return r;
}

static int monitor_main(const struct command *c, int argc, char **argv,
			const struct common_args *given)
{
	struct monitor m = { .common = *given };
	int status;

	if (!command_no_args(c, argc, argv, &m.common, &status))
		return status;
	signal(SIGPIPE, SIG_IGN);
	end_when_told();
	m.path = socket_path(m.common.socket);
	status = monitor(&m);
	/* What is left to be written has nobody to read it. */
	if (status == -EPIPE)
		_exit(EXIT_SUCCESS);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("an object a line"),
	ARG_END
};

const struct command command_monitor = {
	.name = "monitor",
	.synopsis = "[--json]",
	.doc = "what happens, as it happens",
	.more =
"Tells what happens from now on, a line each: leases that are opened, changed,\n"
"tampered with, revoked, closed or deleted, requests that are refused, and\n"
"reloads.  On the public socket it is about your own leases and requests, on the\n"
"admin socket about all.  When the daemon ends it waits for the next one.  End it\n"
"by ^C.",
	.args = rows,
	.main = monitor_main
};
