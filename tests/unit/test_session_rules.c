// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is inferred of losses outside the two sides: each rule with its opposite. A case is a story
 * of one session; twelve keepalives on time come before what it tells of, and four after it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "stage.h"

#define RTO_NS (220 * STAGE_MS)

enum {
	BEFORE = 12,
	AFTER = 4
};

typedef __u64 (*plot)(struct stage *st, __u64 at, __u64 period_ns);

static __u64 on_time(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_exchange(st, at);
	return at + period_ns;
}

static __u64 a_copy_is_lost_before(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_struggle(st, at, RTO_NS, 1, LOST_BEFORE);
	return at + period_ns;
}

static __u64 three_copies_are_lost_before(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_struggle(st, at, RTO_NS, 3, LOST_BEFORE);
	return at + period_ns;
}

static __u64 each_later_by_twice(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 0; i < 4; i++, at += period_ns)
		stage_struggle(st, at, RTO_NS << i, 1, LOST_BEFORE);
	return at;
}

static __u64 each_later_by_the_same(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 0; i < 4; i++, at += period_ns)
		stage_exchange(st, at + RTO_NS);
	return at;
}

static __u64 late_and_nothing_left_out(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_exchange(st, at + RTO_NS);
	return at + period_ns;
}

static __u64 a_copy_is_lost_between(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_struggle(st, at, RTO_NS, 1, LOST_BETWEEN);
	return at + period_ns;
}

static __u64 a_copy_is_lost_beyond(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_struggle(st, at, 2 * RTO_NS, 1, LOST_BEYOND);
	return at + period_ns;
}

/* It arrives, and the server's acknowledgement and answer are lost on their way. */
static __u64 the_ack_is_lost(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, st->keepalive.len, ARRIVES);
	stage_ack(st, at + STAGE_MS, KL_TO_PHONE, LOST_BEFORE);
	stage_again(st, at + 2 * RTO_NS, KL_TO_CUCM, &st->keepalive, ARRIVES);
	st->duplicate = true;
	stage_ack(st, at + 2 * RTO_NS + STAGE_MS, KL_TO_PHONE, ARRIVES);
	stage_answer(st, at + 2 * RTO_NS + 2 * STAGE_MS);
	return at + period_ns;
}

/* The same, seen here on its way back. */
static __u64 the_ack_is_lost_after_it_passed(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, st->keepalive.len, ARRIVES);
	stage_ack(st, at + STAGE_MS, KL_TO_PHONE, LOST_BEYOND);
	stage_again(st, at + 2 * RTO_NS, KL_TO_CUCM, &st->keepalive, ARRIVES);
	stage_answer(st, at + 2 * RTO_NS + STAGE_MS);
	return at + period_ns;
}

/* It arrives, the answer takes long, and the needless second copy is lost between. */
static __u64 the_last_copy_is_lost_between(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, st->keepalive.len, ARRIVES);
	stage_again(st, at + 2 * RTO_NS, KL_TO_CUCM, &st->keepalive, LOST_BETWEEN);
	stage_answer(st, at + 3 * RTO_NS);
	return at + period_ns;
}

static __u64 the_period_doubles(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 0; i < 10; i++, at += 2 * period_ns)
		stage_exchange(st, at);
	return at;
}

static __u64 the_period_halves(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 0; i < 10; i++, at += period_ns / 2)
		stage_exchange(st, at);
	return at;
}

/* A probe is one byte before what comes next, and answered. */
static __u64 a_probe_when_idle(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 1; i <= 3; i++) {
		__u64 then = at - period_ns + i * period_ns / 4;

		stage_segment(st, then, KL_TO_CUCM, KL_ACK, st->end[KL_TO_CUCM].seq - 1, "\0",
			      i % 2, ARRIVES);
		stage_ack(st, then + STAGE_MS, KL_TO_PHONE, ARRIVES);
	}
	return on_time(st, at, period_ns);
}

static __u64 two_in_one_segment(struct stage *st, __u64 at, __u64 period_ns)
{
	struct stage_text two = st->keepalive;

	memcpy(two.data + two.len, st->keepalive.data, st->keepalive.len);
	two.len *= 2;
	stage_say(st, at, KL_TO_CUCM, two.data, two.len, ARRIVES);
	stage_answer(st, at + STAGE_MS);
	return at + period_ns;
}

