/*
 * The part of XNU that a utun backend meets, played in memory.
 *
 * Each call takes Darwin's numbers and pointers to bytes of Darwin's layout
 * (abi.h), and returns as the system call does: a result, or -1 with xnu_errno.
 * What the kernel refuses is refused with its error.  What is not known here
 * ends the process with a sentence on standard error: it never succeeds.
 *
 * Not for more than one thread at a time, as there is one kernel and no lock.
 * ../README.md says what it was made from and what it leaves out.
 */
#ifndef XNU_H
#define XNU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define XNU_FIRST_FD	1000

/* Darwin's number of what failed last. */
extern int xnu_errno;

/* --- system calls --- */

int xnu_socket(int domain, int type, int protocol);
int xnu_socketpair(int domain, int type, int protocol, int fds[2]);
int xnu_connect(int fd, const void *name, uint32_t len);
int xnu_getsockopt(int fd, int level, int option, void *value, uint32_t *len);
int xnu_setsockopt(int fd, int level, int option, const void *value,
		   uint32_t len);
int xnu_ioctl(int fd, unsigned long request, void *argument);
int xnu_fcntl(int fd, int command, long argument);
/* Names in a folder of root's. */
int xnu_open(const char *path, int flags, int mode);
int xnu_flock(int fd, int how);
int xnu_pipe(int fds[2]);
int xnu_dup(int fd);
int xnu_dup2(int fd, int wanted);
int xnu_close(int fd);
int xnu_shutdown(int fd, int how);
int xnu_poll(void *pollfds, unsigned n, int timeout);
long xnu_read(int fd, void *buffer, size_t len);
long xnu_write(int fd, const void *buffer, size_t len);
/* recvfrom() and sendto() without a name. */
long xnu_recv(int fd, void *buffer, size_t len, int flags);
long xnu_send(int fd, const void *buffer, size_t len, int flags);
/* An array of 16 bytes each, { pointer, length }. */
long xnu_readv(int fd, const void *iov, int n);
long xnu_writev(int fd, const void *iov, int n);
/* A struct msghdr of 48 bytes; n of struct msghdr_x, 56 bytes each. */
long xnu_recvmsg(int fd, void *msg, int flags);
long xnu_sendmsg(int fd, const void *msg, int flags);
long xnu_recvmsg_x(int fd, void *msgs, unsigned n, int flags);
long xnu_sendmsg_x(int fd, const void *msgs, unsigned n, int flags);

int xnu_setuid(uint32_t uid);
int xnu_setgid(uint32_t gid);
int xnu_setgroups(int n, const uint32_t *groups);
uint32_t xnu_geteuid(void);

/* { CTL_NET, PF_ROUTE, 0, family, what, argument }; nothing new can be set. */
int xnu_sysctl(const int *name, unsigned n, void *old, size_t *oldlen,
	       const void *new, size_t newlen);

/* --- functions of libSystem --- */

int xnu_getpeereid(int fd, uint32_t *uid, uint32_t *gid);
unsigned xnu_if_nametoindex(const char *name);
/* name has XNU_IFNAMSIZ bytes; NULL is no such interface. */
char *xnu_if_indextoname(unsigned index, char *name);
/* Of the caller's own fds; 0 is a failure.  Told is whether it is shared. */
int xnu_proc_pidfdinfo(int pid, int fd, int flavor, void *info, int size);

/* What getifaddrs() tells of an address; four bytes of 16 are IPv4's. */
struct xnu_ifaddr {
	char name[XNU_IFNAMSIZ];
	int family;
	uint32_t flags;
	uint8_t ip[16], mask[16], dst[16];
};
/* Fills at most max, and returns how many there are. */
unsigned xnu_getifaddrs(struct xnu_ifaddr *addresses, unsigned max);

/* --- the machine, for the test --- */

/*
 * As after boot: lo0 (127.0.0.1/8, ::1/128), en0 (192.168.1.10/24,
 * 2001:db8:1::10/64), and default routes by 192.168.1.1 and 2001:db8:1::1.
 * That is the host, which xnu_leaks() compares with.  Root calls.
 */
void xnu_reset(void);
/* Who the process is: real, effective and saved uid; gid and groups. */
void xnu_euid(uint32_t euid);
void xnu_groups(uint32_t gid, const uint32_t *others, unsigned n);
/* "uid R E S gid R E S groups G...", the effective gid first. */
const char *xnu_who(void);
/* A symbolic link of this name is there. */
void xnu_symlink(const char *path);
/*
 * Pointers inside of structures go through this, where the caller's memory is
 * somewhere else than its addresses say (an emulated CPU).  NULL: they are
 * right as they are.
 */
void xnu_memory(void *(*find)(uint64_t address, uint64_t len));
/* An interface of another driver, as a VPN client's of long ago. */
unsigned xnu_add_interface(const char *name, uint32_t flags, int mtu);
/* A connected stream, the end that a server accepted from who is this. */
int xnu_accepted(uint32_t uid, const uint32_t *groups, unsigned n, int *client);

/*
 * A detach goes on after close() has returned, and the unit is busy until then.
 * It ends after this many further calls; 0 (as after reset): by settle alone.
 */
void xnu_detach_takes(unsigned calls);
/* The kernel has had time: what was detaching or expiring is gone. */
void xnu_settle(void);

/* A packet that the host routes into the interface; false: it was dropped. */
bool xnu_send_into(const char *name, const void *packet, size_t len);
/*
 * What was written and the host took, oldest first, without its four bytes:
 * the length, or 0 if there is none.
 */
size_t xnu_taken(const char *name, void *packet, size_t size);
/* Packets that were written and that the host could not take. */
unsigned xnu_not_taken(const char *name);

/* --- failures --- */

/*
 * The at-th call from now (1 is the next) fails with this error, and does
 * nothing; close() closes nevertheless, as XNU's does.
 */
void xnu_fail_call(unsigned at, int error);
/*
 * The same for the nth call of this name from now: "socket", "ioctl", or what
 * is asked for by it: "SIOCAIFADDR", "UTUN_OPT_IFNAME", "RTM_ADD", "F_SETFD".
 */
void xnu_fail(const char *name, unsigned nth, int error);
/* How many calls there were since reset; and failures that were not reached. */
unsigned xnu_call_count(void);
unsigned xnu_failures_left(void);

/* --- looking at it --- */

/* A line for each call since reset, or since xnu_forget_calls(). */
const char *xnu_calls(void);
void xnu_forget_calls(void);
/* A line for each interface, address and route, the host's own too. */
const char *xnu_state(void);
/*
 * A line for each fd, interface, address and route that the host had not, and
 * each of the host's that is lost; "" is how it should end.  What goes by
 * itself (a detach, a prefix that expires) is none.
 */
const char *xnu_leaks(void);
bool xnu_closes_on_exec(int fd);
/* The interface that a socket is bound to, or 0. */
uint32_t xnu_bound_if(int fd);
/* The name of an error, "EPERM". */
const char *xnu_error_name(int error);

#endif
