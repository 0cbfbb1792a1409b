#include "segment_random.h"

#define OPTIONS_MAX	10	/* words, of IPv4 and of TCP */
#define EXTENSIONS_MAX	3
#define EXTENSION_UNIT	8	/* bytes */
#define EXTENSION_UNITS	3	/* of one, at most */

static uint64_t state = 1;

void random_seed(uint64_t seed)
{
	state = seed * 2 + 1;
}

/* xorshift64* */
static uint32_t random_bits(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1d) >> 32);
}

uint32_t random_below(uint32_t n)
{
	return random_bits() % n;
}

bool random_one_in(uint32_t n)
{
	return random_below(n) == 0;
}

/* Now and then of one value: sums that carry, and sums of nothing. */
void random_fill(uint8_t *p, size_t n)
{
	unsigned all = random_below(16);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(all == 0 ? 0 : all == 1 ? 0xff :
						random_bits());
}

static uint16_t any_gso_size(size_t payload)
{
	uint32_t most = payload < 65535 ? (uint32_t)payload + 1 : 65535;

	switch (random_below(6)) {
	case 0:
		return (uint16_t)(1 + random_below(10));
	case 1:
		return (uint16_t)(1400 + random_below(100));
	case 2:		/* one packet, or one and a byte */
		return (uint16_t)(most > 3 ? most - random_below(3) : most);
	case 3:
		return (uint16_t)(1 + random_below(65535));
	default:
		return (uint16_t)(1 + random_below(most));
	}
}

static size_t any_payload(size_t most)
{
	switch (random_below(8)) {
	case 0:
		return random_below(4);
	case 1:
		return most - random_below(4);
	case 2:
		return random_below((uint32_t)most + 1);
	default:
		return random_below(5000);
	}
}

void random_shape(struct random_shape *ret)
{
	*ret = (struct random_shape){
		.ethernet = random_one_in(2), .v6 = random_one_in(2),
		.tcp = !random_one_in(3), .flags = RANDOM_FLAGS_PLAIN,
	};
	if (ret->ethernet)
		ret->tags = random_below(3);
	if (random_one_in(4))
		ret->options = ret->v6 ? 0 : random_below(OPTIONS_MAX + 1);
	if (random_one_in(4))
		ret->extensions = ret->v6 ? random_below(1 + EXTENSIONS_MAX) :
					    0;
	if (random_one_in(2))
		ret->tcp_options = random_below(OPTIONS_MAX + 1);
	if (random_one_in(3))
		ret->flags |= (uint8_t)(random_one_in(2) ? 0x08 : 0x01);
	if (random_one_in(4))
		ret->flags |= (uint8_t)(random_one_in(2) ? 0x80 : 0xc0);
	if (random_one_in(6))
		ret->flags = (uint8_t)random_bits();
	ret->payload = any_payload(random_payload_max(ret));
	ret->gso_size = any_gso_size(ret->payload);
}

size_t random_payload_max(const struct random_shape *shape)
{
	size_t ip = shape->v6 ? 40 + shape->extensions * EXTENSION_UNITS *
					     EXTENSION_UNIT :
				20 + shape->options * 4u;

	return SEGMENT_IP_MAX - ip -
	       (shape->tcp ? 20 + shape->tcp_options * 4u : 8);
}

/* --- a packet ------------------------------------------------------------- */

static void put(uint8_t *p, unsigned n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static size_t put_ethernet(const struct random_shape *shape, uint8_t *p)
{
	size_t at = 12;

	if (!shape->ethernet)
		return 0;
	for (unsigned i = 0; i < shape->tags; i++, at += 4)
		put(p + at, random_one_in(2) ? 0x8100 : 0x88a8);
	put(p + at, shape->v6 ? 0x86dd : 0x0800);
	return at + 2;
}

static size_t put_ip4(const struct random_shape *shape, uint8_t *p)
{
	p[0] = (uint8_t)(0x45 + shape->options);
	put(p + 6, random_one_in(2) ? 0x4000 : 0);
	p[9] = shape->tcp ? 6 : 17;
	return 20 + shape->options * 4u;
}

static size_t put_ip6(const struct random_shape *shape, uint8_t *p)
{
	static const uint8_t kinds[EXTENSIONS_MAX] = { 0, 43, 60 };
	uint8_t *next = p + 6;
	size_t at = 40;

	p[0] = (uint8_t)(0x60 | (p[0] & 0xf));
	for (unsigned i = 0; i < shape->extensions; i++) {
		unsigned more = random_below(EXTENSION_UNITS);

		*next = kinds[i];
		next = p + at;
		p[at + 1] = (uint8_t)more;
		p[at + 3] = 0;		/* a route that has been gone */
		at += (more + 1) * EXTENSION_UNIT;
	}
	*next = shape->tcp ? 6 : 17;
	return at;
}

static size_t put_l4(const struct random_shape *shape, uint8_t *p)
{
	if (!shape->tcp)
		return 8;
	p[12] = (uint8_t)(0x50 + shape->tcp_options * 0x10);
	p[13] = shape->flags;
	return 20 + shape->tcp_options * 4u;
}

void random_super(const struct random_shape *shape, struct ttd_packet *ret)
{
	static uint8_t whole[SEGMENT_MAX];
	struct ttd_packet packet = { .data = whole };
	size_t len = 14 + 2 * 4 + 40 + EXTENSIONS_MAX * EXTENSION_UNITS *
		     EXTENSION_UNIT + 60;

	random_fill(whole, len);
	len = put_ethernet(shape, whole);
	len += shape->v6 ? put_ip6(shape, whole + len) :
			   put_ip4(shape, whole + len);
	len += put_l4(shape, whole + len);
	random_fill(whole + len, shape->payload);
	packet.len = (uint32_t)(len + shape->payload);
	segment_repair(&packet, shape->ethernet);
	segment_join(&packet, 1, shape->ethernet, ret);
	ret->gso_size = shape->gso_size;
}
