/*
 * What the daemon uses where the kernel has it, and does without where it has
 * not: noted at the start, told by STATUS.
 */
#ifndef TUNTAPD_SUPPORT_H
#define TUNTAPD_SUPPORT_H

#include <stdbool.h>

#include "../proto/wire.h"

enum support {
	SUPPORT_DEVICES,	/* they can be made */
	SUPPORT_GUARD,		/* clsact and cls_bpf */
	SUPPORT_OFFLOAD,	/* super-packets of TCP and UDP */
	SUPPORT_FD_REFUSAL,	/* SO_PASSRIGHTS */
	SUPPORT_UNIX_DIAG,	/* one daemon in a namespace */
	SUPPORT_LANDLOCK,	/* confinement to some files */
	SUPPORT_SECCOMP,	/* and to some system calls */
	SUPPORT_KINDS
};

/*
 * It is there, or not; and in words, in which way, or what follows.  What it
 * lacks goes to the log too.
 */
void support_note(enum support what, bool has, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Fills in the kernel and its features: what was noted. */
void support_tell(struct wire_state *state);

#endif
