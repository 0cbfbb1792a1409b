/* doctor: the kernel, and whether it is ours to use. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/kern_control.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

#define UTUN		"com.apple.net.utun_control"
#define SYSTEM_CONTROL	2	/* SYSPROTO_CONTROL, of a header of Apple's */
#define DARWIN_OLDEST	20	/* macOS 11 */

/* 0 or an errno; anybody may ask. */
static int ask_utun(void)
{
	struct ctl_info info = { .ctl_name = UTUN };
	int fd = socket(PF_SYSTEM, SOCK_DGRAM, SYSTEM_CONTROL), error = 0;

	if (fd < 0)
		return errno;
	if (ioctl(fd, CTLIOCGINFO, &info) < 0)
		error = errno;
	close(fd);
	return error;
}

static void look_utun(const struct patient *p, struct finding *ret)
{
	int error = ask_utun();

	(void)p;
	if (error)
		found(ret, HEALTH_FAULT, "this kernel has no " UTUN " (%s): "
		      "devices come from that; in a sandbox it may be hidden",
		      strerror(error));
	else
		found(ret, HEALTH_OK, "the kernel has " UTUN);
}

static void look_kernel(const struct patient *p, struct finding *ret)
{
	struct utsname name;

	(void)p;
	uname(&name);
	if (strtoul(name.release, NULL, 10) < DARWIN_OLDEST)
		found(ret, HEALTH_FAULT, "Darwin %s is older than tuntapd is "
		      "made for: macOS 11 is the first", name.release);
	else
		found(ret, HEALTH_OK, "the kernel is Darwin %s", name.release);
}

static void look_programs(const struct patient *p, struct finding *ret)
{
	(void)p;
	found(ret, HEALTH_NOTE, "macOS has no TAP and no source guard, and "
	      "its devices are named utunN: rules need kind = tun, name = "
	      "utun* and source-guard = off");
}

const struct check doctor_host_checks[] = {
	{ "utun", look_utun },
	{ "kernel", look_kernel },
	{ "programs", look_programs },
	{ NULL, NULL }
};
