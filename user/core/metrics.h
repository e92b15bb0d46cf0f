/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run comes to so far, as counters that only grow: what metrics are made of. Those that the
 * kernel and the sessions count come with a tick; the others are counted here, as they happen.
 * Pure. Holds no pointers: it may be copied, and the copy is a snapshot as of the last tick, as
 * long as nothing is counted between the tick and the copy.
 *
 * Invariant, at each tick: the numbers are the sums over all ticks so far (core/tally.h).
 */
#pragma once

#include "core/cucm_alarm.h"
#include "core/evidence.h"
#include "core/session.h"
#include "core/tally.h"

enum {
	KL_METRICS_PROGRAMS = 8,
};

/* A program of ours in the kernel. */
struct kl_metrics_program {
	char name[32];
	uint64_t runs;
	uint64_t run_ns;
};

struct kl_metrics {
	uint64_t start_ns; /* CLOCK_REALTIME */
	uint64_t tick_ns;  /* the same; 0: there was none yet */
	size_t phones;
	struct kl_tally_report total;
	uint64_t transit[KL_HIST_BUCKETS];
	uint64_t answer[KL_HIST_BUCKETS];
	/* Outside the two interfaces; KL_BETWEEN is in the total. */
	uint64_t lost_outside[KL_DIRECTIONS][KL_KINDS][KL_WHERES];
	/* First copies that were seen and not the first ones sent: in no kind of the total. */
	uint64_t retransmitted_unseen[KL_DIRECTIONS][KL_KINDS];
	bool has_mac[KL_MAC_SOURCES]; /* somebody tells of these */
	uint64_t mac[KL_MAC_SOURCES][KL_MAC_HAPPENINGS];
	bool has_alarms;			       /* the call server's are listened for */
	uint64_t unregistrations[KL_CUCM_REASONS_MAX]; /* as kl_cucm_reasons() lists them */
	uint64_t unregistrations_other;		       /* of another reason, or of none */
	uint64_t forecasts[KL_FORECAST_STATES];
	size_t program_count; /* 0: they are not measured */
	struct kl_metrics_program program[KL_METRICS_PROGRAMS];
};

void kl_metrics_story(struct kl_metrics *m, const struct kl_story *story);
void kl_metrics_mac(struct kl_metrics *m, const struct kl_mac_evidence *e);
/* An alarm for which kl_alarm_is_unregistration(). */
void kl_metrics_unregistration(struct kl_metrics *m, const struct kl_alarm *a);
/* A tick was counted into the tally. has: its has_… alone. */
void kl_metrics_tick(struct kl_metrics *m, const struct kl_tally_state *tally,
		     const struct kl_evidence *has);
