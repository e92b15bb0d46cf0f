// SPDX-License-Identifier: GPL-2.0-only
/* Thresholds of silence and of length. */
#include "core/correlate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	OWN_LOSSES = 3,	   /* of a session, before it is said to have a threshold of its own */
	IDLE_GROUPS = 4,   /* two directions, phone side or between */
	LENGTH_GROUPS = 2, /* two directions */
};

struct point {
	uint64_t phone; /* its address, or the session where that is not known */
	uint32_t value;
	uint32_t order; /* in time */
	bool lost;
	bool again;
	uint8_t known;
};

/* What is compared with what. */
struct group {
	uint8_t direction;
	uint8_t wheres;
	bool of_length;
};

struct points {
	struct point *point;
	size_t count;
};

static bool is_compared(const struct group *g, const struct kl_observed *o)
{
	if (o->direction != g->direction)
		return false;
	if (g->of_length)
		return true;
	if (!o->idle_known)
		return false;
	return o->lost ? g->wheres >> o->where & 1 : o->where != KL_WHERE_UNKNOWN;
}

/* What is sent again and again and not acknowledged counts by its length: see mark_unsure(). */
static bool is_lost(const struct group *g, const struct kl_observed *o)
{
	return o->lost || (g->of_length && o->where == KL_WHERE_UNKNOWN);
}

static const struct kl_endpoints *ends_of(const struct kl_diagnosis *d, const struct kl_observed *o)
{
	const struct kl_session *s = kl_sessions_find(d->sessions, o->session);

	return s ? &s->ends : NULL;
}

static bool is_same_server(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return a && b && a->family == b->family && a->cucm_port == b->cucm_port &&
	       !memcmp(a->cucm, b->cucm, sizeof(a->cucm));
}

/*
 * Long segments are compared with short ones to the same server (another one may be down), from
 * their first loss on. Returns where that is.
 */
static size_t find_server(const struct kl_diagnosis *d, const struct group *g,
			  const struct kl_endpoints **ret)
{
	size_t first = d->observed_count, longest = 0;

	*ret = NULL;
	for (size_t i = 0; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];

		if (!is_compared(g, o) || !is_lost(g, o) || o->length <= longest)
			continue;
		longest = o->length;
		first = i;
	}
	if (first < d->observed_count)
		*ret = ends_of(d, &d->observed[first]);
	return first;
}

static void gather(const struct kl_diagnosis *d, const struct group *g, struct points *ret)
{
	const struct kl_endpoints *server = NULL;
	size_t from = g->of_length ? find_server(d, g, &server) : 0;

	ret->count = 0;
	for (size_t i = from; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];
		const struct kl_endpoints *ends;

		if (!is_compared(g, o))
			continue;
		ends = ends_of(d, o);
		if (server && !is_same_server(server, ends))
			continue;
		ret->point[ret->count++] = (struct point){
			.phone = ends ? kl_phone_key(ends) : o->session,
			.value = g->of_length ? o->length : o->idle_ms,
			.order = (uint32_t)i,
			.lost = is_lost(g, o),
			.again = o->again,
			.known = o->idle_known,
		};
	}
}

static int compare(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return compare(y->value, x->value) ?: compare(x->order, y->order);
}

static int by_phone(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return compare(x->phone, y->phone) ?: compare(x->order, y->order);
}

static int by_order(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return compare(x->order, y->order);
}

static void sort(const struct points *p, int (*by)(const void *, const void *))
{
	if (p->count)
		qsort(p->point, p->count, sizeof(*p->point), by);
}

/* ---- The best threshold ---- */

struct best {
	uint32_t threshold;
	uint64_t tried;
};

/* Points are in the order of falling values. No threshold: tried is 0. */
static struct best find_threshold(const struct points *p)
{
	uint64_t lost = 0, delivered = 0, lost_above = 0, delivered_above = 0;
	struct best best = {};
	double most = 0;

