#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../policy/plain.h"

#define COMPLAINT_MAX	1024	/* with its NUL; what is longer is cut */

#define DEL		0x7f
/* Control bytes beyond ASCII, in UTF-8: this one, and one below that. */
#define C1_LEAD		0xc2
#define C1_END		0xa0

char *plain_text(char *text)
{
	make_plain(text);
	return text;
}

void complain(const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "tuntapctl: %s\n", plain_text(text));
}

void print_error(const struct ttd_error *e)
{
	struct ttd_error copy = *e;

	fprintf(stderr, "tuntapctl: %s: %s", plain_text(copy.step),
		plain_text(copy.text));
	if (copy.rule[0])
		fprintf(stderr, " (rule %s)", plain_text(copy.rule));
	fputc('\n', stderr);
}

bool say_what_is_lost(void)
{
	if (fflush(stdout) != 0)
		complain("standard output: %s", strerror(errno));
	else if (ferror(stdout))
		complain("standard output: not all could be written");
	else
		return false;
	clearerr(stdout);
	return true;
}

int table_add(struct table *t, const char *const cells[TABLE_COLUMNS])
{
	char **all = realloc(t->cells, (t->n_rows + 1) * TABLE_COLUMNS *
			     sizeof(*all));

	if (!all)
		return -ENOMEM;
	t->cells = all;
	all += t->n_rows * TABLE_COLUMNS;
	for (size_t i = 0; i < TABLE_COLUMNS; i++) {
		all[i] = strdup(cells[i]);
		if (!all[i]) {
			while (i > 0)
				free(all[--i]);
			return -ENOMEM;
		}
		plain_text(all[i]);
	}
	t->n_rows++;
	return 0;
}

void table_print(const struct table *t, FILE *out)
{
	size_t width[TABLE_COLUMNS] = { 0 };

	for (size_t i = 0; i < t->n_rows * TABLE_COLUMNS; i++) {
		size_t n = strlen(t->cells[i]);

		if (n > width[i % TABLE_COLUMNS])
			width[i % TABLE_COLUMNS] = n;
	}
	for (size_t i = 0; i < t->n_rows * TABLE_COLUMNS; i++) {
		size_t column = i % TABLE_COLUMNS;

		if (column < TABLE_COLUMNS - 1)
			fprintf(out, "%-*s  ", (int)width[column], t->cells[i]);
		else
			fprintf(out, "%s\n", t->cells[i]);
	}
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n_rows * TABLE_COLUMNS; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ NULL, 0 };
}

char *time_text(uint64_t seconds, char buf[TIME_TEXT_MAX])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&when, &tm) ||
	    strftime(buf, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, TIME_TEXT_MAX, "?");
	return buf;
}

static bool takes_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && no[0]) && term && strcmp(term, "dumb") != 0 &&
	       isatty(fileno(out));
}

const char *colour(enum colour which, FILE *out)
{
	static const char *const begins[] = {
		[COLOUR_NONE] = "\033[0m",
		[COLOUR_GOOD] = "\033[32m",	/* green */
		[COLOUR_WARNING] = "\033[33m",	/* yellow */
		[COLOUR_BAD] = "\033[31m",	/* red */
		[COLOUR_FAINT] = "\033[2m",
	};

	return takes_colour(out) ? begins[which] : "";
}

json_t *json_text(const char *text)
{
	json_t *value = json_string(text);
	char *ascii;

	if (value)
		return value;
	ascii = strdup(text);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p; p++)
		if ((unsigned char)*p > 0x7f)
			*p = '?';
	value = json_string(ascii);
	free(ascii);
	return value;
}

json_t *json_text_or_null(const char *text)
{
	return text && text[0] ? json_text(text) : json_null();
}

/*
 * JSON lets DEL and the control bytes beyond ASCII stand in a text as they are;
 * a terminal obeys them.
 */
static void print_escaped(const char *json, FILE *out)
{
	const unsigned char *c = (const unsigned char *)json;

	for (; *c; c++)
		if (*c == DEL)
			fprintf(out, "\\u%04x", DEL);
		else if (*c == C1_LEAD && c[1] < C1_END)
			/* U+0080 to U+009F: the second byte is the number */
			fprintf(out, "\\u%04x", *++c);
		else
			putc(*c, out);
}

int print_json(json_t *value, FILE *out)
{
	char *text = value ? json_dumps(value, 0) : NULL;

	json_decref(value);
	if (!text) {
		complain("out of memory");
		return -ENOMEM;
	}
	print_escaped(text, out);
	putc('\n', out);
	free(text);
	return 0;
}
