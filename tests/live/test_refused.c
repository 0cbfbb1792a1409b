/*
 * Bad input: each kind has an error of its own that says what and what else,
 * and leaves nothing behind, neither on the host nor in the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/if_tun.h>

#include "harness.h"

static struct rig rig;

/* One open that must be refused so. */
struct refusal {
	const char *name;
	const char *address, *route, *gateway;
	uint32_t layer, mtu, queues, offload, flags, metric;
	int error;			/* -errno */
	const char *step;
	const char *says[2];		/* parts of the text */
	bool rule;			/* names file:line */
};

static int try_open(void *arg)
{
	const struct refusal *r = arg;
	struct ttd_options o = TTD_OPTIONS_INIT(r->layer ? r->layer : TTD_TUN);
	struct ttd_device *dev = NULL;
	struct ttd_addr addr = { .flags = 0 };
	struct ttd_route route = { .metric = r->metric };
	struct ttd_error e;
	int error;

	o.socket_path = rig.socket;
	o.name = r->name;
	o.mtu = r->mtu;
	o.queues = r->queues;
	o.offload = r->offload;
	o.flags = r->flags;
	if (r->address) {
		addr.local = prefix(r->address);
		o.addrs = &addr;
		o.n_addrs = 1;
	}
	if (r->route) {
		route.dst = prefix(r->route);
		if (r->gateway)
			route.gateway = prefix(r->gateway);
		o.routes = &route;
		o.n_routes = 1;
	}
	error = ttd_open(&o, &dev, &e);
	if (error == 0) {
		puts("it was opened");
		return 1;
	}
	printf("%d (%s) at %s: %s [%s]\n", error, strerror(-error), e.step,
	       e.text, e.rule);
	return error != r->error || e.code != error || dev != NULL ||
	       strcmp(e.step, r->step) != 0 || !strstr(e.text, r->says[0]) ||
	       (r->says[1] && !strstr(e.text, r->says[1])) ||
	       (e.rule[0] != '\0') != r->rule;
}

static const struct refusal refusals[] = {
	{ .name = "tt01234567890123", .error = -EINVAL, .step = "request",
	  .says = { "16 bytes", "15" } },
	{ .name = "tta/b", .error = -EINVAL, .step = "request",
	  .says = { "tta/b" } },
	{ .name = "tt%d", .error = -EINVAL, .step = "request",
	  .says = { "tt%d" } },
	{ .name = "tt\xff\xff", .error = -EINVAL, .step = "request",
	  .says = { "name" } },
	{ .name = "tt x", .error = -EINVAL, .step = "request",
	  .says = { "name" } },
	{ .name = "ttveth", .error = -EEXIST, .step = "name",
	  .says = { "ttveth", "another name" }, .rule = true },
	{ .name = "ttpersist", .error = -EEXIST, .step = "name",
	  .says = { "ttpersist", "another name" }, .rule = true },
	{ .name = "eth7", .error = -EACCES, .step = "policy",
	  .says = { "eth7" } },
	{ .address = "10.9.200.1/24", .error = -EADDRINUSE, .step = "address",
	  .says = { "10.9.200.1", "ttveth" } },
	{ .address = "fd09:0:200::1/64", .error = -EADDRINUSE, .step = "address",
	  .says = { "fd09:0:200::1", "ttveth" } },
	{ .address = "10.9.0.1/1", .error = -EACCES, .step = "policy",
	  .says = { "10.9.0.1/1" } },
	{ .address = "10.9.0.1/15", .error = -EACCES, .step = "policy",
	  .says = { "10.9.0.1/15", "10.9.0.0/16" }, .rule = true },
	{ .address = "127.0.0.2/8", .error = -EINVAL, .step = "request",
	  .says = { "127.0.0.2" } },
	{ .route = "10.20.0.1/16", .error = -EINVAL, .step = "request",
	  .says = { "10.20.0.1/16", "10.20.0.0/16" } },
	{ .route = "11.0.0.0/16", .error = -EACCES, .step = "policy",
	  .says = { "11.0.0.0/16", "10.0.0.0/8" }, .rule = true },
	{ .route = "0.0.0.0/0", .error = -EACCES, .step = "policy",
	  .says = { "0.0.0.0/0", "not inside" }, .rule = true },
	{ .route = "10.20.0.0/16", .metric = 5, .error = -EACCES,
	  .step = "policy", .says = { "metric", "1000" }, .rule = true },
	{ .address = "10.9.0.1/24", .route = "10.20.0.0/16",
	  .gateway = "10.77.0.1", .error = -ENETUNREACH, .step = "route",
	  .says = { "10.77.0.1", "gateway" } },
	{ .address = "fd09::1/64", .route = "fd20::/32", .gateway = "fd77::1",
	  .error = -ENETUNREACH, .step = "route",
	  .says = { "fd77::1", "gateway" } },
	{ .mtu = 1, .error = -EINVAL, .step = "request", .says = { "MTU", "68" } },
	{ .mtu = 67, .error = -EINVAL, .step = "request", .says = { "67", "68" } },
	{ .mtu = 70000, .error = -EINVAL, .step = "request",
	  .says = { "70000", "65535" } },
	{ .mtu = 1000, .address = "fd09::1/64", .error = -EINVAL,
	  .step = "request", .says = { "1000", "1280" } },
	{ .queues = 5, .error = -EACCES, .step = "policy",
	  .says = { "5", "4" }, .rule = true },
	{ .layer = 5, .error = -EINVAL, .step = "request", .says = { "layer" } },
	{ .flags = 1u << 20, .error = -EINVAL, .step = "request",
	  .says = { "flag" } },
};

