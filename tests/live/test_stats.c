/*
 * tuntapctl show, stats and top: their figures beside packets that the test
 * sends itself, and what they, and monitor, look like on pipes and terminals.
 */
#include <jansson.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "far.h"

#define PACKET		100	/* bytes */
#define QUEUE		10	/* packets that wait to be read */
#define MANY		1000	/* leases */
#define SCREENFULS	100	/* of them, or more than one screen has lines */
#define MANY_MS		2000	/* for stats to tell them */
#define AS_USER		"setpriv --reuid 65534 --regid 65534 --clear-groups "

static struct rig rig;

static const char *ctl(void)
{
	return rig_built("tuntapctl");
}

/* --- devices and packets ------------------------------------------------ */

/* One of the test's own, as a user without rights. */
static struct ttd_device *opened(struct ttd_options *o, const char *name)
{
	struct ttd_device *dev;
	struct ttd_error e;

	o->offload = TTD_OFFLOAD_NONE;
	o->flags |= TTD_NO_THREAD;
	o->socket_path = rig.socket;
	o->name = name;
	rights(false);
	ck_assert_msg(ttd_open(o, &dev, &e) == 0, "%s: %s", e.step, e.text);
	rights(true);
	return dev;
}

static struct ttd_device *opened_tun(const char *name, const char *address)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr a = addr(address);

	o.addrs = &a;
	o.n_addrs = 1;
	o.txqueuelen = QUEUE;
	return opened(&o, name);
}

/* The program sends n packets that come from 10.9.1.2, or from 8.8.8.8. */
static void program_sends(struct ttd_device *dev, unsigned n, bool spoofed)
{
	uint8_t p[PACKET] = {
		0x45, 0, 0, PACKET, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0,
		10, 9, 1, 2, 10, 9, 1, 1
	};

	if (spoofed)
		memset(p + 12, 8, 4);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(ttd_send(dev, p, sizeof(p)), 0);
}

/* And reads what there is: how many packets, and bytes of them. */
static unsigned program_reads(struct ttd_device *dev, size_t *bytes)
{
	static uint8_t buf[PACKET_MAX];
	unsigned n = 0;
	ssize_t got;

	while ((got = ttd_recv(dev, buf, sizeof(buf), 0)) > 0) {
		*bytes += (size_t)got;
		n++;
	}
	return n;
}

/* The host sends so many datagrams to the program. */
static void host_sends(unsigned n)
{
	static const uint8_t datagram[PACKET];
	int sock = udp_to("10.9.1.2");

	for (unsigned i = 0; i < n; i++)
		(void)!send(sock, datagram, sizeof(datagram), 0);
	close(sock);
}

/* --- what tuntapctl says ------------------------------------------------ */

/* The object that it prints. */
static json_t *object(const char *arguments)
{
	char *text = sh("%s --socket %s %s --json", ctl(), rig.admin,
			arguments);
	json_error_t e;
	json_t *o = json_loads(text, 0, &e);

	ck_assert_msg(json_is_object(o), "%s: %s", e.text, text);
	free(text);
	return o;
}

static json_int_t number(const json_t *o, const char *way, const char *key)
{
	const json_t *n = json_object_get(json_object_get(o, way), key);

	ck_assert_msg(json_is_integer(n), "no %s.%s", way, key);
	return json_integer_value(n);
}

/* It ends so, and says that, on either output. */
static void ctl_says(const char *arguments, int status, const char *says)
{
	char *said = sh("{ %s --socket %s %s; echo exit $?; } 2>&1 </dev/null",
			ctl(), rig.admin, arguments);
	char end[32];

	snprintf(end, sizeof(end), "exit %d\n", status);
	ck_assert_msg(strstr(said, says) && strstr(said, end), "%s: %s",
		      arguments, said);
	free(said);
}

/* --- counters ----------------------------------------------------------- */

