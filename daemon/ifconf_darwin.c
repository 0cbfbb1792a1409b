/*
 * Addresses, MTU and flags of an interface, by ioctl(2).  See ifconf(4) of the
 * BSDs; bsd/netinet/in.c, bsd/netinet6/in6.c and bsd/net/if.c of XNU say what
 * each takes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "darwin_compat.h"
#include "fault.h"
#include "os_darwin.h"

static int request(int fd, unsigned long number, const char *name, void *arg)
{
	if (fault_here(name))
		return -EIO;
	return ioctl(fd, number, arg) < 0 ? -errno : 0;
}

static void set_mask(uint8_t *ret, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		ret[i / 8] |= (uint8_t)(0x80 >> (i % 8));
}

static void put4(struct sockaddr *ret, const struct prefix *p)
{
	struct sockaddr_in in = { .sin_len = sizeof(in),
				  .sin_family = AF_INET };

	memcpy(&in.sin_addr, p->ip, sizeof(in.sin_addr));
	memcpy(ret, &in, sizeof(in));
}

static struct sockaddr_in6 in6_of(const struct prefix *p)
{
	struct sockaddr_in6 in6 = { .sin6_len = sizeof(in6),
				    .sin6_family = AF_INET6 };

	memcpy(&in6.sin6_addr, p->ip, sizeof(in6.sin6_addr));
	return in6;
}

static struct prefix mask_of(uint8_t family, unsigned len)
{
	struct prefix mask = { .family = family };

	set_mask(mask.ip, len);
	return mask;
}

static unsigned on_link_len(const struct wire_address *a)
{
	return a->peer.family ? a->peer.len : a->local.len;
}

/*
 * A point-to-point interface wants a far end: without one of its own the
 * address is that (0.0.0.0 is EDESTADDRREQ).  This makes a host route alone;
 * the one to the network is a route of ours.
 */
static int add4(const char *ifname, const struct wire_address *a)
{
	struct ifaliasreq r = { 0 };
	struct prefix mask = mask_of(4, on_link_len(a));

	snprintf(r.ifra_name, sizeof(r.ifra_name), "%s", ifname);
	put4(&r.ifra_addr, &a->local);
	put4(&r.ifra_broadaddr, a->peer.family ? &a->peer : &a->local);
	put4(&r.ifra_mask, &mask);
	return request(darwin.inet, SIOCAIFADDR, "SIOCAIFADDR", &r);
}

/*
 * The far end is AF_UNSPEC but for a prefix of full length.  The route to the
 * network comes by itself, and there is no DAD on an utun.  Lifetimes of 0 would
 * end it at once.
 */
static int add6(const char *ifname, const struct wire_address *a)
{
	unsigned len = on_link_len(a);
	struct prefix mask = mask_of(6, len);
	struct in6_aliasreq r = {
		.ifra_addr = in6_of(&a->local),
		.ifra_prefixmask = in6_of(&mask),
		.ifra_lifetime = { .ia6t_vltime = ND6_INFINITE_LIFETIME,
				   .ia6t_pltime = ND6_INFINITE_LIFETIME },
	};

	snprintf(r.ifra_name, sizeof(r.ifra_name), "%s", ifname);
	if (a->peer.family && prefix_is_full(&a->peer))
		r.ifra_dstaddr = in6_of(&a->peer);
	return request(darwin.inet6, SIOCAIFADDR_IN6, "SIOCAIFADDR_IN6", &r);
}

int ifconf_add_address(const char *ifname, const struct wire_address *a)
{
	return a->local.family == 4 ? add4(ifname, a) : add6(ifname, a);
}

int ifconf_remove_address(const char *ifname, const struct wire_address *a)
{
	struct ifreq r4 = { 0 };
	struct in6_ifreq r6 = { 0 };

	if (a->local.family == 4) {
		snprintf(r4.ifr_name, sizeof(r4.ifr_name), "%s", ifname);
		put4(&r4.ifr_addr, &a->local);
		return request(darwin.inet, SIOCDIFADDR, "SIOCDIFADDR", &r4);
	}
	snprintf(r6.ifr_name, sizeof(r6.ifr_name), "%s", ifname);
	r6.ifr_ifru.ifru_addr = in6_of(&a->local);
	return request(darwin.inet6, SIOCDIFADDR_IN6, "SIOCDIFADDR_IN6", &r6);
}

int ifconf_set_mtu(const char *ifname, uint32_t mtu)
{
	struct ifreq r = { .ifr_mtu = (int)mtu };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	return request(darwin.inet, SIOCSIFMTU, "SIOCSIFMTU", &r);
}

int ifconf_get_mtu(const char *ifname, uint32_t *ret)
{
	struct ifreq r = { 0 };
	int error;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	error = request(darwin.inet, SIOCGIFMTU, "SIOCGIFMTU", &r);
	if (!error)
		*ret = (uint32_t)r.ifr_mtu;
	return error;
}

int ifconf_set_up(const char *ifname, bool up)
{
	struct ifreq r = { 0 };
	int error;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	error = request(darwin.inet, SIOCGIFFLAGS, "SIOCGIFFLAGS", &r);
	if (error)
		return error;
	if (!!(r.ifr_flags & IFF_UP) == up)
		return -EALREADY;
	r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP
				 : r.ifr_flags & ~IFF_UP);
	return request(darwin.inet, SIOCSIFFLAGS, "SIOCSIFFLAGS", &r);
}
