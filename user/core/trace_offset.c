// SPDX-License-Identifier: GPL-2.0-only
/*
 * By how much is the segments' clock ahead of the trace's? Each line votes, with each segment that
 * it may be about, for the difference of their times. The right one has the votes of nearly all
 * lines; a wrong one can have many, too, as keepalives are regular. So what is known of clocks comes
 * first: the zone where messages tell the date, else any multiple of a quarter of an hour.
 */
#include "core/trace_work.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

#define S_NS (1000LL * (int64_t)KL_NS_PER_MS)
#define QUARTER_NS (900 * S_NS)
/* Clocks that are set by hand or by NTP differ by less. */
#define WRONG_NS (10 * S_NS)
/* From one end of the zones to the other. */
#define ZONES_NS (15 * 3600 * S_NS)

enum {
	VOTES_MIN = 3,
	PAIRS_LOOKED_AT = 1 << 25,
	PAIRS_KEPT = 1 << 21,
};

enum rule {
	BY_ZONE,
	BY_QUARTERS,
	BY_NOTHING,
	RULES,
};

struct votes {
	int64_t *ns;
	size_t count, room;
	size_t step; /* of so many lines one votes */
	bool anybody;
};

static int64_t round_to(int64_t ns, int64_t unit)
{
	int64_t half = ns >= 0 ? unit / 2 : -unit / 2;

	return (ns + half) / unit * unit;
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Local time less GMT, by the dates in messages: the server's own count, the phones' if need be. */
static int find_zone(const struct kl_trace_lines *lines, bool *ret_known, int64_t *ret_zone_ns)
{
	_cleanup_free_ int64_t *zone = calloc(lines->line.count ?: 1, sizeof(*zone));

	*ret_known = false;
	if (!zone)
		return -ENOMEM;
	for (int direction = KL_TO_PHONE; direction >= KL_TO_CUCM && !*ret_known; direction--) {
		size_t count = 0;

		for (size_t i = 0; i < lines->line.count; i++) {
			const struct kl_trace_line *l = &lines->line.item[i];

			if (l->said_s && l->direction == direction)
				zone[count++] = (int64_t)l->time_ns - l->said_s * S_NS;
		}
		if (!count)
			continue;
		qsort(zone, count, sizeof(*zone), by_value);
		*ret_zone_ns = round_to(zone[count / 2], QUARTER_NS);
		*ret_known = llabs(*ret_zone_ns) <= ZONES_NS;
	}
	return 0;
}

/* ---- Votes ---- */

static struct kl_trace_choice choices(const struct kl_trace_work *w,
				      const struct kl_trace_line *line, bool anybody)
{
	struct kl_trace_choice c = kl_trace_choices(w, line);

	if (anybody && !c.count && kl_trace_is_nameless(w->lines, line))
		c = (struct kl_trace_choice){ .conn = w->all, .count = w->conn_count };
	return c;
}

static uint64_t count_pairs(const struct kl_trace_work *w, bool anybody)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->lines->line.count; i++) {
		const struct kl_trace_line *line = &w->lines->line.item[i];
		struct kl_trace_choice c = choices(w, line, anybody);

		if (c.conn == w->all) {
			n += w->segment_count;
			continue;
		}
		for (size_t k = 0; k < c.count; k++) {
			const struct kl_trace_conn *conn = &w->conn[c.conn[k]];

			n += conn->end - conn->begin;
		}
	}
	return n;
}

static bool is_allowed(const struct kl_trace_lines *lines, enum rule rule, int64_t zone_ns,
		       int64_t ahead_ns)
{
	int64_t clock_ns = ahead_ns - lines->ahead_ns; /* of real time against local time */

	switch (rule) {
	case BY_ZONE:
		return llabs(clock_ns + zone_ns) <= WRONG_NS;
	case BY_QUARTERS:
		return (!lines->dated || llabs(clock_ns) <= ZONES_NS) &&
		       llabs(clock_ns - round_to(clock_ns, QUARTER_NS)) <= WRONG_NS;
	default:
		return true;
	}
}

static void vote(const struct kl_trace_work *w, const struct kl_trace_line *line, enum rule rule,
		 int64_t zone_ns, struct votes *v)
{
	struct kl_trace_choice c = choices(w, line, v->anybody);

	for (size_t k = 0; k < c.count; k++) {
		size_t i, end;

		kl_trace_half(&w->conn[c.conn[k]], line->direction, &i, &end);
		for (; i < end && v->count < v->room; i++) {
			const struct kl_trace_segment *s = &w->segment[i];
			int64_t ahead_ns = (int64_t)(s->time_ns - line->time_ns);

			if (kl_trace_same_kind(line->kind, s->kind) &&
			    is_allowed(w->lines, rule, zone_ns, ahead_ns))
				v->ns[v->count++] = ahead_ns;
		}
	}
}

