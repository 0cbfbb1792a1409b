#include "sha256.h"

#include <sha2.h>

void sha256(const void *data, size_t len, uint8_t ret[SHA256_LEN])
{
	SHA2_CTX ctx;

	_Static_assert(SHA256_LEN == SHA256_DIGEST_LENGTH, "another digest");
	SHA256Init(&ctx);
	SHA256Update(&ctx, data, len);
	SHA256Final(ret, &ctx);
}
