/* Super-packets at random, of all that there may be; the same for a seed. */
#ifndef TEST_SEGMENT_RANDOM_H
#define TEST_SEGMENT_RANDOM_H

#include "segment.h"

void random_seed(uint64_t seed);
uint32_t random_below(uint32_t n);
bool random_one_in(uint32_t n);
void random_fill(uint8_t *p, size_t n);

struct random_shape {
	bool ethernet, v6, tcp;
	unsigned tags;		/* of VLAN */
	unsigned options;	/* words of IPv4's */
	unsigned extensions;	/* headers of IPv6 */
	unsigned tcp_options;	/* words */
	uint8_t flags;		/* TCP's */
	size_t payload;
	uint16_t gso_size;
};
#define RANDOM_FLAGS_PLAIN	0x10	/* ACK */

void random_shape(struct random_shape *ret);
/* The most payload that it has room for. */
size_t random_payload_max(const struct random_shape *shape);
/* A super-packet of that shape, as the kernel gives it; data is written to. */
void random_super(const struct random_shape *shape, struct ttd_packet *ret);

#endif
