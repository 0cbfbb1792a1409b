/*
 * tuntapctl top: a screen of what goes through the devices.  What is collected
 * (snapshot.c) and where it is drawn know nothing of each other.
 */
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../proto/sys.h"
#include "command.h"
#include "figures.h"
#include "output.h"

#define NS_A_MS		1000000
#define HELP_LINES	1	/* below the leases */

struct top {
	const char *path;	/* of the daemon's socket */
	struct snapshot now;
	const struct lease_now **rows;	/* now's, as they are shown */
	size_t first;		/* that the screen shows */
	enum lease_order order;
	bool reverse;
	bool lost;		/* the daemon, or the kernel, and why */
	struct ttd_error error;
};

/* --- collecting --------------------------------------------------------- */

static void arrange(struct top *t)
{
	leases_sort(t->rows, t->now.n, t->order, t->reverse);
}

/* Takes the snapshot over; 0 or -ENOMEM. */
static int show_snapshot(struct top *t, struct snapshot *now)
{
	const struct lease_now **rows = t->rows;

	if (now->n > 0)
		rows = sys_reallocarray(t->rows, now->n, sizeof(*rows));
	if (now->n > 0 && !rows)
		return -ENOMEM;
	snapshot_rate(now, &t->now);
	snapshot_free(&t->now);
	t->now = *now;
	t->rows = rows;
	for (size_t i = 0; i < now->n; i++)
		rows[i] = &now->all[i];
	return 0;
}

/* 0 or an exit status; what was seen last stays if nothing new is. */
static int collect(struct top *t)
{
	struct snapshot now = { .all = NULL };
	int status = snapshot_take(&now, t->path, &t->error);

	if (status == 0 && show_snapshot(t, &now) < 0) {
		snapshot_free(&now);
		snprintf(t->error.step, sizeof(t->error.step), "list");
		snprintf(t->error.text, sizeof(t->error.text),
			 "out of memory");
		status = EXIT_REFUSED;
	}
	t->lost = status != 0;
	return status;
}

/* --- drawing ------------------------------------------------------------ */

static void put(int y, attr_t how, const char *text)
{
	if (y >= LINES)
		return;
	attrset((int)how);
	mvaddnstr(y, 0, text, COLS);
}

/* The lines above the leases; how many. */
static int draw_head(const struct top *t)
{
	char line[sizeof(t->error.text) + FIGURES_LINE], when[TIME_TEXT_MAX];
	struct rates total = snapshot_total(&t->now);
	int y = 0;

	snprintf(line, sizeof(line), "%s  %zu lease%s by %s%s",
		 time_text(t->now.time, when), t->now.n,
		 t->now.n == 1 ? "" : "s", lease_order_name(t->order),
		 t->reverse ? ", reversed" : "");
	put(y++, A_NORMAL, line);
	if (t->lost) {
		snprintf(line, sizeof(line), "Since then none: %s",
			 t->error.text);
		put(y++, A_BOLD, plain_text(line));
	}
	figures_rates_head(line);
	put(y++, A_REVERSE, line);
	figures_rates("total", "", &total, line);
	put(y++, A_BOLD, line);
	return y;
}

static size_t lines_for_leases(const struct top *t)
{
	int head = t->lost ? 4 : 3;

	return LINES > head + HELP_LINES ?
	       (size_t)(LINES - head - HELP_LINES) : 0;
}

static void draw(struct top *t)
{
	const size_t lines = lines_for_leases(t);
	size_t last = t->now.n > lines ? t->now.n - lines : 0;
	char line[FIGURES_LINE];
	int y;

	if (t->first > last)
		t->first = last;
	erase();
	y = draw_head(t);
	for (size_t i = 0; i < lines && t->first + i < t->now.n; i++) {
		figures_lease_rates(t->rows[t->first + i], line);
		put(y++, A_NORMAL, line);
	}
	last = t->first + lines < t->now.n ? t->first + lines : t->now.n;
	snprintf(line, sizeof(line), "q quit  s sort  r reverse  arrows, page "
		 "up and down scroll  %zu-%zu of %zu",
		 last > t->first ? t->first + 1 : last, last, t->now.n);
	put(LINES - HELP_LINES, A_REVERSE, line);
	refresh();
}

