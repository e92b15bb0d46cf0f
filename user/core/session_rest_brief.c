// SPDX-License-Identifier: GPL-2.0-only
#include "core/session_rest_brief.h"

#include <endian.h>

/* Also of a byte that is no bool. */
static uint8_t flag(const bool *b)
{
	return *(const uint8_t *)b & 1;
}

/* ---- A name that is made of a MAC address: "SEP" and its digits, eight at once ---- */

/* Whatever they are made of: of others it makes no sense, and no harm. */
static uint32_t read_digits(const char *digits)
{
	uint64_t all;

	memcpy(&all, digits, sizeof(all));
	all = le64toh(all);
	all = (all & KL_BRIEF_EACH(15)) + (all >> 6 & KL_BRIEF_EACH(1)) * 9;
	all = (all << 4 | all >> 8) & 0x00ff00ff00ff00ff;
	all = (all | all >> 8) & 0x0000ffff0000ffff;
	return htole32((uint32_t)(all | all >> 16));
}

static void put_name(const struct kl_session *s, struct kl_brief *ret)
{
	uint32_t first = read_digits(s->device + 3), last = read_digits(s->device + 7);

	memcpy(ret->more, &first, sizeof(first));
	memcpy(ret->more + KL_BRIEF_NAME - sizeof(last), &last, sizeof(last));
	ret->named = s->device[0] != 0;
	ret->named_else = ret->named && memcmp(ret->more, ret->mac, sizeof(ret->mac)) != 0;
}

/* ---- What not all have ---- */

static void put_lates(const struct kl_node *n, struct kl_brief *ret)
{
	uint8_t *at = ret->more + kl_brief_lates_at(ret);

	for (uint32_t i = 1; i <= KL_BRIEF_LATES; i++) {
		uint16_t rest_ns = (uint16_t)(n->late[i].time_ns - n->late[i + 1].time_ns -
					      kl_brief_interval_ns(&n->session.schedule, i));

		memcpy(at, &rest_ns, sizeof(rest_ns));
		at += sizeof(rest_ns);
	}
}

static uint16_t silence_ms(uint64_t time_ns, struct kl_heard heard)
{
	return (uint16_t)((time_ns - heard.time_ns) / KL_NS_PER_MS);
}

static void put_episodes(const struct kl_node *n, struct kl_brief *ret)
{
	uint8_t *at = ret->more + kl_brief_episodes_at(ret);

	for (unsigned left = kl_brief_episodes(ret); left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		const struct kl_episode *e = &n->flow[i / KL_EPISODES].episode[i % KL_EPISODES];
		struct kl_brief_episode brief = {
			.age_ns = (ret->seen_ns - e->first_ns) & 0xffffffffffffff,
			.took_ns = (uint32_t)(e->last_ns - e->first_ns),
			.seq = e->seq,
			.idle_ms = { silence_ms(e->copy_ns[0], e->heard[0]),
				     silence_ms(e->copy_ns[1], e->heard[1]) },
		};

		memcpy(at, &brief, sizeof(brief));
		at += sizeof(brief);
	}
}

static void put_intervals(const struct kl_schedule *q, struct kl_brief *ret)
{
	uint8_t *at = ret->more + kl_brief_intervals_at(ret);

	for (int i = 0; i < KL_SCHEDULE_INTERVALS; i++) {
		uint32_t off = htole32(q->recent_us[i] - ret->usual_us);

		memcpy(at, &off, sizeof(off));
		at += KL_BRIEF_INTERVAL;
	}
}

/* ---- What all have ---- */

static void brief_way(const struct kl_flow_story *f, struct kl_brief_way *ret)
{
	unsigned recent = 0;

	for (int i = 0; i < KL_RECENT; i++) {
		ret->idle_ms[i] = (uint16_t)f->recent[i].idle_ms[0];
		recent += f->recent[i].copy != 0;
	}
	ret->seq = f->last.seq;
	ret->len = (uint16_t)f->last.len;
	ret->missed = f->last.missed;
	ret->quiet_whole = f->quiet_whole;
	ret->recent = recent & 7;
	ret->timed = f->last.time_ns != 0;
	ret->known = f->last.heard.known & 3;
	ret->known_before = f->before.heard.known & 3;
}

static uint8_t again_of(const struct kl_flow_story *f)
{
	uint8_t ret = 0;

	for (int i = 0; i < KL_EPISODES; i++)
		ret |= (uint8_t)((f->episode[i].copies != 0) << i);
	return ret & 3;
}

