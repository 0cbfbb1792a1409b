/*
 * Any bytes as a policy file.  Whatever parses must decide, and what it allows
 * must be a device that may be: a name, metrics, an MTU.
 */
#include <stdlib.h>
#include <string.h>

#include "../../policy/bounds.h"
#include "../../policy/names.h"
#include "../../policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Names of even length are known; so both ways are walked. */
static int resolve(void *arg, bool group, const char *name, uint32_t *ret)
{
	(void)arg;
	if (strlen(name) % 2)
		return -2;
	*ret = group ? 100 : 1000;
	return 0;
}

static bool is_taken(void *arg, const char *name)
{
	unsigned *n = arg;

	return *name == 't' && (*n)++ < 3;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct prefix net = { { 10, 50 }, 4, 16 };
	static const struct prefix everything = { { 0 }, 4, 0 };
	static struct wire_open ask, out;
	struct peer peer = { .uid = 1000, .gid = 100 };
	unsigned tries = 0;
	struct policy_usage usage = { 1, 7, is_taken, &tries };
	struct policy_decision decision;
	struct policy_fault fault = { "" };
	struct policy *policy = NULL;

	if (policy_parse("fuzz.conf", (const char *)data, size, resolve, NULL,
			 &policy, &fault) < 0) {
		must(!policy && strncmp(fault.text, "fuzz.conf:", 10) == 0);
		return 0;
	}
	memset(&ask, 0, sizeof(ask));
	ask.layer = size % 2 ? WIRE_TUN : WIRE_TAP;
	ask.queues = 1;
	if (size % 3) {
		ask.n_addresses = ask.n_routes = 1;
		ask.addresses[0].local = net;
		ask.routes[0].dst = net;
	}
	if (size % 5 == 0) {
		ask.n_routes = 1;
		ask.routes[0].dst = everything;
	}
	if (policy_decide(policy, &peer, &ask, &usage, &out, &decision) == 0) {
		must(decision.code == 0 && !name_fault(out.name));
		must(decision.metric != 0);
		must(out.n_routes == 0 || out.routes[0].metric != 0);
		must(out.mtu == 0 || (out.mtu >= POLICY_MTU_MIN &&
				      out.mtu <= POLICY_MTU_MAX));
	} else {
		must(decision.code != 0 && *decision.text && *decision.step);
	}
	policy_free(policy);
	return 0;
}
