/* How soon the watchdog of a service manager hears of the loop. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "../../daemon/notify.h"

#define USEC_A_SECOND	1000000LL
#define USEC_A_MS	1000LL
#define DAY_USEC	(24 * 60 * 60 * USEC_A_SECOND)

static int manager;
static struct event_base *base;
static struct event *timer;		/* or NULL */
static long long every;		/* usec */

/* Of an abstract name, which goes with the test. */
static void begin(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "@tuntapd-notify-%d",
			 (int)getpid());

	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	a.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un,
						   sun_path) + (size_t)n)), 0);
	unsetenv("WATCHDOG_PID");
	base = event_base_new();
	timer = NULL;	/* the base has some of its own */
}

static void end(void)
{
	notify_stop();
	event_base_free(base);
	close(manager);
	libevent_global_shutdown();
}

/* What the daemon asks its loop for. */
int event_add(struct event *e, const struct timeval *tv)
{
	timer = e;
	every = tv->tv_sec * USEC_A_SECOND + tv->tv_usec;
	return 0;
}

static const struct row {
	const char *wanted;
	long long usec;		/* from word to word */
} rows[] = {
	{ "172800000000", DAY_USEC },	/* two days */
	{ "200000", 100 * USEC_A_MS },
	{ "100000", 50 * USEC_A_MS },
	{ "20000", 10 * USEC_A_MS },
	{ "2000", 1 * USEC_A_MS },
	/* More often than the loop can: no reason to do nothing else. */
	{ "1999", 1 * USEC_A_MS },
	{ "1", 1 * USEC_A_MS },
};

START_TEST(it_hears_twice_in_the_time_that_it_gives)
{
	char word[sizeof("WATCHDOG=1")] = "";

	setenv("WATCHDOG_USEC", rows[_i].wanted, 1);
	ck_assert_int_eq(notify_start(base), 0);
	ck_assert_int_eq(every, rows[_i].usec);
	event_active(timer, EV_TIMEOUT, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(recv(manager, word, sizeof(word), MSG_DONTWAIT),
			 (int)strlen("WATCHDOG=1"));
	ck_assert_str_eq(word, "WATCHDOG=1");
}
END_TEST

START_TEST(no_watchdog_hears_nothing)
{
	const char *const none[] = { "0", "", "often" };

	setenv("WATCHDOG_USEC", none[_i], 1);
	ck_assert_int_eq(notify_start(base), 0);
	ck_assert_ptr_null(timer);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_loop_test(t, it_hears_twice_in_the_time_that_it_gives, 0,
			    sizeof(rows) / sizeof(*rows));
	tcase_add_loop_test(t, no_watchdog_hears_nothing, 0, 3);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
