#include "fault.h"

#ifdef TUNTAPD_FAULT
#include <stdio.h>
#include <stdlib.h>

static unsigned long steps;

bool fault_here(const char *step)
{
	const char *k = getenv("TUNTAPD_FAULT");

	steps++;
	fprintf(stderr, "fault: step %lu %s\n", steps, step);
	return k && strtoul(k, NULL, 10) == steps;
}
#else
typedef int fault_unused;
#endif
