/* How a device begins: with its owner, its queues, and nobody else's hands on it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include "fault.h"
#include "limits.h"
#include "os.h"
#include "os_linux.h"
#include "refuse.h"
#include "rtnl.h"

/* ioctl(2) as a step that the fault hook can break.  0 or -errno. */
static int step_ioctl(int fd, unsigned long request, const char *name,
		      void *arg)
{
	if (fault_here(name))
		return -EIO;
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static int open_node(struct wire_refused *why)
{
	int fd = fault_here("open " TUN_NODE) ? (errno = EIO, -1)
		: open(TUN_NODE, O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return refuse(why, WIRE_E_NO_NODE, "create", "%s: %s; "
			      "`modprobe tun`, or `mknod %s c 10 200`",
			      TUN_NODE, strerror(err), TUN_NODE);
	case EACCES:
	case EPERM:
		return refuse(why, WIRE_E_NO_NODE, "create", "%s is closed to "
			      "the daemon (%s); let its user in: `chgrp "
			      "tuntapd %s; chmod 0660 %s`; or, where "
			      TUN_FOLDER " is newer than the daemon, start "
			      "tuntapd again", TUN_NODE, strerror(err),
			      TUN_NODE, TUN_NODE);
	default:
		return refuse(why, refuse_kernel_code(err), "create", "%s: %s",
			      TUN_NODE, strerror(err));
	}
}

static int explain_create(const char *name, int error, struct wire_refused *why)
{
	if (error == -EPERM)
		return refuse(why, WIRE_E_FAILED, "create", "the daemon lacks "
			      "CAP_NET_ADMIN in this network namespace");
	return refuse(why, refuse_kernel_code(-error), "create",
		      "making %s: %s", name, strerror(-error));
}

/*
 * Opens the node and attaches it to the device of that name.  The first queue
 * makes the device: without IFF_TUN_EXCL it would silently take over a
 * persistent one.  Further queues must come without it (EBUSY otherwise).
 */
static int attach_queue(const struct wire_open *open, const char *name,
			struct os_device *dev, struct wire_refused *why)
{
	bool first = dev->n_fds == 0;
	short flags = (short)(IFF_NO_PI |
		(open->layer == WIRE_TAP ? IFF_TAP : IFF_TUN) |
		(open->queues > 1 ? IFF_MULTI_QUEUE : 0) |
		(open->vnet_hdr ? IFF_VNET_HDR : 0));
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open_node(why), error;

	if (fd < 0)
		return fd;
	if (first)
		ifr.ifr_flags = (short)(flags | (short)IFF_TUN_EXCL);
	memcpy(ifr.ifr_name, name, strlen(name));
	error = step_ioctl(fd, TUNSETIFF, "TUNSETIFF", &ifr);
	if (!error) {
		dev->fds[dev->n_fds++] = fd;
		return 0;
	}
	close(fd);
	if (first)
		return explain_create(open->name, error, why);
	return refuse(why, refuse_kernel_code(-error), "create",
		      "adding queue %u to %s: %s", dev->n_fds, open->name,
		      strerror(-error));
}

/* The index of the device behind a tun fd, by the name it has just now. */
static int index_of(int fd, unsigned *ret)
{
	struct ifreq ifr = { 0 };
	int error = step_ioctl(fd, TUNGETIFF, "TUNGETIFF", &ifr);

	if (!error)
		error = step_ioctl(os_ioctls(), SIOCGIFINDEX, "SIOCGIFINDEX",
				   &ifr);
	if (!error)
		*ret = (unsigned)ifr.ifr_ifindex;
	return error;
}

/*
 * Until a device has an owner, any uid may attach a queue of its own to it if
 * it takes several (TUNSETIFF asks for the owner only where there is one).  For
 * that he must know its name.  This one is told to all by the kernel, and not
 * before; os_birth() deals with who was fast enough.
 *
 * Those with one queue are named so as well: udev hears of a device when it is
 * born, which may be before its alias is there.  By this name, or by the alias
 * that it has when it is renamed, our rule knows it
 * (systemd/70-tuntapd.rules).
 */
static int birth_name(char ret[WIRE_NAME_MAX + 1])
{
	uint8_t dice[6];

	if (getentropy(dice, sizeof(dice)) < 0)
		return -errno;
	snprintf(ret, WIRE_NAME_MAX + 1, "tt-%02x%02x%02x%02x%02x%02x", dice[0],
		 dice[1], dice[2], dice[3], dice[4], dice[5]);
	return 0;
}

static int create(const struct wire_open *open, struct os_device *dev,
		  struct wire_refused *why)
{
	char name[WIRE_NAME_MAX + 1];
	int error = birth_name(name), unseen;

	if (!error)
		error = attach_queue(open, name, dev, why);
	if (error)
		return error;
	error = step_ioctl(dev->fds[0], TUNSETOWNER, "TUNSETOWNER",
			   (void *)(uintptr_t)DEVICE_OWNER);
	/* Also if that went wrong: by its index it can be taken away. */
	unseen = index_of(dev->fds[0], &dev->ifindex);
	if (!error)
		error = unseen;
	if (error)
		return refuse(why, refuse_kernel_code(-error), "create",
			      "making %s: %s", open->name, strerror(-error));
	while (dev->n_fds < open->queues) {
		unsigned ifindex = 0;

		error = attach_queue(open, name, dev, why);
		if (error)
			return error;
		/* Not on a device that took the name in between? */
		error = index_of(dev->fds[dev->n_fds - 1], &ifindex);
		if (error || ifindex != dev->ifindex)
			return refuse(why, WIRE_E_BUSY, "create",
				      "%s was renamed while it was being made",
				      open->name);
	}
	return 0;
}

/* The device, as the kernel tells of it.  0 or -errno. */
static int look_at(const struct os_device *dev, struct os_link *ret,
		   struct wire_refused *why)
{
	struct rtnl_batch batch;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "create", "out of memory");
	rtnl_get_link(&batch, dev->ifindex);
	return os_commit(&batch, ret, why);
}

