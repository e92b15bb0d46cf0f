// SPDX-License-Identifier: GPL-2.0-only
/*
 * Losses before the near side, inferred: a copy that was not seen. It shows itself by:
 *   numbering  the sender numbers its packets one by one (IP identification), a number is left out
 *              just before a keepalive or an answer, and the sender had nothing else to send: no
 *              acknowledgement was due, or it would have come with the answer, which was late.
 *              (Of a sender whose SYN does not show that it numbers each connection by itself, more
 *              is asked: that the keepalive is late, as others before it were before which a number
 *              was left out, and hardly any on time)
 *   order      bytes behind it were seen before it, and it was numbered after them or came much
 *              later. Where the last of two is repeated first (RFC 8985, tail loss probe), it was
 *              lost, too
 *   growth     three keepalives in a row came late, each twice as late as the one before
 *   timeout    it is late by just the timeout that this sender was seen to use
 *   silence    nothing came for about a period or more, and then the next one right behind it: its
 *              sender had gone on. (One that paused, or a clock that stepped, has nothing waiting,
 *              but for one that stood still for a moment and makes up for it.)
 * Where a sender is known to number its packets one by one and no number is left out, nothing was
 * lost, however late it came: the last three are for those who do not.
 */
#include <stdio.h>

#include "core/session_state.h"

/* Reordering is over after this. */
#define REORDER_NS (10 * KL_NS_PER_MS)
/* Shorter than any timeout in use, longer than an acknowledgement is held back by who answers. */
#define SLOW_US 190000
/* An acknowledgement that passed so long ago would have ended the retransmissions. */
#define ARRIVED_US 50000
/* A sender that stands still for so long is no busy one. */
#define SILENCE_US 2000000
/* No probe for a tail loss comes sooner. */
#define TAIL_PROBE_US 5000

enum {
	STEP_MAX = 8,	  /* more packets are not copies of one segment */
	STEPS_ENOUGH = 2, /* numbers one by one, before a gap means something */
	WHOLE_ENOUGH = 4, /* unasked segments that show how a sender numbers */
	LATE_ENOUGH = 3,  /* late ones with a number left out, and hardly any on time */
	ANSWERS_ENOUGH = 4,
};

static double ms(uint64_t us)
{
	return (double)us / 1000;
}

/* ---- Before the near side ---- */

static struct kl_story unseen(const struct kl_node *n, const struct kl_event *e, uint64_t late_ns)
{
	struct kl_story story = kl_story_of(n, KL_STORY_LOSS, e->time_ns - late_ns);

	story.direction = e->direction;
	story.kind = e->kind;
	story.seq = e->seq;
	story.length = e->payload_len;
	story.where = kl_where_before(e->direction);
	story.late_ns = late_ns;
	story.copies[e->direction & 1] = 1; /* the one that tells of it */
	return story;
}

bool kl_loss_outlived(const struct kl_node *n, uint64_t timeout_ns)
{
	uint64_t before_ns = n->flow[KL_TO_CUCM].rto_ns;

	return before_ns && !n->clean_sample && timeout_ns > before_ns * 16 / 10 &&
	       timeout_ns < before_ns * 24 / 10;
}

void kl_loss_remark_outlived(struct kl_story *story, uint64_t timeout_ns)
{
	snprintf(story->text, sizeof(story->text),
		 "the timeout doubled to %.0f ms and outlived the keepalive before: nothing since "
		 "was acknowledged without being sent twice, so the sender took no round-trip "
		 "sample (Karn; RFC 6298 §3, §5.5)",
		 ms(timeout_ns / KL_NS_PER_US));
}

/*
 * Losses before the near side: they, and the retransmission that the copy is which told of them.
 * story: of the losses, see unseen(). heard: the phone, before the copy that told.
 */
