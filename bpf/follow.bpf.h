/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a parsed segment to the counters: find its connection, tell what it is, join it. The
 * decisions are those of the headers in include/kaloss/; here is what needs a kernel: map lookups,
 * the clock, the lock around a bucket, the ring buffer.
 */
#pragma once

#include "conns.bpf.h"
#include "lock.bpf.h"
#include "macs.bpf.h"
#include "payload.bpf.h"

enum {
	KL_PULL_BYTES = 256, /* of headers, where a tc hook finds them outside the linear part */
	KL_PARSED_ARP = 7,   /* beside enum kl_parsed */
	KL_IN_PIECES = 1,    /* an aggregate, whose connection is known now */
	KL_IS_ARP = 2,	     /* no segment, but ARP or neighbour discovery that is to be told */
};

/* ---- Connections ---- */

static __always_inline bool is_nat_alias(__u32 place)
{
	return kl_settings.nat && (place & 1) == KL_CUCM;
}

/* --nat: the connection as the access side knows it, once the two were seen to be one. */
static __always_inline void resolve_alias(struct walk *w)
{
	struct kl_nat_key key = { .cucm = w->known->join_key, .isn = w->s->seq };
	struct kl_conn *home;
	__u64 *id;

	if ((w->s->flags & (KL_SYN | KL_ACK)) == KL_SYN) {
		id = bpf_map_lookup_elem(&kl_nat, &key);
		if (id)
			w->conn->home = *id;
	}
	if (!w->conn->home)
		return;
	id = &w->conn->home;
	home = find_conn(*id);
	if (!home)
		return;
	w->known->id = *id;
	w->conn = home;
}

/* ---- The join ---- */

static __always_inline void join_entry(struct kl_join_call *j, struct kl_join_entry *e)
{
	j->found = true;
	j->kind = e->kind;
	kl_join_sight(e, &j->sighting, &j->result);
	if (kl_settings.nat) {
		__u64 before = e->conn_id;

		/* The access side's name for the connection is the one to report. */
		if ((j->sighting.near ? 0 : 1) == (j->key.len_direction & 1))
			e->conn_id = j->conn_id;
		j->conn_id = before;
	}
}

/* Looks into one bucket; make: and makes an entry there. Returns whether there is no more to do. */
static __always_inline bool join_in(struct kl_join_call *j, struct kl_bucket *b, bool make)
{
	struct kl_join_entry *e;
	__u32 way;

	if (!lock_bucket(b)) {
		/* Whatever is under way here may be missing this copy. */
		b->full_ns = j->sighting.now;
		j->full = true;
		return true;
	}
	way = kl_join_find(b, &j->key, j->tag);
	if (way == KL_WAYS && make) {
		way = kl_join_pick(b, j->sighting.now);
		if (way < KL_WAYS) {
			kl_join_init(b, way, &j->key, j->tag, j->conn_id, j->kind);
			e = &b->way[way & (KL_WAYS - 1)];
			if (j->sighting.near) {
				e->near_ns = j->memory_ns;
				e->copies = j->memory_copies;
				if (e->copies)
					e->crossed = KL_CROSSED_UNKNOWN;
			}
		}
	}
	if (way < KL_WAYS) {
		e = &b->way[way & (KL_WAYS - 1)];
		/* One pointer: each of its members' addresses for itself takes more stack than 6.1 has. */
		barrier_var(e);
		if (!j->only_pending || kl_join_is_pending(e)) {
			join_entry(j, e);
			kl_join_note(b, way);
		}
	}
	unlock_bucket(b);
	return way < KL_WAYS;
}

static __always_inline struct kl_bucket *join_bucket(__u32 index)
{
	return bpf_map_lookup_elem(&kl_join, &index);
}

