#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "fault.h"
#include "limits.h"
#include "os_linux.h"
#include "refuse.h"
#include "rtnl.h"

#define NOBODY 65534		/* nobody and nogroup, on every Linux */
/*
 * Root's, and not our user's: who runs as that without CAP_NET_ADMIN, as who
 * looks names up may do, could attach a queue to a device that takes several.
 */
#define DEVICE_OWNER 0u

static struct {
	struct rtnl requests, events;
	struct rtnl_done done;		/* and not told to the watcher yet */
	struct os_watcher watcher;
} os;

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

int os_start(struct wire_refused *why)
{
	int error = rtnl_open(&os.requests);

	if (!error)
		error = os_deletions_start();
	if (error) {
		refuse(why, WIRE_E_FAILED, "start",
		       "cannot open a netlink socket: %s", strerror(-error));
		os_stop();
	}
	return error;
}

void os_stop(void)
{
	rtnl_close(&os.requests);
	os_deletions_stop();
	rtnl_close(&os.events);
	rtnl_done_free(&os.done);
}

/*
 * SIOCGIFINDEX, which each socket takes.  None is kept for that: by one of
 * datagrams who takes us over could talk to whomever he likes.
 */
static int ioctls(void)
{
	return rtnl_fd(&os.requests);
}

void os_close_from(int fd)
{
	close_range((unsigned)fd, ~0u, 0);
}

/* No socket either. */
int os_spare_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool os_name_taken(const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(ioctls(), SIOCGIFINDEX, &ifr) == 0;
}

bool os_has_offload(void)
{
	return true;
}

/* --- making a device ---------------------------------------------------- */

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
		error = step_ioctl(ioctls(), SIOCGIFINDEX, "SIOCGIFINDEX",
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

/* Sends the batch, and ends it; what it did is told with the next events. */
static int commit(struct rtnl_batch *batch, struct os_link *ret_link,
		  struct wire_refused *why)
{
	int error = rtnl_commit(&os.requests, batch, ret_link, why);

	rtnl_note(&os.done, batch);
	rtnl_batch_free(batch);
	return error;
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
	error = commit(&batch, &link, why);
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
	return 0;
}

/* --- changing it -------------------------------------------------------- */

/*
 * While a device is down its holder may make an Ethernet device of a TUN
 * (TUNSETLINK), and once it is up that cannot be undone.
 */
static int check_type(const struct wire_open *to, const struct os_link *link,
		      struct wire_refused *why)
{
	uint16_t type = to->layer == WIRE_TUN ? ARPHRD_NONE : ARPHRD_ETHER;

	if (to->flags & WIRE_OPEN_DOWN || link->type == type)
		return 0;
	return refuse(why, WIRE_E_BUSY, "up", "its link type was changed to "
		      "%u while it was down, which no lease may do; close the "
		      "device and open another", link->type);
}

/* Sends what is in the batch (ended by this) and reads the link back. */
static int commit_and_look(struct rtnl_batch *batch, unsigned ifindex,
			   struct os_link *ret, struct wire_refused *why)
{
	int error;

	*ret = (struct os_link){ 0 };
	rtnl_get_link(batch, ifindex);
	error = commit(batch, ret, why);
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
	return error ? error : check_type(m->to, &link, why);
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
		error = check_type(to->open, &link, why);
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
	return commit(&batch, NULL, why);
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
	int error;

	if (rtnl_batch_init(&batch))
		return refuse(why, WIRE_E_NO_MEMORY, "guard", "out of memory");
	rtnl_add_guard(&batch, ifindex, guard);
	error = rtnl_commit(&os.requests, &batch, NULL, why);
	rtnl_batch_free(&batch);
	return error;
}

unsigned os_link_tampered(const struct os_link *link, uint8_t layer,
			  const uint8_t mac[6])
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
	return bits;
}

/* --- what the host has -------------------------------------------------- */

