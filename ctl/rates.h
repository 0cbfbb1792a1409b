/* How much goes through an interface, and how fast.  Pure. */
#ifndef TUNTAPCTL_RATES_H
#define TUNTAPCTL_RATES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Counters of one way.  The ways are the interface's, as with ip(8): rx is what
 * the program sent, which the host received; tx what the program received.
 */
struct flow {
	uint64_t packets, bytes, drops, errors;
};
struct traffic {
	struct flow rx, tx;
};

/* Of a second, rounded. */
struct flow_rate {
	uint64_t packets, bits, drops;
};
struct rates {
	struct flow_rate rx, tx;
};

/*
 * What came between two looks that were ns apart.  False, and ret untouched,
 * where that cannot be said: no time went by, or a counter went back.
 */
bool rates_between(const struct traffic *was, const struct traffic *now,
		   int64_t ns, struct rates *ret);
void rates_add(struct rates *sum, const struct rates *r);

/* "0", "999", "1.23k", "45.6M": three digits, and how many thousands. */
#define FIGURE_MAX	8
char *figure_text(uint64_t n, char buf[FIGURE_MAX]);

#endif
