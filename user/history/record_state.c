// SPDX-License-Identifier: GPL-2.0-only
/* What is counted: by the minute, and of each session. */
#include "history/record.h"

#include <string.h>

#include "core/names.h"
#include "history/incidents.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* A session of which nothing is new is written again after this, for the time it was seen last. */
#define REFRESH_NS (900 * KL_NS_PER_S)

/* ---- Sessions ---- */

struct put {
	struct kl_history *h;
	struct kl_bytes *to; /* NULL: only where they stand is taken note of */
	bool all;
};

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

/* What is worth another look at once. */
static uint64_t looks_of(const struct kl_session *s)
{
	const uint64_t numbers[] = {
		s->closed_ns,	    s->registered_ns, s->vlan,	  s->role,   s->kind,
		s->expires_s,	    s->from_syn,      s->one_way, s->leaves, s->probable,
		s->schedule.source,
	};
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < KL_COUNT(numbers); i++)
		h = (h ^ numbers[i]) * 0x100000001b3ULL;
	h = mix(h, s->device, strnlen(s->device, sizeof(s->device)));
	h = mix(h, s->failure, strnlen(s->failure, sizeof(s->failure)));
	h = mix(h, s->mac, sizeof(s->mac));
	return mix(h, s->next_mac, sizeof(s->next_mac)) | 1;
}

static bool is_other_period(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) > a / 100;
}

static void put_session(const struct kl_session *s, void *arg)
{
	struct put *p = arg;
	struct kl_history *h = p->h;
	struct kl_known *k = kl_history_know(h, s->id, s->start_ns);
	struct kl_session_counts now;
	uint64_t looks = looks_of(s);

	if (!k) {
		h->batch.rows.bytes.failed = true;
		return;
	}
	kl_session_counts_read(s, &now);
	if (!p->to) {
		k->before = now;
		return;
	}
	if (p->all || k->looks != looks || is_other_period(s->schedule.period_us, k->period_us) ||
	    kl_since(h->tick_ns, k->written_ns) > REFRESH_NS)
		kl_history_put_session(h, k, s, NULL);
	k->looks = looks;
	kl_session_counts_pack(&now, &k->before, (uint64_t)k->number, p->to);
}

/* ---- Parts ---- */

static void put_copies_of(struct kl_history *h, unsigned level)
{
	struct kl_rows *r = &h->batch.rows;
	struct kl_bytes packed = {};
	size_t count = kl_copies_pack(&h->copies, level, &packed);

	r->bytes.failed |= packed.failed;
	if (count && !packed.failed) {
		kl_rows_begin(r, KL_ROW_COPIES);
		kl_rows_number(r, (int64_t)h->part_start_ns);
		kl_rows_number(r, h->run);
		kl_rows_number(r, level);
		kl_rows_number(r, (int64_t)count);
		kl_rows_bytes(r, packed.data, packed.len);
		kl_rows_end(r);
	}
	kl_bytes_done(&packed);
}

static void put_copies(struct kl_history *h)
{
	struct kl_rows *r = &h->batch.rows;

	if (h->copies.level) {
		kl_rows_begin(r, KL_ROW_COPIES_LEFT_OUT);
		kl_rows_number(r, (int64_t)h->part_start_ns);
		kl_rows_number(r, h->run);
		kl_rows_number(r, h->copies.level);
		kl_rows_end(r);
	}
	for (unsigned level = h->copies.level; level < KL_COPY_LEVELS; level++)
		put_copies_of(h, level);
	put_copies_of(h, KL_COPY_LOST);
}

void kl_history_put_part(struct kl_history *h, const struct kl_history_tick *tick, bool all)
{
	struct kl_rows *r = &h->batch.rows;
	struct kl_bytes sessions = {};
	struct put put = { .h = h, .to = &sessions, .all = all };

	kl_bytes_add(&sessions, h->gone.data, h->gone.len);
	kl_sessions_visit(tick->sessions, put_session, &put);
	r->bytes.failed |= sessions.failed || h->gone.failed;
	kl_rows_begin(r, KL_ROW_PART);
	kl_rows_number(r, (int64_t)h->part_start_ns);
	kl_rows_number(r, h->run);
	kl_rows_number(r, (int64_t)h->end_ns);
	kl_rows_number(r, h->copies.level);
	kl_rows_number(r, (int64_t)h->copies.unlisted);
	kl_rows_bytes(r, sessions.data, sessions.len);
	kl_rows_end(r);
	kl_bytes_done(&sessions);
	put_copies(h);
}

void kl_history_begin_part(struct kl_history *h, const struct kl_history_tick *tick)
{
	struct put put = { .h = h };

	h->part_start_ns = h->tick_ns;
	h->gone.len = 0;
	h->gone.failed = false;
	kl_copies_clear(&h->copies);
	kl_history_forget_strays(h);
	if (tick)
		kl_sessions_visit(tick->sessions, put_session, &put);
	kl_history_begin_minute(h);
}

/* ---- Minutes ---- */

void kl_history_begin_minute(struct kl_history *h)
{
	h->minute = (struct kl_minute){
		.start_ns = h->tick_ns,
		.before = h->counters,
		.own_before = h->own,
	};
}

