/*
 * Why an own scanner: the policy promises that every fault is told with file,
 * line and key, and that nothing is cut silently.  inih as Debian builds it
 * does not hand the line to its handler, shortens long names and lines
 * without a word, and never tells of a section that is empty.
 */
#include "conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "plain.h"

struct scanner {
	const char *file;
	unsigned line;
	bool in_section;
	char section[CONF_LINE_MAX + 1];
	conf_handler *handler;
	void *arg;
	struct policy_fault *fault;
};

void conf_label(char label[POLICY_LABEL_MAX + 1], const char *file)
{
	size_t n = strlen(file);

	if (n > POLICY_LABEL_MAX)
		snprintf(label, POLICY_LABEL_MAX + 1, "...%s",
			 file + n - (POLICY_LABEL_MAX - 3));
	else
		memcpy(label, file, n + 1);
	make_plain(label);
}

int conf_fault(struct policy_fault *fault, const char *file, unsigned line,
	       const char *key, const char *fmt, ...)
{
	char label[POLICY_LABEL_MAX + 1], number[16] = "", name[48] = "";
	size_t n;
	va_list args;

	conf_label(label, file);
	if (line)
		snprintf(number, sizeof(number), "%u:", line);
	if (key)
		snprintf(name, sizeof(name), " %.40s:", key);
	n = (size_t)snprintf(fault->text, sizeof(fault->text), "%s:%s%s ",
			     label, number, name);
	va_start(args, fmt);
	vsnprintf(fault->text + n, sizeof(fault->text) - n, fmt, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

char *conf_trim(char *text)
{
	size_t n;

	while (is_blank(*text))
		text++;
	for (n = strlen(text); n > 0 && is_blank(text[n - 1]); n--)
		;
	text[n] = '\0';
	return text;
}

/* Cuts off what follows a `;` that stands behind white space. */
static void cut_comment(char *text)
{
	for (char *c = text; *c; c++)
		if (*c == ';' && (c == text || is_blank(c[-1]))) {
			*c = '\0';
			return;
		}
}

/* Bytes that would surprise whoever reads the fault, the log or the rule. */
static int check_bytes(const struct scanner *s, const char *text)
{
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		if (byte >= 0x80)
			return conf_fault(s->fault, s->file, s->line, NULL,
				"byte 0x%02x is not ASCII, which only comments "
				"may have; write such users as numbers", byte);
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return conf_fault(s->fault, s->file, s->line, NULL,
				"control byte 0x%02x; remove it", byte);
	}
	return 0;
}

static int read_section(struct scanner *s, char *text)
{
	char *end = strchr(text, ']');
	struct conf_item item = { s->file, s->line, s->section, NULL, NULL };

	if (!end)
		return conf_fault(s->fault, s->file, s->line, NULL,
			"the section's ] is missing; write [rule NAME]");
	if (*conf_trim(end + 1))
		return conf_fault(s->fault, s->file, s->line, NULL,
			"something follows the section's ]; give it a line of "
			"its own, or a ; before a comment");
	*end = '\0';
	text = conf_trim(text + 1);
	memcpy(s->section, text, strlen(text) + 1);
	s->in_section = true;
	return s->handler(s->arg, &item, s->fault);
}

/* A # behind white space reads as a comment, but would be a value's part. */
static bool has_hash_comment(const char *value)
{
	for (const char *c = value; *c; c++)
		if (*c == '#' && (c == value || is_blank(c[-1])))
			return true;
	return false;
}

static int read_key(struct scanner *s, char *text)
{
	char *equals = strchr(text, '=');
	struct conf_item item = { s->file, s->line, s->section, NULL, NULL };
	char *key;

	if (!equals)
		return conf_fault(s->fault, s->file, s->line, NULL,
			"neither `key = value` nor [rule NAME] nor a comment; "
			"a list stands on one line");
	*equals = '\0';
	key = conf_trim(text);
	item.key = key;
	item.value = conf_trim(equals + 1);
	if (!*key)
		return conf_fault(s->fault, s->file, s->line, NULL,
			"nothing stands before the =; write `key = value`");
	if (!s->in_section)
		return conf_fault(s->fault, s->file, s->line, key,
			"it is in no section; put [rule NAME] above it");
	if (!*item.value)
		return conf_fault(s->fault, s->file, s->line, key,
			"it has no value; write one, or remove the line");
	if (has_hash_comment(item.value))
		return conf_fault(s->fault, s->file, s->line, key,
			"a comment behind a value begins with ;, not #");
	return s->handler(s->arg, &item, s->fault);
}

static int read_line(struct scanner *s, const char *line, size_t len)
{
	char text[CONF_LINE_MAX + 1], *start;
	int r;

	if (len > CONF_LINE_MAX)
		return conf_fault(s->fault, s->file, s->line, NULL,
			"the line is over %d bytes long; split it, or its "
			"list into two rules", CONF_LINE_MAX);
	if (memchr(line, '\0', len))
		return conf_fault(s->fault, s->file, s->line, NULL,
			"a NUL byte; this must be a text file");
	if (memchr(line, '\r', len))
		return conf_fault(s->fault, s->file, s->line, NULL,
			"a carriage return; save the file with line ends of "
			"LF alone, not CR LF");
	memcpy(text, line, len);
	text[len] = '\0';
	start = conf_trim(text);
	if (!*start || *start == ';' || *start == '#')
		return 0;
	cut_comment(start);
	start = conf_trim(start);
	r = check_bytes(s, start);
	if (r)
		return r;
	return *start == '[' ? read_section(s, start) : read_key(s, start);
}

int conf_parse(const char *file, const char *text, size_t len,
	       conf_handler *handler, void *arg, struct policy_fault *fault)
{
	struct scanner s = { .file = file, .line = 1, .handler = handler,
			     .arg = arg, .fault = fault };
	int r = 0;

	if (len > CONF_FILE_MAX)
		return conf_fault(fault, file, 1, NULL,
			"the file is over %d bytes long; split it",
			CONF_FILE_MAX);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return conf_fault(fault, file, 1, NULL,
			"it begins with a byte order mark; save it without");
	for (size_t at = 0; at < len && r == 0; s.line++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;

		r = read_line(&s, text + at, n);
		at += n + 1;
	}
	return r;
}
