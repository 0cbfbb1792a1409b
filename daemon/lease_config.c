/* How a lease's device is, as a description: packed, with what it claims. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

const struct prefix *lease_far_end(const struct wire_address *a)
{
	return a->peer.family ? &a->peer : &a->local;
}

void lease_config(const struct held *held, struct wire_open *ret)
{
	static struct wire_message m;	/* large; used up before we return */

	wire_decode(held->config.frame, held->config.len, &m, NULL);
	*ret = m.open;
	ret->mtu = held->mtu;
	ret->flags &= ~WIRE_OPEN_DOWN;
	if (!held->up)
		ret->flags |= WIRE_OPEN_DOWN;
}

bool lease_add_routes(const struct held *held, struct wire_open *to)
{
	const struct routes *routes = &held->routes;

	if (routes->n + to->n_routes > WIRE_ROUTES_MAX)
		return false;
	for (int gateways = 0; gateways <= 1; gateways++)
		for (uint32_t i = 0; i < routes->n; i++) {
			struct wire_route r = routes_get(routes, i);

			if ((r.gateway.family != 0) == gateways)
				to->routes[to->n_routes++] = r;
		}
	return true;
}

/*
 * Of many routes none has a claim: everything claims such a lease.  That it is
 * looked at in vain costs time, and none of its packets.
 */
static void claim_routes(struct claims *claims, const struct routes *kept,
			 const struct wire_route *added, size_t n_added)
{
	static const struct prefix everything[] = {
		{ .family = 4 }, { .family = 6 }
	};

	if (kept->n + n_added > WIRE_ROUTES_MAX) {
		claims_add(claims, &everything[0]);
		claims_add(claims, &everything[1]);
		return;
	}
	for (uint32_t i = 0; i < kept->n; i++) {
		struct wire_route r = routes_get(kept, i);

		claims_add(claims, &r.dst);
	}
	for (size_t i = 0; i < n_added; i++)
		claims_add(claims, &added[i].dst);
}

int config_pack(const struct wire_open *open, const struct routes *kept,
		const struct wire_route *added, size_t n_added,
		struct config *ret)
{
	static struct wire_message m = { .type = WIRE_OPEN };
	static uint8_t frame[WIRE_FRAME_MAX];
	size_t n = kept->n + n_added;
	int len;

	if (n > WIRE_ROUTES_MAX)
		n = 2;		/* see claim_routes() */
	if (claims_init(&ret->claims, open->n_addresses + n))
		return -ENOMEM;
	for (unsigned i = 0; i < open->n_addresses; i++)
		claims_add(&ret->claims, lease_far_end(&open->addresses[i]));
	claim_routes(&ret->claims, kept, added, n_added);
	m.open = *open;
	m.open.n_routes = 0;
	len = wire_encode(&m, frame, sizeof(frame));
	ret->frame = len < 0 ? NULL : malloc((size_t)len);
	if (!ret->frame) {
		claims_free(&ret->claims);
		return -ENOMEM;
	}
	memcpy(ret->frame, frame, (size_t)len);
	ret->len = (size_t)len;
	return 0;
}

void config_free(struct config *config)
{
	claims_free(&config->claims);
	free(config->frame);
}

void lease_configure(struct held *held, const struct config *config)
{
	config_free(&held->config);
	held->config = *config;
	follow_claims(held, &held->config.claims);
}
