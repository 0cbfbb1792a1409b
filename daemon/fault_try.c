#include "fault.h"

#ifdef TUNTAPD_FAULT
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <event2/event.h>

#define WORDS_MAX	256	/* bytes */
#define ARGUMENTS	6
#define NEW_MODE	0600

static int file = -1;
static struct event *asked;

void fault_try_start(void)
{
	const char *path = getenv("TUNTAPD_TRY");

	if (path)
		file = open(path, O_RDONLY | O_CLOEXEC);
}

/* "open FLAGS PATH", or "call NUMBER ARGUMENT...". */
static long try(char *words)
{
	long n[1 + ARGUMENTS] = { 0 };
	char *end = words + strlen("open ");

	if (strncmp(words, "open ", strlen("open ")) == 0) {
		n[0] = strtol(end, &end, 0);
		return open(end + 1, (int)n[0] | O_CLOEXEC, NEW_MODE);
	}
	for (size_t i = 0; i < 1 + ARGUMENTS; i++)
		n[i] = strtol(end, &end, 0);
	return syscall(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
}

static void on_asked(evutil_socket_t sig, short what, void *arg)
{
	char words[WORDS_MAX];
	ssize_t n = pread(file, words, sizeof(words) - 1, 0);
	long result;

	(void)sig;
	(void)what;
	(void)arg;
	if (n <= 0)
		return;
	words[n] = '\0';
	errno = 0;
	result = try(words);
	fprintf(stderr, "tried %s: %d\n", words, result < 0 ? errno : 0);
}

void fault_try_serve(struct event_base *base)
{
	if (file < 0)
		return;
	asked = evsignal_new(base, SIGUSR1, on_asked, NULL);
	if (!asked || event_add(asked, NULL))
		abort();
}

void fault_try_stop(void)
{
	if (asked)
		event_free(asked);
}
#else
typedef int fault_try_unused;
#endif
