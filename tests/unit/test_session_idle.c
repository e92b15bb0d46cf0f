// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long the phone had been silent: of segments, of retransmissions and of losses, as the kernel
 * says it and as the connection alone tells; and who may have ended a session.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "stage.h"

#define PERIOD_NS (30 * STAGE_S)
#define RTO_NS (220 * STAGE_MS)
/* The phone acknowledges the answer 12 ms after it. */
#define LAST_WORD_NS (12 * STAGE_MS + 2 * STAGE_MS + 100 * KL_NS_PER_US)

enum {
	BEFORE = 12
};

/* As many exchanges on time. Returns when the next one is due. */
static __u64 begin(struct stage *st, const struct stage_setup *setup)
{
	__u64 at = STAGE_START_NS + STAGE_S;

	stage_init(st, setup);
	stage_connect(st, STAGE_START_NS);
	for (unsigned i = 0; i < BEFORE; i++, at += PERIOD_NS)
		stage_exchange(st, at);
	return at;
}

/* The last story of this type. */
static const struct kl_story *last(const struct stage *st, enum kl_story_type type)
{
	unsigned n = stage_stories(st, type);

	cr_assert(n, "no story of type %d", type);
	return stage_story(st, type, n - 1);
}

static const struct kl_story *last_segment(const struct stage *st, __u32 direction)
{
	const struct kl_story *found = NULL, *story;

	for (unsigned i = 0; (story = stage_story(st, KL_STORY_SEGMENT, i)); i++) {
		if (story->direction == direction)
			found = story;
	}
	cr_assert_not_null(found);
	return found;
}

static void expect_idle(const struct kl_story *story, __u64 ns, enum kl_idle_known known)
{
	cr_expect_eq(story->idle_known, known, "type %d: known %d", story->type, story->idle_known);
	cr_expect_eq(story->idle_ns, ns, "type %d: %.3f ms instead of %.3f", story->type,
		     (double)story->idle_ns / 1e6, (double)ns / 1e6);
}

/* ---- Segments ---- */

Test(session_idle, a_segment_for_each_first_copy)
{
	struct stage_setup setup = { KL_SCCP, .segments = true };
	struct stage st;
	__u64 at = begin(&st, &setup);

	cr_expect_eq(stage_stories(&st, KL_STORY_SEGMENT), 2U * BEFORE);
	stage_struggle(&st, at, RTO_NS, 2, LOST_BETWEEN);
	cr_expect_eq(stage_stories(&st, KL_STORY_SEGMENT), 2U * BEFORE + 2, "not of copies");
	cr_expect_eq(last_segment(&st, KL_TO_CUCM)->kind, KL_SCCP_KEEPALIVE);
	cr_expect_eq(last_segment(&st, KL_TO_CUCM)->time_ns, at);
	cr_expect_eq(last_segment(&st, KL_TO_PHONE)->kind, KL_SCCP_KEEPALIVE_ACK);
	cr_expect_eq(last_segment(&st, KL_TO_PHONE)->length, 12);
	stage_done(&st);
}

/* Nothing is known but this connection: the last thing said on it was an acknowledgement. */
Test(session_idle, as_the_connection_tells)
{
	struct stage_setup setup = { KL_SCCP, .segments = true };
	struct stage st;
	__u64 at;

	stage_init(&st, &setup);
	stage_connect(&st, STAGE_START_NS);
	at = STAGE_START_NS + STAGE_S;
	stage_exchange(&st, at);
	stage_exchange(&st, at + PERIOD_NS);
	expect_idle(last_segment(&st, KL_TO_CUCM), PERIOD_NS - LAST_WORD_NS, KL_IDLE_SIGNALLING);
	/* The answer comes 2.1 ms after the keepalive. */
	expect_idle(last_segment(&st, KL_TO_PHONE), 2 * STAGE_MS + 100 * KL_NS_PER_US,
		    KL_IDLE_SIGNALLING);
	stage_done(&st);
}

Test(session_idle, as_the_kernel_says)
{
	struct stage_setup setup = { KL_SCCP, .segments = true };
	struct stage st;
	__u64 at = begin(&st, &setup);

	st.silence = 1 + 7000;
	stage_exchange(&st, at);
	expect_idle(last_segment(&st, KL_TO_CUCM), 7 * STAGE_S, KL_IDLE_ALL);
	st.silence = 1;
	stage_exchange(&st, at + PERIOD_NS);
	expect_idle(last_segment(&st, KL_TO_CUCM), 0, KL_IDLE_ALL);
	stage_done(&st);
}