static bool has_local_route(void *unused)
{
	(void)unused;
	return sh_status("ip -6 route show table local dev ttveth | "
			 "grep -q fd09:0:200::1") == 0;
}

/* A device, an interface of another kind, addresses that are taken. */
static void furnish_host(void)
{
	ck_assert_int_eq(sh_status("ip link add ttveth type veth peer name ttpeer0 &&"
				   " ip addr add 10.9.200.1/32 dev ttveth &&"
				   " ip addr add fd09:0:200::1/128 dev ttveth nodad &&"
				   " ip tuntap add ttpersist mode tun"), 0);
	/* The kernel makes IPv6 routes a little later (a workqueue). */
	ck_assert(eventually(has_local_route, NULL));
}

START_TEST(refused_each_with_its_own_error)
{
	const struct refusal *r = &refusals[_i];
	char *before;
	unsigned fds;

	rig_start(&rig, NULL);
	furnish_host();
	before = host_state();
	fds = rig_fds_at_rest(&rig);
	as_nobody(try_open, (void *)(uintptr_t)r);
	host_unchanged(before);
	rig_fds_return_to(&rig, fds);
	rig_end(&rig);
}
END_TEST

/* By the kernel, when the device was made already. */
static const struct refusal late_one = {
	.address = "10.9.0.1/24", .route = "10.20.0.0/16",
	.gateway = "10.77.0.1", .error = -ENETUNREACH, .step = "route",
	.says = { "10.77.0.1" },
};

START_TEST(a_refusal_is_about_no_lease_that_nobody_had)
{
	struct wire_message m = { .type = WIRE_MONITOR, .id = 5 };
	int admin;

	rig_start(&rig, NULL);
	admin = raw_connect(rig.admin);
	raw_send(admin, &m);
	raw_receive(admin, &m);
	ck_assert_uint_eq(m.type, WIRE_DONE);
	as_nobody(try_open, (void *)(uintptr_t)&late_one);
	raw_receive(admin, &m);
	ck_assert_uint_eq(m.type, WIRE_NOTICE);
	ck_assert_uint_eq(m.notice.kind, WIRE_NOTICE_REFUSED);
	ck_assert_str_eq(m.notice.step, "route");
	ck_assert_uint_eq(m.notice.uid, NOBODY);
	ck_assert_str_eq(m.notice.lease, "");
	ck_assert_str_eq(m.notice.name, "");
	close(admin);
	rig_end(&rig);
}
END_TEST

/* The next client is served as if nothing had been. */
static void still_serves(void)
{
	struct wire_message m = raw_open_request();
	int sock = raw_connect(rig.admin);

	m.type = WIRE_STATUS;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_STATE);
	ck_assert_uint_eq(m.state.leases, 0);
	close(sock);
}

/* Sends bytes; expects REFUSED with this code, then the end. */
static void refuses_bytes(const void *bytes, size_t len, uint16_t code,
			  const char *says)
{
	unsigned fds = rig_fds_at_rest(&rig);
	struct wire_message m;
	int sock = raw_connect(rig.socket);
	char *before = host_state();

	ck_assert_int_ge(sock, 0);
	ck_assert_int_eq(send(sock, bytes, len, MSG_NOSIGNAL), (int)len);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_msg(m.refused.code == code, "code %u (%s): %s",
		      m.refused.code, wire_error_name(m.refused.code),
		      m.refused.text);
	ck_assert_msg(strstr(m.refused.text, says) != NULL, "%s",
		      m.refused.text);
	ck_assert(raw_closed(sock));
	close(sock);
	still_serves();
	rig_fds_return_to(&rig, fds);
	host_unchanged(before);
}

static size_t open_frame(uint8_t *frame)
{
	struct wire_message m = raw_open_request();
	int len = wire_encode(&m, frame, WIRE_FRAME_MAX);

	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

START_TEST(trailing_bytes)
{
	uint8_t frame[WIRE_FRAME_MAX] = { 0 };
	size_t len;

	rig_start(&rig, NULL);
	len = open_frame(frame);
	frame[0] = (uint8_t)(frame[0] + 1);
	refuses_bytes(frame, len + 1, WIRE_E_MALFORMED, "no field has");
	rig_end(&rig);
}
END_TEST

START_TEST(half_a_message_then_silence)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len;

	rig_start(&rig, NULL);
	len = open_frame(frame);
	refuses_bytes(frame, len / 2, WIRE_E_TIMED_OUT, "rest of the frame");
	refuses_bytes(frame, 3, WIRE_E_TIMED_OUT, "rest of the frame");
	rig_end(&rig);
}
END_TEST

