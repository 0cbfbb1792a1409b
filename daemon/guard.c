#include "guard.h"

#include <errno.h>

#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include "guard_code.h"
#include "guard_set.h"

/*
 * Offsets.  Those into a packet count from its network header, so that a TUN's
 * and a TAP's are the same; each of these loads is a call, while what is known
 * beside the packet is read without one.
 */
#define AT_PROTOCOL	(SKF_AD_OFF + SKF_AD_PROTOCOL)
#define AT_VLAN		(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)
#define AT(offset)	(SKF_NET_OFF + (offset))

#define IP4_VERSION_LENGTH	AT(0)
#define IP4_FRAGMENT		AT(6)
#define IP4_PROTOCOL		AT(9)
#define IP4_SOURCE		AT(12)
#define IP4_DESTINATION		AT(16)
#define IP4_PORTS		AT(20)	/* no options, no fragment */

#define IP6_NEXT		AT(6)
#define IP6_SOURCE		AT(8)
#define IP6_ICMP_TYPE		AT(40)	/* no extension headers */
#define IP6_PORTS		AT(40)

#define ARP_TYPES		AT(0)	/* of hardware and of protocol */
#define ARP_LENGTHS_OP		AT(4)
#define ARP_SENDER		AT(14)

#define IP4_NO_OPTIONS		0x45
#define IP4_IS_FRAGMENT		0x3fff	/* more to come, or an offset */
#define ARP_ETHERNET_IP4	(ARPHRD_ETHER << 16 | ETH_P_IP)
#define ARP_LENGTHS_AND(op)	(0x06040000 | (op))
#define DHCP4_PORTS		(68 << 16 | 67)
#define DHCP6_PORTS		(546 << 16 | 547)

/* The ends by their short names: all below goes to one of these in the end. */
#define DROP	GUARD_END_DROP
#define ACCEPT	GUARD_END_ACCEPT

/* Sources whose words before one are known, and of that one the range. */
struct span {
	unsigned word;
	uint32_t first, last;
	const struct guard_change *at;	/* what changes behind the first */
	size_t n;
	enum guard_end end;		/* of the first */
};

/* Is it at, or before, the lowest source of which the word is `first`? */
static bool begins_by(const struct guard_change *change, unsigned word,
		      uint32_t first)
{
	if (change->first[word] != first)
		return change->first[word] < first;
	while (++word < GUARD_WORDS) {
		if (change->first[word] != 0)
			return false;
	}
	return true;
}

static struct span part(const struct span *s, uint32_t first, uint32_t last)
{
	struct span p = *s;

	p.first = first;
	p.last = last;
	for (; p.n > 0 && begins_by(p.at, p.word, first); p.at++, p.n--)
		p.end = p.at->end;
	while (p.n > 0 && p.at[p.n - 1].first[p.word] > last)
		p.n--;
	return p;
}

/* Only one value, and not the last, is not as all the rest. */
static bool is_single(const struct span *s, struct span *ret_single)
{
	uint32_t value = s->at[0].first[s->word];
	struct span after;

	if (value == s->last)
		return false;
	*ret_single = part(s, value, value);
	after = part(s, value + 1, s->last);
	return after.n == 0 && after.end == s->end;
}

/*
 * The value from which on to part them, so that about as many changes are left
 * on each side: that of the change in the middle, or the one behind it.
 */
static uint32_t middle(const struct span *s)
{
	uint32_t value = s->at[s->n / 2].first[s->word];
	size_t below = 0, above = 0;

	if (value == s->first)
		return value + 1;
	for (size_t i = 0; i < s->n; i++) {
		below += s->at[i].first[s->word] < value;
		above += s->at[i].first[s->word] > value;
	}
	return below >= above ? value : value + 1;
}

static size_t next_word(struct guard_code *c, const struct span *s);

/*
 * Tells the sources of a span apart, with its word loaded.  Each step halves
 * what is left, or gets nearer to a word of a single value, so this goes down
 * for some forty steps at most.
 */
static size_t tree(struct guard_code *c, const struct span *s)
{
	struct span low, high;
	uint32_t value;
	size_t above;

	if (s->n == 0)
		return s->end;
	if (s->first == s->last)
		return next_word(c, s);
	if (is_single(s, &low))
		return guard_code_if(c, GUARD_EQUAL, low.first, tree(c, &low),
				     s->end);
	value = middle(s);
	low = part(s, s->first, value - 1);
	high = part(s, value, s->last);
	above = tree(c, &high);
	return guard_code_if(c, GUARD_AT_LEAST, value, above, tree(c, &low));
}

/* Only IPv6 sources have one: an IPv4 source ends with its first. */
static size_t next_word(struct guard_code *c, const struct span *s)
{
	struct span next = *s;

	next.word++;
	next.first = 0;
	next.last = UINT32_MAX;
	return guard_code_load(c, GUARD_WORD,
			       IP6_SOURCE + 4 * (int)next.word, tree(c, &next));
}

static size_t tree_of(struct guard_code *c, const struct guard_set *set)
{
	struct span all = {
		.last = UINT32_MAX, .at = set->at + 1, .n = set->n - 1,
		.end = set->at[0].end,
	};

	return tree(c, &all);
}

/*
 * Load, and go on only if it is that.  Here and below a program is written
 * from its end, so that it reads from the bottom up.
 */
static size_t expect(struct guard_code *c, enum guard_size size, int offset,
		     uint32_t k, size_t next)
{
	return guard_code_load(c, size, offset,
			       guard_code_if(c, GUARD_EQUAL, k, next, DROP));
}

