#include "fault.h"

#ifdef TUNTAPD_FAULT
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBERS_MAX 64		/* bytes */
#define WAIT "wait "
#define NO_SUCH_KIND "no-such-kind"

static int file = -1, shared = -1;

void fault_start(void)
{
	const char *path = getenv("TUNTAPD_FAULT");

	if (path)
		file = open(path, O_RDWR | O_CLOEXEC);
	path = getenv("TUNTAPD_SHARED");
	if (path)
		shared = open(path, O_RDONLY | O_CLOEXEC);
}

static void write_numbers(const char *numbers)
{
	size_t len = strlen(numbers);

	if (ftruncate(file, 0) < 0 ||
	    pwrite(file, numbers, len, 0) != (ssize_t)len)
		perror("fault");
}

/* Counts the file's first number down by one.  Is it the time? */
static bool count_down(void)
{
	char numbers[NUMBERS_MAX], left_text[2 * NUMBERS_MAX], *others;
	ssize_t n = pread(file, numbers, sizeof(numbers) - 1, 0);
	unsigned long left;

	if (n <= 0)
		return false;
	numbers[n] = '\0';
	left = strtoul(numbers, &others, 10);
	if (others == numbers)
		return false;
	if (left > 1)
		snprintf(left_text, sizeof(left_text), "%lu%s", left - 1,
			 others);
	write_numbers(left > 1 ? left_text : others);
	return left == 1;
}

/* Is the file's first word "wait", and its second one this? */
static bool is_waited_for(const char *numbers, const char *step)
{
	size_t len = strlen(WAIT);

	return strncmp(numbers, WAIT, len) == 0 &&
	       strncmp(numbers + len, step, strlen(step)) == 0 &&
	       numbers[len + strlen(step)] == ' ';
}

/* No call but pread(2): the filter allows no other here. */
static void wait_for_other_words(const char *step)
{
	char first[NUMBERS_MAX] = "", now[NUMBERS_MAX];

	if (pread(file, first, sizeof(first) - 1, 0) <= 0 ||
	    !is_waited_for(first, step))
		return;
	do {
		memset(now, 0, sizeof(now));
	} while (pread(file, now, sizeof(now) - 1, 0) >= 0 &&
		 strcmp(now, first) == 0);
}

bool fault_here(const char *step)
{
	static unsigned long steps;

	fprintf(stderr, "fault: step %lu %s\n", ++steps, step);
	wait_for_other_words(step);
	return count_down();
}

const char *fault_kind(const char *kind)
{
	const char *lacks = getenv("TUNTAPD_FAULT_LACKS");

	return lacks && strcmp(lacks, kind) == 0 ? NO_SUCH_KIND : kind;
}

bool fault_old_kernel(void)
{
	return getenv("TUNTAPD_TAKES_FDS") != NULL;
}

int fault_copy(int fd)
{
	return shared < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int fault_is_shared(void)
{
	char is = '0';

	if (shared < 0 || pread(shared, &is, 1, 0) != 1)
		return -1;
	return is == '1';
}
#else
typedef int fault_unused;
#endif
