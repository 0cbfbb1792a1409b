/* Bytes of a caller, and addresses among them. */
#include <arpa/inet.h>
#include <stdio.h>

#include "kernel.h"

#define SHOWN		8	/* as many texts are good at once */
#define SHOWN_LEN	80

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "Darwin's byte order is read as the host's");

static void *(*find_memory)(uint64_t address, uint64_t len);

uint16_t get16(const void *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint32_t get32(const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint64_t get64(const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

void put16(void *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

void put32(void *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

void put64(void *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

void xnu_memory(void *(*find)(uint64_t address, uint64_t len))
{
	find_memory = find;
}

/* A pointer that stood in the caller's memory. */
void *user(uint64_t address, uint64_t len)
{
	if (!address)
		return NULL;
	if (find_memory)
		return find_memory(address, len);
	return (void *)(uintptr_t)address;
}

unsigned family_len(int family)
{
	return family == XNU_AF_INET ? 4 : 16;
}

unsigned mask_len(int family, const uint8_t *mask)
{
	const unsigned bits = 8 * family_len(family);
	unsigned len = 0;

	while (len < bits && mask[len / 8] & 0x80 >> len % 8)
		len++;
	for (unsigned i = len; i < bits; i++) {
		if (mask[i / 8] & 0x80 >> i % 8)
			die("a mask with holes: what XNU does is not known");
	}
	return len;
}

void mask_of(uint8_t *mask, unsigned len)
{
	memset(mask, 0, 16);
	for (unsigned i = 0; i < len; i++)
		mask[i / 8] = (uint8_t)(mask[i / 8] | 0x80 >> i % 8);
}

void mask_apply(uint8_t *ip, const uint8_t *mask)
{
	for (unsigned i = 0; i < 16; i++)
		ip[i] &= mask[i];
}

bool is_zero(const uint8_t *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip, zero, sizeof(zero)) == 0;
}

/* room bytes are there, whatever sa_len says; what is not, is zero. */
struct name read_name(const uint8_t *bytes, size_t room)
{
	uint8_t full[XNU_SIN6_SIZE] = { 0 };
	struct name name = { .len = bytes[0], .family = bytes[1] };

	memcpy(full, bytes, room < sizeof(full) ? room : sizeof(full));
	switch (name.family) {
	case XNU_AF_INET:
		memcpy(name.ip, full + XNU_SIN_ADDR, 4);
		break;
	case XNU_AF_INET6:
		memcpy(name.ip, full + XNU_SIN6_ADDR, 16);
		name.scope = get32(full + XNU_SIN6_SCOPE);
		break;
	case XNU_AF_LINK:
		name.index = get16(full + XNU_SDL_INDEX);
		break;
	default:
		break;
	}
	return name;
}

static char *shown(void)
{
	static char texts[SHOWN][SHOWN_LEN];
	static unsigned next;

	return texts[next++ % SHOWN];
}

const char *show_ip(int family, const uint8_t *ip)
{
	char *text = shown();

	/* The host's own numbers of the families are meant here. */
	inet_ntop(family == XNU_AF_INET ? AF_INET : AF_INET6, ip, text,
		  SHOWN_LEN);
	return text;
}

const char *show_prefix(int family, const uint8_t *ip, unsigned len)
{
	char *text = shown();
	size_t at;

	inet_ntop(family == XNU_AF_INET ? AF_INET : AF_INET6, ip, text,
		  SHOWN_LEN);
	at = strlen(text);
	snprintf(text + at, SHOWN_LEN - at, "/%u", len);
	return text;
}

const char *show_index(unsigned index)
{
	char *text = shown();

	snprintf(text, SHOWN_LEN, "interface %u", index);
	return text;
}
