/*
 * Many: a thousand opens and closes one after the other, two hundred at once.
 * No device, fd or byte is left.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define SEQUENCE	1000
#define ROUNDS		6
#define AT_ONCE		200
#define IMPATIENT	8	/* who open and fail without a pause */
#define KEPT		64	/* devices whose holders keep the fds */

static struct rig rig;

static int open_one(struct ttd_device **ret)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_error e;
	int error;

	o.offload = TTD_OFFLOAD_NONE;
	o.socket_path = rig.socket;
	o.timeout_ms = 30000;
	error = ttd_open(&o, ret, &e);
	if (error)
		printf("%s: %s\n", e.step, e.text);
	return error;
}

static int open_and_close_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < SEQUENCE; i++) {
		struct ttd_device *dev;

		if (open_one(&dev))
			return 1;
		ttd_free(dev);
	}
	return 0;
}

static unsigned long resident_pages(void)
{
	char path[64];
	unsigned long size = 0, resident = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)rig.daemon);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident;
}

static unsigned leases(void)
{
	struct wire_message m = { .type = WIRE_STATUS };
	int sock = raw_connect(rig.admin);

	raw_send(sock, &m);
	raw_receive(sock, &m);
	close(sock);
	ck_assert_int_eq(m.type, WIRE_STATE);
	return m.state.leases;
}

static bool no_leases(void *unused)
{
	(void)unused;
	return leases() == 0;
}

START_TEST(a_thousand_one_after_the_other)
{
	char *before;
	unsigned fds, round = 0;
	unsigned long pages;

	rig_start(&rig, NULL);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	as_nobody(open_and_close_many, NULL);
	ck_assert(eventually(no_leases, NULL));
	/*
	 * The first rounds fill malloc's caches and the tables' buckets, and
	 * how many connections there are at once is different in each; a leak
	 * of one byte an open would take pages in every one.
	 */
	do {
		ck_assert_msg(++round < ROUNDS, "it grows with each round");
		pages = resident_pages();
		as_nobody(open_and_close_many, NULL);
		ck_assert(eventually(no_leases, NULL));
	} while (!getenv("TUNTAPD_SANITIZED") &&  /* keeps freed memory */
		 resident_pages() > pages);
	rig_fds_return_to(&rig, fds);
	host_unchanged(before);
	rig_end(&rig);	/* ASan: nothing leaked either */
}
END_TEST

static int open_one_and_wait(void *arg)
{
	struct ttd_device *dev;
	int *gate = arg;
	char byte;

	close(gate[1]);
	if (open_one(&dev))
		return 1;
	puts("open");
	fflush(stdout);
	if (read(gate[0], &byte, 1) < 0)
		return 1;
	ttd_free(dev);
	return 0;
}

