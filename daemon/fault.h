/*
 * A fault hook for tests, at the seam between the daemon and the kernel: each
 * ioctl and each netlink message of an open is a step, and the test build can
 * make the k-th of them fail.  The product has no hook.
 */
#ifndef TUNTAPD_FAULT_H
#define TUNTAPD_FAULT_H

#include <stdbool.h>

#ifdef TUNTAPD_FAULT
/*
 * Counts a step, traces it on stderr ("fault: step 3 TUNSETOWNER"), and says
 * whether it is the one that $TUNTAPD_FAULT names: then the caller makes it
 * fail.  Steps are counted from 1, over the life of the process.
 */
bool fault_here(const char *step);
#else
static inline bool fault_here(const char *step)
{
	(void)step;
	return false;
}
#endif

#endif
