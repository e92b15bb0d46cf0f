// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <string.h>

#include "core/drops.h"

static struct kl_drops *drops;

static void begin(void)
{
	drops = kl_drops_new(7);
	cr_assert(drops);
}

static void finish(void)
{
	kl_drops_free(drops);
}

TestSuite(drops, .init = begin, .fini = finish);

static struct kl_endpoints phone(uint32_t n)
{
	return (struct kl_endpoints){
		.family = 4,
		.phone = { 0x0a010000 + n },
		.cucm = { 0x0a02000a },
		.phone_port = (uint16_t)(40000 + n),
		.cucm_port = 2000,
	};
}

static void add(uint32_t n, uint32_t seq, uint32_t length, uint64_t time_ns)
{
	struct kl_drop drop = { .time_ns = time_ns,
				.ends = phone(n),
				.direction = KL_TO_CUCM,
				.seq = seq,
				.length = length,
				.reason = "NETFILTER_DROP" };

	kl_drops_add(drops, &drop);
}

/* When the drop was that is found; 0: none is. */
static uint64_t find(uint32_t n, uint32_t seq, uint32_t length, uint64_t from_ns, uint64_t to_ns)
{
	struct kl_endpoints ends = phone(n);
	const struct kl_drop *d = kl_drops_find(drops, &ends, KL_TO_CUCM, seq, length, from_ns,
						to_ns);

	return d ? d->time_ns : 0;
}

Test(drops, of_this_segment_at_this_time_in_this_direction)
{
	struct kl_endpoints ends = phone(1);

	cr_assert_eq(find(1, 1000, 12, 0, 999), 0);
	add(1, 1000, 12, 100);
	cr_assert_eq(find(1, 1000, 12, 101, 999), 0);
	cr_assert_eq(find(1, 1000, 12, 0, 99), 0);
	cr_assert_eq(find(1, 1012, 12, 0, 999), 0);
	cr_assert_eq(find(1, 988, 12, 0, 999), 0);
	cr_assert_null(kl_drops_find(drops, &ends, KL_TO_PHONE, 1000, 12, 0, 999));
	ends.cucm_port = 2443;
	cr_assert_null(kl_drops_find(drops, &ends, KL_TO_CUCM, 1000, 12, 0, 999));
	ends = phone(1);
	ends.cucm[0]++;
	cr_assert_null(kl_drops_find(drops, &ends, KL_TO_CUCM, 1000, 12, 0, 999));
	cr_assert_eq(find(1, 1000, 12, 100, 100), 100);
}

Test(drops, each_copy_has_its_own)
{
	add(1, 1000, 12, 300);
	add(1, 1000, 12, 100);
	add(1, 1000, 12, 200);
	cr_assert_eq(find(1, 1000, 12, 150, 999), 200);
	cr_assert_eq(find(1, 1000, 12, 150, 999), 300);
	cr_assert_eq(find(1, 1000, 12, 150, 999), 0);
	cr_assert_eq(find(1, 1000, 12, 0, 999), 100);
	cr_assert_eq(find(1, 1000, 12, 0, 999), 0);
}

Test(drops, an_aggregate_explains_each_of_its_segments)
{
	add(1, 1000, 36, 100);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(find(1, 1000 + 12 * i, 12, 0, 999), 100);
	cr_assert_eq(find(1, 1036, 12, 0, 999), 0);
	/* Where the segments were cut elsewhere. */
	cr_assert_eq(find(1, 1030, 12, 0, 999), 100);
}

Test(drops, a_probe_is_no_part_of_a_message)
{
	add(1, 1000, 12, 100);
	cr_assert_eq(find(1, 1011, 1, 0, 999), 0);
	cr_assert_eq(find(1, 1000, 0, 0, 999), 0);
	add(1, 1011, 1, 200);
	cr_assert_eq(find(1, 1000, 12, 150, 999), 0);
	/* With or without its byte: it may be filled in on the way. */
	cr_assert_eq(find(1, 1011, 0, 0, 999), 200);
	cr_assert_eq(find(1, 1011, 1, 0, 999), 0);
	add(1, 1011, 0, 300);
	cr_assert_eq(find(1, 1011, 1, 0, 999), 300);
}

Test(drops, a_translated_phone_comes_second)
{
	add(2, 1000, 12, 100);
	add(1, 1000, 12, 200);
	cr_assert_eq(find(1, 1000, 12, 0, 999), 200);
	cr_assert_eq(find(1, 1000, 12, 0, 999), 100);
	cr_assert_eq(find(1, 1000, 12, 0, 999), 0);
}

Test(drops, sequence_numbers_are_a_circle)
{
	static const uint32_t starts[] = { 0,	    1,		0xfffffffa, 0xffff,
					   0x10000, 0xfffffff0, 0x80000000, 0x7fffffff };

	for (uint32_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		uint32_t seq = starts[i];
		uint64_t now = 100 + i; /* all go to one call server */

		add(i, seq, 60000, now);
		for (uint32_t at = 0; at < 60000; at += 7)
			cr_assert_eq(find(i, seq + at, 890, now, now), now, "%u + %u", seq, at);
		cr_assert_eq(find(i, seq - 890, 890, now, now), 0);
		cr_assert_eq(find(i, seq - 889, 890, now, now), now);
		cr_assert_eq(find(i, seq + 60000, 890, now, now), 0);
	}
}

Test(drops, the_oldest_make_room)
{
	for (uint32_t i = 0; i < 3 * KL_DROPS_MAX; i++)
		add(i % 50, i * 12, 12, i + 1);
	for (uint32_t i = 0; i < 3 * KL_DROPS_MAX; i++)
		cr_assert_eq(find(i % 50, i * 12, 12, 0, UINT64_MAX),
			     i < 2 * KL_DROPS_MAX ? 0 : i + 1, "%u", i);
}

Test(drops, one_connection_alone_may_fill_it)
{
	for (uint32_t i = 0; i < 2 * KL_DROPS_MAX; i++)
		add(1, 1000, 12, i + 1);
	cr_assert_eq(find(1, 1000, 12, 0, UINT64_MAX), KL_DROPS_MAX + 1);
	cr_assert_eq(find(1, 1000, 12, 0, UINT64_MAX), KL_DROPS_MAX + 2);
}

Test(drops, what_is_longer_than_any_frame_does_no_harm)
{
	add(1, 1000, UINT32_MAX, 100);
	add(1, 1000, 200000, 200);
	cr_assert_eq(find(1, 200900, 12, 150, 999), 200);
	cr_assert_eq(find(1, 201000, UINT32_MAX, 150, 199), 0);
}
