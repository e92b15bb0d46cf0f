// SPDX-License-Identifier: GPL-2.0-only
/* pair_internal.h: which far copy belongs to which near one, and what became of the others. */
#include <string.h>

#include "core/pair_internal.h"
#include "util/cleanup.h"

/* Whoever sends on after that without sending again what is missing must know that it arrived. */
#define RESENT_BY_NS (130 * KL_PAIR_NS_PER_S)

#define DISORDER_NS (1 * (int64_t)KL_NS_PER_MS)
/* Whoever has a segment has acknowledged it by then; only then is it sent again for want of that. */
#define ANSWER_NS (150 * (int64_t)KL_NS_PER_MS)

/* ---- matching ---- */

bool kl_pair_is_probe(const struct kl_pair_node *n)
{
	return n->payload_len <= 1;
}

static int64_t at(const struct kl_pair *p, const struct kl_pair_node *n)
{
	return n->matched ? n->at_ns : kl_pair_to_access(p, n->side, n->time_ns);
}

static void marry(struct kl_pair *p, struct kl_pair_node *near, struct kl_pair_node *far)
{
	struct kl_pair_way *w = &kl_pair_home(near->conn)->way[near->direction];

	near->mate = far;
	far->mate = near;
	near->paired = far->paired = true;
	near->far_ns = at(p, far);
	near->far_cookie = far->cookie;
	w->matched = true;
	w->blind = false;
}

struct copies {
	struct kl_pair_node *near[KL_PAIR_COPIES], *far[KL_PAIR_COPIES];
	int64_t near_at[KL_PAIR_COPIES], far_at[KL_PAIR_COPIES];
	uint32_t nears, fars;
};

static uint32_t gather(const struct kl_pair *p, struct kl_pair_node *n,
		       struct kl_pair_node *ret[KL_PAIR_COPIES], int64_t ret_at[KL_PAIR_COPIES])
{
	uint32_t count = 0;

	for (; n && count < KL_PAIR_COPIES; n = n->next_copy) {
		if (n->paired || n->duplicate)
			continue;
		ret[count] = n;
		ret_at[count++] = at(p, n);
	}
	return count;
}

static bool can_be(const struct kl_pair *p, const struct copies *c, uint32_t near, uint32_t far)
{
	int64_t way = c->far_at[far] - c->near_at[near];

	return !c->near[near]->paired && !c->far[far]->paired && way >= -KL_PAIR_EARLY_NS &&
	       way <= (int64_t)p->config.tolerance_ns;
}

/*
 * The same IP ID is the same packet. For the rest: from the last far copy to the first, each is of
 * the last near copy that it can be of. No other choice leaves fewer alone, for a near copy that is
 * too late for this far copy is too late for those before it, too.
 */
static void match_copies(struct kl_pair *p, struct copies *c)
{
	for (uint32_t f = c->fars; f--;) {
		for (uint32_t n = c->nears; n--;) {
			if (c->near[n]->stamp == c->far[f]->stamp &&
			    kl_stamp_is_sure(c->near[n]->stamp) && can_be(p, c, n, f))
				marry(p, c->near[n], c->far[f]);
		}
	}
	for (uint32_t f = c->fars; f--;) {
		for (uint32_t n = c->nears; n--;) {
			if (can_be(p, c, n, f))
				marry(p, c->near[n], c->far[f]);
		}
	}
}

/* What the pair acknowledges tells how the numbers of the other direction are shifted. */
static void learn_back(struct kl_pair *p, const struct kl_pair_node *near,
		       const struct kl_pair_node *far)
{
	struct kl_pair_conn *home = kl_pair_home(near->conn);
	struct kl_pair_vote *v = &home->vote[0];
	uint32_t back = near->direction ^ 1;
	uint32_t shift = near->side == KL_ACCESS ? far->ack - near->ack : near->ack - far->ack;

	if (!(near->flags & far->flags & KL_ACK) || home->way[back].matched || !home->partner)
		return;
	if (home->shift_known[back] && home->shift[back] == shift) {
		v->weight = 0;
		return;
	}
	if (!v->weight || v->shift[back] != shift) {
		v->shift[back] = shift;
		v->weight = 1;
		v->conn = home->partner;
		v->conn_id = home->partner->id;
		return;
	}
	home->shift[back] = shift;
	home->shift_known[back] = true;
	v->weight = 0;
	/* Entries are only moved: what cannot be got now stays as it is, without one. */
	(void)kl_pair_reattach(p, home->partner);
}

