/* Kinds of values: how each is read from a file, and written back. */
#include "keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

/* The member that the row is about; every reader knows its type. */
static void *member(const struct reading *rd, const struct key_row *row)
{
	return (char *)rd->into + row->at;
}

/* What stands before the entry of a list. */
static const char *between(size_t i)
{
	return i > 0 ? ", " : "";
}

#define FAULT(rd, ...) \
	conf_fault((rd)->fault, (rd)->item->file, (rd)->item->line, \
		   (rd)->item->key, __VA_ARGS__)

static int no_memory(struct reading *rd)
{
	FAULT(rd, "out of memory");
	return -ENOMEM;
}

/* 0, -EINVAL if it is no number, -ERANGE if it is over 32 bits. */
static int parse_u32(const char *text, uint32_t *ret)
{
	uint64_t v = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	if (strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (; *text; text++) {
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > UINT32_MAX)
			return -ERANGE;
	}
	*ret = (uint32_t)v;
	return 0;
}

static int read_bounded(struct reading *rd, const struct key_row *row,
			const char *text, uint32_t *ret)
{
	uint32_t v = 0;
	int r = parse_u32(text, &v);

	if (r == -EINVAL)
		return FAULT(rd, "`%.40s` is not a number; write digits alone, "
			     "without leading zeros", text);
	if (r == -ERANGE || v < row->min || v > row->max)
		return FAULT(rd, "%.40s is out of bounds; write a number "
			     "from %u to %u", text, row->min, row->max);
	*ret = v;
	return 0;
}

static int read_number(struct reading *rd, const struct key_row *row,
		       char *value)
{
	return read_bounded(rd, row, value, member(rd, row));
}

static void write_number(const void *value, const struct key_row *row,
			 FILE *out)
{
	(void)row;
	fprintf(out, "%u", (unsigned)*(const uint32_t *)value);
}

const struct value value_number = { read_number, write_number, NULL, false };

/* "a-b", "a-" or "a". */
static int read_range(struct reading *rd, const struct key_row *row,
		      char *value)
{
	char *dash = strchr(value, '-');
	struct range v = { 0, 0 }, *ret = member(rd, row);
	int r;

	if (dash)
		*dash = '\0';
	r = read_bounded(rd, row, conf_trim(value), &v.min);
	if (r)
		return r;
	v.max = dash ? row->max : v.min;
	if (dash && *conf_trim(dash + 1)) {
		r = read_bounded(rd, row, conf_trim(dash + 1), &v.max);
		if (r)
			return r;
	}
	if (v.min > v.max)
		return FAULT(rd, "the range ends before it begins; write %u-%u",
			     v.max, v.min);
	*ret = v;
	return 0;
}

const char *range_text(const struct range *range, char buf[RANGE_TEXT_MAX])
{
	if (range->min == range->max)
		snprintf(buf, RANGE_TEXT_MAX, "%u", (unsigned)range->min);
	else if (range->max == UINT32_MAX)
		snprintf(buf, RANGE_TEXT_MAX, "%u-", (unsigned)range->min);
	else
		snprintf(buf, RANGE_TEXT_MAX, "%u-%u", (unsigned)range->min,
			 (unsigned)range->max);
	return buf;
}

static void write_range(const void *value, const struct key_row *row,
			FILE *out)
{
	char text[RANGE_TEXT_MAX];

	(void)row;
	fputs(range_text(value, text), out);
}

const struct value value_range = { read_range, write_range, NULL, false };

static int read_word(struct reading *rd, const struct key_row *row,
		     char *value)
{
	bool *ret = member(rd, row);

	*ret = strcmp(value, row->yes) == 0;
	if (!*ret && strcmp(value, row->no) != 0)
		return FAULT(rd, "`%.40s` is not known; write %s or %s",
			     value, row->yes, row->no);
	return 0;
}

