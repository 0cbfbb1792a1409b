/*
 * One daemon in a network namespace: another would take the devices of this
 * one for what a daemon before it left, and delete them.
 *
 * The claim is an abstract Unix socket: such names belong to a network
 * namespace, and end with whoever has them, however he ends.  Any user can take
 * one, and fill its queue; so the kernel is asked whose it is (sock_diag(7)),
 * and it counts if it is root's, or of who we are.  Where a user has the name,
 * the claim is a longer one, which nobody can have taken before us.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "log.h"
#include "os.h"
#include "refuse.h"
#include "support.h"

#define NAME		"tuntapd: one in each network namespace"
#define NAME_LEN	(sizeof(NAME) - 1)
#define NAME_MAX_LEN	(sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define ANSWER_MAX	32768	/* what a dump comes in */
/*
 * What it may receive: over what users may ask for (net.core.rmem_max), so that
 * CAP_NET_ADMIN in this namespace is behind it, whoever runs it.
 */
#define CLAIM_BUFFER	(INT_MAX / 2)
#define LISTENING	10	/* TCP_LISTEN, which sock_diag uses for all */
/* Who was told to end may be at it still. */
#define TRIES		10
#define TRY_MS		100

static int claim = -1;

/* --- a name ------------------------------------------------------------- */

static socklen_t address(struct sockaddr_un *ret, const char *name)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path + 1, name, strlen(name));	/* behind a NUL */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(name));
}

/* 0, -EADDRINUSE, or -errno. */
static int take(const char *name)
{
	const int much = CLAIM_BUFFER;
	struct sockaddr_un a;
	socklen_t len = address(&a, name);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = s < 0 ? -errno : 0;

	if (!error)
		(void)setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &much,
				 sizeof(much));
	/* Only what listens is looked at; and it tells our pid. */
	if (!error && (bind(s, (struct sockaddr *)&a, len) < 0 ||
		       listen(s, SOMAXCONN) < 0))
		error = -errno;
	if (!error)
		claim = s;
	else if (s >= 0)
		close(s);
	return error;
}

static int take_longer(void)
{
	unsigned long long random;
	char name[NAME_MAX_LEN];

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(name, sizeof(name), NAME " %016llx", random);
	return take(name);
}

/* --- whose are they? ---------------------------------------------------- */

struct claims {
	ino_t own;
	bool blind;		/* the kernel does not say */
	bool daemon, user;	/* another daemon has one; a user has NAME */
	char name[NAME_MAX_LEN + 1];	/* that daemon's */
	uid_t uid;		/* that user's */
};

#define RCVBUF_AT	(SK_MEMINFO_RCVBUF * sizeof(uint32_t))

struct one {
	const char *name;	/* len bytes: a NUL, if it is abstract, first */
	size_t len;
	bool has_uid;
	uid_t uid;
	uint32_t buffer;
};

static int on_attr(const struct nlattr *attr, void *arg)
{
	struct one *s = arg;

	if (mnl_attr_get_type(attr) == UNIX_DIAG_NAME) {
		s->name = mnl_attr_get_payload(attr);
		s->len = mnl_attr_get_payload_len(attr);
	} else if (mnl_attr_get_type(attr) == UNIX_DIAG_UID &&
		   mnl_attr_validate(attr, MNL_TYPE_U32) == 0) {
		s->has_uid = true;
		s->uid = mnl_attr_get_u32(attr);
	} else if (mnl_attr_get_type(attr) == UNIX_DIAG_MEMINFO &&
		   mnl_attr_get_payload_len(attr) > RCVBUF_AT) {
		memcpy(&s->buffer, (const char *)mnl_attr_get_payload(attr) +
		       RCVBUF_AT, sizeof(s->buffer));
	}
	return MNL_CB_OK;
}

static bool is_claim(const struct one *s)
{
	return s->has_uid && s->len >= 1 + NAME_LEN &&
	       s->len <= 1 + NAME_MAX_LEN && !s->name[0] &&
	       memcmp(s->name + 1, NAME, NAME_LEN) == 0;
}

