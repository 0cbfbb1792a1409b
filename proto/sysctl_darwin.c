#include "sysctl_darwin.h"

#include <errno.h>
#include <net/route.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#define TRIES	5	/* the list may grow between the two calls */
#define SPARE	4096	/* bytes, for it to do so */

/* Each message begins so. */
struct start {
	uint16_t len;
	uint8_t version, type;
};

/* To be freed.  0 or -errno. */
static int read_list(int family, int list, char **ret, size_t *ret_len)
{
	int mib[] = { CTL_NET, PF_ROUTE, 0, family, list, 0 };
	const unsigned n = sizeof(mib) / sizeof(*mib);
	int error;
	char *buf;

	for (int i = 0; i < TRIES; i++) {
		if (sysctl(mib, n, NULL, ret_len, NULL, 0) < 0)
			return -errno;
		*ret_len += SPARE;
		buf = malloc(*ret_len);
		if (!buf)
			return -ENOMEM;
		if (sysctl(mib, n, buf, ret_len, NULL, 0) == 0) {
			*ret = buf;
			return 0;
		}
		error = errno;
		free(buf);
		if (error != ENOMEM)
			return -error;
	}
	return -EAGAIN;
}

int sysctl_dump(int family, int list,
		int (*take)(const void *message, size_t len, void *arg),
		void *arg)
{
	struct start start;
	size_t left, at = 0;
	char *buf;
	int r = read_list(family, list, &buf, &left);

	if (r < 0)
		return r;
	while (r == 0 && left - at >= sizeof(start)) {
		memcpy(&start, buf + at, sizeof(start));
		if (start.len < sizeof(start) || start.len > left - at)
			break;
		if (start.version == RTM_VERSION)
			r = take(buf + at, start.len, arg);
		at += start.len;
	}
	free(buf);
	return r;
}
