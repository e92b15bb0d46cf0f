// SPDX-License-Identifier: GPL-2.0-only
/* stage.h */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"
#include "stage.h"

enum {
	BUCKETS = 16
};
#define DEADLINE_NS (1000 * STAGE_MS)

static void keep(const struct kl_story *story, void *arg)
{
	struct stage *st = arg;

	if (story->type == KL_STORY_LOSS) {
		cr_assert(story->text[0], "a loss without evidence");
		st->inferred[story->direction][story->where]++;
	}
	if (story->type == KL_STORY_SEGMENT && !st->setup.segments)
		return;
	if (st->count < STAGE_STORIES)
		st->stories[st->count] = *story;
	st->count++;
}

static void feed(const struct kl_event *e, const __u8 *payload, __u32 len, void *arg)
{
	struct stage *st = arg;

	cr_assert_eq(kl_sessions_feed(st->sessions, e, payload, len), 0);
}

static void take_text(struct stage_text *to, const struct pkt_payload *p)
{
	cr_assert_leq(p->len, STAGE_PAYLOAD);
	to->len = p->len;
	memcpy(to->data, p->data, p->len);
}

static void write_texts(struct stage *st)
{
	struct pkt_payload keepalive = { 0 }, trying = { 0 }, answer = { 0 };
	char expires[16];

	snprintf(expires, sizeof(expires), "%u", st->setup.expires_s ?: 120);
	switch (st->setup.service) {
	case KL_SCCP:
		pkt_sccp_keepalive(&keepalive);
		pkt_sccp_keepalive_ack(&answer);
		break;
	case KL_SIP:
		pkt_sip_register(
			&keepalive,
			&(struct pkt_register){ .expires = st->setup.backup ? "0" : "3600",
						.contact = st->setup.backup ? PKT_BACKUP : NULL,
						.length = 890,
						.cseq = 101 });
		pkt_sip_response(&trying, "100 Trying", "REGISTER", NULL, 325);
		pkt_sip_response(&answer, "200 OK", "REGISTER", expires, 637);
		break;
	default:
		pkt_tls_record(&keepalive, 64);
		pkt_tls_record(&answer, 48);
		break;
	}
	take_text(&st->keepalive, &keepalive);
	take_text(&st->trying, &trying);
	take_text(&st->answer, &answer);
}

void stage_init(struct stage *st, const struct stage_setup *setup)
{
	static const __u16 ports[KL_SERVICES] = {
		[KL_SCCP] = 2000, [KL_SCCP_TLS] = 2443, [KL_SIP] = 5060, [KL_SIP_TLS] = 5061
	};
	struct kl_sessions_config config = {
		.max = setup->max,
		.deadline_ns = DEADLINE_NS,
		.two_sided = !setup->one_sided,
		.mirrored = setup->mirrored,
		.handler = keep,
		.arg = st,
	};

	memset(st, 0, sizeof(*st));
	st->setup = *setup;
	st->setup.transit_ns = setup->transit_ns ?: 100 * KL_NS_PER_US;
	st->setup.answer_ns = setup->answer_ns ?: 2 * STAGE_MS;
	st->setup.tick_ns = setup->tick_ns ?: 250 * STAGE_MS;
	st->setup.id = setup->id ?: 0x5e55;
	st->stories = calloc(STAGE_STORIES, sizeof(*st->stories));
	cr_assert(st->stories);
	cr_assert_eq(kl_follow_init(&st->follow, BUCKETS, DEADLINE_NS, feed, st), 0);
	st->sessions = setup->use;
	if (!st->sessions)
		cr_assert_eq(kl_sessions_new(&config, &st->sessions), 0);
	st->conn.ends = (struct kl_endpoints){
		.phone = { 0x0a620a0a + (__u32)st->setup.id },
		.cucm = { 0xb66f6a0a },
		.phone_port = 51000,
		.cucm_port = ports[setup->service],
		.family = setup->ipv6 ? 6 : 4,
	};
	st->end[KL_TO_CUCM] = (struct stage_end){ .numbers = setup->phone, .seq = 0x7b0e6d55 };
	st->end[KL_TO_PHONE] = (struct stage_end){ .numbers = setup->server, .seq = 0x1187461 };
	st->end[KL_TO_CUCM].ack = st->end[KL_TO_PHONE].seq;
	st->end[KL_TO_PHONE].ack = st->end[KL_TO_CUCM].seq;
	st->end[KL_TO_CUCM].id = 0x4d00;
	st->end[KL_TO_PHONE].id = 0x6b61;
	st->random = 0x9e3779b97f4a7c15ULL ^ st->setup.id;
	st->now = st->tick_ns = STAGE_START_NS;
	write_texts(st);
}

