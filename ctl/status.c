#include "command.h"
#include "request.h"
#include "show.h"

static int show(void *arg, const struct wire_message *m)
{
	const struct common_args *args = arg;

	if (!args->json)
		show_state(&m->state, stdout);
	else if (print_json(show_state_json(&m->state), stdout) < 0)
		return EXIT_REFUSED;
	return 0;
}

static int status_main(const struct command *c, int argc, char **argv,
		       const struct common_args *given)
{
	const struct wire_message m = { .type = WIRE_STATUS };
	struct common_args args = *given;
	struct ttd_error error = { .code = 0 };
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	status = ctl_request(socket_path(args.socket), &m, show,
			     &args, &error);
	if (error.code)
		print_error(&error);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct command command_status = {
	.name = "status",
	.synopsis = "[--json]",
	.doc = "how the daemon is",
	.more =
"Asks the daemon how it is: version, leases, connections, and the policy in\n"
"force with the fault of the last reload, if it had one.",
	.args = rows,
	.main = status_main
};
