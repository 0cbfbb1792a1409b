#include "refuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int refuse(struct wire_refused *why, enum wire_error code, const char *step,
	   const char *fmt, ...)
{
	/* What is told may be made of what *why said before. */
	struct wire_refused new = { .code = (uint16_t)code };
	va_list ap;

	if (!why)
		return -wire_error_errno((uint16_t)code);
	snprintf(new.step, sizeof(new.step), "%s", step);
	va_start(ap, fmt);
	vsnprintf(new.text, sizeof(new.text), fmt, ap);
	va_end(ap);
	*why = new;
	return -wire_error_errno((uint16_t)code);
}

enum wire_error refuse_kernel_code(int err)
{
	switch (err) {
	case EEXIST:
	case EINVAL:
	case EADDRINUSE:
	case ENETUNREACH:
	case EBUSY:
	case EOPNOTSUPP:
	case ENOMEM:
	case EMFILE:
		return wire_error_from_errno(err);
	case EHOSTUNREACH:
		return WIRE_E_UNREACHABLE;
	case ENFILE:
		return WIRE_E_OUT_OF_FDS;
	case ENOBUFS:
		return WIRE_E_NO_MEMORY;
	default:
		return WIRE_E_FAILED;
	}
}
