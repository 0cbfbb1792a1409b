#ifndef TUNTAPD_CLOCK_H
#define TUNTAPD_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that nobody sets (CLOCK_MONOTONIC). */
int64_t now_ms(void);

#endif
