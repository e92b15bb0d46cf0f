// SPDX-License-Identifier: GPL-2.0-only
#include "core/trace_match.h"

#include <errno.h>
#include <stdlib.h>

#include "core/trace_work.h"
#include "util/cleanup.h"

#define S_NS (1000ULL * KL_NS_PER_MS)
/* A line is written after its segment has come, unless the clocks are not quite understood. */
#define EARLY_NS (200 * KL_NS_PER_MS)
#define LATE_NS (2 * S_NS)
/* What waited for an earlier segment that was missing comes to the application with it. */
#define WAITED_NS (60 * S_NS)

enum {
	NOBODY = -1,
	LINES_ENOUGH = 3, /* of a connection that is told by its times only */
};

struct match {
	struct kl_trace_work work;
	int64_t offset_ns;
	uint64_t early_ns, late_ns;
	int32_t *line_conn; /* for each line, or NOBODY */
	bool *line_met;	    /* a segment is its own */
	int32_t *peer_conn; /* of those that are told by their times */
};

static void match_done(struct match *m)
{
	kl_trace_work_done(&m->work);
	free(m->line_conn);
	free(m->line_met);
	free(m->peer_conn);
}

static uint64_t time_of(const struct match *m, const struct kl_trace_line *line)
{
	return line->time_ns + (uint64_t)m->offset_ns;
}

/* ---- A line's segment ---- */

/* The first segment of [begin, end) that is not before this time. */
static size_t first_since(const struct kl_trace_work *w, size_t begin, size_t end, uint64_t time_ns)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (w->segment[middle].time_ns < time_ns)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

/* The nearest free one that this line may be about. SIZE_MAX: none. */
static size_t find_segment(const struct match *m, const struct kl_trace_line *line, uint32_t conn,
			   uint64_t early_ns, uint64_t late_ns, uint64_t *ret_away_ns)
{
	const struct kl_trace_work *w = &m->work;
	uint64_t at_ns = time_of(m, line);
	size_t i, end, best = SIZE_MAX;

	kl_trace_half(&w->conn[conn], line->direction, &i, &end);
	i = first_since(w, i, end, at_ns > late_ns ? at_ns - late_ns : 0);
	for (; i < end && w->segment[i].time_ns <= at_ns + early_ns; i++) {
		const struct kl_trace_segment *s = &w->segment[i];
		uint64_t away_ns = s->time_ns > at_ns ? s->time_ns - at_ns : at_ns - s->time_ns;

		if (s->taken || !s->arrives || !kl_trace_same_kind(line->kind, s->kind) ||
		    (best != SIZE_MAX && away_ns >= *ret_away_ns))
			continue;
		best = i;
		*ret_away_ns = away_ns;
	}
	return best;
}

/* ---- Connections that are told by their times ---- */

static uint32_t conn_of(const struct kl_trace_work *w, uint64_t session)
{
	uint32_t low = 0, high = (uint32_t)w->conn_count;

	while (low + 1 < high) {
		uint32_t middle = low + (high - low) / 2;

		if (w->conn[middle].session->id <= session)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct fit {
	uint32_t *met; /* for each connection: lines of this peer that meet a segment of it */
	uint32_t *touched;
	size_t touched_count;
};

/* In the order of time, across connections. */
static int by_time(const void *a, const void *b, void *arg)
{
	const struct kl_trace_segment *segment = arg;
	uint64_t x = segment[*(const uint32_t *)a].time_ns,
		 y = segment[*(const uint32_t *)b].time_ns;

	return x < y ? -1 : x > y;
}

/* Returns whether any segments of that time are known. */
static bool meet(const struct match *m, const uint32_t *order, const struct kl_trace_line *line,
		 struct fit *fit)
{
	const struct kl_trace_work *w = &m->work;
	uint64_t at_ns = time_of(m, line), from_ns = at_ns - m->early_ns;
	size_t low = 0, high = w->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->segment[order[middle]].time_ns < from_ns)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < w->segment_count; low++) {
		const struct kl_trace_segment *s = &w->segment[order[low]];
		uint32_t conn = conn_of(w, s->session);

		if (s->time_ns > at_ns + m->early_ns)
			break;
		if (s->direction != line->direction || !kl_trace_same_kind(line->kind, s->kind) ||
		    w->conn[conn].session->id != s->session)
			continue;
		if (!fit->met[conn]++)
			fit->touched[fit->touched_count++] = conn;
	}
	return w->segment[order[0]].time_ns <= at_ns + m->early_ns &&
	       w->segment[order[w->segment_count - 1]].time_ns >= from_ns;
}

/* The one that fits, if no other does. */
static int32_t best_fit(struct fit *fit, size_t lines)
{
	uint32_t best = 0, next = 0;
	int32_t ret = NOBODY;

	for (size_t i = 0; i < fit->touched_count; i++) {
		uint32_t n = fit->met[fit->touched[i]];

		if (n > best) {
			next = best;
			best = n;
			ret = (int32_t)fit->touched[i];
		} else if (n > next) {
			next = n;
		}
		fit->met[fit->touched[i]] = 0;
	}
	fit->touched_count = 0;
	return best >= LINES_ENOUGH && best * 5 >= lines * 4 && next * 2 <= best ? ret : NOBODY;
}

