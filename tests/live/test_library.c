/*
 * The library on real TUN and TAP devices.  Root only: each test runs in a
 * network and mount namespace of its own, with a device node and a daemon of
 * its own, so that nothing of the host is touched.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

/* Allocations and threads are counted, and refused, where nobody else does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && defined(__GLIBC__)
#define INTERPOSE 1
#include <dlfcn.h>

static atomic_bool counting;
static _Thread_local bool not_me;	/* Check allocates in its asserts */
static atomic_long allocations;
static atomic_int threads_allowed = 1000;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations += counting && !not_me;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations += counting && !not_me;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations += counting && !not_me;
	return __libc_realloc(p, n);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
		   void *(*start)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		    void *);

	if (threads_allowed-- <= 0)
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(t, attr, start, arg);
}

/* Its read finds nothing, while another thread frees this device. */
static _Thread_local struct ttd_device *late_for;
static _Thread_local bool leaves_late;
#define LATE_MS 200	/* ttd_free() takes less, if nothing holds it up */

ssize_t read(int fd, void *buf, size_t n)
{
	if (!late_for)
		return syscall(SYS_read, fd, buf, n);
	while (ttd_status(late_for, NULL) == TTD_OPEN)
		sched_yield();
	poll(NULL, 0, LATE_MS);
	late_for = NULL;
	leaves_late = true;
	errno = EAGAIN;
	return -1;
}

/* Who leaves a gate that is shut does it with a mutex. */
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	static int (*real)(pthread_mutex_t *);
	int r;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
	r = real(mutex);
	if (leaves_late) {
		leaves_late = false;
		poll(NULL, 0, LATE_MS);
	}
	return r;
}
#endif

/* The house of a test */

static struct rig rig;
static int threads_before;
static const char bait_path[] = "/run/bait";	/* a tmpfs of the test's own */

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void must(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void must(const char *format, ...)
{
	char command[300];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	ck_assert_msg(sh_status("%s", command) == 0, "%s", command);
}

static void *no_work(void *unused)
{
	return unused;
}

static void setup(void)
{
	const struct rig_options o = {
		.policy = "[rule test]\naction = allow\nuser = 0\nmac = chosen\n"
			  "kind = tun, tap\nname = tt*\n"
			  "address = 10.99.0.0/16\nmax-devices = 64\n"
			  "max-queues = 64\noffload = yes\n",
	};
	pthread_t t;

	rig_namespaces(NODE_CLOSED);
	/* or neighbour discovery and MLD are among the packets */
	must("for i in all default; do f=/proc/sys/net/ipv6/conf/$i/disable_ipv6;"
	     " test ! -e $f || echo 1 >$f; done");
	rig_start(&rig, &o);
	/* the thread sanitizer makes its own with the first one of ours */
	ck_assert_int_eq(pthread_create(&t, NULL, no_work, NULL), 0);
	pthread_join(t, NULL);
	poll(NULL, 0, 20);
	threads_before = entries("/proc/self/task");
}

static void teardown(void)
{
	rig_end(&rig);
}

static int fds_open(void)
{
	return entries("/proc/self/fd");
}

/* The thread that looks after all devices of the process. */
static int control_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	char path[300], name[32];
	struct dirent *e;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		n += fscanf(f, "%31s", name) == 1 &&
		     strcmp(name, "ttd-control") == 0;
		fclose(f);
	}
	closedir(d);
	return n;
}

/*
 * Those that push, since the test began; one that was joined may be seen a
 * little longer.
 */
static int threads(void)
{
	return entries("/proc/self/task") - control_threads() - threads_before;
}

static void nap(int ms)
{
	poll(NULL, 0, ms);
}

/* Within 3 s. */
#define EVENTUALLY(what) do { \
	for (int i_ = 0; i_ < 300 && !(what); i_++) \
		nap(10); \
	ck_assert_msg(what, "never: %s", #what); \
} while (0)

/* Device number n has 10.99.n.1/24. */
static struct ttd_device *open_with(uint32_t layer, uint32_t queues, int n,
				    uint32_t offload)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);
	struct ttd_addr a = { .flags = 0 };
	struct ttd_device *dev = NULL;
	struct ttd_error e;
	char text[32];
	int r;

	snprintf(text, sizeof(text), "10.99.%d.1/24", n);
	ck_assert_int_eq(ttd_prefix_parse(text, &a.local), 0);
	o.socket_path = rig.socket;
	o.addrs = &a;
	o.n_addrs = 1;
	o.queues = queues;
	o.offload = offload;
	o.timeout_ms = 20000;
	r = ttd_open(&o, &dev, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	return dev;
}

static struct ttd_device *open_device(uint32_t layer, uint32_t queues, int n)
{
	return open_with(layer, queues, n, TTD_OFFLOAD_SPLIT);
}

/* One whose fds can be taken. */
static struct ttd_device *open_bare(uint32_t queues, int n)
{
	return open_with(TTD_TUN, queues, n, TTD_OFFLOAD_NONE);
}

static struct sockaddr_in behind(int n)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_addr.s_addr = htonl(0x0a630002u | (uint32_t)n << 8);
	a.sin_port = htons(7777);
	return a;
}

