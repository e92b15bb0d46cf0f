// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions at rest: whatever happens, a session that was packed and unpacked is the same to the last
 * bit; and what is told does not depend on how many of them are awake. The histories are by chance,
 * and seeded.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/session_rest.h"
#include "core/session_state.h"
#include "util/cleanup.h"

enum {
	PHONES = 40,
	EVENTS = 60000,
	SHARE = 16, /* one event of so many is odd in any way */
};

struct dice {
	uint64_t state;
};

static uint32_t below(struct dice *d, uint32_t n)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return (uint32_t)(d->state >> 16) % n;
}

static const uint8_t kinds[] = { KL_SCCP_KEEPALIVE, KL_SIP_REGISTER, KL_CRLF_PING, KL_TLS_RECORD };

/* Keepalives of 30 s and their answers, retransmissions, and now and then anything else. */
static struct kl_event event_of(struct dice *d, uint32_t number)
{
	uint32_t phone = number / 2 % PHONES, round = number / 2 / PHONES;
	bool answer = number & 1, odd = !below(d, SHARE);
	uint8_t kind = kinds[phone % sizeof(kinds)];
	struct kl_event e = {
		.time_ns = (5000 + round * 30ULL) * 1000 * KL_NS_PER_MS +
			   phone * 700 * KL_NS_PER_MS + answer * KL_NS_PER_MS + below(d, 900000),
		.conn_id = phone + 1,
		.ends = { .phone = { 0x0a010000 + phone },
			  .cucm = { 0x0a020001 },
			  .phone_port = (uint16_t)(50000 + phone),
			  .cucm_port = kind == KL_TLS_RECORD ? 5061 : 2000,
			  .family = phone % 5 ? 4 : 6 },
		.type = KL_EVENT_SEGMENT,
		.direction = answer ? KL_TO_PHONE : KL_TO_CUCM,
		.side = answer ? KL_CUCM : KL_ACCESS,
		.kind = answer ? KL_SCCP_KEEPALIVE_ACK : kind,
		.payload_len = 12,
		.seq = 12 * round,
		.ack = 12 * round + 12,
		.joined_end = 12 * round + 12,
		.note = answer ? KL_NOTE_ACKS | KL_NOTE_SACK : KL_NOTE_QUIET,
		.tcp_flags = KL_ACK,
		.steps = 200,
		.own_numbers = phone & 1,
		.idle_ms = phone & 2 ? KL_IDLE_NONE : below(d, 40000),
		.phone_mac = { 0, 0x24, 0x14, 0, 0, (uint8_t)phone },
		.next_mac = { 2, 0, 0, 0, 0, (uint8_t)below(d, 2) },
		.vlan = phone % 3 ? 0 : 100,
	};

	if (!odd)
		return e;
	e.type = (uint8_t)(1 + below(d, KL_EVENT_TYPES - 1));
	if (e.type == KL_EVENT_PAYLOAD || (e.type == KL_EVENT_CLOSE && below(d, 8)))
		e.type = KL_EVENT_RETRANSMISSION;
	e.time_ns += below(d, 3000) * KL_NS_PER_MS;
	e.tcp_flags = below(d, 2) ? KL_ACK : KL_SYN;
	e.note = (uint8_t)below(d, 256);
	e.step = (uint8_t)below(d, 10);
	e.copy = (uint16_t)(2 + below(d, 3));
	e.gap_ns = below(d, 2000) * KL_NS_PER_MS;
	e.crossed = (uint16_t)below(d, 4);
	e.missed = (uint16_t)below(d, 65536);
	e.owed = (uint8_t)below(d, 4);
	e.owed_us = below(d, 400000);
	e.seq += below(d, 3) ? 0 : below(d, 100);
	e.payload_len += below(d, 3) ? 0 : below(d, 1400);
	return e;
}

static struct kl_message message_of(struct dice *d)
{
	static const char *const names[] = { "SEP002414000001", "SEP00241400000G",
					     "ATA0024140000010", "x", "SEP0024140000011" };
	struct kl_message ret = {
		.type = (uint8_t)below(d, KL_MESSAGE_TYPES),
		.keepalive_s = below(d, 2) * 30,
		.expires_s = below(d, 2) * 120,
	};

