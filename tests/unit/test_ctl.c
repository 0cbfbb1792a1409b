/* tuntapctl: options, what a command is given, signals, what is printed. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../ctl/handover.h"
#include "../../ctl/run_args.h"
#include "../../ctl/show.h"
#include "../../ctl/supervise.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define MAX_ARGS	300
#define FIRST_NOBODY	4000000000u	/* from here on no uid has a name */
#define MANY_USERS	1000

static struct run_args args;
static char why[ARGS_WHY_MAX];
static char *argv_buf[MAX_ARGS + 1];

/* Cuts a line at its spaces into the arguments behind "run", and parses. */
static int parse(const char *line)
{
	static char copy[8192];
	int argc = 0;

	args = (struct run_args){ .layer = 0 };
	why[0] = '\0';
	argv_buf[argc++] = copy;
	snprintf(copy, sizeof(copy), "run %s", line);
	for (char *p = copy; (p = strchr(p, ' ')) && argc < MAX_ARGS;) {
		*p++ = '\0';
		if (*p)
			argv_buf[argc++] = p;
	}
	argv_buf[argc] = NULL;
	return args_parse(run_rows, argc, argv_buf, &args, why);
}

static void prefix_is(const struct ttd_prefix *p, const char *text)
{
	char buf[TTD_PREFIX_TEXT_MAX];

	ck_assert_int_gt(ttd_prefix_format(p, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, text);
}

/* --- options ------------------------------------------------------------ */

START_TEST(every_option_is_understood)
{
	static const uint8_t mac[] = { 2, 0, 0x5e, 0x10, 0, 0xff };
	struct ttd_options o;
	int first = parse("--tap --name tt0 --address 10.9.0.1/24 "
			  "--address=10.9.1.1,peer=10.9.1.2/30 "
			  "--address fd09::1/64,nodad --route 10.20.0.0/16 "
			  "--route fd20::/32,via=fd09::2,metric=4000000000 "
			  "--mtu 1400 --txqueuelen 77 --queues=4 "
			  "--mac 02:00:5E:10:00:ff --vnet-hdr --down --json "
			  "--socket /a/b -- cat --mtu 3");

	ck_assert_msg(first > 0, "%s", why);
	ck_assert_str_eq(argv_buf[first], "cat");
	ck_assert_int_eq(run_args_check(&args, why), 0);
	ck_assert(args.common.json);
	o = run_args_options(&args);
	ck_assert_uint_eq(o.size, sizeof(o));
	ck_assert_uint_eq(o.layer, TTD_TAP);
	ck_assert_uint_eq(o.flags, TTD_MAC_SET | TTD_DOWN);
	ck_assert_uint_eq(o.offload, TTD_OFFLOAD_PASS);
	ck_assert_str_eq(o.socket_path, "/a/b");
	ck_assert_str_eq(o.name, "tt0");
	ck_assert_uint_eq(o.mtu, 1400);
	ck_assert_uint_eq(o.txqueuelen, 77);
	ck_assert_uint_eq(o.queues, 4);
	ck_assert_mem_eq(o.mac, mac, 6);
	ck_assert_uint_eq(o.n_addrs, 3);
	prefix_is(&o.addrs[0].local, "10.9.0.1/24");
	ck_assert_uint_eq(o.addrs[0].peer.family, 0);
	ck_assert_uint_eq(o.addrs[0].flags, 0);
	prefix_is(&o.addrs[1].local, "10.9.1.1/32");
	prefix_is(&o.addrs[1].peer, "10.9.1.2/30");
	prefix_is(&o.addrs[2].local, "fd09::1/64");
	ck_assert_uint_eq(o.addrs[2].flags, TTD_ADDR_NODAD);
	ck_assert_uint_eq(o.n_routes, 2);
	prefix_is(&o.routes[0].dst, "10.20.0.0/16");
	ck_assert_uint_eq(o.routes[0].gateway.family, 0);
	ck_assert_uint_eq(o.routes[0].metric, 0);
	prefix_is(&o.routes[1].dst, "fd20::/32");
	prefix_is(&o.routes[1].gateway, "fd09::2/128");
	ck_assert_uint_eq(o.routes[1].metric, 4000000000u);
}
END_TEST

START_TEST(nothing_asked_for_is_the_default)
{
	struct ttd_options o, d = TTD_OPTIONS_INIT(TTD_TUN);

	ck_assert_int_eq(parse("--tun cat"), 2);
	o = run_args_options(&args);
	ck_assert_uint_eq(o.offload, TTD_OFFLOAD_NONE);
	ck_assert_uint_eq(o.flags, 0);
	ck_assert_ptr_null(o.socket_path);
	ck_assert_ptr_null(o.name);
	ck_assert_uint_eq(o.n_addrs + o.n_routes, 0);
	ck_assert_uint_eq(o.mtu + o.queues + o.txqueuelen, 0);
	ck_assert_int_eq(o.timeout_ms, d.timeout_ms);
}
END_TEST

START_TEST(options_end_where_the_command_begins)
{
	ck_assert_int_eq(parse("--tun cat --tap"), 2);
	ck_assert_uint_eq(args.layer, TTD_TUN);
	ck_assert_int_eq(parse("--tun -- --tap"), 3);
	ck_assert_int_eq(parse("--tun -"), 2);
	ck_assert_int_eq(parse("--tun"), 2);
	ck_assert_int_eq(parse(""), 1);
	ck_assert_int_eq(parse("--tun --help"), ARGS_HELP);
	ck_assert_int_eq(parse("-h"), ARGS_HELP);
	ck_assert_int_eq(parse("--tun cat --help"), 2);
}
END_TEST

/* What is said names the option, its value and what is wrong with it. */
static const struct {
	const char *line, *why;
} bad[] = {
	{ "--address 10.0.0.1/33",
	  "--address 10.0.0.1/33: an IPv4 prefix has at most 32 bits" },
	{ "--address=fd00::/129",
	  "--address fd00::/129: an IPv6 prefix has at most 128 bits" },
	{ "--address ,nodad", "it is not an IPv4 or IPv6 address" },
	{ "--address 10.0.0.1/24,nodad", "nodad is for IPv6" },
	{ "--address fd00::1/64,dad", "\"dad\" is not one of peer=" },
	{ "--address fd00::1/64,", "\"\" is not one of peer=" },
	{ "--address 10.0.0.1,peer=x", "peer: it is not an IPv4 or IPv6" },
	{ "--address 10.0.0.1,peer=fd00::1", "not of one family" },
	{ "--address 10.0.0.1/24,peer=10.0.0.2", "stands alone" },
	{ "--route 10.1.0.0/8",
	  "--route 10.1.0.0/8: there are bits set behind /8; the network is "
	  "10.0.0.0/8" },
	{ "--route default", "write 0.0.0.0/0 or ::/0" },
	{ "--route 10.0.0.0/8,via=fd00::1", "not of one family" },
	{ "--route 10.0.0.0/8,via=10.0.0.1/24", "a gateway is one address" },
	{ "--route 10.0.0.0/8,metric=0", "metric: it is a number from 1 to "
	  "4294967295" },
	{ "--route 10.0.0.0/8,metric=4294967296", "metric: it is a number" },
	{ "--route 10.0.0.0/8,dev=eth0", "\"dev=eth0\" is not one of via=" },
	{ "--mtu 67", "--mtu 67: it is a number from 68 to 65535" },
	{ "--mtu 65536", "it is a number from 68 to 65535" },
	{ "--mtu -1", "it is a number from 68 to 65535" },
	{ "--mtu 1500x", "it is a number from 68 to 65535" },
	{ "--mtu=", "--mtu '': it is a number from 68 to 65535" },
	{ "--socket=", "--socket '': it is the path of the daemon's socket" },
	{ "--mtu 99999999999999999999999", "it is a number from" },
	{ "--txqueuelen 0", "it is a number from 1 to 2147483647" },
	{ "--queues 0", "it is a number from 1 to 64" },
	{ "--queues 65", "it is a number from 1 to 64" },
	{ "--name=", "an interface name has 1 to 15 bytes, this one has 0" },
	{ "--name 1234567890123456", "this one has 16" },
	{ "--mac 1:2:3:4:5:6", "six bytes in hex" },
	{ "--mac 02:00:00:00:00", "six bytes in hex" },
	{ "--mac 02:00:00:00:00:01:", "six bytes in hex" },
	{ "--mac 02-00-00-00-00-01", "six bytes in hex" },
	{ "--mac 0x:00:00:00:00:01", "six bytes in hex" },
	{ "--mac 01:00:00:00:00:01", "a group's address" },
	{ "--mac 00:00:00:00:00:00", "a group's address or none" },
	{ "--tun --tap", "--tap: a device is either a TUN or a TAP" },
	{ "--tun=yes", "--tun takes no value" },
	{ "--tun --mtu", "--mtu needs a value: --mtu N" },
	{ "--mt 1500", "--mt: there is no such option" },
	{ "-n tt0", "-n: there is no such option" },
	{ "--mtux", "--mtux: there is no such option" },
};

START_TEST(what_is_wrong_is_said)
{
	ck_assert_int_eq(parse(bad[_i].line), -EINVAL);
	ck_assert_msg(strstr(why, bad[_i].why) != NULL,
		      "%s: \"%s\" does not say \"%s\"", bad[_i].line, why,
		      bad[_i].why);
}
END_TEST

START_TEST(as_many_as_a_request_holds)
{
	char line[4096] = "";

	for (int i = 0; i < WIRE_ADDRESSES_MAX; i++)
		sprintf(line + strlen(line), "--address=10.0.0.%d ", i);
	ck_assert_int_gt(parse(line), 0);
	ck_assert_uint_eq(args.n_addrs, WIRE_ADDRESSES_MAX);
	strcat(line, "--address 10.0.1.1");
	ck_assert_int_eq(parse(line), -EINVAL);
	ck_assert(strstr(why, "no more addresses"));
}
END_TEST

START_TEST(options_must_fit_each_other)
{
	ck_assert_int_gt(parse("--name tt0 -- cat"), 0);
	ck_assert_int_eq(run_args_check(&args, why), -EINVAL);
	ck_assert(strstr(why, "--tun"));
	ck_assert_int_gt(parse("--mac 02:00:00:00:00:01 --tun -- cat"), 0);
	ck_assert_int_eq(run_args_check(&args, why), -EINVAL);
	ck_assert(strstr(why, "--mac"));
}
END_TEST

START_TEST(help_has_every_option)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	args_help(run_rows, f);
	fclose(f);
	for (const struct arg_row *row = run_rows; row->name; row++)
		ck_assert_msg(strstr(text, row->name), "%s", row->name);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 80, "%s", line);
	free(text);
}
END_TEST

