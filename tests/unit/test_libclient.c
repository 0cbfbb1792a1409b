/*
 * The library against daemons that are not right: a thread of the test plays
 * the daemon on a socket in a temporary directory.  Its "devices" are ends of
 * socket pairs, good enough for what has to be refused.  Real devices are in
 * tests/live.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../libclient/tuntapd.h"
#include "../../proto/frame.h"
#include "../rings.h"

/* The daemon that is played. */

static char dir[] = "/tmp/ttd-unit-XXXXXX";	/* made and removed by main */
static char path[64];
static int listener;
static pthread_t daemon_thread;
static struct wire_message asked;	/* the request it got */
static void (*play)(int conn);		/* what it does then */
static int hold = -1;			/* a connection it keeps open */

static int fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void *daemon_main(void *unused)
{
	struct frame_in in = FRAME_IN_INIT;
	int conn = accept(listener, NULL, NULL);

	(void)unused;
	if (conn < 0)
		return NULL;
	if (frame_receive(&in, conn, WIRE_FROM_CLIENT, 0) == 1)
		wire_decode(in.frame, in.header.length, &asked, NULL);
	frame_in_reset(&in);
	play(conn);
	if (hold != conn)
		close(conn);
	return NULL;
}

static void make_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	unlink(path);		/* of a test that failed */
	strcpy(a.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void start(void (*what)(int))
{
	play = what;
	ck_assert_int_eq(listen(listener, 4), 0);
	ck_assert_int_eq(pthread_create(&daemon_thread, NULL, daemon_main,
					NULL), 0);
}

static void say(int conn, const struct wire_message *m, int n_fds)
{
	static uint8_t buf[WIRE_FRAME_MAX];
	int len = wire_encode(m, buf, sizeof(buf));
	int fds[WIRE_QUEUES_MAX];
	size_t off = 0;

	ck_assert_int_gt(len, 0);
	for (int i = 0; i < n_fds; i++) {
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
		fds[i] = pair[0];
		close(pair[1]);
	}
	frame_send(conn, buf, (size_t)len, &off, fds, (unsigned)n_fds);
	for (int i = 0; i < n_fds; i++)
		close(fds[i]);
}

static struct wire_message good_answer(void)
{
	struct wire_message m = { .type = WIRE_OPENED, .id = asked.id };

	strcpy(m.opened.name, "tun77");
	m.opened.ifindex = 77;
	m.opened.mtu = 1400;
	m.opened.queues = asked.open.queues;
	return m;
}

static struct ttd_options options_for(uint32_t layer)
{
	struct ttd_options o = TTD_OPTIONS_INIT(layer);

	o.socket_path = path;
	o.timeout_ms = 2000;
	return o;
}

/* Opens, expects this error with that in its text, and no fd left over. */
static struct ttd_error refuse(const struct ttd_options *o, int code,
			       const char *text)
{
	struct ttd_device *dev = (struct ttd_device *)&asked;
	struct ttd_error e = { 0 };
	int r = ttd_open(o, &dev, &e);

	ck_assert_msg(r == code, "%d, not %d: %s", r, code, e.text);
	ck_assert_int_eq(e.code, code);
	ck_assert_ptr_eq(dev, (struct ttd_device *)&asked);
	ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" not in \"%s\"",
		      text, e.text);
	ck_assert_int_eq(ttd_open(o, &dev, NULL) < 0, 1);
	return e;
}

/* One fault of the daemon. */
static void refuse_played(void (*what)(int), uint32_t queues, int code,
			  const char *text)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev = NULL;
	struct ttd_error e = { 0 };
	int before, r;

	make_socket();
	before = fds_open();
	start(what);
	o.queues = queues;
	o.timeout_ms = code == -ETIMEDOUT ? 200 : 5000;
	r = ttd_open(&o, &dev, &e);
	pthread_join(daemon_thread, NULL);
	ck_assert_msg(r == code, "%d, not %d: %s", r, code, e.text);
	ck_assert_int_eq(e.code, code);
	ck_assert_ptr_null(dev);
	ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" not in \"%s\"",
		      text, e.text);
	ck_assert_str_ne(e.step, "");
	if (hold >= 0)
		close(hold);
	ck_assert_int_eq(fds_open(), before);
}

/* Faults of the daemon */

static void play_version(int conn)
{
	uint8_t frame[] = { 9, 0, 0, 0, 200, WIRE_OPENED, 1, 0, 0 };

	ck_assert_int_eq(write(conn, frame, sizeof(frame)), sizeof(frame));
}

static void play_older(int conn)
{
	uint8_t frame[] = { 9, 0, 0, 0, WIRE_VERSION - 1, WIRE_OPENED, 1, 0,
			    0 };

	ck_assert_int_eq(write(conn, frame, sizeof(frame)), sizeof(frame));
}

