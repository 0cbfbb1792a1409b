/*
 * Splitting and joining packets: what libclient/split.h and join.h say, beside
 * a second reading of what they are made for (tests/reference/segment.c).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libclient/join.h"
#include "../../libclient/split.h"
#include "../reference/segment.h"
#include "../reference/segment_random.h"

#define SANITIZED	(getenv("TUNTAPD_SANITIZED") != NULL)
/* As valgrind, which is thirty times as slow. */
#define SLOW		(getenv("TUNTAPD_SLOW") != NULL)
#define SUPERS		(SLOW ? 200U : SANITIZED ? 1000U : 4000U)
#define RUNS		(SLOW ? 1000U : SANITIZED ? 6000U : 40000U)
#define BROKEN		(SLOW ? 10000U : SANITIZED ? 60000U : 400000U)

#define PACKETS_MAX	200	/* of one list */
#define GUARD		0xa5	/* what is not to be written to */
#define CHECK_LATER	4	/* packets of a run that a change is tried on */

static uint8_t super_bytes[SEGMENT_MAX];
static struct ttd_packet super = { .data = super_bytes };
static struct random_shape shape;

static uint64_t seed(void)
{
	const char *text = getenv("TUNTAPD_OFFLOAD_SEED");

	return text ? strtoull(text, NULL, 10) : 1;
}

