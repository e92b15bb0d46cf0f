// SPDX-License-Identifier: GPL-2.0-only
#include "core/site_counts.h"

#include <string.h>

void kl_site_count(struct kl_site_counts *n, const struct kl_site_settled *s)
{
	const struct kl_paired *p = &s->paired;
	struct kl_count *k = &n->kind[p->direction & 1][p->kind];
	uint64_t way_ns;

	n->segments[p->direction & 1] += p->near_ns != 0;
	if (p->fate == KL_PAIR_UNPAIRED)
		n->unpaired[p->reason]++;
	if (!p->near_ns)
		return;
	k->sent += p->fate == KL_PAIR_DELIVERED || p->fate == KL_PAIR_LOST;
	k->delivered += p->fate == KL_PAIR_DELIVERED;
	k->lost_between += p->fate == KL_PAIR_LOST;
	k->duplicates += p->fate == KL_PAIR_DUPLICATE;
	k->retransmitted += p->copy > 1 && p->payload_len > 1 && p->fate != KL_PAIR_NOT_JOINED &&
			    p->fate != KL_PAIR_DUPLICATE;
	if (p->fate != KL_PAIR_DELIVERED)
		return;
	way_ns = p->far_ns > p->near_ns ? p->far_ns - p->near_ns : 0;
	n->transit[kl_hist_bucket(way_ns / 1000)]++;
	if (way_ns > n->transit_max_ns)
		n->transit_max_ns = way_ns;
}

void kl_site_counts_add(struct kl_site_counts *to, const struct kl_site_counts *n)
{
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		to->segments[d] += n->segments[d];
		for (uint32_t k = 0; k < KL_KINDS; k++) {
			struct kl_count *t = &to->kind[d][k];
			const struct kl_count *x = &n->kind[d][k];

			t->sent += x->sent;
			t->delivered += x->delivered;
			t->lost_between += x->lost_between;
			t->retransmitted += x->retransmitted;
			t->duplicates += x->duplicates;
		}
	}
	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++)
		to->unpaired[i] += n->unpaired[i];
	to->unsaid += n->unsaid;
	for (uint32_t i = 0; i < KL_HIST_BUCKETS; i++)
		to->transit[i] += n->transit[i];
	if (n->transit_max_ns > to->transit_max_ns)
		to->transit_max_ns = n->transit_max_ns;
}

bool kl_site_counts_are_none(const struct kl_site_counts *n)
{
	static const struct kl_site_counts none;

	return !memcmp(n, &none, sizeof(none));
}

uint64_t kl_site_counts_lost(const struct kl_site_counts *n)
{
	uint64_t lost = 0;

	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		for (uint32_t k = 0; k < KL_KINDS; k++)
			lost += n->kind[d][k].lost_between;
	}
	return lost;
}

static uint64_t quantile(const struct kl_site_counts *n, uint64_t rank)
{
	uint64_t seen = 0;

	for (uint32_t i = 0; i < KL_HIST_BUCKETS; i++) {
		seen += n->transit[i];
		if (seen > rank)
			return (kl_hist_floor(i) + kl_hist_floor(i + 1)) / 2;
	}
	return 0;
}

void kl_site_counts_tally(const struct kl_site_counts *n, struct kl_tally_report *ret)
{
	*ret = (struct kl_tally_report){};
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		ret->segments[d] = n->segments[d];
		for (uint32_t k = 0; k < KL_KINDS; k++) {
			const struct kl_count *x = &n->kind[d][k];
			struct kl_count *t = &ret->direction[d];

			ret->kind[d][k] = *x;
			ret->kind_seen[k] |= x->sent || x->duplicates || x->retransmitted;
			t->sent += x->sent;
			t->delivered += x->delivered;
			t->lost_between += x->lost_between;
			t->retransmitted += x->retransmitted;
			t->duplicates += x->duplicates;
		}
	}
	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++)
		ret->integrity.unpaired += n->unpaired[i];
	ret->integrity.events_lost = n->unsaid;
	for (uint32_t i = 0; i < KL_HIST_BUCKETS; i++)
		ret->transit.count += n->transit[i];
	ret->transit.p50_us = quantile(n, ret->transit.count / 2);
	ret->transit.p99_us = quantile(n, ret->transit.count * 99 / 100);
	ret->transit.max_ns = n->transit_max_ns;
}