/* e may be another one afterwards. */
void kl_pair_match(struct kl_pair *p, struct kl_pair_entry *e)
{
	uint32_t d = e->key.what >> 8;
	struct copies c;
	bool clear;

	if (!e->dirty)
		return;
	e->dirty = false;
	if (!e->head[0] || !e->head[1])
		return;
	c.nears = gather(p, e->head[d], c.near, c.near_at);
	c.fars = gather(p, e->head[d ^ 1], c.far, c.far_at);
	if (!c.nears || !c.fars)
		return;
	match_copies(p, &c);
	/* One copy at each side: no doubt that they are the same, whatever the clocks say. */
	clear = e->held[0] == 1 && e->held[1] == 1 && c.nears == 1 && c.fars == 1 &&
		(e->key.len >= 2 || (e->key.what & KL_SYN));
	if (!clear)
		return;
	kl_pair_clock_add(p, d, d == KL_ACCESS ? c.near[0]->time_ns : c.far[0]->time_ns,
			  d == KL_ACCESS ? c.far[0]->time_ns : c.near[0]->time_ns);
	learn_back(p, c.near[0], c.far[0]);
}

/* ---- what became of a copy without a mate ---- */

/* In the near side's numbers or the far side's. */
static uint32_t shifted(const struct kl_pair_node *n, uint32_t seq)
{
	const struct kl_pair_conn *home = kl_pair_home(n->conn);
	uint32_t shift = home->shift_known[n->direction] ? home->shift[n->direction] : 0;

	return n->side == KL_ACCESS ? seq + shift : seq - shift;
}

static bool acknowledges(const struct kl_pair_node *m, uint32_t direction, uint32_t end)
{
	return m->direction != direction && (m->flags & KL_ACK) && !(m->flags & KL_RST) &&
	       kl_pair_passed(m->ack, end);
}

static bool covers(const struct kl_pair_node *m, uint32_t direction, uint32_t end)
{
	return m->direction == direction && m->payload_len && kl_seq_before(m->seq, end) &&
	       !kl_seq_before(m->seq + m->payload_len, end);
}

struct evidence {
	int64_t horizon; /* until when both sides have been read: beyond, one knows more than the other */
	bool seen, acked_unseen, acked, moved_on, again, later_far;
	int64_t seen_at, acked_at;
	const struct kl_pair_node *arrival; /* the first that the far side saw, if it is held */
};

static int64_t horizon(const struct kl_pair *p)
{
	int64_t first = INT64_MAX;

	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct kl_pair_half *h = &p->half[side];
		int64_t to = kl_pair_to_access(p, side, h->ended ? h->ended_ns : h->last_ns);

		first = to < first ? to : first;
	}
	return first;
}

/* Captures put what happens within moments in disorder: did what m answers arrive just after it? */
static bool arrives_with(const struct kl_pair *p, const struct kl_pair_node *m)
{
	const int64_t until = at(p, m) + DISORDER_NS;

	for (const struct kl_pair_node *x = m->next_of_conn; x && at(p, x) <= until;
	     x = x->next_of_conn) {
		if (x->direction != m->direction && (x->payload_len || (x->flags & KL_SYN)))
			return true;
	}
	return false;
}

