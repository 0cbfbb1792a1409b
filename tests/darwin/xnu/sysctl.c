/* Tables by sysctl(): bsd/net/rtsock.c, sysctl_rtsock(). */
#include "kernel.h"

#define NAME_LEN	6

enum { FAMILY = 3, WHAT, ARGUMENT };

/* A list that is written as far as there is room, and counted beyond. */
struct list {
	uint8_t *bytes;
	size_t room, len;
	bool full;
};

/* SYSCTL_OUT: one that does not fit whole is ENOMEM. */
static void list_add(struct list *list, const uint8_t *record, size_t len)
{
	if (list->bytes && list->len + len > list->room)
		list->full = true;
	if (list->bytes && !list->full)
		memcpy(list->bytes + list->len, record, len);
	list->len += len;
}

/* sysctl_dumpentry(): with the address that the route is by. */
static void list_routes(struct list *list, int family, int what,
			uint32_t flags)
{
	static const int families[] = { XNU_AF_INET, XNU_AF_INET6 };
	const uint8_t type = what == XNU_NET_RT_DUMP2 ? XNU_RTM_GET2
						       : XNU_RTM_GET;
	uint8_t record[XNU_RECORD];

	for (unsigned f = 0; f < 2; f++) {
		for (unsigned i = 0; i < XNU_ROUTES; i++) {
			const struct route *r = &kern.routes[i];

			if (r->used && r->family == families[f] &&
			    (!family || family == r->family) &&
			    (what != XNU_NET_RT_FLAGS || r->flags & flags))
				list_add(list, record,
					 make_route(record, type, r, false,
						    true));
		}
	}
}

/* sysctl_iflist(), sysctl_iflist2(): each interface, then its addresses. */
static void list_interfaces(struct list *list, int family, bool second,
			    unsigned index)
{
	uint8_t record[XNU_RECORD];

	for (unsigned i = 0; i < XNU_INTERFACES; i++) {
		const struct interface *n = &kern.interfaces[i];

		if (!n->used || n->detaching || (index && index != n->index))
			continue;
		list_add(list, record, make_interface(record, n, second));
		for (unsigned j = 0; j < XNU_ADDRESSES; j++) {
			const struct address *a = &kern.addresses[j];

			if (a->used && a->index == n->index &&
			    (!family || family == a->family))
				list_add(list, record,
					 make_address(record, XNU_RTM_NEWADDR,
						      a, false));
		}
	}
}

/* --- sysctl() --- */

static int fill(const int *name, unsigned n, struct list *list)
{
	if (n < 2 || name[0] != XNU_CTL_NET || name[1] != XNU_AF_ROUTE)
		die("sysctl() of another part than CTL_NET, PF_ROUTE");
	if (n != NAME_LEN)
		return XNU_EINVAL;
	if (name[FAMILY] && name[FAMILY] != XNU_AF_INET &&
	    name[FAMILY] != XNU_AF_INET6)
		die("sysctl() for family %d is not known here", name[FAMILY]);
	switch (name[WHAT]) {
	case XNU_NET_RT_DUMP:
	case XNU_NET_RT_DUMP2:
	case XNU_NET_RT_FLAGS:
		list_routes(list, name[FAMILY], name[WHAT],
			    (uint32_t)name[ARGUMENT]);
		return 0;
	case XNU_NET_RT_IFLIST:
	case XNU_NET_RT_IFLIST2:
		list_interfaces(list, name[FAMILY],
				name[WHAT] == XNU_NET_RT_IFLIST2,
				(unsigned)name[ARGUMENT]);
		return 0;
	default:
		die("sysctl(NET_RT %d) is not known here", name[WHAT]);
	}
}

/* Without a place for it the length is told, to come again with. */
int xnu_sysctl(const int *name, unsigned n, void *old, size_t *oldlen,
	       const void *new, size_t newlen)
{
	struct list list = { .bytes = old, .room = old ? *oldlen : 0 };
	int error;

	if (!begin("sysctl", NULL, "net.route, %d, %d",
		   n > WHAT ? name[FAMILY] : 0, n > WHAT ? name[WHAT] : 0))
		return (int)end(xnu_errno, 0);
	if (new || newlen)
		return (int)end(XNU_EPERM, 0);
	error = fill(name, n, &list);
	if (!error && list.full)
		error = XNU_ENOMEM;
	if (!error)
		*oldlen = list.len;
	return (int)end(error, 0);
}