/* --- keys --------------------------------------------------------------- */

static void scroll_up(struct top *t, size_t lines)
{
	t->first -= t->first < lines ? t->first : lines;
}

/* Its end is seen to when it is drawn. */
static void scroll_down(struct top *t, size_t lines)
{
	t->first += lines;
}

/* False: it is to end. */
static bool obey(struct top *t, int key)
{
	switch (key) {
	case 'q':
		return false;
	case 's':
		t->order = (t->order + 1) % N_LEASE_ORDERS;
		arrange(t);
		break;
	case 'r':
		t->reverse = !t->reverse;
		arrange(t);
		break;
	case KEY_UP:
		scroll_up(t, 1);
		break;
	case KEY_DOWN:
		scroll_down(t, 1);
		break;
	case KEY_PPAGE:
		scroll_up(t, lines_for_leases(t));
		break;
	case KEY_NPAGE:
		scroll_down(t, lines_for_leases(t));
		break;
	case KEY_HOME:
		t->first = 0;
		break;
	case KEY_END:
		t->first = t->now.n;
		break;
	case ERR:	/* no key came; or the terminal is gone */
		return isatty(STDIN_FILENO);
	}
	return true;
}

static volatile sig_atomic_t told_to_end;

static void on_end(int sig)
{
	told_to_end = sig;
}

/* As q does: ncurses would put the terminal right too, but exit with 1. */
static void end_as_by_q(void)
{
	const struct sigaction end = { .sa_handler = on_end };

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
}

/* Until it is to end. */
static void run(struct top *t)
{
	int64_t next = t->now.ns + NS_A_SECOND, left;

	do {
		draw(t);
		left = next - clock_ns();
		if (left <= 0) {
			collect(t);
			arrange(t);
			next = clock_ns() + NS_A_SECOND;
			left = 0;
		}
		timeout((int)((left + NS_A_MS - 1) / NS_A_MS));
	} while (obey(t, getch()) && !told_to_end);
}

/* --- the command -------------------------------------------------------- */

/* NULL: it is not known, or its cursor cannot be put anywhere. */
static SCREEN *begin_screen(void)
{
	SCREEN *screen = newterm(NULL, stdout, stdin);

	if (screen && !tigetstr("cup")) {
		endwin();
		delscreen(screen);
		screen = NULL;
	}
	return screen;
}

/* The exit status. */
static int on_terminal(struct top *t)
{
	const char *term = getenv("TERM");
	SCREEN *screen;

	end_as_by_q();
	screen = begin_screen();
	if (!screen) {
		complain("top: the terminal \"%.40s\" is not known here, or "
			 "too simple: set TERM to another, or see tuntapctl "
			 "stats --watch", term ? term : "");
		return EXIT_REFUSED;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	run(t);
	endwin();
	delscreen(screen);
	return 0;
}

static int top_main(const struct command *c, int argc, char **argv,
		    const struct common_args *given)
{
	struct top t = { .order = BY_TRAFFIC };
	struct common_args args = *given;
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return usage_error("top: it needs a terminal; tuntapctl stats "
				   "--watch writes to files and pipes too");
	setlocale(LC_CTYPE, "");	/* names are shown as they are */
	t.path = socket_path(args.socket);
	status = collect(&t);
	arrange(&t);
	if (status)
		print_error(&t.error);
	else
		status = on_terminal(&t);
	snapshot_free(&t.now);
	free(t.rows);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_END
};

const struct command command_top = {
	.name = "top",
	.synopsis = "",
	.doc = "a screen of what goes through the devices",
	.more =
"Shows what goes through the devices in a second, the busiest first, on a screen\n"
"that is drawn anew each second.  RX is what programs send, which the interfaces\n"
"receive; TX is what programs receive.  Keys: q or ^C ends it, s sorts by the\n"
"next of traffic, rx, tx, drops and name, r turns the order round; arrows, page\n"
"up and down, home and end scroll.",
	.args = rows,
	.main = top_main
};
