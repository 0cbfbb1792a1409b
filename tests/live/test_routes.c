/*
 * A hundred thousand routes in one call: all of them or none, whoever asks in
 * between is served, and what happens to a device happens to them.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define MANY		100000
#define MANY_SANITIZED	25000	/* where all takes much longer */
#define SOME		3000	/* more than go into one batch */
#define GUARD_MS	100	/* until one follows what the host has */
#define GUARD_ROUTES	16384	/* that one is made from */
#define PARTS_UNDER_WAY	16	/* without an answer, at most */
#define CALL_MS		20000	/* of a call; on a slow machine too */
#define ANSWERS_MIN	5	/* others get at least, meanwhile */

#define POLICY(more) \
	"[rule nobody]\n" \
	"action = allow\n" \
	"user = 65534, 0\n" \
	"kind = tun\n" \
	"name = tt*\n" \
	"address = 10.9.0.0/16, fd09::/16\n" \
	"route = 10.0.0.0/8, fd00::/8\n" \
	"max-devices = 100\n" more

static const char named[] =
	POLICY("max-routes = 131072\nsource = 10.0.0.0/8\n");
static const char automatic[] = POLICY("max-routes = 131072\n");
static const char wide[] =
	"[rule root]\n"
	"action = allow\n"
	"user = 0\n"
	"kind = tun\n"
	"name = tt*\n"
	"route = 0.0.0.0/0\n"
	"max-routes = 10000\n";
static const char few[] = POLICY("max-routes = 2999\nsource = 10.0.0.0/8\n");

static struct rig rig;
static struct ttd_device *dev;
static struct ttd_error why;
static struct ttd_route routes[MANY];
static unsigned many;		/* of them, at most */

/* The i-th of many that merge, or do not. */
static struct ttd_route nth(unsigned i, unsigned apart)
{
	struct ttd_route r = { .dst = { .family = 4, .len = 32 } };
	uint32_t ip = (10u << 24 | 16u << 16) + i * apart;

	for (int byte = 0; byte < 4; byte++)
		r.dst.ip[byte] = (uint8_t)(ip >> (24 - 8 * byte));
	return r;
}

static void fill(unsigned apart)
{
	for (unsigned i = 0; i < many; i++)
		routes[i] = nth(i, apart);
}

static void begin(const char *policy)
{
	const struct rig_options o = { .policy = policy };

	many = getenv("TUNTAPD_SANITIZED") ? MANY_SANITIZED : MANY;
	fill(1);
	rig_start(&rig, &o);
}

static struct ttd_options options(const char *name)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

	o.socket_path = rig.socket;
	o.name = name;
	o.timeout_ms = CALL_MS;
	return o;
}

static void open_device(void)
{
	struct ttd_options o = options("tt0");
	struct ttd_error e;

	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s: %s", e.step, e.text);
}

static void end(void)
{
	ttd_free(dev);
	link_goes("tt0");
	rig_end(&rig);
}

static void does(int r, const struct ttd_error *e)
{
	ck_assert_msg(r == 0, "%s: %s", e->step, e->text);
}

/* With &why for its error. */
#define DOES(call) does(call, &why)

static unsigned long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000 +
	       (unsigned long long)ts.tv_nsec / 1000;
}

/* --- one call ------------------------------------------------------------- */

/* As a user, who is held to a rate. */
static int many_routes(void *unused)
{
	struct ttd_error e;
	struct ttd_options o = options("tt0");
	unsigned long long begun;

	(void)unused;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ttd_open(&o, &dev, &e))
		return printf("open: %s\n", e.text);
	puts("open");
	if (getchar() == EOF)
		return 2;
	begun = now_us();
	if (ttd_add_routes(dev, routes, many, &e))
		return printf("add: %s\n", e.text);
	printf("added in %llu us\n", now_us() - begun);
	if (getchar() == EOF)
		return 3;
	begun = now_us();
	if (ttd_del_routes(dev, routes, many, &e))
		return printf("del: %s\n", e.text);
	printf("removed in %llu us\n", now_us() - begun);
	pause();
	return 0;
}