static void play_garbage(int conn)
{
	const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	ck_assert_int_gt(write(conn, text, sizeof(text)), 0);
}

/* A header of our version; type and length as given. */
static void say_header(int conn, uint32_t len, uint8_t type)
{
	uint8_t h[8] = { (uint8_t)len, (uint8_t)(len >> 8),
			 (uint8_t)(len >> 16), (uint8_t)(len >> 24),
			 WIRE_VERSION, type, 1, 0 };

	ck_assert_int_eq(write(conn, h, sizeof(h)), sizeof(h));
}

static void play_unknown_type(int conn)
{
	say_header(conn, 8, 77);
}

static void play_too_long(int conn)
{
	say_header(conn, 1u << 30, WIRE_OPENED);
}

static void play_as_client(int conn)
{
	say_header(conn, 8, WIRE_STATUS);
}

static void play_half(int conn)
{
	say_header(conn, 40, WIRE_OPENED);
	ck_assert_int_eq(write(conn, "abc", 3), 3);
}

static void play_broken(int conn)
{
	uint8_t body[2] = { 200, 0 };	/* a name of 200 bytes */

	say_header(conn, 10, WIRE_OPENED);
	ck_assert_int_eq(write(conn, body, sizeof(body)), sizeof(body));
}

static void play_close(int conn)
{
	(void)conn;
}

static void play_silence(int conn)
{
	hold = conn;
}

static void play_half_silence(int conn)
{
	say_header(conn, 40, WIRE_OPENED);
	hold = conn;
}

static void play_too_many_fds(int conn)
{
	struct wire_message m = good_answer();

	say(conn, &m, asked.open.queues + 1);
}

static void play_too_many_fds_told(int conn)
{
	struct wire_message m = good_answer();

	m.opened.queues++;
	say(conn, &m, m.opened.queues);
}

static void play_too_few_fds(int conn)
{
	struct wire_message m = good_answer();

	say(conn, &m, asked.open.queues - 1);
}

static void play_too_few_queues(int conn)
{
	struct wire_message m = good_answer();

	m.opened.queues--;
	say(conn, &m, m.opened.queues);
}

static void play_wrong_id(int conn)
{
	struct wire_message m = good_answer();

	m.id++;
	say(conn, &m, m.opened.queues);
}

static void play_done(int conn)
{
	struct wire_message m = { .type = WIRE_DONE, .id = asked.id };

	say(conn, &m, 0);
}

static void play_refused_with_fd(int conn)
{
	struct wire_message m = { .type = WIRE_REFUSED, .id = asked.id };

	say(conn, &m, 1);
}

static void play_shell_name(int conn)
{
	struct wire_message m = good_answer();

	strcpy(m.opened.name, "`touch x`");
	say(conn, &m, m.opened.queues);
}

static void play_no_index(int conn)
{
	struct wire_message m = good_answer();

	m.opened.ifindex = 0;
	say(conn, &m, m.opened.queues);
}

static void play_offload(int conn)
{
	struct wire_message m = good_answer();

	m.opened.vnet_hdr = 2;
	say(conn, &m, m.opened.queues);
}

static const struct {
	void (*play)(int);
	uint32_t queues;
	int code;
	const char *text;
} faults[] = {
	{ play_version, 1, -EPROTONOSUPPORT, "speaks version 200" },
	{ play_version, 1, -EPROTONOSUPPORT, "is newer than this library" },
	{ play_older, 1, -EPROTONOSUPPORT, "is older than this library" },
	{ play_garbage, 1, -EPROTO, "not tuntapd" },
	{ play_unknown_type, 1, -EPROTO, "type 77" },
	{ play_too_long, 1, -EPROTO, "not tuntapd" },
	{ play_as_client, 1, -EPROTO, "not tuntapd" },
	{ play_half, 1, -EPIPE, "inside its answer" },
	{ play_broken, 1, -EPROTO, "opened.name" },
	{ play_close, 1, -EPIPE, "without an answer" },
	{ play_silence, 1, -ETIMEDOUT, "within 200 ms" },
	{ play_half_silence, 1, -ETIMEDOUT, "within 200 ms" },
	{ play_too_many_fds, 1, -EPROTO, "more fds than the 1" },
	{ play_too_many_fds, 2, -EPROTO, "more fds than the 2" },
	{ play_too_many_fds, 63, -EPROTO, "more fds than the 63" },
	{ play_too_many_fds_told, 1, -EPROTO, "more fds than the 1" },
	{ play_too_few_fds, 1, -EPROTO, "0 fds for 1 queues" },
	{ play_too_few_fds, 3, -EPROTO, "2 fds for 3 queues" },
	{ play_too_few_queues, 3, -EPROTO, "2 fds for 2 queues, where 3" },
	{ play_wrong_id, 2, -EPROTO, "answered request 2" },
	{ play_done, 1, -EPROTO, "the message done" },
	{ play_refused_with_fd, 1, -EPROTO, "sent more fds" },
	{ play_shell_name, 1, -EPROTO, "without the name asked for" },
	{ play_no_index, 1, -EPROTO, "without the name asked for" },
	{ play_offload, 1, -EPROTO, "offload nobody asked for" },
};