static void tell_unseen(struct kl_sessions *s, struct kl_node *n, struct kl_story *story,
			unsigned missing, struct kl_heard heard)
{
	__u32 d = story->direction & 1;
	struct kl_story again = *story;

	if (kl_loss_is_doubted(s, n, story))
		return;
	kl_idle_tell(story, &heard);
	kl_loss_tell(s, n, story, missing);
	again.type = KL_STORY_RETRANSMISSION;
	again.time_ns = story->time_ns + story->late_ns;
	kl_idle_tell(&again, &heard);
	again.copy = missing + 1;
	again.inferred = true;
	again.text[0] = '\0';
	if (missing == 1 && story->late_ns) {
		again.rto_ns = story->late_ns;
		if (d == KL_TO_CUCM && kl_loss_outlived(n, story->late_ns))
			kl_loss_remark_outlived(&again, story->late_ns);
		n->flow[d].rto_ns = story->late_ns;
	}
	if (d == KL_TO_CUCM)
		n->clean_sample = false;
	n->session.retransmissions[d]++;
	s->inferred_retransmissions[d]++;
	kl_tell(s, &again);
}

/* Its numbering alone tells of a loss. */
static bool is_trusted(const struct kl_flow_story *f, const struct kl_event *e)
{
	return e->steps >= STEPS_ENOUGH && kl_is_numbered(f, e->steps) &&
	       (e->own_numbers || f->quiet_whole >= WHOLE_ENOUGH);
}

/* These are compared with one another: in months, too, none of them may stay behind. */
static void count_number(struct kl_flow_story *f, uint16_t *counter)
{
	if (*counter == UINT16_MAX) {
		f->quiet_whole /= 2;
		f->quiet_odd /= 2;
		f->late_odd /= 2;
	}
	++*counter;
}

/*
 * How many of the packets left out just before this segment were surely copies of it? Others may
 * have been acknowledgements of what it owed one for. unanswered: there were none, as its time says.
 */
static unsigned missing_copies(const struct kl_event *e, bool unanswered)
{
	if (!e->step || e->step > STEP_MAX)
		return 0;
	/* (A probe is to be answered; or others than this connection may count along.) */
	if (!(e->note & KL_NOTE_QUIET) && (!e->owed || !e->own_numbers))
		return 0;
	if (unanswered && e->owed) {
		/* Each timeout takes longer than the one before. */
		unsigned most = 1;

		while (most < e->step && e->owed_us >= (2U * SLOW_US) << (most - 1))
			most++;
		return most;
	}
	return e->step > e->owed ? e->step - e->owed : 0;
}

/* Is a number left out just before this segment, by a sender that spoke unasked? */
static bool leaves_out(const struct kl_flow_story *f, const struct kl_event *e)
{
	return kl_is_numbered(f, e->steps) && (e->note & KL_NOTE_QUIET) &&
	       !(e->note & KL_NOTE_HOLE) && e->step && e->step <= STEP_MAX;
}

/* ---- Order ---- */

void kl_loss_order(struct kl_node *n, const struct kl_event *e)
{
	struct kl_hole *hole = &n->flow[e->direction & 1].hole;

	if (e->note & KL_NOTE_HOLE)
		*hole = (struct kl_hole){
			.time_ns = e->time_ns,
			.seq = e->seq,
			.len = e->payload_len,
			.kind = e->kind,
			.heard = n->heard,
		};
	else if ((e->note & KL_NOTE_BEHIND) && e->type != KL_EVENT_SEGMENT)
		hole->copies = 0; /* there was something else in it */
}

/* Bytes behind it came by before it, and not by reordering. */
static bool comes_behind(const struct kl_flow_story *f, const struct kl_event *e)
{
	if (!(e->note & KL_NOTE_BEHIND) || !f->hole.time_ns || !kl_seq_before(e->seq, f->hole.seq))
		return false;
	return e->own_numbers && is_trusted(f, e) ? e->step != KL_ID_LATE
						  : e->time_ns > f->hole.time_ns + REORDER_NS;
}

