// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a history of many phones, as watch would have kept it: SCCP keepalives every 30 s and their
 * answers, of which some are lost, with all that goes with them.
 *
 *   make-history FILE [PHONES [HOURS [LOST-OF-A-MILLION]]]      10000 phones, 24 hours, 1000
 *
 * Prints what was told, and what it took to tell it (which is the time that a run would have spent
 * on its history).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history/history.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	PERIOD_S = 30,
	REMOVALS_AN_HOUR = 100,
	RETURNS_A_DAY = 2, /* of a phone: its session ends, and another begins */
};

#define START_NS (1000 * KL_NS_PER_S)

struct maker {
	struct kl_history *history;
	struct kl_sessions *sessions;
	struct kl_session **phone;
	uint32_t phones;
	uint64_t *next_id; /* of each phone's session */
	double lost;
	uint64_t random, now_ns;
	struct kl_counters counters;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	uint64_t copies, losses;
};

static double chance(struct maker *m)
{
	m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(m->random >> 11) / 9007199254740992.0;
}

static void say(const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "make-history: %s\n", line);
}

static void begin_session(struct maker *m, uint32_t n)
{
	struct kl_conn conn = {
		.ends = { .phone = { __builtin_bswap32(0x0a010000 + n) },
			  .cucm = { __builtin_bswap32(0x0a020001 + n % 4) },
			  .phone_port = (uint16_t)(40000 + m->next_id[n] % 20000),
			  .cucm_port = 2000,
			  .family = 4 },
		.phone_mac = { 0, 0x24, 0x14, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n },
	};
	uint64_t id = m->next_id[n] * m->phones + n + 1;
	bool one_way;

	if (kl_sessions_meet(m->sessions, id, &conn, m->now_ns, &one_way)) {
		fprintf(stderr, "make-history: out of memory\n");
		exit(2);
	}
	m->next_id[n]++;
	m->phone[n] = (struct kl_session *)kl_sessions_find(m->sessions, id);
	snprintf(m->phone[n]->device, sizeof(m->phone[n]->device), "SEP002414%06X", n);
	memcpy(m->phone[n]->next_mac, (uint8_t[]){ 2, 0, 0, 0, 2, 1 }, 6);
	m->phone[n]->role = KL_ROLE_PRIMARY;
	m->phone[n]->kind = KL_SCCP_KEEPALIVE;
	m->phone[n]->schedule.period_us = PERIOD_S * 1000000ULL;
	m->phone[n]->schedule.jitter_us = 2000;
}

static void take_story(const struct kl_story *story, void *arg)
{
	struct maker *m = arg;

	kl_history_story(m->history, story, NULL);
}

static void take_leaving(const struct kl_session *session, void *arg)
{
	struct maker *m = arg;

	kl_history_leaves(m->history, session);
}

static void lose(struct maker *m, struct kl_story *story)
{
	const struct kl_session *s = story->session;
	bool between = chance(m) < 0.5;
	struct kl_drop drop = { .time_ns = story->time_ns + 1000,
				.ends = s->ends,
				.direction = (uint8_t)story->direction,
				.seq = story->seq,
				.length = story->length,
				.reason = "NETFILTER_DROP",
				.symbol = "nft_do_chain",
				.interface = "eth1" };
	struct kl_lost lost = {
		.time_ns = story->time_ns,
		.conn_id = s->id,
		.ends = s->ends,
		.where = KL_BETWEEN,
		.direction = (uint8_t)story->direction,
		.kind = (uint8_t)story->kind,
		.seq = story->seq,
		.seq_other = story->seq,
		.length = story->length,
		.copies = { 2, 1 },
		.idle_ns = story->idle_ns,
		.idle_known = KL_IDLE_ALL,
	};
	struct kl_story again = *story;

	m->losses++;
	if (between) {
		kl_history_story(m->history, story, NULL);
		m->counters.tally[KL_SENT][story->direction][story->kind]++;
		m->counters.tally[KL_LOST_BETWEEN][story->direction][story->kind]++;
		kl_history_lost(m->history, &lost, &drop);
	} else {
		story->type = KL_STORY_LOSS;
		story->where = KL_PHONE_SIDE;
		snprintf(story->text, sizeof(story->text),
			 "it came 0.2 s after it was due, as a first timeout would have it");
		m->inferred[story->direction][KL_PHONE_SIDE]++;
		kl_history_story(m->history, story, NULL);
	}
	m->phone[s->id % m->phones ? (s->id - 1) % m->phones : m->phones - 1]
		->lost[story->direction][between ? KL_BETWEEN : KL_PHONE_SIDE]++;
	again.type = KL_STORY_RETRANSMISSION;
	again.time_ns += 200 * KL_NS_PER_MS;
	again.copy = 2;
	again.gap_ns = again.rto_ns = 200 * KL_NS_PER_MS;
	kl_history_story(m->history, &again, NULL);
	m->counters.tally[KL_SENT][story->direction][story->kind]++;
	m->counters.tally[KL_DELIVERED][story->direction][story->kind]++;
	m->counters.tally[KL_RETRANSMITTED][story->direction][story->kind]++;
}

