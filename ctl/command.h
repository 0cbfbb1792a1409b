/* What the subcommands share: their table's row, options, exit statuses. */
#ifndef TUNTAPCTL_COMMAND_H
#define TUNTAPCTL_COMMAND_H

#include <stdbool.h>

#include "args.h"

enum exit_status {
	EXIT_REFUSED = 1,	/* the daemon said no */
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,	/* nobody listens, or it cannot be reached */
	EXIT_SILENT = 4,	/* it does not answer */
	EXIT_OLDER = 5,		/* a tuntapd, but older than this */
	EXIT_NEWER = 6,		/* or newer */
	EXIT_FOREIGN = 7,	/* what listens is no tuntapd */
	EXIT_WARNINGS = 8,	/* of doctor alone */
	EXIT_FAULTS = 9,
	/* of run alone, as env(1) and timeout(1) have them: */
	EXIT_NO_DEVICE = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127
};

/* Options that every subcommand has; the first member of its own. */
struct common_args {
	const char *socket;	/* NULL: see socket_path() */
	bool json;
};
int set_socket(void *into, const char *value, char why[ARGS_WHY_MAX]);
int set_json(void *into, const char *value, char why[ARGS_WHY_MAX]);
#define ARG_SOCKET \
	{ "--socket", "PATH", "the daemon's socket", set_socket, NULL }
#define ARG_JSON(doc) \
	{ "--json", NULL, doc, set_json, NULL }
#define ARG_END \
	{ NULL, NULL, NULL, NULL, NULL }

struct command {
	const char *name;
	const char *synopsis;	/* what follows the name in its usage */
	const char *doc;	/* a line of the program's help */
	const char *more;	/* paragraphs of its own help */
	const struct arg_row *args;
	const struct command *const *commands;	/* its own, up to a NULL */
	/* argv[0] is its name, given what stood before it; exit status */
	int (*main)(const struct command *c, int argc, char **argv,
		    const struct common_args *given);
};

extern const struct command command_run, command_list, command_show,
	command_stats, command_top, command_status, command_monitor,
	command_reload, command_close, command_policy, command_policy_check,
	command_policy_test, command_policy_show, command_doctor,
	command_version;

/*
 * Parses the options of c.  The index of the first argument behind them, or -1
 * with the exit status: help was asked for and printed, or the usage is wrong
 * and was said to be.
 */
int command_args(const struct command *c, int argc, char **argv, void *into,
		 int *ret_exit);
/*
 * Likewise of a subcommand that takes any number of arguments, before, between
 * and behind its options: how many there are, from argv[1] on.
 */
int command_words(const struct command *c, int argc, char **argv, void *into,
		  int *ret_exit);
/* Of a subcommand that takes no arguments; false with the exit status. */
bool command_no_args(const struct command *c, int argc, char **argv,
		     struct common_args *args, int *ret_exit);

/* Says what is wrong with the usage; EXIT_USAGE. */
int usage_error(const char *what);
/* 0; or the same, where neither a lease nor its interface has such a name. */
int check_lease_name(const struct command *c, const char *name);

/*
 * For what goes on until it is told to end: ^C and SIGTERM are a normal end,
 * with 0.
 */
void end_when_told(void);

/*
 * Where to ask about all leases: what was given, else $TUNTAPD_SOCKET, else
 * the admin socket for root where there is one, else the built-in path.
 */
const char *socket_path(const char *given);
/* Likewise, where to ask for a device: never the admin socket by itself. */
const char *public_socket_path(const char *given);
/* The built-in one. */
const char *admin_socket_path(void);

#endif