/* Where the first bucket has no place, or had none for others. Not often. */
__noinline int join_second(struct kl_join_call *j, __u64 hash)
{
	struct kl_bucket *first, *second;

	if (!j)
		return 0;
	first = join_bucket(kl_join_first(hash, kl_settings.bucket_mask));
	second = join_bucket(kl_join_second(hash, kl_settings.bucket_mask));
	if (!first || !second)
		return 0;
	/* The first is asked again, for it was not to make anything while it was not known whether
	 * the second has it. */
	if (first->spilled && (join_in(j, second, false) || (j->insert && join_in(j, first, true))))
		return 0;
	if (!j->insert)
		return 0;
	first->spilled = 1;
	if (join_in(j, second, true))
		return 0;
	first->full_ns = j->sighting.now;
	second->full_ns = j->sighting.now;
	j->full = true;
	return 0;
}

__noinline int join(struct kl_join_call *j)
{
	struct kl_bucket *b;
	__u64 hash;

	if (!j)
		return 0;
	hash = kl_join_key_hash(&j->key);
	j->tag = kl_join_tag(hash);
	b = join_bucket(kl_join_first(hash, kl_settings.bucket_mask));
	if (!b)
		return 0;
	if (join_in(j, b, j->insert && !b->spilled)) {
		/* It was not let in: what is missing may be of an entry in the second bucket. */
		if (j->full && b->spilled) {
			b = join_bucket(kl_join_second(hash, kl_settings.bucket_mask));
			if (b)
				b->full_ns = j->sighting.now;
		}
		return 0;
	}
	if (j->insert || b->spilled)
		join_second(j, hash);
	return 0;
}

/* --nat: the join found out that two connections are one. Ties the far side's to the near one's. */
static __always_inline void tie_alias(struct walk *w, const struct kl_join_call *j)
{
	bool here_is_alias = w->conn->flags & KL_CONN_ALIAS;
	__u64 alias_id = here_is_alias ? w->known->id : j->conn_id;
	__u64 home_id = here_is_alias ? j->conn_id : w->known->id;
	struct kl_conn *alias = here_is_alias ? w->conn : NULL;
	struct kl_conn *home = here_is_alias ? NULL : w->conn;

	if (alias_id == home_id)
		return;
	if (!alias)
		alias = find_conn(alias_id);
	if (!home)
		home = find_conn(home_id);
	if (!alias || !home || !(alias->flags & KL_CONN_ALIAS) || (home->flags & KL_CONN_ALIAS))
		return;
	alias->home = home_id;
	kl_flow_prove(&home->flow[w->known->at.direction & 1], w->known->at.now,
		      w->known->at.epoch);
}

static __always_inline void count_join(const struct walk *w, const struct kl_join_call *j)
{
	const struct kl_join_result *r = &j->result;
	__u32 direction = w->known->at.direction, kind = j->kind;
	struct kl_counters *n = counters();

	if (!n)
		return;
	/* Sent first, for user space reads it last: the difference never looks negative. */
	if (r->sent)
		count_tally(n, KL_SENT, direction, kind, r->sent);
	if (r->delivered)
		count_tally(n, KL_DELIVERED, direction, kind, r->delivered);
	if (r->duplicate)
		count_tally(n, KL_DUPLICATES, direction, kind, 1);
	if (r->late)
		n->incident[KL_LATE]++;
	if (r->has_transit) {
		struct kl_maxima *m = maxima();

		count_time(n->transit, m ? &m->transit_ns : NULL, r->transit_ns);
	}
}

/* How long did the keepalive of the other direction wait for this answer? */
static __always_inline void count_answer(struct walk *w)
{
	__u32 direction = (w->known->at.direction & 1) ^ 1;
	__u32 asked = w->conn->asked[direction];
	struct kl_counters *n = counters();
	struct kl_maxima *m;

	if (!asked || !n)
		return;
	w->conn->asked[direction] = 0;
	m = maxima();
	count_time(n->answer, m ? &m->answer_ns : NULL, kl_asked_since(asked, w->known->at.now));
}