/* --- what the command is given ------------------------------------------ */

static const struct {
	const char *from, *to;
} words[] = {
	{ "{fd}", "3" },
	{ "{name}", "tt-long-name" },
	{ "tap,id=n0,fd={fd}", "tap,id=n0,fd=3" },
	{ "{fd}{fd}{name}{fd}", "33tt-long-name3" },
	{ "", "" },
	{ "{", "{" },
	{ "{fd", "{fd" },
	{ "{{fd}}", "{3}" },
	{ "{fdx}{names}{FD}", "{fdx}{names}{FD}" },
};

START_TEST(words_are_replaced)
{
	char *argv[] = { "{name}", (char *)(uintptr_t)words[_i].from, "z",
			 NULL };
	char **got = handover_argv(argv, 3, "tt-long-name");

	ck_assert_str_eq(got[0], "{name}");	/* a command is a command */
	ck_assert_str_eq(got[1], words[_i].to);
	ck_assert_str_eq(got[2], "z");
	ck_assert_ptr_null(got[3]);
	free(got);
}
END_TEST

START_TEST(a_value_is_not_looked_into_again)
{
	char *argv[] = { "c", "{name}", NULL };
	char **got = handover_argv(argv, 3, "{fd}{name}");

	ck_assert_str_eq(got[1], "{fd}{name}");
	free(got);
}
END_TEST

