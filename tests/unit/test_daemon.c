/* The daemon's pure parts: accounts, mirror, token, netlink messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "../../daemon/limits.h"
#include "../../daemon/log.h"
#include "../../daemon/mirror.h"
#include "../../daemon/refuse.h"
#include "../../daemon/registry.h"
#include "../../daemon/rtnl.h"
#include "../../daemon/token.h"

/* --- registry ----------------------------------------------------------- */

START_TEST(registry_counts_devices_from_reservation_to_end)
{
	struct registry r = { 0 };
	struct lease a = { .uid = 7 }, b = { .uid = 7 }, c = { .uid = 8 };

	ck_assert_int_eq(registry_connect(&r, 7), 0);
	ck_assert_int_eq(registry_connect(&r, 8), 0);
	registry_reserve(&r, &a);
	registry_reserve(&r, &b);
	registry_reserve(&r, &c);
	ck_assert_uint_eq(registry_devices(&r, 7), 2);
	ck_assert_uint_eq(registry_devices(&r, 8), 1);
	ck_assert_uint_eq(registry_devices(&r, 9), 0);
	registry_commit(&r, &a, 11);
	ck_assert_ptr_eq(registry_find(&r, 11), &a);
	registry_gone(&r, &a);
	ck_assert_ptr_null(registry_find(&r, 11));
	ck_assert_uint_eq(registry_devices(&r, 7), 1);
	ck_assert_uint_eq(registry_leases(&r, 7), 2);
	ck_assert_uint_eq(r.n_leases, 3);
	registry_gone(&r, &a);		/* once is enough */
	ck_assert_uint_eq(registry_devices(&r, 7), 1);
	registry_remove(&r, &a);
	registry_remove(&r, &b);
	ck_assert_uint_eq(registry_devices(&r, 7), 0);
	registry_remove(&r, &c);
	registry_disconnect(&r, 7);
	registry_disconnect(&r, 8);
	ck_assert_uint_eq(r.n_leases, 0);
	ck_assert_uint_eq(r.n_connections, 0);
	ck_assert_ptr_null(r.accounts);
}
END_TEST

START_TEST(registry_account_lives_as_long_as_its_last_lease)
{
	struct registry r = { 0 };
	struct lease a = { .uid = 7 };

	registry_connect(&r, 7);
	ck_assert_uint_eq(registry_connections(&r, 7), 1);
	registry_reserve(&r, &a);
	registry_disconnect(&r, 7);
	ck_assert_uint_eq(registry_connections(&r, 7), 0);
	ck_assert_uint_eq(registry_devices(&r, 7), 1);
	registry_remove(&r, &a);
	ck_assert_ptr_null(r.accounts);
}
END_TEST

static struct registry_request *answered[8];
static unsigned n_answered;

static void note_answer(struct registry_request *request)
{
	answered[n_answered++] = request;
}

/* A turn of the loop at that time; how many were answered in it. */
static unsigned turn_at(struct registry *r, int64_t ms)
{
	unsigned before = n_answered;

	r->turn++;
	registry_requests_go(r, ms, note_answer);
	return n_answered - before;
}

START_TEST(registry_answers_one_request_of_a_uid_a_turn)
{
	struct registry_request req[5] = { 0 };
	struct registry r = { .turn = 1 };

	registry_connect(&r, 7);
	registry_connect(&r, 8);
	ck_assert_int_eq(registry_requests_wait(&r, 0), -1);
	ck_assert(registry_request(&r, 7, &req[0], 0));
	ck_assert(!registry_request(&r, 7, &req[1], 0));
	ck_assert(!registry_request(&r, 7, &req[2], 0));
	ck_assert(!registry_request(&r, 7, &req[3], 0));
	ck_assert(registry_request(&r, 8, &req[4], 0));
	ck_assert(!registry_request(&r, 8, &req[4], 0));
	ck_assert_int_eq(registry_requests_wait(&r, 0), 0);
	registry_requests_go(&r, 0, note_answer);
	ck_assert_uint_eq(n_answered, 0);
	ck_assert_uint_eq(turn_at(&r, 0), 2);
	ck_assert_ptr_eq(answered[0], &req[1]);
	ck_assert_ptr_eq(answered[1], &req[4]);
	registry_request_cancel(&r, 7, &req[2]);
	registry_request_cancel(&r, 7, &req[2]);
	ck_assert_uint_eq(turn_at(&r, 0), 1);
	ck_assert_ptr_eq(answered[2], &req[3]);
	ck_assert_uint_eq(turn_at(&r, 0), 0);
	ck_assert_int_eq(registry_requests_wait(&r, 0), -1);
	registry_disconnect(&r, 7);
	registry_disconnect(&r, 8);
	registry_forget(&r);
	ck_assert_ptr_null(r.accounts);
}
END_TEST

/* What is free goes before what is not, in order, one a turn, and owes nothing. */
START_TEST(registry_makes_what_is_free_wait_for_its_turn_alone)
{
	struct registry_request req[2] = { 0 };
	struct registry_request is_free[3] = {
		{ .free = true }, { .free = true }, { .free = true },
	};
	struct registry r = { .turn = 1 };

	limits.request_rate = limits.request_burst = 1;
	n_answered = 0;
	registry_connect(&r, 7);
	ck_assert(registry_request(&r, 7, &req[0], 0));
	ck_assert(!registry_request(&r, 7, &req[1], 0));
	ck_assert_int_eq(registry_requests_wait(&r, 0), 1000);
	ck_assert(!registry_request(&r, 7, &is_free[0], 0));
	ck_assert(!registry_request(&r, 7, &is_free[1], 0));
	ck_assert_int_eq(registry_requests_wait(&r, 0), 0);
	ck_assert_uint_eq(turn_at(&r, 0), 1);
	ck_assert_uint_eq(turn_at(&r, 0), 1);
	ck_assert_uint_eq(turn_at(&r, 0), 0);
	ck_assert(registry_request(&r, 7, &is_free[2], 0));
	ck_assert_uint_eq(turn_at(&r, 999), 0);
	ck_assert_uint_eq(turn_at(&r, 1000), 1);
	ck_assert_ptr_eq(answered[0], &is_free[0]);
	ck_assert_ptr_eq(answered[1], &is_free[1]);
	ck_assert_ptr_eq(answered[2], &req[1]);
	registry_disconnect(&r, 7);
	registry_forget(&r);
}
END_TEST

START_TEST(registry_lets_so_many_requests_through_and_remembers)
{
	struct registry_request req[3] = { 0 };
	struct registry r = { 0 };

	limits.request_rate = 10;
	limits.request_burst = 2;
	registry_connect(&r, 7);
	for (int i = 0; i < 3; i++) {
		r.turn++;
		ck_assert_int_eq(registry_request(&r, 7, &req[i], 1000), i < 2);
	}
	ck_assert_int_eq(registry_requests_wait(&r, 1000), 100);
	ck_assert_uint_eq(turn_at(&r, 1099), 0);
	ck_assert_int_eq(registry_requests_wait(&r, 1099), 1);
	ck_assert_uint_eq(turn_at(&r, 1100), 1);
	/* Who comes again owes what he owed, and is forgotten when it is paid. */
	registry_disconnect(&r, 7);
	ck_assert_ptr_nonnull(r.resting);
	registry_connect(&r, 7);
	r.turn++;
	ck_assert(!registry_request(&r, 7, &req[0], 1199));
	registry_request_cancel(&r, 7, &req[0]);
	registry_disconnect(&r, 7);
	registry_connect(&r, 8);
	ck_assert(registry_request(&r, 8, &req[0], 1299));
	ck_assert_ptr_nonnull(r.resting);
	r.turn++;
	ck_assert(registry_request(&r, 8, &req[0], 1300));
	ck_assert_ptr_null(r.resting);
	registry_disconnect(&r, 8);
	registry_forget(&r);
	ck_assert_ptr_null(r.accounts);
}
END_TEST

