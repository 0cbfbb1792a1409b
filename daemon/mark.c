#include "mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECIMAL	10
#define HEX	16

void mark_write(const struct mark *mark, char ret[MARK_MAX])
{
	const uint8_t *mac = mark->mac;
	char queues[sizeof(":65535")] = "";
	char address[sizeof(":00:00:00:00:00:00")] = "";

	if (mark->queues)
		snprintf(queues, sizeof(queues), ":%u", mark->queues);
	if (mark->has_mac)
		snprintf(address, sizeof(address),
			 ":%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
	snprintf(ret, MARK_MAX, MARK_BEGINS "%s:%u%s%s", mark->id, mark->uid,
		 queues, address);
}

/* The number behind a colon; 0 if there is none. */
static unsigned long next_number(const char **at, int base)
{
	unsigned long number;
	char *end;

	if (**at != ':')
		return 0;
	number = strtoul(*at + 1, &end, base);
	*at = end;
	return number;
}

/* What is not as it would be written is no mark, whatever the numbers say. */
bool mark_read(const char *alias, struct mark *ret)
{
	const char *at = alias + strlen(MARK_BEGINS);
	struct mark m = { .queues = 0 };
	char again[MARK_MAX];

	if (strncmp(alias, MARK_BEGINS, strlen(MARK_BEGINS)) != 0 ||
	    strspn(at, "0123456789abcdef") != WIRE_LEASE_ID_LEN)
		return false;
	memcpy(m.id, at, WIRE_LEASE_ID_LEN);
	at += WIRE_LEASE_ID_LEN;
	m.uid = (uid_t)next_number(&at, DECIMAL);
	m.queues = (uint16_t)next_number(&at, DECIMAL);
	m.has_mac = *at == ':';
	for (size_t i = 0; i < sizeof(m.mac); i++)
		m.mac[i] = (uint8_t)next_number(&at, HEX);
	mark_write(&m, again);
	if (strcmp(alias, again) != 0 || m.uid == (uid_t)-1 ||
	    m.queues > WIRE_QUEUES_MAX)
		return false;
	*ret = m;
	return true;
}
