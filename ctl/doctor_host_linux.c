/* doctor: the kernel, and whether it is ours to use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"

#define NODE		"/dev/net/tun"
#define IPV4		"/proc/sys/net/ipv4/conf/"
#define IPV6		"/proc/sys/net/ipv6/conf/"
#define NODE_MAJOR	10
#define NODE_MINOR	200
#define CAP_NET_ADMIN_BIT	12
#define ALL_IDS		4294967295u	/* in an identity map */

static void look_node(const struct patient *p, struct finding *ret)
{
	struct stat st;

	(void)p;
	if (stat(NODE, &st) < 0)
		found(ret, HEALTH_FAULT, NODE ": %s; load the module (modprobe "
		      "tun), or make the node (mkdir -p /dev/net && mknod "
		      NODE " c 10 200); into a container the host must pass it "
		      "(--device " NODE ")", strerror(errno));
	else if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != NODE_MAJOR ||
		 minor(st.st_rdev) != NODE_MINOR)
		found(ret, HEALTH_FAULT, NODE " is not the character device "
		      "10:200; remove it and make it anew (mknod " NODE
		      " c 10 200)");
	else
		found(ret, HEALTH_OK, NODE " is the character device 10:200, "
		      "mode %04o, of uid %u%s", st.st_mode & 07777,
		      (unsigned)st.st_uid, st.st_mode & 0006 ? "" :
		      "; tuntapd, where that closes it, has one of its own");
}

/* A line of the file holds the word; false too where there is no file. */
static bool file_says(const char *path, const char *word)
{
	char line[DOCTOR_LINE_MAX];
	FILE *f = fopen(path, "re");
	bool says = false;

	while (f && !says && fgets(line, sizeof(line), f))
		says = strstr(line, word) != NULL;
	if (f)
		fclose(f);
	return says;
}

static bool has_module(const char *release)
{
	static const char *const lists[] = { "modules.dep", "modules.builtin" };
	char path[DOCTOR_PATH_MAX];

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		snprintf(path, sizeof(path), "/lib/modules/%s/%s", release,
			 lists[i]);
		if (file_says(path, "/net/tun.ko"))
			return true;
	}
	return false;
}

static void look_module(const struct patient *p, struct finding *ret)
{
	struct utsname name;

	(void)p;
	uname(&name);
	if (file_says("/proc/misc", " tun\n"))
		found(ret, HEALTH_OK, "the kernel (%s) has tun", name.release);
	else if (has_module(name.release))
		found(ret, HEALTH_WARNING, "the module tun is not loaded, but "
		      "there; tuntapd's service loads it, or do so (modprobe "
		      "tun)");
	else
		found(ret, HEALTH_FAULT, "this kernel (%s) has no tun: install "
		      "the package with its modules, start the kernel that is "
		      "installed, or build one with CONFIG_TUN", name.release);
}

static void look_rp_filter(const struct patient *p, struct finding *ret)
{
	long all = read_number(IPV4 "all/rp_filter");
	long fresh = read_number(IPV4 "default/rp_filter");

	(void)p;
	/* Of the two that a device has, its own and that of all, the larger. */
	if (all == 1 || (fresh == 1 && all < 1))
		found(ret, HEALTH_WARNING, "rp_filter is strict (all=%ld, "
		      "default=%ld): with a tunnel for everything, answers to "
		      "the tunnel's own connection are dropped; set it loose "
		      "(sysctl -w net.ipv4.conf.all.rp_filter=2, and the same "
		      "in /etc/sysctl.d)", all, fresh);
	else if (all < 0)
		found(ret, HEALTH_UNSEEN, "rp_filter cannot be read here");
	else
		found(ret, HEALTH_OK, "rp_filter is not strict");
}

static void look_ipv6(const struct patient *p, struct finding *ret)
{
	long all = read_number(IPV6 "all/disable_ipv6");
	long fresh = read_number(IPV6 "default/disable_ipv6");

	(void)p;
	if (all < 0)
		found(ret, HEALTH_WARNING, "the kernel has no IPv6 (it was "
		      "started with ipv6.disable=1, or built without): devices "
		      "with IPv6 addresses are refused");
	else if (all > 0 || fresh > 0)
		found(ret, HEALTH_WARNING, "IPv6 is disabled (all=%ld, "
		      "default=%ld): devices with IPv6 addresses are refused; "
		      "sysctl -w net.ipv6.conf.all.disable_ipv6=0 "
		      "net.ipv6.conf.default.disable_ipv6=0", all, fresh);
	else
		found(ret, HEALTH_OK, "IPv6 is there");
}

static bool in_user_namespace(void)
{
	unsigned long in, out, n;
	char line[DOCTOR_LINE_MAX], *at = line;

	if (!read_line("/proc/self/uid_map", line))
		return false;
	in = strtoul(at, &at, 10);
	out = strtoul(at, &at, 10);
	n = strtoul(at, &at, 10);
	return in != 0 || out != 0 || n != ALL_IDS;
}

/* May anybody in here have it?  True where that cannot be seen. */
static bool may_have_net_admin(void)
{
	static const char key[] = "CapBnd:";
	unsigned long long set = ~0ull;
	char line[DOCTOR_LINE_MAX];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			set = strtoull(line + sizeof(key) - 1, NULL, 16);
	if (f)
		fclose(f);
	return set >> CAP_NET_ADMIN_BIT & 1;
}

static void look_container(const struct patient *p, struct finding *ret)
{
	const char *why = !may_have_net_admin() ? "without CAP_NET_ADMIN" :
			  access(NODE, F_OK) < 0 ? "without " NODE :
			  in_user_namespace() ? "in a user namespace" : NULL;

	if (!why)
		found(ret, HEALTH_OK, "a daemon may have CAP_NET_ADMIN here");
	else if (p->status == 0)
		found(ret, HEALTH_OK, "this is %s, but a daemon answers", why);
	else
		found(ret, HEALTH_WARNING, "this is %s: a daemon in here could "
		      "make no devices, or not those of the host; let the "
		      "container have NET_ADMIN and " NODE ", or pass the "
		      "host's socket in", why);
}

static void look_programs(const struct patient *p, struct finding *ret)
{
	(void)p;
	found(ret, HEALTH_NOTE, "programs that insist on opening " NODE " or "
	      "on setting their interface up by themselves do not work; they "
	      "must take an open descriptor");
}

const struct check doctor_host_checks[] = {
	{ "node", look_node },
	{ "module", look_module },
	{ "rp-filter", look_rp_filter },
	{ "ipv6", look_ipv6 },
	{ "container", look_container },
	{ "programs", look_programs },
	{ NULL, NULL }
};
