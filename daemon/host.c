#include "host.h"

#include <string.h>

#include "mirror.h"
#include "refuse.h"

/*
 * What is or lies in an on-link prefix of another device would take packets
 * from there, whatever its metric; an address does so by its broadcast route
 * too, which the kernel makes.
 */
static int check_shadow(const struct prefix *p, const char *what,
			unsigned ifindex, const struct policy_terms *terms,
			struct wire_refused *why)
{
	char text[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];
	struct prefix net;
	const char *owner;
	int error;

	if (terms->shadow)
		return 0;
	owner = mirror_onlink_owner(p, ifindex, &net);
	if (!owner)
		return 0;
	error = refuse(why, WIRE_E_EXISTS, what, "%s lies in %s, which is the "
		       "network of %s; ask for one that does not, or have the "
		       "rule say `shadow = yes`", prefix_format(p, text),
		       prefix_format(&net, theirs), owner);
	if (why)
		memcpy(why->rule, terms->shadow_rule, sizeof(why->rule));
	return error;
}

static int check_shadows(const struct wire_address *a, unsigned ifindex,
			 const struct policy_terms *terms,
			 struct wire_refused *why)
{
	int error = check_shadow(&a->local, "address", ifindex, terms, why);

	if (!error && a->peer.family)
		error = check_shadow(&a->peer, "address", ifindex, terms, why);
	return error;
}

static int check_owner(const struct wire_address *a, struct wire_refused *why)
{
	const char *owner = mirror_address_owner(&a->local);
	char text[PREFIX_TEXT_MAX];

	if (!owner)
		return 0;
	return refuse(why, WIRE_E_ADDRESS_TAKEN, "address",
		      "%s: the host has this address on %s; ask for another "
		      "one", prefix_format(&a->local, text), owner);
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
	       unsigned ifindex, const struct policy_terms *terms,
	       struct wire_refused *why)
{
	int error = 0;

	for (unsigned i = 0; i < open->n_addresses && !error; i++) {
		const struct wire_address *a = &open->addresses[i];

		if (had_address(has, a))
			continue;
		if (!is_own(has, a))
			error = check_owner(a, why);
		if (!error)
			error = check_shadows(a, ifindex, terms, why);
	}
	for (unsigned i = 0; i < open->n_routes && !error; i++)
		if (!had_route(has, &open->routes[i].dst))
			error = check_shadow(&open->routes[i].dst, "route",
					     ifindex, terms, why);
	return error;
}

int host_check_again(const struct wire_open *has, unsigned ifindex,
		     const struct policy_terms *terms,
		     struct wire_refused *why)
{
	int error = 0;

	for (unsigned i = 0; i < has->n_addresses && !error; i++)
		error = check_shadows(&has->addresses[i], ifindex, terms, why);
	for (unsigned i = 0; i < has->n_routes && !error; i++)
		error = check_shadow(&has->routes[i].dst, "route", ifindex,
				     terms, why);
	return error;
}
