/* doctor: the daemon, its sockets, its policy, and what of it is for you. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../policy/policy.h"
#include "advice.h"
#include "doctor.h"
#include "request.h"
#include "user.h"

#define GROUP		ADVICE_GROUP
#define SOCKET_OTHERS	0006		/* what others need to connect */

static void look_daemon(const struct patient *p, struct finding *ret)
{
	if (p->status)
		found(ret, HEALTH_FAULT, "%s", p->error.text);
	else
		found(ret, HEALTH_OK, "tuntapd %s, pid %u, answers at %s",
		      p->state.version, (unsigned)p->state.pid, p->socket);
}

static void look_admin(const struct patient *p, struct finding *ret)
{
	struct ttd_error error;

	if (p->chosen)
		found(ret, HEALTH_UNSEEN, "not asked: a socket was named");
	else if (geteuid() != 0)
		found(ret, HEALTH_UNSEEN, "it is for root to ask");
	else if (p->status == EXIT_SILENT)
		found(ret, HEALTH_UNSEEN, "not asked: the daemon is silent");
	else if (ctl_alive(admin_socket_path(), &error))
		found(ret, HEALTH_FAULT, "%s", error.text);
	else
		found(ret, HEALTH_OK, "the daemon answers at %s",
		      admin_socket_path());
}

/* Where there is no daemon to judge by; else the verdict is the caller's. */
static bool unknown(const struct patient *p, struct finding *ret)
{
	if (p->status)
		found(ret, HEALTH_UNSEEN, "the daemon did not tell");
	return p->status != 0;
}

static void look_version(const struct patient *p, struct finding *ret)
{
	if (unknown(p, ret))
		return;
	if (strcmp(p->state.version, ttd_version()) == 0)
		found(ret, HEALTH_OK, "tuntapd and tuntapctl are %s",
		      ttd_version());
	else
		found(ret, HEALTH_WARNING, "tuntapd is %s, tuntapctl is %s: "
		      "install the same release of both, then start tuntapd "
		      "again (%s)", p->state.version, ttd_version(),
		      advice.restart);
}

static const struct wire_feature *lacking(const struct wire_state *s,
					  const char *name)
{
	for (uint16_t i = 0; i < s->n_features; i++)
		if (!s->features[i].has &&
		    strcmp(s->features[i].name, name) == 0)
			return &s->features[i];
	return NULL;
}

static void look_devices(const struct patient *p, struct finding *ret)
{
	const struct wire_feature *f = lacking(&p->state, "devices");

	if (unknown(p, ret))
		return;
	if (f)
		found(ret, HEALTH_FAULT, "the daemon can make no devices: %s",
		      f->text);
	else
		found(ret, HEALTH_OK, "the daemon can make devices");
}

static void look_guard(const struct patient *p, struct finding *ret)
{
	const struct wire_feature *f = lacking(&p->state, "guard");

	if (unknown(p, ret))
		return;
	if (f && advice.have_guard)
		found(ret, HEALTH_FAULT, "there is no source guard: %s; %s",
		      f->text, advice.have_guard);
	else if (f)
		found(ret, HEALTH_NOTE, "there is no source guard: %s",
		      f->text);
	else
		found(ret, HEALTH_OK, "the kernel has the source guard");
}

static bool has_check(const char *feature)
{
	return strcmp(feature, "devices") == 0 || strcmp(feature, "guard") == 0;
}

static void look_kernel(const struct patient *p, struct finding *ret)
{
	char lacks[FINDING_TEXT_MAX] = "";
	size_t n = 0;

	if (unknown(p, ret))
		return;
	for (uint16_t i = 0; i < p->state.n_features; i++) {
		const struct wire_feature *f = &p->state.features[i];

		if (!f->has && !has_check(f->name) && n < sizeof(lacks))
			n += (size_t)snprintf(lacks + n, sizeof(lacks) - n,
					      "%s%s", n ? "; " : "", f->name);
	}
	if (n && advice.have_features)
		found(ret, HEALTH_WARNING, "the kernel (%s) lacks %s: it works "
		      "without; tuntapctl status says what follows, %s",
		      p->state.kernel, lacks, advice.have_features);
	else if (n)
		found(ret, HEALTH_NOTE, "the kernel (%s) lacks %s: it works "
		      "without; tuntapctl status says what follows",
		      p->state.kernel, lacks);
	else
		found(ret, HEALTH_OK, "the kernel (%s) has all else that is "
		      "used", p->state.kernel);
}

