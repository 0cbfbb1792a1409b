/* What each request does: a function a row of messages.def. */
#ifndef TUNTAPD_HANDLE_H
#define TUNTAPD_HANDLE_H

#include "conn.h"

/* Carries out a request that is permitted on this connection. */
void handle(struct conn *c, const struct wire_message *m);

#endif
