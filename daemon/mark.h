/*
 * What stands on each device of ours, as its alias, for a daemon after this one:
 * whose lease it is, and what the device was made with.
 *
 *	tuntapd:1:<lease id>:<uid>:<queues>		a TUN
 *	tuntapd:1:<lease id>:<uid>:<queues>:<mac>	a TAP
 *	tuntapd:1:<lease id>:<uid>			by a daemon that wrote no more
 *
 * Of the last kind what is found counts as what it was made with.
 */
#ifndef TUNTAPD_MARK_H
#define TUNTAPD_MARK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../proto/wire.h"

#define MARK_BEGINS	"tuntapd:1:"
#define MARK_MAX	80	/* a whole one with its NUL fits */

struct mark {
	char id[WIRE_LEASE_ID_LEN + 1];
	uid_t uid;
	uint16_t queues;	/* 0: it does not tell */
	bool has_mac;
	uint8_t mac[6];
};

void mark_write(const struct mark *mark, char ret[MARK_MAX]);
/* False if it is none that mark_write() makes. */
bool mark_read(const char *alias, struct mark *ret);

#endif