/* A byte now and then does not put the end of the frame's time off. */
START_TEST(a_frame_that_drips)
{
	uint8_t frame[WIRE_FRAME_MAX];
	struct wire_message m;
	size_t len, sent = 0;
	int sock;

	rig_start(&rig, NULL);
	len = open_frame(frame);
	sock = raw_connect(rig.socket);
	while (sent < len &&
	       send(sock, frame + sent, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) {
		sent++;
		sleep_ms(150);
	}
	ck_assert_msg(sent < len, "all %zu bytes were taken, one by one", len);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_int_eq(m.refused.code, WIRE_E_TIMED_OUT);
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(silence_from_the_beginning)
{
	struct wire_message m;
	int sock;

	rig_start(&rig, NULL);
	sock = raw_connect(rig.socket);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_int_eq(m.refused.code, WIRE_E_TIMED_OUT);
	ck_assert(raw_closed(sock));
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(wrong_version)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len;

	rig_start(&rig, NULL);
	len = open_frame(frame);
	frame[4] = WIRE_VERSION + 1;
	/* raw_receive() decodes: the answer's header is of our version. */
	refuses_bytes(frame, len, WIRE_E_VERSION, "another version");
	rig_end(&rig);
}
END_TEST

START_TEST(unknown_and_foreign_types)
{
	uint8_t frame[WIRE_FRAME_MAX];
	struct wire_message opened = { .type = WIRE_OPENED };
	size_t len;
	int n;

	rig_start(&rig, NULL);
	len = open_frame(frame);
	frame[5] = 99;
	refuses_bytes(frame, len, WIRE_E_UNKNOWN, "does not know");
	n = wire_encode(&opened, frame, sizeof(frame));
	refuses_bytes(frame, (size_t)n, WIRE_E_NOT_PERMITTED, "only a daemon");
	rig_end(&rig);
}
END_TEST

START_TEST(lengths_that_no_frame_has)
{
	uint8_t frame[WIRE_FRAME_MAX];

	rig_start(&rig, NULL);
	open_frame(frame);
	frame[0] = 7;
	frame[1] = frame[2] = frame[3] = 0;
	refuses_bytes(frame, 8, WIRE_E_MALFORMED, "length");
	memset(frame, 0xff, 4);
	refuses_bytes(frame, 8, WIRE_E_MALFORMED, "length");
	rig_end(&rig);
}
END_TEST

START_TEST(prefix_of_33_bits_on_the_wire)
{
	struct wire_message m = raw_open_request();
	uint8_t frame[WIRE_FRAME_MAX];
	int len;

	rig_start(&rig, NULL);
	m.open.n_addresses = 1;
	m.open.addresses[0].local = (struct prefix){ { 10, 9, 0, 1 }, 4, 32 };
	len = wire_encode(&m, frame, sizeof(frame));
	for (int i = 8; i < len - 5; i++)
		if (frame[i] == 4 && frame[i + 1] == 32)
			frame[i + 1] = 33;
	refuses_bytes(frame, (size_t)len, WIRE_E_MALFORMED, "prefix length");
	rig_end(&rig);
}
END_TEST

START_TEST(second_open_on_a_connection)
{
	struct rig_options o = {
		.policy = "[rule root]\naction = allow\nuser = 0\n"
			  "kind = tun\nname = tt*\n",
	};
	struct wire_message m = raw_open_request();
	char *before;
	int sock;

	rig_start(&rig, &o);
	before = host_state();
	sock = raw_connect(rig.socket);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_int_eq(m.type, WIRE_OPENED);
	m = raw_open_request();
	raw_send(sock, &m);
	/* Its fds are closed by now, which it is told of. */
	do
		raw_receive(sock, &m);
	while (m.type == WIRE_EVENT);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_int_eq(m.refused.code, WIRE_E_NOT_PERMITTED);
	/* It broke the protocol: that ends the lease too. */
	ck_assert(raw_closed(sock));
	close(sock);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* Sends one byte of a frame with an fd.  0, or -errno of sendmsg. */
static int send_fd(int sock, int fd)
{
	struct wire_message m = raw_open_request();
	uint8_t frame[WIRE_FRAME_MAX];
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int))]; } control;
	int len = wire_encode(&m, frame, sizeof(frame));
	struct iovec iov = { frame, (size_t)len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

START_TEST(fd_from_a_client)
{
	int pipefd[2], sock, error;
	struct wire_message m;
	unsigned fds;

	rig_start(&rig, NULL);
	fds = rig_fds_at_rest(&rig);
	ck_assert_int_eq(pipe2(pipefd, O_CLOEXEC), 0);
	sock = raw_connect(rig.socket);
	still_serves();		/* our connection has been accepted by now */
	error = send_fd(sock, pipefd[0]);
	if (error == 0) {
		/* An older kernel lets it through: the daemon does not. */
		raw_receive(sock, &m);
		ck_assert_int_eq(m.type, WIRE_REFUSED);
		ck_assert_int_eq(m.refused.code, WIRE_E_FD_SENT);
	} else {
		/* SO_PASSRIGHTS is off: the kernel refuses the sender. */
		ck_assert_int_eq(error, -EPERM);
	}
	close(sock);
	rig_fds_return_to(&rig, fds);
	still_serves();
	rig_end(&rig);
}
END_TEST

/* Starts the daemon with a socket that it did not make, a client queued. */
static void daemon_on_passed_socket(int listener)
{
	rig.daemon = fork();
	ck_assert_int_ge(rig.daemon, 0);
	if (rig.daemon == 0) {
		char pid[16];

		/* One name: no admin socket. */
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		setenv("LISTEN_FDNAMES", "public", 1);
		if (listener == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(listener, 3);
		execl(rig_built("tuntapd"), "tuntapd", "--policy", rig.policy,
		      "--user", RIG_USER, (char *)NULL);
		_exit(127);
	}
}

#define BACKLOG "128"

START_TEST(fd_queued_before_the_daemon_starts)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener, early, clean, pipefd[2], on = 1;
	struct wire_message m;

	rig_start(&rig, NULL);
	rig_stop(&rig);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/passed", rig.dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	/* As a unit file may have it; inherited by what is accepted. */
	ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on,
				    sizeof(on)), 0);
	ck_assert_int_eq(pipe2(pipefd, O_CLOEXEC), 0);
	early = raw_connect(addr.sun_path);
	clean = raw_connect(addr.sun_path);
	ck_assert_int_eq(send_fd(early, pipefd[0]), 0);
	m = (struct wire_message){ .type = WIRE_STATUS, .id = 3 };
	raw_send(clean, &m);
	daemon_on_passed_socket(listener);
	raw_receive(early, &m);
	ck_assert_int_eq(m.type, WIRE_REFUSED);
	ck_assert_int_eq(m.refused.code, WIRE_E_FD_SENT);
	ck_assert(raw_closed(early));
	/* The one beside it, just as early, is served. */
	raw_receive(clean, &m);
	ck_assert_int_eq(m.type, WIRE_STATE);
	ck_assert_int_eq(m.id, 3);
	/* So many wait to be accepted, and no more: the daemon says how many. */
	ck_assert_int_eq(sh_status("ss -xlH | grep -q ' " BACKLOG " *%s '",
				   addr.sun_path), 0);
	close(early);
	close(clean);
	rig_end(&rig);
}
END_TEST

