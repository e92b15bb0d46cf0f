/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes batches to a store in a thread of its own, so that a slow disk holds nobody up. It takes
 * one batch at a time, and tries it again until it is written; whoever has more keeps it meanwhile.
 *
 * A struct kl_writer owns its store, its thread and the batch that was given.
 */
#pragma once

#include "history/history.h"
#include "history/store.h"

struct kl_batch {
	struct kl_rows rows;
	uint64_t records; /* in it, as the caller counts */
	bool dropped;	  /* this host dropped something: the rules of its filter are looked at */
	int64_t run;
	uint64_t time_ns; /* CLOCK_REALTIME */
};

struct kl_writer;

/* Takes the store, also where it fails. */
int kl_writer_new(struct kl_store *store, const struct kl_history_config *config,
		  struct kl_writer **ret);

/* Has it nothing to do? */
bool kl_writer_is_idle(struct kl_writer *w);
/* It is of no use any more: the file is damaged, or nobody's to write. */
bool kl_writer_is_broken(struct kl_writer *w);
/* What is in the batch; it is empty then. Only where it is idle. */
void kl_writer_give(struct kl_writer *w, struct kl_batch *batch);
/* Records that are on the disk. */
uint64_t kl_writer_written(struct kl_writer *w);
/* A line that is to be said, once. */
bool kl_writer_notice(struct kl_writer *w, char *ret, size_t size);
/* Until all is written or cannot be, at most so long. False: not all is. */
bool kl_writer_wait(struct kl_writer *w, unsigned seconds);
/* What is not written by then is not. False: it hangs in the disk, and is to be left behind. */
bool kl_writer_stop(struct kl_writer *w);
/* Only one that was stopped. NULL is fine. */
void kl_writer_free(struct kl_writer *w);
