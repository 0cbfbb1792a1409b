/*
 * The lease is taken back from a daemon that was started again.  Most tests run
 * twice: with the library's control thread, and without, where the calls that
 * wait do its work.
 */
#include <stdatomic.h>
#include <sys/epoll.h>

#include "played.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Freed memory is searched for a token, where nobody else has free(3). */
#if !defined(SANITIZED) && defined(__GLIBC__)
#define INTERPOSE 1
#include <dlfcn.h>
#include <malloc.h>

static atomic_uint searched, found;
static atomic_bool searching;
static uint8_t secret[WIRE_TOKEN_LEN];

/* Not __libc_free(): valgrind has a malloc(3) of its own under libc's name. */
void free(void *p)
{
	static void (*real)(void *);
	size_t n = p && searching ? malloc_usable_size(p) : 0;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "free");
	searched += n > 0;
	if (n > 0 && memmem(p, n, secret, sizeof(secret)))
		found++;
	real(p);
}
#endif

/* What a retry may take at most, and then some. */
#define BACK_MS		1500
#define LATE_MS		5000	/* on a busy machine */

static unsigned reclaims(void)
{
	unsigned n;

	pthread_mutex_lock(&d.mutex);
	n = d.reclaims;
	pthread_mutex_unlock(&d.mutex);
	return n;
}

/* How often the lease opened by the i-th connection was taken back. */
static unsigned taken(unsigned i)
{
	unsigned n;

	pthread_mutex_lock(&d.mutex);
	n = d.taken[i];
	pthread_mutex_unlock(&d.mutex);
	return n;
}

static void wants_reclaims(unsigned n)
{
	for (int i = 0; i < 1000 && reclaims() < n; i++)
		poll(NULL, 0, 5);
	ck_assert_uint_eq(reclaims(), n);
}

/* All connections end; the daemon itself is there again at once. */
static void restart(void)
{
	daemon_away();
	daemon_back();
}

static void wants_back(struct ttd_device *dev)
{
	wants_event(dev, TTD_EVENT_DAEMON_LOST, 0, "packets flow on");
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "tuntapd is back");
}

/* Both ways, of the device opened by the i-th connection. */
static void packets_flow(struct ttd_device *dev, unsigned i)
{
	int far = end_of(d.far, i);
	char buf[16];

	ck_assert_int_eq(ttd_send(dev, "Eout", 4), 0);
	ck_assert_int_eq(recv(far, buf, sizeof(buf), 0), 4);
	ck_assert_int_eq(send(far, "Ein", 3, 0), 3);
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), TIMEOUT_MS), 3);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
}

/* Without a thread it does not notice by itself. */
static void notices(struct ttd_device *dev)
{
	wants_event(dev, TTD_EVENT_DAEMON_LOST, 0, "packets flow on");
}

/* Lets some time go by, in which a device without a thread is attended to. */
static void attend(struct ttd_device *dev, int ms)
{
	struct ttd_event e = TTD_EVENT_INIT;

	ck_assert_int_eq(ttd_next_event(dev, &e, ms), -ETIMEDOUT);
}

/* --- it comes back ----------------------------------------------------- */

START_TEST(a_lease_comes_back)
{
	struct ttd_device *dev;
	int before, sock;

	daemon_start();
	before = entries("/proc/self/fd");
	dev = open_one(modes[_i], TIMEOUT_MS);
	sock = dev->sock;
	ck_assert_int_ge(ttd_event_fd(dev), 0);
	for (unsigned i = 1; i <= 3; i++) {
		restart();
		wants_back(dev);
		wants_no_event(dev);
		packets_flow(dev, 0);
		ck_assert_int_eq(ttd_set_mtu(dev, 1500, NULL), 0);
		asked(i);
		ck_assert_uint_eq(reclaims(), i);
		ck_assert_uint_eq(taken(0), i);	/* by its token */
		ck_assert_int_eq(dev->sock, sock);
	}
	/* what the daemon tells comes through the new connection */
	tell(3, WIRE_EVENT_TAMPERED, 0, "told later");
	wants_event(dev, TTD_EVENT_TAMPERED, 0, "told later");
	ttd_free(dev);
	wants_fds(before + 2);
	daemon_stop();
}
END_TEST