static int list_as_nobody(void *arg)
{
	struct wire_message m = { .type = WIRE_LIST, .id = 9 };
	int sock = raw_connect(rig.socket);

	(void)arg;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	printf("type %u\n", m.type);
	return m.type != WIRE_DONE || m.done.count != 0 || m.id != 9;
}

START_TEST(a_user_sees_his_own_leases_alone)
{
	struct rig_options o = {
		.policy = "[rule root]\naction = allow\nuser = 0\n"
			  "kind = tun\nname = tt*\n",
	};
	struct wire_message m = raw_open_request();
	int holder, other;

	rig_start(&rig, &o);
	holder = raw_connect(rig.socket);
	raw_send(holder, &m);
	raw_receive(holder, &m);
	ck_assert_int_eq(m.type, WIRE_OPENED);
	as_nobody(list_as_nobody, NULL);
	other = raw_connect(rig.admin);
	m = (struct wire_message){ .type = WIRE_LIST, .id = 2 };
	raw_send(other, &m);
	raw_receive(other, &m);
	ck_assert_int_eq(m.type, WIRE_LEASE);
	ck_assert_str_eq(m.lease.name, "tt0");
	ck_assert_uint_eq(m.lease.uid, 0);
	raw_receive(other, &m);
	ck_assert_int_eq(m.type, WIRE_DONE);
	ck_assert_uint_eq(m.done.count, 1);
	close(holder);
	close(other);
	link_goes("tt0");
	rig_end(&rig);
}
END_TEST

static int connect_admin(void *arg)
{
	(void)arg;
	return raw_connect(rig.admin) >= 0;
}

START_TEST(admin_socket_is_roots_alone)
{
	rig_start(&rig, NULL);
	as_nobody(connect_admin, NULL);
	rig_end(&rig);
}
END_TEST

static void write_policy(const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/10-test.conf", rig.policy);
	f = fopen(path, "we");
	fputs(text, f);
	fclose(f);
}

static bool log_has(void *part)
{
	char *log = rig_log(&rig);
	bool has = strstr(log, part) != NULL;

	free(log);
	return has;
}

/* How the daemon is, and what root's files say, is root's to know. */
static int status_tells_little(void *arg)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };
	int sock = raw_connect(rig.socket);

	(void)arg;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	puts(m.state.policy_fault);
	return m.type != WIRE_STATE || m.state.leases || m.state.connections ||
	       !m.state.policy_fault[0] || strstr(m.state.policy_fault, "alice");
}

START_TEST(status_tells_a_user_about_himself)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };
	int sock;

	rig_start(&rig, NULL);
	write_policy("[rule x]\naction = allow\nuser = alice-the-first\n");
	kill(rig.daemon, SIGHUP);
	ck_assert(eventually(log_has, "10-test.conf:3"));
	as_nobody(status_tells_little, NULL);
	sock = raw_connect(rig.admin);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_ptr_nonnull(strstr(m.state.policy_fault, "alice"));
	ck_assert_uint_ge(m.state.connections, 1);
	close(sock);
	rig_end(&rig);
}
END_TEST

START_TEST(no_policy_allows_nothing)
{
	struct rig_options o = { .policy = "; empty\n" };
	const struct refusal r = { .error = -EACCES, .step = "policy",
				   .says = { "65534" } };

	rig_start(&rig, &o);
	as_nobody(try_open, (void *)(uintptr_t)&r);
	rig_end(&rig);
}
END_TEST

START_TEST(quota_is_one_not_one_more)
{
	struct rig_options o = {
		.policy = "[rule one]\naction = allow\nuser = 65534, 0\n"
			  "kind = tun\nname = tt*\nmax-devices = 1\n",
	};
	const struct refusal r = { .error = -EDQUOT, .step = "policy",
				   .says = { "max-devices" }, .rule = true };
	const char *const argv[] = { rig_built("examples/tun-echo"),
				     "--socket", rig.socket, NULL };
	struct client c;

	rig_start(&rig, &o);
	client_exec(&c, argv);
	client_line(&c, "ready");
	as_nobody(try_open, (void *)(uintptr_t)&r);
	client_kill(&c, SIGKILL);
	link_goes("tt0");
	client_exec(&c, argv);
	client_line(&c, "ready");
	client_kill(&c, SIGKILL);
	rig_end(&rig);
}
END_TEST

START_TEST(reload_takes_effect_or_changes_nothing)
{
	const struct refusal r = { .name = "ttx", .error = -EACCES,
				   .step = "policy", .says = { "65534" } };
	const struct refusal q = { .queues = 5, .error = -EACCES,
				   .step = "policy", .says = { "max-queues" },
				   .rule = true };

	rig_start(&rig, NULL);
	write_policy("[rule x]\naction = allow\ncolour = blue\n");
	kill(rig.daemon, SIGHUP);
	ck_assert(eventually(log_has, "10-test.conf:3"));
	/* The generation in force stays: rule nobody, with its four queues. */
	as_nobody(try_open, (void *)(uintptr_t)&q);
	write_policy("; nothing\n");
	kill(rig.daemon, SIGHUP);
	ck_assert(eventually(log_has, "generation 2"));
	as_nobody(try_open, (void *)(uintptr_t)&r);
	rig_end(&rig);
}
END_TEST

