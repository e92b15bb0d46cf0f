// SPDX-License-Identifier: GPL-2.0-only
/* What was counted, by the minute. */
#include <inttypes.h>
#include <stdlib.h>

#include "history/incidents.h"
#include "history/load_internal.h"
#include "util/cleanup.h"

struct counted {
	struct kl_counters n;
	struct kl_maxima max;
	struct kl_tally_own own;
};

struct counting {
	struct kl_load l;
	struct counted *to;
};

static struct counted *counted_of(struct kl_load *l)
{
	return ((struct counting *)l)->to;
}

static void add_histogram(struct kl_load *l, struct kl_unpack u, __u64 *to)
{
	uint64_t bucket = 0;

	while (u.at < u.end && !u.bad) {
		uint64_t n;

		bucket += kl_unpack_number(&u);
		n = kl_unpack_number(&u);
		if (bucket < KL_HIST_BUCKETS)
			to[bucket] += n;
		else
			u.bad = true;
	}
	l->unreadable += u.bad;
}

static int take_minute(struct kl_load *l, sqlite3_stmt *q)
{
	static const enum kl_where wheres[] = { KL_PHONE_SIDE, KL_CUCM_SIDE, KL_WHERE_UNKNOWN };
	struct counted *c = counted_of(l);
	struct kl_diagnosis *d = &l->v->d;

	if (kl_column_number(q, 0) > d->phones)
		d->phones = kl_column_number(q, 0);
	for (int way = 0; way < KL_DIRECTIONS; way++) {
		c->n.segments[way] += kl_column_number(q, 1 + way);
		for (int w = 0; w < (int)KL_COUNT(wheres); w++)
			d->inferred[way][wheres[w]] += kl_column_number(q, 3 + 2 * w + way);
		c->own.retransmitted[way] += kl_column_number(q, 9 + way);
	}
	if (kl_column_number(q, 11) > c->max.transit_ns)
		c->max.transit_ns = kl_column_number(q, 11);
	if (kl_column_number(q, 12) > c->max.answer_ns)
		c->max.answer_ns = kl_column_number(q, 12);
	add_histogram(l, kl_column_bytes(q, 13), c->n.transit);
	add_histogram(l, kl_column_bytes(q, 14), c->n.answer);
	return 0;
}

static int take_count(struct kl_load *l, sqlite3_stmt *q)
{
	__u64(*tally)[KL_DIRECTIONS][KL_KIND_SLOTS] = counted_of(l)->n.tally;
	unsigned d = kl_load_direction(kl_column_text(q, 0));
	uint8_t k = kl_load_kind(kl_column_text(q, 1));
	int64_t sent = sqlite3_column_int64(q, 2);

	/* What was under way when the stretch begins was sent before, and arrives in it. */
	if (kl_column_number(q, 7))
		sent += sqlite3_column_int64(q, 8);
	if (sent >= 0)
		tally[KL_SENT][d][k] += (uint64_t)sent;
	else
		tally[KL_UNSENT][d][k] += (uint64_t)-sent;
	tally[KL_DELIVERED][d][k] += kl_column_number(q, 3);
	tally[KL_LOST_BETWEEN][d][k] += kl_column_number(q, 4);
	tally[KL_RETRANSMITTED][d][k] += kl_column_number(q, 5);
	tally[KL_DUPLICATES][d][k] += kl_column_number(q, 6);
	return 0;
}

static int take_incident(struct kl_load *l, sqlite3_stmt *q)
{
	struct counted *c = counted_of(l);

	if (!kl_incidents_add(&c->n, &c->own, kl_column_text(q, 0), kl_column_number(q, 1)))
		kl_load_remark(l, "%" PRIu64 " times %s, of which this version knows nothing",
			       kl_column_number(q, 1), kl_column_text(q, 0));
	return 0;
}

int kl_load_counts(struct kl_load *load)
{
	_cleanup_free_ struct counted *c = calloc(1, sizeof(*c));
	_cleanup_free_ struct kl_tally_state *state = calloc(1, sizeof(*state));
	struct counting counting = { .l = *load, .to = c };
	struct kl_tally_report report;
	struct kl_diagnosis *d = &load->v->d;
	int r;

	if (!c || !state)
		return kl_fail(load->err, -ENOMEM, "out of memory");
	r = kl_load_each(&counting.l,
			 "SELECT phones, segments_to_cucm, segments_to_phone,"
			 " lost_phone_side_to_cucm, lost_phone_side_to_phone,"
			 " lost_cucm_side_to_cucm, lost_cucm_side_to_phone,"
			 " lost_unknown_to_cucm, lost_unknown_to_phone,"
			 " retransmitted_unseen_to_cucm, retransmitted_unseen_to_phone,"
			 " transit_max_ns, answer_max_ns, transit, answer"
			 " FROM minute WHERE start_ns BETWEEN ?1 AND ?2",
			 take_minute)
		    /* A stretch begins where no minute of that run comes just before. */
		    ?: kl_load_each(
			       &counting.l,
			       "SELECT direction, kind, sum(sent), sum(delivered),"
			       " sum(lost_between), sum(retransmitted), sum(duplicates), 1,"
			       " sum(CASE WHEN (start_ns, run) IN (SELECT start_ns, run FROM"
			       "  (SELECT start_ns, run, lag(until_ns) OVER"
			       "   (PARTITION BY run ORDER BY start_ns) AS before FROM minute"
			       "   WHERE start_ns BETWEEN ?1 AND ?2)"
			       "  WHERE before IS NOT start_ns) THEN pending_before ELSE 0 END)"
			       " FROM minute_count WHERE start_ns BETWEEN ?1 AND ?2"
			       " GROUP BY direction, kind",
			       take_count)
			       ?: kl_load_each(&counting.l,
					       "SELECT what, sum(count) FROM minute_integrity"
					       " WHERE start_ns BETWEEN ?1 AND ?2 GROUP BY what",
					       take_incident);
	load->unreadable = counting.l.unreadable;
	if (r)
		return r;
	for (__u32 way = 0; way < KL_DIRECTIONS; way++)
		kl_sessions_restore_retransmissions(load->v->sessions, way,
						    c->own.retransmitted[way]);
	state->own = c->own;
	kl_tally_tick(state, &c->n, &c->max, &report);
	d->total = state->total;
	/* Finishing adds the sums of the kinds. */
	for (int way = 0; way < KL_DIRECTIONS; way++)
		d->total.direction[way] =
			(struct kl_count){ .pending = d->total.direction[way].pending };
	return 0;
}
