/* Every bound and every default of the policy, in one place. */
#ifndef TUNTAPD_POLICY_BOUNDS_H
#define TUNTAPD_POLICY_BOUNDS_H

#include "../proto/wire.h"

/* What is read: enough for any sane host, and bounded. */
#define CONF_FOLDERS_MAX	8
#define CONF_FILES_MAX		256	/* over all folders */
#define CONF_FILE_MAX		(64 * 1024)	/* bytes of one file */
/*
 * Bytes of one line, comments too.  The longest list of the longest entries
 * fits, so that whatever was read can be written and read again.
 */
#define CONF_LINE_MAX		20480
#define POLICY_RULES_MAX	1024	/* over all files */
#define POLICY_LIST_MAX		256	/* entries of one list */
#define POLICY_RULE_NAME_MAX	47
#define POLICY_PATTERN_MAX	63
#define POLICY_DEVICES_MAX	65535	/* what max-devices may say */
#define POLICY_ROUTES_MAX	131072	/* and max-routes */
/* A file's name as refusals show it: ":4294967295" still fits behind. */
#define POLICY_LABEL_MAX	(WIRE_RULE_MAX - 11)

/* What an absent key means; an absent list allows nothing. */
#define POLICY_DEFAULT_GLOBAL_DEVICES	4096	/* of all users */
#define POLICY_DEFAULT_DEVICES		2
#define POLICY_DEFAULT_QUEUES		4
#define POLICY_DEFAULT_ADDRESSES	4
#define POLICY_DEFAULT_ROUTES		32
#define POLICY_DEFAULT_METRIC		1000	/* and every one above */

/* What no policy can change. */
#define POLICY_MTU_MIN		68	/* the least that IPv4 works with */
#define POLICY_MTU_MAX		65535
#define POLICY_MTU_IPV6		1280	/* the least that IPv6 works with */
#define POLICY_MTU_KERNEL	1500	/* what a device has without a word */
/* The kernel allocates per queue for it, so that it is not the client's. */
#define POLICY_TXQUEUELEN_MAX	10000
/* Shorter prefixes lead most of the world in: default routes. */
#define POLICY_SHORTEST_IPV4	8
#define POLICY_SHORTEST_IPV6	16
/* Candidates tried for a name that the client leaves open. */
#define POLICY_NAME_TRIES	16384
/* Patterns of rules before that may have such a name, and comparisons. */
#define POLICY_NAME_OTHERS	4096
#define POLICY_NAME_MATCHES	262144

#endif
