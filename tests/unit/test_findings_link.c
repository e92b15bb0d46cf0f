// SPDX-License-Identifier: GPL-2.0-only
/* From which figures on losses are said to go with removals from a MAC table, and how surely. */
#include <criterion/criterion.h>

#include "core/findings_mac.h"

/* As strong as it gets: all losses, and next to no copy that arrived, came after a removal. */
static struct kl_link strong(void)
{
	struct kl_link l = KL_NO_LINK;

	l.table = (struct kl_fourfold){ .lost_with = 40, .delivered_without = 1000 };
	l.p = 1e-30;
	l.chance = 0.005;
	l.moments = 12;
	l.phones = 20;
	l.lost_after[KL_MAC_FLUSHED] = 40;
	return l;
}

static bool is_found(const struct kl_link *l)
{
	bool found;

	kl_link_confidence(l, &found);
	return found;
}

static enum kl_confidence confidence(const struct kl_link *l)
{
	bool found;

	return kl_link_confidence(l, &found);
}

Test(link, is_said_where_it_is_there)
{
	struct kl_link l = strong();

	cr_assert(is_found(&l));
	cr_expect_eq(confidence(&l), KL_CONFIDENCE_HIGH);
}

/* Bursts fit some shift by chance: one shift of twenty is the most. */
Test(link, is_not_said_where_shifts_in_time_fit_as_well)
{
	struct kl_link l = strong();

	l.chance = 0.05;
	cr_expect(is_found(&l));
	l.chance = 0.055;
	cr_expect_not(is_found(&l));
	l.chance = 1;
	cr_expect_not(is_found(&l));
}

Test(link, is_not_said_of_few_losses_or_of_one_moment)
{
	struct kl_link few = strong(), once = strong(), weak = strong();

	few.table.lost_with = 3;
	cr_expect_not(is_found(&few));
	few.table.lost_with = 4;
	cr_expect(is_found(&few));
	once.moments = 1;
	cr_expect_not(is_found(&once));
	weak.p = 0.01;
	cr_expect_not(is_found(&weak));
}

Test(link, is_highly_sure_only_where_nothing_speaks_against_it)
{
	struct kl_link shifts = strong(), few = strong(), moments = strong(), others = strong(),
		       sampled = strong();

	shifts.chance = 0.025;
	cr_expect_eq(confidence(&shifts), KL_CONFIDENCE_MEDIUM);
	few.table.lost_with = KL_CASES_ENOUGH - 1;
	cr_expect_eq(confidence(&few), KL_CONFIDENCE_MEDIUM);
	moments.moments = 4;
	cr_expect_eq(confidence(&moments), KL_CONFIDENCE_MEDIUM);
	others.table.lost_without = 40;
	cr_expect_eq(confidence(&others), KL_CONFIDENCE_MEDIUM);
	/* Of four that arrived, one was compared. */
	sampled.table.delivered_with = 10;
	cr_expect_eq(confidence(&sampled), KL_CONFIDENCE_HIGH);
	sampled.stride = 4;
	cr_expect_eq(confidence(&sampled), KL_CONFIDENCE_MEDIUM);
}

Test(link, is_little_sure_where_it_may_be_chance)
{
	struct kl_link l = strong();

	l.p = 2e-3;
	cr_expect(is_found(&l));
	cr_expect_eq(confidence(&l), KL_CONFIDENCE_LOW);
}
