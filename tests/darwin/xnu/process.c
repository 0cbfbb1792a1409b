/* Who the process is: bsd/kern/kern_prot.c. */
#include "kernel.h"

/*
 * setuid(), setgid(): to the real or saved one, or by root (suser(), the
 * effective uid) to any.  Root changes all three by it, others the effective.
 */
static int change(const char *call, uint32_t id, uint32_t *effective,
		  uint32_t *real, uint32_t *saved)
{
	const bool root = kern.euid == 0;

	if (!begin(call, NULL, "%u", id))
		return (int)end(xnu_errno, 0);
	if (id != *real && id != *saved && !root)
		return (int)end(XNU_EPERM, 0);
	*effective = id;
	if (root)
		*real = *saved = id;
	return (int)end(0, 0);
}

int xnu_setuid(uint32_t uid)
{
	return change("setuid", uid, &kern.euid, &kern.ruid, &kern.svuid);
}

/*
 * The effective gid is the first of the groups; if it is another of them
 * already, the two change places (kern_credential.c, kauth_cred_change_egid()).
 */
int xnu_setgid(uint32_t gid)
{
	uint32_t egid = kern.groups[0];
	const int result = change("setgid", gid, &egid, &kern.rgid,
				  &kern.svgid);

	for (unsigned i = 1; i < kern.n_groups; i++) {
		if (kern.groups[i] == egid)
			kern.groups[i] = kern.groups[0];
	}
	kern.groups[0] = egid;
	return result;
}

/* setgroups_internal(): none is one, 0, and it is the effective gid then. */
int xnu_setgroups(int n, const uint32_t *groups)
{
	if (!begin("setgroups", NULL, "%d", n))
		return (int)end(xnu_errno, 0);
	if (n < 0 || n > XNU_XUCRED_GROUPS_MAX)
		return (int)end(XNU_EINVAL, 0);
	if (kern.euid != 0)
		return (int)end(XNU_EPERM, 0);
	kern.groups[0] = 0;
	for (int i = 0; i < n; i++)
		kern.groups[i] = groups[i];
	kern.n_groups = n ? (unsigned)n : 1;
	return (int)end(0, 0);
}

uint32_t xnu_geteuid(void)
{
	return kern.euid;
}

void xnu_euid(uint32_t euid)
{
	kern.euid = kern.ruid = kern.svuid = euid;
}

void xnu_groups(uint32_t gid, const uint32_t *others, unsigned n)
{
	if (n >= XNU_XUCRED_GROUPS_MAX)
		die("more than %d groups", XNU_XUCRED_GROUPS_MAX);
	kern.rgid = kern.svgid = kern.groups[0] = gid;
	for (unsigned i = 0; i < n; i++)
		kern.groups[i + 1] = others[i];
	kern.n_groups = n + 1;
}

const char *xnu_who(void)
{
	static struct text shown;

	text_clear(&shown);
	text_add(&shown, "uid %u %u %u gid %u %u %u groups", kern.ruid,
		 kern.euid, kern.svuid, kern.rgid, kern.groups[0], kern.svgid);
	for (unsigned i = 0; i < kern.n_groups; i++)
		text_add(&shown, " %u", kern.groups[i]);
	return shown.bytes;
}