/* Two that fit the same connection: it is not known which of them it is. */
static int drop_doubles(struct match *m)
{
	_cleanup_free_ int32_t *peer = calloc(m->work.conn_count ?: 1, sizeof(*peer));
	size_t peers = m->work.lines->peer.count;

	if (!peer)
		return -ENOMEM;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < peers; i++) {
			if (m->peer_conn[i] == NOBODY)
				continue;
			if (!pass)
				peer[m->peer_conn[i]]++;
			else if (peer[m->peer_conn[i]] > 1)
				m->peer_conn[i] = NOBODY;
		}
	}
	return 0;
}

/* A line and its peer, so that all of a peer are found together. */
static int by_peer(const void *a, const void *b, void *arg)
{
	const struct kl_trace_line *line = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

	if (line[i].peer != line[j].peer)
		return line[i].peer < line[j].peer ? -1 : 1;
	return i < j ? -1 : i > j;
}

static int fit_nameless(struct match *m)
{
	const struct kl_trace_work *w = &m->work;
	const struct kl_trace_line *line = w->lines->line.item;
	_cleanup_free_ uint32_t *order = calloc(w->segment_count ?: 1, sizeof(*order));
	_cleanup_free_ uint32_t *lines = calloc(w->lines->line.count ?: 1, sizeof(*lines));
	_cleanup_free_ uint32_t *met = calloc(w->conn_count ?: 1, sizeof(*met));
	_cleanup_free_ uint32_t *touched = calloc(w->conn_count ?: 1, sizeof(*touched));
	struct fit fit = { .met = met, .touched = touched };
	size_t count = 0;

	for (size_t i = 0; i < w->lines->peer.count; i++)
		m->peer_conn[i] = NOBODY;
	if (!order || !lines || !met || !touched)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->lines->line.count; i++) {
		if (line[i].peer < w->lines->peer.count && kl_trace_is_nameless(w->lines, &line[i]))
			lines[count++] = i;
	}
	if (!count || !w->conn_count)
		return 0;
	for (uint32_t i = 0; i < w->segment_count; i++)
		order[i] = i;
	qsort_r(order, w->segment_count, sizeof(*order), by_time, w->segment);
	qsort_r(lines, count, sizeof(*lines), by_peer, w->lines->line.item);
	for (size_t i = 0, end; i < count; i = end) {
		uint32_t peer = line[lines[i]].peer;
		size_t seen = 0;

		for (end = i; end < count && line[lines[end]].peer == peer; end++)
			seen += meet(m, order, &line[lines[end]], &fit);
		m->peer_conn[peer] = best_fit(&fit, seen);
	}
	return drop_doubles(m);
}

/* ---- All lines ---- */

/* By which connections a line may be told. one: room for a single one. */
static struct kl_trace_choice choices(const struct match *m, const struct kl_trace_line *line,
				      uint32_t *one)
{
	struct kl_trace_choice c = kl_trace_choices(&m->work, line);

	if (c.count || line->peer >= m->work.lines->peer.count ||
	    m->peer_conn[line->peer] == NOBODY)
		return c;
	*one = (uint32_t)m->peer_conn[line->peer];
	return (struct kl_trace_choice){ .conn = one, .count = 1 };
}

static void match_lines(struct match *m, uint64_t early_ns, uint64_t late_ns)
{
	struct kl_trace_work *w = &m->work;

	for (size_t i = 0; i < w->lines->line.count; i++) {
		const struct kl_trace_line *line = &w->lines->line.item[i];
		uint64_t nearest_ns = UINT64_MAX, away_ns = 0;
		size_t best = SIZE_MAX;
		struct kl_trace_choice c;
		uint32_t one;

		if (m->line_met[i])
			continue;
		c = choices(m, line, &one);
		if (c.count == 1)
			m->line_conn[i] = (int32_t)c.conn[0];
		for (size_t k = 0; k < c.count; k++) {
			size_t s = find_segment(m, line, c.conn[k], early_ns, late_ns, &away_ns);

			if (s == SIZE_MAX || away_ns >= nearest_ns)
				continue;
			nearest_ns = away_ns;
			best = s;
			m->line_conn[i] = (int32_t)c.conn[k];
		}
		if (best == SIZE_MAX)
			continue;
		w->segment[best].taken = true;
		m->line_met[i] = true;
	}
}