START_TEST(daemon_faults)
{
	refuse_played(faults[_i].play, faults[_i].queues, faults[_i].code,
		      faults[_i].text);
}
END_TEST

/* Refusals */

static uint16_t refusal;

static void play_refusal(int conn)
{
	struct wire_message m = { .type = WIRE_REFUSED, .id = asked.id };

	m.refused.code = refusal;
	strcpy(m.refused.step, "policy");
	memset(m.refused.text, 'x', WIRE_TEXT_MAX);
	strcpy(m.refused.rule, "/etc/tuntapd/policy.d/10-a.conf:7");
	say(conn, &m, 0);
}

static void expect_refusal(int code)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev = NULL;
	struct ttd_error e;
	int before = fds_open();

	start(play_refusal);
	ck_assert_int_eq(ttd_open(&o, &dev, &e), code);
	pthread_join(daemon_thread, NULL);
	ck_assert_int_eq(e.code, code);
	ck_assert_str_eq(e.step, "policy");
	ck_assert_uint_eq(strlen(e.text), WIRE_TEXT_MAX);
	ck_assert_str_eq(e.rule, "/etc/tuntapd/policy.d/10-a.conf:7");
	ck_assert_int_eq(fds_open(), before);
}

START_TEST(refusals_become_errors)
{
	make_socket();
#define ERROR(NAME, num, err, doc) refusal = num; expect_refusal(-err);
#include "../../proto/errors.def"
	refusal = 9999;
	expect_refusal(-EIO);
}
END_TEST

static void *refuse_at_once(void *unused)
{
	struct wire_message m = { .type = WIRE_REFUSED, .id = 0 };
	int conn = accept(listener, NULL, NULL);

	(void)unused;
	m.refused.code = WIRE_E_FULL;
	say(conn, &m, 0);
	close(conn);
	return NULL;
}

/* A daemon with too many connections answers and closes without reading. */
START_TEST(refused_before_it_was_asked)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	make_socket();
	ck_assert_int_eq(listen(listener, 4), 0);
	for (int i = 0; i < 50; i++) {
		pthread_create(&daemon_thread, NULL, refuse_at_once, NULL);
		ck_assert_int_eq(ttd_open(&o, &dev, &e), -EUSERS);
		ck_assert_str_eq(e.text, "too many connections");
		pthread_join(daemon_thread, NULL);
	}
}
END_TEST

/* What is asked, and what comes of a good answer */

static void play_good(int conn)
{
	struct wire_message m = good_answer();

	m.opened.vnet_hdr = asked.open.vnet_hdr == WIRE_VNET_YES;
	if (asked.open.name[0])
		strcpy(m.opened.name, asked.open.name);
	say(conn, &m, m.opened.queues);
	hold = conn;
}

static void prefix(struct ttd_prefix *p, const char *text)
{
	ck_assert_int_eq(ttd_prefix_parse(text, p), 0);
}

static struct ttd_device *open_good(const struct ttd_options *o)
{
	struct ttd_device *dev = NULL;
	struct ttd_error e = { 0 };
	int r;

	start(play_good);
	r = ttd_open(o, &dev, &e);
	ck_assert_msg(r == 0, "%s", e.text);
	pthread_join(daemon_thread, NULL);
	return dev;
}

