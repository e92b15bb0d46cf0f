/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the path of a segment is made of: counters, scratch, the walk itself, and the narrative that
 * tells of it.
 */
#pragma once

#include "frame.bpf.h"
#include "maps.bpf.h"

enum {
	KL_PLACE_EGRESS = 1 << 1,
};

/* Where a hook sits: its side in bit 0, and whether it sees frames leave. */
static __always_inline __u32 place_of(__u32 side, bool egress)
{
	return side | (egress ? KL_PLACE_EGRESS : 0);
}

static __always_inline struct kl_counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kl_counters, &zero);
}

static __always_inline struct kl_scratch *get_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kl_scratch, &zero);
}

static __always_inline void count_incident(__u32 incident)
{
	struct kl_counters *n = counters();

	if (n)
		n->incident[incident & (KL_INCIDENT_SLOTS - 1)]++;
}

static __always_inline void count_tally(struct kl_counters *n, __u32 tally, __u32 direction,
					__u32 kind, __u32 by)
{
	n->tally[tally][direction & 1][kind & (KL_KIND_SLOTS - 1)] += by;
}

static __always_inline void count_time(__u64 *histogram, __u64 *max_ns, __u64 ns)
{
	histogram[kl_hist_bucket(ns / KL_NS_PER_US) & (KL_HIST_SLOTS - 1)]++;
	if (max_ns && *max_ns < ns)
		*max_ns = ns;
}

static __always_inline struct kl_maxima *maxima(void)
{
	__u32 slot = kl_control.max_slot & 1;

	return bpf_map_lookup_elem(&kl_maxima, &slot);
}

/* ---- One segment on its way through this file ---- */

struct walk {
	struct kl_segment *s;
	struct kl_conn *conn;
	struct kl_known *known;
};

/* ---- The narrative ---- */

/* join: NULL where the join was not asked. */
static __noinline int tell(const struct walk *w, __u8 type, const struct kl_join_result *join)
{
	struct kl_event *e = bpf_ringbuf_reserve(&kl_events, sizeof(*e), 0);

	if (!e) {
		count_incident(KL_EVENTS_LOST);
		return 0;
	}
	kl_event_fill(e, type, w->known->id, w->conn, &w->known->at, w->s, w->known->kind, join);
	/* User space looks by the clock: a wakeup a record would cost more than the record. */
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* A near segment that is not told otherwise. */
static __always_inline void tell_note(const struct walk *w)
{
	if (w->known->near && kl_note_is_told(w->conn->flow[w->known->at.direction & 1].note))
		tell(w, KL_EVENT_ACK, NULL);
}