START_TEST(counters_are_the_packets_that_were_sent)
{
	struct ttd_device *dev;
	size_t bytes = 0;
	unsigned n;
	json_t *o;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	n = program_reads(dev, &bytes);
	program_sends(dev, 7, false);
	host_sends(5);
	n += program_reads(dev, &bytes);
	ck_assert_uint_ge(n, 5);
	o = object("stats tt0");
	ck_assert_int_eq(number(o, "rx", "packets"), 7);
	ck_assert_int_eq(number(o, "rx", "bytes"), 7 * PACKET);
	ck_assert_int_eq(number(o, "tx", "packets"), n);
	ck_assert_int_eq(number(o, "tx", "bytes"), (json_int_t)bytes);
	ck_assert_int_eq(number(o, "tx", "drops"), 0);
	ck_assert(json_is_true(json_object_get(o, "up")));
	ck_assert(json_is_null(json_object_get(o, "rx_rate")));
	ck_assert(json_is_null(json_object_get(o, "why")));
	json_decref(o);
	/* What the guard drops is told by itself. */
	program_sends(dev, 3, true);
	o = object("show tt0");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "guard_drops")),
			 3);
	ck_assert_int_eq(number(o, "rx", "packets"), 10);
	json_decref(o);
	/* What nobody reads is dropped. */
	host_sends(3 * QUEUE);
	o = object("stats tt0");
	ck_assert_int_ge(number(o, "tx", "drops"), 2 * QUEUE);
	json_decref(o);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

