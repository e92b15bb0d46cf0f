/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The index of connections: from an id to the place of its struct kl_conn in an array. A table of
 * buckets, each as large as a cache line, each with a neighbour that takes what it has no room for.
 * A place in it is one word: the upper half of the id and the number of the connection plus one; 0
 * is free. So it is looked up, filled and cleared without a lock: whoever fills it exchanges a 0.
 *
 * Two processors may put in the same id at once. The first place in order counts, and whoever finds
 * itself behind it takes its own word back.
 */
#pragma once

#include "base.h"

enum {
	KL_CONN_WAYS = 8,
	/* On average a bucket holds this many where all connections are taken: then not one in a
	 * million finds both of its buckets full. */
	KL_CONN_LOAD = 2,
};

struct kl_conn_bucket {
	__u64 way[KL_CONN_WAYS];
};

KL_INLINE __u64 kl_conn_word(__u64 id, __u32 number)
{
	return (id & 0xffffffff00000000ULL) | (number + 1);
}

KL_INLINE bool kl_conn_is_word_of(__u64 word, __u64 id)
{
	return (word ^ id) >> 32 == 0 && (__u32)word;
}

/* mask: number of buckets - 1, a power of two less one, at least 1. */
KL_INLINE __u32 kl_conn_bucket_of(__u64 id, __u32 mask)
{
	return (__u32)id & mask;
}

KL_INLINE __u32 kl_conn_neighbour(__u32 bucket)
{
	return bucket ^ 1;
}

/* The number of the connection plus one; 0: it is not in this bucket. */
KL_INLINE __u32 kl_conn_find(const struct kl_conn_bucket *b, __u64 id)
{
	KL_UNROLL
	for (int i = 0; i < KL_CONN_WAYS; i++) {
		if (kl_conn_is_word_of(b->way[i], id))
			return (__u32)b->way[i];
	}
	return 0;
}
