/*
 * A test for each attack: a daemon, attackers without rights, and meanwhile an
 * innocent client and root, who must be served; then nothing may be left.
 *
 *	hostile [--seconds N] [--nice N] [--json FILE] [ATTACK ...]
 */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../daemon/limits.h"	/* as tuntapd.socket has it */

#define EXIT_SKIPPED	77
#define EXIT_USAGE	2
#define SECONDS		4
#define SECONDS_MAX	30
#define BEFORE_SECONDS	1	/* without the attack, in the same rig */
#define RAMP_MS		300	/* before it is measured */
#define CALM_MS		20000	/* until what they left has gone */
#define CALM_STEP_MS	20
#define TEST_SECONDS	180
#define RSS_GROWTH_KIB	4096	/* what malloc keeps of a busy time */
#define LAST_WORDS	400
#define PASSED_FIRST	3	/* SD_LISTEN_FDS_START */

struct shared *shared;
struct rig rig;
static double seconds = SECONDS;
static int niceness;

static const char policy[] =
	"[rule innocent]\n"
	"action = allow\n"
	"user = 2001\n"
	"kind = tun\n"
	"name = inn*\n"
	"address = 10.77.0.0/16\n"
	"route = 10.78.0.0/16\n"
	"[rule attackers]\n"
	"action = allow\n"
	"user = 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008\n"
	"kind = tun, tap\n"
	"name = a%u-*\n"
	"address = 10.128.0.0/9\n"
	"route = 10.128.0.0/9\n"
	"max-devices = 64\n"
	"max-addresses = 64\n"
	"max-routes = 256\n"
	"offload = yes\n";

static const struct attack no_attack = { .name = "no_attack" };
static const struct attack all_together = { .name = "all_together" };
static const struct attack *all[ATTACKS_MAX];
static unsigned n_all;

/* --- a daemon on the sockets of a service manager --------------------------- */

static int listen_on(const char *path, mode_t mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(bind(sock, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	ck_assert_int_eq(listen(sock, LIMIT_BACKLOG), 0);
	return sock;
}

static void exec_on(int socket, int admin)
{
	int log = open(rig.log, O_WRONLY | O_APPEND | O_CLOEXEC);
	char pid[16];

	dup2(log, STDERR_FILENO);
	/* Out of the way first, wherever they are. */
	socket = fcntl(socket, F_DUPFD_CLOEXEC, PASSED_FIRST + 2);
	admin = fcntl(admin, F_DUPFD_CLOEXEC, PASSED_FIRST + 2);
	dup2(socket, PASSED_FIRST);
	dup2(admin, PASSED_FIRST + 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "public:admin", 1);
	execl(rig_built("tuntapd-strict"), "tuntapd", "--policy", rig.policy,
	      "--grace", GRACE, "--user", RIG_USER, (char *)NULL);
	_exit(127);
}

static int passed = -1, passed_admin = -1;	/* what it listens on */

/* New ones: what a daemon before has told the kernel is not of these. */
static void make_sockets(void)
{
	close(passed);
	close(passed_admin);
	unlink(rig.socket);
	unlink(rig.admin);
	passed = listen_on(rig.socket, 0666);
	passed_admin = listen_on(rig.admin, 0600);
}

static void start_passed(void)
{
	rig.daemon = fork();
	ck_assert_int_ge(rig.daemon, 0);
	if (rig.daemon == 0)
		exec_on(passed, passed_admin);
}

/* --- what is left ------------------------------------------------------- */

static long rss_kib(void)
{
	char path[64];
	long size, resident = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)rig.daemon);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &size, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* As the daemon says, which must be the same one. */
static uint32_t leases(void)
{
	struct wire_message m = { .type = WIRE_STATUS };
	int sock = raw_connect(rig.admin);

	ck_assert_int_ge(sock, 0);
	raw_send(sock, &m);
	raw_receive(sock, &m);
	close(sock);
	ck_assert_int_eq(m.type, WIRE_STATE);
	ck_assert_int_eq((pid_t)m.state.pid, rig.daemon);
	return m.state.leases;
}

static void wait_for_calm(void)
{
	double end = clock_ms() + CALM_MS;

	while (leases() > 0 && clock_ms() < end)
		sleep_ms(CALM_STEP_MS);
	ck_assert_uint_eq(leases(), 0);
}

static void is_alive(void)
{
	char *log = rig_log(&rig);
	size_t len = strlen(log);

	ck_assert_msg(waitpid(rig.daemon, NULL, WNOHANG) == 0,
		      "the daemon ended; its last words: %s",
		      log + (len > LAST_WORDS ? len - LAST_WORDS : 0));
	free(log);
}

/* --- one attack --------------------------------------------------------- */

static unsigned start(const struct attack *a)
{
	unsigned n = 0;

	if (a == &all_together)
		for (unsigned i = 0; i < n_all; i++)
			n = all[i]->early ? n :
				attack_start(all[i], n, niceness);
	else
		n = attack_start(a, n, niceness);
	return n;
}

/* True: this system has not what the attack needs. */
static bool collect(struct row *row, unsigned attackers)
{
	bool cannot = false;

	for (unsigned i = 0; i < attackers; i++) {
		add_tallies(row->tallies, shared->attackers[i].tallies);
		cannot |= shared->attackers[i].cannot;
	}
	return cannot && attackers > 0;
}

/* Else it says nothing that others did not notice it. */
static void did_something(const struct row *row)
{
	for (unsigned i = 0; i < TALLIES_MAX && row->tallies[i].what[0]; i++)
		ck_assert_msg(row->tallies[i].n > 0, "the attackers managed 0 "
			      "%s", row->tallies[i].what);
}

static void served(const struct measured *m)
{
	ck_assert_msg(m->failed_opens == 0, "%u of %u opens of the innocent "
		      "failed; the first: %s", m->failed_opens, m->open.n,
		      m->why);
	ck_assert_msg(m->failed_statuses == 0, "%u of %u of root's tuntapctl "
		      "status failed", m->failed_statuses, m->status.n);
	ck_assert_uint_gt(m->open.n, 0);
	ck_assert_uint_gt(m->status.n, 0);
}

static void under(const struct attack *a, struct row *row)
{
	const struct rig_options o = { .policy = policy };
	unsigned fds, attackers = 0;
	char *host;

	shared->test = getpid();
	rig_start(&rig, &o);
	if (a->early) {
		rig_stop(&rig);
		make_sockets();
		start_passed();
		leases();
	}
	fds = rig_fds_at_rest(&rig);
	host = host_state();
	shared->before = (struct measured){ .failed_opens = 0 };
	measure(&shared->before, BEFORE_SECONDS);
	measured_add(&shared->between, &shared->before);
	served(&shared->before);
	wait_for_calm();
	if (a->early) {
		rig_stop(&rig);
		make_sockets();
		attackers = start(a);
		start_passed();
	} else {
		row->rss_before = rss_kib();
		attackers = start(a);
		sleep_ms(RAMP_MS);
	}
	row->ran = true;
	measure(&row->measured, seconds);
	attack_stop();
	is_alive();
	served(&row->measured);
	wait_for_calm();
	attack_kill(attackers);
	row->skipped = collect(row, attackers);
	did_something(row);
	rig_fds_return_to(&rig, fds);
	host_unchanged(host);
	row->rss_after = rss_kib();
	if (!a->early && !getenv("TUNTAPD_SANITIZED"))
		ck_assert_int_le(row->rss_after - row->rss_before,
				 RSS_GROWTH_KIB);
	rig_stop(&rig);
	row->passed = true;
}

/* --- all of them -------------------------------------------------------- */

START_TEST(attack)
{
	struct row *row = &shared->rows[_i];

	/* As many processors' work as there are attackers. */
	if (all[_i] == &all_together && live_too_slow(row->name))
		row->ran = row->skipped = true;
	else
		under(all[_i], row);
}
END_TEST

/* Check's word for it, after what the table says. */
static bool run(unsigned i)
{
	Suite *s = suite_create("hostile");
	TCase *t = tcase_create(all[i]->name);
	struct row *row = &shared->rows[i];
	TestResult **results;
	SRunner *runner;

	snprintf(row->name, sizeof(row->name), "%s", all[i]->name);
	memset(shared->attackers, 0, sizeof(shared->attackers));
	shared->stop = false;
	tcase_set_timeout(t, TEST_SECONDS);
	tcase_add_loop_test(t, attack, (int)i, (int)i + 1);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_SILENT);
	row->passed = srunner_ntests_failed(runner) == 0 && row->ran;
	report_row(row);
	results = srunner_failures(runner);
	if (!row->passed)
		printf("FAILED %s: %s\n", row->name, tr_msg(results[0]));
	free(results);
	srunner_free(runner);
	return row->passed;
}

