/* A policy is told in full, or the one who asks is told that it is not. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../daemon/explain.h"
#include "../../daemon/reload.h"

static bool no_memory;

FILE *open_memstream(char **text, size_t *len)
{
	static FILE *(*real)(char **text, size_t *len);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open_memstream");
	errno = ENOMEM;
	return no_memory ? NULL : real(text, len);
}

START_TEST(no_part_of_a_policy_is_missing_unsaid)
{
	char folder[] = "/tmp/test-explain-XXXXXX";
	const char *folders[] = { folder };
	struct server server = { .generation = 1 };
	struct conn c = { .server = &server, .peer = { .admin = true } };
	static struct wire_message m;
	struct policy_fault fault;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	reload_from(folders, 1);
	ck_assert_int_eq(reload_first(&server.policy, &fault), 0);
	no_memory = true;
	explain_policy(&c);
	ck_assert_ptr_null(c.more);
	ck_assert_uint_gt(c.out_len, 0);
	ck_assert_int_eq(wire_decode(c.out, c.out_len, &m, NULL), 0);
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_NO_MEMORY);
	free(c.out);
	policy_free(server.policy);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("explain");
	TCase *t = tcase_create("explain");
	SRunner *r;
	int failed;

	tcase_add_test(t, no_part_of_a_policy_is_missing_unsaid);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
