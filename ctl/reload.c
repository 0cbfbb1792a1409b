#include "command.h"
#include "output.h"
#include "request.h"

struct reload_args {
	struct common_args common;	/* first */
	bool enforce;
};

static int set_enforce(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct reload_args *)into)->enforce = true;
	return 0;
}

static int show(void *arg, const struct wire_message *m)
{
	const struct reload_args *args = arg;
	const struct wire_reloaded *r = &m->reloaded;

	if (args->common.json)
		return print_json(json_pack("{s:I, s:I, s:I}",
				"generation", (json_int_t)r->generation,
				"rules", (json_int_t)r->rules,
				"ended", (json_int_t)r->ended), stdout) < 0 ?
		       EXIT_REFUSED : 0;
	printf("policy generation %u: %u rule%s", (unsigned)r->generation,
	       (unsigned)r->rules, r->rules == 1 ? "" : "s");
	if (args->enforce)
		printf("; %u lease%s ended", (unsigned)r->ended,
		       r->ended == 1 ? "" : "s");
	putchar('\n');
	return 0;
}

static int reload_main(const struct command *c, int argc, char **argv,
		       const struct common_args *given)
{
	struct reload_args args = { .common = *given };
	struct wire_message m = { .type = WIRE_RELOAD };
	struct ttd_error error = { .code = 0 };
	int status;

	if (!command_no_args(c, argc, argv, &args.common, &status))
		return status;
	m.reload.enforce = args.enforce;
	status = ctl_request(socket_path(args.common.socket), &m, show, &args,
			     &error);
	if (error.code)
		print_error(&error);
	return status;
}

static const struct arg_row rows[] = {
	{ "--enforce", NULL, "end the leases that the new policy would not "
	  "give", set_enforce, NULL },
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct command command_reload = {
	.name = "reload",
	.synopsis = "[--enforce] [--json]",
	.doc = "have the daemon read its policy again",
	.more =
"Has the daemon read its policy again, and waits until it has.  If a file is\n"
"wrong, that is told and the policy in force stays.  Leases that are there stay\n"
"as they are, unless --enforce is given.  For root, on the admin socket.",
	.args = rows,
	.main = reload_main
};