START_TEST(everything_is_asked_for)
{
	struct ttd_options o = options_for(TTD_TAP);
	struct ttd_addr a[2] = { { .flags = TTD_ADDR_NODAD } };
	struct ttd_route r = { .metric = 9 };
	struct ttd_device *dev;
	char text[PREFIX_TEXT_MAX];
	int before;

	make_socket();
	before = fds_open();
	prefix(&a[0].local, "fd00::1/64");
	prefix(&a[1].local, "10.0.0.1");
	prefix(&a[1].peer, "10.0.0.2/30");
	prefix(&r.dst, "10.9.0.0/16");
	prefix(&r.gateway, "10.0.0.2");
	o.flags = TTD_DOWN | TTD_MAC_SET | TTD_NAME_EXACT | TTD_NO_THREAD;
	o.name = "fifteen-letters";
	o.addrs = a;
	o.n_addrs = 2;
	o.routes = &r;
	o.n_routes = 1;
	o.mtu = 1400;
	o.queues = 3;
	o.txqueuelen = 700;
	memcpy(o.mac, "\2\0\0\0\0\1", 6);
	dev = open_good(&o);
	ck_assert_int_eq(asked.open.layer, WIRE_TAP);
	ck_assert_int_eq(asked.open.vnet_hdr, WIRE_VNET_IF_ALLOWED);
	ck_assert_uint_eq(asked.open.flags,
			  WIRE_OPEN_DOWN | WIRE_OPEN_MAC_SET);
	ck_assert_str_eq(asked.open.name, "fifteen-letters");
	ck_assert_mem_eq(asked.open.mac, o.mac, 6);
	ck_assert_uint_eq(asked.open.mtu, 1400);
	ck_assert_uint_eq(asked.open.txqueuelen, 700);
	ck_assert_uint_eq(asked.open.queues, 3);
	ck_assert_uint_eq(asked.open.n_addresses, 2);
	ck_assert_str_eq(prefix_format(&asked.open.addresses[0].local, text),
			 "fd00::1/64");
	ck_assert_uint_eq(asked.open.addresses[0].flags, WIRE_ADDRESS_NODAD);
	ck_assert_uint_eq(asked.open.addresses[0].peer.family, 0);
	ck_assert_str_eq(prefix_format(&asked.open.addresses[1].local, text),
			 "10.0.0.1/32");
	ck_assert_str_eq(prefix_format(&asked.open.addresses[1].peer, text),
			 "10.0.0.2/30");
	ck_assert_uint_eq(asked.open.n_routes, 1);
	ck_assert_str_eq(prefix_format(&asked.open.routes[0].dst, text),
			 "10.9.0.0/16");
	ck_assert_str_eq(prefix_format(&asked.open.routes[0].gateway, text),
			 "10.0.0.2/32");
	ck_assert_uint_eq(asked.open.routes[0].metric, 9);
	ttd_free(dev);
	close(hold);
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(facts_of_an_open_device)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error why;
	struct pollfd p = { .events = POLLIN };
	char name[TTD_NAME_MAX];

	make_socket();
	o.queues = 2;
	dev = open_good(&o);
	ck_assert_uint_eq(ttd_ifindex(dev), 77);
	ck_assert_uint_eq(ttd_queues(dev), 2);
	ck_assert_int_eq(ttd_name(dev, name), 0);
	ck_assert_str_eq(name, "tun77");
	ck_assert_int_eq(ttd_offload(dev), TTD_OFFLOAD_NONE);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_OPEN);
	ck_assert_int_eq(why.code, 0);
	for (unsigned i = 0; i < 2; i++) {
		int fd = ttd_fd(dev, i);

		ck_assert_int_ge(fd, 0);
		ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
		ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	ck_assert_int_eq(ttd_fd(dev, 2), -EINVAL);
	ck_assert(fcntl(ttd_done_fd(dev), F_GETFD) & FD_CLOEXEC);
	p.fd = ttd_done_fd(dev);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_CLOSED);
	ck_assert_int_eq(why.code, 0);
	ck_assert(fcntl(ttd_fd(dev, 0), F_GETFD) & FD_CLOEXEC);
	/* the connection is at its end too: the lease */
	p.fd = hold;
	ck_assert_int_eq(poll(&p, 1, 1000), 1);
	ck_assert_int_eq(read(hold, name, 1), 0);
	ttd_free(dev);
}
END_TEST

static int handler(void *arg, void *buf, size_t len)
{
	(void)arg;
	(void)buf;
	(void)len;
	return 0;
}