START_TEST(a_daemon_is_away_for_a_while)
{
	struct ttd_device *dev;
	struct ttd_error why;
	int64_t cpu;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	daemon_away();
	notices(dev);
	cpu = cpu_ms();
	attend(dev, 600);
	ck_assert_int_lt(cpu_ms() - cpu, 100);
	packets_flow(dev, 0);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_OPEN);
	ck_assert_int_eq(why.code, 0);
	unlink(path);			/* -ENOENT is as good */
	attend(dev, 300);
	ck_assert(!readable(ttd_done_fd(dev), 0));
	cpu = now_ms();
	daemon_back();
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	ck_assert_int_lt(now_ms() - cpu, BACK_MS);
	sync_with(dev);
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static int64_t came[16];

static void play_busy(int conn, const struct wire_message *m)
{
	if (d.reclaims <= 16)
		came[d.reclaims - 1] = now_ms();
	refuse(conn, m->id, WIRE_E_BUSY, "later");
	shutdown(conn, SHUT_RDWR);
}

/* At least so long after the one before, and less than twice that. */
START_TEST(tries_become_fewer)
{
	static const int least[] = { 0, 50, 100, 200, 400, 500, 500 };
	enum { TRIES = sizeof(least) / sizeof(*least) };
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	set_reclaim(play_busy);
	restart();
	came[15] = now_ms();
	notices(dev);
	for (unsigned i = 0; i < TRIES; i++) {
		struct ttd_event e = TTD_EVENT_INIT;

		while (reclaims() <= i)
			ck_assert_int_lt(ttd_next_event(dev, &e, 5), 0);
		/* the clock may be read late, by a few ms */
		if (i > 0)
			ck_assert_int_ge(came[i] - came[i - 1], least[i] - 20);
		/* it goes on, however late a busy machine lets it */
		ck_assert_int_lt(came[i] - came[i ? i - 1 : 15], LATE_MS);
	}
	set_reclaim(play_give_back);
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- what it answers --------------------------------------------------- */

static uint16_t answer_code;

/* No at first, and then yes. */
static void play_not_yet(int conn, const struct wire_message *m)
{
	d.reclaim = play_give_back;
	refuse(conn, m->id, answer_code, "not yet");
}

static const uint16_t temporary[] = {
	WIRE_E_BUSY, WIRE_E_FULL, WIRE_E_TIMED_OUT, WIRE_E_NO_MEMORY,
	WIRE_E_OUT_OF_FDS,
};
#define TEMPORARY ((int)(sizeof(temporary) / sizeof(*temporary)))

START_TEST(a_no_may_be_temporary)
{
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i % MODES], TIMEOUT_MS);
	answer_code = temporary[_i / MODES];
	set_reclaim(play_not_yet);
	restart();
	wants_back(dev);
	wants_reclaims(2);
	sync_with(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void play_no(int conn, const struct wire_message *m)
{
	refuse(conn, m->id, answer_code, "no lease has this token");
}

static void play_another_device(int conn, const struct wire_message *m)
{
	struct wire_message a = reclaimed(m->id);

	a.reclaimed.ifindex = 78;
	put(conn, &a, NULL);
}

static const struct {
	uint16_t code;		/* 0: another device's lease */
	int error;
} losses_for_good[] = {
	{ WIRE_E_NOT_FOUND, -ENOENT }, { WIRE_E_NOT_PERMITTED, -EPERM },
	{ WIRE_E_POLICY, -EACCES }, { WIRE_E_INVALID, -EINVAL },
	{ WIRE_E_UNKNOWN, -ENOSYS }, { WIRE_E_MALFORMED, -EPROTO },
	{ 999, -EIO }, { 0, -EPROTO },
};
#define LOSSES_FOR_GOOD \
	((int)(sizeof(losses_for_good) / sizeof(*losses_for_good)))

START_TEST(a_lease_is_lost)
{
	const char *words = "no lease has this token";
	struct ttd_event e = TTD_EVENT_INIT;
	struct ttd_device *dev;
	struct ttd_error why;
	char b;

	daemon_start();
	dev = open_one(modes[_i % MODES], TIMEOUT_MS);
	answer_code = losses_for_good[_i / MODES].code;
	set_reclaim(answer_code ? play_no : play_another_device);
	if (!answer_code)
		words = "another device";
	restart();
	notices(dev);
	wants_event(dev, TTD_EVENT_ENDED, TTD_LEASE_LOST, words);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_LEASE_LOST);
	ck_assert_int_eq(why.code, losses_for_good[_i / MODES].error);
	ck_assert_ptr_nonnull(strstr(why.text, words));
	if (answer_code)
		ck_assert_str_eq(why.rule,
				 "/etc/tuntapd/policy.d/10-a.conf:7");
	ck_assert(readable(ttd_done_fd(dev), 0));
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_recv(dev, &b, 1, TTD_FOREVER), -ESHUTDOWN);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), -ESHUTDOWN);
	if (modes[_i % MODES] & TTD_NO_THREAD) {
		ck_assert_int_eq(ttd_control_fd(dev), -EAGAIN);
		ck_assert_int_eq(ttd_control(dev, NULL), -ESHUTDOWN);
	}
	poll(NULL, 0, 200);
	ck_assert_uint_eq(reclaims(), 1);
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_LEASE_LOST);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static play_fn *useless;

