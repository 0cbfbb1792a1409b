/*
 * The daemon's work, as one would write it with root's rights for a program of
 * one's own: rtnetlink with libmnl, in batches of which the last message alone
 * is acknowledged.
 *
 *	open	in mode no-guard; guarded, with the filters that the daemon
 *		makes; ip, where ip(8) does all but making the device
 *	end	all of a group are deleted by one message
 *	routes	in mode raw; ip, by `ip -batch`
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "../../daemon/rtnl.h"
#include "control.h"

#define MESSAGES_MAX	1000		/* acknowledged together */
#define MESSAGE_BYTES	128
#define GUARD_BYTES	65536
#define OUR_GROUP	4711		/* nobody else's */

extern char **environ;

/* --- a batch ------------------------------------------------------------ */

static struct mnl_socket *nl;
static struct {
	uint8_t bytes[MESSAGES_MAX * MESSAGE_BYTES + GUARD_BYTES];
	size_t len;
	struct nlmsghdr *last;
} batch;

static void open_netlink(void)
{
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		contestant_fail("netlink: %s", strerror(errno));
}

static struct nlmsghdr *begin(uint16_t type, unsigned flags, size_t header)
{
	static uint32_t seq;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(batch.bytes + batch.len);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++seq;
	mnl_nlmsg_put_extra_header(nlh, header);
	return nlh;
}

static void end(struct nlmsghdr *nlh)
{
	batch.len += NLMSG_ALIGN(nlh->nlmsg_len);
	batch.last = nlh;
}

static void commit(void)
{
	static uint8_t answer[65536];
	const struct nlmsghdr *nlh = (void *)answer;
	const uint32_t last = batch.last->nlmsg_seq;
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

	batch.last->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl, batch.bytes, batch.len) < 0)
		contestant_fail("netlink: %s", strerror(errno));
	batch.len = 0;
	do {
		if (mnl_socket_recvfrom(nl, answer, sizeof(answer)) < 0)
			contestant_fail("netlink: %s", strerror(errno));
		if (nlh->nlmsg_type != NLMSG_ERROR || error->error)
			contestant_fail("netlink: %s",
					strerror(-error->error));
	} while (nlh->nlmsg_seq != last);
}

/* --- its messages ------------------------------------------------------- */

static void put_up(unsigned ifindex, unsigned mtu)
{
	struct nlmsghdr *nlh = begin(RTM_SETLINK, 0, sizeof(struct ifinfomsg));
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_change = ifi->ifi_flags = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	end(nlh);
}

/* The kernel makes the route that belongs to it. */
static void put_address(unsigned ifindex, const struct prefix *p)
{
	struct nlmsghdr *nlh = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
				     sizeof(struct ifaddrmsg));
	struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);

	ifa->ifa_family = p->family == 4 ? AF_INET : AF_INET6;
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = ifindex;
	ifa->ifa_flags = p->family == 6 ? IFA_F_NODAD : 0;
	mnl_attr_put(nlh, IFA_LOCAL, prefix_bytes(p->family), p->ip);
	mnl_attr_put(nlh, IFA_ADDRESS, prefix_bytes(p->family), p->ip);
	end(nlh);
}

static void put_route(unsigned ifindex, const struct prefix *p)
{
	struct nlmsghdr *nlh = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL,
				     sizeof(struct rtmsg));
	struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);

	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = p->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_DST, prefix_bytes(p->family), p->ip);
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
	end(nlh);
}

static void put_group(uint16_t type, unsigned ifindex)
{
	struct nlmsghdr *nlh = begin(type, 0, sizeof(struct ifinfomsg));
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_index = (int)ifindex;
	mnl_attr_put_u32(nlh, IFLA_GROUP, OUR_GROUP);
	end(nlh);
}

/* The daemon's own bytes: two filters of tc and what they hang on. */
static void put_guard(unsigned ifindex, const struct guard_program *program)
{
	static struct rtnl_batch guard;

	if (!guard.buf && rtnl_batch_init(&guard))
		contestant_fail("out of memory");
	guard.len = guard.n = 0;
	rtnl_add_guard(&guard, ifindex, program);
	memcpy(batch.bytes + batch.len, guard.buf, guard.len);
	batch.len += guard.len;
}