/* Exactly as large: a sanitizer sees the first byte too many. */
static void *room(size_t len)
{
	void *p = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void *copy(const void *bytes, size_t len)
{
	void *p = room(len);

	if (len > 0)
		memcpy(p, bytes, len);
	return p;
}

static void say_shape(void)
{
	printf("offload: %s %u tags, IPv%d, %u options, %u extensions, %s %u "
	       "options, flags %02x, payload %zu, gso_size %u\n",
	       shape.ethernet ? "TAP" : "TUN", shape.tags, shape.v6 ? 6 : 4,
	       shape.options, shape.extensions, shape.tcp ? "TCP" : "UDP",
	       shape.tcp_options, shape.flags, shape.payload, shape.gso_size);
}

static void say_bytes(const char *what, const uint8_t *p, size_t len)
{
	printf("%s (%zu):", what, len);
	for (size_t i = 0; i < len && i < 160; i++)
		printf("%s%02x", i % 4 ? "" : " ", p[i]);
	printf("\n");
}

static void must_be(const uint8_t *got, size_t got_len, const uint8_t *wanted,
		    size_t wanted_len, const char *what, size_t k)
{
	if (got_len == wanted_len && memcmp(got, wanted, got_len) == 0)
		return;
	say_shape();
	say_bytes("got", got, got_len);
	say_bytes("wanted", wanted, wanted_len);
	ck_abort_msg("%s %zu is another one", what, k);
}

/* --- splitting ------------------------------------------------------------ */

/* Each packet, some left out, beside the reference's. */
static void compare_split(const struct ttd_packet *packet, bool ethernet,
			  unsigned skip_one_in)
{
	static uint8_t wanted[SEGMENT_MAX];
	struct split s;
	int n = split_begin(&s, packet, ethernet);
	uint8_t *to;
	size_t k, len;

	if (n <= 0) {
		say_shape();
		ck_abort_msg("split_begin: %d", n);
	}
	to = room(split_len(&s));	/* none is longer than the first */
	for (k = 0; (len = segment_split(packet, ethernet, k, wanted)); k++) {
		const char *wrong = segment_wrong(wanted, len, ethernet);

		ck_assert_msg(!wrong, "the reference has a wrong %s", wrong);
		ck_assert_uint_eq(split_len(&s), len);
		if (skip_one_in && random_one_in(skip_one_in)) {
			split_skip(&s);
			continue;
		}
		must_be(to, split_next(&s, to), wanted, len, "packet", k);
	}
	free(to);
	ck_assert_int_eq(n, (int)k);
	ck_assert_uint_eq(split_len(&s), 0);
	ck_assert_uint_eq(split_next(&s, super_bytes), 0);
}

START_TEST(packets_are_the_reference_s)
{
	size_t packets = 0;

	random_seed(seed());
	for (unsigned i = 0; i < SUPERS; i++) {
		struct ttd_packet exact;

		random_shape(&shape);
		random_super(&shape, &super);
		/* It only hints at how much lies in one piece. */
		super.hdr_len = (uint16_t)random_below(65536);
		if (shape.tcp && random_one_in(4))
			super.gso_type ^= TTD_GSO_ECN;
		exact = super;
		exact.data = copy(super.data, super.len);
		compare_split(&exact, shape.ethernet, i % 4 ? 0 : 3);
		must_be(exact.data, exact.len, super.data, super.len,
			"what was split", i);
		free(exact.data);
		packets += shape.payload / shape.gso_size + 1;
	}
	printf("offload: %u super-packets, %zu packets, no difference\n",
	       SUPERS, packets);
}
END_TEST

/* Headers of each size, and payloads around each multiple of the size. */
START_TEST(every_header_and_every_end)
{
	random_seed(seed() + 1);
	for (unsigned i = 0; i < 2 * 2 * 2 * 11 * 11; i++) {
		random_shape(&shape);
		shape.v6 = i & 1;
		shape.tcp = i & 2;
		shape.ethernet = i & 4;
		shape.tags = shape.ethernet ? i % 3 : 0;
		shape.options = shape.v6 ? 0 : i / 8 % 11;
		shape.extensions = shape.v6 ? i / 8 % 4 : 0;
		shape.tcp_options = i / 88;
		shape.gso_size = (uint16_t)(1 + i % 9);
		for (shape.payload = 0; shape.payload < 20; shape.payload++) {
			random_super(&shape, &super);
			compare_split(&super, shape.ethernet, 0);
		}
	}
}
END_TEST

START_TEST(every_flag_of_tcp)
{
	random_seed(seed() + 2);
	for (unsigned flags = 0; flags < 256; flags++) {
		shape = (struct random_shape){
			.tcp = true, .v6 = flags & 1,
			.flags = (uint8_t)flags, .gso_size = 100,
		};
		for (shape.payload = 0; shape.payload < 400;
		     shape.payload += 100) {
			random_super(&shape, &super);
			compare_split(&super, false, 0);
		}
	}
}
END_TEST

START_TEST(nothing_comes_out_of_nothing)
{
	struct split s = { 0 };

	ck_assert_uint_eq(split_len(&s), 0);
	split_skip(&s);
	ck_assert_uint_eq(split_next(&s, super_bytes), 0);
}
END_TEST

START_TEST(numbers_go_around)
{
	static const uint8_t last[4] = { 0xff, 0xff, 0xff, 0xff };

	random_seed(seed() + 3);
	shape = (struct random_shape){
		.tcp = true, .flags = RANDOM_FLAGS_PLAIN, .payload = 1000,
		.gso_size = 300,
	};
	random_super(&shape, &super);
	memcpy(super_bytes + IP4_ID, last, 2);
	memcpy(super_bytes + IP4_HEADER + TCP_SEQ, last, 4);
	compare_split(&super, false, 0);
}
END_TEST

/* UDP's sum of nothing is all ones: the last two bytes of each make it so. */
START_TEST(a_checksum_of_nothing_is_not_zero)
{
	static uint8_t one[SEGMENT_MAX];

	random_seed(seed() + 4);
	for (unsigned i = 0; i < 4; i++) {
		size_t header;

		shape = (struct random_shape){
			.v6 = i & 1, .tcp = i & 2, .payload = 30,
			.flags = RANDOM_FLAGS_PLAIN, .gso_size = 10,
		};
		random_super(&shape, &super);
		header = super.len - shape.payload;
		for (unsigned k = 0; k < 3; k++) {
			uint8_t *end = super_bytes + header + 10 * k + 8;
			unsigned csum;

			put16(end, 0);
			segment_split(&super, false, k, one);
			csum = get16(one + super.csum_start +
				     super.csum_offset);
			put16(end, csum);
			segment_split(&super, false, k, one);
			ck_assert_uint_eq(get16(one + super.csum_start +
						super.csum_offset),
					  shape.tcp ? 0 : 0xffff);
		}
		compare_split(&super, false, 0);
	}
}
END_TEST

/*
 * The sum that has been begun counts, not the addresses: with a routing header
 * it is one of the last address.
 */
START_TEST(the_sum_that_was_begun_counts)
{
	static uint8_t wanted[SEGMENT_MAX], got[SEGMENT_MAX];

	random_seed(seed() + 22);
	for (unsigned i = 0; i < SUPERS / 10; i++) {
		uint8_t *begun, *field = wanted;
		struct split s;
		uint32_t more = 1 + random_below(65534);

		do
			random_shape(&shape);
		while (!shape.tcp || shape.payload > 5000);
		random_super(&shape, &super);
		begun = super_bytes + super.csum_start + super.csum_offset;
		put16(begun, (get16(begun) + more) % 65535);
		ck_assert_int_gt(split_begin(&s, &super, shape.ethernet), 0);
		field += super.csum_start + super.csum_offset;
		for (size_t k = 0, len; (len = segment_split(&super,
					shape.ethernet, k, wanted)); k++) {
			uint32_t sum = 65535u - get16(field) + more;

			put16(field, 65535 - sum % 65535);
			split_next(&s, got);
			/* Ones' complement has two of 0. */
			if (get16(field) % 65535 == 0)
				continue;
			must_be(got, len, wanted, len, "packet", k);
		}
	}
}
END_TEST

/* --- what is no super-packet ---------------------------------------------- */

/* Refused, or each packet is right and there is not one too many. */
static bool split_or_refuse(const struct ttd_packet *packet, bool ethernet)
{
	struct ttd_packet exact = *packet;
	struct split s;
	uint8_t *to;
	uint32_t len;
	int n, k = 0;

	exact.data = copy(packet->data, packet->len);
	n = split_begin(&s, &exact, ethernet);
	if (n <= 0) {
		ck_assert_int_eq(n, -EBADMSG);
		ck_assert_uint_eq(split_len(&s), 0);
		ck_assert_uint_eq(split_next(&s, super_bytes), 0);
		free(exact.data);
		return false;
	}
	to = room(split_len(&s));
	while ((len = split_next(&s, to))) {
		const char *wrong = segment_wrong(to, len, ethernet);

		if (wrong) {
			say_shape();
			say_bytes("super-packet", exact.data, exact.len);
			say_bytes("packet", to, len);
			printf("gso_type %x gso_size %u csum_start %u + %u\n",
			       exact.gso_type, exact.gso_size,
			       exact.csum_start, exact.csum_offset);
			ck_abort_msg("packet %d has a wrong %s", k, wrong);
		}
		k++;
	}
	ck_assert_int_eq(k, n);
	free(to);
	free(exact.data);
	return true;
}

static void small_shape(void)
{
	do
		random_shape(&shape);
	while (shape.payload > 2000);
}

/* Its lengths and the begun checksum are right, whatever else is not. */
static void repair_super(void)
{
	static uint8_t repaired[SEGMENT_MAX];
	struct ttd_packet p = { .data = repaired };
	struct segment_place at;
	size_t ip = shape.ethernet ? 14 + shape.tags * 4u : 0;

	/* The IP header may be there, and what is behind it not. */
	if (!shape.v6 && super.len >= ip + IP4_HEADER)
		put16(super_bytes + ip + IP4_LENGTH, super.len - (uint32_t)ip);
	if (shape.v6 && super.len >= ip + IP6_HEADER)
		put16(super_bytes + ip + IP6_LENGTH,
		      super.len - (uint32_t)ip - IP6_HEADER);
	if (segment_find(super_bytes, super.len, shape.ethernet, &at))
		return;
	segment_join(&super, 1, shape.ethernet, &p);
	memcpy(super_bytes, repaired, super.len);
}

START_TEST(cut_off_anywhere)
{
	random_seed(seed() + 5);
	for (unsigned i = 0; i < SUPERS / 40; i++) {
		size_t header;

		small_shape();
		shape.payload %= 40;
		random_super(&shape, &super);
		header = super.len - shape.payload;
		while (super.len-- > 0) {
			ck_assert(!split_or_refuse(&super, shape.ethernet));
			repair_super();
			ck_assert(split_or_refuse(&super, shape.ethernet) ==
				  (super.len >= header));
		}
	}
}
END_TEST

START_TEST(the_checksum_anywhere)
{
	random_seed(seed() + 6);
	for (unsigned i = 0; i < 40; i++) {
		uint16_t start, offset;

		small_shape();
		shape.payload %= 40;
		random_super(&shape, &super);
		start = super.csum_start;
		offset = super.csum_offset;
		for (unsigned at = 0; at < super.len + 20; at++) {
			super.csum_start = (uint16_t)at;
			ck_assert(split_or_refuse(&super, shape.ethernet) ==
				  (at == start));
			super.csum_start = start;
			super.csum_offset = (uint16_t)at;
			ck_assert(split_or_refuse(&super, shape.ethernet) ==
				  (at == offset));
			super.csum_offset = offset;
		}
		super.csum_start = UINT16_MAX;
		ck_assert(!split_or_refuse(&super, shape.ethernet));
	}
}
END_TEST

START_TEST(a_type_that_it_is_not)
{
	random_seed(seed() + 7);
	for (unsigned i = 0; i < 8; i++) {
		shape = (struct random_shape){
			.v6 = i & 1, .tcp = i & 2, .ethernet = i & 4,
			.flags = RANDOM_FLAGS_PLAIN, .payload = 100,
			.gso_size = 30,
		};
		random_super(&shape, &super);
		for (unsigned type = 1; type < 256; type++) {
			unsigned wanted = !shape.tcp ? TTD_GSO_UDP_L4 :
					  shape.v6   ? TTD_GSO_TCPV6 :
						       TTD_GSO_TCPV4;
			bool is = type == wanted ||
				  (shape.tcp && type == (wanted | TTD_GSO_ECN));

			super.gso_type = (uint16_t)type;
			/* ECN of UDP means nothing; either way is right. */
			if (type == (TTD_GSO_UDP_L4 | TTD_GSO_ECN))
				continue;
			ck_assert_msg(split_or_refuse(&super, shape.ethernet) ==
				      is, "type %02x", type);
		}
		super.gso_type = (uint16_t)(!shape.tcp ? TTD_GSO_UDP_L4 :
					    shape.v6 ? TTD_GSO_TCPV6 :
						       TTD_GSO_TCPV4);
		super.gso_size = 0;
		ck_assert(!split_or_refuse(&super, shape.ethernet));
		super.gso_size = 30;
		ck_assert(split_or_refuse(&super, shape.ethernet));
		/* As what it is not: a TUN's on a TAP, and the other way. */
		split_or_refuse(&super, !shape.ethernet);
	}
}
END_TEST

/*
 * Where hardware has joined them there is no begun checksum, and what is there
 * is not looked at; the same packets come out.
 */
START_TEST(without_a_begun_checksum_it_is_made)
{
	static uint8_t wanted[4][256], got[256];
	struct split s;

	random_seed(seed() + 29);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t len[4];
		uint8_t *field;

		shape = (struct random_shape){
			.v6 = i & 1, .tcp = i & 2, .ethernet = i & 4,
			.flags = RANDOM_FLAGS_PLAIN, .payload = 100,
			.gso_size = 30,
		};
		random_super(&shape, &super);
		ck_assert_int_eq(split_begin(&s, &super, shape.ethernet), 4);
		for (unsigned k = 0; k < 4; k++)
			len[k] = split_next(&s, wanted[k]);
		field = (uint8_t *)super.data + super.csum_start +
			super.csum_offset;
		field[0] ^= 0x5a;
		super.flags = 0;
		super.csum_start = super.csum_offset = 0;
		ck_assert_int_eq(split_begin(&s, &super, shape.ethernet), 4);
		for (unsigned k = 0; k < 4; k++) {
			ck_assert_uint_eq(split_next(&s, got), len[k]);
			ck_assert_mem_eq(got, wanted[k], len[k]);
		}
		ck_assert_uint_eq(split_next(&s, got), 0);
	}
}
END_TEST

