/*
 * Devices that are there: brought from one state to another, and looked at for
 * what their holders did to them.
 */
#include <errno.h>
#include <string.h>

#include <linux/if_arp.h>

#include "os.h"
#include "os_linux.h"
#include "refuse.h"
#include "rtnl.h"

/*
 * While a device is down the kernel tells nothing of what its holder does to it.
 * He may make an Ethernet device of a TUN (TUNSETLINK), which cannot be undone
 * once it is up; or be its owner for a moment (TUNSETOWNER), and attach queues.
 */
static int check_made(const struct wire_open *to, const struct os_link *link,
		      struct wire_refused *why)
{
	uint16_t type = to->layer == WIRE_TUN ? ARPHRD_NONE : ARPHRD_ETHER;

	if (to->flags & WIRE_OPEN_DOWN)
		return 0;
	if (link->type != type)
		return refuse(why, WIRE_E_BUSY, "up", "its link type was "
			      "changed to %u while it was down, which no lease "
			      "may do; close the device and open another",
			      link->type);
	if (link->queues > to->queues)
		return refuse(why, WIRE_E_BUSY, "up", "it has %u queues, and "
			      "was made with %u: others were attached while it "
			      "was down, which no lease may do; close the "
			      "device and open another", link->queues,
			      to->queues);
	return 0;
}

/* Sends what is in the batch (ended by this) and reads the link back. */
static int commit_and_look(struct rtnl_batch *batch, unsigned ifindex,
			   struct os_link *ret, struct wire_refused *why)
{
	int error;

	*ret = (struct os_link){ 0 };
	rtnl_get_link(batch, ifindex);
	error = os_commit(batch, ret, why);
	if (!error && ret->ifindex != ifindex)
		return refuse(why, WIRE_E_FAILED, "read back",
			      "the kernel told nothing of the device");
	return error;
}

/* Before it is set up, or anything is made on it: is it still ours to? */
static int check_before(const struct rtnl_move *m, struct wire_refused *why)
{
	struct rtnl_batch batch;
	struct os_link link = { 0 };
	int error;

	if (!m->repair && !(m->from->flags & WIRE_OPEN_DOWN))
		return 0;
	if (m->to->flags & WIRE_OPEN_DOWN)
		return 0;
	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "change", "out of memory");
	error = commit_and_look(&batch, m->ifindex, &link, why);
	return error ? error : check_made(m->to, &link, why);
}

/* had: there is a guard, which this one replaces. */
static int move_device(const struct rtnl_move *m,
		       const struct guard_program *guard, bool had,
		       struct os_link *ret, struct wire_refused *why)
{
	struct rtnl_batch batch;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "change", "out of memory");
	rtnl_move(&batch, m);
	if (guard && had)
		rtnl_set_guard(&batch, m->ifindex, guard);
	else if (guard)
		rtnl_add_guard(&batch, m->ifindex, guard);
	return commit_and_look(&batch, m->ifindex, ret, why);
}

/* What the kernel says to a route where the device, or its network, is down. */
static bool says_down(int error)
{
	return error == -ENETDOWN || error == -ENETUNREACH ||
	       error == -EHOSTUNREACH;
}

/* 0 or -errno; *ret is how the device was found afterwards. */
static int undo(const struct rtnl_move *back, const struct guard_program *guard,
		struct os_link *ret, struct wire_refused *why)
{
	int error = move_device(back, guard, true, ret, why);

	/* Others set it down and up again in the middle of that. */
	if (says_down(error) && ret->up)
		error = move_device(back, guard, true, ret, why);
	return error;
}

int os_device_change(unsigned ifindex, uint32_t connected_metric,
		     const struct os_state *from, const struct os_state *to,
		     struct wire_refused *why)
{
	const struct rtnl_move go = { ifindex, connected_metric, from->open,
				      to->open, from->doubtful };
	const struct rtnl_move back = { ifindex, connected_metric, to->open,
					from->open, true };
	struct wire_refused second;
	struct os_link link = { 0 };
	int error = check_before(&go, why);

	if (error)
		return error;
	error = move_device(&go, to->guard, from->guard, &link, why);
	/* Again: its holder may have been in time. */
	if (!error)
		error = check_made(to->open, &link, why);
	if (!error || !undo(&back, from->guard, &link, &second))
		return error;
	/* Others set it down meanwhile: what it lacks comes back with up. */
	if (link.ifindex == ifindex && !link.up &&
	    !(from->open->flags & WIRE_OPEN_DOWN))
		return error;
	return refuse(why, why->code, why->step, "%.*s; and what had been done "
		      "could not be undone (%.*s): close the device",
		      (int)(WIRE_TEXT_MAX / 3), why->text,
		      (int)(WIRE_TEXT_MAX / 3), second.text);
}

bool os_device_drops_routes(const struct os_state *from,
			    const struct os_state *to)
{
	const struct rtnl_move m = { 0, 0, from->open, to->open,
				     from->doubtful };

	return rtnl_move_drops_routes(&m);
}

int os_device_add_routes(unsigned ifindex, const struct wire_route *routes,
			 unsigned n, bool ensure, struct wire_refused *why)
{
	struct rtnl_batch batch;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "route", "out of memory");
	for (unsigned i = 0; i < n; i++)
		rtnl_add_route(&batch, ifindex, &routes[i], NULL, ensure);
	return os_commit(&batch, NULL, why);
}

int os_device_restore(unsigned ifindex, uint32_t connected_metric,
		      const struct wire_open *is, struct wire_refused *why)
{
	const struct rtnl_move m = { ifindex, connected_metric, is, is, true };
	struct os_link link = { 0 };
	int error = check_before(&m, why);

	return error ? error : move_device(&m, NULL, false, &link, why);
}

int os_device_guard(unsigned ifindex, const struct guard_program *guard,
		    struct wire_refused *why)
{
	struct rtnl_batch batch;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "guard", "out of memory");
	rtnl_add_guard(&batch, ifindex, guard);
	return os_commit(&batch, NULL, why);
}

unsigned os_link_tampered(const struct os_link *link, uint8_t layer,
			  unsigned queues, const uint8_t mac[6])
{
	uint16_t type = layer == WIRE_TUN ? ARPHRD_NONE : ARPHRD_ETHER;
	unsigned bits = 0;

	if (link->persist)
		bits |= OS_TAMPER_PERSIST;
	if (!link->has_owner || link->owner != DEVICE_OWNER)
		bits |= OS_TAMPER_OWNER;
	if (link->has_group)
		bits |= OS_TAMPER_GROUP;
	if (link->type != type)
		bits |= OS_TAMPER_TYPE;
	if (layer == WIRE_TAP && memcmp(link->mac, mac, sizeof(link->mac)) != 0)
		bits |= OS_TAMPER_MAC;
	if (link->queues > queues)
		bits |= OS_TAMPER_QUEUES;
	return bits;
}