static int udp(int n)
{
	struct sockaddr_in a = behind(n);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

/*
 * The host sends that many packets of 28 + len bytes into device n, or one at
 * least: it may end with the first.
 */
static void knock(int n, int count, int len)
{
	char payload[1400] = { 0 };
	int s = udp(n);

	ck_assert_int_eq(send(s, payload, (size_t)len, 0), len);
	for (int i = 1; i < count; i++)
		(void)!send(s, payload, (size_t)len, 0);
	close(s);
}

/*
 * The host sends without end, from several ports, so into all queues; while
 * there is no device the packets go nowhere.
 */
static atomic_bool flooding;

static void *flood(void *n)
{
	struct sockaddr_in a = behind(*(int *)n);
	int s[16];

	for (int i = 0; i < 16; i++)
		s[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	while (atomic_load(&flooding)) {
		for (int i = 0; i < 16; i++)
			(void)!sendto(s[i], "flood", 5, MSG_DONTWAIT,
				      (struct sockaddr *)&a, sizeof(a));
		sched_yield();
	}
	for (int i = 0; i < 16; i++)
		close(s[i]);
	return NULL;
}

static pthread_t flood_begin(int *n)
{
	pthread_t t;

	atomic_store(&flooding, true);
	ck_assert_int_eq(pthread_create(&t, NULL, flood, n), 0);
	return t;
}

static void flood_end(pthread_t t)
{
	atomic_store(&flooding, false);
	pthread_join(t, NULL);
}

/* A call of the library on a thread of its own, and when it came back. */
struct call {
	struct ttd_device *dev;
	unsigned queue;
	ttd_handler *handler;
	pthread_t thread;
	atomic_long result;
	int64_t at;
	atomic_int count;
};

static int count_handler(void *arg, void *buf, size_t len)
{
	(void)buf;
	(void)len;
	++*(atomic_int *)arg;
	return 1;
}

static void *call_recv(void *arg)
{
	struct call *c = arg;
	char buf[2000];
	ssize_t n;

	while ((n = ttd_recv(c->dev, buf, sizeof(buf), TTD_FOREVER)) > 0)
		c->count++;
	c->result = n;
	c->at = now_ms();
	return NULL;
}

static void *call_run(void *arg)
{
	struct call *c = arg;

	c->result = ttd_run(c->dev, c->queue, c->handler ? c->handler :
			    count_handler, &c->count);
	c->at = now_ms();
	return NULL;
}

static void *call_poll(void *arg)
{
	struct call *c = arg;
	struct pollfd p = { ttd_done_fd(c->dev), POLLIN, 0 };

	while (poll(&p, 1, -1) < 0)
		;
	c->result = p.revents;
	c->at = now_ms();
	return NULL;
}

static void *call_close(void *arg)
{
	struct call *c = arg;

	c->result = ttd_close(c->dev);
	return NULL;
}

/* A valid IPv4 packet that nobody answers. */
static const uint8_t packet[28] = {
	0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 99, 1, 2, 10, 99, 1, 77,
	1, 2, 3, 4, 0, 8, 0, 0
};

static void *call_send(void *arg)
{
	struct call *c = arg;
	int r;

	while ((r = ttd_send(c->dev, packet, sizeof(packet))) == 0 ||
	       r == -EAGAIN)
		c->count++;
	c->result = r;
	return NULL;
}

static void begin(struct call *c, void *(*what)(void *))
{
	c->result = 1;
	ck_assert_int_eq(pthread_create(&c->thread, NULL, what, c), 0);
}

/* It came back in time, with that. */
static void came_back(struct call *c, int64_t since, long result)
{
	pthread_join(c->thread, NULL);
	ck_assert_int_eq(c->result, result);
	ck_assert_int_lt(c->at - since, DEADLINE_MS);
}

static bool exists(const char *name)
{
	return if_nametoindex(name) != 0;
}

/* Facts and single packets */

START_TEST(facts)
{
	int before = fds_open();
	struct ttd_device *dev = open_device(TTD_TUN, 3, 1);
	char name[TTD_NAME_MAX], now[TTD_NAME_MAX];
	uint8_t mac[6] = { 0 };

	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_uint_eq(if_nametoindex(name), ttd_ifindex(dev));
	ck_assert_uint_eq(ttd_queues(dev), 3);
	ck_assert_int_eq(ttd_offload(dev), TTD_OFFLOAD_SPLIT);
	ck_assert_int_eq(ttd_hwaddr(dev, mac), -EOPNOTSUPP);
	must("ip link set %s down; ip link set %s name other0", name, name);
	ck_assert_int_eq(ttd_name(dev, now), 0);
	ck_assert_str_eq(now, "other0");
	ttd_close(dev);
	ck_assert_int_eq(ttd_name(dev, now), 0);
	ck_assert_str_eq(now, name);
	ttd_free(dev);
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(hwaddr_follows)
{
	struct ttd_device *dev = open_device(TTD_TAP, 1, 1);
	uint8_t mac[6], untouched[6] = { 9, 9, 9, 9, 9, 9 };
	char name[TTD_NAME_MAX];

	ttd_name(dev, name);
	must("ip link set %s address 02:01:02:03:04:05", name);
	ck_assert_int_eq(ttd_hwaddr(dev, mac), 0);
	ck_assert_mem_eq(mac, "\2\1\2\3\4\5", 6);
	must("ip link set %s down; ip link set %s name tap9; "
	   "ip link set tap9 address 02:01:02:03:04:06", name, name);
	ck_assert_int_eq(ttd_hwaddr(dev, mac), 0);
	ck_assert_mem_eq(mac, "\2\1\2\3\4\6", 6);
	ttd_close(dev);
	ck_assert_int_eq(ttd_hwaddr(dev, untouched), -ESHUTDOWN);
	ck_assert_mem_eq(untouched, "\11\11\11\11\11\11", 6);
	ttd_free(dev);
}
END_TEST

/* A datagram into the tun, turned around, comes back to its socket. */
START_TEST(packets_in_and_out)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
	struct pollfd p = { .events = POLLIN };
	uint8_t buf[100], tmp[4];
	int s = udp(1);

	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 0), -EAGAIN);
	ck_assert_int_eq(send(s, "hello", 5, 0), 5);
	p.fd = ttd_fd(dev, 0);
	ck_assert_int_eq(poll(&p, 1, DEADLINE_MS), 1);
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 0), 33);
	ck_assert_mem_eq(buf + 28, "hello", 5);
	memcpy(tmp, buf + 12, 4);
	memmove(buf + 12, buf + 16, 4);
	memcpy(buf + 16, tmp, 4);
	memcpy(tmp, buf + 20, 2);
	memmove(buf + 20, buf + 22, 2);
	memcpy(buf + 22, tmp, 2);
	ck_assert_int_eq(ttd_send(dev, buf, 33), 0);
	p.fd = s;
	ck_assert_int_eq(poll(&p, 1, DEADLINE_MS), 1);
	ck_assert_int_eq(recv(s, tmp, 4, MSG_TRUNC), 5);
	close(s);
	ttd_free(dev);
}
END_TEST

START_TEST(too_small_a_buffer_is_told)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
	/* Not where the address space may end: the kernel looks there. */
	static uint8_t buf[200];

	for (size_t cap = 126; cap <= 130; cap++) {
		memset(buf, 0xee, sizeof(buf));
		knock(1, 1, 100);
		ck_assert_int_eq(ttd_recv(dev, buf, cap, DEADLINE_MS),
				 cap < 128 ? -EMSGSIZE : 128);
		ck_assert_uint_eq(buf[cap < 128 ? cap : 128], 0xee);
	}
	knock(1, 1, 100);
	ck_assert_int_eq(ttd_recv(dev, NULL, 0, DEADLINE_MS), -EMSGSIZE);
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 0), -EAGAIN);
	/* Nor is one too large. */
	ck_assert_int_eq(ttd_recv(dev, buf, SIZE_MAX, 0), -EAGAIN);
	knock(1, 1, 100);
	ck_assert_int_eq(ttd_recv(dev, buf, SIZE_MAX, DEADLINE_MS), 128);
	ck_assert_int_eq(ttd_recv(dev, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(ttd_recv(dev, buf, 1, -2), -EINVAL);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ttd_free(dev);
}
END_TEST

START_TEST(recv_waits_as_long_as_told)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
	int64_t since = now_ms();
	char buf[100];

	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 200), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() - since, 200);
	ck_assert_int_lt(now_ms() - since, 200 + DEADLINE_MS);
	ttd_free(dev);
}
END_TEST

