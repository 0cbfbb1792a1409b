/* What may keep devices from being had, looked at one after the other. */
#ifndef TUNTAPCTL_DOCTOR_H
#define TUNTAPCTL_DOCTOR_H

#include <stdbool.h>

#include "../libclient/tuntapd.h"
#include "../proto/wire.h"
#include "command.h"

#define FINDING_TEXT_MAX	768
#define DOCTOR_PATH_MAX		300	/* of those that we look at */

enum health {
	HEALTH_OK,
	HEALTH_NOTE,		/* to be known; nothing is wrong */
	HEALTH_UNSEEN,		/* it could not be looked at */
	HEALTH_WARNING,		/* some things will not work */
	HEALTH_FAULT		/* nothing will, or it is not safe */
};

struct finding {
	enum health health;
	char text[FINDING_TEXT_MAX];	/* what, where, what to do */
};

/* Who is looked at. */
struct patient {
	const char *socket;	/* of the daemon, for everybody */
	bool chosen;		/* by --socket or TUNTAPD_SOCKET */
	int status;		/* what asking it came to, EXIT_* */
	struct ttd_error error;	/* likewise */
	struct wire_state state;	/* where status is 0 */
};

struct check {
	const char *name;
	void (*look)(const struct patient *p, struct finding *ret);
};

/* They end with one that has no name. */
extern const struct check doctor_host_checks[];		/* doctor_host_*.c */
extern const struct check doctor_manager_checks[];	/* likewise */
extern const struct check doctor_daemon_checks[];	/* doctor_daemon.c */

/* Fills *ret. */
void found(struct finding *ret, enum health health, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The first line of a file; false where there is none. */
#define DOCTOR_LINE_MAX		256
bool read_line(const char *path, char line[DOCTOR_LINE_MAX]);
/* The number in a file such as those of sysctl(8), or -1. */
long read_number(const char *path);

#endif