START_TEST(two_hundred_at_once)
{
	static struct client clients[AT_ONCE];
	char *before;
	unsigned fds;
	int gate[2];

	rig_start(&rig, NULL);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	ck_assert_int_eq(pipe(gate), 0);
	for (int i = 0; i < AT_ONCE; i++)
		client_start(&clients[i], open_one_and_wait, gate);
	for (int i = 0; i < AT_ONCE; i++)
		client_line(&clients[i], "open");
	ck_assert_uint_eq(leases(), AT_ONCE);
	close(gate[1]);		/* go */
	for (int i = 0; i < AT_ONCE; i++)
		ck_assert_int_eq(client_wait(&clients[i]), 0);
	ck_assert(eventually(no_leases, NULL));
	rig_fds_return_to(&rig, fds);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* Forty devices whose holders keep the fds: deleted by the daemon's worker. */
static int open_forty_and_linger(void *arg)
{
	struct ttd_device *dev;

	(void)arg;
	for (int i = 0; i < 40; i++) {
		if (open_one(&dev))
			return 1;
		ttd_take_fd(dev, 0);
		ttd_free(dev);
	}
	puts("kept");
	fflush(stdout);
	pause();
	return 0;
}

START_TEST(deletion_does_not_stall_others)
{
	char *before;
	struct client c;
	unsigned answers = 0, now;

	rig_start(&rig, NULL);
	before = host_state();
	client_start(&c, open_forty_and_linger, NULL);
	client_line(&c, "kept");
	/*
	 * They are deleted in a few rounds, while we ask.  Were it done in the
	 * loop, nobody would be answered before all are gone.
	 */
	while (leases() == 40)
		;
	while ((now = leases()) > 0)
		answers++;
	ck_assert_msg(answers >= 5, "%u answers meanwhile", answers);
	host_unchanged(before);
	client_kill(&c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* --- two queues --------------------------------------------------------- */

/* What is refused by the kernel, half-made, and waited for until it is gone. */
static int fail_without_a_pause(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_route nowhere = { .dst = prefix("10.20.0.0/16"),
				     .gateway = prefix("10.99.0.1") };
	struct ttd_device *dev;
	char name[TTD_NAME_MAX];

	snprintf(name, sizeof(name), "ttu%d", *(int *)arg);
	o.socket_path = rig.socket;
	o.name = name;
	o.routes = &nowhere;
	o.n_routes = 1;
	o.timeout_ms = 30000;
	for (bool first = true;; first = false) {
		if (ttd_open(&o, &dev, NULL) == 0)
			return 1;
		if (first) {
			puts("refused");
			fflush(stdout);
		}
	}
}

static int end_and_keep(void *arg)
{
	struct ttd_device *dev[KEPT];
	char name[TTD_NAME_MAX];

	(void)arg;
	for (int i = 0; i < KEPT; i++) {
		struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

		o.offload = TTD_OFFLOAD_NONE;
		snprintf(name, sizeof(name), "ttk%d", i);
		o.socket_path = rig.socket;
		o.name = name;
		o.timeout_ms = 30000;
		if (ttd_open(&o, &dev[i], NULL))
			return 1;
		ttd_take_fd(dev[i], 0);
	}
	for (int i = 0; i < KEPT; i++)
		ttd_free(dev[i]);
	puts("ended");
	fflush(stdout);
	pause();
	return 0;
}

static bool none_is_kept(void *unused)
{
	(void)unused;
	return leases() <= IMPATIENT;
}

/*
 * A deletion that nobody waits for has its turn beside those that somebody
 * waits for, however many of these come.
 */
START_TEST(who_waits_does_not_starve_who_does_not)
{
	static struct client clients[IMPATIENT];
	struct client keeper;

	if (live_too_slow("who_waits_does_not_starve_who_does_not"))
		return;
	rig_start(&rig, NULL);
	for (int i = 0; i < IMPATIENT; i++) {
		client_start(&clients[i], fail_without_a_pause, &i);
		client_line(&clients[i], "refused");
	}
	client_start(&keeper, end_and_keep, NULL);
	client_line(&keeper, "ended");
	ck_assert_msg(eventually(none_is_kept, NULL), "they wait for ever");
	for (int i = 0; i < IMPATIENT; i++)
		client_kill(&clients[i], SIGKILL);
	client_kill(&keeper, SIGKILL);
	ck_assert(eventually(no_leases, NULL));
	rig_end(&rig);
}
END_TEST

/* One that the kernel refuses, for an address that no gateway is in. */
static void send_open(int sock, const char *name, uint16_t queues)
{
	struct wire_message m = raw_open_request();

	snprintf(m.open.name, sizeof(m.open.name), "%s", name);
	m.open.queues = queues;
	m.open.n_routes = 1;
	m.open.routes[0] = (struct wire_route){
		.dst = { .family = 4, .len = 16, .ip = { 10, 20 } },
		.gateway = { .family = 4, .len = 32, .ip = { 10, 99, 0, 1 } },
	};
	raw_send(sock, &m);
}

static uint32_t refused(int sock)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	close(sock);
	return m.refused.code;
}

static bool daemon_has_stopped(void *unused)
{
	(void)unused;
	return sh_status("grep -q '^State:.*stopped' /proc/%d/status",
			 rig.daemon) == 0;
}

/* Who fails with all fds that he may takes them from no other user. */
START_TEST(a_user_fills_his_own_share_alone)
{
	static const char policy[] =
		"[rule both]\naction = allow\nuser = 0, 65534\nkind = tun\n"
		"name = tt*\nroute = 10.0.0.0/8\nmax-devices = 8\n"
		"max-queues = 64\n";
	const struct rig_options o = { .policy = policy };
	int first, second, other;
	uint32_t codes[2];

	rig_start(&rig, &o);
	first = raw_connect(rig.socket);
	second = raw_connect(rig.socket);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	other = raw_connect(rig.socket);
	ck_assert_int_eq(seteuid(0), 0);
	/* The daemon hears all of them in one turn. */
	kill(rig.daemon, SIGSTOP);
	ck_assert(eventually(daemon_has_stopped, NULL));
	send_open(first, "tt1", WIRE_QUEUES_MAX);
	send_open(second, "tt2", WIRE_QUEUES_MAX);
	send_open(other, "tt3", WIRE_QUEUES_MAX);
	kill(rig.daemon, SIGCONT);
	codes[0] = refused(first);
	codes[1] = refused(second);
	ck_assert_uint_ne(codes[0], codes[1]);
	ck_assert(codes[0] == WIRE_E_BUSY || codes[1] == WIRE_E_BUSY);
	ck_assert_uint_ne(refused(other), WIRE_E_BUSY);
	/* And once they are gone he may again. */
	first = raw_connect(rig.socket);
	send_open(first, "tt1", WIRE_QUEUES_MAX);
	ck_assert_uint_ne(refused(first), WIRE_E_BUSY);
	rig_end(&rig);
}
END_TEST

/* --- fds that nobody receives ------------------------------------------- */

#define FILES	300		/* that the daemon may have open */
#define OPENS	6		/* with so many fds that these are more */
#define OTHER	(NOBODY - 1)

static int connect_as(uid_t uid)
{
	int sock;

	ck_assert_int_eq(seteuid(uid), 0);
	sock = raw_connect(rig.socket);
	ck_assert_int_eq(seteuid(0), 0);
	return sock;
}

static void ask_for_device(int sock, uint16_t queues)
{
	struct wire_message m = raw_open_request();

	m.open.queues = queues;
	raw_send(sock, &m);
}

static bool is_readable(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return poll(&p, 1, DEADLINE_MS) == 1;
}

static bool may_open_again(void *unused)
{
	int sock = connect_as(NOBODY);
	struct wire_message m;

	(void)unused;
	ask_for_device(sock, 1);
	raw_receive(sock, &m);
	close(sock);
	return m.type == WIRE_OPENED;
}

/*
 * He opens, leaves the answer unread, has the daemon end the connection, and so
 * on: what he has in his sockets the kernel counts as the daemon's.
 */
static const char many_queues[] =
	"[rule all]\naction = allow\nuser = any\nkind = tun\n"
	"name = tt%u-*\nmax-devices = 1\nmax-queues = 64\n";

static int open_and_be_cut_off(uint16_t queues)
{
	int sock = connect_as(NOBODY);

	ask_for_device(sock, queues);
	ck_assert(is_readable(sock));
	/* No frame begins so; if he is refused by now, fine. */
	(void)!send(sock, "no frame", WIRE_HEADER_LEN, MSG_NOSIGNAL);
	return sock;
}

START_TEST(who_receives_no_fds_stops_nobody)
{
	const struct rig_options o = { .policy = many_queues };
	int sock[OPENS], other;
	struct wire_message m;

	rig_start(&rig, &o);
	rig_may_open(&rig, FILES);
	for (int i = 0; i < OPENS; i++) {
		sock[i] = open_and_be_cut_off(WIRE_QUEUES_MAX);
		link_goes("tt65534-0");
	}
	other = connect_as(OTHER);
	ask_for_device(other, 1);
	raw_receive(other, &m);
	ck_assert_uint_eq(m.type, WIRE_OPENED);
	close(other);
	/* He himself may not, until he has received or closed them. */
	other = connect_as(NOBODY);
	ask_for_device(other, 1);
	ck_assert_uint_eq(refused(other), WIRE_E_BUSY);
	for (int i = 0; i < OPENS; i++)
		close(sock[i]);
	ck_assert(eventually(may_open_again, NULL));
	rig_end(&rig);
}
END_TEST

#define UNREAD	5	/* devices with so many queues, likewise */
#define ANOTHER	2000

static int monitor(void)
{
	struct wire_message m = { .type = WIRE_MONITOR, .id = 5 };
	int sock = raw_connect(rig.admin);

	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_DONE);
	return sock;
}

static struct wire_notice notice(int sock, enum wire_notice_kind kind)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_NOTICE);
	ck_assert_uint_eq(m.notice.kind, kind);
	return m.notice;
}