/* What stands behind IPv4 as one is none. */
START_TEST(extension_headers_are_of_ip6)
{
	static const uint8_t kinds[] = { 0, 43, 60 };

	random_seed(seed() + 23);
	for (unsigned i = 0; i < sizeof(kinds); i++) {
		shape = (struct random_shape){
			.tcp = true, .flags = RANDOM_FLAGS_PLAIN,
			.options = 2, .payload = 100, .gso_size = 30,
		};
		random_super(&shape, &super);
		ck_assert(split_or_refuse(&super, false));
		super_bytes[0] = 0x45;
		super_bytes[IP4_PROTOCOL] = kinds[i];
		super_bytes[IP4_HEADER] = INET_TCP;
		super_bytes[IP4_HEADER + 1] = 0;
		ck_assert(!split_or_refuse(&super, false));
	}
}
END_TEST

START_TEST(ip_headers_that_are_none)
{
	random_seed(seed() + 24);
	for (unsigned i = 0; i < 4; i++) {
		size_t ip = i & 1 ? 14 : 0;

		shape = (struct random_shape){
			.ethernet = i & 1, .v6 = i & 2, .tcp = true,
			.flags = RANDOM_FLAGS_PLAIN, .payload = 100,
			.gso_size = 30,
		};
		random_super(&shape, &super);
		ck_assert(split_or_refuse(&super, shape.ethernet));
		super_bytes[ip] ^= 0x10;		/* version 5 or 7 */
		ck_assert(!split_or_refuse(&super, shape.ethernet));
		super_bytes[ip] ^= 0x10;
		super_bytes[ip + (shape.v6 ? 5 : 3)]--;	/* a byte behind it */
		ck_assert(!split_or_refuse(&super, shape.ethernet));
		super_bytes[ip + (shape.v6 ? 5 : 3)]++;
		if (shape.ethernet) {			/* another type */
			put16(super_bytes + 12, shape.v6 ? 0x0800 : 0x86dd);
			ck_assert(!split_or_refuse(&super, true));
		} else if (!shape.v6) {			/* too short */
			super_bytes[0]--;
			super.csum_start = (uint16_t)(super.csum_start - 4);
			ck_assert(!split_or_refuse(&super, false));
		}
	}
}
END_TEST

START_TEST(three_tags_are_too_many)
{
	random_seed(seed() + 25);
	shape = (struct random_shape){
		.ethernet = true, .tags = 2, .tcp = true, .payload = 100,
		.flags = RANDOM_FLAGS_PLAIN, .gso_size = 30,
	};
	random_super(&shape, &super);
	ck_assert(split_or_refuse(&super, true));
	memmove(super_bytes + 16, super_bytes + 12, super.len - 12);
	super.len += 4;
	super.csum_start = (uint16_t)(super.csum_start + 4);
	ck_assert(!split_or_refuse(&super, true));
}
END_TEST

/* A byte of the headers or a field is another one, or there are less bytes. */
static void break_super(void)
{
	uint8_t *at = super_bytes + random_below(super.len < 120 ? super.len :
								   120);

	switch (random_below(8)) {
	case 0:
		super.len = random_below(super.len) + 1;
		break;
	case 1:
		super.csum_start = (uint16_t)random_below(super.len + 2);
		break;
	case 2:
		super.csum_offset = (uint16_t)random_below(40);
		break;
	case 3:
		super.gso_type = (uint16_t)random_below(8);
		break;
	case 4:
		super.gso_size = (uint16_t)random_below(3);
		break;
	case 5:
		*at ^= (uint8_t)(1 << random_below(8));
		break;
	default:
		random_fill(at, 1);
		break;
	}
}

