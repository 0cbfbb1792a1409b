/* tuntapctl show: all that there is to know of one lease. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "figures.h"
#include "request.h"
#include "show.h"

#define ROUTES_SHOWN	16	/* to people, who can ask for JSON */
#define MAC_TEXT	sizeof("00:00:00:00:00:00")

struct shown {
	const char *asked;	/* a lease's id, or its interface's name */
	bool found;
	struct wire_lease lease;
	const char *why;	/* the kernel has nothing to tell; or NULL */
	struct link_now link;
	struct link_routes routes;
	struct link_guard guard;
};

static int take(void *arg, const struct wire_message *m)
{
	struct shown *s = arg;

	/* The name of a deleted one may be another's by now. */
	if (m->type != WIRE_LEASE ||
	    (s->found && s->lease.state == WIRE_LEASE_HELD) ||
	    (strcmp(m->lease.lease, s->asked) != 0 &&
	     strcmp(m->lease.name, s->asked) != 0))
		return 0;
	s->found = true;
	s->lease = m->lease;
	return 0;
}

/* What the kernel has of it; 0 or -errno. */
static int look(struct shown *s)
{
	struct links links = { .all = NULL };
	const struct link_now *link;
	int r = links_read(&links);

	if (r == 0) {
		link = links_find(&links, s->lease.ifindex, s->lease.lease,
				  s->lease.uid);
		if (link)
			s->link = *link;
		else
			s->why = lease_why(s->lease.state);
	}
	links_free(&links);
	if (r == 0 && !s->why)
		r = link_routes(s->link.ifindex, &s->routes);
	if (r == 0 && !s->why)
		r = link_guard(s->link.ifindex, &s->guard);
	return r;
}