/* What the far side saw, in the order in which it saw it. */
static void look_far(const struct kl_pair *p, const struct kl_pair_node *n, struct evidence *ev)
{
	const struct kl_pair_conn *o = n->conn->partner;
	const struct kl_pair_way *w = &o->way[n->direction];
	uint32_t end = shifted(n, n->seq + n->payload_len);

	if (w->has_end && kl_pair_passed(w->end, end)) {
		ev->seen = true;
		ev->seen_at = INT64_MIN / 2;
	} else if (w->has_acked && kl_pair_passed(w->acked, end)) {
		ev->acked_unseen = true;
		ev->acked_at = n->at_ns;
	}
	for (const struct kl_pair_node *m = o->head; m; m = m->next_of_conn) {
		if (m->direction == n->direction && !ev->later_far)
			ev->later_far = at(p, m) > n->at_ns;
		if (ev->seen || ev->acked_unseen) {
			if (ev->later_far)
				break;
			continue;
		}
		if (at(p, m) > ev->horizon)
			break;
		if (covers(m, n->direction, end)) {
			ev->seen = true;
			ev->seen_at = at(p, m);
			ev->arrival = m;
		} else if (acknowledges(m, n->direction, end) && !arrives_with(p, m)) {
			ev->acked_unseen = true;
			ev->acked_at = at(p, m);
		}
	}
}

/* Did the other side see the same acknowledgement, and each copy of it? */
static bool is_at_both(const struct kl_pair_node *m)
{
	const struct kl_pair_entry *e = m->entry;

	return e && e->held[m->side ^ 1] >= e->held[m->side];
}

/*
 * Where the far side saw the acknowledgement too, look_far() knows what it had seen arrive by then,
 * without asking the clocks.
 */
static void look_near(const struct kl_pair *p, const struct kl_pair_node *n, struct evidence *ev)
{
	const struct kl_pair_conn *c = n->conn;
	const struct kl_pair_way *w = &c->way[n->direction];
	uint32_t end = n->seq + n->payload_len;
	bool after = false;

	if (w->has_acked && kl_pair_passed(w->acked, end)) {
		ev->acked = true;
		if (!ev->acked_unseen)
			ev->acked_at = INT64_MIN / 2;
	}
	for (const struct kl_pair_node *m = c->head; m; m = m->next_of_conn) {
		if (!ev->acked && acknowledges(m, n->direction, end) && at(p, m) <= ev->horizon) {
			ev->acked = true;
			if (!ev->acked_unseen)
				ev->acked_at = is_at_both(m) ? INT64_MAX / 2 : at(p, m);
		}
		if (m == n)
			after = true;
		else if (!after || m->direction != n->direction || m->duplicate || !m->payload_len)
			continue;
		else if (covers(m, n->direction, end))
			ev->again = true;
		else if (!kl_seq_before(m->seq, end) && at(p, m) > n->at_ns + RESENT_BY_NS &&
			 at(p, m) <= ev->horizon)
			ev->moved_on = true;
	}
}

/*
 * Of a copy of what the receiver has already: does it acknowledge once more, the same as before,
 * though the far side saw nothing arrive that it could be for?
 */
static bool is_acknowledged_again(const struct kl_pair *p, const struct kl_pair_node *n)
{
	uint32_t end = shifted(n, n->seq + n->payload_len), last = 0;
	bool before = false;

	for (const struct kl_pair_node *m = n->conn->partner->head; m; m = m->next_of_conn) {
		bool later = at(p, m) > n->at_ns - KL_PAIR_EARLY_NS;

		if (m->duplicate)
			continue;
		if (later && (m->direction == n->direction ||
			      at(p, m) > n->at_ns + (int64_t)p->config.tolerance_ns))
			return false;
		if (!acknowledges(m, n->direction, end))
			continue;
		if (later && before && !m->payload_len && m->ack == last)
			return !arrives_with(p, m);
		before |= !later;
		last = m->ack;
	}
	return false;
}

/* Did it arrive late, after the copy that was sent later, so that it was acknowledged once more? */
static bool is_late(const struct kl_pair *p, const struct kl_pair_node *n,
		    const struct kl_pair_conn *c, uint32_t end, int64_t from_ns)
{
	int64_t until = n->at_ns + (int64_t)p->config.tolerance_ns;
	const struct kl_pair_node *last = NULL;

	for (const struct kl_pair_node *m = c->head; m && at(p, m) <= until; m = m->next_of_conn) {
		if (m->duplicate || at(p, m) < from_ns)
			continue;
		if (m->direction == n->direction)
			last = m->payload_len && c->side != n->side ? NULL : last;
		else if (acknowledges(m, n->direction, end)) {
			if (last && !m->payload_len && m->ack == last->ack)
				return true;
			last = m;
		}
	}
	return false;
}

