/*
 * The rings where the kernel says no: syscall(2) is ours here.  It fails as it is
 * told, or takes fewer requests than it is given; else it is the kernel.  They
 * read and write a socket, which knows RWF_NOWAIT since Linux 6.5.
 */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../libclient/ring.h"
#include "../rings.h"

#define MANY	5

static unsigned well;		/* calls of io_uring_enter(2) until */
static unsigned failures;	/* so many fail, */
static int failure;		/* with this errno. */
static unsigned most;		/* requests that a call takes; 0: all */
static unsigned calls;

long syscall(long number, ...)
{
	/* The C library's own. */
	long (*kernel)(long, ...) =
		(long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_uring_setup && failure == ENOSYS) {
		errno = failure;
		return -1;
	}
	if (number == SYS_io_uring_enter) {
		calls++;
		if (well > 0) {
			well--;
		} else if (failures > 0) {
			failures--;
			errno = failure;
			return -1;
		}
		if (most && a[1] > (long)most) {
			a[1] = (long)most;
			a[3] = 0;	/* then it does not wait */
		}
	}
	return kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static struct ring *ring;
static int ends[2];		/* of a socket: packets keep their bounds */
static uint8_t bytes[MANY][16];
static struct ttd_packet packets[MANY];

static bool begin(const char *test)
{
	int error;

	well = failures = most = 0;
	failure = 0;
	if (!have_rings(test, false))
		return false;
	ring = ring_new(&error);
	ck_assert(ring);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK |
				    SOCK_CLOEXEC, 0, ends), 0);
	return true;
}

/* Writes "aaaa" and its likes, from the first'th on.  How many were tried. */
static unsigned writes(unsigned first, unsigned n, int *ret_error)
{
	for (unsigned i = 0; i < n; i++) {
		memset(bytes[i], 'a' + (int)(first + i), sizeof(bytes[i]));
		packets[i] = (struct ttd_packet){ .data = bytes[i], .len = 4 };
	}
	calls = 0;
	return ring_write(ring, ends[0], packets, n, ret_error);
}

static void end(void)
{
	ring_free(ring);
	close(ends[0]);
	close(ends[1]);
}