/* What an attached fd changes by an ioctl, and what it is at first. */
struct as_made {
	unsigned long request;
	const char *name;
	int value;
	enum {
		BY_VALUE = 1,	/* else by its address */
		OF_TAP = 2,	/* alone */
		MAY_LACK = 4	/* EINVAL: this kernel has nothing like it */
	} how;
};
#define AS_MADE(request, ...) { request, #request, __VA_ARGS__ }

/*
 * All that stays in the device (drivers/net/tun.c, __tun_chr_ioctl) and that
 * os_link_tampered() does not see; but for the MAC address, which
 * os_device_open() gives anew.
 */
static const struct as_made as_made[] = {
	AS_MADE(TUNSETOFFLOAD, 0, BY_VALUE),
	AS_MADE(TUNSETDEBUG, 0, BY_VALUE | MAY_LACK),
	AS_MADE(TUNSETSTEERINGEBPF, -1, MAY_LACK),
	AS_MADE(TUNSETFILTEREBPF, -1, MAY_LACK),
	AS_MADE(TUNSETVNETHDRSZ, sizeof(struct virtio_net_hdr), 0),
	AS_MADE(TUNSETVNETLE, 0, 0),
	AS_MADE(TUNSETVNETBE, 0, MAY_LACK),
	AS_MADE(TUNSETSNDBUF, INT_MAX, 0),
	AS_MADE(TUNSETCARRIER, 1, MAY_LACK),
	AS_MADE(TUNDETACHFILTER, 0, OF_TAP),
	/* A struct tun_filter of no flags and no addresses: none. */
	AS_MADE(TUNSETTXFILTER, 0, OF_TAP),
};

static int make_as_made(const struct wire_open *open,
			const struct os_device *dev, struct wire_refused *why)
{
	for (size_t i = 0; i < sizeof(as_made) / sizeof(*as_made); i++) {
		const struct as_made *a = &as_made[i];
		int value = a->value, error;

		if (a->how & OF_TAP && open->layer != WIRE_TAP)
			continue;
		error = step_ioctl(dev->fds[0], a->request, a->name,
				   a->how & BY_VALUE ?
				   (void *)(uintptr_t)value : &value);
		if (error && !(error == -EINVAL && a->how & MAY_LACK))
			return refuse(why, refuse_kernel_code(-error),
				      "create", "making %s: %s: %s", open->name,
				      a->name, strerror(-error));
	}
	return 0;
}

/* However many are attached to it. */
static int unmake(struct os_device *dev, struct wire_refused *why)
{
	struct rtnl_batch batch;
	int error;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "create", "out of memory");
	rtnl_delete_link(&batch, dev->ifindex);
	error = os_commit(&batch, NULL, why);
	if (error)
		return error;
	while (dev->n_fds > 0)
		close(dev->fds[--dev->n_fds]);
	dev->ifindex = 0;
	dev->unmade++;
	return 0;
}

int os_birth(const struct wire_open *open, struct os_device *dev,
	     struct wire_refused *why)
{
	while (dev->unmade < LIMIT_BIRTHS) {
		struct os_link link = { 0 };
		struct wire_refused other;
		int error = create(open, dev, why), unseen;

		if (open->queues == 1 || !dev->ifindex)
			return error;
		unseen = look_at(dev, &link, error ? &other : why);
		/* Who came too many may be why it went wrong. */
		if (error && (unseen || link.queues <= dev->n_fds))
			return error;
		if (unseen)
			return unseen;
		/* With the owner set nobody comes any more. */
		if (link.queues == dev->n_fds &&
		    !os_link_tampered(&link, open->layer, dev->n_fds, link.mac))
			return make_as_made(open, dev, why);
		error = unmake(dev, why);
		if (error)
			return error;
	}
	return refuse(why, WIRE_E_BUSY, "create", "another process attached "
		      "itself to %s each of the %d times that it was made; try "
		      "again, or with one queue, where nobody can", open->name,
		      LIMIT_BIRTHS);
}