/*
 * The capture may have missed it, but the receiver did not have it either: until a later copy came
 * nobody saw it acknowledged, for longer than it takes to answer, and its sender, too, did not
 * know of any. To be wrong here the capture must have missed the copy and all that answered it,
 * and all of that must have been lost on its way back as well.
 */
static bool is_confirmed(const struct kl_pair *p, const struct kl_pair_node *n,
			 const struct evidence *ev)
{
	const struct kl_pair_node *m = ev->arrival;
	uint32_t end = n->seq + n->payload_len, reason;

	if (!m || !m->mate || at(p, m->mate) <= n->at_ns || !ev->again || ev->acked_unseen ||
	    ev->seen_at < n->at_ns + ANSWER_NS)
		return false;
	if (ev->acked && ev->acked_at < ev->seen_at + KL_PAIR_EARLY_NS)
		return false;
	reason = kl_pair_covered(p, n->side ^ 1, n->at_ns - KL_PAIR_EARLY_NS, ev->seen_at);
	if (reason && reason != KL_PAIR_DROPPED)
		return false;
	return !is_late(p, n, n->conn->partner, shifted(n, end), ev->seen_at) &&
	       !is_late(p, n, n->conn, end, ev->seen_at);
}

/* Was there an answer to a probe before it was repeated? */
static bool is_answered(const struct kl_pair *p, const struct kl_pair_node *n)
{
	const struct kl_pair_conn *both[] = { n->conn, n->conn->partner };
	int64_t until = INT64_MAX;

	for (const struct kl_pair_node *m = n->next_copy; m; m = m->next_copy) {
		if (m->duplicate)
			continue;
		until = at(p, m);
		break;
	}
	for (uint32_t i = 0; i < KL_COUNT(both); i++) {
		for (const struct kl_pair_node *m = both[i]->head; m; m = m->next_of_conn) {
			int64_t then = at(p, m);

			if (m->direction != n->direction && then >= n->at_ns && then < until &&
			    then <= horizon(p) && (m->flags & KL_ACK) && !m->payload_len)
				return true;
		}
	}
	return false;
}

/* The side missed something about that time, and not for good. */
static void note_drop(struct kl_pair *p, uint32_t side, int64_t at_ns)
{
	int64_t slack = (int64_t)p->config.tolerance_ns;

	if (kl_pair_covered(p, side, at_ns - slack, at_ns + KL_PAIR_EARLY_NS))
		return;
	kl_pair_cover_add(p, side, kl_pair_from_access(p, side, at_ns - slack),
			  kl_pair_from_access(p, side, at_ns + slack), KL_PAIR_DROPPED);
}

void kl_pair_examine(struct kl_pair *p, struct kl_pair_node *n)
{
	struct evidence ev = { .horizon = horizon(p) };
	struct kl_pair_way *w;
	bool acknowledged;

	if (!n->conn->partner)
		return;
	w = &kl_pair_home(n->conn)->way[n->direction];
	if (n->kind == KL_TCP_PROBE_ACK) {
		n->verdict = KL_VERDICT_UNCONFIRMED;
		return;
	}
	if (kl_pair_is_probe(n)) {
		ev.acked_unseen = is_answered(p, n);
	} else {
		look_far(p, n, &ev);
		look_near(p, n, &ev);
		if (!ev.acked_unseen && is_acknowledged_again(p, n)) {
			ev.acked_unseen = true;
			ev.acked_at = n->at_ns;
		}
	}
	acknowledged = ev.acked_unseen ||
		       (ev.acked && (!ev.seen || ev.seen_at > ev.acked_at + KL_PAIR_EARLY_NS));
	if (acknowledged && ev.later_far && p->config.complete[n->side ^ 1])
		acknowledged = ev.moved_on = false;
	if (acknowledged) {
		n->verdict = KL_VERDICT_ACKNOWLEDGED;
		/* What was sent again in a gap of the far capture says nothing of it elsewhere. */
		if (kl_pair_covered(p, n->side ^ 1, n->at_ns - KL_PAIR_EARLY_NS, ev.acked_at))
			return;
		w->blind = true;
		if (ev.later_far)
			note_drop(p, n->side ^ 1, n->at_ns);
	} else if (w->blind) {
		n->verdict = KL_VERDICT_UNSEEN;
	} else if (ev.moved_on && !ev.again && !ev.acked) {
		n->verdict = KL_VERDICT_UNCONFIRMED;
	} else {
		n->verdict = is_confirmed(p, n, &ev) ? KL_VERDICT_RESENT : KL_VERDICT_MISSING;
	}
}

