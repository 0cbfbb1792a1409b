#include "supervise.h"

#include <sys/prctl.h>
#include <sys/resource.h>

bool sent_by_process(const siginfo_t *info)
{
	return info->si_code == SI_USER || info->si_code == SI_QUEUE ||
	       info->si_code == SI_TKILL;
}

void dump_no_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	/* where core dumps go to a program the limit is not looked at */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
