#include <errno.h>

#include "command.h"
#include "request.h"
#include "show.h"

/* What has been told so far, in one of two shapes. */
struct listing {
	struct table table;
	json_t *json;		/* NULL: a table for people */
};

static int take(void *arg, const struct wire_message *m)
{
	struct listing *l = arg;

	if (m->type != WIRE_LEASE)
		return 0;
	if (l->json)
		return json_array_append_new(l->json,
					     show_lease_json(&m->lease)) < 0 ?
		       -ENOMEM : 0;
	return show_lease_row(&l->table, &m->lease);
}

static int list(const struct common_args *args, struct listing *l)
{
	const struct wire_message m = { .type = WIRE_LIST };
	struct ttd_error error = { .code = 0 };
	int r = args->json ? (l->json = json_array()) ? 0 : -ENOMEM
			   : show_lease_head(&l->table);

	if (r == 0)
		r = ctl_request(socket_path(args->socket), &m, take, l,
				&error);
	if (error.code) {
		print_error(&error);
		return r;
	}
	if (r < 0) {
		complain("out of memory");
		return EXIT_REFUSED;
	}
	if (!args->json)
		table_print(&l->table, stdout);
	else if (print_json(json_incref(l->json), stdout) < 0)
		return EXIT_REFUSED;
	return 0;
}

static int list_main(const struct command *c, int argc, char **argv,
		     const struct common_args *given)
{
	struct common_args args = *given;
	struct listing l = { .json = NULL };
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	status = list(&args, &l);
	table_free(&l.table);
	json_decref(l.json);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("an array of objects, one a lease"),
	ARG_END
};

const struct command command_list = {
	.name = "list",
	.synopsis = "[--json]",
	.doc = "the leases: yours, or all on the admin socket",
	.more =
"Lists the leases: who holds which device, and since when.  On the public\n"
"socket these are your own, on the admin socket all of them; root asks the\n"
"admin socket unless told otherwise.",
	.args = rows,
	.main = list_main
};
