/*
 * Devices of which somebody keeps an fd, as macOS has them: they count until he
 * closes it.  A fake of what the kernel says of the fd.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include <event2/event.h>

#include "../../daemon/copies.h"
#include "../../daemon/os.h"

#define UID	1000
#define A_LOOK_MS	150		/* more than it takes until one */

static struct server server;
static int shared;			/* what the kernel says */

int os_is_shared(int own)
{
	(void)own;
	return shared;
}

static void begin(void)
{
	server = (struct server){ .base = event_base_new() };
	ck_assert_int_eq(copies_serve(&server), 0);
	/* Whose lease has ended has one for a moment. */
	ck_assert_int_eq(registry_connect(&server.registry, UID), 0);
}

static void end(void)
{
	copies_stop();
	registry_disconnect(&server.registry, UID);
	registry_forget(&server.registry);
	event_base_free(server.base);
	libevent_global_shutdown();
}

static void look(void)
{
	const struct timespec some = { .tv_nsec = A_LOOK_MS * 1000000L };

	nanosleep(&some, NULL);
	event_base_loop(server.base, EVLOOP_NONBLOCK);
}

static int keep_one(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	copies_keep(fd, "utun7", UID);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void counts(unsigned devices, unsigned connections)
{
	ck_assert_uint_eq(registry_devices(&server.registry, UID), devices);
	ck_assert_uint_eq(server.registry.n_devices, devices);
	ck_assert_uint_eq(registry_connections(&server.registry, UID),
			  connections);
}

START_TEST(what_nobody_else_has_is_gone)
{
	int fd;

	shared = 0;
	fd = keep_one();
	ck_assert(!is_open(fd));
	counts(0, 1);
}
END_TEST

START_TEST(what_somebody_keeps_counts_until_he_closes_it)
{
	int first, second;

	shared = 1;
	first = keep_one();
	second = keep_one();
	ck_assert(is_open(first) && is_open(second));
	counts(2, 3);
	look();
	look();
	counts(2, 3);
	shared = 0;
	look();
	ck_assert(!is_open(first) && !is_open(second));
	counts(0, 1);
}
END_TEST

START_TEST(of_what_cannot_be_asked_nobody_pays)
{
	int fd;

	shared = -EPERM;
	fd = keep_one();
	ck_assert(!is_open(fd));
	counts(0, 1);
	shared = 1;
	fd = keep_one();
	shared = -EPERM;
	look();
	ck_assert(!is_open(fd));
	counts(0, 1);
}
END_TEST

START_TEST(at_the_end_all_are_closed)
{
	int fd;

	shared = 1;
	fd = keep_one();
	copies_stop();
	ck_assert(!is_open(fd));
	counts(0, 1);
	ck_assert_int_eq(copies_serve(&server), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("copies");
	TCase *t = tcase_create("copies");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, what_nobody_else_has_is_gone);
	tcase_add_test(t, what_somebody_keeps_counts_until_he_closes_it);
	tcase_add_test(t, of_what_cannot_be_asked_nobody_pays);
	tcase_add_test(t, at_the_end_all_are_closed);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
