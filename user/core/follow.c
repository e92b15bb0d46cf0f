// SPDX-License-Identifier: GPL-2.0-only
#include "core/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int kl_follow_init(struct kl_follow *f, __u32 buckets, __u64 deadline_ns, kl_follow_handler handler,
		   void *arg)
{
	*f = (struct kl_follow){
		.deadline_ns = deadline_ns,
		.epoch = 1,
		.bucket_mask = buckets - 1,
		.handler = handler,
		.arg = arg,
	};
	f->join = calloc(buckets, sizeof(*f->join));
	return f->join ? 0 : -ENOMEM;
}

void kl_follow_done(struct kl_follow *f)
{
	free(f->join);
	f->join = NULL;
}

__u32 kl_classify_payload(__u32 service, const __u8 *payload, __u32 have, __u32 payload_len,
			  __u32 *ret_tells)
{
	__u8 head[KL_HEAD_BYTES] = { 0 }, window[KL_WINDOW_MASK + 1];
	struct kl_head_result r;
	__u32 len, kind;

	if (have > payload_len)
		have = payload_len;
	*ret_tells = KL_TELLS_NOTHING;
	/* Of a message that is cut in its head nothing is known. */
	if (have < payload_len && have < KL_HEAD_BYTES && !kl_service_is_tls(service))
		return KL_OTHER;
	len = have < KL_WINDOW_BYTES ? have : KL_WINDOW_BYTES;
	memcpy(head, payload, len < KL_HEAD_BYTES ? len : KL_HEAD_BYTES);
	kl_classify_head(service, head, len < KL_HEAD_BYTES ? len : KL_HEAD_BYTES, payload_len, &r);
	*ret_tells = r.tells;
	if (r.scan == KL_SCAN_NONE)
		return r.kind;
	memcpy(window, payload, len);
	memset(window + len, 0, KL_WINDOW_ZEROED);
	kind = kl_classify_window(r.scan, r.kind, window, len);
	if (kind & KL_KIND_LEAVES)
		*ret_tells = KL_TELLS_ALWAYS;
	return kind & KL_KIND_MASK;
}

static void tell(struct kl_follow *f, const struct kl_follow_segment *s, __u8 type, __u32 kind,
		 const struct kl_join_result *join)
{
	struct kl_event event;
	__u32 len = s->have < KL_WINDOW_BYTES ? s->have : KL_WINDOW_BYTES;
	bool with_payload = type == KL_EVENT_PAYLOAD;

	kl_event_fill(&event, type, s->id, s->conn, &s->at, s->segment, kind, join);
	f->handler(&event, with_payload ? s->payload : NULL, with_payload ? len : 0, f->arg);
}

static void tell_note(struct kl_follow *f, const struct kl_follow_segment *s, bool near)
{
	if (near && kl_note_is_told(s->conn->flow[s->at.direction].note))
		tell(f, s, KL_EVENT_ACK, KL_OTHER, NULL);
}

/* Returns whether the segment found its place in the join. */
static bool join(struct kl_follow *f, const struct kl_follow_segment *s, bool near, __u32 *kind,
		 struct kl_join_result *ret)
{
	const struct kl_segment *seg = s->segment;
	struct kl_flow *flow = &s->conn->flow[s->at.direction];
	struct kl_join_key key = { .conn = s->id,
				   .seq = seg->seq,
				   .len_direction = seg->payload_len << 1 | s->at.direction };
	struct kl_join_sighting sighting = {
		.now = s->at.now,
		.stamp = kl_stamp(seg),
		.deadline_ns = f->deadline_ns,
		.near = near,
		.proven = kl_flow_is_countable(s->conn, s->at.direction, s->at.epoch, s->at.now)
	};
	__u64 hash = kl_join_key_hash(&key);
	__u32 tag = kl_join_tag(hash), way;
	struct kl_bucket *b = &f->join[kl_join_first(hash, f->bucket_mask)];
	struct kl_bucket *second = &f->join[kl_join_second(hash, f->bucket_mask)];
	struct kl_join_entry *e;

