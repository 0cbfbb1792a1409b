/* Devices that are made, and whose they are. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "fault.h"
#include "os.h"
#include "os_linux.h"
#include "refuse.h"
#include "rtnl.h"

/* Of an id that is none in this user namespace setresuid(2) says so first. */
static bool is_mapped(uid_t uid)
{
	const uid_t same = (uid_t)-1;

	return setresuid(same, same, uid) == 0 || errno != EINVAL;
}

int os_has_owner(struct wire_refused *why)
{
	if (is_mapped(DEVICE_OWNER))
		return 0;
	return refuse(why, WIRE_E_FAILED, "start", "devices belong to root, "
		      "and in this user namespace there is none, as it maps no "
		      "uid 0: start tuntapd as root of one (unshare "
		      "--map-root-user, tuntapd --user 0), or in one that maps "
		      "more");
}

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
	dev->fds[dev->n_fds++] = fd;
	if (first)
		ifr.ifr_flags = (short)(flags | (short)IFF_TUN_EXCL);
	memcpy(ifr.ifr_name, name, strlen(name));
	error = step_ioctl(fd, TUNSETIFF, "TUNSETIFF", &ifr);
	if (error && first)
		return explain_create(open->name, error, why);
	if (error)
		return refuse(why, refuse_kernel_code(-error), "create",
			      "adding queue %u to %s: %s", dev->n_fds - 1,
			      open->name, strerror(-error));
	return 0;
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
 * it takes several (TUNSETIFF asks for the owner only where there is one), and
 * who waits for its name to appear can be in time.  So it is born under a name
 * that nobody can know, and check_queues() looks whether somebody did come.
 *
 * Those with one queue are so as well: udev hears of a device when it is born,
 * which may be before its alias is there.  By this name, or by the alias that
 * it has when it is renamed, our rule knows it (systemd/70-tuntapd.rules).
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
	int error = birth_name(name);

	if (!error)
		error = attach_queue(open, name, dev, why);
	if (error)
		return error;
	error = step_ioctl(dev->fds[0], TUNSETOWNER, "TUNSETOWNER",
			   (void *)(uintptr_t)DEVICE_OWNER);
	if (!error)
		error = index_of(dev->fds[0], &dev->ifindex);
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

/* With the owner set nobody else comes any more; has somebody come before? */
static int check_queues(const struct wire_open *open,
			const struct os_link *link, struct wire_refused *why)
{
	if (open->queues == 1 ||
	    (link->queues == open->queues && link->owner == DEVICE_OWNER))
		return 0;
	return refuse(why, WIRE_E_BUSY, "create", "another process attached "
		      "itself to %s while it was being made; try again",
		      open->name);
}

/* What no later request changes. */
static void describe(struct rtnl_batch *b, const struct wire_open *open,
		     const char *alias, const struct os_device *dev)
{
	rtnl_set_alias(b, dev->ifindex, alias);
	rtnl_keep_addresses(b, dev->ifindex);
	rtnl_set_name(b, dev->ifindex, open->name);
	if (open->flags & WIRE_OPEN_MAC_SET)
		rtnl_set_mac(b, dev->ifindex, open->mac);
	if (open->txqueuelen)
		rtnl_set_txqueuelen(b, dev->ifindex, open->txqueuelen);
}

/* A device as it is made. */
static const struct wire_open bare = { .flags = WIRE_OPEN_DOWN };

int os_device_open(const struct wire_open *open, const char *alias,
		   uint32_t connected_metric, const struct guard_program *guard,
		   struct os_device *dev, struct wire_refused *why)
{
	struct rtnl_move move = { 0, connected_metric, &bare, open, false };
	struct rtnl_batch batch;
	struct os_link link = { 0 };
	int error = create(open, dev, why);

	if (error)
		return error;
	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "create", "out of memory");
	describe(&batch, open, alias, dev);
	/* Before the device is up, and long before its holder has it. */
	if (guard)
		rtnl_add_guard(&batch, dev->ifindex, guard);
	move.ifindex = dev->ifindex;
	rtnl_move(&batch, &move);
	rtnl_get_link(&batch, dev->ifindex);
	error = os_commit(&batch, &link, why);
	if (error)
		return error;
	if (link.ifindex != dev->ifindex)
		return refuse(why, WIRE_E_FAILED, "read back",
			      "the kernel told nothing of %s", open->name);
	error = check_queues(open, &link, why);
	if (error)
		return error;
	memcpy(dev->name, link.name, sizeof(dev->name));
	if (open->layer == WIRE_TAP)
		memcpy(dev->mac, link.mac, sizeof(dev->mac));
	dev->mtu = link.mtu;
	dev->own = fault_copy(dev->fds[0]);
	return 0;
}
