/*
 * The lease is taken back from the real daemon, after it was killed or ended
 * and started again; and what was changed meanwhile is told.
 *
 * The client is a process of its own: who takes a lease back must be who opened
 * it, and the test itself starts daemons, as root.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static struct rig rig;

static const char *const said[] = {
	[TTD_EVENT_DAEMON_LOST] = "lost", [TTD_EVENT_DAEMON_BACK] = "back",
	[TTD_EVENT_RENAMED] = "renamed", [TTD_EVENT_MTU] = "mtu",
	[TTD_EVENT_HWADDR] = "hwaddr", [TTD_EVENT_LINK] = "link",
	[TTD_EVENT_TAMPERED] = "tampered", [TTD_EVENT_ENDED] = "ended",
};

static void say_packet(struct ttd_device *dev)
{
	uint8_t buf[2048];

	printf("packet %zd\n", ttd_recv(dev, buf, sizeof(buf), DEADLINE_MS));
}

/* A request works again, and is undone. */
static void say_request(struct ttd_device *dev)
{
	struct ttd_addr more = { .local = prefix("10.9.2.1/24") };
	struct ttd_addr addrs[4];
	struct ttd_error e;

	int n = ttd_add_addrs(dev, &more, 1, &e);

	if (n == 0)
		n = ttd_get_addrs(dev, addrs, 4);
	if (n < 0) {
		printf("request %s: %s\n", e.step, e.text);
		return;
	}
	ttd_del_addrs(dev, &more, 1, &e);
	printf("request %d\n", n);
}

/* Says what happens; at a loss waits for a packet, then asks for something. */
static int hold(void *flags)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addr = { .local = prefix("10.9.1.1/24") };
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_device *dev;
	struct ttd_error e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = *(const uint32_t *)flags;
	o.addrs = &addr;
	o.n_addrs = 1;
	if (ttd_open(&o, &dev, &e) < 0) {
		printf("refused at %s: %s\n", e.step, e.text);
		return 1;
	}
	printf("opened\n");
	while (ttd_next_event(dev, &ev, TTD_FOREVER) == 0) {
		printf("%s %u %s\n", said[ev.type], ev.value, ev.text);
		if (ev.type == TTD_EVENT_DAEMON_LOST)
			say_packet(dev);
		else if (ev.type == TTD_EVENT_DAEMON_BACK)
			say_request(dev);
	}
	ttd_free(dev);
	return 0;
}

/* _i & 1: it is killed, else ended; _i & 2: a client without a thread. */
START_TEST(a_lease_survives_the_daemon)
{
	uint32_t flags = _i & 2 ? TTD_NO_THREAD : 0;
	struct client c = { .pid = -1 };

	rig_start(&rig, NULL);
	client_start(&c, hold, &flags);
	client_line(&c, "opened");
	for (int round = 0; round < 2; round++) {
		if (_i & 1)
			rig_kill(&rig, SIGKILL);
		else
			rig_stop(&rig);
		client_line(&c, "lost");
		sh_status("ping -c1 -W1 10.9.1.2 >/dev/null");
		ck_assert_int_gt(atoi(client_line(&c, "packet") + 7), 0);
		rig_daemon(&rig, NULL);
		client_line(&c, "back");
		ck_assert_str_eq(client_line(&c, "request"), "request 2");
	}
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

START_TEST(what_changed_meanwhile_is_told)
{
	uint32_t flags = 0;
	struct client c = { .pid = -1 };

	rig_start(&rig, NULL);
	client_start(&c, hold, &flags);
	client_line(&c, "opened");
	rig_kill(&rig, SIGKILL);
	client_line(&c, "lost");
	ck_assert_int_eq(sh_status("ip link set tt0 mtu 1400"), 0);
	rig_daemon(&rig, NULL);
	client_line(&c, "back");
	ck_assert_str_eq(client_line(&c, "mtu"), "mtu 1400 ");
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reclaim");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_lease_survives_the_daemon, 0, 4);
	tcase_add_test(t, what_changed_meanwhile_is_told);
	suite_add_tcase(s, t);
	return live_main("reclaim", s);
}
