/*
 * macOS: a device is an utun, which only root makes.  It has no mark, no guard,
 * no owner, and cannot be taken from who holds its fd: what is said here where
 * Linux can do more.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "darwin_compat.h"
#include "limits.h"
#include "os_darwin.h"
#include "refuse.h"
#include "support.h"

#define NOBODY	((uid_t)-2)	/* nobody and nogroup of macOS */
#define CLAIM	"/var/run/tuntapd.claim"
#define ADDRESSES_MOST	(2 * WIRE_ADDRESSES_MAX)	/* that one may have */

struct darwin_sockets darwin = { -1, -1, -1 };
static int claim = -1;

int darwin_cloexec(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int darwin_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type, protocol);
	int error = fd < 0 ? -errno : darwin_cloexec(fd);

	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

/* --- one daemon --------------------------------------------------------- */

int os_claim(struct wire_refused *why)
{
	int fd = open(CLAIM, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error;

	if (fd < 0)
		return refuse(why, WIRE_E_FAILED, "start", CLAIM ": %s",
			      strerror(errno));
	error = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
	if (error)
		close(fd);
	if (error == EWOULDBLOCK)
		return refuse(why, WIRE_E_EXISTS, "start", "another tuntapd "
			      "serves this machine (it has locked " CLAIM ")");
	if (error)
		return refuse(why, WIRE_E_FAILED, "start", "cannot lock " CLAIM
			      ": %s", strerror(error));
	claim = fd;
	return 0;
}

void os_unclaim(void)
{
	if (claim >= 0)
		close(claim);
	claim = -1;
}

/* Devices belong to nobody but who has their fd. */
int os_has_owner(struct wire_refused *why)
{
	(void)why;
	return 0;
}

/*
 * Routes are told by it, and nothing is read: what everybody says, and the
 * answers to it, do not wait there (as route(8) has it).
 */
static int open_route_socket(void)
{
	int fd = darwin_socket(PF_ROUTE, SOCK_RAW, AF_UNSPEC);
	int error = fd < 0 ? fd : 0;

	if (!error && shutdown(fd, SHUT_RD) < 0) {
		error = -errno;
		close(fd);
	}
	return error ? error : fd;
}

int os_start(struct wire_refused *why)
{
	int error = 0;

	darwin.inet = darwin_socket(AF_INET, SOCK_DGRAM, 0);
	darwin.inet6 = darwin_socket(AF_INET6, SOCK_DGRAM, 0);
	darwin.route = open_route_socket();
	if (darwin.inet < 0)
		error = darwin.inet;
	else if (darwin.inet6 < 0)
		error = darwin.inet6;
	else if (darwin.route < 0)
		error = darwin.route;
	if (!error)
		return 0;
	os_stop();
	return refuse(why, WIRE_E_FAILED, "start", "cannot open the sockets "
		      "that configure interfaces: %s%s", strerror(-error),
		      error == -EPERM ? "; tuntapd has to be root" : "");
}

static void end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void os_stop(void)
{
	end(&darwin.inet);
	end(&darwin.inet6);
	end(&darwin.route);
	watch_stop();
}

/*
 * In a child of fork(2), also what closes at an exec, as ours do.  What a library
 * has guarded against close(2) is not in a child: that wants FD_CLOFORK
 * (change_fdguard_np(), bsd/kern/kern_guarded.c).
 */
void os_close_from(int fd)
{
	for (int most = getdtablesize(); fd < most; fd++)
		close(fd);
}

int os_spare_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void os_kernel(char *ret, size_t cap)
{
	struct utsname u;

	snprintf(ret, cap, "%s", uname(&u) == 0 ? u.release : "");
}

void os_probe(void)
{
	support_note(SUPPORT_DEVICES, true, "utun");
	support_note(SUPPORT_GUARD, false, "macOS has none: a rule has to say "
		     "`source-guard = off`");
	support_note(SUPPORT_OFFLOAD, false, "each packet goes by itself");
	support_note(SUPPORT_FD_REFUSAL, false, "fds that clients send are "
		     "closed unread");
}

bool os_name_taken(const char *name)
{
	return if_nametoindex(name) != 0;
}

bool os_has_offload(void)
{
	return false;
}

/* --- a device ----------------------------------------------------------- */

/* What Linux has and macOS has not: refused, never left out. */
static int check_open(const struct wire_open *open,
		      const struct guard_program *guard,
		      struct wire_refused *why)
{
	if (open->layer == WIRE_TAP)
		return refuse(why, WIRE_E_UNSUPPORTED, "create", "there is no "
			      "TAP on macOS; ask for a TUN");
	if (open->queues > 1)
		return refuse(why, WIRE_E_UNSUPPORTED, "create", "a device of "
			      "macOS has one queue; %u were asked for",
			      open->queues);
	if (open->vnet_hdr == WIRE_VNET_YES)
		return refuse(why, WIRE_E_UNSUPPORTED, "create", "packets of "
			      "macOS have no virtio_net_hdr; ask for offload "
			      "none");
	if (open->txqueuelen)
		return refuse(why, WIRE_E_UNSUPPORTED, "create", "the queue of "
			      "a device of macOS has the length that it has; "
			      "leave txqueuelen out");
	if (guard)
		return refuse(why, WIRE_E_UNSUPPORTED, "guard", "macOS has no "
			      "source guard, and the rule requires it: it has "
			      "to say `source-guard = off`");
	return 0;
}

static int go(unsigned ifindex, const struct wire_open *from,
	      const struct wire_open *to, bool repair, struct wire_refused *why)
{
	char name[IFNAMSIZ];
	struct steps steps;
	int error;

	if (!if_indextoname(ifindex, name))
		return refuse(why, WIRE_E_ENDED, "change", "the device is "
			      "gone");
	move_plan(&steps, from, to, repair);
	error = move_do(&steps, ifindex, name, why);
	move_free(&steps);
	return error;
}

static int keep_copy(struct os_device *dev, int fd, struct wire_refused *why)
{
	int error;

	dev->own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dev->own >= 0)
		return 0;
	error = -errno;
	return refuse(why, refuse_kernel_code(-error), "create",
		      "a copy of the fd of %s: %s", dev->name,
		      strerror(-error));
}

