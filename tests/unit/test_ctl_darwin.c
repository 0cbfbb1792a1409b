/* What tuntapctl tells people to do on macOS: its words are in one file. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctl/advice_darwin.c"
#include "../../ctl/command.h"
#include "../../ctl/doctor.h"
#include "../../ctl/request.h"

/* Of what only Linux has. */
static bool is_foreign(const char *text)
{
	static const char *const words[] = {
		"systemctl", "systemd", "usermod", "groupadd", "modules"
	};
	bool found = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		found = found || strstr(text, words[i]);
	return found;
}

START_TEST(where_no_daemon_runs_it_is_launchd_that_starts_it)
{
	struct ttd_error error;

	ck_assert_int_eq(ctl_alive("/nowhere/tuntapd.sock", &error),
			 EXIT_NO_DAEMON);
	ck_assert_ptr_nonnull(strstr(error.text, "Start it as root (launchctl "
				     "bootstrap system "));
	ck_assert(!is_foreign(error.text));
}
END_TEST

static const struct check *find_check(const char *name)
{
	const struct check *c = doctor_daemon_checks;

	while (strcmp(c->name, name) != 0)
		c++;
	return c;
}

START_TEST(what_macos_has_not_is_no_fault_of_its)
{
	static struct patient p = { .state = { .n_features = 2 } };
	struct wire_feature *f = p.state.features;
	struct finding finding;

	snprintf(f[0].name, sizeof(f[0].name), "guard");
	snprintf(f[0].text, sizeof(f[0].text), "macOS has none");
	snprintf(f[1].name, sizeof(f[1].name), "offload");
	snprintf(p.state.kernel, sizeof(p.state.kernel), "24.1.0");
	find_check("kernel")->look(&p, &finding);
	ck_assert_int_eq(finding.health, HEALTH_NOTE);
	ck_assert_str_eq(finding.text, "the kernel (24.1.0) lacks offload: it "
			 "works without; tuntapctl status says what follows");
	find_check("guard")->look(&p, &finding);
	ck_assert_int_eq(finding.health, HEALTH_NOTE);
	ck_assert_str_eq(finding.text, "there is no source guard: macOS has "
			 "none");
}
END_TEST

/* Whatever this host has and lacks. */
START_TEST(no_check_names_a_command_of_linux)
{
	static struct patient p = { .socket = "/nowhere/tuntapd.sock" };
	const struct check *c;
	struct finding finding;

	snprintf(p.state.version, sizeof(p.state.version), "0.0.1");
	for (c = doctor_daemon_checks; c->name; c++) {
		c->look(&p, &finding);
		ck_assert_msg(!is_foreign(finding.text), "%s: %s", c->name,
			      finding.text);
	}
	find_check("version")->look(&p, &finding);
	ck_assert_ptr_nonnull(strstr(finding.text, "launchctl kickstart -k"));
}
END_TEST

START_TEST(nothing_of_linux_is_in_any_of_its_words)
{
	const char *const all[] = {
		advice.start, advice.start_admin, advice.restart,
		advice.make_group
	};
	char join[128];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		ck_assert_msg(!is_foreign(all[i]), "%s", all[i]);
	advice_join(join, sizeof(join), "alice");
	ck_assert_str_eq(join, "dseditgroup -o edit -a alice -t user tuntap");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl_darwin");
	TCase *t = tcase_create("ctl_darwin");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, where_no_daemon_runs_it_is_launchd_that_starts_it);
	tcase_add_test(t, what_macos_has_not_is_no_fault_of_its);
	tcase_add_test(t, no_check_names_a_command_of_linux);
	tcase_add_test(t, nothing_of_linux_is_in_any_of_its_words);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
