/*
 * tuntapd: makes TUN/TAP devices for programs that have no rights, as far as
 * the policy allows, and hands each of them the open fd.
 *
 * main() names the stages in order.  The first, what is asked for, is in
 * options.c; the others are functions below.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <event2/event.h>

#include "confine.h"
#include "conn.h"
#include "fault.h"
#include "files.h"
#include "folder.h"
#include "lease.h"
#include "limits.h"
#include "listen.h"
#include "log.h"
#include "mirror.h"
#include "notify.h"
#include "options.h"
#include "os.h"
#include "passed.h"
#include "reload.h"
#include "resolver.h"
#include "slow_close.h"
#include "stray.h"
#include "worker.h"

static struct server server;

static void fail(const struct wire_refused *why)
{
	log_line(LOG_ERR, "%s", why->text);
	exit(EXIT_FAILURE);
}

/* --- stage 2: the policy ------------------------------------------------ */

static void start_resolver(void)
{
	int error = resolver_start();

	if (error) {
		log_line(LOG_ERR, "cannot start the process that looks names "
			 "up: %s", strerror(-error));
		exit(EXIT_FAILURE);
	}
}

/* Here, as it must have nothing that is opened from now on. */
static void start_undertaker(void)
{
	int error = slow_close_start();

	if (error) {
		log_line(LOG_ERR, "cannot start the process that closes "
			 "connections with file descriptors on them: %s",
			 strerror(-error));
		exit(EXIT_FAILURE);
	}
}

static void print_warning(void *n, const char *text)
{
	++*(unsigned *)n;
	fprintf(stderr, "tuntapd: warning: %s\n", text);
}

