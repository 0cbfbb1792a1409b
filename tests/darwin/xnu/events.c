/* What routing sockets are told unasked: bsd/net/rtsock.c. */
#include "kernel.h"

static void tell(const uint8_t *record, size_t len, int family)
{
	struct packet *packet = packet_new(len);

	memcpy(packet->bytes, record, len);
	tell_all(NULL, packet, family);
}

/* rt_ifmsg(): up, down, another MTU.  The header alone. */
void tell_interface(const struct interface *interface)
{
	uint8_t record[XNU_RECORD];

	make_interface(record, interface, false);
	put16(record + XNU_RTM_MSGLEN, XNU_IFM_SIZE);
	put32(record + XNU_IFM_ADDRS, 0);
	tell(record, XNU_IFM_SIZE, 0);
}

/*
 * rt_newaddrmsg(), type is RTM_ADD or RTM_DELETE: the address and the route
 * that it has of its own, the route first when they go.  An address without one
 * is not told at all.
 */
void tell_address(uint8_t type, const struct address *a, const struct route *r)
{
	uint8_t address[XNU_RECORD], route[XNU_RECORD];
	const bool goes = type == XNU_RTM_DELETE;
	const size_t address_len = make_address(
		address, goes ? XNU_RTM_DELADDR : XNU_RTM_NEWADDR, a, true);
	const size_t route_len = make_route(route, type, r, false, false);

	put16(route + XNU_RTM_INDEX, (uint16_t)a->index);
	if (goes)
		tell(route, route_len, a->family);
	tell(address, address_len, a->family);
	if (!goes)
		tell(route, route_len, a->family);
}
