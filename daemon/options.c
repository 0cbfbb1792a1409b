#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "../policy/policy.h"
#include "confine.h"
#include "limits.h"

#define EXIT_USAGE 2

static void usage(FILE *to)
{
	fputs("usage: tuntapd [--socket PATH] [--admin-socket PATH] "
	      "[--policy DIR]\n"
	      "               [--grace SECONDS] [--limit NAME=NUMBER]...\n"
	      "               [--user NAME] [--check]\n"
	      "       tuntapd --version | --help\n"
	      "\n"
	      "  --socket PATH        for everyone; the policy decides "
	      "(" TUNTAPD_SOCKET_PATH ")\n"
	      "  --admin-socket PATH  for root (" TUNTAPD_ADMIN_SOCKET_PATH
	      ")\n"
	      "  --policy DIR         read *.conf from here alone, instead of "
	      "policy.d in\n"
	      "                       /usr/lib/tuntapd, /usr/local/lib/tuntapd, "
	      "/run/tuntapd\n"
	      "                       and /etc/tuntapd\n"
	      "  --grace SECONDS      how long devices of a daemon before wait "
	      "for their clients\n"
	      "                       to take them back, 1 to 3600 (10)\n"
	      "  --limit NAME=NUMBER  another limit than by default, of those "
	      "below\n"
	      "  --user NAME          whom to run as where root starts it, a "
	      "name or number (" TUNTAPD_USER ")\n"
	      "  --check              read the policy, say what is wrong with "
	      "it or hardly\n"
	      "                       meant, and exit: 0 good, 1 not\n"
	      "  --version            print the version and exit\n"
	      "  --help               print this and exit\n"
	      "\n"
	      "It stays in the foreground and logs to stderr.  SIGHUP reads the "
	      "policy again,\nSIGTERM ends it; devices stay with their "
	      "holders.\n"
	      "\n"
	      "limits, as they are by default:\n", to);
	limits_print(to);
}

static unsigned parse_grace(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text >= '0' && *text <= '9' && !*end && n >= 1 &&
	    n <= LIMIT_GRACE_SECONDS_MAX)
		return (unsigned)n;
	fprintf(stderr, "tuntapd: --grace %s: write a number of seconds, 1 to "
		"%d\n", text, LIMIT_GRACE_SECONDS_MAX);
	exit(EXIT_USAGE);
}

static void parse_limit(const char *text)
{
	struct wire_refused why;

	if (!limits_set(text, &why))
		return;
	fprintf(stderr, "tuntapd: --limit %s: %s; those that there are:\n",
		text, why.text);
	limits_print(stderr);
	exit(EXIT_USAGE);
}

void options_parse(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "admin-socket", required_argument, NULL, 'a' },
		{ "policy", required_argument, NULL, 'p' },
		{ "grace", required_argument, NULL, 'g' },
		{ "limit", required_argument, NULL, 'l' },
		{ "user", required_argument, NULL, 'u' },
		{ "check", no_argument, NULL, 'c' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static const char *only_folder[1];
	int opt;

	*o = (struct options){
		.socket = TUNTAPD_SOCKET_PATH,
		.admin_socket = TUNTAPD_ADMIN_SOCKET_PATH,
		.folders = policy_folders,
		.n_folders = POLICY_FOLDERS,
		.grace = LIMIT_GRACE_SECONDS,
	};
	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (opt) {
		case 's':
			o->socket = optarg;
			break;
		case 'a':
			o->admin_socket = optarg;
			break;
		case 'p':
			only_folder[0] = optarg;
			o->folders = only_folder;
			o->n_folders = 1;
			break;
		case 'g':
			o->grace = parse_grace(optarg);
			break;
		case 'l':
			parse_limit(optarg);
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'c':
			o->check = true;
			break;
		case 'v':
			puts("tuntapd " TUNTAPD_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tuntapd: %s: it takes no arguments\n",
			argv[optind]);
		usage(stderr);
		exit(EXIT_USAGE);
	}
}