/* It is answered as the others are, and who asks next waits the longer. */
START_TEST(registry_counts_a_long_request_as_several)
{
	struct registry r = { 0 };
	struct registry_request req[3] = { { .more = 4 }, { .more = 4 } };

	limits.request_rate = 10;
	limits.request_burst = 2;
	registry_connect(&r, 7);
	r.turn++;
	ck_assert(registry_request(&r, 7, &req[0], 1000));
	r.turn++;
	ck_assert(!registry_request(&r, 7, &req[1], 1000));
	ck_assert(!registry_request(&r, 7, &req[2], 1000));
	/* It owes 5, and 1 may be owed: 4 are to be paid. */
	ck_assert_int_eq(registry_requests_wait(&r, 1000), 400);
	ck_assert_uint_eq(turn_at(&r, 1399), 0);
	ck_assert_uint_eq(turn_at(&r, 1400), 1);
	ck_assert_int_eq(registry_requests_wait(&r, 1400), 500);
	ck_assert_uint_eq(turn_at(&r, 1900), 1);
	registry_disconnect(&r, 7);
	registry_forget(&r);
	ck_assert_ptr_null(r.accounts);
}
END_TEST

START_TEST(registry_cursor_survives_removal)
{
	struct registry r = { 0 };
	struct registry_cursor cursor = { 0 };
	struct lease l[4] = { { .uid = 1 }, { .uid = 1 }, { .uid = 1 },
			      { .uid = 1 } };

	registry_connect(&r, 1);
	for (int i = 0; i < 4; i++)
		registry_reserve(&r, &l[i]);
	registry_cursor_start(&r, &cursor);
	ck_assert_ptr_eq(registry_next(&cursor), &l[0]);
	registry_remove(&r, &l[1]);		/* the one it is at */
	registry_remove(&r, &l[0]);		/* one behind it */
	ck_assert_ptr_eq(registry_next(&cursor), &l[2]);
	registry_remove(&r, &l[3]);
	ck_assert_ptr_null(registry_next(&cursor));
	registry_remove(&r, &l[2]);
	registry_cursor_stop(&r, &cursor);
	registry_cursor_stop(&r, &cursor);
	registry_disconnect(&r, 1);
	ck_assert_ptr_null(r.cursors);
}
END_TEST

/* --- mirror ------------------------------------------------------------- */

/* A fake of the events' source alone; the real one is run by live tests. */
static struct os_watcher tell;
static unsigned gone[8], n_gone;
static enum os_going going;
static const struct os_link *at_start;	/* the host has it, or NULL */

int os_watch_start(const struct os_watcher *watcher, struct wire_refused *why)
{
	(void)why;
	tell = *watcher;
	if (at_start) {
		tell.dump(tell.arg, true);
		tell.link(tell.arg, at_start, false);
		tell.dump(tell.arg, false);
	}
	return 0;
}

/* The kernel's second names. */
bool os_name_taken(const char *name)
{
	return strcmp(name, "alt0") == 0;
}

static int read_error, again_error;	/* what they return */
static unsigned n_again;

int os_watch_read(unsigned most)
{
	(void)most;
	return read_error;
}

int os_watch_again(void)
{
	n_again++;
	if (!again_error) {
		tell.dump(tell.arg, true);
		tell.dump(tell.arg, false);
	}
	return again_error;
}

static void on_gone(const struct os_link *link)
{
	gone[n_gone++] = link->ifindex;
	going = link->going;
}

static struct os_link was, is;		/* of the last change */
static unsigned n_changed;

static void on_changed(const struct os_link *before, const struct os_link *now)
{
	was = *before;
	is = *now;
	n_changed++;
}

static struct net touched[16];
static unsigned n_touched, stormy;

static void on_touched(const struct net *net)
{
	if (n_touched < 16)
		touched[n_touched] = *net;
	n_touched++;
}

static unsigned n_missed;

static void on_missed(void)
{
	n_missed++;
}

static unsigned n_came, came;

static void on_came(const struct os_link *link)
{
	n_came++;
	came = link->ifindex;
}

static void on_storm(unsigned ifindex)
{
	stormy = ifindex;
}

static unsigned n_stale;

static void on_stale(void)
{
	n_stale++;
}

static const struct mirror_listener listener = {
	on_gone, on_changed, on_storm, on_touched, on_missed, on_stale, on_came
};

static void link_is(unsigned ifindex, const char *name, bool is_gone)
{
	struct os_link link = { .ifindex = ifindex, .up = true };

	memcpy(link.name, name, strlen(name));
	tell.link(tell.arg, &link, is_gone);
}

static void address_is(unsigned ifindex, const char *text, bool is_gone)
{
	struct os_address a = { .ifindex = ifindex };

	ck_assert_int_eq(prefix_parse(text, &a.local, NULL), 0);
	tell.address(tell.arg, &a, is_gone);
}

static const char *owner(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	return mirror_address_owner(&p, 0);
}

START_TEST(mirror_follows_links_and_names)
{
	ck_assert_int_eq(mirror_start(&listener, NULL), 0);
	link_is(3, "eth0", false);
	link_is(4, "tt0", false);
	ck_assert(mirror_name_taken(NULL, "eth0"));
	ck_assert(mirror_name_taken(NULL, "alt0"));
	ck_assert_str_eq(mirror_link(4)->name, "tt0");
	link_is(4, "tt9", false);		/* renamed */
	ck_assert(!mirror_name_taken(NULL, "tt0"));
	ck_assert(mirror_name_taken(NULL, "tt9"));
	link_is(4, "tt9", true);
	ck_assert(!mirror_name_taken(NULL, "tt9"));
	ck_assert_ptr_null(mirror_link(4));
	ck_assert_uint_eq(n_gone, 1);
	ck_assert_uint_eq(gone[0], 4);
	mirror_stop();
}
END_TEST

/* Once of each, however it is told, and not of what was there before. */
START_TEST(mirror_tells_what_comes)
{
	const struct os_link lo = { .ifindex = 1, .name = "lo" };

	at_start = &lo;
	mirror_start(&listener, NULL);
	link_is(1, "lo", false);
	ck_assert_uint_eq(n_came, 0);
	link_is(3, "eth0", false);
	link_is(3, "eth0", false);
	ck_assert_uint_eq(n_came, 1);
	ck_assert_uint_eq(came, 3);
	mirror_add(4, "tt0", NULL, 0);		/* ours; the kernel's word */
	ck_assert_uint_eq(n_came, 1);		/* is still to come */
	link_is(4, "tt0", false);
	ck_assert_uint_eq(n_came, 2);
	link_is(3, "eth0", true);
	link_is(3, "eth0", false);
	ck_assert_uint_eq(n_came, 3);
	tell.dump(tell.arg, true);
	link_is(1, "lo", false);
	link_is(3, "eth0", false);
	link_is(5, "eth1", false);
	tell.dump(tell.arg, false);
	ck_assert_uint_eq(n_came, 4);
	ck_assert_uint_eq(came, 5);
	mirror_stop();
}
END_TEST

