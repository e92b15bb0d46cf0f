/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A history: what a run finds, kept in a file (docs/history.md). It is told of it as it happens,
 * gathers it, and has it written in batches by a thread of its own, so that no disk holds a run up.
 * What finds no room, in memory or on the disk, is declared as a gap in the history itself.
 *
 * A struct kl_history owns the file while it is open. Times that it is told are the run's
 * (CLOCK_MONOTONIC); in the file they are CLOCK_REALTIME in ns.
 *
 * What is told between two ticks is counted by the later one: only ticks are handed over, whole. So
 * at any moment the file has all of what was found up to some tick, and nothing behind it.
 */
#pragma once

#include "core/diagnosis.h"
#include "util/error.h"

typedef void (*kl_history_rule)(const struct kl_rule_evidence *r, void *arg);

struct kl_history_config {
	const char *path;
	uint64_t keep_ns;   /* what is older goes; 0: nothing */
	uint64_t max_bytes; /* of the file and its WAL; what is oldest goes; 0: no bound */
	const char *version;
	const char *access, *cucm; /* which interfaces, in words; NULL: none */
	const char *joiner;	   /* its name; NULL: no joiner */
	uint64_t batch_ns;	   /* between two batches; 0: KL_HISTORY_BATCH_NS */
	uint64_t part_ns;	   /* KL_HISTORY_PART_NS */
	/* A line for a person, without a newline. */
	void (*say)(const char *line, void *arg);
	/* The filter's rules that dropped since the last call. Called by the writing thread alone. */
	void (*look_at_rules)(void *arg, kl_history_rule take, void *take_arg);
	void *arg;
};

#define KL_HISTORY_BATCH_NS (10000 * KL_NS_PER_MS)
/* What sessions count, and the copies that were not lost, are kept by stretches of this length. */
#define KL_HISTORY_PART_NS (300000 * KL_NS_PER_MS)

struct kl_history;

/* Makes the file, where it is not there. -EBUSY: another one writes it. */
int kl_history_open(const struct kl_history_config *config, struct kl_history **ret,
		    struct kl_error *err);
/* A run starts: before anything is told. offset_ns: of CLOCK_REALTIME against the run's clock. */
void kl_history_begin(struct kl_history *h, uint64_t now_ns, uint64_t offset_ns);

/* drop: why it was lost, where the kernel said so; else NULL. */
void kl_history_story(struct kl_history *h, const struct kl_story *story,
		      const struct kl_drop *drop);
void kl_history_lost(struct kl_history *h, const struct kl_lost *lost, const struct kl_drop *drop);

/* What a joiner found: it may be told again, by whoever takes over, and is in the file once. */
struct kl_history_found {
	const char *site;   /* of the phones */
	const char *record; /* the loss's name among all, whoever tells of it */
};
void kl_history_lost_elsewhere(struct kl_history *h, const struct kl_lost *lost,
			       const struct kl_history_found *found);
/* A time that an agent did not cover. The same of the same agent is there once. */
struct kl_history_gap {
	const char *site, *agent, *side, *why;
	uint64_t from_ns, to_ns; /* CLOCK_REALTIME */
};
void kl_history_gap(struct kl_history *h, const struct kl_history_gap *gap);

/* The last look at a session (struct kl_sessions_config, leaves). */
void kl_history_leaves(struct kl_history *h, const struct kl_session *session);
void kl_history_mac(struct kl_history *h, const struct kl_mac_evidence *m);
void kl_history_ageing(struct kl_history *h, const struct kl_ageing_evidence *a);
void kl_history_arp(struct kl_history *h, const struct kl_arp_conflict *c);
void kl_history_alarm(struct kl_history *h, const struct kl_alarm *a);
/* A drop of this kernel behind the last hook that explained no loss. */
void kl_history_dropped(struct kl_history *h, const struct kl_drop *drop);
/* A sentence of what could not be used; the same again is told once. */
void kl_history_remark(struct kl_history *h, const char *text);

struct kl_history_tick {
	uint64_t now_ns;
	uint64_t offset_ns;
	const struct kl_counters *counters; /* of the whole run so far, as all that follows */
	const struct kl_tally_own *own;
	uint64_t transit_max_ns, answer_max_ns; /* since the last tick */
	const uint64_t (*inferred)[KL_WHERES];	/* by direction, since the last tick */
	uint64_t mac_flushes;			/* since the last tick */
	size_t phones;
	struct kl_sessions *sessions;
	const struct kl_evidence *has; /* which sources there are */
};

/* True: a batch is about to be handed over, or none was for long: what comes seldom is wanted now. */
bool kl_history_is_due(const struct kl_history *h, uint64_t now_ns);
void kl_history_tick(struct kl_history *h, const struct kl_history_tick *tick);
/* The run ended in good order, with this last tick. */
void kl_history_end(struct kl_history *h, const struct kl_history_tick *tick);

/* Records that are on the disk, and those told so far. A record is what one call above told. */
uint64_t kl_history_written(struct kl_history *h);
uint64_t kl_history_told(const struct kl_history *h);
/* Of those told, the ones that never will be: they found no room. */
uint64_t kl_history_missing(const struct kl_history *h);

/*
 * Says what could not be written. NULL is fine. False: its thread hangs in the disk, and was left
 * behind; what it may call must stay.
 */
bool kl_history_close(struct kl_history *h);