START_TEST(a_user_sees_figures_of_his_own_leases)
{
	struct ttd_device *dev;
	char *said;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	program_sends(dev, 1500, false);
	said = sh(AS_USER "%s --socket %s stats", ctl(), rig.socket);
	ck_assert_ptr_nonnull(strstr(said, "\ntt0               1.50k    150k"
				     "       0       0 "));
	free(said);
	ck_assert_int_eq(sh_status(AS_USER "%s --socket %s show tt0 | "
				   "grep -qx 'sent (rx)      1500 packets, "
				   "150000 bytes, 0 dropped, 0 errors'", ctl(),
				   rig.socket), 0);
	/* And another user none of them. */
	said = sh("setpriv --reuid 1000 --clear-groups %s --socket %s stats "
		  "| wc -l", ctl(), rig.socket);
	ck_assert_str_eq(said, "1\n");
	free(said);
	ck_assert_int_eq(sh_status("setpriv --reuid 1000 --clear-groups %s "
				   "--socket %s stats tt0 >/dev/null 2>&1",
				   ctl(), rig.socket), 1);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* Runs it in a network namespace with tt0 of that index, and that alias. */
static char *elsewhere(unsigned index, const char *alias,
		       const char *arguments)
{
	return sh("unshare --net sh -c '"
		  "until ip tuntap add tt0 mode tun && "
		  "[ $(ip -o link show tt0 | cut -d: -f1) -ge %u ]; do "
		  "ip link del tt0; done; ip link set tt0 alias %s; "
		  "%s --socket %s %s'", index, alias, ctl(), rig.admin,
		  arguments);
}

/* The last one as another lease of the same user has it. */
static const char *const strangers[] = {
	"none", "tuntapd:1:00112233445566778899aabbccddeeff:65534:1",
};

START_TEST(another_namespace_has_no_figures)
{
	struct ttd_device *dev;
	unsigned index;
	char *said;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	index = if_nametoindex("tt0");
	said = elsewhere(index, strangers[_i], "stats --json");
	ck_assert_msg(strstr(said, "\"up\": null, \"rx\": null, \"tx\": null, "
			     "\"rx_rate\": null, \"tx_rate\": null, \"why\": "
			     "\"its interface is not in this network"), "%s",
		      said);
	free(said);
	said = elsewhere(index, strangers[_i], "stats");
	ck_assert_msg(strstr(said, "\n- of 1 lease: its interface is not in"),
		      "%s", said);
	free(said);
	said = elsewhere(index, strangers[_i], "show tt0");
	ck_assert_msg(strstr(said, "\nfigures        none: its interface is "
			     "not in this network"), "%s", said);
	free(said);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- show --------------------------------------------------------------- */

static const char unguarded[] =
	"[rule guarded]\naction = allow\nuser = 65534\nkind = tap\n"
	"name = tt*\naddress = 10.9.0.0/16, fd09::/32\n"
	"route = 10.0.0.0/8, fd00::/8\nmac = chosen\n"
	"[rule unguarded]\naction = allow\nuser = 65534\nkind = tun\n"
	"name = tu*\naddress = 10.9.0.0/16\nsource-guard = off\n";

START_TEST(show_tells_all_of_a_lease)
{
	const struct rig_options rigged = { .policy = unguarded };
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TAP);
	struct ttd_addr a[] = { addr("10.9.1.1/24"), addr("fd09::1/64") };
	struct ttd_route r[] = {
		route("10.20.0.0/16", "10.9.1.9", 2000),
		route("fd20::/32", NULL, 3000),
	};
	const char mac[] = { 2, 0, 0x5e, 0x10, 0, 1 };
	struct ttd_device *dev;
	json_t *shown, *routes;
	char *text;

	rig_start(&rig, &rigged);
	memcpy(o.mac, mac, sizeof(mac));
	o.flags = TTD_MAC_SET;
	o.addrs = a;
	o.n_addrs = 2;
	o.routes = r;
	o.n_routes = 2;
	o.mtu = 1400;
	o.txqueuelen = 77;
	dev = opened(&o, "tt0");
	/* An administrator's, of which one way leads here. */
	ck_sh("ip link set lo up && ip route add 10.30.0.0/16 metric 5 nexthop "
	      "via 10.9.1.8 dev tt0 nexthop dev lo");
	shown = object("show tt0");
	routes = json_object_get(shown, "routes");
	text = json_dumps(routes, 0);
	ck_assert_str_eq(text,
		"[{\"dst\": \"10.9.1.0/24\", \"via\": null, \"metric\": 1000}, "
		"{\"dst\": \"10.20.0.0/16\", \"via\": \"10.9.1.9\", "
		"\"metric\": 2000}, "
		"{\"dst\": \"10.30.0.0/16\", \"via\": \"10.9.1.8\", "
		"\"metric\": 5}, "
		"{\"dst\": \"fd09::/64\", \"via\": null, \"metric\": 1000}, "
		"{\"dst\": \"fd20::/32\", \"via\": null, \"metric\": 3000}]");
	free(text);
	json_object_del(shown, "routes");
	text = json_dumps(shown, 0);
	ck_assert_ptr_nonnull(strstr(text, "\"name\": \"tt0\""));
	ck_assert_ptr_nonnull(strstr(text, "\"state\": \"held\""));
	ck_assert_msg(strstr(text, "\"mac\": \"02:00:5e:10:00:01\", "
			     "\"mtu\": 1400, \"up\": true, \"txqueuelen\": 77, "
			     "\"guard\": true, \"guard_drops\": 0, \"rx\": {"),
		      "%s", text);
	free(text);
	json_decref(shown);
	ctl_says("show tt0", 0, ", tap, 1 queue\n"
		 "               up, mtu 1400, txqueuelen 77\nlease          ");
	ctl_says("show tt0", 0, "\nmac            02:00:5e:10:00:01\n"
		 "addresses      10.9.1.1/24\n               fd09::1/64\n"
		 "routes         10.9.1.0/24 metric 1000\n"
		 "               10.20.0.0/16 via 10.9.1.9 metric 2000\n");
	ctl_says("show tt0", 0, "\nguard          there, has dropped 0 ");
	/* By its id too; and where there is no guard that is told. */
	ck_sh("%s --socket %s show $(%s --socket %s list --json | "
	      "grep -o '[0-9a-f]\\{32\\}') | grep -q '^interface *tt0'", ctl(),
	      rig.admin, ctl(), rig.admin);
	ttd_free(dev);
	dev = opened_tun("tu0", "10.9.1.1/24");
	ctl_says("show --json tu0", 0, "\"guard\": false, "
		 "\"guard_drops\": null");
	ctl_says("show tu0", 0, "\nguard          not there\n");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

static const struct {
	const char *arguments;
	int status;
	const char *says;
} said[] = {
	{ "show", 2, "name one LEASE" },
	{ "show tt0 tt1", 2, "name one LEASE" },
	{ "show tt9", 1, "there is no lease tt9" },
	{ "stats tt0 tt9 tt8", 1, "no lease tt9" },
	{ "stats tt0 tt9 tt8", 1, "no lease tt8" },
	{ "stats tt0 tt9 tt8", 1, "\ntt0  " },
	{ "stats --count 2", 2, "--count is for --watch" },
	{ "stats --watch=0", 2, "--watch 0: it is a whole number" },
	{ "stats --watch=", 2, "--watch '': it is a whole number" },
	{ "stats --watch --count x", 2, "--count x: it is a whole number" },
	{ "stats --watch 5 --count 1", 2, "no lease 5 here; for seconds write "
	  "--watch=5" },
	{ "stats --json --watch 5", 2, "--watch=5" },
	{ "stats --watch tt9 --count 1", 0, "NAME" },	/* it may come */
	{ "stats --watch tt0 --count 1", 0, "\ntt0  " },
	{ "stats 5", 1, "there is no lease 5" },
	{ "stats tt0 ''", 2, "stats: '' can be no lease: name it by its id" },
	{ "show ''", 2, "show: '' can be no lease" },
	{ "close ''", 2, "close: '' can be no lease" },
	{ "close 0123456789012345678901234567890123", 2, "can be no lease" },
	{ "--socket '' list", 2, "--socket '': it is the path of the" },
	{ "list --socket=", 2, "leave it out for the built-in one" },
	{ "list --socket $(printf %0200d 0)", 3, "name a shorter one" },
	{ "top", 2, "it needs a terminal; tuntapctl stats --watch" },
	{ "top tt0", 2, "top takes no arguments" },
	{ "show tt0 --socket /nowhere", 3, "there is no socket" },
	{ "stats --socket /nowhere", 3, "there is no socket" },
	{ "top --help", 0, "q or ^C ends it" },
	{ "stats --help", 0, "--watch[=SECONDS]" },
	{ "show --help", 0, "the interface sent to it (tx)" },
};

/* With what a terminal would obey: it clears it, and is in ESC [ of C1. */
#define EVIL		"$(printf 'a\\033[2J\\302\\2332J')"
#define HARMLESS	"a?[2J??2J"

static const struct {
	const char *arguments, *says;
} echoed[] = {
	{ "show " EVIL, "there is no lease " HARMLESS " here" },
	{ "stats " EVIL, "there is no lease " HARMLESS " here" },
	{ "close " EVIL, HARMLESS },
	{ "list " EVIL, HARMLESS ": list takes no arguments" },
	{ EVIL, HARMLESS ": there is no such command" },
	{ "--" EVIL, "--" HARMLESS ": there is no such option" },
	{ "list --" EVIL, "--" HARMLESS ": there is no such option" },
	{ "stats --count " EVIL, "--count " HARMLESS ": it is a whole" },
	{ "policy " EVIL, "policy " HARMLESS ": there is no such command" },
	{ "policy test --tun --user " EVIL, "--user " HARMLESS ": there is" },
	{ "policy test --policy /run/" EVIL, "/run/" HARMLESS },
	{ "run --tun --route 10.0.0.0/8," EVIL, "\"" HARMLESS "\" is not" },
	{ "run --socket /run/" EVIL " --tun -- true", "/run/" HARMLESS },
	{ "list --socket /run/" EVIL, "/run/" HARMLESS },
};

START_TEST(what_is_echoed_is_harmless)
{
	char *text;

	rig_start(&rig, NULL);
	text = sh("%s --socket %s %s 2>&1 </dev/null", ctl(), rig.admin,
		  echoed[_i].arguments);
	ck_assert_msg(strstr(text, echoed[_i].says), "%s", text);
	free(text);
	rig_end(&rig);
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
	struct ttd_device *dev;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	ctl_says(said[_i].arguments, said[_i].status, said[_i].says);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

START_TEST(a_user_is_told_whose_the_reload_is)
{
	char *text;

	rig_start(&rig, NULL);
	text = sh(AS_USER "%s --socket %s reload 2>&1", ctl(), rig.socket);
	ck_assert_msg(strstr(text, "reload: this is for root on the admin "
			     "socket, and ") && strstr(text, rig.socket) &&
		      strstr(text, "do it as root"), "%s", text);
	free(text);
	rig_end(&rig);
}
END_TEST

static const struct {
	const char *words, *offers;	/* NULL: nothing */
} typed[] = {
	{ "show ''", "tt0\ta lease" },
	{ "show tt0 ''", NULL },
	{ "stats tt0 --watch ''", "tt0\ta lease" },
	{ "stats --watch --co", "--count\t" },
	{ "stats --watch --count ''", NULL },
	/* a word of its own in zsh and fish */
	{ "--socket=/nowhere show ''", NULL },
	{ "show --socket=/nowhere ''", NULL },
	{ "stats --watch=5 ''", "tt0\ta lease" },
};

START_TEST(lines_are_completed)
{
	struct ttd_device *dev;
	char *text;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	text = sh("%s complete -- --socket %s %s", ctl(), rig.admin,
		  typed[_i].words);
	if (typed[_i].offers)
		ck_assert_msg(strncmp(text, typed[_i].offers,
				      strlen(typed[_i].offers)) == 0, "%s",
			      text);
	else
		ck_assert_str_eq(text, "");
	free(text);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- watching ----------------------------------------------------------- */

/* The text's next line of the lease, which has that in it. */
static const char *next_line(const char *text, const char *has)
{
	const char *line = strstr(text, "\ntt0 "), *found;

	ck_assert_msg(line != NULL, "%s", text);
	found = strstr(line, has);
	ck_assert_msg(found && found < strchr(line + 1, '\n'), "%s", line);
	return line + 1;
}

START_TEST(watched_on_a_pipe)
{
	struct ttd_device *dev;
	const char *line;
	char *text;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	text = sh("TERM=xterm %s --socket %s stats --watch --count 2 | cat",
		  ctl(), rig.admin);
	ck_assert_msg(strchr(text, '\033') == NULL, "%s", text);
	/* Twice a line of the time, the head, and the lease. */
	ck_assert_ptr_nonnull(strstr(text, "\nNAME            USER     "
				     "RX-PKT/S RX-BIT/S RX-DRP/S TX-PKT/S"));
	line = next_line(text, "        -        -        -");
	ck_assert_ptr_nonnull(strstr(line, "\nNAME  "));
	line = next_line(line, "        0        0        0");
	ck_assert_ptr_null(strstr(line, "\nNAME  "));
	free(text);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* Its last line of a lease has something. */
static bool last_line_has(const char *name, const char *what)
{
	return sh_status("grep '\"%s\"' /run/lines | tail -n 1 | grep -q '%s'",
			 name, what) == 0;
}

START_TEST(watched_as_json)
{
	struct ttd_device *dev, *other;

	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	ck_sh("%s --socket %s stats --watch --json >/run/lines & echo $! "
	      ">/run/pid", ctl(), rig.admin);
	ck_soon(last_line_has("tt0", "\"rx_rate\": null"));
	program_sends(dev, 100, false);
	/* Of one second, or some of them of the next one. */
	ck_soon(sh_status("grep -Eq '\"rx_rate\": .\"packets\": "
			  "[1-9][0-9]{1,2}, \"bits\": [1-9][0-9]{3,5}, "
			  "\"drops\": 0}' /run/lines") == 0);
	/* One that comes, and goes. */
	other = opened_tun("tt1", "10.9.2.1/24");
	ck_soon(last_line_has("tt1", "\"rx_rate\": null"));
	ck_soon(last_line_has("tt1", "\"rx_rate\": {\"packets\": 0"));
	ttd_free(other);
	ck_soon(sh_status("tail -n 2 /run/lines | grep -q tt1") == 1);
	ck_sh("kill $(cat /run/pid)");
	/* Each line is an object. */
	ck_sh("lines=$(wc -l </run/lines); [ \"$(grep -c '^{.*}$' /run/lines)\""
	      " -eq \"$lines\" ]");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* To one who reads no more: with SIGPIPE, and where that is ignored. */
START_TEST(a_closed_pipe_ends_it)
{
	int64_t began;

	rig_start(&rig, NULL);
	began = now_ms();
	ck_sh("%s --socket %s stats --watch | head -n 1 >/run/first", ctl(),
	      rig.admin);
	ck_sh("(trap '' PIPE; %s --socket %s stats --watch 2>/run/err; "
	      "echo $? >/run/status) | head -n 1 >/run/first", ctl(),
	      rig.admin);
	ck_sh("grep -qx 1 /run/status && grep -q 'standard output' /run/err");
	ck_assert_int_lt(now_ms() - began, 2 * DEADLINE_MS);
	ck_assert_int_ne(sh_status("%s --socket %s stats >/dev/full "
				   "2>/run/err", ctl(), rig.admin), 0);
	rig_end(&rig);
}
END_TEST

/*
 * What does not get there is told: a full disk, or no standard output, where
 * the next descriptor must not be taken for it.
 */
static const struct {
	const char *what;
	int status;
} lost[] = {
	{ "version >/dev/full", 1 },
	{ "run --help >&-", 1 },
	/* Of these two 1 is what the policy says. */
	{ "policy check --tun --name eth7 >/dev/full", 2 },
	{ "policy test --policy /run --tun --json >/dev/full", 2 },
	{ "policy test --policy /run >/dev/full", 2 },
	{ "monitor >&-", 1 },
};

START_TEST(what_is_not_printed_is_told)
{
	rig_start(&rig, NULL);
	ck_assert_int_eq(sh_status("timeout 5 %s --socket %s %s 2>/run/err",
				   ctl(), rig.admin, lost[_i].what),
			 lost[_i].status);
	ck_sh("grep -q 'standard output' /run/err");
	rig_end(&rig);
}
END_TEST

/* Its exit status is about what it found. */
START_TEST(doctor_says_that_nobody_can_read_it)
{
	rig_start(&rig, NULL);
	(void)sh_status("%s --socket %s doctor >/dev/full 2>/run/err", ctl(),
			rig.admin);
	ck_sh("grep -q 'standard output' /run/err");
	rig_end(&rig);
}
END_TEST

/* --- on a terminal ------------------------------------------------------ */

#define TMUX		"tmux -S /run/tmux.sock "
#define TITLE_BY(what)	" by " what

static bool no_tmux(const char *test)
{
	if (sh_status("command -v tmux >/dev/null") == 0)
		return false;
	live_skip(test, "there is no tmux");
	return true;
}

static bool tmux_answers(void *unused)
{
	(void)unused;
	return sh_status(TMUX "ls >/dev/null 2>&1") == 0;
}

/* A server that goes with the test, and a shell in a terminal of 80x24. */
static void tmux_start(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		unsetenv("TMUX");
		execlp("tmux", "tmux", "-D", "-S", "/run/tmux.sock", "-f",
		       "/dev/null", NULL);
		_exit(127);
	}
	ck_assert(eventually(tmux_answers, NULL));
	ck_sh(TMUX "new-session -d -x 80 -y 24 'PS1=ready: exec sh'");
}

static void tmux_end(void)
{
	ck_sh(TMUX "kill-server");
	while (wait(NULL) < 0 && errno == EINTR)
		;
}

static bool shows(const char *text)
{
	char *screen = sh(TMUX "capture-pane -p");
	bool found = strstr(screen, text) != NULL;

	free(screen);
	return found;
}

/* The screen's last line begins so, and it has as many. */
static bool ends_with(unsigned lines, const char *begins)
{
	return sh_status(TMUX "capture-pane -p >/run/screen && "
			 "tail -n 1 /run/screen | grep -q '^%s' && "
			 "[ $(wc -l </run/screen) -eq %u ]",
			 begins, lines) == 0;
}

#define ck_shows(text) do { \
	int64_t by_ = now_ms() + EVENTUALLY_MS; \
	while (!shows(text)) { \
		ck_assert_msg(now_ms() < by_, "never \"%s\":\n%s", text, \
			      sh(TMUX "capture-pane -p")); \
		sleep_ms(STEP_MS); \
	} \
} while (0)

static void types(const char *keys)
{
	ck_sh(TMUX "send-keys %s", keys);
}

static void resize(unsigned columns, unsigned lines)
{
	ck_sh(TMUX "resize-window -x %u -y %u", columns, lines);
}

static void start_top(void)
{
	ck_shows("ready:");
	ck_sh("echo 'stty -g >/run/before; sh -c \"echo \\$\\$ >/run/pid; "
	      "exec %s --socket %s top\"; echo status $?; "
	      "stty -g >/run/after' >/run/do", ctl(), rig.admin);
	types("'. /run/do' Enter");
	ck_shows("q quit");
}

static const char *const ends[] = {
	TMUX "send-keys q", TMUX "send-keys C-c", "kill $(cat /run/pid)"
};

/* And leaves all as it was. */
static void top_ends_by(const char *command)
{
	ck_sh("%s", command);
	ck_shows("status 0");
	ck_soon(sh_status("[ -s /run/after ]") == 0);
	ck_sh("cmp /run/before /run/after");
	ck_assert(!shows("q quit"));
	ck_assert(shows("ready:. /run/do"));
}

START_TEST(top_on_a_screen)
{
	struct ttd_device *dev;

	if (no_tmux("top_on_a_screen"))
		return;
	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	tmux_start();
	start_top();
	ck_shows("\ntt0             ");
	ck_shows("1 lease" TITLE_BY("traffic"));
	ck_soon(ends_with(24, "q quit"));
	ck_shows("1-1 of 1");
	/* Rates, in the lease's line and in the total. */
	ck_soon((program_sends(dev, 10, false),
		 sh_status(TMUX "capture-pane -p >/run/screen && "
			   "grep -q '^total  *[1-9][0-9.k]* ' /run/screen && "
			   "grep -q '^tt0  *[a-z0-9]*  *[1-9][0-9.k]* ' "
			   "/run/screen") == 0));
	resize(60, 10);
	ck_soon(ends_with(10, "q quit"));
	resize(120, 40);
	ck_soon(ends_with(40, "q quit"));
	resize(80, 3);
	ck_soon(ends_with(3, "q quit"));
	resize(20, 2);
	ck_soon(ends_with(2, "q quit"));
	resize(80, 1);
	ck_soon(ends_with(1, "q quit"));
	resize(80, 24);
	ck_soon(ends_with(24, "q quit"));
	types("s");
	ck_shows(TITLE_BY("rx"));
	types("r");
	ck_shows(TITLE_BY("rx, reversed"));
	/* The daemon goes, and comes back. */
	rig_kill(&rig, SIGKILL);
	ck_shows("Since then none: ");
	ck_shows("\ntt0             ");
	rig_daemon(&rig, NULL);
	ck_soon(!shows("Since then none: "));
	top_ends_by(ends[_i]);
	tmux_end();
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

static const char *const no_terminals[] = { "none-such", "dumb" };

START_TEST(top_wants_a_terminal_that_it_knows)
{
	if (no_tmux("top_wants_a_terminal_that_it_knows"))
		return;
	rig_start(&rig, NULL);
	tmux_start();
	ck_shows("ready:");
	/* Where it is not known, ncurses leaks. */
	ck_sh("echo 'ASAN_OPTIONS=detect_leaks=0 TERM=%s %s --socket %s top; "
	      "echo status $?' >/run/do", no_terminals[_i], ctl(), rig.admin);
	types("'. /run/do' Enter");
	ck_shows("is not known here");
	ck_shows("status 1");
	tmux_end();
	rig_end(&rig);
}
END_TEST

START_TEST(watched_on_a_terminal)
{
	struct ttd_device *dev;

	if (no_tmux("watched_on_a_terminal"))
		return;
	rig_start(&rig, NULL);
	dev = opened_tun("tt0", "10.9.1.1/24");
	tmux_start();
	ck_shows("ready:");
	ck_sh("echo '%s --socket %s stats --watch; echo status $?' >/run/do",
	      ctl(), rig.admin);
	types("'. /run/do' Enter");
	/* One table, which is written over itself. */
	ck_soon(sh_status(TMUX "capture-pane -p | grep -q '^tt0 .* 0  *0$'")
		== 0);
	ck_soon(sh_status("[ $(" TMUX "capture-pane -p | grep -c ^NAME) -eq 1 "
			  "]") == 0);
	resize(60, 10);
	ck_soon(sh_status("[ \"$(" TMUX "capture-pane -p | grep -c -e ^NAME "
			  "-e ^tt0)\" -eq 2 ]") == 0);
	resize(60, 3);
	ck_shows("and 1 more;");
	types("C-c");
	ck_shows("status 0");
	tmux_end();
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- many --------------------------------------------------------------- */

static const char many_policy[] =
	"[rule many]\naction = allow\nuser = 65534\nkind = tun\nname = tt*\n"
	"max-devices = 1000\n";

/* tt0, tt1 and so on. */
static void open_many(struct ttd_device **dev, int n)
{
	const struct rlimit files = { 8 * MANY, 8 * MANY };
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	char name[TTD_NAME_MAX];

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "tt%d", i);
		dev[i] = opened(&o, name);
	}
}

/* The time that it takes to tell them all. */
static int64_t tell_many(void)
{
	int64_t began = now_ms();

	ck_sh("%s --socket %s stats --json >/run/lines", ctl(), rig.admin);
	return now_ms() - began;
}

static void look_at_many(void)
{
	start_top();
	ck_shows("1000 leases");
	ck_shows("1-20 of 1000");
	types("End");
	ck_shows("981-1000 of 1000");
	types("PPage");
	ck_shows("961-980 of 1000");
	types("Down");
	ck_shows("962-981 of 1000");
	types("Home NPage Up");
	ck_shows("20-39 of 1000");
	types("End");
	/* By traffic, of which there is none, and so by name. */
	ck_shows("\ntt999 ");
	types("q");
	ck_shows("status 0");
	ck_sh("echo '%s --socket %s stats --watch' >/run/do", ctl(),
	      rig.admin);
	types("'. /run/do' Enter");
	ck_shows("and 980 more; tuntapctl top scrolls");
	types("C-c");
}

static const struct rig_options many = {
	.policy = many_policy,
	.limits = { "connections-of-user=1100", "request-burst=5000" },
};

/* So many are opened, of which the last one is seen, and closed. */
static void come_and_go(int n)
{
	struct ttd_device *dev[SCREENFULS];
	char last[TTD_NAME_MAX + sizeof("opened     ")];

	open_many(dev, n);
	snprintf(last, sizeof(last), "opened     tt%d", n - 1);
	ck_shows(last);
	for (int i = 0; i < n; i++)
		ttd_free(dev[i]);
	ck_shows("closed     tt");
}

START_TEST(monitored_on_a_terminal)
{
	if (no_tmux("monitored_on_a_terminal"))
		return;
	rig_start(&rig, &many);
	tmux_start();
	ck_shows("ready:");
	ck_sh("echo '%s --socket %s monitor; echo status $?' >/run/do", ctl(),
	      rig.admin);
	types("'. /run/do' Enter");
	ck_shows("began ");
	come_and_go(1);
	/* A line each, where one has the room. */
	ck_soon(sh_status("[ \"$(" TMUX "capture-pane -p | grep -c "
			  "'^20[-0-9]* [0-9:]*  [a-z]*  ')\" -eq 3 ]") == 0);
	resize(40, 10);
	come_and_go(2);
	come_and_go(SCREENFULS);
	come_and_go(1);
	types("C-c");
	ck_shows("status 0");
	tmux_end();
	rig_end(&rig);
}
END_TEST

START_TEST(a_thousand_are_told_and_shown)
{
	static struct ttd_device *dev[MANY];
	int64_t ms;

	if (no_tmux("a_thousand_are_told_and_shown") ||
	    live_too_slow("a_thousand_are_told_and_shown"))
		return;
	rig_start(&rig, &many);
	open_many(dev, MANY);
	ms = tell_many();
	ck_sh("[ $(grep -c '\"rx\": {\"packets\": 0,' /run/lines) -eq 1000 ]");
	/* More than stdio keeps until the end. */
	ck_assert_int_eq(sh_status("%s --socket %s list --json >/dev/full "
				   "2>/run/err",
				   ctl(), rig.admin), 1);
	if (!getenv("TUNTAPD_SANITIZED"))
		ck_assert_msg(ms < MANY_MS, "%d ms", (int)ms);
	tmux_start();
	look_at_many();
	tmux_end();
	for (int i = 0; i < MANY; i++)
		ttd_free(dev[i]);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stats");
	TCase *t = tcase_create("figures");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, counters_are_the_packets_that_were_sent);
	tcase_add_test(t, a_user_sees_figures_of_his_own_leases);
	tcase_add_loop_test(t, another_namespace_has_no_figures, 0,
			    sizeof(strangers) / sizeof(*strangers));
	tcase_add_test(t, show_tells_all_of_a_lease);
	tcase_add_loop_test(t, what_cannot_be_is_said, 0,
			    sizeof(said) / sizeof(*said));
	tcase_add_loop_test(t, what_is_echoed_is_harmless, 0,
			    sizeof(echoed) / sizeof(*echoed));
	tcase_add_test(t, a_user_is_told_whose_the_reload_is);
	tcase_add_loop_test(t, lines_are_completed, 0,
			    sizeof(typed) / sizeof(*typed));
	suite_add_tcase(s, t);
	t = tcase_create("watch");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, watched_on_a_pipe);
	tcase_add_test(t, watched_as_json);
	tcase_add_test(t, a_closed_pipe_ends_it);
	tcase_add_loop_test(t, what_is_not_printed_is_told, 0,
			    sizeof(lost) / sizeof(*lost));
	tcase_add_test(t, doctor_says_that_nobody_can_read_it);
	suite_add_tcase(s, t);
	t = tcase_create("terminal");
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, top_on_a_screen, 0,
			    sizeof(ends) / sizeof(*ends));
	tcase_add_loop_test(t, top_wants_a_terminal_that_it_knows, 0,
			    sizeof(no_terminals) / sizeof(*no_terminals));
	tcase_add_test(t, watched_on_a_terminal);
	tcase_add_test(t, monitored_on_a_terminal);
	tcase_add_test(t, a_thousand_are_told_and_shown);
	suite_add_tcase(s, t);
	return live_main("stats", s);
}