/*
 * In a process with fds of our choice: runs the script, whose fds 3, 4, 5 are
 * to be pipes that hold "0", "1" and "2".  Its exit status; 100 and more: not
 * even that.
 */
static int spawn_with(const int numbers[3], const char *script)
{
	char *argv[] = { "sh", "-c", (char *)(uintptr_t)script, NULL };
	int fds[3], status;
	sigset_t mask;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		int p[2];

		if (pipe(p) < 0 || write(p[1], &"012"[i], 1) != 1)
			return 100;
		/* out of the way of the numbers that are wanted */
		fds[i] = fcntl(p[0], F_DUPFD_CLOEXEC, 100);
		close(p[0]);
		close(p[1]);
	}
	for (int i = 0; i < 3; i++) {
		if (dup3(fds[i], numbers[i], O_CLOEXEC) < 0)
			return 101;
		close(fds[i]);
		fds[i] = numbers[i];
	}
	sigemptyset(&mask);
	if (handover_spawn(argv, fds, 3, &mask, &pid) < 0)
		return 102;
	for (int i = 0; i < 3; i++)
		if (fcntl(fds[i], F_GETFD) != FD_CLOEXEC)
			return 103;
	if (waitpid(pid, &status, 0) != pid)
		return 104;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 105;
}

/* The same in a child, which has no other fds. */
static int in_child(const int numbers[3], const char *script)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		closefrom(3);
		_exit(spawn_with(numbers, script));
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const int places[][3] = {
	{ 3, 4, 5 }, { 3, 5, 4 }, { 4, 3, 5 }, { 4, 5, 3 }, { 5, 3, 4 },
	{ 5, 4, 3 }, { 6, 7, 8 }, { 4, 5, 6 }, { 5, 6, 7 }, { 6, 5, 4 },
	{ 9, 3, 20 }, { 20, 4, 3 },
};