#define MANY_REFUSALS 500

static unsigned count_lines(const char *log, const char *part)
{
	unsigned n = 0;

	for (; (log = strstr(log, part)); log++)
		n++;
	return n;
}

/* Lines that the log has not, by what it says of them. */
static unsigned count_left_out(const char *log)
{
	unsigned n = 0;

	for (; (log = strstr(log, "... and ")); log++)
		n += (unsigned)atoi(log + strlen("... and "));
	return n;
}

/* Many refusals are a few lines, and the number of the others; root's stay. */
START_TEST(refusals_do_not_fill_the_log)
{
	struct wire_message m = { .type = WIRE_RECLAIM };
	unsigned lines;
	char *log;
	int sock;

	rig_start(&rig, NULL);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	sock = raw_connect(rig.socket);
	for (int i = 0; i < MANY_REFUSALS; i++) {
		m.type = WIRE_RECLAIM;
		raw_send(sock, &m);
		raw_receive(sock, &m);
		ck_assert_uint_eq(m.type, WIRE_REFUSED);
	}
	close(sock);
	ck_assert_int_eq(seteuid(0), 0);
	sock = raw_connect(rig.admin);
	m.type = WIRE_RECLAIM;
	raw_send(sock, &m);
	raw_receive(sock, &m);
	close(sock);
	rig_stop(&rig);
	log = rig_log(&rig);
	lines = count_lines(log, "refused uid 65534");
	ck_assert_uint_gt(lines, 0);
	ck_assert_uint_lt(lines, MANY_REFUSALS / 2);
	ck_assert_uint_eq(lines + count_left_out(log), MANY_REFUSALS);
	ck_assert_ptr_nonnull(strstr(log, "refused uid 0 "));
	ck_assert_ptr_nonnull(strstr(log, "more of uid 65534"));
	free(log);
	rig_end(&rig);
}
END_TEST

#define MANY_LEASES 40

static int opens_many(void *unused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	(void)unused;
	o.socket_path = rig.socket;
	for (int i = 0; i < MANY_LEASES; i++) {
		if (ttd_open(&o, &dev, &e)) {
			puts(e.text);
			return 1;
		}
		ttd_free(dev);
	}
	return 0;
}

/* Nor do leases, of each of which it has two lines. */
START_TEST(leases_do_not_fill_the_log)
{
	struct rig_options o = { .limits = { "log-lines=1" } };
	unsigned fds, lines;
	char *log;

	rig_start(&rig, &o);
	fds = rig_fds_at_rest(&rig);
	as_nobody(opens_many, NULL);
	rig_fds_return_to(&rig, fds);
	rig_stop(&rig);
	log = rig_log(&rig);
	lines = count_lines(log, "for uid 65534 pid") +
		count_lines(log, "of uid 65534 ends");
	ck_assert_uint_gt(lines, 0);
	ck_assert_uint_lt(lines, MANY_LEASES);
	lines += count_left_out(log);
	ck_assert_uint_ge(lines, 2 * MANY_LEASES);
	/* Or three: if it hears late of the client's end, that it was deleted. */
	ck_assert_uint_le(lines, 3 * MANY_LEASES);
	free(log);
}
END_TEST

#define MANY_ENDS 15

static void close_by(int sock)
{
	struct wire_message m = { .type = WIRE_CLOSE,
				  .close = { .uid = WIRE_UID_ANY } };

	raw_send(sock, &m);
	raw_receive(sock, &m);
	ck_assert_uint_eq(m.type, WIRE_CLOSED);
	close(sock);
}

static void holder_closes(struct ttd_device *dev)
{
	(void)dev;
	close_by(rig_connect_as(&rig, NOBODY));
}

static void root_closes(struct ttd_device *dev)
{
	(void)dev;
	close_by(raw_connect(rig.admin));
}

static void holder_tampers(struct ttd_device *dev)
{
	ck_assert_int_eq(ioctl(ttd_fd(dev, 0), TUNSETPERSIST, 1), 0);
}

/* His connection stays: that counts as a device that was deleted. */
static void holder_closes_its_fd(struct ttd_device *dev)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(dup2(null, ttd_fd(dev, 0)), ttd_fd(dev, 0));
	close(null);
}

/* The one lease, or the last of those that there are. */
static bool is_deleted(void *unused)
{
	struct wire_message m = { .type = WIRE_LIST };
	int sock = raw_connect(rig.admin);
	uint8_t state = 0;

	(void)unused;
	raw_send(sock, &m);
	for (raw_receive(sock, &m); m.type == WIRE_LEASE; raw_receive(sock, &m))
		state = m.lease.state;
	close(sock);
	return state == WIRE_LEASE_DELETED;
}

/* Ends of a lease, and the line that the log then has. */
static const struct end {
	void (*bring_about)(struct ttd_device *dev);
	const char *line;
	unsigned lines;			/* of each such lease */
	bool by_root;
} ends[] = {
	{ holder_closes, "is taken back: it was closed by its user", 3, false },
	{ holder_tampers, "is taken back: it was made persistent", 4, false },
	{ holder_closes_its_fd, "was deleted", 3, false },
	{ root_closes, "is taken back: it was closed by an administrator", 3,
	  true },
};

/*
 * The daemon has told him, and is done with the device.  Who closes his connection
 * before has one line less.
 */
