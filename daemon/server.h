/* What the parts of the daemon share. */
#ifndef TUNTAPD_SERVER_H
#define TUNTAPD_SERVER_H

#include "../policy/policy.h"
#include "../proto/wire.h"
#include "registry.h"

struct conn;
struct event_base;

struct server {
	struct event_base *base;
	struct registry registry;
	struct conn *conns;
	struct policy *policy;		/* the generation in force */
	unsigned generation;
	char policy_fault[WIRE_TEXT_MAX + 1];	/* of the last reload, or "" */
	time_t started;
	bool more_to_accept;		/* clients have connected */
	int grace_ms;			/* for clients of a daemon before */
};

#endif