START_TEST(bad_packets_end_nothing)
{
	struct ttd_device *tun = open_device(TTD_TUN, 1, 1);
	struct ttd_device *tap = open_device(TTD_TAP, 1, 2);
	static uint8_t big[65536] = { 0x45 };
	uint8_t bad[28] = { 0x15 };

	ck_assert_int_eq(ttd_send(tun, bad, sizeof(bad)), -EINVAL);
	ck_assert_int_eq(ttd_send(tun, bad, 0), -EINVAL);
	ck_assert_int_eq(ttd_send(tun, NULL, 4), -EINVAL);
	ck_assert_int_eq(ttd_send(tun, big, 65536), -EMSGSIZE);
	ck_assert_int_eq(ttd_send(tap, bad, 13), -EINVAL);
	ck_assert_int_eq(ttd_send(tun, packet, sizeof(packet)), 0);
	ck_assert_int_eq(ttd_send(tun, big, 65535), 0);
	ck_assert_int_eq(ttd_status(tun, NULL), TTD_OPEN);
	ck_assert_int_eq(ttd_status(tap, NULL), TTD_OPEN);
	ttd_free(tun);
	ttd_free(tap);
}
END_TEST

/* The end */

START_TEST(close_wakes_all)
{
	int before = fds_open();
	struct ttd_device *dev = open_bare(3, 1);
	struct call recv = { .dev = dev }, done = { .dev = dev };
	struct call run1 = { .dev = dev, .queue = 1 };
	struct call run2 = { .dev = dev, .queue = 2 };
	char name[TTD_NAME_MAX];
	int64_t since;

	ttd_name(dev, name);
	begin(&recv, call_recv);
	begin(&done, call_poll);
	begin(&run1, call_run);
	begin(&run2, call_run);
	nap(100);
	since = now_ms();
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_msg(!exists(name), "%s outlives ttd_close()", name);
	ck_assert_int_lt(now_ms() - since, DEADLINE_MS);
	came_back(&recv, since, -ESHUTDOWN);
	came_back(&done, since, POLLIN | (done.result & POLLHUP));
	came_back(&run1, since, 0);
	came_back(&run2, since, 0);
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_int_eq(ttd_recv(dev, name, 1, TTD_FOREVER), -ESHUTDOWN);
	ck_assert_int_eq(ttd_send(dev, packet, 28), -ESHUTDOWN);
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, NULL),
			 -ESHUTDOWN);
	ck_assert_int_eq(ttd_take_fd(dev, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_run(dev, 0, count_handler, NULL), 0);
	ttd_free(dev);
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

/* free alone, with calls of other threads in it. */
START_TEST(free_waits_for_calls)
{
	int before = fds_open();

	for (int i = 0; i < 20; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
		struct call recv = { .dev = dev };
		struct call run = { .dev = dev, .queue = 1 };
		int64_t since;

		begin(&recv, call_recv);
		begin(&run, call_run);
		nap(20);
		since = now_ms();
		ttd_free(dev);
		came_back(&recv, since, -ESHUTDOWN);
		came_back(&run, since, 0);
		ck_assert_int_eq(fds_open(), before);
	}
}
END_TEST

#ifdef INTERPOSE
#define PERTURB 0x11	/* freed memory is an open gate, and no pointer */

static void *call_late_recv(void *arg)
{
	struct call *c = arg;
	struct ttd_packet p;
	char buf[2048];

	late_for = c->dev;
	if (c->queue)
		c->result = ttd_recv_batch(c->dev, c->queue, &p, 1,
					   TTD_FOREVER);
	else
		c->result = ttd_recv(c->dev, buf, sizeof(buf), TTD_FOREVER);
	c->at = now_ms();
	return NULL;
}

/* Also for one that has read in vain, and is about to wait for a packet. */
START_TEST(free_waits_for_who_is_about_to_wait)
{
	struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
	struct call recv = { .dev = dev, .queue = (unsigned)_i };
	int64_t since;

	mallopt(M_PERTURB, PERTURB);
	begin(&recv, call_late_recv);
	nap(20);
	since = now_ms();
	ttd_free(dev);
	came_back(&recv, since, -ESHUTDOWN);
}
END_TEST
#endif

#define SLOW_MS 1000	/* more than a busy machine deletes a device in */

static int slow_handler(void *arg, void *buf, size_t len)
{
	atomic_int *state = arg;

	(void)buf;
	(void)len;
	*state = 1;
	nap(SLOW_MS);
	*state = 2;
	return 0;
}

/* What a handler works with may go when ttd_free() is back. */
START_TEST(free_waits_for_handlers)
{
	for (int i = 0; i < 2; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
		struct call run = { .dev = dev, .handler = slow_handler };

		if (i == 0)
			begin(&run, call_run);
		else
			ttd_set_handler(dev, slow_handler, &run.count);
		knock(1, 1, 1);
		EVENTUALLY(run.count == 1);
		ttd_close(dev);		/* does not wait for it */
		ck_assert_int_eq(run.count, 1);
		ttd_free(dev);
		ck_assert_int_eq(run.count, 2);
		if (i == 0)
			pthread_join(run.thread, NULL);
	}
}
END_TEST

static int send_on(void *dev, void *buf, size_t len)
{
	return ttd_send(dev, buf, len);
}

/* Ways to an end. */
static void end_by_close(struct ttd_device *dev, const char *name)
{
	(void)name;
	ck_assert_int_eq(ttd_close(dev), 0);
}

static void end_by_deletion(struct ttd_device *dev, const char *name)
{
	struct pollfd p = { ttd_done_fd(dev), POLLIN, 0 };

	must("ip link del %s", name);
	/* A send finds it out; the handler is busy. */
	ck_assert_int_eq(ttd_send(dev, packet, 28), -ESHUTDOWN);
	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

/*
 * When ttd_set_handler() is back the old handler is, too, and what it works
 * with may go: also of a device that has ended, whatever is returned.
 */
START_TEST(an_ended_device_waits_for_its_handler)
{
	void (*const ends[])(struct ttd_device *, const char *) = {
		end_by_close, end_by_deletion,
	};

	for (unsigned i = 0; i < 4; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
		atomic_int state = 0, other = 0;
		char name[TTD_NAME_MAX];

		ttd_name(dev, name);
		ck_assert_int_eq(ttd_set_handler(dev, slow_handler, &state), 0);
		knock(1, 1, 1);
		EVENTUALLY(state == 1);
		ends[i / 2](dev, name);
		ck_assert_int_eq(state, 1);
		if (i % 2 == 0)
			ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
		else
			ck_assert_int_eq(ttd_set_handler(dev, count_handler,
							 &other), -ESHUTDOWN);
		ck_assert_int_eq(state, 2);
		ck_assert_int_eq(ttd_netdev_set_handler(ttd_netdev(dev), NULL,
							NULL), 0);
		ttd_free(dev);
		ck_assert_int_eq(other, 0);
	}
}
END_TEST

/* As the handler of a wire, but with time to take it apart meanwhile. */
static atomic_int on_the_wire;

static int slow_send(void *peer, void *buf, size_t len)
{
	int r;

	on_the_wire++;
	nap(200);
	r = ttd_send(peer, buf, len);
	on_the_wire--;
	return r;
}

/* Both have ended; then in the order that tuntapd.h names. */
START_TEST(a_wire_whose_ends_have_ended_comes_apart)
{
	int before = fds_open();

	for (int i = 0; i < 2; i++) {
		void (*end)(struct ttd_device *, const char *) =
			i ? end_by_close : end_by_deletion;
		struct ttd_device *a = open_device(TTD_TUN, 1, 1);
		struct ttd_device *b = open_device(TTD_TUN, 1, 2);
		char name[2][TTD_NAME_MAX];

		ttd_name(a, name[0]);
		ttd_name(b, name[1]);
		ck_assert_int_eq(ttd_set_handler(a, slow_send, b), 0);
		ck_assert_int_eq(ttd_set_handler(b, send_on, a), 0);
		knock(1, 1, 1);
		EVENTUALLY(on_the_wire == 1);
		end(a, name[0]);
		end(b, name[1]);
		ttd_netdev_set_handler(ttd_netdev(a), NULL, NULL);
		ttd_netdev_set_handler(ttd_netdev(b), NULL, NULL);
		ck_assert_int_eq(on_the_wire, 0);
		ttd_free(b);
		ttd_free(a);
	}
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

struct unsetter {
	struct ttd_device *dev;
	atomic_int state;
};

static int unset_and_linger(void *arg, void *buf, size_t len)
{
	struct unsetter *u = arg;

	ck_assert_int_eq(ttd_set_handler(u->dev, NULL, NULL), 0);
	return slow_handler(&u->state, buf, len);
}

/* One that unset itself still runs; who is busy with the rest waits, too. */
START_TEST(a_busy_device_waits_for_its_handler)
{
	struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
	struct call run[2] = { { .dev = dev }, { .dev = dev, .queue = 1 } };
	struct unsetter u = { .dev = dev };

	ck_assert_int_eq(ttd_set_handler(dev, unset_and_linger, &u), 0);
	knock(1, 1, 1);
	EVENTUALLY(u.state == 1);
	/* Of the two queues that which the handler is not on. */
	for (int i = 0; i < 2; i++)
		begin(&run[i], call_run);
	EVENTUALLY(run[0].result == -EBUSY || run[1].result == -EBUSY);
	nap(20);
	ck_assert_int_eq(u.state, 1);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), -EBUSY);
	ck_assert_int_eq(u.state, 2);
	ttd_close(dev);
	for (int i = 0; i < 2; i++)
		pthread_join(run[i].thread, NULL);
	ck_assert_int_eq(run[0].result + run[1].result, -EBUSY);
	ttd_free(dev);
}
END_TEST

struct in_handler {
	struct ttd_device *dev;
	char name[TTD_NAME_MAX];
	bool free;
	atomic_int calls, closed;
	bool gone;
};

static int end_in_handler(void *arg, void *buf, size_t len)
{
	struct in_handler *h = arg;
	int me = h->calls++;

	(void)buf;
	(void)len;
	if (h->free && me > 0) {	/* others take their time meanwhile */
		nap(50);
		return 0;
	}
	ck_assert_int_eq(ttd_close(h->dev), 0);
	h->gone = !exists(h->name);
	ck_assert_int_eq(ttd_close(h->dev), 0);
	/* nor does it wait for itself, set or swapped */
	ck_assert_int_eq(ttd_set_handler(h->dev, NULL, NULL), 0);
	ck_assert_int_eq(ttd_set_handler(h->dev, count_handler, NULL),
			 -ESHUTDOWN);
	if (h->free)
		ttd_free(h->dev);
	h->closed++;
	return 0;
}

START_TEST(close_in_the_handler)
{
	int before = fds_open();
	struct in_handler h = { .dev = open_device(TTD_TUN, 1, 1) };

	ttd_name(h.dev, h.name);
	ck_assert_int_eq(ttd_set_handler(h.dev, end_in_handler, &h), 0);
	knock(1, 5, 10);
	EVENTUALLY(h.closed);
	ck_assert_int_eq(h.calls, 1);
	ck_assert(h.gone);
	ttd_free(h.dev);
	EVENTUALLY(threads() == 0);
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

static void *run_in_handler(void *arg)
{
	struct in_handler *h = arg;

	ck_assert_int_eq(ttd_run(h->dev, 0, end_in_handler, h), 0);
	return NULL;
}

START_TEST(end_in_the_handler_of_run)
{
	int before = fds_open();

	for (int i = 0; i < 2; i++) {
		struct in_handler h = { .dev = open_device(TTD_TUN, 1, 1),
					.free = i };
		pthread_t t;

		ttd_name(h.dev, h.name);
		pthread_create(&t, NULL, run_in_handler, &h);
		knock(1, 5, 10);
		pthread_join(t, NULL);
		ck_assert_int_eq(h.calls, 1);
		ck_assert(h.gone);
		if (!h.free)
			ttd_free(h.dev);
		ck_assert_int_eq(fds_open(), before);
	}
}
END_TEST

START_TEST(free_in_the_handler)
{
	/* One each: nobody joins the threads that used the last one. */
	static struct in_handler each[30];
	int before = fds_open(), one = 1;

	for (int i = 0; i < 30; i++) {
		struct in_handler *h = &each[i];
		pthread_t t;

		h->dev = open_device(TTD_TUN, i % 2 ? 4 : 1, 1);
		h->free = true;
		t = flood_begin(&one);
		ttd_name(h->dev, h->name);
		ttd_set_handler(h->dev, end_in_handler, h);
		EVENTUALLY(h->closed);
		flood_end(t);
		ck_assert(h->gone);
		/* the release is behind the handler's return */
		EVENTUALLY(threads() == 0);
		EVENTUALLY(fds_open() == before);
	}
}
END_TEST

static void limit_fds(rlim_t n)
{
	struct rlimit r;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
	r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
}

/* As a program does that shuts itself in once it has all it needs. */
START_TEST(close_under_a_lowered_limit)
{
	int before = fds_open();
	struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
	char name[TTD_NAME_MAX], buf[100];

	ttd_name(dev, name);
	limit_fds((rlim_t)_i);
	/* poll(2) takes no more fds than the limit: no wait, no spinning. */
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 200),
			 _i < 2 ? -ESHUTDOWN : -ETIMEDOUT);
	ck_assert_int_eq(ttd_close(dev), 0);
	limit_fds(1024);
	ck_assert(!link_exists(name));
	ttd_free(dev);
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(many_close_at_once)
{
	int before = fds_open();

	for (int i = 0; i < 20; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
		struct call c[6] = { { .dev = dev } };

		for (int k = 0; k < 6; k++) {
			c[k].dev = dev;
			begin(&c[k], k < 4 ? call_close : call_send);
		}
		for (int k = 0; k < 6; k++)
			pthread_join(c[k].thread, NULL);
		ck_assert_int_eq(c[0].result, 0);
		ck_assert_int_eq(c[3].result, 0);
		ck_assert_int_eq(c[4].result, -ESHUTDOWN);
		ck_assert_int_eq(c[5].result, -ESHUTDOWN);
		ttd_free(dev);
	}
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

/* Numbers are not used again under a late reader or writer */

static atomic_bool baiting;

static void *bait(void *unused)
{
	(void)unused;
	while (atomic_load(&baiting)) {
		int fd[24];

		for (int i = 0; i < 24; i++)
			fd[i] = open(bait_path, O_RDWR | O_CLOEXEC);
		sched_yield();
		for (int i = 0; i < 24; i++) {
			/* who reads it moves the offset */
			ck_assert_int_eq(lseek(fd[i], 0, SEEK_CUR), 0);
			close(fd[i]);
		}
	}
	return NULL;
}

static void check_bait(void)
{
	char content[10000];
	int fd = open(bait_path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(read(fd, content, sizeof(content)), 4096);
	for (int i = 0; i < 4096; i++)
		ck_assert_int_eq(content[i], 'b');
	close(fd);
}

START_TEST(numbers_are_not_used_again)
{
	char content[4096];
	int fd, one = 1;
	pthread_t baiter, flooder;

#ifdef __SANITIZE_THREAD__
	/* It keeps a clock for each number, and two threads end it at once. */
	live_skip("numbers_are_not_used_again",
		  "the thread sanitizer itself crashes on it");
	return;
#endif
	memset(content, 'b', sizeof(content));
	fd = open(bait_path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, content, sizeof(content)), 4096);
	close(fd);
	baiting = true;
	pthread_create(&baiter, NULL, bait, NULL);
	for (int i = 0; i < 60; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
		struct call recv = { .dev = dev }, s1 = recv, s2 = recv;
		struct call run = { .dev = dev, .queue = 1 };
		char name[TTD_NAME_MAX];
		int numbers[3] = { ttd_fd(dev, 0), ttd_fd(dev, 1),
				   ttd_done_fd(dev) };

		flooder = flood_begin(&one);
		begin(&recv, call_recv);
		begin(&run, call_run);
		begin(&s1, call_send);
		begin(&s2, call_send);
		ttd_name(dev, name);
		nap(i % 5);
		ttd_close(dev);
		ck_assert_msg(!exists(name), "it is still there");
		/* still ours, and nothing that can be read or written */
		for (int k = 0; k < 3; k++)
			ck_assert(fcntl(numbers[k], F_GETFD) & FD_CLOEXEC);
		ck_assert_int_eq(write(numbers[0], "x", 1), -1);
		ck_assert_int_eq(errno, EBADF);
		ck_assert_int_eq(read(numbers[1], content, 1), 0);
		pthread_join(recv.thread, NULL);
		pthread_join(run.thread, NULL);
		pthread_join(s1.thread, NULL);
		pthread_join(s2.thread, NULL);
		ttd_free(dev);
		flood_end(flooder);
		check_bait();
	}
	baiting = false;
	pthread_join(baiter, NULL);
}
END_TEST

/* What is not the end, and what is */

static void on_signal(int sig)
{
	(void)sig;
}

START_TEST(signals_end_nothing)
{
	struct sigaction act = { .sa_handler = on_signal };	/* EINTR */
	struct ttd_device *a = open_device(TTD_TUN, 1, 1);
	struct ttd_device *b = open_device(TTD_TUN, 1, 2);
	struct call recv = { .dev = a }, run = { .dev = b };
	struct itimerval storm = { { 0, 1000 }, { 0, 1000 } };
	char buf[100];
	int64_t since;

	sigaction(SIGUSR1, &act, NULL);
	begin(&recv, call_recv);
	begin(&run, call_run);
	for (int i = 0; i < 20000; i++) {
		pthread_kill(recv.thread, SIGUSR1);
		pthread_kill(run.thread, SIGUSR1);
		if (i % 200 == 0) {
			knock(1, 1, 10);
			knock(2, 1, 10);
		}
	}
	EVENTUALLY(recv.count == 100 && run.count == 100);
	ck_assert_int_eq(recv.result, 1);
	ck_assert_int_eq(run.result, 1);
	ck_assert_int_eq(ttd_status(a, NULL), TTD_OPEN);
	since = now_ms();
	ttd_free(a);
	ttd_free(b);
	came_back(&recv, since, -ESHUTDOWN);
	came_back(&run, since, 0);

	/* nor does a storm make a wait longer */
	a = open_device(TTD_TUN, 1, 1);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	since = now_ms();
	ck_assert_int_eq(ttd_recv(a, buf, sizeof(buf), 300), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() - since, 300);
	ck_assert_int_lt(now_ms() - since, 300 + DEADLINE_MS);
	memset(&storm, 0, sizeof(storm));
	setitimer(ITIMER_REAL, &storm, NULL);
	ttd_free(a);
}
END_TEST

static void expect_deleted(struct ttd_device *dev, const char *name)
{
	struct pollfd p = { ttd_done_fd(dev), POLLIN, 0 };
	struct ttd_error why;

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_DELETED);
	ck_assert_int_eq(why.code, -ENODEV);
	ck_assert_ptr_nonnull(strstr(why.text, name));
	ck_assert_ptr_nonnull(strstr(why.text, "deleted"));
	ck_assert_int_eq(ttd_send(dev, packet, 28), -ESHUTDOWN);
	/* the first cause stays */
	ttd_close(dev);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_DELETED);
	ck_assert_int_eq(why.code, -ENODEV);
}

