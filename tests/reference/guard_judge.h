/*
 * What the source guard must do, a second time and plainly: which packets come
 * in by the words of daemon/guard.h, and what the kernel does with a program.
 */
#ifndef TUNTAPD_TESTS_GUARD_JUDGE_H
#define TUNTAPD_TESTS_GUARD_JUDGE_H

#include "../../daemon/guard.h"
#include "guard_packet.h"

/*
 * An IPv6 packet that ends within its source does not come in, for this one;
 * the program may let it in if what is there of the source suffices.
 */
bool judge_comes_in(const struct guard_spec *spec, const struct packet *p);

struct judge_run {
	bool accepts;
	unsigned steps;			/* instructions */
	unsigned loads;			/* of bytes of the packet */
	const char *wrong;		/* no program that we would write */
};

struct judge_run judge_run(const struct guard_insn *program, size_t n,
			   const struct packet *p);

#endif
