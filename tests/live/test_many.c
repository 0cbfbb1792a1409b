/*
 * Many: a thousand opens and closes one after the other, two hundred at once.
 * No device, fd or byte is left.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define SEQUENCE	1000
#define AT_ONCE		200

static struct rig rig;

static int open_one(struct ttd_device **ret)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_error e;
	int error;

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
	unsigned fds;
	unsigned long pages;

	rig_start(&rig, NULL);
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	as_nobody(open_and_close_many, NULL);
	ck_assert(eventually(no_leases, NULL));
	/*
	 * The first round fills malloc's caches and the tables' buckets; a
	 * leak of one byte an open would take a page in the second.
	 */
	pages = resident_pages();
	as_nobody(open_and_close_many, NULL);
	ck_assert(eventually(no_leases, NULL));
	rig_fds_return_to(&rig, fds);
	if (!getenv("TUNTAPD_SANITIZED"))	/* freed memory is kept there */
		ck_assert_uint_le(resident_pages(), pages);
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
	 * One is deleted first, and the others together while we ask.  Were
	 * it done in the loop, nobody would be answered before all are gone.
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

int main(void)
{
	Suite *s = suite_create("many");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, a_thousand_one_after_the_other);
	tcase_add_test(t, two_hundred_at_once);
	tcase_add_test(t, deletion_does_not_stall_others);
	suite_add_tcase(s, t);
	return live_main("many", s);
}
