/*
 * What the program asks for, checked as far as the library can know: that it
 * can be said at all.  What is sensible and allowed, the daemon decides.
 */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "packet.h"

/* The first version's size; smaller ones never were. */
#define OPTIONS_SIZE_FIRST \
	(offsetof(struct ttd_options, reserved2) + sizeof(uint32_t))
/* No version will be as large; a size that was never set may be. */
#define OPTIONS_SIZE_SANE 4096

#define FLAGS_KNOWN (TTD_NO_THREAD | TTD_NAME_EXACT | TTD_MAC_SET | \
		     TTD_DOWN | TTD_IO_URING)

#define REFUSE(e, code, ...) error_set(e, code, "request", __VA_ARGS__)

static bool all_zero(const void *at, size_t n)
{
	const uint8_t *p = at;

	while (n > 0 && *p == 0)
		p++, n--;
	return n == 0;
}

static int check_values(const struct ttd_options *o, struct ttd_error *e)
{
	if (o->layer != TTD_TUN && o->layer != TTD_TAP)
		return REFUSE(e, -EINVAL, "layer is %u; it is TTD_TUN or "
			      "TTD_TAP", o->layer);
	if (o->flags & ~FLAGS_KNOWN)
		return REFUSE(e, -EINVAL, "flags has 0x%x, which this version "
			      "of the library does not know",
			      o->flags & ~FLAGS_KNOWN);
	if (o->offload > TTD_OFFLOAD_PASS)
		return REFUSE(e, -EINVAL, "offload is %u; it is one of "
			      "TTD_OFFLOAD_*", o->offload);
	if (!all_zero(o->reserved, sizeof(o->reserved)) || o->reserved2)
		return REFUSE(e, -EINVAL, "a reserved field is not 0; begin "
			      "with TTD_OPTIONS_INIT");
	if (o->layer == TTD_TUN && o->flags & TTD_MAC_SET)
		return REFUSE(e, -EINVAL, "TTD_MAC_SET with TTD_TUN: only a "
			      "TAP has a MAC address");
	if (o->timeout_ms < TTD_FOREVER)
		return REFUSE(e, -EINVAL, "timeout_ms is %d; it is at least 0, "
			      "or TTD_FOREVER", o->timeout_ms);
	if (o->queues > WIRE_QUEUES_MAX)
		return REFUSE(e, -EINVAL, "%u queues; a device has at most %d",
			      o->queues, WIRE_QUEUES_MAX);
	if (o->name && strlen(o->name) > WIRE_NAME_MAX)
		return REFUSE(e, -EINVAL, "the name has %zu bytes; an "
			      "interface name has at most %d",
			      strlen(o->name), WIRE_NAME_MAX);
	if ((o->n_addrs && !o->addrs) || (o->n_routes && !o->routes))
		return REFUSE(e, -EINVAL, "%s is NULL, but its count is not 0",
			      o->n_addrs && !o->addrs ? "addrs" : "routes");
	return 0;
}

int options_read(const struct ttd_options *from, struct ttd_options *ret,
		 struct ttd_error *error)
{
	struct ttd_options o = { 0 };
	const size_t mine = sizeof(o);
	int r;

	if (from->size < OPTIONS_SIZE_FIRST || from->size > OPTIONS_SIZE_SANE)
		return REFUSE(error, -EINVAL, "options->size is %zu; begin "
			      "with TTD_OPTIONS_INIT", from->size);
	if (from->size > mine &&
	    !all_zero((const uint8_t *)from + mine, from->size - mine))
		return REFUSE(error, -EINVAL, "an option is set that this "
			      "version of the library (%s) does not know",
			      ttd_version());
	memcpy(&o, from, from->size < mine ? from->size : mine);
	r = check_values(&o, error);
	if (r < 0)
		return r;
	if (!packet_any_name() && !(o.flags & TTD_NAME_EXACT))
		o.name = NULL;
	if (o.queues == 0)
		o.queues = 1;
	if (o.timeout_ms == 0)
		o.timeout_ms = TTD_TIMEOUT_DEFAULT_MS;
	*ret = o;
	return 0;
}

