/* For tests of TTD_IO_URING, which not every machine lets them have. */
#ifndef TUNTAPD_TESTS_RINGS_H
#define TUNTAPD_TESTS_RINGS_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../libclient/ring.h"

/*
 * Why not: it is not here or switched off; or a tun cannot (before Linux 6.4), or
 * a socket (before 6.5).  0: it can.
 */
static inline int why_no_rings(bool tun)
{
	int error = 0, fd;
	struct ring *ring = ring_new(&error);

	if (ring) {
		fd = tun ? open("/dev/net/tun", O_RDWR | O_CLOEXEC) :
		     socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		error = fd < 0 ? -errno : ring_try(ring, fd);
		close(fd);
	}
	ring_free(ring);
	return error;
}

/* False, and said. */
static inline bool have_rings(const char *test, bool tun)
{
	int error = why_no_rings(tun);

	if (error == 0)
		return true;
	printf("SKIP %s: no io_uring for it here (Linux 6.5): %s\n",
	       test, strerror(-error));
	fflush(stdout);
	return false;
}

/*
 * Begins a test of a tun or tap, and the same with rings.  That one has a name
 * of its own: where there are no rings it is skipped, and the other one has run.
 * `flags`, which the file has, are those of the options.
 */
#define START_TEST_AND_WITH_RINGS(test)					\
	static void test##_by_flags(int _i);				\
	START_TEST(test)						\
	{								\
		flags = 0;						\
		test##_by_flags(_i);					\
	}								\
	END_TEST							\
	START_TEST(test##_with_rings)					\
	{								\
		flags = TTD_IO_URING;					\
		if (have_rings(#test "_with_rings", true))		\
			test##_by_flags(_i);				\
	}								\
	END_TEST							\
	static void test##_by_flags(int _i CK_ATTRIBUTE_UNUSED)

/* Both of them, so many rounds each. */
#define add_test_and_with_rings(tcase, test, rounds) do {		\
	tcase_add_loop_test(tcase, test, 0, rounds);			\
	tcase_add_loop_test(tcase, test##_with_rings, 0, rounds);	\
} while (0)

#endif
