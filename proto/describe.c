/*
 * describe mdoc	what messages.def and errors.def say, as sections for
 *			tuntapd-protocol(7)
 * describe dict	a dictionary for fuzzing the decoder with libFuzzer
 *
 * Run while building; installed nowhere.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

/* Every field of every record and message, in the order of messages.def. */
static const struct field {
	const char *of, *name;
	const char *type;
	unsigned max;		/* bytes or entries; 0: not of that kind */
	const char *record;	/* what a list is of */
	const char *doc;
} fields[] = {
#define U8(m, f, doc)		{ #m, #f, "u8", 0, NULL, doc },
#define U16(m, f, doc)		{ #m, #f, "u16", 0, NULL, doc },
#define U32(m, f, doc)		{ #m, #f, "u32", 0, NULL, doc },
#define U64(m, f, doc)		{ #m, #f, "u64", 0, NULL, doc },
#define BYTES(m, f, n, doc)	{ #m, #f, "bytes", n, NULL, doc },
#define STRING(m, f, max, doc)	{ #m, #f, "string", max, NULL, doc },
#define PREFIX(m, f, doc)	{ #m, #f, "prefix", 0, NULL, doc },
#define LIST(m, r, f, max, doc)	{ #m, #f, "list", max, #r, doc },
#include "messages.def"
};
#define N_FIELDS (sizeof(fields) / sizeof(*fields))

static const struct record {
	const char *name, *doc;
} records[] = {
#define RECORD(name, doc) { #name, doc },
#include "messages.def"
};
#define N_RECORDS (sizeof(records) / sizeof(*records))

static const struct error {
	const char *name;
	unsigned number;
	const char *err, *doc;
} errors[] = {
#define ERROR(NAME, num, err, doc) { #NAME, num, #err, doc },
#include "errors.def"
};
#define N_ERRORS (sizeof(errors) / sizeof(*errors))

/* How senders and permissions read in the manual. */
static const char *const from[] = {
	[WIRE_FROM_CLIENT] = "client",
	[WIRE_FROM_DAEMON] = "daemon",
};
static const char *const may[] = {
	[WIRE_MAY_ANY] = "any",
	[WIRE_MAY_FREE] = "without a lease",
	[WIRE_MAY_HELD] = "with a lease",
	[WIRE_MAY_ADMIN] = "admin socket",
	[WIRE_MAY_NEVER] = "",
};

static const char *upper(const char *name)
{
	static char buf[32];
	size_t n = 0;

	for (; name[n] && n + 1 < sizeof(buf); n++)
		buf[n] = (char)toupper((unsigned char)name[n]);
	buf[n] = '\0';
	return buf;
}

/*
 * Text lines: one a sentence, as mdoc(7) wants it, filled, with a capital in
 * front and a point at the end, and with nothing that roff takes for its own.
 */
static void put_text(const char *text)
{
	const char *word = text;
	size_t column = 0;

	while (*word) {
		size_t n = strcspn(word, " ");
		bool last = word[n] == '\0', point = word[n - 1] == '.';

		if (column + 1 + n > 78) {
			putchar('\n');
			column = 0;
		}
		if (column)
			putchar(' ');
		else if (*word == '.' || *word == '\'')
			fputs("\\&", stdout);
		for (size_t i = 0; i < n; i++)
			if (word[i] == '\\')
				fputs("\\e", stdout);
			else
				putchar(word + i == text ?
					toupper((unsigned char)*text) :
					word[i]);
		column += 1 + n;
		if (last && !point)
			putchar('.');
		if (last || (point && n > 1 && word[n - 2] != '.')) {
			putchar('\n');
			column = 0;
		}
		word += n + !last;
	}
}

static void put_type(const struct field *f)
{
	if (f->record)
		printf("list of %s, at most %u", f->record, f->max);
	else if (strcmp(f->type, "bytes") == 0)
		printf("%u bytes", f->max);
	else if (f->max)
		printf("%s, at most %u bytes", f->type, f->max);
	else
		fputs(f->type, stdout);
}

static void mdoc_fields(const char *of)
{
	bool any = false;

	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];

		if (strcmp(f->of, of) != 0)
			continue;
		if (!any)
			puts(".Bl -tag -width Ds");
		any = true;
		printf(".It Va %s Pq \"", f->name);
		put_type(f);
		puts("\"");
		put_text(f->doc);
	}
	puts(any ? ".El" : ".Pp\nIt has no fields.");
}

