// SPDX-License-Identifier: GPL-2.0-only
#include "core/drops.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = KL_DROPS_MAX,
	BLOCK_SHIFT = 16, /* sequence numbers are indexed by blocks of 64 KiB */
	NONE = 0,	  /* links are places plus 1 */
};

/* Longer aggregates are found by their last part of this length only. */
#define AGGREGATE_MAX (1U << BLOCK_SHIFT)

struct held {
	struct kl_drop drop;
	uint32_t bucket;
	uint32_t next, before; /* in its bucket */
	bool used;
};

struct kl_drops {
	uint64_t seed;
	uint64_t added; /* the next one's place is this, modulo KL_DROPS_MAX */
	uint32_t bucket[BUCKETS];
	struct held held[KL_DROPS_MAX];
};

struct kl_drops *kl_drops_new(uint64_t seed)
{
	struct kl_drops *d = calloc(1, sizeof(*d));

	if (d)
		d->seed = seed;
	return d;
}

void kl_drops_free(struct kl_drops *d)
{
	free(d);
}

static uint32_t bucket_of(const struct kl_drops *d, const struct kl_endpoints *ends,
			  uint32_t direction, uint32_t block)
{
	uint64_t h = kl_cucm_hash(ends, d->seed);

	return (uint32_t)(kl_mix(h, (uint64_t)direction << 32 | block) % BUCKETS);
}

static void unlink_held(struct kl_drops *d, struct held *h)
{
	if (h->before != NONE)
		d->held[h->before - 1].next = h->next;
	else
		d->bucket[h->bucket] = h->next;
	if (h->next != NONE)
		d->held[h->next - 1].before = h->before;
}

void kl_drops_add(struct kl_drops *d, const struct kl_drop *drop)
{
	uint32_t place = (uint32_t)(d->added % KL_DROPS_MAX);
	struct held *h = &d->held[place];
	uint32_t *first;

	if (d->added >= KL_DROPS_MAX)
		unlink_held(d, h);
	d->added++;
	*h = (struct held){ .drop = *drop };
	if (h->drop.length > AGGREGATE_MAX) {
		h->drop.seq += h->drop.length - AGGREGATE_MAX;
		h->drop.length = AGGREGATE_MAX;
	}
	h->bucket = bucket_of(d, &drop->ends, drop->direction, h->drop.seq >> BLOCK_SHIFT);
	first = &d->bucket[h->bucket];
	h->next = *first;
	if (*first != NONE)
		d->held[*first - 1].before = place + 1;
	*first = place + 1;
}

static bool same_cucm(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return a->family == b->family && a->cucm_port == b->cucm_port &&
	       !memcmp(a->cucm, b->cucm, sizeof(a->cucm));
}

/* Are any of the segment's bytes among what was dropped? */
static bool covers(const struct kl_drop *drop, uint32_t seq, uint32_t length)
{
	if (length <= 1 || drop->length <= 1)
		return length <= 1 && drop->length <= 1 && drop->seq == seq;
	return kl_seq_before(seq, drop->seq + drop->length) &&
	       kl_seq_before(drop->seq, seq + length);
}

struct wanted {
	const struct kl_endpoints *ends;
	uint32_t direction, seq, length;
	uint64_t from_ns, to_ns;
};

/* Of the connection itself rather than of a translated one; then the earlier one. */
static bool is_better(const struct wanted *w, const struct held *h, const struct held *best)
{
	bool same;

	if (!best)
		return true;
	same = kl_endpoints_equal(&h->drop.ends, w->ends);
	if (same != kl_endpoints_equal(&best->drop.ends, w->ends))
		return same;
	return h->drop.time_ns < best->drop.time_ns;
}

static struct held *best_of(struct kl_drops *d, const struct wanted *w, uint32_t block,
			    struct held *best)
{
	uint32_t link = d->bucket[bucket_of(d, w->ends, w->direction, block)];

	for (; link != NONE; link = d->held[link - 1].next) {
		struct held *h = &d->held[link - 1];

		if (h->used || h->drop.direction != w->direction || h->drop.time_ns < w->from_ns ||
		    h->drop.time_ns > w->to_ns || !same_cucm(&h->drop.ends, w->ends) ||
		    !covers(&h->drop, w->seq, w->length))
			continue;
		if (is_better(w, h, best))
			best = h;
	}
	return best;
}

const struct kl_drop *kl_drops_find(struct kl_drops *d, const struct kl_endpoints *ends,
				    uint32_t direction, uint32_t seq, uint32_t length,
				    uint64_t from_ns, uint64_t to_ns)
{
	const struct wanted w = {
		.ends = ends,
		.direction = direction,
		.seq = seq,
		.length = length < AGGREGATE_MAX ? length : AGGREGATE_MAX,
		.from_ns = from_ns,
		.to_ns = to_ns,
	};
	uint32_t last = ((seq + w.length) >> BLOCK_SHIFT) + 1;
	uint32_t blocks = UINT32_MAX >> BLOCK_SHIFT;
	struct held *best = NULL;

	for (uint32_t b = (seq - AGGREGATE_MAX) >> BLOCK_SHIFT; (b & blocks) != (last & blocks);
	     b++)
		best = best_of(d, &w, b & blocks, best);
	if (!best)
		return NULL;
	/* What is longer than asked for has other segments to explain. */
	best->used = best->drop.length <= length || length <= 1;
	return &best->drop;
}

void kl_drops_unused(const struct kl_drops *d, kl_drop_visitor visit, void *arg)
{
	uint64_t first = d->added > KL_DROPS_MAX ? d->added - KL_DROPS_MAX : 0;

	for (uint64_t i = first; i < d->added; i++) {
		const struct held *h = &d->held[i % KL_DROPS_MAX];

		if (!h->used)
			visit(&h->drop, arg);
	}
}
