/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fisher's exact test on a 2x2 (fourfold) table: how likely is it that two things go together so
 * well by chance? Exact for any counts: sums of the hypergeometric distribution. Pure; owns nothing.
 */
#pragma once

#include <stdint.h>

/* Rows: lost, delivered. Columns: with and without what may be the cause. */
struct kl_fourfold {
	uint64_t lost_with;
	uint64_t lost_without;
	uint64_t delivered_with;
	uint64_t delivered_without;
};

/* The natural logarithm of the chance of so many lost_with or more, the sums given. */
double kl_fisher_log_greater(const struct kl_fourfold *t);
/* The chance itself; what is too small for a double is 0. */
double kl_fisher_greater(const struct kl_fourfold *t);
/* Of a table that is as unlikely as this or more, in either direction. */
double kl_fisher_two_sided(const struct kl_fourfold *t);
/* The sample's odds ratio; with one half more in each cell where one is empty. */
double kl_fisher_odds(const struct kl_fourfold *t);

/* ln of the number of ways to pick k of n. */
double kl_log_choose(uint64_t n, uint64_t k);
