/*
 * The packets of a utun as they come and go on macOS, on any system: the file
 * itself, with a pair of sockets of datagrams in the kernel's place.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../../libclient/packet_darwin.c"

static const uint8_t ipv4[] = { 0x45, 0, 0, 20, 1, 2, 3, 4 };
static const uint8_t ipv6[] = { 0x60, 0, 0, 0, 0, 4, 59, 64, 9 };
/* What the kernel wants to see before each. */
static const uint8_t before4[] = { 0, 0, 0, 2 }, before6[] = { 0, 0, 0, 30 };

static int ours, kernel;

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	ours = fds[0];
	kernel = fds[1];
	fcntl(ours, F_SETFL, O_NONBLOCK);
	fcntl(kernel, F_SETFL, O_NONBLOCK);
}

static void teardown(void)
{
	close(ours);
	close(kernel);
}

static void kernel_sends(const uint8_t *family, const uint8_t *packet,
			 size_t len)
{
	uint8_t all[64];

	memcpy(all, family, FAMILY_LEN);
	memcpy(all + FAMILY_LEN, packet, len);
	ck_assert_int_eq(write(kernel, all, FAMILY_LEN + len),
			 (int)(FAMILY_LEN + len));
}

static void kernel_has(const uint8_t *family, const uint8_t *packet, size_t len)
{
	uint8_t got[64];

	ck_assert_int_eq(read(kernel, got, sizeof(got)),
			 (int)(FAMILY_LEN + len));
	ck_assert_mem_eq(got, family, FAMILY_LEN);
	ck_assert_mem_eq(got + FAMILY_LEN, packet, len);
}

START_TEST(the_family_is_taken_off)
{
	uint8_t buf[32];

	kernel_sends(before4, ipv4, sizeof(ipv4));
	kernel_sends(before6, ipv6, sizeof(ipv6));
	ck_assert_int_eq(packet_read(ours, buf, sizeof(buf)), sizeof(ipv4));
	ck_assert_mem_eq(buf, ipv4, sizeof(ipv4));
	ck_assert_int_eq(packet_read(ours, buf, sizeof(buf)), sizeof(ipv6));
	ck_assert_mem_eq(buf, ipv6, sizeof(ipv6));
	ck_assert_int_eq(packet_read(ours, buf, sizeof(buf)), -EAGAIN);
}
END_TEST

START_TEST(what_has_no_room_is_cut)
{
	uint8_t buf[] = { 1, 1, 1, 1, 1 };

	kernel_sends(before4, ipv4, sizeof(ipv4));
	kernel_sends(before6, ipv6, sizeof(ipv6));
	ck_assert_int_eq(packet_read(ours, buf, 4), 4);
	ck_assert_mem_eq(buf, ipv4, 4);
	ck_assert_int_eq(buf[4], 1);
	/* The rest of it is not the next one. */
	ck_assert_int_eq(packet_read(ours, buf, 5), 5);
	ck_assert_mem_eq(buf, ipv6, 5);
}
END_TEST

