/*
 * What a test asks of the backend, compiled for macOS together with it: so that
 * requests have the layout that the daemon's have.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>

#include "../../ctl/doctor.h"
#include "../../ctl/links.h"
#include "../../daemon/confine.h"
#include "../../daemon/mirror.h"
#include "../../daemon/os_darwin.h"
#include "../../daemon/passed.h"
#include "../../libclient/device.h"
#include "../../proto/frame.h"
#include "../../proto/sys.h"

int standard_begin(void);
int standard_start(void);
int standard_open(void);
int standard_change(int step);
int standard_restore(void);
int standard_more_routes(void);
int standard_down_by_others(void);
int standard_address_by_others(void);
int standard_route_by_others(void);
int standard_remove_single(void);
int standard_take_down(void);
int standard_own(void);
int standard_fd(void);
int standard_shared(void);
int standard_let_go(void);
int standard_close_own(void);
int standard_taken_by_others(void);
int standard_refused(int which);
int standard_request(int client, int daemon, int fd);
int standard_peer(int sock, unsigned uid, unsigned gid, unsigned n_groups);
int standard_bare(void);
int standard_tells(void);
const char *standard_told(void);
int standard_watch_fd(void);
int standard_mirror(void);
int standard_update(void);
int standard_follow(void);
int standard_missed(void);
int standard_deleted(void);
int standard_has_device(void);
int standard_has_address(void);
int standard_no_user(void);
int standard_confine(void);
int standard_claim(void);
int standard_unclaim(void);
int standard_child(int keep);
int standard_keeper(int keep, int parent);
int standard_pair(int *fds);
int standard_pipe(int *fds);
int standard_socket(bool waits);
int standard_receive(int sock);
const char *standard_refusal(void);
int standard_protect(int sock, int family, unsigned own);
int standard_links(void);
int standard_routes(void);
int standard_doctor(void);
int standard_close(void);
int standard_end(void);
const char *standard_why(void);
const char *standard_name(void);
unsigned standard_mtu(void);

#define NAME	"utun7"

static struct os_device device = { .own = -1 };
static int others = -1;		/* an fd of another program's */
static struct wire_refused why;
static struct wire_open is;

static struct prefix ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t len)
{
	return (struct prefix){ .ip = { a, b, c, d }, .family = 4, .len = len };
}

static struct prefix ipv6(uint8_t third, uint8_t last, uint8_t len)
{
	return (struct prefix){ .ip = { 0xfd, 0, 0, third, [15] = last },
				.family = 6, .len = len };
}

/* IPv4 and IPv6, an MTU, a route of each family. */
static struct wire_open standard(void)
{
	struct wire_open open = {
		.layer = WIRE_TUN, .name = NAME, .queues = 1, .mtu = 1420,
		.n_addresses = 2,
		.addresses = { { .local = ipv4(10, 9, 0, 2, 24) },
			       { .local = ipv6(9, 2, 64) } },
		.n_routes = 2,
		.routes = { { .dst = ipv4(10, 20, 0, 0, 16), .metric = 1000 },
			    { .dst = ipv6(0x20, 0, 48), .metric = 1000 } },
	};

	return open;
}

/* Other addresses, other routes, one by a gateway, another MTU. */
static struct wire_open other(void)
{
	struct wire_open open = standard();

	open.mtu = 1380;
	open.addresses[0].local = ipv4(10, 9, 1, 2, 24);
	open.addresses[1].local = ipv6(10, 2, 64);
	open.routes[1] = (struct wire_route){
		.dst = ipv4(10, 21, 0, 0, 16), .gateway = ipv4(10, 9, 1, 9, 32),
	};
	return open;
}

/* As main() does. */
int standard_begin(void)
{
	passed_close_others(0);
	return 0;
}

int standard_start(void)
{
	memset(&why, 0, sizeof(why));
	return os_start(&why);
}

int standard_open(void)
{
	device = OS_DEVICE_INIT;
	is = standard();
	return os_device_open(&is, NULL, 1000, NULL, &device, &why);
}

static int change_to(const struct wire_open *to)
{
	struct os_state from = { .open = &is }, then = { .open = to };
	int error = os_device_change(device.ifindex, 1000, &from, &then, &why);

	if (!error)
		is = *to;
	return error;
}

/* To the other, down, up, and back. */
int standard_change(int step)
{
	struct wire_open to = step < 3 ? other() : standard();

	to.flags = step == 1 ? WIRE_OPEN_DOWN : 0;
	return change_to(&to);
}

int standard_restore(void)
{
	return os_device_restore(device.ifindex, 1000, &is, &why);
}

int standard_more_routes(void)
{
	const struct wire_route more[] = {
		{ .dst = ipv4(10, 30, 0, 0, 16) },
		{ .dst = ipv4(10, 31, 0, 0, 16) },
		{ .dst = ipv6(0x30, 0, 48) },
	};

	return os_device_add_routes(device.ifindex, more, 3, false, &why);
}