/* With PASS packets are more than one that is told a buffer can know. */
START_TEST(pass_is_for_batches_and_the_raw_fd)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	char b = 0x45;
	int fd;

	make_socket();
	o.offload = TTD_OFFLOAD_PASS;
	dev = open_good(&o);
	ck_assert_int_eq(asked.open.vnet_hdr, 1);
	ck_assert_int_eq(ttd_offload(dev), TTD_OFFLOAD_PASS);
	ck_assert_int_eq(ttd_recv(dev, &b, 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_set_handler(dev, handler, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_run(dev, 0, handler, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_set_handler(dev, NULL, NULL), 0);
	fd = ttd_take_fd(dev, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	close(fd);
	ttd_free(dev);
}
END_TEST

/* A read that gives nothing, or an fd that is no tun at all, is no spin. */
START_TEST(an_fd_that_is_no_tun_fails)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error why;
	char b = 0x45;

	make_socket();
	dev = open_good(&o);
	/* the other end is closed: ENOTCONN or ECONNREFUSED */
	ck_assert_int_eq(ttd_send(dev, &b, 1), -ESHUTDOWN);
	ck_assert_int_eq(ttd_status(dev, &why), TTD_IO_FAILED);
	ck_assert_int_lt(why.code, 0);
	ck_assert_ptr_nonnull(strstr(why.text, "writing to the device tun77"));
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_IO_FAILED);
	ttd_free(dev);
}
END_TEST

/* Connecting */

START_TEST(nobody_there)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_error e;
	char longer[200];
	int before = fds_open();

	strcpy(path, "/nonexistent/tuntapd.sock");
	e = refuse(&o, -ENOENT, "/nonexistent/tuntapd.sock");
	ck_assert_str_eq(e.step, "connect");
	ck_assert_ptr_nonnull(strstr(e.text, "TUNTAPD_SOCKET"));
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	o.socket_path = longer;
	refuse(&o, -ENAMETOOLONG, "199 bytes; the system's limit is 107");
	longer[108] = '\0';
	refuse(&o, -ENAMETOOLONG, "108 bytes");
	longer[107] = '\0';
	refuse(&o, -ENOENT, longer);
	o.socket_path = "";
	refuse(&o, -EINVAL, "empty");
	setenv("TUNTAPD_SOCKET", "/nonexistent/from-env", 1);
	o.socket_path = NULL;
	refuse(&o, -ENOENT, "/nonexistent/from-env");
	setenv("TUNTAPD_SOCKET", "", 1);
	/* Who has a daemon of his own running tests as well. */
	if (access(TUNTAPD_SOCKET_PATH, F_OK) < 0)
		refuse(&o, -ENOENT, "tuntapd.sock");
	ck_assert_int_eq(fds_open(), before);
}
END_TEST

START_TEST(nobody_listens)
{
	struct ttd_options o = options_for(TTD_TUN);

	make_socket();
	refuse(&o, -ECONNREFUSED, path);
}
END_TEST

START_TEST(no_way_in)
{
	struct ttd_options o = options_for(TTD_TUN);

	if (geteuid() != 0) {
		printf("SKIP no_way_in: needs root to give rights up\n");
		return;
	}
	make_socket();	/* mkdtemp(3) made the directory for us alone */
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	refuse(&o, -EACCES, "no permission");
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(backlog_is_full)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev, *waiting;
	struct ttd_error e;

	make_socket();
	o.timeout_ms = 100;
	ck_assert_int_eq(listen(listener, 0), 0);
	ck_assert_int_eq(ttd_open(&o, &waiting, &e), -ETIMEDOUT);
	ck_assert_str_eq(e.step, "answer");
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -ETIMEDOUT);
	ck_assert_str_eq(e.step, "connect");
	ck_assert_ptr_nonnull(strstr(e.text, "backlog"));
}
END_TEST

/* After that poll(2) fails, whatever there is to wait for. */
static void play_under_no_limit(int conn)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &l);
	ck_assert_int_eq(write(conn, "", 1), 1);
	hold = conn;
}

START_TEST(a_limit_is_lowered_while_it_waits)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;
	struct rlimit old;

	getrlimit(RLIMIT_NOFILE, &old);
	make_socket();
	o.timeout_ms = 300;
	start(play_under_no_limit);
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -ETIMEDOUT);
	ck_assert_str_eq(e.step, "answer");
	pthread_join(daemon_thread, NULL);
	/* A sanitizer opens files at its end. */
	setrlimit(RLIMIT_NOFILE, &old);
}
END_TEST

static void on_alarm(int sig)
{
	(void)sig;
}

static void play_slow(int conn)
{
	struct wire_message m = good_answer();
	static uint8_t buf[WIRE_FRAME_MAX];
	int len = wire_encode(&m, buf, sizeof(buf)), fds[2];
	size_t off = 0;

	poll(NULL, 0, 100);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	frame_send(conn, buf, WIRE_HEADER_LEN, &off, fds, 1);
	close(fds[0]);
	close(fds[1]);
	for (int i = WIRE_HEADER_LEN; i < len; i++) {
		poll(NULL, 0, 2);
		ck_assert_int_eq(write(conn, buf + i, 1), 1);
	}
	hold = conn;
}

START_TEST(signals_do_not_disturb)
{
	struct itimerval storm = { { 0, 500 }, { 0, 500 } };
	struct sigaction act = { .sa_handler = on_alarm };
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev = NULL;
	sigset_t alarms;
	struct ttd_error e;
	int r;

	make_socket();
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	start(play_slow);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &storm, NULL);
	r = ttd_open(&o, &dev, &e);
	storm = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &storm, NULL);
	ck_assert_msg(r == 0, "%s", e.text);
	pthread_join(daemon_thread, NULL);
	ttd_free(dev);
}
END_TEST

