/*
 * What leads to the device of one user leads to no other's: networks of
 * addresses and their far ends, and routes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define NEIGHBOUR	1000
#define LARGE_METRIC	9000
#define IPV4_BITS	32
#define IPV6_BITS	128

#define POLICY(more) \
	"[rule all]\naction = allow\nuser = 0, 1000, 65534\nkind = tun\n" \
	"name = tt*\naddress = 10.0.0.0/8, fd00::/8\n" \
	"route = 0.0.0.0/0, ::/0\ndefault-route = yes\n" \
	"max-devices = 8\n" more

static const char kept_apart[] = POLICY("");
static const char shadowing[] = POLICY("shadow = yes\n");

static struct rig rig;

static void start(const char *policy)
{
	const struct rig_options o = { .policy = policy };

	rig_start(&rig, &o);
}

/* --- who asks for what -------------------------------------------------- */

struct wish {
	const char *address, *peer, *route, *gateway;
	uint32_t metric;
};

static struct ttd_options options_of(const struct wish *w, struct ttd_addr *a,
				     struct ttd_route *r)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);

	*a = (struct ttd_addr){ .flags = 0 };
	*r = (struct ttd_route){ .metric = w->metric };
	o.socket_path = rig.socket;
	o.offload = TTD_OFFLOAD_NONE;
	if (w->address) {
		a->local = prefix(w->address);
		a->flags = a->local.family == 6 ? TTD_ADDR_NODAD : 0;
		o.addrs = a;
		o.n_addrs = 1;
	}
	if (w->peer)
		a->peer = prefix(w->peer);
	if (w->route) {
		r->dst = prefix(w->route);
		o.routes = r;
		o.n_routes = 1;
	}
	if (w->gateway)
		r->gateway = prefix(w->gateway);
	return o;
}

/* In this process, as that user; nobody looks after the lease. */
static int try_open(uid_t uid, const struct wish *w, struct ttd_device **dev,
		    struct ttd_error *e)
{
	struct ttd_addr a;
	struct ttd_route r;
	struct ttd_options o = options_of(w, &a, &r);
	int error;

	o.flags = TTD_NO_THREAD;
	ck_assert_int_eq(seteuid(uid), 0);
	error = ttd_open(&o, dev, e);
	ck_assert_int_eq(seteuid(0), 0);
	return error;
}

static struct ttd_device *opened(uid_t uid, const struct wish *w)
{
	struct ttd_device *dev = NULL;
	struct ttd_error e;

	ck_assert_msg(try_open(uid, w, &dev, &e) == 0, "%s", e.text);
	return dev;
}

/* As it was asked for: an address has no length then that nobody gave it. */
static const char *asked_for(const struct wish *w, char *text)
{
	const char *it = w->peer ? w->peer : w->address ? w->address : w->route;
	const struct ttd_prefix p = prefix(it);
	const unsigned full = p.family == 4 ? IPV4_BITS : IPV6_BITS;
	const char *end = it == w->address || p.len == full ? "/" : "";

	snprintf(text, TTD_PREFIX_TEXT_MAX, "%.*s", (int)strcspn(it, end), it);
	return text;
}

static void refused_for(const struct ttd_error *e, const struct wish *w,
			const char *network, const char *owner)
{
	char says[192], asked[TTD_PREFIX_TEXT_MAX];

	snprintf(says, sizeof(says), "%s lies in %s, which is the network of "
		 "%s;", asked_for(w, asked), network, owner);
	ck_assert_msg(strstr(e->text, says) == e->text, "%s", e->text);
	ck_assert_ptr_nonnull(strstr(e->text, "shadow = yes"));
	ck_assert_ptr_nonnull(strstr(e->rule, "10-test.conf:"));
}

static void refused(uid_t uid, const struct wish *w, const char *network,
		    const char *owner)
{
	struct ttd_device *dev;
	struct ttd_error e;

	ck_assert_int_eq(try_open(uid, w, &dev, &e), -EEXIST);
	refused_for(&e, w, network, owner);
}

