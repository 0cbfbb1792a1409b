/* tuntapctl stats: what goes through the interfaces of leases, once or more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "figures.h"
#include "output.h"

#define SECONDS_MAX	86400
#define COUNT_MAX	1000000000
#define TERM_CLEAR	"\033[H\033[2J"
#define TERM_HOME	"\033[H"
#define TERM_REST	"\033[J"	/* clears what is below */
#define TERM_END	"\033[K"	/* clears what is to the right */

struct stats_args {
	struct common_args common;	/* first */
	unsigned seconds;	/* between two tables; 0: one alone */
	unsigned count;		/* of them; 0: no end */
	char **names;		/* of leases or interfaces; none: all */
	int n_names;
	const char *behind;	/* the argument behind --watch; or NULL */
};

/* --- which of them ------------------------------------------------------ */

static bool is_named(const struct lease_now *l, const char *name)
{
	return strcmp(l->lease, name) == 0 || strcmp(l->name, name) == 0;
}

static bool is_wanted(const struct stats_args *args, const struct lease_now *l)
{
	for (int i = 0; i < args->n_names; i++)
		if (is_named(l, args->names[i]))
			return true;
	return args->n_names == 0;
}

static bool is_there(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_named(&s->all[i], name))
			return true;
	return false;
}

/* `--watch 2` is a lease's name, as [=SECONDS] is optional; the exit status. */
static int check_behind(const struct stats_args *args, const struct snapshot *s)
{
	const char *behind = args->behind;

	if (!behind || !*behind ||
	    strspn(behind, "0123456789") != strlen(behind) ||
	    is_there(s, behind))
		return 0;
	complain("stats: there is no lease %.80s here; for seconds write "
		 "--watch=%.80s, in one word", behind, behind);
	return EXIT_USAGE;
}

/* Says of which name there is no lease; the exit status. */
static int check_names(const struct stats_args *args, const struct snapshot *s)
{
	int status = 0;

	for (int i = 0; i < args->n_names; i++) {
		if (is_there(s, args->names[i]))
			continue;
		complain("stats: there is no lease %.80s here; tuntapctl list "
			 "tells which there are, on the public socket yours "
			 "alone", args->names[i]);
		status = EXIT_REFUSED;
	}
	return status;
}

/* --- for people --------------------------------------------------------- */

/* Where a table is written: a terminal is as high and as wide as it is now. */
struct page {
	bool is_terminal;
	size_t columns, lines;	/* that are left of a terminal */
};

static struct page begin_page(const struct stats_args *args, bool first)
{
	const char *term = getenv("TERM");
	struct winsize size = { .ws_row = 0 };
	struct page page = { .columns = FIGURES_LINE };

	page.is_terminal = args->seconds && isatty(STDOUT_FILENO) && term &&
			   strcmp(term, "dumb") != 0 &&
			   ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
			   size.ws_row > 0 && size.ws_col > 0;
	if (page.is_terminal) {
		/* One line is the cursor's, and one for what has no room. */
		page.lines = size.ws_row > 2 ? size.ws_row - 2u : 0;
		page.columns = size.ws_col;
		fputs(first ? TERM_CLEAR : TERM_HOME, stdout);
	}
	return page;
}

/* False: there is no room for it. */
static bool put_line(struct page *page, const char *line)
{
	if (page->is_terminal) {
		if (page->lines == 0)
			return false;
		page->lines--;
	}
	printf("%.*s%s\n", (int)page->columns, line,
	       page->is_terminal ? TERM_END : "");
	return true;
}

static void put_last_line(struct page *page, const char *line)
{
	page->lines++;
	put_line(page, line);
}

/* The sentence to the lines that have no figures, if there are such. */
static void put_why(struct page *page, const struct stats_args *args,
		    const struct snapshot *s)
{
	char line[2 * FIGURES_LINE];
	const char *why = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct lease_now *l = &s->all[i];

		if (!l->why || !is_wanted(args, l))
			continue;
		n++;
		why = l->why;
	}
	if (n == 0)
		return;
	snprintf(line, sizeof(line), "- of %u lease%s: %s", n,
		 n == 1 ? "" : "s", why);
	put_last_line(page, line);
}

static void put_head(struct page *page, const struct stats_args *args,
		     const struct snapshot *s)
{
	char line[FIGURES_LINE], when[TIME_TEXT_MAX];

	if (args->seconds) {
		snprintf(line, sizeof(line), "%s  rx: what programs sent, tx: "
			 "what they received", time_text(s->time, when));
		put_line(page, line);
		figures_rates_head(line);
	} else {
		figures_totals_head(line);
	}
	put_line(page, line);
}