/* After a sighting was joined: the connection's memory, and the narrative. */
static __always_inline void note_near(struct walk *w, const struct kl_join_call *j, bool bare)
{
	struct kl_flow *f = &w->conn->flow[w->known->at.direction & 1];
	const struct kl_join_result *r = &j->result;
	struct kl_counters *n;

	if (r->duplicate)
		return;
	if (bare) {
		/* Each probe is one of its own, though its sequence number repeats. */
		f->bare_seq = w->s->seq;
		f->flags |= KL_FLOW_BARE;
	} else {
		f->joined_seq = w->s->seq;
		f->joined_len = (__u16)w->s->payload_len;
		f->joined_copies = r->copy;
		f->last_ns = w->known->at.now;
		if (!(f->flags & KL_FLOW_ACKED) ||
		    kl_seq_before(f->acked, w->s->seq + f->joined_len))
			f->flags |= KL_FLOW_AWAITED;
	}
	if (r->retransmission && !bare) {
		n = counters();
		if (n)
			count_tally(n, KL_RETRANSMITTED, w->known->at.direction, j->kind, 1);
		tell(w, KL_EVENT_RETRANSMISSION, r);
		return;
	}
	if (kl_kind_is_keepalive(j->kind))
		w->conn->asked[w->known->at.direction & 1] = kl_asked(w->known->at.now);
	tell(w, KL_EVENT_SEGMENT, r);
}

/* One segment, or one piece of an aggregate. */
static __always_inline void follow_one(void *ctx, const bool xdp, struct walk *w)
{
	struct kl_segment *s = w->s;
	struct kl_flow *f = &w->conn->flow[w->known->at.direction & 1];
	struct kl_scratch *scratch;
	struct kl_join_call *j;
	bool bare = s->payload_len <= 1;
	__u8 closing = f->closing;
	bool far_match_only = false, draining = kl_control.mode != KL_MODE_ON;

	w->known->kind = KL_OTHER;
	w->known->tells = KL_TELLS_NOTHING;
	if (bare)
		w->known->kind = kl_flow_bare_kind(w->conn, &w->known->at, s);
	kl_flow_see(w->conn, &w->known->at, s);
	if (f->closing != closing)
		tell(w, KL_EVENT_CLOSE, NULL);

	if (bare) {
		far_match_only = w->known->kind == KL_OTHER;
		if (far_match_only &&
		    (w->known->near || !(f->flags & KL_FLOW_BARE) || f->bare_seq != s->seq)) {
			tell_note(w);
			return;
		}
	} else if (w->known->near && !draining) {
		w->known->kind = classify(ctx, xdp, w);
		if (kl_conn_tells(w->conn, w->known->tells, w->known->kind))
			tell_payload(ctx, xdp, w);
		if (!kl_kind_is_joined(w->known->kind)) {
			tell_note(w);
			return;
		}
	}

	scratch = get_scratch();
	if (!scratch)
		return;
	j = &scratch->call;
	KL_MEMSET(j, 0, sizeof(*j));
	j->key.conn = w->known->join_key;
	j->key.seq = s->seq;
	j->key.len_direction = s->payload_len << 1 | (w->known->at.direction & 1);
	j->conn_id = w->known->id;
	j->kind = (__u8)w->known->kind;
	j->sighting.now = w->known->at.now;
	j->sighting.near = w->known->near;
	j->sighting.proven = kl_flow_is_countable(w->conn, w->known->at.direction,
						  w->known->at.epoch, w->known->at.now);
	j->sighting.deadline_ns = kl_settings.deadline_ns;
	j->sighting.stamp = kl_stamp(s);
	if (!kl_settings.tap && w->conn->hole_seq[w->known->at.direction & 1] == s->seq)
		j->sighting.wanted_ns = f->hole_ns;
	/* At the end, only what is under way is still followed, and its further copies. */
	j->insert = w->known->near && !draining;
	j->only_pending = draining || far_match_only;
	if (w->known->near && !bare && f->joined_copies && f->joined_seq == s->seq &&
	    f->joined_len == (__u16)s->payload_len) {
		j->memory_ns = f->last_ns;
		j->memory_copies = f->joined_copies;
	}
	join(j);
	if (!w->known->near && !j->found) {
		/* Nothing waits for it. Is it one that should have been seen at the near side? */
		if (far_match_only || draining)
			return;
		if (!bare) {
			w->known->kind = classify(ctx, xdp, w);
			if (!kl_kind_is_joined(w->known->kind))
				return;
			j->kind = (__u8)w->known->kind;
		}
		j->insert = true;
		join(j);
	}
	if (j->full)
		count_incident(KL_JOIN_FULL);
	if (!j->found)
		return;
	w->known->kind = j->kind;
	if (kl_settings.nat && !w->known->near && j->result.delivered)
		tie_alias(w, j);
	count_join(w, j);
	if (w->known->near)
		note_near(w, j, bare);
	else if (kl_kind_is_answer(j->kind))
		count_answer(w);
}

