#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "request.h"

static const struct {
	const char *word;	/* of JSON, too */
	int status;		/* doctor's, where nothing is worse */
	enum colour colour;
} healths[] = {
	[HEALTH_OK] = { "ok", 0, COLOUR_GOOD },
	[HEALTH_NOTE] = { "note", 0, COLOUR_FAINT },
	[HEALTH_UNSEEN] = { "unseen", 0, COLOUR_FAINT },
	[HEALTH_WARNING] = { "warning", EXIT_WARNINGS, COLOUR_WARNING },
	[HEALTH_FAULT] = { "fault", EXIT_FAULTS, COLOUR_BAD },
};

static const struct check *const groups[] = {
	doctor_host_checks, doctor_daemon_checks, doctor_manager_checks
};
#define N_GROUPS	(sizeof(groups) / sizeof(*groups))

void found(struct finding *ret, enum health health, const char *format, ...)
{
	va_list args;

	ret->health = health;
	va_start(args, format);
	vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
	plain_text(ret->text);
}

bool read_line(const char *path, char line[DOCTOR_LINE_MAX])
{
	FILE *f = fopen(path, "re");
	bool read;

	if (!f)
		return false;
	read = fgets(line, DOCTOR_LINE_MAX, f) != NULL;
	fclose(f);
	return read;
}

long read_number(const char *path)
{
	char line[DOCTOR_LINE_MAX], *end;
	long n;

	if (!read_line(path, line))
		return -1;
	n = strtol(line, &end, 10);
	return end == line ? -1 : n;
}

static int take_state(void *arg, const struct wire_message *m)
{
	struct patient *p = arg;

	p->state = m->state;
	return 0;
}

static void ask(struct patient *p, const char *socket)
{
	const struct wire_message m = { .type = WIRE_STATUS };
	const char *env = getenv("TUNTAPD_SOCKET");

	p->chosen = socket || (env && env[0]);
	p->socket = public_socket_path(socket);
	p->status = ctl_request(p->socket, &m, take_state, p, &p->error);
}

static void show(const char *name, const struct finding *f)
{
	printf("%s%-8s%s %-16s %s\n", colour(healths[f->health].colour, stdout),
	       healths[f->health].word, colour(COLOUR_NONE, stdout), name,
	       f->text);
	fflush(stdout);		/* as it goes: a daemon may be waited for */
}

/* What was found so far. */
struct report {
	json_t *json;		/* NULL: it is printed as it comes */
	bool lost;		/* something, for want of memory */
	enum health worst;
};

static void report(struct report *r, const char *name, const struct finding *f)
{
	if (f->health > r->worst)
		r->worst = f->health;
	if (!r->json)
		show(name, f);
	else if (json_array_append_new(r->json, json_pack("{s:s, s:s, s:o}",
			"check", name, "result", healths[f->health].word,
			"text", json_text(f->text))) < 0)
		r->lost = true;
}

static void examine(const struct patient *p, struct report *r)
{
	for (size_t i = 0; i < N_GROUPS; i++)
		for (const struct check *c = groups[i]; c->name; c++) {
			struct finding f = { .health = HEALTH_OK };

			c->look(p, &f);
			report(r, c->name, &f);
		}
}

static int no_memory(void)
{
	fputs("tuntapctl: out of memory\n", stderr);
	return EXIT_REFUSED;
}

static int doctor_main(const struct command *c, int argc, char **argv,
		       const struct common_args *given)
{
	static struct patient patient;	/* large */
	struct report r = { .worst = HEALTH_OK };
	struct common_args args = *given;
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	if (args.json && !(r.json = json_array()))
		return no_memory();
	ask(&patient, args.socket);
	examine(&patient, &r);
	if (r.lost) {
		json_decref(r.json);
		return no_memory();
	}
	if (args.json && print_json(r.json, stdout) < 0)
		return EXIT_REFUSED;
	return healths[r.worst].status;
}

static const struct arg_row rows[] = {
	ARG_SOCKET,
	ARG_JSON("an array of objects, one a check"),
	ARG_END
};

const struct command command_doctor = {
	.name = "doctor",
	.synopsis = "[--json]",
	.doc = "what may keep devices from being had, and what to do",
	.more =
"Looks at the host, the daemon and you, one thing after the other, and says of\n"
"each whether it is well, and what to do where it is not.  It changes nothing,\n"
"needs no rights, and says what root alone can see.  Exits with 0 if all is\n"
"well, 8 if there are warnings, 9 if there is a fault.",
	.args = rows,
	.main = doctor_main
};
