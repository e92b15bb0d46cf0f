// SPDX-License-Identifier: GPL-2.0-only
/* schedule.h: rows of intervals, and what is made of the last one. */
#include <criterion/criterion.h>

#include "core/schedule.h"

enum {
	INTERVALS = 12
};

#define MS 1000000ULL

static const struct {
	const char *name;
	bool adds_up;
	uint32_t told_s;
	uint32_t ms[INTERVALS]; /* 0: the end */
	uint64_t period_ms, late_ms;
	unsigned doublings, silent;
	bool solved;
} cases[] = {
	{ "three alike make a period", false, 0, { 30000, 30001, 30000 }, 30000 },
	{ "two do not", false, 0, { 30000, 30001 }, 0 },
	{ "told: one will do", true, 115, { 115000 }, 115000 },
	{ "told: late at once", true, 115, { 115220 }, 115000, 220 },
	{ "told: something else", true, 115, { 60000, 60000, 60000 }, 60000 },
	{ "told: near it, and not it", true, 115, { 95000, 95004, 95001, 95002 }, 95001 },
	{ "on a grid: the next one is on time",
	  false,
	  0,
	  { 30000, 30000, 30000, 30000, 30220, 29780 },
	  30000 },
	{ "on a grid: one late", false, 0, { 30000, 30000, 30000, 30000, 30220 }, 30000, 220 },
	{ "within what jitter explains", false, 0, { 30000, 30000, 30000, 30000, 30014 }, 30000 },
	{ "adding up: a growing timeout",
	  true,
	  115,
	  { 115000, 115000, 115000, 115220, 115440, 115880 },
	  115000,
	  880,
	  2 },
	{ "on a grid: a growing timeout",
	  false,
	  0,
	  { 30000, 30000, 30000, 30000, 30220, 30220, 30440 },
	  30000,
	  880,
	  2 },
	{ "late alike does not double",
	  true,
	  115,
	  { 115000, 115000, 115000, 115220, 115220 },
	  115000,
	  220 },
	{ "three times is not twice",
	  true,
	  115,
	  { 115000, 115000, 115000, 115220, 115660 },
	  115000,
	  660 },
	{ "a period that was never seen: solved",
	  true,
	  0,
	  { 30200, 30400, 30800, 31600 },
	  30000,
	  1600,
	  3,
	  0,
	  true },
	{ "whole periods of silence",
	  false,
	  0,
	  { 30000, 30000, 30000, 30000, 90000 },
	  30000,
	  60000,
	  0,
	  2 },
	{ "a period that changes",
	  false,
	  0,
	  { 30000, 30000, 30000, 30000, 60000, 60000, 60000, 60000 },
	  60000 },
};

Test(schedule, cases)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_schedule_seen seen;
		struct kl_schedule s;
		uint64_t now = 5000000 * MS;
		bool solved = false;

		kl_schedule_init(&s, cases[i].adds_up);
		if (cases[i].told_s)
			kl_schedule_told(&s, cases[i].told_s, 0);
		kl_schedule_see(&s, now, false, &seen);
		cr_expect(seen.first);
		for (unsigned n = 0; n < INTERVALS && cases[i].ms[n]; n++) {
			now += cases[i].ms[n] * MS;
			kl_schedule_see(&s, now, false, &seen);
			kl_schedule_got_through(&s, now);
			solved |= seen.solved;
		}
		cr_expect_eq(s.period_us / 1000, cases[i].period_ms, "%s: period %llu",
			     cases[i].name, (unsigned long long)s.period_us);
		cr_expect_float_eq((double)seen.late_us / 1000, (double)cases[i].late_ms, 1.0,
				   "%s: late %llu", cases[i].name,
				   (unsigned long long)seen.late_us);
		cr_expect_eq(seen.late, cases[i].late_ms > 0, "%s", cases[i].name);
		cr_expect_eq(seen.doublings, cases[i].doublings, "%s: %u doublings", cases[i].name,
			     seen.doublings);
		cr_expect_eq(seen.periods_silent, cases[i].silent, "%s: silent %u", cases[i].name,
			     seen.periods_silent);
		cr_expect_eq(solved, cases[i].solved, "%s", cases[i].name);
	}
}

/* A delay seen here as a retransmission moves what is due, or not, by the kind of phone. */
Test(schedule, counts_from_the_copy_that_got_through)
{
	for (int adds_up = 0; adds_up < 2; adds_up++) {
		struct kl_schedule_seen seen;
		struct kl_schedule s;
		uint64_t now = 5000000 * MS;

		kl_schedule_init(&s, adds_up);
		for (int i = 0; i < 5; i++, now += 30000 * MS) {
			kl_schedule_see(&s, now, false, &seen);
			kl_schedule_got_through(&s, now);
		}
		kl_schedule_see(&s, now, false, &seen);
		kl_schedule_got_through(&s, now + 400 * MS);
		cr_expect_eq(kl_schedule_next_ns(&s), now + (adds_up ? 30400 : 30000) * MS);
		now = kl_schedule_next_ns(&s);
		kl_schedule_see(&s, now, false, &seen);
		cr_expect_not(seen.late);
	}
}
