/*
 * The source guard: what a holder without rights can send into the host with
 * the bare fd, and what not.  Each row that is dropped is sent again with the
 * guard taken away, and must then have its effect, or it would prove nothing.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "../../daemon/limits.h"
#include "far.h"

#define PORT		7070
#define SENTINEL	0xffffffffu	/* of a packet that always comes */
#define ETHER_HEADER_	14
#define VNET_HEADER	12		/* with its number of buffers */
#define LARGE		5000
#define IN_TIME_MS	(3000 * (int)patience())

/* The host: 10.9.0.1 and fd09::1 on the device, 192.168.7.1 and fd07::1 on the
   LAN, where 192.168.7.2 is another machine; 172.31.0.0/16 by a gateway. */
static const char policy[] =
	"[rule all]\naction = allow\nuser = 65534\nkind = tun, tap\n"
	"name = tt*\naddress = 10.9.0.0/16, fd09::/32\n"
	"route = 10.0.0.0/8, fd00::/8, 0.0.0.0/0, ::/0\n"
	"max-devices = 4\nmac = chosen\noffload = yes\ndefault-route = yes\n";

static struct rig rig;
static struct ttd_device *dev;
static int fd = -1;			/* the device's, bare */
static enum ttd_layer layer;
static unsigned vnet;			/* bytes before each packet */
static uint16_t hdr_len;		/* in it */
static uint8_t host_mac[MAC_BYTES];
static int here_ns = -1, far_ns = -1;
static int local4, local6, remote4, remote6, multicast;

/* --- two hosts ---------------------------------------------------------- */

static void in_far(const char *commands)
{
	ck_assert_int_eq(setns(far_ns, CLONE_NEWNET), 0);
	ck_assert_msg(sh_status("%s", commands) == 0, "%s", commands);
	ck_assert_int_eq(setns(here_ns, CLONE_NEWNET), 0);
}

static int bound_socket(int family)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(PORT) };
	int s = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	ck_assert_int_ge(s, 0);
	ck_assert_int_eq(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one,
				    sizeof(one)), 0);
	if (family == AF_INET6)
		ck_assert_int_eq(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one,
					    sizeof(one)), 0);
	ck_assert_int_eq(bind(s, family == AF_INET ? (void *)&a4 : (void *)&a6,
			      family == AF_INET ? sizeof(a4) : sizeof(a6)), 0);
	return s;
}

/*
 * A host that believes all it can be made to believe: what the kernel drops by
 * itself would prove nothing.
 */
static void make_hosts(void)
{
	rig_namespaces(NODE_CLOSED);
	here_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	far_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(setns(here_ns, CLONE_NEWNET), 0);
	ck_sh("ip link set lo up; ip link add lan0 type veth peer name lan1 && "
	      "ip link set lan1 netns /proc/%d/fd/%d && "
	      "ip addr add 192.168.7.1/24 dev lan0 && "
	      "ip -6 addr add fd07::1/64 dev lan0 nodad && "
	      "echo 0 >/proc/sys/net/ipv6/conf/lan0/accept_dad && "
	      "ip link set lan0 up && ip route add 172.31.0.0/16 via "
	      "192.168.7.2", getpid(), far_ns);
	in_far("ip link set lo up; ip addr add 192.168.7.2/24 dev lan1; "
	       "ip -6 addr add fd07::2/64 dev lan1 nodad; ip link set lan1 up; "
	       "ip route add default via 192.168.7.1; "
	       "ip -6 route add default via fd07::1");
	ck_sh("cd /proc/sys/net && echo 1 >ipv4/ip_forward && "
	      "echo 1 >ipv6/conf/all/forwarding && "
	      "for i in all default; do "
	      "echo 0 >ipv4/conf/$i/rp_filter; "
	      "echo 1 >ipv4/conf/$i/accept_local; "
	      "echo 1 >ipv4/conf/$i/route_localnet; "
	      "echo 2 >ipv6/conf/$i/accept_ra; done");
}

static void join(int s)
{
	struct ip_mreqn m = {
		.imr_multiaddr.s_addr = inet_addr("224.0.0.251"),
		.imr_ifindex = (int)if_nametoindex("tt0"),
	};

	ck_assert_int_eq(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m,
				    sizeof(m)), 0);
}

struct setup {
	enum ttd_layer layer;
	bool pass;			/* with a virtio_net_hdr, */
	uint16_t hdr_len;		/* and this in it */
	const char *policy;		/* NULL: the one above */
	const struct ttd_route *routes;
	size_t n_routes;
	uint32_t flags;			/* of the open */
};

static void begin(const struct setup *s)
{
	const struct rig_options ro = { .policy = s->policy ? s->policy :
					policy };
	struct ttd_options o = TTD_OPTIONS_INIT(s->layer);
	struct ttd_addr a[] = { addr("10.9.0.1/24"), addr("fd09::1/64") };
	struct ttd_error e;
	int size = VNET_HEADER;

	make_hosts();
	rig_start(&rig, &ro);
	rights(false);
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.flags = s->flags;
	o.addrs = a;
	o.n_addrs = 2;
	o.routes = s->routes;
	o.n_routes = s->n_routes;
	o.offload = s->pass ? TTD_OFFLOAD_PASS : TTD_OFFLOAD_NONE;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s: %s", e.step, e.text);
	layer = s->layer;
	if (layer == TTD_TAP)
		ck_assert_int_eq(ttd_hwaddr(dev, host_mac), 0);
	fd = ttd_take_fd(dev, 0);
	ck_assert_int_ge(fd, 0);
	vnet = s->pass ? VNET_HEADER : 0;
	hdr_len = s->hdr_len;
	if (vnet)
		ck_assert_int_eq(ioctl(fd, TUNSETVNETHDRSZ, &size), 0);
	local4 = bound_socket(AF_INET);
	local6 = bound_socket(AF_INET6);
	multicast = local4;
	rights(true);
	join(multicast);
	ck_assert_int_eq(setns(far_ns, CLONE_NEWNET), 0);
	remote4 = bound_socket(AF_INET);
	remote6 = bound_socket(AF_INET6);
	ck_assert_int_eq(setns(here_ns, CLONE_NEWNET), 0);
	/* The kernel makes an address ready a little later, from a workqueue. */
	ck_soon(sh_status("ip -6 route show table local dev tt0 | "
			  "grep -q '^local fd09::1 '") == 0);
	/* So that nothing waits for ARP or neighbour discovery. */
	ck_sh("ping -c1 -W2 192.168.7.2 >/dev/null && "
	      "ping -c1 -W2 fd07::2 >/dev/null");
	rights(false);
}

