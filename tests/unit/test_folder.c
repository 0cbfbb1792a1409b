/*
 * The folder of a socket, made by root where another may write: who can
 * exchange a name in between does so here, each time.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../daemon/folder.h"

#define OWNER		4242
#define PATH_BYTES	96
#define ALL_BITS	07777

#define IN_ALL		"/XXXXXX"	/* mkdtemp(3) writes over it */
#define PASSABLE	0711

/* The folder of all tests, and the one in it of this test. */
static char all[] = "/tmp/tuntapd-folder-XXXXXX";
static char root[sizeof(all) + sizeof(IN_ALL)];

/* What the other does as soon as the folder is there; or NULL. */
static void (*exchange)(void);

int mkdirat(int above, const char *name, mode_t mode)
{
	int r = (int)syscall(SYS_mkdirat, above, name, mode);

	if (r == 0 && exchange)
		exchange();
	return r;
}

static const char *in_root(const char *name)
{
	static char paths[4][PATH_BYTES];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_BYTES, "%s/%s", root, name);
	return path;
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(lstat(in_root(name), &st), 0);
	return st;
}

/* Who is not root can give to himself alone. */
static uid_t owner(void)
{
	return geteuid() == 0 ? OWNER : geteuid();
}

/* Outside of the tests, as one that fails does not come to its end. */
static void set_up_all(void)
{
	ck_assert_ptr_nonnull(mkdtemp(all));
	ck_assert_int_eq(chmod(all, PASSABLE), 0);
}

static void tear_down_all(void)
{
	char command[PATH_BYTES];

	snprintf(command, sizeof(command), "rm -r %s", all);
	ck_assert_int_eq(system(command), 0);
}

static void set_up(void)
{
	snprintf(root, sizeof(root), "%s" IN_ALL, all);
	ck_assert_ptr_nonnull(mkdtemp(root));
	exchange = NULL;
}

static void make(const char *name)
{
	ck_assert_int_eq(mkdir(in_root(name), 0700), 0);
}

static int make_for(const char *socket, struct wire_refused *why)
{
	return folder_make(in_root(socket), owner(), why);
}

static void is_given(const char *name)
{
	struct stat st = stat_of(name);

	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_uint_eq(st.st_uid, owner());
	ck_assert_uint_eq(st.st_mode & ALL_BITS, 0755);
}

static void is_untouched(const char *name)
{
	struct stat st = stat_of(name);

	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_mode & ALL_BITS, 0700);
}

START_TEST(it_is_made_and_given)
{
	mode_t umask_before = umask(0077);

	ck_assert_int_eq(make_for("run/t.sock", NULL), 0);
	is_given("run");
	ck_assert_int_eq(make_for("again///t.sock", NULL), 0);
	is_given("again");
	ck_assert_uint_eq(umask(umask_before), 0077);
}
END_TEST

START_TEST(a_path_may_be_short)
{
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(folder_make("t.sock", owner(), NULL), 0);
	ck_assert_int_eq(folder_make("/t.sock", owner(), NULL), 0);
	ck_assert_int_eq(folder_make("run/t.sock", owner(), NULL), 0);
	is_given("run");
	ck_assert_int_eq(folder_make("./here/t.sock", owner(), NULL), 0);
	is_given("here");
}
END_TEST

/* One that is there stays as it is, and what a link leads to. */
START_TEST(what_is_there_stays)
{
	make("run");
	ck_assert_int_eq(make_for("run/t.sock", NULL), 0);
	is_untouched("run");
	ck_assert_int_eq(symlink("run", in_root("link")), 0);
	ck_assert_int_eq(make_for("link/t.sock", NULL), 0);
	is_untouched("run");
}
END_TEST

/* bind(2) says so. */
START_TEST(what_cannot_be_made_is_left_to_bind)
{
	ck_assert_int_eq(make_for("none/run/t.sock", NULL), 0);
	ck_assert_int_eq(access(in_root("none"), F_OK), -1);
}
END_TEST

static void put_link(void)
{
	ck_assert_int_eq(rmdir(in_root("run")), 0);
	ck_assert_int_eq(symlink("victim", in_root("run")), 0);
}

static void put_file(void)
{
	ck_assert_int_eq(rmdir(in_root("run")), 0);
	close(open(in_root("run"), O_CREAT | O_WRONLY, 0600));
}

static void put_nothing(void)
{
	ck_assert_int_eq(rmdir(in_root("run")), 0);
}

static void (*const exchanges[])(void) = { put_link, put_file, put_nothing };

START_TEST(what_is_put_in_its_place_is_not_given)
{
	struct wire_refused why = { .code = 0 };

	make("victim");
	exchange = exchanges[_i];
	ck_assert_int_lt(make_for("run/t.sock", &why), 0);
	is_untouched("victim");
	ck_assert_str_eq(why.step, "listen");
	ck_assert_ptr_nonnull(strstr(why.text, in_root("run/t.sock")));
	ck_assert_ptr_nonnull(strstr(why.text, "choose one in which root alone"));
}
END_TEST

/* The folder above becomes a link to where there is one of the same name. */
static void put_link_above(void)
{
	ck_assert_int_eq(rename(in_root("above"), in_root("away")), 0);
	ck_assert_int_eq(symlink("other", in_root("above")), 0);
}

START_TEST(a_link_above_it_does_not_count)
{
	make("above");
	make("other");
	make("other/run");
	exchange = put_link_above;
	ck_assert_int_eq(make_for("above/run/t.sock", NULL), 0);
	is_untouched("other/run");
	is_given("away/run");
}
END_TEST

/* As one who is not root. */
START_TEST(who_cannot_be_given_it_is_told)
{
	struct wire_refused why = { .code = 0 };

	ck_assert_int_eq(chmod(root, 0777), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(OWNER), 0);
	ck_assert_int_lt(folder_make(in_root("run/t.sock"), 0, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, "uid 0"));
	ck_assert_ptr_nonnull(strstr(why.text, "--socket"));
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("folder");
	TCase *t = tcase_create("folder");
	SRunner *sr;
	int failed;

	tcase_add_unchecked_fixture(t, set_up_all, tear_down_all);
	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, it_is_made_and_given);
	tcase_add_test(t, a_path_may_be_short);
	tcase_add_test(t, what_is_there_stays);
	tcase_add_test(t, what_cannot_be_made_is_left_to_bind);
	tcase_add_loop_test(t, what_is_put_in_its_place_is_not_given, 0,
			    sizeof(exchanges) / sizeof(*exchanges));
	tcase_add_test(t, a_link_above_it_does_not_count);
	tcase_add_test(t, who_cannot_be_given_it_is_told);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
