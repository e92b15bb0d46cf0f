/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A capture read ahead, in a thread of its own and in batches: two sides are read at the same time
 * while what they hold is judged in a third thread. A few batches wait at most, so memory
 * does not grow where the reader is the faster one. From a pipe nothing is read ahead: a read could
 * not be interrupted.
 *
 * The capture stays the caller's, who must leave it alone until kl_ahead_close(), but for
 * kl_capture_progress(), or until kl_ahead_next() said that there is nothing more.
 */
#pragma once

#include "source/capture.h"

struct kl_ahead;

/* Segments that follow one another, and what was known when the last of them was read. */
struct kl_batch {
	const struct kl_captured *segments;
	size_t count;	  /* 0: only at the end */
	uint64_t packets; /* of the capture, up to there */
	/* As of kl_capture_coverage(), up to there; also of packets behind the last segment. */
	const struct kl_capture_range *ranges;
	size_t range_count;
	/* What became known since the last batch. Where it is not said when: all of the file. */
	const struct kl_capture_drop *drops;
	size_t drop_count;
};

int kl_ahead_open(struct kl_capture *c, struct kl_ahead **ret, struct kl_error *err);
void kl_ahead_close(struct kl_ahead *a); /* NULL is fine */
static inline void kl_ahead_closep(struct kl_ahead **a)
{
	kl_ahead_close(*a);
}

/* As kl_capture_next(), of batches. A batch is valid until the next call. */
int kl_ahead_next(struct kl_ahead *a, const struct kl_batch **ret, struct kl_error *err);
