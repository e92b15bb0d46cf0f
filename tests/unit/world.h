// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bucket of the join with the counters around it, as the hooks and the sweep keep them. After
 * every step the invariant of join.h is checked: sent = delivered + lost + unsent + pending.
 */
#pragma once

#include <kaloss/abi.h>

enum {
	WORLD_DEADLINE_NS = 1000000000
};

struct world {
	struct kl_bucket bucket;
	struct kl_conn conn;
	bool proven;
	__u64 wanted_ns; /* when the receiver last asked for the segment again */
	/* counted */
	__u32 sent;
	__u32 delivered;
	__u32 lost;
	__u32 unsent;
	__u32 duplicates;
	__u32 retransmitted;
	__u32 late;
	__u32 full;
	__u32 far_only;
	__u32 transits;
	__u32 unpaired; /* near copies that were judged to be something else than lost */
	struct kl_join_result last; /* of the last sighting */
	struct kl_judged judged;    /* the last that was judged */
};

void world_init(struct world *w);

/* A copy of the segment with this sequence number. Returns whether it found a place. */
bool world_sight(struct world *w, bool near, __u64 now, __u32 seq, __u32 stamp);

/* Judges what is over its time. */
void world_sweep(struct world *w, __u64 now);

__u32 world_pending(const struct world *w);
