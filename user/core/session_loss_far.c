// SPDX-License-Identifier: GPL-2.0-only
/*
 * Losses beyond the far side, inferred: a copy crossed, and was sent again. Either it was lost or
 * what acknowledged it. Of the copies that arrived each made its receiver send something: the first
 * one an acknowledgement, each further one the report of a duplicate (RFC 2883). Where the receiver
 * numbers its packets one by one, those that were sent and not seen here are known in number, too.
 * So it is known how many copies can have arrived at most, and the others were lost. Where it does
 * not, time tells in one case (see answered_at_once()); else `where` is not known.
 */
#include <stdio.h>

#include "core/session_state.h"

/* A receiver may hold back an acknowledgement for up to this, where it reports no duplicates (RFC
 * 9293: 500 ms; in use: 200). */
#define DELAYED_ACK_NS (300 * KL_NS_PER_MS)
/* Copies further apart are acknowledged one by one. */
#define APART_NS (190 * KL_NS_PER_MS)
/* Beyond the deadline: what the sweep finds has been told by then. */
#define SETTLE_NS (750 * KL_NS_PER_MS)

enum {
	ANSWERS_ENOUGH = 4,
};

bool kl_loss_is_doubted(const struct kl_sessions *s, const struct kl_node *n,
			const struct kl_story *story)
{
	if (s->config.mirrored && story->where == kl_where_before(story->direction))
		return true;
	return n->gap_ns || (s->config.doubts && s->config.doubts(story, s->config.arg));
}

void kl_loss_tell(struct kl_sessions *s, struct kl_node *n, struct kl_story *story, unsigned count)
{
	__u32 d = story->direction & 1;

	if (kl_loss_is_doubted(s, n, story))
		return;
	n->session.lost[d][story->where] += count;
	if (story->time_ns > n->session.lost_ns)
		n->session.lost_ns = story->time_ns;
	s->inferred[d][story->where] += count;
	for (unsigned i = 0; i < count; i++)
		kl_tell(s, story);
}

/* ---- Further copies ---- */

static void judge(struct kl_sessions *s, struct kl_node *n, __u32 direction, struct kl_episode *ep);

static const struct kl_last *first_copy(const struct kl_flow_story *f, const struct kl_event *e)
{
	const struct kl_last *both[] = { &f->last, &f->before };

	for (int i = 0; i < 2; i++) {
		if (both[i]->time_ns && both[i]->seq == e->seq && both[i]->len == e->payload_len)
			return both[i];
	}
	return NULL;
}

/* A place for another one: a free one, else the one that rests longest is decided now. */
static struct kl_episode *start_episode(struct kl_sessions *s, struct kl_node *n,
					const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	const struct kl_last *first = first_copy(f, e);
	struct kl_episode *ep = &f->episode[0];

	for (int i = 1; i < KL_EPISODES && ep->copies; i++) {
		if (!f->episode[i].copies || f->episode[i].last_ns < ep->last_ns)
			ep = &f->episode[i];
	}
	if (ep->copies)
		judge(s, n, e->direction, ep);
	*ep = (struct kl_episode){
		.seq = e->seq,
		.len = e->payload_len,
		.kind = e->kind,
		.copies = e->copy ? e->copy - 1 : 1,
		.first_ns = first ? first->time_ns : e->time_ns - e->gap_ns,
		.peer_missed = first ? first->peer_missed : e->peer_missed,
		.undecided = !first,
		.usual_us = kl_answers_quantile(&n->session.answers, 0.75),
		.usual_count = n->session.answers.count,
	};
	ep->copy_ns[0] = ep->last_ns = ep->first_ns;
	if (first)
		ep->heard[0] = first->heard;
	return ep;
}

/* What is to be said of a retransmission, beside its numbers. */
static void remark(const struct kl_node *n, const struct kl_event *e, struct kl_story *story)
{
	if (kl_is_acked_already(e)) {
		snprintf(story->text, sizeof(story->text),
			 "it had been acknowledged: the acknowledgement was lost on its way back, "
			 "or came after the timeout");
	} else if (e->direction == KL_TO_CUCM && e->copy == 2 && kl_loss_outlived(n, e->gap_ns)) {
		kl_loss_remark_outlived(story, e->gap_ns);
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
	if (e->gap_ns >= KL_TIMEOUT_MIN_NS && !e->step)
		story.rto_ns = e->gap_ns;
	kl_idle_tell(&story, &n->heard);
	remark(n, e, &story);
	kl_tell(s, &story);
}

static void add_copy(const struct kl_sessions *s, const struct kl_node *n, struct kl_episode *ep,
		     const struct kl_event *e)
{
	if (ep->acked_after)
		return;
	ep->crossed = s->config.two_sided ? e->crossed : e->copy - 1;
	ep->undecided |= s->config.two_sided && !(e->note & KL_NOTE_CROSSED);
	/* All that crossed before the acknowledgement is known; what follows is about that one. */
	if (ep->acked_ns) {
		ep->acked_after = true;
		return;
	}
	if (ep->copies < KL_EPISODE_TIMES) {
		ep->copy_ns[ep->copies] = e->time_ns;
		ep->heard[ep->copies] = n->heard;
	}
	ep->copies++;
	ep->last_ns = e->time_ns;
	ep->acked_before |= kl_is_acked_already(e);
}

/*
 * Sooner than any timeout, and without an IP ID that tells the two apart: as likely the same packet
 * once more, delayed behind a bond or a mirror port. From that nothing follows.
 */
static bool may_be_duplicate(const struct kl_event *e)
{
	return !e->id && e->gap_ns && e->gap_ns < KL_TIMEOUT_MIN_NS;
}

void kl_loss_further_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_episode *ep = kl_episode_of(f, e->seq, e->payload_len);

	n->session.retransmissions[e->direction & 1]++;
	f->again_ns = e->time_ns;
	tell_retransmission(s, n, e);
	if (!ep && may_be_duplicate(e))
		return;
	if (!ep)
		ep = start_episode(s, n, e);
	add_copy(s, n, ep, e);
	kl_loss_between_copies(s, n, e);
}

