/*
 * Devices in memory, the table of functions, and wires: all that works without
 * a daemon.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../libclient/tuntapd.h"

#define SWAPS		300

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };

/* What a handler or a sink has got. */
struct sink {
	atomic_int n;
	uint8_t last[64];
	size_t len;
	int result;
};

static int take(void *arg, void *buf, size_t len)
{
	struct sink *s = arg;

	s->n++;
	s->len = len;
	memcpy(s->last, buf, len < sizeof(s->last) ? len : sizeof(s->last));
	return s->result;
}

static struct ttd_pipe *new_pipe(uint32_t layer, struct sink *sink)
{
	struct ttd_pipe *pipe = NULL;

	ck_assert_int_eq(ttd_pipe_new(layer, layer == TTD_TAP ? mac : NULL,
				      sink ? take : NULL, sink, &pipe), 0);
	return pipe;
}

START_TEST(a_pipe_has_two_ends)
{
	struct sink out = { .n = 0 }, in = { .n = 0, .result = -7 };
	struct ttd_pipe *pipe = new_pipe(TTD_TUN, &out);
	struct ttd_netdev d = ttd_pipe_netdev(pipe);
	uint8_t p[] = "packet";

	ck_assert_uint_eq(d.ops->layer, TTD_TUN);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, sizeof(p)), -EAGAIN);
	ck_assert_int_eq(ttd_netdev_set_handler(d, take, &in), 0);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, sizeof(p)), -7);
	ck_assert_int_eq(in.n, 1);
	ck_assert_uint_eq(in.len, sizeof(p));
	ck_assert_str_eq((char *)in.last, "packet");
	ck_assert_int_eq(out.n, 0);
	ck_assert_int_eq(ttd_netdev_send(d, p, sizeof(p)), 0);
	ck_assert_int_eq(out.n, 1);
	ck_assert_int_eq(in.n, 1);
	ck_assert_int_eq(ttd_netdev_set_handler(d, NULL, NULL), 0);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, sizeof(p)), -EAGAIN);
	ck_assert_int_eq(ttd_netdev_close(d), 0);
	ck_assert_int_eq(ttd_netdev_close(d), 0);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, sizeof(p)), -ESHUTDOWN);
	ck_assert_int_eq(ttd_netdev_send(d, p, sizeof(p)), -ESHUTDOWN);
	ck_assert_int_eq(ttd_netdev_set_handler(d, take, &in), -ESHUTDOWN);
	ttd_pipe_free(pipe);
	ttd_pipe_free(NULL);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct ttd_pipe *pipe = NULL;
	uint8_t p[8] = { 0 };

	ck_assert_int_eq(ttd_pipe_new(1, NULL, NULL, NULL, &pipe), -EINVAL);
	ck_assert_int_eq(ttd_pipe_new(TTD_TUN, mac, NULL, NULL, &pipe),
			 -EINVAL);
	ck_assert_int_eq(ttd_pipe_new(TTD_TUN, NULL, NULL, NULL, NULL),
			 -EINVAL);
	ck_assert_ptr_null(pipe);
	pipe = new_pipe(TTD_TAP, NULL);
	ck_assert_int_eq(ttd_pipe_inject(NULL, p, 8), -EINVAL);
	ck_assert_int_eq(ttd_pipe_inject(pipe, NULL, 8), -EINVAL);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, 0), -EINVAL);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, 1 << 20), -EMSGSIZE);
	/* Nobody wants it: it is dropped. */
	ck_assert_int_eq(ttd_netdev_send(ttd_pipe_netdev(pipe), p, 8), 0);
	ttd_pipe_free(pipe);
}
END_TEST