static void send_copy(struct maker *m, uint32_t n, uint32_t direction, uint32_t kind)
{
	struct kl_story story = {
		.type = KL_STORY_SEGMENT,
		.time_ns = m->now_ns + direction * 800000 + n * 97,
		.session = m->phone[n],
		.direction = direction,
		.kind = kind,
		.seq = (uint32_t)(m->now_ns / KL_NS_PER_S) * 12 + direction,
		.length = 12,
		.copies = { 1, 1 },
		.idle_ns = direction ? 800000 : PERIOD_S * KL_NS_PER_S,
		.idle_known = KL_IDLE_ALL,
	};

	m->copies++;
	if (chance(m) < m->lost) {
		lose(m, &story);
		return;
	}
	kl_history_story(m->history, &story, NULL);
	m->counters.tally[KL_SENT][direction][kind]++;
	m->counters.tally[KL_DELIVERED][direction][kind]++;
	m->counters.transit[kl_hist_bucket(20 + (__u64)(chance(m) * 40))]++;
}

static void exchange(struct maker *m, uint32_t n)
{
	struct kl_session *s = m->phone[n];
	uint64_t answer_us = 500 + (uint64_t)(chance(m) * 1000);

	send_copy(m, n, KL_TO_CUCM, KL_SCCP_KEEPALIVE);
	send_copy(m, n, KL_TO_PHONE, KL_SCCP_KEEPALIVE_ACK);
	s->seen_ns = m->now_ns;
	s->keepalives++;
	s->answered++;
	kl_answers_add(&s->answers, answer_us, s->schedule.period_us);
	m->counters.answer[kl_hist_bucket(answer_us)]++;
}

static void remove_mac(struct maker *m)
{
	uint32_t n = (uint32_t)(chance(m) * m->phones);
	struct kl_mac_evidence e = { .time_ns = m->now_ns,
				     .happening = KL_MAC_AGED,
				     .source = KL_MAC_FROM_SNMP,
				     .has_mac = true,
				     .port = "Gi1/0/7",
				     .told_by = "192.0.2.1" };

	memcpy(e.mac, m->phone[n]->mac, sizeof(e.mac));
	kl_history_mac(m->history, &e);
}

static void tick(struct maker *m, bool last)
{
	static const struct kl_tally_own own;
	static const struct kl_evidence has = { .has_snmp = true, .has_drops = true };
	const struct kl_history_tick t = {
		.now_ns = m->now_ns,
		.offset_ns = 1764000000ULL * KL_NS_PER_S,
		.counters = &m->counters,
		.own = &own,
		.transit_max_ns = 60000,
		.answer_max_ns = 1500000,
		.inferred = m->inferred,
		.phones = m->phones,
		.sessions = m->sessions,
		.has = &has,
	};

	(last ? kl_history_end : kl_history_tick)(m->history, &t);
	memset(m->inferred, 0, sizeof(m->inferred));
}

static void live(struct maker *m, uint64_t seconds)
{
	for (uint32_t n = 0; n < m->phones; n++)
		begin_session(m, n);
	for (uint64_t s = 0; s < seconds; s++) {
		m->now_ns += KL_NS_PER_S;
		for (uint32_t n = (uint32_t)(s % PERIOD_S); n < m->phones; n += PERIOD_S) {
			if (chance(m) < (double)RETURNS_A_DAY * PERIOD_S / 86400) {
				kl_sessions_time_out(m->sessions, m->phone[n]->id, m->now_ns);
				kl_sessions_remove(m->sessions, m->phone[n]->id);
				begin_session(m, n);
			}
			exchange(m, n);
		}
		if (chance(m) < REMOVALS_AN_HOUR / 3600.0)
			remove_mac(m);
		tick(m, false);
	}
	tick(m, true);
}

static double processor_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct maker m = { .random = 1, .now_ns = START_NS };
	const struct kl_sessions_config sessions = {
		.two_sided = true, .handler = take_story, .leaves = take_leaving, .arg = &m
	};
	struct kl_history_config config = { .path = argc > 1 ? argv[1] : NULL,
					    .version = "made",
					    .access = "eth1",
					    .cucm = "eth2",
					    .batch_ns = KL_HISTORY_PART_NS,
					    .say = say };
	struct kl_error err = {};
	double hours;

	if (!config.path) {
		fprintf(stderr, "usage: make-history FILE [PHONES [HOURS [LOST-OF-A-MILLION]]]\n");
		return 2;
	}
	m.phones = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
	hours = argc > 3 ? strtod(argv[3], NULL) : 24;
	m.lost = argc > 4 ? strtod(argv[4], NULL) / 1e6 : 0.001;
	m.phone = calloc(m.phones, sizeof(struct kl_session *));
	m.next_id = calloc(m.phones, sizeof(*m.next_id));
	if (!m.phones || !m.phone || !m.next_id || kl_sessions_new(&sessions, &m.sessions))
		return 2;
	if (kl_history_open(&config, &m.history, &err)) {
		fprintf(stderr, "make-history: %s\n", err.text);
		return 2;
	}
	kl_history_begin(m.history, m.now_ns, 1764000000ULL * KL_NS_PER_S);
	live(&m, (uint64_t)(hours * 3600));
	printf("%" PRIu64 " copies, %" PRIu64 " of them lost; told in %.1f s of processor time in "
	       "this thread, %.1f s in all\n",
	       m.copies, m.losses, processor_s(CLOCK_THREAD_CPUTIME_ID),
	       processor_s(CLOCK_PROCESS_CPUTIME_ID));
	kl_history_close(m.history);
	kl_sessions_free(m.sessions);
	free(m.phone);
	free(m.next_id);
	return 0;
}
