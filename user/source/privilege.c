// SPDX-License-Identifier: GPL-2.0-only
#include "source/privilege.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

static bool has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[capability / 32].effective >> capability % 32 & 1;
}

int kl_missing_capabilities(char *ret, size_t size)
{
	static const struct {
		unsigned capability;
		const char *name;
	} needed[] = {
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_PERFMON, "CAP_PERFMON" },
	};
	int missing = 0;

	ret[0] = '\0';
	/* CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON. */
	for (size_t i = 0; i < KL_COUNT(needed); i++) {
		if (has_capability(needed[i].capability) ||
		    (needed[i].capability != CAP_NET_ADMIN && has_capability(CAP_SYS_ADMIN)))
			continue;
		snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", missing++ ? ", " : "",
			 needed[i].name);
	}
	return missing;
}