/* As long as what a device of that layer takes, and not a byte longer. */
START_TEST(the_longest_packet_goes_through)
{
	static const struct {
		uint32_t layer;
		size_t max;
	} limits[] = { { TTD_TUN, 65535 }, { TTD_TAP, 65535 + 14 + 8 } };
	struct sink in = { .n = 0 }, out = { .n = 0 };
	struct ttd_pipe *pipe = new_pipe(limits[_i].layer, &out);
	struct ttd_netdev d = ttd_pipe_netdev(pipe);
	size_t max = limits[_i].max;
	uint8_t *p = calloc(1, max + 1);

	ck_assert_int_eq(ttd_netdev_set_handler(d, take, &in), 0);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, max), 0);
	ck_assert_int_eq(ttd_netdev_send(d, p, max), 0);
	ck_assert_uint_eq(in.len, max);
	ck_assert_uint_eq(out.len, max);
	ck_assert_int_eq(ttd_pipe_inject(pipe, p, max + 1), -EMSGSIZE);
	ck_assert_int_eq(ttd_netdev_send(d, p, max + 1), -EMSGSIZE);
	ck_assert_int_eq(in.n, 1);
	ck_assert_int_eq(out.n, 1);
	free(p);
	ttd_pipe_free(pipe);
}
END_TEST

