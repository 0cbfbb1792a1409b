/*
 * The source guard's program: what daemon/guard.h says of it, sentence by
 * sentence; then random ones, beside a second reading of these words
 * (tests/reference/guard_judge.c) and, where it can be, beside the kernel.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include "../reference/guard_judge.h"
#include "../reference/guard_random.h"

#define NETS_MAX	100000
#define OWN_MAX	1000
#define SPECS		(getenv("TUNTAPD_SLOW") ? 400U : \
			 getenv("TUNTAPD_SANITIZED") ? 2000U : 8000U)
#define PACKETS		100		/* for each */
#define LONG_SPECS	40

static struct guard_net nets[NETS_MAX];
static struct prefix own[OWN_MAX];
static struct guard_spec spec;
static struct guard_insn program[GUARD_INSNS_MAX + 1];

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_msg(prefix_parse(text, &p, NULL) == 0, "%s", text);
	return p;
}

static void begin(bool ethernet, bool dhcp)
{
	spec = (struct guard_spec){
		.ethernet = ethernet, .dhcp = dhcp, .nets = nets, .own = own,
	};
}

static void add(struct prefix net, bool allow)
{
	nets[spec.n_nets].net = net;
	nets[spec.n_nets++].what = allow ? GUARD_ALLOW : GUARD_DENY;
}

static void allow(const char *net)
{
	add(prefix(net), true);
}

static void deny(const char *net)
{
	add(prefix(net), false);
}

static void is_own(const char *address)
{
	own[spec.n_own++] = prefix(address);
}

static int build(void)
{
	int n = guard_build(&spec, program, GUARD_INSNS_MAX);

	ck_assert_msg(n > 0, "guard_build: %d", n);
	return n;
}

/* By the program; the second reading must agree. */
static bool comes_in(struct packet p)
{
	struct judge_run run = judge_run(program, (size_t)build(), &p);

	ck_assert_msg(!run.wrong, "%s", run.wrong);
	ck_assert_msg(run.accepts == judge_comes_in(&spec, &p),
		      "the program says %d, the reference does not",
		      run.accepts);
	return run.accepts;
}

static bool from(const char *source)
{
	struct prefix p = prefix(source);

	return comes_in(packet_from(&p));
}

static bool arp(unsigned op, const char *sender)
{
	struct prefix p = prefix(sender);

	return comes_in(packet_arp(op, &p));
}

static bool icmp6(const char *source, uint8_t type)
{
	struct prefix p = prefix(source);

	return comes_in(packet_icmp6(&p, type));
}

static bool dhcp6(const char *source)
{
	struct prefix p = prefix(source);

	return comes_in(packet_dhcp6(&p));
}

/* With the byte there another one. */
static struct packet with(struct packet p, size_t at, unsigned value)
{
	ck_assert_uint_ne(p.at[at], value);
	p.at[at] = (uint8_t)value;
	return p;
}

static struct packet cut(struct packet p, size_t len)
{
	p.len = len;
	return p;
}

/* --- sentences ------------------------------------------------------------ */

START_TEST(nothing_without_a_prefix)
{
	for (int i = 0; i < 4; i++) {
		begin(i & 1, i & 2);
		ck_assert(!from("10.0.0.1"));
		ck_assert(!from("2001:db8::1"));
		ck_assert(!arp(1, "10.0.0.1"));
	}
}
END_TEST

