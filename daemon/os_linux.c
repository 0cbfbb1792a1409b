/* What the daemon's one thread asks the kernel by, and hears from it. */
#include "os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <linux/if.h>
#include <linux/sockios.h>

#include "os_linux.h"
#include "refuse.h"
#include "rtnl.h"

static struct {
	struct rtnl requests, events;
	struct rtnl_done done;		/* and not told to the watcher yet */
	struct os_watcher watcher;
} os;

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

int os_ioctls(void)
{
	return rtnl_fd(&os.requests);
}

int os_commit(struct rtnl_batch *batch, struct os_link *ret_link,
	      struct wire_refused *why)
{
	int error = rtnl_commit(&os.requests, batch, ret_link, why);

	rtnl_note(&os.done, batch);
	rtnl_batch_free(batch);
	return error;
}

/* No socket, see os_ioctls(). */
int os_spare_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool os_name_taken(const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(os_ioctls(), SIOCGIFINDEX, &ifr) == 0;
}

bool os_has_offload(void)
{
	return true;
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