START_TEST(a_table_may_be_older_or_half_empty)
{
	const struct ttd_netdev_ops none = { .size = sizeof(none) };
	const struct ttd_netdev_ops old = {
		.size = offsetof(struct ttd_netdev_ops, close),
		.close = (int (*)(void *))(uintptr_t)1,	/* not looked at */
	};
	struct ttd_netdev d = { &none, NULL }, o = { &old, NULL }, n = { 0 };
	struct ttd_prefix p = { .family = 4 };
	uint8_t m[6];

	ck_assert_int_eq(ttd_netdev_close(d), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_close(o), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_close(n), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_send(d, m, 6), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_set_handler(d, take, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_hwaddr(d, m), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_addr(n, &p), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_set_addr(d, &p), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_netdev_addr(d, NULL), -EINVAL);
	ck_assert_int_eq(ttd_netdev_set_addr(d, NULL), -EINVAL);
	ck_assert_int_eq(ttd_netdev_hwaddr(d, NULL), -EINVAL);
	ck_assert_ptr_null(ttd_netdev(NULL).ops);
	ck_assert_ptr_null(ttd_pipe_netdev(NULL).ops);
}
END_TEST

START_TEST(a_pipe_remembers_its_addresses)
{
	struct ttd_pipe *pipe = new_pipe(TTD_TAP, NULL);
	struct ttd_pipe *bare = NULL;
	struct ttd_netdev d = ttd_pipe_netdev(pipe);
	struct ttd_prefix p, got;
	uint8_t m[6];

	ck_assert_int_eq(ttd_netdev_hwaddr(d, m), 0);
	ck_assert_int_eq(memcmp(m, mac, 6), 0);
	ck_assert_int_eq(ttd_netdev_addr(d, &got), -EADDRNOTAVAIL);
	ck_assert_int_eq(ttd_prefix_parse("10.0.0.1/24", &p), 0);
	ck_assert_int_eq(ttd_netdev_set_addr(d, &p), 0);
	ck_assert_int_eq(ttd_netdev_addr(d, &got), 0);
	ck_assert_int_eq(memcmp(&got, &p, sizeof(p)), 0);
	p.len = 33;
	ck_assert_int_eq(ttd_netdev_set_addr(d, &p), -EINVAL);
	ttd_pipe_free(pipe);
	ck_assert_int_eq(ttd_pipe_new(TTD_TAP, NULL, NULL, NULL, &bare), 0);
	ck_assert_int_eq(ttd_netdev_hwaddr(ttd_pipe_netdev(bare), m),
			 -EOPNOTSUPP);
	ttd_pipe_free(bare);
}
END_TEST

START_TEST(connect_wires_both_ways)
{
	struct sink sa = { .n = 0 }, sb = { .n = 0 };
	struct ttd_pipe *a = new_pipe(TTD_TUN, &sa), *b = new_pipe(TTD_TUN, &sb);
	struct ttd_netdev da = ttd_pipe_netdev(a), db = ttd_pipe_netdev(b);
	uint8_t p[4] = { 1 };

	ck_assert_int_eq(ttd_connect(da, db), 0);
	ck_assert_int_eq(ttd_pipe_inject(a, p, 4), 0);
	ck_assert_int_eq(sb.n, 1);
	ck_assert_int_eq(sa.n, 0);
	ck_assert_int_eq(ttd_pipe_inject(b, p, 3), 0);
	ck_assert_int_eq(sa.n, 1);
	ck_assert_uint_eq(sa.len, 3);
	ck_assert_int_eq(ttd_netdev_set_handler(da, NULL, NULL), 0);
	ck_assert_int_eq(ttd_netdev_set_handler(db, NULL, NULL), 0);
	ttd_pipe_free(a);
	ttd_pipe_free(b);
}
END_TEST

static int no_handler(void *self, ttd_handler *handler, void *arg)
{
	(void)self;
	(void)arg;
	return handler ? -EPERM : 0;
}

static int no_send(void *self, const void *buf, size_t len)
{
	(void)self;
	(void)buf;
	(void)len;
	return 0;
}

START_TEST(connect_wires_nothing_or_all)
{
	const struct ttd_netdev_ops stubborn = {
		.size = sizeof(stubborn), .layer = TTD_TUN,
		.set_handler = no_handler, .send = no_send,
	};
	struct ttd_pipe *tun = new_pipe(TTD_TUN, NULL);
	struct ttd_pipe *tap = new_pipe(TTD_TAP, NULL);
	struct ttd_netdev d = ttd_pipe_netdev(tun), s = { &stubborn, NULL };
	uint8_t p[4] = { 1 };

	ck_assert_int_eq(ttd_connect(d, ttd_pipe_netdev(tap)), -EINVAL);
	ck_assert_int_eq(ttd_connect(d, d), -EINVAL);
	ck_assert_int_eq(ttd_connect(d, (struct ttd_netdev){ 0 }), -EINVAL);
	ck_assert_int_eq(ttd_connect(d, s), -EPERM);
	ck_assert_int_eq(ttd_pipe_inject(tun, p, 4), -EAGAIN);
	ck_assert_int_eq(ttd_connect(s, d), -EPERM);
	ck_assert_int_eq(ttd_pipe_inject(tun, p, 4), -EAGAIN);
	ttd_pipe_free(tun);
	ttd_pipe_free(tap);
}
END_TEST

/* What this version does not know must be 0, and is looked at within size. */
START_TEST(connect_looks_at_the_table)
{
	struct {
		struct ttd_netdev_ops ops;
		uint8_t tail[16];
	} larger = { .ops = { .layer = TTD_TUN, .set_handler = no_handler,
			      .send = no_send } };
	struct ttd_netdev_ops *ops = &larger.ops;
	struct ttd_netdev d = { ops, NULL }, e;
	struct ttd_pipe *pipe = new_pipe(TTD_TUN, NULL);
	size_t *bare = malloc(sizeof(*bare));

	e = ttd_pipe_netdev(pipe);
	ops->size = sizeof(*ops);
	ck_assert_int_eq(ttd_connect(d, e), -EPERM);
	ops->reserved = 1;
	ck_assert_int_eq(ttd_connect(d, e), -EINVAL);
	ck_assert_int_eq(ttd_connect(e, d), -EINVAL);
	ops->reserved = 0;
	ops->size = sizeof(larger);
	ck_assert_int_eq(ttd_connect(d, e), -EPERM);
	larger.tail[15] = 1;
	ck_assert_int_eq(ttd_connect(d, e), -EINVAL);
	ops->size--;
	ck_assert_int_eq(ttd_connect(d, e), -EPERM);
	ops->size = (size_t)-1;
	ck_assert_int_eq(ttd_connect(d, e), -EINVAL);
	ops->size = offsetof(struct ttd_netdev_ops, send);
	ck_assert_int_eq(ttd_connect(d, e), -EOPNOTSUPP);
	ops->size = offsetof(struct ttd_netdev_ops, set_handler) - 1;
	ck_assert_int_eq(ttd_connect(d, e), -EINVAL);
	ops->size = sizeof(*ops);
	ops->layer = 4;
	ck_assert_int_eq(ttd_connect(d, (struct ttd_netdev){ ops, pipe }),
			 -EINVAL);
	/* No more than size is there. */
	*bare = sizeof(*bare);
	d.ops = (void *)bare;
	ck_assert_int_eq(ttd_connect(d, e), -EINVAL);
	free(bare);
	ttd_pipe_free(pipe);
}
END_TEST

/* --- threads ------------------------------------------------------------ */

static struct ttd_pipe *busy;
static atomic_bool stop_injecting;
/* Which of two handlers may run; who runs although it may not is counted. */
static atomic_int allowed, wrong;

static int numbered(void *arg, void *buf, size_t len)
{
	(void)buf;
	(void)len;
	if (*(int *)arg != allowed)
		wrong++;
	return 0;
}

static void *inject(void *unused)
{
	uint8_t p[20] = { 0 };

	(void)unused;
	while (!stop_injecting)
		ttd_pipe_inject(busy, p, sizeof(p));
	return NULL;
}

START_TEST(an_old_handler_never_runs_after_the_swap)
{
	int numbers[2] = { 0, 1 };
	struct ttd_netdev d;
	pthread_t t[2];

	busy = new_pipe(TTD_TUN, NULL);
	d = ttd_pipe_netdev(busy);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, inject, NULL), 0);
	for (int i = 0; i < SWAPS; i++) {
		/* None runs between the two. */
		ck_assert_int_eq(ttd_netdev_set_handler(d, NULL, NULL), 0);
		allowed = i % 2;
		ck_assert_int_eq(ttd_netdev_set_handler(d, numbered,
							&numbers[i % 2]), 0);
		poll(NULL, 0, i % 10 == 0);
	}
	stop_injecting = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(wrong, 0);
	ttd_pipe_free(busy);
}
END_TEST

