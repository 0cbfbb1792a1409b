#include "names.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proto/sys.h"

/* Every %u (two bytes) becomes at most ten digits. */
#define EXPANDED_MAX	(POLICY_PATTERN_MAX * 5)

/* What a chosen name has at the place of a set; digits first. */
static const char letters[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";

/* Reserved by the kernel or by the tools and folders that use names. */
static const char *const reserved[] = { "lo", "all", "default", ".", ".." };

const char *name_fault(const char *name)
{
	if (!*name)
		return "it is empty";
	if (strnlen(name, WIRE_NAME_MAX + 1) > WIRE_NAME_MAX)
		return "it is over 15 bytes long";
	for (const char *c = name; *c; c++) {
		if (*c == '/')
			return "it has a /";
		if (*c == '%')
			return "it has a %";
		if (*c == ':')
			return "it has a :";
		if (*c == ' ' || (*c >= '\t' && *c <= '\r'))
			return "it has white space";
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return "it has a control character";
		if ((unsigned char)*c >= 0x80)
			return "it has a byte that is not ASCII";
		if (!strchr(letters, *c))
			return "it has something else";
	}
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return "it is reserved";
	return NULL;
}

/* Bytes of what stands for one letter (or, *, for several) of a name. */
static size_t element_length(const char *at)
{
	return *at == '[' ? (size_t)(strchr(at, ']') - at) + 1 : 1;
}

/* The letters that an element has to choose from; how many. */
static size_t element_letters(const char *at, char ret[sizeof(letters)])
{
	char set[POLICY_PATTERN_MAX + 1];
	size_t len = element_length(at), n = 0;

	memcpy(set, at, len);
	set[len] = '\0';
	for (const char *c = letters; *c; c++) {
		char one[2] = { *c, '\0' };

		if (*at == '?' && c == letters + 10)
			break;
		if (fnmatch(set, one, FNM_NOESCAPE) == 0)
			ret[n++] = *c;
	}
	ret[n] = '\0';
	return n;
}

static const char *set_fault(const char *at)
{
	size_t negated = at[1] == '!' || at[1] == '^';
	size_t n = strcspn(at + 1, "[]%");
	char unused[sizeof(letters)];

	if (at[1 + n] == '\0')
		return "a [ has no ] (a , ends the pattern)";
	if (at[1 + n] == '[')
		return "classes are not known; write [0-9] or the like";
	if (at[1 + n] == '%')
		return "%u stands inside [ ]";
	if (n == negated || element_letters(at, unused) == 0)
		return "a [ ] matches no letter";
	return NULL;
}

const char *pattern_fault(const char *pattern)
{
	const char *why = NULL;

	if (strlen(pattern) > POLICY_PATTERN_MAX)
		return "it is over 63 bytes long";
	if (strpbrk(pattern, ";#"))
		return "it has a ; or #, with which comments begin";
	for (const char *at = pattern; *at && !why; at++) {
		if (*at <= ' ' || *at >= 0x7f)
			why = "it has white space or a byte beyond ASCII";
		else if (strchr("/:\\", *at))
			why = "names have no /, : or \\";
		else if (*at == ']')
			why = "a ] has no [";
		else if (!strchr("*?[%", *at) && !strchr(letters, *at))
			why = "names have letters, digits, -, _ and . alone";
		else if (*at == '%' && *++at != 'u')
			why = "after % only u may stand: %u, the uid";
		else if (*at == '[') {
			why = set_fault(at);
			if (!why)
				at += element_length(at) - 1;
		}
	}
	return why;
}

/* The pattern with the uid in its places. */
static void expand(const char *pattern, uid_t uid, char ret[EXPANDED_MAX + 1])
{
	size_t n = 0;

	for (const char *at = pattern; *at; at++) {
		if (*at == '%') {
			n += (size_t)snprintf(ret + n, EXPANDED_MAX + 1 - n,
					      "%u", (unsigned)uid);
			at++;
		} else {
			ret[n++] = *at;
		}
	}
	ret[n] = '\0';
}

bool pattern_matches(const char *pattern, uid_t uid, const char *name)
{
	char expanded[EXPANDED_MAX + 1];

	expand(pattern, uid, expanded);
	return fnmatch(expanded, name, FNM_NOESCAPE) == 0;
}

/*
 * What a name is made of: so many places, each with the letters that may
 * stand there (a literal has one), and perhaps a counter before place `star`.
 */
struct plan {
	char expanded[EXPANDED_MAX + 1];
	char sets[WIRE_NAME_MAX][sizeof(letters)];
	struct place {
		const char *letters;
		unsigned n;
	} places[WIRE_NAME_MAX];
	size_t n_places, star;
	bool has_star;
};

/* 0, or -ENOENT if a name would need more places than there are. */
static int make_plan(struct plan *p, const char *pattern, uid_t uid)
{
	expand(pattern, uid, p->expanded);
	p->n_places = 0;
	p->has_star = false;
	for (const char *e = p->expanded; *e; e += element_length(e)) {
		struct place *place = &p->places[p->n_places];
		char *set = p->sets[p->n_places];

		if (*e == '*') {
			if (!p->has_star)
				p->star = p->n_places;
			p->has_star = true;
			continue;
		}
		if (p->n_places == WIRE_NAME_MAX)
			return -ENOENT;
		*place = (struct place){ e, 1 };
		if (*e == '?' || *e == '[')
			*place = (struct place){
				set, (unsigned)element_letters(e, set) };
		p->n_places++;
	}
	return 0;
}

/*
 * Candidate k: k is written in the places as in those of a number, the last
 * one first, and what is left is the counter.  0, or -ERANGE: no more of them.
 */
static int candidate(const struct plan *p, unsigned k,
		     char ret[WIRE_NAME_MAX + 1])
{
	char name[WIRE_NAME_MAX + 1], number[16] = "";
	size_t len = 0, at = 0;

	for (size_t i = p->n_places; i-- > 0; k /= p->places[i].n)
		name[i] = p->places[i].letters[k % p->places[i].n];
	if (p->has_star)
		len = (size_t)snprintf(number, sizeof(number), "%u", k);
	else if (k > 0)
		return -ERANGE;
	if (p->n_places + len > WIRE_NAME_MAX)
		return -ERANGE;
	if (p->has_star)
		at = p->star;
	memcpy(ret, name, at);
	memcpy(ret + at, number, len);
	memcpy(ret + at + len, name + at, p->n_places - at);
	ret[p->n_places + len] = '\0';
	return 0;
}

/* --- the patterns of others --------------------------------------------- */

/* What a pattern is to one that compares many names. */
#define GLOB_MAX	(2 * WIRE_NAME_MAX + 1)
struct glob {
	struct {
		bool star;
		uint64_t has[2];	/* ASCII */
	} at[GLOB_MAX];
	size_t n;
};

/* False if it has more places than a name. */
static bool glob_make(struct glob *g, const char *expanded)
{
	size_t places = 0;

	g->n = 0;
	for (const char *e = expanded; *e; e += element_length(e)) {
		char set[sizeof(letters)] = { *e, '\0' };

		if (*e == '*' && g->n > 0 && g->at[g->n - 1].star)
			continue;
		if (*e != '*' && places++ == WIRE_NAME_MAX)
			return false;
		g->at[g->n].star = *e == '*';
		g->at[g->n].has[0] = g->at[g->n].has[1] =
			*e == '?' ? UINT64_MAX : 0;
		if (*e == '[')
			element_letters(e, set);
		for (const char *c = set; *e != '?' && *c; c++)
			g->at[g->n].has[*c / 64] |= UINT64_C(1) << *c % 64;
		g->n++;
	}
	return true;
}

/* As fnmatch(3) does, on names that may be. */
static bool glob_matches(const struct glob *g, const char *name)
{
	size_t p = 0, star = GLOB_MAX;
	const char *behind = name;

	while (*name) {
		if (p < g->n && g->at[p].star) {
			star = p++;
			behind = name;
		} else if (p < g->n &&
			   g->at[p].has[*name / 64] >> *name % 64 & 1) {
			p++;
			name++;
		} else if (star < GLOB_MAX) {
			p = star + 1;
			name = ++behind;
		} else {
			return false;
		}
	}
	while (p < g->n && g->at[p].star)
		p++;
	return p == g->n;
}

/* By the letters that both begin with. */
static bool may_meet(const char *a, const char *b)
{
	while (*a && *a == *b && !strchr("*?[", *a)) {
		a++;
		b++;
	}
	return *a == *b || (*a && strchr("*?[", *a)) ||
	       (*b && strchr("*?[", *b));
}

int others_add(struct others *others, const char *pattern, uid_t uid,
	       const char *chosen)
{
	char own[EXPANDED_MAX + 1], other[EXPANDED_MAX + 1];
	size_t room = others->room ? 2 * others->room : 8;
	struct glob *more;

	expand(pattern, uid, other);
	expand(chosen, uid, own);
	if (!may_meet(own, other))
		return 0;
	if (others->n == POLICY_NAME_OTHERS)
		return -E2BIG;
	if (others->n == others->room) {
		more = sys_reallocarray(others->globs, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		others->globs = more;
		others->room = room;
	}
	others->n += glob_make(&others->globs[others->n], other);
	return 0;
}

void others_free(struct others *others)
{
	free(others->globs);
	*others = OTHERS_NONE;
}

/* work: comparisons that are left. */
static bool is_others(const struct others *others, const char *name,
		      unsigned *work)
{
	for (size_t i = 0; i < others->n && *work > 0; i++, --*work)
		if (glob_matches(&others->globs[i], name))
			return true;
	return false;
}

int pattern_choose(const char *pattern, uid_t uid, const struct others *others,
		   bool (*taken)(void *arg, const char *name), void *arg,
		   char ret[WIRE_NAME_MAX + 1])
{
	char name[WIRE_NAME_MAX + 1];
	unsigned work = POLICY_NAME_MATCHES;
	struct plan plan;
	bool any = false, any_taken = false;
	int r = make_plan(&plan, pattern, uid);

	for (unsigned k = 0; r == 0 && k < POLICY_NAME_TRIES && work > 0; k++) {
		if (candidate(&plan, k, name) < 0)
			break;
		if (name_fault(name))
			continue;
		any = true;
		if (is_others(others, name, &work))
			continue;
		/* Not sure of, with no work left. */
		if (work > 0 && !taken(arg, name)) {
			memcpy(ret, name, strlen(name) + 1);
			return 0;
		}
		any_taken = true;
	}
	if (!any)
		return -ENOENT;
	return any_taken ? -EEXIST : -EPERM;
}
