#include "token.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "sha256.h"

int token_new(uint8_t ret[WIRE_TOKEN_LEN])
{
	return getentropy(ret, WIRE_TOKEN_LEN) < 0 ? -errno : 0;
}

void token_lease_id(const uint8_t token[WIRE_TOKEN_LEN],
		    char ret[WIRE_LEASE_ID_LEN + 1])
{
	uint8_t digest[SHA256_LEN];

	sha256(token, WIRE_TOKEN_LEN, digest);
	for (unsigned i = 0; i < WIRE_LEASE_ID_LEN / 2; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}
