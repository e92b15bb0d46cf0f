/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two sightings of one segment → delivered, lost, duplicate. An entry stands for one segment
 * (connection, direction, sequence number, payload length) and counts its copies at the side near
 * its sender and at the far one. While the counts differ the entry is pending; when they are equal
 * it is settled, and stays where it is until its place is needed: a settled entry is what tells a
 * duplicate and a retransmission from a new segment.
 *
 * Entries live in buckets of KL_WAYS, each bucket under one lock. Callers hold the lock around
 * kl_join_find(), kl_join_pick(), kl_join_init(), kl_join_sight() and what else changes an entry, up to
 * the kl_join_note() that follows the change; none of them calls anything.
 *
 * Invariant of the counters that callers keep from struct kl_join_result and kl_join_expire():
 * sent = delivered + lost + unsent + (pending copies).
 */
#pragma once

#include "flow.h"

/* A copy of the same stamp within this time is a duplicate, not a retransmission. The shortest
 * retransmission of a common stack comes after 200 ms, and 20 ms in a lab that insists. */
#define KL_DUPLICATE_NS (5 * KL_NS_PER_MS)

/* How long the answer to a probe waits for a sign that the way still leads past the far side. */
#define KL_CONFIRM_NS (120 * 1000 * KL_NS_PER_MS)

enum {
	KL_WAYS = 4,
	KL_LATER_TIMES = 3, /* near copies after the first whose time is kept */
};

enum kl_join_flag {
	KL_JOIN_COUNTED = 1 << 0,    /* its near copies are in `sent` */
	KL_JOIN_SAME_STAMP = 1 << 1, /* two near copies could not be told apart by their stamps */
	KL_JOIN_CLAIMED = 1 << 2,    /* reported as missing; a far copy from now on is a late one */
};

struct kl_join_key {
	__u64 conn; /* kl_endpoints_hash(), or kl_cucm_hash() with --nat */
	__u32 seq;
	__u32 len_direction; /* payload length * 2 + direction */
};

/* What most copies take comes first: a cache line's worth. */
struct kl_join_entry {
	struct kl_join_key key;
	__u64 first_ns; /* first sighting since it was last settled */
	__u64 near_ns;	/* last near copy, duplicates too; 0: none */
	__u64 far_ns;
	__u32 near_stamp;
	__u32 far_stamp;
	__u16 near; /* copies since it was last settled, without duplicates */
	__u16 far;
	__u16 copies; /* near copies in all */
	__u8 near_dups;
	__u8 far_dups;
	__u8 kind;
	__u8 flags;	 /* enum kl_join_flag */
	__u16 delivered; /* of near, as far as told to the caller */
	__u16 overdue;	 /* missing copies past the deadline when a further one came; not in near */
	__u16 crossed;	 /* far copies in all; KL_CROSSED_UNKNOWN */
	__u64 conn_id;	 /* of the connection as the sighting side knows it */
	__u64 overdue_ns;		/* first_ns of what is overdue */
	__u32 later_us[KL_LATER_TIMES]; /* 2nd, 3rd and 4th near copy, after first_ns */
	__u8 pad[4];
};

/* The entry had to be made anew, in the middle of the segment's copies. */
#define KL_CROSSED_UNKNOWN 0xffff

_Static_assert(sizeof(struct kl_join_entry) == 96, "no hidden padding");

/*
 * The first cache line tells which entry is meant, which one makes room and whether there is anything
 * for the sweep, so that most entries need not be looked at.
 */
struct kl_bucket {
	__u32 lock;    /* the kernel's hooks and sweep: see bpf/lock.bpf.h */
	__u16 spilled; /* of those whose first bucket this is, some went to their second one */
	__u16 open;    /* a bit for each way where kl_join_is_open() */
	__u64 full_ns; /* when a segment last found no place here, or was not let in; 0: never */
	__u32 tag[KL_WAYS];	/* kl_join_tag() of the entry's key; 0: a free place */
	__u64 last_ns[KL_WAYS]; /* kl_join_last_ns() of the entry */
	struct kl_join_entry way[KL_WAYS];
};

_Static_assert(sizeof(struct kl_bucket) == 64 + KL_WAYS * sizeof(struct kl_join_entry),
	       "its own members fill a cache line");

