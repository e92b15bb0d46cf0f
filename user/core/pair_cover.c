// SPDX-License-Identifier: GPL-2.0-only
/* pair_internal.h: what the captures cover */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pair_internal.h"

enum {
	ROOM_AT_FIRST = 4
};

int kl_pair_cover_new(struct kl_pair *p)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		struct kl_pair_intervals *both[] = { &p->half[side].blank, &p->half[side].drops };

		for (uint32_t i = 0; i < 2; i++) {
			both[i]->of = calloc(ROOM_AT_FIRST, sizeof(*both[i]->of));
			if (!both[i]->of)
				return -ENOMEM;
			both[i]->room = ROOM_AT_FIRST;
		}
	}
	return 0;
}

void kl_pair_cover_free(struct kl_pair *p)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		free(p->half[side].blank.of);
		free(p->half[side].drops.of);
	}
}

/* False: no more room is to be had, so that two intervals must become one. */
static bool has_room(struct kl_pair_intervals *l)
{
	struct kl_pair_interval *of;

	if (l->count < l->room)
		return true;
	if (l->room == KL_PAIR_INTERVALS)
		return false;
	of = reallocarray(l->of, 2 * (size_t)l->room, sizeof(*of));
	if (!of)
		return false;
	l->of = of;
	l->room *= 2;
	return true;
}

static void add(struct kl_pair_intervals *l, uint64_t from_ns, uint64_t to_ns, uint32_t reason)
{
	struct kl_pair_interval new = { from_ns, to_ns, (uint8_t)reason };
	uint32_t first = l->count, last;

	while (first && l->of[first - 1].to_ns >= from_ns)
		first--;
	for (last = first; last < l->count && l->of[last].from_ns <= to_ns; last++) {
		const struct kl_pair_interval *x = &l->of[last];

		new.from_ns = x->from_ns < new.from_ns ? x->from_ns : new.from_ns;
		new.to_ns = x->to_ns > new.to_ns ? x->to_ns : new.to_ns;
		new.reason = x->reason > new.reason ? x->reason : new.reason;
	}
	if (first == last && !has_room(l)) {
		/* Too many: what lies between the first two is given up as well. */
		l->of[1].from_ns = l->of[0].from_ns;
		memmove(&l->of[0], &l->of[1], (l->count - 1) * sizeof(l->of[0]));
		l->count--;
		first -= first > 0;
		last = first;
	}
	memmove(&l->of[first + 1], &l->of[last], (l->count - last) * sizeof(l->of[0]));
	l->of[first] = new;
	l->count = l->count + 1 - (last - first);
}

void kl_pair_cover_add(struct kl_pair *p, uint32_t side, uint64_t from_ns, uint64_t to_ns,
		       uint32_t reason)
{
	struct kl_pair_half *h = &p->half[side];

	add(reason == KL_PAIR_DROPPED ? &h->drops : &h->blank, from_ns, to_ns, reason);
}

static uint32_t interval_at(const struct kl_pair_intervals *l, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t low = 0, high = l->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (l->of[middle].to_ns < from_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->count && l->of[low].from_ns <= to_ns ? l->of[low].reason
							     : KL_PAIR_NO_REASON;
}

uint32_t kl_pair_covered(const struct kl_pair *p, uint32_t side, int64_t from_ns, int64_t to_ns)
{
	const struct kl_pair_half *h = &p->half[side];
	uint64_t from = kl_pair_from_access(p, side, from_ns);
	uint64_t to = kl_pair_from_access(p, side, to_ns);
	uint32_t reason;

	if (!h->has_any || from < h->began_ns)
		return KL_PAIR_BEFORE;
	if (h->ended && to > h->ended_ns)
		return KL_PAIR_AFTER;
	reason = interval_at(&h->blank, from, to);
	return reason ? reason : interval_at(&h->drops, from, to);
}

uint32_t kl_pair_blank_at(const struct kl_pair *p, uint32_t side, uint64_t time_ns)
{
	return interval_at(&p->half[side].blank, time_ns, time_ns);
}