START_TEST(mirror_knows_who_has_an_address)
{
	struct wire_address all[4];

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	link_is(4, "eth1", false);
	address_is(3, "10.0.0.1/24", false);
	address_is(3, "10.0.0.1/24", false);	/* told again: flags */
	address_is(4, "10.0.0.1/32", false);
	address_is(3, "fe80::1/64", false);
	address_is(3, "fd00::1/64", false);
	ck_assert_ptr_nonnull(owner("10.0.0.1/8"));	/* either will do */
	ck_assert_ptr_null(owner("10.0.0.2/24"));
	address_is(3, "10.0.0.1/24", true);
	ck_assert_str_eq(owner("10.0.0.1"), "eth1");
	address_is(3, "10.0.0.1/24", true);	/* not there: nothing */
	link_is(4, "eth1", true);
	ck_assert_ptr_null(owner("10.0.0.1"));
	/* Link-local ones are not told. */
	ck_assert_uint_eq(mirror_addresses(3, all, 4), 1);
	ck_assert_uint_eq(all[0].local.len, 64);
	ck_assert_uint_eq(mirror_addresses(3, all, 0), 0);
	mirror_stop();
	ck_assert_ptr_null(owner("fd00::1"));
}
END_TEST

START_TEST(mirror_tells_far_ends_apart)
{
	struct os_address a = { .ifindex = 3 };
	struct wire_address all[4];

	mirror_start(&listener, NULL);
	link_is(3, "ppp0", false);
	ck_assert_int_eq(prefix_parse("10.0.0.5", &a.local, NULL), 0);
	ck_assert_int_eq(prefix_parse("10.0.0.6", &a.peer, NULL), 0);
	tell.address(tell.arg, &a, false);
	ck_assert_int_eq(prefix_parse("10.0.0.7", &a.peer, NULL), 0);
	tell.address(tell.arg, &a, false);
	ck_assert_uint_eq(mirror_addresses(3, all, 4), 2);
	ck_assert_uint_eq(all[1].peer.ip[3], 7);
	tell.address(tell.arg, &a, true);
	ck_assert_str_eq(owner("10.0.0.5"), "ppp0");
	mirror_stop();
}
END_TEST

static bool all_count(const void *unused, const struct net *net)
{
	(void)unused;
	(void)net;
	return true;
}

static const char *onlink(const char *text)
{
	struct prefix p, net;

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	return mirror_network_owner(&p, all_count, NULL, &net);
}

START_TEST(mirror_knows_whose_network_a_prefix_is_in)
{
	struct os_address ppp = { .ifindex = 3 };

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	address_is(3, "10.1.2.3/24", false);
	address_is(3, "10.9.9.9/32", false);
	address_is(3, "fd00::1/64", false);
	address_is(3, "fe80::1/64", false);
	ck_assert_str_eq(onlink("10.1.2.0/24"), "eth0");
	ck_assert_str_eq(onlink("10.1.2.128/25"), "eth0");
	ck_assert_str_eq(onlink("10.1.2.77/32"), "eth0");
	ck_assert_ptr_null(onlink("10.1.0.0/16"));
	ck_assert_ptr_null(onlink("10.1.3.0/24"));
	/* A full-length address is no network, link-local ones are nobody's. */
	ck_assert_ptr_null(onlink("10.9.9.9/32"));
	ck_assert_ptr_null(onlink("fe80::2/64"));
	ck_assert_str_eq(onlink("fd00::2/128"), "eth0");
	address_is(3, "fd00::1/64", true);
	ck_assert_ptr_null(onlink("fd00::2/128"));
	/* Whatever its length, a far end is one. */
	ck_assert_int_eq(prefix_parse("10.8.0.5/32", &ppp.local, NULL), 0);
	ck_assert_int_eq(prefix_parse("10.8.0.6/32", &ppp.peer, NULL), 0);
	tell.address(tell.arg, &ppp, false);
	ck_assert_str_eq(onlink("10.8.0.6/32"), "eth0");
	ck_assert_ptr_null(onlink("10.8.0.5/32"));
	ck_assert_ptr_null(onlink("10.8.0.6/31"));
	tell.address(tell.arg, &ppp, true);
	ck_assert_ptr_null(onlink("10.8.0.6/32"));
	mirror_stop();
	ck_assert_ptr_null(onlink("10.1.2.0/24"));
}
END_TEST

static struct os_route a_route(unsigned ifindex, const char *dst)
{
	struct os_route r = { .ifindex = ifindex, .table = 254,
			      .direct = true };

	ck_assert_int_eq(prefix_parse(dst, &r.dst, NULL), 0);
	return r;
}

static void route_is(unsigned ifindex, const char *dst, bool is_gone)
{
	struct os_route r = a_route(ifindex, dst);

	tell.route(tell.arg, &r, is_gone);
}

START_TEST(mirror_knows_networks_by_their_routes)
{
	struct os_route r;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	route_is(3, "10.1.0.0/16", false);
	route_is(3, "10.1.0.0/16", false);	/* told again */
	route_is(3, "fd00::/48", false);
	route_is(9, "10.2.0.0/16", false);	/* of a link nobody knows */
	ck_assert_str_eq(onlink("10.1.2.0/24"), "eth0");
	ck_assert_str_eq(onlink("fd00:0:0:7::/64"), "eth0");
	ck_assert_ptr_null(onlink("10.2.0.0/16"));
	route_is(3, "10.1.0.0/16", true);
	route_is(3, "10.1.0.0/16", true);
	ck_assert_ptr_null(onlink("10.1.2.0/24"));
	/* Default routes, others' gateways; but any route of a lease's. */
	route_is(3, "0.0.0.0/0", false);
	route_is(3, "10.0.0.0/7", false);
	route_is(3, "fd00::/15", false);
	route_is(3, "fe80::/64", false);
	r = a_route(3, "10.3.0.0/16");
	r.direct = false;
	tell.route(tell.arg, &r, false);
	r = a_route(3, "10.4.0.0/16");
	r.ours = true;
	tell.route(tell.arg, &r, false);
	r = a_route(3, "10.5.0.0/16");
	r.ours = true;
	r.direct = false;
	tell.route(tell.arg, &r, false);
	r = a_route(3, "96.0.0.0/3");
	r.ours = true;
	tell.route(tell.arg, &r, false);
	ck_assert_ptr_null(onlink("10.3.0.0/16"));
	ck_assert_str_eq(onlink("10.4.0.0/16"), "eth0");
	ck_assert_str_eq(onlink("10.5.7.0/24"), "eth0");
	ck_assert_ptr_null(onlink("100.64.0.0/24"));
	ck_assert_ptr_null(onlink("fd01::/64"));
	ck_assert_ptr_null(onlink("fe80::/64"));
	route_is(3, "10.0.0.0/8", false);
	ck_assert_str_eq(onlink("10.3.0.0/16"), "eth0");
	mirror_stop();
	ck_assert_ptr_null(onlink("10.3.0.0/16"));
}
END_TEST