/* One copy, as the join sees it. */
struct kl_join_sighting {
	__u64 now;
	/* Near, and not behind a mirror port: when the receiver last asked for this segment again
	 * (0: never). Between two copies it proves that the second is a retransmission, be it ever
	 * so quick and so alike. A mirror port's copies prove nothing of the kind: not every one
	 * that is seen is also on its way. */
	__u64 wanted_ns;
	__u64 deadline_ns;
	__u32 stamp; /* kl_stamp() */
	bool near;
	bool proven; /* kl_flow_is_proven() of its flow */
	__u8 pad[2];
};

struct kl_join_result {
	__u64 gap_ns;	  /* retransmission: since the copy before */
	__u64 transit_ns; /* valid where has_transit */
	__u16 copy;	  /* retransmission: 2 for the first one */
	__u16 sent;	  /* to be added to the counters */
	__u16 delivered;
	__u16 crossed; /* near: far copies before this one; KL_CROSSED_UNKNOWN */
	bool duplicate;
	bool retransmission;
	bool has_transit;
	bool late;  /* a far copy of what was reported as lost */
	bool first; /* the first near copy of this segment */
};

/* What became of copies that are still missing at the deadline. */
enum kl_fate {
	KL_LOST = 0,
	KL_UNPAIRED_ONE_SIDED,	 /* only the near side ever sees this flow */
	KL_UNPAIRED_FAR_ONLY,	 /* only the far side saw this copy */
	KL_UNPAIRED_GAP,	 /* a hook may have been blind meanwhile */
	KL_UNPAIRED_BYPASSED,	 /* acknowledged by the receiver: it went around the far side */
	KL_UNPAIRED_OVERFLOW,	 /* no place in the join */
	KL_UNPAIRED_FRAGMENT,	 /* the flow was fragmented meanwhile */
	KL_UNPAIRED_REWRITTEN,	 /* both sides see the flow, with other sequence numbers */
	KL_UNPAIRED_EVICTED,	 /* the connection's state is gone */
	KL_UNPAIRED_UNCONFIRMED, /* the answer to a probe, and nothing after it shows the way */
	KL_FATES,
	KL_FATE_SLOTS = 16,
};

/* Since then; nothing where the other processor's time was a little ahead of this one's. */
KL_INLINE __u64 kl_since(__u64 now, __u64 then)
{
	return now > then ? now - then : 0;
}

KL_INLINE bool kl_join_key_equal(const struct kl_join_key *a, const struct kl_join_key *b)
{
	return a->conn == b->conn && a->seq == b->seq && a->len_direction == b->len_direction;
}

KL_INLINE __u64 kl_join_key_hash(const struct kl_join_key *k)
{
	return kl_mix(k->conn, (__u64)k->seq << 32 | k->len_direction);
}

/* The bucket where a key is looked for first, and the one that takes it where that has no place. */
KL_INLINE __u32 kl_join_first(__u64 hash, __u32 mask)
{
	return (__u32)hash & mask;
}

KL_INLINE __u32 kl_join_second(__u64 hash, __u32 mask)
{
	return (__u32)(hash >> 32) & mask;
}

KL_INLINE __u32 kl_join_far(const struct kl_join_entry *e)
{
	return e->far + (e->flags & KL_JOIN_SAME_STAMP ? e->far_dups : 0);
}

KL_INLINE __u32 kl_join_matched(const struct kl_join_entry *e)
{
	__u32 far = kl_join_far(e);

	return e->near < far ? e->near : far;
}

KL_INLINE bool kl_join_is_pending(const struct kl_join_entry *e)
{
	return e->near != kl_join_far(e);
}

KL_INLINE __u64 kl_join_last_ns(const struct kl_join_entry *e)
{
	return e->near_ns > e->far_ns ? e->near_ns : e->far_ns;
}

/* What a key's entry is told by in its bucket, mostly. Never 0. */
KL_INLINE __u32 kl_join_tag(__u64 hash)
{
	return (__u32)(hash >> 32) | 1;
}