START_TEST(a_prefix_from_its_first_to_its_last)
{
	static const struct {
		const char *net, *before, *first, *last, *behind;
	} rows[] = {
		{ "10.1.2.0/24", "10.1.1.255", "10.1.2.0", "10.1.2.255",
		  "10.1.3.0" },
		{ "10.1.2.3/32", "10.1.2.2", "10.1.2.3", "10.1.2.3",
		  "10.1.2.4" },
		{ "128.0.0.0/2", "127.255.255.255", "128.0.0.0",
		  "191.255.255.255", "192.0.0.0" },
		{ "2001:db8::/32", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
		  "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		  "2001:db9::" },
		{ "2001:db8:0:8::/61", "2001:db8:0:7:ffff:ffff:ffff:ffff",
		  "2001:db8:0:8::", "2001:db8:0:f:ffff:ffff:ffff:ffff",
		  "2001:db8:0:10::" },
		{ "2001:db8::5/128", "2001:db8::4", "2001:db8::5",
		  "2001:db8::5", "2001:db8::6" },
		{ "2001:db8:0:1::/64", "2001:db8:0:0:ffff:ffff:ffff:ffff",
		  "2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff",
		  "2001:db8:0:2::" },
		{ "2001:db8:ffff:ffff:ffff:ffff::/96",
		  "2001:db8:ffff:ffff:ffff:fffe:ffff:ffff",
		  "2001:db8:ffff:ffff:ffff:ffff::",
		  "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin(i & 1, false);
		allow(rows[i].net);
		ck_assert_msg(!from(rows[i].before), "%s", rows[i].before);
		ck_assert_msg(from(rows[i].first), "%s", rows[i].first);
		ck_assert_msg(from(rows[i].last), "%s", rows[i].last);
		ck_assert_msg(!from(rows[i].behind), "%s", rows[i].behind);
	}
}
END_TEST

START_TEST(the_longest_decides_of_equals_deny)
{
	/* Any order; the bits behind a length do not matter. */
	begin(false, false);
	allow("10.1.2.7/24");
	deny("10.1.0.0/16");
	allow("10.0.0.0/8");
	deny("10.1.2.128/25");
	allow("10.1.2.200/32");
	ck_assert(from("10.0.255.255"));
	ck_assert(!from("10.1.0.0") && !from("10.1.1.255"));
	ck_assert(from("10.1.2.0") && from("10.1.2.127"));
	ck_assert(!from("10.1.2.128") && !from("10.1.2.199"));
	ck_assert(from("10.1.2.200"));
	ck_assert(!from("10.1.2.201") && !from("10.1.255.255"));
	ck_assert(from("10.2.0.0"));
	deny("10.1.2.200/32");
	ck_assert(!from("10.1.2.200"));
	allow("10.1.2.200/32");
	ck_assert(!from("10.1.2.200"));

	begin(false, false);
	deny("2001:db8::/64");
	allow("2001:db8::/32");
	allow("2001:db8::/64");
	allow("2001:db8::77/128");
	ck_assert(from("2001:db8:1::1") && !from("2001:db8::1"));
	ck_assert(from("2001:db8::77") && !from("2001:db8::78"));
}
END_TEST

/* Their numbers may be the same, their addresses are not. */
START_TEST(families_are_apart)
{
	begin(false, false);
	allow("32.1.13.184/32");
	ck_assert(from("32.1.13.184") && !from("2001:db8::"));
	begin(false, false);
	allow("2001:db8::/32");
	ck_assert(!from("32.1.13.184") && from("2001:db8::"));
}
END_TEST

START_TEST(the_host_s_own_never)
{
	begin(true, true);
	allow("0.0.0.0/0");
	allow("10.0.0.1/32");
	allow("::/0");
	is_own("10.0.0.1/8");		/* an address, whatever its length */
	is_own("2001:db8::1/64");
	is_own("fe80::1/64");
	ck_assert(!from("10.0.0.1") && !arp(1, "10.0.0.1"));
	ck_assert(!arp(2, "10.0.0.1"));
	ck_assert(from("10.0.0.0") && from("10.0.0.2") && arp(2, "10.0.0.2"));
	ck_assert(!from("2001:db8::1") && !icmp6("2001:db8::1", 135));
	ck_assert(from("2001:db8::") && from("2001:db8::2"));
	ck_assert(!icmp6("fe80::1", 135) && !dhcp6("fe80::1"));
	ck_assert(icmp6("fe80::2", 135) && dhcp6("fe80::2"));
}
END_TEST

START_TEST(some_never_whatever_is_allowed)
{
	static const char *const never[] = {
		"0.0.0.0", "0.0.0.1", "0.255.255.255", "127.0.0.0",
		"127.0.0.1", "127.255.255.255", "224.0.0.0", "224.0.0.1",
		"239.255.255.255", "255.255.255.255", "::", "::1", "ff00::",
		"ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"::ffff:0:0", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
		"::ffff:255.255.255.255", "fe80::", "fe80::1",
		"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	}, *const besides[] = {
		"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255",
		"240.0.0.0", "255.255.255.254", "::2", "::fffe:ffff:ffff",
		"::1:0:0:0", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	for (int tap = 0; tap < 2; tap++) {
		begin(tap, true);
		allow("0.0.0.0/0");
		allow("::/0");
		for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
			allow(never[i]);
		allow("127.0.0.0/9");
		allow("fe80::/64");
		allow("::ffff:0:0/112");
		for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
			ck_assert_msg(!from(never[i]), "%s", never[i]);
		for (size_t i = 0; i < sizeof(besides) / sizeof(*besides); i++)
			ck_assert_msg(from(besides[i]), "%s", besides[i]);
	}
}
END_TEST

START_TEST(a_vlan_tag_never)
{
	struct prefix p = prefix("10.0.0.1");
	struct packet packet = packet_from(&p);

	for (int tap = 0; tap < 2; tap++) {
		begin(tap, false);
		allow("10.0.0.0/8");
		packet.vlan = false;
		ck_assert(comes_in(packet));
		packet.vlan = true;
		ck_assert(!comes_in(packet));
	}
}
END_TEST

START_TEST(ip_and_arp_and_nothing_else)
{
	struct prefix p = prefix("10.0.0.1");
	struct packet packet = packet_from(&p);

	begin(true, true);
	allow("0.0.0.0/0");
	allow("::/0");
	for (unsigned protocol = 0; protocol <= UINT16_MAX; protocol++) {
		packet.protocol = (uint16_t)protocol;
		if (protocol != PACKET_IP4 && protocol != PACKET_IP6)
			ck_assert(!comes_in(packet));
	}
	ck_assert(arp(1, "10.0.0.1"));
	spec.ethernet = false;
	ck_assert(!arp(1, "10.0.0.1"));
}
END_TEST

START_TEST(arp_tells_of_allowed_senders)
{
	struct prefix p = prefix("10.0.0.1");
	struct packet good = packet_arp(1, &p);

	begin(true, false);
	allow("10.0.0.0/24");
	deny("10.0.0.7/32");
	ck_assert(arp(1, "10.0.0.1") && arp(2, "10.0.0.1"));
	ck_assert(!arp(1, "10.0.0.7") && !arp(2, "10.0.0.7"));
	ck_assert(!arp(1, "10.0.1.0") && !arp(2, "9.255.255.255"));
	for (unsigned op = 0; op < 16; op++)
		ck_assert(arp(op, "10.0.0.1") == (op == 1 || op == 2));
	ck_assert(!arp(0x0101, "10.0.0.1") && !arp(0x0201, "10.0.0.1"));
	/* Hardware, protocol, and the lengths of their addresses. */
	ck_assert(!comes_in(with(good, 0, 1)) && !comes_in(with(good, 1, 6)));
	ck_assert(!comes_in(with(good, 2, 0x86)));
	ck_assert(!comes_in(with(good, 3, 1)));
	ck_assert(!comes_in(with(good, 4, 8)) && !comes_in(with(good, 5, 16)));
	/* Probes, which are requests. */
	ck_assert(arp(1, "0.0.0.0") && !arp(2, "0.0.0.0"));
	ck_assert(!arp(1, "0.0.0.1"));
	ck_assert(comes_in(cut(good, 18)) && !comes_in(cut(good, 17)));
	ck_assert(!comes_in(cut(good, 7)) && !comes_in(cut(good, 0)));
}
END_TEST

START_TEST(neighbours_are_heard_on_a_tap)
{
	struct prefix p = prefix("fe80::1");
	struct packet good = packet_icmp6(&p, 135);

	begin(true, false);
	for (unsigned type = 0; type <= UINT8_MAX; type++)
		ck_assert_msg(icmp6("fe80::1", (uint8_t)type) ==
			      (type == 133 || type == 135 || type == 136),
			      "%u", type);
	ck_assert(icmp6("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 136));
	ck_assert(!icmp6("fec0::1", 136) && !icmp6("fe7f::1", 136));
	ck_assert(!icmp6("2001:db8::1", 135) && !icmp6("::", 135));
	/* Behind a header of options, of a route, a fragment, destination's. */
	ck_assert(!comes_in(with(good, 6, 0)) && !comes_in(with(good, 6, 43)));
	ck_assert(!comes_in(with(good, 6, 44)));
	ck_assert(!comes_in(with(good, 6, 60)));
	ck_assert(!comes_in(with(good, 6, 1)) && !comes_in(with(good, 6, 17)));
	ck_assert(comes_in(cut(good, 41)) && !comes_in(cut(good, 40)));
	/* Not that they were allowed all the rest. */
	allow("fe80::/10");
	ck_assert(!from("fe80::1") && !icmp6("fe80::1", 134));
	spec.ethernet = false;
	ck_assert(!icmp6("fe80::1", 135) && !from("fe80::1"));
}
END_TEST

START_TEST(dhcp6_asks_where_it_may)
{
	struct prefix p = prefix("fe80::1");
	struct packet good = packet_dhcp6(&p);

	begin(true, true);
	ck_assert(dhcp6("fe80::1") && !dhcp6("2001:db8::1") && !dhcp6("::"));
	ck_assert(icmp6("fe80::1", 135) && !icmp6("fe80::1", 134));
	ck_assert(!comes_in(with(good, 6, 6)) && !comes_in(with(good, 6, 44)));
	ck_assert(!comes_in(with(good, 6, 58)));
	for (size_t at = 40; at < 44; at++)
		ck_assert(!comes_in(with(good, at, 9)));
	ck_assert(comes_in(cut(good, 44)) && !comes_in(cut(good, 43)));
	spec.dhcp = false;
	ck_assert(!dhcp6("fe80::1"));
	spec.dhcp = true;
	spec.ethernet = false;
	ck_assert(!dhcp6("fe80::1"));
}
END_TEST

START_TEST(dhcp4_asks_where_it_may)
{
	static const struct {
		uint8_t at, value;
	} wrong[] = {
		{ 0, 0x46 }, { 0, 0x44 }, { 0, 0x65 },	/* options; version */
		{ 6, 0x20 }, { 6, 0x01 }, { 7, 0x01 },	/* fragments */
		{ 6, 0x1f }, { 7, 0xff }, { 9, 6 },
		{ 12, 1 }, { 13, 1 }, { 14, 1 }, { 15, 1 },
		{ 16, 254 }, { 17, 0 }, { 18, 0 }, { 19, 254 },
		{ 20, 1 }, { 21, 67 }, { 22, 1 }, { 23, 68 },
	};
	struct packet good = packet_dhcp4();

	begin(true, true);
	ck_assert(comes_in(good));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(!comes_in(with(good, wrong[i].at,
					     wrong[i].value)),
			      "%u: %u", wrong[i].at, wrong[i].value);
	/* Not to be fragmented is no fragment. */
	ck_assert(comes_in(with(good, 6, 0x40)));
	ck_assert(comes_in(with(good, 6, 0x80)));
	ck_assert(comes_in(cut(good, 24)) && !comes_in(cut(good, 23)));
	spec.dhcp = false;
	ck_assert(!comes_in(good));
	spec.dhcp = true;
	spec.ethernet = false;
	ck_assert(!comes_in(good));
	allow("0.0.0.0/0");
	ck_assert(!comes_in(good));
}
END_TEST

START_TEST(what_is_too_short_does_not_come_in)
{
	struct prefix four = prefix("10.0.0.1"), six = prefix("2001:db8::1");

	for (int tap = 0; tap < 2; tap++) {
		begin(tap, true);
		allow("10.0.0.1/32");
		allow("2001:db8::1/128");
		for (size_t len = 0; len < PACKET_MAX; len++) {
			ck_assert(comes_in(cut(packet_from(&four), len)) ==
				  (len >= 16));
			ck_assert(comes_in(cut(packet_from(&six), len)) ==
				  (len >= 24));
		}
	}
}
END_TEST

/* --- at random ------------------------------------------------------------ */

static struct random_spec some;

static void say_packet(const struct packet *p)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < some.spec.n_nets && i < 64; i++)
		printf("%s %s\n", some.nets[i].what == GUARD_ALLOW ? "allow" :
		       "deny", prefix_format(&some.nets[i].net, text));
	for (size_t i = 0; i < some.spec.n_own; i++)
		printf("own %s\n", prefix_format(&some.own[i], text));
	printf("ethernet %d dhcp %d; vlan %d protocol %04x length %zu:",
	       some.spec.ethernet, some.spec.dhcp, p->vlan, p->protocol,
	       p->len);
	for (size_t i = 0; i < 48; i++)
		printf(" %02x", p->at[i]);
	printf("\n");
}

/*
 * A program need not look at all words of an IPv6 source.  If it lets one in
 * that is not all there, then whatever it goes on with would come in.
 */
static bool is_cut_source(const struct packet *p)
{
	return p->protocol == PACKET_IP6 && !p->vlan && p->len < 24;
}

static bool would_come_in(const struct packet *p)
{
	static const uint8_t fill[] = { 0, 0xff, 1, 0xa5 };
	struct packet all = *p;

	all.len = 80;
	if (!judge_comes_in(&some.spec, &all))
		return false;
	for (size_t i = 0; i < sizeof(fill); i++) {
		memset(all.at + p->len, fill[i], sizeof(all.at) - p->len);
		if (!judge_comes_in(&some.spec, &all))
			return false;
	}
	return true;
}

/* Returns if it comes in. */
static bool ask(size_t n, const struct packet *p)
{
	struct judge_run run = judge_run(program, n, p);
	bool wanted = judge_comes_in(&some.spec, p);

	if (run.accepts && is_cut_source(p))
		wanted = would_come_in(p);
	else if (is_cut_source(p))
		wanted = false;
	if (!run.wrong && run.accepts == wanted)
		return wanted;
	say_packet(p);
	ck_abort_msg("%s: the program says %d, the reference %d",
		     run.wrong ? run.wrong : "", run.accepts, wanted);
}

/* What it takes is what it must have, and all that it writes. */
static int build_some(void)
{
	static struct guard_insn exact[GUARD_INSNS_MAX + 1], was[1];
	int n = guard_build(&some.spec, program, GUARD_INSNS_MAX);

	ck_assert_msg(n > 0, "guard_build: %d", n);
	memset(exact, 0x5a, sizeof(exact));
	memset(was, 0x5a, sizeof(was));
	ck_assert_int_eq(guard_build(&some.spec, exact, (size_t)n - 1), -E2BIG);
	for (int i = 0; i <= n; i++) {
		if (memcmp(&exact[i], was, sizeof(was)) != 0)
			ck_abort_msg("it failed, and wrote to ret[%d]", i);
	}
	ck_assert_int_eq(guard_build(&some.spec, exact, (size_t)n), n);
	ck_assert_int_eq(memcmp(exact, program, (size_t)n * sizeof(*exact)), 0);
	ck_assert_int_eq(memcmp(&exact[n], was, sizeof(was)), 0);
	return n;
}

static uint64_t seed(void)
{
	const char *text = getenv("TUNTAPD_GUARD_SEED");

	return text ? strtoull(text, NULL, 10) : 1;
}

START_TEST(no_difference_at_random)
{
	size_t packets = 0, in = 0;
	int most = 0;

	random_seed(seed());
	for (unsigned i = 0; i < SPECS; i++) {
		int n;

		random_spec(&some, i % 8 ? 14 : 120);
		n = build_some();
		most = n > most ? n : most;
		for (unsigned k = 0; k < PACKETS; k++, packets++) {
			struct packet p = random_packet(&some.spec);

			in += ask((size_t)n, &p);
		}
	}
	printf("guard: %u programs of up to %d instructions, %zu packets, %zu "
	       "came in, no difference\n", SPECS, most, packets, in);
	/* Else this says little. */
	ck_assert_uint_gt(in, packets / 8);
	ck_assert_uint_lt(in, packets - packets / 8);
}
END_TEST

/* Where jumps must be prolonged. */
START_TEST(no_difference_at_random_in_long_ones)
{
	size_t packets = 0, in = 0;
	int most = 0;

	random_seed(seed() + 1);
	for (unsigned i = 0; i < LONG_SPECS; i++) {
		int n;

		do
			random_spec(&some, RANDOM_NETS_MAX);
		while (some.spec.n_nets < RANDOM_NETS_MAX / 2);
		n = build_some();
		most = n > most ? n : most;
		for (unsigned k = 0; k < 25 * PACKETS; k++, packets++) {
			struct packet p = random_packet(&some.spec);

			in += ask((size_t)n, &p);
		}
	}
	printf("guard: %u programs of up to %d instructions, %zu packets, %zu "
	       "came in, no difference\n", LONG_SPECS, most, packets, in);
	ck_assert_int_gt(most, 1000);
}
END_TEST

/* --- sizes ---------------------------------------------------------------- */

/* Instructions on the longest way through; all jumps must be forward. */
static unsigned longest(int n)
{
	static unsigned way[GUARD_INSNS_MAX];

	for (int i = n - 1; i >= 0; i--) {
		const struct guard_insn *p = &program[i];
		int yes = i + 1, no = i + 1;

		way[i] = 1;
		if (BPF_CLASS(p->code) == BPF_RET)
			continue;
		if (p->code == (BPF_JMP | BPF_JA)) {
			yes = no = i + 1 + (int)p->k;
		} else if (BPF_CLASS(p->code) == BPF_JMP) {
			yes += p->jt;
			no += p->jf;
		}
		ck_assert_int_lt(yes, n);
		ck_assert_int_lt(no, n);
		way[i] += way[yes] > way[no] ? way[yes] : way[no];
	}
	return way[0];
}

/* i of many that do not touch: a /24 in every /23, a /64 likewise. */
static struct prefix apart(uint8_t family, unsigned i)
{
	struct prefix p = { .family = family };

	if (family == 4) {
		p = prefix("10.0.0.0/24");
		p.ip[0] = (uint8_t)(p.ip[0] + (i >> 15));
		p.ip[1] = (uint8_t)(i >> 7);
		p.ip[2] = (uint8_t)(i << 1);
	} else {
		p = prefix("2001:db8::/64");
		p.ip[5] = (uint8_t)(i >> 15);
		p.ip[6] = (uint8_t)(i >> 7);
		p.ip[7] = (uint8_t)(i << 1);
	}
	return p;
}

struct size {
	int insns;
	unsigned longest, steps, loads;
};

/* Steps and loads: the most that one packet from a net takes. */
static struct size size_of(const char *what)
{
	struct size s = { .insns = build() };

	s.longest = longest(s.insns);
	for (size_t i = 0; i < spec.n_nets; i++) {
		struct packet p = packet_from(&nets[i].net);
		struct judge_run run;

		/* Not the first, which may be the host's. */
		p.at[p.protocol == PACKET_IP4 ? 15 : 23] = 200;
		run = judge_run(program, (size_t)s.insns, &p);
		ck_assert(!run.wrong);
		ck_assert(run.accepts == judge_comes_in(&spec, &p));
		s.steps = run.steps > s.steps ? run.steps : s.steps;
		s.loads = run.loads > s.loads ? run.loads : s.loads;
	}
	printf("guard: %-34s %4d instructions, longest way %2u; a source of "
	       "the nets: %2u, %u loads\n", what, s.insns, s.longest, s.steps,
	       s.loads);
	return s;
}

static void many(uint8_t family, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		add(apart(family, i), true);
}

/*
 * What it was when it was written: less is better, more wants a reason.  The
 * most that a source of the nets may take, the loads above all, is what counts.
 */
static void check(const char *what, struct size most)
{
	struct size s = size_of(what);

	ck_assert_int_le(s.insns, most.insns);
	ck_assert_uint_le(s.longest, most.longest);
	ck_assert_uint_le(s.steps, most.steps);
	ck_assert_uint_le(s.loads, most.loads);
}

START_TEST(small_programs_for_few_prefixes)
{
	begin(false, false);
	check("TUN, nothing", (struct size){ 3, 1, 0, 0 });
	allow("10.0.0.0/24");
	check("TUN, 1 net", (struct size){ 9, 8, 8, 1 });
	many(4, 3);
	add(apart(6, 0), true);
	check("TUN, 4 nets", (struct size){ 18, 10, 10, 2 });
	is_own("10.0.0.1");
	is_own("2001:db8::1");
	check("TUN, 4 nets, 2 own", (struct size){ 23, 14, 14, 4 });
	spec.ethernet = true;
	check("TAP, 4 nets, 2 own", (struct size){ 46, 22, 15, 4 });
	spec.dhcp = true;
	check("TAP, 4 nets, 2 own, DHCP", (struct size){ 59, 30, 15, 4 });
	begin(false, false);
	allow("0.0.0.0/0");
	allow("2000::/3");
	check("TUN, all the world", (struct size){ 17, 9, 9, 1 });
	deny("192.168.1.0/24");
	deny("2001:db8:7::/64");
	is_own("192.168.1.2");
	is_own("2001:db8:7::2");
	check("TUN, all the world but a LAN", (struct size){ 23, 11, 11, 2 });
}
END_TEST

START_TEST(the_longest_way_hardly_grows)
{
	begin(false, false);
	many(4, 64);
	check("TUN, 64 IPv4 nets", (struct size){ 135, 14, 14, 1 });
	begin(false, false);
	many(6, 64);
	check("TUN, 64 IPv6 nets", (struct size){ 137, 16, 16, 2 });
	many(4, 64);
	is_own("10.0.0.1");
	is_own("2001:db8::1");
	check("TUN, 64 IPv4, 64 IPv6 nets, 2 own",
	      (struct size){ 272, 19, 19, 4 });
	spec.ethernet = true;
	spec.dhcp = true;
	check("TAP, the same, DHCP", (struct size){ 309, 35, 20, 4 });
	begin(true, true);
	many(4, 250);
	many(6, 250);
	check("TAP, 250 IPv4, 250 IPv6 nets, DHCP",
	      (struct size){ 1043, 36, 20, 2 });
	begin(false, false);
	many(4, 500);
	check("TUN, 500 IPv4 nets", (struct size){ 1014, 17, 17, 1 });
	begin(false, false);
	many(6, 500);
	check("TUN, 500 IPv6 nets", (struct size){ 992, 20, 20, 2 });
	begin(false, false);
	for (uint32_t i = 0; i < 500; i++)
		add((struct prefix){ { 10, (uint8_t)(i >> 8), (uint8_t)i, 1 },
				     4, 32 }, true);
	check("TUN, 500 IPv4 hosts", (struct size){ 1002, 17, 17, 1 });
}
END_TEST

/* fe80::/10 between its own addresses: from all over to one place far away. */
START_TEST(a_far_end_from_many_places)
{
	struct prefix p = prefix("fe80::1");
	unsigned way;

	begin(true, true);
	for (unsigned i = 0; i < OWN_MAX; i++) {
		p.ip[9] = (uint8_t)(i >> 4);
		p.ip[13] = (uint8_t)(i << 4);
		own[spec.n_own++] = p;
	}
	way = longest(build());
	printf("guard: TAP, %d own: %d instructions, longest way %u\n", OWN_MAX,
	       build(), way);
	ck_assert_uint_le(way, 34);
	for (unsigned i = 0; i < OWN_MAX; i += 7) {
		p = own[i];
		ck_assert(!comes_in(packet_icmp6(&p, 135)));
		p.ip[15] = 0;
		ck_assert(comes_in(packet_icmp6(&p, 135)));
		ck_assert(!comes_in(packet_icmp6(&p, 134)));
		p.ip[15] = 2;
		ck_assert(comes_in(packet_dhcp6(&p)));
		ck_assert(!comes_in(packet_from(&p)));
	}
}
END_TEST

/* As many as there is room for, and one more. */
static void fill(uint8_t family, bool ethernet)
{
	char what[64];
	int r = 1, last = 0;
	struct size most = { GUARD_INSNS_MAX, 21, 21, 1 };

	if (family == 6)
		most = (struct size){ GUARD_INSNS_MAX, 24, 24, 2 };
	if (ethernet && family == 6)
		most = (struct size){ GUARD_INSNS_MAX, 28, 25, 2 };
	else if (ethernet)
		most.longest = 39;
	begin(ethernet, true);
	while (r > 0) {
		last = r;
		add(apart(family, (unsigned)spec.n_nets), true);
		r = guard_build(&spec, program, SIZE_MAX);
	}
	ck_assert_int_eq(r, -E2BIG);
	spec.n_nets--;
	ck_assert_int_eq(build(), last);
	ck_assert_int_gt(last, GUARD_INSNS_MAX - 8);
	snprintf(what, sizeof(what), "%s, %zu IPv%u nets", ethernet ? "TAP" :
		 "TUN", spec.n_nets, family);
	check(what, most);
}

START_TEST(the_largest_program)
{
	fill(4, false);
	fill(6, false);
	fill(4, true);
	fill(6, true);
}
END_TEST

START_TEST(no_room)
{
	struct guard_insn one[2] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
	const struct guard_insn was = one[0];
	int n;

	begin(false, false);
	for (size_t cap = 0; cap < 2; cap++)
		ck_assert_int_eq(guard_build(&spec, one, cap), -E2BIG);
	ck_assert_int_eq(memcmp(&was, one, sizeof(was)), 0);
	/* Nothing to say but no. */
	n = build();
	ck_assert_int_eq(guard_build(&spec, program, (size_t)n), n);
	ck_assert_int_eq(guard_build(&spec, program, (size_t)n - 1), -E2BIG);
}
END_TEST

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The host's table of routes may be the world's. */
START_TEST(a_hundred_thousand_prefixes)
{
	double began;
	int n;

	/* They are one. */
	begin(false, false);
	for (unsigned i = 0; i < 65536; i++) {
		nets[i].net = (struct prefix){
			{ 10, (uint8_t)i, (uint8_t)(i >> 8) }, 4, 24
		};
		nets[i].what = GUARD_ALLOW;
	}
	spec.n_nets = 65536;
	ck_assert_int_le(build(), 12);
	ck_assert(from("10.0.0.0") && from("10.255.255.255"));
	ck_assert(!from("9.255.255.255") && !from("11.0.0.0"));
	/* They say what is so without them. */
	begin(false, false);
	allow("2001:db8::/32");
	while (spec.n_nets < NETS_MAX)
		add(apart(4, (unsigned)spec.n_nets), false);
	ck_assert_int_le(build(), 12);
	/* They are too many. */
	begin(false, false);
	allow("0.0.0.0/0");
	while (spec.n_nets < NETS_MAX)
		add(apart(4, (unsigned)spec.n_nets), false);
	began = seconds();
	n = guard_build(&spec, program, GUARD_INSNS_MAX);
	printf("guard: %d nets in %.3f s\n", NETS_MAX, seconds() - began);
	ck_assert_int_eq(n, -E2BIG);
}
END_TEST

START_TEST(one_in_the_other_to_the_end)
{
	size_t n;

	begin(false, false);
	for (uint8_t len = 0; len <= 128; len++)
		add((struct prefix){ { 0x20, 1, 0xd, 0xb8 }, 6, len },
		    len % 2);
	for (uint8_t len = 0; len <= 32; len++)
		add((struct prefix){ { 10 }, 4, len }, len % 2 == 0);
	for (uint8_t len = 0; len <= 128; len++)
		add((struct prefix){ { 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
			6, len }, len % 2);
	memset(&some, 0, sizeof(some));
	some.spec = spec;
	random_seed(seed());
	n = (size_t)size_of("TUN, all lengths in each other").insns;
	for (unsigned i = 0; i < 20000; i++) {
		struct packet p = random_packet(&spec);

		ask(n, &p);
	}
}
END_TEST

START_TEST(no_memory)
{
	struct rlimit none = { 1, 1 };

	if (getenv("TUNTAPD_SANITIZED")) {
		printf("SKIP no_memory: a sanitizer has all the memory\n");
		return;
	}
	begin(false, false);
	many(4, 60000);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
	ck_assert_int_eq(guard_build(&spec, program, GUARD_INSNS_MAX), -ENOMEM);
}
END_TEST

/* --- the kernel ----------------------------------------------------------- */

/* errno, or 0. */
static int attach(int fd, int n)
{
	struct sock_fprog f = {
		.len = (unsigned short)n, .filter = (void *)program,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &f, sizeof(f)) < 0 ?
	       errno : 0;
}

/* A socket may not hold a long one where net.core.optmem_max is small. */
#define OPTMEM_ENOUGH	1000

START_TEST(the_kernel_takes_them)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;
	unsigned taken = 0;

	ck_assert_int_ge(fd, 0);
	random_seed(seed() + 2);
	for (unsigned i = 0; i < 400; i++) {
		random_spec(&some, i % 20 ? 30 : 200);
		n = guard_build(&some.spec, program, GUARD_INSNS_MAX);
		ck_assert_int_gt(n, 0);
		if (n < OPTMEM_ENOUGH)
			ck_assert_int_eq(attach(fd, n), 0);
		taken += n < OPTMEM_ENOUGH;
	}
	printf("guard: the kernel took %u random programs\n", taken);
	for (int i = 0; i < 4; i++) {
		int r;

		fill(i & 1 ? 6 : 4, i & 2);
		r = attach(fd, build());
		if (r == ENOMEM)
			printf("SKIP the_kernel_takes_them: "
			       "net.core.optmem_max is too small for the "
			       "largest\n");
		else
			ck_assert_int_eq(r, 0);
	}
	close(fd);
}
END_TEST

#define ETHER_LEN	14
#define FRAME_MAX	6000
#define FRAME_LONG	5000		/* not in one piece */
#define WAIT_MS		5000

/* In a network namespace of our own; 0 or errno. */
static int leave_network(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, r = 0;

	if (unshare(geteuid() == 0 ? CLONE_NEWNET :
		    CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		r = errno;
	close(fd);
	return r;
}

/* All that lo receives. */
static int listener(void)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING,
				    &one, sizeof(one)), 0);
	ck_assert_int_eq(bind(fd, (void *)&at, sizeof(at)), 0);
	return fd;
}

/* To somebody else: IP does not answer. */
static size_t frame_of(const struct packet *p, uint8_t *frame)
{
	static const uint8_t to[] = { 2, 0, 0, 0, 0, 1 };
	size_t n = 12;

	memset(frame, 0, FRAME_MAX);
	memcpy(frame, to, sizeof(to));
	if (p->vlan) {
		memcpy(frame + n, (const uint8_t[]){ 0x81, 0, 0, 7 }, 4);
		n += 4;
	}
	frame[n++] = (uint8_t)(p->protocol >> 8);
	frame[n++] = (uint8_t)p->protocol;
	memcpy(frame + n, p->at, p->len);
	n += p->len;
	/* The same, but for its length. */
	return p->len >= 48 && random_below(2) ? FRAME_LONG : n;
}

static bool has(int fd, int wait)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char byte;

	if (poll(&pfd, 1, wait) != 1)
		return false;
	ck_assert_int_ge(recv(fd, &byte, 1, MSG_TRUNC), 0);
	return true;
}

/*
 * all was there before filtered, and so gets a packet after it.  A tag in too
 * short a frame, and a length in the place of a protocol, the kernel treats
 * before a filter sees them.
 */
static bool ask_kernel(int all, int filtered, const struct packet *p)
{
	static uint8_t frame[FRAME_MAX];
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_halen = 6,
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	size_t n = frame_of(p, frame);

	ck_assert_int_eq(sendto(all, frame, n, 0, (void *)&to, sizeof(to)),
			 (int)n);
	if (!has(all, WAIT_MS)) {
		say_packet(p);
		ck_abort_msg("the frame did not come");
	}
	return has(filtered, 0);
}

static bool can_be_sent(const struct packet *p)
{
	return p->protocol >= 0x600 && p->protocol != 0x8100 &&
	       (!p->vlan || p->len >= 20);
}

START_TEST(the_kernel_says_the_same)
{
	int r = leave_network(), all, filtered;
	size_t packets = 0, in = 0;

	if (r != 0) {
		printf("SKIP the_kernel_says_the_same: no network namespace "
		       "to be had: %s\n", strerror(r));
		return;
	}
	all = listener();
	filtered = listener();
	random_seed(seed() + 3);
	for (unsigned i = 0; i < 300; i++) {
		int n;

		random_spec(&some, i % 8 ? 14 : 80);
		n = guard_build(&some.spec, program, GUARD_INSNS_MAX);
		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(attach(filtered, n), 0);
		for (unsigned k = 0; k < PACKETS; k++) {
			struct packet p = random_packet(&some.spec);
			bool wanted = ask((size_t)n, &p);

			if (!can_be_sent(&p))
				continue;
			if (ask_kernel(all, filtered, &p) != wanted) {
				say_packet(&p);
				ck_abort_msg("the kernel says %d", !wanted);
			}
			packets++;
			in += wanted;
		}
	}
	printf("guard: the kernel ran them on %zu packets, %zu came in, no "
	       "difference\n", packets, in);
	close(all);
	close(filtered);
}
END_TEST

static Suite *guard_suite(void)
{
	Suite *s = suite_create("guard");
	TCase *c = tcase_create("sentences");

	tcase_add_test(c, nothing_without_a_prefix);
	tcase_add_test(c, a_prefix_from_its_first_to_its_last);
	tcase_add_test(c, the_longest_decides_of_equals_deny);
	tcase_add_test(c, families_are_apart);
	tcase_add_test(c, the_host_s_own_never);
	tcase_add_test(c, some_never_whatever_is_allowed);
	tcase_add_test(c, a_vlan_tag_never);
	tcase_add_test(c, ip_and_arp_and_nothing_else);
	tcase_add_test(c, arp_tells_of_allowed_senders);
	tcase_add_test(c, neighbours_are_heard_on_a_tap);
	tcase_add_test(c, dhcp6_asks_where_it_may);
	tcase_add_test(c, dhcp4_asks_where_it_may);
	tcase_add_test(c, what_is_too_short_does_not_come_in);
	tcase_set_timeout(c, 30);
	suite_add_tcase(s, c);
	c = tcase_create("random");
	tcase_add_test(c, no_difference_at_random);
	tcase_add_test(c, no_difference_at_random_in_long_ones);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	c = tcase_create("sizes");
	tcase_add_test(c, small_programs_for_few_prefixes);
	tcase_add_test(c, the_longest_way_hardly_grows);
	tcase_add_test(c, a_far_end_from_many_places);
	tcase_add_test(c, the_largest_program);
	tcase_add_test(c, no_room);
	tcase_add_test(c, a_hundred_thousand_prefixes);
	tcase_add_test(c, one_in_the_other_to_the_end);
	tcase_add_test(c, no_memory);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	c = tcase_create("kernel");
	tcase_add_test(c, the_kernel_takes_them);
	tcase_add_test(c, the_kernel_says_the_same);
	tcase_set_timeout(c, 60);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(guard_suite());
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