/* As ifconfig(8) does. */
int standard_down_by_others(void)
{
	return ifconf_set_up(NAME, false);
}

/* As `ifconfig utun7 -alias` does. */
int standard_address_by_others(void)
{
	return ifconf_remove_address(NAME, &is.addresses[0]);
}

/* An administrator gives the network to another interface. */
int standard_route_by_others(void)
{
	const struct wire_route route = { .dst = ipv4(10, 9, 0, 0, 24) };
	int error = route_remove(device.ifindex, &route);

	return error ? error : route_add(if_nametoindex("en0"), &route);
}

/* Of a lease's, to one address. */
int standard_remove_single(void)
{
	const struct wire_route route = { .dst = ipv4(10, 20, 0, 9, 32) };

	return route_remove(device.ifindex, &route);
}

int standard_take_down(void)
{
	struct os_deletion d = { .ifindex = device.ifindex,
				 .own = device.own };

	os_devices_delete(&d, 1);
	return d.result;
}

int standard_own(void)
{
	return device.own;
}

/* The client's. */
int standard_fd(void)
{
	return device.fds[0];
}

int standard_shared(void)
{
	return os_is_shared(device.own);
}

/* As the client does at its end. */
int standard_let_go(void)
{
	while (device.n_fds > 0)
		close(device.fds[--device.n_fds]);
	return 0;
}

/* As the daemon does where nobody else has the device. */
int standard_close_own(void)
{
	int error = device.own < 0 ? 0 : close(device.own);

	device.own = -1;
	return error;
}

/* Another program makes the utun of this unit: the index that it has got. */
int standard_taken_by_others(void)
{
	const struct wire_address a = { .local = ipv4(10, 77, 0, 1, 32) };
	unsigned ifindex;

	others = utun_make(NAME, &ifindex, &why);
	if (others < 0)
		return others;
	return ifconf_add_address(NAME, &a) < 0 ? -1 : (int)ifindex;
}

/* What macOS has not. */
int standard_refused(int which)
{
	static const struct guard_program guard = { .n = 1 };
	struct wire_open open = standard();

	device = OS_DEVICE_INIT;
	switch (which) {
	case 0:
		open.layer = WIRE_TAP;
		break;
	case 1:
		open.queues = 2;
		break;
	case 2:
		open.vnet_hdr = WIRE_VNET_YES;
		break;
	case 3:
		open.txqueuelen = 500;
		break;
	case 4:
		strcpy(open.name, "tt0");
		break;
	default:
		break;
	}
	return os_device_open(&open, NULL, 1000, which == 5 ? &guard : NULL,
			      &device, &why);
}

/* A client's bytes, with that fd or none (-1), as the daemon reads them. */
int standard_request(int client, int daemon, int fd)
{
	static const uint8_t bytes[WIRE_HEADER_LEN];
	struct frame_in in = FRAME_IN_INIT;
	size_t off = 0;
	int error = frame_send(client, bytes, sizeof(bytes), &off, &fd,
			       fd >= 0);

	if (!error)
		error = frame_receive(&in, daemon, WIRE_FROM_CLIENT, 0);
	frame_in_reset(&in);
	return error;
}

/* 0 if that socket's other end is who the test says. */
int standard_peer(int sock, unsigned uid, unsigned gid, unsigned n_groups)
{
	struct peer peer = { 0 };
	int error = os_peer(sock, &peer);

	if (error)
		return error;
	error = peer.uid != uid || peer.gid != gid ||
		peer.n_groups != n_groups || peer.groups[0] != gid;
	free(peer.groups);
	return error;
}

/* One that nothing is asked for: an interface, and no message of it. */
int standard_bare(void)
{
	device = OS_DEVICE_INIT;
	is = (struct wire_open){ .layer = WIRE_TUN, .name = NAME, .queues = 1 };
	return os_device_open(&is, NULL, 1000, NULL, &device, &why);
}

/* --- what the host has -------------------------------------------------- */

static char told[4096];

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t len = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + len, sizeof(told) - len, format, args);
	va_end(args);
}

static void tell_link(void *arg, const struct os_link *l, bool gone)
{
	(void)arg;
	note("%slink %s index %u%s mtu %u type %u layer %u\n",
	     gone ? "gone: " : "", l->name, l->ifindex, l->up ? " up" : "",
	     l->mtu, (unsigned)l->type, (unsigned)l->layer);
}

static void tell_address(void *arg, const struct os_address *a, bool gone)
{
	char text[PREFIX_TEXT_MAX];

	(void)arg;
	note("%saddress %s index %u\n", gone ? "gone: " : "",
	     prefix_format(&a->local, text), a->ifindex);
}

