/*
 * utun devices: a kernel control, by which packets go as datagrams behind four
 * bytes of address family (bsd/net/if_utun.c).  The last close of the fd ends the
 * device, and takes its addresses and routes along; until that is over, which
 * is later, its unit is busy.
 */
#include <ctype.h>
#include <errno.h>
#include <libproc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "darwin_compat.h"
#include "fault.h"
#include "os_darwin.h"
#include "refuse.h"

/*
 * Packets that wait to be read: with one, which is what the kernel begins with,
 * each costs a round trip of flow control.
 */
#define PENDING_PACKETS	256
/*
 * A unit that is being left is busy for a moment.  Others wait as long, 50 ms at
 * most: so who asks for one that stays busy is refused, and can come again.
 */
#define BUSY_TRIES	10
#define BUSY_US		5000
#define UNIT_MAX	65535
#define PREFIX_LEN	4		/* of "utun" */

uint32_t utun_unit(const char *name)
{
	const char *digits = name + PREFIX_LEN;
	unsigned long n;
	char *end;

	if (strncmp(name, "utun", PREFIX_LEN) != 0 ||
	    !isdigit((unsigned char)*digits) ||
	    (digits[0] == '0' && digits[1]))
		return 0;
	n = strtoul(digits, &end, 10);
	return *end || n >= UNIT_MAX ? 0 : (uint32_t)n + 1;
}

static int find_control(int fd, uint32_t *ret_id)
{
	struct ctl_info info = { .ctl_name = UTUN_CONTROL_NAME };

	if (fault_here("CTLIOCGINFO"))
		return -EIO;
	if (ioctl(fd, CTLIOCGINFO, &info) < 0)
		return -errno;
	*ret_id = info.ctl_id;
	return 0;
}

static int attach(int fd, uint32_t id, uint32_t unit)
{
	struct sockaddr_ctl to = {
		.sc_len = sizeof(to), .sc_family = AF_SYSTEM,
		.ss_sysaddr = AF_SYS_CONTROL, .sc_id = id, .sc_unit = unit,
	};

	if (fault_here("connect"))
		return -EIO;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

int utun_name(int fd, char ret[IFNAMSIZ])
{
	socklen_t len = IFNAMSIZ;

	if (fault_here("UTUN_OPT_IFNAME"))
		return -EIO;
	return getsockopt(fd, SYSPROTO_CONTROL, UTUN_OPT_IFNAME, ret, &len) < 0
		       ? -errno : 0;
}

/* The name it really has: another unit is somebody else's business. */
static int check_name(int fd, const char *name)
{
	char is[IFNAMSIZ] = "";
	int error = utun_name(fd, is);

	if (error)
		return error;
	return strncmp(is, name, sizeof(is)) == 0 ? 0 : -EBUSY;
}

/* Whatever another copy is: a process's, or on its way (fill_fileinfo()). */
int os_is_shared(int own)
{
	struct socket_fdinfo info;
	int n;

	if (fault_here("PROC_PIDFDSOCKETINFO"))
		return -EIO;
	n = proc_pidfdinfo(getpid(), own, PROC_PIDFDSOCKETINFO, &info,
			   sizeof(info));
	if (n <= 0)
		return -errno;
	return info.pfi.fi_status & PROC_FP_SHARED ? 1 : 0;
}

static int set_pending(int fd)
{
	uint32_t n = PENDING_PACKETS;

	if (fault_here("UTUN_OPT_MAX_PENDING_PACKETS"))
		return -EIO;
	return setsockopt(fd, SYSPROTO_CONTROL, UTUN_OPT_MAX_PENDING_PACKETS,
			  &n, sizeof(n)) < 0 ? -errno : 0;
}

static int set_up_socket(int fd, const char *name, unsigned *ret_ifindex)
{
	uint32_t id = 0;
	int error = find_control(fd, &id);

	if (!error)
		error = attach(fd, id, utun_unit(name));
	if (!error)
		error = check_name(fd, name);
	if (!error)
		error = set_pending(fd);
	if (error)
		return error;
	*ret_ifindex = if_nametoindex(name);
	return *ret_ifindex ? 0 : -errno;
}

static int make_once(const char *name, unsigned *ret_ifindex)
{
	int fd = darwin_socket(PF_SYSTEM, SOCK_DGRAM, SYSPROTO_CONTROL);
	int error = fd < 0 ? fd : set_up_socket(fd, name, ret_ifindex);

	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

/*
 * A unit that is being left is tried again, by another socket: where the kernel
 * sees late that it is busy the one is disconnected for good (ctl_connect(),
 * bsd/kern/kern_control.c), and would read and write nothing once connected.
 */
static int make_patiently(const char *name, unsigned *ret_ifindex)
{
	int fd = make_once(name, ret_ifindex);

	for (int i = 0; fd == -EBUSY && i < BUSY_TRIES; i++) {
		usleep(BUSY_US);
		fd = make_once(name, ret_ifindex);
	}
	return fd;
}

int utun_make(const char *name, unsigned *ret_ifindex, struct wire_refused *why)
{
	int fd;

	if (!utun_unit(name))
		return refuse(why, WIRE_E_INVALID, "create", "devices of macOS "
			      "are named utun0, utun1 and so on: %s is not, so "
			      "the policy's name pattern should be utun*", name);
	fd = make_patiently(name, ret_ifindex);
	if (fd >= 0)
		return fd;
	if (fd == -EPERM)
		return refuse(why, WIRE_E_FAILED, "create", "only root makes "
			      "utun devices, and the daemon is not");
	if (fd == -EBUSY)
		return refuse(why, WIRE_E_BUSY, "create", "%s is another "
			      "process's; try again, or ask for no name", name);
	return refuse(why, refuse_kernel_code(-fd), "create",
		      "making %s: %s", name, strerror(-fd));
}
