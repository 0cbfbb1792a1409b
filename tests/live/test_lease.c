/*
 * Nothing stays behind: whatever a holder does to his device, and whoever of
 * him, the daemon and the administrator ends what, and when.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "far.h"

#define OTHER_UID 1000

#define POLICY(more) \
	"[rule all]\naction = allow\nuser = 65534, 1000\nkind = tun, tap\n" \
	"name = tt*\naddress = 10.9.0.0/16, fd09::/32\n" \
	"route = 10.0.0.0/8, fd00::/8, 0.0.0.0/0, ::/0\n" \
	"default-route = yes\nmax-devices = 100\n" more

static const char revokes[] = POLICY("");
static const char logs[] = POLICY("on-tamper = log\n");
static const char chooses[] = POLICY("mac = chosen\n");

static struct rig rig;

/* --- a holder, who does what he is told --------------------------------- */

struct order {
	enum ttd_layer layer;
	const char *name;
	uint32_t flags;			/* of the open */
	/* Addresses and routes; or none, but two queues. */
	enum { SOME, EVERYTHING, NONE, TWO_QUEUES } has;
};

/* What may be done to a device by who has its fd. */
enum tamper { NOTHING, PERSIST, OWNER, GROUP, MAC, LINK_TYPE, QUEUES,
	      N_TAMPERS };
static const char *const tamper_causes[] = {
	[PERSIST] = "persistent", [OWNER] = "owner", [GROUP] = "group",
	[MAC] = "MAC", [LINK_TYPE] = "link type", [QUEUES] = "queues",
};

/*
 * As its owner for a moment, of which the kernel tells nothing while a device is
 * down.  The queue lasts as long as this process.
 */
static int add_queue(int fd)
{
	struct ifreq ifr = { 0 };
	int queue = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int r = -1;

	if (queue >= 0 && ioctl(fd, TUNGETIFF, &ifr) == 0 &&
	    ioctl(fd, TUNSETOWNER, geteuid()) == 0)
		r = ioctl(queue, TUNSETIFF, &ifr);
	return ioctl(fd, TUNSETOWNER, 0) == 0 ? r : -1;
}

static int tamper(int fd, struct ttd_device *dev, enum tamper how)
{
	struct ifreq ifr = { .ifr_hwaddr = { .sa_family = ARPHRD_ETHER } };

	switch (how) {
	case PERSIST:
		return ioctl(fd, TUNSETPERSIST, 1);
	case OWNER:
		return ioctl(fd, TUNSETOWNER, OTHER_UID);
	case GROUP:
		return ioctl(fd, TUNSETGROUP, 0);
	case MAC:
		memcpy(ifr.ifr_hwaddr.sa_data, far_mac, MAC_BYTES);
		return ioctl(fd, SIOCSIFHWADDR, &ifr);
	case LINK_TYPE:
		/* Only while it is down. */
		ttd_set_up(dev, 0, NULL);
		return ioctl(fd, TUNSETLINK, ARPHRD_PPP);
	case QUEUES:
		ttd_set_up(dev, 0, NULL);
		if (add_queue(fd))
			return -1;
		/* Now the kernel tells something. */
		ttd_set_mtu(dev, 1400, NULL);
		return 0;
	default:
		return 0;
	}
}

/* Nothing changes, and each time the kernel tells everybody. */
static void storm(int fd)
{
	for (int i = 0; i < 200000; i++)
		if (ioctl(fd, TUNSETOWNER, 0) < 0)
			break;
}

#define HIDDEN_STORM_SECONDS 10

/* As many between two requests, which change nothing, as a change makes. */
static void hidden_storm(int fd, struct ttd_device *dev)
{
	time_t until = time(NULL) + HIDDEN_STORM_SECONDS;

	while (time(NULL) < until && ttd_set_mtu(dev, 1500, NULL) == 0)
		for (int i = 0; i < 4; i++)
			if (ioctl(fd, TUNSETOWNER, 0) < 0)
				return;
}

/* As often as three of it are a storm, and two with what is read at once not. */
static void nudge(int fd)
{
	for (int i = 0; i < 350; i++)
		if (ioctl(fd, TUNSETOWNER, 0) < 0)
			break;
}

static void say_event(struct ttd_device *dev)
{
	static const char *const said[] = {
		[TTD_EVENT_DAEMON_LOST] = "lost",
		[TTD_EVENT_DAEMON_BACK] = "back",
		[TTD_EVENT_RENAMED] = "renamed", [TTD_EVENT_MTU] = "mtu",
		[TTD_EVENT_HWADDR] = "hwaddr", [TTD_EVENT_LINK] = "link",
		[TTD_EVENT_TAMPERED] = "tampered", [TTD_EVENT_ENDED] = "ended",
	};
	struct ttd_event ev = TTD_EVENT_INIT;

	while (ttd_next_event(dev, &ev, 0) == 0)
		printf("%s %u %s\n", said[ev.type], ev.value, ev.text);
}

static const size_t counts[][2] = { { 2, 1 }, { 4, 7 }, { 0, 0 }, { 0, 0 } };

static int open_as_ordered(const struct order *order, struct ttd_device **dev)
{
	struct ttd_options o = TTD_OPTIONS_INIT(order->layer);
	struct ttd_addr a[] = { addr("10.9.1.1/24"), addr("fd09:0:1::1/64"),
				addr("10.9.2.1/30"), addr("10.9.2.9/32") };
	struct ttd_route r[] = {
		route("10.20.0.0/16", NULL, 0), route("10.21.0.0/16",
						      "10.9.1.9", 2000),
		route("fd20::/32", NULL, 0), route("fd21::/32", "fd09:0:1::9", 0),
		route("0.0.0.0/0", NULL, 0), route("::/0", NULL, 3000),
		route("10.9.1.0/24", NULL, 4000),
	};
	struct ttd_error e;

	o.offload = TTD_OFFLOAD_NONE;
	o.socket_path = rig.socket;
	o.name = order->name;
	o.queues = order->has == TWO_QUEUES ? 2 : 1;
	o.flags = order->flags;
	o.timeout_ms = 1000;	/* the daemon may be away */
	o.addrs = a;
	o.n_addrs = counts[order->has][0];
	o.routes = r;
	o.n_routes = counts[order->has][1];
	if (ttd_open(&o, dev, &e) == 0)
		return 0;
	printf("refused at %s: %s\n", e.step, e.text);
	return 1;
}

/*
 * Opens, takes the bare fd, and then does what each byte of its stdin says:
 * a digit: that tamper; s: a storm; h: a hidden one; n: a third of one; e: tell
 * events; x: close his second queue; c: close, and keep the fd; q: close and end.
 */
static int hold(void *arg)
{
	struct ttd_device *dev;
	int fd;
	char c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (open_as_ordered(arg, &dev))
		return 1;
	fd = ttd_take_fd(dev, 0);
	printf("open\n");
	while (read(STDIN_FILENO, &c, 1) == 1 && c != 'q') {
		if (c >= '0' && c < '0' + N_TAMPERS)
			printf("did %d\n", tamper(fd, dev,
						  (enum tamper)(c - '0')));
		if (c == 's') {
			storm(fd);
			printf("stormed\n");
		}
		if (c == 'h') {
			hidden_storm(fd, dev);
			printf("stormed\n");
		}
		if (c == 'n') {
			nudge(fd);
			printf("nudged\n");
		}
		if (c == 'x')
			printf("shut %d\n", close(ttd_take_fd(dev, 1)));
		if (c == 'c') {
			ttd_close(dev);
			printf("left\n");
		}
		if (c == 'e') {
			say_event(dev);
			printf("status %d\n", (int)ttd_status(dev, NULL));
		}
	}
	ttd_close(dev);
	close(fd);
	ttd_free(dev);
	printf("closed\n");
	return 0;
}

/* The holder's stdin is the test's own, a pipe while he is started. */
struct holder {
	struct client c;
	int tell;
};

static void start(struct holder *h, const struct order *order)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(p[0], STDIN_FILENO), STDIN_FILENO);
	close(p[0]);
	h->c.pid = -1;
	h->tell = p[1];
	client_start(&h->c, hold, (void *)(uintptr_t)order);
	client_line(&h->c, "open");
}

static void tell(struct holder *h, char what)
{
	ck_assert_int_eq(write(h->tell, &what, 1), 1);
}

/* Waits until he was told so; he says all events each time he is asked. */
static const char *told(struct holder *h, const char *event)
{
	static char line[512];

	for (int ms = 0; ms < DEADLINE_MS; ms += 20) {
		tell(h, 'e');
		for (;;) {
			snprintf(line, sizeof(line), "%s",
				 client_line(&h->c, ""));
			if (strncmp(line, event, strlen(event)) == 0) {
				client_line(&h->c, "status");
				return line;
			}
			if (strncmp(line, "status", 6) == 0)
				break;
		}
		sleep_ms(20);
	}
	ck_abort_msg("he was never told: %s", event);
	return NULL;
}

