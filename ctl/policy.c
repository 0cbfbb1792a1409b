/* tuntapctl policy: what it is, and what it says to a request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../policy/conf.h"
#include "command.h"
#include "output.h"
#include "policy_args.h"
#include "request.h"
#include "user.h"
#include "verdict.h"

/* With check and test 1 is what the policy says, and nothing else is. */
static int error_status(int status)
{
	return status < 0 || status == EXIT_REFUSED ? EXIT_USAGE : status;
}

/* Likewise, once all is printed. */
static int printed_status(int status)
{
	return say_what_is_lost() ? EXIT_USAGE : status;
}

static int show_verdict(const struct wire_verdict *v, bool json)
{
	if (!json)
		verdict_print(v);
	else if (verdict_print_json(v) < 0)
		return EXIT_USAGE;
	return printed_status(v->code ? EXIT_REFUSED : 0);
}

/* Options that make sense; false with the exit status. */
static bool parse(const struct command *c, int argc, char **argv,
		  struct policy_args *args, int *ret_exit)
{
	char why[ARGS_WHY_MAX];
	int first = command_args(c, argc, argv, args, ret_exit);

	if (first < 0)
		return false;
	if (first == argc)
		return true;
	snprintf(why, sizeof(why), "%.80s: %s takes no arguments", argv[first],
		 c->name);
	*ret_exit = usage_error(why);
	return false;
}

static int find_user(const char *text, struct peer *ret)
{
	char why[ARGS_WHY_MAX];
	int r = user_find(text, ret);

	if (r == 0)
		return 0;
	if (r == -ENOENT)
		snprintf(why, sizeof(why), "--user %.80s: there is no such "
			 "user; give a name or a uid", text);
	else
		snprintf(why, sizeof(why), "--user %.80s: cannot be looked up: "
			 "%s", text ? text : "", strerror(-r));
	return usage_error(why);
}

/* --- check: the daemon is asked ----------------------------------------- */

struct asked {
	struct wire_verdict verdict;
	bool answered;
};

static int take_verdict(void *arg, const struct wire_message *m)
{
	struct asked *a = arg;

	a->verdict = m->verdict;
	a->answered = true;
	return 0;
}

static void fill_check(struct wire_check *check, const struct run_args *args)
{
	static struct wire_open o;	/* large */

	run_args_wire(args, &o);
	check->layer = o.layer;
	check->vnet_hdr = o.vnet_hdr;
	check->flags = o.flags;
	memcpy(check->name, o.name, sizeof(check->name));
	memcpy(check->mac, o.mac, sizeof(check->mac));
	check->mtu = o.mtu;
	check->txqueuelen = o.txqueuelen;
	check->queues = o.queues;
	check->n_addresses = o.n_addresses;
	memcpy(check->addresses, o.addresses, sizeof(check->addresses));
	check->n_routes = o.n_routes;
	memcpy(check->routes, o.routes, sizeof(check->routes));
}

/* Without a name it is about who asks, with the groups that he has now. */
static int fill_subject(struct wire_check *check, const char *user)
{
	struct peer peer;
	int status;

	check->uid = WIRE_UID_CALLER;
	if (!user)
		return 0;
	status = find_user(user, &peer);
	if (status)
		return status;
	check->uid = peer.uid;
	check->gid = peer.gid;
	if (peer.n_groups <= WIRE_GROUPS_MAX) {
		check->n_groups = (uint16_t)peer.n_groups;
		for (size_t i = 0; i < peer.n_groups; i++)
			check->groups[i].gid = peer.groups[i];
	} else {
		status = usage_error("--user: he has more groups than one "
				     "request holds");
	}
	free(peer.groups);
	return status;
}

static int check_main(const struct command *c, int argc, char **argv,
		      const struct common_args *given)
{
	static struct wire_message m = { .type = WIRE_CHECK };
	static struct policy_args args;
	static struct asked asked;
	struct ttd_error error = { .code = 0 };
	char why[ARGS_WHY_MAX];
	int status;

	args.device.common = *given;
	if (!parse(c, argc, argv, &args, &status))
		return status;
	if (run_args_check(&args.device, why) < 0)
		return usage_error(why);
	status = fill_subject(&m.check, args.user);
	if (status)
		return status;
	fill_check(&m.check, &args.device);
	status = ctl_request(socket_path(args.device.common.socket), &m,
			     take_verdict, &asked, &error);
	if (error.code)
		print_error(&error);
	return asked.answered ?
	       show_verdict(&asked.verdict, args.device.common.json) :
	       error_status(status);
}

