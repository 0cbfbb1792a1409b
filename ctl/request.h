/* A request that the library has no function for, and its answers. */
#ifndef TUNTAPCTL_REQUEST_H
#define TUNTAPCTL_REQUEST_H

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"

#define REQUEST_TIMEOUT_MS	5000	/* from connect to the last answer */
#define RELOAD_TIMEOUT_MS	30000	/* likewise, as names are looked up */

/* Takes an answer; not 0 ends the request, which then returns that. */
typedef int request_answer(void *arg, const struct wire_message *m);

/*
 * Sends the request, of which type and fields are set, to the daemon at path,
 * and hands over each answer, the closing one as well.  0; EXIT_REFUSED or
 * EXIT_NO_DAEMON with the sentence in error; or what answer returned.
 */
int ctl_request(const char *path, const struct wire_message *request,
		request_answer *answer, void *arg, struct ttd_error *error);

#endif
