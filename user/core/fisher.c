// SPDX-License-Identifier: GPL-2.0-only
#include "core/fisher.h"

#include <math.h>

/* Terms smaller than this part of the sum do not change it any more. */
#define NEGLIGIBLE 1e-17
/* Tables as unlikely as this one: equal but for rounding. */
#define ALIKE (1 + 1e-7)

/* The distribution of lost_with, the sums of rows and columns given. */
struct hypergeometric {
	uint64_t lost, with, total;
	uint64_t min, max;
};

static struct hypergeometric distribution(const struct kl_fourfold *t)
{
	struct hypergeometric h = {
		.lost = t->lost_with + t->lost_without,
		.with = t->lost_with + t->delivered_with,
	};

	h.total = h.lost + t->delivered_with + t->delivered_without;
	h.min = h.lost + h.with > h.total ? h.lost + h.with - h.total : 0;
	h.max = h.lost < h.with ? h.lost : h.with;
	return h;
}

static double log_factorial(uint64_t n)
{
	int sign;

	return lgamma_r((double)n + 1, &sign);
}

double kl_log_choose(uint64_t n, uint64_t k)
{
	return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

static double log_term(const struct hypergeometric *h, uint64_t k)
{
	return kl_log_choose(h->with, k) + kl_log_choose(h->total - h->with, h->lost - k) -
	       kl_log_choose(h->total, h->lost);
}

/* The term of k + 1 by that of k. */
static double step_up(const struct hypergeometric *h, uint64_t k)
{
	return (double)(h->with - k) / (double)(k + 1) * (double)(h->lost - k) /
	       (double)(h->total - h->with - h->lost + k + 1);
}

/* All terms from k up, by that of k. Few are needed beyond the most likely one. */
static double sum_up(const struct hypergeometric *h, uint64_t k)
{
	double term = 1, sum = 1;

	for (; k < h->max && term > sum * NEGLIGIBLE; k++) {
		term *= step_up(h, k);
		sum += term;
	}
	return sum;
}

static double sum_down(const struct hypergeometric *h, uint64_t k)
{
	double term = 1, sum = 1;

	for (; k > h->min && term > sum * NEGLIGIBLE; k--) {
		term /= step_up(h, k - 1);
		sum += term;
	}
	return sum;
}

/* The most likely one, or next to it. */
static uint64_t mode(const struct hypergeometric *h)
{
	double m = ((double)h->lost + 1) * ((double)h->with + 1) / ((double)h->total + 2);
	uint64_t k = (uint64_t)m;

	return k < h->min ? h->min : k > h->max ? h->max : k;
}

double kl_fisher_log_greater(const struct kl_fourfold *t)
{
	struct hypergeometric h = distribution(t);
	uint64_t k = t->lost_with;

	if (k <= h.min)
		return 0;
	if (k > mode(&h))
		return log_term(&h, k) + log(sum_up(&h, k));
	return log1p(-fmin(1, exp(log_term(&h, k - 1)) * sum_down(&h, k - 1)));
}

double kl_fisher_greater(const struct kl_fourfold *t)
{
	return fmin(1, exp(kl_fisher_log_greater(t)));
}

/* The first k on the other side of the mode that is as unlikely as `limit`; max + 1, min - 1: none. */
static double other_tail(const struct hypergeometric *h, uint64_t k, double limit)
{
	uint64_t top = mode(h), low, high;

	if (k < top) {
		for (low = top, high = h->max + 1; low < high;) {
			uint64_t middle = low + (high - low) / 2;

			if (log_term(h, middle) > limit)
				low = middle + 1;
			else
				high = middle;
		}
		return low > h->max ? 0 : exp(log_term(h, low)) * sum_up(h, low);
	}
	for (low = h->min, high = top + 1; low < high;) {
		uint64_t middle = low + (high - low) / 2;

		if (log_term(h, middle) <= limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low == h->min ? 0 : exp(log_term(h, low - 1)) * sum_down(h, low - 1);
}

double kl_fisher_two_sided(const struct kl_fourfold *t)
{
	struct hypergeometric h = distribution(t);
	double own, limit = log_term(&h, t->lost_with) + log(ALIKE);

	if (h.min == h.max || limit >= log_term(&h, mode(&h)))
		return 1;
	own = t->lost_with < mode(&h) ? sum_down(&h, t->lost_with) : sum_up(&h, t->lost_with);
	return fmin(1, exp(log_term(&h, t->lost_with)) * own + other_tail(&h, t->lost_with, limit));
}

double kl_fisher_odds(const struct kl_fourfold *t)
{
	double more = t->lost_with && t->lost_without && t->delivered_with && t->delivered_without
			      ? 0
			      : 0.5;

	return ((double)t->lost_with + more) * ((double)t->delivered_without + more) /
	       ((double)t->lost_without + more) / ((double)t->delivered_with + more);
}