START_TEST(deleted_under_the_reader)
{
	int before = fds_open(), one = 1;

	/* recv, run, push, push without a handler and a send; at rest, busy */
	for (int i = 0; i < 10; i++) {
		struct ttd_device *dev = open_device(TTD_TUN, i % 2 ? 2 : 1, 1);
		struct call c = { .dev = dev };
		char name[TTD_NAME_MAX];
		pthread_t t = { 0 };
		int64_t since;

		ttd_name(dev, name);
		if (i >= 5)
			t = flood_begin(&one);
		if (i % 5 == 0)
			begin(&c, call_recv);
		else if (i % 5 == 1)
			begin(&c, call_run);
		else if (i % 5 == 2)
			ttd_set_handler(dev, count_handler, &c.count);
		nap(50);
		must("ip link del %s", name);
		since = now_ms();
		if (i % 5 == 3)
			ck_assert_int_eq(ttd_send(dev, packet, 28),
					 -ESHUTDOWN);
		if (i % 5 == 4)
			ck_assert_int_eq(ttd_recv(dev, NULL, 0, 100),
					 -ESHUTDOWN);
		expect_deleted(dev, name);
		if (i % 5 == 0)
			came_back(&c, since, -ESHUTDOWN);
		if (i % 5 == 1)
			came_back(&c, since, -ENODEV);
		ck_assert_int_eq(ttd_run(dev, 0, count_handler, &c), -ENODEV);
		if (i >= 5)
			flood_end(t);
		ttd_free(dev);
	}
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(down_is_not_the_end)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
	struct call recv = { .dev = dev };
	char name[TTD_NAME_MAX];

	ttd_name(dev, name);
	begin(&recv, call_recv);
	must("ip link set %s down", name);
	ck_assert_int_eq(ttd_send(dev, packet, 28), -ENETDOWN);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	/* Routes go with the down of their device, and do not come back. */
	must("ip link set %s up; ip route add 10.99.1.0/24 dev %s", name, name);
	ck_assert_int_eq(ttd_send(dev, packet, 28), 0);
	knock(1, 1, 10);
	EVENTUALLY(recv.count == 1);
	ttd_close(dev);
	pthread_join(recv.thread, NULL);
	ttd_free(dev);
}
END_TEST