	strncpy(ret.device, names[below(d, KL_COUNT(names))], sizeof(ret.device) - 1);
	if (below(d, 2))
		strncpy(ret.failure, "TCP-timeout", sizeof(ret.failure) - 1);
	return ret;
}

static void meet(struct kl_sessions *s, const struct kl_event *e, bool both_ways)
{
	struct kl_conn conn = { .ends = e->ends,
				.created_ns = e->time_ns - 5000 * KL_NS_PER_MS,
				.seen_ns = e->time_ns,
				.next_mac = { 2, 0, 0, 0, 0, 7 } };
	bool one_way;

	conn.flow[KL_TO_CUCM].flags = KL_FLOW_SEEN_ACCESS;
	conn.flow[KL_TO_PHONE].flags = both_ways ? KL_FLOW_SEEN_CUCM : 0;
	cr_assert_eq(kl_sessions_meet(s, e->conn_id, &conn, e->time_ns, &one_way), 0);
}

/* One step of a history: an event, what a tick does, or what the kernel's table says. */
static void step(struct kl_sessions *s, struct dice *d, uint32_t number)
{
	struct kl_event e = event_of(d, number);
	struct kl_message message = message_of(d);

	switch (below(d, 400)) {
	case 0:
		e.type = KL_EVENT_PAYLOAD;
		cr_assert_eq(kl_sessions_learn(s, &e, &message), 0);
		return;
	case 1:
		kl_sessions_remove(s, 1 + below(d, PHONES));
		return;
	case 2:
		kl_sessions_lost_between(s, e.conn_id, e.direction, e.seq, e.payload_len, 1, true);
		return;
	case 3:
		if (!below(d, 20))
			kl_sessions_gap(s, e.time_ns);
		return;
	case 4:
		kl_sessions_time_out(s, e.conn_id, e.time_ns);
		return;
	case 5:
		/* (Which pins it.) */
		if (kl_sessions_find(s, e.conn_id))
			cr_assert_eq(kl_sessions_find(s, e.conn_id)->id, e.conn_id);
		return;
	case 6:
		meet(s, &e, below(d, 2));
		return;
	default:
		cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
		kl_sessions_advance(s, e.time_ns);
		return;
	}
}

/* ---- To the last bit ---- */

/* What a record is of: no more, and no less. */
enum {
	KEPT_FROM = offsetof(struct kl_node, session.id) + sizeof(uint64_t),
	KEPT_END = offsetof(struct kl_node, heard),
};

/* A member behind these is kept only if somebody keeps it. */
_Static_assert(KEPT_FROM == sizeof(uint64_t), "the id comes first");
_Static_assert(sizeof(struct kl_node) == KEPT_END + sizeof(struct kl_heard) + 8 + sizeof(void *),
	       "what is known not to be kept is heard, pinned, place and rest");

static void check_record(const void *rest, const struct kl_node *node)
{
	struct kl_node again;
	const uint8_t *is = (const uint8_t *)node, *was = (const uint8_t *)&again;

	memset(&again, 0x5a, sizeof(again));
	kl_rest_unpack(rest, &again);
	for (size_t i = KEPT_FROM; i < KEPT_END; i++) {
		if (is[i] != was[i])
			cr_assert_fail("byte %zu was %02x and is %02x", i, is[i], was[i]);
	}
	for (size_t i = 0; i < sizeof(again); i++)
		cr_assert((i >= KEPT_FROM && i < KEPT_END) || !was[i], "byte %zu", i);
	cr_assert(!memcmp(kl_rest_next_mac(rest), node->session.next_mac, 6));
}

static void check_rest(const struct kl_node *node)
{
	void *rest = kl_rest_pack(node, NULL);

	cr_assert(rest);
	check_record(rest, node);
	free(rest);
}

