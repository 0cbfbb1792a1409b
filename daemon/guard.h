/*
 * The source guard: from prefixes to a program that says which packets of a
 * device may come into the host, by where they claim to be from.  Pure; to
 * load the program is rtnl's.
 *
 * It is a classic BPF program, to run at the device's tc ingress.  1: the
 * packet may come in.  0: it may not, and a second filter drops it.  A load
 * from behind a packet's end makes the kernel end such a program with 0, so
 * that what is too short to tell does not come in.
 *
 *	guard_set.c	prefixes -> where, from the lowest address to the
 *			highest, the answer changes
 *	guard_code.c	instructions, from the last to the first
 *	guard.c		the program
 */
#ifndef TUNTAPD_GUARD_H
#define TUNTAPD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../proto/prefix.h"

#define GUARD_INSNS_MAX	4096		/* the kernel takes no longer one */

struct guard_insn {			/* as the kernel's sock_filter */
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/*
 * May packets from there come in?  The longest prefix that holds a source
 * decides, of equal ones GUARD_DENY; what no prefix holds does not come in.
 */
struct guard_net {
	struct prefix net;		/* bits behind its length: any */
	enum { GUARD_DENY, GUARD_ALLOW } what;
};

/*
 * Never a source, whatever nets say: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4,
 * 255.255.255.255; ::, ::1, ff00::/8, ::ffff:0:0/96 and fe80::/10.  But for
 * what Ethernet needs: probes by ARP from 0.0.0.0, neighbour discovery from
 * fe80::/10, and with `dhcp` the questions of DHCP from both.
 */
struct guard_spec {
	bool ethernet;			/* TAP, with ARP; false: TUN */
	bool dhcp;			/* behind a TAP one may ask by DHCP */
	const struct guard_net *nets;	/* any order, both families */
	size_t n_nets;
	/*
	 * The host's own: never a source, not even in ARP or in neighbour
	 * discovery.  The length does not matter.
	 */
	const struct prefix *own;
	size_t n_own;
};

/* A program with room for the longest. */
struct guard_program {
	unsigned n;
	unsigned room;		/* for so many more networks, surely */
	struct guard_insn insns[GUARD_INSNS_MAX];
};

/*
 * How many instructions of ret are the program, at most cap and at most
 * GUARD_INSNS_MAX; -E2BIG if they do not suffice, -ENOMEM; -EOPNOTSUPP where
 * the system has no guard.
 */
int guard_build(const struct guard_spec *spec, struct guard_insn *ret,
		size_t cap);

#endif
