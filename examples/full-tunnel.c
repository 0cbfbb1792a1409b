/*
 * full-tunnel: the bones of a VPN.  Everything that the host sends goes into
 * the TUN device and over UDP to the other end, but not the UDP itself, which
 * ttd_protect() keeps on the host's own way out.
 *
 *	full-tunnel --serve PORT PREFIX,PREFIX		the other end
 *	full-tunnel GATEWAY PORT PREFIX,PREFIX		this end
 *
 * The policy must say `default-route = yes` for this end.  There is no
 * encryption and nobody is asked who he is: it shows the plumbing alone.
 * --no-protect before the rest shows what happens without: the tunnel swallows
 * its own transport.
 */
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tuntapd.h"

#define MANY		8	/* addresses */
#define MTU		1400	/* leaves room for the outer headers */
#define PACKET_MAX	2048

struct tunnel {
	struct ttd_device *dev;
	int sock;
	pthread_mutex_t mutex;	/* of the peer's address */
	struct sockaddr_storage peer;
	socklen_t peer_len;	/* 0: nobody has spoken yet */
};

static int stop[2];		/* a pipe: what a signal handler may write to */

static void on_signal(int sig)
{
	(void)sig;
	(void)!write(stop[1], "", 1);
}

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "full-tunnel: %s: %s\n", what, why);
	exit(1);
}

/* A UDP socket, and where the other end is, or where we listen. */
static void open_transport(struct tunnel *t, const char *host, const char *port,
			   int *ret_family)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV |
					      (host ? 0 : AI_PASSIVE) };
	struct addrinfo *found;
	int error = getaddrinfo(host, port, &hints, &found);

	if (error)
		fail(host ? host : port, gai_strerror(error));
	t->sock = socket(found->ai_family, SOCK_DGRAM, 0);
	if (t->sock < 0)
		fail("socket", "none to be had");
	if (host) {
		memcpy(&t->peer, found->ai_addr, found->ai_addrlen);
		t->peer_len = found->ai_addrlen;
	} else if (bind(t->sock, found->ai_addr, found->ai_addrlen) < 0) {
		fail(port, "cannot listen there");
	}
	*ret_family = found->ai_family == AF_INET ? 4 : 6;
	freeaddrinfo(found);
}

static void open_device(struct tunnel *t, char *prefixes)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr addrs[MANY] = { 0 };
	struct ttd_error e;

	for (char *at = strtok(prefixes, ","); at; at = strtok(NULL, ",")) {
		if (o.n_addrs == MANY ||
		    ttd_prefix_parse(at, &addrs[o.n_addrs].local) < 0)
			fail(at, "it looks like 10.9.0.1/24");
		o.n_addrs++;
	}
	o.addrs = addrs;
	o.mtu = MTU;
	if (ttd_open(&o, &t->dev, &e) < 0)
		fail(e.step, e.text);
}

/* Everything into the tunnel.  The host's own default route stays as it is. */
static void take_default_route(struct tunnel *t)
{
	struct ttd_route all[2] = { 0 };
	struct ttd_error e;

	ttd_prefix_parse("0.0.0.0/0", &all[0].dst);
	ttd_prefix_parse("::/0", &all[1].dst);
	if (ttd_add_routes(t->dev, all, 2, &e) < 0)
		fail(e.step, e.text);
}

/* From the host to the other end, on a thread of the library. */
static int outwards(void *arg, void *buf, size_t len)
{
	struct tunnel *t = arg;
	struct sockaddr_storage peer;
	socklen_t peer_len;

	pthread_mutex_lock(&t->mutex);
	peer = t->peer;
	peer_len = t->peer_len;
	pthread_mutex_unlock(&t->mutex);
	if (peer_len)
		(void)!sendto(t->sock, buf, len, 0, (struct sockaddr *)&peer,
			      peer_len);
	return 0;
}

/* From the other end to the host; until a signal or the device's end. */
static int inwards(struct tunnel *t, int serving)
{
	struct pollfd p[] = {
		{ t->sock, POLLIN, 0 },
		{ stop[0], POLLIN, 0 },
		{ ttd_done_fd(t->dev), POLLIN, 0 },
	};
	uint8_t buf[PACKET_MAX];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		ssize_t n;

		if (poll(p, 3, -1) < 0)
			continue;
		if (p[1].revents || p[2].revents)
			return p[2].revents != 0;
		n = recvfrom(t->sock, buf, sizeof(buf), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &len);
		if (n <= 0)
			continue;
		if (serving) {	/* who speaks is who we answer */
			pthread_mutex_lock(&t->mutex);
			t->peer = from;
			t->peer_len = len;
			pthread_mutex_unlock(&t->mutex);
		}
		ttd_send(t->dev, buf, (size_t)n);
	}
}

int main(int argc, char **argv)
{
	int protect = !(argc > 1 && strcmp(argv[1], "--no-protect") == 0);
	int serving, family, r;
	struct sigaction act = { .sa_handler = on_signal };
	struct tunnel t = { .sock = -1 };

	argv += !protect;
	argc -= !protect;
	if (argc != 4) {
		fprintf(stderr, "usage: full-tunnel [--no-protect] GATEWAY "
			"PORT PREFIX,...\n       full-tunnel --serve PORT "
			"PREFIX,...\n");
		return 2;
	}
	serving = strcmp(argv[1], "--serve") == 0;
	pthread_mutex_init(&t.mutex, NULL);
	if (pipe(stop) < 0)
		fail("pipe", "none to be had");
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);

	open_transport(&t, serving ? NULL : argv[1], argv[2], &family);
	open_device(&t, argv[3]);
	if (!serving && protect) {
		/* Before the routes lead into the tunnel, and before it is used. */
		r = ttd_protect(t.dev, t.sock, family);
		if (r < 0)
			fail("protect", strerror(-r));
	}
	if (!serving)
		take_default_route(&t);
	r = ttd_set_handler(t.dev, outwards, &t);
	if (r < 0)
		fail("handler", strerror(-r));
	puts("ready");
	fflush(stdout);
	r = inwards(&t, serving);
	ttd_free(t.dev);
	close(t.sock);
	return r;
}