static void end(void)
{
	rights(true);
	kill(rig.daemon, SIGCONT);
	close(fd);
	ttd_free(dev);
	rig_end(&rig);
}

/* --- packets ------------------------------------------------------------ */

static uint8_t packet[65536];

static uint32_t sum(const void *data, size_t n, uint32_t s)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (n % 2)
		s += (uint32_t)p[n - 1] << 8;
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

/* Room before the packet: link and virtio header.  Where the packet begins. */
static uint8_t *begin_packet(unsigned ether_type, const uint8_t *to)
{
	struct virtio_net_hdr_mrg_rxbuf vh = { .hdr.hdr_len = hdr_len };
	uint8_t *p = packet;

	if (vnet) {
		memcpy(p, &vh, VNET_HEADER);
		p += VNET_HEADER;
	}
	if (layer == TTD_TAP) {
		memcpy(p, to ? to : host_mac, MAC_BYTES);
		memcpy(p + MAC_BYTES, far_mac, MAC_BYTES);
		p[12] = (uint8_t)(ether_type >> 8);
		p[13] = (uint8_t)ether_type;
		p += ETHER_HEADER_;
	}
	return p;
}

static void inject(const uint8_t *end)
{
	ssize_t n = end - packet;

	ck_assert_msg(write(fd, packet, (size_t)n) == n, "write: %s",
		      strerror(errno));
}

/* A UDP datagram that carries `id`, from and to these addresses. */
static void udp4(const char *src, const char *dst, uint32_t id, size_t payload)
{
	static const uint8_t all[MAC_BYTES] = { 255, 255, 255, 255, 255, 255 };
	bool broadcast = strcmp(dst, "255.255.255.255") == 0 ||
			 strncmp(dst, "224.", 4) == 0;
	uint8_t *p = begin_packet(0x0800, broadcast ? all : NULL);
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
		.saddr = inet_addr(src), .daddr = inet_addr(dst),
		.tot_len = htons((uint16_t)(20 + 8 + payload)),
	};
	struct udphdr udp = { .source = htons(PORT), .dest = htons(PORT),
			      .len = htons((uint16_t)(8 + payload)) };

	ip.check = fold(sum(&ip, sizeof(ip), 0));
	memcpy(p, &ip, sizeof(ip));
	memcpy(p + 20, &udp, sizeof(udp));	/* no checksum: it may be so */
	memset(p + 28, 0, payload);
	memcpy(p + 28, &id, sizeof(id));
	inject(p + 28 + payload);
}

/* Header, maybe with an empty destination options header before the rest. */
static uint8_t *ip6_header(uint8_t *p, const char *src, const char *dst,
			   uint8_t next, size_t payload, bool extended)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)(payload + (extended ? 8 : 0))),
		.ip6_nxt = extended ? IPPROTO_DSTOPTS : next,
		.ip6_hlim = 255,
	};

	ck_assert_int_eq(inet_pton(AF_INET6, src, &ip.ip6_src), 1);
	ck_assert_int_eq(inet_pton(AF_INET6, dst, &ip.ip6_dst), 1);
	memcpy(p, &ip, sizeof(ip));
	p += sizeof(ip);
	if (extended) {
		const uint8_t options[8] = { next, 0, 1, 4, 0, 0, 0, 0 };

		memcpy(p, options, sizeof(options));
		p += sizeof(options);
	}
	return p;
}

/* Over the pseudo header too; `at` is where the checksum goes. */
static void checksum6(uint8_t *l4, size_t n, uint8_t next, const uint8_t *ip,
		      size_t at)
{
	uint16_t c;

	c = fold(sum(l4, n, sum(ip + 8, 32, (uint32_t)n + next)));
	if (!c)
		c = 0xffff;
	memcpy(l4 + at, &c, sizeof(c));
}

static void udp6(const char *src, const char *dst, uint32_t id, size_t payload)
{
	uint8_t *ip = begin_packet(0x86dd, NULL), *p;
	struct udphdr udp = { .source = htons(PORT), .dest = htons(PORT),
			      .len = htons((uint16_t)(8 + payload)) };

	p = ip6_header(ip, src, dst, IPPROTO_UDP, 8 + payload, false);
	memcpy(p, &udp, sizeof(udp));
	memset(p + 8, 0, payload);
	memcpy(p + 8, &id, sizeof(id));
	checksum6(p, 8 + payload, IPPROTO_UDP, ip, 6);
	inject(p + 8 + payload);
}

#define ROUTER "fe80::bad:1"

/* "I am your router." */
static void advertise(const char *src, bool extended)
{
	static const uint8_t to[MAC_BYTES] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct nd_router_advert ra = {
		.nd_ra_type = ND_ROUTER_ADVERT,
		.nd_ra_router_lifetime = htons(1800),
	};
	uint8_t *ip = begin_packet(0x86dd, to), *p;

	p = ip6_header(ip, src, "ff02::1", IPPROTO_ICMPV6, sizeof(ra),
		       extended);
	memcpy(p, &ra, sizeof(ra));
	checksum6(p, sizeof(ra), IPPROTO_ICMPV6, ip, 2);
	inject(p + sizeof(ra));
}

/* "Who has `target`?  Tell me, at src." */
static void solicit(const char *src, const char *target)
{
	static const uint8_t to[MAC_BYTES] = { 0x33, 0x33, 0xff, 0, 0, 1 };
	struct {
		struct nd_neighbor_solicit ns;
		uint8_t option[8];
	} m = { .ns.nd_ns_type = ND_NEIGHBOR_SOLICIT, .option = { 1, 1 } };
	uint8_t *ip = begin_packet(0x86dd, to), *p;

	ck_assert_int_eq(inet_pton(AF_INET6, target, &m.ns.nd_ns_target), 1);
	memcpy(m.option + 2, far_mac, MAC_BYTES);
	p = ip6_header(ip, src, "ff02::1:ff00:1", IPPROTO_ICMPV6, sizeof(m),
		       false);
	memcpy(p, &m, sizeof(m));
	checksum6(p, sizeof(m), IPPROTO_ICMPV6, ip, 2);
	inject(p + sizeof(m));
}

static void arp(unsigned operation, const char *spa, const char *tpa)
{
	static const uint8_t all[MAC_BYTES] = { 255, 255, 255, 255, 255, 255 };
	uint8_t *p = begin_packet(0x0806, all);
	const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, (uint8_t)operation };

	memset(p, 0, ARP_BYTES);
	memcpy(p, head, sizeof(head));
	memcpy(p + 8, far_mac, MAC_BYTES);
	inet_pton(AF_INET, spa, p + 14);
	inet_pton(AF_INET, tpa, p + 24);
	inject(p + ARP_BYTES);
}

