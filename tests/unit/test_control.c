/*
 * The talk with the daemon after the open, as far as the daemon stays.  Most
 * tests run twice: with the library's control thread, and without.
 */
#include <signal.h>
#include <sys/resource.h>

#include "played.h"

#define EVENTS_ROUNDS	100

/* --- requests ------------------------------------------------------------- */

START_TEST(addresses_are_asked_for)
{
	struct ttd_addr a[2] = { { .flags = TTD_ADDR_NODAD } };
	struct ttd_prefix ip;
	struct ttd_device *dev;
	struct wire_message m;
	unsigned n = 0;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	ip = prefix("10.0.0.1/24");
	ck_assert_int_eq(ttd_set_ip(dev, &ip, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_REPLACE);
	ck_assert_uint_ne(m.id, 0);
	is_prefix(&m.replace.local, "10.0.0.1/24");
	ip = prefix("fd00::1/64");
	ck_assert_int_eq(ttd_set_ip(dev, &ip, NULL), 0);
	m = asked(++n);
	is_prefix(&m.replace.local, "fd00::1/64");

	a[0].local = prefix("fd00::2/64");
	a[1].local = prefix("10.0.0.1");
	a[1].peer = prefix("10.0.0.2/30");
	ck_assert_int_eq(ttd_add_addrs(dev, a, 2, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_ADD);
	ck_assert_uint_eq(m.add.n_addresses, 2);
	ck_assert_uint_eq(m.add.n_routes, 0);
	is_prefix(&m.add.addresses[0].local, "fd00::2/64");
	ck_assert_uint_eq(m.add.addresses[0].peer.family, 0);
	ck_assert_uint_eq(m.add.addresses[0].flags, WIRE_ADDRESS_NODAD);
	is_prefix(&m.add.addresses[1].local, "10.0.0.1/32");
	is_prefix(&m.add.addresses[1].peer, "10.0.0.2/30");
	ck_assert_uint_eq(m.add.addresses[1].flags, 0);

	ck_assert_int_eq(ttd_del_addrs(dev, &a[1], 1, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_REMOVE);
	ck_assert_uint_eq(m.remove.n_addresses, 1);
	ck_assert_uint_eq(m.remove.n_routes, 0);
	is_prefix(&m.remove.addresses[0].local, "10.0.0.1/32");
	is_prefix(&m.remove.addresses[0].peer, "10.0.0.2/30");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(routes_and_more_are_asked_for)
{
	struct ttd_route r[2] = { { .metric = 9 } };
	struct ttd_device *dev;
	struct wire_message m;
	unsigned n = 0;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	r[0].dst = prefix("10.9.0.0/16");
	r[0].gateway = prefix("10.0.0.2");
	r[1].dst = prefix("::/0");
	ck_assert_int_eq(ttd_add_routes(dev, r, 2, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_ADD);
	ck_assert_uint_eq(m.add.n_addresses, 0);
	ck_assert_uint_eq(m.add.n_routes, 2);
	is_prefix(&m.add.routes[0].dst, "10.9.0.0/16");
	is_prefix(&m.add.routes[0].gateway, "10.0.0.2/32");
	ck_assert_uint_eq(m.add.routes[0].metric, 9);
	is_prefix(&m.add.routes[1].dst, "::/0");
	ck_assert_uint_eq(m.add.routes[1].gateway.family, 0);
	ck_assert_uint_eq(m.add.routes[1].metric, 0);
	ck_assert_int_eq(ttd_del_routes(dev, r, 1, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_REMOVE);
	ck_assert_uint_eq(m.remove.n_addresses, 0);
	ck_assert_uint_eq(m.remove.n_routes, 1);
	ck_assert_uint_eq(m.remove.routes[0].metric, 9);

	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
	m = asked(++n);
	ck_assert_uint_eq(m.type, WIRE_SET);
	ck_assert_uint_eq(m.set.what, WIRE_SET_MTU);
	ck_assert_uint_eq(m.set.mtu, 1400);
	for (int up = 0; up <= 1; up++) {
		ck_assert_int_eq(ttd_set_up(dev, up, NULL), 0);
		m = asked(++n);
		ck_assert_uint_eq(m.type, WIRE_SET);
		ck_assert_uint_eq(m.set.what, WIRE_SET_UP);
		ck_assert_int_eq(m.set.up, up);
	}
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- many routes ---------------------------------------------------------- */

#define UNDER_WAY	16	/* parts, at most */
#define PARTS		40	/* more than that */
#define MANY		((PARTS - 1) * WIRE_ROUTES_MAX + 7)

static struct ttd_route many[MANY];

/* Of each part the daemon has: whether it is there.  By its first route. */
static struct {
	int there[PARTS];
	unsigned adds, removes;
	int refuse;		/* the part that is refused; -1: none */
	bool refuse_removes;	/* and every removal */
} parts;

static unsigned part_of(const struct wire_add *a)
{
	return (unsigned)(a->routes[0].dst.ip[1] << 8 |
			  a->routes[0].dst.ip[2]);
}

static void play_parts(int conn, const struct wire_message *m)
{
	bool add = m->type == WIRE_ADD;
	unsigned part = part_of(&m->add);

	ck_assert(add || m->type == WIRE_REMOVE);
	ck_assert_uint_lt(part, PARTS);
	ck_assert_uint_eq(m->add.n_routes, part == PARTS - 1 ? 7 :
			  WIRE_ROUTES_MAX);
	if (add)
		parts.adds++;
	else
		parts.removes++;
	if (add ? (int)part == parts.refuse :
	    parts.refuse_removes || !parts.there[part]) {
		refuse(conn, m->id, WIRE_E_NOT_FOUND, "not this one");
		return;
	}
	parts.there[part] += add ? 1 : -1;
	done(conn, m->id);
}

static struct ttd_device *open_for_many(uint32_t flags)
{
	struct ttd_device *dev;

	memset(&parts, 0, sizeof(parts));
	parts.refuse = -1;
	for (unsigned i = 0; i < MANY; i++) {
		many[i].dst = prefix("10.0.0.0/32");
		many[i].dst.ip[1] = (uint8_t)(i / WIRE_ROUTES_MAX >> 8);
		many[i].dst.ip[2] = (uint8_t)(i / WIRE_ROUTES_MAX);
		many[i].dst.ip[3] = (uint8_t)i;
	}
	daemon_start();
	dev = open_one(flags, TIMEOUT_MS);
	set_play(play_parts);
	return dev;
}

static unsigned parts_there(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PARTS; i++) {
		ck_assert(parts.there[i] == 0 || parts.there[i] == 1);
		n += (unsigned)parts.there[i];
	}
	return n;
}

START_TEST(many_routes_go_in_parts)
{
	struct ttd_device *dev = open_for_many(modes[_i]);
	uint32_t mtu;

	ck_assert_int_eq(ttd_add_routes(dev, many, MANY, NULL), 0);
	ck_assert_uint_eq(parts_there(), PARTS);
	ck_assert_uint_eq(parts.adds, PARTS);
	ck_assert_int_eq(ttd_del_routes(dev, many, MANY, NULL), 0);
	ck_assert_uint_eq(parts_there(), 0);
	ck_assert_uint_eq(parts.removes, PARTS);
	/* And then single ones, as ever. */
	set_play(play_good);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static const int refused_parts[] = { 0, 1, PARTS / 2, PARTS - 1 };
#define N_REFUSED (int)(sizeof(refused_parts) / sizeof(*refused_parts))

/* Also those that were under way behind it. */
START_TEST(a_part_that_is_refused_leaves_none)
{
	struct ttd_device *dev = open_for_many(modes[_i % MODES]);
	struct ttd_error e;

	parts.refuse = refused_parts[_i / MODES];
	ck_assert_int_eq(ttd_add_routes(dev, many, MANY, &e), -ENOENT);
	ck_assert_str_eq(e.text, "not this one");
	ck_assert_str_eq(e.rule, "/etc/tuntapd/policy.d/10-a.conf:7");
	ck_assert_uint_eq(parts_there(), 0);
	ck_assert_uint_eq(parts.removes, parts.adds - 1);
	/* What is not taken away again is said. */
	parts.refuse = PARTS - 1;
	parts.refuse_removes = true;
	ck_assert_int_eq(ttd_add_routes(dev, many, MANY, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "not this one; and some of the "
				     "routes of this call may be there"));
	ck_assert_uint_eq(parts_there(), PARTS - 1);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void play_parts_again(int conn, const struct wire_message *m)
{
	d.play = play_parts;
	play_give_back(conn, m);
}

/* What comes behind it on this connection is in vain. */
static void play_go(int conn, const struct wire_message *m)
{
	(void)m;
	shutdown(conn, SHUT_RDWR);
	d.play = play_silence;
	d.reclaim = play_parts_again;
}

/* It takes the part, and goes before it has said so. */
static void play_parts_and_go(int conn, const struct wire_message *m)
{
	if (m->type == WIRE_ADD && part_of(&m->add) == PARTS / 2) {
		parts.there[PARTS / 2]++;
		play_go(conn, m);
	} else {
		play_parts(conn, m);
	}
}

/* What it answered is taken away again, and of the rest it is said. */
START_TEST(a_daemon_that_goes_amid_parts)
{
	struct ttd_device *dev = open_for_many(modes[_i]);
	struct ttd_error e;

	set_play(play_parts_and_go);
	ck_assert_int_eq(ttd_add_routes(dev, many, MANY, &e), -EPIPE);
	ck_assert_str_eq(e.step, "answer");
	/* Nor did all of its answers get through. */
	ck_assert_uint_le(parts_there(), UNDER_WAY);
	ck_assert_int_eq(parts.there[0], 0);
	ck_assert_int_eq(parts.there[PARTS / 2], 1);
	ck_assert_ptr_nonnull(strstr(e.text, "some of the routes of this call "
				     "may be there"));
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* They were there before: it would have refused them. */
START_TEST(a_part_without_an_answer_is_left_alone)
{
	struct ttd_device *dev = open_for_many(modes[_i]);
	struct ttd_error e;

	for (unsigned i = 0; i < PARTS; i++)
		parts.there[i] = 1;
	set_play(play_go);
	ck_assert_int_eq(ttd_add_routes(dev, many, MANY, &e), -EPIPE);
	ck_assert_uint_eq(parts_there(), PARTS);
	ck_assert_ptr_nonnull(strstr(e.text, "may be there"));
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- facts ---------------------------------------------------------------- */

START_TEST(facts_are_asked_for)
{
	struct ttd_prefix want[2];
	struct ttd_addr a[3];
	struct ttd_device *dev;
	uint32_t mtu = 0;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1377);
	ck_assert_uint_eq(asked(1).type, WIRE_QUERY);
	ck_assert_int_eq(ttd_get_addrs(dev, NULL, 0), 2);
	memset(a, 0xaa, sizeof(a));
	ck_assert_int_eq(ttd_get_addrs(dev, a, 3), 2);
	want[0] = prefix("10.0.0.1/32");
	want[1] = prefix("10.0.0.2/30");
	ck_assert_mem_eq(&a[0].local, &want[0], sizeof(want[0]));
	ck_assert_mem_eq(&a[0].peer, &want[1], sizeof(want[1]));
	ck_assert_uint_eq(a[0].flags, 0);
	want[0] = prefix("fd00::1/64");
	memset(&want[1], 0, sizeof(want[1]));
	ck_assert_mem_eq(&a[1].local, &want[0], sizeof(want[0]));
	ck_assert_mem_eq(&a[1].peer, &want[1], sizeof(want[1]));
	ck_assert_uint_eq(a[2].flags, 0xaaaaaaaa);
	memset(a, 0xaa, sizeof(a));
	ck_assert_int_eq(ttd_get_addrs(dev, a, 1), 2);
	ck_assert_uint_eq(a[0].flags, 0);
	ck_assert_uint_eq(a[1].flags, 0xaaaaaaaa);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

#define REFUSED(call, code_, words) do { \
	struct ttd_error e_ = { 0 }, *e = &e_; \
	ck_assert_int_eq(call, code_); \
	ck_assert_int_eq(e_.code, code_); \
	ck_assert_str_eq(e_.step, "request"); \
	ck_assert_msg(strstr(e_.text, words) != NULL, "\"%s\" not in " \
		      "\"%s\"", words, e_.text); \
} while (0)

START_TEST(senseless_values_are_not_asked)
{
	static struct ttd_addr a[WIRE_ADDRESSES_MAX + 1];
	static struct ttd_route r[WIRE_ROUTES_MAX + 1];
	struct ttd_prefix p = prefix("10.0.0.1/24"), bad = p;
	struct ttd_device *dev;
	uint32_t mtu;

	daemon_start();
	dev = open_one(0, TIMEOUT_MS);
	for (unsigned i = 0; i < 3; i++)
		a[i].local = p;
	a[2].local.len = 33;
	r[0].dst = p;
	r[1].dst = p;
	r[1].gateway.family = 5;
	bad.family = 0;
	REFUSED(ttd_set_ip(dev, &bad, e), -EINVAL, "valid prefix");
	REFUSED(ttd_set_ip(dev, NULL, e), -EINVAL, "valid prefix");
	bad = p;
	bad.reserved[1] = 1;
	REFUSED(ttd_set_ip(dev, &bad, e), -EINVAL, "reserved");
	REFUSED(ttd_add_addrs(dev, a, 3, e), -EINVAL, "addrs[2].local");
	REFUSED(ttd_del_addrs(dev, a, 3, e), -EINVAL, "addrs[2].local");
	REFUSED(ttd_add_routes(dev, r, 2, e), -EINVAL, "routes[1].gateway");
	REFUSED(ttd_del_routes(dev, r, 2, e), -EINVAL, "routes[1].gateway");
	REFUSED(ttd_add_addrs(dev, NULL, 1, e), -EINVAL, "NULL");
	REFUSED(ttd_del_routes(dev, NULL, 1, e), -EINVAL, "NULL");
	REFUSED(ttd_add_addrs(dev, a, WIRE_ADDRESSES_MAX + 1, e), -E2BIG,
		"65 addresses");
	/* Of many routes the last one, too, and then none is asked for. */
	r[1].gateway.family = 0;
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++)
		r[i].dst = p;
	REFUSED(ttd_add_routes(dev, r, WIRE_ROUTES_MAX + 1, e), -EINVAL,
		"routes[256].dst");
	REFUSED(ttd_set_up(dev, 2, e), -EINVAL, "up is 2");
	REFUSED(ttd_set_up(dev, -1, e), -EINVAL, "up is -1");
	ck_assert_int_eq(ttd_get_mtu(dev, NULL), -EINVAL);
	ck_assert_int_eq(ttd_get_addrs(dev, NULL, 1), -EINVAL);
	ck_assert_int_eq(ttd_next_event(dev, NULL, 0), -EINVAL);
	REFUSED(ttd_set_ip(NULL, &p, e), -EINVAL, "no device");
	REFUSED(ttd_add_addrs(NULL, a, 1, e), -EINVAL, "device");
	REFUSED(ttd_del_routes(NULL, r, 1, e), -EINVAL, "device");
	REFUSED(ttd_set_mtu(NULL, 1400, e), -EINVAL, "device");
	REFUSED(ttd_set_up(NULL, 1, e), -EINVAL, "device");
	ck_assert_int_eq(ttd_get_mtu(NULL, &mtu), -EINVAL);
	ck_assert_int_eq(ttd_get_addrs(NULL, a, 1), -EINVAL);
	ck_assert_int_eq(ttd_event_fd(NULL), -EINVAL);
	ck_assert_int_eq(ttd_control_fd(NULL), -EINVAL);
	ck_assert_int_eq(ttd_control(NULL, NULL), -EINVAL);
	/* nothing of nothing is done at once */
	ck_assert_int_eq(ttd_add_addrs(dev, NULL, 0, NULL), 0);
	ck_assert_int_eq(ttd_del_addrs(dev, a, 0, NULL), 0);
	ck_assert_int_eq(ttd_add_routes(dev, NULL, 0, NULL), 0);
	ck_assert_int_eq(ttd_del_routes(dev, NULL, 0, NULL), 0);
	asked(0);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void play_refusal(int conn, const struct wire_message *m)
{
	refuse(conn, m->id, WIRE_E_POLICY, "not you");
}

START_TEST(a_refusal_is_told)
{
	struct ttd_device *dev;
	struct ttd_error e = { 0 };
	uint32_t mtu = 7;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	set_play(play_refusal);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -EACCES);
	ck_assert_int_eq(e.code, -EACCES);
	ck_assert_str_eq(e.step, "policy");
	ck_assert_str_eq(e.text, "not you");
	ck_assert_str_eq(e.rule, "/etc/tuntapd/policy.d/10-a.conf:7");
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), -EACCES);
	ck_assert_uint_eq(mtu, 7);
	set_play(play_good);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), 0);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void play_wrong_message(int conn, const struct wire_message *m)
{
	if (m->type == WIRE_QUERY)
		done(conn, m->id);
	else
		describe(conn, m->id);
}

START_TEST(a_wrong_answer_is_none)
{
	struct ttd_device *dev;
	struct ttd_error e = { 0 };
	uint32_t mtu = 7;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	set_play(play_wrong_message);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -EPROTO);
	ck_assert_ptr_nonnull(strstr(e.text, "the message device"));
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), -EPROTO);
	ck_assert_uint_eq(mtu, 7);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void wants_addr(struct ttd_device *dev, const char *text)
{
	struct ttd_prefix p, want;

	if (!text) {
		ck_assert_int_eq(ttd_netdev_addr(ttd_netdev(dev), &p),
				 -EADDRNOTAVAIL);
		return;
	}
	want = prefix(text);
	ck_assert_int_eq(ttd_netdev_addr(ttd_netdev(dev), &p), 0);
	ck_assert_mem_eq(&p, &want, sizeof(p));
}

START_TEST(set_ip_is_what_addr_tells)
{
	struct ttd_prefix p;
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(0, TIMEOUT_MS);
	wants_addr(dev, NULL);
	p = prefix("fd00::1/64");
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), 0);
	wants_addr(dev, "fd00::1/64");
	p = prefix("fd00::2/64");
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), 0);
	wants_addr(dev, "fd00::2/64");
	p = prefix("10.0.0.1/24");
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), 0);
	wants_addr(dev, "10.0.0.1/24");
	p = prefix("fd00::3/64");	/* hides no IPv4 one */
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), 0);
	wants_addr(dev, "10.0.0.1/24");
	set_play(play_refusal);
	p = prefix("10.0.0.9/24");
	ck_assert_int_eq(ttd_set_ip(dev, &p, NULL), -EACCES);
	wants_addr(dev, "10.0.0.1/24");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(options_are_what_addr_tells)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_addr a[3] = { { .flags = 0 } };
	struct ttd_device *dev;

	daemon_start();
	o.socket_path = path;
	o.addrs = a;
	a[0].local = prefix("fd00::1/64");
	a[1].local = prefix("10.0.0.1/24");
	a[2].local = prefix("10.0.0.2/24");
	o.n_addrs = 3;
	ck_assert_int_eq(ttd_open(&o, &dev, NULL), 0);
	wants_addr(dev, "10.0.0.1/24");
	ttd_free(dev);
	a[1].local = prefix("fd00::2/64");
	o.n_addrs = 2;
	ck_assert_int_eq(ttd_open(&o, &dev, NULL), 0);
	wants_addr(dev, "fd00::1/64");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static uint16_t held_id;

