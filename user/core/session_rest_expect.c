// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>

#include "core/session_rest_brief.h"

/* ---- Segments ---- */

static void expect_heard(uint64_t time_ns, uint32_t idle_ms, uint8_t known, struct kl_heard *ret)
{
	if (!known)
		return;
	ret->time_ns = time_ns - idle_ms * KL_NS_PER_MS;
	ret->known = known;
}

static void expect_last(const struct kl_brief_way *w, uint64_t time_ns, unsigned back,
			struct kl_last *ret)
{
	ret->time_ns = time_ns;
	ret->seq = w->seq - back * w->len;
	ret->len = w->len;
	ret->missed = w->missed;
	expect_heard(time_ns, w->idle_ms[back], back ? w->known_before : w->known, &ret->heard);
}

/* Each segment follows the one before. */
static void expect_segments(const struct kl_brief_way *w, uint64_t last_ns, uint64_t before_ns,
			    struct kl_flow_story *ret)
{
	uint32_t seq = w->seq;

	ret->quiet_whole = w->quiet_whole;
	for (unsigned i = 0; i < w->recent && i < KL_RECENT; i++, seq -= w->len) {
		ret->recent[i].seq = seq;
		ret->recent[i].len = w->len;
		ret->recent[i].copy = 1;
		ret->recent[i].known[0] = i ? w->known_before : w->known;
		ret->recent[i].idle_ms[0] = w->idle_ms[i];
	}
	if (w->recent > 0)
		expect_last(w, last_ns, 0, &ret->last);
	if (w->recent > 1)
		expect_last(w, before_ns, 1, &ret->before);
}

static void expect_kinds(const struct kl_brief *b, struct kl_flow_story *asked,
			 struct kl_flow_story *answer)
{
	uint16_t asked_missed = b->way[KL_TO_CUCM].missed, missed = b->way[KL_TO_PHONE].missed;

	asked->last.kind = b->asked_kind;
	asked->last.peer_missed = missed;
	asked->last.acked = b->acked & 1;
	asked->last.got_through = b->got_through;
	answer->last.kind = b->answer_kind;
	answer->last.peer_missed = asked_missed;
	answer->last.acked = b->acked >> 1;
	if (b->way[KL_TO_CUCM].recent > 1) {
		asked->before.kind = b->asked_kind;
		asked->before.peer_missed = missed;
		asked->before.acked = asked->before.got_through = true;
	}
	if (b->way[KL_TO_PHONE].recent > 1) {
		answer->before.kind = b->answer_kind;
		answer->before.peer_missed = asked_missed;
		answer->before.acked = true;
	}
}

/* ---- What not all have ---- */

static uint64_t digits_of(uint32_t bytes)
{
	uint64_t all = le32toh(bytes);

	all = (all | all << 16) & 0x0000ffff0000ffff;
	all = (all | all << 8) & 0x00ff00ff00ff00ff;
	all = (all >> 4 | all << 8) & KL_BRIEF_EACH(15);
	all += KL_BRIEF_EACH('0') +
	       ((all + KL_BRIEF_EACH(6)) >> 4 & KL_BRIEF_EACH(1)) * ('A' - '9' - 1);
	return htole64(all);
}

static void expect_name(const struct kl_brief *b, char *ret)
{
	static const char prefix[3] = { 'S', 'E', 'P' };
	const uint8_t *mac = b->named_else ? b->more : b->mac;
	uint32_t first, last;
	uint64_t digits;

	if (!b->named)
		return;
	memcpy(&first, mac, sizeof(first));
	memcpy(&last, mac + KL_BRIEF_NAME - sizeof(last), sizeof(last));
	memcpy(ret, prefix, sizeof(prefix));
	digits = digits_of(first);
	memcpy(ret + 3, &digits, sizeof(digits));
	digits = digits_of(last);
	memcpy(ret + 7, &digits, sizeof(digits));
}

static uint64_t late_rest_ns(const struct kl_brief *b, uint32_t i)
{
	uint16_t ret;

	memcpy(&ret, b->more + kl_brief_lates_at(b) + i * sizeof(ret), sizeof(ret));
	return ret;
}

_Static_assert(KL_LATE_KEPT <= KL_RECENT && KL_LATE_KEPT == KL_BRIEF_LATES + 2, "told by those");

/* Of a sender whose numbers do not tell, each keepalive may have been late. */
static void expect_lates(const struct kl_brief *b, struct kl_node *ret)
{
	const struct kl_brief_way *w = &b->way[KL_TO_CUCM];
	uint64_t time_ns = ret->session.schedule.last_ns;

	for (uint32_t i = 0; i < w->recent && i < KL_LATE_KEPT; i++) {
		struct kl_late *late = &ret->late[i];

		late->time_ns = time_ns;
		late->seq = w->seq - i * w->len;
		late->len = w->len;
		expect_heard(time_ns, w->idle_ms[i], i ? w->known_before : w->known, &late->heard);
		if (i <= KL_BRIEF_LATES)
			time_ns -= kl_brief_interval_ns(&ret->session.schedule, i) +
				   (i ? late_rest_ns(b, i - 1) : b->rest_ns);
	}
}

/* As if there had been two copies. */
static void expect_episode(const struct kl_brief_way *w, uint8_t kind, uint64_t seen_ns,
			   const struct kl_brief_episode *b, struct kl_flow_story *f,
			   struct kl_episode *ret)
{
	ret->copy_ns[0] = ret->first_ns = seen_ns - b->age_ns;
	ret->copy_ns[1] = ret->last_ns = ret->first_ns + b->took_ns;
	for (int i = 0; i < 2; i++)
		expect_heard(ret->copy_ns[i], b->idle_ms[i], w->known, &ret->heard[i]);
	ret->seq = b->seq;
	ret->len = w->len;
	ret->copies = 2;
	ret->kind = kind;
	if (f->again_ns < ret->last_ns)
		f->again_ns = ret->last_ns;
}

