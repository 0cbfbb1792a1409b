/*
 * The codec, frames on a socket, and prefixes.
 *
 * What is tested of messages is made from messages.def, as the codec is, but
 * by other macros: random values, comparison, and a second encoder that knows
 * no limits and remembers where each field began.  A message that is added
 * there is tested here.  Two frames are written out by hand below, so that
 * both encoders cannot drift together.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../proto/frame.h"
#include "../../proto/prefix.h"
#include "../../proto/wire.h"

/* ck_assert() writes a note each time it is passed: too slow for hot loops. */
#define must(cond) \
	do { \
		if (!(cond)) \
			ck_abort_msg("%s", #cond); \
	} while (0)

/* xorshift64: the same numbers in every run. */
static uint64_t rnd(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x >> 11;
}

static size_t rnd_below(size_t n)
{
	return (size_t)(rnd() % n);
}

/*
 * Values for every message.
 */
enum { RANDOM, EMPTY, FULL, N_FLAVOURS };
static int flavour;

/* How many of at most max, as the flavour has it; often 0 or max. */
static size_t some(size_t max)
{
	if (flavour == EMPTY || (flavour == RANDOM && rnd_below(8) == 0))
		return 0;
	if (flavour == FULL || rnd_below(8) == 0)
		return max;
	return rnd_below(max + 1);
}

static void fill_bytes(void *dst, size_t n)
{
	uint8_t *p = dst;

	while (n-- > 0)
		*p++ = flavour == EMPTY ? 0 : (uint8_t)rnd();
}

static void fill_string(char *dst, size_t max)
{
	size_t n = some(max);

	for (size_t i = 0; i < n; i++)
		dst[i] = (char)(1 + rnd_below(255));
	dst[n] = '\0';
}

static void fill_prefix(struct prefix *p)
{
	static const uint8_t families[] = { 0, 4, 6 };

	memset(p, 0, sizeof(*p));
	p->family = families[some(2)];
	if (p->family == 0)
		return;
	p->len = (uint8_t)rnd_below(prefix_bits(p->family) + 1);
	fill_bytes(p->ip, prefix_bytes(p->family));
}

#define FILLER(name) \
	static void fill_##name(struct wire_##name *v) { (void)v;
#define RECORD(name, doc)		FILLER(name)
#define END_RECORD(name)		}
#define MESSAGE(N, name, num, from, may, fds, doc) FILLER(name)
#define END_MESSAGE(name)		}
#define U8(m, f, doc)			fill_bytes(&v->f, 1);
#define U16(m, f, doc)			fill_bytes(&v->f, 2);
#define U32(m, f, doc)			fill_bytes(&v->f, 4);
#define U64(m, f, doc)			fill_bytes(&v->f, 8);
#define BYTES(m, f, n, doc)		fill_bytes(v->f, n);
#define STRING(m, f, max, doc)		fill_string(v->f, max);
#define PREFIX(m, f, doc)		fill_prefix(&v->f);
#define LIST(m, r, f, max, doc) \
	v->n_##f = (uint16_t)some(max); \
	for (size_t i = 0; i < v->n_##f; i++) \
		fill_##r(&v->f[i]);
#include "../../proto/messages.def"

#define SAMER(name) \
	static bool same_##name(const struct wire_##name *a, \
				const struct wire_##name *b) \
	{ bool same = true; (void)a; (void)b;
#define RECORD(name, doc)		SAMER(name)
#define END_RECORD(name)		return same; }
#define MESSAGE(N, name, num, from, may, fds, doc) SAMER(name)
#define END_MESSAGE(name)		return same; }
#define U8(m, f, doc)			same &= a->f == b->f;
#define U16(m, f, doc)			same &= a->f == b->f;
#define U32(m, f, doc)			same &= a->f == b->f;
#define U64(m, f, doc)			same &= a->f == b->f;
#define BYTES(m, f, n, doc)		same &= memcmp(a->f, b->f, n) == 0;
#define STRING(m, f, max, doc)		same &= strcmp(a->f, b->f) == 0;
#define PREFIX(m, f, doc)	same &= memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
#define LIST(m, r, f, max, doc) \
	same &= a->n_##f == b->n_##f; \
	for (size_t i = 0; same && i < a->n_##f; i++) \
		same &= same_##r(&a->f[i], &b->f[i]);
#include "../../proto/messages.def"

/*
 * Puts its k-th fault into a value of flavour FULL: something that the encoder
 * has to refuse.  False when there is none so many.
 */
#define SPOILER(name) \
	static bool spoil_##name(struct wire_##name *v, unsigned *k) \
	{ (void)v; (void)k;
#define THE_KTH				if ((*k)-- == 0)
#define RECORD(name, doc)		SPOILER(name)
#define END_RECORD(name)		return false; }
#define MESSAGE(N, name, num, from, may, fds, doc) SPOILER(name)
#define END_MESSAGE(name)		return false; }
#define STRING(m, f, max, doc) \
	THE_KTH return memset(v->f, 'x', (max) + 1), true;
#define PREFIX(m, f, doc) \
	THE_KTH return v->f.family = 5, true; \
	THE_KTH return v->f.len = 129, true; \
	THE_KTH return v->f.family = 4, v->f.len = 33, true;
#define LIST(m, r, f, max, doc) \
	THE_KTH return v->n_##f = (max) + 1, true; \
	if (spoil_##r(&v->f[(max) - 1], k)) \
		return true;
#include "../../proto/messages.def"
#undef THE_KTH

/*
 * The other encoder.
 */
struct spot {
	const char *field;	/* as wire_fault names it */
	enum { NUMBER, OCTETS, TEXT, ADDRESS, COUNT } kind;
	size_t at, max;
};
static struct {
	uint8_t bytes[WIRE_FRAME_MAX + 1];	/* one more, for trailing */
	size_t len;
	struct spot spots[2048];
	size_t n_spots;
} raw;

static void raw_bytes(const void *src, size_t n)
{
	must(raw.len + n <= WIRE_FRAME_MAX);
	memcpy(raw.bytes + raw.len, src, n);
	raw.len += n;
}

static void raw_uint(uint64_t v, size_t n)
{
	for (; n > 0; n--, v /= 256) {
		uint8_t low = (uint8_t)v;

		raw_bytes(&low, 1);
	}
}

static void raw_prefix(const struct prefix *p)
{
	raw_bytes(&p->family, 1);
	if (p->family) {
		raw_bytes(&p->len, 1);
		raw_bytes(p->ip, p->family == 4 ? 4 : 16);
	}
}

static void raw_spot(struct spot spot)
{
	must(raw.n_spots < sizeof(raw.spots) / sizeof(spot));
	spot.at = raw.len;
	raw.spots[raw.n_spots++] = spot;
}

static void raw_set_length(size_t len)
{
	raw.bytes[0] = (uint8_t)len;
	raw.bytes[1] = (uint8_t)(len >> 8);
	raw.bytes[2] = raw.bytes[3] = 0;
}

#define SPOT(m, f, k, max) \
	raw_spot((struct spot){ #m "." #f, k, 0, max });
#define ENCODER(name) \
	static void raw_##name(const struct wire_##name *v) { (void)v;
#define RECORD(name, doc)		ENCODER(name)
#define END_RECORD(name)		}
#define MESSAGE(N, name, num, from, may, fds, doc) ENCODER(name)
#define END_MESSAGE(name)		}
#define U8(m, f, doc)		SPOT(m, f, NUMBER, 0) raw_uint(v->f, 1);
#define U16(m, f, doc)		SPOT(m, f, NUMBER, 0) raw_uint(v->f, 2);
#define U32(m, f, doc)		SPOT(m, f, NUMBER, 0) raw_uint(v->f, 4);
#define U64(m, f, doc)		SPOT(m, f, NUMBER, 0) raw_uint(v->f, 8);
#define BYTES(m, f, n, doc)	SPOT(m, f, OCTETS, 0) raw_bytes(v->f, n);
#define STRING(m, f, max, doc) \
	SPOT(m, f, TEXT, max) \
	raw_uint(strlen(v->f), 2); \
	raw_bytes(v->f, strlen(v->f));
#define PREFIX(m, f, doc)	SPOT(m, f, ADDRESS, 0) raw_prefix(&v->f);
#define LIST(m, r, f, max, doc) \
	SPOT(m, f, COUNT, max) \
	raw_uint(v->n_##f, 2); \
	for (size_t i = 0; i < v->n_##f; i++) \
		raw_##r(&v->f[i]);
#include "../../proto/messages.def"

static void fill(struct wire_message *m, uint8_t type)
{
	m->type = type;
	m->id = (uint16_t)rnd();
	switch (type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case num: fill_##name(&m->name); break;
#include "../../proto/messages.def"
	}
}

static bool same(const struct wire_message *a, const struct wire_message *b)
{
	if (a->type != b->type || a->id != b->id)
		return false;
	switch (a->type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case num: return same_##name(&a->name, &b->name);
#include "../../proto/messages.def"
	}
	return false;
}

static bool spoil(struct wire_message *m, unsigned k)
{
	switch (m->type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case num: return spoil_##name(&m->name, &k);
#include "../../proto/messages.def"
	}
	return false;
}

static void raw_encode(const struct wire_message *m)
{
	raw.len = raw.n_spots = 0;
	raw_uint(0, 4);
	raw_uint(1, 1);
	raw_uint(m->type, 1);
	raw_uint(m->id, 2);
	switch (m->type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case num: raw_##name(&m->name); break;
#include "../../proto/messages.def"
	}
	raw_set_length(raw.len);
}

/* A random message of that type, encoded into raw. */
static void make(uint8_t type, int how)
{
	static struct wire_message m;

	flavour = how;
	fill(&m, type);
	raw_encode(&m);
}

/* Decodes n bytes of raw from memory that ends with them. */
static int decode(size_t n, struct wire_message *ret, struct wire_fault *fault)
{
	static struct wire_message scratch;
	uint8_t *copy = malloc(n + !n);
	int r;

	memcpy(copy, raw.bytes, n);
	r = wire_decode(copy, n, ret ? ret : &scratch, fault);
	free(copy);
	return r;
}

/* It is refused because of that field. */
static void refused(size_t n, const struct spot *spot, size_t max)
{
	struct wire_fault fault;

	must(decode(n, NULL, &fault) == -EPROTO);
	if (strcmp(fault.field, spot->field) != 0)
		ck_assert_str_eq(fault.field, spot->field);
	must(fault.max == max);
	must(fault.why[0]);
}

/* Whatever decodes is the one encoding of its value. */
static bool decodes_only_if_canonical(size_t n)
{
	static struct wire_message m;
	static uint8_t again[WIRE_FRAME_MAX];

	if (decode(n, &m, NULL) != 0)
		return false;
	must(wire_encode(&m, again, sizeof(again)) == (int)n);
	must(memcmp(again, raw.bytes, n) == 0);
	return true;
}

static const struct wire_row *row_at(int i)
{
	size_t n;
	const struct wire_row *rows = wire_rows(&n);

	must(i < (int)n);
	return &rows[i];
}

static int n_rows(void)
{
	size_t n;

	wire_rows(&n);
	return (int)n;
}

/*
 * Tests of the codec; those with _i run once for each row.
 */
START_TEST(round_trip)
{
	const struct wire_row *row = row_at(_i);
	static struct wire_message m, back;
	static uint8_t frame[WIRE_FRAME_MAX];
	struct wire_fault fault;

	for (int i = 0; i < 600; i++) {
		flavour = i % N_FLAVOURS;
		fill(&m, row->type);
		raw_encode(&m);
		ck_assert_int_eq(wire_encode(&m, frame, sizeof(frame)),
				 (int)raw.len);
		ck_assert_mem_eq(frame, raw.bytes, raw.len);
		if (flavour == FULL)
			ck_assert_uint_eq(raw.len, row->max_frame);
		memset(&back, 0xa5, sizeof(back));
		ck_assert_int_eq(decode(raw.len, &back, &fault), 0);
		ck_assert_str_eq(fault.field, "");
		ck_assert_str_eq(fault.why, "");
		ck_assert(same(&m, &back));
	}
}
END_TEST

START_TEST(too_small_a_buffer)
{
	const struct wire_row *row = row_at(_i);
	static struct wire_message m;

	for (flavour = RANDOM; flavour < N_FLAVOURS; flavour++) {
		fill(&m, row->type);
		raw_encode(&m);
		for (size_t cap = 0; cap <= raw.len; cap++) {
			uint8_t *buf = malloc(cap + !cap);
			int r = wire_encode(&m, buf, cap);

			must(r == (cap < raw.len ? -EMSGSIZE : (int)raw.len));
			free(buf);
		}
	}
}
END_TEST

START_TEST(encoder_keeps_the_limits)
{
	const struct wire_row *row = row_at(_i);
	static struct wire_message m;
	static uint8_t frame[2 * WIRE_FRAME_MAX];

	flavour = FULL;
	for (unsigned k = 0; fill(&m, row->type), spoil(&m, k); k++)
		ck_assert_msg(wire_encode(&m, frame, sizeof(frame)) == -EINVAL,
			      "%s, fault %u", row->name, k);
}
END_TEST

START_TEST(truncated)
{
	const struct wire_row *row = row_at(_i);

	for (int how = 0; how < N_FLAVOURS; how++) {
		size_t s = 0;

		make(row->type, how);
		for (size_t cut = 0; cut < raw.len; cut++) {
			raw_set_length(raw.len);
			must(decode(cut, NULL, NULL) == -EPROTO);
			raw_set_length(cut);
			must(decode(raw.len, NULL, NULL) == -EPROTO);
			must(decode(cut, NULL, NULL) == -EPROTO);
			if (cut < WIRE_HEADER_LEN)
				continue;
			while (s + 1 < raw.n_spots &&
			       raw.spots[s + 1].at <= cut)
				s++;
			refused(cut, &raw.spots[s], 0);
		}
	}
}
END_TEST

START_TEST(trailing)
{
	const struct wire_row *row = row_at(_i);

	for (int i = 0; i < 4 * 256; i++) {
		struct wire_fault fault;

		make(row->type, i & 256 ? EMPTY : RANDOM);
		raw.bytes[raw.len] = (uint8_t)i;
		ck_assert_int_eq(decode(raw.len + 1, NULL, NULL), -EPROTO);
		raw_set_length(raw.len + 1);
		ck_assert_int_eq(decode(raw.len + 1, NULL, &fault), -EPROTO);
		if (raw.len < row->max_frame)
			ck_assert_str_eq(fault.field, raw.n_spots ?
				raw.spots[raw.n_spots - 1].field : "length");
	}
}
END_TEST

/* Puts a wrong value at a spot, sees it refused, and puts the old one back. */
static void try_u16(const struct spot *spot, size_t v)
{
	uint8_t *p = raw.bytes + spot->at, old[2] = { p[0], p[1] };

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	refused(raw.len, spot, spot->max);
	memcpy(p, old, 2);
}

static void try_u8(const struct spot *spot, size_t off, uint8_t v, size_t max)
{
	uint8_t *p = raw.bytes + spot->at + off, old = *p;

	*p = v;
	refused(raw.len, spot, max);
	*p = old;
}

static void try_spot(const struct spot *spot)
{
	const uint8_t *p = raw.bytes + spot->at;

	switch (spot->kind) {
	case COUNT:
		try_u16(spot, spot->max + 1);
		try_u16(spot, 65535);
		break;
	case TEXT:
		try_u16(spot, spot->max + 1);
		try_u16(spot, 65535);
		for (size_t i = 0; i < (size_t)(p[0] + 256 * p[1]); i++)
			try_u8(spot, 2 + i, 0, 0);
		break;
	case ADDRESS:
		for (unsigned family = 1; family < 256; family++)
			if (family != 4 && family != 6)
				try_u8(spot, 0, (uint8_t)family, 0);
		if (p[0] == 0)
			break;
		try_u8(spot, 1, p[0] == 4 ? 33 : 129, p[0] == 4 ? 32 : 128);
		try_u8(spot, 1, 255, p[0] == 4 ? 32 : 128);
		break;
	default:
		break;
	}
}

START_TEST(beyond_limits)
{
	for (int how = 0; how < N_FLAVOURS; how++) {
		make(row_at(_i)->type, how);
		for (size_t s = 0; s < raw.n_spots; s++)
			try_spot(&raw.spots[s]);
		ck_assert_int_eq(decode(raw.len, NULL, NULL), 0);
	}
}
END_TEST

START_TEST(body_of_another_type)
{
	for (int i = 0; i < n_rows(); i++)
		for (int how = 0; how < N_FLAVOURS; how++) {
			make(row_at(_i)->type, how);
			raw.bytes[5] = row_at(i)->type;
			if (raw.len != WIRE_HEADER_LEN &&
			    row_at(i)->max_frame == WIRE_HEADER_LEN)
				ck_assert_int_eq(decode(raw.len, NULL, NULL),
						 -EPROTO);
			decodes_only_if_canonical(raw.len);
		}
}
END_TEST

START_TEST(opened_is_no_refusal)
{
	make(WIRE_OPENED, FULL);
	raw.bytes[5] = WIRE_REFUSED;
	ck_assert_int_eq(decode(raw.len, NULL, NULL), -EPROTO);
	make(WIRE_REFUSED, FULL);
	raw.bytes[5] = WIRE_OPENED;
	ck_assert_int_eq(decode(raw.len, NULL, NULL), -EPROTO);
}
END_TEST

START_TEST(garbage)
{
	unsigned good = 0, bad = 0;

	for (int i = 0; i < 20000; i++) {
		make(row_at(_i)->type, i % 16 ? EMPTY : RANDOM);
		for (size_t n = rnd_below(4); n > 0; n--)
			raw.bytes[rnd_below(raw.len)] ^=
				(uint8_t)(1 << rnd_below(8));
		if (decodes_only_if_canonical(raw.len))
			good++;
		else
			bad++;
	}
	ck_assert_uint_gt(good, 1000);
	ck_assert_uint_gt(bad, 1000);
}
END_TEST

START_TEST(header_bounds)
{
	const struct wire_row *row = row_at(_i);
	uint8_t head[8] = { 0, 0, 0, 0, 1, row->type, 0xcd, 0xab };
	static const uint32_t off[] = { 0, 1, 7, 0x7fffffff, 0xffffffff };
	struct wire_header h;

	for (uint64_t len = 0; len < 70000; len++) {
		bool ok = len >= WIRE_HEADER_LEN && len <= row->max_frame;

		for (int i = 0; i < 4; i++)
			head[i] = (uint8_t)(len >> (8 * i));
		must(wire_header(head, &h) == (ok ? 0 : -EPROTO));
		must(h.length == len);
	}
	for (size_t o = 0; o < sizeof(off) / sizeof(*off); o++) {
		for (int i = 0; i < 4; i++)
			head[i] = (uint8_t)(off[o] >> (8 * i));
		ck_assert_int_eq(wire_header(head, &h), -EPROTO);
		ck_assert_uint_eq(h.length, off[o]);
	}
	ck_assert_uint_eq(h.type, row->type);
	ck_assert_uint_eq(h.version, 1);
	ck_assert_uint_eq(h.id, 0xabcd);
}
END_TEST

/* The version is looked at first, then the type: see tuntapd-protocol(7). */
START_TEST(header_version_and_type)
{
	struct wire_header h;

	for (int version = 0; version < 256; version++)
		for (int type = 0; type < 256; type++) {
			uint8_t head[8] = { 8, 0, 0, 0, (uint8_t)version,
					    (uint8_t)type, 0x34, 0x12 };
			bool known = wire_row((uint8_t)type);

			must(wire_header(head, &h) ==
			     (version != 1 ? -EPROTONOSUPPORT :
			      known ? 0 : -ENOSYS));
			must(h.version == version && h.type == type);
			must(h.id == 0x1234);
			head[0] = 7;
			must(wire_header(head, &h) ==
			     (version != 1 ? -EPROTONOSUPPORT :
			      known ? -EPROTO : -ENOSYS));
		}
}
END_TEST

START_TEST(unknown_types)
{
	static struct wire_message m;
	uint8_t buf[64];

	for (int type = 0; type < 256; type++) {
		m.type = (uint8_t)type;
		if (wire_row(m.type))
			continue;
		ck_assert_int_eq(wire_encode(&m, buf, sizeof(buf)), -EINVAL);
		make(WIRE_LIST, EMPTY);
		raw.bytes[5] = m.type;
		ck_assert_int_eq(decode(raw.len, NULL, NULL), -ENOSYS);
		raw.bytes[4] = 2;
		ck_assert_int_eq(decode(raw.len, NULL, NULL),
				 -EPROTONOSUPPORT);
	}
}
END_TEST

static const uint8_t golden_open[] = {
	0x5e, 0x00, 0x00, 0x00,			/* length 94 */
	0x01, 0x01, 0x02, 0x01,			/* version, OPEN, id 0x102 */
	0x02,					/* layer TAP */
	0x01,					/* vnet_hdr */
	0x02, 0x00, 0x00, 0x00,			/* flags: mac is set */
	0x04, 0x00, 't', 'a', 'p', '7',		/* name */
	0x02, 0x00, 0x5e, 0x10, 0x20, 0x30,	/* mac */
	0xdc, 0x05, 0x00, 0x00,			/* mtu 1500 */
	0xe8, 0x03, 0x00, 0x00,			/* txqueuelen 1000 */
	0x02, 0x00,				/* queues */
	0x02, 0x00,				/* addresses: 2 */
	0x04, 0x18, 10, 0, 0, 1,		/* 10.0.0.1/24 */
	0x00,					/* no peer */
	0x00, 0x00, 0x00, 0x00,			/* flags */
	0x06, 0x40, 0xfd, 0, 0, 0, 0, 0, 0, 0,	/* fd00::1/64 */
	0, 0, 0, 0, 0, 0, 0, 1,
	0x00,
	0x01, 0x00, 0x00, 0x00,			/* flags: nodad */
	0x01, 0x00,				/* routes: 1 */
	0x04, 0x08, 11, 0, 0, 0,		/* 11.0.0.0/8 */
	0x04, 0x20, 10, 0, 0, 2,		/* via 10.0.0.2 */
	0x78, 0x56, 0x34, 0x12,			/* metric */
	0x00, 0x00, 0x00, 0x00,			/* flags */
};

static void golden_open_value(struct wire_message *m)
{
	struct wire_open *o = &m->open;

	memset(m, 0, sizeof(*m));
	m->type = WIRE_OPEN;
	m->id = 0x102;
	o->layer = WIRE_TAP;
	o->vnet_hdr = 1;
	o->flags = WIRE_OPEN_MAC_SET;
	strcpy(o->name, "tap7");
	memcpy(o->mac, "\x02\x00\x5e\x10\x20\x30", 6);
	o->mtu = 1500;
	o->txqueuelen = 1000;
	o->queues = 2;
	o->n_addresses = 2;
	o->addresses[0].local = (struct prefix){ { 10, 0, 0, 1 }, 4, 24 };
	o->addresses[1].local = (struct prefix){ { 0xfd, [15] = 1 }, 6, 64 };
	o->addresses[1].flags = WIRE_ADDRESS_NODAD;
	o->n_routes = 1;
	o->routes[0].dst = (struct prefix){ { 11 }, 4, 8 };
	o->routes[0].gateway = (struct prefix){ { 10, 0, 0, 2 }, 4, 32 };
	o->routes[0].metric = 0x12345678;
}

static const uint8_t golden_opened[] = {
	0x2f, 0x00, 0x00, 0x00,			/* length 47 */
	0x01, 0x81, 0xff, 0xff,			/* version, OPENED, id */
	0x04, 0x00, 't', 'u', 'n', '0',		/* name */
	0x07, 0x00, 0x01, 0x00,			/* ifindex 65543 */
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00,	/* mac */
	0x00, 0x05, 0x00, 0x00,			/* mtu 1280 */
	0x00,					/* vnet_hdr */
	0x40, 0x00,				/* queues 64 */
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,	/* token */
	0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
};

static void golden_opened_value(struct wire_message *m)
{
	memset(m, 0, sizeof(*m));
	m->type = WIRE_OPENED;
	m->id = 0xffff;
	strcpy(m->opened.name, "tun0");
	m->opened.ifindex = 65543;
	m->opened.mtu = 1280;
	m->opened.queues = 64;
	for (unsigned i = 0; i < WIRE_TOKEN_LEN; i++)
		m->opened.token[i] = (uint8_t)(0x11 * i);
}

static void golden(const struct wire_message *m, const uint8_t *bytes, int n)
{
	static struct wire_message back;
	static uint8_t frame[WIRE_FRAME_MAX];

	ck_assert_int_eq(wire_encode(m, frame, sizeof(frame)), n);
	ck_assert_mem_eq(frame, bytes, (size_t)n);
	ck_assert_int_eq(wire_decode(bytes, (size_t)n, &back, NULL), 0);
	ck_assert(same(m, &back));
}

START_TEST(golden_bytes)
{
	static struct wire_message m;

	golden_open_value(&m);
	golden(&m, golden_open, sizeof(golden_open));
	golden_opened_value(&m);
	golden(&m, golden_opened, sizeof(golden_opened));
}
END_TEST

START_TEST(rows)
{
	const struct wire_row *row = row_at(_i);
	unsigned queues = 0;

	ck_assert_ptr_eq(wire_row(row->type), row);
	ck_assert_uint_ne(row->type, 0);
	ck_assert_int_eq(row->type >= 128, row->sender == WIRE_FROM_DAEMON);
	ck_assert_int_eq(row->may == WIRE_MAY_NEVER,
			 row->sender == WIRE_FROM_DAEMON);
	ck_assert_uint_ge(row->max_frame, WIRE_HEADER_LEN);
	ck_assert_uint_le(row->max_frame, WIRE_FRAME_MAX);
	ck_assert_uint_le(row->max_fds, WIRE_QUEUES_MAX);
	ck_assert(row->doc[0]);
	for (int i = 0; i < _i; i++) {
		ck_assert_uint_ne(row_at(i)->type, row->type);
		ck_assert_str_ne(row_at(i)->name, row->name);
	}
	/* Who carries fds says how many; a client never does. */
	make(row->type, EMPTY);
	for (size_t s = 0; s < raw.n_spots; s++)
		queues += strstr(raw.spots[s].field, ".queues") != NULL;
	if (row->max_fds) {
		ck_assert_int_eq(row->sender, WIRE_FROM_DAEMON);
		ck_assert_uint_eq(queues, 1);
	}
}
END_TEST

/* Numbers that went out stay what they are. */
static const char *const golden_errors[] = {
	"UNKNOWN_CODE", "MALFORMED", "VERSION", "UNKNOWN", "NOT_PERMITTED",
	"POLICY", "QUOTA", "INVALID", "EXISTS", "ADDRESS_TAKEN", "UNREACHABLE",
	"BUSY", "UNSUPPORTED", "NO_NODE", "NO_MEMORY", "TIMED_OUT", "FULL",
	"FD_SENT", "TOO_LARGE", "OUT_OF_FDS", "FAILED",
};

START_TEST(errors)
{
	static const struct {
		unsigned code;
		int err;
		const char *name;
	} all[] = {
#define ERROR(NAME, num, err, doc) { (num), (err), #NAME },
#include "../../proto/errors.def"
	};
	size_t n = sizeof(all) / sizeof(*all);

	for (size_t i = 0; i < n; i++) {
		uint16_t code = (uint16_t)all[i].code;
		size_t first = 0;

		ck_assert_uint_ne(code, 0);
		ck_assert_int_gt(all[i].err, 0);
		ck_assert_int_eq(wire_error_errno(code), all[i].err);
		ck_assert_str_eq(wire_error_name(code), all[i].name);
		ck_assert(wire_error_text(code)[0]);
		for (size_t j = 0; j < i; j++) {
			ck_assert_uint_ne(all[j].code, code);
			ck_assert_str_ne(all[j].name, all[i].name);
		}
		while (all[first].err != all[i].err)
			first++;
		ck_assert_uint_eq(wire_error_from_errno(all[i].err),
				  all[first].code);
	}
	for (uint16_t i = 0; i < sizeof(golden_errors) / sizeof(char *); i++)
		ck_assert_str_eq(wire_error_name(i), golden_errors[i]);
	ck_assert_int_eq(wire_error_errno(0), EIO);
	ck_assert_int_eq(wire_error_errno(65535), EIO);
	ck_assert(wire_error_name(65535)[0] && wire_error_text(65535)[0]);
	ck_assert_int_eq(wire_error_from_errno(EXDEV), WIRE_E_FAILED);
}
END_TEST

/*
 * Frames.  recvmsg and sendmsg are ours here, so that a signal, a short send
 * or another writer can come in between.
 */
static struct {
	unsigned eintr;		/* the next so many calls are interrupted */
	size_t send_max;	/* bytes that one send takes; 0: any number */
	void (*after_peek)(void);
} disturb;

ssize_t recvmsg(int sock, struct msghdr *msg, int flags)
{
	void (*after_peek)(void) = disturb.after_peek;
	ssize_t r;

	if (disturb.eintr > 0) {
		disturb.eintr--;
		errno = EINTR;
		return -1;
	}
	r = syscall(SYS_recvmsg, sock, msg, flags);
	if (flags & MSG_PEEK && after_peek) {
		disturb.after_peek = NULL;
		after_peek();
	}
	return r;
}

ssize_t sendmsg(int sock, const struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	struct iovec iov = m.msg_iov[0];

	if (disturb.eintr > 0) {
		disturb.eintr--;
		errno = EINTR;
		return -1;
	}
	if (disturb.send_max && iov.iov_len > disturb.send_max)
		iov.iov_len = disturb.send_max;
	m.msg_iov = &iov;
	return syscall(SYS_sendmsg, sock, &m, flags);
}

static int tx, rx;		/* the pair; rx does not block */
static int some_fd;		/* what is sent as fd */
static int fds_before;
static struct frame_in in;

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void frame_setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	tx = pair[0];
	rx = pair[1];
	fcntl(rx, F_SETFL, O_NONBLOCK);
	some_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(some_fd, 0);
	fds_before = count_fds();
	in = FRAME_IN_INIT;
	memset(&disturb, 0, sizeof(disturb));
}

/* No test may leave an fd behind. */
static void frame_teardown(void)
{
	frame_in_reset(&in);
	ck_assert_int_eq(count_fds(), fds_before);
	close(tx);
	close(rx);
	close(some_fd);
}

/* Sends bytes as they are, with n times the same fd on the first. */
static void put(const void *buf, size_t len, unsigned n_fds)
{
	static union {
		struct cmsghdr align;
		uint8_t buf[CMSG_SPACE(253 * sizeof(int))];
	} control;
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (unsigned i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(&control.align) + i * sizeof(int),
			       &some_fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = control.align.cmsg_len;
	}
	must(syscall(SYS_sendmsg, tx, &msg, MSG_NOSIGNAL) == (long)len);
}

/* Bytes that wait to be received. */
static int waiting(void)
{
	int n;

	ck_assert_int_eq(ioctl(rx, FIONREAD, &n), 0);
	return n;
}

static int receive(unsigned max_fds)
{
	return frame_receive(&in, rx, WIRE_FROM_DAEMON, max_fds);
}

/* in holds raw and that many fds, which are the one sent; resets it. */
static void expect(unsigned n_fds)
{
	struct stat sent, got;

	ck_assert_uint_eq(in.header.length, raw.len);
	ck_assert_uint_eq(in.have, raw.len);
	ck_assert_mem_eq(in.frame, raw.bytes, raw.len);
	ck_assert_uint_eq(in.n_fds, n_fds);
	ck_assert_int_eq(count_fds(), fds_before + (int)n_fds);
	fstat(some_fd, &sent);
	for (unsigned i = 0; i < n_fds; i++) {
		ck_assert_int_eq(fstat(in.fds[i], &got), 0);
		ck_assert(got.st_rdev == sent.st_rdev);
		ck_assert_int_eq(fcntl(in.fds[i], F_GETFD), FD_CLOEXEC);
	}
	frame_in_reset(&in);
	ck_assert_int_eq(count_fds(), fds_before);
	ck_assert(!in.frame && !in.fds && in.have == 0 && in.n_fds == 0);
}

/* It fails so, keeps no fd, and goes on failing whatever comes. */
static void expect_error(unsigned max_fds, int error)
{
	ck_assert_int_eq(receive(max_fds), error);
	ck_assert_int_eq(count_fds(), fds_before);
	put(raw.bytes, raw.len, 0);
	put(raw.bytes, raw.len, 0);
	ck_assert_int_eq(receive(max_fds), error);
}

START_TEST(byte_by_byte)
{
	const struct wire_row *row = row_at(_i);
	unsigned n_fds = row->max_fds ? 2 : 0;

	for (int how = 0; how < N_FLAVOURS; how++) {
		make(row->type, how);
		for (size_t i = 0; i < raw.len; i++) {
			must(frame_receive(&in, rx, row->sender, n_fds) ==
			     -EAGAIN);
			put(raw.bytes + i, 1, i ? 0 : n_fds);
		}
		ck_assert_int_eq(frame_receive(&in, rx, row->sender, n_fds), 1);
		/* A whole one stays whole. */
		ck_assert_int_eq(frame_receive(&in, rx, row->sender, n_fds), 1);
		expect(n_fds);
	}
}
END_TEST

START_TEST(back_to_back)
{
	make(WIRE_OPENED, RANDOM);
	put(raw.bytes, raw.len, 1);
	put(raw.bytes, raw.len, 2);
	put(raw.bytes, raw.len, 0);
	ck_assert_int_eq(receive(64), 1);
	ck_assert_int_eq(waiting(), 2 * (int)raw.len);
	expect(1);
	ck_assert_int_eq(receive(64), 1);
	ck_assert_int_eq(waiting(), (int)raw.len);
	expect(2);
	ck_assert_int_eq(receive(64), 1);
	expect(0);
	ck_assert_int_eq(receive(64), -EAGAIN);
}
END_TEST

/* One write with many frames, as a client may do that does not wait. */
START_TEST(in_one_write)
{
	static uint8_t many[3 * WIRE_FRAME_MAX];
	const struct wire_row *row = row_at(_i);

	for (int how = 0; how < N_FLAVOURS; how++) {
		make(row->type, how);
		for (size_t i = 0; i < 3; i++)
			memcpy(many + i * raw.len, raw.bytes, raw.len);
		put(many, 3 * raw.len, 0);
		for (int left = 2; left >= 0; left--) {
			ck_assert_int_eq(frame_receive(&in, rx, row->sender,
						       (unsigned)how), 1);
			ck_assert_int_eq(waiting(), left * (int)raw.len);
			expect(0);
		}
	}
}
END_TEST

START_TEST(exact_fds)
{
	static const unsigned counts[] = { 0, 1, 2, 3, 63, 64 };
	unsigned n = counts[_i];
	int list[64];

	for (unsigned i = 0; i < n; i++)
		list[i] = some_fd;
	make(WIRE_OPENED, RANDOM);
	for (unsigned max = n; max <= n + 2; max++) {
		size_t off = 0;

		ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, list,
					    n), 0);
		ck_assert_uint_eq(off, raw.len);
		ck_assert_int_eq(receive(max), 1);
		expect(n);
	}
}
END_TEST

START_TEST(one_fd_too_many)
{
	static const unsigned counts[] = { 1, 2, 3, 63, 64, 100, 4000000000 };
	unsigned max = counts[_i], sent = (max > 64 ? 64 : max) + 1;

	make(WIRE_OPENED, RANDOM);
	put(raw.bytes, raw.len, sent);
	expect_error(max, -EBADMSG);
}
END_TEST

START_TEST(fds_given_away)
{
	int *fds;

	make(WIRE_OPENED, RANDOM);
	put(raw.bytes, raw.len, 2);
	ck_assert_int_eq(receive(2), 1);
	ck_assert_uint_eq(frame_take_fds(&in, &fds), 2);
	ck_assert_uint_eq(frame_take_fds(&in, &(int *){ NULL }), 0);
	frame_in_reset(&in);
	ck_assert_int_eq(count_fds(), fds_before + 2);
	close(fds[0]);
	close(fds[1]);
	free(fds);
}
END_TEST

START_TEST(fds_where_none_belong)
{
	const struct wire_row *row = row_at(_i);

	if (row->max_fds || row->sender != WIRE_FROM_DAEMON)
		return;
	make(row->type, RANDOM);
	put(raw.bytes, raw.len, 1);
	expect_error(4, -EBADMSG);
	ck_assert_uint_eq(in.header.id, raw.bytes[6] + 256u * raw.bytes[7]);
}
END_TEST

/* At each byte but the first, all there at once or only after a pause. */
START_TEST(fds_inside_a_frame)
{
	make(WIRE_OPENED, RANDOM);
	for (size_t at = 1; at < raw.len; at++) {
		frame_teardown();
		frame_setup();
		put(raw.bytes, at, 1);
		if (_i)
			ck_assert_int_eq(receive(8), -EAGAIN);
		put(raw.bytes + at, raw.len - at, 1);
		expect_error(8, -EBADMSG);
	}
}
END_TEST

/* Who expects none receives none: they stay in the socket. */
START_TEST(fds_stay_unread)
{
	make(WIRE_OPEN, RANDOM);
	for (size_t at = 0; at < raw.len; at++) {
		frame_teardown();
		frame_setup();
		if (at) {
			put(raw.bytes, at, 0);
			ck_assert_int_eq(frame_receive(&in, rx,
					WIRE_FROM_CLIENT, 0), -EAGAIN);
		}
		put(raw.bytes + at, raw.len - at, 1);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(frame_receive(&in, rx,
					WIRE_FROM_CLIENT, 0), -EBADMSG);
		ck_assert_int_eq(waiting(), (int)(raw.len - at));
	}
}
END_TEST

static void late_fds(void)
{
	put(raw.bytes + 3, raw.len - 3, 1);
}

/* They come just after the look. */
START_TEST(fds_after_the_look)
{
	make(WIRE_OPEN, RANDOM);
	put(raw.bytes, 3, 0);
	disturb.after_peek = late_fds;
	ck_assert_int_eq(frame_receive(&in, rx, WIRE_FROM_CLIENT, 0),
			 -EBADMSG);
	ck_assert_int_eq(waiting(), (int)raw.len - 3);
}
END_TEST

START_TEST(credentials)
{
	int on = 1;

	ck_assert_int_eq(setsockopt(rx, SOL_SOCKET, SO_PASSCRED, &on,
				    sizeof(on)), 0);
	make(WIRE_OPENED, RANDOM);
	put(raw.bytes, raw.len, (unsigned)_i / 3);
	expect_error((unsigned)_i % 3, -EBADMSG);
}
END_TEST

START_TEST(no_numbers_left)
{
	struct rlimit old, few;
	const char *preload = getenv("LD_PRELOAD");
	int lowest = dup(some_fd);

	close(lowest);
	if (preload && strstr(preload, "vgpreload"))
		return;	/* valgrind keeps the limit to itself */
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)(lowest + _i);
	make(WIRE_OPENED, RANDOM);
	put(raw.bytes, raw.len, 3);
	setrlimit(RLIMIT_NOFILE, &few);
	ck_assert_int_eq(receive(3), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(count_fds(), fds_before);
}
END_TEST

START_TEST(closed)
{
	unsigned max_fds = _i ? 1 : 0;

	make(WIRE_OPENED, RANDOM);
	for (size_t sent = 0; sent <= raw.len; sent++) {
		frame_teardown();
		frame_setup();
		if (sent)
			put(raw.bytes, sent, max_fds);
		close(tx);
		ck_assert_int_eq(receive(max_fds), sent == 0 ? 0 :
				 sent == raw.len ? 1 : -EPIPE);
		if (sent == raw.len) {
			frame_in_reset(&in);
			ck_assert_int_eq(receive(max_fds), 0);
		}
		tx = dup(rx);
	}
}
END_TEST

START_TEST(nothing_yet)
{
	ck_assert_int_eq(receive(0), -EAGAIN);
	ck_assert_int_eq(receive(1), -EAGAIN);
	ck_assert_uint_eq(in.have, 0);
}
END_TEST

START_TEST(bad_headers)
{
	static const struct { uint8_t head[8]; int error; } cases[] = {
		{ { 0xff, 0xff, 0xff, 0xff, 1, 129, 9, 8 }, -EPROTO },
		{ { 0xff, 0xff, 0xff, 0x7f, 1, 129, 9, 8 }, -EPROTO },
		{ { 0, 0, 0, 0, 1, 129, 9, 8 }, -EPROTO },
		{ { 7, 0, 0, 0, 1, 132, 9, 8 }, -EPROTO },
		{ { 13, 0, 0, 0, 1, 132, 9, 8 }, -EPROTO },
		{ { 12, 0, 0, 0, 2, 132, 9, 8 }, -EPROTONOSUPPORT },
		{ { 0xff, 0xff, 0xff, 0xff, 0, 0, 9, 8 }, -EPROTONOSUPPORT },
		{ { 12, 0, 0, 0, 1, 255, 9, 8 }, -ENOSYS },
		{ { 8, 0, 0, 0, 1, WIRE_LIST, 9, 8 }, -EPERM },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put(cases[i].head, 8, 0);
		put("body", 4, 0);
		for (int again = 0; again < 2; again++)
			ck_assert_int_eq(receive((unsigned)_i),
					 cases[i].error);
		ck_assert_uint_eq(in.header.id, 0x809);
		ck_assert_uint_eq(in.header.version, cases[i].head[4]);
		ck_assert_ptr_null(in.frame);
		ck_assert_int_eq(waiting(), 4);
		frame_in_reset(&in);
		ck_assert_int_eq((int)recv(rx, &(char[4]){ 0 }, 4, 0), 4);
	}
	/* fds on them go when it is reset. */
	put(cases[0].head, 8, 2);
	ck_assert_int_eq(receive(2), -EPROTO);
}
END_TEST

START_TEST(interrupted)
{
	size_t off = 0;

	make(WIRE_OPENED, FULL);
	disturb.eintr = 3;
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, &some_fd, 1),
			 0);
	disturb.eintr = 3;
	ck_assert_int_eq(receive(1), 1);
	ck_assert_uint_eq(disturb.eintr, 0);
	expect(1);
	put(raw.bytes, raw.len, 0);
	disturb.eintr = 3;
	ck_assert_int_eq(receive(0), 1);
	expect(0);
}
END_TEST

/* However few bytes a send takes, the fds go once, and first. */
START_TEST(sent_in_pieces)
{
	make(WIRE_OPENED, FULL);
	for (size_t piece = 1; piece <= raw.len; piece++) {
		size_t off = 0;

		disturb.send_max = piece;
		ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off,
					    &some_fd, 1), 0);
		ck_assert_uint_eq(off, raw.len);
		ck_assert_int_eq(receive(2), 1);
		expect(1);
	}
}
END_TEST

/* As the daemon answers an OPEN: the header with the fds, then the rest. */
START_TEST(header_first)
{
	size_t off = 0;

	make(WIRE_OPENED, RANDOM);
	ck_assert_int_eq(frame_send(tx, raw.bytes, WIRE_HEADER_LEN, &off,
				    &some_fd, 1), 0);
	ck_assert_int_eq(receive(1), -EAGAIN);
	ck_assert_uint_eq(in.n_fds, 1);
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, NULL, 0), 0);
	ck_assert_int_eq(receive(1), 1);
	expect(1);
}
END_TEST

START_TEST(full_socket)
{
	static const char junk[4096];
	int got = 0, r, sent = 0;
	size_t off = 0;

	make(WIRE_OPENED, RANDOM);
	fcntl(tx, F_SETFL, O_NONBLOCK);
	while (send(tx, junk, sizeof(junk), 0) == sizeof(junk))
		sent += (int)sizeof(junk);
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, &some_fd, 1),
			 -EAGAIN);
	ck_assert_uint_eq(off, 0);
	while (got < sent) {
		r = (int)recv(rx, &(char[4096]){ 0 }, sizeof(junk), 0);
		ck_assert_int_gt(r, 0);
		got += r;
	}
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, &some_fd, 1),
			 0);
	ck_assert_int_eq(receive(1), 1);
	expect(1);
}
END_TEST

