// SPDX-License-Identifier: GPL-2.0-only
/*
 * Losses outside the two interfaces, inferred. Of each direction a copy can be lost before its
 * near side (it was never seen) or beyond the far one (it crossed, and did not arrive).
 *
 * Before the near side, a first copy that was not seen shows itself by:
 *   numbering  the sender numbers its packets one by one (IP identification), a number is left out
 *              just before a keepalive, and the sender had nothing to reply to. Its SYN says that
 *              it numbers each connection by itself; or it is late, as others before it were before
 *              which a number was left out, and hardly any on time
 *   order      bytes behind it were seen some time before it
 *   growth     three keepalives in a row came late, each twice as late as the one before
 *   timeout    it is late by just the timeout that this sender was seen to use
 *   silence    whole periods passed in which nothing came, and then the old schedule went on
 * Where a sender is known to number its packets one by one and no number is left out, nothing was
 * lost, however late it came: the last three are for those who do not.
 *
 * Beyond the far side: it crossed, was sent again, and then acknowledged. Either an earlier copy
 * was lost or its acknowledgement. The receiver's own numbering, its report of a duplicate
 * (RFC 2883) or bytes of its own that were not seen tell which; else `where` is not known.
 */
#include <stdio.h>

#include "core/session_state.h"

/* A delay below this is no timeout of any stack, be it in a lab. */
#define TIMEOUT_MIN_NS (15 * KL_NS_PER_MS)
/* Reordering is over after this. */
#define REORDER_NS (10 * KL_NS_PER_MS)
/* A receiver may hold back an acknowledgement for up to this (RFC 9293: 500 ms; in use: 200). */
#define DELAYED_ACK_NS (300 * KL_NS_PER_MS)
/* Beyond the deadline: what the sweep finds has been told by then. */
#define SETTLE_NS (750 * KL_NS_PER_MS)

enum {
	STEP_MAX = 8,	  /* more packets are not copies of one segment */
	STEPS_ENOUGH = 2, /* numbers one by one, before a gap means something */
	WHOLE_ENOUGH = 4, /* unasked segments that show how a sender numbers */
	LATE_ENOUGH = 3,  /* late ones with a number left out, and hardly any on time */
	ANSWERS_ENOUGH = 4,
};

static enum kl_where near_side(__u32 direction)
{
	return direction == KL_TO_CUCM ? KL_PHONE_SIDE : KL_CUCM_SIDE;
}

static enum kl_where far_side(__u32 direction)
{
	return direction == KL_TO_CUCM ? KL_CUCM_SIDE : KL_PHONE_SIDE;
}

/* Tells of `story->copy` losses alike; the caller fills in where, times and evidence. */
static void tell_losses(struct kl_sessions *s, struct kl_node *n, struct kl_story *story,
			unsigned count)
{
	__u32 d = story->direction & 1;

	n->session.lost[d][story->where] += count;
	s->inferred[d][story->where] += count;
	for (unsigned i = 0; i < count; i++)
		kl_tell(s, story);
}

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
	story.where = near_side(e->direction);
	story.late_ns = late_ns;
	story.copies[e->direction & 1] = 1; /* the one that tells of it */
	return story;
}

static bool outlived(const struct kl_node *n, uint64_t timeout_ns)
{
	uint64_t before_ns = n->flow[KL_TO_CUCM].rto_ns;

	return before_ns && !n->clean_sample && timeout_ns > before_ns * 16 / 10 &&
	       timeout_ns < before_ns * 24 / 10;
}

static void remark_outlived(struct kl_story *story, uint64_t timeout_ns)
{
	snprintf(story->text, sizeof(story->text),
		 "the timeout doubled to %.0f ms and outlived the keepalive before: nothing since "
		 "was acknowledged without being sent twice, so the sender took no round-trip "
		 "sample (Karn; RFC 6298 §3, §5.5)",
		 ms(timeout_ns / KL_NS_PER_US));
}

/*
 * Losses before the near side: they, and the retransmission that the copy is which told of them.
 * story: of the losses, see unseen().
 */
