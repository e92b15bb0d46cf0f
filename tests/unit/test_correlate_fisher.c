// SPDX-License-Identifier: GPL-2.0-only
/* Fisher's exact test against values that are known, and against its own definition. */
#include <criterion/criterion.h>
#include <math.h>

#include "core/fisher.h"

static void expect_near(double got, double want, const char *what)
{
	cr_expect(fabs(got - want) <= 1e-9 * fabs(want) + 1e-300, "%s: %.12g, not %.12g", what, got,
		  want);
}

Test(fisher, known_values)
{
	/* Fisher's tea: of 4 and 4 cups, 3 right. */
	const struct kl_fourfold tea = { 3, 1, 1, 3 };
	/* R: fisher.test(matrix(c(1, 11, 9, 3), 2)) */
	const struct kl_fourfold diet = { 1, 9, 11, 3 };
	/* 20 of 20, and nothing else: one way of C(40, 20). */
	const struct kl_fourfold sharp = { 20, 0, 0, 20 };

	expect_near(kl_fisher_greater(&tea), 17.0 / 70, "tea, greater");
	expect_near(kl_fisher_two_sided(&tea), 34.0 / 70, "tea, two-sided");
	expect_near(kl_fisher_two_sided(&diet), 0.002759456185220088, "diet, two-sided");
	expect_near(kl_fisher_greater(&sharp), 1 / 137846528820.0, "sharp, greater");
	expect_near(kl_fisher_two_sided(&sharp), 2 / 137846528820.0, "sharp, two-sided");
	expect_near(kl_fisher_odds(&tea), 9, "odds");
	expect_near(kl_fisher_odds(&sharp), 41 * 41, "odds with an empty cell");
}

static double term(uint64_t lost, uint64_t with, uint64_t total, uint64_t k)
{
	return exp(kl_log_choose(with, k) + kl_log_choose(total - with, lost - k) -
		   kl_log_choose(total, lost));
}

Test(fisher, every_small_table_by_its_definition)
{
	for (uint64_t a = 0; a < 8; a++) {
		for (uint64_t b = 0; b < 8; b++) {
			for (uint64_t c = 0; c < 8; c++) {
				for (uint64_t d = 0; d < 8; d++) {
					const struct kl_fourfold t = { a, b, c, d };
					uint64_t lost = a + b, with = a + c, total = a + b + c + d;
					uint64_t min = lost + with > total ? lost + with - total
									   : 0;
					uint64_t max = lost < with ? lost : with;
					double greater = 0, two = 0,
					       own = term(lost, with, total, a);

					for (uint64_t k = min; k <= max; k++) {
						double p = term(lost, with, total, k);

						greater += k >= a ? p : 0;
						two += p <= own * (1 + 1e-7) ? p : 0;
					}
					cr_assert(fabs(kl_fisher_greater(&t) - greater) < 1e-9,
						  "%d %d %d %d: %g, not %g", (int)a, (int)b, (int)c,
						  (int)d, kl_fisher_greater(&t), greater);
					cr_assert(fabs(kl_fisher_two_sided(&t) - two) < 1e-9,
						  "%d %d %d %d: %g, not %g", (int)a, (int)b, (int)c,
						  (int)d, kl_fisher_two_sided(&t), two);
				}
			}
		}
	}
}

Test(fisher, large_counts_stay_exact_and_finite)
{
	const struct kl_fourfold even = { 1000, 1000000, 1000, 1000000 };
	const struct kl_fourfold sharp = { 1000000, 0, 0, 1000000 };
	double p = kl_fisher_greater(&even);

	cr_expect(p > 0.5 && p < 0.52, "%g", p);
	cr_expect_eq(kl_fisher_greater(&sharp), 0);
	/* ln C(2e6, 1e6) = 2e6 ln 2 - ln(pi 1e6) / 2 - ... */
	cr_expect(fabs(kl_fisher_log_greater(&sharp) + 1386286.8) < 1, "%g",
		  kl_fisher_log_greater(&sharp));
}
