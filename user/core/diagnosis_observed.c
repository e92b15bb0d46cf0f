// SPDX-License-Identifier: GPL-2.0-only
#include "core/diagnosis_observed.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/duration.h"

/* A loss and the copy that it is about were seen within this time. */
#define SAME_NS KL_NS_PER_S
/* Losses so long before its end may have ended a session. */
#define BEFORE_END_NS (300 * KL_NS_PER_S)

/* ---- Keeping, within bounds ---- */

/* Not by turns: keepalives and answers take turns, too. */
static uint64_t lot(const struct kl_observed *o)
{
	uint64_t x = o->session ^ (uint64_t)o->seq << 32 ^ o->time_ns;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static bool is_kept(const struct kl_diagnosis *d, const struct kl_observed *o)
{
	return o->lost || !(lot(o) & (d->observed_stride - 1));
}

static void thin_out(struct kl_diagnosis *d)
{
	size_t kept = 0;

	d->observed_stride *= 2;
	for (size_t i = 0; i < d->observed_count; i++) {
		if (is_kept(d, &d->observed[i]))
			d->observed[kept++] = d->observed[i];
	}
	d->observed_count = kept;
}

/* -ENOSPC: there is none any more. */
static int make_room(struct kl_diagnosis *d)
{
	size_t room = d->observed_room ? 2 * d->observed_room : 256;
	struct kl_observed *grown;

	if (d->observed_count < d->observed_room)
		return 0;
	if (room > KL_OBSERVED_MAX)
		room = KL_OBSERVED_MAX;
	if (room == d->observed_room)
		return -ENOSPC;
	grown = reallocarray(d->observed, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->observed = grown;
	d->observed_room = room;
	return 0;
}

int kl_diagnosis_observe(struct kl_diagnosis *d, const struct kl_observed *o)
{
	int r;

	if (!d->observed_stride)
		d->observed_stride = 1;
	d->observed_seen++;
	if (!is_kept(d, o))
		return 0;
	r = make_room(d);
	/* (If nearly all were lost, the first ones have to do.) */
	if (r == -ENOSPC && d->observed_stride < 1U << 30) {
		thin_out(d);
		r = make_room(d);
	}
	if (!r && is_kept(d, o))
		d->observed[d->observed_count++] = *o;
	return r == -ENOSPC ? 0 : r;
}

/* ---- From stories ---- */

static uint32_t to_ms(uint64_t ns)
{
	uint64_t ms = ns / KL_NS_PER_MS;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void set_idle(struct kl_observed *o, uint64_t idle_ns, enum kl_idle_known known)
{
	o->idle_ms = known ? to_ms(idle_ns) : UINT32_MAX;
	o->idle_known = (uint8_t)known & 3;
}

/*
 * A phone that sends again was silent since the copy before, whether or not that one came by here.
 * (What is sent to it again says nothing of its silence.)
 */
static void set_idle_of_again(struct kl_observed *o, const struct kl_story *story)
{
	uint64_t gap_ns = story->inferred ? story->late_ns : story->gap_ns;

	if (story->direction != KL_TO_CUCM || !gap_ns)
		return;
	if (!story->idle_known)
		set_idle(o, gap_ns, KL_IDLE_SIGNALLING);
	else if (gap_ns < story->idle_ns)
		set_idle(o, gap_ns, story->idle_known);
}

void kl_observed_after(const struct kl_observed *last, struct kl_observed *o)
{
	if (!o->lost || !last || !last->lost || last->session != o->session ||
	    last->seq != o->seq || last->direction != o->direction || last->time_ns != o->time_ns)
		return;
	o->again = 1;
	set_idle(o, 0, KL_IDLE_UNKNOWN);
}

bool kl_observed_of_story(const struct kl_story *story, struct kl_observed *ret)
{
	*ret = (struct kl_observed){
		.time_ns = story->time_ns,
		.session = story->session->id,
		.seq = story->seq,
		.length = (uint16_t)(story->length < UINT16_MAX ? story->length : UINT16_MAX),
		.direction = story->direction & 1,
		.kind = (uint8_t)story->kind,
	};
	set_idle(ret, story->idle_ns, story->idle_known);
	switch (story->type) {
	case KL_STORY_SEGMENT:
		return true;
	case KL_STORY_RETRANSMISSION:
		ret->again = 1;
		set_idle_of_again(ret, story);
		return true;
	case KL_STORY_LOSS:
		ret->lost = 1;
		ret->where = (uint8_t)story->where & 3;
		/* Else that copy was seen: kl_observed_finish() */
		return story->where == kl_where_before(story->direction);
	default:
		return false;
	}
}

int kl_observed_story(struct kl_diagnosis *d, const struct kl_story *story)
{
	struct kl_observed o;

	if (!kl_observed_of_story(story, &o))
		return 0;
	kl_observed_after(d->observed_count ? &d->observed[d->observed_count - 1] : NULL, &o);
	return kl_diagnosis_observe(d, &o);
}

/* ---- At the end ---- */

static int compare(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int by_segment(const void *a, const void *b)
{
	const struct kl_observed *x = a, *y = b;

	return compare(x->session, y->session) ?: compare(x->direction, y->direction)
		       ?: compare(x->seq, y->seq) ?: compare(x->time_ns, y->time_ns)
		       ?: compare(x->lost, y->lost);
}

static int by_time(const void *a, const void *b)
{
	const struct kl_observed *x = a, *y = b;

	return compare(x->time_ns, y->time_ns) ?: by_segment(a, b);
}

/* Told twice: as what was seen, and once more as a retransmission of what was not. */
static void unite(struct kl_diagnosis *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];
		struct kl_observed *last = kept ? &d->observed[kept - 1] : NULL;

		if (!last || o->lost || by_segment(last, o)) {
			d->observed[kept++] = *o;
			continue;
		}
		last->again |= o->again;
		if (o->idle_known > last->idle_known)
			last->idle_known = o->idle_known;
		if (o->idle_ms < last->idle_ms)
			last->idle_ms = o->idle_ms;
	}
	d->observed_count = kept;
}

/* The copy that was seen of this loss: the nearest in time. NULL: it was not kept. */
static struct kl_observed *find_copy(const struct kl_diagnosis *d, size_t count,
				     const struct kl_lost *l)
{
	const struct kl_observed key = { .time_ns = kl_since(l->time_ns, SAME_NS),
					 .session = l->conn_id,
					 .seq = l->seq,
					 .direction = l->direction & 1 };
	struct kl_observed *best = NULL;
	size_t low = 0, high = count;
	uint64_t nearest = SAME_NS;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_segment(&d->observed[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count; low++) {
		struct kl_observed *o = &d->observed[low];
		uint64_t away = o->time_ns > l->time_ns ? o->time_ns - l->time_ns
							: l->time_ns - o->time_ns;

		if (o->session != key.session || o->direction != key.direction ||
		    o->seq != key.seq || o->time_ns > l->time_ns + SAME_NS)
			break;
		if (o->lost || o->where || away > nearest)
			continue;
		nearest = away;
		best = o;
	}
	return best;
}

static void mark(struct kl_observed *o, struct kl_lost *l)
{
	o->lost = l->where != KL_WHERE_UNKNOWN;
	o->where = l->where & 3;
	if (!l->idle_known && o->idle_known) {
		l->idle_ns = o->idle_ms * KL_NS_PER_MS;
		l->idle_known = o->idle_known;
	} else if (!o->idle_known && l->idle_known) {
		set_idle(o, l->idle_ns, l->idle_known);
	}
}

static void mark_lost(struct kl_diagnosis *d)
{
	size_t count = d->observed_count;

	for (size_t i = 0; i < d->lost_count; i++) {
		struct kl_lost *l = &d->lost[i];
		struct kl_observed *seen, own = {
			.time_ns = l->time_ns,
			.session = l->conn_id,
			.seq = l->seq,
			.length = (uint16_t)(l->length < UINT16_MAX ? l->length : UINT16_MAX),
			.direction = l->direction & 1,
			.again = l->copies[l->direction & 1] > 1,
			.kind = l->kind,
		};

		if (l->where == kl_where_before(l->direction))
			continue; /* it is there already */
		seen = find_copy(d, count, l);
		set_idle(&own, l->idle_ns, l->idle_known);
		mark(seen ? seen : &own, l);
		/* (Without thinning: those in order must stay where they are.) */
		if (!seen && own.lost && !make_room(d)) {
			d->observed[d->observed_count++] = own;
			d->observed_seen++;
		}
	}
}

static bool is_same_segment(const struct kl_observed *a, const struct kl_observed *b)
{
	return a->session == b->session && a->direction == b->direction && a->seq == b->seq &&
	       a->length == b->length;
}

/*
 * What was sent again and is not known to be lost is not known to have arrived either; nor is the
 * last copy of it, where that connection never went on. The first `count` are by segment. (Probes
 * have one and the same number.)
 */
static void mark_unsure(struct kl_diagnosis *d, size_t count)
{
	for (size_t i = 0, end; i < count; i = end) {
		uint64_t last_ns = 0;

		for (end = i; end < count && d->observed[end].session == d->observed[i].session &&
			      d->observed[end].direction == d->observed[i].direction;
		     end++) {
			if (d->observed[end].time_ns > last_ns)
				last_ns = d->observed[end].time_ns;
		}
		for (size_t k = i; k < end; k++) {
			struct kl_observed *o = &d->observed[k];
			bool goes_on = k + 1 < end && is_same_segment(o, o + 1);
			bool came_on = k > i && is_same_segment(o, o - 1) && o->again;

			if (!o->lost && o->length > 1 &&
			    (goes_on || (came_on && o->time_ns == last_ns)))
				o->where = KL_WHERE_UNKNOWN;
		}
	}
}

static int by_session(const void *a, const void *b, void *arg)
{
	const struct kl_lost *lost = arg, *x = &lost[*(const uint32_t *)a],
			     *y = &lost[*(const uint32_t *)b];

	return compare(x->conn_id, y->conn_id) ?: compare(x->time_ns, y->time_ns);
}

/* How many of the ordered losses are before this session's at this time? */
static size_t rank_of(const struct kl_diagnosis *d, const uint32_t *order, uint64_t session,
		      uint64_t time_ns)
{
	size_t low = 0, high = d->lost_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kl_lost *l = &d->lost[order[middle]];

		if ((compare(l->conn_id, session) ?: compare(l->time_ns, time_ns)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void count_before_ends(struct kl_diagnosis *d)
{
	_cleanup_free_ uint32_t *order = calloc(d->lost_count, sizeof(*order));

	if (!order || !d->evidence.ending.count)
		return;
	for (uint32_t i = 0; i < d->lost_count; i++)
		order[i] = i;
	qsort_r(order, d->lost_count, sizeof(*order), by_session, d->lost);
	for (size_t i = 0; i < d->evidence.ending.count; i++) {
		struct kl_ending *e = &d->evidence.ending.item[i];
		uint64_t from_ns = kl_since(e->time_ns, BEFORE_END_NS);

		e->lost_before = (uint32_t)(rank_of(d, order, e->session, e->time_ns + 1) -
					    rank_of(d, order, e->session, from_ns));
	}
}

void kl_observed_finish(struct kl_diagnosis *d)
{
	size_t count;

	if (d->observed_count) {
		qsort(d->observed, d->observed_count, sizeof(*d->observed), by_segment);
		unite(d);
		if (d->observed_count > KL_OBSERVED_MAX - d->lost_count)
			thin_out(d);
	}
	count = d->observed_count;
	mark_lost(d);
	mark_unsure(d, count);
	if (d->observed_count)
		qsort(d->observed, d->observed_count, sizeof(*d->observed), by_time);
	if (d->lost_count)
		count_before_ends(d);
}
