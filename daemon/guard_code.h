/*
 * Instructions of classic BPF, written from the last to the first: jumps go
 * forward only, so that where they go is known by then.
 *
 * A place is one of enum guard_end, or what a function below has returned: an
 * instruction, and all that follows from it.
 */
#ifndef TUNTAPD_GUARD_CODE_H
#define TUNTAPD_GUARD_CODE_H

#include "guard_set.h"

enum guard_size { GUARD_BYTE, GUARD_HALF, GUARD_WORD };
enum guard_test {
	GUARD_EQUAL,
	GUARD_AT_LEAST,			/* unsigned */
	GUARD_ANY_BIT
};

struct guard_code {
	struct guard_insn *insns;	/* cap of them, the last n written */
	size_t cap, n;
	bool full;			/* there should have been more */
	size_t ends[GUARD_ENDS];	/* the nearest instruction for each */
};

/*
 * With dropping and accepting defined.  A cap over GUARD_INSNS_MAX is that.
 * 0; -E2BIG if it is 0; -ENOMEM.
 */
int guard_code_init(struct guard_code *c, size_t cap);
void guard_code_free(struct guard_code *c);	/* a zeroed one is fine */

/* What the end means.  Not before this may it be a place to go to. */
void guard_code_define(struct guard_code *c, enum guard_end end, size_t place);

/* Loads from offset, then goes on at next. */
size_t guard_code_load(struct guard_code *c, enum guard_size size, int offset,
		       size_t next);
/* Compares what was loaded with k. */
size_t guard_code_if(struct guard_code *c, enum guard_test test, uint32_t k,
		     size_t yes, size_t no);

/*
 * The program that begins at place: how many instructions were written to ret,
 * or -E2BIG.
 */
int guard_code_take(struct guard_code *c, size_t place, struct guard_insn *ret);

#endif
