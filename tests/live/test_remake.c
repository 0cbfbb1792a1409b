/*
 * Routes that the kernel dropped are made again, a part at a time: what comes
 * in between, what cannot be made, and who waits meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define MANY		40000	/* the daemon is at them for a while */
#define SOME		300	/* more than one batch holds */
#define CALL_MS		20000

static const char policy[] =
	"[rule nobody]\n"
	"action = allow\n"
	"user = 65534, 0\n"
	"kind = tun\n"
	"name = tt*\n"
	"address = 10.8.0.0/15\n"
	"route = 10.0.0.0/8\n"
	"max-devices = 100\n"
	"max-routes = 131072\n"
	"source = 10.0.0.0/8\n";

static struct rig rig;
static struct ttd_device *dev;
static struct ttd_error why;
static struct ttd_route routes[MANY];

static struct ttd_route nth(unsigned i)
{
	struct ttd_route r = { .dst = { .family = 4, .len = 32 } };
	uint32_t ip = (10u << 24 | 16u << 16) + i;

	for (int byte = 0; byte < 4; byte++)
		r.dst.ip[byte] = (uint8_t)(ip >> (24 - 8 * byte));
	return r;
}

/* With &why for its error. */
#define DOES(call) do { \
	int r_ = (call); \
	ck_assert_msg(r_ == 0, "%d, %s: %s", r_, why.step, why.text); \
} while (0)

static struct ttd_device *opened(const char *name)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *d;

	o.socket_path = rig.socket;
	o.name = name;
	o.timeout_ms = CALL_MS;
	DOES(ttd_open(&o, &d, &why));
	return d;
}

static void begin(void)
{
	const struct rig_options o = { .policy = policy };

	for (unsigned i = 0; i < MANY; i++)
		routes[i] = nth(i);
	rig_start(&rig, &o);
	dev = opened("tt0");
}

static void end(void)
{
	ttd_free(dev);
	link_goes("tt0");
	rig_end(&rig);
}

/* An administrator's; the kernel drops all routes. */
static void flap(void)
{
	ck_assert_int_eq(sh_status("ip link set tt0 down && "
				   "ip link set tt0 up"), 0);
}

/* --- what comes in between ------------------------------------------------ */

/* It takes some out, up to the one that is not there, and puts them back. */
START_TEST(a_refused_removal_in_between_loses_none)
{
	struct ttd_route gone[TTD_ROUTES_AT_ONCE];
	const unsigned last = TTD_ROUTES_AT_ONCE - 1;

	begin();
	memcpy(gone, routes, sizeof(gone));
	gone[last] = nth(MANY);
	DOES(ttd_add_routes(dev, routes, MANY, &why));
	flap();
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(ttd_del_routes(dev, gone, TTD_ROUTES_AT_ONCE,
						&why), -ENOENT);
		sleep_ms(5);
	}
	ck_soon_routes(MANY);
	end();
}
END_TEST

/* --- what cannot be made -------------------------------------------------- */

START_TEST(one_that_cannot_be_made_holds_up_no_other)
{
	struct ttd_addr a = { .local = prefix("10.9.0.1/24") };
	struct ttd_route onlink = { .dst = prefix("10.8.0.0/24") };
	char *log;

	begin();
	DOES(ttd_add_addrs(dev, &a, 1, &why));
	DOES(ttd_add_routes(dev, &onlink, 1, &why));
	for (unsigned i = 0; i < SOME; i++)
		routes[i].gateway = prefix("10.9.0.2");
	routes[7].gateway = prefix("10.8.0.2");
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	/* What it is behind is not to be made again. */
	DOES(ttd_del_routes(dev, &onlink, 1, &why));
	flap();
	ck_soon_routes(SOME - 1);
	log = rig_log(&rig);
	ck_assert_ptr_nonnull(strstr(log, "not all routes of tt0 come back: "
				     "10.16.0.7/32"));
	free(log);
	end();
}
END_TEST

/* While it is down another interface gets one of its routes. */
START_TEST(anothers_route_is_not_taken_for_ours)
{
	begin();
	DOES(ttd_add_routes(dev, routes, SOME, &why));
	DOES(ttd_set_up(dev, 0, &why));
	ck_assert_int_eq(sh_status("ip tuntap add d0 mode tun && "
				   "ip link set d0 up && ip route add "
				   "10.16.0.5/32 dev d0 metric 1000"), 0);
	ck_assert_int_eq(ttd_set_up(dev, 1, &why), -EEXIST);
	ck_assert_msg(strstr(why.text, "10.16.0.5/32") != NULL, "%s", why.text);
	ck_assert_uint_eq(tt0_routes(), 0);
	ck_assert_int_eq(sh_status("ip link del d0"), 0);
	DOES(ttd_set_up(dev, 1, &why));
	ck_assert_uint_eq(tt0_routes(), SOME);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("remake");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_refused_removal_in_between_loses_none);
	tcase_add_test(t, one_that_cannot_be_made_holds_up_no_other);
	tcase_add_test(t, anothers_route_is_not_taken_for_ours);
	suite_add_tcase(s, t);
	return live_main("remake", s);
}
