/*
 * run: CMD gets the device's fds and this process holds the lease, which ends
 * when CMD does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handover.h"
#include "output.h"
#include "request.h"
#include "run_args.h"
#include "show.h"
#include "supervise.h"

struct running {
	const struct run_args *args;
	struct ttd_device *dev;
	char name[TTD_NAME_MAX];
	char mac[18];		/* "" for a TUN */
	int fds[WIRE_QUEUES_MAX];
	unsigned n_fds;
};

static int failed(const char *what, int error)
{
	complain("%.400s: %s", what, strerror(error));
	return EXIT_NO_DEVICE;
}

static void close_fds(struct running *r)
{
	while (r->n_fds > 0)
		close(r->fds[--r->n_fds]);
}

/* Before its fds are taken: then the library cannot ask the kernel any more. */
static void read_facts(struct running *r)
{
	uint8_t m[6];

	ttd_name(r->dev, r->name);
	if (ttd_hwaddr(r->dev, m) == 0)
		snprintf(r->mac, sizeof(r->mac),
			 "%02x:%02x:%02x:%02x:%02x:%02x",
			 m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int take_device(struct running *r)
{
	struct ttd_options options = run_args_options(r->args);
	struct ttd_error error;

	/* Seen here, a daemon that hangs is told from one that is at it. */
	if (ctl_alive(public_socket_path(options.socket_path), &error) ||
	    ttd_open(&options, &r->dev, &error) < 0) {
		print_error(&error);
		return EXIT_NO_DEVICE;
	}
	read_facts(r);
	for (unsigned i = 0; i < ttd_queues(r->dev); i++) {
		int fd = ttd_take_fd(r->dev, i);

		if (fd < 0)
			return failed("the device's fd", -fd);
		r->fds[r->n_fds++] = fd;
	}
	return 0;
}

static json_t *fds_json(unsigned n)
{
	json_t *all = json_array();

	for (unsigned i = 0; all && i < n; i++)
		json_array_append_new(all, json_integer(HANDOVER_FIRST_FD + i));
	return all;
}

/* To stderr: stdout is CMD's. */
static int tell_device(const struct running *r)
{
	json_t *o = json_pack("{s:o, s:I, s:s, s:i, s:o, s:o, s:b}",
		"name", json_text(r->name),
		"ifindex", (json_int_t)ttd_ifindex(r->dev),
		"kind", show_kind((uint8_t)r->args->layer),
		"queues", (int)r->n_fds,
		"fds", fds_json(r->n_fds),
		"mac", r->mac[0] ? json_string(r->mac) : json_null(),
		"vnet_hdr", ttd_offload(r->dev) == TTD_OFFLOAD_PASS);

	return print_json(o, stderr) < 0 ? EXIT_NO_DEVICE : 0;
}

static int tell_environment(const struct running *r)
{
	char fd[16], queues[16];

	snprintf(fd, sizeof(fd), "%d", HANDOVER_FIRST_FD);
	snprintf(queues, sizeof(queues), "%u", r->n_fds);
	if (setenv("TUNTAP_FD", fd, 1) < 0 ||
	    setenv("TUNTAP_NAME", r->name, 1) < 0 ||
	    setenv("TUNTAP_QUEUES", queues, 1) < 0)
		return failed("environment", errno);
	return 0;
}

/* CMD goes on: what becomes of it is for CMD to decide, which reads errors. */
static void gone(void *arg)
{
	const struct running *r = arg;
	struct ttd_error why = { .code = 0 };

	ttd_status(r->dev, &why);
	complain("%s is no longer ours: %s", r->name, why.text);
}

/* Is it CMD that is wrong, or had we no means to start it? */
static int spawn_status(int error)
{
	switch (error) {
	case ENOENT:
		return EXIT_NOT_FOUND;
	case EAGAIN:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EBADF:		/* dup2(2) over the limit of open files */
	case EINVAL:		/* F_DUPFD likewise */
		return EXIT_NO_DEVICE;
	default:
		return EXIT_NOT_EXECUTABLE;
	}
}

/* EXIT_*, or 0 with CMD's wait status. */
static int run_command(struct running *r, char *const *argv, int *ret_status)
{
	char **expanded = handover_argv(argv, HANDOVER_FIRST_FD, r->name);
	sigset_t mask;
	pid_t cmd;
	int error;

	if (!expanded)
		return failed(argv[0], ENOMEM);
	error = supervise_begin(&mask);
	if (error < 0) {
		free(expanded);
		return failed("pipe", -error);
	}
	error = handover_spawn(expanded, r->fds, r->n_fds, &mask, &cmd);
	free(expanded);
	close_fds(r);
	if (error < 0) {
		failed(argv[0], -error);
		return spawn_status(-error);
	}
	*ret_status = supervise_wait(cmd, ttd_done_fd(r->dev), gone, r);
	return 0;
}

static int run(struct running *r, char *const *argv, int *ret_status)
{
	int status = take_device(r);

	if (status == 0)
		status = tell_environment(r);
	if (status == 0 && r->args->common.json)
		status = tell_device(r);
	if (status == 0)
		status = run_command(r, argv, ret_status);
	close_fds(r);
	ttd_free(r->dev);
	return status;
}

static int run_main(const struct command *c, int argc, char **argv,
		    const struct common_args *given)
{
	struct run_args args = { .common = *given };
	struct running r = { .args = &args };
	char why[ARGS_WHY_MAX];
	int status, first, cmd_status = 0;

	first = command_args(c, argc, argv, &args, &status);
	if (first < 0)
		return status;
	if (run_args_check(&args, why) < 0)
		return usage_error(why);
	if (first == argc)
		return usage_error("run: there is no command; it goes behind "
				   "--");
	status = run(&r, argv + first, &cmd_status);
	if (status == 0)
		supervise_exit(cmd_status);
	return status;
}

const struct command command_run = {
	.name = "run",
	.synopsis = "(--tun|--tap) [OPTION]... -- CMD ARG...",
	.doc = "run a command with a device of its own",
	.more =
"Asks for a device and runs CMD with it: its fd is 3, further queues are 4, 5\n"
"and so on.  {fd} and {name} in an ARG, also inside of one, become the first\n"
"fd and the interface's name; TUNTAP_FD, TUNTAP_NAME and TUNTAP_QUEUES are in\n"
"the environment.  Signals sent to tuntapctl are passed on.\n\n"
"The device lives as long as CMD, so a daemon must be run in its foreground\n"
"mode.  The exit status is CMD's; 125 means that no device could be had, 126\n"
"that CMD cannot be executed, 127 that it was not found, 2 wrong usage.",
	.args = run_rows,
	.main = run_main
};
