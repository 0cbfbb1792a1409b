/* tuntapctl policy: options, users, a device as the policy is asked for it. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../ctl/policy_args.h"
#include "../../ctl/user.h"

static struct policy_args args;
static struct wire_open open;
static char why[ARGS_WHY_MAX];

/* The values point into texts until the next one. */
static int parse(const struct arg_row *rows, const char *const *argv)
{
	static char texts[32][128];
	char *copy[32] = { texts[0] };
	int argc = 1;

	for (; argv[argc - 1]; argc++) {
		copy[argc] = texts[argc];
		snprintf(texts[argc], sizeof(texts[argc]), "%s",
			 argv[argc - 1]);
	}
	memset(&args, 0, sizeof(args));
	return args_parse(rows, argc, copy, &args, why);
}
#define PARSE(rows, ...) \
	parse((rows), (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_device_is_asked_for_as_run_does)
{
	ck_assert_int_eq(PARSE(policy_check_rows, "--tap", "--name", "tt7",
			       "--address", "fd00::1/64,nodad",
			       "--address=10.0.0.1,peer=10.0.0.2/30",
			       "--route", "10.1.0.0/16,via=10.0.0.2,metric=7",
			       "--mtu", "1400", "--txqueuelen", "50",
			       "--queues", "2", "--mac", "02:00:00:00:00:09",
			       "--vnet-hdr", "--down", "--user", "alice"), 21);
	ck_assert_str_eq(args.user, "alice");
	run_args_wire(&args.device, &open);
	ck_assert_uint_eq(open.layer, WIRE_TAP);
	ck_assert_str_eq(open.name, "tt7");
	ck_assert_uint_eq(open.mtu, 1400);
	ck_assert_uint_eq(open.txqueuelen, 50);
	ck_assert_uint_eq(open.queues, 2);
	ck_assert_uint_eq(open.vnet_hdr, 1);
	ck_assert_uint_eq(open.flags, WIRE_OPEN_MAC_SET | WIRE_OPEN_DOWN);
	ck_assert_mem_eq(open.mac, "\2\0\0\0\0\11", 6);
	ck_assert_uint_eq(open.n_addresses, 2);
	ck_assert_uint_eq(open.addresses[0].local.family, 6);
	ck_assert_uint_eq(open.addresses[0].local.len, 64);
	ck_assert_uint_eq(open.addresses[0].flags, WIRE_ADDRESS_NODAD);
	ck_assert_uint_eq(open.addresses[1].flags, 0);
	ck_assert_uint_eq(open.addresses[1].peer.len, 30);
	ck_assert_mem_eq(open.addresses[1].peer.ip, "\12\0\0\2", 4);
	ck_assert_uint_eq(open.n_routes, 1);
	ck_assert_mem_eq(open.routes[0].dst.ip, "\12\1\0\0", 4);
	ck_assert_mem_eq(open.routes[0].gateway.ip, "\12\0\0\2", 4);
	ck_assert_uint_eq(open.routes[0].gateway.len, 32);
	ck_assert_uint_eq(open.routes[0].metric, 7);
}
END_TEST

START_TEST(nothing_asked_for_is_one_queue_that_is_up)
{
	ck_assert_int_eq(PARSE(policy_check_rows, "--tun"), 2);
	run_args_wire(&args.device, &open);
	ck_assert_uint_eq(open.layer, WIRE_TUN);
	ck_assert_uint_eq(open.queues, 1);
	ck_assert_uint_eq(open.flags, 0);
	ck_assert_str_eq(open.name, "");
}
END_TEST

START_TEST(folders_are_bounded_and_belong_to_test)
{
	ck_assert_int_eq(PARSE(policy_check_rows, "--policy", "x"), -EINVAL);
	ck_assert_int_eq(PARSE(policy_test_rows, "--socket", "x"), -EINVAL);
	ck_assert_int_eq(PARSE(policy_test_rows, "--policy=1", "--policy=2",
			       "--policy=3", "--policy=4", "--policy=5",
			       "--policy=6", "--policy=7", "--policy=8"), 9);
	ck_assert_uint_eq(args.n_folders, 8);
	ck_assert_str_eq(args.folders[7], "8");
	ck_assert_int_eq(PARSE(policy_test_rows, "--policy=1", "--policy=2",
			       "--policy=3", "--policy=4", "--policy=5",
			       "--policy=6", "--policy=7", "--policy=8",
			       "--policy=9"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "there may be 8"));
}
END_TEST

START_TEST(help_has_the_rows_of_both)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	args_help(policy_test_rows, out);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "--policy DIR"));
	ck_assert_ptr_nonnull(strstr(text, "--user USER"));
	ck_assert_ptr_nonnull(strstr(text, "--txqueuelen N"));
	ck_assert_ptr_nonnull(strstr(text, "--json"));
	ck_assert_ptr_nonnull(strstr(text, "--help"));
	ck_assert_ptr_null(strstr(text, "--socket"));
	free(text);
}
END_TEST

static bool has_group(const struct peer *p, gid_t gid)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (p->groups[i] == gid)
			return true;
	return false;
}

START_TEST(users_by_name_uid_and_oneself)
{
	struct peer p;

	ck_assert_int_eq(user_find(NULL, &p), 0);
	ck_assert_uint_eq(p.uid, geteuid());
	ck_assert_uint_eq(p.gid, getegid());
	ck_assert_int_eq((int)p.n_groups, getgroups(0, NULL));
	free(p.groups);
	ck_assert_int_eq(user_find("root", &p), 0);
	ck_assert_uint_eq(p.uid, 0);
	ck_assert_uint_eq(p.gid, 0);
	ck_assert(has_group(&p, 0));
	free(p.groups);
	ck_assert_int_eq(user_find("0", &p), 0);
	ck_assert_uint_eq(p.uid, 0);
	ck_assert(has_group(&p, 0));
	free(p.groups);
	/* One that nobody has heard of is a number like another. */
	ck_assert_int_eq(user_find("3456789", &p), 0);
	ck_assert_uint_eq(p.uid, 3456789);
	ck_assert_uint_eq(p.gid, 3456789);
	ck_assert_uint_eq(p.n_groups, 0);
}
END_TEST

START_TEST(who_is_no_user)
{
	static const char *const bad[] = {
		"", "nobody!", "-1", "4294967295", "4294967296", "1x", " 0",
		"99999999999999999999999"
	};
	struct peer p;

	ck_assert_int_eq(user_find(bad[_i], &p), -ENOENT);
}
END_TEST

START_TEST(names_of_a_policy)
{
	uint32_t id = 7;

	ck_assert_int_eq(user_resolve(NULL, false, "root", &id), 0);
	ck_assert_uint_eq(id, 0);
	id = 7;
	ck_assert_int_eq(user_resolve(NULL, true, "root", &id), 0);
	ck_assert_uint_eq(id, 0);
	ck_assert_int_eq(user_resolve(NULL, false, "no one!", &id), -ENOENT);
	ck_assert_int_eq(user_resolve(NULL, true, "no one!", &id), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl_policy");
	TCase *t = tcase_create("policy");
	SRunner *runner;
	int failed;

	tcase_add_test(t, a_device_is_asked_for_as_run_does);
	tcase_add_test(t, nothing_asked_for_is_one_queue_that_is_up);
	tcase_add_test(t, folders_are_bounded_and_belong_to_test);
	tcase_add_test(t, help_has_the_rows_of_both);
	tcase_add_test(t, users_by_name_uid_and_oneself);
	tcase_add_loop_test(t, who_is_no_user, 0, 8);
	tcase_add_test(t, names_of_a_policy);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
