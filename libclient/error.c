#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

/* strerror_r(3) returns an int or a text, as the C library likes. */
static const char *from_int(int error, const char *buf)
{
	return error ? "unknown error" : buf;
}

static const char *from_text(const char *text, const char *buf)
{
	(void)buf;
	return text;
}

const char *error_words(int error, char buf[ERROR_WORDS_MAX])
{
	return _Generic(strerror_r(0, buf, 0), int: from_int,
			char *: from_text)
		(strerror_r(error < 0 ? -error : error, buf, ERROR_WORDS_MAX),
		 buf);
}

int error_set(struct ttd_error *e, int code, const char *step,
	      const char *format, ...)
{
	va_list args;

	if (!e)
		return code;
	*e = (struct ttd_error){ .code = code };
	snprintf(e->step, sizeof(e->step), "%s", step);
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return code;
}

int error_refused(struct ttd_error *e, const struct wire_refused *r)
{
	int code = -wire_error_errno(r->code);

	_Static_assert(sizeof(r->step) <= sizeof(e->step), "cut");
	_Static_assert(sizeof(r->text) <= sizeof(e->text), "cut");
	_Static_assert(sizeof(r->rule) <= sizeof(e->rule), "cut");
	error_set(e, code, r->step, "%s",
		  r->text[0] ? r->text : wire_error_text(r->code));
	if (e)
		memcpy(e->rule, r->rule, sizeof(r->rule));
	return code;
}