/* ---- Aggregates ---- */

struct pieces {
	void *ctx;
	struct walk *w;
	__u32 left;	 /* payload not yet looked at */
	__u32 piece_len; /* gso_size */
	__u8 flags;
};

static long follow_piece(__u32 index, struct pieces *p)
{
	struct walk *w = p->w;
	struct kl_segment *s = w->s;
	__u32 len = p->left < p->piece_len ? p->left : p->piece_len;

	p->left -= len;
	s->payload_len = len;
	/* A FIN goes with the last piece. */
	s->flags = p->left ? p->flags & ~KL_FIN : p->flags;
	follow_one(p->ctx, false, w);
	s->seq += len;
	s->payload_off += len;
	if (s->ip_id)
		s->ip_id++;
	return p->left == 0;
}

/* ---- From a frame on ---- */

/* Finds or makes the connection. Returns false where the segment cannot be followed. */
static __always_inline bool start_walk(struct walk *w, struct kl_scratch *scratch, __u32 place,
				       __u64 heard)
{
	struct kl_segment *s = &scratch->segment;
	struct kl_endpoints *ends = &scratch->ends;
	bool ambiguous, egress = place & KL_PLACE_EGRESS, made = false;
	__u32 direction = kl_orient(&kl_ports, s, &ambiguous), side = place & 1;
	__u64 id;

	kl_endpoints_of(s, direction, ends);
	id = kl_endpoints_hash(ends, kl_settings.seed);
	w->s = s;
	w->known = &scratch->known;
	KL_MEMSET(w->known, 0, sizeof(*w->known));
	w->known->id = id;
	w->known->join_key = kl_settings.nat ? kl_cucm_hash(ends, kl_settings.seed) : id;
	w->conn = indexed_conn(id);

	/* Inline, a segment comes in on one side and leaves on the other. What goes another way was
	 * flooded, or the sides were mixed up. */
	if (!kl_settings.tap && !ambiguous && (side == direction) == egress) {
		if (!egress)
			count_incident(side == KL_ACCESS ? KL_WRONG_WAY_ACCESS : KL_WRONG_WAY_CUCM);
		return false;
	}
	w->known->at.epoch = kl_control.epoch;
	w->known->at.side = side;
	if (!w->conn) {
		/* A reset alone opens nothing, and at the end nothing is opened any more. */
		if ((s->flags & KL_RST) || kl_control.mode != KL_MODE_ON)
			return false;
		w->conn = new_conn(ends, id, is_nat_alias(place) ? KL_CONN_ALIAS : 0,
				   bpf_ktime_get_ns());
		if (!w->conn)
			return false;
		made = true;
	} else if (!kl_endpoints_equal(&w->conn->ends, ends)) {
		count_incident(KL_HASH_COLLISIONS);
		return false;
	}
	if (ambiguous) {
		if (s->flags & KL_SYN) {
			if (kl_orient_by_syn(s) != direction)
				w->conn->flags |= KL_CONN_SWAPPED;
			else
				w->conn->flags &= (__u16)~KL_CONN_SWAPPED;
		}
		if (w->conn->flags & KL_CONN_SWAPPED)
			direction ^= 1;
		if (!kl_settings.tap && (side == direction) == egress)
			return false;
	}
	w->known->service = kl_port_service(
		&kl_ports, w->conn->flags & KL_CONN_SWAPPED ? ends->phone_port : ends->cucm_port);
	w->known->at.direction = direction;
	w->known->near = kl_is_near(side, direction);
	if (is_nat_alias(place)) {
		resolve_alias(w);
	} else {
		if (side == KL_ACCESS) {
			w->conn->flags |= KL_CONN_ACCESS;
			w->conn->vlan = s->vlan;
			kl_copy_mac(w->conn->phone_mac,
				    direction == KL_TO_CUCM ? s->mac_src : s->mac_dst);
			if (direction == KL_TO_CUCM)
				kl_copy_mac(w->conn->next_mac, s->mac_dst);
		}
		if (kl_settings.nat && (s->flags & (KL_SYN | KL_ACK)) == KL_SYN) {
			struct kl_nat_key key = { .cucm = w->known->join_key, .isn = s->seq };

			bpf_map_update_elem(&kl_nat, &key, &id, BPF_ANY);
		}
	}
	if (!kl_flow_is_routine(w->conn, &w->known->at, s)) {
		w->known->at.now = bpf_ktime_get_ns();
		if (kl_settings.idle && w->known->near)
			w->known->at.silence = silence_of(kl_mac_word(w->conn->phone_mac),
							  direction, heard);
	}
	w->known->kind = KL_OTHER;
	if (s->flags & KL_SYN)
		made |= kl_conn_see_syn(w->conn, &w->known->at, s);
	if (made && !(w->conn->flags & KL_CONN_ALIAS))
		tell(w, KL_EVENT_OPEN, NULL);
	return true;
}