/* Opens and closes until it is told to stop; how often. */
struct other {
	pthread_t thread;
	_Atomic int stop;
	unsigned n;
	unsigned long long longest;
};

static void *others_turn(void *arg)
{
	struct other *other = arg;
	struct ttd_options o = options("tt1");
	struct ttd_device *d;
	struct ttd_error e;

	while (!other->stop) {
		unsigned long long begun = now_us();
		unsigned long long took;

		does(ttd_open(&o, &d, &e), &e);
		took = now_us() - begun;
		other->n++;
		if (took > other->longest)
			other->longest = took;
		ttd_free(d);
		link_goes("tt1");
	}
	return NULL;
}

/* On a busy machine the call takes longer than a line may. */
static const char *its_line(struct client *c, const char *begins)
{
	struct pollfd p = { .fd = c->out, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 2 * CALL_MS), 1);
	return client_line(c, begins);
}

START_TEST(others_are_served_while_a_user_adds_many)
{
	struct client c = { .pid = -1 };
	struct other other = { .stop = 0 };
	int p[2];

	begin(named);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(dup2(p[0], STDIN_FILENO), STDIN_FILENO);
	client_start(&c, many_routes, NULL);
	ck_assert_str_eq(client_line(&c, ""), "open");
	pthread_create(&other.thread, NULL, others_turn, &other);
	ck_assert_int_eq(write(p[1], "\n", 1), 1);
	puts(its_line(&c, "add"));
	other.stop = 1;
	pthread_join(other.thread, NULL);
	printf("%u opens meanwhile, %llu us the longest\n", other.n,
	       other.longest);
	ck_assert_uint_ge(other.n, ANSWERS_MIN);
	ck_assert_uint_eq(tt0_routes(), many);
	ck_assert_int_eq(write(p[1], "\n", 1), 1);
	puts(its_line(&c, "removed"));
	ck_assert_uint_eq(tt0_routes(), 0);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* The last one is the one that cannot be. */
static const struct {
	const char *last, *via, *says;
	int error;
} wrong[] = {
	{ "192.168.7.0/24", NULL, "192.168.7.0/24", -EACCES },
	{ "10.16.0.7/32", NULL, "10.16.0.7/32", -EEXIST },
	{ "10.200.0.0/24", "10.77.0.1", "10.200.0.0/24", -ENETUNREACH },
};

START_TEST(one_refused_of_many_leaves_none)
{
	struct ttd_route kept = nth(MANY, 1), *last;

	begin(named);
	open_device();
	last = &routes[many - 1];
	DOES(ttd_add_routes(dev, &kept, 1, &why));
	last->dst = prefix(wrong[_i].last);
	if (wrong[_i].via)
		last->gateway = prefix(wrong[_i].via);
	ck_assert_int_eq(ttd_add_routes(dev, routes, many, &why),
			 wrong[_i].error);
	ck_assert_msg(strstr(why.text, wrong[_i].says) != NULL, "%s", why.text);
	ck_assert_ptr_null(strstr(why.text, "may be there"));
	/* And of what was there before, nothing went. */
	ck_assert_uint_eq(tt0_routes(), 1);
	fill(1);
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	ck_assert_uint_eq(tt0_routes(), SOME + 1);
	end();
}
END_TEST

START_TEST(an_open_has_many_or_is_none)
{
	struct ttd_options o = options("tt0");

	begin(named);
	o.routes = routes;
	o.n_routes = SOME;
	DOES(ttd_open(&o, &dev, &why));
	ck_assert_uint_eq(tt0_routes(), SOME);
	ttd_free(dev);
	link_goes("tt0");
	routes[SOME - 1].dst = prefix("192.168.7.0/24");
	ck_assert_int_eq(ttd_open(&o, &dev, &why), -EACCES);
	ck_assert_msg(strstr(why.text, "192.168.7.0/24") != NULL, "%s", why.text);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

/* --- what happens to the device ------------------------------------------- */

START_TEST(many_come_back_with_up)
{
	begin(named);
	open_device();
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	DOES(ttd_set_up(dev, 0, &why));
	ck_assert_uint_eq(tt0_routes(), 0);
	/* What comes and goes while it is down is made, or not, with up. */
	DOES(ttd_add_routes(dev, routes + SOME, SOME, &why));
	DOES(ttd_del_routes(dev, routes, 1000, &why));
	ck_assert_uint_eq(tt0_routes(), 0);
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_uint_eq(tt0_routes(), 2 * SOME - 1000);
	/* An administrator's, too. */
	ck_assert_int_eq(sh_status("ip link set tt0 down"), 0);
	ck_assert_int_eq(sh_status("ip link set tt0 up"), 0);
	ck_soon_routes(2 * SOME - 1000);
	/* And what he takes away comes back with up. */
	ck_assert_int_eq(sh_status("ip route flush dev tt0 proto 116"), 0);
	ck_assert_uint_eq(tt0_routes(), 0);
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_uint_eq(tt0_routes(), 2 * SOME - 1000);
	end();
}
END_TEST

/* With the last IPv4 address the kernel drops every IPv4 route. */
START_TEST(many_stay_when_the_last_address_goes)
{
	struct ttd_addr a = { .local = prefix("10.9.0.1/24") };

	begin(named);
	open_device();
	DOES(ttd_add_addrs(dev, &a, 1, &why));
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	DOES(ttd_del_addrs(dev, &a, 1, &why));
	ck_assert_uint_eq(tt0_routes(), SOME);
	end();
}
END_TEST

/* One that stays needs the address that goes. */
START_TEST(a_request_that_many_hinder_is_undone)
{
	struct ttd_addr a = { .local = prefix("10.9.0.1/24") };

	begin(named);
	open_device();
	DOES(ttd_add_addrs(dev, &a, 1, &why));
	routes[7].gateway = prefix("10.9.0.2");
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	ck_assert_int_eq(ttd_del_addrs(dev, &a, 1, &why), -ENETUNREACH);
	ck_assert_msg(strstr(why.text, "10.16.0.7/32") != NULL, "%s", why.text);
	ck_assert_int_eq(sh_status("ip addr show dev tt0 | "
				   "grep -q 10.9.0.1/24"), 0);
	ck_soon_routes(SOME);
	/* All of it is known still. */
	DOES(ttd_del_routes(dev, routes, SOME, &why));
	ck_assert_uint_eq(tt0_routes(), 0);
	DOES(ttd_del_addrs(dev, &a, 1, &why));
	end();
}
END_TEST

/* --- what others may have beside it --------------------------------------- */

static const char *const theirs[] = { "10.16.0.5/32", "fd00:7::/32" };

/* Another device wants the route as well. */
static int other_asks(const char *dst)
{
	struct ttd_options o = options("tt1");
	struct ttd_route r = { .dst = prefix(dst) };
	struct ttd_device *other;
	int error;

	o.routes = &r;
	o.n_routes = 1;
	error = ttd_open(&o, &other, &why);
	if (error)
		return error;
	ttd_free(other);
	link_goes("tt1");
	return 0;
}

/* The kernel does not tell the daemon of its own doings: it must know them. */
START_TEST(others_routes_are_known_as_long_as_they_are_there)
{
	struct ttd_route r = { .dst = prefix(theirs[_i]) };

	begin(named);
	open_device();
	DOES(other_asks(theirs[_i]));
	DOES(ttd_add_routes(dev, &r, 1, &why));
	ck_assert_int_eq(other_asks(theirs[_i]), -EEXIST);
	ck_assert_msg(strstr(why.text, "tt0") != NULL, "%s", why.text);
	DOES(ttd_set_up(dev, 0, &why));
	DOES(other_asks(theirs[_i]));
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_int_eq(other_asks(theirs[_i]), -EEXIST);
	DOES(ttd_del_routes(dev, &r, 1, &why));
	DOES(other_asks(theirs[_i]));
	/* One that comes with many, in parts, too. */
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	ck_assert_int_eq(other_asks(theirs[_i]), _i ? 0 : -EEXIST);
	DOES(ttd_set_up(dev, 0, &why));
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_int_eq(other_asks(theirs[_i]), _i ? 0 : -EEXIST);
	DOES(ttd_del_routes(dev, routes, SOME, &why));
	DOES(other_asks(theirs[_i]));
	end();
}
END_TEST

static bool has_ipv6_route(void *unused)
{
	(void)unused;
	return sh_status("ip -6 route show dev tt0 | grep -q fd00:7::/32") == 0;
}

/* Without IPv6 the kernel drops those of IPv6. */
START_TEST(routes_that_go_with_the_mtu_are_gone)
{
	struct ttd_route r = { .dst = prefix(theirs[1]) };

	begin(named);
	open_device();
	DOES(ttd_add_routes(dev, &r, 1, &why));
	ck_assert_int_eq(sh_status("ip link set tt0 mtu 1000"), 0);
	DOES(other_asks(theirs[1]));
	ck_assert_int_eq(sh_status("ip link set tt0 mtu 1400"), 0);
	ck_assert(eventually(has_ipv6_route, NULL));
	ck_assert_int_eq(other_asks(theirs[1]), -EEXIST);
	end();
}
END_TEST

/* --- the daemon goes and comes -------------------------------------------- */

static void wait_for(enum ttd_event_type type)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	do
		ck_assert_int_eq(ttd_next_event(dev, &ev, CALL_MS), 0);
	while (ev.type != (uint32_t)type);
}

START_TEST(many_are_known_after_a_restart)
{
	const struct rig_options o = { .policy = named };

	begin(named);
	open_device();
	DOES(ttd_add_routes(dev, routes, many, &why));
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	wait_for(TTD_EVENT_DAEMON_BACK);
	ck_assert_uint_eq(tt0_routes(), many);
	DOES(ttd_set_up(dev, 0, &why));
	ck_assert_uint_eq(tt0_routes(), 0);
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_uint_eq(tt0_routes(), many);
	DOES(ttd_del_routes(dev, routes, many, &why));
	ck_assert_uint_eq(tt0_routes(), 0);
	end();
}
END_TEST

/*
 * What its rule says of sources is not known until its client comes: that no
 * guard could be made of so many does not end it meanwhile.
 */
START_TEST(many_wait_for_their_client)
{
	const struct rig_options o = { .policy = named };
	struct ttd_options open = options("tt0");

	begin(named);
	open.flags = TTD_NO_THREAD;
	DOES(ttd_open(&open, &dev, &why));
	fill(16);
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	ck_assert_int_eq(sh_status("ip tuntap add other mode tun && "
				   "ip addr add 10.200.0.1/24 dev other && "
				   "ip link set other up"), 0);
	sleep_ms(3 * GUARD_MS);
	wait_for(TTD_EVENT_DAEMON_BACK);
	ck_assert_uint_eq(tt0_routes(), SOME);
	DOES(ttd_del_routes(dev, routes, SOME, &why));
	end();
}
END_TEST

struct adding {
	pthread_t thread;
	int result;
	struct ttd_error error;
};

static void *add_many(void *arg)
{
	struct adding *a = arg;

	a->result = ttd_add_routes(dev, routes, many, &a->error);
	return NULL;
}

static bool has_some(void *unused)
{
	(void)unused;
	return sh_status("ip route show dev tt0 proto 116 | grep -q /32 || "
			 "ip route show dev tt0 proto 116 | grep -q 10.16") ==
	       0;
}

/* But for parts whose answers it took along, of which that is said. */
START_TEST(a_daemon_that_goes_in_between_leaves_none)
{
	const struct rig_options o = { .policy = named };
	struct adding a;

	begin(named);
	open_device();
	pthread_create(&a.thread, NULL, add_many, &a);
	ck_assert(eventually(has_some, NULL));
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	pthread_join(a.thread, NULL);
	/* It may have been too fast for us. */
	if (a.result == 0)
		ck_assert_uint_eq(tt0_routes(), many);
	else
		ck_assert_int_eq(a.result, -EPIPE);
	if (a.result != 0 && tt0_routes() > 0)
		ck_assert_ptr_nonnull(strstr(a.error.text, "may be there"));
	if (a.result != 0)
		ck_assert_uint_le(tt0_routes(), PARTS_UNDER_WAY *
				  TTD_ROUTES_AT_ONCE);
	end();
}
END_TEST

static void reload_with(const char *policy)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/10-test.conf", rig.policy);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(policy, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(sh_status("%s reload --enforce --socket %s",
				   rig_built("tuntapctl"), rig.admin), 0);
}

