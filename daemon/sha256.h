#ifndef TUNTAPD_SHA256_H
#define TUNTAPD_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* By what the system has for that. */
#define SHA256_LEN 32
void sha256(const void *data, size_t len, uint8_t ret[SHA256_LEN]);

#endif