static bool gets_device(void *sock)
{
	struct wire_message m;

	ask_for_device(*(int *)sock, 1);
	raw_receive(*(int *)sock, &m);
	return m.type == WIRE_OPENED;
}

/* They are those of connections that live: of these there may be more. */
START_TEST(who_cannot_be_sent_his_fds_is_told_so)
{
	static const char policy[] =
		"[rule all]\naction = allow\nuser = any\nkind = tun\n"
		"name = tt%u-*\nmax-devices = 8\nmax-queues = 64\n";
	const struct rig_options o = { .policy = policy };
	int sock[UNREAD], other, admin;
	struct wire_message m;

	rig_start(&rig, &o);
	rig_may_open(&rig, FILES);
	for (int i = 0; i < UNREAD; i++) {
		sock[i] = connect_as(NOBODY);
		ask_for_device(sock[i], WIRE_QUEUES_MAX);
		ck_assert(is_readable(sock[i]));
	}
	admin = monitor();
	other = connect_as(ANOTHER);
	ask_for_device(other, 1);
	raw_receive(other, &m);
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_BUSY);
	ck_assert(!link_exists("tt2000-0"));
	notice(admin, WIRE_NOTICE_OPENED);
	notice(admin, WIRE_NOTICE_REVOKED);
	ck_assert_str_eq(notice(admin, WIRE_NOTICE_REFUSED).lease, "");
	for (int i = 0; i < UNREAD; i++)
		close(sock[i]);
	ck_assert(eventually(gets_device, &other));
	rig_end(&rig);
}
END_TEST