#define QUEUES		4
#define SPARE_FDS	16	/* more than an open takes, without rings */

/*
 * At each number of fds that are left it opens, or says why not.  Whatever it is
 * that it lacks a descriptor for, nothing stays open.
 */
static void open_out_of_fds(uint32_t flags)
{
	/* A queue has two rings. */
	const int spare_fds = SPARE_FDS + (flags ? 2 * QUEUES : 0);
	struct ttd_options o = options_for(TTD_TUN);
	struct rlimit old, few;
	int before, failed = 0;
	pid_t child;

	o.flags = flags;
	make_socket();
	ck_assert_int_eq(listen(listener, 4), 0);
	play = play_good;
	child = fork();		/* a daemon with a limit of its own */
	while (child == 0) {
		daemon_main(NULL);
		if (hold >= 0)
			close(hold);
		hold = -1;
	}
	before = fds_open();
	o.queues = QUEUES;
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	for (int left = 0; left < spare_fds; left++) {
		struct ttd_device *dev = NULL;
		struct ttd_error e = { 0 };
		int spare = dup(0), r;

		few.rlim_cur = (rlim_t)(spare + left);
		close(spare);
		setrlimit(RLIMIT_NOFILE, &few);
		r = ttd_open(&o, &dev, &e);
		setrlimit(RLIMIT_NOFILE, &old);
		ck_assert_msg(r == 0 || r == -EMFILE, "%d: %s", r, e.text);
		failed += r < 0;
		ttd_free(dev);
		ck_assert_int_eq(fds_open(), before);
	}
	/* a pipe's end, a pipe, a socket, the queues */
	ck_assert_int_ge(failed, spare_fds - 8);
	ck_assert_int_lt(failed, spare_fds);
	kill(child, SIGKILL);
}

START_TEST(out_of_fds)
{
	open_out_of_fds(0);
}
END_TEST

START_TEST(out_of_fds_with_rings)
{
	if (have_rings("out_of_fds_with_rings", false))
		open_out_of_fds(TTD_IO_URING);
}
END_TEST

struct asker {
	struct ttd_device *dev;
	int number;
	atomic_int asked, wrong;
};

/* Until it is gone. */
static void *ask_for_fd(void *arg)
{
	struct asker *a = arg;
	int fd;

	while ((fd = ttd_fd(a->dev, 0)) >= 0) {
		a->wrong += fd != a->number;
		a->asked++;
	}
	a->wrong += fd != -ESHUTDOWN;
	return NULL;
}

/*
 * Above a lowered limit a number can be closed, but not be kept; whoever asks
 * meanwhile is told the one or the other.  By ttd_close(), and taken.
 */
START_TEST(the_fd_is_asked_for_while_it_goes)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct asker a = { .number = -1 };
	struct rlimit old, few;
	int filler[16], taken = -1;
	pthread_t t;

	make_socket();
	for (int i = 0; i < 16; i++)
		filler[i] = dup(0);
	a.dev = open_good(&o);
	a.number = ttd_fd(a.dev, 0);
	for (int i = 0; i < 16; i++)
		close(filler[i]);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)a.number;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, ask_for_fd, &a), 0);
	while (a.asked == 0)
		poll(NULL, 0, 1);
	if (_i == 0)
		ck_assert_int_eq(ttd_close(a.dev), 0);
	else
		taken = ttd_take_fd(a.dev, 0);
	pthread_join(t, NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(a.wrong, 0);
	ck_assert_int_eq(fcntl(a.number, F_GETFD), -1);
	if (_i == 1) {
		ck_assert_int_ge(taken, 0);
		ck_assert_int_lt(taken, a.number);
		close(taken);
	}
	ttd_free(a.dev);
}
END_TEST

/* Options */

START_TEST(sizes_of_options)
{
	struct {
		struct ttd_options o;
		uint8_t tail[64];
	} larger = { .o = TTD_OPTIONS_INIT(TTD_TUN) };
	struct ttd_device *dev;

	make_socket();
	larger.o.socket_path = path;
	larger.o.size = sizeof(larger);
	larger.tail[63] = 1;
	refuse(&larger.o, -EINVAL, "does not know");
	larger.tail[63] = 0;
	dev = open_good(&larger.o);
	ttd_free(dev);
	larger.o.size = sizeof(struct ttd_options) - 1;
	refuse(&larger.o, -EINVAL, "TTD_OPTIONS_INIT");
	larger.o.size = 0;
	refuse(&larger.o, -EINVAL, "TTD_OPTIONS_INIT");
	larger.o.size = (size_t)-1;
	refuse(&larger.o, -EINVAL, "TTD_OPTIONS_INIT");
}
END_TEST