/* Where the host sends packets to that address. */
static void leads_to(const char *address, const char *device)
{
	ck_assert_int_eq(sh_status("ip route get %s | grep -q 'dev %s '",
				   address, device), 0);
}

/* --- far ends ----------------------------------------------------------- */

static const struct wish far_ends[] = {
	{ .address = "10.9.1.2/32" },
	{ .address = "10.9.1.2/24" },
	{ .address = "10.9.1.7/32", .peer = "10.9.1.2/32" },
	{ .route = "10.9.1.2/32", .metric = LARGE_METRIC },
	{ .address = "fd09::2/128" },
	{ .address = "fd09::2/64" },
	{ .address = "fd09::7/128", .peer = "fd09::2/128" },
	{ .route = "fd09::2/128", .metric = LARGE_METRIC },
};

static const struct wish *far_end_of(const struct wish *w)
{
	static const struct wish links[] = {
		{ .address = "10.9.1.1/32", .peer = "10.9.1.2/32" },
		{ .address = "fd09::1/128", .peer = "fd09::2/128" },
	};
	const char *text = w->address ? w->address : w->route;

	return &links[prefix(text).family == 6];
}

/* Of a lease: also for its holder's other devices, as any network is. */
START_TEST(a_far_end_is_its_devices)
{
	const struct wish *w = &far_ends[_i], *far = far_end_of(w);
	struct ttd_device *dev;

	start(kept_apart);
	dev = opened(NOBODY, far);
	refused(NEIGHBOUR, w, far->peer, "tt0");
	refused(NOBODY, w, far->peer, "tt0");
	leads_to(far == far_end_of(&far_ends[0]) ? "10.9.1.2" : "fd09::2",
		 "tt0");
	ttd_free(dev);
	link_goes("tt0");
	/* When that is gone it is anybody's. */
	ttd_free(opened(NEIGHBOUR, w));
	rig_end(&rig);
}
END_TEST

/* Of the host, whether or not it has a route there. */
START_TEST(a_far_end_is_the_hosts)
{
	const struct wish *w = &far_ends[_i], *far = far_end_of(w);

	start(kept_apart);
	ck_assert_int_eq(sh_status("ip link add ppp0 type veth peer "
				   "name ppp1 && ip link set ppp1 up && "
				   "ip link set ppp0 up && ip address add %.*s "
				   "peer %s dev ppp0 noprefixroute",
				   (int)strcspn(far->address, "/"),
				   far->address, far->peer), 0);
	refused(NEIGHBOUR, w, far->peer, "ppp0");
	rig_end(&rig);
}
END_TEST

/* --- routes ------------------------------------------------------------- */

static const struct {
	struct wish theirs, wish;
} routes[] = {
	{ { .route = "10.60.0.0/16" }, { .route = "10.60.1.0/24" } },
	{ { .route = "10.60.0.0/16" },
	  { .route = "10.60.0.0/16", .metric = LARGE_METRIC } },
	{ { .route = "10.60.0.0/16" }, { .address = "10.60.1.9/32" } },
	{ { .route = "10.60.0.0/16" }, { .address = "10.60.1.1/24" } },
	{ { .route = "10.60.0.0/16" },
	  { .address = "10.9.1.1/32", .peer = "10.60.1.9/32" } },
	{ { .route = "fd60::/32" }, { .route = "fd60:0:1::/48" } },
	{ { .route = "fd60::/32" }, { .address = "fd60:0:1::1/64" } },
	/* Of a lease also what it reaches by a gateway. */
	{ { .address = "10.9.1.1/24", .route = "10.60.0.0/16",
	    .gateway = "10.9.1.2" }, { .route = "10.60.1.0/24" } },
};