/* IPv4 from 0.0.0.0: a client's question to all, in one piece. */
static size_t dhcp4(struct guard_code *c)
{
	size_t at;

	at = expect(c, GUARD_WORD, IP4_PORTS, DHCP4_PORTS, ACCEPT);
	at = guard_code_if(c, GUARD_ANY_BIT, IP4_IS_FRAGMENT, DROP, at);
	at = guard_code_load(c, GUARD_HALF, IP4_FRAGMENT, at);
	at = expect(c, GUARD_BYTE, IP4_PROTOCOL, IPPROTO_UDP, at);
	at = expect(c, GUARD_BYTE, IP4_VERSION_LENGTH, IP4_NO_OPTIONS, at);
	return expect(c, GUARD_WORD, IP4_DESTINATION, INADDR_BROADCAST, at);
}

/*
 * 0.0.0.0, as the sender of ARP or as the source of IPv4; both come here by
 * the same tree.  RFC 5227: who probes an address has none yet.
 */
static size_t zero(struct guard_code *c, bool dhcp)
{
	size_t ip4 = dhcp ? dhcp4(c) : DROP, probe;

	probe = expect(c, GUARD_WORD, ARP_LENGTHS_OP,
		       ARP_LENGTHS_AND(ARPOP_REQUEST), ACCEPT);
	probe = guard_code_if(c, GUARD_EQUAL, ETH_P_ARP, probe, ip4);
	return guard_code_load(c, GUARD_WORD, AT_PROTOCOL, probe);
}

/*
 * fe80::/10: what neighbours must say to each other.  Not the advertisements
 * of routers, which would make the holder the host's router; and no extension
 * headers, behind which one could hide.
 */
static size_t link_local(struct guard_code *c, bool dhcp)
{
	static const uint8_t types[] = {
		ND_ROUTER_SOLICIT, ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT,
	};
	size_t icmp = DROP, udp = DROP;

	for (size_t i = 0; i < sizeof(types); i++)
		icmp = guard_code_if(c, GUARD_EQUAL, types[i], ACCEPT, icmp);
	icmp = guard_code_load(c, GUARD_BYTE, IP6_ICMP_TYPE, icmp);
	if (dhcp)
		udp = expect(c, GUARD_WORD, IP6_PORTS, DHCP6_PORTS, ACCEPT);
	udp = guard_code_if(c, GUARD_EQUAL, IPPROTO_UDP, udp, DROP);
	icmp = guard_code_if(c, GUARD_EQUAL, IPPROTO_ICMPV6, icmp, udp);
	return guard_code_load(c, GUARD_BYTE, IP6_NEXT, icmp);
}

/* sources: the tree of IPv4. */
static size_t arp(struct guard_code *c, size_t sources)
{
	size_t at;

	at = guard_code_load(c, GUARD_WORD, ARP_SENDER, sources);
	at = guard_code_if(c, GUARD_EQUAL, ARP_LENGTHS_AND(ARPOP_REQUEST), at,
			   guard_code_if(c, GUARD_EQUAL,
					 ARP_LENGTHS_AND(ARPOP_REPLY), at,
					 DROP));
	at = guard_code_load(c, GUARD_WORD, ARP_LENGTHS_OP, at);
	return expect(c, GUARD_WORD, ARP_TYPES, ARP_ETHERNET_IP4, at);
}

/*
 * The version that the packet itself states is not looked at: of a TUN's it is
 * what the kernel has the protocol from, and of a TAP's IP drops what does not
 * agree with the frame, here and wherever the frame is bridged to.
 *
 * A frame with a tag belongs to a device of that VLAN, about whose sources
 * nobody was asked.
 */
static size_t program(struct guard_code *c, const struct guard_spec *spec,
		      const struct guard_set *set4,
		      const struct guard_set *set6)
{
	size_t ip6, ip4, tree4, other = DROP, at;

	if (spec->ethernet) {
		guard_code_define(c, GUARD_END_ZERO, zero(c, spec->dhcp));
		guard_code_define(c, GUARD_END_LINK, link_local(c, spec->dhcp));
	}
	ip6 = guard_code_load(c, GUARD_WORD, IP6_SOURCE, tree_of(c, set6));
	tree4 = tree_of(c, set4);
	ip4 = guard_code_load(c, GUARD_WORD, IP4_SOURCE, tree4);
	if (spec->ethernet)
		other = guard_code_if(c, GUARD_EQUAL, ETH_P_ARP, arp(c, tree4),
				      DROP);
	at = guard_code_if(c, GUARD_EQUAL, ETH_P_IPV6, ip6, other);
	at = guard_code_if(c, GUARD_EQUAL, ETH_P_IP, ip4, at);
	at = guard_code_load(c, GUARD_WORD, AT_PROTOCOL, at);
	at = guard_code_if(c, GUARD_EQUAL, 0, at, DROP);
	return guard_code_load(c, GUARD_WORD, AT_VLAN, at);
}

int guard_build(const struct guard_spec *spec, struct guard_insn *ret,
		size_t cap)
{
	struct guard_set set4 = { 0 }, set6 = { 0 };
	struct guard_code code = { 0 };
	int r;

	r = guard_set_make(spec, 4, &set4);
	if (r == 0)
		r = guard_set_make(spec, 6, &set6);
	if (r == 0)
		r = guard_code_init(&code, cap);
	if (r != 0)
		goto out;
	/* A comparison tells two changes at most: no need to try. */
	if ((set4.n + set6.n) / 2 > code.cap) {
		r = -E2BIG;
		goto out;
	}
	r = guard_code_take(&code, program(&code, spec, &set4, &set6), ret);
out:
	guard_code_free(&code);
	guard_set_free(&set4);
	guard_set_free(&set6);
	return r;
}