bool kl_loss_is_numbered(const struct kl_node *n, const struct kl_event *e)
{
	const struct kl_flow_story *f = &n->flow[e->direction & 1];

	return e->own_numbers && is_trusted(f, e) && (leaves_out(f, e) || comes_behind(f, e));
}

/* The segment that showed the hole was lost itself before it came. */
static void tell_shown(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
		       const struct kl_hole *hole)
{
	struct kl_story story = unseen(n, e, 0);

	story.time_ns = hole->time_ns;
	story.seq = hole->seq;
	story.length = hole->len;
	story.kind = hole->kind;
	snprintf(story.text, sizeof(story.text),
		 "its sender left out %u packets before it, and only one of them was what came "
		 "after it",
		 hole->copies + 1);
	tell_unseen(s, n, &story, hole->copies, hole->heard);
}

/* What others passed was lost; and what was left out since, if nothing else was to be sent. */
static void tell_passed(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			uint64_t late_us)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_hole hole = f->hole;
	struct kl_story story = unseen(n, e, late_us * KL_NS_PER_US);
	unsigned again = 0;
	bool fills = !kl_seq_before(e->seq + e->payload_len, hole.seq);

	/* (With payload, what passed it may have been sent again meanwhile, too.) */
	if (is_trusted(f, e) && !hole.len)
		again = missing_copies(e, e->owed_us >= SLOW_US);
	if (fills)
		f->hole = (struct kl_hole){};
	if (fills && hole.copies && e->seq + e->payload_len == hole.seq && e->acked == e->seq)
		tell_shown(s, n, e, &hole);
	snprintf(story.text, sizeof(story.text),
		 "what its sender sent after it was seen %.0f ms before it",
		 ms((e->time_ns - hole.time_ns) / KL_NS_PER_US));
	tell_unseen(s, n, &story, 1 + again, n->heard);
}

/* ---- Keepalives ---- */

/*
 * Of a sender whose SYN does not say that it numbers each connection by itself: is a number left
 * out only before what comes late? Others that count along would do so before any.
 */
static bool tells_by_lateness(const struct kl_flow_story *f)
{
	return f->quiet_whole >= WHOLE_ENOUGH && f->late_odd >= LATE_ENOUGH &&
	       f->quiet_odd * 4 <= f->late_odd;
}

/* By the numbering. Returns how many copies are missing; *ret_sure: the numbering decides. */
static unsigned missing_by_number(struct kl_node *n, const struct kl_event *e,
				  const struct kl_schedule_seen *seen, bool *ret_sure)
{
	struct kl_flow_story *f = &n->flow[KL_TO_CUCM];
	bool knows_time = !seen->first && n->session.schedule.period_us && !seen->new_period;
	bool late = knows_time && seen->late;

	*ret_sure = kl_is_numbered(f, e->steps) && (f->quiet_whole || e->own_numbers);
	if (e->note & KL_NOTE_HOLE)
		return 0;
	if (!(e->note & KL_NOTE_QUIET))
		return is_trusted(f, e) ? missing_copies(e, late && e->owed_us >= SLOW_US) : 0;
	if (!e->step && e->steps >= STEPS_ENOUGH) {
		count_number(f, &f->quiet_whole);
		return 0;
	}
	if (e->own_numbers)
		return e->steps >= STEPS_ENOUGH && leaves_out(f, e) ? e->step : 0;
	/* Perhaps others count along, on time and late alike. Then this is no loss. */
	*ret_sure = false;
	if (seen->first)
		return 0;
	if (late && e->step && e->step <= STEP_MAX)
		count_number(f, &f->late_odd);
	else
		count_number(f, &f->quiet_odd);
	if (!late || !leaves_out(f, e) || !tells_by_lateness(f))
		return 0;
	/* One was lost, or it would be on time. Where others count along at times, no more is sure. */
	return f->quiet_odd ? 1 : e->step;
}

