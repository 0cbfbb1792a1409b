#include "prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define WORD_BITS	32

unsigned prefix_bits(uint8_t family)
{
	return family == 4 ? 32 : family == 6 ? 128 : 0;
}

size_t prefix_bytes(uint8_t family)
{
	return prefix_bits(family) / 8;
}

/* Decimal without sign or leading zeros, at most 3 digits; -1 if not so. */
static int parse_bits(const char *text)
{
	size_t n = strlen(text);
	int bits = 0;

	if (n == 0 || n > 3 || (n > 1 && text[0] == '0'))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		bits = bits * 10 + (*text - '0');
	}
	return bits;
}

int prefix_parse(const char *text, struct prefix *ret, const char **ret_why)
{
	const char *slash = strchr(text, '/'), *why = NULL;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	struct prefix p = { 0 };
	int bits;

	if (n == 0 || n >= sizeof(address)) {
		why = "it is not an IPv4 or IPv6 address";
		goto bad;
	}
	memcpy(address, text, n);
	address[n] = '\0';
	if (inet_pton(AF_INET, address, p.ip) == 1)
		p.family = 4;
	else if (inet_pton(AF_INET6, address, p.ip) == 1)
		p.family = 6;
	else {
		why = "it is not an IPv4 or IPv6 address";
		goto bad;
	}
	bits = slash ? parse_bits(slash + 1) : (int)prefix_bits(p.family);
	if (bits < 0) {
		why = "what follows the / is not a number of bits";
		goto bad;
	}
	if (bits > (int)prefix_bits(p.family)) {
		why = p.family == 4 ? "an IPv4 prefix has at most 32 bits"
				    : "an IPv6 prefix has at most 128 bits";
		goto bad;
	}
	p.len = (uint8_t)bits;
	*ret = p;
	return 0;
bad:
	if (ret_why)
		*ret_why = why;
	return -EINVAL;
}

char *prefix_format(const struct prefix *p, char *buf)
{
	char address[INET6_ADDRSTRLEN] = "none";

	if (p->family == 4)
		inet_ntop(AF_INET, p->ip, address, sizeof(address));
	else if (p->family == 6)
		inet_ntop(AF_INET6, p->ip, address, sizeof(address));
	snprintf(buf, PREFIX_TEXT_MAX, "%s/%u", address, p->len);
	return buf;
}

static uint32_t word(const uint8_t *ip)
{
	uint32_t w;

	memcpy(&w, ip, sizeof(w));
	return ntohl(w);
}

/*
 * The first `bits` bits are the same.  By words, as a request of 256 routes
 * makes some 100 000 of these comparisons, and others wait for it.
 */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (; bits > WORD_BITS; bits -= WORD_BITS) {
		if (word(a) != word(b))
			return false;
		a += sizeof(uint32_t);
		b += sizeof(uint32_t);
	}
	return bits == 0 || (word(a) ^ word(b)) >> (WORD_BITS - bits) == 0;
}

bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->family == inner->family && outer->family != 0 &&
	       outer->len <= inner->len &&
	       same_bits(outer->ip, inner->ip, outer->len);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_contains(a, b) || prefix_contains(b, a);
}

bool prefix_same_address(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family &&
	       memcmp(a->ip, b->ip, prefix_bytes(a->family)) == 0;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->len == b->len &&
	       same_bits(a->ip, b->ip, a->len);
}

struct prefix prefix_network(const struct prefix *p)
{
	struct prefix n = { .family = p->family, .len = p->len };
	unsigned whole = p->len / 8, rest = p->len % 8;

	memcpy(n.ip, p->ip, whole);
	if (rest)
		n.ip[whole] = p->ip[whole] & (uint8_t)(0xff << (8 - rest));
	return n;
}

bool prefix_has_host_bits(const struct prefix *p)
{
	struct prefix n = prefix_network(p);

	return !prefix_same_address(p, &n);
}

struct prefix prefix_host(const struct prefix *p)
{
	struct prefix h = *p;

	h.len = (uint8_t)prefix_bits(p->family);
	return h;
}

bool prefix_is_full(const struct prefix *p)
{
	return p->len == prefix_bits(p->family);
}
