/* The secret of a lease, and the id that can be shown. */
#ifndef TUNTAPD_TOKEN_H
#define TUNTAPD_TOKEN_H

#include "../proto/wire.h"

/* 0 or -errno. */
int token_new(uint8_t ret[WIRE_TOKEN_LEN]);
/* The first half of SHA-256(token) in hex: the token cannot be told from it. */
void token_lease_id(const uint8_t token[WIRE_TOKEN_LEN],
		    char ret[WIRE_LEASE_ID_LEN + 1]);

#endif
