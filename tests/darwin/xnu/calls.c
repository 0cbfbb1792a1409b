/* Calls: their trace, failures on demand, the end where nothing is known. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

#define FAILURES	16

int xnu_errno;

struct failure {
	char name[32];		/* empty: whatever the call is */
	unsigned left;		/* calls until it happens, 0: no failure */
	int error;
};

static struct failure failures[FAILURES];
static unsigned count;
static struct text trace;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("xnu: ", stderr);
	vfprintf(stderr, format, args);
	fputs("\n", stderr);
	va_end(args);
	abort();
}

__attribute__((format(printf, 2, 0))) static void
text_vadd(struct text *text, const char *format, va_list args)
{
	char line[XNU_LINE];
	const int len = vsnprintf(line, sizeof(line), format, args);

	if (len < 0 || (size_t)len >= sizeof(line))
		die("a line of the trace is longer than %d", XNU_LINE);
	if (text->len + (size_t)len >= text->room) {
		text->room = 2 * text->room + XNU_LINE;
		text->bytes = realloc(text->bytes, text->room);
		if (!text->bytes)
			die("no memory");
	}
	memcpy(text->bytes + text->len, line, (size_t)len + 1);
	text->len += (size_t)len;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_vadd(text, format, args);
	va_end(args);
}

void text_clear(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}

const char *xnu_error_name(int error)
{
#define NAMED(name) \
	case XNU_##name: \
		return #name
	switch (error) {
	NAMED(EPERM);
	NAMED(ENOENT);
	NAMED(ESRCH);
	NAMED(EINTR);
	NAMED(EIO);
	NAMED(ENXIO);
	NAMED(EBADF);
	NAMED(ENOMEM);
	NAMED(EACCES);
	NAMED(EFAULT);
	NAMED(EBUSY);
	NAMED(EEXIST);
	NAMED(EINVAL);
	NAMED(EMFILE);
	NAMED(EPIPE);
	NAMED(EAGAIN);
	NAMED(ENOTSOCK);
	NAMED(EDESTADDRREQ);
	NAMED(EMSGSIZE);
	NAMED(EPROTOTYPE);
	NAMED(ENOPROTOOPT);
	NAMED(EPROTONOSUPPORT);
	NAMED(ENOTSUP);
	NAMED(EAFNOSUPPORT);
	NAMED(EADDRINUSE);
	NAMED(EADDRNOTAVAIL);
	NAMED(ENETUNREACH);
	NAMED(ENOBUFS);
	NAMED(EISCONN);
	NAMED(ENOTCONN);
	NAMED(ELOOP);
	NAMED(ENAMETOOLONG);
	NAMED(EHOSTUNREACH);
	NAMED(EOPNOTSUPP);
	default:
		return "an error without a name here";
	}
#undef NAMED
}

static void add_failure(const char *name, unsigned left, int error)
{
	for (unsigned i = 0; i < FAILURES; i++) {
		struct failure *f = &failures[i];

		if (f->left)
			continue;
		f->left = left;
		f->error = error;
		if (snprintf(f->name, sizeof(f->name), "%s", name) >=
		    (int)sizeof(f->name))
			die("no call has as long a name as %s", name);
		return;
	}
	die("more than %d failures at once", FAILURES);
}

void xnu_fail_call(unsigned at, int error)
{
	add_failure("", at, error);
}

void xnu_fail(const char *name, unsigned nth, int error)
{
	add_failure(name, nth, error);
}

unsigned xnu_failures_left(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAILURES; i++)
		n += failures[i].left != 0;
	return n;
}

/* The failure that is due with this call, or 0. */
static int due(const char *call, const char *also)
{
	int error = 0;

	for (unsigned i = 0; i < FAILURES; i++) {
		struct failure *f = &failures[i];

		if (!f->left || (*f->name && strcmp(f->name, call) != 0 &&
				 (!also || strcmp(f->name, also) != 0)))
			continue;
		if (--f->left == 0)
			error = f->error;
	}
	return error;
}

/*
 * Each call starts here and ends with end().  False: it has failed, as a test
 * wished, and end(xnu_errno, 0) is all that is left to do.
 */
bool begin(const char *call, const char *also, const char *format, ...)
{
	va_list args;

	detach_step();
	count++;
	text_add(&trace, "%s(", call);
	va_start(args, format);
	text_vadd(&trace, format, args);
	va_end(args);
	xnu_errno = due(call, also);
	return xnu_errno == 0;
}

long end(int error, long result)
{
	if (error) {
		xnu_errno = error;
		text_add(&trace, ") = -1 %s\n", xnu_error_name(error));
		return -1;
	}
	text_add(&trace, ") = %ld\n", result);
	return result;
}

unsigned xnu_call_count(void)
{
	return count;
}

const char *xnu_calls(void)
{
	return trace.bytes ? trace.bytes : "";
}

void xnu_forget_calls(void)
{
	text_clear(&trace);
}

void calls_reset(void)
{
	memset(failures, 0, sizeof(failures));
	count = 0;
	xnu_errno = 0;
	text_clear(&trace);
}
