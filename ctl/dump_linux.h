/* Questions to rtnetlink that are answered by a dump; nobody needs rights. */
#ifndef TUNTAPCTL_DUMP_LINUX_H
#define TUNTAPCTL_DUMP_LINUX_H

#include <stddef.h>
#include <stdint.h>

struct nlattr;
struct nlmsghdr;

#define DUMP_QUESTION	256	/* bytes, more than any takes */

struct dump {
	char ask[DUMP_QUESTION] __attribute__((aligned(8)));
	/* Takes one message of the answer; 0 or -errno. */
	int (*take)(const struct nlmsghdr *nlh, void *arg);
	void *arg;
	size_t *n;	/* what arg has gathered: begun anew if torn; or NULL */
};

/* Begins the question; its fixed part, of so many bytes and zeros. */
void *dump_ask(struct dump *d, uint16_t type, size_t bytes);
/* 0 or -errno. */
int dump_read(const struct dump *d);

/* Room for one more of such a size; the array, maybe elsewhere, or NULL. */
void *dump_grow(void *all, size_t n, size_t *room, size_t size);
uint32_t dump_u32(const struct nlattr *attr);

#endif
