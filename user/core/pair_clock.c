// SPDX-License-Identifier: GPL-2.0-only
/*
 * pair_internal.h: where the clocks stand to each other.
 *
 * Each pair says: cucm clock - access clock = offset + way (to_cucm), or offset - way (to_phone).
 * So the shortest ways of both directions hold the offset between them. It is followed with a low
 * quantile of the last pairs of each direction around a line, whose slope is the median of the
 * slopes between the best pairs of intervals: a late pair moves neither.
 */
#include <stdlib.h>
#include <string.h>

#include "core/pair_internal.h"
#include "util/cleanup.h"

/* A pair that is this far off may tell of a step; a delay is off in one direction only. */
#define STEP_NS KL_PAIR_EARLY_NS
#define FIRST_NS (500 * (int64_t)KL_NS_PER_MS)
/* Of the intervals for the drift, at first. They double when there is no room for more. */
#define BIN_NS (20 * KL_PAIR_NS_PER_S)
/* Slopes over less than this say nothing. */
#define SLOPE_OVER_NS (60 * KL_PAIR_NS_PER_S)
#define MAX_SLOPE 500e-6

#define NARROW_NS (400 * (int64_t)KL_NS_PER_MS)
#define WIDE_NS (1600 * (int64_t)KL_NS_PER_MS)

enum {
	FIRST_SAMPLES = 8,
	STRANGE = 16, /* pairs of one direction in a row that do not fit */
	FIND_SAMPLES = 1024,
	COUNTS_FROM = 3, /* pairs, for a loss to stand on */
};

static int compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int64_t kl_pair_offset(const struct kl_pair *p, int64_t access_ns)
{
	const struct kl_pair_track *t = &p->track;

	return t->base_ns + (int64_t)((double)(access_ns - t->at_ns) * t->slope);
}

int64_t kl_pair_to_access(const struct kl_pair *p, uint32_t side, uint64_t time_ns)
{
	int64_t time = (int64_t)time_ns;

	if (side == KL_ACCESS)
		return time;
	/* The slope is so small that the second turn has nothing left to mend. */
	return time - kl_pair_offset(p, time - kl_pair_offset(p, time - p->track.base_ns));
}

uint64_t kl_pair_from_access(const struct kl_pair *p, uint32_t side, int64_t at_ns)
{
	int64_t time = side == KL_ACCESS ? at_ns : at_ns + kl_pair_offset(p, at_ns);

	return time > 0 ? (uint64_t)time : 0;
}

/* What the sample says at the time of reference. */
static int64_t flat(const struct kl_pair_track *t, const struct kl_pair_sample *s)
{
	return s->diff_ns - (int64_t)((double)(s->at_ns - t->at_ns) * t->slope);
}

static bool is_shorter(const struct kl_pair_track *t, const struct kl_pair_sample *a,
		       const struct kl_pair_sample *b)
{
	return a->direction == KL_TO_CUCM ? flat(t, a) < flat(t, b) : flat(t, a) > flat(t, b);
}

/* ---- the drift ---- */

static void fit_slope(struct kl_pair_track *t)
{
	double slope[2 * KL_PAIR_BINS * (KL_PAIR_BINS - 1) / 2];
	size_t n = 0;
	int64_t span = 0;

	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		for (uint32_t i = 0; i < t->bins; i++) {
			for (uint32_t j = i + 1; j < t->bins; j++) {
				const struct kl_pair_sample *a = &t->bin[i].best[d];
				const struct kl_pair_sample *b = &t->bin[j].best[d];
				int64_t over = b->at_ns - a->at_ns;

				if (!t->bin[i].has[d] || !t->bin[j].has[d] || over < SLOPE_OVER_NS)
					continue;
				span = over > span ? over : span;
				slope[n++] = (double)(b->diff_ns - a->diff_ns) / (double)over;
			}
		}
	}
	if (!n)
		return;
	qsort(slope, n, sizeof(*slope), compare_double);
	t->slope = slope[n / 2];
	if (t->slope > MAX_SLOPE)
		t->slope = MAX_SLOPE;
	if (t->slope < -MAX_SLOPE)
		t->slope = -MAX_SLOPE;
}

static void merge_bins(struct kl_pair_track *t)
{
	for (uint32_t i = 0; i < t->bins; i += 2) {
		struct kl_pair_bin b = t->bin[i];

		for (uint32_t d = 0; d < KL_DIRECTIONS && i + 1 < t->bins; d++) {
			const struct kl_pair_bin *next = &t->bin[i + 1];

			if (!next->has[d] ||
			    (b.has[d] && !is_shorter(t, &next->best[d], &b.best[d])))
				continue;
			b.best[d] = next->best[d];
			b.has[d] = true;
		}
		t->bin[i / 2] = b;
	}
	t->bins = (t->bins + 1) / 2;
	t->bin_ns *= 2;
}