START_TEST(send_fails)
{
	int list[WIRE_QUEUES_MAX + 1] = { 0 };
	size_t off = 0;

	make(WIRE_OPENED, RANDOM);
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, list,
				    WIRE_QUEUES_MAX + 1), -EINVAL);
	ck_assert_int_eq(waiting(), 0);
	close(rx);
	ck_assert_int_eq(frame_send(tx, raw.bytes, raw.len, &off, NULL, 0),
			 -EPIPE);
	ck_assert_uint_eq(off, 0);
	rx = dup(tx);
}
END_TEST

/*
 * Prefixes.
 */
static struct prefix parse(const char *text)
{
	struct prefix p;
	const char *why = "untouched";

	if (prefix_parse(text, &p, &why) != 0)
		ck_abort_msg("%s: %s", text, why);
	must(strcmp(why, "untouched") == 0);
	return p;
}

START_TEST(parse_good)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "10.0.0.1/24", "10.0.0.1/24" },
		{ "10.0.0.1", "10.0.0.1/32" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "255.255.255.255/32", "255.255.255.255/32" },
		{ "::/0", "::/0" },
		{ "::", "::/128" },
		{ "fd00::1/64", "fd00::1/64" },
		{ "FD00:0:0::0001/9", "fd00::1/9" },
		{ "::ffff:10.1.2.3/104", "::ffff:10.1.2.3/104" },
		{ "1111:2222:3333:4444:5555:6666:7777:8888",
		  "1111:2222:3333:4444:5555:6666:7777:8888/128" },
		{ "1111:2222:3333:4444:5555:6666:255.255.255.255/128",
		  "1111:2222:3333:4444:5555:6666:ffff:ffff/128" },
	};
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct prefix p = parse(cases[i].in);

		ck_assert_ptr_eq(prefix_format(&p, text), text);
		ck_assert_str_eq(text, cases[i].out);
		ck_assert_int_eq(prefix_parse(cases[i].in, &p, NULL), 0);
	}
}
END_TEST

