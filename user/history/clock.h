/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of a history say of a clock: how much of the time that it tells was lived through,
 * and which parts lie ahead of it. Pure. Times are CLOCK_REALTIME in ns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/duration.h"

/* ---- For forgetting ---- */

/*
 * A clock is believed after so much was kept by it. Of the time in which nothing was kept before,
 * nobody knows whether it passed: the host was off, or its clock is wrong.
 */
#define KL_LIVED_NS (24 * 3600 * KL_NS_PER_S)

struct kl_pause {
	uint64_t from_ns, to_ns;
};

struct kl_lived {
	uint64_t begin_ns; /* of the earliest part that was added; 0: none */
	uint64_t kept_ns;  /* in all that were added */
	struct kl_pause longest;
};

/* The next part back, by when they begin, from the last one that the clock has reached. False: it
 * was the last that is wanted. */
bool kl_lived_add(struct kl_lived *l, uint64_t start_ns, uint64_t until_ns);
/* What age is measured against: never later than the clock, nor than what was lived through. */
uint64_t kl_lived_now(const struct kl_lived *l, uint64_t now_ns);
/* Is there a pause in it that is worth a word? */
bool kl_lived_doubts(const struct kl_lived *l);

/* ---- For reading ---- */

/* So far ahead may be what another host wrote, or this one before its clock was corrected. */
#define KL_AHEAD_NS (300 * KL_NS_PER_S)

struct kl_extent {
	uint64_t limit_ns;	  /* what begins later is left out */
	uint64_t first_ns, to_ns; /* of what is not; to_ns 0: nothing */
	uint64_t ahead;		  /* parts that are left out, and when they are */
	uint64_t ahead_from_ns, ahead_to_ns;
};

struct kl_extent kl_extent_begin(uint64_t now_ns);
/* Any part, in any order. */
void kl_extent_add(struct kl_extent *e, uint64_t start_ns, uint64_t until_ns);
/* After the last one: where all lie ahead, none does, since the clock is another one. */
void kl_extent_end(struct kl_extent *e);
/* The end of a part that is not left out. */
uint64_t kl_extent_until(const struct kl_extent *e, uint64_t start_ns, uint64_t until_ns);