/* The way of this key; KL_WAYS: it is not in this bucket. */
KL_INLINE __u32 kl_join_find(const struct kl_bucket *b, const struct kl_join_key *k, __u32 tag)
{
	KL_UNROLL
	for (__u32 i = 0; i < KL_WAYS; i++) {
		if (b->tag[i] == tag && kl_join_key_equal(&b->way[i].key, k))
			return i;
	}
	return KL_WAYS;
}

/*
 * A place for a new key: a free one, else the settled one that rested longest. One that settled a
 * moment ago is not taken, for a duplicate of its segment may follow. KL_WAYS: no place.
 */
KL_INLINE __u32 kl_join_pick(const struct kl_bucket *b, __u64 now)
{
	__u32 best = KL_WAYS;
	__u64 best_ns = 0;

	KL_UNROLL
	for (__u32 i = 0; i < KL_WAYS; i++) {
		__u64 last_ns = b->last_ns[i];

		if (!b->tag[i])
			return i;
		if ((b->open >> i & 1) || kl_since(now, last_ns) < KL_DUPLICATE_NS)
			continue;
		if (best == KL_WAYS || last_ns < best_ns) {
			best = i;
			best_ns = last_ns;
		}
	}
	return best;
}

KL_INLINE void kl_join_init(struct kl_bucket *b, __u32 way, const struct kl_join_key *k, __u32 tag,
			    __u64 conn_id, __u32 kind)
{
	struct kl_join_entry *e = &b->way[way & (KL_WAYS - 1)];

	KL_MEMSET(e, 0, sizeof(*e));
	e->key = *k;
	e->conn_id = conn_id;
	e->kind = (__u8)kind;
	b->tag[way & (KL_WAYS - 1)] = tag;
}

/* No copies: settled. */
KL_INLINE void kl_join_clear(struct kl_join_entry *e)
{
	e->near = 0;
	e->far = 0;
	e->delivered = 0;
	e->near_dups = 0;
	e->far_dups = 0;
}

/* Starts to count a settled entry anew. */
KL_INLINE void kl_join_restart(struct kl_join_entry *e, __u64 now, bool proven)
{
	kl_join_clear(e);
	e->first_ns = now;
	e->flags &= (__u8) ~(KL_JOIN_SAME_STAMP | KL_JOIN_COUNTED);
	if (proven)
		e->flags |= KL_JOIN_COUNTED;
}

/*
 * A further copy comes when the deadline of those before is over: what is missing of them is
 * decided, and must not wait for what becomes of the new one. (Probes repeat for ever.)
 */
KL_INLINE void kl_join_fold(struct kl_join_entry *e, __u64 now)
{
	if (!e->overdue)
		e->overdue_ns = e->first_ns;
	e->overdue += (__u16)(e->near - kl_join_far(e));
	kl_join_clear(e);
	e->first_ns = now;
	e->flags &= (__u8)~KL_JOIN_SAME_STAMP;
}

KL_INLINE void kl_join_sight_near(struct kl_join_entry *e, const struct kl_join_sighting *s,
				  struct kl_join_result *ret)
{
	__u64 now = s->now;
	__u32 stamp = s->stamp;

	if (e->near_ns && kl_since(now, e->near_ns) < KL_DUPLICATE_NS && stamp == e->near_stamp &&
	    (kl_stamp_is_sure(stamp) || s->wanted_ns <= e->near_ns)) {
		if (e->near_dups < 0xff)
			e->near_dups++;
		ret->duplicate = e->near_dups > e->far_dups;
		e->near_ns = now;
		return;
	}
	if (!kl_join_is_pending(e)) {
		kl_join_restart(e, now, s->proven);
		e->flags &= (__u8)~KL_JOIN_CLAIMED;
		/* The far copy of this one may follow the last one's as closely as a duplicate. */
		if (stamp == e->near_stamp && kl_since(now, e->far_ns) < KL_DUPLICATE_NS)
			e->flags |= KL_JOIN_SAME_STAMP;
	} else if (e->near > kl_join_far(e) && (e->flags & KL_JOIN_COUNTED) &&
		   kl_since(now, kl_join_last_ns(e)) >= s->deadline_ns) {
		kl_join_fold(e, now);
	} else if (e->near && stamp == e->near_stamp) {
		e->flags |= KL_JOIN_SAME_STAMP;
	}
	KL_UNROLL
	for (int i = 0; i < KL_LATER_TIMES; i++) {
		if (e->near == i + 1)
			e->later_us[i] = (__u32)(kl_since(now, e->first_ns) / KL_NS_PER_US);
	}
	ret->first = !e->copies;
	ret->crossed = e->crossed;
	ret->retransmission = e->copies > 0;
	ret->gap_ns = e->near_ns ? kl_since(now, e->near_ns) : 0;
	if (e->copies < 0xffff)
		e->copies++;
	ret->copy = e->copies;
	e->near++;
	e->near_ns = now;
	e->near_stamp = stamp;
	if (e->flags & KL_JOIN_COUNTED)
		ret->sent = 1;
}

