// SPDX-License-Identifier: GPL-2.0-only
/*
 * pair_internal.h: which connection of one side is which of the other.
 *
 * In this order: equal addresses and a segment with equal numbers; equal addresses and a payload
 * that both carried (so the numbers are shifted); other addresses and equal numbers, or payloads;
 * and, once the clocks are known, SYNs and equal lengths at equal times. Each find is a vote for a
 * partner with a shift, and several votes must agree, by how much one is worth.
 */
#include <string.h>

#include "core/pair_internal.h"
#include "util/cleanup.h"

/* What a vote counts; LINK is what it takes. */
enum {
	VOTE_TIME = 1,
	VOTE_CONTENT = 2,
	VOTE_CALL = 4, /* no two messages share a Call-ID and a CSeq */
	VOTE_LINK = 4,
	VOTE_LINK_MOMENTS = 12, /* where times are all there is */
};

/* Segments of equal length this near to each other may be the same. Alone: of any connection. */
#define NEAR_NS (250 * (int64_t)KL_NS_PER_MS)
#define ALONE_NS (20 * (int64_t)KL_NS_PER_MS)

enum {
	LOOK_BACK = 512, /* nodes of a connection */
};

static void link_conns(struct kl_pair *p, struct kl_pair_conn *a, struct kl_pair_conn *b,
		       uint8_t how)
{
	a->partner = b;
	b->partner = a;
	p->alone -= (a->how == KL_PAIR_ALONE) + (b->how == KL_PAIR_ALONE);
	if (a->how == KL_PAIR_ALONE && b->how == KL_PAIR_ALONE) {
		p->stats.paired[how]++;
		if ((a->shift_known[0] && a->shift[0]) || (a->shift_known[1] && a->shift[1]))
			p->stats.shifted++;
	}
	a->how = b->how = how;
	memset(a->vote, 0, sizeof(a->vote));
	memset(b->vote, 0, sizeof(b->vote));
}

static int link_shifted(struct kl_pair *p, struct kl_pair_conn *a, struct kl_pair_conn *b,
			const struct kl_pair_vote *v)
{
	uint8_t how = v->how;

	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		a->shift_known[d] = v->known >> d & 1;
		a->shift[d] = a->shift_known[d] ? v->shift[d] : 0;
		/* Both starts were seen: no doubt about the difference. */
		if (a->way[d].has_isn && b->way[d].has_isn) {
			a->shift[d] = b->way[d].isn - a->way[d].isn;
			a->shift_known[d] = true;
		}
	}
	/* Equal times and equal numbers of both directions: the numbers are the better reason. */
	if (how == KL_PAIR_BY_TIME && a->shift_known[0] && !a->shift[0] && a->shift_known[1] &&
	    !a->shift[1])
		how = KL_PAIR_BY_NUMBERS;
	link_conns(p, a, b, how);
	return kl_pair_reattach(p, b);
}

static int link_equal(struct kl_pair *p, struct kl_pair_conn *c, struct kl_pair_conn *o,
		      uint8_t how)
{
	struct kl_pair_conn *a = c->side == KL_ACCESS ? c : o, *b = a == c ? o : c;
	const struct kl_pair_vote v = { .known = 3, .how = how };

	return link_shifted(p, a, b, &v);
}

/* Numbers as a print or a node has them. */
struct numbers {
	uint32_t seq, ack;
	bool has_ack;
};

static bool has_equal_numbers(const struct kl_pair_vote *v)
{
	return v->known == 3 && !v->shift[0] && !v->shift[1];
}

/* Neighbours of equal rhythm keep in step for a while: times alone take longer to tell. */
static uint32_t needed(const struct kl_pair_conn *a, const struct kl_pair_conn *b,
		       const struct kl_pair_vote *v)
{
	bool alone = v->how == KL_PAIR_BY_TIME && !has_equal_numbers(v) &&
		     !kl_endpoints_equal(&a->ends, &b->ends);

	return alone ? VOTE_LINK_MOMENTS : VOTE_LINK;
}

