/* What the daemon is asked for on its command line. */
#ifndef TUNTAPD_OPTIONS_H
#define TUNTAPD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct options {
	const char *socket, *admin_socket;
	const char *user;		/* NULL: TUNTAPD_USER */
	const char *const *folders;
	size_t n_folders;
	unsigned grace;			/* seconds */
	bool check;
};

/*
 * Fills it in, with defaults for what is not said; limits are set at once.
 * What makes no sense, --help and --version end the daemon.
 */
void options_parse(int argc, char **argv, struct options *o);

#endif
