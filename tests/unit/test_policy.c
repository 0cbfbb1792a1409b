/* The policy: files, folders, rules, names, decisions. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../policy/bounds.h"
#include "../../policy/conf.h"
#include "../../policy/names.h"
#include "../../policy/policy.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

static int resolve(void *arg, bool group, const char *name, uint32_t *ret)
{
	(void)arg;
	if (strcmp(name, "broken") == 0)
		return -EIO;
	if (!group && strcmp(name, "alice") == 0)
		*ret = 1042;
	else if (group && strcmp(name, "vpn users") == 0)
		*ret = 2000;
	else
		return -ENOENT;
	return 0;
}

static struct policy *parse_ok(const char *text)
{
	struct policy *policy = NULL;
	struct policy_fault fault = { "" };
	int r = policy_parse("t.conf", text, strlen(text), resolve, NULL,
			     &policy, &fault);

	ck_assert_msg(r == 0, "%s", fault.text);
	ck_assert_ptr_nonnull(policy);
	return policy;
}

/* The fault begins with `where` and says `what`. */
static void parse_bad_bytes(const char *text, size_t len, const char *where,
			    const char *what)
{
	struct policy *policy = NULL;
	struct policy_fault fault = { "" };
	int r = policy_parse("t.conf", text, len, resolve, NULL, &policy,
			     &fault);

	ck_assert_msg(r == -EINVAL, "%d for %.200s", r, text);
	ck_assert_ptr_null(policy);
	ck_assert_msg(strncmp(fault.text, where, strlen(where)) == 0,
		      "`%s` does not begin with `%s`", fault.text, where);
	ck_assert_msg(strstr(fault.text, what) != NULL,
		      "`%s` does not say `%s`", fault.text, what);
}

static void parse_bad(const char *text, const char *where, const char *what)
{
	parse_bad_bytes(text, strlen(text), where, what);
}

/* ---- text ---- */

START_TEST(empty_text_is_a_policy_without_rules)
{
	struct policy *p = parse_ok("");

	ck_assert_uint_eq(policy_n_rules(p), 0);
	policy_free(p);
	p = parse_ok("\n  \n# c\n\t; c\n# \xc3\xbc in a comment");
	ck_assert_uint_eq(policy_n_rules(p), 0);
	policy_free(p);
	policy_free(NULL);
}
END_TEST

START_TEST(whole_format_is_read)
{
	struct policy *p = parse_ok(
		"; comment\n"
		"[rule alice-vpn]  ; comment\n"
		"action        = allow               ; allow | deny\n"
		"user          = alice, 1042, 0\n"
		"group         = vpn users, 7\n"
		"kind          = tun, tap\n"
		"name          = vpn%u-*, tun[0-9]\n"
		"address=10.50.0.0/16,fd50::/48\t; x\n"
		"route         = 10.0.0.0/8, fd00::/8\n"
		"metric        = 1000-\n"
		"mtu           = 1280 - 9000\n"
		"max-devices   = 2\n"
		"max-queues    = 4\n"
		"max-addresses = 0\n"
		"max-routes    = 32\n"
		"  offload       = yes\n"
		"default-route = no\n"
		"shadow        = yes\n"
		"[ rule \t b ]\n"
		"action = deny\n"
		"user = any");

	ck_assert_uint_eq(policy_n_rules(p), 2);
	policy_free(p);
}
END_TEST

#define R	"[rule r]\n"
#define WHOLE	R "action=allow\nuser=any\nkind=tun\nname=tun*\n"

static const struct {
	const char *text, *where, *what;
} bad_texts[] = {
	{ "[rule r\n", "t.conf:1: ", "] is missing" },
	{ "[rule r] x\n", "t.conf:1: ", "follows the section's ]" },
	{ "\n[role r]\n", "t.conf:2: ", "section [role r] is not known" },
	{ "[ruler r]\n", "t.conf:1: ", "is not known" },
	{ "[]\n", "t.conf:1: ", "is not known" },
	{ "[rule]\n", "t.conf:1: ", "a rule's name is" },
	{ "[rule a b]\n", "t.conf:1: ", "a rule's name is" },
	{ "[rule a/b]\n", "t.conf:1: ", "a rule's name is" },
	{ "user = any\n", "t.conf:1: user: ", "in no section" },
	{ "\n" R "hello\n", "t.conf:3: ", "neither `key = value`" },
	{ R "= x\n", "t.conf:2: ", "nothing stands before the =" },
	{ R "user =\n", "t.conf:2: user: ", "no value" },
	{ R "user = ; any\n", "t.conf:2: user: ", "no value" },
	{ R "user = any # x\n", "t.conf:2: user: ", "begins with ;" },
	{ R "user = \xc3\xbc\n", "t.conf:2: ", "not ASCII" },
	{ R "user = a\x1b[0m\n", "t.conf:2: ", "control byte 0x1b" },
	{ R "user = a\x7f\n", "t.conf:2: ", "control byte 0x7f" },
	{ R "user = any\r\n", "t.conf:2: ", "CR LF" },
	{ "# x\r\n", "t.conf:1: ", "CR LF" },
	{ "\xef\xbb\xbf" R, "t.conf:1: ", "byte order mark" },
	{ R "user = any\nuser = 1\n", "t.conf:3: user: ", "line 2 already" },
	{ WHOLE "\n" R, "t.conf:7: ", "already, in t.conf:1" },
	{ R "colour = red\n", "t.conf:2: colour: ", "unknown key" },
	{ R "User = any\n", "t.conf:2: User: ", "unknown key" },
	{ R "source = none\n", "t.conf:2: source: ", "not a prefix" },
	{ R "source = auto, 10.0.0.0/8\n", "t.conf:2: source: ",
	  "write it alone" },
	{ R "source = 10.0.0.0/8, auto\n", "t.conf:2: source: ",
	  "write it alone" },
	{ R "default-route = 1\n", "t.conf:2: default-route: ",
	  "write yes or no" },
	{ R "shadow = maybe\n", "t.conf:2: shadow: ", "write yes or no" },
	{ R "mac = any\n", "t.conf:2: mac: ", "write chosen or random" },
	{ R "dhcp = maybe\n", "t.conf:2: dhcp: ", "write yes or no" },
	{ R "source-guard = on\n", "t.conf:2: source-guard: ",
	  "write required or off" },
	{ R "on-tamper = end\n", "t.conf:2: on-tamper: ",
	  "write revoke or log" },
	{ "[global]\nmax-devices = 0\n", "t.conf:2: max-devices: ",
	  "from 1 to 65535" },
	{ "[global]\nmax-devices = 65536\n", "t.conf:2: max-devices: ",
	  "from 1 to 65535" },
	{ "[global]\nmax-devices = 1\nmax-devices = 1\n",
	  "t.conf:3: max-devices: ", "line 2 already" },
	{ "[global]\nuser = any\n", "t.conf:2: user: ",
	  "known are max-devices" },
	{ "[global]\n[global]\n", "t.conf:2: ", "already, in t.conf:1" },
	{ "[global x]\n", "t.conf:1: ", "is not known" },
	{ R, "t.conf:1: ", "has no action" },
	{ R "action=allow\nkind=tun\nname=a*\n", "t.conf:1: ",
	  "has no user or group" },
	{ R "action=deny\nkind=tun\n", "t.conf:1: ", "has no user or group" },
	{ R "action=allow\nuser=any\nname=a*\n", "t.conf:1: ",
	  "has no kind" },
	{ R "action=allow\nuser=any\nkind=tun\n\n[rule b]\n", "t.conf:1: ",
	  "has no name" },
	{ R "action = permit\n", "t.conf:2: action: ", "allow or deny" },
	{ R "kind = tun, tub\n", "t.conf:2: kind: ", "`tub` is not known" },
	{ R "name = a*,;b\n", "t.conf:2: name: ", "comments begin" },
	{ R "name = a[!#]\n", "t.conf:2: name: ", "comments begin" },
	{ R "offload = on\n", "t.conf:2: offload: ", "yes or no" },
	{ R "user = alice,\n", "t.conf:2: user: ", "entry of the list" },
	{ R "user = ,alice\n", "t.conf:2: user: ", "entry of the list" },
	{ R "user = any, alice\n", "t.conf:2: user: ", "write it alone" },
	{ R "user = bob\n", "t.conf:2: user: ", "no user `bob`" },
	{ R "group = bob\n", "t.conf:2: group: ", "no group `bob`" },
	{ R "group = alice\n", "t.conf:2: group: ", "no group `alice`" },
	{ R "group = any\n", "t.conf:2: group: ", "`user = any`" },
	{ R "user = 4294967295\n", "t.conf:2: user: ", "nobody" },
	{ R "user = 4294967296\n", "t.conf:2: user: ", "is no id" },
	{ R "user = 007\n", "t.conf:2: user: ", "is no id" },
	{ R "user = -1\n", "t.conf:2: user: ", "no user `-1`" },
	{ R "address = 10.0.0.0/33\n", "t.conf:2: address: ", "at most 32" },
	{ R "address = fd00::/129\n", "t.conf:2: address: ", "at most 128" },
	{ R "address = fd00::/8, ten\n", "t.conf:2: address: ",
	  "`ten` is not a prefix" },
	{ R "address = 10.50.0.1/16\n", "t.conf:2: address: ",
	  "write 10.50.0.0/16" },
	{ R "route = fd00::1/8\n", "t.conf:2: route: ", "write fd00::/8" },
	{ R "max-devices = two\n", "t.conf:2: max-devices: ",
	  "is not a number" },
	{ R "max-devices = -1\n", "t.conf:2: max-devices: ",
	  "is not a number" },
	{ R "max-devices = 02\n", "t.conf:2: max-devices: ",
	  "leading zeros" },
	{ R "max-devices = 0\n", "t.conf:2: max-devices: ", "from 1 to" },
	{ R "max-devices = 65536\n", "t.conf:2: max-devices: ",
	  "from 1 to 65535" },
	{ R "max-devices = 99999999999999999999999\n",
	  "t.conf:2: max-devices: ", "out of bounds" },
	{ R "max-queues = 0\n", "t.conf:2: max-queues: ", "from 1 to 64" },
	{ R "max-queues = 65\n", "t.conf:2: max-queues: ", "from 1 to 64" },
	{ R "max-addresses = 65\n", "t.conf:2: max-addresses: ", "to 64" },
	{ R "max-routes = 131073\n", "t.conf:2: max-routes: ",
	  "0 to 131072" },
	{ R "mtu = 67-\n", "t.conf:2: mtu: ", "from 68 to 65535" },
	{ R "mtu = 68-65536\n", "t.conf:2: mtu: ", "from 68 to 65535" },
	{ R "mtu = 1500-1400\n", "t.conf:2: mtu: ", "write 1400-1500" },
	{ R "mtu = -1500\n", "t.conf:2: mtu: ", "is not a number" },
	{ R "mtu = 68-100-200\n", "t.conf:2: mtu: ", "is not a number" },
	{ R "metric = 0-\n", "t.conf:2: metric: ", "from 1 to" },
	{ R "metric = 1-4294967296\n", "t.conf:2: metric: ", "from 1 to" },
	{ R "name = tun[0,1]\n", "t.conf:2: name: ", "a [ has no ]" },
	{ R "name = a/b\n", "t.conf:2: name: ", "no /" },
	{ R "name = a b\n", "t.conf:2: name: ", "white space" },
	{ R "name = a%d\n", "t.conf:2: name: ", "%u, the uid" },
	{ R "name = a%\n", "t.conf:2: name: ", "%u, the uid" },
	{ R "name = a\\*\n", "t.conf:2: name: ", "names have no" },
	{ R "name = a:b\n", "t.conf:2: name: ", "names have no" },
	{ R "name = a]\n", "t.conf:2: name: ", "a ] has no [" },
	{ R "name = a+b\n", "t.conf:2: name: ", "names have letters, digits" },
	{ R "name = a=b\n", "t.conf:2: name: ", "names have letters, digits" },
	{ R "name = a[]\n", "t.conf:2: name: ", "matches no letter" },
	{ R "name = a[!]\n", "t.conf:2: name: ", "matches no letter" },
	{ R "name = a[9-0]\n", "t.conf:2: name: ", "matches no letter" },
	{ R "name = a[%u]\n", "t.conf:2: name: ", "inside [ ]" },
	{ R "name = [[x]]\n", "t.conf:2: name: ", "classes are not known" },
};

