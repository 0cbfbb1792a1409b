#include "policy_args.h"

#include <errno.h>

static int set_user(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)why;
	((struct policy_args *)into)->user = value;
	return 0;
}

static int set_folder(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct policy_args *args = into;

	if (args->n_folders == CONF_FOLDERS_MAX) {
		snprintf(why, ARGS_WHY_MAX, "there may be %d of them",
			 CONF_FOLDERS_MAX);
		return -EINVAL;
	}
	args->folders[args->n_folders++] = value;
	return 0;
}

#define ARG_USER \
	{ "--user", "USER", "a name or uid; default: yours", set_user, NULL }

const struct arg_row policy_check_rows[] = {
	ARG_USER,
	{ .rows = device_rows },
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct arg_row policy_test_rows[] = {
	{ "--policy", "DIR", "read *.conf from here instead; may be repeated, "
	  "later ones come first", set_folder, NULL },
	ARG_USER,
	{ .rows = device_rows },
	ARG_JSON("one object"),
	ARG_END
};