static void bin_add(struct kl_pair_track *t, const struct kl_pair_sample *s)
{
	struct kl_pair_bin *b;

	if (!t->bins || s->at_ns >= t->bin_start_ns + t->bin_ns) {
		fit_slope(t);
		if (t->bins == KL_PAIR_BINS)
			merge_bins(t);
		t->bin[t->bins++] = (struct kl_pair_bin){ 0 };
		t->bin_start_ns = s->at_ns;
	}
	b = &t->bin[t->bins - 1];
	if (b->has[s->direction] && !is_shorter(t, s, &b->best[s->direction]))
		return;
	b->best[s->direction] = *s;
	b->has[s->direction] = true;
}

/* ---- the offset ---- */

static uint32_t kept(const struct kl_pair_track *t, uint32_t d)
{
	return t->samples[d] < KL_PAIR_SAMPLES ? (uint32_t)t->samples[d] : KL_PAIR_SAMPLES;
}

/* The flat differences of a direction's last pairs, in order. */
static uint32_t sorted(const struct kl_pair_track *t, uint32_t d, int64_t ret[KL_PAIR_SAMPLES])
{
	uint32_t n = kept(t, d);

	for (uint32_t i = 0; i < n; i++) {
		int64_t v = flat(t, &t->sample[d][i]);
		uint32_t j = i;

		for (; j && ret[j - 1] > v; j--)
			ret[j] = ret[j - 1];
		ret[j] = v;
	}
	return n;
}

static void fit_base(struct kl_pair_track *t, int64_t at_ns)
{
	int64_t v[KL_PAIR_SAMPLES], bound[KL_DIRECTIONS] = { 0 };
	uint32_t n[KL_DIRECTIONS];
	int64_t middle[KL_DIRECTIONS] = { 0 };

	t->base_ns += (int64_t)((double)(at_ns - t->at_ns) * t->slope);
	t->at_ns = at_ns;
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		n[d] = sorted(t, d, v);
		if (!n[d])
			continue;
		middle[d] = v[n[d] / 2];
		bound[d] = d == KL_TO_CUCM ? v[n[d] / 5] : v[n[d] - 1 - n[d] / 5];
	}
	if (n[0] && n[1])
		t->base_ns = bound[0] + (bound[1] - bound[0]) / 2;
	else if (n[0] || n[1])
		t->base_ns = bound[n[0] ? 0 : 1];
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
		t->lean_ns[d] = n[d] ? middle[d] - t->base_ns : 0;
}

static void sample_add(struct kl_pair_track *t, const struct kl_pair_sample *s)
{
	uint32_t d = s->direction;
	uint32_t place = (uint32_t)(t->samples[d] % KL_PAIR_SAMPLES);

	t->sample[d][place] = *s;
	t->samples[d]++;
	t->pairs++;
	bin_add(t, s);
	/* The rings are long: a few more or less hardly move their quantiles. */
	if (t->samples[d] < KL_PAIR_SAMPLES || t->samples[d] % 8 == 0)
		fit_base(t, s->at_ns);
	t->counts = t->pairs >= COUNTS_FROM;
}

static void start(struct kl_pair_track *t, const struct kl_pair_sample *s, uint32_t n)
{
	t->known = true;
	t->pairs = 0;
	t->samples[0] = t->samples[1] = 0;
	t->bins = 0;
	t->bin_ns = BIN_NS;
	t->suspects = 0;
	t->at_ns = s[0].at_ns;
	t->base_ns = s[0].diff_ns;
	for (uint32_t i = 0; i < n; i++)
		sample_add(t, &s[i]);
	t->good_at_ns = s[n - 1].at_ns;
	t->good_diff_ns = s[n - 1].diff_ns;
}

/* ---- steps ---- */

/* From what its direction's pairs were like. */
static int64_t deviation(const struct kl_pair *p, const struct kl_pair_sample *s)
{
	return s->diff_ns - kl_pair_offset(p, s->at_ns) - p->track.lean_ns[s->direction];
}

/*
 * Are the last suspects a step? They are if they agree: both directions are off the same way, or
 * there are many of the only direction there is.
 */
static bool is_step(const struct kl_pair *p)
{
	const struct kl_pair_track *t = &p->track;
	uint32_t n[KL_DIRECTIONS] = { 0 }, up = 0;

	for (uint32_t i = 0; i < t->suspects; i++) {
		const struct kl_pair_sample *s = &t->suspect[i];

		n[s->direction]++;
		up += deviation(p, s) > 0;
	}
	if (up && up < t->suspects)
		return false;
	if (n[0] >= 2 && n[1] >= 2)
		return true;
	return t->suspects == KL_PAIR_SUSPECTS && (!t->samples[0] || !t->samples[1]);
}