/* --- has it come? ------------------------------------------------------- */

/* Reads until the sentinel comes; has one with this id come before? */
static bool came(int s, uint32_t id)
{
	static uint8_t buf[65536];
	bool seen = false;
	uint32_t got;

	for (;;) {
		ck_assert_msg(readable(s, IN_TIME_MS),
			      "what is legitimate did not come");
		if (recv(s, buf, sizeof(buf), 0) < (ssize_t)sizeof(got))
			continue;
		memcpy(&got, buf, sizeof(got));
		if (got == SENTINEL)
			return seen;
		seen = seen || got == id;
	}
}

enum witness {
	LOCAL, FORWARDED, MULTICAST,	/* a UDP socket here, there */
	ROUTER_HERE,			/* a default route by the device */
	NEIGHBOUR			/* an entry for src */
};

struct row {
	const char *src, *dst;
	enum witness witness;
	bool comes;
	enum { BOTH, TUN_ONLY, TAP_ONLY } on;
	bool extended;
};

static const struct row rows[] = {
	/* what the lease may */
	{ "10.9.0.77", "10.9.0.1", LOCAL, true, BOTH, false },
	{ "10.9.0.77", "192.168.7.1", LOCAL, true, BOTH, false },
	{ "10.9.0.77", "192.168.7.2", FORWARDED, true, BOTH, false },
	{ "fd09::77", "fd09::1", LOCAL, true, BOTH, false },
	{ "fd09::77", "fd07::1", LOCAL, true, BOTH, false },
	{ "fd09::77", "fd07::2", FORWARDED, true, BOTH, false },
	/* others' addresses */
	{ "8.8.8.8", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "8.8.8.8", "192.168.7.1", LOCAL, false, BOTH, false },
	{ "8.8.8.8", "192.168.7.2", FORWARDED, false, BOTH, false },
	{ "10.9.1.1", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "10.8.255.255", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "192.168.7.2", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "192.168.7.77", "192.168.7.1", LOCAL, false, BOTH, false },
	{ "172.31.3.3", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "fd07::2", "fd09::1", LOCAL, false, BOTH, false },
	{ "fd07::2", "fd07::1", LOCAL, false, BOTH, false },
	{ "2001:db8::1", "fd09::1", LOCAL, false, BOTH, false },
	{ "fd09:0:0:1::1", "fd09::1", LOCAL, false, BOTH, false },
	{ "2001:db8::1", "fd07::2", FORWARDED, false, BOTH, false },
	/* the host itself */
	{ "127.0.0.1", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "127.9.9.9", "127.0.0.1", LOCAL, false, BOTH, false },
	{ "10.9.0.1", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "192.168.7.1", "10.9.0.1", LOCAL, false, BOTH, false },
	{ "192.168.7.1", "192.168.7.2", FORWARDED, false, BOTH, false },
	{ "fd09::1", "fd09::1", LOCAL, false, BOTH, false },
	{ "fd07::1", "fd09::1", LOCAL, false, BOTH, false },
	{ "::ffff:127.0.0.1", "fd09::1", LOCAL, false, BOTH, false },
	{ "::ffff:10.9.0.77", "fd09::1", LOCAL, false, BOTH, false },
	/* nobody, to everybody */
	{ "0.0.0.0", "255.255.255.255", LOCAL, false, BOTH, false },
	{ "8.8.8.8", "255.255.255.255", LOCAL, false, BOTH, false },
	{ "8.8.8.8", "224.0.0.251", MULTICAST, false, BOTH, false },
	{ "10.9.0.77", "224.0.0.251", MULTICAST, true, BOTH, false },
	{ "fe80::77", "fd09::1", LOCAL, false, BOTH, false },
	/* routers */
	{ ROUTER, NULL, ROUTER_HERE, false, BOTH, false },
	{ ROUTER, NULL, ROUTER_HERE, false, BOTH, true },
	/* who is who on an Ethernet */
	{ "10.9.0.77", "10.9.0.1", NEIGHBOUR, true, TAP_ONLY, false },
	{ "192.168.7.77", "10.9.0.1", NEIGHBOUR, false, TAP_ONLY, false },
	{ "8.8.8.8", "10.9.0.1", NEIGHBOUR, false, TAP_ONLY, false },
	{ "fd09::77", "fd09::1", NEIGHBOUR, true, TAP_ONLY, false },
	{ "fe80::77", "fd09::1", NEIGHBOUR, true, TAP_ONLY, false },
	{ "fd07::77", "fd09::1", NEIGHBOUR, false, TAP_ONLY, false },
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

static bool is_v6(const struct row *r)
{
	return strchr(r->src, ':') != NULL;
}

/* Sends it, behind it a sentinel; has it had its effect? */
static bool udp_has_come(const struct row *r, uint32_t id, size_t payload)
{
	int s = r->witness == FORWARDED ? (is_v6(r) ? remote6 : remote4)
					: (is_v6(r) ? local6 : local4);

	if (is_v6(r)) {
		udp6(r->src, r->dst, id, payload);
		udp6("fd09::99", r->witness == FORWARDED ? "fd07::2" :
		     "fd09::1", SENTINEL, 4);
	} else {
		udp4(r->src, r->dst, id, payload);
		udp4("10.9.0.99", r->witness == FORWARDED ? "192.168.7.2" :
		     "10.9.0.1", SENTINEL, 4);
	}
	return came(s, id);
}

/* As an administrator. */
#define there(yes, ...) do { \
	rights(true); \
	(yes) = sh_status(__VA_ARGS__) == 0; \
	rights(false); \
} while (0)

static bool is_router(void)
{
	bool yes;

	there(yes, "ip -6 route show default | grep -q 'via %s dev tt0'",
	      ROUTER);
	if (yes)
		ck_admin("ip -6 route flush default dev tt0");
	return yes;
}

static bool has_come(const struct row *r, uint32_t id, size_t payload)
{
	bool yes;

	switch (r->witness) {
	case ROUTER_HERE:
		advertise(r->src, r->extended);
		udp6("fd09::99", "fd09::1", SENTINEL, 4);
		came(local6, id);
		return is_router();
	case NEIGHBOUR:
		if (is_v6(r))
			solicit(r->src, r->dst);
		else
			arp(1, r->src, r->dst);
		udp6("fd09::99", "fd09::1", SENTINEL, 4);
		came(local6, id);
		there(yes, "ip neigh show dev tt0 %s | grep -q lladdr", r->src);
		return yes;
	default:
		return udp_has_come(r, id, payload);
	}
}

