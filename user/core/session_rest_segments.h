/* SPDX-License-Identifier: GPL-2.0-only */
/* What a record of a session at rest says of its segments. For session_rest.c alone. */
#pragma once

#include "core/session_rest_code.h"
#include "core/session_state.h"

/* before_ns: something of which it may be known when it was. */
STEP void walk_heard(struct coder *c, bool packing, struct kl_heard *h, uint64_t before_ns,
		     uint64_t expected_ms)
{
	if (!PART(h->time_ns || h->known))
		return;
	h->known = bits(c, packing, h->known, 2) & 3;
	h->time_ns = before_ns -
		     multiple(c, packing, before_ns - h->time_ns, KL_NS_PER_MS, expected_ms);
}

/* As if it were like `like` and everything followed one period after the other. */
STEP void walk_last(struct coder *c, bool packing, struct kl_last *l, const struct kl_last *like,
		    uint64_t expected_ns, uint64_t expected_ms)
{
	uint32_t seq;

	if (!PART(l->time_ns || l->len || l->seq || l->kind))
		return;
	MOMENT(l->time_ns, expected_ns);
	BITS(l->acked, 1);
	BITS(l->got_through, 1);
	walk_heard(c, packing, &l->heard, l->time_ns, expected_ms);
	seq = like->seq - like->len;
	if (PART(l->len != like->len || l->seq != seq || l->missed != like->missed ||
		 l->peer_missed != like->peer_missed || l->kind != like->kind)) {
		NUMBER(l->len, like->len);
		NUMBER(l->seq, seq);
		NUMBER(l->missed, like->missed);
		NUMBER(l->peer_missed, like->peer_missed);
		NUMBER(l->kind, like->kind);
	} else if (!packing) {
		l->len = like->len;
		l->seq = seq;
		l->missed = like->missed;
		l->peer_missed = like->peer_missed;
		l->kind = like->kind;
	}
}

STEP uint32_t silence_ms(const struct kl_last *l)
{
	return (uint32_t)(kl_since(l->time_ns, l->heard.time_ns) / KL_NS_PER_MS);
}

STEP void walk_recent(struct coder *c, bool packing, struct kl_recent *r,
		      const struct kl_recent *like)
{
	if (!PART(r->seq != like->seq || r->len != like->len || r->copy != like->copy ||
		  r->known[0] != like->known[0] || r->idle_ms[0] != like->idle_ms[0] ||
		  r->known[1] || r->idle_ms[1])) {
		if (!packing)
			*r = *like;
		return;
	}
	NUMBER(r->copy, like->copy);
	NUMBER(r->len, like->len);
	NUMBER(r->seq, like->seq);
	NUMBER(r->known[0], like->known[0]);
	NUMBER(r->idle_ms[0], like->idle_ms[0]);
	if (!PART(r->known[1] || r->idle_ms[1]))
		return;
	NUMBER(r->known[1], 0);
	NUMBER(r->idle_ms[1], 0);
}

STEP void walk_recents(struct coder *c, bool packing, struct kl_flow_story *f)
{
	struct kl_recent like = {};

	for (int i = 0; i < KL_RECENT; i++) {
		if (i < 2) {
			const struct kl_last *l = i ? &f->before : &f->last;

			like.copy = l->time_ns != 0;
			like.seq = l->seq;
			like.len = l->len;
			like.known[0] = l->heard.known;
			like.idle_ms[0] = silence_ms(l);
		}
		walk_recent(c, packing, &f->recent[i], &like);
		like = f->recent[i];
		like.seq -= like.len;
		like.known[1] = 0;
		like.idle_ms[1] = 0;
	}
}

STEP void walk_episode(struct coder *c, bool packing, struct kl_episode *e)
{
	if (!PART(e->copies))
		return;
	NUMBER(e->first_ns, 0);
	NUMBER(e->last_ns, e->first_ns);
	MOMENT(e->settle_ns, e->last_ns);
	for (int i = 0; i < KL_EPISODE_TIMES; i++) {
		MOMENT(e->copy_ns[i], e->first_ns);
		walk_heard(c, packing, &e->heard[i], e->copy_ns[i], 0);
	}
	BYTES(e->seq);
	NUMBER(e->len, 0);
	NUMBER(e->copies, 0);
	NUMBER(e->crossed, e->copies);
	NUMBER(e->between, 0);
	NUMBER(e->duplicates, 0);
	NUMBER(e->peer_missed, 0);
	NUMBER(e->usual_us, 0);
	NUMBER(e->usual_count, 0);
	NUMBER(e->kind, 0);
	NUMBER(e->missed, 0);
	BITS(e->acked_before, 1);
	BITS(e->acked_after, 1);
	BITS(e->undecided, 1);
	BITS(e->hole, 1);
	BITS(e->sack, 1);
	BITS(e->numbered, 1);
	MOMENT(e->acked_ns, e->last_ns);
}

STEP void walk_hole(struct coder *c, bool packing, struct kl_hole *h)
{
	if (!PART(h->time_ns))
		return;
	NUMBER(h->time_ns, 0);
	BYTES(h->seq);
	NUMBER(h->len, 0);
	NUMBER(h->kind, 0);
	NUMBER(h->copies, 0);
	walk_heard(c, packing, &h->heard, h->time_ns, 0);
}

/* What happens now and then. */
STEP void walk_matters(struct coder *c, bool packing, struct kl_flow_story *f, uint64_t seen_ns)
{
	if (!PART(f->again_ns || f->rto_ns || f->quiet_odd || f->late_odd || f->hole.time_ns ||
		  f->episode[0].copies || f->episode[1].copies))
		return;
	MOMENT(f->again_ns, seen_ns);
	NUMBER(f->rto_ns, 0);
	NUMBER(f->quiet_odd, 0);
	NUMBER(f->late_odd, 0);
	for (int i = 0; i < KL_EPISODES; i++)
		walk_episode(c, packing, &f->episode[i]);
	walk_hole(c, packing, &f->hole);
}
