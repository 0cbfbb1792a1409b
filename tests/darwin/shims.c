/*
 * What code for macOS calls in libSystem, by the names that machine.py binds:
 * XNU's part is played (xnu/), the rest is this system's own.  Requests are
 * noted byte for byte on their way.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xnu/xnu.h"

#define DARWIN_AF_INET6	30
#define NOTED_MAX	(1 << 20)
#define ALL_MAX		64	/* addresses of the host */
#define IOC_LEN(n)	((n) >> 16 & 0x1fff)

int *shim_error(void);
int shim_ioctl(int fd, unsigned long number, void *arg);
long shim_write(int fd, const void *bytes, size_t len);
int shim_connect(int fd, const void *name, uint32_t len);
int shim_setsockopt(int fd, int level, int option, const void *value,
		    uint32_t len);
int shim_getsockopt(int fd, int level, int option, void *value, uint32_t *len);
int shim_fcntl(int fd, int command, long arg);
char *shim_strerror(int error);
int shim_inet_pton(int family, const char *text, void *ret);
const char *shim_inet_ntop(int family, const void *ip, char *ret, uint32_t len);
int shim_usleep(uint32_t us);
int shim_getifaddrs(void **ret);
void shim_freeifaddrs(void *all);
void shim_nothing(void);
const char *shim_noted(void);
void shim_forget(void);

static char noted[NOTED_MAX];
static size_t noted_len;

static void note(const char *what, unsigned long number, const void *bytes,
		 size_t len)
{
	const uint8_t *at = bytes;

	if (noted_len + 2 * len + 64 > sizeof(noted))
		return;
	noted_len += (size_t)sprintf(noted + noted_len, "%s %#lx ", what,
				     number);
	for (size_t i = 0; i < len; i++)
		noted_len += (size_t)sprintf(noted + noted_len, "%02x", at[i]);
	noted[noted_len++] = '\n';
	noted[noted_len] = '\0';
}

const char *shim_noted(void)
{
	return noted;
}

void shim_forget(void)
{
	noted_len = 0;
	noted[0] = '\0';
}

int *shim_error(void)
{
	return &xnu_errno;
}

int shim_ioctl(int fd, unsigned long number, void *arg)
{
	note("ioctl", number, arg, IOC_LEN(number));
	return xnu_ioctl(fd, number, arg);
}

long shim_write(int fd, const void *bytes, size_t len)
{
	note("write", len, bytes, len);
	return xnu_write(fd, bytes, len);
}

int shim_connect(int fd, const void *name, uint32_t len)
{
	note("connect", len, name, len);
	return xnu_connect(fd, name, len);
}

int shim_setsockopt(int fd, int level, int option, const void *value,
		    uint32_t len)
{
	note("setsockopt", (unsigned long)level << 16 | (unsigned)option,
	     value, len);
	return xnu_setsockopt(fd, level, option, value, len);
}

/* What is asked for, as nothing else is told to the kernel. */
int shim_getsockopt(int fd, int level, int option, void *value, uint32_t *len)
{
	note("getsockopt", (unsigned long)level << 16 | (unsigned)option, "",
	     1);
	return xnu_getsockopt(fd, level, option, value, len);
}

int shim_fcntl(int fd, int command, long arg)
{
	return xnu_fcntl(fd, command, arg);
}

char *shim_strerror(int error)
{
	return (char *)(uintptr_t)xnu_error_name(error);
}

static int family_here(int family)
{
	return family == DARWIN_AF_INET6 ? AF_INET6 : family;
}

int shim_inet_pton(int family, const char *text, void *ret)
{
	return inet_pton(family_here(family), text, ret);
}

const char *shim_inet_ntop(int family, const void *ip, char *ret, uint32_t len)
{
	return inet_ntop(family_here(family), ip, ret, len);
}

/* Time passes by calls alone, see xnu_detach_takes(). */
int shim_usleep(uint32_t us)
{
	(void)us;
	return 0;
}

/* --- getifaddrs(3) ------------------------------------------------------ */

struct darwin_sockaddr {
	uint8_t len, family, bytes[26];
};
struct darwin_ifaddrs {
	struct darwin_ifaddrs *next;
	char *name;
	uint32_t flags;
	struct darwin_sockaddr *addr, *netmask, *dstaddr;
	void *data;
	struct darwin_sockaddr room[2];
	char name_room[XNU_IFNAMSIZ];
};

static struct darwin_sockaddr sockaddr_of(int family, const uint8_t *ip)
{
	struct darwin_sockaddr sa = { .family = (uint8_t)family };

	sa.len = family == DARWIN_AF_INET6 ? 28 : 16;
	/* Behind port (and flow) in <netinet/in.h> and <netinet6/in6.h>. */
	if (family == DARWIN_AF_INET6)
		memcpy(sa.bytes + 6, ip, 16);
	else
		memcpy(sa.bytes + 2, ip, 4);
	return sa;
}

/* Of the links themselves nothing is told. */
int shim_getifaddrs(void **ret)
{
	struct xnu_ifaddr all[ALL_MAX];
	unsigned n = xnu_getifaddrs(all, ALL_MAX);
	struct darwin_ifaddrs *first = NULL;

	if (n > ALL_MAX)
		abort();
	while (n-- > 0) {
		struct darwin_ifaddrs *a = calloc(1, sizeof(*a));

		if (!a)
			abort();
		a->next = first;
		a->name = strcpy(a->name_room, all[n].name);
		a->flags = all[n].flags;
		a->room[0] = sockaddr_of(all[n].family, all[n].ip);
		a->room[1] = sockaddr_of(all[n].family, all[n].mask);
		a->addr = &a->room[0];
		a->netmask = &a->room[1];
		first = a;
	}
	*ret = first;
	return 0;
}

void shim_freeifaddrs(void *all)
{
	for (struct darwin_ifaddrs *a = all, *next; a; a = next) {
		next = a->next;
		free(a);
	}
}

/* For what only says a word. */
void shim_nothing(void)
{
}
