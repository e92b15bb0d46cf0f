/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a segment to an event of the narrative: what is told of it, and whether its payload goes
 * with it. The kernel writes the events into the ring buffer; who reads captures makes the same
 * ones.
 */
#pragma once

#include "abi.h"

/* tells: enum kl_tells. kind: of the payload. Remembers in *c what need not be told again. */
KL_INLINE bool kl_conn_tells(struct kl_conn *c, __u32 tells, __u32 kind)
{
	if (tells == KL_TELLS_DEVICE) {
		if (c->flags & KL_CONN_NAMED)
			return false;
		c->flags |= KL_CONN_NAMED;
		c->flags &= (__u16)~KL_CONN_TERMS;
		return true;
	}
	if (tells == KL_TELLS_TERMS) {
		if (kind != KL_SIP_RESPONSE || (c->flags & KL_CONN_TERMS))
			return false;
		c->flags |= KL_CONN_TERMS;
		return true;
	}
	return tells == KL_TELLS_ALWAYS;
}

/* Is there something in the note of a near segment, told by nothing else, that has to be told? */
KL_INLINE bool kl_note_is_told(__u8 note)
{
	return note & (KL_NOTE_ACKS | KL_NOTE_DUPLICATE | KL_NOTE_HOLE | KL_NOTE_BEHIND);
}

/* join: what the join said of it; NULL: it was not asked. */
KL_INLINE void kl_event_fill(struct kl_event *ret, __u8 type, __u64 id, const struct kl_conn *c,
			     const struct kl_sighting *at, const struct kl_segment *s, __u32 kind,
			     const struct kl_join_result *join)
{
	const struct kl_flow *f = &c->flow[at->direction & 1];
	const struct kl_flow *peer = &c->flow[(at->direction & 1) ^ 1];

	KL_MEMSET(ret, 0, sizeof(*ret));
	ret->time_ns = at->now;
	ret->conn_id = id;
	kl_conn_ends(c, &ret->ends);
	ret->seq = s->seq;
	ret->payload_len = s->payload_len;
	ret->ack = s->ack;
	ret->acked = f->acked;
	ret->joined_end = peer->joined_seq + peer->joined_len;
	ret->missed = f->id_missed;
	ret->peer_missed = peer->id_missed;
	ret->id = s->ip_id;
	ret->steps = f->id_steps;
	ret->step = f->id_step;
	ret->peer_steps = peer->id_steps;
	ret->own_numbers = f->flags & KL_FLOW_LINUX;
	ret->owed = f->owed;
	ret->owed_us = f->owed_us;
	ret->end = f->end[at->side & 1];
	ret->vlan = c->vlan;
	ret->type = type;
	ret->direction = (__u8)at->direction;
	ret->kind = (__u8)kind;
	ret->tcp_flags = s->flags;
	ret->note = kl_is_near(at->side, at->direction) ? f->note : 0;
	if (f->flags & KL_FLOW_ACKED)
		ret->note |= KL_NOTE_ACKED;
	KL_MEMCPY(ret->phone_mac, c->phone_mac, sizeof(ret->phone_mac));
	KL_MEMCPY(ret->next_mac, c->next_mac, sizeof(ret->next_mac));
	ret->idle_ms = at->silence - 1; /* not known: KL_IDLE_NONE */
	ret->side = (__u8)at->side;
	ret->ttl = s->ttl;
	ret->usual_ttl = f->ttl[at->side & 1];
	if (!join)
		return;
	ret->gap_ns = join->gap_ns;
	ret->copy = join->copy;
	ret->crossed = join->crossed;
	if (join->crossed != KL_CROSSED_UNKNOWN)
		ret->note |= KL_NOTE_CROSSED;
}
