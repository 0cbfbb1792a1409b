#include "args.h"

#include <errno.h>
#include <string.h>

#define NAME_COLUMN	30	/* where help's second column begins */

/* arg is the row's name, alone or with "=value" behind it. */
static bool is_row(const struct arg_row *row, const char *arg)
{
	size_t n = strlen(row->name);

	return strncmp(arg, row->name, n) == 0 &&
	       (arg[n] == '\0' || arg[n] == '=');
}

const struct arg_row *args_find(const struct arg_row *rows, const char *arg)
{
	const struct arg_row *found = NULL;

	for (; (rows->name || rows->rows) && !found; rows++)
		if (rows->rows)
			found = args_find(rows->rows, arg);
		else if (is_row(rows, arg))
			found = rows;
	return found;
}

bool args_may_lack(const char *value)
{
	return value && value[0] == '[';
}

/* The option at argv[*i]; leaves *i at its last argument. */
static int parse_one(const struct arg_row *row, char **argv, int *i,
		     void *into, char why[ARGS_WHY_MAX])
{
	const char *value = strchr(argv[*i], '=');
	char clause[ARGS_WHY_MAX] = "";
	int r;

	if (!row->value && value) {
		snprintf(why, ARGS_WHY_MAX, "%s takes no value", row->name);
		return -EINVAL;
	}
	if (row->value && value)
		value++;
	else if (row->value && !args_may_lack(row->value) &&
		 !(value = argv[++*i])) {
		snprintf(why, ARGS_WHY_MAX, "%s needs a value: %s %s",
			 row->name, row->name, row->value);
		return -EINVAL;
	}
	r = row->set(into, value, clause);
	if (r < 0)
		snprintf(why, ARGS_WHY_MAX, "%s%s%.80s: %.400s", row->name,
			 value ? " " : "", !value ? "" : *value ? value : "''",
			 clause);
	return r;
}

int args_parse(const struct arg_row *rows, int argc, char **argv, void *into,
	       char why[ARGS_WHY_MAX])
{
	int i;

	for (i = 1; i < argc; i++) {
		const struct arg_row *row;
		int r;

		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			break;
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0)
			return ARGS_HELP;
		row = args_find(rows, argv[i]);
		if (!row) {
			snprintf(why, ARGS_WHY_MAX, "%.80s: there is no such "
				 "option; --help lists them", argv[i]);
			return -EINVAL;
		}
		r = parse_one(row, argv, &i, into, why);
		if (r < 0)
			return r;
	}
	return i;
}

static void help_row(const char *name, const char *value, const char *doc,
		     FILE *out)
{
	int n = fprintf(out, "  %s%s%s", name,
			value && !args_may_lack(value) ? " " : "",
			value ? value : "");

	/* a long one has its line for itself */
	fprintf(out, "%s%*s%s\n", n < NAME_COLUMN ? "" : "\n",
		n < NAME_COLUMN ? NAME_COLUMN - n : NAME_COLUMN, "", doc);
}

static void help_rows(const struct arg_row *rows, FILE *out)
{
	for (; rows->name || rows->rows; rows++)
		if (rows->rows)
			help_rows(rows->rows, out);
		else
			help_row(rows->name, rows->value, rows->doc, out);
}

void args_help(const struct arg_row *rows, FILE *out)
{
	help_rows(rows, out);
	help_row("--help", NULL, "this text", out);
}