/* Handlers */

static int check_packet(void *arg, void *buf, size_t len)
{
	uint8_t *p = buf;

	ck_assert_uint_eq(len, 38);
	ck_assert_uint_eq(p[0], 0x45);
	memset(p, 0xee, len);	/* it is writable */
	return count_handler(arg, buf, len);
}

START_TEST(packets_wait_for_a_handler)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);
	atomic_int n = 0;

	knock(1, 100, 10);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	nap(50);
	ck_assert_int_eq(ttd_set_handler(dev, check_packet, &n), 0);
	EVENTUALLY(n == 100);
	/* and while there is none again */
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	knock(1, 100, 10);
	nap(100);
	ck_assert_int_eq(n, 100);
	ck_assert_int_eq(ttd_set_handler(dev, check_packet, &n), 0);
	EVENTUALLY(n == 200);
	ttd_free(dev);
	EVENTUALLY(threads() == 0);
}
END_TEST

struct handler_life {
	atomic_bool live;
	atomic_long calls, late;
};

static int living_handler(void *arg, void *buf, size_t len)
{
	struct handler_life *h = arg;

	(void)buf;
	(void)len;
	if (!atomic_load(&h->live))
		h->late++;
	h->calls++;
	if (h->calls % 16 == 0)
		nap(1);
	if (!atomic_load(&h->live))
		h->late++;
	return 0;
}

