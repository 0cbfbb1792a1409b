#include "dump_linux.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#define ANSWER_BYTES	65536
#define ANSWER_SECONDS	2	/* the kernel answers at once */
#define TRIES		5	/* changes may tear each one */
#define FIRST_ROOM	64

void *dump_ask(struct dump *d, uint16_t type, size_t bytes)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(d->ask);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	return mnl_nlmsg_put_extra_header(nlh, bytes);
}

/* What a message that ends a dump says of it. */
static int end_of(const struct nlmsghdr *nlh, bool torn)
{
	const int *error = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*error) && *error)
		return *error;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return -EPROTO;
	return torn ? -EAGAIN : 0;
}

/* 0, -EAGAIN if a change tore it, or -errno. */
static int read_answer(struct mnl_socket *nl, const struct dump *d)
{
	char buf[ANSWER_BYTES] __attribute__((aligned(8)));
	bool torn = false;
	int r;

	for (;;) {
		ssize_t got = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (const void *)buf;
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
				torn = true;
			if (nlh->nlmsg_type == NLMSG_DONE ||
			    nlh->nlmsg_type == NLMSG_ERROR)
				return end_of(nlh, torn);
			r = d->take(nlh, d->arg);
			if (r)
				return r;
		}
	}
}

/* On a socket of its own: of one that went wrong nothing comes behind it. */
static int read_once(const struct dump *d)
{
	const struct nlmsghdr *nlh = (const void *)d->ask;
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r = 0, one = 1;

	if (!nl)
		return -errno;
	/* Without it there is more in the answer than was asked for. */
	(void)mnl_socket_setsockopt(nl, NETLINK_GET_STRICT_CHK, &one,
				    sizeof(one));
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO,
		       &patience, sizeof(patience)) < 0 ||
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		r = -errno;
	if (d->n)
		*d->n = 0;
	if (r == 0)
		r = read_answer(nl, d);
	mnl_socket_close(nl);
	return r;
}

/* Torn each time: what was seen is what there was, if not all of it. */
int dump_read(const struct dump *d)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = read_once(d);
	return r == -EAGAIN ? 0 : r;
}

void *dump_grow(void *all, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : FIRST_ROOM;

	if (n < *room)
		return all;
	all = reallocarray(all, more, size);
	if (all)
		*room = more;
	return all;
}

uint32_t dump_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) < 0 ? 0 :
	       mnl_attr_get_u32(attr);
}
