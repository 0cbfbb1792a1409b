/*
 * Packets of one flow that follow each other, as one super-packet.  Pure: looks
 * at packets and changes none of them.
 */
#ifndef TTD_JOIN_H
#define TTD_JOIN_H

#include "inet.h"
#include "tuntapd.h"

/* Ethernet with two tags, IPv4 without options or IPv6, TCP with options. */
#define JOIN_HEADER_MAX	(14 + 2 * 4 + IP6_HEADER + 60)

struct join {
	struct ttd_packet super;	/* data: header; len: of all; what else
					   a virtio_net_hdr says */
	uint8_t header[JOIN_HEADER_MAX];
	uint32_t header_len;		/* and behind it the payloads: what is */
					/* behind as many bytes of each packet */
};

/*
 * How many of the packets, from the first on, are one super-packet: at least
 * one, and if it is one, that goes as it is and *ret is not filled.  Only
 * packets whose checksums are right are joined: what joins them makes the
 * checksum anew.  udp: the kernel takes super-packets of UDP.
 */
unsigned join_run(const struct ttd_packet *packets, unsigned n, bool ethernet,
		  bool udp, struct join *ret);

#endif
