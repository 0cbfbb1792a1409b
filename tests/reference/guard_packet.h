/* Packets to ask the source guard about. */
#ifndef TUNTAPD_TESTS_GUARD_PACKET_H
#define TUNTAPD_TESTS_GUARD_PACKET_H

#include "../../proto/prefix.h"

#define PACKET_IP4	0x0800		/* as in an Ethernet header */
#define PACKET_ARP	0x0806
#define PACKET_IP6	0x86dd
#define PACKET_MAX	128

struct packet {
	bool vlan;			/* it had a tag, which is off by now */
	uint16_t protocol;
	uint8_t at[PACKET_MAX];		/* from the network header on */
	size_t len;
};

/* TCP from there; the family says which IP. */
struct packet packet_from(const struct prefix *source);
/* An address of no prefix: 0.0.0.0 to all, from port 68 to 67. */
struct packet packet_dhcp4(void);
struct packet packet_arp(unsigned op, const struct prefix *sender);
struct packet packet_icmp6(const struct prefix *source, uint8_t type);
/* UDP from port 546 to 547. */
struct packet packet_dhcp6(const struct prefix *source);

#endif
