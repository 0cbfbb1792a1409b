/*
 * What Apple's SDK has and the header sets that one cross-builds with have not:
 * declared from XNU's ABI, and only where the SDK's own header is not there.
 * Each size and offset that the kernel reads is checked either way.
 */
#ifndef TUNTAPD_DARWIN_COMPAT_H
#define TUNTAPD_DARWIN_COMPAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <net/if.h>
#include <net/if_dl.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioccom.h>
#include <sys/kern_control.h>
#include <sys/proc_info.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/ucred.h>
#include <sys/un.h>

#if __has_include(<sys/sys_domain.h>)
#include <sys/sys_domain.h>
#else
#define SYSPROTO_CONTROL	2
#define AF_SYS_CONTROL		2
#endif

#if __has_include(<net/if_utun.h>)
#include <net/if_utun.h>
#else
#define UTUN_CONTROL_NAME	"com.apple.net.utun_control"
#define UTUN_OPT_IFNAME		2
#endif
/* bsd/net/if_utun.h, in its private part. */
#ifndef UTUN_OPT_MAX_PENDING_PACKETS
#define UTUN_OPT_MAX_PENDING_PACKETS	16
#endif

#if __has_include(<netinet6/in6_var.h>)
#include <netinet/in_var.h>
#include <netinet6/in6_var.h>
#include <netinet6/nd6.h>
#else
struct in6_addrlifetime {
	time_t ia6t_expire, ia6t_preferred;
	uint32_t ia6t_vltime, ia6t_pltime;
};
struct in6_aliasreq {
	char ifra_name[IFNAMSIZ];
	struct sockaddr_in6 ifra_addr, ifra_dstaddr, ifra_prefixmask;
	int ifra_flags;
	struct in6_addrlifetime ifra_lifetime;
};
/* Its largest member is struct icmp6_ifstat. */
struct in6_ifreq {
	char ifr_name[IFNAMSIZ];
	union {
		struct sockaddr_in6 ifru_addr;
		uint64_t ifru_icmp6stat[34];
	} ifr_ifru;
};
#define SIOCAIFADDR_IN6		_IOW('i', 26, struct in6_aliasreq)
#define SIOCDIFADDR_IN6		_IOW('i', 25, struct in6_ifreq)
#define ND6_INFINITE_LIFETIME	0xffffffff
#endif

_Static_assert(sizeof(struct sockaddr_ctl) == 32, "sockaddr_ctl");
_Static_assert(sizeof(struct ctl_info) == 100, "ctl_info");
_Static_assert(sizeof(struct ifreq) == 32, "ifreq");
_Static_assert(sizeof(struct ifaliasreq) == 64, "ifaliasreq");
_Static_assert(sizeof(struct in6_aliasreq) == 128, "in6_aliasreq");
_Static_assert(offsetof(struct in6_aliasreq, ifra_addr) == 16, "ifra_addr");
_Static_assert(offsetof(struct in6_aliasreq, ifra_dstaddr) == 44, "dstaddr");
_Static_assert(offsetof(struct in6_aliasreq, ifra_prefixmask) == 72, "mask");
_Static_assert(offsetof(struct in6_aliasreq, ifra_flags) == 100, "flags");
_Static_assert(offsetof(struct in6_aliasreq, ifra_lifetime) == 104, "lifetime");
_Static_assert(sizeof(struct in6_ifreq) == 288, "in6_ifreq");
_Static_assert(sizeof(struct rt_msghdr) == 92, "rt_msghdr");
_Static_assert(sizeof(struct sockaddr_dl) == 20, "sockaddr_dl");
_Static_assert(offsetof(struct sockaddr_dl, sdl_index) == 2, "sdl_index");
_Static_assert(sizeof(struct sockaddr_in6) == 28, "sockaddr_in6");
_Static_assert(sizeof(struct xucred) == 76, "xucred");
_Static_assert(sizeof(struct socket_fdinfo) == 792, "socket_fdinfo");
_Static_assert(offsetof(struct socket_fdinfo, pfi.fi_status) == 4, "fi_status");
_Static_assert(SIOCAIFADDR == 0x8040691au, "SIOCAIFADDR");
_Static_assert(SIOCDIFADDR == 0x80206919u, "SIOCDIFADDR");
_Static_assert(SIOCAIFADDR_IN6 == 0x8080691au, "SIOCAIFADDR_IN6");
_Static_assert(SIOCDIFADDR_IN6 == 0x81206919u, "SIOCDIFADDR_IN6");
_Static_assert(CTLIOCGINFO == 0xc0644e03u, "CTLIOCGINFO");

#endif
