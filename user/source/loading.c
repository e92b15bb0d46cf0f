// SPDX-License-Identifier: GPL-2.0-only
#include "source/loading.h"

#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "source/hooks.h"
#include "source/privilege.h"

static char complaint[256];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !complaint[0]) {
		vsnprintf(complaint, sizeof(complaint), format, args);
		complaint[strcspn(complaint, "\n")] = '\0';
	}
	return 0;
}

void kl_complaints_start(void)
{
	complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
}

const char *kl_first_complaint(void)
{
	return complaint;
}

int kl_check_privileges(struct kl_error *err)
{
	char missing[64];

	if (kl_missing_capabilities(missing, sizeof(missing)))
		return kl_fail(err, -EPERM, "missing privilege: %s (run it as root)", missing);
	return 0;
}

int kl_find_interfaces(const struct kl_live_config *config, struct kl_error *err)
{
	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < config->interface_count[side]; i++) {
			const char *name = config->interfaces[side][i];
			unsigned ifindex = if_nametoindex(name);

			if (!ifindex)
				return kl_fail(err, -ENODEV, "%s: no such interface", name);
			kl_clear_stale_filters(ifindex);
		}
	}
	return 0;
}

uint32_t kl_round_up_pow2(uint32_t v)
{
	uint32_t p = 1;

	while (p < v && p < 1U << 31)
		p <<= 1;
	return p;
}

uint32_t kl_ring_bytes(const struct kl_live_config *config)
{
	uint32_t ring = kl_round_up_pow2(config->ring_bytes);
	long page = sysconf(_SC_PAGESIZE);

	return ring < page ? (uint32_t)page : ring;
}