int os_device_open(const struct wire_open *open, struct mark *mark,
		   uint32_t connected_metric, const struct guard_program *guard,
		   struct os_device *dev, struct wire_refused *why)
{
	static const struct wire_open bare = { 0 };	/* and up */
	int error = check_open(open, guard, why);
	int fd = error ? -1 : utun_make(open->name, &dev->ifindex, why);

	(void)mark;
	(void)connected_metric;
	if (fd < 0)
		return error ? error : fd;
	dev->fds[dev->n_fds++] = fd;
	snprintf(dev->name, sizeof(dev->name), "%s", open->name);
	error = keep_copy(dev, fd, why);
	if (error)
		return error;
	error = ifconf_get_mtu(dev->name, &dev->mtu);
	if (error)
		return refuse(why, refuse_kernel_code(-error), "create",
			      "the MTU of %s: %s", dev->name, strerror(-error));
	if (open->mtu)
		dev->mtu = open->mtu;
	return go(dev->ifindex, &bare, open, false, why);
}

int os_device_change(unsigned ifindex, uint32_t connected_metric,
		     const struct os_state *from, const struct os_state *to,
		     struct wire_refused *why)
{
	(void)connected_metric;
	return go(ifindex, from->open, to->open, from->doubtful, why);
}

/* Each that may be is asked for anew by move_plan() itself. */
bool os_device_drops_routes(const struct os_state *from,
			    const struct os_state *to)
{
	(void)from;
	(void)to;
	return false;
}

int os_device_add_routes(unsigned ifindex, const struct wire_route *routes,
			 unsigned n, bool ensure, struct wire_refused *why)
{
	struct steps steps;
	int error;

	move_add_routes(&steps, routes, n, ensure);
	error = move_do(&steps, ifindex, "", why);
	move_free(&steps);
	return error;
}

int os_device_guard(unsigned ifindex, const struct guard_program *guard,
		    struct wire_refused *why)
{
	(void)ifindex;
	(void)guard;
	return refuse(why, WIRE_E_UNSUPPORTED, "guard", "macOS has no source "
		      "guard: the rule has to say `source-guard = off`");
}

int os_device_restore(unsigned ifindex, uint32_t connected_metric,
		      const struct wire_open *is, struct wire_refused *why)
{
	(void)connected_metric;
	return go(ifindex, is, is, true, why);
}

/* One that the interface has: 1, 0 or -errno. */
static int some_address(const char *ifname, struct wire_address *ret)
{
	struct ifaddrs *all, *a;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (a = all; a && !found; a = a->ifa_next)
		found = strcmp(a->ifa_name, ifname) == 0 &&
			watch_address(a, &ret->local);
	freeifaddrs(all);
	return found;
}

/* All of them, also those that its down leaves: static ones of IPv6. */
static int take_routes(const char *name)
{
	unsigned ifindex = if_nametoindex(name);

	return ifindex ? route_remove_all(ifindex) : -errno;
}

static int take_addresses(const char *name)
{
	struct wire_address a = { 0 };

	for (int i = 0; i < ADDRESSES_MOST; i++) {
		int some = some_address(name, &a), error;

		if (some <= 0)
			return some;
		error = ifconf_remove_address(name, &a);
		if (error && error != -EADDRNOTAVAIL)	/* gone since */
			return error;
	}
	return -EBUSY;
}

