/* What people and programs read: errors, tables, JSON. */
#ifndef TUNTAPCTL_OUTPUT_H
#define TUNTAPCTL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../libclient/tuntapd.h"

/*
 * Replaces what a terminal would obey, in place: control bytes, those beyond
 * ASCII as well (0x9b is ESC [), and what is not UTF-8.  Its text.
 */
char *plain_text(char *text);

/* "tuntapctl: ..." to stderr, a line of plain text: it may cite arguments. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "tuntapctl: step: text (rule file:line)" to stderr. */
void print_error(const struct ttd_error *e);

/*
 * Not all that was printed got to the standard output, which is said, once.
 * stdio does not keep what it could not write, so that its last flush alone
 * does not tell.
 */
bool say_what_is_lost(void);

/* Left-aligned columns as wide as they need; the last one is not padded. */
#define TABLE_COLUMNS	8
struct table {
	char **cells;		/* rows of TABLE_COLUMNS, owned */
	size_t n_rows;
};
/* Copies the cells; 0 or -ENOMEM. */
int table_add(struct table *t, const char *const cells[TABLE_COLUMNS]);
void table_print(const struct table *t, FILE *out);
void table_free(struct table *t);

/* "2025-01-31 23:59:58", local time. */
#define TIME_TEXT_MAX	32
char *time_text(uint64_t seconds, char buf[TIME_TEXT_MAX]);

/*
 * What begins a colour, and with COLOUR_NONE ends it; "" unless out is a
 * terminal that can, and NO_COLOR (no-color.org) is not set.
 */
enum colour {
	COLOUR_NONE, COLOUR_GOOD, COLOUR_WARNING, COLOUR_BAD, COLOUR_FAINT
};
const char *colour(enum colour which, FILE *out);

/* A JSON string; bytes that are not UTF-8 become '?'.  NULL: no memory. */
json_t *json_text(const char *text);
/* null for NULL and "". */
json_t *json_text_or_null(const char *text);
/*
 * Writes it on one line, in which no terminal finds anything to obey, and gives
 * it up.  0, or -ENOMEM where it is NULL or
 * cannot be written, which is said on stderr.
 */
int print_json(json_t *value, FILE *out);

#endif
