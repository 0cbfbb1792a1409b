/*
 * A fault hook for tests, at the seam between the daemon and the kernel: each
 * ioctl and each netlink message that makes or changes a device is a step, and
 * the test build can make one of them fail.  The product has no hook.
 */
#ifndef TUNTAPD_FAULT_H
#define TUNTAPD_FAULT_H

#include <stdbool.h>

#ifdef TUNTAPD_FAULT
/* Opens the file that $TUNTAPD_FAULT names, while that may be done. */
void fault_start(void);
/*
 * So that a test can see what the daemon may do once it serves: at SIGUSR1 it
 * tries what stands in the file that $TUNTAPD_TRY names, "call NUMBER
 * ARGUMENT..." or "open FLAGS PATH", and says on stderr "tried ...: ERRNO".
 */
struct event_base;
void fault_try_start(void);
void fault_try_serve(struct event_base *base);
void fault_try_stop(void);
/*
 * Traces a step on stderr ("fault: step 3 TUNSETOWNER", counted from 1 over the
 * life of the process), and says whether the caller is to make it fail: the
 * file holds how many steps from now that is; it is
 * counted down in there, and empty when it has come.  Of several numbers each
 * begins when the one before it has come.  If the file says "wait STEP ...", the
 * daemon waits at each step of that name, and spins, until the file says something
 * else.
 */
bool fault_here(const char *step);
/*
 * The kind of a qdisc or filter as the kernel is asked for it: another than it
 * has, if $TUNTAPD_FAULT_LACKS names this one.
 */
const char *fault_kind(const char *kind);
/* $TUNTAPD_TAKES_FDS: it is as if the kernel could not refuse clients' fds. */
bool fault_old_kernel(void);
/*
 * $TUNTAPD_SHARED, a file: it is as if devices bore no mark (macOS).  A copy of a
 * device's fd, or -1; and has somebody else one?  If the file begins with "1".
 */
int fault_copy(int fd);
int fault_is_shared(void);
#else
struct event_base;
static inline void fault_start(void)
{
}

static inline void fault_try_start(void)
{
}

static inline void fault_try_serve(struct event_base *base)
{
	(void)base;
}

static inline void fault_try_stop(void)
{
}

static inline bool fault_here(const char *step)
{
	(void)step;
	return false;
}

static inline const char *fault_kind(const char *kind)
{
	return kind;
}

static inline bool fault_old_kernel(void)
{
	return false;
}

static inline int fault_copy(int fd)
{
	(void)fd;
	return -1;
}

static inline int fault_is_shared(void)
{
	return -1;
}
#endif

#endif