/* The daemon is stopped: it would bring it back as soon as anything changes. */
static void without_guard(void)
{
	rights(true);
	ck_assert_int_eq(kill(rig.daemon, SIGSTOP), 0);
	ck_sh("tc qdisc del dev tt0 clsact");
	rights(false);
}

static bool applies(const struct row *r)
{
	return r->on == BOTH || (r->on == TAP_ONLY) == (layer == TTD_TAP);
}

/* With the guard, then those that were dropped without. */
static void run_matrix(size_t payload)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (applies(&rows[i]))
			ck_assert_msg(has_come(&rows[i], (uint32_t)i, payload)
				      == rows[i].comes,
				      "%s -> %s (row %zu) %s", rows[i].src,
				      rows[i].dst ? rows[i].dst : "all", i,
				      rows[i].comes ? "did not come" : "came");
	without_guard();
	for (size_t i = 0; i < N_ROWS; i++)
		if (applies(&rows[i]) && !rows[i].comes)
			ck_assert_msg(has_come(&rows[i], (uint32_t)(i + 1000),
					       payload),
				      "without the guard %s -> %s (row %zu) "
				      "did not come either: it proves nothing",
				      rows[i].src,
				      rows[i].dst ? rows[i].dst : "all", i);
}

static const struct setup setups[] = {
	{ .layer = TTD_TUN }, { .layer = TTD_TAP },
	{ .layer = TTD_TUN, .pass = true, .hdr_len = 0 },
	{ .layer = TTD_TUN, .pass = true, .hdr_len = 1 },
	{ .layer = TTD_TUN, .pass = true, .hdr_len = 12 },
	{ .layer = TTD_TAP, .pass = true, .hdr_len = 0 },
	/* Of a frame less than its link header may not be asked for. */
	{ .layer = TTD_TAP, .pass = true, .hdr_len = 14 },
};
#define N_SETUPS (sizeof(setups) / sizeof(*setups))

START_TEST(spoofed_is_dropped_legitimate_comes)
{
	begin(&setups[_i]);
	run_matrix(16);
	end();
}
END_TEST

START_TEST(also_in_large_packets)
{
	begin(&setups[_i]);
	/* What is forwarded must fit the LAN's MTU, or be cut. */
	ck_admin("ip link set lan0 mtu 9000");
	rights(true);
	in_far("ip link set lan1 mtu 9000");
	rights(false);
	run_matrix(LARGE);
	end();
}
END_TEST

/*
 * What the kernel would drop by itself a little later: the guard does before.
 * The witness is what IP has received at all.
 */
static const char *const hopeless[][2] = {
	{ "::1", "fd09::1" }, { "ff02::7", "fd09::1" },
	{ "224.0.0.7", "10.9.0.1" }, { "255.255.255.255", "10.9.0.1" },
};
#define TIMES	100		/* other packets are few */

/* How many packets of that family more, if one like it is sent so often. */
static long received(const struct row *r, uint32_t id)
{
	long n[2] = { 0, 0 };

	for (int after = 0; after < 2; after++) {
		char *text = sh(is_v6(r) ?
				"sed -n 's/^Ip6InReceives *//p' "
				"/proc/net/snmp6" :
				"sed -n 's/^Ip: [0-9]* [0-9]* //p' "
				"/proc/net/snmp");

		n[after] = strtol(text, NULL, 10);
		free(text);
		for (int i = 0; !after && i < TIMES; i++)
			udp_has_come(r, id, 16);
	}
	return n[1] - n[0];
}

START_TEST(what_the_kernel_would_drop_does_not_get_there)
{
	const struct row row = { hopeless[_i / 2][0], hopeless[_i / 2][1],
				 LOCAL, false, BOTH, false };
	long n;

	begin(&setups[_i % 2]);
	/* What is still to come of its addresses would bring a guard back. */
	ck_soon(sh_status("ip -6 addr show dev tt0 tentative | grep -q .") ==
		1);
	sleep_ms(2 * LIMIT_GUARD_MS);
	/* The sentinels alone; then both. */
	n = received(&row, 1);
	ck_assert_msg(n < TIMES + TIMES / 2, "%ld", n);
	without_guard();
	n = received(&row, 2);
	ck_assert_msg(n >= 2 * TIMES, "%ld", n);
	end();
}
END_TEST

/* --- Ethernet ----------------------------------------------------------- */

/*
 * A tag of VLAN 0, which only has a priority, the host takes off, and the
 * packet for its own.
 */
START_TEST(tagged_frames_are_dropped)
{
	static const uint8_t tag[4] = { 0x81, 0x00, 0x20, 0x00 };
	const size_t len = 14 + 20 + 8 + 16, at = 2 * MAC_BYTES;

	begin(&setups[1]);
	for (int guarded = 1; guarded >= 0; guarded--) {
		uint32_t id = 40 + (uint32_t)guarded;

		/* Without it comes; again, with the tag put in. */
		udp4("10.9.0.77", "10.9.0.1", 77, 16);
		udp4("10.9.0.99", "10.9.0.1", SENTINEL, 4);
		ck_assert(came(local4, 77));
		udp4("10.9.0.77", "10.9.0.1", id, 16);
		memmove(packet + at + 4, packet + at, len - at);
		memcpy(packet + at, tag, sizeof(tag));
		memcpy(packet + 4 + len - 16, &(uint32_t){ id + 2 }, 4);
		ck_assert_int_eq(write(fd, packet, len + 4), (ssize_t)len + 4);
		udp4("10.9.0.99", "10.9.0.1", SENTINEL, 4);
		ck_assert_int_eq(came(local4, id + 2), !guarded);
		if (guarded)
			without_guard();
	}
	end();
}
END_TEST

/* Probes for a free address have no sender yet. */
START_TEST(arp_probes_are_answered)
{
	uint8_t buf[2048];
	bool answered = false;

	begin(&setups[1]);
	arp(1, "0.0.0.0", "10.9.0.1");
	while (!answered && readable(fd, IN_TIME_MS)) {
		ssize_t n = read(fd, buf, sizeof(buf));

		answered = n >= ETHER_HEADER_ + ARP_BYTES && buf[12] == 8 &&
			   buf[13] == 6 && buf[14 + 7] == 2;
	}
	ck_assert(answered);
	end();
}
END_TEST

