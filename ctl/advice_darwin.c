/* What launchd is told, as launchd/install.sh does it.  Not run on a Mac. */
#include "advice.h"

#include <stdio.h>

#define JOB	"system/org.tuntapd"
#define LOAD	"launchctl bootstrap system " \
		"/Library/LaunchDaemons/org.tuntapd.plist"

const struct advice advice = {
	.start = LOAD,
	/* launchd has both sockets, or none. */
	.start_admin = "launchctl bootout " JOB ", then " LOAD,
	.restart = "launchctl kickstart -k " JOB "; devices stay, leases do "
		   "not",
	.make_group = "dseditgroup -o create " ADVICE_GROUP " makes it",
};

int advice_join(char *ret, size_t cap, const char *user)
{
	return snprintf(ret, cap, "dseditgroup -o edit -a %s -t user "
			ADVICE_GROUP, user);
}