void stage_done(struct stage *st)
{
	if (!st->setup.use)
		kl_sessions_free(st->sessions);
	kl_follow_done(&st->follow);
	free(st->stories);
}

double stage_random(struct stage *st)
{
	st->random ^= st->random << 13;
	st->random ^= st->random >> 7;
	st->random ^= st->random << 17;
	return (double)(st->random >> 11) / 9007199254740992.0;
}

/* ---- Time ---- */

static void sweep(struct stage *st, __u64 now)
{
	for (unsigned i = 0; i < st->missings;) {
		struct stage_missing *m = &st->missing[i];

		if (m->due_ns > now) {
			i++;
			continue;
		}
		kl_sessions_lost_between(st->sessions, st->setup.id, m->direction, m->seq, m->len,
					 1, true);
		*m = st->missing[--st->missings];
	}
}

void stage_until(struct stage *st, __u64 at)
{
	while (st->tick_ns + st->setup.tick_ns <= at) {
		st->tick_ns += st->setup.tick_ns;
		sweep(st, st->tick_ns);
		kl_sessions_advance(st->sessions, st->tick_ns);
	}
	st->now = at;
}

/* ---- Segments ---- */

static __u16 number(struct stage *st, struct stage_end *end)
{
	if (st->setup.ipv6)
		return 0;
	switch (end->numbers) {
	case BY_CONNECTION:
	case BY_ONE:
	case BY_COUNTER:
		return ++end->id;
	case AT_RANDOM:
		return (__u16)(1 + stage_random(st) * 65534);
	case CONSTANT:
		return 0x1234;
	default:
		return 0;
	}
}

static void see(struct stage *st, __u64 at, __u32 side, __u32 direction,
		const struct kl_segment *segment, const void *payload, bool made)
{
	struct kl_segment s = *segment;
	struct kl_follow_segment f = {
		.conn = &st->conn,
		.id = st->setup.id,
		.at = { .side = side,
			.direction = direction,
			.now = at,
			.epoch = 1,
			.silence = kl_is_near(side, direction) ? st->silence : 0 },
		.segment = &s,
		.payload = payload,
		.have = s.payload_len,
		.service = st->setup.service,
	};

	if (!kl_is_near(side, direction))
		s.ttl--;
	kl_follow_open(&st->follow, &f, made);
	kl_follow_see(&st->follow, &f);
}

void stage_segment(struct stage *st, __u64 at, __u32 direction, __u8 flags, __u32 seq,
		   const void *payload, __u32 len, enum stage_fate fate)
{
	struct stage_end *from = &st->end[direction], *to = &st->end[direction ^ 1];
	struct kl_segment s = {
		.sport = direction == KL_TO_CUCM ? st->conn.ends.phone_port
						 : st->conn.ends.cucm_port,
		.dport = direction == KL_TO_CUCM ? st->conn.ends.cucm_port
						 : st->conn.ends.phone_port,
		.seq = seq,
		.ack = flags & KL_ACK ? from->ack : 0,
		.payload_len = len,
		.window = 4096,
		.family = st->conn.ends.family,
		.flags = flags,
		.ttl = st->ttl ?: 64,
		.ip_id = number(st, from),
		.duplicate_seen = st->duplicate,
		.sack_permitted = (flags & KL_SYN) && from->numbers == BY_CONNECTION &&
				  !st->setup.no_sack,
	};
	bool made = !st->made;

	st->duplicate = false;
	if (at > st->now)
		stage_until(st, at);
	if (fate != LOST_BEFORE && fate != FORGED) {
		if (made)
			st->conn.created_ns = at;
		st->made = true;
		see(st, at, direction, direction, &s, payload, made);
	}
	if (fate == LOST_BETWEEN && !st->setup.one_sided && len) {
		cr_assert_lt(st->missings, (unsigned)STAGE_MISSING);
		st->missing[st->missings++] = (struct stage_missing){ at + DEADLINE_NS, direction,
								      seq, len };
	}
	if ((fate == ARRIVES || fate == LOST_BEYOND || fate == FORGED) && !st->setup.one_sided)
		see(st, at + st->setup.transit_ns, direction ^ 1, direction, &s, payload, false);
	if (fate == ARRIVES && seq == to->ack)
		to->ack = seq + kl_seq_len(len, flags);
}

void stage_say(struct stage *st, __u64 at, __u32 direction, const void *payload, __u32 len,
	       enum stage_fate fate)
{
	struct stage_end *from = &st->end[direction];

	from->last_seq = from->seq;
	from->last_len = len;
	from->seq += len;
	stage_segment(st, at, direction, KL_ACK | KL_PSH, from->last_seq, payload, len, fate);
}

