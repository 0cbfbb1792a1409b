/*
 * Who monitors is told what happens: root of all, a user of himself alone; what
 * he does not take in time is counted, and costs nobody else anything.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "../../daemon/limits.h"
#include "far.h"

#define OTHER_UID	2000
#define FIRST_OF_MANY	3000	/* uids */
#define MANY_UIDS	9
#define MONITOR_ID	5
#define ON_ADMIN	0	/* _i of tests that are about both sockets */
#define FLOOD		3000	/* refusals: more than sockets and we have */
#define RSS_GROWTH_KIB	1024
#define MANY		1000	/* leases */

static struct rig rig;

static const char policy[] =
	"[rule two]\n"
	"action = allow\n"
	"user = 65534, 2000\n"
	"kind = tun, tap\n"
	"name = tt*\n"
	"address = 10.9.0.0/16\n"
	"route = 10.0.0.0/8\n"
	"max-devices = 300\n";

/* Nobody waits for his turn, as he asks for much. */
static const struct rig_options quick = {
	.policy = policy, .grace = "4",
	.limits = { "request-rate=1000000", "request-burst=1000000" },
};

/* --- who monitors ------------------------------------------------------- */

/* To the admin socket, or as that user to the public one. */
static int connect_to(bool admin, uid_t uid)
{
	int sock = admin ? raw_connect(rig.admin) : rig_connect_as(&rig, uid);

	ck_assert_int_ge(sock, 0);
	return sock;
}

static int monitor(bool admin, uid_t uid)
{
	struct wire_message m = { .type = WIRE_MONITOR, .id = MONITOR_ID };
	int sock = connect_to(admin, uid);

	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_DONE);
	ck_assert_uint_eq(m.id, MONITOR_ID);
	return sock;
}

static const struct wire_notice *next(int sock)
{
	static struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_NOTICE);
	ck_assert_uint_eq(m.id, MONITOR_ID);
	return &m.notice;
}

/* The next one, which is of this kind, about this uid, and says that. */
static const struct wire_notice *told(int sock, enum wire_notice_kind kind,
				      uid_t uid, const char *text)
{
	const struct wire_notice *n = next(sock);

	ck_assert_msg(n->kind == kind, "kind %u, not %u: %s", n->kind, kind,
		      n->text);
	ck_assert_uint_eq(n->uid, uid);
	ck_assert_msg(strstr(n->text, text) != NULL, "it says \"%s\"", n->text);
	return n;
}

/* --- what they are told of ---------------------------------------------- */

static int try_open(uid_t uid, const char *name, struct ttd_device **dev,
		    struct ttd_error *e)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	int r;

	o.socket_path = rig.socket;
	o.name = name;
	o.flags = TTD_NO_THREAD;
	o.offload = TTD_OFFLOAD_NONE;
	ck_assert_int_eq(seteuid(uid), 0);
	r = ttd_open(&o, dev, e);
	ck_assert_int_eq(seteuid(0), 0);
	return r;
}

static struct ttd_device *opened_by(uid_t uid, const char *name)
{
	struct ttd_device *dev;
	struct ttd_error e;

	ck_assert_msg(try_open(uid, name, &dev, &e) == 0, "%s", e.text);
	return dev;
}

static struct ttd_error refused_to(uid_t uid)
{
	struct ttd_device *dev;
	struct ttd_error e;

	ck_assert_int_eq(try_open(uid, "eth7", &dev, &e), -EACCES);
	return e;
}

/* Nothing was left to be told but this, which comes of what is done now. */
static void nothing_but_a_refusal(int sock, uid_t uid)
{
	refused_to(uid);
	told(sock, WIRE_NOTICE_REFUSED, uid, "eth7");
}

static void changes_are_told(int sock, struct ttd_device *dev)
{
	struct ttd_addr a = addr("10.9.1.1/24");
	struct ttd_route r = route("10.20.0.0/16", NULL, 0);
	struct ttd_error e;

	ck_sh("ip link set tt0 mtu 1400");
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "MTU 1400");
	ck_assert_int_eq(ttd_add_addrs(dev, &a, 1, &e), 0);
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "addresses 1, routes 0");
	ck_assert_int_eq(ttd_add_routes(dev, &r, 1, &e), 0);
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "addresses 1, routes 1");
	ck_assert_int_eq(ttd_set_mtu(dev, 1300, &e), 0);
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "MTU 1300");
	ck_assert_int_eq(ttd_set_up(dev, 0, &e), 0);
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "down");
	ck_sh("ip link set tt0 name tt5");
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "renamed, from tt0");
	ck_sh("ip link set tt5 name tt0 && ip link set tt0 up");
	told(sock, WIRE_NOTICE_CHANGED, NOBODY, "renamed, from tt5");
	ck_assert_str_eq(told(sock, WIRE_NOTICE_CHANGED, NOBODY, "up")->name,
			 "tt0");
}

