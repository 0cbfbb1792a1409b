#include "passed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"

#define PASSED_FIRST	3		/* SD_LISTEN_FDS_START */

/* The i-th of the names in LISTEN_FDNAMES ("a:b:c") is `name`. */
static bool has_name(const char *names, unsigned i, const char *name)
{
	while (i-- > 0) {
		names = strchr(names, ':');
		if (!names)
			return false;
		names++;
	}
	return strcspn(names, ":") == strlen(name) &&
	       strncmp(names, name, strlen(name)) == 0;
}

bool passed_any(void)
{
	const char *pid = getenv("LISTEN_PID");

	return pid && strtoul(pid, NULL, 10) == (unsigned long)getpid();
}

static unsigned count(void)
{
	const char *fds = passed_any() ? getenv("LISTEN_FDS") : NULL;

	return fds ? (unsigned)strtoul(fds, NULL, 10) : 0;
}

void passed_close_others(unsigned most)
{
	unsigned n = count();

	if (n <= most)
		os_close_from(PASSED_FIRST + (int)n);
}

int passed_take(struct passed *ret, unsigned most)
{
	const char *names = getenv("LISTEN_FDNAMES");
	unsigned n = count();

	if (!passed_any())
		return 0;
	if (n > most)
		n = most;
	for (unsigned i = 0; i < n; i++)
		ret[i] = (struct passed){
			.fd = PASSED_FIRST + (int)i,
			.admin = names ? has_name(names, i, "admin") : i == 1,
		};
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return (int)n;
}
