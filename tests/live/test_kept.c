/*
 * Devices of which somebody keeps an fd, on a daemon that is told, as macOS
 * would tell it, who does (daemon/fault.h): what counts them, and what does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../proto/wire.h"
#include "harness.h"

#define POLICY(most) "[rule kept]\naction = allow\nuser = 65534\nkind = tun\n" \
	"name = tt*\nmtu = 68-9000\nmax-devices = " most "\n"

static struct rig rig;

static void begin(const char *policy)
{
	const struct rig_options o = { .policy = policy, .fault_build = true,
				       .copies = true };

	rig_start(&rig, &o);
}

static bool log_has(void *text)
{
	char *log = rig_log(&rig);
	bool found = strstr(log, text) != NULL;

	free(log);
	return found;
}

static struct wire_message ask(int sock, struct wire_message m)
{
	raw_send(sock, &m);
	raw_receive(sock, &m);
	return m;
}

/* The connection that has it. */
static int open_one(void)
{
	int sock = rig_connect_as(&rig, NOBODY);

	ck_assert_uint_eq(ask(sock, raw_open_request()).type, WIRE_OPENED);
	return sock;
}

static void is_kept(int sock, const char *name)
{
	rig_share(&rig, true);
	close(sock);
	ck_assert(eventually(log_has, "and counts until"));
	link_goes(name);
}

static bool may_open(void *arg)
{
	int sock = rig_connect_as(&rig, NOBODY);
	struct wire_message m = ask(sock, raw_open_request());

	(void)arg;
	close(sock);
	return m.type == WIRE_OPENED;
}

static bool has_no_lease(void *arg)
{
	const struct wire_message status = { .type = WIRE_STATUS, .id = 1 };
	struct wire_message m = ask(*(int *)arg, status);

	ck_assert_uint_eq(m.type, WIRE_STATE);
	return m.state.own_leases == 0;
}

START_TEST(what_somebody_keeps_is_a_device_and_no_lease)
{
	struct wire_message m;
	int sock;

	begin(POLICY("1"));
	is_kept(open_one(), "tt0");
	sock = rig_connect_as(&rig, NOBODY);
	m = ask(sock, raw_open_request());
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_QUOTA);
	ck_assert_ptr_nonnull(strstr(m.refused.text, "1 of them of leases that "
				     "have ended"));
	ck_assert(eventually(has_no_lease, &sock));
	close(sock);
	rig_share(&rig, false);
	ck_assert(eventually(may_open, NULL));
	rig_end(&rig);
}
END_TEST

/* Of all users together; another one than who keeps it is refused. */
START_TEST(what_somebody_keeps_is_one_of_all_devices)
{
	struct wire_message m;
	int sock, other;

	begin("[global]\nmax-devices = 2\n[rule kept]\naction = allow\n"
	      "user = any\nkind = tun\nname = tt*\nmax-devices = 2\n");
	is_kept(open_one(), "tt0");
	sock = open_one();
	other = rig_connect_as(&rig, NOBODY - 1);
	m = ask(other, raw_open_request());
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, WIRE_E_QUOTA);
	ck_assert_ptr_nonnull(strstr(m.refused.text, "[global] allows, 1 of "
				     "them of leases that have ended"));
	ck_assert_ptr_nonnull(strstr(m.refused.rule, "10-test.conf:2"));
	close(sock);
	close(other);
	rig_share(&rig, false);
	ck_assert(eventually(may_open, NULL));
	rig_end(&rig);
}
END_TEST

/* Fewer are allowed now than he has with it, and he changes one of his. */
START_TEST(what_somebody_keeps_is_nothing_to_a_change)
{
	const struct wire_message fewer = { .type = WIRE_RELOAD, .id = 2,
					    .reload.enforce = 1 };
	const struct wire_message change = {
		.type = WIRE_SET, .id = 3, .set = { .what = 1, .mtu = 1300 },
	};
	struct wire_message m;
	int first, second, admin;

	begin(POLICY("2"));
	first = open_one();
	second = open_one();
	is_kept(first, "tt0");
	free(sh("sed -i s/max-devices.*/max-devices=1/ %s/10-test.conf",
		rig.policy));
	admin = raw_connect(rig.admin);
	m = ask(admin, fewer);
	ck_assert_uint_eq(m.type, WIRE_RELOADED);
	ck_assert_uint_eq(m.reloaded.ended, 0);
	m = ask(second, change);
	ck_assert_msg(m.type == WIRE_DONE, "%s", m.refused.text);
	close(admin);
	close(second);
	rig_end(&rig);
}
END_TEST

/* Nobody counts it any more, and no word is lost about it. */
START_TEST(at_its_end_it_lets_go_of_what_is_open)
{
	int sock;

	begin(POLICY("1"));
	sock = open_one();
	rig_share(&rig, true);
	rig_stop(&rig);
	ck_assert(!log_has("is down"));
	close(sock);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kept");
	TCase *t = tcase_create("kept");

	tcase_add_test(t, what_somebody_keeps_is_a_device_and_no_lease);
	tcase_add_test(t, what_somebody_keeps_is_one_of_all_devices);
	tcase_add_test(t, what_somebody_keeps_is_nothing_to_a_change);
	tcase_add_test(t, at_its_end_it_lets_go_of_what_is_open);
	suite_add_tcase(s, t);
	return live_main("kept", s);
}
