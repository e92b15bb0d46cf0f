// SPDX-License-Identifier: GPL-2.0-only
#include "core/tally.h"

#include <string.h>

/* The value below which the given share of the histogram lies: the middle of its bucket. */
static uint64_t percentile(const __u64 *histogram, uint64_t count, double share)
{
	uint64_t rank = (uint64_t)((double)count * share), below = 0;

	for (__u32 i = 0; i < KL_HIST_BUCKETS; i++) {
		below += histogram[i];
		if (below > rank || (below == count && count))
			return (kl_hist_floor(i) + kl_hist_floor(i + 1)) / 2;
	}
	return 0;
}

static void read_times(const __u64 *now, const __u64 *before, uint64_t max_ns, struct kl_times *ret)
{
	__u64 delta[KL_HIST_BUCKETS];

	*ret = (struct kl_times){};
	for (__u32 i = 0; i < KL_HIST_BUCKETS; i++) {
		delta[i] = now[i] - (before ? before[i] : 0);
		ret->count += delta[i];
	}
	if (!ret->count)
		return;
	ret->max_ns = max_ns;
	ret->p50_us = percentile(delta, ret->count, 0.50);
	ret->p99_us = percentile(delta, ret->count, 0.99);
	/* A bucket's middle may lie above the largest time in it. */
	if (ret->p50_us > max_ns / 1000)
		ret->p50_us = max_ns / 1000;
	if (ret->p99_us > max_ns / 1000)
		ret->p99_us = max_ns / 1000;
}

static void count_kind(struct kl_tally_state *s, const struct kl_counters *now, int direction,
		       int kind, struct kl_count *ret)
{
	const struct kl_counters *last = &s->last;
	struct kl_count *total = &s->total.kind[direction][kind];
	uint64_t claimed = now->tally[KL_SENT][direction][kind] -
			   now->tally[KL_UNSENT][direction][kind];

#define SINCE(which) (now->tally[which][direction][kind] - last->tally[which][direction][kind])
	ret->delivered = SINCE(KL_DELIVERED);
	ret->lost_between = SINCE(KL_LOST_BETWEEN);
	ret->retransmitted = SINCE(KL_RETRANSMITTED);
	ret->duplicates = SINCE(KL_DUPLICATES);
#undef SINCE
	ret->sent = claimed > total->sent ? claimed - total->sent : 0;
	total->sent += ret->sent;
	total->delivered += ret->delivered;
	total->lost_between += ret->lost_between;
	total->retransmitted += ret->retransmitted;
	total->duplicates += ret->duplicates;
	total->pending = total->sent - total->delivered - total->lost_between;
	ret->pending = total->pending;
}

static void add_count(struct kl_count *sum, const struct kl_count *n)
{
	sum->sent += n->sent;
	sum->delivered += n->delivered;
	sum->lost_between += n->lost_between;
	sum->retransmitted += n->retransmitted;
	sum->duplicates += n->duplicates;
	sum->pending += n->pending;
}

static void read_integrity(const struct kl_counters *n, const struct kl_tally_own *own,
			   struct kl_integrity *ret)
{
	*ret = (struct kl_integrity){
		.events_lost = n->incident[KL_EVENTS_LOST],
		.join_full = n->incident[KL_JOIN_FULL],
		.flows_evicted = n->incident[KL_CONNS_REFUSED] + own->flows_evicted,
		.malformed = n->incident[KL_MALFORMED_FRAMES],
		.fragments = n->incident[KL_FRAGMENTS],
		.late = n->incident[KL_LATE],
		.collisions = n->incident[KL_HASH_COLLISIONS],
		.gaps = own->gaps,
		.missing_ms = own->missing_ms,
		.one_way = own->one_way,
		.wrong_way = { n->incident[KL_WRONG_WAY_ACCESS], n->incident[KL_WRONG_WAY_CUCM] },
		.records_dropped = own->records_dropped,
	};
	for (int i = 0; i < KL_FATES; i++) {
		ret->unpaired_by[i] = n->unpaired[i];
		ret->unpaired += n->unpaired[i];
	}
}

static void subtract_integrity(struct kl_integrity *ret, const struct kl_integrity *before)
{
	uint64_t *a = (uint64_t *)ret;
	const uint64_t *b = (const uint64_t *)before;

	_Static_assert(sizeof(*ret) % sizeof(uint64_t) == 0, "counters only");
	for (size_t i = 0; i < sizeof(*ret) / sizeof(uint64_t); i++)
		a[i] -= b[i];
}

void kl_tally_tick(struct kl_tally_state *s, const struct kl_counters *now,
		   const struct kl_maxima *max, struct kl_tally_report *ret)
{
	struct kl_tally_report *total = &s->total;
	struct kl_integrity integrity;

	memset(ret, 0, sizeof(*ret));
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		total->direction[d] = (struct kl_count){};
		ret->segments[d] = now->segments[d] - s->last.segments[d];
		total->segments[d] += ret->segments[d];
		for (int k = 0; k < KL_KINDS; k++) {
			count_kind(s, now, d, k, &ret->kind[d][k]);
			if (total->kind[d][k].sent || total->kind[d][k].duplicates)
				total->kind_seen[k] = true;
			add_count(&ret->direction[d], &ret->kind[d][k]);
			add_count(&total->direction[d], &total->kind[d][k]);
		}
		ret->direction[d].retransmitted += s->own.retransmitted[d] -
						   s->last_own.retransmitted[d];
		total->direction[d].retransmitted += s->own.retransmitted[d];
	}
	memcpy(ret->kind_seen, total->kind_seen, sizeof(ret->kind_seen));

	read_times(now->transit, s->last.transit, max->transit_ns, &ret->transit);
	read_times(now->answer, s->last.answer, max->answer_ns, &ret->answer);
	if (max->transit_ns > total->transit.max_ns)
		total->transit.max_ns = max->transit_ns;
	if (max->answer_ns > total->answer.max_ns)
		total->answer.max_ns = max->answer_ns;
	read_times(now->transit, NULL, total->transit.max_ns, &total->transit);
	read_times(now->answer, NULL, total->answer.max_ns, &total->answer);

	read_integrity(now, &s->own, &integrity);
	ret->integrity = integrity;
	subtract_integrity(&ret->integrity, &total->integrity);
	total->integrity = integrity;
	s->last = *now;
	s->last_own = s->own;
}

uint64_t kl_tally_pending(const struct kl_counters *n)
{
	uint64_t pending = 0;

	for (int d = 0; d < KL_DIRECTIONS; d++) {
		for (int k = 0; k < KL_KINDS; k++)
			pending += n->tally[KL_SENT][d][k] - n->tally[KL_UNSENT][d][k] -
				   n->tally[KL_DELIVERED][d][k] - n->tally[KL_LOST_BETWEEN][d][k];
	}
	return pending;
}