/* Up to where a side was matched, by its own clock. */
static int64_t matched_to(const struct kl_pair_half *h)
{
	return (int64_t)(h->cursor ? h->cursor->time_ns : h->last_ns);
}

/* What was matched since then was matched with the clock that was wrong by then. */
static void match_anew(struct kl_pair *p, int64_t from_cucm)
{
	const struct kl_pair_half *h = &p->half[KL_CUCM];

	for (struct kl_pair_node *n = h->head; n && n != h->cursor; n = n->next) {
		if (n->paired || (int64_t)n->time_ns < from_cucm)
			continue;
		n->at_ns = kl_pair_to_access(p, KL_CUCM, n->time_ns);
		if (n->entry)
			n->entry->dirty = true;
	}
}

static void step(struct kl_pair *p)
{
	struct kl_pair_track *t = &p->track;
	struct kl_pair_sample s[KL_PAIR_SUSPECTS];
	uint32_t n = t->suspects;
	int64_t slack = (int64_t)p->config.tolerance_ns;
	int64_t to, from = t->good_at_ns;
	int64_t to_cucm, from_cucm = from + t->good_diff_ns;

	memcpy(s, t->suspect, sizeof(s));
	to = s[0].at_ns;
	to_cucm = to + s[0].diff_ns;
	/* Of the access side's clock, which may have been set back; and of the other one's. */
	if (to < from) {
		int64_t swap = to;

		to = from;
		from = swap;
	}
	if (to_cucm < from_cucm) {
		int64_t swap = to_cucm;

		to_cucm = from_cucm;
		from_cucm = swap;
	}
	to = matched_to(&p->half[KL_ACCESS]) > to ? matched_to(&p->half[KL_ACCESS]) : to;
	to_cucm = matched_to(&p->half[KL_CUCM]) > to_cucm ? matched_to(&p->half[KL_CUCM]) : to_cucm;
	kl_pair_cover_add(p, KL_ACCESS, (uint64_t)(from > slack ? from - slack : 0),
			  (uint64_t)(to + slack), KL_PAIR_STEP);
	kl_pair_cover_add(p, KL_CUCM, (uint64_t)(from_cucm > slack ? from_cucm - slack : 0),
			  (uint64_t)(to_cucm + slack), KL_PAIR_STEP);
	t->steps++;
	t->step_ns = (uint64_t)s[0].at_ns;
	start(t, s, n);
	match_anew(p, from_cucm);
}

void kl_pair_clock_add(struct kl_pair *p, uint32_t direction, uint64_t access_ns, uint64_t cucm_ns)
{
	struct kl_pair_track *t = &p->track;
	struct kl_pair_sample s = { .at_ns = (int64_t)access_ns,
				    .diff_ns = (int64_t)(cucm_ns - access_ns),
				    .direction = (uint8_t)direction };
	int64_t off, fits;

	if (!t->known)
		return;
	off = deviation(p, &s);
	/* The first ones of a direction may be off by the whole way there and back. */
	fits = t->samples[direction] >= FIRST_SAMPLES ? STEP_NS : STEP_NS + FIRST_NS;
	if (off > -fits && off < fits) {
		t->suspects = 0;
		t->strange[direction] = 0;
		t->good_at_ns = s.at_ns;
		t->good_diff_ns = s.diff_ns;
		sample_add(t, &s);
		return;
	}
	if (t->suspects == KL_PAIR_SUSPECTS) {
		memmove(&t->suspect[0], &t->suspect[1],
			(KL_PAIR_SUSPECTS - 1) * sizeof(t->suspect[0]));
		t->suspects--;
	}
	t->suspect[t->suspects++] = s;
	if (is_step(p)) {
		step(p);
	} else if (++t->strange[direction] == STRANGE) {
		/* One way has become longer or shorter. */
		t->strange[direction] = 0;
		t->samples[direction] = 0;
	}
}

bool kl_pair_went_on(const struct kl_pair *p, const struct kl_paired *since)
{
	return p->track.known && p->track.good_at_ns > (int64_t)since->near_ns;
}

/* ---- the start ---- */

