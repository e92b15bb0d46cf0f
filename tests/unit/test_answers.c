// SPDX-License-Identifier: GPL-2.0-only
/* answers.h: which failover would have left a server that was there. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "core/answers.h"

enum {
	PERIOD_US = 30000000
};

/* Round trips as the case study shows them: 0.1 to 590 ms, most of them short. */
static const double fluctuating_ms[] = {
	0.1, 0.4, 1.2, 0.3, 24,	 0.2, 3.5, 0.1, 61,  0.9, 0.5, 590,
	0.3, 7.8, 0.2, 118, 0.4, 0.1, 342, 1.6, 0.2, 16,  0.3, 0.7
};

static const struct {
	const char *name;
	double base_ms, spread_ms;
	bool tight;
} steady[] = {
	{ "a LAN", 0.4, 0.3, false },
	{ "a WAN", 40, 25, false },
	{ "a satellite", 600, 200, false },
	{ "short, and now and then a few ms", 0.2, 9.5, false },
	{ "a WAN that triples", 40, 120, true },
};

Test(answers, fluctuation_makes_normal_failover_too_tight)
{
	struct kl_answers a = { 0 };

	for (int round = 0; round < 5; round++) {
		for (unsigned i = 0; i < sizeof(fluctuating_ms) / sizeof(fluctuating_ms[0]); i++)
			kl_answers_add(&a, (uint64_t)(fluctuating_ms[i] * 1000), PERIOD_US);
	}
	cr_expect(kl_answers_too_fluctuating(&a));
	cr_expect_eq(a.delayed_gives_up, 0);
	cr_expect_eq(a.max_us, 590000);
	cr_expect_eq(a.count, 120);
	cr_expect_float_eq(a.mean_us, 48700, 3000, "%g", a.mean_us);
}

Test(answers, a_steady_network_does_not)
{
	for (unsigned i = 0; i < sizeof(steady) / sizeof(steady[0]); i++) {
		struct kl_answers a = { 0 };

		srand(7);
		for (int n = 0; n < 20000; n++) {
			double ms = steady[i].base_ms +
				    steady[i].spread_ms * (n % 50 && steady[i].tight
								   ? 0.01
								   : rand() / (double)RAND_MAX);

			kl_answers_add(&a, (uint64_t)(ms * 1000), PERIOD_US);
		}
		cr_expect_eq(kl_answers_too_fluctuating(&a), steady[i].tight, "%s: %u",
			     steady[i].name, a.normal_gives_up);
		cr_expect_eq(a.delayed_gives_up, 0, "%s", steady[i].name);
	}
}

Test(answers, delayed_failover_waits_for_three_intervals)
{
	struct kl_answers a = { 0 };

	kl_answers_add(&a, 3 * PERIOD_US, PERIOD_US);
	cr_expect_eq(a.delayed_gives_up, 0);
	kl_answers_add(&a, 3 * PERIOD_US + 1, PERIOD_US);
	cr_expect_eq(a.delayed_gives_up, 1);
	kl_answers_add(&a, 3 * PERIOD_US + 1, 0); /* no period: not known */
	cr_expect_eq(a.delayed_gives_up, 1);
}

Test(answers, few_answers_make_no_average)
{
	struct kl_answers a = { 0 };

	for (int i = 0; i < KL_FAILOVER_ANSWERS_MIN; i++)
		kl_answers_add(&a, i == 5 ? 500000 : 1000, PERIOD_US);
	cr_expect_eq(a.normal_gives_up, 0);
	kl_answers_add(&a, 500000, PERIOD_US);
	cr_expect_eq(a.normal_gives_up, 1);
}

/* The mean is that of the last 10 000, roughly; the old ones fade. */
Test(answers, the_mean_forgets)
{
	struct kl_answers a = { 0 };

	for (int i = 0; i < KL_ANSWERS_WINDOW; i++)
		kl_answers_add(&a, 100000, PERIOD_US);
	cr_expect_float_eq(a.mean_us, 100000, 1);
	for (int i = 0; i < 5 * KL_ANSWERS_WINDOW; i++)
		kl_answers_add(&a, 1000, PERIOD_US);
	cr_expect_lt(a.mean_us, 2000);
}

Test(answers, quantiles_are_at_most_a_quarter_above)
{
	struct kl_answers a = { 0 };

	cr_expect_eq(kl_answers_quantile(&a, 0.5), 0);
	for (uint64_t us = 1; us <= 40000; us++)
		kl_answers_add(&a, us, 0);
	for (int percent = 1; percent <= 100; percent++) {
		uint32_t exact = (uint32_t)(400 * percent);
		uint32_t q = kl_answers_quantile(&a, percent / 100.0);

		cr_expect(q >= exact && q <= exact * 1.25, "%d %%: %u for %u", percent, q, exact);
	}
	cr_expect_eq(kl_answers_quantile(&a, 1), 40000);
}

Test(answers, the_histogram_keeps_shares_when_a_slot_is_full)
{
	struct kl_answers a = { 0 };

	for (int i = 0; i < 300000; i++)
		kl_answers_add(&a, i % 4 ? 1000 : 64000, 0);
	cr_expect_eq(a.count, 300000);
	cr_expect_leq(kl_answers_quantile(&a, 0.70), 1200);
	cr_expect_geq(kl_answers_quantile(&a, 0.80), 50000);
	kl_answers_add(&a, UINT64_MAX, 0);
	cr_expect_eq(a.max_us, UINT32_MAX);
}