static void hears_of_the_end(struct ttd_device *dev)
{
	struct ttd_event ev = TTD_EVENT_INIT;

	do
		ck_assert_int_eq(ttd_next_event(dev, &ev, DEADLINE_MS), 0);
	while (ev.type != TTD_EVENT_ENDED);
	ck_assert(eventually(is_deleted, NULL));
}

static void begin_and_end(const struct end *end)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_device *dev;
	struct ttd_error e;

	o.socket_path = rig.socket;
	o.name = "tt0";
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	ck_assert_int_eq(seteuid(0), 0);
	end->bring_about(dev);
	hears_of_the_end(dev);
	ttd_free(dev);
}

/* What a holder brings about are lines of his; what root does is told always. */
START_TEST(ends_by_their_holder_do_not_fill_the_log)
{
	struct rig_options o = { .limits = { "log-lines=1" } };
	const struct end *end = &ends[_i];
	unsigned fds, told, left_out, lines;
	char *log;

	rig_start(&rig, &o);
	fds = rig_fds_at_rest(&rig);
	for (int i = 0; i < MANY_ENDS; i++)
		begin_and_end(end);
	rig_fds_return_to(&rig, fds);
	rig_stop(&rig);
	log = rig_log(&rig);
	told = count_lines(log, end->line);
	left_out = count_left_out(log);
	lines = count_lines(log, "for uid 65534 pid") +
		count_lines(log, "of uid 65534 ");
	free(log);
	ck_assert_uint_eq(lines + left_out, end->lines * MANY_ENDS);
	ck_assert_uint_gt(left_out, 0);
	if (end->by_root)
		ck_assert_uint_eq(told, MANY_ENDS);
	else
		ck_assert_uint_lt(told, MANY_ENDS);
}
END_TEST

/* --- whose turn it is --------------------------------------------------- */

#define BURST	20		/* requests at once; then one a second */
#define SOON_MS	500		/* not before a second, that is */

static void ask(int sock, uint8_t type)
{
	struct wire_message m = { .type = type, .id = 1 };

	raw_send(sock, &m);
}

/* What comes, and after how many ms. */
static uint8_t answer(int sock, unsigned *ms)
{
	struct timespec from, to;
	struct wire_message m;

	clock_gettime(CLOCK_MONOTONIC, &from);
	raw_receive(sock, &m);
	clock_gettime(CLOCK_MONOTONIC, &to);
	*ms = (unsigned)((to.tv_sec - from.tv_sec) * 1000 +
			 (to.tv_nsec - from.tv_nsec) / 1000000);
	return m.type;
}

START_TEST(who_asks_too_much_waits)
{
	struct rig_options o = {
		.limits = { "request-rate=1", "request-burst=20",
			    "first-request-seconds=1" },
	};
	int sock, late, other;
	unsigned ms;

	rig_start(&rig, &o);
	sock = rig_connect_as(&rig, NOBODY);
	for (int i = 0; i < BURST + 1; i++)
		ask(sock, WIRE_STATUS);
	for (int i = 0; i < BURST; i++)
		ck_assert_uint_eq(answer(sock, &ms), WIRE_STATE);
	/* Others do not wait for him, nor he himself for his lease. */
	other = rig_connect_as(&rig, NOBODY - 1);
	ask(other, WIRE_STATUS);
	ck_assert_uint_eq(answer(other, &ms), WIRE_STATE);
	ck_assert_uint_lt(ms, SOON_MS);
	close(other);
	other = rig_connect_as(&rig, NOBODY);
	ask(other, WIRE_RECLAIM);
	ck_assert_uint_eq(answer(other, &ms), WIRE_REFUSED);
	ck_assert_uint_lt(ms, SOON_MS);
	/* That it takes longer than the first request may is our doing. */
	late = rig_connect_as(&rig, NOBODY);
	ask(late, WIRE_STATUS);
	ck_assert_uint_eq(answer(sock, &ms), WIRE_STATE);
	ck_assert_uint_gt(ms, SOON_MS);
	ck_assert_uint_eq(answer(late, &ms), WIRE_STATE);
	ck_assert_uint_gt(ms, SOON_MS);
	close(sock);
	close(late);
	close(other);
	/* Who comes anew owes what he owed. */
	sock = rig_connect_as(&rig, NOBODY);
	ask(sock, WIRE_STATUS);
	ck_assert_uint_eq(answer(sock, &ms), WIRE_STATE);
	ck_assert_uint_gt(ms, SOON_MS);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* 256 routes of IPv6 by gateways are 11 KiB, 2 requests more. */
START_TEST(a_long_request_counts_as_several)
{
	struct rig_options o = {
		.limits = { "request-rate=1", "request-burst=2" },
	};
	struct wire_message m = {
		.type = WIRE_CHECK, .id = 1,
		.check = { .uid = WIRE_UID_CALLER, .layer = WIRE_TUN,
			   .queues = 1, .n_routes = WIRE_ROUTES_MAX },
	};
	unsigned ms;
	int sock;

	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++)
		m.check.routes[i].dst = m.check.routes[i].gateway =
			(struct prefix){ .family = 6, .len = 128,
					 .ip = { 0xfd, 1, (uint8_t)i } };
	rig_start(&rig, &o);
	sock = rig_connect_as(&rig, NOBODY);
	raw_send(sock, &m);
	ck_assert_uint_eq(answer(sock, &ms), WIRE_VERDICT);
	ask(sock, WIRE_STATUS);
	ck_assert_uint_eq(answer(sock, &ms), WIRE_STATE);
	ck_assert_uint_gt(ms, SOON_MS);
	close(sock);
	rig_end(&rig);
}
END_TEST

