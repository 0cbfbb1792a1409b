/* What the files of the Linux side share. */
#ifndef TUNTAPD_OS_LINUX_H
#define TUNTAPD_OS_LINUX_H

/* os_delete_linux.c: the worker's socket.  0 or -errno. */
int os_deletions_start(void);
void os_deletions_stop(void);

#endif