START_TEST(old_handlers_do_not_run)
{
	struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
	struct handler_life h[2] = { { .live = false } };
	int64_t until = now_ms() + 1500;
	int one = 1, swaps = 0;
	pthread_t t = flood_begin(&one);

	for (; now_ms() < until || swaps < 50; swaps++) {
		struct handler_life *new = &h[swaps % 2];
		struct handler_life *old = &h[!(swaps % 2)];

		atomic_store(&new->live, true);
		ck_assert_int_eq(ttd_set_handler(dev, living_handler, new), 0);
		atomic_store(&old->live, false);
		if (swaps % 3 == 0) {
			ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
			atomic_store(&new->live, false);
		}
		nap(swaps % 4);
	}
	flood_end(t);
	ttd_free(dev);
	ck_assert_int_gt(h[0].calls, 50);
	ck_assert_int_gt(h[1].calls, 50);
	ck_assert_int_eq(h[0].late + h[1].late, 0);
}
END_TEST

struct setter {
	struct ttd_device *dev, *other;
	atomic_int calls;
};

static int stop_in_handler(void *arg, void *buf, size_t len)
{
	struct setter *s = arg;

	(void)buf;
	(void)len;
	s->calls++;
	ck_assert_int_eq(ttd_set_handler(s->dev, NULL, NULL), 0);
	ck_assert_int_eq(ttd_set_handler(s->other, count_handler, &s->calls),
			 0);
	return 0;
}

START_TEST(set_in_the_handler)
{
	struct setter s = { .dev = open_device(TTD_TUN, 2, 1),
			    .other = open_device(TTD_TUN, 2, 2) };
	atomic_int n = 0;

	ck_assert_int_eq(ttd_set_handler(s.other, count_handler, &n), 0);
	ck_assert_int_eq(ttd_set_handler(s.dev, stop_in_handler, &s), 0);
	knock(1, 10, 10);
	EVENTUALLY(s.calls == 1);
	nap(50);
	ck_assert_int_eq(s.calls, 1);
	knock(2, 3, 10);
	EVENTUALLY(s.calls == 4);
	/* the other nine have waited */
	ck_assert_int_eq(ttd_set_handler(s.dev, count_handler, &n), 0);
	EVENTUALLY(n == 9);
	ttd_free(s.dev);
	ttd_free(s.other);
}
END_TEST

/* Packets that the host has got from a device, by its own count. */
static int received(const char *name)
{
	char line[300];
	FILE *f = fopen("/proc/net/dev", "r");
	int n = -1;

	while (n < 0 && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, name);

		if (at && at[strlen(name)] == ':')
			sscanf(at + strlen(name) + 1, "%*d %d", &n);
	}
	fclose(f);
	return n;
}

START_TEST(send_is_a_handler)
{
	struct ttd_device *a = open_device(TTD_TUN, 2, 1);
	struct ttd_device *b = open_device(TTD_TUN, 1, 2);
	char name[2][TTD_NAME_MAX];

	ttd_name(a, name[0]);
	ttd_name(b, name[1]);
	ck_assert_int_eq(ttd_set_handler(a, send_on, b), 0);
	ck_assert_int_eq(ttd_set_handler(b, send_on, a), 0);
	knock(1, 100, 10);
	knock(2, 50, 10);
	EVENTUALLY(received(name[1]) >= 100 && received(name[0]) >= 50);
	ttd_close(b);	/* the handler of a meets a closed device: no harm */
	knock(1, 10, 10);
	nap(20);
	ck_assert_int_eq(ttd_status(a, NULL), TTD_OPEN);
	ttd_free(a);
	ttd_free(b);
}
END_TEST

