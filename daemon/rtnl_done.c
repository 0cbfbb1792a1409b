/*
 * Routes of ours that batches have made and removed: kept as the messages that
 * asked for them, and told as if they were the kernel's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "rtnl.h"

#define FIRST_ROOM	65536	/* bytes; it doubles */

static bool is_done(const struct nlmsghdr *nlh, const struct rtnl_row *row)
{
	if (nlh->nlmsg_type == RTM_NEWROUTE)
		return !row->error && !row->sourced;
	/* That it was not there is as good. */
	return nlh->nlmsg_type == RTM_DELROUTE;
}

static bool make_room(struct rtnl_done *done, size_t more)
{
	size_t room = done->room ? done->room : FIRST_ROOM;
	uint8_t *buf;

	if (done->len + more <= done->room)
		return true;
	while (room < done->len + more)
		room *= 2;
	buf = realloc(done->buf, room);
	if (!buf)
		return false;
	done->buf = buf;
	done->room = room;
	return true;
}

void rtnl_note(struct rtnl_done *done, const struct rtnl_batch *b)
{
	const struct nlmsghdr *nlh = (const void *)b->buf;
	int len = (int)b->len;

	for (unsigned i = 0; i < b->n; i++) {
		size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

		if (is_done(nlh, &b->rows[i]) && !make_room(done, size)) {
			done->lost = true;
		} else if (is_done(nlh, &b->rows[i])) {
			memcpy(done->buf + done->len, nlh, size);
			done->len += size;
		}
		nlh = mnl_nlmsg_next(nlh, &len);
	}
}

int rtnl_tell(struct rtnl_done *done, const struct os_watcher *watcher)
{
	const struct nlmsghdr *nlh = (const void *)done->buf;
	int len = (int)done->len;
	bool lost = done->lost;

	for (; len > 0 && mnl_nlmsg_ok(nlh, len);
	     nlh = mnl_nlmsg_next(nlh, &len))
		rtnl_tell_message(nlh, watcher);
	rtnl_forget(done);
	return lost ? -ENOBUFS : 0;
}

void rtnl_forget(struct rtnl_done *done)
{
	done->len = 0;
	done->lost = false;
}

void rtnl_done_free(struct rtnl_done *done)
{
	free(done->buf);
	*done = (struct rtnl_done){ .buf = NULL };
}