void kl_history_count(struct kl_history *h, const struct kl_history_tick *tick)
{
	struct kl_minute *m = &h->minute;

	h->counters = *tick->counters;
	h->own = *tick->own;
	m->mac_flushes += tick->mac_flushes;
	if (tick->phones > m->phones)
		m->phones = tick->phones;
	if (tick->transit_max_ns > m->transit_max_ns)
		m->transit_max_ns = tick->transit_max_ns;
	if (tick->answer_max_ns > m->answer_max_ns)
		m->answer_max_ns = tick->answer_max_ns;
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		for (int w = 0; w < KL_WHERES; w++)
			m->inferred[d][w] += tick->inferred[d][w];
	}
}

/* Buckets that counted something: how far from the one before, and how much. */
static void put_histogram(struct kl_rows *r, const __u64 *now, const __u64 *before)
{
	struct kl_bytes packed = {};
	unsigned last = 0;

	for (unsigned i = 0; i < KL_HIST_BUCKETS; i++) {
		if (now[i] == before[i])
			continue;
		kl_bytes_number(&packed, i - last);
		kl_bytes_number(&packed, now[i] - before[i]);
		last = i;
	}
	r->bytes.failed |= packed.failed;
	kl_rows_bytes(r, packed.data, packed.len);
	kl_bytes_done(&packed);
}

static int64_t pending(const struct kl_counters *n, int d, int k)
{
	return (int64_t)(n->tally[KL_SENT][d][k] - n->tally[KL_UNSENT][d][k] -
			 n->tally[KL_DELIVERED][d][k] - n->tally[KL_LOST_BETWEEN][d][k]);
}

static void put_count(struct kl_history *h, int d, int k)
{
	const struct kl_counters *now = &h->counters, *before = &h->minute.before;
	struct kl_rows *r = &h->batch.rows;
	int64_t n[KL_TALLIES], any = pending(before, d, k);

	for (int i = 0; i < KL_TALLIES; i++) {
		n[i] = (int64_t)(now->tally[i][d][k] - before->tally[i][d][k]);
		any |= n[i];
	}
	if (!any)
		return;
	kl_rows_begin(r, KL_ROW_MINUTE_COUNT);
	kl_rows_number(r, (int64_t)h->minute.start_ns);
	kl_rows_number(r, h->run);
	kl_rows_text(r, kl_direction_name((__u32)d));
	kl_rows_text(r, kl_kind_name((__u32)k));
	kl_rows_number(r, n[KL_SENT] - n[KL_UNSENT]);
	kl_rows_number(r, n[KL_DELIVERED]);
	kl_rows_number(r, n[KL_LOST_BETWEEN]);
	kl_rows_number(r, n[KL_RETRANSMITTED]);
	kl_rows_number(r, n[KL_DUPLICATES]);
	kl_rows_number(r, pending(before, d, k));
	kl_rows_end(r);
}

static void put_incident(const char *name, uint64_t count, void *arg)
{
	struct kl_history *h = arg;
	struct kl_rows *r = &h->batch.rows;

	if (!count)
		return;
	kl_rows_begin(r, KL_ROW_MINUTE_INTEGRITY);
	kl_rows_number(r, (int64_t)h->minute.start_ns);
	kl_rows_number(r, h->run);
	kl_rows_text(r, name);
	kl_rows_number(r, (int64_t)count);
	kl_rows_end(r);
}

static void put_incidents(struct kl_history *h)
{
	struct kl_counters since = h->counters;
	struct kl_tally_own own = h->own;

	for (int i = 0; i < KL_INCIDENTS; i++)
		since.incident[i] -= h->minute.before.incident[i];
	for (int i = 0; i < KL_FATES; i++)
		since.unpaired[i] -= h->minute.before.unpaired[i];
	own.flows_evicted -= h->minute.own_before.flows_evicted;
	own.gaps -= h->minute.own_before.gaps;
	own.one_way -= h->minute.own_before.one_way;
	kl_incidents_visit(&since, &own, put_incident, h);
}

void kl_history_put_minute(struct kl_history *h)
{
	static const enum kl_where wheres[] = { KL_PHONE_SIDE, KL_CUCM_SIDE, KL_WHERE_UNKNOWN };
	const struct kl_minute *m = &h->minute;
	struct kl_rows *r = &h->batch.rows;

	kl_rows_begin(r, KL_ROW_MINUTE);
	kl_rows_number(r, (int64_t)m->start_ns);
	kl_rows_number(r, h->run);
	kl_rows_number(r, (int64_t)h->end_ns);
	kl_rows_number(r, (int64_t)m->phones);
	for (int d = 0; d < KL_DIRECTIONS; d++)
		kl_rows_number(r, (int64_t)(h->counters.segments[d] - m->before.segments[d]));
	if (h->has.has_bridge || h->has.has_snmp || h->has.has_syslog)
		kl_rows_number(r, (int64_t)m->mac_flushes);
	else
		kl_rows_null(r);
	for (size_t w = 0; w < KL_COUNT(wheres); w++) {
		for (int d = 0; d < KL_DIRECTIONS; d++)
			kl_rows_number(r, (int64_t)m->inferred[d][wheres[w]]);
	}
	for (int d = 0; d < KL_DIRECTIONS; d++)
		kl_rows_number(r,
			       (int64_t)(h->own.retransmitted[d] - m->own_before.retransmitted[d]));
	kl_rows_number(r, (int64_t)m->transit_max_ns);
	kl_rows_number(r, (int64_t)m->answer_max_ns);
	put_histogram(r, h->counters.transit, m->before.transit);
	put_histogram(r, h->counters.answer, m->before.answer);
	kl_rows_end(r);
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		for (int k = 0; k < KL_KINDS; k++)
			put_count(h, d, k);
	}
	put_incidents(h);
}
