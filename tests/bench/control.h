/* What both sides of the benchmarks of control.py give their devices. */
#ifndef TUNTAPD_CONTROL_H
#define TUNTAPD_CONTROL_H

#include <stdint.h>

#include "contestant.h"

#define CONTROL_MTU	1400
/* Of the device that is opened; its addresses are told. */
#define CONTROL_ROUTE	"10.2.0.0/16"

#define CONTROL_NAME_MAX 16

/* Of many devices the n-th: its name, and its one address, without length. */
void control_name(const struct contestant *c, unsigned n,
		  char ret[CONTROL_NAME_MAX]);
uint32_t control_address(unsigned n);
/* Of many routes the n-th, which is an address too: IPv4, the host's order. */
uint32_t control_route(unsigned n);
/* As many descriptors as the process may have. */
void control_take_all_fds(void);
/* The only word behind "run". */
unsigned control_count(char *const *words, unsigned n);

#endif
