// SPDX-License-Identifier: GPL-2.0-only
/* subject.h: names that are made are read, and nothing else is. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/subject.h"

Test(subject, tokens)
{
	char longest[KL_TOKEN_SIZE + 1], made[KL_TOKEN_SIZE];

	memset(longest, 'a', sizeof(longest));
	longest[KL_TOKEN_SIZE - 1] = 0;
	cr_expect(kl_token_is_valid(longest));
	longest[KL_TOKEN_SIZE - 1] = 'a';
	longest[KL_TOKEN_SIZE] = 0;
	cr_expect_not(kl_token_is_valid(longest));
	kl_token_from(longest, made);
	cr_expect(kl_token_is_valid(made));
	cr_expect(kl_token_is_valid("Branch-7_b"));
	cr_expect_not(kl_token_is_valid(""));
	cr_expect_not(kl_token_is_valid("a.b"));
	cr_expect_not(kl_token_is_valid("a b"));
	cr_expect_not(kl_token_is_valid("*"));
	cr_expect_not(kl_token_is_valid("gr\303\274n"));
	kl_token_from("tap1.branch.example", made);
	cr_expect_str_eq(made, "tap1-branch-example");
	kl_token_from("", made);
	cr_expect_str_eq(made, "-");
}

Test(subject, prefixes)
{
	cr_expect(kl_subject_prefix_is_valid("kaloss"));
	cr_expect(kl_subject_prefix_is_valid("voice.kaloss"));
	cr_expect_not(kl_subject_prefix_is_valid(""));
	cr_expect_not(kl_subject_prefix_is_valid("a."));
	cr_expect_not(kl_subject_prefix_is_valid(".a"));
	cr_expect_not(kl_subject_prefix_is_valid("a..b"));
	cr_expect_not(kl_subject_prefix_is_valid("a.>"));
}

Test(subject, there_and_back)
{
	char subject[KL_SUBJECT_SIZE];
	struct kl_subject_from from;

	kl_subject_segments("a.b", "branch-1", "tap_1", 31, subject);
	cr_expect_str_eq(subject, "a.b.v1.seg.branch-1.tap_1.31");
	cr_assert(kl_subject_read_segments("a.b", subject, &from));
	cr_expect_str_eq(from.site, "branch-1");
	cr_expect_str_eq(from.agent, "tap_1");
	cr_expect_eq(from.partition, 31);
	kl_subject_beat("a", "s", "t", subject);
	cr_expect_str_eq(subject, "a.v1.beat.s.t");
	cr_assert(kl_subject_read_beat("a", subject, &from));
	cr_expect_str_eq(from.site, "s");
	cr_expect_str_eq(from.agent, "t");
}

Test(subject, strangers)
{
	static const char *const strange[] = {
		"",
		"a",
		"a.v1.seg.s.t",
		"a.v1.seg.s.t.",
		"a.v1.seg.s.t.x",
		"a.v1.seg.s.t.-1",
		"a.v1.seg.s.t.01",
		"a.v1.seg.s.t.1024",
		"a.v1.seg.s.t.4294967296",
		"a.v1.seg.s.t.1.2",
		"a.v1.seg..t.1",
		"a.v1.seg.s.*.1",
		"a.v2.seg.s.t.1",
		"b.v1.seg.s.t.1",
		"a.v1.seg.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.t."
		"1",
	};
	struct kl_subject_from from;

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		cr_expect_not(kl_subject_read_segments("a", strange[i], &from), "%s", strange[i]);
	cr_expect_not(kl_subject_read_beat("a", "a.v1.beat.s", &from));
	cr_expect_not(kl_subject_read_beat("a", "a.v1.beat.s.t.u", &from));
}