/*
 * A guest behind the TAP, in a namespace of its own, on another TAP that is
 * wired to it: udhcpc asks, and dnsmasq answers on the device by a UDP socket.
 */
static pid_t wire(int a, int b)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct pollfd p[] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };

		poll(p, 2, -1);
		for (int i = 0; i < 2; i++) {
			ssize_t n = p[i].revents & POLLIN ?
				    read(p[i].fd, packet, sizeof(packet)) : 0;

			if (n > 0 && write(p[!i].fd, packet, (size_t)n) != n)
				continue;	/* its queue is full */
		}
	}
}

static int guest_tap(void)
{
	struct ifreq ifr = { .ifr_name = "g0",
			     .ifr_flags = IFF_TAP | IFF_NO_PI };
	int tap;

	ck_assert_int_eq(setns(far_ns, CLONE_NEWNET), 0);
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ioctl(tap, TUNSETIFF, &ifr), 0);
	ck_sh("ip link set g0 up");
	ck_assert_int_eq(setns(here_ns, CLONE_NEWNET), 0);
	return tap;
}

#define DHCP_SERVER \
	"dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 " \
	"--interface=tt0 --bind-interfaces --user=root --group= " \
	"--dhcp-range=10.9.0.50,10.9.0.60 --dhcp-authoritative " \
	"--no-ping --leasefile-ro --log-facility=%s/dnsmasq --pid-file="

static pid_t start_server(void)
{
	pid_t pid = fork();
	char command[512];

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(command, sizeof(command), "exec " DHCP_SERVER,
			 rig.dir);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	ck_soon(sh_status("grep -qs started %s/dnsmasq", rig.dir) == 0);
	return pid;
}

#define WITHOUT_DHCP \
	"[rule all]\naction = allow\nuser = 65534\nkind = tap\n" \
	"name = tt*\naddress = 10.9.0.0/16, fd09::/32\ndhcp = no\n"

START_TEST(a_guest_gets_an_address)
{
	const struct setup s = { .layer = TTD_TAP,
				 .policy = _i ? WITHOUT_DHCP : NULL };
	pid_t server, wires;
	int guest, got;

	begin(&s);
	if (sh_status("command -v dnsmasq udhcpc >/dev/null")) {
		live_skip("a_guest_gets_an_address", "dnsmasq or udhcpc is "
			  "missing: apt-get install dnsmasq-base udhcpc");
		end();
		return;
	}
	rights(true);
	guest = guest_tap();
	wires = wire(fd, guest);
	server = start_server();
	/* What it is told it puts into a file, and sets. */
	ck_sh("printf '#!/bin/sh\\n[ \"$1\" = bound ] || exit 0\\n"
	      "ip addr add $ip/24 dev g0; echo $ip >%s/got\\n' >%s/script; "
	      "chmod +x %s/script", rig.dir, rig.dir, rig.dir);
	ck_assert_int_eq(setns(far_ns, CLONE_NEWNET), 0);
	got = sh_status("udhcpc -i g0 -n -q -f -t %d -T 1 -s %s/script "
			">%s/udhcpc 2>&1", _i ? 2 : 5, rig.dir, rig.dir);
	if (_i) {
		ck_assert_int_ne(got, 0);
		/* By hand it goes: only the question is not let in. */
		ck_sh("ip addr add 10.9.0.55/24 dev g0");
	} else {
		ck_assert_msg(got == 0, "%s", sh("cat %s/udhcpc %s/dnsmasq",
						 rig.dir, rig.dir));
		ck_sh("grep -q '^10.9.0.[56]' %s/got", rig.dir);
	}
	/* ARP both ways; neighbour discovery, by link-local addresses too. */
	ck_sh("ping -c 2 -W 2 10.9.0.1 >/dev/null");
	ck_sh("ip -6 addr add fd09::55/64 dev g0 nodad; "
	      "ping -c 2 -W 2 fd09::1 >/dev/null");
	ck_assert_int_eq(setns(here_ns, CLONE_NEWNET), 0);
	ck_sh("ip neigh flush dev tt0; ping -c 2 -W 2 fd09::55 >/dev/null");
	ck_sh("ping -c 2 -W 2 $(cat %s/got 2>/dev/null || echo 10.9.0.55) "
	      ">/dev/null", rig.dir);
	kill(server, SIGKILL);
	kill(wires, SIGKILL);
	waitpid(server, NULL, 0);
	waitpid(wires, NULL, 0);
	close(guest);
	rights(false);
	end();
}
END_TEST

/* --- with the host ------------------------------------------------------ */

/* Everything may come by the device that does not come by another. */
START_TEST(a_full_tunnel_cannot_be_the_lan)
{
	struct ttd_route all[] = { route("0.0.0.0/0", NULL, 0),
				   route("::/0", NULL, 0) };
	const struct setup s = { .layer = _i ? TTD_TAP : TTD_TUN,
				 .routes = all, .n_routes = 2 };
	static const struct row some[] = {
		{ "8.8.8.8", "10.9.0.1", LOCAL, true, BOTH, false },
		{ "203.0.113.9", "192.168.7.2", FORWARDED, true, BOTH, false },
		{ "2001:db8::1", "fd07::1", LOCAL, true, BOTH, false },
		{ "192.168.7.2", "10.9.0.1", LOCAL, false, BOTH, false },
		{ "192.168.7.77", "192.168.7.1", LOCAL, false, BOTH, false },
		{ "192.168.7.1", "10.9.0.1", LOCAL, false, BOTH, false },
		{ "172.31.3.3", "10.9.0.1", LOCAL, false, BOTH, false },
		{ "127.0.0.1", "10.9.0.1", LOCAL, false, BOTH, false },
		{ "fd07::2", "fd09::1", LOCAL, false, BOTH, false },
		{ "fd09::1", "fd09::1", LOCAL, false, BOTH, false },
		{ "::ffff:127.0.0.1", "fd09::1", LOCAL, false, BOTH, false },
	};

	begin(&s);
	for (int guarded = 1; guarded >= 0; guarded--) {
		for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
			ck_assert_msg(has_come(&some[i], (uint32_t)i, 16) ==
				      (some[i].comes || !guarded),
				      "%s -> %s, %s", some[i].src, some[i].dst,
				      guarded ? "guarded" : "not guarded");
		if (guarded)
			without_guard();
	}
	end();
}
END_TEST

static bool comes4(const char *src)
{
	const struct row r = { src, "10.9.0.1", LOCAL, true, BOTH, false };
	static uint32_t id = 100;

	return has_come(&r, ++id, 16);
}