void kl_pair_examine_far(struct kl_pair *p, struct kl_pair_node *n)
{
	const struct kl_pair_conn *o = n->conn->partner;
	const struct kl_pair_entry *e = n->entry;

	if (!o || !e || n->duplicate)
		return;
	/*
	 * A near copy that is too far off in time is another matter; and so is one that was taken
	 * for a double, for two of a kind may leave within moments and arrive one by one.
	 */
	for (const struct kl_pair_node *m = e->head[n->side ^ 1]; m; m = m->next_copy) {
		if (!m->paired || m->duplicate)
			return;
	}
	for (const struct kl_pair_node *m = o->head; m; m = m->next_of_conn) {
		if (m->direction == n->direction && at(p, m) > n->at_ns) {
			note_drop(p, n->side ^ 1, n->at_ns);
			return;
		}
	}
}

/* ---- the judgement ---- */

/* Copies of one stamp: their far copies may have come so close that they look like duplicates. */
static bool has_twin(const struct kl_pair_node *n)
{
	bool twin = false, duplicate = false;

	for (const struct kl_pair_node *m = n->entry->head[n->side]; m; m = m->next_copy)
		twin |= m != n && !m->duplicate && m->stamp == n->stamp;
	for (const struct kl_pair_node *m = n->entry->head[n->side ^ 1]; m; m = m->next_copy)
		duplicate |= m->duplicate;
	return twin && duplicate;
}

static bool has_stray(const struct kl_pair *p, const struct kl_pair_node *n)
{
	int64_t within = 2 * (int64_t)p->config.tolerance_ns;

	if (n->entry && ((n->entry->stray && !kl_pair_is_probe(n)) || has_twin(n)))
		return true;
	for (const struct kl_pair_node *m = n->entry ? n->entry->head[n->side ^ 1] : NULL; m;
	     m = m->next_copy) {
		int64_t apart = at(p, m) - n->at_ns;

		if (m->paired || m->duplicate)
			continue;
		if (!kl_pair_is_probe(n) || (apart < within && apart > -within))
			return true;
	}
	return false;
}

