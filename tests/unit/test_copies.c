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
#include "../../daemon/limits.h"
#include "../../daemon/os.h"

#define UID	1000
#define A_LOOK_MS	150		/* more than it takes until one */

static struct server server;
static struct lease lease;
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
	/* Which is about to end. */
	lease = (struct lease){ .uid = UID, .pid = 77, .name = "utun7",
				.id = "0123456789abcdef0123456789abcdef" };
	ck_assert_int_eq(registry_connect(&server.registry, UID), 0);
	registry_reserve(&server.registry, &lease);
	registry_disconnect(&server.registry, UID);
	registry_gone(&server.registry, &lease);
}

/* Its holder is away; what he left counts all the same. */
static void lease_ends(void)
{
	registry_remove(&server.registry, &lease);
	lease.uid = 0;
}

static void end(void)
{
	copies_stop();
	if (lease.uid)
		lease_ends();
	ck_assert_ptr_null(server.registry.accounts);
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
	copies_keep(fd, &lease);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* As no connection, and no device of a lease. */
static void counts(unsigned copies)
{
	ck_assert_uint_eq(registry_copies(&server.registry, UID), copies);
	ck_assert_uint_eq(server.registry.n_copies, copies);
	ck_assert_uint_eq(registry_devices(&server.registry, UID), 0);
	ck_assert_uint_eq(server.registry.n_devices, 0);
	ck_assert_uint_eq(registry_connections(&server.registry, UID), 0);
	ck_assert_uint_eq(server.registry.n_connections, 0);
}

START_TEST(what_nobody_else_has_is_gone)
{
	int fd;

	shared = 0;
	fd = keep_one();
	ck_assert(!is_open(fd));
	counts(0);
}
END_TEST

START_TEST(what_somebody_keeps_counts_until_he_closes_it)
{
	int first, second;

	shared = 1;
	first = keep_one();
	second = keep_one();
	lease_ends();
	ck_assert(is_open(first) && is_open(second));
	counts(2);
	look();
	look();
	counts(2);
	shared = 0;
	look();
	ck_assert(!is_open(first) && !is_open(second));
	counts(0);
}
END_TEST

START_TEST(of_what_cannot_be_asked_nobody_pays)
{
	int fd;

	shared = -EPERM;
	fd = keep_one();
	ck_assert(!is_open(fd));
	counts(0);
	shared = 1;
	fd = keep_one();
	shared = -EPERM;
	look();
	ck_assert(!is_open(fd));
	counts(0);
}
END_TEST

START_TEST(so_many_are_kept_as_there_may_be_connections)
{
	unsigned *const most[] = { &limits.connections,
				   &limits.connections_uid };
	const unsigned was = *most[_i];
	int first, second;

	shared = 1;
	*most[_i] = 1;
	first = keep_one();
	second = keep_one();
	*most[_i] = was;
	ck_assert(is_open(first) && !is_open(second));
	counts(1);
}
END_TEST

START_TEST(at_the_end_all_are_closed)
{
	int fd;

	shared = 1;
	fd = keep_one();
	copies_stop();
	ck_assert(!is_open(fd));
	counts(0);
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
	tcase_add_loop_test(t, so_many_are_kept_as_there_may_be_connections,
			    0, 2);
	tcase_add_test(t, at_the_end_all_are_closed);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
