#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../proto/wire.h"
#include "output.h"

#ifndef TUNTAPD_SOCKET_PATH
#define TUNTAPD_SOCKET_PATH "/run/tuntapd/tuntapd.sock"
#endif
#ifndef TUNTAPD_ADMIN_SOCKET_PATH
#define TUNTAPD_ADMIN_SOCKET_PATH "/run/tuntapd/admin.sock"
#endif

int set_socket(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	if (!*value) {
		snprintf(why, ARGS_WHY_MAX, "it is the path of the daemon's "
			 "socket; leave it out for the built-in one");
		return -EINVAL;
	}
	((struct common_args *)into)->socket = value;
	return 0;
}

int set_json(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct common_args *)into)->json = true;
	return 0;
}

/* What was asked for, or NULL. */
static const char *wished_path(const char *given)
{
	const char *env = getenv("TUNTAPD_SOCKET");

	if (given)
		return given;
	return env && env[0] ? env : NULL;
}

const char *public_socket_path(const char *given)
{
	const char *path = wished_path(given);

	return path ? path : TUNTAPD_SOCKET_PATH;
}

const char *admin_socket_path(void)
{
	return TUNTAPD_ADMIN_SOCKET_PATH;
}

const char *socket_path(const char *given)
{
	const char *path = wished_path(given);

	if (path)
		return path;
	if (geteuid() == 0 && access(TUNTAPD_ADMIN_SOCKET_PATH, F_OK) == 0)
		return TUNTAPD_ADMIN_SOCKET_PATH;
	return TUNTAPD_SOCKET_PATH;
}

int usage_error(const char *what)
{
	complain("%s", what);
	return EXIT_USAGE;
}

/* What is under way to the standard output has been, or is not a line. */
static void on_end(int sig)
{
	(void)sig;
	_exit(EXIT_SUCCESS);
}

void end_when_told(void)
{
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
}

int check_lease_name(const struct command *c, const char *name)
{
	if (*name && strlen(name) <= WIRE_LEASE_ID_LEN)
		return 0;
	complain("%s: '%.80s' can be no lease: name it by its id, of %d "
		 "digits, or by its interface; tuntapctl list tells which "
		 "there are", c->name, name, WIRE_LEASE_ID_LEN);
	return EXIT_USAGE;
}

static void help(const struct command *c)
{
	printf("Usage: tuntapctl [--socket PATH] %s %s\n\n%s\n\n", c->name,
	       c->synopsis, c->more);
	args_help(c->args, stdout);
}

int command_args(const struct command *c, int argc, char **argv, void *into,
		 int *ret_exit)
{
	char why[ARGS_WHY_MAX];
	int first = args_parse(c->args, argc, argv, into, why);

	if (first >= 0)
		return first;
	*ret_exit = 0;
	if (first == ARGS_HELP)
		help(c);
	else
		*ret_exit = usage_error(why);
	return -1;
}

int command_words(const struct command *c, int argc, char **argv, void *into,
		  int *ret_exit)
{
	char **words = argv + 1;
	int n = 0;

	for (;;) {
		int at = command_args(c, argc, argv, into, ret_exit);

		if (at < 0)
			return -1;
		if (at >= argc)
			return n;
		words[n++] = argv[at];
		argc -= at;
		argv += at;
	}
}

bool command_no_args(const struct command *c, int argc, char **argv,
		     struct common_args *args, int *ret_exit)
{
	char why[ARGS_WHY_MAX];
	int first = command_args(c, argc, argv, args, ret_exit);

	if (first < 0)
		return false;
	if (first == argc)
		return true;
	snprintf(why, sizeof(why), "%.80s: %s takes no arguments", argv[first],
		 c->name);
	*ret_exit = usage_error(why);
	return false;
}
