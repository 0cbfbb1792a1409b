/* The policy of a running daemon: asked, shown, read anew, enforced. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define NAMES_SECONDS	10	/* LIMIT_NAMES_SECONDS */
#define SETTLE_MS	200

static struct rig rig;

static void start(const char *policy)
{
	const struct rig_options o = { .policy = policy };

	rig_start(&rig, &o);
}

static struct wire_message admin_asks(struct wire_message m)
{
	int sock = raw_connect(rig.admin);

	ck_assert_int_ge(sock, 0);
	m.id = 3;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	close(sock);
	return m;
}

static struct wire_message reload(bool enforce)
{
	return admin_asks((struct wire_message){ .type = WIRE_RELOAD,
						 .reload.enforce = enforce });
}

static struct wire_message state(void)
{
	return admin_asks((struct wire_message){ .type = WIRE_STATUS });
}

static void write_file(const char *name, const char *text, size_t len)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig.policy, name);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void write_policy(const char *text)
{
	write_file("10-test.conf", text, strlen(text));
}

#define RULE(name, user)	"[rule " name "]\naction = allow\n" \
	"user = " user "\nkind = tun, tap\nname = tt*\n" \
	"address = 10.9.0.0/16\nroute = 10.0.0.0/8, 0.0.0.0/0\n"

/* In this process, as root. */
static int open_device(const char *name, struct ttd_device **ret,
		       struct ttd_error *error)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

	o.socket_path = rig.socket;
	o.name = name;
	return ttd_open(&o, ret, error);
}

static struct ttd_device *opened(const char *name)
{
	struct ttd_device *dev = NULL;
	struct ttd_error error = { .code = 0 };

	ck_assert_msg(open_device(name, &dev, &error) == 0, "%s", error.text);
	return dev;
}

static int add_route(struct ttd_device *dev, const char *dst,
		     struct ttd_error *error)
{
	struct ttd_route route = { .dst = prefix(dst) };

	return ttd_add_routes(dev, &route, 1, error);
}

static void is_refused(const char *says)
{
	struct ttd_device *dev = NULL;
	struct ttd_error error = { .code = 0 };

	ck_assert_int_lt(open_device(NULL, &dev, &error), 0);
	ck_assert_msg(strstr(error.text, says) || strstr(error.rule, says),
		      "%s (%s)", error.text, error.rule);
}

/* --- broken files ------------------------------------------------------- */

#define BAD	"20-bad.conf"

/* commands: what makes it, after the text has been written; %s: its path. */
static const struct {
	const char *what, *text, *command, *told;
} broken[] = {
	{ "unknown key", "[rule b]\ncolour = red\n", NULL, BAD ":2: colour" },
	{ "unknown section", "\n[rules]\n", NULL, BAD ":2: section" },
	{ "bad prefix", RULE("b", "1") "source = 10.0.0.1/8\n", NULL,
	  BAD ":8: source" },
	{ "bad number", RULE("b", "1") "mtu = 12ab\n", NULL, BAD ":8: mtu" },
	{ "value out of bounds", RULE("b", "1") "max-queues = 65\n", NULL,
	  BAD ":8: max-queues" },
	{ "bad pattern", "[rule b]\nname = a/b\n", NULL, BAD ":2: name" },
	{ "no such user", "[rule b]\naction = deny\nuser = nobody!\n", NULL,
	  BAD ":3: user: there is no user" },
	{ "no such group", "[rule b]\naction = deny\ngroup = no group\n", NULL,
	  BAD ":3: group: there is no group" },
	{ "missing key", "\n\n[rule b]\nuser = any\n", NULL, BAD ":3: " },
	{ "key twice", "[rule b]\nuser = 1\nuser = 2\n", NULL, BAD ":3: user" },
	{ "rule twice", RULE("a", "1"), NULL, BAD ":1: " },
	{ "two [global]", "[global]\n[global]\n", NULL, BAD ":2: " },
	{ "half written", RULE("b", "1") "route = 10.0.0.0/8, fd", NULL,
	  BAD ":8: route" },
	{ "cut in a header", "[rule", NULL, BAD ":1: " },
	{ "no key", "[rule b]\nallow everything\n", NULL, BAD ":2: " },
	{ "wrong owner", "; fine\n", "chown 1 %s", BAD ": it belongs to" },
	{ "writable by all", "; fine\n", "chmod 0646 %s", BAD ": it is writ" },
	{ "writable by a group", "; fine\n", "chmod 0664 %s",
	  BAD ": it is writ" },
	{ "symbolic link", "; fine\n", "mv %s %s.x && ln -s %s.x %s",
	  BAD ": it is a symbolic link" },
	{ "directory", "", "rm %s && mkdir %s", BAD ": it is not a regular" },
	{ "FIFO", "", "rm %s && mkfifo %s", BAD ": it is not a regular" },
	{ "device node", "", "rm %s && mknod %s c 1 5",
	  BAD ": it is not a regular" },
	{ "1 MiB", "", "head -c 1048576 /dev/zero | tr '\\0' '#' >%s",
	  BAD ":1: the file is over" },
	{ "long line", "", "head -c 20481 /dev/zero | tr '\\0' '#' >%s",
	  BAD ":1: the line is over" },
	{ "NUL", "", "printf '[rule b]\\n\\0\\n' >%s", BAD ":2: a NUL" },
	{ "CR LF", "[rule b]\r\naction = deny\r\n", NULL, BAD ":1: a carriage" },
	{ "byte order mark", "\xef\xbb\xbf[rule b]\n", NULL,
	  BAD ":1: it begins with a byte order mark" },
	{ "UTF-8 in a value", "[rule b]\nuser = J\xc3\xb6rg\n", NULL,
	  BAD ":2: " },
	{ "escape sequence", "[rule b]\nuser = \033[31m\n", NULL, BAD ":2: " },
};

/* The command's %s are all the same path. */
static void make_broken(const char *command)
{
	char line[1024];
	size_t n;

	n = (size_t)snprintf(line, sizeof(line), "cd %s && ", rig.policy);
	for (const char *c = command; *c; c++) {
		if (c[0] == '%' && c[1] == 's') {
			n += (size_t)snprintf(line + n, sizeof(line) - n, BAD);
			c++;
		} else {
			line[n++] = *c;
		}
	}
	line[n] = '\0';
	ck_assert_int_eq(sh_status("%s", line), 0);
}