const struct command command_policy_check = {
	.name = "policy check",
	.synopsis = "(--tun|--tap) [OPTION]...",
	.doc = "what the daemon would answer, and why",
	.more =
"Asks the daemon what it would answer to `tuntapctl run` with these options,\n"
"and which rules it looked at; no device is made.  Of others than oneself one\n"
"may ask on the admin socket alone.  Exits with 0 if it is allowed, 1 if not,\n"
"2 if that could not be asked, 3 to 7 if no daemon answered.",
	.args = policy_check_rows,
	.main = check_main
};

/* --- test: files are read here ------------------------------------------ */

static void warn(void *n, const char *text)
{
	++*(unsigned *)n;
	complain("warning: %s", text);
}

static void tried(void *arg, const struct policy *policy, size_t rule,
		  enum policy_match how)
{
	policy_tell_tried(arg, policy, rule, how);
}

static int judge(const struct policy *policy, const struct policy_args *args)
{
	static struct wire_verdict v;	/* large */
	static struct wire_open open;
	struct policy_usage usage = { .devices = 0 };
	struct policy_trace trace = { tried, &v };
	struct policy_decision d = { .code = 0 };
	struct peer peer;
	int status = find_user(args->user, &peer);

	if (status)
		return status;
	run_args_wire(&args->device, &open);
	if (policy_explain(policy, &peer, &open, &usage, &trace, &open, &d)) {
		v.code = (uint16_t)d.code;
		memcpy(v.step, d.step, sizeof(v.step));
		memcpy(v.text, d.text, sizeof(v.text));
	} else {
		memcpy(v.name, open.name, sizeof(v.name));
		v.mtu = open.mtu;
		v.metric = d.terms.metric;
	}
	memcpy(v.rule, d.rule, sizeof(v.rule));
	free(peer.groups);
	return show_verdict(&v, args->device.common.json);
}

static int test_main(const struct command *c, int argc, char **argv,
		     const struct common_args *given)
{
	static struct policy_args args;
	struct policy_fault fault;
	struct policy *policy;
	char why[ARGS_WHY_MAX];
	unsigned there = POLICY_ALL_THERE, warnings = 0;
	size_t n;
	int status = 0;

	args.device.common = *given;
	if (!parse(c, argc, argv, &args, &status))
		return status;
	if (args.device.layer && run_args_check(&args.device, why) < 0)
		return usage_error(why);
	if (args.n_folders == 0) {
		args.n_folders = POLICY_FOLDERS;
		memcpy(args.folders, policy_folders, sizeof(policy_folders));
		there = 0;
	}
	if (policy_load(args.folders, args.n_folders, &there, user_resolve,
			NULL, &policy, &fault))
		return usage_error(fault.text);
	policy_warn(policy, warn, &warnings);
	n = policy_n_rules(policy);
	if (args.device.layer)
		status = judge(policy, &args);
	else if (args.device.common.json)
		status = error_status(print_json(json_pack("{s:I, s:I}",
				"rules", (json_int_t)n,
				"warnings", (json_int_t)warnings), stdout));
	else
		printf("policy: %zu rule%s, no faults\n", n,
		       n == 1 ? "" : "s");
	policy_free(policy);
	return printed_status(status);
}

const struct command command_policy_test = {
	.name = "policy test",
	.synopsis = "[--policy DIR]... [(--tun|--tap) [OPTION]...]",
	.doc = "what policy files would answer, without a daemon",
	.more =
"Reads policy files as the daemon does, says what is wrong with them or hardly\n"
"meant, and, with the options of a device, what they would answer on a host\n"
"where nothing is there yet.  Exits with 0 if it is allowed, or nothing was\n"
"asked, 1 if not, 2 if a file or a folder of --policy is wrong or not there.",
	.args = policy_test_rows,
	.main = test_main
};

/* --- show: the policy in force ------------------------------------------ */

struct showing {
	json_t *json;		/* NULL: as it comes */
	json_t *section;	/* the open one's object */
	char *text;		/* of a section that is not whole yet */
	size_t len;
};

