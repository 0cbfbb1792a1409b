/*
 * Any bytes as a super-packet that is split, or as packets that are joined,
 * beside tests/reference/segment.c.
 *
 * The first byte chooses:
 *
 *	bit 0	join, else split
 *	bit 1	of a TAP, else of a TUN
 *	bit 2	checksums are made right first where the headers are, and of
 *		packets to join the lengths too
 *	bit 3	join: the kernel takes super-packets of UDP; split: what is one
 *		packet already is moved
 *
 * Split: gso_type, gso_size, hdr_len, csum_start, csum_offset follow, each but
 * the first of two bytes, as struct ttd_packet has them; then the bytes.  Join:
 * how many packets, then two bytes a packet but the last, its length; then the
 * packets, of which the last one has what is left.
 *
 * What has been joined and is split again must be what it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../libclient/join.h"
#include "../../libclient/split.h"
#include "../reference/segment.h"

#define PACKETS_MAX	16
#define WORK_MAX	(1 << 22)	/* bytes; more would say no more */
#define VNET		9	/* bytes before a super-packet */

enum { JOIN = 1, TAP = 2, REPAIR = 4, TAKES_UDP = 8, ELSEWHERE = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Exactly as large: a sanitizer sees the first byte too many. */
static void *copy(const uint8_t *bytes, size_t len)
{
	void *p = malloc(len ? len : 1);

	must(p);
	if (len > 0)
		memcpy(p, bytes, len);
	return p;
}

/* --- split ---------------------------------------------------------------- */

static void split_all(const struct ttd_packet *super, unsigned how)
{
	static uint8_t wanted[SEGMENT_MAX];
	struct split s;
	int n = split_begin(&s, super, how & TAP), k;
	uint8_t *to;

	if (n <= 0) {
		must(n == -EBADMSG);
		return;
	}
	if ((size_t)n * s.header > WORK_MAX)
		return;
	to = malloc(split_len(&s));		/* of the longest */
	must(to);
	for (k = 0; k < n; k++) {
		uint32_t len = split_len(&s);

		must(len > s.header || n == 1);
		must(len <= s.header + s.size);
		must(split_next(&s, to) == len);
		if (!(how & REPAIR))
			continue;
		must(segment_split(super, how & TAP, (size_t)k, wanted) == len);
		must(memcmp(to, wanted, len) == 0);
		must(!segment_wrong(to, len, how & TAP));
	}
	must(split_len(&s) == 0 && split_next(&s, to) == 0);
	free(to);
}

static void split(unsigned how, const uint8_t *data, size_t size)
{
	struct ttd_packet p = { .flags = TTD_PKT_NEEDS_CSUM };
	uint8_t *at, *to;

	if (size < VNET || size - VNET > SEGMENT_MAX)
		return;
	p.gso_type = data[0];
	p.gso_size = get16(data + 1);
	p.hdr_len = get16(data + 3);
	p.csum_start = get16(data + 5);
	p.csum_offset = get16(data + 7);
	p.len = (uint32_t)(size - VNET);
	p.data = copy(data + VNET, p.len);
	if (how & REPAIR)
		segment_begin(p.data, p.len, how & TAP);
	split_all(&p, how);
	at = p.data;
	to = how & ELSEWHERE ? malloc(p.len ? p.len : 1) : at;
	must(to);
	split_finish(&p, to);
	if (to != at)
		free(to);
	free(at);
}

/* --- join ----------------------------------------------------------------- */

static unsigned cut(unsigned how, const uint8_t *data, size_t size,
		    struct ttd_packet packets[PACKETS_MAX])
{
	unsigned n = size ? data[0] % PACKETS_MAX + 1 : 0;
	const uint8_t *at = data + 1 + 2 * n;

	if (n == 0 || size < 1 + 2 * n)
		return 0;
	size -= 1 + 2 * n;
	for (unsigned i = 0; i < n; i++) {
		size_t len = get16(data + 1 + 2 * i);

		if (len > size || i + 1 == n)
			len = size;
		if (len > SEGMENT_MAX)
			len = SEGMENT_MAX;
		packets[i] = (struct ttd_packet){
			.data = copy(at, len), .len = (uint32_t)len,
		};
		if (how & REPAIR)
			segment_repair(&packets[i], how & TAP);
		at += len;
		size -= len;
	}
	return n;
}

/* Of what is not to be fragmented the ID means nothing. */
static void same_packet(const uint8_t *now, const struct ttd_packet *packet,
			const struct inet_place *at)
{
	uint8_t *was = copy(packet->data, packet->len);

	if (!at->v6 && get16(was + at->ip + IP4_FRAGMENT) & IP4_DF) {
		put16(was + at->ip + IP4_ID, get16(now + at->ip + IP4_ID));
		inet_set_length(was, at, packet->len);
	}
	must(memcmp(now, was, packet->len) == 0);
	free(was);
}

static void split_again(const struct join *j, const struct ttd_packet *packets,
			unsigned n, bool ethernet)
{
	static uint8_t packet[SEGMENT_MAX];
	struct ttd_packet super = j->super;
	struct split s;
	uint32_t len = j->header_len;
	uint8_t *bytes;

	bytes = malloc(super.len);
	must(bytes);
	memcpy(bytes, j->header, len);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *from = packets[i].data;
		uint32_t part = packets[i].len - j->header_len;

		must(len + part <= super.len);
		memcpy(bytes + len, from + j->header_len, part);
		len += part;
	}
	must(len == super.len);
	super.data = bytes;
	must(split_begin(&s, &super, ethernet) == (int)n);
	for (unsigned i = 0; i < n; i++) {
		must(split_next(&s, packet) == packets[i].len);
		same_packet(packet, &packets[i], &s.at);
	}
	free(bytes);
}

static void join(unsigned how, const uint8_t *data, size_t size)
{
	struct ttd_packet packets[PACKETS_MAX];
	unsigned n = cut(how, data, size, packets), run;
	bool tap = how & TAP, udp = how & TAKES_UDP;
	struct join j;

	for (unsigned at = 0; at < n; at += run) {
		run = join_run(packets + at, n - at, tap, udp, &j);
		must(run == segment_run(packets + at, n - at, tap, udp));
		if (run > 1)
			split_again(&j, packets + at, run, tap);
	}
	for (unsigned i = 0; i < n; i++)
		free(packets[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & JOIN)
		join(data[0], data + 1, size - 1);
	else
		split(data[0], data + 1, size - 1);
	return 0;
}