Test(session_idle, before_the_first_segment_nothing_is_known)
{
	struct stage_setup setup = { KL_SCCP, .segments = true };
	struct stage st;

	stage_init(&st, &setup);
	stage_exchange(&st, STAGE_START_NS);
	expect_idle(stage_story(&st, KL_STORY_SEGMENT, 0), 0, KL_IDLE_UNKNOWN);
	stage_done(&st);
}

/* Meanwhile anything may have come by, also for the kernel's table. */
Test(session_idle, a_gap_makes_it_unknown)
{
	for (int i = 0; i < 2; i++) {
		struct stage_setup setup = { KL_SCCP, .segments = true };
		struct stage st;
		__u64 at = begin(&st, &setup);

		kl_sessions_gap(st.sessions, at - 5 * STAGE_S);
		st.silence = i ? 1 + 29000 : 0;
		stage_exchange(&st, at);
		expect_idle(last_segment(&st, KL_TO_CUCM), 0, KL_IDLE_UNKNOWN);
		st.silence = i ? 1 + 29000 : 0;
		stage_exchange(&st, at + PERIOD_NS);
		cr_expect_neq(last_segment(&st, KL_TO_CUCM)->idle_known, KL_IDLE_UNKNOWN);
		stage_done(&st);
	}
}

/* ---- Losses ---- */

/* What is seen late was lost when it was sent: so long the phone had been silent then. */
Test(session_idle, of_a_copy_lost_before_the_access_side)
{
	for (int i = 0; i < 2; i++) {
		struct stage_setup setup = { KL_SCCP };
		const struct kl_story *loss;
		struct stage st;
		__u64 at = begin(&st, &setup);

		st.silence = i ? 1 + 25000 + 220 : 0;
		stage_struggle(&st, at, RTO_NS, 1, LOST_BEFORE);
		loss = last(&st, KL_STORY_LOSS);
		cr_expect_eq(loss->where, KL_PHONE_SIDE);
		cr_expect_eq(loss->time_ns, at);
		expect_idle(loss, i ? 25 * STAGE_S : PERIOD_NS - LAST_WORD_NS,
			    i ? KL_IDLE_ALL : KL_IDLE_SIGNALLING);
		expect_idle(last(&st, KL_STORY_RETRANSMISSION),
			    (i ? 25 * STAGE_S : PERIOD_NS - LAST_WORD_NS) + RTO_NS,
			    i ? KL_IDLE_ALL : KL_IDLE_SIGNALLING);
		cr_expect_eq(stage_session(&st)->lost_ns, at);
		stage_done(&st);
	}
}

/* It sent something else after the lost copy: what was before that is not known. */
Test(session_idle, heard_between_the_loss_and_its_copy)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;
	__u64 at = begin(&st, &setup);

	st.silence = 1 + 100;
	stage_struggle(&st, at, RTO_NS, 1, LOST_BEFORE);
	expect_idle(last(&st, KL_STORY_LOSS), 0, KL_IDLE_UNKNOWN);
	expect_idle(last(&st, KL_STORY_RETRANSMISSION), 100 * STAGE_MS, KL_IDLE_ALL);
	stage_done(&st);
}

/* Of three copies that crossed, the first two were lost beyond: each with its own silence. */
Test(session_idle, of_copies_lost_beyond_the_cucm_side)
{
	struct stage_setup setup = { KL_SCCP };
	const struct kl_story *loss;
	struct stage st;
	__u64 at = begin(&st, &setup);

	st.silence = 1 + 20000;
	stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, LOST_BEYOND);
	st.silence = 1 + 400;
	stage_again(&st, at + 2 * RTO_NS, KL_TO_CUCM, &st.keepalive, LOST_BEYOND);
	st.silence = 1 + 800;
	stage_again(&st, at + 6 * RTO_NS, KL_TO_CUCM, &st.keepalive, ARRIVES);
	stage_answer(&st, at + 6 * RTO_NS);
	stage_until(&st, at + 20 * STAGE_S);
	cr_assert_eq(stage_stories(&st, KL_STORY_LOSS), 2);
	loss = stage_story(&st, KL_STORY_LOSS, 0);
	cr_expect_eq(loss->where, KL_CUCM_SIDE);
	expect_idle(loss, 20 * STAGE_S, KL_IDLE_ALL);
	expect_idle(stage_story(&st, KL_STORY_LOSS, 1), 400 * STAGE_MS, KL_IDLE_ALL);
	stage_done(&st);
}

