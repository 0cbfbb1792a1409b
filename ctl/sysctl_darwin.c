#include "sysctl_darwin.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>

#define TRIES	5	/* the list may have grown between the two calls */

/* To be freed.  0 or -errno. */
static int read_list(int family, int list, char **ret, size_t *ret_len)
{
	int mib[] = { CTL_NET, PF_ROUTE, 0, family, list, 0 };
	const unsigned n = sizeof(mib) / sizeof(*mib);
	char *buf;

	for (int i = 0; i < TRIES; i++) {
		if (sysctl(mib, n, NULL, ret_len, NULL, 0) < 0)
			return -errno;
		buf = malloc(*ret_len + 1);
		if (!buf)
			return -ENOMEM;
		if (sysctl(mib, n, buf, ret_len, NULL, 0) == 0) {
			*ret = buf;
			return 0;
		}
		free(buf);
		if (errno != ENOMEM)
			return -errno;
	}
	return -EAGAIN;
}

int sysctl_dump(int family, int list,
		int (*take)(const void *message, size_t len, void *arg),
		void *arg)
{
	size_t left, at = 0;
	uint16_t len;		/* each begins with it */
	char *buf;
	int r = read_list(family, list, &buf, &left);

	if (r < 0)
		return r;
	while (r == 0 && left - at >= sizeof(len)) {
		memcpy(&len, buf + at, sizeof(len));
		if (len < sizeof(len) || len > left - at)
			break;
		r = take(buf + at, len, arg);
		at += len;
	}
	free(buf);
	return r;
}