/* A request whose refusal names `who` in the log. */
static void ask_in_vain(int sock, const char *who)
{
	struct wire_message m = { .type = WIRE_CLOSE, .id = 1,
				  .close = { .uid = WIRE_UID_ANY } };

	snprintf(m.close.lease, sizeof(m.close.lease), "%s", who);
	raw_send(sock, &m);
}

/* How many refusals the log has before the first of `who`. */
static unsigned refused_before(const char *who)
{
	char *log = rig_log(&rig), *end;
	unsigned n = 0;

	end = strstr(log, who);
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	for (char *at = log; (at = strstr(at, "refused uid")); at++)
		n++;
	free(log);
	return n - 1;			/* its own */
}

#define FRAMES		30
#define CONNECTIONS	20

/*
 * All of it is there before the daemon looks: of a connection one request is
 * answered before others have their turn, and of a user.
 */
START_TEST(one_request_a_turn)
{
	struct rig_options o = { .limits = { "log-lines=1000" } };
	int busy, many[CONNECTIONS], one, other;
	struct wire_message m;

	rig_start(&rig, &o);
	busy = rig_connect_as(&rig, 0);
	for (int i = 0; i < CONNECTIONS; i++)
		many[i] = rig_connect_as(&rig, NOBODY);
	one = rig_connect_as(&rig, 0);
	other = rig_connect_as(&rig, NOBODY - 1);
	still_serves();			/* all of them are accepted */
	kill(rig.daemon, SIGSTOP);
	ck_assert_int_eq(waitpid(rig.daemon, NULL, WUNTRACED), rig.daemon);
	for (int i = 0; i < FRAMES; i++)
		ask_in_vain(busy, "busy");
	for (int i = 0; i < CONNECTIONS; i++)
		ask_in_vain(many[i], "many");
	ask_in_vain(one, "one");
	ask_in_vain(other, "other");
	kill(rig.daemon, SIGCONT);
	raw_receive(one, &m);
	raw_receive(other, &m);
	ck_assert_uint_lt(refused_before("`one`"), CONNECTIONS / 2);
	ck_assert_uint_lt(refused_before("`other`"), CONNECTIONS / 2);
	for (int i = 0; i < FRAMES; i++)
		raw_receive(busy, &m);
	for (int i = 0; i < CONNECTIONS; i++)
		raw_receive(many[i], &m);
	rig_end(&rig);
}
END_TEST

/* --- no room ------------------------------------------------------------ */

#define FEW		"3"	/* connections */
#define ROOTS		16	/* root's beyond those, on the public socket */
#define LEFT		6	/* fds that the daemon has left */
#define FLOOD		40
#define SPARES		4	/* that root has beyond those */
#define SEVERAL_TRIES_MS 500	/* to accept */

/* Is this connection served?  If not: with that code it is refused. */
static bool is_served(int sock, uint16_t code)
{
	struct wire_message m = { .type = WIRE_STATUS, .id = 1 };
	uint8_t frame[WIRE_FRAME_MAX];
	int len = wire_encode(&m, frame, sizeof(frame));

	/* Who is refused may find the other end closed. */
	(void)!send(sock, frame, (size_t)len, MSG_NOSIGNAL);
	raw_receive(sock, &m);
	if (m.type == WIRE_STATE)
		return true;
	ck_assert_uint_eq(m.type, WIRE_REFUSED);
	ck_assert_uint_eq(m.refused.code, code);
	return false;
}

/* Nor more of those that the rate is not about. */
START_TEST(one_return_a_turn)
{
	struct rig_options o = { .limits = { "log-lines=1000" } };
	int many[CONNECTIONS], other;
	struct wire_message m;

	rig_start(&rig, &o);
	for (int i = 0; i < CONNECTIONS; i++)
		many[i] = rig_connect_as(&rig, NOBODY);
	other = rig_connect_as(&rig, NOBODY - 1);
	still_serves();			/* all of them are accepted */
	kill(rig.daemon, SIGSTOP);
	ck_assert_int_eq(waitpid(rig.daemon, NULL, WUNTRACED), rig.daemon);
	for (int i = 0; i < CONNECTIONS; i++)
		ask(many[i], WIRE_RECLAIM);
	ask_in_vain(other, "other");
	kill(rig.daemon, SIGCONT);
	raw_receive(other, &m);
	ck_assert_uint_lt(refused_before("`other`"), CONNECTIONS / 2);
	for (int i = 0; i < CONNECTIONS; i++)
		raw_receive(many[i], &m);
	rig_end(&rig);
}
END_TEST

START_TEST(root_gets_in_where_others_have_filled_it)
{
	struct rig_options o = { .limits = { "connections=" FEW } };

	rig_start(&rig, &o);
	for (int i = 0; i < atoi(FEW); i++)
		ck_assert(is_served(rig_connect_as(&rig, NOBODY), 0));
	ck_assert(!is_served(rig_connect_as(&rig, NOBODY), WIRE_E_FULL));
	ck_assert(!is_served(rig_connect_as(&rig, NOBODY - 1), WIRE_E_FULL));
	for (int i = 0; i < ROOTS; i++)
		ck_assert(is_served(rig_connect_as(&rig, 0), 0));
	ck_assert(!is_served(rig_connect_as(&rig, 0), WIRE_E_FULL));
	ck_assert(is_served(raw_connect(rig.admin), 0));
	rig_end(&rig);
}
END_TEST

#define FILES	700	/* that the daemon may open; and what it makes of that */
#define OF_ALL	"364"
#define OF_USER	"45"

