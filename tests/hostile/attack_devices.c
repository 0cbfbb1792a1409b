/* What is done with devices. */
#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_tun.h>

#define KILLED_AT_ONCE	16
#define KILL_WAIT_MS	1000	/* for their devices, then they die anyway */
#define QUOTA		64	/* of the policy, and so many are tried */
#define MTUS		1000	/* that are asked for in turn, from 1400 on */
#define BURST		64	/* packets between two looks at the clock */
#define PACKET		64
#define KEPT		256	/* fds of others */

/* --- events ------------------------------------------------------------- */

/* Each tells the whole host that the device has changed. */
static int change_carrier(int fd, unsigned i)
{
	int on = i & 1;

	return ioctl(fd, TUNSETCARRIER, &on);
}

static int change_offload(int fd, unsigned i)
{
	return ioctl(fd, TUNSETOFFLOAD, i & 1 ? TUN_F_CSUM : 0);
}

static int change_owner(int fd, unsigned i)
{
	if (i % 3 == 0)
		return ioctl(fd, TUNSETOWNER, getuid());
	return ioctl(fd, TUNSETPERSIST, i % 3 == 1);
}

static int change_link(int fd, unsigned i)
{
	return ioctl(fd, TUNSETLINK, i & 1 ? ARPHRD_ETHER : ARPHRD_NONE);
}

static void change_without_a_pause(struct attacker *me)
{
	static int (*const change[])(int fd, unsigned i) = {
		change_carrier, change_offload, change_owner, change_link,
	};
	unsigned kind = me->n % (sizeof(change) / sizeof(*change));
	struct ttd_options o = attacker_options();

	/* A link type can be changed while it is down. */
	if (change[kind] == change_link)
		o.flags |= TTD_DOWN;
	while (goes_on()) {
		struct ttd_device *dev = opened(me, &o);
		unsigned long n = 0;
		int fd = dev ? ttd_take_fd(dev, 0) : -1;

		while (fd >= 0 && goes_on() &&
		       change[kind](fd, (unsigned)n) == 0)
			n++;
		managed_many(me, "changes", n);
		ttd_free(dev);
		close(fd);
	}
}

/* The same by requests, which the daemon carries out. */
static void ask_for_changes(struct attacker *me)
{
	struct ttd_options o = attacker_options();
	struct ttd_addr address = {
		.local = attacker_network(me, 0, 1, 24),
	};

	o.addrs = &address;
	o.n_addrs = 1;
	while (goes_on()) {
		struct ttd_device *dev = opened(me, &o);

		for (unsigned i = 0; dev && goes_on(); i++)
			if (ttd_set_mtu(dev, 1400 + i % MTUS, NULL) ||
			    ttd_set_up(dev, i & 1, NULL))
				break;
			else
				managed_many(me, "changes", 2);
		ttd_free(dev);
	}
}

/* --- many devices ------------------------------------------------------- */

/* All that the policy gives, again and again. */
static void fill_the_quota(struct attacker *me)
{
	struct ttd_device *dev[QUOTA];
	struct ttd_options o = attacker_options();

	while (goes_on()) {
		for (unsigned i = 0; i < QUOTA; i++)
			dev[i] = goes_on() ? opened(me, &o) : NULL;
		for (unsigned i = 0; i < QUOTA; i++)
			ttd_free(dev[i]);
	}
}

static void open_and_be_killed(struct attacker *me, int ready)
{
	struct ttd_options o = attacker_options();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (opened(me, &o) && write(ready, "", 1) == 1)
		pause();
	_exit(0);
}

static void kill_many_at_once(struct attacker *me)
{
	while (goes_on()) {
		pid_t children[KILLED_AT_ONCE];
		int ready[2];
		struct pollfd p = { .events = POLLIN };
		double end = clock_ms() + KILL_WAIT_MS;

		if (pipe2(ready, O_CLOEXEC) < 0)
			return;
		p.fd = ready[0];
		for (int i = 0; i < KILLED_AT_ONCE; i++) {
			children[i] = fork();
			if (children[i] == 0)
				open_and_be_killed(me, ready[1]);
		}
		for (int n = 0; n < KILLED_AT_ONCE && clock_ms() < end;) {
			char byte;

			if (poll(&p, 1, 1) == 1 && read(ready[0], &byte, 1) == 1)
				n++;
		}
		for (int i = 0; i < KILLED_AT_ONCE; i++)
			if (children[i] > 0)
				kill(children[i], SIGKILL);
		while (wait(NULL) > 0)
			managed(me, "killed");
		close(ready[0]);
		close(ready[1]);
	}
}

/* --- large ones --------------------------------------------------------- */