/* From inside of its own handler: swap, close, free. */
static int end_it(void *arg, void *buf, size_t len)
{
	struct sink *s = arg;

	(void)buf;
	(void)len;
	s->n++;
	ck_assert_int_eq(ttd_netdev_set_handler(ttd_pipe_netdev(busy), take, s),
			 0);
	ck_assert_int_eq(ttd_netdev_close(ttd_pipe_netdev(busy)), 0);
	ttd_pipe_free(busy);
	return 5;
}

START_TEST(a_handler_may_free_its_pipe)
{
	struct sink s = { .n = 0 };
	uint8_t p[4] = { 0 };

	busy = new_pipe(TTD_TUN, NULL);
	ttd_netdev_set_handler(ttd_pipe_netdev(busy), end_it, &s);
	ck_assert_int_eq(ttd_pipe_inject(busy, p, 4), 5);
	ck_assert_int_eq(s.n, 1);
}
END_TEST

static atomic_bool inside, let_go, left;

static int linger(void *arg, void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	inside = true;
	while (!let_go)
		poll(NULL, 0, 1);
	poll(NULL, 0, 10);
	left = true;
	return 0;
}

static void *inject_once(void *unused)
{
	uint8_t p[4] = { 0 };

	(void)unused;
	ttd_pipe_inject(busy, p, 4);
	return NULL;
}

static void *release_later(void *unused)
{
	(void)unused;
	poll(NULL, 0, 50);
	let_go = true;
	return NULL;
}

START_TEST(free_waits_for_handlers_elsewhere)
{
	pthread_t t[2];

	busy = new_pipe(TTD_TUN, NULL);
	ttd_netdev_set_handler(ttd_pipe_netdev(busy), linger, NULL);
	pthread_create(&t[0], NULL, inject_once, NULL);
	while (!inside)
		poll(NULL, 0, 1);
	pthread_create(&t[1], NULL, release_later, NULL);
	ttd_pipe_free(busy);
	ck_assert(let_go);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}
END_TEST

/* Who closes it, and sets a handler or none, may free the old one's arg. */
START_TEST(a_closed_pipe_waits_for_its_handler_too)
{
	struct sink s = { .n = 0 };
	struct ttd_netdev d;
	uint8_t p[4] = { 0 };
	pthread_t t[2];

	busy = new_pipe(TTD_TUN, NULL);
	d = ttd_pipe_netdev(busy);
	ttd_netdev_set_handler(d, linger, NULL);
	pthread_create(&t[0], NULL, inject_once, NULL);
	while (!inside)
		poll(NULL, 0, 1);
	ck_assert_int_eq(ttd_netdev_close(d), 0);
	ck_assert(!let_go);
	pthread_create(&t[1], NULL, release_later, NULL);
	if (_i == 0)
		ck_assert_int_eq(ttd_netdev_set_handler(d, NULL, NULL), 0);
	else
		ck_assert_int_eq(ttd_netdev_set_handler(d, take, &s),
				 -ESHUTDOWN);
	ck_assert(left);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	ck_assert_int_eq(ttd_pipe_inject(busy, p, 4), -ESHUTDOWN);
	ck_assert_int_eq(s.n, 0);
	ttd_pipe_free(busy);
}
END_TEST

