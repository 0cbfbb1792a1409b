/*
 * All or nothing: each step of an open is made to fail in turn, and each time
 * the host is as it was.  The steps are the ioctls and netlink messages of the
 * seam between daemon and kernel (daemon/fault.h); how many there must be is
 * counted here from the request, and compared with the daemon's trace, so that
 * no step can be missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* What the open below takes, step by step. */
enum {
	QUEUES = 2,
	STEPS = QUEUES * 2	/* open the node, TUNSETIFF */
		+ 3	/* the guard: qdisc and two filters */
	      + QUEUES * 2	/* TUNGETIFF, SIOCGIFINDEX */
	      + 1		/* TUNSETOWNER */
	      + 1		/* whose queues it has */
	      + 11		/* what somebody else may have changed */
	      + 5		/* alias, name, MAC, MTU, txqueuelen */
	      + 1		/* promote_secondaries */
	      + 3		/* addresses */
	      + 1		/* up */
	      + 2		/* connected routes: two share one prefix */
	      + 3		/* routes */
	      + 1		/* read back */
};
/* Of a TAP with one queue for which none was asked for, behind those up there. */
enum { MAC_READ = 2 + 2 + 1 + 1 };

static struct rig rig;

/* Prints what came of it: "opened" or the refusal.  plain: any MAC, one queue. */
static int open_everything(void *plain)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TAP);
	struct ttd_addr addrs[3] = {
		{ .local = prefix("10.9.0.1/24") },
		{ .local = prefix("10.9.0.2/24") },
		{ .local = prefix("fd09::1/64") },
	};
	struct ttd_route routes[3] = {
		{ .dst = prefix("10.20.0.0/16") },
		{ .dst = prefix("10.21.0.0/16"), .gateway = prefix("10.9.0.9") },
		{ .dst = prefix("fd20::/32"), .gateway = prefix("fd09::9") },
	};
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = rig.socket;
	o.name = "ttall";
	o.flags = plain ? 0 : TTD_MAC_SET;
	o.mac[0] = 2;
	o.mtu = 1400;
	o.txqueuelen = 600;
	o.queues = plain ? 1 : QUEUES;
	o.addrs = addrs;
	o.n_addrs = 3;
	o.routes = routes;
	o.n_routes = 3;
	if (ttd_open(&o, &dev, &e)) {
		printf("refused at %s: %s\n", e.step, e.text);
		return e.code == 0 || !e.text[0] || !e.step[0];
	}
	printf("opened\n");
	ttd_free(dev);
	return 0;
}

static unsigned steps_in_log(void)
{
	char *log = rig_log(&rig);
	char *served = strstr(log, "; ready\n");
	unsigned n = 0;

	ck_assert_ptr_nonnull(served);
	for (char *at = served; (at = strstr(at, "fault: step ")); at++)
		n++;
	free(log);
	return n;
}

START_TEST(every_step_is_counted)
{
	struct rig_options o = { .fault_build = true };
	struct client c;

	rig_start(&rig, &o);
	client_start(&c, open_everything, NULL);
	client_line(&c, "opened");
	ck_assert_int_eq(client_wait(&c), 0);
	ck_assert_uint_eq(steps_in_log(), STEPS);
	rig_end(&rig);
}
END_TEST

START_TEST(a_failed_step_leaves_the_host_as_it_was)
{
	struct rig_options o = { .fault_build = true };
	bool plain = _i > STEPS;
	struct client c;
	const char *line;
	char *before;
	unsigned fds;

	rig_start(&rig, &o);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	rig_fail_step(&rig, plain ? MAC_READ : (unsigned)_i);
	client_start(&c, open_everything, plain ? "" : NULL);
	line = client_line(&c, "refused at ");
	ck_assert(!plain || strstr(line, "its MAC address"));
	/* Not soon: when the client has its answer, it is all gone. */
	ck_assert_msg(!link_exists("ttall"), "the device is still there");
	ck_assert_int_eq(client_wait(&c), 0);
	host_unchanged(before);
	rig_fds_return_to(&rig, fds);
	/* And the same open works, once nothing fails. */
	client_start(&c, open_everything, NULL);
	client_line(&c, "opened");
	ck_assert_int_eq(client_wait(&c), 0);
	rig_end(&rig);
}
END_TEST

static const char *const guard_needs[] = { "clsact", "bpf" };

static const char policy_with_and_without[] =
	"[rule guarded]\naction=allow\nuser=65534\nkind=tap\nname=ttall\n"
	"address=10.9.0.0/16, fd09::/32\nroute=10.0.0.0/8, fd00::/8\n"
	"mac=chosen\nmax-queues=4\n"
	"[rule bare]\naction=allow\nuser=65534\nkind=tun\nname=ttbare\n"
	"source-guard=off\n";

static int open_bare(void *arg)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	(void)arg;
	o.socket_path = rig.socket;
	o.name = "ttbare";
	if (ttd_open(&o, &dev, &e)) {
		printf("refused at %s: %s\n", e.step, e.text);
		return 1;
	}
	printf("opened\n");
	ttd_free(dev);
	return 0;
}

/*
 * Where the kernel has no such qdisc or filter, it has no guard: who needs one
 * is refused, and told what would do without.
 */
START_TEST(a_kernel_without_the_guard_gives_none_without)
{
	struct rig_options o = { .policy = policy_with_and_without,
				 .fault_build = true,
				 .lacks = guard_needs[_i] };
	struct client c;
	const char *why;
	char *before;
	unsigned fds;

	rig_start(&rig, &o);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	client_start(&c, open_everything, NULL);
	why = client_line(&c, "refused at guard: ");
	ck_assert_ptr_nonnull(strstr(why, "no source guard"));
	ck_assert_ptr_nonnull(strstr(why, "`source-guard = off`"));
	ck_assert_int_eq(client_wait(&c), 0);
	host_unchanged(before);
	rig_fds_return_to(&rig, fds);
	ck_assert_int_eq(sh_status("%s --socket %s status | grep -q '^ *guard: "
				   ".*no source guard'", rig_built("tuntapctl"),
				   rig.admin), 0);
	client_start(&c, open_bare, NULL);
	client_line(&c, "opened");
	ck_assert_int_eq(client_wait(&c), 0);
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("faults");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_step_is_counted);
	tcase_add_loop_test(t, a_failed_step_leaves_the_host_as_it_was, 1,
			    STEPS + 2);
	tcase_add_loop_test(t, a_kernel_without_the_guard_gives_none_without,
			    0, sizeof(guard_needs) / sizeof(*guard_needs));
	suite_add_tcase(s, t);
	return live_main("faults", s);
}