KL_INLINE void kl_join_sight_far(struct kl_join_entry *e, const struct kl_join_sighting *s,
				 struct kl_join_result *ret)
{
	__u64 now = s->now;
	__u32 stamp = s->stamp;

	if (e->far_ns && kl_since(now, e->far_ns) < KL_DUPLICATE_NS && stamp == e->far_stamp) {
		if (e->far_dups < 0xff)
			e->far_dups++;
		ret->duplicate = e->far_dups > e->near_dups;
		e->far_ns = now;
		return;
	}
	if (!kl_join_is_pending(e)) {
		ret->late = e->flags & KL_JOIN_CLAIMED;
		kl_join_restart(e, now, s->proven);
	}
	e->far++;
	if (e->crossed < KL_CROSSED_UNKNOWN - 1)
		e->crossed++;
	e->far_ns = now;
	e->far_stamp = stamp;
	if (e->near == 1 && e->far == 1) {
		ret->has_transit = true;
		ret->transit_ns = kl_since(now, e->near_ns);
	}
}

/* One copy is seen. Fills *ret, which the caller zeroed. */
KL_INLINE void kl_join_sight(struct kl_join_entry *e, const struct kl_join_sighting *s,
			     struct kl_join_result *ret)
{
	__u32 matched;

	if (s->near)
		kl_join_sight_near(e, s, ret);
	else
		kl_join_sight_far(e, s, ret);
	matched = kl_join_matched(e);
	if (matched <= e->delivered)
		return;
	ret->delivered = (__u16)(matched - e->delivered);
	e->delivered = (__u16)matched;
	if (!(e->flags & KL_JOIN_COUNTED)) {
		e->flags |= KL_JOIN_COUNTED;
		ret->sent = e->near;
	}
}

/* Is there anything in the entry that only time will settle? */
KL_INLINE bool kl_join_is_open(const struct kl_join_entry *e)
{
	return kl_join_is_pending(e) || e->overdue;
}

/* The entry was changed: its bucket takes note of it. */
KL_INLINE void kl_join_note(struct kl_bucket *b, __u32 way)
{
	const struct kl_join_entry *e = &b->way[way & (KL_WAYS - 1)];
	__u32 bit = 1U << (way & (KL_WAYS - 1));

	b->last_ns[way & (KL_WAYS - 1)] = kl_join_last_ns(e);
	b->open = (__u16)(kl_join_is_open(e) ? b->open | bit : b->open & ~bit);
}

/*
 * Is the entry's time up? Then takes it out of the pending ones: *ret is the entry as it was, to
 * be judged by kl_join_fate(), and the entry stays as a settled one. *ret_missing near copies are
 * missing; where it is 0, ret->far - ret->near far copies have no near ones.
 */
KL_INLINE bool kl_join_expire(struct kl_join_entry *e, __u64 now, __u64 deadline_ns,
			      struct kl_join_entry *ret, __u32 *ret_missing)
{
	__u64 last_ns = kl_join_last_ns(e);
	__u32 far = kl_join_far(e);

	if (e->overdue) {
		*ret = *e;
		ret->first_ns = e->overdue_ns;
		ret->flags |= KL_JOIN_COUNTED; /* or it would not have been folded */
		*ret_missing = e->overdue;
		e->overdue = 0;
		return true;
	}
	if (e->near == far || now < last_ns + deadline_ns)
		return false;
	*ret = *e;
	*ret_missing = e->near > far ? e->near - far : 0;
	if (e->near > far)
		e->flags |= KL_JOIN_CLAIMED;
	kl_join_clear(e);
	return true;
}

