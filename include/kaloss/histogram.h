/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A histogram of times in microseconds with eight buckets to an octave: a value read from it is
 * within 6.25 % of the true one. Times of 2^32 µs (71 minutes) and more go to the last bucket.
 */
#pragma once

#include "base.h"

enum {
	KL_HIST_SUB_BITS = 3,
	KL_HIST_BUCKETS = 240,
	KL_HIST_SLOTS = 256, /* memory, so that a mask bounds the index */
};

KL_INLINE __u32 kl_hist_bucket(__u64 us)
{
	__u32 v = us > 0xffffffffULL ? 0xffffffffU : (__u32)us;
	__u32 log2 = 0, x = v;

	if (v < 1 << KL_HIST_SUB_BITS)
		return v;
	/* Not a builtin: BPF has no instruction for it. */
	if (x >> 16) {
		log2 += 16;
		x >>= 16;
	}
	if (x >> 8) {
		log2 += 8;
		x >>= 8;
	}
	if (x >> 4) {
		log2 += 4;
		x >>= 4;
	}
	if (x >> 2) {
		log2 += 2;
		x >>= 2;
	}
	log2 += x >> 1;
	return ((log2 - KL_HIST_SUB_BITS + 1) << KL_HIST_SUB_BITS) +
	       (v >> (log2 - KL_HIST_SUB_BITS) & ((1 << KL_HIST_SUB_BITS) - 1));
}

/* The smallest value of a bucket, in µs. */
KL_INLINE __u64 kl_hist_floor(__u32 bucket)
{
	__u32 octave = bucket >> KL_HIST_SUB_BITS;
	__u64 sub = bucket & ((1 << KL_HIST_SUB_BITS) - 1);

	if (!octave)
		return sub;
	return ((1ULL << KL_HIST_SUB_BITS) + sub) << (octave - 1);
}
