// SPDX-License-Identifier: GPL-2.0-only
/* Where the clocks stand, who is who, and little room, in the two-clock join. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "pair_hand.h"

Test(pair_clocks, what_tells_the_shift)
{
	static const struct {
		const char *name;
		bool syn;
		uint32_t what;
	} cases[] = { { "SYN", true, 0 }, { "Call-ID", false, HAND_CALL }, { "times", false, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hand h = { .shift = true, .clock_ns = 40 * HAND_S };
		struct hand_result r;

		/* Another phone starts within, or nothing would tell the clocks. */
		hand_syn(&h, 3, 5 * HAND_S, 4711);
		hand_syn(&h, 4, 6 * HAND_S, 4712);
		hand_syn(&h, 5, 7 * HAND_S, 4713);
		if (cases[i].syn)
			hand_syn(&h, 0, HAND_S, 4710);
		hand_steady(&h, 3, 6, 20 * HAND_S, 700 * HAND_S, 0);
		hand_steady(&h, 0, 1, 20 * HAND_S, 400 * HAND_S, cases[i].what);
		hand_exchange(&h, 0, 420 * HAND_S, cases[i].what | HAND_LOST);
		hand_steady(&h, 0, 1, 440 * HAND_S, 700 * HAND_S, cases[i].what);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], 1, "%s: %u lost", cases[i].name,
			     r.fate[KL_PAIR_LOST]);
		cr_expect_eq(r.stats.shifted, 4, "%s: %lu shifted", cases[i].name, r.stats.shifted);
		cr_expect(r.fate[KL_PAIR_DELIVERED] > 400, "%s: %u delivered", cases[i].name,
			  r.fate[KL_PAIR_DELIVERED]);
	}
}

Test(pair_clocks, nothing_in_common)
{
	struct hand h = { 0 };
	struct hand_result r;

	hand_steady(&h, 0, 3, 20 * HAND_S, 600 * HAND_S, HAND_FAR_BLIND);
	hand_steady(&h, 0, 3, 20 * HAND_S, 600 * HAND_S, HAND_FAR_BLIND);
	r = hand_play(&h);
	cr_expect(!r.clock.known);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 0);
	cr_expect_eq(r.fate[KL_PAIR_DELIVERED], 0);
}

/* The same capture for both sides. */
Test(pair_clocks, the_same_capture_twice)
{
	struct hand h = { 0 };
	struct hand_result r;

	hand_steady(&h, 0, 3, 20 * HAND_S, 600 * HAND_S, 0);
	hand_exchange(&h, 0, 610 * HAND_S, HAND_LOST);
	hand_steady(&h, 0, 3, 620 * HAND_S, 900 * HAND_S, 0);
	pair_stream_free(&h.stream[KL_CUCM]);
	for (size_t i = 0; i < h.stream[KL_ACCESS].count; i++) {
		struct kl_sighted s = h.stream[KL_ACCESS].s[i];

		s.side = KL_CUCM;
		pair_stream_add(&h.stream[KL_CUCM], &s);
	}
	r = hand_play(&h);
	cr_expect(r.clock.known);
	cr_expect_eq(r.clock.offset_ns, 0, "%ld", r.clock.offset_ns);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 0);
	cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
}

Test(pair_clocks, a_clock_is_set)
{
	static const int64_t steps[] = { -10000, -1000, 1000, 10000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct hand h = { .step_at_ns = 1000 * HAND_S, .step_ns = steps[i] * HAND_MS };
		int64_t want = h.step_ns;
		struct hand_result r;

		hand_steady(&h, 0, 8, 20 * HAND_S, 500 * HAND_S, 0);
		hand_exchange(&h, 0, 510 * HAND_S, HAND_LOST);
		hand_steady(&h, 0, 8, 520 * HAND_S, 1500 * HAND_S, 0);
		hand_exchange(&h, 0, 1510 * HAND_S, HAND_LOST_TWICE);
		hand_steady(&h, 0, 8, 1520 * HAND_S, 2000 * HAND_S, 0);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], 3, "%ld ms: %u lost", steps[i],
			     r.fate[KL_PAIR_LOST]);
		cr_expect_eq(r.clock.steps, 1, "%ld ms: %u steps", steps[i], r.clock.steps);
		cr_expect(llabs(r.clock.offset_ns - want) <= (int64_t)r.clock.offset_error_ns,
			  "%ld ms: %ld", steps[i], r.clock.offset_ns);
	}
}

