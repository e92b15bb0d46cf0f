// SPDX-License-Identifier: GPL-2.0-only
/* histogram.h: every bucket's borders, and how far a value read from it may be off. */
#include <criterion/criterion.h>

#include <kaloss/histogram.h>

Test(histogram, known_buckets)
{
	static const struct {
		__u64 us;
		__u32 bucket;
	} cases[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 7, 7 },
		{ 8, 8 },
		{ 15, 15 },
		{ 16, 16 },
		{ 17, 16 },
		{ 18, 17 },
		{ 31, 23 },
		{ 32, 24 },
		{ 1000, 63 },
		{ 1000000, 143 },
		{ 0xffffffff, 239 },
		{ 0x100000000, 239 },
		{ ~0ULL, 239 },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(kl_hist_bucket(cases[i].us), cases[i].bucket, "%llu µs: bucket %u",
			     cases[i].us, kl_hist_bucket(cases[i].us));
}

Test(histogram, a_bucket_starts_at_its_floor)
{
	cr_assert_leq(KL_HIST_BUCKETS, KL_HIST_SLOTS);
	for (__u32 b = 0; b < KL_HIST_BUCKETS; b++) {
		__u64 floor = kl_hist_floor(b);

		cr_expect_eq(kl_hist_bucket(floor), b, "floor of %u", b);
		if (b)
			cr_expect_eq(kl_hist_bucket(floor - 1), b - 1, "below the floor of %u", b);
	}
}

Test(histogram, the_middle_of_a_bucket_is_near_any_value_in_it)
{
	__u32 last = 0;

	for (__u64 us = 1; us <= 0xffffffff; us += 1 + us / 999) {
		__u32 b = kl_hist_bucket(us);
		__u64 floor = kl_hist_floor(b), next = kl_hist_floor(b + 1);
		double middle = (double)(floor + next - 1) / 2, off = middle - (double)us;

		cr_assert_geq(b, last, "%llu", us);
		cr_assert_lt(b, KL_HIST_BUCKETS, "%llu", us);
		cr_assert(floor <= us && us < next, "%llu", us);
		cr_assert_leq(off < 0 ? -off : off, 0.0625 * (double)us, "%llu", us);
		last = b;
	}
	cr_expect_eq(last, KL_HIST_BUCKETS - 1);
}
