/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the kernel's counters, which only grow, to what one tick and the whole run report.
 *
 * Invariants, in each direction and kind: sent = delivered + lost_between + pending, where sent,
 * delivered and lost_between are sums over all ticks so far and pending is the state at the last
 * one; and the sums over all ticks are the totals. A segment that was counted as sent and then
 * turned out not to be claimable leaves `sent` again, but never so that a tick would have to report
 * a negative number: until enough others were sent, it stays in `pending`.
 */
#pragma once

#include <stdint.h>

#include <kaloss/abi.h>

struct kl_count {
	uint64_t sent;
	uint64_t delivered;
	uint64_t lost_between;
	uint64_t retransmitted;
	uint64_t duplicates;
	uint64_t pending; /* at the end, not during the interval */
};

struct kl_times {
	uint64_t count;
	uint64_t p50_us;
	uint64_t p99_us;
	uint64_t max_ns; /* exact, where the p's are within 6.25 % */
};

struct kl_integrity {
	uint64_t events_lost;
	uint64_t join_full;
	uint64_t flows_evicted; /* segments of connections without a place, connections forgotten */
	uint64_t unpaired;	/* sum of unpaired_by */
	uint64_t malformed;
	uint64_t fragments;
	uint64_t late;
	uint64_t collisions;
	uint64_t gaps;	     /* times that a hook may have been blind */
	uint64_t missing_ms; /* how long an interface was not watched */
	uint64_t one_way;    /* connections of which only one direction comes by */
	uint64_t wrong_way[KL_SIDES];
	uint64_t records_dropped; /* nobody read them; what is in them is counted all the same */
	uint64_t unpaired_by[KL_FATES];
};

/* What one tick reports, or, as totals, the whole run. */
struct kl_tally_report {
	struct kl_count direction[KL_DIRECTIONS];
	uint64_t segments[KL_DIRECTIONS];
	struct kl_count kind[KL_DIRECTIONS][KL_KINDS];
	bool kind_seen[KL_KINDS]; /* in this run so far */
	struct kl_times transit;
	struct kl_times answer; /* from a keepalive to its answer, at the keepalive's near side */
	struct kl_integrity integrity;
};

/* What user space itself counts. Zeroed at the start, then only grows. */
struct kl_tally_own {
	uint64_t flows_evicted;
	uint64_t gaps;
	uint64_t missing_ms;
	uint64_t one_way;
	uint64_t records_dropped;
	/* First copies seen here that were not the first ones sent. */
	uint64_t retransmitted[KL_DIRECTIONS];
};

struct kl_tally_state {
	struct kl_counters last; /* the kernel's, at the last tick */
	struct kl_tally_report total;
	struct kl_tally_own own; /* the caller counts here */
	struct kl_tally_own last_own;
};

/*
 * now: the kernel's counters; max: its maxima since the last tick.
 * Fills *ret with what happened since the last call and adds it to s->total.
 */
void kl_tally_tick(struct kl_tally_state *s, const struct kl_counters *now,
		   const struct kl_maxima *max, struct kl_tally_report *ret);

/* Segments under way in both directions and all kinds. */
uint64_t kl_tally_pending(const struct kl_counters *n);