int os_watch_start(const struct os_watcher *watcher, struct wire_refused *why)
{
	int error = rtnl_open_events(&os.events);

	/* Subscribed first, dumped then: nothing falls in between. */
	os.watcher = *watcher;
	if (!error)
		error = rtnl_dump(&os.requests, &os.watcher);
	if (error)
		refuse(why, WIRE_E_FAILED, "start", "cannot list the host's "
		       "interfaces: %s", strerror(-error));
	return error;
}

int os_watch_fd(void)
{
	return rtnl_fd(&os.events);
}

int os_watch_read(unsigned most)
{
	int error = rtnl_read_events(&os.events, &os.watcher, most);

	/* Behind what tells of their links. */
	return error ? error : rtnl_tell(&os.done, &os.watcher);
}

int os_watch_again(void)
{
	rtnl_forget(&os.done);
	return rtnl_dump(&os.requests, &os.watcher);
}

/* --- peers -------------------------------------------------------------- */

int os_limit_rights(uint32_t mask)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	mask &= data[0].permitted;
	memset(data, 0, sizeof(data));
	data[0].effective = data[0].permitted = mask;
	if (syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int drop_rights(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 ||
			       setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	/* A service manager may have given us some without root's uid. */
	return os_limit_rights(0);
}

static void become_child(int keep)
{
	/* Meant for the daemon, and sent to its group or cgroup. */
	static const int not_ours[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		signal(not_ours[i], SIG_IGN);
	if (keep > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)keep - 1, 0);
	os_close_from(keep + 1);
}

int os_child(int keep)
{
	become_child(keep);
	/* prctl(2): a change of uid takes the last one back. */
	return drop_rights() ? -EPERM :
	       prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int os_end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	/* It may have ended before it was asked to be told. */
	return getppid() == parent ? 0 : -ESRCH;
}

/* Keeps its user, and those of its capabilities. */
static int become_keeper(int keep, pid_t parent, uint32_t rights)
{
	become_child(keep);
	return os_limit_rights(rights) ? -EPERM : os_end_with(parent);
}

int os_keeper(int keep, pid_t parent)
{
	const uint32_t of_root = CAP_TO_MASK(CAP_SETUID) |
				 CAP_TO_MASK(CAP_SETGID) |
				 CAP_TO_MASK(CAP_KILL);

	return become_keeper(keep, parent, geteuid() == 0 ? of_root : 0);
}

int os_undertaker(int keep, pid_t parent)
{
	return become_keeper(keep, parent, 0);
}

int os_peer(int sock, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	gid_t *groups = NULL, *more;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	/* SO_PEERGROUPS says ERANGE and the length it wants. */
	len = 0;
	while (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
		if (errno != ERANGE || len > LIMIT_GROUPS * sizeof(gid_t)) {
			free(groups);
			return -errno;
		}
		more = realloc(groups, len);
		if (!more) {
			free(groups);
			return -ENOMEM;
		}
		groups = more;
	}
	*ret = (struct peer){ .uid = cred.uid, .gid = cred.gid,
			      .pid = cred.pid, .groups = groups,
			      .n_groups = len / sizeof(*groups) };
	return 0;
}

bool os_bytes_only(int sock)
{
	int passes = 1, off = 0, on = 1;
	socklen_t len = sizeof(passes);

	if (!fault_old_kernel()) {
		/* As it was until now: what is queued came then. */
		(void)getsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &passes,
				 &len);
		(void)setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &off,
				 sizeof(off));
	}
	/* Who passes us a socket may have set it: each read would tell ids. */
	(void)setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	/*
	 * Else a read drops an out-of-band byte, and the fds on it, that a look
	 * before it does not see; and where there is nothing else the socket is
	 * readable for ever.
	 */
	(void)setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	return !passes;
}

int os_accept(int sock)
{
	int fd = accept4(sock, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool os_all_received(int sock)
{
	int unread = 0;

	return ioctl(sock, SIOCOUTQ, &unread) < 0 || unread == 0;
}
