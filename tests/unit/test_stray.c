/*
 * What comes with a mark of ours is deleted if it is nobody's.  A fake of the
 * mirror and the worker; the real ones are run by live tests.
 */
#include <errno.h>
#include <string.h>

#include <check.h>
#include <event2/event.h>

#include "../../daemon/lease.h"
#include "../../daemon/limits.h"
#include "../../daemon/mirror.h"
#include "../../daemon/stray.h"

#define MARK "tuntapd:1:00112233445566778899aabbccddeeff:7:1"

static struct server server;
static struct os_link link_now;		/* as the mirror has it */
static struct worker_job *job;		/* the last */
static unsigned n_jobs;

int mirror_update(void)
{
	return 0;
}

const struct os_link *mirror_link(unsigned ifindex)
{
	return link_now.ifindex == ifindex ? &link_now : NULL;
}

void worker_do(struct worker_job *j)
{
	job = j;
	n_jobs++;
}

static void begin(void)
{
	server.base = event_base_new();
	link_now = (struct os_link){ .ifindex = 5, .name = "tt0",
				     .alias = MARK, .layer = WIRE_TUN };
}

static void end(void)
{
	stray_stop();
	event_base_free(server.base);
	libevent_global_shutdown();
}

static void turn(void)
{
	event_base_loop(server.base, EVLOOP_NONBLOCK);
}

static void done(int result)
{
	job->result = result;
	job->done(job);
}

START_TEST(a_stray_is_deleted)
{
	begin();
	stray_came(&link_now, &server);
	ck_assert_uint_eq(n_jobs, 0);	/* never while the mirror speaks */
	turn();
	ck_assert_uint_eq(n_jobs, 1);
	ck_assert_uint_eq(job->ifindex, 5);
	ck_assert_str_eq(job->alias, MARK);
	ck_assert_uint_eq(job->n_fds, 0);
	ck_assert(job->doomed);
	done(-EBUSY);
	turn();
	ck_assert_uint_eq(n_jobs, 1);
	/* Nothing else is there to wait for. */
	event_base_loop(server.base, EVLOOP_ONCE);
	ck_assert_uint_eq(n_jobs, 2);
	done(_i ? -EPERM : 0);
	ck_assert_int_eq(event_base_loop(server.base, 0), 1);
	ck_assert_uint_eq(n_jobs, 2);
	end();
}
END_TEST

/* A device that is being made is in the registry a little later. */
START_TEST(what_has_a_lease_is_no_stray)
{
	struct lease lease = { .uid = 7 };

	begin();
	registry_connect(&server.registry, 7);
	registry_reserve(&server.registry, &lease);
	stray_came(&link_now, &server);
	registry_commit(&server.registry, &lease, 5);
	turn();
	ck_assert_uint_eq(n_jobs, 0);
	registry_remove(&server.registry, &lease);
	registry_disconnect(&server.registry, 7);
	end();
}
END_TEST

static const struct {
	const char *alias;		/* as it comes, */
	uint8_t layer;
	const char *then;		/* and a moment later; NULL: gone */
} others[] = {
	{ "", WIRE_TUN, MARK },
	{ "other", WIRE_TAP, MARK },
	{ "other", WIRE_TAP, "other" },
	{ MARK, 0, MARK },
	{ MARK, WIRE_TUN, "other" },
	{ MARK, WIRE_TUN, NULL },
};

START_TEST(what_is_others_is_no_stray)
{
	begin();
	strcpy(link_now.alias, others[_i].alias);
	link_now.layer = others[_i].layer;
	stray_came(&link_now, &server);
	strcpy(link_now.alias, others[_i].then ? others[_i].then : "");
	if (!others[_i].then)
		link_now.ifindex = 0;
	turn();
	ck_assert_uint_eq(n_jobs, 0);
	end();
}
END_TEST

/* Whatever becomes of it: valgrind and ASan say what is left. */
START_TEST(strays_are_forgotten)
{
	begin();
	stray_came(&link_now, &server);
	link_now.ifindex = 6;
	stray_came(&link_now, &server);
	turn();
	ck_assert_uint_eq(n_jobs, 1);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stray");
	TCase *t = tcase_create("stray");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, a_stray_is_deleted, 0, 2);
	tcase_add_test(t, what_has_a_lease_is_no_stray);
	tcase_add_loop_test(t, what_is_others_is_no_stray, 0,
			    sizeof(others) / sizeof(*others));
	tcase_add_test(t, strays_are_forgotten);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
