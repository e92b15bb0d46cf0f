// SPDX-License-Identifier: GPL-2.0-only
#include "history/load.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/diagnosis_behind.h"
#include "core/names.h"
#include "history/copies.h"
#include "history/counts.h"
#include "history/history.h"
#include "history/incidents.h"
#include "history/store.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	NUMBERS_MAX = 1 << 28,	 /* of sessions, from the first one to the last */
	SESSIONS_AWAKE = 1 << 7, /* each that is found is looked for among them */
};

/* Runs that follow each other within this time leave nothing out. */
#define RESTART_NS (2 * KL_NS_PER_S)

struct kept_session {
	struct kl_session s;
	bool used;
};

struct load {
	sqlite3 *db;
	struct kl_history_view *v;
	struct kl_error *err;
	struct kept_session *sessions; /* by their number */
	size_t session_count;
	uint32_t *place; /* of a number less the first one, in that list, plus 1; 0: none */
	uint64_t first_number, numbers;
	uint64_t wanted_ns;
	unsigned level; /* of copies that are read, from this one on */
	uint64_t copies_unlisted;
	uint64_t unreadable; /* blobs that make no sense */
};

/* ---- Queries ---- */

static int fail(struct load *l)
{
	return kl_fail(l->err, -EIO, "reading it: %s", sqlite3_errmsg(l->db));
}

static void finalize(sqlite3_stmt **q)
{
	sqlite3_finalize(*q);
}

#define _cleanup_query_ __attribute__((cleanup(finalize)))

typedef int (*row_taker)(struct load *l, sqlite3_stmt *q);

/* Each row of what is asked for, ?1 being where the stretch begins. */
static int each_row(struct load *l, const char *sql, row_taker take)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(l->db, sql, -1, &q, NULL), taken = 0;

	if (r != SQLITE_OK)
		return fail(l);
	if (sqlite3_bind_parameter_count(q))
		sqlite3_bind_int64(q, 1, (int64_t)l->v->from_ns);
	while (!taken && (r = sqlite3_step(q)) == SQLITE_ROW)
		taken = take(l, q);
	if (taken)
		return taken == -ENOMEM ? kl_fail(l->err, taken, "out of memory") : taken;
	return r == SQLITE_DONE ? 0 : fail(l);
}

static uint64_t number(sqlite3_stmt *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q, column);
}

static const char *text(sqlite3_stmt *q, int column)
{
	const char *t = (const char *)sqlite3_column_text(q, column);

	return t ? t : "";
}

static void copy_text(sqlite3_stmt *q, int column, char *ret, size_t size)
{
	snprintf(ret, size, "%s", text(q, column));
}

static struct kl_unpack bytes(sqlite3_stmt *q, int column)
{
	const uint8_t *data = sqlite3_column_blob(q, column);

	return (struct kl_unpack){ .at = data, .end = data + sqlite3_column_bytes(q, column) };
}

static void read_mac(const char *from, uint8_t ret[6])
{
	uint8_t m[6];

	if (sscanf(from, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3], &m[4],
		   &m[5]) == 6)
		memcpy(ret, m, sizeof(m));
}

static uint8_t read_address(const char *from, uint32_t word[4])
{
	memset(word, 0, 4 * sizeof(word[0]));
	if (inet_pton(AF_INET, from, word) == 1)
		return 4;
	return inet_pton(AF_INET6, from, word) == 1 ? 6 : 0;
}

static unsigned direction_of(const char *name)
{
	return strcmp(name, kl_direction_name(KL_TO_PHONE)) ? KL_TO_CUCM : KL_TO_PHONE;
}

/* What a later version may have named otherwise is another kind. */
static uint8_t kind_of(const char *name)
{
	for (unsigned k = 0; k < KL_KINDS; k++) {
		if (!strcmp(kl_kind_name(k), name))
			return (uint8_t)k;
	}
	return KL_OTHER;
}

static uint8_t where_of(const char *name)
{
	for (unsigned w = 0; w < KL_WHERES; w++) {
		if (!strcmp(kl_where_name((enum kl_where)w), name))
			return (uint8_t)w;
	}
	return KL_WHERE_UNKNOWN;
}

__attribute__((format(printf, 2, 3))) static void remark(struct load *l, const char *format, ...)
{
	struct kl_history_view *v = l->v;
	va_list args;

	if (v->remark_count == KL_HISTORY_REMARKS)
		return;
	va_start(args, format);
	vsnprintf(v->remarks[v->remark_count++], KL_HISTORY_REMARK, format, args);
	va_end(args);
}