static void write_word(const void *value, const struct key_row *row, FILE *out)
{
	fputs(*(const bool *)value ? row->yes : row->no, out);
}

const struct value value_word = { read_word, write_word, NULL, false };

static int read_kind(struct reading *rd, const struct key_row *row,
		     char *value)
{
	struct kinds *kinds = member(rd, row);

	if (strcmp(value, "tun") == 0)
		kinds->tun = true;
	else if (strcmp(value, "tap") == 0)
		kinds->tap = true;
	else
		return FAULT(rd, "`%.40s` is not known; write tun, tap or both",
			     value);
	return 0;
}

static void write_kind(const void *value, const struct key_row *row, FILE *out)
{
	const struct kinds *kinds = value;

	(void)row;
	fprintf(out, "%s%s%s", kinds->tun ? "tun" : "",
		kinds->tun && kinds->tap ? ", " : "", kinds->tap ? "tap" : "");
}

const struct value value_kind = { read_kind, write_kind, NULL, true };

/* What a policy_resolve means by it. */
static const char *why_not(int error)
{
	switch (-error) {
	case ETIMEDOUT:
		return "it timed out; try again, or write the number";
	case ESTALE:
		return "the policy files change while they are read; try again "
		       "when they are as they shall be";
	case ECHILD:
		return "the process that does it is gone; start tuntapd again, "
		       "or write the number";
	case EPIPE:
		return "what does it crashes, or somebody kills it; see that "
		       "`getent` finds it, or write the number";
	default:
		return NULL;
	}
}

static int look_up(struct reading *rd, bool group, const char *name,
		   uint32_t *ret)
{
	const char *what = group ? "group" : "user";
	int r;

	if (!rd->resolve)
		return FAULT(rd, "%s `%.40s` cannot be looked up here; write "
			     "the number", what, name);
	r = rd->resolve(rd->arg, group, name, ret);
	if (r == -ENOENT)
		return FAULT(rd, "there is no %s `%.40s`; make it, correct the "
			     "name, or write a number", what, name);
	if (r < 0 && why_not(r))
		FAULT(rd, "%s `%.40s` cannot be looked up: %s", what, name,
		      why_not(r));
	else if (r < 0)
		FAULT(rd, "%s `%.40s` cannot be looked up (%s); write the "
		      "number", what, name, strerror(-r));
	return r;
}

