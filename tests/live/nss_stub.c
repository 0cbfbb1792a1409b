/* What a module of NSS may do to a daemon, by the name that is looked up. */
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOUND_UID	1234
#define SLOW_US		700000

enum nss_status _nss_stub_getpwnam_r(const char *name, struct passwd *pw,
				     char *buf, size_t len, int *err);

enum nss_status _nss_stub_getpwnam_r(const char *name, struct passwd *pw,
				     char *buf, size_t len, int *err)
{
	if (strcmp(name, "again") == 0) {
		*err = EAGAIN;
		return NSS_STATUS_TRYAGAIN;
	}
	if (strcmp(name, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(name, "crash") == 0)
		abort();
	if (strcmp(name, "slow") == 0)
		usleep(SLOW_US);
	else if (strcmp(name, "quick") != 0)
		return NSS_STATUS_NOTFOUND;
	memset(pw, 0, sizeof(*pw));
	pw->pw_uid = FOUND_UID;
	pw->pw_name = pw->pw_passwd = pw->pw_gecos = pw->pw_dir =
		pw->pw_shell = buf;
	if (len > 0)
		*buf = '\0';
	return NSS_STATUS_SUCCESS;
}