static const char halves[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	"route = 0.0.0.0/0, ::/0\nmax-routes = 1\ndefault-route = yes\n"
	"source = 10.0.0.0/8\n";

#define MOST	131072
static const char most[] =
	"[rule root]\naction = allow\nuser = 0\nkind = tun\nname = tt*\n"
	"route = 0.0.0.0/0\nmax-routes = 131072\ndefault-route = yes\n"
	"source = 10.0.0.0/8\n";

/* The kernel has two, and which was asked for nothing tells. */
START_TEST(a_default_route_is_one_after_a_restart)
{
	const struct rig_options o = { .policy = halves };
	struct ttd_route all = { .dst = prefix(_i ? "::/0" : "0.0.0.0/0") };
	struct ttd_route more = { .dst = prefix("10.0.0.0/8") };

	begin(halves);
	open_device();
	DOES(ttd_add_routes(dev, &all, 1, &why));
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	wait_for(TTD_EVENT_DAEMON_BACK);
	DOES(ttd_set_mtu(dev, 1400, &why));
	reload_with(halves);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ck_assert_int_eq(ttd_add_routes(dev, &more, 1, &why), -EACCES);
	DOES(ttd_del_routes(dev, &all, 1, &why));
	DOES(ttd_add_routes(dev, &more, 1, &why));
	end();
}
END_TEST

/* As many as there may be at all, one of them two in the kernel. */
START_TEST(the_most_are_not_too_many_after_a_restart)
{
	const struct rig_options o = { .policy = most };
	struct ttd_route all = { .dst = prefix("0.0.0.0/0") };

	begin(most);
	open_device();
	DOES(ttd_add_routes(dev, &all, 1, &why));
	for (unsigned n, at = 0; at < MOST - 1; at += n) {
		n = MOST - 1 - at < many ? MOST - 1 - at : many;
		for (unsigned i = 0; i < n; i++)
			routes[i] = nth(at + i, 1);
		DOES(ttd_add_routes(dev, routes, n, &why));
	}
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, &o);
	wait_for(TTD_EVENT_DAEMON_BACK);
	ck_assert(link_exists("tt0"));
	DOES(ttd_set_mtu(dev, 1400, &why));
	end();
}
END_TEST

