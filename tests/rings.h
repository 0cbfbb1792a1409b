/* For tests of TTD_IO_URING, which not every machine lets them have. */
#ifndef TUNTAPD_TESTS_RINGS_H
#define TUNTAPD_TESTS_RINGS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../libclient/ring.h"

/* False, and said: it is switched off, or not in this kernel. */
static inline bool have_rings(const char *test)
{
	int error = 0;
	struct ring *ring = ring_new(&error);

	ring_free(ring);
	if (ring)
		return true;
	printf("SKIP %s: io_uring cannot be had here: %s\n", test,
	       strerror(-error));
	fflush(stdout);
	return false;
}

#endif