static void tell_unseen(struct kl_sessions *s, struct kl_node *n, struct kl_story *story,
			unsigned missing)
{
	__u32 d = story->direction & 1;
	struct kl_story again = *story;

	tell_losses(s, n, story, missing);
	again.type = KL_STORY_RETRANSMISSION;
	again.time_ns = story->time_ns + story->late_ns;
	again.copy = missing + 1;
	again.inferred = true;
	again.text[0] = '\0';
	if (missing == 1 && story->late_ns) {
		again.rto_ns = story->late_ns;
		if (d == KL_TO_CUCM && outlived(n, story->late_ns))
			remark_outlived(&again, story->late_ns);
		n->flow[d].rto_ns = story->late_ns;
	}
	if (d == KL_TO_CUCM)
		n->clean_sample = false;
	n->session.retransmissions[d]++;
	s->inferred_retransmissions[d]++;
	kl_tell(s, &again);
}

static bool is_acked_already(const struct kl_event *e)
{
	return (e->note & KL_NOTE_ACKED) && !kl_seq_before(e->acked, e->seq + e->payload_len);
}

/* Is a number left out just before this segment, by a sender that spoke unasked? */
static bool leaves_out(const struct kl_flow_story *f, const struct kl_event *e)
{
	return kl_is_numbered(f, e->steps) && (e->note & KL_NOTE_QUIET) &&
	       !(e->note & KL_NOTE_HOLE) && e->step && e->step <= STEP_MAX;
}

/*
 * Of a sender whose SYN does not say that it numbers each connection by itself: is a number left
 * out only before what comes late? Others that count along would do so before any.
 */
static bool tells_by_lateness(const struct kl_flow_story *f)
{
	return f->quiet_whole >= WHOLE_ENOUGH && f->late_odd >= LATE_ENOUGH &&
	       f->quiet_odd * 4 <= f->late_odd;
}

bool kl_loss_is_numbered(const struct kl_node *n, const struct kl_event *e)
{
	return e->steps >= STEPS_ENOUGH && leaves_out(&n->flow[e->direction & 1], e) &&
	       e->own_numbers;
}

/* Bytes behind it came by before it, and not by reordering. */
static bool comes_behind(const struct kl_flow_story *f, const struct kl_event *e)
{
	return (e->note & KL_NOTE_BEHIND) && f->hole_ns && e->time_ns > f->hole_ns + REORDER_NS;
}

/* By the numbering. Returns how many copies are missing; *ret_sure: the numbering decides. */
static unsigned missing_by_number(struct kl_node *n, const struct kl_event *e,
				  const struct kl_schedule_seen *seen, bool *ret_sure)
{
	struct kl_flow_story *f = &n->flow[KL_TO_CUCM];
	uint64_t slack_us = kl_schedule_slack_us(&n->session.schedule);
	bool knows_time = !seen->first && slack_us && !seen->new_period;

	*ret_sure = kl_is_numbered(f, e->steps) && (f->quiet_whole || e->own_numbers);
	if (!(e->note & KL_NOTE_QUIET) || (e->note & KL_NOTE_HOLE))
		return 0;
	if (!e->step && e->steps >= STEPS_ENOUGH) {
		f->quiet_whole += f->quiet_whole < UINT16_MAX;
		return 0;
	}
	if (e->own_numbers)
		return leaves_out(f, e) ? e->step : 0;
	/* Perhaps others count along, on time and late alike. Then this is no loss. */
	*ret_sure = false;
	if (seen->first)
		return 0;
	if (knows_time && seen->late && e->step && e->step <= STEP_MAX)
		f->late_odd += f->late_odd < UINT16_MAX;
	else
		f->quiet_odd += f->quiet_odd < UINT16_MAX;
	return knows_time && seen->late && leaves_out(f, e) && tells_by_lateness(f) ? e->step : 0;
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
	tell_unseen(s, n, &story, missing);
}

