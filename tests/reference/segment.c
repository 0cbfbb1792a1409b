#include "segment.h"

#include <string.h>

enum { TCP = 6, UDP = 17 };
enum { HOP_BY_HOP = 0, ROUTING = 43, DESTINATION = 60 };
enum { DF = 0x4000 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, CWR = 128 };

static unsigned word(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static void set_word(uint8_t *p, unsigned n)
{
	p[0] = (uint8_t)(n / 256 % 256);
	p[1] = (uint8_t)(n % 256);
}

static uint32_t long_word(const uint8_t *p)
{
	return word(p) * 65536u + word(p + 2);
}

/* --- sums ----------------------------------------------------------------- */

/* Ones' complement addition of two 16-bit numbers. */
static unsigned plus(unsigned a, unsigned b)
{
	unsigned sum = a + b;

	return sum > 65535 ? sum - 65535 : sum;
}

static unsigned sum_of(const uint8_t *p, size_t len, unsigned sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum = plus(sum, p[i] * 256u + (i + 1 < len ? p[i + 1] : 0u));
	return sum;
}

static unsigned complement(unsigned sum)
{
	return 65535 - sum;
}

static unsigned pseudo(const uint8_t *data, const struct segment_place *at,
		       size_t l4_len)
{
	const uint8_t *ip = data + at->ip;
	unsigned sum = at->v6 ? sum_of(ip + 8, 32, 0) : sum_of(ip + 12, 8, 0);

	sum = plus(sum, (unsigned)(l4_len / 65536));
	sum = plus(sum, (unsigned)(l4_len % 65536));
	return plus(sum, at->tcp ? TCP : UDP);
}

void segment_finish(uint8_t *data, size_t len, size_t start, size_t offset)
{
	set_word(data + start + offset,
		 complement(sum_of(data + start, len - start, 0)));
}

void segment_begin(uint8_t *data, size_t len, bool ethernet)
{
	struct segment_place at;

	if (!segment_find(data, len, ethernet, &at))
		set_word(data + at.l4 + (at.tcp ? 16 : 6),
			 pseudo(data, &at, len - at.l4));
}

/* --- where headers are ---------------------------------------------------- */

static const char *find_ip(const uint8_t *data, size_t len, size_t *ip,
			   unsigned *version)
{
	size_t at = 12;

	for (int tags = 0; tags <= 2; tags++, at += 4) {
		if (len < at + 2)
			return "Ethernet header";
		*ip = at + 2;
		if (word(data + at) == 0x0800 || word(data + at) == 0x86dd) {
			*version = word(data + at) == 0x0800 ? 4 : 6;
			return NULL;
		}
		if (word(data + at) != 0x8100 && word(data + at) != 0x88a8)
			return "Ethernet type";
	}
	return "too many VLAN tags";
}

static const char *find_l4_behind_ip4(const uint8_t *data, size_t len,
				      struct segment_place *ret, unsigned *l4)
{
	const uint8_t *ip = data + ret->ip;
	size_t header;

	if (len < ret->ip + 20)
		return "IPv4 header";
	header = ip[0] % 16 * 4u;
	if (header < 20 || len < ret->ip + header)
		return "IPv4 header's length";
	/* More fragments, an offset, or the bit that must be 0. */
	if (word(ip + 6) & 0xbfff)
		return "a fragment";
	ret->bare = header == 20;
	ret->l4 = ret->ip + header;
	*l4 = ip[9];
	return NULL;
}

static const char *find_l4_behind_ip6(const uint8_t *data, size_t len,
				      struct segment_place *ret, unsigned *l4)
{
	if (len < ret->ip + 40)
		return "IPv6 header";
	*l4 = data[ret->ip + 6];
	ret->l4 = ret->ip + 40;
	ret->bare = true;
	while (*l4 == HOP_BY_HOP || *l4 == ROUTING || *l4 == DESTINATION) {
		size_t at = ret->l4;

		if (len < at + 8)
			return "extension header";
		*l4 = data[at];
		ret->l4 += data[at + 1] * 8u + 8u;
		if (len < ret->l4)
			return "extension header's length";
		ret->bare = false;
	}
	return NULL;
}

const char *segment_find(const uint8_t *data, size_t len, bool ethernet,
			 struct segment_place *ret)
{
	const char *wrong = NULL;
	unsigned version = 0, l4 = 0;

	ret->ip = 0;
	if (ethernet)
		wrong = find_ip(data, len, &ret->ip, &version);
	if (wrong)
		return wrong;
	if (len < ret->ip + 1)
		return "no IP header";
	if (ethernet && data[ret->ip] / 16 != version)
		return "Ethernet type says another version";
	version = data[ret->ip] / 16;
	if (version != 4 && version != 6)
		return "IP version";
	ret->v6 = version == 6;
	wrong = ret->v6 ? find_l4_behind_ip6(data, len, ret, &l4) :
			  find_l4_behind_ip4(data, len, ret, &l4);
	if (wrong)
		return wrong;
	if (l4 != TCP && l4 != UDP)
		return "protocol";
	ret->tcp = l4 == TCP;
	ret->payload = ret->l4 + (ret->tcp ? 20 : 8);
	if (len < ret->payload)
		return "TCP or UDP header";
	if (!ret->tcp)
		return NULL;
	ret->payload = ret->l4 + data[ret->l4 + 12] / 16 * 4u;
	if (ret->payload < ret->l4 + 20 || len < ret->payload)
		return "TCP header's length";
	return NULL;
}

const char *segment_wrong(const uint8_t *data, size_t len, bool ethernet)
{
	struct segment_place at;
	const char *wrong = segment_find(data, len, ethernet, &at);
	const uint8_t *ip, *l4;

	if (wrong)
		return wrong;
	ip = data + at.ip;
	l4 = data + at.l4;
	if (at.v6 && word(ip + 4) + 40 != len - at.ip)
		return "IPv6 length";
	if (!at.v6 && word(ip + 2) != len - at.ip)
		return "IPv4 length";
	if (!at.v6 && sum_of(ip, at.l4 - at.ip, 0) != 65535)
		return "IPv4 checksum";
	if (!at.tcp && word(l4 + 4) != len - at.l4)
		return "UDP length";
	if (!at.tcp && word(l4 + 6) == 0)
		return "UDP without a checksum";
	if (sum_of(l4, len - at.l4, pseudo(data, &at, len - at.l4)) != 65535)
		return "TCP or UDP checksum";
	return NULL;
}

/* --- split ---------------------------------------------------------------- */

static void set_ip_length(uint8_t *data, const struct segment_place *at,
			  size_t len)
{
	uint8_t *ip = data + at->ip;

	if (at->v6) {
		set_word(ip + 4, (unsigned)(len - at->ip - 40));
		return;
	}
	set_word(ip + 2, (unsigned)(len - at->ip));
	set_word(ip + 10, 0);
	set_word(ip + 10, complement(sum_of(ip, at->l4 - at->ip, 0)));
}

static void set_l4_checksum(uint8_t *data, const struct segment_place *at,
			    size_t len)
{
	uint8_t *field = data + at->l4 + (at->tcp ? 16 : 6);
	unsigned sum = pseudo(data, at, len - at->l4);

	set_word(field, 0);
	sum = complement(sum_of(data + at->l4, len - at->l4, sum));
	/* RFC 768: 0 would mean that there is none. */
	set_word(field, !at->tcp && sum == 0 ? 65535 : sum);
}

/* Byte 13 of TCP: what belongs to the stream's end, and what to its begin. */
static void set_flags(uint8_t *l4, bool first, bool last)
{
	if (!first)
		l4[13] = (uint8_t)(l4[13] & ~CWR);
	if (!last)
		l4[13] = (uint8_t)(l4[13] & ~(FIN | PSH));
}

static void add_to_seq(uint8_t *l4, uint32_t n)
{
	uint32_t seq = long_word(l4 + 4) + n;

	set_word(l4 + 4, seq / 65536);
	set_word(l4 + 6, seq % 65536);
}

size_t segment_split(const struct ttd_packet *super, bool ethernet, size_t k,
		     uint8_t *to)
{
	const uint8_t *from = super->data;
	struct segment_place at;
	size_t payload, begin = k * super->gso_size, part, len;

	if (segment_find(from, super->len, ethernet, &at))
		return 0;
	payload = super->len - at.payload;
	if (begin >= payload && k > 0)
		return 0;
	part = payload - begin;
	if (part > super->gso_size)
		part = super->gso_size;
	len = at.payload + part;
	for (size_t i = 0; i < at.payload; i++)
		to[i] = from[i];
	for (size_t i = 0; i < part; i++)
		to[at.payload + i] = from[at.payload + begin + i];
	if (!at.v6)
		set_word(to + at.ip + 4,
			 (unsigned)((word(to + at.ip + 4) + k) % 65536));
	set_ip_length(to, &at, len);
	if (at.tcp) {
		add_to_seq(to + at.l4, (uint32_t)begin);
		set_flags(to + at.l4, k == 0, begin + part == payload);
	} else {
		set_word(to + at.l4 + 4, (unsigned)(len - at.l4));
	}
	set_l4_checksum(to, &at, len);
	return len;
}

/* One as long as it is. */
void segment_repair(struct ttd_packet *packet, bool ethernet)
{
	static uint8_t repaired[SEGMENT_MAX];
	struct ttd_packet whole = *packet;

	whole.gso_size = UINT16_MAX;
	if (segment_split(&whole, ethernet, 0, repaired) == packet->len)
		memcpy(packet->data, repaired, packet->len);
}

/* --- join ----------------------------------------------------------------- */

/* Whether a run may begin with it, or have it at all. */
static bool joinable(const struct ttd_packet *p, bool ethernet, bool udp,
		     struct segment_place *ret)
{
	const uint8_t *data = p->data;

	if (p->gso_type || p->flags & TTD_PKT_NEEDS_CSUM)
		return false;
	if (segment_wrong(data, p->len, ethernet) ||
	    segment_find(data, p->len, ethernet, ret))
		return false;
	if (!ret->bare || p->len == ret->payload || (!ret->tcp && !udp))
		return false;
	if (!ret->tcp)
		return true;
	/* The kernel would have CWR first and FIN last: rare, they go alone. */
	return (data[ret->l4 + 13] & (SYN | RST | URG | CWR | FIN | ACK)) ==
	       ACK;
}

/* Not where the other packet of a run may, or must, have something else. */
static bool fixed(const struct segment_place *at, size_t i)
{
	size_t ip = i - at->ip, l4 = i - at->l4;

	if (i >= at->l4 && at->tcp)
		return l4 / 4 != 1 && l4 / 2 != 8 && l4 != 13;
	if (i >= at->l4)
		return l4 < 4;
	if (i >= at->ip && at->v6)
		return ip != 4 && ip != 5;
	if (i >= at->ip)	/* length, identification, checksum */
		return ip / 2 != 1 && ip / 2 != 2 && ip / 2 != 5;
	return true;
}

static bool same_place(const struct segment_place *a,
		       const struct segment_place *b)
{
	return a->ip == b->ip && a->l4 == b->l4 && a->payload == b->payload &&
	       a->v6 == b->v6 && a->tcp == b->tcp;
}

static bool same_headers(const uint8_t *a, const uint8_t *b,
			 const struct segment_place *at)
{
	for (size_t i = 0; i < at->payload; i++)
		if (fixed(at, i) && a[i] != b[i])
			return false;
	return true;
}

/* Nothing comes behind it: it is shorter, or pushed. */
static bool ends(const struct ttd_packet *p, const struct segment_place *at,
		 size_t size)
{
	const uint8_t *l4 = (const uint8_t *)p->data + at->l4;

	return p->len - at->payload < size || (at->tcp && l4[13] & PSH);
}

/* All but what only the whole run decides. */
static bool follows(const uint8_t *a, const uint8_t *b,
		    const struct segment_place *at, size_t size)
{
	const uint8_t *l4a = a + at->l4, *l4b = b + at->l4;

	if (!same_headers(a, b, at))
		return false;
	/* RFC 6864: of what is not to be fragmented it means nothing. */
	if (!at->v6 && !(word(a + at->ip + 6) & DF) &&
	    word(b + at->ip + 4) != (word(a + at->ip + 4) + 1) % 65536)
		return false;
	if (!at->tcp)
		return true;
	if (long_word(l4b + 4) != (uint32_t)(long_word(l4a + 4) + size))
		return false;
	return ((l4a[13] ^ l4b[13]) & ~PSH) == 0;
}

unsigned segment_run(const struct ttd_packet *packets, unsigned n,
		     bool ethernet, bool udp)
{
	struct segment_place first, next;
	size_t size, len = packets[0].len;
	unsigned k;

	if (!joinable(&packets[0], ethernet, udp, &first))
		return 1;
	size = packets[0].len - first.payload;
	for (k = 1; k < n && !ends(&packets[k - 1], &first, size); k++) {
		const struct ttd_packet *p = &packets[k];

		if (!joinable(p, ethernet, udp, &next) ||
		    !same_place(&first, &next) ||
		    p->len - next.payload > size ||
		    !follows(packets[k - 1].data, p->data, &first, size))
			break;
		len += p->len - next.payload;
		if (len - first.ip > SEGMENT_IP_MAX)
			break;
	}
	return k;
}

static uint16_t type_of(const uint8_t *data, const struct segment_place *at)
{
	if (!at->tcp)
		return 5;
	return (uint16_t)((at->v6 ? 4 : 1) |
			  (data[at->l4 + 13] & CWR ? 0x80 : 0));
}

void segment_join(const struct ttd_packet *packets, unsigned n, bool ethernet,
		  struct ttd_packet *ret)
{
	const struct ttd_packet *last = &packets[n - 1];
	uint8_t *to = ret->data;
	struct segment_place at;
	size_t len;

	segment_find(packets[0].data, packets[0].len, ethernet, &at);
	memcpy(to, packets[0].data, at.payload);
	len = at.payload;
	for (unsigned k = 0; k < n; k++) {
		const uint8_t *from = packets[k].data;

		for (size_t i = at.payload; i < packets[k].len; i++)
			to[len++] = from[i];
	}
	if (at.tcp)
		to[at.l4 + 13] |= ((const uint8_t *)last->data)[at.l4 + 13] &
				  PSH;
	else
		set_word(to + at.l4 + 4, (unsigned)(len - at.l4));
	set_ip_length(to, &at, len);
	segment_begin(to, len, ethernet);
	*ret = (struct ttd_packet){
		.data = to, .len = (uint32_t)len, .flags = TTD_PKT_NEEDS_CSUM,
		.gso_type = type_of(to, &at),
		.gso_size = (uint16_t)(packets[0].len - at.payload),
		.hdr_len = (uint16_t)at.payload,
		.csum_start = (uint16_t)at.l4,
		.csum_offset = at.tcp ? 16 : 6,
	};
}