START_TEST(a_broken_file_changes_nothing)
{
	struct wire_message m;
	struct ttd_device *dev, *other;
	char told[256], *log;

	start(RULE("a", "0"));
	dev = opened("tt0");
	write_file(BAD, broken[_i].text, strlen(broken[_i].text));
	if (broken[_i].command)
		make_broken(broken[_i].command);
	for (int enforce = 0; enforce < 2; enforce++) {
		m = reload(enforce);
		ck_assert_int_eq(m.type, WIRE_REFUSED);
		ck_assert_uint_eq(m.refused.code, WIRE_E_INVALID);
		/* The whole path, the line where there is one, and why. */
		snprintf(told, sizeof(told), "%s/%s", rig.policy,
			 broken[_i].told);
		ck_assert_msg(strncmp(m.refused.text, told, strlen(told)) == 0,
			      "%s: %s", broken[_i].what, m.refused.text);
	}
	m = state();
	ck_assert_uint_eq(m.state.policy_generation, 1);
	ck_assert_ptr_nonnull(strstr(m.state.policy_fault, broken[_i].told));
	log = rig_log(&rig);
	ck_assert_ptr_nonnull(strstr(log, broken[_i].told));
	free(log);
	/* What was allowed is, and what was given is there. */
	other = opened("tt1");
	ttd_free(other);
	ck_assert(link_exists("tt0"));

	ck_assert_int_eq(sh_status("rm -r %s/" BAD, rig.policy), 0);
	m = reload(false);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	ck_assert_uint_eq(m.reloaded.generation, 2);
	ck_assert_uint_eq(m.reloaded.rules, 1);
	m = state();
	ck_assert_uint_eq(m.state.policy_generation, 2);
	ck_assert_str_eq(m.state.policy_fault, "");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- folders ------------------------------------------------------------ */

START_TEST(a_folder_that_is_gone_changes_nothing)
{
	struct wire_message m;
	char *said;

	start(RULE("a", "0"));
	ck_assert_int_eq(sh_status("mv %s %s.x", rig.policy, rig.policy), 0);
	m = reload(false);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_ptr_nonnull(strstr(m.refused.text, "there is no such "
				     "folder"));
	ck_assert_uint_eq(state().state.policy_generation, 1);
	ttd_free(opened("tt0"));
	ck_assert_int_eq(sh_status("mv %s.x %s", rig.policy, rig.policy), 0);
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	/* Empty is what one may want. */
	ck_assert_int_eq(sh_status("rm %s/10-test.conf", rig.policy), 0);
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	said = rig_log(&rig);
	ck_assert_ptr_nonnull(strstr(said, "no policy file, and so no device"));
	free(said);
	is_refused("no rule lets uid");

	ck_assert_int_eq(sh_status("timeout 5 %s --check --policy /nowhere "
				   "2>/dev/null", rig_built("tuntapd")), 1);
	ck_assert_int_eq(sh_status("timeout 5 %s --policy /nowhere --socket "
				   "/run/s --admin-socket /run/a --user "
				   RIG_USER " 2>/dev/null",
				   rig_built("tuntapd")), 1);
	ck_assert_int_eq(sh_status("%s policy test --policy /nowhere "
				   "2>/dev/null", rig_built("tuntapctl")), 2);
	said = sh("%s policy test --policy %s --json 2>&1",
		  rig_built("tuntapctl"), rig.policy);
	ck_assert_ptr_nonnull(strstr(said, "warning: no policy file"));
	ck_assert_ptr_nonnull(strstr(said, "{\"rules\": 0, \"warnings\": "
				     "1}\n"));
	free(said);
	rig_end(&rig);
}
END_TEST

/* --- another policy ----------------------------------------------------- */

START_TEST(a_reload_leaves_leases_alone_unless_told)
{
	struct wire_message m;
	struct ttd_device *dev;

	start(RULE("a", "0"));
	dev = opened("tt0");
	write_policy("; nothing\n");
	m = reload(false);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	ck_assert_uint_eq(m.reloaded.rules, 0);
	ck_assert_uint_eq(m.reloaded.ended, 0);
	sleep_ms(200);
	ck_assert(link_exists("tt0"));
	is_refused("no rule lets uid");
	m = reload(true);
	ck_assert_uint_eq(m.reloaded.ended, 1);
	link_goes("tt0");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

static void is_told_of_the_end(struct ttd_device *dev)
{
	struct ttd_event e = TTD_EVENT_INIT;

	do
		ck_assert_int_eq(ttd_next_event(dev, &e, DEADLINE_MS), 0);
	while (e.type != TTD_EVENT_ENDED);
	ck_assert_uint_eq(e.value, WIRE_ENDED_REVOKED);
	ck_assert_ptr_nonnull(strstr(e.text, "policy"));
}

START_TEST(the_newest_go_where_there_are_too_many)
{
	struct ttd_device *dev[4];
	struct wire_message m;
	char packet[100];

	start(RULE("a", "0") "max-devices = 4\n");
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "tt%d", i);
		dev[i] = opened(name);
	}
	write_policy(RULE("a", "0") "max-devices = 2\n");
	m = reload(true);
	ck_assert_uint_eq(m.reloaded.ended, 2);
	for (int i = 2; i < 4; i++) {
		is_told_of_the_end(dev[i]);
		ck_assert_int_lt(ttd_recv(dev[i], packet, sizeof(packet), 100),
				 0);
		ck_assert_int_lt(ttd_set_mtu(dev[i], 1400, NULL), 0);
	}
	link_goes("tt2");
	link_goes("tt3");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(ttd_set_mtu(dev[i], 1400, NULL), 0);
	/* A second time there is nothing to end. */
	ck_assert_uint_eq(reload(true).reloaded.ended, 0);
	is_refused("max-devices");
	for (int i = 0; i < 4; i++)
		ttd_free(dev[i]);
	dev[0] = opened("tt0");
	ttd_free(dev[0]);
	rig_end(&rig);
}
END_TEST