/* Into any part of it, as many as are wanted: what no event would make of them. */
static void spoil(struct dice *d, struct kl_node *node, uint32_t words)
{
	static const uint64_t extremes[] = { 0, ~0ULL, 1, 1ULL << 63, ~0ULL >> 1, 1ULL << 32 };

	for (uint32_t i = 0; i < words; i++) {
		uint8_t *at = (uint8_t *)node + 8 * (1 + below(d, KEPT_END / 8 - 1));
		uint64_t word, chance = (uint64_t)below(d, ~0U) << 32 | below(d, ~0U);

		memcpy(&word, at, sizeof(word));
		switch (below(d, 5)) {
		case 0:
			word = extremes[below(d, KL_COUNT(extremes))];
			break;
		case 1:
			word = chance;
			break;
		case 2:
			word = chance << below(d, 64);
			break;
		case 3:
			word += chance >> below(d, 64);
			break;
		default:
			word -= chance >> below(d, 64);
			break;
		}
		memcpy(at, &word, sizeof(word));
	}
}

/* Each step of a history; and what some words of it may be besides. */
Test(session_rest, is_the_same_to_the_last_bit)
{
	struct kl_sessions_config config = { .deadline_ns = 1000 * KL_NS_PER_MS,
					     .two_sided = true,
					     .awake = PHONES };
	struct dice dice = { 0x243f6a8885a308d3 }, spoiler = { 0x452821e638d01377 };
	struct kl_sessions *s;

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	for (uint32_t i = 0; i < EVENTS; i++) {
		struct kl_node node, scratch;
		uint32_t place;

		step(s, &dice, i);
		place = kl_table_find(s->table, i / 2 % PHONES + 1);
		if (!place)
			continue;
		node = *kl_table_look(s->table, place, &scratch);
		check_rest(&node);
		spoil(&spoiler, &node, 1 + below(&spoiler, 4));
		check_rest(&node);
	}
	kl_sessions_free(s);
}

Test(session_rest, holds_anything)
{
	struct dice dice = { 0x13198a2e03707344 };

	for (int i = 0; i < 20000; i++) {
		struct kl_node node = {};

		spoil(&dice, &node, 1U << below(&dice, 10));
		check_rest(&node);
	}
}

Test(session_rest, holds_each_byte)
{
	for (size_t i = KEPT_FROM; i < KEPT_END; i++) {
		struct kl_node node = {};

		((uint8_t *)&node)[i] = 0xff;
		check_rest(&node);
		memset(&node, 0xff, sizeof(node));
		((uint8_t *)&node)[i] = 0;
		check_rest(&node);
	}
}

/* The same memory as long as that is not too little, nor much too much. */
Test(session_rest, uses_a_record_again)
{
	struct kl_node node = { .session.seen_ns = 1000, .session.next_mac = { 2, 3 } };
	struct dice dice = { 0xbe5466cf34e90c6c };
	void *rest = kl_rest_pack(&node, NULL), *before = rest;

	cr_assert(rest);
	node.session.seen_ns = 2000;
	rest = kl_rest_pack(&node, rest);
	cr_expect_eq(rest, before);
	check_record(rest, &node);
	for (int i = 0; i < 10000; i++) {
		if (!below(&dice, 10))
			node = (struct kl_node){};
		spoil(&dice, &node, below(&dice, 10));
		rest = kl_rest_pack(&node, rest);
		cr_assert(rest);
		check_record(rest, &node);
	}
	free(rest);
}

/* ---- However many are awake ---- */

struct told {
	uint64_t hash;
	unsigned stories;
};

static void mix(struct told *t, uint64_t word)
{
	t->hash = kl_mix(t->hash, word);
}

static void hear(const struct kl_story *story, void *arg)
{
	struct told *t = arg;

	t->stories++;
	mix(t, (uint64_t)story->type << 32 | story->session->id);
	mix(t, story->time_ns);
	mix(t, story->seq);
	mix(t, story->late_ns);
	mix(t, story->idle_ns);
	mix(t, story->at_ns);
	mix(t, story->session->schedule.period_us);
	for (const char *c = story->text; *c; c++)
		mix(t, (uint8_t)*c);
}

static void look(const struct kl_session *session, void *arg)
{
	struct told *t = arg;

	mix(t, session->id);
	mix(t, session->keepalives);
	mix(t, (uint64_t)session->answers.mean_us);
	mix(t, kl_answers_quantile(&session->answers, 0.99));
	mix(t, session->lost[KL_TO_CUCM][KL_PHONE_SIDE]);
}