/* ---- What the receiver says ---- */

static void hear(const struct kl_sessions *s, const struct kl_flow_story *receiver,
		 struct kl_episode *ep, const struct kl_event *e)
{
	uint64_t wait_ns = s->config.deadline_ns + SETTLE_NS;
	uint16_t missed = (uint16_t)(e->missed - ep->peer_missed);

	if (ep->acked_after)
		return;
	ep->hole |= (e->note & KL_NOTE_HOLE) != 0;
	ep->missed = missed < UINT8_MAX ? (uint8_t)missed : UINT8_MAX;
	if ((e->note & KL_NOTE_DUPLICATE) && ep->duplicates < UINT16_MAX)
		ep->duplicates++;
	if (ep->acked_ns || !(e->tcp_flags & KL_ACK) || kl_seq_before(e->ack, ep->seq + ep->len))
		return;
	if (wait_ns < ep->last_ns - ep->first_ns)
		wait_ns = ep->last_ns - ep->first_ns;
	ep->acked_ns = e->time_ns;
	ep->settle_ns = e->time_ns + wait_ns;
	ep->sack = e->note & KL_NOTE_SACK;
	ep->numbered = kl_is_numbered(receiver, e->steps) &&
		       (e->own_numbers || receiver->quiet_whole);
}

void kl_loss_heard(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *sender = &n->flow[(e->direction & 1) ^ 1];

	for (int i = 0; i < KL_EPISODES; i++) {
		if (sender->episode[i].copies)
			hear(s, &n->flow[e->direction & 1], &sender->episode[i], e);
	}
}

/* ---- The verdict ---- */

/* All copies came so far apart that each one that arrived was acknowledged for itself. */
static bool are_apart(const struct kl_episode *ep)
{
	for (int i = 1; i < ep->copies && i < KL_EPISODE_TIMES; i++) {
		if (ep->copy_ns[i] < ep->copy_ns[i - 1] + APART_NS)
			return false;
	}
	return true;
}

/*
 * How many copies can have arrived, at the most? One, and each that was reported as a duplicate;
 * and what the receiver sent without being seen here may have been such reports. But if a second
 * one arrived though the sender waited for its timeout, then the first acknowledgement is among
 * those.
 */
static int arrived(const struct kl_episode *ep)
{
	int unseen = ep->missed;

	if (unseen && are_apart(ep))
		unseen--;
	return 1 + ep->duplicates + unseen;
}

/*
 * The server did not answer a copy, and then, as soon as usual, the one that was sent again. (Had
 * the first one arrived and its answer been lost, the answer would come when the server's own
 * timeout runs out, and a duplicate would be reported.)
 */
static bool answered_at_once(const struct kl_node *n, const struct kl_episode *ep, __u32 direction)
{
	uint64_t gap_us = (ep->copy_ns[1] - ep->first_ns) / KL_NS_PER_US;
	uint64_t took_us = kl_since(ep->acked_ns, ep->last_ns) / KL_NS_PER_US;

	return direction == KL_TO_CUCM && n->session.role == KL_ROLE_PRIMARY && ep->sack &&
	       ep->usual_count >= ANSWERS_ENOUGH && gap_us > 4ULL * ep->usual_us + 50000 &&
	       took_us <= 2ULL * ep->usual_us;
}

/* Does the evidence say that copies were lost, and not their acknowledgements? */
static const char *evidence_of_loss(const struct kl_node *n, const struct kl_episode *ep,
				    __u32 direction)
{
	uint64_t gap_ns = ep->copy_ns[1] > ep->first_ns ? ep->copy_ns[1] - ep->first_ns : 0;

	if (!ep->settle_ns)
		return NULL;
	if (ep->numbered && (ep->sack || gap_ns >= DELAYED_ACK_NS))
		return ep->missed ? "the receiver left out fewer packets of its own meanwhile than "
				    "it would have sent, had all arrived"
				  : "the receiver left out no packet of its own meanwhile, so no "
				    "acknowledgement was lost, and it reported no duplicate";
	if (!ep->numbered && answered_at_once(n, ep, direction))
		return "the server, which answers much sooner, neither acknowledged nor answered "
		       "it before it was sent again, and then did at once";
	return NULL;
}