START_TEST(broken_at_random)
{
	unsigned taken = 0;

	random_seed(seed() + 8);
	for (unsigned i = 0; i < BROKEN; i++) {
		if (i % 16 == 0) {
			small_shape();
			shape.payload %= 300;
		}
		random_super(&shape, &super);
		for (unsigned k = 1 + random_below(3); k > 0; k--)
			break_super();
		if (random_one_in(2))
			repair_super();
		segment_begin(super_bytes, super.len, shape.ethernet);
		taken += split_or_refuse(&super, shape.ethernet);
	}
	printf("offload: %u broken ones, %u of them still right\n", BROKEN,
	       taken);
	/* Else this says little. */
	ck_assert_uint_gt(taken, BROKEN / 20);
	ck_assert_uint_lt(taken, BROKEN - BROKEN / 20);
}
END_TEST

/* --- joining -------------------------------------------------------------- */

static struct ttd_packet list[PACKETS_MAX];
static unsigned n_list;

static void list_free(void)
{
	for (unsigned i = 0; i < n_list; i++)
		free(list[i].data);
	n_list = 0;
}

static void list_add(const uint8_t *bytes, size_t len)
{
	ck_assert_uint_lt(n_list, PACKETS_MAX);
	list[n_list++] = (struct ttd_packet){
		.data = copy(bytes, len), .len = (uint32_t)len,
	};
}

/* The super-packet's packets. */
static void list_split(void)
{
	static uint8_t packet[SEGMENT_MAX];
	struct split s;
	uint32_t len;

	ck_assert_int_gt(split_begin(&s, &super, shape.ethernet), 0);
	while (n_list < PACKETS_MAX && (len = split_next(&s, packet)))
		list_add(packet, len);
}

static void must_be_vnet(const struct ttd_packet *got,
			 const struct ttd_packet *wanted)
{
	ck_assert_uint_eq(got->len, wanted->len);
	ck_assert_uint_eq(got->flags, wanted->flags);
	ck_assert_uint_eq(got->gso_type, wanted->gso_type);
	ck_assert_uint_eq(got->gso_size, wanted->gso_size);
	ck_assert_uint_eq(got->hdr_len, wanted->hdr_len);
	ck_assert_uint_eq(got->csum_start, wanted->csum_start);
	ck_assert_uint_eq(got->csum_offset, wanted->csum_offset);
}

/* The bytes of a run, as who sends them gathers them. */
static uint32_t gather(const struct join *j, const struct ttd_packet *packets,
		       unsigned n, uint8_t *to)
{
	uint32_t len = j->header_len;

	memcpy(to, j->header, len);
	for (unsigned i = 0; i < n; i++) {
		uint32_t part = packets[i].len - j->header_len;

		memcpy(to + len, (uint8_t *)packets[i].data + j->header_len,
		       part);
		len += part;
	}
	return len;
}

/* Where fragments are not allowed it may be another one, of no meaning. */
static void new_id(uint8_t *was, const uint8_t *now, size_t ip)
{
	if (!(get16(was + ip + IP4_FRAGMENT) & IP4_DF))
		return;
	memcpy(was + ip + IP4_ID, now + ip + IP4_ID, 2);
	put16(was + ip + IP4_CHECKSUM, 0);
	segment_finish(was + ip, IP4_HEADER, 0, IP4_CHECKSUM);
}

/* What is joined and split again is what it was. */
static void split_again(const struct ttd_packet *joined, bool ethernet,
			const struct ttd_packet *packets, unsigned n)
{
	static uint8_t packet[SEGMENT_MAX];
	struct split s;

	ck_assert_int_eq(split_begin(&s, joined, ethernet), (int)n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *was = copy(packets[i].data, packets[i].len);
		uint32_t len = split_next(&s, packet);

		if (!s.at.v6)
			new_id(was, packet, s.at.ip);
		must_be(packet, len, was, packets[i].len,
			"packet that was joined", i);
		free(was);
	}
}

/* One run, beside the reference's.  How many packets it has. */
static unsigned compare_run(const struct ttd_packet *packets, unsigned n,
			    bool udp)
{
	static uint8_t bytes[SEGMENT_MAX], wanted_bytes[SEGMENT_MAX];
	struct ttd_packet wanted = { .data = wanted_bytes }, got;
	struct join j, was;
	unsigned run;

	memset(&j, GUARD, sizeof(j));
	was = j;
	run = join_run(packets, n, shape.ethernet, udp, &j);
	if (run != segment_run(packets, n, shape.ethernet, udp)) {
		say_shape();
		for (unsigned i = 0; i < n && i <= run; i++)
			say_bytes("packet", packets[i].data, packets[i].len);
		ck_abort_msg("a run of %u, not of %u", run,
			     segment_run(packets, n, shape.ethernet, udp));
	}
	if (run == 1) {
		ck_assert_mem_eq(&j, &was, sizeof(j));
		return run;
	}
	segment_join(packets, run, shape.ethernet, &wanted);
	ck_assert_uint_le(j.header_len, JOIN_HEADER_MAX);
	got = j.super;
	got.data = bytes;
	ck_assert_ptr_eq(j.super.data, j.header);
	must_be(bytes, gather(&j, packets, run, bytes), wanted_bytes,
		wanted.len, "super-packet of", run);
	must_be_vnet(&got, &wanted);
	split_again(&got, shape.ethernet, packets, run);
	return run;
}

/* All runs of the list.  How many there are. */
static unsigned compare_list(bool udp)
{
	unsigned runs = 0;

	for (unsigned at = 0; at < n_list; runs++)
		at += compare_run(list + at, n_list - at, udp);
	return runs;
}

START_TEST(split_and_joined_is_what_it_was)
{
	unsigned again = 0;

	random_seed(seed() + 9);
	for (unsigned i = 0; i < SUPERS; i++) {
		unsigned n;

		random_shape(&shape);
		if (random_one_in(2))
			shape.flags = RANDOM_FLAGS_PLAIN;
		if (shape.payload / shape.gso_size >= PACKETS_MAX)
			shape.gso_size = 1000;
		random_super(&shape, &super);
		list_split();
		n = compare_run(list, n_list, true);
		if (n == n_list && n > 1) {
			struct join j;
			uint8_t *bytes = copy(super_bytes, super.len);

			join_run(list, n, shape.ethernet, true, &j);
			must_be_vnet(&j.super, &super);
			gather(&j, list, n, bytes);
			must_be(bytes, j.super.len, super_bytes, super.len,
				"super-packet", i);
			free(bytes);
			again++;
		}
		list_free();
	}
	printf("offload: %u super-packets were made again\n", again);
	ck_assert_uint_gt(again, SUPERS / 4);
}
END_TEST

