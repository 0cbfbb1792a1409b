/* doctor: who else manages network interfaces, and knows to let ours be? */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define RULES		"70-tuntapd.rules"

/* Where each looks, as systemd of today does. */
static const char *const rules_folders[] = {
	"/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
	"/usr/lib/udev/rules.d", "/lib/udev/rules.d", NULL
};
static const char *const network_folders[] = {
	"/etc/systemd/network", "/run/systemd/network",
	"/usr/local/lib/systemd/network", "/usr/lib/systemd/network",
	"/lib/systemd/network", NULL
};

static bool is_in(const char *const *folders, const char *file)
{
	char path[DOCTOR_PATH_MAX];

	for (; *folders; folders++) {
		snprintf(path, sizeof(path), "%s/%s", *folders, file);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static bool is_process(const char *pid, const char *comm)
{
	char path[DOCTOR_PATH_MAX], name[DOCTOR_LINE_MAX];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (!read_line(path, name))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, comm) == 0;
}

static bool runs(const char *comm)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	bool does = false;

	while (proc && !does && (e = readdir(proc)))
		does = isdigit((unsigned char)e->d_name[0]) &&
		       is_process(e->d_name, comm);
	if (proc)
		closedir(proc);
	return does;
}

/* What one of them needs to see; file: beside the rules, or NULL. */
static void look_manager(const char *name, const char *comm, const char *file,
			 struct finding *ret)
{
	bool rules = is_in(rules_folders, RULES);

	if (access("/proc/1/comm", R_OK) < 0)
		found(ret, HEALTH_UNSEEN, "others' processes are hidden from "
		      "you; ask root to look whether %s runs", name);
	else if (!runs(comm))
		found(ret, HEALTH_OK, "%s does not run", name);
	else if (!rules || (file && !is_in(network_folders, file)))
		found(ret, HEALTH_WARNING, "%s runs, and may change our "
		      "devices or end them: %s is not where it looks; "
		      "install it from systemd/ of tuntapd (make install) with "
		      "a PREFIX of /usr or /usr/local, then udevadm control "
		      "--reload",
		      name, rules ? file : RULES);
	else
		found(ret, HEALTH_OK, "%s runs, and is told to let our devices "
		      "be", name);
}

static void look_udev(const struct patient *p, struct finding *ret)
{
	(void)p;
	look_manager("udev", "systemd-udevd", "00-tuntapd.link", ret);
}

static void look_networkd(const struct patient *p, struct finding *ret)
{
	(void)p;
	look_manager("systemd-networkd", "systemd-network",
		     "00-tuntapd.network", ret);
}

static void look_network_manager(const struct patient *p, struct finding *ret)
{
	(void)p;
	look_manager("NetworkManager", "NetworkManager", NULL, ret);
}

const struct check doctor_manager_checks[] = {
	{ "udev", look_udev },
	{ "networkd", look_networkd },
	{ "network-manager", look_network_manager },
	{ NULL, NULL }
};
