/* The keys and the kinds of their values.  For values.c and keys.c. */
#ifndef TUNTAPD_POLICY_KEYS_H
#define TUNTAPD_POLICY_KEYS_H

#include <stdio.h>

#include "rules.h"

struct key_row;

struct value {
	/* text may be written in; 0 or -errno with the fault */
	int (*read)(struct reading *rd, const struct key_row *row, char *text);
	/* as it would stand in a file; nothing for an empty list */
	void (*write)(const void *value, const struct key_row *row, FILE *out);
	void (*free)(void *value);	/* NULL: it owns nothing */
	bool list;			/* read is called for each entry */
};

struct key_row {
	const char *name;
	const struct value *value;
	size_t at;		/* of the member in its section's struct */
	uint32_t min, max;	/* of numbers and ranges */
	const char *yes, *no;	/* the two words of a bool */
	const char *absent;	/* what that means, if no value says it */
};

extern const struct value value_number, value_range, value_word, value_kind,
	value_user, value_group, value_pattern, value_prefix, value_source;

#endif
