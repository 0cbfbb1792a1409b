/* Between a virtio_net_hdr and what the program is told. */
#include <string.h>

#include "packet.h"

#define NEEDS_CSUM	1	/* VIRTIO_NET_HDR_F_NEEDS_CSUM */

/* In the host's byte order (tun16_to_cpu, drivers/net/tun.c of Linux). */
struct header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};
_Static_assert(sizeof(struct header) == PACKET_HEADER, "another header");

void packet_header_read(const uint8_t header[PACKET_HEADER],
			struct ttd_packet *ret)
{
	struct header h;

	memcpy(&h, header, sizeof(h));
	if (h.flags & NEEDS_CSUM)
		ret->flags |= TTD_PKT_NEEDS_CSUM;
	ret->gso_type = h.gso_type;
	ret->gso_size = h.gso_size;
	ret->hdr_len = h.hdr_len;
	ret->csum_start = h.csum_start;
	ret->csum_offset = h.csum_offset;
}

void packet_header_write(uint8_t header[PACKET_HEADER],
			 const struct ttd_packet *packet)
{
	const struct header h = {
		.flags = packet->flags & TTD_PKT_NEEDS_CSUM ? NEEDS_CSUM : 0,
		.gso_type = (uint8_t)packet->gso_type,
		.gso_size = packet->gso_size,
		.hdr_len = packet->hdr_len,
		.csum_start = packet->csum_start,
		.csum_offset = packet->csum_offset,
	};

	memcpy(header, &h, sizeof(h));
}