/* An answer that is sent again: how long the phone had been silent when the first copy passed. */
Test(session_idle, of_an_answer_lost_behind_the_access_side)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;
	__u64 at = begin(&st, &setup);

	stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, ARRIVES);
	st.silence = 1 + 6;
	stage_say(&st, at + 2 * STAGE_MS, KL_TO_PHONE, st.answer.data, st.answer.len, LOST_BEYOND);
	st.silence = 1 + 446;
	stage_again(&st, at + 2 * STAGE_MS + 2 * RTO_NS, KL_TO_PHONE, &st.answer, ARRIVES);
	stage_ack(&st, at + 3 * STAGE_MS + 2 * RTO_NS, KL_TO_CUCM, ARRIVES);
	stage_until(&st, at + 20 * STAGE_S);
	cr_assert_eq(stage_stories(&st, KL_STORY_LOSS), 1);
	cr_expect_eq(last(&st, KL_STORY_LOSS)->where, KL_PHONE_SIDE);
	expect_idle(last(&st, KL_STORY_LOSS), 6 * STAGE_MS, KL_IDLE_ALL);
	expect_idle(last(&st, KL_STORY_RETRANSMISSION), 446 * STAGE_MS, KL_IDLE_ALL);
	stage_done(&st);
}

/* Three in a row show that the ones before were late, too: each had its own silence. */
Test(session_idle, of_losses_that_are_told_later)
{
	struct stage_setup setup = { KL_SCCP, .ipv6 = true };
	struct stage st;
	__u64 at = begin(&st, &setup);

	for (unsigned i = 0; i < 4; i++, at += PERIOD_NS) {
		st.silence = 1 + (__u32)(10000 * (i + 1) + (220 << i));
		stage_struggle(&st, at, RTO_NS << i, 1, LOST_BEFORE);
		st.silence = 0;
	}
	cr_assert_geq(stage_stories(&st, KL_STORY_LOSS), 3);
	for (unsigned i = 0; i < stage_stories(&st, KL_STORY_LOSS); i++) {
		const struct kl_story *loss = stage_story(&st, KL_STORY_LOSS, i);
		double want = 1e10 * (i + 1);

		cr_expect_eq(loss->idle_known, KL_IDLE_ALL);
		cr_expect_float_eq((double)loss->idle_ns, want, 30e6, "%.3f s",
				   (double)loss->idle_ns / 1e9);
	}
	stage_done(&st);
}

/* ---- Asked for, of losses between the sides ---- */

Test(session_idle, of_a_copy_that_was_seen_lately)
{
	struct stage_setup setup = { KL_SCCP };
	enum kl_idle_known known;
	__u32 seq[6];
	struct stage st;
	__u64 at = begin(&st, &setup);
	uint64_t idle_ns;

	for (unsigned i = 0; i < 6; i++, at += PERIOD_NS) {
		st.silence = 1 + 1000 * (i + 1);
		seq[i] = st.end[KL_TO_CUCM].seq;
		stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, LOST_BETWEEN);
		st.silence = 1 + 220;
		stage_again(&st, at + RTO_NS, KL_TO_CUCM, &st.keepalive, ARRIVES);
		stage_answer(&st, at + RTO_NS);
	}
	for (unsigned i = 0; i < 6; i++) {
		bool is_kept = i >= 2;

		cr_expect_eq(kl_sessions_idle_of(st.sessions, st.setup.id, KL_TO_CUCM, seq[i], 12,
						 1, &idle_ns, &known),
			     is_kept, "%u", i);
		cr_expect_eq(idle_ns, is_kept ? (i + 1) * STAGE_S : 0, "%u", i);
		cr_expect_eq(known, is_kept ? KL_IDLE_ALL : KL_IDLE_UNKNOWN, "%u", i);
	}
	cr_expect(kl_sessions_idle_of(st.sessions, st.setup.id, KL_TO_CUCM, seq[5], 12, 2, &idle_ns,
				      &known));
	cr_expect_eq(idle_ns, 220 * STAGE_MS);
	cr_expect_not(kl_sessions_idle_of(st.sessions, st.setup.id, KL_TO_CUCM, seq[5], 12, 3,
					  &idle_ns, &known));
	cr_expect_not(kl_sessions_idle_of(st.sessions, st.setup.id, KL_TO_PHONE, seq[5], 12, 1,
					  &idle_ns, &known));
	cr_expect_not(
		kl_sessions_idle_of(st.sessions, 1, KL_TO_CUCM, seq[5], 12, 1, &idle_ns, &known));
	cr_expect(stage_session(&st)->lost_ns, "losses between count, too");
	stage_done(&st);
}