static int on_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(nlh);
	struct claims *c = arg;
	struct one s = { .len = 0 };

	if (mnl_attr_parse(nlh, sizeof(*msg), on_attr, &s) < 0 ||
	    msg->udiag_type != SOCK_STREAM || msg->udiag_ino == c->own ||
	    !is_claim(&s))
		return MNL_CB_OK;
	if (s.uid == 0 || s.uid == geteuid() || s.buffer >= CLAIM_BUFFER) {
		/* What nobody has accepted yet is root's, whoever connected. */
		if (msg->udiag_state != LISTENING)
			return MNL_CB_OK;
		c->daemon = true;
		snprintf(c->name, sizeof(c->name), "%.*s", (int)(s.len - 1),
			 s.name + 1);
	} else if (s.len == 1 + NAME_LEN) {
		c->user = true;
		c->uid = s.uid;
	}
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *nl, struct claims *ret)
{
	_Alignas(struct nlmsghdr) char buf[ANSWER_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct unix_diag_req *req;
	ssize_t n;
	int r;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = AF_UNIX;
	req->udiag_states = ~0u;
	req->udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID |
			  UDIAG_SHOW_MEMINFO;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		r = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 0, 0, on_socket,
					    ret);
	} while (r > 0);
	return r < 0 ? -errno : 0;
}

/* 0, or -errno where the kernel does not say. */
static int look(struct claims *ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG,
						 SOCK_CLOEXEC);
	struct stat st = { .st_ino = 0 };
	int error;

	if (!nl)
		return -errno;
	if (claim >= 0 && fstat(claim, &st) < 0)
		st.st_ino = 0;
	*ret = (struct claims){ .own = st.st_ino };
	error = ask(nl, ret);
	mnl_socket_close(nl);
	return error;
}

/* The pid of who listens there, or 0: its queue is full. */
static pid_t pid_of(const char *name)
{
	struct ucred cred = { .pid = 0 };
	socklen_t size = sizeof(cred);
	struct sockaddr_un a;
	socklen_t len = address(&a, name);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (s < 0)
		return 0;
	if (connect(s, (struct sockaddr *)&a, len) < 0 ||
	    getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		cred.pid = 0;
	close(s);
	return cred.pid;
}

/* --- the claim ---------------------------------------------------------- */

/*
 * 0, -EADDRINUSE, or -errno.  First it is there, then we look: of two that
 * start at once one sees the other, or both do.
 */
static int try(struct claims *c)
{
	int error = take(NAME);

	/* Where nobody can look, no daemon has another name. */
	c->blind = look(c) < 0;
	if (c->blind)
		return error;
	/* What a user has accepted bears the name when he has it no more. */
	if (!error)
		c->user = false;
	/* Not unless it is known that a user has it. */
	if (error == -EADDRINUSE && c->user && !c->daemon) {
		error = take_longer();
		if (!error)
			error = look(c);
	}
	if (!error && c->daemon)
		error = -EADDRINUSE;
	if (error)
		os_unclaim();
	return error;
}

static int refuse_claim(const struct claims *c, int error,
			struct wire_refused *why)
{
	pid_t pid = c->daemon ? pid_of(c->name) : 0;

	if (pid)
		return refuse(why, WIRE_E_FAILED, "start", "another tuntapd "
			      "runs in this network namespace (pid %d); there "
			      "can be one, as it cares for all devices that "
			      "are marked as tuntapd's", (int)pid);
	if (c->daemon)
		return refuse(why, WIRE_E_FAILED, "start", "another tuntapd "
			      "runs in this network namespace (`ss -xlp` tells "
			      "its pid: it has the socket `@%s`); there can be "
			      "one, as it cares for all devices that are "
			      "marked as tuntapd's", c->name);
	return refuse(why, WIRE_E_FAILED, "start", "cannot say that this is "
		      "the daemon of this network namespace: %s; if no other "
		      "tuntapd runs, end who has the socket `@%s` (`ss -xlp` "
		      "tells)", error == -EADDRINUSE ? "some process has the "
		      "name, and the kernel does not say whose it is "
		      "(CONFIG_UNIX_DIAG)" : strerror(-error), NAME);
}

int os_claim(struct wire_refused *why)
{
	const struct timespec a_while = { .tv_nsec = TRY_MS * 1000000L };
	struct claims c = { .user = false };
	int error = try(&c);

	for (int i = 0; error == -EADDRINUSE && i < TRIES; i++) {
		nanosleep(&a_while, NULL);
		error = try(&c);
	}
	if (error)
		return refuse_claim(&c, error, why);
	support_note(SUPPORT_UNIX_DIAG, !c.blind, "%s", c.blind ?
		     "who takes the name of tuntapd's socket keeps the next "
		     "daemon from starting (CONFIG_UNIX_DIAG)" :
		     "one daemon in a network namespace");
	if (c.user)
		log_line(LOG_WARNING, "uid %u (pid %d) has the socket `@%s`, "
			 "which is tuntapd's to have; this daemon does "
			 "without", c.uid, (int)pid_of(NAME), NAME);
	return 0;
}

void os_unclaim(void)
{
	if (claim >= 0)
		close(claim);
	claim = -1;
}