START_TEST(each_bad_text_is_told_with_file_line_and_key)
{
	parse_bad(bad_texts[_i].text, bad_texts[_i].where, bad_texts[_i].what);
}
END_TEST

START_TEST(nul_byte_is_told)
{
	static const char text[] = R "user = a\0b\n";

	parse_bad_bytes(text, sizeof(text) - 1, "t.conf:2: ", "NUL byte");
}
END_TEST

START_TEST(line_may_have_20480_bytes_and_no_more)
{
	char text[CONF_LINE_MAX + 4] = "#";

	memset(text + 1, 'x', CONF_LINE_MAX - 1);
	policy_free(parse_ok(text));
	text[CONF_LINE_MAX] = '\n';
	policy_free(parse_ok(text));
	text[CONF_LINE_MAX] = 'x';
	text[CONF_LINE_MAX + 1] = '\n';
	parse_bad(text, "t.conf:1: ", "over 20480 bytes");
}
END_TEST

START_TEST(file_may_have_64_kib_and_no_more)
{
	char *text = malloc(CONF_FILE_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', CONF_FILE_MAX + 1);
	text[CONF_FILE_MAX] = '\0';
	policy_free(parse_ok(text));
	text[CONF_FILE_MAX] = '\n';
	text[CONF_FILE_MAX + 1] = '\0';
	parse_bad(text, "t.conf:1: ", "file is over 65536 bytes");
	free(text);
}
END_TEST

START_TEST(list_may_have_256_entries_and_no_more)
{
	char text[1200] = R "action=deny\nuser = 1";

	for (int i = 1; i < POLICY_LIST_MAX; i++)
		strcat(text, ",1");
	policy_free(parse_ok(text));
	strcat(text, ",1\n");
	parse_bad(text, "t.conf:3: user: ", "over 256 entries");
}
END_TEST

START_TEST(policy_may_have_1024_rules_and_no_more)
{
	char *text = malloc(CONF_FILE_MAX);
	size_t n = 0;

	ck_assert_ptr_nonnull(text);
	for (int i = 0; i < POLICY_RULES_MAX; i++)
		n += (size_t)sprintf(text + n, "[rule %d]\naction=deny\n"
				     "user=any\n", i);
	policy_free(parse_ok(text));
	strcpy(text + n, "[rule x]\naction=deny\nuser=any\n");
	parse_bad(text, "t.conf:3073: ", "more than 1024 rules");
	free(text);
}
END_TEST

START_TEST(rule_name_may_have_47_bytes_and_no_more)
{
	char text[128];

	snprintf(text, sizeof(text), "[rule %047d]\naction=deny\nuser=any", 1);
	policy_free(parse_ok(text));
	snprintf(text, sizeof(text), "[rule %048d]\naction=deny\nuser=any", 1);
	parse_bad(text, "t.conf:1: ", "1 to 47 letters");
}
END_TEST

START_TEST(pattern_may_have_63_bytes_and_no_more)
{
	char text[160];

	snprintf(text, sizeof(text), R "action=deny\nuser=1\nname=%063d", 1);
	policy_free(parse_ok(text));
	snprintf(text, sizeof(text), R "action=deny\nuser=1\nname=%064d", 1);
	parse_bad(text, "t.conf:4: name: ", "over 63 bytes");
}
END_TEST

START_TEST(names_need_a_resolver_and_numbers_do_not)
{
	static const char named[] = R "action=deny\nuser = alice\n";
	static const char number[] = R "action=deny\nuser = 65534\n";
	struct policy *p = NULL;
	struct policy_fault fault = { "" };

	ck_assert_int_eq(policy_parse("t.conf", named, strlen(named), NULL,
				      NULL, &p, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "t.conf:3: user: "));
	ck_assert_ptr_nonnull(strstr(fault.text, "write the number"));
	ck_assert_int_eq(policy_parse("t.conf", number, strlen(number), NULL,
				      NULL, &p, NULL), 0);
	policy_free(p);
}
END_TEST

START_TEST(resolver_that_fails_is_told_with_its_errno)
{
	static const char text[] = R "action=deny\nuser = broken\n";
	struct policy *p = NULL;
	struct policy_fault fault = { "" };

	ck_assert_int_eq(policy_parse("t.conf", text, strlen(text), resolve,
				      NULL, &p, &fault), -EIO);
	ck_assert_ptr_null(p);
	ck_assert_ptr_nonnull(strstr(fault.text, "cannot be looked up"));
}
END_TEST

START_TEST(long_file_name_is_shown_by_its_end)
{
	char file[400], label[POLICY_LABEL_MAX + 1];
	struct policy *p = NULL;
	struct policy_fault fault = { "" };

	memset(file, 'd', sizeof(file));
	strcpy(file + 390, "\n9.conf");
	conf_label(label, file);
	ck_assert_uint_eq(strlen(label), POLICY_LABEL_MAX);
	ck_assert_int_eq(strncmp(label, "...d", 4), 0);
	ck_assert_str_eq(label + POLICY_LABEL_MAX - 7, "?9.conf");
	ck_assert_int_eq(policy_parse(file, "x", 1, NULL, NULL, &p, &fault),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "?9.conf:1: neither"));
}
END_TEST

static const struct {
	const char *from, *to;
} plains[] = {
	{ "tt0, J\xc3\xb6rg, \xe2\x82\xac, \xf0\x9f\x90\xa7",
	  "tt0, J\xc3\xb6rg, \xe2\x82\xac, \xf0\x9f\x90\xa7" },
	{ "\xc3\x9b\xc2\xa0", "\xc3\x9b\xc2\xa0" },
	{ "\033[2J\r\n\x7f", "?[2J???" },
	{ "\x9b" "2J", "?2J" },
	{ "\xc2\x9b" "2J", "??2J" },
	{ "\xc3", "?" },
	{ "\xe2\x82", "??" },
	{ "\xc3\033[2J", "??[2J" },
	{ "\xff\xfe", "??" },
	{ "\xe0\x82\x9b" "2J", "???2J" },	/* ESC [, in three bytes */
	{ "\xf0\x80\x82\x9b" "2J", "????2J" },
	{ "\xed\x9f\xbf\xed\xa0\x80", "\xed\x9f\xbf???" },
	{ "\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf????" },
};

START_TEST(no_terminal_obeys_a_files_name)
{
	char label[POLICY_LABEL_MAX + 1];

	conf_label(label, plains[_i].from);
	ck_assert_str_eq(label, plains[_i].to);
}
END_TEST

/* ---- folders ---- */

static char root[64];