/*
 * An utun goes with its last fd, and whoever has one keeps it.  What can be
 * taken is what makes it of use: that it is up, its routes and addresses.  Once
 * it is gone its name and index are those of the next one that has the unit
 * (dlil_if_acquire(), bsd/net/dlil.c): so the daemon's own fd says which it is,
 * and keeps it.
 */
static int take_down(int own)
{
	char name[IFNAMSIZ];
	int error = utun_name(own, name);

	if (!error)
		error = ifconf_set_up(name, false);
	if (!error || error == -EALREADY)
		error = take_routes(name);
	return error ? error : take_addresses(name);
}

unsigned os_own_fds(void)
{
	return 2;
}

void os_devices_delete(struct os_deletion *d, unsigned n)
{
	/*
	 * Without one it was hardly made: it goes with the fd that there is.
	 * What the kernel forbids is no other device: it is tried again.
	 */
	for (unsigned i = 0; i < n; i++) {
		d[i].result = d[i].own < 0 ? 0 : take_down(d[i].own);
		if (d[i].result == -EPERM)
			d[i].result = -EACCES;
	}
}

/* They bear no mark that a daemon after this one would find. */
int os_devices_doom(const unsigned *ifindexes, unsigned n)
{
	(void)ifindexes;
	(void)n;
	return 0;
}

bool os_link_doomed(const struct os_link *link)
{
	(void)link;
	return false;
}

/* Of what a holder may do to an utun by its fd nothing is tampering. */
unsigned os_link_tampered(const struct os_link *link, uint8_t layer,
			  unsigned queues, const uint8_t mac[6])
{
	(void)link;
	(void)layer;
	(void)queues;
	(void)mac;
	return 0;
}

/* Devices bear no mark: none is known to be of a daemon before this one. */
int os_devices_find(bool (*found)(void *arg, struct os_found *f),
		    void *arg)
{
	(void)found;
	(void)arg;
	return 0;
}

/* --- children ----------------------------------------------------------- */

static void become_child(int keep)
{
	static const int not_ours[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		signal(not_ours[i], SIG_IGN);
	for (int fd = STDERR_FILENO + 1; fd < keep; fd++)
		close(fd);
	os_close_from(keep + 1);
}

/* Nothing ends a child with its parent here: it hears of that by its socket. */
int os_end_with(pid_t parent)
{
	return getppid() == parent ? 0 : -ESRCH;
}

int os_child(int keep)
{
	become_child(keep);
	if (geteuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 ||
	       setuid(NOBODY) < 0 ? -EPERM : 0;
}

int os_keeper(int keep, pid_t parent)
{
	become_child(keep);
	return os_end_with(parent);
}

int os_undertaker(int keep, pid_t parent)
{
	return os_keeper(keep, parent);
}

/* --- sockets ------------------------------------------------------------ */

/*
 * As they were when it connected: LOCAL_PEERCRED is pinned then (unp_connect(),
 * bsd/kern/uipc_usrreq.c).  Its first group is the gid, and it has 16 at most.
 */
int os_peer(int sock, struct peer *ret)
{
	struct xucred cred;
	socklen_t len = sizeof(cred), pid_len = sizeof(ret->pid);
	gid_t *groups;

	if (getsockopt(sock, SOL_LOCAL, LOCAL_PEERCRED, &cred, &len) < 0)
		return -errno;
	if (len != sizeof(cred) || cred.cr_version != XUCRED_VERSION ||
	    cred.cr_ngroups < 1 || cred.cr_ngroups > NGROUPS)
		return -EPROTO;
	groups = malloc(sizeof(cred.cr_groups));
	if (!groups)
		return -ENOMEM;
	memcpy(groups, cred.cr_groups, sizeof(cred.cr_groups));
	*ret = (struct peer){ .uid = cred.cr_uid, .gid = cred.cr_groups[0],
			      .groups = groups,
			      .n_groups = (size_t)cred.cr_ngroups };
	/* For the log alone: it may be another's by now. */
	(void)getsockopt(sock, SOL_LOCAL, LOCAL_PEERPID, &ret->pid, &pid_len);
	return 0;
}

bool os_bytes_only(int sock)
{
	(void)sock;
	return false;
}

static int set_up_accepted(int fd)
{
	const int on = 1;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) < 0)
		return -errno;
	return darwin_cloexec(fd);
}

int os_accept(int sock)
{
	int fd = accept(sock, NULL, NULL);
	int error = fd < 0 ? -errno : set_up_accepted(fd);

	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

/* Nobody tells; what is not received is not the daemon's account here. */
bool os_all_received(int sock)
{
	(void)sock;
	return true;
}
