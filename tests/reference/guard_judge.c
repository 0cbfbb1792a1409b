#include "guard_judge.h"

#include <string.h>

#include <linux/filter.h>

/* --- the words ------------------------------------------------------------ */

static bool bit(const uint8_t *ip, unsigned i)
{
	return ip[i / 8] >> (7 - i % 8) & 1;
}

static bool holds(const uint8_t *net, unsigned len, const uint8_t *ip)
{
	for (unsigned i = 0; i < len; i++) {
		if (bit(net, i) != bit(ip, i))
			return false;
	}
	return true;
}

static bool is_own(const struct guard_spec *spec, uint8_t family,
		   const uint8_t *ip)
{
	for (size_t i = 0; i < spec->n_own; i++) {
		if (spec->own[i].family == family &&
		    memcmp(spec->own[i].ip, ip, family == 4 ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static bool is_link_local(const uint8_t *ip)
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

static bool is_never(uint8_t family, const uint8_t *ip)
{
	static const uint8_t zero[16], loopback[16] = { [15] = 1 },
		mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (family == 4)
		return ip[0] == 0 || ip[0] == 127 ||
		       (ip[0] >= 224 && ip[0] <= 239) ||
		       (ip[0] == 255 && ip[1] == 255 && ip[2] == 255 &&
			ip[3] == 255);
	return memcmp(ip, zero, 16) == 0 || memcmp(ip, loopback, 16) == 0 ||
	       ip[0] == 0xff || memcmp(ip, mapped, 12) == 0 ||
	       is_link_local(ip);
}

static bool is_source(const struct guard_spec *spec, uint8_t family,
		      const uint8_t *ip)
{
	int longest = -1;
	bool allowed = false;

	if (is_own(spec, family, ip) || is_never(family, ip))
		return false;
	for (size_t i = 0; i < spec->n_nets; i++) {
		const struct guard_net *n = &spec->nets[i];
		int len = n->net.len;

		if (n->net.family != family ||
		    !holds(n->net.ip, n->net.len, ip))
			continue;
		if (len > longest)
			allowed = n->what == GUARD_ALLOW;
		else if (len == longest && n->what == GUARD_DENY)
			allowed = false;
		if (len > longest)
			longest = len;
	}
	return allowed;
}

static unsigned u16(const struct packet *p, size_t at)
{
	return (unsigned)p->at[at] << 8 | p->at[at + 1];
}

/* An IPv4 packet from 0.0.0.0. */
static bool asks_dhcp4(const struct guard_spec *spec, const struct packet *p)
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	return spec->ethernet && spec->dhcp && p->len >= 24 &&
	       !is_own(spec, 4, p->at + 12) &&
	       memcmp(p->at + 16, all, 4) == 0 && p->at[0] == 0x45 &&
	       p->at[9] == 17 && (u16(p, 6) & 0x3fff) == 0 &&
	       u16(p, 20) == 68 && u16(p, 22) == 67;
}

/* An IPv6 packet from fe80::/10. */
static bool is_neighbour(const struct guard_spec *spec, const struct packet *p)
{
	if (!spec->ethernet || is_own(spec, 6, p->at + 8))
		return false;
	if (p->at[6] == 58)
		return p->len >= 41 && (p->at[40] == 133 || p->at[40] == 135 ||
					p->at[40] == 136);
	return p->at[6] == 17 && spec->dhcp && p->len >= 44 &&
	       u16(p, 40) == 546 && u16(p, 42) == 547;
}

static bool arp_comes_in(const struct guard_spec *spec, const struct packet *p)
{
	static const uint8_t head[6] = { 0, 1, 8, 0, 6, 4 }, zero[4];
	unsigned op;

	if (!spec->ethernet || p->len < 18 || memcmp(p->at, head, 6) != 0)
		return false;
	op = u16(p, 6);
	if (op == 1 && memcmp(p->at + 14, zero, 4) == 0)
		return !is_own(spec, 4, p->at + 14);
	return (op == 1 || op == 2) && is_source(spec, 4, p->at + 14);
}

bool judge_comes_in(const struct guard_spec *spec, const struct packet *p)
{
	static const uint8_t zero[4];

	if (p->vlan)
		return false;
	switch (p->protocol) {
	case PACKET_IP4:
		if (p->len < 16)
			return false;
		if (memcmp(p->at + 12, zero, 4) == 0)
			return asks_dhcp4(spec, p);
		return is_source(spec, 4, p->at + 12);
	case PACKET_IP6:
		if (p->len < 24)
			return false;
		if (is_link_local(p->at + 8))
			return is_neighbour(spec, p);
		return is_source(spec, 6, p->at + 8);
	case PACKET_ARP:
		return arp_comes_in(spec, p);
	default:
		return false;
	}
}

/* --- the kernel ----------------------------------------------------------- */

struct machine {
	const struct packet *p;
	uint32_t a;
	struct judge_run run;
};

/* False if the program ends with 0 because of it. */
static bool load(struct machine *m, size_t size, uint32_t k)
{
	int32_t offset = (int32_t)k;
	int64_t at = (int64_t)offset - SKF_NET_OFF;

	if (offset >= SKF_AD_OFF && offset < 0) {
		if (offset == SKF_AD_OFF + SKF_AD_PROTOCOL)
			m->a = m->p->protocol;
		else if (offset == SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)
			m->a = m->p->vlan;
		else
			m->run.wrong = "it loads what we do not know";
		return true;
	}
	if (offset >= 0) {
		/* Differs between TUN and TAP. */
		m->run.wrong = "it loads from where the link's header is";
		return true;
	}
	m->run.loads++;
	if (at < 0 || (uint64_t)at + size > m->p->len)
		return false;
	m->a = 0;
	for (size_t i = 0; i < size; i++)
		m->a = m->a << 8 | m->p->at[at + (int64_t)i];
	return true;
}

static bool compare(const struct guard_insn *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	default:
		return a & i->k;
	}
}

/* The next one, or NULL at the end. */
static const struct guard_insn *step(struct machine *m,
				     const struct guard_insn *i)
{
	m->run.steps++;
	switch (i->code) {
	case BPF_RET | BPF_K:
		m->run.accepts = i->k != 0;
		return NULL;
	case BPF_JMP | BPF_JA:
		return i + 1 + i->k;
	case BPF_JMP | BPF_K | BPF_JEQ:
	case BPF_JMP | BPF_K | BPF_JGT:
	case BPF_JMP | BPF_K | BPF_JGE:
	case BPF_JMP | BPF_K | BPF_JSET:
		return i + 1 + (compare(i, m->a) ? i->jt : i->jf);
	case BPF_LD | BPF_ABS | BPF_B:
		return load(m, 1, i->k) ? i + 1 : NULL;
	case BPF_LD | BPF_ABS | BPF_H:
		return load(m, 2, i->k) ? i + 1 : NULL;
	case BPF_LD | BPF_ABS | BPF_W:
		return load(m, 4, i->k) ? i + 1 : NULL;
	default:
		m->run.wrong = "an instruction that we do not know";
		return NULL;
	}
}

struct judge_run judge_run(const struct guard_insn *program, size_t n,
			   const struct packet *p)
{
	struct machine m = { .p = p };
	const struct guard_insn *i = program;

	while (i && !m.run.wrong) {
		if (i >= program + n)
			m.run.wrong = "it goes on behind its end";
		else
			i = step(&m, i);
	}
	return m.run;
}
