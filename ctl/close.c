#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "output.h"
#include "request.h"
#include "user.h"

struct close_args {
	struct common_args common;	/* first */
	bool all;
	bool of_user;
	uid_t uid;
	const char *lease;
};

static int set_all(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct close_args *)into)->all = true;
	return 0;
}

static int set_user(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct close_args *args = into;
	struct peer peer;

	if (user_find(value, &peer)) {
		snprintf(why, ARGS_WHY_MAX, "there is no such user; write a "
			 "name that this host knows, or a uid");
		return -EINVAL;
	}
	free(peer.groups);
	args->of_user = true;
	args->uid = peer.uid;
	return 0;
}

static int show(void *arg, const struct wire_message *m)
{
	const struct close_args *args = arg;
	uint32_t n = m->closed.leases;

	if (args->common.json)
		return print_json(json_pack("{s:I}", "closed", (json_int_t)n),
				  stdout) < 0 ? EXIT_REFUSED : 0;
	printf("%u lease%s closed\n", (unsigned)n, n == 1 ? "" : "s");
	return 0;
}

/* One of the three; 0, or the exit status. */
static int check(const struct command *c, const struct close_args *args)
{
	if ((args->lease != NULL) + args->all + args->of_user != 1)
		return usage_error("close: name one LEASE (its id, or its "
				   "interface), or give --user or --all; "
				   "tuntapctl list tells which there are");
	return args->lease ? check_lease_name(c, args->lease) : 0;
}

static int close_main(const struct command *c, int argc, char **argv,
		      const struct common_args *given)
{
	struct close_args args = { .common = *given };
	struct wire_message m = { .type = WIRE_CLOSE };
	struct ttd_error error = { .code = 0 };
	int status = 0, at = command_args(c, argc, argv, &args, &status);

	/* Options may stand behind the lease too. */
	if (at >= 0 && at < argc) {
		args.lease = argv[at];
		argc -= at;
		argv += at;
		at = command_args(c, argc, argv, &args, &status);
	}
	if (at < 0)
		return status;
	if (at < argc)
		return usage_error("close: one lease at a time; or --user, or "
				   "--all");
	status = check(c, &args);
	if (status)
		return status;
	m.close.uid = args.of_user ? args.uid : WIRE_UID_ANY;
	if (args.lease)
		snprintf(m.close.lease, sizeof(m.close.lease), "%s",
			 args.lease);
	status = ctl_request(socket_path(args.common.socket), &m, show, &args,
			     &error);
	if (error.code)
		print_error(&error);
	return status;
}

static const struct arg_row rows[] = {
	{ "--user", "USER", "all leases of this user, a name or a uid",
	  set_user, NULL },
	{ "--all", NULL, "all leases: yours, or on the admin socket "
	  "everybody's", set_all, NULL },
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct command command_close = {
	.name = "close",
	.synopsis = "LEASE | --user USER | --all [--json]",
	.doc = "end leases: their devices are deleted",
	.more =
"Ends one lease, by its id or by the name of its interface, or all of a user, or\n"
"all: the devices are deleted, their holders are told, and it waits until they\n"
"are gone.  A user may close his own leases, root on the admin socket any.",
	.args = rows,
	.main = close_main
};
