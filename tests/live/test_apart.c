/*
 * What leads to one device leads to no other: networks of addresses, and their
 * far ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define NEIGHBOUR	1000
#define LARGE_METRIC	9000

#define POLICY(more) \
	"[rule all]\naction = allow\nuser = 0, 1000, 65534\nkind = tun\n" \
	"name = tt*\naddress = 10.0.0.0/8, fd00::/8\n" \
	"route = 0.0.0.0/0, ::/0\ndefault-route = yes\n" \
	"max-devices = 8\n" more

static const char kept_apart[] = POLICY("");

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

static void refused_for(const struct ttd_error *e, const char *network,
			const char *owner)
{
	char says[128];

	snprintf(says, sizeof(says), "lies in %s, which is the network of %s;",
		 network, owner);
	ck_assert_msg(strstr(e->text, says) != NULL, "%s", e->text);
	ck_assert_ptr_nonnull(strstr(e->text, "shadow = yes"));
	ck_assert_ptr_nonnull(strstr(e->rule, "10-test.conf:"));
}

static void refused(uid_t uid, const struct wish *w, const char *network,
		    const char *owner)
{
	struct ttd_device *dev;
	struct ttd_error e;

	ck_assert_int_eq(try_open(uid, w, &dev, &e), -EEXIST);
	refused_for(&e, network, owner);
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

int main(void)
{
	Suite *s = suite_create("apart");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_far_end_is_its_devices, 0, COUNT(far_ends));
	tcase_add_loop_test(t, a_far_end_is_the_hosts, 0, COUNT(far_ends));
	suite_add_tcase(s, t);
	return live_main("apart", s);
}