static __u64 one_in_two_segments(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, 400, ARRIVES);
	stage_say(st, at + STAGE_MS, KL_TO_CUCM, st->keepalive.data + 400, st->keepalive.len - 400,
		  ARRIVES);
	stage_answer(st, at + 2 * STAGE_MS);
	return at + period_ns;
}

/* Far enough back for the numbers to have to go through zero; see run(). */
static __u64 numbers_wrap(struct stage *st, __u64 at, __u64 period_ns)
{
	return a_copy_is_lost_before(st, on_time(st, at, period_ns), period_ns);
}

/* An hour back: what the clock says is not believed, and nothing follows from it. */
static __u64 the_clock_steps_back(struct stage *st, __u64 at, __u64 period_ns)
{
	at -= 3600 * STAGE_S;
	st->now = at - period_ns;
	return on_time(st, at, period_ns);
}

static __u64 the_clock_steps_ahead(struct stage *st, __u64 at, __u64 period_ns)
{
	return on_time(st, at + 3617 * STAGE_S, period_ns);
}

/* All copies of a keepalive are lost for most of a period; the next one is on its grid. */
static __u64 silent_for_most_of_a_period(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_struggle(st, at, RTO_NS, 7, LOST_BEFORE);
	return at + period_ns;
}

/* A sender of many keepalives that stands still for some of its periods, and makes up for it. */
static __u64 stands_still_for_a_moment(struct stage *st, __u64 at, __u64 period_ns)
{
	stage_exchange(st, at + 3 * period_ns / 2);
	stage_exchange(st, at + 3 * period_ns / 2 + 2 * STAGE_MS);
	return at + 2 * period_ns;
}

/* Other packets of the phone, counted along, now and then. */
static __u64 others_count_along(struct stage *st, __u64 at, __u64 period_ns)
{
	for (unsigned i = 0; i < 12; i++, at += period_ns) {
		st->end[KL_TO_CUCM].id += i % 3;
		stage_exchange(st, at + (i % 4 == 1 ? RTO_NS : 0));
	}
	return at;
}

static const struct {
	const char *name;
	plot plot;
	struct stage_setup setup;
	__u32 period_s;
	unsigned phone_side, cucm_side, unknown, acks_lost, between;
} cases[] = {
	{ "nothing", on_time, { KL_SCCP }, 30 },
	{ "numbered: one lost", a_copy_is_lost_before, { KL_SCCP }, 30, .phone_side = 1 },
	{ "numbered: three lost", three_copies_are_lost_before, { KL_SCCP }, 30, .phone_side = 3 },
	{ "numbered: late, and none lost", late_and_nothing_left_out, { KL_SCCP }, 30 },
	{ "numbered: all late, and none lost", each_later_by_the_same, { KL_SCCP }, 30 },
	{ "SIP: one lost", a_copy_is_lost_before, { KL_SIP }, 115, .phone_side = 1 },
	{ "a counter: others count along",
	  others_count_along,
	  { KL_SCCP, .phone = BY_COUNTER },
	  30 },
	{ "IPv6: a growing timeout",
	  each_later_by_twice,
	  { KL_SCCP, .ipv6 = true },
	  30,
	  .phone_side = 4 },
	{ "constant: a growing timeout",
	  each_later_by_twice,
	  { KL_SCCP, .phone = CONSTANT },
	  30,
	  .phone_side = 4 },
	{ "IPv6: all late alike", each_later_by_the_same, { KL_SCCP, .ipv6 = true }, 30 },
	{ "IPv6: one late", late_and_nothing_left_out, { KL_SCCP, .ipv6 = true }, 30 },
	{ "lost between is not inferred", a_copy_is_lost_between, { KL_SCCP }, 30, .between = 1 },
	{ "lost beyond", a_copy_is_lost_beyond, { KL_SCCP }, 30, .cucm_side = 1 },
	{ "the ack is lost", the_ack_is_lost, { KL_SCCP }, 30, .acks_lost = 1 },
	{ "the ack is lost, IPv6: a duplicate is reported",
	  the_ack_is_lost,
	  { KL_SCCP, .ipv6 = true },
	  30,
	  .acks_lost = 1 },
	{ "the last copy is lost between",
	  the_last_copy_is_lost_between,
	  { KL_SCCP },
	  30,
	  .between = 1 },
	{ "the ack is lost near the phone",
	  the_ack_is_lost_after_it_passed,
	  { KL_SCCP },
	  30,
	  .acks_lost = 1 },
	{ "a backup without answers", on_time, { KL_SCCP, .backup = true }, 60 },
	{ "a backup's is lost",
	  a_copy_is_lost_before,
	  { KL_SCCP, .backup = true },
	  60,
	  .phone_side = 1 },
	{ "the period doubles", the_period_doubles, { KL_SCCP }, 30 },
	{ "the period doubles, IPv6", the_period_doubles, { KL_SCCP, .ipv6 = true }, 30 },
	{ "the period halves, IPv6", the_period_halves, { KL_SCCP, .ipv6 = true }, 30 },
	{ "a probe when idle", a_probe_when_idle, { KL_SCCP }, 30 },
	{ "a probe when idle, IPv6", a_probe_when_idle, { KL_SCCP, .ipv6 = true }, 30 },
	{ "two PDUs in one segment", two_in_one_segment, { KL_SCCP }, 30 },
	{ "a REGISTER in two segments", one_in_two_segments, { KL_SIP }, 115 },
	{ "sequence numbers wrap", numbers_wrap, { KL_SCCP }, 30, .phone_side = 1 },
	{ "IPv6: silence, and the next one behind it",
	  silent_for_most_of_a_period,
	  { KL_SCCP, .ipv6 = true },
	  30,
	  .phone_side = 1 },
	{ "IPv6: a sender stands still for a moment",
	  stands_still_for_a_moment,
	  { KL_SCCP, .ipv6 = true },
	  1 },
	{ "the clock steps back", the_clock_steps_back, { KL_SCCP }, 30 },
	{ "the clock steps back, IPv6", the_clock_steps_back, { KL_SCCP, .ipv6 = true }, 30 },
	{ "the clock steps ahead", the_clock_steps_ahead, { KL_SCCP }, 30 },
	{ "the clock steps ahead, IPv6", the_clock_steps_ahead, { KL_SCCP, .ipv6 = true }, 30 },
};

