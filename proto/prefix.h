/* Prefixes: an IPv4 or IPv6 address with a length.  Pure. */
#ifndef TUNTAPD_PREFIX_H
#define TUNTAPD_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIX_TEXT_MAX	50	/* longest text with its NUL, rounded up */

struct prefix {
	uint8_t ip[16];		/* network order, IPv4 in the first 4 bytes */
	uint8_t family;		/* 0 none, 4 or 6; never AF_*, that differs */
	uint8_t len;		/* bits, never over prefix_bits(family) */
};

/* 32, 128, or 0 for no family that there is. */
unsigned prefix_bits(uint8_t family);
/* Bytes of an address: 4, 16 or 0. */
size_t prefix_bytes(uint8_t family);

/*
 * "10.0.0.1/24", "fd00::1/64"; without "/n" the full length.  Nothing else is
 * accepted: no zone, no leading zeros in /n, no white space.
 * 0 or -EINVAL; ret untouched on failure.  ret_why, unless NULL, is set on
 * failure to a constant sentence ("an IPv4 prefix has at most 32 bits").
 */
int prefix_parse(const char *text, struct prefix *ret, const char **ret_why);
/* Writes the text, with /n always; buf holds PREFIX_TEXT_MAX.  Returns buf. */
char *prefix_format(const struct prefix *p, char *buf);

/* Every address of inner is one of outer's; false across families. */
bool prefix_contains(const struct prefix *outer, const struct prefix *inner);
/* They share an address. */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
/* Same family and address; the length is not looked at. */
bool prefix_same_address(const struct prefix *a, const struct prefix *b);
/* Family, length and every bit before the length are the same. */
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* A bit behind the length is set. */
bool prefix_has_host_bits(const struct prefix *p);
/* The same with the bits behind the length cleared. */
struct prefix prefix_network(const struct prefix *p);
/* The address alone, full length. */
struct prefix prefix_host(const struct prefix *p);
bool prefix_is_full(const struct prefix *p);

#endif
