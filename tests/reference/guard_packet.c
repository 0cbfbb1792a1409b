#include "guard_packet.h"

#include <string.h>

#define NEXT		6		/* header, in an IPv6 header */
#define SOURCE6		8
#define TCP		6
#define UDP		17
#define ICMP6		58

/* Longer than whatever is looked at. */
#define LEN		80

struct packet packet_from(const struct prefix *source)
{
	struct packet p = { .len = LEN };

	if (source->family == 4) {
		static const uint8_t head[] = {
			0x45, 0, 0, LEN, 0, 0, 0, 0, 64, TCP,
		};

		p.protocol = PACKET_IP4;
		memcpy(p.at, head, sizeof(head));
		memcpy(p.at + 12, source->ip, 4);
		memcpy(p.at + 16, (const uint8_t[]){ 192, 0, 2, 1 }, 4);
	} else {
		static const uint8_t head[] = {
			0x60, 0, 0, 0, 0, LEN - 40, TCP, 64,
		};

		p.protocol = PACKET_IP6;
		memcpy(p.at, head, sizeof(head));
		memcpy(p.at + SOURCE6, source->ip, 16);
		p.at[24] = 0x20;
		p.at[39] = 1;
	}
	return p;
}

struct packet packet_dhcp4(void)
{
	static const struct prefix nobody = { { 0 }, 4, 32 };
	struct packet p = packet_from(&nobody);

	p.at[9] = UDP;
	memset(p.at + 16, 0xff, 4);
	p.at[21] = 68;
	p.at[23] = 67;
	return p;
}

struct packet packet_arp(unsigned op, const struct prefix *sender)
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4 };
	struct packet p = { .protocol = PACKET_ARP, .len = 28 };

	memcpy(p.at, head, sizeof(head));
	p.at[6] = (uint8_t)(op >> 8);
	p.at[7] = (uint8_t)op;
	p.at[8] = 2;
	memcpy(p.at + 14, sender->ip, 4);
	return p;
}

struct packet packet_icmp6(const struct prefix *source, uint8_t type)
{
	struct packet p = packet_from(source);

	p.at[NEXT] = ICMP6;
	p.at[7] = 255;
	p.at[40] = type;
	return p;
}

struct packet packet_dhcp6(const struct prefix *source)
{
	struct packet p = packet_from(source);

	p.at[NEXT] = UDP;
	p.at[40] = 546 >> 8;
	p.at[41] = 546 & 0xff;
	p.at[42] = 547 >> 8;
	p.at[43] = 547 & 0xff;
	return p;
}
