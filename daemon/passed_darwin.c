#include "passed.h"

#include <errno.h>
#include <fcntl.h>
#include <launch.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST	16

/* As the property list has them, under Sockets. */
static const struct {
	const char *name;
	bool admin;
} named[] = { { "public", false }, { "admin", true } };

/* launchd gives them away once. */
static struct {
	bool asked;
	struct passed all[MOST];
	unsigned n;
	int error;
} passed;

static void take_named(const char *name, bool admin)
{
	size_t n = 0;
	int *fds;
	int error = launch_activate_socket(name, &fds, &n);

	/* ESRCH: it did not start us; ENOENT: it has none of that name. */
	if (error == ESRCH || error == ENOENT)
		return;
	if (error) {
		passed.error = -error;
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (passed.n < MOST)
			passed.all[passed.n++] = (struct passed){ fds[i],
								  admin };
		else
			close(fds[i]);
	free(fds);
}

static void ask(void)
{
	if (passed.asked)
		return;
	passed.asked = true;
	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
		take_named(named[i].name, named[i].admin);
}

bool passed_any(void)
{
	ask();
	return passed.n > 0 || passed.error;
}

/*
 * launchd's own come when it is asked.  What came over the exec does not close
 * at one; what a library has guarded against close(2), which would end us, does
 * (guarded_open_np(), bsd/kern/kern_guarded.c).  Not found is what lies above a
 * limit on files (ulimit -n) that root lowered after it was opened.
 */
void passed_close_others(unsigned most)
{
	(void)most;
	for (int fd = STDERR_FILENO + 1, end = getdtablesize(); fd < end; fd++)
		if (fcntl(fd, F_GETFD) == 0)
			close(fd);
}

int passed_take(struct passed *ret, unsigned most)
{
	unsigned n;

	ask();
	if (passed.error)
		return passed.error;
	n = passed.n < most ? passed.n : most;
	for (unsigned i = 0; i < n; i++)
		ret[i] = passed.all[i];
	for (unsigned i = n; i < passed.n; i++)
		close(passed.all[i].fd);
	passed.n = 0;
	return (int)n;
}
