/*
 * tuntapctl: devices from tuntapd for programs that know nothing of it, and a
 * look at the leases there are.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "complete.h"
#include "output.h"
#include "../libclient/tuntapd.h"

static const struct command *const commands[] = {
	&command_run, &command_list, &command_show, &command_stats,
	&command_top, &command_status, &command_monitor, &command_reload,
	&command_close, &command_policy, &command_doctor, &command_version,
	NULL
};

struct main_args {
	struct common_args common;	/* first */
	bool version;
};

static int set_version(void *into, const char *value, char why[ARGS_WHY_MAX])
{
	(void)value;
	(void)why;
	((struct main_args *)into)->version = true;
	return 0;
}

static const struct arg_row main_rows[] = {
	{ "--socket", "PATH", "default: $TUNTAPD_SOCKET, or as built in",
	  set_socket, NULL },
	{ "--version", NULL, "the version", set_version, NULL },
	ARG_END
};

static void help(FILE *out)
{
	fputs("Usage: tuntapctl [--socket PATH] COMMAND [OPTION]...\n\n"
	      "TUN and TAP devices from tuntapd, the TUN/TAP daemon.\n\n", out);
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "  %-28s%s\n", commands[i]->name,
			commands[i]->doc);
	fputc('\n', out);
	args_help(main_rows, out);
	fputs("\ntuntapctl COMMAND --help says more of each.\n", out);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int dispatch(int argc, char **argv)
{
	struct main_args args = { .version = false };
	char why[ARGS_WHY_MAX];
	int first = args_parse(main_rows, argc, argv, &args, why);
	const struct command *c;

	if (first == ARGS_HELP) {
		help(stdout);
		return 0;
	}
	if (first < 0)
		return usage_error(why);
	if (args.version) {
		printf("tuntapctl %s\n", ttd_version());
		return 0;
	}
	if (first == argc) {
		help(stderr);
		return EXIT_USAGE;
	}
	/* For shells; people have no use for it. */
	if (strcmp(argv[first], "complete") == 0)
		return complete(commands, main_rows, argc - first,
				argv + first);
	c = find(argv[first]);
	if (!c) {
		snprintf(why, sizeof(why), "%.80s: there is no such command; "
			 "tuntapctl --help lists them", argv[first]);
		return usage_error(why);
	}
	return c->main(c, argc - first, argv + first, &args.common);
}

/*
 * Where a standard stream is closed, the next fd would be in its place, and
 * what is printed would go there.  To print to these fails, as it did before.
 */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	int status;

	fill_standard_fds();
	status = dispatch(argc, argv);
	/* Whoever was refused has been told why, this too. */
	if (status != EXIT_REFUSED && say_what_is_lost() && status == 0)
		status = EXIT_REFUSED;
	return status;
}
