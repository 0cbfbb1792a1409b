/*
 * The daemon's work, asked for by a program without rights.
 *
 *	open	N devices, each ended before the next; ns of ttd_open() alone
 *	end	a process that holds N devices is killed; until all are gone
 *	routes	a device, and N routes in one call; ns of that call
 *	hold	from "ready" on `count` devices; a round gives one N routes
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../libclient/tuntapd.h"
#include "control.h"

#define PATIENCE_MS	50000	/* less than bench.py has */
#define LOOK_NS		100000	/* between two looks whether a name is gone */

static struct ttd_prefix parse(const char *text)
{
	struct ttd_prefix p;

	if (ttd_prefix_parse(text, &p) < 0)
		contestant_fail("%s is no prefix", text);
	return p;
}

static struct ttd_prefix host(uint32_t address)
{
	const uint32_t in_order = htonl(address);
	struct ttd_prefix p = { .family = 4, .len = 32 };

	memcpy(p.ip, &in_order, sizeof(in_order));
	return p;
}

static struct ttd_device *open_with(struct ttd_options *o)
{
	struct ttd_device *dev;
	struct ttd_error e;

	o->offload = TTD_OFFLOAD_NONE;
	o->timeout_ms = PATIENCE_MS;
	if (ttd_open(o, &dev, &e) < 0)
		contestant_fail("%s: %s", e.step, e.text);
	return dev;
}

/* --- one ---------------------------------------------------------------- */

static void open_rounds(const struct contestant *c)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[2] = { { .flags = 0 },
				     { .flags = TTD_ADDR_NODAD } };
	const struct ttd_route route = { .dst = parse(CONTROL_ROUTE) };
	char text[128], *words[WORDS_MAX];
	unsigned n;

	snprintf(text, sizeof(text), "%s", c->address);
	addrs[0].local = parse(strtok(text, ","));
	addrs[1].local = parse(strtok(NULL, ","));
	o.socket_path = c->socket;
	o.name = c->name;
	o.mtu = CONTROL_MTU;
	o.addrs = addrs;
	o.n_addrs = 2;
	o.routes = &route;
	o.n_routes = 1;
	contestant_ready();
	while ((n = contestant_round(words))) {
		double ns = 0;

		n = control_count(words, n);
		for (unsigned i = 0; i < n; i++) {
			double began = contestant_ns();
			struct ttd_device *dev = open_with(&o);

			ns += contestant_ns() - began;
			ttd_free(dev);
		}
		contestant_answer("ns=%.0f", ns);
	}
}

/* --- many --------------------------------------------------------------- */

static struct ttd_device *open_nth(const struct contestant *c, unsigned n)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	const struct ttd_addr a = { .local = host(control_address(n)) };
	char name[CONTROL_NAME_MAX];

	control_name(c, n, name);
	o.socket_path = c->socket;
	o.name = name;
	o.addrs = &a;
	o.n_addrs = 1;
	return open_with(&o);
}

/* A child that holds n devices, from when we return on until it is killed. */
static pid_t start_holder(const struct contestant *c, unsigned n)
{
	int pipes[2];
	char byte;
	pid_t pid;

	if (pipe(pipes) < 0)
		contestant_fail("there is no pipe to be had");
	pid = fork();
	if (pid < 0)
		contestant_fail("no process could be made");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < n; i++)
			open_nth(c, i);
		(void)!write(pipes[1], "", 1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		exit(1);	/* the child has said why */
	close(pipes[0]);
	return pid;
}

static void wait_until_gone(const struct contestant *c, unsigned n, int sock)
{
	const struct timespec moment = { .tv_nsec = LOOK_NS };
	struct ifreq ifr = { 0 };

	control_name(c, n, ifr.ifr_name);
	while (ioctl(sock, SIOCGIFINDEX, &ifr) == 0)
		nanosleep(&moment, NULL);
}

static void end_rounds(const struct contestant *c)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char *words[WORDS_MAX];
	double began, ns;
	unsigned n;
	pid_t pid;

	contestant_ready();
	while ((n = contestant_round(words))) {
		n = control_count(words, n);
		pid = start_holder(c, n);
		began = contestant_ns();
		kill(pid, SIGKILL);
		for (unsigned i = 0; i < n; i++)
			wait_until_gone(c, i, sock);
		ns = contestant_ns() - began;
		waitpid(pid, NULL, 0);
		contestant_answer("ns=%.0f", ns);
	}
}

/* --- routes ------------------------------------------------------------- */

/* In one call; its ns. */
static double add_routes(struct ttd_device *dev, unsigned n)
{
	struct ttd_route *routes = calloc(n, sizeof(*routes));
	struct ttd_error e;
	double began, ns;

	if (!routes)
		contestant_fail("out of memory");
	for (unsigned i = 0; i < n; i++)
		routes[i].dst = host(control_route(i));
	began = contestant_ns();
	if (ttd_add_routes(dev, routes, n, &e) < 0)
		contestant_fail("%s: %s", e.step, e.text);
	ns = contestant_ns() - began;
	free(routes);
	return ns;
}

static void route_rounds(const struct contestant *c)
{
	char *words[WORDS_MAX];
	unsigned n;

	contestant_ready();
	while ((n = contestant_round(words))) {
		struct ttd_device *dev = open_nth(c, 0);
		double ns = add_routes(dev, control_count(words, n));

		ttd_free(dev);
		contestant_answer("ns=%.0f", ns);
	}
}

static void hold(const struct contestant *c)
{
	struct ttd_device *dev = NULL;
	char *words[WORDS_MAX];
	unsigned n;

	for (unsigned i = 0; i < c->count; i++)
		dev = open_nth(c, i);
	contestant_ready();
	while ((n = contestant_round(words)))
		contestant_answer("ns=%.0f", add_routes(dev,
						control_count(words, n)));
}

int main(int argc, char **argv)
{
	struct contestant c;

	contestant_begin(&c, argc, argv);
	control_take_all_fds();
	if (contestant_is(&c, "open"))
		open_rounds(&c);
	else if (contestant_is(&c, "end"))
		end_rounds(&c);
	else if (contestant_is(&c, "routes"))
		route_rounds(&c);
	else if (contestant_is(&c, "hold"))
		hold(&c);
	contestant_fail("%s is not known, or a round was told no count",
			c.workload);
}