START_TEST(a_route_is_its_users)
{
	const struct wish *theirs = &routes[_i].theirs, *w = &routes[_i].wish;
	struct ttd_device *dev, *plain, *own;

	start(kept_apart);
	dev = opened(NOBODY, theirs);
	refused(NEIGHBOUR, w, theirs->route, "tt0");
	/* What is asked for later likewise. */
	plain = opened(NEIGHBOUR, &(struct wish){ .route = NULL });
	if (w->route) {
		struct ttd_route r = { .dst = prefix(w->route),
				       .metric = w->metric };
		struct ttd_error e;

		ck_assert_int_eq(ttd_add_routes(plain, &r, 1, &e), -EEXIST);
		refused_for(&e, w, theirs->route, "tt0");
	}
	/* His own devices may share it out. */
	own = opened(NOBODY, w);
	ttd_free(own);
	ttd_free(dev);
	link_goes("tt0");
	ttd_free(opened(NEIGHBOUR, w));
	ttd_free(plain);
	rig_end(&rig);
}
END_TEST

/* Around it, and beside default routes, others may have theirs. */
START_TEST(a_route_takes_no_more_than_itself)
{
	static const struct wish wider = { .route = "10.0.0.0/8" };
	static const struct wish all = { .route = "0.0.0.0/0" };
	static const struct wish one = { .route = "10.60.0.0/16" };
	struct ttd_device *devs[3];

	start(kept_apart);
	devs[0] = opened(NOBODY, &all);
	devs[1] = opened(NEIGHBOUR, &one);
	devs[2] = opened(0, &wider);
	leads_to("10.60.1.1", "tt1");
	leads_to("10.61.1.1", "tt2");
	leads_to("11.0.0.1", "tt0");
	for (size_t i = 0; i < COUNT(devs); i++)
		ttd_free(devs[i]);
	rig_end(&rig);
}
END_TEST