/* A packet of the list is another one; mostly right again afterwards. */
static void change_one(void)
{
	struct ttd_packet *p = &list[random_below(n_list)];
	uint8_t *bytes = p->data;
	uint32_t at = random_below(p->len < 130 ? p->len : 130);
	uint32_t shorter = random_below(p->len) + 1;

	switch (random_below(7)) {
	case 0:		/* as it is, with wrong lengths */
		p->len = random_one_in(2) ? p->len - 1 : shorter;
		p->data = copy(bytes, p->len);
		free(bytes);
		break;
	case 1:
		p->len = random_one_in(2) ? p->len - 1 : shorter;
		p->data = copy(bytes, p->len);
		free(bytes);
		segment_repair(p, shape.ethernet);
		break;
	case 2:
		bytes[at] ^= (uint8_t)(1 << random_below(8));
		break;
	case 3:
		if (p->len > 1)
			put16(bytes + p->len - 2, 0);
		segment_repair(p, shape.ethernet);
		break;
	default:
		bytes[at] ^= (uint8_t)(1 << random_below(8));
		segment_repair(p, shape.ethernet);
		break;
	}
}

static void swap_two(void)
{
	unsigned a = random_below(n_list), b = random_below(n_list);
	struct ttd_packet was = list[a];

	list[a] = list[b];
	list[b] = was;
}

START_TEST(runs_are_the_reference_s)
{
	size_t packets = 0, runs = 0;

	random_seed(seed() + 10);
	for (unsigned i = 0; i < RUNS; i++) {
		random_shape(&shape);
		if (!random_one_in(4))
			shape.options = shape.extensions = 0;
		if (!random_one_in(3))
			shape.flags = RANDOM_FLAGS_PLAIN;
		shape.gso_size = (uint16_t)(1 + random_below(60));
		shape.payload = 1 + random_below(20) * random_below(60);
		if (shape.payload / shape.gso_size >= PACKETS_MAX / 8)
			shape.gso_size = 60;
		random_super(&shape, &super);
		list_split();
		if (random_one_in(4)) {		/* what follows the flow */
			random_super(&shape, &super);
			list_split();
		}
		for (unsigned k = random_below(3); k > 0; k--)
			change_one();
		if (random_one_in(8))
			swap_two();
		packets += n_list;
		runs += compare_list(!random_one_in(8));
		list_free();
	}
	printf("offload: %zu packets in %zu runs, no difference\n", packets,
	       runs);
	ck_assert_uint_lt(runs, packets * 3 / 4);
}
END_TEST

/* --- what is not joined: one change each ---------------------------------- */

struct change {
	const char *what;
	enum { ALL, V4, V6, V4_NO_DF } ip;
	enum { ANY, TCP_ONLY, UDP_ONLY } l4;
	enum { FROM_ETHER, FROM_IP, FROM_L4, FROM_END } from;
	int at;
	uint8_t xor;
	bool as_it_is;		/* no checksum is made right again */
};

static const struct change changes[] = {
	{ "destination MAC", ALL, ANY, FROM_ETHER, 0, 1, false },
	{ "destination MAC's end", ALL, ANY, FROM_ETHER, 5, 0x80, false },
	{ "source MAC", ALL, ANY, FROM_ETHER, 6, 1, false },
	{ "source MAC's end", ALL, ANY, FROM_ETHER, 11, 2, false },
	{ "VLAN priority", ALL, ANY, FROM_ETHER, 14, 0x20, false },
	{ "VLAN", ALL, ANY, FROM_ETHER, 15, 1, false },
	{ "inner VLAN", ALL, ANY, FROM_ETHER, 19, 1, false },
	{ "version", ALL, ANY, FROM_IP, 0, 0x20, true },
	{ "header length", V4, ANY, FROM_IP, 0, 1, true },
	{ "TOS", V4, ANY, FROM_IP, 1, 4, false },
	{ "ECN", V4, ANY, FROM_IP, 1, 3, false },
	{ "length", V4, ANY, FROM_IP, 3, 1, true },
	{ "length's first byte", V4, ANY, FROM_IP, 2, 1, true },
	{ "ID", V4_NO_DF, ANY, FROM_IP, 5, 8, false },
	{ "ID's first byte", V4_NO_DF, ANY, FROM_IP, 4, 1, false },
	{ "DF", V4, ANY, FROM_IP, 6, 0x40, false },
	{ "reserved bit", V4, ANY, FROM_IP, 6, 0x80, true },
	{ "more fragments", V4, ANY, FROM_IP, 6, 0x20, true },
	{ "fragment offset", V4, ANY, FROM_IP, 7, 1, true },
	{ "fragment offset's end", V4, ANY, FROM_IP, 6, 0x10, true },
	{ "TTL", V4, ANY, FROM_IP, 8, 1, false },
	{ "protocol", V4, ANY, FROM_IP, 9, 1, true },
	{ "IPv4 checksum", V4, ANY, FROM_IP, 10, 0x80, true },
	{ "IPv4 checksum's end", V4, ANY, FROM_IP, 11, 1, true },
	{ "source", V4, ANY, FROM_IP, 12, 1, false },
	{ "source's end", V4, ANY, FROM_IP, 15, 1, false },
	{ "destination", V4, ANY, FROM_IP, 16, 1, false },
	{ "destination's end", V4, ANY, FROM_IP, 19, 1, false },
	{ "traffic class", V6, ANY, FROM_IP, 0, 1, false },
	{ "ECN", V6, ANY, FROM_IP, 1, 0x10, false },
	{ "flow label", V6, ANY, FROM_IP, 1, 1, false },
	{ "flow label's end", V6, ANY, FROM_IP, 3, 1, false },
	{ "length", V6, ANY, FROM_IP, 5, 1, true },
	{ "length's first byte", V6, ANY, FROM_IP, 4, 1, true },
	{ "next header", V6, ANY, FROM_IP, 6, 0x10, true },
	{ "hop limit", V6, ANY, FROM_IP, 7, 1, false },
	{ "source", V6, ANY, FROM_IP, 8, 1, false },
	{ "source's end", V6, ANY, FROM_IP, 23, 1, false },
	{ "destination", V6, ANY, FROM_IP, 24, 1, false },
	{ "destination's end", V6, ANY, FROM_IP, 39, 1, false },
	{ "source port", ALL, ANY, FROM_L4, 0, 1, false },
	{ "source port's end", ALL, ANY, FROM_L4, 1, 1, false },
	{ "destination port", ALL, ANY, FROM_L4, 2, 1, false },
	{ "destination port's end", ALL, ANY, FROM_L4, 3, 1, false },
	{ "sequence", ALL, TCP_ONLY, FROM_L4, 7, 1, false },
	{ "sequence's first byte", ALL, TCP_ONLY, FROM_L4, 4, 0x80, false },
	{ "acknowledgement", ALL, TCP_ONLY, FROM_L4, 11, 1, false },
	{ "acknowledgement's first byte", ALL, TCP_ONLY, FROM_L4, 8, 1, false },
	{ "offset", ALL, TCP_ONLY, FROM_L4, 12, 0x10, false },
	{ "reserved bits", ALL, TCP_ONLY, FROM_L4, 12, 2, false },
	{ "AE", ALL, TCP_ONLY, FROM_L4, 12, 1, false },
	{ "SYN", ALL, TCP_ONLY, FROM_L4, 13, 0x02, false },
	{ "RST", ALL, TCP_ONLY, FROM_L4, 13, 0x04, false },
	{ "ACK", ALL, TCP_ONLY, FROM_L4, 13, 0x10, false },
	{ "URG", ALL, TCP_ONLY, FROM_L4, 13, 0x20, false },
	{ "ECE", ALL, TCP_ONLY, FROM_L4, 13, 0x40, false },
	{ "CWR", ALL, TCP_ONLY, FROM_L4, 13, 0x80, false },
	{ "FIN", ALL, TCP_ONLY, FROM_L4, 13, 0x01, false },
	{ "window", ALL, TCP_ONLY, FROM_L4, 14, 1, false },
	{ "window's end", ALL, TCP_ONLY, FROM_L4, 15, 1, false },
	{ "TCP checksum", ALL, TCP_ONLY, FROM_L4, 16, 1, true },
	{ "TCP checksum's end", ALL, TCP_ONLY, FROM_L4, 17, 0x80, true },
	{ "urgent pointer", ALL, TCP_ONLY, FROM_L4, 18, 1, false },
	{ "urgent pointer's end", ALL, TCP_ONLY, FROM_L4, 19, 1, false },
	{ "options", ALL, TCP_ONLY, FROM_L4, 20, 1, false },
	{ "options' end", ALL, TCP_ONLY, FROM_L4, 31, 1, false },
	{ "UDP length", ALL, UDP_ONLY, FROM_L4, 5, 1, true },
	{ "UDP length's first byte", ALL, UDP_ONLY, FROM_L4, 4, 1, true },
	{ "UDP checksum", ALL, UDP_ONLY, FROM_L4, 6, 1, true },
	{ "UDP checksum's end", ALL, UDP_ONLY, FROM_L4, 7, 0x80, true },
	{ "payload", ALL, ANY, FROM_END, -1, 1, true },
	{ "payload's begin", ALL, ANY, FROM_END, -200, 0x80, true },
};