static void tell_numbered(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			  uint64_t late_us, unsigned missing)
{
	struct kl_story story = unseen(n, e, late_us * KL_NS_PER_US);

	if (late_us)
		snprintf(story.text, sizeof(story.text),
			 "first seen %.0f ms late; its sender left out %u packet%s just before it "
			 "and had nothing else to say",
			 ms(late_us), missing, missing == 1 ? "" : "s");
	else
		snprintf(story.text, sizeof(story.text),
			 "its sender left out %u packet%s just before it and had nothing else to "
			 "say",
			 missing, missing == 1 ? "" : "s");
	tell_unseen(s, n, &story, missing, n->heard);
}

static void push_late(struct kl_node *n, const struct kl_event *e, uint64_t late_us)
{
	for (int i = KL_LATE_KEPT - 1; i > 0; i--)
		n->late[i] = n->late[i - 1];
	n->late[0] = (struct kl_late){
		.time_ns = e->time_ns,
		.late_us = late_us,
		.seq = e->seq,
		.len = e->payload_len,
		.heard = n->heard,
	};
}

/* The growing timeout: also the late ones before, which were not enough to tell. */
static void tell_growth(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	for (int i = KL_LATE_KEPT - 1; i >= 0; i--) {
		struct kl_late *late = &n->late[i];
		struct kl_story story = unseen(n, e, 0);

		if (!late->late_us || late->told)
			continue;
		late->told = true;
		story.time_ns = late->time_ns - late->late_us * KL_NS_PER_US;
		story.late_ns = late->late_us * KL_NS_PER_US;
		story.seq = late->seq;
		story.length = late->len;
		snprintf(story.text, sizeof(story.text),
			 "first seen %.0f ms late; three in a row came late, each twice as late as "
			 "the one before, as a retransmission timeout grows",
			 ms(late->late_us));
		tell_unseen(s, n, &story, 1, late->heard);
	}
}

/* The timeout that the sender would use now, as far as its retransmissions told. 0: not known. */
static uint64_t next_timeout_ns(const struct kl_node *n)
{
	const struct kl_flow_story *f = &n->flow[KL_TO_CUCM];

	return n->clean_sample ? 0 : 2 * f->rto_ns;
}

static bool late_by_timeout(const struct kl_node *n, uint64_t late_us)
{
	uint64_t timeout_us = next_timeout_ns(n) / KL_NS_PER_US;

	return timeout_us && late_us > 5ULL * n->session.schedule.jitter_us &&
	       late_us > timeout_us * 85 / 100 && late_us < timeout_us * 115 / 100;
}

/*
 * A SIP phone counts from the answer. If that took long, because the keepalive before it or the
 * answer had to be sent again, this one is late by as much.
 */
static bool answer_was_late(const struct kl_node *n, uint64_t late_us)
{
	const struct kl_flow_story *asked = &n->flow[KL_TO_CUCM], *answer = &n->flow[KL_TO_PHONE];
	uint64_t end_ns = answer->last.time_ns;

	if (n->session.schedule.slips < 0)
		return false;
	if (answer->again_ns > end_ns)
		end_ns = answer->again_ns;
	if (asked->again_ns > end_ns)
		end_ns = asked->again_ns;
	return kl_since(end_ns, asked->last.time_ns) / KL_NS_PER_US > late_us / 8;
}