/* What is not a whole segment: counted, and remembered where its connection is known. */
static __always_inline void note_unusual(const struct kl_segment *s, __u32 parsed)
{
	struct kl_endpoints ends;
	struct kl_conn *c;
	bool ambiguous;
	__u32 direction;
	__u64 id;

	if (parsed != KL_FRAGMENT) {
		count_incident(KL_MALFORMED_FRAMES);
		return;
	}
	count_incident(KL_FRAGMENTS);
	if (!s->family)
		return;
	direction = kl_orient(&kl_ports, s, &ambiguous);
	kl_endpoints_of(s, direction, &ends);
	id = kl_endpoints_hash(&ends, kl_settings.seed);
	c = find_conn(id);
	if (!c)
		return;
	c->fragment_ns = bpf_ktime_get_ns();
	if (c->home) {
		c = find_conn(c->home);
		if (c)
			c->fragment_ns = bpf_ktime_get_ns();
	}
}

static __always_inline void count_segments(const struct walk *w, __u32 by)
{
	struct kl_counters *n = counters();

	if (n && w->known->near)
		n->segments[w->known->at.direction & 1] += by;
}

/* Through the scratch: see pack_layout(). */
static __always_inline __u32 forget_layout(__u32 parsed, struct kl_layout *layout,
					   struct kl_scratch *scratch)
{
	*(volatile __u64 *)&scratch->layout = pack_layout(parsed, layout);
	return unpack_layout(*(volatile __u64 *)&scratch->layout, layout);
}

/* plain: see kl_peek_net(). */
static __always_inline __u32 parse_here(const struct kl_frame *frame, const bool plain,
					struct kl_scratch *scratch)
{
	struct kl_layout layout;
	__u32 parsed = kl_peek_link(frame, &layout);

	if (parsed == KL_SEGMENT) {
		if (!plain)
			forget_layout(parsed, &layout, scratch);
		parsed = kl_peek_net(frame, &kl_ports, plain, &layout);
	}
	if (parsed == KL_NOT_OURS)
		return kl_settings.arp && kl_arp_peek(frame, &layout) ? KL_PARSED_ARP : KL_NOT_OURS;
	parsed = forget_layout(parsed, &layout, scratch);
	return kl_parse_laid_out(frame, parsed, &layout, &scratch->segment);
}

