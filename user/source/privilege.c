// SPDX-License-Identifier: GPL-2.0-only
#include "source/privilege.h"

#include <cap-ng.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "util/cleanup.h"

static bool has_capability(unsigned capability)
{
	/* (The library remembers what it read last.) */
	return !capng_get_caps_process() && capng_have_capability(CAPNG_EFFECTIVE, capability);
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

int kl_keep_capabilities(uint64_t set, struct kl_error *err)
{
	uint64_t kept = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return kl_fail(err, -errno, "no_new_privs: %s", strerror(errno));
	if (capng_get_caps_process())
		return kl_fail(err, -EPERM, "this process's capabilities cannot be read");
	for (unsigned c = 0; c <= CAP_LAST_CAP; c++)
		kept |= (uint64_t)(capng_have_capability(CAPNG_PERMITTED, c) == 1) << c;
	kept &= set;
	/* The bounding set as far as it may be changed: to change it is a privilege, too. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)) {
		capng_clear(CAPNG_SELECT_BOUNDS);
		if (capng_apply(CAPNG_SELECT_BOUNDS))
			return kl_fail(err, -EPERM, "the bounding set cannot be emptied");
	}
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	for (unsigned c = 0; c <= CAP_LAST_CAP; c++) {
		if (kept >> c & 1)
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, c);
	}
	if (capng_apply(CAPNG_SELECT_AMBIENT) || capng_apply(CAPNG_SELECT_CAPS))
		return kl_fail(err, -EPERM, "capabilities cannot be given up");
	return 0;
}
