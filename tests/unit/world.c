// SPDX-License-Identifier: GPL-2.0-only
/* world.h: what join() and sweep_bucket() of the BPF programs do with the headers. */
#include <criterion/criterion.h>
#include <string.h>

#include "world.h"

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->proven = true;
	w->conn.flow[KL_TO_CUCM].epoch = 1;
	w->conn.flow[KL_TO_CUCM].proven_ns = 1;
	w->conn.flow[KL_TO_CUCM].flags = KL_FLOW_SEEN_ACCESS | KL_FLOW_SEEN_CUCM;
}

/* Near copies that are in `sent` and whose fate is open. */
__u32 world_pending(const struct world *w)
{
	__u32 pending = 0;

	for (int i = 0; i < KL_WAYS; i++) {
		const struct kl_join_entry *e = &w->bucket.way[i];

		pending += e->overdue;
		if (e->flags & KL_JOIN_COUNTED)
			pending += e->near - kl_join_matched(e);
	}
	return pending;
}

static void check(const struct world *w, const char *when)
{
	cr_assert_eq(w->sent, w->delivered + w->lost + w->unsent + world_pending(w),
		     "after %s: %u sent, %u delivered, %u lost, %u unsent, %u pending", when,
		     w->sent, w->delivered, w->lost, w->unsent, world_pending(w));
	for (int i = 0; i < KL_WAYS; i++) {
		const struct kl_join_entry *e = &w->bucket.way[i];

		cr_assert_eq(e->delivered, kl_join_matched(e), "after %s", when);
		cr_assert_eq(w->bucket.open >> i & 1, kl_join_is_open(e), "after %s", when);
		cr_assert_eq(w->bucket.last_ns[i], kl_join_last_ns(e), "after %s", when);
	}
}

bool world_sight(struct world *w, bool near, __u64 now, __u32 seq, __u32 stamp)
{
	struct kl_join_key key = { .conn = 77, .seq = seq, .len_direction = 12 << 1 | KL_TO_CUCM };
	struct kl_join_sighting sighting = { .now = now,
					     .wanted_ns = w->wanted_ns,
					     .deadline_ns = WORLD_DEADLINE_NS,
					     .stamp = stamp,
					     .near = near,
					     .proven = w->proven };
	__u32 tag = kl_join_tag(kl_join_key_hash(&key));
	__u32 way = kl_join_find(&w->bucket, &key, tag);

	memset(&w->last, 0, sizeof(w->last));
	if (way == KL_WAYS) {
		way = kl_join_pick(&w->bucket, now);
		if (way == KL_WAYS) {
			w->bucket.full_ns = now;
			w->full++;
			return false;
		}
		kl_join_init(&w->bucket, way, &key, tag, 77, KL_SCCP_KEEPALIVE);
	}
	kl_join_sight(&w->bucket.way[way], &sighting, &w->last);
	kl_join_note(&w->bucket, way);
	w->sent += w->last.sent;
	w->delivered += w->last.delivered;
	w->duplicates += w->last.duplicate;
	w->retransmitted += w->last.retransmission;
	w->late += w->last.late;
	w->transits += w->last.has_transit;
	check(w, near ? "a near copy" : "a far copy");
	return true;
}

static void judge(struct world *w, const struct kl_join_entry *was, __u32 missing)
{
	if (!missing) {
		w->far_only += kl_join_far(was) - was->near;
		return;
	}
	w->judged.entry = *was;
	w->judged.missing = (__u16)missing;
	w->judged.fate = (__u8)kl_join_fate(was, &w->conn, 1, w->bucket.full_ns, WORLD_DEADLINE_NS);
	if (w->judged.fate != KL_LOST) {
		w->unpaired += missing;
		if (was->flags & KL_JOIN_COUNTED)
			w->unsent += missing;
		return;
	}
	if (!(was->flags & KL_JOIN_COUNTED))
		w->sent += missing;
	w->lost += missing;
}

void world_sweep(struct world *w, __u64 now)
{
	for (int i = 0; i < KL_WAYS; i++) {
		struct kl_join_entry was;
		__u32 missing = 0;

		/* What was overdue when a further copy came, and then that one. */
		while ((w->bucket.open >> i & 1) &&
		       kl_join_expire(&w->bucket.way[i], now, WORLD_DEADLINE_NS, &was, &missing)) {
			kl_join_note(&w->bucket, (__u32)i);
			judge(w, &was, missing);
		}
	}
	check(w, "a sweep");
}
