/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A way out that never holds up who writes: records go to a queue, and a thread of its own writes
 * them to the file, however long its reader takes. What finds no room in the queue is dropped, whole
 * records at a time, and counted. From the first dropped record on all are, until the reader has
 * caught up with half of the queue and the gap was told of: so there is one gap and not many.
 *
 * A struct kl_outlet owns the thread, the queue and kl_outlet_file(), and not the file it writes to.
 * All functions are for one thread, but kl_outlet_dropped(), which any may call. SIGPIPE must be
 * ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct kl_outlet;

/* Records that were dropped in a row. */
struct kl_outlet_gap {
	uint64_t records;
	uint64_t from_ns; /* CLOCK_REALTIME; of the first and the last one */
	uint64_t to_ns;
};

/* fd: written to from now on, until closed. max_bytes: of the queue, with what it costs to keep it. */
int kl_outlet_open(int fd, size_t max_bytes, struct kl_outlet **ret);
/* What still waits is lost. NULL is fine. */
void kl_outlet_close(struct kl_outlet *o);

/* Where a record is printed to. It holds nothing but the record that is being printed. */
FILE *kl_outlet_file(const struct kl_outlet *o);
/*
 * What was printed is a whole record: queued, or dropped. Nothing printed is no record. Returns 0
 * also where it is dropped; a negative errno is what a write came to (-EPIPE: the reader went away).
 */
int kl_outlet_commit(struct kl_outlet *o);
/* The same for what must not be dropped: it is queued whatever there is room for, and ends a gap. */
int kl_outlet_commit_always(struct kl_outlet *o);

/* Is there a gap to tell of, and room again? Print a record of it, and kl_outlet_commit_always(). */
bool kl_outlet_gap_over(struct kl_outlet *o, struct kl_outlet_gap *ret);
/* A gap that is to be told of, room or not. */
bool kl_outlet_gap(struct kl_outlet *o, struct kl_outlet_gap *ret);

/* What is queued may go now. Returns as kl_outlet_commit(). */
int kl_outlet_flush(struct kl_outlet *o);
/* Records that are not yet written, after waiting for it to be none, wait_ms at most. */
size_t kl_outlet_wait(struct kl_outlet *o, unsigned wait_ms);
int kl_outlet_error(struct kl_outlet *o);
/* So far. */
uint64_t kl_outlet_dropped(struct kl_outlet *o);
