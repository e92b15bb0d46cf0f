/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long answers take: the mean as a phone keeps it, a histogram, and what either kind of
 * failover would have made of it. Pure; a struct kl_answers that is all zero is empty.
 *
 * Normal failover (Cisco document 200410): the phone averages the time to the answer over its last
 * 10 000 keepalives and gives the server up when an answer takes about that long. How much longer
 * than the average is still "about" is not published; here it is twice the average and at least
 * KL_FAILOVER_FLOOR_US, which spares a steady network. Delayed failover waits for three keepalive
 * intervals.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	KL_ANSWERS_WINDOW = 10000,
	KL_ANSWERS_SLOTS = 104, /* four an octave, from 1 us to 67 s */
	KL_FAILOVER_FACTOR = 2,
	KL_FAILOVER_FLOOR_US = 10000,
	KL_FAILOVER_ANSWERS_MIN = 10, /* fewer make no average to judge by */
	KL_DELAYED_FAILOVER_INTERVALS = 3,
};

struct kl_answers {
	double mean_us;	 /* exact up to the window's size, then of a window that fades */
	uint64_t sum_us; /* of all */
	uint32_t count;	 /* of all */
	uint32_t max_us;
	uint32_t normal_gives_up;  /* answers at which normal failover would have left the server */
	uint32_t delayed_gives_up; /* the same of delayed failover */
	/*
	 * What is in each slot, by its lower and its higher byte: all of these are zero where answers
	 * are few. Halved when one is full: shares, not counts.
	 */
	uint8_t low[KL_ANSWERS_SLOTS];
	uint8_t high[KL_ANSWERS_SLOTS];
};

static inline uint16_t kl_answers_slot(const struct kl_answers *a, unsigned slot)
{
	return (uint16_t)(a->low[slot] | a->high[slot] << 8);
}

/* Adds n, of at most UINT16_MAX. */
void kl_answers_fill_slot(struct kl_answers *a, unsigned slot, uint32_t n);

/* period_us: of the keepalives; 0: not known yet. */
void kl_answers_add(struct kl_answers *a, uint64_t us, uint64_t period_us);

/* The largest time that falls into the slot. */
uint32_t kl_answers_slot_end(unsigned slot);

/* The time that a share q (0 to 1) of the answers did not exceed, to 25 % above. 0: none yet. */
uint32_t kl_answers_quantile(const struct kl_answers *a, double q);

/* Would normal failover have left a server that was there? */
static inline bool kl_answers_too_fluctuating(const struct kl_answers *a)
{
	return a->normal_gives_up > 0;
}
