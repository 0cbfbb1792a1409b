#include "contestant.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT	9		/* discard */
#define TTL	64

double contestant_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void contestant_fail(const char *fmt, ...)
{
	va_list args;

	fputs("error ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	exit(1);
}

unsigned long contestant_number(const char *word)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(word, &end, 10);
	if (errno || end == word || *end)
		contestant_fail("%s is no number", word);
	return n;
}

/* KEY=VALUE, if it is that key. */
static bool take(const char *arg, const char *key, const char **ret)
{
	size_t n = strlen(key);

	if (strncmp(arg, key, n) != 0 || arg[n] != '=')
		return false;
	*ret = arg + n + 1;
	return true;
}

/* A key that is not known is for another one. */
static void take_any(struct contestant *c, const char *arg)
{
	const char *number;

	if (take(arg, "size", &number))
		c->size = (unsigned)contestant_number(number);
	else if (take(arg, "count", &number))
		c->count = (unsigned)contestant_number(number);
	else if (take(arg, "alone", &number))
		c->alone = (unsigned)contestant_number(number);
	else if (take(arg, "uring", &number))
		c->uring = (unsigned)contestant_number(number);
	else
		(void)(take(arg, "name", &c->name) ||
		       take(arg, "name-b", &c->name_b) ||
		       take(arg, "netns-b", &c->netns_b) ||
		       take(arg, "socket", &c->socket) ||
		       take(arg, "socket-b", &c->socket_b) ||
		       take(arg, "address", &c->address) ||
		       take(arg, "address-b", &c->address_b));
}

void contestant_begin(struct contestant *c, int argc, char **argv)
{
	memset(c, 0, sizeof(*c));
	if (argc < 3)
		contestant_fail("usage: %s WORKLOAD MODE KEY=VALUE...",
				argv[0]);
	c->workload = argv[1];
	c->mode = argv[2];
	for (int i = 3; i < argc; i++)
		take_any(c, argv[i]);
}

bool contestant_is(const struct contestant *c, const char *workload)
{
	return strcmp(c->workload, workload) == 0;
}

bool contestant_mode(const struct contestant *c, const char *mode)
{
	return strcmp(c->mode, mode) == 0;
}

void contestant_ready(void)
{
	puts("ready");
	fflush(stdout);
}

unsigned contestant_round(char *words[WORDS_MAX])
{
	static char line[512];
	unsigned n = 0;
	char *word;

	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	word = strtok(line, " \n");
	if (!word || strcmp(word, "run") != 0)
		contestant_fail("only \"run ...\" is understood");
	while (n < WORDS_MAX && (word = strtok(NULL, " \n")))
		words[n++] = word;
	return n;
}

void contestant_answer(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void *wait_for_the_end(void *unused)
{
	char byte;

	(void)unused;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	_exit(0);
}

void contestant_end_with_stdin(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, wait_for_the_end, NULL))
		contestant_fail("no thread could be made");
}

static uint16_t checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *at = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	if (len % 2)
		sum += (uint32_t)(at[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

void contestant_packet(uint8_t *packet, size_t len, const char *address)
{
	const size_t udp_len = len - sizeof(struct iphdr);
	struct iphdr ip = {
		.version = 4, .ihl = 5, .tot_len = htons((uint16_t)len),
		.frag_off = htons(IP_DF), .ttl = TTL, .protocol = IPPROTO_UDP,
	};
	struct udphdr udp = {
		.source = htons(PORT), .dest = htons(PORT),
		.len = htons((uint16_t)udp_len),
	};
	char text[INET_ADDRSTRLEN] = "";
	uint32_t pseudo = 0;

	if (len < sizeof(ip) + sizeof(udp))
		contestant_fail("%zu bytes are no UDP packet", len);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(address, "/"),
		 address);
	if (inet_pton(AF_INET, text, &ip.daddr) != 1)
		contestant_fail("%s is no address", address);
	ip.saddr = htonl(ntohl(ip.daddr) + 1);
	ip.check = checksum(&ip, sizeof(ip), 0);
	memset(packet, 0, len);
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
	for (int i = 12; i < 20; i += 2)	/* both addresses */
		pseudo += (uint32_t)(packet[i] << 8 | packet[i + 1]);
	udp.check = checksum(packet + sizeof(ip), udp_len,
			     pseudo + IPPROTO_UDP + (uint32_t)udp_len);
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
}