/* ---- From when to when ---- */

static int take_extent(struct load *l, sqlite3_stmt *q)
{
	l->v->from_ns = number(q, 0);
	l->v->to_ns = number(q, 1);
	return 0;
}

static int take_begin(struct load *l, sqlite3_stmt *q)
{
	if (number(q, 1) <= l->wanted_ns)
		return 0;
	l->v->from_ns = number(q, 0);
	return 1;
}

static int find_extent(struct load *l, uint64_t since_ns)
{
	uint64_t first_ns;
	int r = each_row(l, "SELECT min(start_ns), max(until_ns) FROM part HAVING count(*) > 0",
			 take_extent);

	if (r)
		return r;
	if (!l->v->to_ns)
		return kl_fail(l->err, -ENODATA, "nothing was written to it yet");
	first_ns = l->v->from_ns;
	l->wanted_ns = since_ns ? kl_since(l->v->to_ns, since_ns) : 0;
	r = each_row(l, "SELECT start_ns, until_ns FROM part ORDER BY start_ns", take_begin);
	if (r < 0)
		return r;
	if (since_ns && l->wanted_ns < first_ns) {
		char begin[40];

		kl_format_time(first_ns, begin, sizeof(begin));
		remark(l, "The history begins at %s", begin);
	}
	return 0;
}

/* ---- What was counted ---- */

struct counted {
	struct kl_counters n;
	struct kl_maxima max;
	struct kl_tally_own own;
};

struct counting {
	struct load l;
	struct counted *to;
};

static struct counted *counted_of(struct load *l)
{
	return ((struct counting *)l)->to;
}

static void add_histogram(struct load *l, struct kl_unpack u, __u64 *to)
{
	uint64_t bucket = 0;

	while (u.at < u.end && !u.bad) {
		uint64_t n;

		bucket += kl_unpack_number(&u);
		n = kl_unpack_number(&u);
		if (bucket < KL_HIST_BUCKETS)
			to[bucket] += n;
		else
			u.bad = true;
	}
	l->unreadable += u.bad;
}

static int take_minute(struct load *l, sqlite3_stmt *q)
{
	static const enum kl_where wheres[] = { KL_PHONE_SIDE, KL_CUCM_SIDE, KL_WHERE_UNKNOWN };
	struct counted *c = counted_of(l);
	struct kl_diagnosis *d = &l->v->d;

	if (number(q, 0) > d->phones)
		d->phones = number(q, 0);
	for (int way = 0; way < KL_DIRECTIONS; way++) {
		c->n.segments[way] += number(q, 1 + way);
		for (int w = 0; w < (int)KL_COUNT(wheres); w++)
			d->inferred[way][wheres[w]] += number(q, 3 + 2 * w + way);
		c->own.retransmitted[way] += number(q, 9 + way);
	}
	if (number(q, 11) > c->max.transit_ns)
		c->max.transit_ns = number(q, 11);
	if (number(q, 12) > c->max.answer_ns)
		c->max.answer_ns = number(q, 12);
	add_histogram(l, bytes(q, 13), c->n.transit);
	add_histogram(l, bytes(q, 14), c->n.answer);
	return 0;
}

static int take_count(struct load *l, sqlite3_stmt *q)
{
	__u64(*tally)[KL_DIRECTIONS][KL_KIND_SLOTS] = counted_of(l)->n.tally;
	unsigned d = direction_of(text(q, 0));
	uint8_t k = kind_of(text(q, 1));
	int64_t sent = sqlite3_column_int64(q, 2);

	/* What was under way when the stretch begins was sent before, and arrives in it. */
	if (number(q, 7))
		sent += sqlite3_column_int64(q, 8);
	if (sent >= 0)
		tally[KL_SENT][d][k] += (uint64_t)sent;
	else
		tally[KL_UNSENT][d][k] += (uint64_t)-sent;
	tally[KL_DELIVERED][d][k] += number(q, 3);
	tally[KL_LOST_BETWEEN][d][k] += number(q, 4);
	tally[KL_RETRANSMITTED][d][k] += number(q, 5);
	tally[KL_DUPLICATES][d][k] += number(q, 6);
	return 0;
}

