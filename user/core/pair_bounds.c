// SPDX-License-Identifier: GPL-2.0-only
/*
 * pair_internal.h: within what the clocks' difference must lie.
 *
 * No way is shorter than nothing: each pair to the cucm side says that the offset is less than its
 * difference, each one to the phone that it is more. So the line that the offset follows passes
 * below all of the former and above all of the latter, and how far it can be moved and turned in
 * between is how far any estimate can be wrong, whatever the ways are like.
 */
#include "core/pair_internal.h"

/* No two clocks run that differently. */
#define STEEPEST 500e-6
/* Of the slope: no less than moves a line by a nanosecond in ten days. */
#define FINEST 1e-15

struct limit {
	double at_s; /* from the time of reference */
	double diff_ns;
};

struct limits {
	struct limit upper[KL_PAIR_BINS], lower[KL_PAIR_BINS];
	uint32_t uppers, lowers;
};

/* At the time of reference, of all lines of that slope (ns a second). */
static double highest(const struct limits *l, double slope)
{
	double best = l->upper[0].diff_ns - slope * l->upper[0].at_s;

	for (uint32_t i = 1; i < l->uppers; i++) {
		double v = l->upper[i].diff_ns - slope * l->upper[i].at_s;

		best = v < best ? v : best;
	}
	return best;
}

static double lowest(const struct limits *l, double slope)
{
	double best = l->lower[0].diff_ns - slope * l->lower[0].at_s;

	for (uint32_t i = 1; i < l->lowers; i++) {
		double v = l->lower[i].diff_ns - slope * l->lower[i].at_s;

		best = v > best ? v : best;
	}
	return best;
}

enum what {
	ROOM,
	HIGHEST,
	LOWEST,
};

/* All of these are concave in the slope. */
static double value(const struct limits *l, enum what what, double slope)
{
	switch (what) {
	case HIGHEST:
		return highest(l, slope);
	case LOWEST:
		return -lowest(l, slope);
	default:
		return highest(l, slope) - lowest(l, slope);
	}
}

static double best_slope(const struct limits *l, enum what what, double from, double to)
{
	while (to - from > FINEST * 1e9) {
		double third = (to - from) / 3;

		if (!(from + third > from && to - third < to))
			break;
		if (value(l, what, from + third) < value(l, what, to - third))
			from += third;
		else
			to -= third;
	}
	return from + (to - from) / 2;
}

/* From a slope with room to one without: how far does the room reach? */
static double edge(const struct limits *l, double room, double none)
{
	if (value(l, ROOM, none) >= 0)
		return none;
	for (uint32_t i = 0; i < 60; i++) {
		double middle = room + (none - room) / 2;

		if (value(l, ROOM, middle) >= 0)
			room = middle;
		else
			none = middle;
	}
	return room;
}

bool kl_pair_bounds(const struct kl_pair_track *t, int64_t at_ns, int64_t base_ns,
		    struct kl_pair_bounds *ret)
{
	const double steepest = STEEPEST * 1e9;
	struct limits l = { 0 };
	double room, slope, short_of;

	for (uint32_t i = 0; i < t->bins; i++) {
		for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
			const struct kl_pair_sample *s = &t->bin[i].best[d];
			struct limit x = { (double)(s->at_ns - at_ns) / 1e9,
					   (double)(s->diff_ns - base_ns) };

			if (!t->bin[i].has[d])
				continue;
			if (d == KL_TO_CUCM)
				l.upper[l.uppers++] = x;
			else
				l.lower[l.lowers++] = x;
		}
	}
	if (!l.uppers || !l.lowers)
		return false;
	slope = best_slope(&l, ROOM, -steepest, steepest);
	room = value(&l, ROOM, slope);
	/* Captures in disorder leave none: then by as much as they err. */
	short_of = room < 0 ? -room : 0;
	for (uint32_t i = 0; i < l.uppers; i++)
		l.upper[i].diff_ns += short_of;
	for (uint32_t i = 0; i < l.lowers; i++)
		l.lower[i].diff_ns -= short_of;
	ret->slope[0] = edge(&l, slope, -steepest);
	ret->slope[1] = edge(&l, slope, steepest);
	ret->offset_ns[0] = base_ns + (int64_t)lowest(&l, best_slope(&l, LOWEST, ret->slope[0],
								     ret->slope[1]));
	ret->offset_ns[1] = base_ns + (int64_t)highest(&l, best_slope(&l, HIGHEST, ret->slope[0],
								      ret->slope[1]));
	ret->slope[0] /= 1e9;
	ret->slope[1] /= 1e9;
	return true;
}
