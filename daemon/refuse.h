/* Filling in why something is refused or failed. */
#ifndef TUNTAPD_REFUSE_H
#define TUNTAPD_REFUSE_H

#include "../proto/wire.h"

/* Fills *why (may be NULL) and returns the -errno of the code. */
int refuse(struct wire_refused *why, enum wire_error code, const char *step,
	   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * The wire's code for an errno of the kernel.  Not wire_error_from_errno():
 * the kernel's EACCES is no word of the policy's, nor its EPERM one of the
 * protocol's.
 */
enum wire_error refuse_kernel_code(int err);

#endif