static void gather(const struct attack *from)
{
	for (; from->name; from++)
		all[n_all++] = from;
}

static void gather_all(void)
{
	all[n_all++] = &no_attack;
	gather(byte_attacks);
	gather(flood_attacks);
	gather(device_attacks);
	gather(fd_attacks);
	all[n_all++] = &all_together;
}

static int usage(void)
{
	fprintf(stderr, "usage: hostile [--seconds N] [--nice N] "
		"[--json FILE] [ATTACK ...]\nattacks:");
	for (unsigned i = 0; i < n_all; i++)
		fprintf(stderr, " %s", all[i]->name);
	fprintf(stderr, "\n");
	return EXIT_USAGE;
}

static bool is_wanted(const char *name, char **names)
{
	bool wanted = !*names;

	for (; *names && !wanted; names++)
		wanted = strcmp(name, *names) == 0;
	return wanted;
}

static int run_all(char **names, const char *json)
{
	unsigned passed_n = 0, failed = 0, skipped = 0;

	report_head();
	for (unsigned i = 0; i < n_all; i++) {
		if (!is_wanted(all[i]->name, names))
			continue;
		shared->n_rows = i + 1;
		if (!run(i))
			failed++;
		else if (shared->rows[i].skipped)
			skipped++;
		else
			passed_n++;
	}
	report_between(&shared->between);
	if (json && report_json(json)) {
		perror(json);
		failed++;
	}
	printf("hostile: %u passed, %u failed, %u skipped\n", passed_n, failed,
	       skipped);
	if (failed > 0)
		return EXIT_FAILURE;
	return passed_n > 0 ? EXIT_SUCCESS : EXIT_SKIPPED;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "nice", required_argument, NULL, 'n' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	const char *json = NULL;
	int opt;

	gather_all();
	while ((opt = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (opt == 's')
			seconds = atof(optarg);
		else if (opt == 'n')
			niceness = atoi(optarg);
		else if (opt == 'j')
			json = optarg;
		else
			return usage();
	}
	if (!(seconds > 0 && seconds <= SECONDS_MAX))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		live_skip("hostile", "needs root: it makes network namespaces");
		return EXIT_SKIPPED;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return EXIT_FAILURE;
	}
	return run_all(argv + optind, json);
}