	for (size_t i = 0; i < p->count; i++) {
		lost += p->point[i].lost;
		delivered += !p->point[i].lost;
	}
	if (!lost || !delivered)
		return best;
	for (size_t i = 0; i < p->count; i++) {
		double apart;

		lost_above += p->point[i].lost;
		delivered_above += !p->point[i].lost;
		if (i + 1 < p->count && p->point[i + 1].value == p->point[i].value)
			continue;
		best.tried++;
		apart = (double)lost_above / (double)lost -
			(double)delivered_above / (double)delivered;
		if (apart <= most)
			continue;
		most = apart;
		best.threshold = p->point[i].value;
	}
	if (most <= 0)
		best.tried = 0;
	return best;
}

/* Fills in what the threshold comes to; the points come in the order of time. */
static void measure(const struct points *p, uint32_t threshold, struct kl_split *ret)
{
	bool running = false;

	ret->above = UINT32_MAX;
	ret->idle_all = true;
	for (size_t i = 0; i < p->count; i++) {
		const struct point *o = &p->point[i];

		if (!o->lost) {
			running = false;
			*(o->value >= threshold ? &ret->table.delivered_with
						: &ret->table.delivered_without) += 1;
			if (o->value < threshold && o->value > ret->below)
				ret->below = o->value;
			continue;
		}
		if (o->value < threshold) {
			ret->table.lost_without++;
			continue;
		}
		ret->table.lost_with++;
		ret->again_lost += o->again;
		ret->idle_all &= o->known == KL_IDLE_ALL;
		ret->runs += !running;
		running = true;
		if (o->value < ret->above)
			ret->above = o->value;
	}
}

/* A phone loses above the threshold, or below it, where it loses more than half of what it sends. */
static void count_phones(const struct points *p, uint32_t threshold, struct kl_split *ret)
{
	for (size_t i = 0; i < p->count;) {
		uint64_t phone = p->point[i].phone, all[2] = {}, lost[2] = {};

		for (; i < p->count && p->point[i].phone == phone; i++) {
			bool above = p->point[i].value >= threshold;

			all[above]++;
			lost[above] += p->point[i].lost;
		}
		if (all[1])
			*(2 * lost[1] > all[1] ? &ret->by_phone.lost_with
					       : &ret->by_phone.delivered_with) += 1;
		else
			*(2 * lost[0] > all[0] ? &ret->by_phone.lost_without
					       : &ret->by_phone.delivered_without) += 1;
	}
}

static double chance(const struct kl_split *s, double log_tried)
{
	return exp(fmin(0, kl_fisher_log_greater(&s->table) + log_tried));
}

/* The points are left in the order of sessions. */
static void split(struct points *p, double log_groups, struct kl_split *ret)
{
	struct best best;

	sort(p, by_value);
	best = find_threshold(p);
	if (!best.tried)
		return;
	sort(p, by_order);
	measure(p, best.threshold, ret);
	sort(p, by_phone);
	count_phones(p, best.threshold, ret);
	ret->p = chance(ret, log_groups + log((double)best.tried));
}

/* ---- Of some phones only ---- */

/*
 * Leaves the sessions each of which loses all above, and nothing below, a threshold of its own.
 * Returns how many ways there are to pick so many: ln. Points are in the order of sessions.
 */
static double keep_own(struct points *p)
{
	uint64_t sessions = 0, kept_sessions = 0;
	size_t kept = 0;

	for (size_t i = 0, end; i < p->count; i = end) {
		uint32_t most_delivered = 0, least_lost = UINT32_MAX;
		uint64_t lost = 0, delivered = 0;

		for (end = i; end < p->count && p->point[end].phone == p->point[i].phone; end++) {
			const struct point *o = &p->point[end];

			lost += o->lost;
			delivered += !o->lost;
			if (o->lost && o->value < least_lost)
				least_lost = o->value;
			if (!o->lost && o->value > most_delivered)
				most_delivered = o->value;
		}
		sessions++;
		if (lost < OWN_LOSSES || !delivered || most_delivered >= least_lost)
			continue;
		kept_sessions++;
		for (size_t k = i; k < end; k++)
			p->point[kept++] = p->point[k];
	}
	p->count = kept;
	return kl_log_choose(sessions, kept_sessions);
}