START_TEST(fds_get_their_numbers)
{
	ck_assert_int_eq(in_child(places[_i],
		"for fd in 3 4 5; do "
		"	got=$(head -c 1 <&$fd) && [ \"$got\" = $((fd - 3)) ] ||"
		"		exit 1;"
		"done;"
		/* and there are no others: 10 and up are the shell's own */
		"for fd in 6 7 8 9 20; do "
		"	[ ! -e /proc/$$/fd/$fd ] || exit 2;"
		"done"), 0);
}
END_TEST

/* No shell: some clear the mask. */
START_TEST(mask_is_the_one_asked_for)
{
	char *argv[] = { "grep", "-q", "^SigBlk:.*0000000000000200$",
			 "/proc/self/status", NULL };
	sigset_t mask;
	int status;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	ck_assert_int_eq(handover_spawn(argv, NULL, 0, &mask, &pid), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(commands_that_cannot_be)
{
	static const struct {
		const char *command;
		int error;
	} t[] = {
		{ "/nonexistent/x", -ENOENT }, { "no-such-command", -ENOENT },
		{ "/", -EACCES }, { "/proc/self/status", -EACCES },
	};
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < COUNT(t); i++) {
		char *argv[] = { (char *)(uintptr_t)t[i].command, NULL };
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		int error, status = 0;
		pid_t pid;

		error = handover_spawn(argv, &fd, 1, &mask, &pid);
		close(fd);
		/* valgrind makes its vfork a fork, which cannot tell us */
		if (error == 0 && waitpid(pid, &status, 0) == pid &&
		    WIFEXITED(status) && WEXITSTATUS(status) == 127)
			continue;
		ck_assert_int_eq(error, t[i].error);
	}
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);	/* no child is left */
}
END_TEST

/* --- signals, ends ------------------------------------------------------ */

static int times_gone;

static void gone(void *arg)
{
	(void)arg;
	times_gone++;
}

/* In a child, as tuntapctl does: its own wait status. */
static int supervised(const char *script, int done, int sig)
{
	char *argv[] = { "sh", "-c", (char *)(uintptr_t)script, NULL };
	int out[2], status;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		sigset_t mask;
		pid_t cmd;

		dup2(out[1], 1);
		closefrom(done < 3 ? 3 : done + 1);
		if (supervise_begin(&mask) < 0 ||
		    handover_spawn(argv, NULL, 0, &mask, &cmd) < 0)
			_exit(99);
		status = supervise_wait(cmd, done, gone, NULL);
		if (done >= 0 && times_gone != 1)
			_exit(98);
		supervise_exit(status);
	}
	close(out[1]);
	if (sig) {
		ck_assert_int_eq(read(out[0], &byte, 1), 1);
		kill(pid, sig);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(out[0]);
	return status;
}