#define BAD_OPTION(field, value, text) do { \
	struct ttd_options o_ = options_for(TTD_TUN); \
	o_.field = value; \
	refuse(&o_, -EINVAL, text); \
} while (0)

START_TEST(bad_values)
{
	BAD_OPTION(layer, 0, "layer is 0");
	BAD_OPTION(layer, 4, "layer is 4");
	BAD_OPTION(flags, 0x80000020, "0x80000020");
	BAD_OPTION(flags, TTD_MAC_SET, "only a TAP");
	BAD_OPTION(offload, 3, "offload is 3");
	BAD_OPTION(reserved[1], 1, "reserved");
	BAD_OPTION(reserved2, 1, "reserved");
	BAD_OPTION(timeout_ms, -2, "timeout_ms");
	BAD_OPTION(queues, WIRE_QUEUES_MAX + 1, "65 queues");
	BAD_OPTION(queues, 65537, "65537 queues");
	BAD_OPTION(name, "sixteen-letters-", "16 bytes");
	BAD_OPTION(n_addrs, 1, "addrs is NULL");
	BAD_OPTION(n_routes, 1, "routes is NULL");
}
END_TEST

START_TEST(bad_lists)
{
	static struct ttd_addr a[WIRE_ADDRESSES_MAX + 1], good_a;
	static struct ttd_route r[WIRE_ROUTES_MAX + 1], good_r;
	struct ttd_options o = options_for(TTD_TUN);

	prefix(&good_a.local, "10.0.0.1/24");
	prefix(&good_r.dst, "10.1.0.0/16");
	o.addrs = a;
	o.n_addrs = WIRE_ADDRESSES_MAX + 1;
	refuse(&o, -E2BIG, "65 addresses");
	o.n_addrs = 0;
	o.routes = r;
	/* Those that the open itself does not hold are looked at, too. */
	o.n_routes = WIRE_ROUTES_MAX + 1;
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++)
		r[i] = good_r;
	refuse(&o, -EINVAL, "routes[256].dst is missing");
	memset(r, 0, sizeof(r));
	o.n_routes = 0;

	o.n_addrs = 3;
	a[0] = a[1] = good_a;
	refuse(&o, -EINVAL, "addrs[2].local is missing");
	a[2] = good_a;
	a[1].local.len = 33;
	refuse(&o, -EINVAL, "addrs[1].local");
	a[1] = good_a;
	a[0].local.family = 2;
	refuse(&o, -EINVAL, "addrs[0].local is no prefix: family 2");
	a[0] = good_a;
	a[2].peer.len = 3;
	refuse(&o, -EINVAL, "addrs[2].peer has family 0");
	a[2].peer.family = 6;
	a[2].peer.len = 129;
	refuse(&o, -EINVAL, "addrs[2].peer");
	a[2] = good_a;
	a[2].flags = 2;
	refuse(&o, -EINVAL, "addrs[2] has an unknown flag");
	a[2] = good_a;
	a[2].reserved[2] = 1;
	refuse(&o, -EINVAL, "addrs[2]");
	a[2] = good_a;
	a[2].local.reserved[1] = 1;
	refuse(&o, -EINVAL, "addrs[2].local");
	a[2] = good_a;

	o.n_routes = 2;
	r[0] = good_r;
	refuse(&o, -EINVAL, "routes[1].dst is missing");
	r[1] = good_r;
	r[1].gateway.family = 5;
	refuse(&o, -EINVAL, "routes[1].gateway is no prefix: family 5");
	r[1] = good_r;
	r[1].flags = 1;
	refuse(&o, -EINVAL, "routes[1] has an unknown flag");
	r[1] = good_r;
	r[0].reserved[0] = 1;
	refuse(&o, -EINVAL, "routes[0]");
}
END_TEST