static bool is_of_another(const void *except, const struct net *net)
{
	return net->ifindex != *(const unsigned *)except;
}

static const char *other_owner(const struct prefix *p, unsigned except,
			       struct prefix *ret)
{
	return mirror_network_owner(p, is_of_another, &except, ret);
}

START_TEST(mirror_finds_another_owner_of_a_network)
{
	struct prefix p, net;

	mirror_start(&listener, NULL);
	link_is(3, "tt0", false);
	link_is(4, "eth0", false);
	address_is(3, "10.1.0.1/24", false);
	address_is(3, "10.1.0.2/24", false);
	ck_assert_int_eq(prefix_parse("10.1.0.0/25", &p, NULL), 0);
	ck_assert_ptr_null(other_owner(&p, 3, &net));
	ck_assert_str_eq(other_owner(&p, 4, &net), "tt0");
	address_is(4, "10.1.0.7/24", false);
	ck_assert_str_eq(other_owner(&p, 3, &net), "eth0");
	ck_assert_uint_eq(net.len, 24);
	address_is(4, "10.1.0.7/24", true);
	route_is(4, "10.0.0.0/8", false);
	ck_assert_str_eq(other_owner(&p, 3, &net), "eth0");
	ck_assert_uint_eq(net.len, 8);
	mirror_stop();
}
END_TEST

/* The kernel tells nothing of routes that go with their link. */
START_TEST(mirror_forgets_routes_that_went_unheard)
{
	struct os_link down = { .ifindex = 3, .name = "eth0" };

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	address_is(3, "10.1.0.1/32", false);
	route_is(3, "10.1.0.0/16", false);
	tell.link(tell.arg, &down, false);
	ck_assert_ptr_null(onlink("10.1.0.0/16"));
	mirror_stop();
}
END_TEST

static void replace(unsigned ifindex, const char *dst, bool leads)
{
	struct os_route r = a_route(ifindex, dst);

	r.replaces = true;
	r.which = 7;
	tell.route(tell.arg, &r, !leads);
}

/* What a route replaced is not told: it was the one with its metric. */
START_TEST(mirror_takes_a_new_route_for_the_old)
{
	struct os_route twin = a_route(3, "10.1.0.0/16");

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	link_is(4, "eth1", false);
	replace(3, "10.1.0.0/16", true);	/* nothing was there */
	replace(4, "10.1.0.0/16", true);
	ck_assert_str_eq(onlink("10.1.0.0/16"), "eth1");
	replace(4, "10.1.0.0/16", false);	/* now it leads nowhere */
	ck_assert_ptr_null(onlink("10.1.0.0/16"));
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, 0);
	/* Of two that differ in the rest, nobody knows which it was. */
	route_is(3, "10.1.0.0/16", false);
	twin.which = 1;
	tell.route(tell.arg, &twin, false);
	replace(4, "10.1.0.0/16", true);
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, 1);
	mirror_stop();
}
END_TEST

START_TEST(mirror_tells_twins_apart)
{
	struct os_route twin = a_route(3, "10.1.0.0/16");

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	route_is(3, "10.1.0.0/16", false);
	twin.which = 1;
	tell.route(tell.arg, &twin, false);
	route_is(3, "10.1.0.0/16", true);
	ck_assert_str_eq(onlink("10.1.0.0/16"), "eth0");
	tell.route(tell.arg, &twin, true);
	ck_assert_ptr_null(onlink("10.1.0.0/16"));
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, 0);
	mirror_stop();
}
END_TEST

struct seen {
	unsigned n, n_own;
	struct prefix last;
};

static bool see(void *arg, const struct net *net)
{
	struct seen *seen = arg;

	seen->n++;
	seen->n_own += net->kind == NET_OWN;
	seen->last = net->prefix;
	return true;
}

static struct seen within(const char *text)
{
	struct seen seen = { .n = 0 };
	struct prefix p;

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	ck_assert(mirror_within(&p, see, &seen));
	return seen;
}

START_TEST(mirror_tells_what_is_in_a_network)
{
	struct os_route via = a_route(3, "10.3.0.0/16"), many = via;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	address_is(3, "10.1.2.3/24", false);
	via.direct = false;
	tell.route(tell.arg, &via, false);
	many.ifindex = 0;		/* several next hops */
	many.dst.ip[1] = 4;
	many.direct = false;
	tell.route(tell.arg, &many, false);
	ck_assert_uint_eq(within("10.0.0.0/8").n, 4);
	ck_assert_uint_eq(within("10.0.0.0/8").n_own, 1);
	ck_assert_uint_eq(within("0.0.0.0/1").n, 4);
	ck_assert_uint_eq(within("128.0.0.0/1").n, 0);
	ck_assert_uint_eq(within("10.1.2.0/24").n, 2);
	ck_assert_uint_eq(within("10.1.2.0/25").n, 1);
	ck_assert_uint_eq(within("10.3.0.0/16").n, 1);
	ck_assert_uint_eq(within("10.3.0.0/17").n, 0);
	ck_assert_uint_eq(within("10.4.0.0/15").last.ip[1], 4);
	ck_assert_uint_eq(within("::/0").n, 0);
	mirror_stop();
	ck_assert_uint_eq(within("0.0.0.0/0").n, 0);
}
END_TEST

/* On-link by several links at once. */
START_TEST(mirror_knows_networks_of_several_links)
{
	struct os_route many = a_route(0, "10.4.0.0/16");
	struct os_link down = { .ifindex = 3, .name = "eth0" };
	unsigned dumps;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	tell.dump(tell.arg, true);
	link_is(3, "eth0", false);
	tell.route(tell.arg, &many, false);
	tell.dump(tell.arg, false);
	ck_assert_str_eq(onlink("10.4.7.0/24"), "another interface");
	ck_assert_ptr_null(onlink("10.5.0.0/24"));
	/* It may be gone with them, and only a dump tells. */
	dumps = n_again;
	tell.link(tell.arg, &down, false);
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps + 1);
	ck_assert_ptr_null(onlink("10.4.7.0/24"));
	mirror_stop();
}
END_TEST

START_TEST(mirror_knows_what_a_metric_outranks)
{
	struct os_route via = a_route(3, "10.3.0.0/16");
	struct prefix p;
	uint32_t theirs = 0;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	via.direct = false;
	via.metric = 1024;
	via.table = OS_TABLE_MAIN;
	tell.route(tell.arg, &via, false);
	via.metric = 9000;
	via.table = 7;
	tell.route(tell.arg, &via, false);
	ck_assert_int_eq(prefix_parse("10.3.0.0/16", &p, NULL), 0);
	ck_assert_str_eq(mirror_outranked(&p, 0, 1000, &theirs), "eth0");
	ck_assert_uint_eq(theirs, 1024);
	ck_assert_str_eq(mirror_outranked(&p, 0, 1024, &theirs), "eth0");
	ck_assert_ptr_null(mirror_outranked(&p, 0, 1025, &theirs));
	ck_assert_ptr_null(mirror_outranked(&p, 3, 1000, &theirs));
	p.len = 17;
	ck_assert_ptr_null(mirror_outranked(&p, 0, 1000, &theirs));
	mirror_stop();
}
END_TEST