START_TEST(its_end_is_ours)
{
	int status = supervised("exit 7", -1, 0);

	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	status = supervised("kill -KILL $$", -1, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = supervised("kill -TERM $$", -1, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	status = supervised("kill -ABRT $$", -1, 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert(!WCOREDUMP(status));
}
END_TEST

static const struct {
	int sig;
	const char *name;
} passed_on[] = {
	{ SIGTERM, "TERM" }, { SIGINT, "INT" }, { SIGHUP, "HUP" },
	{ SIGQUIT, "QUIT" }, { SIGUSR1, "USR1" }, { SIGUSR2, "USR2" },
	{ SIGWINCH, "WINCH" }, { SIGCONT, "CONT" },
};

START_TEST(signals_are_passed_on)
{
	char script[256];
	int status;

	snprintf(script, sizeof(script), "trap 'kill $!; exit 9' %s; "
		 "sleep 10 >/dev/null & echo; wait; exit 1",
		 passed_on[_i].name);
	status = supervised(script, -1, passed_on[_i].sig);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 9);
}
END_TEST

START_TEST(the_command_dies_of_it_and_so_do_we)
{
	int status = supervised("echo; exec sleep 10", -1, SIGTERM);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

START_TEST(ignored_signals_stay_ignored)
{
	int status;

	signal(SIGHUP, SIG_IGN);
	status = supervised("echo; sleep 0.2; "
			    "grep -q '^SigIgn:.*[13579bdf]$' /proc/$$/status",
			    -1, SIGHUP);
	signal(SIGHUP, SIG_DFL);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

START_TEST(the_devices_end_is_told_once)
{
	int p[2], status;

	ck_assert_int_eq(pipe(p), 0);
	close(p[1]);		/* readable for ever */
	status = supervised("sleep 0.1; exit 5", p[0], 0);
	close(p[0]);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 5);
}
END_TEST

/* --- what is printed ---------------------------------------------------- */

static void set_prefix(struct prefix *ret, const char *text)
{
	ck_assert_int_eq(prefix_parse(text, ret, NULL), 0);
}

static struct wire_lease *a_lease(void)
{
	static struct wire_lease l;

	l = (struct wire_lease){
		.lease = "00112233445566778899aabbccddeeff", .name = "tt0",
		.ifindex = 7, .layer = WIRE_TAP, .state = WIRE_LEASE_ENDING,
		.queues = 4, .uid = 0, .pid = 4242, .opened = 1700000000,
		.n_addresses = 2
	};
	set_prefix(&l.addresses[0].local, "10.9.0.1/32");
	set_prefix(&l.addresses[0].peer, "10.9.0.2/30");
	set_prefix(&l.addresses[1].local, "fd09::1/64");
	l.addresses[1].flags = WIRE_ADDRESS_NODAD;
	return &l;
}

static void json_is(json_t *got, const char *text)
{
	json_t *wanted = json_loads(text, 0, NULL);
	char *dump = json_dumps(got, 0);

	ck_assert_ptr_nonnull(wanted);
	ck_assert_msg(json_equal(got, wanted), "%s", dump);
	free(dump);
	json_decref(wanted);
	json_decref(got);
}

START_TEST(a_lease_as_json)
{
	json_is(show_lease_json(a_lease()),
		"{\"lease\": \"00112233445566778899aabbccddeeff\","
		" \"name\": \"tt0\", \"ifindex\": 7, \"kind\": \"tap\","
		" \"state\": \"ending\", \"queues\": 4, \"uid\": 0,"
		" \"user\": \"root\", \"pid\": 4242, \"opened\": 1700000000,"
		" \"addresses\": [{\"local\": \"10.9.0.1/32\","
		" \"peer\": \"10.9.0.2/30\", \"nodad\": false},"
		" {\"local\": \"fd09::1/64\", \"peer\": null,"
		" \"nodad\": true}]}");
}
END_TEST

/* A database of users that counts how often it is asked. */
static unsigned times_asked;

struct passwd *getpwuid(uid_t uid)
{
	static char root[] = "root", evil[] = "a\033[2J", other[16];
	static struct passwd pw;

	times_asked++;
	snprintf(other, sizeof(other), "u%u", (unsigned)uid);
	pw.pw_name = uid == 0 ? root : uid == 1 ? evil : other;
	return uid < FIRST_NOBODY ? &pw : NULL;
}

START_TEST(a_users_name_is_asked_for_once)
{
	for (int i = 0; i < 100; i++) {
		ck_assert_str_eq(show_user(1000), "u1000");
		ck_assert_ptr_null(show_user(FIRST_NOBODY));
	}
	ck_assert_uint_eq(times_asked, 2);
	/* However many there are, they are told from each other. */
	for (uint32_t uid = 2; uid < 2 * MANY_USERS; uid++) {
		char name[16];

		snprintf(name, sizeof(name), "u%u", (unsigned)(uid / 2 + 2));
		ck_assert_str_eq(show_user(uid / 2 + 2), name);
	}
	ck_assert_uint_le(times_asked, MANY_USERS + 2);
	ck_assert_str_eq(show_user(1), "a?[2J");
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
	struct wire_lease *l = a_lease();

	l->uid = 4123456789u;		/* nobody has it */
	l->pid = 0;
	l->n_addresses = 0;
	l->layer = WIRE_TUN;
	l->state = WIRE_LEASE_HELD;
	l->ifindex = UINT32_MAX;
	strcpy(l->name, "tt\xff");	/* not UTF-8 */
	json_is(show_lease_json(l),
		"{\"lease\": \"00112233445566778899aabbccddeeff\","
		" \"name\": \"tt?\", \"ifindex\": 4294967295,"
		" \"kind\": \"tun\", \"state\": \"held\", \"queues\": 4,"
		" \"uid\": 4123456789, \"user\": null, \"pid\": null,"
		" \"opened\": 1700000000, \"addresses\": []}");
}
END_TEST

START_TEST(leases_as_a_table)
{
	struct table t = { NULL, 0 };
	struct wire_lease *l = a_lease();
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	setenv("TZ", "UTC", 1);
	ck_assert_int_eq(show_lease_head(&t), 0);
	ck_assert_int_eq(show_lease_row(&t, l), 0);
	l->uid = 4123456789u;
	l->pid = 0;
	l->n_addresses = 0;
	strcpy(l->name, "tt-longest-name");
	ck_assert_int_eq(show_lease_row(&t, l), 0);
	table_print(&t, f);
	fclose(f);
	table_free(&t);
	ck_assert_str_eq(text,
"NAME             KIND  USER        PID   QUEUES  STATE   SINCE                ADDRESSES\n"
"tt0              tap   root        4242  4       ending  2023-11-14 22:13:20  10.9.0.1/32,peer=10.9.0.2/30 fd09::1/64\n"
"tt-longest-name  tap   4123456789  -     4       ending  2023-11-14 22:13:20  -\n");
	free(text);
}
END_TEST

START_TEST(a_lease_with_all_the_addresses_there_can_be)
{
	struct table t = { NULL, 0 };
	struct wire_lease *l = a_lease();

	for (l->n_addresses = 0; l->n_addresses < WIRE_ADDRESSES_MAX;
	     l->n_addresses++) {
		struct wire_address *a = &l->addresses[l->n_addresses];

		set_prefix(&a->local, "ffff:ffff:ffff:ffff:ffff:ffff:"
			   "255.255.255.255/128");
		a->peer = a->local;
	}
	ck_assert_int_eq(show_lease_row(&t, l), 0);
	ck_assert_uint_gt(strlen(t.cells[7]), (size_t)64 * 2 * 39);
	table_free(&t);
}
END_TEST

static const struct wire_state a_state = {
	.version = "0.1.0", .pid = 1, .started = 1700000000, .leases = 3,
	.connections = 4, .own_leases = 2, .policy_generation = 5,
	.policy_rules = 1, .policy_fault = "a.conf:3: x: y",
	.kernel = "6.1.0", .n_features = 2, .features = {
		{ "guard", 1, "by clsact" }, { "offload", 0, "of TCP\nalone" }
	}
};

START_TEST(the_state_as_json)
{
	json_is(show_state_json(&a_state),
		"{\"version\": \"0.1.0\", \"pid\": 1,"
		" \"started\": 1700000000, \"leases\": 3, \"own_leases\": 2,"
		" \"connections\": 4, \"policy\": {\"generation\": 5,"
		" \"rules\": 1, \"fault\": \"a.conf:3: x: y\"},"
		" \"kernel\": {\"release\": \"6.1.0\", \"features\": ["
		"{\"name\": \"guard\", \"has\": true,"
		" \"text\": \"by clsact\"},"
		" {\"name\": \"offload\", \"has\": false,"
		" \"text\": \"of TCP\\nalone\"}]}}");
}
END_TEST

START_TEST(the_state_for_people)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	setenv("TZ", "UTC", 1);
	show_state(&a_state, f);
	fclose(f);
	ck_assert_str_eq(text,
		"tuntapd 0.1.0, pid 1, since 2023-11-14 22:13:20\n"
		"leases       3, 2 of them yours\n"
		"connections  4\n"
		"policy       1 rule, generation 5\n"
		"             the last reload did not take effect: "
		"a.conf:3: x: y\n"
		"kernel       6.1.0, has not:\n"
		"             offload: of TCP?alone\n");
	free(text);
}
END_TEST

/* What `colour` says of the other end of a terminal. */
static const char *on_terminal(enum colour which)
{
	const char *begins;
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	FILE *out;

	ck_assert_int_ge(fd, 0);
	out = fdopen(fd, "r+e");
	begins = colour(which, out);
	fclose(out);
	return begins;
}

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

START_TEST(no_terminal_obeys_what_is_plain)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", plains[_i].from);
	ck_assert_str_eq(plain_text(text), plains[_i].to);
}
END_TEST

START_TEST(no_terminal_obeys_json)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	ck_assert_int_eq(print_json(json_pack("{s:s}", "k\x7f",
			"J\xc3\xb6rg\033\x7f\xc2\x80\xc2\x9f\xc2\xa0"
			"\xc3\x9b"), f), 0);
	fclose(f);
	ck_assert_str_eq(text, "{\"k\\u007f\": \"J\xc3\xb6rg\\u001B\\u007f"
			 "\\u0080\\u009f\xc2\xa0\xc3\x9b\"}\n");
	free(text);
}
END_TEST