static int take_incident(struct load *l, sqlite3_stmt *q)
{
	struct counted *c = counted_of(l);

	if (!kl_incidents_add(&c->n, &c->own, text(q, 0), number(q, 1)))
		remark(l, "%" PRIu64 " times %s, of which this version knows nothing", number(q, 1),
		       text(q, 0));
	return 0;
}

static int read_counts(struct load *load)
{
	_cleanup_free_ struct counted *c = calloc(1, sizeof(*c));
	_cleanup_free_ struct kl_tally_state *state = calloc(1, sizeof(*state));
	struct counting counting = { .l = *load, .to = c };
	struct kl_tally_report report;
	struct kl_diagnosis *d = &load->v->d;
	int r;

	if (!c || !state)
		return kl_fail(load->err, -ENOMEM, "out of memory");
	r = each_row(&counting.l,
		     "SELECT phones, segments_to_cucm, segments_to_phone,"
		     " lost_phone_side_to_cucm, lost_phone_side_to_phone,"
		     " lost_cucm_side_to_cucm, lost_cucm_side_to_phone,"
		     " lost_unknown_to_cucm, lost_unknown_to_phone,"
		     " retransmitted_unseen_to_cucm, retransmitted_unseen_to_phone,"
		     " transit_max_ns, answer_max_ns, transit, answer"
		     " FROM minute WHERE start_ns >= ?1",
		     take_minute)
		    /* A stretch begins where no minute of that run comes just before. */
		    ?: each_row(&counting.l,
				"SELECT direction, kind, sum(sent), sum(delivered),"
				" sum(lost_between), sum(retransmitted), sum(duplicates), 1,"
				" sum(CASE WHEN (start_ns, run) IN (SELECT start_ns, run FROM"
				"  (SELECT start_ns, run, lag(until_ns) OVER"
				"   (PARTITION BY run ORDER BY start_ns) AS before FROM minute"
				"   WHERE start_ns >= ?1)"
				"  WHERE before IS NOT start_ns) THEN pending_before ELSE 0 END)"
				" FROM minute_count WHERE start_ns >= ?1 GROUP BY direction, kind",
				take_count)
			       ?: each_row(&counting.l,
					   "SELECT what, sum(count) FROM minute_integrity"
					   " WHERE start_ns >= ?1 GROUP BY what",
					   take_incident);
	load->unreadable = counting.l.unreadable;
	if (r)
		return r;
	for (__u32 way = 0; way < KL_DIRECTIONS; way++)
		kl_sessions_restore_retransmissions(load->v->sessions, way,
						    c->own.retransmitted[way]);
	state->own = c->own;
	kl_tally_tick(state, &c->n, &c->max, &report);
	d->total = state->total;
	/* Finishing adds the sums of the kinds. */
	for (int way = 0; way < KL_DIRECTIONS; way++)
		d->total.direction[way] =
			(struct kl_count){ .pending = d->total.direction[way].pending };
	return 0;
}

/* ---- Sessions ---- */

static int take_session_count(struct load *l, sqlite3_stmt *q)
{
	l->session_count = number(q, 0);
	return 0;
}

static void read_ends(sqlite3_stmt *q, int column, struct kl_endpoints *ret)
{
	ret->family = (uint8_t)number(q, column);
	read_address(text(q, column + 1), ret->phone);
	ret->phone_port = (uint16_t)number(q, column + 2);
	read_address(text(q, column + 3), ret->cucm);
	ret->cucm_port = (uint16_t)number(q, column + 4);
}

static uint8_t role_of(const char *name)
{
	for (unsigned role = 0; role <= KL_ROLE_BACKUP; role++) {
		if (!strcmp(kl_role_name((enum kl_role)role), name))
			return (uint8_t)role;
	}
	return KL_ROLE_UNKNOWN;
}

static int take_session(struct load *l, sqlite3_stmt *q)
{
	struct kept_session *k = &l->sessions[l->session_count++];
	struct kl_session *s = &k->s;

	*k = (struct kept_session){};
	s->id = number(q, 0);
	read_ends(q, 1, &s->ends);
	copy_text(q, 6, s->device, sizeof(s->device));
	read_mac(text(q, 7), s->mac);
	read_mac(text(q, 8), s->next_mac);
	s->vlan = (uint16_t)number(q, 9);
	s->role = role_of(text(q, 10));
	s->kind = kind_of(text(q, 11));
	s->schedule.period_us = number(q, 12);
	s->schedule.jitter_us = (uint32_t)number(q, 13);
	s->expires_s = (uint32_t)number(q, 14);
	s->start_ns = number(q, 15);
	s->seen_ns = number(q, 16);
	s->registered_ns = number(q, 17);
	s->closed_ns = number(q, 18);
	s->from_syn = number(q, 19);
	s->one_way = number(q, 20);
	s->leaves = number(q, 21);
	s->probable = number(q, 22);
	copy_text(q, 23, s->failure, sizeof(s->failure));
	k->used = s->seen_ns >= l->v->from_ns;
	return 0;
}