/*
 * Too early to judge: what kl_join_expire() took out as *was, and the caller counted as sent, waits
 * for the next sweep. Returns false where its place was taken meanwhile.
 */
KL_INLINE bool kl_join_put_back(struct kl_join_entry *e, const struct kl_join_entry *was,
				__u32 missing)
{
	if (!kl_join_key_equal(&e->key, &was->key))
		return false;
	e->overdue += (__u16)missing;
	e->overdue_ns = was->first_ns;
	return true;
}

/*
 * What became of the missing near copies of e? c: its connection, NULL if not known any more.
 * full_ns: of its bucket. Everything but KL_LOST is a reason why a loss cannot be claimed.
 */
KL_INLINE __u32 kl_join_fate(const struct kl_join_entry *e, const struct kl_conn *c, __u32 epoch,
			     __u64 full_ns, __u64 deadline_ns)
{
	__u32 direction = e->key.len_direction & 1;
	__u32 far_side = direction ^ 1;
	__u32 len = e->key.len_direction >> 1;
	__u32 end = e->key.seq + len;
	const struct kl_flow *f;
	bool acknowledged, seen;

	if (!c || e->first_ns < c->created_ns)
		return KL_UNPAIRED_EVICTED;
	f = &c->flow[direction];
	if (full_ns && full_ns + deadline_ns > e->first_ns)
		return KL_UNPAIRED_OVERFLOW;
	if (!kl_flow_is_proven(f, epoch)) {
		if (f->proven_ns)
			return f->epoch ? KL_UNPAIRED_GAP : KL_UNPAIRED_BYPASSED;
		return kl_flow_is_seen(f, far_side) ? KL_UNPAIRED_REWRITTEN : KL_UNPAIRED_ONE_SIDED;
	}
	/* The first epoch starts with all hooks in place. Each later one starts after a gap, whose
	 * end on this flow's path only a sighting at both sides tells; so does the end of a way
	 * around the far side. */
	if ((epoch > 1 || (f->flags & KL_FLOW_REPROVEN)) && e->first_ns < f->proven_ns)
		return KL_UNPAIRED_GAP;
	if (c->fragment_ns && c->fragment_ns + deadline_ns > e->first_ns)
		return KL_UNPAIRED_FRAGMENT;
	if (len > 1) { /* else it is a probe or its answer */
		acknowledged = (f->flags & KL_FLOW_ACKED) && !(f->flags & KL_FLOW_ACKS_AHEAD) &&
			       !kl_seq_before(f->acked, end);
		seen = (f->flags & KL_FLOW_FAR_END) && !kl_seq_before(f->far_end, end);
	} else {
		acknowledged = f->answered_ns >= e->first_ns;
		seen = f->far_ns >= e->first_ns;
	}
	if (acknowledged && !seen)
		return KL_UNPAIRED_BYPASSED;
	/* Nobody acknowledges an acknowledgement: only a later sighting says that the way still
	 * leads past the far side. */
	if (e->kind == KL_TCP_PROBE_ACK && f->far_ns < e->first_ns)
		return KL_UNPAIRED_UNCONFIRMED;
	return KL_LOST;
}

/*
 * Behind mirror ports a copy may also be missing because the mirror dropped it. So a loss needs
 * more: the receiver does not have the segment, or the sender sent it again. c: its connection.
 */
KL_INLINE __u32 kl_join_fate_of_mirrored(const struct kl_join_entry *e, const struct kl_conn *c,
					 __u32 fate)
{
	const struct kl_flow *f = &c->flow[e->key.len_direction & 1];
	__u32 len = e->key.len_direction >> 1;

	if (fate != KL_LOST)
		return fate;
	if (e->kind == KL_TCP_PROBE_ACK)
		return KL_UNPAIRED_UNCONFIRMED;
	if (len <= 1)
		return f->answered_ns >= e->first_ns ? KL_UNPAIRED_BYPASSED : KL_LOST;
	if ((f->flags & KL_FLOW_ACKED) && !kl_seq_before(f->acked, e->key.seq + len) &&
	    f->resent_ns < e->first_ns)
		return KL_UNPAIRED_BYPASSED;
	return KL_LOST;
}
