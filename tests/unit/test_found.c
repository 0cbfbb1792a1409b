/*
 * Devices that a daemon before left are handed over as they were made, in
 * whatever order the kernel tells of them: it is played here.
 */
#include <check.h>

#include "../../daemon/os.h"
#include "../../daemon/rtnl.h"

#define MARK		"tuntapd:1:00112233445566778899aabbccddeeff:7:1"
#define BUCKETS		256u	/* of links, by which Linux 6.1 dumps them */
#define DEVICES		3

/* One bucket after the other, and as they were made. */
static const unsigned dumped[DEVICES] = { BUCKETS, 3, BUCKETS + 4 };
static const unsigned made[DEVICES] = { 3, BUCKETS, BUCKETS + 4 };

static struct {
	unsigned ifindex[DEVICES];
	unsigned n, most;
} handed;

int rtnl_open(struct rtnl *ret)
{
	*ret = (struct rtnl){ .nl = NULL };
	return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
	(void)rtnl;
}

int rtnl_dump(struct rtnl *rtnl, const struct os_watcher *watcher)
{
	(void)rtnl;
	watcher->dump(watcher->arg, true);
	for (unsigned i = 0; i < DEVICES; i++) {
		struct os_link link = { .ifindex = dumped[i], .alias = MARK,
					.layer = WIRE_TUN };

		watcher->link(watcher->arg, &link, false);
	}
	watcher->dump(watcher->arg, false);
	return 0;
}

int rtnl_dump_guards(struct rtnl *rtnl, const struct os_watcher *watcher)
{
	(void)rtnl;
	(void)watcher;
	return 0;
}

static bool take(void *arg, struct os_found *f)
{
	(void)arg;
	handed.ifindex[handed.n++] = f->link.ifindex;
	return handed.n < handed.most;
}

START_TEST(the_oldest_is_handed_over_first)
{
	handed.n = 0;
	handed.most = (unsigned)_i;
	ck_assert_int_eq(os_devices_find(take, NULL), 0);
	ck_assert_uint_eq(handed.n, handed.most);
	ck_assert_mem_eq(handed.ifindex, made, handed.n * sizeof(*made));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("found");
	TCase *t = tcase_create("found");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_loop_test(t, the_oldest_is_handed_over_first, 1, DEVICES + 1);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