static int add_id(struct reading *rd, struct ids *ids, uint32_t id)
{
	uint32_t *more;

	if (id == UINT32_MAX)
		return FAULT(rd, "4294967295 stands for nobody; write 0 to "
			     "4294967294");
	more = realloc(ids->id, (ids->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	ids->id = more;
	ids->id[ids->n++] = id;
	return 0;
}

static int read_id(struct reading *rd, const struct key_row *row, bool group,
		   const char *value)
{
	uint32_t id = 0;
	int r = parse_u32(value, &id);

	/* All digits, but no number: not a name either, that would confuse. */
	if (r && strspn(value, "0123456789") == strlen(value))
		return FAULT(rd, "%.40s is no id; write 0 to 4294967294, "
			     "without leading zeros", value);
	if (r)
		r = look_up(rd, group, value, &id);
	return r ? r : add_id(rd, member(rd, row), id);
}

static int read_user(struct reading *rd, const struct key_row *row,
		     char *value)
{
	struct ids *ids = member(rd, row);
	bool any = strcmp(value, "any") == 0;

	if ((any && ids->n > 0) || ids->any)
		return FAULT(rd, "any is everybody; write it alone");
	ids->any = any;
	return any ? 0 : read_id(rd, row, false, value);
}

static int read_group(struct reading *rd, const struct key_row *row,
		      char *value)
{
	if (strcmp(value, "any") == 0)
		return FAULT(rd, "any is not known here; write `user = any`");
	return read_id(rd, row, true, value);
}

static void write_ids(const void *value, const struct key_row *row, FILE *out)
{
	const struct ids *ids = value;

	(void)row;
	if (ids->any)
		fputs("any", out);
	for (size_t i = 0; i < ids->n; i++)
		fprintf(out, "%s%u", between(i), (unsigned)ids->id[i]);
}

static void free_ids(void *value)
{
	free(((struct ids *)value)->id);
}

const struct value value_user = { read_user, write_ids, free_ids, true };
const struct value value_group = { read_group, write_ids, free_ids, true };

static int read_pattern(struct reading *rd, const struct key_row *row,
			char *value)
{
	struct patterns *names = member(rd, row);
	const char *why = pattern_fault(value);
	char **more, *copy;

	if (why)
		return FAULT(rd, "`%.70s` is not a name pattern: %s; write "
			     "one like tun[0-9] or vpn%%u-*", value, why);
	more = realloc(names->text, (names->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	names->text = more;
	copy = strdup(value);
	if (!copy)
		return no_memory(rd);
	names->text[names->n++] = copy;
	return 0;
}

/* "name = ", and ", " between. */
_Static_assert(POLICY_LIST_MAX * (POLICY_PATTERN_MAX + 2) + 64 <= CONF_LINE_MAX,
	       "a list of patterns must fit into a line");
_Static_assert(POLICY_LIST_MAX * (PREFIX_TEXT_MAX + 2) + 64 <= CONF_LINE_MAX,
	       "a list of prefixes must fit into a line");

static void write_patterns(const void *value, const struct key_row *row,
			   FILE *out)
{
	const struct patterns *names = value;

	(void)row;
	for (size_t i = 0; i < names->n; i++)
		fprintf(out, "%s%s", between(i), names->text[i]);
}

static void free_patterns(void *value)
{
	struct patterns *names = value;

	for (size_t i = 0; i < names->n; i++)
		free(names->text[i]);
	free(names->text);
}

const struct value value_pattern = {
	read_pattern, write_patterns, free_patterns, true
};

static int read_prefix(struct reading *rd, const struct key_row *row,
		       char *value)
{
	struct prefixes *list = member(rd, row);
	struct prefix p, net, *more;
	const char *why;
	char text[PREFIX_TEXT_MAX];

	if (prefix_parse(value, &p, &why) < 0)
		return FAULT(rd, "`%.50s` is not a prefix: %s; write one like "
			     "10.0.0.0/8 or fd00::/8", value, why);
	net = prefix_network(&p);
	if (prefix_has_host_bits(&p))
		return FAULT(rd, "%.50s has bits behind its length; write %s",
			     value, prefix_format(&net, text));
	more = realloc(list->prefix, (list->n + 1) * sizeof(*more));
	if (!more)
		return no_memory(rd);
	list->prefix = more;
	list->prefix[list->n++] = p;
	return 0;
}

static void write_prefixes(const void *value, const struct key_row *row,
			   FILE *out)
{
	const struct prefixes *list = value;
	char text[PREFIX_TEXT_MAX];

	(void)row;
	if (list->automatic)
		fputs("auto", out);
	for (size_t i = 0; i < list->n; i++)
		fprintf(out, "%s%s", between(i),
			prefix_format(&list->prefix[i], text));
}

static void free_prefixes(void *value)
{
	free(((struct prefixes *)value)->prefix);
}

const struct value value_prefix = {
	read_prefix, write_prefixes, free_prefixes, true
};

/* "auto", or prefixes. */
static int read_source(struct reading *rd, const struct key_row *row,
		       char *value)
{
	struct prefixes *list = member(rd, row);
	bool automatic = strcmp(value, "auto") == 0;

	/* What it is when the key is absent. */
	if (rd->entry == 0)
		list->automatic = automatic;
	else if (automatic || list->automatic)
		return FAULT(rd, "auto is found out by itself; write it "
			     "alone");
	return automatic ? 0 : read_prefix(rd, row, value);
}

const struct value value_source = {
	read_source, write_prefixes, free_prefixes, true
};