START_TEST(parse_bad)
{
	static const char *const cases[] = {
		"", "/", "/24", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/024",
		"10.0.0.1/00", "10.0.0.1/-1", "10.0.0.1/+1", "10.0.0.1/ 1",
		"10.0.0.1/1 ", " 10.0.0.1", "10.0.0.1 ", "10.0.0/8", "10",
		"10.0.0.1/24/24", "10.0.0.1//24", "10.0.0.256", "010.0.0.1",
		"10.0.0.1/256", "10.0.0.1/1000", "10.0.0.1/4294967296",
		"10.0.0.1/a", "10.0.0.1/0x8", "10.0.0.1/255.0.0.0",
		"0x0a000001", "fd00::1/129", "fd00::1/999", "fd00::1%lo",
		"fd00::1%lo/64",
		"fd00::1::2", "fd00:::1", ":", ":::", "1:2:3:4:5:6:7:8:9",
		"12345::", "g::", "any", "default", "10.0.0.1\n", "10.0.0.1,",
		"1111:2222:3333:4444:5555:6666:255.255.255.2550",
		"00000000000000000000000000000000000000000000000::1",
	};
	const struct prefix untouched = { { 1, 2, 3 }, 4, 5 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct prefix p = untouched;
		const char *why = NULL;

		ck_assert_msg(prefix_parse(cases[i], &p, &why) == -EINVAL,
			      "'%s'", cases[i]);
		ck_assert(why && why[0]);
		ck_assert_mem_eq(&p, &untouched, sizeof(p));
		ck_assert_int_eq(prefix_parse(cases[i], &p, NULL), -EINVAL);
	}
}
END_TEST

