#include "host.h"

#include "mirror.h"
#include "refuse.h"

/*
 * What is or lies in an on-link prefix of another device would take packets
 * from there, whatever its metric; an address does so by its broadcast route
 * too, which the kernel makes.
 */
static int check_shadow(const struct prefix *p, const char *what,
			unsigned ifindex, struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	struct prefix net;
	const char *owner = mirror_onlink_owner(p, ifindex, &net);

	if (!owner)
		return 0;
	return refuse(why, WIRE_E_EXISTS, what, "%s lies in %s, which is the "
		      "network of %s; ask for one that does not, or have the "
		      "rule say `shadow = yes`", prefix_format(p, text),
		      prefix_format(&net, theirs), owner);
}

static int check_address(const struct wire_address *a, bool own,
			 unsigned ifindex, bool shadow,
			 struct wire_refused *why)
{
	const char *owner = own ? NULL : mirror_address_owner(&a->local);
	char text[PREFIX_TEXT_MAX];
	int error;

	if (owner)
		return refuse(why, WIRE_E_ADDRESS_TAKEN, "address",
			      "%s: the host has this address on %s; ask for "
			      "another one", prefix_format(&a->local, text),
			      owner);
	if (shadow)
		return 0;
	error = check_shadow(&a->local, "address", ifindex, why);
	if (!error && a->peer.family)
		error = check_shadow(&a->peer, "address", ifindex, why);
	return error;
}

static bool had_address(const struct wire_open *has,
			const struct wire_address *a)
{
	for (unsigned i = 0; has && i < has->n_addresses; i++) {
		const struct wire_address *b = &has->addresses[i];

		if (prefix_same_address(&a->local, &b->local) &&
		    a->local.len == b->local.len &&
		    a->peer.family == b->peer.family &&
		    (!a->peer.family || prefix_equal(&a->peer, &b->peer)))
			return true;
	}
	return false;
}

static bool had_route(const struct wire_open *has, const struct prefix *dst)
{
	for (unsigned i = 0; has && i < has->n_routes; i++)
		if (prefix_equal(dst, &has->routes[i].dst))
			return true;
	return false;
}

/* It is the device's already, with another length or peer. */
static bool is_own(const struct wire_open *has, const struct wire_address *a)
{
	for (unsigned i = 0; has && i < has->n_addresses; i++)
		if (prefix_same_address(&a->local, &has->addresses[i].local))
			return true;
	return false;
}

int host_check(const struct wire_open *open, const struct wire_open *has,
	       unsigned ifindex, bool shadow, struct wire_refused *why)
{
	int error = 0;

	for (unsigned i = 0; i < open->n_addresses && !error; i++) {
		const struct wire_address *a = &open->addresses[i];

		if (!had_address(has, a))
			error = check_address(a, is_own(has, a), ifindex,
					      shadow, why);
	}
	for (unsigned i = 0; i < open->n_routes && !error && !shadow; i++)
		if (!had_route(has, &open->routes[i].dst))
			error = check_shadow(&open->routes[i].dst, "route",
					     ifindex, why);
	return error;
}
