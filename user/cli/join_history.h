/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a joiner keeps beside its records (--history): its losses and gaps as they were committed, and
 * what was counted with them. A record is not published before it is in the file, so that what was
 * reported can be found there; a disk that hangs holds nobody up for longer than a moment. What another
 * joiner committed and did not get published is in the file of who publishes it, each loss once.
 *
 * NULL is fine everywhere: there is none then.
 */
#pragma once

#include "core/site_counts.h"
#include "util/error.h"

struct kl_join_history;

struct kl_join_history_config {
	const char *path;
	const char *joiner; /* its name */
	uint64_t keep_ns, max_bytes;
	uint64_t patience_ns; /* how long a disk may hold up what is published */
	void (*say)(const char *line, void *arg);
};

/* -EBUSY: another one writes it. */
int kl_join_history_open(const struct kl_join_history_config *config, uint64_t realtime_ns,
			 struct kl_join_history **ret, struct kl_error *err);

/* A committed record, as it is published. Of other types than those above nothing is kept. */
void kl_join_history_tell(struct kl_join_history *h, const char *record);
/* What was counted in a commit. */
void kl_join_history_count(struct kl_join_history *h, const struct kl_site_counts *committed);
/* The last of a commit. Returns what kl_join_history_has() is to be asked for. */
uint64_t kl_join_history_mark(struct kl_join_history *h);
/* Is all that was told before the mark on the disk, or has that taken too long? */
bool kl_join_history_has(struct kl_join_history *h, uint64_t mark, uint64_t now_ns);

struct kl_join_history_now {
	uint64_t realtime_ns;
	uint64_t refused; /* batches, so far */
	size_t phones;
};

/* Is there something to hand over, and the last hand-over done? */
bool kl_join_history_is_due(const struct kl_join_history *h, uint64_t realtime_ns);
void kl_join_history_tick(struct kl_join_history *h, const struct kl_join_history_now *now);
/* Says what could not be written. */
void kl_join_history_close(struct kl_join_history *h, const struct kl_join_history_now *now);