/* As the host gets networks, they are no longer the device's to send from. */
START_TEST(it_follows_the_host)
{
	struct ttd_route wide[] = { route("10.0.0.0/8", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = wide,
				 .n_routes = 1 };
	struct ttd_error e;

	begin(&s);
	ck_assert(comes4("10.20.0.9"));
	ck_admin("ip addr add 10.20.0.1/24 dev lan0");
	ck_soon(!comes4("10.20.0.9"));
	ck_assert(comes4("10.20.1.9"));
	ck_admin("ip addr del 10.20.0.1/24 dev lan0");
	ck_soon(comes4("10.20.0.9"));
	ck_admin("ip route add 10.30.0.0/16 via 192.168.7.2");
	ck_soon(!comes4("10.30.0.9"));
	ck_admin("ip route replace blackhole 10.30.0.0/16");
	ck_admin("ip route add 10.31.0.0/16 via 192.168.7.2");
	ck_soon(!comes4("10.31.0.9"));
	ck_assert(!comes4("10.30.0.9"));
	ck_admin("ip route del blackhole 10.30.0.0/16");
	ck_soon(comes4("10.30.0.9"));
	/* What is left when the device goes does not stand in its way. */
	ck_admin("ip route add blackhole 10.0.0.0/8 metric 900000");
	ck_admin("ip route del 10.31.0.0/16");
	ck_soon(comes4("10.31.0.9"));
	/* All of it the host's own ("AnyIP"), as its addresses are. */
	ck_admin("ip route add local 10.32.0.0/16 dev lo");
	ck_soon(!comes4("10.32.0.9"));
	ck_admin("ip route del local 10.32.0.0/16 dev lo");
	ck_soon(comes4("10.32.0.9"));
	ck_admin("ip link add many0 type veth peer name many1 && ip link set "
		 "many0 up && ip route add 10.40.0.0/16 nexthop via "
		 "192.168.7.2 nexthop dev many0");
	ck_soon(!comes4("10.40.0.9"));
	/* An address of the host's own, in the middle of nothing else. */
	ck_admin("ip addr add 10.50.0.9/32 dev lo");
	ck_soon(!comes4("10.50.0.9"));
	ck_assert(comes4("10.50.0.8"));
	/* What the holder asks for counts at once. */
	ck_assert_int_eq(ttd_del_routes(dev, wide, 1, &e), 0);
	ck_assert(!comes4("10.20.1.9"));
	ck_assert(comes4("10.9.0.9"));
	ck_assert_int_eq(ttd_add_routes(dev, wide, 1, &e), 0);
	ck_assert(comes4("10.20.1.9"));
	ck_assert(!comes4("10.40.0.9"));
	/* And what happened while it was down. */
	ck_admin("ip link set tt0 down");
	ck_admin("ip route add 10.60.0.0/16 via 192.168.7.2");
	ck_admin("ip link set tt0 up");
	ck_soon(comes4("10.20.1.9") && !comes4("10.60.0.9"));
	end();
}
END_TEST

static bool comes6(const char *src)
{
	const struct row r = { src, "fd09::1", LOCAL, true, BOTH, false };
	static uint32_t id = 100000;

	return has_come(&r, ++id, 16);
}

/* Where one of two like routes goes, the other one is there. */
START_TEST(it_tells_like_routes_apart)
{
	struct ttd_route wide[] = { route("10.0.0.0/8", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = wide,
				 .n_routes = 1 };

	begin(&s);
	ck_admin("ip route add 10.91.0.0/16 via 192.168.7.2 && ip route append "
		 "10.91.0.0/16 via 192.168.7.2 mtu 1400 && "
		 "ip route add blackhole 10.92.0.0/16 && "
		 "ip route append unreachable 10.92.0.0/16");
	ck_soon(!comes4("10.91.0.9") && !comes4("10.92.0.9"));
	ck_admin("ip route del 10.91.0.0/16 && "
		 "ip route del blackhole 10.92.0.0/16");
	/* By then it has been made anew. */
	ck_admin("ip route add 10.93.0.0/16 via 192.168.7.2");
	ck_soon(!comes4("10.93.0.9"));
	ck_assert(!comes4("10.91.0.9"));
	ck_assert(!comes4("10.92.0.9"));
	/* The table that is asked first has others' too. */
	ck_admin("ip route add 10.97.0.0/16 via 192.168.7.2 table local");
	ck_soon(!comes4("10.97.0.9"));
	end();
}
END_TEST

/* All of a route to the device becomes the host's own. */
START_TEST(it_follows_what_is_wider_and_the_hosts)
{
	struct ttd_route inner[] = { route("10.70.7.0/24", NULL, 0),
				     route("fd70:7::/32", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = inner,
				 .n_routes = 2 };

	begin(&s);
	ck_assert(comes4("10.70.7.9"));
	ck_assert(comes6("fd70:7::9"));
	ck_admin("ip route add local 10.70.0.0/16 dev lo && "
		 "ip -6 route add local fd70::/16 dev lo");
	ck_soon(!comes4("10.70.7.9") && !comes6("fd70:7::9"));
	ck_assert(comes4("10.9.0.9"));
	ck_admin("ip route del local 10.70.0.0/16 dev lo");
	ck_soon(comes4("10.70.7.9"));
	/* In another table, or as a default route, it is not. */
	ck_admin("ip route add local default dev lo table 100 && "
		 "ip route add local 10.70.0.0/16 dev lo table 100");
	ck_admin("ip route add 10.70.7.128/25 via 192.168.7.2");
	ck_soon(!comes4("10.70.7.129"));
	ck_assert(comes4("10.70.7.9"));
	end();
}
END_TEST

/* Of events that got lost a dump tells, and nothing older after it. */
START_TEST(it_follows_where_events_were_lost)
{
	struct ttd_route wide[] = { route("10.0.0.0/8", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = wide,
				 .n_routes = 1 };

	begin(&s);
	rights(true);
	ck_sh("for a in $(seq 128 143); do for b in $(seq 0 249); do echo "
	      "route add 10.$a.$b.0/24 via 192.168.7.2; done; done >%s/add; "
	      "sed s/add/del/ %s/add >%s/del; ip -batch %s/add", rig.dir,
	      rig.dir, rig.dir, rig.dir);
	ck_soon(sh_status("[ -e %s/add ]", rig.dir) == 0);
	rights(false);
	ck_soon(!comes4("10.128.0.9") && !comes4("10.143.249.9"));
	rights(true);
	kill(rig.daemon, SIGSTOP);
	ck_sh("ip -batch %s/del && ip -batch %s/add", rig.dir, rig.dir);
	kill(rig.daemon, SIGCONT);
	rights(false);
	/* By then it has been made anew. */
	ck_admin("ip route add 10.93.0.0/16 via 192.168.7.2");
	ck_soon(!comes4("10.93.0.9"));
	for (int a = 128; a < 144; a++) {
		char src[32];

		snprintf(src, sizeof(src), "10.%d.%d.9", a, a);
		ck_assert_msg(!comes4(src), "%s came", src);
	}
	end();
}
END_TEST

/* What a refused request leaves in force is known to be in force. */
START_TEST(it_follows_after_a_refused_request)
{
	struct ttd_route wide[] = { route("10.0.0.0/8", NULL, 0) };
	struct ttd_route bad[] = { route("10.99.0.0/16", "8.8.8.8", 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = wide,
				 .n_routes = 1 };
	struct ttd_error e;

	begin(&s);
	ck_admin("ip route add 10.30.0.0/16 via 192.168.7.2");
	ck_soon(!comes4("10.30.0.9"));
	sleep_ms(STEP_MS);
	for (int i = 0; i < 3; i++) {
		ck_admin("ip route del 10.30.0.0/16 via 192.168.7.2");
		ck_assert_int_lt(ttd_add_routes(dev, bad, 1, &e), 0);
		ck_admin("ip route add 10.30.0.0/16 via 192.168.7.2");
		ck_admin("ip route replace 10.31.0.0/16 via 192.168.7.2");
		ck_soon(!comes4("10.30.0.9"));
	}
	end();
}
END_TEST

/* What counts is what the lease was given, not what is left of it. */
START_TEST(it_follows_where_others_took_the_route)
{
	struct ttd_route wide[] = { route("10.0.0.0/8", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = wide,
				 .n_routes = 1 };

	begin(&s);
	ck_assert(comes4("10.20.0.9"));
	ck_admin("ip route del 10.0.0.0/8 dev tt0");
	ck_assert(comes4("10.20.0.9"));
	ck_admin("ip addr add 10.20.0.1/24 dev lan0");
	ck_soon(!comes4("10.20.0.9"));
	ck_assert(comes4("10.20.1.9"));
	end();
}
END_TEST

/* The host's own link-local address is no neighbour's. */
START_TEST(nobody_is_the_host_to_its_neighbours)
{
	struct row r = { .dst = "fd09::1", .witness = NEIGHBOUR };
	char *own;

	begin(&setups[1]);
	own = sh("ip -6 -o addr show dev tt0 scope link | "
		 "sed 's/.*inet6 //; s,/.*,,' | tr -d '\\n'");
	ck_assert_int_eq(strncmp(own, "fe80::", 6), 0);
	r.src = own;
	/* It is known a little after the device is there. */
	ck_soon(!has_come(&r, 1, 16));
	ck_admin("ip neigh flush dev tt0");
	ck_assert(!has_come(&r, 2, 16));
	without_guard();
	ck_assert(has_come(&r, 3, 16));
	free(own);
	end();
}
END_TEST

/* A route into the middle of the host's own by a gateway: the longest decides. */
START_TEST(the_longest_prefix_decides)
{
	struct ttd_route inner[] = { route("10.70.7.0/24", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN };
	struct ttd_error e;

	begin(&s);
	ck_admin("ip route add 10.70.0.0/16 via 192.168.7.2");
	ck_assert_int_eq(ttd_add_routes(dev, inner, 1, &e), 0);
	ck_assert(comes4("10.70.7.1"));
	ck_assert(!comes4("10.70.8.1"));
	end();
}
END_TEST

static const char named[] =
	"[rule all]\naction = allow\nuser = 65534\nkind = tun, tap\n"
	"name = tt*\naddress = 10.9.0.0/16, fd09::/32\nroute = 10.0.0.0/8\n"
	"source = 10.9.0.0/28, 10.9.0.64/26, fd09::/64, 8.8.8.0/24\n"
	"dhcp = no\n";

START_TEST(the_policy_may_name_the_sources)
{
	const struct setup s = { .layer = TTD_TUN, .policy = named };

	begin(&s);
	ck_assert(comes4("10.9.0.77"));
	ck_assert(comes4("8.8.8.8"));
	ck_assert(!comes4("10.9.0.33"));
	ck_assert(!comes4("10.9.0.1"));		/* the host's own */
	ck_admin("ip addr add 8.8.8.1/32 dev lo");
	ck_soon(!comes4("8.8.8.1"));
	ck_assert(comes4("8.8.8.8"));
	ck_admin("ip route add local 8.8.8.128/25 dev lo");
	ck_soon(!comes4("8.8.8.200"));
	ck_assert(comes4("8.8.8.8"));
	end();
}
END_TEST

START_TEST(the_policy_may_do_without)
{
	static const char off[] =
		"[rule all]\naction = allow\nuser = 65534\nkind = tun\n"
		"name = tt*\naddress = 10.9.0.0/16, fd09::/32\n"
		"source-guard = off\n";
	const struct setup s = { .layer = TTD_TUN, .policy = off };

	begin(&s);
	ck_assert(comes4("8.8.8.8"));
	ck_admin("! tc qdisc show dev tt0 | grep -q clsact");
	end();
}
END_TEST

/* --- where it does not fit ---------------------------------------------- */

/* More networks inside of a full tunnel than a program holds. */
START_TEST(what_does_not_fit_is_refused)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_route all = route("0.0.0.0/0", NULL, 0);
	struct ttd_addr a = addr("10.9.0.1/24");
	struct rig_options ro = { .policy = policy };
	struct ttd_error e;
	char *before;

	make_hosts();
	ck_sh("for a in $(seq 100 115); do for b in $(seq 0 2 254); do echo "
	      "route add 20.$a.$b.0/24 via 192.168.7.2; done; done | "
	      "ip -batch -");
	rig_start(&rig, &ro);
	/* From a workqueue, a little later. */
	ck_soon(sh_status("ip -6 route show table local dev lan0 | "
			  "grep -q '^local fe80:'") == 0);
	before = host_state();
	rights(false);
	o.socket_path = rig.socket;
	o.name = "tt0";
	o.addrs = &a;
	o.n_addrs = 1;
	o.routes = &all;
	o.n_routes = 1;
	ck_assert_int_eq(ttd_open(&o, &dev, &e), -E2BIG);
	ck_assert_str_eq(e.step, "guard");
	ck_assert_ptr_nonnull(strstr(e.text, "source ="));
	/* Without the tunnel it fits; and so does a later refusal. */
	o.n_routes = 0;
	ck_assert_msg(ttd_open(&o, &dev, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ttd_add_routes(dev, &all, 1, &e), -E2BIG);
	ck_assert_str_eq(e.step, "guard");
	ttd_free(dev);
	rights(true);
	host_unchanged(before);
	rig_end(&rig);
}
END_TEST

/* It fitted, and does no longer: better no device than no guard. */
START_TEST(what_outgrows_it_is_taken_back)
{
	struct ttd_route all[] = { route("0.0.0.0/0", NULL, 0) };
	const struct setup s = { .layer = TTD_TUN, .routes = all,
				 .n_routes = 1 };
	struct ttd_error why;

	begin(&s);
	ck_admin("for a in $(seq 100 115); do for b in $(seq 0 2 254); do echo "
		 "route add 20.$a.$b.0/24 via 192.168.7.2; done; done | "
		 "ip -batch -");
	ck_soon(ttd_status(dev, NULL) == TTD_REVOKED);
	ttd_status(dev, &why);
	ck_assert_msg(strstr(why.text, "guard") != NULL, "%s", why.text);
	rights(true);
	link_goes("tt0");
	rights(false);
	end();
}
END_TEST

/* Over a restart it stays, and follows, also where the rule has changed. */
START_TEST(it_stays_over_a_restart)
{
	static const char off[] =
		"[rule all]\naction = allow\nuser = 65534\nkind = tun\n"
		"name = tt*\naddress = 10.9.0.0/16, fd09::/32\n"
		"route = 10.0.0.0/8\nsource-guard = off\n";
	/* No thread asks for the lease while the test is root. */
	const struct setup s = { .layer = TTD_TUN, .flags = TTD_NO_THREAD };
	struct ttd_route more[] = { route("10.80.0.0/16", NULL, 0) };
	struct ttd_event ev = TTD_EVENT_INIT;
	struct ttd_error e;
	char path[192];
	FILE *f;

	begin(&s);
	rights(true);
	snprintf(path, sizeof(path), "%s/10-test.conf", rig.policy);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs(_i ? off : policy, f);
	fclose(f);
	rig_kill(&rig, SIGKILL);
	rights(false);
	ck_assert(comes4("10.9.0.9"));
	ck_assert(!comes4("8.8.8.8"));
	rights(true);
	rig_daemon(&rig, NULL);
	rights(false);
	do
		ck_assert_int_eq(ttd_next_event(dev, &ev, DEADLINE_MS), 0);
	while (ev.type != TTD_EVENT_DAEMON_BACK);
	ck_assert(comes4("10.9.0.9"));
	ck_assert(!comes4("8.8.8.8"));
	ck_assert(!comes4("10.80.0.9"));
	ck_assert_msg(ttd_add_routes(dev, more, 1, &e) == 0, "%s", e.text);
	ck_assert(comes4("10.80.0.9"));
	ck_admin("ip addr add 10.80.1.1/24 dev lan0");
	ck_soon(!comes4("10.80.1.9"));
	ck_assert(!comes4("8.8.8.8"));
	end();
}
END_TEST

/* Nobody has come for it yet, and the host's networks are its own already. */
START_TEST(it_follows_also_while_nobody_has_the_lease)
{
	const struct setup s = { .layer = TTD_TUN, .flags = TTD_NO_THREAD };

	begin(&s);
	rights(true);
	rig_kill(&rig, SIGKILL);
	rig_daemon(&rig, NULL);
	rights(false);
	ck_assert(comes4("10.9.0.150"));
	ck_admin("ip addr add 10.9.0.129/26 dev lan0");
	ck_soon(!comes4("10.9.0.150"));
	ck_assert(comes4("10.9.0.9"));
	end();
}
END_TEST

/* Nobody can take it away, not even who made the device his own. */
START_TEST(a_holder_cannot_remove_it)
{
	static const char *const remove[] = {
		"/sbin/tc", "qdisc", "del", "dev", "tt0", "clsact", NULL
	};
	struct client c = { .pid = -1 };

	begin(&setups[0]);
	rights(true);
	client_exec(&c, remove);
	ck_assert_int_eq(WEXITSTATUS(client_wait(&c)), 2);
	rights(false);
	ck_admin("tc qdisc show dev tt0 | grep -q clsact");
	/* Nor does it go by a flap, as addresses and routes may. */
	ck_assert_int_eq(ttd_set_up(dev, 0, NULL), 0);
	ck_assert_int_eq(ttd_set_up(dev, 1, NULL), 0);
	ck_soon(comes4("10.9.0.9"));
	ck_assert(!comes4("8.8.8.8"));
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, spoofed_is_dropped_legitimate_comes, 0,
			    N_SETUPS);
	tcase_add_loop_test(t, also_in_large_packets, 2, N_SETUPS);
	tcase_add_loop_test(t, what_the_kernel_would_drop_does_not_get_there,
			    0, 2 * sizeof(hopeless) / sizeof(*hopeless));
	tcase_add_test(t, tagged_frames_are_dropped);
	tcase_add_test(t, arp_probes_are_answered);
	tcase_add_loop_test(t, a_guest_gets_an_address, 0, 2);
	tcase_add_loop_test(t, a_full_tunnel_cannot_be_the_lan, 0, 2);
	tcase_add_test(t, it_follows_the_host);
	tcase_add_test(t, it_tells_like_routes_apart);
	tcase_add_test(t, it_follows_what_is_wider_and_the_hosts);
	tcase_add_test(t, it_follows_where_events_were_lost);
	tcase_add_test(t, it_follows_after_a_refused_request);
	tcase_add_test(t, it_follows_where_others_took_the_route);
	tcase_add_test(t, nobody_is_the_host_to_its_neighbours);
	tcase_add_test(t, the_longest_prefix_decides);
	tcase_add_test(t, the_policy_may_name_the_sources);
	tcase_add_test(t, the_policy_may_do_without);
	tcase_add_test(t, what_does_not_fit_is_refused);
	tcase_add_test(t, what_outgrows_it_is_taken_back);
	tcase_add_loop_test(t, it_stays_over_a_restart, 0, 2);
	tcase_add_test(t, it_follows_also_while_nobody_has_the_lease);
	tcase_add_test(t, a_holder_cannot_remove_it);
	suite_add_tcase(s, t);
	return live_main("guard", s);
}