static void make_root(void)
{
	strcpy(root, "/tmp/test_policy.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static const char *in_root(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, 256, "%s/%s", root, name);
	return path;
}

static void make_folder(const char *name)
{
	ck_assert_int_eq(mkdir(in_root(name), 0755), 0);
	ck_assert_int_eq(chmod(in_root(name), 0755), 0);
}

static void make_file(const char *name, const char *text)
{
	FILE *f = fopen(in_root(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(in_root(name), 0644), 0);
}

static int load(const char *a, const char *b, struct policy **ret,
		struct policy_fault *fault)
{
	const char *folders[2] = { in_root(a), b ? in_root(b) : NULL };
	unsigned there = 0;

	return policy_load(folders, b ? 2 : 1, &there, resolve, NULL, ret,
			   fault);
}

static void load_bad(const char *name, int err, const char *what)
{
	struct policy *p = NULL;
	struct policy_fault fault = { "" };
	int r = load(name, NULL, &p, &fault);

	ck_assert_msg(r == -err, "%d: %s", r, fault.text);
	ck_assert_ptr_null(p);
	ck_assert_msg(strstr(fault.text, what) != NULL, "%s", fault.text);
}

#define DENY_RULE(name)	"[rule " name "]\naction=deny\nuser=any\n"

START_TEST(missing_folder_is_empty)
{
	struct policy *p = NULL;

	ck_assert_int_eq(load("none", "neither", &p, NULL), 0);
	ck_assert_uint_eq(policy_n_rules(p), 0);
	policy_free(p);
}
END_TEST

static void keep(void *arg, const char *text)
{
	size_t n = strlen(arg);

	snprintf((char *)arg + n, 1000 - n, "%s\n", text);
}

START_TEST(folders_that_must_be_there_are)
{
	char none[256], a[256];
	const char *folders[2] = { none, a };
	struct policy_fault fault = { "" };
	struct policy *p = NULL;
	char warnings[1000] = "";
	unsigned there = 0;

	make_folder("a");
	strcpy(none, in_root("none"));
	strcpy(a, in_root("a"));
	ck_assert_int_eq(policy_load(folders, 2, &there, NULL, NULL, &p,
				     &fault), 0);
	ck_assert_uint_eq(there, 2);
	/* Nobody gets anything: that is said. */
	policy_warn(p, keep, warnings);
	ck_assert_ptr_nonnull(strstr(warnings, "no policy file"));
	ck_assert_ptr_nonnull(strstr(warnings, "/none (does not exist), "));
	ck_assert_ptr_nonnull(strstr(warnings, "/a\n"));
	policy_free(p);
	make_file("a/1.conf", DENY_RULE("a"));
	ck_assert_int_eq(policy_load(folders, 2, &there, NULL, NULL, &p,
				     &fault), 0);
	ck_assert_uint_eq(there, 2);
	warnings[0] = '\0';
	policy_warn(p, keep, warnings);
	ck_assert_ptr_null(strstr(warnings, "no policy file"));
	policy_free(p);
	p = NULL;
	/* What was there is there again, or it is a fault. */
	ck_assert_int_eq(rename(in_root("a"), in_root("b")), 0);
	ck_assert_int_eq(policy_load(folders, 2, &there, NULL, NULL, &p,
				     &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "/a: there is no such folder "
				     "any more"));
	ck_assert_uint_eq(there, 2);
	ck_assert_int_eq(rename(in_root("b"), in_root("a")), 0);
	there = POLICY_ALL_THERE;
	ck_assert_int_eq(policy_load(folders, 2, &there, NULL, NULL, &p,
				     &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "/none: there is no such "
				     "folder"));
	ck_assert_ptr_null(p);
}
END_TEST

START_TEST(own_files_of_a_user_are_warned_of)
{
	struct policy *p = NULL;
	char warnings[1000] = "";

	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a"));
	if (geteuid() == 0) {
		ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
		policy_warn(p, keep, warnings);
		ck_assert_str_eq(warnings, "");
		policy_free(p);
		ck_assert_int_eq(chmod(root, 0755), 0);
		ck_assert_int_eq(chown(in_root("a/1.conf"), 1234, 1234), 0);
		ck_assert_int_eq(seteuid(1234), 0);
	}
	ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
	policy_warn(p, keep, warnings);
	ck_assert_ptr_nonnull(strstr(warnings, "and not to root"));
	policy_free(p);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* Whose rule denies uid 1? */
static const char *first_rule(const struct policy *p)
{
	static struct policy_decision d;
	struct peer peer = { .uid = 1, .gid = 1 };
	struct policy_usage usage = { 0 };
	static struct wire_open ask;

	ask = (struct wire_open){ .layer = WIRE_TUN, .queues = 1 };
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &ask, &d),
			 -EACCES);
	return d.rule;
}

START_TEST(files_come_in_the_order_of_their_names_over_all_folders)
{
	struct policy *p = NULL;
	char expected[300];

	make_folder("a");
	make_folder("b");
	make_file("a/20-x.conf", DENY_RULE("a20"));
	make_file("b/10-x.conf", "\n" DENY_RULE("b10"));
	make_file("a/30-x.conf", DENY_RULE("a30"));
	ck_assert_int_eq(load("a", "b", &p, NULL), 0);
	ck_assert_uint_eq(policy_n_rules(p), 3);
	snprintf(expected, sizeof(expected), "%s:3", in_root("b/10-x.conf"));
	ck_assert_str_eq(first_rule(p), expected);
	policy_free(p);
}
END_TEST

START_TEST(file_of_a_later_folder_replaces_its_namesake)
{
	struct policy *p = NULL;
	char expected[300];

	make_folder("a");
	make_folder("b");
	make_file("a/10-x.conf", "this one is wrong but replaced");
	make_file("b/10-x.conf", DENY_RULE("b"));
	ck_assert_int_eq(load("a", "b", &p, NULL), 0);
	ck_assert_uint_eq(policy_n_rules(p), 1);
	snprintf(expected, sizeof(expected), "%s:2", in_root("b/10-x.conf"));
	ck_assert_str_eq(first_rule(p), expected);
	policy_free(p);
}
END_TEST

START_TEST(only_visible_conf_files_are_read)
{
	struct policy *p = NULL;

	make_folder("a");
	make_file("a/.10.conf", "junk");
	make_file("a/10.conf~", "junk");
	make_file("a/README", "junk");
	make_file("a/.conf", "junk");
	make_file("a/1.conf", DENY_RULE("a"));
	ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
	ck_assert_uint_eq(policy_n_rules(p), 1);
	policy_free(p);
}
END_TEST

START_TEST(rule_name_is_unique_over_files)
{
	make_folder("a");
	make_file("a/1.conf", DENY_RULE("same"));
	make_file("a/2.conf", "\n" DENY_RULE("same"));
	load_bad("a", EINVAL, "a/2.conf:2: there is a rule same already, in ");
	load_bad("a", EINVAL, "a/1.conf:1;");
}
END_TEST

START_TEST(section_does_not_reach_into_the_next_file)
{
	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a"));
	make_file("a/2.conf", "kind = tun\n");
	load_bad("a", EINVAL, "a/2.conf:1: kind: it is in no section");
}
END_TEST

START_TEST(file_writable_by_others_is_refused)
{
	static const mode_t modes[] = { 0664, 0646, 0666 };

	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a"));
	for (size_t i = 0; i < COUNT(modes); i++) {
		ck_assert_int_eq(chmod(in_root("a/1.conf"), modes[i]), 0);
		load_bad("a", EPERM, "it is writable by others; chmod go-w /");
	}
}
END_TEST

START_TEST(folder_writable_by_others_is_refused)
{
	make_folder("a");
	ck_assert_int_eq(chmod(in_root("a"), 0775), 0);
	load_bad("a", EPERM, "/a: it is writable by others; chmod go-w /");
	ck_assert_int_eq(chmod(in_root("a"), 01777), 0);
	load_bad("a", EPERM, "/a: it is writable by others");
}
END_TEST

/* Only root can give files away; others find one that is root's. */
START_TEST(file_or_folder_of_another_user_is_refused)
{
	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a"));
	if (geteuid() != 0) {
		struct policy *p = NULL;

		ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
		policy_free(p);
		return;
	}
	ck_assert_int_eq(chown(in_root("a/1.conf"), 4242, 0), 0);
	load_bad("a", EPERM, "a/1.conf: it belongs to uid 4242; chown root ");
	ck_assert_int_eq(chown(in_root("a/1.conf"), 0, 0), 0);
	ck_assert_int_eq(chown(in_root("a"), 4242, 0), 0);
	load_bad("a", EPERM, "/a: it belongs to uid 4242; chown root ");
}
END_TEST

START_TEST(symbolic_links_are_refused)
{
	make_folder("a");
	make_file("real", DENY_RULE("a"));
	ck_assert_int_eq(symlink(in_root("real"), in_root("a/1.conf")), 0);
	load_bad("a", ELOOP, "a/1.conf: it is a symbolic link");
	ck_assert_int_eq(symlink(in_root("a"), in_root("b")), 0);
	load_bad("b", ENOTDIR, "/b: cannot be opened as a folder");
}
END_TEST

START_TEST(fifo_and_folder_are_no_policy_files)
{
	make_folder("a");
	ck_assert_int_eq(mkfifo(in_root("a/1.conf"), 0644), 0);
	load_bad("a", EINVAL, "a/1.conf: it is not a regular file");
	ck_assert_int_eq(unlink(in_root("a/1.conf")), 0);
	make_folder("a/1.conf");
	load_bad("a", EINVAL, "a/1.conf: it is not a regular file");
}
END_TEST

START_TEST(file_is_no_folder)
{
	make_file("a", "");
	load_bad("a", ENOTDIR, "/a: cannot be opened as a folder");
}
END_TEST

START_TEST(fault_in_a_file_names_its_path)
{
	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a") "mtu = 5\n");
	load_bad("a", EINVAL, "a/1.conf:4: mtu: 5 is out of bounds");
}
END_TEST

START_TEST(long_file_is_refused_whole)
{
	char *text = malloc(CONF_FILE_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', CONF_FILE_MAX + 1);
	text[CONF_FILE_MAX + 1] = '\0';
	make_folder("a");
	make_file("a/1.conf", text);
	load_bad("a", EINVAL, "a/1.conf:1: the file is over 65536 bytes");
	free(text);
}
END_TEST

START_TEST(folders_may_hold_256_files_and_no_more)
{
	struct policy *p = NULL;
	char name[32];

	make_folder("a");
	for (int i = 0; i < CONF_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "a/%d.conf", i);
		make_file(name, "");
	}
	ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
	policy_free(p);
	make_file("a/x.conf", "");
	load_bad("a", E2BIG, "/a: more than 256 policy files");
}
END_TEST

START_TEST(there_may_be_8_folders_and_no_more)
{
	const char *folders[CONF_FOLDERS_MAX + 1];
	struct policy *p = NULL;
	struct policy_fault fault = { "" };
	unsigned there = 0;

	for (size_t i = 0; i < COUNT(folders); i++)
		folders[i] = in_root("none");
	ck_assert_int_eq(policy_load(folders, CONF_FOLDERS_MAX, &there, NULL,
				     NULL, &p, NULL), 0);
	policy_free(p);
	ck_assert_int_eq(policy_load(folders, CONF_FOLDERS_MAX + 1, &there,
				     NULL, NULL, &p, &fault), -E2BIG);
	ck_assert_ptr_nonnull(strstr(fault.text, "more than 8"));
}
END_TEST

START_TEST(socket_cannot_be_opened)
{
	make_folder("a");
	ck_assert_int_eq(mknod(in_root("a/1.conf"), S_IFSOCK | 0644, 0), 0);
	load_bad("a", ENXIO, "a/1.conf: cannot be opened: ");
}
END_TEST

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

START_TEST(loading_keeps_no_fd)
{
	struct policy *p = NULL;
	unsigned before = open_fds();

	make_folder("a");
	make_file("a/1.conf", DENY_RULE("a"));
	ck_assert_int_eq(load("a", NULL, &p, NULL), 0);
	policy_free(p);
	ck_assert_uint_eq(open_fds(), before);
	make_file("a/2.conf", "junk");
	load_bad("a", EINVAL, "a/2.conf:1: ");
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(chmod(in_root("a/2.conf"), 0666), 0);
	load_bad("a", EPERM, "a/2.conf: ");
	ck_assert_int_eq(chmod(in_root("a"), 0777), 0);
	load_bad("a", EPERM, "/a: ");
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

/* ---- names ---- */

START_TEST(names_that_an_interface_may_have)
{
	static const char *const good[] = {
		"t", "tun0", "vpn-1042_a.b", "123456789012345", "lo0", "LO",
		"...", "alls",
	};

	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(name_fault(good[i]) == NULL, "%s", good[i]);
}
END_TEST

START_TEST(names_that_an_interface_may_not_have)
{
	static const char *const bad[] = {
		"", "1234567890123456", "a/b", "/", "a b", "a\tb", "a\n", "a%d",
		"%", "a:b", "a\xff", "\xc3\xbc", "a\x01", "a\x7f", "lo", "all",
		"default", ".", "..", "a\v", "a\f", "a\r", "a\\b", "a+b",
		"a@b", "a=b", "~", "a!", "a,b", "a;", "'", "a(b)", "$x",
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(name_fault(bad[i]) != NULL, "%s", bad[i]);
}
END_TEST

START_TEST(pattern_takes_the_uid)
{
	ck_assert(pattern_matches("vpn%u-*", 1042, "vpn1042-0"));
	ck_assert(pattern_matches("vpn%u-*", 1042, "vpn1042-"));
	ck_assert(!pattern_matches("vpn%u-*", 1042, "vpn1043-0"));
	ck_assert(!pattern_matches("vpn%u-*", 104, "vpn1042-0"));
	ck_assert(pattern_matches("%u%u", 4294967294u,
				  "42949672944294967294"));
	ck_assert(pattern_matches("tun[0-9]", 1, "tun7"));
	ck_assert(!pattern_matches("tun[0-9]", 1, "tun10"));
	ck_assert(!pattern_matches("tun[!0-9]", 1, "tun1"));
	ck_assert(pattern_matches("t?", 1, "tx"));
	ck_assert(!pattern_matches("t?", 1, "t"));
	ck_assert(!pattern_matches("tun", 1, "tun0"));
	ck_assert(pattern_matches("*", 1, "..."));
}
END_TEST

static const struct others nobodys = OTHERS_NONE;

/* The first *arg names are. */
static bool some_taken(void *arg, const char *name)
{
	unsigned *n = arg;

	ck_assert_ptr_null(name_fault(name));
	return (*n)-- != 0;
}

START_TEST(candidates_of_a_pattern_in_order)
{
	static const struct {
		const char *pattern;
		unsigned k;
		const char *name;	/* NULL: there are no more */
	} cases[] = {
		{ "tun0", 0, "tun0" }, { "tun0", 1, NULL },
		{ "tun*", 0, "tun0" }, { "tun*", 11, "tun11" },
		{ "*", 3, "3" }, { "*-x", 12, "12-x" },
		{ "a*b*", 5, "a5b" },
		{ "t%u-*", 2, "t1042-2" },
		{ "tun[0-3]", 3, "tun3" }, { "tun[0-3]", 4, NULL },
		{ "t[ba]", 0, "ta" }, { "t[ba]", 1, "tb" },
		{ "t[!0-9]", 0, "ta" },
		{ "t??", 0, "t00" }, { "t??", 12, "t12" },
		{ "t??", 99, "t99" }, { "t??", 100, NULL },
		{ "[ab]x[01]", 0, "ax0" }, { "[ab]x[01]", 1, "ax1" },
		{ "[ab]x[01]", 2, "bx0" }, { "[ab]x[01]", 4, NULL },
		{ "[01]*", 3, "11" },
		{ "[*a]", 0, "a" }, { "[*a]", 1, NULL },
		/* 15 bytes, and the reserved ones left out */
		{ "aaaaaaaaaaaaaa*", 9, "aaaaaaaaaaaaaa9" },
		{ "aaaaaaaaaaaaaa*", 10, NULL },
		{ "aaaaaaaaaaaaaa[01]", 1, "aaaaaaaaaaaaaa1" },
		{ "aaaaaaaaaaaaaaa", 0, "aaaaaaaaaaaaaaa" },
		{ "l[no]", 0, "ln" }, { "l[no]", 1, NULL },
		{ "[.a]", 0, "a" }, { "[.a]", 1, NULL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char name[WIRE_NAME_MAX + 1] = "untouched";
		unsigned k = cases[i].k;
		int r = pattern_choose(cases[i].pattern, 1042, &nobodys,
				       some_taken, &k, name);

		ck_assert_ptr_null(pattern_fault(cases[i].pattern));
		ck_assert_msg(r == (cases[i].name ? 0 : -EEXIST), "%s %u",
			      cases[i].pattern, cases[i].k);
		ck_assert_str_eq(name, cases[i].name ? cases[i].name
						     : "untouched");
		if (r == 0)
			ck_assert(pattern_matches(cases[i].pattern, 1042,
						  name));
	}
}
END_TEST

START_TEST(pattern_that_makes_no_name)
{
	static const char *const none[] = {
		"aaaaaaaaaaaaaaa*", "aaaaaaaaaaaaaaaa", "lo", "all", "%u%u%u%u",
		"aaaaaaaaaaaaaaaa[0-9]",
	};
	char name[WIRE_NAME_MAX + 1];
	unsigned k = 0;

	for (size_t i = 0; i < COUNT(none); i++)
		ck_assert_int_eq(pattern_choose(none[i], 1042, &nobodys,
						some_taken, &k, name),
				 -ENOENT);
}
END_TEST

START_TEST(tries_for_a_name_are_bounded)
{
	char name[WIRE_NAME_MAX + 1];
	unsigned k = POLICY_NAME_TRIES - 1;

	ck_assert_int_eq(pattern_choose("t*", 1, &nobodys, some_taken, &k,
					name), 0);
	ck_assert_str_eq(name, "t16383");
	k = POLICY_NAME_TRIES;
	ck_assert_int_eq(pattern_choose("t*", 1, &nobodys, some_taken, &k,
					name), -EEXIST);
}
END_TEST

/* Is the name that the pattern `chosen` begins with another's? */
static bool is_others(const char *pattern, const char *name)
{
	struct others others = OTHERS_NONE;
	char ret[WIRE_NAME_MAX + 1];
	unsigned none = 0;
	int r;

	ck_assert_int_eq(others_add(&others, pattern, 7, name), 0);
	r = pattern_choose(name, 7, &others, some_taken, &none, ret);
	ck_assert(r == 0 || r == -EPERM);
	others_free(&others);
	return r == -EPERM;
}

START_TEST(names_of_others_are_those_that_match)
{
	static const char *const patterns[] = {
		"*", "**", "a*", "*a", "*a*b", "a*b*c", "?", "??", "???*",
		"a?c", "[a-c]*", "[!a]*", "[^a]*", "*[0-9]", "ab", "abc",
		"a[.]c", "[a-]*", "t%u*", "%u", "*%u*", "a**c",
		"?*?", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaa",
		"*ab*b", "a?????????????*", "[A-Z]*",
	};
	static const char *const names[] = {
		"a", "b", "ab", "abc", "aabb", "abcabc", "aXbYc", "a.c", "-",
		"aabab",
		"7", "t7", "t70", "x77", "a1", "ABC", "aaaaaaaaaaaaaaa", "..a",
	};

	for (size_t i = 0; i < COUNT(patterns); i++)
		for (size_t j = 0; j < COUNT(names); j++)
			ck_assert_msg(is_others(patterns[i], names[j]) ==
				      pattern_matches(patterns[i], 7, names[j]),
				      "%s %s", patterns[i], names[j]);
}
END_TEST

START_TEST(comparisons_for_a_name_are_bounded)
{
	struct others others = OTHERS_NONE;
	char name[WIRE_NAME_MAX + 1];
	unsigned none = 0;

	for (int i = 0; i < POLICY_NAME_OTHERS; i++)
		ck_assert_int_eq(others_add(&others, "t*x", 1, "t*"), 0);
	ck_assert_int_eq(others_add(&others, "u*", 1, "t*"), 0);
	ck_assert_int_eq(others_add(&others, "t*x", 1, "t*"), -E2BIG);
	ck_assert_int_eq(pattern_choose("t*", 1, &others, some_taken, &none,
					name), 0);
	/* No more comparisons than for so many. */
	none = POLICY_NAME_MATCHES / POLICY_NAME_OTHERS - 1;
	ck_assert_int_eq(pattern_choose("t*", 1, &others, some_taken, &none,
					name), -EEXIST);
	others_free(&others);
}
END_TEST

/* ---- requests, whatever the policy says ---- */

static struct wire_open ask, out;
static struct policy_decision decision;
static struct peer peer;
static struct policy_usage usage;
static gid_t groups[] = { 30, 40 };

static void fresh(void)
{
	memset(&ask, 0, sizeof(ask));
	ask.layer = WIRE_TUN;
	ask.queues = 1;
	peer = (struct peer){ .uid = 1042, .gid = 20, .groups = groups,
			      .n_groups = COUNT(groups), .pid = 1 };
	usage = (struct policy_usage){ 0 };
	memset(&decision, 0x55, sizeof(decision));
}

static struct prefix prefix(const char *text)
{
	struct prefix p = { 0 };

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct wire_address *add_address(const char *local, const char *far)
{
	struct wire_address *a = &ask.addresses[ask.n_addresses++];

	*a = (struct wire_address){ .local = prefix(local) };
	if (far)
		a->peer = prefix(far);
	return a;
}

static struct wire_route *add_route(const char *dst, const char *gateway,
				    uint32_t metric)
{
	struct wire_route *r = &ask.routes[ask.n_routes++];

	*r = (struct wire_route){ .dst = prefix(dst), .metric = metric };
	if (gateway)
		r->gateway = prefix(gateway);
	return r;
}

/* Everything that a policy can give. */
#define WIDE "[rule wide]\naction=allow\nuser=any\nkind=tun,tap\nname=*\n" \
	"address=0.0.0.0/0,::/0\nroute=0.0.0.0/0,::/0\nmetric=1-\n" \
	"max-devices=65535\nmax-queues=64\nmax-addresses=64\n" \
	"max-routes=256\noffload=yes\nmac=chosen\n"

#define DEFAULT_ROUTE WIDE "default-route=yes\n"

static int decide(const char *text)
{
	struct policy *p = parse_ok(text);
	int r;

	memset(&out, 0x66, sizeof(out));
	r = policy_decide(p, &peer, &ask, &usage, &out, &decision);
	policy_free(p);
	return r;
}

static void allowed(const char *text, const char *rule)
{
	int r = decide(text);

	ck_assert_msg(r == 0, "%d: %s", r, decision.text);
	ck_assert_int_eq((int)decision.code, 0);
	ck_assert_str_eq(decision.text, "");
	ck_assert_str_eq(decision.rule, rule);
}

static void refused(const char *text, enum wire_error code, const char *step,
		    const char *rule, const char *what)
{
	struct wire_open untouched;
	int r = decide(text);

	memset(&untouched, 0x66, sizeof(untouched));
	ck_assert_msg(r == -wire_error_errno((uint16_t)code), "%d: %s", r,
		      r ? decision.text : "allowed");
	ck_assert_uint_eq(decision.code, code);
	ck_assert_str_eq(decision.step, step);
	ck_assert_str_eq(decision.rule, rule);
	ck_assert_msg(strstr(decision.text, what) != NULL,
		      "`%s` does not say `%s`", decision.text, what);
	ck_assert_int_eq(memcmp(&out, &untouched, sizeof(out)), 0);
}

static void invalid(const char *what)
{
	refused(WIDE, WIRE_E_INVALID, "request", "", what);
	/* Nothing to allow it: the answer is the same. */
	refused("", WIRE_E_INVALID, "request", "", what);
	fresh();
}

static void is_fine(void)
{
	allowed(WIDE, "t.conf:1");
	fresh();
}

START_TEST(layers_flags_and_vnet_hdr)
{
	ask.layer = 1;
	invalid("layer 1 is neither");
	ask.layer = 4;
	invalid("layer 4 is neither");
	ask.layer = WIRE_TAP;
	is_fine();
	ask.flags = WIRE_OPEN_DOWN;
	is_fine();
	ask.flags = WIRE_OPEN_DOWN;
	add_route("10.1.0.0/16", NULL, 0);
	is_fine();
	ask.flags = 4;
	invalid("open flags 0x4");
	ask.vnet_hdr = 1;
	is_fine();
	ask.vnet_hdr = 3;
	invalid("vnet_hdr 3");
	ask.txqueuelen = POLICY_TXQUEUELEN_MAX;
	is_fine();
	ask.txqueuelen = POLICY_TXQUEUELEN_MAX + 1;
	invalid("queue length of 10001");
}
END_TEST

START_TEST(queues_from_1_to_64)
{
	ask.queues = 0;
	invalid("0 queues");
	ask.queues = 64;
	is_fine();
	ask.queues = 65;
	invalid("65 queues");
}
END_TEST

START_TEST(mtu_from_68_to_65535_and_1280_with_ipv6)
{
	static const uint32_t good[] = { 0, 68, 69, 65535 };
	static const uint32_t bad[] = { 1, 67, 65536, UINT32_MAX };

	for (size_t i = 0; i < COUNT(good); i++) {
		ask.mtu = good[i];
		is_fine();
		ask.mtu = bad[i];
		invalid("is outside 68-65535");
	}
	ask.mtu = 1279;
	add_address("10.0.0.1/24", NULL);
	add_route("10.1.0.0/16", NULL, 0);
	is_fine();
	ask.mtu = 1279;
	add_address("fd00::1/64", NULL);
	invalid("MTU 1279 is below the 1280");
	ask.mtu = 1279;
	add_route("fd00::/64", NULL, 0);
	invalid("MTU 1279 is below the 1280");
	ask.mtu = 1280;
	add_address("fd00::1/64", NULL);
	add_route("fd01::/64", NULL, 0);
	is_fine();
}
END_TEST

START_TEST(bad_names_are_told_without_their_bytes)
{
	strcpy(ask.name, "a/b");
	invalid("`a/b` cannot be a device's name: it has a /");
	strcpy(ask.name, "a%d");
	invalid("it has a %");
	strcpy(ask.name, "a\xff\x1b");
	invalid("`a??` cannot");
	strcpy(ask.name, "lo");
	invalid("it is reserved");
	memset(ask.name, 'a', sizeof(ask.name));
	invalid("over 15 bytes");
	strcpy(ask.name, "123456789012345");
	is_fine();
}
END_TEST

START_TEST(mac_is_a_taps_and_unicast)
{
	static const uint8_t good[6] = { 2, 0, 0, 0, 0, 1 };

	ask.flags = WIRE_OPEN_MAC_SET;
	memcpy(ask.mac, good, 6);
	invalid("a TUN has no MAC");
	ask.layer = WIRE_TAP;
	ask.flags = WIRE_OPEN_MAC_SET;
	memcpy(ask.mac, good, 6);
	is_fine();
	ask.layer = WIRE_TAP;
	ask.flags = WIRE_OPEN_MAC_SET;
	invalid("00:00:00:00:00:00");
	ask.layer = WIRE_TAP;
	ask.flags = WIRE_OPEN_MAC_SET;
	ask.mac[0] = 3;
	invalid("MAC 03:... is a group's");
}
END_TEST

/* Prefixes in order of what is said of them as address and as route. */
static const struct {
	const char *address, *route, *what;
} no_prefixes[] = {
	{ "127.0.0.1/8", "127.0.0.0/8", "(loopback)" },
	{ "127.1.2.3/32", "127.1.2.3/32", "(loopback)" },
	{ "127.0.0.1/1", "127.0.0.0/9", "(loopback)" },
	{ "127.255.255.255/32", "127.128.0.0/9", "(loopback)" },
	{ "::1/128", "::1/128", "(loopback)" },
	{ "::1/0", "::1/128", "(loopback)" },
	{ "0.0.0.0/32", "0.0.0.0/8", "(this network)" },
	{ "0.1.2.3/8", "0.1.0.0/16", "(this network)" },
	{ "224.0.0.1/24", "224.0.0.0/4", "(multicast)" },
	{ "239.255.255.255/32", "239.0.0.0/8", "(multicast)" },
	{ "255.255.255.255/32", "255.255.255.255/32", "(broadcast)" },
	{ "255.255.0.1/16", "255.0.0.0/8", "(broadcast)" },
	{ "::/128", "::/128", "(unspecified)" },
	{ "::2/64", "::/64", "covers ::/128 (unspecified)" },
	{ "::2/127", "::ffff:0:0/95", "" },
	{ "ff02::1/64", "ff00::/8", "(multicast)" },
	{ "ffff::1/128", "ff02::/16", "(multicast)" },
	{ "::ffff:10.0.0.1/128", "::ffff:0:0/96", "(IPv4-mapped)" },
	{ "::ffff:10.0.0.1/96", "::ffff:10.0.0.0/104", "(IPv4-mapped)" },
	{ "::ffff:200.0.0.1/128", "::ffff:128.0.0.0/97", "(IPv4-mapped)" },
	{ "::fffe:1:1/64", "::fffe:0:0/95", "covers " },
};

START_TEST(forbidden_ranges_as_address_peer_route_and_gateway)
{
	const char *what = no_prefixes[_i].what;
	const char *address = no_prefixes[_i].address;
	bool v6 = strchr(address, ':');
	struct prefix host;

	add_route(no_prefixes[_i].route, NULL, 0);
	invalid(what);
	if (!*what)
		return;
	add_address(address, NULL);
	invalid(what);
	add_address(v6 ? "fd00::1/128" : "10.0.0.1/32", address);
	invalid(what);
	/* A gateway has full length and so covers nothing. */
	host = prefix(address);
	host = prefix_host(&host);
	add_route(v6 ? "fd00::/64" : "10.0.0.0/8", NULL, 0)->gateway = host;
	if (strncmp(what, "covers", 6) == 0 ||
	    strcmp(address, "255.255.0.1/16") == 0)
		is_fine();
	else
		invalid(what);
}
END_TEST

START_TEST(neighbours_of_forbidden_ranges_are_fine)
{
	static const char *const good[] = {
		"1.0.0.0/8", "126.0.0.0/8", "128.0.0.0/8", "223.0.0.0/8",
		"240.0.0.0/8", "254.0.0.0/8", "255.255.255.254/32", "fe00::/16",
		"fe80::/64", "::2/128", "::fffe:0:0/96", "::1:0:0:0/80",
		"1::/16",
	};

	for (size_t i = 0; i < COUNT(good); i++) {
		add_route(good[i], NULL, 0);
		is_fine();
		add_address(good[i], NULL);
		is_fine();
	}
}
END_TEST

START_TEST(default_routes_take_a_key_of_their_own)
{
	static const struct {
		const char *address, *route;
	} cases[] = {
		{ "10.0.0.1/0", "0.0.0.0/0" }, { "10.0.0.1/1", "0.0.0.0/1" },
		{ "10.0.0.1/1", "128.0.0.0/1" }, { "10.0.0.1/7", "10.0.0.0/7" },
		{ "200.0.0.1/3", "192.0.0.0/3" }, { "fd00::1/0", "::/0" },
		{ "fd00::1/1", "8000::/1" }, { "fd00::1/15", "fd00::/15" },
		{ "2001::1/3", "2000::/3" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		bool v6 = strchr(cases[i].address, ':');

		add_route(cases[i].route, NULL, 0);
		refused(WIDE, WIRE_E_POLICY, "policy", "t.conf:1",
			"is a default route, or the most of one");
		refused(WIDE "default-route = no\n", WIRE_E_POLICY, "policy",
			"t.conf:15", "`default-route = yes`");
		allowed(DEFAULT_ROUTE, "t.conf:1");
		fresh();
		/* No key lets an address open such a network. */
		add_address(cases[i].address, NULL);
		refused(DEFAULT_ROUTE, WIRE_E_POLICY, "policy", "",
			v6 ? "/16 or longer" : "/8 or longer");
		fresh();
		add_address(v6 ? "fd00::1/128" : "10.0.0.9/32",
			    cases[i].address);
		refused(DEFAULT_ROUTE, WIRE_E_POLICY, "policy", "", "peer ");
		fresh();
	}
	add_address("10.0.0.1/8", NULL);
	add_address("fd00::1/16", NULL);
	is_fine();
	/* The whole of what is forbidden stays so. */
	add_route("224.0.0.0/4", NULL, 0);
	refused(DEFAULT_ROUTE, WIRE_E_INVALID, "request", "", "multicast");
	fresh();
	add_route("ff00::/8", NULL, 0);
	refused(DEFAULT_ROUTE, WIRE_E_INVALID, "request", "", "multicast");
	fresh();
	/* It must still be inside `route =`. */
	add_route("0.0.0.0/0", NULL, 0);
	refused("[rule r]\naction=allow\nuser=any\nkind=tun\nname=*\n"
		"default-route=yes\nroute=0.0.0.0/1\n", WIRE_E_POLICY, "policy",
		"t.conf:7", "not inside");
	fresh();
	/* A long route may cover nothing that is forbidden, as before. */
	add_route("240.0.0.0/8", NULL, 0);
	allowed(DEFAULT_ROUTE, "t.conf:1");
	fresh();
	add_route("255.0.0.0/8", NULL, 0);
	refused(DEFAULT_ROUTE, WIRE_E_INVALID, "request", "", "broadcast");
}
END_TEST

static const struct {
	const char *routes[10];	/* until NULL */
	const char *address;	/* or NULL */
	const char *covered;	/* what they make together; NULL: nothing */
} covers[] = {
	{ { "10.0.0.0/8", "11.0.0.0/8" }, NULL, "10.0.0.0/7" },
	{ { "11.0.0.0/8", "12.0.0.0/8" }, NULL, NULL },
	{ { "10.0.0.0/8", "11.0.0.0/9", "11.128.0.0/9" }, NULL, "10.0.0.0/7" },
	{ { "10.0.0.0/8", "11.0.0.0/9", "11.128.0.0/10" }, NULL, NULL },
	{ { "11.128.0.0/9", "10.128.0.0/9", "11.0.0.0/9", "10.0.0.0/9" }, NULL,
	  "10.0.0.0/7" },
	{ { "10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12",
	    "10.240.0.0/12", "11.0.0.0/8", "12.0.0.0/8" }, NULL, "10.0.0.0/7" },
	{ { "10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12",
	    "11.0.0.0/8" }, NULL, NULL },
	{ { "10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16" }, NULL, NULL },
	{ { "11.0.0.0/8" }, "10.0.0.1/8", "10.0.0.0/7" },
	{ { "11.0.0.0/8" }, "10.0.0.1/9", NULL },
	{ { "fd00::/16", "fd01::/16" }, NULL, "fd00::/15" },
	{ { "fd01::/16", "fd02::/16" }, NULL, NULL },
	{ { "fd00::/16", "fd01::/17", "fd01:8000::/17" }, NULL, "fd00::/15" },
	{ { "fd00::/16", "fd01::/17", "fd01:8000::/18" }, NULL, NULL },
	{ { "fd01::/16" }, "fd00::1/16", "fd00::/15" },
	{ { "10.0.0.0/8", "fd01::/16" }, NULL, NULL },
	/* The same bytes in another family, and what is met at the very end. */
	{ { "32.0.0.0/8", "2100::/16" }, NULL, NULL },
	{ { "2001::/16", "33.0.0.0/8", "32.0.0.0/8" }, NULL, "32.0.0.0/7" },
	{ { "fe01::/16", "10.0.0.0/8", "fe00::/16" }, NULL, "fe00::/15" },
	/* In any order, whatever lies inside of another. */
	{ { "10.0.0.0/8", "11.0.0.0/9", "11.0.0.0/8" }, NULL, "10.0.0.0/7" },
	{ { "10.0.0.0/8", "11.0.0.0/9" }, "11.200.0.1/8", "10.0.0.0/7" },
	{ { "10.0.0.0/10", "10.128.0.0/10", "10.64.0.0/10", "10.192.0.0/10",
	    "11.0.0.0/8" }, NULL, "10.0.0.0/7" },
	/* Twice, and inside of another, is not more. */
	{ { "10.0.0.0/8", "10.0.0.0/10", "10.64.0.0/10", "10.128.0.0/9" },
	  "10.1.0.1/8", NULL },
	{ { "11.0.0.0/8", "10.128.0.0/9", "10.64.0.0/10" }, "10.1.0.1/10",
	  "10.0.0.0/7" },
	{ { "8.0.0.0/8", "9.0.0.0/9", "9.192.0.0/10" }, "10.1.0.1/8", NULL },
};

START_TEST(routes_may_not_make_a_default_route_together)
{
	const char *const *route = covers[_i].routes;

	for (; *route; route++)
		add_route(*route, NULL, 0);
	if (covers[_i].address)
		add_address(covers[_i].address, NULL);
	if (covers[_i].covered)
		refused(WIDE, WIRE_E_POLICY, "policy", "t.conf:1",
			covers[_i].covered);
	else
		allowed(WIDE, "t.conf:1");
	allowed(DEFAULT_ROUTE, "t.conf:1");
}
END_TEST

/* Whom an address opens a network to is its peer, where it has one. */
START_TEST(the_network_of_a_peer_counts)
{
	add_route("11.0.0.0/8", NULL, 0);
	add_address("1.0.0.1/32", "10.0.0.1/8");
	refused(WIDE, WIRE_E_POLICY, "policy", "t.conf:1", "10.0.0.0/7");
	fresh();
	add_route("11.0.0.0/8", NULL, 0);
	add_address("10.0.0.1/32", "1.0.0.1/8");
	is_fine();
}
END_TEST

/* The most that a request holds, of which none makes it easy. */
START_TEST(the_largest_cover_is_found)
{
	char text[32];

	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++) {
		snprintf(text, sizeof(text), "10.%u.0.0/16", i);
		add_route(text, NULL, 0);
	}
	allowed(WIDE, "t.conf:1");
	ask.routes[255].dst.ip[0] = 11;
	ask.routes[255].dst.ip[1] = 0;
	ask.routes[255].dst.len = 8;
	allowed(WIDE, "t.conf:1");
	add_address("10.255.0.1/16", NULL);
	refused(WIDE, WIRE_E_POLICY, "policy", "t.conf:1", "10.0.0.0/7");
}
END_TEST

START_TEST(a_default_route_and_its_half_are_the_same_route)
{
	static const char *const pairs[][2] = {
		{ "0.0.0.0/0", "0.0.0.0/1" }, { "128.0.0.0/1", "0.0.0.0/0" },
		{ "::/0", "8000::/1" }, { "::/1", "::/0" },
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		add_route(pairs[i][0], NULL, 1000);
		add_route(pairs[i][1], NULL, 1000);
		refused(DEFAULT_ROUTE, WIRE_E_INVALID, "request", "",
			"asked for twice");
		ask.routes[1].metric = 1001;
		allowed(DEFAULT_ROUTE, "t.conf:1");
		fresh();
	}
	/* Quarters are other routes, and so is what is of another family. */
	add_route("128.0.0.0/2", NULL, 1000);
	add_route("0.0.0.0/0", NULL, 1000);
	add_route("::/0", NULL, 1000);
	add_route("0.0.0.0/2", NULL, 1000);
	allowed(DEFAULT_ROUTE, "t.conf:1");
	fresh();
	add_route("0.0.0.0/0", NULL, 1000);
	add_route("::/1", NULL, 1000);
	add_route("8000::/1", NULL, 1000);
	allowed(DEFAULT_ROUTE, "t.conf:1");
	fresh();
	/* The halves are two routes. */
	add_route("0.0.0.0/1", NULL, 0);
	add_route("128.0.0.0/1", NULL, 0);
	add_route("::/1", NULL, 0);
	add_route("8000::/1", NULL, 0);
	allowed(DEFAULT_ROUTE, "t.conf:1");
	fresh();
	/* Metric 0 is the rule's lowest, 1. */
	add_route("0.0.0.0/0", NULL, 0);
	add_route("128.0.0.0/1", NULL, 1);
	refused(DEFAULT_ROUTE, WIRE_E_INVALID, "request", "",
		"asked for twice");
}
END_TEST

/*
 * What is asked for later is judged as the device that it would make, without
 * that device among what there is.
 */
START_TEST(a_later_change_is_judged_as_the_whole_device)
{
	static const char one[] = "[rule one]\naction=allow\nuser=any\n"
		"kind=tun\nname=vpn*\nroute=0.0.0.0/0\nmax-devices=1\n";

	strcpy(ask.name, "vpn3");
	add_route("10.0.0.0/8", NULL, 0);
	allowed(one, "t.conf:1");
	ck_assert_str_eq(out.name, "vpn3");
	/* Alone the second one would do as well. */
	ask.routes[0].dst = prefix("11.0.0.0/8");
	allowed(one, "t.conf:1");
	add_route("10.0.0.0/8", NULL, 0);
	refused(one, WIRE_E_POLICY, "policy", "t.conf:1", "10.0.0.0/7");
	/* The rule may have changed since. */
	ask.n_routes = 1;
	strcpy(ask.name, "tun3");
	refused(one, WIRE_E_POLICY, "policy", "", "no rule lets uid");
}
END_TEST

START_TEST(shadow_is_told)
{
	allowed(WIDE, "t.conf:1");
	ck_assert(!decision.terms.shadow);
	allowed(WIDE "shadow = no\n", "t.conf:1");
	ck_assert(!decision.terms.shadow);
	allowed(WIDE "shadow = yes\n", "t.conf:1");
	ck_assert(decision.terms.shadow);
	/* A refusal gives nothing. */
	ask.mtu = POLICY_MTU_MAX;
	refused(WIDE "shadow = yes\nmtu = 1500\n", WIRE_E_POLICY, "policy",
		"t.conf:16", "MTU");
	ck_assert(!decision.terms.shadow);
}
END_TEST

START_TEST(addresses_are_single_whole_and_known)
{
	ask.n_addresses = 1;
	invalid("address 1 is none");
	add_address("10.0.0.1/24", NULL)->local.family = 10;
	invalid("address 1 is none");
	add_address("10.0.0.1/24", NULL)->local.len = 33;
	invalid("address 1 is none");
	add_address("fd00::1/24", NULL)->flags = WIRE_ADDRESS_NODAD;
	is_fine();
	add_address("10.0.0.1/24", NULL)->flags = 2;
	invalid("flags 0x2 of address 10.0.0.1/24");
	add_address("10.0.0.1/24", NULL);
	add_address("10.0.0.2/24", NULL);
	is_fine();
	add_address("10.0.0.1/24", NULL);
	add_address("10.0.0.1/16", NULL);
	invalid("address 10.0.0.1/16 is asked for twice");
	ask.n_addresses = WIRE_ADDRESSES_MAX + 1;
	invalid("65 addresses");
	for (int i = 1; i <= WIRE_ADDRESSES_MAX; i++)
		add_address("10.0.0.0/24", NULL)->local.ip[3] = (uint8_t)i;
	is_fine();
}
END_TEST

START_TEST(peers_are_of_the_family_of_a_full_length_address)
{
	add_address("10.0.0.1/32", "10.0.0.2/32");
	is_fine();
	add_address("10.0.0.1/32", "10.0.1.2/24");
	is_fine();
	add_address("fd00::1/128", "fd00::2/64");
	is_fine();
	add_address("10.0.0.1/31", "10.0.0.2/32");
	invalid("must have the full length, /32");
	add_address("fd00::1/127", "fd00::2/128");
	invalid("must have the full length, /128");
	add_address("10.0.0.1/32", "fd00::2/128");
	invalid("not of its family");
	add_address("10.0.0.1/32", "10.0.0.2/32")->peer.len = 40;
	invalid("not of its family");
}
END_TEST

START_TEST(routes_are_masked_single_and_known)
{
	ask.n_routes = 1;
	invalid("route 1 is none");
	add_route("10.1.2.3/16", NULL, 0);
	invalid("route 10.1.2.3/16 has bits behind its length; ask for "
		"10.1.0.0/16");
	add_route("fd00::1/64", NULL, 0);
	invalid("ask for fd00::/64");
	add_route("10.1.0.0/16", NULL, 0)->flags = 1;
	invalid("flags 0x1 of route 10.1.0.0/16");
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 0);
	invalid("route 10.1.0.0/16 is asked for twice");
	add_route("10.1.0.0/16", NULL, 7);
	add_route("10.1.0.0/16", NULL, 8);
	add_route("10.1.0.0/17", NULL, 8);
	is_fine();
	ask.n_routes = WIRE_ROUTES_MAX + 1;
	invalid("257 routes");
}
END_TEST

/* In whatever order they come, the first that was there before is told. */
START_TEST(the_first_route_that_comes_again)
{
	add_route("10.2.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.3.0.0/16", NULL, 0);
	add_route("10.2.0.0/16", NULL, 0);
	invalid("route 10.2.0.0/16 is asked for twice");
	add_route("10.2.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.2.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 0);
	invalid("route 10.2.0.0/16 is asked for twice");
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.2.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.2.0.0/16", NULL, 0);
	invalid("route 10.1.0.0/16 is asked for twice");
}
END_TEST

START_TEST(metric_0_and_the_lowest_are_the_same_route)
{
	add_route("10.1.0.0/16", NULL, 0);
	add_route("10.1.0.0/16", NULL, 1);
	refused(WIDE, WIRE_E_INVALID, "request", "",
		"asked for twice with metric 1");
}
END_TEST

START_TEST(gateways_are_single_addresses_of_the_family)
{
	add_route("10.1.0.0/16", "10.0.0.2/32", 0);
	add_route("fd01::/64", "fe80::1/128", 0);
	is_fine();
	add_route("10.1.0.0/16", "10.0.0.2/31", 0);
	invalid("gateway 10.0.0.2/31 of route 10.1.0.0/16 is not a single");
	add_route("10.1.0.0/16", "fd00::1/128", 0);
	invalid("not of its family");
	add_route("10.1.0.0/16", "10.0.0.2/32", 0)->gateway.family = 3;
	invalid("not of its family");
}
END_TEST

/* ---- rules ---- */

#define RULE(name, who) "[rule " name "]\naction=allow\n" who \
	"\nkind=tun\nname=tun*\n"

START_TEST(without_a_rule_nothing_is_allowed)
{
	refused("", WIRE_E_POLICY, "policy", "",
		"no rule lets uid 1042 have a tun;");
	ck_assert_ptr_nonnull(strstr(decision.text, "`name = tt%u-*`"));
	strcpy(ask.name, "vpn0");
	ask.layer = WIRE_TAP;
	refused(RULE("a", "user=any") RULE("b", "user=1042"), WIRE_E_POLICY,
		"policy", "",
		"no rule lets uid 1042 have a tap named vpn0");
	ck_assert_ptr_nonnull(strstr(decision.text, "`user = 1042`"));
	ck_assert_ptr_nonnull(strstr(decision.text, "`kind = tap`"));
	ck_assert_ptr_nonnull(strstr(decision.text, "`name = vpn0`"));
}
END_TEST

START_TEST(users_and_groups_match_either)
{
	static const struct {
		const char *text;
		bool match;
	} cases[] = {
		{ RULE("r", "user=any"), true },
		{ RULE("r", "user=1042"), true },
		{ RULE("r", "user=alice"), true },
		{ RULE("r", "user=1,2,1042"), true },
		{ RULE("r", "user=1041,1043"), false },
		{ RULE("r", "group=20"), true },
		{ RULE("r", "group=30"), true },
		{ RULE("r", "group=40"), true },
		{ RULE("r", "group=1042"), false },
		{ RULE("r", "user=20"), false },
		{ RULE("r", "user=1\ngroup=40"), true },
		{ RULE("r", "user=1042\ngroup=1"), true },
		{ RULE("r", "user=1\ngroup=1"), false },
		{ RULE("r", "group=vpn users"), false },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_msg((decide(cases[i].text) == 0) == cases[i].match,
			      "%s", cases[i].text);
	groups[0] = 2000;
	allowed(RULE("r", "group=vpn users"), "t.conf:1");
	groups[0] = 30;
	peer.uid = 65534;
	allowed(RULE("r", "user=65534"), "t.conf:1");
}
END_TEST

START_TEST(first_matching_section_decides_and_nothing_is_merged)
{
	static const char text[] =
		"[rule other]\naction=deny\nuser=1\n"
		"[rule narrow]\naction=allow\nuser=any\nkind=tun\nname=tun*\n"
		"mtu=1400\n"
		"[rule wide]\naction=allow\nuser=any\nkind=tun\nname=tun*\n";

	ask.mtu = 1500;
	refused(text, WIRE_E_POLICY, "policy", "t.conf:9",
		"MTU 1500 is outside `mtu = 1400` of rule narrow");
	ask.mtu = 1400;
	allowed(text, "t.conf:4");
}
END_TEST

START_TEST(kind_chooses_the_rule)
{
	static const char text[] =
		"[rule a]\naction=allow\nuser=any\nkind=tap\nname=tap*\n"
		"[rule b]\naction=allow\nuser=any\nkind=tun\nname=tun*\n"
		"[rule c]\naction=allow\nuser=any\nkind=tap,tun\nname=x\n";

	allowed(text, "t.conf:6");
	ck_assert_str_eq(out.name, "tun0");
	ask.layer = WIRE_TAP;
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "tap0");
	strcpy(ask.name, "x");
	allowed(text, "t.conf:11");
}
END_TEST

START_TEST(deny_without_kind_and_name_denies_all)
{
	static const char text[] = DENY_RULE("no") RULE("r", "user=any");

	refused(text, WIRE_E_POLICY, "policy", "t.conf:2",
		"rule no denies uid 1042 a tun");
	ask.layer = WIRE_TAP;
	strcpy(ask.name, "tun7");
	refused(text, WIRE_E_POLICY, "policy", "t.conf:2",
		"rule no denies uid 1042 a tap named tun7");
}
END_TEST

START_TEST(deny_of_names_is_about_those_alone)
{
	static const char text[] =
		"[rule no]\naction=deny\nuser=any\nname=tun[0-2],x*\n"
		RULE("r", "user=any");

	strcpy(ask.name, "tun1");
	refused(text, WIRE_E_POLICY, "policy", "t.conf:2", "denies");
	strcpy(ask.name, "tun3");
	allowed(text, "t.conf:5");
	/* None asked for: the chosen one is not a denied one. */
	ask.name[0] = '\0';
	allowed(text, "t.conf:5");
	ck_assert_str_eq(out.name, "tun3");
}
END_TEST

START_TEST(deny_of_a_kind_is_about_it_alone)
{
	static const char text[] =
		"[rule no]\naction=deny\nuser=any\nkind=tap\n"
		"[rule r]\naction=allow\nuser=any\nkind=tun,tap\nname=t*\n";

	allowed(text, "t.conf:5");
	ask.layer = WIRE_TAP;
	refused(text, WIRE_E_POLICY, "policy", "t.conf:2", "a tap");
}
END_TEST

/* ---- limits ---- */

#define LIMITED "[rule l]\naction=allow\nuser=any\nkind=tun\nname=tun*\n" \
	"address=10.50.0.0/16, fd50::/48\n"	/* 6 */ \
	"route=10.60.0.0/16, fd60::/48\n"	/* 7 */ \
	"metric=100-200\n"			/* 8 */ \
	"mtu=1280-9000\n"			/* 9 */ \
	"max-devices=3\n"			/* 10 */ \
	"max-queues=2\n"			/* 11 */ \
	"max-addresses=2\n"			/* 12 */ \
	"max-routes=2\n"			/* 13 */ \
	"offload=no\n"				/* 14 */

/* A refusal by LIMITED in a line; then everything is fresh. */
static void over(const char *line, const char *what)
{
	char rule[16];

	snprintf(rule, sizeof(rule), "t.conf:%s", line);
	refused(LIMITED, WIRE_E_POLICY, "policy", rule, what);
	fresh();
}

static void within(void)
{
	allowed(LIMITED, "t.conf:1");
	fresh();
}

START_TEST(mtu_at_below_and_above_its_limits)
{
	ask.mtu = 1279;
	over("9", "MTU 1279 is outside `mtu = 1280-9000` of rule l");
	ask.mtu = 1280;
	within();
	ask.mtu = 9000;
	within();
	ask.mtu = 9001;
	over("9", "MTU 9001 is outside");
}
END_TEST

START_TEST(mtu_not_asked_for_is_the_nearest_to_the_kernels)
{
	allowed(RULE("r", "user=any"), "t.conf:1");
	ck_assert_uint_eq(out.mtu, 0);
	allowed(RULE("r", "user=any") "mtu=1400-1500", "t.conf:1");
	ck_assert_uint_eq(out.mtu, 0);
	allowed(RULE("r", "user=any") "mtu=1280-1400", "t.conf:1");
	ck_assert_uint_eq(out.mtu, 1400);
	allowed(RULE("r", "user=any") "mtu=9000-", "t.conf:1");
	ck_assert_uint_eq(out.mtu, 9000);
}
END_TEST

START_TEST(ipv6_does_not_fit_a_rule_of_small_mtus)
{
	add_address("fd50::1/64", NULL);
	refused(RULE("r", "user=any") "address=fd50::/48\nmtu=68-1279",
		WIRE_E_POLICY, "policy", "t.conf:7", "IPv6 needs an MTU");
	allowed(RULE("r", "user=any") "address=fd50::/48\nmtu=68-1280",
		"t.conf:1");
	ck_assert_uint_eq(out.mtu, 1280);
}
END_TEST

START_TEST(queues_at_and_above_their_limit)
{
	ask.queues = 2;
	within();
	ask.queues = 3;
	over("11", "3 queues are over `max-queues = 2` of rule l; ask for 2");
	ask.queues = 4;
	allowed(RULE("r", "user=any"), "t.conf:1");
	ask.queues = 5;
	refused(RULE("r", "user=any"), WIRE_E_POLICY, "policy", "t.conf:1",
		"5 queues are over `max-queues = 4` of rule r");
}
END_TEST

START_TEST(addresses_at_and_above_their_number)
{
	add_address("10.50.0.1/24", NULL);
	add_address("fd50::1/64", NULL);
	within();
	add_address("10.50.0.1/24", NULL);
	add_address("10.50.1.1/24", NULL);
	add_address("fd50::1/64", NULL);
	over("12", "3 addresses are over `max-addresses = 2` of rule l");
	for (int i = 1; i <= 4; i++)
		add_address("10.50.0.0/24", NULL)->local.ip[3] = (uint8_t)i;
	allowed(RULE("r", "user=any") "address=10.50.0.0/16", "t.conf:1");
	add_address("10.50.0.9/24", NULL);
	refused(RULE("r", "user=any") "address=10.50.0.0/16", WIRE_E_POLICY,
		"policy", "t.conf:1", "5 addresses are over");
}
END_TEST

START_TEST(routes_at_and_above_their_number)
{
	add_route("10.60.0.0/24", NULL, 0);
	add_route("10.60.1.0/24", NULL, 0);
	within();
	add_route("10.60.0.0/24", NULL, 0);
	add_route("10.60.1.0/24", NULL, 0);
	add_route("10.60.2.0/24", NULL, 0);
	over("13", "3 routes are over `max-routes = 2` of rule l");
	for (int i = 0; i < 32; i++)
		add_route("10.60.0.0/24", NULL, 0)->dst.ip[2] = (uint8_t)i;
	allowed(RULE("r", "user=any") "route=10.60.0.0/16", "t.conf:1");
	add_route("10.60.99.0/24", NULL, 0);
	refused(RULE("r", "user=any") "route=10.60.0.0/16", WIRE_E_POLICY,
		"policy", "t.conf:1", "33 routes are over");
}
END_TEST

START_TEST(address_is_inside_with_its_whole_prefix)
{
	add_address("10.50.255.254/16", NULL);
	within();
	add_address("10.50.0.1/32", NULL);
	within();
	add_address("fd50::1/48", NULL);
	within();
	add_address("10.50.0.1/15", NULL);
	over("6", "address 10.50.0.1/15 is not inside `address = "
	     "10.50.0.0/16, fd50::/48` of rule l; ask for");
	add_address("10.51.0.1/24", NULL);
	over("6", "address 10.51.0.1/24 is not inside");
	add_address("fd50::1/47", NULL);
	over("6", "address fd50::1/47 is not inside");
	/* Inside the route list only. */
	add_address("10.60.0.1/24", NULL);
	over("6", "address 10.60.0.1/24 is not inside");
}
END_TEST

START_TEST(peer_is_inside_with_its_whole_prefix)
{
	add_address("10.50.0.1/32", "10.50.0.2/16");
	within();
	add_address("10.50.0.1/32", "10.50.0.2/15");
	over("6", "peer 10.50.0.2/15 is not inside");
	add_address("10.50.0.1/32", "10.51.0.2/32");
	over("6", "peer 10.51.0.2/32 is not inside");
	add_address("10.49.0.1/32", "10.50.0.2/32");
	over("6", "address 10.49.0.1/32 is not inside");
}
END_TEST

START_TEST(route_is_inside)
{
	add_route("10.60.0.0/16", NULL, 0);
	add_route("fd60::/48", NULL, 0);
	within();
	add_route("10.60.0.0/15", NULL, 0);
	over("7", "route 10.60.0.0/15 is not inside `route = 10.60.0.0/16, "
	     "fd60::/48` of rule l; ask for a route inside it");
	add_route("10.60.0.0/24", NULL, 0);
	add_route("10.50.0.0/24", NULL, 0);
	over("7", "route 10.50.0.0/24 is not inside");
}
END_TEST

START_TEST(absent_list_allows_nothing)
{
	add_address("10.50.0.1/24", NULL);
	refused(RULE("r", "user=any"), WIRE_E_POLICY, "policy", "t.conf:1",
		"rule r has no `address =` and so allows none");
	fresh();
	add_route("10.60.0.0/24", NULL, 0);
	refused(RULE("r", "user=any"), WIRE_E_POLICY, "policy", "t.conf:1",
		"rule r has no `route =` and so allows none");
}
END_TEST

START_TEST(long_lists_are_cut_with_their_count)
{
	char text[1200] = RULE("r", "user=any") "route=fd00::/128";

	for (int i = 1; i < 30; i++)
		sprintf(text + strlen(text), ", fd00:1111:2222:3333:4444::%x",
			i);
	add_route("10.60.0.0/24", NULL, 0);
	refused(text, WIRE_E_POLICY, "policy", "t.conf:6", " more` of rule r");
	ck_assert_ptr_nonnull(strstr(decision.text, "ask for a route inside"));
}
END_TEST

START_TEST(metric_at_below_and_above_its_limits)
{
	add_route("10.60.0.0/24", NULL, 99);
	over("8", "metric 99 of route 10.60.0.0/24 is outside `metric = "
	     "100-200` of rule l");
	add_route("10.60.0.0/24", NULL, 100);
	within();
	add_route("10.60.0.0/24", NULL, 200);
	within();
	add_route("10.60.0.0/24", NULL, 201);
	over("8", "metric 201 of route");
	add_route("10.60.0.0/24", NULL, 999);
	refused(RULE("r", "user=any") "route=10.60.0.0/16", WIRE_E_POLICY,
		"policy", "t.conf:1", "`metric = 1000-` of rule r");
	ask.routes[0].metric = UINT32_MAX;
	allowed(RULE("r", "user=any") "route=10.60.0.0/16", "t.conf:1");
}
END_TEST

START_TEST(metric_0_becomes_the_lowest)
{
	add_route("10.60.0.0/24", NULL, 0);
	add_route("10.60.1.0/24", NULL, 150);
	allowed(LIMITED, "t.conf:1");
	ck_assert_uint_eq(out.routes[0].metric, 100);
	ck_assert_uint_eq(out.routes[1].metric, 150);
	ck_assert_uint_eq(decision.terms.metric, 100);
	ask.n_routes = 1;
	allowed(RULE("r", "user=any") "route=10.60.0.0/16", "t.conf:1");
	ck_assert_uint_eq(out.routes[0].metric, 1000);
	ck_assert_uint_eq(decision.terms.metric, 1000);
}
END_TEST

START_TEST(offload_must_be_allowed)
{
	ask.vnet_hdr = 1;
	over("14", "rule l lacks `offload = yes`");
	ask.vnet_hdr = 1;
	refused(RULE("r", "user=any"), WIRE_E_POLICY, "policy", "t.conf:1",
		"rule r lacks `offload = yes`");
	allowed(RULE("r", "user=any") "offload=yes", "t.conf:1");
	ck_assert_uint_eq(out.vnet_hdr, WIRE_VNET_YES);
	/* Or wherever it is. */
	ask.vnet_hdr = WIRE_VNET_IF_ALLOWED;
	allowed(RULE("r", "user=any") "offload=yes", "t.conf:1");
	ck_assert_uint_eq(out.vnet_hdr, WIRE_VNET_YES);
	ask.vnet_hdr = WIRE_VNET_IF_ALLOWED;
	allowed(RULE("r", "user=any"), "t.conf:1");
	ck_assert_uint_eq(out.vnet_hdr, WIRE_VNET_NO);
}
END_TEST

START_TEST(devices_below_at_and_above_their_number)
{
	usage.devices = 2;
	within();
	usage.devices = 3;
	refused(LIMITED, WIRE_E_QUOTA, "policy", "t.conf:10",
		"uid 1042 has 3 devices, and rule l has `max-devices = 3`");
	usage.devices = 4;
	refused(LIMITED, WIRE_E_QUOTA, "policy", "t.conf:10", "close one");
	usage.devices = 1;
	allowed(RULE("r", "user=any"), "t.conf:1");
	usage.devices = 2;
	refused(RULE("r", "user=any"), WIRE_E_QUOTA, "policy", "t.conf:1",
		"`max-devices = 2`");
}
END_TEST

/* ---- names, chosen and asked for ---- */

static const char *taken[8];

static bool is_taken(void *arg, const char *name)
{
	ck_assert_ptr_eq(arg, &taken);
	for (size_t i = 0; i < COUNT(taken) && taken[i]; i++)
		if (strcmp(taken[i], name) == 0)
			return true;
	return false;
}

START_TEST(first_free_name_of_the_first_pattern_is_chosen)
{
	static const char text[] = "[rule r]\naction=allow\nuser=any\n"
				   "kind=tun\nname=vpn%u-*, tun[0-9]\n";

	usage.name_taken = is_taken;
	usage.arg = &taken;
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "vpn1042-0");
	taken[0] = "vpn1042-1";
	taken[1] = "vpn1042-0";
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "vpn1042-2");
	strcpy(ask.name, "tun4");
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "tun4");
	strcpy(ask.name, "vpn1043-0");
	refused(text, WIRE_E_POLICY, "policy", "", "no rule lets uid");
	memset(taken, 0, sizeof(taken));
}
END_TEST

START_TEST(taken_name_is_told_with_the_patterns)
{
	usage.name_taken = is_taken;
	usage.arg = &taken;
	taken[0] = "tun4";
	strcpy(ask.name, "tun4");
	refused(RULE("r", "user=any"), WIRE_E_EXISTS, "name", "t.conf:5",
		"a device named tun4 exists; ask for another name that "
		"matches `name = tun*` of rule r");
	memset(taken, 0, sizeof(taken));
}
END_TEST

START_TEST(long_pattern_lists_are_cut_with_their_count)
{
	char text[1200] = RULE("r", "user=any");

	text[strlen(text) - 1] = '\0';
	for (int i = 0; i < 60; i++)
		sprintf(text + strlen(text), ",abcdefghi%d", i);
	usage.name_taken = is_taken;
	usage.arg = &taken;
	taken[0] = "tun4";
	strcpy(ask.name, "tun4");
	refused(text, WIRE_E_EXISTS, "name", "t.conf:5", "`name = tun*, abc");
	ck_assert_ptr_nonnull(strstr(decision.text, " more` of rule r, or "));
	memset(taken, 0, sizeof(taken));
}
END_TEST

START_TEST(no_free_name_is_told)
{
	static const char text[] = "[rule r]\naction=allow\nuser=any\n"
				   "kind=tun\nname=tun[01]\n";

	usage.name_taken = is_taken;
	usage.arg = &taken;
	taken[0] = "tun0";
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "tun1");
	taken[1] = "tun1";
	refused(text, WIRE_E_EXISTS, "name", "t.conf:5",
		"no name that `tun[01]` of rule r gives uid 1042 is free");
	memset(taken, 0, sizeof(taken));
}
END_TEST

START_TEST(names_of_earlier_rules_are_told_from_taken_ones)
{
	static const char text[] =
		"[rule no]\naction=deny\nuser=any\nname=x9, tt*\n"
		"[rule r]\naction=allow\nuser=any\nkind=tun\n"
		"name=tt%u-*, x*\n";
	static const char other_kind[] =
		"[rule no]\naction=deny\nuser=any\nkind=tap\nname=tt*\n"
		"[rule no2]\naction=deny\nuser=1\nname=tt*\n"
		"[rule r]\naction=allow\nuser=any\nkind=tun\n"
		"name=tt%u-*\n";

	refused(text, WIRE_E_POLICY, "name", "t.conf:9",
		"all names that `tt%u-*` of rule r gives uid 1042 are those of "
		"rules before it");
	strcpy(ask.name, "x1");
	allowed(text, "t.conf:5");
	ask.name[0] = '\0';
	allowed(other_kind, "t.conf:10");
	ck_assert_str_eq(out.name, "tt1042-0");
}
END_TEST

static bool all_taken(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return true;
}

/* The costliest request: many rules, many patterns, and every name is taken. */
START_TEST(a_name_that_is_left_open_costs_little)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct timespec t[2];
	struct policy *p;
	double ms;

	for (int i = 0; i < 100; i++) {
		fprintf(f, "[rule n%d]\naction=deny\nuser=any\nname=t*x", i);
		for (int j = 0; j < 30; j++)
			fprintf(f, ",t%%u-*x%d,y%d*", j, j);
		fputs("\n", f);
	}
	fputs("[rule r]\naction=allow\nuser=any\nkind=tun\nname=t%u-*\n",
	      f);
	fclose(f);
	p = parse_ok(text);
	usage.name_taken = all_taken;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[0]);
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &out,
				       &decision), -EEXIST);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[1]);
	ms = (double)(t[1].tv_sec - t[0].tv_sec) * 1e3 +
	     (double)(t[1].tv_nsec - t[0].tv_nsec) / 1e6;
	/* Some 9; a slow machine and a sanitizer are allowed for. */
	ck_assert_msg(ms < 200, "%f ms", ms);
	policy_free(p);
	free(text);
}
END_TEST