/* --- the policy and the guard --------------------------------------------- */

START_TEST(many_are_held_against_a_new_policy)
{

	begin(named);
	open_device();
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	reload_with(named);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ck_assert_uint_eq(tt0_routes(), SOME);
	reload_with(few);
	wait_for(TTD_EVENT_ENDED);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_REVOKED);
	end();
}
END_TEST

START_TEST(no_more_than_the_policy_says)
{
	begin(few);
	open_device();
	ck_assert_int_eq(ttd_add_routes(dev, routes, SOME, &why), -EACCES);
	ck_assert_msg(strstr(why.text, "max-routes = 2999") != NULL, "%s",
		      why.text);
	ck_assert_uint_eq(tt0_routes(), 0);
	DOES(ttd_add_routes(dev, routes, SOME - 1, &why));
	ck_assert_int_eq(ttd_add_routes(dev, &routes[SOME], 1, &why), -EACCES);
	DOES(ttd_del_routes(dev, routes, 1, &why));
	DOES(ttd_add_routes(dev, &routes[SOME], 1, &why));
	ck_assert_uint_eq(tt0_routes(), SOME - 1);
	end();
}
END_TEST

/* What the device has counts, not only what is asked for with the MTU. */
START_TEST(no_mtu_below_what_its_routes_need)
{
	struct ttd_route r = { .dst = prefix(theirs[1]) };

	begin(named);
	open_device();
	DOES(ttd_add_routes(dev, &r, 1, &why));
	ck_assert_int_eq(ttd_set_mtu(dev, 1000, &why), -EINVAL);
	ck_assert_msg(strstr(why.text, "1280") != NULL, "%s", why.text);
	ck_assert(has_ipv6_route(NULL));
	DOES(ttd_del_routes(dev, &r, 1, &why));
	DOES(ttd_set_mtu(dev, 1000, &why));
	end();
}
END_TEST