/* c carried n's numbers where o carried those of the other side. */
static int vote(struct kl_pair *p, const struct kl_pair_node *n, struct kl_pair_conn *o,
		const struct numbers *other, uint32_t weight, uint8_t how)
{
	struct kl_pair_conn *c = n->conn;
	struct kl_pair_conn *a = c->side == KL_ACCESS ? c : o, *b = a == c ? o : c;
	uint32_t d = n->direction, sign = c->side == KL_CUCM ? 1 : -1U;
	struct kl_pair_vote *v = NULL, *weakest = &a->vote[0];
	uint32_t shift = sign * (n->seq - other->seq);
	uint32_t back = sign * (n->ack - other->ack);

	for (uint32_t i = 0; i < KL_PAIR_VOTES; i++) {
		struct kl_pair_vote *w = &a->vote[i];

		if (w->weight && w->conn == b && w->conn_id == b->id &&
		    (!(w->known >> d & 1) || w->shift[d] == shift))
			v = w;
		if (w->weight < weakest->weight)
			weakest = w;
	}
	if (!v) {
		v = weakest;
		*v = (struct kl_pair_vote){ .conn = b, .conn_id = b->id };
	}
	v->shift[d] = shift;
	v->known |= 1U << d;
	if ((n->flags & KL_ACK) && other->has_ack && !(v->known >> (d ^ 1) & 1)) {
		v->shift[d ^ 1] = back;
		v->known |= 1U << (d ^ 1);
	}
	v->weight += weight;
	v->how = how;
	if (v->weight < needed(a, b, v))
		return 0;
	/* Somebody else is as likely: wait until they differ. */
	for (uint32_t i = 0; i < KL_PAIR_VOTES; i++) {
		const struct kl_pair_vote *w = &a->vote[i];

		if (w != v && w->weight * 2 >= v->weight && w->conn->id == w->conn_id &&
		    !w->conn->partner)
			return 0;
	}
	return link_shifted(p, a, b, v);
}

static struct numbers numbers_of(const struct kl_pair_node *n)
{
	return (struct numbers){ n->seq, n->ack, n->flags & KL_ACK };
}

/* What two sightings say of the clocks if they are of the same segment. */
static void hint(struct kl_pair *p, const struct kl_pair_node *n, uint64_t other_ns)
{
	uint64_t access_ns = n->side == KL_ACCESS ? n->time_ns : other_ns;
	uint64_t cucm_ns = n->side == KL_CUCM ? n->time_ns : other_ns;

	if (p->track.known)
		return;
	p->hint[p->hints++ % KL_COUNT(p->hint)] =
		(struct kl_pair_sample){ .at_ns = (int64_t)access_ns,
					 .diff_ns = (int64_t)(cucm_ns - access_ns),
					 .direction = n->direction };
	p->both++;
}

/* ---- equal addresses ---- */

static bool is_only_one(const struct kl_pair_conn *c)
{
	return !c->older && !c->newer;
}

/* Both saw the only connection of these addresses begin. */
static void hint_of_starts(struct kl_pair *p, const struct kl_pair_node *n,
			   const struct kl_pair_conn *o)
{
	if (p->track.known || !(n->flags & KL_SYN) || n->copy != 1 || !is_only_one(n->conn) ||
	    !is_only_one(o))
		return;
	for (const struct kl_pair_node *m = o->head; m; m = m->next_of_conn) {
		if ((m->flags & KL_SYN) && m->direction == n->direction) {
			hint(p, n, m->time_ns);
			return;
		}
		if (m->payload_len)
			return;
	}
}

/* Does o have a segment with n's numbers? */
static bool has_equal(struct kl_pair *p, struct kl_pair_conn *o, const struct kl_pair_node *n)
{
	const struct kl_pair_way *w = &o->way[n->direction];
	const struct kl_pair_entry *e;

	if ((n->flags & KL_SYN) && w->has_isn && w->isn == n->seq && n->seq)
		return true;
	e = kl_pair_find(p, kl_pair_home(o), n);
	return e && e->head[o->side];
}

/* The connection it was taken for the partner of has another one: its start was not seen there. */
static void part(struct kl_pair_conn *o)
{
	if (!o->partner)
		return;
	o->partner->partner = NULL;
	o->partner = NULL;
}