void stage_again(struct stage *st, __u64 at, __u32 direction, const struct stage_text *text,
		 enum stage_fate fate)
{
	stage_segment(st, at, direction, KL_ACK | KL_PSH, st->end[direction].last_seq, text->data,
		      text->len, fate);
}

void stage_ack(struct stage *st, __u64 at, __u32 direction, enum stage_fate fate)
{
	stage_segment(st, at, direction, KL_ACK, st->end[direction].seq, NULL, 0, fate);
}

void stage_connect(struct stage *st, __u64 at)
{
	stage_segment(st, at, KL_TO_CUCM, KL_SYN, st->end[KL_TO_CUCM].seq++, NULL, 0, ARRIVES);
	stage_segment(st, at + STAGE_MS, KL_TO_PHONE, KL_SYN | KL_ACK, st->end[KL_TO_PHONE].seq++,
		      NULL, 0, ARRIVES);
	stage_ack(st, at + 2 * STAGE_MS, KL_TO_CUCM, ARRIVES);
}

void stage_close(struct stage *st, __u64 at, __u32 direction, __u8 flags)
{
	stage_segment(st, at, direction, flags, st->end[direction].seq, NULL, 0, ARRIVES);
	st->end[direction].seq += !!(flags & KL_FIN);
}

__u64 stage_answer(struct stage *st, __u64 at)
{
	if (st->setup.backup && st->setup.service != KL_SIP) {
		stage_ack(st, at + st->setup.answer_ns, KL_TO_PHONE, ARRIVES);
		return at + st->setup.answer_ns;
	}
	at += st->setup.answer_ns;
	if (st->trying.len) {
		stage_say(st, at, KL_TO_PHONE, st->trying.data, st->trying.len, ARRIVES);
		at += 600 * KL_NS_PER_US;
	}
	stage_say(st, at, KL_TO_PHONE, st->answer.data, st->answer.len, ARRIVES);
	stage_ack(st, at + 12 * STAGE_MS, KL_TO_CUCM, ARRIVES);
	return at;
}

__u64 stage_exchange(struct stage *st, __u64 at)
{
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, st->keepalive.len, ARRIVES);
	return stage_answer(st, at + st->setup.transit_ns);
}

__u64 stage_struggle(struct stage *st, __u64 at, __u64 rto_ns, unsigned lost, enum stage_fate fate)
{
	if (!lost)
		return stage_exchange(st, at);
	stage_say(st, at, KL_TO_CUCM, st->keepalive.data, st->keepalive.len, fate);
	for (unsigned i = 1; i <= lost; i++) {
		at += rto_ns;
		rto_ns *= 2;
		stage_again(st, at, KL_TO_CUCM, &st->keepalive, i < lost ? fate : ARRIVES);
	}
	return stage_answer(st, at + st->setup.transit_ns);
}

/* ---- What was found out ---- */

const struct kl_story *stage_story(const struct stage *st, enum kl_story_type type, unsigned n)
{
	for (unsigned i = 0; i < st->count && i < STAGE_STORIES; i++) {
		if (st->stories[i].type == type && !n--)
			return &st->stories[i];
	}
	return NULL;
}

unsigned stage_stories(const struct stage *st, enum kl_story_type type)
{
	unsigned count = 0;

	while (stage_story(st, type, count))
		count++;
	return count;
}

unsigned stage_forecasts(const struct stage *st, enum kl_forecast_state state)
{
	const struct kl_story *story;
	unsigned count = 0;

	for (unsigned i = 0; (story = stage_story(st, KL_STORY_FORECAST, i)); i++)
		count += story->state == state;
	return count;
}

const struct kl_session *stage_session(const struct stage *st)
{
	return kl_sessions_find(st->sessions, st->setup.id);
}

unsigned stage_losses(const struct stage *st)
{
	unsigned sum = 0;

	for (int d = 0; d < KL_DIRECTIONS; d++) {
		for (int where = 0; where < KL_WHERES; where++)
			sum += st->inferred[d][where];
	}
	return sum;
}

void stage_print(const struct stage *st)
{
	static const char *const types[] = {
		"start",	  "registered", "period",   "stop",
		"retransmission", "loss",	"forecast", "segment"
	};

	for (unsigned i = 0; i < st->count && i < STAGE_STORIES; i++) {
		const struct kl_story *s = &st->stories[i];

		fprintf(stderr, "%10.4f %s", (double)(s->time_ns - STAGE_START_NS) / 1e9,
			types[s->type]);
		if (s->type == KL_STORY_FORECAST)
			fprintf(stderr, " state %d at %.4f", s->state,
				(double)(s->at_ns - STAGE_START_NS) / 1e9);
		if (s->type == KL_STORY_LOSS)
			fprintf(stderr, " %s", kl_where_name(s->where));
		fprintf(stderr, " %s\n", s->text);
	}
}