static int check_policy(void)
{
	struct policy_fault fault;
	struct policy *policy;
	unsigned warnings = 0;
	size_t n;

	if (reload_first(&policy, &fault)) {
		fprintf(stderr, "tuntapd: %s\n", fault.text);
		return EXIT_FAILURE;
	}
	policy_warn(policy, print_warning, &warnings);
	n = policy_n_rules(policy);
	printf("policy: %zu rule%s, no faults, %u warning%s\n", n,
	       n == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
	policy_free(policy);
	return EXIT_SUCCESS;
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	reload_begin(NULL, false);
}

/* One that comes while we start is heard by the loop: nothing is missed. */
static void hold(int sig, int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

/* --- stage 3: what takes the rights that we are started with ------------ */

static void start_notify(void)
{
	int error = notify_start(server.base);

	if (!error)
		return;
	log_line(LOG_ERR, "cannot tell the service manager how it goes "
		 "(NOTIFY_SOCKET, WATCHDOG_USEC): %s", strerror(-error));
	exit(EXIT_FAILURE);
}

#define NICE (-5)

/*
 * Before its clients where processors are scarce: so many of them may be busy
 * that somebody else's request waits for theirs.  Who may not, or was given
 * another value, goes on as he is.
 */
static void raise_priority(void)
{
	if (getpriority(PRIO_PROCESS, 0) == 0)
		(void)setpriority(PRIO_PROCESS, 0, NICE);
}

/* While we may; who passes sockets has made theirs. */
static void make_folders(const struct options *o, const struct run_as *as)
{
	struct wire_refused why;

	if (!passed_any() && (folder_make(o->socket, as->uid, &why) ||
			      folder_make(o->admin_socket, as->uid, &why)))
		fail(&why);
}

static void restrict_files(const struct options *o)
{
	const char *const sockets[] = { o->socket, o->admin_socket };
	const struct confine_paths paths = {
		.policy = o->folders, .n_policy = o->n_folders,
		.sockets = sockets, .n_sockets = passed_any() ? 0 : 2,
	};
	struct wire_refused why;

	if (confine_files(&paths, &why))
		fail(&why);
}

/* --- stage 4: resources ------------------------------------------------- */

static void open_sockets(const struct options *o, struct listeners *l)
{
	struct wire_refused why;
	int passed = listen_passed(l, &why);

	if (passed < 0)
		fail(&why);
	if (passed > 0)
		return;
	if (listen_at(l, o->socket, false, &why))
		fail(&why);
	if (listen_at(l, o->admin_socket, true, &why)) {
		listen_stop(l);
		fail(&why);
	}
}

static void on_link_gone(const struct os_link *link)
{
	lease_device_gone(link, &server);
}

static void on_link_changed(const struct os_link *before,
			    const struct os_link *now)
{
	watch_link_changed(before, now, &server);
}

static void on_link_storm(unsigned ifindex)
{
	watch_storm(ifindex, &server);
}

static void on_missed(void)
{
	watch_missed(&server);
}

static void on_link_came(const struct os_link *link)
{
	stray_came(link, &server);
}

static struct event *host_later;

static void follow_later(void)
{
	const struct timeval later = { 0, LIMIT_DUMP_MS * 1000 };

	if (host_later && !event_pending(host_later, EV_TIMEOUT, NULL))
		event_add(host_later, &later);
}

static const struct mirror_listener listener = {
	.gone = on_link_gone,
	.changed = on_link_changed,
	.storm = on_link_storm,
	.touched = follow_touched,
	.missed = on_missed,
	.came = on_link_came,
	.stale = follow_later,
};

/* Once each time: it is tried again and again. */
static void say_blind(int error)
{
	static bool blind;

	if (error && !blind)
		log_line(LOG_WARNING, "cannot follow the host's interfaces: "
			 "%s; it is tried again, and requests that need to "
			 "know are refused", strerror(-error));
	if (!error && blind)
		log_line(LOG_NOTICE, "the host's interfaces are followed again");
	blind = error;
}

/* Of the events' socket, and later again where that is not all. */
static void on_host_changed(evutil_socket_t fd, short what, void *arg)
{
	int error = mirror_follow();

	(void)fd;
	(void)what;
	(void)arg;
	if (error)
		follow_later();
	if (error != -EAGAIN)
		say_blind(error);
}

/* --- stage 5: serve ----------------------------------------------------- */

static void on_terminate(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	log_line(LOG_NOTICE, "%s: ending; devices stay with their holders",
		 strsignal((int)sig));
	notify_stopping();
	event_base_loopbreak(server.base);
}

static void serve(struct listeners *l)
{
	struct event *events[] = {
		evsignal_new(server.base, SIGTERM, on_terminate, NULL),
		evsignal_new(server.base, SIGINT, on_terminate, NULL),
		evsignal_new(server.base, SIGHUP, on_hangup, NULL),
		event_new(server.base, os_watch_fd(), EV_READ | EV_PERSIST,
			  on_host_changed, NULL),
	};
	const size_t n = sizeof(events) / sizeof(*events);

	host_later = evtimer_new(server.base, on_host_changed, NULL);
	if (!host_later)
		exit(EXIT_FAILURE);
	for (size_t i = 0; i < n; i++)
		if (!events[i] || event_add(events[i], NULL))
			exit(EXIT_FAILURE);
	if (reload_serve(&server) || conn_start(&server) ||
	    listen_start(l, &server))
		exit(EXIT_FAILURE);
	hold(SIGHUP, SIG_UNBLOCK);
	hold(SIGTERM, SIG_UNBLOCK);
	hold(SIGINT, SIG_UNBLOCK);
	fault_try_serve(server.base);
	log_line(LOG_NOTICE, "version " TUNTAPD_VERSION ", %zu rules; ready",
		 policy_n_rules(server.policy));
	notify_ready();
	do
		server.registry.turn++;
	while (!event_base_loop(server.base, EVLOOP_ONCE) &&
	       !event_base_got_break(server.base));
	/* One is enough: timeout(1) sends two, and sockets are still there. */
	hold(SIGTERM, SIG_BLOCK);
	hold(SIGINT, SIG_BLOCK);
	fault_try_stop();
	for (size_t i = 0; i < n; i++)
		event_free(events[i]);
	event_free(host_later);
	host_later = NULL;
}

int main(int argc, char **argv)
{
	struct listeners listeners = { .n = 0 };
	struct policy_fault fault;
	struct wire_refused why;
	struct run_as as;
	struct options o;

	options_parse(argc, argv, &o);
	listen_close_others();
	if (!o.check)
		hold(SIGHUP, SIG_BLOCK);
	start_resolver();
	reload_from(o.folders, o.n_folders);
	if (o.check)
		return check_policy();

	server.base = event_base_new();
	if (!server.base)
		return EXIT_FAILURE;
	start_notify();
	files_make_room();
	raise_priority();
	fault_start();
	fault_try_start();
	if (run_as_find(o.user, &as, &why))
		fail(&why);
	make_folders(&o, &as);

	confine_node(&as);
	if (confine_user(&as, &why) || os_has_owner(&why))
		fail(&why);
	restrict_files(&o);
	start_undertaker();

	if (reload_first(&server.policy, &fault)) {
		log_line(LOG_ERR, "%s", fault.text);
		return EXIT_FAILURE;
	}
	server.generation = 1;
	server.started = time(NULL);

	signal(SIGPIPE, SIG_IGN);
	/* Of children nothing stays, also where they are root's and we not. */
	signal(SIGCHLD, SIG_IGN);
	if (log_start(server.base) || worker_start(server.base) ||
	    follow_start(&server))
		return EXIT_FAILURE;
	server.grace_ms = (int)o.grace * 1000;
	if (os_claim(&why) || os_start(&why))
		fail(&why);
	os_probe();
	if (mirror_start(&listener, &why) || adopt_all(&server, &why))
		fail(&why);
	/* From here on there is something to take along. */
	hold(SIGTERM, SIG_BLOCK);
	hold(SIGINT, SIG_BLOCK);
	open_sockets(&o, &listeners);
	if (confine_calls(&why)) {
		listen_stop(&listeners);
		fail(&why);
	}

	serve(&listeners);

	reload_stop();
	listen_stop(&listeners);
	conn_stop(&server);
	worker_stop();
	stray_stop();
	lease_forget_all(&server);
	mirror_stop();
	follow_stop();
	source_stop();
	os_stop();
	os_unclaim();
	resolver_stop();
	policy_free(server.policy);
	notify_stop();
	log_stop();
	event_base_free(server.base);
	libevent_global_shutdown();
	return EXIT_SUCCESS;
}
