/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep over the join: takes out what is past its deadline and judges it, where the
 * connection's state is. What is lost goes to kl_sweep's list, all else to the counters alone.
 */
#pragma once

#include "follow.bpf.h"

enum {
	KL_SWEEP_AT_ONCE = 8
};

static __always_inline struct kl_sweep *get_sweep(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kl_sweep, &zero);
}

/* Judges what is missing. Returns false where it is too early for that. */
static __always_inline bool judge(struct kl_sweep *sweep, struct kl_counters *n,
				  struct kl_judged *o, __u32 missing, __u64 full_ns)
{
	const struct kl_join_entry *e = &o->entry;
	__u32 direction = e->key.len_direction & 1;
	struct kl_conn *c;

	if (!missing) {
		n->unpaired[KL_UNPAIRED_FAR_ONLY] += kl_join_far(e) - e->near;
		return true;
	}
	c = find_conn(e->conn_id);
	o->fate = (__u8)kl_join_fate(e, c, kl_control.epoch, full_ns, kl_settings.deadline_ns);
	if (kl_settings.tap && c)
		o->fate = (__u8)kl_join_fate_of_mirrored(e, c, o->fate);
	/* The next segment of its connection will tell, perhaps. What waits counts as sent. */
	if (o->fate == KL_UNPAIRED_UNCONFIRMED && kl_control.mode == KL_MODE_ON &&
	    !kl_settings.tap && sweep->now_ns < e->first_ns + KL_CONFIRM_NS) {
		if (!(e->flags & KL_JOIN_COUNTED))
			count_tally(n, KL_SENT, direction, e->kind, missing);
		return false;
	}
	if (o->fate != KL_LOST) {
		n->unpaired[o->fate & (KL_FATE_SLOTS - 1)] += missing;
		if (e->flags & KL_JOIN_COUNTED)
			count_tally(n, KL_UNSENT, direction, e->kind, missing);
		/* It goes another way now: claim nothing until it is back. */
		if (c && o->fate == KL_UNPAIRED_BYPASSED && !kl_settings.tap)
			c->flow[direction].epoch = 0;
		return true;
	}
	if (!c)
		return true;
	if (!(e->flags & KL_JOIN_COUNTED))
		count_tally(n, KL_SENT, direction, e->kind, missing);
	count_tally(n, KL_LOST_BETWEEN, direction, e->kind, missing);
	o->missing = (__u16)missing;
	o->vlan = c->vlan;
	KL_MEMCPY(o->phone_mac, c->phone_mac, sizeof(o->phone_mac));
	kl_conn_ends(c, &o->ends);
	sweep->count++;
	return true;
}

/*
 * A bucket with something open. Proven by the verifier once and on its own. Returns 1 where user space
 * has to empty the list first.
 */
__noinline int sweep_bucket(__u32 bucket)
{
	struct kl_sweep *sweep = get_sweep();
	struct kl_counters *n = counters();
	struct kl_bucket *b = join_bucket(bucket);

	if (!sweep || !n || !b)
		return 0;
	for (__u32 i = 0; i < 2 * KL_WAYS; i++) {
		__u32 way = i / 2; /* overdue copies, then the others */
		struct kl_join_entry *e = &b->way[way];
		__u32 at = sweep->count, missing = 0;
		bool expired;

		if (!(b->open >> way & 1))
			continue;
		/* No room for what it might give: user space empties the list and comes back. */
		if (at >= KL_SWEEP_OUT)
			return 1;
		/* Held for so long: the next sweep will do. */
		if (!lock_bucket(b))
			continue;
		expired = kl_join_expire(e, sweep->now_ns, kl_settings.deadline_ns,
					 &sweep->out[at].entry, &missing);
		kl_join_note(b, way);
		unlock_bucket(b);
		if (!expired || judge(sweep, n, &sweep->out[at], missing, b->full_ns))
			continue;
		expired = lock_bucket(b);
		if (expired) {
			expired = kl_join_put_back(e, &sweep->out[at].entry, missing);
			kl_join_note(b, way);
			unlock_bucket(b);
		}
		if (!expired) {
			const struct kl_join_entry *was = &sweep->out[at].entry;

			n->unpaired[KL_UNPAIRED_UNCONFIRMED] += missing;
			count_tally(n, KL_UNSENT, was->key.len_direction & 1, was->kind, missing);
		}
	}
	return 0;
}

/* Some buckets at once, for a call costs more than a look. */
static long sweep_some(__u32 index, struct kl_sweep **at)
{
	struct kl_sweep *sweep = *at;
	__u32 bucket = sweep->cursor, end = bucket + KL_SWEEP_AT_ONCE;

	if (end > sweep->limit)
		end = sweep->limit;
	for (__u32 i = 0; i < KL_SWEEP_AT_ONCE && bucket < end; i++, bucket++) {
		struct kl_bucket *b = join_bucket(bucket);

		if (!b || (b->open && sweep_bucket(bucket)))
			break;
	}
	sweep->cursor = bucket;
	return bucket < end || bucket >= sweep->limit;
}

static __always_inline void sweep(void)
{
	struct kl_sweep *s = get_sweep();

	if (!s)
		return;
	s->count = 0;
	bpf_loop(4096 / KL_SWEEP_AT_ONCE, sweep_some, &s, 0);
}