/* "[rule a]\t; file:line" has its file and line in a comment. */
static int add_section(struct showing *s, const char *section)
{
	const char *place = strstr(s->text, "; ");
	size_t n = place ? strcspn(place + 2, "\n") : 0;
	char file[WIRE_RULE_MAX + 1] = "";

	if (place && place < strchr(s->text, '\n') && n < sizeof(file))
		memcpy(file, place + 2, n);
	s->section = json_pack("{s:o, s:o, s:{}}", "section",
			       json_text(section), "rule",
			       *file ? json_text(file) : json_null(), "keys");
	return json_array_append_new(s->json, s->section) < 0 ? -ENOMEM : 0;
}

static int add_item(void *arg, const struct conf_item *item,
		    struct policy_fault *fault)
{
	struct showing *s = arg;

	(void)fault;
	if (!item->key)
		return add_section(s, item->section);
	return json_object_set_new(json_object_get(s->section, "keys"),
				   item->key, json_text(item->value)) < 0 ?
	       -ENOMEM : 0;
}

static int take_section(struct showing *s)
{
	struct policy_fault fault;

	if (s->json)
		return conf_parse("policy", s->text, s->len, add_item, s,
				  &fault);
	for (char *c = s->text; *c; c++)
		if (*c != '\n' && *c != '\t' &&
		    ((unsigned char)*c < ' ' || *c == 0x7f))
			*c = '?';
	puts(s->text);
	return 0;
}

static int take_rule(void *arg, const struct wire_message *m)
{
	struct showing *s = arg;
	size_t n;
	char *more;
	int r;

	if (m->type != WIRE_RULE)
		return 0;
	n = strlen(m->rule.text);
	more = realloc(s->text, s->len + n + 1);
	if (!more)
		return -ENOMEM;
	s->text = more;
	memcpy(s->text + s->len, m->rule.text, n + 1);
	s->len += n;
	if (m->rule.more)
		return 0;
	r = take_section(s);
	s->len = 0;
	return r;
}

static int show_main(const struct command *c, int argc, char **argv,
		     const struct common_args *given)
{
	const struct wire_message m = { .type = WIRE_POLICY };
	struct common_args args = *given;
	struct ttd_error error = { .code = 0 };
	struct showing s = { .len = 0 };
	int status;

	if (!command_no_args(c, argc, argv, &args, &status))
		return status;
	if (args.json)
		s.json = json_array();
	status = ctl_request(socket_path(args.socket), &m, take_rule, &s,
			     &error);
	if (error.code)
		print_error(&error);
	if (status < 0) {
		complain("the answer cannot be read, or there is no memory for "
			 "it");
		status = EXIT_REFUSED;
	}
	if (args.json && status == 0 &&
	    print_json(json_incref(s.json), stdout) < 0)
		status = EXIT_REFUSED;
	json_decref(s.json);
	free(s.text);
	return status;
}

static const struct arg_row show_rows[] = {
	ARG_SOCKET,
	ARG_JSON("an array of objects, one a section"),
	ARG_END
};

const struct command command_policy_show = {
	.name = "policy show",
	.synopsis = "[--json]",
	.doc = "the policy in force",
	.more =
"Prints the policy that is in force as it would stand in one file, with what\n"
"absent keys mean: on the admin socket all of it, else the rules about you.",
	.args = show_rows,
	.main = show_main
};

/* --- all of them -------------------------------------------------------- */

static const struct command *const commands[] = {
	&command_policy_check, &command_policy_test, &command_policy_show,
	NULL
};

static void usage(FILE *out)
{
	fputs("Usage: tuntapctl policy COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "  %-16s%s\n", commands[i]->name,
			commands[i]->doc);
	fputs("\ntuntapctl policy COMMAND --help says more of each.\n", out);
}

static int policy_main(const struct command *c, int argc, char **argv,
		       const struct common_args *given)
{
	char why[ARGS_WHY_MAX];

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 ||
			 strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (argc == 1) {
		usage(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name + strlen(c->name) + 1,
			   argv[1]) == 0)
			return commands[i]->main(commands[i], argc - 1,
						 argv + 1, given);
	snprintf(why, sizeof(why), "policy %.80s: there is no such command; "
		 "tuntapctl policy --help lists them", argv[1]);
	return usage_error(why);
}

static const struct arg_row help_rows[] = {
	ARG_END
};

const struct command command_policy = {
	.name = "policy",
	.synopsis = "check | test | show",
	.doc = "what the policy is, and what it says",
	.more = "",
	.args = help_rows,
	.commands = commands,
	.main = policy_main
};