START_TEST(format_all)
{
	char text[PREFIX_TEXT_MAX], zeros[PREFIX_TEXT_MAX];
	struct prefix p = { .family = 0 };

	ck_assert_str_eq(prefix_format(&p, text), "none/0");
	/* The longest text there is. */
	p = parse("1111:2222:3333:4444:5555:6666:7777:8888");
	memset(zeros, 0xff, sizeof(zeros));
	ck_assert_uint_lt(strlen(prefix_format(&p, zeros)), PREFIX_TEXT_MAX);
	flavour = RANDOM;
	for (int i = 0; i < 20000; i++) {
		struct prefix q;

		fill_prefix(&p);
		if (p.family == 0)
			continue;
		q = parse(prefix_format(&p, text));
		must(memcmp(&p, &q, sizeof(p)) == 0);
	}
}
END_TEST

START_TEST(relations)
{
	static const struct {
		const char *a, *b;
		bool contains, overlaps, same_address, equal;
	} cases[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", 1, 1, 1, 1 },
		{ "10.0.0.0/8", "10.255.255.255", 1, 1, 0, 0 },
		{ "10.0.0.0/8", "11.0.0.0", 0, 0, 0, 0 },
		{ "10.0.0.0/8", "10.0.0.0/7", 0, 1, 1, 0 },
		{ "10.9.9.9/8", "10.1.1.1/8", 1, 1, 0, 1 },
		{ "0.0.0.0/0", "255.255.255.255", 1, 1, 0, 0 },
		{ "0.0.0.0/0", "1.0.0.0/0", 1, 1, 0, 1 },
		{ "0.0.0.0/1", "128.0.0.0/1", 0, 0, 0, 0 },
		{ "10.0.0.0/31", "10.0.0.1", 1, 1, 0, 0 },
		{ "10.0.0.0/32", "10.0.0.1", 0, 0, 0, 0 },
		{ "10.0.0.128/25", "10.0.0.127", 0, 0, 0, 0 },
		{ "::/0", "0.0.0.0", 0, 0, 0, 0 },
		{ "0.0.0.0/0", "::", 0, 0, 0, 0 },
		{ "::/0", "ffff::", 1, 1, 0, 0 },
		{ "fd00::/9", "fd7f::", 1, 1, 0, 0 },
		{ "fd00::/9", "fd80::", 0, 0, 0, 0 },
		{ "fd00::/127", "fd00::1", 1, 1, 0, 0 },
		{ "fd00::/128", "fd00::1", 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct prefix a = parse(cases[i].a), b = parse(cases[i].b);

		ck_assert(prefix_contains(&a, &b) == cases[i].contains);
		ck_assert(prefix_overlaps(&a, &b) == cases[i].overlaps);
		ck_assert(prefix_overlaps(&b, &a) == cases[i].overlaps);
		ck_assert(prefix_same_address(&a, &b) == cases[i].same_address);
		ck_assert(prefix_equal(&a, &b) == cases[i].equal);
	}
}
END_TEST

START_TEST(no_family)
{
	struct prefix none = { .family = 0 }, v4 = parse("0.0.0.0/0");

	ck_assert(!prefix_contains(&none, &none));
	ck_assert(!prefix_contains(&none, &v4));
	ck_assert(!prefix_contains(&v4, &none));
	ck_assert(!prefix_overlaps(&none, &v4));
	ck_assert(!prefix_overlaps(&none, &none));
	ck_assert(prefix_equal(&none, &none));
	ck_assert(!prefix_equal(&none, &v4));
	ck_assert(!prefix_has_host_bits(&none));
	for (unsigned family = 0; family < 256; family++) {
		unsigned bits = family == 4 ? 32 : family == 6 ? 128 : 0;

		ck_assert_uint_eq(prefix_bits((uint8_t)family), bits);
		ck_assert_uint_eq(prefix_bytes((uint8_t)family), bits / 8);
	}
}
END_TEST

/* The slow way: bit by bit. */
static bool bit(const struct prefix *p, unsigned i)
{
	return p->ip[i / 8] >> (7 - i % 8) & 1;
}

static bool slow_same(const struct prefix *a, const struct prefix *b,
		      unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if (bit(a, i) != bit(b, i))
			return false;
	return true;
}

static bool slow_contains(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->len <= b->len &&
	       slow_same(a, b, a->len);
}

/* A random one, near p or not. */
static struct prefix another(const struct prefix *p)
{
	struct prefix q = *p;
	unsigned bits = prefix_bits(p->family), i;

	if (rnd_below(8) == 0)
		q.family = p->family == 4 ? 6 : 4;
	if (rnd_below(2))
		q.len = (uint8_t)rnd_below(prefix_bits(q.family) + 1);
	else if (q.len > prefix_bits(q.family))
		q.len = 32;
	for (size_t n = rnd_below(3); n > 0; n--) {
		i = (unsigned)rnd_below(bits);
		q.ip[i / 8] ^= (uint8_t)(128 >> i % 8);
	}
	return q;
}

static void against_slow(const struct prefix *a, const struct prefix *b)
{
	unsigned bits = prefix_bits(a->family), host = 0;
	struct prefix net = prefix_network(a), full = prefix_host(a);
	bool family = a->family == b->family;

	must(prefix_contains(a, b) == slow_contains(a, b));
	must(prefix_overlaps(a, b) ==
		  (slow_contains(a, b) || slow_contains(b, a)));
	must(prefix_same_address(a, b) ==
		  (family && slow_same(a, b, bits)));
	must(prefix_equal(a, b) ==
		  (family && a->len == b->len && slow_same(a, b, a->len)));
	for (unsigned i = a->len; i < bits; i++) {
		host += bit(a, i);
		must(!bit(&net, i));
	}
	must(prefix_has_host_bits(a) == (host > 0));
	must(slow_same(a, &net, a->len));
	must(net.family == a->family && net.len == a->len);
	must(slow_same(a, &full, bits));
	must(full.family == a->family && full.len == bits);
	must(prefix_is_full(a) == (a->len == bits));
	must(prefix_is_full(&full));
}

START_TEST(against_bit_by_bit)
{
	unsigned inside = 0, equal = 0, host = 0;

	flavour = RANDOM;
	for (int i = 0; i < 100000; ) {
		struct prefix a, b;

		fill_prefix(&a);
		if (a.family == 0)
			continue;
		b = another(&a);
		if (b.len == 0)
			b = prefix_network(&b);
		against_slow(&a, &b);
		against_slow(&b, &a);
		inside += prefix_contains(&a, &b);
		equal += prefix_equal(&a, &b);
		host += prefix_has_host_bits(&a);
		i++;
	}
	/* Neither answer was rare. */
	ck_assert_uint_gt(inside, 10000);
	ck_assert_uint_lt(inside, 90000);
	ck_assert_uint_gt(equal, 10000);
	ck_assert_uint_gt(host, 10000);
	ck_assert_uint_lt(host, 100000);
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);	/* valgrind is slow */
	suite_add_tcase(s, tc);
	return tc;
}

