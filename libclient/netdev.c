/* Any device behind one table of functions, and two of them wired. */
#include <errno.h>
#include <stddef.h>

#include "device.h"
#include "packet.h"

/* No version's table will be as large; a size that was never set may be. */
#define OPS_SIZE_SANE 4096

/* --- ours --------------------------------------------------------------- */

static int own_set_handler(void *self, ttd_handler *handler, void *arg)
{
	return ttd_set_handler(self, handler, arg);
}

static int own_send(void *self, const void *buf, size_t len)
{
	return ttd_send(self, buf, len);
}

static int own_close(void *self)
{
	return ttd_close(self);
}

static int own_hwaddr(void *self, uint8_t ret[6])
{
	return ttd_hwaddr(self, ret);
}

static int own_addr(void *self, struct ttd_prefix *ret)
{
	struct ttd_device *dev = self;
	int r = -EADDRNOTAVAIL;

	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	pthread_mutex_lock(&dev->meet.mutex);
	if (dev->addr.family) {
		*ret = dev->addr;
		r = 0;
	}
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	return r;
}

static int own_set_addr(void *self, const struct ttd_prefix *prefix)
{
	struct ttd_device *dev = self;
	struct prefix checked;

	if (!prefix_from_public(prefix, &checked))
		return -EINVAL;
	if (!gate_enter(&dev->calls))
		return -ESHUTDOWN;
	pthread_mutex_lock(&dev->meet.mutex);
	dev->addr = *prefix;
	pthread_mutex_unlock(&dev->meet.mutex);
	gate_leave(&dev->calls, &dev->meet);
	return 0;
}

static const struct ttd_netdev_ops tun_ops = {
	.size = sizeof(tun_ops), .layer = TTD_TUN,
	.set_handler = own_set_handler, .send = own_send, .close = own_close,
	.addr = own_addr, .set_addr = own_set_addr,
};

/* What it is on L3 is of use on L2 too: ttd_set_ip() works on both. */
static const struct ttd_netdev_ops tap_ops = {
	.size = sizeof(tap_ops), .layer = TTD_TAP,
	.set_handler = own_set_handler, .send = own_send, .close = own_close,
	.hwaddr = own_hwaddr, .addr = own_addr, .set_addr = own_set_addr,
};

struct ttd_netdev ttd_netdev(struct ttd_device *dev)
{
	const struct ttd_netdev_ops *ops = NULL;

	if (dev)
		ops = dev->layer == TTD_TAP ? &tap_ops : &tun_ops;
	return (struct ttd_netdev){ ops, dev };
}

/* The device behind it, or NULL if it is not one of ours. */
static struct ttd_device *own(struct ttd_netdev d)
{
	return d.ops == &tun_ops || d.ops == &tap_ops ? d.self : NULL;
}

/* --- anyone's ----------------------------------------------------------- */

/* An older program's table ends earlier. */
#define HAS(d, entry) \
	((d).ops && (d).ops->size >= offsetof(struct ttd_netdev_ops, entry) + \
	 sizeof((d).ops->entry) && (d).ops->entry)

int ttd_netdev_set_handler(struct ttd_netdev d, ttd_handler *handler, void *arg)
{
	struct ttd_device *dev = own(d);

	/* Unwiring, which a device with offload PASS knows too. */
	if (dev && !handler)
		return device_set_sink(dev, &(struct sink){ 0 });
	return HAS(d, set_handler) ? d.ops->set_handler(d.self, handler, arg) :
	       -EOPNOTSUPP;
}

int ttd_netdev_send(struct ttd_netdev d, const void *buf, size_t len)
{
	return HAS(d, send) ? d.ops->send(d.self, buf, len) : -EOPNOTSUPP;
}

int ttd_netdev_close(struct ttd_netdev d)
{
	return HAS(d, close) ? d.ops->close(d.self) : -EOPNOTSUPP;
}

int ttd_netdev_hwaddr(struct ttd_netdev d, uint8_t ret[6])
{
	if (!ret)
		return -EINVAL;
	return HAS(d, hwaddr) ? d.ops->hwaddr(d.self, ret) : -EOPNOTSUPP;
}

int ttd_netdev_addr(struct ttd_netdev d, struct ttd_prefix *ret)
{
	if (!ret)
		return -EINVAL;
	return HAS(d, addr) ? d.ops->addr(d.self, ret) : -EOPNOTSUPP;
}

int ttd_netdev_set_addr(struct ttd_netdev d, const struct ttd_prefix *prefix)
{
	if (!prefix)
		return -EINVAL;
	return HAS(d, set_addr) ? d.ops->set_addr(d.self, prefix) : -EOPNOTSUPP;
}

/* --- the wire ----------------------------------------------------------- */

static int send_on(void *peer, void *buf, size_t len)
{
	return ttd_send(peer, buf, len);
}

/* What is read on `from` shall be sent on `to`. */
static int lead(struct ttd_netdev from, struct ttd_netdev to)
{
	struct ttd_device *a = own(from), *b = own(to);

	if (a && b && a->vnet == b->vnet)
		return device_set_sink(a, &(struct sink){ .wire = b });
	if (b)
		return ttd_netdev_set_handler(from, send_on, b);
	/*
	 * A send function is a handler that leaves the buffer alone: const is
	 * all they differ in, and no ABI that we know passes it another way.
	 */
	return ttd_netdev_set_handler(from, (ttd_handler *)to.ops->send,
				      to.self);
}

/* A table that this version understands: what it does not know is 0. */
static bool is_device(struct ttd_netdev d)
{
	const struct ttd_netdev_ops *ops = d.ops;

	if (!ops || ops->size < offsetof(struct ttd_netdev_ops, set_handler) ||
	    ops->size > OPS_SIZE_SANE || ops->reserved ||
	    (ops->layer != TTD_TUN && ops->layer != TTD_TAP))
		return false;
	for (size_t i = sizeof(*ops); i < ops->size; i++)
		if (((const uint8_t *)ops)[i])
			return false;
	return true;
}

/* Its packets are more than an ordinary handler or send() understands. */
static bool is_pass(const struct ttd_device *dev)
{
	return dev && dev->offload == TTD_OFFLOAD_PASS;
}

int ttd_connect(struct ttd_netdev a, struct ttd_netdev b)
{
	const struct ttd_device *da = own(a), *db = own(b);
	int r;

	if (!is_device(a) || !is_device(b) || a.ops->layer != b.ops->layer ||
	    (a.ops == b.ops && a.self == b.self))
		return -EINVAL;
	if (!HAS(a, send) || !HAS(b, send) || !HAS(a, set_handler) ||
	    !HAS(b, set_handler) ||
	    ((is_pass(da) || is_pass(db)) &&
	     !(da && db && da->vnet && db->vnet)))
		return -EOPNOTSUPP;
	r = lead(a, b);
	if (r < 0)
		return r;
	r = lead(b, a);
	if (r < 0)
		ttd_netdev_set_handler(a, NULL, NULL);
	return r;
}
