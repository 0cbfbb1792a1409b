/*
 * A rig for live tests: network and mount namespaces of its own, a device node
 * of its own, a real daemon, clients without rights.  Each test runs in a
 * process of its own (Check's fork mode) and calls rig_start() first; all that
 * it made goes with its namespaces and processes, also when it fails.
 */
#ifndef TUNTAPD_HARNESS_H
#define TUNTAPD_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../libclient/tuntapd.h"
#include "../../proto/wire.h"

#define NOBODY		65534
#define RIG_UID		65533	/* whom daemons run as */
#define RIG_USER	"65533"
#define NODE_CLOSED	0600
#define NODE_OPEN	0666
/* What has not happened by then does not: 5 s, times TEST_PATIENCE. */
#define DEADLINE_MS	(5000 * (int)patience())
/* The same, where programs look for it. */
#define EVENTUALLY_MS	(3 * DEADLINE_MS)
#define STEP_MS		5
#define RIG_LIMITS	4
#define GRACE		"2"	/* seconds, after a restart */

struct rig {
	char dir[64];		/* sockets, policy, log; gone with the test */
	char socket[96], admin[96], policy[96], log[96], fault[96],
		shared[96];
	pid_t daemon;
};

struct rig_options {
	mode_t node_mode;	/* of /dev/net/tun; 0: NODE_CLOSED */
	const char *policy;	/* text; NULL: rig_policy_nobody */
	bool fault_build;	/* tuntapd-fault instead of tuntapd */
	const char *grace;	/* seconds; NULL: GRACE */
	const char *limits[RIG_LIMITS];	/* "NAME=NUMBER", as --limit has it */
	const char *lacks;	/* kind that the kernel has not (fault build) */
	bool copies;		/* are kept, as on macOS (fault build) */
};

/* uid 65534: tt* in 10.9.0.0/16, fd09::/32, routes in 10.0.0.0/8, fd00::/8. */
extern const char rig_policy_nobody[];

/* Aborts the test where it cannot.  With NULL: the defaults. */
void rig_start(struct rig *rig, const struct rig_options *options);
/* The namespaces and the node alone; rig_start() does it too, once. */
void rig_namespaces(mode_t node_mode);
/* Starts a daemon in the rig (again), and waits until it listens. */
void rig_daemon(struct rig *rig, const struct rig_options *options);
/*
 * Makes the k-th step from now fail (daemon/fault.h), in a daemon of the fault
 * build; 0: none.
 */
void rig_fail_step(const struct rig *rig, unsigned k);
/* Several: "3 2", the third, and the second after that. */
void rig_fail_steps(const struct rig *rig, const char *steps);
/*
 * Makes it wait where the next step of that name is; of the step that it waits at
 * now it lets go.  NULL: at none any more.
 */
void rig_wait_at(const struct rig *rig, const char *step);
/* Of o.copies: has somebody else one of each? */
void rig_share(const struct rig *rig, bool shared);
/* It has come to it, to all of them. */
bool rig_step_failed(const struct rig *rig);
/* SIGTERM; asserts that it exits with 0. */
void rig_stop(struct rig *rig);
void rig_kill(struct rig *rig, int sig);	/* and reaps it */
/* rig_stop(), if the daemon runs. */
void rig_end(struct rig *rig);
/* The daemon's log so far; the caller frees it. */
char *rig_log(const struct rig *rig);
/* The daemon's fds when it has nothing to do; of no client's, that is. */
unsigned rig_fds_at_rest(const struct rig *rig);
/* So many files, from now on. */
void rig_may_open(const struct rig *rig, unsigned files);
/* Fails the test unless it (soon) has that many again. */
void rig_fds_return_to(const struct rig *rig, unsigned fds);

/* The path of something that was built: rig_built("tuntapd"). */
const char *rig_built(const char *name);

/* Runs a shell command here; its stdout, which the caller frees. */
char *sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Its exit status. */
int sh_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Links, addresses, routes of the namespace, as text; the caller frees it. */
char *host_state(void);
/* Fails the test unless the host is (soon) as it was; frees `before`. */
void host_unchanged(char *before);
bool link_exists(const char *name);
/* Waits until it is gone; fails the test if it stays. */
void link_goes(const char *name);
/* IPv4 ones to one address each by tt0, of ours, as the kernel has them. */
unsigned tt0_routes(void);
void ck_soon_routes(unsigned n);

/* A client process.  Begin with { .pid = -1 }. */
struct client {
	pid_t pid;
	int out;		/* its stdout, both ends close-on-exec here */
};
/* Runs fn(arg) in a child as uid 65534, no capabilities, no_new_privs. */
void client_start(struct client *c, int (*fn)(void *arg), void *arg);
/* Runs a program likewise. */
void client_exec(struct client *c, const char *const argv[]);
/* Reads its stdout until a line begins so; that line, in a static buffer. */
const char *client_line(struct client *c, const char *begins);
/* Waits for its end; its status as of waitpid(2). */
int client_wait(struct client *c);
void client_kill(struct client *c, int sig);	/* and reaps it */
/* client_start() and client_wait(): fails unless fn returned 0. */
void as_nobody(int (*fn)(void *arg), void *arg);
/* In a child: as client_start() does. */
void drop_rights(void);

unsigned count_fds(void);		/* of this process */
bool eventually(bool (*condition)(void *arg), void *arg);
int64_t now_ms(void);
void sleep_ms(unsigned ms);
/* Of run.sh: how many times as long everything takes on a slow machine. */
unsigned patience(void);
struct ttd_prefix prefix(const char *text);

/* Raw frames, for what the library would not send. */
int raw_connect(const char *path);
/* To the public socket, as that user; fails the test if it cannot. */
int rig_connect_as(const struct rig *rig, uid_t uid);
/* Sends a message; its frame's length. */
int raw_send(int sock, struct wire_message *m);
/* Receives one frame in DEADLINE_MS; fails the test if none comes. */
void raw_receive(int sock, struct wire_message *ret);
/* The other end has closed: reads to the end. */
bool raw_closed(int sock);
struct wire_message raw_open_request(void);	/* a TUN, one queue */

/*
 * main() of a live test: needs root; without it prints a SKIP line for the
 * suite and returns 77.  Else runs it and returns 0 or 1.
 */
int live_main(const char *name, Suite *suite);
/* From inside a test: says that it was not run, and why. */
void live_skip(const char *test, const char *reason);
/* Says so where patience() is asked for, of what only a fast one can do. */
bool live_too_slow(const char *test);

#endif