static struct told tell(uint32_t awake, size_t max)
{
	struct told ret = {};
	struct kl_sessions_config config = { .max = max,
					     .deadline_ns = 1000 * KL_NS_PER_MS,
					     .two_sided = true,
					     .awake = awake,
					     .handler = hear,
					     .arg = &ret };
	struct dice dice = { 0xa4093822299f31d0 };
	struct kl_sessions *s;

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	for (uint32_t i = 0; i < EVENTS; i++)
		step(s, &dice, i);
	kl_sessions_visit(s, look, &ret);
	mix(&ret, kl_sessions_phones(s));
	mix(&ret, kl_sessions_count(s));
	mix(&ret, kl_sessions_evicted(s));
	kl_sessions_free(s);
	return ret;
}

Test(session_rest, tells_the_same_however_many_are_awake)
{
	for (size_t max = 0; max <= 30; max += 30) {
		struct told all = tell(PHONES, max);

		cr_assert_gt(all.stories, EVENTS / 4);
		for (uint32_t awake = 1; awake < PHONES; awake += 6) {
			struct told few = tell(awake, max);

			cr_expect_eq(few.stories, all.stories);
			cr_expect_eq(few.hash, all.hash, "%u awake, at most %zu", awake, max);
		}
	}
}

/* ---- The table ---- */

Test(session_rest, a_pinned_one_stays)
{
	struct kl_sessions_config config = { .awake = 1 };
	struct kl_event e = { .type = KL_EVENT_SEGMENT, .kind = KL_SCCP_KEEPALIVE };
	const struct kl_session *first;
	struct kl_sessions *s;

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	for (e.conn_id = 1; e.conn_id <= 100; e.conn_id++, e.time_ns += KL_NS_PER_MS)
		cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	first = kl_sessions_find(s, 1);
	cr_assert(first);
	for (e.conn_id = 2; e.conn_id <= 300; e.conn_id++, e.time_ns += KL_NS_PER_MS)
		cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	cr_expect_eq(first->id, 1);
	cr_expect_eq(first->keepalives, 1);
	cr_expect_eq(kl_sessions_find(s, 1), first);
	cr_expect_eq(kl_sessions_peek(s, 2)->keepalives, 2);
	cr_expect_eq(kl_sessions_peek(s, 300)->keepalives, 1);
	cr_expect_null(kl_sessions_peek(s, 301));
	kl_sessions_free(s);
}

/* Come and go in any order: what is found is what was put there, and the order is that of coming. */
Test(session_rest, finds_what_is_there)
{
	enum {
		IDS = 700
	};
	uint64_t came[IDS] = {}, now = 0, last = 0;
	struct dice dice = { 0x082efa98ec4e6c89 };
	uint32_t count = 0, walked = 0;
	struct kl_table *t;

	cr_assert_eq(kl_table_new(3, &t), 0);
	for (int i = 0; i < 40000; i++) {
		uint32_t id = below(&dice, IDS), place = kl_table_find(t, id);
		struct kl_node *n;

		cr_assert_eq(place != 0, came[id] != 0);
		if (!place && i < 20000 + 30 * (int)id) {
			n = kl_table_add(t, id);
			cr_assert(n);
			n->session.start_ns = came[id] = ++now;
			count++;
		} else if (place) {
			n = below(&dice, 2) ? kl_table_wake(t, place) : kl_table_pin(t, place);
			cr_assert_eq(n->session.id, id);
			cr_assert_eq(n->session.start_ns, came[id]);
			if (below(&dice, 2)) {
				kl_table_remove(t, place);
				came[id] = 0;
				count--;
			}
		}
		cr_assert_eq(t->count, count);
	}
	for (uint32_t i = t->beginning.first; i;
	     i = kl_table_at(t, i)->link[KL_BY_BEGINNING].after) {
		struct kl_node scratch;
		uint64_t start = kl_table_look(t, i, &scratch)->session.start_ns;

		cr_expect_gt(start, last);
		last = start;
		walked++;
	}
	cr_expect_eq(walked, count);
	kl_table_free(t);
}