#define LOOKS		200	/* requests that have all looked at */
#define LOOKED_AT	32768	/* each of which counts as 8 more */
#define LOOKS_MS	3000	/* at 200 a second, after 1000 at once */

/* They may be a default route together: 10.0.0.0/8 is there twice. */
static int looks(void *unused)
{
	struct ttd_route twice[] = {
		{ .dst = prefix("10.0.0.0/8") },
		{ .dst = prefix("10.0.0.0/9") },
		{ .dst = prefix("10.128.0.0/9") },
	};
	struct ttd_options o = options("tt0");
	unsigned long long begun;
	struct ttd_error e;

	(void)unused;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ttd_open(&o, &dev, &e) ||
	    ttd_add_routes(dev, routes, LOOKED_AT, &e) ||
	    ttd_add_routes(dev, twice, 3, &e))
		return printf("%s\n", e.text);
	begun = now_us();
	for (unsigned i = 0; i < LOOKS; i++)
		if (ttd_set_mtu(dev, 1300 + i, &e))
			return printf("%s\n", e.text);
	printf("looked at in %llu ms\n", (now_us() - begun) / 1000);
	pause();
	return 0;
}

START_TEST(who_has_many_looked_at_waits)
{
	const struct rig_options o = {
		.policy = named,
		.limits = { "request-rate=200", "request-burst=1000" },
	};
	struct client c = { .pid = -1 };
	unsigned long long ms;
	const char *line;

	many = LOOKED_AT;
	fill(1);
	rig_start(&rig, &o);
	client_start(&c, looks, NULL);
	line = its_line(&c, "looked at");
	ck_assert_int_eq(sscanf(line, "looked at in %llu", &ms), 1);
	ck_assert_uint_ge(ms, LOOKS_MS);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

static const char beside[] =
	POLICY("max-routes = 131072\nsource = 10.0.0.0/8\n")
	"[rule other]\naction = allow\nuser = 65534, 0\nkind = tun\n"
	"name = other\nroute = 10.0.0.0/8\nmax-devices = 100\n";
#define BESIDE	20000

/* Who was there keeps his device; who asks for too much is refused. */
START_TEST(many_take_no_device_of_others_away)
{
	struct ttd_options o = options("other");
	struct ttd_route r = { .dst = prefix("10.0.0.0/8") };
	struct ttd_device *other;

	begin(beside);
	o.routes = &r;
	o.n_routes = 1;
	DOES(ttd_open(&o, &other, &why));
	open_device();
	if (_i)
		DOES(ttd_set_up(dev, 0, &why));
	/* What merges fits. */
	DOES(ttd_add_routes(dev, routes, BESIDE, &why));
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_uint_eq(tt0_routes(), BESIDE);
	DOES(ttd_del_routes(dev, routes, BESIDE, &why));
	fill(16);
	if (_i) {
		DOES(ttd_set_up(dev, 0, &why));
		DOES(ttd_add_routes(dev, routes, BESIDE, &why));
		ck_assert_int_eq(ttd_set_up(dev, 1, &why), -E2BIG);
	} else {
		ck_assert_int_eq(ttd_add_routes(dev, routes, BESIDE, &why),
				 -E2BIG);
	}
	ck_assert_msg(strstr(why.text, "other") != NULL, "%s", why.text);
	sleep_ms(3 * GUARD_MS);
	ck_assert_int_eq(ttd_status(other, NULL), TTD_OPEN);
	ttd_free(other);
	end();
}
END_TEST

#define ALIKE	256		/* routes to one destination, at most */

/* Those that come along in the same message count. */
START_TEST(so_many_to_one_destination)
{
	begin(named);
	open_device();
	for (unsigned i = 0; i < 2 * ALIKE; i++) {
		routes[i] = nth(1, 1);
		routes[i].metric = 2000 + i;
	}
	DOES(ttd_add_routes(dev, routes, ALIKE - 1, &why));
	ck_assert_int_eq(ttd_add_routes(dev, routes + ALIKE, 2, &why), -E2BIG);
	ck_assert_uint_eq(tt0_routes(), ALIKE - 1);
	DOES(ttd_add_routes(dev, routes + ALIKE, 1, &why));
	ck_assert_int_eq(ttd_add_routes(dev, routes + ALIKE + 1, 1, &why),
			 -E2BIG);
	end();
}
END_TEST

/* What was asked for before counts: 10.0.0.0/8 and 11.0.0.0/8 are one /7. */
START_TEST(parts_make_no_default_route)
{
	struct ttd_route r = { .dst = prefix("10.0.0.0/8") };

	begin(wide);
	open_device();
	DOES(ttd_add_routes(dev, &r, 1, &why));
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	r.dst = prefix("11.0.0.0/9");
	DOES(ttd_add_routes(dev, &r, 1, &why));
	r.dst = prefix("11.128.0.0/9");
	ck_assert_int_eq(ttd_add_routes(dev, &r, 1, &why), -EACCES);
	ck_assert_msg(strstr(why.text, "10.0.0.0/7") != NULL, "%s", why.text);
	end();
}
END_TEST

START_TEST(a_guard_holds_many_that_merge)
{

	begin(automatic);
	open_device();
	DOES(ttd_add_routes(dev, routes, 10000, &why));
	ck_assert_uint_eq(tt0_routes(), 10000);
	ck_assert_int_eq(ttd_add_routes(dev, routes + 10000,
					GUARD_ROUTES - 10000 + 1, &why),
			 -E2BIG);
	ck_assert_msg(strstr(why.text, "16384 routes at most") != NULL, "%s",
		      why.text);
	ck_assert_uint_eq(tt0_routes(), 10000);
	/* And not many that do not merge: none of them is left. */
	fill(16);
	for (unsigned i = 0; i < 10000; i++)
		routes[i].dst.ip[1] += 100;
	ck_assert_int_eq(ttd_add_routes(dev, routes, 10000, &why), -E2BIG);
	ck_assert_str_eq(why.step, "guard");
	ck_assert_uint_eq(tt0_routes(), 10000);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("routes");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, others_are_served_while_a_user_adds_many);
	tcase_add_loop_test(t, one_refused_of_many_leaves_none, 0,
			    sizeof(wrong) / sizeof(*wrong));
	tcase_add_test(t, an_open_has_many_or_is_none);
	tcase_add_test(t, many_come_back_with_up);
	tcase_add_test(t, many_stay_when_the_last_address_goes);
	tcase_add_test(t, a_request_that_many_hinder_is_undone);
	tcase_add_loop_test(t, others_routes_are_known_as_long_as_they_are_there,
			    0, sizeof(theirs) / sizeof(*theirs));
	tcase_add_test(t, routes_that_go_with_the_mtu_are_gone);
	tcase_add_test(t, many_are_known_after_a_restart);
	tcase_add_test(t, many_wait_for_their_client);
	tcase_add_test(t, a_daemon_that_goes_in_between_leaves_none);
	tcase_add_loop_test(t, a_default_route_is_one_after_a_restart, 0, 2);
	tcase_add_test(t, the_most_are_not_too_many_after_a_restart);
	tcase_add_test(t, many_are_held_against_a_new_policy);
	tcase_add_test(t, no_more_than_the_policy_says);
	tcase_add_test(t, no_mtu_below_what_its_routes_need);
	tcase_add_test(t, so_many_to_one_destination);
	tcase_add_test(t, parts_make_no_default_route);
	tcase_add_test(t, a_guard_holds_many_that_merge);
	suite_add_tcase(s, t);
	t = tcase_create("beside");
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, many_take_no_device_of_others_away, 0, 2);
	suite_add_tcase(s, t);
	t = tcase_create("rate");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, who_has_many_looked_at_waits);
	suite_add_tcase(s, t);
	return live_main("routes", s);
}