START_TEST(mirror_tells_what_comes_and_goes)
{
	mirror_start(&listener, NULL);
	link_is(4, "eth0", false);
	n_touched = 0;
	address_is(4, "10.1.7.1/24", false);
	ck_assert_uint_eq(n_touched, 2);
	ck_assert_int_eq(touched[0].kind, NET_OWN);
	ck_assert_uint_eq(touched[0].prefix.len, 32);
	ck_assert_int_eq(touched[1].kind, NET_ADDRESS);
	ck_assert_uint_eq(touched[1].prefix.len, 24);
	address_is(4, "10.1.7.1/24", false);	/* its flags are others */
	ck_assert_uint_eq(n_touched, 2);
	route_is(4, "10.2.0.0/16", false);
	ck_assert_uint_eq(n_touched, 3);
	ck_assert_int_eq(touched[2].kind, NET_DIRECT);
	ck_assert_uint_eq(touched[2].ifindex, 4);
	route_is(4, "10.2.0.0/16", true);
	ck_assert_uint_eq(n_touched, 4);
	/* A dump that tells the same tells nothing new. */
	tell.dump(tell.arg, true);
	link_is(4, "eth0", false);
	address_is(4, "10.1.7.1/24", false);
	tell.dump(tell.arg, false);
	ck_assert_uint_eq(n_touched, 4);
	/* And one that tells less, what went. */
	tell.dump(tell.arg, true);
	link_is(4, "eth0", false);
	tell.dump(tell.arg, false);
	ck_assert_uint_eq(n_touched, 6);
	mirror_stop();
}
END_TEST

/* Of one that fails nothing is known but what it told. */
START_TEST(mirror_loses_nothing_by_a_dump_that_fails)
{
	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	link_is(4, "eth1", false);
	address_is(3, "10.1.0.1/24", false);
	route_is(4, "10.2.0.0/16", false);
	n_touched = 0;
	tell.dump(tell.arg, true);
	link_is(3, "eth0", false);
	route_is(3, "10.3.0.0/16", false);
	read_error = again_error = -EBUSY;
	ck_assert_int_eq(mirror_update(), -EBUSY);
	ck_assert_str_eq(owner("10.1.0.1"), "eth0");
	ck_assert_str_eq(onlink("10.2.0.0/16"), "eth1");
	ck_assert_str_eq(onlink("10.3.0.0/16"), "eth0");
	ck_assert_uint_eq(n_touched, 1);
	/* What comes meanwhile is told at once. */
	address_is(4, "10.4.0.1/24", false);
	ck_assert_uint_eq(n_touched, 3);
	read_error = again_error = 0;
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_ptr_null(owner("10.1.0.1"));
	mirror_stop();
}
END_TEST

/* With an address what prefers it, with the last IPv4 one all of IPv4. */
START_TEST(mirror_knows_what_goes_with_an_address)
{
	struct os_route prefers = a_route(3, "10.7.0.0/16");
	unsigned dumps;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	address_is(3, "10.1.0.1/32", false);
	address_is(3, "10.1.0.2/32", false);
	address_is(3, "fd00::1/128", false);
	route_is(3, "10.6.0.0/16", false);
	route_is(3, "fd06::/16", false);
	prefers.source = os_source_hash(&(struct prefix)
					{ { 10, 1, 0, 2 }, 4, 32 });
	tell.route(tell.arg, &prefers, false);
	dumps = n_again;
	address_is(3, "fd00::1/128", true);
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps);
	address_is(3, "10.1.0.1/32", true);
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps);
	ck_assert_str_eq(onlink("10.6.0.0/16"), "eth0");
	address_is(3, "10.1.0.2/32", true);
	ck_assert_ptr_null(onlink("10.6.0.0/16"));
	ck_assert_ptr_null(onlink("10.7.0.0/16"));
	ck_assert_str_eq(onlink("fd06::/16"), "eth0");
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps);
	mirror_stop();
}
END_TEST

START_TEST(mirror_asks_where_a_preferred_address_went)
{
	struct os_route prefers = a_route(3, "10.7.0.0/16");
	unsigned dumps;

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	address_is(3, "10.1.0.1/32", false);
	address_is(3, "10.1.0.2/32", false);
	prefers.source = os_source_hash(&(struct prefix)
					{ { 10, 1, 0, 2 }, 4, 32 });
	tell.route(tell.arg, &prefers, false);
	dumps = n_again;
	address_is(3, "10.1.0.2/32", true);
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps + 1);
	mirror_stop();
}
END_TEST

/* Neither leads to a link, and neither is anybody's network. */
START_TEST(mirror_tells_routes_to_the_host_and_to_nowhere)
{
	struct os_route local = a_route(3, "10.8.0.0/16");
	struct os_route hole = a_route(3, "10.9.0.0/16");
	unsigned dumps = n_again;

	mirror_start(&listener, NULL);
	link_is(3, "lo", false);
	n_touched = 0;
	local.to = OS_ROUTE_TO_HOST;
	hole.to = OS_ROUTE_TO_NOWHERE;
	tell.route(tell.arg, &local, false);
	tell.route(tell.arg, &hole, false);
	ck_assert_uint_eq(n_touched, 2);
	ck_assert_int_eq(touched[0].kind, NET_LOCAL);
	ck_assert_int_eq(touched[1].kind, NET_NOWHERE);
	ck_assert_uint_eq(touched[1].ifindex, 0);
	ck_assert_ptr_null(onlink("10.8.0.0/16"));
	ck_assert_ptr_null(onlink("10.9.0.0/16"));
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps);
	tell.route(tell.arg, &local, true);
	ck_assert_uint_eq(within("10.8.0.0/15").n, 1);
	mirror_stop();
	ck_assert_uint_eq(within("0.0.0.0/0").n, 0);
}
END_TEST

/* A dump may tell of a route whose link it has not told, or came after it. */
START_TEST(mirror_waits_for_the_link_of_a_route)
{
	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	route_is(7, "10.1.0.0/16", false);
	ck_assert_ptr_null(onlink("10.1.0.0/16"));
	link_is(7, "eth1", false);
	route_is(7, "10.1.0.0/16", false);
	ck_assert_str_eq(onlink("10.1.0.0/16"), "eth1");
	route_is(7, "10.1.0.0/16", true);
	ck_assert_uint_eq(within("10.1.0.0/16").n, 0);
	mirror_stop();
}
END_TEST

/* A route to the host goes with its link, and not where that goes down. */
START_TEST(mirror_keeps_routes_to_the_host)
{
	struct os_route local = a_route(3, "10.8.0.0/16");
	struct os_link down = { .ifindex = 3, .name = "eth0" };
	struct prefix p = { { 10, 8, 7, 0 }, 4, 24 };

	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	local.to = OS_ROUTE_TO_HOST;
	local.table = OS_TABLE_LOCAL;
	tell.route(tell.arg, &local, false);
	ck_assert(mirror_is_host(&p));
	tell.link(tell.arg, &down, false);
	ck_assert(mirror_is_host(&p));
	link_is(3, "eth0", true);
	ck_assert(!mirror_is_host(&p));
	ck_assert_uint_eq(within("0.0.0.0/0").n, 0);
	mirror_stop();
}
END_TEST

