/* What a shell may offer for the last word of a command line. */
#ifndef TUNTAPCTL_COMPLETE_H
#define TUNTAPCTL_COMPLETE_H

#include "command.h"

/*
 * argv[0] is "complete", and behind a "--" follow the words behind the name of
 * the program; the last one, which may be empty, is to be completed.  Prints a
 * line for each thing that may stand there: the word, a tab, and what it is.
 * Or a line alone, where the shell knows best:
 *
 *	:files :folders :commands	paths; names of programs
 *
 * From the tables that --help prints: commands end with NULL, rows are the
 * options before a command.  The exit status.
 */
int complete(const struct command *const *commands,
	     const struct arg_row *rows, int argc, char **argv);

#endif
