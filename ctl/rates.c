#include "rates.h"

#include <stdio.h>

#define NS		1e9	/* in a second */
#define BITS_A_BYTE	8
#define THOUSAND	1000
/* What is more than these has no room for so many digits behind the point. */
#define TWO_DIGITS	9.995
#define ONE_DIGIT	99.95
#define NO_DIGIT	999.5

static uint64_t a_second(uint64_t was, uint64_t now, unsigned each, int64_t ns)
{
	const double half = 0.5;

	return (uint64_t)((double)(now - was) * each * NS /
			  (double)ns + half);
}

static bool goes_on(const struct flow *was, const struct flow *now)
{
	return now->packets >= was->packets && now->bytes >= was->bytes &&
	       now->drops >= was->drops;
}

static struct flow_rate rate(const struct flow *was, const struct flow *now,
			     int64_t ns)
{
	return (struct flow_rate){
		.packets = a_second(was->packets, now->packets, 1, ns),
		.bits = a_second(was->bytes, now->bytes, BITS_A_BYTE, ns),
		.drops = a_second(was->drops, now->drops, 1, ns),
	};
}

bool rates_between(const struct traffic *was, const struct traffic *now,
		   int64_t ns, struct rates *ret)
{
	if (ns <= 0 || !goes_on(&was->rx, &now->rx) ||
	    !goes_on(&was->tx, &now->tx))
		return false;
	ret->rx = rate(&was->rx, &now->rx, ns);
	ret->tx = rate(&was->tx, &now->tx, ns);
	return true;
}

static void add(struct flow_rate *sum, const struct flow_rate *r)
{
	sum->packets += r->packets;
	sum->bits += r->bits;
	sum->drops += r->drops;
}

void rates_add(struct rates *sum, const struct rates *r)
{
	add(&sum->rx, &r->rx);
	add(&sum->tx, &r->tx);
}

char *figure_text(uint64_t n, char buf[FIGURE_MAX])
{
	const char *unit = "kMGTPE";
	double v = (double)n / THOUSAND;

	if (n < THOUSAND) {
		snprintf(buf, FIGURE_MAX, "%u", (unsigned)n);
		return buf;
	}
	for (; v >= NO_DIGIT; unit++)
		v /= THOUSAND;
	snprintf(buf, FIGURE_MAX, "%.*f%c",
		 v < TWO_DIGITS ? 2 : v < ONE_DIGIT ? 1 : 0, v, *unit);
	return buf;
}