START_TEST(null_is_refused)
{
	struct ttd_options o = options_for(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;
	char b[TTD_NAME_MAX];

	ck_assert_int_eq(ttd_open(NULL, &dev, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "options"));
	ck_assert_int_eq(ttd_open(&o, NULL, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "ret"));
	ck_assert_int_eq(ttd_close(NULL), -EINVAL);
	ttd_free(NULL);
	ck_assert_int_eq(ttd_status(NULL, NULL), TTD_CLOSED);
	ck_assert_int_eq(ttd_done_fd(NULL), -EINVAL);
	ck_assert_int_eq(ttd_set_handler(NULL, handler, NULL), -EINVAL);
	ck_assert_int_eq(ttd_run(NULL, 0, handler, NULL), -EINVAL);
	ck_assert_int_eq(ttd_recv(NULL, b, 1, 0), -EINVAL);
	ck_assert_int_eq(ttd_send(NULL, b, 1), -EINVAL);
	ck_assert_int_eq(ttd_fd(NULL, 0), -EINVAL);
	ck_assert_int_eq(ttd_take_fd(NULL, 0), -EINVAL);
	ck_assert_int_eq(ttd_name(NULL, b), -EINVAL);
	ck_assert_int_eq(ttd_hwaddr(NULL, (uint8_t *)b), -EINVAL);
	ck_assert_uint_eq(ttd_ifindex(NULL), 0);
	ck_assert_uint_eq(ttd_queues(NULL), 0);
	ck_assert_int_eq(ttd_offload(NULL), TTD_OFFLOAD_NONE);
	ck_assert_str_ne(ttd_version(), "");
}
END_TEST

START_TEST(prefixes)
{
	struct ttd_prefix p = { { 0 }, 0, 0, { 0 } }, q;
	char text[TTD_PREFIX_TEXT_MAX];

	ck_assert_int_eq(ttd_prefix_format(&p, text, sizeof(text)), -EINVAL);
	prefix(&p, "10.0.0.1/24");
	ck_assert_int_eq(ttd_prefix_format(&p, text, sizeof(text)), 11);
	ck_assert_str_eq(text, "10.0.0.1/24");
	ck_assert_int_eq(ttd_prefix_format(&p, text, 12), 11);
	strcpy(text, "untouched");
	ck_assert_int_eq(ttd_prefix_format(&p, text, 11), -ENOSPC);
	ck_assert_int_eq(ttd_prefix_format(&p, text, 0), -ENOSPC);
	ck_assert_str_eq(text, "untouched");
	prefix(&p, "fd00::1");
	ck_assert_int_eq(ttd_prefix_format(&p, text, sizeof(text)), 11);
	ck_assert_str_eq(text, "fd00::1/128");
	q = p;
	ck_assert_int_eq(ttd_prefix_parse("10.0.0.1/33", &q), -EINVAL);
	ck_assert_int_eq(ttd_prefix_parse("", &q), -EINVAL);
	ck_assert_int_eq(ttd_prefix_parse(NULL, &q), -EINVAL);
	ck_assert_int_eq(ttd_prefix_parse("::1", NULL), -EINVAL);
	ck_assert_mem_eq(&p, &q, sizeof(p));
	p.family = 4;
	ck_assert_int_eq(ttd_prefix_format(&p, text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(ttd_prefix_format(NULL, text, 50), -EINVAL);
	ck_assert_int_eq(ttd_prefix_format(&q, NULL, 0), -EINVAL);
}
END_TEST

/* The ABI of 64-bit systems. */
_Static_assert(sizeof(struct ttd_prefix) == 20, "FROZEN");
_Static_assert(sizeof(struct ttd_addr) == 56, "FROZEN");
_Static_assert(sizeof(struct ttd_route) == 56, "FROZEN");
_Static_assert(sizeof(struct ttd_error) == 512, "FROZEN");
_Static_assert(sizeof(void *) != 8 || sizeof(struct ttd_packet) == 32,
	       "FROZEN");

int main(void)
{
	Suite *s = suite_create("libclient");
	TCase *t = tcase_create("protocol");
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/s", dir);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, daemon_faults, 0,
			    sizeof(faults) / sizeof(*faults));
	tcase_add_test(t, refusals_become_errors);
	tcase_add_test(t, refused_before_it_was_asked);
	tcase_add_test(t, everything_is_asked_for);
	tcase_add_test(t, facts_of_an_open_device);
	tcase_add_test(t, pass_is_for_batches_and_the_raw_fd);
	tcase_add_test(t, an_fd_that_is_no_tun_fails);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, nobody_listens);
	tcase_add_test(t, no_way_in);
	tcase_add_test(t, backlog_is_full);
	tcase_add_test(t, a_limit_is_lowered_while_it_waits);
	tcase_add_test(t, signals_do_not_disturb);
	tcase_add_test(t, out_of_fds);
	tcase_add_test(t, out_of_fds_with_rings);
	tcase_add_loop_test(t, the_fd_is_asked_for_while_it_goes, 0, 2);
	tcase_add_test(t, sizes_of_options);
	tcase_add_test(t, bad_values);
	tcase_add_test(t, bad_lists);
	tcase_add_test(t, null_is_refused);
	tcase_add_test(t, prefixes);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	unlink(path);
	rmdir(dir);
	return failed ? 1 : 0;
}