START_TEST(mirror_tells_when_it_is_stale)
{
	unsigned before;

	mirror_start(&listener, NULL);
	before = n_stale;
	route_is(0, "10.1.0.0/16", false);	/* one of several next hops */
	ck_assert_uint_eq(n_stale, before + 1);
	mirror_stop();
}
END_TEST

START_TEST(mirror_notices_a_storm)
{
	mirror_start(&listener, NULL);
	stormy = 0;
	for (unsigned i = 0; i < 3 * LIMIT_LINK_EVENTS && !stormy; i++)
		link_is(3, "tt0", false);
	ck_assert_uint_eq(stormy, 3);
	mirror_stop();
	/* What requests make is none. */
	mirror_start(&listener, NULL);
	stormy = 0;
	for (unsigned i = 0; i < 3 * LIMIT_LINK_EVENTS; i++) {
		link_is(3, "tt0", false);
		if (i % LIMIT_EVENTS_A_CHANGE == 0)
			mirror_forgive(3);
	}
	ck_assert_uint_eq(stormy, 0);
	mirror_stop();
}
END_TEST

START_TEST(mirror_tells_what_of_a_link_changed)
{
	struct os_link link = { .ifindex = 3, .name = "tt0", .mtu = 1500,
				.up = true, .type = 1 };

	mirror_start(&listener, NULL);
	/* Made by us: the kernel's first word is no change. */
	mirror_add(3, "tt0", NULL, 0);
	tell.link(tell.arg, &link, false);
	tell.link(tell.arg, &link, false);
	ck_assert_uint_eq(n_changed, 0);
	link.mtu = 1400;
	tell.link(tell.arg, &link, false);
	ck_assert_uint_eq(was.mtu, 1500);
	ck_assert_uint_eq(is.mtu, 1400);
	link.up = false;
	tell.link(tell.arg, &link, false);
	ck_assert(was.up && !is.up);
	memcpy(link.name, "tt1", 4);
	tell.link(tell.arg, &link, false);
	ck_assert_str_eq(was.name, "tt0");
	ck_assert_str_eq(is.name, "tt1");
	link.mac[5] = 7;
	tell.link(tell.arg, &link, false);
	link.type = 65534;
	tell.link(tell.arg, &link, false);
	ck_assert_uint_eq(n_changed, 5);
	/* A device that is known already is not made unknown. */
	mirror_add(3, "tt1", NULL, 0);
	ck_assert_uint_eq(mirror_link(3)->mtu, 1400);
	mirror_stop();
}
END_TEST

START_TEST(mirror_takes_new_addresses_for_old)
{
	struct wire_address old = { .flags = 0 }, new = { .flags = 0 };

	mirror_start(&listener, NULL);
	link_is(3, "tt0", false);
	address_is(3, "10.1.0.1/24", false);
	ck_assert_int_eq(prefix_parse("10.1.0.1/24", &old.local, NULL), 0);
	ck_assert_int_eq(prefix_parse("10.2.0.1/24", &new.local, NULL), 0);
	mirror_readdress(3, &old, 1, &new, 1);
	ck_assert_ptr_null(owner("10.1.0.1"));
	ck_assert_str_eq(owner("10.2.0.1"), "tt0");
	ck_assert_str_eq(onlink("10.2.0.0/24"), "tt0");
	mirror_stop();
}
END_TEST

START_TEST(mirror_says_so_until_it_is_whole_again)
{
	mirror_start(&listener, NULL);
	ck_assert_int_eq(mirror_update(), 0);
	read_error = again_error = -ENOBUFS;
	ck_assert_int_eq(mirror_update(), -ENOBUFS);
	read_error = 0;			/* nothing new; yet half a mirror */
	ck_assert_int_eq(mirror_update(), -ENOBUFS);
	again_error = 0;
	ck_assert_int_eq(mirror_update(), 0);
	mirror_stop();
}
END_TEST

/* A dump alone means nothing: what it is for may still be told. */
START_TEST(mirror_says_when_something_was_missed)
{
	mirror_start(&listener, NULL);
	n_missed = 0;
	read_error = -EAGAIN;
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_missed, 0);
	read_error = -ENOBUFS;
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_missed, 1);
	read_error = 0;
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_missed, 1);
	/* Not before all is known again. */
	read_error = again_error = -ENOBUFS;
	ck_assert_int_eq(mirror_update(), -ENOBUFS);
	ck_assert_uint_eq(n_missed, 1);
	read_error = again_error = 0;
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_missed, 2);
	mirror_stop();
}
END_TEST

/* As where they only say that there is something: a loop of them is no storm. */
START_TEST(mirror_looks_now_and_then_where_events_do_not_tell)
{
	unsigned dumps;

	mirror_start(&listener, NULL);
	n_missed = 0;
	read_error = -ESTALE;
	ck_assert_int_eq(mirror_update(), 0);
	dumps = n_again;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(mirror_follow(), -EAGAIN);
	ck_assert_uint_eq(n_again, dumps);
	usleep((LIMIT_DUMP_MS + 1) * 1000);
	ck_assert_int_eq(mirror_follow(), 0);
	ck_assert_uint_eq(n_again, dumps + 1);
	/* A decision does not wait. */
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps + 2);
	ck_assert_uint_eq(n_missed, 0);
	read_error = 0;
	mirror_stop();
}
END_TEST

START_TEST(mirror_keeps_routes_where_addresses_come)
{
	struct wire_address a = { .flags = 0 }, both[2];
	unsigned dumps;

	mirror_start(&listener, NULL);
	link_is(3, "tt0", false);
	route_is(3, "10.7.0.0/16", false);
	ck_assert_int_eq(prefix_parse("10.1.0.1/24", &a.local, NULL), 0);
	both[0] = both[1] = a;
	both[1].local.ip[1] = 2;
	address_is(3, "10.1.0.1/24", false);
	dumps = n_again;
	mirror_readdress(3, &a, 1, both, 2);
	ck_assert_str_eq(owner("10.2.0.1"), "tt0");
	ck_assert_int_eq(mirror_update(), 0);
	ck_assert_uint_eq(n_again, dumps);
	mirror_stop();
}
END_TEST

START_TEST(mirror_is_told_of_what_was_just_made)
{
	struct wire_address a = { .flags = 0 };

	mirror_start(&listener, NULL);
	ck_assert_int_eq(prefix_parse("fd00::1/64", &a.local, NULL), 0);
	mirror_add(7, "tt0", &a, 1);
	ck_assert(mirror_name_taken(NULL, "tt0"));
	ck_assert_str_eq(owner("fd00::1"), "tt0");
	link_is(7, "tt0", false);		/* the kernel says it too */
	address_is(7, "fd00::1/64", false);
	address_is(7, "fd00::1/64", true);
	ck_assert_ptr_null(owner("fd00::1"));
	mirror_stop();
}
END_TEST

START_TEST(mirror_tells_what_a_new_dump_no_longer_has)
{
	mirror_start(&listener, NULL);
	link_is(3, "eth0", false);
	link_is(4, "tt0", false);
	address_is(4, "10.0.0.1/24", false);
	tell.dump(tell.arg, true);
	link_is(3, "eth0", false);
	ck_assert_uint_eq(n_gone, 0);
	tell.dump(tell.arg, false);
	ck_assert_uint_eq(n_gone, 1);
	ck_assert_uint_eq(gone[0], 4);
	/* Deleted or moved away, nobody knows. */
	ck_assert_int_eq(going, OS_GOING_UNSEEN);
	ck_assert_ptr_nonnull(mirror_link(3));
	ck_assert_ptr_null(owner("10.0.0.1"));
	mirror_stop();
}
END_TEST