START_TEST(colour_is_for_terminals)
{
	FILE *file = fopen("/dev/null", "we");

	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	ck_assert_str_eq(colour(COLOUR_BAD, file), "");
	ck_assert_str_eq(on_terminal(COLOUR_BAD), "\033[31m");
	ck_assert_str_eq(on_terminal(COLOUR_NONE), "\033[0m");
	setenv("TERM", "dumb", 1);
	ck_assert_str_eq(on_terminal(COLOUR_BAD), "");
	unsetenv("TERM");
	ck_assert_str_eq(on_terminal(COLOUR_BAD), "");
	fclose(file);
}
END_TEST

START_TEST(no_color_means_none)
{
	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "", 1);
	ck_assert_str_ne(on_terminal(COLOUR_GOOD), "");
	setenv("NO_COLOR", "1", 1);
	ck_assert_str_eq(on_terminal(COLOUR_GOOD), "");
	ck_assert_str_eq(on_terminal(COLOUR_NONE), "");
}
END_TEST

static TCase *options_case(void)
{
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, every_option_is_understood);
	tcase_add_test(tc, nothing_asked_for_is_the_default);
	tcase_add_test(tc, options_end_where_the_command_begins);
	tcase_add_loop_test(tc, what_is_wrong_is_said, 0, COUNT(bad));
	tcase_add_test(tc, as_many_as_a_request_holds);
	tcase_add_test(tc, options_must_fit_each_other);
	tcase_add_test(tc, help_has_every_option);
	return tc;
}