/* --- devices ------------------------------------------------------------ */

static struct prefix parse(const char *text)
{
	struct prefix p;

	if (!text || prefix_parse(text, &p, NULL))
		contestant_fail("%s is no prefix", text ? text : "nothing");
	return p;
}

static struct prefix host(uint32_t address)
{
	const uint32_t in_order = htonl(address);
	struct prefix p = { .family = 4, .len = 32 };

	memcpy(p.ip, &in_order, sizeof(in_order));
	return p;
}

static int make(const char *name, unsigned *ret_ifindex)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		contestant_fail("/dev/net/tun: %s", strerror(errno));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 ||
	    ioctl(mnl_socket_get_fd(nl), SIOCGIFINDEX, &ifr) < 0)
		contestant_fail("%s: %s", name, strerror(errno));
	*ret_ifindex = (unsigned)ifr.ifr_ifindex;
	return fd;
}

/* With one address, and up. */
static int make_nth(const struct contestant *c, unsigned n,
		    unsigned *ret_ifindex)
{
	const struct prefix address = host(control_address(n));
	char name[CONTROL_NAME_MAX];
	int fd;

	control_name(c, n, name);
	fd = make(name, ret_ifindex);
	put_address(*ret_ifindex, &address);
	put_up(*ret_ifindex, CONTROL_MTU);
	commit();
	return fd;
}

/* --- ip(8) -------------------------------------------------------------- */

static void ip(const char *const *words, FILE *input)
{
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (input)
		posix_spawn_file_actions_adddup2(&actions, fileno(input),
						 STDIN_FILENO);
	errno = posix_spawnp(&pid, words[0], &actions, NULL,
			     (char *const *)words, environ);
	if (errno)
		contestant_fail("%s: %s", words[0], strerror(errno));
	posix_spawn_file_actions_destroy(&actions);
	if (waitpid(pid, &status, 0) != pid || status)
		contestant_fail("%s %s %s has failed", words[0], words[1],
				words[2]);
}
#define IP(...) ip((const char *const []){ "ip", __VA_ARGS__, NULL }, NULL)

/* --- open --------------------------------------------------------------- */

struct wish {
	const char *name, *address, *address6;	/* with their lengths */
	bool guarded, by_ip;
};

/* What follows from its addresses and its route, as in daemon/source.c. */
static void build_guard(const struct prefix *address,
			const struct prefix *route, struct guard_program *ret)
{
	const struct guard_net nets[] = {
		{ prefix_network(&address[0]), GUARD_ALLOW },
		{ prefix_network(&address[1]), GUARD_ALLOW },
		{ *route, GUARD_ALLOW },
	};
	const struct prefix own[] = { prefix_host(&address[0]),
				      prefix_host(&address[1]) };
	const struct guard_spec spec = {
		.nets = nets, .n_nets = sizeof(nets) / sizeof(*nets),
		.own = own, .n_own = sizeof(own) / sizeof(*own),
	};
	int n = guard_build(&spec, ret->insns, GUARD_INSNS_MAX);

	if (n < 0)
		contestant_fail("guard: %s", strerror(-n));
	ret->n = (unsigned)n;
}

static int open_by_netlink(const struct wish *w)
{
	static struct guard_program program;
	const struct prefix address[] = { parse(w->address),
					  parse(w->address6) };
	const struct prefix route = parse(CONTROL_ROUTE);
	unsigned ifindex;
	int fd = make(w->name, &ifindex);

	if (w->guarded) {
		build_guard(address, &route, &program);
		put_guard(ifindex, &program);
	}
	put_up(ifindex, CONTROL_MTU);
	put_address(ifindex, &address[0]);
	put_address(ifindex, &address[1]);
	put_route(ifindex, &route);
	commit();
	return fd;
}

static int open_by_ip(const struct wish *w)
{
	unsigned ifindex;
	int fd = make(w->name, &ifindex);
	char mtu[sizeof("65535")];

	snprintf(mtu, sizeof(mtu), "%d", CONTROL_MTU);
	IP("addr", "add", w->address, "dev", w->name);
	IP("addr", "add", w->address6, "dev", w->name, "nodad");
	IP("link", "set", w->name, "mtu", mtu, "up");
	IP("route", "add", CONTROL_ROUTE, "dev", w->name);
	return fd;
}

