/*
 * What the host has: interfaces and addresses by getifaddrs(3), routes by
 * sysctl(3) NET_RT_DUMP.  A routing socket (route(4)) says when to look, and is
 * not to be believed further than that: anybody can have a message of any type
 * told to all, by asking (RTM_GET) or by being refused (route_output(),
 * bsd/net/rtsock.c); one that is full misses the next without a word
 * (raw_input(), bsd/net/raw_usrreq.c); and an interface that comes or goes has
 * no message at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "../proto/sysctl_darwin.h"
#include "darwin_compat.h"
#include "limits.h"
#include "os_darwin.h"
#include "refuse.h"

#define EVENT_MAX	2048	/* what is longer is cut: it is not looked at */
#define ALIGNMENT	4	/* of addresses in a message */
/* bsd/net/route.h, in its private part. */
#ifndef RTF_WASCLONED
#define RTF_WASCLONED	0x20000
#endif
#ifndef RTF_LOCAL
#define RTF_LOCAL	0x200000
#endif
#ifndef RTF_IFSCOPE
#define RTF_IFSCOPE	0x1000000
#endif

static struct {
	int events;
	struct os_watcher watcher;
} watch = { .events = -1 };

/* --- interfaces and addresses ------------------------------------------- */

static struct prefix prefix_of(const struct sockaddr *sa)
{
	struct prefix p = { 0 };
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		p = (struct prefix){ .family = 4, .len = 32 };
		memcpy(p.ip, &in.sin_addr, 4);
	} else if (sa && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		p = (struct prefix){ .family = 6, .len = 128 };
		memcpy(p.ip, &in6.sin6_addr, sizeof(p.ip));
		/* The kernel keeps the scope in a link-local address. */
		if (p.ip[0] == 0xfe && (p.ip[1] & 0xc0) == 0x80)
			p.ip[2] = p.ip[3] = 0;
	}
	return p;
}

/* The 1 bits of a mask that may be cut behind its last byte that is not 0. */
static uint8_t mask_len(const struct sockaddr *sa, uint8_t family)
{
	size_t from = family == 4 ? offsetof(struct sockaddr_in, sin_addr)
				  : offsetof(struct sockaddr_in6, sin6_addr);
	const uint8_t *at = (const uint8_t *)sa;
	unsigned bits = 0, most = prefix_bits(family);

	while (bits < most && from + bits / 8 < sa->sa_len &&
	       at[from + bits / 8] & 0x80 >> bits % 8)
		bits++;
	return (uint8_t)bits;
}

/* Its index. */
static unsigned tell_link(const struct ifaddrs *a)
{
	const struct sockaddr_dl *dl = (const void *)a->ifa_addr;
	const struct if_data *data = a->ifa_data;
	struct os_link link = {
		.ifindex = dl->sdl_index, .up = a->ifa_flags & IFF_UP,
		.mtu = data ? (uint32_t)data->ifi_mtu : 0,
		.type = dl->sdl_type,
		.going = OS_GOING_DELETED,	/* there is nowhere else */
	};

	snprintf(link.name, sizeof(link.name), "%s", a->ifa_name);
	if (dl->sdl_alen == sizeof(link.mac))
		memcpy(link.mac, LLADDR(dl), sizeof(link.mac));
	if (utun_unit(link.name))
		link.layer = WIRE_TUN;
	watch.watcher.link(watch.watcher.arg, &link, false);
	return link.ifindex;
}

bool watch_address(const struct ifaddrs *a, struct prefix *ret)
{
	*ret = prefix_of(a->ifa_addr);
	if (ret->family && a->ifa_netmask)
		ret->len = mask_len(a->ifa_netmask, ret->family);
	return ret->family != 0;
}

static void tell_address(const struct ifaddrs *a, unsigned ifindex)
{
	struct os_address address = { .ifindex = ifindex };

	if (watch_address(a, &address.local))
		watch.watcher.address(watch.watcher.arg, &address, false);
}

/* Each link comes before its addresses: sysctl_iflist(), bsd/net/rtsock.c. */
static int tell_interfaces(void)
{
	struct ifaddrs *all, *a;
	unsigned ifindex = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (a = all; a; a = a->ifa_next) {
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_LINK)
			ifindex = tell_link(a);
		else if (a->ifa_addr)
			tell_address(a, ifindex);
	}
	freeifaddrs(all);
	return 0;
}

/* --- routes ------------------------------------------------------------- */

