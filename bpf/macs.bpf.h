/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When each phone's MAC was heard last on the access side: see kaloss/macs.h. Every frame that comes
 * in there pays for it, so there is no call in it: array lookups and the tick's number are inlined.
 */
#pragma once

#include "walk.bpf.h"

static __always_inline struct kl_mac_bucket *mac_bucket(__u64 mac)
{
	__u32 index = kl_mac_bucket_of(mac, kl_settings.seed, kl_settings.mac_mask);

	return bpf_map_lookup_elem(&kl_macs, &index);
}

/* Takes note of a frame that comes in. Returns when the one before did; 0: not known. */
static __always_inline __u64 hear(const __u8 *data, const __u8 *end)
{
	struct kl_mac_seen *way;
	struct kl_mac_bucket *b;
	__u64 mac, now, before;

	if (data + KL_ETH_LEN > end)
		return 0;
	mac = kl_mac_word(data + 6);
	b = mac_bucket(mac);
	way = b ? kl_mac_find(b, mac) : NULL;
	if (!way)
		return 0;
	now = bpf_jiffies64();
	before = kl_mac_last(way, mac);
	/* Frames come more often than the clock ticks. */
	if (before && before < now)
		way->last = now;
	return before;
}

/* How long has the phone been silent, whose MAC this is? heard: of its own frames, see hear(). */
static __always_inline __u32 silence_of(__u64 mac, __u32 direction, __u64 heard)
{
	bool is_own = direction == KL_TO_CUCM;
	__u64 now = bpf_jiffies64();
	struct kl_mac_seen *way;
	struct kl_mac_bucket *b;

	if (is_own && heard)
		return kl_mac_silence(now, heard, kl_settings.tick_ns);
	b = mac ? mac_bucket(mac) : NULL;
	if (!b)
		return 0;
	way = kl_mac_find(b, mac);
	if (is_own) {
		if (!way)
			kl_mac_add(b, mac, now);
		return 0;
	}
	return way ? kl_mac_silence(now, kl_mac_last(way, mac), kl_settings.tick_ns) : 0;
}