static void largest_batches(struct attacker *me)
{
	static struct ttd_addr addrs[WIRE_ADDRESSES_MAX];
	static struct ttd_route routes[WIRE_ROUTES_MAX];
	struct ttd_options o = attacker_options();

	for (unsigned i = 0; i < WIRE_ADDRESSES_MAX; i++)
		addrs[i].local = attacker_network(me, 0, 1 + i, 32);
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++)
		routes[i].dst = attacker_network(me, 1, i, 32);
	o.addrs = addrs;
	o.n_addrs = WIRE_ADDRESSES_MAX;
	o.routes = routes;
	o.n_routes = WIRE_ROUTES_MAX;
	while (goes_on()) {
		struct ttd_device *dev = opened(me, &o);

		while (dev && goes_on() &&
		       ttd_del_routes(dev, routes, WIRE_ROUTES_MAX, NULL) == 0 &&
		       ttd_add_routes(dev, routes, WIRE_ROUTES_MAX, NULL) == 0)
			managed_many(me, "batches", 2);
		ttd_free(dev);
	}
}

/* Each of them the guard drops. */
static void packets_from_elsewhere(struct attacker *me)
{
	struct ttd_addr address = {
		.local = attacker_network(me, 0, 1, 24),
	};
	struct ttd_options o = attacker_options();
	uint8_t p[PACKET] = { 0x45, 0, 0, PACKET, [8] = 64, IPPROTO_UDP,
			      [12] = 8, 8, 8, 8 };
	struct ttd_device *dev;

	o.addrs = &address;
	o.n_addrs = 1;
	memcpy(p + 16, address.local.ip, 4);
	while (!(dev = opened(me, &o)))
		if (!goes_on())
			return;
	while (goes_on()) {
		unsigned n = 0;

		for (unsigned i = 0; i < BURST; i++)
			n += ttd_send(dev, p, sizeof(p)) == 0;
		managed_many(me, "packets", n);
	}
	ttd_free(dev);
}

/* --- a device for others ------------------------------------------------ */

static struct sockaddr_un others(socklen_t *ret_len)
{
	/* Of the network namespace alone. */
	struct sockaddr_un addr = { .sun_family = AF_UNIX,
				    .sun_path = "\0others" };

	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 7);
	return addr;
}

static int receive_fd(int sock)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	int fd = -1;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(&control.h), sizeof(fd));
	return fd;
}

/* Keeps them as long as there is room, and tries what they are good for. */
static void take_from_others(struct attacker *me)
{
	socklen_t len;
	struct sockaddr_un addr = others(&len);
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), fds[KEPT];
	struct pollfd p = { .fd = sock, .events = POLLIN };
	uint8_t packet[PACKET] = { 0x45, 0, 0, PACKET };

	memset(fds, -1, sizeof(fds));
	if (bind(sock, (void *)&addr, len) < 0)
		return;
	for (unsigned i = 0; goes_on(); i = (i + 1) % KEPT) {
		if (poll(&p, 1, 10) != 1)
			continue;
		close(fds[i]);
		fds[i] = receive_fd(sock);
		managed(me, "taken");
		if (write(fds[i], packet, sizeof(packet)) > 0)
			managed(me, "written to");
	}
	/* Nothing of it may be left although he keeps all that he has. */
	pause();
}

/* The lease ends, and the fd is with somebody else. */
static void give_to_others(struct attacker *me)
{
	socklen_t len;
	struct sockaddr_un addr = others(&len);
	struct ttd_options o = attacker_options();
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	while (goes_on() && connect(sock, (void *)&addr, len) < 0)
		sleep_ms(1);
	while (goes_on()) {
		struct ttd_device *dev = opened(me, &o);
		int fd = dev ? ttd_take_fd(dev, 0) : -1;

		if (fd >= 0)
			send_fds(sock, &fd, 1);
		managed_many(me, "passed on", fd >= 0);
		close(fd);
		ttd_free(dev);
	}
}

static void pass_it_on(struct attacker *me)
{
	if (me->n == 0)
		take_from_others(me);
	else
		give_to_others(me);
}

const struct attack device_attacks[] = {
	{ "change_without_a_pause", 4, 4, change_without_a_pause, false },
	{ "ask_for_changes", 4, 4, ask_for_changes, false },
	{ "fill_the_quota", 8, 8, fill_the_quota, false },
	{ "kill_many_at_once", 2, 2, kill_many_at_once, false },
	{ "largest_batches", 2, 2, largest_batches, false },
	{ "packets_from_elsewhere", 2, 2, packets_from_elsewhere, false },
	{ "pass_it_on", 3, 3, pass_it_on, false },
	{ .name = NULL },
};