static bool is_sharp(const struct kl_split *s)
{
	return s->table.lost_with && kl_split_lost_above(s) >= 0.9 && kl_split_lost_below(s) <= 0.1;
}

static void try_group(const struct kl_diagnosis *d, const struct group *g, unsigned groups,
		      struct points *p, struct kl_split *ret)
{
	const struct kl_split none = { .p = 1,
				       .direction = g->direction,
				       .wheres = g->wheres,
				       .stride = d->observed_stride ?: 1 };
	double log_groups = log(2.0 * groups); /* all, and some phones only */
	struct kl_split all = none, some = none;
	const struct kl_split *better;

	gather(d, g, p);
	split(p, log_groups, &all);
	if (all.table.lost_with && !is_sharp(&all)) {
		double log_ways = keep_own(p);

		split(p, log_groups + log_ways, &some);
		some.some = true;
	}
	better = some.table.lost_with && is_sharp(&some) && some.p < 0.01 ? &some : &all;
	if (!better->table.lost_with)
		return;
	if (!ret->table.lost_with || (is_sharp(better) && !is_sharp(ret)) ||
	    (is_sharp(better) == is_sharp(ret) && better->p < ret->p))
		*ret = *better;
}

static int try_groups(const struct kl_diagnosis *d, const struct group *groups, unsigned count,
		      struct kl_split *ret)
{
	_cleanup_free_ struct point *room = NULL;
	struct points p;

	*ret = (struct kl_split){ .p = 1, .stride = 1 };
	if (!d->observed_count)
		return 0;
	room = calloc(d->observed_count, sizeof(*room));
	if (!room)
		return -ENOMEM;
	p = (struct points){ .point = room };
	for (unsigned i = 0; i < count; i++)
		try_group(d, &groups[i], count, &p, ret);
	return 0;
}

uint64_t kl_phone_key(const struct kl_endpoints *e)
{
	uint64_t h = e->family;

	for (int i = 0; i < 4; i++) {
		h = (h ^ e->phone[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

int kl_split_idle(const struct kl_diagnosis *d, struct kl_split *ret)
{
	static const struct group groups[IDLE_GROUPS] = {
		{ KL_TO_CUCM, 1 << KL_PHONE_SIDE, false },
		{ KL_TO_CUCM, 1 << KL_BETWEEN, false },
		{ KL_TO_PHONE, 1 << KL_PHONE_SIDE, false },
		{ KL_TO_PHONE, 1 << KL_BETWEEN, false },
	};

	return try_groups(d, groups, IDLE_GROUPS, ret);
}

int kl_split_length(const struct kl_diagnosis *d, struct kl_split *ret)
{
	enum {
		ANYWHERE = 1 << KL_PHONE_SIDE | 1 << KL_BETWEEN | 1 << KL_CUCM_SIDE
	};
	static const struct group groups[LENGTH_GROUPS] = {
		{ KL_TO_CUCM, ANYWHERE, true },
		{ KL_TO_PHONE, ANYWHERE, true },
	};

	return try_groups(d, groups, LENGTH_GROUPS, ret);
}

double kl_split_lost_above(const struct kl_split *s)
{
	double delivered = (double)s->table.delivered_with * s->stride;

	return s->table.lost_with
		       ? (double)s->table.lost_with / ((double)s->table.lost_with + delivered)
		       : 0;
}

double kl_split_lost_below(const struct kl_split *s)
{
	uint64_t lost = s->table.lost_with + s->table.lost_without;

	return lost ? (double)s->table.lost_without / (double)lost : 0;
}

bool kl_split_explains(const struct kl_split *s, uint32_t direction, uint32_t where,
		       uint64_t idle_ms)
{
	return s->table.lost_with && direction == s->direction && (s->wheres >> where & 1) &&
	       idle_ms >= s->above;
}