/* Where connections are fewer than was asked for, so is a user's part. */
START_TEST(few_files_are_not_one_users)
{
	const struct rlimit few = { FILES, FILES };

	rig_namespaces(NODE_CLOSED);
	/* Or the daemon, which root starts, would have more. */
	ck_assert_int_eq(prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	rig_start(&rig, NULL);
	ck_assert(log_has("it takes " OF_ALL " connections, not 4096, and "
			  OF_USER " of one user, not 512"));
	for (int i = 0; i < atoi(OF_USER); i++)
		ck_assert(is_served(rig_connect_as(&rig, NOBODY), 0));
	ck_assert(!is_served(rig_connect_as(&rig, NOBODY), WIRE_E_FULL));
	ck_assert(is_served(rig_connect_as(&rig, NOBODY - 1), 0));
	rig_end(&rig);
}
END_TEST

START_TEST(root_is_answered_where_no_fds_are_left)
{
	int flood[FLOOD], admin, served = 0;
	unsigned fds, ms;

	rig_start(&rig, NULL);
	fds = rig_fds_at_rest(&rig);
	rig_may_open(&rig, fds + LEFT);
	/* Who has none is told so, and not left waiting. */
	for (int i = 0; i < FLOOD; i++) {
		flood[i] = rig_connect_as(&rig, NOBODY);
		served += is_served(flood[i], WIRE_E_OUT_OF_FDS);
	}
	ck_assert_int_ge(served, 1);
	ck_assert_int_lt(served, FLOOD / 2);
	for (int i = 0; i < FLOOD; i++) {
		admin = raw_connect(rig.admin);
		ask(admin, WIRE_STATUS);
		ck_assert_uint_eq(answer(admin, &ms), WIRE_STATE);
		ck_assert_uint_lt(ms, (unsigned)DEADLINE_MS);
		close(admin);
	}
	ck_assert_int_eq(sh_status("timeout 1 %s --socket %s status >/dev/null",
				   rig_built("tuntapctl"), rig.admin), 0);
	ck_assert(!is_served(rig_connect_as(&rig, NOBODY), WIRE_E_OUT_OF_FDS));
	for (int i = 0; i < FLOOD; i++)
		close(flood[i]);
	rig_fds_return_to(&rig, fds);
	ck_assert(is_served(rig_connect_as(&rig, NOBODY), 0));
	rig_end(&rig);
}
END_TEST

/* It is tried many times a second. */
START_TEST(that_it_cannot_accept_is_said_once)
{
	int flood[FLOOD], admin[SPARES], last;
	char *log;

	rig_start(&rig, NULL);
	rig_may_open(&rig, rig_fds_at_rest(&rig) + LEFT);
	for (int i = 0; i < FLOOD; i++) {
		flood[i] = rig_connect_as(&rig, NOBODY);
		is_served(flood[i], WIRE_E_OUT_OF_FDS);
	}
	for (int i = 0; i < SPARES; i++) {
		admin[i] = raw_connect(rig.admin);
		ck_assert(is_served(admin[i], 0));
	}
	last = rig_connect_as(&rig, NOBODY);
	ck_assert(eventually(log_has, "cannot accept: "));
	sleep_ms(SEVERAL_TRIES_MS);
	log = rig_log(&rig);
	ck_assert_uint_eq(count_lines(log, "cannot accept: "), 1);
	free(log);
	for (int i = 0; i < SPARES; i++)
		close(admin[i]);
	ck_assert(!is_served(last, WIRE_E_OUT_OF_FDS));
	rig_end(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("refused");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, refused_each_with_its_own_error, 0,
			    sizeof(refusals) / sizeof(*refusals));
	tcase_add_test(t, a_refusal_is_about_no_lease_that_nobody_had);
	tcase_add_test(t, trailing_bytes);
	tcase_add_test(t, half_a_message_then_silence);
	tcase_add_test(t, a_frame_that_drips);
	tcase_add_test(t, silence_from_the_beginning);
	tcase_add_test(t, wrong_version);
	tcase_add_test(t, unknown_and_foreign_types);
	tcase_add_test(t, lengths_that_no_frame_has);
	tcase_add_test(t, prefix_of_33_bits_on_the_wire);
	tcase_add_test(t, second_open_on_a_connection);
	tcase_add_test(t, fd_from_a_client);
	tcase_add_test(t, fd_queued_before_the_daemon_starts);
	tcase_add_test(t, a_user_sees_his_own_leases_alone);
	tcase_add_test(t, admin_socket_is_roots_alone);
	tcase_add_test(t, status_tells_a_user_about_himself);
	tcase_add_test(t, no_policy_allows_nothing);
	tcase_add_test(t, quota_is_one_not_one_more);
	tcase_add_test(t, reload_takes_effect_or_changes_nothing);
	tcase_add_test(t, refusals_do_not_fill_the_log);
	tcase_add_test(t, leases_do_not_fill_the_log);
	tcase_add_loop_test(t, ends_by_their_holder_do_not_fill_the_log, 0,
			    sizeof(ends) / sizeof(*ends));
	tcase_add_test(t, who_asks_too_much_waits);
	tcase_add_test(t, a_long_request_counts_as_several);
	tcase_add_test(t, one_request_a_turn);
	tcase_add_test(t, one_return_a_turn);
	tcase_add_test(t, root_gets_in_where_others_have_filled_it);
	tcase_add_test(t, few_files_are_not_one_users);
	tcase_add_test(t, root_is_answered_where_no_fds_are_left);
	tcase_add_test(t, that_it_cannot_accept_is_said_once);
	suite_add_tcase(s, t);
	return live_main("refused", s);
}