/* Four packets of one run, with or without a field. */
static void run_of_four(unsigned i)
{
	shape = (struct random_shape){
		.ethernet = i & 1, .v6 = i & 2, .tcp = i & 4, .tags = i & 1 ? 2
									    : 0,
		.tcp_options = 3, .flags = RANDOM_FLAGS_PLAIN, .payload = 800,
		.gso_size = 200,
	};
	random_super(&shape, &super);
	if (!shape.v6)
		put16(super_bytes + super.csum_start - 20 + IP4_FRAGMENT,
		      i & 8 ? IP4_DF : 0);
	list_free();
	list_split();
	ck_assert_uint_eq(compare_run(list, n_list, true), n_list);
}

static bool applies(const struct change *c, bool df)
{
	return (c->from != FROM_ETHER || shape.ethernet) &&
	       (c->l4 == ANY || (c->l4 == TCP_ONLY) == shape.tcp) &&
	       (c->ip == ALL || (c->ip == V6) == shape.v6) &&
	       (c->ip != V4_NO_DF || !df);
}

/* In packet k; how long the run is then. */
static unsigned run_with(const struct change *c, unsigned k)
{
	size_t l4 = super.csum_start, ip = l4 - (shape.v6 ? 40 : 20);
	struct ttd_packet *p = &list[k];
	uint8_t *from = p->data;

	from += c->from == FROM_ETHER ? 0 :
		c->from == FROM_IP    ? ip :
		c->from == FROM_L4    ? l4 :
					p->len;
	from[c->at] ^= c->xor;
	if (!c->as_it_is)
		segment_repair(p, shape.ethernet);
	return compare_run(list, n_list, true);
}

static void try_change(const struct change *c, unsigned i)
{
	for (unsigned k = 0; k < CHECK_LATER; k++) {
		unsigned run, wanted = k ? k : 1;

		run_of_four(i);
		if (!applies(c, i & 8))
			return;
		run = run_with(c, k);
		ck_assert_msg(run == wanted, "%s of packet %u: a run of %u",
			      c->what, k, run);
	}
}

START_TEST(no_change_goes_unseen)
{
	random_seed(seed() + 11);
	for (size_t c = 0; c < sizeof(changes) / sizeof(*changes); c++)
		for (unsigned i = 0; i < 16; i++)
			try_change(&changes[c], i);
	list_free();
}
END_TEST

static void cut(unsigned k, uint32_t len)
{
	list[k].len = len;
	segment_repair(&list[k], shape.ethernet);
}

START_TEST(sizes_of_a_run)
{
	random_seed(seed() + 12);
	for (unsigned i = 0; i < 16; i++) {
		run_of_four(i);		/* a shorter one is the last */
		cut(1, list[1].len - 1);
		ck_assert_uint_eq(compare_run(list, n_list, true), 2);
		run_of_four(i);		/* a longer one is of the next run */
		cut(0, list[0].len - 1);
		ck_assert_uint_eq(compare_run(list, n_list, true), 1);
		run_of_four(i);		/* what carries nothing is alone */
		cut(1, list[1].len - 200);
		ck_assert_uint_eq(compare_run(list, n_list, true), 1);
		ck_assert_uint_eq(compare_run(list + 1, 3, true), 1);
		run_of_four(i);		/* a byte behind what IP says */
		list[2].len--;
		ck_assert_uint_eq(compare_run(list, n_list, true), 2);
		run_of_four(i);		/* not there */
		list[1].len = 0;
		ck_assert_uint_eq(compare_run(list, n_list, true), 1);
		ck_assert_uint_eq(compare_run(list + 1, 3, true), 1);
	}
	list_free();
}
END_TEST

/* In each of them, so that they do not differ. */
START_TEST(flags_that_are_not_joined)
{
	static const uint8_t other[] = { 0x01, 0x02, 0x04, 0x20, 0x80, 0x10 };

	random_seed(seed() + 26);
	for (unsigned i = 0; i < 16 * sizeof(other); i++) {
		run_of_four(i % 16);
		for (unsigned k = 0; shape.tcp && k < n_list; k++) {
			uint8_t *tcp = list[k].data;

			tcp[super.csum_start + TCP_FLAGS] ^= other[i / 16];
			segment_repair(&list[k], shape.ethernet);
		}
		if (shape.tcp)
			ck_assert_uint_eq(compare_list(true), n_list);
	}
	list_free();
}
END_TEST