/* A prefix that may be absent; "addrs[2].local" if it is not valid. */
static int read_prefix(const struct ttd_prefix *from, bool may_be_none,
		       struct prefix *ret, const char *list, size_t i,
		       const char *field, struct ttd_error *e)
{
	if (may_be_none && all_zero(from, sizeof(*from))) {
		*ret = (struct prefix){ 0 };
		return 0;
	}
	if (prefix_from_public(from, ret))
		return 0;
	if (from->family == 0)
		return REFUSE(e, -EINVAL, may_be_none ?
			      "%s[%zu].%s has family 0 (none), but is not 0" :
			      "%s[%zu].%s is missing: its family is 0",
			      list, i, field);
	return REFUSE(e, -EINVAL, "%s[%zu].%s is no prefix: family %u, length "
		      "%u; it is 4 with at most 32 or 6 with at most 128, and "
		      "reserved is 0", list, i, field, from->family, from->len);
}

int addrs_encode(const struct ttd_addr *addrs, size_t n,
		 struct wire_address *ret, struct ttd_error *e)
{
	if (n > WIRE_ADDRESSES_MAX)
		return REFUSE(e, -E2BIG, "%zu addresses; one request holds %d",
			      n, WIRE_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct ttd_addr *a = &addrs[i];
		struct wire_address *w = &ret[i];
		int r;

		if (a->flags & ~TTD_ADDR_NODAD ||
		    !all_zero(a->reserved, sizeof(a->reserved)))
			return REFUSE(e, -EINVAL, "addrs[%zu] has an unknown "
				      "flag, or a reserved field that is not 0",
				      i);
		r = read_prefix(&a->local, false, &w->local, "addrs", i,
				"local", e);
		if (r == 0)
			r = read_prefix(&a->peer, true, &w->peer, "addrs", i,
					"peer", e);
		if (r < 0)
			return r;
		w->flags = a->flags & TTD_ADDR_NODAD ? WIRE_ADDRESS_NODAD : 0;
	}
	return 0;
}

static int route_encode(const struct ttd_route *a, size_t i,
			struct wire_route *w, struct ttd_error *e)
{
	int r;

	if (a->flags || !all_zero(a->reserved, sizeof(a->reserved)))
		return REFUSE(e, -EINVAL, "routes[%zu] has an unknown flag, or "
			      "a reserved field that is not 0", i);
	r = read_prefix(&a->dst, false, &w->dst, "routes", i, "dst", e);
	if (r == 0)
		r = read_prefix(&a->gateway, true, &w->gateway, "routes", i,
				"gateway", e);
	w->metric = a->metric;
	w->flags = 0;
	return r;
}

int routes_encode(const struct ttd_route *routes, size_t first, size_t n,
		  struct wire_route *ret, struct ttd_error *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = route_encode(&routes[first + i], first + i, &ret[i], e);
	return r;
}

int routes_check(const struct ttd_route *routes, size_t n, struct ttd_error *e)
{
	struct wire_route unused;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = route_encode(&routes[i], i, &unused, e);
	return r;
}

size_t first_routes(const struct ttd_options *o)
{
	return o->n_routes < WIRE_ROUTES_MAX ? o->n_routes : WIRE_ROUTES_MAX;
}

/* ret is all zero. */
int options_encode(const struct ttd_options *o, struct wire_open *ret,
		   struct ttd_error *error)
{
	size_t n_routes = first_routes(o);
	int r;

	_Static_assert((int)TTD_TUN == (int)WIRE_TUN, "wire and API differ");
	_Static_assert((int)TTD_TAP == (int)WIRE_TAP, "wire and API differ");
	ret->layer = (uint8_t)o->layer;
	ret->vnet_hdr = o->offload == TTD_OFFLOAD_PASS ? WIRE_VNET_YES :
			o->offload == TTD_OFFLOAD_SPLIT ? WIRE_VNET_IF_ALLOWED :
			WIRE_VNET_NO;
	if (o->flags & TTD_DOWN)
		ret->flags |= WIRE_OPEN_DOWN;
	if (o->flags & TTD_MAC_SET) {
		ret->flags |= WIRE_OPEN_MAC_SET;
		memcpy(ret->mac, o->mac, sizeof(ret->mac));
	}
	if (o->name)
		memcpy(ret->name, o->name, strlen(o->name));
	ret->mtu = o->mtu;
	ret->txqueuelen = o->txqueuelen;
	ret->queues = (uint16_t)o->queues;
	r = addrs_encode(o->addrs, o->n_addrs, ret->addresses, error);
	if (r == 0)
		r = routes_check(o->routes, o->n_routes, error);
	if (r == 0)
		r = routes_encode(o->routes, 0, n_routes, ret->routes, error);
	if (r < 0)
		return r;
	ret->n_addresses = (uint16_t)o->n_addrs;
	ret->n_routes = (uint16_t)n_routes;
	return 0;
}