static int seek_same_ends(struct kl_pair *p, struct kl_pair_node *n)
{
	struct kl_pair_conn *c = n->conn;
	uint32_t d = n->direction, tries = 0;

	for (struct kl_pair_conn *o = kl_pair_conn_at(p, n->side ^ 1, &c->ends);
	     o && tries < KL_PAIR_INCARNATIONS; o = o->older, tries++) {
		uint32_t looked = 0;

		if (has_equal(p, o, n)) {
			part(o);
			return link_equal(p, c, o, KL_PAIR_BY_ADDRESS);
		}
		if (o->partner)
			continue;
		hint_of_starts(p, n, o);
		if (!n->mark || !(n->strong_mark || (is_only_one(c) && is_only_one(o))))
			continue;
		for (struct kl_pair_node *m = o->head; m && looked < LOOK_BACK;
		     m = m->next_of_conn, looked++) {
			struct numbers other = numbers_of(m);
			int r;

			if (m->direction != d || m->mark != n->mark)
				continue;
			r = vote(p, n, o, &other, n->strong_mark ? VOTE_CALL : VOTE_CONTENT,
				 KL_PAIR_BY_CONTENT);
			if (r || c->partner)
				return r;
			break;
		}
	}
	return 0;
}

/* ---- other addresses ---- */

static struct kl_pair_print *place(const struct kl_pair *p, struct kl_pair_print *table,
				   uint64_t key)
{
	return &table[(key ^ key >> 32) & (p->config.prints - 1)];
}

static void print(const struct kl_pair *p, struct kl_pair_print *table, uint64_t key,
		  const struct kl_pair_node *n)
{
	struct kl_pair_print *x = place(p, table, key);
	bool same = x->key == key && x->conn && x->conn->id == x->conn_id;

	if (same && x->conn != n->conn) {
		x->shared = true;
		return;
	}
	if (same && !n->strong_mark && x->seq != n->seq)
		return;
	*x = (struct kl_pair_print){ .key = key,
				     .conn = n->conn,
				     .conn_id = n->conn->id,
				     .time_ns = n->time_ns,
				     .at_ns = n->at_ns,
				     .seq = n->seq,
				     .ack = n->ack,
				     .has_ack = n->flags & KL_ACK };
}

static const struct kl_pair_print *printed(const struct kl_pair *p, struct kl_pair_print *table,
					   uint64_t key)
{
	const struct kl_pair_print *x = place(p, table, key);

	if (x->key != key || !x->conn || x->shared || x->conn->id != x->conn_id || x->conn->partner)
		return NULL;
	return x;
}

/* May the two be the same, by the clocks? Where they are not known: yes. */
static bool at_equal_times(const struct kl_pair *p, const struct kl_pair_node *n,
			   const struct kl_pair_print *x)
{
	int64_t apart;

	if (!p->track.known)
		return true;
	apart = kl_pair_to_access(p, n->side, n->time_ns) -
		kl_pair_to_access(p, n->side ^ 1, x->time_ns);
	return apart < (int64_t)p->config.tolerance_ns && apart > -(int64_t)p->config.tolerance_ns;
}

/* Nothing of it could be recognised elsewhere. */
static bool says_nothing(const struct kl_pair_node *n)
{
	return !n->payload_len && (n->flags & (KL_SYN | KL_ACK)) != (KL_SYN | KL_ACK);
}

static int seek_numbers(struct kl_pair *p, struct kl_pair_node *n, bool *ret_found)
{
	uint64_t way = p->config.seed ^ (uint64_t)n->direction << 8 ^ n->flags;
	uint64_t numbers = kl_mix(kl_mix(way, (uint64_t)n->seq << 32 | n->ack), n->payload_len);
	const struct kl_pair_print *x;
	struct numbers other;

	print(p, p->print[n->side], numbers, n);
	x = printed(p, p->print[n->side ^ 1], numbers);
	*ret_found = x != NULL;
	if (!x)
		return 0;
	hint(p, n, x->time_ns);
	other = (struct numbers){ x->seq, x->ack, x->has_ack };
	return vote(p, n, x->conn, &other, VOTE_CONTENT, KL_PAIR_BY_NUMBERS);
}

static int seek_other_ends(struct kl_pair *p, struct kl_pair_node *n)
{
	const struct kl_pair_print *x;
	struct numbers other;
	bool found;
	int r;

	if (says_nothing(n))
		return 0;
	if (n->mark)
		print(p, p->print[n->side], n->mark ^ n->direction, n);
	r = seek_numbers(p, n, &found);
	if (r || found)
		return r;
	x = n->mark ? printed(p, p->print[n->side ^ 1], n->mark ^ n->direction) : NULL;
	if (!x)
		return 0;
	hint(p, n, x->time_ns);
	if (!n->strong_mark && (!p->track.known || !at_equal_times(p, n, x)))
		return 0;
	other = (struct numbers){ x->seq, x->ack, x->has_ack };
	return vote(p, n, x->conn, &other, n->strong_mark ? VOTE_CALL : VOTE_CONTENT,
		    KL_PAIR_BY_CONTENT);
}