static TCase *handover_case(void)
{
	TCase *tc = tcase_create("handover");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, words_are_replaced, 0, COUNT(words));
	tcase_add_test(tc, a_value_is_not_looked_into_again);
	tcase_add_loop_test(tc, fds_get_their_numbers, 0, COUNT(places));
	tcase_add_test(tc, mask_is_the_one_asked_for);
	tcase_add_test(tc, commands_that_cannot_be);
	return tc;
}

static TCase *supervise_case(void)
{
	TCase *tc = tcase_create("supervise");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, its_end_is_ours);
	tcase_add_loop_test(tc, signals_are_passed_on, 0, COUNT(passed_on));
	tcase_add_test(tc, the_command_dies_of_it_and_so_do_we);
	tcase_add_test(tc, ignored_signals_stay_ignored);
	tcase_add_test(tc, the_devices_end_is_told_once);
	return tc;
}

static TCase *show_case(void)
{
	TCase *tc = tcase_create("show");

	tcase_add_test(tc, a_lease_as_json);
	tcase_add_test(tc, a_users_name_is_asked_for_once);
	tcase_add_test(tc, what_is_not_known_is_null);
	tcase_add_test(tc, leases_as_a_table);
	tcase_add_test(tc, a_lease_with_all_the_addresses_there_can_be);
	tcase_add_test(tc, the_state_as_json);
	tcase_add_test(tc, the_state_for_people);
	tcase_add_loop_test(tc, no_terminal_obeys_what_is_plain, 0,
			    COUNT(plains));
	tcase_add_test(tc, no_terminal_obeys_json);
	tcase_add_test(tc, colour_is_for_terminals);
	tcase_add_test(tc, no_color_means_none);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("ctl");
	SRunner *sr;
	int failed;

	suite_add_tcase(suite, options_case());
	suite_add_tcase(suite, handover_case());
	suite_add_tcase(suite, supervise_case());
	suite_add_tcase(suite, show_case());
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
