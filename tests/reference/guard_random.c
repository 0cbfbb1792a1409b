#include "guard_random.h"

#include <string.h>

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

static bool one_in(uint32_t n)
{
	return random_below(n) == 0;
}

/* --- prefixes ------------------------------------------------------------- */

static const char *const special[] = {
	"0.0.0.0/8", "0.0.0.0/32", "127.0.0.0/8", "127.0.0.1/32",
	"224.0.0.0/4", "255.255.255.255/32", "240.0.0.0/4", "0.0.0.0/0",
	"128.0.0.0/1", "::/0", "::/128", "::1/128", "fe80::/10", "fe80::/64",
	"fe80::1/128", "ff00::/8", "::ffff:0:0/96", "::ffff:10.0.0.1/128",
	"fec0::/10", "8000::/1", "::/96", "febf::/16",
};
#define N_SPECIAL	(sizeof(special) / sizeof(*special))

/* The lengths at which words, bytes and families begin and end. */
static const uint8_t lens4[] = { 0, 1, 8, 16, 23, 24, 25, 30, 31, 32, 32 };
static const uint8_t lens6[] = {
	0, 1, 10, 31, 32, 33, 48, 63, 64, 65, 95, 96, 97, 127, 128, 128,
};

static struct prefix any_special(void)
{
	struct prefix p = { 0 };

	prefix_parse(special[random_below(N_SPECIAL)], &p, NULL);
	return p;
}

/* The last address of the prefix, or the first. */
static struct prefix edge(const struct prefix *p, bool last)
{
	struct prefix e = prefix_network(p);

	for (unsigned i = p->len; last && i < prefix_bits(p->family); i++)
		e.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
	e.len = (uint8_t)prefix_bits(p->family);
	return e;
}

/* One up or one down, around the ends too. */
static void move(struct prefix *p, bool up)
{
	for (size_t i = prefix_bytes(p->family); i-- > 0;) {
		p->ip[i] = (uint8_t)(p->ip[i] + (up ? 1 : -1));
		if (p->ip[i] != (up ? 0 : 0xff))
			return;
	}
}

/* A bit is another one, behind the length rather than before. */
static void flip(struct prefix *p, unsigned len)
{
	unsigned bits = prefix_bits(p->family), i = random_below(bits);

	if (i < len && len < bits && !one_in(4))
		i = len + random_below(bits - len);
	p->ip[i / 8] ^= (uint8_t)(0x80 >> i % 8);
}

/* An address in or around the prefix. */
static struct prefix near_to(const struct prefix *p)
{
	struct prefix a = edge(p, one_in(2));

	switch (random_below(6)) {
	case 0:
		move(&a, true);
		break;
	case 1:
		move(&a, false);
		break;
	case 2:
		flip(&a, p->len);
		break;
	case 3:
		for (unsigned i = p->len; i < prefix_bits(p->family); i++) {
			if (one_in(2))
				a.ip[i / 8] ^= (uint8_t)(0x80 >> i % 8);
		}
		break;
	default:
		break;
	}
	return a;
}

static struct prefix anywhere(void)
{
	struct prefix p = { .family = one_in(2) ? 4 : 6 };

	for (size_t i = 0; i < sizeof(p.ip); i++)
		p.ip[i] = (uint8_t)random_bits();
	if (p.family == 6 && one_in(2))
		memcpy(p.ip, (const uint8_t[]){ 0x20, 1, 0xd, 0xb8, 0, 0, 0 },
		       4 + random_below(4));
	p.len = (uint8_t)prefix_bits(p.family);
	return p;
}

/* Around something that there is, if there is something. */
static struct prefix somewhere(const struct guard_spec *spec)
{
	struct prefix p;

	if (spec->n_own > 0 && one_in(6))
		return near_to(&spec->own[random_below((uint32_t)spec->n_own)]);
	if (spec->n_nets > 0 && !one_in(4))
		return near_to(&spec->nets[random_below((uint32_t)
						spec->n_nets)].net);
	if (one_in(3))
		return anywhere();
	p = any_special();
	return near_to(&p);
}

static void any_len(struct prefix *p)
{
	if (one_in(4))
		p->len = (uint8_t)random_below(prefix_bits(p->family) + 1);
	else if (p->family == 4)
		p->len = lens4[random_below(sizeof(lens4))];
	else
		p->len = lens6[random_below(sizeof(lens6))];
}