static void expect_episodes(const struct kl_brief *b, struct kl_flow_story *ret)
{
	const uint8_t *at = b->more + kl_brief_episodes_at(b);

	for (unsigned left = kl_brief_episodes(b); left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left), direction = i / KL_EPISODES;
		struct kl_flow_story *f = &ret[direction];
		struct kl_brief_episode brief;

		memcpy(&brief, at, sizeof(brief));
		at += sizeof(brief);
		expect_episode(&b->way[direction], f->last.kind, b->seen_ns, &brief, f,
			       &f->episode[i % KL_EPISODES]);
	}
}

static void expect_intervals(const struct kl_brief *b, struct kl_schedule *ret)
{
	const uint8_t *at = b->more + kl_brief_intervals_at(b);
	uint32_t count = kl_brief_intervals(b);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t off;

		memcpy(&off, at, sizeof(off));
		at += KL_BRIEF_INTERVAL;
		ret->recent_us[i] = b->usual_us + (uint32_t)((int32_t)(le32toh(off) << 8) >> 8);
	}
}

/* ---- What all have ---- */

static void expect_schedule(const struct kl_brief *b, uint64_t last_ns, struct kl_schedule *ret)
{
	ret->last_ns = last_ns;
	ret->period_us = b->source ? b->usual_us : 0;
	ret->due_ns = last_ns + ret->period_us * KL_NS_PER_US + (uint64_t)(int32_t)b->due_ns;
	ret->jitter_us = b->jitter_us;
	ret->told_us[0] = b->told_s * 1000000U;
	ret->told_us[1] = b->told_second_s * 1000000U;
	expect_intervals(b, ret);
	ret->seen = kl_brief_seen(b);
	ret->source = b->source;
	ret->slips = (int8_t)((b->slips ^ 4) - 4);
	ret->measured = b->measured;
}

static bool is_refresh(uint8_t kind)
{
	return kind == KL_SIP_REGISTER || kind == KL_SIP_REGISTER_BACKUP;
}

static void expect_session(const struct kl_brief *b, struct kl_session *ret)
{
	uint32_t answered = b->keepalives - b->unanswered;
	uint64_t mean = kl_brief_mean(b) + (uint64_t)(int16_t)b->mean;

	ret->ends.phone[0] = b->phone;
	ret->ends.cucm[0] = b->cucm;
	ret->ends.phone_port = b->phone_port;
	ret->ends.cucm_port = b->cucm_port;
	ret->ends.family = 4;
	ret->start_ns = b->seen_ns - b->age_ns;
	ret->seen_ns = b->seen_ns;
	ret->registered_ns = b->registered_ns ? ret->start_ns + b->registered_ns : 0;
	ret->vlan = b->vlan;
	memcpy(ret->mac, b->mac, sizeof(ret->mac));
	memcpy(ret->next_mac, b->next_mac, sizeof(ret->next_mac));
	expect_name(b, ret->device);
	ret->from_syn = b->from_syn;
	ret->role = b->role;
	ret->kind = b->kind;
	ret->expires_s = is_refresh(b->kind) && b->told_s ? b->told_s + KL_SIP_DELTA_S : 0;
	if (b->kind == KL_TLS_RECORD) {
		ret->probable = true;
		ret->tls_len = b->way[KL_TO_CUCM].len;
	}
	memcpy(&ret->answers.mean_us, &mean, sizeof(mean));
	ret->answers.sum_us = b->sum_us;
	ret->answers.count = answered;
	ret->answers.max_us = b->max_us;
	ret->keepalives = b->keepalives;
	ret->answered = answered;
	ret->acknowledged_only = b->unanswered ? (uint32_t)(b->unanswered - b->waits) : 0;
}

void kl_brief_expect(const struct kl_brief *b, struct kl_node *ret)
{
	const struct kl_brief_way *asking = &b->way[KL_TO_CUCM], *answering = &b->way[KL_TO_PHONE];
	struct kl_flow_story *asked = &ret->flow[KL_TO_CUCM], *answer = &ret->flow[KL_TO_PHONE];
	uint64_t last_ns = asking->timed ? b->seen_ns - b->asked_ns : 0, before_ns = 0, ok_ns = 0;

	memset(ret, 0, sizeof(*ret));
	expect_session(b, &ret->session);
	expect_schedule(b, last_ns, &ret->session.schedule);
	if (asking->timed) {
		before_ns = last_ns - kl_brief_interval_ns(&ret->session.schedule, 0) - b->rest_ns;
		ok_ns = (b->waits ? before_ns : last_ns) + b->took_ns[0];
	}
	ret->session.ok_ns = ok_ns;
	expect_segments(asking, last_ns, before_ns, asked);
	expect_segments(answering, answering->timed ? ok_ns : 0,
			answering->timed ? before_ns + b->took_ns[1] : 0, answer);
	expect_kinds(b, asked, answer);
	if (b->lates)
		expect_lates(b, ret);
	expect_episodes(b, ret->flow);
	ret->growth.at_ns = b->got_through ? last_ns : before_ns;
	ret->phone_ns = b->phone_last ? b->seen_ns : last_ns;
	ret->phone_before_ns = b->phone_last ? last_ns : before_ns;
	ret->answer_due_ns = b->waits ? last_ns : 0;
	ret->clean_sample = b->clean_sample;
}