static void play_useless(int conn, const struct wire_message *m)
{
	d.reclaim = play_give_back;
	useless(conn, m);
}

static void play_wrong_id(int conn, const struct wire_message *m)
{
	struct wire_message a = reclaimed((uint16_t)(m->id + 1));

	put(conn, &a, NULL);
}

static void play_done(int conn, const struct wire_message *m)
{
	done(conn, m->id);
}

static play_fn *const answers[] = { play_wrong_id, play_done };
#define ANSWERS (LOSSES + (int)(sizeof(answers) / sizeof(*answers)))

START_TEST(a_useless_answer_is_none)
{
	int which = _i / MODES;
	struct ttd_device *dev;
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	dev = open_one(modes[_i % MODES], TIMEOUT_MS);
	useless = which < LOSSES ? losses[which] : answers[which - LOSSES];
	pthread_mutex_lock(&d.mutex);
	d.reclaim = play_useless;
	shutdown(d.conn[0], SHUT_RDWR);
	pthread_mutex_unlock(&d.mutex);
	wants_back(dev);
	wants_no_event(dev);
	ck_assert_uint_eq(reclaims(), 2);
	sync_with(dev);
	ttd_free(dev);
	wants_fds(before + 4);	/* connections, and the far end */
	daemon_stop();
}
END_TEST

static void play_only_half(int conn, const struct wire_message *m)
{
	uint8_t half[] = { 40, 0, 0, 0, WIRE_VERSION, WIRE_RECLAIMED, 1, 0, 5 };

	(void)m;
	ck_assert_int_eq(write(conn, half, sizeof(half)), sizeof(half));
}