START_TEST(pattern_too_long_for_a_uid_is_told)
{
	static const char text[] = "[rule r]\naction=allow\nuser=any\n"
				   "kind=tun\nname=longname%u-*\n";

	peer.uid = 10000;
	allowed(text, "t.conf:1");
	ck_assert_str_eq(out.name, "longname10000-0");
	peer.uid = 100000;
	refused(text, WIRE_E_POLICY, "name", "t.conf:5",
		"gives uid 100000 no name of at most 15 bytes");
}
END_TEST

START_TEST(answer_is_the_request_narrowed_and_may_replace_it)
{
	struct policy *p = parse_ok(LIMITED);
	struct wire_open expected;

	ask.mtu = 1400;
	ask.queues = 2;
	ask.txqueuelen = 77;
	add_address("10.50.0.1/24", NULL);
	add_route("10.60.0.0/24", "10.50.0.2/32", 0);
	expected = ask;
	strcpy(expected.name, "tun0");
	expected.routes[0].metric = 100;
	ck_assert_int_eq(policy_decide(p, &peer, &ask, &usage, &ask,
				       &decision), 0);
	ck_assert_int_eq(memcmp(&ask, &expected, sizeof(ask)), 0);
	policy_free(p);
}
END_TEST

/* ---- all of them ---- */