static int add_messages(const struct match *m, struct kl_evidence *ret)
{
	const struct kl_trace_lines *lines = m->work.lines;

	for (size_t i = 0; i < lines->line.count; i++) {
		const struct kl_trace_line *line = &lines->line.item[i];
		struct kl_trace_message message = { .time_ns = time_of(m, line),
						    .direction = line->direction,
						    .kind = line->kind };
		int r;

		if (m->line_conn[i] != NOBODY)
			message.session = m->work.conn[m->line_conn[i]].session->id;
		ret->trace_verdict.unmatched += !m->line_met[i];
		r = kl_evidence_trace(ret, &message);
		if (r)
			return r;
	}
	return 0;
}

/* ---- What it comes to ---- */

static bool is_covered(const struct match *m, uint64_t time_ns)
{
	const struct kl_trace_lines *lines = m->work.lines;
	uint64_t at_ns = time_ns - (uint64_t)m->offset_ns;

	for (size_t i = 0; i < lines->span.count; i++) {
		const struct kl_trace_span *span = &lines->span.item[i];

		/* Near its ends it may already, or not yet, be in the next file. */
		if (at_ns >= span->first_ns && at_ns + m->late_ns <= span->last_ns)
			return true;
	}
	return false;
}

static void set_span(const struct match *m, struct kl_trace_verdict *v)
{
	const struct kl_trace_lines *lines = m->work.lines;

	for (size_t i = 0; i < lines->span.count; i++) {
		uint64_t from_ns = lines->span.item[i].first_ns + (uint64_t)m->offset_ns;
		uint64_t to_ns = lines->span.item[i].last_ns + (uint64_t)m->offset_ns;

		if (!i || from_ns < v->from_ns)
			v->from_ns = from_ns;
		if (!i || to_ns > v->to_ns)
			v->to_ns = to_ns;
	}
}

struct sum {
	uint64_t through, received, missing, after, first_missing_ns;
};

/*
 * What came before the first one that is in the trace proves nothing: it may not have been set to
 * tell of keepalives yet.
 */
static struct sum count_conn(const struct match *m, const struct kl_trace_conn *conn,
			     uint64_t to_ns)
{
	uint32_t unsure = conn->session->unacknowledged;
	struct sum n = { 0 };

	for (size_t i = conn->begin; i < conn->middle; i++) {
		const struct kl_trace_segment *s = &m->work.segment[i];

		if (!s->arrives)
			continue;
		if (s->time_ns > to_ns)
			n.after += n.received > 0;
		if (s->taken) {
			n.through++;
			n.received++;
		} else if (is_covered(m, s->time_ns)) {
			n.through++;
			if (n.received && !n.missing++)
				n.first_missing_ns = s->time_ns;
		}
	}
	n.missing -= n.missing < unsure ? n.missing : unsure;
	n.after -= n.after < unsure ? n.after : unsure;
	return n;
}

static void sum_up(const struct match *m, struct kl_trace_verdict *v)
{
	set_span(m, v);
	for (size_t i = 0; i < m->work.conn_count; i++) {
		struct sum n = count_conn(m, &m->work.conn[i], v->to_ns);

		v->sessions += n.through > 0;
		if (!n.received)
			continue;
		v->sessions_covered++;
		v->sessions_missing += n.missing > 0;
		v->covered += n.received + n.missing;
		v->received += n.received;
		v->missing += n.missing;
		v->after += n.after;
		if (n.missing && (!v->first_missing_ns || n.first_missing_ns < v->first_missing_ns))
			v->first_missing_ns = n.first_missing_ns;
	}
}

int kl_trace_match(const struct kl_trace_lines *lines, const struct kl_diagnosis *d,
		   struct kl_evidence *ret)
{
	__attribute__((cleanup(match_done))) struct match m = { 0 };
	struct kl_trace_verdict *v = &ret->trace_verdict;
	uint64_t width_ns = 0;
	int r;

	*v = (struct kl_trace_verdict){ .messages = lines->line.count + lines->line.unlisted };
	ret->has_trace |= lines->span.count > 0;
	if (!lines->line.count)
		return 0;
	r = kl_trace_work_fill(&m.work, lines, d);
	if (!r)
		r = kl_trace_find_offset(&m.work, &v->offset_known, &m.offset_ns, &width_ns);
	if (r || !v->offset_known)
		return r;
	v->offset_ns = m.offset_ns;
	m.early_ns = EARLY_NS + width_ns;
	m.late_ns = LATE_NS + width_ns;
	m.line_conn = calloc(lines->line.count, sizeof(*m.line_conn));
	m.line_met = calloc(lines->line.count, sizeof(*m.line_met));
	m.peer_conn = calloc(lines->peer.count ?: 1, sizeof(*m.peer_conn));
	if (!m.line_conn || !m.line_met || !m.peer_conn)
		return -ENOMEM;
	for (size_t i = 0; i < lines->line.count; i++)
		m.line_conn[i] = NOBODY;
	r = fit_nameless(&m);
	if (r)
		return r;
	match_lines(&m, m.early_ns, m.late_ns);
	match_lines(&m, m.early_ns, WAITED_NS);
	r = add_messages(&m, ret);
	if (!r)
		sum_up(&m, v);
	return r;
}