/* In each of them, with a checksum that is right for it. */
static void change_all(size_t at, uint8_t xor, uint8_t protocol)
{
	struct inet_place place;

	for (unsigned k = 0; k < n_list; k++) {
		struct ttd_packet *p = &list[k];
		uint8_t *bytes = p->data, *l4 = bytes + super.csum_start;
		uint32_t len = p->len - super.csum_start;

		ck_assert(inet_find(bytes, p->len, shape.ethernet, &place));
		bytes[at] ^= xor;
		put16(l4 + super.csum_offset, 0);
		put16(l4 + super.csum_offset, 0xffffu - inet_fold(inet_sum(l4,
			len, inet_pseudo(bytes, &place, protocol, len))));
	}
}

START_TEST(what_is_no_udp_is_not_joined)
{
	random_seed(seed() + 27);
	run_of_four(2);			/* IPv6 on a TUN */
	change_all(IP6_NEXT, 1, INET_UDP ^ 1);
	ck_assert_uint_eq(compare_list(true), n_list);
	run_of_four(2);			/* UDP says another length */
	change_all(IP6_HEADER + UDP_LENGTH + 1, 1, INET_UDP);
	ck_assert_uint_eq(compare_list(true), n_list);
	run_of_four(2);			/* IPv6 says another one */
	for (unsigned k = 0; k < n_list; k++)
		((uint8_t *)list[k].data)[IP6_LENGTH + 1]--;
	ck_assert_uint_eq(compare_list(true), n_list);
	list_free();
}
END_TEST

START_TEST(a_push_ends_a_run)
{
	static const struct change push = {
		.from = FROM_L4, .at = TCP_FLAGS, .xor = TCP_PSH,
	};

	random_seed(seed() + 13);
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned k = 0; (i & 4) && k < CHECK_LATER; k++) {
			run_of_four(i);
			ck_assert_uint_eq(run_with(&push, k), k + 1);
		}
	}
	list_free();
}
END_TEST

/* RFC 6864: of what is not to be fragmented the ID means nothing. */
START_TEST(ids_count_where_there_may_be_fragments)
{
	static const struct change other = {
		.from = FROM_IP, .at = IP4_ID + 1, .xor = 8,
	};

	random_seed(seed() + 21);
	for (unsigned i = 0; i < 16; i++) {
		run_of_four(i);
		if (shape.v6)
			continue;
		ck_assert_uint_eq(run_with(&other, 2), i & 8 ? 4 : 2);
	}
	list_free();
}
END_TEST

START_TEST(what_is_not_finished_is_not_joined)
{
	random_seed(seed() + 14);
	for (unsigned i = 0; i < 16; i++) {
		run_of_four(i);
		list[2].flags = TTD_PKT_HEADROOM;
		ck_assert_uint_eq(compare_run(list, n_list, true), 4);
		list[2].flags = TTD_PKT_NEEDS_CSUM;
		ck_assert_uint_eq(compare_run(list, n_list, true), 2);
		ck_assert_uint_eq(compare_run(list + 2, 2, true), 1);
		list[2].flags = 0;
		list[2].gso_type = super.gso_type;
		ck_assert_uint_eq(compare_run(list, n_list, true), 2);
		ck_assert_uint_eq(compare_run(list + 2, 2, true), 1);
		list[2].gso_type = 0;
		/* UDP that nobody takes. */
		ck_assert_uint_eq(compare_run(list, n_list, false),
				  shape.tcp ? 4 : 1);
		ck_assert_uint_eq(compare_run(list, 1, true), 1);
	}
	list_free();
}
END_TEST

/* IPv4's 0 says that there is no checksum; nobody could make it 0 again. */
START_TEST(udp_without_a_checksum_is_not_joined)
{
	random_seed(seed() + 15);
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned k = 0; !(i & 4) && k < CHECK_LATER; k++) {
			run_of_four(i);
			put16((uint8_t *)list[k].data + super.csum_start +
			      UDP_CHECKSUM, 0);
			ck_assert_uint_eq(compare_run(list, n_list, true),
					  k ? k : 1);
		}
	}
	list_free();
}
END_TEST

START_TEST(options_and_extensions_are_not_joined)
{
	random_seed(seed() + 16);
	for (unsigned i = 0; i < 16; i++) {
		shape = (struct random_shape){
			.ethernet = i & 1, .v6 = i & 2, .tcp = i & 4,
			.options = i & 2 ? 0 : 1 + i / 2,
			.extensions = i & 2 ? 1 + i / 8 : 0,
			.flags = RANDOM_FLAGS_PLAIN, .payload = 800,
			.gso_size = 200,
		};
		random_super(&shape, &super);
		list_split();
		ck_assert_uint_eq(compare_list(true), 4);
		list_free();
	}
}
END_TEST

/* A packet of IP is 65535 bytes long and no longer; Ethernet is not counted. */
START_TEST(as_long_as_it_may_be)
{
	random_seed(seed() + 17);
	for (unsigned i = 0; i < 8; i++) {
		struct ttd_packet longer;

		shape = (struct random_shape){
			.ethernet = i & 1, .v6 = i & 2, .tcp = i & 4,
			.tags = i & 1 ? 2 : 0, .flags = RANDOM_FLAGS_PLAIN,
			.gso_size = 30000,
		};
		shape.payload = random_payload_max(&shape);
		random_super(&shape, &super);
		list_split();
		ck_assert_uint_eq(n_list, 3);
		ck_assert_uint_eq(compare_run(list, n_list, true), 3);
		longer = list[2];
		longer.len++;
		longer.data = room(longer.len);
		memcpy(longer.data, list[2].data, list[2].len);
		((uint8_t *)longer.data)[list[2].len] = 0;
		segment_repair(&longer, shape.ethernet);
		free(list[2].data);
		list[2] = longer;
		ck_assert_uint_eq(compare_run(list, n_list, true), 2);
		list_free();
	}
}
END_TEST

/* --- finishing ------------------------------------------------------------ */