static TCase *text_case(void)
{
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, empty_text_is_a_policy_without_rules);
	tcase_add_test(tc, whole_format_is_read);
	tcase_add_loop_test(tc, each_bad_text_is_told_with_file_line_and_key,
			    0, COUNT(bad_texts));
	tcase_add_test(tc, nul_byte_is_told);
	tcase_add_test(tc, line_may_have_20480_bytes_and_no_more);
	tcase_add_test(tc, file_may_have_64_kib_and_no_more);
	tcase_add_test(tc, list_may_have_256_entries_and_no_more);
	tcase_add_test(tc, policy_may_have_1024_rules_and_no_more);
	tcase_add_test(tc, rule_name_may_have_47_bytes_and_no_more);
	tcase_add_test(tc, pattern_may_have_63_bytes_and_no_more);
	tcase_add_test(tc, names_need_a_resolver_and_numbers_do_not);
	tcase_add_test(tc, resolver_that_fails_is_told_with_its_errno);
	tcase_add_test(tc, long_file_name_is_shown_by_its_end);
	tcase_add_loop_test(tc, no_terminal_obeys_a_files_name, 0,
			    COUNT(plains));
	return tc;
}

static TCase *folder_case(void)
{
	TCase *tc = tcase_create("folders");

	tcase_add_checked_fixture(tc, make_root, remove_root);
	tcase_add_test(tc, missing_folder_is_empty);
	tcase_add_test(tc, folders_that_must_be_there_are);
	tcase_add_test(tc, own_files_of_a_user_are_warned_of);
	tcase_add_test(tc,
		files_come_in_the_order_of_their_names_over_all_folders);
	tcase_add_test(tc, file_of_a_later_folder_replaces_its_namesake);
	tcase_add_test(tc, only_visible_conf_files_are_read);
	tcase_add_test(tc, rule_name_is_unique_over_files);
	tcase_add_test(tc, section_does_not_reach_into_the_next_file);
	tcase_add_test(tc, file_writable_by_others_is_refused);
	tcase_add_test(tc, folder_writable_by_others_is_refused);
	tcase_add_test(tc, file_or_folder_of_another_user_is_refused);
	tcase_add_test(tc, symbolic_links_are_refused);
	tcase_add_test(tc, fifo_and_folder_are_no_policy_files);
	tcase_add_test(tc, file_is_no_folder);
	tcase_add_test(tc, fault_in_a_file_names_its_path);
	tcase_add_test(tc, long_file_is_refused_whole);
	tcase_add_test(tc, folders_may_hold_256_files_and_no_more);
	tcase_add_test(tc, there_may_be_8_folders_and_no_more);
	tcase_add_test(tc, socket_cannot_be_opened);
	tcase_add_test(tc, loading_keeps_no_fd);
	return tc;
}

