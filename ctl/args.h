/* Long options from a table: parsing, messages and help from the same rows. */
#ifndef TUNTAPCTL_ARGS_H
#define TUNTAPCTL_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#define ARGS_WHY_MAX	512

struct arg_row {
	const char *name;	/* "--mtu" */
	/*
	 * "N", as help shows it; "[=N]" where it may be left out, and set is
	 * given NULL; NULL: it takes none.
	 */
	const char *value;
	const char *doc;	/* a line of help */
	/*
	 * Puts the value (NULL if it takes none) into the caller's struct.  0,
	 * or -EINVAL with why: what goes behind "--mtu 12: ".
	 */
	int (*set)(void *into, const char *value, char why[ARGS_WHY_MAX]);
	const struct arg_row *rows;	/* not NULL: these stand here */
};

/* It is "[=N]": no argument of its own, and may be left out. */
bool args_may_lack(const char *value);

/* The row of "--mtu" or "--mtu=1400"; or NULL. */
const struct arg_row *args_find(const struct arg_row *rows, const char *arg);

#define ARGS_HELP	(-1000)	/* no errno has this number */

/*
 * Reads options from argv[1] on, until "--" or the first argument that is
 * none; `--mtu 9000` and `--mtu=9000` are the same.  The index of what follows
 * them; ARGS_HELP where --help is among them; or -EINVAL with why filled.
 * rows end with one that has neither name nor rows.
 */
int args_parse(const struct arg_row *rows, int argc, char **argv, void *into,
	       char why[ARGS_WHY_MAX]);

/* A line a row. */
void args_help(const struct arg_row *rows, FILE *out);

#endif
