/*
 * A super-packet, as the kernel gives it, in the packets that it stands for.
 * Pure: nothing but the bytes given.
 */
#ifndef TTD_SPLIT_H
#define TTD_SPLIT_H

#include "inet.h"
#include "tuntapd.h"

struct split {
	const uint8_t *data;
	uint32_t len;
	struct inet_place at;
	bool tcp;
	uint32_t header;	/* bytes before the payload */
	uint32_t size;		/* of the payload of each but the last */
	uint16_t begun;		/* the checksum of all, as far as the payload */
	uint32_t done;		/* payload bytes that have come out */
	uint32_t n;		/* packets that have come out */
};

/*
 * Begins with a packet that has a gso_type.  How many packets it makes, or
 * -EBADMSG: its headers are not what it says, and none comes out, as of a
 * struct that is all zero.
 */
int split_begin(struct split *s, const struct ttd_packet *packet,
		bool ethernet);
/* Bytes of the next one; 0: there is none. */
uint32_t split_len(const struct split *s);
/* It is left out. */
void split_skip(struct split *s);
/*
 * The next one, complete with its checksums, in `to`: header + size bytes at
 * most.  Its length; 0: there is none.
 */
uint32_t split_next(struct split *s, uint8_t *to);

/*
 * Moves a packet that is one packet already to `to`, where it may be, and there
 * finishes its checksum, where it says that this is to be done.  0, or -EBADMSG
 * with nothing moved: the checksum lies outside of the packet.
 */
int split_finish(struct ttd_packet *packet, uint8_t *to);

#endif
