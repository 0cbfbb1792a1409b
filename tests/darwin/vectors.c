/*
 * What the backend believes about macOS, as its compiler has it: numbers of
 * requests, sizes and offsets of what they carry.  witness.py reads it from the
 * image, by Go's names where Go has one.
 */
#include <stddef.h>
#include <stdint.h>

#include "../../daemon/darwin_compat.h"

struct vector {
	const char *name;
	uint64_t value;
};
extern const struct vector vectors[];

#define N(name)		{ #name, (uint32_t)(name) }
#define SIZE(go, type)	{ "Sizeof" go, sizeof(type) }
#define AT(type, field)	{ #type "." #field, offsetof(struct type, field) }

const struct vector vectors[] = {
	N(AF_INET), N(AF_INET6), N(AF_LINK), N(AF_ROUTE), N(AF_SYSTEM),
	N(AF_UNIX), N(AF_SYS_CONTROL), N(SYSPROTO_CONTROL), N(UTUN_OPT_IFNAME),
	N(UTUN_OPT_MAX_PENDING_PACKETS), N(CTLIOCGINFO),
	N(SIOCAIFADDR), N(SIOCDIFADDR), N(SIOCAIFADDR_IN6), N(SIOCDIFADDR_IN6),
	N(SIOCSIFMTU), N(SIOCGIFMTU), N(SIOCSIFFLAGS), N(SIOCGIFFLAGS),
	N(IFF_UP), N(IFNAMSIZ), N(ND6_INFINITE_LIFETIME),
	N(RTM_VERSION), N(RTM_ADD), N(RTM_DELETE), N(RTF_UP), N(RTF_GATEWAY),
	N(RTF_HOST), N(RTF_REJECT), N(RTF_LLINFO), N(RTF_STATIC),
	N(RTF_BLACKHOLE), N(RTF_WASCLONED), N(RTF_LOCAL), N(RTF_IFSCOPE),
	N(RTA_DST), N(RTA_GATEWAY), N(RTA_NETMASK), N(RTAX_MAX),
	N(SOL_SOCKET), N(SO_NOSIGPIPE), N(SOL_LOCAL), N(LOCAL_PEERCRED),
	N(LOCAL_PEERPID), N(XUCRED_VERSION), N(IP_BOUND_IF), N(IPV6_BOUND_IF),
	SIZE("SockaddrInet4", struct sockaddr_in),
	SIZE("SockaddrInet6", struct sockaddr_in6),
	SIZE("SockaddrDatalink", struct sockaddr_dl),
	SIZE("SockaddrUnix", struct sockaddr_un),
	SIZE("SockaddrCtl", struct sockaddr_ctl),
	SIZE("Xucred", struct xucred), SIZE("RtMsghdr", struct rt_msghdr),
	SIZE("RtMetrics", struct rt_metrics), SIZE("Msghdr", struct msghdr),
	SIZE("Cmsghdr", struct cmsghdr), SIZE("IfData", struct if_data),
	SIZE("CtlInfo", struct ctl_info), SIZE("Ifreq", struct ifreq),
	SIZE("Ifaliasreq", struct ifaliasreq),
	SIZE("In6Aliasreq", struct in6_aliasreq),
	SIZE("In6Ifreq", struct in6_ifreq),
	AT(in6_aliasreq, ifra_addr), AT(in6_aliasreq, ifra_dstaddr),
	AT(in6_aliasreq, ifra_prefixmask), AT(in6_aliasreq, ifra_flags),
	AT(in6_aliasreq, ifra_lifetime), AT(in6_addrlifetime, ia6t_vltime),
	AT(in6_addrlifetime, ia6t_pltime),
	AT(rt_msghdr, rtm_index), AT(rt_msghdr, rtm_flags),
	AT(rt_msghdr, rtm_addrs), AT(rt_msghdr, rtm_seq),
	AT(rt_msghdr, rtm_errno), AT(rt_msghdr, rtm_inits),
	AT(rt_msghdr, rtm_rmx), AT(xucred, cr_groups), AT(sockaddr_dl, sdl_index),
	{ NULL, 0 },
};