static void tell_route(void *arg, const struct os_route *r, bool gone)
{
	static const char *const to[] = {
		[OS_ROUTE_TO_LINK] = "link", [OS_ROUTE_TO_HOST] = "host",
		[OS_ROUTE_TO_NOWHERE] = "nowhere",
	};
	char text[PREFIX_TEXT_MAX], via[PREFIX_TEXT_MAX] = "-";

	(void)arg;
	if (r->gateway.family)
		prefix_format(&r->gateway, via);
	note("%sroute %s to %s index %u via %s%s\n", gone ? "gone: " : "",
	     prefix_format(&r->dst, text), to[r->to], r->ifindex, via,
	     r->direct ? " direct" : "");
}

static void tell_dump(void *arg, bool begins)
{
	(void)arg;
	note("%s\n", begins ? "all" : "end");
}

int standard_tells(void)
{
	const struct os_watcher watcher = { tell_link, tell_address, tell_route,
					    NULL, tell_dump, NULL };

	told[0] = '\0';
	return os_watch_start(&watcher, &why);
}

const char *standard_told(void)
{
	return told;
}

int standard_watch_fd(void)
{
	return os_watch_fd();
}

static int missed;

static void on_missed(void)
{
	missed++;
}

static bool deleted;

static void on_gone(const struct os_link *link)
{
	deleted = link->going == OS_GOING_DELETED;
}

int standard_deleted(void)
{
	return deleted;
}

int standard_mirror(void)
{
	const struct mirror_listener listener = { .missed = on_missed,
						  .gone = on_gone };

	missed = 0;
	deleted = false;
	return mirror_start(&listener, &why);
}

int standard_update(void)
{
	return mirror_update();
}

int standard_follow(void)
{
	return mirror_follow();
}

int standard_missed(void)
{
	return missed;
}

int standard_has_device(void)
{
	return mirror_link(device.ifindex) != NULL;
}

/* The device's IPv4 address. */
int standard_has_address(void)
{
	const struct prefix p = ipv4(10, 9, 0, 2, 32);

	return mirror_address_owner(&p, 0) != NULL;
}

/* --- processes, sockets of one's own ------------------------------------ */

int standard_no_user(void)
{
	return confine_no_user("tuntapd", &why);
}

/* As whom the property list says. */
int standard_confine(void)
{
	const struct run_as root = { 0, 0 };

	return confine_user(&root, &why);
}

int standard_claim(void)
{
	return os_claim(&why);
}

int standard_unclaim(void)
{
	os_unclaim();
	return 0;
}

int standard_child(int keep)
{
	return os_child(keep);
}

int standard_keeper(int keep, int parent)
{
	return os_keeper(keep, parent);
}

int standard_pair(int *fds)
{
	return sys_pair(fds);
}

int standard_pipe(int *fds)
{
	return sys_pipe(fds);
}

int standard_socket(bool waits)
{
	return sys_socket(SOCK_STREAM, waits);
}

/* A byte with an fd: that, or -errno. */
int standard_receive(int sock)
{
	union {
		struct cmsghdr aligned;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fd;

	if (sys_recvmsg(sock, &msg, 0) < 0)
		return -errno;
	memcpy(&fd, CMSG_DATA(&control.aligned), sizeof(fd));
	return fd;
}

const char *standard_refusal(void)
{
	return sys_refused();
}

/* --- the library, tuntapctl --------------------------------------------- */

int standard_protect(int sock, int family, unsigned own)
{
	static struct ttd_device dev;

	dev.ifindex = own;
	return ttd_protect(&dev, sock, family);
}

int standard_links(void)
{
	struct links links = { .all = NULL };
	int r = links_read(&links);

	told[0] = '\0';
	for (size_t i = 0; i < links.n; i++)
		note("link %u%s mtu %u\n", links.all[i].ifindex,
		     links.all[i].up ? " up" : "", links.all[i].mtu);
	links_free(&links);
	return r;
}

/* Of the device. */
int standard_routes(void)
{
	struct link_routes routes = { .all = NULL };
	int r = link_routes(device.ifindex, &routes);
	char dst[PREFIX_TEXT_MAX], via[PREFIX_TEXT_MAX];

	told[0] = '\0';
	for (size_t i = 0; i < routes.n; i++) {
		prefix_format(&routes.all[i].dst, dst);
		note("%s", dst);
		if (routes.all[i].via.family)
			note(" via %s", prefix_format(&routes.all[i].via, via));
		note("\n");
	}
	link_routes_free(&routes);
	return r;
}

static enum health health;

void found(struct finding *ret, enum health how, const char *format, ...)
{
	(void)ret;
	(void)format;
	health = how;
}

/* Is there utun?  0, or 1. */
int standard_doctor(void)
{
	doctor_host_checks[0].look(NULL, NULL);
	return health != HEALTH_OK;
}

/* ------------------------------------------------------------------------ */

int standard_close(void)
{
	standard_let_go();
	standard_close_own();
	if (others >= 0)
		close(others);
	others = -1;
	return 0;
}

int standard_end(void)
{
	standard_close();
	mirror_stop();
	os_stop();
	return 0;
}

const char *standard_why(void)
{
	return why.text;
}

const char *standard_name(void)
{
	return device.name;
}

unsigned standard_mtu(void)
{
	return device.mtu;
}