static void open_rounds(const struct contestant *c)
{
	char text[128], *words[WORDS_MAX];
	struct wish w = { .name = c->name };
	unsigned n;

	snprintf(text, sizeof(text), "%s", c->address);
	w.address = strtok(text, ",");
	w.address6 = strtok(NULL, ",");
	w.guarded = contestant_mode(c, "guarded");
	w.by_ip = contestant_mode(c, "ip");
	contestant_ready();
	while ((n = contestant_round(words))) {
		double ns = 0;

		n = control_count(words, n);
		for (unsigned i = 0; i < n; i++) {
			double began = contestant_ns();
			int fd = w.by_ip ? open_by_ip(&w) :
				 open_by_netlink(&w);

			ns += contestant_ns() - began;
			close(fd);
		}
		contestant_answer("ns=%.0f", ns);
	}
}

/* --- end ---------------------------------------------------------------- */

static void make_group(const struct contestant *c, unsigned n, int *fds)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned ifindex;

		fds[i] = make_nth(c, i, &ifindex);
		put_group(RTM_SETLINK, ifindex);
		commit();
	}
}

/* What the kernel does at the end of a process that holds them. */
static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static void end_rounds(const struct contestant *c)
{
	const bool by_close = contestant_mode(c, "close");
	char *words[WORDS_MAX];
	double began, ns;
	unsigned n;
	int *fds;

	contestant_ready();
	while ((n = contestant_round(words))) {
		n = control_count(words, n);
		fds = calloc(n, sizeof(*fds));
		if (!fds)
			contestant_fail("out of memory");
		make_group(c, n, fds);
		began = contestant_ns();
		if (by_close) {
			close_all(fds, n);
		} else {
			put_group(RTM_DELLINK, 0);
			commit();
		}
		ns = contestant_ns() - began;
		if (!by_close)
			close_all(fds, n);
		free(fds);
		contestant_answer("ns=%.0f", ns);
	}
}

/* --- routes ------------------------------------------------------------- */

static double routes_by_netlink(unsigned ifindex, unsigned n)
{
	double began = contestant_ns();

	for (unsigned i = 0; i < n; i++) {
		const struct prefix p = host(control_route(i));

		put_route(ifindex, &p);
		if ((i + 1) % MESSAGES_MAX == 0 || i + 1 == n)
			commit();
	}
	return contestant_ns() - began;
}

/* Its file is written before. */
static double routes_by_ip(const char *name, unsigned n)
{
	static const char *const words[] = { "ip", "-batch", "-", NULL };
	FILE *file = tmpfile();
	double began;

	if (!file)
		contestant_fail("tmpfile: %s", strerror(errno));
	for (unsigned i = 0; i < n; i++) {
		const struct in_addr a = { htonl(control_route(i)) };
		char text[INET_ADDRSTRLEN];

		fprintf(file, "route add %s/32 dev %s\n",
			inet_ntop(AF_INET, &a, text, sizeof(text)), name);
	}
	rewind(file);
	began = contestant_ns();
	ip(words, file);
	began = contestant_ns() - began;
	fclose(file);
	return began;
}

static void route_rounds(const struct contestant *c)
{
	char *words[WORDS_MAX], name[CONTROL_NAME_MAX];
	unsigned n, ifindex;
	double ns;
	int fd;

	control_name(c, 0, name);
	contestant_ready();
	while ((n = contestant_round(words))) {
		n = control_count(words, n);
		fd = make_nth(c, 0, &ifindex);
		ns = contestant_mode(c, "ip") ? routes_by_ip(name, n) :
		     routes_by_netlink(ifindex, n);
		close(fd);
		contestant_answer("ns=%.0f", ns);
	}
}

int main(int argc, char **argv)
{
	struct contestant c;

	contestant_begin(&c, argc, argv);
	control_take_all_fds();
	open_netlink();
	if (contestant_is(&c, "open"))
		open_rounds(&c);
	else if (contestant_is(&c, "end"))
		end_rounds(&c);
	else if (contestant_is(&c, "routes"))
		route_rounds(&c);
	contestant_fail("%s is not known, or a round was told no count",
			c.workload);
}
