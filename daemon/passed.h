/*
 * Sockets that whoever started us listens on already: systemd by LISTEN_FDS
 * (sd_listen_fds(3)), launchd by launch_activate_socket(3).  A file a system.
 */
#ifndef TUNTAPD_PASSED_H
#define TUNTAPD_PASSED_H

#include <stdbool.h>

struct passed {
	int fd;
	bool admin;
};

/* Are there any, which passed_take() has not taken yet? */
bool passed_any(void);
/*
 * Closes what else we were started with, but for the standard descriptors and
 * for at most `most` of those; where there are more it closes nothing.
 */
void passed_close_others(unsigned most);
/*
 * Up to `most` of them.  How many, or -errno.  One that is named "admin", or
 * without names the second, is the admin socket.
 */
int passed_take(struct passed *ret, unsigned most);

#endif
