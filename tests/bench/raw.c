/*
 * The limit: what somebody writes by hand, with the rights to make the device.
 *
 *	send recv echo wire	in mode none, split, pass; echo also blocking
 */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "contestant.h"

#ifndef TUN_F_USO4			/* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define BURST		64
#define IP_ADDRESSES	12	/* where an IPv4 header has them */

static int open_tun(const char *name, bool offload, bool blocking)
{
	const unsigned bits = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
			      TUN_F_TSO_ECN;
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC |
		      (blocking ? 0 : O_NONBLOCK));

	if (fd < 0)
		contestant_fail("/dev/net/tun: %s", strerror(errno));
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		contestant_fail("%s: %s", name, strerror(errno));
	if (offload &&
	    ioctl(fd, TUNSETOFFLOAD, bits | TUN_F_USO4 | TUN_F_USO6) < 0 &&
	    ioctl(fd, TUNSETOFFLOAD, bits) < 0)
		contestant_fail("TUNSETOFFLOAD: %s", strerror(errno));
	return fd;
}

static int open_there(const char *netns, const char *name, bool offload)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		contestant_fail("%s: %s", netns, strerror(errno));
	fd = open_tun(name, offload, false);
	if (setns(here, CLONE_NEWNET) < 0)
		contestant_fail("setns: %s", strerror(errno));
	close(here);
	close(there);
	return fd;
}

/* --- one packet at a time ----------------------------------------------- */

static void send_some(int fd, const uint8_t *packet, size_t len,
		      unsigned long n)
{
	double began = contestant_ns();

	for (unsigned long i = 0; i < n; i++)
		if (write(fd, packet, len) < 0)
			contestant_fail("write: %s", strerror(errno));
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

/* A packet that the program can use, where it is split: with its checksum. */
static void recv_some(int fd, bool split, unsigned long n)
{
	static uint8_t packet[SUPER_MAX];
	double began = contestant_ns();

	for (unsigned long i = 0; i < n; i++) {
		ssize_t r = read(fd, packet, sizeof(packet));

		if (r < 0)
			contestant_fail("read: %s after %lu packets",
					strerror(errno), i);
		if (split)
			raw_finish(packet);
	}
	contestant_answer("ns=%.0f", contestant_ns() - began);
}

static void do_rounds(const struct contestant *c, int fd, bool offload)
{
	static uint8_t buffer[SUPER_MAX];
	const size_t header = offload ? VNET_HEADER : 0;
	char *words[WORDS_MAX];

	contestant_packet(buffer + header, c->size, c->address);
	contestant_ready();
	while (contestant_round(words) == 1) {
		unsigned long n = contestant_number(words[0]);

		if (contestant_is(c, "recv"))
			recv_some(fd, contestant_mode(c, "split"), n);
		else
			send_some(fd, buffer, header + c->size, n);
	}
}

/* --- back, or to the other side ----------------------------------------- */

static void echo(const struct contestant *c, int fd, bool offload)
{
	static uint8_t buffer[SUPER_MAX];
	const size_t header = offload ? VNET_HEADER : 0;
	const bool blocking = contestant_mode(c, "blocking");
	uint8_t *ip = buffer + header, far[4];
	struct pollfd p = { fd, POLLIN, 0 };

	contestant_end_with_stdin();
	contestant_ready();
	for (;;) {
		ssize_t n = read(fd, buffer, sizeof(buffer));

		if (n < 0 && errno == EAGAIN && !blocking) {
			poll(&p, 1, -1);
			continue;
		}
		if (n < 0)
			contestant_fail("read: %s", strerror(errno));
		if (ip[0] >> 4 != 4)
			continue;
		memcpy(far, ip + IP_ADDRESSES, 4);
		memcpy(ip + IP_ADDRESSES, ip + IP_ADDRESSES + 4, 4);
		memcpy(ip + IP_ADDRESSES + 4, far, 4);
		(void)!write(fd, buffer, (size_t)n);
	}
}

/* As they come: bare packets, or with the header that the kernel gave. */
static void carry(int from, int to)
{
	static uint8_t packet[SUPER_MAX];
	ssize_t n;

	while ((n = read(from, packet, sizeof(packet))) > 0)
		(void)!write(to, packet, (size_t)n);
}

/* As packets, a batch of them, and joined again. */
static void carry_split(int from, int to)
{
	static struct batch batch;
	ssize_t n = 0;

	do {
		batch.n = 0;
		batch.used = 0;
		while (batch.n < BURST && raw_has_room(&batch) &&
		       (n = raw_read(&batch, from)) > 0)
			;
		raw_join(&batch, to);
	} while (n > 0);
}

static void wire(const struct contestant *c, int a, bool offload)
{
	int b = open_there(c->netns_b, c->name_b, offload);
	void (*each)(int from, int to) = contestant_mode(c, "split") ?
					 carry_split : carry;
	struct pollfd p[] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };

	contestant_end_with_stdin();
	contestant_ready();
	while (poll(p, 2, -1) >= 0) {
		if (p[0].revents)
			each(a, b);
		if (p[1].revents)
			each(b, a);
	}
}

static void check_mode(const struct contestant *c)
{
	static const char *const all[] = { "none", "split", "pass" };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (contestant_mode(c, all[i]))
			return;
	if (!contestant_is(c, "echo") || !contestant_mode(c, "blocking"))
		contestant_fail("there is no such mode");
}

int main(int argc, char **argv)
{
	struct contestant c;
	bool offload;
	int fd;

	contestant_begin(&c, argc, argv);
	check_mode(&c);
	offload = contestant_mode(&c, "split") || contestant_mode(&c, "pass");
	fd = open_tun(c.name, offload, contestant_mode(&c, "blocking"));
	if (contestant_is(&c, "echo"))
		echo(&c, fd, offload);
	else if (contestant_is(&c, "wire"))
		wire(&c, fd, offload);
	else
		do_rounds(&c, fd, offload);
	return 0;
}
