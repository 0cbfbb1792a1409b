/*
 * Three processes beside an attack: an innocent client that opens a device,
 * sees that a packet passes, and closes it; root, who asks for the daemon's
 * status; and what these are held against: root making such a device himself,
 * without the daemon, and somebody who sleeps and is woken too late.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>

#define OPEN_EVERY_MS	40
#define STATUS_EVERY_MS	100
#define SLEEP_MS	5
#define SLEEPS_A_BARE	16	/* and one device by himself after so many */
#define PACKET_MS	50	/* before it is sent again */
#define PACKET_TRIES	100
#define PORT		7171
#define PACKET_MAX	2048
#define IPV4_HEADER	20

struct until {
	struct measured *ret;
	double end;
};

static void sample(struct samples *s, double ms)
{
	if (s->n < SAMPLES_MAX)
		s->ms[s->n++] = ms;
}

static void sleep_until(double ms)
{
	double rest = ms - clock_ms();

	if (rest > 0)
		sleep_ms((unsigned)rest + 1);
}

/* --- the innocent ------------------------------------------------------- */

static int udp_socket(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_port = htons(PORT) };
	struct sockaddr_in far = own;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  0);

	inet_pton(AF_INET, "10.77.5.1", &own.sin_addr);
	inet_pton(AF_INET, "10.77.5.9", &far.sin_addr);
	if (bind(sock, (void *)&own, sizeof(own)) < 0 ||
	    connect(sock, (void *)&far, sizeof(far)) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

/* The far end: sends what comes back to where it came from. */
static void echo(struct ttd_device *dev)
{
	uint8_t p[PACKET_MAX], address[4];
	ssize_t n;

	while ((n = ttd_recv(dev, p, sizeof(p), 0)) > 0) {
		if (n < IPV4_HEADER || p[0] >> 4 != 4 || p[9] != IPPROTO_UDP)
			continue;
		/* Same checksums; and the ports are the same. */
		memcpy(address, p + 12, 4);
		memcpy(p + 12, p + 16, 4);
		memcpy(p + 16, address, 4);
		ttd_send(dev, p, (size_t)n);
	}
}

/* From the host through the device, and back through its guard. */
static bool packet_passes(struct ttd_device *dev)
{
	struct pollfd p[2] = { { .events = POLLIN },
			       { .fd = ttd_fd(dev, 0), .events = POLLIN } };
	bool passed = false;
	char byte = 'x';
	int sock = udp_socket();

	if (sock < 0)
		return false;
	p[0].fd = sock;
	for (int i = 0; i < PACKET_TRIES && !passed; i++) {
		double end = clock_ms() + PACKET_MS;

		(void)!send(sock, &byte, 1, 0);
		while (!passed && clock_ms() < end) {
			poll(p, 2, PACKET_MS);
			if (p[1].revents)
				echo(dev);
			passed = recv(sock, &byte, 1, 0) == 1;
		}
	}
	close(sock);
	return passed;
}

static void open_failed(struct measured *m, int error, const char *step,
			const char *text)
{
	if (m->failed_opens++ == 0)
		snprintf(m->why, sizeof(m->why), "open, n %u: %s at %s: %s",
			 m->open.n, strerror(-error), step, text);
}

static void open_once(struct measured *m)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr address = { .flags = 0 };
	struct ttd_route route = { .metric = 0 };
	struct ttd_device *dev;
	struct ttd_error e;
	double began;
	int error;

	ttd_prefix_parse("10.77.5.1/24", &address.local);
	ttd_prefix_parse("10.78.0.0/16", &route.dst);
	o.socket_path = rig.socket;
	o.addrs = &address;
	o.n_addrs = 1;
	o.routes = &route;
	o.n_routes = 1;
	began = clock_ms();
	error = ttd_open(&o, &dev, &e);
	sample(&m->open, clock_ms() - began);
	if (error) {
		open_failed(m, error, e.step, e.text);
		return;
	}
	if (!packet_passes(dev)) {
		enum ttd_status s = ttd_status(dev, &e);

		open_failed(m, 0, "packet", s == TTD_OPEN ? "none passed" :
			    e.text);
	}
	ttd_free(dev);
}

static void innocent(struct until *u)
{
	become(INNOCENT_UID);
	for (double next = clock_ms(); next < u->end; sleep_until(next)) {
		open_once(u->ret);
		next += OPEN_EVERY_MS;
		if (next < clock_ms())
			next = clock_ms();
	}
}

/* --- root --------------------------------------------------------------- */

static int status_once(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		execl(rig_built("tuntapctl"), "tuntapctl", "--socket",
		      rig.admin, "status", (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void root(struct until *u)
{
	struct measured *m = u->ret;

	for (double next = clock_ms(); next < u->end; sleep_until(next)) {
		double began = clock_ms();

		if (status_once() != 0)
			m->failed_statuses++;
		sample(&m->status, clock_ms() - began);
		next += STATUS_EVERY_MS;
		if (next < clock_ms())
			next = clock_ms();
	}
}

/* --- what it is held against -------------------------------------------- */

static void set_address(struct ifreq *ifr, const char *text)
{
	struct sockaddr_in *to = (void *)&ifr->ifr_addr;

	memset(to, 0, sizeof(*to));
	to->sin_family = AF_INET;
	inet_pton(AF_INET, text, &to->sin_addr);
}

/* A TUN with an address and up, as a program with all rights makes it. */
static void bare_once(struct measured *m)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	double began = clock_ms();
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "bare");
	if (ioctl(fd, TUNSETIFF, &ifr) == 0) {
		set_address(&ifr, "10.79.5.1");
		ioctl(sock, SIOCSIFADDR, &ifr);
		ifr.ifr_flags = IFF_UP | IFF_RUNNING;
		ioctl(sock, SIOCSIFFLAGS, &ifr);
		sample(&m->bare, clock_ms() - began);
	}
	close(sock);
	close(fd);
}

static void bare(struct until *u)
{
	for (unsigned n = 1; clock_ms() < u->end; n++) {
		double began = clock_ms();

		sleep_ms(SLEEP_MS);
		sample(&u->ret->late, clock_ms() - began - SLEEP_MS);
		if (n % SLEEPS_A_BARE == 0)
			bare_once(u->ret);
	}
}

/* --- all of them -------------------------------------------------------- */

static pid_t in_a_child(void (*fn)(struct until *u), struct until *u)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn(u);
		_exit(0);
	}
	return pid;
}

void measure(struct measured *ret, double seconds)
{
	struct until u = { ret, clock_ms() + seconds * 1000 };
	pid_t pids[] = { in_a_child(innocent, &u), in_a_child(root, &u),
			 in_a_child(bare, &u) };

	for (size_t i = 0; i < sizeof(pids) / sizeof(*pids); i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_msg(status == 0, "who measures ended with %#x",
			      status);
	}
}

static void samples_add(struct samples *sum, const struct samples *more)
{
	for (unsigned i = 0; i < more->n; i++)
		sample(sum, more->ms[i]);
}

void measured_add(struct measured *sum, const struct measured *more)
{
	samples_add(&sum->open, &more->open);
	samples_add(&sum->status, &more->status);
	samples_add(&sum->bare, &more->bare);
	samples_add(&sum->late, &more->late);
	sum->failed_opens += more->failed_opens;
	sum->failed_statuses += more->failed_statuses;
}
