#include "links.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_dl.h>
#include <net/if_var.h>
#include <net/route.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#include "../proto/sys.h"
#include "../proto/sysctl_darwin.h"

#define UTUN	"utun"

static bool is_utun(const struct if_msghdr2 *ifm)
{
	const struct sockaddr_dl *dl = (const void *)(ifm + 1);

	return ifm->ifm_addrs & RTA_IFP &&
	       ifm->ifm_msglen >= sizeof(*ifm) + sizeof(*dl) &&
	       dl->sdl_nlen > strlen(UTUN) &&
	       strncmp(dl->sdl_data, UTUN, strlen(UTUN)) == 0;
}

/* There are no names beside the first, and so no mark. */
static int take_link(const void *message, size_t len, void *arg)
{
	const struct if_msghdr2 *ifm = message;
	struct links *links = arg;
	struct link_now *all;

	if (ifm->ifm_type != RTM_IFINFO2 || len < sizeof(*ifm) || !is_utun(ifm))
		return 0;
	all = sys_reallocarray(links->all, links->n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	links->all = all;
	all[links->n++] = (struct link_now){
		.ifindex = ifm->ifm_index,
		.up = ifm->ifm_flags & IFF_UP,
		.mtu = ifm->ifm_data.ifi_mtu,
		.traffic = {
			.rx = { ifm->ifm_data.ifi_ipackets,
				ifm->ifm_data.ifi_ibytes,
				ifm->ifm_data.ifi_iqdrops,
				ifm->ifm_data.ifi_ierrors },
			.tx = { ifm->ifm_data.ifi_opackets,
				ifm->ifm_data.ifi_obytes,
				(uint64_t)ifm->ifm_snd_drops,
				ifm->ifm_data.ifi_oerrors },
		},
	};
	return 0;
}

static int by_index(const void *a, const void *b)
{
	unsigned x = ((const struct link_now *)a)->ifindex;
	unsigned y = ((const struct link_now *)b)->ifindex;

	return (x > y) - (x < y);
}

int links_read(struct links *ret)
{
	int r = sysctl_dump(AF_UNSPEC, NET_RT_IFLIST2, take_link, ret);

	if (r == 0 && ret->n)
		qsort(ret->all, ret->n, sizeof(*ret->all), by_index);
	return r;
}

/* The daemon says which; it hears when one goes before an index is another's. */
const struct link_now *links_find(const struct links *links, unsigned ifindex,
				  const char *lease, uint32_t uid)
{
	const struct link_now key = { .ifindex = ifindex };

	(void)lease;
	(void)uid;
	if (!links->n)
		return NULL;
	return bsearch(&key, links->all, links->n, sizeof(key), by_index);
}

void links_free(struct links *links)
{
	free(links->all);
	*links = (struct links){ .all = NULL };
}

/* There is none on macOS. */
int link_guard(unsigned ifindex, struct link_guard *ret)
{
	(void)ifindex;
	*ret = (struct link_guard){ .there = false };
	return 0;
}