Test(session_rules, each_with_its_opposite)
{
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 period = cases[i].period_s * STAGE_S, at = STAGE_START_NS;
		const struct kl_session *s;
		struct stage st;

		stage_init(&st, &cases[i].setup);
		if (cases[i].plot == numbers_wrap) {
			st.end[KL_TO_CUCM].seq = st.end[KL_TO_PHONE].ack =
				0U - (BEFORE + 1) * st.keepalive.len - 7;
			st.end[KL_TO_CUCM].id = 0xffff - 2 * BEFORE - 2;
		}
		if (cases[i].setup.phone != BY_COUNTER)
			stage_connect(&st, at);
		at += STAGE_S;
		for (unsigned n = 0; n < BEFORE; n++, at += period)
			stage_exchange(&st, at);
		at = cases[i].plot(&st, at, period);
		for (unsigned n = 0; n < AFTER; n++, at += period)
			stage_exchange(&st, at);
		stage_until(&st, at);
		s = stage_session(&st);
		cr_expect_eq(st.inferred[KL_TO_CUCM][KL_PHONE_SIDE], cases[i].phone_side,
			     "%s: %u on the phone's side", cases[i].name,
			     st.inferred[KL_TO_CUCM][KL_PHONE_SIDE]);
		cr_expect_eq(st.inferred[KL_TO_CUCM][KL_CUCM_SIDE], cases[i].cucm_side,
			     "%s: %u on the server's side", cases[i].name,
			     st.inferred[KL_TO_CUCM][KL_CUCM_SIDE]);
		cr_expect_eq(st.inferred[KL_TO_CUCM][KL_WHERE_UNKNOWN], cases[i].unknown,
			     "%s: %u unknown", cases[i].name,
			     st.inferred[KL_TO_CUCM][KL_WHERE_UNKNOWN]);
		cr_expect_eq(stage_losses(&st),
			     cases[i].phone_side + cases[i].cucm_side + cases[i].unknown,
			     "%s: %u in all", cases[i].name, stage_losses(&st));
		cr_expect_eq(s->lost[KL_TO_CUCM][KL_BETWEEN], cases[i].between, "%s",
			     cases[i].name);
		cr_expect_eq(s->acks_lost, cases[i].acks_lost, "%s: %u acks", cases[i].name,
			     s->acks_lost);
		stage_done(&st);
	}
}