#define SESSIONS_WANTED                                                                            \
	" FROM session WHERE seen_ns >= ?1 - 3600000000000 OR id IN"                               \
	" (SELECT session FROM loss WHERE told_ns >= ?1)"

/* Millions of parts refer to them: by a table of all numbers, of which nearly each is there. */
static int index_sessions(struct load *l)
{
	if (!l->session_count)
		return 0;
	l->first_number = l->sessions[0].s.id;
	l->numbers = l->sessions[l->session_count - 1].s.id - l->first_number + 1;
	if (l->numbers > NUMBERS_MAX)
		return kl_fail(l->err, -EBADMSG, "its sessions bear numbers that cannot be");
	l->place = calloc(l->numbers, sizeof(*l->place));
	if (!l->place)
		return kl_fail(l->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < l->session_count; i++)
		l->place[l->sessions[i].s.id - l->first_number] = (uint32_t)i + 1;
	return 0;
}

static int read_sessions(struct load *l)
{
	int r = each_row(l, "SELECT count(*)" SESSIONS_WANTED, take_session_count);

	if (r)
		return r;
	l->sessions = calloc(l->session_count ?: 1, sizeof(*l->sessions));
	if (!l->sessions)
		return kl_fail(l->err, -ENOMEM, "out of memory");
	l->session_count = 0;
	return each_row(l,
			"SELECT id, family, phone_ip, phone_port, cucm_ip, cucm_port, device, mac,"
			" next_mac, vlan, role, kind, period_us, jitter_us, expires_s, start_ns,"
			" seen_ns, registered_ns, closed_ns, from_syn, one_way, leaves, probable,"
			" last_failure" SESSIONS_WANTED " ORDER BY id",
			take_session)
		       ?: index_sessions(l);
}

static struct kl_session *use_session(struct load *l, uint64_t id)
{
	struct kept_session *k;
	uint32_t place;

	if (id < l->first_number || id - l->first_number >= l->numbers)
		return NULL;
	place = l->place[id - l->first_number];
	if (!place)
		return NULL;
	k = &l->sessions[place - 1];
	k->used = true;
	return &k->s;
}

