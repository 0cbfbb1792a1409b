#include "join.h"

#include <string.h>

#define IP_MAX		65535u	/* bytes of an IP packet */
#define FLAGS_JOINED	(TCP_ACK | TCP_PSH | TCP_ECE)

/* One packet, taken apart. */
struct part {
	const uint8_t *data;
	struct inet_place at;
	uint32_t header, payload;
	bool tcp;
};

/* Of IPv4: it has no options, and the checksum is right. */
static bool is_plain(const uint8_t *ip, const struct inet_place *at)
{
	return at->v6 || (at->l4 == at->ip + IP4_HEADER &&
			  inet_fold(inet_sum(ip, IP4_HEADER, 0)) == 0xffff);
}

static bool take_apart(const struct ttd_packet *p, bool ethernet, bool udp,
		       struct part *ret)
{
	const uint8_t *data = p->data, *l4;
	struct inet_place *at = &ret->at;
	unsigned least;

	ret->data = data;
	if (p->gso_type || p->flags & TTD_PKT_NEEDS_CSUM ||
	    !inet_find(data, p->len, ethernet, at) ||
	    !inet_is_whole(data, p->len, at) || !is_plain(data + at->ip, at))
		return false;
	ret->tcp = at->protocol == INET_TCP;
	least = ret->tcp ? TCP_HEADER : UDP_HEADER;
	if ((!ret->tcp && (at->protocol != INET_UDP || !udp)) ||
	    at->l4 + least >= p->len)
		return false;
	l4 = data + at->l4;
	ret->header = at->l4 + (ret->tcp ? (l4[TCP_OFFSET] >> 4) * 4u : least);
	if (ret->header < at->l4 + least || ret->header >= p->len)
		return false;
	ret->payload = p->len - ret->header;
	if (ret->tcp)
		return !(l4[TCP_FLAGS] & ~FLAGS_JOINED) &&
		       l4[TCP_FLAGS] & TCP_ACK;
	return get16(l4 + UDP_LENGTH) == p->len - at->l4 &&
	       get16(l4 + UDP_CHECKSUM) != 0;
}

static bool checksum_is_right(const struct part *p)
{
	uint32_t len = p->header + p->payload - p->at.l4;

	return inet_fold(inet_sum(p->data + p->at.l4, len,
		inet_pseudo(p->data, &p->at, p->at.protocol, len))) == 0xffff;
}

static bool same(const struct part *a, const struct part *b, unsigned from,
		 unsigned to)
{
	return memcmp(a->data + from, b->data + from, to - from) == 0;
}

/*
 * b is the k-th behind a but for its payload: what the kernel would make of the
 * super-packet again, and nothing else.
 */
static bool ip_follows(const struct part *a, const struct part *b, unsigned k)
{
	unsigned ip = a->at.ip;
	const uint8_t *first = a->data + ip, *now = b->data + ip;

	if (b->at.ip != ip || b->at.v6 != a->at.v6 || b->tcp != a->tcp ||
	    b->header != a->header || !same(a, b, 0, ip))
		return false;
	if (a->at.v6)
		return same(a, b, ip, ip + IP6_LENGTH) &&
		       same(a, b, ip + IP6_NEXT, ip + IP6_HEADER);
	return same(a, b, ip, ip + IP4_LENGTH) &&
	       same(a, b, ip + IP4_FRAGMENT, ip + IP4_CHECKSUM) &&
	       same(a, b, ip + IP4_SOURCE, ip + IP4_HEADER) &&
	       /* RFC 6864: of what is not to be fragmented it means nothing. */
	       (get16(first + IP4_FRAGMENT) & IP4_DF ||
		get16(now + IP4_ID) == (uint16_t)(get16(first + IP4_ID) + k));
}

static bool l4_follows(const struct part *a, const struct part *b,
		       uint32_t payload)
{
	unsigned l4 = a->at.l4;
	const uint8_t *first = a->data + l4, *now = b->data + l4;

	if (!a->tcp)
		return same(a, b, l4, l4 + UDP_LENGTH);	/* ports */
	return same(a, b, l4, l4 + TCP_SEQ) &&
	       get32(now + TCP_SEQ) == get32(first + TCP_SEQ) + payload &&
	       same(a, b, l4 + TCP_ACK_SEQ, l4 + TCP_FLAGS) &&
	       ((first[TCP_FLAGS] ^ now[TCP_FLAGS]) & ~TCP_PSH) == 0 &&
	       same(a, b, l4 + TCP_FLAGS + 1, l4 + TCP_CHECKSUM) &&
	       same(a, b, l4 + TCP_CHECKSUM + 2, a->header);
}

/* Nothing may follow: pushed, or shorter than those before. */
static bool is_last(const struct part *p, uint32_t size)
{
	return p->payload < size ||
	       (p->tcp && p->data[p->at.l4 + TCP_FLAGS] & TCP_PSH);
}

static void make_super(const struct part *first, const struct part *last,
		       uint32_t payload, struct join *ret)
{
	const struct inet_place *at = &first->at;
	/* cppcheck-suppress ctuuninitvar ; its address alone */
	uint8_t *l4 = ret->header + at->l4;
	unsigned field = first->tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
	uint32_t len = first->header + payload;

	memcpy(ret->header, first->data, first->header);
	ret->header_len = first->header;
	inet_set_length(ret->header, at, len);
	if (first->tcp)
		l4[TCP_FLAGS] |= last->data[at->l4 + TCP_FLAGS] & TCP_PSH;
	else
		put16(l4 + UDP_LENGTH, len - at->l4);
	put16(l4 + field, inet_fold(inet_pseudo(ret->header, at, at->protocol,
						len - at->l4)));
	ret->super = (struct ttd_packet){
		.data = ret->header, .len = len, .flags = TTD_PKT_NEEDS_CSUM,
		.gso_type = !first->tcp ? TTD_GSO_UDP_L4 :
			    at->v6 ? TTD_GSO_TCPV6 : TTD_GSO_TCPV4,
		.gso_size = (uint16_t)first->payload,
		.hdr_len = (uint16_t)first->header,
		.csum_start = (uint16_t)at->l4,
		.csum_offset = (uint16_t)field,
	};
}

unsigned join_run(const struct ttd_packet *packets, unsigned n, bool ethernet,
		  bool udp, struct join *ret)
{
	struct part first, next, last;
	uint32_t payload;
	unsigned k;

	if (n < 2 || !take_apart(&packets[0], ethernet, udp, &first) ||
	    is_last(&first, first.payload))
		return 1;
	payload = first.payload;
	last = first;
	for (k = 1; k < n && !is_last(&last, first.payload); k++) {
		if (!take_apart(&packets[k], ethernet, udp, &next) ||
		    next.payload > first.payload ||
		    first.header - first.at.ip + payload + next.payload >
		    IP_MAX ||
		    !ip_follows(&first, &next, k) ||
		    !l4_follows(&first, &next, payload) ||
		    (k == 1 && !checksum_is_right(&first)) ||
		    !checksum_is_right(&next))
			break;
		payload += next.payload;
		last = next;
	}
	if (k > 1)
		make_super(&first, &last, payload, ret);
	return k;
}
