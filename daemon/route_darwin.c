/*
 * Routes, by messages on a routing socket: route(4), bsd/net/rtsock.c.  The
 * kernel's table has no metric, and one route to a prefix: what a route asks
 * for as its metric is not told to it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "darwin_compat.h"
#include "fault.h"
#include "os_darwin.h"

#define ALIGNMENT	4	/* of the addresses behind the header */
#define LOOKS_MOST	4	/* until none is left */

_Static_assert(ROUTE_MESSAGE_MAX == sizeof(struct rt_msghdr) +
	       3 * sizeof(struct sockaddr_in6), "ROUTE_MESSAGE_MAX");

/* The next address of the message.  Bytes. */
static size_t put(uint8_t *at, const void *address, size_t len)
{
	memcpy(at, address, len);
	return (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t put_ip(uint8_t *at, uint8_t family, const uint8_t *ip)
{
	struct sockaddr_in in = { .sin_len = sizeof(in),
				  .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_len = sizeof(in6),
				    .sin6_family = AF_INET6 };

	if (family == 4) {
		memcpy(&in.sin_addr, ip, sizeof(in.sin_addr));
		return put(at, &in, sizeof(in));
	}
	memcpy(&in6.sin6_addr, ip, sizeof(in6.sin6_addr));
	return put(at, &in6, sizeof(in6));
}

static size_t put_gateway(uint8_t *at, unsigned ifindex,
			  const struct wire_route *route)
{
	struct sockaddr_dl link = { .sdl_len = sizeof(link),
				    .sdl_family = AF_LINK,
				    .sdl_index = (u_short)ifindex };

	if (route->gateway.family)
		return put_ip(at, route->gateway.family, route->gateway.ip);
	return put(at, &link, sizeof(link));
}

static size_t put_mask(uint8_t *at, const struct prefix *dst)
{
	uint8_t mask[sizeof(dst->ip)] = { 0 };

	for (unsigned i = 0; i < dst->len; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	return put_ip(at, dst->family, mask);
}

size_t route_message(uint8_t *ret, uint8_t type, unsigned ifindex,
		     const struct wire_route *route)
{
	struct rt_msghdr h = {
		.rtm_version = RTM_VERSION, .rtm_type = type,
		.rtm_index = (u_short)ifindex,
		.rtm_flags = RTF_UP | RTF_STATIC,
		.rtm_addrs = RTA_DST | RTA_GATEWAY | RTA_NETMASK,
	};
	size_t len = sizeof(h);

	if (route->gateway.family)
		h.rtm_flags |= RTF_GATEWAY;
	len += put_ip(ret + len, route->dst.family, route->dst.ip);
	len += put_gateway(ret + len, ifindex, route);
	len += put_mask(ret + len, &route->dst);
	h.rtm_msglen = (u_short)len;
	memcpy(ret, &h, sizeof(h));
	return len;
}

/*
 * By the loop and by the worker.  No number: the answer is not read.  A message
 * is taken whole, or not.
 */
static int send_message(const uint8_t *message, size_t len)
{
	return write(darwin.route, message, len) < 0 ? -errno : 0;
}

static int tell(uint8_t type, unsigned ifindex, const struct wire_route *route)
{
	uint8_t message[ROUTE_MESSAGE_MAX] = { 0 };
	size_t len = route_message(message, type, ifindex, route);

	if (fault_here(type == RTM_ADD ? "RTM_ADD" : "RTM_DELETE"))
		return -EIO;
	return send_message(message, len);
}

int route_add(unsigned ifindex, const struct wire_route *route)
{
	return tell(RTM_ADD, ifindex, route);
}

int route_remove(unsigned ifindex, const struct wire_route *route)
{
	int has = watch_has_route(ifindex, &route->dst), error;

	/* The kernel looks at the destination alone (rtrequest_common_locked()). */
	if (has <= 0)
		return has < 0 ? has : -ESRCH;
	error = tell(RTM_DELETE, ifindex, route);
	if (error != -ESRCH)
		return error;
	/* Gone since; or it is there all the same, and must not be forgotten. */
	has = watch_has_route(ifindex, &route->dst);
	return has > 0 ? -EBUSY : has < 0 ? has : -ESRCH;
}

/*
 * What the kernel said of it is sent back, as route(8) does at its flush: so it
 * is that very one, whatever its mask, of a host (RTF_HOST) or for sockets alone
 * that are bound to the interface (RTF_IFSCOPE).
 */
static int remove_told(const void *told, size_t len)
{
	uint8_t *message = malloc(len);
	int error;

	if (!message)
		return -ENOMEM;
	memcpy(message, told, len);
	message[offsetof(struct rt_msghdr, rtm_type)] = RTM_DELETE;
	error = send_message(message, len);
	free(message);
	return error == -ESRCH ? 0 : error;	/* gone since it was told */
}

int route_remove_all(unsigned ifindex)
{
	int n = 1;

	for (int i = 0; i < LOOKS_MOST && n > 0; i++)
		n = watch_static_routes(ifindex, remove_told);
	return n > 0 ? -EBUSY : n;
}
