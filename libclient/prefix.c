#include "../proto/prefix.h"

#include <errno.h>
#include <string.h>

#include "device.h"

bool prefix_from_public(const struct ttd_prefix *from, struct prefix *ret)
{
	if (from->reserved[0] || from->reserved[1] ||
	    prefix_bits(from->family) == 0 ||
	    from->len > prefix_bits(from->family))
		return false;
	*ret = (struct prefix){ .family = from->family, .len = from->len };
	memcpy(ret->ip, from->ip, prefix_bytes(from->family));
	return true;
}

int ttd_prefix_parse(const char *text, struct ttd_prefix *ret)
{
	struct prefix p;

	if (!text || !ret || prefix_parse(text, &p, NULL) < 0)
		return -EINVAL;
	*ret = (struct ttd_prefix){ .family = p.family, .len = p.len };
	memcpy(ret->ip, p.ip, sizeof(ret->ip));
	return 0;
}

int ttd_prefix_format(const struct ttd_prefix *prefix, char *buf, size_t cap)
{
	char text[PREFIX_TEXT_MAX];
	struct prefix p;
	size_t len;

	_Static_assert(TTD_PREFIX_TEXT_MAX >= PREFIX_TEXT_MAX, "too short");
	if (!prefix || !buf || !prefix_from_public(prefix, &p))
		return -EINVAL;
	len = strlen(prefix_format(&p, text));
	if (len >= cap)
		return -ENOSPC;
	memcpy(buf, text, len + 1);
	return (int)len;
}