static int unset_in_sink(void *arg, void *buf, size_t len)
{
	(void)buf;
	(void)len;
	*(bool *)arg = ttd_netdev_set_handler(ttd_pipe_netdev(busy), NULL,
					      NULL) == 0 && left;
	return 0;
}

/* A sink is no handler: it waits as everybody does. */
START_TEST(a_sink_that_unsets_waits)
{
	bool waited = false;
	uint8_t p[4] = { 0 };
	pthread_t t[2];

	ck_assert_int_eq(ttd_pipe_new(TTD_TUN, NULL, unset_in_sink, &waited,
				      &busy), 0);
	ttd_netdev_set_handler(ttd_pipe_netdev(busy), linger, NULL);
	pthread_create(&t[0], NULL, inject_once, NULL);
	while (!inside)
		poll(NULL, 0, 1);
	pthread_create(&t[1], NULL, release_later, NULL);
	ck_assert_int_eq(ttd_netdev_send(ttd_pipe_netdev(busy), p, 4), 0);
	ck_assert(waited);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	ttd_pipe_free(busy);
}
END_TEST

/* Its own handler ends it in each way there is, and waits for nobody. */
static int unset_inside(void *arg, void *buf, size_t len)
{
	struct ttd_netdev d = ttd_pipe_netdev(busy);

	(void)buf;
	(void)len;
	ck_assert_int_eq(ttd_netdev_close(d), 0);
	ck_assert_int_eq(ttd_netdev_set_handler(d, NULL, NULL), 0);
	ck_assert_int_eq(ttd_netdev_set_handler(d, take, arg), -ESHUTDOWN);
	return 6;
}

START_TEST(a_handler_may_unset_itself_after_the_close)
{
	struct sink s = { .n = 0 };
	uint8_t p[4] = { 0 };

	busy = new_pipe(TTD_TUN, NULL);
	ttd_netdev_set_handler(ttd_pipe_netdev(busy), unset_inside, &s);
	ck_assert_int_eq(ttd_pipe_inject(busy, p, 4), 6);
	ttd_pipe_free(busy);
}
END_TEST

START_TEST(caps_name_what_linux_has)
{
	uint64_t caps = ttd_caps();

	ck_assert_uint_eq(caps & (TTD_CAP_TUN | TTD_CAP_TAP | TTD_CAP_QUEUES |
				  TTD_CAP_PASS | TTD_CAP_TSO |
				  TTD_CAP_PROTECT),
			  TTD_CAP_TUN | TTD_CAP_TAP | TTD_CAP_QUEUES |
			  TTD_CAP_PASS | TTD_CAP_TSO | TTD_CAP_PROTECT);
	ck_assert_uint_eq(caps & ~(uint64_t)(TTD_CAP_TUN | TTD_CAP_TAP |
			  TTD_CAP_QUEUES | TTD_CAP_PASS | TTD_CAP_TSO |
			  TTD_CAP_USO | TTD_CAP_PROTECT), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe");
	TCase *t = tcase_create("unit");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_pipe_has_two_ends);
	tcase_add_test(t, what_makes_no_sense_is_refused);
	tcase_add_loop_test(t, the_longest_packet_goes_through, 0, 2);
	tcase_add_test(t, a_table_may_be_older_or_half_empty);
	tcase_add_test(t, a_pipe_remembers_its_addresses);
	tcase_add_test(t, connect_wires_both_ways);
	tcase_add_test(t, connect_wires_nothing_or_all);
	tcase_add_test(t, connect_looks_at_the_table);
	tcase_add_test(t, an_old_handler_never_runs_after_the_swap);
	tcase_add_test(t, a_handler_may_free_its_pipe);
	tcase_add_test(t, free_waits_for_handlers_elsewhere);
	tcase_add_loop_test(t, a_closed_pipe_waits_for_its_handler_too, 0, 2);
	tcase_add_test(t, a_sink_that_unsets_waits);
	tcase_add_test(t, a_handler_may_unset_itself_after_the_close);
	tcase_add_test(t, caps_name_what_linux_has);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