/* What came, a letter for each packet. */
static void came(const char *letters)
{
	for (const char *c = letters; *c; c++) {
		char got[16];

		ck_assert_int_eq(read(ends[1], got, sizeof(got)), 4);
		ck_assert_int_eq(got[0], *c);
	}
	ck_assert_int_eq(read(ends[1], &(char){ 0 }, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void sends(const char *letters)
{
	for (const char *c = letters; *c; c++)
		ck_assert_int_eq(write(ends[1], c, 1), 1);
}

/* Reads up to MANY; what came must be these, each where it says. */
static void reads(const char *letters)
{
	int r = 77, n = (int)strlen(letters);

	for (int i = 0; i < MANY; i++)
		packets[i] = (struct ttd_packet){ .data = bytes[i],
						  .len = sizeof(bytes[i]) };
	ck_assert(ring_read(ring, ends[0], packets, MANY, &r));
	ck_assert_int_eq(r, n > 0 ? n : -EAGAIN);
	for (int i = 0; i < n; i++) {
		ck_assert_uint_eq(packets[i].len, 1);
		ck_assert_int_eq(*(char *)packets[i].data, letters[i]);
	}
}

START_TEST(they_come_and_go_in_order)
{
	int error = 77;

	if (!begin("they_come_and_go_in_order"))
		return;
	ck_assert_uint_eq(writes(0, MANY, &error), MANY);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(calls, 1);
	came("abcde");
	reads("");
	sends("xyz");
	reads("xyz");
	sends("abcdefg");
	reads("abcde");
	reads("fg");
	reads("");
	end();
}
END_TEST

/* Many times around: the ring has 64 places. */
START_TEST(the_ring_goes_round)
{
	int error;

	if (!begin("the_ring_goes_round"))
		return;
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(writes(0, MANY, &error), MANY);
		came("abcde");
		sends("pq");
		reads("pq");
	}
	end();
}
END_TEST

/* A packet that came while the one before it found none leaves no hole. */
START_TEST(no_hole_is_left)
{
	int error, r;

	if (!begin("no_hole_is_left"))
		return;
	/* The middle one's buffer is nowhere: it fails, its neighbours do not. */
	for (int i = 0; i < 3; i++) {
		sends("abc");
		reads("abc");
	}
	sends("abcd");
	packets[0] = (struct ttd_packet){ .data = bytes[0], .len = 1 };
	packets[1] = (struct ttd_packet){ .data = (void *)8, .len = 1 };
	packets[2] = (struct ttd_packet){ .data = bytes[2], .len = 1 };
	ck_assert(ring_read(ring, ends[0], packets, 3, &r));
	ck_assert_int_eq(r, 2);
	ck_assert_ptr_eq(packets[0].data, bytes[0]);
	ck_assert_ptr_eq(packets[1].data, bytes[2]);
	/* Of an fd at its end each one reads nothing, which is no packet. */
	shutdown(ends[1], SHUT_WR);
	ck_assert(ring_read(ring, ends[0], packets, 1, &r));
	ck_assert_int_eq(r, 1);
	ck_assert(ring_read(ring, ends[0], packets, 1, &r));
	ck_assert_int_eq(r, -EIO);
	/* Nobody reads any more: none can be written. */
	close(ends[1]);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_uint_eq(writes(0, 2, &error), 2);
	ck_assert_int_eq(error, -EPIPE);
	end();
}
END_TEST

/* Whatever it is, it is for this time alone. */
START_TEST(a_kernel_that_takes_none)
{
	static const int errors[] = { ENOMEM, EAGAIN, EBUSY, EPERM };
	int error, r;

	if (!begin("a_kernel_that_takes_none"))
		return;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		failure = errors[i];
		failures = 1;
		ck_assert_uint_eq(writes(0, MANY, &error), 0);
		failures = 1;
		ck_assert(!ring_read(ring, ends[0], packets, MANY, &r));
		came("");
		sends("x");
		reads("x");
	}
	end();
}
END_TEST

START_TEST(a_signal_is_no_failure)
{
	int error;

	if (!begin("a_signal_is_no_failure"))
		return;
	failure = EINTR;
	failures = 3;
	ck_assert_uint_eq(writes(0, MANY, &error), MANY);
	came("abcde");
	end();
}
END_TEST

START_TEST(a_kernel_that_takes_some)
{
	int error;

	if (!begin("a_kernel_that_takes_some"))
		return;
	most = 2;
	ck_assert_uint_eq(writes(0, MANY, &error), MANY);
	ck_assert_uint_eq(calls, 3);
	came("abcde");
	sends("vwxyz");
	reads("vwxyz");
	end();
}
END_TEST

/* Those that it took are done, and the others are not, then or later. */
START_TEST(a_kernel_that_takes_no_more)
{
	int error;

	if (!begin("a_kernel_that_takes_no_more"))
		return;
	most = 2;
	well = failures = 1;
	failure = ENOMEM;
	ck_assert_uint_eq(writes(0, MANY, &error), 2);
	ck_assert_int_eq(error, 0);
	came("ab");
	ck_assert_uint_eq(writes(2, 3, &error), 3);
	came("cde");
	end();
}
END_TEST

/* As a tun was before Linux 6.4; what is there is not read by the trial. */
START_TEST(not_every_fd_is_for_a_ring)
{
	int fd;

	if (!begin("not_every_fd_is_for_a_ring"))
		return;
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	ck_assert_int_eq(ring_try(ring, fd), -EOPNOTSUPP);
	sends("x");
	ck_assert_int_eq(ring_try(ring, ends[0]), 0);
	reads("x");
	failures = 1;
	failure = ENOMEM;
	ck_assert_int_eq(ring_try(ring, ends[0]), -ENOMEM);
	close(fd);
	end();
}
END_TEST

START_TEST(no_ring_where_there_is_none)
{
	int error = 0;

	failure = ENOSYS;
	ck_assert_ptr_null(ring_new(&error));
	ck_assert_int_eq(error, -ENOSYS);
	failure = 0;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_add_test(t, they_come_and_go_in_order);
	tcase_add_test(t, the_ring_goes_round);
	tcase_add_test(t, no_hole_is_left);
	tcase_add_test(t, a_kernel_that_takes_none);
	tcase_add_test(t, a_signal_is_no_failure);
	tcase_add_test(t, a_kernel_that_takes_some);
	tcase_add_test(t, a_kernel_that_takes_no_more);
	tcase_add_test(t, not_every_fd_is_for_a_ring);
	tcase_add_test(t, no_ring_where_there_is_none);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
