/*
 * Random prefixes and packets for the source guard, near to the edges: where
 * prefixes begin and end, and to the few packets that are exceptions.
 */
#ifndef TUNTAPD_TESTS_GUARD_RANDOM_H
#define TUNTAPD_TESTS_GUARD_RANDOM_H

#include "../../daemon/guard.h"
#include "guard_packet.h"

#define RANDOM_NETS_MAX	3000
#define RANDOM_OWN_MAX	8

struct random_spec {
	struct guard_spec spec;
	struct guard_net nets[RANDOM_NETS_MAX];
	struct prefix own[RANDOM_OWN_MAX];
};

void random_seed(uint64_t seed);
uint32_t random_below(uint32_t n);

/* At most max_nets; ret may not move, its spec points into it. */
void random_spec(struct random_spec *ret, size_t max_nets);
struct packet random_packet(const struct guard_spec *spec);

#endif