START_TEST(others_routes_may_be_shadowed)
{
	static const struct wish theirs = { .address = "10.9.1.1/32",
					    .peer = "10.9.1.2/32",
					    .route = "10.60.0.0/16" };
	static const struct wish w = { .address = "10.9.1.2/32",
				       .route = "10.60.1.0/24" };
	struct ttd_device *dev, *other;

	start(shadowing);
	dev = opened(NOBODY, &theirs);
	other = opened(NEIGHBOUR, &w);
	leads_to("10.60.1.1", "tt1");
	ttd_free(other);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- what was not there for a while ------------------------------------- */

enum parking { OPENED_DOWN, SET_DOWN, SET_DOWN_BY_ROOT, MTU_TOO_SMALL };

static const struct {
	struct wish own, theirs;
	enum parking how;
	const char *to;
} parked[] = {
	/* As another user has it, though with a larger metric. */
	{ { .route = "10.60.0.0/16" },
	  { .route = "10.60.0.0/16", .metric = 2000 }, OPENED_DOWN,
	  "10.60.1.1" },
	{ { .route = "10.60.0.0/16" },
	  { .route = "10.60.0.0/16", .metric = 2000 }, SET_DOWN, "10.60.1.1" },
	/* Within what he has. */
	{ { .route = "10.60.1.0/24" }, { .route = "10.60.0.0/16" }, OPENED_DOWN,
	  "10.60.1.1" },
	{ { .route = "10.60.1.0/24", .metric = LARGE_METRIC },
	  { .route = "10.60.0.0/16" }, SET_DOWN, "10.60.1.1" },
	{ { .address = "10.60.1.1/24" }, { .route = "10.60.0.0/16" }, SET_DOWN,
	  "10.60.1.2" },
	{ { .route = "fd60:0:1::/48" }, { .route = "fd60::/32" }, OPENED_DOWN,
	  "fd60:0:1::1" },
	{ { .route = "fd60:0:1::/48" }, { .route = "fd60::/32" }, SET_DOWN,
	  "fd60:0:1::1" },
	{ { .address = "fd60:0:1::1/64" }, { .address = "fd60:0:1::2/64" },
	  SET_DOWN_BY_ROOT, "fd60:0:1::3" },
	/* Of IPv6 likewise with an MTU that an administrator chose. */
	{ { .route = "fd60:0:1::/48" }, { .route = "fd60::/32" }, MTU_TOO_SMALL,
	  "fd60:0:1::1" },
};

static struct ttd_device *park(const struct wish *w, enum parking how)
{
	struct ttd_addr a;
	struct ttd_route r;
	struct ttd_options o = options_of(w, &a, &r);
	struct ttd_device *dev;
	struct ttd_error e;

	o.flags = TTD_NO_THREAD | (how == OPENED_DOWN ? TTD_DOWN : 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	ck_assert_int_eq(seteuid(0), 0);
	if (how == SET_DOWN)
		ck_assert_msg(ttd_set_up(dev, 0, &e) == 0, "%s", e.text);
	if (how == SET_DOWN_BY_ROOT)
		ck_assert_int_eq(sh_status("ip link set tt0 down"), 0);
	if (how == MTU_TOO_SMALL)
		ck_assert_int_eq(sh_status("ip link set tt0 mtu 1000"), 0);
	return dev;
}

static int bring_back(struct ttd_device *dev, enum parking how,
		      struct ttd_error *e)
{
	return how == MTU_TOO_SMALL ? ttd_set_mtu(dev, 1500, e) :
				      ttd_set_up(dev, 1, e);
}

/* Whoever sets his device down takes nothing later from who came meanwhile. */
START_TEST(what_comes_back_takes_nothing)
{
	const struct wish *own = &parked[_i].own, *w = &parked[_i].theirs;
	enum parking how = parked[_i].how;
	const char *network = w->route ? w->route : "fd60:0:1::/64";
	struct ttd_device *dev, *other;
	struct ttd_error e;

	start(kept_apart);
	dev = park(own, how);
	other = opened(NEIGHBOUR, w);
	leads_to(parked[_i].to, "tt1");
	ck_assert_int_eq(bring_back(dev, how, &e), -EEXIST);
	refused_for(&e, own, network, "tt1");
	leads_to(parked[_i].to, "tt1");
	ttd_free(other);
	link_goes("tt1");
	ck_assert_msg(bring_back(dev, how, &e) == 0, "%s", e.text);
	leads_to(parked[_i].to, "tt0");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* Of the host's routes that is so for those that are no networks, too. */
START_TEST(what_comes_back_outranks_nothing)
{
	static const struct wish own = { .route = "10.60.0.0/16" };
	struct ttd_device *dev;
	struct ttd_error e;

	start(kept_apart);
	dev = park(&own, _i ? SET_DOWN : OPENED_DOWN);
	ck_assert_int_eq(sh_status("ip link add up0 type veth peer name up1 && "
				   "ip address add 192.0.2.1/24 dev up0 && "
				   "ip link set up1 up && ip link set up0 up "
				   "&& ip route add 10.60.0.0/16 via 192.0.2.2 "
				   "metric 2000"), 0);
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), -EEXIST);
	ck_assert_msg(strstr(e.text, "up0 has a route to 10.60.0.0/16 with "
			     "metric 2000") != NULL, "%s", e.text);
	leads_to("10.60.1.1", "up0");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* IPv6 has no two devices with one address of the host either. */
START_TEST(an_address_comes_back_once)
{
	static const struct wish w = { .address = "fd60::1/128" };
	struct ttd_device *dev, *other;
	struct ttd_error e;

	start(kept_apart);
	dev = park(&w, SET_DOWN_BY_ROOT);
	other = opened(NEIGHBOUR, &w);
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(e.text, "tt1"));
	ttd_free(other);
	link_goes("tt1");
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

#define MANY	600		/* several parts of a request's */

/* They are made a part at a time, and looked at then. */
START_TEST(none_of_many_takes_anything)
{
	static const struct wish plain = { .route = NULL };
	static const struct wish theirs = { .route = "10.62.0.0/16" };
	static struct ttd_route many[MANY];
	struct ttd_device *dev, *other;
	struct ttd_error e;

	for (int i = 0; i < MANY; i++) {
		char text[TTD_PREFIX_TEXT_MAX];

		snprintf(text, sizeof(text), "10.%d.%d.0/24", 60 + i / 256,
			 i % 256);
		many[i].dst = prefix(text);
	}
	start(POLICY("max-routes = 1000\n"));
	dev = opened(NOBODY, &plain);
	ck_assert_msg(ttd_add_routes(dev, many, MANY, &e) == 0, "%s", e.text);
	ck_assert_msg(ttd_set_up(dev, 0, &e) == 0, "%s", e.text);
	other = opened(NEIGHBOUR, &theirs);
	ck_assert_int_eq(ttd_set_up(dev, 1, &e), -EEXIST);
	refused_for(&e, &(struct wish){ .route = "10.62.0.0/24" },
		    theirs.route, "tt1");
	leads_to("10.62.0.1", "tt1");
	ck_assert_int_eq(sh_status("ip link show tt0 up | grep -q tt0"), 1);
	ttd_free(other);
	link_goes("tt1");
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	leads_to("10.62.0.1", "tt0");
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* Who may shadow may do so then as well. */
START_TEST(what_comes_back_may_shadow)
{
	static const struct wish own = { .route = "10.60.0.0/16" };
	static const struct wish w = { .route = "10.60.0.0/16",
				       .metric = 2000 };
	struct ttd_device *dev, *other;
	struct ttd_error e;

	start(shadowing);
	dev = park(&own, SET_DOWN);
	other = opened(NEIGHBOUR, &w);
	ck_assert_msg(ttd_set_up(dev, 1, &e) == 0, "%s", e.text);
	leads_to("10.60.1.1", "tt0");
	ttd_free(other);
	ttd_free(dev);
	rig_end(&rig);
}
END_TEST

/* --- what is there already ---------------------------------------------- */

static void policy_is(const char *text)
{
	struct wire_message m = { .type = WIRE_RELOAD, .id = 1 };
	char path[sizeof(rig.policy) + sizeof("/10-test.conf")];
	int sock = raw_connect(rig.admin);
	FILE *f;

	snprintf(path, sizeof(path), "%s/10-test.conf", rig.policy);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	close(sock);
}

static unsigned ended_by_enforcing(void)
{
	struct wire_message m = { .type = WIRE_RELOAD, .id = 2,
				  .reload.enforce = true };
	int sock = raw_connect(rig.admin);

	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_RELOADED);
	close(sock);
	return m.reloaded.ended;
}

static const struct {
	struct wish first, second;
	unsigned ended;
} enforced[] = {
	{ { .route = "10.60.0.0/16" }, { .route = "10.60.1.0/24" }, 1 },
	{ { .route = "10.60.1.0/24" }, { .route = "10.60.0.0/16" }, 0 },
	{ { .address = "10.60.1.1/32", .peer = "10.60.1.2/32" },
	  { .address = "10.60.1.2/32" }, 1 },
	{ { .address = "10.60.1.2/32" }, { .address = "10.60.2.1/32",
	    .peer = "10.60.1.2/32" }, 0 },
	{ { .address = "10.60.1.2/32" }, { .address = "10.60.1.1/24" }, 0 },
};

/* What a user asks for later ends nobody's lease that was there before. */
START_TEST(the_older_lease_stays)
{
	struct ttd_device *first, *second;

	start(shadowing);
	first = opened(NOBODY, &enforced[_i].first);
	second = opened(NEIGHBOUR, &enforced[_i].second);
	policy_is(kept_apart);
	ck_assert_uint_eq(ended_by_enforcing(), enforced[_i].ended);
	ck_assert(link_exists("tt0"));
	if (enforced[_i].ended)
		link_goes("tt1");
	else
		ck_assert(link_exists("tt1"));
	ttd_free(second);
	ttd_free(first);
	rig_end(&rig);
}
END_TEST

#define NO_MORE(uid)	"[rule gone]\naction = deny\nuser = " uid "\n"

/* What is taken back has been there no more than what was never given. */
START_TEST(a_lease_that_ends_takes_no_other_along)
{
	static const struct wish wide = { .route = "10.60.0.0/16" };
	static const struct wish inside = { .route = "10.60.1.0/24" };
	struct ttd_device *first, *second;

	start(shadowing);
	first = opened(NOBODY, &wide);
	second = opened(NEIGHBOUR, &inside);
	policy_is(NO_MORE("65534") POLICY(""));
	ck_assert_uint_eq(ended_by_enforcing(), 1);
	link_goes("tt0");
	ck_assert(link_exists("tt1"));
	ttd_free(second);
	ttd_free(first);
	rig_end(&rig);
}
END_TEST

static int hold(void *wish)
{
	struct ttd_addr a;
	struct ttd_route r;
	struct ttd_options o = options_of(wish, &a, &r);
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_device *dev;
	struct ttd_error e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (ttd_open(&o, &dev, &e)) {
		puts(e.text);
		return 1;
	}
	puts("opened");
	while (ttd_next_event(dev, &ev, TTD_FOREVER) == 0)
		if (ev.type == TTD_EVENT_DAEMON_BACK)
			puts("back");
	ttd_free(dev);
	return 0;
}

static void back(struct ttd_device *dev)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	do
		ck_assert_int_eq(ttd_next_event(dev, &ev, DEADLINE_MS), 0);
	while (ev.type != TTD_EVENT_DAEMON_BACK);
}

/* A daemon that starts knows whose routes are whose, and takes none away. */
START_TEST(apart_after_a_restart)
{
	static struct wish theirs = { .route = "10.60.0.0/16" };
	static const struct wish inside = { .route = "10.60.1.0/24" };
	static const struct wish more = { .route = "10.60.2.0/24" };
	struct client c = { .pid = -1 };
	struct ttd_addr a;
	struct ttd_route r;
	struct ttd_options o = options_of(&inside, &a, &r);
	struct ttd_device *dev;
	struct ttd_error e;

	start(shadowing);
	client_start(&c, hold, &theirs);
	client_line(&c, "opened");
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	policy_is(kept_apart);
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, NULL);
	client_line(&c, "back");
	back(dev);
	/* Judged anew, with what it has. */
	ck_assert_msg(ttd_set_mtu(dev, 1400, &e) == 0, "%s", e.text);
	leads_to("10.60.1.1", "tt1");
	refused(NEIGHBOUR, &more, theirs.route, "tt0");
	ttd_free(dev);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("apart");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_far_end_is_its_devices, 0, COUNT(far_ends));
	tcase_add_loop_test(t, a_far_end_is_the_hosts, 0, COUNT(far_ends));
	tcase_add_loop_test(t, a_route_is_its_users, 0, COUNT(routes));
	tcase_add_test(t, a_route_takes_no_more_than_itself);
	tcase_add_test(t, others_routes_may_be_shadowed);
	tcase_add_loop_test(t, what_comes_back_takes_nothing, 0,
			    COUNT(parked));
	tcase_add_loop_test(t, what_comes_back_outranks_nothing, 0, 2);
	tcase_add_test(t, an_address_comes_back_once);
	tcase_add_test(t, none_of_many_takes_anything);
	tcase_add_test(t, what_comes_back_may_shadow);
	tcase_add_loop_test(t, the_older_lease_stays, 0, COUNT(enforced));
	tcase_add_test(t, a_lease_that_ends_takes_no_other_along);
	tcase_add_test(t, apart_after_a_restart);
	suite_add_tcase(s, t);
	return live_main("apart", s);
}
