#include "advice.h"

#include <stdio.h>

const struct advice advice = {
	.start = "systemctl start tuntapd.socket",
	.start_admin = "systemctl start tuntapd-admin.socket",
	.restart = "systemctl restart tuntapd; devices stay",
	.make_group = "systemd-sysusers makes it, or groupadd -r " ADVICE_GROUP,
	.have_guard = "load the modules sch_ingress and cls_bpf, or, where "
		      "every holder is trusted, let the rule say "
		      "source-guard = off",
	.have_features = "a newer kernel has it",
};

int advice_join(char *ret, size_t cap, const char *user)
{
	return snprintf(ret, cap, "usermod -aG " ADVICE_GROUP " %s", user);
}