static void play_hold(int conn, const struct wire_message *m)
{
	(void)conn;
	held_id = m->id;
}

/* The held answer first, a refusal, and an event in between. */
static void play_late(int conn, const struct wire_message *m)
{
	ck_assert_uint_ne(m->id, held_id);
	ck_assert_uint_ne(m->id, 0);
	refuse(conn, held_id, WIRE_E_POLICY, "late");
	put_event(conn, WIRE_EVENT_MTU, 1400, "");
	play_good(conn, m);
}

START_TEST(a_late_answer_is_dropped)
{
	struct ttd_device *dev;
	struct ttd_error e = { 0 };
	int64_t begun;
	uint32_t mtu;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	dev->control.timeout_ms = SHORT_MS;
	set_play(play_hold);
	begun = now_ms();
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() - begun, SHORT_MS);
	ck_assert_ptr_nonnull(strstr(e.text, "within 60 ms"));
	set_play(play_late);
	dev->control.timeout_ms = TIMEOUT_MS;
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	ck_assert_uint_eq(mtu, 1377);
	wants_event(dev, TTD_EVENT_MTU, 1400, "");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(no_request_has_id_0)
{
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	dev->control.last_id = UINT16_MAX - 1;
	sync_with(dev);
	ck_assert_uint_eq(asked(1).id, UINT16_MAX);
	sync_with(dev);
	ck_assert_uint_eq(asked(2).id, 1);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* Answers with what was asked, behind an event; and notices pipelining. */
static void play_echo(int conn, const struct wire_message *m)
{
	struct pollfd p = { conn, POLLIN, 0 };
	char text[32];

	ck_assert_int_eq(poll(&p, 1, 0), 0);
	snprintf(text, sizeof(text), "mtu %u", m->set.mtu);
	put_event(conn, WIRE_EVENT_MTU, m->set.mtu, "");
	refuse(conn, m->id, WIRE_E_POLICY, text);
	put_event(conn, WIRE_EVENT_LINK, 1, "");
}

static struct { struct ttd_device *dev; uint32_t first; } askers[2];

static void *ask_much(void *asker)
{
	struct ttd_device *dev = askers[asker != askers].dev;
	uint32_t first = askers[asker != askers].first;
	struct ttd_error e;
	char text[32];

	for (uint32_t i = 0; i < EVENTS_ROUNDS; i++) {
		snprintf(text, sizeof(text), "mtu %u", first + i);
		ck_assert_int_eq(ttd_set_mtu(dev, first + i, &e), -EACCES);
		ck_assert_str_eq(e.text, text);
	}
	return NULL;
}

static void *take_events(void *dev)
{
	struct ttd_event e = TTD_EVENT_INIT;
	unsigned n = 0;

	while (ttd_next_event(dev, &e, TTD_FOREVER) == 0) {
		n++;
		if (e.type == TTD_EVENT_ENDED)
			ck_assert_uint_eq(e.value, TTD_CLOSED);
		else if (e.type == TTD_EVENT_MTU)
			ck_assert_uint_ge(e.value, 1000);
		else
			ck_assert_uint_eq(e.type, TTD_EVENT_LINK);
	}
	ck_assert_uint_gt(n, 1);
	return NULL;
}

/* Without the thread: whoever polls takes the others' answers in for them. */
START_TEST(threads_take_turns)
{
	struct ttd_device *dev;
	pthread_t t[3];

	daemon_start();
	set_play(play_echo);
	dev = open_one(modes[_i], TTD_FOREVER);
	pthread_create(&t[2], NULL, take_events, dev);
	for (unsigned i = 0; i < 2; i++) {
		askers[i].dev = dev;
		askers[i].first = 1000 * (i + 1);
		pthread_create(&t[i], NULL, ask_much, &askers[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(asked(2 * EVENTS_ROUNDS).type, WIRE_SET);
	ttd_close(dev);
	pthread_join(t[2], NULL);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

struct call {
	struct ttd_device *dev;
	int result;
	struct ttd_error error;
};

static void *set_mtu(void *call)
{
	struct call *c = call;

	c->result = ttd_set_mtu(c->dev, 1400, &c->error);
	return NULL;
}

START_TEST(a_turn_that_never_comes)
{
	struct ttd_device *dev;
	struct ttd_error e = { 0 };

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	dev->control.timeout_ms = SHORT_MS;
	dev->control.asking = true;	/* some other thread */
	ck_assert_int_eq(ttd_set_mtu(dev, 1, &e), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(e.text, "never made"));
	asked(0);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(close_wakes_requesters)
{
	struct call call[2] = { { .result = 1 }, { .result = 1 } };
	struct ttd_device *dev;
	pthread_t t[2];
	int64_t begun;

	daemon_start();
	set_play(play_silence);
	dev = open_one(modes[_i], TTD_FOREVER);
	for (int i = 0; i < 2; i++) {
		call[i].dev = dev;
		pthread_create(&t[i], NULL, set_mtu, &call[i]);
	}
	asked(1);
	begun = now_ms();
	ck_assert_int_eq(ttd_close(dev), 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		ck_assert_int_eq(call[i].result, -ESHUTDOWN);
		ck_assert_int_eq(call[i].error.code, -ESHUTDOWN);
	}
	ck_assert_int_lt(now_ms() - begun, TIMEOUT_MS);
	ck_assert_int_eq(ttd_set_mtu(dev, 1, &call[0].error), -ESHUTDOWN);
	ck_assert_ptr_nonnull(strstr(call[0].error.text, "closed by"));
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(the_end_wakes_a_requester)
{
	struct call call = { .result = 1 };
	pthread_t t;

	daemon_start();
	set_play(play_silence);
	call.dev = open_one(modes[_i], TTD_FOREVER);
	pthread_create(&t, NULL, set_mtu, &call);
	asked(1);
	tell(0, WIRE_EVENT_ENDED, WIRE_ENDED_DELETED, "by ip link");
	pthread_join(t, NULL);
	ck_assert_int_eq(call.result, -ESHUTDOWN);
	ck_assert_ptr_nonnull(strstr(call.error.text, "by ip link"));
	ttd_free(call.dev);
	daemon_stop();
}
END_TEST

/* Its socket gets full, and no call takes longer than it may. */
START_TEST(a_daemon_that_does_not_read)
{
	static struct ttd_route r[WIRE_ROUTES_MAX];
	struct ttd_device *dev;
	int64_t begun;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	dev->control.timeout_ms = 1;
	for (unsigned i = 0; i < WIRE_ROUTES_MAX; i++)
		r[i].dst = prefix("fd00::/64");
	pthread_mutex_lock(&d.mutex);	/* it sleeps */
	begun = now_ms();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ttd_add_routes(dev, r, WIRE_ROUTES_MAX, NULL),
				 -ETIMEDOUT);
	ck_assert_int_lt(now_ms() - begun, TIMEOUT_MS);
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ttd_free(dev);
	pthread_mutex_unlock(&d.mutex);
	daemon_stop();
}
END_TEST

/* --- the daemon is lost --------------------------------------------------- */

/* In the middle of a request; what becomes of it nobody knows. */
START_TEST(a_daemon_is_lost)
{
	uint32_t flags = modes[_i % MODES];
	struct ttd_device *dev;
	struct ttd_error e = { 0 };
	uint32_t mtu;
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	dev = open_one(flags, TIMEOUT_MS);
	set_play(losses[_i / MODES]);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, &e), -EPIPE);
	ck_assert_int_eq(e.code, -EPIPE);
	ck_assert_str_eq(e.step, "answer");
	ck_assert_ptr_nonnull(strstr(e.text, "may have been carried out"));
	ck_assert_int_eq(ttd_status(dev, NULL), TTD_OPEN);
	ck_assert(!readable(ttd_done_fd(dev), 0));
	ck_assert(readable(ttd_event_fd(dev), 0));
	wants_event(dev, TTD_EVENT_DAEMON_LOST, 0, "packets flow on");
	/* and the lease comes back */
	set_play(play_good);
	ck_assert_int_eq(ttd_get_mtu(dev, &mtu), 0);
	asked(2);
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "tuntapd is back");
	wants_no_event(dev);
	ttd_close(dev);
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "closed");
	ttd_free(dev);
	/* the daemon has two connections and the far end */
	wants_fds(before + 3);
	daemon_stop();
}
END_TEST

/* While nobody asks, too. */
START_TEST(a_daemon_goes_unasked)
{
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	pthread_mutex_lock(&d.mutex);
	shutdown(d.conn[0], SHUT_RDWR);
	pthread_mutex_unlock(&d.mutex);
	wants_event(dev, TTD_EVENT_DAEMON_LOST, 0, "");
	wants_event(dev, TTD_EVENT_DAEMON_BACK, 0, "");
	asked(0);
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- events --------------------------------------------------------------- */

START_TEST(the_last_of_each_type_in_order)
{
	struct ttd_device *dev;
	struct ttd_event e = TTD_EVENT_INIT;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	wants_no_event(dev);
	tell(0, WIRE_EVENT_RENAMED, 0, "first");
	tell(0, WIRE_EVENT_MTU, 1000, "");
	tell(0, WIRE_EVENT_LINK, 0, "");
	tell(0, 0, 0, "of no kind");
	tell(0, TTD_EVENT_DAEMON_LOST, 0, "it lies");
	tell(0, 99, 0, "of a newer daemon");
	tell(0, WIRE_EVENT_MTU, 2000, "");
	tell(0, WIRE_EVENT_HWADDR, 0, "02:00:00:00:00:01");
	tell(0, WIRE_EVENT_TAMPERED, 0, "persist");
	tell(0, WIRE_EVENT_RENAMED, 0, "second");
	sync_with(dev);
	wants_event(dev, TTD_EVENT_LINK, 0, "");
	wants_event(dev, TTD_EVENT_MTU, 2000, "");
	/* one that comes meanwhile is behind them */
	tell(0, WIRE_EVENT_LINK, 1, "");
	sync_with(dev);
	wants_event(dev, TTD_EVENT_HWADDR, 0, "02:00:00:00:00:01");
	wants_event(dev, TTD_EVENT_TAMPERED, 0, "persist");
	wants_event(dev, TTD_EVENT_RENAMED, 0, "second");
	wants_event(dev, TTD_EVENT_LINK, 1, "");
	wants_no_event(dev);
	ttd_close(dev);
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "closed by the program");
	ck_assert_int_eq(ttd_next_event(dev, &e, TTD_FOREVER), -ESHUTDOWN);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static const struct {
	uint32_t told;
	enum ttd_status status;
	int code;
} ends[] = {
	{ WIRE_ENDED_DELETED, TTD_DELETED, -ENODEV },
	{ WIRE_ENDED_REVOKED, TTD_REVOKED, -EPERM },
	{ 77, TTD_DELETED, -ENODEV },	/* a newer daemon's reason */
};
#define ENDS ((int)(sizeof(ends) / sizeof(*ends)))

START_TEST(the_daemon_ends_a_device)
{
	uint32_t flags = modes[_i % MODES];
	struct ttd_event e = TTD_EVENT_INIT;
	struct ttd_device *dev;
	struct ttd_error why;
	char b;

	daemon_start();
	dev = open_one(flags, TIMEOUT_MS);
	tell(0, WIRE_EVENT_ENDED, ends[_i / MODES].told, "told why");
	tell(0, WIRE_EVENT_MTU, 1, "of a device that has ended");
	wants_event(dev, TTD_EVENT_ENDED, ends[_i / MODES].status, "told why");
	ck_assert_int_eq(ttd_status(dev, &why), ends[_i / MODES].status);
	ck_assert_int_eq(why.code, ends[_i / MODES].code);
	ck_assert_str_eq(why.text, "told why");
	ck_assert(readable(ttd_done_fd(dev), 0));
	ck_assert_int_eq(ttd_next_event(dev, &e, TTD_FOREVER), -ESHUTDOWN);
	ck_assert_int_eq(ttd_recv(dev, &b, 1, TTD_FOREVER), -ESHUTDOWN);
	if (flags & TTD_NO_THREAD) {
		ck_assert_int_eq(ttd_control_fd(dev), -EAGAIN);
		ck_assert_int_eq(ttd_control(dev, NULL), -ESHUTDOWN);
	}
	ck_assert_int_eq(ttd_close(dev), 0);
	ck_assert_int_eq(ttd_status(dev, NULL), ends[_i / MODES].status);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* It is the last one, whatever waits before it. */
START_TEST(ended_is_the_last)
{
	struct ttd_event e = TTD_EVENT_INIT;
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	tell(0, WIRE_EVENT_TAMPERED, 0, "owner");
	tell(0, WIRE_EVENT_LINK, 0, "");
	sync_with(dev);
	ttd_close(dev);
	wants_event(dev, TTD_EVENT_TAMPERED, 0, "owner");
	wants_event(dev, TTD_EVENT_LINK, 0, "");
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "");
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), -ESHUTDOWN);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(event_fd_is_readable_exactly_when)
{
	struct ttd_device *dev;
	int fd;
	char b;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	tell(0, WIRE_EVENT_MTU, 1, "");	/* before the fd is asked for */
	sync_with(dev);
	fd = ttd_event_fd(dev);
	ck_assert_int_eq(ttd_event_fd(dev), fd);
	ck_assert(readable(fd, 0));
	wants_event(dev, TTD_EVENT_MTU, 1, "");
	ck_assert(!readable(fd, 0));
	for (uint32_t i = 0; i < 3; i++) {
		tell(0, WIRE_EVENT_MTU, i, "");
		tell(0, WIRE_EVENT_LINK, i, "");
	}
	sync_with(dev);
	ck_assert(readable(fd, 0));
	wants_event(dev, TTD_EVENT_MTU, 2, "");
	ck_assert(readable(fd, 0));
	wants_event(dev, TTD_EVENT_LINK, 2, "");
	ck_assert(!readable(fd, 0));
	/* one who reads it, against the rule, does no harm */
	tell(0, WIRE_EVENT_MTU, 1, "");
	sync_with(dev);
	ck_assert_int_eq(read(fd, &b, 1), 1);
	wants_event(dev, TTD_EVENT_MTU, 1, "");
	ck_assert(!readable(fd, 0));
	ttd_close(dev);
	ck_assert_int_eq(ttd_event_fd(dev), fd);
	ck_assert(readable(fd, 0));
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "");
	ck_assert(!readable(fd, 0));
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* The thread makes it readable by itself. */
START_TEST(event_fd_wakes_a_poller)
{
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(0, TIMEOUT_MS);
	ck_assert(!readable(ttd_event_fd(dev), 0));
	tell(0, WIRE_EVENT_LINK, 0, "");
	ck_assert(readable(ttd_event_fd(dev), TIMEOUT_MS));
	wants_event(dev, TTD_EVENT_LINK, 0, "");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(waiting_for_events)
{
	struct ttd_event e = TTD_EVENT_INIT;
	struct ttd_device *dev;
	int64_t begun;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), -EAGAIN);
	begun = now_ms();
	ck_assert_int_eq(ttd_next_event(dev, &e, SHORT_MS), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() - begun, SHORT_MS);
	ck_assert_int_eq(ttd_next_event(dev, &e, -2), -EINVAL);
	ck_assert_uint_eq(e.type, 0);
	tell(0, WIRE_EVENT_LINK, 1, "");
	ck_assert_int_eq(ttd_next_event(dev, &e, TTD_FOREVER), 0);
	ck_assert_uint_eq(e.type, TTD_EVENT_LINK);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void *close_it(void *dev)
{
	poll(NULL, 0, SHORT_MS);
	ttd_close(dev);
	return NULL;
}

START_TEST(close_wakes_who_waits_for_events)
{
	struct ttd_device *dev;
	pthread_t t;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	pthread_create(&t, NULL, close_it, dev);
	wants_event(dev, TTD_EVENT_ENDED, TTD_CLOSED, "closed");
	pthread_join(t, NULL);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

START_TEST(sizes_of_events)
{
	struct {
		struct ttd_event e;
		uint8_t tail[40];
	} larger;
	struct ttd_device *dev;

	daemon_start();
	dev = open_one(0, TIMEOUT_MS);
	tell(0, WIRE_EVENT_LINK, 1, "");
	sync_with(dev);
	memset(&larger, 0xaa, sizeof(larger));
	larger.e.size = sizeof(struct ttd_event) - 1;
	ck_assert_int_eq(ttd_next_event(dev, &larger.e, 0), -EINVAL);
	larger.e.size = 0;
	ck_assert_int_eq(ttd_next_event(dev, &larger.e, 0), -EINVAL);
	larger.e.size = 4097;
	ck_assert_int_eq(ttd_next_event(dev, &larger.e, 0), -EINVAL);
	ck_assert_uint_eq(larger.e.type, 0xaaaaaaaa);
	larger.e.size = sizeof(larger) - 1;
	ck_assert_int_eq(ttd_next_event(dev, &larger.e, 0), 0);
	ck_assert_uint_eq(larger.e.size, sizeof(larger) - 1);
	ck_assert_uint_eq(larger.e.type, TTD_EVENT_LINK);
	ck_assert_uint_eq(larger.tail[0], 0);
	ck_assert_uint_eq(larger.tail[38], 0);
	ck_assert_uint_eq(larger.tail[39], 0xaa);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* --- the thread, and without it ------------------------------------------- */

START_TEST(a_program_that_listens_itself)
{
	struct ttd_device *dev;
	int fd, wait_ms = 7;

	daemon_start();
	dev = open_one(TTD_NO_THREAD, TIMEOUT_MS);
	ck_assert_int_eq(control_threads(NULL), 0);
	fd = ttd_control_fd(dev);
	ck_assert(!readable(fd, 0));
	ck_assert_int_eq(ttd_control(dev, NULL), 0);
	ck_assert(!readable(ttd_event_fd(dev), 0));
	tell(0, WIRE_EVENT_LINK, 1, "");
	ck_assert(readable(fd, TIMEOUT_MS));
	ck_assert_int_eq(ttd_control(dev, &wait_ms), 0);
	ck_assert_int_eq(wait_ms, -1);
	ck_assert(!readable(fd, 0));
	ck_assert(readable(ttd_event_fd(dev), 0));
	wants_event(dev, TTD_EVENT_LINK, 1, "");
	/* without ttd_control() it is taken in by who asks for it */
	tell(0, WIRE_EVENT_MTU, 1, "");
	ck_assert(readable(fd, TIMEOUT_MS));
	wants_event(dev, TTD_EVENT_MTU, 1, "");
	ttd_close(dev);
	wait_ms = 7;
	ck_assert_int_eq(ttd_control(dev, &wait_ms), -ESHUTDOWN);
	ck_assert_int_eq(wait_ms, 7);
	ck_assert_int_eq(ttd_control_fd(dev), -EAGAIN);
	ttd_free(dev);
	dev = open_one(0, TIMEOUT_MS);
	ck_assert_int_eq(ttd_control(dev, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ttd_control_fd(dev), -EOPNOTSUPP);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* Not all of it is taken in at a time, so it stops nobody. */
START_TEST(a_daemon_that_talks_without_end)
{
	struct wire_message m = { .type = WIRE_EVENT };
	uint8_t frame[WIRE_FRAME_MAX], *flood;
	struct ttd_device *dev;
	struct ttd_event e = TTD_EVENT_INIT;
	int len, n = 300;

	daemon_start();
	dev = open_one(TTD_NO_THREAD, TIMEOUT_MS);
	m.event.kind = WIRE_EVENT_LINK;
	len = wire_encode(&m, frame, sizeof(frame));
	flood = malloc((size_t)(n * len));
	ck_assert_ptr_nonnull(flood);
	for (int i = 0; i < n; i++)
		memcpy(flood + i * len, frame, (size_t)len);
	pthread_mutex_lock(&d.mutex);
	ck_assert_int_eq(write(d.conn[0], flood, (size_t)(n * len)), n * len);
	pthread_mutex_unlock(&d.mutex);
	free(flood);
	ck_assert_int_eq(ttd_control(dev, NULL), 0);
	ck_assert(readable(ttd_control_fd(dev), 0));
	for (n = 1; readable(ttd_control_fd(dev), 0); n++)
		ck_assert_int_eq(ttd_control(dev, NULL), 0);
	ck_assert_int_gt(n, 2);
	ck_assert_int_eq(ttd_next_event(dev, &e, 0), 0);
	wants_no_event(dev);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

static void *free_it(void *dev)
{
	ttd_free(dev);
	return NULL;
}

START_TEST(one_thread_for_all)
{
	unsigned long long blocked = 0;
	struct ttd_device *dev[DEVICES];
	pthread_t t[DEVICES];
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	for (unsigned i = 0; i < DEVICES; i++)
		dev[i] = open_one(0, TIMEOUT_MS);
	wants_control_threads(1);
	control_threads(&blocked);
	ck_assert(blocked & 1u << (SIGTERM - 1));
	ck_assert(blocked & 1u << (SIGINT - 1));
	ck_assert(blocked & 1u << (SIGUSR1 - 1));
	for (unsigned i = 0; i < DEVICES; i++)
		tell(i, WIRE_EVENT_MTU, 1000 + i, "");
	for (unsigned i = 0; i < DEVICES; i++) {
		wants_event(dev[i], TTD_EVENT_MTU, 1000 + i, "");
		sync_with(dev[i]);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		pthread_create(&t[i], NULL, free_it, dev[i]);
	for (unsigned i = 0; i < DEVICES; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(control_threads(NULL), 0);
	wants_fds(before + 2 * DEVICES);
	daemon_stop();
}
END_TEST

static void *come_and_go(void *unused)
{
	(void)unused;
	for (int i = 0; i < 8; i++) {
		struct ttd_device *dev = open_one(0, TIMEOUT_MS);

		ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
		ck_assert_int_ge(ttd_event_fd(dev), 0);
		ttd_free(dev);
	}
	return NULL;
}

/* The last one's thread ends while the first one's begins. */
START_TEST(devices_come_and_go)
{
	pthread_t t[4];

	daemon_start();
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, come_and_go, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(control_threads(NULL), 0);
	daemon_stop();
}
END_TEST

static struct ttd_device *in_hand;

static int free_in_handler(void *freed, void *buf, size_t len)
{
	(void)buf;
	(void)len;
	ttd_free(in_hand);
	atomic_store((atomic_bool *)freed, true);
	return 0;
}

/* The push thread takes the control thread down with the last device. */
START_TEST(freed_in_a_handler)
{
	atomic_bool freed = false;
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	in_hand = open_one(0, TIMEOUT_MS);
	ck_assert_int_eq(ttd_set_handler(in_hand, free_in_handler, &freed), 0);
	ck_assert_int_eq(write(end_of(d.far, 0), "E", 1), 1);
	while (!atomic_load(&freed))
		poll(NULL, 0, 1);
	ck_assert_int_eq(control_threads(NULL), 0);
	wants_fds(before + 2);
	daemon_stop();
}
END_TEST

/* poll(2) refuses more fds than RLIMIT_NOFILE: EINVAL, for ever. */
START_TEST(a_limit_is_lowered)
{
	struct ttd_device *dev[3];
	struct rlimit old, few;
	int64_t cpu;
	int before;

	daemon_start();
	before = entries("/proc/self/fd");
	for (unsigned i = 0; i < 3; i++)
		dev[i] = open_one(modes[_i], TIMEOUT_MS);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 1;
	setrlimit(RLIMIT_NOFILE, &few);
	/* the daemon that is played polls two and more, and is deaf now */
	tell(1, WIRE_EVENT_LINK, 1, "");
	wants_event(dev[1], TTD_EVENT_LINK, 1, "");
	dev[1]->control.timeout_ms = SHORT_MS;
	cpu = cpu_ms();
	pthread_mutex_lock(&d.mutex);	/* and quiet */
	ck_assert_int_eq(ttd_set_mtu(dev[1], 1400, NULL), -ETIMEDOUT);
	poll(NULL, 0, 200);
	ck_assert_int_lt(cpu_ms() - cpu, 100);
	/* no number can be replaced: they are closed in the end */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(ttd_close(dev[i]), 0);
	for (unsigned i = 0; i < 3; i++)
		ttd_free(dev[i]);
	setrlimit(RLIMIT_NOFILE, &old);
	pthread_mutex_unlock(&d.mutex);
	wants_fds(before + 2 * 3);
	daemon_stop();
}
END_TEST

/* --- fork ------------------------------------------------------------------ */

static bool no_threads_after_fork(const char *test)
{
#ifdef __SANITIZE_THREAD__
	printf("SKIP %s: ThreadSanitizer allows no threads in a child of a "
	       "process that has some\n", test);
	return true;
#else
	(void)test;
	return false;
#endif
}

/* In a forked child: 0 or the line that is wrong. */
static int live_on(struct ttd_device *parents)
{
	struct ttd_device *dev;
	uint32_t mtu = 0;
	int r;

	ttd_free(parents);
	if (control_threads(NULL) != 0)
		return __LINE__ & 0xff;
	for (int i = 0; i < 2; i++) {
		if (try_open(0, TIMEOUT_MS, &dev) < 0)
			return __LINE__ & 0xff;
		r = ttd_get_mtu(dev, &mtu);
		if (r < 0 || mtu != 1377) {
			fprintf(stderr, "MTU %u, %s\n", (unsigned)mtu,
				strerror(-r));
			return __LINE__ & 0xff;
		}
		ttd_free(dev);
		if (control_threads(NULL) != 0)
			return __LINE__ & 0xff;
	}
	return 0;
}

START_TEST(a_child_begins_anew)
{
	struct ttd_device *dev;
	pid_t child;

	if (no_threads_after_fork("a_child_begins_anew"))
		return;
	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	/*
	 * AddressSanitizer's malloc, unlike glibc's, is not put in order for a
	 * child: a thread that is at it now would leave its lock closed there.
	 */
	poll(NULL, 0, REST_MS);
	child = fork();
	if (child == 0)
		_exit(live_on(dev));
	ck_assert_int_eq(wait_for(child), 0);
	/* the lease is the parent's, and lives */
	ck_assert_int_eq(ttd_set_mtu(dev, 1400, NULL), 0);
	tell(0, WIRE_EVENT_LINK, 1, "");
	wants_event(dev, TTD_EVENT_LINK, 1, "");
	ttd_free(dev);
	daemon_stop();
}
END_TEST

/* One that keeps everything does not keep the lease from ending. */
START_TEST(a_child_that_stays)
{
	static struct ttd_device *dev;	/* the child's too, which keeps it */
	struct pollfd p = { .events = POLLIN };
	int stay[2];
	pid_t child;
	char b;

	daemon_start();
	dev = open_one(modes[_i], TIMEOUT_MS);
	ck_assert_int_eq(pipe(stay), 0);
	child = fork();
	if (child == 0) {
		close(stay[1]);
		_exit((int)read(stay[0], &b, 1));
	}
	ttd_close(dev);
	p.fd = end_of(d.conn, 0);
	ck_assert_int_eq(poll(&p, 1, TIMEOUT_MS), 1);
	ck_assert_int_eq(recv(p.fd, &b, 1, MSG_DONTWAIT), 0);
	ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
	close(stay[1]);
	ck_assert_int_eq(wait_for(child), 0);
	close(stay[0]);
	ttd_free(dev);
	daemon_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_set_timeout(t, LONG_MS / 1000);
	tcase_add_loop_test(t, addresses_are_asked_for, 0, MODES);
	tcase_add_loop_test(t, routes_and_more_are_asked_for, 0, MODES);
	tcase_add_loop_test(t, many_routes_go_in_parts, 0, MODES);
	tcase_add_loop_test(t, a_part_that_is_refused_leaves_none, 0,
			    MODES * N_REFUSED);
	tcase_add_loop_test(t, a_daemon_that_goes_amid_parts, 0, MODES);
	tcase_add_loop_test(t, a_part_without_an_answer_is_left_alone, 0,
			    MODES);
	tcase_add_loop_test(t, facts_are_asked_for, 0, MODES);
	tcase_add_test(t, senseless_values_are_not_asked);
	tcase_add_loop_test(t, a_refusal_is_told, 0, MODES);
	tcase_add_loop_test(t, a_wrong_answer_is_none, 0, MODES);
	tcase_add_test(t, set_ip_is_what_addr_tells);
	tcase_add_test(t, options_are_what_addr_tells);
	tcase_add_loop_test(t, a_late_answer_is_dropped, 0, MODES);
	tcase_add_loop_test(t, no_request_has_id_0, 0, MODES);
	tcase_add_loop_test(t, threads_take_turns, 0, MODES);
	tcase_add_loop_test(t, a_turn_that_never_comes, 0, MODES);
	tcase_add_loop_test(t, close_wakes_requesters, 0, MODES);
	tcase_add_loop_test(t, the_end_wakes_a_requester, 0, MODES);
	tcase_add_loop_test(t, a_daemon_that_does_not_read, 0, MODES);
	tcase_add_loop_test(t, a_daemon_is_lost, 0, MODES * LOSSES);
	tcase_add_loop_test(t, a_daemon_goes_unasked, 0, MODES);
	tcase_add_loop_test(t, the_last_of_each_type_in_order, 0, MODES);
	tcase_add_loop_test(t, the_daemon_ends_a_device, 0, MODES * ENDS);
	tcase_add_loop_test(t, ended_is_the_last, 0, MODES);
	tcase_add_loop_test(t, event_fd_is_readable_exactly_when, 0, MODES);
	tcase_add_test(t, event_fd_wakes_a_poller);
	tcase_add_loop_test(t, waiting_for_events, 0, MODES);
	tcase_add_loop_test(t, close_wakes_who_waits_for_events, 0, MODES);
	tcase_add_test(t, sizes_of_events);
	tcase_add_test(t, a_program_that_listens_itself);
	tcase_add_test(t, a_daemon_that_talks_without_end);
	tcase_add_test(t, one_thread_for_all);
	tcase_add_test(t, devices_come_and_go);
	tcase_add_test(t, freed_in_a_handler);
	tcase_add_loop_test(t, a_limit_is_lowered, 0, MODES);
	tcase_add_loop_test(t, a_child_begins_anew, 0, MODES);
	tcase_add_loop_test(t, a_child_that_stays, 0, MODES);
	suite_add_tcase(s, t);
	return run_played(s);
}
