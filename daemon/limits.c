#include "limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "refuse.h"

#define NAME_WIDTH 28		/* with its default, where they are listed */

struct limits limits = {
#define DEFAULT(member, name, value, least, most, of) .member = (value),
	LIMITS(DEFAULT)
#undef DEFAULT
};

static const struct row {
	const char *name, *of;
	unsigned *member;
	unsigned long value, least, most;
} rows[] = {
#define ROW(member, name, value, least, most, of) \
	{ name, of, &limits.member, value, least, most },
	LIMITS(ROW)
#undef ROW
};

static const struct row *find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strlen(rows[i].name) == len &&
		    memcmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

int limits_set(const char *text, struct wire_refused *why)
{
	size_t len = strcspn(text, "=");
	const struct row *row = find(text, len);
	const char *number = text + len + 1;
	unsigned long n;
	char *end;

	if (!text[len])
		return refuse(why, WIRE_E_INVALID, "limit",
			      "write NAME=NUMBER");
	if (!row)
		return refuse(why, WIRE_E_INVALID, "limit",
			      "there is no limit of that name");
	/* strtoul(3) takes signs and blanks, too. */
	n = strtoul(number, &end, 10);
	if (*number < '0' || *number > '9' || *end || n < row->least ||
	    n > row->most)
		return refuse(why, WIRE_E_INVALID, "limit", "it is a number, "
			      "%lu to %lu", row->least, row->most);
	*row->member = (unsigned)n;
	return 0;
}

void limits_print(FILE *to)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		int pad = NAME_WIDTH - (int)strlen(row->name);

		fprintf(to, "  %s=%-*lu %s, %lu to %lu\n", row->name,
			pad, row->value, row->of, row->least, row->most);
	}
}