/* A keepalive of a sender whose numbering does not tell. */
static void judge_by_time(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			  const struct kl_schedule_seen *seen)
{
	struct kl_late *before = &n->late[0];

	/* The old schedule went on during a silence: it was no change of period, and no pause. */
	if (before->late_us && !before->told && !seen->late && !seen->new_period &&
	    before->silent && before->late_us >= SILENCE_US &&
	    seen->interval_us < n->session.schedule.period_us / 2) {
		struct kl_story story = unseen(n, e, before->late_us * KL_NS_PER_US);

		before->told = true;
		story.time_ns = before->time_ns - before->late_us * KL_NS_PER_US;
		story.seq = before->seq;
		story.length = before->len;
		snprintf(story.text, sizeof(story.text),
			 "nothing came for %.1f s longer than its period of %.1f s, and then the "
			 "next one right behind it: the old schedule had gone on",
			 ms(before->late_us) / 1000, ms(n->session.schedule.period_us) / 1000);
		tell_unseen(s, n, &story, 1, before->heard);
	}
	if (!seen->late || answer_was_late(n, seen->late_us)) {
		push_late(n, e, 0);
		return;
	}
	push_late(n, e, seen->late_us);
	n->late[0].silent = seen->periods_silent > 0;
	if (seen->solved) {
		for (int i = 1; i < KL_LATE_KEPT; i++)
			n->late[i].late_us = n->late[i - 1].late_us / 2;
	}
	if (seen->doublings >= 2) {
		tell_growth(s, n, e);
	} else if (late_by_timeout(n, seen->late_us)) {
		struct kl_story story = unseen(n, e, seen->late_us * KL_NS_PER_US);

		n->late[0].told = true;
		snprintf(story.text, sizeof(story.text),
			 "first seen %.0f ms late, which is the timeout that its sender has come "
			 "to (%.0f ms)",
			 ms(seen->late_us), ms(next_timeout_ns(n) / KL_NS_PER_US));
		tell_unseen(s, n, &story, 1, n->heard);
	}
}

static void keepalive_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
				 const struct kl_schedule_seen *seen)
{
	bool sure;
	unsigned missing = missing_by_number(n, e, seen, &sure);

	if (kl_is_acked_already(e))
		return; /* it took another way */
	if (comes_behind(&n->flow[KL_TO_CUCM], e)) {
		tell_passed(s, n, e, seen->late_us);
	} else if (missing) {
		push_late(n, e, seen->late_us);
		n->late[0].told = true;
		tell_numbered(s, n, e, seen->late_us, missing);
	} else if (!sure) {
		judge_by_time(s, n, e, seen);
	}
}

/* ---- Answers ---- */

static uint64_t usual_us(const struct kl_node *n)
{
	return kl_answers_quantile(&n->session.answers, 0.75);
}

/* Answers in time show how their sender numbers. */
static void learn_numbering(struct kl_flow_story *f, const struct kl_event *e)
{
	if (!e->step)
		count_number(f, &f->quiet_whole);
	else if (!e->own_numbers || e->step > e->owed)
		count_number(f, &f->quiet_odd);
}

/* Bytes before it were not seen. If they are of one segment, some of what was left out was this. */
static void note_shown(const struct kl_node *n, struct kl_flow_story *f, const struct kl_event *e)
{
	unsigned copies = e->step ? e->step - 1U : 0;
	bool probe = e->owed_us >= TAIL_PROBE_US && e->owed_us > 3 * usual_us(n);

	if (!e->own_numbers || !is_trusted(f, e) || e->step > STEP_MAX || e->owed_us >= SLOW_US)
		return;
	if (e->owed && !probe)
		copies = copies > e->owed ? copies - e->owed : 0;
	f->hole.copies = (uint8_t)copies;
}

/* By the numbering, where that alone does not tell: it is slow, too. */
static unsigned missing_answers(struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	uint64_t took_us = n->answer_due_ns ? kl_since(e->time_ns, n->answer_due_ns) / KL_NS_PER_US
					    : 0;

	if (is_trusted(f, e) && e->own_numbers) {
		bool slow = e->owed_us >= SLOW_US && e->owed_us > 3 * usual_us(n);

		if (e->owed && !slow)
			learn_numbering(f, e);
		return missing_copies(e, slow);
	}
	if (!n->answer_due_ns)
		return 0;
	if (took_us * KL_NS_PER_US < KL_TIMEOUT_MIN_NS || took_us <= 3 * usual_us(n)) {
		learn_numbering(f, e);
		return 0;
	}
	if (e->step > STEP_MAX || !is_trusted(f, e) || n->session.answers.count < ANSWERS_ENOUGH)
		return 0;
	return e->step;
}

