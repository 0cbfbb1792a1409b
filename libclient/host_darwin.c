/* What this host can do, and which way its own packets go. */
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#include "../proto/sysctl_darwin.h"
#include "device.h"

/* Of this kernel's own, and not told by its headers: rt_msg1(). */
#define ROUND		sizeof(uint32_t)
#define ROUNDED(n)	((n) ? (((size_t)(n) + ROUND - 1) & ~(ROUND - 1)) : ROUND)
#ifndef RTF_IFSCOPE
#define RTF_IFSCOPE	0x1000000
#endif

/* utun, one queue, no super-packets; no TAP. */
uint64_t ttd_caps(void)
{
	return TTD_CAP_TUN | TTD_CAP_PROTECT;
}

/* Where the address is in a struct sockaddr of this family. */
static size_t address_at(int family)
{
	return family == AF_INET ? offsetof(struct sockaddr_in, sin_addr) :
				   offsetof(struct sockaddr_in6, sin6_addr);
}

/* All of the address is 0, or left out, as in the netmask of a default. */
static bool is_zero(const uint8_t *sa, int family)
{
	for (size_t i = address_at(family); i < sa[0]; i++)
		if (sa[i])
			return false;
	return true;
}

/* A default route of this family that is every socket's, of which interface? */
static unsigned default_of(const struct rt_msghdr *rtm, int family)
{
	const int unfit = RTF_HOST | RTF_REJECT | RTF_BLACKHOLE | RTF_IFSCOPE;
	const uint8_t *at = (const uint8_t *)(rtm + 1);
	const uint8_t *end = (const uint8_t *)rtm + rtm->rtm_msglen;
	const int wanted = RTA_DST | RTA_GATEWAY | RTA_NETMASK;

	if (rtm->rtm_flags & unfit || !(rtm->rtm_flags & RTF_UP) ||
	    (rtm->rtm_addrs & wanted) != wanted)
		return 0;
	/* RTAX_DST, RTAX_GATEWAY, RTAX_NETMASK: each begins with its length. */
	for (int i = RTAX_DST; i <= RTAX_NETMASK; i++) {
		if (at >= end || at + ROUNDED(at[0]) > end)
			return 0;
		if (i != RTAX_GATEWAY && !is_zero(at, family))
			return 0;
		at += ROUNDED(at[0]);
	}
	return rtm->rtm_index;
}

struct wanted {
	int family;
	unsigned own, found;
};

static int look(const void *message, size_t len, void *arg)
{
	const struct rt_msghdr *rtm = message;
	struct wanted *w = arg;
	unsigned ifindex;

	if (len < sizeof(*rtm))
		return 0;
	ifindex = default_of(rtm, w->family);
	if (ifindex != w->own)
		w->found = ifindex;
	return w->found != 0;
}

/* The interface of the host's default route beside `own`.  0 or -errno. */
static int default_interface(int family, unsigned own, unsigned *ret)
{
	struct wanted w = { .family = family, .own = own };
	int r = sysctl_dump(family, NET_RT_DUMP, look, &w);

	if (r < 0)
		return r;
	if (!w.found)
		return -ENETUNREACH;
	*ret = w.found;
	return 0;
}

int ttd_protect(struct ttd_device *dev, int sockfd, int family)
{
	unsigned ifindex;
	int r;

	if (!dev || sockfd < 0 || (family != 4 && family != 6))
		return -EINVAL;
	r = default_interface(family == 4 ? AF_INET : AF_INET6, dev->ifindex,
			      &ifindex);
	if (r < 0)
		return r;
	if (family == 4)
		r = setsockopt(sockfd, IPPROTO_IP, IP_BOUND_IF, &ifindex,
			       sizeof(ifindex));
	else
		r = setsockopt(sockfd, IPPROTO_IPV6, IPV6_BOUND_IF, &ifindex,
			       sizeof(ifindex));
	/* ENXIO: it went meanwhile */
	return r == 0 ? 0 : errno == ENXIO ? -ENODEV : -errno;
}