static const struct {
	const char *policy;
	unsigned ended;
} enforced[] = {
	{ RULE("a", "0") "mtu = 1280-1500\n", 0 },
	{ RULE("a", "0") "mtu = 1280-1400\n", 1 },
	{ "[rule a]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	  "address = 10.9.0.0/24\n", 0 },
	{ "[rule a]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	  "address = 10.8.0.0/24\n", 1 },
	{ "[rule a]\naction = allow\nuser = 0\nkind = tap\nname = tt*\n"
	  "address = 10.9.0.0/24\n", 1 },
	{ "[rule a]\naction = allow\nuser = 0\nkind = tun\nname = vpn*\n"
	  "address = 10.9.0.0/24\n", 1 },
	{ "[rule n]\naction = deny\nuser = 0\nname = tt0\n" RULE("a", "0"), 1 },
	{ RULE("a", "65534"), 1 },
	{ "[global]\nmax-devices = 1\n" RULE("a", "0"), 0 },
};

START_TEST(a_lease_ends_if_the_policy_would_not_give_it)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr a = { .local = prefix("10.9.0.1/24") };
	struct ttd_device *dev;

	start(RULE("a", "0"));
	o.socket_path = rig.socket;
	o.addrs = &a;
	o.n_addrs = 1;
	ck_assert_int_eq(ttd_open(&o, &dev, NULL), 0);
	write_policy(enforced[_i].policy);
	ck_assert_uint_eq(reload(true).reloaded.ended, enforced[_i].ended);
	if (enforced[_i].ended)
		link_goes("tt0");
	else
		ck_assert(link_exists("tt0"));
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* Children that hold n devices each until they are told to go. */
static pid_t holder(uid_t uid, unsigned n, const int go[2])
{
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct ttd_device *dev;

		if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
		    setresuid(uid, uid, uid))
			_exit(99);
		for (unsigned i = 0; i < n; i++)
			if (open_device(NULL, &dev, NULL) < 0)
				_exit(98);
		c = 'r';
		if (write(ready[1], &c, 1) != 1)
			_exit(97);
		close(go[1]);
		_exit(read(go[0], &c, 1) < 0);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

START_TEST(enforce_counts_for_each_uid)
{
	pid_t pids[3];
	int go[2], n = 0;

	start(RULE("a", "0, 1001, 1002") "max-devices = 3\n");
	ck_assert_int_eq(pipe(go), 0);
	/* tt0-2 of 1001, tt3-5 of 1002, tt6 of root */
	pids[n++] = holder(1001, 3, go);
	pids[n++] = holder(1002, 3, go);
	pids[n++] = holder(0, 1, go);
	write_policy(RULE("a", "0") "max-devices = 2\n"
		     RULE("b", "1001") "max-devices = 2\n"
		     RULE("c", "1002") "max-devices = 1\n");
	ck_assert_uint_eq(reload(true).reloaded.ended, 3);
	link_goes("tt2");
	link_goes("tt4");
	link_goes("tt5");
	ck_assert(link_exists("tt0") && link_exists("tt1") &&
		  link_exists("tt3") && link_exists("tt6"));
	/* The ceiling of all: the oldest stay, whosoever they are. */
	write_policy("[global]\nmax-devices = 3\n" RULE("a", "0")
		     RULE("b", "1001") RULE("c", "1002"));
	ck_assert_uint_eq(reload(true).reloaded.ended, 1);
	link_goes("tt6");
	close(go[1]);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
	rig_end(&rig);
}
END_TEST

START_TEST(the_ceiling_of_all_users_refuses)
{
	struct ttd_device *dev = NULL;
	struct ttd_error error;
	pid_t pid;
	int go[2];

	start("[global]\nmax-devices = 3\n" RULE("a", "0, 1001")
	      "max-devices = 5\n");
	ck_assert_int_eq(pipe(go), 0);
	pid = holder(1001, 2, go);
	dev = opened("tt9");
	ck_assert_int_eq(open_device(NULL, &dev, &error), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(error.text, "all users together"));
	ck_assert_ptr_nonnull(strstr(error.rule, "10-test.conf:2"));
	close(go[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	link_goes("tt0");
	link_goes("tt1");
	dev = opened("tt0");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- the host's own networks -------------------------------------------- */

static void make_lan(void)
{
	ck_assert_int_eq(sh_status("ip link add lan type veth peer name "
				   "lan1 && ip link set lan1 up && ip address "
				   "add 10.9.7.1/24 dev lan && ip link set lan "
				   "up"), 0);
}

static int open_in(const char *address, const char *route,
		   struct ttd_device **ret, struct ttd_error *error)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr a;
	struct ttd_route r;

	o.socket_path = rig.socket;
	if (address) {
		a = (struct ttd_addr){ .local = prefix(address) };
		o.addrs = &a;
		o.n_addrs = 1;
	}
	if (route) {
		r = (struct ttd_route){ .dst = prefix(route) };
		o.routes = &r;
		o.n_routes = 1;
	}
	return ttd_open(&o, ret, error);
}

#define SHADOW_NO	"10-test.conf:8"	/* the key */
#define SHADOW_ABSENT	"10-test.conf:1"	/* the rule */

/* OPEN, CHECK and ADD each tell the line that does not allow it. */
START_TEST(a_refusal_for_anothers_network_names_its_line)
{
	static const struct {
		const char *policy, *rule;
	} ways[] = {
		{ RULE("a", "0") "shadow = no\n", SHADOW_NO },
		{ RULE("a", "0"), SHADOW_ABSENT },
	};
	struct ttd_device *dev;
	struct ttd_error error;
	struct wire_message m;

	start(ways[_i].policy);
	make_lan();
	ck_assert_int_eq(open_in("10.9.7.9/32", NULL, &dev, &error), -EEXIST);
	ck_assert_msg(strstr(error.rule, ways[_i].rule) != NULL, "%s",
		      error.rule);
	ck_assert_int_eq(open_in(NULL, "10.9.7.64/26", &dev, &error), -EEXIST);
	ck_assert_ptr_nonnull(strstr(error.rule, ways[_i].rule));
	m = (struct wire_message){
		.type = WIRE_CHECK,
		.check = { .uid = WIRE_UID_CALLER, .layer = WIRE_TUN,
			   .queues = 1, .n_addresses = 1 },
	};
	m.check.addresses[0].local = (struct prefix){ { 10, 9, 7, 9 }, 4, 32 };
	m = admin_asks(m);
	ck_assert_int_eq(m.type, WIRE_VERDICT);
	ck_assert_uint_eq(m.verdict.code, WIRE_E_EXISTS);
	ck_assert_ptr_nonnull(strstr(m.verdict.rule, ways[_i].rule));
	dev = opened("tt0");
	ck_assert_int_eq(add_route(dev, "10.9.7.0/25", &error), -EEXIST);
	ck_assert_ptr_nonnull(strstr(error.rule, ways[_i].rule));
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

static const struct {
	const char *address, *route, *policy;
	unsigned ended;
} outdone[] = {
	{ "10.9.7.9/32", NULL, RULE("a", "0") "shadow = yes\n", 0 },
	{ "10.9.7.9/32", NULL, RULE("a", "0"), 1 },
	{ NULL, "10.9.7.64/26", RULE("a", "0") "shadow = no\n", 1 },
	{ "10.9.8.1/24", "10.10.0.0/16", RULE("a", "0") "shadow = no\n", 0 },
	/* The routes to the networks of addresses had 1000. */
	{ "10.9.8.1/24", NULL, RULE("a", "0") "metric = 2000-\n", 1 },
	{ "10.9.8.1/24", NULL, RULE("a", "0") "metric = 10-999\n", 1 },
	{ "10.9.8.1/24", NULL, RULE("a", "0") "metric = 10-1000\n", 0 },
	{ NULL, NULL, RULE("a", "0") "metric = 2000-\n", 0 },
};

START_TEST(enforce_looks_at_the_host_and_the_metric)
{
	struct ttd_device *dev;
	struct ttd_error error;
	char *log;

	start(RULE("a", "0") "shadow = yes\n");
	make_lan();
	ck_assert_msg(open_in(outdone[_i].address, outdone[_i].route, &dev,
			      &error) == 0, "%s", error.text);
	write_policy(outdone[_i].policy);
	ck_assert_uint_eq(reload(false).reloaded.ended, 0);
	ck_assert_uint_eq(reload(true).reloaded.ended, outdone[_i].ended);
	if (outdone[_i].ended) {
		link_goes("tt0");
		log = rig_log(&rig);
		ck_assert_ptr_nonnull(strstr(log, "10-test.conf:"));
		free(log);
	} else {
		ck_assert(link_exists("tt0"));
	}
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

static int may_not_reload(void *unused)
{
	struct wire_message m = { .type = WIRE_RELOAD, .id = 1 };
	int sock = raw_connect(rig.socket);

	(void)unused;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	return m.type == WIRE_REFUSED &&
	       m.refused.code == WIRE_E_NOT_PERMITTED && raw_closed(sock) ?
	       0 : 1;
}

START_TEST(reload_is_roots_alone)
{
	start(RULE("a", "0"));
	as_nobody(may_not_reload, NULL);
	ck_assert_uint_eq(state().state.policy_generation, 1);
	rig_end(&rig);
}
END_TEST

/* --- names -------------------------------------------------------------- */

/* The keeper is the daemon's child, the worker the keeper's. */
static pid_t child_of(pid_t parent)
{
	char *text = sh("cat /proc/%d/task/*/children", (int)parent);
	pid_t pid = (pid_t)strtol(text, NULL, 10);

	free(text);
	return pid;
}

static pid_t keeper_pid(void)
{
	pid_t pid = child_of(rig.daemon);

	ck_assert_int_gt(pid, 0);
	return pid;
}

static pid_t worker_pid(void)
{
	pid_t keeper = keeper_pid(), pid = 0;

	for (int i = 0; i < 100 && pid <= 0; i++) {
		pid = child_of(keeper);
		if (pid <= 0)
			sleep_ms(20);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static bool is_there(pid_t pid)
{
	return kill(pid, 0) == 0;	/* as a zombie, too */
}

static void process_goes(pid_t pid)
{
	for (int i = 0; i < 200 && is_there(pid); i++)
		sleep_ms(20);
	ck_assert(!is_there(pid));
}

/* start(), with nss_stub.c behind the files of this host. */
static void start_with_stub(const char *policy)
{
	rig_namespaces(NODE_CLOSED);
	/* Whoever looks names up may not come to where it was built. */
	ck_assert_int_eq(sh_status("cp %s /run/libnss_stub.so.2",
				   rig_built("tests/live/libnss_stub.so.2")), 0);
	ck_assert_int_eq(sh_status("printf 'passwd: files stub\\n"
				   "group: files\\n' >/run/nsswitch.conf && "
				   "mount --bind /run/nsswitch.conf "
				   "/etc/nsswitch.conf"), 0);
	setenv("LD_LIBRARY_PATH", "/run", 1);
	start(policy);
}

START_TEST(names_are_looked_up_when_a_policy_is_read)
{
	start(RULE("a", "root") "group = root\n");
	ttd_free(opened("tt0"));
	write_policy(RULE("a", "nobody, daemon"));
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	is_refused("no rule lets uid");
	ck_assert_int_eq(sh_status("%s policy show --socket %s | "
				   "grep -qx 'user = 65534, 1'",
				   rig_built("tuntapctl"), rig.admin), 0);
	rig_end(&rig);
}
END_TEST

static char *rights_of(pid_t pid)
{
	return sh("grep -E '^(Uid|Gid|Groups|CapInh|CapEff|CapPrm|CapAmb|"
		  "NoNewPrivs):' /proc/%d/status | tr -s '\\t ' ' ' | "
		  "tr '\\n' ';'", (int)pid);
}

/* No other process of its uid may look into it. */
static bool is_dumpable(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_uid != 0 || sh_status("setpriv --reuid 65534 --regid "
		"65534 --clear-groups cat %s >/dev/null 2>&1", path) == 0;
}

static unsigned fds_of(pid_t pid)
{
	char *text = sh("ls /proc/%d/fd | wc -l", (int)pid);
	unsigned n = (unsigned)strtoul(text, NULL, 10);

	free(text);
	return n;
}

START_TEST(who_looks_names_up_has_no_rights)
{
	pid_t keeper, worker;
	char *text;

	start(RULE("a", "0"));
	keeper = keeper_pid();
	worker = worker_pid();
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	text = rights_of(worker);
	ck_assert_str_eq(text, "Uid: 65534 65534 65534 65534;"
			 "Gid: 65534 65534 65534 65534;Groups: ;"
			 "CapInh: 0000000000000000;CapPrm: 0000000000000000;"
			 "CapEff: 0000000000000000;CapAmb: 0000000000000000;"
			 "NoNewPrivs: 1;");
	free(text);
	ck_assert(!is_dumpable(worker));
	/* kill, setuid and setgid: what it takes to make a worker. */
	text = rights_of(keeper);
	ck_assert_ptr_nonnull(strstr(text, "CapPrm: 00000000000000e0;"
				     "CapEff: 00000000000000e0;"
				     "CapAmb: 0000000000000000;"
				     "NoNewPrivs: 1;"));
	free(text);
	/* The standard ones, and the socket to the daemon. */
	ck_assert_uint_eq(fds_of(worker), 4);
	ck_assert_uint_eq(fds_of(keeper), 4);
	rig_kill(&rig, SIGKILL);
	process_goes(keeper);
	process_goes(worker);
	rig_end(&rig);
}
END_TEST

static pid_t aim;

static int may_not_end_the_keeper(void *unused)
{
	(void)unused;
	return kill(aim, SIGKILL) < 0 && errno == EPERM ? 0 : 1;
}

static int ends_the_worker(void *signal)
{
	return kill(aim, *(int *)signal) == 0 ? 0 : 1;
}

/* Whoever has the worker's uid may end it; then there is another one. */
START_TEST(another_looks_names_up_when_one_is_killed)
{
	int signals[] = { SIGKILL, SIGSTOP, SIGSEGV };
	pid_t keeper;

	start(RULE("a", "root"));
	keeper = aim = keeper_pid();
	as_nobody(may_not_end_the_keeper, NULL);
	for (size_t i = 0; i < COUNT(signals); i++) {
		aim = worker_pid();
		as_nobody(ends_the_worker, &signals[i]);
		/* At once: the name waits for the next one. */
		ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
		process_goes(aim);
		ck_assert_int_ne(worker_pid(), aim);
	}
	ck_assert_int_eq(keeper_pid(), keeper);
	rig_end(&rig);
}
END_TEST

static bool says_it_is_gone(void *unused)
{
	char *log = rig_log(&rig);
	bool says = strstr(log, "that looks names up is gone") != NULL;

	(void)unused;
	free(log);
	return says;
}

START_TEST(a_daemon_that_has_nobody_to_look_names_up_says_so)
{
	struct wire_message m;
	pid_t keeper;

	start(RULE("a", "root"));
	keeper = keeper_pid();
	kill(keeper, SIGKILL);
	/* Not a zombie either, and told at once. */
	process_goes(keeper);
	ck_assert(eventually(says_it_is_gone, NULL));
	for (int i = 0; i < 2; i++) {
		m = reload(false);
		ck_assert_int_eq(m.type, WIRE_REFUSED);
		ck_assert_ptr_nonnull(strstr(m.refused.text, "10-test.conf:3: "
			"user: user `root` cannot be looked up: the process "
			"that does it is gone"));
	}
	write_policy(RULE("a", "0"));
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	ttd_free(opened("tt0"));
	rig_end(&rig);
}
END_TEST

static void is_refused_reload(const char *says)
{
	struct wire_message m = reload(false);

	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_msg(strstr(m.refused.text, "10-test.conf") &&
		      strstr(m.refused.text, says), "%s", m.refused.text);
}

/* An answer of EAGAIN is none that one waits for. */
START_TEST(what_is_to_be_tried_again_is_a_fault)
{
	char path[192];
	int fd;

	start_with_stub(RULE("a", "root"));
	write_policy(RULE("a", "again"));
	is_refused_reload(":3: user: user `again` cannot be looked up "
			  "(Resource temporarily unavailable)");
	ck_assert_int_eq(sh_status("timeout 5 %s --check --policy %s "
				   "2>/dev/null", rig_built("tuntapd"),
				   rig.policy), 1);
	/* tuntapctl: that it could not be asked is not that there is none. */
	ck_assert_int_eq(sh_status("%s policy test --policy %s >/run/said 2>&1",
				   rig_built("tuntapctl"), rig.policy), 2);
	ck_assert_int_eq(sh_status("grep -q 'user `again` cannot be looked up "
				   "(Resource temp' /run/said"), 0);
	ck_assert_int_eq(sh_status("%s policy check --socket %s --tun --user "
				   "again >/run/said 2>&1",
				   rig_built("tuntapctl"), rig.admin), 2);
	ck_assert_int_eq(sh_status("grep -q 'user again: cannot be looked up: "
				   "Resource temp' /run/said"), 0);
	/* A name that kills who looks it up is given up soon. */
	write_policy(RULE("a", "crash"));
	is_refused_reload(":3: user: user `crash` cannot be looked up: what "
			  "does it crashes");
	write_policy(RULE("a", "root"));
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);

	/* open(2) of what another process has a lease of (F_SETLEASE). */
	snprintf(path, sizeof(path), "%s/10-test.conf", rig.policy);
	signal(SIGIO, SIG_IGN);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	is_refused_reload("cannot be opened: Resource temporarily");
	ck_assert_int_eq(sh_status("timeout 5 %s --check --policy %s "
				   "2>/dev/null", rig_built("tuntapd"),
				   rig.policy), 1);
	close(fd);
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	rig_end(&rig);
}
END_TEST

static int asks_for_reload(bool enforce)
{
	struct wire_message m = { .type = WIRE_RELOAD, .id = 9,
				  .reload.enforce = enforce };
	int sock = raw_connect(rig.admin);

	raw_send(sock, &m);
	sleep_ms(100);
	return sock;
}

static struct wire_message answered(int sock)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.id, 9);
	close(sock);
	return m;
}

START_TEST(names_that_take_their_time_hold_nobody_up)
{
	struct wire_message m;
	int sock, second;

	start_with_stub(RULE("a", "0"));
	write_policy(RULE("a", "hang"));
	sock = asks_for_reload(false);
	/* Everybody else is served, by the policy in force. */
	ttd_free(opened("tt0"));
	ck_assert_uint_eq(state().state.policy_generation, 1);
	/* Who asks meanwhile is answered by the reading after this one. */
	write_policy(RULE("a", "root"));
	second = asks_for_reload(false);
	sleep_ms(NAMES_SECONDS * 1000 - 2000);
	m = answered(sock);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_ptr_nonnull(strstr(m.refused.text, "10-test.conf:3: user"));
	ck_assert_ptr_nonnull(strstr(m.refused.text, "timed out"));
	m = answered(second);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	ck_assert_uint_eq(m.reloaded.generation, 2);
	ttd_free(opened("tt0"));
	rig_end(&rig);
}
END_TEST

START_TEST(what_is_asked_for_during_a_reload_is_done_after_it)
{
	struct wire_message m;
	struct ttd_device *dev;
	int socks[4];

	start_with_stub(RULE("a", "0"));
	dev = opened("tt0");
	write_policy(RULE("a", "0, slow"));
	socks[0] = asks_for_reload(false);
	/* SIGHUP meanwhile: what the file says by now is read afterwards. */
	write_policy(RULE("a", "0") RULE("b", "1"));
	kill(rig.daemon, SIGHUP);
	m = answered(socks[0]);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	ck_assert_uint_eq(m.reloaded.generation, 2);
	sleep_ms(200);
	m = state();
	ck_assert_uint_eq(m.state.policy_rules, 2);
	ck_assert_uint_eq(m.state.policy_generation, 3);

	/* One who leaves is no harm; others share one, and its --enforce. */
	write_policy(RULE("a", "0, slow"));
	for (int i = 0; i < 4; i++) {
		socks[i] = asks_for_reload(i == 2);
		write_policy(RULE("c", "slow"));
	}
	close(socks[0]);
	close(socks[1]);
	for (int i = 2; i < 4; i++) {
		m = answered(socks[i]);
		ck_assert_int_eq(m.type, WIRE_RELOADED);
		ck_assert_uint_eq(m.reloaded.generation, 5);
		ck_assert_uint_eq(m.reloaded.ended, 1);
	}
	link_goes("tt0");
	ttd_free(dev);
	/* And none of it sticks. */
	write_policy(RULE("a", "0"));
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	dev = opened("tt0");
	write_policy("; nothing\n");
	ck_assert_uint_eq(reload(false).reloaded.ended, 0);
	kill(rig.daemon, SIGHUP);
	sleep_ms(SETTLE_MS);
	ck_assert_uint_eq(state().state.policy_generation, 8);
	ck_assert(link_exists("tt0"));
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- asked -------------------------------------------------------------- */

static struct wire_message check_of(uint32_t uid)
{
	return (struct wire_message){
		.type = WIRE_CHECK, .id = 5,
		.check = { .uid = uid, .gid = uid, .layer = WIRE_TUN,
			   .queues = 1 },
	};
}

#define THREE	"[rule others]\naction = deny\nuser = 7\n" \
		"[rule taps]\naction = deny\nuser = any\nkind = tap\n" \
		RULE("mine", "65534") RULE("roots", "0")

static void verdict_is(const struct wire_message *m, unsigned code,
		       unsigned n_tried, const char *last)
{
	ck_assert_int_eq(m->type, WIRE_VERDICT);
	ck_assert_uint_eq(m->verdict.code, code);
	ck_assert_uint_eq(m->verdict.n_tried, n_tried);
	if (n_tried)
		ck_assert_str_eq(m->verdict.tried[n_tried - 1].name, last);
}

static int asks_about_himself(void *unused)
{
	static const uint32_t others[] = { 0, 7, 1000 };
	struct wire_message m = check_of(WIRE_UID_CALLER);
	int sock = raw_connect(rig.socket);

	(void)unused;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	/* The rules of others are not told, the one for all is. */
	verdict_is(&m, 0, 2, "mine");
	ck_assert_str_eq(m.verdict.tried[0].name, "taps");
	ck_assert_str_eq(m.verdict.name, "tt0");
	m = check_of(NOBODY);
	m.check.layer = WIRE_TAP;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	verdict_is(&m, WIRE_E_POLICY, 1, "taps");
	for (size_t i = 0; i < COUNT(others); i++) {
		m = check_of(others[i]);
		raw_send(sock, &m);
		raw_receive(sock, &m);
		ck_assert_int_eq(m.type, WIRE_REFUSED);
		ck_assert_uint_eq(m.refused.code, WIRE_E_NOT_PERMITTED);
	}
	/* Groups that he does not have he cannot give himself. */
	for (int named = 0; named < 2; named++) {
		m = check_of(named ? NOBODY : WIRE_UID_CALLER);
		m.check.gid = 0;
		m.check.n_groups = 1;
		m.check.groups[0].gid = 0;
		raw_send(sock, &m);
		raw_receive(sock, &m);
		verdict_is(&m, 0, 2, "mine");
	}
	close(sock);
	return 0;
}

START_TEST(a_user_is_answered_about_himself)
{
	char *before;

	start("[rule wheel]\naction = deny\ngroup = 0\n" THREE);
	before = host_state();
	as_nobody(asks_about_himself, NULL);
	host_unchanged(before);
	ck_assert_uint_eq(state().state.leases, 0);
	rig_end(&rig);
}
END_TEST

static int is_told_of_his_rules_alone(void *unused)
{
	struct wire_message m = check_of(WIRE_UID_CALLER);
	int sock = raw_connect(rig.socket);

	(void)unused;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	verdict_is(&m, 0, WIRE_TRIED_MAX, "mine");
	/* 10 that do not fit; one of them for the one that decides. */
	ck_assert_uint_eq(m.verdict.more, 10);
	close(sock);
	return 0;
}

START_TEST(rules_that_are_not_told_are_counted_for_each)
{
	struct wire_message m;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	/* About him, and between them others. */
	for (int i = 0; i < WIRE_TRIED_MAX + 9; i++)
		fprintf(f, "[rule h%d]\naction = deny\nuser = 65534\n"
			"name = x\n[rule o%d]\naction = deny\nuser = 5\n",
			i, i);
	fputs(RULE("mine", "65534, 0"), f);
	fclose(f);
	start(text);
	free(text);
	as_nobody(is_told_of_his_rules_alone, NULL);
	m = admin_asks(check_of(NOBODY));
	verdict_is(&m, 0, WIRE_TRIED_MAX, "mine");
	ck_assert_uint_eq(m.verdict.more, WIRE_TRIED_MAX + 19);
	rig_end(&rig);
}
END_TEST

START_TEST(root_is_answered_about_everybody)
{
	struct wire_message m;

	start(THREE);
	m = admin_asks(check_of(7));
	verdict_is(&m, WIRE_E_POLICY, 1, "others");
	m = admin_asks(check_of(NOBODY));
	verdict_is(&m, 0, 3, "mine");
	m = admin_asks(check_of(1234));
	verdict_is(&m, WIRE_E_POLICY, 4, "roots");
	m = admin_asks(check_of(WIRE_UID_CALLER));
	verdict_is(&m, 0, 4, "roots");
	rig_end(&rig);
}
END_TEST

static const struct {
	const char *options;
	int status;
	const char *says;
} asked[] = {
	{ "--tun --address 10.9.0.1/24", 0, "allowed: tt0, metric 1000" },
	{ "--tun --name vpn0", 1, "rule a is about other names" },
	{ "--tap --mac 02:00:00:00:00:01", 1, "`mac = chosen`" },
	{ "--tun --address 10.8.0.1/24", 1, "10-test.conf:6" },
	{ "--tun --route 0.0.0.0/0", 1, "default-route" },
	{ "--tun --route 0.0.0.0/1", 1, "default-route" },
	{ "--tun --mtu 1000 --user 7", 1, "no rule lets uid" },
	{ "--tun --user nobody!", 2, "there is no such user" },
	{ "--tun --mtu none", 2, "it is a number" },
	{ "--address 10.9.0.1/24", 2, "--tun (IP packets) or --tap" },
	{ "--tun extra", 2, "takes no arguments" },
	{ "--tun --socket /nowhere", 3, "there is no socket" },
};

START_TEST(tuntapctl_explains)
{
	const char *name = "check --socket";
	char *said;

	start(RULE("a", "0"));
	for (int way = 0; way < 2; way++) {
		/* The same from the files, without the daemon. */
		if (way && strstr(asked[_i].options, "--socket"))
			break;
		said = sh("{ %s policy %s %s %s; echo exit $?; } 2>&1",
			  rig_built("tuntapctl"),
			  way ? "test --policy" : name,
			  way ? rig.policy : rig.admin, asked[_i].options);
		if (way && !strstr(asked[_i].options, "--t"))
			ck_assert_ptr_nonnull(strstr(said, "no faults"));
		else
			ck_assert_msg(strstr(said, asked[_i].says) != NULL &&
				      said[strlen(said) - 2] ==
				      '0' + asked[_i].status, "%s", said);
		free(said);
	}
	rig_end(&rig);
}
END_TEST

static void ctl_says(const char *arguments, const char *socket, int status,
		     const char *says)
{
	char *said = sh("{ %s %s --socket %s; echo exit $?; } 2>&1",
			rig_built("tuntapctl"), arguments, socket);
	char end[32];

	snprintf(end, sizeof(end), "exit %d\n", status);
	ck_assert_msg(strstr(said, says) && strstr(said, end), "%s: %s",
		      arguments, said);
	free(said);
}

START_TEST(tuntapctl_reloads_and_tells_in_json)
{
	struct ttd_device *dev;

	start(RULE("a", "0"));
	dev = opened("tt0");
	ctl_says("policy check --tun --json", rig.admin, 0, "{\"allowed\": true, "
		 "\"code\": null, \"step\": null, \"text\": null, \"rule\": ");
	ctl_says("policy check --tun --json", rig.admin, 0, "\"name\": "
		 "\"tt1\", \"mtu\": null, \"metric\": 1000, \"tried\": "
		 "[{\"rule\": ");
	ctl_says("policy check --tap --user 7 --json", rig.admin, 1,
		 "\"match\": \"is about other users\"}], \"more\": 0}");
	ctl_says("policy show --json", rig.admin, 0, "[{\"section\": "
		 "\"global\", \"rule\": null, \"keys\": {\"max-devices\": "
		 "\"4096\"}}, {\"section\": \"rule a\", \"rule\": \"");
	ctl_says("reload --json", rig.admin, 0, "{\"generation\": 2, "
		 "\"rules\": 1, \"ended\": 0}");
	write_policy("[rule a]\nuser = any\n");
	ctl_says("reload --enforce", rig.admin, 1, "10-test.conf:1: rule a has "
		 "no action");
	write_policy("; nothing\n");
	ctl_says("reload --enforce", rig.admin, 0, "policy generation 3: 0 "
		 "rules; 1 lease ended");
	ctl_says("reload", rig.socket, 1, "admin socket");
	ctl_says("policy", rig.admin, 2, "there is no such command");
	ctl_says("policy tell", rig.admin, 2, "there is no such command");
	ctl_says("reload now", rig.admin, 2, "reload takes no arguments");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- shown -------------------------------------------------------------- */

static char *shown(int sock)
{
	struct wire_message m = { .type = WIRE_POLICY, .id = 1 };
	char *text = calloc(1, 1);

	raw_send(sock, &m);
	for (;;) {
		raw_receive(sock, &m);
		if (m.type != WIRE_RULE)
			break;
		text = realloc(text, strlen(text) + strlen(m.rule.text) + 1);
		strcat(text, m.rule.text);
	}
	ck_assert_int_eq(m.type, WIRE_DONE);
	return text;
}

static int sees_his_own(void *unused)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 2 };
	int sock = raw_connect(rig.socket);
	char *text = shown(sock);

	(void)unused;
	ck_assert_ptr_nonnull(strstr(text, "[global]"));
	ck_assert_ptr_nonnull(strstr(text, "[rule taps]"));
	ck_assert_ptr_nonnull(strstr(text, "[rule mine]"));
	ck_assert_ptr_null(strstr(text, "[rule others]"));
	ck_assert_ptr_null(strstr(text, "[rule roots]"));
	ck_assert_ptr_nonnull(strstr(text, "[rule several]"));
	ck_assert_ptr_nonnull(strstr(text, "\nuser = 65534\n"));
	ck_assert_ptr_null(strstr(text, "4321"));
	free(text);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.state.policy_rules, 3);
	close(sock);
	return 0;
}

START_TEST(a_user_sees_the_rules_about_himself)
{
	char *text;
	int sock;

	start(THREE "[rule several]\naction = deny\nuser = 4321, 65534\n"
	      "group = 54321\nname = x\n");
	as_nobody(sees_his_own, NULL);
	ck_assert_uint_eq(state().state.policy_rules, 5);
	sock = raw_connect(rig.admin);
	text = shown(sock);
	ck_assert_ptr_nonnull(strstr(text, "user = 4321, 65534"));
	ck_assert_ptr_nonnull(strstr(text, "[rule others]"));
	ck_assert_ptr_nonnull(strstr(text, "[rule roots]"));
	free(text);
	close(sock);
	rig_end(&rig);
}
END_TEST

/*
 * Long ones come in pieces, and many of them whole; what comes can be read as
 * files, a section each.
 */
static void write_large(void)
{
	char path[192];
	FILE *f = NULL;

	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "%s/2%02d-large.conf", rig.policy,
			 i);
		f = fopen(path, "we");
		fprintf(f, "[rule r%d]\naction=allow\nuser=any\nkind=tun\n"
			"name=", i);
		for (int j = 0; j < 250; j++)
			fprintf(f, "%sx%02d-%03d-%.50s", j ? "," : "", i, j,
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		for (int k = 0; k < 3; k++) {
			fputs(k == 0 ? "\naddress=" : k == 1 ? "\nroute=" :
			      "\nsource=", f);
			for (int j = 0; j < 250; j++)
				fprintf(f, "%sfd00:%d:%d::%x:1/128",
					j ? "," : "", k, i, j);
		}
		fputs("\n", f);
		fclose(f);
	}
	ck_assert_uint_eq(reload(false).reloaded.rules, 40);
}

START_TEST(a_large_policy_is_shown_whole)
{
	char *text, *end;
	unsigned found = 0;
	int sock;

	start("; empty\n");
	write_large();
	sock = raw_connect(rig.socket);
	text = shown(sock);
	for (end = text; (end = strstr(end, "[rule r")); end++)
		found++;
	ck_assert_uint_eq(found, 40);
	ck_assert_ptr_nonnull(strstr(text, "fd00:2:39::f9:1/128\n"));
	free(text);
	close(sock);
	/* tuntapctl likewise; and from it the same policy again. */
	ck_assert_int_eq(sh_status("%s policy show --json --socket %s "
		">/run/shown.json && grep -q fd00:2:39::f9:1/128 "
		"/run/shown.json", rig_built("tuntapctl"), rig.admin), 0);
	ck_assert_int_eq(sh_status("%s policy show --socket %s >/run/shown && "
		"mkdir -m 755 /run/again && awk '/^\\[/ { n++ } "
		"{ print >\"/run/again/\" n \".conf\" }' /run/shown && "
		"%s --check --policy /run/again >/dev/null 2>&1",
		rig_built("tuntapctl"), rig.admin, rig_built("tuntapd")), 0);
	rig_end(&rig);
}
END_TEST

/* Who reads slowly is not told half of one policy and half of another. */
START_TEST(a_policy_that_changes_while_it_is_told_is_broken_off)
{
	struct wire_message m = { .type = WIRE_POLICY, .id = 1 };
	int sock;

	start("; empty\n");
	write_large();
	sock = raw_connect(rig.admin);
	raw_send(sock, &m);
	sleep_ms(SETTLE_MS);
	ck_assert_int_eq(reload(false).type, WIRE_RELOADED);
	do
		raw_receive(sock, &m);
	while (m.type == WIRE_RULE);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_BUSY);
	/* And once more, on the same connection. */
	free(shown(sock));
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(enforce_is_yes_or_no)
{
	struct wire_message m;

	start(RULE("a", "0"));
	m = admin_asks((struct wire_message){ .type = WIRE_RELOAD,
					      .reload.enforce = 2 });
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_INVALID);
	ck_assert_uint_eq(state().state.policy_generation, 1);
	rig_end(&rig);
}
END_TEST

static void hang_up(int unused)
{
	(void)unused;
	if (rig.daemon > 0)
		kill(rig.daemon, SIGHUP);
}

/* One that comes while names are looked up at the start. */
START_TEST(a_hangup_during_the_start_is_a_reload)
{
	const struct itimerval soon = { .it_value.tv_usec = 300 * 1000 };

	start_with_stub(RULE("a", "0"));
	rig_stop(&rig);
	write_policy(RULE("a", "0, slow"));
	signal(SIGALRM, hang_up);
	setitimer(ITIMER_REAL, &soon, NULL);
	rig_daemon(&rig, NULL);
	for (int i = 0; i < 100 && state().state.policy_generation < 2; i++)
		sleep_ms(50);
	ck_assert_uint_eq(state().state.policy_generation, 2);
	rig_end(&rig);
}
END_TEST

/* --- quotas ------------------------------------------------------------- */

static int as_uid(uid_t uid, unsigned n, int expect)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct ttd_device *dev;
		struct ttd_error error;
		int r = 0;

		if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
		    setresuid(uid, uid, uid))
			_exit(99);
		for (unsigned i = 0; i < n; i++)
			if (open_device(NULL, &dev, &error) < 0)
				_exit(98);
		r = open_device(NULL, &dev, &error);
		_exit(r == expect ? 0 : 97);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(quotas_count_over_connections_and_rules)
{
	struct ttd_device *dev[3];

	start("[rule one]\naction = allow\nuser = any\nkind = tun\n"
	      "name = tta*\nmax-devices = 2\n"
	      "[rule two]\naction = allow\nuser = any\nkind = tun\n"
	      "name = ttb*\nmax-devices = 3\n[global]\nmax-devices = 5\n");
	dev[0] = opened("tta0");
	dev[1] = opened("ttb0");
	/* Two by two rules: the first has had enough, the second has not. */
	is_refused("max-devices = 2");
	dev[2] = opened("ttb1");
	/* Others have their own, and all together five. */
	ck_assert_int_eq(as_uid(1001, 2, -EDQUOT), 0);
	ck_assert_int_eq(as_uid(1002, 2, -EDQUOT), 0);
	for (int i = 0; i < 3; i++)
		ttd_free(dev[i]);
	rig_end(&rig);
}
END_TEST

START_TEST(halves_and_covers_in_two_requests)
{
	static const char *const pairs[][2] = {
		{ "10.0.0.0/8", "11.0.0.0/8" },
		{ "fd00::/16", "fd01::/16" },
	};
	static const char *const alone[] = {
		"0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/0", "::/1", "8000::/1",
	};
	struct ttd_device *dev;
	struct ttd_error error;
	char *before;

	start("[rule a]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	      "route = 0.0.0.0/0, ::/0\n");
	dev = opened("tt0");
	/* For what the kernel adds to a link that is up, a little later. */
	sleep_ms(SETTLE_MS);
	for (size_t i = 0; i < COUNT(alone); i++) {
		ck_assert_int_eq(add_route(dev, alone[i], &error), -EACCES);
		ck_assert_ptr_nonnull(strstr(error.text, "default"));
	}
	for (size_t i = 0; i < COUNT(pairs); i++) {
		ck_assert_int_eq(add_route(dev, pairs[i][0], &error), 0);
		before = host_state();
		ck_assert_int_eq(add_route(dev, pairs[i][1], &error), -EACCES);
		ck_assert_ptr_nonnull(strstr(error.text, "together cover"));
		host_unchanged(before);
	}
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_broken_file_changes_nothing, 0,
			    COUNT(broken));
	tcase_add_test(t, a_folder_that_is_gone_changes_nothing);
	tcase_add_test(t, a_reload_leaves_leases_alone_unless_told);
	tcase_add_test(t, enforce_counts_for_each_uid);
	tcase_add_test(t, enforce_is_yes_or_no);
	tcase_add_test(t, the_newest_go_where_there_are_too_many);
	tcase_add_loop_test(t, a_lease_ends_if_the_policy_would_not_give_it,
			    0, COUNT(enforced));
	tcase_add_loop_test(t, a_refusal_for_anothers_network_names_its_line,
			    0, 2);
	tcase_add_loop_test(t, enforce_looks_at_the_host_and_the_metric, 0,
			    COUNT(outdone));
	tcase_add_test(t, reload_is_roots_alone);
	tcase_add_test(t, names_are_looked_up_when_a_policy_is_read);
	tcase_add_test(t, who_looks_names_up_has_no_rights);
	tcase_add_test(t, another_looks_names_up_when_one_is_killed);
	tcase_add_test(t, a_daemon_that_has_nobody_to_look_names_up_says_so);
	tcase_add_test(t, what_is_to_be_tried_again_is_a_fault);
	tcase_add_test(t, names_that_take_their_time_hold_nobody_up);
	tcase_add_test(t, what_is_asked_for_during_a_reload_is_done_after_it);
	tcase_add_test(t, a_user_is_answered_about_himself);
	tcase_add_test(t, rules_that_are_not_told_are_counted_for_each);
	tcase_add_test(t, root_is_answered_about_everybody);
	tcase_add_loop_test(t, tuntapctl_explains, 0, COUNT(asked));
	tcase_add_test(t, tuntapctl_reloads_and_tells_in_json);
	tcase_add_test(t, a_user_sees_the_rules_about_himself);
	tcase_add_test(t, a_large_policy_is_shown_whole);
	tcase_add_test(t, a_policy_that_changes_while_it_is_told_is_broken_off);
	tcase_add_test(t, a_hangup_during_the_start_is_a_reload);
	tcase_add_test(t, quotas_count_over_connections_and_rules);
	tcase_add_test(t, the_ceiling_of_all_users_refuses);
	tcase_add_test(t, halves_and_covers_in_two_requests);
	suite_add_tcase(s, t);
	return live_main("policy", s);
}