/* How many lines should have voted for this? Those whose segments may have been seen. */
static size_t count_expected(const struct kl_trace_work *w, const struct votes *v,
			     int64_t offset_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < w->lines->line.count; i += v->step) {
		const struct kl_trace_line *line = &w->lines->line.item[i];
		struct kl_trace_choice c = choices(w, line, v->anybody);
		uint64_t at_ns = line->time_ns + (uint64_t)offset_ns;

		for (size_t k = 0; k < c.count; k++) {
			size_t begin, end;

			kl_trace_half(&w->conn[c.conn[k]], line->direction, &begin, &end);
			if (begin < end && w->segment[begin].time_ns <= at_ns + S_NS &&
			    w->segment[end - 1].time_ns + S_NS >= at_ns) {
				n++;
				break;
			}
		}
	}
	return n;
}

/* The most votes within a width, but not near `besides` (where guard_ns is not 0). */
static size_t count_best(const struct votes *v, int64_t width_ns, int64_t besides_ns,
			 int64_t guard_ns, int64_t *ret_ns)
{
	size_t best = 0, first = 0;

	for (size_t last = 0; last < v->count; last++) {
		while (v->ns[last] - v->ns[first] > width_ns)
			first++;
		if (guard_ns && (llabs(v->ns[first] - besides_ns) <= guard_ns ||
				 llabs(v->ns[last] - besides_ns) <= guard_ns))
			continue;
		if (last - first + 1 > best) {
			best = last - first + 1;
			*ret_ns = v->ns[first + (last - first) / 2];
		}
	}
	return best;
}

/* Is there an offset that stands out? */
static bool count_votes(const struct kl_trace_work *w, const struct votes *v, size_t least,
			int64_t *ret_offset, uint64_t *ret_width)
{
	/* The narrow ones tell regular keepalives apart; clocks that drift need more. */
	static const int64_t widths[] = { 4 * KL_NS_PER_MS, 15 * KL_NS_PER_MS, 60 * KL_NS_PER_MS,
					  500 * KL_NS_PER_MS, 4 * S_NS };

	for (size_t i = 0; i < KL_COUNT(widths); i++) {
		int64_t offset_ns = 0, other_ns;
		size_t best = count_best(v, widths[i], 0, 0, &offset_ns);
		size_t next = count_best(v, widths[i], offset_ns,
					 widths[i] > S_NS ? 2 * widths[i] : S_NS, &other_ns);

		if (best < VOTES_MIN || best < least || next * 5 > best * 4 ||
		    best * 2 * w->stride < count_expected(w, v, offset_ns))
			continue;
		*ret_offset = offset_ns;
		*ret_width = (uint64_t)widths[i];
		return true;
	}
	return false;
}

static void hold_vote(const struct kl_trace_work *w, enum rule rule, int64_t zone_ns,
		      struct votes *v)
{
	uint64_t most = rule == BY_NOTHING ? PAIRS_KEPT : PAIRS_LOOKED_AT;

	v->count = 0;
	v->step = (size_t)(count_pairs(w, v->anybody) / most) + 1;
	for (size_t i = 0; i < w->lines->line.count; i += v->step)
		vote(w, &w->lines->line.item[i], rule, zone_ns, v);
	if (v->count)
		qsort(v->ns, v->count, sizeof(*v->ns), by_value);
}

/*
 * Quarters of an hour are many where no date tells the day: one of them may be near a whole number
 * of periods by chance, and have the votes of the few lines that are then left. Half of what any
 * offset can have are no chance.
 */
static size_t votes_by_nothing(const struct kl_trace_work *w, struct votes *v)
{
	int64_t offset_ns;

	hold_vote(w, BY_NOTHING, 0, v);
	return count_best(v, 60 * KL_NS_PER_MS, 0, 0, &offset_ns) * v->step / 2;
}

int kl_trace_find_offset(const struct kl_trace_work *w, bool *ret_known, int64_t *ret_offset_ns,
			 uint64_t *ret_width_ns)
{
	uint64_t pairs = count_pairs(w, true);
	size_t room = pairs < PAIRS_KEPT ? (size_t)pairs + 1 : PAIRS_KEPT;
	_cleanup_free_ int64_t *ns = calloc(room, sizeof(*ns));
	struct votes v = { .ns = ns, .room = room };
	int64_t zone_ns = 0;
	bool has_zone;
	int r;

	*ret_known = false;
	if (!ns)
		return -ENOMEM;
	r = find_zone(w->lines, &has_zone, &zone_ns);
	if (r)
		return r;
	for (int anybody = 0; anybody < 2; anybody++) {
		v.anybody = anybody;
		for (enum rule rule = has_zone ? BY_ZONE : BY_QUARTERS; rule < RULES; rule++) {
			size_t least = 0;

			if (rule == BY_QUARTERS && !w->lines->dated)
				least = votes_by_nothing(w, &v);
			hold_vote(w, rule, zone_ns, &v);
			*ret_known = count_votes(w, &v, least / v.step, ret_offset_ns,
						 ret_width_ns);
			if (*ret_known)
				return 0;
		}
	}
	return 0;
}