#define TAP_MTU_MAX	65521	/* 65535 without an Ethernet header (tun.c) */

/* The host's longest frame: it comes whole, and goes on through a wire. */
START_TEST(the_longest_frame_crosses_a_wire)
{
	static uint8_t frame[14 + 4 + TAP_MTU_MAX] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 0x88, 0xb5
	};
	struct ttd_device *a = open_device(TTD_TAP, 1, 1);
	struct ttd_device *b = open_device(TTD_TAP, 1, 2);
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)ttd_ifindex(a) };
	static uint8_t got[sizeof(frame) + 1];
	char name[2][TTD_NAME_MAX];
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ttd_name(a, name[0]);
	ttd_name(b, name[1]);
	ck_assert_int_ge(s, 0);
	ck_assert_int_eq(ttd_set_mtu(a, TAP_MTU_MAX, NULL), 0);
	frame[sizeof(frame) - 1] = 0x77;
	ck_assert_int_eq(sendto(s, frame, sizeof(frame), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 sizeof(frame));
	ck_assert_int_eq(ttd_recv(a, got, sizeof(got), DEADLINE_MS),
			 sizeof(frame));
	ck_assert_mem_eq(got, frame, sizeof(frame));

	ck_assert_int_eq(ttd_connect(ttd_netdev(a), ttd_netdev(b)), 0);
	ck_assert_int_eq(sendto(s, frame, sizeof(frame), 0,
				(struct sockaddr *)&to, sizeof(to)),
			 sizeof(frame));
	EVENTUALLY(received(name[1]) == 1);
	close(s);
	ttd_set_handler(a, NULL, NULL);
	ttd_set_handler(b, NULL, NULL);
	ttd_free(a);
	ttd_free(b);
}
END_TEST

static int run_result(struct ttd_device *dev, unsigned queue)
{
	return ttd_run(dev, queue, count_handler, NULL);
}

START_TEST(one_way_of_reading_at_a_time)
{
	struct ttd_device *dev = open_bare(2, 1);
	struct call run = { .dev = dev, .queue = 0 };
	char buf[10];

	begin(&run, call_run);
	EVENTUALLY(ttd_recv(dev, buf, sizeof(buf), 0) == -EBUSY);
	ck_assert_int_eq(run_result(dev, 0), -EBUSY);
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, NULL), -EBUSY);
	ck_assert_int_eq(ttd_take_fd(dev, 0), -EBUSY);
	ck_assert_int_eq(run_result(dev, 2), -EINVAL);
	ck_assert_int_eq(ttd_run(dev, 1, NULL, NULL), -EINVAL);
	ttd_close(dev);
	pthread_join(run.thread, NULL);
	ttd_free(dev);

	dev = open_bare(2, 1);
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &run.count), 0);
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 0), -EBUSY);
	ck_assert_int_eq(run_result(dev, 1), -EBUSY);
	ck_assert_int_eq(ttd_take_fd(dev, 1), -EBUSY);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	ck_assert_int_eq(ttd_recv(dev, buf, sizeof(buf), 0), -EAGAIN);
	ttd_free(dev);
}
END_TEST

/*
 * Threads "ttd-..." that block all signals: but KILL and STOP, and the C
 * library's own 32 and 33.
 */
static int quiet_threads(void)
{
	FILE *f = popen("cat /proc/$PPID/task/*/status | "
			"awk '/^Name:/ { mine = $2 ~ /^ttd-/ } "
			"/^SigBlk/ && mine && $2 == \"fffffffe7ffbfeff\" "
			"{ n++ } END { print n + 0 }'", "r");
	int n = -1;

	ck_assert_int_eq(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

START_TEST(threads_are_quiet)
{
	struct ttd_device *dev = open_device(TTD_TUN, 3, 1);
	atomic_int n = 0;

	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n), 0);
	EVENTUALLY(threads() == 3);
	/* With the one that looks after the lease. */
	EVENTUALLY(quiet_threads() == 4);
	ck_assert_int_eq(control_threads(), 1);
	ttd_free(dev);
	EVENTUALLY(threads() == 0 && control_threads() == 0);
}
END_TEST

START_TEST(no_thread_to_be_had)
{
#ifndef INTERPOSE
	printf("SKIP no_thread_to_be_had: not with a sanitizer\n");
#else
	struct ttd_device *dev = open_device(TTD_TUN, 4, 1);
	atomic_int n = 0;

	knock(1, 1, 1);
	for (int i = 0; i < 4; i++) {
		threads_allowed = i;
		ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n),
				 -EAGAIN);
		EVENTUALLY(threads() == 0);
	}
	ck_assert_int_eq(n, 0);
	threads_allowed = 4;
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n), 0);
	EVENTUALLY(threads() == 4);
	EVENTUALLY(n == 1);
	ttd_free(dev);
#endif
}
END_TEST

START_TEST(nothing_is_allocated_per_packet)
{
#ifndef INTERPOSE
	printf("SKIP nothing_is_allocated_per_packet: the sanitizer allocates\n");
#else
	struct ttd_device *a = open_device(TTD_TUN, 1, 1);
	struct ttd_device *b = open_device(TTD_TUN, 1, 2);
	struct call recv = { .dev = b };
	struct call run = { .dev = open_device(TTD_TUN, 1, 3) };
	atomic_int n = 0;
	int all = 10;

	ck_assert_int_eq(ttd_set_handler(a, count_handler, &n), 0);
	begin(&recv, call_recv);
	begin(&run, call_run);
	for (int i = 0; i < 3; i++)
		knock(i + 1, 10, 10);
	EVENTUALLY(n == 10 && recv.count == 10 && run.count == 10);
	not_me = true;
	counting = true;
	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < 3; k++)
			knock(k + 1, 100, 10);
		/* all, before the devices' queues overflow */
		all += 100;
		EVENTUALLY(n == all && recv.count == all && run.count == all);
		not_me = false;
		ttd_send(a, packet, 28);
		not_me = true;
	}
	ck_assert_int_eq(allocations, 0);
	not_me = false;
	free(*(void *volatile *)&(void *){ malloc(1) });
	counting = false;
	ck_assert_int_eq(allocations, 1);	/* so it does count */
	ttd_free(a);
	ttd_free(b);
	ttd_free(run.dev);
	pthread_join(recv.thread, NULL);
	pthread_join(run.thread, NULL);
#endif
}
END_TEST

/* The raw fd, and children */

