/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What record.c (events), record_state.c (what is counted) and history.c (batches) share, and nobody
 * else includes.
 */
#pragma once

#include <kaloss/abi.h>
#include <uthash.h>

#include "history/copies.h"
#include "history/counts.h"
#include "history/history.h"
#include "history/writer.h"

/* A session that has a number. */
struct kl_known {
	uint64_t id; /* the run's */
	uint64_t start_ns;
	int64_t number;			 /* the history's */
	uint64_t looks;			 /* a hash of what was written of it; 0: nothing yet */
	uint64_t written_ns;		 /* and when */
	uint64_t period_us;		 /* and its period then */
	bool stray;			 /* the run does not know it any more */
	struct kl_session_counts before; /* at the beginning of the part */
	UT_hash_handle hh;
};

/* All that is counted since its beginning. */
struct kl_minute {
	uint64_t start_ns; /* CLOCK_REALTIME */
	uint64_t mac_flushes;
	uint64_t phones;
	uint64_t transit_max_ns, answer_max_ns;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	struct kl_counters before;
	struct kl_tally_own own_before;
};

struct kl_history {
	struct kl_history_config config;
	char *path;
	struct kl_writer *writer;
	struct kl_batch batch;
	size_t room_bytes; /* for the batch */
	uint64_t told;	   /* records */
	uint64_t missing;  /* of them, those that found no room */
	int64_t run, next_session;
	uint64_t offset_ns; /* added to the run's times */
	uint64_t tick_ns;   /* the last tick, CLOCK_REALTIME; 0: no run yet */
	uint64_t end_ns;    /* the same, before the clock was set, if it was */
	uint64_t given_ns;  /* the last batch, of the run's clock */
	struct kl_known *known;
	struct kl_copies copies;
	uint64_t part_start_ns;
	struct kl_bytes gone; /* counts of sessions that left in this part */
	struct kl_minute minute;
	struct kl_counters counters; /* at the last tick */
	struct kl_tally_own own;
	struct kl_evidence has;
	/* Nothing is taken: there was no room for the batch. */
	bool skipping;
	uint64_t skipped;      /* records */
	uint64_t skip_from_ns; /* CLOCK_REALTIME */
	bool in_memory;	       /* it was memory that there was none of */
};

static inline int64_t kl_history_time(const struct kl_history *h, uint64_t time_ns)
{
	return (int64_t)(time_ns ? time_ns + h->offset_ns : 0);
}

/* ---- history.c ---- */

/* One record more; false: it is not taken. */
bool kl_history_takes(struct kl_history *h);
struct kl_known *kl_history_know(struct kl_history *h, uint64_t id, uint64_t start_ns);
void kl_history_forget_strays(struct kl_history *h);

/* ---- record_state.c ---- */

/* Everything begins anew. */
void kl_history_begin_part(struct kl_history *h, const struct kl_history_tick *tick);
void kl_history_count(struct kl_history *h, const struct kl_history_tick *tick);
/* The minute is over, or not yet: what is there of it. */
void kl_history_put_minute(struct kl_history *h);
void kl_history_begin_minute(struct kl_history *h);
/* all: also of sessions that are as they were. */
void kl_history_put_part(struct kl_history *h, const struct kl_history_tick *tick, bool all);
/* site: NULL: of this host. */
void kl_history_put_session(struct kl_history *h, struct kl_known *k, const struct kl_session *s,
			    const char *site);