static void push_late(struct kl_node *n, const struct kl_event *e, uint64_t late_us)
{
	for (int i = KL_LATE_KEPT - 1; i > 0; i--)
		n->late[i] = n->late[i - 1];
	n->late[0] = (struct kl_late){
		.time_ns = e->time_ns, .late_us = late_us, .seq = e->seq, .len = e->payload_len
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
		tell_unseen(s, n, &story, 1);
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

/* A keepalive of a sender whose numbering does not tell. */
static void judge_by_time(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			  const struct kl_schedule_seen *seen)
{
	struct kl_late *before = &n->late[0];

	/* The old schedule goes on after a silence: it was no change of period. */
	if (before->late_us && !before->told && !seen->late && !seen->new_period &&
	    before->silent) {
		struct kl_story story = unseen(n, e, before->late_us * KL_NS_PER_US);

		before->told = true;
		story.time_ns = before->time_ns - before->late_us * KL_NS_PER_US;
		story.seq = before->seq;
		story.length = before->len;
		snprintf(
			story.text, sizeof(story.text),
			"nothing came for %.1f s longer than its period of %.1f s, on a connection "
			"that lived on; then the old schedule went on",
			ms(before->late_us) / 1000, ms(n->session.schedule.period_us) / 1000);
		tell_unseen(s, n, &story, 1);
	}
	push_late(n, e, seen->late ? seen->late_us : 0);
	n->late[0].silent = seen->periods_silent > 0;
	if (!seen->late)
		return;
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
		tell_unseen(s, n, &story, 1);
	}
}

static void keepalive_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
				 const struct kl_schedule_seen *seen)
{
	struct kl_flow_story *f = &n->flow[KL_TO_CUCM];
	bool sure;
	unsigned missing = missing_by_number(n, e, seen, &sure);

	if (is_acked_already(e))
		return; /* it took another way */
	if (missing) {
		push_late(n, e, seen->late_us);
		n->late[0].told = true;
		tell_numbered(s, n, e, seen->late_us, missing);
	} else if (comes_behind(f, e)) {
		struct kl_story story = unseen(n, e, seen->late_us * KL_NS_PER_US);

		snprintf(story.text, sizeof(story.text),
			 "what its sender sent after it was seen %.0f ms before it",
			 ms((e->time_ns - f->hole_ns) / KL_NS_PER_US));
		tell_unseen(s, n, &story, 1);
	} else if (!sure) {
		judge_by_time(s, n, e, seen);
	}
}

/* An answer, or what else the join follows. */
static void other_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	const struct kl_answers *answers = &n->session.answers;
	uint64_t took_us = n->answer_due_ns ? kl_since(e->time_ns, n->answer_due_ns) / KL_NS_PER_US
					    : 0;
	bool slow = took_us * KL_NS_PER_US >= TIMEOUT_MIN_NS && took_us > 3ULL * answers->max_us;
	struct kl_story story = unseen(n, e, 0);

	if (is_acked_already(e) || !kl_kind_is_answer(e->kind))
		return;
	if (comes_behind(f, e)) {
		snprintf(story.text, sizeof(story.text),
			 "what its sender sent after it was seen %.0f ms before it",
			 ms((e->time_ns - f->hole_ns) / KL_NS_PER_US));
		tell_unseen(s, n, &story, 1);
		return;
	}
	if (e->kind == KL_TCP_PROBE_ACK || !n->answer_due_ns || (e->note & KL_NOTE_HOLE))
		return;
	if (!slow) {
		/* Answers on time show how their sender numbers. */
		if (e->step)
			f->quiet_odd += f->quiet_odd < UINT16_MAX;
		else
			f->quiet_whole += f->quiet_whole < UINT16_MAX;
		return;
	}
	if (e->step && e->step <= STEP_MAX && kl_is_numbered(f, e->steps) &&
	    f->quiet_whole >= WHOLE_ENOUGH && answers->count >= ANSWERS_ENOUGH) {
		snprintf(story.text, sizeof(story.text),
			 "came after %.0f ms, where no answer took more than %.0f ms; its sender "
			 "left out %u packet%s just before it",
			 ms(took_us), ms(answers->max_us), e->step, e->step == 1 ? "" : "s");
		tell_unseen(s, n, &story, e->step);
	}
}

void kl_loss_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			const struct kl_schedule_seen *seen)
{
	if (seen)
		keepalive_first_copy(s, n, e, seen);
	else
		other_first_copy(s, n, e);
}

/* ---- Further copies ---- */

static void judge(struct kl_sessions *s, struct kl_node *n, __u32 direction);

static void start_episode(struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_episode *ep = &f->episode;
	bool knows_first = f->last.time_ns && f->last.seq == e->seq &&
			   f->last.len == e->payload_len;

	*ep = (struct kl_episode){
		.seq = e->seq,
		.len = e->payload_len,
		.kind = e->kind,
		.copies = e->copy ? e->copy - 1 : 1,
		.peer_missed = e->peer_missed,
	};
	if (knows_first) {
		ep->first_ns = f->last.time_ns;
		ep->peer_missed = f->last.peer_missed;
	} else {
		ep->first_ns = e->time_ns - e->gap_ns;
		ep->undecided = true;
	}
	ep->copy_ns[0] = ep->last_ns = ep->first_ns;
	ep->usual_us = n->session.answers.max_us;
	ep->usual_count = n->session.answers.count;
}

