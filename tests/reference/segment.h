/*
 * Super-packets and the packets that they stand for, read a second time from
 * RFC 791, 768, 8200, 9293, 1071 and 6864 and from what Linux does with them:
 * byte by byte, with all that is known asked at each step, and nothing of
 * libclient in it but struct ttd_packet.
 */
#ifndef TEST_SEGMENT_H
#define TEST_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../libclient/tuntapd.h"

#define SEGMENT_IP_MAX	65535	/* what an IP packet can have */
#define SEGMENT_MAX	(SEGMENT_IP_MAX + 14 + 2 * 4)

struct segment_place {		/* in bytes from the packet's beginning */
	size_t ip, l4, payload;
	bool v6, tcp;
	bool bare;		/* neither IP options nor extension headers */
};
/* NULL, or what is wrong with the headers; they say where they end. */
const char *segment_find(const uint8_t *data, size_t len, bool ethernet,
			 struct segment_place *ret);
/*
 * NULL, or what is wrong with one packet: a header, a length, a checksum.  None
 * may have bytes behind it, and UDP must have a checksum.
 */
const char *segment_wrong(const uint8_t *data, size_t len, bool ethernet);

/*
 * The packet with number k that the super-packet stands for, complete; its
 * length, 0: there are not so many.  The super-packet's headers are right.
 */
size_t segment_split(const struct ttd_packet *super, bool ethernet, size_t k,
		     uint8_t *to);
/* Makes a packet's lengths and checksums right, where its headers are. */
void segment_repair(struct ttd_packet *packet, bool ethernet);

/* How many packets, from the first on, may be one super-packet: 1 at least. */
unsigned segment_run(const struct ttd_packet *packets, unsigned n,
		     bool ethernet, bool udp);
/* And that super-packet; data is written to. */
void segment_join(const struct ttd_packet *packets, unsigned n, bool ethernet,
		  struct ttd_packet *ret);

/* Only the pseudo-header's sum is there, as hardware is given it. */
void segment_begin(uint8_t *data, size_t len, bool ethernet);
/* The checksum from there to the end is put where it belongs. */
void segment_finish(uint8_t *data, size_t len, size_t start, size_t offset);

#endif
