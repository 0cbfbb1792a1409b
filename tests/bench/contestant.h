/*
 * What a program does that bench.py measures, see README.md: it opens what its
 * arguments say, says "ready", and then does a round for each line "run ...".
 */
#ifndef TUNTAPD_CONTESTANT_H
#define TUNTAPD_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX	8

/* The arguments: PROGRAM WORKLOAD MODE KEY=VALUE... */
struct contestant {
	const char *workload, *mode;
	const char *name, *name_b;		/* of the devices */
	const char *netns_b;			/* where the second one is */
	const char *socket, *socket_b;		/* of the daemons */
	const char *address, *address_b;	/* "10.9.0.1/24" */
	unsigned size;				/* bytes of a packet */
	unsigned count;				/* of whatever it is about */
	unsigned alone;				/* no other thread, see README.md */
	unsigned uring;				/* batches by io_uring */
};

void contestant_begin(struct contestant *c, int argc, char **argv);
bool contestant_is(const struct contestant *c, const char *workload);
bool contestant_mode(const struct contestant *c, const char *mode);
/* Everything is there; stdout is for answers alone. */
void contestant_ready(void);
/*
 * Waits for "run A B ...".  How many words there are behind it; the process
 * ends where there is no more to come.
 */
unsigned contestant_round(char *words[WORDS_MAX]);
/* The number that a word is; the process fails where it is none. */
unsigned long contestant_number(const char *word);
/* A round's answer: "ns=123". */
void contestant_answer(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* From now on the process ends with its stdin: for one that never stops. */
void contestant_end_with_stdin(void);
/* Says why, and ends. */
_Noreturn void contestant_fail(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* Of CLOCK_MONOTONIC. */
double contestant_ns(void);

/*
 * A UDP packet of so many bytes, IP header and all, from one host of the
 * address's network to the address itself.
 */
void contestant_packet(uint8_t *packet, size_t len, const char *address);

#endif
