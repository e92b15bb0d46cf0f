/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When was a phone's MAC heard last? A table of buckets with a few places each, only of MACs that
 * are put in: every frame that comes in on the access side asks it, and most are of others.
 *
 * The clock is one that costs next to nothing: the kernel's tick. Nothing is locked. A MAC may lose its place to a newer one, and then it is not known when it was
 * heard; whoever reads looks at the MAC again behind the time, so that no time is another one's.
 */
#pragma once

#include "base.h"

enum {
	KL_MAC_WAYS = 4
};

struct kl_mac_seen {
	__u64 mac;  /* kl_mac_word(); 0: free */
	__u64 last; /* in ticks */
};

struct kl_mac_bucket {
	struct kl_mac_seen way[KL_MAC_WAYS];
};

/* Six bytes as a number: never 0 but for a MAC that is all zero. */
KL_INLINE __u64 kl_mac_word(const __u8 *mac)
{
	__u32 low;
	__u16 high;

	KL_LOAD(32, &low, mac);
	KL_LOAD(16, &high, mac + 4);
	return (__u64)high << 32 | low;
}

KL_INLINE __u32 kl_mac_bucket_of(__u64 mac, __u64 seed, __u32 mask)
{
	return (__u32)(((mac ^ seed) * 0x9E3779B185EBCA87ULL) >> 32) & mask;
}

/* Its place; NULL: it is not in the table. */
KL_INLINE struct kl_mac_seen *kl_mac_find(struct kl_mac_bucket *b, __u64 mac)
{
	KL_UNROLL
	for (int i = 0; i < KL_MAC_WAYS; i++) {
		if (b->way[i].mac == mac)
			return &b->way[i];
	}
	return NULL;
}

/* When it was heard, of the place where it was found; 0: not known. */
KL_INLINE __u64 kl_mac_last(const struct kl_mac_seen *way, __u64 mac)
{
	__u64 last = *(const volatile __u64 *)&way->last;

	return *(const volatile __u64 *)&way->mac == mac ? last : 0;
}

/* Puts it in, in the place of the one that has been silent longest. It must not be in there. */
KL_INLINE void kl_mac_add(struct kl_mac_bucket *b, __u64 mac, __u64 now)
{
	struct kl_mac_seen *way = &b->way[0];

	if (!mac)
		return;
	KL_UNROLL
	for (int i = 1; i < KL_MAC_WAYS; i++) {
		if (b->way[i].last < way->last)
			way = &b->way[i];
	}
	*(volatile __u64 *)&way->mac = 0;
	*(volatile __u64 *)&way->last = now;
	*(volatile __u64 *)&way->mac = mac;
}

/* See struct kl_sighting, silence. heard: 0: not known. */
KL_INLINE __u32 kl_mac_silence(__u64 now, __u64 heard, __u32 tick_ns)
{
	__u64 ms = now > heard ? (now - heard) * tick_ns / KL_NS_PER_MS : 0;

	if (!heard)
		return 0;
	return ms < 0xfffffffeU ? (__u32)ms + 1 : 0xffffffffU;
}
