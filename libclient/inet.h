/*
 * What splitting and joining packets needs of IP, TCP and UDP: fields in
 * network order, checksums (RFC 1071), where headers are.  Pure.
 */
#ifndef TTD_INET_H
#define TTD_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INET_TCP	6
#define INET_UDP	17

/* Offsets in the headers: RFC 791, 8200, 9293, 768. */
#define IP4_TOS		1
#define IP4_LENGTH	2
#define IP4_ID		4
#define IP4_FRAGMENT	6
#define IP4_TTL		8
#define IP4_PROTOCOL	9
#define IP4_CHECKSUM	10
#define IP4_SOURCE	12
#define IP4_HEADER	20
#define IP4_DF		0x4000u
#define IP6_LENGTH	4
#define IP6_NEXT	6
#define IP6_SOURCE	8
#define IP6_HEADER	40
#define TCP_SEQ		4
#define TCP_ACK_SEQ	8
#define TCP_OFFSET	12
#define TCP_FLAGS	13
#define TCP_CHECKSUM	16
#define TCP_HEADER	20
#define TCP_FIN		0x01u
#define TCP_PSH		0x08u
#define TCP_ACK		0x10u
#define TCP_ECE		0x40u
#define TCP_CWR		0x80u
#define UDP_LENGTH	4
#define UDP_CHECKSUM	6
#define UDP_HEADER	8

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, unsigned n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static inline void put32(uint8_t *p, uint32_t n)
{
	put16(p, n >> 16);
	put16(p + 2, n & 0xffff);
}

/*
 * Sums are added up unfolded; each piece but the last has an even length.
 * inet_fold() makes the 16 bits, not complemented, as they stand in a header.
 */
uint64_t inet_sum(const uint8_t *data, size_t len, uint64_t sum);
uint16_t inet_fold(uint64_t sum);
/* The same while copying. */
uint64_t inet_copy_sum(uint8_t *to, const uint8_t *from, size_t len,
		       uint64_t sum);

/* Where what begins, in bytes from the packet's own beginning. */
struct inet_place {
	unsigned ip, l4;
	bool v6;
	uint8_t protocol;	/* as the fixed header says; v6: next header */
};
/*
 * Finds the IP header behind nothing, or behind an Ethernet header and up to
 * two VLAN tags.  False: it is no whole IP header, or not of the version that
 * Ethernet says; l4 is what the fixed header says.
 */
bool inet_find(const uint8_t *data, size_t len, bool ethernet,
	       struct inet_place *ret);
/* It is a whole packet and no fragment, and nothing is behind it. */
bool inet_is_whole(const uint8_t *data, size_t len,
		   const struct inet_place *at);
/* The pseudo-header's part of the sum, for that many bytes from l4 on. */
uint64_t inet_pseudo(const uint8_t *data, const struct inet_place *at,
		     uint8_t protocol, uint32_t len);
/* Sets the IP header's length, and for IPv4 its checksum. */
void inet_set_length(uint8_t *data, const struct inet_place *at, uint32_t len);

#endif