static void mdoc_messages(void)
{
	size_t n;
	const struct wire_row *rows = wire_rows(&n);

	puts(".Sh MESSAGES\n"
	     ".Bl -column \"REFUSED\" \"Type\" \"daemon\" \"without a lease\" "
	     "\"Fds\" \"Longest\"\n"
	     ".It Em Message Ta Em Type Ta Em From Ta Em Connection Ta Em Fds "
	     "Ta Em Longest");
	for (size_t i = 0; i < n; i++)
		printf(".It Li %s Ta %u Ta %s Ta %s Ta %u Ta %u\n",
		       upper(rows[i].name), rows[i].type,
		       from[rows[i].sender], may[rows[i].may], rows[i].max_fds,
		       (unsigned)rows[i].max_frame);
	puts(".El\n"
	     ".Pp\n"
	     ".Em Connection\n"
	     "is where a client may send it.\n"
	     ".Em Fds\n"
	     "is how many file descriptors ride on it at most, and\n"
	     ".Em Longest\n"
	     "how many bytes its longest frame has.");
	for (size_t i = 0; i < n; i++) {
		printf(".Ss %s\n", upper(rows[i].name));
		put_text(rows[i].doc);
		mdoc_fields(rows[i].name);
	}
}

static void mdoc_records(void)
{
	puts(".Sh RECORDS\n"
	     "What lists are made of.");
	for (size_t i = 0; i < N_RECORDS; i++) {
		printf(".Ss %s\n", records[i].name);
		put_text(records[i].doc);
		mdoc_fields(records[i].name);
	}
}

static void mdoc_errors(void)
{
	puts(".Sh ERROR CODES\n"
	     "What\n"
	     ".Va code\n"
	     "of\n"
	     ".Li REFUSED\n"
	     "means, and as which error the library returns it.\n"
	     ".Bl -tag -width Ds");
	for (size_t i = 0; i < N_ERRORS; i++) {
		printf(".It %u Li %s Pq Er %s\n", errors[i].number,
		       errors[i].name, errors[i].err);
		put_text(errors[i].doc);
	}
	puts(".El");
}

static void put_entry(const char *name, const char *what, const uint8_t *bytes,
		      size_t n)
{
	printf("%s%s=\"", name, what);
	for (size_t i = 0; i < n; i++)
		printf("\\x%02x", bytes[i]);
	puts("\"");
}

static void dict_messages(void)
{
	static struct wire_message m;	/* all zero: the shortest frame */
	uint8_t frame[256];
	size_t n;
	const struct wire_row *rows = wire_rows(&n);

	for (size_t i = 0; i < n; i++) {
		m.type = rows[i].type;
		if (wire_encode(&m, frame, sizeof(frame)) < 0)
			continue;
		put_entry(rows[i].name, "_header", frame, WIRE_HEADER_LEN);
		put_entry(rows[i].name, "_type", frame + 4, 2);
	}
}

/* Lengths and counts that are just in bounds and just out of them. */
static void dict_maxima(void)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		uint8_t max[2] = { (uint8_t)f->max, (uint8_t)(f->max >> 8) };
		uint8_t over[2] = { (uint8_t)(f->max + 1),
				    (uint8_t)((f->max + 1) >> 8) };
		char name[64];

		if (!f->max || strcmp(f->type, "bytes") == 0)
			continue;
		snprintf(name, sizeof(name), "%s_%s", f->of, f->name);
		put_entry(name, "_max", max, sizeof(max));
		put_entry(name, "_over", over, sizeof(over));
	}
}

static void dict_prefixes(void)
{
	static const struct {
		const char *name;
		uint8_t bytes[18], n;
	} all[] = {
		{ "v4_net", { 4, 24, 10, 50, 0, 0 }, 6 },
		{ "v4_host", { 4, 32, 10, 50, 0, 1 }, 6 },
		{ "v4_default", { 4 }, 6 },
		{ "v4_over", { 4, 33 }, 2 },
		{ "v6_net", { 6, 64, 0xfd }, 18 },
		{ "v6_host", { 6, 128, 0xfd, [17] = 1 }, 18 },
		{ "v6_default", { 6 }, 18 },
		{ "v6_over", { 6, 129 }, 2 },
		{ "no_family", { 5 }, 1 },
		{ "none", { 0 }, 1 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		put_entry("prefix_", all[i].name, all[i].bytes, all[i].n);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "mdoc") == 0) {
		mdoc_messages();
		mdoc_records();
		mdoc_errors();
	} else if (argc == 2 && strcmp(argv[1], "dict") == 0) {
		dict_messages();
		dict_maxima();
		dict_prefixes();
	} else {
		fputs("usage: describe mdoc|dict\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
