#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define FIRST_ADDRESS	0x0a030001u	/* 10.3.0.1 */
#define FIRST_ROUTE	0x0a800000u	/* 10.128.0.0 */

void control_name(const struct contestant *c, unsigned n,
		  char ret[CONTROL_NAME_MAX])
{
	snprintf(ret, CONTROL_NAME_MAX, "%s-%u", c->name, n);
}

uint32_t control_address(unsigned n)
{
	return FIRST_ADDRESS + n;
}

uint32_t control_route(unsigned n)
{
	return FIRST_ROUTE + n;
}

void control_take_all_fds(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) == 0)
			return;
	}
	contestant_fail("RLIMIT_NOFILE: %s", strerror(errno));
}

unsigned control_count(char *const *words, unsigned n)
{
	if (n != 1)
		contestant_fail("\"run N\" is understood");
	return (unsigned)contestant_number(words[0]);
}