	memset(ret, 0, sizeof(*ret));
	if (s->conn->hole_seq[s->at.direction] == seg->seq)
		sighting.wanted_ns = flow->hole_ns;
	way = kl_join_find(b, &key, tag);
	if (way == KL_WAYS && b->spilled && kl_join_find(second, &key, tag) < KL_WAYS) {
		b = second;
		way = kl_join_find(b, &key, tag);
	}
	if (way == KL_WAYS) {
		way = kl_join_pick(b, s->at.now);
		if (way == KL_WAYS) {
			b->spilled = 1;
			b = second;
			way = kl_join_pick(b, s->at.now);
		}
		if (way == KL_WAYS) {
			f->counters.incident[KL_JOIN_FULL]++;
			return false;
		}
		kl_join_init(b, way, &key, tag, s->id, *kind);
		e = &b->way[way];
		if (near && seg->payload_len > 1 && flow->joined_copies &&
		    flow->joined_seq == seg->seq && flow->joined_len == (__u16)seg->payload_len) {
			e->near_ns = flow->last_ns;
			e->copies = flow->joined_copies;
			e->crossed = KL_CROSSED_UNKNOWN;
		}
	}
	e = &b->way[way];
	*kind = e->kind;
	kl_join_sight(e, &sighting, ret);
	kl_join_note(b, way);
	return true;
}

void kl_follow_count(struct kl_follow *f, const struct kl_follow_segment *s,
		     struct kl_join_result *ret)
{
	__u32 kind = s->kind;

	memset(ret, 0, sizeof(*ret));
	if (!kl_kind_is_joined(kind))
		return;
	join(f, s, true, &kind, ret);
	if (ret->duplicate || s->segment->payload_len <= 1)
		return;
	/* With no far side, each copy is settled as it comes. */
	join(f, s, false, &kind, &(struct kl_join_result){});
}

static void note_near(struct kl_follow *f, const struct kl_follow_segment *s, __u32 kind, bool bare,
		      const struct kl_join_result *r)
{
	struct kl_flow *flow = &s->conn->flow[s->at.direction];
	const struct kl_segment *seg = s->segment;

	if (r->duplicate)
		return;
	if (bare) {
		flow->bare_seq = seg->seq;
		flow->flags |= KL_FLOW_BARE;
	} else {
		flow->joined_seq = seg->seq;
		flow->joined_len = (__u16)seg->payload_len;
		flow->joined_copies = r->copy;
		flow->last_ns = s->at.now;
		if (!(flow->flags & KL_FLOW_ACKED) ||
		    kl_seq_before(flow->acked, seg->seq + flow->joined_len))
			flow->flags |= KL_FLOW_AWAITED;
	}
	if (r->retransmission && !bare) {
		f->counters.tally[KL_RETRANSMITTED][s->at.direction][kind]++;
		tell(f, s, KL_EVENT_RETRANSMISSION, kind, r);
		return;
	}
	tell(f, s, KL_EVENT_SEGMENT, kind, r);
}

void kl_follow_open(struct kl_follow *f, const struct kl_follow_segment *s, bool made)
{
	if (s->segment->flags & KL_SYN)
		made |= kl_conn_see_syn(s->conn, &s->at, s->segment);
	if (made)
		tell(f, s, KL_EVENT_OPEN, KL_OTHER, NULL);
}

void kl_follow_see(struct kl_follow *f, const struct kl_follow_segment *s)
{
	__u64(*tally)[KL_DIRECTIONS][KL_KIND_SLOTS] = f->counters.tally;
	bool bare = s->segment->payload_len <= 1, near = kl_is_near(s->at.side, s->at.direction);
	struct kl_flow *flow = &s->conn->flow[s->at.direction];
	__u32 kind = KL_OTHER, tells = KL_TELLS_NOTHING;
	struct kl_join_result r;
	__u8 closing;

	if (near)
		f->counters.segments[s->at.direction]++;
	closing = flow->closing;
	if (bare)
		kind = kl_flow_bare_kind(s->conn, &s->at, s->segment);
	kl_flow_see(s->conn, &s->at, s->segment);
	if (flow->closing != closing)
		tell(f, s, KL_EVENT_CLOSE, KL_OTHER, NULL);
	if (s->settled) {
		kind = s->kind;
		tells = s->tells;
	} else if (!bare) {
		kind = kl_classify_payload(s->service, s->payload, s->have, s->segment->payload_len,
					   &tells);
	}
	if (near && kl_conn_tells(s->conn, tells, kind))
		tell(f, s, KL_EVENT_PAYLOAD, kind, NULL);
	if (!kl_kind_is_joined(kind)) {
		tell_note(f, s, near);
		return;
	}
	if (s->settled) {
		if (near)
			note_near(f, s, kind, bare, s->settled);
		return;
	}
	if (!join(f, s, near, &kind, &r))
		return;
	tally[KL_SENT][s->at.direction][kind] += r.sent;
	tally[KL_DELIVERED][s->at.direction][kind] += r.delivered;
	tally[KL_DUPLICATES][s->at.direction][kind] += r.duplicate;
	if (near)
		note_near(f, s, kind, bare, &r);
}
