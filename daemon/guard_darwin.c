/* macOS has nothing that a source guard could be made of. */
#include "guard.h"

#include <errno.h>

int guard_build(const struct guard_spec *spec, struct guard_insn *ret,
		size_t cap)
{
	(void)spec;
	(void)ret;
	(void)cap;
	return -EOPNOTSUPP;
}
