#include "fault.h"

#ifdef TUNTAPD_FAULT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SUCH_KIND "no-such-kind"

/* Counts the file's first number down by one.  Is it the time? */
static bool count_down(const char *path)
{
	char others[64] = "";
	unsigned long left = 0;
	FILE *f = fopen(path, "r+");

	if (!f)
		return false;
	if (fscanf(f, "%lu", &left) == 1) {
		if (!fgets(others, sizeof(others), f))
			others[0] = '\0';
		fclose(f);
		f = fopen(path, "w");
		if (f && left > 1)
			fprintf(f, "%lu", left - 1);
		if (f)
			fputs(others, f);
	}
	if (f)
		fclose(f);
	return left == 1;
}

bool fault_here(const char *step)
{
	static unsigned long steps;
	const char *path = getenv("TUNTAPD_FAULT");

	fprintf(stderr, "fault: step %lu %s\n", ++steps, step);
	return path && count_down(path);
}

const char *fault_kind(const char *kind)
{
	const char *lacks = getenv("TUNTAPD_FAULT_LACKS");

	return lacks && strcmp(lacks, kind) == 0 ? NO_SUCH_KIND : kind;
}
#else
typedef int fault_unused;
#endif
