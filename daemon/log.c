#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

void log_line(int level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n = 0, m;

	/* journald reads the level from a "<n>" in front, others need a name. */
	if (getenv("JOURNAL_STREAM"))
		n = snprintf(line, sizeof(line), "<%d>", level);
	else
		n = snprintf(line, sizeof(line), "tuntapd: %s",
			     level <= LOG_ERR ? "error: " :
			     level == LOG_WARNING ? "warning: " : "");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n += m < 0 ? 0 : m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	/* A client's words may be in it: no control bytes, one line. */
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	/* One write a line, so that lines of two processes do not mix. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