#define RECEIVED_LATE	200	/* more than may be unreceived */

/* However soon after each other: none is counted for longer than it is so. */
START_TEST(who_has_received_them_late_may_open)
{
	static const char policy[] =
		"[rule all]\naction = allow\nuser = any\nkind = tun\n"
		"name = tt%u-*\nmax-devices = 64\n";
	const struct rig_options o = { .policy = policy };
	struct wire_message m;
	int sock;

	rig_start(&rig, &o);
	for (int i = 0; i < RECEIVED_LATE; i++) {
		sock = open_and_be_cut_off(1);
		raw_receive(sock, &m);
		ck_assert_int_eq(m.type, WIRE_OPENED);
		close(sock);
	}
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("many");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, a_thousand_one_after_the_other);
	tcase_add_test(t, two_hundred_at_once);
	tcase_add_test(t, deletion_does_not_stall_others);
	suite_add_tcase(s, t);
	t = tcase_create("queues");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_waits_does_not_starve_who_does_not);
	tcase_add_test(t, a_user_fills_his_own_share_alone);
	tcase_add_test(t, who_receives_no_fds_stops_nobody);
	tcase_add_test(t, who_cannot_be_sent_his_fds_is_told_so);
	tcase_add_test(t, who_has_received_them_late_may_open);
	suite_add_tcase(s, t);
	return live_main("many", s);
}
