#include "split.h"

#include <errno.h>
#include <string.h>

#define IP6_HOP_BY_HOP	0
#define IP6_ROUTING	43
#define IP6_DESTINATION	60
#define EXTENSION_UNIT	8	/* bytes; the least there is */

/*
 * The extension headers that the kernel makes super-packets with: see
 * INET6_PROTO_GSO_EXTHDR of net/ipv6/exthdrs_offload.c.
 */
static bool is_extension(uint8_t protocol)
{
	return protocol == IP6_HOP_BY_HOP || protocol == IP6_ROUTING ||
	       protocol == IP6_DESTINATION;
}

static void skip_extensions(struct split *s)
{
	struct inet_place *at = &s->at;

	while (at->v6 && is_extension(at->protocol) &&
	       at->l4 + EXTENSION_UNIT <= s->len) {
		const uint8_t *header = s->data + at->l4;

		at->protocol = header[0];
		at->l4 += (header[1] + 1u) * EXTENSION_UNIT;
	}
}

static unsigned field_of(const struct split *s)
{
	return s->tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
}

static bool find_l4(struct split *s, const struct ttd_packet *p)
{
	uint8_t type = (uint8_t)(p->gso_type & ~TTD_GSO_ECN);

	s->tcp = type != TTD_GSO_UDP_L4;
	if (type != TTD_GSO_TCPV4 && type != TTD_GSO_TCPV6 && s->tcp)
		return false;
	if (s->tcp && s->at.v6 != (type == TTD_GSO_TCPV6))
		return false;
	skip_extensions(s);
	if (s->at.protocol != (s->tcp ? INET_TCP : INET_UDP))
		return false;
	/* What came in by hardware that joins has whole checksums, of all. */
	return !(p->flags & TTD_PKT_NEEDS_CSUM) ||
	       (p->csum_start == s->at.l4 && p->csum_offset == field_of(s));
}

static bool find_headers(struct split *s, const struct ttd_packet *p,
			 bool ethernet)
{
	if (p->gso_size == 0 ||
	    !inet_find(s->data, s->len, ethernet, &s->at) ||
	    !inet_is_whole(s->data, s->len, &s->at) || !find_l4(s, p) ||
	    s->at.l4 + (s->tcp ? TCP_HEADER : UDP_HEADER) > s->len)
		return false;
	s->header = s->at.l4 + UDP_HEADER;
	if (s->tcp)
		s->header = s->at.l4 +
			    (s->data[s->at.l4 + TCP_OFFSET] >> 4) * 4u;
	return s->header <= s->len &&
	       s->header >= s->at.l4 + (s->tcp ? TCP_HEADER : UDP_HEADER);
}

/*
 * The sum of the pseudo-header with the length of all: where the kernel has
 * begun the checksum it is in the field, and may be one of addresses that a
 * routing header has (RFC 8200, 8.1).
 */
static uint16_t begun(const struct split *s, const struct ttd_packet *p)
{
	if (p->flags & TTD_PKT_NEEDS_CSUM)
		return get16(s->data + s->at.l4 + field_of(s));
	return inet_fold(inet_pseudo(s->data, &s->at, s->at.protocol,
				     s->len - s->at.l4));
}

int split_begin(struct split *s, const struct ttd_packet *p, bool ethernet)
{
	*s = (struct split){ .data = p->data, .len = p->len };
	if (!find_headers(s, p, ethernet)) {
		*s = (struct split){ 0 };
		return -EBADMSG;
	}
	s->size = p->gso_size;
	s->begun = begun(s, p);
	if (s->len == s->header)
		return 1;
	return (int)((s->len - s->header + s->size - 1) / s->size);
}

/* As tcp_gso_segment() of net/ipv4/tcp_offload.c does. */
static void set_tcp(const struct split *s, uint8_t *tcp, bool last)
{
	put32(tcp + TCP_SEQ, get32(tcp + TCP_SEQ) + s->done);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	if (s->n > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

static void set_checksum(const struct split *s, uint8_t *to, uint32_t len,
			 uint64_t payload)
{
	uint8_t *l4 = to + s->at.l4, lengths[4];
	uint8_t *field = l4 + field_of(s);
	uint16_t sum;

	put16(field, s->begun);
	put16(lengths, ~(s->len - s->at.l4));
	put16(lengths + 2, len - s->at.l4);
	sum = (uint16_t)~inet_fold(inet_sum(l4, s->header - s->at.l4,
		inet_sum(lengths, sizeof(lengths), payload)));
	/* RFC 768: 0 would say that there is none. */
	put16(field, sum || s->tcp ? sum : 0xffff);
}

static uint32_t left_of(const struct split *s)
{
	return s->len - s->header - s->done;
}

/* One without any payload is one packet. */
uint32_t split_len(const struct split *s)
{
	uint32_t left = left_of(s);

	if (left == 0 && (s->n > 0 || s->len == 0))
		return 0;
	return s->header + (left < s->size ? left : s->size);
}

void split_skip(struct split *s)
{
	uint32_t len = split_len(s);

	if (len == 0)
		return;
	s->done += len - s->header;
	s->n++;
}

uint32_t split_next(struct split *s, uint8_t *to)
{
	uint32_t len = split_len(s), left = left_of(s), n = len - s->header;
	uint64_t payload;

	if (len == 0)
		return 0;
	memcpy(to, s->data, s->header);
	payload = inet_copy_sum(to + s->header, s->data + s->header + s->done,
				n, 0);
	if (!s->at.v6)
		put16(to + s->at.ip + IP4_ID,
		      get16(to + s->at.ip + IP4_ID) + s->n);
	inet_set_length(to, &s->at, len);
	if (s->tcp)
		set_tcp(s, to + s->at.l4, n == left);
	else
		put16(to + s->at.l4 + UDP_LENGTH, len - s->at.l4);
	set_checksum(s, to, len, payload);
	split_skip(s);
	return len;
}

/* What the checksum is not of is copied; the rest is summed up on the way. */
static uint64_t move_sum(uint8_t *to, const struct ttd_packet *p)
{
	const uint8_t *from = p->data;
	const uint32_t start = p->csum_start, n = p->len - start;

	if (to == from)
		return inet_sum(to + start, n, 0);
	memcpy(to, from, start);
	return inet_copy_sum(to + start, from + start, n, 0);
}

int split_finish(struct ttd_packet *p, uint8_t *to)
{
	const unsigned at = p->csum_start + p->csum_offset;
	uint16_t sum;

	if (!(p->flags & TTD_PKT_NEEDS_CSUM)) {
		if (p->data != to)
			memcpy(to, p->data, p->len);
		p->data = to;
		return 0;
	}
	if (at + 2 > p->len)
		return -EBADMSG;
	/* The field has the pseudo-header's sum by now, which counts. */
	sum = (uint16_t)~inet_fold(move_sum(to, p));
	put16(to + at, sum || p->csum_offset != UDP_CHECKSUM ? sum : 0xffff);
	p->data = to;
	p->flags &= ~TTD_PKT_NEEDS_CSUM;
	p->csum_start = p->csum_offset = 0;
	return 0;
}
