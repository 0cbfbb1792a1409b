/* Marks: what is written is read, and nothing else. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "../../daemon/mark.h"

#define ID "00112233445566778899aabbccddeeff"
#define LEASE "tuntapd:1:" ID

static const struct {
	const char *text;
	struct mark mark;
} ours[] = {
	{ LEASE ":0", { ID, 0, 0, false, { 0 } } },
	{ LEASE ":4294967294", { ID, 4294967294, 0, false, { 0 } } },
	{ LEASE ":1000:1", { ID, 1000, 1, false, { 0 } } },
	{ LEASE ":1000:2:02:00:00:00:00:0a",
	  { ID, 1000, 2, true, { 2, 0, 0, 0, 0, 10 } } },
	/* The longest. */
	{ LEASE ":4294967294:64:fe:dc:ba:98:76:54",
	  { ID, 4294967294, 64, true,
	    { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54 } } },
};

START_TEST(what_is_written_is_read)
{
	const struct mark *m = &ours[_i].mark;
	struct mark read = { .uid = 7 };
	char text[MARK_MAX];

	mark_write(m, text);
	ck_assert_str_eq(text, ours[_i].text);
	ck_assert(mark_read(text, &read));
	ck_assert_str_eq(read.id, m->id);
	ck_assert_uint_eq(read.uid, m->uid);
	ck_assert_uint_eq(read.queues, m->queues);
	ck_assert_int_eq(read.has_mac, m->has_mac);
	ck_assert_mem_eq(read.mac, m->mac, sizeof(m->mac));
}
END_TEST

static const char *const others[] = {
	"", "somebody's", "tuntapd:1:", LEASE, LEASE ":", LEASE ":x",
	LEASE "0:1000", "tuntapd:2:" ID ":1000", "tuntapd:1:" ID ID ":1000",
	"tuntapd:1:00112233445566778899aabbccddeef:1000",
	"tuntapd:1:00112233445566778899AABBCCDDEEFF:1000",
	LEASE ":-1", LEASE ":+1", LEASE ": 1", LEASE ":01", LEASE ":1x",
	LEASE ":4294967295", LEASE ":4294967296", LEASE ":99999999999",
	LEASE ":18446744073709551615", LEASE ":99999999999999999999",
	LEASE ":1000:", LEASE ":1000:0", LEASE ":1000:65", LEASE ":1000:02",
	LEASE ":1000:65537", LEASE ":1000:1x",
	LEASE ":1000:0:02:00:00:00:00:0a", LEASE ":1000:02:00:00:00:00:0a",
	LEASE ":1000:2:", LEASE ":1000:2:02:00:00:00:00",
	LEASE ":1000:2:02:00:00:00:00:", LEASE ":1000:2:02:00:00:00:00:0A",
	LEASE ":1000:2:02:00:00:00:00:a", LEASE ":1000:2:02:00:00:00:00:10a",
	LEASE ":1000:2:02:00:00:00:00:0a:", LEASE ":1000:2:02:00:00:00:00:0a ",
	LEASE ":1000:2:02:00:00:00:00:0a:0a", LEASE ":1000:2:2:0:0:0:0:a",
};

START_TEST(what_is_not_written_so_is_none)
{
	struct mark read = { .uid = 7, .queues = 8 };

	ck_assert_msg(!mark_read(others[_i], &read), "%s", others[_i]);
	ck_assert_uint_eq(read.uid, 7);
	ck_assert_uint_eq(read.queues, 8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mark");
	TCase *t = tcase_create("mark");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, what_is_written_is_read, 0,
			    sizeof(ours) / sizeof(*ours));
	tcase_add_loop_test(t, what_is_not_written_so_is_none, 0,
			    sizeof(others) / sizeof(*others));
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