/* Any frame, and where there is more of it than at first. */
__noinline __u32 parse_xdp(struct xdp_md *ctx)
{
	struct kl_frame frame = xdp_frame(ctx);
	struct kl_scratch *scratch = get_scratch();

	if (!scratch)
		return KL_NOT_OURS;
	/* A frame in several buffers is longer than its first one. */
	frame.wire_len = (__u32)bpf_xdp_get_buff_len(ctx);
	return parse_here(&frame, false, scratch);
}

__noinline __u32 parse_tc(struct __sk_buff *ctx)
{
	struct kl_frame frame = tc_frame(ctx);
	struct kl_scratch *scratch = get_scratch();

	if (!scratch)
		return KL_NOT_OURS;
	return parse_here(&frame, false, scratch);
}

/* The parsed segment's connection in *w. Returns false where there is nothing to follow. */
static __always_inline bool start_parsed(struct walk *w, struct kl_scratch *scratch, __u32 parsed,
					 __u32 place, __u64 heard)
{
	if (parsed == KL_NOT_OURS)
		return false;
	if (parsed != KL_SEGMENT) {
		note_unusual(&scratch->segment, parsed);
		return false;
	}
	return start_walk(w, scratch, place, heard);
}

/* heard: see hear(); 0: not known. */
__noinline int follow_xdp(struct xdp_md *ctx, __u32 place, __u64 heard)
{
	struct kl_scratch *scratch = get_scratch();
	struct kl_frame frame = xdp_frame(ctx);
	struct walk w = {};
	__u32 parsed;

	if (kl_control.mode == KL_MODE_OFF || !scratch)
		return 0;
	parsed = parse_here(&frame, true, scratch);
	if (parsed == KL_MALFORMED || parsed == KL_NOT_PLAIN)
		parsed = parse_xdp(ctx);
	if (parsed == KL_PARSED_ARP)
		return KL_IS_ARP;
	if (!start_parsed(&w, scratch, parsed, place, heard))
		return 0;
	count_segments(&w, 1);
	follow_one(ctx, true, &w);
	return 0;
}

/* Returns KL_IN_PIECES where follow_pieces() has to go on. */
__noinline int follow_tc(struct __sk_buff *ctx, __u32 place, __u64 heard)
{
	struct kl_scratch *scratch = get_scratch();
	struct kl_frame frame = tc_frame(ctx);
	__u32 gso_size = ctx->gso_size, parsed;
	struct walk w = {};

	if (kl_control.mode == KL_MODE_OFF || !scratch)
		return 0;
	parsed = parse_here(&frame, true, scratch);
	if (parsed == KL_NOT_LINEAR || parsed == KL_NOT_PLAIN) {
		if (bpf_skb_pull_data(ctx, ctx->len < KL_PULL_BYTES ? ctx->len : KL_PULL_BYTES))
			return 0;
		parsed = parse_tc(ctx);
	}
	if (parsed == KL_PARSED_ARP)
		return KL_IS_ARP;
	if (!start_parsed(&w, scratch, parsed, place, heard))
		return 0;
	if (gso_size && w.s->payload_len > gso_size)
		return KL_IN_PIECES;
	count_segments(&w, 1);
	follow_one(ctx, false, &w);
	return 0;
}

/* Goes on where follow_tc() returned KL_IN_PIECES: all of it is in the scratch. */
__noinline int follow_pieces(struct __sk_buff *ctx)
{
	struct kl_scratch *scratch = get_scratch();
	struct pieces p = { .ctx = ctx, .piece_len = ctx->gso_size };
	struct walk w;
	__u32 pieces;

	if (!scratch || !p.piece_len)
		return 0;
	w.s = &scratch->segment;
	w.known = &scratch->known;
	w.conn = find_conn(w.known->id);
	if (!w.conn)
		return 0;
	p.w = &w;
	p.left = w.s->payload_len;
	p.flags = w.s->flags;
	pieces = (p.left + p.piece_len - 1) / p.piece_len;
	count_segments(&w, pieces);
	bpf_loop(pieces, follow_piece, &p, 0);
	return 0;
}
