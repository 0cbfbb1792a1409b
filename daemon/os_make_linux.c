/* Devices that are made, and whose they are. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
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

#define MAC_LOCAL	0x02	/* in the first byte (IEEE 802) */
#define MAC_GROUP	0x01

/* The one that the kernel gave it.  0 or -errno. */
static int read_mac(const struct os_device *dev, uint8_t ret[6])
{
	struct ifreq ifr = { 0 };

	if (fault_here("SIOCGIFHWADDR"))
		return -EIO;
	if (ioctl(dev->fds[0], SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(ret, ifr.ifr_hwaddr.sa_data, sizeof(dev->mac));
	return 0;
}

/*
 * The one that was asked for, and a new one where somebody may have changed what
 * the kernel gave (os_birth()).  It is known here, as it goes into the mark: who
 * changes it after that has tampered with it.  0 or -errno.
 */
static int choose_mac(const struct wire_open *open, struct os_device *dev)
{
	if (open->layer != WIRE_TAP)
		return 0;
	if (open->flags & WIRE_OPEN_MAC_SET) {
		memcpy(dev->mac, open->mac, sizeof(dev->mac));
		return 0;
	}
	if (open->queues == 1)
		return read_mac(dev, dev->mac);
	if (getentropy(dev->mac, sizeof(dev->mac)) < 0)
		return -errno;
	dev->mac[0] = (uint8_t)((dev->mac[0] | MAC_LOCAL) & ~MAC_GROUP);
	return 0;
}

static void set_mark(struct rtnl_batch *b, const struct wire_open *open,
		     const struct os_device *dev, struct mark *mark)
{
	char alias[MARK_MAX];

	mark->has_mac = open->layer == WIRE_TAP;
	memcpy(mark->mac, dev->mac, sizeof(mark->mac));
	mark_write(mark, alias);
	rtnl_set_alias(b, dev->ifindex, alias);
}

/* What no later request changes. */
static void describe(struct rtnl_batch *b, const struct wire_open *open,
		     const struct os_device *dev, struct mark *mark)
{
	if (mark)
		set_mark(b, open, dev, mark);
	rtnl_keep_addresses(b, dev->ifindex);
	rtnl_set_name(b, dev->ifindex, open->name);
	if (open->txqueuelen)
		rtnl_set_txqueuelen(b, dev->ifindex, open->txqueuelen);
	if (open->flags & WIRE_OPEN_MAC_SET ||
	    (open->layer == WIRE_TAP && open->queues > 1))
		rtnl_set_mac(b, dev->ifindex, dev->mac);
}

/* A device as it is made. */
static const struct wire_open bare = { .flags = WIRE_OPEN_DOWN };

int os_device_open(const struct wire_open *open, struct mark *mark,
		   uint32_t connected_metric, const struct guard_program *guard,
		   struct os_device *dev, struct wire_refused *why)
{
	struct rtnl_move move = { 0, connected_metric, &bare, open, false };
	struct rtnl_batch batch;
	struct os_link link = { 0 };
	int error = os_birth(open, dev, why);

	if (error)
		return error;
	error = choose_mac(open, dev);
	if (error)
		return refuse(why, WIRE_E_FAILED, "create", "making %s: its "
			      "MAC address: %s", open->name, strerror(-error));
	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "create", "out of memory");
	describe(&batch, open, dev, mark);
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
	memcpy(dev->name, link.name, sizeof(dev->name));
	dev->mtu = link.mtu;
	dev->own = fault_copy(dev->fds[0]);
	return 0;
}
