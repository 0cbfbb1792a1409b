/* What is asked of the daemon about a device that is open. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define REFUSE(e, ...) error_set(e, -EINVAL, "request", __VA_ARGS__)

/* A message is too large for a stack; zeroed.  NULL with error filled. */
static struct wire_message *message(uint8_t type, struct ttd_error *e)
{
	struct wire_message *m = calloc(1, sizeof(*m));

	if (m)
		m->type = type;
	else
		error_set(e, -ENOMEM, "request", "out of memory");
	return m;
}

/* Asks, frees m, and stores *addr (may be NULL) if that was done. */
static int ask(struct ttd_device *dev, struct wire_message *m,
	       const struct ttd_prefix *addr, struct ttd_error *e)
{
	int r;

	if (!gate_enter(&dev->calls)) {
		free(m);
		return error_set(e, -ESHUTDOWN, "device", "it is being freed");
	}
	r = control_ask(dev, m, WIRE_DONE, e);
	if (r == 0 && addr) {
		pthread_mutex_lock(&dev->meet.mutex);
		device_store_addr(dev, addr);
		pthread_mutex_unlock(&dev->meet.mutex);
	}
	gate_leave(&dev->calls, &dev->meet);
	free(m);
	return r;
}

int ttd_set_ip(struct ttd_device *dev, const struct ttd_prefix *address,
	       struct ttd_error *error)
{
	struct wire_message *m;
	struct prefix local;

	if (!dev || !address || !prefix_from_public(address, &local))
		return REFUSE(error, "ttd_set_ip() was given no device, or no "
			      "valid prefix: family 4 with at most 32 bits or "
			      "6 with at most 128, and reserved 0");
	m = message(WIRE_REPLACE, error);
	if (!m)
		return -ENOMEM;
	m->replace.local = local;
	return ask(dev, m, address, error);
}

/* ADD and REMOVE are alike. */
static int change_addrs(struct ttd_device *dev, uint8_t type,
			const struct ttd_addr *addrs, size_t n,
			struct ttd_error *error)
{
	struct wire_message *m;
	int r;

	_Static_assert(sizeof(struct wire_add) == sizeof(struct wire_remove),
		       "they differ");
	if (!dev || (!addrs && n))
		return REFUSE(error, "the %s is NULL", dev ? "list of addresses"
			      : "device");
	m = message(type, error);
	if (!m)
		return -ENOMEM;
	r = addrs_encode(addrs, n, m->add.addresses, error);
	if (r < 0 || n == 0) {
		free(m);
		return r;
	}
	m->add.n_addresses = (uint16_t)n;
	return ask(dev, m, NULL, error);
}

/* --- routes --------------------------------------------------------------- */

_Static_assert(TTD_ROUTES_AT_ONCE == WIRE_ROUTES_MAX, "wire and API differ");

/* A list of routes, in parts that a message holds. */
struct parts {
	uint8_t type;
	const struct ttd_route *routes;
	size_t n;
	const size_t *which;	/* the i-th part is this one; NULL: the i-th */
};

static size_t count_parts(size_t n)
{
	return (n + WIRE_ROUTES_MAX - 1) / WIRE_ROUTES_MAX;
}

/* The routes were looked at before: they can be encoded. */
static void make_part(void *arg, size_t i, struct wire_message *m)
{
	const struct parts *p = arg;
	size_t first = (p->which ? p->which[i] : i) * WIRE_ROUTES_MAX;
	size_t n = p->n - first;

	if (n > WIRE_ROUTES_MAX)
		n = WIRE_ROUTES_MAX;
	m->type = p->type;
	m->add.n_addresses = 0;
	m->add.n_routes = (uint16_t)n;
	routes_encode(p->routes, first, n, m->add.routes, NULL);
}

/*
 * Takes away what was made, the last part first.  A part without an answer is
 * left alone: nobody knows whether it was made, or refused as all of it was
 * there before.  True: none of the call's routes is left.
 */
static bool take_back(struct ttd_device *dev, const struct parts *added,
		      const struct stream *s)
{
	struct parts p = *added;
	size_t *which = calloc(s->sent, sizeof(*which));
	bool *done = calloc(s->sent, sizeof(*done));
	struct stream back = { .make = make_part, .arg = &p, .go_on = true,
			       .done = done };
	struct ttd_error why;
	bool all = false;

	if (!which || !done)
		goto out;
	for (size_t i = s->sent; i-- > 0;)
		if (s->done[i])
			which[back.n++] = i;
	p.type = WIRE_REMOVE;
	p.which = which;
	all = back.n == 0 || control_ask_all(dev, &back, &why) == 0;
out:
	free(which);
	free(done);
	return all && s->answered == s->sent;
}

static int not_taken_back(struct ttd_error *e)
{
	struct ttd_error first = *e;

	error_set(e, first.code, first.step, "%.*s; and some of the routes of "
		  "this call may be there: they could not be taken away again",
		  (int)sizeof(first.text) - ERROR_WORDS_MAX, first.text);
	memcpy(e->rule, first.rule, sizeof(e->rule));
	return first.code;
}

