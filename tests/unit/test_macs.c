// SPDX-License-Identifier: GPL-2.0-only
/* macs.h: when a MAC was heard last, and who loses his place. */
#include <criterion/criterion.h>
#include <kaloss/macs.h>
#include <string.h>

#define TICK_NS 4000000U

Test(macs, a_word_for_each)
{
	const __u8 a[6] = { 0x00, 0x24, 0x14, 0x2d, 0xdf, 0x24 };
	__u8 b[6];

	for (int i = 0; i < 6; i++) {
		memcpy(b, a, 6);
		b[i] ^= 0x80;
		cr_expect_neq(kl_mac_word(a), kl_mac_word(b), "byte %d", i);
	}
	cr_expect_eq(kl_mac_word(a) >> 48, 0);
}

Test(macs, silence)
{
	cr_expect_eq(kl_mac_silence(1000, 0, TICK_NS), 0, "not known");
	cr_expect_eq(kl_mac_silence(1000, 1000, TICK_NS), 1, "none");
	cr_expect_eq(kl_mac_silence(1000, 990, TICK_NS), 41);
	cr_expect_eq(kl_mac_silence(990, 1000, TICK_NS), 1, "another processor's time");
	cr_expect_eq(kl_mac_silence(~0ULL >> 24, 1, TICK_NS), 0xffffffff, "longer than it can say");
}

Test(macs, the_longest_silent_one_makes_room)
{
	struct kl_mac_bucket b = { 0 };

	for (__u64 mac = 1; mac <= KL_MAC_WAYS; mac++) {
		cr_expect_null(kl_mac_find(&b, mac));
		kl_mac_add(&b, mac, 100 + mac);
	}
	for (__u64 mac = 1; mac <= KL_MAC_WAYS; mac++)
		cr_expect_eq(kl_mac_last(kl_mac_find(&b, mac), mac), 100 + mac);
	kl_mac_find(&b, 1)->last = 200;
	kl_mac_add(&b, 9, 201);
	cr_expect_null(kl_mac_find(&b, 2), "it was silent longest");
	cr_expect_eq(kl_mac_last(kl_mac_find(&b, 1), 1), 200);
	cr_expect_eq(kl_mac_last(kl_mac_find(&b, 9), 9), 201);
}

Test(macs, a_time_is_never_another_one_s)
{
	struct kl_mac_bucket b = { 0 };
	struct kl_mac_seen *way;

	kl_mac_add(&b, 1, 100);
	way = kl_mac_find(&b, 1);
	way->mac = 2; /* between the look and the reading */
	cr_expect_eq(kl_mac_last(way, 1), 0);
}

Test(macs, no_mac_is_none)
{
	struct kl_mac_bucket b = { 0 };

	kl_mac_add(&b, 0, 100);
	for (int i = 0; i < KL_MAC_WAYS; i++)
		cr_expect_eq(b.way[i].last, 0);
}
