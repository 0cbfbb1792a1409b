/* What the files of the Linux side share. */
#ifndef TUNTAPD_OS_LINUX_H
#define TUNTAPD_OS_LINUX_H

/* Linux 6.16; older headers do not have it. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* os_delete_linux.c: the worker's socket.  0 or -errno. */
int os_deletions_start(void);
void os_deletions_stop(void);

#endif
