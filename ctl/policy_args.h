/* The options of `tuntapctl policy check` and `policy test`. */
#ifndef TUNTAPCTL_POLICY_ARGS_H
#define TUNTAPCTL_POLICY_ARGS_H

#include "../policy/bounds.h"
#include "run_args.h"

struct policy_args {
	struct run_args device;		/* first */
	const char *user;		/* NULL: who runs this */
	const char *folders[CONF_FOLDERS_MAX];
	size_t n_folders;		/* 0: those of the daemon */
};

extern const struct arg_row policy_check_rows[], policy_test_rows[];

#endif