/* Where it is, and elsewhere: no difference but where. */
static int finish(struct ttd_packet *p, uint32_t len, unsigned start,
		  unsigned offset)
{
	struct ttd_packet other = {
		.data = copy(super_bytes, len), .len = len,
		.flags = TTD_PKT_NEEDS_CSUM, .csum_start = (uint16_t)start,
		.csum_offset = (uint16_t)offset,
	};
	uint8_t *from = other.data, *to = room(len);
	int r;

	*p = other;
	p->data = copy(super_bytes, len);
	r = split_finish(p, p->data);
	ck_assert_int_eq(split_finish(&other, to), r);
	ck_assert_ptr_eq(other.data, r ? from : to);
	must_be(other.data, len, p->data, len, "elsewhere", len);
	ck_assert_uint_eq(other.flags, p->flags);
	must_be(from, len, super_bytes, len, "from", len);
	free(from);
	free(to);
	return r;
}

START_TEST(checksums_are_finished)
{
	random_seed(seed() + 18);
	for (unsigned i = 0; i < SUPERS; i++) {
		struct ttd_packet p;
		const char *wrong;

		small_shape();
		random_super(&shape, &super);
		ck_assert_int_eq(finish(&p, super.len, super.csum_start,
					super.csum_offset), 0);
		wrong = segment_wrong(p.data, p.len, shape.ethernet);
		ck_assert_msg(!wrong, "%s", wrong);
		/* What it was, but for the checksum. */
		memcpy((uint8_t *)p.data + super.csum_start +
		       super.csum_offset, super_bytes + super.csum_start +
		       super.csum_offset, 2);
		must_be(p.data, p.len, super_bytes, super.len, "finished", i);
		free(p.data);
	}
}
END_TEST

START_TEST(finished_to_nothing_is_all_ones)
{
	struct ttd_packet p;
	uint8_t *end;

	random_seed(seed() + 19);
	shape = (struct random_shape){ .payload = 10, .gso_size = 10 };
	random_super(&shape, &super);
	end = super_bytes + super.len - 2;
	put16(end, 0);
	ck_assert_int_eq(finish(&p, super.len, super.csum_start,
				UDP_CHECKSUM), 0);
	put16(end, get16((uint8_t *)p.data + super.csum_start + UDP_CHECKSUM));
	free(p.data);
	ck_assert_int_eq(finish(&p, super.len, super.csum_start,
				UDP_CHECKSUM), 0);
	ck_assert_uint_eq(get16((uint8_t *)p.data + super.csum_start +
				UDP_CHECKSUM), 0xffff);
	ck_assert_ptr_null(segment_wrong(p.data, p.len, false));
	free(p.data);
}
END_TEST

START_TEST(not_asked_for_is_not_finished)
{
	struct ttd_packet p = { .data = super_bytes, .len = 100 };
	uint8_t *to;

	random_fill(super_bytes, 100);
	p.data = copy(super_bytes, 100);
	ck_assert_int_eq(split_finish(&p, p.data), 0);
	must_be(p.data, 100, super_bytes, 100, "packet", 0);
	p.csum_start = 4;
	p.flags = TTD_PKT_HEADROOM;
	ck_assert_int_eq(split_finish(&p, p.data), 0);
	must_be(p.data, 100, super_bytes, 100, "packet", 1);
	free(p.data);
	p.data = super_bytes;
	to = room(100);
	ck_assert_int_eq(split_finish(&p, to), 0);
	ck_assert_ptr_eq(p.data, to);
	must_be(to, 100, super_bytes, 100, "packet", 2);
	free(to);
}
END_TEST

/* In a packet of any length, the checksum anywhere in it and around it. */
START_TEST(finished_anywhere_but_outside)
{
	static uint8_t wanted[64];

	random_seed(seed() + 20);
	for (uint32_t len = 0; len < 24; len++) {
		for (unsigned i = 0; i < 28 * 28; i++) {
			unsigned start = i / 28, offset = i % 28;
			bool inside = start + offset + 2 <= len;
			struct ttd_packet p;

			start += i % 5 == 0 && !inside ? 65500 : 0;
			random_fill(super_bytes, len);
			memcpy(wanted, super_bytes, len);
			ck_assert_int_eq(finish(&p, len, start, offset),
					 inside ? 0 : -EBADMSG);
			if (inside) {
				segment_finish(wanted, len, start, offset);
				if (offset == UDP_CHECKSUM &&
				    get16(wanted + start + offset) == 0)
					put16(wanted + start + offset, 0xffff);
			}
			must_be(p.data, len, wanted, len, "finished", i);
			free(p.data);
		}
	}
}
END_TEST

static void add_split(Suite *s)
{
	TCase *c = tcase_create("split");

	tcase_add_test(c, packets_are_the_reference_s);
	tcase_add_test(c, every_header_and_every_end);
	tcase_add_test(c, every_flag_of_tcp);
	tcase_add_test(c, nothing_comes_out_of_nothing);
	tcase_add_test(c, numbers_go_around);
	tcase_add_test(c, a_checksum_of_nothing_is_not_zero);
	tcase_add_test(c, the_sum_that_was_begun_counts);
	tcase_add_test(c, cut_off_anywhere);
	tcase_add_test(c, the_checksum_anywhere);
	tcase_add_test(c, a_type_that_it_is_not);
	tcase_add_test(c, extension_headers_are_of_ip6);
	tcase_add_test(c, ip_headers_that_are_none);
	tcase_add_test(c, three_tags_are_too_many);
	tcase_add_test(c, broken_at_random);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
}

static void add_join(Suite *s)
{
	TCase *c = tcase_create("join");

	tcase_add_test(c, split_and_joined_is_what_it_was);
	tcase_add_test(c, runs_are_the_reference_s);
	tcase_add_test(c, no_change_goes_unseen);
	tcase_add_test(c, sizes_of_a_run);
	tcase_add_test(c, flags_that_are_not_joined);
	tcase_add_test(c, without_a_begun_checksum_it_is_made);
	tcase_add_test(c, what_is_no_udp_is_not_joined);
	tcase_add_test(c, a_push_ends_a_run);
	tcase_add_test(c, ids_count_where_there_may_be_fragments);
	tcase_add_test(c, what_is_not_finished_is_not_joined);
	tcase_add_test(c, udp_without_a_checksum_is_not_joined);
	tcase_add_test(c, options_and_extensions_are_not_joined);
	tcase_add_test(c, as_long_as_it_may_be);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
}

static void add_finish(Suite *s)
{
	TCase *c = tcase_create("finish");

	tcase_add_test(c, checksums_are_finished);
	tcase_add_test(c, finished_to_nothing_is_all_ones);
	tcase_add_test(c, not_asked_for_is_not_finished);
	tcase_add_test(c, finished_anywhere_but_outside);
	tcase_set_timeout(c, 30);
	suite_add_tcase(s, c);
}

int main(void)
{
	SRunner *r;
	Suite *s = suite_create("offload");
	int failed;

	add_split(s);
	add_join(s);
	add_finish(s);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