START_TEST(the_fd_is_taken)
{
	int before = fds_open(), fd, number;
	struct ttd_device *dev = open_bare(1, 1);
	struct call recv = { .dev = dev };
	atomic_int n = 0;
	char name[TTD_NAME_MAX], now[TTD_NAME_MAX], buf[100];

	ttd_name(dev, name);
	begin(&recv, call_recv);
	nap(30);
	ck_assert_int_eq(ttd_take_fd(dev, 0), -EBUSY);
	ck_assert_int_eq(ttd_take_fd(dev, 1), -EINVAL);
	ttd_close(dev);
	pthread_join(recv.thread, NULL);
	ttd_free(dev);

	dev = open_bare(1, 1);
	ttd_name(dev, name);
	number = ttd_fd(dev, 0);
	/* a push thread that waits without a handler is not in the way */
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n), 0);
	knock(1, 1, 1);
	EVENTUALLY(n == 1);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	limit_fds(0);
	fd = ttd_take_fd(dev, 0);
	limit_fds(1024);
	ck_assert_int_eq(fd, -EMFILE);
	fd = ttd_take_fd(dev, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fd, number);
	ck_assert(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	knock(1, 1, 10);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 38);
	ck_assert_int_eq(buf[0], 0x45);
	ck_assert_int_eq(write(fd, packet, 28), 28);
	ck_assert_int_eq(ttd_send(dev, packet, 28), -ESHUTDOWN);
	ck_assert_int_eq(ttd_recv(dev, buf, 1, 0), -ESHUTDOWN);
	ck_assert_int_eq(run_result(dev, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n), -ESHUTDOWN);
	ck_assert_int_eq(ttd_take_fd(dev, 0), -ESHUTDOWN);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	/* nobody can ask the kernel any more, but the daemon tells */
	must("ip link set %s down; ip link set %s name other0", name, name);
	EVENTUALLY(ttd_name(dev, now) == 0 && strcmp(now, "other0") == 0);
	must("ip link set other0 name %s", name);
	/* the push thread has gone with the packet, and reads no more */
	EVENTUALLY(threads() == 0);
	ck_assert_int_eq(n, 1);
	ttd_free(dev);
	ck_assert(exists(name));
	close(fd);
	ck_assert(!exists(name));
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

/* What the library splits and joins is nobody else's to read. */
START_TEST(no_fd_is_taken_that_needs_the_library)
{
	struct ttd_device *dev = open_device(TTD_TUN, 1, 1);

	ck_assert_int_eq(ttd_take_fd(dev, 0), -EOPNOTSUPP);
	ttd_free(dev);
}
END_TEST

START_TEST(one_of_two_fds_is_taken)
{
	int before = fds_open(), fd, one = 1;
	struct ttd_device *dev = open_bare(2, 1);
	struct call run = { .dev = dev };
	char name[TTD_NAME_MAX];
	pthread_t t;

	fd = ttd_take_fd(dev, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &run.count), 0);
	EVENTUALLY(threads() == 1);
	t = flood_begin(&one);
	EVENTUALLY(run.count > 10);
	ck_assert_int_eq(ttd_name(dev, name), 0);
	flood_end(t);
	ttd_close(dev);
	ck_assert(exists(name));
	ttd_free(dev);
	close(fd);
	ck_assert(!exists(name));
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(a_child_leaves_the_lease_alone)
{
	struct ttd_device *dev = open_device(TTD_TUN, 2, 1);
	struct ttd_device *idle = open_device(TTD_TUN, 1, 2);
	int one = 1, status;
	atomic_int n = 0;
	char name[TTD_NAME_MAX];
	pthread_t t = flood_begin(&one);

	ck_assert_int_eq(ttd_set_handler(dev, count_handler, &n), 0);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			int mine = fds_open();

			ttd_free(dev);
			ttd_free(idle);
			/* 2 queues, socket, dead, done twice; 1 and so on */
			_exit(fds_open() == mine - 11 ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	flood_end(t);
	nap(50);
	n = 0;
	knock(1, 3, 10);
	EVENTUALLY(n == 3);
	ck_assert_int_eq(ttd_send(idle, packet, 28), 0);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ttd_name(idle, name);
	ttd_free(dev);
	ttd_free(idle);
	ck_assert(!exists(name));
}
END_TEST

START_TEST(devices_one_after_another)
{
	int before = fds_open();

	for (int i = 0; i < 40; i++)
		ttd_free(open_device(i % 2 ? TTD_TUN : TTD_TAP, 1, 1));
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("library on real devices");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, facts);
	tcase_add_test(t, hwaddr_follows);
	tcase_add_test(t, packets_in_and_out);
	tcase_add_test(t, too_small_a_buffer_is_told);
	tcase_add_test(t, recv_waits_as_long_as_told);
	tcase_add_test(t, bad_packets_end_nothing);
	tcase_add_test(t, close_wakes_all);
	tcase_add_test(t, free_waits_for_calls);
#ifdef INTERPOSE
	tcase_add_loop_test(t, free_waits_for_who_is_about_to_wait, 0, 2);
#endif
	tcase_add_test(t, free_waits_for_handlers);
	tcase_add_test(t, an_ended_device_waits_for_its_handler);
	tcase_add_test(t, a_wire_whose_ends_have_ended_comes_apart);
	tcase_add_test(t, a_busy_device_waits_for_its_handler);
	tcase_add_test(t, close_in_the_handler);
	tcase_add_test(t, end_in_the_handler_of_run);
	tcase_add_test(t, free_in_the_handler);
	tcase_add_loop_test(t, close_under_a_lowered_limit, 0, 4);
	tcase_add_test(t, many_close_at_once);
	tcase_add_test(t, numbers_are_not_used_again);
	tcase_add_test(t, signals_end_nothing);
	tcase_add_test(t, deleted_under_the_reader);
	tcase_add_test(t, down_is_not_the_end);
	tcase_add_test(t, packets_wait_for_a_handler);
	tcase_add_test(t, old_handlers_do_not_run);
	tcase_add_test(t, set_in_the_handler);
	tcase_add_test(t, send_is_a_handler);
	tcase_add_test(t, the_longest_frame_crosses_a_wire);
	tcase_add_test(t, one_way_of_reading_at_a_time);
	tcase_add_test(t, threads_are_quiet);
	tcase_add_test(t, no_thread_to_be_had);
	tcase_add_test(t, nothing_is_allocated_per_packet);
	tcase_add_test(t, the_fd_is_taken);
	tcase_add_test(t, no_fd_is_taken_that_needs_the_library);
	tcase_add_test(t, one_of_two_fds_is_taken);
	tcase_add_test(t, a_child_leaves_the_lease_alone);
	tcase_add_test(t, devices_one_after_another);
	suite_add_tcase(s, t);
	return live_main("library", s);
}