/* The addresses behind a header, by the bits of rtm_addrs.  False: cut short. */
static bool find_addresses(const struct rt_msghdr *h, const uint8_t *at,
			   const uint8_t *end,
			   const struct sockaddr *ret[RTAX_MAX])
{
	for (int i = 0; i < RTAX_MAX; i++) {
		const struct sockaddr *sa = (const void *)at;
		size_t len;

		ret[i] = NULL;
		if (!(h->rtm_addrs & 1 << i))
			continue;
		if (at >= end)
			return false;
		len = sa->sa_len ? sa->sa_len : ALIGNMENT;
		if (len > (size_t)(end - at))
			return false;
		ret[i] = sa;
		at += (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	}
	return true;
}

static enum os_route_to leads_to(int flags)
{
	if (flags & RTF_LOCAL)
		return OS_ROUTE_TO_HOST;
	return flags & (RTF_REJECT | RTF_BLACKHOLE) ? OS_ROUTE_TO_NOWHERE
						    : OS_ROUTE_TO_LINK;
}

/*
 * Not told are entries of neighbours, and what counts for sockets alone that
 * are bound to the interface.
 */
static bool read_route(const void *message, size_t len, struct os_route *ret)
{
	const uint8_t *end = (const uint8_t *)message + len;
	const struct rt_msghdr *h = message;
	const struct sockaddr *sa[RTAX_MAX];

	if (len < sizeof(*h) ||
	    h->rtm_flags & (RTF_LLINFO | RTF_WASCLONED | RTF_IFSCOPE) ||
	    !find_addresses(h, (const uint8_t *)(h + 1), end, sa) ||
	    !prefix_of(sa[RTAX_DST]).family)
		return false;
	*ret = (struct os_route){
		.to = leads_to(h->rtm_flags), .ifindex = h->rtm_index,
		.dst = prefix_of(sa[RTAX_DST]), .table = OS_TABLE_MAIN,
		.direct = !(h->rtm_flags & RTF_GATEWAY),
	};
	if (!(h->rtm_flags & RTF_HOST))
		ret->dst.len = sa[RTAX_NETMASK] ? mask_len(sa[RTAX_NETMASK],
							   ret->dst.family) : 0;
	if (h->rtm_flags & RTF_GATEWAY)
		ret->gateway = prefix_of(sa[RTAX_GATEWAY]);
	return true;
}

static int tell_route(const void *message, size_t len, void *arg)
{
	struct os_route r;

	(void)arg;
	if (read_route(message, len, &r))
		watch.watcher.route(watch.watcher.arg, &r, false);
	return 0;
}

/* 0, what `take` ends it with, or -errno: never as if there were no route. */
static int each_route(int (*take)(const void *message, size_t len, void *arg),
		      void *arg)
{
	int r = sysctl_dump(AF_UNSPEC, NET_RT_DUMP, take, arg);

	return r == -EAGAIN || r == -ESRCH ? -EBUSY : r;
}

struct wanted {
	unsigned ifindex;
	const struct prefix *dst;
};

static int is_wanted(const void *message, size_t len, void *arg)
{
	const struct rt_msghdr *h = message;
	const struct wanted *w = arg;
	struct os_route r;

	return read_route(message, len, &r) && !(h->rtm_flags & RTF_HOST) &&
	       r.ifindex == w->ifindex && prefix_equal(&r.dst, w->dst);
}

int watch_has_route(unsigned ifindex, const struct prefix *dst)
{
	struct wanted w = { ifindex, dst };

	return each_route(is_wanted, &w);
}

struct static_routes {
	unsigned ifindex;
	int (*call)(const void *message, size_t len);
	int n;
};

/* One that the kernel cloned from it, or makes itself, is not static. */
static int on_static(const void *message, size_t len, void *arg)
{
	struct static_routes *s = arg;
	const struct rt_msghdr *h = message;

	if (len < sizeof(*h) || h->rtm_index != s->ifindex ||
	    !(h->rtm_flags & RTF_STATIC))
		return 0;
	s->n++;
	return s->call(message, len);
}

int watch_static_routes(unsigned ifindex,
			int (*call)(const void *message, size_t len))
{
	struct static_routes s = { ifindex, call, 0 };
	int error = each_route(on_static, &s);

	return error ? error : s.n;
}

/* No route here prefers a source: nothing is equal to it. */
uint32_t os_source_hash(const struct prefix *address)
{
	(void)address;
	return UINT32_MAX;
}

/* --- all of it ---------------------------------------------------------- */

int os_watch_again(void)
{
	int error;

	watch.watcher.dump(watch.watcher.arg, true);
	error = tell_interfaces();
	if (!error)
		error = each_route(tell_route, NULL);
	if (!error)
		watch.watcher.dump(watch.watcher.arg, false);
	return error;
}

int os_watch_start(const struct os_watcher *watcher, struct wire_refused *why)
{
	int error = 0;

	watch.watcher = *watcher;
	/* Subscribed first, dumped then: nothing falls in between. */
	watch.events = darwin_socket(PF_ROUTE, SOCK_RAW, AF_UNSPEC);
	if (watch.events < 0)
		error = watch.events;
	else if (fcntl(watch.events, F_SETFL, O_NONBLOCK) < 0)
		error = -errno;
	if (!error)
		error = os_watch_again();
	if (error)
		refuse(why, WIRE_E_FAILED, "start", "cannot list the host's "
		       "interfaces: %s", strerror(-error));
	return error;
}

int os_watch_fd(void)
{
	return watch.events;
}

/* One was there.  0 or -errno in *ret_error. */
static bool read_event(int *ret_error)
{
	uint8_t event[EVENT_MAX];
	ssize_t n = read(watch.events, event, sizeof(event));

	*ret_error = n < 0 && errno != EAGAIN && errno != EINTR
		     ? -errno : 0;
	return n >= 0 || errno == ENOBUFS;
}

/* What they say is not looked at, see above: how many are read is no matter. */
int os_watch_read(unsigned most)
{
	int error = 0;

	if (most > LIMIT_EVENTS_AT_ONCE)
		most = LIMIT_EVENTS_AT_ONCE;
	while (most-- > 0 && read_event(&error))
		;
	return error ? error : -ESTALE;
}

void watch_stop(void)
{
	if (watch.events >= 0)
		close(watch.events);
	watch.events = -1;
}