static TCase *name_case(void)
{
	TCase *tc = tcase_create("names");

	tcase_add_checked_fixture(tc, fresh, NULL);
	tcase_add_test(tc, names_that_an_interface_may_have);
	tcase_add_test(tc, names_that_an_interface_may_not_have);
	tcase_add_test(tc, pattern_takes_the_uid);
	tcase_add_test(tc, candidates_of_a_pattern_in_order);
	tcase_add_test(tc, pattern_that_makes_no_name);
	tcase_add_test(tc, tries_for_a_name_are_bounded);
	tcase_add_test(tc, names_of_others_are_those_that_match);
	tcase_add_test(tc, comparisons_for_a_name_are_bounded);
	tcase_add_test(tc, first_free_name_of_the_first_pattern_is_chosen);
	tcase_add_test(tc, taken_name_is_told_with_the_patterns);
	tcase_add_test(tc, names_of_earlier_rules_are_told_from_taken_ones);
	tcase_add_test(tc, a_name_that_is_left_open_costs_little);
	tcase_add_test(tc, long_pattern_lists_are_cut_with_their_count);
	tcase_add_test(tc, no_free_name_is_told);
	tcase_add_test(tc, pattern_too_long_for_a_uid_is_told);
	return tc;
}

static TCase *request_case(void)
{
	TCase *tc = tcase_create("request");

	tcase_add_checked_fixture(tc, fresh, NULL);
	tcase_add_test(tc, layers_flags_and_vnet_hdr);
	tcase_add_test(tc, queues_from_1_to_64);
	tcase_add_test(tc, mtu_from_68_to_65535_and_1280_with_ipv6);
	tcase_add_test(tc, bad_names_are_told_without_their_bytes);
	tcase_add_test(tc, mac_is_a_taps_and_unicast);
	tcase_add_loop_test(tc,
		forbidden_ranges_as_address_peer_route_and_gateway, 0,
		COUNT(no_prefixes));
	tcase_add_test(tc, neighbours_of_forbidden_ranges_are_fine);
	tcase_add_test(tc, default_routes_take_a_key_of_their_own);
	tcase_add_loop_test(tc, routes_may_not_make_a_default_route_together, 0,
		COUNT(covers));
	tcase_add_test(tc, the_network_of_a_peer_counts);
	tcase_add_test(tc, the_largest_cover_is_found);
	tcase_add_test(tc, a_default_route_and_its_half_are_the_same_route);
	tcase_add_test(tc, a_later_change_is_judged_as_the_whole_device);
	tcase_add_test(tc, shadow_is_told);
	tcase_add_test(tc, addresses_are_single_whole_and_known);
	tcase_add_test(tc,
		peers_are_of_the_family_of_a_full_length_address);
	tcase_add_test(tc, routes_are_masked_single_and_known);
	tcase_add_test(tc, the_first_route_that_comes_again);
	tcase_add_test(tc, metric_0_and_the_lowest_are_the_same_route);
	tcase_add_test(tc, gateways_are_single_addresses_of_the_family);
	return tc;
}

