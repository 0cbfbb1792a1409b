#include "complete.h"

#include <pwd.h>
#include <string.h>

#include "output.h"
#include "request.h"

/* The line so far, a word after the other. */
struct line {
	const struct command *const *commands;	/* of which one may come */
	const struct command *command;		/* it has come; or NULL */
	const struct arg_row *rows;		/* options that may come */
	const struct arg_row *valued;	/* the word is this one's value */
	const char *socket;		/* what --socket said */
	unsigned operands;		/* words of the command's that were */
	bool ended;			/* by "--": no more options */
};

/* "policy check" is `check` once there was a `policy`. */
static const char *last_name(const struct command *c)
{
	const char *space = strrchr(c->name, ' ');

	return space ? space + 1 : c->name;
}

/* The command's usage names this among its arguments. */
static bool takes(const struct line *l, const char *what)
{
	return l->command && strstr(l->command->synopsis, what);
}

static void read_operand(struct line *l, const char *word)
{
	for (size_t i = 0; l->commands && l->commands[i]; i++) {
		const struct command *c = l->commands[i];

		if (strcmp(last_name(c), word) == 0) {
			l->command = c;
			l->commands = c->commands;
			l->rows = c->args;
			return;
		}
	}
	l->operands++;
	/* What follows is CMD's. */
	l->ended = l->ended || takes(l, "CMD");
}

static void read_value(struct line *l, const struct arg_row *row,
		       const char *value)
{
	if (strcmp(row->name, "--socket") == 0)
		l->socket = value;
	l->valued = NULL;
}

static void read_option(struct line *l, const char *word)
{
	const struct arg_row *row = args_find(l->rows, word);
	const char *value = strchr(word, '=');

	if (!row || !row->value)
		return;
	if (value)
		read_value(l, row, value + 1);
	else if (!args_may_lack(row->value))
		l->valued = row;
}

static void read_word(struct line *l, const char *word)
{
	if (l->valued) {
		/* most bashes make three words of --socket=PATH, others one */
		if (strcmp(word, "=") != 0)
			read_value(l, l->valued, word);
		return;
	}
	if (l->ended || word[0] != '-') {
		read_operand(l, word);
		return;
	}
	l->ended = strcmp(word, "--") == 0;
	read_option(l, word);
}

/* --- what may stand there ------------------------------------------------ */

static bool begins(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

static void offer(const char *text, const char *what, const char *word)
{
	if (begins(text, word))
		printf("%s\t%s\n", text, what);
}

static void offer_commands(const struct command *const *commands,
			   const char *word)
{
	for (; *commands; commands++)
		offer(last_name(*commands), (*commands)->doc, word);
}

static void offer_options(const struct arg_row *rows, const char *word)
{
	for (; rows->name || rows->rows; rows++)
		if (rows->rows)
			offer_options(rows->rows, word);
		else
			offer(rows->name, rows->doc, word);
}

static void offer_users(const char *word)
{
	const struct passwd *pw;

	setpwent();
	while ((pw = getpwent()))
		offer(pw->pw_name, pw->pw_gecos ? pw->pw_gecos : "", word);
	endpwent();
}

static int offer_lease(void *word, const struct wire_message *m)
{
	char name[WIRE_NAME_MAX + 1];

	if (m->type != WIRE_LEASE)
		return 0;
	memcpy(name, m->lease.name, sizeof(name));
	offer(plain_text(name), "a lease", word);
	return 0;
}

/* Where there is no daemon there is nothing to offer, and nothing to say. */
static void offer_leases(const char *socket, char *word)
{
	const struct wire_message m = { .type = WIRE_LIST };
	struct ttd_error error;

	(void)ctl_request(socket_path(socket), &m, offer_lease, word, &error);
}

/* By the word that help has for it. */
static void offer_value(const char *value, const char *word)
{
	if (strcmp(value, "PATH") == 0)
		puts(":files");
	else if (strcmp(value, "DIR") == 0)
		puts(":folders");
	else if (strcmp(value, "USER") == 0)
		offer_users(word);
}

/*
 * --socket=PATH may be one word, of which the value is completed: the shell has
 * what is before it.  False: the word is none of these.
 */
static bool offer_behind_sign(const struct line *l, const char *word)
{
	const char *sign = strchr(word, '=');
	const struct arg_row *row = sign ? args_find(l->rows, word) : NULL;

	if (row && row->value)
		offer_value(row->value, sign + 1);
	return sign != NULL;
}

static void offer_option(const struct line *l, const char *word)
{
	if (offer_behind_sign(l, word))
		return;
	offer_options(l->rows, word);
	offer("--help", "this text", word);
}

static void offer_operand(const struct line *l, char *word)
{
	if (l->commands)
		offer_commands(l->commands, word);
	else if (takes(l, "CMD"))
		puts(l->operands ? ":files" : ":commands");
	else if (takes(l, "LEASE...") || (takes(l, "LEASE") && !l->operands))
		offer_leases(l->socket, word);
}

int complete(const struct command *const *commands,
	     const struct arg_row *rows, int argc, char **argv)
{
	struct line l = { .commands = commands, .rows = rows };
	char *word;

	if (argc < 3 || strcmp(argv[1], "--") != 0)
		return usage_error("complete: -- and the words of a line; the "
				   "last one is completed");
	for (int i = 2; i < argc - 1; i++)
		read_word(&l, argv[i]);
	word = argv[argc - 1];
	if (l.valued)
		offer_value(l.valued->value,
			    strcmp(word, "=") == 0 ? "" : word);
	else if (!l.ended && word[0] == '-')
		offer_option(&l, word);
	else
		offer_operand(&l, word);
	return 0;
}
