// SPDX-License-Identifier: GPL-2.0-only
#include "cli/service.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

enum {
	INTERVALS = 3, /* without a word, before the manager may lose its patience */
};

void kl_service_ready(uint64_t interval_ns)
{
	uint64_t needs_us = INTERVALS * (interval_ns / 1000), has_us;

	sd_notify(0, "READY=1");
	if (sd_watchdog_enabled(0, &has_us) > 0)
		sd_notifyf(0, "WATCHDOG_USEC=%" PRIu64, needs_us > has_us ? needs_us : has_us);
}

/* Between, and inferred. */
static uint64_t lost(const struct kl_tally_report *report,
		     const uint64_t inferred[KL_DIRECTIONS][KL_WHERES])
{
	uint64_t count = 0;

	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		count += report->direction[d].lost_between;
		for (int where = 0; where < KL_WHERES; where++)
			count += where == KL_BETWEEN ? 0 : inferred[d][where];
	}
	return count;
}

void kl_service_tick(const struct kl_run *run, const struct kl_report_tick *tick)
{
	sd_notifyf(0,
		   "WATCHDOG=1\n"
		   "STATUS=%zu phones; lost: %" PRIu64 " in the last %.1f s, %" PRIu64
		   " since the start",
		   tick->phones, lost(tick->tally, tick->inferred), tick->interval_s,
		   lost(&run->tally.total, run->inferred));
}

void kl_service_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void kl_service_reloading(void)
{
	sd_notify(0, "RELOADING=1");
}

void kl_service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