static void tell_crossed(struct kl_sessions *s, struct kl_node *n, __u32 direction,
			 const struct kl_episode *ep, unsigned lost, unsigned crossed,
			 const char *why)
{
	struct kl_story story = kl_story_of(n, KL_STORY_LOSS, 0);

	story.direction = direction;
	story.kind = ep->kind;
	story.seq = ep->seq;
	story.length = ep->len;
	story.where = why ? kl_where_behind(direction) : KL_WHERE_UNKNOWN;
	story.copies[direction & 1] = ep->copies;
	story.copies[(direction & 1) ^ 1] = s->config.two_sided ? crossed : 0;
	if (!why)
		why = ep->settle_ns ? "it or its acknowledgement was lost on the far side"
				    : "nothing came back: it, its acknowledgement or its "
				      "receiver was lost";
	snprintf(story.text, sizeof(story.text), "crossed here %u time%s; %s", crossed,
		 crossed == 1 ? "" : "s", why);
	for (unsigned i = 0; i < lost; i++) {
		bool is_kept = i < KL_EPISODE_TIMES && ep->copy_ns[i];

		story.time_ns = is_kept ? ep->copy_ns[i] : ep->last_ns;
		kl_idle_tell(&story, is_kept ? &ep->heard[i] : &(struct kl_heard){});
		kl_loss_tell(s, n, &story, 1);
	}
}

/* Of those before the acknowledgement. Of the last copy it is known only whether it was lost
 * between, unless another one followed. */
static int crossed_of(const struct kl_episode *ep)
{
	if (ep->acked_after)
		return ep->crossed;
	return ep->crossed + (ep->between <= ep->copies - 1 - ep->crossed);
}

/* Decides on the episode with what there is, and ends it. */
static void judge(struct kl_sessions *s, struct kl_node *n, __u32 direction, struct kl_episode *ep)
{
	int crossed = crossed_of(ep), lost = crossed - 1 - ep->duplicates;
	const char *why = evidence_of_loss(n, ep, direction);
	struct kl_episode was = *ep;

	*ep = (struct kl_episode){};
	if (was.undecided || !kl_kind_is_joined(was.kind) || crossed < 2)
		return;
	if (was.numbered && lost > crossed - arrived(&was))
		lost = crossed - arrived(&was);
	if (was.acked_before || lost <= 0 || (was.hole && !was.numbered)) {
		n->session.acks_lost++;
		return;
	}
	tell_crossed(s, n, direction, &was, (unsigned)lost, (unsigned)crossed, why);
}

void kl_loss_settle(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	for (__u32 i = 0; i < KL_DIRECTIONS * KL_EPISODES; i++) {
		struct kl_episode *ep = &n->flow[i / KL_EPISODES].episode[i % KL_EPISODES];

		if (ep->copies && ep->settle_ns && ep->settle_ns <= now_ns)
			judge(s, n, i / KL_EPISODES, ep);
	}
}

uint64_t kl_loss_wake_ns(const struct kl_node *n)
{
	uint64_t wake_ns = 0;

	for (__u32 i = 0; i < KL_DIRECTIONS * KL_EPISODES; i++) {
		const struct kl_episode *ep = &n->flow[i / KL_EPISODES].episode[i % KL_EPISODES];

		if (ep->copies && ep->settle_ns && (!wake_ns || ep->settle_ns < wake_ns))
			wake_ns = ep->settle_ns;
	}
	return wake_ns;
}

void kl_loss_end(struct kl_sessions *s, struct kl_node *n)
{
	for (__u32 i = 0; i < KL_DIRECTIONS * KL_EPISODES; i++) {
		struct kl_episode *ep = &n->flow[i / KL_EPISODES].episode[i % KL_EPISODES];

		if (ep->copies)
			judge(s, n, i / KL_EPISODES, ep);
	}
}

void kl_sessions_lost_between(struct kl_sessions *s, uint64_t id, __u32 direction, uint32_t seq,
			      uint32_t len, unsigned copies, bool surely)
{
	struct kl_episode *ep;
	struct kl_node *n;

	n = kl_sessions_wake(s, kl_table_find(s->table, id));
	if (!n)
		return;
	if (surely) {
		n->session.lost[direction & 1][KL_BETWEEN] += copies;
		n->session.lost_ns = n->session.seen_ns;
	}
	ep = kl_episode_of(&n->flow[direction & 1], seq, len);
	if (!ep)
		return;
	if (surely)
		ep->between = (uint16_t)(ep->between + copies);
	else
		ep->undecided = true;
}