static struct guard_net any_net(const struct guard_spec *spec)
{
	struct guard_net n = { .what = one_in(4) ? GUARD_DENY : GUARD_ALLOW };

	if (spec->n_nets > 0 && one_in(8)) {
		n.net = spec->nets[random_below((uint32_t)spec->n_nets)].net;
		return n;
	}
	if (one_in(12)) {
		n.net = any_special();
		return n;
	}
	n.net = somewhere(spec);
	any_len(&n.net);
	/* Else most are within one that is wide. */
	if (n.net.len < 8 && !one_in(6))
		n.net.len = (uint8_t)prefix_bits(n.net.family);
	if (one_in(2))
		n.net = prefix_network(&n.net);
	/* IPv4 is in the first bytes, and the others do not matter. */
	if (n.net.family == 4 && one_in(4))
		memset(n.net.ip + 4, 0xa5, 12);
	return n;
}

void random_spec(struct random_spec *ret, size_t max_nets)
{
	struct guard_spec *s = &ret->spec;
	size_t n_nets = random_below((uint32_t)max_nets + 1);
	size_t n_own = random_below(RANDOM_OWN_MAX + 1);

	*s = (struct guard_spec){
		.ethernet = one_in(2), .dhcp = one_in(2),
		.nets = ret->nets, .own = ret->own,
	};
	while (s->n_nets < n_nets) {
		ret->nets[s->n_nets] = any_net(s);
		s->n_nets++;
	}
	while (s->n_own < n_own) {
		struct prefix p = somewhere(s);

		if (one_in(2))
			any_len(&p);
		ret->own[s->n_own++] = p;
	}
}

/* --- packets -------------------------------------------------------------- */

/* Bytes that are looked at, and one that is not. */
static const uint8_t fields[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
	24, 40, 41, 42, 43,
};
static const uint8_t interesting[] = {
	0, 1, 2, 4, 6, 8, 17, 44, 58, 60, 67, 68, 0x20, 0x40, 0x45, 0x46, 0x60,
	132, 133, 134, 135, 136, 137, 0x80, 0xff,
};

static struct prefix link_local(const struct guard_spec *spec)
{
	struct prefix p = somewhere(spec);

	if (p.family == 4 || one_in(2)) {
		p = anywhere();
		p.family = 6;
	}
	if (!one_in(8)) {
		p.ip[0] = 0xfe;
		p.ip[1] = (uint8_t)(0x80 | (p.ip[1] & 0x3f));
	}
	return p;
}

static struct packet well_made(const struct guard_spec *spec)
{
	static const struct prefix nobody = { { 0 }, 4, 32 };
	struct prefix from = somewhere(spec), link;

	switch (random_below(16)) {
	case 0:
	case 1:
		return packet_dhcp4();
	case 2:
		link = link_local(spec);
		return packet_dhcp6(&link);
	case 3:
	case 4:
		link = link_local(spec);
		return packet_icmp6(&link,
				    (uint8_t)(132 + random_below(6)));
	case 5:
		return packet_arp(random_below(4), &nobody);
	case 6:
	case 7:
	case 8:
		if (from.family == 4)
			return packet_arp(1 + random_below(2), &from);
		return packet_icmp6(&from, 135);
	default:
		return packet_from(&from);
	}
}

struct packet random_packet(const struct guard_spec *spec)
{
	static const uint16_t protocols[] = {
		PACKET_IP4, PACKET_IP6, PACKET_ARP, 0x8100, 0x88cc, 0x8864,
		0x0801, 0x0008, 0,
	};
	struct packet p = well_made(spec);

	for (unsigned n = one_in(3) ? 1 + random_below(2) : 0; n > 0; n--)
		p.at[fields[random_below(sizeof(fields))]] = one_in(2) ?
			(uint8_t)random_bits() :
			interesting[random_below(sizeof(interesting))];
	if (one_in(16))
		p.protocol = protocols[random_below(sizeof(protocols) /
						    sizeof(*protocols))];
	p.vlan = one_in(24);
	if (one_in(8))
		p.len = random_below((uint32_t)(one_in(2) ? p.len : 45) + 1);
	return p;
}