static const struct order tun = { TTD_TUN, "tt0", 0, SOME };
static const struct order tap = { TTD_TAP, "tt0", 0, SOME };
static const struct order several = { TTD_TUN, "tt0", 0, TWO_QUEUES };
static const struct order all_of_it = { TTD_TUN, "tt0", 0, EVERYTHING };

static const struct order *order_for(enum tamper how)
{
	switch (how) {
	case MAC:
		return &tap;
	case QUEUES:
		return &several;
	default:
		return &tun;
	}
}

/* --- tampering ---------------------------------------------------------- */

START_TEST(tampering_ends_the_lease)
{
	const struct rig_options o = { .policy = revokes,
				       .node_mode = NODE_OPEN };
	enum tamper how = (enum tamper)_i;
	struct holder h;
	const char *line;
	char *before;

	rig_start(&rig, &o);
	before = host_state();
	start(&h, order_for(how));
	tell(&h, (char)('0' + how));
	ck_assert_str_eq(client_line(&h.c, "did"), "did 0");
	line = told(&h, "ended");
	ck_assert_msg(strstr(line, tamper_causes[how]) != NULL, "%s", line);
	ck_assert_msg(strncmp(line, "ended 3", 7) == 0, "%s", line);
	link_goes("tt0");
	tell(&h, 'q');
	client_line(&h.c, "closed");
	client_wait(&h.c);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* It is told once of each, and the device still goes with the lease. */
START_TEST(tampering_may_be_told_alone)
{
	const struct rig_options o = { .policy = logs,
				       .node_mode = NODE_OPEN };
	enum tamper how = (enum tamper)_i;
	struct holder h;
	const char *line;
	char *before, *log;

	rig_start(&rig, &o);
	before = host_state();
	start(&h, order_for(how));
	tell(&h, (char)('0' + how));
	line = told(&h, "tampered");
	ck_assert_msg(strstr(line, tamper_causes[how]) != NULL, "%s", line);
	tell(&h, 'e');
	ck_assert_str_eq(client_line(&h.c, "status"), "status 0");
	ck_assert(link_exists("tt0"));
	log = rig_log(&rig);
	ck_assert_ptr_nonnull(strstr(log, tamper_causes[how]));
	free(log);
	tell(&h, 'q');
	client_line(&h.c, "closed");
	client_wait(&h.c);
	link_goes("tt0");
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

START_TEST(a_storm_ends_the_lease)
{
	const struct rig_options o = { .policy = _i & 1 ? logs : revokes };
	struct holder h, other;
	const char *line;

	if (live_too_slow("a_storm_ends_the_lease"))
		return;
	rig_start(&rig, &o);
	start(&h, &tun);
	tell(&h, _i & 2 ? 'h' : 's');
	line = told(&h, "ended");
	ck_assert_msg(strstr(line, "times in a second") != NULL, "%s", line);
	link_goes("tt0");
	/* Nobody else has noticed. */
	start(&other, &tun);
	tell(&other, 'e');
	ck_assert_str_eq(client_line(&other.c, "status"), "status 0");
	client_kill(&other.c, SIGKILL);
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* --- every order of endings --------------------------------------------- */

#define SOON_MS 300

enum { CLIENT_KILLED = 1, DAEMON_KILLED = 2, DAEMON_FIRST = 4,
       TAMPERED_LATE = 8, N_ORDERS = 16 };

static struct holder holders[N_TAMPERS];

/* One for each way to tamper; the first with all that a device can have. */
static void start_all(void)
{
	for (int i = 0; i < N_TAMPERS; i++) {
		char name[TTD_NAME_MAX];

		snprintf(name, sizeof(name), "tt%d", i);
		start(&holders[i], &(struct order){
			i == MAC ? TTD_TAP : TTD_TUN, name, 0,
			i == 0 ? EVERYTHING :
			i == QUEUES ? TWO_QUEUES : NONE
		});
	}
}

static void tamper_all(void)
{
	for (int i = 0; i < N_TAMPERS; i++) {
		if (holders[i].c.pid < 0)
			continue;
		tell(&holders[i], (char)('0' + i));
		client_line(&holders[i].c, "did");
	}
}

static void kill_all(int sig)
{
	for (int i = 0; i < N_TAMPERS; i++) {
		if (holders[i].c.pid < 0)
			continue;
		if (sig == SIGSTOP)
			kill(holders[i].c.pid, sig);
		else
			client_kill(&holders[i].c, sig);
	}
}

/*
 * Tampering before or after the daemon's end, the client's end before or after
 * that, or none before the new daemon's grace is over: nothing is left.
 */
START_TEST(nothing_stays_behind)
{
	const struct rig_options o = { .policy = logs, .grace = "1",
				       .node_mode = NODE_OPEN };
	char *before;
	unsigned fds;

	rig_start(&rig, &o);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	start_all();
	if (!(_i & TAMPERED_LATE))
		tamper_all();
	if (!(_i & DAEMON_FIRST) && _i & CLIENT_KILLED)
		kill_all(SIGKILL);
	if (_i & DAEMON_KILLED)
		rig_kill(&rig, SIGKILL);
	else
		rig_stop(&rig);
	if (_i & TAMPERED_LATE)
		tamper_all();
	if (_i & DAEMON_FIRST && _i & CLIENT_KILLED)
		kill_all(SIGKILL);
	/* Those that cannot come back: they are stopped. */
	kill_all(SIGSTOP);
	rig_daemon(&rig, &o);
	for (int i = 0; i < N_TAMPERS; i++) {
		char name[TTD_NAME_MAX];

		snprintf(name, sizeof(name), "tt%d", i);
		link_goes(name);
	}
	ck_assert_msg(sh_status("! tc qdisc show 2>/dev/null | grep -q clsact")
		      == 0, "a guard is left");
	host_unchanged(before);
	rig_fds_return_to(&rig, fds);
	kill_all(SIGKILL);
	rig_end(&rig);
}
END_TEST

/* --- done while there is no daemon ---------------------------------------- */

/* Whoever comes back finds what the lease was given, and not what there is. */
START_TEST(tampering_meanwhile_ends_the_lease)
{
	const struct rig_options o = { .policy = revokes,
				       .node_mode = NODE_OPEN };
	enum tamper how = (enum tamper)_i;
	struct holder h;
	char *log;

	rig_start(&rig, &o);
	start(&h, order_for(how));
	rig_kill(&rig, SIGKILL);
	told(&h, "lost");
	if (how == LINK_TYPE)
		ck_sh("ip link set tt0 down");
	tell(&h, (char)('0' + how));
	ck_assert_str_eq(client_line(&h.c, "did"), "did 0");
	rig_daemon(&rig, &o);
	told(&h, "ended");
	link_goes("tt0");
	log = rig_log(&rig);
	ck_assert_msg(strstr(log, tamper_causes[how]) != NULL, "%s", log);
	free(log);
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* As it was before it told what the device was made with. */
#define OLDER_MARK "ip link set tt0 alias $(ip -o link show dev tt0 | " \
	"sed -n 's/.*alias \\(tuntapd:1:[0-9a-f]*:[0-9]*\\).*/\\1/p')"

/* What he does is told so, as in hold(). */
static const struct {
	const char *policy;
	const struct order *order;
	const char *admin;
	char doing;
	const char *done;
} allowed[] = {
	{ revokes, &tap, "true", '0' + NOTHING, "did 0" },
	{ chooses, &tap, "true", '0' + MAC, "did 0" },
	{ revokes, &tap, OLDER_MARK, '0' + MAC, "did 0" },
	{ revokes, &several, OLDER_MARK, '0' + NOTHING, "did 0" },
	{ revokes, &several, "true", 'x', "shut 0" },
};

START_TEST(what_he_may_do_meanwhile_stays)
{
	const struct rig_options o = { .policy = allowed[_i].policy };
	struct holder h;
	char *before, *after;

	rig_start(&rig, &o);
	start(&h, allowed[_i].order);
	rig_kill(&rig, SIGKILL);
	told(&h, "lost");
	ck_sh("%s", allowed[_i].admin);
	tell(&h, allowed[_i].doing);
	ck_assert_str_eq(client_line(&h.c, allowed[_i].done), allowed[_i].done);
	before = sh("ip -d link show dev tt0");
	rig_daemon(&rig, &o);
	told(&h, "back");
	/* Once more, by a daemon to which it was no new one. */
	rig_kill(&rig, SIGKILL);
	told(&h, "lost");
	rig_daemon(&rig, &o);
	told(&h, "back");
	sleep_ms(SOON_MS);
	tell(&h, 'e');
	ck_assert_str_eq(client_line(&h.c, "status"), "status 0");
	after = sh("ip -d link show dev tt0");
	ck_assert_str_eq(after, before);
	/* By its mark. */
	tell(&h, 'c');
	client_line(&h.c, "left");
	link_goes("tt0");
	client_kill(&h.c, SIGKILL);
	free(before);
	free(after);
	rig_end(&rig);
}
END_TEST

/* --- the administrator -------------------------------------------------- */

static const struct {
	const char *command, *event, *cause;
} doings[] = {
	{ "ip link del tt0", "ended 2", "was deleted" },
	{ "ip link set tt0 down; ip link set tt0 name other0; "
	  "ip link set other0 up", "renamed", "other0" },
	{ NULL, "ended 2", "another network namespace" },
	{ "ip link set tt0 mtu 1400", "mtu 1400", "" },
};

/* A process in a network namespace of its own. */
static pid_t other_namespace(void)
{
	int p[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(p[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(p[1]);
	ck_assert_int_eq(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static void end_namespace(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(what_an_admin_does_is_told)
{
	const struct rig_options o = { .policy = revokes };
	struct holder h;
	const char *line;
	pid_t pid;

	rig_start(&rig, &o);
	start(&h, &tun);
	pid = other_namespace();
	if (!doings[_i].command)
		ck_sh("ip link set tt0 netns %d", pid);
	else
		ck_sh("%s", doings[_i].command);
	line = told(&h, doings[_i].event);
	ck_assert_msg(strstr(line, doings[_i].cause) != NULL, "%s", line);
	client_kill(&h.c, SIGKILL);
	/* Also what was renamed goes. */
	link_goes("other0");
	link_goes("tt0");
	end_namespace(pid);
	rig_end(&rig);
}
END_TEST

static bool was_logged(void *text)
{
	char *log = rig_log(&rig);
	bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

static void goes_away(const char *name, pid_t there)
{
	ck_sh("ip link set %s netns %d", name, there);
	ck_assert(!link_exists(name));
}

static void comes_back(const char *name, pid_t there)
{
	ck_sh("nsenter -t %d -n ip link set %s netns %d", there, name,
	      rig.daemon);
}

/*
 * Its lease ended with the going, whether its holder (_i) is still there or
 * not; and what an administrator brings that was no lease's stays.
 */
START_TEST(what_was_moved_away_and_back_is_deleted)
{
	const struct rig_options o = { .policy = logs };
	struct holder h, other;
	pid_t there;

	rig_start(&rig, &o);
	there = other_namespace();
	ck_sh("ip tuntap add his0 mode tun; ip link set his0 alias "
	      "tuntapd:1:of-his-own");
	start(&h, &tun);
	start(&other, &(struct order){ TTD_TAP, "tt1", 0, NONE });
	tell(&h, '0' + PERSIST);
	client_line(&h.c, "did");
	goes_away("tt0", there);
	goes_away("his0", there);
	told(&h, "ended 2");
	if (!_i)
		client_kill(&h.c, SIGKILL);
	comes_back("his0", there);
	comes_back("tt0", there);
	link_goes("tt0");
	ck_assert(eventually(was_logged, "came from another network"));
	if (_i)
		client_kill(&h.c, SIGKILL);
	/* Neither is what has a lease, nor what has no mark of ours. */
	start(&h, &tun);
	sleep_ms(300);
	ck_assert(link_exists("his0") && link_exists("tt0"));
	tell(&other, 'e');
	ck_assert_str_eq(client_line(&other.c, "status"), "status 0");
	ck_sh("ip link del his0");
	client_kill(&h.c, SIGKILL);
	client_kill(&other.c, SIGKILL);
	link_goes("tt0");
	end_namespace(there);
	rig_end(&rig);
}
END_TEST

static int monitor(void)
{
	struct wire_message m = { .type = WIRE_MONITOR, .id = 5 };
	int sock = raw_connect(rig.admin);

	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_DONE);
	return sock;
}

static void notices(int sock, enum wire_notice_kind kind, const char *text)
{
	struct wire_message m;

	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_NOTICE);
	ck_assert_uint_eq(m.notice.kind, kind);
	ck_assert_msg(strstr(m.notice.text, text) != NULL, "it says \"%s\"",
		      m.notice.text);
}

/* Also of a device whose client has not come back. */
START_TEST(that_it_was_moved_is_not_told_as_deleted)
{
	const struct rig_options o = { .policy = revokes, .grace = "30" };
	struct holder h;
	pid_t there;
	int sock;

	rig_start(&rig, &o);
	start(&h, &tun);
	rig_kill(&rig, SIGKILL);
	kill(h.c.pid, SIGSTOP);
	rig_daemon(&rig, &o);
	there = other_namespace();
	sock = monitor();
	notices(sock, WIRE_NOTICE_WAITS, "");
	goes_away("tt0", there);
	notices(sock, WIRE_NOTICE_DELETED, "was moved to another network "
		"namespace");
	close(sock);
	client_kill(&h.c, SIGKILL);
	end_namespace(there);
	rig_end(&rig);
}
END_TEST

/* --- many at once ------------------------------------------------------- */

#define MANY 64

static int keep_many(void *unused)
{
	struct ttd_device *dev[MANY];
	char name[TTD_NAME_MAX];

	(void)unused;
	for (int i = 0; i < MANY; i++) {
		struct ttd_options options = TTD_OPTIONS_INIT(TTD_TUN);

		options.offload = TTD_OFFLOAD_NONE;
		snprintf(name, sizeof(name), "ttm%d", i);
		options.name = name;
		options.socket_path = rig.socket;
		if (ttd_open(&options, &dev[i], NULL))
			return 1;
		if (ioctl(ttd_take_fd(dev[i], 0), TUNSETPERSIST, 1))
			return 1;
	}
	puts("kept");
	fflush(stdout);
	pause();
	return 0;
}

static unsigned count(const char *pattern)
{
	char *text = sh("ip -o link | grep -c '%s'", pattern);
	unsigned n = (unsigned)atoi(text);

	free(text);
	return n;
}

/* Messages that delete: one for a group, or one for each of its devices. */
static unsigned deletions(void)
{
	char *log = rig_log(&rig), *at;
	unsigned n = 0;

	for (at = log; (at = strstr(at, " delete\n")) != NULL; at++)
		n++;
	free(log);
	return n;
}

/*
 * They go as a group; what bears our mark no more does not, nor what an
 * administrator has put into that group.  Then each goes by itself.
 */
START_TEST(many_go_together_and_no_other)
{
	const struct rig_options o = { .policy = logs, .fault_build = true };
	struct client c = { .pid = -1 };

	rig_start(&rig, &o);
	ck_sh("ip link add his0 type veth peer name his1");
	if (_i)
		ck_sh("ip link set his0 group 1953853044");
	client_start(&c, keep_many, NULL);
	client_line(&c, "kept");
	ck_assert_uint_eq(count("ttm"), MANY);
	ck_sh("ip link set ttm7 alias other");
	client_kill(&c, SIGKILL);
	ck_soon(count("ttm") == 1);
	/* They end within a few rounds of the worker, each of one group. */
	if (_i)
		ck_assert_uint_ge(deletions(), MANY - 1);
	else
		ck_assert_uint_lt(deletions(), MANY / 2);
	ck_assert(link_exists("ttm7"));
	ck_assert(link_exists("his0"));
	ck_sh("ip link del ttm7; ip link del his0");
	rig_end(&rig);
}
END_TEST

/* --- a restart ---------------------------------------------------------- */

/* All that was asked for is still as it was, and can be taken away. */
static int undo_after_restart(void *arg)
{
	struct ttd_device *dev;
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_addr a[] = { addr("10.9.2.1/30"), addr("10.9.2.9/32"),
				addr("fd09:0:1::1/64"), addr("10.9.1.1/24") };
	struct ttd_route r[] = {
		route("10.20.0.0/16", NULL, 0), route("10.21.0.0/16",
						      "10.9.1.9", 2000),
		route("fd20::/32", NULL, 0), route("fd21::/32", "fd09:0:1::9", 0),
		route("0.0.0.0/0", NULL, 0), route("::/0", NULL, 3000),
		route("10.9.1.0/24", NULL, 4000),
	};
	struct ttd_error e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (open_as_ordered(arg, &dev))
		return 1;
	puts("open");
	do {
		if (ttd_next_event(dev, &ev, DEADLINE_MS))
			return 2;
	} while (ev.type != TTD_EVENT_DAEMON_BACK);
	for (size_t i = 0; i < sizeof(r) / sizeof(*r); i++)
		if (ttd_del_routes(dev, &r[i], 1, &e)) {
			printf("route %zu: %s\n", i, e.text);
			return 3;
		}
	puts("routes are gone");
	sleep_ms(300 * patience());
	if (ttd_del_addrs(dev, a, 4, &e)) {
		printf("addresses: %s\n", e.text);
		return 4;
	}
	puts("addresses are gone");
	sleep_ms(300 * patience());
	/* As many as the rule allows, and not one more: it knows them all. */
	if (ttd_add_routes(dev, r, 6, &e) != -ENETUNREACH &&
	    ttd_add_addrs(dev, &a[3], 1, &e)) {
		printf("anew: %s\n", e.text);
		return 5;
	}
	ttd_free(dev);
	return 0;
}

/* Without the daemon's pid, and what the kernel does by itself. */
static char *device_state(void)
{
	return sh("ip addr show dev tt0 | grep -v -e valid_lft -e fe80; "
		  "ip route show table all dev tt0 proto 116; "
		  "ip -6 route show table all dev tt0 proto 116; "
		  "tc filter show dev tt0 ingress | grep -v ^$");
}

START_TEST(a_lease_is_known_in_full)
{
	const struct rig_options o = { .policy = revokes };
	struct client c = { .pid = -1 };
	char *before, *after;

	rig_start(&rig, &o);
	client_start(&c, undo_after_restart, (void *)(uintptr_t)&all_of_it);
	client_line(&c, "open");
	before = device_state();
	if (_i)
		rig_kill(&rig, SIGKILL);
	else
		rig_stop(&rig);
	after = device_state();
	ck_assert_msg(strcmp(before, after) == 0, "%s\nbecame\n%s", before,
		      after);
	rig_daemon(&rig, &o);
	client_line(&c, "routes are gone");
	/* The networks of addresses have their routes still. */
	ck_sh("test $(ip route show dev tt0 proto 116 | wc -l) = 2");
	ck_sh("ip -6 route show dev tt0 proto 116 | grep -q fd09:0:1::/64");
	ck_sh("test $(ip -6 route show dev tt0 proto 116 | wc -l) = 1");
	client_line(&c, "addresses are gone");
	ck_sh("test -z \"$(ip route show dev tt0 proto 116)\"");
	ck_sh("! ip addr show dev tt0 | grep -q 10.9.");
	ck_assert_int_eq(client_wait(&c), 0);
	free(before);
	free(after);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/*
 * As many addresses and routes as a device can have, of both families; one of
 * them is the default route, which the kernel has as its halves.
 */
static struct ttd_addr full_addrs[WIRE_ADDRESSES_MAX];
static struct ttd_route full_routes[WIRE_ROUTES_MAX];

static void fill(void)
{
	char text[64];

	for (unsigned i = 0; i < WIRE_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof(text), i % 4 ? "10.9.%u.1/24" :
			 "fd09:0:%x::1/64", i);
		full_addrs[i] = addr(text);
	}
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++) {
		snprintf(text, sizeof(text), i % 4 ? "10.20.%u.0/24" :
			 "fd20:0:%x::/48", i);
		full_routes[i] = route(text, NULL, 0);
	}
	full_routes[WIRE_ROUTES_MAX - 1] = route("0.0.0.0/0", NULL, 0);
}

/* Somebody may give it very many routes meanwhile. */
#define LONG_MS		(4 * DEADLINE_MS)

static void wait_for(struct ttd_device *dev, enum ttd_event_type type)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	do {
		if (ttd_next_event(dev, &ev, LONG_MS))
			_exit(2);
		if (ev.type == TTD_EVENT_ENDED)
			printf("ended %u %s\n", ev.value, ev.text);
	} while (ev.type != type && ev.type != TTD_EVENT_ENDED);
	if (ev.type != type)
		_exit(3);
}

static int step(const char *what, int error, const struct ttd_error *e)
{
	printf("%s: %s\n", what, error ? e->text : "done");
	return error;
}

/* Takes all of it away after a restart, and asks for it once more. */
static int redo_in_full(void *unused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	(void)unused;
	setvbuf(stdout, NULL, _IOLBF, 0);
	fill();
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.addrs = full_addrs;
	o.n_addrs = WIRE_ADDRESSES_MAX;
	o.routes = full_routes;
	o.n_routes = WIRE_ROUTES_MAX;
	if (step("open", ttd_open(&o, &dev, &e), &e))
		return 1;
	wait_for(dev, TTD_EVENT_DAEMON_BACK);
	if (step("routes go", ttd_del_routes(dev, full_routes,
					     WIRE_ROUTES_MAX, &e), &e) ||
	    step("addresses go", ttd_del_addrs(dev, full_addrs,
					       WIRE_ADDRESSES_MAX, &e), &e) ||
	    getchar() == EOF ||
	    step("addresses come", ttd_add_addrs(dev, full_addrs,
						 WIRE_ADDRESSES_MAX, &e), &e) ||
	    step("routes come", ttd_add_routes(dev, full_routes,
					       WIRE_ROUTES_MAX, &e), &e))
		return 4;
	pause();
	return 0;
}

static const char roomy[] = POLICY("max-addresses = 64\nmax-routes = 256\n");

/* What an administrator adds as such is not the lease's. */
static const char *const his[] = {
	"true",
	"ip addr add 192.168.7.1/24 dev tt0 && "
	"ip route add 192.168.8.0/24 dev tt0 && "
	"ip -6 route add fd77::/64 dev tt0",
};

/* 192.168.7.1 in a guard: the host's own, which the default route leads to. */
#define IN_GUARD "3232237313"

static unsigned lines(const char *command)
{
	char *text = sh("%s | wc -l", command);
	unsigned n = (unsigned)atoi(text);

	free(text);
	return n;
}

/*
 * In any order: who asks anew is behind the others.  The kernel makes the local
 * routes of IPv6 addresses a little later, from a workqueue.
 */
static void keep_state(const char *file)
{
	ck_soon(lines("ip -6 route show table local dev tt0 | "
		      "grep '^local fd09:'") == WIRE_ADDRESSES_MAX / 4);
	ck_sh("(ip addr show dev tt0 | grep inet; "
	      "ip route show table all dev tt0; "
	      "ip -6 route show table all dev tt0; "
	      "tc filter show dev tt0 ingress) | sort > /run/%s", file);
}

START_TEST(a_full_lease_is_known_in_full)
{
	const struct rig_options o = { .policy = roomy };
	struct client c = { .pid = -1 };
	int p[2];

	rig_start(&rig, &o);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(p[0], STDIN_FILENO), STDIN_FILENO);
	client_start(&c, redo_in_full, NULL);
	ck_assert_str_eq(client_line(&c, "open"), "open: done");
	ck_sh("%s", his[_i]);
	if (_i)
		ck_soon(lines("tc filter show dev tt0 ingress | "
			      "grep " IN_GUARD) > 0);
	keep_state("before");
	ck_assert_uint_eq(lines("ip route show dev tt0 proto 116"),
			  48 + 191 + 2);
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	ck_assert_str_eq(client_line(&c, "routes go"), "routes go: done");
	ck_assert_str_eq(client_line(&c, "addresses go"),
			 "addresses go: done");
	ck_assert_uint_eq(lines("ip route show dev tt0 proto 116"), 0);
	ck_assert_uint_eq(lines("ip -6 route show dev tt0 proto 116"), 0);
	ck_assert_uint_eq(lines("ip addr show dev tt0 | "
				"grep -e 10.9. -e fd09:"), 0);
	ck_assert_int_eq(write(p[1], "\n", 1), 1);
	ck_assert_str_eq(client_line(&c, "addresses come"),
			 "addresses come: done");
	ck_assert_str_eq(client_line(&c, "routes come"),
			 "routes come: done");
	keep_state("after");
	ck_sh("diff /run/before /run/after >&2");
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/*
 * Somebody gives tt0 more than a lease can have, that looks as the lease's own do,
 * while there is no daemon.
 */
static void ends_by_too_much(const char *command, const char *says)
{
	const struct rig_options o = { .policy = roomy };
	struct client c = { .pid = -1 };
	struct holder other;
	char *log;

	rig_start(&rig, &o);
	start(&other, &(struct order){ TTD_TUN, "tt1", 0, NONE });
	client_start(&c, redo_in_full, NULL);
	ck_assert_str_eq(client_line(&c, "open"), "open: done");
	rig_kill(&rig, SIGKILL);
	ck_sh("%s", command);
	rig_daemon(&rig, &o);
	link_goes("tt0");
	client_line(&c, "ended");
	client_wait(&c);
	log = rig_log(&rig);
	ck_assert_msg(strstr(log, says) != NULL, "%s", log);
	free(log);
	told(&other, "back");
	tell(&other, 'e');
	ck_assert_str_eq(client_line(&other.c, "status"), "status 0");
	client_kill(&other.c, SIGKILL);
	link_goes("tt1");
	rig_end(&rig);
}

START_TEST(an_address_too_many_ends_a_lease)
{
	ends_by_too_much("ip addr add 192.168.7.1/24 dev tt0 noprefixroute",
			 "65 and 256 now");
}
END_TEST

/* They go one by one through `ip -batch`. */
START_TEST(a_route_too_many_ends_a_lease)
{
	if (live_too_slow("a_route_too_many_ends_a_lease"))
		return;
	/* The lease has 256, of which the default route is one. */
	ends_by_too_much("awk 'BEGIN { "
			 "for (i = 0; i < 131072 - 256 + 1; i++) "
			 "printf \"route add fd77:0:%x:%x::/64 dev tt0 "
			 "proto 116\\n\", i / 65536, i % 65536 }' | "
			 "ip -6 -batch -", "64 and 131073 now");
}
END_TEST

/* Frames by hand: the token, and who may do what with it. */
static int raw_open(uint8_t token[WIRE_TOKEN_LEN], int *ret_fd)
{
	struct wire_message m = raw_open_request();
	char cmsg[CMSG_SPACE(sizeof(int))];
	uint8_t buf[512];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = cmsg,
			      .msg_controllen = sizeof(cmsg) };
	int sock = raw_connect(rig.socket);
	size_t have = 0;
	ssize_t n;

	raw_send(sock, &m);
	ck_assert_int_gt(n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC), 0);
	memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	for (have = (size_t)n; have < 8 || have < buf[0]; have += (size_t)n)
		ck_assert_int_gt(n = recv(sock, buf + have, sizeof(buf) - have,
					  0), 0);
	ck_assert_int_eq(wire_decode(buf, have, &m, NULL), 0);
	ck_assert_uint_eq(m.type, WIRE_OPENED);
	memcpy(token, m.opened.token, WIRE_TOKEN_LEN);
	return sock;
}

static struct wire_message raw_reclaim(int sock, const uint8_t *token)
{
	struct wire_message m = { .type = WIRE_RECLAIM, .id = 7 };

	memcpy(m.reclaim.token, token, WIRE_TOKEN_LEN);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	return m;
}

/* Asks as this uid; the answer's code, 0 for RECLAIMED. */
static unsigned reclaim_as(uid_t uid, const uint8_t *token, bool keep)
{
	struct wire_message m;
	int sock;

	ck_assert_int_eq(seteuid(uid), 0);
	sock = raw_connect(rig.socket);
	m = raw_reclaim(sock, token);
	ck_assert_int_eq(seteuid(0), 0);
	if (!keep)
		close(sock);
	return m.type == WIRE_RECLAIMED ? 0 : m.refused.code;
}

START_TEST(only_its_holder_takes_it_back)
{
	const struct rig_options o = { .policy = revokes, .grace = "30" };
	uint8_t token[WIRE_TOKEN_LEN], forged[WIRE_TOKEN_LEN];
	struct wire_message m;
	int sock, fd;

	rig_start(&rig, &o);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_open(token, &fd);
	ck_assert_int_eq(seteuid(0), 0);
	/* While the first connection lives. */
	ck_assert_uint_eq(reclaim_as(NOBODY, token, false), WIRE_E_BUSY);
	ck_assert_uint_eq(reclaim_as(1000, token, false), WIRE_E_NOT_FOUND);
	rig_kill(&rig, SIGKILL);
	close(sock);
	rig_daemon(&rig, &o);
	memcpy(forged, token, sizeof(forged));
	forged[WIRE_TOKEN_LEN - 1] ^= 1;
	ck_assert_uint_eq(reclaim_as(NOBODY, forged, false), WIRE_E_NOT_FOUND);
	ck_assert_uint_eq(reclaim_as(1000, token, false), WIRE_E_NOT_FOUND);
	ck_assert_uint_eq(reclaim_as(0, token, false), WIRE_E_NOT_FOUND);
	ck_assert(link_exists("tt0"));
	/* It counts against his number, and is shown. */
	ck_sh("%s list --socket %s | grep tt0 | grep -q waiting",
	      rig_built("tuntapctl"), rig.admin);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_connect(rig.socket);
	m = raw_reclaim(sock, token);
	ck_assert_uint_eq(m.type, WIRE_RECLAIMED);
	ck_assert_str_eq(m.reclaimed.name, "tt0");
	ck_assert_uint_eq(m.reclaimed.ifindex, if_nametoindex("tt0"));
	ck_assert_uint_eq(m.reclaimed.up, 1);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_uint_eq(reclaim_as(NOBODY, token, false), WIRE_E_BUSY);
	close(fd);
	close(sock);
	link_goes("tt0");
	ck_assert_uint_eq(reclaim_as(NOBODY, token, false), WIRE_E_NOT_FOUND);
	rig_end(&rig);
}
END_TEST

#define GRACE_MS 1000
#define LATE_MS 5000	/* daemon/limits.h */
#define NO_FILES 3
#define ENOUGH_FILES 1024

/*
 * Beyond its grace time: not by taking it back and leaving at once, with an fd
 * kept; nor by connecting, to a daemon that has no end of that.
 */
START_TEST(nobody_keeps_what_nobody_holds)
{
	const struct rig_options o = { .policy = revokes,
				       .grace = _i ? "1" : "30" };
	uint8_t token[WIRE_TOKEN_LEN];
	int sock, fd;

	rig_start(&rig, &o);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_open(token, &fd);
	ck_assert_int_eq(seteuid(0), 0);
	rig_kill(&rig, SIGKILL);
	close(sock);
	rig_daemon(&rig, &o);
	if (_i) {
		/* It cannot accept, and so never sees the last of them. */
		rig_may_open(&rig, NO_FILES);
		sock = raw_connect(rig.socket);
		sleep_ms(GRACE_MS + LATE_MS / 2);
		ck_assert(link_exists("tt0"));
		sleep_ms(LATE_MS / 2);
	} else {
		ck_assert_uint_eq(reclaim_as(NOBODY, token, false), 0);
		sock = raw_connect(rig.socket);
		while (link_exists("tt0"))
			ck_assert_uint_ne(reclaim_as(NOBODY, token, false), 0);
	}
	link_goes("tt0");
	/* The leak sanitizer opens files at its end. */
	if (_i)
		rig_may_open(&rig, ENOUGH_FILES);
	close(sock);
	close(fd);
	rig_end(&rig);
}
END_TEST

/* It is one of those that its user may have, before, while and after. */
START_TEST(what_is_taken_back_counts)
{
	const struct rig_options o = { .grace = "30", .policy =
		"[rule one]\naction = allow\nuser = 65534\nkind = tun\n"
		"name = tt*\nmax-devices = 1\n" };
	struct wire_message more = raw_open_request(), m;
	uint8_t token[WIRE_TOKEN_LEN];
	int sock, fd, other;

	rig_start(&rig, &o);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_open(token, &fd);
	ck_assert_int_eq(seteuid(0), 0);
	rig_kill(&rig, SIGKILL);
	close(sock);
	rig_daemon(&rig, &o);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_connect(rig.socket);
	other = raw_connect(rig.socket);
	for (int held = 0; held < 2; held++) {
		raw_send(other, &more);
		raw_receive(other, &m);
		ck_assert_uint_eq(m.type, WIRE_REFUSED);
		ck_assert_uint_eq(m.refused.code, WIRE_E_QUOTA);
		if (!held)
			ck_assert_uint_eq(raw_reclaim(sock, token).type,
					  WIRE_RECLAIMED);
	}
	close(fd);
	close(sock);
	link_goes("tt0");
	raw_send(other, &more);
	raw_receive(other, &m);
	ck_assert_uint_eq(m.type, WIRE_OPENED);
	ck_assert_int_eq(seteuid(0), 0);
	close(other);
	rig_end(&rig);
}
END_TEST

/* A namespace of his own, where he is root, and a device of that name in it. */
static int pretend(void *arg)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI,
			     .ifr_name = "tt0" };
	uint8_t guess[WIRE_TOKEN_LEN] = { 0 };
	struct wire_message m;
	int sock, fd;

	(void)arg;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return 77;
	sock = raw_connect(rig.socket);
	m = raw_reclaim(sock, guess);
	return m.type == WIRE_REFUSED && m.refused.code == WIRE_E_NOT_FOUND ?
	       0 : 1;
}

START_TEST(a_device_of_the_same_name_is_no_proof)
{
	const struct rig_options o = { .policy = revokes, .grace = "30",
				       .node_mode = NODE_OPEN };
	uint8_t token[WIRE_TOKEN_LEN];
	struct client c = { .pid = -1 };
	int sock, fd, status;

	rig_start(&rig, &o);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_open(token, &fd);
	ck_assert_int_eq(seteuid(0), 0);
	rig_kill(&rig, SIGKILL);
	close(sock);
	rig_daemon(&rig, &o);
	client_start(&c, pretend, NULL);
	status = client_wait(&c);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		live_skip("a_device_of_the_same_name_is_no_proof",
			  "no user namespace, or no device in one");
	else
		ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(reclaim_as(NOBODY, token, false), 0);
	close(fd);
	rig_end(&rig);
}
END_TEST

/* The same fd, before, while and after; no packet is lost. */
#define PINGS 150
#define PING_MS 20

static int echo_for_ever(void *arg)
{
	struct ttd_device *dev;
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_addr more = addr("10.9.7.1/24");
	uint8_t buf[65536];
	int fd, events;
	unsigned sum;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (open_as_ordered(arg, &dev))
		return 1;
	fd = ttd_take_fd(dev, 0);
	events = ttd_event_fd(dev);
	puts("open");
	for (;;) {
		struct pollfd p[] = { { fd, POLLIN, 0 },
				      { events, POLLIN, 0 } };
		ssize_t n;

		poll(p, 2, -1);
		if (p[1].revents & POLLIN &&
		    ttd_next_event(dev, &ev, 0) == 0 &&
		    ev.type == TTD_EVENT_DAEMON_BACK)
			printf("more %d\n", ttd_add_addrs(dev, &more, 1, NULL) ?:
			       ttd_del_addrs(dev, &more, 1, NULL));
		if (!(p[0].revents & POLLIN))
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n < IPV4_HEADER + 8 || buf[9] != IPPROTO_ICMP)
			continue;
		/* Request to reply: type 8 to 0, and the sum by as much. */
		swap(buf + 12, buf + 16, 4);
		buf[IPV4_HEADER] = 0;
		sum = (unsigned)buf[IPV4_HEADER + 2] << 8 |
		      buf[IPV4_HEADER + 3];
		sum += 0x800;
		sum = (sum & 0xffff) + (sum >> 16);
		buf[IPV4_HEADER + 2] = (uint8_t)(sum >> 8);
		buf[IPV4_HEADER + 3] = (uint8_t)sum;
		if (write(fd, buf, (size_t)n) != n)
			return 2;
	}
}

START_TEST(packets_flow_and_none_is_lost)
{
	const struct rig_options o = { .policy = revokes };
	struct client c = { .pid = -1 };
	pid_t old;
	char *text;

	rig_start(&rig, &o);
	client_start(&c, echo_for_ever, (void *)(uintptr_t)&tun);
	client_line(&c, "open");
	ck_sh("(ping -q -i 0.0%d -c %d -W 5 10.9.1.77 >%s/ping; "
	      "echo done >>%s/ping) &", PING_MS, PINGS, rig.dir, rig.dir);
	for (int round = 0; round < 2; round++) {
		sleep_ms(PINGS * PING_MS / 6);
		old = rig.daemon;
		if (round)
			rig_stop(&rig);
		else
			rig_kill(&rig, SIGKILL);
		sleep_ms(PINGS * PING_MS / 6);
		rig_daemon(&rig, &o);
		ck_assert_int_ne(rig.daemon, old);
		ck_assert_str_eq(client_line(&c, "more"), "more 0");
	}
	ck_soon(sh_status("grep -q done %s/ping", rig.dir) == 0);
	text = sh("cat %s/ping", rig.dir);
	ck_assert_msg(strstr(text, " 0% packet loss") != NULL, "%s", text);
	free(text);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* A command that knows nothing of all this keeps its device too. */
START_TEST(a_command_keeps_its_device)
{
	const struct rig_options o = { .policy = revokes, .grace = "1" };
	const char *const argv[] = {
		rig_built("tuntapctl"), "run", "--socket", rig.socket, "--tun",
		"--name", "tt0", "--address", "10.9.1.1/24", "--", "sh", "-c",
		"echo runs; exec sleep 60", NULL
	};
	struct client c = { .pid = -1 };

	rig_start(&rig, &o);
	client_exec(&c, argv);
	client_line(&c, "runs");
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	ck_soon(sh_status("grep -q 'taken back by uid' %s", rig.log) == 0);
	sleep_ms(1500);		/* longer than the grace */
	ck_assert(link_exists("tt0"));
	ck_sh("%s list --socket %s | grep tt0 | grep -q held",
	      rig_built("tuntapctl"), rig.admin);
	client_kill(&c, SIGTERM);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* --- marks -------------------------------------------------------------- */

static const struct {
	const char *alias;
	bool ours;
} marks[] = {
	{ "tuntapd:1:00112233445566778899aabbccddeeff:1000", true },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:4294967294", true },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:4294967295", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:99999999999", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:-1", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:1x", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff", false },
	{ "tuntapd:1:00112233445566778899aabbccddeef:1000", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeffa:1000", false },
	{ "tuntapd:1:00112233445566778899AABBCCDDEEFF:1000", false },
	{ "tuntapd:2:00112233445566778899aabbccddeeff:1000", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:1000:64", true },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:1000:65", false },
	{ "tuntapd:1:00112233445566778899aabbccddeeff:1000:2:"
	  "02:00:00:00:00:0a", true },
	{ "somebody's", false },
};

/* Only what bears a mark that we write is taken for ours, and is a TUN or TAP. */
START_TEST(only_what_is_marked_is_taken_over)
{
	const struct rig_options o = { .policy = revokes, .grace = "1" };
	const unsigned n = sizeof(marks) / sizeof(*marks);

	rig_namespaces(NODE_CLOSED);
	for (unsigned i = 0; i < n; i++)
		ck_sh("ip tuntap add dev x%u mode tun user 0 && "
		      "ip link set x%u alias \"%s\"", i, i, marks[i].alias);
	ck_sh("ip link add his0 type veth peer name his1 && "
	      "ip link set his0 alias %s", marks[0].alias);
	rig_start(&rig, &o);
	for (unsigned i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u", i);
		if (marks[i].ours)
			link_goes(name);
	}
	for (unsigned i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%u", i);
		ck_assert_msg(link_exists(name) == !marks[i].ours, "%s",
			      marks[i].alias);
	}
	ck_assert(link_exists("his0"));
	rig_end(&rig);
}
END_TEST

/* --- two daemons -------------------------------------------------------- */

/* Another one cannot start, and says so; this text stands in `second`. */
static void wants_no_second(const char *text)
{
	ck_assert_int_eq(sh_status("timeout 10 %s --socket %s/b.sock "
				   "--admin-socket %s/c.sock --policy %s "
				   "--user " RIG_USER " --grace 1 2>%s/second",
				   rig_built("tuntapd"), rig.dir, rig.dir,
				   rig.policy, rig.dir), 1);
	ck_sh("grep -q '%s' %s/second", text, rig.dir);
}

static const char claimed[] = "tuntapd: one in each network namespace";

static socklen_t claim_address(struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path + 1, claimed, strlen(claimed));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(claimed));
}

/* Until nobody else gets in. */
static int fill_claim(void *unused)
{
	struct sockaddr_un a;
	socklen_t len = claim_address(&a);
	int s, r;

	(void)unused;
	do {
		s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		r = connect(s, (struct sockaddr *)&a, len);
		close(s);
	} while (r == 0);
	return errno != EAGAIN;
}

/* _i: and a user has filled the queue of its claim. */
START_TEST(there_is_one_daemon)
{
	const struct rig_options o = { .policy = revokes, .grace = "1" };
	struct holder h;
	char text[64];

	rig_start(&rig, &o);
	start(&h, &tun);
	if (_i)
		as_nobody(fill_claim, NULL);
	snprintf(text, sizeof(text), _i ? "another tuntapd runs .*ss -xlp" :
		 "another tuntapd runs .*pid %d", rig.daemon);
	wants_no_second(text);
	tell(&h, 'e');
	ck_assert_str_eq(client_line(&h.c, "status"), "status 0");
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

static int listen_and_fill(int s)
{
	return listen(s, 1) || fill_claim(NULL);
}

static int do_no_more(int s)
{
	(void)s;
	return 0;
}

static int connect_it(int s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int other = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	/* A name that the kernel chooses. */
	return bind(other, (struct sockaddr *)&a, sizeof(a.sun_family)) ||
	       listen(other, 1) ||
	       getsockname(other, (struct sockaddr *)&a, &len) ||
	       connect(s, (struct sockaddr *)&a, len);
}

static int (*const squats[])(int s) = {
	listen_and_fill, do_no_more, connect_it
};

static int squat(void *how)
{
	struct sockaddr_un a;
	socklen_t len = claim_address(&a);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(s, (struct sockaddr *)&a, len) ||
	    squats[*(const int *)how](s))
		return 1;
	puts("squats");
	fflush(stdout);
	pause();
	return 0;
}

/* A user who takes the name keeps no daemon from starting, and helps none. */
START_TEST(a_squatter_stops_nobody)
{
	struct client c = { .pid = -1 };
	struct holder h;
	char *log;

	rig_namespaces(NODE_CLOSED);
	client_start(&c, squat, &_i);
	client_line(&c, "squats");
	rig_start(&rig, NULL);
	log = rig_log(&rig);
	ck_assert_ptr_nonnull(strstr(log, "uid 65534 (pid "));
	free(log);
	start(&h, &tun);
	wants_no_second("another tuntapd runs");
	/* Also when the name is free again. */
	client_kill(&c, SIGKILL);
	wants_no_second("another tuntapd runs");
	tell(&h, 'e');
	ck_assert_str_eq(client_line(&h.c, "status"), "status 0");
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* --- tuntapctl close ---------------------------------------------------- */

START_TEST(leases_are_closed_by_whom_they_belong_to)
{
	const struct rig_options o = { .policy = revokes };
	const char *ctl = rig_built("tuntapctl");
	struct holder h, i;
	char *text;

	rig_start(&rig, &o);
	start(&h, &tun);
	start(&i, &(struct order){ TTD_TAP, "tt1", 0, NONE });
	/* Another user may not, and is told nothing. */
	ck_assert_int_eq(sh_status("setpriv --reuid 1000 --clear-groups %s "
				   "close tt0 --socket %s 2>%s/err", ctl,
				   rig.socket, rig.dir), 1);
	ck_sh("grep -q 'no lease' %s/err", rig.dir);
	ck_sh("setpriv --reuid 1000 --clear-groups %s close --all --socket %s "
	      "| grep -q '^0 leases'", ctl, rig.socket);
	ck_assert(link_exists("tt0"));
	/* Its user; when it returns the device is gone. */
	text = sh("setpriv --reuid 65534 --clear-groups %s close tt0 --socket "
		  "%s", ctl, rig.socket);
	ck_assert_str_eq(text, "1 lease closed\n");
	ck_assert(!link_exists("tt0"));
	free(text);
	ck_assert_ptr_nonnull(strstr(told(&h, "ended 3"), "its user"));
	/* Root, by id, and of a user, and all. */
	ck_sh("%s close --socket %s $(%s list --json --socket %s | "
	      "grep -o '\"lease\": *\"[0-9a-f]*\"' | tail -n 1 | "
	      "grep -o '[0-9a-f]\\{32\\}')", ctl, rig.admin, ctl, rig.admin);
	ck_assert(!link_exists("tt1"));
	ck_assert_ptr_nonnull(strstr(told(&i, "ended 3"), "administrator"));
	client_kill(&i.c, SIGKILL);
	start(&i, &tun);
	ck_sh("%s close --user 1000 --socket %s | grep -q '^0 '", ctl,
	      rig.admin);
	ck_sh("%s close --user 65534 --json --socket %s | "
	      "grep -q '\"closed\": 1'", ctl, rig.admin);
	ck_assert(!link_exists("tt0"));
	client_kill(&i.c, SIGKILL);
	start(&i, &tun);
	ck_sh("%s close --all --socket %s | grep -q '^1 lease closed'", ctl,
	      rig.admin);
	ck_assert(!link_exists("tt0"));
	ck_assert_int_eq(sh_status("%s close tt0 --socket %s 2>/dev/null", ctl,
				   rig.admin), 1);
	client_kill(&i.c, SIGKILL);
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* Those that wait for their clients too, and that somebody made persistent. */
START_TEST(orphans_are_closed_too)
{
	const struct rig_options o = { .policy = logs, .grace = "30" };
	struct holder h;
	char *text;

	rig_start(&rig, &o);
	start(&h, &tun);
	if (!_i) {
		tell(&h, '0' + PERSIST);
		client_line(&h.c, "did");
	}
	rig_kill(&rig, SIGKILL);
	kill(h.c.pid, SIGSTOP);
	rig_daemon(&rig, &o);
	/* By its user; and what was made persistent may be gone before. */
	text = sh("setpriv --reuid 65534 --clear-groups %s close --all "
		  "--socket %s", rig_built("tuntapctl"), rig.socket);
	ck_assert(!link_exists("tt0"));
	ck_assert_str_eq(text, _i ? "1 lease closed\n" : text);
	free(text);
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* --- closed by several at once ------------------------------------------ */

/* Asks for it, and does not wait. */
static int ask_close(const char *path, const char *lease)
{
	struct wire_message m = { .type = WIRE_CLOSE, .id = 7,
				  .close = { .uid = WIRE_UID_ANY } };
	int sock = raw_connect(path);

	snprintf(m.close.lease, sizeof(m.close.lease), "%s", lease);
	raw_send(sock, &m);
	return sock;
}

/* In this time. */
static bool is_answered(int sock, int ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void wants_closed(int sock, unsigned leases)
{
	struct wire_message m;
	unsigned tt0, tt1;

	raw_receive(sock, &m);
	tt0 = if_nametoindex("tt0");
	tt1 = if_nametoindex("tt1");
	ck_assert_uint_eq(m.type, WIRE_CLOSED);
	ck_assert_uint_eq(m.closed.leases, leases);
	ck_assert(!tt0 && (leases == 1 || !tt1));
}

/* However many they are, whoever of them goes, and in whatever order. */
START_TEST(every_closer_waits_for_the_end)
{
	const struct rig_options o = { .policy = revokes };
	struct wire_message m = { .type = WIRE_CLOSE, .id = 8,
				  .close = { .uid = WIRE_UID_ANY } };
	struct holder h, i;
	int one, all, twice, own;

	rig_start(&rig, &o);
	start(&h, &tun);
	start(&i, &(struct order){ TTD_TAP, "tt1", 0, NONE });
	/* They all ask before it has begun. */
	kill(rig.daemon, SIGSTOP);
	close(ask_close(rig.admin, "tt0"));
	one = ask_close(rig.admin, "tt0");
	close(ask_close(rig.admin, ""));
	all = ask_close(rig.admin, "");
	twice = ask_close(rig.admin, "tt0");
	raw_send(twice, &m);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	own = ask_close(rig.socket, "");
	ck_assert_int_eq(seteuid(0), 0);
	kill(rig.daemon, SIGCONT);
	wants_closed(one, 1);
	wants_closed(all, 2);
	wants_closed(own, 2);
	wants_closed(twice, 1);
	raw_receive(twice, &m);
	ck_assert_uint_eq(m.type, WIRE_CLOSED);
	ck_assert_uint_eq(m.id, 8);
	ck_assert(!if_nametoindex("tt1"));
	/* And they are served as before. */
	raw_send(all, &(struct wire_message){ .type = WIRE_STATUS });
	raw_receive(all, &m);
	ck_assert_uint_eq(m.type, WIRE_STATE);
	ck_assert_uint_eq(m.state.leases, 2);	/* whose holders are there */
	client_kill(&h.c, SIGKILL);
	client_kill(&i.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* Also after the answer to who ends his own by his own connection. */
START_TEST(who_closes_his_own_is_told)
{
	struct wire_message m = { .type = WIRE_CLOSE, .id = 8,
				  .close = { .uid = WIRE_UID_ANY } };
	uint8_t token[WIRE_TOKEN_LEN];
	int sock, fd;

	rig_start(&rig, NULL);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_open(token, &fd);
	raw_send(sock, &m);
	wants_closed(sock, 1);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_EVENT);
	ck_assert_uint_eq(m.event.value, WIRE_ENDED_REVOKED);
	ck_assert_int_eq(seteuid(0), 0);
	close(sock);
	close(fd);
	rig_end(&rig);
}
END_TEST

static int ignore(void *arg, void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	return 0;
}

/* Says what the end of its device looks like to who is reading it. */
static int read_on(void *how)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	char buf[2048];
	struct ttd_device *dev;
	struct ttd_error why;
	struct pollfd done = { .events = POLLIN };

	setvbuf(stdout, NULL, _IOLBF, 0);
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = *(int *)how & 1 ? TTD_NO_THREAD : 0;
	if (ttd_open(&o, &dev, &why) < 0)
		return 1;
	printf("opened\n");
	if (*(int *)how >> 1 == 0)
		while (ttd_recv(dev, buf, sizeof(buf), TTD_FOREVER) > 0)
			;
	else if (*(int *)how >> 1 == 1)
		printf("run %d\n", ttd_run(dev, 0, ignore, NULL));
	else
		ttd_set_handler(dev, ignore, NULL);
	done.fd = ttd_done_fd(dev);
	poll(&done, 1, DEADLINE_MS);
	printf("status %d", ttd_status(dev, &why));
	printf(" %d %s\n", why.code, why.text);
	ttd_free(dev);
	return 0;
}

/* The daemon's words come before the kernel's, which has none. */
START_TEST(who_reads_is_told_too)
{
	struct client c = { .pid = -1 };
	char words[64];

	rig_start(&rig, NULL);
	snprintf(words, sizeof(words), "status %d %d the device tt0 was taken "
		 "back", TTD_REVOKED, -EPERM);
	for (int i = 0; i < 5; i++) {
		client_start(&c, read_on, &_i);
		client_line(&c, "opened");
		usleep(20000);
		sh_status("%s --socket %s close tt0 >/dev/null",
			  rig_built("tuntapctl"), rig.admin);
		if (_i >> 1 == 1)
			ck_assert_str_eq(client_line(&c, "run"), "run -1");
		client_line(&c, words);
		ck_assert_int_eq(client_wait(&c), 0);
	}
	rig_end(&rig);
}
END_TEST

/* Of a lease whose device cannot be deleted at once, held or not. */
static int ask_close_in_vain(struct holder *h, bool orphan)
{
	const struct rig_options o = { .policy = revokes, .grace = "30",
				       .fault_build = true };
	int sock;

	rig_start(&rig, &o);
	start(h, &tun);
	if (orphan) {
		rig_kill(&rig, SIGKILL);
		kill(h->c.pid, SIGSTOP);
		rig_daemon(&rig, &o);
	}
	sleep_ms(300);		/* whatever it has to do */
	/* The mark, the look whether it is still ours, the deletion. */
	rig_fail_step(&rig, 3);
	sock = ask_close(rig.admin, "tt0");
	ck_soon(sh_status("grep -q 'tried again' %s", rig.log) == 0);
	ck_assert(link_exists("tt0"));
	ck_assert(!is_answered(sock, 0));
	return sock;
}

static void end_in_vain(struct holder *h, int sock)
{
	wants_closed(sock, 1);
	close(sock);
	client_kill(&h->c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}

/* Somebody else deletes it: the closer is told then. */
START_TEST(a_closer_is_told_of_anybodys_deletion)
{
	struct holder h;
	int sock = ask_close_in_vain(&h, _i);

	ck_sh("ip link del tt0");
	ck_assert(is_answered(sock, 500));	/* before the next try */
	end_in_vain(&h, sock);
}
END_TEST

START_TEST(a_close_and_a_deletion_at_once)
{
	const struct rig_options o = { .policy = revokes, .grace = "30" };
	struct holder h;
	int sock;

	rig_start(&rig, &o);
	start(&h, &tun);
	rig_kill(&rig, SIGKILL);
	kill(h.c.pid, SIGSTOP);
	rig_daemon(&rig, &o);
	sock = ask_close(rig.admin, "tt0");
	sh_status("ip link del tt0 2>/dev/null");
	end_in_vain(&h, sock);
}
END_TEST

/* What has another name by then, or came later, is not taken for it. */
START_TEST(a_closer_waits_for_what_he_meant)
{
	struct holder h, later;
	int sock = ask_close_in_vain(&h, false), all;

	kill(rig.daemon, SIGSTOP);
	all = ask_close(rig.admin, "");
	kill(rig.daemon, SIGCONT);
	start(&later, &(struct order){ TTD_TUN, "tt1", 0, NONE });
	ck_sh("ip link set tt0 down; ip link set tt0 name other0");
	client_kill(&later.c, SIGKILL);
	link_goes("tt1");
	if (link_exists("other0"))
		ck_assert(!is_answered(all, 0) && !is_answered(sock, 0));
	wants_closed(all, 1);
	ck_assert(!link_exists("other0"));
	end_in_vain(&h, sock);
}
END_TEST

/* --- taken back, whatever becomes of the daemon ------------------------- */

static bool is_logged(void *text)
{
	char *log = rig_log(&rig);
	bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

/*
 * _i: 0, it is killed before the device is gone; 1, it ends then; 2, it was at
 * deleting several when it was killed; 3, as 0, and the device was never up.
 */
START_TEST(what_is_taken_back_stays_so)
{
	const struct rig_options o = { .policy = revokes, .grace = "30",
				       .fault_build = true };
	static const struct order down = { TTD_TUN, "tt0", TTD_DOWN, NONE };
	struct holder h;
	char *text;

	rig_start(&rig, &o);
	start(&h, _i == 3 ? &down : &tun);
	if (_i != 2) {
		/* The mark, the look whether it is still ours, the deletion. */
		rig_fail_step(&rig, 3);
		ask_close(rig.admin, "tt0");
		ck_assert(eventually(is_logged, "could not be deleted"));
		ck_assert(link_exists("tt0"));
	}
	if (_i == 1)
		rig_stop(&rig);
	else
		rig_kill(&rig, SIGKILL);
	if (_i == 2)
		ck_sh("ip link set tt0 group 1953853044");
	ck_assert(link_exists("tt0"));
	rig_daemon(&rig, &o);
	/* Its holder comes at once for it, and is not given it. */
	link_goes("tt0");
	ck_assert_ptr_nonnull(told(&h, "ended"));
	text = rig_log(&rig);
	ck_assert_ptr_null(strstr(text, "is taken back by uid"));
	free(text);
	client_kill(&h.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

/* The one is under way at the end of the daemon, the other waits. */
START_TEST(what_is_to_go_goes_before_the_daemon)
{
	const struct rig_options o = { .policy = revokes };
	struct holder h, i;

	rig_start(&rig, &o);
	start(&h, &tun);
	start(&i, &(struct order){ TTD_TUN, "tt1", 0, NONE });
	ask_close(rig.admin, "tt0");
	ck_assert(eventually(is_logged, "tt0 of uid 65534 is taken back"));
	ask_close(rig.admin, "tt1");
	ck_assert(eventually(is_logged, "tt1 of uid 65534 is taken back"));
	rig_stop(&rig);
	ck_assert(!link_exists("tt0"));
	ck_assert(!link_exists("tt1"));
	client_kill(&h.c, SIGKILL);
	client_kill(&i.c, SIGKILL);
}
END_TEST

static void await_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t = (struct timespec){ .tv_sec = t.tv_sec + 1, .tv_nsec = 10000000 };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void make_a_third(struct holder *h)
{
	tell(h, 'n');
	client_line(&h->c, "nudged");
}

#define TRIES		20	/* to be through in a second, where much runs */
#define LINGER_MS	100	/* daemon/limits.h */

/*
 * When the daemon goes on it is time to delete the device, and the last third
 * is what it reads before.  True if it was one second's, and seen.
 */
static bool storms_at_the_end(struct holder *h)
{
	await_second();
	make_a_third(h);
	make_a_third(h);
	tell(h, 'c');
	client_line(&h->c, "left");
	ck_assert(eventually(is_logged, "of uid 65534 ends"));
	kill(rig.daemon, SIGSTOP);
	make_a_third(h);
	sleep_ms(LINGER_MS + 10);
	kill(rig.daemon, SIGCONT);
	link_goes("tt0");
	return is_logged("changed more than");
}

/*
 * Whose connection has ended and who keeps the fd: that there is a storm is seen
 * when the device is about to be deleted anyhow.
 */
START_TEST(a_storm_at_the_end_ends_it_once)
{
	const struct rig_options o = { .policy = revokes };
	struct holder h, other;
	bool stormed = false;

	rig_start(&rig, &o);
	for (int i = 0; i < TRIES && !stormed; i++) {
		ck_assert_int_eq(truncate(rig.log, 0), 0);
		start(&h, &tun);
		stormed = storms_at_the_end(&h);
		client_kill(&h.c, SIGKILL);
	}
	ck_assert(stormed);
	start(&other, &(struct order){ TTD_TUN, "tt1", 0, NONE });
	client_kill(&other.c, SIGKILL);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lease");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tampering_ends_the_lease, PERSIST, N_TAMPERS);
	tcase_add_loop_test(t, tampering_may_be_told_alone, PERSIST,
			    N_TAMPERS);
	tcase_add_loop_test(t, a_storm_ends_the_lease, 0, 4);
	tcase_add_loop_test(t, nothing_stays_behind, 0, N_ORDERS);
	tcase_add_loop_test(t, what_an_admin_does_is_told, 0,
			    sizeof(doings) / sizeof(*doings));
	tcase_add_loop_test(t, what_was_moved_away_and_back_is_deleted, 0, 2);
	tcase_add_test(t, that_it_was_moved_is_not_told_as_deleted);
	tcase_add_loop_test(t, many_go_together_and_no_other, 0, 2);
	tcase_add_loop_test(t, a_lease_is_known_in_full, 0, 2);
	tcase_add_loop_test(t, a_full_lease_is_known_in_full, 0,
			    sizeof(his) / sizeof(*his));
	tcase_add_test(t, an_address_too_many_ends_a_lease);
	tcase_add_test(t, a_route_too_many_ends_a_lease);
	tcase_add_test(t, only_its_holder_takes_it_back);
	tcase_add_loop_test(t, nobody_keeps_what_nobody_holds, 0, 2);
	tcase_add_test(t, what_is_taken_back_counts);
	tcase_add_test(t, a_device_of_the_same_name_is_no_proof);
	tcase_add_test(t, a_command_keeps_its_device);
	tcase_add_test(t, only_what_is_marked_is_taken_over);
	tcase_add_loop_test(t, there_is_one_daemon, 0, 2);
	tcase_add_loop_test(t, a_squatter_stops_nobody, 0,
			    sizeof(squats) / sizeof(*squats));
	tcase_add_test(t, packets_flow_and_none_is_lost);
	tcase_add_test(t, leases_are_closed_by_whom_they_belong_to);
	tcase_add_loop_test(t, orphans_are_closed_too, 0, 2);
	tcase_add_test(t, every_closer_waits_for_the_end);
	tcase_add_test(t, who_closes_his_own_is_told);
	tcase_add_loop_test(t, who_reads_is_told_too, 0, 6);
	tcase_add_loop_test(t, a_closer_is_told_of_anybodys_deletion, 0, 2);
	tcase_add_test(t, a_close_and_a_deletion_at_once);
	tcase_add_test(t, a_closer_waits_for_what_he_meant);
	suite_add_tcase(s, t);
	t = tcase_create("meanwhile");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, tampering_meanwhile_ends_the_lease, PERSIST,
			    N_TAMPERS);
	tcase_add_loop_test(t, what_he_may_do_meanwhile_stays, 0,
			    sizeof(allowed) / sizeof(*allowed));
	suite_add_tcase(s, t);
	t = tcase_create("lasts");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, what_is_taken_back_stays_so, 0, 4);
	tcase_add_test(t, what_is_to_go_goes_before_the_daemon);
	tcase_add_test(t, a_storm_at_the_end_ends_it_once);
	suite_add_tcase(s, t);
	return live_main("lease", s);
}