static void add_wire(Suite *s)
{
	TCase *tc = add_case(s, "wire");

	tcase_add_loop_test(tc, round_trip, 0, n_rows());
	tcase_add_loop_test(tc, too_small_a_buffer, 0, n_rows());
	tcase_add_loop_test(tc, encoder_keeps_the_limits, 0, n_rows());
	tcase_add_loop_test(tc, truncated, 0, n_rows());
	tcase_add_loop_test(tc, trailing, 0, n_rows());
	tcase_add_loop_test(tc, beyond_limits, 0, n_rows());
	tcase_add_loop_test(tc, body_of_another_type, 0, n_rows());
	tcase_add_loop_test(tc, garbage, 0, n_rows());
	tcase_add_loop_test(tc, header_bounds, 0, n_rows());
	tcase_add_loop_test(tc, rows, 0, n_rows());
	tcase_add_test(tc, opened_is_no_refusal);
	tcase_add_test(tc, header_version_and_type);
	tcase_add_test(tc, unknown_types);
	tcase_add_test(tc, golden_bytes);
	tcase_add_test(tc, errors);
}

static void add_frame(Suite *s)
{
	TCase *tc = add_case(s, "frame");

	tcase_add_checked_fixture(tc, frame_setup, frame_teardown);
	tcase_add_loop_test(tc, byte_by_byte, 0, n_rows());
	tcase_add_test(tc, back_to_back);
	tcase_add_loop_test(tc, in_one_write, 0, n_rows());
	tcase_add_loop_test(tc, exact_fds, 0, 6);
	tcase_add_loop_test(tc, one_fd_too_many, 0, 7);
	tcase_add_test(tc, fds_given_away);
	tcase_add_loop_test(tc, fds_where_none_belong, 0, n_rows());
	tcase_add_loop_test(tc, fds_inside_a_frame, 0, 2);
	tcase_add_test(tc, fds_stay_unread);
	tcase_add_test(tc, fds_after_the_look);
	tcase_add_loop_test(tc, credentials, 0, 9);
	tcase_add_loop_test(tc, no_numbers_left, 0, 3);
	tcase_add_loop_test(tc, closed, 0, 2);
	tcase_add_test(tc, nothing_yet);
	tcase_add_loop_test(tc, bad_headers, 0, 2);
	tcase_add_test(tc, interrupted);
	tcase_add_test(tc, sent_in_pieces);
	tcase_add_test(tc, header_first);
	tcase_add_test(tc, full_socket);
	tcase_add_test(tc, send_fails);
}

static void add_prefix(Suite *s)
{
	TCase *tc = add_case(s, "prefix");

	tcase_add_test(tc, parse_good);
	tcase_add_test(tc, parse_bad);
	tcase_add_test(tc, format_all);
	tcase_add_test(tc, relations);
	tcase_add_test(tc, no_family);
	tcase_add_test(tc, against_bit_by_bit);
}

int main(void)
{
	Suite *s = suite_create("proto");
	SRunner *sr = srunner_create(s);
	int failed;

	add_wire(s);
	add_frame(s);
	add_prefix(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