/* A daemon that is slow is not asked twice: the first may have the lease. */
START_TEST(an_answer_takes_its_time)
{
	struct wire_message a = reclaimed(1);
	struct ttd_device *dev;
	int64_t cpu;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	set_reclaim(play_silence);
	restart();
	notices(dev);
	cpu = cpu_ms();
	attend(dev, BACK_MS);
	ck_assert_int_lt(cpu_ms() - cpu, 200);
	ck_assert_uint_eq(reclaims(), 1);
	ck_assert_uint_eq(d.n, 2);
	pthread_mutex_lock(&d.mutex);
	put(d.conn[1], &a, NULL);
	pthread_mutex_unlock(&d.mutex);
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	/* nor is half an answer the beginning of another one's */
	set_reclaim(play_only_half);
	restart();
	notices(dev);
	attend(dev, 200);
	set_reclaim(play_give_back);
	restart();
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	wants_no_event(dev);
	sync_with(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- what was missed --------------------------------------------------- */

static struct wire_reclaimed facts;

static void play_facts(int conn, const struct wire_message *m)
{
	struct wire_message a = { .type = WIRE_RECLAIMED, .id = m->id };

	a.reclaimed = facts;
	put(conn, &a, NULL);
}

static struct ttd_device *open_layer(uint32_t layer, uint32_t flags)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_device *dev;

	o.socket_path = path;
	o.flags = flags;
	o.timeout_ms = TIMEOUT_MS;
	ck_assert_int_eq(ttd_open(&o, &dev, NULL), 0);
	facts = reclaimed(0).reclaimed;
	set_reclaim(play_facts);
	return dev;
}

START_TEST(what_was_missed_is_told)
{
	const uint8_t mac[] = { 2, 0, 0x5e, 0x10, 0, 0xab };
	uint32_t layer = _i / MODES ? TTD_TAP : TTD_TUN;
	struct ttd_device *dev;

	daemon_start();
	dev = open_layer(layer, modes[_i % MODES]);
	strcpy(facts.name, "renamed");
	facts.mtu = 1400;
	facts.up = 0;
	memcpy(facts.mac, mac, sizeof(mac));
	restart();
	wants_back(dev);
	wants_event(dev, TTD_EVENT_RENAMED, 0, "renamed");
	wants_event(dev, TTD_EVENT_MTU, 1400, "");
	if (layer == TTD_TAP)
		wants_event(dev, TTD_EVENT_HWADDR, 0, "02:00:5e:10:00:ab");
	wants_event(dev, TTD_EVENT_LINK, 0, "");
	wants_no_event(dev);
	/* but once */
	restart();
	wants_back(dev);
	wants_no_event(dev);
	facts.up = 1;
	restart();
	wants_back(dev);
	wants_event(dev, TTD_EVENT_LINK, 1, "");
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(what_was_told_is_not_told_again)
{
	const uint8_t mac[] = { 2, 0, 0x5e, 0x10, 0, 0xab };
	struct ttd_device *dev;

	daemon_start();
	dev = open_layer(TTD_TAP, modes[_i]);
	tell(0, WIRE_EVENT_RENAMED, 0, "renamed");
	tell(0, WIRE_EVENT_MTU, 1400, "");
	tell(0, WIRE_EVENT_HWADDR, 0, "02:00:5e:10:00:ab");
	tell(0, WIRE_EVENT_LINK, 0, "");
	wants_event(dev, TTD_EVENT_RENAMED, 0, "renamed");
	wants_event(dev, TTD_EVENT_MTU, 1400, "");
	wants_event(dev, TTD_EVENT_HWADDR, 0, "02:00:5e:10:00:ab");
	wants_event(dev, TTD_EVENT_LINK, 0, "");
	strcpy(facts.name, "renamed");
	facts.mtu = 1400;
	facts.up = 0;
	memcpy(facts.mac, mac, sizeof(mac));
	restart();
	wants_back(dev);
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* What the program asked for itself is no news; what was refused is. */
START_TEST(what_was_asked_for_is_not_told)
{
	struct ttd_prefix ip = prefix("10.0.0.1/24");
	struct ttd_device *dev;

	daemon_start();
	dev = open_layer(TTD_TUN, modes[_i] | TTD_DOWN);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
	facts.mtu = 1400;
	facts.up = 0;
	restart();
	wants_back(dev);
	wants_no_event(dev);
	ck_assert_int_eq(ttd_set_ip(dev, &ip, NULL), 0);
	facts.up = 1;
	restart();
	wants_back(dev);
	wants_no_event(dev);
	ck_assert_int_eq(ttd_set_up(dev, 0, NULL), 0);
	facts.up = 0;
	restart();
	wants_back(dev);
	wants_no_event(dev);
	/* in vain, as far as the program knows, and done all the same */
	set_play(play_hang_up);
	ck_assert_int_eq(ttd_set_mtu(dev, 1300, NULL), -EPIPE);
	facts.mtu = 1300;
	wants_back(dev);
	wants_event(dev, TTD_EVENT_MTU, 1300, "");
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- requests meanwhile ------------------------------------------------ */

struct call {
	struct ttd_device *dev;
	int result;
	struct ttd_error error;
};

static void *set_mtu(void *call)
{
	struct call *c = call;

	c->result = ttd_set_mtu(c->dev, 1400, &c->error);
	return NULL;
}

START_TEST(a_request_waits_for_the_daemon)
{
	struct call call[2] = { { .result = 1 }, { .result = 1 } };
	struct ttd_device *dev;
	pthread_t t[2];

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	daemon_away();
	for (int i = 0; i < 2; i++) {
		call[i].dev = dev;
		pthread_create(&t[i], NULL, set_mtu, &call[i]);
	}
	poll(NULL, 0, 200);
	daemon_back();
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		ck_assert_int_eq(call[i].result, 0);
	}
	asked(2);
	ck_assert_uint_eq(reclaims(), 1);
	wants_back(dev);
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* Nobody has noticed yet that the daemon went: the new one is asked, once. */
START_TEST(a_request_meets_a_dead_connection)
{
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	for (unsigned i = 1; i <= 10; i++) {
		restart();
		ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
		asked(i);
	}
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(a_request_waits_in_vain)
{
	struct call other = { .result = 1 };
	struct ttd_device *dev;
	struct ttd_error e = { 0 };
	uint32_t mtu = 7;
	pthread_t t;
	int64_t begun;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	dev->control.timeout_ms = SHORT_MS;
	daemon_away();
	notices(dev);
	other.dev = dev;
	begun = now_ms();
	pthread_create(&t, NULL, set_mtu, &other);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -EPIPE);
	ck_assert_int_ge(now_ms() - begun, SHORT_MS);
	ck_assert_int_eq(e.code, -EPIPE);
	ck_assert_str_eq(e.step, "connect");
	ck_assert_ptr_nonnull(strstr(e.text, "never asked"));
	ck_assert_ptr_nonnull(strstr(e.text, "flow on"));
	pthread_join(t, NULL);	/* perhaps it never had the turn */
	ck_assert_int_eq(other.result, -EPIPE);
	ck_assert_str_eq(other.error.step, "connect");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), -EPIPE);
	ck_assert_uint_eq(mtu, 7);
	daemon_back();
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	poll(NULL, 0, 50);
	asked(0);
	sync_with(dev);
	asked(1);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(a_request_is_not_sent_twice)
{
	struct call call = { .result = 1 };
	struct ttd_device *dev;
	pthread_t t;

	daemon_start();
	set_play(play_silence);
	dev = open_one(modes[_i], TIMEOUT_MS);
	call.dev = dev;
	pthread_create(&t, NULL, set_mtu, &call);
	asked(1);
	daemon_away();
	pthread_join(t, NULL);		/* though the daemon is away */
	ck_assert_int_eq(call.result, -EPIPE);
	ck_assert_str_eq(call.error.step, "answer");
	ck_assert_ptr_nonnull(strstr(call.error.text, "may have been"));
	set_play(play_good);
	daemon_back();
	wants_back(dev);
	poll(NULL, 0, 50);
	asked(1);
	sync_with(dev);
	asked(2);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(a_lost_lease_ends_who_waits)
{
	struct call call = { .result = 1 };
	pthread_t t;

	daemon_start();
	call.dev = open_one(modes[_i], TTD_FOREVER);
	answer_code = WIRE_E_NOT_FOUND;
	set_reclaim(play_no);
	daemon_away();
	pthread_create(&t, NULL, set_mtu, &call);
	poll(NULL, 0, 100);
	daemon_back();
	pthread_join(t, NULL);
	ck_assert_int_eq(call.result, -ESHUTDOWN);
	ck_assert_ptr_nonnull(strstr(call.error.text, "no lease has"));
	asked(0);
	ttd_free(call.dev);
	daemon_stop();
}
END_TEST

/* --- a loop of the program's own --------------------------------------- */

START_TEST(a_program_that_listens_itself)
{
	struct ttd_event e = TTD_EVENT_INIT;
	struct ttd_device *dev;
	bool back = false;
	int turns = 0, wait_ms = 7;

	daemon_start();
	dev = open_one(TTD_NO_THREAD, TIMEOUT_MS);
	ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	ck_assert_int_eq(wait_ms, -1);
	daemon_away();
	ck_assert(readable(ttd_control_fd(dev), TIMEOUT_MS));
	ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	ck_assert_int_ge(wait_ms, 0);
	ck_assert_int_le(wait_ms, 50);
	ck_assert_int_eq(ttd_control_fd(dev), -EAGAIN);
	ck_assert(readable(ttd_event_fd(dev), 0));
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), 0);
	ck_assert_uint_eq(e.type, TTD_EVENT_DAEMON_LOST);
	for (; !back; turns++) {
		struct pollfd p = { ttd_control_fd(dev), POLLIN, 0 };

		ck_assert_int_lt(turns, 100);
		ck_assert_int_ge(wait_ms, 0);
		ck_assert_int_le(wait_ms, 1001);
		poll(&p, 1, wait_ms);
		if (turns == 5)
			daemon_back();
		ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
		back = readable(ttd_event_fd(dev), 0);
	}
	ck_assert_int_gt(turns, 5);
	ck_assert_int_eq(wait_ms, -1);
	ck_assert_int_ge(ttd_control_fd(dev), 0);
	ck_assert(!readable(ttd_control_fd(dev), 0));
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), 0);
	ck_assert_uint_eq(e.type, TTD_EVENT_DAEMON_BACK);
	sync_with(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* epoll(7) forgets the fd with the daemon, and does not tell of it for ever. */
START_TEST(a_program_with_epoll)
{
	struct epoll_event ready, in = { .events = EPOLLIN };
	struct ttd_device *dev;
	int ep = epoll_create1(EPOLL_CLOEXEC), wait_ms;

	daemon_start();
	dev = open_one(TTD_NO_THREAD, TIMEOUT_MS);
	ck_assert_int_eq(epoll_ctl(ep, EPOLL_CTL_ADD, ttd_control_fd(dev),
				   &in), 0);
	restart();
	ck_assert_int_eq(epoll_wait(ep, &ready, 1, TIMEOUT_MS), 1);
	ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	wants_event(dev, TTD_EVENT_DAEMON_LOST, 0, "");
	ck_assert_int_eq(epoll_wait(ep, &ready, 1, wait_ms), 0);
	ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	if (wait_ms >= 0)	/* not answered yet */
		ck_assert_int_ge(ttd_control_fd(dev), 0);
	ck_assert_int_eq(epoll_ctl(ep, EPOLL_CTL_ADD, ttd_control_fd(dev),
				   &in), 0);
	if (wait_ms >= 0) {
		ck_assert_int_eq(epoll_wait(ep, &ready, 1, TIMEOUT_MS), 1);
		ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	}
	ck_assert_int_eq(wait_ms, -1);
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	tell(1, WIRE_EVENT_LINK, 0, "");
	ck_assert_int_eq(epoll_wait(ep, &ready, 1, TIMEOUT_MS), 1);
	close(ep);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- the end ----------------------------------------------------------- */

static void *close_it(void *dev)
{
	poll(NULL, 0, SHORT_MS);
	ttd_close(dev);
	return NULL;
}

/* While a try is waited for, and while one is not answered. */
START_TEST(close_ends_it_at_once)
{
	bool answers_not = _i / MODES;
	struct call call = { .result = 1 };
	struct ttd_device *dev;
	pthread_t t[2];
	int64_t begun;
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	dev = open_one(modes[_i % MODES], TTD_FOREVER);
	set_reclaim(play_silence);
	daemon_away();
	if (answers_not)
		daemon_back();
	notices(dev);
	attend(dev, 700);
	call.dev = dev;
	pthread_create(&t[0], NULL, set_mtu, &call);
	pthread_create(&t[1], NULL, close_it, dev);
	begun = now_ms();
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "");
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	ck_assert_int_lt(now_ms() - begun, 300);
	ck_assert_int_eq(call.result, -ESHUTDOWN);
	if (!answers_not)
		daemon_back();
	ttd_free(dev);
	ck_assert_int_eq(control_threads(NULL), 0);
	ck_assert_uint_eq(reclaims(), answers_not);
	wants_fds(before + 1 + answers_not);
	daemon_stop();
}
END_TEST

START_TEST(a_token_is_wiped)
{
#ifdef INTERPOSE
	struct ttd_device *dev;

	if (getenv("TUNTAPD_SANITIZED")) {
		printf("SKIP a_token_is_wiped: free(3) is the sanitizer's\n");
		return;
	}
	daemon_start();
	token_of(0, secret);
	searching = true;
	dev = open_one(modes[_i], TIMEOUT_MS);
	ck_assert_mem_eq(dev->control.token, secret, sizeof(secret));
	ck_assert_uint_gt(searched, 0);
	restart();
	wants_back(dev);
	searched = 0;
	ttd_free(dev);
	ck_assert_uint_gt(searched, 0);
	/* what the daemon that is played receives is its own affair */
	searching = false;
	ck_assert_uint_eq(found, reclaims());
	daemon_stop();
#else
	printf("SKIP a_token_is_wiped: free(3) is the sanitizer's\n");
#endif
}
END_TEST

/* --- many, and others -------------------------------------------------- */

START_TEST(all_come_back)
{
	struct ttd_device *dev[DEVICES];
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	for (unsigned i = 0; i < DEVICES; i++)
		dev[i] = open_one(0, TIMEOUT_MS);
	for (unsigned round = 1; round <= 2; round++) {
		daemon_away();
		poll(NULL, 0, 100);
		daemon_back();
		for (unsigned i = 0; i < DEVICES; i++) {
			wants_back(dev[i]);
			sync_with(dev[i]);
			packets_flow(dev[i], i);
			ck_assert_uint_eq(taken(i), round);
		}
	}
	ck_assert_uint_eq(reclaims(), 2 * DEVICES);
	wants_control_threads(1);
	for (unsigned i = 0; i < DEVICES; i++)
		ttd_free(dev[i]);
	wants_fds(before + 2 * DEVICES);
	daemon_stop();
}
END_TEST

static void *ask_on(void *dev)
{
	uint32_t mtu;
	int r;

	do {
		r = ttd_get_mtu(dev, &mtu);
		ck_assert(r == 0 || r == -EPIPE || r == -ESHUTDOWN);
		ck_assert(r < 0 || mtu == 1377);
	} while (r != -ESHUTDOWN);
	return NULL;
}

static void *listen_on(void *dev)
{
	struct ttd_event e = TTD_EVENT_INIT;

	while (ttd_next_event(dev, &e, TTD_FOREVER) == 0)
		ck_assert(e.type <= TTD_EVENT_DAEMON_BACK ||
			  e.type == TTD_EVENT_ENDED);
	return NULL;
}

/* Whatever they are at, nobody hangs and nobody gets another's answer. */
START_TEST(threads_ask_while_it_comes_and_goes)
{
	struct ttd_device *dev;
	pthread_t t[4];

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, ask_on, dev);
	pthread_create(&t[3], NULL, listen_on, dev);
	for (int i = 0; i < 20; i++) {
		poll(NULL, 0, i * 5);
		restart();
	}
	sync_with(dev);
	ttd_close(dev);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* In a child: it is not the daemon too. */
static void leave_daemon(void)
{
	close(d.listener);
	for (unsigned i = 0; i < d.n; i++)
		close(d.conn[i]);
}

/* Against the rule it goes on with its parent's device. */
static int disobey(struct ttd_device *dev)
{
	struct ttd_event e = TTD_EVENT_INIT;
	int wait_ms = 7;

	alarm(LONG_MS / 1000);
	if (ttd_next_event(dev, &e, 400) != 0 ||
	    e.type != TTD_EVENT_DAEMON_LOST)
		return 1;
	if (ttd_next_event(dev, &e, 400) != -ETIMEDOUT)
		return 2;
	if (ttd_control(dev, &wait_ms) != 0 || wait_ms != -1)
		return 3;
	ttd_free(dev);
	return 0;
}

START_TEST(a_child_takes_nothing_back)
{
	struct ttd_device *dev;
	pid_t child;
	int go[2];
	char b;

	daemon_start();
	dev = open_one(TTD_NO_THREAD, TIMEOUT_MS);
	ck_assert_int_eq(pipe(go), 0);
	poll(NULL, 0, REST_MS);
	child = fork();
	if (child == 0) {
		close(go[1]);
		leave_daemon();
		(void)!read(go[0], &b, 1);
		_exit(disobey(dev));
	}
	restart();
	close(go[1]);
	ck_assert_int_eq(wait_for(child), 0);
	ck_assert_uint_eq(reclaims(), 0);
	wants_back(dev);
	ck_assert_uint_eq(reclaims(), 1);
	sync_with(dev);
	close(go[0]);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* One that was there before holds nothing up, nor ends what came after it. */
START_TEST(a_child_that_stays)
{
	struct pollfd p = { .events = POLLIN };
	struct ttd_device *dev;
	pid_t child;
	int stay[2];
	char b;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	ck_assert_int_eq(pipe(stay), 0);
	poll(NULL, 0, REST_MS);
	child = fork();
	if (child == 0) {
		close(stay[1]);
		leave_daemon();
		(void)!read(stay[0], &b, 1);
		ttd_free(dev);
		_exit(0);
	}
	restart();
	wants_back(dev);
	close(stay[1]);
	ck_assert_int_eq(wait_for(child), 0);
	sync_with(dev);
	packets_flow(dev, 0);
	ttd_close(dev);
	p.fd = end_of(d.conn, 1);
	ck_assert_int_eq(poll(&p, 1, TIMEOUT_MS), 1);
	close(stay[0]);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reclaim");
	TCase *t = tcase_create("reclaim");

	tcase_set_timeout(t, LONG_MS / 1000);
	tcase_add_loop_test(t, a_lease_comes_back, 0, MODES);
	tcase_add_loop_test(t, a_daemon_is_away_for_a_while, 0, MODES);
	tcase_add_loop_test(t, tries_become_fewer, 0, MODES);
	tcase_add_loop_test(t, a_no_may_be_temporary, 0, MODES * TEMPORARY);
	tcase_add_loop_test(t, a_lease_is_lost, 0, MODES * LOSSES_FOR_GOOD);
	tcase_add_loop_test(t, a_useless_answer_is_none, 0, MODES * ANSWERS);
	tcase_add_loop_test(t, an_answer_takes_its_time, 0, MODES);
	tcase_add_loop_test(t, what_was_missed_is_told, 0, 2 * MODES);
	tcase_add_loop_test(t, what_was_told_is_not_told_again, 0, MODES);
	tcase_add_loop_test(t, what_was_asked_for_is_not_told, 0, MODES);
	tcase_add_loop_test(t, a_request_waits_for_the_daemon, 0, MODES);
	tcase_add_loop_test(t, a_request_meets_a_dead_connection, 0, MODES);
	tcase_add_loop_test(t, a_request_waits_in_vain, 0, MODES);
	tcase_add_loop_test(t, a_request_is_not_sent_twice, 0, MODES);
	tcase_add_loop_test(t, a_lost_lease_ends_who_waits, 0, MODES);
	tcase_add_test(t, a_program_that_listens_itself);
	tcase_add_test(t, a_program_with_epoll);
	tcase_add_loop_test(t, close_ends_it_at_once, 0, 2 * MODES);
	tcase_add_loop_test(t, a_token_is_wiped, 0, MODES);
	tcase_add_test(t, all_come_back);
	tcase_add_loop_test(t, threads_ask_while_it_comes_and_goes, 0, MODES);
	tcase_add_test(t, a_child_takes_nothing_back);
	tcase_add_loop_test(t, a_child_that_stays, 0, MODES);
	suite_add_tcase(s, t);
	return run_played(s);
}