START_TEST(without_a_packet_it_is_none)
{
	uint8_t buf[8];

	ck_assert_int_eq(write(kernel, before4, 3), 3);
	ck_assert_int_eq(packet_read(ours, buf, sizeof(buf)), -EIO);
	ck_assert_int_eq(write(kernel, before4, FAMILY_LEN), FAMILY_LEN);
	ck_assert_int_eq(packet_read(ours, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(the_family_is_put_before)
{
	ck_assert_int_eq(packet_write(ours, ipv4, sizeof(ipv4)), 0);
	ck_assert_int_eq(packet_write(ours, ipv6, sizeof(ipv6)), 0);
	kernel_has(before4, ipv4, sizeof(ipv4));
	kernel_has(before6, ipv6, sizeof(ipv6));
}
END_TEST

START_TEST(what_is_no_ip_stays_here)
{
	const uint8_t other[] = { 0x55, 0, 0, 0 };
	uint8_t buf[8];

	ck_assert_int_eq(packet_write(ours, other, sizeof(other)), -EINVAL);
	ck_assert_int_eq(packet_write(ours, ipv4, 0), -EINVAL);
	ck_assert_int_eq(read(kernel, buf, sizeof(buf)), -1);
	ck_assert_int_eq(errno, EAGAIN);
	/* A matter of this packet, and the device is there. */
	ck_assert_int_eq(packet_judge(ours, -EINVAL, true), PACKET_LOST);
}
END_TEST

START_TEST(pieces_are_one_packet)
{
	struct iovec pieces[PIECES_MAX + 1];
	uint8_t whole[PIECES_MAX + 1];

	for (int i = 0; i <= PIECES_MAX; i++) {
		whole[i] = (uint8_t)(0x60 + i);
		pieces[i] = (struct iovec){ &whole[i], 1 };
	}
	ck_assert_int_eq(packet_write_pieces(ours, pieces, PIECES_MAX,
					     PIECES_MAX), 0);
	ck_assert_int_eq(packet_write_pieces(ours, pieces, PIECES_MAX + 1,
					     PIECES_MAX + 1), -EINVAL);
	ck_assert_int_eq(packet_write_pieces(ours, pieces, 0, 0), -EINVAL);
	ck_assert_int_eq(read(kernel, (uint8_t[128]){ 0 }, 128),
			 FAMILY_LEN + PIECES_MAX);
}
END_TEST

START_TEST(a_full_device_says_so)
{
	int r;

	while ((r = packet_write(ours, ipv4, sizeof(ipv4))) == 0)
		;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_int_eq(packet_judge(ours, r, true), PACKET_LOST);
}
END_TEST

/* What a dead fd does, and nobody's error ends a device that is there. */
START_TEST(errors_are_told_apart)
{
	ck_assert_int_eq(packet_judge(ours, -ENOBUFS, true), PACKET_LOST);
	ck_assert_int_eq(packet_judge(ours, -ENOBUFS, false), PACKET_FAILED);
	ck_assert_int_eq(packet_judge(ours, -EMSGSIZE, true), PACKET_LOST);
	ck_assert_int_eq(packet_judge(ours, -EFAULT, false), PACKET_LOST);
	ck_assert_int_eq(packet_judge(ours, -ENETDOWN, true), PACKET_DOWN);
	ck_assert_int_eq(packet_judge(ours, -EIO, false), PACKET_FAILED);
}
END_TEST

/* --- several ------------------------------------------------------------ */

static unsigned calls;		/* of those below */
static int broken;		/* what they fail with, or 0 */

/* As recvmsg_x() and sendmsg_x(), which no kernel here has. */
static ssize_t play(bool reads, int sock, struct message *messages, unsigned n)
{
	unsigned i;

	calls++;
	errno = broken;
	if (broken)
		return -1;
	for (i = 0; i < n; i++) {
		struct message *m = &messages[i];
		struct msghdr msg = {
			.msg_iov = m->pieces, .msg_iovlen = (size_t)m->n_pieces,
		};
		ssize_t r;

		ck_assert(!m->name && !m->control && !m->flags && !m->len);
		r = reads ? recvmsg(sock, &msg, MSG_DONTWAIT) :
			    sendmsg(sock, &msg, MSG_DONTWAIT);
		if (r < 0)
			break;
		m->len = reads ? (size_t)r : 0;
	}
	return i > 0 ? (ssize_t)i : -1;
}

static ssize_t play_read(int sock, struct message *m, unsigned n, int flags)
{
	ck_assert_int_eq(flags, MSG_DONTWAIT);
	return play(true, sock, m, n);
}

static ssize_t play_write(int sock, struct message *m, unsigned n, int flags)
{
	ck_assert_int_eq(flags, MSG_DONTWAIT);
	return play(false, sock, m, n);
}

static void setup_several(void)
{
	setup();
	ck_assert(!packet_several());
	read_several = play_read;
	write_several = play_write;
	ck_assert(packet_several());
}

static uint8_t room[3][16];

static void make_room(struct ttd_packet packets[3])
{
	for (int i = 0; i < 3; i++)
		packets[i] = (struct ttd_packet){ .data = room[i], .len = 16 };
}

static void kernel_sends_two(void)
{
	kernel_sends(before4, ipv4, sizeof(ipv4));
	kernel_sends(before6, ipv6, sizeof(ipv6));
}

START_TEST(several_come_in_one_call)
{
	struct ttd_packet packets[3];

	make_room(packets);
	kernel_sends_two();
	ck_assert_int_eq(packet_read_some(ours, packets, 3), 2);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(packets[0].len, sizeof(ipv4));
	ck_assert_mem_eq(room[0], ipv4, sizeof(ipv4));
	ck_assert_uint_eq(packets[1].len, sizeof(ipv6));
	ck_assert_mem_eq(room[1], ipv6, sizeof(ipv6));
	ck_assert_int_eq(packet_read_some(ours, packets, 3), -EAGAIN);
}
END_TEST

START_TEST(several_go_in_one_call)
{
	struct ttd_packet packets[] = {
		{ .data = (void *)(uintptr_t)ipv6, .len = sizeof(ipv6) },
		{ .data = (void *)(uintptr_t)ipv4, .len = sizeof(ipv4) },
		{ .data = (uint8_t[]){ 0x55, 1 }, .len = 2 },
		{ .data = (void *)(uintptr_t)ipv4, .len = sizeof(ipv4) },
	};

	/* Up to what is no IP, which is the next one's first. */
	ck_assert_int_eq(packet_write_some(ours, packets, 4), 2);
	ck_assert_uint_eq(calls, 1);
	kernel_has(before6, ipv6, sizeof(ipv6));
	kernel_has(before4, ipv4, sizeof(ipv4));
	ck_assert_int_eq(packet_write_some(ours, packets + 2, 2), -EINVAL);
}
END_TEST

START_TEST(without_the_calls_it_is_one)
{
	struct ttd_packet packets[3];

	if (_i == 0)
		read_several = write_several = NULL;
	else
		broken = ENOSYS;
	make_room(packets);
	kernel_sends_two();
	ck_assert_int_eq(packet_read_some(ours, packets, 3), 1);
	ck_assert_uint_eq(packets[0].len, sizeof(ipv4));
	packets[1] = packets[0];
	ck_assert_int_eq(packet_write_some(ours, packets, 2), 1);
	kernel_has(before4, ipv4, sizeof(ipv4));
	ck_assert_uint_eq(calls, _i == 0 ? 0 : 2);
}
END_TEST

START_TEST(one_that_is_none_ends_them)
{
	struct ttd_packet packets[3];

	make_room(packets);
	kernel_sends(before4, ipv4, sizeof(ipv4));
	ck_assert_int_eq(write(kernel, before4, FAMILY_LEN), FAMILY_LEN);
	ck_assert_int_eq(packet_read_some(ours, packets, 3), 1);
	ck_assert_int_eq(write(kernel, before4, FAMILY_LEN), FAMILY_LEN);
	ck_assert_int_eq(packet_read_some(ours, packets, 3), -EIO);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("utun");
	TCase *t = tcase_create("framing"), *many = tcase_create("several");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_family_is_taken_off);
	tcase_add_test(t, what_has_no_room_is_cut);
	tcase_add_test(t, without_a_packet_it_is_none);
	tcase_add_test(t, the_family_is_put_before);
	tcase_add_test(t, what_is_no_ip_stays_here);
	tcase_add_test(t, pieces_are_one_packet);
	tcase_add_test(t, a_full_device_says_so);
	tcase_add_test(t, errors_are_told_apart);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(many, setup_several, teardown);
	tcase_add_test(many, several_come_in_one_call);
	tcase_add_test(many, several_go_in_one_call);
	tcase_add_loop_test(many, without_the_calls_it_is_one, 0, 2);
	tcase_add_test(many, one_that_is_none_ends_them);
	suite_add_tcase(s, many);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
