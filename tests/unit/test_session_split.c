// SPDX-License-Identifier: GPL-2.0-only
/* A REGISTER of two segments: what is left out may have been the second one. */
#include <criterion/criterion.h>

#include "stage.h"

enum {
	FIRST = 400,
	BEFORE = 6,
};

/* The two segments of a REGISTER, and the answer. */
static void refresh(struct stage *st, __u64 at)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, FIRST, ARRIVES);
	stage_say(st, at + 20000, KL_TO_CUCM, st->keepalive.data + FIRST, st->keepalive.len - FIRST,
		  ARRIVES);
	stage_answer(st, at + KL_NS_PER_MS);
}

Test(session_split, the_rest_of_it_is_no_copy_of_its_start)
{
	const struct stage_setup setup = { .service = KL_SIP };
	const __u64 period = 115 * STAGE_S;
	__u64 at = STAGE_START_NS;
	struct stage st;
	__u32 seq;

	stage_init(&st, &setup);
	stage_connect(&st, at);
	for (unsigned n = 0; n < BEFORE; n++)
		refresh(&st, at += period);
	/* The first is lost in between, the second and its retry before they came by. */
	at += period;
	seq = st.end[KL_TO_CUCM].seq;
	stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, FIRST, LOST_BETWEEN);
	stage_say(&st, at + 20000, KL_TO_CUCM, st.keepalive.data + FIRST, st.keepalive.len - FIRST,
		  LOST_BEFORE);
	stage_segment(&st, at + 6 * KL_NS_PER_MS, KL_TO_CUCM, KL_ACK | KL_PSH, seq + FIRST,
		      st.keepalive.data + FIRST, st.keepalive.len - FIRST, LOST_BEFORE);
	stage_segment(&st, at + 206 * KL_NS_PER_MS, KL_TO_CUCM, KL_ACK | KL_PSH, seq,
		      st.keepalive.data, FIRST, ARRIVES);
	stage_segment(&st, at + 207 * KL_NS_PER_MS, KL_TO_CUCM, KL_ACK | KL_PSH, seq + FIRST,
		      st.keepalive.data + FIRST, st.keepalive.len - FIRST, ARRIVES);
	stage_answer(&st, at + 210 * KL_NS_PER_MS);
	refresh(&st, at += period);
	stage_until(&st, at + period / 2);
	cr_expect_eq(st.inferred[KL_TO_CUCM][KL_PHONE_SIDE], 0, "%u on the phone's side",
		     st.inferred[KL_TO_CUCM][KL_PHONE_SIDE]);
	stage_done(&st);
}

/* The same of a REGISTER in one segment are copies of it. */
Test(session_split, copies_of_a_whole_one_are_found)
{
	const struct stage_setup setup = { .service = KL_SIP };
	const __u64 period = 115 * STAGE_S;
	__u64 at = STAGE_START_NS;
	struct stage st;

	stage_init(&st, &setup);
	stage_connect(&st, at);
	for (unsigned n = 0; n < BEFORE; n++)
		stage_exchange(&st, at += period);
	at += period;
	stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, LOST_BETWEEN);
	stage_again(&st, at + 200 * KL_NS_PER_MS, KL_TO_CUCM, &st.keepalive, LOST_BEFORE);
	stage_again(&st, at + 600 * KL_NS_PER_MS, KL_TO_CUCM, &st.keepalive, LOST_BEFORE);
	stage_again(&st, at + 1400 * KL_NS_PER_MS, KL_TO_CUCM, &st.keepalive, ARRIVES);
	stage_answer(&st, at + 1410 * KL_NS_PER_MS);
	stage_exchange(&st, at += period);
	stage_until(&st, at + period / 2);
	cr_expect_eq(st.inferred[KL_TO_CUCM][KL_PHONE_SIDE], 2, "%u on the phone's side",
		     st.inferred[KL_TO_CUCM][KL_PHONE_SIDE]);
	stage_done(&st);
}
