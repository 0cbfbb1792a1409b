/*
 * A file system of a client's own (fuse(4)) whose files do not end, in a user
 * and a mount namespace of his, as any user may have them.
 */
#ifndef TUNTAPD_FUSE_H
#define TUNTAPD_FUSE_H

#include <sys/types.h>

/* Before the process gives up its rights: what fuse_start() needs. */
void fuse_prepare(void);
/*
 * Mounts it, in namespaces of this process; it is served until that other one,
 * which has none of its files, is gone.  0 or -errno.
 */
int fuse_start(pid_t until);
/* A file whose end waits for its file system, which does not answer. */
int fuse_file(void);
/* Closes it so that whoever has it last, or takes it from a socket, waits. */
void fuse_end(int fd);
/* All that waits for it ends. */
void fuse_stop(void);

#endif
