/* What a policy says to a request, told to people and to programs. */
#ifndef TUNTAPCTL_VERDICT_H
#define TUNTAPCTL_VERDICT_H

#include <stdbool.h>

#include "../proto/wire.h"

/* Rules of a trace on stdout, a line each, and then the verdict. */
void verdict_print_tried(const char *rule, const char *name, unsigned match);
void verdict_print(const struct wire_verdict *v);

/*
 * The same as one object on one line; 0, or -ENOMEM, which is said on stderr.
 */
int verdict_print_json(const struct wire_verdict *v);

#endif
