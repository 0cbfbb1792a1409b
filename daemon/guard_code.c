#include "guard_code.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>

#define SAME(field) \
	(offsetof(struct guard_insn, field) == \
	 offsetof(struct sock_filter, field) && \
	 sizeof(((struct guard_insn *)0)->field) == \
	 sizeof(((struct sock_filter *)0)->field))
static_assert(sizeof(struct guard_insn) == sizeof(struct sock_filter) &&
	      SAME(code) && SAME(jt) && SAME(jf) && SAME(k),
	      "rtnl hands struct guard_insn to the kernel");
static_assert(GUARD_INSNS_MAX == BPF_MAXINSNS, "the kernel's limit");

/* A conditional jump skips at most so many instructions, BPF_JA any number. */
#define SKIP_MAX	UINT8_MAX

#define CODE_RETURN	(BPF_RET | BPF_K)
#define CODE_JUMP	(BPF_JMP | BPF_JA)

static const uint16_t load_codes[] = {
	[GUARD_BYTE] = BPF_LD | BPF_ABS | BPF_B,
	[GUARD_HALF] = BPF_LD | BPF_ABS | BPF_H,
	[GUARD_WORD] = BPF_LD | BPF_ABS | BPF_W,
};

static const uint16_t test_codes[] = {
	[GUARD_EQUAL] = BPF_JMP | BPF_K | BPF_JEQ,
	[GUARD_AT_LEAST] = BPF_JMP | BPF_K | BPF_JGE,
	[GUARD_ANY_BIT] = BPF_JMP | BPF_K | BPF_JSET,
};

/*
 * Instructions are counted from the last, 0; as places they come after the
 * ends.
 */
static size_t place_of(size_t number)
{
	return GUARD_ENDS + number;
}

static size_t number_of(const struct guard_code *c, size_t place)
{
	return place < GUARD_ENDS ? c->ends[place] : place - GUARD_ENDS;
}

static struct guard_insn *insn(const struct guard_code *c, size_t number)
{
	return &c->insns[c->cap - 1 - number];
}

/* How many instructions the next one skips to go there. */
static size_t skip(const struct guard_code *c, size_t number)
{
	return c->n - number - 1;
}

/* Returns the number.  Of a full program the last one, which harms nobody. */
static size_t put(struct guard_code *c, struct guard_insn i)
{
	if (c->n == c->cap) {
		c->full = true;
		return c->n - 1;
	}
	*insn(c, c->n) = i;
	return c->n++;
}

/*
 * An instruction that does what that one does, here: a return is copied, to
 * anything else it jumps.
 */
static size_t put_again(struct guard_code *c, size_t number)
{
	struct guard_insn i = *insn(c, number);

	if (i.code == CODE_JUMP) {
		number -= i.k + 1;
		i = *insn(c, number);
	}
	if (i.code != CODE_RETURN)
		i = (struct guard_insn){
			.code = CODE_JUMP, .k = (uint32_t)skip(c, number),
		};
	return put(c, i);
}

/*
 * The number of an instruction for the place, within reach of the next one and
 * of the one before it.  Who goes to that end after this finds the near one.
 */
static size_t near_by(struct guard_code *c, size_t place)
{
	size_t number = number_of(c, place);

	if (skip(c, number) < SKIP_MAX)
		return number;
	number = put_again(c, number);
	if (place < GUARD_ENDS)
		c->ends[place] = number;
	return number;
}

/* The place is where the program goes on behind the next instruction. */
static void put_next(struct guard_code *c, size_t place)
{
	size_t number = number_of(c, place);

	if (number + 1 == c->n)
		return;
	number = put_again(c, number);
	if (place < GUARD_ENDS)
		c->ends[place] = number;
}

int guard_code_init(struct guard_code *c, size_t cap)
{
	static const struct guard_insn accept = { CODE_RETURN, 0, 0, 1 };
	static const struct guard_insn drop = { CODE_RETURN, 0, 0, 0 };

	*c = (struct guard_code){ 0 };
	if (cap == 0)
		return -E2BIG;
	c->cap = cap < GUARD_INSNS_MAX ? cap : GUARD_INSNS_MAX;
	c->insns = calloc(c->cap, sizeof(*c->insns));
	if (!c->insns)
		return -ENOMEM;
	c->ends[GUARD_END_DROP] = put(c, drop);
	c->ends[GUARD_END_ACCEPT] = put(c, accept);
	return 0;
}

void guard_code_free(struct guard_code *c)
{
	free(c->insns);
	*c = (struct guard_code){ 0 };
}

void guard_code_define(struct guard_code *c, enum guard_end end, size_t place)
{
	c->ends[end] = number_of(c, place);
}

size_t guard_code_load(struct guard_code *c, enum guard_size size, int offset,
		       size_t next)
{
	/* A load that fails drops too. */
	if (next == GUARD_END_DROP)
		return next;
	put_next(c, next);
	return place_of(put(c, (struct guard_insn){
		.code = load_codes[size], .k = (uint32_t)offset,
	}));
}

size_t guard_code_if(struct guard_code *c, enum guard_test test, uint32_t k,
		     size_t yes, size_t no)
{
	size_t to_yes, to_no;

	if (yes == no)
		return yes;
	to_yes = near_by(c, yes);
	to_no = near_by(c, no);
	return place_of(put(c, (struct guard_insn){
		.code = test_codes[test], .k = k,
		.jt = (uint8_t)skip(c, to_yes), .jf = (uint8_t)skip(c, to_no),
	}));
}

int guard_code_take(struct guard_code *c, size_t place, struct guard_insn *ret)
{
	put_next(c, place);
	if (c->full)
		return -E2BIG;
	memcpy(ret, insn(c, c->n - 1), c->n * sizeof(*ret));
	return (int)c->n;
}