/* Root's, or of the user whom the daemon runs as, as far as that is seen. */
static bool is_daemons(const struct patient *p, uid_t owner)
{
	char path[DOCTOR_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", (unsigned)p->state.pid);
	return owner == 0 || p->status || stat(path, &st) < 0 ||
	       st.st_uid == owner;
}

/* Can nobody but root and the daemon put another socket in its place? */
static bool is_safe_folder(const struct patient *p,
			   char folder[DOCTOR_PATH_MAX])
{
	const char *slash = strrchr(p->socket, '/');
	struct stat st;

	snprintf(folder, DOCTOR_PATH_MAX, "%.*s",
		 slash ? (int)(slash - p->socket) : 1, slash ? p->socket : ".");
	return stat(*folder ? folder : "/", &st) < 0 ||
	       (is_daemons(p, st.st_uid) &&
		!(st.st_mode & (S_IWGRP | S_IWOTH)));
}

static void look_socket(const struct patient *p, struct finding *ret)
{
	char folder[DOCTOR_PATH_MAX];
	struct stat st;

	if (stat(p->socket, &st) < 0)
		found(ret, errno == EACCES ? HEALTH_UNSEEN : HEALTH_FAULT,
		      "%s: %s", p->socket, strerror(errno));
	else if (!is_safe_folder(p, folder))
		found(ret, HEALTH_FAULT, "others than root and the daemon can put "
		      "a socket of theirs in the place of %s; chmod go-w %s, "
		      "or chown it to root", p->socket, folder);
	else if (!is_daemons(p, st.st_uid))
		found(ret, HEALTH_FAULT, "%s belongs to uid %u, who is neither "
		      "root nor the daemon; remove it and start tuntapd again",
		      p->socket, (unsigned)st.st_uid);
	else if ((st.st_mode & SOCKET_OTHERS) != SOCKET_OTHERS)
		found(ret, HEALTH_WARNING, "%s has mode %04o: not everybody "
		      "may ask; chmod 0666 %s, for the policy decides who gets "
		      "what", p->socket, st.st_mode & 07777, p->socket);
	else
		found(ret, HEALTH_OK, "%s is there for everybody, mode %04o",
		      p->socket, st.st_mode & 07777);
}

static void look_admin_socket(const struct patient *p, struct finding *ret)
{
	const char *path = admin_socket_path();
	struct stat st;

	if (p->chosen)
		found(ret, HEALTH_UNSEEN, "not looked at: another socket was "
		      "named");
	else if (stat(path, &st) < 0)
		found(ret, HEALTH_WARNING, "%s: %s; without it root can "
		      "neither reload nor close others' leases: %s", path,
		      strerror(errno), advice.start_admin);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		found(ret, HEALTH_FAULT, "%s has mode %04o: others than root "
		      "may have the policy read again and end all leases; "
		      "chmod 0600 %s", path, st.st_mode & 07777, path);
	else
		found(ret, HEALTH_OK, "%s is root's alone, mode %04o", path,
		      st.st_mode & 07777);
}

/* The first warning, and how many there are. */
struct warned {
	unsigned n;
	char first[FINDING_TEXT_MAX / 2];
};

static void note_warning(void *arg, const char *text)
{
	struct warned *w = arg;

	if (w->n++ == 0)
		snprintf(w->first, sizeof(w->first), "%s", text);
}

static void look_files(const struct patient *p, struct finding *ret)
{
	struct policy_fault fault = { .text = "" };
	struct warned warned = { .n = 0 };
	struct policy *policy;
	unsigned there = 0;
	size_t n;
	int r = policy_load(policy_folders, POLICY_FOLDERS, &there,
			    user_resolve, NULL, &policy, &fault);

	(void)p;
	if (r == -EACCES && geteuid() != 0) {
		found(ret, HEALTH_UNSEEN, "the policy's files are for root to "
		      "read");
		return;
	}
	if (r) {
		found(ret, HEALTH_FAULT, "%s; then tuntapctl reload",
		      fault.text);
		return;
	}
	policy_warn(policy, note_warning, &warned);
	n = policy_n_rules(policy);
	if (warned.n)
		found(ret, HEALTH_WARNING, "%s (tuntapctl policy test tells "
		      "all, %u of them)", warned.first, warned.n);
	else
		found(ret, HEALTH_OK, "the files of the policy have %zu "
		      "rule%s, and no faults", n, n == 1 ? "" : "s");
	policy_free(policy);
}

static void look_policy(const struct patient *p, struct finding *ret)
{
	const struct wire_state *s = &p->state;

	if (unknown(p, ret))
		return;
	if (s->policy_fault[0])
		found(ret, HEALTH_FAULT, "the policy in force is not that of "
		      "the files: %s; as root, tuntapctl reload says it again",
		      s->policy_fault);
	else if (!s->policy_rules)
		found(ret, HEALTH_WARNING, "no rule is about you: you get no "
		      "device; ask root for one (tuntapd.conf(5)), or to be "
		      "put into the group that has one");
	else
		found(ret, HEALTH_OK, "%u rule%s about you; tuntapctl policy "
		      "show prints them", (unsigned)s->policy_rules,
		      s->policy_rules == 1 ? " is" : "s are");
}

static bool has_now(gid_t gid)
{
	struct peer me = { .n_groups = 0 };
	bool has;

	if (user_find(NULL, &me))
		return false;
	has = me.gid == gid;
	for (size_t i = 0; i < me.n_groups; i++)
		has = has || me.groups[i] == gid;
	free(me.groups);
	return has;
}

static bool is_named(const struct group *g, const struct passwd *pw)
{
	if (!pw)
		return false;
	for (char **name = g->gr_mem; *name; name++)
		if (strcmp(*name, pw->pw_name) == 0)
			return true;
	return pw->pw_gid == g->gr_gid;
}

static void look_group(const struct patient *p, struct finding *ret)
{
	const struct group *g = getgrnam(GROUP);
	const struct passwd *pw = getpwuid(geteuid());
	bool has_rule = !p->status && p->state.policy_rules;
	char join[FINDING_TEXT_MAX / 2];

	advice_join(join, sizeof(join), pw ? pw->pw_name : "NAME");
	if (!g)
		found(ret, HEALTH_WARNING, "there is no group " GROUP ", whom "
		      "the policy as it is installed gives devices; %s",
		      advice.make_group);
	else if (has_now(g->gr_gid))
		found(ret, HEALTH_OK, "you are in the group " GROUP);
	else if (is_named(g, pw))
		found(ret, HEALTH_WARNING, "you are in the group " GROUP ", "
		      "but what you run is not yet: log in anew, or newgrp "
		      GROUP);
	else if (has_rule)
		found(ret, HEALTH_OK, "you are not in the group " GROUP ", and "
		      "have a rule without");
	else
		found(ret, HEALTH_WARNING, "you are not in the group " GROUP
		      ": have root put you there (%s), then log in anew",
		      join);
}

const struct check doctor_daemon_checks[] = {
	{ "daemon", look_daemon },
	{ "admin", look_admin },
	{ "version", look_version },
	{ "devices", look_devices },
	{ "guard", look_guard },
	{ "kernel", look_kernel },
	{ "socket", look_socket },
	{ "admin-socket", look_admin_socket },
	{ "policy-files", look_files },
	{ "policy", look_policy },
	{ "group", look_group },
	{ NULL, NULL }
};