static TCase *rule_case(void)
{
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, fresh, NULL);
	tcase_add_test(tc, without_a_rule_nothing_is_allowed);
	tcase_add_test(tc, users_and_groups_match_either);
	tcase_add_test(tc,
		first_matching_section_decides_and_nothing_is_merged);
	tcase_add_test(tc, kind_chooses_the_rule);
	tcase_add_test(tc, deny_without_kind_and_name_denies_all);
	tcase_add_test(tc, deny_of_names_is_about_those_alone);
	tcase_add_test(tc, deny_of_a_kind_is_about_it_alone);
	tcase_add_test(tc, answer_is_the_request_narrowed_and_may_replace_it);
	return tc;
}

static TCase *limit_case(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_checked_fixture(tc, fresh, NULL);
	tcase_add_test(tc, mtu_at_below_and_above_its_limits);
	tcase_add_test(tc, mtu_not_asked_for_is_the_nearest_to_the_kernels);
	tcase_add_test(tc, ipv6_does_not_fit_a_rule_of_small_mtus);
	tcase_add_test(tc, queues_at_and_above_their_limit);
	tcase_add_test(tc, addresses_at_and_above_their_number);
	tcase_add_test(tc, routes_at_and_above_their_number);
	tcase_add_test(tc, address_is_inside_with_its_whole_prefix);
	tcase_add_test(tc, peer_is_inside_with_its_whole_prefix);
	tcase_add_test(tc, route_is_inside);
	tcase_add_test(tc, absent_list_allows_nothing);
	tcase_add_test(tc, long_lists_are_cut_with_their_count);
	tcase_add_test(tc, metric_at_below_and_above_its_limits);
	tcase_add_test(tc, metric_0_becomes_the_lowest);
	tcase_add_test(tc, offload_must_be_allowed);
	tcase_add_test(tc, devices_below_at_and_above_their_number);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("policy");
	SRunner *sr;
	int failed;

	suite_add_tcase(suite, text_case());
	suite_add_tcase(suite, folder_case());
	suite_add_tcase(suite, name_case());
	suite_add_tcase(suite, request_case());
	suite_add_tcase(suite, rule_case());
	suite_add_tcase(suite, limit_case());
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
