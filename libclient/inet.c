#include "inet.h"

#include <string.h>

#define ETHER_HEADER	14
#define ETHER_TYPE	12
#define VLAN_TAG	4
#define VLAN_TAGS_MAX	2
#define TYPE_IP4	0x0800
#define TYPE_IP6	0x86dd
#define TYPE_VLAN	0x8100
#define TYPE_SVLAN	0x88a8

/* Two words of 64 bits that the processor works on at once, or the compiler. */
typedef uint64_t pair __attribute__((vector_size(16)));
#define STEP (2 * sizeof(pair))

static inline pair load(const uint8_t *from)
{
	pair p;

	memcpy(&p, from, sizeof(p));
	return p;
}

/*
 * The sum of 32-bit words, in the host's order: it has the bytes of the other
 * order swapped, which inet_fold() undoes (RFC 1071, 2.B).  64 bits hold the
 * carries of 2^32 words.  Several sums, so that no addition waits for the one
 * before.  copy: to `to`; each of the callers has a loop of its own.
 */
static inline uint64_t sum_up(bool copy, uint8_t *to, const uint8_t *from,
			      size_t len, uint64_t sum)
{
	const pair low = { UINT32_MAX, UINT32_MAX };
	pair a = { 0 }, b = { 0 };
	uint32_t word, last = 0;
	size_t i;

	for (i = 0; i + STEP <= len; i += STEP) {
		const pair p = load(from + i), q = load(from + i + sizeof(p));

		if (copy) {
			memcpy(to + i, &p, sizeof(p));
			memcpy(to + i + sizeof(p), &q, sizeof(q));
		}
		a += (p & low) + (q & low);
		b += (p >> 32) + (q >> 32);
	}
	a += b;
	sum += a[0] + a[1];
	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		if (copy)
			memcpy(to + i, &word, sizeof(word));
		sum += word;
	}
	if (i == len)
		return sum;
	memcpy(&last, from + i, len - i);
	if (copy)
		memcpy(to + i, &last, len - i);
	return sum + last;
}

uint64_t inet_sum(const uint8_t *data, size_t len, uint64_t sum)
{
	return sum_up(false, NULL, data, len, sum);
}

uint64_t inet_copy_sum(uint8_t *to, const uint8_t *from, size_t len,
		       uint64_t sum)
{
	return sum_up(true, to, from, len, sum);
}

uint16_t inet_fold(uint64_t sum)
{
	uint8_t bytes[2];
	uint16_t host;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	host = (uint16_t)sum;
	memcpy(bytes, &host, sizeof(bytes));
	return get16(bytes);
}

static bool find_ip(const uint8_t *data, size_t len, bool ethernet,
		    unsigned *ret)
{
	unsigned at = ETHER_TYPE;

	*ret = 0;
	if (!ethernet)
		return true;
	for (unsigned tags = 0; at + 2 <= len; tags++, at += VLAN_TAG) {
		uint16_t type = get16(data + at);

		*ret = at + 2;
		if (type == TYPE_IP4 || type == TYPE_IP6)
			return true;
		if (tags == VLAN_TAGS_MAX ||
		    (type != TYPE_VLAN && type != TYPE_SVLAN))
			return false;
	}
	return false;
}

bool inet_find(const uint8_t *data, size_t len, bool ethernet,
	       struct inet_place *ret)
{
	unsigned ip, header;

	if (!find_ip(data, len, ethernet, &ip) || len <= ip)
		return false;
	ret->ip = ip;
	ret->v6 = data[ip] >> 4 == 6;
	if (!ret->v6 && data[ip] >> 4 != 4)
		return false;
	if (ethernet &&
	    get16(data + ip - 2) != (ret->v6 ? TYPE_IP6 : TYPE_IP4))
		return false;
	header = ret->v6 ? IP6_HEADER : (data[ip] & 0xfu) * 4;
	if (header < IP4_HEADER || ip + header > len)
		return false;
	ret->l4 = ip + header;
	ret->protocol = data[ip + (ret->v6 ? IP6_NEXT : IP4_PROTOCOL)];
	return true;
}

bool inet_is_whole(const uint8_t *data, size_t len,
		   const struct inet_place *at)
{
	const uint8_t *ip = data + at->ip;

	if (at->v6)
		return at->ip + IP6_HEADER + get16(ip + IP6_LENGTH) == len;
	return at->ip + get16(ip + IP4_LENGTH) == len &&
	       !(get16(ip + IP4_FRAGMENT) & ~IP4_DF);
}

uint64_t inet_pseudo(const uint8_t *data, const struct inet_place *at,
		     uint8_t protocol, uint32_t len)
{
	const uint8_t *ip = data + at->ip;
	uint8_t rest[8] = { 0 };

	put32(rest, len);
	rest[7] = protocol;
	return inet_sum(rest, sizeof(rest), at->v6 ?
			inet_sum(ip + IP6_SOURCE, 32, 0) :
			inet_sum(ip + IP4_SOURCE, 8, 0));
}

void inet_set_length(uint8_t *data, const struct inet_place *at, uint32_t len)
{
	uint8_t *ip = data + at->ip;

	if (at->v6) {
		put16(ip + IP6_LENGTH, len - at->ip - IP6_HEADER);
		return;
	}
	put16(ip + IP4_LENGTH, len - at->ip);
	put16(ip + IP4_CHECKSUM, 0);
	put16(ip + IP4_CHECKSUM, ~inet_fold(inet_sum(ip, at->l4 - at->ip, 0)) &
	      0xffffu);
}