static char *mac_text(const uint8_t mac[6], char buf[MAC_TEXT])
{
	snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

/* Without the length that it always has. */
static char *via_text(const struct prefix *via, char buf[PREFIX_TEXT_MAX])
{
	prefix_format(via, buf);
	*strchr(buf, '/') = '\0';
	return buf;
}

/* --- for programs ------------------------------------------------------- */

static json_t *routes_json(const struct link_routes *routes)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < routes->n; i++) {
		const struct link_route *r = &routes->all[i];
		char dst[PREFIX_TEXT_MAX], via[PREFIX_TEXT_MAX];

		prefix_format(&r->dst, dst);
		if (r->via.family)
			via_text(&r->via, via);
		if (json_array_append_new(all, json_pack("{s:s, s:o, s:I}",
				"dst", dst, "via",
				r->via.family ? json_text(via) : json_null(),
				"metric", (json_int_t)r->metric)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *link_json(const struct shown *s)
{
	const struct link_now *l = &s->link;
	char mac[MAC_TEXT];

	if (s->why)
		return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, "
				 "s:n, s:s}", "mac", "mtu", "up", "txqueuelen",
				 "routes", "guard", "guard_drops", "rx", "tx",
				 "why", s->why);
	return json_pack("{s:o, s:I, s:b, s:I, s:o, s:b, s:o, s:o, s:o, s:n}",
		"mac", l->has_mac ? json_text(mac_text(l->mac, mac)) :
				    json_null(),
		"mtu", (json_int_t)l->mtu,
		"up", l->up,
		"txqueuelen", (json_int_t)l->txqueuelen,
		"routes", routes_json(&s->routes),
		"guard", s->guard.there,
		"guard_drops", s->guard.there ? json_integer(s->guard.drops) :
						json_null(),
		"rx", figures_flow_json(&l->traffic.rx),
		"tx", figures_flow_json(&l->traffic.tx),
		"why");
}

static int show_json(const struct shown *s)
{
	json_t *all = show_lease_json(&s->lease), *link = link_json(s);

	if (all && (!link || json_object_update(all, link) < 0)) {
		json_decref(all);
		all = NULL;
	}
	json_decref(link);
	return print_json(all, stdout) < 0 ? EXIT_REFUSED : 0;
}

/* --- for people --------------------------------------------------------- */

/* Begins a line; without a name it goes on with the one before. */
static void label(const char *name)
{
	printf("%-15s", name);
}

static void show_addresses(const struct wire_lease *lease)
{
	char text[PREFIX_TEXT_MAX];

	if (!lease->n_addresses)
		puts("addresses      -");
	for (uint16_t i = 0; i < lease->n_addresses; i++) {
		const struct wire_address *a = &lease->addresses[i];

		label(i ? "" : "addresses");
		fputs(prefix_format(&a->local, text), stdout);
		if (a->peer.family)
			printf(", peer %s", prefix_format(&a->peer, text));
		putchar('\n');
	}
}

static void show_routes(const struct link_routes *routes)
{
	char text[PREFIX_TEXT_MAX];

	if (!routes->n)
		puts("routes         -");
	for (size_t i = 0; i < routes->n; i++) {
		const struct link_route *r = &routes->all[i];

		label(i ? "" : "routes");
		if (i == ROUTES_SHOWN) {
			printf("and %zu more, see --json\n", routes->n - i);
			return;
		}
		fputs(prefix_format(&r->dst, text), stdout);
		if (r->via.family)
			printf(" via %s", via_text(&r->via, text));
		printf(" metric %u\n", (unsigned)r->metric);
	}
}

static void show_flow(const char *name, const struct flow *f)
{
	label(name);
	printf("%llu packets, %llu bytes, %llu dropped, %llu errors\n",
	       (unsigned long long)f->packets, (unsigned long long)f->bytes,
	       (unsigned long long)f->drops, (unsigned long long)f->errors);
}

static void show_link(const struct shown *s)
{
	const struct link_now *l = &s->link;
	char mac[MAC_TEXT];

	if (l->has_mac)
		printf("mac            %s\n", mac_text(l->mac, mac));
	show_addresses(&s->lease);
	show_routes(&s->routes);
	if (s->guard.there)
		printf("guard          there, has dropped %u packets\n",
		       (unsigned)s->guard.drops);
	else
		puts("guard          not there");
	show_flow("sent (rx)", &l->traffic.rx);
	show_flow("received (tx)", &l->traffic.tx);
}

static void show_people(struct shown *s)
{
	struct wire_lease *l = &s->lease;
	const char *user = show_user(l->uid);
	char since[TIME_TEXT_MAX];

	printf("interface      %s, index %u, %s, %u queue%s\n",
	       plain_text(l->name), (unsigned)l->ifindex, show_kind(l->layer),
	       l->queues, l->queues == 1 ? "" : "s");
	if (!s->why)
		printf("               %s, mtu %u, txqueuelen %u\n",
		       s->link.up ? "up" : "down", (unsigned)s->link.mtu,
		       (unsigned)s->link.txqueuelen);
	printf("lease          %s\n", plain_text(l->lease));
	printf("state          %s, since %s\n", show_lease_state(l->state),
	       time_text(l->opened, since));
	printf("holder         %s%suid %u", user ? user : "", user ? ", " : "",
	       (unsigned)l->uid);
	if (l->pid)
		printf(", process %u", (unsigned)l->pid);
	putchar('\n');
	if (!s->why) {
		show_link(s);
		return;
	}
	show_addresses(l);
	printf("figures        none: %s\n", s->why);
}

/* --- the command -------------------------------------------------------- */

static int not_there(const char *asked)
{
	complain("show: there is no lease %.80s here; tuntapctl list tells "
		 "which there are, on the public socket yours alone", asked);
	return EXIT_REFUSED;
}

static int show(struct shown *s, const struct common_args *args)
{
	const struct wire_message list = { .type = WIRE_LIST };
	struct ttd_error error;
	int r = ctl_request(socket_path(args->socket), &list, take, s, &error);

	if (r) {
		print_error(&error);
		return r;
	}
	if (!s->found)
		return not_there(s->asked);
	r = look(s);
	if (r) {
		complain("counters: the kernel does not tell them: %s",
			 strerror(-r));
		return EXIT_REFUSED;
	}
	if (args->json)
		return show_json(s);
	show_people(s);
	return 0;
}

static int show_main(const struct command *c, int argc, char **argv,
		     const struct common_args *given)
{
	static struct shown s;	/* large */
	struct common_args args = *given;
	int status, n = command_words(c, argc, argv, &args, &status);

	if (n < 0)
		return status;
	if (n != 1)
		return usage_error("show: name one LEASE, its id or its "
				   "interface; tuntapctl list tells which "
				   "there are");
	status = check_lease_name(c, argv[1]);
	if (status)
		return status;
	s = (struct shown){ .asked = argv[1] };
	status = show(&s, &args);
	link_routes_free(&s.routes);
	return status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("one object"),
	ARG_END
};

const struct command command_show = {
	.name = "show",
	.synopsis = "LEASE [--json]",
	.doc = "all about one lease",
	.more =
"Tells all about one lease, by its id or by the name of its interface: what list\n"
"tells, and what the kernel has of the interface: state, routes, the source\n"
"guard, and counters.  \"Sent\" is what the program sent, which the interface\n"
"receives (rx); \"received\" is what the interface sent to it (tx).",
	.args = rows,
	.main = show_main
};
