// SPDX-License-Identifier: GPL-2.0-only
#include "core/answers.h"

/* Four slots an octave, told by the two bits below the highest one. */
static unsigned slot_of(uint32_t us)
{
	unsigned octave, slot;

	if (us < 4)
		return us;
	octave = 31 - (unsigned)__builtin_clz(us);
	slot = (octave - 1) * 4 + (us >> (octave - 2) & 3);
	return slot < KL_ANSWERS_SLOTS ? slot : KL_ANSWERS_SLOTS - 1;
}

uint32_t kl_answers_slot_end(unsigned slot)
{
	unsigned octave = slot / 4 + 1;

	if (slot < 4)
		return slot;
	return ((slot % 4 + 5) << (octave - 2)) - 1;
}

static void set_slot(struct kl_answers *a, unsigned slot, uint32_t n)
{
	a->low[slot] = (uint8_t)n;
	a->high[slot] = (uint8_t)(n >> 8);
}

void kl_answers_fill_slot(struct kl_answers *a, unsigned slot, uint32_t n)
{
	while (kl_answers_slot(a, slot) + n >= UINT16_MAX) {
		for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++)
			set_slot(a, i, kl_answers_slot(a, i) / 2);
		n /= 2;
	}
	set_slot(a, slot, kl_answers_slot(a, slot) + n);
}

void kl_answers_add(struct kl_answers *a, uint64_t us64, uint64_t period_us)
{
	uint32_t us = us64 < UINT32_MAX ? (uint32_t)us64 : UINT32_MAX, n;

	if (a->count >= KL_FAILOVER_ANSWERS_MIN) {
		double limit = a->mean_us * KL_FAILOVER_FACTOR;

		if (us > limit && us > KL_FAILOVER_FLOOR_US)
			a->normal_gives_up++;
	}
	if (period_us && us64 > period_us * KL_DELAYED_FAILOVER_INTERVALS)
		a->delayed_gives_up++;
	if (a->count < UINT32_MAX)
		a->count++;
	n = a->count < KL_ANSWERS_WINDOW ? a->count : KL_ANSWERS_WINDOW;
	a->mean_us += ((double)us - a->mean_us) / n;
	a->sum_us += us;
	if (us > a->max_us)
		a->max_us = us;
	kl_answers_fill_slot(a, slot_of(us), 1);
}

uint32_t kl_answers_quantile(const struct kl_answers *a, double q)
{
	uint64_t total = 0, sum = 0;
	double want;

	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++)
		total += kl_answers_slot(a, i);
	if (!total)
		return 0;
	want = q * (double)total;
	for (unsigned i = 0; i < KL_ANSWERS_SLOTS; i++) {
		sum += kl_answers_slot(a, i);
		if ((double)sum >= want && kl_answers_slot(a, i))
			return kl_answers_slot_end(i) < a->max_us ? kl_answers_slot_end(i)
								  : a->max_us;
	}
	return a->max_us;
}