/* What is to be said of a retransmission, beside its numbers. */
static void remark(const struct kl_node *n, const struct kl_event *e, struct kl_story *story)
{
	if (is_acked_already(e)) {
		snprintf(story->text, sizeof(story->text),
			 "it had been acknowledged: the acknowledgement was lost on its way back, "
			 "or came after the timeout");
	} else if (e->direction == KL_TO_CUCM && e->copy == 2 && outlived(n, e->gap_ns)) {
		remark_outlived(story, e->gap_ns);
	}
}

static void tell_retransmission(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_story story = kl_story_of(n, KL_STORY_RETRANSMISSION, e->time_ns);

	story.direction = e->direction;
	story.kind = e->kind;
	story.seq = e->seq;
	story.length = e->payload_len;
	story.gap_ns = e->gap_ns;
	story.copy = e->copy;
	if (e->gap_ns >= TIMEOUT_MIN_NS && !e->step)
		story.rto_ns = e->gap_ns;
	remark(n, e, &story);
	kl_tell(s, &story);
}

/* Copies between two that were seen. */
static void tell_between_copies(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_story story = unseen(n, e, 0);

	story.time_ns = e->time_ns - e->gap_ns / 2;
	story.copies[e->direction & 1] = e->copy;
	snprintf(story.text, sizeof(story.text),
		 "its sender left out %u packet%s between this copy and the one before, and had "
		 "nothing else to say",
		 e->step, e->step == 1 ? "" : "s");
	tell_losses(s, n, &story, e->step);
}

void kl_loss_further_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_episode *ep = &f->episode;

	n->session.retransmissions[e->direction & 1]++;
	tell_retransmission(s, n, e);
	if (e->gap_ns >= TIMEOUT_MIN_NS && !e->step) {
		f->rto_ns = e->gap_ns;
		if (e->direction == KL_TO_CUCM)
			n->clean_sample = false;
	}
	if (ep->copies && (ep->seq != e->seq || ep->len != e->payload_len))
		judge(s, n, e->direction);
	if (!ep->copies)
		start_episode(n, e);
	if (ep->copies < KL_EPISODE_TIMES)
		ep->copy_ns[ep->copies] = e->time_ns;
	ep->copies++;
	ep->last_ns = e->time_ns;
	ep->acked_before |= is_acked_already(e);
	ep->crossed = s->config.two_sided ? e->crossed : e->copy - 1;
	ep->undecided |= s->config.two_sided && !(e->note & KL_NOTE_CROSSED);
	if (leaves_out(f, e) && e->gap_ns >= TIMEOUT_MIN_NS && f->quiet_whole >= WHOLE_ENOUGH)
		tell_between_copies(s, n, e);
}

/* ---- Beyond the far side ---- */

void kl_loss_acked(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_episode *ep = &n->flow[(e->direction & 1) ^ 1].episode;
	const struct kl_flow_story *receiver = &n->flow[e->direction & 1];
	uint64_t wait_ns = s->config.deadline_ns + SETTLE_NS;

	if (!ep->copies || ep->settle_ns || e->joined_end != ep->seq + ep->len)
		return;
	if (wait_ns < ep->last_ns - ep->first_ns)
		wait_ns = ep->last_ns - ep->first_ns;
	ep->settle_ns = e->time_ns + wait_ns;
	ep->sack = e->note & KL_NOTE_SACK;
	ep->numbered = kl_is_numbered(receiver, e->steps) && receiver->quiet_whole;
	ep->missed_acks = e->missed != ep->peer_missed;
}

void kl_loss_duplicate(struct kl_node *n, const struct kl_event *e)
{
	struct kl_episode *ep = &n->flow[(e->direction & 1) ^ 1].episode;

	if (ep->copies && ep->duplicates < UINT16_MAX)
		ep->duplicates++;
}

