// SPDX-License-Identifier: GPL-2.0-only
#include "history/clock.h"

#include <kaloss/join.h>

#include "history/history.h"

/* No part is longer, unless ticks are: one that is was kept while the clock was set. */
#define LONGEST_PART_NS (3600 * KL_NS_PER_S)

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

bool kl_lived_add(struct kl_lived *l, uint64_t start_ns, uint64_t until_ns)
{
	uint64_t length_ns = min(kl_since(until_ns, start_ns), LONGEST_PART_NS);
	uint64_t end_ns = start_ns + length_ns;

	if (l->begin_ns && kl_since(l->begin_ns, end_ns) > l->longest.to_ns - l->longest.from_ns)
		l->longest = (struct kl_pause){ .from_ns = end_ns, .to_ns = l->begin_ns };
	l->begin_ns = start_ns;
	l->kept_ns += length_ns;
	return l->kept_ns < KL_LIVED_NS;
}

uint64_t kl_lived_now(const struct kl_lived *l, uint64_t now_ns)
{
	return l->begin_ns ? min(now_ns, l->begin_ns + l->kept_ns) : now_ns;
}

bool kl_lived_doubts(const struct kl_lived *l)
{
	return l->longest.to_ns - l->longest.from_ns >= KL_LIVED_NS;
}

struct kl_extent kl_extent_begin(uint64_t now_ns)
{
	/* (SQLite's numbers have a sign.) */
	return (struct kl_extent){
		.limit_ns = min(now_ns, INT64_MAX - KL_AHEAD_NS) + KL_AHEAD_NS,
	};
}

static void widen(uint64_t *from_ns, uint64_t *to_ns, uint64_t start_ns, uint64_t until_ns)
{
	if (!*to_ns || start_ns < *from_ns)
		*from_ns = start_ns;
	if (until_ns > *to_ns)
		*to_ns = until_ns;
}

void kl_extent_add(struct kl_extent *e, uint64_t start_ns, uint64_t until_ns)
{
	if (start_ns > e->limit_ns) {
		e->ahead++;
		widen(&e->ahead_from_ns, &e->ahead_to_ns, start_ns, until_ns);
		return;
	}
	widen(&e->first_ns, &e->to_ns, start_ns, kl_extent_until(e, start_ns, until_ns));
}

void kl_extent_end(struct kl_extent *e)
{
	if (e->to_ns || !e->ahead)
		return;
	*e = (struct kl_extent){
		.limit_ns = INT64_MAX,
		.first_ns = e->ahead_from_ns,
		.to_ns = e->ahead_to_ns,
	};
}

uint64_t kl_extent_until(const struct kl_extent *e, uint64_t start_ns, uint64_t until_ns)
{
	/* It was kept while the clock was set: how long it was is not in the file. */
	if (until_ns > e->limit_ns)
		return min(start_ns + KL_HISTORY_PART_NS, e->limit_ns);
	return until_ns;
}