/* Inside the gate. */
static int ask_in_parts(struct ttd_device *dev, struct parts *p,
			struct ttd_error *error)
{
	struct stream s = { .make = make_part, .arg = p,
			    .n = count_parts(p->n) };
	struct ttd_error own;
	int r;

	if (!error)
		error = &own;
	s.done = calloc(s.n, sizeof(*s.done));
	if (!s.done)
		return error_set(error, -ENOMEM, "request", "out of memory");
	r = control_ask_all(dev, &s, error);
	/* One part alone is made or it is not. */
	if (r < 0 && r != -ESHUTDOWN && p->type == WIRE_ADD && s.n > 1 &&
	    s.sent > 0 && !take_back(dev, p, &s))
		r = not_taken_back(error);
	free(s.done);
	return r;
}

int device_change_routes(struct ttd_device *dev, uint8_t type,
			 const struct ttd_route *routes, size_t n,
			 struct ttd_error *error)
{
	struct parts p = { .type = type, .routes = routes, .n = n };
	int r;

	if (!gate_enter(&dev->calls))
		return error_set(error, -ESHUTDOWN, "device",
				 "it is being freed");
	r = ask_in_parts(dev, &p, error);
	gate_leave(&dev->calls, &dev->meet);
	return r;
}

static int change_routes(struct ttd_device *dev, uint8_t type,
			 const struct ttd_route *routes, size_t n,
			 struct ttd_error *error)
{
	int r;

	if (!dev || (!routes && n))
		return REFUSE(error, "the %s is NULL", dev ? "list of routes" :
			      "device");
	r = routes_check(routes, n, error);
	if (r < 0 || n == 0)
		return r;
	return device_change_routes(dev, type, routes, n, error);
}

int ttd_add_addrs(struct ttd_device *dev, const struct ttd_addr *addrs,
		  size_t n, struct ttd_error *error)
{
	return change_addrs(dev, WIRE_ADD, addrs, n, error);
}

int ttd_del_addrs(struct ttd_device *dev, const struct ttd_addr *addrs,
		  size_t n, struct ttd_error *error)
{
	return change_addrs(dev, WIRE_REMOVE, addrs, n, error);
}

int ttd_add_routes(struct ttd_device *dev, const struct ttd_route *routes,
		   size_t n, struct ttd_error *error)
{
	return change_routes(dev, WIRE_ADD, routes, n, error);
}

int ttd_del_routes(struct ttd_device *dev, const struct ttd_route *routes,
		   size_t n, struct ttd_error *error)
{
	return change_routes(dev, WIRE_REMOVE, routes, n, error);
}

static int set(struct ttd_device *dev, struct wire_set what,
	       struct ttd_error *error)
{
	struct wire_message *m;

	if (!dev)
		return REFUSE(error, "the device is NULL");
	m = message(WIRE_SET, error);
	if (!m)
		return -ENOMEM;
	m->set = what;
	return ask(dev, m, NULL, error);
}

int ttd_set_mtu(struct ttd_device *dev, uint32_t mtu, struct ttd_error *error)
{
	struct wire_set what = { .what = WIRE_SET_MTU, .mtu = mtu };

	return set(dev, what, error);
}

int ttd_set_up(struct ttd_device *dev, int up, struct ttd_error *error)
{
	struct wire_set what = { .what = WIRE_SET_UP, .up = up != 0 };

	if (up != 0 && up != 1)
		return REFUSE(error, "up is %d; it is 0 or 1", up);
	return set(dev, what, error);
}

/* The daemon's answer to QUERY, to be freed; NULL with *ret_error. */
static struct wire_message *query(struct ttd_device *dev, int *ret_error)
{
	struct wire_message *m = message(WIRE_QUERY, NULL);

	*ret_error = m ? -ESHUTDOWN : -ENOMEM;
	if (m && gate_enter(&dev->calls)) {
		*ret_error = control_ask(dev, m, WIRE_DEVICE, NULL);
		gate_leave(&dev->calls, &dev->meet);
	}
	if (*ret_error == 0)
		return m;
	free(m);
	return NULL;
}

int ttd_get_addrs(struct ttd_device *dev, struct ttd_addr *ret, size_t cap)
{
	struct wire_message *m;
	int r;

	if (!dev || (!ret && cap))
		return -EINVAL;
	m = query(dev, &r);
	if (!m)
		return r;
	for (size_t i = 0; i < m->device.n_addresses && i < cap; i++) {
		const struct wire_address *a = &m->device.addresses[i];

		ret[i] = (struct ttd_addr){
			.local = prefix_to_public(&a->local),
			.peer = prefix_to_public(&a->peer),
		};
	}
	r = m->device.n_addresses;
	free(m);
	return r;
}

int ttd_get_mtu(struct ttd_device *dev, uint32_t *ret)
{
	struct wire_message *m;
	int r;

	if (!dev || !ret)
		return -EINVAL;
	m = query(dev, &r);
	if (!m)
		return r;
	*ret = m->device.mtu;
	free(m);
	return 0;
}