/* Does the evidence say that copies were lost, and not their acknowledgements? */
static const char *evidence_of_loss(const struct kl_node *n, const struct kl_episode *ep,
				    __u32 direction)
{
	uint64_t gap_ns = ep->copy_ns[1] > ep->first_ns ? ep->copy_ns[1] - ep->first_ns : 0;

	if (ep->numbered && !ep->missed_acks && (ep->sack || gap_ns >= DELAYED_ACK_NS))
		return "the receiver left out no packet of its own meanwhile, so no "
		       "acknowledgement "
		       "was lost, and it reported no duplicate";
	if (direction == KL_TO_CUCM && n->session.role == KL_ROLE_PRIMARY && !ep->missed_acks &&
	    ep->usual_count >= ANSWERS_ENOUGH &&
	    gap_ns / KL_NS_PER_US > 2ULL * ep->usual_us + 50000)
		return "the server, which answers much sooner, neither acknowledged nor answered "
		       "it "
		       "before it was sent again";
	return NULL;
}

static void tell_crossed(struct kl_sessions *s, struct kl_node *n, __u32 direction, unsigned lost,
			 unsigned crossed, enum kl_where where, const char *why)
{
	const struct kl_episode *ep = &n->flow[direction & 1].episode;
	struct kl_story story = kl_story_of(n, KL_STORY_LOSS, 0);

	story.direction = direction;
	story.kind = ep->kind;
	story.seq = ep->seq;
	story.length = ep->len;
	story.where = where;
	story.copies[direction & 1] = ep->copies;
	story.copies[(direction & 1) ^ 1] = s->config.two_sided ? crossed : 0;
	snprintf(story.text, sizeof(story.text), "crossed here %u time%s; %s", crossed,
		 crossed == 1 ? "" : "s", why);
	for (unsigned i = 0; i < lost; i++) {
		story.time_ns = i < KL_EPISODE_TIMES && ep->copy_ns[i] ? ep->copy_ns[i]
								       : ep->last_ns;
		tell_losses(s, n, &story, 1);
	}
}

/* Decides on the episode with what there is, and ends it. */
static void judge(struct kl_sessions *s, struct kl_node *n, __u32 direction)
{
	struct kl_episode *ep = &n->flow[direction & 1].episode;
	/* Of the last copy it is known only whether it was lost between. */
	bool last_crossed = ep->between <= ep->copies - 1 - ep->crossed;
	int crossed = ep->crossed + last_crossed;
	int lost = crossed - 1 - ep->duplicates;
	const char *why;

	if (ep->undecided || !kl_kind_is_joined(ep->kind) || crossed < 2) {
		ep->copies = 0;
		return;
	}
	if (ep->acked_before || lost <= 0 || ep->hole || (ep->missed_acks && ep->numbered)) {
		n->session.acks_lost++;
		ep->copies = 0;
		return;
	}
	why = evidence_of_loss(n, ep, direction);
	if (ep->settle_ns && why)
		tell_crossed(s, n, direction, (unsigned)lost, (unsigned)crossed,
			     far_side(direction), why);
	else
		tell_crossed(s, n, direction, (unsigned)lost, (unsigned)crossed, KL_WHERE_UNKNOWN,
			     ep->settle_ns ? "it or its acknowledgement was lost on the far side"
					   : "nothing came back: it, its acknowledgement or its "
					     "receiver was lost");
	ep->copies = 0;
}

void kl_loss_settle(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		struct kl_episode *ep = &n->flow[d].episode;

		if (!ep->copies || !ep->settle_ns || ep->settle_ns > now_ns)
			continue;
		judge(s, n, d);
		ep->settle_ns = 0;
	}
}

void kl_loss_end(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	(void)now_ns;
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		if (n->flow[d].episode.copies)
			judge(s, n, d);
		n->flow[d].episode.settle_ns = 0;
	}
}

void kl_sessions_lost_between(struct kl_sessions *s, uint64_t id, __u32 direction, uint32_t seq,
			      uint32_t len, unsigned copies, bool surely)
{
	struct kl_episode *ep;
	struct kl_node *n;

	HASH_FIND(hh, s->nodes, &id, sizeof(id), n);
	if (!n)
		return;
	if (surely)
		n->session.lost[direction & 1][KL_BETWEEN] += copies;
	ep = &n->flow[direction & 1].episode;
	if (!ep->copies || ep->seq != seq || ep->len != len)
		return;
	if (surely)
		ep->between = (uint16_t)(ep->between + copies);
	else
		ep->undecided = true;
}
