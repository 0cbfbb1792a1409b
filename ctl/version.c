#include <string.h>

#include "command.h"
#include "output.h"
#include "request.h"

/* Empty where no daemon answered. */
struct daemon_version {
	char text[WIRE_VERSION_TEXT_MAX + 1];
};

static int take_state(void *arg, const struct wire_message *m)
{
	struct daemon_version *v = arg;

	memcpy(v->text, m->state.version, sizeof(v->text));
	plain_text(v->text);
	return 0;
}

static int show_json(const struct daemon_version *v)
{
	return print_json(json_pack("{s:s, s:s, s:i, s:o}",
			"tuntapctl", TUNTAPD_VERSION,
			"libtuntapd", ttd_version(),
			"protocol", WIRE_VERSION,
			"tuntapd", v->text[0] ? json_text(v->text) :
			json_null()), stdout) < 0 ? EXIT_REFUSED : 0;
}

static void show(const struct daemon_version *v)
{
	printf("tuntapctl   %s\nlibtuntapd  %s\nprotocol    %d\n",
	       TUNTAPD_VERSION, ttd_version(), WIRE_VERSION);
	if (v->text[0])
		printf("tuntapd     %s\n", v->text);
	fflush(stdout);		/* before the words why the last is not there */
}

static int version_main(const struct command *c, int argc, char **argv,
			const struct common_args *given)
{
	const struct wire_message m = { .type = WIRE_STATUS };
	struct daemon_version v = { .text = "" };
	struct common_args args = *given;
	struct ttd_error error;
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	status = ctl_request(socket_path(args.socket), &m, take_state, &v,
			     &error);
	if (!args.json)
		show(&v);
	else if (show_json(&v))
		status = EXIT_REFUSED;
	if (error.code)
		print_error(&error);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct command command_version = {
	.name = "version",
	.synopsis = "[--json]",
	.doc = "of this, of the library, and of the daemon",
	.more =
"Prints the versions of tuntapctl, of the library in it, of the protocol that\n"
"they speak, and of the daemon if one answers; if none does, says why, and\n"
"exits as status does.",
	.args = rows,
	.main = version_main
};
