/*
 * Any bytes as a policy file.  Whatever parses must decide, and what it allows
 * must be a device that may be: a name, metrics, an MTU.  It can be written
 * back, and that be read.
 */
#include <stdio.h>
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

static void no_warning(void *n, const char *text)
{
	must(*text);
	++*(unsigned *)n;
}

/* As `policy show` does: a section each; the caller frees it. */
static char *written(const struct policy *policy, size_t rule)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	must(out != NULL);
	if (rule == policy_n_rules(policy))
		policy_write_global(policy, out);
	else
		policy_write_rule(policy, rule, NULL, out);
	must(fclose(out) == 0);
	return text;
}

/* What is written can be read, and is then written the same. */
static void write_and_read(const struct policy *policy)
{
	for (size_t i = 0; i <= policy_n_rules(policy); i++) {
		bool is_rule = i < policy_n_rules(policy);
		struct policy *again = NULL;
		char *texts[3] = { written(policy, i) };

		for (int n = 1; n < 3; n++) {
			must(policy_parse("w", texts[n - 1],
					  strlen(texts[n - 1]), NULL, NULL,
					  &again, NULL) == 0);
			must(policy_n_rules(again) == is_rule);
			texts[n] = written(again, 0);
			policy_free(again);
		}
		must(strcmp(texts[1], texts[2]) == 0);
		for (int n = 0; n < 3; n++)
			free(texts[n]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct prefix net = { { 10, 50 }, 4, 16 };
	static const struct prefix everything = { { 0 }, 4, 0 };
	static struct wire_open ask, out;
	struct peer peer = { .uid = 1000, .gid = 100 };
	unsigned tries = 0, warnings = 0;
	struct policy_usage usage = {
		.devices = 1, .all_devices = 7, .name_taken = is_taken,
		.arg = &tries
	};
	struct policy_decision decision;
	struct policy_fault fault = { "" };
	struct policy *policy = NULL;

	if (policy_parse("fuzz.conf", (const char *)data, size, resolve, NULL,
			 &policy, &fault) < 0) {
		must(!policy && strncmp(fault.text, "fuzz.conf:", 10) == 0);
		return 0;
	}
	policy_warn(policy, no_warning, &warnings);
	write_and_read(policy);
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
		must(decision.terms.metric != 0);
		must(out.n_routes == 0 || out.routes[0].metric != 0);
		must(out.mtu == 0 || (out.mtu >= POLICY_MTU_MIN &&
				      out.mtu <= POLICY_MTU_MAX));
	} else {
		must(decision.code != 0 && *decision.text && *decision.step);
	}
	policy_free(policy);
	return 0;
}
