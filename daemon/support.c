#include "support.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "log.h"
#include "os.h"

static const char *const names[SUPPORT_KINDS] = {
	[SUPPORT_DEVICES] = "devices",
	[SUPPORT_GUARD] = "guard",
	[SUPPORT_OFFLOAD] = "offload",
	[SUPPORT_FD_REFUSAL] = "fd-refusal",
	[SUPPORT_UNIX_DIAG] = "unix-diag",
	[SUPPORT_LANDLOCK] = "landlock",
	[SUPPORT_SECCOMP] = "seccomp",
};

static struct {
	bool noted;
	struct wire_feature feature;
} all[SUPPORT_KINDS];

static_assert(SUPPORT_KINDS <= WIRE_FEATURES_MAX, "STATE tells them all");

void support_note(enum support what, bool has, const char *fmt, ...)
{
	struct wire_feature *f = &all[what].feature;
	va_list ap;

	all[what].noted = true;
	f->has = has;
	snprintf(f->name, sizeof(f->name), "%s", names[what]);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	if (!has)
		log_line(LOG_NOTICE, "this kernel lacks %s: %s", f->name,
			 f->text);
}

void support_tell(struct wire_state *state)
{
	os_kernel(state->kernel, sizeof(state->kernel));
	state->n_features = 0;
	for (unsigned i = 0; i < SUPPORT_KINDS; i++)
		if (all[i].noted)
			state->features[state->n_features++] = all[i].feature;
}
