/* Requests that the library has no function for, and their answers. */
#ifndef TUNTAPCTL_REQUEST_H
#define TUNTAPCTL_REQUEST_H

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"

/*
 * A tuntapd that is asked how it is answers that at once, whatever it is at.
 * So long for connecting and for that, and a moment more to tell who hangs from
 * who is no tuntapd: together less than two seconds.
 */
#define ALIVE_WAIT_MS	1400
#define LAST_WORD_MS	200
/* Then for each further answer: names are looked up, devices are deleted. */
#define ANSWER_WAIT_MS	30000

/* Takes an answer; not 0 ends the request, which then returns that. */
typedef int request_answer(void *arg, const struct wire_message *m);

/*
 * Sends the request, of which type and fields are set, to the daemon at path,
 * once that has said that it is there, and hands over each answer, the closing
 * one as well.  0; EXIT_REFUSED, or EXIT_NO_DAEMON to EXIT_FOREIGN, with the
 * sentence in error, whose code is else 0; or what answer returned.
 */
int ctl_request(const char *path, const struct wire_message *request,
		request_answer *answer, void *arg, struct ttd_error *error);
/*
 * MONITOR likewise: once it is answered it goes on for ever, until the
 * connection ends.  -EPIPE: nobody reads the standard output any more.
 */
int ctl_monitor(const char *path, request_answer *answer, void *arg,
		struct ttd_error *error);

/* Is a daemon there, and of this version?  As ctl_request(). */
int ctl_alive(const char *path, struct ttd_error *error);

#endif