/* When n is fed. */
int kl_pair_seek_partner(struct kl_pair *p, struct kl_pair_node *n)
{
	int r;

	if (n->conn->partner)
		return 0;
	r = seek_same_ends(p, n);
	if (r || n->conn->partner)
		return r;
	return seek_other_ends(p, n);
}

/* ---- by time ---- */

static int64_t at(const struct kl_pair *p, const struct kl_pair_node *n)
{
	return n->matched ? n->at_ns : kl_pair_to_access(p, n->side, n->time_ns);
}

static bool could_be(const struct kl_pair *p, const struct kl_pair_node *n,
		     const struct kl_pair_node *m, int64_t within_ns)
{
	int64_t apart;

	if (m->direction != n->direction || m->payload_len != n->payload_len ||
	    (m->flags & KL_SYN) != (n->flags & KL_SYN) || m->duplicate)
		return false;
	apart = at(p, m) - at(p, n);
	return apart < within_ns && apart > -within_ns;
}

/* Of the same addresses: a SYN is enough, the lengths of others must agree several times. */
static int seek_same_time(struct kl_pair *p, struct kl_pair_node *n)
{
	struct kl_pair_conn *c = n->conn;
	uint32_t tries = 0;

	for (struct kl_pair_conn *o = kl_pair_conn_at(p, n->side ^ 1, &c->ends);
	     o && tries < KL_PAIR_INCARNATIONS; o = o->older, tries++) {
		const struct kl_pair_node *found = NULL;
		uint32_t looked = 0, count = 0;
		struct numbers other;
		int r;

		if (o->partner)
			continue;
		for (const struct kl_pair_node *m = o->head; m && looked < LOOK_BACK;
		     m = m->next_of_conn, looked++) {
			if (!could_be(p, n, m, NEAR_NS) || (found && found->seq == m->seq))
				continue;
			found = m;
			count++;
		}
		if (count != 1)
			continue;
		other = numbers_of(found);
		r = vote(p, n, o, &other, n->flags & KL_SYN ? VOTE_LINK : VOTE_TIME,
			 KL_PAIR_BY_TIME);
		if (r || c->partner)
			return r;
	}
	return 0;
}

/* The only connection of the side that had such a segment about that time. */
static const struct kl_pair_print *only_one(const struct kl_pair *p, uint32_t side, uint64_t key,
					    int64_t slot)
{
	const struct kl_pair_print *only = NULL;

	for (int64_t i = slot - 1; i <= slot + 1; i++) {
		uint64_t k = kl_mix(key, (uint64_t)i);
		const struct kl_pair_print *x = place(p, p->moment[side], k);

		if (x->key != k || !x->conn || x->conn->id != x->conn_id || x->conn->partner)
			continue;
		if (x->shared || (only && only->conn != x->conn))
			return NULL;
		only = x;
	}
	return only;
}

static int seek_same_moment(struct kl_pair *p, struct kl_pair_node *n)
{
	uint64_t key = p->config.seed ^ (uint64_t)n->payload_len << 16 ^
		       (uint64_t)n->direction << 8 ^ (n->flags & KL_SYN);
	int64_t slot = n->at_ns / ALONE_NS;
	const struct kl_pair_print *mine, *theirs;
	struct numbers other;

	print(p, p->moment[n->side], kl_mix(key, (uint64_t)slot), n);
	theirs = only_one(p, n->side ^ 1, key, slot);
	mine = only_one(p, n->side, key, slot);
	if (!theirs || !mine || mine->conn != n->conn)
		return 0;
	other = (struct numbers){ theirs->seq, theirs->ack, theirs->has_ack };
	return vote(p, n, theirs->conn, &other, VOTE_TIME, KL_PAIR_BY_TIME);
}

/* When n is matched: the clocks are known, and n->at_ns. */
int kl_pair_seek_by_time(struct kl_pair *p, struct kl_pair_node *n)
{
	bool found;
	int r;

	if (n->conn->partner || n->duplicate || n->copy > 1 ||
	    (n->payload_len < 2 && !(n->flags & KL_SYN)))
		return 0;
	r = seek_same_time(p, n);
	if (r || n->conn->partner)
		return r;
	/* Where one side was read far ahead, its prints may have been overwritten when n was fed. */
	r = says_nothing(n) ? 0 : seek_numbers(p, n, &found);
	if (r || n->conn->partner)
		return r;
	return seek_same_moment(p, n);
}