Test(session_idle, a_loss_that_is_not_sure_is_none)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;

	begin(&st, &setup);
	kl_sessions_lost_between(st.sessions, st.setup.id, KL_TO_CUCM, 1, 12, 1, false);
	cr_expect_eq(stage_session(&st)->lost_ns, 0);
	stage_done(&st);
}

/* ---- Ends ---- */

static const struct {
	const char *name;
	__u32 direction;
	__u8 flags, ttl;
	enum stage_fate fate;
	enum kl_session_by by;
	__u8 usual, first_side;
} ends[] = {
	{ "the server's", KL_TO_PHONE, KL_RST, 64, ARRIVES, KL_BY_CUCM, 64, KL_CUCM },
	{ "the phone's FIN", KL_TO_CUCM, KL_FIN | KL_ACK, 64, ARRIVES, KL_BY_PHONE, 64, KL_ACCESS },
	{ "a box beyond", KL_TO_PHONE, KL_RST, 255, ARRIVES, KL_BY_CUCM, 64, KL_CUCM },
	{ "a box between, to the phone", KL_TO_PHONE, KL_RST, 255, FORGED, KL_BY_CUCM, 63,
	  KL_ACCESS },
	{ "a box between, to the server", KL_TO_CUCM, KL_RST, 64, FORGED, KL_BY_PHONE, 63,
	  KL_CUCM },
};

Test(session_idle, who_may_have_ended_it)
{
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct stage_setup setup = { KL_SCCP };
		const struct kl_story *stop;
		struct stage st;
		__u64 at = begin(&st, &setup);

		st.ttl = ends[i].ttl;
		stage_segment(&st, at, ends[i].direction, ends[i].flags,
			      st.end[ends[i].direction].seq, NULL, 0, ends[i].fate);
		cr_assert_eq(stage_stories(&st, KL_STORY_STOP), 1, "%s", ends[i].name);
		stop = last(&st, KL_STORY_STOP);
		cr_expect_eq(stop->by, ends[i].by, "%s", ends[i].name);
		cr_expect_eq(stop->ttl, ends[i].fate == FORGED ? ends[i].ttl - 1 : ends[i].ttl,
			     "%s: %u", ends[i].name, stop->ttl);
		cr_expect_eq(stop->usual_ttl, ends[i].usual, "%s: %u", ends[i].name,
			     stop->usual_ttl);
		cr_expect_eq(stop->first_side, ends[i].first_side, "%s", ends[i].name);
		stage_done(&st);
	}
}

Test(session_idle, silence_has_no_ttl)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;

	begin(&st, &setup);
	kl_sessions_time_out(st.sessions, st.setup.id, st.now + STAGE_S);
	cr_expect_eq(last(&st, KL_STORY_STOP)->ttl, 0);
	cr_expect_eq(last(&st, KL_STORY_STOP)->usual_ttl, 0);
	stage_done(&st);
}

/* ---- Where the phone's frames go ---- */

Test(session_idle, the_next_hop_is_the_last_one_seen)
{
	static const __u8 server[6] = { 2, 0, 0, 0, 0, 1 }, proxy[6] = { 2, 0, 0, 0, 0, 2 };
	struct stage_setup setup = { KL_SCCP };
	bool one_way;
	struct stage st;
	__u64 at;

	stage_init(&st, &setup);
	memcpy(st.conn.next_mac, server, 6);
	stage_connect(&st, STAGE_START_NS);
	cr_expect_arr_eq(stage_session(&st)->next_mac, server, 6);
	memcpy(st.conn.next_mac, proxy, 6);
	at = STAGE_START_NS + STAGE_S;
	stage_exchange(&st, at);
	cr_expect_arr_eq(stage_session(&st)->next_mac, proxy, 6);
	memset(st.conn.next_mac, 0, 6);
	stage_exchange(&st, at + PERIOD_NS);
	cr_expect_arr_eq(stage_session(&st)->next_mac, proxy, 6, "not known is no other one");
	memcpy(st.conn.next_mac, server, 6);
	cr_expect_eq(kl_sessions_meet(st.sessions, st.setup.id, &st.conn, st.now, &one_way), 0);
	cr_expect_arr_eq(stage_session(&st)->next_mac, server, 6);
	stage_done(&st);
}