START_TEST(what_happens_to_leases_is_told)
{
	uint64_t before = (uint64_t)time(NULL);
	const struct wire_notice *n;
	struct ttd_device *dev;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(_i == ON_ADMIN, NOBODY);
	dev = opened_by(NOBODY, "tt0");
	n = told(sock, WIRE_NOTICE_OPENED, NOBODY, "TUN, 1 queue");
	ck_assert_str_eq(n->name, "tt0");
	ck_assert_uint_eq(strlen(n->lease), WIRE_LEASE_ID_LEN);
	ck_assert_uint_eq(n->pid, (uint32_t)getpid());
	ck_assert_uint_ge(n->when, before);
	ck_assert_uint_le(n->when, (uint64_t)time(NULL));
	changes_are_told(sock, dev);
	ck_assert_int_eq(ioctl(ttd_fd(dev, 0), TUNSETPERSIST, 1), 0);
	told(sock, WIRE_NOTICE_TAMPERED, NOBODY, "TUNSETPERSIST");
	told(sock, WIRE_NOTICE_REVOKED, NOBODY, "TUNSETPERSIST");
	link_goes("tt0");
	ttd_free(dev);
	/* Told once, and so for the next ones. */
	dev = opened_by(NOBODY, "tt1");
	told(sock, WIRE_NOTICE_OPENED, NOBODY, "TUN");
	ttd_free(dev);
	told(sock, WIRE_NOTICE_CLOSED, NOBODY, "holder");
	dev = opened_by(NOBODY, "tt2");
	told(sock, WIRE_NOTICE_OPENED, NOBODY, "TUN");
	ck_sh("ip link del tt2");
	told(sock, WIRE_NOTICE_DELETED, NOBODY, "was deleted");
	ttd_free(dev);
	dev = opened_by(NOBODY, "tt3");
	told(sock, WIRE_NOTICE_OPENED, NOBODY, "TUN");
	ck_sh("%s close tt3 --socket %s >/dev/null", rig_built("tuntapctl"),
	      rig.admin);
	told(sock, WIRE_NOTICE_REVOKED, NOBODY, "an administrator");
	ttd_free(dev);
	nothing_but_a_refusal(sock, NOBODY);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* As he hears it himself. */
START_TEST(refusals_are_told)
{
	const struct wire_notice *n;
	struct ttd_error e;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(_i == ON_ADMIN, NOBODY);
	e = refused_to(NOBODY);
	n = told(sock, WIRE_NOTICE_REFUSED, NOBODY, "eth7");
	ck_assert_str_eq(n->text, e.text);
	ck_assert_str_eq(n->step, e.step);
	ck_assert_str_eq(n->rule, e.rule);
	ck_assert_uint_eq(n->code, WIRE_E_POLICY);
	ck_assert_uint_eq(n->pid, (uint32_t)getpid());
	close(sock);
	rig_end(&rig);
}
END_TEST

/* Terminals obey bytes beyond ASCII, too: 0x9b is ESC [. */
START_TEST(what_a_user_wrote_is_told_in_ascii)
{
	struct wire_message m = { .type = WIRE_CLOSE, .id = 9 };
	int sock, user;

	rig_start(&rig, &quick);
	sock = monitor(true, 0);
	user = rig_connect_as(&rig, NOBODY);
	m.close.uid = WIRE_UID_ANY;
	snprintf(m.close.lease, sizeof(m.close.lease), "%s",
		 "\x9b" "2J \xc2\x9b" "2J\033c\x7f");
	raw_send(user, &m);
	told(sock, WIRE_NOTICE_REFUSED, NOBODY, "`?2J ??2J?c?`");
	close(user);
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(another_uid_is_told_of_himself_alone)
{
	struct ttd_device *dev;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(false, OTHER_UID);
	dev = opened_by(NOBODY, "tt0");
	refused_to(NOBODY);
	ck_sh("ip link set tt0 mtu 1400");
	ck_sh("%s reload --socket %s >/dev/null", rig_built("tuntapctl"),
	      rig.admin);
	ttd_free(dev);
	link_goes("tt0");
	nothing_but_a_refusal(sock, OTHER_UID);
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(reloads_are_told_root)
{
	const struct wire_notice *n;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(true, 0);
	kill(rig.daemon, SIGHUP);
	n = told(sock, WIRE_NOTICE_RELOADED, WIRE_UID_NONE, "1 rule");
	ck_assert_uint_eq(n->value, 2);
	ck_sh("echo nonsense >%s/20-bad.conf", rig.policy);
	kill(rig.daemon, SIGHUP);
	n = told(sock, WIRE_NOTICE_REFUSED, WIRE_UID_NONE, "20-bad.conf");
	ck_assert_str_eq(n->step, "reload");
	/* Somebody's request: told once. */
	ck_assert_int_eq(sh_status("%s reload --socket %s 2>/dev/null",
				   rig_built("tuntapctl"), rig.admin), 1);
	told(sock, WIRE_NOTICE_REFUSED, 0, "20-bad.conf");
	nothing_but_a_refusal(sock, NOBODY);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* --- a restart ---------------------------------------------------------- */

static int hold(void *unused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_device *dev;
	struct ttd_error e;

	(void)unused;
	o.socket_path = rig.socket;
	o.name = "tt0";
	if (ttd_open(&o, &dev, &e) < 0) {
		puts(e.text);
		return 1;
	}
	puts("opened");
	fflush(stdout);
	while (ttd_next_event(dev, &ev, TTD_FOREVER) == 0)
		;
	return 0;
}

/* _i: nobody comes for it. */
START_TEST(what_waits_after_a_restart_is_told)
{
	struct client c = { .pid = -1 };
	int admin, user, other;

	rig_start(&rig, &quick);
	client_start(&c, hold, NULL);
	client_line(&c, "opened");
	kill(c.pid, SIGSTOP);
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &quick);
	admin = monitor(true, 0);
	user = monitor(false, NOBODY);
	other = monitor(false, OTHER_UID);
	ck_assert_str_eq(told(admin, WIRE_NOTICE_WAITS, NOBODY, "")->name,
			 "tt0");
	told(user, WIRE_NOTICE_WAITS, NOBODY, "");
	if (_i) {
		told(user, WIRE_NOTICE_DELETED, NOBODY, "nobody came");
	} else {
		kill(c.pid, SIGCONT);
		told(user, WIRE_NOTICE_RECLAIMED, NOBODY, "client");
	}
	nothing_but_a_refusal(other, OTHER_UID);
	close(admin);
	close(user);
	close(other);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* --- who does not read -------------------------------------------------- */

static long rss_kib(void)
{
	char *text = sh("grep VmRSS /proc/%d/status | tr -dc 0-9",
			(int)rig.daemon);
	long kib = atol(text);

	free(text);
	return kib;
}

/* So many refusals to this user, each of them answered. */
static void flood(uid_t uid, unsigned n)
{
	struct wire_message ask = raw_open_request(), answer;
	int sock = rig_connect_as(&rig, uid);

	snprintf(ask.open.name, sizeof(ask.open.name), "eth7");
	while (n-- > 0) {
		raw_send(sock, &ask);
		raw_receive(sock, &answer);
		ck_assert_uint_eq(answer.type, WIRE_REFUSED);
	}
	close(sock);
}

/* So many devices, one after the other. */
static void open_and_close(uid_t uid, unsigned n)
{
	struct wire_message ask = raw_open_request(), answer;

	while (n-- > 0) {
		int sock = rig_connect_as(&rig, uid);

		raw_send(sock, &ask);
		raw_receive(sock, &answer);
		ck_assert_uint_eq(answer.type, WIRE_OPENED);
		close(sock);
	}
}

/* What he is told and what he has lost are all of it, of this uid's. */
static void has_lost(int sock, uid_t uid, unsigned all)
{
	unsigned of_uid = 0, lost = 0;

	while (of_uid + lost < all) {
		const struct wire_notice *n = next(sock);

		if (n->kind == WIRE_NOTICE_LOST) {
			ck_assert_uint_eq(n->uid, WIRE_UID_NONE);
			lost += n->value;
		} else {
			ck_assert_uint_eq(n->kind, WIRE_NOTICE_REFUSED);
			ck_assert_uint_eq(n->uid, uid);
			of_uid++;
		}
	}
	ck_assert_uint_eq(of_uid + lost, all);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_ge(of_uid, LIMIT_NOTICES_UID);
}

START_TEST(who_does_not_read_loses_and_is_told_how_much)
{
	int admin, user;
	long before;

	rig_start(&rig, &quick);
	admin = monitor(true, 0);
	user = monitor(false, NOBODY);
	/* What is made once is there. */
	flood(NOBODY, FLOOD / 2);
	before = rss_kib();
	flood(NOBODY, FLOOD / 2);
	/* Sanitizers keep what was freed for a while. */
	if (!getenv("TUNTAPD_SANITIZED"))
		ck_assert_int_le(rss_kib() - before, RSS_GROWTH_KIB);
	has_lost(admin, NOBODY, FLOOD);
	has_lost(user, NOBODY, FLOOD);
	/* And then hears all again. */
	nothing_but_a_refusal(admin, NOBODY);
	told(user, WIRE_NOTICE_REFUSED, NOBODY, "eth7");
	close(admin);
	close(user);
	rig_end(&rig);
}
END_TEST

/* Root does not read: there is still room for what others do. */
START_TEST(nobody_hides_what_others_do)
{
	const struct wire_notice *n;
	struct ttd_device *dev;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(true, 0);
	flood(NOBODY, FLOOD);
	open_and_close(NOBODY, LIMIT_NOTICES);
	dev = opened_by(OTHER_UID, "tt0");
	ttd_free(dev);
	link_goes("tt0");
	do
		n = next(sock);
	while (n->uid == NOBODY);
	ck_assert_uint_eq(n->kind, WIRE_NOTICE_OPENED);
	ck_assert_uint_eq(n->uid, OTHER_UID);
	do
		n = next(sock);
	while (n->uid == NOBODY);
	ck_assert_uint_eq(n->kind, WIRE_NOTICE_CLOSED);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* Nor do many together, by what costs them nothing. */
START_TEST(many_hide_no_devices)
{
	const struct wire_notice *n;
	struct ttd_device *dev;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(true, 0);
	flood(NOBODY, FLOOD);
	for (uid_t uid = FIRST_OF_MANY; uid < FIRST_OF_MANY + MANY_UIDS; uid++)
		flood(uid, LIMIT_NOTICES);
	dev = opened_by(OTHER_UID, "tt0");
	ttd_free(dev);
	link_goes("tt0");
	do
		n = next(sock);
	while (n->kind == WIRE_NOTICE_REFUSED);
	ck_assert_uint_eq(n->kind, WIRE_NOTICE_OPENED);
	ck_assert_uint_eq(n->uid, OTHER_UID);
	ck_assert_uint_eq(next(sock)->kind, WIRE_NOTICE_CLOSED);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* Nor what he does himself, by what costs him nothing. */
START_TEST(nobody_hides_what_he_does)
{
	const struct wire_notice *n;
	struct ttd_device *dev;
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(_i == ON_ADMIN, NOBODY);
	dev = opened_by(NOBODY, "tt0");
	flood(NOBODY, FLOOD);
	ck_assert_int_eq(ioctl(ttd_fd(dev, 0), TUNSETPERSIST, 1), 0);
	link_goes("tt0");
	do
		n = next(sock);
	while (n->kind == WIRE_NOTICE_OPENED || n->kind == WIRE_NOTICE_REFUSED);
	ck_assert_uint_eq(n->kind, WIRE_NOTICE_TAMPERED);
	ck_assert_uint_eq(next(sock)->kind, WIRE_NOTICE_REVOKED);
	ttd_free(dev);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* --- limits ------------------------------------------------------------- */

static void refused(int sock, enum wire_error code, const char *text)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, code);
	ck_assert_msg(strstr(m.refused.text, text) != NULL, "it says \"%s\"",
		      m.refused.text);
}

static int refused_monitor(uid_t uid, const char *text)
{
	struct wire_message m = { .type = WIRE_MONITOR, .id = MONITOR_ID };
	int sock = rig_connect_as(&rig, uid);

	raw_send(sock, &m);
	refused(sock, WIRE_E_FULL, text);
	return sock;
}

START_TEST(monitors_are_so_many)
{
	struct rig_options o = {
		.policy = policy,
		.limits = { "monitors=3", "monitors-of-user=2" },
	};
	int socks[] = { -1, -1, -1 };
	struct wire_message m = { .type = WIRE_STATUS, .id = 8 };
	int sock;

	rig_start(&rig, &o);
	socks[0] = monitor(false, NOBODY);
	socks[1] = monitor(false, NOBODY);
	sock = refused_monitor(NOBODY, "one user may have (2)");
	/* It is a connection as before. */
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_STATE);
	close(sock);
	/* Root's are beside them. */
	close(monitor(true, 0));
	socks[2] = monitor(false, OTHER_UID);
	close(refused_monitor(OTHER_UID + 1, "that it takes (3)"));
	close(monitor(true, 0));
	close(socks[0]);
	sock = -1;
	for (int64_t end = now_ms() + EVENTUALLY_MS; sock < 0;) {
		int again = connect_to(false, NOBODY);

		m = (struct wire_message){ .type = WIRE_MONITOR,
					   .id = MONITOR_ID };
		raw_send(again, &m);
		raw_receive(again, &m);
		if (m.type == WIRE_DONE)
			sock = again;
		else
			close(again);
		ck_assert_int_lt(now_ms(), end);
	}
	nothing_but_a_refusal(sock, NOBODY);
	close(sock);
	close(socks[1]);
	close(socks[2]);
	rig_end(&rig);
}
END_TEST

static const uint8_t others[] = {
	WIRE_OPEN, WIRE_LIST, WIRE_STATUS, WIRE_MONITOR, WIRE_RECLAIM
};

START_TEST(who_monitors_asks_nothing_else)
{
	struct wire_message m = { .type = others[_i], .id = 9 };
	int sock;

	rig_start(&rig, &quick);
	sock = monitor(false, NOBODY);
	raw_send(sock, &m);
	refused(sock, WIRE_E_NOT_PERMITTED, "monitors");
	ck_assert(raw_closed(sock));
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(who_holds_a_device_does_not_monitor)
{
	struct wire_message m = raw_open_request();
	int sock;

	rig_start(&rig, &quick);
	sock = rig_connect_as(&rig, NOBODY);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_OPENED);
	m = (struct wire_message){ .type = WIRE_MONITOR, .id = MONITOR_ID };
	raw_send(sock, &m);
	do	/* Its device goes with the descriptor, which may be told. */
		raw_receive(sock, &m);
	while (m.type == WIRE_EVENT);
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_NOT_PERMITTED);
	ck_assert(raw_closed(sock));
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(who_monitors_is_not_idle)
{
	const struct rig_options o = {
		.policy = policy,
		.limits = { "idle-seconds=1", "first-request-seconds=1" },
	};
	int sock;

	rig_start(&rig, &o);
	sock = monitor(false, NOBODY);
	sleep_ms(2500);
	nothing_but_a_refusal(sock, NOBODY);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* --- tuntapctl ---------------------------------------------------------- */

/* As root; its lines can be read by client_line(). */
static void ctl(struct client *c, const char *socket, const char *json)
{
	int out[2];

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	fflush(stdout);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		execl(rig_built("tuntapctl"), "tuntapctl", "monitor",
		      "--socket", socket, json, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	c->out = out[0];
}

/* Its next line, which has that in it. */
static const char *line(struct client *c, const char *has)
{
	const char *text = client_line(c, "");

	ck_assert_msg(strstr(text, has) != NULL, "\"%s\" has no %s", text, has);
	return text;
}

static void exits_with_0(struct client *c)
{
	int status = client_wait(c);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		      "status %#x", status);
}

static const int ends[] = { SIGINT, SIGTERM };

START_TEST(tuntapctl_tells_people)
{
	struct client c = { .pid = -1 };
	const char *text;

	rig_start(&rig, &quick);
	ctl(&c, rig.admin, NULL);
	line(&c, "began");
	ttd_free(opened_by(NOBODY, "tt0"));
	text = line(&c, "opened");
	ck_assert_ptr_nonnull(strstr(text, "tt0"));
	ck_assert_ptr_nonnull(strstr(text, "TUN, 1 queue"));
	ck_assert_ptr_null(strchr(text, '\033'));
	line(&c, "closed");
	refused_to(NOBODY);
	text = line(&c, "refused");
	ck_assert_ptr_nonnull(strstr(text, "policy: "));
	kill(c.pid, ends[_i]);
	exits_with_0(&c);
	rig_end(&rig);
}
END_TEST

static const char *const keys[] = {
	"time", "event", "lease", "name", "uid", "user", "pid", "code", "step",
	"text", "rule", "generation", "lost"
};

START_TEST(tuntapctl_tells_programs)
{
	struct client c = { .pid = -1 };
	char key[32];
	const char *text;

	rig_start(&rig, &quick);
	ctl(&c, rig.admin, "--json");
	text = line(&c, "\"event\": \"began\"");
	ck_assert_ptr_nonnull(strstr(text, "\"uid\": null"));
	refused_to(NOBODY);
	text = line(&c, "\"event\": \"refused\", \"lease\": null");
	ck_assert_ptr_nonnull(strstr(text, "\"uid\": 65534"));
	ck_assert_ptr_nonnull(strstr(text, "\"step\": \"policy\""));
	ck_assert_ptr_nonnull(strstr(text, "\"code\": 5"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		snprintf(key, sizeof(key), "\"%s\": ", keys[i]);
		ck_assert_msg(strstr(text, key) != NULL, "no %s", key);
	}
	kill(rig.daemon, SIGHUP);
	line(&c, "\"generation\": 2, \"lost\": null}");
	kill(c.pid, SIGTERM);
	exits_with_0(&c);
	rig_end(&rig);
}
END_TEST

START_TEST(tuntapctl_waits_for_the_next_daemon)
{
	struct client c = { .pid = -1 };

	rig_start(&rig, &quick);
	ctl(&c, rig.socket, "--json");
	line(&c, "\"began\"");
	for (int i = 0; i < 2; i++) {
		rig_kill(&rig, i ? SIGKILL : SIGTERM);
		line(&c, "\"away\"");
		rig_daemon(&rig, &quick);
		line(&c, "\"began\"");
	}
	refused_to(0);
	line(&c, "\"refused\"");
	client_kill(&c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* Nothing happens any more that it could write. */
START_TEST(tuntapctl_ends_with_who_reads_it)
{
	rig_start(&rig, &quick);
	ck_sh("{ %s monitor --socket %s; echo $? >%s/status; } | head -n 1 | "
	      "grep -q began", rig_built("tuntapctl"), rig.admin, rig.dir);
	ck_soon(sh_status("grep -qx 0 %s/status 2>/dev/null", rig.dir) == 0);
	rig_end(&rig);
}
END_TEST

START_TEST(a_thousand_are_told)
{
	char *else_told;

	rig_start(&rig, &quick);
	ck_sh("timeout 300 %s monitor --json --socket %s >%s/told & "
	      "echo $! >%s/pid",
	      rig_built("tuntapctl"), rig.admin, rig.dir, rig.dir);
	ck_soon(sh_status("grep -q began %s/told", rig.dir) == 0);
	open_and_close(NOBODY, MANY);
	ck_soon(sh_status("test $(grep -c '\"closed\"\\|\"deleted\"' %s/told) "
			  "-eq %d", rig.dir, MANY) == 0);
	ck_sh("test $(grep -c '\"opened\"' %s/told) -eq %d", rig.dir, MANY);
	else_told = sh("grep -v '\"began\"\\|\"opened\"\\|\"closed\"\\|"
		       "\"deleted\"' %s/told", rig.dir);
	ck_assert_str_eq(else_told, "");
	free(else_told);
	ck_sh("kill $(cat %s/pid)", rig.dir);
	rig_end(&rig);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_set_timeout(t, 60 * (int)patience());
	tcase_add_loop_test(t, what_happens_to_leases_is_told, 0, 2);
	tcase_add_loop_test(t, refusals_are_told, 0, 2);
	tcase_add_test(t, what_a_user_wrote_is_told_in_ascii);
	tcase_add_test(t, another_uid_is_told_of_himself_alone);
	tcase_add_test(t, reloads_are_told_root);
	tcase_add_loop_test(t, what_waits_after_a_restart_is_told, 0, 2);
	tcase_add_test(t, who_does_not_read_loses_and_is_told_how_much);
	tcase_add_test(t, nobody_hides_what_others_do);
	tcase_add_test(t, many_hide_no_devices);
	tcase_add_loop_test(t, nobody_hides_what_he_does, 0, 2);
	tcase_add_test(t, monitors_are_so_many);
	tcase_add_loop_test(t, who_monitors_asks_nothing_else, 0,
			    sizeof(others));
	tcase_add_test(t, who_holds_a_device_does_not_monitor);
	tcase_add_test(t, who_monitors_is_not_idle);
	tcase_add_loop_test(t, tuntapctl_tells_people, 0, 2);
	tcase_add_test(t, tuntapctl_tells_programs);
	tcase_add_test(t, tuntapctl_waits_for_the_next_daemon);
	tcase_add_test(t, tuntapctl_ends_with_who_reads_it);
	tcase_add_test(t, a_thousand_are_told);
}

int main(void)
{
	Suite *s = suite_create("monitor");
	TCase *t = tcase_create("live");

	add_tests(t);
	suite_add_tcase(s, t);
	return live_main("monitor", s);
}
