/*
 * What this system has, found out by using it: a device that is made, guarded
 * and closed again before anybody is served.
 */
#include "os.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_tun.h>

#include "os_linux.h"
#include "support.h"

/* Nobody's; of the form that managers of interfaces leave alone. */
#define PROBE_NAME	"tt-000000000000"

/* Linux 6.2; older headers do not have them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#define OFFLOAD_TCP	(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define OFFLOAD_UDP	(OFFLOAD_TCP | TUN_F_USO4 | TUN_F_USO6)

static void probe_offload(int tun)
{
	if (ioctl(tun, TUNSETOFFLOAD, (unsigned long)OFFLOAD_UDP) == 0)
		support_note(SUPPORT_OFFLOAD, true, "of TCP and UDP");
	else if (ioctl(tun, TUNSETOFFLOAD, (unsigned long)OFFLOAD_TCP) == 0)
		support_note(SUPPORT_OFFLOAD, false, "super-packets are of TCP "
			     "alone; those of UDP came with Linux 6.2");
	else
		support_note(SUPPORT_OFFLOAD, false, "there are no "
			     "super-packets: each packet goes by itself");
}

static void probe_device(void)
{
	static const struct wire_open open = {
		.layer = WIRE_TUN, .vnet_hdr = 1, .flags = WIRE_OPEN_DOWN,
		.name = PROBE_NAME, .queues = 1,
	};
	static const struct guard_program lets_nothing_in = {
		.n = 1, .insns = { { .code = BPF_RET | BPF_K } },
	};
	struct os_device dev = OS_DEVICE_INIT;
	struct wire_refused why;
	int error = os_device_open(&open, NULL, 0, &lets_nothing_in,
				   &dev, &why);
	bool guard = error && strcmp(why.step, "guard") == 0;

	if (error && !guard) {
		support_note(SUPPORT_DEVICES, false, "%s", why.text);
	} else {
		support_note(SUPPORT_DEVICES, true, "TUN and TAP");
		support_note(SUPPORT_GUARD, !guard, "%s", guard ? why.text :
			     "by clsact and cls_bpf");
		probe_offload(dev.fds[0]);
	}
	while (dev.n_fds > 0)
		close(dev.fds[--dev.n_fds]);
}

static void probe_fd_refusal(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;

	if (s < 0)
		return;
	if (setsockopt(s, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) == 0)
		support_note(SUPPORT_FD_REFUSAL, true, "by the kernel "
			     "(SO_PASSRIGHTS)");
	else
		support_note(SUPPORT_FD_REFUSAL, false, "file descriptors that "
			     "a client sends are found before they are "
			     "received; the kernel refuses them from Linux "
			     "6.16 on");
	close(s);
}

void os_probe(void)
{
	probe_device();
	probe_fd_refusal();
}

void os_kernel(char *ret, size_t cap)
{
	struct utsname u;

	snprintf(ret, cap, "%s", uname(&u) < 0 ? "?" : u.release);
}
