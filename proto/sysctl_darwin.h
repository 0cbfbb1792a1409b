/* What the kernel lists by sysctl(3); nobody needs rights to ask. */
#ifndef TUNTAPD_SYSCTL_DARWIN_H
#define TUNTAPD_SYSCTL_DARWIN_H

#include <stddef.h>

/*
 * Hands over each message of a list (NET_RT_*) of this family, or of all
 * (AF_UNSPEC); anything but 0 from `take` ends it.  That, 0 or -errno: -EAGAIN
 * if the list changed all the time.
 */
int sysctl_dump(int family, int list,
		int (*take)(const void *message, size_t len, void *arg),
		void *arg);

#endif
