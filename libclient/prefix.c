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

struct ttd_prefix prefix_to_public(const struct prefix *from)
{
	struct ttd_prefix p = { .family = from->family, .len = from->len };

	memcpy(p.ip, from->ip, sizeof(p.ip));
	return p;
}

int ttd_prefix_parse(const char *text, struct ttd_prefix *ret)
{
	struct prefix p;

	if (!text || !ret || prefix_parse(text, &p, NULL) < 0)
		return -EINVAL;
	*ret = prefix_to_public(&p);
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
