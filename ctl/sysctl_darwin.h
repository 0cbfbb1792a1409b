/* What the kernel lists by sysctl(3); nobody needs rights to ask. */
#ifndef TUNTAPCTL_SYSCTL_DARWIN_H
#define TUNTAPCTL_SYSCTL_DARWIN_H

#include <stddef.h>

/*
 * Hands over each message of a list (NET_RT_*) of this family; anything but 0
 * from `take` ends it.  That, 0 or -errno.
 */
int sysctl_dump(int family, int list,
		int (*take)(const void *message, size_t len, void *arg),
		void *arg);

#endif
