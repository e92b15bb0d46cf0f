// SPDX-License-Identifier: GPL-2.0-only
/* The same packet once more, delayed: without an IP ID it looks like a retransmission. */
#include <criterion/criterion.h>

#include "stage.h"

/* What is inferred where a keepalive comes by twice, `later` apart, and nothing ever comes back. */
static unsigned inferred(__u64 later)
{
	const struct stage_setup setup = { .service = KL_SCCP, .ipv6 = true };
	__u64 at = STAGE_START_NS;
	unsigned losses;
	struct stage st;

	stage_init(&st, &setup);
	stage_connect(&st, at);
	for (unsigned n = 0; n < 6; n++)
		stage_exchange(&st, at += 30 * STAGE_S);
	at += 30 * STAGE_S;
	stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, ARRIVES);
	stage_again(&st, at + later, KL_TO_CUCM, &st.keepalive, ARRIVES);
	stage_close(&st, at + 20 * STAGE_S, KL_TO_CUCM, KL_RST);
	stage_until(&st, at + 25 * STAGE_S);
	losses = stage_losses(&st);
	stage_done(&st);
	return losses;
}

Test(session_duplicate, nothing_follows_from_a_copy_that_is_sooner_than_any_timeout)
{
	cr_expect_eq(inferred(8 * KL_NS_PER_MS), 0);
	cr_expect_gt(inferred(200 * KL_NS_PER_MS), 0);
}
