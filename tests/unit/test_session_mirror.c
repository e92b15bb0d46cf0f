// SPDX-License-Identifier: GPL-2.0-only
/* Behind mirror ports nothing is inferred from what was not seen: the mirror may have dropped it. */
#include <criterion/criterion.h>

#include "stage.h"

/* Keepalives of which the first copy never comes by at the near side. */
static unsigned inferred(bool mirrored)
{
	const struct stage_setup setup = { .service = KL_SCCP, .mirrored = mirrored };
	__u64 at = STAGE_START_NS;
	unsigned found;
	struct stage st;

	stage_init(&st, &setup);
	stage_connect(&st, at);
	for (unsigned n = 0; n < 8; n++)
		stage_exchange(&st, at += 30 * STAGE_S);
	for (unsigned n = 0; n < 4; n++)
		stage_struggle(&st, at += 30 * STAGE_S, 300 * STAGE_MS, 1, LOST_BEFORE);
	stage_until(&st, at + 20 * STAGE_S);
	found = stage_losses(&st);
	stage_done(&st);
	return found;
}

Test(session_mirror, nothing_is_inferred_from_what_the_mirror_did_not_bring)
{
	cr_expect_eq(inferred(false), 4);
	cr_expect_eq(inferred(true), 0);
}
