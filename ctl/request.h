/* A request that the library has no function for, and its answers. */
#ifndef TUNTAPCTL_REQUEST_H
#define TUNTAPCTL_REQUEST_H

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"

#define REQUEST_TIMEOUT_MS	5000	/* from connect to the last answer */

/* Takes an answer; not 0 ends the request, which then returns that. */
typedef int request_answer(void *arg, const struct wire_message *m);

/*
 * Sends a request without fields (LIST, STATUS) to the daemon at path, and
 * hands over each answer, the closing one as well.  0; EXIT_REFUSED or
 * EXIT_NO_DAEMON with the sentence in error; or what answer returned.
 */
int ctl_request(const char *path, enum wire_type type, request_answer *answer,
		void *arg, struct ttd_error *error);

#endif
