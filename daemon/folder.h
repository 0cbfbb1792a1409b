/* The folder of a socket, made while we may. */
#ifndef TUNTAPD_FOLDER_H
#define TUNTAPD_FOLDER_H

#include <sys/types.h>

#include "../proto/wire.h"

/*
 * Makes the last folder of a socket's path, 0755, if it is missing, and gives
 * it to this user: who makes and removes files in there.  0, also where it
 * cannot be made, as bind(2) then says why; or -errno with *why filled.
 */
int folder_make(const char *socket, uid_t owner, struct wire_refused *why);

#endif
