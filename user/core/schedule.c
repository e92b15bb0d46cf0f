// SPDX-License-Identifier: GPL-2.0-only
#include "core/schedule.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000ULL

void kl_schedule_init(struct kl_schedule *s, bool delays_add_up)
{
	*s = (struct kl_schedule){ .slips = delays_add_up ? 1 : -1 };
}

void kl_schedule_told(struct kl_schedule *s, uint32_t first_s, uint32_t second_s)
{
	s->told_us[0] = first_s < 4000 ? first_s * 1000000 : 0;
	s->told_us[1] = second_s < 4000 ? second_s * 1000000 : 0;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static bool is_near(uint64_t a, uint64_t b, uint64_t percent, uint64_t slack)
{
	return distance(a, b) <= b * percent / 100 + slack;
}

bool kl_schedule_is_double(uint64_t before_us, uint64_t late_us)
{
	return is_near(late_us, 2 * before_us, KL_SCHEDULE_DOUBLE_PERCENT,
		       KL_SCHEDULE_DOUBLE_SLACK_US);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t median(const uint32_t *values, unsigned n)
{
	uint32_t sorted[KL_SCHEDULE_INTERVALS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	return n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] / 2 + sorted[n / 2] / 2;
}

static unsigned remembered(const struct kl_schedule *s)
{
	return s->seen < KL_SCHEDULE_INTERVALS ? s->seen : KL_SCHEDULE_INTERVALS;
}

/* The n-th interval before the last one. */
static uint32_t interval(const struct kl_schedule *s, unsigned back)
{
	return s->recent_us[(s->seen - 1 - back) % KL_SCHEDULE_INTERVALS];
}

/* Three times the median deviation, which a quarter of outliers does not move. */
static uint32_t measure_jitter(const struct kl_schedule *s)
{
	uint32_t deviation[KL_SCHEDULE_INTERVALS], m;
	unsigned n = remembered(s);

	for (unsigned i = 0; i < n; i++)
		deviation[i] = (uint32_t)distance(s->recent_us[i], s->period_us);
	m = median(deviation, n);
	/* Of a few, that are alike by chance perhaps, the next may differ by more. */
	m = m < UINT32_MAX / 16 ? m * (n < KL_SCHEDULE_INTERVALS - 2 ? 8 : 3) : UINT32_MAX / 2;
	return m > KL_SCHEDULE_JITTER_MIN_US ? m : KL_SCHEDULE_JITTER_MIN_US;
}

static void take_jitter(struct kl_schedule *s)
{
	s->jitter_us = measure_jitter(s);
	s->measured |= s->seen >= KL_SCHEDULE_LEARN;
}

/* Three intervals alike make a period. */
static bool recent_agree(const struct kl_schedule *s, unsigned percent, uint64_t *ret_us)
{
	uint32_t last[KL_SCHEDULE_LEARN];

	if (s->seen < KL_SCHEDULE_LEARN)
		return false;
	for (unsigned i = 0; i < KL_SCHEDULE_LEARN; i++)
		last[i] = interval(s, i);
	*ret_us = median(last, KL_SCHEDULE_LEARN);
	for (unsigned i = 0; i < KL_SCHEDULE_LEARN; i++) {
		if (!is_near(last[i], *ret_us, percent, KL_SCHEDULE_JITTER_MIN_US))
			return false;
	}
	return true;
}

void kl_schedule_anchor(struct kl_schedule *s, uint64_t now_ns)
{
	if (s->last_ns)
		return;
	s->last_ns = now_ns;
	s->anchored = true;
}

static bool told_period(const struct kl_schedule *s, uint64_t interval_us, uint64_t *ret_us)
{
	for (int i = 0; i < 2; i++) {
		if (s->told_us[i] && is_near(interval_us, s->told_us[i], 20, 0)) {
			*ret_us = s->told_us[i];
			return true;
		}
	}
	return false;
}

/* Is any of the last n intervals unclean? */
static bool any_unclean(const struct kl_schedule *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (s->unclean >> (s->seen - 1 - i) % KL_SCHEDULE_INTERVALS & 1)
			return true;
	}
	return false;
}

static void keep_interval(struct kl_schedule *s, uint64_t interval_us, bool lost)
{
	unsigned at = s->seen % KL_SCHEDULE_INTERVALS;

	s->recent_us[at] = interval_us < UINT32_MAX ? (uint32_t)interval_us : UINT32_MAX;
	s->unclean &= (uint8_t) ~(1U << at);
	if (lost || s->was_lost)
		s->unclean |= (uint8_t)(1U << at);
	s->was_lost = lost;
	s->seen++;
}

/* Of another period: they would be mixed with those of this one. */
static void forget_older(struct kl_schedule *s)
{
	uint32_t last[KL_SCHEDULE_LEARN];
	uint8_t unclean = 0;

	for (unsigned i = 0; i < KL_SCHEDULE_LEARN; i++) {
		unsigned at = (s->seen - KL_SCHEDULE_LEARN + i) % KL_SCHEDULE_INTERVALS;

		last[i] = s->recent_us[at];
		unclean |= (uint8_t)((s->unclean >> at & 1) << i);
	}
	memcpy(s->recent_us, last, sizeof(last));
	s->unclean = unclean;
	s->seen = KL_SCHEDULE_LEARN;
}

/* Returns whether the period is a new one. */
static bool learn(struct kl_schedule *s)
{
	bool is_told = s->source == KL_PERIOD_TOLD;
	uint64_t now_us = 0;

	/* (Under a growing timeout the intervals differ, and the period does not.) */
	if (s->doublings || !recent_agree(s, any_unclean(s, KL_SCHEDULE_LEARN) ? 1 : 10, &now_us))
		return false;
	/* Against a period that was only told, the jitter is not measured, but what it is off. */
	if (s->source == KL_PERIOD_UNKNOWN ||
	    !is_near(now_us, s->period_us, is_told ? 1 : 5, is_told ? 0 : 2ULL * s->jitter_us)) {
		s->source = KL_PERIOD_LEARNT;
		s->period_us = now_us;
		forget_older(s);
		return true;
	}
	/* Follow slowly what a phone's clock makes of it. */
	if (s->source == KL_PERIOD_LEARNT && !s->was_late)
		s->period_us = median(s->recent_us, remembered(s));
	return false;
}

/*
 * Is the period hidden in intervals that grow: P + L, P + 2L, P + 4L, P + 8L? Each pair of
 * neighbours gives it: twice the one less the next. Asked at a session's start only, for later the
 * period is known; or while losses are known to hide it, and then three will do and may be less
 * exact. (On a grid each delay is followed by an interval that is shorter by it, which comes to
 * the same but for the first.)
 */
static bool solve(struct kl_schedule *s)
{
	bool unclean = s->seen && any_unclean(s, 1);
	unsigned n = unclean ? 3 : 4, percent = unclean ? 30 : KL_SCHEDULE_DOUBLE_PERCENT;
	uint32_t guesses[4];
	uint64_t period, late = 0;

	if (s->seen < n || (s->seen > 5 && !unclean))
		return false;
	if (unclean && s->seen > 3)
		n = 4;
	for (unsigned i = 0; i + 1 < n; i++) {
		uint32_t newer = interval(s, i), older = interval(s, i + 1);

		if (newer <= older || newer / 2 >= older)
			return false;
		guesses[i] = 2 * older - newer;
	}
	period = median(guesses, n - 1);
	for (unsigned i = n; i-- > 0;) {
		uint64_t before = late;

		if (interval(s, i) < period + KL_SCHEDULE_LATE_MIN_US)
			return false;
		late = interval(s, i) - period;
		if (before && !is_near(late, 2 * before, percent, KL_SCHEDULE_DOUBLE_SLACK_US))
			return false;
	}
	s->source = KL_PERIOD_SOLVED;
	s->period_us = period;
	/* On a grid the interval holds only what was added to the delay: half of it. */
	s->late_us = late * (s->slips < 0 ? 2 : 1);
	s->grown_us = (uint32_t)s->late_us;
	s->doublings = (uint8_t)(n - 1);
	s->was_late = true;
	s->jitter_us = KL_SCHEDULE_JITTER_MIN_US;
	return true;
}

uint64_t kl_schedule_slack_us(const struct kl_schedule *s)
{
	uint64_t slack = 2ULL * s->jitter_us;

	if (!s->period_us)
		return 0;
	return slack > KL_SCHEDULE_LATE_MIN_US ? slack : KL_SCHEDULE_LATE_MIN_US;
}

void kl_schedule_got_through(struct kl_schedule *s, uint64_t copy_ns)
{
	s->gap_us = copy_ns > s->last_ns ? (copy_ns - s->last_ns) / NS_PER_US : 0;
}

/* Where the next period is counted from. */
static uint64_t base_ns(const struct kl_schedule *s)
{
	return s->last_ns + (s->slips > 0 ? s->gap_us * NS_PER_US : 0);
}

uint64_t kl_schedule_next_ns(const struct kl_schedule *s)
{
	if (!s->period_us || !s->last_ns)
		return 0;
	if (s->slips < 0 && s->due_ns)
		return s->due_ns;
	return base_ns(s) + s->period_us * NS_PER_US;
}

/*
 * Does the interval after a late one tell what kind of phone it is? since_us: since it reached the
 * server; late_us: how late that was.
 */
static void take_sides(struct kl_schedule *s, uint64_t since_us, uint64_t late_us)
{
	uint64_t slack = kl_schedule_slack_us(s);

	if (late_us < 2 * slack)
		return;
	if (is_near(since_us, s->period_us, 0, slack) && s->slips < 3)
		s->slips++;
	else if (is_near(since_us + late_us, s->period_us, 0, slack) && s->slips > -3)
		s->slips--;
	if (!s->slips)
		s->slips = is_near(since_us, s->period_us, 0, slack) ? 1 : -1;
}

static void follow_doubling(struct kl_schedule *s, uint64_t late_us)
{
	if (s->grown_us && kl_schedule_is_double(s->grown_us, late_us))
		s->doublings += s->doublings < UINT8_MAX;
	else
		s->doublings = 0;
	if (late_us < 2 * kl_schedule_slack_us(s) || late_us > UINT32_MAX)
		late_us = 0; /* jitter may make one like it */
	s->grown_us = (uint32_t)late_us;
}

void kl_schedule_see(struct kl_schedule *s, uint64_t now_ns, bool lost,
		     struct kl_schedule_seen *ret)
{
	uint64_t expected_ns = kl_schedule_next_ns(s), was_late_us = s->late_us + s->gap_us;
	uint64_t through_ns = s->last_ns + s->gap_us * NS_PER_US, from_ns = base_ns(s);
	uint64_t late_us = 0, interval_us;
	bool knew = s->period_us != 0;

	*ret = (struct kl_schedule_seen){ .first = !s->last_ns };
	s->gap_us = 0;
	if (!s->last_ns || now_ns <= from_ns) {
		s->last_ns = now_ns;
		s->was_lost = lost;
		return;
	}
	interval_us = (now_ns - from_ns) / NS_PER_US;
	if (s->anchored) {
		uint64_t told_us;

		s->anchored = false;
		if (!told_period(s, interval_us, &told_us)) {
			/* It counts from somewhere else. */
			s->last_ns = now_ns;
			s->was_lost = lost;
			ret->first = true;
			return;
		}
		s->source = KL_PERIOD_TOLD;
		s->period_us = told_us;
		expected_ns = s->last_ns + told_us * NS_PER_US;
		knew = true;
	} else if (!knew && told_period(s, interval_us, &s->period_us)) {
		s->source = KL_PERIOD_TOLD;
		expected_ns = from_ns + s->period_us * NS_PER_US;
		ret->new_period = knew = true;
	}
	ret->interval_us = interval_us;
	keep_interval(s, interval_us, lost);
	if (knew) {
		take_sides(s, now_ns > through_ns ? (now_ns - through_ns) / NS_PER_US : 0,
			   was_late_us);
		if (now_ns > expected_ns)
			late_us = (now_ns - expected_ns) / NS_PER_US;
		s->was_late = late_us > kl_schedule_slack_us(s);
		s->late_us = s->was_late ? late_us : 0;
		follow_doubling(s, s->late_us);
		if (late_us > s->period_us * 8 / 10 && interval_us > s->period_us * 18 / 10)
			ret->periods_silent = (unsigned)((late_us + s->period_us / 2) /
							 s->period_us);
	}
	if (learn(s)) {
		ret->new_period = true;
		s->late_us = s->grown_us = 0;
		s->was_late = false;
		s->jitter_us = 0;
	}
	/* (What doubles is no jitter. But where all are late, it is.) */
	if (!s->was_late || (!s->doublings && s->seen >= KL_SCHEDULE_LEARN))
		take_jitter(s);
	else if (!s->jitter_us)
		s->jitter_us = KL_SCHEDULE_JITTER_MIN_US;
	if (s->source != KL_PERIOD_TOLD && s->doublings < 2 && solve(s)) {
		ret->new_period = true;
		ret->solved = true;
		expected_ns = now_ns - s->late_us * NS_PER_US;
	}
	/* The grid is where it was expected, unless the phone is early or was on time. */
	s->due_ns = (s->was_late ? expected_ns : now_ns) + s->period_us * NS_PER_US;
	s->late_run = s->was_late && !s->doublings ? s->late_run + 1 : 0;
	if ((s->was_late && now_ns > s->due_ns) || s->late_run == KL_SCHEDULE_LATE_RUN) {
		s->due_ns = now_ns + s->period_us * NS_PER_US;
		s->late_run = 0;
	}
	s->last_ns = now_ns;
	ret->late = s->was_late;
	ret->late_us = s->late_us;
	ret->doublings = s->doublings - (s->doublings && !s->measured);
}

void kl_schedule_gap(struct kl_schedule *s)
{
	s->last_ns = s->due_ns = s->late_us = 0;
	s->grown_us = 0;
	s->doublings = 0;
	s->was_late = s->was_lost = s->anchored = false;
}