/* --- token -------------------------------------------------------------- */

START_TEST(token_id_is_half_of_sha256)
{
	/* printf '0123456789abcdef' | sha256sum */
	const uint8_t token[WIRE_TOKEN_LEN] = "0123456789abcde" "f";
	uint8_t a[WIRE_TOKEN_LEN], b[WIRE_TOKEN_LEN];
	char id[WIRE_LEASE_ID_LEN + 1];

	token_lease_id(token, id);
	ck_assert_str_eq(id, "9f9f5111f7b27a781f1f1ddde5ebc2dd");
	ck_assert_int_eq(token_new(a), 0);
	ck_assert_int_eq(token_new(b), 0);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

/* --- refusals ----------------------------------------------------------- */

START_TEST(a_refusal_may_quote_the_one_before)
{
	struct wire_refused why;

	ck_assert_int_eq(refuse(&why, WIRE_E_EXISTS, "route", "it is there"),
			 -EEXIST);
	ck_assert_int_eq(refuse(&why, why.code, why.step, "%s; and more",
				why.text), -EEXIST);
	ck_assert_str_eq(why.step, "route");
	ck_assert_str_eq(why.text, "it is there; and more");
}
END_TEST

/* --- netlink messages --------------------------------------------------- */

static const struct nlmsghdr *message(const struct rtnl_batch *b, unsigned i)
{
	const struct nlmsghdr *nlh = (const void *)b->buf;
	int len = (int)b->len;

	ck_assert_uint_lt(i, b->n);
	while (i-- > 0) {
		ck_assert(mnl_nlmsg_ok(nlh, len));
		nlh = mnl_nlmsg_next(nlh, &len);
	}
	ck_assert(mnl_nlmsg_ok(nlh, len));
	return nlh;
}

/* The attribute's payload, or NULL. */
static const void *attribute(const struct nlmsghdr *nlh, size_t skip,
			     uint16_t type, size_t len)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(nlh, skip);

	for (; mnl_attr_ok(a, (int)((char *)mnl_nlmsg_get_payload_tail(nlh) -
				    (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == type) {
			ck_assert_uint_eq(mnl_attr_get_payload_len(a), len);
			return mnl_attr_get_payload(a);
		}
	return NULL;
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(text, &p, NULL), 0);
	return p;
}

START_TEST(rtnl_address_makes_no_route_of_its_own)
{
	const struct wire_address a = { .local = prefix_of("10.0.0.1/24") };
	const struct wire_address p2p = {
		.local = prefix_of("fd00::1"), .peer = prefix_of("fd00::2/127"),
		.flags = WIRE_ADDRESS_NODAD,
	};
	const struct ifaddrmsg *ifa;
	struct rtnl_batch b;
	uint32_t flags;

	ck_assert_int_eq(rtnl_batch_init(&b), 0);
	rtnl_add_address(&b, 5, &a, false);
	rtnl_add_address(&b, 5, &p2p, false);
	ifa = mnl_nlmsg_get_payload(message(&b, 0));
	ck_assert_int_eq(message(&b, 0)->nlmsg_type, RTM_NEWADDR);
	ck_assert_int_eq(message(&b, 0)->nlmsg_flags & (NLM_F_CREATE |
			 NLM_F_EXCL | NLM_F_REPLACE), NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_int_eq(ifa->ifa_family, AF_INET);
	ck_assert_int_eq(ifa->ifa_prefixlen, 24);
	ck_assert_uint_eq(ifa->ifa_index, 5);
	memcpy(&flags, attribute(message(&b, 0), sizeof(*ifa), IFA_FLAGS, 4), 4);
	ck_assert_uint_eq(flags, IFA_F_NOPREFIXROUTE);
	ifa = mnl_nlmsg_get_payload(message(&b, 1));
	ck_assert_int_eq(ifa->ifa_prefixlen, 127);
	ck_assert_mem_eq(attribute(message(&b, 1), sizeof(*ifa), IFA_LOCAL, 16),
			 p2p.local.ip, 16);
	ck_assert_mem_eq(attribute(message(&b, 1), sizeof(*ifa), IFA_ADDRESS,
				   16), p2p.peer.ip, 16);
	memcpy(&flags, attribute(message(&b, 1), sizeof(*ifa), IFA_FLAGS, 4), 4);
	ck_assert_uint_eq(flags, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	rtnl_batch_free(&b);
}
END_TEST

START_TEST(rtnl_route_never_replaces)
{
	const struct wire_route direct = { .dst = prefix_of("10.2.0.0/16"),
					   .metric = 1000 };
	const struct wire_route via = { .dst = prefix_of("fd02::/16"),
					.gateway = prefix_of("fd00::9"),
					.metric = 77 };
	const struct prefix source = prefix_of("10.0.0.1");
	const struct rtmsg *rtm;
	struct rtnl_batch b;
	uint32_t value;

	ck_assert_int_eq(rtnl_batch_init(&b), 0);
	rtnl_add_route(&b, 5, &direct, &source, false);
	rtnl_add_route(&b, 5, &via, NULL, false);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(message(&b, i)->nlmsg_flags & (NLM_F_CREATE |
				 NLM_F_EXCL | NLM_F_REPLACE | NLM_F_APPEND),
				 NLM_F_CREATE | NLM_F_EXCL);
	rtm = mnl_nlmsg_get_payload(message(&b, 0));
	ck_assert_int_eq(rtm->rtm_scope, RT_SCOPE_LINK);
	ck_assert_int_eq(rtm->rtm_protocol, RTNL_PROTOCOL);
	ck_assert_int_eq(rtm->rtm_dst_len, 16);
	ck_assert_mem_eq(attribute(message(&b, 0), sizeof(*rtm), RTA_PREFSRC,
				   4), source.ip, 4);
	ck_assert_ptr_null(attribute(message(&b, 0), sizeof(*rtm), RTA_GATEWAY,
				     4));
	rtm = mnl_nlmsg_get_payload(message(&b, 1));
	ck_assert_int_eq(rtm->rtm_scope, RT_SCOPE_UNIVERSE);
	memcpy(&value, attribute(message(&b, 1), sizeof(*rtm), RTA_PRIORITY, 4),
	       4);
	ck_assert_uint_eq(value, 77);
	ck_assert_mem_eq(attribute(message(&b, 1), sizeof(*rtm), RTA_GATEWAY,
				   16), via.gateway.ip, 16);
	memcpy(&value, attribute(message(&b, 1), sizeof(*rtm), RTA_OIF, 4), 4);
	ck_assert_uint_eq(value, 5);
	rtnl_batch_free(&b);
}
END_TEST

START_TEST(rtnl_batch_holds_the_largest_open_and_says_when_full)
{
	const struct wire_address a = { .local = prefix_of("fd00::1/64"),
					.peer = prefix_of("fd00::2/64") };
	const struct wire_route r = { .dst = prefix_of("fd02::/16"),
				      .gateway = prefix_of("fd00::9") };
	char alias[MARK_MAX];
	struct wire_refused why;
	struct rtnl none = { 0 };
	struct rtnl_batch b;

	memset(alias, 'x', sizeof(alias) - 1);
	alias[sizeof(alias) - 1] = '\0';
	ck_assert_int_eq(rtnl_batch_init(&b), 0);
	rtnl_set_alias(&b, 5, alias);
	rtnl_set_mac(&b, 5, (const uint8_t[6]){ 2 });
	rtnl_set_mtu(&b, 5, 1400);
	rtnl_set_txqueuelen(&b, 5, 500);
	for (int i = 0; i < WIRE_ADDRESSES_MAX; i++) {
		rtnl_add_address(&b, 5, &a, false);
		rtnl_add_route(&b, 5, &r, &a.local, false);
	}
	rtnl_set_up(&b, 5, true);
	for (int i = 0; i < WIRE_ROUTES_MAX; i++)
		rtnl_add_route(&b, 5, &r, &a.local, false);
	rtnl_get_link(&b, 5);
	ck_assert_int_eq(b.error, 0);
	ck_assert_uint_eq(b.n, 6 + 2 * WIRE_ADDRESSES_MAX + WIRE_ROUTES_MAX);
	/* And the largest move, which tests/unit/test_move.c has. */
	for (int i = 0; i < 5 * WIRE_ADDRESSES_MAX + 2 * WIRE_ROUTES_MAX; i++)
		rtnl_set_up(&b, 5, true);
	ck_assert_int_eq(b.error, -E2BIG);
	ck_assert_int_eq(rtnl_commit(&none, &b, NULL, &why), -E2BIG);
	ck_assert_uint_eq(why.code, WIRE_E_TOO_LARGE);
	rtnl_batch_free(&b);
	rtnl_batch_free(&b);
}
END_TEST

START_TEST(kernel_errors_are_no_words_of_policy_or_protocol)
{
	struct wire_refused why;

	ck_assert_int_eq(refuse_kernel_code(EACCES), WIRE_E_FAILED);
	ck_assert_int_eq(refuse_kernel_code(EPERM), WIRE_E_FAILED);
	ck_assert_int_eq(refuse_kernel_code(EHOSTUNREACH), WIRE_E_UNREACHABLE);
	ck_assert_int_eq(refuse_kernel_code(EEXIST), WIRE_E_EXISTS);
	ck_assert_int_eq(refuse(&why, WIRE_E_BUSY, "a step longer than it may",
				"%s", "text"), -EBUSY);
	ck_assert_uint_eq(strlen(why.step), WIRE_STEP_MAX);
	ck_assert_str_eq(why.text, "text");
	ck_assert_str_eq(why.rule, "");
	ck_assert_int_eq(refuse(NULL, WIRE_E_BUSY, "", "x"), -EBUSY);
}
END_TEST

/* --- log ---------------------------------------------------------------- */

/* What a call writes there, in a static buffer. */
static const char *logged(const char *text)
{
	static char line[2048];
	int file = memfd_create("log", MFD_CLOEXEC);
	int terminal = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
	log_line(LOG_NOTICE, "%s", text);
	ck_assert_int_eq(dup2(terminal, STDERR_FILENO), STDERR_FILENO);
	n = pread(file, line, sizeof(line) - 1, 0);
	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	close(file);
	close(terminal);
	return line;
}

START_TEST(log_has_nothing_that_a_terminal_obeys)
{
	char text[2000];

	unsetenv("JOURNAL_STREAM");
	ck_assert_str_eq(logged("a\nb\033[2J\x7f\x9b" "2J\xc2\x9b" "2J"),
			 "tuntapd: a?b?[2J??2J??2J\n");
	ck_assert_str_eq(logged("J\xc3\xb6rg"), "tuntapd: J\xc3\xb6rg\n");
	/* One that is cut off is one line as well, and no half character. */
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xb6", 2);
	text[sizeof(text) - 1] = '\0';
	ck_assert_ptr_nonnull(strstr(logged(text), "\xc3\xb6?\n"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon");
	TCase *t = tcase_create("pure");
	SRunner *runner;
	int failed;

	tcase_add_test(t, registry_counts_devices_from_reservation_to_end);
	tcase_add_test(t, registry_account_lives_as_long_as_its_last_lease);
	tcase_add_test(t, registry_answers_one_request_of_a_uid_a_turn);
	tcase_add_test(t, registry_counts_a_long_request_as_several);
	tcase_add_test(t,
		       registry_makes_what_is_free_wait_for_its_turn_alone);
	tcase_add_test(t,
		       registry_lets_so_many_requests_through_and_remembers);
	tcase_add_test(t, registry_cursor_survives_removal);
	tcase_add_test(t, mirror_follows_links_and_names);
	tcase_add_test(t, mirror_tells_what_comes);
	tcase_add_test(t, mirror_knows_who_has_an_address);
	tcase_add_test(t, mirror_tells_far_ends_apart);
	tcase_add_test(t, mirror_knows_whose_network_a_prefix_is_in);
	tcase_add_test(t, mirror_knows_networks_by_their_routes);
	tcase_add_test(t, mirror_finds_another_owner_of_a_network);
	tcase_add_test(t, mirror_forgets_routes_that_went_unheard);
	tcase_add_test(t, mirror_takes_a_new_route_for_the_old);
	tcase_add_test(t, mirror_tells_twins_apart);
	tcase_add_test(t, mirror_tells_what_is_in_a_network);
	tcase_add_test(t, mirror_knows_networks_of_several_links);
	tcase_add_test(t, mirror_knows_what_a_metric_outranks);
	tcase_add_test(t, mirror_tells_what_comes_and_goes);
	tcase_add_test(t, mirror_loses_nothing_by_a_dump_that_fails);
	tcase_add_test(t, mirror_knows_what_goes_with_an_address);
	tcase_add_test(t, mirror_waits_for_the_link_of_a_route);
	tcase_add_test(t, mirror_keeps_routes_to_the_host);
	tcase_add_test(t, mirror_tells_when_it_is_stale);
	tcase_add_test(t, mirror_asks_where_a_preferred_address_went);
	tcase_add_test(t, mirror_tells_routes_to_the_host_and_to_nowhere);
	tcase_add_test(t, mirror_notices_a_storm);
	tcase_add_test(t, mirror_tells_what_of_a_link_changed);
	tcase_add_test(t, mirror_takes_new_addresses_for_old);
	tcase_add_test(t, mirror_says_so_until_it_is_whole_again);
	tcase_add_test(t, mirror_looks_now_and_then_where_events_do_not_tell);
	tcase_add_test(t, mirror_says_when_something_was_missed);
	tcase_add_test(t, mirror_keeps_routes_where_addresses_come);
	tcase_add_test(t, mirror_is_told_of_what_was_just_made);
	tcase_add_test(t, mirror_tells_what_a_new_dump_no_longer_has);
	tcase_add_test(t, token_id_is_half_of_sha256);
	tcase_add_test(t, a_refusal_may_quote_the_one_before);
	tcase_add_test(t, rtnl_address_makes_no_route_of_its_own);
	tcase_add_test(t, rtnl_route_never_replaces);
	tcase_add_test(t, rtnl_batch_holds_the_largest_open_and_says_when_full);
	tcase_add_test(t, kernel_errors_are_no_words_of_policy_or_protocol);
	tcase_add_test(t, log_has_nothing_that_a_terminal_obeys);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