Test(pair_clocks, a_clock_that_runs_fast_for_hours)
{
	static const double drifts[] = { -200e-6, 200e-6 };

	for (size_t i = 0; i < sizeof(drifts) / sizeof(drifts[0]); i++) {
		struct hand h = { .drift = drifts[i], .clock_ns = -1234 * HAND_S };
		struct hand_result r;
		int64_t off;

		for (int64_t t = 0; t < 8 * 3600; t += 100) {
			hand_steady(&h, 0, 2, (t + 10) * HAND_S, (t + 80) * HAND_S, 0);
			hand_exchange(&h, 0, (t + 90) * HAND_S, HAND_LOST);
		}
		hand_steady(&h, 0, 2, 28810 * HAND_S, 28840 * HAND_S, 0);
		r = hand_play(&h);
		cr_expect_eq(r.fate[KL_PAIR_LOST], 288, "%u lost", r.fate[KL_PAIR_LOST]);
		cr_expect_eq(r.fate[KL_PAIR_UNPAIRED], 0);
		cr_expect_eq(r.clock.steps, 0);
		off = r.clock.offset_ns -
		      (int64_t)(hand_clock(&h, KL_CUCM,
					   (int64_t)(r.clock.at_ns - hand_clock(&h, 0, 0))) -
				r.clock.at_ns);
		cr_expect(llabs(off) <= (int64_t)r.clock.offset_error_ns, "%ld off", off);
		cr_expect(r.clock.offset_error_ns < 10 * HAND_MS, "%lu", r.clock.offset_error_ns);
		cr_expect(r.clock.drift_error_ppm < 5 &&
				  r.clock.drift_ppm - drifts[i] * 1e6 <= r.clock.drift_error_ppm &&
				  drifts[i] * 1e6 - r.clock.drift_ppm <= r.clock.drift_error_ppm,
			  "%f within %f", r.clock.drift_ppm, r.clock.drift_error_ppm);
	}
}

/* What there is no room for is unpaired, and never lost. */
Test(pair_clocks, little_room)
{
	static const uint32_t rooms[] = { 8, 32, 100, 1000 };

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct hand h = { .config = { .max_held = rooms[i] }, .clock_ns = 3 * HAND_S };
		struct hand_result r;

		hand_steady(&h, 0, 8, 20 * HAND_S, 500 * HAND_S, 0);
		hand_exchange(&h, 0, 510 * HAND_S, HAND_LOST);
		hand_steady(&h, 0, 8, 520 * HAND_S, 1000 * HAND_S, 0);
		r = hand_play(&h);
		cr_expect(r.stats.held_most <= rooms[i] + 1, "%u held", r.stats.held_most);
		cr_expect(r.fate[KL_PAIR_LOST] <= 1, "%u: %u lost", rooms[i], r.fate[KL_PAIR_LOST]);
		if (rooms[i] == 8)
			cr_expect(r.reason[KL_PAIR_NO_ROOM] > 0, "%u", rooms[i]);
		if (rooms[i] > 100)
			cr_expect_eq(r.fate[KL_PAIR_LOST], 1);
	}
}

/* Connections that rest make room for others. */
Test(pair_clocks, few_connections)
{
	struct hand h = { .config = { .max_conns = 6 } };
	struct hand_result r;

	for (uint32_t i = 0; i < 12; i++) {
		int64_t from = (20 + 700 * (int64_t)i) * HAND_S;

		hand_steady(&h, i, i + 1, from, from + 100 * HAND_S, 0);
		hand_exchange(&h, i, from + 120 * HAND_S, HAND_LOST);
		hand_exchange(&h, i, from + 130 * HAND_S, 0);
	}
	r = hand_play(&h);
	cr_expect_eq(r.fate[KL_PAIR_LOST], 12, "%u lost", r.fate[KL_PAIR_LOST]);
	cr_expect(r.stats.forgotten >= 12);
}
