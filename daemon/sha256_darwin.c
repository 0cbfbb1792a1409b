#include "sha256.h"

#include <CommonCrypto/CommonDigest.h>

void sha256(const void *data, size_t len, uint8_t ret[SHA256_LEN])
{
	_Static_assert(SHA256_LEN == CC_SHA256_DIGEST_LENGTH, "another digest");
	CC_SHA256(data, (CC_LONG)len, ret);
}