static uint32_t why_unpaired(const struct kl_pair *p, const struct kl_pair_node *n)
{
	static const uint8_t reason_of[] = {
		[KL_VERDICT_NONE] = KL_PAIR_NO_ROOM,
		[KL_VERDICT_MISSING] = KL_PAIR_NO_REASON,
		[KL_VERDICT_ACKNOWLEDGED] = KL_PAIR_ACKNOWLEDGED,
		[KL_VERDICT_UNSEEN] = KL_PAIR_UNSEEN,
		[KL_VERDICT_UNCONFIRMED] = KL_PAIR_UNCONFIRMED,
		[KL_VERDICT_NO_ROOM] = KL_PAIR_NO_ROOM,
		[KL_VERDICT_RESENT] = KL_PAIR_NO_REASON,
	};
	struct kl_pair_conn *c = n->conn, *home = kl_pair_home(c);
	uint32_t far = n->side ^ 1, reason;

	if (!p->track.known || !p->track.counts)
		return p->finished ? KL_PAIR_NO_CLOCK : KL_PAIR_NO_ROOM;
	reason = kl_pair_covered(p, far, n->at_ns - KL_PAIR_EARLY_NS,
				 n->at_ns + (int64_t)p->config.tolerance_ns);
	/* Of what it does not see itself the verdict knows more. */
	if (reason == KL_PAIR_DROPPED &&
	    (n->verdict == KL_VERDICT_ACKNOWLEDGED || n->verdict == KL_VERDICT_UNSEEN))
		return reason_of[n->verdict];
	if (reason && !(reason == KL_PAIR_DROPPED && n->verdict == KL_VERDICT_RESENT))
		return reason;
	if (kl_pair_blank_at(p, n->side, n->time_ns) == KL_PAIR_STEP)
		return KL_PAIR_STEP;
	if (!c->partner)
		return kl_pair_conn_at(p, far, &c->ends) ? KL_PAIR_REWRITTEN : KL_PAIR_NO_PARTNER;
	if (!home->shift_known[n->direction])
		return KL_PAIR_REWRITTEN;
	/* Times alone, with other addresses and numbers, may as well be those of a neighbour. */
	if (c->how == KL_PAIR_BY_TIME && !kl_endpoints_equal(&c->ends, &c->partner->ends))
		return KL_PAIR_UNCONFIRMED;
	if (!home->way[n->direction].matched)
		return KL_PAIR_ONE_SIDED;
	if (c->way[n->direction].fragmented || c->partner->way[n->direction].fragmented)
		return KL_PAIR_FRAGMENTED;
	if (has_stray(p, n))
		return KL_PAIR_OUT_OF_TIME;
	return reason_of[n->verdict];
}

void kl_pair_judge(struct kl_pair *p, struct kl_pair_node *n, struct kl_paired *ret)
{
	struct kl_pair_conn *c = n->conn, *home = kl_pair_home(c);
	bool near = kl_is_near(n->side, n->direction), joined = kl_kind_is_joined(n->kind);
	uint32_t d = n->direction;
	uint32_t shift = home->shift_known[d] ? home->shift[d] : 0;
	uint32_t back = home->shift_known[d ^ 1] ? home->shift[d ^ 1] : 0;
	bool access = n->side == KL_ACCESS;

	*ret = (struct kl_paired){
		.near_ns = near ? (uint64_t)n->at_ns : 0,
		.far_ns = (uint64_t)(near ? n->far_ns : n->at_ns),
		.seen_ns = n->time_ns,
		.conn_id = home->id,
		.cookie = n->cookie,
		.far_cookie = n->far_cookie,
		.seq = access ? n->seq : n->seq - shift,
		.ack = access || !(n->flags & KL_ACK) ? n->ack : n->ack - back,
		.seq_other = access ? n->seq + shift : n->seq,
		.payload_len = n->payload_len,
		.stamp = n->stamp,
		.copy = n->copy,
		.copies_far = n->entry ? n->entry->copies[d ^ 1] : 0,
		.vlan = n->vlan,
		.side = n->side,
		.direction = n->direction,
		.kind = n->kind,
		.flags = n->flags,
		.asks_again = n->asks_again,
	};
	ret->ends[c->side] = c->ends;
	if (c->partner)
		ret->ends[c->side ^ 1] = c->partner->ends;
	if (n->duplicate) {
		ret->fate = KL_PAIR_DUPLICATE;
	} else if (!joined) {
		ret->fate = KL_PAIR_NOT_JOINED;
	} else if (n->paired) {
		ret->fate = KL_PAIR_DELIVERED;
	} else {
		ret->reason = (uint8_t)why_unpaired(p, n);
		/* What only the far side saw is never lost; of the reasons only the edges matter. */
		if (!near && (ret->reason == KL_PAIR_NO_REASON || ret->reason > KL_PAIR_ONE_SIDED))
			ret->reason = KL_PAIR_FAR_ONLY;
		ret->fate = ret->reason ? KL_PAIR_UNPAIRED : KL_PAIR_LOST;
	}
	p->stats.fates[ret->fate][d]++;
	p->stats.reasons[ret->reason]++;
}