static int restore_sessions(struct load *l)
{
	for (size_t i = 0; i < l->session_count; i++) {
		if (l->sessions[i].used && kl_sessions_restore(l->v->sessions, &l->sessions[i].s))
			return kl_fail(l->err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* ---- Parts: what sessions counted, and copies ---- */

static int take_part(struct load *l, sqlite3_stmt *q)
{
	struct kl_unpack u = bytes(q, 4);
	uint64_t id;

	l->v->duration_s += (double)kl_since(number(q, 1), number(q, 0)) / 1e9;
	if (number(q, 2) > l->level && number(q, 2) < KL_COPY_LEVELS)
		l->level = (unsigned)number(q, 2);
	l->copies_unlisted += number(q, 3);
	while ((id = kl_session_counts_next(&u)) && !u.bad)
		kl_session_counts_unpack(&u, use_session(l, id));
	l->unreadable += u.bad;
	return 0;
}

struct levels {
	struct load l;
	uint64_t count[KL_COPY_LEVELS];
};

static int take_level(struct load *l, sqlite3_stmt *q)
{
	uint64_t level = number(q, 0);

	if (level < KL_COPY_LEVELS)
		((struct levels *)l)->count[level] = number(q, 1);
	return 0;
}

/* As many as are compared. */
static int choose_level(struct load *l)
{
	struct levels levels = { .l = *l };
	uint64_t above = 0;
	unsigned level = KL_COPY_LEVELS;
	int r = each_row(&levels.l,
			 "SELECT level, sum(count) FROM copies WHERE start_ns >= ?1 GROUP BY level",
			 take_level);

	while (!r && level > l->level && above + levels.count[level - 1] <= KL_HISTORY_COPIES)
		above += levels.count[--level];
	if (!r && level > l->level)
		l->level = level;
	return r;
}

static int take_copies(struct load *l, sqlite3_stmt *q)
{
	bool lost = number(q, 0) == KL_COPY_LOST;
	struct kl_unpack u = bytes(q, 1);
	struct kl_observed o;
	uint64_t last_ns = 0;
	int r = 0;

	if (!lost && number(q, 0) < l->level)
		return 0;
	if (lost && l->v->d.observed_count > KL_HISTORY_COPIES + KL_HISTORY_COPIES_LOST)
		l->copies_unlisted++;
	else
		while ((r = kl_copies_unpack(&u, &last_ns, &o)) == 1) {
			if (kl_diagnosis_observe(&l->v->d, &o))
				return -ENOMEM;
		}
	l->unreadable += r < 0;
	return 0;
}

static int read_parts(struct load *l)
{
	int r = each_row(l,
			 "SELECT start_ns, until_ns, copies_level, copies_unlisted, sessions"
			 " FROM part WHERE start_ns >= ?1",
			 take_part)
			?: choose_level(l);

	if (r)
		return r;
	r = each_row(l, "SELECT level, packed FROM copies WHERE start_ns >= ?1", take_copies);
	l->v->d.observed_stride = 1U << l->level;
	return r;
}

/* ---- Losses ---- */

static int keep_drop(struct load *l, sqlite3_stmt *q, struct kl_lost *lost)
{
	struct kl_drop drop = {
		.ends = lost->ends,
		.direction = lost->direction,
		.time_ns = number(q, 16),
		.seq = (uint32_t)number(q, 17),
		.length = (uint32_t)number(q, 18),
	};

	if (sqlite3_column_type(q, 16) == SQLITE_NULL)
		return 0;
	copy_text(q, 19, drop.reason, sizeof(drop.reason));
	copy_text(q, 20, drop.symbol, sizeof(drop.symbol));
	copy_text(q, 21, drop.interface, sizeof(drop.interface));
	return kl_evidence_drop(&l->v->d.evidence, &drop, &lost->drop);
}

static int take_loss(struct load *l, sqlite3_stmt *q)
{
	const struct kl_session *s = use_session(l, number(q, 0));
	bool inferred = sqlite3_column_type(q, 15) != SQLITE_NULL;
	struct kl_lost lost = {
		.conn_id = number(q, 0),
		.time_ns = number(q, 1),
		.direction = (uint8_t)direction_of(text(q, 2)),
		.where = where_of(text(q, 3)),
		.kind = kind_of(text(q, 4)),
		.seq = (uint32_t)number(q, 5),
		.seq_other = (uint32_t)number(q, 6),
		.length = (uint32_t)number(q, 7),
		.vlan = (uint16_t)number(q, 8),
		.copies = { (uint32_t)number(q, 9), (uint32_t)number(q, 10) },
		.late_ns = number(q, 11),
		.idle_ns = number(q, 12),
		.idle_known = (uint8_t)(number(q, 13) & 3),
		.probable = number(q, 14),
		.evidence = inferred ? (char *)text(q, 15) : NULL,
	};
	int r;

	if (s) {
		lost.ends = s->ends;
		memcpy(lost.device, s->device, sizeof(lost.device));
		memcpy(lost.mac, s->mac, sizeof(lost.mac));
	}
	lost.seen[KL_ACCESS] = lost.seen[KL_CUCM] = lost.ends;
	r = keep_drop(l, q, &lost);
	return r ?: kl_diagnosis_lost(&l->v->d, &lost);
}

static int read_losses(struct load *l)
{
	return each_row(l,
			"SELECT session, time_ns, direction, place, kind, seq, seq_other, length,"
			" vlan, copies_access, copies_cucm, late_ns, idle_ns, idle_known, probable,"
			" evidence, drop_ns, drop_seq, drop_length, drop_reason, drop_symbol,"
			" drop_interface FROM loss WHERE told_ns >= ?1 ORDER BY id",
			take_loss);
}

/* ---- Evidence ---- */

static uint8_t source_of(const char *name)
{
	for (unsigned s = 0; s < KL_MAC_SOURCES; s++) {
		if (!strcmp(kl_mac_source_name((enum kl_mac_source)s), name))
			return (uint8_t)s;
	}
	return KL_MAC_FROM_SNMP;
}

static int take_mac(struct load *l, sqlite3_stmt *q)
{
	struct kl_mac_evidence m = {
		.time_ns = number(q, 0),
		.earliest_ns = number(q, 1),
		.source = source_of(text(q, 3)),
		.has_mac = sqlite3_column_type(q, 4) != SQLITE_NULL,
		.vlan = (uint16_t)number(q, 5),
		.silent_ms = (uint32_t)number(q, 6),
	};

	while (m.happening < KL_MAC_HAPPENINGS &&
	       strcmp(kl_mac_happening_name((enum kl_mac_happening)m.happening), text(q, 2)))
		m.happening++;
	if (m.happening == KL_MAC_HAPPENINGS)
		return 0;
	read_mac(text(q, 4), m.mac);
	copy_text(q, 7, m.port, sizeof(m.port));
	copy_text(q, 8, m.from_port, sizeof(m.from_port));
	copy_text(q, 9, m.told_by, sizeof(m.told_by));
	return kl_evidence_mac(&l->v->d.evidence, &m);
}

static int take_ageing(struct load *l, sqlite3_stmt *q)
{
	struct kl_ageing_evidence a = {
		.source = source_of(text(q, 0)),
		.port_security = number(q, 3),
		.absolute = number(q, 4),
		.time_ns = number(q, 5),
		.ageing_ms = number(q, 6),
	};

	copy_text(q, 1, a.told_by, sizeof(a.told_by));
	copy_text(q, 2, a.port, sizeof(a.port));
	return kl_evidence_ageing(&l->v->d.evidence, &a);
}

/* "MAC answers first answers, ..." */
static void read_claims(const char *claims, struct kl_arp_conflict *ret)
{
	while (ret->mac_count < KL_ARP_MACS) {
		unsigned answers, first_answers;
		char mac[KL_MAC_TEXT];

		if (sscanf(claims, "%17s %u %u", mac, &answers, &first_answers) != 3)
			return;
		read_mac(mac, ret->mac[ret->mac_count]);
		ret->answers[ret->mac_count] = answers;
		ret->first_answers[ret->mac_count++] = first_answers;
		claims = strchr(claims, ',');
		if (!claims)
			return;
		claims++;
	}
}

static int take_arp(struct load *l, sqlite3_stmt *q)
{
	struct kl_arp_conflict c = {
		.first_ns = number(q, 1),
		.time_ns = number(q, 2),
		.requests = (uint32_t)number(q, 3),
		.first = (uint8_t)(number(q, 4) % KL_ARP_MACS),
	};

	c.address.family = read_address(text(q, 0), c.address.word);
	read_claims(text(q, 5), &c);
	return kl_evidence_arp(&l->v->d.evidence, &c);
}

static int take_alarm(struct load *l, sqlite3_stmt *q)
{
	struct kl_alarm a = {
		.session = number(q, 0),
		.time_ns = number(q, 1),
		.type = (uint8_t)(number(q, 2) <= KL_ALARM_OTHER ? number(q, 2) : KL_ALARM_OTHER),
		.reason = (int)sqlite3_column_int64(q, 6),
		.matched_loss = number(q, 11),
		.losses = number(q, 12),
	};

	copy_text(q, 3, a.name, sizeof(a.name));
	copy_text(q, 4, a.device, sizeof(a.device));
	a.address.family = read_address(text(q, 5), a.address.word);
	copy_text(q, 7, a.reason_name, sizeof(a.reason_name));
	copy_text(q, 8, a.protocol, sizeof(a.protocol));
	copy_text(q, 9, a.node, sizeof(a.node));
	copy_text(q, 10, a.last_signal, sizeof(a.last_signal));
	use_session(l, a.session);
	return kl_evidence_alarm(&l->v->d.evidence, &a);
}

static int take_stop(struct load *l, sqlite3_stmt *q)
{
	struct kl_ending e = {
		.session = number(q, 0),
		.time_ns = number(q, 1),
		.leaves = number(q, 4),
		.ttl = (uint8_t)number(q, 5),
		.usual_ttl = (uint8_t)number(q, 6),
		.first_side = strcmp(text(q, 7), kl_side_name(KL_CUCM)) ? KL_ACCESS : KL_CUCM,
	};
	const char *by = text(q, 2), *how = text(q, 3);

	e.by = !strcmp(by, "phone")  ? KL_BY_PHONE
	       : !strcmp(by, "cucm") ? KL_BY_CUCM
				     : KL_BY_UNKNOWN;
	e.how = !strcmp(how, "fin")	  ? KL_HOW_FIN
		: !strcmp(how, "rst")	  ? KL_HOW_RST
		: !strcmp(how, "timeout") ? KL_HOW_TIMEOUT
					  : KL_HOW_NULL;
	use_session(l, e.session);
	return kl_evidence_ending(&l->v->d.evidence, &e);
}

static int take_rule(struct load *l, sqlite3_stmt *q)
{
	struct kl_rule_evidence r = {
		.time_ns = number(q, 2),
		.packets = number(q, 3),
		.counted = number(q, 4),
	};

	copy_text(q, 0, r.rule, sizeof(r.rule));
	copy_text(q, 1, r.says, sizeof(r.says));
	return kl_evidence_rule(&l->v->d.evidence, &r);
}

static int take_run(struct load *l, sqlite3_stmt *q)
{
	struct kl_evidence *e = &l->v->d.evidence;

	e->has_bridge |= number(q, 0);
	e->has_snmp |= number(q, 1);
	e->has_syslog |= number(q, 2);
	e->has_arp |= number(q, 3);
	e->has_drops |= number(q, 4);
	e->has_alarms |= number(q, 5);
	return 0;
}

static int read_evidence(struct load *l)
{
	int r = each_row(l,
			 "SELECT has_bridge, has_snmp, has_syslog, has_arp, has_drops, has_alarms"
			 " FROM run WHERE end_ns >= ?1",
			 take_run)
			?: each_row(l,
				    "SELECT time_ns, earliest_ns, event, source, mac, vlan,"
				    " silent_ms, port, from_port, told_by FROM mac"
				    " WHERE time_ns >= ?1 ORDER BY id",
				    take_mac)
			?: each_row(l,
				    "SELECT source, told_by, port, port_security, absolute,"
				    " max(time_ns), ageing_ms FROM ageing WHERE run IN"
				    " (SELECT id FROM run WHERE end_ns >= ?1)"
				    " GROUP BY source, told_by, port, port_security ORDER BY time_ns",
				    take_ageing)
			?: each_row(l,
				    "SELECT ip, first_ns, time_ns, requests, first, claims FROM arp"
				    " WHERE time_ns >= ?1 ORDER BY time_ns",
				    take_arp)
			?: each_row(l,
				    "SELECT session, time_ns, type, name, device, ip, reason,"
				    " reason_name, protocol, node, last_signal, matched_loss,"
				    " losses FROM alarm WHERE time_ns >= ?1 ORDER BY id",
				    take_alarm)
			?: each_row(l,
				    "SELECT session, time_ns, by, how, leaves, ttl, usual_ttl,"
				    " first_side FROM session_event WHERE time_ns >= ?1"
				    " AND event = 'stop' ORDER BY id",
				    take_stop);

	if (r || !l->v->d.evidence.drop.count)
		return r;
	return each_row(l,
			"SELECT rule, max(says), max(time_ns), sum(packets), max(counted) FROM rule"
			" WHERE time_ns >= ?1 GROUP BY rule"
			" ORDER BY max(counted) DESC, sum(packets) DESC",
			take_rule);
}

/* ---- Drops that no loss tells of ---- */

struct dropping {
	struct load l;
	struct kl_drop *drop;
	size_t count, room;
};

static int take_dropped(struct load *l, sqlite3_stmt *q)
{
	struct dropping *d = (struct dropping *)l;
	struct kl_drop *drop;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		struct kl_drop *grown = reallocarray(d->drop, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->drop = grown;
		d->room = room;
	}
	drop = &d->drop[d->count++];
	*drop = (struct kl_drop){
		.time_ns = number(q, 0),
		.direction = (uint8_t)direction_of(text(q, 6)),
		.seq = (uint32_t)number(q, 7),
		.length = (uint32_t)number(q, 8),
	};
	read_ends(q, 1, &drop->ends);
	copy_text(q, 9, drop->reason, sizeof(drop->reason));
	copy_text(q, 10, drop->symbol, sizeof(drop->symbol));
	copy_text(q, 11, drop->interface, sizeof(drop->interface));
	return 0;
}

static int read_dropped(struct load *l)
{
	struct dropping d = { .l = *l };
	int r = each_row(&d.l,
			 "SELECT time_ns, family, phone_ip, phone_port, cucm_ip, cucm_port,"
			 " direction, seq, length, reason, symbol, interface FROM dropped"
			 " WHERE time_ns >= ?1 ORDER BY id",
			 take_dropped);

	if (!r && kl_diagnosis_behind(&l->v->d, d.drop, d.count))
		r = kl_fail(l->err, -ENOMEM, "out of memory");
	free(d.drop);
	return r;
}

/* ---- What is missing ---- */

static int take_gap(struct load *l, sqlite3_stmt *q)
{
	char from[40], to[40];

	kl_format_time(number(q, 0), from, sizeof(from));
	kl_format_time(number(q, 1), to, sizeof(to));
	remark(l, "%" PRIu64 " records from %s to %s are not in the history: %s", number(q, 3),
	       from, to, text(q, 2));
	return 0;
}

static int take_pause(struct load *l, sqlite3_stmt *q)
{
	char from[40], to[40];

	kl_format_time(number(q, 0), from, sizeof(from));
	kl_format_time(number(q, 1), to, sizeof(to));
	remark(l, "kaloss watch did not run from %s to %s%s", from, to,
	       number(q, 2) ? "" : ", after it was ended without warning");
	return 0;
}

static int take_remark(struct load *l, sqlite3_stmt *q)
{
	remark(l, "%s", text(q, 0));
	return 0;
}

static int read_remarks(struct load *l)
{
	char sql[600];

	snprintf(
		sql, sizeof(sql),
		"SELECT before, start_ns, ended FROM (SELECT start_ns, lag(end_ns) OVER w AS"
		" before, lag(ended) OVER w AS ended FROM run WHERE end_ns >= ?1"
		" WINDOW w AS (ORDER BY id)) WHERE before IS NOT NULL AND start_ns > before + %llu",
		RESTART_NS);
	if (l->copies_unlisted)
		remark(l,
		       "%" PRIu64 " lots of lost copies found no room in what losses are compared "
		       "with; every loss is listed",
		       l->copies_unlisted);
	if (l->unreadable)
		remark(l, "%" PRIu64 " of its parts could not be read", l->unreadable);
	return each_row(l,
			"SELECT from_ns, to_ns, reason, records FROM gap WHERE to_ns > ?1"
			" ORDER BY from_ns",
			take_gap)
		       ?: each_row(l, sql, take_pause)
		       ?: each_row(l,
				   "SELECT DISTINCT text FROM remark WHERE run IN (SELECT id FROM"
				   " run WHERE end_ns >= ?1)",
				   take_remark);
}

/* ---- All of it ---- */

static int load(struct load *l, uint64_t since_ns)
{
	struct kl_history_view *v = l->v;
	int r = find_extent(l, since_ns) ?: read_counts(l) ?: read_sessions(l) ?: read_parts(l)
			?: read_losses(l) ?: read_evidence(l) ?: restore_sessions(l)
			?: read_dropped(l) ?: read_remarks(l);

	if (r)
		return r;
	v->d.first_ns = v->from_ns;
	v->d.last_ns = v->to_ns;
	kl_diagnosis_finish(&v->d);
	return 0;
}

int kl_history_read(const char *path, uint64_t since_ns, struct kl_history_view *ret,
		    struct kl_error *err)
{
	const struct kl_sessions_config config = { .two_sided = true, .awake = SESSIONS_AWAKE };
	struct kl_error why = {};
	struct load l = { .v = ret, .err = &why };
	int r;

	*ret = (struct kl_history_view){ .d = { .two_sided = true } };
	r = kl_store_open_to_read(path, &l.db, err);
	if (r)
		return r;
	r = kl_sessions_new(&config, &ret->sessions);
	ret->d.sessions = ret->sessions;
	/* All of it as it is at one moment. */
	if (!r)
		r = sqlite3_exec(l.db, "BEGIN", NULL, NULL, NULL) ? fail(&l) : load(&l, since_ns);
	sqlite3_close(l.db);
	free(l.sessions);
	free(l.place);
	if (r)
		kl_history_view_done(ret);
	return r ? kl_fail(err, r, "%s: %s", path, why.text) : 0;
}

void kl_history_view_done(struct kl_history_view *v)
{
	kl_diagnosis_done(&v->d);
	kl_sessions_free(v->sessions);
	*v = (struct kl_history_view){};
}