/* An answer, or what else the join follows. */
static void other_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_story story;
	unsigned missing;

	if (kl_is_acked_already(e) || !kl_kind_is_answer(e->kind))
		return;
	if (comes_behind(f, e)) {
		tell_passed(s, n, e, 0);
		return;
	}
	if (e->kind == KL_TCP_PROBE_ACK)
		return;
	if (e->note & KL_NOTE_HOLE) {
		note_shown(n, f, e);
		return;
	}
	missing = missing_answers(n, e);
	if (!missing)
		return;
	story = unseen(n, e, 0);
	snprintf(
		story.text, sizeof(story.text),
		"its sender left out %u packet%s just before it, and it was not what comes with an "
		"answer in time",
		missing, missing == 1 ? "" : "s");
	tell_unseen(s, n, &story, missing, n->heard);
}

void kl_loss_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			const struct kl_schedule_seen *seen)
{
	if (seen)
		keepalive_first_copy(s, n, e, seen);
	else
		other_first_copy(s, n, e);
}

/* ---- Copies between two that were seen ---- */

static void tell_between_copies(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
				unsigned missing)
{
	struct kl_story story = unseen(n, e, 0);

	story.time_ns = e->time_ns - e->gap_ns / 2;
	story.copies[e->direction & 1] = e->copy;
	snprintf(story.text, sizeof(story.text),
		 "its sender left out %u packet%s between this copy and the one before, and had "
		 "nothing else to say",
		 missing, missing == 1 ? "" : "s");
	kl_idle_tell(&story, &n->heard);
	kl_loss_tell(s, n, &story, missing);
}

/*
 * May the rest of a message follow this segment, in one that was never seen? A REGISTER of two
 * segments is known by the one before it: bytes came behind that one, too.
 */
static bool may_go_on(const struct kl_flow_story *f, const struct kl_event *e)
{
	return (e->kind == KL_SIP_REGISTER || e->kind == KL_SIP_REGISTER_BACKUP) &&
	       f->before.time_ns && f->before.seq + f->before.len != f->last.seq;
}

/* What was left out before a repeated segment may have been another one, if that was under way,
 * too: the last one is repeated first. */
static bool is_alone(const struct kl_flow_story *f, const struct kl_event *e)
{
	const struct kl_last *both[] = { &f->last, &f->before };
	uint64_t first_ns = 0;

	if (kl_seq_before(e->seq + e->payload_len, e->end) || may_go_on(f, e))
		return false;
	for (int i = 0; i < 2; i++) {
		if (both[i]->time_ns && both[i]->seq == e->seq)
			first_ns = both[i]->time_ns;
	}
	for (int i = 0; i < 2; i++) {
		if (both[i]->time_ns && both[i]->seq != e->seq &&
		    kl_since(first_ns, both[i]->time_ns) < SLOW_US * KL_NS_PER_US)
			return false;
	}
	return first_ns;
}

void kl_loss_between_copies(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	unsigned missing = 0;

	if (e->gap_ns < KL_TIMEOUT_MIN_NS)
		return;
	if (!e->step) {
		f->rto_ns = e->gap_ns;
		if (e->direction == KL_TO_CUCM)
			n->clean_sample = false;
	}
	/* Who repeats what was acknowledged in data did not get the data, and owes nothing. */
	if (is_trusted(f, e) && !(e->note & KL_NOTE_HOLE) && is_alone(f, e))
		missing = missing_copies(e, kl_is_acked_already(e) && e->owed == 1 &&
						    e->owed_us >= ARRIVED_US);
	if (missing)
		tell_between_copies(s, n, e, missing);
}