static void brief_session(const struct kl_session *s, struct kl_brief *ret)
{
	memcpy(ret->next_mac, s->next_mac, sizeof(ret->next_mac));
	ret->vlan = s->vlan;
	memcpy(ret->mac, s->mac, sizeof(ret->mac));
	ret->phone = s->ends.phone[0];
	ret->cucm = s->ends.cucm[0];
	ret->phone_port = s->ends.phone_port;
	ret->cucm_port = s->ends.cucm_port;
	ret->seen_ns = s->seen_ns;
	ret->age_ns = (s->seen_ns - s->start_ns) & 0xffffffffffffff;
	ret->registered_ns = (uint32_t)(s->registered_ns ? s->registered_ns - s->start_ns : 0);
	ret->keepalives = s->keepalives & 0xffffff;
	ret->unanswered = (s->keepalives - s->answered) & 0xff;
	ret->kind = s->kind & 15;
	ret->role = s->role & 3;
	ret->from_syn = flag(&s->from_syn);
}

static void brief_schedule(const struct kl_schedule *q, struct kl_brief *ret)
{
	uint64_t usual_us = q->source ? q->period_us : q->recent_us[0];

	ret->usual_us = (uint32_t)usual_us;
	ret->due_ns = (uint32_t)(q->due_ns - q->last_ns);
	if (q->source)
		ret->due_ns -= (uint32_t)(usual_us * KL_NS_PER_US);
	ret->told_s = q->told_us[0] / 1000000 & 0xfff;
	ret->told_second_s = q->told_us[1] / 1000000 & 0xff;
	ret->jitter_us = q->jitter_us & 0xffffff;
	ret->source = q->source & 3;
	ret->slips = (uint8_t)q->slips & 7;
	ret->measured = flag(&q->measured);
}

static void brief_answers(const struct kl_answers *a, struct kl_brief *ret)
{
	uint64_t mean;

	memcpy(&mean, &a->mean_us, sizeof(mean));
	ret->max_us = a->max_us & 0xffffff;
	ret->sum_us = (uint32_t)a->sum_us;
	ret->mean = (uint16_t)(mean - kl_brief_mean(ret));
}

static void brief_times(const struct kl_node *n, struct kl_brief *ret)
{
	const struct kl_session *s = &n->session;
	const struct kl_flow_story *asked = &n->flow[KL_TO_CUCM], *answer = &n->flow[KL_TO_PHONE];
	uint64_t last_ns = asked->last.time_ns, before_ns = asked->before.time_ns;
	/* Where nothing is answered, what is acknowledged tells that it came through. */
	uint64_t through_ns = answer->last.time_ns ? answer->last.time_ns : s->ok_ns;
	bool waits = n->answer_due_ns != 0;

	ret->asked_ns = (uint32_t)(s->seen_ns - last_ns);
	ret->took_ns[0] = (uint32_t)(through_ns - (waits ? before_ns : last_ns));
	ret->took_ns[1] = (uint32_t)(answer->before.time_ns - before_ns);
	ret->rest_ns = (last_ns - before_ns - kl_brief_interval_ns(&s->schedule, 0)) & 0x3ff;
	ret->phone_last = n->phone_ns == s->seen_ns;
	ret->waits = waits;
	ret->lates = n->late[0].time_ns && n->late[0].time_ns == last_ns;
}

void kl_brief_of(const struct kl_node *n, struct kl_brief *ret)
{
	const struct kl_session *s = &n->session;
	const struct kl_flow_story *asked = &n->flow[KL_TO_CUCM], *answer = &n->flow[KL_TO_PHONE];

	brief_session(s, ret);
	brief_way(asked, &ret->way[KL_TO_CUCM]);
	brief_way(answer, &ret->way[KL_TO_PHONE]);
	brief_times(n, ret);
	brief_schedule(&s->schedule, ret);
	brief_answers(&s->answers, ret);
	ret->asked_again = again_of(asked);
	ret->answered_again = again_of(answer);
	ret->asked_kind = asked->last.kind & 15;
	ret->answer_kind = answer->last.kind & 15;
	ret->acked = (flag(&asked->last.acked) | flag(&answer->last.acked) << 1) & 3;
	ret->got_through = flag(&asked->last.got_through);
	ret->clean_sample = flag(&n->clean_sample);
	put_name(s, ret);
	if (ret->lates)
		put_lates(n, ret);
	put_episodes(n, ret);
	put_intervals(&s->schedule, ret);
}
