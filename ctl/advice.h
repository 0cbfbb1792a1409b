/* The commands that people are told to use: a file for each system. */
#ifndef TUNTAPCTL_ADVICE_H
#define TUNTAPCTL_ADVICE_H

#include <stddef.h>

#define ADVICE_GROUP	"tuntap"	/* of the policy as it is installed */

struct advice {
	const char *start;		/* the daemon */
	const char *start_admin;	/* its admin socket */
	const char *restart;		/* and what becomes of devices */
	const char *make_group;
	/* NULL: there is none to be had, and that is no fault of the host. */
	const char *have_guard;
	const char *have_features;	/* likewise */
};
extern const struct advice advice;

/* How that user is put into the group; as snprintf(3). */
int advice_join(char *ret, size_t cap, const char *user);

#endif