static void put_table(const struct stats_args *args, const struct snapshot *s,
		      bool first)
{
	struct page page = begin_page(args, first);
	size_t left = 0;

	put_head(&page, args, s);
	for (size_t i = 0; i < s->n; i++) {
		char line[FIGURES_LINE];

		if (!is_wanted(args, &s->all[i]))
			continue;
		if (args->seconds)
			figures_lease_rates(&s->all[i], line);
		else
			figures_lease_totals(&s->all[i], line);
		left += !put_line(&page, line);
	}
	if (left) {
		char line[FIGURES_LINE];

		snprintf(line, sizeof(line), "and %zu more; tuntapctl top "
			 "scrolls", left);
		put_last_line(&page, line);
	} else {
		put_why(&page, args, s);
	}
	if (page.is_terminal)
		fputs(TERM_REST, stdout);
}

/* --- for programs ------------------------------------------------------- */

static int put_json(const struct stats_args *args, const struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_wanted(args, &s->all[i]) &&
		    print_json(figures_json(&s->all[i], s->time), stdout) < 0)
			return EXIT_REFUSED;
	return 0;
}

/* --- the command -------------------------------------------------------- */

static int put(const struct stats_args *args, const struct snapshot *s,
	       bool first)
{
	if (args->common.json) {
		if (put_json(args, s))
			return EXIT_REFUSED;
	} else {
		put_table(args, s, first);
	}
	/* Who reads may be gone, with SIGPIPE ignored. */
	if (fflush(stdout) == 0)
		return 0;
	perror("tuntapctl: standard output");
	return EXIT_REFUSED;
}

/* So long after a snapshot, however long all else takes. */
static void wait_after(const struct snapshot *s, unsigned seconds)
{
	int64_t left = s->ns + (int64_t)seconds * NS_A_SECOND - clock_ns();
	struct timespec t = { left / NS_A_SECOND, left % NS_A_SECOND };

	if (left > 0)
		nanosleep(&t, NULL);
}

/* One table after the other; ret_last is the last snapshot. */
static int watch(const struct stats_args *args, struct snapshot *ret_last)
{
	const char *path = socket_path(args->common.socket);
	struct ttd_error error;

	for (unsigned i = 0; i < args->count || !args->count; i++) {
		struct snapshot now = { .all = NULL };
		int status;

		if (i > 0)
			wait_after(ret_last, args->seconds);
		status = snapshot_take(&now, path, &error);
		if (status) {
			print_error(&error);
			return status;
		}
		snapshot_rate(&now, ret_last);
		snapshot_free(ret_last);
		*ret_last = now;
		status = i == 0 ? check_behind(args, &now) : 0;
		if (status == 0)
			status = put(args, &now, i == 0);
		if (status)
			return status;
	}
	return 0;
}

/* Before options and names are taken apart. */
static const char *behind_watch(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--watch") == 0)
			return argv[i + 1];
	return NULL;
}

static int stats_main(const struct command *c, int argc, char **argv,
		      const struct common_args *given)
{
	struct stats_args args = { .common = *given };
	struct snapshot last = { .all = NULL };
	int status;

	args.behind = behind_watch(argc, argv);
	args.names = argv + 1;
	args.n_names = command_words(c, argc, argv, &args, &status);
	if (args.n_names < 0)
		return status;
	for (int i = 0; i < args.n_names; i++)
		if (check_lease_name(c, args.names[i]))
			return EXIT_USAGE;
	if (args.count && !args.seconds)
		return usage_error("stats: --count is for --watch");
	if (args.seconds)
		end_when_told();
	else
		args.count = 1;
	status = watch(&args, &last);
	/* While it watches, a lease may come yet. */
	if (status == 0 && !args.seconds)
		status = check_names(&args, &last);
	snapshot_free(&last);
	return status;
}

static int set_number(const char *value, unsigned most, unsigned *ret,
		      char why[ARGS_WHY_MAX])
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n == 0 || n > most) {
		snprintf(why, ARGS_WHY_MAX, "it is a whole number, 1 to %u",
			 most);
		return -EINVAL;
	}
	*ret = (unsigned)n;
	return 0;
}

static int set_watch(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct stats_args *args = into;

	return set_number(value ? value : "1", SECONDS_MAX, &args->seconds,
			  why);
}

static int set_count(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	struct stats_args *args = into;

	return set_number(value, COUNT_MAX, &args->count, why);
}

static const struct arg_row rows[] = {
	{ "--watch", "[=SECONDS]", "again each second, or so many, with rates",
	  set_watch, NULL },
	{ "--count", "N", "with --watch: so often", set_count, NULL },
	ARG_SOCKET,
	ARG_JSON("an object a line, for each lease and time"),
	ARG_END
};

const struct command command_stats = {
	.name = "stats",
	.synopsis = "[LEASE...] [--watch[=SECONDS] [--count N]] [--json]",
	.doc = "what goes through the devices, once or again and again",
	.more =
"Tells what has gone through the devices of leases: of those that are named, by\n"
"id or interface, or of all that list tells.  RX is what the program sent, which\n"
"the interface receives; TX is what the program received.  With --watch it tells\n"
"how much it is in a second, until it is ended by ^C.",
	.args = rows,
	.main = stats_main
};
