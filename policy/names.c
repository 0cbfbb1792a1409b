#include "names.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

int pattern_choose(const char *pattern, uid_t uid,
		   bool (*fits)(void *arg, const char *name), void *arg,
		   char ret[WIRE_NAME_MAX + 1])
{
	char name[WIRE_NAME_MAX + 1];
	struct plan plan;
	bool any = false;
	int r = make_plan(&plan, pattern, uid);

	for (unsigned k = 0; r == 0 && k < POLICY_NAME_TRIES; k++) {
		if (candidate(&plan, k, name) < 0)
			break;
		if (name_fault(name))
			continue;
		any = true;
		if (fits(arg, name)) {
			memcpy(ret, name, strlen(name) + 1);
			return 0;
		}
	}
	return any ? -EEXIST : -ENOENT;
}