static uint32_t collect(const struct kl_pair *p, struct kl_pair_sample *s)
{
	uint32_t n = 0;

	for (const struct kl_pair_node *a = p->half[KL_ACCESS].head; a && n < FIND_SAMPLES;
	     a = a->next) {
		const struct kl_pair_entry *e = a->entry;

		if (!e || e->held[0] != 1 || e->held[1] != 1 || a->duplicate ||
		    (a->payload_len < 2 && !(a->flags & KL_SYN)))
			continue;
		s[n++] = (struct kl_pair_sample){
			.at_ns = (int64_t)a->time_ns,
			.diff_ns = (int64_t)(e->head[KL_CUCM]->time_ns - a->time_ns),
			.direction = a->direction,
		};
	}
	for (uint64_t i = 0; i < p->hints && i < KL_COUNT(p->hint) && n < FIND_SAMPLES; i++)
		s[n++] = p->hint[i];
	return n;
}

/* The most differences that lie within `width` of each other; the first of them. */
static uint32_t densest(const int64_t *diff, uint32_t n, int64_t width, uint32_t *ret_first)
{
	uint32_t most = 0;

	for (uint32_t i = 0, j = 0; i < n; i++) {
		while (j < n && diff[j] <= diff[i] + width)
			j++;
		if (j - i > most) {
			most = j - i;
			*ret_first = i;
		}
	}
	return most;
}

/* The differences that most samples agree on. */
bool kl_pair_clock_find(struct kl_pair *p, bool last)
{
	struct kl_pair_sample s[FIND_SAMPLES];
	int64_t diff[FIND_SAMPLES];
	uint32_t n = collect(p, s), best = 0, most = 0, chosen = 0;
	int64_t width;

	if (n < COUNTS_FROM && !(last && n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		diff[i] = s[i].diff_ns;
	qsort(diff, n, sizeof(*diff), compare_i64);
	/* The narrower the better; but ways differ, and what is held may span a long drift. */
	for (width = NARROW_NS; width <= WIDE_NS && most * 2 <= n; width *= 4)
		most = densest(diff, n, width, &best);
	width /= 4;
	if (most * 2 <= n && !last)
		return false;
	/* The earliest ones: what is held may span enough time for the drift to show. */
	for (uint32_t i = 0; i < n && chosen < KL_PAIR_SAMPLES; i++) {
		if (s[i].diff_ns >= diff[best] && s[i].diff_ns <= diff[best] + width)
			s[chosen++] = s[i];
	}
	start(&p->track, s, chosen);
	/* They come by again, one by one, when they are matched. */
	p->track.pairs = 0;
	p->track.bins = 0;
	p->track.counts = false;
	return true;
}

/* ---- what is told of it ---- */

/* How far either bound is away. */
static double reach(double x, double from, double to)
{
	return x - from > to - x ? x - from : to - x;
}

void kl_pair_clock(const struct kl_pair *p, struct kl_pair_clock *ret)
{
	struct kl_pair_track t = p->track;
	struct kl_pair_bounds within;
	int64_t first = INT64_MAX, final = INT64_MIN, middle_ns, v[KL_PAIR_SAMPLES];

	*ret = (struct kl_pair_clock){
		.known = t.known, .pairs = t.pairs, .steps = t.steps, .step_ns = t.step_ns
	};
	if (!t.known)
		return;
	fit_slope(&t);
	for (uint32_t i = 0; i < t.bins; i++) {
		for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
			int64_t at = t.bin[i].best[d].at_ns;

			if (!t.bin[i].has[d])
				continue;
			first = at < first ? at : first;
			final = at > final ? at : final;
		}
	}
	if (first > final)
		first = final = t.at_ns;
	middle_ns = first + (final - first) / 2;
	t.base_ns += (int64_t)((double)(middle_ns - t.at_ns) * t.slope);
	t.at_ns = middle_ns;
	if (kl_pair_bounds(&t, middle_ns, t.base_ns, &within)) {
		t.base_ns = within.offset_ns[0] + (within.offset_ns[1] - within.offset_ns[0]) / 2;
		ret->offset_error_ns = (uint64_t)(within.offset_ns[1] - within.offset_ns[0]) / 2 +
				       1;
		ret->drift_error_ppm = reach(t.slope, within.slope[0], within.slope[1]) * 1e6;
	} else {
		/* Of one direction alone nobody knows how long the way is. */
		ret->offset_error_ns = p->config.tolerance_ns / 2;
		ret->drift_error_ppm = MAX_SLOPE * 1e6;
	}
	ret->offset_ns = t.base_ns;
	ret->at_ns = (uint64_t)t.at_ns;
	ret->drift_ppm = t.slope * 1e6;
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		uint32_t count = sorted(&t, d, v);

		if (!count)
			continue;
		ret->median_transit_ns[d] = d == KL_TO_CUCM ? v[count / 2] - t.base_ns
							    : t.base_ns - v[count / 2];
		ret->min_transit_ns[d] = d == KL_TO_CUCM ? v[0] - t.base_ns
							 : t.base_ns - v[count - 1];
	}
}
